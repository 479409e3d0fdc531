/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Patterns of names, as shells and rsync have them: ? and * stand for anything but a
 * slash, ** for that, too, [...] for one of several bytes, and a backslash takes the
 * meaning of what follows it away. No pattern takes more than time.
 */
#ifndef IVRING_PATTERN_H
#define IVRING_PATTERN_H

#include <stdbool.h>

bool pattern_match(const char *pattern, const char *text);
/* The same of a name in a directory, where a leading dot has to be written. */
bool pattern_match_name(const char *pattern, const char *name);
/* Whether it may stand for something else than itself. */
bool pattern_is_wild(const char *text);

#endif /* IVRING_PATTERN_H */

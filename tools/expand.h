/* SPDX-License-Identifier: GPL-2.0 */
/* The names beneath a root that a pattern stands for, as a shell would find them. */
#ifndef IVRING_EXPAND_H
#define IVRING_EXPAND_H

#include <stddef.h>

#include "path.h"
#include "status.h"

/* What a peer's pattern may cost: names, their bytes, and names that were looked at. */
#define EXPAND_NAMES_MAX	65536
#define EXPAND_BYTES_MAX	(8UL << 20)
#define EXPAND_LOOKS_MAX	4000000UL

struct expansion {
	char **paths;			/* in order */
	size_t count;
	size_t size;
	size_t bytes;
	size_t looks;
};

/*
 * Adds the names for @pattern; what exists under that very name is no pattern, and what
 * cannot be read has no names. @x is all zeros at first.
 */
int expand_pattern(struct expansion *x, const struct path_root *root, const char *pattern,
		   struct status *st);
/* Just this one name. */
int expand_add(struct expansion *x, const char *path, struct status *st);
void expand_free(struct expansion *x);

#endif /* IVRING_EXPAND_H */

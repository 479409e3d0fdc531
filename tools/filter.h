/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which names of a tree count, by rules as rsync's --include and --exclude have them:
 * the first that fits decides, and what none fits is included.
 *
 * A pattern with a slash in front is for the whole path; one with a slash elsewhere, or
 * with **, for its end, from any slash on; any other for the name alone. With a slash
 * at the end it is for directories only, with three stars behind that one for a directory
 * and all in it.
 */
#ifndef IVRING_FILTER_H
#define IVRING_FILTER_H

#include <stdbool.h>
#include <stddef.h>

/* Of all rules together: what a peer's may cost. */
#define FILTER_SIZE_MAX		(32U << 10)

struct filter {
	/* One after the other: '+' or '-', the pattern, a NUL. */
	char *rules;
	size_t len;
};

/* False when there are too many, or this one says nothing. */
bool filter_add(struct filter *f, bool include, const char *pattern);
/* Whether @len bytes of @rules are such a list. */
bool filter_is_good(const char *rules, size_t len);
/* @path is beneath the top, without a slash in front. */
bool filter_excludes(const struct filter *f, const char *path, bool is_dir);
void filter_free(struct filter *f);

#endif /* IVRING_FILTER_H */

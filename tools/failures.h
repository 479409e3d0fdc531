/* SPDX-License-Identifier: GPL-2.0 */
/* What could not be done of something that goes on, until it is made good. */
#ifndef IVRING_FAILURES_H
#define IVRING_FAILURES_H

#include <stdbool.h>
#include <stddef.h>

struct failure;

/* All zeros: none. */
struct failures {
	struct failure *first;		/* the oldest */
	size_t count;
	int more;			/* the code of one that was not noted for its number */
};

/* One of path @path for each path: the first. Without memory it counts among @more. */
void failures_add(struct failures *f, const char *path, int code);
/* That one was made good; @beneath: so is all that lies in it. */
void failures_clear(struct failures *f, const char *path, bool beneath);
/* None counts any more. */
void failures_reset(struct failures *f);
/* The code of the oldest; zero: there is none. */
int failures_code(const struct failures *f);

#endif /* IVRING_FAILURES_H */

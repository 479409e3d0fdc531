/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an agent serves: directories, each with a name unless it is the only one,
 * and with what may be done beneath it.
 */
#ifndef IVRING_ROOTS_H
#define IVRING_ROOTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "path.h"
#include "status.h"

#define ROOTS_MAX		32
#define ROOT_NAME_SIZE		64

struct root {
	struct path_root dir;
	char name[ROOT_NAME_SIZE];	/* empty: the only one, whose name nobody says */
	char path[PATH_MAX];		/* as it was given */
	bool no_pull;
	bool no_push;
};

struct roots {
	struct root list[ROOTS_MAX];
	size_t count;
};

/* Adds what "[NAME=]PATH[:ro|wo|rw]" says; nothing is opened yet. */
int roots_add(struct roots *r, const char *spec, struct status *st);
/* All of them, once all are known. */
int roots_open(struct roots *r, struct status *st);
/* "read-only" and the like, for people; empty when both ways are open. */
const char *root_mode(const struct root *root);
/*
 * Where a client's @path is: what is left in @path, a buffer, is beneath that root.
 * NULL when there is none, and @st says so.
 */
const struct root *roots_find(const struct roots *r, char *path, struct status *st);

#endif /* IVRING_ROOTS_H */

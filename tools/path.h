/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Path names, some of which the peer chose.
 *
 * A confined root is a jail: nothing outside of it is reached by "..", an
 * absolute name, a symbolic link or a magic link of /proc. An absolute name is
 * taken from the root on. The unconfined root serves names that the user of
 * this machine typed.
 */
#ifndef IVRING_PATH_H
#define IVRING_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "status.h"

struct path_root {
	int fd;			/* AT_FDCWD when not confined */
	bool confined;
	const char *whose;	/* "the agent's", "the local": for messages */
};

/* Where a file is to be created. */
struct path_dest {
	int dirfd;
	char name[NAME_MAX + 1];
};

/* Opens a regular file for reading. */
int path_open_source(const struct path_root *root, const char *path, int *fd, struct stat *stat,
		     struct status *st);
/*
 * Where @path leads, by the rules of cp(1): into a directory under the name
 * @base, or to the very name. @into_dir: it must be a directory.
 */
int path_resolve_dest(const struct path_root *root, const char *path, const char *base,
		      bool into_dir, struct path_dest *dest, struct status *st);
void path_dest_close(struct path_dest *dest);

/* What stands behind the last slash, and is no directory's name; else NULL. */
const char *path_base(const char *path);

#endif /* IVRING_PATH_H */

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
	const char *name;	/* what the root itself is called when it is sent, or NULL */
};

/* Where a file is to be created. */
struct path_dest {
	int dirfd;
	char name[NAME_MAX + 1];
};

/*
 * Opens a regular file or a directory for reading. Anything else is only looked
 * at, as opening it may do something: @fd is -1 then.
 */
int path_open_source(const struct path_root *root, const char *path, int *fd, struct stat *stat,
		     struct status *st);
/*
 * Opens the directory @path that is to be filled. If it is nothing yet, it
 * is made, with mode @make unless that is zero; but not its parents.
 */
int path_open_dest_dir(const struct path_root *root, const char *path, mode_t make, int *fd,
		       struct status *st);
/*
 * Where @path leads, by the rules of cp(1): into a directory under the name
 * @base, or to the very name. @into_dir: it must be a directory. Without @base the
 * name is left empty if it is one.
 */
int path_resolve_dest(const struct path_root *root, const char *path, const char *base,
		      bool into_dir, struct path_dest *dest, struct status *st);
void path_dest_close(struct path_dest *dest);

/* Whether the name may be looked up at all. */
int path_check(const struct path_root *root, const char *path, struct status *st);
/* As open(2), beneath the root; -errno when that fails. */
int path_open(const struct path_root *root, const char *path, int flags);

/*
 * Opens @path beneath the directory @dirfd, without following any link; 0 or -errno.
 * For names within a tree, which are never of use elsewhere.
 */
int path_open_within(int dirfd, const char *path, int flags);

/* What stands behind the last slash, and is no directory's name; else NULL. */
const char *path_base(const char *path);

#endif /* IVRING_PATH_H */

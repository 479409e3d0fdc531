/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file that is being received. Where the file system can, it has no name at
 * all until all of it is there and right, so that nothing is left of it if this
 * process or the machine dies. Elsewhere it has a temporary name beside its
 * final one, and a lock on it tells that somebody still works on it; a later
 * transfer into the directory removes what nobody holds locked.
 */
#ifndef IVRING_TEMPFILE_H
#define IVRING_TEMPFILE_H

#include <stdbool.h>

#define TEMPFILE_NAME_SIZE	15	/* ".ivring-XXXXXX" and the NUL */

struct tempfile {
	int fd;
	int dirfd;			/* borrowed, must stay open */
	char name[TEMPFILE_NAME_SIZE];	/* empty while it has none */
};

/* One at a time in a process. Removes old litter as well. Returns 0 or -errno. */
int tempfile_create(struct tempfile *t, int dirfd);
/* The same, for file systems without O_TMPFILE, and without the look for litter. */
int tempfile_create_named(struct tempfile *t, int dirfd);
/* Closes the file in any case; on failure it is removed as well. */
int tempfile_rename(struct tempfile *t, const char *final_name);
void tempfile_discard(struct tempfile *t);
/* For signal handlers that end the process: remove the file, if it has a name. */
void tempfile_emergency(void);

/* Removes the temporary files of processes that died. */
void tempfile_collect(int dirfd);
/* A name that a temporary file may have: no other file should. */
bool tempfile_is_name(const char *name);

#endif /* IVRING_TEMPFILE_H */

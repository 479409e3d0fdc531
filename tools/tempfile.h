/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file that is being received: it has a temporary name beside its final one,
 * and takes that only when all of it is there and right.
 */
#ifndef IVRING_TEMPFILE_H
#define IVRING_TEMPFILE_H

#include <limits.h>

struct tempfile {
	int fd;
	int dirfd;			/* borrowed, must stay open */
	char name[NAME_MAX + 1];
};

/* One at a time in a process. Returns 0 or -errno. */
int tempfile_create(struct tempfile *t, int dirfd, const char *final_name);
/* Closes the file in any case; on failure it is removed as well. */
int tempfile_rename(struct tempfile *t, const char *final_name);
void tempfile_discard(struct tempfile *t);
/* For signal handlers that end the process: remove the file, if there is one. */
void tempfile_emergency(void);

#endif /* IVRING_TEMPFILE_H */

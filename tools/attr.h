/* SPDX-License-Identifier: GPL-2.0 */
/* Modes, owners, times and extended attributes: from a file, and onto one. */
#ifndef IVRING_ATTR_H
#define IVRING_ATTR_H

#include <sys/stat.h>

#include "entry.h"
#include "status.h"

/* Adds what @keep asks for. @fd is the open file; -1: it has no attributes of interest. */
int attr_collect(struct entry *e, int fd, uint32_t keep, struct status *st);

/* The permission bits that a received file gets. */
mode_t attr_mode(const struct entry *e, uint32_t keep, mode_t umask);

/*
 * Gives an open file owner, mode, attributes and time, as far as @keep says. What
 * a file system does not know, or its server decides, is no failure.
 */
int attr_apply(int fd, const struct entry *e, uint32_t keep, mode_t umask, bool mode_is_set,
	       struct status *st);
/* The same for what cannot be opened: a symbolic link, a device, a fifo. */
int attr_apply_at(int dirfd, const char *name, const struct entry *e, uint32_t keep,
		  mode_t umask, struct status *st);

/* What a receiver that may not do it says to a request. */
int attr_check_keep(uint32_t keep, const char *whose, struct status *st);

#endif /* IVRING_ATTR_H */

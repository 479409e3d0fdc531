/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files with several names, by device and inode: under which one each was sent
 * first. Takes memory for such files only.
 */
#ifndef IVRING_LINKS_H
#define IVRING_LINKS_H

#include <stddef.h>
#include <sys/types.h>

struct links_file;

struct links {
	struct links_file **buckets;
	size_t size;
	size_t count;
};

/* The path of that file, or NULL. */
const char *links_find(const struct links *l, dev_t dev, ino_t ino);
/* Without memory for it, later names make files of their own. */
void links_add(struct links *l, dev_t dev, ino_t ino, const char *path);
void links_free(struct links *l);

#endif /* IVRING_LINKS_H */

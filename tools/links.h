/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files with several names, by device and inode: under which one each was sent
 * first. Takes memory for such files only.
 */
#ifndef IVRING_LINKS_H
#define IVRING_LINKS_H

#include <stddef.h>
#include <sys/types.h>

#include "hash.h"

struct links_file {
	struct links_file *next;
	dev_t dev;
	ino_t ino;
	/* For whoever adds one */
	enum hash_kind hash_kind;
	uint8_t digest[HASH_DIGEST_SIZE];
	char path[];
};

struct links {
	struct links_file **buckets;
	size_t size;
	size_t count;
};

/* That file, or NULL. */
const struct links_file *links_find(const struct links *l, dev_t dev, ino_t ino);
/* NULL without memory for it: then later names make files of their own. */
struct links_file *links_add(struct links *l, dev_t dev, ino_t ino, const char *path);
void links_free(struct links *l);

#endif /* IVRING_LINKS_H */

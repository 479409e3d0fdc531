/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files of which something was damaged in shared memory: what came of them is kept,
 * without a name, until the stream is at its end. Then what is wrong is found by the
 * hashes that came with each block, and asked for again.
 */
#ifndef IVRING_REPAIR_H
#define IVRING_REPAIR_H

#include "recv.h"

/* Files at once, and blocks of one that are told apart: more become a long last one. */
#define REPAIR_FILES_MAX	64
#define REPAIR_BLOCKS_MAX	8192
/* How often a block is asked for. */
#define REPAIR_TRIES		8

struct repair_block {
	uint64_t offset;
	uint64_t len;
	uint64_t so_far;		/* start of the hash up to its end */
};

struct repair {
	struct repair *next;
	struct entry *e;		/* without room for more than it has */
	char *path;			/* beneath the top */
	uint64_t number;		/* of the entry */
	struct tempfile_dir dir;	/* with an fd of its own */
	bool in_tree;			/* its directory has attributes that stay */
	bool link;			/* of a file that is not there yet */
	struct tempfile temp;
	bool hole_last;
	struct hash good;		/* of all before the first block */
	uint64_t good_pos;
	struct repair_block *blocks;
	size_t count;
	size_t size;
	uint8_t digest[HASH_DIGEST_SIZE];
};

/*
 * The file that is being received was right up to @pos only, where its hash was @good;
 * NULL: no more of these. It takes over the file at repair_park().
 */
struct repair *repair_start(struct receiver *r, const struct hash *good, uint64_t pos);
/* A block from the first one that is damaged on. */
bool repair_note(struct repair *d, uint64_t offset, uint64_t len, uint64_t so_far);
void repair_park(struct receiver *r, struct repair *d, const uint8_t digest[HASH_DIGEST_SIZE]);
void repair_free(struct repair *d);
/* A link of a file that is parked, perhaps. */
bool repair_park_link(struct receiver *r);

/* At the end of the stream: all that can be repaired is in its place, else told. */
int repair_all(struct receiver *r, struct status *st);
/* Lets all go. */
void repair_drop_all(struct receiver *r);

#endif /* IVRING_REPAIR_H */

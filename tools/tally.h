/* SPDX-License-Identifier: GPL-2.0 */
/* What went through in one transfer, and the words for it. */
#ifndef IVRING_TALLY_H
#define IVRING_TALLY_H

#include "entry.h"

struct tally {
	uint64_t files;			/* everything but directories */
	uint64_t dirs;
	uint64_t bytes;			/* content of files that are complete */
	uint64_t moved;			/* content, of the one on its way too */
	uint64_t failed;
	uint64_t resent;		/* blocks that were damaged in shared memory */
	uint64_t resent_bytes;
	uint64_t kept;			/* bytes that an earlier attempt had brought */
	unsigned int retries;		/* conversations that failed before */
	bool sync;			/* the next four count */
	uint64_t changes;		/* of anything */
	uint64_t same;
	uint64_t deleted;
	uint64_t wire;			/* bytes that crossed the link, both ways */
	int64_t start_ns;
	/* Of the last file. */
	enum hash_kind hash_kind;
	uint8_t digest[HASH_DIGEST_SIZE];
};

void tally_start(struct tally *t);
void tally_add(struct tally *t, const struct entry *e);

#define TALLY_TEXT_SIZE		320
/* "123 bytes in 0.10 s, 1.2 MB/s, xxh3-128 0123..." or, for several, with their number. */
void tally_text(const struct tally *t, char text[TALLY_TEXT_SIZE]);
/* The same for one file. */
void tally_file_text(const struct entry *e, int64_t elapsed_ns, char text[TALLY_TEXT_SIZE]);

#endif /* IVRING_TALLY_H */

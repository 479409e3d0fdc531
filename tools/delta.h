/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rolling checksums, by librsync: a signature of the file that is there, a delta of
 * the other one against it, and that applied. All three are streams that the caller
 * moves; what comes from a peer is judged by what it makes, which is hashed as a whole.
 */
#ifndef IVRING_DELTA_H
#define IVRING_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a frame of either stream, at most. */
#define DELTA_PIECE		(32U << 10)
/* Blocks of a signature: what its memory costs. */
#define DELTA_BLOCKS_MAX	(1U << 20)
/* Bytes of one. */
#define DELTA_SIGNATURE_MAX	(12ULL + DELTA_BLOCKS_MAX * (4ULL + 32))

struct delta;

/* All functions return 0 or -errno: -EBADMSG when what was put in makes no sense. */

/* The signature of a file of @size bytes; its content is put in. */
int delta_sign(struct delta **d, uint64_t size);
/* A signature is put in; nothing comes out. */
int delta_load(struct delta **d);
/* @load has all of its signature: from now on a file is put in, and its delta comes out. */
int delta_begin(struct delta *load);
/* A delta against what is in @basis is put in, and the new file comes out. */
int delta_patch(struct delta **d, int basis);

/*
 * Takes some of @in, after all of which nothing comes if @end; gives up to @room bytes of
 * @out. *@done is set at the end of what comes out.
 */
int delta_move(struct delta *d, const uint8_t *in, size_t in_len, bool end, size_t *taken,
	       uint8_t *out, size_t room, size_t *given, bool *done);
void delta_free(struct delta *d);

#endif /* IVRING_DELTA_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hash of a file's content. It covers every byte and the size, and does not
 * depend on how the content was cut into frames or where it has holes.
 *
 * A kind is an algorithm of a library and, or not, HASH_BLOCKS:
 *
 * XXH3-128 is the better hash and the faster one on most CPUs: as a plain hash
 *	it is what xxh128sum(1) prints.
 * XXH64 needs no vector unit, and is several times faster where there is none
 *	or it is emulated: what xxh64sum(1) prints. Its digest is 8 bytes; the
 *	other 8 are zero.
 *
 * Which is faster is measured, once, by whoever sends. Both detect errors, not
 * forgery: that is no business of a hash which comes from the sender. For those
 * who want to keep the hash:
 *
 * SHA-256 of OpenSSL's libcrypto, BLAKE3 of libblake3: looked for when asked for,
 *	so that nothing else needs them, or waits for them to be loaded.
 *
 * HASH_BLOCKS lets a hole of terabytes cost next to nothing: the hash of the
 *	list of the digests (canonical, 16 bytes each, or 32) of every block of
 *	HASH_BLOCK_SIZE bytes, the last one perhaps shorter, followed by the
 *	size as eight bytes, little-endian. Blocks of zeros all have the same
 *	digest, known in advance.
 */
#ifndef IVRING_HASH_H
#define IVRING_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_BLOCK_SIZE		65536
#define HASH_DIGEST_SIZE	32	/* the longest; shorter ones have zeros behind */
#define HASH_TEXT_SIZE		(2 * HASH_DIGEST_SIZE + 1)

/* On the wire: bit 0 says blocks, the others which algorithm. */
enum hash_kind {
	HASH_PLAIN = 0,
	HASH_BLOCKS = 1,
	HASH_XXH64 = 2,
	HASH_XXH64_BLOCKS = 3,
	HASH_SHA256 = 4,
	HASH_BLAKE3 = 6,
	HASH_NONE = 8,
	HASH_KINDS = 9,
};

/* A choice that is left to the sender. */
#define HASH_FASTEST	0xff

struct hash_algo;

struct hash {
	enum hash_kind kind;
	uint64_t size;
	const struct hash_algo *algo;
	void *whole;			/* of the content, or of the list of digests */
	void *block;			/* NULL until there are blocks */
};

/* Whether there is such a kind, and the library that it needs on this machine. */
bool hash_known(unsigned int kind);
/* "xxh3" and so on, as --hash has it: the algorithm or HASH_FASTEST, or -1. */
int hash_parse(const char *name);
/* The kind for a file of @size bytes of which @data are allocated. */
enum hash_kind hash_choose(unsigned int wanted, uint64_t size, uint64_t data);
const char *hash_name(enum hash_kind kind);
/* The kind that hash_name() calls so, whether or not its library is here, or -1. */
int hash_find(const char *name);
/* Bytes of its digest. */
size_t hash_size(enum hash_kind kind);

/* @h is all zeros at first, or was used before: then its memory is, again. */
int hash_init(struct hash *h, enum hash_kind kind);
void hash_free(struct hash *h);
void hash_data(struct hash *h, const void *data, size_t len);
void hash_zeros(struct hash *h, uint64_t len);
void hash_final(struct hash *h, uint8_t digest[HASH_DIGEST_SIZE]);
/* The state of @from in @to, which is all zeros at first or was used before; 0 or -ENOMEM. */
int hash_copy(struct hash *to, const struct hash *from);
/* The first 8 bytes of what hash_final() would say now; @spare is for its copies. */
uint64_t hash_so_far(const struct hash *h, struct hash *spare);
/* The same of a digest. */
uint64_t hash_start(const uint8_t digest[HASH_DIGEST_SIZE]);
void hash_text(enum hash_kind kind, const uint8_t digest[HASH_DIGEST_SIZE],
	       char text[HASH_TEXT_SIZE]);

#endif /* IVRING_HASH_H */

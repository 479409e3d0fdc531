// SPDX-License-Identifier: GPL-2.0
#include "hash.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Takes AVX2 or AVX-512 where the CPU has it: four times as fast as without. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#include "util.h"

/* Holes up to this size are hashed as zeros, for the sake of a hash that others know. */
#define HASH_PLAIN_HOLES_MAX	(256ULL << 20)

#define HASH_TRIALS	5

static const uint8_t zeros[HASH_BLOCK_SIZE];

static void state_reset(struct hash_state *s)
{
	if (s->xxh64)
		hash64_reset(s->xxh64);
	else
		XXH3_128bits_reset(s->xxh3);
}

static int state_init(struct hash_state *s, enum hash_kind kind)
{
	if (kind & HASH_XXH64)
		s->xxh64 = hash64_new();
	else
		s->xxh3 = XXH3_createState();
	if (!s->xxh64 && !s->xxh3)
		return -ENOMEM;
	state_reset(s);
	return 0;
}

static void state_free(struct hash_state *s)
{
	XXH3_freeState(s->xxh3);
	hash64_free(s->xxh64);
	s->xxh3 = NULL;
	s->xxh64 = NULL;
}

static void state_add(struct hash_state *s, const void *data, size_t len)
{
	if (s->xxh64)
		hash64_add(s->xxh64, data, len);
	else
		XXH3_128bits_update(s->xxh3, data, len);
}

static void state_digest(const struct hash_state *s, uint8_t digest[HASH_DIGEST_SIZE])
{
	XXH128_canonical_t c128;

	memset(digest, 0, HASH_DIGEST_SIZE);
	if (s->xxh64) {
		hash64_digest(s->xxh64, digest);
	} else {
		XXH128_canonicalFromHash(&c128, XXH3_128bits_digest(s->xxh3));
		memcpy(digest, c128.digest, sizeof(c128.digest));
	}
}

/* The best of a few times over the same block, in ns. */
static int64_t hash_cost(enum hash_kind kind)
{
	uint8_t digest[HASH_DIGEST_SIZE];
	int64_t start, best = INT64_MAX;
	struct hash h;
	int i;

	if (hash_init(&h, kind))
		return best;
	for (i = 0; i < HASH_TRIALS; i++) {
		start = now_ns();
		hash_data(&h, zeros, sizeof(zeros));
		best = now_ns() - start < best ? now_ns() - start : best;
	}
	hash_final(&h, digest);
	hash_free(&h);
	return best;
}

static enum hash_kind hash_fastest(void)
{
	static int fastest = -1;

	/* By a clear margin, or else chance would choose a different one each time. */
	if (fastest < 0)
		fastest = hash_cost(HASH_XXH64) < hash_cost(HASH_PLAIN) / 3 * 2 ?
			  HASH_XXH64 : HASH_PLAIN;
	return fastest;
}

enum hash_kind hash_choose(uint64_t size, uint64_t data)
{
	bool blocks = size > data && size - data > HASH_PLAIN_HOLES_MAX;

	return hash_fastest() | (blocks ? HASH_BLOCKS : 0);
}

const char *hash_name(enum hash_kind kind)
{
	static const char * const names[] = {
		[HASH_PLAIN] = "xxh3-128",
		[HASH_BLOCKS] = "xxh3-128-64k",
		[HASH_XXH64] = "xxh64",
		[HASH_XXH64_BLOCKS] = "xxh64-64k",
	};

	return names[kind];
}

int hash_init(struct hash *h, enum hash_kind kind)
{
	memset(h, 0, sizeof(*h));
	h->kind = kind;
	if (state_init(&h->whole, kind) || state_init(&h->block, kind)) {
		hash_free(h);
		return -ENOMEM;
	}
	return 0;
}

void hash_free(struct hash *h)
{
	state_free(&h->whole);
	state_free(&h->block);
}

static void end_block(struct hash *h)
{
	uint8_t digest[HASH_DIGEST_SIZE];

	state_digest(&h->block, digest);
	state_add(&h->whole, digest, sizeof(digest));
	state_reset(&h->block);
}

static void blocks_data(struct hash *h, const uint8_t *data, size_t len)
{
	size_t fill, part;

	while (len) {
		fill = h->size % HASH_BLOCK_SIZE;
		part = min_u64(len, HASH_BLOCK_SIZE - fill);
		h->size += part;
		state_add(&h->block, data, part);
		if (fill + part == HASH_BLOCK_SIZE)
			end_block(h);
		data += part;
		len -= part;
	}
}

void hash_data(struct hash *h, const void *data, size_t len)
{
	if (h->kind & HASH_BLOCKS) {
		blocks_data(h, data, len);
		return;
	}
	state_add(&h->whole, data, len);
	h->size += len;
}

static void blocks_zeros(struct hash *h, uint64_t len)
{
	uint64_t part = min_u64(len, -h->size % HASH_BLOCK_SIZE);
	uint8_t digest[HASH_DIGEST_SIZE];

	blocks_data(h, zeros, part);
	len -= part;
	if (len >= HASH_BLOCK_SIZE) {
		state_add(&h->block, zeros, HASH_BLOCK_SIZE);
		state_digest(&h->block, digest);
		state_reset(&h->block);
		for (; len >= HASH_BLOCK_SIZE; len -= HASH_BLOCK_SIZE) {
			state_add(&h->whole, digest, sizeof(digest));
			h->size += HASH_BLOCK_SIZE;
		}
	}
	blocks_data(h, zeros, len);
}

void hash_zeros(struct hash *h, uint64_t len)
{
	uint64_t part;

	if (h->kind & HASH_BLOCKS) {
		blocks_zeros(h, len);
		return;
	}
	for (; len; len -= part) {
		part = min_u64(len, sizeof(zeros));
		hash_data(h, zeros, part);
	}
}

void hash_final(struct hash *h, uint8_t digest[HASH_DIGEST_SIZE])
{
	uint64_t size = htole64(h->size);

	if (h->kind & HASH_BLOCKS) {
		if (h->size % HASH_BLOCK_SIZE)
			end_block(h);
		state_add(&h->whole, &size, sizeof(size));
	}
	state_digest(&h->whole, digest);
}

void hash_text(enum hash_kind kind, const uint8_t digest[HASH_DIGEST_SIZE],
	       char text[HASH_TEXT_SIZE])
{
	size_t i, len = kind & HASH_XXH64 ? HASH64_DIGEST_SIZE : HASH_DIGEST_SIZE;

	for (i = 0; i < len; i++)
		sprintf(text + 2 * i, "%02x", digest[i]);
}

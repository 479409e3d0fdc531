// SPDX-License-Identifier: GPL-2.0
#include "hash.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#if __has_include(<openssl/evp.h>)
#include <openssl/evp.h>
#define HAVE_OPENSSL
#endif
#if __has_include(<blake3.h>)
#include <blake3.h>
#define HAVE_BLAKE3
#endif

/* Takes AVX2 or AVX-512 where the CPU has it: four times as fast as without. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#include "hash64.h"
#include "library.h"
#include "util.h"

/* Holes up to this size are hashed as zeros, for the sake of a hash that others know. */
#define HASH_PLAIN_HOLES_MAX	(256ULL << 20)

#define HASH_TRIALS	5

/**
 * struct hash_algo - what a library can do
 * @name: as it is printed
 * @size: bytes of the digest
 * @list_size: bytes of it in a list of digests
 * @load: finds the library, where that is not there anyway
 * @create: a new state; reset comes before its first use
 */
struct hash_algo {
	const char *name;
	size_t size;
	size_t list_size;
	bool (*load)(void);
	void *(*create)(void);
	void (*destroy)(void *state);
	void (*reset)(void *state);
	void (*copy)(void *state, const void *from);
	void (*add)(void *state, const void *data, size_t len);
	void (*digest)(void *state, uint8_t digest[HASH_DIGEST_SIZE]);
};

static const uint8_t zeros[HASH_BLOCK_SIZE];

static void *xxh3_create(void)
{
	return XXH3_createState();
}

static void xxh3_destroy(void *state)
{
	XXH3_freeState(state);
}

static void xxh3_reset(void *state)
{
	XXH3_128bits_reset(state);
}

static void xxh3_copy(void *state, const void *from)
{
	XXH3_copyState(state, from);
}

static void xxh3_add(void *state, const void *data, size_t len)
{
	XXH3_128bits_update(state, data, len);
}

static void xxh3_digest(void *state, uint8_t digest[HASH_DIGEST_SIZE])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
	memcpy(digest, canonical.digest, sizeof(canonical.digest));
}

static void *xxh64_create(void)
{
	return hash64_new();
}

static void xxh64_destroy(void *state)
{
	hash64_free(state);
}

static void xxh64_reset(void *state)
{
	hash64_reset(state);
}

static void xxh64_copy(void *state, const void *from)
{
	hash64_copy(state, from);
}

static void xxh64_add(void *state, const void *data, size_t len)
{
	hash64_add(state, data, len);
}

static void xxh64_digest(void *state, uint8_t digest[HASH_DIGEST_SIZE])
{
	hash64_digest(state, digest);
}

static void *none_create(void)
{
	return calloc(1, 1);
}

static void none_reset(void *state)
{
	(void)state;
}

static void none_copy(void *state, const void *from)
{
	(void)state;
	(void)from;
}

static void none_add(void *state, const void *data, size_t len)
{
	(void)state;
	(void)data;
	(void)len;
}

static void none_digest(void *state, uint8_t digest[HASH_DIGEST_SIZE])
{
	(void)state;
	(void)digest;
}

#ifdef HAVE_OPENSSL
static struct {
	typeof(&EVP_MD_CTX_new) create;
	typeof(&EVP_MD_CTX_free) destroy;
	typeof(&EVP_DigestInit_ex) init;
	typeof(&EVP_MD_CTX_copy_ex) copy;
	typeof(&EVP_DigestUpdate) add;
	typeof(&EVP_DigestFinal_ex) final;
	typeof(&EVP_sha256) sha256;
} crypto;

static bool sha256_load(void)
{
	static const struct library_symbol symbols[] = {
		{ "EVP_MD_CTX_new", &crypto.create },
		{ "EVP_MD_CTX_free", &crypto.destroy },
		{ "EVP_DigestInit_ex", &crypto.init },
		{ "EVP_MD_CTX_copy_ex", &crypto.copy },
		{ "EVP_DigestUpdate", &crypto.add },
		{ "EVP_DigestFinal_ex", &crypto.final },
		{ "EVP_sha256", &crypto.sha256 },
		{ }
	};

	return crypto.sha256 || library_load("libcrypto.so.3", "libcrypto.so", symbols);
}

static void *sha256_create(void)
{
	return crypto.create();
}

static void sha256_destroy(void *state)
{
	if (state)
		crypto.destroy(state);
}

static void sha256_reset(void *state)
{
	crypto.init(state, crypto.sha256(), NULL);
}

static void sha256_copy(void *state, const void *from)
{
	crypto.copy(state, from);
}

static void sha256_add(void *state, const void *data, size_t len)
{
	crypto.add(state, data, len);
}

static void sha256_digest(void *state, uint8_t digest[HASH_DIGEST_SIZE])
{
	unsigned int len;

	crypto.final(state, digest, &len);
}
#endif

#ifdef HAVE_BLAKE3
static struct {
	typeof(&blake3_hasher_init) init;
	typeof(&blake3_hasher_update) add;
	typeof(&blake3_hasher_finalize) final;
} blake3;

static bool blake3_load(void)
{
	static const struct library_symbol symbols[] = {
		{ "blake3_hasher_init", &blake3.init },
		{ "blake3_hasher_update", &blake3.add },
		{ "blake3_hasher_finalize", &blake3.final },
		{ }
	};

	return blake3.final || library_load("libblake3.so.0", "libblake3.so", symbols);
}

static void *blake3_create(void)
{
	return malloc(sizeof(blake3_hasher));
}

static void blake3_reset(void *state)
{
	blake3.init(state);
}

static void blake3_copy(void *state, const void *from)
{
	memcpy(state, from, sizeof(blake3_hasher));
}

static void blake3_add(void *state, const void *data, size_t len)
{
	blake3.add(state, data, len);
}

static void blake3_digest(void *state, uint8_t digest[HASH_DIGEST_SIZE])
{
	blake3.final(state, digest, HASH_DIGEST_SIZE);
}
#endif

/* By kind, without the bit for blocks. */
static const struct hash_algo algos[] = {
	[HASH_PLAIN] = {
		"xxh3-128", 16, 16, NULL,
		xxh3_create, xxh3_destroy, xxh3_reset, xxh3_copy, xxh3_add, xxh3_digest,
	},
	/* In a list, 8 zeros are behind each digest. */
	[HASH_XXH64] = {
		"xxh64", HASH64_DIGEST_SIZE, 16, NULL,
		xxh64_create, xxh64_destroy, xxh64_reset, xxh64_copy, xxh64_add, xxh64_digest,
	},
	/* Known by name, at least. */
	[HASH_SHA256] = {
		.name = "sha256", .size = 32, .list_size = 32,
#ifdef HAVE_OPENSSL
		.load = sha256_load, .create = sha256_create, .destroy = sha256_destroy,
		.reset = sha256_reset, .copy = sha256_copy, .add = sha256_add, .digest = sha256_digest,
#endif
	},
	[HASH_BLAKE3] = {
		.name = "blake3", .size = 32, .list_size = 32,
#ifdef HAVE_BLAKE3
		.load = blake3_load, .create = blake3_create, .destroy = free,
		.reset = blake3_reset, .copy = blake3_copy, .add = blake3_add, .digest = blake3_digest,
#endif
	},
	[HASH_NONE] = {
		"none", 0, 0, NULL,
		none_create, free, none_reset, none_copy, none_add, none_digest,
	},
};

static const char * const block_names[] = {
	[HASH_PLAIN] = "xxh3-128-64k",
	[HASH_XXH64] = "xxh64-64k",
	[HASH_SHA256] = "sha256-64k",
	[HASH_BLAKE3] = "blake3-64k",
};

static const struct hash_algo *algo_of(enum hash_kind kind)
{
	return &algos[kind & ~HASH_BLOCKS];
}

bool hash_known(unsigned int kind)
{
	const struct hash_algo *algo;

	if (kind >= HASH_KINDS)
		return false;
	algo = algo_of(kind);
	return algo->create && (!algo->load || algo->load());
}

int hash_parse(const char *name)
{
	static const struct {
		const char *name;
		int kind;
	} names[] = {
		{ "fastest", HASH_FASTEST }, { "xxh3", HASH_PLAIN }, { "xxh3-128", HASH_PLAIN },
		{ "xxh64", HASH_XXH64 }, { "sha256", HASH_SHA256 }, { "blake3", HASH_BLAKE3 },
		{ "none", HASH_NONE },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i].name, name))
			return names[i].kind;
	return -1;
}

/* The best of a few times over the same block, in ns. */
static int64_t hash_cost(enum hash_kind kind)
{
	uint8_t digest[HASH_DIGEST_SIZE];
	int64_t start, best = INT64_MAX;
	struct hash h = { 0 };
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

enum hash_kind hash_choose(unsigned int wanted, uint64_t size, uint64_t data)
{
	bool blocks = size > data && size - data > HASH_PLAIN_HOLES_MAX;

	if (wanted == HASH_FASTEST)
		wanted = hash_fastest();
	return wanted | (blocks && wanted != HASH_NONE ? HASH_BLOCKS : 0);
}

const char *hash_name(enum hash_kind kind)
{
	return kind & HASH_BLOCKS ? block_names[kind & ~HASH_BLOCKS] : algo_of(kind)->name;
}

int hash_find(const char *name)
{
	const char *known;
	int kind;

	for (kind = 0; kind < HASH_KINDS; kind++) {
		known = hash_name(kind);
		if (known && !strcmp(known, name))
			return kind;
	}
	return -1;
}

size_t hash_size(enum hash_kind kind)
{
	return algo_of(kind)->size;
}

int hash_init(struct hash *h, enum hash_kind kind)
{
	if (h->algo != algo_of(kind))
		hash_free(h);
	h->algo = algo_of(kind);
	h->kind = kind;
	h->size = 0;
	if (!h->whole)
		h->whole = h->algo->create();
	if (!h->block && kind & HASH_BLOCKS)
		h->block = h->algo->create();
	if (!h->whole || (!h->block && kind & HASH_BLOCKS)) {
		hash_free(h);
		return -ENOMEM;
	}
	h->algo->reset(h->whole);
	if (h->block)
		h->algo->reset(h->block);
	return 0;
}

void hash_free(struct hash *h)
{
	if (h->algo) {
		h->algo->destroy(h->whole);
		h->algo->destroy(h->block);
	}
	memset(h, 0, sizeof(*h));
}

static void end_block(struct hash *h)
{
	uint8_t digest[HASH_DIGEST_SIZE] = { 0 };

	h->algo->digest(h->block, digest);
	h->algo->add(h->whole, digest, h->algo->list_size);
	h->algo->reset(h->block);
}

static void blocks_data(struct hash *h, const uint8_t *data, size_t len)
{
	size_t fill, part;

	while (len) {
		fill = h->size % HASH_BLOCK_SIZE;
		part = min_u64(len, HASH_BLOCK_SIZE - fill);
		h->size += part;
		h->algo->add(h->block, data, part);
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
	h->algo->add(h->whole, data, len);
	h->size += len;
}

static void blocks_zeros(struct hash *h, uint64_t len)
{
	uint64_t part = min_u64(len, -h->size % HASH_BLOCK_SIZE);
	uint8_t digest[HASH_DIGEST_SIZE] = { 0 };

	blocks_data(h, zeros, part);
	len -= part;
	if (len >= HASH_BLOCK_SIZE) {
		h->algo->add(h->block, zeros, HASH_BLOCK_SIZE);
		h->algo->digest(h->block, digest);
		h->algo->reset(h->block);
		for (; len >= HASH_BLOCK_SIZE; len -= HASH_BLOCK_SIZE) {
			h->algo->add(h->whole, digest, h->algo->list_size);
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
	if (h->kind == HASH_NONE) {
		h->size += len;
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

	memset(digest, 0, HASH_DIGEST_SIZE);
	if (h->kind & HASH_BLOCKS) {
		if (h->size % HASH_BLOCK_SIZE)
			end_block(h);
		h->algo->add(h->whole, &size, sizeof(size));
	}
	h->algo->digest(h->whole, digest);
}

int hash_copy(struct hash *to, const struct hash *from)
{
	int ret = hash_init(to, from->kind);

	if (ret)
		return ret;
	to->size = from->size;
	to->algo->copy(to->whole, from->whole);
	if (from->kind & HASH_BLOCKS)
		to->algo->copy(to->block, from->block);
	return 0;
}

uint64_t hash_start(const uint8_t digest[HASH_DIGEST_SIZE])
{
	uint64_t start;

	memcpy(&start, digest, sizeof(start));
	return be64toh(start);
}

uint64_t hash_so_far(const struct hash *h, struct hash *spare)
{
	uint8_t digest[HASH_DIGEST_SIZE];

	/* Without memory the receiver finds no damage here, and asks for the data again. */
	if (h->kind == HASH_NONE || hash_copy(spare, h))
		return 0;
	hash_final(spare, digest);
	return hash_start(digest);
}

void hash_text(enum hash_kind kind, const uint8_t digest[HASH_DIGEST_SIZE],
	       char text[HASH_TEXT_SIZE])
{
	size_t i;

	text[0] = '\0';
	for (i = 0; i < algo_of(kind)->size; i++)
		sprintf(text + 2 * i, "%02x", digest[i]);
}

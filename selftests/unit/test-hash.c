// SPDX-License-Identifier: GPL-2.0
/* The content hash: independent of cuts and holes, and what its definition says. */
#include <endian.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "hash.h"
#include "tap.h"

#define SIZE	(5 * HASH_BLOCK_SIZE + 777)

static uint8_t content[SIZE];

/* Data from 2 blocks + 5 on; zeros before; 100 bytes of data in front. */
static void make_content(void)
{
	size_t i;

	for (i = 0; i < SIZE; i++)
		content[i] = i < 100 || i >= 2 * HASH_BLOCK_SIZE + 5 ? i * 131 + (i >> 8) + 1 : 0;
}

static void hash_cut(enum hash_kind kind, size_t piece, bool holes, uint8_t digest[HASH_DIGEST_SIZE])
{
	size_t hole_end = 2 * HASH_BLOCK_SIZE + 5, pos = 0, part;
	struct hash h = { 0 };

	hash_init(&h, kind);
	while (pos < SIZE) {
		if (holes && pos == 100) {
			hash_zeros(&h, hole_end - pos);
			pos = hole_end;
			continue;
		}
		part = piece < SIZE - pos ? piece : SIZE - pos;
		if (holes && pos < 100 && pos + part > 100)
			part = 100 - pos;
		hash_data(&h, content + pos, part);
		pos += part;
	}
	hash_final(&h, digest);
	hash_free(&h);
}

/* The definition in hash.h, word by word. */
static void hash_by_definition(uint8_t digest[HASH_DIGEST_SIZE])
{
	uint8_t list[6 * 16 + 8];
	XXH128_canonical_t c;
	uint64_t size = htole64(SIZE);
	size_t i, len;

	for (i = 0; i < 6; i++) {
		len = i < 5 ? HASH_BLOCK_SIZE : SIZE % HASH_BLOCK_SIZE;
		XXH128_canonicalFromHash(&c, XXH3_128bits(content + i * HASH_BLOCK_SIZE, len));
		memcpy(list + i * 16, &c, 16);
	}
	memcpy(list + 6 * 16, &size, 8);
	XXH128_canonicalFromHash(&c, XXH3_128bits(list, sizeof(list)));
	memset(digest, 0, HASH_DIGEST_SIZE);
	memcpy(digest, &c, 16);
}

static void test_cuts(enum hash_kind kind, const uint8_t want[HASH_DIGEST_SIZE])
{
	static const size_t pieces[] = { 1, 63, 4096, HASH_BLOCK_SIZE, 100000, SIZE };
	bool same = true;
	uint8_t got[HASH_DIGEST_SIZE];
	size_t i;

	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		hash_cut(kind, pieces[i], false, got);
		same = same && !memcmp(got, want, sizeof(got));
		hash_cut(kind, pieces[i], true, got);
		same = same && !memcmp(got, want, sizeof(got));
	}
	ok(same, "%s does not depend on cuts and holes", hash_name(kind));
	content[SIZE / 2] ^= 1;
	hash_cut(kind, SIZE, false, got);
	ok(memcmp(got, want, sizeof(got)), "%s sees a changed bit", hash_name(kind));
	content[SIZE / 2] ^= 1;
}

/* What others print for "abc". */
static void test_known(const char *name, enum hash_kind kind, const char *want)
{
	uint8_t digest[HASH_DIGEST_SIZE];
	char text[HASH_TEXT_SIZE];
	struct hash h = { 0 };

	if (!hash_known(kind)) {
		tap_skip(name, "its library is not here");
		return;
	}
	hash_init(&h, kind);
	hash_data(&h, "spoiled", 7);
	hash_init(&h, kind);
	hash_data(&h, "abc", 3);
	hash_final(&h, digest);
	hash_free(&h);
	hash_text(kind, digest, text);
	ok(hash_parse(name) == (int)kind && !strcmp(text, want), "%s of abc", name);
}

int main(void)
{
	XXH128_canonical_t c;
	struct hash h = { 0 };
	uint8_t got[HASH_DIGEST_SIZE], want[HASH_DIGEST_SIZE] = { 0 };

	make_content();
	XXH128_canonicalFromHash(&c, XXH3_128bits(content, SIZE));
	memcpy(want, c.digest, sizeof(c.digest));
	test_cuts(HASH_PLAIN, want);
	hash_by_definition(want);
	test_cuts(HASH_BLOCKS, want);
	memset(want, 0, sizeof(want));
	XXH64_canonicalFromHash((XXH64_canonical_t *)want, XXH64(content, SIZE, 0));
	test_cuts(HASH_XXH64, want);
	hash_cut(HASH_XXH64_BLOCKS, SIZE, false, want);
	test_cuts(HASH_XXH64_BLOCKS, want);
	test_known("sha256", HASH_SHA256,
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	test_known("blake3", HASH_BLAKE3,
		   "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
	ok(hash_parse("none") == HASH_NONE && hash_parse("xxh3") == HASH_PLAIN &&
	   hash_parse("md5") < 0 && !hash_known(1000) && !hash_known(10), "names and kinds");
	ok(!(hash_choose(HASH_FASTEST, 1000, 1000) & HASH_BLOCKS) && hash_choose(HASH_FASTEST, 1ULL << 40, 5) & HASH_BLOCKS &&
	   !(hash_choose(HASH_FASTEST, 0, 4096) & HASH_BLOCKS), "the kind depends on the size of the holes");
	hash_init(&h, HASH_BLOCKS);
	hash_zeros(&h, 1ULL << 40);
	hash_final(&h, got);
	hash_free(&h);
	hash_init(&h, HASH_BLOCKS);
	hash_zeros(&h, (1ULL << 40) + 1);
	hash_final(&h, want);
	hash_free(&h);
	ok(memcmp(got, want, sizeof(got)), "a byte more of hole is seen");
	return tap_done();
}

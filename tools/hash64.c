// SPDX-License-Identifier: GPL-2.0
#include "hash64.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct hash64 {
	XXH64_state_t state;
};

struct hash64 *hash64_new(void)
{
	return calloc(1, sizeof(struct hash64));
}

void hash64_free(struct hash64 *h)
{
	free(h);
}

void hash64_reset(struct hash64 *h)
{
	XXH64_reset(&h->state, 0);
}

void hash64_copy(struct hash64 *h, const struct hash64 *from)
{
	*h = *from;
}

void hash64_add(struct hash64 *h, const void *data, size_t len)
{
	XXH64_update(&h->state, data, len);
}

void hash64_digest(const struct hash64 *h, unsigned char digest[HASH64_DIGEST_SIZE])
{
	XXH64_canonical_t canonical;

	XXH64_canonicalFromHash(&canonical, XXH64_digest(&h->state));
	memcpy(digest, canonical.digest, HASH64_DIGEST_SIZE);
}

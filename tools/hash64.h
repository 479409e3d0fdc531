/* SPDX-License-Identifier: GPL-2.0 */
/*
 * XXH64, compiled into the tool instead of called in libxxhash: the compiler's
 * own code is nearly twice as fast on an emulated CPU, which is where XXH64 is
 * chosen (see hash.h). A source of its own, because libxxhash's headers can be
 * had inlined or dispatched by CPU, but not both at once.
 */
#ifndef IVRING_HASH64_H
#define IVRING_HASH64_H

#include <stddef.h>

#define HASH64_DIGEST_SIZE	8

struct hash64;

struct hash64 *hash64_new(void);
void hash64_free(struct hash64 *h);
void hash64_reset(struct hash64 *h);
void hash64_copy(struct hash64 *h, const struct hash64 *from);
void hash64_add(struct hash64 *h, const void *data, size_t len);
/* The digest in canonical byte order, as xxh64sum(1) prints it. */
void hash64_digest(const struct hash64 *h, unsigned char digest[HASH64_DIGEST_SIZE]);

#endif /* IVRING_HASH64_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much may be under way: sizes that follow from the CPU's caches.
 *
 * What the producer writes, the consumer reads a moment later. While all of it
 * fits into a cache that both sides reach, it never goes to memory in between,
 * and a byte costs one copy on each side. Twice the second level holds what one
 * core still writes and the other already reads; beyond an eighth of the last
 * level it displaces source, destination and what other channels have in flight.
 * Below some hundred KiB the sides wait for each other more often than they copy.
 *
 * selftests/bench sweeps all three sizes; these are where its curves are flat.
 */
#ifndef _IVRING_TUNE_H
#define _IVRING_TUNE_H

#include <ivring/shim.h>

/* Where nothing is known of the caches */
#define IVRING_WINDOW_DEFAULT	(2ULL << 20)
#define IVRING_WINDOW_AUTO_MIN	(256ULL << 10)
#define IVRING_WINDOW_AUTO_MAX	(4ULL << 20)

#define IVRING_CHUNK_MIN	(4ULL << 10)
#define IVRING_CHUNK_AUTO_MAX	(256ULL << 10)
/* Chunks per window, so that both sides' copies overlap. */
#define IVRING_WINDOW_CHUNKS	16

/**
 * ivring_window_auto() - how many bytes to let be in flight
 * @l2: bytes of one core's second level cache, 0: not known
 * @llc: bytes of the last level cache, 0: there is none beyond @l2, or not known
 * @ring: bytes of the ring, a power of two
 *
 * Return: bytes, a power of two, 1..@ring.
 */
static inline u64 ivring_window_auto(u64 l2, u64 llc, u64 ring)
{
	u64 want = l2 ? 2 * l2 : IVRING_WINDOW_DEFAULT;
	u64 window = IVRING_WINDOW_AUTO_MAX;

	if (llc && want > llc / 8)
		want = llc / 8;
	while (window > want && window > IVRING_WINDOW_AUTO_MIN)
		window /= 2;
	return window < ring ? window : ring;
}

/**
 * ivring_chunk_auto() - how many bytes to copy between two publications
 * @window: most bytes in flight
 *
 * Return: bytes, 1..@window.
 */
static inline u64 ivring_chunk_auto(u64 window)
{
	u64 chunk = window / IVRING_WINDOW_CHUNKS;

	if (chunk > IVRING_CHUNK_AUTO_MAX)
		chunk = IVRING_CHUNK_AUTO_MAX;
	if (chunk < IVRING_CHUNK_MIN)
		chunk = IVRING_CHUNK_MIN;
	return chunk < window ? chunk : window;
}

/* How long the copy of a chunk should take: well below a spin, well above a publication. */
#define IVRING_CHUNK_NS		16000

/**
 * ivring_chunk_pace() - the next chunk, from how long this one took
 * @chunk: bytes of this one
 * @max: most there may be, at least 1
 * @ns: what its copy took
 *
 * A peer that waits for room or data spins for a moment before it sleeps. Where
 * memory is slow, small chunks keep it from sleeping between any two of them.
 *
 * Return: bytes, 1..@max.
 */
static inline u64 ivring_chunk_pace(u64 chunk, u64 max, u64 ns)
{
	if (ns > 2 * IVRING_CHUNK_NS && chunk >= 2 * IVRING_CHUNK_MIN)
		chunk /= 2;
	else if (ns < IVRING_CHUNK_NS / 2)
		chunk *= 2;
	return chunk < max ? chunk : max;
}

#endif /* _IVRING_TUNE_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copying out of the ring into memory that is not looked at soon.
 *
 * Plain stores first read the line they overwrite and push other data out of
 * the caches, the ring's own among it. Streaming stores do neither. The C
 * library uses them by itself, but only for calls of many MiB: a copy by chunks
 * has to ask for them.
 */
#ifndef IVRING_BENCH_STREAM_H
#define IVRING_BENCH_STREAM_H

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__

#include <emmintrin.h>

static inline void stream_line(void *to, const void *from)
{
	__m128i a = _mm_loadu_si128((const __m128i *)from);
	__m128i b = _mm_loadu_si128((const __m128i *)from + 1);
	__m128i c = _mm_loadu_si128((const __m128i *)from + 2);
	__m128i d = _mm_loadu_si128((const __m128i *)from + 3);

	_mm_stream_si128((__m128i *)to, a);
	_mm_stream_si128((__m128i *)to + 1, b);
	_mm_stream_si128((__m128i *)to + 2, c);
	_mm_stream_si128((__m128i *)to + 3, d);
}

static inline void stream_copy(void *to, const void *from, size_t n)
{
	size_t head = -(uintptr_t)to % 64;
	const char *s = from;
	char *d = to;

	head = head < n ? head : n;
	memcpy(d, s, head);
	for (d += head, s += head, n -= head; n >= 64; d += 64, s += 64, n -= 64)
		stream_line(d, s);
	memcpy(d, s, n);
	_mm_sfence();
}

#else

static inline void stream_copy(void *to, const void *from, size_t n)
{
	memcpy(to, from, n);
}

#endif

#endif /* IVRING_BENCH_STREAM_H */

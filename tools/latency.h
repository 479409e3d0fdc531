/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Times of many things, in memory that does not grow: each to within a 512th of itself. By
 * libhdr-histogram where the tool was built with its headers and finds it, else by buckets
 * of its own, which are as fine.
 */
#ifndef IVRING_LATENCY_H
#define IVRING_LATENCY_H

#include <stdint.h>

#define LATENCY_BITS	9
#define LATENCY_STEPS	(1U << LATENCY_BITS)
#define LATENCY_BUCKETS	(LATENCY_STEPS * (64 - LATENCY_BITS))

struct hdr_histogram;

/**
 * struct latency - zeroed, there are none yet
 * @count: how many there are
 * @max_ns: the longest, exactly
 * @hdr: the library's; or NULL, and then @buckets are used
 */
struct latency {
	uint64_t count;
	int64_t max_ns;
	struct hdr_histogram *hdr;
	uint32_t buckets[LATENCY_BUCKETS];
};

/* Less than nothing, as of clocks that were set, is taken for nothing. */
void latency_add(struct latency *l, int64_t ns);
/* What @part, 0 to 1, of them did not exceed; zero when there are none. */
int64_t latency_part(const struct latency *l, double part);
/* Forgets them all; also what frees the library's memory. */
void latency_clear(struct latency *l);

#endif /* IVRING_LATENCY_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* Times of many things, in memory that does not grow: each to within a 32nd. */
#ifndef IVRING_LATENCY_H
#define IVRING_LATENCY_H

#include <stdint.h>

#define LATENCY_STEPS	32
#define LATENCY_BUCKETS	(LATENCY_STEPS * 60)

struct latency {
	uint64_t count;
	int64_t max_ns;
	uint32_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *l, int64_t ns);
/* What @part, 0 to 1, of them did not exceed; zero when there are none. */
int64_t latency_part(const struct latency *l, double part);

#endif /* IVRING_LATENCY_H */

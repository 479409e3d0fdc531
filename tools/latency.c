// SPDX-License-Identifier: GPL-2.0
#include "latency.h"

/* As floating point numbers: the place of the highest bit, and the five below it. */
static unsigned int bucket_of(uint64_t ns)
{
	unsigned int shift;

	if (ns < LATENCY_STEPS)
		return ns;
	shift = 63 - __builtin_clzll(ns) - 5;
	return (shift + 1) * LATENCY_STEPS + (ns >> shift) - LATENCY_STEPS;
}

/* The most that is in it. */
static int64_t bucket_top(unsigned int bucket)
{
	unsigned int shift = bucket / LATENCY_STEPS;

	if (!shift)
		return bucket;
	return ((bucket % LATENCY_STEPS + LATENCY_STEPS + 1ULL) << (shift - 1)) - 1;
}

void latency_add(struct latency *l, int64_t ns)
{
	unsigned int bucket = bucket_of(ns < 0 ? 0 : ns);

	if (ns > l->max_ns)
		l->max_ns = ns;
	l->count++;
	l->buckets[bucket]++;
}

int64_t latency_part(const struct latency *l, double part)
{
	uint64_t left = part * l->count;
	unsigned int i;
	int64_t top;

	for (i = 0; i < LATENCY_BUCKETS; i++) {
		if (l->buckets[i] > left) {
			top = bucket_top(i);
			return top < l->max_ns ? top : l->max_ns;
		}
		left -= l->buckets[i];
	}
	return l->max_ns;
}

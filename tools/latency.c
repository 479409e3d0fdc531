// SPDX-License-Identifier: GPL-2.0
#include "latency.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if __has_include(<hdr/hdr_histogram.h>)
#include <hdr/hdr_histogram.h>

#include "library.h"
#include "util.h"

/* Longer than anything that is waited for; what is beyond counts as this. */
#define HDR_MAX_NS	(3600 * NSEC_PER_SEC)
#define HDR_DIGITS	3

static struct {
	typeof(&hdr_init) init;
	typeof(&hdr_close) close;
	typeof(&hdr_record_value) record;
	typeof(&hdr_value_at_percentile) percentile;
} hdr;

static bool hdr_load(void)
{
	static const struct library_symbol symbols[] = {
		{ "hdr_init", &hdr.init },
		{ "hdr_close", &hdr.close },
		{ "hdr_record_value", &hdr.record },
		{ "hdr_value_at_percentile", &hdr.percentile },
		{ }
	};
	static bool tried;

	if (!tried)
		library_load("libhdr_histogram.so.6", "libhdr_histogram.so", symbols);
	tried = true;
	return hdr.percentile;
}

/* Which one it is, is settled by the first that is added. */
static bool library_add(struct latency *l, int64_t ns)
{
	if (!l->count && (!hdr_load() || hdr.init(1, HDR_MAX_NS, HDR_DIGITS, &l->hdr)))
		l->hdr = NULL;
	if (!l->hdr)
		return false;
	hdr.record(l->hdr, ns < HDR_MAX_NS ? ns : HDR_MAX_NS);
	return true;
}

static int64_t library_part(const struct latency *l, double part)
{
	return hdr.percentile(l->hdr, part * 100);
}

static void library_free(struct latency *l)
{
	if (l->hdr)
		hdr.close(l->hdr);
}
#else
static bool library_add(struct latency *l, int64_t ns)
{
	(void)l;
	(void)ns;
	return false;
}

static int64_t library_part(const struct latency *l, double part)
{
	(void)part;
	return l->max_ns;
}

static void library_free(struct latency *l)
{
	(void)l;
}
#endif

/* As floating point numbers: the place of the highest bit, and those below it. */
static unsigned int bucket_of(uint64_t ns)
{
	unsigned int shift;

	if (ns < LATENCY_STEPS)
		return ns;
	shift = 63 - __builtin_clzll(ns) - LATENCY_BITS;
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
	if (ns < 0)
		ns = 0;
	if (!library_add(l, ns))
		l->buckets[bucket_of(ns)]++;
	if (ns > l->max_ns)
		l->max_ns = ns;
	l->count++;
}

static int64_t buckets_part(const struct latency *l, double part)
{
	uint64_t left = part * l->count;
	unsigned int i;

	for (i = 0; i < LATENCY_BUCKETS; i++) {
		if (l->buckets[i] > left)
			return bucket_top(i);
		left -= l->buckets[i];
	}
	return l->max_ns;
}

int64_t latency_part(const struct latency *l, double part)
{
	int64_t ns;

	if (!l->count)
		return 0;
	ns = l->hdr ? library_part(l, part) : buckets_part(l, part);
	return ns < l->max_ns ? ns : l->max_ns;
}

void latency_clear(struct latency *l)
{
	library_free(l);
	memset(l, 0, sizeof(*l));
}

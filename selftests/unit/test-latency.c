// SPDX-License-Identifier: GPL-2.0
/* Percentiles of times, beside those of the sorted times themselves. */
#include <stdlib.h>
#include <string.h>

#include "latency.h"
#include "tap.h"
#include "util.h"

#define COUNT	10000

static struct latency l;
static int64_t sorted[COUNT];

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Some of nearly each size, as times are that have a long tail. */
static int64_t some_time(void)
{
	return (int64_t)random() >> (random() % 24);
}

static bool near(int64_t got, int64_t want)
{
	return got >= want - want / 512 - 1 && got <= want + want / 512 + 1;
}

static void test_parts(void)
{
	static const double parts[] = { 0, 0.25, 0.5, 0.9, 0.99, 0.999 };
	size_t i, at;

	latency_clear(&l);
	for (i = 0; i < COUNT; i++) {
		sorted[i] = some_time();
		latency_add(&l, sorted[i]);
	}
	qsort(sorted, COUNT, sizeof(*sorted), compare);
	CHECK(l.count == COUNT && l.max_ns == sorted[COUNT - 1]);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		at = parts[i] * COUNT;
		/* Whoever rounds the other way takes the one before it. */
		CHECK(near(latency_part(&l, parts[i]), sorted[at]) ||
		      (at && near(latency_part(&l, parts[i]), sorted[at - 1])));
	}
	CHECK(latency_part(&l, 1) == l.max_ns);
}

static void test_none(void)
{
	latency_clear(&l);
	CHECK(!latency_part(&l, 0) && !latency_part(&l, 0.5) && !latency_part(&l, 1));
	latency_add(&l, 1000);
	CHECK(latency_part(&l, 0.5) == 1000 && latency_part(&l, 1) == 1000);
	latency_clear(&l);
	CHECK(!l.count && !l.max_ns && !latency_part(&l, 1));
}

static void test_extremes(void)
{
	latency_clear(&l);
	latency_add(&l, -5);
	CHECK(!latency_part(&l, 1));
	latency_add(&l, INT64_MAX);
	CHECK(l.max_ns == INT64_MAX && latency_part(&l, 0.1) <= 1);
	CHECK(latency_part(&l, 0.99) > 3000 * NSEC_PER_SEC);
	latency_clear(&l);
}

int main(void)
{
	srandom(1);
	tap_run(test_parts, "percentiles are those of the sorted times, to within a 512th");
	tap_run(test_none, "none, one, and none again");
	tap_run(test_extremes, "less than nothing, and for ever");
	return tap_done();
}

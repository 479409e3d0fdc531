/* SPDX-License-Identifier: GPL-2.0 */
/* What bench measured, and telling it. */
#ifndef IVRING_BENCH_REPORT_H
#define IVRING_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench.h"
#include "latency.h"

#define BENCH_RUNS_MAX	1000

/**
 * struct bench_test - a line of the result
 * @value: of each run, MB/s, or, of round trips, the median of the run in ns
 * @rtt: of round trips: all of all runs; else NULL
 * @here, @there: sums over all runs
 */
struct bench_test {
	const char *name;
	uint32_t op;
	uint32_t way;
	uint32_t flags;
	double value[BENCH_RUNS_MAX];
	struct latency *rtt;
	struct bench_result here, there;
};

/**
 * struct bench_report - all of them
 * @size: bytes of each run
 */
struct bench_report {
	unsigned int runs;
	uint64_t size;
	struct bench_test *tests;
	size_t count;
};

/* For people: the last lines are "key value", of which "NAME_over_memcpy" is a ratio of medians. */
void bench_report_text(const struct bench_report *r);
/* An object for each test, one on a line. */
void bench_report_json(const struct bench_report *r);

#endif /* IVRING_BENCH_REPORT_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* What bench measured, and telling it. */
#ifndef IVRING_BENCH_REPORT_H
#define IVRING_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench.h"
#include "latency.h"
#include "machine.h"

#define BENCH_RUNS_MAX	1000

/**
 * struct bench_test - a line of the result
 * @times: how often the size is moved in each run, each time answered; 0: once
 * @size: bytes
 * @loaded: while something else moves on the next channel
 * @value: of each run, MB/s, or, of round trips, the median of the run in ns
 * @rtt: of round trips: all of all runs; else NULL
 * @here, @there: sums over all runs
 */
struct bench_test {
	char name[40];
	uint32_t op;
	uint32_t way;
	uint32_t flags;
	uint32_t times;
	uint64_t size;
	bool loaded;
	double value[BENCH_RUNS_MAX];
	struct latency *rtt;
	struct bench_result here, there;
};

/**
 * struct bench_report - all of them
 * @info: the link
 * @machine: what it was measured on
 * @channel: the first that was used
 * @channels: how many share the work
 * @tests: the first two are memcpy() here and there
 */
struct bench_report {
	const struct ivring_link_info *info;
	const struct machine *machine;
	unsigned int channel;
	unsigned int channels;
	unsigned int runs;
	struct bench_test *tests;
	size_t count;
};

/* Bytes that a run of it moves, in both directions. */
uint64_t bench_test_bytes(const struct bench_test *t);
/* The median of its runs, and the least of them, or, with a sign of -1, the most */
double bench_test_median(const struct bench_report *r, const struct bench_test *t);
double bench_test_least(const struct bench_report *r, const struct bench_test *t, int sign);
/* GiB of all runs, and the rate of memcpy() in the slower place */
double bench_test_gib(const struct bench_report *r, const struct bench_test *t);
double bench_report_copy(const struct bench_report *r);
/* Whether it has a rate that is through the ring */
bool bench_test_transfers(const struct bench_test *t);
/* What it was measured on; "window" and "chunk" of the first channel */
uint64_t bench_channel_number(const struct bench_report *r, const char *name);

/*
 * For people: what was measured on, and all tests; the last lines are "key value", of which
 * "NAME_over_memcpy" is a ratio of medians.
 */
void bench_report_text(const struct bench_report *r);
/* An object of what was measured on, and one for each test, one on a line. */
void bench_report_json(const struct bench_report *r);
/* A page that needs no other file. */
void bench_report_html(FILE *out, const struct bench_report *r);

#endif /* IVRING_BENCH_REPORT_H */

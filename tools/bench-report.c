// SPDX-License-Identifier: GPL-2.0
#include "bench-report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static const struct {
	const char *name;
	double part;
} percentiles[] = {
	{ "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99.9", 0.999 },
};

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, unsigned int n)
{
	double sorted[BENCH_RUNS_MAX];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), compare_double);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double least(const double *values, unsigned int n, int sign)
{
	double best = values[0];
	unsigned int i;

	for (i = 1; i < n; i++)
		if (sign * values[i] < sign * best)
			best = values[i];
	return best;
}

static double gib_of(const struct bench_report *r)
{
	return (double)r->size * r->runs / (1ULL << 30);
}

/* ---- for people ---- */

static void print_line(const struct bench_report *r, const struct bench_test *t)
{
	double gib = gib_of(r);
	size_t i;

	if (t->op == BENCH_ECHO) {
		printf("%-22s %8.1f us ", t->name, median(t->value, r->runs) / 1000);
		for (i = 1; i < ARRAY_SIZE(percentiles); i++)
			printf(" %s %.1f,", percentiles[i].name,
			       latency_part(t->rtt, percentiles[i].part) / 1000.0);
		printf(" max %.1f\n", t->rtt->max_ns / 1000.0);
		return;
	}
	printf("%-22s %8.0f MB/s  %.0f..%.0f", t->name, median(t->value, r->runs),
	       least(t->value, r->runs, 1), least(t->value, r->runs, -1));
	if (t->op == BENCH_SEND || t->op == BENCH_RECEIVE)
		printf("; per GiB, here and there: calls %.0f, %.0f; doorbells %.0f, %.0f; "
		       "CPU s %.2f, %.2f", t->here.calls / gib, t->there.calls / gib,
		       t->here.doorbells / gib, t->there.doorbells / gib,
		       t->here.cpu_ns / gib / 1e9, t->there.cpu_ns / gib / 1e9);
	putchar('\n');
}

/* ratio_of(NAME): its median against memcpy() in the slower place. */
static void print_keys(const struct bench_report *r)
{
	const struct bench_test *t = r->tests;
	double copy = median(t[0].value, r->runs), there = median(t[1].value, r->runs);
	double gib = gib_of(r);
	uint64_t rescued = 0;
	size_t i;

	copy = copy < there ? copy : there;
	for (i = 2; i < r->count; i++) {
		t = &r->tests[i];
		rescued += t->here.rescued + t->there.rescued;
		if (t->op == BENCH_ECHO) {
			printf("%s_us %.2f\n", t->name, median(t->value, r->runs) / 1000);
			continue;
		}
		printf("%s_over_memcpy %.3f\n", t->name, median(t->value, r->runs) / copy);
		printf("%s_doorbells_per_gib %.1f\n", t->name,
		       (t->here.doorbells + t->there.doorbells) / gib);
		printf("%s_calls_per_gib %.0f\n", t->name,
		       (t->here.calls > t->there.calls ? t->here.calls : t->there.calls) / gib);
	}
	printf("rescued_wakeups %llu\n", (unsigned long long)rescued);
}

void bench_report_text(const struct bench_report *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		print_line(r, &r->tests[i]);
	print_keys(r);
}

/* ---- for programs ---- */

static void print_percentiles(const struct latency *l)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(percentiles); i++)
		printf(",\"%s\":%lld", percentiles[i].name,
		       (long long)latency_part(l, percentiles[i].part));
	printf(",\"max\":%lld,\"rounds\":%llu", (long long)l->max_ns, (unsigned long long)l->count);
}

static void print_object(const struct bench_report *r, const struct bench_test *t)
{
	unsigned int i;

	printf("{\"type\":\"bench\",\"test\":\"%s\",\"%s\":[", t->name,
	       t->op == BENCH_ECHO ? "rtt_ns" : "mbps");
	for (i = 0; i < r->runs; i++)
		printf("%s%.1f", i ? "," : "", t->value[i]);
	printf("]");
	if (t->op == BENCH_ECHO)
		print_percentiles(t->rtt);
	else
		printf(",\"bytes\":%llu", (unsigned long long)(r->size * r->runs));
#define BOTH(name, field) \
	printf(",\"" name "\":[%llu,%llu]", (unsigned long long)t->here.field, \
	       (unsigned long long)t->there.field)
	BOTH("calls", calls);
	BOTH("doorbells", doorbells);
	BOTH("interrupts", interrupts);
	BOTH("cpu_ns", cpu_ns);
	BOTH("rescued", rescued);
#undef BOTH
	puts("}");
}

void bench_report_json(const struct bench_report *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		print_object(r, &r->tests[i]);
}

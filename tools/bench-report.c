// SPDX-License-Identifier: GPL-2.0
#include "bench-report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libivring.h"
#include "machine.h"
#include "report.h"
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

double bench_test_median(const struct bench_report *r, const struct bench_test *t)
{
	return median(t->value, r->runs);
}

double bench_test_least(const struct bench_report *r, const struct bench_test *t, int sign)
{
	double best = t->value[0];
	unsigned int i;

	for (i = 1; i < r->runs; i++)
		if (sign * t->value[i] < sign * best)
			best = t->value[i];
	return best;
}

double bench_report_copy(const struct bench_report *r)
{
	double here = bench_test_median(r, &r->tests[0]), there = bench_test_median(r, &r->tests[1]);

	return here < there ? here : there;
}

uint64_t bench_test_bytes(const struct bench_test *t)
{
	return t->size * (t->times ? t->times : 1) * (t->op == BENCH_BOTH ? 2 : 1);
}

double bench_test_gib(const struct bench_report *r, const struct bench_test *t)
{
	return (double)bench_test_bytes(t) * r->runs / (1ULL << 30);
}

bool bench_test_transfers(const struct bench_test *t)
{
	return t->op == BENCH_SEND || t->op == BENCH_RECEIVE || t->op == BENCH_BOTH;
}

/* ---- what it was measured on ---- */

uint64_t bench_channel_number(const struct bench_report *r, const char *name)
{
	uint64_t value;

	machine_number("", &value, "sys/class/ivring/ivring%uc%u/%s", r->info->link, r->channel,
		       name);
	return value;
}

static void print_facts(const struct bench_report *r)
{
	const struct ivring_link_info *info = r->info;
	const struct machine *m = r->machine;

	printf("ivring%u (%s), side %u: rings of %llu KiB, window %llu KiB, chunk %llu KiB, memory "
	       "%s\n", info->link, info->label, info->side,
	       (unsigned long long)info->ring_size >> 10,
	       (unsigned long long)bench_channel_number(r, "window") >> 10,
	       (unsigned long long)bench_channel_number(r, "chunk") >> 10,
	       ivring_memory_type_name(info->memory_type));
	printf("%s, %u CPUs, %u NUMA nodes, caches %llu, %llu and %llu KiB\n", m->cpu, m->cpus,
	       m->nodes, (unsigned long long)m->l1 >> 10, (unsigned long long)m->l2 >> 10,
	       (unsigned long long)m->l3 >> 10);
	printf("Linux %s, hypervisor %s%s%s\n", m->kernel, m->hypervisor, *m->product ? ", " : "",
	       m->product);
	printf("%u runs, %u channels, median and range\n", r->runs, r->channels);
}

static void print_facts_object(const struct bench_report *r)
{
	const struct ivring_link_info *info = r->info;

	printf("{\"type\":\"facts\",\"link\":%u,\"label\":", info->link);
	report_json_string(info->label);
	printf(",\"side\":%u,\"channel\":%u,\"channels\":%u,\"ring_size\":%llu,\"window\":%llu,"
	       "\"chunk\":%llu,\"memory_type\":\"%s\",\"runs\":%u,", info->side, r->channel,
	       r->channels, (unsigned long long)info->ring_size,
	       (unsigned long long)bench_channel_number(r, "window"),
	       (unsigned long long)bench_channel_number(r, "chunk"),
	       ivring_memory_type_name(info->memory_type), r->runs);
	machine_print_json(r->machine);
	puts("}");
}

/* ---- for people ---- */

static void print_line(const struct bench_report *r, const struct bench_test *t)
{
	double gib = bench_test_gib(r, t);
	size_t i;

	if (t->op == BENCH_ECHO) {
		printf("%-22s %8.1f us ", t->name, bench_test_median(r, t) / 1000);
		for (i = 1; i < ARRAY_SIZE(percentiles); i++)
			printf(" %s %.1f,", percentiles[i].name,
			       latency_part(t->rtt, percentiles[i].part) / 1000.0);
		printf(" max %.1f\n", t->rtt->max_ns / 1000.0);
		return;
	}
	printf("%-22s %8.0f MB/s  %.0f..%.0f", t->name, bench_test_median(r, t),
	       bench_test_least(r, t, 1), bench_test_least(r, t, -1));
	if (bench_test_transfers(t))
		printf("; per GiB, here and there: calls %.0f, %.0f; doorbells %.0f, %.0f; "
		       "CPU s %.2f, %.2f", t->here.calls / gib, t->there.calls / gib,
		       t->here.doorbells / gib, t->there.doorbells / gib,
		       t->here.cpu_ns / gib / 1e9, t->there.cpu_ns / gib / 1e9);
	putchar('\n');
}

/* ratio_of(NAME): its median against memcpy() in the slower place. */
static void print_keys(const struct bench_report *r)
{
	double copy = bench_report_copy(r);
	const struct bench_test *t;
	uint64_t rescued = 0;
	double gib;
	size_t i;

	for (i = 2; i < r->count; i++) {
		t = &r->tests[i];
		gib = bench_test_gib(r, t);
		rescued += t->here.rescued + t->there.rescued;
		if (t->op == BENCH_ECHO) {
			printf("%s_us %.2f\n", t->name, bench_test_median(r, t) / 1000);
			printf("%s_p99_us %.2f\n", t->name, latency_part(t->rtt, 0.99) / 1000.0);
			continue;
		}
		printf("%s_over_memcpy %.3f\n", t->name, bench_test_median(r, t) / copy);
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

	print_facts(r);
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
		printf(",\"size\":%llu,\"bytes\":%llu", (unsigned long long)t->size,
		       (unsigned long long)bench_test_bytes(t) * r->runs);
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

	print_facts_object(r);
	for (i = 0; i < r->count; i++)
		print_object(r, &r->tests[i]);
}

/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the benchmark share. */
#ifndef IVRING_BENCH_H
#define IVRING_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KIB	1024ull
#define MIB	(1024ull * KIB)
#define GIB	(1024ull * MIB)

#define RUNS_MAX	99
#define CPUS		2

struct options {
	uint64_t bytes;		/* of source, and of destination */
	uint64_t ring;		/* bytes of data in a ring */
	uint64_t window;	/* most bytes in flight */
	uint64_t chunk;		/* bytes copied between two publications */
	uint32_t spin_ns;	/* longest spin before sleeping */
	int runs;
	int cpu[CPUS];
	int cpus;		/* how many of them differ: 1 or 2 */
	bool quick;
	bool realtime;		/* before all that is not */
	const char *out;	/* directory for results */
	const char *only;	/* comma-separated names of parts, or NULL */
	const char *rate;	/* the same of what is sent through, in the part rate */
};

extern struct options opt;

/* Is @name in the comma-separated @list? */
bool listed(const char *list, const char *name);

/* ---- util.c ---- */

__attribute__((noreturn, format(printf, 1, 2)))
void die(const char *fmt, ...);
uint64_t now_ns(void);
void pin(int cpu);
void unpin(void);
/* Before all processes that are not. */
void realtime(void);
/* Seconds of CPU time that others used since the last call. */
double others_cpu_s(void);
void *shared_alloc(size_t size);
/* Map all of it now, so that no fault is taken while the clock runs. */
void populate(void *p, size_t size, bool write);

static inline void cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
}

/* ---- duo.c: a piece of work done by several processes at once ---- */

/*
 * Runs @work in @n processes: who 0 here, the others forked. Each calls
 * duo_start() when it is ready, and duo_stop() when it is done, which waits for
 * all: taking down what one has would disturb those who still work. The clock
 * runs from the first that starts to the last that stops. Returns nanoseconds.
 */
uint64_t duo_run(int n, void (*work)(int who, void *arg), void *arg);
void duo_start(void);
void duo_stop(void);

/* ---- cache.c ---- */

/* The window that keeps bytes in flight in the caches of @cpu, see cache.c. */
uint64_t cache_window(int cpu);
/* Bytes of data cache of that level, zero if there is none. */
uint64_t cache_size(int cpu, int level);
/* Are the two CPUs threads of one core? */
bool cache_siblings(int a, int b);

/* ---- stats.c ---- */

/* One number per run. */
struct series {
	double v[RUNS_MAX];
	int n;
};

void series_add(struct series *s, double v);
double series_median(const struct series *s);
double series_min(const struct series *s);
double series_max(const struct series *s);
/* The ratio of each run to the same run of @b. */
struct series series_ratio(const struct series *a, const struct series *b);
/* The smaller of each run's two. */
struct series series_least(const struct series *a, const struct series *b);

/* All latencies of all runs: exact quantiles, at the price of memory. */
struct samples {
	uint32_t *v;		/* nanoseconds */
	size_t n, max;
	bool sorted;
};

void samples_alloc(struct samples *s, size_t max);
void samples_free(struct samples *s);
uint32_t samples_quantile(struct samples *s, double q);

/* ---- report.c ---- */

void report_open(void);
__attribute__((format(printf, 1, 2)))
void report_title(const char *fmt, ...);
__attribute__((format(printf, 1, 2)))
void report_note(const char *fmt, ...);
void report_figure(const char *name, const char *text, const char *unit, const struct series *s);
void report_latency(const char *name, const char *text, struct samples *s);
/* A bar of a plot. */
void report_bar(const char *plot, const char *text, const struct series *s);
/* A point of a sweep, for the plots. */
void report_point(const char *sweep, uint64_t x, const struct series *s,
		  const struct series *ratio);
/*
 * A key figure, @what it compares, and the bar that it is to reach: not below if
 * @least, else not above. Zero: there is none.
 */
void report_key(const char *name, const char *what, const struct series *s, double bar,
		bool least);
/* What this machine has not. */
void report_left_out(const char *name, const char *text, const char *reason);
void report_close(void);

/* ---- the parts ---- */

void bench_copy(void);
void bench_sweep(void);
void bench_rtt(void);
void bench_wake(void);
void bench_rate(void);
void rate_options_check(void);
void bench_channels(void);

#endif /* IVRING_BENCH_H */

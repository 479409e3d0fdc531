// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

void die(const char *fmt, ...)
{
	va_list ap;
	int error = errno;

	fflush(stdout);
	fputs("bench-ring: ", stderr);
	va_start(ap, fmt);
	errno = error;
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void run_on(const cpu_set_t *set)
{
	if (sched_setaffinity(0, sizeof(*set), set))
		die("pinning to a CPU: %m");
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	run_on(&set);
}

/* To the CPUs under test, not further. */
void unpin(void)
{
	cpu_set_t set;
	int i;

	CPU_ZERO(&set);
	for (i = 0; i < CPUS; i++)
		CPU_SET(opt.cpu[i], &set);
	run_on(&set);
}

void realtime(void)
{
	struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		die("--realtime: %m");
}

/* Seconds of @who's CPU time. */
static double usage_s(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return u.ru_utime.tv_sec + u.ru_stime.tv_sec +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Of all that ran, but for the time that CPUs were idle. */
static double busy_s(void)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
	FILE *f = fopen("/proc/stat", "r");
	int n = 0;

	if (f) {
		n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice,
			   &system, &idle, &iowait, &irq, &softirq, &steal);
		fclose(f);
	}
	if (n != 8)
		return 0;
	return (double)(user + nice + system + irq + softirq + steal) / sysconf(_SC_CLK_TCK);
}

double others_cpu_s(void)
{
	static double last;
	double total = busy_s() - usage_s(RUSAGE_SELF) - usage_s(RUSAGE_CHILDREN);
	double used = total - last;

	last = total;
	return used > 0 ? used : 0;
}

void *shared_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("%zu bytes of shared memory: %m", size);
	return p;
}

void populate(void *p, size_t size, bool write)
{
	volatile char *c = p;
	size_t i;

	if (!madvise(p, size, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ))
		return;
	/* Before Linux 5.14, by hand. */
	if (errno != EINVAL)
		die("%zu bytes of memory: %m", size);
	for (i = 0; i < size; i += 4096) {
		if (write)
			c[i] = c[i];
		else
			(void)c[i];
	}
}

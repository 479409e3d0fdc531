// SPDX-License-Identifier: GPL-2.0
/* bench-ring: options, and which parts to run. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ivring/spin.h>
#include <ivring/tune.h>

#include "bench.h"
#include "chan.h"

struct options opt = {
	.bytes = GIB,
	.spin_ns = IVRING_SPIN_MAX_NS,
	.runs = 7,
	.cpu = { -1, -1 },
	.out = "build/bench",
};

static const struct part {
	const char *name;
	void (*run)(void);
	const char *help;
} parts[] = {
	{ "sweep", bench_sweep, "GB/s over window, chunk and size of the ring" },
	{ "rate", bench_rate, "64-byte messages per second, against what the kernel offers" },
	{ "channels", bench_channels, "eight channels at once against one" },
	{ "wake", bench_wake, "round trip by sleeping, against bare eventfds" },
	{ "rtt", bench_rtt, "round trip by spinning, against a bare cache line" },
	{ "copy", bench_copy, "memory to memory, against memcpy" },
};

#define N_PARTS	(sizeof(parts) / sizeof(parts[0]))

static void usage(FILE *f)
{
	size_t i;

	fprintf(f,
		"usage: bench-ring [OPTION]...\n"
		"  --quick          shorter, within a minute\n"
		"  --runs N         paired runs of each figure, 1..%d (7)\n"
		"  --only PART,...  not all parts; see below\n"
		"  --bytes SIZE     memory to copy, 16M.. (1G)\n"
		"  --ring SIZE      bytes in a ring, a power of two (the window)\n"
		"  --window SIZE    most bytes in flight, up to the ring (from the caches)\n"
		"  --chunk SIZE     bytes between publications, up to the window (window / 16)\n"
		"  --spin-ns N      longest spin before sleeping, 0 never spins (%d)\n"
		"  --rate NAME,...  of the part rate only these, such as ring_1,pipe\n"
		"  --cpus A,B       CPUs to run on (the first two cores this may run on)\n"
		"  --realtime       run before all other processes, which then disturb less\n"
		"  --out DIR        for ring.json and *.dat (build/bench)\n"
		"SIZE is in bytes, or with K, M or G behind it.\n"
		"Parts:\n", RUNS_MAX, IVRING_SPIN_MAX_NS);
	for (i = 0; i < N_PARTS; i++)
		fprintf(f, "  %-10s %s\n", parts[i].name, parts[i].help);
}

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-' || *end)
		die("--%s: '%s' is not a number", name, text);
	if (v < min || v > max)
		die("--%s: %s is not within %ju..%ju", name, text, (uintmax_t)min,
		    (uintmax_t)max);
	return v;
}

static uint64_t size(const char *name, const char *text)
{
	unsigned long long v;
	unsigned int shift = 0;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (end != text && *end && strchr("KMG", *end)) {
		shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 30;
		end++;
	}
	if (errno || end == text || *text == '-' || *end)
		die("--%s: '%s' is not a size such as 4096, 64K, 8M or 1G", name, text);
	if (!v)
		die("--%s: zero is not a size", name);
	if (v > UINT64_MAX >> shift)
		die("--%s: %s is too large", name, text);
	return (uint64_t)v << shift;
}

static void cpus_parse(const char *text)
{
	char end;

	if (sscanf(text, "%d,%d%c", &opt.cpu[0], &opt.cpu[1], &end) != 2 ||
	    opt.cpu[0] < 0 || opt.cpu[1] < 0 || opt.cpu[0] >= CPU_SETSIZE ||
	    opt.cpu[1] >= CPU_SETSIZE)
		die("--cpus: '%s' is not two CPUs such as 0,1", text);
}

/* By default two cores, if need be two threads of one, if need be one CPU. */
static void cpus_choose(void)
{
	cpu_set_t set;
	int cpu, first = -1, second = -1;

	if (sched_getaffinity(0, sizeof(set), &set))
		die("asking for CPUs: %m");
	if (opt.cpu[0] >= 0) {
		if (!CPU_ISSET(opt.cpu[0], &set) || !CPU_ISSET(opt.cpu[1], &set))
			die("--cpus: this process may not run on CPUs %d and %d", opt.cpu[0],
			    opt.cpu[1]);
		opt.cpus = 1 + (opt.cpu[0] != opt.cpu[1]);
		return;
	}
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		if (first < 0)
			first = cpu;
		else if (second < 0 || (cache_siblings(first, second) &&
					!cache_siblings(first, cpu)))
			second = cpu;
	}
	opt.cpus = second < 0 ? 1 : 2;
	opt.cpu[0] = first;
	opt.cpu[1] = second < 0 ? first : second;
}

/* A ring larger than the window only spreads the same bytes over more cache. */
static void sizes_default(void)
{
	uint64_t window = cache_window(opt.cpu[0]);

	if (!opt.ring) {
		opt.ring = IVRING_WIRE_RING_SIZE_MIN;
		while (opt.ring < (opt.window ? opt.window : window) && opt.ring < 4 * GIB)
			opt.ring *= 2;
	}
	if (!opt.window)
		opt.window = window < opt.ring ? window : opt.ring;
	if (!opt.chunk)
		opt.chunk = ivring_chunk_auto(opt.window);
}

static void sizes_check(void)
{
	if (opt.bytes < 16 * MIB || opt.bytes % 4096 || opt.bytes > 1024 * GIB)
		die("--bytes: %ju is not within 16M..1024G in whole pages", (uintmax_t)opt.bytes);
	if (!is_power_of_2(opt.ring))
		die("--ring: %ju is not a power of two", (uintmax_t)opt.ring);
	if (opt.ring < IVRING_WIRE_RING_SIZE_MIN || opt.ring > 4 * GIB)
		die("--ring: %ju is not within %ju..4G", (uintmax_t)opt.ring,
		    (uintmax_t)IVRING_WIRE_RING_SIZE_MIN);
	if (opt.window > opt.ring)
		die("--window: %ju is more than the ring's %ju", (uintmax_t)opt.window,
		    (uintmax_t)opt.ring);
	if (opt.window < 1024)
		die("--window: %ju is less than 1024", (uintmax_t)opt.window);
	if (opt.chunk > opt.window)
		die("--chunk: %ju is more than the window's %ju", (uintmax_t)opt.chunk,
		    (uintmax_t)opt.window);
}

bool listed(const char *list, const char *name)
{
	size_t n = strlen(name);
	const char *p;

	for (p = list; p && *p; p += strcspn(p, ","), p += *p == ',')
		if (!strncmp(p, name, n) && (!p[n] || p[n] == ','))
			return true;
	return false;
}

static void parts_check(void)
{
	char copy[256], *name, *save;
	size_t i;

	if (!opt.only)
		return;
	if (!*opt.only || strlen(opt.only) >= sizeof(copy))
		die("--only: no list of parts");
	strcpy(copy, opt.only);
	for (name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		for (i = 0; i < N_PARTS && strcmp(name, parts[i].name); i++)
			;
		if (i == N_PARTS)
			die("--only: no part '%s', see --help", name);
	}
}

static void options_parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "runs", required_argument, NULL, 'n' },
		{ "only", required_argument, NULL, 'p' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "ring", required_argument, NULL, 'r' },
		{ "window", required_argument, NULL, 'w' },
		{ "chunk", required_argument, NULL, 'c' },
		{ "spin-ns", required_argument, NULL, 's' },
		{ "rate", required_argument, NULL, 'm' },
		{ "cpus", required_argument, NULL, 'C' },
		{ "realtime", no_argument, NULL, 'R' },
		{ "out", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'q': opt.quick = true; break;
		case 'n': opt.runs = number("runs", optarg, 1, RUNS_MAX); break;
		case 'p': opt.only = optarg; break;
		case 'b': opt.bytes = size("bytes", optarg); break;
		case 'r': opt.ring = size("ring", optarg); break;
		case 'w': opt.window = size("window", optarg); break;
		case 'c': opt.chunk = size("chunk", optarg); break;
		case 's': opt.spin_ns = number("spin-ns", optarg, 0, 1000000000); break;
		case 'm': opt.rate = optarg; break;
		case 'C': cpus_parse(optarg); break;
		case 'R': opt.realtime = true; break;
		case 'o': opt.out = optarg; break;
		case 'h': usage(stdout); exit(0);
		default: usage(stderr); exit(2);
		}
	}
	if (optind < argc)
		die("'%s' is not an option, see --help", argv[optind]);
}

/* What others did to the figures is for the reader to know. */
static void part_run(const struct part *p)
{
	uint64_t start = now_ns();
	double others;

	others_cpu_s();
	p->run();
	others = others_cpu_s() * 1e9 / (now_ns() - start);
	if (others > 0.1)
		report_note("other processes used %.1f CPUs meanwhile%s", others,
			    opt.realtime ? "" : ": see --realtime");
}

int main(int argc, char **argv)
{
	size_t i;

	options_parse(argc, argv);
	parts_check();
	rate_options_check();
	cpus_choose();
	sizes_default();
	sizes_check();
	if (opt.realtime)
		realtime();
	report_open();
	for (i = 0; i < N_PARTS; i++)
		if (!opt.only || listed(opt.only, parts[i].name))
			part_run(&parts[i]);
	report_close();
	return 0;
}

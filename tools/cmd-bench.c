// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench-report.h"
#include "bench.h"
#include "cmd.h"
#include "libivring.h"
#include "status.h"
#include "util.h"

#define LATENCY_BYTES	64
#define ROUNDS_WARM	100
#define TESTS_MAX	20

static const char usage[] =
"Usage: ivring bench [OPTION...] LINK\n"
"       ivring bench --serve [OPTION...] LINK\n"
"Measures LINK from memory to memory against memcpy(), and round trips of 64 bytes.\n"
"Start the second form on the other side first. The last lines are \"key value\".\n\n"
"  -s, --serve          answer, until stopped\n"
"  -c, --channel N      the channel to use (2)\n"
"  -r, --runs N         how often each test is run, 1..1000 (5)\n"
"      --size SIZE      bytes through the ring in each run (256M)\n"
"      --buffer SIZE    memory to copy from and to, over and over, up to 256M (64M)\n"
"      --block SIZE     bytes of one read(2) or write(2), and at most between two\n"
"                       publications in place (1M)\n"
"      --rounds N       round trips in each run (2000)\n"
"  -w, --way WAY[,...]  calls (read and write), spans (in place, by ioctl), user\n"
"                       (indices in user space), file (from file to file in memory\n"
"                       by the kernel), file-user (the same as push and pull do it)\n"
"                       (all)\n"
"  -t, --timeout SEC    give up when nothing moves for SEC (30)\n"
"      --json           one JSON object per line instead of text\n"
"  -h, --help\n";

enum {
	OPT_SIZE = 256,
	OPT_BUFFER,
	OPT_BLOCK,
	OPT_ROUNDS,
	OPT_JSON,
};

static const struct option longopts[] = {
	{ "serve", no_argument, NULL, 's' },
	{ "channel", required_argument, NULL, 'c' },
	{ "runs", required_argument, NULL, 'r' },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "buffer", required_argument, NULL, OPT_BUFFER },
	{ "block", required_argument, NULL, OPT_BLOCK },
	{ "rounds", required_argument, NULL, OPT_ROUNDS },
	{ "way", required_argument, NULL, 'w' },
	{ "timeout", required_argument, NULL, 't' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char * const way_names[] = {
	[BENCH_CALLS] = "calls", [BENCH_SPANS] = "spans", [BENCH_USER] = "user",
	[BENCH_FILE] = "file", [BENCH_FILE_USER] = "file-user",
};

struct options {
	struct bench bench;
	const char *link;
	bool serve, json;
	unsigned int runs;
	uint64_t size, buffer, block, rounds;
	unsigned int ways;		/* bits by enum bench_way */
};

static bool parse_ways(struct options *o, char *list)
{
	char *name, *save;
	size_t w;

	o->ways = 0;
	for (name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		for (w = BENCH_CALLS; w < ARRAY_SIZE(way_names); w++)
			if (!strcmp(name, way_names[w]))
				break;
		if (w == ARRAY_SIZE(way_names))
			return false;
		o->ways |= 1U << w;
	}
	return o->ways;
}

static bool parse_range(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	return parse_number(text, max, value) && *value >= min;
}

static bool parse_bytes(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	return parse_size(text, value) && *value >= min && *value <= max;
}

static bool apply_option(struct options *o, int opt)
{
	uint64_t n = 0;
	bool ok = true;

	switch (opt) {
	case 's':
		o->serve = true;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case 'c':
		ok = parse_number(optarg, 31, &n);
		o->bench.channel = n;
		break;
	case 'r':
		ok = parse_range(optarg, 1, BENCH_RUNS_MAX, &n);
		o->runs = n;
		break;
	case OPT_SIZE:
		ok = parse_bytes(optarg, 1, BENCH_BYTES_MAX, &o->size);
		break;
	case OPT_BUFFER:
		ok = parse_bytes(optarg, BENCH_BLOCK_MIN, BENCH_BUFFER_MAX, &o->buffer) &&
		     !(o->buffer % BENCH_BLOCK_MIN);
		break;
	case OPT_BLOCK:
		ok = parse_bytes(optarg, BENCH_BLOCK_MIN, BENCH_BLOCK_MAX, &o->block);
		break;
	case OPT_ROUNDS:
		ok = parse_range(optarg, 1, BENCH_ROUNDS_MAX / BENCH_RUNS_MAX, &o->rounds);
		break;
	case 'w':
		ok = parse_ways(o, optarg);
		break;
	case 't':
		ok = parse_seconds(optarg, &o->bench.timeout_ms);
		break;
	default:
		ok = false;
	}
	return ok;
}

static int parse_options(struct options *o, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "sc:r:w:t:h", longopts, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return -1;
		}
		if (opt != '?' && apply_option(o, opt))
			continue;
		complain_option("bench", longopts, opt);
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	if (optind + 1 != argc) {
		complain("bench: takes one LINK");
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	o->link = argv[optind];
	return 0;
}

/* ---- running ---- */

static void add_counts(struct bench_result *sum, const struct bench_result *r)
{
	sum->wall_ns += r->wall_ns;
	sum->cpu_ns += r->cpu_ns;
	sum->calls += r->calls;
	sum->doorbells += r->doorbells;
	sum->interrupts += r->interrupts;
	sum->rescued += r->rescued;
	sum->bad += r->bad;
}

static double mbps(uint64_t bytes, uint64_t ns)
{
	return ns ? bytes * 1000.0 / ns : 0;
}

/* The first ones are for warming up. Returns the median of the run, ns. */
static double add_rounds(struct latency *all, const uint32_t *rtt_ns, uint64_t rounds,
			 struct latency *run)
{
	double median;
	uint64_t i;

	for (i = ROUNDS_WARM; i < ROUNDS_WARM + rounds; i++) {
		latency_add(all, rtt_ns[i]);
		latency_add(run, rtt_ns[i]);
	}
	median = latency_part(run, 0.5);
	latency_clear(run);
	return median;
}

static int run_echo(struct options *o, struct bench_test *t, unsigned int run, struct status *st)
{
	struct bench_request rq = {
		.magic = BENCH_MAGIC, .op = t->op, .way = t->way, .flags = t->flags,
		.bytes = LATENCY_BYTES, .block = o->rounds + ROUNDS_WARM, .buffer = o->buffer,
	};
	uint32_t *rtt_ns = malloc(rq.block * sizeof(*rtt_ns));
	struct latency *one = calloc(1, sizeof(*one));
	struct bench_result here, there;
	int ret;

	if (rtt_ns && one)
		ret = bench_run(&o->bench, &rq, &here, &there, rtt_ns, st);
	else
		ret = status_set(st, STATUS_NO_SPACE, "no memory");
	if (!ret) {
		add_counts(&t->here, &here);
		add_counts(&t->there, &there);
		t->value[run] = add_rounds(t->rtt, rtt_ns, o->rounds, one);
	}
	free(rtt_ns);
	free(one);
	return ret;
}

static int run_test(struct options *o, struct bench_test *t, unsigned int run, struct status *st)
{
	struct bench_request rq = {
		.magic = BENCH_MAGIC, .op = t->op, .way = t->way, .flags = t->flags,
		.bytes = o->size, .block = o->block, .buffer = o->buffer,
	};
	struct bench_result here, there;
	int ret;

	if (t->op == BENCH_ECHO)
		return run_echo(o, t, run, st);
	ret = bench_run(&o->bench, &rq, &here, &there, NULL, st);
	if (ret)
		return ret;
	add_counts(&t->here, &here);
	add_counts(&t->there, &there);
	/* A copy that only the other side makes is timed there. */
	t->value[run] = mbps(o->size, t->op == BENCH_COPY ? there.wall_ns : here.wall_ns);
	return 0;
}

static int run_copy_here(struct options *o, struct bench_test *t, unsigned int run, struct status *st)
{
	struct bench_request rq = { .bytes = o->size, .buffer = o->buffer };
	int64_t ns = bench_copy(&o->bench, &rq, st);

	if (ns < 0)
		return ns;
	t->value[run] = mbps(o->size, ns);
	return 0;
}

/* ---- the two forms ---- */

static size_t make_tests(const struct options *o, struct bench_test *tests)
{
	static const struct {
		const char *name;
		uint32_t op, way, flags;
	} all[] = {
		{ "memcpy_here", BENCH_COPY, 0, 0 },
		{ "memcpy_there", BENCH_COPY, BENCH_CALLS, 0 },
		{ "send_calls", BENCH_SEND, BENCH_CALLS, 0 },
		{ "receive_calls", BENCH_RECEIVE, BENCH_CALLS, 0 },
		{ "send_spans", BENCH_SEND, BENCH_SPANS, 0 },
		{ "receive_spans", BENCH_RECEIVE, BENCH_SPANS, 0 },
		{ "send_user", BENCH_SEND, BENCH_USER, 0 },
		{ "receive_user", BENCH_RECEIVE, BENCH_USER, 0 },
		{ "send_file", BENCH_SEND, BENCH_FILE, 0 },
		{ "receive_file", BENCH_RECEIVE, BENCH_FILE, 0 },
		{ "send_file_user", BENCH_SEND, BENCH_FILE_USER, 0 },
		{ "receive_file_user", BENCH_RECEIVE, BENCH_FILE_USER, 0 },
		{ "rtt_calls", BENCH_ECHO, BENCH_CALLS, 0 },
		{ "rtt_calls_sleep", BENCH_ECHO, BENCH_CALLS, BENCH_SLEEP },
		{ "rtt_user", BENCH_ECHO, BENCH_USER, 0 },
		{ "rtt_user_sleep", BENCH_ECHO, BENCH_USER, BENCH_SLEEP },
	};
	size_t i, count = 0;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		if (i > 1 && !(o->ways & 1U << all[i].way))
			continue;
		tests[count++] = (struct bench_test) {
			.name = all[i].name, .op = all[i].op, .way = all[i].way,
			.flags = all[i].flags,
		};
	}
	return count;
}

static int run_all(struct options *o, struct bench_test *tests, size_t count, struct status *st)
{
	unsigned int run;
	size_t i;
	int ret = 0;

	for (i = 0; i < count; i++) {
		if (tests[i].op != BENCH_ECHO)
			continue;
		tests[i].rtt = calloc(1, sizeof(*tests[i].rtt));
		if (!tests[i].rtt)
			return status_set(st, STATUS_NO_SPACE, "no memory");
	}
	/* In turns, so that what else the machine does hits all alike. */
	for (run = 0; !ret && run < o->runs; run++)
		for (i = 0; !ret && i < count; i++)
			ret = i ? run_test(o, &tests[i], run, st) :
				  run_copy_here(o, &tests[i], run, st);
	for (i = 0; !ret && i < count; i++)
		if (tests[i].here.bad + tests[i].there.bad)
			ret = status_set(st, STATUS_CONTENT, "%s: %llu bytes arrived wrong",
					 tests[i].name, (unsigned long long)
					 (tests[i].here.bad + tests[i].there.bad));
	return ret;
}

static void free_tests(struct bench_test *tests, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (tests[i].rtt)
			latency_clear(tests[i].rtt);
		free(tests[i].rtt);
	}
	free(tests);
}

static int client(struct options *o, const struct ivring_link_info *info, struct status *st)
{
	struct bench_report r = { .runs = o->runs, .size = o->size };
	int ret;

	r.tests = calloc(TESTS_MAX, sizeof(*r.tests));
	if (!r.tests)
		return status_set(st, STATUS_NO_SPACE, "no memory");
	r.count = make_tests(o, r.tests);
	ret = run_all(o, r.tests, r.count, st);
	if (!ret && o->json) {
		bench_report_json(&r);
	} else if (!ret) {
		printf("ivring%u (%s), rings of %llu KiB, %s; %u runs of %llu MiB, median and "
		       "range\n", info->link, info->label,
		       (unsigned long long)info->ring_size >> 10,
		       ivring_memory_type_name(info->memory_type), o->runs,
		       (unsigned long long)o->size >> 20);
		bench_report_text(&r);
	}
	free_tests(r.tests, r.count);
	return ret;
}

static int server(struct options *o, struct status *st)
{
	int ret;

	log_line("bench: answering on channel %u", o->bench.channel);
	/* Nothing is to be undone, whenever it is stopped. */
	stop_set_idle(true);
	for (;;) {
		ret = bench_serve(&o->bench, st);
		/* A client that went away is its own affair. */
		if (ret == -STATUS_PEER_GONE || ret == -STATUS_PROTOCOL || ret == -STATUS_TIMEOUT)
			log_line("bench: a test was broken off: %s", st->text);
		else if (ret)
			return ret;
	}
}

int cmd_bench(int argc, char **argv)
{
	struct options o = {
		.bench = { .channel = 2, .timeout_ms = 30000, .file = -1 },
		.runs = 5, .size = 256 << 20, .buffer = 64 << 20, .block = 1 << 20,
		.rounds = 2000, .ways = ~0U,
	};
	struct ivring_link_info info;
	struct status st;
	int ret;

	ret = parse_options(&o, argc, argv);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	ret = ivring_link_find(o.link, &info, &st);
	if (!ret && o.bench.channel >= info.channels)
		ret = status_set(&st, STATUS_USAGE, "the link has channels 0 to %u",
				 info.channels - 1);
	if (!ret) {
		o.bench.link = info.link;
		stop_install();
		ret = o.serve ? server(&o, &st) : client(&o, &info, &st);
	}
	bench_free(&o.bench);
	if (ret)
		complain("bench: %s", st.text);
	return -ret;
}

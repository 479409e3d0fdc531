// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench-many.h"
#include "bench-report.h"
#include "bench.h"
#include "cmd.h"
#include "libivring.h"
#include "status.h"
#include "util.h"

#define LATENCY_BYTES	64
#define ROUNDS_WARM	100
#define TESTS_MAX	320
#define SIZE_MIN	4096
/* What the sizes of a sweep grow by */
#define SIZE_STEP	4
/* Small ones are moved so often that a run has as many bytes. */
#define SIZE_RUN	(16ULL << 20)
#define SIZE_TIMES_MAX	1000

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
"      --channels N     share --size among N channels at once, from --channel on; with\n"
"                       --serve, answer on as many (1)\n"
"      --both           also both directions at once\n"
"      --load           also round trips while the next channel is busy\n"
"      --sizes A[..B]   also each size from A to B, in steps of 4, each time answered\n"
"  -t, --timeout SEC    give up when nothing moves for SEC (30)\n"
"      --html FILE      also a page with all of it, for people\n"
"      --json           one JSON object per line instead of text\n"
"  -h, --help\n";

enum {
	OPT_SIZE = 256,
	OPT_BUFFER,
	OPT_BLOCK,
	OPT_ROUNDS,
	OPT_CHANNELS,
	OPT_BOTH,
	OPT_LOAD,
	OPT_SIZES,
	OPT_HTML,
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
	{ "channels", required_argument, NULL, OPT_CHANNELS },
	{ "both", no_argument, NULL, OPT_BOTH },
	{ "load", no_argument, NULL, OPT_LOAD },
	{ "sizes", required_argument, NULL, OPT_SIZES },
	{ "timeout", required_argument, NULL, 't' },
	{ "html", required_argument, NULL, OPT_HTML },
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
	const char *html;
	bool serve, json, both, load;
	unsigned int runs, channels;
	uint64_t size_from, size_to;	/* zero: no sweep */
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

static bool parse_sizes(struct options *o, char *text)
{
	char *to = strstr(text, "..");

	if (to) {
		*to = '\0';
		to += 2;
	}
	return parse_bytes(text, SIZE_MIN, BENCH_BYTES_MAX, &o->size_from) &&
	       parse_bytes(to ? to : text, o->size_from, BENCH_BYTES_MAX, &o->size_to);
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
	case OPT_CHANNELS:
		ok = parse_range(optarg, 1, 32, &n);
		o->channels = n;
		break;
	case OPT_BOTH:
		o->both = true;
		break;
	case OPT_LOAD:
		o->load = true;
		break;
	case OPT_HTML:
		o->html = optarg;
		break;
	case OPT_SIZES:
		ok = parse_sizes(o, optarg);
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

static int run_loaded(struct options *o, struct bench_test *t, unsigned int run, struct status *st)
{
	struct bench_request rq = {
		.magic = BENCH_MAGIC, .op = BENCH_LOAD, .way = t->way,
		.bytes = o->buffer, .block = o->block, .buffer = o->buffer,
	};
	struct bench next = o->bench;
	pid_t load;
	int ret;

	next.channel++;
	load = bench_load_start(&next, &rq, st);
	if (load < 0)
		return load;
	ret = run_echo(o, t, run, st);
	bench_load_stop(load);
	return ret;
}

/* Memory for a small size need not be large; what is shared is shared evenly. */
static struct bench_request request_of(const struct options *o, const struct bench_test *t)
{
	uint64_t whole = (t->size + BENCH_BLOCK_MIN - 1) / BENCH_BLOCK_MIN * BENCH_BLOCK_MIN;

	return (struct bench_request) {
		.magic = BENCH_MAGIC, .op = t->op, .way = t->way, .flags = t->flags,
		.times = t->times, .bytes = t->size, .block = o->block,
		.buffer = min_u64(o->buffer, whole),
	};
}

static int run_test(struct options *o, struct bench_test *t, unsigned int run, struct status *st)
{
	struct bench_request rq = request_of(o, t);
	struct bench_result here, there;
	int ret;

	if (t->op == BENCH_ECHO)
		return t->loaded ? run_loaded(o, t, run, st) : run_echo(o, t, run, st);
	if (o->channels > 1 && t->op != BENCH_COPY) {
		rq.bytes /= o->channels;
		ret = bench_run_many(&o->bench, o->channels, &rq, &here, &there, st);
	} else {
		ret = bench_run(&o->bench, &rq, &here, &there, NULL, st);
	}
	if (ret)
		return ret;
	add_counts(&t->here, &here);
	add_counts(&t->there, &there);
	/* A copy that only the other side makes is timed there. */
	t->value[run] = mbps(bench_test_bytes(t),
			     t->op == BENCH_COPY ? there.wall_ns : here.wall_ns);
	return 0;
}

static int run_copy_here(struct options *o, struct bench_test *t, unsigned int run,
			 struct status *st)
{
	struct bench_request rq = { .bytes = o->size, .buffer = o->buffer };
	int64_t ns = bench_copy(&o->bench, &rq, st);

	if (ns < 0)
		return ns;
	t->value[run] = mbps(o->size, ns);
	return 0;
}

/* ---- the two forms ---- */

static const struct {
	const char *name;
	uint32_t op, way, flags;
	bool loaded;
} all_tests[] = {
	{ "memcpy_here", BENCH_COPY, 0, 0, false },
	{ "memcpy_there", BENCH_COPY, BENCH_CALLS, 0, false },
	{ "send_calls", BENCH_SEND, BENCH_CALLS, 0, false },
	{ "receive_calls", BENCH_RECEIVE, BENCH_CALLS, 0, false },
	{ "send_spans", BENCH_SEND, BENCH_SPANS, 0, false },
	{ "receive_spans", BENCH_RECEIVE, BENCH_SPANS, 0, false },
	{ "send_user", BENCH_SEND, BENCH_USER, 0, false },
	{ "receive_user", BENCH_RECEIVE, BENCH_USER, 0, false },
	{ "send_file", BENCH_SEND, BENCH_FILE, 0, false },
	{ "receive_file", BENCH_RECEIVE, BENCH_FILE, 0, false },
	{ "send_file_user", BENCH_SEND, BENCH_FILE_USER, 0, false },
	{ "receive_file_user", BENCH_RECEIVE, BENCH_FILE_USER, 0, false },
	{ "both_calls", BENCH_BOTH, BENCH_CALLS, 0, false },
	{ "both_spans", BENCH_BOTH, BENCH_SPANS, 0, false },
	{ "both_user", BENCH_BOTH, BENCH_USER, 0, false },
	{ "rtt_calls", BENCH_ECHO, BENCH_CALLS, 0, false },
	{ "rtt_calls_sleep", BENCH_ECHO, BENCH_CALLS, BENCH_SLEEP, false },
	{ "rtt_user", BENCH_ECHO, BENCH_USER, 0, false },
	{ "rtt_user_sleep", BENCH_ECHO, BENCH_USER, BENCH_SLEEP, false },
	{ "rtt_calls_load", BENCH_ECHO, BENCH_CALLS, 0, true },
	{ "rtt_user_load", BENCH_ECHO, BENCH_USER, 0, true },
};

static bool is_asked_for(const struct options *o, size_t i)
{
	uint32_t op = all_tests[i].op;

	/* memcpy() is what all others are held against. */
	if (op == BENCH_COPY)
		return true;
	if ((all_tests[i].loaded && !o->load) || (op == BENCH_BOTH && !o->both))
		return false;
	return o->ways & 1U << all_tests[i].way;
}

static void name_size(struct bench_test *t, const char *name, uint64_t size)
{
	static const char units[] = "bkmgtp";
	unsigned int unit = 0;

	t->size = size;
	for (; size && !(size % 1024) && unit < 5; unit++)
		size /= 1024;
	snprintf(t->name, sizeof(t->name), "%s_%llu%c", name, (unsigned long long)size,
		 units[unit]);
}

static size_t add_sizes(const struct options *o, struct bench_test *tests, size_t count)
{
	uint64_t size;
	size_t i;

	for (size = o->size_from; size && size <= o->size_to; size *= SIZE_STEP) {
		for (i = 0; i < ARRAY_SIZE(all_tests) && count < TESTS_MAX; i++) {
			struct bench_test *t = &tests[count];

			if (!is_asked_for(o, i) || (all_tests[i].op != BENCH_SEND &&
						    all_tests[i].op != BENCH_RECEIVE))
				continue;
			*t = (struct bench_test) { .op = all_tests[i].op, .way = all_tests[i].way };
			name_size(t, all_tests[i].name, size);
			t->times = min_u64(size < SIZE_RUN ? SIZE_RUN / size : 1, SIZE_TIMES_MAX);
			count++;
		}
	}
	return count;
}

static size_t make_tests(const struct options *o, struct bench_test *tests)
{
	size_t i, count = 0;

	for (i = 0; i < ARRAY_SIZE(all_tests); i++) {
		if (!is_asked_for(o, i))
			continue;
		tests[count] = (struct bench_test) {
			.op = all_tests[i].op, .way = all_tests[i].way,
			.flags = all_tests[i].flags, .loaded = all_tests[i].loaded,
			.size = o->size,
		};
		snprintf(tests[count].name, sizeof(tests->name), "%s", all_tests[i].name);
		count++;
	}
	return add_sizes(o, tests, count);
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

static int write_html(const char *path, const struct bench_report *r, struct status *st)
{
	FILE *f = fopen(path, "we");
	bool failed;

	if (!f)
		return status_errno(st, STATUS_DEST, errno, "cannot write %s", path);
	bench_report_html(f, r);
	failed = ferror(f);
	if (fclose(f) || failed)
		return status_errno(st, STATUS_DEST, errno, "cannot write %s", path);
	return 0;
}

static int client(struct options *o, const struct ivring_link_info *info, struct status *st)
{
	struct machine machine;
	struct bench_report r = {
		.info = info, .machine = &machine, .channel = o->bench.channel, .channels = o->channels, .runs = o->runs,
	};
	int ret;

	r.tests = calloc(TESTS_MAX, sizeof(*r.tests));
	if (!r.tests)
		return status_set(st, STATUS_NO_SPACE, "no memory");
	machine_read(&machine, "");
	r.count = make_tests(o, r.tests);
	ret = run_all(o, r.tests, r.count, st);
	if (!ret)
		(o->json ? bench_report_json : bench_report_text)(&r);
	if (!ret && o->html)
		ret = write_html(o->html, &r, st);
	free_tests(r.tests, r.count);
	return ret;
}

static int serve_on(struct bench *b)
{
	struct status st;
	int ret;

	log_line("bench: answering on channel %u", b->channel);
	/* Nothing is to be undone, whenever it is stopped. */
	stop_set_idle(true);
	for (;;) {
		ret = bench_serve(b, &st);
		/* A client that went away is its own affair. */
		if (ret == -STATUS_PEER_GONE || ret == -STATUS_PROTOCOL || ret == -STATUS_TIMEOUT)
			log_line("bench: a test was broken off: %s", st.text);
		else if (ret)
			break;
	}
	complain("bench: channel %u: %s", b->channel, st.text);
	return ret;
}

static int check_channels(const struct options *o, const struct ivring_link_info *info,
			  struct status *st)
{
	unsigned int count = o->load && o->channels < 2 ? 2 : o->channels;

	if (o->bench.channel + count <= info->channels)
		return 0;
	return status_set(st, STATUS_USAGE, "the link has channels 0 to %u", info->channels - 1);
}

int cmd_bench(int argc, char **argv)
{
	struct options o = {
		.bench = { .channel = 2, .timeout_ms = 30000, .file = -1 },
		.runs = 5, .channels = 1, .size = 256 << 20, .buffer = 64 << 20, .block = 1 << 20,
		.rounds = 2000, .ways = ~0U,
	};
	struct ivring_link_info info;
	struct status st;
	int ret;

	ret = parse_options(&o, argc, argv);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	ret = ivring_link_find(o.link, &info, &st);
	if (!ret)
		ret = check_channels(&o, &info, &st);
	if (!ret) {
		o.bench.link = info.link;
		stop_install();
		if (!o.serve)
			ret = client(&o, &info, &st);
		else
			ret = bench_serve_more(&o.bench, o.channels, serve_on, &st);
	}
	if (!ret && o.serve)
		ret = serve_on(&o.bench);
	else if (ret)
		complain("bench: %s", st.text);
	bench_free(&o.bench);
	return -ret;
}

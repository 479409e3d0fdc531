// SPDX-License-Identifier: GPL-2.0
/*
 * There and back: 64 bytes by spinning, and by sleeping.
 *
 * Ratios are those of the median time of a trip in blocks of many, in which the
 * clock is read once: it costs as much as the trip's difference. The quantiles
 * need a reading per trip, which they contain.
 */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "chan.h"

#define LEN	64

struct trip {
	const char *name, *text;
	/* Who 0 sends and awaits the answer, who 1 answers; one trip. */
	void (*go)(int who, uint32_t i);
	bool ring;
	bool sleep;		/* never spin */
	unsigned int block;
	bool prefetch;		/* where the next data will be, while spinning */
};

struct rtt {
	const struct trip *trip;
	struct region region;
	struct samples *blocks, *each;
	uint32_t warm, n;
};

/* As much as a ring's data, so that it is no more in the first cache than that is. */
#define BARE_DATA	(2 * MIB)

struct line {
	uint32_t v;
	uint8_t pad[IVRING_WIRE_LINE - 4];
};

/* What the bare trips go over. */
struct bare {
	struct line both;	/* written by both sides */
	struct line each[2];	/* written by one */
	uint8_t data[2][BARE_DATA];
};

static struct chan chan;
static struct ivring_msg_tx mtx;
static struct ivring_msg_rx mrx;
static struct bare *bare;
static int bell[2];
static uint8_t payload[LEN];

/* ---- the kinds of trips ---- */

/* One line that both write by turns: the least there is. */
static inline void line_go(int who, uint32_t i, bool pause)
{
	if (!who)
		__atomic_store_n(&bare->both.v, 2 * i + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&bare->both.v, __ATOMIC_ACQUIRE) != 2 * i + 1 + !who)
		if (pause)
			cpu_pause();
	if (who)
		__atomic_store_n(&bare->both.v, 2 * i + 2, __ATOMIC_RELEASE);
}

static void line_eager_go(int who, uint32_t i)
{
	line_go(who, i, false);
}

static void line_pause_go(int who, uint32_t i)
{
	line_go(who, i, true);
}

static void check(const uint8_t *p, uint32_t i)
{
	uint32_t n;

	memcpy(payload, p, LEN);
	memcpy(&n, payload, sizeof(n));
	if (n != i)
		die("message %u is not what was sent", i);
}

/*
 * There and back where no line is written by both sides, and the one that tells is
 * not the one with the data: a ring's lines, without its barriers, checks and waiting.
 */
static void lines_send(int who, uint32_t i, const uint8_t *from)
{
	memcpy(bare->data[who] + (uint64_t)i * LEN % BARE_DATA, from, LEN);
	__atomic_store_n(&bare->each[who].v, i + 1, __ATOMIC_RELEASE);
}

static void lines_go(int who, uint32_t i)
{
	const uint8_t *data = bare->data[!who] + (uint64_t)i * LEN % BARE_DATA;

	if (!who) {
		memcpy(payload, &i, sizeof(i));
		lines_send(who, i, payload);
	}
	while (__atomic_load_n(&bare->each[!who].v, __ATOMIC_ACQUIRE) != i + 1)
		cpu_pause();
	if (who)
		lines_send(who, i, data);
	check(data, i);
}

static void bytes_send(const uint8_t *from)
{
	chan_wait_room(&chan, LEN, LEN);
	memcpy(chan_tx_ptr(&chan), from, LEN);
	chan_produced(&chan, LEN);
}

static void bytes_go(int who, uint32_t i)
{
	if (!who) {
		memcpy(payload, &i, sizeof(i));
		bytes_send(payload);
	}
	chan_wait_data(&chan, LEN, LEN);
	/* What is answered is read where it lies, so that it is given back last. */
	if (who)
		bytes_send(chan_rx_ptr(&chan));
	check(chan_rx_ptr(&chan), i);
	chan_consumed(&chan, LEN);
}

static void message_send(const void *from, uint32_t i)
{
	void *p;
	int error;

	while ((error = ivring_msg_reserve(&mtx, LEN, &p)) == -EAGAIN)
		chan_wait_room(&chan, ivring_msg_size(LEN), ivring_msg_size(LEN));
	if (error)
		die("reserving: %s", strerror(-error));
	memcpy(p, from, LEN);
	if (ivring_msg_commit(&mtx, LEN, i))
		die("committing failed");
	if (ivring_msg_publish(&mtx))
		chan_ring(&chan);
}

static void message_go(int who, uint32_t i)
{
	uint32_t len, type, pauses;
	const void *p;
	int error;

	if (!who) {
		memcpy(payload, &i, sizeof(i));
		message_send(payload, i);
	}
	while ((error = ivring_msg_next(&mrx, &p, &len, &type)) == -EAGAIN) {
		for (pauses = ivring_msg_linger(&mrx); pauses; pauses--)
			cpu_pause();
		chan_wait_data(&chan, 1, 1);
	}
	if (error || len != LEN || type != i)
		die("receiving message %u: %s", i, strerror(-error));
	if (who)
		message_send(p, i);
	check(p, i);
	if (ivring_msg_release(&mrx))
		chan_ring(&chan);
}

static void bell_write(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		die("eventfd: %m");
}

static void eventfd_go(int who, uint32_t i)
{
	uint64_t count;

	(void)i;
	if (!who)
		bell_write(bell[1]);
	if (read(bell[who], &count, sizeof(count)) != sizeof(count))
		die("eventfd: %m");
	if (who)
		bell_write(bell[0]);
}

/* ---- running them ---- */

static void sample(struct samples *s, uint64_t ns)
{
	if (s->n < s->max)
		s->v[s->n++] = ns < UINT32_MAX ? ns : UINT32_MAX;
}

static void rtt_time(const struct rtt *r)
{
	uint32_t i, k, trips = r->n / 2;
	uint64_t t, last;

	for (i = 0; i < r->warm; i++)
		r->trip->go(0, i);
	last = now_ns();
	for (; i < r->warm + trips; i += r->trip->block) {
		for (k = 0; k < r->trip->block; k++)
			r->trip->go(0, i + k);
		t = now_ns();
		sample(r->blocks, t - last);
		last = t;
	}
	last = now_ns();
	for (; i < r->warm + r->n; i++) {
		r->trip->go(0, i);
		t = now_ns();
		sample(r->each, t - last);
		last = t;
	}
}

static void rtt_work(int who, void *arg)
{
	const struct rtt *r = arg;
	uint32_t i;

	pin(opt.cpu[who]);
	if (r->trip->ring) {
		chan_open(&chan, &r->region, 0, who, opt.window,
			  r->trip->sleep ? 0 : opt.spin_ns);
		chan.prefetch = r->trip->prefetch;
		if (ivring_msg_tx_init(&mtx, &chan.tx, chan.tx_data) ||
		    ivring_msg_rx_init(&mrx, &chan.rx, chan.rx_data))
			die("a ring that cannot carry messages");
		if (r->trip->go == message_go)
			chan.messages = &mrx;
	}
	duo_start();
	if (!who)
		rtt_time(r);
	else
		for (i = 0; i < r->warm + r->n; i++)
			r->trip->go(1, i);
	duo_stop();
	if (r->trip->ring)
		chan_close(&chan);
}

/* Median nanoseconds of a trip; each one's time is added to @each. */
static double rtt_run(const struct trip *trip, uint32_t n, struct samples *each)
{
	struct samples blocks;
	struct rtt r = {
		.trip = trip, .blocks = &blocks, .each = each, .warm = n / 10,
		/* Whole blocks in each half. */
		.n = n / (2 * trip->block) * 2 * trip->block,
	};
	double ns;

	samples_alloc(&blocks, n / trip->block + 1);
	memset(bare, 0, sizeof(*bare));
	region_create(&r.region, 1, opt.ring);
	bell[0] = eventfd(0, EFD_CLOEXEC);
	bell[1] = eventfd(0, EFD_CLOEXEC);
	if (bell[0] < 0 || bell[1] < 0)
		die("eventfd: %m");
	duo_run(2, rtt_work, &r);
	close(bell[0]);
	close(bell[1]);
	region_destroy(&r.region);
	ns = (double)samples_quantile(&blocks, 0.5) / trip->block;
	samples_free(&blocks);
	return ns;
}

/* All kinds in turn, as often as there are runs. */
static void rtt_runs(const struct trip *trips, int kinds, uint32_t n, struct series *s)
{
	struct samples each[8];
	int run, k;

	bare = shared_alloc(sizeof(*bare));
	populate(bare, sizeof(*bare), true);
	for (k = 0; k < kinds; k++)
		samples_alloc(&each[k], (size_t)opt.runs * n);
	for (run = 0; run < opt.runs; run++)
		for (k = 0; k < kinds; k++)
			series_add(&s[k], rtt_run(&trips[k], n, &each[k]));
	for (k = 0; k < kinds; k++) {
		report_figure(trips[k].name, trips[k].text, "ns", &s[k]);
		report_latency(trips[k].name, trips[k].text, &each[k]);
		samples_free(&each[k]);
	}
	munmap(bare, sizeof(*bare));
}

enum { EAGER, PAUSE, LINES, BYTES, BYTES_AHEAD, MESSAGE, MESSAGE_AHEAD, N_SPINNING };

static const struct trip spinning[N_SPINNING] = {
	[EAGER] = { "rtt_cacheline", "a bare cache line, no pause", line_eager_go, false, false,
		    64, false },
	[PAUSE] = { "rtt_cacheline_pause", "a bare cache line, pause", line_pause_go, false,
		    false, 64, false },
	[LINES] = { "rtt_lines", "bare lines, two each way, pause", lines_go, false, false, 64,
		    false },
	[BYTES] = { "rtt_bytes", "ring, 64 bytes", bytes_go, true, false, 64, false },
	[BYTES_AHEAD] = { "rtt_bytes_prefetch", "ring, 64 bytes, prefetch", bytes_go, true,
			  false, 64, true },
	[MESSAGE] = { "rtt_message", "ring, message of 64 bytes", message_go, true, false, 64,
		      false },
	[MESSAGE_AHEAD] = { "rtt_message_prefetch", "ring, message of 64 bytes, prefetch",
			    message_go, true, false, 64, true },
};

void bench_rtt(void)
{
	struct series s[N_SPINNING] = { { .n = 0 } }, best, ratio;

	report_title("Round trip, spinning");
	if (opt.cpus < 2) {
		report_note("skipped: spinning needs two CPUs");
		return;
	}
	rtt_runs(spinning, N_SPINNING, opt.quick ? 100000 : 400000, s);
	best = series_least(&s[EAGER], &s[PAUSE]);
	ratio = series_ratio(&s[BYTES], &s[BYTES_AHEAD]);
	report_key("prefetch_gain",
		   "64 bytes as it is / with a prefetch of the data at each look", &ratio, 0, true);
	ratio = series_ratio(&s[MESSAGE], &s[MESSAGE_AHEAD]);
	report_key("message_prefetch_gain",
		   "message as it is / with ivring_msg_prefetch() at each look", &ratio, 0, true);
	ratio = series_ratio(&s[BYTES], &s[LINES]);
	report_key("rtt_over_lines",
		   "64 bytes / bare lines, each way one with data and one that tells", &ratio, 0,
		   false);
	ratio = series_ratio(&s[MESSAGE], &best);
	report_key("message_rtt_over_cacheline",
		   "message of 64 bytes / bare cache line, the faster of pause and none", &ratio,
		   2.0, false);
	ratio = series_ratio(&s[BYTES], &best);
	report_key("rtt_over_cacheline",
		   "64 bytes / bare cache line, the faster of pause and none", &ratio, 2.0, false);
}

void bench_wake(void)
{
	static const struct trip trips[] = {
		{ "rtt_eventfd", "bare eventfds", eventfd_go, false, false, 1, false },
		{ "rtt_sleep", "ring, 64 bytes, sleeping", bytes_go, true, true, 1, false },
		{ "rtt_adaptive", "ring, 64 bytes, spinning adaptively", bytes_go, true, false,
		  1, false },
	};
	struct series s[3] = { { .n = 0 } }, ratio;

	report_title("Round trip, sleeping and waking by eventfd");
	rtt_runs(trips, 3, opt.quick ? 4000 : 20000, s);
	ratio = series_ratio(&s[1], &s[0]);
	report_key("wake_rtt_over_eventfd", "64 bytes, never spinning / bare eventfds", &ratio, 1.1,
		   false);
}

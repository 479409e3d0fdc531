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
};

struct rtt {
	const struct trip *trip;
	struct region region;
	struct samples *blocks, *each;
	uint32_t warm, n;
};

struct line {
	uint32_t v;
	uint8_t pad[IVRING_WIRE_LINE - 4];
};

static struct chan chan;
static struct ivring_msg_tx mtx;
static struct ivring_msg_rx mrx;
static struct line *line;
static int bell[2];
static uint8_t payload[LEN];

/* ---- the kinds of trips ---- */

/* One line that both write by turns: the least there is. */
static void cacheline_go(int who, uint32_t i)
{
	if (!who)
		__atomic_store_n(&line->v, 2 * i + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&line->v, __ATOMIC_ACQUIRE) != 2 * i + 1 + !who)
		;
	if (who)
		__atomic_store_n(&line->v, 2 * i + 2, __ATOMIC_RELEASE);
}

static void check(const uint8_t *p, uint32_t i)
{
	uint32_t n;

	memcpy(payload, p, LEN);
	memcpy(&n, payload, sizeof(n));
	if (n != i)
		die("message %u is not what was sent", i);
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
	uint32_t len, type;
	const void *p;
	int error;

	if (!who) {
		memcpy(payload, &i, sizeof(i));
		message_send(payload, i);
	}
	while ((error = ivring_msg_next(&mrx, &p, &len, &type)) == -EAGAIN)
		chan_wait_data(&chan, 1, 1);
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
		if (ivring_msg_tx_init(&mtx, &chan.tx, chan.tx_data) ||
		    ivring_msg_rx_init(&mrx, &chan.rx, chan.rx_data))
			die("a ring that cannot carry messages");
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
	line->v = 0;
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

	line = shared_alloc(sizeof(*line));
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
	munmap(line, sizeof(*line));
}

void bench_rtt(void)
{
	static const struct trip trips[] = {
		{ "rtt_cacheline", "a bare cache line", cacheline_go, false, false, 64 },
		{ "rtt_bytes", "ring, 64 bytes", bytes_go, true, false, 64 },
		{ "rtt_message", "ring, message of 64 bytes", message_go, true, false, 64 },
	};
	struct series s[3] = { { .n = 0 } }, ratio;

	report_title("Round trip, spinning");
	if (opt.cpus < 2) {
		report_note("skipped: spinning needs two CPUs");
		return;
	}
	rtt_runs(trips, 3, opt.quick ? 100000 : 400000, s);
	ratio = series_ratio(&s[2], &s[0]);
	report_key("message_rtt_over_cacheline", &ratio, 0, false);
	ratio = series_ratio(&s[1], &s[0]);
	report_key("rtt_over_cacheline", &ratio, 2.0, false);
}

void bench_wake(void)
{
	static const struct trip trips[] = {
		{ "rtt_eventfd", "bare eventfds", eventfd_go, false, false, 1 },
		{ "rtt_sleep", "ring, 64 bytes, sleeping", bytes_go, true, true, 1 },
		{ "rtt_adaptive", "ring, 64 bytes, spinning adaptively", bytes_go, true, false,
		  1 },
	};
	struct series s[3] = { { .n = 0 } }, ratio;

	report_title("Round trip, sleeping and waking by eventfd");
	rtt_runs(trips, 3, opt.quick ? 4000 : 20000, s);
	ratio = series_ratio(&s[1], &s[0]);
	report_key("wake_rtt_over_eventfd", &ratio, 1.1, false);
}

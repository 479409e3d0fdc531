// SPDX-License-Identifier: GPL-2.0
/* The ring's hot path, include/ivring/ring.h, over plain memory. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <ivring/ring.h>

#include "tap.h"

struct ring {
	struct ivring_wire_ring wire;
	struct ivring_tx tx;
	struct ivring_rx rx;
	uint8_t *data;
};

/* A ring whose indices all stand at @start. */
static void ring_init(struct ring *r, uint64_t size, uint64_t window, uint64_t start)
{
	memset(r, 0xa5, sizeof(*r));
	r->tx.own = &r->wire.producer;
	r->tx.peer = &r->wire.consumer;
	r->rx.own = &r->wire.consumer;
	r->rx.peer = &r->wire.producer;
	r->tx.size = size;
	r->rx.size = size;
	r->tx.window = window;
	ivring_tx_reset(&r->tx);
	ivring_rx_reset(&r->rx);
	r->tx.prod = start;
	r->tx.cons = start;
	r->rx.prod = start;
	r->rx.cons = start;
	r->wire.producer.prod = htole64(start);
	r->wire.producer.event = htole64(start);
	r->wire.consumer.cons = htole64(start);
	r->wire.consumer.event = htole64(start);
	r->data = calloc(1, size);
}

static void ring_free(struct ring *r)
{
	free(r->data);
}

static uint8_t pattern(uint64_t n)
{
	return (n * 0x9e3779b97f4a7c15ULL) >> 56;
}

static void put(struct ring *r, uint64_t len)
{
	uint64_t i;

	for (i = 0; i < len; i++)
		r->data[(r->tx.prod + i) & (r->tx.size - 1)] = pattern(r->tx.prod + i);
}

static bool got(const struct ring *r, uint64_t len)
{
	uint64_t i;

	for (i = 0; i < len; i++)
		if (r->data[(r->rx.cons + i) & (r->rx.size - 1)] != pattern(r->rx.cons + i))
			return false;
	return true;
}

static const uint64_t starts[] = {
	0, 1, (1ULL << 32) - 1, (1ULL << 32) - 7, 1ULL << 63, (1ULL << 63) - 3, -1ULL, -5ULL,
	-1000ULL,
};

#define for_each(item, array) \
	for (size_t __i = 0; __i < sizeof(array) / sizeof((array)[0]) && \
	     ((item) = (array)[__i], 1); __i++)

static void test_reset(void)
{
	struct ring r;

	ring_init(&r, 64, 64, 12345);
	ivring_tx_reset(&r.tx);
	ivring_rx_reset(&r.rx);
	CHECK(!r.tx.prod && !r.tx.cons && !r.rx.prod && !r.rx.cons);
	CHECK(!r.wire.producer.prod && !r.wire.producer.event);
	CHECK(!r.wire.consumer.cons && !r.wire.consumer.event);
	CHECK(ivring_tx_cached_space(&r.tx) == 64);
	CHECK(!ivring_rx_cached_avail(&r.rx));
	CHECK(!ivring_tx_refresh(&r.tx) && !ivring_rx_refresh(&r.rx));
	ring_free(&r);
}

static void test_empty_and_full(void)
{
	uint64_t size, start;
	struct ring r;

	for (size = 1; size <= 4096; size *= 2) {
		for_each(start, starts) {
			ring_init(&r, size, size, start);
			CHECK(ivring_tx_cached_space(&r.tx) == size);
			CHECK(!ivring_rx_refresh(&r.rx));
			CHECK(ivring_rx_cached_avail(&r.rx) == 0);
			put(&r, size);
			ivring_tx_publish(&r.tx, size);
			CHECK(ivring_tx_cached_space(&r.tx) == 0);
			CHECK(!ivring_tx_refresh(&r.tx));
			CHECK(ivring_tx_cached_space(&r.tx) == 0);
			/* The consumer sees nothing before it looks. */
			CHECK(ivring_rx_cached_avail(&r.rx) == 0);
			CHECK(!ivring_rx_refresh(&r.rx));
			CHECK(ivring_rx_cached_avail(&r.rx) == size);
			CHECK(got(&r, size));
			ivring_rx_publish(&r.rx, size);
			CHECK(ivring_rx_cached_avail(&r.rx) == 0);
			CHECK(ivring_tx_cached_space(&r.tx) == 0);
			CHECK(!ivring_tx_refresh(&r.tx));
			CHECK(ivring_tx_cached_space(&r.tx) == size);
			ring_free(&r);
		}
	}
}

/* Every length at every place of a small ring, and odd ones through bigger ones. */
static void test_lengths(void)
{
	uint64_t size, len, step, start;
	struct ring r;

	for (size = 1; size <= 256; size *= 2) {
		for_each(start, starts) {
			ring_init(&r, size, size, start);
			for (len = 1; len <= size; len++) {
				for (step = 0; step < 3 * size / len + 2; step++) {
					CHECK(ivring_tx_cached_space(&r.tx) == size);
					put(&r, len);
					ivring_tx_publish(&r.tx, len);
					CHECK(!ivring_rx_refresh(&r.rx));
					CHECK(ivring_rx_cached_avail(&r.rx) == len);
					CHECK(got(&r, len));
					ivring_rx_publish(&r.rx, len);
					CHECK(!ivring_tx_refresh(&r.tx));
				}
			}
			ring_free(&r);
		}
	}
}

/* From 2^32 - 10000 and 2^64 - 10000, in steps that meet the border differently. */
static void test_index_wrap(void)
{
	const uint64_t borders[] = { 1ULL << 32, 0, 1ULL << 63 };
	uint64_t border, step;
	struct ring r;

	for_each(border, borders) {
		for (step = 1; step < 100; step += 7) {
			ring_init(&r, 128, 100, border - 10000);
			while (r.rx.cons - border > 10000) {
				put(&r, step);
				ivring_tx_publish(&r.tx, step);
				CHECK(!ivring_rx_refresh(&r.rx));
				CHECK(ivring_rx_cached_avail(&r.rx) == step);
				CHECK(got(&r, step));
				ivring_rx_publish(&r.rx, step);
				CHECK(!ivring_tx_refresh(&r.tx));
				CHECK(ivring_tx_cached_space(&r.tx) == 100);
			}
			ring_free(&r);
		}
	}
}

/* ---- events ---- */

/* Reached: the index passed over it or came to stand on it just now. */
static bool reached(uint64_t event, uint64_t new, uint64_t old)
{
	uint64_t i;

	for (i = old; i != new; i++)
		if (i + 1 == event)
			return true;
	return false;
}

static void test_event_reached(void)
{
	uint64_t start, old, new, event;

	for_each(start, starts)
		for (old = start - 6; old != start + 6; old++)
			for (new = old; new != old + 6; new++)
				for (event = start - 12; event != start + 18; event++)
					CHECK(ivring_event_reached(event, new, old) ==
					      reached(event, new, old));
	/* Far away it never is. */
	CHECK(!ivring_event_reached(0, 1000, 500));
	CHECK(!ivring_event_reached(1ULL << 63, 1000, 500));
	CHECK(!ivring_event_reached(500, 1000, 500));
	CHECK(ivring_event_reached(501, 1000, 500));
	CHECK(ivring_event_reached(1000, 1000, 500));
	CHECK(!ivring_event_reached(1001, 1000, 500));
}

/* A wish for @want bytes rings once, just when they are there. */
static void test_rx_arm(void)
{
	uint64_t start, have, want, step;
	struct ring r;
	int rung;

	for_each(start, starts) {
		for (have = 0; have < 16; have++) {
			for (want = have + 1; want <= 16; want++) {
				for (step = 1; step <= 3; step++) {
					ring_init(&r, 16, 16, start);
					ivring_tx_publish(&r.tx, have);
					CHECK(!ivring_rx_refresh(&r.rx));
					ivring_rx_arm(&r.rx, want);
					rung = 0;
					while (r.tx.prod - start + step <= 16) {
						bool was = r.tx.prod - start >= want;
						bool ring = ivring_tx_publish(&r.tx, step);
						bool is = r.tx.prod - start >= want;

						CHECK(ring == (is && !was));
						rung += ring;
					}
					CHECK(rung == (r.tx.prod - start >= want));
					ring_free(&r);
				}
			}
		}
	}
}

/* The same for room, under windows of all sizes. */
static void test_tx_arm(void)
{
	uint64_t start, window, used, space, step;
	struct ring r;

	for_each(start, starts) {
		for (window = 1; window <= 16; window++) {
			for (used = 1; used <= window; used++) {
				for (space = window - used + 1; space <= window; space++) {
					step = 1 + (start + used + space) % 3;
					ring_init(&r, 16, window, start);
					ivring_tx_publish(&r.tx, used);
					CHECK(!ivring_rx_refresh(&r.rx));
					ivring_tx_arm(&r.tx, space);
					while (ivring_rx_cached_avail(&r.rx) >= step) {
						uint64_t left = ivring_rx_cached_avail(&r.rx);
						bool was = window - left >= space;
						bool ring = ivring_rx_publish(&r.rx, step);
						bool is = window - (left - step) >= space;

						CHECK(ring == (is && !was));
						CHECK(!ivring_tx_refresh(&r.tx));
						CHECK((ivring_tx_cached_space(&r.tx) >= space) ==
						      is);
					}
					ring_free(&r);
				}
			}
		}
	}
}

static void test_tx_arm_others(void)
{
	uint64_t start, used;
	struct ring r;

	for_each(start, starts) {
		for (used = 2; used <= 16; used++) {
			ring_init(&r, 16, 16, start);
			ivring_tx_publish(&r.tx, used);
			CHECK(!ivring_rx_refresh(&r.rx));
			ivring_tx_arm_progress(&r.tx);
			CHECK(ivring_rx_publish(&r.rx, 1));
			CHECK(!ivring_tx_refresh(&r.tx));
			ivring_tx_arm_drained(&r.tx);
			while (ivring_rx_cached_avail(&r.rx) > 1)
				CHECK(!ivring_rx_publish(&r.rx, 1));
			CHECK(ivring_rx_publish(&r.rx, 1));
			CHECK(!ivring_tx_refresh(&r.tx));
			CHECK(r.tx.cons == r.tx.prod);
			ring_free(&r);
		}
	}
}

/* Nobody asked, nobody is rung: also not for what was asked for before. */
static void test_suppression(void)
{
	uint64_t start;
	struct ring r;
	int i;

	for_each(start, starts) {
		ring_init(&r, 64, 64, start);
		for (i = 0; i < 100; i++) {
			CHECK(!ivring_tx_publish(&r.tx, 1 + i % 7));
			CHECK(!ivring_rx_refresh(&r.rx));
			CHECK(!ivring_rx_publish(&r.rx, 1 + i % 7));
			CHECK(!ivring_tx_refresh(&r.tx));
		}
		ring_free(&r);
	}
}

/* ---- a peer that lies ---- */

static void test_bad_prod(void)
{
	const uint64_t lies[] = { 17, 18, 1000, 1ULL << 32, 1ULL << 63, -1ULL, -17ULL, 4, 3, 0 };
	uint64_t start, lie;
	struct ivring_rx before;
	struct ring r;

	for_each(start, starts) {
		for (size_t k = 0; k < sizeof(lies) / sizeof(lies[0]); k++) {
			lie = lies[k];
			ring_init(&r, 16, 16, start);
			/* 5 produced and seen; 0 consumed. */
			ivring_tx_publish(&r.tx, 5);
			CHECK(!ivring_rx_refresh(&r.rx));
			before = r.rx;
			r.wire.producer.prod = htole64(start + lie);
			CHECK(ivring_rx_refresh(&r.rx) == -EPROTO);
			CHECK(!memcmp(&before, &r.rx, sizeof(before)));
			/* Again: the same. And the truth is accepted. */
			CHECK(ivring_rx_refresh(&r.rx) == -EPROTO);
			r.wire.producer.prod = htole64(start + 16);
			CHECK(!ivring_rx_refresh(&r.rx));
			CHECK(ivring_rx_cached_avail(&r.rx) == 16);
			ring_free(&r);
		}
	}
}

static void test_bad_cons(void)
{
	const uint64_t lies[] = { 11, 12, 16, 1000, 1ULL << 32, 1ULL << 63, -1ULL, 3, 2, 0 };
	uint64_t start, lie;
	struct ivring_tx before;
	struct ring r;

	for_each(start, starts) {
		for (size_t k = 0; k < sizeof(lies) / sizeof(lies[0]); k++) {
			lie = lies[k];
			ring_init(&r, 16, 16, start);
			/* 10 produced, 4 consumed and seen. */
			ivring_tx_publish(&r.tx, 10);
			CHECK(!ivring_rx_refresh(&r.rx));
			ivring_rx_publish(&r.rx, 4);
			CHECK(!ivring_tx_refresh(&r.tx));
			before = r.tx;
			r.wire.consumer.cons = htole64(start + lie);
			CHECK(ivring_tx_refresh(&r.tx) == -EPROTO);
			CHECK(!memcmp(&before, &r.tx, sizeof(before)));
			r.wire.consumer.cons = htole64(start + 10);
			CHECK(!ivring_tx_refresh(&r.tx));
			CHECK(ivring_tx_cached_space(&r.tx) == 16);
			ring_free(&r);
		}
	}
}

/* Every value near the borders, at each fill of small rings; empty and full among them. */
static void test_bad_at_borders(void)
{
	uint64_t start, size, used, lie;
	struct ring r;

	for_each(start, starts) {
		for (size = 1; size <= 16; size *= 2) {
			for (used = 0; used <= size; used++) {
				ring_init(&r, size, size, start);
				for (lie = -40ULL; lie != 40; lie++) {
					bool cons_ok = lie <= used, prod_ok = lie >= used && lie <= size;

					r.tx.prod = start + used;
					r.tx.cons = start;
					r.wire.consumer.cons = htole64(start + lie);
					CHECK(ivring_tx_refresh(&r.tx) == (cons_ok ? 0 : -EPROTO));
					CHECK(r.tx.cons == (cons_ok ? start + lie : start));

					r.rx.prod = start + used;
					r.rx.cons = start;
					r.wire.producer.prod = htole64(start + lie);
					CHECK(ivring_rx_refresh(&r.rx) == (prod_ok ? 0 : -EPROTO));
					CHECK(r.rx.prod == start + (prod_ok ? lie : used));
				}
				ring_free(&r);
			}
		}
	}
}

struct flipper {
	struct ring r;
	bool stop;
};

/* Writes what is right and what is not as fast as it can. */
static void *flip(void *arg)
{
	struct flipper *f = arg;
	struct ivring_wire_ring *w = &f->r.wire;
	bool bad = false;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(&w->producer.prod, htole64(16 + bad), __ATOMIC_RELAXED);
		__atomic_store_n(&w->consumer.cons, htole64(8 + bad), __ATOMIC_RELAXED);
		bad = !bad;
	}
	return NULL;
}

/* What was judged is what is used, however the peer's index changes meanwhile. */
static void test_changing_index(void)
{
	int i, good = 0, bad = 0, ret;
	struct flipper f = { 0 };
	pthread_t thread;

	ring_init(&f.r, 16, 16, 0);
	pthread_create(&thread, NULL, flip, &f);
	for (i = 0; i < 10000000 && (i < 200000 || !good || !bad); i++) {
		f.r.rx.prod = 0;
		ret = ivring_rx_refresh(&f.r.rx);
		CHECK(ret == 0 || ret == -EPROTO);
		CHECK(f.r.rx.prod == 0 || (!ret && f.r.rx.prod == 16));
		good += f.r.rx.prod == 16;
		bad += ret == -EPROTO;

		f.r.tx.prod = 8;
		f.r.tx.cons = 0;
		ret = ivring_tx_refresh(&f.r.tx);
		CHECK(ret == 0 || ret == -EPROTO);
		CHECK(f.r.tx.cons == 0 || (!ret && f.r.tx.cons == 8));
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CHECK(good && bad);
	ring_free(&f.r);
}

/* No wish that the peer may write makes a publication fail; it may ring, or not. */
static void test_bad_event(void)
{
	uint64_t start;
	struct ring r;
	int i, rung;

	for_each(start, starts) {
		ring_init(&r, 16, 16, start);
		for (i = 0, rung = 0; i < 1000; i++) {
			r.wire.consumer.event = htole64(start * i + i * 0x123456789abcdefULL);
			r.wire.producer.event = htole64(-1ULL - start * i);
			rung += ivring_tx_publish(&r.tx, 3);
			CHECK(!ivring_rx_refresh(&r.rx));
			rung += ivring_rx_publish(&r.rx, 3);
			CHECK(!ivring_tx_refresh(&r.tx));
			CHECK(ivring_tx_cached_space(&r.tx) == 16);
		}
		CHECK(rung <= 2000);
		ring_free(&r);
	}
}

/* ---- windows ---- */

static void test_window(void)
{
	uint64_t start, window;
	struct ring r;

	for_each(start, starts) {
		for (window = 1; window <= 16; window++) {
			ring_init(&r, 16, window, start);
			CHECK(ivring_tx_cached_space(&r.tx) == window);
			ivring_tx_publish(&r.tx, window);
			CHECK(!ivring_tx_cached_space(&r.tx));
			CHECK(!ivring_rx_refresh(&r.rx));
			ivring_rx_publish(&r.rx, 1);
			CHECK(!ivring_tx_cached_space(&r.tx));
			CHECK(!ivring_tx_refresh(&r.tx));
			CHECK(ivring_tx_cached_space(&r.tx) == 1);
			ring_free(&r);
		}
	}
}

/* Below what is in flight: no room, and none underneath zero. */
static void test_window_shrinks(void)
{
	uint64_t start, left;
	struct ring r;

	for_each(start, starts) {
		ring_init(&r, 16, 16, start);
		ivring_tx_publish(&r.tx, 12);
		r.tx.window = 5;
		CHECK(!ivring_rx_refresh(&r.rx));
		for (left = 12; left; left--) {
			CHECK(ivring_tx_cached_space(&r.tx) == (left < 5 ? 5 - left : 0));
			ivring_rx_publish(&r.rx, 1);
			CHECK(!ivring_tx_refresh(&r.tx));
		}
		CHECK(ivring_tx_cached_space(&r.tx) == 5);
		/* Armed in that state, it rings when the smaller window has room. */
		r.tx.window = 16;
		ivring_tx_publish(&r.tx, 12);
		r.tx.window = 5;
		CHECK(!ivring_rx_refresh(&r.rx));
		ivring_tx_arm(&r.tx, 2);
		for (left = 11; left > 3; left--)
			CHECK(!ivring_rx_publish(&r.rx, 1));
		CHECK(ivring_rx_publish(&r.rx, 1));
		CHECK(!ivring_tx_refresh(&r.tx));
		CHECK(ivring_tx_cached_space(&r.tx) == 2);
		ring_free(&r);
	}
}

/* ---- two threads ---- */

struct stress {
	struct ring r;
	uint64_t start, total;
	sem_t to_tx, to_rx;
	uint64_t rung_tx, rung_rx;
	int error_tx, error_rx;
};

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

/* Sleep for a doorbell; one that never comes is the fault looked for here. */
static int doorbell_wait(sem_t *bell)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 20;
	while (sem_timedwait(bell, &ts))
		if (errno != EINTR)
			return -errno;
	return 0;
}

static void *stress_produce(void *arg)
{
	struct stress *s = arg;
	struct ivring_tx *tx = &s->r.tx;
	uint64_t rnd = 1, left = s->total, len;

	while (left && !s->error_tx) {
		len = 1 + next_random(&rnd) % tx->window;
		len = len < left ? len : left;
		while (!s->error_tx && ivring_tx_cached_space(tx) < len) {
			s->error_tx = ivring_tx_refresh(tx);
			if (s->error_tx || ivring_tx_cached_space(tx) >= len)
				break;
			ivring_tx_arm(tx, len);
			s->error_tx = ivring_tx_refresh(tx);
			if (!s->error_tx && ivring_tx_cached_space(tx) < len)
				s->error_tx = doorbell_wait(&s->to_tx);
		}
		if (s->error_tx)
			break;
		put(&s->r, len);
		if (ivring_tx_publish(tx, len)) {
			s->rung_rx++;
			sem_post(&s->to_rx);
		}
		left -= len;
	}
	while (!s->error_tx && tx->cons != tx->prod) {
		ivring_tx_arm_drained(tx);
		s->error_tx = ivring_tx_refresh(tx);
		if (!s->error_tx && tx->cons != tx->prod)
			s->error_tx = doorbell_wait(&s->to_tx);
	}
	return NULL;
}

static void *stress_consume(void *arg)
{
	struct stress *s = arg;
	struct ivring_rx *rx = &s->r.rx;
	uint64_t rnd = 2, left = s->total, len;

	while (left && !s->error_rx) {
		len = 1 + next_random(&rnd) % (s->r.tx.window / 2);
		len = len < left ? len : left;
		while (!s->error_rx && ivring_rx_cached_avail(rx) < len) {
			s->error_rx = ivring_rx_refresh(rx);
			if (s->error_rx || ivring_rx_cached_avail(rx) >= len)
				break;
			ivring_rx_arm(rx, 1 + ivring_rx_cached_avail(rx));
			s->error_rx = ivring_rx_refresh(rx);
			if (!s->error_rx && ivring_rx_cached_avail(rx) >= len)
				break;
			/* Half a chunk may be all there will be for now: take it. */
			if (!s->error_rx && ivring_rx_cached_avail(rx)) {
				len = ivring_rx_cached_avail(rx);
				break;
			}
			if (!s->error_rx)
				s->error_rx = doorbell_wait(&s->to_rx);
		}
		if (s->error_rx)
			break;
		if (!got(&s->r, len))
			s->error_rx = -EILSEQ;
		if (ivring_rx_publish(rx, len)) {
			s->rung_tx++;
			sem_post(&s->to_tx);
		}
		left -= len;
	}
	return NULL;
}

static void test_threads(void)
{
	const uint64_t sizes[] = { 4, 64, 4096, 65536 };
	const uint64_t begins[] = { 0, (1ULL << 32) - 5000, -5000ULL };
	uint64_t size, start;
	pthread_t tx, rx;
	struct stress s;

	for_each(size, sizes) {
		for (size_t k = 0; k < sizeof(begins) / sizeof(begins[0]); k++) {
			start = begins[k];
			memset(&s, 0, sizeof(s));
			ring_init(&s.r, size, k == 1 ? size / 2 : size, start);
			s.total = size < 64 ? 50000 : 2000000;
			sem_init(&s.to_tx, 0, 0);
			sem_init(&s.to_rx, 0, 0);
			pthread_create(&tx, NULL, stress_produce, &s);
			pthread_create(&rx, NULL, stress_consume, &s);
			pthread_join(tx, NULL);
			pthread_join(rx, NULL);
			CHECK(!s.error_tx && !s.error_rx);
			CHECK(s.r.tx.prod == start + s.total);
			CHECK(s.r.rx.cons == start + s.total);
			CHECK(s.r.tx.cons == start + s.total);
			if (s.error_tx || s.error_rx)
				printf("# size %ju start %#jx: producer %d, consumer %d\n",
				       (uintmax_t)size, (uintmax_t)start, s.error_tx, s.error_rx);
			ring_free(&s.r);
			sem_destroy(&s.to_tx);
			sem_destroy(&s.to_rx);
		}
	}
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "reset", test_reset },
		{ "empty and full", test_empty_and_full },
		{ "all lengths", test_lengths },
		{ "indices wrap at 2^32, 2^63 and 2^64", test_index_wrap },
		{ "when an event is reached", test_event_reached },
		{ "a wish for data", test_rx_arm },
		{ "a wish for room", test_tx_arm },
		{ "wishes for progress and for drained", test_tx_arm_others },
		{ "no wish, no doorbell", test_suppression },
		{ "impossible prod", test_bad_prod },
		{ "impossible cons", test_bad_cons },
		{ "impossible indices at every fill of small rings", test_bad_at_borders },
		{ "indices that change while they are read", test_changing_index },
		{ "senseless event", test_bad_event },
		{ "a window smaller than the ring", test_window },
		{ "a window that shrinks below what is in flight", test_window_shrinks },
		{ "two threads, all data, no wake-up lost", test_threads },
	};
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tap_run(tests[i].run, tests[i].name);
	return tap_done();
}

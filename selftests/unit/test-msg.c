// SPDX-License-Identifier: GPL-2.0
/* Message mode, include/ivring/msg.h, over memory that is mapped twice in a row. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ivring/msg.h>

#include "tap.h"

#define SIZE	4096ull		/* a page is the least that can be mapped twice */
#define HEAD	sizeof(struct ivring_wire_msg)

struct ring {
	struct ivring_wire_ring wire;
	struct ivring_tx tx;
	struct ivring_rx rx;
	struct ivring_msg_tx mtx;
	struct ivring_msg_rx mrx;
	uint8_t *data;
};

static uint8_t *map_twice(size_t size)
{
	int fd = memfd_create("test-msg", MFD_CLOEXEC);
	uint8_t *p;
	int i;

	if (fd < 0 || ftruncate(fd, size))
		abort();
	p = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < 2; i++)
		if (mmap(p + i * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			 0) == MAP_FAILED)
			abort();
	close(fd);
	return p;
}

/* A ring whose indices all stand at @start. */
static void ring_init(struct ring *r, uint64_t size, uint64_t window, uint64_t start)
{
	memset(r, 0, sizeof(*r));
	r->tx.own = &r->wire.producer;
	r->tx.peer = &r->wire.consumer;
	r->rx.own = &r->wire.consumer;
	r->rx.peer = &r->wire.producer;
	r->tx.size = size;
	r->rx.size = size;
	r->tx.window = window;
	r->tx.prod = start;
	r->tx.cons = start;
	r->rx.prod = start;
	r->rx.cons = start;
	r->wire.producer.prod = htole64(start);
	r->wire.producer.event = htole64(start);
	r->wire.consumer.cons = htole64(start);
	r->wire.consumer.event = htole64(start);
	r->data = map_twice(size);
	CHECK(!ivring_msg_tx_init(&r->mtx, &r->tx, r->data));
	CHECK(!ivring_msg_rx_init(&r->mrx, &r->rx, r->data));
}

static void ring_free(struct ring *r)
{
	munmap(r->data, 2 * r->tx.size);
}

/* Send a message of @len bytes made from @seed, unpublished. */
static int put(struct ring *r, uint64_t len, uint32_t seed)
{
	void *payload;
	uint8_t *p;
	int error = ivring_msg_reserve(&r->mtx, len, &payload);

	if (error)
		return error;
	CHECK(!((uintptr_t)payload % IVRING_MSG_ALIGN));
	for (p = payload; p < (uint8_t *)payload + len; p++)
		*p = seed + (p - (uint8_t *)payload);
	return ivring_msg_commit(&r->mtx, len, seed);
}

/* Take a message; it must be as put() made it. */
static int got(struct ring *r, uint64_t len, uint32_t seed)
{
	const void *payload;
	const uint8_t *p;
	uint32_t n, type, i;
	int error = ivring_msg_next(&r->mrx, &payload, &n, &type);

	if (error)
		return error;
	if (n != len || type != seed || (uintptr_t)payload % IVRING_MSG_ALIGN)
		return -EILSEQ;
	for (p = payload, i = 0; i < n; i++)
		if (p[i] != (uint8_t)(seed + i))
			return -EILSEQ;
	return 0;
}

static const uint64_t starts[] = {
	0, 8, 4088, (1ULL << 32) - 8, (1ULL << 32) - 48, 1ULL << 63, (1ULL << 63) - 24, -8ULL,
	-1000ULL, -4096ULL,
};

#define N_STARTS (sizeof(starts) / sizeof(starts[0]))

static void test_sizes(void)
{
	CHECK(ivring_msg_size(0) == 8);
	CHECK(ivring_msg_size(1) == 16);
	CHECK(ivring_msg_size(8) == 16);
	CHECK(ivring_msg_size(9) == 24);
	CHECK(ivring_msg_size(64) == 72);
	CHECK(ivring_msg_size((uint32_t)-1) == (1ULL << 32) + 8);
	CHECK(ivring_msg_len_max(0) == 0);
	CHECK(ivring_msg_len_max(7) == 0);
	CHECK(ivring_msg_len_max(8) == 0);
	CHECK(ivring_msg_len_max(15) == 0);
	CHECK(ivring_msg_len_max(16) == 8);
	CHECK(ivring_msg_len_max(4096) == 4088);
	CHECK(ivring_msg_len_max(4095) == 4080);
	CHECK(ivring_msg_len_max(1ULL << 40) == (uint32_t)-1);
	for (uint64_t w = 16; w < 4096; w++) {
		CHECK(ivring_msg_size(ivring_msg_len_max(w)) <= w);
		CHECK(ivring_msg_size(ivring_msg_len_max(w) + 1) > w);
	}
}

static void test_bad_geometry(void)
{
	const uint64_t sizes[] = { 0, 1, 2, 8, 15, 24, 100, 4095, 4097, 3ULL << 30, -1ULL };
	static uint64_t data[8];
	struct ivring_msg_tx mtx;
	struct ivring_msg_rx mrx;
	struct ivring_tx tx = { .window = 16 };
	struct ivring_rx rx = { 0 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		tx.size = sizes[i];
		rx.size = sizes[i];
		CHECK(ivring_msg_tx_init(&mtx, &tx, data) == -EINVAL);
		CHECK(ivring_msg_rx_init(&mrx, &rx, data) == -EINVAL);
	}
	tx.size = 16;
	rx.size = 16;
	CHECK(!ivring_msg_tx_init(&mtx, &tx, data));
	CHECK(!ivring_msg_rx_init(&mrx, &rx, data));
	CHECK(ivring_msg_tx_init(&mtx, &tx, (uint8_t *)data + 4) == -EINVAL);
	CHECK(ivring_msg_rx_init(&mrx, &rx, (uint8_t *)data + 4) == -EINVAL);
	tx.prod = 4;
	rx.cons = 4;
	CHECK(ivring_msg_tx_init(&mtx, &tx, data) == -EINVAL);
	CHECK(ivring_msg_rx_init(&mrx, &rx, data) == -EINVAL);
	tx.prod = 0;
	tx.window = 17;
	CHECK(ivring_msg_tx_init(&mtx, &tx, data) == -EINVAL);
	tx.window = 7;
	CHECK(ivring_msg_tx_init(&mtx, &tx, data) == -EINVAL);
	tx.window = 0;
	CHECK(ivring_msg_tx_init(&mtx, &tx, data) == -EINVAL);
}

/* Every length there is, many times round the ring, one at a time. */
static void test_lengths(void)
{
	uint64_t len, i;
	struct ring r;

	for (size_t k = 0; k < N_STARTS; k++) {
		ring_init(&r, SIZE, SIZE, starts[k]);
		for (len = 0; len <= SIZE - HEAD; len += len < 200 ? 1 : 61) {
			for (i = 0; i < 2 + SIZE / ivring_msg_size(len) && i < 80; i++) {
				CHECK(!put(&r, len, len + i));
				CHECK(got(&r, len, len + i) == -EAGAIN);
				ivring_msg_publish(&r.mtx);
				CHECK(!got(&r, len, len + i));
				CHECK(got(&r, 0, 0) == -EAGAIN);
				ivring_msg_release(&r.mrx);
			}
		}
		/* The longest, where it runs over the ring's end. */
		for (i = 0; i < 3; i++) {
			CHECK(!put(&r, SIZE - HEAD, i));
			ivring_msg_publish(&r.mtx);
			CHECK(!got(&r, SIZE - HEAD, i));
			ivring_msg_release(&r.mrx);
			CHECK(!put(&r, 8, i));
			ivring_msg_publish(&r.mtx);
			CHECK(!got(&r, 8, i));
			ivring_msg_release(&r.mrx);
		}
		ring_free(&r);
	}
}

/* Several in one publication; all that were taken are given back at once. */
static void test_batches(void)
{
	uint64_t batch, i, round;
	struct ring r;

	for (size_t k = 0; k < N_STARTS; k++) {
		ring_init(&r, SIZE, SIZE, starts[k]);
		for (batch = 1; batch <= SIZE / 72; batch += 3) {
			for (round = 0; round < 10; round++) {
				for (i = 0; i < batch; i++)
					CHECK(!put(&r, 60 + i % 5, i));
				CHECK(r.tx.prod == r.rx.cons);
				ivring_msg_publish(&r.mtx);
				CHECK(!r.mtx.pending);
				for (i = 0; i < batch; i++)
					CHECK(!got(&r, 60 + i % 5, i));
				CHECK(got(&r, 0, 0) == -EAGAIN);
				CHECK(r.wire.consumer.cons != r.wire.producer.prod);
				ivring_msg_release(&r.mrx);
				CHECK(r.wire.consumer.cons == r.wire.producer.prod);
			}
		}
		ring_free(&r);
	}
}

static void test_full(void)
{
	uint64_t n, fit;
	struct ring r;

	for (size_t k = 0; k < N_STARTS; k++) {
		ring_init(&r, SIZE, 1000, starts[k]);
		fit = 1000 / 72;
		for (n = 0; n < fit; n++)
			CHECK(!put(&r, 64, n));
		CHECK(put(&r, 64, n) == -EAGAIN);
		CHECK(!put(&r, 1000 - 72 * fit - HEAD, 99));
		/* What the failed reservation left cannot be committed. */
		CHECK(put(&r, 1, n) == -EAGAIN);
		CHECK(ivring_msg_commit(&r.mtx, 0, 0) == -EINVAL);
		ivring_msg_publish(&r.mtx);
		CHECK(put(&r, 64, n) == -EAGAIN);
		CHECK(!got(&r, 64, 0));
		CHECK(put(&r, 64, n) == -EAGAIN);
		ivring_msg_release(&r.mrx);
		CHECK(!put(&r, 64, n));
		CHECK(put(&r, 0, n) == -EAGAIN);
		/* A window that shrinks below what is pending only means no room. */
		r.tx.window = 8;
		CHECK(put(&r, 0, n) == -EAGAIN);
		CHECK(put(&r, 1, n) == -EMSGSIZE);
		ring_free(&r);
	}
}

/* Nothing pending and nothing taken: no store, no barrier, no doorbell. */
static void test_doorbells(void)
{
	struct ring r;

	ring_init(&r, SIZE, SIZE, 0);
	CHECK(!ivring_msg_publish(&r.mtx));
	CHECK(!ivring_msg_release(&r.mrx));
	ivring_rx_arm(&r.rx, 1);
	CHECK(!ivring_msg_publish(&r.mtx));
	CHECK(!put(&r, 5, 1) && !put(&r, 6, 2));
	CHECK(ivring_msg_publish(&r.mtx));
	CHECK(!put(&r, 7, 3));
	CHECK(!ivring_msg_publish(&r.mtx));
	CHECK(!got(&r, 5, 1));
	CHECK(!put(&r, SIZE - 48 - HEAD, 4));
	ivring_msg_publish(&r.mtx);
	CHECK(put(&r, 24, 5) == -EAGAIN);
	ivring_tx_arm(&r.tx, ivring_msg_size(24));
	CHECK(!ivring_msg_release(&r.mrx));
	CHECK(!got(&r, 6, 2));
	CHECK(ivring_msg_release(&r.mrx));
	CHECK(!put(&r, 24, 5));
	ring_free(&r);
}

/* ---- misuse on this side ---- */

static void test_commit_beyond(void)
{
	void *payload;
	struct ring r;

	ring_init(&r, SIZE, SIZE, 0);
	CHECK(ivring_msg_commit(&r.mtx, 0, 0) == -EINVAL);
	CHECK(!ivring_msg_reserve(&r.mtx, 100, &payload));
	CHECK(ivring_msg_commit(&r.mtx, 101, 0) == -EINVAL);
	CHECK(ivring_msg_commit(&r.mtx, -1ULL, 0) == -EINVAL);
	CHECK(ivring_msg_commit(&r.mtx, -8ULL, 0) == -EINVAL);
	CHECK(!r.mtx.pending);
	/* Less is fine, and once. */
	CHECK(!ivring_msg_commit(&r.mtx, 50, 0));
	CHECK(r.mtx.pending == ivring_msg_size(50));
	CHECK(ivring_msg_commit(&r.mtx, 0, 0) == -EINVAL);
	CHECK(!ivring_msg_reserve(&r.mtx, 0, &payload));
	CHECK(ivring_msg_commit(&r.mtx, 1, 0) == -EINVAL);
	CHECK(!ivring_msg_commit(&r.mtx, 0, 0));
	/* A reservation does not outlive the publication. */
	CHECK(!ivring_msg_reserve(&r.mtx, 10, &payload));
	ivring_msg_publish(&r.mtx);
	CHECK(ivring_msg_commit(&r.mtx, 10, 0) == -EINVAL);
	ring_free(&r);
}

static void test_too_long(void)
{
	const uint64_t lens[] = { 993, 4096, 1ULL << 32, (1ULL << 32) - 1, -1ULL, -8ULL, -9ULL };
	void *payload;
	struct ring r;

	ring_init(&r, SIZE, 1000, 0);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		CHECK(ivring_msg_reserve(&r.mtx, lens[i], &payload) == -EMSGSIZE);
		CHECK(ivring_msg_commit(&r.mtx, 0, 0) == -EINVAL);
	}
	CHECK(!ivring_msg_reserve(&r.mtx, 992, &payload));
	/* A reservation that failed leaves none, not the one before. */
	CHECK(ivring_msg_reserve(&r.mtx, 993, &payload) == -EMSGSIZE);
	CHECK(ivring_msg_commit(&r.mtx, 992, 0) == -EINVAL);
	CHECK(!ivring_msg_reserve(&r.mtx, 992, &payload));
	ring_free(&r);
}

/* ---- a peer that lies ---- */

/* A record of any length whatever under an index that covers @avail bytes. */
static void test_bad_length(void)
{
	const uint32_t lens[] = { 9, 16, 17, 4088, 4089, 1u << 31, -1u, -8u, -7u, -9u };
	struct ivring_wire_msg *head;
	struct ivring_msg_rx before;
	const void *payload;
	uint32_t len, type;
	struct ring r;

	for (size_t k = 0; k < N_STARTS; k++) {
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			ring_init(&r, SIZE, SIZE, starts[k]);
			CHECK(!put(&r, 3, 7) && !put(&r, 8, 8));
			ivring_msg_publish(&r.mtx);
			CHECK(!got(&r, 3, 7));
			before = r.mrx;
			head = (void *)(r.data + ((starts[k] + 16) & (SIZE - 1)));
			head->len = htole32(lens[i]);
			CHECK(ivring_msg_next(&r.mrx, &payload, &len, &type) == -EPROTO);
			CHECK(!memcmp(&before, &r.mrx, sizeof(before)));
			CHECK(ivring_msg_next(&r.mrx, &payload, &len, &type) == -EPROTO);
			head->len = htole32(8);
			CHECK(!got(&r, 8, 8));
			ring_free(&r);
		}
	}
}

/* An index that ends inside a record, or inside a header. */
static void test_part_of_record(void)
{
	uint64_t part;
	struct ring r;

	for (size_t k = 0; k < N_STARTS; k++) {
		for (part = 1; part < 24; part++) {
			ring_init(&r, SIZE, SIZE, starts[k]);
			CHECK(!put(&r, 16, 7));
			ivring_tx_publish(&r.tx, part);
			CHECK(got(&r, 16, 7) == -EPROTO);
			CHECK(got(&r, 16, 7) == -EPROTO);
			CHECK(!r.mrx.taken && r.rx.cons == starts[k]);
			ring_free(&r);
		}
	}
}

/* Indices that go backwards or jump ahead are ring.h's to find; it passes them on. */
static void test_bad_index(void)
{
	void *payload;
	struct ring r;

	ring_init(&r, SIZE, SIZE, 0);
	CHECK(!put(&r, 100, 1));
	ivring_msg_publish(&r.mtx);
	CHECK(!got(&r, 100, 1));
	r.wire.producer.prod = htole64(SIZE + 1);
	CHECK(got(&r, 0, 0) == -EPROTO);
	r.wire.producer.prod = htole64(100);
	CHECK(got(&r, 0, 0) == -EPROTO);
	ivring_msg_release(&r.mrx);
	CHECK(!put(&r, SIZE - HEAD - 112, 2));
	r.wire.consumer.cons = htole64(4096 + 112);
	CHECK(ivring_msg_reserve(&r.mtx, 100, &payload) == -EPROTO);
	ivring_msg_publish(&r.mtx);
	CHECK(!ivring_msg_commit(&r.mtx, 0, 0) || !r.mtx.pending);
	ring_free(&r);
}

/* The same from every start: each index that does not cover whole records, or too much. */
static void test_bad_index_borders(void)
{
	const uint64_t lies[] = { -1ULL, -8ULL, 7, SIZE + 1, SIZE + 8, 1ULL << 32, 1ULL << 63 };
	void *payload;
	struct ring r;

	for (size_t k = 0; k < N_STARTS; k++) {
		for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
			ring_init(&r, SIZE, SIZE, starts[k]);
			CHECK(!put(&r, 0, 1));
			r.wire.producer.prod = htole64(starts[k] + lies[i]);
			CHECK(got(&r, 0, 1) == -EPROTO);
			CHECK(!r.mrx.taken);

			/* Full, so that the consumer's index must be read. */
			CHECK(!put(&r, SIZE - 2 * HEAD, 2));
			ivring_msg_publish(&r.mtx);
			r.wire.consumer.cons = htole64(starts[k] - 1 - lies[i] % SIZE);
			CHECK(ivring_msg_reserve(&r.mtx, 0, &payload) == -EPROTO);
			r.wire.consumer.cons = htole64(starts[k] + SIZE + 1 + lies[i] % SIZE);
			CHECK(ivring_msg_reserve(&r.mtx, 0, &payload) == -EPROTO);
			CHECK(!ivring_tx_cached_space(&r.tx));
			ring_free(&r);
		}
		/* Backwards, from what was seen */
		ring_init(&r, SIZE, SIZE, starts[k]);
		CHECK(!put(&r, SIZE - HEAD, 3));
		ivring_msg_publish(&r.mtx);
		CHECK(!got(&r, SIZE - HEAD, 3));
		r.wire.consumer.cons = htole64(starts[k] + 16);
		CHECK(!ivring_msg_reserve(&r.mtx, 0, &payload));
		CHECK(ivring_msg_reserve(&r.mtx, 16, &payload) == -EAGAIN);
		r.wire.consumer.cons = htole64(starts[k] + 8);
		CHECK(ivring_msg_reserve(&r.mtx, 16, &payload) == -EPROTO);
		CHECK(ivring_msg_commit(&r.mtx, 0, 0) == -EINVAL);
		ring_free(&r);
	}
}

/* Nothing can be given back but what was taken, and that only once. */
static void test_release_beyond(void)
{
	struct ring r;

	for (size_t k = 0; k < N_STARTS; k++) {
		ring_init(&r, SIZE, SIZE, starts[k]);
		CHECK(!put(&r, 8, 1) && !put(&r, 8, 2));
		ivring_msg_publish(&r.mtx);
		ivring_msg_release(&r.mrx);
		CHECK(le64toh(r.wire.consumer.cons) == starts[k]);
		CHECK(!got(&r, 8, 1));
		ivring_msg_release(&r.mrx);
		ivring_msg_release(&r.mrx);
		CHECK(le64toh(r.wire.consumer.cons) == starts[k] + 16);
		/* A message that is refused is not taken, and so not given back. */
		CHECK(!got(&r, 8, 2));
		r.wire.producer.prod = htole64(starts[k]);
		CHECK(got(&r, 0, 0) == -EPROTO);
		ivring_msg_release(&r.mrx);
		CHECK(le64toh(r.wire.consumer.cons) == starts[k] + 32);
		ring_free(&r);
	}
}

/*
 * Windows and rings down to the smallest. Both sides go to the same place for the
 * same record, so memory twice the size does where mapping it twice does not.
 */
static void test_small_rings(void)
{
	static uint64_t data[2 * 256 / 8];
	uint64_t size, window, len, i;
	struct ring r;

	for (size_t k = 0; k < N_STARTS; k++) {
		for (size = 16; size <= 256; size *= 2) {
			for (window = 8; window <= size; window++) {
				ring_init(&r, SIZE, SIZE, starts[k]);
				r.tx.size = size;
				r.rx.size = size;
				r.tx.window = window;
				CHECK(!ivring_msg_tx_init(&r.mtx, &r.tx, data));
				CHECK(!ivring_msg_rx_init(&r.mrx, &r.rx, data));
				len = ivring_msg_len_max(window);
				CHECK(put(&r, len + 1, 0) == -EMSGSIZE);
				for (i = 0; i < 5; i++) {
					CHECK(got(&r, len, i) == -EAGAIN);
					CHECK(!put(&r, len, i));
					CHECK(put(&r, 0, i) == -EAGAIN);
					ivring_msg_publish(&r.mtx);
					CHECK(put(&r, 0, i) == -EAGAIN);
					CHECK(!got(&r, len, i));
					ivring_msg_release(&r.mrx);
					CHECK(!put(&r, 0, i));
					ivring_msg_publish(&r.mtx);
					CHECK(!got(&r, 0, i));
					ivring_msg_release(&r.mrx);
				}
				r.tx.size = SIZE;
				ring_free(&r);
			}
		}
	}
}

struct flipper {
	struct ivring_wire_msg *head;
	bool stop;
};

/* Changes a length as fast as it can, as if to be judged by one and used by another. */
static void *flip(void *arg)
{
	struct flipper *f = arg;
	uint32_t i = 0;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED))
		__atomic_store_n(&f->head->len, htole32(i++ % 2 ? -1u : 8), __ATOMIC_RELAXED);
	return NULL;
}

static void test_changing_length(void)
{
	int i, good = 0, bad = 0;
	const void *payload;
	uint32_t len, type;
	struct flipper f = { 0 };
	pthread_t thread;
	struct ring r;

	ring_init(&r, SIZE, SIZE, 0);
	CHECK(!put(&r, 8, 1));
	ivring_msg_publish(&r.mtx);
	f.head = (void *)r.data;
	pthread_create(&thread, NULL, flip, &f);
	for (i = 0; i < 10000000 && (i < 200000 || !good || !bad); i++) {
		int error = ivring_msg_next(&r.mrx, &payload, &len, &type);

		if (error) {
			CHECK(error == -EPROTO && !r.mrx.taken);
			bad++;
		} else {
			CHECK(len == 8 && r.mrx.taken == 16);
			r.mrx.taken = 0;
			good++;
		}
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CHECK(good && bad);
	ring_free(&r);
}

/* ---- two threads ---- */

struct stress {
	struct ring r;
	uint32_t total;
	int error_tx, error_rx;
};

static uint32_t stress_len(uint32_t i)
{
	return i * 2654435761u % 300;
}

static void *stress_produce(void *arg)
{
	struct stress *s = arg;
	uint32_t i = 0;
	int error = 0;

	while (i < s->total) {
		error = put(&s->r, stress_len(i), i);
		if (!error)
			i++;
		if (error == -EAGAIN || s->r.mtx.pending > 700)
			ivring_msg_publish(&s->r.mtx);
		if (error == -EAGAIN)
			sched_yield();
		else if (error)
			break;
	}
	s->error_tx = i < s->total ? error : 0;
	ivring_msg_publish(&s->r.mtx);
	return NULL;
}

static void *stress_consume(void *arg)
{
	struct stress *s = arg;
	uint32_t i = 0;
	int error = 0;

	while (i < s->total) {
		error = got(&s->r, stress_len(i), i);
		if (!error)
			i++;
		if (error == -EAGAIN || s->r.mrx.taken > 500)
			ivring_msg_release(&s->r.mrx);
		if (error == -EAGAIN)
			sched_yield();
		else if (error)
			break;
	}
	s->error_rx = i < s->total ? error : 0;
	return NULL;
}

static void test_threads(void)
{
	const uint64_t begins[] = { 0, (1ULL << 32) - 8000, -8000ULL };
	pthread_t tx, rx;
	struct stress s;

	for (size_t k = 0; k < sizeof(begins) / sizeof(begins[0]); k++) {
		memset(&s, 0, sizeof(s));
		ring_init(&s.r, SIZE, k == 1 ? SIZE / 2 : SIZE, begins[k]);
		s.total = 50000;
		pthread_create(&tx, NULL, stress_produce, &s);
		pthread_create(&rx, NULL, stress_consume, &s);
		pthread_join(tx, NULL);
		pthread_join(rx, NULL);
		CHECK(!s.error_tx && !s.error_rx);
		ring_free(&s.r);
	}
}

/* Takes @n messages that came at once, then finds none. */
static uint32_t linger_after(struct ring *r, int n)
{
	const void *payload;
	uint32_t len, type;
	void *p;
	int i;

	for (i = 0; i < n; i++) {
		CHECK(!ivring_msg_reserve(&r->mtx, 8, &p));
		CHECK(!ivring_msg_commit(&r->mtx, 8, 0));
	}
	ivring_msg_publish(&r->mtx);
	for (i = 0; i < n; i++)
		CHECK(!ivring_msg_next(&r->mrx, &payload, &len, &type));
	CHECK(ivring_msg_next(&r->mrx, &payload, &len, &type) == -EAGAIN);
	ivring_msg_release(&r->mrx);
	return ivring_msg_linger(&r->mrx);
}

static void test_linger(void)
{
	uint32_t pauses = 0, last;
	struct ring r;
	int i;

	ring_init(&r, SIZE, SIZE, 0);
	for (i = 0; i < 100; i++)
		CHECK(!linger_after(&r, 1));
	for (i = 0; i < 100; i++) {
		last = pauses;
		pauses = linger_after(&r, 16 + i % 3);
		CHECK(pauses > last || pauses == IVRING_MSG_LINGER_MAX);
		CHECK(pauses <= IVRING_MSG_LINGER_MAX);
	}
	CHECK(pauses == IVRING_MSG_LINGER_MAX);
	/* Few, however long they were left alone: not for long. */
	for (i = 0; i < 100; i++)
		pauses = linger_after(&r, 3);
	CHECK(pauses <= 3 * IVRING_MSG_LINGER_PER + IVRING_MSG_LINGER_STEP);
	/* One message, or none, is no stream: soon nothing is left of it. */
	for (i = 0; pauses; i++) {
		last = pauses;
		pauses = linger_after(&r, i % 2);
		CHECK(pauses < last);
	}
	CHECK(i < 10);
	ring_free(&r);
}

int main(void)
{
	tap_run(test_sizes, "sizes of records");
	tap_run(test_bad_geometry, "rings that cannot carry messages are refused");
	tap_run(test_lengths, "every length, also over the ring's end, and indices that wrap");
	tap_run(test_batches, "several messages in one publication and one release");
	tap_run(test_full, "a full window");
	tap_run(test_doorbells, "doorbells for messages and for room");
	tap_run(test_commit_beyond, "more than was reserved cannot be committed");
	tap_run(test_too_long, "a message longer than the window is refused");
	tap_run(test_bad_length, "a record longer than its index covers");
	tap_run(test_part_of_record, "an index that ends inside a record");
	tap_run(test_bad_index, "an index that goes backwards or jumps ahead");
	tap_run(test_bad_index_borders, "such an index at every wrap");
	tap_run(test_release_beyond, "no more is given back than was taken");
	tap_run(test_small_rings, "the smallest rings, and windows of every size");
	tap_run(test_changing_length, "a length that changes while it is read");
	tap_run(test_linger, "a consumer lingers where several messages come at once, not else");
	tap_run(test_threads, "two threads");
	return tap_done();
}

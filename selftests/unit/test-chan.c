// SPDX-License-Identifier: GPL-2.0
/*
 * Spans of a channel whose indices this process moves, tools/chan-ring.c, over plain
 * memory. There is no kernel to sleep in: who would have to ends with EBADF.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "libivring.h"
#include "tap.h"
#include "util.h"

#define SIZE		(1u << 20)
#define SPIN_NS		20000000
/* The peer gives up, too, in the end. */
#define PATIENCE_NS	10000000000LL

static struct ivring_wire_channel wire;
static struct ivring_chan chan;
static atomic_bool over;

static void start(void)
{
	memset(&wire, 0, sizeof(wire));
	memset(&chan, 0, sizeof(chan));
	chan.fd = -1;
	chan.spin_max_ns = SPIN_NS;
	chan.tx_least = SIZE;
	chan.tx_ring = (struct ivring_tx) {
		.own = &wire.ring[0].producer, .peer = &wire.ring[0].consumer,
		.size = SIZE, .window = SIZE,
	};
	chan.rx_ring = (struct ivring_rx) {
		.own = &wire.ring[1].consumer, .peer = &wire.ring[1].producer, .size = SIZE,
	};
	over = false;
}

static int wait_for(bool tx, uint64_t min, int64_t timeout_ns)
{
	struct ivring_span span = { .min = min, .timeout_ns = timeout_ns };

	return tx ? ring_ops.reserve(&chan, &span) : ring_ops.peek(&chan, &span);
}

/* One byte now and then, read and written. Returns whether the waiter gave up first. */
static void *creeping_peer(void *given_up)
{
	int64_t end = now_ns() + PATIENCE_NS;
	uint64_t i;

	for (i = 1; !over && now_ns() < end; i += i < SIZE / 8) {
		virt_store_release(&wire.ring[0].consumer.cons, htole64(i));
		virt_store_release(&wire.ring[1].producer.prod, htole64(i));
		usleep(100);
	}
	return over ? given_up : NULL;
}

/* A peer that brings a byte each moment keeps nobody from sleeping. */
static void check_creeping(bool tx)
{
	pthread_t peer;
	void *given_up;

	start();
	ivring_tx_publish(&chan.tx_ring, SIZE);
	CHECK(!pthread_create(&peer, NULL, creeping_peer, &over));
	CHECK(wait_for(tx, SIZE / 2, -1) == -EBADF);
	over = true;
	CHECK(!pthread_join(peer, &given_up));
	CHECK(given_up);
}

static void test_creeping(void)
{
	check_creeping(false);
	check_creeping(true);
}

/* One that brings half of it, and half of the rest, is waited for without sleep. */
static void *halving_peer(void *arg)
{
	uint64_t min = *(uint64_t *)arg, there = 0;

	while (there < min) {
		usleep(SPIN_NS / 1000 / 4);
		there += (min - there + 1) / 2;
		virt_store_release(&wire.ring[1].producer.prod, htole64(there));
	}
	return NULL;
}

static void test_halving(void)
{
	uint64_t min = 64;
	pthread_t peer;

	start();
	/* However seldom the peer gets to run. */
	chan.spin_max_ns = 100 * SPIN_NS;
	CHECK(!pthread_create(&peer, NULL, halving_peer, &min));
	CHECK(!wait_for(false, min, -1));
	CHECK(!pthread_join(peer, NULL));
}

/* One that takes so much and no more */
static void *taking_peer(void *arg)
{
	usleep(SPIN_NS / 1000);
	virt_store_release(&wire.ring[0].consumer.cons, htole64(*(uint64_t *)arg));
	return NULL;
}

/* Who spins takes the room there is, if it is enough; only a sleeper waits for all. */
static void test_least(void)
{
	uint64_t taken = 4096;
	pthread_t peer;

	for (int enough = 0; enough <= 1; enough++) {
		start();
		chan.spin_max_ns = 100 * SPIN_NS;
		chan.tx_least = taken + !enough;
		ivring_tx_publish(&chan.tx_ring, SIZE);
		CHECK(!pthread_create(&peer, NULL, taking_peer, &taken));
		CHECK(wait_for(true, SIZE / 2, -1) == (enough ? 0 : -EBADF));
		CHECK(!pthread_join(peer, NULL));
	}
}

static void test_bounds(void)
{
	start();
	CHECK(wait_for(false, 1, 0) == -EAGAIN);
	CHECK(wait_for(false, 1, 1) == -EBADF);
	CHECK(wait_for(false, 1, INT64_MAX) == -EBADF);
	CHECK(wait_for(false, SIZE, INT64_MIN) == -EBADF);
	CHECK(!wait_for(true, SIZE, -1));
	chan.spin_max_ns = 0;
	CHECK(wait_for(false, 1, -1) == -EBADF);
}

int main(void)
{
	tap_run(test_bounds, "spins end at their limit, and at the wait's");
	tap_run(test_creeping, "a peer that creeps on does not keep the waiter from sleeping");
	tap_run(test_halving, "a peer that brings half of it, again and again");
	tap_run(test_least, "who spins for room is content with less than a sleeper");
	return tap_done();
}

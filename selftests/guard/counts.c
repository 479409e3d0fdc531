// SPDX-License-Identifier: GPL-2.0
/*
 * What noise cannot touch: a fixed amount of work through the ring, both ends in one
 * thread, in an order that is always the same. Each count_*() is one kind of work; run
 * counts instructions in it by callgrind, and takes from here how much work it was and
 * what could be counted without: lines of "NAME UNITS" and "NAME_doorbells NUMBER".
 *
 * Payload is moved by loops of this file, not by the C library, whose memcpy() is
 * another one on another CPU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <ivring/msg.h>
#include <ivring/ring.h>
#include <ivring/wire.h>

#define RING		(1u << 20)
#define WINDOW		(RING / 2)
#define CHUNK		16384u
#define MESSAGES	100000u
#define BATCH		16u
#define STREAM		(256ull << 20)
#define PAYLOAD		64u

#define work __attribute__((noinline, noclone))

struct ends {
	struct ivring_wire_producer producer;
	struct ivring_wire_consumer consumer;
	struct ivring_tx tx;
	struct ivring_rx rx;
	struct ivring_msg_tx msg_tx;
	struct ivring_msg_rx msg_rx;
	uint8_t *data;
	uint64_t doorbells;
	uint64_t sum;		/* of what was received, so that it is */
};

static void fail(const char *what)
{
	fprintf(stderr, "counts: %s\n", what);
	exit(1);
}

static struct ends *ends_new(void)
{
	struct ends *e = aligned_alloc(128, (sizeof(*e) + 127) / 128 * 128);

	if (!e)
		fail("out of memory");
	memset(e, 0, sizeof(*e));
	e->data = mmap(NULL, 2 * RING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (e->data == MAP_FAILED)
		fail("out of memory");
	e->tx = (struct ivring_tx) {
		.own = &e->producer, .peer = &e->consumer, .size = RING, .window = WINDOW,
	};
	e->rx = (struct ivring_rx) { .own = &e->consumer, .peer = &e->producer, .size = RING };
	ivring_tx_reset(&e->tx);
	ivring_rx_reset(&e->rx);
	return e;
}

/* Chunks one after the other, each received when it was sent */
work void count_stream(struct ends *e)
{
	uint64_t sent;

	for (sent = 0; sent < STREAM; sent += CHUNK) {
		if (ivring_tx_cached_space(&e->tx) < CHUNK && ivring_tx_refresh(&e->tx))
			fail("impossible index");
		e->doorbells += ivring_tx_publish(&e->tx, CHUNK);
		if (ivring_rx_cached_avail(&e->rx) < CHUNK && ivring_rx_refresh(&e->rx))
			fail("impossible index");
		e->doorbells += ivring_rx_publish(&e->rx, CHUNK);
	}
}

/* The producer fills the window and sleeps until half of it is free, the consumer empties it. */
work void count_sleeper(struct ends *e)
{
	uint64_t sent = 0;

	while (sent < STREAM) {
		while (ivring_tx_cached_space(&e->tx) >= CHUNK) {
			e->doorbells += ivring_tx_publish(&e->tx, CHUNK);
			sent += CHUNK;
		}
		ivring_tx_arm(&e->tx, WINDOW / 2);
		if (ivring_rx_refresh(&e->rx))
			fail("impossible index");
		while (ivring_rx_cached_avail(&e->rx))
			e->doorbells += ivring_rx_publish(&e->rx, CHUNK);
		if (ivring_tx_refresh(&e->tx))
			fail("impossible index");
	}
}

static inline void message_send(struct ends *e, uint64_t value)
{
	uint64_t *out;
	void *payload;
	unsigned int i;

	if (ivring_msg_reserve(&e->msg_tx, PAYLOAD, &payload))
		fail("no room for a message");
	out = payload;
	for (i = 0; i < PAYLOAD / sizeof(*out); i++)
		out[i] = value;
	if (ivring_msg_commit(&e->msg_tx, PAYLOAD, 0))
		fail("a message cannot be sent");
}

static inline void message_take(struct ends *e)
{
	const uint64_t *in;
	const void *payload;
	uint32_t len, type;

	if (ivring_msg_next(&e->msg_rx, &payload, &len, &type) || len != PAYLOAD)
		fail("no message");
	in = payload;
	e->sum += in[0] + in[PAYLOAD / sizeof(*in) - 1];
}

work void count_message(struct ends *e)
{
	uint64_t i;

	for (i = 0; i < MESSAGES; i++) {
		message_send(e, i);
		e->doorbells += ivring_msg_publish(&e->msg_tx);
		message_take(e);
		e->doorbells += ivring_msg_release(&e->msg_rx);
	}
}

work void count_batch(struct ends *e)
{
	uint64_t i, k;

	for (i = 0; i < MESSAGES; i += BATCH) {
		for (k = 0; k < BATCH; k++)
			message_send(e, i + k);
		e->doorbells += ivring_msg_publish(&e->msg_tx);
		for (k = 0; k < BATCH; k++)
			message_take(e);
		e->doorbells += ivring_msg_release(&e->msg_rx);
	}
}

/* Both ends sleep before each message: each is worth one doorbell, and the answer one. */
work void count_wake(struct ends *e)
{
	uint64_t i;

	for (i = 0; i < MESSAGES; i++) {
		ivring_rx_arm(&e->rx, 1);
		message_send(e, i);
		e->doorbells += ivring_msg_publish(&e->msg_tx);
		ivring_tx_arm_drained(&e->tx);
		message_take(e);
		e->doorbells += ivring_msg_release(&e->msg_rx);
	}
}

static void run(const char *name, void (*count)(struct ends *e), uint64_t units)
{
	struct ends *e = ends_new();

	if (ivring_msg_tx_init(&e->msg_tx, &e->tx, e->data) ||
	    ivring_msg_rx_init(&e->msg_rx, &e->rx, e->data))
		fail("no messages in such a ring");
	count(e);
	printf("%s %ju\n%s_doorbells %ju\n", name, (uintmax_t)units, name,
	       (uintmax_t)e->doorbells);
	munmap(e->data, 2 * RING);
	free(e);
}

int main(void)
{
	run("stream", count_stream, STREAM / CHUNK);
	run("sleeper", count_sleeper, STREAM / CHUNK);
	run("message", count_message, MESSAGES);
	run("batch", count_batch, MESSAGES);
	run("wake", count_wake, MESSAGES);
	return 0;
}

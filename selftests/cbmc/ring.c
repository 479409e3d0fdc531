// SPDX-License-Identifier: GPL-2.0
/*
 * What include/ivring/ring.h promises, whatever the peer writes.
 *
 * Each proof starts from any state that the rules allow, makes one step, and
 * shows that the rules still hold. So it speaks of every step of every run, of
 * any length and any size of ring, and of indices on both sides of their wrap.
 */
#include "harness.h"
#include <ivring/ring.h>

static struct ivring_wire_ring wire;

/* Any producer: what is in flight by its knowledge fits into the ring. */
static struct ivring_tx any_tx(void)
{
	struct ivring_tx tx = {
		.own = &wire.producer, .peer = &wire.consumer, .cons = nondet_u64(),
		.size = nondet_u64(), .window = nondet_u64(),
	};
	u64 used = nondet_u64();

	assume(is_power_of_2(tx.size) && tx.size <= 1ULL << 62);
	assume(tx.window >= 1 && tx.window <= tx.size);
	assume(used <= tx.size);
	tx.prod = tx.cons + used;
	return tx;
}

static struct ivring_rx any_rx(void)
{
	struct ivring_rx rx = {
		.own = &wire.consumer, .peer = &wire.producer, .cons = nondet_u64(),
		.size = nondet_u64(),
	};
	u64 avail = nondet_u64();

	assume(is_power_of_2(rx.size) && rx.size <= 1ULL << 62);
	assume(avail <= rx.size);
	rx.prod = rx.cons + avail;
	return rx;
}

static bool tx_rules(const struct ivring_tx *tx)
{
	return tx->prod - tx->cons <= tx->size && ivring_tx_cached_space(tx) <= tx->window;
}

static bool rx_rules(const struct ivring_rx *rx)
{
	return rx->prod - rx->cons <= rx->size && ivring_rx_cached_avail(rx) <= rx->size;
}

/* Event is one of the indices old + 1 ... old + len: by counting, not by wrap. */
static bool stepped_on(u64 event, u64 old, u64 len)
{
	u64 steps = event - old;

	return steps >= 1 && steps <= len;
}

void tx_refresh(void)
{
	struct ivring_tx tx = any_tx(), was = tx;
	u64 moved;
	int ret;

	assume(peer_reads == 0);
	ret = ivring_tx_refresh(&tx);
	prove(peer_reads == 1);
	prove(tx_rules(&tx));
	prove(tx.prod == was.prod && tx.size == was.size && tx.window == was.window);
	moved = peer_value - was.cons;
	/* Exactly what lies from the last good index to what was produced */
	prove((ret == 0) == (moved <= was.prod - was.cons));
	if (ret) {
		prove(ret == -EPROTO);
		prove(tx.cons == was.cons);
	} else {
		prove(tx.cons == peer_value);
		prove(ivring_tx_cached_space(&tx) >= ivring_tx_cached_space(&was));
	}
}

void rx_refresh(void)
{
	struct ivring_rx rx = any_rx(), was = rx;
	int ret;

	assume(peer_reads == 0);
	ret = ivring_rx_refresh(&rx);
	prove(peer_reads == 1);
	prove(rx_rules(&rx));
	prove(rx.cons == was.cons && rx.size == was.size);
	/* Exactly what lies from the last good index to a full ring */
	prove((ret == 0) == (peer_value - was.cons >= was.prod - was.cons &&
			     peer_value - was.cons <= was.size));
	if (ret) {
		prove(ret == -EPROTO);
		prove(rx.prod == was.prod);
	} else {
		prove(rx.prod == peer_value);
		prove(ivring_rx_cached_avail(&rx) >= ivring_rx_cached_avail(&was));
	}
}

void tx_publish(void)
{
	struct ivring_tx tx = any_tx(), was = tx;
	u64 len = nondet_u64();
	bool ring;

	assume(len <= ivring_tx_cached_space(&tx));
	assume(peer_reads == 0);
	ring = ivring_tx_publish(&tx, len);
	prove(peer_reads == 1);
	prove(tx_rules(&tx));
	prove(tx.prod == was.prod + len && tx.cons == was.cons);
	prove(wire.producer.prod == tx.prod);
	prove(ring == stepped_on(peer_value, was.prod, len));
	/* In flight no more than the window, or no more than before if it shrank */
	prove(tx.prod - tx.cons <= tx.window || !len);
}

void rx_publish(void)
{
	struct ivring_rx rx = any_rx(), was = rx;
	u64 len = nondet_u64();
	bool ring;

	assume(len <= ivring_rx_cached_avail(&rx));
	assume(peer_reads == 0);
	ring = ivring_rx_publish(&rx, len);
	prove(peer_reads == 1);
	prove(rx_rules(&rx));
	prove(rx.cons == was.cons + len && rx.prod == was.prod);
	prove(wire.consumer.cons == rx.cons);
	prove(ring == stepped_on(peer_value, was.cons, len));
}

void event_reached(void)
{
	u64 event = nondet_u64(), old = nondet_u64(), len = nondet_u64();

	prove(ivring_event_reached(event, old + len, old) == stepped_on(event, old, len));
}

/*
 * An honest consumer goes from one index to a later one, both between the last
 * one seen and what was produced: @before bytes are in flight, then @after. If
 * the first leaves less room than is wanted and the second leaves enough, it
 * must ring, and only then.
 */
void tx_arm(void)
{
	struct ivring_tx tx = any_tx();
	u64 space = nondet_u64(), before = nondet_u64(), after = nondet_u64();
	u64 used = tx.prod - tx.cons, event, most;

	assume(space >= 1 && space <= tx.window && space > ivring_tx_cached_space(&tx));
	assume(before <= used && after <= before);
	ivring_tx_arm(&tx, space);
	event = wire.producer.event;
	/* There is room while no more than this is in flight. */
	most = tx.window - space;
	lemma(tx.prod - event == most);
	lemma((tx.prod - after) - event == most - after);
	lemma((tx.prod - after) - (tx.prod - before) == before - after);
	prove(ivring_event_reached(event, tx.prod - after, tx.prod - before) ==
	      (before > most && after <= most));
}

void tx_arm_progress(void)
{
	struct ivring_tx tx = any_tx();
	u64 cons = nondet_u64();

	ivring_tx_arm_progress(&tx);
	assume(cons - tx.cons <= tx.prod - tx.cons);
	prove(ivring_event_reached(wire.producer.event, cons, tx.cons) == (cons != tx.cons));
}

void tx_arm_drained(void)
{
	struct ivring_tx tx = any_tx();
	u64 before = nondet_u64(), after = nondet_u64();

	ivring_tx_arm_drained(&tx);
	assume(before - tx.cons <= tx.prod - tx.cons);
	assume(after - before <= tx.prod - before);
	prove(ivring_event_reached(wire.producer.event, after, before) ==
	      (before != tx.prod && after == tx.prod));
}

/* The same for an honest producer; @before and @after are bytes not consumed. */
void rx_arm(void)
{
	struct ivring_rx rx = any_rx();
	u64 avail = nondet_u64(), before = nondet_u64(), after = nondet_u64(), event;

	assume(avail >= 1 && avail <= rx.size && avail > ivring_rx_cached_avail(&rx));
	assume(before >= ivring_rx_cached_avail(&rx));
	assume(after >= before && after <= rx.size);
	ivring_rx_arm(&rx, avail);
	event = wire.consumer.event;
	lemma(event - rx.cons == avail);
	lemma((rx.cons + after) - event == after - avail);
	lemma((rx.cons + after) - (rx.cons + before) == after - before);
	prove(ivring_event_reached(event, rx.cons + after, rx.cons + before) ==
	      (before < avail && after >= avail));
}

/* What callers compute from the indices stays inside the double mapping. */
void spans(void)
{
	struct ivring_tx tx = any_tx();
	struct ivring_rx rx = any_rx();
	u64 offset;

	ivring_tx_refresh(&tx);
	offset = tx.prod & (tx.size - 1);
	prove(offset < tx.size);
	prove(ivring_tx_cached_space(&tx) <= 2 * tx.size - offset);
	/* Free for us and not read by the peer: the spans of both do not meet. */
	prove(ivring_tx_cached_space(&tx) + (tx.prod - tx.cons) <= tx.size ||
	      !ivring_tx_cached_space(&tx));

	ivring_rx_refresh(&rx);
	offset = rx.cons & (rx.size - 1);
	prove(offset < rx.size);
	prove(ivring_rx_cached_avail(&rx) <= 2 * rx.size - offset);
}

/*
 * Both ends against a peer that writes anything, with real data of a small ring:
 * a few steps in any order, each byte touched as a user would.
 */
#define RING	8
#define STEPS	3

void run(void)
{
	static u8 tx_data[2 * RING], rx_data[2 * RING];
	struct ivring_tx tx = any_tx();
	struct ivring_rx rx = any_rx();
	u64 i, len, from;
	unsigned int step;

	assume(tx.size == RING && rx.size == RING);
	for (step = 0; step < STEPS; step++) {
		if (nondet_bool()) {
			if (ivring_tx_refresh(&tx))
				return;
			from = tx.prod & (RING - 1);
			len = nondet_u64();
			assume(len <= ivring_tx_cached_space(&tx));
			for (i = 0; i < len; i++)
				tx_data[from + i] = step;
			ivring_tx_publish(&tx, len);
			prove(tx_rules(&tx));
		} else {
			if (ivring_rx_refresh(&rx))
				return;
			from = rx.cons & (RING - 1);
			len = nondet_u64();
			assume(len <= ivring_rx_cached_avail(&rx));
			for (i = 0; i < len; i++)
				(void)rx_data[from + i];
			ivring_rx_publish(&rx, len);
			prove(rx_rules(&rx));
		}
	}
}

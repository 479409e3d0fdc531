// SPDX-License-Identifier: GPL-2.0
/*
 * Message mode, include/ivring/msg.h: one step from any state that the rules
 * allow, as in ring.c, with real memory behind the pointers.
 */
#include "harness.h"
#include <ivring/msg.h>

static struct ivring_wire_ring wire;
static struct ivring_tx tx;
static struct ivring_rx rx;
static u8 *data;

#define SIZE_MAX_	(1ULL << 16)

static u64 any_size(void)
{
	u64 size = nondet_u64();

	assume(is_power_of_2(size) && size >= 2 * IVRING_MSG_ALIGN && size <= SIZE_MAX_);
	data = malloc(2 * size);
	assume(data);
	return size;
}

static struct ivring_msg_tx any_msg_tx(void)
{
	struct ivring_msg_tx m = {
		.tx = &tx, .pending = nondet_u64(), .reserved = nondet_u64(),
	};

	tx = (struct ivring_tx) {
		.own = &wire.producer, .peer = &wire.consumer,
		.prod = nondet_u64(), .cons = nondet_u64(), .window = nondet_u64(),
	};
	tx.size = any_size();
	m.data = data;
	assume(tx.window >= IVRING_MSG_ALIGN && tx.window <= tx.size);
	assume(tx.prod - tx.cons <= tx.size);
	assume(!(tx.prod % IVRING_MSG_ALIGN));
	assume(m.pending <= ivring_tx_cached_space(&tx) && !(m.pending % IVRING_MSG_ALIGN));
	assume(!m.reserved || (m.reserved >= sizeof(struct ivring_wire_msg) &&
	       m.reserved - sizeof(struct ivring_wire_msg) <= ivring_msg_len_max(tx.window) &&
	       ivring_msg_size(m.reserved - sizeof(struct ivring_wire_msg)) <=
	       ivring_tx_cached_space(&tx) - m.pending));
	return m;
}

static struct ivring_msg_rx any_msg_rx(void)
{
	struct ivring_msg_rx m = { .rx = &rx, .taken = nondet_u64() };

	rx = (struct ivring_rx) {
		.own = &wire.consumer, .peer = &wire.producer,
		.prod = nondet_u64(), .cons = nondet_u64(),
	};
	rx.size = any_size();
	m.data = data;
	assume(rx.prod - rx.cons <= rx.size);
	assume(!(rx.cons % IVRING_MSG_ALIGN));
	assume(m.taken <= ivring_rx_cached_avail(&rx) && !(m.taken % IVRING_MSG_ALIGN));
	return m;
}

static bool msg_tx_rules(const struct ivring_msg_tx *m)
{
	return m->pending <= ivring_tx_cached_space(&tx) && !(m->pending % IVRING_MSG_ALIGN) &&
	       !(tx.prod % IVRING_MSG_ALIGN) && tx.prod - tx.cons <= tx.size;
}

static bool msg_rx_rules(const struct ivring_msg_rx *m)
{
	return m->taken <= ivring_rx_cached_avail(&rx) && !(m->taken % IVRING_MSG_ALIGN) &&
	       !(rx.cons % IVRING_MSG_ALIGN) && rx.prod - rx.cons <= rx.size;
}

/* What is refused is refused by name, and what is not can be worked with. */
void msg_init(void)
{
	struct ivring_msg_tx mtx;
	struct ivring_msg_rx mrx;
	u8 *where;

	tx = (struct ivring_tx) {
		.prod = nondet_u64(), .size = nondet_u64(), .window = nondet_u64(),
	};
	tx.cons = tx.prod;
	rx = (struct ivring_rx) { .cons = nondet_u64(), .size = nondet_u64() };
	where = (u8 *)nondet_u64();
	if (ivring_msg_tx_init(&mtx, &tx, where)) {
		prove(ivring_msg_tx_init(&mtx, &tx, where) == -EINVAL);
	} else {
		prove(is_power_of_2(tx.size) && tx.size >= 2 * IVRING_MSG_ALIGN);
		prove(tx.window >= IVRING_MSG_ALIGN && tx.window <= tx.size);
		prove(!(tx.prod % IVRING_MSG_ALIGN) && !((u64)where % IVRING_MSG_ALIGN));
		prove(!mtx.pending && !mtx.reserved);
		/* No header is ever cut by the end of the ring. */
		prove(tx.size - (tx.prod & (tx.size - 1)) >= sizeof(struct ivring_wire_msg));
	}
	if (ivring_msg_rx_init(&mrx, &rx, where)) {
		prove(ivring_msg_rx_init(&mrx, &rx, where) == -EINVAL);
	} else {
		prove(is_power_of_2(rx.size) && rx.size >= 2 * IVRING_MSG_ALIGN);
		prove(!(rx.cons % IVRING_MSG_ALIGN) && !((u64)where % IVRING_MSG_ALIGN));
		prove(!mrx.taken);
		prove(rx.size - (rx.cons & (rx.size - 1)) >= sizeof(struct ivring_wire_msg));
	}
}

void msg_size(void)
{
	u64 len = nondet_u64(), window = nondet_u64();

	assume(len <= (u32)-1 && window <= 1ULL << 62);
	prove(ivring_msg_size(len) >= sizeof(struct ivring_wire_msg) + len);
	prove(ivring_msg_size(len) < sizeof(struct ivring_wire_msg) + len + IVRING_MSG_ALIGN);
	prove(!(ivring_msg_size(len) % IVRING_MSG_ALIGN));
	/* What may be sent is just what can fit. */
	prove((window >= IVRING_MSG_ALIGN && len <= ivring_msg_len_max(window)) ==
	      (ivring_msg_size(len) <= window));
}

void msg_reserve(void)
{
	struct ivring_msg_tx m = any_msg_tx();
	u64 len = nondet_u64(), offset;
	u8 *payload = NULL;
	int ret;

	ret = ivring_msg_reserve(&m, len, (void **)&payload);
	prove(msg_tx_rules(&m));
	prove(ret == 0 || ret == -EAGAIN || ret == -EMSGSIZE || ret == -EPROTO);
	if (ret) {
		prove(!m.reserved && !payload);
		return;
	}
	prove(m.reserved == len + sizeof(struct ivring_wire_msg));
	prove(m.pending + ivring_msg_size(len) <= ivring_tx_cached_space(&tx));
	offset = payload - data;
	prove(offset >= sizeof(struct ivring_wire_msg) && !(offset % IVRING_MSG_ALIGN));
	prove(offset <= 2 * tx.size && len <= 2 * tx.size - offset);
}

void msg_commit(void)
{
	struct ivring_msg_tx m = any_msg_tx(), was = m;
	u64 len = nondet_u64();
	int ret;

	ret = ivring_msg_commit(&m, len, nondet_u32());
	prove(msg_tx_rules(&m));
	prove((ret == 0) == (was.reserved && len <= was.reserved - sizeof(struct ivring_wire_msg)));
	prove(ret == 0 || (ret == -EINVAL && m.pending == was.pending));
	if (!ret)
		prove(m.pending == was.pending + ivring_msg_size(len) && !m.reserved);
}

void msg_publish(void)
{
	struct ivring_msg_tx m = any_msg_tx(), was = m;
	u64 prod = tx.prod;

	ivring_msg_publish(&m);
	prove(msg_tx_rules(&m));
	prove(!m.pending && !m.reserved && tx.prod == prod + was.pending);
}

void msg_next(void)
{
	struct ivring_msg_rx m = any_msg_rx(), was = m;
	const u8 *payload = NULL;
	u32 len = 0, type, i;
	u64 offset;
	int ret;

	ret = ivring_msg_next(&m, (const void **)&payload, &len, &type);
	prove(msg_rx_rules(&m));
	prove(ret == 0 || ret == -EAGAIN || ret == -EPROTO);
	if (ret) {
		prove(m.taken == was.taken && !payload);
		return;
	}
	/* All of it is covered by the producer's index, and lies in the mapping. */
	prove(m.taken - was.taken >= sizeof(struct ivring_wire_msg) + (u64)len);
	offset = payload - data;
	prove(offset <= 2 * rx.size && len <= 2 * rx.size - offset);
	/* The length is what was judged, not what stands there now. */
	prove(len == (u32)peer_value);
	i = nondet_u32();
	if (i < len)
		(void)payload[i];
}

void msg_release(void)
{
	struct ivring_msg_rx m = any_msg_rx(), was = m;
	u64 cons = rx.cons;

	ivring_msg_release(&m);
	prove(msg_rx_rules(&m));
	prove(!m.taken && rx.cons == cons + was.taken);
}

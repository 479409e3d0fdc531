/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ring's hot path: index arithmetic, publication, event suppression.
 *
 * A ring has one producer and one consumer on different sides. Each side keeps
 * its own index and its last good copy of the peer's index in private memory
 * (struct ivring_tx, struct ivring_rx); shared memory is only published to,
 * and only the peer's lines are read from it. Nothing here sleeps, takes a
 * lock or looks at the data. Callers serialise users of one struct.
 *
 * The same source runs in the kernel and in user space (tests, fuzzers,
 * benchmarks). Between the sides only virt_*() barriers are used: a UP guest
 * still shares memory with an SMP host.
 *
 * Accesses that order against the other side, and their pairs:
 *
 *	[A] producer: store-release prod	[B] consumer: load-acquire prod
 *		the data before the index
 *	[C] consumer: store-release cons	[D] producer: load-acquire cons
 *		the reads of the data before the space is given back
 *	[E] producer: prod; mb; read consumer.event
 *	[F] consumer: consumer.event; mb; read prod
 *		one of the two sees the other: no lost wake-up for data
 *	[G] consumer: cons; mb; read producer.event
 *	[H] producer: producer.event; mb; read cons
 *		the same for space
 */
#ifndef _IVRING_RING_H
#define _IVRING_RING_H

#include <ivring/shim.h>
#include <linux/ivring_wire.h>

/* The producer's private view of a ring. */
struct ivring_tx {
	struct ivring_wire_producer *own;
	const struct ivring_wire_consumer *peer;
	u64 prod;	/* next byte to produce; published or about to be */
	u64 cons;	/* last good copy of the peer's index */
	u64 size;	/* bytes in the ring, a power of two */
	u64 window;	/* most bytes in flight, 1..size */
};

/* The consumer's private view of a ring. */
struct ivring_rx {
	struct ivring_wire_consumer *own;
	const struct ivring_wire_producer *peer;
	u64 cons;	/* next byte to consume */
	u64 prod;	/* last good copy of the peer's index */
	u64 size;
};

/*
 * Start of a conversation: both indices zero, no doorbell wanted. The peer is
 * not looking yet; the epoch that is published later orders these stores.
 */
static inline void ivring_tx_reset(struct ivring_tx *tx)
{
	tx->prod = 0;
	tx->cons = 0;
	WRITE_ONCE(tx->own->prod, 0);
	WRITE_ONCE(tx->own->event, 0);
}

static inline void ivring_rx_reset(struct ivring_rx *rx)
{
	rx->cons = 0;
	rx->prod = 0;
	WRITE_ONCE(rx->own->cons, 0);
	WRITE_ONCE(rx->own->event, 0);
}

/*
 * Did an index that moved from @old to @new reach @event? An event at or
 * before @old was reached earlier and rang then, so it needs no disarming.
 */
static inline bool ivring_event_reached(u64 event, u64 new, u64 old)
{
	return new - event < new - old;
}

/* Room by the cached index. A window that shrank may leave less than nothing. */
static inline u64 ivring_tx_cached_space(const struct ivring_tx *tx)
{
	u64 used = tx->prod - tx->cons;

	return used < tx->window ? tx->window - used : 0;
}

/* Bytes to read by the cached index. */
static inline u64 ivring_rx_cached_avail(const struct ivring_rx *rx)
{
	return rx->prod - rx->cons;
}

/**
 * ivring_tx_refresh() - read the consumer's index
 * @tx: the producer
 *
 * The index is read once. It may only move forward, and not past what was
 * produced: anything else is the peer's fault and leaves @tx as it was.
 *
 * Return: 0 or -EPROTO.
 */
static inline int ivring_tx_refresh(struct ivring_tx *tx)
{
	/* [D] pairs with [C]: after this load the space may be overwritten. */
	u64 cons = le64_to_cpu(virt_load_acquire(&tx->peer->cons));

	if (unlikely(tx->prod - cons > tx->prod - tx->cons))
		return -EPROTO;
	tx->cons = cons;
	return 0;
}

/**
 * ivring_rx_refresh() - read the producer's index
 * @rx: the consumer
 *
 * As ivring_tx_refresh(): forward only, and never more than the ring holds.
 *
 * Return: 0 or -EPROTO.
 */
static inline int ivring_rx_refresh(struct ivring_rx *rx)
{
	/* [B] pairs with [A]: after this load the data may be read. */
	u64 prod = le64_to_cpu(virt_load_acquire(&rx->peer->prod));
	u64 avail = prod - rx->cons;

	if (unlikely(avail > rx->size || avail < rx->prod - rx->cons))
		return -EPROTO;
	rx->prod = prod;
	return 0;
}

/**
 * ivring_tx_publish() - hand bytes that were written into the ring to the peer
 * @tx: the producer
 * @len: how many, at most the space last seen
 *
 * Return: true when the consumer asked for a doorbell at an index just passed.
 */
static inline bool ivring_tx_publish(struct ivring_tx *tx, u64 len)
{
	u64 old = tx->prod;

	tx->prod = old + len;
	/* [A] pairs with [B]. */
	virt_store_release(&tx->own->prod, cpu_to_le64(tx->prod));
	/* [E] pairs with [F]: prod is visible before the wish is read. */
	virt_mb();
	return ivring_event_reached(le64_to_cpu(READ_ONCE(tx->peer->event)), tx->prod, old);
}

/**
 * ivring_rx_publish() - give bytes that were read back to the producer
 * @rx: the consumer
 * @len: how many, at most what was last seen
 *
 * Return: true when the producer asked for a doorbell at an index just passed.
 */
static inline bool ivring_rx_publish(struct ivring_rx *rx, u64 len)
{
	u64 old = rx->cons;

	rx->cons = old + len;
	/* [C] pairs with [D]. */
	virt_store_release(&rx->own->cons, cpu_to_le64(rx->cons));
	/* [G] pairs with [H]: cons is visible before the wish is read. */
	virt_mb();
	return ivring_event_reached(le64_to_cpu(READ_ONCE(rx->peer->event)), rx->cons, old);
}

/**
 * ivring_tx_arm() - ask for a doorbell when there is room
 * @tx: the producer
 * @space: bytes wanted, 1..window, more than there are by the cached index
 *
 * The caller must refresh and look again before it sleeps.
 */
static inline void ivring_tx_arm(struct ivring_tx *tx, u64 space)
{
	/* There is room for @space once prod - cons <= window - space. */
	u64 event = tx->prod - (tx->window - space);

	WRITE_ONCE(tx->own->event, cpu_to_le64(event));
	/* [H] pairs with [G]: the wish is visible before cons is read again. */
	virt_mb();
}

/**
 * ivring_tx_arm_progress() - ask for a doorbell when anything more was consumed
 * @tx: the producer
 *
 * The caller must refresh and look again before it sleeps.
 */
static inline void ivring_tx_arm_progress(struct ivring_tx *tx)
{
	WRITE_ONCE(tx->own->event, cpu_to_le64(tx->cons + 1));
	/* [H] pairs with [G]. */
	virt_mb();
}

/**
 * ivring_tx_arm_drained() - ask for a doorbell when all was consumed
 * @tx: the producer
 *
 * The caller must refresh and look again before it sleeps.
 */
static inline void ivring_tx_arm_drained(struct ivring_tx *tx)
{
	WRITE_ONCE(tx->own->event, cpu_to_le64(tx->prod));
	/* [H] pairs with [G]. */
	virt_mb();
}

/**
 * ivring_rx_arm() - ask for a doorbell when there is data
 * @rx: the consumer
 * @avail: bytes wanted, 1..size, more than there are by the cached index
 *
 * The caller must refresh and look again before it sleeps.
 */
static inline void ivring_rx_arm(struct ivring_rx *rx, u64 avail)
{
	WRITE_ONCE(rx->own->event, cpu_to_le64(rx->cons + avail));
	/* [F] pairs with [E]: the wish is visible before prod is read again. */
	virt_mb();
}

#endif /* _IVRING_RING_H */

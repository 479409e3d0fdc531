/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Message mode: records in the byte ring, written and read in place.
 *
 * A record is a header of eight bytes, the payload, and padding to the next
 * multiple of eight. It is never split: the data area is mapped twice in a row,
 * so a record that runs over the ring's end goes on in the second mapping. The
 * longest message is the window less the header. Both sides of a channel must
 * agree that a direction carries messages and not bytes, from its index zero on:
 * O_DIRECT says so to the modules, see <linux/ivring.h>.
 *
 * The producer reserves, fills in and commits one record after the other, and
 * publishes several with one store and one barrier. The consumer takes one
 * record after the other and gives several back at once. Ordering, doorbells
 * and waiting are those of ring.h; the barriers [A] to [H] are all there are.
 *
 *	Producer				Consumer
 *	while (... ivring_msg_reserve(m, ...))	while (!ivring_msg_next(m, ...))
 *		ivring_msg_commit(m, ...);		use the payload;
 *	if (ivring_msg_publish(m))		if (ivring_msg_release(m))
 *		ring the doorbell;			ring the doorbell;
 *
 * A producer that meets -EAGAIN must publish what is pending before it waits,
 * and a consumer must release what it took: what is held back here is what the
 * other side waits for. To wait, a producer then arms for ivring_msg_size()
 * bytes, a consumer for one. A consumer that spins asks ivring_msg_linger() first.
 *
 * Payload lies in memory that the peer can write at any time. Its length was
 * checked, its contents cannot be: read each field once, or copy it out first.
 */
#ifndef _IVRING_MSG_H
#define _IVRING_MSG_H

#include <ivring/ring.h>

#define IVRING_MSG_ALIGN	8

/* How far ahead of what it writes a producer takes the lines from the consumer's cache. */
#define IVRING_MSG_AHEAD	1024

/* Most pauses that ivring_msg_linger() asks for: with some 50 ns each, 3 us. */
#define IVRING_MSG_LINGER_MAX	64
/* More of them each time that there was a message for so many. */
#define IVRING_MSG_LINGER_STEP	8
#define IVRING_MSG_LINGER_PER	4

static_assert(sizeof(struct ivring_wire_msg) == IVRING_MSG_ALIGN, "message header size");

/* The producer of messages. */
struct ivring_msg_tx {
	struct ivring_tx *tx;
	u8 *data;		/* the ring's data, mapped twice */
	u64 pending;		/* bytes of records committed and not yet published */
	u64 reserved;		/* bytes of header and payload reserved, or zero */
};

/* The consumer of messages. */
struct ivring_msg_rx {
	struct ivring_rx *rx;
	const u8 *data;
	u64 taken;		/* bytes of records taken and not yet given back */
	u32 run;		/* messages taken since there was none */
	u32 pauses;		/* see ivring_msg_linger() */
};

/* Bytes that a message of @len bytes takes in the ring; for len < 2^63. */
static inline u64 ivring_msg_size(u64 len)
{
	return (sizeof(struct ivring_wire_msg) + len + IVRING_MSG_ALIGN - 1) &
	       ~(u64)(IVRING_MSG_ALIGN - 1);
}

/* The longest message that goes through a ring with this window. */
static inline u64 ivring_msg_len_max(u64 window)
{
	u64 room = window & ~(u64)(IVRING_MSG_ALIGN - 1);

	if (room < sizeof(struct ivring_wire_msg))
		return 0;
	room -= sizeof(struct ivring_wire_msg);
	return room < (u32)-1 ? room : (u32)-1;
}

static inline bool ivring_msg_geometry_ok(u64 size, const void *data)
{
	return is_power_of_2(size) && size >= 2 * IVRING_MSG_ALIGN &&
	       !((uintptr_t)data % IVRING_MSG_ALIGN);
}

/**
 * ivring_msg_tx_init() - send messages through a ring
 * @m: filled in
 * @tx: the producer; nothing of it is pending
 * @data: the ring's data, mapped twice in a row
 *
 * Return: 0; -EINVAL when the size is no power of two or too small, the window
 * is larger than the ring or too small for any record, or @data or the index
 * is not aligned.
 */
static inline int ivring_msg_tx_init(struct ivring_msg_tx *m, struct ivring_tx *tx, void *data)
{
	if (!ivring_msg_geometry_ok(tx->size, data) || tx->prod % IVRING_MSG_ALIGN ||
	    tx->window > tx->size || tx->window < IVRING_MSG_ALIGN)
		return -EINVAL;
	m->tx = tx;
	m->data = data;
	m->pending = 0;
	m->reserved = 0;
	return 0;
}

/**
 * ivring_msg_rx_init() - receive messages from a ring
 * @m: filled in
 * @rx: the consumer
 * @data: the ring's data, mapped twice in a row
 *
 * Return: 0; -EINVAL when the size is no power of two or too small, or @data or
 * the index is not aligned.
 */
static inline int ivring_msg_rx_init(struct ivring_msg_rx *m, struct ivring_rx *rx,
				     const void *data)
{
	if (!ivring_msg_geometry_ok(rx->size, data) || rx->cons % IVRING_MSG_ALIGN)
		return -EINVAL;
	m->rx = rx;
	m->data = data;
	m->taken = 0;
	m->run = 0;
	m->pauses = 0;
	return 0;
}

/**
 * ivring_msg_reserve() - room for one message
 * @m: the producer
 * @len: the most it will hold
 * @payload: where to write it; aligned to IVRING_MSG_ALIGN
 *
 * Reads the consumer's index only when there is no room by the cached one. A
 * reservation that is not committed is simply replaced by the next.
 *
 * Return: 0; -EAGAIN when there is no room now; -EMSGSIZE when there can never
 * be; -EPROTO when the consumer's index is nonsense.
 */
static inline int ivring_msg_reserve(struct ivring_msg_tx *m, u64 len, void **payload)
{
	struct ivring_tx *tx = m->tx;
	u64 end;
	int error;

	m->reserved = 0;
	if (unlikely(len > ivring_msg_len_max(tx->window)))
		return -EMSGSIZE;
	end = m->pending + ivring_msg_size(len);
	if (unlikely(ivring_tx_cached_space(tx) < end)) {
		error = ivring_tx_refresh(tx);
		if (error)
			return error;
		if (ivring_tx_cached_space(tx) < end)
			return -EAGAIN;
	}
	m->reserved = sizeof(struct ivring_wire_msg) + len;
	*payload = m->data + ((tx->prod + m->pending) & (tx->size - 1)) +
		   sizeof(struct ivring_wire_msg);
	return 0;
}

/**
 * ivring_msg_commit() - the message that was reserved is complete
 * @m: the producer
 * @len: its length, at most what was reserved
 * @type: handed to the consumer as it is
 *
 * The consumer does not see it before ivring_msg_publish().
 *
 * Return: 0; -EINVAL when more is committed than was reserved, or nothing was.
 */
static inline int ivring_msg_commit(struct ivring_msg_tx *m, u64 len, u32 type)
{
	struct ivring_tx *tx = m->tx;
	u64 at = tx->prod + m->pending;
	struct ivring_wire_msg *head;

	if (unlikely(len > m->reserved - sizeof(*head) || !m->reserved))
		return -EINVAL;
	/* Else the barrier of each publication waits for lines that the consumer read last. */
	prefetchw(m->data + ((at + IVRING_MSG_AHEAD) & (tx->size - 1)));
	prefetchw(m->data + ((at + IVRING_MSG_AHEAD + 64) & (tx->size - 1)));
	head = (void *)(m->data + (at & (tx->size - 1)));
	head->len = cpu_to_le32(len);
	head->type = cpu_to_le32(type);
	m->pending += ivring_msg_size(len);
	m->reserved = 0;
	return 0;
}

/**
 * ivring_msg_publish() - hand all committed messages to the peer
 * @m: the producer
 *
 * Return: true when the consumer asked for a doorbell.
 */
static inline bool ivring_msg_publish(struct ivring_msg_tx *m)
{
	u64 pending = m->pending;

	m->pending = 0;
	m->reserved = 0;
	return pending && ivring_tx_publish(m->tx, pending);
}

/**
 * ivring_msg_next() - take the next message
 * @m: the consumer
 * @payload: where it lies, until ivring_msg_release(); aligned to IVRING_MSG_ALIGN
 * @len: its length
 * @type: as given to ivring_msg_commit()
 *
 * Reads the producer's index only when all messages known of were taken. The
 * header is read once, in one piece, and judged by that copy: a producer
 * publishes whole records only, so one that is not covered by its index is its
 * fault. Nothing is taken then.
 *
 * Return: 0; -EAGAIN when there is no message now; -EPROTO when the producer's
 * index or the record's length is nonsense.
 */
static inline int ivring_msg_next(struct ivring_msg_rx *m, const void **payload, u32 *len,
				  u32 *type)
{
	struct ivring_rx *rx = m->rx;
	u64 avail = ivring_rx_cached_avail(rx) - m->taken;
	const u8 *record;
	u64 head, size;
	int error;

	if (!avail) {
		error = ivring_rx_refresh(rx);
		if (error)
			return error;
		avail = ivring_rx_cached_avail(rx) - m->taken;
		if (!avail)
			return -EAGAIN;
	}
	record = m->data + ((rx->cons + m->taken) & (rx->size - 1));
	/*
	 * Both fields of struct ivring_wire_msg in one load. Where not even a header
	 * is covered, this is whatever lies there, and any size is too much.
	 */
	head = le64_to_cpu(READ_ONCE(*(const __le64 *)record));
	size = ivring_msg_size((u32)head);
	if (unlikely(size > avail))
		return -EPROTO;
	m->taken += size;
	m->run++;
	*payload = record + sizeof(struct ivring_wire_msg);
	*len = (u32)head;
	*type = head >> 32;
	return 0;
}

/**
 * ivring_msg_prefetch() - fetch where the next message will be
 * @m: the consumer
 *
 * For who spins: a look at the index and this, again and again. Then index and
 * message may travel at the same time, not one after the other; or the producer
 * has to fetch the lines back. Measure it: "make bench-ring" does, and says
 * message_prefetch_gain. A header of eight bytes and 64 of payload lie in two lines.
 */
static inline void ivring_msg_prefetch(const struct ivring_msg_rx *m)
{
	const u8 *record = m->data + ((m->rx->cons + m->taken) & (m->rx->size - 1));

	prefetch(record);
	prefetch(record + 64);
}

/**
 * ivring_msg_linger() - how long not to look, when there is no message
 * @m: the consumer, which just met -EAGAIN, and is about to spin
 *
 * Each look at the producer's index takes its cache line away. A producer that
 * publishes one message after the other then waits for that line each time, and
 * is slower than a consumer that does so little. Who leaves it alone for a moment
 * finds several messages, for the price of one line. So while several come at once,
 * and the more, the longer they were left alone, the next look comes a little later.
 * A producer that waits for the answer to each message sends one at a time, and that
 * one is not waited for longer. One that sends a few and then waits for answers is
 * no stream: its consumer should not ask here.
 *
 * Return: how often to cpu_relax() before the next look, up to
 * IVRING_MSG_LINGER_MAX.
 */
static inline u32 ivring_msg_linger(struct ivring_msg_rx *m)
{
	u32 pauses = m->pauses + IVRING_MSG_LINGER_STEP;

	if (m->run < 2 || m->run < m->pauses / IVRING_MSG_LINGER_PER)
		pauses = m->pauses / 2;
	else if (pauses > IVRING_MSG_LINGER_MAX)
		pauses = IVRING_MSG_LINGER_MAX;
	m->run = 0;
	m->pauses = pauses;
	return pauses;
}

/**
 * ivring_msg_release() - give all messages that were taken back to the producer
 * @m: the consumer
 *
 * Their payload may be overwritten from here on.
 *
 * Return: true when the producer asked for a doorbell.
 */
static inline bool ivring_msg_release(struct ivring_msg_rx *m)
{
	u64 taken = m->taken;

	m->taken = 0;
	return taken && ivring_rx_publish(m->rx, taken);
}

#endif /* _IVRING_MSG_H */

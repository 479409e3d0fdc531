/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A channel between two processes: the region, its rings, waiting.
 *
 * The layout is that of a real link, the indices and the waiting are those of
 * the modules, and an eventfd stands for the doorbell, as it does on the host.
 */
#ifndef IVRING_BENCH_CHAN_H
#define IVRING_BENCH_CHAN_H

#include <ivring/msg.h>
#include <ivring/ring.h>
#include <ivring/spin.h>
#include <ivring/wire.h>

/* Looks between two readings of the clock, which takes as long as several looks. */
#define CHAN_LOOKS	8

/* Made before the processes fork. */
struct region {
	int fd;
	struct ivring_wire_geometry geo;
	int bell[IVRING_WIRE_CHANNELS_MAX][IVRING_WIRE_SIDES];
};

/* One side's end of a channel; private to its process. */
struct chan {
	struct ivring_tx tx;
	struct ivring_rx rx;
	uint8_t *tx_data, *rx_data;
	struct ivring_wire_channel *ctl;
	struct ivring_spin tx_spin, rx_spin;
	uint32_t spin_max_ns;
	bool prefetch;		/* what comes next, at each look; chan_open() says no */
	const struct ivring_msg_rx *messages;	/* NULL: bytes are received */
	int bell_own, bell_peer;
	uint64_t sleeps, spins, rings;
};

void region_create(struct region *r, uint32_t channels, uint64_t ring_size);
void region_destroy(struct region *r);
void chan_open(struct chan *c, const struct region *r, uint32_t index, int side,
	       uint64_t window, uint32_t spin_max_ns);
void chan_close(struct chan *c);

/*
 * Wait for @want bytes to read, or of room. Who has to sleep for that asks to be
 * woken for @plenty: what is worth a wake-up. In chan.c but for the fast path.
 */
void chan_wait_data_slow(struct chan *c, uint64_t want, uint64_t plenty);
void chan_wait_room_slow(struct chan *c, uint64_t want, uint64_t plenty);
void chan_ring(struct chan *c);

static inline void chan_wait_data(struct chan *c, uint64_t want, uint64_t plenty)
{
	if (ivring_rx_cached_avail(&c->rx) < want)
		chan_wait_data_slow(c, want, plenty);
}

static inline void chan_wait_room(struct chan *c, uint64_t want, uint64_t plenty)
{
	if (ivring_tx_cached_space(&c->tx) < want)
		chan_wait_room_slow(c, want, plenty);
}

static inline uint8_t *chan_tx_ptr(const struct chan *c)
{
	return c->tx_data + (c->tx.prod & (c->tx.size - 1));
}

static inline const uint8_t *chan_rx_ptr(const struct chan *c)
{
	return c->rx_data + (c->rx.cons & (c->rx.size - 1));
}

static inline void chan_produced(struct chan *c, uint64_t len)
{
	if (ivring_tx_publish(&c->tx, len))
		chan_ring(c);
}

static inline void chan_consumed(struct chan *c, uint64_t len)
{
	if (ivring_rx_publish(&c->rx, len))
		chan_ring(c);
}

#endif /* IVRING_BENCH_CHAN_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The other side of a host link, played in user space: what a guest's kernel
 * would do, by hand and step by step, so that every step can be done wrong.
 */
#ifndef _IVRING_TEST_PEER_H
#define _IVRING_TEST_PEER_H

#include "region.h"

struct peer {
	struct region r;
	struct ivring_wire_geometry geo;
	struct ivring_wire_side *own;
	struct ivring_wire_side *kernel;
	struct ivring_wire_channel *channels;
	uint64_t epoch;		/* of the last life or conversation that was begun */
	int link;
	bool everywhere;	/* a mad one writes where it may not, too */
};

/* One channel as the peer sees it. */
struct peer_channel {
	struct ivring_wire_conn *own;
	const struct ivring_wire_conn *kernel;
	struct ivring_tx tx;
	struct ivring_rx rx;
	uint8_t *tx_data;
	const uint8_t *rx_data;
	uint64_t epoch;
	unsigned int index;
};

/* A region, attached; the peer is known to the kernel but shows nothing yet. */
static inline int peer_create_sized(struct peer *p, size_t size, unsigned int channels,
				    unsigned int memfd_flags)
{
	int ret;

	memset(p, 0, sizeof(*p));
	ret = region_create_flags(&p->r, size, channels, memfd_flags);
	if (ret)
		return ret;
	ret = ivring_wire_check((void *)p->r.map, size, &p->geo);
	if (ret)
		return ret;
	p->kernel = (void *)(p->r.map + p->geo.side_offset);
	p->own = p->kernel + 1;
	p->channels = (void *)(p->r.map + p->geo.channel_offset);
	p->epoch = 0x1000;
	ret = region_attach(&p->r);
	if (!ret)
		ret = region_peer_add(&p->r);
	p->link = p->r.link;
	/* This peer's heart beats only where a test is about that. */
	return ret ?: link_attr_set(p->link, "peer_timeout_ms", "0");
}

static inline int peer_create(struct peer *p)
{
	return peer_create_sized(p, 1 << 20, 4, 0);
}

static inline void peer_ring(const struct peer *p, unsigned int vector)
{
	eventfd_write(p->r.ears[vector], 1);
}

static inline void peer_ring_all(const struct peer *p)
{
	int i;

	for (i = 0; i < REGION_VECTORS; i++)
		peer_ring(p, i);
}

static inline uint64_t kernel_heartbeat(const struct peer *p)
{
	return le64toh(__atomic_load_n(&p->kernel->heartbeat, __ATOMIC_SEQ_CST));
}

/* How often the kernel rang since the last look. */
static inline uint64_t peer_rung(const struct peer *p, unsigned int vector)
{
	eventfd_t n = 0;

	return eventfd_read(p->r.bells[vector], &n) ? 0 : n;
}

static inline void peer_set_side(struct peer *p, uint32_t state, uint64_t epoch)
{
	WRITE_ONCE(p->own->state, htole32(state));
	__atomic_store_n(&p->own->epoch, htole64(epoch), __ATOMIC_SEQ_CST);
	peer_ring(p, 0);
}

/* Begin a life, as ivring_link_start() does. */
static inline void peer_publish(struct peer *p)
{
	peer_set_side(p, IVRING_WIRE_SIDE_DOWN, 0);
	p->own->id = htole32(PEER_ID);
	p->own->vectors = htole32(REGION_VECTORS);
	p->own->version = htole32(IVRING_WIRE_VERSION);
	p->own->version_min = htole32(IVRING_WIRE_VERSION_MIN);
	p->own->reserved0 = 0;
	memset(p->own->reserved1, 0, sizeof(p->own->reserved1));
	memset(p->own->reserved2, 0, sizeof(p->own->reserved2));
	p->own->features = 0;
	p->own->heartbeat = 0;
	peer_set_side(p, IVRING_WIRE_SIDE_READY, ++p->epoch);
}

static inline void peer_beat(struct peer *p)
{
	WRITE_ONCE(p->own->heartbeat, htole64(le64toh(p->own->heartbeat) + 1));
}

static inline bool peer_link_is(const struct peer *p, const char *state)
{
	return wait_until(link_attr_is(p->link, "state", state), PATIENCE_MS);
}

/* ---- a channel ---- */

static inline void peer_channel_init(struct peer *p, struct peer_channel *c, unsigned int index)
{
	struct ivring_wire_channel *w = &p->channels[index];
	uint64_t ring = p->geo.ring_size;
	char *data = p->r.map + p->geo.data_offset + index * 2 * ring;

	memset(c, 0, sizeof(*c));
	c->index = index;
	c->own = &w->conn[1];
	c->kernel = &w->conn[0];
	c->tx.own = &w->ring[1].producer;
	c->tx.peer = &w->ring[1].consumer;
	c->tx.size = ring;
	c->tx.window = ring;
	c->rx.own = &w->ring[0].consumer;
	c->rx.peer = &w->ring[0].producer;
	c->rx.size = ring;
	c->tx_data = (uint8_t *)data + ring;
	c->rx_data = (const uint8_t *)data;
}

static inline void pc_set_flags(struct peer_channel *c, uint32_t flags)
{
	__atomic_store_n(&c->own->flags, htole32(flags), __ATOMIC_SEQ_CST);
}

static inline void pc_set_ack(struct peer_channel *c, uint64_t ack)
{
	__atomic_store_n(&c->own->ack, htole64(ack), __ATOMIC_SEQ_CST);
}

static inline uint64_t pc_kernel_epoch(const struct peer_channel *c)
{
	return le64toh(__atomic_load_n(&c->kernel->epoch, __ATOMIC_SEQ_CST));
}

static inline uint64_t pc_kernel_ack(const struct peer_channel *c)
{
	return le64toh(__atomic_load_n(&c->kernel->ack, __ATOMIC_SEQ_CST));
}

static inline uint32_t pc_kernel_flags(const struct peer_channel *c)
{
	return le32toh(__atomic_load_n(&c->kernel->flags, __ATOMIC_SEQ_CST));
}

/* Show a fresh conversation, without answering the kernel's. */
static inline void pc_offer(struct peer *p, struct peer_channel *c)
{
	__atomic_store_n(&c->own->epoch, 0, __ATOMIC_SEQ_CST);
	pc_set_ack(c, 0);
	pc_set_flags(c, 0);
	ivring_tx_reset(&c->tx);
	ivring_rx_reset(&c->rx);
	c->epoch = ++p->epoch;
	__atomic_store_n(&c->own->epoch, htole64(c->epoch), __ATOMIC_SEQ_CST);
	peer_ring(p, 0);
}

/* Join the kernel's conversation, which a file must be open for. */
static inline int pc_join(struct peer *p, struct peer_channel *c)
{
	if (!wait_until(pc_kernel_epoch(c) != 0 && pc_kernel_ack(c) == c->epoch, PATIENCE_MS))
		return -ETIMEDOUT;
	pc_set_ack(c, pc_kernel_epoch(c));
	peer_ring(p, 0);
	return 0;
}

static inline void pc_close(struct peer *p, struct peer_channel *c)
{
	__atomic_store_n(&c->own->epoch, 0, __ATOMIC_SEQ_CST);
	pc_set_ack(c, 0);
	pc_set_flags(c, 0);
	peer_ring(p, 0);
}

static inline void pc_ring(const struct peer *p, const struct peer_channel *c)
{
	peer_ring(p, ivring_wire_vector(c->index, REGION_VECTORS));
}

/* Bytes of the pattern into the ring, and a doorbell if the kernel wants one. */
static inline int pc_send(struct peer *p, struct peer_channel *c, size_t len, uint64_t seed)
{
	uint64_t pos = c->tx.prod, off = pos & (c->tx.size - 1);
	size_t first = len < c->tx.size - off ? len : c->tx.size - off;

	if (ivring_tx_refresh(&c->tx))
		return -EPROTO;
	if (ivring_tx_cached_space(&c->tx) < len)
		return -ENOSPC;
	pattern_fill(c->tx_data + off, first, seed, pos);
	pattern_fill(c->tx_data, len - first, seed, pos + first);
	if (ivring_tx_publish(&c->tx, len))
		pc_ring(p, c);
	return 0;
}

/* The next @len bytes the kernel sent, once they are there. */
static inline int pc_receive(struct peer *p, struct peer_channel *c, size_t len, uint64_t seed)
{
	uint64_t pos = c->rx.cons, off = pos & (c->rx.size - 1);
	size_t first = len < c->rx.size - off ? len : c->rx.size - off;
	int ret = 0;

	if (!wait_until((ret = ivring_rx_refresh(&c->rx)) ||
			ivring_rx_cached_avail(&c->rx) >= len, PATIENCE_MS))
		return -ETIMEDOUT;
	if (ret)
		return ret;
	if (pattern_check(c->rx_data + off, first, seed, pos) >= 0 ||
	    pattern_check(c->rx_data, len - first, seed, pos + first) >= 0)
		return -EILSEQ;
	if (ivring_rx_publish(&c->rx, len))
		pc_ring(p, c);
	return 0;
}

/* ---- fixtures: "peer" is up, "talk" has channel 2 connected as well ---- */

FIXTURE(peer) {
	struct peer p;
};

FIXTURE_SETUP(peer)
{
	ASSERT_EQ(0, peer_create(&self->p));
	peer_publish(&self->p);
	ASSERT_TRUE(peer_link_is(&self->p, "up"));
}

FIXTURE_TEARDOWN(peer)
{
	region_destroy(&self->p.r);
}

#define TALK_CHANNEL	2

FIXTURE(talk) {
	struct peer p;
	struct peer_channel c;
	int fd;
};

static inline int talk_connect_flags(struct peer *p, struct peer_channel *c, int *fd, int flags)
{
	int ret;

	pc_offer(p, c);
	*fd = channel_open(p->link, c->index, flags);
	if (*fd < 0)
		return *fd;
	ret = pc_join(p, c);
	return ret ?: ch_connected(*fd);
}

static inline int talk_connect(struct peer *p, struct peer_channel *c, int *fd)
{
	return talk_connect_flags(p, c, fd, O_RDWR);
}

FIXTURE_SETUP(talk)
{
	ASSERT_EQ(0, peer_create(&self->p));
	child_drops = self->p.r.host;
	peer_publish(&self->p);
	ASSERT_TRUE(peer_link_is(&self->p, "up"));
	peer_channel_init(&self->p, &self->c, TALK_CHANNEL);
	ASSERT_EQ(0, talk_connect(&self->p, &self->c, &self->fd));
}

FIXTURE_TEARDOWN(talk)
{
	close(self->fd);
	region_destroy(&self->p.r);
}

#endif /* _IVRING_TEST_PEER_H */

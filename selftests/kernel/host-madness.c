// SPDX-License-Identifier: GPL-2.0
/*
 * A host link whose peer has gone mad: it writes anything anywhere and rings as
 * it likes, while users do all that users do. Nobody may hang, the kernel may
 * not complain, and the next sane peer gets a link that works.
 *
 * IVRING_TEST_SEED repeats a run.
 */
#include "peer.h"

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 17 ^ *state << 40;
}

static uint64_t next_value(struct peer *p, struct peer_channel *c, uint64_t *rnd)
{
	const uint64_t values[] = {
		0, 1, 2, 4096, c->rx.size - 1, c->rx.size, c->rx.size + 1, 1ULL << 32,
		1ULL << 63, ~0ULL, pc_kernel_epoch(c), pc_kernel_ack(c), p->epoch,
		le64toh(READ_ONCE(c->rx.peer->prod)), le64toh(READ_ONCE(c->tx.peer->cons)),
		next_random(rnd),
	};

	return htole64(values[next_random(rnd) % ARRAY_LEN(values)]);
}

/* A step that a sane peer takes, so that the mad ones meet all states. */
static void sane_step(struct peer *p, struct peer_channel *c, uint64_t *rnd)
{
	switch (next_random(rnd) % 6) {
	case 0:
		pc_offer(p, c);
		break;
	case 1:
		WRITE_ONCE(c->own->epoch, htole64(c->epoch));
		pc_set_ack(c, pc_kernel_epoch(c));
		pc_set_flags(c, 0);
		peer_ring(p, 0);
		break;
	case 2:
		if (!ivring_tx_refresh(&c->tx))
			pc_send(p, c, next_random(rnd) % 5000, 1);
		break;
	case 3:
		if (!ivring_rx_refresh(&c->rx) && ivring_rx_publish(&c->rx,
								    ivring_rx_cached_avail(&c->rx)))
			pc_ring(p, c);
		break;
	case 4:
		pc_close(p, c);
		break;
	default:
		if (next_random(rnd) % 16 == 0)
			peer_publish(p);
	}
}

static void mad_step(struct peer *p, struct peer_channel *c, uint64_t *rnd)
{
	uint64_t r = next_random(rnd), v = next_value(p, c, rnd);

	switch (r % 13) {
	case 0:
		WRITE_ONCE(c->own->epoch, v);
		break;
	case 1:
		WRITE_ONCE(c->own->ack, v);
		break;
	case 2:
		WRITE_ONCE(c->own->flags, v & 7);
		break;
	case 3:
		WRITE_ONCE(c->tx.own->prod, v);
		break;
	case 4:
		WRITE_ONCE(c->tx.own->event, v);
		break;
	case 5:
		WRITE_ONCE(c->rx.own->cons, v);
		break;
	case 6:
		WRITE_ONCE(c->rx.own->event, v);
		break;
	case 7:		/* anywhere in its own presence */
		if (r >> 8 & 1)
			((uint64_t *)p->own)[(r >> 9) % 17] = v;
		break;
	case 8:		/* what is not its to write: the kernel's own half, and all else */
		if (p->everywhere)
			((uint64_t *)p->r.map)[(r >> 9) % (p->geo.data_offset / 8)] = v;
		break;
	case 9:
	case 10:
		peer_ring(p, (r >> 9) % REGION_VECTORS);
		break;
	default:
		sane_step(p, c, rnd);
	}
}

static int go_mad(struct peer *p, uint64_t seed)
{
	struct peer_channel c[4];
	uint64_t rnd = seed;
	int i;

	for (i = 0; i < 4; i++)
		peer_channel_init(p, &c[i], i);
	p->epoch = seed << 32;
	for (;;)
		mad_step(p, &c[next_random(&rnd) % 4], &rnd);
	return 0;
}

/* Everything a user can do, none of it for long, and no result that counts. */
static int use_channel(unsigned int link, unsigned int ch, uint64_t seed)
{
	static char buf[100000];
	struct ivring_span span;
	uint64_t rnd = seed;
	void *map;
	int fd, i;

	for (;;) {
		fd = channel_open(link, ch, O_RDWR | O_NONBLOCK);
		if (fd < 0)
			return -fd;
		ch_set_nonblock(fd, false);
		ch_wait(fd, IVRING_WAIT_CONNECTED, MS(2));
		ch_set_nonblock(fd, true);
		map = ch_map(fd, next_random(&rnd) & 1);
		for (i = 0; i < 50; i++) {
			uint64_t r = next_random(&rnd);

			switch (r % 8) {
			case 0:
				SYS(read(fd, buf, r >> 8 & 65535));
				break;
			case 1:
				SYS(write(fd, buf, r >> 8 & 65535));
				break;
			case 2:
				if (!ch_reserve(fd, &span, 1 + (r >> 8 & 4095), 0))
					ch_commit(fd, span.offset, r & 1 ? span.len : 0);
				break;
			case 3:
				if (!ch_peek(fd, &span, 1 + (r >> 8 & 4095), 0))
					ch_release(fd, span.offset, r & 1 ? span.len : 0);
				break;
			case 4:
				ch_poll(fd, POLLIN | POLLOUT, 0);
				break;
			case 5:
				ch_set_nonblock(fd, false);
				ch_wait(fd, 1 << (r >> 8) % 4, MS(1));
				ch_set_nonblock(fd, true);
				break;
			default:
				ch_state(fd);
			}
		}
		if (map)
			munmap(map, 2 * 65536);
		close(fd);
	}
}

TEST_F_TIMEOUT(peer, madness, 120)
{
	enum { USERS = 4 };
	const char *text = getenv("IVRING_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : now_ns();
	struct ivring_wire_superblock good = *(struct ivring_wire_superblock *)self->p.r.map;
	struct peer_channel c;
	pid_t mad, user[USERS];
	int round, i, fd;

	TH_LOG("IVRING_TEST_SEED=%ju", (uintmax_t)seed);
	for (round = 0; round < 10; round++) {
		int64_t end = now_ns() + MS(1000);

		self->p.everywhere = round % 2;
		child_drops = self->p.r.host;
		mad = child_run(go_mad(&self->p, seed + round));
		for (i = 0; i < USERS; i++)
			user[i] = child_run(use_channel(self->p.link, i, seed + round));
		while (now_ns() < end) {
			char buf[64];

			/* The transport is as restless as the peer. */
			host_peer_del(self->p.r.host, PEER_ID);
			region_peer_add(&self->p.r);
			link_attr(self->p.link, "state", buf, sizeof(buf));
			nap();
		}
		for (i = 0; i < USERS; i++)
			kill(user[i], SIGKILL);
		for (i = 0; i < USERS; i++)
			EXPECT_EQ(-(1000 + SIGKILL), child_end(user[i], PATIENCE_MS));
		kill(mad, SIGKILL);
		EXPECT_EQ(-(1000 + SIGKILL), child_end(mad, PATIENCE_MS));

		/* A sane peer's life begins; what a mad one spoilt is laid out anew. */
		host_peer_del(self->p.r.host, PEER_ID);
		if (self->p.everywhere) {
			close(self->p.r.host);
			memset(self->p.r.map, 0, self->p.geo.data_offset);
			*(struct ivring_wire_superblock *)self->p.r.map = good;
			self->p.r.host = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
			ASSERT_EQ(0, region_attach(&self->p.r));
			self->p.link = self->p.r.link;
		}
		self->p.epoch = (seed + round + 1) << 40;
		peer_publish(&self->p);
		ASSERT_EQ(0, region_peer_add(&self->p.r));
		ASSERT_TRUE(peer_link_is(&self->p, "up"));
		for (i = 0; i < 4; i++) {
			peer_channel_init(&self->p, &c, i);
			pc_close(&self->p, &c);
			ASSERT_EQ(0, talk_connect(&self->p, &c, &fd)) {
				TH_LOG("round %d, channel %d", round, i);
			}
			ASSERT_EQ(0, pc_send(&self->p, &c, 10000, 1));
			ASSERT_EQ(0, pattern_read(fd, 10000, 10000, 1, 0));
			ASSERT_EQ(0, pattern_write(fd, 10000, 10000, 2, 0));
			ASSERT_EQ(0, pc_receive(&self->p, &c, 10000, 2));
			close(fd);
			pc_close(&self->p, &c);
		}
	}
}

HOST_HARNESS_MAIN

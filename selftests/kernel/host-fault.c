// SPDX-License-Identifier: GPL-2.0
/*
 * A host link in trouble: a peer that breaks the rules, falls silent or rings
 * without end, and a region that is taken away while all kinds of users are at
 * it. Whatever happens, everyone gets an errno in bounded time, and the next peer
 * gets a link that works.
 */
#include "peer.h"
#include "sleepers.h"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB	(21U << 26)
#endif

/* ---- impossible indices ---- */

enum {
	PROD_BEYOND_RING, PROD_FAR, PROD_BACKWARDS, PROD_SIGN, CONS_BEYOND_PROD, CONS_FAR,
	CONS_BACKWARDS, CONS_SIGN, LIES,
};

/* The kernel produced and consumed 1000 bytes, of which the peer read 500. */
static void lie(struct peer_channel *c, int which)
{
	const uint64_t values[LIES] = {
		[PROD_BEYOND_RING] = 1000 + c->rx.size + 1,
		[PROD_FAR] = 1ULL << 40,
		[PROD_BACKWARDS] = 999,
		[PROD_SIGN] = -1ULL,
		[CONS_BEYOND_PROD] = 1001,
		[CONS_FAR] = 1ULL << 40,
		[CONS_BACKWARDS] = 499,
		[CONS_SIGN] = 1ULL << 63,
	};

	if (which < CONS_BEYOND_PROD)
		__atomic_store_n(&c->tx.own->prod, htole64(values[which]), __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&c->rx.own->cons, htole64(values[which]), __ATOMIC_SEQ_CST);
}

TEST_F(talk, impossible_indices)
{
	long long broken;
	int which, fd;

	for (which = 0; which < LIES; which++) {
		broken = channel_num(self->p.link, TALK_CHANNEL, "stats/broken");
		ASSERT_EQ(0, pc_send(&self->p, &self->c, 1000, 1));
		ASSERT_EQ(0, pattern_read(self->fd, 1000, 1000, 1, 0));
		ASSERT_EQ(0, pattern_write(self->fd, 1000, 1000, 2, 0));
		ASSERT_EQ(0, pc_receive(&self->p, &self->c, 500, 2));
		EXPECT_EQ(-EAGAIN, ch_wait(self->fd, IVRING_WAIT_DRAINED, 0));
		lie(&self->c, which);
		/* Whoever has to look finds it; then it is over for all. */
		EXPECT_EQ(-EPROTO, ch_wait(self->fd, which < CONS_BEYOND_PROD ?
					   IVRING_WAIT_IN : IVRING_WAIT_DRAINED,
					   MS(PATIENCE_MS)));
		EXPECT_TRUE(all_fail(self->fd, -EPROTO)) {
			TH_LOG("lie %d", which);
		}
		EXPECT_EQ(IVRING_CHANNEL_BROKEN, ch_state(self->fd));
		EXPECT_EQ(broken + 1, channel_num(self->p.link, TALK_CHANNEL, "stats/broken"));
		/* The peer is told. */
		EXPECT_EQ(IVRING_WIRE_CONN_F_CLOSING | IVRING_WIRE_CONN_F_ABORTED,
			  pc_kernel_flags(&self->c));

		/* The truth comes too late, and so does a polite close. */
		WRITE_ONCE(self->c.tx.own->prod, htole64(1000));
		WRITE_ONCE(self->c.rx.own->cons, htole64(500));
		peer_ring_all(&self->p);
		EXPECT_TRUE(all_fail(self->fd, -EPROTO));
		/* One that opens now has to wait for the peer to close. */
		fd = channel_open(self->p.link, TALK_CHANNEL, O_RDWR);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-ETIMEDOUT, ch_wait(fd, IVRING_WAIT_CONNECTED, MS(20)));
		EXPECT_EQ(-ECONNRESET, ch_wait(self->fd, IVRING_WAIT_IN, FOREVER));
		close(self->fd);
		pc_close(&self->p, &self->c);
		pc_offer(&self->p, &self->c);
		ASSERT_EQ(0, pc_join(&self->p, &self->c));
		ASSERT_EQ(0, ch_connected(fd));
		self->fd = fd;
	}
}

TEST_F(talk, sleepers_meet_a_lie)
{
	pid_t pid[SLEEPERS];
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(sleepers_start(self->fd, self->p.geo.ring_size, i, pid));
		if (i)
			WRITE_ONCE(self->c.tx.own->prod, htole64(self->c.tx.size + 1));
		else
			WRITE_ONCE(self->c.rx.own->cons, htole64(self->c.rx.size + 1));
		pc_ring(&self->p, &self->c);
		EXPECT_EQ(SLEEPERS, sleepers_end(pid, EPROTO, 3000));
		close(self->fd);
		pc_close(&self->p, &self->c);
		ASSERT_EQ(0, talk_connect(&self->p, &self->c, &self->fd));
	}
}

/* The last look at a closing peer's index is a suspicious one, too. */
TEST_F(talk, lie_at_the_end)
{
	char c;

	WRITE_ONCE(self->c.tx.own->prod, htole64(self->c.tx.size + 1));
	pc_set_flags(&self->c, IVRING_WIRE_CONN_F_CLOSING);
	peer_ring(&self->p, 0);
	EXPECT_EQ(-EPROTO, ch_wait(self->fd, IVRING_WAIT_IN, MS(PATIENCE_MS)));
	EXPECT_EQ(-EPROTO, SYS(read(self->fd, &c, 1)));
}

TEST_F(talk, lie_while_lingering)
{
	ASSERT_EQ(0, pattern_write(self->fd, 100, 100, 1, 0));
	close(self->fd);
	WRITE_ONCE(self->c.rx.own->cons, htole64(101));
	peer_ring_all(&self->p);
	EXPECT_TRUE(wait_until(pc_kernel_epoch(&self->c) == 0, PATIENCE_MS));
	pc_close(&self->p, &self->c);
	EXPECT_EQ(0, talk_connect(&self->p, &self->c, &self->fd));
}

/* A full ring, to the last byte, is no lie. */
TEST_F(talk, full_ring)
{
	size_t ring = self->p.geo.ring_size;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pc_send(&self->p, &self->c, ring, 1));
		ASSERT_EQ(0, ch_wait_events(self->fd, IVRING_WAIT_IN, ring, 0, MS(PATIENCE_MS),
					    NULL));
		ASSERT_EQ(0, pattern_read(self->fd, ring, ring, 1, i * ring));
	}
}

/* ---- heartbeats ---- */

TEST_F(peer, timeout_values)
{
	struct region r;

	ASSERT_EQ(0, region_create(&r, 65536, 1));
	ASSERT_EQ(0, region_attach(&r));
	EXPECT_TRUE(link_attr_is(r.link, "peer_timeout_ms", "10000"));
	region_destroy(&r);
	EXPECT_EQ(-EINVAL, link_attr_set(self->p.link, "peer_timeout_ms", "1"));
	EXPECT_EQ(-EINVAL, link_attr_set(self->p.link, "peer_timeout_ms", "2999"));
	EXPECT_EQ(-EINVAL, link_attr_set(self->p.link, "peer_timeout_ms", "-1"));
	EXPECT_EQ(-EINVAL, link_attr_set(self->p.link, "peer_timeout_ms", "soon"));
	EXPECT_EQ(0, link_attr_set(self->p.link, "peer_timeout_ms", "3000"));
	EXPECT_EQ(0, link_attr_set(self->p.link, "peer_timeout_ms", "0"));
	EXPECT_TRUE(link_attr_is(self->p.link, "peer_timeout_ms", "0"));
}

static int peer_up(struct peer *p, const char *timeout_ms)
{
	int ret = peer_create(p);

	if (ret)
		return ret;
	peer_publish(p);
	if (!peer_link_is(p, "up"))
		return -ENOLINK;
	return link_attr_set(p->link, "peer_timeout_ms", timeout_ms);
}

/*
 * Four peers side by side: one falls silent, one is silent but nobody minds, one
 * beats, and one is silent while it owes no heartbeat.
 */
TEST_F(talk, heartbeat)
{
	int any_fd, beats_fd, idle_fd, node = link_open(self->p.link, O_RDONLY);
	struct peer any, beats, idle;
	struct peer_channel any_c, beats_c;
	struct ivring_link_info info;
	pid_t pid[SLEEPERS];
	int64_t start;

	ASSERT_EQ(0, link_attr_set(self->p.link, "peer_timeout_ms", "3000"));
	ASSERT_EQ(0, peer_up(&any, "0"));
	peer_channel_init(&any, &any_c, 0);
	ASSERT_EQ(0, talk_connect(&any, &any_c, &any_fd));
	ASSERT_EQ(0, peer_up(&beats, "3000"));
	peer_channel_init(&beats, &beats_c, 0);
	ASSERT_EQ(0, talk_connect(&beats, &beats_c, &beats_fd));
	ASSERT_EQ(0, peer_up(&idle, "3000"));
	idle_fd = channel_open(idle.link, 0, O_RDWR);
	ASSERT_LE(0, idle_fd);

	ASSERT_TRUE(sleepers_start(self->fd, self->p.geo.ring_size, true, pid));
	peer_beat(&self->p);
	start = now_ns();
	EXPECT_TRUE(wait_until(({ peer_beat(&beats);
				  link_attr_is(self->p.link, "state", "stalled"); }), 10000));
	/* The kernel looks once a second. */
	EXPECT_LE(MS(3000), now_ns() - start);
	EXPECT_GE(MS(6000), now_ns() - start);
	EXPECT_EQ(SLEEPERS, sleepers_end(pid, ETIMEDOUT, 2000));
	EXPECT_TRUE(all_fail(self->fd, -ETIMEDOUT));
	EXPECT_EQ(IVRING_CHANNEL_RESET, ch_state(self->fd));
	EXPECT_EQ(0, ch_link_info(node, &info));
	EXPECT_EQ(IVRING_LINK_STALLED, info.state);
	EXPECT_EQ(0, ch_poll(node, POLLIN, 0));
	EXPECT_FALSE(wait_until(({ peer_beat(&beats); now_ns() - start > MS(6000); }) &&
				false, 1000));

	EXPECT_TRUE(link_attr_is(any.link, "state", "up"));
	EXPECT_EQ(IVRING_CHANNEL_CONNECTED, ch_state(any_fd));
	EXPECT_TRUE(link_attr_is(beats.link, "state", "up"));
	EXPECT_EQ(IVRING_CHANNEL_CONNECTED, ch_state(beats_fd));
	EXPECT_TRUE(link_attr_is(idle.link, "state", "up"));
	EXPECT_EQ(IVRING_CHANNEL_OPENING, ch_state(idle_fd));

	/* It comes to itself: the old conversation is over, a new one is not. */
	close(self->fd);
	self->fd = channel_open(self->p.link, TALK_CHANNEL, O_RDWR);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(-ETIMEDOUT, ch_wait(self->fd, IVRING_WAIT_CONNECTED, MS(20)));
	pc_close(&self->p, &self->c);
	peer_beat(&self->p);
	peer_ring(&self->p, 0);
	ASSERT_TRUE(peer_link_is(&self->p, "up"));
	EXPECT_EQ(POLLIN, ch_poll(node, POLLIN, 0));
	pc_offer(&self->p, &self->c);
	ASSERT_EQ(0, pc_join(&self->p, &self->c));
	EXPECT_EQ(0, ch_connected(self->fd));
	EXPECT_EQ(0, pc_send(&self->p, &self->c, 10, 1));
	EXPECT_EQ(0, pattern_read(self->fd, 10, 10, 1, 0));

	close(node);
	close(any_fd);
	close(beats_fd);
	close(idle_fd);
	region_destroy(&any.r);
	region_destroy(&beats.r);
	region_destroy(&idle.r);
}

/* The kernel's own: while a channel is open, and not a beat longer. */
TEST_F(talk, kernel_heartbeat)
{
	uint64_t before = kernel_heartbeat(&self->p), stopped = 0;
	int64_t start = now_ns(), last = 0;

	EXPECT_TRUE(wait_until(kernel_heartbeat(&self->p) >= before + 4, 10000));
	EXPECT_GE(MS(5500), now_ns() - start);
	pc_set_flags(&self->c, IVRING_WIRE_CONN_F_CLOSING);
	peer_ring(&self->p, 0);
	close(self->fd);
	/* Quiet for 2.5 s. */
	EXPECT_TRUE(wait_until(({
		uint64_t now = kernel_heartbeat(&self->p);

		if (now != stopped || !last)
			last = now_ns();
		stopped = now;
		now_ns() - last > MS(2500); }), 10000));
}

/* ---- the region is taken away ---- */

/* Touch every page of a mapping over and over: it should end in SIGBUS. */
static int touch_until_bus_error(int fd, bool tx, volatile int *mapped)
{
	volatile char *p = ch_map(fd, tx);
	struct ivring_channel_info info;
	size_t i;

	if (!p || ch_info(fd, &info))
		return 98;
	for (;;) {
		for (i = 0; i < info.map_size; i += 4096) {
			if (tx)
				p[i] = 1;
			else
				(void)p[i];
		}
		*mapped = 1;
	}
	return 99;
}

/* A process doing that, which has begun when this returns. */
static pid_t toucher_start(int fd, bool tx)
{
	volatile int *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = child_run(touch_until_bus_error(fd, tx, mapped));

	wait_until(*mapped, PATIENCE_MS);
	munmap((void *)mapped, 4096);
	return pid;
}

static int transfer_until_error(int fd, bool out)
{
	char *buf = calloc(1, 65536);
	long n;

	do
		n = out ? write(fd, buf, 65536) : read(fd, buf, 65536);
	while (n > 0);
	return n < 0 ? -errno : 0;
}

TEST_F(talk, detach)
{
	struct ivring_link_info link_info;
	struct ivring_channel_info info;
	pid_t pid[SLEEPERS], tx, rx;
	volatile char *map, *untouched;
	int64_t start;
	int fd, c0;

	c0 = channel_open(self->p.link, 0, O_RDWR);
	fd = link_open(self->p.link, O_RDONLY);
	ASSERT_LE(0, fd);
	map = ch_map(self->fd, true);
	untouched = ch_map(c0, false);
	ASSERT_NE(NULL, map);
	ASSERT_NE(NULL, untouched);
	map[0] = 1;
	ASSERT_TRUE(sleepers_start(self->fd, self->p.geo.ring_size, false, pid));
	tx = toucher_start(self->fd, true);
	rx = toucher_start(c0, false);
	peer_rung(&self->p, 0);

	start = now_ns();
	close(self->p.r.host);
	self->p.r.host = -1;
	EXPECT_GE(MS(2000), now_ns() - start);
	EXPECT_EQ(SLEEPERS, sleepers_end(pid, ENODEV, 2000));
	EXPECT_EQ(-(1000 + SIGBUS), child_end(tx, 2000));
	EXPECT_EQ(-(1000 + SIGBUS), child_end(rx, 2000));
	EXPECT_TRUE(all_fail(self->fd, -ENODEV));
	EXPECT_TRUE(all_fail(c0, -ENODEV));
	EXPECT_EQ(-ENODEV, ch_info(self->fd, &info));
	EXPECT_EQ(-ENODEV, ch_link_info(self->fd, &link_info));
	EXPECT_EQ(-ENODEV, ch_link_info(fd, &link_info));
	EXPECT_EQ(POLLERR | POLLHUP, ch_poll(fd, POLLIN, 0));
	EXPECT_TRUE(ch_poll(self->fd, POLLIN, 0) & POLLHUP);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, link_find("test", 0));
	/* The peer was told, and sees nobody. */
	EXPECT_NE(0, peer_rung(&self->p, 0));
	EXPECT_EQ(0, self->p.kernel->epoch);
	EXPECT_EQ(IVRING_WIRE_SIDE_DOWN, le32toh(self->p.kernel->state));

	/* The same memory serves again, with the old files still open. */
	self->p.r.host = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, region_attach(&self->p.r));
	ASSERT_EQ(0, region_peer_add(&self->p.r));
	self->p.link = self->p.r.link;
	peer_publish(&self->p);
	ASSERT_TRUE(peer_link_is(&self->p, "up"));
	EXPECT_TRUE(all_fail(self->fd, -ENODEV));
	close(self->fd);
	peer_channel_init(&self->p, &self->c, TALK_CHANNEL);
	ASSERT_EQ(0, talk_connect(&self->p, &self->c, &self->fd));
	EXPECT_EQ(0, pc_send(&self->p, &self->c, 10, 1));
	EXPECT_EQ(0, pattern_read(self->fd, 10, 10, 1, 0));
	close(fd);
	close(c0);
}

TEST_F(talk, own_mapping_after_detach)
{
	int ready[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ready));
	pid = child_run(({
		volatile char *p = ch_map(self->fd, true);

		p[0] = 1;
		write(ready[1], "r", 1);
		while (link_find("test", 0) >= 0)
			nap();
		p[0] = 2;
		99; }));
	ASSERT_EQ(1, SYS(read(ready[0], &c, 1)));
	close(self->p.r.host);
	self->p.r.host = -1;
	EXPECT_EQ(-(1000 + SIGBUS), child_end(pid, PATIENCE_MS));
}

/* The server dies in the middle of everything. */
TEST_F(talk, server_killed)
{
	pid_t pid[SLEEPERS], server;
	int64_t start;

	ASSERT_TRUE(sleepers_start(self->fd, self->p.geo.ring_size, true, pid));
	child_drops = -1;
	server = child_run((pause(), 0));
	ASSERT_TRUE(child_asleep(server, SYS_pause));
	close(self->p.r.host);
	self->p.r.host = -1;
	EXPECT_LE(0, link_find("test", 0));
	start = now_ns();
	kill(server, SIGKILL);
	EXPECT_EQ(-(1000 + SIGKILL), child_end(server, PATIENCE_MS));
	EXPECT_EQ(SLEEPERS, sleepers_end(pid, ENODEV, 3000));
	EXPECT_GE(MS(3000), now_ns() - start);
	EXPECT_TRUE(all_fail(self->fd, -ENODEV));
}

/* Attach, connect, move data at full speed, detach; again and again. */
TEST_F_TIMEOUT(peer, detach_mid_stream, 180)
{
	pid_t pid[3];
	struct peer p;
	struct peer_channel c;
	int i, k, fd;

	for (i = 0; i < 30; i++) {
		ASSERT_EQ(0, peer_create(&p));
		peer_publish(&p);
		ASSERT_TRUE(peer_link_is(&p, "up"));
		peer_channel_init(&p, &c, i % 4);
		ASSERT_EQ(0, talk_connect(&p, &c, &fd));
		child_drops = p.r.host;
		pid[0] = child_run(transfer_until_error(fd, true));
		pid[1] = child_run(transfer_until_error(fd, false));
		pid[2] = toucher_start(fd, i % 2);
		/* The peer as a mirror, as fast as it can. */
		for (k = 0; k < 200 + 37 * i; k++) {
			uint64_t n;

			ASSERT_EQ(0, ivring_rx_refresh(&c.rx));
			ASSERT_EQ(0, ivring_tx_refresh(&c.tx));
			n = ivring_rx_cached_avail(&c.rx);
			if (n > ivring_tx_cached_space(&c.tx))
				n = ivring_tx_cached_space(&c.tx);
			if (n) {
				ivring_rx_publish(&c.rx, n);
				ivring_tx_publish(&c.tx, n);
				pc_ring(&p, &c);
			}
		}
		close(p.r.host);
		p.r.host = -1;
		EXPECT_EQ(ENODEV, child_end(pid[0], 5000));
		EXPECT_EQ(ENODEV, child_end(pid[1], 5000));
		EXPECT_EQ(-(1000 + SIGBUS), child_end(pid[2], 5000));
		close(fd);
		region_destroy(&p.r);
	}
}

/* ---- huge pages ---- */

static long huge_pages(const char *what)
{
	char path[128], buf[32];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-2048kB/%s", what);
	return read_file(path, buf, sizeof(buf)) ? -1 : atol(buf);
}

static int huge_pages_reserve(long n)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%ld", n);
	return write_file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", buf);
}

TEST_F(peer, huge_pages)
{
	long old = huge_pages("nr_hugepages"), avail;
	volatile char *tx, *rx;
	struct peer_channel c;
	struct peer p;
	pid_t pid;
	int fd, i;

	if (old < 0 || huge_pages_reserve(old + 4) || huge_pages("nr_hugepages") < old + 4)
		SKIP(return, "no huge pages to be had");
	avail = huge_pages("free_hugepages");
	ASSERT_EQ(0, peer_create_sized(&p, 8 << 20, 3, MFD_HUGETLB | MFD_HUGE_2MB));
	peer_publish(&p);
	ASSERT_TRUE(peer_link_is(&p, "up"));
	peer_channel_init(&p, &c, 1);
	ASSERT_EQ(0, talk_connect(&p, &c, &fd));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, pc_send(&p, &c, 123457, 1));
		ASSERT_EQ(0, pattern_read(fd, 123457, 100000, 1, i * 123457UL));
		ASSERT_EQ(0, pattern_write(fd, 76543, 76543, 2, i * 76543UL));
		ASSERT_EQ(0, pc_receive(&p, &c, 76543, 2));
	}
	tx = ch_map(fd, true);
	rx = ch_map(fd, false);
	ASSERT_NE(NULL, tx);
	ASSERT_NE(NULL, rx);
	for (i = 0; i < p.geo.ring_size; i += 65536) {
		tx[i + 5] = i / 65536;
		EXPECT_EQ(tx[i + 5], tx[p.geo.ring_size + i + 5]);
		EXPECT_EQ(tx[i + 5], c.kernel ? ((char *)c.rx_data)[i + 5] : 0);
		c.tx_data[i + 7] = i / 65536;
		EXPECT_EQ((char)c.tx_data[i + 7], rx[i + 7]);
		EXPECT_EQ((char)c.tx_data[i + 7], rx[p.geo.ring_size + i + 7]);
	}
	child_drops = p.r.host;
	pid = toucher_start(fd, true);
	close(p.r.host);
	p.r.host = -1;
	EXPECT_EQ(-(1000 + SIGBUS), child_end(pid, 3000));
	EXPECT_TRUE(all_fail(fd, -ENODEV));
	munmap((void *)tx, 2 * p.geo.ring_size);
	munmap((void *)rx, 2 * p.geo.ring_size);
	close(fd);
	region_destroy(&p.r);
	EXPECT_TRUE(wait_until(huge_pages("free_hugepages") == avail, PATIENCE_MS));
	EXPECT_EQ(0, huge_pages_reserve(old));
}

/* ---- the memory's own life ---- */

/* A page of either ring, seen by a program. */
static int use_rings(int fd, volatile char **tx, volatile char **rx)
{
	*tx = ch_map(fd, true);
	*rx = ch_map(fd, false);
	if (!*tx || !*rx)
		return -errno;
	(*tx)[0] = 1;
	(*tx)[8192] = 2;
	(void)(*rx)[0];
	(void)(*rx)[8192];
	return 0;
}

/*
 * Nobody but the link has the memory any more, and a program has it mapped: it
 * must not be thrown away below that. The kernel would complain of it in its log,
 * or worse.
 */
TEST_F(talk, memory_outlives_the_memfd)
{
	struct region *r = &self->p.r;
	volatile char *tx, *rx;
	int i;

	for (i = 0; i < 64; i++)
		pattern_fill((uint8_t *)self->c.tx_data + i * 4096, 4096, 3, i);
	ASSERT_EQ(0, use_rings(self->fd, &tx, &rx));
	munmap(r->map, r->size);
	r->map = NULL;
	close(r->memfd);
	r->memfd = -1;
	/* Touched for the first time only now, too. */
	for (i = 0; i < 64 && i * 4096UL < self->p.geo.ring_size; i++) {
		EXPECT_EQ(-1, pattern_check((const uint8_t *)rx + i * 4096, 4096, 3, i));
		tx[i * 4096 + 1] = i;
		EXPECT_EQ(tx[i * 4096 + 1], tx[self->p.geo.ring_size + i * 4096 + 1]);
	}
	EXPECT_EQ(1, tx[0]);
	EXPECT_EQ(2, tx[8192]);
	/* The link ends before the mapping does. */
	child_drops = -1;
	close(r->host);
	r->host = -1;
	EXPECT_EQ(0, munmap((void *)tx, 2 * self->p.geo.ring_size));
	EXPECT_EQ(0, munmap((void *)rx, 2 * self->p.geo.ring_size));
}

/* Whoever has the memfd may do this; programs keep what they have mapped. */
TEST_F(talk, hole_below_a_mapping)
{
	struct region *r = &self->p.r;
	volatile char *tx, *rx;

	ASSERT_EQ(0, use_rings(self->fd, &tx, &rx));
	munmap(r->map, r->size);
	ASSERT_EQ(0, SYS(fallocate(r->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				   r->size)));
	EXPECT_EQ(1, tx[0]);
	EXPECT_EQ(2, tx[8192]);
	tx[4096] = 3;
	EXPECT_EQ(3, tx[self->p.geo.ring_size + 4096]);
	close(r->host);
	r->host = -1;
	EXPECT_EQ(0, munmap((void *)tx, 2 * self->p.geo.ring_size));
	EXPECT_EQ(0, munmap((void *)rx, 2 * self->p.geo.ring_size));
	r->map = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->memfd, 0);
	EXPECT_NE(MAP_FAILED, r->map);
}

/*
 * What Documentation/protocol.rst says of a mapping's use: ordinary system calls
 * copy from and to it, those that take hold of the pages fail.
 */
TEST_F(talk, mapping_is_page_frames)
{
	size_t len = 2 * self->p.geo.ring_size;
	volatile char *tx, *rx;
	struct iovec own, other;
	char buf[16], *moved;
	int pipe_fds[2], fd, ret;
	pid_t pid;

	ASSERT_EQ(0, use_rings(self->fd, &tx, &rx));
	own = (struct iovec) { buf, sizeof(buf) };
	other = (struct iovec) { (void *)tx, sizeof(buf) };
	EXPECT_EQ(-EFAULT, SYS(process_vm_readv(getpid(), &own, 1, &other, 1, 0)));
	ASSERT_EQ(0, pipe(pipe_fds));
	EXPECT_EQ(-EFAULT, SYS(vmsplice(pipe_fds[1], &other, 1, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(sizeof(buf), SYS(write(pipe_fds[1], (void *)tx, sizeof(buf))));
	EXPECT_EQ(sizeof(buf), SYS(read(pipe_fds[0], (void *)(tx + len - sizeof(buf)),
				       sizeof(buf))));
	EXPECT_EQ(1, tx[len - sizeof(buf)]);
	EXPECT_EQ(1, tx[len / 2 - sizeof(buf)]);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	fd = memfd_create("copy", MFD_CLOEXEC);
	EXPECT_EQ(len, SYS(write(fd, (void *)rx, len)));
	EXPECT_EQ(len, SYS(pread(fd, (void *)tx, len, 0)));
	close(fd);
	ret = page_to_disk((void *)tx);
	EXPECT_TRUE(ret == -EFAULT || ret == -ENODEV);

	/* It may be moved, but not grow or be doubled, and no child has it. */
	EXPECT_EQ(-EFAULT, SYS((long)mremap((void *)rx, len, 2 * len, MREMAP_MAYMOVE)));
	EXPECT_GT(0, SYS((long)mremap((void *)rx, 0, len, MREMAP_MAYMOVE)));
	moved = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, moved);
	tx[5] = 55;
	ASSERT_EQ(moved, mremap((void *)tx, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, moved));
	EXPECT_EQ(55, moved[5]);
	EXPECT_EQ(55, moved[len / 2 + 5]);
	pid = child_run(moved[5]);
	EXPECT_EQ(-(1000 + SIGSEGV), child_end(pid, PATIENCE_MS));
	close(self->p.r.host);
	self->p.r.host = -1;
	pid = fork();
	if (pid == 0)
		_exit(0);
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	munmap(moved, len);
	munmap((void *)rx, len);
}

/* ---- doorbells ---- */

/* As many vectors as there may be on either side; each channel rings its own. */
TEST_F(peer, vectors)
{
	const unsigned int counts[] = { 1, 2, 3, 32, 256 };
	struct ivring_host_peer args;
	struct peer_channel c;
	struct peer p;
	unsigned int i, ch, v, n;
	int fd;

	for (i = 0; i < ARRAY_LEN(counts); i++) {
		n = counts[i];
		ASSERT_EQ(0, peer_create_sized(&p, 2 << 20, 8, 0));
		ASSERT_EQ(0, host_peer_del(p.r.host, PEER_ID));
		args = region_peer_args(&p.r);
		args.vectors = n;
		ASSERT_EQ(0, host_peer_add(p.r.host, &args));
		peer_publish(&p);
		peer_set_side(&p, IVRING_WIRE_SIDE_DOWN, 0);
		p.own->vectors = htole32(n);
		peer_set_side(&p, IVRING_WIRE_SIDE_READY, ++p.epoch);
		ASSERT_TRUE(peer_link_is(&p, "up"));
		for (ch = 0; ch < 8; ch += 7) {
			peer_channel_init(&p, &c, ch);
			ASSERT_EQ(0, talk_connect(&p, &c, &fd));
			for (v = 0; v < n; v++)
				peer_rung(&p, v);
			ivring_rx_arm(&c.rx, 1);
			ASSERT_EQ(1, SYS(write(fd, "x", 1)));
			for (v = 0; v < n; v++)
				EXPECT_EQ(v == ivring_wire_vector(ch, n), peer_rung(&p, v)) {
					TH_LOG("channel %u, vector %u of %u", ch, v, n);
				}
			close(fd);
			pc_close(&p, &c);
		}
		region_destroy(&p.r);
	}
}

/* It claims more vectors than there are eventfds for: most rings would be lost. */
TEST_F(peer, vectors_that_are_not)
{
	struct peer p;
	int fd;

	ASSERT_EQ(0, peer_create_sized(&p, 2 << 20, 16, 0));
	peer_publish(&p);
	peer_set_side(&p, IVRING_WIRE_SIDE_DOWN, 0);
	p.own->vectors = htole32(256);
	peer_set_side(&p, IVRING_WIRE_SIDE_READY, ++p.epoch);
	ASSERT_TRUE(peer_link_is(&p, "mismatch"));
	fd = channel_open(p.r.link, 15, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EPROTONOSUPPORT, ch_wait(fd, IVRING_WAIT_CONNECTED, -1));
	close(fd);
	region_destroy(&p.r);
}

/* Doorbells without end and without reason do not keep data from arriving. */
TEST_F(talk, doorbell_storm)
{
	pid_t storm[2], pid;
	int i;

	for (i = 0; i < 2; i++)
		storm[i] = child_run(({
			for (;;)
				peer_ring_all(&self->p);
			0; }));
	for (i = 0; i < 100; i++) {
		pid = child_run(pattern_read(self->fd, 5000, 5000, 1, i * 5000));
		ASSERT_EQ(0, pc_send(&self->p, &self->c, 5000, 1));
		ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
		ASSERT_EQ(0, pattern_write(self->fd, 5000, 5000, 2, i * 5000));
		ASSERT_EQ(0, pc_receive(&self->p, &self->c, 5000, 2));
	}
	for (i = 0; i < 2; i++) {
		kill(storm[i], SIGKILL);
		child_end(storm[i], PATIENCE_MS);
	}
}

/*
 * Nor do they keep a CPU busy with somebody who is woken for nothing: 32 times, once a
 * millisecond from then on, and once a jiffy for what may have come with all the rest.
 */
TEST_F(talk, doorbell_storm_is_cheap)
{
	const unsigned int link = self->p.link;
	long long sleeps = channel_num(link, TALK_CHANNEL, "stats/sleeps");
	long long late = link_num(link, "stats/late"), most;
	struct timespec jiffy;
	uint64_t start, ns;
	pid_t pid;
	int i;

	ASSERT_EQ(0, clock_getres(CLOCK_MONOTONIC_COARSE, &jiffy));
	pid = child_run(pattern_read(self->fd, 5000, 5000, 1, 0));
	ASSERT_TRUE(wait_until(channel_num(link, TALK_CHANNEL, "stats/sleeps") > sleeps, 5000));
	sleeps = channel_num(link, TALK_CHANNEL, "stats/sleeps");
	start = now_ns();
	for (i = 0; i < 30000; i++)
		peer_ring_all(&self->p);
	ns = now_ns() - start;
	sleeps = channel_num(link, TALK_CHANNEL, "stats/sleeps") - sleeps;
	late = link_num(link, "stats/late") - late;
	most = 32 + ns / 1000000 + ns / jiffy.tv_nsec + 10;
	TH_LOG("%lld sleeps, %lld late, in %llu ms", sleeps, late,
	       (unsigned long long)ns / 1000000);
	EXPECT_GE(most, sleeps);
	EXPECT_LE(30000 - most, late);
	ASSERT_EQ(0, pc_send(&self->p, &self->c, 5000, 1));
	ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
}

HOST_HARNESS_MAIN

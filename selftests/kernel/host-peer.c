// SPDX-License-Identifier: GPL-2.0
/*
 * A host link whose peer is this program: the handshake and the rings seen from
 * the other side, by the rules of <linux/ivring_wire.h> and against them.
 */
#include "peer.h"
#include "sleepers.h"
#include <sys/klog.h>

/* ---- the peer's presence ---- */

TEST_F(peer, comes_up)
{
	struct ivring_link_info info;
	int fd = link_open(self->p.link, O_RDONLY);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ch_link_info(fd, &info));
	EXPECT_EQ(IVRING_LINK_UP, info.state);
	EXPECT_EQ(self->p.epoch, info.peer_epoch);
	EXPECT_EQ(PEER_ID, info.peer_id);
	EXPECT_EQ(REGION_VECTORS, info.peer_vectors);
	EXPECT_EQ(1, info.wire_version);
	EXPECT_EQ(POLLIN, ch_poll(fd, POLLIN, 0));
	/* And what the kernel shows is what the header says it shows. */
	EXPECT_EQ(info.epoch, le64toh(self->p.kernel->epoch));
	EXPECT_EQ(IVRING_WIRE_SIDE_READY, le32toh(self->p.kernel->state));
	EXPECT_EQ(HOST_ID, le32toh(self->p.kernel->id));
	EXPECT_EQ(REGION_VECTORS, le32toh(self->p.kernel->vectors));
	EXPECT_EQ(1, le32toh(self->p.kernel->version));
	EXPECT_EQ(1, le32toh(self->p.kernel->version_min));
	EXPECT_EQ(0, self->p.kernel->reserved0);
	EXPECT_EQ(0, self->p.kernel->features);
	EXPECT_TRUE(ivring_wire_zero(self->p.kernel->reserved1,
				     sizeof(self->p.kernel->reserved1)));
	EXPECT_TRUE(ivring_wire_zero(self->p.kernel->reserved2,
				     sizeof(self->p.kernel->reserved2)));
	close(fd);
}

TEST_F(peer, is_announced)
{
	/* On coming up the kernel tells the peer to look. */
	EXPECT_TRUE(wait_until(peer_rung(&self->p, 0) > 0, PATIENCE_MS));
}

TEST_F(peer, poll_tells_of_the_coming_and_going)
{
	int fd = link_open(self->p.link, O_RDONLY);
	pid_t pid;

	ASSERT_LE(0, fd);
	peer_set_side(&self->p, IVRING_WIRE_SIDE_DOWN, 0);
	ASSERT_TRUE(wait_until(ch_poll(fd, POLLIN, 0) == 0, PATIENCE_MS));
	EXPECT_TRUE(link_attr_is(self->p.link, "state", "waiting"));
	pid = child_run(ch_poll(fd, POLLIN, PATIENCE_MS) == POLLIN ? 0 : 99);
	ASSERT_TRUE(child_asleep(pid, SYS_poll));
	peer_publish(&self->p);
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	close(fd);
}

/* Every half-truth about the presence is "nobody there". */
TEST_F(peer, absence)
{
	uint64_t epoch = self->p.epoch;

	peer_set_side(&self->p, IVRING_WIRE_SIDE_READY, 0);
	EXPECT_TRUE(peer_link_is(&self->p, "waiting"));
	peer_set_side(&self->p, IVRING_WIRE_SIDE_READY, epoch);
	EXPECT_TRUE(peer_link_is(&self->p, "up"));
	peer_set_side(&self->p, IVRING_WIRE_SIDE_DOWN, epoch);
	EXPECT_TRUE(peer_link_is(&self->p, "waiting"));
	peer_set_side(&self->p, IVRING_WIRE_SIDE_READY, epoch);
	EXPECT_TRUE(peer_link_is(&self->p, "up"));
	peer_set_side(&self->p, 77, epoch);
	EXPECT_TRUE(peer_link_is(&self->p, "waiting"));
	peer_publish(&self->p);
	EXPECT_TRUE(peer_link_is(&self->p, "up"));

	/* The transport's word counts first, and a life that ended stays so. */
	ASSERT_EQ(0, host_peer_del(self->p.r.host, PEER_ID));
	EXPECT_TRUE(link_attr_is(self->p.link, "state", "waiting"));
	ASSERT_EQ(0, region_peer_add(&self->p.r));
	peer_ring(&self->p, 0);
	EXPECT_FALSE(wait_until(link_attr_is(self->p.link, "state", "up"), 100));
	peer_publish(&self->p);
	EXPECT_TRUE(peer_link_is(&self->p, "up"));
}

TEST_F(peer, may_be_there_first)
{
	ASSERT_EQ(0, host_peer_del(self->p.r.host, PEER_ID));
	peer_publish(&self->p);
	EXPECT_FALSE(wait_until(link_attr_is(self->p.link, "state", "up"), 100));
	ASSERT_EQ(0, region_peer_add(&self->p.r));
	EXPECT_TRUE(peer_link_is(&self->p, "up"));
}

/* What an earlier life left in the memory is no peer's presence. */
TEST_F(peer, attach_clears_own_half)
{
	struct peer_channel c;
	int fd, i;

	for (i = 0; i < 4; i++) {
		peer_channel_init(&self->p, &c, i);
		fd = channel_open(self->p.link, i, O_RDWR);
		ASSERT_LE(0, fd);
		EXPECT_NE(0, pc_kernel_epoch(&c));
	}
	close(self->p.r.host);
	EXPECT_EQ(0, self->p.kernel->epoch);
	EXPECT_EQ(IVRING_WIRE_SIDE_DOWN, le32toh(self->p.kernel->state));
	for (i = 0; i < 4; i++) {
		peer_channel_init(&self->p, &c, i);
		EXPECT_EQ(0, pc_kernel_epoch(&c));
		self->p.channels[i].conn[0].epoch = 99;
		self->p.channels[i].conn[0].ack = 99;
	}
	self->p.kernel->epoch = 99;
	self->p.kernel->state = htole32(IVRING_WIRE_SIDE_READY);
	self->p.r.host = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, region_attach(&self->p.r));
	EXPECT_NE(99, self->p.kernel->epoch);
	EXPECT_NE(0, self->p.kernel->epoch);
	for (i = 0; i < 4; i++) {
		peer_channel_init(&self->p, &c, i);
		EXPECT_EQ(0, pc_kernel_epoch(&c));
		EXPECT_EQ(0, pc_kernel_ack(&c));
	}
}

static long long restored(const struct peer *p)
{
	char buf[32];

	return link_attr(p->link, "stats/restored", buf, sizeof(buf)) ? -1 : atoll(buf);
}

static int log_lines_of_restoring(void)
{
	static char log[1 << 20];
	int len = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, sizeof(log) - 1), n = 0;
	char *at = log;

	log[len < 0 ? 0 : len] = 0;
	while ((at = strstr(at, "this side's presence"))) {
		at++;
		n++;
	}
	return n;
}

/* What a peer does to this side's half of the memory is mended, every time. */
TEST_F(peer, own_presence_wiped)
{
	struct ivring_wire_side good, *s = self->p.kernel;
	int i, lines = log_lines_of_restoring();

	good = *s;
	good.heartbeat = 0;
	EXPECT_EQ(0, restored(&self->p));
	for (i = 0; i < 200; i++) {
		struct ivring_wire_side now;

		switch (i % 8) {
		case 0: WRITE_ONCE(s->epoch, 0); break;
		case 1: WRITE_ONCE(s->epoch, ~good.epoch); break;
		case 2: WRITE_ONCE(s->state, htole32(IVRING_WIRE_SIDE_DOWN)); break;
		case 3: WRITE_ONCE(s->id, htole32(PEER_ID)); break;
		case 4: WRITE_ONCE(s->version_min, htole32(99)); break;
		case 5: s->reserved1[3] = 1; break;
		case 6: WRITE_ONCE(s->features, ~0ULL); break;
		case 7: memset(s, 0, sizeof(*s)); break;
		}
		peer_rung(&self->p, 0);
		peer_ring(&self->p, 0);
		ASSERT_TRUE(wait_until(restored(&self->p) == i + 1, PATIENCE_MS)) {
			TH_LOG("round %d", i);
		}
		/* It is told, and nothing else happened. */
		ASSERT_TRUE(wait_until(peer_rung(&self->p, 0), PATIENCE_MS));
		now = *s;
		now.heartbeat = 0;
		ASSERT_EQ(0, memcmp(&good, &now, sizeof(now)));
	}
	EXPECT_TRUE(peer_link_is(&self->p, "up"));
	EXPECT_EQ(lines + 1, log_lines_of_restoring());
	/* None of a link that is gone. */
	close(self->p.r.host);
	self->p.r.host = -1;
	EXPECT_EQ(0, s->epoch);
	peer_ring(&self->p, 0);
	EXPECT_EQ(0, s->epoch);
}

/* Without a doorbell the next beat finds it; a conversation goes on meanwhile. */
TEST_F(talk, own_presence_wiped_silently)
{
	struct ivring_wire_side *s = self->p.kernel;
	uint64_t epoch = s->epoch;

	WRITE_ONCE(s->epoch, 0);
	WRITE_ONCE(s->state, htole32(IVRING_WIRE_SIDE_DOWN));
	EXPECT_TRUE(wait_until(READ_ONCE(s->epoch) == epoch, 5000));
	EXPECT_EQ(IVRING_WIRE_SIDE_READY, le32toh(s->state));
	EXPECT_EQ(1, restored(&self->p));
	ASSERT_EQ(0, pc_send(&self->p, &self->c, 1000, 1));
	EXPECT_EQ(0, pattern_read(self->fd, 1000, 1000, 1, 0));
}

#define MISMATCH(field, value) ({						\
	peer_set_side(&self->p, IVRING_WIRE_SIDE_DOWN, 0);			\
	peer_link_is(&self->p, "waiting");					\
	__typeof__(self->p.own->field) __old = self->p.own->field;		\
	bool __ok;								\
										\
	self->p.own->field = htole32(value);					\
	peer_set_side(&self->p, IVRING_WIRE_SIDE_READY, ++self->p.epoch);	\
	__ok = peer_link_is(&self->p, "mismatch");				\
	self->p.own->field = __old;						\
	__ok; })

TEST_F(peer, mismatch)
{
	struct ivring_link_info info;
	int fd = link_open(self->p.link, O_RDONLY), ch;

	ASSERT_LE(0, fd);
	EXPECT_TRUE(MISMATCH(version, 0));
	EXPECT_TRUE(MISMATCH(version_min, 2));
	EXPECT_TRUE(MISMATCH(reserved0, 1));
	EXPECT_TRUE(MISMATCH(id, IVRING_WIRE_ID_MAX + 1));
	EXPECT_TRUE(MISMATCH(id, ~0U));
	EXPECT_TRUE(MISMATCH(vectors, 0));
	EXPECT_TRUE(MISMATCH(vectors, IVRING_WIRE_VECTORS_MAX + 1));
	EXPECT_TRUE(MISMATCH(vectors, ~0U));
	EXPECT_TRUE(MISMATCH(id, HOST_ID));

	peer_set_side(&self->p, IVRING_WIRE_SIDE_DOWN, 0);
	self->p.own->version = htole32(7);
	self->p.own->version_min = htole32(6);
	peer_set_side(&self->p, IVRING_WIRE_SIDE_READY, ++self->p.epoch);
	ASSERT_TRUE(peer_link_is(&self->p, "mismatch"));
	ASSERT_EQ(0, ch_link_info(fd, &info));
	EXPECT_EQ(IVRING_LINK_MISMATCH, info.state);
	EXPECT_EQ(0, info.wire_version);
	EXPECT_EQ(POLLERR, ch_poll(fd, POLLIN, 0));
	/* A channel opens, and says what is wrong. */
	ch = channel_open(self->p.link, 0, O_RDWR);
	ASSERT_LE(0, ch);
	EXPECT_EQ(-EPROTONOSUPPORT, ch_wait(ch, IVRING_WAIT_CONNECTED, MS(20)));
	close(ch);

	/* A newer peer that still speaks ours is fine. */
	peer_set_side(&self->p, IVRING_WIRE_SIDE_DOWN, 0);
	self->p.own->version_min = htole32(1);
	peer_set_side(&self->p, IVRING_WIRE_SIDE_READY, ++self->p.epoch);
	ASSERT_TRUE(peer_link_is(&self->p, "up"));
	ASSERT_EQ(0, ch_link_info(fd, &info));
	EXPECT_EQ(1, info.wire_version);
	close(fd);
}

/* Who waits for a peer is told that this one will not do. */
TEST_F(peer, sleepers_meet_a_mismatch)
{
	pid_t reader, waiter, poller;
	int fd;
	char c;

	peer_set_side(&self->p, IVRING_WIRE_SIDE_DOWN, 0);
	ASSERT_TRUE(peer_link_is(&self->p, "waiting"));
	fd = channel_open(self->p.link, 0, O_RDWR);
	ASSERT_LE(0, fd);
	reader = child_run(read(fd, &c, 1) < 0 ? -errno : 99);
	waiter = child_run(ch_wait(fd, IVRING_WAIT_CONNECTED, FOREVER));
	poller = child_run(ch_poll(fd, POLLIN, -1) & POLLERR ? 0 : 99);
	ASSERT_TRUE(child_asleep(reader, SYS_read));
	ASSERT_TRUE(child_asleep(waiter, SYS_ioctl));
	ASSERT_TRUE(child_asleep(poller, SYS_poll));
	self->p.own->version = htole32(9);
	self->p.own->version_min = htole32(9);
	peer_set_side(&self->p, IVRING_WIRE_SIDE_READY, ++self->p.epoch);
	EXPECT_EQ(EPROTONOSUPPORT, child_end(reader, PATIENCE_MS));
	EXPECT_EQ(EPROTONOSUPPORT, child_end(waiter, PATIENCE_MS));
	EXPECT_EQ(0, child_end(poller, PATIENCE_MS));
	close(fd);
}

/* Optional features are those that both offer: ours are none, whatever it says. */
TEST_F(peer, unknown_features_are_not_used)
{
	struct ivring_link_info info;
	int fd = link_open(self->p.link, O_RDONLY);

	peer_set_side(&self->p, IVRING_WIRE_SIDE_DOWN, 0);
	self->p.own->features = ~0ULL;
	peer_set_side(&self->p, IVRING_WIRE_SIDE_READY, ++self->p.epoch);
	ASSERT_TRUE(peer_link_is(&self->p, "up"));
	ASSERT_EQ(0, ch_link_info(fd, &info));
	EXPECT_EQ(self->p.epoch, info.peer_epoch);
	EXPECT_EQ(0, info.features);
	close(fd);
}

/* ---- the handshake ---- */

TEST_F(peer, kernel_opens_first)
{
	struct peer_channel c;
	char buf[16];
	int fd;

	peer_channel_init(&self->p, &c, 0);
	fd = channel_open(self->p.link, 0, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_NE(0, pc_kernel_epoch(&c));
	EXPECT_EQ(0, pc_kernel_ack(&c));
	EXPECT_TRUE(wait_until(peer_rung(&self->p, 0) > 0, PATIENCE_MS));
	pc_offer(&self->p, &c);
	/* The kernel answers, but is not connected before it is answered. */
	ASSERT_TRUE(wait_until(pc_kernel_ack(&c) == c.epoch, PATIENCE_MS));
	EXPECT_EQ(IVRING_CHANNEL_OPENING, ch_state(fd));
	/* Data that comes before is no part of anything. */
	EXPECT_EQ(-EAGAIN, ch_wait(fd, IVRING_WAIT_IN, 0));
	ASSERT_EQ(0, pc_join(&self->p, &c));
	ASSERT_EQ(0, ch_connected(fd));
	ASSERT_EQ(0, pc_send(&self->p, &c, 10, 1));
	ASSERT_EQ(10, SYS(read(fd, buf, sizeof(buf))));
	close(fd);
}

/* An answer to somebody else's conversation is none. */
TEST_F(peer, wrong_answers)
{
	struct peer_channel c;
	int fd;

	peer_channel_init(&self->p, &c, 0);
	fd = channel_open(self->p.link, 0, O_RDWR);
	ASSERT_LE(0, fd);
	pc_offer(&self->p, &c);
	pc_set_ack(&c, pc_kernel_epoch(&c) + 1);
	peer_ring(&self->p, 0);
	EXPECT_EQ(-ETIMEDOUT, ch_wait(fd, IVRING_WAIT_CONNECTED, MS(20)));
	pc_set_ack(&c, c.epoch);
	peer_ring(&self->p, 0);
	EXPECT_EQ(-ETIMEDOUT, ch_wait(fd, IVRING_WAIT_CONNECTED, MS(20)));
	/* The kernel's answer follows the peer's change of mind. */
	pc_offer(&self->p, &c);
	ASSERT_TRUE(wait_until(pc_kernel_ack(&c) == c.epoch, PATIENCE_MS));
	ASSERT_EQ(0, pc_join(&self->p, &c));
	ASSERT_EQ(0, ch_connected(fd));
	close(fd);
}

/*
 * The peer answers, writes and closes before the kernel looks again: by the
 * rules both had joined, and what was written is for the reader.
 */
TEST_F(peer, joined_wrote_and_gone)
{
	struct peer_channel c;
	char buf[200];
	int fd;

	peer_channel_init(&self->p, &c, 0);
	fd = channel_open(self->p.link, 0, O_RDWR);
	ASSERT_LE(0, fd);
	pc_offer(&self->p, &c);
	ASSERT_TRUE(wait_until(pc_kernel_ack(&c) == c.epoch, PATIENCE_MS));
	pc_set_ack(&c, pc_kernel_epoch(&c));
	ASSERT_EQ(0, pc_send(&self->p, &c, 100, 1));
	pc_set_flags(&c, IVRING_WIRE_CONN_F_CLOSING);
	peer_ring_all(&self->p);
	ASSERT_EQ(0, ch_wait(fd, IVRING_WAIT_IN, MS(5000)));
	ASSERT_EQ(100, SYS(read(fd, buf, sizeof(buf))));
	EXPECT_EQ(-1, pattern_check(buf, 100, 1, 0));
	EXPECT_EQ(0, SYS(read(fd, buf, sizeof(buf))));
	EXPECT_EQ(IVRING_CHANNEL_PEER_CLOSED, ch_state(fd));
	close(fd);
}

/* The same, ended in error: not a byte of it is to be trusted. */
TEST_F(peer, joined_and_aborted)
{
	struct peer_channel c;
	int fd;

	peer_channel_init(&self->p, &c, 0);
	fd = channel_open(self->p.link, 0, O_RDWR);
	ASSERT_LE(0, fd);
	pc_offer(&self->p, &c);
	ASSERT_TRUE(wait_until(pc_kernel_ack(&c) == c.epoch, PATIENCE_MS));
	pc_set_ack(&c, pc_kernel_epoch(&c));
	ASSERT_EQ(0, pc_send(&self->p, &c, 100, 1));
	pc_set_flags(&c, IVRING_WIRE_CONN_F_CLOSING | IVRING_WIRE_CONN_F_ABORTED);
	peer_ring_all(&self->p);
	EXPECT_EQ(-ECONNRESET, ch_wait(fd, IVRING_WAIT_IN, MS(5000)));
	close(fd);
}

/* A peer that is leaving when the kernel opens is left in peace. */
TEST_F(peer, opened_while_the_peer_leaves)
{
	struct peer_channel c;
	int fd;

	peer_channel_init(&self->p, &c, 0);
	pc_offer(&self->p, &c);
	pc_set_flags(&c, IVRING_WIRE_CONN_F_CLOSING);
	fd = channel_open(self->p.link, 0, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ETIMEDOUT, ch_wait(fd, IVRING_WAIT_CONNECTED, MS(50)));
	EXPECT_EQ(0, pc_kernel_ack(&c));
	pc_offer(&self->p, &c);
	ASSERT_EQ(0, pc_join(&self->p, &c));
	EXPECT_EQ(0, ch_connected(fd));
	close(fd);
}

/* ---- data ---- */

TEST_F(talk, both_ways)
{
	const size_t sizes[] = { 1, 100, 4095, 4096, 4097, 30000 };
	uint64_t in = 0, out = 0;
	int i, round;

	for (round = 0; round < 50; round++) {
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			size_t n = sizes[i];

			ASSERT_EQ(0, pc_send(&self->p, &self->c, n, 1));
			ASSERT_EQ(0, pattern_read(self->fd, n, n, 1, in));
			in += n;
			ASSERT_EQ(0, pattern_write(self->fd, n, n, 2, out));
			ASSERT_EQ(0, pc_receive(&self->p, &self->c, n, 2));
			out += n;
		}
	}
}

TEST_F(talk, doorbells_as_wished)
{
	unsigned int vector = ivring_wire_vector(TALK_CHANNEL, REGION_VECTORS), v;

	EXPECT_EQ(3, vector);
	for (v = 0; v < REGION_VECTORS; v++)
		peer_rung(&self->p, v);
	/* Nobody asked to be told. */
	ASSERT_EQ(0, pattern_write(self->fd, 100, 100, 1, 0));
	EXPECT_EQ(0, peer_rung(&self->p, vector));
	ASSERT_EQ(0, pc_receive(&self->p, &self->c, 100, 1));
	/* At 200, and not before. */
	ivring_rx_arm(&self->c.rx, 100);
	ASSERT_EQ(0, pattern_write(self->fd, 99, 99, 1, 100));
	EXPECT_EQ(0, peer_rung(&self->p, vector));
	ASSERT_EQ(0, pattern_write(self->fd, 2, 2, 1, 199));
	EXPECT_EQ(1, peer_rung(&self->p, vector));
	/* Once. */
	ASSERT_EQ(0, pattern_write(self->fd, 1000, 1000, 1, 201));
	EXPECT_EQ(0, peer_rung(&self->p, vector));
	ASSERT_EQ(0, pc_receive(&self->p, &self->c, 1101, 1));

	/* The same for space. */
	ASSERT_EQ(0, pc_send(&self->p, &self->c, 1000, 2));
	ivring_tx_arm_drained(&self->c.tx);
	ASSERT_EQ(0, pattern_read(self->fd, 999, 999, 2, 0));
	EXPECT_EQ(0, peer_rung(&self->p, vector));
	ASSERT_EQ(0, pattern_read(self->fd, 1, 1, 2, 999));
	EXPECT_EQ(1, peer_rung(&self->p, vector));
	for (v = 0; v < REGION_VECTORS; v++)
		EXPECT_EQ(0, peer_rung(&self->p, v));
}

/* Sleepers in the kernel set their wishes, and a ring wakes them. */
TEST_F(talk, kernel_sleeps_and_wakes)
{
	long long rescued = channel_num(self->p.link, TALK_CHANNEL, "stats/rescued");
	pid_t pid;
	int i;

	for (i = 0; i < 10; i++) {
		pid = child_run(pattern_read(self->fd, 50, 50, 1, i * 50));
		ASSERT_TRUE(child_asleep(pid, SYS_read));
		ASSERT_EQ(0, pc_send(&self->p, &self->c, 50, 1));
		ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
	}
	pid = child_run(pattern_write(self->fd, 3 * self->c.rx.size, 1 << 20, 2, 0));
	ASSERT_TRUE(child_asleep(pid, SYS_write));
	for (i = 0; i < 3 * 8; i++)
		ASSERT_EQ(0, pc_receive(&self->p, &self->c, self->c.rx.size / 8, 2));
	ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(rescued, channel_num(self->p.link, TALK_CHANNEL, "stats/rescued"));
}

/* Doorbells that were lost cost time, at most a second or so, and are counted. */
TEST_F(talk, lost_doorbell)
{
	long long rescued = channel_num(self->p.link, TALK_CHANNEL, "stats/rescued");
	pid_t pid;

	pid = child_run(pattern_read(self->fd, 50, 50, 1, 0));
	ASSERT_TRUE(child_asleep(pid, SYS_read));
	pattern_fill(self->c.tx_data, 50, 1, 0);
	EXPECT_TRUE(ivring_tx_publish(&self->c.tx, 50));
	EXPECT_EQ(0, child_end(pid, 5000));
	EXPECT_EQ(rescued + 1, channel_num(self->p.link, TALK_CHANNEL, "stats/rescued"));
}

/* Waits for data, epoll's way. Returns 0, or what stands for an error. */
static int epoll_for_data(int fd, uint32_t how, int timeout_ms)
{
	struct epoll_event e = { .events = EPOLLIN | how };
	int ep = SYS(epoll_create1(0)), ret;

	if (ep < 0)
		return 99;
	ret = SYS(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	if (!ret)
		ret = SYS(epoll_wait(ep, &e, 1, timeout_ms));
	close(ep);
	return ret == 1 && e.events == EPOLLIN ? 0 : 98;
}

/* Nor do poll(2) and epoll sleep on. What they were rescued from is counted once. */
TEST_F(talk, lost_doorbell_of_pollers)
{
	long long rescued = channel_num(self->p.link, TALK_CHANNEL, "stats/rescued");
	pid_t pid;
	int i;

	for (i = 0; i < 3; i++) {
		pid = child_run(({
			i == 0 ? ch_poll(self->fd, POLLIN, -1) != POLLIN :
				 epoll_for_data(self->fd, i == 1 ? 0 : EPOLLET, -1); }));
		ASSERT_TRUE(child_asleep(pid, i ? SYS_epoll_wait : SYS_poll));
		pattern_fill(self->c.tx_data + i * 50, 50, 1, i * 50);
		EXPECT_TRUE(ivring_tx_publish(&self->c.tx, 50));
		ASSERT_EQ(0, child_end(pid, 5000));
		EXPECT_EQ(rescued + i + 1,
			  channel_num(self->p.link, TALK_CHANNEL, "stats/rescued"));
		ASSERT_EQ(0, pattern_read(self->fd, 50, 50, 1, i * 50));
	}
}

/* Space is waited for in the same way. */
TEST_F(talk, lost_doorbell_for_space)
{
	long long rescued = channel_num(self->p.link, TALK_CHANNEL, "stats/rescued");
	struct ivring_channel_info info;
	pid_t pid;

	ASSERT_EQ(0, ch_info(self->fd, &info));
	ASSERT_EQ(0, pattern_write(self->fd, info.window, 1 << 20, 2, 0));
	pid = child_run(ch_poll(self->fd, POLLOUT, -1) == POLLOUT ? 0 : 99);
	ASSERT_TRUE(child_asleep(pid, SYS_poll));
	ASSERT_EQ(0, ivring_rx_refresh(&self->c.rx));
	EXPECT_TRUE(ivring_rx_publish(&self->c.rx, info.window));
	ASSERT_EQ(0, child_end(pid, 5000));
	EXPECT_EQ(rescued + 1, channel_num(self->p.link, TALK_CHANNEL, "stats/rescued"));
}

/* Where nothing happens, nobody wakes up: three ticks of it. */
TEST_F(talk, sleepers_are_left_in_peace)
{
	pid_t reader, poller;
	long long sleeps;
	uint64_t beat;

	reader = child_run(pattern_read(self->fd, 50, 50, 1, 0));
	ASSERT_TRUE(child_asleep(reader, SYS_read));
	poller = child_run(ch_poll(self->fd, POLLIN, -1) == POLLIN ? 0 : 99);
	ASSERT_TRUE(child_asleep(poller, SYS_poll));
	sleeps = channel_num(self->p.link, TALK_CHANNEL, "stats/sleeps");
	beat = kernel_heartbeat(&self->p);
	ASSERT_TRUE(wait_until(kernel_heartbeat(&self->p) >= beat + 3, PATIENCE_MS));
	EXPECT_EQ(sleeps, channel_num(self->p.link, TALK_CHANNEL, "stats/sleeps"));
	ASSERT_EQ(0, pc_send(&self->p, &self->c, 50, 1));
	EXPECT_EQ(0, child_end(reader, PATIENCE_MS));
	kill(poller, SIGKILL);
	child_end(poller, PATIENCE_MS);
}

/* ---- the end, from either side ---- */

TEST_F(talk, peer_closes)
{
	char buf[200];

	ASSERT_EQ(0, pc_send(&self->p, &self->c, 100, 1));
	pc_set_flags(&self->c, IVRING_WIRE_CONN_F_CLOSING);
	peer_ring(&self->p, 0);
	ASSERT_TRUE(wait_until(ch_state(self->fd) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	/* More than was there when it closed does not count. */
	ivring_tx_publish(&self->c.tx, 50);
	EXPECT_EQ(-EPIPE, SYS(write(self->fd, buf, 1)));
	EXPECT_EQ(100, SYS(read(self->fd, buf, sizeof(buf))));
	EXPECT_EQ(-1, pattern_check(buf, 100, 1, 0));
	EXPECT_EQ(0, SYS(read(self->fd, buf, sizeof(buf))));
}

TEST_F(talk, peer_aborts)
{
	char c;

	ASSERT_EQ(0, pc_send(&self->p, &self->c, 100, 1));
	pc_set_flags(&self->c, IVRING_WIRE_CONN_F_CLOSING | IVRING_WIRE_CONN_F_ABORTED);
	peer_ring(&self->p, 0);
	ASSERT_TRUE(wait_until(ch_state(self->fd) == IVRING_CHANNEL_RESET, PATIENCE_MS));
	EXPECT_EQ(-ECONNRESET, SYS(read(self->fd, &c, 1)));
	EXPECT_EQ(-ECONNRESET, SYS(write(self->fd, &c, 1)));
	/* The kernel's half says that it understood. */
	EXPECT_EQ(IVRING_WIRE_CONN_F_CLOSING, pc_kernel_flags(&self->c) &
		  IVRING_WIRE_CONN_F_CLOSING);
	pc_close(&self->p, &self->c);
	close(self->fd);
	EXPECT_EQ(0, talk_connect(&self->p, &self->c, &self->fd));
}

TEST_F(talk, kernel_lingers)
{
	uint64_t epoch = pc_kernel_epoch(&self->c);

	ASSERT_EQ(0, pattern_write(self->fd, 1000, 1000, 1, 0));
	close(self->fd);
	/* It keeps its half until the peer has all. */
	EXPECT_EQ(epoch, pc_kernel_epoch(&self->c));
	EXPECT_EQ(IVRING_WIRE_CONN_F_CLOSING, pc_kernel_flags(&self->c));
	ASSERT_EQ(0, pc_receive(&self->p, &self->c, 999, 1));
	peer_ring_all(&self->p);
	EXPECT_FALSE(wait_until(pc_kernel_epoch(&self->c) != epoch, 50));
	EXPECT_TRUE(channel_attr_is(self->p.link, TALK_CHANNEL, "state", "lingering"));
	ASSERT_EQ(0, pc_receive(&self->p, &self->c, 1, 1));
	EXPECT_TRUE(wait_until(pc_kernel_epoch(&self->c) == 0, PATIENCE_MS));
	EXPECT_TRUE(channel_attr_is(self->p.link, TALK_CHANNEL, "state", "closed"));
	/* The last of it was rung for: no need to wait for the tick. */
	pc_close(&self->p, &self->c);
	EXPECT_EQ(0, talk_connect(&self->p, &self->c, &self->fd));
}

TEST_F(talk, lingering_ends_with_the_peers_interest)
{
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, pattern_write(self->fd, 1000, 1000, 1, 0));
		close(self->fd);
		ASSERT_NE(0, pc_kernel_epoch(&self->c));
		switch (i) {
		case 0:		/* it closes without reading */
			pc_set_flags(&self->c, IVRING_WIRE_CONN_F_CLOSING);
			peer_ring(&self->p, 0);
			break;
		case 1:		/* it is in another conversation already */
			pc_offer(&self->p, &self->c);
			break;
		case 2:		/* it restarts */
			peer_publish(&self->p);
			break;
		case 3:		/* it is gone */
			ASSERT_EQ(0, host_peer_del(self->p.r.host, PEER_ID));
			break;
		}
		EXPECT_TRUE(wait_until(pc_kernel_epoch(&self->c) == 0, PATIENCE_MS)) {
			TH_LOG("case %d", i);
		}
		if (i == 3)
			break;
		ASSERT_TRUE(peer_link_is(&self->p, "up"));
		ASSERT_EQ(0, talk_connect(&self->p, &self->c, &self->fd));
	}
}

/* ---- the peer's life ends ---- */

TEST_F(talk, peer_del)
{
	pid_t pid[SLEEPERS];
	int fd;

	ASSERT_TRUE(sleepers_start(self->fd, self->p.geo.ring_size, true, pid));
	ASSERT_EQ(0, host_peer_del(self->p.r.host, PEER_ID));
	EXPECT_EQ(SLEEPERS, sleepers_end(pid, ECONNRESET, 2000));
	EXPECT_TRUE(all_fail(self->fd, -ECONNRESET));
	EXPECT_EQ(IVRING_CHANNEL_RESET, ch_state(self->fd));
	EXPECT_TRUE(link_attr_is(self->p.link, "state", "waiting"));
	/* The next peer's life; the old file has no part in it. */
	ASSERT_EQ(0, region_peer_add(&self->p.r));
	peer_publish(&self->p);
	ASSERT_TRUE(peer_link_is(&self->p, "up"));
	peer_channel_init(&self->p, &self->c, TALK_CHANNEL);
	ASSERT_EQ(0, talk_connect(&self->p, &self->c, &fd));
	EXPECT_TRUE(all_fail(self->fd, -ECONNRESET));
	EXPECT_EQ(0, pc_send(&self->p, &self->c, 10, 1));
	EXPECT_EQ(0, pattern_read(fd, 10, 10, 1, 0));
	close(fd);
}

/* Only this peer's own conversations end, and those that wait go on waiting. */
TEST_F(talk, peer_restarts)
{
	pid_t pid[SLEEPERS];
	struct peer_channel other;
	int fd;

	fd = channel_open(self->p.link, 0, O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_TRUE(sleepers_start(self->fd, self->p.geo.ring_size, true, pid));
	peer_publish(&self->p);
	EXPECT_EQ(SLEEPERS, sleepers_end(pid, ECONNRESET, 2000));
	EXPECT_TRUE(all_fail(self->fd, -ECONNRESET));
	ASSERT_TRUE(peer_link_is(&self->p, "up"));
	EXPECT_EQ(IVRING_CHANNEL_OPENING, ch_state(fd));
	peer_channel_init(&self->p, &other, 0);
	pc_offer(&self->p, &other);
	ASSERT_EQ(0, pc_join(&self->p, &other));
	EXPECT_EQ(0, ch_connected(fd));
	close(fd);
}

/* A new life without the old one's end: the epoch alone tells. */
TEST_F(talk, peer_restarts_unseen)
{
	char c;

	WRITE_ONCE(self->p.own->epoch, htole64(++self->p.epoch));
	ASSERT_EQ(0, pc_send(&self->p, &self->c, 10, 1));
	/* Whoever looks at the channel first sees it, with no doorbell at all. */
	EXPECT_EQ(-ECONNRESET, ch_wait(self->fd, IVRING_WAIT_IN, MS(PATIENCE_MS)));
	EXPECT_EQ(-ECONNRESET, SYS(read(self->fd, &c, 1)));
	EXPECT_TRUE(peer_link_is(&self->p, "up"));
}

TEST_F(talk, peer_goes_down)
{
	pid_t pid[SLEEPERS];

	ASSERT_TRUE(sleepers_start(self->fd, self->p.geo.ring_size, true, pid));
	peer_set_side(&self->p, IVRING_WIRE_SIDE_DOWN, 0);
	EXPECT_EQ(SLEEPERS, sleepers_end(pid, ECONNRESET, 2000));
	EXPECT_TRUE(all_fail(self->fd, -ECONNRESET));
	EXPECT_TRUE(peer_link_is(&self->p, "waiting"));
}

/* Gone without a word and all traces wiped: that is no end of file. */
TEST_F(talk, peer_dies_unseen)
{
	char c;

	ASSERT_EQ(0, pc_send(&self->p, &self->c, 10, 1));
	ASSERT_EQ(0, pattern_read(self->fd, 10, 10, 1, 0));
	__atomic_store_n(&self->p.own->epoch, 0, __ATOMIC_SEQ_CST);
	WRITE_ONCE(self->p.own->state, htole32(IVRING_WIRE_SIDE_DOWN));
	__atomic_store_n(&self->c.own->epoch, 0, __ATOMIC_SEQ_CST);
	pc_set_ack(&self->c, 0);
	EXPECT_EQ(-ECONNRESET, SYS(read(self->fd, &c, 1)));
	EXPECT_EQ(-ECONNRESET, SYS(write(self->fd, &c, 1)));
}

/* The peer may still be reading what an earlier life of this side sent. */
TEST_F(talk, attach_leaves_the_data)
{
	size_t size = self->p.r.size - self->p.geo.data_offset;
	char *data = self->p.r.map + self->p.geo.data_offset;

	close(self->fd);
	close(self->p.r.host);
	pattern_fill(data, size, 11, 0);
	self->p.r.host = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, region_attach(&self->p.r));
	EXPECT_EQ(-1, pattern_check(data, size, 11, 0));
	close(self->p.r.host);
	self->p.r.host = -1;
	EXPECT_EQ(-1, pattern_check(data, size, 11, 0));
}

/* What a peer sent in full before it left stays readable. */
TEST_F(talk, closed_then_gone)
{
	char buf[200];

	ASSERT_EQ(0, pc_send(&self->p, &self->c, 100, 1));
	pc_set_flags(&self->c, IVRING_WIRE_CONN_F_CLOSING);
	peer_ring(&self->p, 0);
	ASSERT_TRUE(wait_until(ch_state(self->fd) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	ASSERT_EQ(0, host_peer_del(self->p.r.host, PEER_ID));
	EXPECT_EQ(100, SYS(read(self->fd, buf, sizeof(buf))));
	EXPECT_EQ(-1, pattern_check(buf, 100, 1, 0));
	EXPECT_EQ(0, SYS(read(self->fd, buf, sizeof(buf))));
}

HOST_HARNESS_MAIN

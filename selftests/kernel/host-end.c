// SPDX-License-Identifier: GPL-2.0
/*
 * A host link whose peer is this program: what is left of a conversation, and of a
 * link, for those who hold on to it after its end.
 */
#include "peer.h"
#include "sigbus.h"
#include "sleepers.h"

/*
 * What it consumed in the end is not to be known any more: its index is the next
 * conversation's by now.
 */
TEST_F(talk, consumed_and_opened_again)
{
	struct ivring_rx *rx = &self->c.rx;
	char c;

	ASSERT_EQ(0, pattern_write(self->fd, 100, 100, 1, 0));
	ASSERT_EQ(0, ivring_rx_refresh(rx));
	ASSERT_EQ(100, ivring_rx_cached_avail(rx));
	ASSERT_FALSE(ivring_rx_publish(rx, 100));
	/* Here already, as a look in the midst of the next would still have seen it. */
	ivring_rx_reset(rx);
	pc_offer(&self->p, &self->c);
	EXPECT_EQ(-EPIPE, ch_wait(self->fd, IVRING_WAIT_DRAINED, MS(PATIENCE_MS)));
	EXPECT_EQ(-EPIPE, SYS(fsync(self->fd)));
	EXPECT_EQ(IVRING_CHANNEL_PEER_CLOSED, ch_state(self->fd));
	EXPECT_EQ(0, SYS(read(self->fd, &c, 1)));
	close(self->fd);
	self->fd = channel_open(self->p.link, TALK_CHANNEL, O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, pc_join(&self->p, &self->c));
	EXPECT_EQ(0, ch_connected(self->fd));
}

/* ---- indices that the program moves itself, or could ---- */

/* Anew, by a file that may take the indices */
static int talk_alone(struct peer *p, struct peer_channel *c, int *fd)
{
	close(*fd);
	pc_close(p, c);
	return talk_connect_flags(p, c, fd, O_RDWR | O_EXCL);
}

static bool all_fail_alone(int fd, int error)
{
	return all_fail(fd, error) && ch_take(fd) == error;
}

TEST_F(talk, indices_of_a_peer_that_restarted)
{
	struct user u;

	ASSERT_EQ(0, talk_alone(&self->p, &self->c, &self->fd));
	ASSERT_EQ(0, user_start(&u, self->fd));
	peer_publish(&self->p);
	ASSERT_TRUE(wait_until(ch_state(self->fd) == IVRING_CHANNEL_RESET, PATIENCE_MS));
	EXPECT_TRUE(all_fail_alone(self->fd, -ECONNRESET));
	user_unmap(&u);
}

TEST_F(talk, indices_of_a_liar)
{
	ASSERT_EQ(0, talk_alone(&self->p, &self->c, &self->fd));
	WRITE_ONCE(self->c.tx.own->prod, htole64(self->c.tx.size + 1));
	EXPECT_EQ(-EPROTO, ch_wait(self->fd, IVRING_WAIT_IN, MS(PATIENCE_MS)));
	EXPECT_TRUE(all_fail_alone(self->fd, -EPROTO));
}

TEST_F(talk, indices_of_a_peer_fallen_silent)
{
	struct user u;

	ASSERT_EQ(0, talk_alone(&self->p, &self->c, &self->fd));
	ASSERT_EQ(0, user_start(&u, self->fd));
	ASSERT_EQ(0, link_attr_set(self->p.link, "peer_timeout_ms", "3000"));
	peer_beat(&self->p);
	ASSERT_TRUE(peer_link_is(&self->p, "stalled"));
	EXPECT_TRUE(all_fail_alone(self->fd, -ETIMEDOUT));
	user_unmap(&u);
}

TEST_F(talk, indices_of_a_split_link)
{
	struct user u;

	ASSERT_EQ(0, talk_alone(&self->p, &self->c, &self->fd));
	ASSERT_EQ(0, user_start(&u, self->fd));
	ASSERT_EQ(0, SYS(fallocate(self->p.r.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   self->p.geo.data_offset, 4096)));
	ASSERT_TRUE(peer_link_is(&self->p, "split"));
	EXPECT_TRUE(all_fail_alone(self->fd, -EIO));
	user_unmap(&u);
}

/* The control page is taken away with the rings, touched or not. */
TEST_F(talk, control_page_of_a_dead_link)
{
	struct ivring_channel_info info;
	char *untouched;
	struct user u;

	ASSERT_EQ(0, talk_alone(&self->p, &self->c, &self->fd));
	ASSERT_EQ(0, user_start(&u, self->fd));
	ASSERT_EQ(0, ch_info(self->fd, &info));
	untouched = map_control(self->fd, &info);
	ASSERT_NE(MAP_FAILED, untouched);
	faults_return();
	EXPECT_LE(0, touch(u.control));
	close(self->p.r.host);
	self->p.r.host = -1;
	EXPECT_EQ(-SIGBUS, touch(u.control));
	EXPECT_EQ(-SIGBUS, touch_write(u.control, 'x'));
	EXPECT_EQ(-SIGBUS, touch(untouched));
	EXPECT_EQ(MAP_FAILED, map_control(self->fd, &info));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_TRUE(all_fail_alone(self->fd, -ENODEV));
	munmap(untouched, info.control_map_size);
	user_unmap(&u);
}

/* ---- nodes ---- */

/* What is open can be opened, also when its name is gone. */
static int open_again(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return SYS(open(path, flags | O_CLOEXEC));
}

TEST_F(talk, nodes_of_a_dead_link)
{
	int link = link_open(self->p.link, O_RDONLY), fd;

	ASSERT_LE(0, link);
	fd = open_again(link, O_RDONLY);
	EXPECT_LE(0, fd);
	close(fd);
	fd = open_again(self->fd, O_RDWR);
	EXPECT_LE(0, fd);
	close(fd);
	close(self->p.r.host);
	self->p.r.host = -1;
	EXPECT_EQ(-ENODEV, open_again(link, O_RDONLY));
	EXPECT_EQ(-ENODEV, open_again(link, O_RDONLY | O_NONBLOCK));
	EXPECT_EQ(-ENODEV, open_again(self->fd, O_RDWR));
	EXPECT_EQ(-ENODEV, open_again(self->fd, O_RDWR | O_NONBLOCK));
	EXPECT_EQ(-ENODEV, open_again(self->fd, O_RDWR | O_EXCL));
	close(link);
}

HOST_HARNESS_MAIN

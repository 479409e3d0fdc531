// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of <linux/ivring.h> on a loop link: every command, flag and errno
 * that one kernel with both sides in it can show.
 */
#include "pair.h"

/* ---- the link's node ---- */

static uint64_t link_attr_num(unsigned int link, const char *attr, int base)
{
	char buf[64];

	return link_attr(link, attr, buf, sizeof(buf)) ? ~0ULL : strtoull(buf, NULL, base);
}

TEST_F(node, link_info)
{
	struct ivring_link_info info[2];
	int i, j;

	for (i = 0; i < 2; i++) {
		int link = self->e.link[i];
		int fd = link_open(link, O_RDONLY);

		ASSERT_LE(0, fd);
		memset(&info[i], 0xff, sizeof(info[i]));
		ASSERT_EQ(0, ch_link_info(fd, &info[i]));
		EXPECT_EQ(IVRING_ABI_VERSION, info[i].abi_version);
		EXPECT_EQ(link, info[i].link);
		EXPECT_EQ(link_attr_num(link, "region_size", 0), info[i].region_size);
		EXPECT_EQ(link_attr_num(link, "ring_size", 0), info[i].ring_size);
		EXPECT_EQ(link_attr_num(link, "channels", 0), info[i].channels);
		EXPECT_EQ(link_attr_num(link, "vectors", 0), info[i].vectors);
		EXPECT_EQ(link_attr_num(link, "epoch", 16), info[i].epoch);
		EXPECT_EQ(link_attr_num(link, "peer_epoch", 16), info[i].peer_epoch);
		EXPECT_LT(info[i].channels * 2 * info[i].ring_size, info[i].region_size);
		EXPECT_EQ(0, info[i].features);
		EXPECT_EQ(i, info[i].side);
		EXPECT_EQ(IVRING_LINK_UP, info[i].state);
#ifdef __x86_64__
		EXPECT_EQ(IVRING_MEMORY_WB, info[i].memory_type);
#endif
		EXPECT_EQ(1, info[i].wire_version);
		EXPECT_EQ(0, info[i].reserved0);
		EXPECT_STREQ("loop0", info[i].label);
		for (j = 0; j < ARRAY_LEN(info[i].reserved); j++)
			EXPECT_EQ(0, info[i].reserved[j]);
		close(fd);
	}
	EXPECT_NE(0, info[0].epoch);
	EXPECT_NE(0, info[1].epoch);
	EXPECT_EQ(info[0].epoch, info[1].peer_epoch);
	EXPECT_EQ(info[1].epoch, info[0].peer_epoch);
	EXPECT_EQ(info[0].id, info[1].peer_id);
	EXPECT_EQ(info[1].id, info[0].peer_id);
	EXPECT_NE(info[0].id, info[1].id);
	EXPECT_EQ(info[0].vectors, info[1].peer_vectors);
	EXPECT_EQ(info[1].vectors, info[0].peer_vectors);
}

TEST_F(node, link_node_offers_no_more_than_link_info)
{
	const unsigned long cmds[] = {
		IVRING_IOC_CHANNEL_INFO, IVRING_IOC_RESERVE, IVRING_IOC_COMMIT, IVRING_IOC_PEEK,
		IVRING_IOC_RELEASE, IVRING_IOC_WAIT, IVRING_IOC_SEND_FILE, IVRING_IOC_RECV_FILE,
		IVRING_IOC_SHUTDOWN, IVRING_IOC_SET_OPTIONS, IVRING_IOC_GET_OPTIONS,
		IVRING_IOC_TAKE_INDICES, IVRING_IOC_RING, FIONREAD, IVRING_HOST_IOC_ATTACH,
		_IO(IVRING_IOC_MAGIC, 0xff),
	};
	int fd = link_open(self->e.link[0], O_RDWR), i;
	char buf[256] = {};

	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_LEN(cmds); i++) {
		EXPECT_EQ(-ENOTTY, SYS(ioctl(fd, cmds[i], buf))) {
			TH_LOG("command %d", i);
		}
	}
	EXPECT_EQ(-EINVAL, SYS(read(fd, buf, 1)));
	EXPECT_EQ(-EINVAL, SYS(write(fd, buf, 1)));
	EXPECT_EQ(-EINVAL, SYS(fsync(fd)));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-EFAULT, SYS(ioctl(fd, IVRING_IOC_LINK_INFO, 8L)));
	EXPECT_EQ(-ESPIPE, SYS(lseek(fd, 0, SEEK_CUR)));
	close(fd);
}

TEST_F(node, link_node_is_readable_while_up)
{
	int fd = link_open(self->e.link[0], O_RDONLY);

	ASSERT_LE(0, fd);
	EXPECT_EQ(POLLIN, ch_poll(fd, POLLIN, 0));
	close(fd);
}

/* ---- a channel nobody has open at the other end ---- */

TEST_F(node, channel_info)
{
	struct ivring_channel_info info, peer;
	struct ivring_link_info link;
	int a, b, i;

	a = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a);
	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, ch_info(a, &info));
	ASSERT_EQ(0, ch_link_info(a, &link));
	EXPECT_EQ(self->e.link[0], link.link);
	EXPECT_EQ(self->e.link[0], info.link);
	EXPECT_EQ(self->e.ch, info.channel);
	EXPECT_EQ(IVRING_CHANNEL_OPENING, info.state);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(2 * (info.map_size), info.control_map_offset);
	EXPECT_EQ(4096, info.control_map_size);
	EXPECT_EQ(0, info.side);
	EXPECT_EQ(sysconf(_SC_NPROCESSORS_ONLN) > 1, info.spin_max_ns > 0);
	EXPECT_EQ(link.ring_size, info.ring_size);
	EXPECT_EQ(2 * info.ring_size, info.map_size);
	EXPECT_TRUE(info.tx_map_offset >= info.rx_map_offset + info.map_size ||
		    info.rx_map_offset >= info.tx_map_offset + info.map_size);
	EXPECT_EQ(channel_num(self->e.link[0], self->e.ch, "window"), info.window);
	EXPECT_GE(info.ring_size, info.window);
	EXPECT_NE(0, info.epoch);
	EXPECT_EQ(0, info.peer_epoch);
	for (i = 0; i < ARRAY_LEN(info.reserved); i++)
		EXPECT_EQ(0, info.reserved[i]);

	b = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, ch_connected(a));
	ASSERT_EQ(0, ch_connected(b));
	ASSERT_EQ(0, ch_info(a, &info));
	ASSERT_EQ(0, ch_info(b, &peer));
	EXPECT_EQ(IVRING_CHANNEL_CONNECTED, info.state);
	EXPECT_EQ(IVRING_CHANNEL_CONNECTED, peer.state);
	EXPECT_EQ(info.epoch, peer.peer_epoch);
	EXPECT_EQ(peer.epoch, info.peer_epoch);
	EXPECT_EQ(1, peer.side);
	close(b);
	ASSERT_TRUE(wait_until(ch_state(a) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	close(a);
}

TEST_F(node, opening_waits)
{
	struct ivring_span span;
	uint32_t events;
	char c = 'x';
	int a;

	a = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a);
	for (events = 1; events <= IVRING_WAIT_DRAINED; events <<= 1) {
		EXPECT_EQ(-EAGAIN, ch_wait(a, events, 0));
		EXPECT_EQ(-ETIMEDOUT, ch_wait(a, events, MS(5)));
	}
	EXPECT_EQ(-EAGAIN, ch_reserve(a, &span, 1, 0));
	EXPECT_EQ(-EAGAIN, ch_peek(a, &span, 1, 0));
	EXPECT_EQ(-ETIMEDOUT, ch_reserve(a, &span, 1, MS(5)));
	EXPECT_EQ(-ETIMEDOUT, ch_peek(a, &span, 1, MS(5)));
	EXPECT_EQ(-EINVAL, ch_commit(a, 0, 1));
	EXPECT_EQ(-EINVAL, ch_release(a, 0, 1));
	EXPECT_EQ(0, ch_poll(a, POLLIN | POLLOUT, 0));
	ASSERT_EQ(0, ch_set_nonblock(a, true));
	EXPECT_EQ(-EAGAIN, SYS(read(a, &c, 1)));
	EXPECT_EQ(-EAGAIN, SYS(write(a, &c, 1)));
	/* O_NONBLOCK beats any timeout. */
	EXPECT_EQ(-EAGAIN, ch_wait(a, IVRING_WAIT_IN, FOREVER));
	EXPECT_EQ(-EAGAIN, ch_reserve(a, &span, 1, FOREVER));
	EXPECT_EQ(-EAGAIN, ch_peek(a, &span, 1, FOREVER));
	close(a);
}

TEST_F(node, exclusive)
{
	int a, b;

	a = ends_open(&self->e, 0, O_RDWR | O_EXCL);
	ASSERT_LE(0, a);
	EXPECT_EQ(-EBUSY, ends_open(&self->e, 0, O_RDWR));
	EXPECT_EQ(-EBUSY, ends_open(&self->e, 0, O_RDONLY | O_EXCL));
	/* The peer's side is another matter, and so is the next channel. */
	b = ends_open(&self->e, 1, O_RDWR | O_EXCL);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, ch_connected(a));
	close(a);
	close(b);

	a = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a);
	EXPECT_EQ(-EBUSY, ends_open(&self->e, 0, O_RDWR | O_EXCL));
	b = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, b);
	close(a);
	EXPECT_EQ(-EBUSY, ends_open(&self->e, 0, O_RDWR | O_EXCL));
	close(b);
	a = ends_open(&self->e, 0, O_RDWR | O_EXCL);
	EXPECT_LE(0, a);
	close(a);
}

/* ---- what no ioctl accepts ---- */

static const unsigned long span_cmds[] = {
	IVRING_IOC_RESERVE, IVRING_IOC_COMMIT, IVRING_IOC_PEEK, IVRING_IOC_RELEASE,
};

TEST_F(pair, unknown_ioctl)
{
	char buf[512] = {};

	EXPECT_EQ(-ENOTTY, SYS(ioctl(self->a, _IO(IVRING_IOC_MAGIC, 0x7f), buf)));
	EXPECT_EQ(-ENOTTY, SYS(ioctl(self->a, _IO('i', 0), buf)));
	/* The size is part of the number. */
	EXPECT_EQ(-ENOTTY, SYS(ioctl(self->a, _IOR(IVRING_IOC_MAGIC, 0x00, char[512]), buf)));
	EXPECT_EQ(-ENOTTY, SYS(ioctl(self->a, _IOWR(IVRING_IOC_MAGIC, 0x06, char[8]), buf)));
	EXPECT_EQ(-ENOTTY, SYS(ioctl(self->a, IVRING_HOST_IOC_ATTACH, buf)));
	EXPECT_EQ(-ENOTTY, SYS(ioctl(self->a, 0x5401 /* TCGETS */, buf)));
}

TEST_F(pair, bad_pointer)
{
	const unsigned long in_cmds[] = {
		IVRING_IOC_RESERVE, IVRING_IOC_COMMIT, IVRING_IOC_PEEK, IVRING_IOC_RELEASE,
		IVRING_IOC_WAIT, IVRING_IOC_SEND_FILE, IVRING_IOC_RECV_FILE,
		IVRING_IOC_SET_OPTIONS,
	};
	const unsigned long out_cmds[] = {
		IVRING_IOC_LINK_INFO, IVRING_IOC_CHANNEL_INFO, IVRING_IOC_GET_OPTIONS, FIONREAD,
	};
	struct ivring_span span = { .min = 1 };
	struct ivring_wait w = { .events = IVRING_WAIT_OUT, .tx_min = 1 };
	void *none, *ro;
	int i;

	none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ro = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, none);
	ASSERT_NE(MAP_FAILED, ro);
	for (i = 0; i < ARRAY_LEN(in_cmds); i++) {
		EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, in_cmds[i], NULL)));
		EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, in_cmds[i], none)));
		EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, in_cmds[i], none - 8)));
	}
	for (i = 0; i < ARRAY_LEN(out_cmds); i++) {
		EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, out_cmds[i], NULL)));
		EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, out_cmds[i], none)));
	}

	/* Readable but not writable: fails on the way out, and nothing moved. */
	memcpy(ro, &span, sizeof(span));
	ASSERT_EQ(0, mprotect(ro, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, IVRING_IOC_RESERVE, ro)));
	EXPECT_EQ(0, ch_reserve(self->a, &span, 1, 0));
	EXPECT_EQ(0, span.offset);
	EXPECT_EQ(0, ch_commit(self->a, 0, 0));
	ASSERT_EQ(0, mprotect(ro, 4096, PROT_READ | PROT_WRITE));
	memcpy(ro, &w, sizeof(w));
	ASSERT_EQ(0, mprotect(ro, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, IVRING_IOC_WAIT, ro)));
	EXPECT_EQ(1, SYS(write(self->a, "x", 1)));

	/* Nobody was told of the span, but it is held. */
	ASSERT_EQ(0, mprotect(ro, 4096, PROT_READ | PROT_WRITE));
	memcpy(ro, &(struct ivring_span) { .min = 1 }, sizeof(span));
	ASSERT_EQ(0, mprotect(ro, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->b, IVRING_IOC_PEEK, ro)));
	EXPECT_EQ(-EBUSY, SYS(read(self->b, &(char) { 0 }, 1)));
	EXPECT_EQ(0, ch_release(self->b, 0, 1));
	EXPECT_EQ(0, ch_readable(self->b));
	munmap(none, 4096);
	munmap(ro, 4096);
}

TEST_F(pair, bad_flags_and_reserved)
{
	struct ivring_span span;
	struct ivring_wait w;
	int i;

	for (i = 0; i < ARRAY_LEN(span_cmds); i++) {
		span = (struct ivring_span) { .flags = 1, .min = 1 };
		EXPECT_EQ(-EINVAL, ch_span(self->a, span_cmds[i], &span));
		span = (struct ivring_span) { .flags = 1U << 31, .min = 1 };
		EXPECT_EQ(-EINVAL, ch_span(self->a, span_cmds[i], &span));
		span = (struct ivring_span) { .reserved = 1, .min = 1 };
		EXPECT_EQ(-EINVAL, ch_span(self->a, span_cmds[i], &span));
	}
	for (i = 0; i < ARRAY_LEN(w.reserved); i++) {
		w = (struct ivring_wait) { .events = IVRING_WAIT_CONNECTED };
		w.reserved[i] = 1;
		EXPECT_EQ(-EINVAL, SYS(ioctl(self->a, IVRING_IOC_WAIT, &w)));
	}
	/* What comes out need not be clean on the way in. */
	w = (struct ivring_wait) { .events = IVRING_WAIT_CONNECTED, .revents = ~0U };
	EXPECT_EQ(0, SYS(ioctl(self->a, IVRING_IOC_WAIT, &w)));
	EXPECT_EQ(IVRING_WAIT_CONNECTED, w.revents);
}

TEST_F(pair, bad_wait)
{
	int a = self->a;

	EXPECT_EQ(-EINVAL, ch_wait(a, 0, 0));
	EXPECT_EQ(-EINVAL, ch_wait(a, IVRING_WAIT_DRAINED << 1, 0));
	EXPECT_EQ(-EINVAL, ch_wait(a, IVRING_WAIT_IN | 1U << 31, 0));
	EXPECT_EQ(-EINVAL, ch_wait_events(a, IVRING_WAIT_IN, 0, 1, 0, NULL));
	EXPECT_EQ(-EINVAL, ch_wait_events(a, IVRING_WAIT_IN, self->ring + 1, 1, 0, NULL));
	EXPECT_EQ(-EINVAL, ch_wait_events(a, IVRING_WAIT_IN, ~0ULL, 1, 0, NULL));
	EXPECT_EQ(-EINVAL, ch_wait_events(a, IVRING_WAIT_OUT, 1, 0, 0, NULL));
	EXPECT_EQ(-EINVAL, ch_wait_events(a, IVRING_WAIT_OUT, 1, self->window + 1, 0, NULL));
	EXPECT_EQ(-EINVAL, ch_wait_events(a, IVRING_WAIT_OUT, 1, ~0ULL, 0, NULL));
	/* The limits themselves are fine. */
	EXPECT_EQ(-EAGAIN, ch_wait_events(a, IVRING_WAIT_IN, self->ring, 0, 0, NULL));
	EXPECT_EQ(0, ch_wait_events(a, IVRING_WAIT_OUT, 0, self->window, 0, NULL));
}

TEST_F(pair, access_modes)
{
	struct ivring_span span;
	char c = 'x';
	int ro, wo;

	ro = ends_open(&self->e, 0, O_RDONLY);
	wo = ends_open(&self->e, 0, O_WRONLY);
	ASSERT_LE(0, ro);
	ASSERT_LE(0, wo);
	EXPECT_EQ(-EBADF, ch_reserve(ro, &span, 1, 0));
	EXPECT_EQ(-EBADF, ch_commit(ro, 0, 0));
	EXPECT_EQ(-EBADF, ch_peek(wo, &span, 1, 0));
	EXPECT_EQ(-EBADF, ch_release(wo, 0, 0));
	EXPECT_EQ(-EBADF, SYS(write(ro, &c, 1)));
	EXPECT_EQ(-EBADF, SYS(read(wo, &c, 1)));
	/* What they are open for works. */
	EXPECT_EQ(1, SYS(write(wo, &c, 1)));
	EXPECT_EQ(1, SYS(write(self->b, &c, 1)));
	EXPECT_EQ(0, ch_wait(ro, IVRING_WAIT_IN, MS(PATIENCE_MS)));
	EXPECT_EQ(0, ch_peek(ro, &span, 1, 0));
	EXPECT_EQ(0, ch_release(ro, span.offset, 1));
	EXPECT_EQ(0, ch_reserve(wo, &span, 1, 0));
	EXPECT_EQ(0, ch_commit(wo, span.offset, 0));
	close(ro);
	close(wo);
}

TEST_F(pair, no_seek)
{
	char c = 'x';

	EXPECT_EQ(-ESPIPE, SYS(lseek(self->a, 0, SEEK_SET)));
	EXPECT_EQ(-ESPIPE, SYS(lseek(self->a, 0, SEEK_END)));
	EXPECT_EQ(-ESPIPE, SYS(pread(self->a, &c, 1, 0)));
	EXPECT_EQ(-ESPIPE, SYS(pwrite(self->a, &c, 1, 0)));
	/* Nor a size. */
	EXPECT_EQ(-ENODEV, SYS(fallocate(self->a, 0, 0, 4096)));
	EXPECT_EQ(-EINVAL, SYS(ftruncate(self->a, 0)));
}

/* ---- spans ---- */

TEST_F(pair, reserve_commit)
{
	struct ivring_span span, more;
	int a = self->a;

	EXPECT_EQ(-EINVAL, ch_reserve(a, &span, 0, 0));
	EXPECT_EQ(-EINVAL, ch_reserve(a, &span, self->window + 1, 0));
	EXPECT_EQ(-EINVAL, ch_reserve(a, &span, ~0ULL, FOREVER));
	/* Nothing is reserved. */
	EXPECT_EQ(-EINVAL, ch_commit(a, 0, 0));
	EXPECT_EQ(-EINVAL, ch_commit(a, 0, 1));

	ASSERT_EQ(0, ch_reserve(a, &span, 1, 0));
	EXPECT_EQ(0, span.offset);
	EXPECT_EQ(self->window, span.len);
	/* Again before a commit: the same. */
	ASSERT_EQ(0, ch_reserve(a, &more, self->window, 0));
	EXPECT_EQ(span.offset, more.offset);
	EXPECT_EQ(span.len, more.len);

	EXPECT_EQ(-EINVAL, ch_commit(a, 1, 1));
	EXPECT_EQ(-EINVAL, ch_commit(a, self->ring, 1));
	EXPECT_EQ(-EINVAL, ch_commit(a, -1ULL, 1));
	EXPECT_EQ(-EINVAL, ch_commit(a, 0, span.len + 1));
	EXPECT_EQ(-EINVAL, ch_commit(a, 0, ~0ULL));
	EXPECT_EQ(-EINVAL, ch_commit(a, 8, 0));
	/* Refused commits moved nothing and took nothing away. */
	EXPECT_EQ(-EAGAIN, ch_peek(self->b, &more, 1, 0));
	EXPECT_EQ(0, ch_commit(a, 0, 100));
	EXPECT_EQ(-EINVAL, ch_commit(a, 0, 1));
	EXPECT_EQ(-EINVAL, ch_commit(a, 100, self->window - 99));
	EXPECT_EQ(0, ch_commit(a, 100, self->window - 100));
	/* All is committed: the reservation is gone, and the window full. */
	EXPECT_EQ(-EINVAL, ch_commit(a, self->window % self->ring, 0));
	EXPECT_EQ(-EAGAIN, ch_reserve(a, &span, 1, 0));
	EXPECT_EQ(-ETIMEDOUT, ch_reserve(a, &span, 1, MS(5)));
	ASSERT_EQ(0, ch_wait_events(self->b, IVRING_WAIT_IN, self->window, 1, MS(PATIENCE_MS),
				    NULL));
}

/* The peer reads meanwhile: the same span is longer then. */
TEST_F(pair, reserve_again)
{
	struct ivring_span span, more;

	ASSERT_EQ(0, pattern_write(self->a, 1000, 1000, 1, 0));
	ASSERT_EQ(0, ch_reserve(self->a, &span, 1, 0));
	EXPECT_EQ(self->window - 1000, span.len);
	ASSERT_EQ(0, pattern_read(self->b, 1000, 1000, 1, 0));
	EXPECT_EQ(-EINVAL, ch_commit(self->a, span.offset, span.len + 1));
	ASSERT_EQ(0, ch_reserve(self->a, &more, self->window, MS(PATIENCE_MS)));
	EXPECT_EQ(span.offset, more.offset);
	EXPECT_EQ(self->window, more.len);
	EXPECT_EQ(0, ch_commit(self->a, more.offset, more.len));
}

TEST_F(pair, commit_zero_gives_up)
{
	struct ivring_span span;
	int a2;

	a2 = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a2);
	ASSERT_EQ(0, ch_reserve(self->a, &span, 1, 0));
	EXPECT_EQ(-EBUSY, ch_reserve(a2, &span, 1, 0));
	EXPECT_EQ(0, ch_commit(self->a, 0, 0));
	EXPECT_EQ(-EINVAL, ch_commit(self->a, 0, 1));
	EXPECT_EQ(0, ch_reserve(a2, &span, 1, 0));
	EXPECT_EQ(0, ch_commit(a2, 0, 0));

	ASSERT_EQ(1, SYS(write(self->b, "x", 1)));
	ASSERT_EQ(0, ch_peek(self->a, &span, 1, MS(PATIENCE_MS)));
	EXPECT_EQ(-EBUSY, ch_peek(a2, &span, 1, 0));
	EXPECT_EQ(0, ch_release(self->a, 0, 0));
	EXPECT_EQ(-EINVAL, ch_release(self->a, 0, 1));
	EXPECT_EQ(0, ch_peek(a2, &span, 1, 0));
	EXPECT_EQ(0, ch_release(a2, 0, 1));
	close(a2);
}

TEST_F(pair, reservation_keeps_others_off)
{
	struct ivring_span span, other;
	char c = 'x';
	int a2;

	a2 = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a2);
	ASSERT_EQ(0, ch_reserve(self->a, &span, 1, 0));
	EXPECT_EQ(-EBUSY, SYS(write(a2, &c, 1)));
	EXPECT_EQ(-EBUSY, SYS(write(self->a, &c, 1)));
	EXPECT_EQ(-EBUSY, ch_reserve(a2, &other, 1, FOREVER));
	EXPECT_EQ(-EINVAL, ch_commit(a2, span.offset, 1));
	/* A partial commit keeps the rest. */
	ASSERT_EQ(0, ch_commit(self->a, 0, 10));
	EXPECT_EQ(-EBUSY, SYS(write(a2, &c, 1)));
	EXPECT_EQ(-EBUSY, ch_reserve(a2, &other, 1, 0));
	ASSERT_EQ(0, ch_commit(self->a, 10, span.len - 10));
	EXPECT_EQ(-EAGAIN, ch_reserve(a2, &other, 1, 0));

	/* Reading is another direction, with rules of the same kind. */
	ASSERT_EQ(5, SYS(write(self->b, "hello", 5)));
	ASSERT_EQ(0, ch_peek(self->a, &span, 5, MS(PATIENCE_MS)));
	EXPECT_EQ(-EBUSY, SYS(read(a2, &c, 1)));
	EXPECT_EQ(-EBUSY, ch_peek(a2, &other, 1, FOREVER));
	EXPECT_EQ(-EINVAL, ch_release(a2, span.offset, 1));
	ASSERT_EQ(0, ch_release(self->a, 0, 2));
	EXPECT_EQ(-EBUSY, SYS(read(a2, &c, 1)));
	ASSERT_EQ(0, ch_release(self->a, 2, 3));
	ASSERT_EQ(0, ch_set_nonblock(a2, true));
	EXPECT_EQ(-EAGAIN, SYS(read(a2, &c, 1)));
	close(a2);
}

TEST_F(pair, closing_frees_the_reservation)
{
	struct ivring_span span;
	char c = 'x';
	int a2;

	a2 = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a2);
	ASSERT_EQ(0, ch_reserve(a2, &span, 1, 0));
	ASSERT_EQ(1, SYS(write(self->b, "y", 1)));
	ASSERT_EQ(0, ch_peek(a2, &span, 1, MS(PATIENCE_MS)));
	EXPECT_EQ(-EBUSY, SYS(write(self->a, &c, 1)));
	close(a2);
	EXPECT_EQ(1, SYS(write(self->a, &c, 1)));
	EXPECT_EQ(1, SYS(read(self->a, &c, 1)));
	EXPECT_EQ('y', c);
	/* What was only reserved was never sent. */
	EXPECT_EQ(1, SYS(read(self->b, &c, 1)));
	EXPECT_EQ('x', c);
	EXPECT_EQ(-EAGAIN, ch_wait(self->b, IVRING_WAIT_IN, 0));
}

TEST_F(pair, peek_release)
{
	struct ivring_span span, more;
	int b = self->b;

	EXPECT_EQ(-EINVAL, ch_peek(b, &span, 0, 0));
	EXPECT_EQ(-EINVAL, ch_peek(b, &span, self->ring + 1, 0));
	EXPECT_EQ(-EINVAL, ch_release(b, 0, 0));
	EXPECT_EQ(-EINVAL, ch_release(b, 0, 1));
	EXPECT_EQ(-EAGAIN, ch_peek(b, &span, 1, 0));
	EXPECT_EQ(-ETIMEDOUT, ch_peek(b, &span, self->ring, MS(5)));

	ASSERT_EQ(0, pattern_write(self->a, 1000, 1000, 1, 0));
	EXPECT_EQ(-EAGAIN, ch_peek(b, &span, 1001, 0));
	/* A failed PEEK holds nothing. */
	EXPECT_EQ(-EINVAL, ch_release(b, 0, 1));
	ASSERT_EQ(0, ch_peek(b, &span, 1000, 0));
	EXPECT_EQ(0, span.offset);
	EXPECT_EQ(1000, span.len);
	EXPECT_EQ(-EINVAL, ch_release(b, 0, 1001));
	EXPECT_EQ(-EINVAL, ch_release(b, 1, 1));
	EXPECT_EQ(-EINVAL, ch_release(b, self->ring, 1));
	ASSERT_EQ(0, pattern_write(self->a, 500, 500, 1, 1000));
	/* The span is what was peeked, until more is asked for. */
	EXPECT_EQ(-EINVAL, ch_release(b, 0, 1001));
	ASSERT_EQ(0, ch_peek(b, &more, 1001, 0));
	EXPECT_EQ(0, more.offset);
	EXPECT_EQ(1500, more.len);
	EXPECT_EQ(0, ch_release(b, 0, 1));
	EXPECT_EQ(0, ch_release(b, 1, 1499));
	EXPECT_EQ(-EINVAL, ch_release(b, 1500, 0));
}

/* ---- WAIT ---- */

TEST_F(pair, wait_events)
{
	const uint32_t all = IVRING_WAIT_CONNECTED | IVRING_WAIT_IN | IVRING_WAIT_OUT |
			     IVRING_WAIT_DRAINED;
	uint32_t r;
	int a = self->a;

	ASSERT_EQ(0, ch_wait_events(a, all, 1, self->window, 0, &r));
	EXPECT_EQ(all & ~IVRING_WAIT_IN, r);
	/* Only what was asked for is told. */
	ASSERT_EQ(0, ch_wait_events(a, IVRING_WAIT_OUT, 0, 1, 0, &r));
	EXPECT_EQ(IVRING_WAIT_OUT, r);
	EXPECT_EQ(-EAGAIN, ch_wait(a, IVRING_WAIT_IN, 0));

	ASSERT_EQ(0, pattern_write(a, 100, 100, 1, 0));
	EXPECT_EQ(-EAGAIN, ch_wait(a, IVRING_WAIT_DRAINED, 0));
	EXPECT_EQ(-EAGAIN, ch_wait_events(a, IVRING_WAIT_OUT, 0, self->window - 99, 0, NULL));
	EXPECT_EQ(0, ch_wait_events(a, IVRING_WAIT_OUT, 0, self->window - 100, 0, NULL));
	ASSERT_EQ(0, ch_wait_events(self->b, all, 100, 1, 0, &r));
	EXPECT_EQ(all, r);
	ASSERT_EQ(0, ch_wait_events(self->b, all, 101, 1, 0, &r));
	EXPECT_EQ(all & ~IVRING_WAIT_IN, r);
	EXPECT_EQ(-EAGAIN, ch_wait_events(self->b, IVRING_WAIT_IN, 101, 0, 0, NULL));

	ASSERT_EQ(0, pattern_read(self->b, 99, 99, 1, 0));
	EXPECT_EQ(-EAGAIN, ch_wait(a, IVRING_WAIT_DRAINED, 0));
	ASSERT_EQ(0, pattern_read(self->b, 1, 1, 1, 99));
	EXPECT_EQ(0, ch_wait(a, IVRING_WAIT_DRAINED, 0));
}

static int64_t timed_wait(int fd, int64_t timeout_ns, int *ret)
{
	int64_t start = now_ns();

	*ret = ch_wait(fd, IVRING_WAIT_IN, timeout_ns);
	return now_ns() - start;
}

TEST_F(pair, timeouts_are_accurate)
{
	const int ms[] = { 1, 10, 100, 1300 };
	struct ivring_span span;
	int64_t took, best;
	int i, try, ret;

	/* Never early; and not late, but for what a busy machine adds at times. */
	for (i = 0; i < ARRAY_LEN(ms); i++) {
		best = INT64_MAX;
		for (try = 0; try < 10 && best > MS(ms[i] + 20); try++) {
			took = timed_wait(self->b, MS(ms[i]), &ret);
			ASSERT_EQ(-ETIMEDOUT, ret);
			EXPECT_LE(MS(ms[i]), took);
			best = took < best ? took : best;
		}
		EXPECT_GE(MS(ms[i] + 20), best);
	}

	took = now_ns();
	EXPECT_EQ(-ETIMEDOUT, ch_peek(self->b, &span, 1, MS(50)));
	EXPECT_LE(MS(50), now_ns() - took);
	ASSERT_EQ(0, ch_reserve(self->a, &span, self->window, 0));
	ASSERT_EQ(0, ch_commit(self->a, 0, self->window));
	took = now_ns();
	EXPECT_EQ(-ETIMEDOUT, ch_reserve(self->a, &span, 1, MS(50)));
	EXPECT_LE(MS(50), now_ns() - took);
}

/* A timeout so long that now plus it overflows is "for ever", not "at once". */
TEST_F(pair, endless_timeouts)
{
	const int64_t timeouts[] = { FOREVER, INT64_MIN, INT64_MAX, INT64_MAX - 1 };
	pid_t pid;
	char c;
	int i;

	for (i = 0; i < ARRAY_LEN(timeouts); i++) {
		pid = child_run(ch_wait(self->b, IVRING_WAIT_IN, timeouts[i]));
		EXPECT_TRUE(child_asleep(pid, SYS_ioctl));
		EXPECT_EQ(1, SYS(write(self->a, "x", 1)));
		EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
		EXPECT_EQ(1, SYS(read(self->b, &c, 1)));
	}
}

/* The peer's trickle, which never is enough, must not keep a waiter from its deadline. */
TEST_F(pair, timeout_beats_trickle)
{
	int64_t start = now_ns(), took = INT64_MAX;
	int try;
	pid_t pid;

	pid = child_run(({
		char c = 'x';

		/* A small ring would be full before the time is up. */
		while (write(self->a, &c, 1) == 1)
			if (self->ring < 1 << 20)
				nap();
		-errno; }));
	for (try = 0; try < 5 && took > MS(400); try++) {
		start = now_ns();
		EXPECT_EQ(-ETIMEDOUT, ch_wait_events(self->b, IVRING_WAIT_IN, self->ring, 0,
						     MS(200), NULL));
		took = now_ns() - start;
		EXPECT_LE(MS(200), took);
		/* Make room, so that it goes on. */
		pattern_read(self->b, self->ring / 2, 65536, 0, 0);
	}
	EXPECT_GE(MS(400), took);
	kill(pid, SIGKILL);
	child_end(pid, PATIENCE_MS);
}

/* The time spent waiting for another user of the direction counts, too. */
TEST_F(pair, timeout_is_one)
{
	int64_t took, best = INT64_MAX;
	struct ivring_span span;
	int a2, try;
	pid_t pid;

	a2 = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, a2);
	for (try = 0; try < 5 && best > MS(550); try++) {
		pid = child_run(ch_peek(self->b, &span, 1, MS(350)));
		ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
		took = now_ns();
		EXPECT_EQ(-ETIMEDOUT, ch_peek(a2, &span, 1, MS(400)));
		took = now_ns() - took;
		EXPECT_LE(MS(400), took);
		best = took < best ? took : best;
		EXPECT_EQ(ETIMEDOUT, child_end(pid, PATIENCE_MS));
	}
	EXPECT_GE(MS(550), best);
	close(a2);
}

/* ---- sizes and limits ---- */

TEST_F(node, window)
{
	int link = self->e.link[0];
	unsigned int ch = self->e.ch;
	const long long sizes[] = { 4096, 5000, 65536 };
	long long old = channel_num(link, ch, "window");
	struct ivring_channel_info info;
	struct ivring_span span;
	int a, b, i;

	a = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a);
	ASSERT_EQ(0, ch_info(a, &info));
	EXPECT_EQ(-EBUSY, channel_set_window(link, ch, info.ring_size));
	close(a);
	ASSERT_TRUE(wait_until(ends_closed(&self->e, ch), PATIENCE_MS));
	EXPECT_EQ(-EINVAL, channel_set_window(link, ch, 0));
	EXPECT_EQ(-EINVAL, channel_set_window(link, ch, 4095));
	EXPECT_EQ(-EINVAL, channel_set_window(link, ch, info.ring_size + 1));
	EXPECT_EQ(-EINVAL, channel_set_window(link, ch, -1));
	EXPECT_EQ(old, channel_num(link, ch, "window"));
	EXPECT_EQ(0, channel_set_window(link, ch, info.ring_size));

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		if (sizes[i] > info.ring_size)
			break;
		ASSERT_EQ(0, channel_set_window(link, ch, sizes[i]));
		a = ends_open(&self->e, 0, O_RDWR);
		b = ends_open(&self->e, 1, O_RDWR);
		ASSERT_EQ(0, ch_connected(a));
		ASSERT_EQ(0, ch_info(a, &info));
		EXPECT_EQ(sizes[i], info.window);
		EXPECT_EQ(-EINVAL, ch_reserve(a, &span, sizes[i] + 1, 0));
		ASSERT_EQ(0, ch_reserve(a, &span, 1, 0));
		EXPECT_EQ(sizes[i], span.len);
		ASSERT_EQ(0, ch_commit(a, span.offset, span.len));
		EXPECT_EQ(-EAGAIN, ch_wait(a, IVRING_WAIT_OUT, 0));
		close(a);
		/* It lingers: still no time for another window. */
		EXPECT_EQ(-EBUSY, channel_set_window(link, ch, info.ring_size));
		close(b);
		ASSERT_TRUE(wait_until(ends_closed(&self->e, ch), PATIENCE_MS));
	}
	ASSERT_EQ(0, channel_set_window(link, ch, old));
}

/* Whatever the caches are like, it is a size that fits, and comes back when asked for. */
TEST_F(node, window_by_itself)
{
	int link = self->e.link[0];
	unsigned int ch = self->e.ch;
	long long ring = link_attr_num(link, "ring_size", 0);
	long long automatic;

	ASSERT_EQ(0, channel_attr_set(link, ch, "window", "auto\n"));
	automatic = channel_num(link, ch, "window");
	EXPECT_TRUE(automatic == ring || automatic >= 256 << 10);
	EXPECT_GE(4 << 20, automatic);
	EXPECT_GE(ring, automatic);
	ASSERT_EQ(0, channel_set_window(link, ch, 8192));
	EXPECT_EQ(8192, channel_num(link, ch, "window"));
	EXPECT_EQ(-EINVAL, channel_attr_set(link, ch, "window", "automatic"));
	EXPECT_EQ(8192, channel_num(link, ch, "window"));
	ASSERT_EQ(0, channel_attr_set(link, ch, "window", "auto"));
	EXPECT_EQ(automatic, channel_num(link, ch, "window"));
}

TEST_F(pair, chunk)
{
	int link = self->e.link[0];
	unsigned int ch = self->e.ch;
	long long automatic = channel_num(link, ch, "chunk");
	long long before;
	const char * const wrong[] = { "0", "4095", "-1", "1e6", "some", "99999999999" };
	int i;

	EXPECT_LE(4096, automatic);
	EXPECT_GE(256 << 10, automatic);
	for (i = 0; i < ARRAY_LEN(wrong); i++)
		EXPECT_EQ(-EINVAL, channel_attr_set(link, ch, "chunk", wrong[i]));
	EXPECT_EQ(automatic, channel_num(link, ch, "chunk"));
	/* In the middle of a conversation; its doorbells do not concern the bytes. */
	ASSERT_EQ(0, channel_attr_set(link, ch, "chunk", "4096"));
	EXPECT_EQ(4096, channel_num(link, ch, "chunk"));
	before = channel_num(link, ch, "stats/doorbells_sent") +
		 channel_num(link, ch, "stats/doorbells_suppressed");
	ASSERT_EQ(0, pattern_write(self->a, self->window, self->window, 1, 0));
	/* One publication each, the last of which may be shorter */
	EXPECT_EQ((self->window + 4095) / 4096,
		  channel_num(link, ch, "stats/doorbells_sent") +
		  channel_num(link, ch, "stats/doorbells_suppressed") - before);
	ASSERT_EQ(0, pattern_read(self->b, self->window, self->window, 1, 0));
	ASSERT_EQ(0, channel_attr_set(link, ch, "chunk", "auto"));
	EXPECT_EQ(automatic, channel_num(link, ch, "chunk"));
}

/* A channel's own limit holds where it is below the one for all. */
TEST_F(pair, spin_max_ns)
{
	int link = self->e.link[1];
	unsigned int ch = self->e.ch;
	long long spins;
	int i;

	EXPECT_TRUE(channel_attr_is(link, ch, "spin_max_ns", "max"));
	EXPECT_EQ(-EINVAL, channel_attr_set(link, ch, "spin_max_ns", "-1"));
	EXPECT_EQ(-EINVAL, channel_attr_set(link, ch, "spin_max_ns", "most"));
	EXPECT_EQ(-ERANGE, channel_attr_set(link, ch, "spin_max_ns", "4294967296"));
	EXPECT_TRUE(channel_attr_is(link, ch, "spin_max_ns", "max"));
	ASSERT_EQ(0, channel_attr_set(link, ch, "spin_max_ns", "0"));
	EXPECT_TRUE(channel_attr_is(link, ch, "spin_max_ns", "0"));
	spins = channel_num(link, ch, "stats/spins");
	for (i = 0; i < 200; i++)
		EXPECT_EQ(-ETIMEDOUT, ch_wait(self->b, IVRING_WAIT_IN, 1000));
	EXPECT_EQ(spins, channel_num(link, ch, "stats/spins"));
	ASSERT_EQ(0, channel_attr_set(link, ch, "spin_max_ns", "max"));
	for (i = 0; i < 200; i++)
		EXPECT_EQ(-ETIMEDOUT, ch_wait(self->b, IVRING_WAIT_IN, 1000));
	/* There is credit for some, where there is another CPU to wait for. */
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		EXPECT_LT(spins, channel_num(link, ch, "stats/spins"));
}

PAIR_HARNESS_MAIN

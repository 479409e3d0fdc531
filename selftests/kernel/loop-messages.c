// SPDX-License-Identifier: GPL-2.0
/*
 * Messages on a loop link: one write(2), one message; one read(2), the same
 * message. And both sides have to want them.
 */
#include "pair.h"
#include <pthread.h>
#include <linux/ivring_wire.h>

#define HEADER	sizeof(struct ivring_wire_msg)

/* How much of the ring a message takes. */
static size_t msg_size(size_t len)
{
	return (HEADER + len + 7) & ~7UL;
}

FIXTURE(msg) {
	struct ends e;
	int a, b;
	size_t ring, window;
};

FIXTURE_SETUP(msg)
{
	struct ivring_channel_info info;

	ASSERT_EQ(0, ends_find(&self->e, 0));
	self->a = ends_open(&self->e, 0, O_RDWR | O_DIRECT);
	self->b = ends_open(&self->e, 1, O_RDWR | O_DIRECT);
	ASSERT_LE(0, self->a);
	ASSERT_LE(0, self->b);
	ASSERT_EQ(0, ch_connected(self->a));
	ASSERT_EQ(0, ch_connected(self->b));
	ASSERT_EQ(0, ch_info(self->a, &info));
	self->ring = info.ring_size;
	self->window = info.window;
}

FIXTURE_TEARDOWN(msg)
{
	close(self->a);
	close(self->b);
	EXPECT_EQ(self->e.rescued, ends_rescued(&self->e));
}

TEST_F(msg, boundaries_are_kept)
{
	size_t sizes[] = { 1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 100, 511, 1000, 4088, 4096 };
	char buf[8192];
	int i, round;

	ASSERT_TRUE(self->window >= 8192);
	/* Often enough to meet the wrap at many places. */
	for (round = 0; round < 40; round++) {
		size_t n = ARRAY_LEN(sizes), sum = 0, first = 0;

		for (i = 0; i < n; i++) {
			size_t len = sizes[(i + round) % n];

			if (sum + msg_size(len) > self->window)
				break;
			sum += msg_size(len);
			pattern_fill(buf, len, round, i);
			ASSERT_EQ(len, SYS(write(self->a, buf, len)));
		}
		for (n = i; first < n; first++) {
			size_t len = sizes[(first + round) % ARRAY_LEN(sizes)];

			ASSERT_EQ(len, ch_readable(self->b));
			ASSERT_EQ(len, SYS(read(self->b, buf, sizeof(buf))));
			ASSERT_EQ(-1, pattern_check(buf, len, round, first));
		}
		ASSERT_EQ(0, ch_readable(self->b));
	}
}

TEST_F(msg, pieces_make_one_message)
{
	char out[100], in[100];
	struct iovec ov[] = { { out, 3 }, { out + 3, 0 }, { out + 3, 90 }, { out + 93, 7 } };
	struct iovec iv[] = { { in, 50 }, { in + 50, 1 }, { in + 51, 49 } };

	pattern_fill(out, sizeof(out), 5, 0);
	ASSERT_EQ(100, SYS(writev(self->a, ov, ARRAY_LEN(ov))));
	ASSERT_EQ(100, SYS(readv(self->b, iv, ARRAY_LEN(iv))));
	EXPECT_EQ(0, memcmp(out, in, sizeof(in)));
}

TEST_F(msg, longest)
{
	size_t max = self->window - HEADER;
	char *buf = malloc(self->ring + 4096);
	int i;

	for (i = 0; i < 3; i++) {
		pattern_fill(buf, max, i, 0);
		ASSERT_EQ(max, SYS(write(self->a, buf, max)));
		/* Full to the last byte */
		ch_set_nonblock(self->a, true);
		EXPECT_EQ(-EAGAIN, SYS(write(self->a, "x", 1)));
		ch_set_nonblock(self->a, false);
		memset(buf, 0, max);
		ASSERT_EQ(max, SYS(read(self->b, buf, self->ring)));
		ASSERT_EQ(-1, pattern_check(buf, max, i, 0));
	}
	EXPECT_EQ(-EMSGSIZE, SYS(write(self->a, buf, max + 1)));
	EXPECT_EQ(-EMSGSIZE, SYS(write(self->a, buf, self->ring + 4096)));
	EXPECT_EQ(0, ch_readable(self->b));
	free(buf);
}

TEST_F(msg, short_buffer_loses_nothing)
{
	char buf[64];

	ASSERT_EQ(10, SYS(write(self->a, "0123456789", 10)));
	ASSERT_EQ(3, SYS(write(self->a, "abc", 3)));
	EXPECT_EQ(-EMSGSIZE, SYS(read(self->b, buf, 9)));
	EXPECT_EQ(-EMSGSIZE, SYS(read(self->b, buf, 1)));
	EXPECT_EQ(0, SYS(read(self->b, buf, 0)));
	EXPECT_EQ(10, ch_readable(self->b));
	EXPECT_EQ(10, SYS(read(self->b, buf, 10)));
	EXPECT_EQ(3, SYS(read(self->b, buf, sizeof(buf))));
}

TEST_F(msg, bad_addresses_move_nothing)
{
	char buf[64] = "hello", *none;

	none = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, none);
	ASSERT_EQ(0, mprotect(none + 4096, 4096, PROT_NONE));
	EXPECT_EQ(-EFAULT, SYS(write(self->a, none + 4096, 10)));
	/* Half of it is there. */
	EXPECT_EQ(-EFAULT, SYS(write(self->a, none + 4090, 10)));
	EXPECT_EQ(0, ch_readable(self->b));
	ASSERT_EQ(10, SYS(write(self->a, buf, 10)));
	EXPECT_EQ(-EFAULT, SYS(read(self->b, none + 4090, 10)));
	memset(buf, 0, sizeof(buf));
	EXPECT_EQ(10, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_STREQ("hello", buf);
	munmap(none, 8192);
}

TEST_F(msg, end_of_file)
{
	char buf[64];

	ASSERT_EQ(5, SYS(write(self->a, "12345", 5)));
	ASSERT_EQ(0, SYS(write(self->a, "", 0)));
	ASSERT_EQ(2, SYS(write(self->a, "67", 2)));
	close(self->a);
	self->a = -1;
	EXPECT_EQ(5, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(2, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(0, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(0, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(-EPIPE, SYS(write(self->b, "x", 1)));
}

TEST_F(msg, waiting_reader_and_writer)
{
	char *buf = malloc(self->window), c;
	pid_t pid;

	pid = child_run(read(self->b, &c, 1) == 1 ? c : -errno);
	ASSERT_TRUE(child_asleep(pid, SYS_read));
	ASSERT_EQ(1, SYS(write(self->a, "7", 1)));
	EXPECT_EQ('7', child_end(pid, PATIENCE_MS));

	memset(buf, 'y', self->window);
	ASSERT_EQ(self->window / 2, SYS(write(self->a, buf, self->window / 2)));
	pid = child_run(write(self->a, buf, self->window / 2) == self->window / 2 ? 0 : -errno);
	ASSERT_TRUE(child_asleep(pid, SYS_write));
	EXPECT_EQ(self->window / 2, SYS(read(self->b, buf, self->window)));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(self->window / 2, SYS(read(self->b, buf, self->window)));
	free(buf);
}

TEST_F(msg, never_sleeps_with_nonblock)
{
	char c;

	ch_set_nonblock(self->a, true);
	ch_set_nonblock(self->b, true);
	EXPECT_EQ(-EAGAIN, SYS(read(self->b, &c, 1)));
	EXPECT_EQ(0, ch_poll(self->b, POLLIN, 0));
	EXPECT_EQ(1, SYS(write(self->a, "x", 1)));
	EXPECT_EQ(POLLIN, ch_poll(self->b, POLLIN, PATIENCE_MS));
	EXPECT_EQ(1, SYS(read(self->b, &c, 1)));
	EXPECT_EQ(-EAGAIN, SYS(read(self->b, &c, 1)));
}

TEST_F(msg, counters)
{
	const struct ends *e = &self->e;
	long long tx = channel_num(e->link[0], e->ch, "stats/tx_messages");
	long long rx = channel_num(e->link[1], e->ch, "stats/rx_messages");
	char c;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(1, SYS(write(self->a, "x", 1)));
		ASSERT_EQ(1, SYS(read(self->b, &c, 1)));
	}
	EXPECT_EQ(tx + 10, channel_num(e->link[0], e->ch, "stats/tx_messages"));
	EXPECT_EQ(rx + 10, channel_num(e->link[1], e->ch, "stats/rx_messages"));
}

/* In place, as msg.h has it: what a program does that maps the rings */
TEST_F(msg, in_place_and_by_calls)
{
	char *map = ch_map(self->a, true), *in = ch_map(self->b, false), buf[64];
	struct ivring_wire_msg head;
	struct ivring_span span;

	ASSERT_NE(NULL, map);
	ASSERT_NE(NULL, in);
	ASSERT_EQ(0, ch_reserve(self->a, &span, 24, 0));
	/* Whole messages only */
	EXPECT_EQ(-EINVAL, ch_commit(self->a, span.offset, 13));
	EXPECT_EQ(0, ch_commit(self->a, span.offset, 0));

	ch_reserve(self->a, &span, 24, 0);
	head = (struct ivring_wire_msg) { .len = 5, .type = 77 };
	memcpy(map + span.offset, &head, 8);
	memcpy(map + span.offset + 8, "hello", 5);
	/* Two at once, the second one empty */
	head = (struct ivring_wire_msg) { .len = 0 };
	memcpy(map + span.offset + 16, &head, 8);
	ASSERT_EQ(0, ch_commit(self->a, span.offset, 24));
	ASSERT_EQ(0, ch_commit(self->a, (span.offset + 24) % self->ring, 0));
	ASSERT_EQ(3, SYS(write(self->a, "abc", 3)));
	EXPECT_EQ(5, ch_readable(self->b));
	EXPECT_EQ(5, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));

	/* Empty ones are passed over. */
	EXPECT_EQ(3, SYS(read(self->b, buf, sizeof(buf))));
	ASSERT_EQ(2, SYS(write(self->a, "xy", 2)));
	ASSERT_EQ(0, ch_peek(self->b, &span, 1, MS(PATIENCE_MS)));
	ASSERT_EQ(16, span.len);
	memcpy(&head, in + span.offset, 8);
	EXPECT_EQ(2, head.len);
	EXPECT_EQ(0, head.type);
	EXPECT_EQ(0, memcmp(in + span.offset + 8, "xy", 2));
	/* Which is the next message is for who looks at them. */
	EXPECT_EQ(-EBUSY, ch_readable(self->b));
	EXPECT_EQ(-EINVAL, ch_release(self->b, span.offset, 10));
	EXPECT_EQ(0, ch_release(self->b, span.offset, 16));
}

/* All the room there is, in empty messages */
static int fill_with_empty(int fd, char *map)
{
	struct ivring_span span;
	int ret = ch_reserve(fd, &span, 1, FOREVER);

	if (ret)
		return ret;
	memset(map + span.offset, 0, span.len);
	return ch_commit(fd, span.offset, span.len);
}

/* To be run by a child, as a mapping is not inherited */
static int fill_without_end(int fd)
{
	char *map = ch_map(fd, true);
	int ret = map ? 0 : -errno;

	while (!ret)
		ret = fill_with_empty(fd, map);
	return ret;
}

/* Many of them are passed over at once, but no reader is kept at it that may not wait. */
TEST_F(msg, empty_ones_without_end)
{
	char *map = ch_map(self->a, true), buf[16];
	struct ivring_span span;
	long long passed;
	pid_t pid;
	int i;

	ASSERT_NE(NULL, map);
	ch_set_nonblock(self->b, true);
	ASSERT_EQ(0, fill_with_empty(self->a, map));
	EXPECT_EQ(POLLIN, ch_poll(self->b, POLLIN, PATIENCE_MS));
	EXPECT_EQ(0, ch_readable(self->b));
	EXPECT_EQ(-EAGAIN, SYS(read(self->b, buf, sizeof(buf))));
	ASSERT_EQ(0, ch_reserve(self->a, &span, self->window, MS(PATIENCE_MS)));
	ASSERT_EQ(0, ch_commit(self->a, span.offset, 0));
	ASSERT_EQ(3, SYS(write(self->a, "abc", 3)));
	EXPECT_EQ(3, SYS(read(self->b, buf, sizeof(buf))));

	pid = child_run(fill_without_end(self->a));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(POLLIN, ch_poll(self->b, POLLIN, PATIENCE_MS));
		passed = channel_num(self->e.link[1], self->e.ch, "stats/rx_messages");
		ASSERT_EQ(-EAGAIN, SYS(read(self->b, buf, sizeof(buf))));
		passed = channel_num(self->e.link[1], self->e.ch, "stats/rx_messages") - passed;
		EXPECT_GE(self->ring / HEADER, passed);
	}
	kill(pid, SIGKILL);
	EXPECT_EQ(-(1000 + SIGKILL), child_end(pid, PATIENCE_MS));
}

/* A length that the index does not cover can only be the peer's fault. */
TEST_F(msg, impossible_length)
{
	const uint32_t lens[] = { 9, 4096, 1U << 30, ~0U, ~0U - 7 };
	char *map, c;
	int i;

	for (i = 0; i < ARRAY_LEN(lens); i++) {
		struct ivring_wire_msg head = { .len = lens[i] };
		struct ivring_span span;

		map = ch_map(self->a, true);
		ASSERT_NE(NULL, map);
		ASSERT_EQ(0, ch_reserve(self->a, &span, 16, 0));
		memcpy(map + span.offset, &head, sizeof(head));
		ASSERT_EQ(0, ch_commit(self->a, span.offset, 16));
		EXPECT_EQ(-EPROTO, i % 2 ? ch_readable(self->b) : SYS(read(self->b, &c, 1)));
		EXPECT_EQ(-EPROTO, SYS(read(self->b, &c, 1)));
		EXPECT_EQ(-EPROTO, SYS(write(self->b, &c, 1)));
		EXPECT_EQ(-EPROTO, ch_shutdown(self->b));
		EXPECT_EQ(-EPROTO, SYS(fsync(self->b)));
		EXPECT_EQ(IVRING_CHANNEL_BROKEN, ch_state(self->b));
		ASSERT_TRUE(wait_until(ch_state(self->a) == IVRING_CHANNEL_RESET, PATIENCE_MS));
		EXPECT_EQ(-ECONNRESET, ch_shutdown(self->a));
		close(self->a);
		close(self->b);
		self->a = ends_open(&self->e, 0, O_RDWR | O_DIRECT);
		self->b = ends_open(&self->e, 1, O_RDWR | O_DIRECT);
		ASSERT_EQ(0, ch_connected(self->a));
		ASSERT_EQ(0, ch_connected(self->b));
	}
}

/* Also what a peer left behind that is gone already */
TEST_F(msg, half_a_message_at_the_end)
{
	struct ivring_wire_msg head = { .len = 100 };
	struct ivring_span span;
	char *map = ch_map(self->a, true), c;

	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, ch_reserve(self->a, &span, 16, 0));
	memcpy(map + span.offset, &head, sizeof(head));
	ASSERT_EQ(0, ch_commit(self->a, span.offset, 16));
	munmap(map, 2 * self->ring);
	close(self->a);
	self->a = -1;
	ASSERT_TRUE(wait_until(ch_state(self->b) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	EXPECT_EQ(-EPROTO, SYS(read(self->b, &c, 1)));
	EXPECT_EQ(-EPROTO, SYS(read(self->b, &c, 1)));
	EXPECT_EQ(IVRING_CHANNEL_BROKEN, ch_state(self->b));
}

TEST_F(msg, no_bytes_here)
{
	struct ivring_options o;
	struct ivring_file_xfer x = { .fd = file_pattern(10, 1), .len = 10 };
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(5, write(p[1], "12345", 5));
	EXPECT_EQ(-EINVAL, SYS(splice(p[0], NULL, self->a, NULL, 5, 0)));
	EXPECT_EQ(-EINVAL, SYS(splice(self->a, NULL, p[1], NULL, 5, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(-EINVAL, SYS(ioctl(self->a, IVRING_IOC_SEND_FILE, &x)));
	EXPECT_EQ(-EINVAL, SYS(ioctl(self->a, IVRING_IOC_RECV_FILE, &x)));
	EXPECT_EQ(0, SYS(ioctl(self->a, IVRING_IOC_GET_OPTIONS, &o)));
	o.rx_min = 2;
	EXPECT_EQ(-EINVAL, SYS(ioctl(self->a, IVRING_IOC_SET_OPTIONS, &o)));
	close(p[0]);
	close(p[1]);
	close(x.fd);
}

/* Writable is what one more message fits into, not a byte. */
TEST_F(msg, poll_out)
{
	struct ivring_options o = { .spin_max_ns = -1U, .rx_min = 1, .tx_min = self->window - 7 };
	char *buf = calloc(1, self->window);

	ch_set_nonblock(self->a, true);
	EXPECT_EQ(POLLOUT, ch_poll(self->a, POLLOUT, 0));
	ASSERT_EQ(self->window - 16, SYS(write(self->a, buf, self->window - 16)));
	EXPECT_EQ(0, ch_poll(self->a, POLLOUT, 0));
	EXPECT_EQ(-EAGAIN, SYS(write(self->a, "x", 1)));
	EXPECT_EQ(self->window - 16, SYS(read(self->b, buf, self->window)));
	EXPECT_EQ(POLLOUT, ch_poll(self->a, POLLOUT, PATIENCE_MS));

	EXPECT_EQ(-EINVAL, SYS(ioctl(self->a, IVRING_IOC_SET_OPTIONS, &o)));
	o.tx_min--;
	EXPECT_EQ(0, SYS(ioctl(self->a, IVRING_IOC_SET_OPTIONS, &o)));
	EXPECT_EQ(POLLOUT, ch_poll(self->a, POLLOUT, 0));
	ASSERT_EQ(1, SYS(write(self->a, "x", 1)));
	EXPECT_EQ(0, ch_poll(self->a, POLLOUT, 0));
	free(buf);
}

TEST_F(msg, readable_beside_a_reader)
{
	pid_t pid = child_run(read(self->b, &(char) { 0 }, 1) == 1 ? 0 : 1);

	ASSERT_TRUE(child_asleep(pid, SYS_read));
	EXPECT_EQ(0, ch_readable(self->b));
	ASSERT_EQ(1, SYS(write(self->a, "x", 1)));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(0, ch_readable(self->b));
}

/* ---- who wants what ---- */

TEST_F(node, both_must_want_the_same)
{
	int a, b, i;
	char c;

	for (i = 0; i < 4; i++) {
		a = ends_open(&self->e, 0, O_RDWR | (i % 2 ? O_DIRECT : 0));
		b = ends_open(&self->e, 1, O_RDWR | (i % 2 ? 0 : O_DIRECT));
		ASSERT_LE(0, a);
		ASSERT_LE(0, b);
		EXPECT_EQ(-EPROTOTYPE, ch_connected(a));
		EXPECT_EQ(-EPROTOTYPE, ch_connected(b));
		EXPECT_EQ(-EPROTOTYPE, SYS(read(i < 2 ? a : b, &c, 1)));
		EXPECT_EQ(-EPROTOTYPE, SYS(write(i < 2 ? b : a, &c, 1)));
		EXPECT_EQ(IVRING_CHANNEL_RESET, ch_state(a));
		close(a);
		close(b);
		ASSERT_TRUE(wait_until(ends_closed(&self->e, self->e.ch), PATIENCE_MS));
	}
	/* No harm was done. */
	a = ends_open(&self->e, 0, O_RDWR | O_DIRECT);
	b = ends_open(&self->e, 1, O_RDWR | O_DIRECT);
	ASSERT_EQ(0, ch_connected(a));
	ASSERT_EQ(0, ch_connected(b));
	close(a);
	close(b);
}

/* Who finds out first may be gone before the other one looks. */
TEST_F(node, both_are_told)
{
	int a, b, i;

	for (i = 0; i < 20; i++) {
		a = ends_open(&self->e, i % 2, O_RDWR);
		b = ends_open(&self->e, !(i % 2), O_RDWR | O_DIRECT);
		ASSERT_LE(0, a);
		ASSERT_LE(0, b);
		EXPECT_EQ(-EPROTOTYPE, ch_connected(a));
		close(a);
		EXPECT_EQ(-EPROTOTYPE, ch_connected(b));
		close(b);
		ASSERT_TRUE(wait_until(ends_closed(&self->e, self->e.ch), PATIENCE_MS));
	}
}

TEST_F(node, on_this_side_too)
{
	struct ivring_channel_info info;
	int a, b;

	a = ends_open(&self->e, 0, O_RDWR | O_DIRECT);
	ASSERT_LE(0, a);
	EXPECT_EQ(-EPROTOTYPE, ends_open(&self->e, 0, O_RDWR));
	ASSERT_EQ(0, ch_info(a, &info));
	EXPECT_EQ(IVRING_CHANNEL_F_MESSAGES, info.flags);
	/* Only open(2) counts. */
	ASSERT_EQ(0, SYS(fcntl(a, F_SETFL, 0)));
	ASSERT_EQ(0, ch_info(a, &info));
	EXPECT_EQ(IVRING_CHANNEL_F_MESSAGES, info.flags);
	b = ends_open(&self->e, 0, O_RDWR | O_DIRECT);
	EXPECT_LE(0, b);
	close(a);
	close(b);
	a = ends_open(&self->e, 0, O_RDWR);
	EXPECT_EQ(-EPROTOTYPE, ends_open(&self->e, 0, O_RDWR | O_DIRECT));
	close(a);
}

/* Neither what it is for is to be seen with fcntl(2), nor can it be made something else. */
TEST_F(node, fcntl_knows_nothing_of_it)
{
	const int how[] = { O_DIRECT, 0 };
	int i, fd, flags;

	for (i = 0; i < ARRAY_LEN(how); i++) {
		fd = ends_open(&self->e, 0, O_RDWR | O_NONBLOCK | how[i]);
		ASSERT_LE(0, fd);
		flags = fcntl(fd, F_GETFL);
		EXPECT_EQ(O_RDWR | O_NONBLOCK, flags & (O_ACCMODE | O_NONBLOCK | O_DIRECT));
		EXPECT_EQ(-EINVAL, SYS(fcntl(fd, F_SETFL, O_DIRECT)));
		EXPECT_EQ(flags, fcntl(fd, F_GETFL));
		EXPECT_EQ(i ? 0 : IVRING_CHANNEL_F_MESSAGES, ch_flags(fd));
		close(fd);
	}
}

/* ---- many ---- */

struct sender {
	int fd;
	uint32_t id, count;
	int error;
};

static void *send_many(void *arg)
{
	struct sender *s = arg;
	uint32_t buf[64], i;

	for (i = 0; i < s->count; i++) {
		size_t words = 2 + (i * 7 + s->id) % 62, w;
		long n;

		buf[0] = s->id;
		buf[1] = i;
		for (w = 2; w < words; w++)
			buf[w] = i + w;
		n = SYS(write(s->fd, buf, words * 4));
		if (n != words * 4) {
			s->error = n < 0 ? n : -EIO;
			break;
		}
	}
	return NULL;
}

/* Several threads write and one reads: each message whole, each thread's in order. */
TEST_F(msg, several_writers)
{
	enum { SENDERS = 4, COUNT = 2000 };
	struct sender s[SENDERS];
	pthread_t t[SENDERS];
	uint32_t next[SENDERS] = {}, buf[64], i, w, total;

	for (i = 0; i < SENDERS; i++) {
		s[i] = (struct sender) { .fd = self->a, .id = i, .count = COUNT };
		ASSERT_EQ(0, pthread_create(&t[i], NULL, send_many, &s[i]));
	}
	for (total = 0; total < SENDERS * COUNT; total++) {
		long n = SYS(read(self->b, buf, sizeof(buf)));

		ASSERT_LE(8, n);
		ASSERT_LT(buf[0], SENDERS);
		i = buf[0];
		ASSERT_EQ(next[i], buf[1]);
		ASSERT_EQ((2 + (buf[1] * 7 + i) % 62) * 4, n);
		for (w = 2; w < n / 4; w++)
			ASSERT_EQ(buf[1] + w, buf[w]);
		next[i]++;
	}
	for (i = 0; i < SENDERS; i++) {
		pthread_join(t[i], NULL);
		EXPECT_EQ(0, s[i].error);
	}
}

PAIR_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * Data on a loop link: read, write, poll, epoll, signals, and how each of them
 * meets the end of a conversation.
 */
#include "pair.h"
#include <sys/ptrace.h>

/* ---- read and write ---- */

/* A small generator of our own, so that a failure can be had again. */
static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

TEST_F(pair, sizes_around_wraps)
{
	size_t sizes[] = {
		1, 7, 8, 4095, 4096, 4097, self->ring / 2 - 1, self->ring / 2 + 1,
		self->window - 1, self->window, 3, self->ring - 4096 + 1, 65536, 65537, 100000,
	};
	uint64_t pos = 0;
	int round, i;

	/* Not a power of two in all: each round meets the wrap elsewhere. */
	for (round = 0; round < 5; round++) {
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			size_t n = sizes[i] < self->window ? sizes[i] : self->window;

			ASSERT_EQ(0, pattern_write(self->a, n, n, 7, pos));
			ASSERT_EQ(0, pattern_read(self->b, n, n, 7, pos));
			pos += n;
		}
	}
}

TEST_F(pair, vectors)
{
	enum { PIECES = 32 };
	const size_t bytes = self->window < 30000 ? self->window : 30000;
	struct iovec out[PIECES], in[PIECES];
	char *src = malloc(bytes), *dst = malloc(bytes);
	uint64_t rnd = 42, pos = 0;
	int round, i;

	for (round = 0; round < 100; round++) {
		size_t at_out = 0, at_in = 0, n;

		/* Pieces of all sizes, empty ones too. */
		for (i = 0; i < PIECES; i++) {
			n = next_random(&rnd) % (i % 3 ? bytes / 15 : 5);
			n = at_out + n > bytes || i == PIECES - 1 ? bytes - at_out : n;
			out[i] = (struct iovec) { src + at_out, n };
			at_out += n;
			n = next_random(&rnd) % (bytes / 15);
			n = at_in + n > bytes || i == PIECES - 1 ? bytes - at_in : n;
			in[i] = (struct iovec) { dst + at_in, n };
			at_in += n;
		}
		pattern_fill(src, bytes, 3, pos);
		memset(dst, 0, bytes);
		ASSERT_EQ(bytes, SYS(writev(self->a, out, PIECES)));
		ASSERT_EQ(bytes, SYS(readv(self->b, in, PIECES)));
		ASSERT_EQ(-1, pattern_check(dst, bytes, 3, pos));
		pos += bytes;
	}
	free(src);
	free(dst);
}

TEST_F(pair, empty_transfers)
{
	char c;

	EXPECT_EQ(0, SYS(write(self->a, &c, 0)));
	EXPECT_EQ(0, SYS(read(self->b, &c, 0)));
	EXPECT_EQ(-EAGAIN, ch_wait(self->b, IVRING_WAIT_IN, 0));
}

/* A read returns what is there, and does not wait for the rest. */
TEST_F(pair, short_reads)
{
	char buf[100];

	ASSERT_EQ(0, pattern_write(self->a, 60, 60, 1, 0));
	ASSERT_EQ(60, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(-1, pattern_check(buf, 60, 1, 0));
}

TEST_F(pair, nonblocking)
{
	size_t size = self->ring + 12345;
	char *buf = malloc(size);

	ASSERT_EQ(0, ch_set_nonblock(self->a, true));
	ASSERT_EQ(0, ch_set_nonblock(self->b, true));
	EXPECT_EQ(-EAGAIN, SYS(read(self->b, buf, size)));
	pattern_fill(buf, size, 5, 0);
	EXPECT_EQ(self->window, SYS(write(self->a, buf, size)));
	EXPECT_EQ(-EAGAIN, SYS(write(self->a, buf, 1)));
	memset(buf, 0, size);
	EXPECT_EQ(self->window, SYS(read(self->b, buf, size)));
	EXPECT_EQ(-1, pattern_check(buf, self->window, 5, 0));
	EXPECT_EQ(-EAGAIN, SYS(read(self->b, buf, size)));
	EXPECT_EQ(1, SYS(write(self->a, buf, 1)));
	free(buf);
}

/* RWF_NOWAIT is O_NONBLOCK for one call. */
TEST_F(pair, nowait)
{
	char *buf = calloc(1, self->ring);
	struct iovec iov = { buf, self->ring };

	EXPECT_EQ(-EAGAIN, SYS(preadv2(self->b, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(self->window, SYS(pwritev2(self->a, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(-EAGAIN, SYS(pwritev2(self->a, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(self->window, SYS(preadv2(self->b, &iov, 1, -1, RWF_NOWAIT)));
	free(buf);
}

/* Two pages of which only the first is there. */
static char *half_mapped(void)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		munmap(p + 4096, 4096);
	return p;
}

TEST_F(pair, bad_buffers)
{
	char *half = half_mapped();

	ASSERT_NE(MAP_FAILED, half);
	EXPECT_EQ(-EFAULT, SYS(write(self->a, half + 4096, 100)));
	EXPECT_EQ(-EAGAIN, ch_wait(self->b, IVRING_WAIT_IN, 0));

	/* As far as the memory goes, and not a byte is lost or made up. */
	pattern_fill(half, 4096, 9, 0);
	EXPECT_EQ(100, SYS(write(self->a, half + 3996, 8000 - 3996)));
	EXPECT_EQ(0, pattern_write(self->a, 4000, 4000, 9, 4096));
	EXPECT_EQ(-EFAULT, SYS(read(self->b, half + 4096, 100)));
	memset(half, 0, 4096);
	EXPECT_EQ(2096, SYS(read(self->b, half + 2000, 4000)));
	EXPECT_EQ(-1, pattern_check(half + 2000, 2096, 9, 3996));
	EXPECT_EQ(0, pattern_read(self->b, 2004, 2004, 9, 3996 + 2096));
	EXPECT_EQ(-EAGAIN, ch_wait(self->b, IVRING_WAIT_IN, 0));
}

/* From a ring's mapping into the other ring: the copy faults on our own pages. */
TEST_F(pair, buffers_in_the_ring)
{
	const size_t n = self->window / 2 + 100;
	char *rx, *tx;

	rx = ch_map(self->b, false);
	tx = ch_map(self->b, true);
	ASSERT_NE(NULL, rx);
	ASSERT_NE(NULL, tx);
	ASSERT_EQ(0, pattern_write(self->a, n, n, 4, 0));
	ASSERT_EQ(n, SYS(write(self->b, rx, n)));
	ASSERT_EQ(0, pattern_read(self->a, n, n, 4, 0));
	ASSERT_EQ(n, SYS(read(self->b, tx + 100, n)));
	EXPECT_EQ(-1, pattern_check(tx + 100, n, 4, 0));
}

/* ---- who sleeps is woken ---- */

TEST_F(pair, blocked_read_wakes)
{
	char buf[8];
	pid_t pid;
	int i;

	for (i = 0; i < 20; i++) {
		pid = child_run(read(self->b, buf, 8) == 8 ? 0 : -errno);
		ASSERT_TRUE(child_asleep(pid, SYS_read));
		ASSERT_EQ(8, SYS(write(self->a, "12345678", 8)));
		ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
	}
}

TEST_F(pair, blocked_write_wakes)
{
	size_t len = 3 * self->window + 17;
	pid_t pid;

	pid = child_run(pattern_write(self->a, len, len, 2, 0));
	ASSERT_TRUE(child_asleep(pid, SYS_write));
	ASSERT_EQ(0, pattern_read(self->b, len, 5000, 2, 0));
	ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
}

TEST_F(pair, blocked_ioctls_wake)
{
	struct ivring_span span;
	pid_t pid;

	pid = child_run(ch_peek(self->b, &span, 1000, FOREVER) ?: span.len == 1000 ? 0 : 99);
	ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
	ASSERT_EQ(0, pattern_write(self->a, 1000, 1, 1, 0));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	/* The file is ours as well as the child's, and so is what it peeked. */
	ASSERT_EQ(0, ch_release(self->b, 0, 0));

	pid = child_run(ch_wait(self->a, IVRING_WAIT_DRAINED, FOREVER));
	ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
	ASSERT_EQ(0, pattern_read(self->b, 999, 100, 1, 0));
	ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
	ASSERT_EQ(0, pattern_read(self->b, 1, 1, 1, 999));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));

	ASSERT_EQ(0, pattern_write(self->a, self->window, self->window, 1, 0));
	pid = child_run(ch_reserve(self->a, &span, self->window, FOREVER) ?:
			span.len == self->window ? 0 : 99);
	ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
	ASSERT_EQ(0, pattern_read(self->b, self->window, 3333, 1, 0));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(0, ch_commit(self->a, (1000 + self->window) % self->ring, 0));
}

/* One waits for a byte, one for many, one polls: each gets what it waits for. */
TEST_F(pair, several_sleepers)
{
	struct ivring_span span;
	pid_t one, many, poller, out, drained;

	one = child_run(ch_wait_events(self->b, IVRING_WAIT_IN, 1, 0, FOREVER, NULL));
	many = child_run(ch_wait_events(self->b, IVRING_WAIT_IN, self->window, 0, FOREVER, NULL));
	poller = child_run(ch_poll(self->b, POLLIN, -1) == POLLIN ? 0 : 99);
	ASSERT_TRUE(child_asleep(one, SYS_ioctl));
	ASSERT_TRUE(child_asleep(many, SYS_ioctl));
	ASSERT_TRUE(child_asleep(poller, SYS_poll));
	ASSERT_EQ(0, pattern_write(self->a, 10, 10, 1, 0));
	EXPECT_EQ(0, child_end(one, PATIENCE_MS));
	EXPECT_EQ(0, child_end(poller, PATIENCE_MS));
	ASSERT_TRUE(child_asleep(many, SYS_ioctl));
	ASSERT_EQ(0, pattern_write(self->a, self->window - 10, 4096, 1, 10));
	EXPECT_EQ(0, child_end(many, PATIENCE_MS));

	out = child_run(ch_wait_events(self->a, IVRING_WAIT_OUT, 0, self->window / 2, FOREVER,
				       NULL));
	drained = child_run(ch_wait(self->a, IVRING_WAIT_DRAINED, FOREVER));
	poller = child_run(ch_poll(self->a, POLLOUT, -1) == POLLOUT ? 0 : 99);
	ASSERT_TRUE(child_asleep(out, SYS_ioctl));
	ASSERT_TRUE(child_asleep(drained, SYS_ioctl));
	ASSERT_TRUE(child_asleep(poller, SYS_poll));
	ASSERT_EQ(0, pattern_read(self->b, 1, 1, 1, 0));
	EXPECT_EQ(0, child_end(poller, PATIENCE_MS));
	ASSERT_EQ(0, pattern_read(self->b, self->window / 2, 1000, 1, 1));
	EXPECT_EQ(0, child_end(out, PATIENCE_MS));
	ASSERT_EQ(0, ch_peek(self->b, &span, self->window - self->window / 2 - 1, 0));
	ASSERT_EQ(0, ch_release(self->b, span.offset, span.len));
	EXPECT_EQ(0, child_end(drained, PATIENCE_MS));
}

/*
 * Waits for much, beside a wait or a poll that asks to be told of any progress:
 * progress that is not enough must not leave them asleep. The tick would
 * save them after a second, and the fixture counts that.
 */
TEST_F(pair, big_waits_beside_others)
{
	size_t chunk = self->window * 3 / 4 + 1, total = 100 * chunk;
	pid_t reader, drained, some, many;
	uint64_t done;

	drained = child_run(({
		while (!ch_wait(self->a, IVRING_WAIT_DRAINED, FOREVER))
			ch_poll(self->a, POLLIN | POLLOUT, 0);
		0; }));
	some = child_run(({
		while (!ch_wait_events(self->b, IVRING_WAIT_IN, 5000, 0, FOREVER, NULL))
			;
		0; }));
	many = child_run(({
		while (!ch_wait_events(self->b, IVRING_WAIT_IN, chunk / 2, 0, FOREVER, NULL))
			ch_poll(self->b, POLLIN | POLLOUT, 0);
		0; }));
	reader = child_run(pattern_read(self->b, total, 1500, 6, 0));
	for (done = 0; done < total; done += chunk) {
		ASSERT_EQ(0, ch_wait_events(self->a, IVRING_WAIT_OUT, 0, chunk, MS(PATIENCE_MS),
					    NULL));
		ASSERT_EQ(0, pattern_write(self->a, chunk, chunk, 6, done));
	}
	EXPECT_EQ(0, child_end(reader, PATIENCE_MS));
	kill(drained, SIGKILL);
	kill(some, SIGKILL);
	kill(many, SIGKILL);
	child_end(drained, PATIENCE_MS);
	child_end(some, PATIENCE_MS);
	child_end(many, PATIENCE_MS);
}

/* The same beside one that polls all the time, and with both directions in one wait. */
TEST_F(pair, big_waits_beside_pollers)
{
	const uint32_t both = IVRING_WAIT_IN | IVRING_WAIT_OUT;
	size_t chunk = self->window * 3 / 4 + 1, total = 60 * chunk;
	pid_t reader, poller, many;
	uint64_t done;
	uint32_t r;

	poller = child_run(({
		while (ch_poll(self->b, POLLIN, 0) >= 0 && ch_poll(self->a, POLLOUT, 0) >= 0)
			nap();
		0; }));
	many = child_run(({
		while (!ch_wait_events(self->b, IVRING_WAIT_IN, chunk / 2, 0, FOREVER, NULL))
			;
		0; }));
	reader = child_run(pattern_read(self->b, total, 1500, 6, 0));
	for (done = 0; done < total; done += chunk) {
		ASSERT_EQ(0, ch_wait_events(self->a, both, 1, chunk, MS(PATIENCE_MS), &r));
		ASSERT_EQ(IVRING_WAIT_OUT, r);
		ASSERT_EQ(0, pattern_write(self->a, chunk, 700, 6, done));
	}
	EXPECT_EQ(0, child_end(reader, PATIENCE_MS));
	kill(poller, SIGKILL);
	kill(many, SIGKILL);
	child_end(poller, PATIENCE_MS);
	child_end(many, PATIENCE_MS);
}

/* ---- poll and epoll ---- */

TEST_F(pair, poll_levels)
{
	EXPECT_EQ(POLLOUT, ch_poll(self->a, POLLIN | POLLOUT, 0));
	ASSERT_EQ(1, SYS(write(self->b, "x", 1)));
	EXPECT_EQ(POLLIN, ch_poll(self->a, POLLIN, PATIENCE_MS));
	EXPECT_EQ(POLLIN | POLLOUT, ch_poll(self->a, POLLIN | POLLOUT, 0));
	/* Level: again, until it is read. */
	EXPECT_EQ(POLLIN | POLLOUT, ch_poll(self->a, POLLIN | POLLOUT, 0));
	ASSERT_EQ(0, pattern_write(self->a, self->window, self->window, 1, 0));
	EXPECT_EQ(POLLIN, ch_poll(self->a, POLLIN | POLLOUT, 0));
	ASSERT_EQ(0, pattern_read(self->b, 1, 1, 1, 0));
	EXPECT_EQ(POLLOUT, ch_poll(self->a, POLLOUT, PATIENCE_MS));
}

/* Who polls for one thing has the peer ring for that alone. */
TEST_F(pair, poll_for_input_only)
{
	long long rung;

	EXPECT_EQ(0, ch_poll(self->a, POLLIN, 0));
	ASSERT_EQ(0, pattern_write(self->a, self->window, self->window, 1, 0));
	EXPECT_EQ(0, ch_poll(self->a, POLLIN, 0));
	rung = channel_num(self->e.link[1], self->e.ch, "stats/doorbells_sent");
	ASSERT_EQ(0, pattern_read(self->b, self->window, self->window, 1, 0));
	EXPECT_EQ(rung, channel_num(self->e.link[1], self->e.ch, "stats/doorbells_sent"));
}

TEST_F(pair, blocked_poll_wakes)
{
	pid_t pid;
	int i;

	for (i = 0; i < 20; i++) {
		pid = child_run(ch_poll(self->b, POLLIN, PATIENCE_MS) == POLLIN ? 0 : 99);
		ASSERT_TRUE(child_asleep(pid, SYS_poll));
		ASSERT_EQ(0, pattern_write(self->a, 1, 1, 1, 0));
		ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
		ASSERT_EQ(0, pattern_read(self->b, 1, 1, 1, 0));
	}
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, pattern_write(self->a, self->window, self->window, 1, 0));
		pid = child_run(ch_poll(self->a, POLLOUT, PATIENCE_MS) == POLLOUT ? 0 : 99);
		ASSERT_TRUE(child_asleep(pid, SYS_poll));
		ASSERT_EQ(0, pattern_read(self->b, self->window, self->window, 1, 0));
		ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
	}
}

TEST_F(pair, epoll_level)
{
	int ep = epoll_add(self->b, EPOLLIN);
	pid_t pid;
	int i;

	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_get(ep, 0));
	for (i = 0; i < 10; i++) {
		pid = child_run(epoll_get(ep, PATIENCE_MS) == EPOLLIN ? 0 : 99);
		ASSERT_TRUE(child_asleep(pid, SYS_epoll_wait));
		ASSERT_EQ(0, pattern_write(self->a, 3, 3, 1, 0));
		ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
		EXPECT_EQ(EPOLLIN, epoll_get(ep, 0));
		ASSERT_EQ(0, pattern_read(self->b, 3, 3, 1, 0));
		EXPECT_EQ(0, epoll_get(ep, 0));
	}
	close(ep);
}

/* As event loops use it: after an event, read until EAGAIN, then wait again. */
TEST_F(pair, epoll_edge_in)
{
	char buf[100];
	int ep, i;

	ASSERT_EQ(0, ch_set_nonblock(self->b, true));
	ep = epoll_add(self->b, EPOLLIN | EPOLLET);
	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_get(ep, 0));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(10, SYS(write(self->a, "0123456789", 10)));
		ASSERT_EQ(EPOLLIN, epoll_get(ep, 3000));
		ASSERT_EQ(10, SYS(read(self->b, buf, 10)));
		ASSERT_EQ(-EAGAIN, SYS(read(self->b, buf, 10)));
	}
	close(ep);
}

/* A read that gave less than asked has seen the end, too (epoll(7)). */
TEST_F(pair, epoll_edge_in_short_read)
{
	char buf[100];
	int ep, i;

	ASSERT_EQ(0, ch_set_nonblock(self->b, true));
	ep = epoll_add(self->b, EPOLLIN | EPOLLET);
	ASSERT_LE(0, ep);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(10, SYS(write(self->a, "0123456789", 10)));
		ASSERT_EQ(EPOLLIN, epoll_get(ep, 3000));
		ASSERT_EQ(10, SYS(read(self->b, buf, sizeof(buf))));
	}
	close(ep);
}

TEST_F(pair, epoll_edge_out)
{
	char *buf = calloc(1, self->window);
	int ep, i;

	ASSERT_EQ(0, ch_set_nonblock(self->a, true));
	ep = epoll_add(self->a, EPOLLOUT | EPOLLET);
	ASSERT_LE(0, ep);
	EXPECT_EQ(EPOLLOUT, epoll_get(ep, 0));
	for (i = 0; i < 20; i++) {
		while (SYS(write(self->a, buf, self->window)) != -EAGAIN)
			;
		ASSERT_EQ(0, epoll_get(ep, 0));
		ASSERT_LT(0, SYS(read(self->b, buf, self->window)));
		ASSERT_EQ(EPOLLOUT, epoll_get(ep, 3000));
	}
	close(ep);
	free(buf);
}

/* Both directions through one edge-triggered event loop, against a slow echo. */
TEST_F(pair, epoll_edge_both)
{
	const size_t total = 4 * self->window + 4711;
	size_t sent = 0, got = 0;
	char *buf = malloc(65536);
	int ep;
	pid_t pid;

	pid = child_run(({
		char *echo = malloc(50000);
		long n, ret = 0;

		close(self->a);
		while ((n = read(self->b, echo, 1 + 50000 * (random() % 8) / 8)) > 0) {
			ret = write(self->b, echo, n);
			if (ret != n)
				break;
		}
		n < 0 ? -errno : n ? 99 : 0; }));
	ASSERT_EQ(0, ch_set_nonblock(self->a, true));
	ep = epoll_add(self->a, EPOLLIN | EPOLLOUT | EPOLLET);
	ASSERT_LE(0, ep);
	while (got < total) {
		long n;

		ASSERT_LT(0, epoll_get(ep, 5000));
		do {
			n = total - sent < 65536 ? total - sent : 65536;
			pattern_fill(buf, n, 8, sent);
			n = n ? SYS(write(self->a, buf, n)) : -EAGAIN;
			sent += n > 0 ? n : 0;
		} while (n > 0);
		ASSERT_EQ(-EAGAIN, n);
		do {
			n = SYS(read(self->a, buf, 65536));
			if (n > 0) {
				ASSERT_EQ(-1, pattern_check(buf, n, 8, got));
				got += n;
			}
		} while (n > 0);
		ASSERT_EQ(-EAGAIN, n);
	}
	close(ep);
	close(self->a);
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	free(buf);
}

/* ---- signals ---- */

static int read_signalled(int fd, int flags)
{
	char c;

	catch_signal(flags);
	return read(fd, &c, 1) == 1 ? 0 : -errno;
}

/* Exit code 0 when a signal made the write return after @want bytes. */
static int write_signalled(int fd, size_t len, size_t want)
{
	char *buf = calloc(1, len);
	ssize_t n;

	catch_signal(0);
	n = write(fd, buf, len);
	return n < 0 ? -errno : (size_t)n == want ? 0 : 99;
}

static int ioctl_signalled(int fd, unsigned long cmd, int64_t timeout_ns)
{
	struct ivring_span span;

	catch_signal(0);
	if (cmd == IVRING_IOC_WAIT)
		return ch_wait(fd, IVRING_WAIT_IN, timeout_ns);
	return cmd == IVRING_IOC_PEEK ? ch_peek(fd, &span, 1, timeout_ns) :
					ch_reserve(fd, &span, 1, timeout_ns);
}

TEST_F(pair, signals)
{
	const int64_t timeouts[] = { FOREVER, MS(PATIENCE_MS) };
	pid_t pid;
	int i;

	pid = child_run(read_signalled(self->b, 0));
	ASSERT_TRUE(child_asleep(pid, SYS_read));
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_end(pid, PATIENCE_MS));

	/* With SA_RESTART read(2) goes on by itself. */
	pid = child_run(read_signalled(self->b, SA_RESTART));
	ASSERT_TRUE(child_asleep(pid, SYS_read));
	kill(pid, SIGUSR1);
	ASSERT_EQ(0, pattern_write(self->a, 1, 1, 1, 0));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));

	for (i = 0; i < ARRAY_LEN(timeouts); i++) {
		pid = child_run(ioctl_signalled(self->b, IVRING_IOC_WAIT, timeouts[i]));
		ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
		kill(pid, SIGUSR1);
		EXPECT_EQ(EINTR, child_end(pid, PATIENCE_MS));
		pid = child_run(ioctl_signalled(self->b, IVRING_IOC_PEEK, timeouts[i]));
		ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
		kill(pid, SIGUSR1);
		EXPECT_EQ(EINTR, child_end(pid, PATIENCE_MS));
	}
}

/* What stops a process, and lets it go on, is no signal that it sees. */
static bool stop_and_go(pid_t pid, bool traced)
{
	int status;

	if (traced ? ptrace(PTRACE_ATTACH, pid, NULL, NULL) : kill(pid, SIGSTOP))
		return false;
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		return false;
	return !(traced ? ptrace(PTRACE_DETACH, pid, NULL, NULL) : kill(pid, SIGCONT));
}

/* As with epoll_wait(2): how much time would be left nobody remembers. */
TEST_F(pair, stopped_and_traced)
{
	pid_t pid;
	char c;
	int i;

	for (i = 0; i < 2; i++) {
		pid = child_run(ch_wait(self->b, IVRING_WAIT_IN, MS(2 * PATIENCE_MS)));
		ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
		ASSERT_TRUE(stop_and_go(pid, i));
		EXPECT_EQ(EINTR, child_end(pid, PATIENCE_MS));
		pid = child_run(ch_wait(self->b, IVRING_WAIT_IN, FOREVER));
		ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
		ASSERT_TRUE(stop_and_go(pid, i));
		ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
		ASSERT_EQ(1, SYS(write(self->a, "x", 1)));
		EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
		ASSERT_EQ(1, SYS(read(self->b, &c, 1)));
	}
}

TEST_F(pair, signals_and_partial_writes)
{
	struct ivring_span span;
	pid_t pid;

	/* What was written before the signal is what write(2) says. */
	pid = child_run(write_signalled(self->a, 2 * self->window, self->window));
	ASSERT_TRUE(child_asleep(pid, SYS_write));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	ASSERT_EQ(0, ch_peek(self->b, &span, self->window, 0));
	EXPECT_EQ(self->window, span.len);

	pid = child_run(write_signalled(self->a, 10, 0));
	ASSERT_TRUE(child_asleep(pid, SYS_write));
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_end(pid, PATIENCE_MS));
	pid = child_run(ioctl_signalled(self->a, IVRING_IOC_RESERVE, FOREVER));
	ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_end(pid, PATIENCE_MS));
	/* A second user of the direction waits for the first, not for the ring. */
	pid = child_run(ioctl_signalled(self->a, IVRING_IOC_RESERVE, FOREVER));
	ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
	{
		pid_t second = child_run(write_signalled(self->a, 10, 0));

		ASSERT_TRUE(child_asleep(second, SYS_write));
		kill(second, SIGUSR1);
		EXPECT_EQ(EINTR, child_end(second, PATIENCE_MS));
	}
	kill(pid, SIGKILL);
	EXPECT_EQ(-(1000 + SIGKILL), child_end(pid, PATIENCE_MS));
	ASSERT_EQ(0, ch_release(self->b, span.offset, span.len));
	EXPECT_EQ(0, pattern_write(self->a, 1, 1, 1, 0));
}

/* ---- the end ---- */

TEST_F(pair, end_of_file)
{
	struct ivring_span span;
	uint32_t r;
	char c;

	ASSERT_EQ(0, pattern_write(self->a, 1000, 1000, 1, 0));
	close(self->a);
	ASSERT_TRUE(wait_until(ch_state(self->b) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	EXPECT_TRUE(channel_attr_is(self->e.link[0], self->e.ch, "state", "lingering"));
	EXPECT_TRUE(ch_poll(self->b, POLLIN, 0) & POLLIN);
	/* Sending is over. */
	EXPECT_EQ(-EPIPE, SYS(write(self->b, &c, 1)));
	EXPECT_EQ(-EPIPE, ch_reserve(self->b, &span, 1, 0));
	EXPECT_EQ(-EPIPE, ch_wait(self->b, IVRING_WAIT_OUT, FOREVER));
	/* A span may be shorter than asked for now, and so may the wait be. */
	EXPECT_EQ(0, ch_wait_events(self->b, IVRING_WAIT_IN, self->ring, 0, FOREVER, &r));
	EXPECT_EQ(IVRING_WAIT_IN, r);
	ASSERT_EQ(0, ch_peek(self->b, &span, self->ring, FOREVER));
	EXPECT_EQ(1000, span.len);
	EXPECT_EQ(0, ch_release(self->b, 0, 400));
	EXPECT_EQ(0, ch_release(self->b, 400, 0));
	EXPECT_EQ(0, pattern_read(self->b, 600, 600, 1, 400));
	EXPECT_EQ(0, SYS(read(self->b, &c, 1)));
	EXPECT_EQ(0, SYS(read(self->b, &c, 1)));
	EXPECT_TRUE(ch_poll(self->b, POLLIN, 0) & POLLIN);
	ASSERT_EQ(0, ch_peek(self->b, &span, 1, FOREVER));
	EXPECT_EQ(0, span.len);
	EXPECT_EQ(0, ch_wait(self->b, IVRING_WAIT_IN, FOREVER));
	EXPECT_TRUE(wait_until(channel_attr_is(self->e.link[0], self->e.ch, "state", "closed"),
			       PATIENCE_MS));
}

/* More than the window, then close at once; the reader takes its time. */
TEST_F(pair, all_arrives_before_the_end)
{
	size_t len = 3 * self->window + 12345;
	char c;
	pid_t pid;

	pid = child_run(({
		int ret;

		close(self->b);
		ret = pattern_write(self->a, len, len, 1, 0);
		close(self->a);
		ret; }));
	close(self->a);
	ASSERT_EQ(0, pattern_read(self->b, len, 777, 1, 0));
	ASSERT_EQ(0, SYS(read(self->b, &c, 1)));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
}

TEST_F(pair, broken_pipe)
{
	size_t len = 2 * self->window;
	pid_t writer, reserver, poller;
	struct ivring_span span;

	/* Blocked ones are woken: a partial count first, then the error. */
	writer = child_run(({
		char *buf;
		long n;

		close(self->b);
		buf = calloc(1, len);
		n = write(self->a, buf, len);
		n != self->window ? 99 : write(self->a, buf, 1) == -1 ? -errno : 98; }));
	ASSERT_TRUE(child_asleep(writer, SYS_write));
	reserver = child_run(({
		close(self->b);
		ch_wait(self->a, IVRING_WAIT_OUT, FOREVER); }));
	poller = child_run(({
		close(self->b);
		ch_poll(self->a, POLLOUT, -1) & POLLOUT ? 0 : 99; }));
	ASSERT_TRUE(child_asleep(reserver, SYS_ioctl));
	ASSERT_TRUE(child_asleep(poller, SYS_poll));
	close(self->b);
	EXPECT_EQ(EPIPE, child_end(writer, PATIENCE_MS));
	EXPECT_EQ(EPIPE, child_end(reserver, PATIENCE_MS));
	EXPECT_EQ(0, child_end(poller, PATIENCE_MS));
	EXPECT_EQ(-EPIPE, ch_wait(self->a, IVRING_WAIT_DRAINED, FOREVER));
	EXPECT_EQ(-EPIPE, ch_reserve(self->a, &span, 1, FOREVER));
}

TEST_F(pair, reserved_when_the_peer_closes)
{
	struct ivring_span span;

	ASSERT_EQ(0, ch_reserve(self->a, &span, 1, 0));
	close(self->b);
	ASSERT_TRUE(wait_until(ch_state(self->a) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	EXPECT_EQ(-EPIPE, ch_commit(self->a, 0, 1));
}

/* A reader that took everything and left has consumed everything. */
TEST_F(pair, drained_then_closed)
{
	ASSERT_EQ(0, pattern_write(self->a, 100, 100, 1, 0));
	ASSERT_EQ(0, pattern_read(self->b, 100, 100, 1, 0));
	close(self->b);
	ASSERT_TRUE(wait_until(ch_state(self->a) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	EXPECT_EQ(0, ch_wait(self->a, IVRING_WAIT_DRAINED, 0));
}

TEST_F(pair, sleeping_readers_meet_the_end)
{
	struct ivring_span span;
	pid_t reader, peeker, poller;
	char c;

	reader = child_run(({ close(self->a); read(self->b, &c, 1) == 0 ? 0 : 99; }));
	ASSERT_TRUE(child_asleep(reader, SYS_read));
	peeker = child_run(({ close(self->a); ch_wait(self->b, IVRING_WAIT_IN, FOREVER); }));
	poller = child_run(({
		close(self->a);
		ch_poll(self->b, POLLIN, -1) & POLLIN ? 0 : 99; }));
	ASSERT_TRUE(child_asleep(peeker, SYS_ioctl));
	ASSERT_TRUE(child_asleep(poller, SYS_poll));
	close(self->a);
	EXPECT_EQ(0, child_end(reader, PATIENCE_MS));
	EXPECT_EQ(0, child_end(peeker, PATIENCE_MS));
	EXPECT_EQ(0, child_end(poller, PATIENCE_MS));
	ASSERT_EQ(0, ch_peek(self->b, &span, self->ring, FOREVER));
	EXPECT_EQ(0, span.len);
}

PAIR_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * Two-sided tests of bytes by calls: read, write, poll, epoll, select, signals, and
 * how each of them meets the end of a conversation.
 */
#include "two-sided.h"
#include <sys/select.h>

/* ---- read and write ---- */

static void stream_a(struct half *h)
{
	same(0, pattern_write(h->fd, h->bytes, 55555, 1, 0));
	same(0, pattern_read(h->fd, h->bytes, 77777, 2, 0));
}

static void stream_b(struct half *h)
{
	same(0, pattern_read(h->fd, h->bytes, 66666, 1, 0));
	same(0, pattern_write(h->fd, h->bytes, 44444, 2, 0));
}

/* Both ways at once, and each end waits for the other now and then. */
static void duplex(struct half *h, int seed_out, int seed_in)
{
	pid_t pid = child_run(pattern_write(h->fd, h->bytes, 30000, seed_out, 0));

	same(0, pattern_read(h->fd, h->bytes, 40000, seed_in, 0));
	same(0, child_end(pid, PATIENCE_MS));
}

static void duplex_a(struct half *h)
{
	duplex(h, 1, 2);
}

static void duplex_b(struct half *h)
{
	duplex(h, 2, 1);
}

/* As much as fits, and not a byte more */
static void partial_a(struct half *h)
{
	size_t size = h->window + h->ring, part = h->window / 4;
	char *buf = malloc(size);

	same(0, ch_set_nonblock(h->fd, true));
	pattern_fill(buf, size, 5, 0);
	hear(h, "nothing");
	same(h->window, SYS(write(h->fd, buf, size)));
	same(-EAGAIN, SYS(write(h->fd, buf, 1)));
	tell(h, "full");
	hear(h, "part");
	same(part, SYS(write(h->fd, buf + h->window, size - h->window)));
	same(-EAGAIN, SYS(write(h->fd, buf, 1)));
	tell(h, "full again");
	hear(h, "empty");
	same(60, SYS(write(h->fd, buf, 60)));
	tell(h, "a little");
	free(buf);
}

static void partial_b(struct half *h)
{
	size_t size = h->peer_window + h->ring, part = h->peer_window / 4;
	char *buf = calloc(1, size);

	same(0, ch_set_nonblock(h->fd, true));
	same(-EAGAIN, SYS(read(h->fd, buf, size)));
	tell(h, "nothing");
	hear(h, "full");
	same(part, SYS(read(h->fd, buf, part)));
	same(-1, pattern_check(buf, part, 5, 0));
	tell(h, "part");
	hear(h, "full again");
	same(h->peer_window, SYS(read(h->fd, buf, size)));
	same(-1, pattern_check(buf, h->peer_window, 5, part));
	same(-EAGAIN, SYS(read(h->fd, buf, size)));
	tell(h, "empty");
	hear(h, "a little");
	/* One that may wait does not do so for more than there is. */
	same(0, ch_set_nonblock(h->fd, false));
	same(60, SYS(read(h->fd, buf, size)));
	free(buf);
}

/* ---- readv and writev ---- */

enum { PIECES = 16 };

/* Pieces of all sizes, empty ones too: the same for either half. */
static void make_pieces(struct iovec *iov, char *buf, size_t bytes, int salt)
{
	size_t at = 0, n;
	int i;

	for (i = 0; i < PIECES; i++) {
		n = (i * 7919 + salt * 104729) % (i % 3 ? bytes / 7 : 5);
		n = at + n > bytes || i == PIECES - 1 ? bytes - at : n;
		iov[i] = (struct iovec) { buf + at, n };
		at += n;
	}
}

static size_t vector_bytes(size_t window)
{
	return window < 30000 ? window : 30000;
}

static void vectors_a(struct half *h)
{
	size_t bytes = vector_bytes(h->window), big = 2 * h->window + 99;
	struct iovec iov[PIECES];
	char *buf = malloc(big);
	int i;

	for (i = 0; i < 20; i++) {
		pattern_fill(buf, bytes, 3, i * bytes);
		make_pieces(iov, buf, bytes, i);
		same(bytes, SYS(writev(h->fd, iov, PIECES)));
		tell(h, "sent");
		hear(h, "got");
	}
	/* More than fits: waits in the middle of a piece */
	pattern_fill(buf, big, 4, 0);
	make_pieces(iov, buf, big, 7);
	same(big, SYS(writev(h->fd, iov, PIECES)));
	free(buf);
}

static void vectors_b(struct half *h)
{
	size_t bytes = vector_bytes(h->peer_window), big = 2 * h->peer_window + 99;
	struct iovec iov[PIECES];
	char *buf = malloc(bytes);
	size_t done;
	long n;
	int i;

	for (i = 0; i < 20; i++) {
		memset(buf, 0, bytes);
		make_pieces(iov, buf, bytes, 1000 - i);
		hear(h, "sent");
		same(bytes, SYS(readv(h->fd, iov, PIECES)));
		same(-1, pattern_check(buf, bytes, 3, i * bytes));
		tell(h, "got");
	}
	make_pieces(iov, buf, bytes, 9);
	for (done = 0; done < big; done += n) {
		/* The last one has no more to wait for. */
		if (big - done < bytes)
			make_pieces(iov, buf, bytes = big - done, 9);
		step(__FILE__, __LINE__);
		n = SYS(readv(h->fd, iov, PIECES));
		holds(n > 0);
		same(-1, pattern_check(buf, n, 4, done));
	}
	free(buf);
}

/* In a child: writev(2) of twice @window, and of which @want come before the signal. */
static int writev_signalled(int fd, size_t window, size_t want)
{
	char *buf = malloc(2 * window);
	struct iovec iov[PIECES];
	long n;

	catch_signal(0);
	pattern_fill(buf, 2 * window, 6, 0);
	make_pieces(iov, buf, 2 * window, 3);
	n = SYS(writev(fd, iov, PIECES));
	return n < 0 ? n : n == want ? 0 : 99;
}

static int readv_signalled(int fd, int flags, long want)
{
	char buf[2000];
	struct iovec iov[] = { { buf, 700 }, { buf + 700, 0 }, { buf + 700, 1300 } };
	long n;

	catch_signal(flags);
	n = SYS(readv(fd, iov, ARRAY_LEN(iov)));
	return n < 0 ? n : n == want && pattern_check(buf, n, 6, 0) < 0 ? 0 : 99;
}

static void signals_a(struct half *h)
{
	pid_t pid;

	/* What went before the signal is told, and nothing else went. */
	pid = child_run(writev_signalled(h->fd, h->window, h->window));
	asleep(pid, SYS_writev);
	kill(pid, SIGUSR1);
	same(0, child_end(pid, PATIENCE_MS));
	pid = child_run(writev_signalled(h->fd, h->window, 0));
	asleep(pid, SYS_writev);
	kill(pid, SIGUSR1);
	same(EINTR, child_end(pid, PATIENCE_MS));
	tell(h, "written");

	hear(h, "reader restarted");
	same(0, pattern_write(h->fd, 300, 300, 6, 0));
	hear(h, "reader wants more");
	same(0, pattern_write(h->fd, 400, 400, 6, 0));
	tell(h, "some");
	hear(h, "reader left");
	same(0, pattern_write(h->fd, 600, 600, 6, 400));
	tell(h, "enough");
}

static void signals_b(struct half *h)
{
	pid_t pid;

	hear(h, "written");
	same(h->peer_window, ch_readable(h->fd));
	same(0, pattern_read(h->fd, h->peer_window, 12345, 6, 0));
	same(0, ch_readable(h->fd));

	pid = child_run(readv_signalled(h->fd, 0, 0));
	asleep(pid, SYS_readv);
	kill(pid, SIGUSR1);
	same(EINTR, child_end(pid, PATIENCE_MS));
	pid = child_run(readv_signalled(h->fd, SA_RESTART, 300));
	asleep(pid, SYS_readv);
	kill(pid, SIGUSR1);
	tell(h, "reader restarted");
	same(0, child_end(pid, PATIENCE_MS));

	/* In the middle of what it waits for: nothing is lost. */
	same(0, ch_set_options(h->fd, ~0U, 1000, 1));
	tell(h, "reader wants more");
	pid = child_run(readv_signalled(h->fd, 0, 0));
	hear(h, "some");
	holds(wait_until(ch_readable(h->fd) == 400, PATIENCE_MS));
	asleep(pid, SYS_readv);
	kill(pid, SIGUSR1);
	same(EINTR, child_end(pid, PATIENCE_MS));
	same(400, ch_readable(h->fd));
	tell(h, "reader left");
	hear(h, "enough");
	same(0, readv_signalled(h->fd, 0, 1000));
}

/* ---- poll, select, epoll ---- */

static void fill(struct half *h)
{
	char *buf = calloc(1, h->window);

	same(0, ch_set_nonblock(h->fd, true));
	while (SYS(write(h->fd, buf, h->window)) != -EAGAIN)
		step(__FILE__, __LINE__);
	same(0, ch_set_nonblock(h->fd, false));
	free(buf);
}

static void drain(struct half *h)
{
	char *buf = calloc(1, h->ring);

	same(0, ch_set_nonblock(h->fd, true));
	while (SYS(read(h->fd, buf, h->ring)) != -EAGAIN)
		step(__FILE__, __LINE__);
	same(0, ch_set_nonblock(h->fd, false));
	free(buf);
}

static void poll_a(struct half *h)
{
	int i;

	same(POLLOUT, ch_poll(h->fd, POLLIN | POLLOUT, 0));
	hear(h, "nothing there");
	same(1, SYS(write(h->fd, "x", 1)));
	hear(h, "level");
	fill(h);
	same(0, ch_poll(h->fd, POLLIN | POLLOUT, 50));
	tell(h, "full");
	same(POLLOUT, ch_poll(h->fd, POLLIN | POLLOUT, PATIENCE_MS));
	same(POLLOUT, ch_poll(h->fd, POLLIN | POLLOUT, 0));
	for (i = 0; i < 20; i++) {
		hear(h, "asleep");
		same(1, SYS(write(h->fd, "x", 1)));
	}
}

static void poll_b(struct half *h)
{
	pid_t pid;
	char c;
	int i;

	same(0, ch_poll(h->fd, POLLIN, 50));
	tell(h, "nothing there");
	same(POLLIN, ch_poll(h->fd, POLLIN, PATIENCE_MS));
	same(POLLIN | POLLOUT, ch_poll(h->fd, POLLIN | POLLOUT, 0));
	same(POLLIN | POLLOUT, ch_poll(h->fd, POLLIN | POLLOUT, 0));
	tell(h, "level");
	hear(h, "full");
	drain(h);
	same(0, ch_poll(h->fd, POLLIN, 0));
	for (i = 0; i < 20; i++) {
		pid = child_run(ch_poll(h->fd, POLLIN, -1) == POLLIN ? 0 : 99);
		asleep(pid, SYS_poll);
		tell(h, "asleep");
		same(0, child_end(pid, PATIENCE_MS));
		same(1, SYS(read(h->fd, &c, 1)));
	}
}

/* What select(2) says: 1 for readable, 2 for writable; and it takes its time. */
static int select_for(int fd, bool in, bool out, int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	int64_t start = now_ns();
	fd_set r, w;
	int ret;

	FD_ZERO(&r);
	FD_ZERO(&w);
	if (in)
		FD_SET(fd, &r);
	if (out)
		FD_SET(fd, &w);
	ret = SYS(select(fd + 1, &r, &w, NULL, &tv));
	if (ret < 0)
		return ret;
	if (!ret)
		return now_ns() - start < MS(ms) ? -ETIME : 0;
	return (FD_ISSET(fd, &r) ? 1 : 0) | (FD_ISSET(fd, &w) ? 2 : 0);
}

static void select_a(struct half *h)
{
	same(2, select_for(h->fd, true, true, PATIENCE_MS));
	hear(h, "timed out");
	same(1, SYS(write(h->fd, "x", 1)));
	hear(h, "readable");
	fill(h);
	same(0, select_for(h->fd, true, true, 100));
	tell(h, "full");
	same(2, select_for(h->fd, true, true, PATIENCE_MS));
}

static void select_b(struct half *h)
{
	same(0, select_for(h->fd, true, false, 0));
	same(0, select_for(h->fd, true, false, 100));
	tell(h, "timed out");
	same(1, select_for(h->fd, true, false, PATIENCE_MS));
	same(3, select_for(h->fd, true, true, PATIENCE_MS));
	tell(h, "readable");
	hear(h, "full");
	drain(h);
}

static void epoll_level_a(struct half *h)
{
	int ep = epoll_add(h->fd, EPOLLOUT), i;

	holds(ep >= 0);
	for (i = 0; i < 10; i++) {
		same(EPOLLOUT, epoll_get(ep, PATIENCE_MS));
		same(EPOLLOUT, epoll_get(ep, 0));
		hear(h, "empty");
		fill(h);
		same(0, epoll_get(ep, 0));
		tell(h, "full");
	}
	same(EPOLLOUT, epoll_get(ep, PATIENCE_MS));
}

static void epoll_level_b(struct half *h)
{
	int ep = epoll_add(h->fd, EPOLLIN), i;

	holds(ep >= 0);
	for (i = 0; i < 10; i++) {
		same(0, epoll_get(ep, 0));
		tell(h, "empty");
		same(EPOLLIN, epoll_get(ep, PATIENCE_MS));
		hear(h, "full");
		same(EPOLLIN, epoll_get(ep, 0));
		drain(h);
	}
	same(0, epoll_get(ep, 0));
}

/* As event loops use it: after an event, on until EAGAIN; then the next edge counts. */
static void epoll_edge_a(struct half *h)
{
	int ep, i;

	for (i = 0; i < 30; i++) {
		hear(h, "waits");
		same(10, SYS(write(h->fd, "0123456789", 10)));
		hear(h, "read");
	}
	ep = epoll_add(h->fd, EPOLLOUT | EPOLLET);
	holds(ep >= 0);
	same(EPOLLOUT, epoll_get(ep, 0));
	for (i = 0; i < 30; i++) {
		fill(h);
		same(0, epoll_get(ep, 0));
		tell(h, "full");
		same(EPOLLOUT, epoll_get(ep, PATIENCE_MS));
		hear(h, "empty");
		/* As above: what was read in pieces came in pieces. */
		while (epoll_get(ep, 0))
			step(__FILE__, __LINE__);
	}
	/* The end of it all is an edge, too. */
	fill(h);
	same(0, epoll_get(ep, 0));
	tell(h, "last");
	holds(epoll_get(ep, PATIENCE_MS) & EPOLLERR);
	close(ep);
}

static void epoll_edge_b(struct half *h)
{
	int ep = epoll_add(h->fd, EPOLLIN | EPOLLET), i;
	char buf[20];

	holds(ep >= 0);
	same(0, ch_set_nonblock(h->fd, true));
	for (i = 0; i < 30; i++) {
		same(0, epoll_get(ep, 0));
		tell(h, "waits");
		same(EPOLLIN, epoll_get(ep, PATIENCE_MS));
		/*
		 * The look that found it woke all who wait, this one, too; the tick or a
		 * late doorbell may: it is told again, but not without end.
		 */
		while (epoll_get(ep, 0))
			step(__FILE__, __LINE__);
		/* To have read less than asked for is as good as EAGAIN (epoll(7)). */
		same(10, SYS(read(h->fd, buf, i % 2 ? sizeof(buf) : 10)));
		if (i % 2 == 0)
			same(-EAGAIN, SYS(read(h->fd, buf, sizeof(buf))));
		tell(h, "read");
	}
	for (i = 0; i < 30; i++) {
		hear(h, "full");
		drain(h);
		tell(h, "empty");
	}
	hear(h, "last");
	leave(h);
	close(ep);
}

/* Both directions through one edge-triggered loop, against a slow echo */
static void epoll_echo_a(struct half *h)
{
	size_t sent = 0, got = 0;
	char *buf = malloc(65536);
	int ep;
	long n;

	same(0, ch_set_nonblock(h->fd, true));
	ep = epoll_add(h->fd, EPOLLIN | EPOLLOUT | EPOLLET);
	holds(ep >= 0);
	while (got < h->bytes) {
		holds(epoll_get(ep, PATIENCE_MS) > 0);
		do {
			n = h->bytes - sent < 65536 ? h->bytes - sent : 65536;
			pattern_fill(buf, n, 8, sent);
			n = n ? SYS(write(h->fd, buf, n)) : -EAGAIN;
			sent += n > 0 ? n : 0;
		} while (n > 0);
		same(-EAGAIN, n);
		while ((n = SYS(read(h->fd, buf, 65536))) > 0) {
			same(-1, pattern_check(buf, n, 8, got));
			got += n;
		}
		same(-EAGAIN, n);
	}
	same(0, ch_shutdown(h->fd));
	close(ep);
	free(buf);
}

static void epoll_echo_b(struct half *h)
{
	char *buf = malloc(50000);
	long n;

	do {
		step(__FILE__, __LINE__);
		n = SYS(read(h->fd, buf, 1 + 50000 * (random() % 8) / 8));
		holds(n >= 0);
		if (n)
			same(n, SYS(write(h->fd, buf, n)));
	} while (n);
	free(buf);
}

/* ---- half-close ---- */

static void half_close_a(struct half *h)
{
	struct ivring_span span;
	char buf[16];

	same(5, SYS(write(h->fd, "hello", 5)));
	same(0, ch_shutdown(h->fd));
	same(0, ch_shutdown(h->fd));
	same(IVRING_CHANNEL_F_SHUTDOWN, ch_flags(h->fd));
	same(-EPIPE, SYS(write(h->fd, "x", 1)));
	same(-EPIPE, ch_reserve(h->fd, &span, 1, FOREVER));
	same(-EPIPE, ch_wait(h->fd, IVRING_WAIT_OUT, FOREVER));
	same(POLLOUT, ch_poll(h->fd, POLLIN | POLLOUT | POLLRDHUP, 0));
	tell(h, "shut");
	same(3, SYS(read(h->fd, buf, sizeof(buf))));
	same(0, ch_wait(h->fd, IVRING_WAIT_DRAINED, MS(PATIENCE_MS)));
	/* Asleep when the other one shuts down, too */
	tell(h, "read");
	same(0, SYS(read(h->fd, buf, sizeof(buf))));
	same(IVRING_CHANNEL_F_SHUTDOWN | IVRING_CHANNEL_F_PEER_SHUTDOWN, ch_flags(h->fd));
	same(IVRING_CHANNEL_CONNECTED, ch_state(h->fd));
	meet(h, "both shut");
}

static void half_close_b(struct half *h)
{
	char buf[16];

	hear(h, "shut");
	same(0, ch_wait_events(h->fd, IVRING_WAIT_IN, 6, 1, MS(PATIENCE_MS), NULL));
	same(POLLIN | POLLOUT | POLLRDHUP,
	     ch_poll(h->fd, POLLIN | POLLOUT | POLLRDHUP, PATIENCE_MS));
	same(5, SYS(read(h->fd, buf, sizeof(buf))));
	same(0, memcmp(buf, "hello", 5));
	same(0, SYS(read(h->fd, buf, sizeof(buf))));
	same(IVRING_CHANNEL_F_PEER_SHUTDOWN, ch_flags(h->fd));
	same(3, SYS(write(h->fd, "yes", 3)));
	hear(h, "read");
	same(0, ch_shutdown(h->fd));
	same(-EPIPE, SYS(write(h->fd, "x", 1)));
	meet(h, "both shut");
	same(IVRING_CHANNEL_CONNECTED, ch_state(h->fd));
}

/* As "ssh host sort <file", but both ask at once: the ends cross on their way. */
static void crossing_shutdowns(struct half *h, int seed_out, int seed_in)
{
	pid_t pid;
	char c;

	meet(h, "now");
	pid = child_run(pattern_write(h->fd, h->bytes, 9999, seed_out, 0) ?: ch_shutdown(h->fd));
	same(0, pattern_read(h->fd, h->bytes, 8888, seed_in, 0));
	same(0, SYS(read(h->fd, &c, 1)));
	same(0, child_end(pid, PATIENCE_MS));
}

static void crossing_shutdowns_a(struct half *h)
{
	crossing_shutdowns(h, 1, 2);
}

static void crossing_shutdowns_b(struct half *h)
{
	crossing_shutdowns(h, 2, 1);
}

static void half_close_wakes_a(struct half *h)
{
	hear(h, "asleep");
	same(0, ch_shutdown(h->fd));
	hear(h, "awake");
	same(-EPIPE, ch_wait(h->fd, IVRING_WAIT_OUT, FOREVER));
	/* What is shut stays so when the rest is closed. */
	leave(h);
}

static void half_close_wakes_b(struct half *h)
{
	pid_t reader, poller, waiter;
	char c;

	reader = child_run(SYS(read(h->fd, &c, 1)));
	poller = child_run(ch_poll(h->fd, POLLRDHUP, -1) & POLLRDHUP ? 0 : 99);
	waiter = child_run(ch_wait(h->fd, IVRING_WAIT_IN, FOREVER));
	asleep(reader, SYS_read);
	asleep(poller, SYS_poll);
	asleep(waiter, SYS_ioctl);
	tell(h, "asleep");
	same(0, child_end(reader, PATIENCE_MS));
	same(0, child_end(poller, PATIENCE_MS));
	same(0, child_end(waiter, PATIENCE_MS));
	same(IVRING_CHANNEL_CONNECTED, ch_state(h->fd));
	tell(h, "awake");
	holds(wait_until(ch_state(h->fd) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	same(-EPIPE, SYS(write(h->fd, &c, 1)));
	same(0, SYS(read(h->fd, &c, 1)));
}

/* ---- who has the channel open ---- */

static void exclusive_a(struct half *h)
{
	int second;

	join(h, O_RDWR | O_EXCL);
	same(-EBUSY, channel_open(h->link, CHANNEL, O_RDWR));
	same(-EBUSY, channel_open(h->link, CHANNEL, O_RDONLY | O_EXCL));
	meet(h, "refused");
	/* The other side's second one is no business of this one. */
	hear(h, "second");
	same(IVRING_CHANNEL_CONNECTED, ch_state(h->fd));
	same(2, SYS(write(h->fd, "xy", 2)));
	hear(h, "read");
	leave(h);
	/* Closed here, though the peer may have it open still */
	h->fd = channel_open(h->link, CHANNEL, O_RDWR);
	holds(h->fd >= 0);
	same(-EBUSY, channel_open(h->link, CHANNEL, O_RDWR | O_EXCL));
	second = channel_open(h->link, CHANNEL, O_RDWR);
	holds(second >= 0);
	close(second);
}

static void exclusive_b(struct half *h)
{
	int second;
	char c;

	join(h, O_RDWR);
	meet(h, "refused");
	same(-EBUSY, channel_open(h->link, CHANNEL, O_RDWR | O_EXCL));
	second = channel_open(h->link, CHANNEL, O_RDWR);
	holds(second >= 0);
	tell(h, "second");
	same(1, SYS(read(second, &c, 1)));
	same('x', c);
	same(1, SYS(read(h->fd, &c, 1)));
	same('y', c);
	/* Not the last close: the conversation goes on. */
	close(second);
	same(IVRING_CHANNEL_CONNECTED, ch_state(h->fd));
	tell(h, "read");
	same(0, SYS(read(h->fd, &c, 1)));
}

/* All that a file of a conversation that is over says */
static bool stale(int fd)
{
	struct ivring_span span;
	char c = 'x';

	return SYS(read(fd, &c, 1)) == -ECONNRESET && SYS(write(fd, &c, 1)) == -ECONNRESET &&
	       ch_reserve(fd, &span, 1, FOREVER) == -ECONNRESET &&
	       ch_peek(fd, &span, 1, FOREVER) == -ECONNRESET &&
	       ch_wait(fd, IVRING_WAIT_CONNECTED, FOREVER) == -ECONNRESET &&
	       ch_shutdown(fd) == -ECONNRESET && SYS(fsync(fd)) == -ECONNRESET &&
	       ch_state(fd) == IVRING_CHANNEL_RESET &&
	       (ch_poll(fd, POLLIN | POLLOUT, 0) & (POLLIN | POLLOUT | POLLERR)) ==
	       (POLLIN | POLLOUT | POLLERR);
}

static void stale_a(struct half *h)
{
	char c;

	same(1, SYS(write(h->fd, "1", 1)));
	hear(h, "got");
	leave(h);
	join(h, O_RDWR);
	same(1, SYS(write(h->fd, "2", 1)));
	same(1, SYS(read(h->fd, &c, 1)));
	same('b', c);
	hear(h, "stale one closed");
	same(IVRING_CHANNEL_CONNECTED, ch_state(h->fd));
	same(1, SYS(write(h->fd, "3", 1)));
}

static void stale_b(struct half *h)
{
	int old = h->fd;
	char c;

	same(1, SYS(read(old, &c, 1)));
	same('1', c);
	tell(h, "got");
	holds(wait_until(ch_state(old) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	same(0, SYS(read(old, &c, 1)));
	join(h, O_RDWR);
	holds(stale(old));
	same(1, SYS(write(h->fd, "b", 1)));
	same(1, SYS(read(h->fd, &c, 1)));
	same('2', c);
	holds(stale(old));
	close(old);
	tell(h, "stale one closed");
	same(1, SYS(read(h->fd, &c, 1)));
	same('3', c);
}

/* Opened anew at once, again and again, with a word in each conversation */
static void reopen_a(struct half *h)
{
	int i;

	for (i = 0; i < 100; i++) {
		h->fd = channel_open(h->link, CHANNEL, O_WRONLY);
		holds(h->fd >= 0);
		same(sizeof(i), SYS(write(h->fd, &i, sizeof(i))));
		leave(h);
	}
}

static void reopen_b(struct half *h)
{
	int i, got;

	for (i = 0; i < 100; i++) {
		h->fd = channel_open(h->link, CHANNEL, O_RDONLY);
		holds(h->fd >= 0);
		same(sizeof(got), SYS(read(h->fd, &got, sizeof(got))));
		same(i, got);
		same(0, SYS(read(h->fd, &got, sizeof(got))));
		leave(h);
	}
}

/* ---- until all is read ---- */

static int fsync_signalled(int fd)
{
	catch_signal(0);
	return SYS(fsync(fd));
}

static void drained_a(struct half *h)
{
	pid_t pid, waiter;

	same(0, SYS(fsync(h->fd)));
	same(0, pattern_write(h->fd, 100, 100, 1, 0));
	same(0, ch_set_nonblock(h->fd, true));
	same(-EAGAIN, SYS(fsync(h->fd)));
	same(-EAGAIN, SYS(fdatasync(h->fd)));
	same(0, ch_set_nonblock(h->fd, false));
	same(-ETIMEDOUT, ch_wait(h->fd, IVRING_WAIT_DRAINED, MS(20)));
	pid = child_run(fsync_signalled(h->fd));
	asleep(pid, SYS_fsync);
	kill(pid, SIGUSR1);
	same(EINTR, child_end(pid, PATIENCE_MS));
	pid = child_run(SYS(fsync(h->fd)));
	waiter = child_run(ch_wait(h->fd, IVRING_WAIT_DRAINED, FOREVER));
	asleep(pid, SYS_fsync);
	asleep(waiter, SYS_ioctl);
	tell(h, "asleep");
	hear(h, "all but one");
	/* It sleeps on, or again. */
	asleep(pid, SYS_fsync);
	asleep(waiter, SYS_ioctl);
	tell(h, "asleep still");
	same(0, child_end(pid, PATIENCE_MS));
	same(0, child_end(waiter, PATIENCE_MS));

	same(0, pattern_write(h->fd, 100, 100, 1, 100));
	pid = child_run(SYS(fsync(h->fd)));
	asleep(pid, SYS_fsync);
	tell(h, "close now");
	same(EPIPE, child_end(pid, PATIENCE_MS));
	same(-EPIPE, SYS(fsync(h->fd)));
	same(-EPIPE, ch_wait(h->fd, IVRING_WAIT_DRAINED, FOREVER));
}

static void drained_b(struct half *h)
{
	hear(h, "asleep");
	same(0, pattern_read(h->fd, 99, 99, 1, 0));
	tell(h, "all but one");
	hear(h, "asleep still");
	same(0, pattern_read(h->fd, 1, 1, 1, 99));
	hear(h, "close now");
	leave(h);
}

/* ---- timeouts ---- */

/* @call ends with ETIMEDOUT, and not before @ms. */
#define times_out(ms, call) ({						\
	int64_t __start = now_ns();					\
									\
	same(-ETIMEDOUT, call);						\
	holds(now_ns() - __start >= MS(ms)); })

static void timeouts_a(struct half *h)
{
	struct ivring_span span;
	int file;

	hear(h, "nothing came");
	fill(h);
	file = file_pattern(100, 1);
	holds(file >= 0);
	same(-EAGAIN, ch_wait(h->fd, IVRING_WAIT_OUT, 0));
	same(-EAGAIN, ch_reserve(h->fd, &span, 1, 0));
	times_out(50, ch_wait(h->fd, IVRING_WAIT_OUT, MS(50)));
	times_out(50, ch_wait(h->fd, IVRING_WAIT_DRAINED, MS(50)));
	times_out(50, ch_reserve(h->fd, &span, 1, MS(50)));
	times_out(50, xfer(h->fd, IVRING_IOC_SEND_FILE, file, 0, 100, MS(50), NULL));
	tell(h, "full");
	/* Before its time is up: room comes, and is told. */
	same(0, ch_wait_events(h->fd, IVRING_WAIT_IN | IVRING_WAIT_OUT, 1, h->window / 2,
			       MS(PATIENCE_MS), NULL));
	close(file);
}

static void timeouts_b(struct half *h)
{
	struct ivring_span span;
	int file = file_new();

	holds(file >= 0);
	same(-EAGAIN, ch_wait(h->fd, IVRING_WAIT_IN, 0));
	same(-EAGAIN, ch_peek(h->fd, &span, 1, 0));
	times_out(1, ch_wait(h->fd, IVRING_WAIT_IN, MS(1)));
	times_out(50, ch_wait(h->fd, IVRING_WAIT_IN, MS(50)));
	/* Longer than the tick */
	times_out(1300, ch_wait(h->fd, IVRING_WAIT_IN, MS(1300)));
	times_out(50, ch_peek(h->fd, &span, 1, MS(50)));
	times_out(50, xfer(h->fd, IVRING_IOC_RECV_FILE, file, 0, 100, MS(50), NULL));
	tell(h, "nothing came");
	same(0, ch_wait_events(h->fd, IVRING_WAIT_IN, h->peer_window, 1, MS(PATIENCE_MS), NULL));
	hear(h, "full");
	drain(h);
	close(file);
}

/* ---- sudden death ---- */

enum { DEATHS = 12 };

/* In a child, which is to have the channel alone */
static int stream(struct half *h, bool out)
{
	int fd = channel_open(h->link, CHANNEL, O_RDWR);

	if (fd < 0)
		return fd;
	return out ? pattern_write(fd, 1ULL << 50, 30000, 1, 0) :
		     pattern_read(fd, 1ULL << 50, 30000, 1, 0);
}

static void killed_a(struct half *h)
{
	pid_t pid;
	int i;

	for (i = 0; i < DEATHS; i++) {
		pid = child_run(stream(h, i % 2));
		hear(h, "in the middle");
		kill(pid, SIGKILL);
		same(-(1000 + SIGKILL), child_end(pid, PATIENCE_MS));
		hear(h, "seen");
		holds(wait_until(channel_closed(h->link), PATIENCE_MS));
	}
}

/* What the other one sent arrives in order, and then the end. */
static void killed_b(struct half *h)
{
	char *buf = malloc(65536);
	uint64_t pos;
	bool told;
	long n;
	int i;

	for (i = 0; i < DEATHS; i++) {
		bool out = i % 2;

		join(h, O_RDWR);
		told = false;
		for (pos = 0;; pos += n) {
			step(__FILE__, __LINE__);
			if (!out)
				pattern_fill(buf, 65536, 1, pos);
			n = out ? SYS(read(h->fd, buf, 65536)) : SYS(write(h->fd, buf, 65536));
			if (n <= 0)
				break;
			if (out)
				same(-1, pattern_check(buf, n, 1, pos));
			if (!told && pos > h->window + i * 1000) {
				tell(h, "in the middle");
				told = true;
			}
		}
		holds(told);
		same(out ? 0 : -EPIPE, n);
		same(-EPIPE, SYS(write(h->fd, buf, 1)));
		leave(h);
		tell(h, "seen");
	}
	free(buf);
}

/* Killed while they sleep in every call: they die, and the channel is as it was. */
static void killed_asleep_a(struct half *h)
{
	struct ivring_span span;
	pid_t pid[5];
	char c = 'x';
	int i;

	fill(h);
	pid[0] = child_run(SYS(write(h->fd, &c, 1)));
	asleep(pid[0], SYS_write);
	pid[1] = child_run(ch_wait(h->fd, IVRING_WAIT_OUT, FOREVER));
	pid[2] = child_run(ch_peek(h->fd, &span, 1, FOREVER));
	pid[3] = child_run(ch_poll(h->fd, POLLIN, -1));
	pid[4] = child_run(SYS(fsync(h->fd)));
	asleep(pid[1], SYS_ioctl);
	asleep(pid[2], SYS_ioctl);
	asleep(pid[3], SYS_poll);
	asleep(pid[4], SYS_fsync);
	for (i = 0; i < ARRAY_LEN(pid); i++) {
		kill(pid[i], SIGKILL);
		same(-(1000 + SIGKILL), child_end(pid[i], PATIENCE_MS));
	}
	tell(h, "dead");
	hear(h, "empty");
	same(1, SYS(write(h->fd, "y", 1)));
	same(1, SYS(read(h->fd, &c, 1)));
	same('z', c);
}

static void killed_asleep_b(struct half *h)
{
	char c;

	hear(h, "dead");
	same(h->peer_window, ch_readable(h->fd));
	drain(h);
	tell(h, "empty");
	same(1, SYS(read(h->fd, &c, 1)));
	same('y', c);
	same(1, SYS(write(h->fd, "z", 1)));
}

static const struct two_sided tests[] = {
	{ "stream", { stream_a, stream_b }, O_RDWR },
	{ "duplex", { duplex_a, duplex_b }, O_RDWR },
	{ "partial counts", { partial_a, partial_b }, O_RDWR },
	{ "vectors", { vectors_a, vectors_b }, O_RDWR },
	{ "vectors and signals", { signals_a, signals_b }, O_RDWR },
	{ "poll", { poll_a, poll_b }, O_RDWR },
	{ "select", { select_a, select_b }, O_RDWR },
	{ "epoll, levels", { epoll_level_a, epoll_level_b }, O_RDWR },
	{ "epoll, edges", { epoll_edge_a, epoll_edge_b }, O_RDWR },
	{ "epoll, an echo", { epoll_echo_a, epoll_echo_b }, O_RDWR },
	{ "half-close", { half_close_a, half_close_b }, O_RDWR },
	{ "crossing half-closes", { crossing_shutdowns_a, crossing_shutdowns_b }, O_RDWR },
	{ "half-close wakes", { half_close_wakes_a, half_close_wakes_b }, O_RDWR },
	{ "exclusive", { exclusive_a, exclusive_b }, CLOSED },
	{ "a stale file", { stale_a, stale_b }, O_RDWR },
	{ "opened anew", { reopen_a, reopen_b }, CLOSED },
	{ "drained", { drained_a, drained_b }, O_RDWR },
	{ "timeouts", { timeouts_a, timeouts_b }, O_RDWR },
	{ "killed in the middle", { killed_a, killed_b }, CLOSED },
	{ "killed asleep", { killed_asleep_a, killed_asleep_b }, O_RDWR },
	{ }
};

int main(int argc, char **argv)
{
	return two_sided_main(argc, argv, tests);
}

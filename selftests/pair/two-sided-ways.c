// SPDX-License-Identifier: GPL-2.0
/*
 * Two-sided tests of all ways into a channel and out of it: messages, data in place,
 * indices in the hands of a program, files, splice; and of options.
 */
#define _GNU_SOURCE
#include <sys/sendfile.h>

#include "two-sided.h"
#include "../kernel/indices.h"

#define HEADER	sizeof(struct ivring_wire_msg)

/* ---- messages ---- */

static void sizes_a(struct half *h)
{
	size_t max = h->window - HEADER, i;
	size_t sizes[] = { 1, 2, 7, 8, 9, 63, 64, 100, 511, 1000, max / 3, max - 1, max };
	char *buf = malloc(max + 1);
	int round;

	for (round = 0; round < 4; round++) {
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			struct iovec iov[] = {
				{ buf, sizes[i] / 3 }, { buf + sizes[i] / 3, 0 },
				{ buf + sizes[i] / 3, sizes[i] - sizes[i] / 3 },
			};

			pattern_fill(buf, sizes[i], round, i);
			tell_num(h, sizes[i]);
			if (i % 2)
				same(sizes[i], SYS(writev(h->fd, iov, ARRAY_LEN(iov))));
			else
				same(sizes[i], SYS(write(h->fd, buf, sizes[i])));
		}
	}
	tell_num(h, 0);
	same(-EMSGSIZE, SYS(write(h->fd, buf, max + 1)));
	same(0, SYS(write(h->fd, buf, 0)));
	free(buf);
}

static void sizes_b(struct half *h)
{
	char *buf = malloc(h->ring);
	size_t len, n = 0;

	while ((len = hear_num(h))) {
		memset(buf, 0, len);
		same(len, SYS(read(h->fd, buf, h->ring)));
		same(-1, pattern_check(buf, len, n / 13, n % 13));
		n++;
	}
	same(52, n);
	same(0, ch_readable(h->fd));
	free(buf);
}

/* What is too long for the buffer stays, whole. */
static void short_buffer_a(struct half *h)
{
	same(10, SYS(write(h->fd, "0123456789", 10)));
	same(3, SYS(write(h->fd, "abc", 3)));
	tell(h, "sent");
}

static void short_buffer_b(struct half *h)
{
	char buf[16];
	struct iovec iov[] = { { buf, 4 }, { buf + 4, 5 } };

	hear(h, "sent");
	same(-EMSGSIZE, SYS(read(h->fd, buf, 9)));
	same(-EMSGSIZE, SYS(readv(h->fd, iov, 2)));
	same(-EMSGSIZE, SYS(read(h->fd, buf, 1)));
	same(10, ch_readable(h->fd));
	same(10, SYS(read(h->fd, buf, 10)));
	same(0, memcmp(buf, "0123456789", 10));
	same(3, SYS(read(h->fd, buf, sizeof(buf))));
}

static int write_signalled(int fd, const void *buf, size_t len)
{
	catch_signal(0);
	return write(fd, buf, len) == (ssize_t)len ? 0 : -errno;
}

/* Where there is not room for all of it there is room for nothing. */
static void never_split_a(struct half *h)
{
	size_t quarter = h->window / 4 - HEADER, half = h->window / 2 - HEADER;
	char *buf = calloc(1, h->window);
	pid_t pid;
	int i;

	same(0, ch_set_nonblock(h->fd, true));
	for (i = 0; i < 4; i++)
		same(quarter, SYS(write(h->fd, buf, quarter)));
	same(-EAGAIN, SYS(write(h->fd, buf, 1)));
	tell(h, "full");
	hear(h, "one");
	same(-EAGAIN, SYS(write(h->fd, buf, half)));
	same(quarter, SYS(write(h->fd, buf, quarter)));

	same(0, ch_set_nonblock(h->fd, false));
	pid = child_run(write_signalled(h->fd, buf, half));
	asleep(pid, SYS_write);
	tell(h, "full again");
	hear(h, "one more");
	asleep(pid, SYS_write);
	kill(pid, SIGUSR1);
	same(EINTR, child_end(pid, PATIENCE_MS));
	pid = child_run(write_signalled(h->fd, buf, half));
	asleep(pid, SYS_write);
	tell(h, "asleep");
	same(0, child_end(pid, PATIENCE_MS));
	free(buf);
}

static void never_split_b(struct half *h)
{
	size_t quarter = h->peer_window / 4 - HEADER, half = h->peer_window / 2 - HEADER;
	char *buf = malloc(h->ring);
	int i;

	hear(h, "full");
	same(quarter, SYS(read(h->fd, buf, h->ring)));
	tell(h, "one");
	hear(h, "full again");
	same(quarter, SYS(read(h->fd, buf, h->ring)));
	tell(h, "one more");
	hear(h, "asleep");
	for (i = 0; i < 3; i++) {
		same(quarter, ch_readable(h->fd));
		same(quarter, SYS(read(h->fd, buf, h->ring)));
	}
	same(half, SYS(read(h->fd, buf, h->ring)));
	same(0, ch_readable(h->fd));
	free(buf);
}

static size_t message_len(int i, size_t max)
{
	return 1 + i * 7919UL % (max / 3);
}

enum { MANY = 3000 };

static void many_messages_a(struct half *h)
{
	size_t max = h->window < 60000 ? h->window : 60000, len;
	char *buf = malloc(max);
	int i;

	tell_num(h, max);
	for (i = 0; i < MANY; i++) {
		len = message_len(i, max);
		pattern_fill(buf, len, i, 0);
		same(len, SYS(write(h->fd, buf, len)));
	}
	leave(h);
	free(buf);
}

/* Then end of file, not an empty message. */
static void many_messages_b(struct half *h)
{
	size_t max = hear_num(h);
	char *buf = malloc(max);
	int i;

	for (i = 0; i < MANY; i++) {
		same(message_len(i, max), SYS(read(h->fd, buf, max)));
		same(-1, pattern_check(buf, message_len(i, max), i, 0));
	}
	same(0, SYS(read(h->fd, buf, max)));
	same(0, SYS(read(h->fd, buf, max)));
	same(-EPIPE, SYS(write(h->fd, buf, 1)));
	free(buf);
}

/* One side wants messages, the other bytes. */
static void mismatch(struct half *h, bool messages)
{
	char c = 'x';
	int i;

	for (i = 0; i < 4; i++) {
		h->fd = channel_open(h->link, CHANNEL,
				     O_RDWR | (messages == i % 2 ? O_DIRECT : 0));
		holds(h->fd >= 0);
		same(-EPROTOTYPE, ch_connected(h->fd));
		same(-EPROTOTYPE, SYS(read(h->fd, &c, 1)));
		same(-EPROTOTYPE, SYS(write(h->fd, &c, 1)));
		same(IVRING_CHANNEL_RESET, ch_state(h->fd));
		meet(h, "both told");
		leave(h);
		holds(wait_until(channel_closed(h->link), PATIENCE_MS));
		meet(h, "closed");
	}
	join(h, O_RDWR | O_DIRECT);
}

static void mismatch_a(struct half *h)
{
	mismatch(h, true);
	same(1, SYS(write(h->fd, "x", 1)));
}

static void mismatch_b(struct half *h)
{
	char c;

	mismatch(h, false);
	same(1, SYS(read(h->fd, &c, 1)));
}

/* ---- in place ---- */

enum { SPANS = 50 };

static size_t span_chunk(size_t window)
{
	return window / 2 + 1234;
}

static void spans_a(struct half *h)
{
	size_t chunk = span_chunk(h->window);
	struct ivring_span span, again;
	char *tx = ch_map(h->fd, true);
	uint64_t pos = 0;
	int i;

	holds(tx);
	for (i = 0; i < SPANS; i++, pos += chunk) {
		same(0, ch_reserve(h->fd, &span, chunk, MS(PATIENCE_MS)));
		same(pos % h->ring, span.offset);
		holds(span.len >= chunk);
		same(0, ch_reserve(h->fd, &again, 1, 0));
		same(span.offset, again.offset);
		same(-EBUSY, SYS(write(h->fd, "x", 1)));
		pattern_fill(tx + span.offset, chunk, 1, pos);
		/* In two parts, and what is left is given up. */
		same(0, ch_commit(h->fd, span.offset, 1000));
		same(-EINVAL, ch_commit(h->fd, span.offset, 1));
		same(0, ch_commit(h->fd, (span.offset + 1000) % h->ring, chunk - 1000));
		if (again.len > chunk)
			same(0, ch_commit(h->fd, (pos + chunk) % h->ring, 0));
	}
	hear(h, "all read");
	/* What is only reserved is never seen. */
	same(0, ch_reserve(h->fd, &span, chunk, MS(PATIENCE_MS)));
	memset(tx + span.offset, 'x', chunk);
	munmap(tx, 2 * h->ring);
	leave(h);
}

static void spans_b(struct half *h)
{
	size_t chunk = span_chunk(h->peer_window);
	char *rx = ch_map(h->fd, false), c;
	struct ivring_span span;
	uint64_t pos = 0;
	int i;

	holds(rx);
	for (i = 0; i < SPANS; i++, pos += chunk) {
		same(0, ch_peek(h->fd, &span, chunk, MS(PATIENCE_MS)));
		same(pos % h->ring, span.offset);
		holds(span.len >= chunk);
		same(-EBUSY, SYS(read(h->fd, &c, 1)));
		same(-1, pattern_check(rx + span.offset, chunk, 1, pos));
		same(0, ch_release(h->fd, span.offset, 1));
		same(0, ch_release(h->fd, (span.offset + 1) % h->ring, chunk - 1));
		if (span.len > chunk)
			same(0, ch_release(h->fd, (pos + chunk) % h->ring, 0));
	}
	same(-EAGAIN, ch_peek(h->fd, &span, 1, 0));
	tell(h, "all read");
	same(0, ch_peek(h->fd, &span, chunk, MS(PATIENCE_MS)));
	same(0, span.len);
	same(0, SYS(read(h->fd, &c, 1)));
}

/* ---- page frames ---- */

/* Nobody takes hold of a page behind a mapping, to have it when the device is to go. */
static void frames_a(struct half *h)
{
	size_t len = 2 * h->ring;
	char *map[] = { ch_map(h->fd, true), ch_map(h->fd, false) }, buf[16];
	struct iovec own = { buf, sizeof(buf) }, other;
	int pipe_fds[2], i, ret;

	same(0, pipe(pipe_fds));
	for (i = 0; i < 2; i++) {
		holds(map[i]);
		ret = page_to_disk(map[i]);
		holds(ret == -EFAULT || ret == -ENODEV);
		other = (struct iovec) { map[i], sizeof(buf) };
		same(-EFAULT, SYS(vmsplice(pipe_fds[1], &other, 1, SPLICE_F_NONBLOCK)));
		same(-EFAULT, SYS(process_vm_readv(getpid(), &own, 1, &other, 1, 0)));
		same(sizeof(buf), SYS(write(pipe_fds[1], map[i] + len - sizeof(buf), sizeof(buf))));
	}
	same(sizeof(buf), SYS(read(pipe_fds[0], map[0], sizeof(buf))));
	munmap(map[0], len);
	munmap(map[1], len);
	meet(h, "looked");
}

static void frames_b(struct half *h)
{
	meet(h, "looked");
}

/* ---- indices ---- */

#define INDICES	(O_RDWR | O_EXCL)

static void indices_a(struct half *h)
{
	struct user u;
	pid_t pid;

	same(0, user_start(&u, h->fd));
	same(-EBUSY, SYS(write(h->fd, "x", 1)));
	same(0, user_send(&u, h->bytes, h->window / 8, 3));
	same(0, ch_wait(h->fd, IVRING_WAIT_DRAINED, MS(PATIENCE_MS)));
	same(0, user_receive(&u, h->bytes, h->window / 8, 4));

	/* Whatever it sleeps in, the other one's doorbell wakes it. */
	hear(h, "asleep in WAIT");
	same(0, user_send(&u, 100, 100, 5));
	hear(h, "asleep in poll");
	same(0, user_send(&u, 100, 100, 6));
	same(0, user_send(&u, h->window - 100, h->window - 100, 7));
	pid = child_run(ch_poll(h->fd, POLLOUT, -1) == POLLOUT ? 0 : 99);
	asleep(pid, SYS_poll);
	tell(h, "full, asleep in poll");
	same(0, child_end(pid, PATIENCE_MS));
	pid = child_run(ch_wait(h->fd, IVRING_WAIT_DRAINED, FOREVER));
	asleep(pid, SYS_ioctl);
	tell(h, "asleep in WAIT");
	same(0, child_end(pid, PATIENCE_MS));

	/* What was published is sent, and nothing after it. */
	same(0, user_send(&u, 1000, 300, 8));
	same(0, ch_shutdown(h->fd));
	same(0, user_receive(&u, 1000, 300, 9));
	memset(u.tx_map + (u.tx.prod & (u.tx.size - 1)), 'x', 100);
	user_end(&u, &h->fd);
}

static void indices_b(struct half *h)
{
	struct ivring_channel_info info;
	struct user u;
	pid_t pid;

	same(0, user_start(&u, h->fd));
	same(0, user_receive(&u, h->bytes, h->peer_window / 4, 3));
	same(0, user_send(&u, h->bytes, h->window / 3, 4));

	pid = child_run(ch_wait(h->fd, IVRING_WAIT_IN, FOREVER));
	asleep(pid, SYS_ioctl);
	tell(h, "asleep in WAIT");
	same(0, child_end(pid, PATIENCE_MS));
	same(0, user_receive(&u, 100, 100, 5));
	pid = child_run(ch_poll(h->fd, POLLIN, -1) == POLLIN ? 0 : 99);
	asleep(pid, SYS_poll);
	tell(h, "asleep in poll");
	same(0, child_end(pid, PATIENCE_MS));
	hear(h, "full, asleep in poll");
	same(0, user_receive(&u, 100, 100, 6));
	hear(h, "asleep in WAIT");
	same(0, user_receive(&u, h->peer_window - 100, h->ring, 7));

	same(0, user_receive(&u, 1000, 1000, 8));
	holds(wait_until(!ch_wait(h->fd, IVRING_WAIT_IN, MS(PATIENCE_MS)) &&
			 ch_flags(h->fd) & IVRING_CHANNEL_F_PEER_SHUTDOWN, PATIENCE_MS));
	same(0, user_send(&u, 1000, 1000, 9));
	same(0, ch_info(h->fd, &info));
	same(0, ivring_user_rx_end(&info, &u.rx));
	same(0, ivring_rx_cached_avail(&u.rx));
	holds(wait_until(ch_wait(h->fd, IVRING_WAIT_CONNECTED, 0) == 0 &&
			 ch_state(h->fd) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	user_end(&u, &h->fd);
}

enum { QUESTIONS = 500 };

static void questions(struct half *h, bool first)
{
	struct user u;

	same(0, user_start(&u, h->fd));
	same(0, ping_pong(&u, first, QUESTIONS, false));
	same(0, ping_pong(&u, first, QUESTIONS, true));
	meet(h, "done");
	user_end(&u, &h->fd);
}

static void questions_a(struct half *h)
{
	questions(h, true);
}

static void questions_b(struct half *h)
{
	questions(h, false);
}

/* ---- every way in, every way out ---- */

static int send_write(struct half *h, uint64_t len)
{
	return pattern_write(h->fd, len, 33333, len, 0);
}

static int send_spans(struct half *h, uint64_t len)
{
	char *tx = ch_map(h->fd, true);
	struct ivring_span span;
	uint64_t done, n;
	int ret = tx ? 0 : -errno;

	for (done = 0; !ret && done < len; done += n) {
		ret = ch_reserve(h->fd, &span, 1, MS(PATIENCE_MS));
		if (ret)
			break;
		n = span.len < len - done ? span.len : len - done;
		pattern_fill(tx + span.offset, n, len, done);
		ret = ch_commit(h->fd, span.offset, n);
		if (!ret && n < span.len)
			ret = ch_commit(h->fd, (span.offset + n) % h->ring, 0);
	}
	munmap(tx, 2 * h->ring);
	return ret;
}

static int send_send_file(struct half *h, uint64_t len)
{
	int file = file_pattern(len, len), ret;
	uint64_t done = 0;

	ret = send_file(h->fd, file, 0, len, &done);
	close(file);
	return ret ?: done == len ? 0 : -ENODATA;
}

static int send_sendfile(struct half *h, uint64_t len)
{
	int file = file_pattern(len, len);
	off_t pos = 0;
	long n = 1;

	while (n > 0 && pos < len)
		n = SYS(sendfile(h->fd, file, &pos, len - pos));
	close(file);
	return n < 0 ? n : pos == len ? 0 : -ENODATA;
}

static int send_splice(struct half *h, uint64_t len)
{
	uint64_t done, n;
	int p[2], ret = 0;
	long got;

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	for (done = 0; !ret && done < len; done += n) {
		n = len - done < 20000 ? len - done : 20000;
		ret = pattern_write(p[1], n, n, len, done);
		for (uint64_t at = 0; !ret && at < n; at += got) {
			got = SYS(splice(p[0], NULL, h->fd, NULL, n - at, 0));
			if (got <= 0)
				ret = got ?: -ENODATA;
		}
	}
	close(p[0]);
	close(p[1]);
	return ret;
}

static int send_indices(struct half *h, uint64_t len)
{
	struct user u;
	int ret;

	ret = user_start(&u, h->fd) ?: user_send(&u, len, h->window / 5, len) ?:
	      ch_wait(h->fd, IVRING_WAIT_DRAINED, MS(PATIENCE_MS));
	user_unmap(&u);
	return ret;
}

static int receive_read(struct half *h, uint64_t len)
{
	return pattern_read(h->fd, len, 22222, len, 0);
}

static int receive_spans(struct half *h, uint64_t len)
{
	char *rx = ch_map(h->fd, false);
	struct ivring_span span;
	int ret = rx ? 0 : -errno;
	uint64_t done;

	for (done = 0; !ret && done < len; done += span.len) {
		ret = ch_peek(h->fd, &span, 1, MS(PATIENCE_MS));
		if (!ret && !span.len)
			ret = -ENODATA;
		if (!ret && pattern_check(rx + span.offset, span.len, len, done) >= 0)
			ret = -EILSEQ;
		if (!ret)
			ret = ch_release(h->fd, span.offset, span.len);
	}
	munmap(rx, 2 * h->ring);
	return ret;
}

static int receive_recv_file(struct half *h, uint64_t len)
{
	int file = file_new(), ret;
	uint64_t done = 0;

	ret = recv_file(h->fd, file, 0, len, &done);
	if (!ret)
		ret = file_check(file, 0, len, len, 0);
	close(file);
	return ret ?: done == len ? 0 : -ENODATA;
}

static int receive_splice(struct half *h, uint64_t len)
{
	int p[2], ret = 0;
	uint64_t done = 0;
	long n;

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	for (; !ret && done < len; done += n) {
		n = SYS(splice(h->fd, NULL, p[1], NULL, len - done, 0));
		ret = n > 0 ? pattern_read(p[0], n, n, len, done) : n ?: -ENODATA;
	}
	close(p[0]);
	close(p[1]);
	return ret;
}

static int receive_indices(struct half *h, uint64_t len)
{
	struct user u;
	int ret;

	ret = user_start(&u, h->fd) ?: user_receive(&u, len, h->ring, len);
	user_unmap(&u);
	return ret;
}

/* None of them closes the channel: the other half may not be through yet. */
static int (* const senders[])(struct half *h, uint64_t len) = {
	send_write, send_spans, send_send_file, send_sendfile, send_splice, send_indices,
};

static int (* const receivers[])(struct half *h, uint64_t len) = {
	receive_read, receive_spans, receive_recv_file, receive_splice, receive_indices,
};

static void ways_a(struct half *h)
{
	int i, j;

	for (i = 0; i < ARRAY_LEN(senders); i++) {
		for (j = 0; j < ARRAY_LEN(receivers); j++) {
			join(h, INDICES);
			tell_num(h, h->window + h->window / 2 + 4711);
			/* The number says which of them. */
			same(i * 1000, i * 1000 +
			     senders[i](h, h->window + h->window / 2 + 4711));
			meet(h, "moved");
			leave(h);
		}
	}
}

static void ways_b(struct half *h)
{
	uint64_t len;
	int i, j;

	for (i = 0; i < ARRAY_LEN(senders); i++) {
		for (j = 0; j < ARRAY_LEN(receivers); j++) {
			join(h, INDICES);
			len = hear_num(h);
			same(i * 1000 + j * 1000000, i * 1000 + j * 1000000 + receivers[j](h, len));
			meet(h, "moved");
			leave(h);
		}
	}
}

/* How far SEND_FILE and RECV_FILE are can be seen from outside, meanwhile. */
static long long moved(struct half *h, bool tx)
{
	return channel_num(h->link, CHANNEL, tx ? "stats/tx_bytes" : "stats/rx_bytes");
}

static void progress_a(struct half *h)
{
	long long before = moved(h, true);
	int file = file_pattern(2 * h->window, 1);
	uint64_t done;
	pid_t pid;

	pid = child_run(send_file(h->fd, file, 0, 2 * h->window, NULL));
	asleep(pid, SYS_ioctl);
	same(before + h->window, moved(h, true));
	tell(h, "half");
	same(0, child_end(pid, PATIENCE_MS));
	same(before + 2 * h->window, moved(h, true));
	hear(h, "waits for more");
	same(0, send_file(h->fd, file, 2 * h->window - 10, 10, &done));
	same(10, done);
	close(file);
}

static void progress_b(struct half *h)
{
	long long before = moved(h, false), len = 2 * h->peer_window;
	int file = file_new();
	pid_t pid;

	hear(h, "half");
	pid = child_run(recv_file(h->fd, file, 0, len + 10, NULL));
	holds(wait_until(moved(h, false) == before + len, PATIENCE_MS));
	asleep(pid, SYS_ioctl);
	tell(h, "waits for more");
	same(0, child_end(pid, PATIENCE_MS));
	same(before + len + 10, moved(h, false));
	close(file);
}

static void splice_ends_a(struct half *h)
{
	hear(h, "nothing there");
	same(0, pattern_write(h->fd, 3000, 3000, 1, 0));
	leave(h);
}

static void splice_ends_b(struct half *h)
{
	int p[2];

	same(0, pipe2(p, O_CLOEXEC));
	same(0, ch_set_nonblock(h->fd, true));
	same(-EAGAIN, SYS(splice(h->fd, NULL, p[1], NULL, 3000, 0)));
	same(0, ch_set_nonblock(h->fd, false));
	tell(h, "nothing there");
	same(3000, SYS(splice(h->fd, NULL, p[1], NULL, 65536, 0)));
	same(0, SYS(splice(h->fd, NULL, p[1], NULL, 65536, 0)));
	same(0, pattern_read(p[0], 3000, 3000, 1, 0));
	same(0, pattern_write(p[1], 100, 100, 1, 0));
	same(-EPIPE, SYS(splice(p[0], NULL, h->fd, NULL, 100, 0)));
}

/* ---- options ---- */

static void options_a(struct half *h)
{
	char *buf = calloc(1, h->window);

	hear(h, "wants 100");
	same(60, SYS(write(h->fd, buf, 60)));
	hear(h, "asleep");
	same(40, SYS(write(h->fd, buf, 40)));
	hear(h, "read");

	same(0, ch_set_options(h->fd, ~0U, 1, h->window / 2));
	same(POLLOUT, ch_poll(h->fd, POLLOUT, 0));
	same(h->window / 2 + 1, SYS(write(h->fd, buf, h->window / 2 + 1)));
	same(0, ch_poll(h->fd, POLLOUT, 50));
	tell(h, "wants half");
	same(POLLOUT, ch_poll(h->fd, POLLOUT, PATIENCE_MS));
	free(buf);
}

static void options_b(struct half *h)
{
	long long spins;
	char buf[200];
	pid_t pid;

	/* What must not spin does not. */
	same(0, ch_set_options(h->fd, 0, 100, 1));
	spins = channel_num(h->link, CHANNEL, "stats/spins");
	tell(h, "wants 100");
	holds(wait_until(ch_readable(h->fd) == 60, PATIENCE_MS));
	same(0, ch_poll(h->fd, POLLIN, 50));
	pid = child_run(SYS(read(h->fd, buf, 200)));
	asleep(pid, SYS_read);
	tell(h, "asleep");
	same(100, child_end(pid, PATIENCE_MS));
	same(spins, channel_num(h->link, CHANNEL, "stats/spins"));
	tell(h, "read");
	hear(h, "wants half");
	same(1, SYS(read(h->fd, buf, 1)));
}

/* Each side has a window of its own. */
static void window(struct half *h, size_t own, size_t peer)
{
	struct ivring_span span;
	char *buf;

	same(0, channel_set_window(h->link, CHANNEL, own));
	join(h, O_RDWR);
	buf = calloc(1, h->ring);
	same(own, h->window);
	same(-EINVAL, ch_reserve(h->fd, &span, own + 1, 0));
	same(0, ch_set_nonblock(h->fd, true));
	same(own, SYS(write(h->fd, buf, h->ring)));
	same(-EAGAIN, SYS(write(h->fd, buf, 1)));
	meet(h, "full");
	same(peer, ch_readable(h->fd));
	same(peer, SYS(read(h->fd, buf, h->ring)));
	meet(h, "empty");
	same(own, SYS(write(h->fd, buf, h->ring)));
	free(buf);
}

static void window_a(struct half *h)
{
	window(h, 4096, 5000);
}

static void window_b(struct half *h)
{
	window(h, 5000, 4096);
}

/* ---- sudden death ---- */

enum { DEATHS = 10 };

/* What a victim does, without end: its own file, which nobody else has */
static int victim_messages(struct half *h, bool out)
{
	int fd = channel_open(h->link, CHANNEL, O_RDWR | O_DIRECT), i;
	char *buf = malloc(3000);
	long n = 1;

	for (i = 0; n > 0; i++) {
		size_t len = message_len(i, 9000);

		pattern_fill(buf, len, i, 0);
		n = out ? SYS(write(fd, buf, len)) : SYS(read(fd, buf, 3000));
	}
	return n < 0 ? n : 0;
}

static void killed_messages_a(struct half *h)
{
	pid_t pid;
	int i;

	for (i = 0; i < DEATHS; i++) {
		pid = child_run(victim_messages(h, i % 2));
		hear(h, "in the middle");
		kill(pid, SIGKILL);
		same(-(1000 + SIGKILL), child_end(pid, PATIENCE_MS));
		hear(h, "seen");
		holds(wait_until(channel_closed(h->link), PATIENCE_MS));
	}
}

/* Whole messages only, whenever it is killed */
static void killed_messages_b(struct half *h)
{
	char *buf = malloc(3000);
	size_t len;
	int i, k;
	long n;

	for (i = 0; i < DEATHS; i++) {
		bool out = i % 2;

		join(h, O_RDWR | O_DIRECT);
		for (k = 0;; k++) {
			step(__FILE__, __LINE__);
			len = message_len(k, 9000);
			pattern_fill(buf, len, k, 0);
			n = out ? SYS(read(h->fd, buf, 3000)) : SYS(write(h->fd, buf, len));
			if (n <= 0)
				break;
			same(len, n);
			same(-1, pattern_check(buf, len, k, 0));
			if (k == 300 + i * 17)
				tell(h, "in the middle");
		}
		holds(k > 300 + i * 17);
		same(out ? 0 : -EPIPE, n);
		leave(h);
		tell(h, "seen");
	}
	free(buf);
}

/* 16 of the bytes of a message, and then no more */
static int victim_part(struct half *h, int committed)
{
	struct ivring_wire_msg head = { .len = htole32(100) };
	int fd = channel_open(h->link, CHANNEL, O_RDWR | O_DIRECT), ret;
	struct ivring_span span;
	char *tx;

	ret = ch_connected(fd) ?: ch_reserve(fd, &span, 108, MS(PATIENCE_MS));
	tx = ch_map(fd, true);
	if (ret || !tx)
		return ret ?: 99;
	memcpy(tx + span.offset, &head, HEADER);
	ret = committed ? ch_commit(fd, span.offset, committed) : 0;
	return ret ?: SYS(pause());
}

static void killed_in_place_a(struct half *h)
{
	pid_t pid;
	int i;

	for (i = 0; i < 2; i++) {
		pid = child_run(victim_part(h, 16 * i));
		asleep(pid, SYS_pause);
		/* Who left before it was seen was never there. */
		hear(h, "joined");
		kill(pid, SIGKILL);
		same(-(1000 + SIGKILL), child_end(pid, PATIENCE_MS));
		hear(h, "seen");
		holds(wait_until(channel_closed(h->link), PATIENCE_MS));
	}
}

static void killed_in_place_b(struct half *h)
{
	char buf[200];

	/* What was reserved is not sent. */
	join(h, O_RDWR | O_DIRECT);
	tell(h, "joined");
	same(0, SYS(read(h->fd, buf, sizeof(buf))));
	leave(h);
	tell(h, "seen");

	/* Half a message can only be the fault of who sent it. */
	join(h, O_RDWR | O_DIRECT);
	tell(h, "joined");
	same(-EPROTO, SYS(read(h->fd, buf, sizeof(buf))));
	same(-EPROTO, SYS(read(h->fd, buf, sizeof(buf))));
	same(-EPROTO, SYS(write(h->fd, buf, 1)));
	same(IVRING_CHANNEL_BROKEN, ch_state(h->fd));
	leave(h);
	tell(h, "seen");
}

static int victim_indices(struct half *h)
{
	int fd = channel_open(h->link, CHANNEL, INDICES);
	struct user u;

	return ch_connected(fd) ?: user_start(&u, fd) ?: user_send(&u, 1ULL << 50, 3000, 1);
}

/* A file of zeros, as if it had no end */
static int victim_send_file(struct half *h)
{
	int fd = channel_open(h->link, CHANNEL, O_RDWR), file = file_new();

	return SYS(ftruncate(file, 1ULL << 40)) ?: send_file(fd, file, 0, 1ULL << 40, NULL);
}

static void killed_ways_a(struct half *h)
{
	pid_t pid;
	int i;

	for (i = 0; i < 4; i++) {
		pid = i < 2 ? child_run(victim_indices(h)) : child_run(victim_send_file(h));
		hear(h, "in the middle");
		kill(pid, SIGKILL);
		same(-(1000 + SIGKILL), child_end(pid, PATIENCE_MS));
		hear(h, "seen");
		holds(wait_until(channel_closed(h->link), PATIENCE_MS));
	}
}

/* Until the end of file: the pattern from @pos on, or zeros without a seed */
static int read_rest(int fd, uint64_t pos, uint64_t seed)
{
	static const char zeros[65536];
	char *buf = malloc(sizeof(zeros));
	long n;

	while ((n = SYS(read(fd, buf, sizeof(zeros)))) > 0) {
		if (seed ? pattern_check(buf, n, seed, pos) >= 0 : memcmp(buf, zeros, n))
			n = -EILSEQ;
		if (n < 0)
			break;
		pos += n;
	}
	free(buf);
	return n;
}

/* All that was published, whoever reads it, and then the end */
static void killed_ways_b(struct half *h)
{
	uint64_t done = 0;
	struct user u;
	int file, ret;

	/* By calls, what comes by indices */
	join(h, O_RDWR);
	same(0, pattern_read(h->fd, 3 * h->ring, 7777, 1, 0));
	tell(h, "in the middle");
	same(0, read_rest(h->fd, 3 * h->ring, 1));
	leave(h);
	tell(h, "seen");

	/* By indices */
	join(h, INDICES);
	same(0, user_start(&u, h->fd));
	same(0, user_receive(&u, 3 * h->ring, h->ring, 1));
	tell(h, "in the middle");
	while (!(ret = user_wait(&u, false, 1))) {
		step(__FILE__, __LINE__);
		done = ivring_rx_cached_avail(&u.rx);
		same(-1, pattern_check(u.rx_map + (u.rx.cons & (u.rx.size - 1)), done, 1,
				       u.rx.cons));
		if (ivring_rx_publish(&u.rx, done))
			ch_ring(h->fd);
	}
	same(-ENODATA, ret);
	user_end(&u, &h->fd);
	tell(h, "seen");

	/* By calls, what comes from a file */
	join(h, O_RDWR);
	tell(h, "in the middle");
	same(0, read_rest(h->fd, 0, 0));
	leave(h);
	tell(h, "seen");

	/* From file to file */
	join(h, O_RDWR);
	file = file_new();
	same(0, recv_file(h->fd, file, 0, h->ring, &done));
	tell(h, "in the middle");
	same(0, recv_file(h->fd, file, done, 1ULL << 40, &done));
	same(0, recv_file(h->fd, file, 0, 1ULL << 40, &done));
	same(0, done);
	close(file);
	leave(h);
	tell(h, "seen");
}

static const struct two_sided tests[] = {
	{ "messages of all sizes", { sizes_a, sizes_b }, O_RDWR | O_DIRECT },
	{ "a buffer too short", { short_buffer_a, short_buffer_b }, O_RDWR | O_DIRECT },
	{ "never split", { never_split_a, never_split_b }, O_RDWR | O_DIRECT },
	{ "many messages", { many_messages_a, many_messages_b }, O_RDWR | O_DIRECT },
	{ "messages and bytes", { mismatch_a, mismatch_b }, CLOSED },
	{ "spans", { spans_a, spans_b }, O_RDWR },
	{ "page frames", { frames_a, frames_b }, O_RDWR },
	{ "indices", { indices_a, indices_b }, INDICES },
	{ "questions and answers", { questions_a, questions_b }, INDICES | O_DIRECT },
	{ "every way", { ways_a, ways_b }, CLOSED },
	{ "progress of files", { progress_a, progress_b }, O_RDWR },
	{ "splice at the end", { splice_ends_a, splice_ends_b }, O_RDWR },
	{ "options", { options_a, options_b }, O_RDWR },
	{ "windows", { window_a, window_b }, CLOSED },
	{ "killed in a message", { killed_messages_a, killed_messages_b }, CLOSED },
	{ "killed in place", { killed_in_place_a, killed_in_place_b }, CLOSED },
	{ "killed, other ways", { killed_ways_a, killed_ways_b }, CLOSED },
	{ }
};

int main(int argc, char **argv)
{
	return two_sided_main(argc, argv, tests);
}

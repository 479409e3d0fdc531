// SPDX-License-Identifier: GPL-2.0
/*
 * Conversations on a loop link: who takes part in which, what each sees of its
 * end, and that no byte of one is ever seen in another.
 */
#include "pair.h"

/* Begin one more conversation between fresh files. */
static int open_both(const struct ends *e, int *a, int *b)
{
	*a = ends_open(e, 0, O_RDWR);
	*b = ends_open(e, 1, O_RDWR);
	if (*a < 0 || *b < 0)
		return *a < 0 ? *a : *b;
	return ch_connected(*a) ?: ch_connected(*b);
}

/* Every operation of a file says the same. */
static int all_say(int fd, int error)
{
	const uint32_t events[] = {
		IVRING_WAIT_CONNECTED, IVRING_WAIT_IN, IVRING_WAIT_OUT, IVRING_WAIT_DRAINED,
	};
	struct ivring_span span;
	char c = 'x';
	int i;

	if (SYS(read(fd, &c, 1)) != error)
		return 1;
	if (SYS(write(fd, &c, 1)) != error)
		return 2;
	if (ch_reserve(fd, &span, 1, FOREVER) != error)
		return 3;
	if (ch_peek(fd, &span, 1, FOREVER) != error)
		return 4;
	if (ch_commit(fd, 0, 1) != error)
		return 5;
	if (ch_release(fd, 0, 1) != error)
		return 6;
	if (SYS(ioctl(fd, IVRING_IOC_RING)) != error)
		return 12;
	for (i = 0; i < ARRAY_LEN(events); i++)
		if (ch_wait(fd, events[i], FOREVER) != error)
			return 7 + i;
	if ((ch_poll(fd, POLLIN | POLLOUT, 0) & (POLLIN | POLLOUT | POLLERR)) !=
	    (POLLIN | POLLOUT | POLLERR))
		return 11;
	return 0;
}

TEST_F(node, open_order_does_not_matter)
{
	int a, b, i;
	char c;

	for (i = 0; i < 20; i++) {
		if (i % 2) {
			a = ends_open(&self->e, 0, O_RDWR);
			b = ends_open(&self->e, 1, O_RDWR);
		} else {
			b = ends_open(&self->e, 1, O_RDWR);
			a = ends_open(&self->e, 0, O_RDWR);
		}
		ASSERT_LE(0, a);
		ASSERT_LE(0, b);
		/* Without waiting for the connection: write and read do that. */
		ASSERT_EQ(1, SYS(write(a, "x", 1)));
		ASSERT_EQ(1, SYS(read(b, &c, 1)));
		close(i % 4 > 1 ? a : b);
		close(i % 4 > 1 ? b : a);
	}
}

/* All that sleep before there is a peer are woken by its coming. */
TEST_F(node, sleepers_while_opening)
{
	struct ivring_span span;
	pid_t waiter, writer, reader, poller;
	int a, b;
	char c;

	a = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a);
	waiter = child_run(ch_wait(a, IVRING_WAIT_CONNECTED, FOREVER));
	writer = child_run(write(a, "x", 1) == 1 ? 0 : -errno);
	reader = child_run(read(a, &c, 1) == 1 ? 0 : -errno);
	poller = child_run(ch_poll(a, POLLOUT, -1) & POLLOUT ? 0 : 99);
	ASSERT_TRUE(child_asleep(waiter, SYS_ioctl));
	ASSERT_TRUE(child_asleep(writer, SYS_write));
	ASSERT_TRUE(child_asleep(reader, SYS_read));
	ASSERT_TRUE(child_asleep(poller, SYS_poll));
	b = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, child_end(waiter, PATIENCE_MS));
	EXPECT_EQ(0, child_end(writer, PATIENCE_MS));
	EXPECT_EQ(0, child_end(poller, PATIENCE_MS));
	ASSERT_EQ(0, ch_peek(b, &span, 1, MS(PATIENCE_MS)));
	ASSERT_EQ(1, SYS(write(b, "y", 1)));
	EXPECT_EQ(0, child_end(reader, PATIENCE_MS));
	close(b);
	close(a);
}

/* Opened and closed with nobody there: nothing is left for who comes next. */
TEST_F(node, open_without_peer)
{
	int a, b, i;

	for (i = 0; i < 100; i++) {
		a = ends_open(&self->e, i % 2, O_RDWR);
		ASSERT_LE(0, a);
		close(a);
	}
	ASSERT_EQ(0, open_both(&self->e, &a, &b));
	close(a);
	close(b);
}

/*
 * The shortest of conversations: a word, and gone, with the other end asleep in
 * read(2). Whatever the order in which the ends see each other, it arrives.
 */
TEST_F(node, word_and_gone)
{
	pid_t writer;
	char buf[16];
	int i, b, n;

	for (i = 0; i < 1000; i++) {
		writer = child_run(({
			int a = ends_open(&self->e, 0, O_WRONLY), ret = 0;

			if (a < 0)
				ret = a;
			else if (write(a, &i, sizeof(i)) != sizeof(i))
				ret = -errno;
			close(a);
			ret; }));
		b = ends_open(&self->e, 1, O_RDONLY);
		ASSERT_LE(0, b);
		n = ch_wait(b, IVRING_WAIT_IN, MS(PATIENCE_MS));
		ASSERT_EQ(0, n) {
			TH_LOG("round %d", i);
		}
		ASSERT_EQ(sizeof(i), SYS(read(b, buf, sizeof(buf))));
		memcpy(&n, buf, sizeof(n));
		ASSERT_EQ(i, n);
		ASSERT_EQ(0, SYS(read(b, buf, sizeof(buf))));
		close(b);
		ASSERT_EQ(0, child_end(writer, PATIENCE_MS));
	}
}

/* One side's process opens anew for each message, the other's does, too. */
TEST_F_TIMEOUT(node, reopen_loop, 180)
{
	const int rounds = 1000;
	pid_t writer;
	int i, ret, b;

	writer = child_run(({
		uint64_t rnd = 1;
		int ret = 0, a, k;

		for (k = 0; k < rounds && !ret; k++) {
			a = ends_open(&self->e, 0, O_WRONLY);
			rnd = rnd * 6364136223846793005ULL + 1;
			ret = a < 0 ? a : pattern_write(a, 1 + (rnd >> 33) % 40000, 8192, k, 0);
			close(a);
		}
		ret; }));
	for (i = 0; i < rounds; i++) {
		static char buf[65536];
		uint64_t got = 0, rnd, want;
		int k;

		b = ends_open(&self->e, 1, O_RDONLY);
		ASSERT_LE(0, b);
		for (rnd = 1, k = 0; k <= i; k++)
			rnd = rnd * 6364136223846793005ULL + 1;
		want = 1 + (rnd >> 33) % 40000;
		do {
			ret = ch_wait(b, IVRING_WAIT_IN, MS(PATIENCE_MS));
			ASSERT_EQ(0, ret) {
				TH_LOG("round %d after %ju bytes", i, (uintmax_t)got);
			}
			ret = SYS(read(b, buf, sizeof(buf)));
			ASSERT_LE(0, ret);
			ASSERT_EQ(-1, pattern_check(buf, ret, i, got));
			got += ret;
		} while (ret);
		ASSERT_EQ(want, got);
		close(b);
	}
	EXPECT_EQ(0, child_end(writer, PATIENCE_MS));
}

/* ---- lingering ---- */

TEST_F(node, next_conversation_waits_for_the_last_byte)
{
	struct ivring_channel_info before, info;
	int a, b, a2, b2;
	char c;

	ASSERT_EQ(0, open_both(&self->e, &a, &b));
	ASSERT_EQ(0, pattern_write(a, 1000, 1000, 1, 0));
	ASSERT_EQ(0, ch_info(a, &before));
	EXPECT_NE(0, before.epoch);
	close(a);
	/* The next one opens already, but has to wait: it has no number yet. */
	a2 = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a2);
	ASSERT_EQ(0, ch_info(a2, &info));
	EXPECT_EQ(IVRING_CHANNEL_OPENING, info.state);
	EXPECT_EQ(0, info.epoch);
	EXPECT_EQ(0, info.peer_epoch);
	EXPECT_EQ(-ETIMEDOUT, ch_wait(a2, IVRING_WAIT_CONNECTED, MS(50)));
	ASSERT_EQ(0, pattern_read(b, 1000, 1000, 1, 0));
	EXPECT_EQ(0, SYS(read(b, &c, 1)));
	EXPECT_EQ(IVRING_CHANNEL_OPENING, ch_state(a2));
	b2 = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, b2);
	ASSERT_EQ(0, ch_connected(a2));
	ASSERT_EQ(0, ch_connected(b2));
	ASSERT_EQ(0, ch_info(a2, &info));
	EXPECT_NE(0, info.epoch);
	EXPECT_NE(before.epoch, info.epoch);
	EXPECT_EQ(0, all_say(b, -ECONNRESET));
	EXPECT_EQ(IVRING_CHANNEL_RESET, ch_state(b));
	ASSERT_EQ(2, SYS(write(a2, "hi", 2)));
	ASSERT_EQ(1, SYS(read(b2, &c, 1)));
	EXPECT_EQ('h', c);
	close(b);
	EXPECT_EQ(1, SYS(read(b2, &c, 1)));
	close(a2);
	close(b2);
}

/* What was left unread when its reader closed is gone, and not for the next. */
TEST_F(node, unread_data_dies_with_its_reader)
{
	int a, b, i;
	char c;

	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, open_both(&self->e, &a, &b));
		ASSERT_EQ(0, pattern_write(a, 5000, 5000, i, 0));
		ASSERT_EQ(0, pattern_read(b, 10, 10, i, 0));
		close(i % 2 ? a : b);
		close(i % 2 ? b : a);
		ASSERT_EQ(0, open_both(&self->e, &a, &b));
		EXPECT_EQ(-EAGAIN, ch_wait(b, IVRING_WAIT_IN, 0));
		ASSERT_EQ(1, SYS(write(a, "n", 1)));
		ASSERT_EQ(1, SYS(read(b, &c, 1)));
		ASSERT_EQ('n', c);
		close(a);
		close(b);
	}
}

/* Opened and closed while lingering: the newer ones never start. */
TEST_F(node, opens_while_lingering)
{
	int a, b, a2, i;
	char c;

	ASSERT_EQ(0, open_both(&self->e, &a, &b));
	ASSERT_EQ(0, pattern_write(a, 1000, 1000, 1, 0));
	close(a);
	for (i = 0; i < 10; i++) {
		a2 = ends_open(&self->e, 0, O_RDWR | O_EXCL);
		ASSERT_LE(0, a2);
		EXPECT_EQ(-EAGAIN, ch_wait(a2, IVRING_WAIT_CONNECTED, 0));
		close(a2);
	}
	ASSERT_EQ(0, pattern_read(b, 1000, 1000, 1, 0));
	EXPECT_EQ(0, SYS(read(b, &c, 1)));
	close(b);
}

/* ---- several files on one side ---- */

TEST_F(pair, files_share_a_conversation)
{
	struct ivring_channel_info info;
	int a2, b2;
	char c;

	a2 = ends_open(&self->e, 0, O_RDWR);
	b2 = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, a2);
	ASSERT_LE(0, b2);
	ASSERT_EQ(0, ch_info(a2, &info));
	EXPECT_EQ(IVRING_CHANNEL_CONNECTED, info.state);
	EXPECT_EQ(self->info.epoch, info.epoch);
	ASSERT_EQ(1, SYS(write(self->a, "1", 1)));
	ASSERT_EQ(1, SYS(write(a2, "2", 1)));
	ASSERT_EQ(1, SYS(read(b2, &c, 1)));
	EXPECT_EQ('1', c);
	ASSERT_EQ(1, SYS(read(self->b, &c, 1)));
	EXPECT_EQ('2', c);
	/* Only the last close ends it. */
	close(self->a);
	ASSERT_EQ(1, SYS(write(a2, "3", 1)));
	ASSERT_EQ(1, SYS(read(b2, &c, 1)));
	EXPECT_EQ('3', c);
	EXPECT_EQ(IVRING_CHANNEL_CONNECTED, ch_state(b2));
	close(a2);
	EXPECT_EQ(0, SYS(read(b2, &c, 1)));
	EXPECT_EQ(0, SYS(read(self->b, &c, 1)));
	close(b2);
}

/* What is left after the peer closed can be read by a newcomer as well. */
TEST_F(pair, newcomer_reads_what_is_left)
{
	int b2;
	char c;

	ASSERT_EQ(0, pattern_write(self->a, 100, 100, 1, 0));
	close(self->a);
	ASSERT_TRUE(wait_until(ch_state(self->b) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	b2 = ends_open(&self->e, 1, O_RDONLY);
	ASSERT_LE(0, b2);
	EXPECT_EQ(0, pattern_read(b2, 40, 40, 1, 0));
	EXPECT_EQ(0, pattern_read(self->b, 60, 60, 1, 40));
	EXPECT_EQ(0, SYS(read(b2, &c, 1)));
	EXPECT_EQ(0, SYS(read(self->b, &c, 1)));
	close(b2);
}

/* A file of an ended conversation, kept open, has no part in the next one. */
TEST_F(pair, stale_file_is_no_part)
{
	struct ivring_span span;
	pid_t reader;
	int a2, b2;
	char c;

	ASSERT_EQ(0, ch_reserve(self->b, &span, 1, 0));
	close(self->a);
	ASSERT_TRUE(wait_until(ch_state(self->b) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	b2 = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, b2);
	EXPECT_EQ(0, all_say(self->b, -ECONNRESET));
	a2 = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a2);
	ASSERT_EQ(0, ch_connected(a2));
	ASSERT_EQ(0, ch_connected(b2));
	/* Nor does its old reservation bar the new one's users. */
	EXPECT_EQ(1, SYS(write(b2, "x", 1)));
	EXPECT_EQ(0, all_say(self->b, -ECONNRESET));
	EXPECT_EQ(1, SYS(read(a2, &c, 1)));
	EXPECT_EQ('x', c);
	/* Nor is it told what others do in there, or to try again. */
	ASSERT_EQ(0, ch_reserve(b2, &span, 1, 0));
	reader = child_run(SYS(read(b2, &c, 1)));
	ASSERT_TRUE(child_asleep(reader, SYS_read));
	ASSERT_EQ(0, ch_set_nonblock(self->b, true));
	EXPECT_EQ(0, all_say(self->b, -ECONNRESET));
	ASSERT_EQ(0, ch_set_nonblock(self->b, false));
	EXPECT_EQ(0, all_say(self->b, -ECONNRESET));
	EXPECT_EQ(1, SYS(write(a2, "y", 1)));
	EXPECT_EQ(1, child_end(reader, PATIENCE_MS));
	EXPECT_EQ(0, ch_commit(b2, span.offset, 0));

	/* The last file of the new conversation closes: that is its end. */
	close(b2);
	EXPECT_EQ(0, ch_wait(a2, IVRING_WAIT_IN, MS(3000)));
	ASSERT_TRUE(wait_until(ch_state(a2) == IVRING_CHANNEL_PEER_CLOSED, 3000));
	EXPECT_EQ(0, SYS(read(a2, &c, 1)));
	/* And who opens now does not join it. */
	b2 = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, b2);
	EXPECT_EQ(IVRING_CHANNEL_OPENING, ch_state(b2));
	close(a2);
	a2 = ends_open(&self->e, 0, O_RDWR);
	ASSERT_EQ(0, ch_connected(a2));
	ASSERT_EQ(0, ch_connected(b2));
	EXPECT_EQ(1, SYS(write(a2, "y", 1)));
	EXPECT_EQ(1, SYS(read(b2, &c, 1)));
	EXPECT_EQ('y', c);
	EXPECT_EQ(0, all_say(self->b, -ECONNRESET));
	/* Closing the stale file ends nothing. */
	close(self->b);
	self->b = -1;
	EXPECT_EQ(1, SYS(write(a2, "z", 1)));
	EXPECT_EQ(1, SYS(read(b2, &c, 1)));
	EXPECT_EQ('z', c);
	EXPECT_EQ(IVRING_CHANNEL_CONNECTED, ch_state(a2));
	close(a2);
	close(b2);
}

/* Sleepers of the old conversation do not sleep on into the new one. */
TEST_F(pair, sleepers_do_not_change_sides)
{
	pid_t pid;
	int b2;

	pid = child_run(({
		close(self->a);
		pattern_write(self->b, 2 * self->window, self->window, 1, 0); }));
	ASSERT_TRUE(child_asleep(pid, SYS_write));
	close(self->a);
	EXPECT_EQ(EPIPE, child_end(pid, PATIENCE_MS));
	b2 = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, b2);
	EXPECT_EQ(IVRING_CHANNEL_OPENING, ch_state(b2));
	EXPECT_EQ(0, all_say(self->b, -ECONNRESET));
	close(b2);
}

TEST_F(pair, exclusive_and_stale)
{
	int b2;

	close(self->a);
	ASSERT_TRUE(wait_until(ch_state(self->b) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	/* The channel is open, if only by a file at its end. */
	EXPECT_EQ(-EBUSY, ends_open(&self->e, 1, O_RDWR | O_EXCL));
	close(self->b);
	self->b = ends_open(&self->e, 1, O_RDWR | O_EXCL);
	EXPECT_LE(0, self->b);
	b2 = ends_open(&self->e, 1, O_RDWR);
	EXPECT_EQ(-EBUSY, b2);
}

/* ---- sudden death ---- */

/* Closes what the parent had open, opens its own end and streams without end. */
static int stream_out(const struct ends *e, int i, bool out)
{
	int fd = ends_open(e, i, O_RDWR);

	if (fd < 0)
		return fd;
	return out ? pattern_write(fd, 1ULL << 50, 30000, 1, 0) :
		     pattern_read(fd, 1ULL << 50, 30000, 1, 0);
}

TEST_F_TIMEOUT(node, kill_mid_stream, 180)
{
	pid_t victim;
	uint64_t pos;
	char *buf = malloc(65536);
	int i, fd;
	long n;

	for (i = 0; i < 50; i++) {
		bool out = i % 2;

		victim = child_run(stream_out(&self->e, 0, out));
		fd = ends_open(&self->e, 1, O_RDWR);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, ch_connected(fd));
		for (pos = 0; pos < 200000 + i * 1000; pos += n) {
			if (!out)
				pattern_fill(buf, 65536, 1, pos);
			n = out ? SYS(read(fd, buf, 65536)) : SYS(write(fd, buf, 65536));
			ASSERT_LT(0, n);
			if (out)
				ASSERT_EQ(-1, pattern_check(buf, n, 1, pos));
		}
		kill(victim, SIGKILL);
		/* Its kernel closes for it: the rest, then the end, both in order. */
		for (;;) {
			if (!out)
				pattern_fill(buf, 65536, 1, pos);
			n = out ? SYS(read(fd, buf, 65536)) : SYS(write(fd, buf, 65536));
			if (n <= 0)
				break;
			if (out)
				ASSERT_EQ(-1, pattern_check(buf, n, 1, pos));
			pos += n;
		}
		ASSERT_EQ(out ? 0 : -EPIPE, n);
		ASSERT_EQ(-(1000 + SIGKILL), child_end(victim, PATIENCE_MS));
		close(fd);
		ASSERT_TRUE(wait_until(ends_closed(&self->e, self->e.ch), PATIENCE_MS));
	}
	free(buf);
}

/* Killed while asleep in each system call: it dies, and the channel lives on. */
TEST_F(pair, kill_sleepers)
{
	struct ivring_span span;
	pid_t pid[4];
	char c;
	int i;

	ASSERT_EQ(0, pattern_write(self->a, self->window, self->window, 1, 0));
	pid[0] = child_run(write(self->a, &c, 1) == 1 ? 0 : -errno);
	pid[1] = child_run(ch_wait(self->a, IVRING_WAIT_OUT, FOREVER));
	pid[2] = child_run(ch_peek(self->a, &span, 1, FOREVER));
	pid[3] = child_run(ch_poll(self->a, POLLOUT, -1));
	ASSERT_TRUE(child_asleep(pid[0], SYS_write));
	ASSERT_TRUE(child_asleep(pid[1], SYS_ioctl));
	ASSERT_TRUE(child_asleep(pid[2], SYS_ioctl));
	ASSERT_TRUE(child_asleep(pid[3], SYS_poll));
	for (i = 0; i < ARRAY_LEN(pid); i++) {
		kill(pid[i], SIGKILL);
		EXPECT_EQ(-(1000 + SIGKILL), child_end(pid[i], PATIENCE_MS));
	}
	ASSERT_EQ(0, pattern_read(self->b, self->window, 4096, 1, 0));
	EXPECT_EQ(1, SYS(write(self->a, "x", 1)));
	EXPECT_EQ(1, SYS(write(self->b, "y", 1)));
	EXPECT_EQ(1, SYS(read(self->a, &c, 1)));
	EXPECT_EQ('y', c);
}

PAIR_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * A side that sends no more, and the options of an open file, on a loop link.
 */
#include "pair.h"

/* ---- half-close ---- */

TEST_F(pair, half_close)
{
	struct ivring_span span;
	char buf[16];

	ASSERT_EQ(5, SYS(write(self->a, "hello", 5)));
	ASSERT_EQ(0, ch_shutdown(self->a));
	ASSERT_EQ(0, ch_shutdown(self->a));
	EXPECT_EQ(IVRING_CHANNEL_F_SHUTDOWN, ch_flags(self->a));
	EXPECT_EQ(-EPIPE, SYS(write(self->a, "x", 1)));
	EXPECT_EQ(-EPIPE, ch_reserve(self->a, &span, 1, FOREVER));
	EXPECT_EQ(-EPIPE, ch_wait(self->a, IVRING_WAIT_OUT, FOREVER));
	EXPECT_EQ(-ETIMEDOUT, ch_wait(self->a, IVRING_WAIT_OUT | IVRING_WAIT_IN, MS(20)));

	/* The peer reads all there was, then the end, and is not done itself. */
	EXPECT_EQ(0, ch_wait_events(self->b, IVRING_WAIT_IN, 6, 1, MS(PATIENCE_MS), NULL));
	EXPECT_EQ(5, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(0, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(0, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(IVRING_CHANNEL_F_PEER_SHUTDOWN, ch_flags(self->b));
	EXPECT_EQ(IVRING_CHANNEL_CONNECTED, ch_state(self->b));
	EXPECT_EQ(3, SYS(write(self->b, "yes", 3)));
	EXPECT_EQ(3, SYS(read(self->a, buf, sizeof(buf))));

	ASSERT_EQ(0, ch_shutdown(self->b));
	EXPECT_EQ(0, SYS(read(self->a, buf, sizeof(buf))));
	EXPECT_EQ(-EPIPE, SYS(write(self->b, "x", 1)));
	EXPECT_EQ(0, ch_wait(self->a, IVRING_WAIT_DRAINED, MS(PATIENCE_MS)));
}

/* As "ssh host sort <file": the answer comes after the end of the question. */
TEST_F(pair, question_and_answer)
{
	const size_t bytes = 4 * self->window;
	pid_t pid;

	pid = child_run(pattern_write(self->a, bytes, 5000, 1, 0) ?: ch_shutdown(self->a) ?:
			pattern_read(self->a, bytes, 7000, 2, 0));
	ASSERT_EQ(0, pattern_read(self->b, bytes, 6000, 1, 0));
	EXPECT_EQ(0, SYS(read(self->b, &(char) { 0 }, 1)));
	ASSERT_EQ(0, pattern_write(self->b, bytes, 8000, 2, 0));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
}

TEST_F(pair, half_close_wakes)
{
	pid_t reader, writer, poller;
	char *buf = malloc(self->window), c;

	/* A reader on the other side, a writer on this one. */
	reader = child_run(read(self->b, &c, 1) == 0 ? 0 : 1);
	poller = child_run(ch_poll(self->b, POLLRDHUP, -1) & POLLRDHUP ? 0 : 1);
	memset(buf, 0, self->window);
	ASSERT_TRUE(child_asleep(reader, SYS_read));
	ASSERT_TRUE(child_asleep(poller, SYS_poll));
	ASSERT_EQ(0, ch_shutdown(self->a));
	EXPECT_EQ(0, child_end(reader, PATIENCE_MS));
	EXPECT_EQ(0, child_end(poller, PATIENCE_MS));

	ASSERT_EQ(self->window, SYS(write(self->b, buf, self->window)));
	writer = child_run(write(self->b, buf, 1) == -1 && errno == EPIPE ? 0 : 1);
	ASSERT_TRUE(child_asleep(writer, SYS_write));
	ASSERT_EQ(0, ch_shutdown(self->b));
	EXPECT_EQ(0, child_end(writer, PATIENCE_MS));
	free(buf);
}

/* That there will be no room any more is not waited for, what was sent is. */
TEST_F(pair, half_close_drains)
{
	pid_t waiter;
	char c;

	ASSERT_EQ(1, SYS(write(self->a, "x", 1)));
	ASSERT_EQ(0, ch_shutdown(self->a));
	waiter = child_run(ch_wait(self->a, IVRING_WAIT_OUT | IVRING_WAIT_DRAINED, FOREVER));
	ASSERT_TRUE(child_asleep(waiter, SYS_ioctl));
	EXPECT_EQ(1, SYS(read(self->b, &c, 1)));
	EXPECT_EQ(0, child_end(waiter, PATIENCE_MS));
}

TEST_F(pair, half_close_polls)
{
	EXPECT_EQ(POLLOUT, ch_poll(self->a, POLLIN | POLLOUT | POLLRDHUP, 0));
	ASSERT_EQ(0, ch_shutdown(self->a));
	/* Writing would not block, it fails. */
	EXPECT_EQ(POLLOUT, ch_poll(self->a, POLLIN | POLLOUT | POLLRDHUP, 0));
	EXPECT_EQ(POLLRDHUP, ch_poll(self->b, POLLRDHUP, PATIENCE_MS));
	EXPECT_EQ(POLLIN | POLLOUT | POLLRDHUP,
		  ch_poll(self->b, POLLIN | POLLOUT | POLLRDHUP, PATIENCE_MS));
}

TEST_F(pair, half_close_with_a_span)
{
	struct ivring_span span;

	ASSERT_EQ(0, ch_reserve(self->a, &span, 10, 0));
	ASSERT_EQ(0, ch_shutdown(self->a));
	EXPECT_EQ(-EPIPE, ch_commit(self->a, span.offset, 10));
	EXPECT_EQ(0, SYS(read(self->b, &(char) { 0 }, 1)));
}

/* Before there is a peer, and while the conversation before is not over yet */
TEST_F(node, half_close_early)
{
	int a, b;
	char c;

	a = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a);
	/* Nothing was written, so nothing is to be waited for. */
	EXPECT_EQ(0, SYS(fsync(a)));
	ASSERT_EQ(0, ch_shutdown(a));
	EXPECT_EQ(-EPIPE, SYS(write(a, "x", 1)));
	EXPECT_EQ(-EPIPE, ch_wait(a, IVRING_WAIT_OUT, FOREVER));
	EXPECT_EQ(-EAGAIN, ch_wait(a, IVRING_WAIT_OUT | IVRING_WAIT_IN, 0));
	b = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, SYS(read(b, &c, 1)));
	EXPECT_EQ(1, SYS(write(b, "x", 1)));
	EXPECT_EQ(1, SYS(read(a, &c, 1)));

	/* Side 1 lingers: what it sends now is still to be read. */
	EXPECT_EQ(1, SYS(write(b, "y", 1)));
	close(b);
	b = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, ch_shutdown(b));
	EXPECT_EQ(1, SYS(read(a, &c, 1)));
	EXPECT_EQ('y', c);
	EXPECT_EQ(0, SYS(read(a, &c, 1)));
	close(a);
	a = ends_open(&self->e, 0, O_RDWR);
	ASSERT_EQ(0, ch_connected(a));
	EXPECT_EQ(0, SYS(read(a, &c, 1)));
	EXPECT_EQ(1, SYS(write(a, "z", 1)));
	EXPECT_EQ(1, SYS(read(b, &c, 1)));
	close(a);
	close(b);
}

TEST_F(pair, half_close_errors)
{
	int ro = ends_open(&self->e, 0, O_RDONLY);

	ASSERT_LE(0, ro);
	EXPECT_EQ(-EBADF, ch_shutdown(ro));
	close(ro);
	close(self->b);
	self->b = -1;
	ASSERT_TRUE(wait_until(ch_state(self->a) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	EXPECT_EQ(-EPIPE, ch_shutdown(self->a));
}

/* ---- how much is there ---- */

TEST_F(pair, readable_bytes)
{
	char buf[100];
	int wo;

	EXPECT_EQ(0, ch_readable(self->b));
	ASSERT_EQ(60, SYS(write(self->a, buf, 60)));
	ASSERT_EQ(40, SYS(write(self->a, buf, 40)));
	EXPECT_EQ(100, ch_readable(self->b));
	ASSERT_EQ(30, SYS(read(self->b, buf, 30)));
	EXPECT_EQ(70, ch_readable(self->b));
	wo = ends_open(&self->e, 1, O_WRONLY);
	EXPECT_EQ(-EBADF, ch_readable(wo));
	close(wo);
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->b, FIONREAD, NULL)));
	close(self->a);
	self->a = -1;
	EXPECT_EQ(70, ch_readable(self->b));
	ASSERT_EQ(70, SYS(read(self->b, buf, 100)));
	EXPECT_EQ(0, ch_readable(self->b));
}

/* Nothing of the conversation before, which is not over yet for the peer */
TEST_F(node, readable_early)
{
	int a, b;

	a = ends_open(&self->e, 0, O_RDWR);
	b = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, ch_readable(a));
	ASSERT_EQ(0, ch_connected(b));
	ASSERT_EQ(5, SYS(write(a, "12345", 5)));
	ASSERT_EQ(5, ch_readable(b));
	ASSERT_EQ(1, SYS(write(b, "y", 1)));
	close(b);
	b = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, b);
	EXPECT_EQ(0, ch_readable(b));
	EXPECT_EQ(IVRING_CHANNEL_OPENING, ch_state(b));
	close(a);
	close(b);
}

/* ---- options ---- */

TEST_F(pair, options)
{
	struct ivring_channel_info info;
	struct ivring_options o;
	int other, i;

	memset(&o, 0xff, sizeof(o));
	ASSERT_EQ(0, SYS(ioctl(self->a, IVRING_IOC_GET_OPTIONS, &o)));
	EXPECT_EQ(0, o.flags);
	EXPECT_EQ(UINT32_MAX, o.spin_max_ns);
	EXPECT_EQ(1, o.rx_min);
	EXPECT_EQ(1, o.tx_min);
	for (i = 0; i < ARRAY_LEN(o.reserved); i++)
		EXPECT_EQ(0, o.reserved[i]);

	EXPECT_EQ(-EINVAL, ch_set_options(self->a, 0, 0, 1));
	EXPECT_EQ(-EINVAL, ch_set_options(self->a, 0, self->ring + 1, 1));
	EXPECT_EQ(-EINVAL, ch_set_options(self->a, 0, 1, 0));
	EXPECT_EQ(-EINVAL, ch_set_options(self->a, 0, 1, self->window + 1));
	o.flags = 1;
	EXPECT_EQ(-EINVAL, SYS(ioctl(self->a, IVRING_IOC_SET_OPTIONS, &o)));
	o.flags = 0;
	o.reserved[4] = 1;
	EXPECT_EQ(-EINVAL, SYS(ioctl(self->a, IVRING_IOC_SET_OPTIONS, &o)));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, IVRING_IOC_SET_OPTIONS, NULL)));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, IVRING_IOC_GET_OPTIONS, NULL)));

	EXPECT_EQ(0, ch_set_options(self->a, 0, self->ring, self->window));
	ASSERT_EQ(0, SYS(ioctl(self->a, IVRING_IOC_GET_OPTIONS, &o)));
	EXPECT_EQ(0, o.spin_max_ns);
	EXPECT_EQ(self->ring, o.rx_min);
	EXPECT_EQ(self->window, o.tx_min);
	ASSERT_EQ(0, ch_info(self->a, &info));
	EXPECT_EQ(0, info.spin_max_ns);

	/* Of this file alone */
	other = ends_open(&self->e, 0, O_RDWR);
	ASSERT_EQ(0, SYS(ioctl(other, IVRING_IOC_GET_OPTIONS, &o)));
	EXPECT_EQ(1, o.rx_min);
	close(other);
}

TEST_F(pair, low_water_of_reading)
{
	char buf[200];
	pid_t pid;

	ASSERT_EQ(0, ch_set_options(self->b, 0, 100, 1));
	ASSERT_EQ(99, SYS(write(self->a, buf, 99)));
	EXPECT_EQ(0, ch_poll(self->b, POLLIN, 20));
	ASSERT_EQ(1, SYS(write(self->a, buf, 1)));
	EXPECT_EQ(POLLIN, ch_poll(self->b, POLLIN, PATIENCE_MS));
	EXPECT_EQ(100, SYS(read(self->b, buf, 200)));

	/* What is asked for is enough, even when it is less. */
	ASSERT_EQ(50, SYS(write(self->a, buf, 50)));
	EXPECT_EQ(20, SYS(read(self->b, buf, 20)));
	/* Who does not wait gets what is there. */
	ch_set_nonblock(self->b, true);
	EXPECT_EQ(30, SYS(read(self->b, buf, 200)));
	ch_set_nonblock(self->b, false);

	pid = child_run(read(self->b, buf, 200) - 100);
	ASSERT_EQ(60, SYS(write(self->a, buf, 60)));
	ASSERT_TRUE(child_asleep(pid, SYS_read));
	ASSERT_EQ(60, SYS(write(self->a, buf, 60)));
	EXPECT_EQ(20, child_end(pid, PATIENCE_MS));

	/* The end is the end. */
	ASSERT_EQ(7, SYS(write(self->a, buf, 7)));
	close(self->a);
	self->a = -1;
	EXPECT_EQ(7, SYS(read(self->b, buf, 200)));
	EXPECT_EQ(0, SYS(read(self->b, buf, 200)));
}

TEST_F(pair, low_water_of_writing)
{
	char *buf = calloc(1, self->window);

	ASSERT_EQ(0, ch_set_options(self->a, 0, 1, self->window / 2));
	EXPECT_EQ(POLLOUT, ch_poll(self->a, POLLOUT, 0));
	ASSERT_EQ(self->window / 2 + 1, SYS(write(self->a, buf, self->window / 2 + 1)));
	EXPECT_EQ(0, ch_poll(self->a, POLLOUT, 20));
	ASSERT_EQ(1, SYS(read(self->b, buf, 1)));
	EXPECT_EQ(POLLOUT, ch_poll(self->a, POLLOUT, PATIENCE_MS));
	free(buf);
}

/* One that must not spin sleeps at once, whatever the channel allows. */
TEST_F(pair, no_spin_for_this_file)
{
	const struct ends *e = &self->e;
	long long spins;
	char c;
	int i;

	ASSERT_EQ(0, channel_attr_set(e->link[1], e->ch, "spin_max_ns", "max"));
	ASSERT_EQ(0, ch_set_options(self->b, 0, 1, 1));
	spins = channel_num(e->link[1], e->ch, "stats/spins");
	for (i = 0; i < 200; i++)
		EXPECT_EQ(-ETIMEDOUT, ch_wait(self->b, IVRING_WAIT_IN, 1000));
	EXPECT_EQ(spins, channel_num(e->link[1], e->ch, "stats/spins"));
	ASSERT_EQ(1, SYS(write(self->a, "x", 1)));
	EXPECT_EQ(1, SYS(read(self->b, &c, 1)));
}

#define SPIN_MAX_NS	"/sys/module/ivring/parameters/spin_max_ns"

static uint32_t spin_max_ns(int fd)
{
	struct ivring_channel_info info;

	return ch_info(fd, &info) ? ~0U : info.spin_max_ns;
}

/* The smallest of the limits of a file, a channel and the module; none with one CPU */
TEST_F(pair, smallest_limit_of_spinning)
{
	const uint32_t spins = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	const struct ends *e = &self->e;
	char all[16];
	int other;

	other = ends_open(e, 0, O_RDWR);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, read_file(SPIN_MAX_NS, all, sizeof(all)));
	ASSERT_EQ(0, write_file(SPIN_MAX_NS, "2000"));
	EXPECT_EQ(2000 * spins, spin_max_ns(self->a));
	ASSERT_EQ(0, ch_set_options(self->a, 1000, 1, 1));
	EXPECT_EQ(1000 * spins, spin_max_ns(self->a));
	EXPECT_EQ(2000 * spins, spin_max_ns(other));
	ASSERT_EQ(0, channel_attr_set(e->link[0], e->ch, "spin_max_ns", "500"));
	EXPECT_EQ(500 * spins, spin_max_ns(self->a));
	EXPECT_EQ(500 * spins, spin_max_ns(other));
	/* The peer's side has limits of its own. */
	EXPECT_EQ(2000 * spins, spin_max_ns(self->b));
	ASSERT_EQ(0, write_file(SPIN_MAX_NS, "300"));
	EXPECT_EQ(300 * spins, spin_max_ns(self->a));
	EXPECT_EQ(300 * spins, spin_max_ns(self->b));
	ASSERT_EQ(0, write_file(SPIN_MAX_NS, all));
	ASSERT_EQ(0, channel_attr_set(e->link[0], e->ch, "spin_max_ns", "max"));
	close(other);
}

PAIR_HARNESS_MAIN

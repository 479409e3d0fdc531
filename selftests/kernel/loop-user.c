// SPDX-License-Identifier: GPL-2.0
/*
 * Indices that programs move themselves, on a loop link: ring.h and msg.h in user
 * space on a real channel.
 */
#include "pair.h"
#include "indices.h"
#include "sigbus.h"

FIXTURE(user) {
	struct ends e;
	int a, b;
	u64 window, bytes;
	long long rx_bytes;
};

FIXTURE_VARIANT(user) {
	int flags;
};

FIXTURE_VARIANT_ADD(user, bytes) { .flags = O_RDWR | O_EXCL };
FIXTURE_VARIANT_ADD(user, messages) { .flags = O_RDWR | O_EXCL | O_DIRECT };

FIXTURE_SETUP(user)
{
	const char *mib = getenv("IVRING_TEST_MIB");
	struct ivring_channel_info info;

	ASSERT_EQ(0, ends_find(&self->e, 0));
	self->a = ends_open(&self->e, 0, variant->flags);
	self->b = ends_open(&self->e, 1, variant->flags);
	ASSERT_LE(0, self->a);
	ASSERT_LE(0, self->b);
	ASSERT_EQ(0, ch_connected(self->a));
	ASSERT_EQ(0, ch_connected(self->b));
	ASSERT_EQ(0, ch_info(self->a, &info));
	self->window = info.window;
	self->rx_bytes = channel_num(self->e.link[1], self->e.ch, "stats/rx_bytes");
	self->bytes = (mib ? strtoull(mib, NULL, 0) : 32) << 20;
}

FIXTURE_TEARDOWN(user)
{
	close(self->a);
	close(self->b);
	EXPECT_EQ(self->e.rescued, ends_rescued(&self->e));
}

TEST_F(user, rules)
{
	struct ivring_channel_info info;
	struct ivring_file_xfer x = { .fd = 0 };
	struct ivring_span span;
	void *control;
	char c = 0;
	int p[2];

	ASSERT_EQ(0, ch_info(self->a, &info));
	EXPECT_EQ(MAP_FAILED, map_control(self->a, &info));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-EPERM, ch_ring(self->a));
	ASSERT_EQ(0, ch_reserve(self->a, &span, 1, 0));
	EXPECT_EQ(-EBUSY, ch_take(self->a));
	ASSERT_EQ(0, ch_commit(self->a, span.offset, 0));
	ASSERT_EQ(1, SYS(write(self->b, &c, 1)));
	ASSERT_EQ(0, ch_peek(self->a, &span, 1, MS(PATIENCE_MS)));
	EXPECT_EQ(-EBUSY, ch_take(self->a));
	ASSERT_EQ(0, ch_release(self->a, span.offset, span.len));

	ASSERT_EQ(0, ch_take(self->a));
	ASSERT_EQ(0, ch_take(self->a));
	ASSERT_EQ(0, ch_info(self->a, &info));
	EXPECT_TRUE(info.flags & IVRING_CHANNEL_F_USER);
	EXPECT_EQ(-EBUSY, SYS(write(self->a, &c, 1)));
	EXPECT_EQ(-EBUSY, SYS(read(self->a, &c, 1)));
	EXPECT_EQ(-EBUSY, ch_reserve(self->a, &span, 1, 0));
	EXPECT_EQ(-EBUSY, ch_peek(self->a, &span, 1, 0));
	EXPECT_EQ(-EINVAL, ch_commit(self->a, 0, 0));
	EXPECT_EQ(-EINVAL, ch_commit(self->a, 0, 8));
	EXPECT_EQ(-EINVAL, ch_release(self->a, 0, 0));
	EXPECT_EQ(-EINVAL, ch_release(self->a, 0, 8));
	x.fd = file_pattern(100, 1);
	x.len = 1;
	ASSERT_LE(0, x.fd);
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(10, write(p[1], "0123456789", 10));
	if (variant->flags & O_DIRECT) {
		EXPECT_EQ(-EBUSY, ch_readable(self->a));
	} else {
		EXPECT_EQ(-EBUSY, SYS(ioctl(self->a, IVRING_IOC_SEND_FILE, &x)));
		EXPECT_EQ(-EBUSY, SYS(ioctl(self->a, IVRING_IOC_RECV_FILE, &x)));
		EXPECT_EQ(-EBUSY, SYS(splice(p[0], NULL, self->a, NULL, 10, 0)));
		EXPECT_EQ(-EBUSY, SYS(splice(self->a, NULL, p[1], NULL, 10, 0)));
	}
	close(p[0]);
	close(p[1]);
	close(x.fd);
	EXPECT_EQ(0, ch_ring(self->a));
	control = map_control(self->a, &info);
	ASSERT_NE(MAP_FAILED, control);
	munmap(control, info.control_map_size);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, self->a,
				   info.control_map_offset));
}

/* Not from under a call that moves data, or waits to. */
TEST_F(user, take_beside_a_call)
{
	char *buf = calloc(1, self->window), c;
	struct ivring_span span;
	pid_t pid[3];
	int i;

	pid[0] = child_run(SYS(read(self->a, &c, 1)));
	ASSERT_TRUE(child_asleep(pid[0], SYS_read));
	EXPECT_EQ(-EBUSY, ch_take(self->a));
	ASSERT_EQ(1, SYS(write(self->b, "x", 1)));
	EXPECT_EQ(1, child_end(pid[0], PATIENCE_MS));

	ASSERT_EQ(self->window - 8, SYS(write(self->a, buf, self->window - 8)));
	pid[0] = child_run(SYS(write(self->a, buf, 100)));
	pid[1] = child_run(ch_reserve(self->a, &span, 100, FOREVER));
	pid[2] = child_run(ch_peek(self->a, &span, 1, FOREVER));
	ASSERT_TRUE(child_asleep(pid[0], SYS_write));
	ASSERT_TRUE(child_asleep(pid[1], SYS_ioctl));
	ASSERT_TRUE(child_asleep(pid[2], SYS_ioctl));
	for (i = 0; i < ARRAY_LEN(pid); i++) {
		EXPECT_EQ(-EBUSY, ch_take(self->a));
		kill(pid[i], SIGKILL);
		EXPECT_EQ(-(1000 + SIGKILL), child_end(pid[i], PATIENCE_MS));
	}
	EXPECT_EQ(0, ch_take(self->a));
	free(buf);
}

TEST_F(user, both_sides)
{
	struct user u;
	pid_t pid;

	pid = child_run(user_start(&u, self->a) ?:
			user_send(&u, self->bytes, self->window / 8, 3) ?:
			ch_wait(u.fd, IVRING_WAIT_DRAINED, MS(PATIENCE_MS)));
	ASSERT_EQ(0, user_start(&u, self->b));
	EXPECT_EQ(0, user_receive(&u, self->bytes, self->window / 4, 3));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	user_end(&u, &self->b);
}

/* The other one uses the kernel's, and need not know. */
TEST_F(user, one_side)
{
	struct ivring_span span;
	struct user u;
	pid_t pid;
	u64 done;

	if (variant->flags & O_DIRECT)
		return;
	ASSERT_EQ(0, user_start(&u, self->b));
	pid = child_run(pattern_write(self->a, self->bytes, 100000, 9, 0) ?:
			pattern_read(self->a, self->bytes, 50000, 8, 0));
	EXPECT_EQ(0, user_receive(&u, self->bytes, self->window, 9));
	EXPECT_EQ(0, user_send(&u, self->bytes, self->window / 3, 8));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	done = channel_num(self->e.link[1], self->e.ch, "stats/rx_bytes");
	EXPECT_LE(self->bytes, done);
	EXPECT_EQ(-EBUSY, ch_peek(u.fd, &span, 1, 0));
	user_end(&u, &self->b);
}

/* What was published before the close is the peer's to read, and nothing after it. */
TEST_F(user, close_in_good_order)
{
	struct ivring_tx *tx;
	struct user u;
	char buf[64];

	ASSERT_EQ(0, user_start(&u, self->a));
	tx = &u.tx;
	if (variant->flags & O_DIRECT) {
		struct ivring_wire_msg head = { .len = cpu_to_le32(5) };

		memcpy(u.tx_map, &head, sizeof(head));
		memcpy(u.tx_map + 8, "hello", 5);
		ivring_tx_publish(tx, 16);
	} else {
		memcpy(u.tx_map, "hello", 5);
		ivring_tx_publish(tx, 5);
	}
	user_end(&u, &self->a);
	EXPECT_EQ(5, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));
	EXPECT_EQ(0, SYS(read(self->b, buf, sizeof(buf))));
}

TEST_F(user, half_close)
{
	struct user u;
	pid_t pid;

	if (variant->flags & O_DIRECT)
		return;
	ASSERT_EQ(0, user_start(&u, self->a));
	pid = child_run(pattern_read(self->b, 1000, 100, 1, 0) ?: (int)read(self->b, &u, 1) ?:
			pattern_write(self->b, 1000, 100, 2, 0));
	ASSERT_EQ(0, user_send(&u, 1000, 300, 1));
	ASSERT_EQ(0, SYS(ioctl(u.fd, IVRING_IOC_SHUTDOWN)));
	EXPECT_EQ(0, user_receive(&u, 1000, 300, 2));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	user_end(&u, &self->a);
}

TEST_F(user, questions_and_answers)
{
	struct user u;
	pid_t pid;

	if (!(variant->flags & O_DIRECT))
		return;
	pid = child_run(user_start(&u, self->a) ?: ping_pong(&u, true, 2000, false) ?:
			ping_pong(&u, true, 2000, true));
	ASSERT_EQ(0, user_start(&u, self->b));
	EXPECT_EQ(0, ping_pong(&u, false, 2000, false));
	EXPECT_EQ(0, ping_pong(&u, false, 2000, true));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
}

/*
 * A look that is not content with what it finds takes the place of the doorbell that
 * the peer, which comes to read the wish only now, does not ring.
 */
TEST_F(user, look_wakes_poll)
{
	struct user u, v;
	pid_t pid;

	ASSERT_EQ(0, user_start(&u, self->a));
	ASSERT_EQ(0, user_start(&v, self->b));
	pid = child_run(ch_poll(u.fd, POLLIN, -1) & POLLIN ? 0 : 1);
	ASSERT_TRUE(child_asleep(pid, SYS_poll));
	virt_store_release(&v.tx.own->prod, cpu_to_le64(v.tx.prod + 8));
	EXPECT_EQ(-EAGAIN, ch_wait_events(u.fd, IVRING_WAIT_IN, 16, 1, 0, NULL));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	user_end(&u, &self->a);
	user_end(&v, &self->b);
}

/* EPOLL_CTL_MOD looks in place of the read that would meet EAGAIN. */
TEST_F(user, epoll_edge)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct user u, v;
	pid_t pid;
	int ep, i;

	ASSERT_EQ(0, user_start(&u, self->a));
	ASSERT_EQ(0, user_start(&v, self->b));
	ep = epoll_add(u.fd, ev.events);
	ASSERT_LE(0, ep);
	for (i = 0; i < 20; i++) {
		pid = child_run(epoll_get(ep, PATIENCE_MS) == EPOLLIN ? 0 : 99);
		ASSERT_TRUE(child_asleep(pid, SYS_epoll_wait));
		ASSERT_TRUE(ivring_tx_publish(&v.tx, 8));
		ASSERT_EQ(0, SYS(ioctl(v.fd, IVRING_IOC_RING)));
		ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
		ASSERT_EQ(0, ivring_rx_refresh(&u.rx));
		ASSERT_EQ(8, ivring_rx_cached_avail(&u.rx));
		ivring_rx_publish(&u.rx, 8);
		ASSERT_EQ(0, SYS(epoll_ctl(ep, EPOLL_CTL_MOD, u.fd, &ev)));
	}
	EXPECT_EQ(0, epoll_get(ep, 0));
	close(ep);
	user_end(&u, &self->a);
	user_end(&v, &self->b);
}

/* Asks only now and then: what is done meanwhile is to be quick. */
static bool child_lives(pid_t pid, unsigned int round)
{
	siginfo_t end = { 0 };

	return round % 1000 ||
	       (!waitid(P_PID, pid, &end, WEXITED | WNOHANG | WNOWAIT) && !end.si_pid);
}

/* Whoever waits sleeps in the end, though the peer moves its index without end. */
TEST_F(user, index_to_and_fro)
{
	long long spins = channel_num(self->e.link[0], self->e.ch, "stats/spins");
	long long sleeps = channel_num(self->e.link[0], self->e.ch, "stats/sleeps");
	struct user u, v;
	unsigned int i;
	pid_t pid;

	ASSERT_EQ(0, user_start(&u, self->a));
	ASSERT_EQ(0, user_start(&v, self->b));
	pid = child_run(ch_wait_events(u.fd, IVRING_WAIT_IN, 4096, 1, MS(300), NULL) ==
			-ETIMEDOUT ? 0 : 1);
	for (i = 0; child_lives(pid, i); i++)
		virt_store_release(&v.tx.own->prod, cpu_to_le64(v.tx.prod + i % 2));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_LT(sleeps, channel_num(self->e.link[0], self->e.ch, "stats/sleeps"));
	/* Not more than one for each power of two that is missing */
	EXPECT_GE(spins + 13, channel_num(self->e.link[0], self->e.ch, "stats/spins"));
	user_end(&u, &self->a);
	user_end(&v, &self->b);
	/* The peer did not ring. */
	self->e.rescued = ends_rescued(&self->e);
}

/* To be run by a child: poll(2) finds nothing, and sleeps meanwhile. */
static int poll_sleeps(int fd, int ms)
{
	struct timespec cpu;

	if (ch_poll(fd, POLLIN, ms))
		return 1;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	return cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000 < ms / 2 ? 0 : 2;
}

/* Nor does a peer that writes this side's own index keep it from sleeping in poll(2). */
TEST_F(user, own_index_to_and_fro)
{
	struct ivring_wire_producer *own;
	struct user u, v;
	unsigned int i;
	pid_t pid;

	ASSERT_EQ(0, user_start(&u, self->a));
	ASSERT_EQ(0, user_start(&v, self->b));
	own = (struct ivring_wire_producer *)v.rx.peer;
	pid = child_run(poll_sleeps(u.fd, 500));
	for (i = 0; child_lives(pid, i); i++)
		WRITE_ONCE(own->prod, cpu_to_le64((u64)(i % 2) << 40));
	WRITE_ONCE(own->prod, 0);
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	user_end(&u, &self->a);
	user_end(&v, &self->b);
}

/* The indices are where the calls before have left them, and none of the next conversation. */
TEST_F(user, indices_told)
{
	struct ivring_channel_info info;
	struct user u, v;

	if (variant->flags & O_DIRECT)
		return;
	ASSERT_EQ(0, pattern_write(self->a, 40, 40, 1, 0));
	ASSERT_EQ(0, pattern_write(self->a, 60, 60, 2, 0));
	ASSERT_EQ(0, pattern_write(self->b, 10, 10, 3, 0));
	ASSERT_EQ(0, pattern_write(self->b, 20, 20, 4, 0));
	ASSERT_EQ(0, pattern_read(self->b, 40, 40, 1, 0));
	ASSERT_EQ(0, pattern_read(self->a, 10, 10, 3, 0));
	ASSERT_EQ(0, ch_info(self->a, &info));
	EXPECT_EQ(100, info.tx_prod);
	EXPECT_EQ(10, info.rx_cons);
	EXPECT_EQ(30, info.rx_prod);
	ASSERT_EQ(0, ch_info(self->b, &info));
	EXPECT_EQ(30, info.tx_prod);
	EXPECT_EQ(40, info.rx_cons);
	EXPECT_EQ(100, info.rx_prod);

	ASSERT_EQ(0, user_start(&u, self->a));
	ASSERT_EQ(0, user_start(&v, self->b));
	EXPECT_EQ(0, user_receive(&v, 60, 60, 2));
	EXPECT_EQ(0, user_receive(&u, 20, 20, 4));
	ASSERT_EQ(0, user_send(&u, 500, 500, 5));
	EXPECT_EQ(0, user_receive(&v, 500, 500, 5));
	/* The kernel looks where they are, and tells where they were. */
	EXPECT_EQ(0, ch_wait(self->a, IVRING_WAIT_DRAINED, 0));
	ASSERT_EQ(0, ch_info(self->a, &info));
	EXPECT_EQ(100, info.tx_prod);
	EXPECT_EQ(10, info.rx_cons);

	/* It lingers for the last of it. */
	ASSERT_EQ(0, user_send(&u, 8, 8, 6));
	user_end(&u, &self->a);
	self->a = ends_open(&self->e, 0, variant->flags);
	ASSERT_LE(0, self->a);
	ASSERT_EQ(0, ch_info(self->a, &info));
	EXPECT_EQ(IVRING_CHANNEL_OPENING, info.state);
	EXPECT_EQ(0, info.tx_prod);
	EXPECT_EQ(0, info.rx_cons);
	EXPECT_EQ(0, info.rx_prod);
	EXPECT_EQ(0, user_receive(&v, 8, 8, 6));
	user_end(&v, &self->b);
}

/* As nobody else can begin the next conversation, it stays for as long as it is mapped. */
TEST_F(user, control_page_keeps_others_out)
{
	struct ivring_channel_info info;
	void *again;
	struct user u;

	ASSERT_EQ(0, user_start(&u, self->a));
	ASSERT_EQ(0, ch_info(self->a, &info));
	faults_return();
	close(self->b);
	self->b = -1;
	ASSERT_TRUE(wait_until(ch_state(self->a) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	EXPECT_EQ(-EBUSY, ends_open(&self->e, 0, O_RDWR));
	EXPECT_LE(0, touch(u.control));
	again = map_control(self->a, &info);
	ASSERT_NE(MAP_FAILED, again);
	munmap(again, info.control_map_size);
	close(self->a);
	EXPECT_EQ(-EBUSY, ends_open(&self->e, 0, O_RDWR));
	EXPECT_LE(0, touch(u.control));
	user_unmap(&u);
	/* What was taken was taken for that conversation. */
	self->a = ends_open(&self->e, 0, variant->flags);
	ASSERT_LE(0, self->a);
	EXPECT_EQ(MAP_FAILED, map_control(self->a, &info));
	EXPECT_EQ(EACCES, errno);
}

/* What a peer wrote over this side's indices before they were taken is not believed. */
TEST_F(user, own_indices)
{
	struct ivring_channel_info info;
	struct user u, v;

	ASSERT_EQ(0, user_start(&v, self->b));
	WRITE_ONCE(((struct ivring_wire_consumer *)v.tx.peer)->cons, cpu_to_le64(12345));
	WRITE_ONCE(((struct ivring_wire_producer *)v.rx.peer)->prod, cpu_to_le64(4000));
	ASSERT_EQ(0, user_start(&u, self->a));
	EXPECT_EQ(0, u.tx.prod);
	EXPECT_EQ(0, u.rx.cons);
	ASSERT_EQ(0, ch_info(u.fd, &info));
	EXPECT_EQ(0, info.tx_prod);
	EXPECT_EQ(0, info.rx_cons);
	ASSERT_EQ(0, user_send(&u, 64, 64, 5));
	EXPECT_EQ(0, user_receive(&v, 64, 64, 5));
	user_end(&u, &self->a);
	user_end(&v, &self->b);
}

/* Nor is an index that moves after the peer said that it sends no more. */
TEST_F(user, end_stays)
{
	struct ivring_channel_info info;
	struct user u, v;

	ASSERT_EQ(0, user_start(&u, self->a));
	ASSERT_EQ(0, user_start(&v, self->b));
	ASSERT_EQ(0, user_send(&v, 1000, 1000, 5));
	ASSERT_EQ(0, SYS(ioctl(v.fd, IVRING_IOC_SHUTDOWN)));
	ASSERT_TRUE(wait_until(!ch_wait(u.fd, IVRING_WAIT_CONNECTED, 0) && !ch_info(u.fd, &info) &&
			       info.flags & IVRING_CHANNEL_F_PEER_SHUTDOWN, PATIENCE_MS));
	virt_store_release(&v.tx.own->prod, 0);
	ch_wait(u.fd, IVRING_WAIT_IN, 0);
	ASSERT_EQ(0, ch_info(u.fd, &info));
	EXPECT_EQ(1000, info.rx_prod);
	ASSERT_EQ(0, ivring_user_rx_end(&info, &u.rx));
	EXPECT_EQ(1000, ivring_rx_cached_avail(&u.rx));
	user_end(&u, &self->a);
	user_end(&v, &self->b);
}

/* What it left is read after it has gone, and counted. */
TEST_F(user, what_is_left)
{
	struct ivring_channel_info info;
	struct user u;
	size_t len;

	ASSERT_EQ(0, user_start(&u, self->b));
	/* Sixteen in the ring, either way */
	len = variant->flags & O_DIRECT ? 8 : 16;
	ASSERT_EQ(len, SYS(write(self->a, "0123456789abcdef", len)));
	close(self->a);
	self->a = -1;
	ASSERT_TRUE(wait_until(ch_state(u.fd) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	ASSERT_EQ(0, ch_info(u.fd, &info));
	EXPECT_EQ(16, info.rx_prod - info.rx_cons);
	ASSERT_EQ(0, ivring_user_rx_end(&info, &u.rx));
	ASSERT_EQ(16, ivring_rx_cached_avail(&u.rx));
	ivring_rx_publish(&u.rx, 16);
	EXPECT_EQ(16, channel_num(self->e.link[1], self->e.ch, "stats/rx_bytes") -
		  self->rx_bytes);
	/* The peer, which waited for that, moves on. */
	self->a = ends_open(&self->e, 0, variant->flags);
	ASSERT_LE(0, self->a);
	ASSERT_EQ(0, ch_info(u.fd, &info));
	EXPECT_EQ(IVRING_CHANNEL_PEER_CLOSED, info.state);
	ASSERT_EQ(0, ivring_user_rx_end(&info, &u.rx));
	EXPECT_EQ(0, ivring_rx_cached_avail(&u.rx));
	user_end(&u, &self->b);
}

/* A program that scribbles over its control page hurts its own channel only. */
TEST_F(user, scribbling)
{
	struct ivring_channel_info info;
	uint64_t *words;
	pid_t pid;
	char c;
	int i, r;

	ASSERT_EQ(0, ch_take(self->a));
	ASSERT_EQ(0, ch_info(self->a, &info));
	words = map_control(self->a, &info);
	ASSERT_NE(MAP_FAILED, words);
	pid = child_run(read(self->b, &c, 1) < 0 ? errno : 0);
	ASSERT_TRUE(child_asleep(pid, SYS_read));
	for (r = 0; r < 200; r++) {
		for (i = 0; i < 512; i += 16)
			words[i] = r % 3 ? ((uint64_t)random() << 32 | random()) : random() % 9;
		ch_ring(self->a);
		ch_wait(self->a, IVRING_WAIT_IN, 0);
		ch_poll(self->a, POLLIN | POLLOUT, 0);
	}
	r = child_end(pid, PATIENCE_MS);
	EXPECT_TRUE(r == EPROTO || r == ECONNRESET || r == 0);
	munmap(words, 4096);
	close(self->a);
	close(self->b);
	self->a = -1;
	self->b = -1;
	ASSERT_TRUE(wait_until(ends_closed(&self->e, self->e.ch), PATIENCE_MS));
	self->a = ends_open(&self->e, 0, O_RDWR);
	self->b = ends_open(&self->e, 1, O_RDWR);
	EXPECT_EQ(1, SYS(write(self->a, "x", 1)));
	EXPECT_EQ(1, SYS(read(self->b, &c, 1)));
	/* To poke at the indices may have cost a wake-up. */
	self->e.rescued = ends_rescued(&self->e);
}

TEST_F(node, take_needs_more_than_an_open_file)
{
	int a, b;

	a = ends_open(&self->e, 0, O_RDWR | O_EXCL);
	EXPECT_EQ(-ENOTCONN, ch_take(a));
	b = ends_open(&self->e, 1, O_RDWR);
	ASSERT_EQ(0, ch_connected(a));
	EXPECT_EQ(-EPERM, ch_take(b));
	close(b);
	close(a);
	ASSERT_TRUE(wait_until(ends_closed(&self->e, self->e.ch), PATIENCE_MS));
	a = ends_open(&self->e, 0, O_RDONLY | O_EXCL);
	EXPECT_EQ(-EBADF, ch_take(a));
	close(a);
}

PAIR_HARNESS_MAIN

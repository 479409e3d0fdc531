// SPDX-License-Identifier: GPL-2.0
/*
 * User memory that is not all there when a call begins: what is copied, and how much
 * the call says it was, must be right wherever a page fault comes in between.
 */
#define _GNU_SOURCE
#include "pair.h"
#include "late.h"
#include <pthread.h>

#define PAGE	4096UL

static uint64_t chance(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ULL;
	return pattern_word(17, *state);
}

/* ---- pages that come one after the other, when somebody waits for them ---- */

struct server {
	struct late l;
	const uint8_t *content;
	size_t pages;
	int ret;
};

static void *serve(void *data)
{
	struct server *s = data;
	size_t i;

	for (i = 0; !s->ret && i < s->pages; i++)
		s->ret = late_serve(&s->l, s->content);
	return NULL;
}

static int late_write(int fd, size_t pages)
{
	struct server s = { .pages = pages };
	uint8_t *content = malloc(pages * PAGE);
	pthread_t thread;
	long n;

	pattern_fill(content, pages * PAGE, 5, 0);
	s.content = content;
	if (late_map(&s.l, pages * PAGE) || pthread_create(&thread, NULL, serve, &s))
		return 98;
	/* From the middle of a page to the middle of one. */
	n = SYS(write(fd, s.l.map + 100, pages * PAGE - 200));
	pthread_join(thread, NULL);
	return s.ret ?: n == pages * PAGE - 200 ? 0 : 99;
}

static int late_read(int fd, size_t pages)
{
	struct server s = { .pages = pages, .content = calloc(pages, PAGE) };
	pthread_t thread;
	long n;

	if (late_map(&s.l, pages * PAGE) || pthread_create(&thread, NULL, serve, &s))
		return 98;
	n = SYS(read(fd, s.l.map + 100, pages * PAGE - 200));
	pthread_join(thread, NULL);
	if (s.ret || n != pages * PAGE - 200)
		return s.ret ?: 99;
	return pattern_check(s.l.map + 100, n, 5, 100) < 0 ? 0 : 97;
}

/* So many fit. */
static size_t some_pages(size_t window)
{
	return window / PAGE < 5 ? window / PAGE : 5;
}

TEST_F(pair, pages_come_one_by_one)
{
	const size_t pages = some_pages(self->window);
	pid_t pid;

	if (!late_supported())
		SKIP(return, "this kernel has no userfaultfd(2)");
	pid = child_run(late_write(self->a, pages));
	EXPECT_EQ(0, pattern_read(self->b, pages * PAGE - 200, 777, 5, 100));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));

	pattern_write(self->a, pages * PAGE - 200, pages * PAGE, 5, 100);
	ASSERT_EQ(0, ch_wait_events(self->b, IVRING_WAIT_IN, pages * PAGE - 200, 1,
				    MS(PATIENCE_MS), NULL));
	pid = child_run(late_read(self->b, pages));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(-EAGAIN, ch_wait(self->b, IVRING_WAIT_IN, 0));
}

struct user {
	struct late l;
	int fd;
	bool tx;
	long ret;
};

static void *move_some(void *data)
{
	struct user *u = data;

	u->ret = SYS(u->tx ? write(u->fd, u->l.map, 100) : read(u->fd, u->l.map, 100));
	return NULL;
}

/*
 * Who was told EAGAIN as another one was about to move data gets an edge when that has
 * ended, and be it that nothing was moved.
 */
static int edge_after(struct ends *e, int fd, bool tx)
{
	const int side = !tx, event = tx ? EPOLLOUT : EPOLLIN;
	struct user u = { .fd = fd, .tx = tx };
	struct pollfd fault = { .events = POLLIN };
	int other, ep, ret = 0;
	pthread_t thread;
	char c = 0;

	other = ends_open(e, side, O_RDWR | O_NONBLOCK);
	if (other < 0 || late_map(&u.l, PAGE) || pthread_create(&thread, NULL, move_some, &u))
		return 1;
	fault.fd = u.l.fd;
	ep = epoll_add(other, event | EPOLLET);
	if (poll(&fault, 1, PATIENCE_MS) != 1 || epoll_get(ep, 0) != event)
		ret = 2;
	else if (SYS(tx ? write(other, &c, 1) : read(other, &c, 1)) != -EAGAIN)
		ret = 3;
	else if (epoll_get(ep, 0))
		ret = 4;
	/* Whoever waits for the page tries again, and there is none. */
	if (munmap(u.l.map, PAGE) || close(u.l.fd))
		ret = ret ?: 5;
	if (epoll_get(ep, PATIENCE_MS) != event)
		ret = ret ?: 6;
	pthread_join(thread, NULL);
	if (u.ret != -EFAULT || SYS(tx ? write(other, &c, 1) : read(other, &c, 1)) != 1)
		ret = ret ?: 7;
	close(ep);
	close(other);
	return ret;
}

TEST_F(pair, edge_after_another_user)
{
	if (!late_supported())
		SKIP(return, "this kernel has no userfaultfd(2)");
	/* While no index has moved, the tick has no reason to wake anybody. */
	EXPECT_EQ(0, edge_after(&self->e, self->a, true));
	EXPECT_EQ(0, edge_after(&self->e, self->b, false));
}

TEST_F(node, messages_with_late_pages)
{
	struct ivring_channel_info info;
	size_t pages;
	int a = ends_open(&self->e, 0, O_RDWR | O_DIRECT);
	int b = ends_open(&self->e, 1, O_RDWR | O_DIRECT);
	char *buf;
	pid_t pid;

	if (!late_supported())
		SKIP(return, "this kernel has no userfaultfd(2)");
	ASSERT_EQ(0, ch_connected(a));
	ASSERT_EQ(0, ch_info(a, &info));
	pages = some_pages(info.window);
	buf = malloc(pages * PAGE);
	pid = child_run(late_write(a, pages));
	ASSERT_EQ(pages * PAGE - 200, SYS(read(b, buf, pages * PAGE)));
	EXPECT_EQ(-1, pattern_check(buf, pages * PAGE - 200, 5, 100));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	ASSERT_EQ(pages * PAGE - 200, SYS(write(a, buf, pages * PAGE - 200)));
	pid = child_run(late_read(b, pages));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(-EAGAIN, ch_wait(b, IVRING_WAIT_IN, 0));
	free(buf);
	close(a);
	close(b);
}

/* ---- at random ---- */

/* Some pages of @map are gone, from a file or for good; some that came then are there. */
static void pages_drop(uint8_t *map, size_t size, uint64_t *state)
{
	size_t first = chance(state) % (size / PAGE), count = 1 + chance(state) % 8;

	if (first + count > size / PAGE)
		count = size / PAGE - first;
	madvise(map + first * PAGE, count * PAGE, MADV_DONTNEED);
}

/*
 * A range of @size bytes, here and there of one byte or of none: the iovec ends in
 * memory that is not mapped when @broken. What must not be counted then.
 */
static int cut(struct iovec *v, uint8_t *buf, size_t len, uint8_t *hole, bool broken,
	       uint64_t *state)
{
	size_t first = chance(state) % (len + 1);

	v[0] = (struct iovec) { buf, first };
	v[1] = (struct iovec) { buf + first, len - first };
	v[2] = (struct iovec) { hole, 3000 };
	return broken ? 3 : 2;
}

/* The stream is the file's bytes, over and over. */
static int write_at_random(int fd, uint64_t total, size_t size, uint64_t seed)
{
	int file = memfd_create("pattern", MFD_CLOEXEC), count;
	uint8_t *map, *hole;
	uint64_t done = 0, state = seed;
	struct iovec v[3];
	size_t at, len;
	bool broken;
	long n;

	if (file < 0 || pattern_write(file, size, 65536, seed, 0))
		return 98;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED || hole == MAP_FAILED)
		return 98;
	while (done < total) {
		at = done % size;
		len = 1 + chance(&state) % (size - at);
		if (len > total - done)
			len = total - done;
		pages_drop(map, size, &state);
		broken = !(chance(&state) % 4);
		count = cut(v, map + at, len, hole, broken, &state);
		n = SYS(writev(fd, v, count));
		if (n <= 0 || (size_t)n > len || (!broken && (size_t)n != len))
			return n < 0 ? n : 97;
		done += n;
	}
	return 0;
}

static int read_at_random(int fd, uint64_t total, size_t size, uint64_t seed)
{
	uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t done = 0, state = seed * 3;
	struct iovec v[3];
	size_t at, len, i, part;
	bool broken;
	long n;

	if (map == MAP_FAILED || hole == MAP_FAILED)
		return 98;
	while (done < total) {
		at = chance(&state) % (size - 1);
		len = 1 + chance(&state) % (size - at);
		pages_drop(map, size, &state);
		broken = !(chance(&state) % 4);
		n = SYS(readv(fd, v, cut(v, map + at, len, hole, broken, &state)));
		if (n <= 0 || (size_t)n > len)
			return n < 0 ? n : 97;
		for (i = 0; i < (size_t)n; i += part) {
			part = size - (done + i) % size;
			if (part > n - i)
				part = n - i;
			if (pattern_check(map + at + i, part, seed, (done + i) % size) >= 0)
				return 96;
		}
		done += n;
	}
	return 0;
}

TEST_F_TIMEOUT(pair, bytes_at_random, 300)
{
	const char *mib = getenv("IVRING_TEST_MIB");
	uint64_t total = (mib ? strtoull(mib, NULL, 0) : 32) << 20;
	size_t size = self->window + 3 * PAGE;
	pid_t pid[2];

	pid[0] = child_run(write_at_random(self->a, total, size, 21));
	pid[1] = child_run(write_at_random(self->b, total, size, 22));
	EXPECT_EQ(0, ({
		pid_t other = child_run(read_at_random(self->a, total, size, 22));
		int ret = read_at_random(self->b, total, size, 21);

		ret ?: child_end(other, 200000); }));
	EXPECT_EQ(0, child_end(pid[0], PATIENCE_MS));
	EXPECT_EQ(0, child_end(pid[1], PATIENCE_MS));
}

/* Each message says by itself how long it is and what is in it. */
static int send_at_random(int fd, int count, size_t max, uint64_t seed)
{
	size_t size = (max + PAGE - 1) & ~(PAGE - 1), len;
	int i, file = memfd_create("pattern", MFD_CLOEXEC);
	uint64_t state = seed;
	struct iovec v[3];
	uint8_t *map;
	long n;

	if (file < 0 || pattern_write(file, size, 65536, seed, 0))
		return 98;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	if (map == MAP_FAILED)
		return 98;
	for (i = 0; i < count; i++) {
		len = 1 + chance(&state) % max;
		pages_drop(map, size, &state);
		n = SYS(writev(fd, v, cut(v, map, len, NULL, false, &state)));
		if (n != len)
			return n < 0 ? n : 97;
		/* Bad memory sends nothing, however much of it is good. */
		if (len + 3000 <= max &&
		    SYS(writev(fd, v, cut(v, map, len, NULL, true, &state))) != -EFAULT)
			return 95;
	}
	return 0;
}

TEST_F_TIMEOUT(node, messages_at_random, 300)
{
	int i, a = ends_open(&self->e, 0, O_RDWR | O_DIRECT);
	int b = ends_open(&self->e, 1, O_RDWR | O_DIRECT);
	const uint64_t seed = 31;
	uint64_t state = seed, mine = 7;
	struct ivring_channel_info info;
	const int count = 300;
	size_t max, size, len;
	uint8_t *map;
	pid_t pid;

	ASSERT_EQ(0, ch_connected(a));
	ASSERT_EQ(0, ch_info(a, &info));
	max = info.window - 8;
	size = (max + PAGE - 1) & ~(PAGE - 1);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	pid = child_run(send_at_random(a, count, max, seed));
	for (i = 0; i < count; i++) {
		len = 1 + chance(&state) % max;
		/* As the sender does. */
		chance(&state);
		chance(&state);
		chance(&state);
		if (len + 3000 <= max)
			chance(&state);
		pages_drop(map, size, &mine);
		ASSERT_EQ(len, SYS(read(b, map, max)));
		ASSERT_EQ(-1, pattern_check(map, len, seed, 0));
	}
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	munmap(map, size);
	close(a);
	close(b);
}

PAIR_HARNESS_MAIN

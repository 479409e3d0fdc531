// SPDX-License-Identifier: GPL-2.0
/*
 * Channels through io_uring: what cannot be done at once waits by poll, without a
 * thread that blocks, and whatever ends a wait ends a request.
 */
#define _GNU_SOURCE
#include "pair.h"
#include <liburing.h>

/* Those that wait for each other in one test */
#define DEPTH	8

#define RING_SETUP(ring) do {						\
	int __ret = io_uring_queue_init(DEPTH, (ring), 0);		\
									\
	if (__ret == -ENOSYS || __ret == -EPERM)			\
		SKIP(return, "this kernel lets nobody use io_uring");	\
	ASSERT_EQ(0, __ret);						\
} while (0)

static int submit(struct io_uring *ring, struct io_uring_sqe *sqe, uint64_t tag)
{
	io_uring_sqe_set_data64(sqe, tag);
	return io_uring_submit(ring);
}

static int submit_read(struct io_uring *ring, int fd, void *buf, size_t len, uint64_t tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, fd, buf, len, -1);
	return submit(ring, sqe, tag);
}

static int submit_write(struct io_uring *ring, int fd, const void *buf, size_t len, uint64_t tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_write(sqe, fd, buf, len, -1);
	return submit(ring, sqe, tag);
}

/* The result of the next request to end, and which it was; -ETIME when none does. */
static int result(struct io_uring *ring, int ms, uint64_t *tag)
{
	struct __kernel_timespec ts = { ms / 1000, ms % 1000 * 1000000 };
	struct io_uring_cqe *cqe;
	int ret = io_uring_wait_cqe_timeout(ring, &cqe, &ts);

	if (ret)
		return ret;
	ret = cqe->res;
	*tag = io_uring_cqe_get_data64(cqe);
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

/* Kernel threads that do for this process what would block it. */
static int workers(void)
{
	char comm[32], path[64];
	struct dirent *entry;
	DIR *dir = opendir("/proc/self/task");
	int n = 0;

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", entry->d_name);
		n += !read_file(path, comm, sizeof(comm)) && !strncmp(comm, "iou-wrk-", 8);
	}
	if (dir)
		closedir(dir);
	return n;
}

TEST_F(pair, uring_read_waits)
{
	const size_t n = 3000;
	struct io_uring ring;
	uint8_t buf[4096];
	uint64_t tag;

	RING_SETUP(&ring);
	ASSERT_EQ(1, submit_read(&ring, self->b, buf, sizeof(buf), 1));
	EXPECT_EQ(-ETIME, result(&ring, 20, &tag));
	EXPECT_EQ(0, workers());
	ASSERT_EQ(0, pattern_write(self->a, n, n, 3, 0));
	EXPECT_EQ(n, result(&ring, PATIENCE_MS, &tag));
	EXPECT_EQ(1, tag);
	EXPECT_EQ(-1, pattern_check(buf, n, 3, 0));
	io_uring_queue_exit(&ring);
}

TEST_F(pair, uring_write_waits)
{
	uint8_t *buf = malloc(self->window);
	struct io_uring ring;
	uint64_t tag;
	int n;

	RING_SETUP(&ring);
	pattern_fill(buf, self->window, 4, 0);
	ASSERT_EQ(1, submit_write(&ring, self->a, buf, self->window, 1));
	EXPECT_EQ(self->window, result(&ring, PATIENCE_MS, &tag));
	pattern_fill(buf, 5000, 4, self->window);
	ASSERT_EQ(1, submit_write(&ring, self->a, buf, 5000, 2));
	EXPECT_EQ(-ETIME, result(&ring, 20, &tag));
	EXPECT_EQ(0, workers());
	EXPECT_EQ(0, pattern_read(self->b, self->window, 4096, 4, 0));
	/* As much as there was room for, as a socket would. */
	n = result(&ring, PATIENCE_MS, &tag);
	EXPECT_LT(0, n);
	EXPECT_GE(5000, n);
	EXPECT_EQ(2, tag);
	EXPECT_EQ(0, pattern_read(self->b, n, 4096, 4, self->window));
	free(buf);
	io_uring_queue_exit(&ring);
}

/* A question that waits for its answer, over and over, from one thread. */
TEST_F(pair, uring_both_ways)
{
	uint64_t tag = 0, sent, got[2] = { 0, 0 };
	struct io_uring ring;
	int i, k;

	RING_SETUP(&ring);
	for (sent = 1; sent <= 200; sent++) {
		ASSERT_EQ(1, submit_read(&ring, self->a, &got[0], 8, 1));
		ASSERT_EQ(1, submit_read(&ring, self->b, &got[1], 8, 2));
		ASSERT_EQ(1, submit_write(&ring, self->a, &sent, 8, 3));
		ASSERT_EQ(1, submit_write(&ring, self->b, &sent, 8, 4));
		for (i = 0, k = 0; i < 4; i++) {
			ASSERT_EQ(8, result(&ring, PATIENCE_MS, &tag));
			k |= 1 << tag;
		}
		ASSERT_EQ(0x1e, k);
		ASSERT_EQ(sent, got[0]);
		ASSERT_EQ(sent, got[1]);
	}
	io_uring_queue_exit(&ring);
}

/* Who no longer waits takes nothing. */
TEST_F(pair, uring_cancel)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	uint8_t buf[64];
	uint64_t tag = 0;
	int i, code, ret[3];

	RING_SETUP(&ring);
	ASSERT_EQ(1, submit_read(&ring, self->b, buf, sizeof(buf), 1));
	EXPECT_EQ(-ETIME, result(&ring, 20, &tag));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_cancel64(sqe, 1, 0);
	ASSERT_EQ(1, submit(&ring, sqe, 2));
	for (i = 0; i < 2; i++) {
		code = result(&ring, PATIENCE_MS, &tag);
		ASSERT_TRUE(tag == 1 || tag == 2);
		ret[tag] = code;
	}
	EXPECT_EQ(-ECANCELED, ret[1]);
	EXPECT_EQ(0, ret[2]);
	EXPECT_EQ(0, pattern_write(self->a, 64, 64, 5, 0));
	EXPECT_EQ(0, pattern_read(self->b, 64, 64, 5, 0));
	io_uring_queue_exit(&ring);
}

/* The same by a deadline of its own */
TEST_F(pair, uring_linked_timeout)
{
	struct __kernel_timespec ts = { .tv_nsec = 20 * 1000000 };
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	uint8_t buf[64];
	uint64_t tag = 0;
	int i, ret;

	RING_SETUP(&ring);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, self->b, buf, sizeof(buf), -1);
	io_uring_sqe_set_data64(sqe, 1);
	sqe->flags |= IOSQE_IO_LINK;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_link_timeout(sqe, &ts, 0);
	ASSERT_EQ(2, submit(&ring, sqe, 2));
	for (i = 0; i < 2; i++) {
		ret = result(&ring, PATIENCE_MS, &tag);
		if (tag == 1)
			EXPECT_EQ(-ECANCELED, ret);
	}
	EXPECT_EQ(0, pattern_write(self->a, 64, 64, 6, 0));
	EXPECT_EQ(0, pattern_read(self->b, 64, 64, 6, 0));
	io_uring_queue_exit(&ring);
}

TEST_F(pair, uring_polls)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	uint64_t tag;

	RING_SETUP(&ring);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_add(sqe, self->b, POLLIN);
	ASSERT_EQ(1, submit(&ring, sqe, 1));
	EXPECT_EQ(-ETIME, result(&ring, 20, &tag));
	EXPECT_EQ(0, pattern_write(self->a, 10, 10, 7, 0));
	EXPECT_EQ(POLLIN, result(&ring, PATIENCE_MS, &tag) & POLLIN);
	EXPECT_EQ(0, pattern_read(self->b, 10, 10, 7, 0));
	io_uring_queue_exit(&ring);
}

TEST_F(pair, uring_meets_the_end)
{
	uint8_t *buf = calloc(1, self->window);
	struct io_uring ring;
	uint64_t tag = 0;
	int i, ret;

	RING_SETUP(&ring);
	ASSERT_EQ(1, submit_write(&ring, self->b, buf, self->window, 1));
	EXPECT_EQ(self->window, result(&ring, PATIENCE_MS, &tag));
	ASSERT_EQ(1, submit_read(&ring, self->b, buf, 100, 2));
	ASSERT_EQ(1, submit_write(&ring, self->b, buf, 100, 3));
	EXPECT_EQ(-ETIME, result(&ring, 20, &tag));
	close(self->a);
	self->a = -1;
	for (i = 0; i < 2; i++) {
		ret = result(&ring, PATIENCE_MS, &tag);
		EXPECT_EQ(tag == 2 ? 0 : -EPIPE, ret);
	}
	free(buf);
	io_uring_queue_exit(&ring);
}

/* A file that is closed while a request waits stays open for that one. */
TEST_F(pair, uring_outlives_close)
{
	struct io_uring ring;
	uint8_t buf[100];
	uint64_t tag;

	RING_SETUP(&ring);
	ASSERT_EQ(1, submit_read(&ring, self->b, buf, sizeof(buf), 1));
	EXPECT_EQ(-ETIME, result(&ring, 20, &tag));
	close(self->b);
	self->b = -1;
	ASSERT_EQ(0, pattern_write(self->a, 100, 100, 8, 0));
	EXPECT_EQ(100, result(&ring, PATIENCE_MS, &tag));
	EXPECT_EQ(-1, pattern_check(buf, 100, 8, 0));
	io_uring_queue_exit(&ring);
}

PAIR_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * The rings of a loop link, mapped into user space.
 */
#include "pair.h"
#include "sigbus.h"
#include <pthread.h>

static int map_error(int fd, size_t len, int prot, int flags, off_t offset)
{
	void *p = mmap(NULL, len, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, len);
	return 0;
}

TEST_F(pair, mmap_rules)
{
	const int rw = PROT_READ | PROT_WRITE;
	off_t tx = self->info.tx_map_offset, rx = self->info.rx_map_offset;
	size_t size = self->info.map_size;
	int ro, wo;
	void *p;

	EXPECT_EQ(0, map_error(self->a, size, rw, MAP_SHARED, tx));
	EXPECT_EQ(0, map_error(self->a, size, PROT_READ, MAP_SHARED, tx));
	EXPECT_EQ(0, map_error(self->a, size, PROT_READ, MAP_SHARED, rx));
	EXPECT_EQ(0, map_error(self->a, 4096, rw, MAP_SHARED, tx + size - 4096));
	EXPECT_EQ(0, map_error(self->a, 4096, PROT_READ, MAP_SHARED, rx + size - 4096));
	EXPECT_EQ(-EACCES, map_error(self->a, size, rw, MAP_SHARED, rx));
	EXPECT_EQ(-EACCES, map_error(self->a, 4096, PROT_WRITE, MAP_SHARED, rx + 4096));
	EXPECT_EQ(-EINVAL, map_error(self->a, size, rw, MAP_PRIVATE, tx));
	EXPECT_EQ(-EINVAL, map_error(self->a, size, PROT_READ, MAP_PRIVATE, rx));
	/* Beyond either ring, or across both. */
	EXPECT_EQ(-EINVAL, map_error(self->a, size + 4096, rw, MAP_SHARED, tx));
	EXPECT_EQ(-EINVAL, map_error(self->a, size + 4096, PROT_READ, MAP_SHARED, rx));
	EXPECT_EQ(-EINVAL, map_error(self->a, 2 * size, PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, map_error(self->a, 8192, PROT_READ, MAP_SHARED, tx + size - 4096));
	EXPECT_EQ(-EINVAL, map_error(self->a, 8192, PROT_READ, MAP_SHARED, rx + size - 4096));
	/* The control page is for who took the indices. */
	EXPECT_EQ(-EACCES, map_error(self->a, 4096, PROT_READ, MAP_SHARED, 2 * size));
	EXPECT_EQ(-EINVAL, map_error(self->a, 8192, PROT_READ, MAP_SHARED, 2 * size));
	EXPECT_EQ(-EINVAL, map_error(self->a, 4096, PROT_READ, MAP_SHARED, 2 * size + 4096));
	EXPECT_EQ(-EINVAL, map_error(self->a, 4096, PROT_READ, MAP_SHARED,
				     (off_t)1 << 46));
	EXPECT_EQ(-EINVAL, map_error(self->a, 4096, rw, MAP_SHARED, tx + 1));

	/* What was mapped read-only stays that. */
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, self->a, rx);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-EACCES, SYS(mprotect(p, size, rw)));
	munmap(p, size);

	ro = ends_open(&self->e, 0, O_RDONLY);
	wo = ends_open(&self->e, 0, O_WRONLY);
	EXPECT_EQ(0, map_error(ro, size, PROT_READ, MAP_SHARED, tx));
	EXPECT_EQ(0, map_error(ro, size, PROT_READ, MAP_SHARED, rx));
	EXPECT_EQ(-EACCES, map_error(ro, size, rw, MAP_SHARED, tx));
	EXPECT_EQ(-EACCES, map_error(wo, size, PROT_READ, MAP_SHARED, tx));
	close(ro);
	close(wo);
}

TEST_F(pair, mmap_is_double)
{
	size_t ring = self->ring, step = ring / 8 < 4096 ? 4096 : ring / 8, off;
	char *tx, *rx;

	tx = ch_map(self->a, true);
	rx = ch_map(self->b, false);
	ASSERT_NE(NULL, tx);
	ASSERT_NE(NULL, rx);
	for (off = 0; off < ring; off += step) {
		tx[off] = 1 + off / step;
		EXPECT_EQ(tx[off], tx[off + ring]);
		EXPECT_EQ(tx[off], rx[off]);
		EXPECT_EQ(tx[off], rx[off + ring]);
		/* One page in four places: neither half of the sender's is a copy. */
		tx[off + ring] += 100;
		EXPECT_EQ(101 + off / step, tx[off]);
		EXPECT_EQ(101 + off / step, rx[off]);
		EXPECT_EQ(101 + off / step, rx[off + ring]);
	}
	/* Written just below the end, read across it. */
	tx[ring - 1] = 'A';
	tx[ring] = 'B';
	EXPECT_EQ('A', rx[ring - 1]);
	EXPECT_EQ('B', rx[0]);
	EXPECT_EQ(0, memcmp(rx + ring - 1, "AB", 2));
}

TEST_F(pair, spans_wrap_seamlessly)
{
	size_t chunk = self->window / 2 + 1234;
	struct ivring_span out, in;
	char *tx, *rx;
	int i;

	tx = ch_map(self->a, true);
	rx = ch_map(self->b, false);
	ASSERT_NE(NULL, tx);
	ASSERT_NE(NULL, rx);
	for (i = 0; i < 50; i++) {
		uint64_t pos = i * chunk;

		ASSERT_EQ(0, ch_reserve(self->a, &out, chunk, MS(PATIENCE_MS)));
		ASSERT_EQ(pos % self->ring, out.offset);
		ASSERT_LE(chunk, out.len);
		pattern_fill(tx + out.offset, chunk, 1, pos);
		/* In two parts. */
		ASSERT_EQ(0, ch_commit(self->a, out.offset, 1000));
		ASSERT_EQ(0, ch_commit(self->a, (out.offset + 1000) % self->ring, chunk - 1000));
		if (out.len > chunk)
			ASSERT_EQ(0, ch_commit(self->a, (pos + chunk) % self->ring, 0));

		ASSERT_EQ(0, ch_peek(self->b, &in, chunk, MS(PATIENCE_MS)));
		ASSERT_EQ(out.offset, in.offset);
		ASSERT_EQ(chunk, in.len);
		ASSERT_EQ(-1, pattern_check(rx + in.offset, chunk, 1, pos));
		ASSERT_EQ(0, ch_release(self->b, in.offset, 1));
		ASSERT_EQ(0, ch_release(self->b, (in.offset + 1) % self->ring, chunk - 1));
	}
}

/* The mapping holds the file, as mappings do; a child does not inherit it. */
TEST_F(pair, mmap_outlives_close)
{
	char *tx = ch_map(self->a, true);
	pid_t pid;

	ASSERT_NE(NULL, tx);
	tx[0] = 'x';
	pid = child_run(tx[0]);
	EXPECT_EQ(-(1000 + SIGSEGV), child_end(pid, PATIENCE_MS));
	EXPECT_EQ(-EINVAL, SYS(madvise(tx, 2 * self->ring, MADV_DOFORK)));
	pid = child_run(tx[0]);
	EXPECT_EQ(-(1000 + SIGSEGV), child_end(pid, PATIENCE_MS));
	close(self->a);
	tx[4096] = 'y';
	EXPECT_EQ(IVRING_CHANNEL_CONNECTED, ch_state(self->b));
	munmap(tx, 2 * self->ring);
	EXPECT_TRUE(wait_until(ch_state(self->b) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
}

/* The disk's driver would take hold of the pages. A copy of them is as good as any memory. */
TEST_F(pair, mmap_and_direct_io)
{
	char *tx = ch_map(self->a, true), *rx = ch_map(self->b, false), *copy;
	int fd = file_on_disk();

	if (fd < 0)
		SKIP(return, "no file system with O_DIRECT in /scratch");
	ASSERT_NE(NULL, tx);
	ASSERT_NE(NULL, rx);
	copy = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, copy);
	ASSERT_EQ(0, pattern_write(fd, 8192, 8192, 1, 0));
	ASSERT_EQ(0, SYS(fsync(fd)));
	memset(tx, 't', 4096);
	ASSERT_EQ(0, SYS(fcntl(fd, F_SETFL, O_RDWR | O_DIRECT)));
	EXPECT_EQ(-EFAULT, SYS(pread(fd, tx, 4096, 4096)));
	EXPECT_EQ(-EFAULT, SYS(pwrite(fd, tx, 4096, 0)));
	EXPECT_EQ(-EFAULT, SYS(pwrite(fd, rx, 4096, 0)));
	EXPECT_EQ(4096, SYS(pread(fd, copy, 4096, 4096)));
	EXPECT_EQ(-1, pattern_check(copy, 4096, 1, 4096));
	EXPECT_EQ('t', rx[4095]);
	ASSERT_EQ(0, SYS(fcntl(fd, F_SETFL, O_RDWR)));
	EXPECT_EQ(0, file_check(fd, 0, 8192, 1, 0));
	EXPECT_EQ(4096, SYS(pread(fd, tx, 4096, 4096)));
	EXPECT_EQ(-1, pattern_check(rx, 4096, 1, 4096));
	munmap(copy, 4096);
	munmap(tx, 2 * self->ring);
	munmap(rx, 2 * self->ring);
	close(fd);
}

/* ---- mappings of files whose conversation is over ---- */

/* Nobody who comes next alters what is still on its way. */
TEST_F(pair, lingering_is_not_mapped)
{
	char *tx, *rx, buf[8];
	int a2;

	ASSERT_EQ(3, SYS(write(self->a, "old", 3)));
	close(self->a);
	self->a = a2 = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a2);
	tx = ch_map(a2, true);
	rx = ch_map(a2, false);
	ASSERT_NE(NULL, tx);
	ASSERT_NE(NULL, rx);
	faults_return();
	EXPECT_EQ(-SIGBUS, touch_write(tx, 'x'));
	EXPECT_EQ(-SIGBUS, touch(rx));
	EXPECT_EQ(3, SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(0, memcmp(buf, "old", 3));
	EXPECT_EQ(0, SYS(read(self->b, buf, sizeof(buf))));
	close(self->b);
	self->b = ends_open(&self->e, 1, O_RDWR);
	ASSERT_EQ(0, ch_connected(a2));
	EXPECT_EQ(0, touch_write(tx, 'x'));
	EXPECT_LE(0, touch(rx));
	munmap(tx, 2 * self->ring);
	munmap(rx, 2 * self->ring);
}

/* Not for each of the files anew, which would take minutes. */
TEST_F(pair, many_mappings_go_at_once)
{
	int files[300], a2, i;
	int64_t start;

	for (i = 0; i < ARRAY_LEN(files); i++) {
		files[i] = ends_open(&self->e, 0, O_RDWR);
		ASSERT_LE(0, files[i]);
	}
	for (i = 0; i < 10000; i++)
		ASSERT_NE(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->a, 0));
	close(self->b);
	self->b = -1;
	ASSERT_TRUE(wait_until(ch_state(self->a) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	start = now_ns();
	a2 = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a2);
	EXPECT_GT(MS(1000) * lab_slow(), now_ns() - start);
	close(a2);
	for (i = 0; i < ARRAY_LEN(files); i++)
		close(files[i]);
}

TEST_F(pair, next_conversation_is_not_mapped)
{
	const int rw = PROT_READ | PROT_WRITE;
	size_t last = 2 * self->ring - 4096;
	char *tx = ch_map(self->a, true), *rx = ch_map(self->a, false), *tx2, c;
	int a2, b2;

	ASSERT_NE(NULL, tx);
	ASSERT_NE(NULL, rx);
	faults_return();
	EXPECT_EQ(0, touch_write(tx, 'a'));
	EXPECT_LE(0, touch(rx));
	close(self->b);
	ASSERT_TRUE(wait_until(ch_state(self->a) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	/* As long as there is no other one, it is this file's. */
	EXPECT_EQ('a', touch(tx));
	EXPECT_EQ(0, map_error(self->a, 4096, rw, MAP_SHARED, 0));

	a2 = ends_open(&self->e, 0, O_RDWR);
	ASSERT_LE(0, a2);
	EXPECT_EQ(-SIGBUS, touch(tx));
	EXPECT_EQ(-SIGBUS, touch(rx));
	/* Pages it never touched, too. */
	EXPECT_EQ(-SIGBUS, touch_write(tx + last, 'b'));
	EXPECT_EQ(-SIGBUS, touch(rx + last));
	EXPECT_EQ(-ECONNRESET, map_error(self->a, 4096, rw, MAP_SHARED, 0));
	EXPECT_EQ(-ECONNRESET, map_error(self->a, 4096, PROT_READ, MAP_SHARED, 2 * self->ring));

	self->b = b2 = ends_open(&self->e, 1, O_RDWR);
	ASSERT_EQ(0, ch_connected(a2));
	ASSERT_EQ(0, ch_connected(b2));
	tx2 = ch_map(a2, true);
	ASSERT_NE(NULL, tx2);
	EXPECT_EQ(1, SYS(write(a2, "x", 1)));
	EXPECT_EQ('x', touch(tx2));
	EXPECT_EQ(-SIGBUS, touch_write(tx, 'y'));
	EXPECT_EQ(1, SYS(read(b2, &c, 1)));
	EXPECT_EQ('x', c);

	/* It is open for as long as it is mapped; from then on it is one's own. */
	close(a2);
	EXPECT_EQ(-EBUSY, ends_open(&self->e, 0, O_RDWR | O_EXCL));
	munmap(tx2, 2 * self->ring);
	EXPECT_TRUE(wait_until(ch_state(b2) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
	a2 = ends_open(&self->e, 0, O_RDWR | O_EXCL);
	ASSERT_LE(0, a2);
	EXPECT_EQ(-SIGBUS, touch(tx));
	EXPECT_EQ(-ECONNRESET, map_error(self->a, 4096, rw, MAP_SHARED, 0));
	munmap(tx, 2 * self->ring);
	munmap(rx, 2 * self->ring);
	close(a2);
}

struct mapper {
	int fd;
	char secret;
	bool began;
};

/* Maps anew, and so faults, until that fails: false when it saw the secret. */
static void *map_and_look(void *data)
{
	struct mapper *m = data;
	char *p;
	int c = 0;

	while (c >= 0 && c != m->secret) {
		p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, m->fd, 0);
		if (p == MAP_FAILED)
			break;
		c = touch(p);
		munmap(p, 4096);
		__atomic_store_n(&m->began, true, __ATOMIC_RELEASE);
	}
	return (void *)(uintptr_t)(c != m->secret);
}

/* A page fault that is under way when the next conversation begins. */
TEST_F(pair, fault_meets_the_next_conversation)
{
	struct mapper m = { .secret = 'S' };
	pthread_t thread;
	char buf[100];
	void *blind;
	int i, a2;

	faults_return();
	memset(buf, m.secret, sizeof(buf));
	/* Where it looks something else has been since. */
	ASSERT_EQ(100, SYS(write(self->a, memset(buf, 'o', 100), 100)));
	for (i = 0; i < 300; i++) {
		m.fd = self->a;
		m.began = false;
		ASSERT_EQ(0, pthread_create(&thread, NULL, map_and_look, &m));
		close(self->b);
		EXPECT_TRUE(wait_until(__atomic_load_n(&m.began, __ATOMIC_ACQUIRE) &&
				       ch_state(self->a) == IVRING_CHANNEL_PEER_CLOSED,
				       PATIENCE_MS));
		a2 = ends_open(&self->e, 0, O_RDWR);
		self->b = ends_open(&self->e, 1, O_RDWR);
		ASSERT_EQ(0, ch_connected(a2));
		memset(buf, m.secret, sizeof(buf));
		EXPECT_EQ(100, SYS(write(a2, buf, 100)));
		ASSERT_EQ(0, pthread_join(thread, &blind));
		close(self->a);
		self->a = a2;
		ASSERT_TRUE(blind);
		/* Over it, or the next round would see it where it may. */
		ASSERT_EQ(0, ch_connected(self->b));
		ASSERT_EQ(100, SYS(read(self->b, buf, 100)));
		*(char *)(blind = ch_map(a2, true)) = 'o';
		munmap(blind, 2 * self->ring);
	}
}

PAIR_HARNESS_MAIN

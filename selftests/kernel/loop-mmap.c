// SPDX-License-Identifier: GPL-2.0
/*
 * The rings of a loop link, mapped into user space.
 */
#include "pair.h"

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
	EXPECT_EQ(-EINVAL, map_error(self->a, 4096, PROT_READ, MAP_SHARED, 2 * size));
	EXPECT_EQ(-EINVAL, map_error(self->a, 4096, PROT_READ, MAP_SHARED, 1L << 46));
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

static uint64_t page_frame(const void *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)addr / 4096 * 8) != 8)
		entry = 0;
	close(fd);
	return entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
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
		/* One page in four places, all of them the very same. */
		EXPECT_NE(0, page_frame(tx + off));
		EXPECT_EQ(page_frame(tx + off), page_frame(tx + off + ring));
		EXPECT_EQ(page_frame(tx + off), page_frame(rx + off));
		EXPECT_EQ(page_frame(tx + off), page_frame(rx + off + ring));
	}
	EXPECT_NE(page_frame(tx), page_frame(tx + step));
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
	close(self->a);
	tx[4096] = 'y';
	EXPECT_EQ(IVRING_CHANNEL_CONNECTED, ch_state(self->b));
	munmap(tx, 2 * self->ring);
	EXPECT_TRUE(wait_until(ch_state(self->b) == IVRING_CHANNEL_PEER_CLOSED, PATIENCE_MS));
}

PAIR_HARNESS_MAIN

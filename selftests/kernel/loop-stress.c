// SPDX-License-Identifier: GPL-2.0
/*
 * Many bytes through loop links: by read and write, by spans, on all channels
 * at once, checked byte by byte, with no wake-up lost.
 */
#include "pair.h"

/* How much to move: more where there is time for it. */
static uint64_t volume(void)
{
	const char *mib = getenv("IVRING_TEST_MIB");

	return (mib ? atoll(mib) : 64) << 20;
}

static int __span_write(int fd, char *tx, uint64_t ring, uint64_t len, size_t chunk, uint64_t seed)
{
	struct ivring_span span;
	uint64_t pos, n;
	int ret;

	for (pos = 0; pos < len; pos += n) {
		ret = ch_reserve(fd, &span, 1, MS(PATIENCE_MS));
		if (ret)
			return ret;
		if (span.offset != pos % ring)
			return -EBADSLT;
		n = span.len < chunk ? span.len : chunk;
		n = n < len - pos ? n : len - pos;
		pattern_fill(tx + span.offset, n, seed, pos);
		ret = ch_commit(fd, span.offset, n);
		if (ret)
			return ret;
	}
	/* What is left of the last span; there may be nothing. */
	ch_commit(fd, len % ring, 0);
	return ch_wait(fd, IVRING_WAIT_DRAINED, MS(PATIENCE_MS));
}

static int span_write(int fd, uint64_t len, size_t chunk, uint64_t seed)
{
	struct ivring_channel_info info;
	char *tx = ch_map(fd, true);
	int ret;

	if (!tx || ch_info(fd, &info))
		return -errno;
	ret = __span_write(fd, tx, info.ring_size, len, chunk, seed);
	munmap(tx, info.map_size);
	return ret;
}

static int __span_read(int fd, const char *rx, uint64_t len, uint64_t seed)
{
	struct ivring_span span;
	uint64_t pos;
	int ret;

	for (pos = 0; pos < len; pos += span.len) {
		ret = ch_peek(fd, &span, 1, MS(PATIENCE_MS));
		if (ret)
			return ret;
		if (!span.len)
			return -ENODATA;
		if (pattern_check(rx + span.offset, span.len, seed, pos) >= 0)
			return -EILSEQ;
		ret = ch_release(fd, span.offset, span.len);
		if (ret)
			return ret;
	}
	return 0;
}

static int span_read(int fd, uint64_t len, uint64_t seed)
{
	struct ivring_channel_info info;
	char *rx = ch_map(fd, false);
	int ret;

	if (!rx || ch_info(fd, &info))
		return -errno;
	ret = __span_read(fd, rx, len, seed);
	munmap(rx, info.map_size);
	return ret;
}

static void report(struct __test_metadata *_metadata, const char *what, uint64_t bytes, int64_t ns)
{
	TH_LOG("%s: %ju MiB, %jd MB/s", what, (uintmax_t)(bytes >> 20),
	       (intmax_t)(bytes * 1000 / ns));
}

/* Counters of one channel agree on both sides, and with what was moved. */
TEST_F(pair, counters)
{
	const char *const bytes[] = { "stats/tx_bytes", "stats/rx_bytes" };
	long long before[2][2];
	int i, j;

	for (i = 0; i < 2; i++)
		for (j = 0; j < 2; j++)
			before[i][j] = channel_num(self->e.link[i], self->e.ch, bytes[j]);
	ASSERT_EQ(0, pattern_write(self->a, 4321, 1000, 1, 0));
	ASSERT_EQ(0, pattern_read(self->b, 4321, 777, 1, 0));
	ASSERT_EQ(0, pattern_write(self->b, 99, 10, 1, 0));
	ASSERT_EQ(0, pattern_read(self->a, 99, 99, 1, 0));
	EXPECT_EQ(before[0][0] + 4321, channel_num(self->e.link[0], self->e.ch, bytes[0]));
	EXPECT_EQ(before[0][1] + 99, channel_num(self->e.link[0], self->e.ch, bytes[1]));
	EXPECT_EQ(before[1][0] + 99, channel_num(self->e.link[1], self->e.ch, bytes[0]));
	EXPECT_EQ(before[1][1] + 4321, channel_num(self->e.link[1], self->e.ch, bytes[1]));
}

TEST_F_TIMEOUT(pair, read_write, 300)
{
	const size_t chunks[] = { 1 << 20, 65536, 4096, 999 };
	int64_t start;
	pid_t pid;
	int i;

	for (i = 0; i < ARRAY_LEN(chunks); i++) {
		uint64_t len = volume() / (i + 1) + i;

		start = now_ns();
		pid = child_run(pattern_write(self->a, len, chunks[i], i, 0));
		ASSERT_EQ(0, pattern_read(self->b, len, chunks[i], i, 0));
		ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
		report(_metadata, "read and write", len, now_ns() - start);
	}
}

TEST_F_TIMEOUT(pair, spans, 300)
{
	const size_t chunks[] = { 1 << 20, 65536, 999 };
	int64_t start;
	pid_t pid;
	int i;

	/* Spans begin where the conversation is, so each run has its own. */
	for (i = 0; i < ARRAY_LEN(chunks); i++) {
		uint64_t len = volume() / (i + 1) + i;

		close(self->a);
		close(self->b);
		ASSERT_TRUE(wait_until(ends_closed(&self->e, self->e.ch), PATIENCE_MS));
		self->a = ends_open(&self->e, 0, O_RDWR);
		self->b = ends_open(&self->e, 1, O_RDWR);
		ASSERT_EQ(0, ch_connected(self->a));
		start = now_ns();
		pid = child_run(span_write(self->a, len, chunks[i], i));
		ASSERT_EQ(0, span_read(self->b, len, i));
		ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
		report(_metadata, "spans", len, now_ns() - start);
	}
}

/* One byte there and one back: every one of them is a sleep and a wake-up. */
TEST_F_TIMEOUT(pair, ping_pong, 300)
{
	const int rounds = 20000;
	int64_t start = now_ns();
	pid_t pid;
	char c;
	int i;

	pid = child_run(({
		int k, ret = 0;
		char d;

		for (k = 0; k < rounds && !ret; k++)
			ret = read(self->b, &d, 1) == 1 && write(self->b, &d, 1) == 1 ? 0 : -errno;
		ret; }));
	for (i = 0; i < rounds; i++) {
		c = i;
		ASSERT_EQ(1, SYS(write(self->a, &c, 1)));
		c = ~i;
		ASSERT_EQ(1, SYS(read(self->a, &c, 1)));
		ASSERT_EQ((char)i, c);
	}
	ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
	TH_LOG("round trip: %jd ns", (intmax_t)((now_ns() - start) / rounds));
}

/* Both directions at once, through a window smaller than a write. */
TEST_F_TIMEOUT(node, small_window_both_ways, 300)
{
	const uint64_t len = volume() / 8;
	long long old[2];
	pid_t pid[4];
	int fd[2], i;

	for (i = 0; i < 2; i++) {
		old[i] = channel_num(self->e.link[i], self->e.ch, "window");
		ASSERT_EQ(0, channel_set_window(self->e.link[i], self->e.ch, 4096));
		fd[i] = ends_open(&self->e, i, O_RDWR);
		ASSERT_LE(0, fd[i]);
	}
	for (i = 0; i < 2; i++) {
		pid[2 * i] = child_run(pattern_write(fd[i], len, 10000, i, 0));
		pid[2 * i + 1] = child_run(pattern_read(fd[!i], len, 10000, i, 0));
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, child_end(pid[i], 250000));
	for (i = 0; i < 2; i++)
		close(fd[i]);
	ASSERT_TRUE(wait_until(ends_closed(&self->e, self->e.ch), PATIENCE_MS));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, channel_set_window(self->e.link[i], self->e.ch, old[i]));
}

static int stream_channel(const struct ends *e, unsigned int ch, int i, bool out, uint64_t len)
{
	int fd = channel_open(e->link[i], ch, O_RDWR);

	if (fd < 0)
		return fd;
	return out ? pattern_write(fd, len, 20000 + ch, ch + 100 * i, 0) :
		     pattern_read(fd, len, 20000 - ch, ch + 100 * !i, 0) ?:
		     ch_wait(fd, IVRING_WAIT_DRAINED, FOREVER);
}

/* Every channel of every pair, both ways at once. */
TEST_F_TIMEOUT(node, all_channels_of_all_pairs, 300)
{
	const uint64_t len = volume() / 16;
	struct ends e[2];
	long long rescued[2][32];
	pid_t pid[2 * 32 * 2];
	unsigned int ch[2] = {};
	int pairs, p, c, n = 0, i;
	char buf[16];

	for (pairs = 0; pairs < 2 && !ends_find(&e[pairs], pairs); pairs++) {
		ASSERT_EQ(0, link_attr(e[pairs].link[0], "channels", buf, sizeof(buf)));
		ch[pairs] = atoi(buf) < 8 ? atoi(buf) : 8;
	}
	for (p = 0; p < pairs; p++) {
		for (c = 0; c < ch[p]; c++) {
			e[p].ch = c;
			rescued[p][c] = ends_rescued(&e[p]);
			pid[n++] = child_run(stream_channel(&e[p], c, c % 2, true, len));
			pid[n++] = child_run(stream_channel(&e[p], c, !(c % 2), false, len));
		}
	}
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, child_end(pid[i], 250000)) {
			TH_LOG("process %d of %d", i, n);
		}
	for (p = 0; p < pairs; p++)
		for (c = 0; c < ch[p]; c++) {
			e[p].ch = c;
			EXPECT_EQ(rescued[p][c], ends_rescued(&e[p]));
			EXPECT_TRUE(wait_until(ends_closed(&e[p], c), PATIENCE_MS));
		}
}

/* Several readers and writers of one channel: every byte once, none twice. */
TEST_F_TIMEOUT(pair, many_on_one, 300)
{
	enum { WRITERS = 3, READERS = 3 };
	const int words = 20000;
	pid_t pid[WRITERS + READERS];
	unsigned int *seen;
	int i, sum = 0;

	seen = mmap(NULL, WRITERS * words * sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, seen);
	for (i = 0; i < WRITERS; i++)
		pid[i] = child_run(({
			int k, ret = 0;

			close(self->b);
			for (k = 0; k < words && !ret; k++) {
				unsigned int w = i * words + k;

				ret = write(self->a, &w, sizeof(w)) == sizeof(w) ? 0 : -EIO;
			}
			ret; }));
	for (i = WRITERS; i < WRITERS + READERS; i++)
		pid[i] = child_run(({
			unsigned int w;
			long n;

			close(self->a);
			while ((n = read(self->b, &w, sizeof(w))) == sizeof(w))
				__atomic_fetch_add(&seen[w % (WRITERS * words)], 1,
						   __ATOMIC_RELAXED);
			n < 0 ? -errno : n ? 99 : 0; }));
	close(self->a);
	for (i = 0; i < WRITERS + READERS; i++)
		EXPECT_EQ(0, child_end(pid[i], 250000));
	for (i = 0; i < WRITERS * words; i++)
		sum += seen[i] == 1;
	EXPECT_EQ(WRITERS * words, sum);
	close(self->b);
}

PAIR_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * Memory to memory: source and destination are far larger than any cache, the
 * same pages for the ring and for memcpy, and all mapped before the clock runs.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "chan.h"
#include "stream.h"

#define CHANNELS	8

struct job {
	struct region region;
	uint64_t bytes, window, chunk;
	int channels;
	int rounds;		/* through the memory */
	bool pinned;
	bool cached;		/* plain stores into the destination */
};

static uint8_t *src, *dst;

static void memory_prepare(uint64_t bytes)
{
	uint64_t i;

	src = shared_alloc(bytes);
	dst = shared_alloc(bytes);
	for (i = 0; i < bytes / 8; i++)
		((uint64_t *)src)[i] = i * 0x9e3779b97f4a7c15ull;
	memset(dst, 0, bytes);
}

static void memory_release(uint64_t bytes)
{
	munmap(src, bytes);
	munmap(dst, bytes);
}

/* ---- the two sides ---- */

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Being woken is worth half a window, and whatever a chunk is. */
static uint64_t plenty(uint64_t n, uint64_t left, const struct job *j)
{
	uint64_t half = smaller(left, j->window / 2);

	return half > n ? half : n;
}

static void produce(struct chan *c, const uint8_t *from, uint64_t left, const struct job *j)
{
	uint64_t n;

	for (; left; left -= n, from += n) {
		n = smaller(left, j->chunk);
		chan_wait_room(c, n, plenty(n, left, j));
		memcpy(chan_tx_ptr(c), from, n);
		chan_produced(c, n);
	}
}

static void consume(struct chan *c, uint8_t *to, uint64_t left, const struct job *j)
{
	uint64_t n;

	for (; left; left -= n, to += n) {
		n = smaller(left, j->chunk);
		chan_wait_data(c, n, plenty(n, left, j));
		if (j->cached)
			memcpy(to, chan_rx_ptr(c), n);
		else
			stream_copy(to, chan_rx_ptr(c), n);
		chan_consumed(c, n);
	}
}

/* Processes 0, 2, 4... consume from channels 0, 1, 2...; the odd ones produce. */
static void transfer_work(int who, void *arg)
{
	const struct job *j = arg;
	uint64_t part = j->bytes / j->channels, offset = who / 2 * part;
	struct chan c;
	int i;

	if (j->pinned)
		pin(opt.cpu[who % 2]);
	else
		unpin();
	chan_open(&c, &j->region, who / 2, who % 2, j->window, opt.spin_ns);
	if (who % 2)
		populate(src + offset, part, false);
	else
		populate(dst + offset, part, true);
	duo_start();
	for (i = 0; i < j->rounds; i++) {
		if (who % 2)
			produce(&c, src + offset, part, j);
		else
			consume(&c, dst + offset, part, j);
	}
	duo_stop();
	chan_close(&c);
}

/* GB/s through the ring. */
static double transfer(struct job *j, uint64_t ring)
{
	uint64_t ns;

	region_create(&j->region, j->channels, ring);
	ns = duo_run(2 * j->channels, transfer_work, j);
	region_destroy(&j->region);
	return (double)j->bytes * j->rounds / ns;
}

static void memcpy_work(int who, void *arg)
{
	const struct job *j = arg;
	uint64_t i;

	(void)who;
	pin(opt.cpu[0]);
	populate(src, j->bytes, false);
	populate(dst, j->bytes, true);
	duo_start();
	if (!j->cached)
		memcpy(dst, src, j->bytes);
	else
		for (i = 0; i < j->bytes; i += j->chunk)
			memcpy(dst + i, src + i, smaller(j->chunk, j->bytes - i));
	duo_stop();
}

/*
 * What the ring is measured against: one call, in which the C library streams;
 * or, where the ring's consumer does not stream, calls of the ring's chunks.
 */
static double copy_plain(struct job *j)
{
	return (double)j->bytes / duo_run(1, memcpy_work, j);
}

static void verify(struct job *j, uint64_t ring)
{
	memset(dst, 0, j->bytes);
	transfer(j, ring);
	if (memcmp(src, dst, j->bytes))
		die("what came through the ring is not what was sent");
}

/* ---- the figures ---- */

/* One pair per run, and by turns the one or the other first. */
static void pair(struct job *j, uint64_t ring, int run, struct series *through,
		 struct series *plain)
{
	if (run % 2)
		series_add(through, transfer(j, ring));
	series_add(plain, copy_plain(j));
	if (!(run % 2))
		series_add(through, transfer(j, ring));
}

static void figures(const char *names[2], const char *texts[2], const struct series *plain,
		    const struct series *through)
{
	report_figure(names[0], texts[0], "GB/s", plain);
	report_figure(names[1], texts[1], "GB/s", through);
}

static void copy_keys(const struct series *plain, const struct series *through,
		      const struct series *streaming_plain,
		      const struct series *streaming_through)
{
	struct series ratio = series_ratio(through, plain);

	report_key("ring_over_memcpy_chunks",
		   "ring, memcpy() on both sides / memcpy() by chunks of the same size", &ratio,
		   0, true);
	ratio = series_ratio(through, streaming_plain);
	report_key("ring_cached_over_memcpy",
		   "ring, memcpy() on both sides / memcpy() of all in one call, which streams",
		   &ratio, 0, true);
	ratio = series_ratio(streaming_through, streaming_plain);
	report_key("ring_over_memcpy",
		   "ring, whose consumer streams by this benchmark's own copy / the same memcpy()",
		   &ratio, 0.95, true);
}

/* Both ways of copying in each run, so that each figure can be held against each other. */
void bench_copy(void)
{
	struct job cached = {
		.bytes = opt.bytes, .window = opt.window, .chunk = opt.chunk, .channels = 1,
		.rounds = 1, .pinned = true, .cached = true,
	};
	struct job streaming = cached;
	struct series plain[2] = { { .n = 0 } }, through[2] = { { .n = 0 } };
	int run;

	streaming.cached = false;
	report_title("Memory to memory, %ju MiB, window %ju KiB, chunk %ju KiB, ring %ju KiB",
		     (uintmax_t)(opt.bytes / MIB), (uintmax_t)(opt.window / KIB),
		     (uintmax_t)(opt.chunk / KIB), (uintmax_t)(opt.ring / KIB));
	memory_prepare(opt.bytes);
	verify(&cached, opt.ring);
	verify(&streaming, opt.ring);
	copy_plain(&streaming);
	for (run = 0; run < opt.runs; run++) {
		pair(&cached, opt.ring, run, &through[0], &plain[0]);
		pair(&streaming, opt.ring, run, &through[1], &plain[1]);
	}
	figures((const char *[]) { "memcpy_chunks", "ring_cached" },
		(const char *[]) { "memcpy, chunk by chunk", "through the ring, plain stores" },
		&plain[0], &through[0]);
	figures((const char *[]) { "memcpy", "ring" },
		(const char *[]) { "memcpy, one call, which streams",
				   "through the ring, streaming" },
		&plain[1], &through[1]);
	copy_keys(&plain[0], &through[0], &plain[1], &through[1]);
	memory_release(opt.bytes);
}

static void sweep(const char *name, struct job *j, uint64_t ring, uint64_t x)
{
	struct series through = { .n = 0 }, plain = { .n = 0 }, ratio;
	int run;

	for (run = 0; run < opt.runs; run++)
		pair(j, ring, run, &through, &plain);
	ratio = series_ratio(&through, &plain);
	report_point(name, x, &through, &ratio);
}

/* Each of the three sizes in turn, the others as they are by default. */
void bench_sweep(void)
{
	uint64_t step = opt.quick ? 4 : 2, top = opt.quick ? 16 * MIB : 64 * MIB, x;
	struct job j = {
		.bytes = smaller(opt.bytes, opt.quick ? 256 * MIB : 512 * MIB), .channels = 1,
		.rounds = 1, .pinned = true,
	};

	memory_prepare(j.bytes);
	report_title("Sweep of the window, ring %ju MiB", (uintmax_t)(top / MIB));
	for (x = 64 * KIB; x <= top; x *= step) {
		j.window = x;
		j.chunk = smaller(opt.chunk, x / 8);
		sweep("window", &j, top, x);
	}
	report_title("Sweep of the chunk, window %ju KiB", (uintmax_t)(opt.window / KIB));
	for (x = 4 * KIB; x <= opt.window; x *= step) {
		j.window = opt.window;
		j.chunk = x;
		sweep("chunk", &j, opt.ring, x);
	}
	report_title("Sweep of the ring, window %ju KiB or the ring", (uintmax_t)(opt.window / KIB));
	for (x = 64 * KIB; x <= top; x *= step) {
		j.window = smaller(opt.window, x);
		j.chunk = smaller(opt.chunk, x / 8);
		sweep("ring", &j, x, x);
	}
	memory_release(j.bytes);
}

/*
 * Many channels at once, on the same two CPUs and with the same bytes in all as
 * one: sixteen processes, which the scheduler places.
 */
void bench_channels(void)
{
	struct job one = {
		.bytes = opt.bytes / CHANNELS / 4096 * CHANNELS * 4096, .window = opt.window,
		.chunk = opt.chunk, .channels = 1, .pinned = true,
		/*
		 * Longer than the scheduler's slices, and than what fresh channels may
		 * spin in vain: eight limits a waiter.
		 */
		.rounds = opt.quick ? 4 : 16,
	};
	struct job many = one;
	struct series a = { .n = 0 }, b = { .n = 0 }, ratio;
	int run;

	many.channels = CHANNELS;
	many.pinned = false;
	report_title("%d channels at once on %d CPUs, %ju MiB in all", CHANNELS, opt.cpus,
		     (uintmax_t)(one.bytes * one.rounds / MIB));
	memory_prepare(one.bytes);
	verify(&many, opt.ring);
	transfer(&one, opt.ring);
	for (run = 0; run < opt.runs; run++) {
		if (run % 2)
			series_add(&b, transfer(&many, opt.ring));
		series_add(&a, transfer(&one, opt.ring));
		if (!(run % 2))
			series_add(&b, transfer(&many, opt.ring));
	}
	ratio = series_ratio(&b, &a);
	report_figure("channels1", "one channel", "GB/s", &a);
	report_figure("channels8", "eight channels together", "GB/s", &b);
	report_key("channels8_over_1", "eight channels of two processes each / one channel", &ratio,
		   0.9, true);
	memory_release(one.bytes);
}

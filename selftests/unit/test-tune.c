// SPDX-License-Identifier: GPL-2.0
/* Sizes that follow from the caches, include/ivring/tune.h. */
#include <ivring/tune.h>

#include "tap.h"

#define KIB	1024ull
#define MIB	(1024 * KIB)

static const struct {
	const char *what;
	uint64_t l2, llc, ring, window;
} cases[] = {
	{ "nothing known", 0, 0, 16 * MIB, 2 * MIB },
	{ "256 KiB and 8 MiB", 256 * KIB, 8 * MIB, 16 * MIB, 512 * KIB },
	{ "1 MiB and 32 MiB", MIB, 32 * MIB, 16 * MIB, 2 * MIB },
	{ "1.25 MiB and 12 MiB", 1280 * KIB, 12 * MIB, 16 * MIB, MIB },
	{ "2 MiB and 60 MiB", 2 * MIB, 60 * MIB, 16 * MIB, 4 * MIB },
	{ "4 MiB and no more", 4 * MIB, 0, 16 * MIB, 4 * MIB },
	{ "a last level that is tiny", MIB, 64 * KIB, 16 * MIB, 256 * KIB },
	{ "a second level that is tiny", 4 * KIB, 0, 16 * MIB, 256 * KIB },
	{ "numbers beyond reason", 1ull << 62, 1ull << 63, 16 * MIB, 4 * MIB },
	{ "a small ring", MIB, 32 * MIB, 64 * KIB, 64 * KIB },
	{ "the smallest ring", MIB, 32 * MIB, 4 * KIB, 4 * KIB },
};

static void test_window(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t window = ivring_window_auto(cases[i].l2, cases[i].llc, cases[i].ring);

		if (!ok(window == cases[i].window, "window: %s", cases[i].what))
			printf("# %ju\n", (uintmax_t)window);
	}
}

static void test_chunk(void)
{
	bool good = true;

	ok(ivring_chunk_auto(2 * MIB) == 128 * KIB, "chunk: a sixteenth of the window");
	ok(ivring_chunk_auto(64 * MIB) == 256 * KIB, "chunk: no more than 256 KiB");
	ok(ivring_chunk_auto(8 * KIB) == 4 * KIB, "chunk: no less than 4 KiB");
	for (uint64_t w = 1; w < 3 * MIB; w += w < 10000 ? 1 : 4097)
		good &= ivring_chunk_auto(w) >= 1 && ivring_chunk_auto(w) <= w;
	ok(good, "chunk: always 1..window");
}

/* Bytes of a chunk after a hundred, in a machine that copies so many bytes in a us. */
static uint64_t paced(uint64_t chunk, uint64_t max, uint64_t bytes_per_us)
{
	for (int i = 0; i < 100; i++)
		chunk = ivring_chunk_pace(chunk, max, chunk * 1000 / bytes_per_us);
	return chunk;
}

static void test_pace(void)
{
	ok(paced(128 * KIB, 128 * KIB, 20000) == 128 * KIB, "pace: fast memory, the longest chunk");
	ok(paced(4 * KIB, 128 * KIB, 20000) == 128 * KIB, "pace: it gets there from the shortest");
	ok(paced(128 * KIB, 128 * KIB, 1000) == 16 * KIB, "pace: slow memory, short chunks");
	ok(paced(128 * KIB, 128 * KIB, 1) == 4 * KIB, "pace: never below the shortest");
	ok(paced(128 * KIB, 4 * KIB, 20000) == 4 * KIB, "pace: never above the limit");
	ok(paced(4 * KIB, 1, 20000) == 1, "pace: however small that is");
}

int main(void)
{
	test_window();
	test_chunk();
	test_pace();
	return tap_done();
}

// SPDX-License-Identifier: GPL-2.0
/* Laying out and checking superblocks, include/ivring/wire.h. */
#include <stdio.h>
#include <stdlib.h>

#include <ivring/wire.h>

#include "tap.h"

#define SIZE	(1ULL << 20)

static struct ivring_wire_superblock sb;
static struct ivring_wire_geometry geo;

static int format(uint64_t size, uint64_t ring_size, uint32_t channels, const char *label)
{
	struct ivring_wire_format f = {
		.region_size = size, .ring_size = ring_size, .channels = channels, .label = label,
	};

	return ivring_wire_format(&sb, &f);
}

static int check(uint64_t size)
{
	memset(&geo, 0x5a, sizeof(geo));
	return ivring_wire_check(&sb, size, &geo);
}

/* ---- format ---- */

static void test_format(void)
{
	ok(format(SIZE, 0, 4, "vm0") == 0, "a region is laid out");
	ok(!memcmp(&sb, "ivring\n\0", 8), "with the magic");
	ok(check(SIZE) == 0, "and accepted");
	ok(geo.region_size == SIZE && geo.side_offset == 4096 && geo.channel_offset == 3 * 4096 &&
	   geo.data_offset == 7 * 4096 && geo.channels == 4, "geometry");
	ok(geo.ring_size == 65536, "the largest ring that fits");
	ok(!strcmp(geo.label, "vm0"), "label");
	ok(format(SIZE, 4096, 4, "vm0") == 0 && !check(SIZE) && geo.ring_size == 4096,
	   "a ring of a given size");
	ok(format(IVRING_WIRE_REGION_SIZE_MAX, 0, 1, "vm0") == 0 &&
	   !check(IVRING_WIRE_REGION_SIZE_MAX) &&
	   geo.ring_size == IVRING_WIRE_REGION_SIZE_MAX / 4, "the largest region");
	ok(format(65536, 0, 1, "vm0") == 0 && !check(65536) && geo.ring_size == 16384, "64 KiB");
}

static void test_format_every_geometry(void)
{
	int size_log, bad = 0, fits = 0, not = 0;
	uint32_t channels;

	for (size_log = 16; 1ULL << size_log <= IVRING_WIRE_REGION_SIZE_MAX; size_log++) {
		for (channels = 1; channels <= 32; channels++) {
			uint64_t size = 1ULL << size_log;
			uint64_t data = (1 + 2 + channels) * 4096ULL;
			bool room = size > data && size - data >= 2 * channels * 4096ULL;
			int ret = format(size, 0, channels, "x");

			bad += ret != (room ? 0 : -EINVAL);
			if (ret)
				not++;
			else
				fits++;
			if (!ret)
				bad += check(size) != 0 || geo.data_offset != data ||
				       geo.data_offset + 2 * channels * geo.ring_size > size ||
				       geo.data_offset + 4 * channels * geo.ring_size <= size;
		}
	}
	ok(!bad && fits > 600 && not > 10, "every size and number of channels (%d fit, %d do not)",
	   fits, not);
}

static void test_format_refuses(void)
{
	static const struct {
		uint64_t size, ring;
		uint32_t channels;
		const char *label, *what;
	} bad[] = {
		{ 0, 0, 1, "x", "no region" },
		{ 32768, 0, 1, "x", "a region too small" },
		{ 2 * IVRING_WIRE_REGION_SIZE_MAX, 0, 1, "x", "a region too big" },
		{ SIZE + 4096, 0, 1, "x", "a size that is no power of two" },
		{ SIZE, 0, 0, "x", "no channel" },
		{ SIZE, 0, 33, "x", "too many channels" },
		{ SIZE, 0, ~0U, "x", "far too many channels" },
		{ SIZE, 2048, 1, "x", "a ring too small" },
		{ SIZE, 4097, 1, "x", "a ring that is no power of two" },
		{ SIZE, SIZE / 2, 1, "x", "a ring too big" },
		{ SIZE, 1ULL << 63, 1, "x", "a ring far too big" },
		{ 65536, 0, 32, "x", "more channels than there is room for" },
		{ SIZE, 0, 1, "", "an empty label" },
		{ SIZE, 0, 1, ".x", "a label with a dot in front" },
		{ SIZE, 0, 1, "-x", "a label with a dash in front" },
		{ SIZE, 0, 1, "a b", "a label with a space" },
		{ SIZE, 0, 1, "a/b", "a label with a slash" },
		{ SIZE, 0, 1, "a\n", "a label with a newline" },
		{ SIZE, 0, 1, "\xc3\xa4", "a label beyond ASCII" },
		{ SIZE, 0, 1, "12345678901234567890123456789012", "a label too long" },
	};
	struct ivring_wire_superblock before;
	size_t i;

	memset(&sb, 0x77, sizeof(sb));
	before = sb;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ok(format(bad[i].size, bad[i].ring, bad[i].channels, bad[i].label) == -EINVAL,
		   "no %s", bad[i].what);
		if (memcmp(&before, &sb, sizeof(sb)))
			ok(false, "and nothing is written");
	}
	ok(format(SIZE, 0, 1, "1234567890123456789012345678901") == 0 && !check(SIZE),
	   "a label of 31 characters");
	ok(format(SIZE, 0, 1, "Az09._-") == 0 && !check(SIZE), "a label of all kinds");
}

/* ---- check ---- */

static void fresh(void)
{
	if (format(SIZE, 0, 4, "vm0"))
		abort();
}

static void test_check_sizes(void)
{
	fresh();
	ok(check(0) == -EFBIG && check(1) == -EFBIG && check(32768) == -EFBIG &&
	   check(SIZE - 1) == -EFBIG && check(SIZE + 4096) == -EFBIG &&
	   check(2 * IVRING_WIRE_REGION_SIZE_MAX) == -EFBIG && check(1ULL << 63) == -EFBIG && check(-1ULL) == -EFBIG,
	   "sizes that no region has");
	ok(check(SIZE / 2) == -ENOTUNIQ && check(2 * SIZE) == -ENOTUNIQ,
	   "sizes that this region has not");
}

#define REJECTED(error, field, value) do {				\
	fresh();							\
	sb.field = (value);						\
	ok(check(SIZE) == (error), "%s", #field " = " #value ": " #error);	\
} while (0)

static void test_check_fields(void)
{
	REJECTED(-EBADMSG, magic, 0);
	REJECTED(-EBADMSG, magic, htobe64(IVRING_WIRE_MAGIC));
	REJECTED(-EBADMSG, magic, htole64(IVRING_WIRE_MAGIC ^ 1));
	REJECTED(-EPROTONOSUPPORT, version, htole32(0));
	REJECTED(-EPROTONOSUPPORT, version, htole32(2));
	REJECTED(-EPROTONOSUPPORT, version, htobe32(1));
	REJECTED(-EPROTONOSUPPORT, features, htole64(2));
	REJECTED(-EPROTONOSUPPORT, features, htobe64(1));
	REJECTED(-EPROTONOSUPPORT, features, htole64(1ULL << 63));
	REJECTED(-EPROTONOSUPPORT, reserved0, htole32(1));
	REJECTED(-EPROTONOSUPPORT, reserved[0], 1);
	REJECTED(-EPROTONOSUPPORT, reserved[sizeof(sb.reserved) - 1], 1);
	REJECTED(-ENOTUNIQ, superblock_size, htole32(4095));
	REJECTED(-ENOTUNIQ, superblock_size, htole32(0));
	REJECTED(-ENOTUNIQ, region_size, htole64(SIZE / 2));
	REJECTED(-ENOTUNIQ, region_size, htole64(2 * SIZE));
	REJECTED(-ENOTUNIQ, region_size, 0);
	REJECTED(-ENOTUNIQ, side_size, htole32(8192));
	REJECTED(-ENOTUNIQ, channel_size, htole32(2048));
	REJECTED(-ENOTUNIQ, side_offset, 0);
	REJECTED(-ENOTUNIQ, side_offset, htole64(4096 + 64));
	REJECTED(-ENOTUNIQ, side_offset, htole64(2 * 4096));
	REJECTED(-ENOTUNIQ, side_offset, htole64(SIZE));
	REJECTED(-ENOTUNIQ, side_offset, htole64(-4096ULL));
	REJECTED(-ENOTUNIQ, channel_offset, 0);
	REJECTED(-ENOTUNIQ, channel_offset, htole64(2 * 4096));
	REJECTED(-ENOTUNIQ, channel_offset, htole64(4 * 4096));
	REJECTED(-ENOTUNIQ, channel_offset, htole64(3 * 4096 + 1));
	REJECTED(-ENOTUNIQ, channel_offset, htole64(-4096ULL));
	REJECTED(-ENOTUNIQ, data_offset, 0);
	REJECTED(-ENOTUNIQ, data_offset, htole64(6 * 4096));
	REJECTED(-ENOTUNIQ, data_offset, htole64(7 * 4096 + 8));
	REJECTED(-ENOTUNIQ, data_offset, htole64(SIZE));
	REJECTED(-ENOTUNIQ, data_offset, htole64(SIZE - 8 * 65536 + 4096));
	REJECTED(-ENOTUNIQ, data_offset, htole64(-8 * 65536ULL));
	REJECTED(-ENOTUNIQ, ring_size, 0);
	REJECTED(-ENOTUNIQ, ring_size, htole64(2048));
	REJECTED(-ENOTUNIQ, ring_size, htole64(65536 - 4096));
	REJECTED(-ENOTUNIQ, ring_size, htole64(131072));
	REJECTED(-ENOTUNIQ, ring_size, htole64(1ULL << 41));
	REJECTED(-ENOTUNIQ, ring_size, htole64(1ULL << 61));
	REJECTED(-ENOTUNIQ, ring_size, htole64(1ULL << 63));
	REJECTED(-ENOTUNIQ, channels, 0);
	REJECTED(-ENOTUNIQ, channels, htole32(5));
	REJECTED(-ENOTUNIQ, channels, htole32(33));
	REJECTED(-ENOTUNIQ, channels, htole32(~0U));
	REJECTED(-ENOTUNIQ, label[0], 0);
	REJECTED(-ENOTUNIQ, label[0], '-');
	REJECTED(-ENOTUNIQ, label[0], '$');
	REJECTED(-ENOTUNIQ, label[2], ' ');
	REJECTED(-ENOTUNIQ, label[2], 0x80);
	fresh();
	memset(sb.label, 'x', sizeof(sb.label));
	ok(check(SIZE) == -ENOTUNIQ, "a label without end");
	REJECTED(-ENOTUNIQ, label[4], 'x');
	REJECTED(-ENOTUNIQ, label[31], 1);
	/* What differs from our own layout and yet is possible. */
	fresh();
	sb.data_offset = htole64(SIZE - 8 * 65536);
	ok(check(SIZE) == 0, "data at the very end");
	fresh();
	sb.channels = htole32(1);
	ok(check(SIZE) == 0, "fewer channels");
}

/* Every number of channels with rings of every size: accepted just when all fits. */
static void test_check_every_ring(void)
{
	int wrong = 0, accepted = 0, near;
	uint64_t pages, ring, data;
	uint32_t channels;

	for (channels = 0; channels <= 34; channels++) {
		data = (3 + channels) * 4096ULL;
		/* Around each multiple of a page */
		for (pages = 0; pages <= SIZE / 4096 + 1; pages++) {
			for (near = -1; near <= 1; near++) {
				bool fits;

				ring = pages * 4096 + near;
				fits = channels >= 1 && channels <= 32 && pages && !near &&
				       !(pages & (pages - 1)) && data + 2 * channels * ring <= SIZE;
				fresh();
				sb.channels = htole32(channels);
				sb.data_offset = htole64(data);
				sb.ring_size = htole64(ring);
				wrong += check(SIZE) != (fits ? 0 : -ENOTUNIQ);
				accepted += fits;
			}
		}
	}
	ok(!wrong && accepted > 60, "every number of channels, every size of rings (%d fit)",
	   accepted);
}

/* Regions of every power of two, and the neighbours of each */
static void test_check_every_region(void)
{
	int i, wrong = 0;

	for (i = 0; i < 64; i++) {
		uint64_t size = 1ULL << i;
		bool good = size >= IVRING_WIRE_REGION_SIZE_MIN &&
			    size <= IVRING_WIRE_REGION_SIZE_MAX;

		fresh();
		sb.region_size = htole64(size);
		wrong += check(size) != (!good ? -EFBIG : size >= SIZE ? 0 : -ENOTUNIQ);
		if (i > 1)
			wrong += check(size - 1) != -EFBIG || check(size + 1) != -EFBIG;
	}
	ok(!wrong, "every size of a region, and one byte more or less");
}

/* ---- fuzz ---- */

static uint64_t rnd = 1;

static uint64_t next_random(void)
{
	rnd ^= rnd << 13;
	rnd ^= rnd >> 7;
	rnd ^= rnd << 17;
	return rnd;
}

static uint64_t next_value(void)
{
	uint64_t v;

	switch (next_random() % 6) {
	case 0:
		return next_random();
	case 1:
		return 1ULL << next_random() % 64;
	case 2:
		v = 1ULL << next_random() % 64;
		return v - 4096 * (next_random() % 4);
	case 3:
		return next_random() % 64;
	case 4:
		return -4096ULL * (next_random() % 300);
	default:
		return 4096 * (next_random() % 300);
	}
}

static void spoil(void)
{
	switch (next_random() % 14) {
	case 0:
		sb.region_size = htole64(next_value());
		break;
	case 1:
	case 2:
		sb.side_offset = htole64(next_value());
		break;
	case 3:
	case 4:
		sb.channel_offset = htole64(next_value());
		break;
	case 5:
	case 6:
		sb.data_offset = htole64(next_value());
		break;
	case 7:
	case 8:
		sb.ring_size = htole64(next_value());
		break;
	case 9:
	case 10:
		sb.channels = htole32(next_value());
		break;
	case 11:
		sb.label[next_random() % 32] = next_random();
		break;
	case 12:
		((uint8_t *)&sb)[next_random() % 128] = next_random();
		break;
	default:
		((uint8_t *)&sb)[next_random() % sizeof(sb)] ^= 1 << next_random() % 8;
	}
}

typedef unsigned __int128 u128;

/* The areas lie in the region, apart and in order, told by wider arithmetic. */
static bool sound(uint64_t size)
{
	u128 sides = (u128)geo.side_offset + 2 * 4096;
	u128 channels = (u128)geo.channel_offset + (u128)geo.channels * 4096;
	u128 data = (u128)geo.data_offset + (u128)2 * geo.channels * geo.ring_size;
	size_t i, len = strnlen(geo.label, sizeof(geo.label));

	for (i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
			    geo.label[i]))
			return false;
	return geo.region_size == size && geo.channels >= 1 && geo.channels <= 32 &&
	       geo.ring_size >= 4096 && !(geo.ring_size & (geo.ring_size - 1)) &&
	       !(geo.side_offset % 4096) && !(geo.channel_offset % 4096) &&
	       !(geo.data_offset % 4096) && geo.side_offset >= 4096 &&
	       sides <= geo.channel_offset && channels <= geo.data_offset && data <= size &&
	       len > 0 && len < sizeof(geo.label);
}

static void test_fuzz(void)
{
	int i, k, accepted = 0, unsound = 0, odd_errno = 0;

	for (i = 0; i < 300000; i++) {
		uint64_t size = 1ULL << (16 + next_random() % 23);
		int ret;

		if (format(size, 0, 1 + next_random() % 32, "fuzz"))
			continue;
		for (k = next_random() % 5; k >= 0; k--)
			spoil();
		ret = check(size);
		accepted += !ret;
		unsound += !ret && !sound(size);
		odd_errno += ret && ret != -EBADMSG && ret != -EPROTONOSUPPORT && ret != -ENOTUNIQ;
	}
	ok(accepted > 1000, "fuzz: %d superblocks were accepted", accepted);
	ok(!unsound, "fuzz: and all of them are sound");
	ok(!odd_errno, "fuzz: all others got an errno from the list");
	for (i = 0, accepted = 0; i < 1000; i++) {
		for (k = 0; k < (int)(sizeof(sb) / 8); k++)
			((uint64_t *)&sb)[k] = next_random();
		accepted += check(SIZE) != -EBADMSG;
		sb.magic = htole64(IVRING_WIRE_MAGIC);
		accepted += check(SIZE) != -EPROTONOSUPPORT;
	}
	ok(!accepted, "fuzz: noise is never a superblock");
}

/* ---- vectors ---- */

static void test_vector(void)
{
	uint32_t c, vectors, v;
	bool good = true;

	for (c = 0; c < 32; c++) {
		good &= ivring_wire_vector(c, 0) == 0 && ivring_wire_vector(c, 1) == 0;
		good &= ivring_wire_vector(c, 2) == 1;
		for (vectors = 2; vectors <= 256; vectors++) {
			v = ivring_wire_vector(c, vectors);
			good &= v >= 1 && v < vectors && v == 1 + c % (vectors - 1);
		}
	}
	ok(good, "a channel's vector is never vector 0, unless there is no other");
}

int main(void)
{
	test_format();
	test_format_every_geometry();
	test_format_refuses();
	test_check_sizes();
	test_check_fields();
	test_check_every_ring();
	test_check_every_region();
	test_fuzz();
	test_vector();
	return tap_done();
}

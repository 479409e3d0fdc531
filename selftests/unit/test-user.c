// SPDX-License-Identifier: GPL-2.0
/* Indices in user space, include/ivring/user.h, over plain memory. */
#include <stdio.h>
#include <string.h>

#include <ivring/user.h>

#include "tap.h"

#define SIZE	4096u

static const uint64_t starts[] = {
	0, 1, SIZE - 1, (1ULL << 32) - 1, 1ULL << 63, -1ULL, -(uint64_t)SIZE,
};

#define STARTS	(sizeof(starts) / sizeof(starts[0]))

static struct ivring_wire_channel wire;
static struct ivring_tx tx;
static struct ivring_rx rx;

static struct ivring_channel_info info_at(uint32_t side, uint64_t prod, uint64_t cons)
{
	return (struct ivring_channel_info) {
		.side = side, .ring_size = SIZE, .window = SIZE / 2,
		.tx_prod = prod, .rx_cons = cons, .rx_prod = cons,
	};
}

static void test_sides(void)
{
	for (uint32_t side = 0; side < 2; side++) {
		struct ivring_channel_info info = info_at(side, 0, 0);

		memset(&wire, 0, sizeof(wire));
		CHECK(!ivring_user_rings(&wire, &info, &tx, &rx));
		CHECK(tx.own == &wire.ring[side].producer && tx.peer == &wire.ring[side].consumer);
		CHECK(rx.own == &wire.ring[!side].consumer &&
		      rx.peer == &wire.ring[!side].producer);
		CHECK(tx.size == SIZE && rx.size == SIZE && tx.window == SIZE / 2);
	}
}

/* What a peer wrote over this side's own indices does not count. */
static void test_own_indices(void)
{
	for (size_t i = 0; i < STARTS; i++) {
		struct ivring_channel_info info = info_at(0, starts[i], starts[STARTS - 1 - i]);

		memset(&wire, 0xa5, sizeof(wire));
		wire.ring[0].consumer.cons = htole64(starts[i] - 100);
		CHECK(!ivring_user_rings(&wire, &info, &tx, &rx));
		CHECK(tx.prod == info.tx_prod && tx.cons == tx.prod - 100);
		CHECK(rx.cons == info.rx_cons && rx.prod == rx.cons);
		CHECK(ivring_tx_cached_space(&tx) == SIZE / 2 - 100);
	}
}

static void test_bad_cons(void)
{
	const uint64_t bad[] = { 1, 2, SIZE, 1ULL << 63, -(uint64_t)SIZE - 1 };

	for (size_t i = 0; i < STARTS; i++) {
		struct ivring_channel_info info = info_at(1, starts[i], 0);

		for (size_t b = 0; b < sizeof(bad) / sizeof(bad[0]); b++) {
			wire.ring[1].consumer.cons = htole64(starts[i] + bad[b]);
			CHECK(ivring_user_rings(&wire, &info, &tx, &rx) == -EPROTO);
		}
		wire.ring[1].consumer.cons = htole64(starts[i] - SIZE);
		CHECK(!ivring_user_rings(&wire, &info, &tx, &rx));
		CHECK(!ivring_tx_cached_space(&tx));
	}
}

static void test_end(void)
{
	for (size_t i = 0; i < STARTS; i++) {
		struct ivring_channel_info info = info_at(0, 0, starts[i]);

		memset(&wire, 0, sizeof(wire));
		CHECK(!ivring_user_rings(&wire, &info, &tx, &rx));
		rx.prod = rx.cons + 10;
		info.rx_prod = starts[i] + 9;
		CHECK(ivring_user_rx_end(&info, &rx) == -EPROTO);
		info.rx_prod = starts[i] + SIZE + 1;
		CHECK(ivring_user_rx_end(&info, &rx) == -EPROTO);
		info.rx_prod = starts[i] - 1;
		CHECK(ivring_user_rx_end(&info, &rx) == -EPROTO);
		CHECK(ivring_rx_cached_avail(&rx) == 10);
		info.rx_prod = starts[i] + 10;
		CHECK(!ivring_user_rx_end(&info, &rx) && ivring_rx_cached_avail(&rx) == 10);
		info.rx_prod = starts[i] + SIZE;
		CHECK(!ivring_user_rx_end(&info, &rx) && ivring_rx_cached_avail(&rx) == SIZE);
	}
}

int main(void)
{
	tap_run(test_sides, "each side has its lines");
	tap_run(test_own_indices, "own indices are the kernel's, not those in shared memory");
	tap_run(test_bad_cons, "an impossible index of the peer's is refused");
	tap_run(test_end, "what the peer left is at least what was seen, and no more than a ring");
	return tap_done();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Indices in user space, include/ivring/user.h: whatever the peer wrote, and whatever
 * the kernel says it wrote, no index is out of bounds.
 */
#include "harness.h"
#include <ivring/user.h>

static struct ivring_wire_channel wire;
static struct ivring_tx tx;
static struct ivring_rx rx;

static struct ivring_channel_info any_info(void)
{
	struct ivring_channel_info info = {
		.side = nondet_u32(), .ring_size = nondet_u64(), .window = nondet_u64(),
		.tx_prod = nondet_u64(), .rx_cons = nondet_u64(), .rx_prod = nondet_u64(),
	};

	assume(info.side < 2 && is_power_of_2(info.ring_size));
	assume(info.window && info.window <= info.ring_size);
	return info;
}

void user_rings(void)
{
	struct ivring_channel_info info = any_info();
	int ret = ivring_user_rings(&wire, &info, &tx, &rx);

	prove(ret == 0 || ret == -EPROTO);
	prove(peer_reads == 1);
	prove(tx.prod == info.tx_prod && rx.cons == info.rx_cons && !ivring_rx_cached_avail(&rx));
	if (ret)
		return;
	prove(tx.cons == peer_value && tx.prod - tx.cons <= tx.size);
	prove(ivring_tx_cached_space(&tx) <= tx.window);
	/* Both rings, each side's own half of each */
	prove((void *)tx.own != (void *)rx.own && (void *)tx.peer != (void *)rx.peer);
	(void)tx.own->event;
	(void)rx.own->event;
	(void)tx.peer->event;
	(void)rx.peer->event;
}

void user_rx_end(void)
{
	struct ivring_channel_info info = any_info();
	struct ivring_rx was;
	int ret;

	rx.size = info.ring_size;
	rx.cons = nondet_u64();
	rx.prod = nondet_u64();
	assume(rx.prod - rx.cons <= rx.size);
	was = rx;
	ret = ivring_user_rx_end(&info, &rx);
	prove(ret == 0 || ret == -EPROTO);
	prove(rx.cons == was.cons && rx.prod - rx.cons <= rx.size);
	prove(rx.prod - rx.cons >= was.prod - was.cons);
	prove(ret ? rx.prod == was.prod : rx.prod == info.rx_prod);
}

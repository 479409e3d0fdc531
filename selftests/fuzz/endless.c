// SPDX-License-Identifier: GPL-2.0
/*
 * Part of fuzz.c: a peer that never stops. Whatever it does at each look of ours,
 * over and over, every call that may not sleep ends, and every other one sleeps or
 * ends within a bounded number of looks. (Not so a read(2) that may sleep and is sent
 * nothing but empty messages: that ends by a signal.)
 */

/*
 * Looks within one call that moves little, or between two sleeps of it. Where an index
 * creeps on, each step may be looked at, for as many bytes as a ring has.
 */
#define ENDLESS_LOOKS	(LOOKS_MAX / 2)

/* Bits of what it does at each look */
enum {
	ENDLESS_PROD_TOGGLES	= 1 << 0,
	ENDLESS_PROD_CREEPS	= 1 << 1,
	ENDLESS_PROD_FULL	= 1 << 2,
	ENDLESS_CONS_TOGGLES	= 1 << 3,
	ENDLESS_CONS_CREEPS	= 1 << 4,
	ENDLESS_FLAGS		= 1 << 5,
	ENDLESS_EPOCH		= 1 << 6,
	/* and ENDLESS_BELLS */
	/* Our side's own indices, which it reads where a program moves them */
	ENDLESS_OWN		= 1 << 8,
};

static void peer_goes_on(void)
{
	struct ivring_channel *ch = link_under_test->channels[0];
	u64 prod = ch->rx.peer->prod, cons = ch->tx.peer->cons;

	if (endless & ENDLESS_PROD_TOGGLES)
		prod ^= 1;
	if (endless & ENDLESS_PROD_CREEPS && prod - ch->rx.cons < ch->rx.size)
		prod += !(looks % 4);
	if (endless & ENDLESS_PROD_FULL)
		prod = ch->rx.own->cons + ch->rx.size;
	if (endless & ENDLESS_CONS_TOGGLES)
		cons ^= 1;
	if (endless & ENDLESS_CONS_CREEPS && cons != ch->tx.prod)
		cons += !(looks % 4);
	POKE(ch->rx.peer->prod, prod);
	POKE(ch->tx.peer->cons, cons);
	if (endless & ENDLESS_OWN && !(looks % 8)) {
		POKE(ch->tx.own->prod, ch->tx.own->prod ^ 1ULL << 40);
		POKE(ch->rx.own->cons, ch->rx.own->cons ^ 1ULL << 40);
	}
	if (endless & ENDLESS_FLAGS)
		POKE(ch->peer->flags, ch->peer->flags ^ IVRING_WIRE_CONN_F_SHUTDOWN);
	if (endless & ENDLESS_EPOCH)
		POKE(ch->peer->epoch, ch->peer->epoch ^ 2);
	if (endless & ENDLESS_BELLS && !(looks % 4))
		ivring_link_interrupt(link_under_test, 0);
	CHECK(looks < ENDLESS_LOOKS || fuzz_signal);
}

/* poll(2) of this file alone: who is woken, if by its own look, looks again. */
static void endless_poll(struct ivring_file *f, __poll_t wanted)
{
	while (!(ivring_channel_poll(f, wanted) & wanted) && !fuzz_signal)
		fuzz_sleep(U64_MAX);
}

static void endless_call(struct ivring_file *f)
{
	static u8 buffer[256];
	struct iov_iter iter = { .data = buffer, .count = 1 + next8() };
	struct ivring_wait w = {
		.rx_min = f->channel->rx.size, .tx_min = f->channel->tx.window,
	};
	u64 bytes;
	u8 call;

	call_begins();
	call = next8();
	switch (call % 8) {
	case 0:
		check_ret(ivring_channel_read(f, &iter, true));
		break;
	case 1:
		if (!f->messages)
			check_ret(ivring_channel_read(f, &iter, false));
		break;
	case 2:
		check_ret(ivring_channel_write(f, &iter, next8() & 1));
		break;
	case 3:
		check_ret(ivring_channel_readable(f, &bytes));
		break;
	case 4:
		endless_poll(f, (call & 8 ? EPOLLIN : EPOLLOUT) | EPOLLERR | EPOLLHUP);
		break;
	default:
		w.events = 1 + next8() % 15;
		w.timeout_ns = any_timeout();
		if (next8() & 1)
			w.rx_min = 1 + next_near(0) % f->channel->rx.size;
		if (next8() & 1)
			w.tx_min = 1 + next_near(0) % f->channel->tx.window;
		check_ret(ivring_channel_wait(f, &w));
	}
	check_channel(f->channel);
}

static void endless_peer(void)
{
	struct ivring_link *link = link_under_test;
	struct ivring_channel *ch = link->channels[0];
	struct ivring_file *f = &files[0];
	u8 what = next8(), how = next8();
	unsigned int own = how & 4 && how & 8 ? ENDLESS_OWN : 0;
	int calls;

	bells_off = true;
	quiet = true;
	ivring_link_peer_join(link, 0);
	peer_appears();
	run_work();
	ivring_link_evaluate(link);
	*f = (struct ivring_file) {
		.channel = ch, .messages = how & 1, .exclusive = true, .spin_max_ns = U32_MAX,
		.rx_min = 1, .tx_min = 1,
	};
	ivring_link_file_opened(link);
	spin_lock(&ch->lock);
	CHECK(ivring_conn_open(ch, f) >= 0);
	ch->exclusive = true;
	spin_unlock(&ch->lock);
	peer_opens(ch);
	POKE(ch->peer->flags, f->messages ? IVRING_WIRE_CONN_F_MESSAGES : 0);
	ivring_link_evaluate(link);
	memset(ch->rx_data, 0, how & 2 ? ch->rx.size : 0);
	if (how & 4 && ivring_user_take(f) == 0)
		taken_epoch[0] = ch->epoch;
	for (calls = 0; input_left && calls < 50; calls++) {
		/* The looks of what it does last are not what it did before. */
		endless = (what ?: ENDLESS_PROD_TOGGLES) | own;
		endless_call(f);
		endless = 0;
	}
	quiet = false;
	bells_off = false;
}

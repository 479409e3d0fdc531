// SPDX-License-Identifier: GPL-2.0
/*
 * The handshake, kmod-core/conn.c as it is: what it makes of the peer's half of a
 * conversation, all of which is another at each look, whatever was read before.
 *
 * Every state it may come to is asked for what must have been read, and in what order:
 * an epoch that is read before an index proves nothing about that, see [L].
 */
#include "kernel.h"
/* What run makes of wire.h is for wire.c. */
#define all_zero ivring_wire_zero
#include "core/conn.c"
#include "core/user.c"

u64 nondet_u64(void);
u32 nondet_u32(void);
_Bool nondet_bool(void);

#define assume(x)	__CPROVER_assume(x)
#define prove(x)	__CPROVER_assert(x, #x)

#define CLOSING		IVRING_WIRE_CONN_F_CLOSING
#define ABORTED		IVRING_WIRE_CONN_F_ABORTED
#define SHUTDOWN	IVRING_WIRE_CONN_F_SHUTDOWN
#define MESSAGES	IVRING_WIRE_CONN_F_MESSAGES

const char *ivring_channel_state_name(u32 state)
{
	return "";
}

void ivring_storm_ends(struct ivring_link *l, struct ivring_storm *s)
{
}

bool fuzz_signal;
u64 fuzz_random;

static struct ivring_link link;
static struct ivring_channel channel, was;
static struct ivring_storm storm;
static struct ivring_wire_side side;
static struct ivring_wire_conn own, peer;
static struct ivring_wire_ring sent, received;
static bool woken;

/* What was read of the peer's last, first, and when */
struct reads {
	u64 first, last;
	unsigned int at;
};

static struct reads life, epoch, ack, flags, prod, cons;
static unsigned int now;

static void read_of(struct reads *r, u64 value)
{
	if (!r->at)
		r->first = value;
	r->last = value;
	r->at = ++now;
}

void fuzz_look(const volatile void *p)
{
	side.epoch = nondet_u64();
	peer.epoch = nondet_u64();
	peer.ack = nondet_u64();
	peer.flags = nondet_u32();
	received.producer.prod = nondet_u64();
	sent.consumer.cons = nondet_u64();
	if (p == &side.epoch)
		read_of(&life, side.epoch);
	else if (p == &peer.epoch)
		read_of(&epoch, peer.epoch);
	else if (p == &peer.ack)
		read_of(&ack, peer.ack);
	else if (p == &peer.flags)
		read_of(&flags, peer.flags);
	else if (p == &received.producer.prod)
		read_of(&prod, received.producer.prod);
	else if (p == &sent.consumer.cons)
		read_of(&cons, sent.consumer.cons);
}

void fuzz_wake(void)
{
	woken = true;
}

void ivring_channel_moved_on(struct ivring_channel *ch, bool tx, bool rx)
{
}

/* Somewhere within a conversation, or before one: @state */
static struct ivring_channel *any_channel(u32 state)
{
	struct ivring_channel *ch = &channel;

	link.storms = &storm;
	link.peer = &side;
	link.state = nondet_u32();
	link.peer_epoch = nondet_u64();
	ch->link = &link;
	ch->own = &own;
	ch->peer = &peer;
	ch->tx.own = &sent.producer;
	ch->tx.peer = &sent.consumer;
	ch->rx.own = &received.consumer;
	ch->rx.peer = &received.producer;
	ch->tx.size = nondet_u64();
	ch->rx.size = ch->tx.size;
	ch->tx.window = ch->tx.size;
	assume(is_power_of_2(ch->tx.size) && ch->tx.size <= IVRING_WIRE_RING_SIZE_MAX);
	ch->tx.prod = nondet_u64();
	ch->tx.cons = nondet_u64();
	ch->rx.prod = nondet_u64();
	ch->rx.cons = nondet_u64();
	assume(ch->tx.prod - ch->tx.cons <= ch->tx.size);
	assume(ch->rx.prod - ch->rx.cons <= ch->rx.size);
	ch->user = nondet_bool();
	ch->messages = nondet_bool();
	ch->tx_shutdown = nondet_bool();
	ch->rx_shutdown = nondet_bool();
	ch->flags = nondet_u32();
	own.flags = ch->flags;
	ch->epoch = nondet_u64();
	ch->peer_epoch = nondet_u64();
	ch->peer_life = nondet_u64();
	own.epoch = ch->epoch;
	own.ack = ch->peer_epoch;
	ch->state = state;
	ch->started = true;
	ch->users = 1;
	ch->lock.held = true;
	fuzz_random = 1;
	was = *ch;
	return ch;
}

/* An error is told to the peer, for good, and with all that was said before. */
static void prove_aborted(const struct ivring_channel *ch, bool announce)
{
	prove(announce && woken);
	prove(ch->flags == (was.flags | CLOSING | ABORTED) && own.flags == ch->flags);
	prove(own.epoch == was.epoch);
}

static void prove_indices(const struct ivring_channel *ch)
{
	prove(ch->user || ch->rx.prod - ch->rx.cons <= ch->rx.size);
	prove(ch->user || ch->rx.prod - ch->rx.cons >= was.rx.prod - was.rx.cons);
	prove(ch->user || ch->tx.prod - ch->tx.cons <= was.tx.prod - was.tx.cons);
	/* Once it is said where the data ends, it ends there. */
	prove(ch->user || !was.rx_shutdown || ch->rx.prod == was.rx.prod);
}

void conn_connected(void)
{
	struct ivring_channel *ch = any_channel(IVRING_CHANNEL_CONNECTED);
	bool announce, met;

	assume(ch->epoch && ch->peer_epoch && ch->peer_life);
	announce = ivring_conn_evaluate_connected(ch);
	met = epoch.first == ch->peer_epoch;
	prove_indices(ch);
	prove(ch->epoch == was.epoch && ch->peer_epoch == was.peer_epoch);
	/* [O]: flags before the last look. */
	prove(!prod.at || flags.at < prod.at);

	switch (ch->state) {
	case IVRING_CHANNEL_CONNECTED:
		prove(met && life.first == ch->peer_life && !(flags.last & (CLOSING | ABORTED)));
		prove(!announce && own.flags == was.flags);
		prove(!woken || (ch->rx_shutdown && !was.rx_shutdown));
		/* The end of half of it: what a later life reset is not where it is. */
		if (ch->rx_shutdown && !was.rx_shutdown)
			prove(flags.last & SHUTDOWN && woken && life.last == ch->peer_life &&
			      prod.at && prod.at < life.at);
		break;
	case IVRING_CHANNEL_PEER_CLOSED:
		/* An end of file is believed of who lives and closed in good order. */
		prove(woken && life.last == ch->peer_life);
		prove(!met || (flags.last & CLOSING && !(flags.last & ABORTED)));
		prove(life.at > prod.at && life.at > cons.at);
		/* Where it went on, no index of it's counts. */
		prove(met || ch->user || ch->rx.prod == was.rx.prod);
		prove(!met || prod.at || was.rx_shutdown);
		break;
	case IVRING_CHANNEL_RESET:
		prove(ch->error == -ECONNRESET);
		prove(life.last != ch->peer_life || (met && flags.last & ABORTED));
		prove_aborted(ch, announce);
		break;
	default:
		/* [L]: still this conversation, after the index that is impossible. */
		prove(ch->state == IVRING_CHANNEL_BROKEN && ch->error == -EPROTO);
		prove(epoch.last == ch->peer_epoch && epoch.at > prod.at && epoch.at > cons.at);
		prove(!ch->user && ch->stats[IVRING_STAT_BROKEN] == 1);
		prove_aborted(ch, announce);
	}
}

void conn_opening(void)
{
	struct ivring_channel *ch = any_channel(IVRING_CHANNEL_OPENING);
	bool announce, agreed;

	ch->started = nondet_bool();
	assume(ch->epoch);
	announce = ivring_conn_evaluate_opening(ch);
	agreed = ch->messages == !!(flags.last & MESSAGES);
	prove(!prod.at && !cons.at && own.epoch == was.epoch);
	prove(ch->state == IVRING_CHANNEL_RESET || own.flags == was.flags);
	/* Acknowledged is one epoch of a life that the link has met, and that is told. */
	prove(ch->peer_epoch == own.ack);
	if (own.ack != was.peer_epoch)
		prove(announce && own.ack && own.ack == epoch.first && ch->started &&
		      life.first == link.peer_epoch && link.state == IVRING_LINK_UP);

	if (ch->state == IVRING_CHANNEL_OPENING)
		return;
	prove(ch->started && link.state == IVRING_LINK_UP && woken);
	/* An ack, and flags, of this very conversation */
	prove(ack.last == ch->epoch && epoch.last == ch->peer_epoch && epoch.last);
	prove(epoch.at > ack.at && epoch.at > flags.at);
	prove(ch->peer_life == link.peer_epoch && ch->peer_life && life.last == ch->peer_life);
	if (ch->state == IVRING_CHANNEL_CONNECTED) {
		prove(agreed);
		return;
	}
	prove(ch->state == IVRING_CHANNEL_RESET && ch->error == -EPROTOTYPE && !agreed);
	prove_aborted(ch, true);
}

/* Whoever closed stays until all was read, or nobody is there to read it. */
void conn_lingering(void)
{
	struct ivring_channel *ch = any_channel(IVRING_CHANNEL_OPENING);
	bool announce;

	ch->lingering = true;
	ch->started = nondet_bool();
	ch->users = nondet_bool();
	ch->user = false;
	assume(ch->epoch && ch->peer_epoch && ch->peer_life);
	was = *ch;
	announce = ivring_conn_evaluate_lingering(ch);
	prove(announce == !ch->lingering);
	if (ch->lingering) {
		prove(own.epoch == was.epoch && own.flags == was.flags);
		prove(life.last == ch->peer_life && epoch.last == ch->peer_epoch);
		prove(!(flags.last & CLOSING));
		prove(was.flags & ABORTED || ch->tx.cons != ch->tx.prod);
		return;
	}
	if (life.last == was.peer_life && epoch.last == was.peer_epoch && cons.at)
		prove(cons.last == was.tx.prod || was.tx.prod - cons.last >
		      was.tx.prod - was.tx.cons);
	prove(!ch->peer_epoch && !own.ack);
	prove(own.epoch == (ch->users && !was.started ? ch->epoch : 0));
	prove(!(own.flags & (CLOSING | ABORTED)));
}

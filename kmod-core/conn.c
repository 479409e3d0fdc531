// SPDX-License-Identifier: GPL-2.0
/*
 * Conversations: how a channel is opened, joined, closed and reset.
 *
 * Each side writes one struct ivring_wire_conn. To open, a side resets the
 * index lines it owns and then publishes a fresh epoch; having seen the peer's
 * epoch it answers with that number in ack. Each side's ack equal to the
 * other's epoch means that both have reset for this very conversation, so no
 * index and no byte of an older one can be taken for one of this.
 *
 * To close, a side sets CLOSING and keeps its epoch, and with it its index,
 * until the peer has read everything ("lingers"); only then may the lines be
 * reset for the next conversation. A conversation that ends by an error is
 * closed with ABORTED, so that the peer does not take what it has for all
 * there was.
 *
 * Pairs of accesses between the sides:
 *
 *	[I] opener: store-release epoch		[J] other: load-acquire epoch
 *		the reset lines before the epoch
 *	[K] opener: epoch 0; wmb; index lines	[L] other: load-acquire index;
 *		whoever sees a reset index		read epoch, or the side's
 *		sees the epoch gone, and after a
 *		restart the side's, too
 *	[M] both: ack; mb; read the other's ack
 *		one of the two sees both; each announces its ack, so both
 *		get to look, with [P] in link.c even without this barrier
 *	[N] closer: prod; store-release flags	[O] other: load-acquire flags;
 *		all data before CLOSING			read prod
 */
#include <linux/random.h>
#include "internal.h"
#include "trace.h"

static void ivring_conn_set_flags(struct ivring_channel *ch, u32 flags)
{
	ch->flags = flags;
	/* [N] pairs with [O]. */
	virt_store_release(&ch->own->flags, cpu_to_le32(flags));
}

static void ivring_conn_set_state(struct ivring_channel *ch, u32 state, int error)
{
	trace_ivring_channel_state(ch, state, error);
	dev_dbg(&ch->dev, "%s -> %s (error %d)\n", ivring_channel_state_name(ch->state),
		ivring_channel_state_name(state), error);
	WRITE_ONCE(ch->state, state);
	ch->error = error;
	/* What it rang for. It cannot have that more often than this side opens the channel. */
	ivring_storm_ends(ch->link, &ch->link->storms[0]);
}

/* Leave the conversation: the peer sees the epoch gone before anything else. */
void ivring_conn_forget(struct ivring_channel *ch)
{
	WRITE_ONCE(ch->own->epoch, 0);
	/* [K] pairs with [L], also for what ivring_conn_start() does next. */
	virt_wmb();
	WRITE_ONCE(ch->own->ack, 0);
	WRITE_ONCE(ch->own->flags, 0);
	ch->flags = 0;
}

static void ivring_conn_start(struct ivring_channel *ch)
{
	ivring_conn_forget(ch);
	ch->flags = (ch->messages ? IVRING_WIRE_CONN_F_MESSAGES : 0) |
		    (ch->tx_shutdown ? IVRING_WIRE_CONN_F_SHUTDOWN : 0);
	WRITE_ONCE(ch->own->flags, cpu_to_le32(ch->flags));
	ivring_tx_reset(&ch->tx);
	ivring_rx_reset(&ch->rx);
	do {
		ch->epoch = get_random_u64();
	} while (!ch->epoch);
	/* [I] pairs with [J]. */
	virt_store_release(&ch->own->epoch, cpu_to_le64(ch->epoch));
	/* [M]: published before the peer's epoch is looked at. */
	virt_mb();
	WRITE_ONCE(ch->started, true);
	ch->stats[IVRING_STAT_CONVERSATIONS]++;
}

/* Everything private that belongs to a conversation, but for its ring indices. */
static void ivring_conn_begin(struct ivring_channel *ch, bool messages)
{
	WRITE_ONCE(ch->conversation, ch->conversation + 1);
	ch->users = 0;
	ch->messages = messages;
	WRITE_ONCE(ch->tx_shutdown, false);
	WRITE_ONCE(ch->rx_shutdown, false);
	ivring_conn_set_state(ch, IVRING_CHANNEL_OPENING, 0);
	WRITE_ONCE(ch->started, false);
	WRITE_ONCE(ch->tx_dir.holder, NULL);
	ch->tx_dir.held = 0;
	WRITE_ONCE(ch->rx_dir.holder, NULL);
	ch->rx_dir.held = 0;
	WRITE_ONCE(ch->tx_dir.polled, false);
	WRITE_ONCE(ch->rx_dir.polled, false);
	ch->tx_dir.ticked = 0;
	ch->rx_dir.ticked = 0;
	ivring_dir_take_back(&ch->tx_dir);
	ivring_dir_take_back(&ch->rx_dir);
	ivring_channel_wake_all(ch);
}

/**
 * ivring_conn_drop() - this side's life is over, but not the link
 * @ch: the channel, with its lock held; nobody is inside the link
 *
 * Every file that is open now is one of an older conversation from here on.
 */
void ivring_conn_drop(struct ivring_channel *ch)
{
	lockdep_assert_held(&ch->lock);
	ivring_user_update(ch);
	WRITE_ONCE(ch->user, false);
	WRITE_ONCE(ch->lingering, false);
	ch->exclusive = false;
	ch->peer_epoch = 0;
	ivring_conn_begin(ch, false);
}

static bool ivring_conn_link_up(const struct ivring_channel *ch)
{
	return READ_ONCE(ch->link->state) == IVRING_LINK_UP;
}

/*
 * Is the peer still in the life @life? Asked of shared memory itself: that the
 * link has not looked yet makes no dead peer alive.
 */
static bool ivring_conn_peer_lives(const struct ivring_channel *ch, u64 life)
{
	return life && le64_to_cpu(READ_ONCE(ch->link->peer->epoch)) == life;
}

static u64 ivring_conn_peer_epoch(const struct ivring_channel *ch)
{
	/* [J] pairs with [I]. */
	return le64_to_cpu(virt_load_acquire(&ch->peer->epoch));
}

static u32 ivring_conn_peer_flags(const struct ivring_channel *ch)
{
	/* [O] pairs with [N]. */
	return le32_to_cpu(virt_load_acquire(&ch->peer->flags));
}

static bool ivring_conn_drained(struct ivring_channel *ch)
{
	return ivring_tx_refresh(&ch->tx) || ch->tx.cons == ch->tx.prod;
}

/* End with an error, on both sides. */
static bool ivring_conn_abort(struct ivring_channel *ch, u32 state, int error)
{
	ivring_conn_set_state(ch, state, error);
	ivring_conn_set_flags(ch, ch->flags | IVRING_WIRE_CONN_F_CLOSING |
			      IVRING_WIRE_CONN_F_ABORTED);
	ivring_channel_wake_all(ch);
	return true;
}

/**
 * ivring_conn_break() - the peer broke the rules
 * @ch: the channel, with its lock held
 * @what: "index" or "message"
 */
void ivring_conn_break(struct ivring_channel *ch, const char *what)
{
	lockdep_assert_held(&ch->lock);
	trace_ivring_broken(ch);
	ch->stats[IVRING_STAT_BROKEN]++;
	if (__ratelimit(&ch->link->breaches))
		dev_warn(&ch->dev, "broken: the peer wrote an impossible %s\n", what);
	ivring_conn_abort(ch, IVRING_CHANNEL_BROKEN, -EPROTO);
}

/* Do the sides want the same, messages or bytes? */
static bool ivring_conn_agreed(const struct ivring_channel *ch, u32 peer_flags)
{
	return ch->messages == !!(peer_flags & IVRING_WIRE_CONN_F_MESSAGES);
}

static bool ivring_conn_evaluate_opening(struct ivring_channel *ch)
{
	u64 epoch, ack, life = READ_ONCE(ch->link->peer_epoch);
	bool agreed, announce = false;

	if (!ivring_conn_link_up(ch) || !ch->started)
		return false;
	epoch = ivring_conn_peer_epoch(ch);
	/* A conversation of a life that the link has not met yet must wait for it. */
	if (!ivring_conn_peer_lives(ch, life))
		return false;
	if (!epoch)
		return false;
	if (epoch != ch->peer_epoch) {
		/* It is leaving without having met this side. */
		if (ivring_conn_peer_flags(ch) & IVRING_WIRE_CONN_F_CLOSING)
			return false;
		ch->peer_epoch = epoch;
		WRITE_ONCE(ch->own->ack, cpu_to_le64(epoch));
		/* [M] pairs with itself on the other side. */
		virt_mb();
		announce = true;
	}
	/* [M]; and the epoch is read again only after the ack. */
	ack = le64_to_cpu(virt_load_acquire(&ch->peer->ack));
	agreed = ivring_conn_agreed(ch, ivring_conn_peer_flags(ch));
	/* An ack, and flags, count only with the epoch they were written under. */
	if (ack == ch->epoch && ivring_conn_peer_epoch(ch) == epoch) {
		ch->peer_life = life;
		if (!agreed)
			return ivring_conn_abort(ch, IVRING_CHANNEL_RESET, -EPROTOTYPE);
		ivring_conn_set_state(ch, IVRING_CHANNEL_CONNECTED, 0);
		wake_up_all(&ch->wait);
	}
	return announce;
}

/* The last look at the peer's prod. After SHUTDOWN that was it, CLOSING or not. */
static int ivring_conn_refresh_rx(struct ivring_channel *ch)
{
	if (ch->rx_shutdown)
		return 0;
	if (!ch->user)
		return ivring_rx_refresh(&ch->rx);
	ivring_user_sample(ch);
	return 0;
}

static int ivring_conn_refresh_tx(struct ivring_channel *ch)
{
	if (!ch->user)
		return ivring_tx_refresh(&ch->tx);
	ivring_user_sample(ch);
	return 0;
}

/*
 * The peer sends no more, and all it sent is visible: [O]. Unless its life ended
 * just now: the next one resets the index, perhaps to where it was last seen.
 */
static bool ivring_conn_peer_shutdown(struct ivring_channel *ch)
{
	if (!ivring_conn_refresh_rx(ch)) {
		/* [L]: whoever sees that index sees the life gone, too. */
		if (!ivring_conn_peer_lives(ch, ch->peer_life))
			return ivring_conn_abort(ch, IVRING_CHANNEL_RESET, -ECONNRESET);
		/* No index of user space's is judged: it may have moved on, too. */
		if (ch->user && ivring_conn_peer_epoch(ch) != ch->peer_epoch)
			return false;
		WRITE_ONCE(ch->rx_shutdown, true);
		ivring_storm_ends(ch->link, &ch->link->storms[0]);
		wake_up_all(&ch->wait);
		return false;
	}
	/* It may have moved on just now: see [L]. */
	if (ivring_conn_peer_epoch(ch) != ch->peer_epoch)
		return false;
	ivring_conn_break(ch, "index");
	return true;
}

static bool ivring_conn_evaluate_connected(struct ivring_channel *ch)
{
	u64 epoch = ivring_conn_peer_epoch(ch);
	u32 flags = ivring_conn_peer_flags(ch);
	int error;

	if (!ivring_conn_peer_lives(ch, ch->peer_life) ||
	    (epoch == ch->peer_epoch && flags & IVRING_WIRE_CONN_F_ABORTED))
		return ivring_conn_abort(ch, IVRING_CHANNEL_RESET, -ECONNRESET);
	if (epoch == ch->peer_epoch && !(flags & IVRING_WIRE_CONN_F_CLOSING))
		return flags & IVRING_WIRE_CONN_F_SHUTDOWN && !ch->rx_shutdown &&
		       ivring_conn_peer_shutdown(ch);
	/*
	 * A peer that moved on without CLOSING seen here has let this side read
	 * everything first. Else this is the last look at its prod. Its cons
	 * stays until it opens again, and then goes backwards at most.
	 */
	error = epoch == ch->peer_epoch ? ivring_conn_refresh_rx(ch) : 0;
	if (ivring_conn_refresh_tx(ch))
		error = -EPROTO;
	/* It may have moved on just now: see [L]. */
	if (error && ivring_conn_peer_epoch(ch) == ch->peer_epoch) {
		ivring_conn_break(ch, "index");
		return true;
	}
	/* [L]: the index of a later life is not where the last byte was. */
	if (!ivring_conn_peer_lives(ch, ch->peer_life))
		return ivring_conn_abort(ch, IVRING_CHANNEL_RESET, -ECONNRESET);
	/* As above: it went on when this side had read everything. */
	if (ch->user && ivring_conn_peer_epoch(ch) != ch->peer_epoch) {
		ivring_user_sample_own(ch);
		ch->rx.prod = ch->rx.cons;
	}
	ivring_conn_set_state(ch, IVRING_CHANNEL_PEER_CLOSED, 0);
	ivring_channel_wake_all(ch);
	return false;
}

/**
 * ivring_conn_shutdown() - this side sends no more
 * @ch: the channel, with its lock held
 *
 * Return: true when the peer must be told.
 */
bool ivring_conn_shutdown(struct ivring_channel *ch)
{
	lockdep_assert_held(&ch->lock);
	if (ch->tx_shutdown)
		return false;
	WRITE_ONCE(ch->tx_shutdown, true);
	ivring_channel_wake_all(ch);
	/* One that has not started says so when it does. */
	if (!ch->started)
		return false;
	ivring_conn_set_flags(ch, ch->flags | IVRING_WIRE_CONN_F_SHUTDOWN);
	return true;
}

static bool ivring_conn_evaluate_lingering(struct ivring_channel *ch)
{
	u32 link_state = READ_ONCE(ch->link->state);
	bool there = link_state == IVRING_LINK_UP || link_state == IVRING_LINK_STALLED;

	if (there && ivring_conn_peer_lives(ch, ch->peer_life) &&
	    ivring_conn_peer_epoch(ch) == ch->peer_epoch &&
	    !(ivring_conn_peer_flags(ch) & IVRING_WIRE_CONN_F_CLOSING) &&
	    (ch->flags & IVRING_WIRE_CONN_F_ABORTED || !ivring_conn_drained(ch)))
		return false;

	WRITE_ONCE(ch->lingering, false);
	ch->peer_epoch = 0;
	ivring_conn_forget(ch);
	if (ch->users && !ch->started)
		ivring_conn_start(ch);
	return true;
}

/**
 * ivring_conn_evaluate() - look at the peer's half and act on what changed
 * @ch: the channel, with its lock held
 *
 * Return: true when the peer must be told to look as well.
 */
bool ivring_conn_evaluate(struct ivring_channel *ch)
{
	bool announce = false;

	lockdep_assert_held(&ch->lock);
	if (ch->lingering)
		announce = ivring_conn_evaluate_lingering(ch);
	if (ch->lingering || !ch->users)
		return announce;
	if (ch->state == IVRING_CHANNEL_OPENING)
		announce |= ivring_conn_evaluate_opening(ch);
	if (ch->state == IVRING_CHANNEL_CONNECTED)
		announce |= ivring_conn_evaluate_connected(ch);
	return announce;
}

/**
 * ivring_conn_fault() - something of the peer's was impossible
 * @ch: the channel, with its lock held
 * @what: as for ivring_conn_break()
 *
 * A peer that left or restarted may do that, see [L]; any other breaks the channel.
 *
 * Return: true when the peer must be told.
 */
bool ivring_conn_fault(struct ivring_channel *ch, const char *what)
{
	bool announce = ivring_conn_evaluate(ch);

	if (ch->state != IVRING_CHANNEL_CONNECTED)
		return announce;
	ivring_conn_break(ch, what);
	return true;
}

/**
 * ivring_conn_reset() - the peer's life is over
 * @ch: the channel, with its lock held
 * @error: what the users of a conversation are told
 *
 * A conversation that only waits for a peer goes on waiting, and what a peer
 * sent in full before it closed stays readable. So does what the peer was
 * acknowledged: should it live after all, it may have sent and closed on the
 * strength of that, and waits for it to be read. No epoch comes twice. A conversation
 * with the peer's next life, which some call met first, is none of those.
 */
void ivring_conn_reset(struct ivring_channel *ch, int error)
{
	lockdep_assert_held(&ch->link->lock);
	lockdep_assert_held(&ch->lock);
	if (ivring_conn_link_up(ch) && ch->peer_life == ch->link->peer_epoch)
		return;
	if (ch->users && ch->state == IVRING_CHANNEL_CONNECTED)
		ivring_conn_abort(ch, IVRING_CHANNEL_RESET, error);
}

/**
 * ivring_conn_joinable() - may a newcomer share the conversation that goes on?
 * @ch: the channel, with its lock held; one that may not be joined never will be
 */
bool ivring_conn_joinable(const struct ivring_channel *ch)
{
	if (!ch->users)
		return false;
	return ch->state == IVRING_CHANNEL_OPENING || ch->state == IVRING_CHANNEL_CONNECTED ||
	       (ch->state == IVRING_CHANNEL_PEER_CLOSED && ivring_rx_cached_avail(&ch->rx));
}

/* End the conversation on this side. True when the peer must be told. */
static bool ivring_conn_end(struct ivring_channel *ch)
{
	if (ch->lingering)	/* the newer one never started */
		return false;
	ivring_user_update(ch);
	WRITE_ONCE(ch->user, false);
	if (ch->state == IVRING_CHANNEL_OPENING) {
		ch->peer_epoch = 0;
		ivring_conn_forget(ch);
		return true;
	}
	/* Before the wish below: its doorbell must find the channel lingering. */
	WRITE_ONCE(ch->lingering, true);
	if (!(ch->flags & IVRING_WIRE_CONN_F_ABORTED)) {
		ivring_conn_set_flags(ch, ch->flags | IVRING_WIRE_CONN_F_CLOSING);
		ivring_tx_arm_drained(&ch->tx);
	}
	ivring_conn_set_state(ch, IVRING_CHANNEL_OPENING, 0);
	ivring_conn_evaluate_lingering(ch);
	return true;
}

/**
 * ivring_conn_open() - a file was opened
 * @ch: the channel, with its lock held
 * @f: joins the conversation, or starts one: then no older file maps anything
 *
 * Return: 1 when the peer must be told; 0; -EPROTOTYPE when the conversation that
 * goes on carries bytes and @f is for messages, or the other way round.
 */
int ivring_conn_open(struct ivring_channel *ch, struct ivring_file *f)
{
	bool announce = false;

	lockdep_assert_held(&ch->lock);
	if (!ivring_conn_joinable(ch)) {
		if (ch->users)
			announce = ivring_conn_end(ch);
		ivring_conn_begin(ch, f->messages);
		if (!ch->lingering) {
			ivring_conn_start(ch);
			announce = true;
		}
	} else if (ch->messages != f->messages) {
		return -EPROTOTYPE;
	}
	f->conversation = ch->conversation;
	ch->users++;
	list_add_tail(&f->node, &ch->files);
	announce |= ivring_conn_evaluate(ch);
	return announce;
}

/**
 * ivring_conn_close() - a file was closed
 * @ch: the channel, with its lock held
 * @f: the file
 *
 * Return: true when the peer must be told.
 */
bool ivring_conn_close(struct ivring_channel *ch, struct ivring_file *f)
{
	lockdep_assert_held(&ch->lock);
	list_del(&f->node);
	if (ch->tx_dir.holder == f)
		WRITE_ONCE(ch->tx_dir.holder, NULL);
	if (ch->rx_dir.holder == f)
		WRITE_ONCE(ch->rx_dir.holder, NULL);
	/* A file of an older conversation has no part in this one. */
	if (f->conversation != ch->conversation || --ch->users)
		return false;
	ch->exclusive = false;
	return ivring_conn_end(ch);
}

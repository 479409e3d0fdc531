// SPDX-License-Identifier: GPL-2.0
/*
 * Indices that user space moves: programs that exchange hot data do without system
 * calls as long as both sides are awake. The kernel keeps the handshake, puts to
 * sleep and wakes.
 *
 * What it needs to know of the indices it then takes from shared memory, each time
 * anew. Nothing is copied by these values, so none of them is judged: they only say
 * whether somebody may sleep. A wrong one, the program's own or the peer's, wakes
 * too early or too late by the tick, and no more: how long a wait may spin
 * does not depend on where an index goes, see ivring_channel_spin().
 */
#include "internal.h"

/**
 * ivring_user_take() - IVRING_IOC_TAKE_INDICES
 * @f: the file
 *
 * Return: 0 or an errno.
 */
int ivring_user_take(struct ivring_file *f)
{
	struct ivring_channel *ch = f->channel;
	int ret;

	if (!f->exclusive)
		return -EPERM;
	ret = ivring_dir_lock(f, &ch->tx_dir, 0);
	if (!ret) {
		ret = ivring_dir_lock(f, &ch->rx_dir, 0);
		if (ret)
			ivring_dir_unlock(f, &ch->tx_dir);
	}
	if (ret)
		return ret == -EAGAIN || ret == -EPIPE ? -EBUSY : ret;
	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	/* Before that, the lines may be those of the conversation before. */
	if (!ret && ch->state == IVRING_CHANNEL_OPENING)
		ret = -ENOTCONN;
	if (!ret && (ch->tx_dir.holder || ch->rx_dir.holder))
		ret = -EBUSY;
	if (!ret && !ch->user) {
		ch->user_from.prod = ch->tx.prod;
		ch->user_from.cons = ch->rx.cons;
		ch->user_seen.prod = ch->rx.prod;
		ch->user_seen.cons = ch->tx.cons;
		WRITE_ONCE(ch->user, true);
	}
	spin_unlock(&ch->lock);
	ivring_dir_unlock(f, &ch->rx_dir);
	ivring_dir_unlock(f, &ch->tx_dir);
	return ret;
}

/**
 * ivring_user_ring() - IVRING_IOC_RING
 * @f: the file
 *
 * Return: 0 or an errno.
 */
int ivring_user_ring(struct ivring_file *f)
{
	struct ivring_channel *ch = f->channel;
	int ret;

	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	if (!ret && !ch->user)
		ret = -EPERM;
	if (!ret)
		ch->stats[IVRING_STAT_DOORBELLS_SENT]++;
	spin_unlock(&ch->lock);
	if (!ret)
		ivring_channel_ring(ch);
	return ret;
}

/**
 * ivring_user_sample_own() - where the program's own indices are now
 * @ch: the channel, with its lock held
 */
void ivring_user_sample_own(struct ivring_channel *ch)
{
	u64 prod = le64_to_cpu(READ_ONCE(ch->tx.own->prod));
	u64 cons = le64_to_cpu(READ_ONCE(ch->rx.own->cons));

	lockdep_assert_held(&ch->lock);
	ch->stats[IVRING_STAT_TX_BYTES] += prod - ch->tx.prod;
	ch->stats[IVRING_STAT_RX_BYTES] += cons - ch->rx.cons;
	ch->tx.prod = prod;
	ch->rx.cons = cons;
}

/*
 * Did an index of the peer's, which may be from @low to @low + @size, get further than
 * it ever was? Only that wakes others, or who sleeps would wake itself, and not for the
 * last time, when a peer moves it to and fro. (One that writes this side's indices,
 * too, can have that still: see ivring_channel_moved_on().)
 */
static bool ivring_user_further(u64 *seen, u64 index, u64 low, u64 size)
{
	if (*seen - low > size)
		*seen = low;
	if (index - low > size || index - low <= *seen - low)
		return false;
	*seen = index;
	return true;
}

/**
 * ivring_user_sample() - where all the indices are now
 * @ch: the channel, with its lock held
 */
void ivring_user_sample(struct ivring_channel *ch)
{
	struct ivring_user_indices *seen = &ch->user_seen;
	bool tx, rx = false;

	ivring_user_sample_own(ch);
	/* [D], after the wish of [H]. */
	ch->tx.cons = le64_to_cpu(virt_load_acquire(&ch->tx.peer->cons));
	tx = ivring_user_further(&seen->cons, ch->tx.cons, ch->tx.prod - ch->tx.size, ch->tx.size);
	/* Where the peer said it ends it stays. */
	if (!ch->rx_shutdown) {
		/* [B], after the wish of [F]. */
		ch->rx.prod = le64_to_cpu(virt_load_acquire(&ch->rx.peer->prod));
		rx = ivring_user_further(&seen->prod, ch->rx.prod, ch->rx.cons, ch->rx.size);
	}
	ivring_channel_moved_on(ch, tx, rx);
}

/**
 * ivring_user_update() - the indices, as far as they are of this conversation
 * @ch: the channel, with its lock held; nothing happens unless user space moves them
 *
 * The peer's count while it is connected only: then it may reset them.
 */
void ivring_user_update(struct ivring_channel *ch)
{
	if (!ch->user)
		return;
	if (ch->state == IVRING_CHANNEL_CONNECTED)
		ivring_user_sample(ch);
	else
		ivring_user_sample_own(ch);
}

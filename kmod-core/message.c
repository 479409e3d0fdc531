// SPDX-License-Identifier: GPL-2.0
/*
 * Messages by read(2) and write(2): one call, one message. What lies in the ring
 * is that of msg.h, so a program that reads or writes messages in place may be at
 * the other end.
 */
#include <linux/uio.h>
#include <ivring/msg.h>
#include "internal.h"

static void ivring_message_count(struct ivring_channel *ch, enum ivring_channel_stat stat)
{
	spin_lock(&ch->lock);
	ch->stats[stat]++;
	spin_unlock(&ch->lock);
}

/* Room for one message of @len bytes. */
static int ivring_message_room(struct ivring_file *f, size_t len, s64 timeout_ns,
			       struct ivring_msg_tx *m, void **payload)
{
	struct ivring_wait w = {
		.events = IVRING_WAIT_OUT, .tx_min = ivring_msg_size(len), .timeout_ns = timeout_ns,
	};
	struct ivring_channel *ch = f->channel;
	int ret;

	ret = ivring_dir_taken(f, &ch->tx_dir, false);
	if (ret)
		return ret;
	if (len > ivring_msg_len_max(READ_ONCE(ch->tx.window)))
		return -EMSGSIZE;
	ret = ivring_channel_wait(f, &w);
	if (ret)
		return ret;
	spin_lock(&ch->lock);
	ret = ivring_file_error(f) ?:
	      ivring_msg_tx_init(m, &ch->tx, ch->tx_data) ?:
	      ivring_msg_reserve(m, len, payload);
	spin_unlock(&ch->lock);
	return ret;
}

/**
 * ivring_message_write() - one message
 * @c: all of it
 * @timeout_ns: how long to wait for room
 *
 * Return: its length; an errno when nothing was sent.
 */
ssize_t ivring_message_write(struct ivring_copy *c, s64 timeout_ns)
{
	size_t done = 0, len = iov_iter_count(c->iter);
	struct ivring_channel *ch = c->f->channel;
	struct ivring_piece piece;
	struct ivring_msg_tx m;
	void *payload;
	int ret;

	if (!len)
		return 0;
	ret = ivring_copy_lock(c, timeout_ns);
	while (!ret) {
		/* Whatever was copied before a page fault lies there still. */
		ret = ivring_message_room(c->f, len, timeout_ns, &m, &payload);
		if (ret)
			break;
		piece.data = payload - sizeof(struct ivring_wire_msg);
		piece.len = ivring_msg_size(len);
		piece.start_ns = ktime_get_ns();
		done += ivring_copy_some(c, payload + done, len - done);
		if (done == len)
			break;
		ret = ivring_copy_fault_in(c, len - done);
	}
	if (ret)
		return ret;
	/* Where the header goes may be the next conversation's by now. */
	spin_lock(&ch->lock);
	ret = ivring_file_error(c->f) ?: ivring_msg_commit(&m, len, 0);
	spin_unlock(&ch->lock);
	ret = ret ?: ivring_channel_copied(c->f, true, &piece);
	if (!ret)
		ivring_message_count(ch, IVRING_STAT_TX_MESSAGES);
	return ret ?: len;
}

/*
 * Where the next message lies, which stays there: 0, -EAGAIN when there is none,
 * -EPROTO when there cannot be one like this.
 */
static int ivring_message_peek(struct ivring_file *f, const void **payload, u32 *len)
{
	struct ivring_channel *ch = f->channel;
	struct ivring_msg_rx m;
	bool announce = false;
	u32 type;
	int ret;

	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	/* What lies there may be of the conversation before. */
	if (!ret && ch->state == IVRING_CHANNEL_OPENING)
		ret = -EAGAIN;
	if (!ret)
		ret = ivring_msg_rx_init(&m, &ch->rx, ch->rx_data);
	if (!ret && ivring_rx_cached_avail(&ch->rx))
		ret = ivring_msg_next(&m, payload, len, &type);
	else if (!ret)
		ret = -EAGAIN;
	if (ret == -EPROTO && ch->state == IVRING_CHANNEL_PEER_CLOSED) {
		/* It cannot have moved on: it waits until this was read. */
		ivring_conn_break(ch, "message");
		announce = true;
	} else if (ret == -EPROTO) {
		announce = ivring_conn_fault(ch, "message");
	}
	if (ret == -EPROTO)
		ret = ivring_file_error(f) ?: -EPROTO;
	spin_unlock(&ch->lock);
	if (announce)
		ivring_link_announce(ch->link);
	return ret;
}

/**
 * ivring_message_len() - bytes of the next message
 * @f: the file, whose channel was looked at just now
 * @len: out; zero: there is none, or it is empty
 *
 * Return: 0 or an errno.
 */
int ivring_message_len(struct ivring_file *f, u64 *len)
{
	struct ivring_channel *ch = f->channel;
	const void *payload;
	u32 next = 0;
	int ret;

	ret = ivring_dir_taken(f, &ch->rx_dir, false);
	if (ret)
		return ret;
	/* Whoever reads right now may take it: it was the next one at that moment. */
	ret = ivring_message_peek(f, &payload, &next);
	if (ret && ret != -EAGAIN)
		return ret;
	*len = next;
	return 0;
}

/* One message, or an empty one: then zero, and it is gone. */
static ssize_t ivring_message_take(struct ivring_copy *c, const void *payload, u32 len)
{
	struct ivring_piece piece = {
		.len = ivring_msg_size(len), .start_ns = ktime_get_ns(),
	};
	u32 done = 0;
	ssize_t ret = 0;

	if (len > iov_iter_count(c->iter))
		return -EMSGSIZE;
	/* It stays where it is over a page fault, and as long as it was. */
	while (!ret && done < len) {
		done += ivring_copy_some(c, (void *)payload + done, len - done);
		if (done < len)
			ret = ivring_copy_fault_in(c, len - done);
	}
	ret = ret ?: ivring_channel_copied(c->f, false, &piece);
	if (!ret)
		ivring_message_count(c->f->channel, IVRING_STAT_RX_MESSAGES);
	return ret ?: len;
}

/**
 * ivring_message_read() - one message
 * @c: room for it
 * @timeout_ns: how long to wait for it
 *
 * Return: its length, zero at end of file; an errno.
 */
ssize_t ivring_message_read(struct ivring_copy *c, s64 timeout_ns)
{
	struct ivring_wait w = {
		.events = IVRING_WAIT_IN, .rx_min = 1, .timeout_ns = timeout_ns,
	};
	struct ivring_channel *ch = c->f->channel;
	const void *payload;
	u64 skipped = 0;
	ssize_t ret;
	u32 len;

	if (!iov_iter_count(c->iter))
		return 0;
	ret = ivring_copy_lock(c, timeout_ns);
	if (ret)
		return ret;
	ret = ivring_dir_taken(c->f, &ch->rx_dir, false);
	while (!ret) {
		w.revents = 0;
		ret = ivring_channel_wait(c->f, &w) ?:
		      ivring_message_peek(c->f, &payload, &len);
		if (ret == -EAGAIN && w.revents) {
			/* Readable, and nothing to read: the end. */
			ret = 0;
			break;
		}
		if (!ret)
			ret = ivring_message_take(c, payload, len);
		if (ret)
			break;
		/* An empty one. A peer may send them without end. */
		skipped += ivring_msg_size(0);
		if (signal_pending(current))
			ret = -ERESTARTSYS;
		else if (!timeout_ns && skipped >= ch->rx.size)
			ret = -EAGAIN;
		cond_resched();
	}
	return ret;
}

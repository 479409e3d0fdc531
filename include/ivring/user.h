/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A ring whose indices a program moves itself, after IVRING_IOC_TAKE_INDICES:
 *
 *	ioctl(fd, IVRING_IOC_TAKE_INDICES);
 *	ioctl(fd, IVRING_IOC_CHANNEL_INFO, &info);
 *	control = mmap(NULL, info.control_map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
 *		       info.control_map_offset);
 *	ivring_user_rings(control, &info, &tx, &rx);
 *
 * From there on ring.h, and msg.h where the channel was opened for messages, are
 * used as the modules use them: look for some time, and when nothing comes sleep by
 * IVRING_IOC_WAIT or poll(2), which set the wish for a doorbell themselves. When a
 * publication returns true, IVRING_IOC_RING.
 *
 * Who only looks does not learn that the peer left: IVRING_IOC_WAIT with a timeout
 * of zero tells, now and then. A peer that closed and of which everything was read
 * may reset its index, which ring.h then calls -EPROTO: that too is for
 * IVRING_IOC_WAIT to tell from a broken rule. So once the kernel says that the peer
 * closed, its index is not to be looked at any more; ivring_user_rx_end() tells what
 * is left.
 */
#ifndef _IVRING_USER_H
#define _IVRING_USER_H

#include <ivring/ring.h>
#include <linux/ivring.h>

/**
 * ivring_user_rings() - both rings of a channel
 * @control: the control page, mapped
 * @info: as the kernel gave it after IVRING_IOC_TAKE_INDICES and before any index
 *	was moved
 * @tx: filled in: the ring this side produces
 * @rx: filled in: the ring this side consumes
 *
 * Own indices are the kernel's, not what lies in shared memory, where the peer might
 * have written.
 *
 * Return: 0; -EPROTO when the peer's index is impossible.
 */
static inline int ivring_user_rings(struct ivring_wire_channel *control,
				    const struct ivring_channel_info *info,
				    struct ivring_tx *tx, struct ivring_rx *rx)
{
	tx->own = &control->ring[info->side].producer;
	tx->peer = &control->ring[info->side].consumer;
	tx->prod = info->tx_prod;
	/* [D]: what was consumed until now may be overwritten. */
	tx->cons = le64_to_cpu(virt_load_acquire(&tx->peer->cons));
	tx->size = info->ring_size;
	tx->window = info->window;
	rx->own = &control->ring[!info->side].consumer;
	rx->peer = &control->ring[!info->side].producer;
	rx->cons = info->rx_cons;
	rx->prod = rx->cons;
	rx->size = info->ring_size;
	return tx->prod - tx->cons > tx->size ? -EPROTO : 0;
}

/**
 * ivring_user_rx_end() - what the peer left behind
 * @info: as the kernel gave it, after it said that the peer closed the channel or
 *	sends no more
 * @rx: the ring this side consumes: now knows of all there is
 *
 * Return: 0; -EPROTO when the peer's last index was impossible.
 */
static inline int ivring_user_rx_end(const struct ivring_channel_info *info,
				     struct ivring_rx *rx)
{
	u64 avail = info->rx_prod - rx->cons;

	if (avail > rx->size || avail < rx->prod - rx->cons)
		return -EPROTO;
	rx->prod = info->rx_prod;
	return 0;
}

#endif /* _IVRING_USER_H */

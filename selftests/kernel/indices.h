/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A channel's indices in the hands of the program: ring.h and msg.h in user space.
 */
#ifndef _IVRING_TEST_INDICES_H
#define _IVRING_TEST_INDICES_H

#include "util.h"
#include <ivring/msg.h>
#include <ivring/user.h>

/* Looks before a sleep. Few: on one CPU nobody else moves meanwhile. */
#define LOOKS	200

/* A channel whose indices the program has. */
struct user {
	int fd;
	void *control, *tx_map, *rx_map;
	struct ivring_tx tx;
	struct ivring_rx rx;
};

static inline int ch_take(int fd)
{
	return SYS(ioctl(fd, IVRING_IOC_TAKE_INDICES));
}

static inline int ch_ring(int fd)
{
	return SYS(ioctl(fd, IVRING_IOC_RING));
}

static inline void *map_control(int fd, const struct ivring_channel_info *info)
{
	return mmap(NULL, info->control_map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    info->control_map_offset);
}

/* The file is open and connected. */
static inline int user_start(struct user *u, int fd)
{
	struct ivring_channel_info info;
	int ret = ch_take(fd) ?: ch_info(fd, &info);

	if (ret)
		return ret;
	u->fd = fd;
	u->control = map_control(fd, &info);
	if (u->control == MAP_FAILED)
		return -errno;
	u->tx_map = ch_map(fd, true);
	u->rx_map = ch_map(fd, false);
	if (!u->tx_map || !u->rx_map)
		return -errno;
	return ivring_user_rings(u->control, &info, &u->tx, &u->rx);
}

/* The file stays open, and the channel connected. */
static inline void user_unmap(struct user *u)
{
	munmap(u->control, 4096);
	munmap(u->tx_map, 2 * u->tx.size);
	munmap(u->rx_map, 2 * u->rx.size);
}

/* @fd: the fixture's own note of the file */
static inline void user_end(struct user *u, int *fd)
{
	user_unmap(u);
	close(u->fd);
	*fd = -1;
}

/* Until @min bytes can be written or read: 0, -ENODATA at the end, an errno. */
static inline int user_wait(struct user *u, bool tx, u64 min)
{
	int looks, ret;

	for (;;) {
		for (looks = 0; looks < LOOKS; looks++) {
			ret = tx ? ivring_tx_refresh(&u->tx) : ivring_rx_refresh(&u->rx);
			if (ret)
				return ret;
			if (tx ? ivring_tx_cached_space(&u->tx) >= min :
				 ivring_rx_cached_avail(&u->rx) >= min)
				return 0;
		}
		ret = ch_wait_events(u->fd, tx ? IVRING_WAIT_OUT : IVRING_WAIT_IN, min, min,
				     MS(PATIENCE_MS), NULL);
		if (ret)
			return ret;
		if (tx)
			continue;
		ret = ivring_rx_refresh(&u->rx);
		if (!ret && !ivring_rx_cached_avail(&u->rx))
			return -ENODATA;
	}
}

static inline int user_send(struct user *u, u64 len, u64 chunk, u64 seed)
{
	u64 done, n;
	int ret;

	for (done = 0; done < len; done += n) {
		n = len - done < chunk ? len - done : chunk;
		ret = user_wait(u, true, n);
		if (ret)
			return ret;
		pattern_fill(u->tx_map + (u->tx.prod & (u->tx.size - 1)), n, seed, done);
		if (ivring_tx_publish(&u->tx, n))
			ret = ch_ring(u->fd);
		if (ret)
			return ret;
	}
	return 0;
}

static inline int user_receive(struct user *u, u64 len, u64 chunk, u64 seed)
{
	u64 done, n;
	int ret;

	for (done = 0; done < len; done += n) {
		ret = user_wait(u, false, 1);
		if (ret)
			return ret;
		n = ivring_rx_cached_avail(&u->rx);
		n = n < chunk ? n : chunk;
		if (pattern_check(u->rx_map + (u->rx.cons & (u->rx.size - 1)), n, seed, done) >= 0)
			return -EILSEQ;
		if (ivring_rx_publish(&u->rx, n))
			ret = ch_ring(u->fd);
		if (ret)
			return ret;
	}
	return 0;
}

/* Questions and answers in messages, now awake, now asleep */
static inline int ping_pong(struct user *u, bool first, u32 rounds, bool sleepy)
{
	struct ivring_msg_tx out;
	struct ivring_msg_rx in;
	const void *got;
	void *put;
	u32 i, len, type;
	int ret;

	ret = ivring_msg_tx_init(&out, &u->tx, u->tx_map) ?:
	      ivring_msg_rx_init(&in, &u->rx, u->rx_map);
	for (i = 0; !ret && i < 2 * rounds; i++) {
		if ((i % 2 == 0) == first) {
			ret = ivring_msg_reserve(&out, 64, &put);
			if (ret)
				break;
			memset(put, i, 64);
			ret = ivring_msg_commit(&out, 64, i);
			if (!ret && ivring_msg_publish(&out))
				ret = ch_ring(u->fd);
			continue;
		}
		if (sleepy)
			ret = ch_wait(u->fd, IVRING_WAIT_IN, MS(PATIENCE_MS));
		if (!ret)
			ret = user_wait(u, false, 1);
		if (!ret)
			ret = ivring_msg_next(&in, &got, &len, &type);
		if (!ret && (len != 64 || type != i || ((const char *)got)[63] != (char)i))
			ret = -EILSEQ;
		if (!ret && ivring_msg_release(&in))
			ret = ch_ring(u->fd);
	}
	return ret;
}

#endif /* _IVRING_TEST_INDICES_H */

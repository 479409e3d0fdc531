// SPDX-License-Identifier: GPL-2.0
/*
 * Spans of a channel whose indices this process moves: while both sides are awake,
 * there is no system call between the copies. The kernel is asked to sleep, to wake
 * the peer, and how the conversation stands.
 */
#include "libivring.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ivring/user.h>

#include "util.h"

/* The kernel's limit is for its own chunks; a frame, published at once, is larger. */
#define SPIN_FACTOR	2
/* Looks between two of the clock. */
#define LOOKS		64

static int ring_ioctl(struct ivring_chan *ch, unsigned long cmd, void *arg)
{
	return ioctl(ch->fd, cmd, arg) ? -errno : 0;
}

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static uint64_t ring_there(const struct ivring_chan *ch, bool tx)
{
	return tx ? ivring_tx_cached_space(&ch->tx_ring) : ivring_rx_cached_avail(&ch->rx_ring);
}

static int ring_refresh(struct ivring_chan *ch, bool tx)
{
	return tx ? ivring_tx_refresh(&ch->tx_ring) : ivring_rx_refresh(&ch->rx_ring);
}

/*
 * What the kernel says of one direction: 0 while it goes on, -ENODATA after its good
 * end, or its error.
 */
static int ring_state(struct ivring_chan *ch, bool tx)
{
	struct ivring_wait wait = { .events = IVRING_WAIT_CONNECTED };
	struct ivring_channel_info info = { 0 };
	int ret;

	/* Looks at what the peer did. */
	ret = ring_ioctl(ch, IVRING_IOC_WAIT, &wait);
	if (!ret)
		ret = ring_ioctl(ch, IVRING_IOC_CHANNEL_INFO, &info);
	if (ret)
		return ret;
	return info.state == IVRING_CHANNEL_PEER_CLOSED ||
	       (!tx && info.flags & IVRING_CHANNEL_F_PEER_SHUTDOWN) ? -ENODATA : 0;
}

/* 1: there are @min bytes; 0: not yet. */
static int ring_look(struct ivring_chan *ch, bool tx, uint64_t min)
{
	int ret, state;

	if (ring_there(ch, tx) >= min)
		return 1;
	ret = ring_refresh(ch, tx);
	if (!ret)
		return ring_there(ch, tx) >= min;
	/* One of which everything was read, closed and opened again is back at zero. */
	state = ring_state(ch, tx);
	return state == -ENODATA ? 0 : state ? state : ret;
}

/*
 * As ring_look(), until no more than @enough of @min bytes are missing, or @end_ns.
 * @paid: it was not the last. Returns as ring_look().
 */
static int ring_spin_once(struct ivring_chan *ch, bool tx, uint64_t min, uint64_t enough,
			  int64_t end_ns, bool *paid)
{
	int i, ret = 0;

	do {
		for (i = 0; !ret && i < LOOKS; i++) {
			pause_cpu();
			ret = ring_look(ch, tx, min);
		}
		*paid = ret > 0 || min - ring_there(ch, tx) <= enough;
	} while (!ret && !*paid && !stop_signal && now_ns() < end_ns);
	return ret;
}

/*
 * As ring_look(), for some time. Half of what is missing is worth another spin, as in
 * the kernel: a peer that brings a byte at a time cannot have us look for ever.
 */
static int ring_spin(struct ivring_chan *ch, bool tx, uint64_t min, int64_t timeout_ns)
{
	struct ivring_spin *spin = tx ? &ch->tx_spin : &ch->rx_spin;
	int64_t start = now_ns(), now, end;
	int64_t deadline = timeout_ns < 0 || timeout_ns > INT64_MAX - start ? INT64_MAX :
									     start + timeout_ns;
	uint64_t enough = UINT64_MAX;
	uint32_t budget;
	bool paid;
	int ret;

	do {
		budget = ivring_spin_budget(spin, ch->spin_max_ns, start);
		if (!budget)
			return 0;
		enough = min_u64(enough, min - ring_there(ch, tx)) / 2;
		end = start + budget < deadline ? start + budget : deadline;
		ret = ring_spin_once(ch, tx, min, enough, end, &paid);
		now = now_ns();
		ivring_spin_result(spin, ch->spin_max_ns, now - start, paid);
		start = now;
	} while (!ret && paid && enough && !stop_signal && start < deadline);
	return ret;
}

/*
 * Until there are @min bytes, or @least while it spins, as in the kernel: the next ones
 * come at the same pace, and to be woken is to be worth it. 0, -ENODATA when there never
 * will be, an errno.
 */
static int ring_wait_for(struct ivring_chan *ch, bool tx, uint64_t min, uint64_t least,
			 int64_t timeout_ns)
{
	struct ivring_wait wait = {
		.events = tx ? IVRING_WAIT_OUT : IVRING_WAIT_IN,
		.rx_min = min, .tx_min = min, .timeout_ns = timeout_ns,
	};
	int ret = ring_look(ch, tx, min);

	if (!ret && !timeout_ns)
		return -EAGAIN;
	if (!ret)
		ret = ring_spin(ch, tx, min_u64(min, least), timeout_ns);
	if (ret)
		return ret < 0 ? ret : 0;
	ret = ring_ioctl(ch, IVRING_IOC_WAIT, &wait);
	if (!ret)
		ret = ring_look(ch, tx, min);
	if (ret)
		return ret < 0 ? ret : 0;
	/* The kernel saw what is not there: the end, or a peer that plays with its index. */
	ret = ring_state(ch, tx);
	return ret ? ret : -EINTR;
}

static int ring_reserve(struct ivring_chan *ch, struct ivring_span *span)
{
	int ret = ring_wait_for(ch, true, span->min, ch->tx_least, span->timeout_ns);

	if (ret)
		return ret == -ENODATA ? -EPIPE : ret;
	span->offset = ch->tx_ring.prod & (ch->tx_ring.size - 1);
	span->len = ring_there(ch, true);
	return 0;
}

static int ring_peek(struct ivring_chan *ch, struct ivring_span *span)
{
	struct ivring_channel_info info = { 0 };
	int ret = ring_wait_for(ch, false, span->min, span->min, span->timeout_ns);

	if (ret == -ENODATA) {
		/* What is left then is less than was asked for, or nothing. */
		ret = ring_ioctl(ch, IVRING_IOC_CHANNEL_INFO, &info);
		if (!ret)
			ret = ivring_user_rx_end(&info, &ch->rx_ring);
	}
	if (ret)
		return ret;
	span->offset = ch->rx_ring.cons & (ch->rx_ring.size - 1);
	span->len = ring_there(ch, false);
	return 0;
}

static int ring_commit(struct ivring_chan *ch, struct ivring_span *span)
{
	return ivring_tx_publish(&ch->tx_ring, span->len) ?
	       ring_ioctl(ch, IVRING_IOC_RING, NULL) : 0;
}

static int ring_release(struct ivring_chan *ch, struct ivring_span *span)
{
	return ivring_rx_publish(&ch->rx_ring, span->len) ?
	       ring_ioctl(ch, IVRING_IOC_RING, NULL) : 0;
}

static int ring_wait(struct ivring_chan *ch, struct ivring_wait *wait)
{
	return ring_ioctl(ch, IVRING_IOC_WAIT, wait);
}

/* Only now are the indices of this conversation. */
static int ring_connected(struct ivring_chan *ch)
{
	struct ivring_channel_info info = { 0 };
	void *p;
	int ret;

	if (ch->control)
		return 0;
	ret = ring_ioctl(ch, IVRING_IOC_TAKE_INDICES, NULL);
	if (!ret)
		ret = ring_ioctl(ch, IVRING_IOC_CHANNEL_INFO, &info);
	if (ret)
		return ret;
	p = mmap(NULL, info.control_map_size, PROT_READ | PROT_WRITE, MAP_SHARED, ch->fd,
		 info.control_map_offset);
	if (p == MAP_FAILED)
		return -errno;
	ch->control = p;
	ch->spin_max_ns = min_u64((uint64_t)info.spin_max_ns * SPIN_FACTOR, UINT32_MAX);
	return ivring_user_rings(ch->control, &info, &ch->tx_ring, &ch->rx_ring);
}

static bool ring_is_reset(struct ivring_chan *ch)
{
	struct ivring_channel_info info = { 0 };

	return ring_ioctl(ch, IVRING_IOC_CHANNEL_INFO, &info) ||
	       info.state == IVRING_CHANNEL_RESET;
}

static void ring_close(struct ivring_chan *ch)
{
	if (ch->tx)
		munmap(ch->tx, ch->map_size);
	if (ch->rx)
		munmap((void *)ch->rx, ch->map_size);
	if (ch->control)
		munmap(ch->control, sizeof(*ch->control));
	ch->control = NULL;
	close(ch->fd);
}

int ring_map(struct ivring_chan *ch)
{
	struct ivring_channel_info info = { 0 };
	void *p;

	if (ioctl(ch->fd, IVRING_IOC_CHANNEL_INFO, &info))
		return -errno;
	ch->ring_size = info.ring_size;
	ch->map_size = info.map_size;
	ch->window = info.window;
	p = mmap(NULL, ch->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, ch->fd,
		 info.tx_map_offset);
	if (p == MAP_FAILED)
		return -errno;
	ch->tx = p;
	p = mmap(NULL, ch->map_size, PROT_READ, MAP_SHARED, ch->fd, info.rx_map_offset);
	if (p == MAP_FAILED)
		return -errno;
	ch->rx = p;
	return 0;
}

const struct ivring_chan_ops ring_ops = {
	.reserve = ring_reserve,
	.commit = ring_commit,
	.peek = ring_peek,
	.release = ring_release,
	.wait = ring_wait,
	.connected = ring_connected,
	.is_reset = ring_is_reset,
	.close = ring_close,
};

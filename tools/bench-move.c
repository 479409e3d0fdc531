// SPDX-License-Identifier: GPL-2.0
#include "bench-move.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "status.h"
#include "util.h"

/* How long a side with the indices looks before it sleeps. */
#define USER_SPIN_NS	(2 * NSEC_PER_MSEC)
#define USER_LOOKS	64

/* ---- moving ---- */

static int channel_ioctl(struct mover *m, unsigned long cmd, void *arg)
{
	m->calls++;
	if (!ioctl(m->fd, cmd, arg))
		return 0;
	return stop_signal ? -EINTR : -errno;
}

static int calls_put(struct mover *m, const uint8_t *p, uint64_t len)
{
	ssize_t n;

	while (len) {
		m->calls++;
		n = write(m->fd, p, min_u64(len, m->block));
		if (n < 0)
			return -errno;
		p += n;
		len -= n;
		if (stop_signal)
			return -EINTR;
	}
	return 0;
}

static int calls_get(struct mover *m, uint8_t *p, uint64_t len)
{
	ssize_t n;

	while (len) {
		m->calls++;
		n = read(m->fd, p, min_u64(len, m->block));
		if (n <= 0)
			return n ? -errno : -EPIPE;
		p += n;
		len -= n;
		if (stop_signal)
			return -EINTR;
	}
	return 0;
}

/* Takes what there is; who has to wait for it is to be woken for a good part of the window. */
static int span_take(struct mover *m, unsigned long take, uint64_t least, uint64_t len,
		     struct ivring_span *span)
{
	int ret;

	*span = (struct ivring_span) { .min = least };
	ret = channel_ioctl(m, take, span);
	if (ret != -EAGAIN)
		return ret;
	*span = (struct ivring_span) {
		.min = min_u64(len, m->batch),
		.timeout_ns = m->bench->timeout_ms * NSEC_PER_MSEC,
	};
	return channel_ioctl(m, take, span);
}

/* By spans, to @p or from there: a span is taken, and handed over in chunks. */
static int spans_move(struct mover *m, bool put, uint8_t *p, uint64_t len)
{
	unsigned long take = put ? IVRING_IOC_RESERVE : IVRING_IOC_PEEK;
	unsigned long hand_over = put ? IVRING_IOC_COMMIT : IVRING_IOC_RELEASE;
	struct ivring_span span = { 0 };
	uint64_t n, left;
	int ret = 0;

	while (!ret && len) {
		ret = span_take(m, take, put ? min_u64(len, m->chunk) : 1, len, &span);
		if (!ret && !span.len)
			return -EPIPE;
		for (left = span.len; !ret && left && len; left -= n) {
			n = min_u64(min_u64(len, left), m->chunk);
			if (put)
				memcpy(m->tx_map + span.offset, p, n);
			else
				memcpy(p, m->rx_map + span.offset, n);
			span.len = n;
			ret = channel_ioctl(m, hand_over, &span);
			span.offset = (span.offset + n) & (m->info.ring_size - 1);
			p += n;
			len -= n;
		}
	}
	if (ret)
		return ret;
	/* What is still taken is given up; nothing may be, which is no error. */
	span.len = 0;
	ret = channel_ioctl(m, hand_over, &span);
	return ret == -EINVAL ? 0 : ret;
}

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* One at least, however much is looked for. */
static int user_look(struct mover *m, bool tx, uint64_t min)
{
	int ret = tx ? ivring_tx_refresh(&m->tx) : ivring_rx_refresh(&m->rx);

	if (ret)
		return ret;
	return (tx ? ivring_tx_cached_space(&m->tx) : ivring_rx_cached_avail(&m->rx)) >= min;
}

static int user_spin(struct mover *m, bool tx, uint64_t min)
{
	int64_t end = now_ns() + USER_SPIN_NS;
	int i, ret;

	do {
		for (i = 0; i < USER_LOOKS; i++) {
			ret = user_look(m, tx, min);
			if (ret)
				return ret;
			pause_cpu();
		}
	} while (now_ns() < end && !stop_signal);
	return 0;
}

/* Until there are @min bytes to read or to fill. */
static int user_wait(struct mover *m, bool tx, uint64_t min)
{
	struct ivring_wait w = {
		.events = tx ? IVRING_WAIT_OUT : IVRING_WAIT_IN, .rx_min = min, .tx_min = min,
		.timeout_ns = m->bench->timeout_ms * NSEC_PER_MSEC,
	};
	int ret;

	for (;;) {
		ret = m->flags & BENCH_SLEEP ? user_look(m, tx, min) : user_spin(m, tx, min);
		if (ret)
			return ret < 0 ? ret : 0;
		ret = channel_ioctl(m, IVRING_IOC_WAIT, &w);
		if (ret)
			return ret;
		ret = user_look(m, tx, 1);
		if (!ret && !tx)
			return -EPIPE;
		if (ret < 0)
			return ret;
	}
}

static int user_put(struct mover *m, const uint8_t *p, uint64_t len)
{
	uint64_t n;
	int ret = 0;

	while (!ret && len) {
		n = min_u64(len, m->chunk);
		if (ivring_tx_cached_space(&m->tx) < n)
			ret = user_wait(m, true, n);
		if (ret)
			break;
		memcpy(m->tx_map + (m->tx.prod & (m->tx.size - 1)), p, n);
		if (ivring_tx_publish(&m->tx, n))
			ret = channel_ioctl(m, IVRING_IOC_RING, NULL);
		p += n;
		len -= n;
	}
	return ret;
}

static int user_get(struct mover *m, uint8_t *p, uint64_t len)
{
	uint64_t n;
	int ret = 0;

	while (!ret && len) {
		if (!ivring_rx_cached_avail(&m->rx))
			ret = user_wait(m, false, 1);
		if (ret)
			break;
		n = min_u64(min_u64(len, ivring_rx_cached_avail(&m->rx)), m->chunk);
		memcpy(p, m->rx_map + (m->rx.cons & (m->rx.size - 1)), n);
		if (ivring_rx_publish(&m->rx, n))
			ret = channel_ioctl(m, IVRING_IOC_RING, NULL);
		p += n;
		len -= n;
	}
	return ret;
}

/* One ioctl for all of it, if nothing comes in between. */
static int file_move(struct mover *m, bool put, uint64_t len)
{
	struct ivring_file_xfer x = {
		.fd = m->bench->file, .timeout_ns = m->bench->timeout_ms * NSEC_PER_MSEC,
	};
	int ret;

	for (; x.offset < len; x.offset += x.done) {
		x.len = len - x.offset;
		ret = channel_ioctl(m, put ? IVRING_IOC_SEND_FILE : IVRING_IOC_RECV_FILE, &x);
		if (ret)
			return ret;
		if (!x.done)
			return -EPIPE;
	}
	return 0;
}

/* Between the file and the ring, in place. */
static int file_user_move(struct mover *m, bool put, uint64_t len)
{
	uint64_t pos, want;
	ssize_t n;
	int ret;

	for (pos = 0; pos < len; pos += n) {
		want = min_u64(len - pos, m->block);
		ret = user_wait(m, put, put ? want : 1);
		if (ret)
			return ret;
		m->calls++;
		if (put) {
			n = pread(m->bench->file, m->tx_map + (m->tx.prod & (m->tx.size - 1)),
				  want, pos);
		} else {
			want = min_u64(want, ivring_rx_cached_avail(&m->rx));
			n = pwrite(m->bench->file, m->rx_map + (m->rx.cons & (m->rx.size - 1)),
				   want, pos);
		}
		if (n <= 0)
			return n ? -errno : -EIO;
		if (put ? ivring_tx_publish(&m->tx, n) : ivring_rx_publish(&m->rx, n))
			ret = channel_ioctl(m, IVRING_IOC_RING, NULL);
		if (ret)
			return ret;
	}
	return 0;
}

static bool has_indices(const struct mover *m)
{
	return m->way == BENCH_USER || m->way == BENCH_FILE_USER;
}

int mover_put(struct mover *m, const void *p, uint64_t len)
{
	return has_indices(m) ? user_put(m, p, len) :
	       m->way == BENCH_SPANS ? spans_move(m, true, (void *)p, len) : calls_put(m, p, len);
}

int mover_get(struct mover *m, void *p, uint64_t len)
{
	return has_indices(m) ? user_get(m, p, len) :
	       m->way == BENCH_SPANS ? spans_move(m, false, p, len) : calls_get(m, p, len);
}

int mover_move(struct mover *m, bool put, uint64_t len)
{
	switch (m->way) {
	case BENCH_FILE:
		return file_move(m, put, len);
	case BENCH_FILE_USER:
		return file_user_move(m, put, len);
	default:
		return put ? mover_put(m, m->memory, len) : mover_get(m, m->memory, len);
	}
}

/* ---- conversations ---- */

/* MAP_POPULATE does nothing for memory without struct pages. */
static void touch_pages(const volatile uint8_t *p, size_t len)
{
	size_t step = sysconf(_SC_PAGESIZE), at;

	for (at = 0; at < len; at += step)
		(void)p[at];
}

static int map_in_place(struct mover *m)
{
	void *p;

	p = mmap(NULL, m->info.map_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd,
		 m->info.tx_map_offset);
	if (p == MAP_FAILED)
		return -errno;
	touch_pages(p, m->info.map_size);
	m->tx_map = p;
	p = mmap(NULL, m->info.map_size, PROT_READ, MAP_SHARED, m->fd, m->info.rx_map_offset);
	if (p == MAP_FAILED)
		return -errno;
	touch_pages(p, m->info.map_size);
	m->rx_map = p;
	return 0;
}

static int take_indices(struct mover *m)
{
	int ret = channel_ioctl(m, IVRING_IOC_TAKE_INDICES, NULL);

	if (ret)
		return ret;
	m->control = mmap(NULL, m->info.control_map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			  m->fd, m->info.control_map_offset);
	if (m->control == MAP_FAILED) {
		m->control = NULL;
		return -errno;
	}
	ret = channel_ioctl(m, IVRING_IOC_CHANNEL_INFO, &m->info);
	return ret ? ret : ivring_user_rings(m->control, &m->info, &m->tx, &m->rx);
}

int mover_set(struct mover *m, const struct bench_request *rq)
{
	struct ivring_options o = { .tx_min = 1 };
	int ret;

	m->memory = m->bench->memory;
	m->way = rq->way;
	m->flags = rq->flags;
	if (rq->op == BENCH_ECHO) {
		m->block = BENCH_ECHO_MAX;
		m->chunk = BENCH_ECHO_MAX;
	} else {
		m->block = rq->block;
		/* Several chunks in flight, so that both sides copy at once. */
		m->chunk = min_u64(rq->block, m->info.window / 8);
		if (m->way == BENCH_FILE_USER)
			m->block = min_u64(rq->block, m->info.window / 2);
	}
	if (rq->op == BENCH_ECHO)
		m->batch = rq->bytes;
	else
		m->batch = min_u64(m->block, m->info.window / 2);
	o.rx_min = m->batch;
	if (!(rq->flags & BENCH_SLEEP))
		o.spin_max_ns = UINT32_MAX;
	ret = channel_ioctl(m, IVRING_IOC_SET_OPTIONS, &o);
	if (!ret && (m->way == BENCH_SPANS || has_indices(m)))
		ret = map_in_place(m);
	if (!ret && has_indices(m))
		ret = take_indices(m);
	m->calls = 0;
	return ret;
}

void mover_close(struct mover *m)
{
	if (m->tx_map)
		munmap(m->tx_map, m->info.map_size);
	if (m->rx_map)
		munmap((void *)m->rx_map, m->info.map_size);
	if (m->control)
		munmap(m->control, m->info.control_map_size);
	if (m->fd >= 0)
		close(m->fd);
}

int mover_error(int ret, struct status *st)
{
	switch (-ret) {
	case EINTR:
		return status_set(st, STATUS_INTERRUPTED, "interrupted");
	case ETIMEDOUT:
		return status_set(st, STATUS_TIMEOUT, "nothing moved for some time");
	case EPIPE:
	case ECONNRESET:
	case ENODEV:
		return status_set(st, STATUS_PEER_GONE, "the other side went away");
	case EPROTO:
	case EPROTOTYPE:
		return status_set(st, STATUS_PROTOCOL, "the other side is no ivring bench");
	default:
		return status_errno(st, STATUS_IO, -ret, "the channel fails");
	}
}

int mover_open(struct mover *m, struct bench *b, struct status *st)
{
	char path[64];

	*m = (struct mover) { .bench = b, .way = BENCH_CALLS, .block = BENCH_BLOCK_MAX };
	snprintf(path, sizeof(path), "/dev/ivring%uc%u", b->link, b->channel);
	m->fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (m->fd < 0 && errno == EBUSY)
		return status_set(st, STATUS_BUSY, "%s is in use: try another --channel", path);
	if (m->fd < 0)
		return status_errno(st, status_access(errno, STATUS_NO_LINK), errno,
				    "cannot open %s", path);
	return 0;
}

int mover_connect(struct mover *m, int timeout_ms, struct status *st)
{
	struct ivring_wait w = {
		.events = IVRING_WAIT_CONNECTED,
		.timeout_ns = timeout_ms < 0 ? -1 : timeout_ms * NSEC_PER_MSEC,
	};
	int ret = channel_ioctl(m, IVRING_IOC_WAIT, &w);

	if (ret == -ETIMEDOUT)
		return status_set(st, STATUS_NO_AGENT, "nobody answers on channel %u: run "
				  "`ivring bench --serve LINK` on the other side",
				  m->bench->channel);
	if (!ret)
		ret = channel_ioctl(m, IVRING_IOC_CHANNEL_INFO, &m->info);
	return ret ? mover_error(ret, st) : 0;
}

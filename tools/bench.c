// SPDX-License-Identifier: GPL-2.0
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ivring/user.h>

#include "libivring.h"
#include "status.h"
#include "util.h"

/* How long a side with the indices looks before it sleeps. */
#define USER_SPIN_NS	(2 * NSEC_PER_MSEC)
#define USER_LOOKS	64
/* What fills memory: a word that knows its place. */
#define PATTERN		0x9e3779b97f4a7c15ULL

/* One conversation, and how data moves in it. */
struct mover {
	const struct bench *bench;
	int fd;
	enum bench_way way;
	uint32_t flags;
	uint64_t block;
	uint64_t chunk;			/* bytes between two publications, in place */
	struct ivring_channel_info info;
	uint8_t *tx_map;
	const uint8_t *rx_map;
	void *control;
	struct ivring_tx tx;
	struct ivring_rx rx;
	uint64_t calls;
};

/* ---- memory ---- */

static int memory_get(struct bench *b, uint64_t size, struct status *st)
{
	void *p;

	if (b->memory_size >= size)
		return 0;
	bench_free(b);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		 -1, 0);
	if (p == MAP_FAILED)
		return status_errno(st, STATUS_NO_SPACE, errno, "no memory for --buffer");
	b->memory = p;
	b->memory_size = size;
	return 0;
}

/* The content of @b->memory, or none. */
static int file_get(struct bench *b, uint64_t size, struct status *st)
{
	uint64_t done;
	ssize_t n;

	if (b->file < 0)
		b->file = memfd_create("ivring-bench", MFD_CLOEXEC);
	if (b->file < 0 || ftruncate(b->file, 0))
		return status_errno(st, STATUS_NO_SPACE, errno, "cannot make a file in memory");
	for (done = 0; done < size; done += n) {
		n = pwrite(b->file, b->memory + done, size - done, done);
		if (n < 0)
			return status_errno(st, STATUS_NO_SPACE, errno, "no memory for --buffer");
	}
	return 0;
}

void bench_free(struct bench *b)
{
	if (b->file >= 0)
		close(b->file);
	b->file = -1;
	if (b->memory)
		munmap(b->memory, b->memory_size);
	b->memory = NULL;
	b->memory_size = 0;
}

static void pattern_fill(void *p, size_t len, uint64_t seed)
{
	uint64_t *word = p;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		word[i] = (i + seed) * PATTERN;
}

static uint64_t pattern_wrong(const void *p, size_t len, uint64_t seed)
{
	const uint64_t *word = p;
	uint64_t wrong = 0;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		wrong += word[i] != (i + seed) * PATTERN;
	return wrong * sizeof(*word);
}

/* ---- counts ---- */

static uint64_t read_count(const char *node, const char *name)
{
	unsigned long long value = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), IVRING_SYSFS_CLASS "/%s/stats/%s", node, name);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%llu", &value) != 1)
			value = 0;
		fclose(f);
	}
	return value;
}

static uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NSEC_PER_SEC +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000LL;
}

/* Called before and after: what is in @r then is the difference. */
static void count(const struct bench *b, struct bench_result *r)
{
	char link[32], channel[32];

	snprintf(link, sizeof(link), "ivring%u", b->link);
	snprintf(channel, sizeof(channel), "ivring%uc%u", b->link, b->channel);
	r->wall_ns = now_ns() - r->wall_ns;
	r->cpu_ns = cpu_ns() - r->cpu_ns;
	r->doorbells = read_count(link, "doorbells") - r->doorbells;
	r->interrupts = read_count(link, "interrupts") - r->interrupts;
	r->rescued = read_count(channel, "rescued") - r->rescued;
}

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

static int spans_put(struct mover *m, const uint8_t *p, uint64_t len)
{
	struct ivring_span span = { 0 };
	uint64_t n;
	int ret = 0;

	while (!ret && len) {
		span = (struct ivring_span) {
			.min = min_u64(len, m->chunk),
			.timeout_ns = m->bench->timeout_ms * NSEC_PER_MSEC,
		};
		ret = channel_ioctl(m, IVRING_IOC_RESERVE, &span);
		for (uint64_t room = span.len; !ret && room && len; room -= n) {
			n = min_u64(min_u64(len, room), m->chunk);
			memcpy(m->tx_map + span.offset, p, n);
			span.len = n;
			ret = channel_ioctl(m, IVRING_IOC_COMMIT, &span);
			span.offset = (span.offset + n) & (m->info.ring_size - 1);
			p += n;
			len -= n;
		}
	}
	if (ret)
		return ret;
	/* What is still reserved is given up; nothing may be, which is no error. */
	span.len = 0;
	ret = channel_ioctl(m, IVRING_IOC_COMMIT, &span);
	return ret == -EINVAL ? 0 : ret;
}

static int spans_get(struct mover *m, uint8_t *p, uint64_t len)
{
	struct ivring_span span = { 0 };
	uint64_t n;
	int ret = 0;

	while (!ret && len) {
		span = (struct ivring_span) {
			.min = 1, .timeout_ns = m->bench->timeout_ms * NSEC_PER_MSEC,
		};
		ret = channel_ioctl(m, IVRING_IOC_PEEK, &span);
		if (!ret && !span.len)
			return -EPIPE;
		for (uint64_t there = span.len; !ret && there && len; there -= n) {
			n = min_u64(min_u64(len, there), m->chunk);
			memcpy(p, m->rx_map + span.offset, n);
			span.len = n;
			ret = channel_ioctl(m, IVRING_IOC_RELEASE, &span);
			span.offset = (span.offset + n) & (m->info.ring_size - 1);
			p += n;
			len -= n;
		}
	}
	if (ret)
		return ret;
	span.len = 0;
	ret = channel_ioctl(m, IVRING_IOC_RELEASE, &span);
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

static int move_put(struct mover *m, const void *p, uint64_t len)
{
	return has_indices(m) ? user_put(m, p, len) :
	       m->way == BENCH_SPANS ? spans_put(m, p, len) : calls_put(m, p, len);
}

static int move_get(struct mover *m, void *p, uint64_t len)
{
	return has_indices(m) ? user_get(m, p, len) :
	       m->way == BENCH_SPANS ? spans_get(m, p, len) : calls_get(m, p, len);
}

static int move_some(struct mover *m, bool put, uint64_t len)
{
	switch (m->way) {
	case BENCH_FILE:
		return file_move(m, put, len);
	case BENCH_FILE_USER:
		return file_user_move(m, put, len);
	default:
		return put ? move_put(m, m->bench->memory, len) :
			     move_get(m, m->bench->memory, len);
	}
}

/* All of memory over and over, until @bytes went. */
static int move_all(struct mover *m, const struct bench_request *rq, bool put)
{
	uint64_t done, n;
	int ret = 0;

	for (done = 0; !ret && done < rq->bytes; done += n) {
		n = min_u64(rq->bytes - done, rq->buffer);
		ret = move_some(m, put, n);
	}
	return ret;
}

static int move_copy(const struct bench *b, const struct bench_request *rq)
{
	uint64_t done, n;

	for (done = 0; done < rq->bytes && !stop_signal; done += n) {
		n = min_u64(rq->bytes - done, rq->buffer);
		memcpy(b->memory + rq->buffer, b->memory, n);
	}
	return stop_signal ? -EINTR : 0;
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

/* From here on as the request says; until here everything was read(2) and write(2). */
static int mover_set(struct mover *m, const struct bench_request *rq)
{
	struct ivring_options o = { .tx_min = 1 };
	int ret;

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
		o.rx_min = rq->bytes;
	else
		o.rx_min = min_u64(m->block, m->info.window / 2);
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

static void mover_close(struct mover *m)
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

static int move_error(int ret, struct status *st)
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

static int mover_open(struct mover *m, struct bench *b, struct status *st)
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

/* Negative: for ever. */
static int mover_connect(struct mover *m, int timeout_ms, struct status *st)
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
	return ret ? move_error(ret, st) : 0;
}

/* ---- a test, on either side ---- */

static int echo_client(struct mover *m, const struct bench_request *rq, uint32_t *rtt_ns)
{
	uint8_t buf[BENCH_ECHO_MAX];
	int64_t start, end;
	uint64_t i;
	int ret = 0;

	memset(buf, 0x5a, sizeof(buf));
	start = now_ns();
	for (i = 0; !ret && i < rq->block; i++) {
		ret = move_put(m, buf, rq->bytes);
		if (!ret)
			ret = move_get(m, buf, rq->bytes);
		end = now_ns();
		rtt_ns[i] = min_u64(end - start, UINT32_MAX);
		start = end;
	}
	return ret;
}

static int echo_server(struct mover *m, const struct bench_request *rq)
{
	uint8_t buf[BENCH_ECHO_MAX];
	uint64_t i;
	int ret = 0;

	for (i = 0; !ret && i < rq->block; i++) {
		ret = move_get(m, buf, rq->bytes);
		if (!ret)
			ret = move_put(m, buf, rq->bytes);
	}
	return ret;
}

/* Both ways: eight bytes that say how far this side is. */
static int put_mark(struct mover *m)
{
	uint64_t mark = BENCH_MAGIC;

	return move_put(m, &mark, sizeof(mark));
}

static int get_mark(struct mover *m)
{
	uint64_t mark = 0;
	int ret = move_get(m, &mark, sizeof(mark));

	return ret ? ret : mark == BENCH_MAGIC ? 0 : -EPROTO;
}

static int client_moves(struct mover *m, const struct bench_request *rq, uint32_t *rtt_ns)
{
	switch (rq->op) {
	case BENCH_SEND:
		return move_all(m, rq, true) ?: get_mark(m);
	case BENCH_RECEIVE:
		return move_all(m, rq, false);
	case BENCH_ECHO:
		return echo_client(m, rq, rtt_ns);
	default:
		return get_mark(m);
	}
}

static int server_moves(struct mover *m, const struct bench_request *rq)
{
	switch (rq->op) {
	case BENCH_SEND:
		return move_all(m, rq, false) ?: put_mark(m);
	case BENCH_RECEIVE:
		return move_all(m, rq, true);
	case BENCH_ECHO:
		return echo_server(m, rq);
	default:
		return move_copy(m->bench, rq) ?: put_mark(m);
	}
}

/* Neither memory that was never touched, nor what the last test left. */
static int prepare(struct bench *b, const struct bench_request *rq, bool fill, struct status *st)
{
	int ret = rq->op == BENCH_ECHO ? 0 : memory_get(b, 2 * rq->buffer, st);

	if (ret || rq->op == BENCH_ECHO)
		return ret;
	if (fill)
		pattern_fill(b->memory, rq->buffer, rq->bytes);
	else
		memset(b->memory, 0, rq->buffer);
	return rq->way >= BENCH_FILE ? file_get(b, fill ? rq->buffer : 0, st) : 0;
}

/* What the last pass over memory left there. */
static uint64_t verify(const struct bench *b, const struct bench_request *rq)
{
	uint64_t size = min_u64(rq->buffer, rq->bytes);

	if (rq->way >= BENCH_FILE && pread(b->file, b->memory, size, 0) != (ssize_t)size)
		return size;
	return pattern_wrong(b->memory, size, rq->bytes);
}

int64_t bench_copy(struct bench *b, const struct bench_request *rq, struct status *st)
{
	int64_t start;
	int ret;

	ret = prepare(b, rq, true, st);
	if (ret)
		return ret;
	start = now_ns();
	if (move_copy(b, rq))
		return status_set(st, STATUS_INTERRUPTED, "interrupted");
	return now_ns() - start;
}

int bench_run(struct bench *b, const struct bench_request *rq, struct bench_result *here,
	      struct bench_result *there, uint32_t *rtt_ns, struct status *st)
{
	struct mover m;
	int ret;

	*here = (struct bench_result) { .magic = BENCH_MAGIC };
	ret = prepare(b, rq, rq->op != BENCH_RECEIVE, st);
	if (ret)
		return ret;
	ret = mover_open(&m, b, st);
	if (ret)
		return ret;
	ret = mover_connect(&m, b->timeout_ms, st);
	if (ret)
		goto out_close;
	ret = calls_put(&m, (const void *)rq, sizeof(*rq)) ?: mover_set(&m, rq) ?: get_mark(&m);
	if (!ret) {
		count(b, here);
		ret = put_mark(&m) ?: client_moves(&m, rq, rtt_ns);
		count(b, here);
		here->calls = m.calls;
	}
	if (!ret && rq->op == BENCH_RECEIVE)
		here->bad = verify(b, rq);
	ret = ret ?: move_get(&m, there, sizeof(*there));
	if (!ret && there->magic != BENCH_MAGIC)
		ret = -EPROTO;
	if (ret)
		ret = move_error(ret, st);
out_close:
	mover_close(&m);
	return ret;
}

static bool request_ok(const struct bench_request *rq)
{
	if (rq->magic != BENCH_MAGIC || rq->flags & ~BENCH_SLEEP || rq->reserved ||
	    rq->reserved2 || rq->way < BENCH_CALLS || rq->way > BENCH_FILE_USER)
		return false;
	if (rq->op == BENCH_ECHO)
		return rq->way < BENCH_FILE && rq->bytes && rq->bytes <= BENCH_ECHO_MAX && rq->block &&
		       rq->block <= BENCH_ROUNDS_MAX;
	return rq->op >= BENCH_SEND && rq->op <= BENCH_COPY && rq->bytes &&
	       rq->bytes <= BENCH_BYTES_MAX && rq->block >= BENCH_BLOCK_MIN &&
	       rq->block <= BENCH_BLOCK_MAX && rq->buffer >= BENCH_BLOCK_MIN &&
	       rq->buffer <= BENCH_BUFFER_MAX && !(rq->buffer % BENCH_BLOCK_MIN);
}

int bench_serve(struct bench *b, struct status *st)
{
	struct bench_result r = { .magic = BENCH_MAGIC };
	struct bench_request rq;
	struct mover m;
	int ret;

	ret = mover_open(&m, b, st);
	if (ret)
		return ret;
	ret = mover_connect(&m, -1, st);
	if (ret)
		goto out_close;
	ret = calls_get(&m, (void *)&rq, sizeof(rq));
	if (!ret && !request_ok(&rq))
		ret = -EPROTO;
	if (ret) {
		ret = move_error(ret, st);
		goto out_close;
	}
	ret = prepare(b, &rq, rq.op != BENCH_SEND, st);
	if (ret)
		goto out_close;
	ret = mover_set(&m, &rq) ?: put_mark(&m) ?: get_mark(&m);
	if (!ret) {
		count(b, &r);
		ret = server_moves(&m, &rq);
		count(b, &r);
		r.calls = m.calls;
	}
	if (!ret && rq.op == BENCH_SEND)
		r.bad = verify(b, &rq);
	ret = ret ?: move_put(&m, &r, sizeof(r));
	if (ret)
		ret = move_error(ret, st);
out_close:
	mover_close(&m);
	return ret;
}

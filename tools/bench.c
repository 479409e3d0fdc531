// SPDX-License-Identifier: GPL-2.0
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench-move.h"
#include "libivring.h"
#include "status.h"
#include "util.h"

/* What fills memory: a word that knows its place. */
#define PATTERN		0x9e3779b97f4a7c15ULL

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

/* All of memory over and over, until @bytes went. */
static int move_all(struct mover *m, const struct bench_request *rq, bool put)
{
	uint64_t done, n;
	int ret = 0;

	for (done = 0; !ret && done < rq->bytes; done += n) {
		n = min_u64(rq->bytes - done, rq->buffer);
		ret = mover_move(m, put, n);
	}
	return ret;
}

/* Until it fails: until the other side is gone, or this one is to end. */
static int move_on(struct mover *m, const struct bench_request *rq, bool put)
{
	int ret;

	do
		ret = mover_move(m, put, rq->buffer);
	while (!ret && !stop_signal);
	return ret ?: -EINTR;
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
		ret = mover_put(m, buf, rq->bytes);
		if (!ret)
			ret = mover_get(m, buf, rq->bytes);
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
		ret = mover_get(m, buf, rq->bytes);
		if (!ret)
			ret = mover_put(m, buf, rq->bytes);
	}
	return ret;
}

/* Both ways: eight bytes that say how far this side is. */
static int put_mark(struct mover *m)
{
	uint64_t mark = BENCH_MAGIC;

	return mover_put(m, &mark, sizeof(mark));
}

static int get_mark(struct mover *m)
{
	uint64_t mark = 0;
	int ret = mover_get(m, &mark, sizeof(mark));

	return ret ? ret : mark == BENCH_MAGIC ? 0 : -EPROTO;
}

/* One direction of two at once */
struct half {
	pthread_t thread;
	struct mover mover;
	const struct bench_request *rq;
	bool put;
	int ret;
};

static void *half_moves(void *arg)
{
	struct half *h = arg;

	h->ret = move_all(&h->mover, h->rq, h->put);
	return NULL;
}

/* What comes in has the second half of the memory. */
static int move_both(struct mover *m, const struct bench_request *rq)
{
	struct half in = { .mover = *m, .rq = rq }, out = { .mover = *m, .rq = rq, .put = true };
	int ret;

	in.mover.memory += rq->buffer;
	in.mover.calls = 0;
	ret = pthread_create(&in.thread, NULL, half_moves, &in);
	if (ret)
		return -ret;
	half_moves(&out);
	pthread_join(in.thread, NULL);
	m->tx = out.mover.tx;
	m->rx = in.mover.rx;
	m->calls = out.mover.calls + in.mover.calls;
	return out.ret ?: in.ret;
}

/* One direction, so often, and each time is answered. */
static int move_times(struct mover *m, const struct bench_request *rq, bool put)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; !ret && i < rq->times; i++) {
		ret = move_all(m, rq, put);
		if (!ret)
			ret = put ? get_mark(m) : put_mark(m);
	}
	return ret;
}

static int client_moves(struct mover *m, const struct bench_request *rq, uint32_t *rtt_ns)
{
	switch (rq->op) {
	case BENCH_SEND:
		return rq->times ? move_times(m, rq, true) : move_all(m, rq, true) ?: get_mark(m);
	case BENCH_RECEIVE:
		return rq->times ? move_times(m, rq, false) : move_all(m, rq, false);
	case BENCH_ECHO:
		return echo_client(m, rq, rtt_ns);
	case BENCH_BOTH:
		return move_both(m, rq) ?: get_mark(m);
	case BENCH_LOAD:
		return move_on(m, rq, true);
	default:
		return get_mark(m);
	}
}

static int server_moves(struct mover *m, const struct bench_request *rq)
{
	switch (rq->op) {
	case BENCH_SEND:
		return rq->times ? move_times(m, rq, false) : move_all(m, rq, false) ?: put_mark(m);
	case BENCH_RECEIVE:
		return rq->times ? move_times(m, rq, true) : move_all(m, rq, true);
	case BENCH_ECHO:
		return echo_server(m, rq);
	case BENCH_BOTH:
		return move_both(m, rq) ?: put_mark(m);
	case BENCH_LOAD:
		return move_on(m, rq, false);
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
	if (rq->op == BENCH_BOTH)
		memset(b->memory + rq->buffer, 0, rq->buffer);
	return rq->way >= BENCH_FILE ? file_get(b, fill ? rq->buffer : 0, st) : 0;
}

/* What the last pass over memory left there. */
static uint64_t verify(const struct bench *b, const struct bench_request *rq)
{
	uint64_t size = min_u64(rq->buffer, rq->bytes);

	if (rq->op == BENCH_BOTH)
		return pattern_wrong(b->memory + rq->buffer, size, rq->bytes);
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
	ret = mover_put(&m, rq, sizeof(*rq)) ?: mover_set(&m, rq) ?: get_mark(&m);
	if (!ret && b->ready)
		ret = b->ready(b);
	if (!ret) {
		count(b, here);
		ret = put_mark(&m) ?: client_moves(&m, rq, rtt_ns);
		count(b, here);
		here->calls = m.calls;
	}
	if (!ret && (rq->op == BENCH_RECEIVE || rq->op == BENCH_BOTH))
		here->bad = verify(b, rq);
	ret = ret ?: mover_get(&m, there, sizeof(*there));
	if (!ret && there->magic != BENCH_MAGIC)
		ret = -EPROTO;
	if (ret)
		ret = mover_error(ret, st);
out_close:
	mover_close(&m);
	return ret;
}

static bool request_ok(const struct bench_request *rq)
{
	if (rq->magic != BENCH_MAGIC || rq->flags & ~BENCH_SLEEP || rq->reserved2 ||
	    rq->times > BENCH_TIMES_MAX || rq->way < BENCH_CALLS || rq->way > BENCH_FILE_USER)
		return false;
	if (rq->times && rq->op != BENCH_SEND && rq->op != BENCH_RECEIVE)
		return false;
	if (rq->op == BENCH_ECHO)
		return rq->way < BENCH_FILE && rq->bytes && rq->bytes <= BENCH_ECHO_MAX && rq->block &&
		       rq->block <= BENCH_ROUNDS_MAX;
	if ((rq->op == BENCH_BOTH || rq->op == BENCH_LOAD) && rq->way >= BENCH_FILE)
		return false;
	return rq->op >= BENCH_SEND && rq->op <= BENCH_LOAD && rq->bytes &&
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
	ret = mover_get(&m, &rq, sizeof(rq));
	if (!ret && !request_ok(&rq))
		ret = -EPROTO;
	if (ret) {
		ret = mover_error(ret, st);
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
	if (!ret && (rq.op == BENCH_SEND || rq.op == BENCH_BOTH))
		r.bad = verify(b, &rq);
	if (rq.op == BENCH_LOAD && (ret == -EPIPE || ret == -ECONNRESET)) {
		ret = 0;
		goto out_close;
	}
	ret = ret ?: mover_put(&m, &r, sizeof(r));
	if (ret)
		ret = mover_error(ret, st);
out_close:
	mover_close(&m);
	return ret;
}

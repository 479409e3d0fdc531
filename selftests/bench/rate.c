// SPDX-License-Identifier: GPL-2.0
/*
 * Messages of 64 bytes per second, from one process to another.
 *
 * What the kernel offers gets a system call per message on the sending side,
 * as its users have it. A reader of a byte stream takes all there is at once,
 * since it can; that is faster for it, and the comparison is with its best.
 */
#include <errno.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "chan.h"

#define LEN		64
#define SLOTS		4096

/* A ring as textbooks have it: each side reads the other's index each time. */
struct plain_queue {
	uint64_t head;
	uint8_t pad0[IVRING_WIRE_LINE - 8];
	uint64_t tail;
	uint8_t pad1[IVRING_WIRE_LINE - 8];
	uint8_t slot[SLOTS][LEN];
};

struct transport;

struct rate {
	const struct transport *t;
	uint64_t n;
	struct region region;
	struct plain_queue *queue;
	int fd[2];		/* [1] is written to */
	mqd_t mq;
};

struct transport {
	const char *name, *text;
	void (*open)(struct rate *r);
	void (*close)(struct rate *r);
	void (*send)(struct rate *r);
	void (*receive)(struct rate *r);
	int type;		/* of socket */
	unsigned int batch;	/* messages per publication */
	bool kernel;
};

/* What every sender copies from and every receiver to. */
static uint8_t buffer[64 * KIB];

static void check(uint64_t i)
{
	uint64_t n;

	memcpy(&n, buffer, sizeof(n));
	if (n != i)
		die("message %ju is not what was sent", (uintmax_t)i);
}

/* ---- the ring ---- */

static void ring_open(struct rate *r)
{
	region_create(&r->region, 1, opt.ring);
}

static void ring_close(struct rate *r)
{
	region_destroy(&r->region);
}

static void ring_send(struct rate *r)
{
	struct ivring_msg_tx m;
	struct chan c;
	uint64_t i;
	void *p;
	int error;

	chan_open(&c, &r->region, 0, 1, opt.window, opt.spin_ns);
	if (ivring_msg_tx_init(&m, &c.tx, c.tx_data))
		die("a ring that cannot carry messages");
	duo_start();
	for (i = 0; i < r->n; i++) {
		while ((error = ivring_msg_reserve(&m, LEN, &p)) == -EAGAIN) {
			if (ivring_msg_publish(&m))
				chan_ring(&c);
			/* Not for one message's room, or each would be waited for. */
			chan_wait_room(&c, opt.window / 4, opt.window / 2);
		}
		if (error)
			die("reserving: %s", strerror(-error));
		memcpy(buffer, &i, sizeof(i));
		memcpy(p, buffer, LEN);
		ivring_msg_commit(&m, LEN, 0);
		if (m.pending >= r->t->batch * ivring_msg_size(LEN) && ivring_msg_publish(&m))
			chan_ring(&c);
	}
	if (ivring_msg_publish(&m))
		chan_ring(&c);
	duo_stop();
	chan_close(&c);
}

static void ring_receive(struct rate *r)
{
	uint32_t len, type;
	struct ivring_msg_rx m;
	struct chan c;
	const void *p;
	uint64_t i;
	int error;

	chan_open(&c, &r->region, 0, 0, opt.window, opt.spin_ns);
	if (ivring_msg_rx_init(&m, &c.rx, c.rx_data))
		die("a ring that cannot carry messages");
	duo_start();
	for (i = 0; i < r->n; i++) {
		while ((error = ivring_msg_next(&m, &p, &len, &type)) == -EAGAIN) {
			if (ivring_msg_release(&m))
				chan_ring(&c);
			chan_wait_data(&c, 1, 1);
		}
		if (error || len != LEN)
			die("receiving: %s", strerror(-error));
		memcpy(buffer, p, LEN);
		check(i);
		if (m.taken >= opt.window / 8 && ivring_msg_release(&m))
			chan_ring(&c);
	}
	duo_stop();
	chan_close(&c);
}

/* ---- a plain queue ---- */

static void plain_open(struct rate *r)
{
	r->queue = shared_alloc(sizeof(*r->queue));
}

static void plain_close(struct rate *r)
{
	munmap(r->queue, sizeof(*r->queue));
}

/* On one CPU the other side can only go on when this one lets it. */
static void plain_relax(void)
{
	if (opt.cpus > 1)
		cpu_pause();
	else
		sched_yield();
}

static void plain_send(struct rate *r)
{
	struct plain_queue *q = r->queue;
	uint64_t i;

	populate(q, sizeof(*q), true);
	duo_start();
	for (i = 0; i < r->n; i++) {
		while (i - __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE) == SLOTS)
			plain_relax();
		memcpy(buffer, &i, sizeof(i));
		memcpy(q->slot[i % SLOTS], buffer, LEN);
		__atomic_store_n(&q->head, i + 1, __ATOMIC_RELEASE);
	}
	duo_stop();
}

static void plain_receive(struct rate *r)
{
	struct plain_queue *q = r->queue;
	uint64_t i;

	populate(q, sizeof(*q), true);
	duo_start();
	for (i = 0; i < r->n; i++) {
		while (__atomic_load_n(&q->head, __ATOMIC_ACQUIRE) == i)
			plain_relax();
		memcpy(buffer, q->slot[i % SLOTS], LEN);
		check(i);
		__atomic_store_n(&q->tail, i + 1, __ATOMIC_RELEASE);
	}
	duo_stop();
}

/* ---- the kernel's ---- */

static void pipe_open(struct rate *r)
{
	if (pipe(r->fd))
		die("pipe: %m");
}

static void socket_open(struct rate *r)
{
	if (socketpair(AF_UNIX, r->t->type, 0, r->fd))
		die("socketpair: %m");
}

static void fd_close(struct rate *r)
{
	close(r->fd[0]);
	close(r->fd[1]);
}

static void fd_send(struct rate *r)
{
	uint64_t i;

	duo_start();
	for (i = 0; i < r->n; i++) {
		memcpy(buffer, &i, sizeof(i));
		if (write(r->fd[1], buffer, LEN) != LEN)
			die("%s: writing: %m", r->t->name);
	}
	duo_stop();
}

static void stream_receive(struct rate *r)
{
	uint64_t left;
	ssize_t n;

	duo_start();
	for (left = r->n * LEN; left; left -= n) {
		n = read(r->fd[0], buffer, sizeof(buffer));
		if (n <= 0)
			die("%s: reading: %m", r->t->name);
	}
	duo_stop();
}

static void packet_receive(struct rate *r)
{
	uint64_t i;

	duo_start();
	for (i = 0; i < r->n; i++) {
		if (read(r->fd[0], buffer, sizeof(buffer)) != LEN)
			die("%s: reading: %m", r->t->name);
		check(i);
	}
	duo_stop();
}

/* As deep as this user may have it. */
static void mq_open_any(struct rate *r)
{
	struct mq_attr attr = { .mq_msgsize = LEN };
	char name[64];

	snprintf(name, sizeof(name), "/ivring-bench-%d", (int)getpid());
	for (attr.mq_maxmsg = 4096; attr.mq_maxmsg >= 8; attr.mq_maxmsg /= 2) {
		r->mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
		if (r->mq != (mqd_t)-1)
			break;
	}
	if (r->mq == (mqd_t)-1)
		die("mq_open: %m");
	mq_unlink(name);
}

static void mq_close_any(struct rate *r)
{
	mq_close(r->mq);
}

static void mq_send_all(struct rate *r)
{
	uint64_t i;

	duo_start();
	for (i = 0; i < r->n; i++) {
		memcpy(buffer, &i, sizeof(i));
		if (mq_send(r->mq, (char *)buffer, LEN, 0))
			die("mq_send: %m");
	}
	duo_stop();
}

static void mq_receive_all(struct rate *r)
{
	uint64_t i;

	duo_start();
	for (i = 0; i < r->n; i++) {
		if (mq_receive(r->mq, (char *)buffer, LEN, NULL) != LEN)
			die("mq_receive: %m");
		check(i);
	}
	duo_stop();
}

/* ---- running them ---- */

static const struct transport transports[] = {
	{ "rate_ring", "ring, 64 messages per publication", ring_open, ring_close,
	  ring_send, ring_receive, 0, 64, false },
	{ "rate_ring_16", "ring, 16 messages per publication", ring_open, ring_close,
	  ring_send, ring_receive, 0, 16, false },
	{ "rate_ring_1", "ring, each message published", ring_open, ring_close,
	  ring_send, ring_receive, 0, 1, false },
	{ "rate_plain", "plain queue, indices not cached", plain_open, plain_close,
	  plain_send, plain_receive, 0, 0, false },
	{ "rate_pipe", "pipe", pipe_open, fd_close, fd_send, stream_receive, 0, 0, true },
	{ "rate_stream", "UNIX stream", socket_open, fd_close, fd_send, stream_receive,
	  SOCK_STREAM, 0, true },
	{ "rate_seqpacket", "UNIX seqpacket", socket_open, fd_close, fd_send, packet_receive,
	  SOCK_SEQPACKET, 0, true },
	{ "rate_mq", "POSIX message queue", mq_open_any, mq_close_any, mq_send_all,
	  mq_receive_all, 0, 0, true },
};

#define N_TRANSPORTS (sizeof(transports) / sizeof(transports[0]))

static void rate_work(int who, void *arg)
{
	struct rate *r = arg;

	pin(opt.cpu[who]);
	if (who)
		r->t->send(r);
	else
		r->t->receive(r);
}

/* Messages per second. */
static double rate_run(const struct transport *t)
{
	struct rate r = { .t = t };
	uint64_t ns;

	r.n = (t->kernel ? 400000 : 4000000) / (opt.quick ? 2 : 1);
	t->open(&r);
	ns = duo_run(2, rate_work, &r);
	t->close(&r);
	return r.n * 1e9 / ns;
}

void bench_rate(void)
{
	struct series s[N_TRANSPORTS] = { { .n = 0 } }, best = { .n = 0 }, ratio;
	size_t k;
	int run;

	report_title("Messages of %d bytes per second", LEN);
	for (run = 0; run < opt.runs; run++) {
		double peer = 0;

		for (k = 0; k < N_TRANSPORTS; k++) {
			double v = rate_run(&transports[k]);

			series_add(&s[k], v / 1e6);
			if (transports[k].kernel && v / 1e6 > peer)
				peer = v / 1e6;
		}
		series_add(&best, peer);
	}
	for (k = 0; k < N_TRANSPORTS; k++) {
		report_figure(transports[k].name, transports[k].text, "M/s", &s[k]);
		report_bar("rate", transports[k].name + strlen("rate_"), &s[k]);
	}
	ratio = series_ratio(&s[0], &s[3]);
	report_key("msgs_over_plain_queue", &ratio, 0, true);
	ratio = series_ratio(&s[2], &best);
	report_key("msgs_unbatched_over_best_peer", &ratio, 0, true);
	ratio = series_ratio(&s[0], &best);
	report_key("msgs_over_best_peer", &ratio, 20, true);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Messages of 64 bytes per second, from one process to another.
 *
 * What the kernel offers is measured twice: with a system call per message on the
 * sending side, as most of its users have it, and with as many messages per call as
 * the ring's producer puts into one publication, where there is such a call. A
 * reader of a byte stream takes all there is at once, since it can; that is faster
 * for it, and the comparison is with its best.
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
/* Messages per publication, or per system call. */
#define BATCH		64

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

enum kind {
	OURS,
	PLAIN,
	PEER,			/* what the kernel offers, a call per message */
	PEER_BATCHED,		/* the same, BATCH messages per call */
	N_KINDS,
};

struct transport {
	const char *name, *text;
	enum kind kind;
	/* Zero, or the errno of what there is not on this machine. */
	int (*open)(struct rate *r);
	void (*close)(struct rate *r);
	void (*send)(struct rate *r);
	void (*receive)(struct rate *r);
	int type;		/* of socket */
	unsigned int batch;	/* messages per publication */
};

/* What every sender copies from and every receiver to. */
static uint8_t buffer[64 * KIB];

/*
 * Copies a message into shared memory and numbers it there: a number that goes into
 * the buffer first makes the copy's wider load wait for it, longer than the rest takes.
 */
static void fill(void *p, uint64_t i)
{
	memcpy(p, buffer, LEN);
	memcpy(p, &i, sizeof(i));
}

static void check(uint64_t i)
{
	uint64_t n;

	memcpy(&n, buffer, sizeof(n));
	if (n != i)
		die("message %ju is not what was sent", (uintmax_t)i);
}

/* ---- the ring ---- */

static int ring_open(struct rate *r)
{
	region_create(&r->region, 1, opt.ring);
	return 0;
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
		fill(p, i);
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
	uint32_t len, type, pauses;
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
			for (pauses = ivring_msg_linger(&m); pauses; pauses--)
				cpu_pause();
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

static int plain_open(struct rate *r)
{
	r->queue = shared_alloc(sizeof(*r->queue));
	return 0;
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
		fill(q->slot[i % SLOTS], i);
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

static int pipe_open(struct rate *r)
{
	return pipe(r->fd) ? errno : 0;
}

static int socket_open(struct rate *r)
{
	return socketpair(AF_UNIX, r->t->type, 0, r->fd) ? errno : 0;
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

/* As all receivers, it looks at each message. */
static void stream_receive(struct rate *r)
{
	uint64_t i = 0, number;
	size_t have = 0, at;
	ssize_t n;

	duo_start();
	while (i < r->n) {
		n = read(r->fd[0], buffer + have, sizeof(buffer) - have);
		if (n <= 0)
			die("%s: reading: %m", r->t->name);
		have += n;
		for (at = 0; have - at >= LEN; at += LEN, i++) {
			memcpy(&number, buffer + at, sizeof(number));
			if (number != i)
				die("message %ju is not what was sent", (uintmax_t)i);
		}
		have -= at;
		memmove(buffer, buffer + at, have);
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

/* BATCH messages in a row, numbered from @i on. */
static void batch_fill(uint64_t i)
{
	int k;

	for (k = 0; k < BATCH; k++, i++)
		memcpy(buffer + k * LEN, &i, sizeof(i));
}

static void fd_send_batches(struct rate *r)
{
	uint64_t i;

	duo_start();
	for (i = 0; i < r->n; i += BATCH) {
		batch_fill(i);
		if (write(r->fd[1], buffer, BATCH * LEN) != BATCH * LEN)
			die("%s: writing: %m", r->t->name);
	}
	duo_stop();
}

static void batch_describe(struct mmsghdr *h, struct iovec *v)
{
	int k;

	memset(h, 0, BATCH * sizeof(*h));
	for (k = 0; k < BATCH; k++) {
		v[k].iov_base = buffer + k * LEN;
		v[k].iov_len = LEN;
		h[k].msg_hdr.msg_iov = &v[k];
		h[k].msg_hdr.msg_iovlen = 1;
	}
}

static void packet_send_batches(struct rate *r)
{
	struct mmsghdr h[BATCH];
	struct iovec v[BATCH];
	uint64_t i;
	int k, n;

	batch_describe(h, v);
	duo_start();
	for (i = 0; i < r->n; i += BATCH) {
		batch_fill(i);
		for (k = 0; k < BATCH; k += n) {
			n = sendmmsg(r->fd[1], h + k, BATCH - k, 0);
			if (n <= 0)
				die("%s: sendmmsg: %m", r->t->name);
		}
	}
	duo_stop();
}

static void packet_receive_batches(struct rate *r)
{
	struct mmsghdr h[BATCH];
	struct iovec v[BATCH];
	uint64_t i, k, number;
	int n;

	batch_describe(h, v);
	duo_start();
	for (i = 0; i < r->n; i += n) {
		n = recvmmsg(r->fd[0], h, BATCH, MSG_WAITFORONE, NULL);
		if (n <= 0)
			die("%s: recvmmsg: %m", r->t->name);
		for (k = 0; k < (uint64_t)n; k++) {
			memcpy(&number, buffer + k * LEN, sizeof(number));
			if (h[k].msg_len != LEN || number != i + k)
				die("message %ju is not what was sent", (uintmax_t)(i + k));
		}
	}
	duo_stop();
}

/* As deep as this user may have it. */
static int mq_open_any(struct rate *r)
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
		return errno;
	mq_unlink(name);
	return 0;
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

enum {
	RING, RING_16, RING_1, QUEUE, PIPE, STREAM, SEQPACKET, MQ, PIPE_64, STREAM_64,
	SEQPACKET_64, DGRAM_64, N_TRANSPORTS,
};

static const struct transport transports[N_TRANSPORTS] = {
	[RING] = { "rate_ring", "ring, 64 messages per publication", OURS, ring_open, ring_close,
		   ring_send, ring_receive, 0, BATCH },
	[RING_16] = { "rate_ring_16", "ring, 16 messages per publication", OURS, ring_open,
		      ring_close, ring_send, ring_receive, 0, 16 },
	[RING_1] = { "rate_ring_1", "ring, each message published", OURS, ring_open, ring_close,
		     ring_send, ring_receive, 0, 1 },
	[QUEUE] = { "rate_plain", "plain queue, indices not cached", PLAIN, plain_open,
		    plain_close, plain_send, plain_receive, 0, 0 },
	[PIPE] = { "rate_pipe", "pipe", PEER, pipe_open, fd_close, fd_send, stream_receive, 0, 0 },
	[STREAM] = { "rate_stream", "UNIX stream", PEER, socket_open, fd_close, fd_send,
		     stream_receive, SOCK_STREAM, 0 },
	[SEQPACKET] = { "rate_seqpacket", "UNIX seqpacket", PEER, socket_open, fd_close, fd_send,
			packet_receive, SOCK_SEQPACKET, 0 },
	[MQ] = { "rate_mq", "POSIX message queue", PEER, mq_open_any, mq_close_any, mq_send_all,
		 mq_receive_all, 0, 0 },
	[PIPE_64] = { "rate_pipe_64", "pipe, 64 messages per write", PEER_BATCHED, pipe_open,
		      fd_close, fd_send_batches, stream_receive, 0, BATCH },
	[STREAM_64] = { "rate_stream_64", "UNIX stream, 64 messages per write", PEER_BATCHED,
			socket_open, fd_close, fd_send_batches, stream_receive, SOCK_STREAM,
			BATCH },
	[SEQPACKET_64] = { "rate_seqpacket_64", "UNIX seqpacket, sendmmsg of 64", PEER_BATCHED,
			   socket_open, fd_close, packet_send_batches, packet_receive_batches,
			   SOCK_SEQPACKET, BATCH },
	[DGRAM_64] = { "rate_dgram_64", "UNIX datagram, sendmmsg of 64", PEER_BATCHED,
		       socket_open, fd_close, packet_send_batches, packet_receive_batches,
		       SOCK_DGRAM, BATCH },
};

/* Multiples of BATCH, halves of them, too. */
static const uint64_t messages[N_KINDS] = {
	[OURS] = 6400000, [PLAIN] = 3200000, [PEER] = 384000, [PEER_BATCHED] = 1280000,
};

static void rate_work(int who, void *arg)
{
	struct rate *r = arg;

	pin(opt.cpu[who]);
	if (who)
		r->t->send(r);
	else
		r->t->receive(r);
}

/* Millions of messages per second. */
static double rate_run(const struct transport *t)
{
	struct rate r = { .t = t, .n = messages[t->kind] / (opt.quick ? 2 : 1) };
	int error = t->open(&r);
	uint64_t ns;

	if (error)
		die("%s: %s", t->text, strerror(error));
	ns = duo_run(2, rate_work, &r);
	t->close(&r);
	return r.n * 1e3 / ns;
}

/* Is there such a thing on this machine? */
static bool rate_there(const struct transport *t)
{
	struct rate r = { .t = t };
	int error;

	if (opt.rate && !listed(opt.rate, t->name + strlen("rate_")))
		return false;
	error = t->open(&r);
	if (error)
		report_left_out(t->name, t->text, strerror(error));
	else
		t->close(&r);
	return !error;
}

/* All of them in turn; @best: of each kind, in each run. */
static void rate_runs(struct series s[N_TRANSPORTS], struct series best[N_KINDS])
{
	bool there[N_TRANSPORTS];
	int run, k;

	for (k = 0; k < N_TRANSPORTS; k++)
		there[k] = rate_there(&transports[k]);
	for (run = 0; run < opt.runs; run++) {
		double most[N_KINDS] = { 0 };

		for (k = 0; k < N_TRANSPORTS; k++) {
			const struct transport *t = &transports[k];
			double v = there[k] ? rate_run(t) : 0;

			if (there[k])
				series_add(&s[k], v);
			if (v > most[t->kind])
				most[t->kind] = v;
		}
		for (k = 0; k < N_KINDS; k++)
			if (most[k] > 0)
				series_add(&best[k], most[k]);
	}
	for (k = 0; k < N_TRANSPORTS; k++) {
		if (!there[k])
			continue;
		report_figure(transports[k].name, transports[k].text, "M/s", &s[k]);
		report_bar("rate", transports[k].name + strlen("rate_"), &s[k]);
	}
}

static void rate_keys(const struct series s[N_TRANSPORTS], const struct series best[N_KINDS])
{
	struct series ratio = series_ratio(&s[RING], &s[QUEUE]);

	report_key("msgs_over_plain_queue",
		   "ring, 64 per publication / plain queue, which publishes each", &ratio, 0, true);
	ratio = series_ratio(&s[RING_1], &s[QUEUE]);
	report_key("msgs_unbatched_over_plain_queue", "ring, each published / plain queue", &ratio,
		   0, true);
	ratio = series_ratio(&s[RING], &best[PEER_BATCHED]);
	report_key("msgs_over_best_batched_peer",
		   "ring, 64 per publication / best of pipe and sockets, 64 per system call", &ratio,
		   0, true);
	ratio = series_ratio(&s[RING_1], &best[PEER]);
	report_key("msgs_unbatched_over_best_peer",
		   "ring, each published / best of pipe, sockets, mq, each a system call", &ratio,
		   20, true);
	ratio = series_ratio(&s[RING], &best[PEER]);
	report_key("msgs_over_best_peer",
		   "ring, 64 per publication / best of pipe, sockets, mq, each a system call",
		   &ratio, 20, true);
}

void bench_rate(void)
{
	struct series s[N_TRANSPORTS] = { { .n = 0 } }, best[N_KINDS] = { { .n = 0 } };
	struct series ratio;

	report_title("Messages of %d bytes per second", LEN);
	rate_runs(s, best);
	rate_keys(s, best);
	ratio = series_ratio(&s[RING_1], &best[PEER]);
	if (ratio.n && series_median(&ratio) < 20)
		report_note("msgs_over_best_peer lives on batching on the ring's side: see the two "
			    "before it");
}

void rate_options_check(void)
{
	char copy[256], *name, *save;
	size_t k;

	if (!opt.rate)
		return;
	if (!*opt.rate || strlen(opt.rate) >= sizeof(copy))
		die("--rate: no list of names");
	strcpy(copy, opt.rate);
	for (name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		for (k = 0; k < N_TRANSPORTS && strcmp(name, transports[k].name + strlen("rate_"));
		     k++)
			;
		if (k == N_TRANSPORTS)
			die("--rate: nothing is called '%s', see ring.json", name);
	}
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Measuring a link: what moves bytes and messages in each of the ways that a
 * channel has, and the side that answers.
 *
 * One test is one conversation. The client opens the channel, writes a request and
 * both do what it says, in the way it says; then the server's result comes back the
 * same way.
 */
#ifndef IVRING_BENCH_H
#define IVRING_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/ivring.h>

struct status;

enum bench_op {
	BENCH_SEND = 1,		/* client to server */
	BENCH_RECEIVE,		/* server to client */
	BENCH_ECHO,		/* there and back */
	BENCH_COPY,		/* memcpy() by the server, nothing through the ring */
	BENCH_BOTH,		/* both directions at once, not of files */
	BENCH_LOAD,		/* client to server, until the client goes away */
};

enum bench_way {
	BENCH_CALLS = 1,	/* read(2) and write(2) */
	BENCH_SPANS,		/* reserve and commit, peek and release, in place */
	BENCH_USER,		/* indices in user space */
	BENCH_FILE,		/* file to file, by SEND_FILE and RECV_FILE */
	BENCH_FILE_USER,	/* file to file, as push and pull do */
};

#define BENCH_SLEEP	(1U << 0)	/* sleep at once, never look first */

/* All little-endian as x86 has it; both sides of a link are on one machine. */
struct bench_request {
	uint64_t magic;
	uint32_t op;
	uint32_t way;
	uint32_t flags;
	uint32_t times;		/* each way alone: so often, and each is answered; 0: once */
	uint64_t bytes;		/* in all, each time; echo: in each message */
	uint64_t block;		/* bytes of one call; echo: number of messages */
	uint64_t buffer;	/* bytes of memory to copy from and to, over and over */
	uint64_t reserved2;
};

/* What either side counted while a test ran. */
struct bench_result {
	uint64_t magic;
	uint64_t wall_ns;
	uint64_t cpu_ns;	/* of this process, user and system */
	uint64_t calls;		/* into the kernel, for the channel */
	uint64_t doorbells;
	uint64_t interrupts;
	uint64_t rescued;
	uint64_t bad;		/* bytes that are not what was sent */
};

#define BENCH_MAGIC	0x31636e6265767269ULL	/* "irvbenc1" */
#define BENCH_BYTES_MAX	(1ULL << 50)
#define BENCH_BUFFER_MAX (256ULL << 20)		/* what a client may make a server take */
#define BENCH_BLOCK_MIN	4096
#define BENCH_BLOCK_MAX	(1ULL << 30)
#define BENCH_ECHO_MAX	4096			/* bytes of a message */
#define BENCH_ROUNDS_MAX 10000000
#define BENCH_TIMES_MAX	100000

struct bench {
	unsigned int link;
	unsigned int channel;
	int timeout_ms;
	uint8_t *memory;	/* @memory_size bytes, of this process */
	size_t memory_size;
	int file;		/* in memory, for the ways that move files; or -1 */
	/* Of a client, when both sides are there, right before it begins: 0 or -errno */
	int (*ready)(struct bench *b);
	void *ready_arg;
};

/**
 * bench_run() - one test, as the client
 * @b: the link and channel; memory is got as needed
 * @rq: what to do
 * @here: out: this side's counts
 * @there: out: the other side's
 * @rtt_ns: echo: out: nanoseconds of each round, @rq->block of them
 *
 * Return: 0 or minus a status code.
 */
int bench_run(struct bench *b, const struct bench_request *rq, struct bench_result *here,
	      struct bench_result *there, uint32_t *rtt_ns, struct status *st);
/* Nanoseconds of memcpy() of @rq->bytes here, in pieces of @rq->buffer; or minus a code. */
int64_t bench_copy(struct bench *b, const struct bench_request *rq, struct status *st);
/* Answers one client. */
int bench_serve(struct bench *b, struct status *st);
void bench_free(struct bench *b);

#endif /* IVRING_BENCH_H */

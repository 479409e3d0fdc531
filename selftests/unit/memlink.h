/* SPDX-License-Identifier: GPL-2.0 */
/* A channel between two threads: behaves as the kernel's does, without a kernel. */
#ifndef IVRING_MEMLINK_H
#define IVRING_MEMLINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "libivring.h"

struct memlink;

struct memside {
	struct ivring_chan chan;	/* first: what libivring's users get */
	struct memlink *link;
	unsigned int side;
	uint64_t calls;			/* of the operations, as system calls would be */
};

struct memring {
	uint8_t *data;			/* mapped twice in a row */
	uint64_t prod;
	uint64_t cons;
};

struct memlink {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t ring_size;
	uint64_t window;
	struct memring ring[2];
	bool closed[2];
	bool reset;
	/* What shared memory does to bytes that @side just gave away; or NULL */
	void (*tamper)(unsigned int side, uint8_t *data, uint64_t len);
	struct memside sides[2];
};

void memlink_init(struct memlink *link, uint64_t ring_size, uint64_t window);
void memlink_destroy(struct memlink *link);
/* As if the peer's kernel had died. */
void memlink_reset(struct memlink *link);
struct ivring_chan *memlink_chan(struct memlink *link, unsigned int side);

#endif /* IVRING_MEMLINK_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* How bench moves bytes, in each of the ways that a channel has. */
#ifndef IVRING_BENCH_MOVE_H
#define IVRING_BENCH_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include <ivring/user.h>

#include "bench.h"

/* One conversation, and how data moves in it. */
struct mover {
	const struct bench *bench;
	uint8_t *memory;		/* that mover_move() is about */
	int fd;
	enum bench_way way;
	uint32_t flags;
	uint64_t block;
	uint64_t chunk;			/* bytes between two publications, in place */
	uint64_t batch;			/* bytes worth being woken for */
	struct ivring_channel_info info;
	uint8_t *tx_map;
	const uint8_t *rx_map;
	void *control;
	struct ivring_tx tx;
	struct ivring_rx rx;
	uint64_t calls;
};

/* Those that do not say otherwise return 0 or -errno. */

/* Opens the channel, for read(2) and write(2). Returns 0 or minus a status code. */
int mover_open(struct mover *m, struct bench *b, struct status *st);
/* Waits for the other side; negative: for ever. Returns the same. */
int mover_connect(struct mover *m, int timeout_ms, struct status *st);
/* From here on as the request says. */
int mover_set(struct mover *m, const struct bench_request *rq);
void mover_close(struct mover *m);

/* All @len bytes, or an error. */
int mover_put(struct mover *m, const void *p, uint64_t len);
int mover_get(struct mover *m, void *p, uint64_t len);
/* Between @m->memory, or the bench's file, and the channel: from the start of it. */
int mover_move(struct mover *m, bool put, uint64_t len);

/* Minus the status code of an errno that any of these gave. */
int mover_error(int ret, struct status *st);

#endif /* IVRING_BENCH_MOVE_H */

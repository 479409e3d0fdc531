/* SPDX-License-Identifier: GPL-2.0 */
/* Several channels at once, each by a process of its own, as programs that share a link do. */
#ifndef IVRING_BENCH_MANY_H
#define IVRING_BENCH_MANY_H

#include <sys/types.h>

#include "bench.h"

/**
 * bench_run_many() - one test on several channels at once
 * @b: the first of them
 * @channels: how many, from @b->channel on; each does what @rq says
 * @here, @there: out: the sums, but for what is counted by link, and the time: that is from
 *	when the first began until the last was done
 *
 * Return: 0 or minus a status code.
 */
int bench_run_many(const struct bench *b, unsigned int channels, const struct bench_request *rq,
		   struct bench_result *here, struct bench_result *there, struct status *st);

/*
 * Something that moves on and on beside a test, on the channel of @b, as @rq says
 * (BENCH_LOAD). Returns its process, once it moves, or minus a status code.
 */
pid_t bench_load_start(const struct bench *b, const struct bench_request *rq, struct status *st);
void bench_load_stop(pid_t pid);

/* Answers on all of these channels but the first, in processes that end with this one. */
int bench_serve_more(const struct bench *b, unsigned int channels, int (*serve)(struct bench *b),
		     struct status *st);

#endif /* IVRING_BENCH_MANY_H */

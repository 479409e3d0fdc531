// SPDX-License-Identifier: GPL-2.0
#include "bench-many.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "status.h"
#include "util.h"

/* What a process tells when it is done; before, one byte when it is ready. */
struct outcome {
	int ret;
	struct status status;
	struct bench_result here, there;
	int64_t start_ns, end_ns;
};

struct worker {
	pid_t pid;
	int fd;				/* this process's end */
};

/* ---- in a process of its own ---- */

struct waiter {
	int fd;
	int64_t start_ns;
};

/* All begin when all are ready; if one is not, there is nothing more to read. */
static int wait_for_all(struct bench *b)
{
	struct waiter *w = b->ready_arg;
	char byte = 0;

	if (send(w->fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(w->fd, &byte, 1, 0) != 1)
		return -EINTR;
	w->start_ns = now_ns();
	return 0;
}

static void work(struct bench b, const struct bench_request *rq, int fd)
{
	struct waiter w = { .fd = fd };
	struct outcome o = { 0 };

	b.memory = NULL;
	b.memory_size = 0;
	b.file = -1;
	b.ready = wait_for_all;
	b.ready_arg = &w;
	o.ret = bench_run(&b, rq, &o.here, &o.there, NULL, &o.status);
	o.start_ns = w.start_ns;
	o.end_ns = w.start_ns + o.here.wall_ns;
	send(fd, &o, sizeof(o), MSG_NOSIGNAL);
}

/* Fork, in the parent: 0 or minus a status code. */
static int worker_start(struct worker *w, const struct bench *b, unsigned int channel,
			const struct bench_request *rq, struct status *st)
{
	struct bench own = *b;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return status_errno(st, STATUS_FAIL, errno, "cannot make a process");
	w->pid = fork();
	if (!w->pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		close(fds[0]);
		own.channel = channel;
		work(own, rq, fds[1]);
		_exit(0);
	}
	close(fds[1]);
	w->fd = fds[0];
	if (w->pid > 0)
		return 0;
	close(w->fd);
	return status_errno(st, STATUS_FAIL, errno, "cannot make a process");
}

void bench_load_stop(pid_t pid)
{
	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void worker_stop(struct worker *w)
{
	close(w->fd);
	bench_load_stop(w->pid);
}

/* ---- beside it ---- */

static int worker_lost(ssize_t n, struct status *st)
{
	if (n < 0 && stop_signal)
		return status_set(st, STATUS_INTERRUPTED, "interrupted");
	return status_set(st, STATUS_FAIL, "a process of this test ended");
}

static int worker_ready(const struct worker *w, struct status *st)
{
	struct outcome o;
	ssize_t n = recv(w->fd, &o, sizeof(o), 0);

	if (n == 1)
		return 0;
	if (n != sizeof(o))
		return worker_lost(n, st);
	*st = o.status;
	return o.ret;
}

/* It begins. */
static int worker_go(const struct worker *w, struct status *st)
{
	return send(w->fd, "", 1, MSG_NOSIGNAL) == 1 ? 0 : worker_lost(0, st);
}

static int worker_outcome(const struct worker *w, struct outcome *o, struct status *st)
{
	ssize_t n = recv(w->fd, o, sizeof(*o), 0);

	if (n != sizeof(*o))
		return worker_lost(n, st);
	if (o->ret)
		*st = o->status;
	return o->ret;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Doorbells and interrupts are counted by link: each process saw those of all. */
static void add_result(struct bench_result *sum, const struct bench_result *r)
{
	sum->wall_ns = most(sum->wall_ns, r->wall_ns);
	sum->cpu_ns += r->cpu_ns;
	sum->calls += r->calls;
	sum->doorbells = most(sum->doorbells, r->doorbells);
	sum->interrupts = most(sum->interrupts, r->interrupts);
	sum->rescued += r->rescued;
	sum->bad += r->bad;
}

static int run_workers(const struct worker *workers, unsigned int count,
		       struct bench_result *here, struct bench_result *there, struct status *st)
{
	int64_t start = INT64_MAX, end = 0;
	struct outcome o;
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < count; i++)
		ret = worker_ready(&workers[i], st);
	for (i = 0; !ret && i < count; i++)
		ret = worker_go(&workers[i], st);
	for (i = 0; !ret && i < count; i++) {
		ret = worker_outcome(&workers[i], &o, st);
		if (ret)
			break;
		add_result(here, &o.here);
		add_result(there, &o.there);
		start = o.start_ns < start ? o.start_ns : start;
		end = o.end_ns > end ? o.end_ns : end;
	}
	if (!ret)
		here->wall_ns = end - start;
	return ret;
}

int bench_run_many(const struct bench *b, unsigned int channels, const struct bench_request *rq,
		   struct bench_result *here, struct bench_result *there, struct status *st)
{
	struct worker *workers = calloc(channels, sizeof(*workers));
	unsigned int i, started;
	int ret = 0;

	memset(here, 0, sizeof(*here));
	memset(there, 0, sizeof(*there));
	if (!workers)
		return status_set(st, STATUS_NO_SPACE, "no memory");
	for (started = 0; !ret && started < channels; started += !ret)
		ret = worker_start(&workers[started], b, b->channel + started, rq, st);
	if (!ret)
		ret = run_workers(workers, channels, here, there, st);
	for (i = 0; i < started; i++)
		worker_stop(&workers[i]);
	free(workers);
	return ret;
}

pid_t bench_load_start(const struct bench *b, const struct bench_request *rq, struct status *st)
{
	struct worker w;
	int ret = worker_start(&w, b, b->channel, rq, st);

	if (ret)
		return ret;
	ret = worker_ready(&w, st);
	if (!ret)
		ret = worker_go(&w, st);
	if (ret) {
		worker_stop(&w);
		return ret;
	}
	close(w.fd);
	return w.pid;
}

int bench_serve_more(const struct bench *b, unsigned int channels, int (*serve)(struct bench *b),
		     struct status *st)
{
	struct bench own = *b;
	unsigned int i;
	pid_t pid;

	for (i = 1; i < channels; i++) {
		pid = fork();
		if (pid < 0)
			return status_errno(st, STATUS_FAIL, errno, "cannot make a process");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		own.channel = b->channel + i;
		_exit(serve(&own));
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/* A piece of work done by several processes at once. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* No piece of work takes this long; a lost wake-up would. */
#define DUO_DEADLINE_S	180

/* Shared by all processes of a run. */
struct duo {
	int n;
	int ready;
	uint64_t first;		/* when the first of them went on */
	uint64_t last;		/* when the last of them was done */
	pthread_barrier_t done;	/* sleeping: what is left to do needs the CPUs */
};

static struct duo *duo;

static void minimum(uint64_t *p, uint64_t v)
{
	uint64_t old = __atomic_load_n(p, __ATOMIC_RELAXED);

	while (v < old && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_RELAXED,
						       __ATOMIC_RELAXED))
		;
}

static void maximum(uint64_t *p, uint64_t v)
{
	uint64_t old = __atomic_load_n(p, __ATOMIC_RELAXED);

	while (v > old && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_RELAXED,
						       __ATOMIC_RELAXED))
		;
}

void duo_start(void)
{
	__atomic_add_fetch(&duo->ready, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&duo->ready, __ATOMIC_ACQUIRE) < duo->n)
		sched_yield();
	minimum(&duo->first, now_ns());
}

void duo_stop(void)
{
	maximum(&duo->last, now_ns());
	pthread_barrier_wait(&duo->done);
}

static void done_init(int n)
{
	pthread_barrierattr_t attr;

	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (pthread_barrier_init(&duo->done, &attr, n))
		die("a barrier for %d processes: %m", n);
	pthread_barrierattr_destroy(&attr);
}

static void on_deadline(int sig)
{
	static const char text[] = "bench-ring: no progress for minutes: a wake-up was lost\n";

	(void)sig;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(3);
	_exit(3);
}

/* A child that failed would leave us waiting for it for ever. */
static void on_child(int sig)
{
	siginfo_t info;

	(void)sig;
	info.si_pid = 0;
	if (!waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid &&
	    (info.si_code != CLD_EXITED || info.si_status))
		_exit(1);
}

static pid_t spawn(void (*work)(int who, void *arg), int who, void *arg)
{
	pid_t parent = getpid(), pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork: %m");
	if (pid)
		return pid;
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	work(who, arg);
	_exit(0);
}

uint64_t duo_run(int n, void (*work)(int who, void *arg), void *arg)
{
	uint64_t ns;
	int who;

	if (!duo)
		duo = shared_alloc(sizeof(*duo));
	duo->n = n;
	duo->ready = 0;
	duo->first = UINT64_MAX;
	duo->last = 0;
	done_init(n);
	signal(SIGALRM, on_deadline);
	signal(SIGCHLD, on_child);
	alarm(DUO_DEADLINE_S);
	for (who = 1; who < n; who++)
		spawn(work, who, arg);
	work(0, arg);
	for (who = 1; who < n; who++)
		if (wait(NULL) < 0)
			die("wait: %m");
	alarm(0);
	signal(SIGCHLD, SIG_DFL);
	pthread_barrier_destroy(&duo->done);
	ns = duo->last - duo->first;
	return ns ? ns : 1;
}

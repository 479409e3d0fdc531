// SPDX-License-Identifier: GPL-2.0
/*
 * The command as it is, with an agent at the other end of a link that is memory of this
 * process: what tests in shell use where there are no modules.
 *
 *   MEMRUN_ROOT='[NAME=]DIR[:MODE] ...' memrun COMMAND [ARGUMENT...]
 *
 * Any LINK will do. With MEMRUN_LOG=1 the agent's log goes to standard error. With
 * MEMRUN_FLIP=SIDE:OFFSET a bit flips in the byte at that offset of all that the side sends:
 * 0, the command, or 1, the agent. With MEMRUN_SLOW=USEC, whatever is removed takes so long.
 * By SIGUSR1 the other side dies, as if its kernel had; as
 * long as there is a file MEMRUN_AWAY, no agent answers.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "client.h"
#include "memlink.h"
#include "util.h"

#define main ivring_main
#include "ivring.c"
#undef main

#define RING_SIZE	(1U << 20)
#define WINDOW		(256U << 10)

int __wrap_client_open(struct client *cl, const char *link, const struct client_options *o,
		       struct status *st);
void __wrap_client_close(struct client *cl);
void __wrap_log_line(const char *fmt, ...);
int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);

static struct {
	struct memlink link;
	struct agent agent;
	pthread_t thread;
} far;

static unsigned int flip_side;
static uint64_t flip_at;

static void flip(unsigned int side, uint8_t *data, uint64_t len)
{
	static uint64_t sent[2];

	if (side == flip_side && flip_at >= sent[side] && flip_at - sent[side] < len)
		data[flip_at - sent[side]] ^= 0x10;
	sent[side] += len;
}

static pthread_mutex_t far_lock = PTHREAD_MUTEX_INITIALIZER;
static bool far_lives;

/* The other side dies when this process is told to say so. */
static void *death_thread(void *arg)
{
	const sigset_t *signals = arg;
	int signum;

	while (!sigwait(signals, &signum)) {
		pthread_mutex_lock(&far_lock);
		if (far_lives)
			memlink_reset(&far.link);
		pthread_mutex_unlock(&far_lock);
	}
	return NULL;
}

static void await_death(void)
{
	static sigset_t signals;
	pthread_t thread;
	sigset_t all, old;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	/* All others are for the command. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!pthread_create(&thread, NULL, death_thread, &signals))
		pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void *far_thread(void *arg)
{
	struct ivring_chan *ch = memlink_chan(&far.link, 1);

	(void)arg;
	agent_converse(&far.agent, ch);
	ivring_chan_close(ch);
	return NULL;
}

int __wrap_client_open(struct client *cl, const char *link, const struct client_options *o,
		       struct status *st)
{
	struct ivring_chan *ch = memlink_chan(&far.link, 0);

	if (cl->open)
		return 0;
	memset(cl, 0, sizeof(*cl));
	cl->options = o;
	snprintf(cl->name, sizeof(cl->name), "%s", link);
	if (getenv("MEMRUN_AWAY") && !access(getenv("MEMRUN_AWAY"), F_OK))
		return status_set(st, STATUS_NO_AGENT, "no agent answers on link %s", link);
	pthread_mutex_lock(&far_lock);
	far_lives = true;
	memlink_init(&far.link, RING_SIZE, WINDOW);
	pthread_mutex_unlock(&far_lock);
	ch->timeout_ms = o->timeout_ms;
	if (getenv("MEMRUN_FLIP"))
		far.link.tamper = flip;
	if (pthread_create(&far.thread, NULL, far_thread, NULL))
		return status_set(st, STATUS_FAIL, "no thread");
	cl->open = true;
	return conv_start(&cl->conv, ch, o->connect_timeout_ms, st);
}

void __wrap_client_close(struct client *cl)
{
	if (!cl->open)
		return;
	cl->open = false;
	ivring_chan_close(memlink_chan(&far.link, 0));
	pthread_join(far.thread, NULL);
	pthread_mutex_lock(&far_lock);
	far_lives = false;
	memlink_destroy(&far.link);
	pthread_mutex_unlock(&far_lock);
}

void __wrap_log_line(const char *fmt, ...)
{
	va_list ap;

	if (!getenv("MEMRUN_LOG"))
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* As on a slow disk */
int __wrap_unlinkat(int fd, const char *name, int flags)
{
	const char *slow = getenv("MEMRUN_SLOW");

	if (slow)
		usleep(atoi(slow));
	return __real_unlinkat(fd, name, flags);
}

int main(int argc, char **argv)
{
	char *roots = getenv("MEMRUN_ROOT"), *spec;
	const char *where = getenv("MEMRUN_FLIP");
	struct status st = { 0 };

	if (!roots) {
		fputs("memrun: MEMRUN_ROOT is not set\n", stderr);
		return 2;
	}
	if (where && sscanf(where, "%u:%" SCNu64, &flip_side, &flip_at) != 2)
		return 2;
	far.agent.timeout_ms = 10000;
	far.agent.chunk = SEND_CHUNK_DEFAULT;
	far.agent.recv.allowed = KEEP_ALL;
	far.agent.recv.umask = 022;
	far.agent.label = "memory";
	roots = strdup(roots);
	for (spec = strtok(roots, " "); spec; spec = strtok(NULL, " "))
		if (roots_add(&far.agent.roots, spec, &st))
			break;
	if (st.code || roots_open(&far.agent.roots, &st)) {
		fprintf(stderr, "memrun: %s\n", st.text);
		return 2;
	}
	free(roots);
	await_death();
	return ivring_main(argc, argv);
}

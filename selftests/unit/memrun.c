// SPDX-License-Identifier: GPL-2.0
/*
 * The command as it is, with an agent at the other end of a link that is memory of this
 * process: what tests in shell use where there are no modules.
 *
 *   MEMRUN_ROOT='[NAME=]DIR[:MODE] ...' memrun COMMAND [ARGUMENT...]
 *
 * Any LINK will do. With MEMRUN_LOG=1 the agent's log goes to standard error. With
 * MEMRUN_FLIP=SIDE:OFFSET a bit flips in the byte at that offset of all that the side sends:
 * 0, the command, or 1, the agent.
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
	memlink_init(&far.link, RING_SIZE, WINDOW);
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
	memlink_destroy(&far.link);
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
	return ivring_main(argc, argv);
}

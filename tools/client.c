// SPDX-License-Identifier: GPL-2.0
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define BUSY_POLL_FIRST_MS	5
#define BUSY_POLL_MAX_MS	200

enum {
	OPT_CONNECT_TIMEOUT = 256,
	OPT_CHUNK,
	OPT_FSYNC,
	OPT_PROGRESS,
};

static const struct option client_longopts[] = {
	{ "timeout", required_argument, NULL, 't' },
	{ "connect-timeout", required_argument, NULL, OPT_CONNECT_TIMEOUT },
	{ "chunk", required_argument, NULL, OPT_CHUNK },
	{ "fsync", no_argument, NULL, OPT_FSYNC },
	{ "progress", no_argument, NULL, OPT_PROGRESS },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static bool apply_option(int opt, struct client_options *o)
{
	switch (opt) {
	case 't':
		return parse_seconds(optarg, &o->timeout_ms);
	case OPT_CONNECT_TIMEOUT:
		return parse_seconds(optarg, &o->connect_timeout_ms);
	case OPT_CHUNK:
		return xfer_parse_chunk(optarg, &o->chunk);
	case OPT_FSYNC:
		o->sync = true;
		return true;
	case OPT_PROGRESS:
		o->progress = true;
		return true;
	case 'q':
		o->quiet = true;
		return true;
	}
	return false;
}

int client_parse_options(int argc, char **argv, const char *usage, struct client_options *o)
{
	int opt;

	o->progress = isatty(STDERR_FILENO);
	while ((opt = getopt_long(argc, argv, "t:qh", client_longopts, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return -1;
		}
		if (opt != '?' && apply_option(opt, o))
			continue;
		complain_option(argv[0], client_longopts, opt);
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	if (o->quiet)
		o->progress = false;
	return 0;
}

bool client_split(const char *arg, char link[CLIENT_NAME_SIZE], const char **path)
{
	const char *colon = strchr(arg, ':');
	const char *slash = strchr(arg, '/');

	/* As scp: ./a:b is local. Link names have no slash but in /dev/ivring0. */
	if (!colon || colon == arg || colon - arg >= CLIENT_NAME_SIZE)
		return false;
	if (slash && slash < colon && strncmp(arg, "/dev/", 5))
		return false;
	memcpy(link, arg, colon - arg);
	link[colon - arg] = '\0';
	*path = colon + 1;
	return true;
}

unsigned int client_channel(const struct ivring_link_info *link, unsigned int side)
{
	return side < link->channels ? side : 0;
}

static int no_agent(const struct client *cl, const char *name, struct status *st)
{
	return status_set(st, STATUS_NO_AGENT,
			  "no agent answers on link %s: run `ivring agent` %s", name,
			  cl->link.side ? "on the host" : "in the guest");
}

/* Why nobody can answer on this link, if so. */
static int check_link(const struct client *cl, const char *name, struct status *st)
{
	switch (cl->link.state) {
	case IVRING_LINK_WAITING:
		return status_set(st, STATUS_NO_PEER, "link %s has no peer: %s", name,
				  cl->link.side ? "is the other side's module loaded?" :
				  "start the VM and load ivring_guest in it");
	case IVRING_LINK_MISMATCH:
		return status_set(st, STATUS_VERSION,
				  "the peer on link %s speaks no version of ours: update the older "
				  "module", name);
	case IVRING_LINK_STALLED:
		return status_set(st, STATUS_PEER_GONE,
				  "the peer on link %s has stopped: is the VM paused or hung?",
				  name);
	case IVRING_LINK_DEAD:
		return status_set(st, STATUS_NO_LINK, "link %s was removed", name);
	}
	return 0;
}

/* Opens the channel; while another client has it, waits. */
static int open_channel(struct client *cl, const char *name, struct status *st)
{
	int64_t deadline = now_ns() + cl->options->timeout_ms * NSEC_PER_MSEC;
	unsigned int channel = client_channel(&cl->link, cl->link.side);
	int pause_ms = BUSY_POLL_FIRST_MS;
	bool told = false;
	int ret;

	while ((ret = ivring_chan_open(&cl->chan, cl->link.link, channel)) == -EBUSY) {
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		if (now_ns() >= deadline)
			return status_set(st, STATUS_BUSY,
					  "link %s is busy: another client or agent has channel %u "
					  "open", name, channel);
		if (!told && !cl->options->quiet)
			complain("link %s is busy, waiting", name);
		told = true;
		/* Nothing tells when a channel is closed, so look again, ever less often. */
		poll(NULL, 0, pause_ms);
		pause_ms = min_u64(2 * pause_ms, BUSY_POLL_MAX_MS);
	}
	if (!ret)
		return 0;
	return status_errno(st, ret == -EPROTONOSUPPORT ? STATUS_VERSION :
			    status_access(-ret, STATUS_IO), -ret,
			    "cannot open channel %u of link %s", channel, name);
}

static int connect_agent(struct client *cl, const char *name, struct status *st)
{
	int ret;

	ret = ivring_chan_connect(&cl->chan, cl->options->connect_timeout_ms);
	if (ret == -EINTR)
		return status_set(st, STATUS_INTERRUPTED, "interrupted");
	if (!ret) {
		cl->chan.timeout_ms = cl->options->timeout_ms;
		ret = conv_start(&cl->conv, &cl->chan, cl->options->connect_timeout_ms, st);
		return ret == -STATUS_TIMEOUT ? no_agent(cl, name, st) : ret;
	}
	/* The peer may have left only now. */
	if (!ivring_link_info(cl->link.link, &cl->link) && check_link(cl, name, st))
		return -st->code;
	if (ret == -ETIMEDOUT)
		return no_agent(cl, name, st);
	return status_errno(st, ret == -EPROTONOSUPPORT ? STATUS_VERSION : STATUS_PEER_GONE, -ret,
			    "cannot reach the agent on link %s", name);
}

int client_open(struct client *cl, const char *link, const struct client_options *o,
		struct status *st)
{
	int ret;

	if (cl->open && !strcmp(cl->name, link))
		return 0;
	client_close(cl);
	memset(cl, 0, sizeof(*cl));
	cl->options = o;
	snprintf(cl->name, sizeof(cl->name), "%s", link);
	ret = ivring_link_find(link, &cl->link, st);
	if (!ret)
		ret = check_link(cl, link, st);
	if (!ret)
		ret = open_channel(cl, link, st);
	if (ret)
		return ret;
	ret = connect_agent(cl, link, st);
	if (ret) {
		ivring_chan_close(&cl->chan);
		return ret;
	}
	cl->open = true;
	return 0;
}

void client_close(struct client *cl)
{
	if (cl->open)
		ivring_chan_close(&cl->chan);
	cl->open = false;
}

void client_print(const struct client_options *o, const char *name,
		  const struct xfer_result *result)
{
	char summary[XFER_SUMMARY_SIZE];

	if (o->quiet)
		return;
	xfer_summary(result, summary);
	printf("%s: %s\n", printable(name), summary);
}

bool client_may_go_on(int code)
{
	return code == STATUS_SOURCE || code == STATUS_NOT_REGULAR || code == STATUS_CHANGED ||
	       code == STATUS_CONTENT || code == STATUS_REFUSED;
}

// SPDX-License-Identifier: GPL-2.0
#include "agent.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "tally.h"
#include "util.h"

#define HELLO_TIMEOUT_MS	10000
/*
 * Between attempts, when a channel cannot be had or conversations fail at once:
 * whatever a peer does, it cannot fill the log. After a while without that, all
 * is forgiven.
 */
#define RETRY_FIRST_MS		10
#define RETRY_MAX_MS		1000
#define RETRY_FORGIVE_MS	10000
/* Of one transfer: the rest is only counted. */
#define LOG_FAILURES_MAX	10

/* What an agent needs for one conversation. */
struct session {
	struct watcher watcher;		/* first: what a stream calls */
	const struct agent *a;
	struct conv c;
	struct request request;
	struct receiver receiver;
	struct sender sender;
	struct send_options send;
	struct tally tally;
	uint64_t told;			/* failures that are in the log */
	char name[NAME_MAX + 1];	/* of the last file */
};

static void on_done(struct watcher *w, const struct entry *e, const char *path)
{
	struct session *s = (struct session *)w;

	(void)path;
	tally_add(&s->tally, e);
	strcpy(s->name, e->name);
}

static void on_failed(struct watcher *w, const struct status *why, uint64_t number)
{
	struct session *s = (struct session *)w;

	(void)number;
	s->tally.failed++;
	if (s->told++ < LOG_FAILURES_MAX)
		log_line("agent: %s: %s", s->a->label, why->text);
}

static void log_transfer(struct session *s, const char *verb)
{
	bool single = s->tally.files == 1 && !s->tally.dirs;
	char text[TALLY_TEXT_SIZE];

	tally_text(&s->tally, text);
	log_line("agent: %s: %s %s%s%s: %s", s->a->label, verb,
		 printable_cut(s->request.path[0] ? s->request.path : "/"),
		 single ? " as " : "", single ? printable_cut(s->name) : "", text);
}

static int agent_put(struct session *s, struct status *st)
{
	int ret;

	if (s->a->read_only)
		return status_set(st, STATUS_REFUSED, "the agent is read-only");
	recv_init(&s->receiver, &s->c, &s->a->root, &s->a->recv, &s->watcher);
	ret = recv_begin(&s->receiver, &s->request, st);
	if (ret)
		return ret;
	ret = conv_send(&s->c, FRAME_GO, NULL, st);
	if (!ret)
		ret = recv_stream(&s->receiver, st);
	recv_end(&s->receiver);
	if (!ret)
		log_transfer(s, "received");
	return ret;
}

static int agent_get(struct session *s, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { 0 };
	struct send_totals totals = { 0 };
	int ret;

	if (s->a->write_only)
		return status_set(st, STATUS_REFUSED, "the agent is write-only");
	ret = send_measure(&s->a->root, s->request.path, &totals, st);
	if (ret)
		return ret;
	if (s->request.hash != HASH_FASTEST && !hash_known(s->request.hash))
		return status_set(st, STATUS_FAIL, "the agent has no library for that --hash");
	s->send = (struct send_options){
		.chunk = s->a->chunk, .keep = s->request.keep, .hash = s->request.hash,
	};
	arg[0] = totals.tree ? BEGIN_F_TREE : 0;
	arg[1] = totals.entries;
	arg[2] = totals.bytes;
	arg[3] = totals.data_bytes;
	send_init(&s->sender, &s->c, &s->send, &s->watcher);
	ret = conv_put(&s->c, FRAME_BEGIN, arg, NULL, 0, st);
	if (!ret)
		ret = send_path(&s->sender, &s->a->root, s->request.path, st);
	if (!ret)
		ret = send_finish(&s->sender, st);
	send_free(&s->sender);
	if (!ret)
		log_transfer(s, "sent");
	return ret;
}

static int agent_request(struct session *s, struct status *st)
{
	struct frame f;
	int ret;

	ret = conv_recv(&s->c, &f, st);
	if (ret)
		return ret;
	if (f.type != FRAME_PUT && f.type != FRAME_GET)
		return status_set(st, STATUS_PROTOCOL, "frame %u is no request", f.type);
	ret = conv_take_request(&s->c, &f, &s->request, st);
	if (ret)
		return ret;
	tally_start(&s->tally);
	s->told = 0;
	ret = f.type == FRAME_PUT ? agent_put(s, st) : agent_get(s, st);
	if (ret)
		log_line("agent: %s: %s of %s failed: %s", s->a->label,
			 f.type == FRAME_PUT ? "push" : "pull", printable_cut(s->request.path),
			 st->text);
	return ret;
}

static int agent_requests(struct session *s, struct status *st)
{
	bool end;
	int ret;

	for (;;) {
		/* A client that asks on and on gives no wait a chance to tell of it. */
		ret = stop_signal ? status_set(st, STATUS_INTERRUPTED, "the agent is ending") :
		      conv_at_end(&s->c, &end, st);
		if (ret) {
			log_line("agent: %s: conversation ended: %s", s->a->label, st->text);
			return ret;
		}
		if (end)
			return 0;
		ret = agent_request(s, st);
		if (ret)
			return ret;
	}
}

int agent_converse(const struct agent *a, struct ivring_chan *ch)
{
	struct session *s = calloc(1, sizeof(*s));
	struct status st = { 0 };
	int ret;

	if (!s)
		return -STATUS_FAIL;
	s->watcher = (struct watcher){ .done = on_done, .failed = on_failed };
	s->a = a;
	ch->timeout_ms = a->timeout_ms;
	ret = conv_start(&s->c, ch, HELLO_TIMEOUT_MS, &st);
	if (ret)
		log_line("agent: %s: no conversation: %s", a->label, st.text);
	else
		ret = agent_requests(s, &st);
	if (ret)
		conv_send_error(&s->c, &st);
	recv_free(&s->receiver);
	free(s);
	return ret;
}

/* Says once why the channel cannot be had. True when there is sense in trying on. */
static bool open_failed(const struct agent *a, int err, int *last)
{
	if (err == -ENODEV || err == -ENOENT || err == -ENXIO)
		return false;
	if (err == *last)
		return true;
	*last = err;
	if (err == -EBUSY)
		log_line("agent: %s: the channel is in use on this side, by another agent "
			 "perhaps; waiting for it", a->label);
	else
		log_line("agent: %s: cannot open the channel: %s", a->label, strerror(-err));
	return status_access(-err, STATUS_OK) == STATUS_OK;
}

/* One conversation, from the wait for a client to the end. Negative errno when there was none. */
static int serve_one(struct agent *a, unsigned int link, unsigned int channel, int *result)
{
	struct ivring_chan ch;
	int ret;

	ret = ivring_chan_open(&ch, link, channel);
	if (ret)
		return ret;
	/* Nothing is half done now: a signal may end the process on the spot. */
	stop_set_idle(true);
	ret = ivring_chan_connect(&ch, -1);
	stop_set_idle(false);
	if (!ret)
		*result = agent_converse(a, &ch);
	ivring_chan_close(&ch);
	return ret;
}

static void agent_pause(int *pause_ms, int64_t *last_ns)
{
	if (now_ns() - *last_ns > RETRY_FORGIVE_MS * NSEC_PER_MSEC)
		*pause_ms = 0;
	*pause_ms = *pause_ms ? min_u64(2 * *pause_ms, RETRY_MAX_MS) : RETRY_FIRST_MS;
	stop_set_idle(true);
	poll(NULL, 0, *pause_ms);
	stop_set_idle(false);
	*last_ns = now_ns();
}

int agent_serve_link(struct agent *a, unsigned int link)
{
	int ret, result = 0, pause_ms = 0, last = 0;
	struct ivring_link_info info;
	unsigned int channel;
	int64_t last_ns = 0;

	ret = ivring_link_info(link, &info);
	if (ret) {
		log_line("agent: ivring%u: cannot look at the link: %s", link, strerror(-ret));
		return status_access(-ret, STATUS_NO_LINK);
	}
	a->label = info.label;
	channel = client_channel(&info, 1 - info.side);
	log_line("agent: %s: serving ivring%uc%u", a->label, link, channel);
	while (!stop_signal) {
		ret = serve_one(a, link, channel, &result);
		if (!ret) {
			last = 0;
			if (a->once)
				return -result;
			if (result)
				agent_pause(&pause_ms, &last_ns);
			continue;
		}
		/* A peer that restarts ends the wait for it; that is no failure. */
		if (ret != -ECONNRESET && ret != -EPIPE && ret != -EINTR && ret != -ETIMEDOUT &&
		    !open_failed(a, ret, &last)) {
			log_line("agent: %s: the link cannot be served any more", a->label);
			return status_access(-ret, STATUS_NO_LINK);
		}
		agent_pause(&pause_ms, &last_ns);
	}
	return 0;
}

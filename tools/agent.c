// SPDX-License-Identifier: GPL-2.0
#include "agent.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "util.h"
#include "xfer.h"

#define HELLO_TIMEOUT_MS	10000
/*
 * Between attempts, when a channel cannot be had or conversations fail at once:
 * whatever a peer does, it cannot fill the log. After a while without that, all
 * is forgiven.
 */
#define RETRY_FIRST_MS		10
#define RETRY_MAX_MS		1000
#define RETRY_FORGIVE_MS	10000

static void log_transfer(const struct agent *a, const char *verb, const struct file_meta *meta,
			 const char *name, const struct xfer_result *result)
{
	char summary[XFER_SUMMARY_SIZE];

	xfer_summary(result, summary);
	log_line("agent: %s: %s %s%s%s: %s", a->label, verb,
		 printable_cut(meta->path[0] ? meta->path : "/"),
		 name ? " as " : "", name ? printable_cut(name) : "", summary);
}

static int agent_put(const struct agent *a, struct conv *c, struct file_meta *meta,
		     struct status *st)
{
	struct xfer_receiver r = { .root = &a->root, .umask = a->umask };
	struct xfer_result result;
	char name[NAME_MAX + 1];
	int ret;

	if (a->read_only)
		return status_set(st, STATUS_REFUSED, "the agent is read-only");
	r.sync = meta->flags & WIRE_FILE_F_SYNC;
	ret = path_resolve_dest(&a->root, meta->path, meta->base,
				meta->flags & WIRE_FILE_F_INTO_DIR, &r.dest, st);
	if (!ret)
		ret = xfer_receive_begin(&r, meta, st);
	if (ret)
		return ret;
	strcpy(name, r.dest.name);
	ret = conv_send(c, FRAME_GO, NULL, st);
	if (ret) {
		xfer_receive_cancel(&r);
		return ret;
	}
	ret = xfer_receive(&r, c, meta, NULL, &result, st);
	if (!ret)
		log_transfer(a, "received", meta, name, &result);
	return ret;
}

static int agent_get(const struct agent *a, struct conv *c, struct file_meta *meta,
		     struct status *st)
{
	struct xfer_result result;
	struct stat stat;
	struct frame f;
	int fd, ret;

	if (a->write_only)
		return status_set(st, STATUS_REFUSED, "the agent is write-only");
	ret = path_open_source(&a->root, meta->path, &fd, &stat, st);
	if (ret)
		return ret;
	xfer_describe(&stat, meta);
	meta->flags = 0;
	ret = conv_send_meta(c, FRAME_FILE, meta, st);
	if (!ret)
		ret = conv_expect(c, FRAME_GO, &f, st);
	if (!ret)
		ret = xfer_send(c, fd, &stat, meta, a->chunk, NULL, &result, st);
	close(fd);
	if (!ret)
		log_transfer(a, "sent", meta, NULL, &result);
	return ret;
}

static int agent_request(const struct agent *a, struct conv *c, struct status *st)
{
	struct file_meta meta;
	const char *verb;
	struct frame f;
	int ret;

	ret = conv_recv(c, &f, st);
	if (ret)
		return ret;
	if (f.type != FRAME_PUT && f.type != FRAME_GET)
		return status_set(st, STATUS_PROTOCOL, "frame %u is no request", f.type);
	ret = conv_take_meta(c, &f, &meta, st);
	if (ret)
		return ret;
	verb = f.type == FRAME_PUT ? "push" : "pull";
	ret = f.type == FRAME_PUT ? agent_put(a, c, &meta, st) : agent_get(a, c, &meta, st);
	if (ret)
		log_line("agent: %s: %s of %s failed: %s", a->label, verb,
			 printable_cut(meta.path), st->text);
	return ret;
}

int agent_converse(const struct agent *a, struct ivring_chan *ch)
{
	struct status st = { 0 };
	struct conv c;
	bool end;
	int ret;

	ch->timeout_ms = a->timeout_ms;
	ret = conv_start(&c, ch, HELLO_TIMEOUT_MS, &st);
	if (ret) {
		log_line("agent: %s: no conversation: %s", a->label, st.text);
		conv_send_error(&c, &st);
		return ret;
	}
	for (;;) {
		/* A client that asks on and on gives no wait a chance to tell of it. */
		ret = stop_signal ? status_set(&st, STATUS_INTERRUPTED, "the agent is ending") :
		      conv_at_end(&c, &end, &st);
		if (ret) {
			log_line("agent: %s: conversation ended: %s", a->label, st.text);
			break;
		}
		if (end)
			return 0;
		ret = agent_request(a, &c, &st);
		if (ret)
			break;
	}
	conv_send_error(&c, &st);
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

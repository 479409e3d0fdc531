// SPDX-License-Identifier: GPL-2.0
#include "agent.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "expand.h"
#include "list.h"
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
/* How long a conversation may take to end when asked to. */
#define END_TIMEOUT_SEC		3
/* So many transfers at once, and then so often, as each has its lines in the log. */
#define PACE_BURST		1000
#define PACE_INTERVAL_NS	(10 * NSEC_PER_MSEC)
/* Of one transfer: the rest is only counted. */
#define LOG_FAILURES_MAX	10

/* What an agent needs for one conversation. */
struct session {
	struct watcher watcher;		/* first: what a stream calls */
	const struct agent *a;
	struct conv c;
	struct request request;
	char asked[PATH_MAX];		/* the path, as the client wrote it */
	const struct root *root;
	struct receiver receiver;
	struct sender sender;
	struct send_options send;
	struct expansion found;		/* what is sent */
	struct sync sync;
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

static void on_resent(struct watcher *w, uint64_t bytes)
{
	struct session *s = (struct session *)w;

	s->tally.resent++;
	s->tally.resent_bytes += bytes;
}

static void on_kept(struct watcher *w, uint64_t bytes)
{
	struct session *s = (struct session *)w;

	s->tally.kept += bytes;
}

static void log_transfer(struct session *s, const char *verb)
{
	bool single = s->tally.files == 1 && !s->tally.dirs;
	char text[TALLY_TEXT_SIZE];

	tally_text(&s->tally, text);
	log_line("agent: %s: %s %s%s%s: %s", s->a->label, verb,
		 printable_cut(s->asked[0] ? s->asked : "/"),
		 single ? " as " : "", single ? printable_cut(s->name) : "", text);
}

static int agent_put(struct session *s, struct status *st)
{
	int ret;

	if (s->root->no_push)
		return status_set(st, STATUS_REFUSED, "the agent serves this read-only");
	if (s->root->no_pull && s->request.flags & REQUEST_F_SYNC)
		return status_set(st, STATUS_REFUSED, "the agent serves this write-only, and tells "
				  "nothing of what is there: use push");
	recv_init(&s->receiver, &s->c, &s->root->dir, &s->a->recv, &s->watcher);
	/* By the hashes of more and more of a file, one would read it byte by byte. */
	s->receiver.blind = s->root->no_pull;
	ret = s->request.flags & REQUEST_F_SYNC ? recv_set_sync(&s->receiver, &s->sync, st) : 0;
	if (!ret)
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

/* All that was asked for, one after the other. */
static int send_found(struct session *s, struct status *st)
{
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < s->found.count; i++)
		ret = send_path(&s->sender, &s->root->dir, s->found.paths[i], st);
	return ret ? ret : send_finish(&s->sender, st);
}

static int agent_find(struct session *s, struct send_totals *totals, struct status *st)
{
	size_t i;
	int ret;

	if (s->request.flags & REQUEST_F_SYNC) {
		/* Of a tree that has not changed, that walk would be half of the work. */
		ret = expand_add(&s->found, s->request.path, st);
		return ret ? ret : send_is_tree(&s->root->dir, s->request.path, &totals->tree, st);
	}
	if (s->request.flags & REQUEST_F_PATTERN)
		ret = expand_pattern(&s->found, &s->root->dir, s->request.path, st);
	else
		ret = expand_add(&s->found, s->request.path, st);
	for (i = 0; !ret && i < s->found.count; i++) {
		ret = send_measure(&s->root->dir, s->found.paths[i], totals, st);
		/* One of several is told of when its turn comes. */
		if (ret && s->found.count > 1)
			ret = 0;
	}
	return ret;
}

static int agent_get(struct session *s, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { 0 };
	struct send_totals totals = { 0 };
	int ret;

	if (s->root->no_pull)
		return status_set(st, STATUS_REFUSED, "the agent serves this write-only");
	ret = agent_find(s, &totals, st);
	if (!ret)
		ret = recv_check_quota(&s->a->recv, totals.entries, totals.data_bytes, st);
	if (ret)
		return ret;
	if (s->request.hash != HASH_FASTEST && !hash_known(s->request.hash))
		return status_set(st, STATUS_FAIL, "the agent has no library for that --hash");
	s->send = (struct send_options){
		.chunk = s->a->chunk, .keep = s->request.keep, .hash = s->request.hash,
		.rate = s->request.rate, .flags = s->request.flags,
	};
	arg[0] = (totals.tree ? BEGIN_F_TREE : 0) | (s->found.count > 1 ? BEGIN_F_SEVERAL : 0);
	arg[1] = totals.entries;
	arg[2] = totals.bytes;
	arg[3] = totals.data_bytes;
	send_init(&s->sender, &s->c, &s->send, &s->watcher);
	ret = s->request.flags & REQUEST_F_SYNC ? send_set_sync(&s->sender, &s->sync, st) : 0;
	if (!ret)
		ret = conv_put(&s->c, FRAME_BEGIN, arg, NULL, 0, st);
	if (!ret)
		ret = send_found(s, st);
	send_free(&s->sender);
	if (!ret)
		log_transfer(s, "sent");
	return ret;
}

/* Sleeps when requests come faster than they may. */
static void keep_pace(struct agent_pace *pace)
{
	int64_t now = now_ns(), earliest = now - PACE_BURST * PACE_INTERVAL_NS;

	if (!pace)
		return;
	/* Another process may have left there whatever it liked. */
	if (pace->next_ns < earliest || pace->next_ns > now + NSEC_PER_SEC)
		pace->next_ns = earliest;
	pace->next_ns += PACE_INTERVAL_NS;
	if (pace->next_ns > now)
		poll(NULL, 0, (pace->next_ns - now) / NSEC_PER_MSEC);
}

static void audit(const struct session *s, bool push, int ret, const struct status *st)
{
	struct status outcome = { .code = push ? s->receiver.first_code : s->sender.first_code };
	struct audit_record record = {
		.link = s->a->label,
		.push = push,
		.path = s->asked,
		.tally = &s->tally,
		.st = ret ? st : &outcome,
	};

	strcpy(outcome.text, "some of it failed");
	audit_transfer(s->a->audit, &record);
}

static int agent_list(struct session *s, struct status *st)
{
	int ret = list_answer(&s->c, &s->a->roots, &s->request, st);

	if (ret)
		log_line("agent: %s: list of %s failed: %s", s->a->label, printable_cut(s->asked),
			 st->text);
	return ret;
}

/* What is wished besides. */
static int agent_sync(struct session *s, struct status *st)
{
	struct frame f;
	int ret = conv_expect(&s->c, FRAME_SYNC, &f, st);

	return ret ? ret : sync_take(&s->c, &f, &s->sync, st);
}

static int agent_request(struct session *s, struct status *st)
{
	struct frame f;
	int ret;

	ret = conv_recv(&s->c, &f, st);
	if (ret)
		return ret;
	if (f.type != FRAME_PUT && f.type != FRAME_GET && f.type != FRAME_LIST)
		return status_set(st, STATUS_PROTOCOL, "frame %u is no request", f.type);
	ret = conv_take_request(&s->c, &f, &s->request, st);
	if (!ret && s->request.flags & REQUEST_F_SYNC)
		ret = agent_sync(s, st);
	if (ret)
		return ret;
	keep_pace(s->a->pace);
	tally_start(&s->tally);
	s->told = 0;
	s->receiver.first_code = s->sender.first_code = 0;
	strcpy(s->asked, s->request.path);
	if (f.type == FRAME_LIST)
		return agent_list(s, st);
	s->root = roots_find(&s->a->roots, s->request.path, st);
	if (!s->root)
		ret = -st->code;
	else
		ret = f.type == FRAME_PUT ? agent_put(s, st) : agent_get(s, st);
	expand_free(&s->found);
	if (ret)
		log_line("agent: %s: %s of %s failed: %s", s->a->label,
			 f.type == FRAME_PUT ? "push" : "pull", printable_cut(s->asked),
			 st->text);
	audit(s, f.type == FRAME_PUT, ret, st);
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
	s->watcher = (struct watcher){ .done = on_done, .failed = on_failed, .resent = on_resent,
					 .kept = on_kept };
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
	sync_free(&s->sync);
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

int agent_become_user(const struct agent *a)
{
	/* Groups first: they take the right that goes with the user. */
	if (!a->user || (geteuid() == a->uid && geteuid()))
		return 0;
	return initgroups(a->user, a->gid) || setgid(a->gid) || setuid(a->uid) ? -errno : 0;
}

/* What the process of a conversation leaves behind, also for the next one. */
struct outcome {
	struct agent_pace pace;
	int err;			/* why there was no conversation, or zero */
	int result;
	bool done;
};

/* The device is opened with the rights that the agent was started with; no peer has a say yet. */
static void serve_client(struct agent *a, unsigned int link, unsigned int channel,
			 struct outcome *o, pid_t parent)
{
	struct ivring_chan ch;
	struct status st;

	o->err = ivring_chan_open(&ch, link, channel);
	if (!o->err && agent_become_user(a)) {
		log_line("agent: %s: cannot become user %s: %s", a->label, a->user, strerror(errno));
		_exit(STATUS_ACCESS);
	}
	/* Only now, as a change of the user would have taken it back. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	audit_open(a->audit);
	if (!o->err && sandbox_enter(a->sandbox, &a->roots, a->recv.allowed, &st)) {
		log_line("agent: %s: %s", a->label, st.text);
		_exit(st.code);
	}
	if (!o->err) {
		/* Nothing is half done now: a signal may end the process on the spot. */
		stop_set_idle(true);
		o->err = ivring_chan_connect(&ch, -1);
		stop_set_idle(false);
		if (!o->err)
			o->result = agent_converse(a, &ch);
		ivring_chan_close(&ch);
	}
	o->done = true;
}

static void run_client(struct agent *a, unsigned int link, unsigned int channel,
		       struct outcome *o, pid_t parent, const sigset_t *unblocked)
{
	stop_install();
	sigprocmask(SIG_SETMASK, unblocked, NULL);
	serve_client(a, link, channel, o, parent);
	_exit(0);
}

/* Waits for the end of the process, and ends it when this one is to end. */
static int await_client(pid_t pid, const sigset_t *signals)
{
	static const struct timespec grace = { .tv_sec = END_TIMEOUT_SEC };
	int signum, status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		signum = sigtimedwait(signals, NULL, stop_signal ? &grace : NULL);
		if (signum == SIGCHLD)
			continue;
		if (signum > 0)
			stop_signal = signum;
		else if (errno == EINTR)
			continue;
		kill(pid, signum > 0 ? SIGTERM : SIGKILL);
	}
	return status;
}

/*
 * One conversation, from the wait for a client to the end, in a process of its own: that
 * gives up all it does not need, and takes whatever a client has done to it along.
 * Negative errno when there was none.
 */
static int serve_one(struct agent *a, unsigned int link, unsigned int channel,
		     struct outcome *o, int *result)
{
	sigset_t signals, old;
	pid_t parent = getpid(), pid;
	int status;

	stop_signals(&signals);
	sigprocmask(SIG_BLOCK, &signals, &old);
	o->err = o->result = 0;
	o->done = false;
	fflush(stdout);
	pid = fork();
	if (!pid)
		run_client(a, link, channel, o, parent, &old);
	status = pid < 0 ? 0 : await_client(pid, &signals);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return -EAGAIN;
	*result = o->result;
	if (o->done || stop_signal)
		return o->err;
	if (WIFSIGNALED(status)) {
		log_line("agent: %s: the process of a conversation was ended by signal %d", a->label,
			 WTERMSIG(status));
		audit_killed(a->audit, a->label, WTERMSIG(status));
		*result = -STATUS_FAIL;
		return 0;
	}
	*result = -WEXITSTATUS(status);
	return *result ? 0 : -EINTR;
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
	struct outcome *outcome;
	unsigned int channel;
	int64_t last_ns = 0;

	ret = ivring_link_info(link, &info);
	if (ret) {
		log_line("agent: ivring%u: cannot look at the link: %s", link, strerror(-ret));
		return status_access(-ret, STATUS_NO_LINK);
	}
	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (outcome == MAP_FAILED)
		return STATUS_FAIL;
	a->label = info.label;
	a->pace = &outcome->pace;
	channel = client_channel(&info, 1 - info.side);
	log_line("agent: %s: serving ivring%uc%u", a->label, link, channel);
	while (!stop_signal) {
		ret = serve_one(a, link, channel, outcome, &result);
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

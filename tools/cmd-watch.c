// SPDX-License-Identifier: GPL-2.0
/* Keeps a directory of the other side like one here, as that changes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "mirror.h"
#include "sender.h"
#include "tree-watch.h"
#include "util.h"

/* An agent gives up on who says nothing for a while. */
#define PING_NS		(5 * NSEC_PER_SEC)
/* What is in hand when the end is wished may still be sent for so long. */
#define GRACE_SEC	3
/* All is compared for the sake of hard links no more often, and for so small a part of the time. */
#define LINKS_WAIT_NS	NSEC_PER_SEC
#define LINKS_FACTOR	10
/* Things that vanish while all is compared keep it from deleting: then once more. */
#define RACE_WAIT_NS	NSEC_PER_SEC
#define RACES_MAX	5
/* How long others have to take the link, and how often it is looked whether they have. */
#define LET_OTHERS_NS	(NSEC_PER_SEC / 2)
#define LOOK_NS		(5 * NSEC_PER_MSEC)
/* Within which it is known that there is nothing to watch any more. */
#define TOP_WAIT_NS	(3 * NSEC_PER_SEC)

static const char usage[] =
"Usage: ivring watch [OPTION...] DIR LINK:PATH\n"
"Makes what is at PATH on the other side of LINK like directory DIR, as ivring sync does,\n"
"and keeps it so while DIR changes: files are sent when they are closed. DIR goes into the\n"
"directory PATH, which is made if need be; with a slash at its end only what is in it does.\n"
"Ends by SIGINT or SIGTERM, and tells then how long it took from close to visible.\n\n";

static const char extra_usage[] =
"      --delay MS             send no more often than every MS milliseconds (2)\n"
"      --hold SEC             keep the link for SEC after a change, from others as well (1)\n"
"      --for SEC              end after SEC, as by a signal\n"
"      --delete               delete also what was never in DIR, or went while nobody watched\n"
"      --no-delete            delete nothing, not even what is deleted in DIR\n"
SYNC_OPTIONS_USAGE;

enum {
	OPT_DELAY = SYNC_OPT_NEXT,
	OPT_HOLD,
	OPT_FOR,
	OPT_NO_DELETE,
};

static const struct option extra_longopts[] = {
	SYNC_LONGOPTS,
	{ "delay", required_argument, NULL, OPT_DELAY },
	{ "hold", required_argument, NULL, OPT_HOLD },
	{ "for", required_argument, NULL, OPT_FOR },
	{ "no-delete", no_argument, NULL, OPT_NO_DELETE },
	{ NULL, 0, NULL, 0 },
};

#define RETRIES_UNSET	UINT_MAX

struct watch {
	struct client_options options;
	struct sync sync;
	bool no_delete;
	uint64_t delay_ms;
	int hold_ms;
	int for_ms;
	const char *name;		/* of the destination, as it was written */
	char link[CLIENT_NAME_SIZE];
	const char *far;
	char near[PATH_MAX];
	char prefix[NAME_MAX + 1];
	int top;
	struct changes changes;
	struct tree_watch tree;
	struct mirror mirror;
	const char *reason;		/* why all is to be compared; NULL: no need */
	bool started;			/* that was done once */
	unsigned int failures;		/* in a row */
	unsigned int races;
	uint64_t retries;
	int64_t start_ns;
	int64_t sent_ns;		/* when the last round began */
	int64_t used_ns;		/* when the link was used last */
	int64_t ping_ns;
	int64_t links_ns;		/* when all may be compared for links */
	int64_t race_ns;		/* when all is compared again; or zero */
};

static const struct path_root local = { .fd = AT_FDCWD, .whose = "the local" };

/* For signal handlers. */
static struct watch *the_watch;
static volatile sig_atomic_t ending;

static void on_end(int signum)
{
	int err = errno;

	/* What is in hand may be completed; a second signal is not for waiting. */
	if (ending || the_watch->mirror.comparing)
		stop_signal = signum;
	ending = signum;
	alarm(GRACE_SEC);
	changes_wake(&the_watch->changes);
	errno = err;
}

/* Its time is over, as by a signal. */
static void end_in_time(void)
{
	if (!ending)
		alarm(GRACE_SEC);
	ending = SIGTERM;
}

static void on_alarm(int signum)
{
	(void)signum;
	stop_signal = ending ? ending : SIGTERM;
}

static void install_signals(struct watch *w)
{
	struct sigaction sa = { .sa_handler = on_end };

	the_watch = w;
	stop_install();
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sa.sa_handler = on_alarm;
	sigaction(SIGALRM, &sa, NULL);
}

static bool apply_extra(int opt, void *arg)
{
	struct watch *w = arg;

	switch (opt) {
	case OPT_DELAY:
		return parse_number(optarg, 60000, &w->delay_ms);
	case OPT_HOLD:
		w->hold_ms = 0;
		return !strcmp(optarg, "0") || parse_seconds(optarg, &w->hold_ms);
	case OPT_FOR:
		return parse_seconds(optarg, &w->for_ms) && w->for_ms;
	case OPT_NO_DELETE:
		w->no_delete = true;
		return true;
	}
	return sync_apply_option(opt, &w->sync);
}

static int check_options(const struct watch *w)
{
	const char *why = NULL;

	if (w->options.manifest)
		why = "--manifest is for commands that come to an end: use sync";
	else if (w->options.send.flags & REQUEST_F_DRY_RUN)
		why = "--dry-run is for commands that come to an end: use sync";
	else if (w->sync.flags & SYNC_F_CHECKSUM && w->options.send.hash == HASH_NONE)
		why = "--checksum needs a --hash";
	else if (w->no_delete && w->sync.flags & SYNC_F_DELETE)
		why = "--delete and --no-delete contradict each other";
	if (why)
		complain("watch: %s", why);
	return why ? STATUS_USAGE : 0;
}

static int check_arguments(struct watch *w, int count, char **args)
{
	char link[CLIENT_NAME_SIZE];
	const char *path;

	if (count != 2) {
		complain("watch: needs a directory and LINK:PATH");
		return STATUS_USAGE;
	}
	w->name = args[1];
	if (!client_split(args[1], w->link, &w->far)) {
		complain("watch: %s is not LINK:PATH: a directory can be watched only here, and be "
			 "mirrored only to the other side", printable_cut(args[1]));
		return STATUS_USAGE;
	}
	if (client_split(args[0], link, &path) && access(args[0], F_OK)) {
		complain("watch: %s is on the other side: only a directory of this side can be "
			 "watched; run watch over there", printable_cut(args[0]));
		return STATUS_USAGE;
	}
	if (!*args[0] || strlen(w->far) >= PATH_MAX || strlen(args[0]) >= PATH_MAX) {
		complain("watch: a name is %s", *args[0] ? "too long" : "empty");
		return STATUS_USAGE;
	}
	strcpy(w->near, args[0]);
	return 0;
}

/* What is to be watched is there, and a directory. */
static int open_top(struct watch *w, struct status *st)
{
	struct status why;
	struct stat stat;
	int ret;

	ret = path_open_source(&local, w->near, &w->top, &stat, &why);
	if (!ret && !S_ISDIR(stat.st_mode))
		ret = status_set(&why, STATUS_SOURCE, "is no directory: for a file, watch its "
				 "directory with --include and --exclude");
	if (!ret)
		ret = send_name_of(&local, w->near, true, w->prefix, &why);
	if (ret)
		return status_set(st, why.code, "%.200s: %.250s", printable_cut(w->near), why.text);
	if (!strcmp(w->prefix, "."))
		w->prefix[0] = '\0';
	return 0;
}

static void look(void *arg)
{
	tree_watch_poll(arg);
}

static void set_up(struct watch *w)
{
	struct mirror *m = &w->mirror;

	if (w->options.report.verbose || w->options.report.json)
		w->sync.flags |= SYNC_F_ITEMIZE;
	m->o = &w->options;
	m->link = w->link;
	m->push = (struct sync_push){
		.o = &w->options, .sync = &w->sync, .far = w->far, .root = &local, .near = w->near,
	};
	m->deletes = !w->no_delete;
	m->top = w->top;
	m->prefix = w->prefix;
	m->changes = &w->changes;
	m->look = look;
	m->look_arg = &w->tree;
	mirror_init(m);
	w->tree.changes = &w->changes;
	w->tree.filter = &w->sync.filter;
	w->tree.prefix = w->prefix;
	w->tree.path = w->near;
	w->tree.stop_fd = w->tree.fd = -1;
}

/* Sleeps for @ns, or until there is something to do with @wake. */
static void wait_for(struct watch *w, int64_t ns, bool wake)
{
	struct pollfd fd = { .fd = w->changes.wake_fd, .events = POLLIN };
	struct timespec ts = { .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC };
	uint64_t count;

	if (ending && !wake)
		return;
	if (ppoll(&fd, wake, ns < 0 ? NULL : &ts, NULL) > 0 &&
	    read(w->changes.wake_fd, &count, sizeof(count)) < 0)
		return;
}

static bool may_try_again(const struct watch *w, const struct status *why)
{
	unsigned int most = w->options.retries != RETRIES_UNSET ? w->options.retries :
			    w->started ? UINT_MAX : 0;

	if (ending || stop_signal || w->failures >= most)
		return false;
	if (client_may_pass(why->code, w->started))
		return true;
	/* What was right once may be so again. */
	return w->started && (why->code == STATUS_NO_SPACE || why->code == STATUS_DEST ||
			      why->code == STATUS_QUOTA || why->code == STATUS_IO);
}

/* What could not be read may be all of it: that is told by who watches. */
static bool has_lost_top(struct watch *w)
{
	int64_t until = now_ns() + TOP_WAIT_NS;

	while (!atomic_load(&w->tree.failed) && !ending && now_ns() < until)
		wait_for(w, until - now_ns(), true);
	return atomic_load(&w->tree.failed);
}

/* The link failed: whether to go on, after a pause. */
static int recover(struct watch *w, const struct status *st)
{
	int pause_ms = client_retry_pause(w->failures);
	int64_t until, end = w->for_ms ? w->start_ns + w->for_ms * NSEC_PER_MSEC : INT64_MAX;

	if ((st->code == STATUS_SOURCE && has_lost_top(w)) || !may_try_again(w, st))
		return -st->code;
	w->failures++;
	w->retries++;
	mirror_tell_retry(&w->mirror, st, w->failures, pause_ms);
	until = now_ns() + pause_ms * NSEC_PER_MSEC;
	until = until < end ? until : end;
	while (now_ns() < until && !ending && !atomic_load(&w->tree.failed))
		wait_for(w, until - now_ns(), true);
	if (now_ns() >= end)
		end_in_time();
	w->reason = w->started ? "link" : "start";
	return 0;
}

static int compare_all(struct watch *w, struct status *st)
{
	struct mirror_stats *s = &w->mirror.stats;
	uint64_t changes = s->sync_changes, deleted = s->sync_deleted;
	int64_t start = now_ns(), took;
	int ret = mirror_sync(&w->mirror, st);

	if (ret)
		return ret;
	w->used_ns = w->ping_ns = now_ns();
	took = w->used_ns - start;
	w->links_ns = w->used_ns + (took * LINKS_FACTOR > LINKS_WAIT_NS ? took * LINKS_FACTOR :
				    LINKS_WAIT_NS);
	w->races = w->mirror.raced ? w->races + 1 : 0;
	w->race_ns = w->mirror.raced && w->sync.flags & SYNC_F_DELETE && w->races < RACES_MAX ?
		     w->used_ns + RACE_WAIT_NS : 0;
	mirror_tell_sync(&w->mirror, w->reason, s->sync_changes - changes,
			 s->sync_deleted - deleted, (double)took / NSEC_PER_SEC);
	if (!w->started)
		mirror_tell_ready(&w->mirror);
	w->started = true;
	w->failures = 0;
	w->reason = NULL;
	return 0;
}

/* The sooner of two times from now; negative: never. */
static int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int64_t until(int64_t when, int64_t now)
{
	return when > now ? when - now : 0;
}

/* How long it is until the next round may be; negative: there is nothing to send. */
static int64_t round_time(struct watch *w, int64_t now)
{
	int64_t wait = changes_wait(&w->changes, now);
	int64_t delay = w->sent_ns ? until(w->sent_ns + (int64_t)w->delay_ms * NSEC_PER_MSEC, now) : 0;

	return wait >= 0 && wait < delay ? delay : wait;
}

/* How long there is nothing to do. */
static int64_t idle_time(struct watch *w, int64_t now)
{
	int64_t wait = round_time(w, now);

	if (w->mirror.client.open) {
		wait = sooner(wait, until(w->used_ns + w->hold_ms * NSEC_PER_MSEC, now));
		wait = sooner(wait, until(w->ping_ns + PING_NS, now));
	}
	if (w->mirror.has_links)
		wait = sooner(wait, until(w->links_ns, now));
	if (w->race_ns)
		wait = sooner(wait, until(w->race_ns, now));
	if (w->for_ms)
		wait = sooner(wait, until(w->start_ns + w->for_ms * NSEC_PER_MSEC, now));
	return wait;
}

/* What has changed where no path leads that could be sent. */
static void tell_too_long(struct watch *w)
{
	unsigned long count = atomic_exchange(&w->tree.too_long, 0);
	struct status why;

	if (!count)
		return;
	status_set(&why, STATUS_SOURCE, "%.200s: %lu changes of paths longer than %d bytes",
		   printable_cut(w->near), count, PATH_MAX);
	mirror_fail(&w->mirror, &why, count);
}

/* What the time has come for, besides changes. */
static int do_due(struct watch *w, struct status *st)
{
	int64_t now = now_ns();

	tell_too_long(w);
	if (changes_take_lost(&w->changes))
		w->reason = "overflow";
	else if (w->race_ns && now >= w->race_ns)
		w->reason = "race";
	else if (w->mirror.has_links && now >= w->links_ns)
		w->reason = "links";
	if (w->for_ms && now - w->start_ns >= w->for_ms * NSEC_PER_MSEC)
		end_in_time();
	if (!w->mirror.client.open || w->reason || !round_time(w, now))
		return 0;
	if (now - w->used_ns >= w->hold_ms * NSEC_PER_MSEC)
		return mirror_rest(&w->mirror, st);
	if (now - w->ping_ns < PING_NS)
		return 0;
	w->ping_ns = now;
	return mirror_ping(&w->mirror, st);
}

static int send_changes(struct watch *w, struct status *st)
{
	int64_t now = now_ns();
	bool busy;
	int ret;

	if (!ending && round_time(w, now) > 0)
		return 0;
	ret = mirror_round(&w->mirror, &busy, st);
	if (ret || !busy)
		return ret;
	w->sent_ns = now;
	w->used_ns = w->ping_ns = now_ns();
	w->failures = 0;
	return 0;
}

/* Who wants to use the link for a moment need not wait until nothing changes any more. */
static int let_others(struct watch *w, struct status *st)
{
	struct client *client = &w->mirror.client;
	unsigned int link = client->link.link;
	int64_t until;
	int ret;

	if (!client->open || !ivring_link_is_queued(link))
		return 0;
	ret = mirror_rest(&w->mirror, st);
	until = now_ns() + LET_OTHERS_NS;
	while (!ret && !ending && now_ns() < until && ivring_link_is_queued(link))
		wait_for(w, LOOK_NS, false);
	return ret;
}

static int step(struct watch *w, struct status *st)
{
	int64_t wait;
	int ret;

	ret = w->reason ? compare_all(w, st) : 0;
	if (!ret)
		ret = let_others(w, st);
	if (!ret)
		ret = send_changes(w, st);
	if (!ret)
		ret = do_due(w, st);
	if (ret || w->reason || ending)
		return ret;
	wait = idle_time(w, now_ns());
	/* While it is only for the delay, more changes are no reason to wake up. */
	if (wait)
		wait_for(w, wait, changes_wait(&w->changes, now_ns()) != 0);
	return 0;
}

/* The end is wished: what has happened until now is sent, if that goes well. */
static int send_rest(struct watch *w, struct status *st)
{
	bool busy = true;

	tree_watch_stop(&w->tree);
	w->mirror.last = true;
	tell_too_long(w);
	if (changes_take_lost(&w->changes) || w->reason) {
		w->reason = w->reason ? w->reason : "overflow";
		if (!stop_signal && compare_all(w, st))
			busy = false;
	}
	while (busy && !stop_signal && !mirror_round(&w->mirror, &busy, st))
		;
	/* All is there already, but for what --fsync=end wishes. */
	if (!st->code && mirror_rest(&w->mirror, st) && !busy && !w->reason &&
	    !(w->options.sync & REQUEST_F_SYNC_END) && client_may_pass(st->code, true))
		*st = (struct status){ 0 };
	if (st->code == STATUS_INTERRUPTED)
		*st = (struct status){ 0 };
	return -st->code;
}

static int watch_loop(struct watch *w, struct status *st)
{
	int ret = 0;

	w->reason = "start";
	while (!ret && !ending && !atomic_load(&w->tree.failed)) {
		*st = (struct status){ 0 };
		ret = step(w, st);
		if (ret && !ending && !atomic_load(&w->tree.failed))
			ret = recover(w, st);
	}
	if (ending && w->started) {
		*st = (struct status){ 0 };
		return send_rest(w, st);
	}
	/* Nothing was ever mirrored: what was in the way counts. */
	if (ending)
		return -st->code;
	tree_watch_stop(&w->tree);
	if (!atomic_load(&w->tree.failed))
		return ret;
	*st = w->tree.failure;
	return -st->code;
}

static int watch_run(struct watch *w)
{
	struct status st = { 0 };
	int ret;

	w->start_ns = now_ns();
	if (!changes_init(&w->changes)) {
		complain("watch: out of memory");
		return STATUS_FAIL;
	}
	ret = open_top(w, &st);
	if (!ret) {
		set_up(w);
		install_signals(w);
		ret = tree_watch_start(&w->tree, w->top, &st);
		if (!ret)
			ret = watch_loop(w, &st);
		tree_watch_free(&w->tree);
		if (ret)
			mirror_tell_failure(&w->mirror, &st);
		else
			st.code = failures_code(&w->mirror.failures);
		mirror_free(&w->mirror);
		if (w->started || w->options.report.json)
			mirror_tell_summary(&w->mirror, w->name, atomic_load(&w->tree.overflows),
					    w->retries, (double)(now_ns() - w->start_ns) /
					    NSEC_PER_SEC, st.code);
		latency_clear(&w->mirror.stats.latency);
		close(w->top);
	} else {
		complain("watch: %s", st.text);
	}
	changes_free(&w->changes);
	return st.code;
}

int cmd_watch(int argc, char **argv)
{
	static struct watch w = {
		.options = CLIENT_OPTIONS_DEFAULT,
		.sync = { .max_delete = UINT64_MAX },
		.delay_ms = 2,
		.hold_ms = 1000,
	};
	static const struct client_extra extra = { extra_longopts, extra_usage, apply_extra, &w };
	int ret;

	w.options.retries = RETRIES_UNSET;
	ret = client_parse_more(argc, argv, usage, &w.options, &extra);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	ret = check_arguments(&w, argc - optind, argv + optind);
	if (!ret)
		ret = check_options(&w);
	if (ret) {
		fputs(usage, stderr);
		return ret;
	}
	files_raise_limit();
	ret = watch_run(&w);
	sync_free(&w.sync);
	return ret;
}

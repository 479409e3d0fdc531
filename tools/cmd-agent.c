// SPDX-License-Identifier: GPL-2.0
/*
 * The agent's supervisor: one child process for each link, so that a link that
 * stalls, or is removed while its memory is in use, harms no other.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "cmd.h"
#include "send.h"
#include "util.h"

#define CHILDREN_MAX	256
/* How soon a child that died unexpectedly gets a successor. */
#define RESPAWN_MS	1000
/* How long a child may take to end, and to die. */
#define END_TIMEOUT_MS	5000
#define KILL_TIMEOUT_MS	1000

static const char usage[] =
"Usage: ivring agent [OPTION...]\n"
"Answers push, pull, sync and ls of the other side: on all links there are or will be.\n\n"
"  -r, --root [NAME=]DIR[:ro|wo|rw]\n"
"                     a directory that is served: only for pulls, only for pushes, or for\n"
"                     both; nothing outside of it can be reached. Of several, each has a\n"
"                     NAME, with which clients' paths begin\n"
"  -l, --link LINK    only this link; may be given several times\n"
"      --read-only    refuse push, whatever the root\n"
"      --write-only   refuse pull\n"
"      --allow-devices  let pushes make device nodes\n"
"      --allow-setid  let pushes keep set-id bits and capabilities\n"
"      --max-bytes SIZE  most content of one transfer, holes not counted\n"
"      --max-files N  most files, directories and other names of one transfer\n"
"      --user NAME    work with the rights of that user\n"
"      --sandbox auto|require|off  what the kernel can keep conversations from (auto:\n"
"                     all it knows; require: end if there is not all)\n"
"      --audit off|syslog|stderr|both  a line for each transfer (syslog)\n"
"      --once         end after one conversation, with its exit code\n"
"  -t, --timeout SEC  end a conversation when nothing moves for SEC (30)\n"
"      --chunk SIZE   bytes per frame when sending (512K)\n"
"  -h, --help\n";

enum {
	OPT_READ_ONLY = 256,
	OPT_WRITE_ONLY,
	OPT_ONCE,
	OPT_CHUNK,
	OPT_ALLOW_DEVICES,
	OPT_ALLOW_SETID,
	OPT_USER,
	OPT_AUDIT,
	OPT_SANDBOX,
	OPT_MAX_BYTES,
	OPT_MAX_FILES,
};

static const struct option longopts[] = {
	{ "root", required_argument, NULL, 'r' },
	{ "link", required_argument, NULL, 'l' },
	{ "read-only", no_argument, NULL, OPT_READ_ONLY },
	{ "write-only", no_argument, NULL, OPT_WRITE_ONLY },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "timeout", required_argument, NULL, 't' },
	{ "chunk", required_argument, NULL, OPT_CHUNK },
	{ "allow-devices", no_argument, NULL, OPT_ALLOW_DEVICES },
	{ "allow-setid", no_argument, NULL, OPT_ALLOW_SETID },
	{ "user", required_argument, NULL, OPT_USER },
	{ "sandbox", required_argument, NULL, OPT_SANDBOX },
	{ "audit", required_argument, NULL, OPT_AUDIT },
	{ "max-bytes", required_argument, NULL, OPT_MAX_BYTES },
	{ "max-files", required_argument, NULL, OPT_MAX_FILES },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct child {
	pid_t pid;
	unsigned int link;
	int64_t respawn_ns;		/* when @pid is zero: not before this time */
};

struct supervisor {
	struct agent agent;
	bool read_only;
	bool write_only;
	const char *wanted[CHILDREN_MAX];
	size_t wanted_count;
	struct child children[CHILDREN_MAX];
	size_t count;
	sigset_t signals;
	int signal_fd;
	int watch_fd;
};

static bool apply_root(struct supervisor *s)
{
	struct status st;

	if (!roots_add(&s->agent.roots, optarg, &st))
		return true;
	complain("agent: %s", st.text);
	return false;
}

static bool apply_user(struct supervisor *s)
{
	const struct passwd *pw = getpwnam(optarg);

	if (!pw)
		return false;
	if (geteuid() && geteuid() != pw->pw_uid) {
		complain("agent: only root can become another user");
		return false;
	}
	s->agent.user = optarg;
	s->agent.uid = pw->pw_uid;
	s->agent.gid = pw->pw_gid;
	return true;
}

static bool apply_option(struct supervisor *s, int opt)
{
	switch (opt) {
	case 'r':
		return apply_root(s);
	case 'l':
		if (s->wanted_count == CHILDREN_MAX)
			return false;
		s->wanted[s->wanted_count++] = optarg;
		return true;
	case OPT_READ_ONLY:
		s->read_only = true;
		return true;
	case OPT_WRITE_ONLY:
		s->write_only = true;
		return true;
	case OPT_ONCE:
		s->agent.once = true;
		return true;
	case 't':
		return parse_seconds(optarg, &s->agent.timeout_ms);
	case OPT_ALLOW_DEVICES:
		s->agent.recv.allowed |= KEEP_DEVICES;
		return true;
	case OPT_ALLOW_SETID:
		s->agent.recv.allowed |= KEEP_SETID;
		return true;
	case OPT_USER:
		return apply_user(s);
	case OPT_SANDBOX:
		return sandbox_parse(optarg, &s->agent.sandbox);
	case OPT_AUDIT:
		return audit_parse(optarg, &s->agent.audit);
	case OPT_MAX_BYTES:
		return parse_size(optarg, &s->agent.recv.max_bytes) && s->agent.recv.max_bytes;
	case OPT_MAX_FILES:
		return parse_number(optarg, UINT64_MAX, &s->agent.recv.max_files) &&
		       s->agent.recv.max_files;
	case OPT_CHUNK:
		return send_parse_chunk(optarg, &s->agent.chunk);
	}
	return false;
}

static int parse_options(struct supervisor *s, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "r:l:t:h", longopts, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return -1;
		}
		if (opt != '?' && apply_option(s, opt))
			continue;
		complain_option("agent", longopts, opt);
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	if (optind == argc)
		return 0;
	complain("agent: takes no arguments besides options");
	return STATUS_USAGE;
}

/* What holds for all of them, on top of what each one says. */
static int restrict_roots(struct supervisor *s, struct status *st)
{
	struct root *root;

	for (root = s->agent.roots.list; root < s->agent.roots.list + s->agent.roots.count; root++) {
		root->no_push |= s->read_only;
		root->no_pull |= s->write_only;
		if (root->no_push && root->no_pull)
			return status_set(st, STATUS_USAGE, "read-only and write-only together "
					  "allow nothing: --root %s", printable_cut(root->path));
	}
	return 0;
}

static int open_roots(struct supervisor *s, struct status *st)
{
	const struct root *root;
	char path[PATH_MAX];
	int ret;

	ret = restrict_roots(s, st);
	if (!ret)
		ret = roots_open(&s->agent.roots, st);
	for (root = s->agent.roots.list; !ret && root < s->agent.roots.list + s->agent.roots.count;
	     root++)
		log_line("agent: root %s%sis %s%s%s", root->name, root->name[0] ? " " : "",
			 printable(realpath(root->path, path) ? path : root->path),
			 *root_mode(root) ? ", " : "", root_mode(root));
	return ret;
}

static int prepare_sandbox(const struct supervisor *s, struct status *st)
{
	char text[STATUS_TEXT_SIZE];
	int ret;

	ret = sandbox_prepare(s->agent.sandbox, text, sizeof(text), st);
	if (!ret)
		log_line("agent: sandbox: %s", text);
	return ret;
}

static void run_child(struct supervisor *s, unsigned int link, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	stop_install();
	sigprocmask(SIG_UNBLOCK, &s->signals, NULL);
	if (getppid() != parent)
		_exit(0);
	close(s->signal_fd);
	close(s->watch_fd);
	files_raise_limit();
	exit(agent_serve_link(&s->agent, link));
}

static struct child *find_child(struct supervisor *s, unsigned int link)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->children[i].link == link)
			return &s->children[i];
	return NULL;
}

static void start_child(struct supervisor *s, unsigned int link)
{
	struct child *child = find_child(s, link);
	pid_t parent = getpid(), pid;

	if (child && (child->pid || now_ns() < child->respawn_ns))
		return;
	if (!child) {
		if (s->count == CHILDREN_MAX)
			return;
		child = &s->children[s->count++];
		memset(child, 0, sizeof(*child));
		child->link = link;
	}
	fflush(stdout);
	pid = fork();
	if (!pid)
		run_child(s, link, parent);
	if (pid < 0) {
		complain("agent: cannot fork: %s", strerror(errno));
		child->respawn_ns = now_ns() + RESPAWN_MS * NSEC_PER_MSEC;
		return;
	}
	child->pid = pid;
}

static void forget_child(struct supervisor *s, struct child *child)
{
	*child = s->children[--s->count];
}

static int start_all(struct supervisor *s, struct status *st)
{
	struct ivring_link_info *list;
	size_t i, count;
	int ret;

	ret = ivring_link_list(&list, &count);
	if (ret)
		return status_errno(st, status_access(-ret, STATUS_NO_LINK), -ret,
				    "cannot look at the links in /dev");
	for (i = 0; i < count; i++)
		start_child(s, list[i].link);
	free(list);
	return 0;
}

static void start_wanted(struct supervisor *s)
{
	struct ivring_link_info info;
	struct status ignored;
	size_t i;

	for (i = 0; i < s->wanted_count; i++)
		if (!ivring_link_find(s->wanted[i], &info, &ignored))
			start_child(s, info.link);
}

static int scan_links(struct supervisor *s, struct status *st)
{
	int ret = 0;
	size_t i;

	if (s->wanted_count)
		start_wanted(s);
	else
		ret = start_all(s, st);
	/* Whoever could have been started by now and was not, has no link any more. */
	for (i = s->count; i-- > 0; )
		if (!s->children[i].pid && now_ns() >= s->children[i].respawn_ns)
			forget_child(s, &s->children[i]);
	return ret;
}

/* Returns the exit code when the agent is to end, else -1. */
static int child_ended(struct supervisor *s, pid_t pid, int status)
{
	struct child *child = NULL;
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->children[i].pid == pid)
			child = &s->children[i];
	if (!child)
		return -1;
	if (WIFSIGNALED(status))
		complain("agent: the process of ivring%u was ended by signal %d", child->link,
			 WTERMSIG(status));
	if (s->agent.once)
		return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_FAIL;
	child->pid = 0;
	child->respawn_ns = now_ns() + RESPAWN_MS * NSEC_PER_MSEC;
	return -1;
}

static int reap_children(struct supervisor *s)
{
	int status, code = -1;
	pid_t pid;

	while (code < 0 && (pid = waitpid(-1, &status, WNOHANG)) > 0)
		code = child_ended(s, pid, status);
	return code;
}

static void signal_children(const struct supervisor *s, int signum)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->children[i].pid)
			kill(s->children[i].pid, signum);
}

/* True when all have ended in time. */
static bool await_children(int timeout_ms)
{
	int64_t deadline = now_ns() + timeout_ms * NSEC_PER_MSEC, left;
	struct timespec ts;
	sigset_t child;
	pid_t pid;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return true;
		left = deadline - now_ns();
		if (left <= 0)
			return false;
		ts.tv_sec = left / NSEC_PER_SEC;
		ts.tv_nsec = left % NSEC_PER_SEC;
		sigtimedwait(&child, NULL, &ts);
	}
}

static void end_children(const struct supervisor *s)
{
	signal_children(s, SIGTERM);
	if (await_children(END_TIMEOUT_MS))
		return;
	complain("agent: processes that did not end when asked to are killed");
	signal_children(s, SIGKILL);
	/* One that hangs in the kernel dies when that lets go of it. */
	await_children(KILL_TIMEOUT_MS);
}

/* Milliseconds until a child that died may be started again; -1: none is waiting. */
static int next_respawn(const struct supervisor *s)
{
	int64_t wait, next = -1;
	size_t i;

	for (i = 0; i < s->count; i++) {
		if (s->children[i].pid)
			continue;
		wait = s->children[i].respawn_ns - now_ns();
		wait = wait > 0 ? wait / NSEC_PER_MSEC + 1 : 0;
		if (next < 0 || wait < next)
			next = wait;
	}
	return (int)next;
}

static int setup_events(struct supervisor *s, struct status *st)
{
	stop_signals(&s->signals);
	sigprocmask(SIG_BLOCK, &s->signals, NULL);
	s->signal_fd = signalfd(-1, &s->signals, SFD_NONBLOCK | SFD_CLOEXEC);
	s->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	/* Attributes too: udev grants access a moment after the node has appeared. */
	if (s->signal_fd < 0 || s->watch_fd < 0 ||
	    inotify_add_watch(s->watch_fd, "/dev", IN_CREATE | IN_DELETE | IN_ATTRIB) < 0)
		return status_errno(st, STATUS_FAIL, errno, "cannot watch for links");
	return 0;
}

/* True when something happened to a link's node, rather than to any other in /dev. */
static bool drain_watch(int fd)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *event;
	bool found = false;
	ssize_t len, at;

	while ((len = read(fd, buf, sizeof(buf))) > 0) {
		for (at = 0; at < len; at += sizeof(*event) + event->len) {
			event = (const void *)(buf + at);
			if (event->mask & IN_Q_OVERFLOW ||
			    (event->len && ivring_link_number(event->name) >= 0))
				found = true;
		}
	}
	return found;
}

static int supervise(struct supervisor *s)
{
	struct pollfd fds[2] = {
		{ .fd = s->signal_fd, .events = POLLIN },
		{ .fd = s->watch_fd, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	struct status st;
	int code, ready;

	for (;;) {
		ready = poll(fds, ARRAY_SIZE(fds), next_respawn(s));
		while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGCHLD)
				return STATUS_OK;
			code = reap_children(s);
			if (code >= 0)
				return code;
		}
		if ((drain_watch(s->watch_fd) || ready == 0) && scan_links(s, &st))
			complain("agent: %s", st.text);
	}
}

/* A link that was asked for by name must be there from the start. */
static int check_wanted(struct supervisor *s, struct status *st)
{
	struct ivring_link_info info;
	size_t i;
	int ret;

	for (i = 0; i < s->wanted_count; i++) {
		ret = ivring_link_find(s->wanted[i], &info, st);
		if (ret)
			return ret;
	}
	return 0;
}

int cmd_agent(int argc, char **argv)
{
	static struct supervisor s = {
		.agent = {
			.timeout_ms = 30000,
			.recv = { .allowed = KEEP_ALL & ~(KEEP_DEVICES | KEEP_SETID) },
			.chunk = SEND_CHUNK_DEFAULT,
			.label = "",
			.audit = AUDIT_SYSLOG,
		},
	};
	struct status st;
	int ret, code;

	s.agent.recv.umask = read_umask();
	/* From here on, modes are what is asked for. */
	umask(0);
	ret = parse_options(&s, argc, argv);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	ret = open_roots(&s, &st);
	if (!ret)
		ret = prepare_sandbox(&s, &st);
	if (!ret)
		ret = check_wanted(&s, &st);
	if (!ret)
		ret = setup_events(&s, &st);
	if (!ret)
		ret = scan_links(&s, &st);
	if (ret) {
		complain("agent: %s", st.text);
		return st.code;
	}
	if (!s.count)
		log_line("agent: there is no link yet; waiting for one");
	code = supervise(&s);
	end_children(&s);
	return code;
}

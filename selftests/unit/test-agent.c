// SPDX-License-Identifier: GPL-2.0
/* An agent serves what it was told to, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <syslog.h>
#include <unistd.h>

#include "agent.h"
#include "cmd.h"
#include "memlink.h"
#include "tap.h"
#include "util.h"

#define MIB	(1ULL << 20)

static char dir[] = "/tmp/ivring-test-agent-XXXXXX";
static const struct path_root local = { .fd = AT_FDCWD, .whose = "the local" };

static struct {
	struct memlink link;
	struct agent agent;
	pthread_t thread;
	int result;
	struct conv conv;
	struct status st;		/* of what failed last */
	struct watcher watcher;
} pair;

static void on_failed(struct watcher *w, const struct status *why, uint64_t number)
{
	(void)w;
	(void)number;
	pair.st = *why;
}

static void *agent_thread(void *arg)
{
	struct ivring_chan *ch = memlink_chan(&pair.link, 1);
	struct status st;

	(void)arg;
	/* It takes rights of this thread alone. */
	if (sandbox_enter(pair.agent.sandbox, &pair.agent.roots, pair.agent.recv.allowed, &st)) {
		printf("Bail out! %s\n", st.text);
		exit(1);
	}
	pair.result = agent_converse(&pair.agent, ch);
	ivring_chan_close(ch);
	return NULL;
}

/* An agent with nothing to serve yet. */
static void agent_new(void)
{
	memset(&pair, 0, sizeof(pair));
	pair.agent.timeout_ms = 10000;
	pair.agent.chunk = SEND_CHUNK_DEFAULT;
	pair.agent.recv.allowed = KEEP_ALL;
	pair.agent.recv.umask = 022;
	pair.agent.label = "test";
	pair.agent.sandbox = SANDBOX_OFF;
	pair.watcher.failed = on_failed;
}

static void agent_root(const char *spec)
{
	struct status st;

	if (roots_add(&pair.agent.roots, spec, &st)) {
		printf("Bail out! %s\n", st.text);
		exit(1);
	}
}

/* One conversation with it. */
static void agent_start(void)
{
	struct status st;

	if (roots_open(&pair.agent.roots, &st)) {
		printf("Bail out! %s\n", st.text);
		exit(1);
	}
	memlink_init(&pair.link, 4 * MIB, MIB);
	if (pthread_create(&pair.thread, NULL, agent_thread, NULL) ||
	    conv_start(&pair.conv, memlink_chan(&pair.link, 0), 5000, &st))
		exit(1);
}

static int agent_end(void)
{
	ivring_chan_close(memlink_chan(&pair.link, 0));
	pthread_join(pair.thread, NULL);
	memlink_destroy(&pair.link);
	return pair.result;
}

/* Zero, or the first failure's code. */
static struct send_totals announced;

static int push(const char *source, const char *dest, uint32_t keep)
{
	struct send_options options = {
		.chunk = SEND_CHUNK_DEFAULT, .keep = keep, .hash = HASH_FASTEST,
	};
	struct request request = { .flags = REQUEST_F_INTO_DIR | REQUEST_F_MAKE_DIR, .keep = keep };
	static struct sender s;
	struct frame f;
	int ret;

	request.entries = announced.entries;
	request.bytes = request.data_bytes = announced.bytes;
	strcpy(request.path, dest);
	memset(&pair.st, 0, sizeof(pair.st));
	send_init(&s, &pair.conv, &options, &pair.watcher);
	ret = conv_send_request(&pair.conv, FRAME_PUT, &request, &pair.st);
	if (!ret)
		ret = conv_expect(&pair.conv, FRAME_GO, &f, &pair.st);
	if (!ret)
		ret = send_path(&s, &local, source, &pair.st);
	if (!ret)
		ret = send_finish(&s, &pair.st);
	send_free(&s);
	return ret ? -ret : s.first_code;
}

static const char *asked;

static int pull(const char *source, const char *dest)
{
	struct recv_options options = { .umask = 022, .allowed = KEEP_ALL };
	struct request request = { .hash = HASH_FASTEST };
	static struct receiver r;
	struct frame f;
	int ret;

	strcpy(request.path, source);
	memset(&pair.st, 0, sizeof(pair.st));
	ret = conv_send_request(&pair.conv, FRAME_GET, &request, &pair.st);
	if (!ret)
		ret = conv_expect(&pair.conv, FRAME_BEGIN, &f, &pair.st);
	request.flags = REQUEST_F_INTO_DIR | REQUEST_F_MAKE_DIR;
	strcpy(request.path, dest);
	recv_init(&r, &pair.conv, &local, &options, &pair.watcher);
	r.asked = asked;
	if (!ret)
		ret = recv_begin(&r, &request, &pair.st);
	if (!ret)
		ret = recv_stream(&r, &pair.st);
	recv_end(&r);
	recv_free(&r);
	return ret ? -ret : r.first_code ? r.first_code : r.skip_code;
}

/* A conversation of its own, as what follows a failure is not defined. */
static int push_once(const char *source, const char *dest, uint32_t keep)
{
	int code;

	agent_start();
	code = push(source, dest, keep);
	agent_end();
	return code;
}

static int pull_once(const char *source, const char *dest)
{
	int code;

	agent_start();
	code = pull(source, dest);
	agent_end();
	return code;
}

static bool run(const char *command)
{
	bool good;

	umask(022);
	good = !system(command);
	umask(0);
	return good;
}

static void must_run(const char *command)
{
	if (!run(command)) {
		printf("Bail out! %s\n", command);
		exit(1);
	}
}

static void test_specs(void)
{
	static const struct {
		const char *spec, *name, *path, *mode;
	} good[] = {
		{ "/a/b", "", "/a/b", "" },
		{ "a:ro", "", "a", "read-only" },
		{ "/:wo", "", "/", "write-only" },
		{ "a:rw", "", "a", "" },
		{ "a:xx", "", "a:xx", "" },
		{ "drop=/a=b:wo", "drop", "/a=b", "write-only" },
		{ "./a=b", "", "./a=b", "" },
		{ "n=:ro:ro", "n", ":ro", "read-only" },
	};
	static const char *const bad[] = { "", ":ro", "=x", "n=", "n=:rw", "..=x", ".=x" };
	struct status st;
	struct roots r;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		r.count = 0;
		ok(!roots_add(&r, good[i].spec, &st) && r.count == 1 &&
		   !strcmp(r.list[0].name, good[i].name) && !strcmp(r.list[0].path, good[i].path) &&
		   !strcmp(root_mode(&r.list[0]), good[i].mode), "--root %s", good[i].spec);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		r.count = 0;
		ok(roots_add(&r, bad[i], &st) == -STATUS_USAGE && !r.count, "--root %s: %s", bad[i],
		   st.text);
	}
	ok(roots_open(&r, &st) == -STATUS_USAGE, "none: %s", st.text);
	roots_add(&r, "a=in", &st);
	roots_add(&r, "out", &st);
	ok(roots_open(&r, &st) == -STATUS_USAGE, "no name: %s", st.text);
	r.count = 1;
	roots_add(&r, "a=out", &st);
	ok(roots_open(&r, &st) == -STATUS_USAGE, "one name for two: %s", st.text);
	r.count = 1;
	roots_add(&r, "b=no-such", &st);
	ok(roots_open(&r, &st) == -STATUS_USAGE, "no directory: %s", st.text);
	for (r.count = i = 0; i < ROOTS_MAX; i++)
		roots_add(&r, "x", &st);
	ok(r.count == ROOTS_MAX && roots_add(&r, "x", &st) == -STATUS_USAGE, "%s", st.text);
}

/* What the command says to its arguments; none of them lets it go on to serve. */
static int command(char *a, char *b, char *c)
{
	char *argv[] = { "agent", a, b, c, NULL };
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(cmd_agent(a ? b ? c ? 4 : 3 : 2 : 1, argv));
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_command(void)
{
	ok(command(NULL, NULL, NULL) == STATUS_USAGE, "no root");
	ok(command("--root=in:ro", "--write-only", NULL) == STATUS_USAGE, "a root for nothing");
	ok(command("--root=a=in", "--root=out", NULL) == STATUS_USAGE, "a root without a name");
	ok(command("--root=in", "--link=none-such", NULL) == STATUS_NO_LINK, "an unknown link");
	ok(command("--root=in", "more", NULL) == STATUS_USAGE, "an argument");
}

static void test_find(void)
{
	static const struct {
		const char *path, *root, *rest;
	} cases[] = {
		{ "in/x", "in", "/x" }, { "//in", "in", "" }, { "in/", "in", "/" },
		{ "inn/../../x", "inn", "/../../x" }, { "i/x", NULL, "" }, { "", NULL, "" },
		{ "/", NULL, "" }, { "../in/x", NULL, "" }, { "./in/x", NULL, "" },
		{ "innn", NULL, "" },
	};
	const struct root *root;
	char path[PATH_MAX];
	struct status st;
	struct roots r = { 0 };
	size_t i;

	roots_add(&r, "in=a", &st);
	roots_add(&r, "inn=b", &st);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		strcpy(path, cases[i].path);
		root = roots_find(&r, path, &st);
		ok(cases[i].root ? root && !strcmp(root->name, cases[i].root) &&
		   !strcmp(path, cases[i].rest) : !root && st.code == STATUS_NO_ROOT,
		   "'%s' is %s", cases[i].path, cases[i].root ? cases[i].root : "nowhere");
	}
	r.count = 0;
	roots_add(&r, "a", &st);
	strcpy(path, "in/x");
	ok(roots_find(&r, path, &st) == &r.list[0] && !strcmp(path, "in/x"), "the only root");
}

static void test_roots(void)
{
	must_run("rm -rf in out both back; mkdir -p in/sub out both back src/t/sub; "
		 "echo out >out/secret; echo in >in/file; echo 1 >src/t/one; echo 2 >src/t/sub/two; "
		 "ln -s ../out in/leak; ln -s ../out/secret in/leak2; ln -s .. both/up");
	agent_new();
	agent_root("in=in:ro");
	agent_root("out=out:wo");
	agent_root("both=both");
	agent_start();
	ok(!push("src/t", "out", 0) && !push("src/t/", "/both/there", 0) &&
	   !push("src/t", "both", 0) && run("diff -r src/t out/t && diff -r src/t both/there && "
					    "diff -r src/t both/t"), "each root gets what is its own");
	ok(!pull("in/file", "back") && !pull("both/t/sub", "back") && !pull("both/t/", "back/t") &&
	   run("cmp in/file back/file && diff -r src/t/sub back/sub && diff -r src/t back/t"),
	   "and gives it");
	must_run("rm both/up && rm -rf back/*");
	ok(!pull("both", "back") && run("diff -r both back/both"), "a root has its name");
	ok(!pull("both/", "back/c") && run("diff -r both back/c"), "unless a slash says what is in it");
	ok(!agent_end(), "all in one conversation");
	must_run("ln -s .. both/up; ln -s ../out both/over");
	ok(push_once("src/t", "in", 0) == STATUS_REFUSED, "read-only: %s", pair.st.text);
	ok(pull_once("out/secret", "back") == STATUS_REFUSED, "write-only: %s", pair.st.text);
	ok(push_once("src/t", "t", 0) == STATUS_NO_ROOT, "no such root: %s", pair.st.text);
	ok(pull_once("", "back") == STATUS_NO_ROOT, "nor all of them: %s", pair.st.text);
	ok(pull_once("in/../out/secret", "back") == STATUS_REFUSED, "from root to root: %s",
	   pair.st.text);
	ok(pull_once("in/leak/secret", "back") == STATUS_REFUSED, "by a link: %s", pair.st.text);
	ok(pull_once("in/leak2", "back") == STATUS_REFUSED, "by a link to a file: %s", pair.st.text);
	ok(push_once("src/t", "both/up/in", 0) == STATUS_REFUSED, "by a link: %s", pair.st.text);
	ok(push_once("src/t", "both/over", 0) == STATUS_REFUSED, "by a link: %s", pair.st.text);
	ok(push_once("src/t", "both/over/new", 0) == STATUS_REFUSED, "to something new: %s",
	   pair.st.text);
	ok(run("[ \"$(ls in out | xargs)\" = 'in: file leak leak2 sub out: secret t' ] && "
	       "[ -z \"$(ls -A in/sub)\" ]"), "nothing came of it");
}

/* An agent that sends something else than what it was asked for. */
static void test_asked(void)
{
	static const struct {
		const char *path, *asked;
		int code;
	} cases[] = {
		{ "t/one", "one", 0 },
		{ "t", "t", 0 },
		{ "t/", ".", 0 },
		{ "t/one", "two", STATUS_PROTOCOL },
		{ "t", "one", STATUS_PROTOCOL },
		{ "t/", "t", STATUS_PROTOCOL },
		{ "t", ".", STATUS_PROTOCOL },
		{ "t/one", "on", STATUS_PROTOCOL },
	};
	size_t i;
	int code;

	agent_new();
	agent_root("src");
	must_run("ln src/t/one src/t/uno");
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		must_run("rm -rf back && mkdir back");
		asked = cases[i].asked;
		code = pull_once(cases[i].path, "back");
		ok(code == cases[i].code && (!code || run("[ -z \"$(ls -A back)\" ]")),
		   "'%s' where '%s' was asked for: %s", cases[i].path, asked,
		   code ? pair.st.text : "comes");
	}
	asked = NULL;
	must_run("rm src/t/uno");
}

static void test_quotas(void)
{
	must_run("rm -rf both; mkdir both; head -c 3000000 /dev/urandom >src/t/big; "
		 "truncate -s 1G src/holes; echo x >>src/holes");
	agent_new();
	agent_root("both");
	pair.agent.recv.max_files = 5;
	pair.agent.recv.max_bytes = 2 * MIB;
	ok(!push_once("src/t/sub", "", 0), "within the limits");
	ok(!push_once("src/holes", "", 0) && !pull_once("holes", "back"), "holes are not counted");
	announced = (struct send_totals){ .entries = 6 };
	ok(push_once("src/t/sub", "", 0) == STATUS_QUOTA, "too many files to come: %s",
	   pair.st.text);
	announced = (struct send_totals){ .bytes = 2 * MIB + 1 };
	ok(push_once("src/t/sub", "", 0) == STATUS_QUOTA, "too much to come: %s", pair.st.text);
	announced = (struct send_totals){ 0 };
	ok(push_once("src/t/big", "new", 0) == STATUS_QUOTA && run("[ ! -e both/new/big ] && "
	   "[ -z \"$(find both -name '.ivring-*')\" ]"), "too much came: %s", pair.st.text);
	must_run("cp src/t/big both/; cp -r src/t both/t; rm both/t/big");
	ok(pull_once("big", "back") == STATUS_QUOTA, "too much is asked for: %s", pair.st.text);
	pair.agent.recv.max_files = 3;
	ok(push_once("src/t", "more", 0) == STATUS_QUOTA, "too many files came: %s", pair.st.text);
	ok(pull_once("t", "back") == STATUS_QUOTA, "too many are asked for: %s", pair.st.text);
	ok(command("--root=both", "--max-bytes=0", NULL) == STATUS_USAGE &&
	   command("--root=both", "--max-files=-1", NULL) == STATUS_USAGE, "limits that are none");
	must_run("rm -f src/holes src/t/big back/holes");
}

/* In a process of its own: what is given up does not come back. */
static int be_nobody(void)
{
	gid_t groups[8];
	int count;

	pair.agent.user = "nobody";
	pair.agent.uid = 65534;
	pair.agent.gid = 65534;
	if (agent_become_user(&pair.agent))
		return 1;
	count = getgroups(ARRAY_SIZE(groups), groups);
	while (count > 0)
		if (groups[--count] != 65534)
			return 2;
	if (getuid() != 65534 || geteuid() != 65534 || getgid() != 65534 || getegid() != 65534)
		return 3;
	if (!setuid(0) || !setgid(0) || !agent_become_user(&(struct agent){ .user = "root" }))
		return 4;
	if (push_once("src/t/one", "", 0) != STATUS_DEST)
		return 5;
	if (push_once("src/t/one", "mine", 0))
		return 6;
	return push_once("src/t/one", "mine", KEEP_OWNER) == STATUS_REFUSED ? 0 : 7;
}

static void test_user(void)
{
	static const char what[] = "another user's rights, for good";
	int status = -1;
	pid_t pid;

	if (geteuid()) {
		tap_skip(what, "needs root");
		return;
	}
	must_run("rm -rf both; mkdir -p both/mine; chown 65534:65534 both/mine");
	agent_new();
	agent_root("both");
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(be_nobody());
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && !WEXITSTATUS(status), "%s: %d", what, WEXITSTATUS(status));
	ok(run("[ \"$(stat -c %u:%g both/mine/one)\" = 65534:65534 ]"), "which its files have");
	ok(command("--root=both", "--user=no-such-user", NULL) == STATUS_USAGE, "nobody at all");
}

/* All that a tree may have, between an agent in its sandbox and a client. */
static void test_sandboxed(void)
{
	must_run("rm -rf back in both out; mkdir back in both out; cp -a src/t src/all; cd src/all && "
		 "ln one sub/uno && ln -s /none dangling && mkfifo fifo && chmod 600 one && "
		 "truncate -s 10M holes && echo x >>holes && head -c 3000000 /dev/urandom >big");
	if (!geteuid())
		must_run("chown 12:34 src/all/big && chown -h 1:1 src/all/dangling");
	agent_new();
	pair.agent.sandbox = SANDBOX_AUTO;
	agent_root("in=in:ro");
	agent_root("out=out:wo");
	agent_root("both=both");
	agent_start();
	ok(!push("src/all", "both", geteuid() ? KEEP_MODE | KEEP_SPECIALS | KEEP_XATTRS | KEEP_ACLS :
		 KEEP_ALL) && run("diff -r --no-dereference src/all/sub both/all/sub && "
		 "cmp src/all/big both/all/big && cmp src/all/holes both/all/holes && "
		 "[ -p both/all/fifo ] && [ -L both/all/dangling ] && "
		 "[ \"$(stat -c '%a %u %g' src/all/big)\" = \"$(stat -c '%a %u %g' both/all/big)\" ] && "
		 "[ \"$(stat -c %h both/all/one)\" = 2 ]"), "a push to a sandbox: %s", pair.st.text);
	ok(!push("src/all", "both", KEEP_SPECIALS), "over what is there: %s", pair.st.text);
	ok(!push("src/t", "out", 0) && run("diff -r src/t out/t"), "to a drop box: %s", pair.st.text);
	must_run("rm src/all/fifo both/all/fifo; cp -a both/all in/");
	ok(!pull("both/all", "back") && run("diff -r --no-dereference src/all back/all"),
	   "a pull from it: %s", pair.st.text);
	ok(!pull("in/all/", "back/in") && run("diff -r --no-dereference in/all back/in"),
	   "from an archive: %s", pair.st.text);
	ok(!agent_end(), "all in one conversation");
	must_run("rm -rf src/all");
}

enum crime {
	CRIME_OPEN, CRIME_WRITE, CRIME_SYMLINK, CRIME_LINK, CRIME_SOCKET, CRIME_EXEC, CRIME_FORK,
	CRIME_PTRACE, CRIME_CODE, CRIME_USER, CRIME_MOUNT, CRIME_TERMINAL, CRIME_TRUSTED,
};

/* What a process whose code is somebody else's by now may try. Zero: it could. */
static int commit(enum crime crime, int outside)
{
	int ret = -1;

	switch (crime) {
	case CRIME_OPEN:
		ret = open("/etc/hosts", O_RDONLY) < 0 && openat(outside, "secret", O_RDONLY) < 0 ? -1 : 0;
		break;
	case CRIME_WRITE:
		ret = openat(pair.agent.roots.list[0].dir.fd, "new", O_WRONLY | O_CREAT, 0600) < 0 &&
		      openat(pair.agent.roots.list[0].dir.fd, "file", O_WRONLY) < 0 &&
		      mkdirat(pair.agent.roots.list[0].dir.fd, "d", 0700) &&
		      unlinkat(pair.agent.roots.list[0].dir.fd, "file", 0) ? -1 : 0;
		break;
	case CRIME_SYMLINK:
		/* A link may be made, but not followed. */
		ret = symlinkat("../out/secret", pair.agent.roots.list[1].dir.fd, "l") ? 0 :
		      openat(pair.agent.roots.list[1].dir.fd, "l", O_RDONLY);
		break;
	case CRIME_LINK:
		ret = linkat(outside, "secret", pair.agent.roots.list[1].dir.fd, "l2", 0);
		break;
	case CRIME_SOCKET:
		ret = socket(AF_UNIX, SOCK_STREAM, 0) < 0 && socket(AF_INET, SOCK_STREAM, 0) < 0 ? -1 : 0;
		break;
	case CRIME_EXEC:
		execl("/bin/true", "true", NULL);
		break;
	case CRIME_FORK:
		ret = fork();
		if (!ret)
			_exit(0);
		break;
	case CRIME_PTRACE:
		ret = ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		break;
	case CRIME_CODE:
		ret = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
		break;
	case CRIME_USER:
		ret = setuid(1);
		break;
	case CRIME_MOUNT:
		ret = mount("none", "/mnt", "tmpfs", 0, NULL);
		break;
	case CRIME_TERMINAL:
		ret = ioctl(STDIN_FILENO, TIOCSTI, "x") && errno != ENOSYS ? 0 : -1;
		break;
	case CRIME_TRUSTED:
		ret = openat(pair.agent.roots.list[1].dir.fd, "f", O_WRONLY | O_CREAT, 0600);
		ret = ret < 0 ? 0 : fsetxattr(ret, "trusted.x", "x", 1, 0);
		break;
	}
	return ret < 0 ? -1 : 0;
}

static void test_crimes(void)
{
	static const struct {
		const char *what;
		enum crime crime;
		int signal;		/* that ends the process; zero: it is refused */
		bool calls;		/* seccomp knows of it, Landlock does not */
	} cases[] = {
		{ "files outside", CRIME_OPEN, 0, false },
		{ "writing to what is read-only", CRIME_WRITE, 0, false },
		{ "a link that leads out", CRIME_SYMLINK, 0, false },
		{ "a link to what is outside", CRIME_LINK, 0, false },
		{ "sockets", CRIME_SOCKET, 0, true },
		{ "programs", CRIME_EXEC, SIGSYS, true },
		{ "processes", CRIME_FORK, 0, true },
		{ "debugging", CRIME_PTRACE, SIGSYS, true },
		{ "memory for code", CRIME_CODE, 0, true },
		{ "other users", CRIME_USER, SIGSYS, true },
		{ "mounts", CRIME_MOUNT, SIGSYS, true },
		{ "a terminal's input", CRIME_TERMINAL, 0, true },
		{ "attributes for the administrator", CRIME_TRUSTED, 0, false },
	};
	char text[STATUS_TEXT_SIZE];
	struct status st;
	int status, outside;
	size_t i;
	pid_t pid;

	must_run("rm -rf in both out; mkdir in both out; echo 1 >in/file; echo 2 >out/secret");
	agent_new();
	agent_root("in=in:ro");
	agent_root("both=both");
	roots_open(&pair.agent.roots, &st);
	sandbox_prepare(SANDBOX_AUTO, text, sizeof(text), &st);
	printf("# %s\n", text);
	outside = open("out", O_PATH | O_DIRECTORY);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (strstr(text, cases[i].calls ? "no filter" : "no Landlock")) {
			tap_skip(cases[i].what, text);
			continue;
		}
		fflush(stdout);
		pid = fork();
		if (!pid) {
			if (sandbox_enter(SANDBOX_AUTO, &pair.agent.roots, KEEP_ALL, &st))
				_exit(3);
			_exit(commit(cases[i].crime, outside) ? 7 : 1);
		}
		waitpid(pid, &status, 0);
		ok(cases[i].signal ? WIFSIGNALED(status) && WTERMSIG(status) == cases[i].signal :
		   WIFEXITED(status) && WEXITSTATUS(status) == 7, "no way to %s (%x)",
		   cases[i].what, status);
	}
	close(outside);
	ok(command("--root=in", "--sandbox=some", NULL) == STATUS_USAGE, "a sandbox that is none");
}

/* In place of the C library's: what the system's log would get. */
static char logged[8192];
static int logged_priority;

void syslog(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(logged, sizeof(logged), fmt, ap);
	va_end(ap);
	logged_priority = priority;
}

/* Whether the last line has all of these in it, up to a NULL. */
static bool audited(int priority, const char *first, ...)
{
	const char *part;
	bool good = logged_priority == (LOG_AUTHPRIV | priority);
	va_list ap;

	va_start(ap, first);
	for (part = first; part; part = va_arg(ap, const char *))
		good = good && strstr(logged, part);
	va_end(ap);
	if (!good)
		printf("# %d: %s\n", logged_priority, logged);
	return good;
}

static void test_audit(void)
{
	static char path[PATH_MAX];
	size_t i;

	must_run("rm -rf both back; mkdir both back; echo audit >src/t/audit");
	agent_new();
	agent_root("both");
	pair.agent.audit = AUDIT_SYSLOG;
	pair.agent.label = "vm\"0";
	ok(!push_once("src/t/audit", "", 0) &&
	   audited(LOG_INFO, "transfer link=\"vm\\\"0\" direction=push path=\"\" files=1 ",
		   "directories=0 bytes=6 failed=0 seconds=", " hash=xxh", " result=0", NULL) &&
	   !strstr(logged, "reason"), "a push: %s", logged);
	ok(!push_once("src/t", "", 0) && audited(LOG_INFO, "files=3 ", "directories=2 ", "result=0",
						 NULL) && !strstr(logged, "hash="), "a tree");
	ok(!pull_once("t/audit", "back") && audited(LOG_INFO, "direction=pull path=\"t/audit\" ",
						   "bytes=6 ", NULL), "a pull");
	must_run("rm both/t/audit; mkdir -p both/t/audit/x");
	ok(push_once("src/t", "", 0) == STATUS_DEST &&
	   audited(LOG_NOTICE, "failed=1 ", "result=9 reason=\"some", NULL), "some of it failed");
	ok(pull_once("a\" result=0 \\\n\033[2J", "back") == STATUS_SOURCE &&
	   audited(LOG_NOTICE, "path=\"a\\\" result=0 \\\\??[2J\" files=0", "result=7 reason=\"", NULL),
	   "a path that looks like more: %s", logged);
	ok(pull_once("../x", "back") == STATUS_REFUSED && audited(LOG_NOTICE, "result=17", NULL),
	   "a way out");
	for (i = 0; i < sizeof(path) - 1; i++)
		path[i] = i % 2 ? '/' : '"';
	ok(pull_once(path, "back") && audited(LOG_NOTICE, "\"... files=0", NULL) &&
	   strlen(logged) < 2000, "a long path is cut");
	audit_killed(AUDIT_SYSLOG, "vm0", 31);
	ok(audited(LOG_WARNING, "conversation link=\"vm0\" killed signal=31", NULL), "a process");
	logged[0] = '\0';
	pair.agent.audit = 0;
	ok(!push_once("src/t/audit", "", 0) && !logged[0], "off");
	must_run("rm src/t/audit");
	ok(command("--root=in", "--audit=some", NULL) == STATUS_USAGE, "an audit that is none");
}

/* A client that asks for one thing after the other. */
static void test_pace(void)
{
	struct agent_pace pace = { 0 };
	int64_t start;
	int i, code = 0;

	must_run("rm -rf back; mkdir back; echo x >both/small");
	agent_new();
	agent_root("both");
	pair.agent.pace = &pace;
	agent_start();
	/* A hundred of the burst are left. */
	pace.next_ns = now_ns() - 1000 * NSEC_PER_MSEC;
	start = now_ns();
	for (i = 0; !code && i < 130; i++)
		code = pull("small", "back");
	/* Each of the others took its time. */
	ok(!code && now_ns() - start >= 200 * NSEC_PER_MSEC, "130 transfers take their time");
	pace.next_ns = INT64_MAX;
	start = now_ns();
	ok(!pull("small", "back") && now_ns() - start < 5 * NSEC_PER_SEC && pace.next_ns <= start,
	   "whatever a process has left");
	agent_end();
}

/* Directories within each other, each with all the attributes that one may have. */
static void test_deep(void)
{
	struct request request = { .flags = REQUEST_F_INTO_DIR };
	static uint8_t value[40000];
	static struct entry e;
	struct status st;
	struct frame f;
	int i, ret;

	must_run("rm -rf both; mkdir both");
	agent_new();
	agent_root("both");
	agent_start();
	memset(&e, 0, sizeof(e));
	e.mode = S_IFDIR | 0755;
	strcpy(e.name, "d");
	entry_add_xattr(&e, "user.a", value, sizeof(value));
	entry_add_xattr(&e, "user.b", value, sizeof(value));
	entry_add_xattr(&e, "user.c", value, sizeof(value));
	ret = conv_send_request(&pair.conv, FRAME_PUT, &request, &st);
	if (!ret)
		ret = conv_expect(&pair.conv, FRAME_GO, &f, &st);
	/* 24 MB of them */
	for (i = 0; !ret && i < 200; i++)
		ret = entry_send(&pair.conv, &e, &st);
	if (!ret)
		ret = conv_recv(&pair.conv, &f, &st);
	ok(ret == -STATUS_FAIL && agent_end() == -STATUS_FAIL, "more than is kept in memory: %s",
	   st.text);
}

int main(void)
{
	char command[256];

	if (!mkdtemp(dir) || chmod(dir, 0755) || chdir(dir))
		return 1;
	must_run("mkdir in out both src back");
	umask(0);
	test_specs();
	test_command();
	test_find();
	test_roots();
	test_asked();
	test_quotas();
	test_user();
	test_sandboxed();
	test_crimes();
	test_audit();
	test_pace();
	test_deep();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	must_run(command);
	return tap_done();
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests with a half on either side of a link, both in one program. The halves meet
 * through a connection beside the link:
 *
 *	PROGRAM serve CID:PORT LINK	one side, until the other has hung up
 *	PROGRAM run CID:PORT LINK [TEST]...	the other, which tells the results
 *	PROGRAM [TEST]...		both sides of a loop link
 *
 * Each test runs twice, once with either side as A. Its halves are processes of their
 * own, so that whatever becomes of one, the channel is closed in the end. Each line of a
 * half that has same(), holds(), tell(), hear() or the like has STEP_SECONDS to be done.
 */
#ifndef _IVRING_TEST_TWO_SIDED_H
#define _IVRING_TEST_TWO_SIDED_H

#include "../kernel/util.h"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/vm_sockets.h>

#define STEP_SECONDS	(PATIENCE_MS / 1000)
/* Channel 0 is the agent's. */
#define CHANNEL		1
#define HALF_MS		(180 * 1000 * lab_slow())
#define CLOSED		(-1)

/* What a half of a test has. */
struct half {
	int fd;			/* the channel, open and connected; or CLOSED */
	int control;		/* to the other half */
	int link;
	size_t ring;
	size_t window, peer_window;
	uint64_t bytes;		/* to transfer: more than the rings hold */
};

struct two_sided {
	const char *name;
	void (*half[2])(struct half *h);
	int flags;		/* of open(2); CLOSED: the halves do it */
	bool unrung;		/* a doorbell is missed, and the tick helps out */
};

/* ---- what went wrong, and where ---- */

struct report {
	int taken;
	char text[512];
};

/*
 * What a half that did all it should says after "ok": the doorbells are the channel's, of
 * this test.
 */
struct outcome {
	long long rescued;	/* wake-ups that came by the tick */
	long long sent, arrived;
};

static struct report *report;
static const char *at_file;
static int at_line;
static int64_t began_ns;

static void __attribute__((noreturn, format(printf, 3, 4)))
fail(const char *file, int line, const char *fmt, ...)
{
	const char *name = strrchr(file, '/');
	va_list args;
	long long ms = (now_ns() - began_ns) / 1000000;
	int n;

	/* The first word counts. */
	if (!__atomic_exchange_n(&report->taken, 1, __ATOMIC_SEQ_CST)) {
		n = snprintf(report->text, sizeof(report->text), "%s:%d: after %lld ms: ",
			     name ? name + 1 : file, line, ms);
		va_start(args, fmt);
		vsnprintf(report->text + n, sizeof(report->text) - n, fmt, args);
		va_end(args);
	}
	_exit(1);
}

static void too_long(int sig)
{
	fail(at_file, at_line, "no end after %d s", STEP_SECONDS * lab_slow());
}

static inline void step(const char *file, int line)
{
	at_file = file;
	at_line = line;
	alarm(STEP_SECONDS * lab_slow());
}

/* @call gives @want. */
#define same(want, call) ({							\
	long long __got, __want;						\
										\
	step(__FILE__, __LINE__);						\
	__got = (call);								\
	__want = (want);							\
	if (__got != __want)							\
		fail(__FILE__, __LINE__, "%s: %lld, not %lld", #call, __got, __want);	\
	__got; })

#define holds(cond) ({								\
	step(__FILE__, __LINE__);						\
	if (!(cond))								\
		fail(__FILE__, __LINE__, "not true: %s", #cond); })

/* ---- the halves meet ---- */

static void control_say(int fd, const char *file, int line, const char *what)
{
	char buf[64];
	int n = snprintf(buf, sizeof(buf), "%s\n", what);

	step(file, line);
	if (send(fd, buf, n, MSG_NOSIGNAL) != n)
		fail(file, line, "cannot tell \"%s\": the other half ended", what);
}

static void control_line(int fd, const char *file, int line, char *buf, size_t size)
{
	size_t n;

	step(file, line);
	for (n = 0; n < size - 1; n++) {
		if (read(fd, buf + n, 1) != 1)
			fail(file, line, "the other half ended");
		if (buf[n] == '\n')
			break;
	}
	buf[n] = '\0';
}

static inline void control_expect(int fd, const char *file, int line, const char *what)
{
	char buf[64];

	control_line(fd, file, line, buf, sizeof(buf));
	if (strcmp(buf, what))
		fail(file, line, "the other half tells \"%s\", not \"%s\"", buf, what);
}

/* For the other half's hear(), which has the same word */
#define tell(h, what)	control_say((h)->control, __FILE__, __LINE__, what)
#define hear(h, what)	control_expect((h)->control, __FILE__, __LINE__, what)
#define meet(h, what)	({ tell(h, what); hear(h, what); })

#define tell_num(h, num) ({							\
	char __buf[32];								\
										\
	snprintf(__buf, sizeof(__buf), "%llu", (unsigned long long)(num));	\
	tell(h, __buf); })

#define hear_num(h) ({								\
	char __buf[32];								\
										\
	control_line((h)->control, __FILE__, __LINE__, __buf, sizeof(__buf));	\
	strtoull(__buf, NULL, 10); })

/* Open the channel, for the two halves together. */
#define join(h, flags) ({							\
	struct ivring_channel_info __info;					\
										\
	(h)->fd = channel_open((h)->link, CHANNEL, flags);			\
	holds((h)->fd >= 0);							\
	same(0, ch_connected((h)->fd));						\
	same(0, ch_info((h)->fd, &__info));					\
	(h)->ring = __info.ring_size;						\
	(h)->window = __info.window; })

#define leave(h) ({								\
	close((h)->fd);								\
	(h)->fd = CLOSED; })

/* A child of this half sleeps in a system call. */
#define asleep(pid, nr)		holds(child_asleep(pid, nr))

/* ---- either side ---- */

struct address {
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_vm vm;
		struct sockaddr_un un;
	};
};

struct side {
	struct address address;
	const struct two_sided *tests;
	int link;
	int listener;		/* or -1 */
	int peer;		/* connection of the two sides, for all the time */
	char name[32];
};

/* CID:PORT, or a name for a socket of this machine */
static void address_parse(struct address *a, const char *text)
{
	unsigned int cid, port;

	memset(a, 0, sizeof(*a));
	if (sscanf(text, "%u:%u", &cid, &port) == 2) {
		a->vm = (struct sockaddr_vm) {
			.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port,
		};
		a->len = sizeof(a->vm);
		return;
	}
	a->un.sun_family = AF_UNIX;
	/* Abstract: it begins with a zero. */
	a->len = offsetof(struct sockaddr_un, sun_path) + 1 +
		 snprintf(a->un.sun_path + 1, sizeof(a->un.sun_path) - 1, "%s", text);
}

static int address_connect(const struct address *a)
{
	int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !connect(fd, &a->any, a->len))
		return fd < 0 ? -errno : fd;
	close(fd);
	return -errno;
}

static int side_accept(const struct side *s)
{
	struct pollfd p = { .fd = s->listener, .events = POLLIN };

	if (poll(&p, 1, 2 * PATIENCE_MS * lab_slow()) != 1)
		return -ETIMEDOUT;
	return SYS(accept4(s->listener, NULL, NULL, SOCK_CLOEXEC));
}

static void half_begin(struct half *h, const struct two_sided *t)
{
	struct sigaction sa = { .sa_handler = too_long };

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGALRM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	meet(h, t->name);
	if (t->flags == CLOSED)
		return;
	join(h, t->flags);
	tell_num(h, h->window);
	h->peer_window = hear_num(h);
	h->bytes = 3 * (h->window > h->peer_window ? h->window : h->peer_window) + 4711;
}

static bool channel_closed(int link)
{
	return channel_attr_is(link, CHANNEL, "state", "closed");
}

static struct outcome counted(int link)
{
	return (struct outcome) {
		.rescued = channel_num(link, CHANNEL, "stats/rescued"),
		.sent = channel_num(link, CHANNEL, "stats/doorbells_sent"),
		.arrived = channel_num(link, CHANNEL, "stats/interrupts"),
	};
}

/* One half of a test, and what it leaves behind. False: @text says what was wrong. */
static bool half_run(const struct side *s, const struct two_sided *t, int role, int control,
		     char *text, size_t size, struct outcome *o)
{
	struct half h = { .fd = CLOSED, .control = control, .link = s->link };
	struct outcome before = counted(s->link);
	char what[600] = "";
	pid_t pid;
	int code;

	memset(report, 0, sizeof(*report));
	began_ns = now_ns();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		half_begin(&h, t);
		t->half[role](&h);
		meet(&h, "end");
		_exit(0);
	}
	close(control);
	code = child_end(pid, HALF_MS);
	kill(-pid, SIGKILL);
	/* Whatever the test had there; one that stays open is told of below. */
	if (wait_until(channel_closed(s->link), PATIENCE_MS * lab_slow()))
		channel_attr_set(s->link, CHANNEL, "window", "auto");
	if (report->taken)
		snprintf(what, sizeof(what), "%s", report->text);
	else if (code)
		snprintf(what, sizeof(what), "ended with %d", code);
	else if (!channel_closed(s->link))
		snprintf(what, sizeof(what), "the channel stays open");
	*o = counted(s->link);
	o->rescued = t->unrung ? 0 : o->rescued - before.rescued;
	o->sent -= before.sent;
	o->arrived -= before.arrived;
	snprintf(text, size, "%s (%c): %s", s->name, 'A' + role, what);
	return !what[0];
}

/* ---- the side that is told what to do ---- */

static int side_serve(struct side *s)
{
	char line[64], text[700];
	int control, test, role;
	struct outcome o;
	FILE *in;
	bool ok;

	s->listener = socket(s->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listener < 0 || bind(s->listener, &s->address.any, s->address.len) ||
	    listen(s->listener, 2))
		ksft_exit_fail_msg("cannot listen: %s\n", strerror(errno));
	s->peer = side_accept(s);
	if (s->peer < 0)
		ksft_exit_fail_msg("nobody came: %s\n", strerror(-s->peer));
	in = fdopen(s->peer, "r");
	while (fgets(line, sizeof(line), in) && sscanf(line, "%d %d", &test, &role) == 2) {
		control = side_accept(s);
		if (control < 0)
			return 1;
		ok = half_run(s, &s->tests[test], role, control, text, sizeof(text), &o);
		if (ok)
			dprintf(s->peer, "ok %lld %lld %lld\n", o.rescued, o.sent, o.arrived);
		else
			dprintf(s->peer, "bad %s\n", text);
	}
	return 0;
}

/* ---- the side that tells ---- */

/*
 * Nobody needs the tick to be woken. On a machine that stands still for a tenth of a second,
 * as the lab's do, a doorbell comes later than that: then *@late, and how it was.
 */
static void see_rescued(const char *who, const struct outcome *o, const struct outcome *other,
			bool *late)
{
	if (!o->rescued)
		return;
	printf("# %s: %lld wake-ups came by the tick; %lld doorbells were sent, %lld arrived\n",
	       who, o->rescued, other->sent, o->arrived);
	*late = true;
}

static bool side_run_test(struct side *s, FILE *in, int test, int role, bool *late)
{
	const struct two_sided *t = &s->tests[test];
	char text[700], other[700] = "";
	struct outcome here, there;
	int control;
	bool ok;

	*late = false;

	dprintf(s->peer, "%d %d\n", test, !role);
	control = address_connect(&s->address);
	if (control < 0) {
		printf("# cannot connect: %s\n", strerror(-control));
		return false;
	}
	ok = half_run(s, t, role, control, text, sizeof(text), &here);
	if (!ok)
		printf("# %s\n", text);
	if (!fgets(other, sizeof(other), in)) {
		printf("# the other side does not answer\n");
		return false;
	}
	if (sscanf(other, "ok %lld %lld %lld", &there.rescued, &there.sent, &there.arrived) != 3) {
		printf("# %s", other + 4);
		return false;
	}
	see_rescued(s->name, &here, &there, late);
	see_rescued("the other side", &there, &here, late);
	return ok;
}

static bool chosen(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

static int side_run(struct side *s, char **names)
{
	int test, role, count = 0, failed = 0;
	int64_t start;
	bool ok, late;
	FILE *in;

	if (!wait_until((s->peer = address_connect(&s->address)) >= 0, PATIENCE_MS * lab_slow()))
		ksft_exit_fail_msg("nobody is there: %s\n", strerror(-s->peer));
	in = fdopen(s->peer, "r");
	setlinebuf(stdout);
	printf("TAP version 13\n");
	for (role = 0; role < 2; role++) {
		for (test = 0; s->tests[test].name; test++) {
			if (!chosen(s->tests[test].name, names))
				continue;
			start = now_ns();
			ok = side_run_test(s, in, test, role, &late);
			/* What no doorbell announces will not be announced again, either. */
			if (ok && late)
				ok = side_run_test(s, in, test, role, &late) && !late;
			printf("%sok %d - %s, %s is %c # %lld ms\n", ok ? "" : "not ", ++count,
			       s->tests[test].name, s->name, 'A' + role,
			       (long long)(now_ns() - start) / 1000000);
			failed += !ok;
		}
	}
	printf("1..%d\n", count);
	fclose(in);
	return failed ? 1 : 0;
}

static void side_init(struct side *s, const struct two_sided *tests, const char *address, int link)
{
	char transport[16] = "", number[16] = "";

	memset(s, 0, sizeof(*s));
	s->tests = tests;
	s->link = link;
	s->listener = -1;
	address_parse(&s->address, address);
	link_attr(link, "transport", transport, sizeof(transport));
	link_attr(link, "side", number, sizeof(number));
	if (!wait_until(link_attr_is(link, "state", "up"), PATIENCE_MS * lab_slow()))
		ksft_exit_fail_msg("link %d is not up\n", link);
	snprintf(s->name, sizeof(s->name), "%s side %s", transport, number);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (report == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");
}

/* Both sides here */
static int side_run_loop(const struct two_sided *tests, char **names)
{
	int link[2] = { link_find("loop0", 0), link_find("loop0", 1) }, ret;
	char address[32];
	struct side s;
	pid_t pid;

	if (link[0] < 0)
		ksft_exit_skip("no loop link: insmod ivring_loop.ko\n");
	snprintf(address, sizeof(address), "ivring-two-sided-%d", getpid());
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		side_init(&s, tests, address, link[1]);
		_exit(side_serve(&s));
	}
	side_init(&s, tests, address, link[0]);
	ret = side_run(&s, names);
	return child_end(pid, PATIENCE_MS) ? 1 : ret;
}

static int two_sided_main(int argc, char **argv, const struct two_sided *tests)
{
	struct side s;

	if (argc < 4 || (strcmp(argv[1], "serve") && strcmp(argv[1], "run")))
		return side_run_loop(tests, argv + 1);
	side_init(&s, tests, argv[2], atoi(argv[3]));
	return strcmp(argv[1], "run") ? side_serve(&s) : side_run(&s, argv + 4);
}

#endif /* _IVRING_TEST_TWO_SIDED_H */

// SPDX-License-Identifier: GPL-2.0
/* The text that Prometheus gets, and the server that gives it away. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metrics-http.h"
#include "metrics.h"
#include "status.h"
#include "tap.h"
#include "util.h"

#define CLIENT_MS	1000
#define PAGE_SIZE_LARGE	(4UL << 20)
/* More than the server serves at once */
#define MANY		200

static char dir[] = "/tmp/ivring-test-metrics-XXXXXX";
static char path[sizeof(dir) + 16];

/* ---- the text ---- */

static char *text;

static void print(const struct samples *s)
{
	size_t len;
	FILE *out;

	free(text);
	out = open_memstream(&text, &len);
	metrics_print(out, s);
	fclose(out);
}

static void set(struct counters *c, const char *name, uint64_t value)
{
	strcpy(c->list[c->count].name, name);
	c->list[c->count++].value = value;
}

static struct counters channels[2][2];
static struct sample list[2] = {
	{ .info = { .link = 0, .channels = 2, .label = "vm0" }, .channels = channels[0] },
	{ .info = { .link = 7, .channels = 1, .label = "a.b-c_d", .side = 1 },
	  .channels = channels[1] },
};
static struct samples samples = { list, 2 };

static void make_samples(void)
{
	strcpy(list[0].link.state, "up");
	strcpy(list[1].link.state, "waiting");
	set(&list[0].link, "doorbells", 3);
	set(&list[0].link, "unheard_of", 4);
	set(&list[1].link, "doorbells", 5);
	set(&channels[0][0], "tx_bytes", UINT64_MAX);
	set(&channels[0][1], "tx_bytes", 6);
	set(&channels[1][0], "tx_bytes", 7);
}

/*
 * The format's rules, as far as they may be broken here: HELP, TYPE and samples of a family
 * in a row and once, names and labels made of what they may have, one number behind them.
 */
static bool is_valid(void)
{
	char family[128] = "", seen[4096] = "", name[128], labels[256], number[32], mark[130];
	char *copy = strdup(text), *line, *save;
	bool good = text[strlen(text) - 1] == '\n';
	size_t len;

	for (line = strtok_r(copy, "\n", &save); good && line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "# HELP %127[a-zA-Z0-9_] %30c", family, number) == 2) {
			snprintf(mark, sizeof(mark), "\n%s\n", family);
			good = !strstr(seen, mark);
			strcat(seen, mark);
		} else if (line[0] == '#') {
			len = strlen("# TYPE ");
			good = !strncmp(line, "# TYPE ", len) &&
			       !strncmp(line + len, family, strlen(family)) &&
			       (!strcmp(line + len + strlen(family), " counter") ||
				!strcmp(line + len + strlen(family), " gauge"));
		} else {
			good = sscanf(line, "%127[a-zA-Z0-9_]{%255[^}]} %31[0-9]", name, labels,
				      number) == 3 && !strcmp(name, family) &&
			       !strcmp(line + strlen(line) - strlen(number), number);
		}
		if (!good)
			printf("# %s\n", line);
	}
	free(copy);
	return good;
}

static void test_text(void)
{
	print(&samples);
	CHECK(is_valid());
	CHECK(strstr(text, "\nivring_link_up{link=\"ivring0\",label=\"vm0\",side=\"0\"} 1\n"));
	CHECK(strstr(text, "\nivring_link_up{link=\"ivring7\",label=\"a.b-c_d\",side=\"1\"} 0\n"));
	CHECK(strstr(text, "\nivring_link_doorbells_total{link=\"ivring7\",label=\"a.b-c_d\","
		     "side=\"1\"} 5\n"));
	CHECK(strstr(text, "\nivring_channel_tx_bytes_total{link=\"ivring0\",label=\"vm0\","
		     "side=\"0\",channel=\"0\"} 18446744073709551615\n"));
	/* What one of them does not have is not zero there. */
	CHECK(strstr(text, "\nivring_link_unheard_of_total{link=\"ivring0\""));
	CHECK(!strstr(text, "unheard_of_total{link=\"ivring7\""));
}

static void test_no_links(void)
{
	struct samples none = { 0 };

	print(&none);
	CHECK(is_valid() && !strchr(text, '{'));
}

static void test_promtool(void)
{
	static const char what[] = "promtool finds nothing to complain of";
	FILE *tool;

	if (system("command -v promtool >/dev/null")) {
		tap_skip(what, "no promtool (package prometheus)");
		return;
	}
	print(&samples);
	fflush(stdout);
	tool = popen("promtool check metrics >&2", "w");
	fputs(text, tool);
	ok(!pclose(tool), "%s", what);
}

/* ---- where it may listen ---- */

static void test_where(void)
{
	static const struct {
		const char *where;
		int code;
		bool others;
	} cases[] = {
		{ "0.0.0.0:9947", STATUS_USAGE, true },
		{ "[::]:9947", STATUS_USAGE, true },
		{ "10.0.0.1:9947", STATUS_USAGE, true },
		{ "128.0.0.1:9947", STATUS_USAGE, true },
		{ "[fe80::1]:9947", STATUS_USAGE, true },
		{ "[::ffff:127.0.0.1]:9947", STATUS_USAGE, true },
		{ ":9947", STATUS_USAGE, false },
		{ "example.org:9947", STATUS_USAGE, false },
		{ "127.1:9947", STATUS_USAGE, false },
		{ "127.0.0.1:", STATUS_USAGE, false },
		{ "127.0.0.1", STATUS_USAGE, false },
		{ "0", STATUS_USAGE, false },
		{ "65536", STATUS_USAGE, false },
		{ "", STATUS_USAGE, false },
		{ "[]:1", STATUS_USAGE, false },
		{ "[:1", STATUS_USAGE, false },
		{ "[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]:1", STATUS_USAGE, false },
		{ "socket", STATUS_USAGE, false },
		{ "systemd", STATUS_USAGE, false },
		{ "/nonexistent/socket", STATUS_DEST, false },
	};
	struct metrics_socket s;
	struct status st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		st = (struct status){ 0 };
		if (metrics_listen(&s, cases[i].where, &st) != -cases[i].code ||
		    st.code != cases[i].code ||
		    cases[i].others != !!strstr(st.text, "other machines")) {
			printf("# '%s': %d %s\n", cases[i].where, st.code, st.text);
			CHECK(false);
		}
	}
}

static bool accepts(const union { struct sockaddr any; struct sockaddr_in in; } *a)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool good = !connect(fd, &a->any, sizeof(a->in));

	close(fd);
	return good;
}

static void test_loopback(void)
{
	union { struct sockaddr any; struct sockaddr_in in; } a = { 0 };
	struct metrics_socket s;
	struct status st;
	char where[16];
	int port, ret = -1;

	for (port = 19947; ret && port < 19999; port++) {
		snprintf(where, sizeof(where), "%d", port);
		ret = metrics_listen(&s, where, &st);
	}
	CHECK(!ret);
	a.in.sin_family = AF_INET;
	a.in.sin_port = htons(port - 1);
	a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(accepts((const void *)&a));
	/* As is another address of loopback, where nobody listens */
	a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	CHECK(!accepts((const void *)&a));
	metrics_close(&s);
}

static void test_path(void)
{
	struct metrics_socket s, other;
	struct status st;
	struct stat stat;

	CHECK(!metrics_listen(&s, path, &st));
	CHECK(!lstat(path, &stat) && S_ISSOCK(stat.st_mode) && (stat.st_mode & 0777) == 0660);
	CHECK(metrics_listen(&other, path, &st) == -STATUS_BUSY);
	CHECK(!lstat(path, &stat));
	/* Of one that was killed, the socket stays. */
	close(s.fd);
	CHECK(!metrics_listen(&s, path, &st));
	metrics_close(&s);
	CHECK(lstat(path, &stat) && errno == ENOENT);
	/* What is no socket is left alone. */
	CHECK(!mkdir(path, 0700));
	CHECK(metrics_listen(&s, path, &st) == -STATUS_BUSY);
	CHECK(!rmdir(path));
}

/* Code of listening at what a service manager hands over: a socket bound to that address */
static int handed_over(const struct sockaddr *a, socklen_t len, bool listens)
{
	struct metrics_socket s;
	struct status st = { 0 };
	int fd, status;
	char pid[16];

	fflush(stdout);
	if (fork()) {
		wait(&status);
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	fd = socket(a->sa_family, SOCK_STREAM, 0);
	if (bind(fd, a, len) || (listens && listen(fd, 1)))
		_exit(255);
	if (fd != 3)
		dup2(fd, 3);
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_FDNAMES", "metrics", 1);
	if (metrics_listen(&s, "systemd", &st) && s.fd >= 0)
		_exit(254);
	_exit(st.code);
}

static void test_handed_over(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	CHECK(handed_over((struct sockaddr *)&in, sizeof(in), true) == STATUS_USAGE);
	CHECK(handed_over((struct sockaddr *)&in6, sizeof(in6), true) == STATUS_USAGE);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(handed_over((struct sockaddr *)&in, sizeof(in), true) == STATUS_OK);
	strcpy(un.sun_path, path);
	CHECK(handed_over((struct sockaddr *)&un, sizeof(un), true) == STATUS_OK);
	CHECK(!unlink(path));
	CHECK(handed_over((struct sockaddr *)&un, sizeof(un), false) == STATUS_USAGE);
	CHECK(!unlink(path));
}

/* ---- the server ---- */

static struct metrics_socket server;
static pid_t server_pid;

static int page(char **p, size_t *len)
{
	/* The first one cannot be made. */
	static bool again;

	if (!again) {
		again = true;
		return -EACCES;
	}
	*len = PAGE_SIZE_LARGE;
	*p = malloc(*len);
	memset(*p, 'x', *len);
	return 0;
}

static void serve(void)
{
	struct status st;

	if (metrics_listen(&server, path, &st)) {
		printf("Bail out! %s\n", st.text);
		exit(1);
	}
	server_pid = fork();
	if (server_pid)
		return;
	st.code = 0;
	if (metrics_serve(&server, page, CLIENT_MS, &st))
		printf("# %s\n", st.text);
	metrics_close(&server);
	exit(st.code);
}

static int dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, path);
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	close(fd);
	return -1;
}

static bool say(int fd, const char *what)
{
	return send(fd, what, strlen(what), MSG_NOSIGNAL) == (ssize_t)strlen(what);
}

static char answer[8192];

/* All that comes, up to the end; its beginning in answer[]. Negative: no end in time. */
static ssize_t hear(int fd)
{
	struct timeval patience = { .tv_sec = 30 };
	char more[65536];
	ssize_t n, all = 0;

	memset(answer, 0, sizeof(answer));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while ((n = recv(fd, more, sizeof(more), 0)) > 0) {
		if (all < (ssize_t)sizeof(answer) - 1)
			memcpy(answer + all, more, min_u64(n, sizeof(answer) - 1 - all));
		all += n;
	}
	close(fd);
	return n && errno != ECONNRESET ? -1 : all;
}

static ssize_t ask(const char *request)
{
	int fd = dial();

	say(fd, request);
	return hear(fd);
}

static bool begins(const char *with)
{
	return !strncmp(answer, with, strlen(with));
}

static size_t body_len(ssize_t all)
{
	const char *end = strstr(answer, "\r\n\r\n");

	return end ? all - (end + 4 - answer) : 0;
}

static void test_answers(void)
{
	ssize_t n;

	ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(begins("HTTP/1.1 503 "));
	n = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(begins("HTTP/1.1 200 OK\r\n") && body_len(n) == PAGE_SIZE_LARGE);
	CHECK(strstr(answer, "\r\nContent-Length: 4194304\r\n"));
	CHECK(strstr(answer, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	CHECK(strcasestr(answer, "\r\nConnection: close\r\n"));
	n = ask("GET /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(begins("HTTP/1.1 200 ") && body_len(n) == PAGE_SIZE_LARGE);
	n = ask("GET /metrics HTTP/1.0\r\n\r\n");
	CHECK(begins("HTTP/1.") && !strncmp(answer + 8, " 200 ", 5) &&
	      body_len(n) == PAGE_SIZE_LARGE);
	n = ask("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
	CHECK(begins("HTTP/1.1 200 ") && body_len(n) == PAGE_SIZE_LARGE);
	n = ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(begins("HTTP/1.1 200 ") && body_len(n) == 0);
	CHECK(strstr(answer, "\r\nContent-Length: 4194304\r\n"));
	ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(begins("HTTP/1.1 404 "));
	ask("GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(begins("HTTP/1.1 404 "));
	ask("GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(begins("HTTP/1.1 404 "));
	ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	CHECK(begins("HTTP/1.1 405 ") && strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
	ask("DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(begins("HTTP/1.1 405 "));
	ask("\001\002 /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(!begins("HTTP/1.1 200 "));
}

static void test_malformed(void)
{
	static const char * const requests[] = {
		"\r\n\r\n\r\n\r\n", "GET\r\n\r\n", "GET /metrics\r\n\r\n",
		"GET /metrics HTTP/9.9\r\n\r\n", "GET /metrics HTTP/1.1\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
		"\xff\xfe\xfd\xfc\r\n\r\n", "\026\003\001\002\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	};
	char *large = malloc(100000);
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		fd = dial();
		say(fd, requests[i]);
		shutdown(fd, SHUT_WR);
		CHECK(hear(fd) >= 0);
	}
	/* More than there is room for: in the first line, and in what follows */
	memset(large, 'a', 99999);
	large[99999] = '\0';
	memcpy(large, "GET /", 5);
	fd = dial();
	say(fd, large);
	CHECK(hear(fd) >= 0 && !begins("HTTP/1.1 200"));
	memcpy(large, "GET /metrics HTTP/1.1\r\nHost: ", 29);
	fd = dial();
	say(fd, large);
	CHECK(hear(fd) >= 0 && !begins("HTTP/1.1 200"));
	free(large);
	/* One that does not wait for its answer */
	for (i = 0; i < 50; i++) {
		fd = dial();
		say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
		close(fd);
	}
	ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(begins("HTTP/1.1 200 "));
}

/*
 * More of them than are served at once say nothing, or a byte now and then, or do not read:
 * all of them are got rid of, and who asks is answered.
 */
static void test_slow(void)
{
	int64_t start = now_ns();
	int fds[MANY], good, i;
	struct pollfd p;

	/* Those that the backlog has no room for block, until others were ended. */
	for (i = 0; i < MANY; i++) {
		fds[i] = dial();
		CHECK(fds[i] >= 0);
		if (i % 3 == 0)
			say(fds[i], "G");
		else if (i % 3 == 1)
			say(fds[i], "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	good = dial();
	say(good, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	p = (struct pollfd){ .fd = good, .events = POLLIN };
	while (!poll(&p, 1, 100) && now_ns() - start < 60 * NSEC_PER_SEC)
		for (i = 0; i < MANY; i += 3)
			say(fds[i], "E");
	CHECK(hear(good) > (ssize_t)PAGE_SIZE_LARGE && begins("HTTP/1.1 200 "));
	printf("# answered after %.1f s\n", (now_ns() - start) / 1e9);
	for (i = 0; i < MANY; i++)
		close(fds[i]);
	CHECK(ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") > (ssize_t)PAGE_SIZE_LARGE);
}

/* The time of a process, in ticks */
static unsigned long cpu_of(pid_t pid)
{
	unsigned long user = 0, system = 0;
	char name[64];
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	f = fopen(name, "r");
	if (!f || fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			 &system) != 2)
		user = ~0UL;
	if (f)
		fclose(f);
	return user + system;
}

/* With clients that wait, and without: no CPU is used. */
static void test_idle(void)
{
	unsigned long before;
	int fd = dial();

	say(fd, "GET");
	before = cpu_of(server_pid);
	CHECK(hear(fd) >= 0);
	CHECK(cpu_of(server_pid) - before < (unsigned long)sysconf(_SC_CLK_TCK) / 4);
}

static void test_end(void)
{
	int status, fd = dial();

	say(fd, "GET");
	CHECK(!kill(server_pid, SIGTERM));
	CHECK(waitpid(server_pid, &status, 0) == server_pid && !status);
	close(fd);
	CHECK(access(path, F_OK) && errno == ENOENT);
}

int main(void)
{
	if (!mkdtemp(dir)) {
		printf("Bail out! %s\n", dir);
		return 1;
	}
	snprintf(path, sizeof(path), "%s/socket", dir);
	make_samples();
	tap_run(test_text, "the text is what the format wants");
	tap_run(test_no_links, "without links, too");
	test_promtool();
	free(text);
	tap_run(test_where, "nothing but this machine");
	tap_run(test_loopback, "a port of loopback");
	tap_run(test_path, "a UNIX socket");
	tap_run(test_handed_over, "a socket of a service manager");
	fflush(stdout);
	serve();
	close(server.fd);
	tap_run(test_answers, "answers");
	tap_run(test_malformed, "requests that are none");
	tap_run(test_slow, "many slow clients");
	tap_run(test_idle, "waiting costs nothing");
	tap_run(test_end, "a signal ends it");
	rmdir(dir);
	return tap_done();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * HTTP is libmicrohttpd's. It is loaded here, and not linked: most of the command's lives
 * are short, and none of the others needs it, nor the TLS that it brings along.
 */
#include "metrics-http.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fdstore.h"
#include "status.h"
#include "util.h"

#define MICROHTTPD		"libmicrohttpd.so.12"
#define CONNECTIONS_MAX		64U
#define CONNECTION_MEMORY	(16UL << 10)
#define BACKLOG			64
#define CONTENT_TYPE		"text/plain; version=0.0.4; charset=utf-8"

/* ---- the socket ---- */

union address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static bool is_local(const union address *a)
{
	switch (a->any.sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
	default:
		return false;
	}
}

/* "PORT" and "ADDRESS:PORT" */
static bool parse_inet(const char *where, union address *a, socklen_t *len)
{
	const char *colon = strrchr(where, ':');
	char host[INET6_ADDRSTRLEN + 2];
	size_t host_len;
	uint64_t port;

	if (!parse_number(colon ? colon + 1 : where, UINT16_MAX, &port) || !port)
		return false;
	host_len = colon ? (size_t)(colon - where) : 0;
	if (host_len >= sizeof(host))
		return false;
	memcpy(host, where, host_len);
	host[host_len] = '\0';
	if (host[0] == '[' && host[host_len - 1] == ']') {
		host[host_len - 1] = '\0';
		a->in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
		*len = sizeof(a->in6);
		return inet_pton(AF_INET6, host + 1, &a->in6.sin6_addr) == 1;
	}
	a->in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
	*len = sizeof(a->in);
	return inet_pton(AF_INET, !colon || !strcmp(host, "localhost") ? "127.0.0.1" : host,
			 &a->in.sin_addr) == 1;
}

/* A socket that nobody listens at any more is in the way. */
static void remove_stale(const union address *a, socklen_t len)
{
	struct stat stat;
	int fd;

	if (lstat(a->un.sun_path, &stat) || !S_ISSOCK(stat.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (connect(fd, &a->any, len) && errno == ECONNREFUSED)
		unlink(a->un.sun_path);
	close(fd);
}

static int listen_at(struct metrics_socket *s, const union address *a, socklen_t len,
		     const char *where, struct status *st)
{
	int one = 1, ret;
	mode_t mask;

	s->fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return status_errno(st, STATUS_FAIL, errno, "cannot make a socket");
	if (a->any.sa_family == AF_UNIX)
		remove_stale(a, len);
	else
		setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* For the group, as what sysfs tells of links */
	mask = umask(0117);
	ret = bind(s->fd, &a->any, len);
	umask(mask);
	if (!ret && a->any.sa_family == AF_UNIX)
		s->path = where;
	if (!ret)
		ret = listen(s->fd, BACKLOG);
	if (!ret)
		return 0;
	ret = status_errno(st, errno == EADDRINUSE ? STATUS_BUSY : STATUS_DEST, errno,
			   "cannot listen at %s", printable(where));
	metrics_close(s);
	return ret;
}

static int take_over(struct metrics_socket *s, struct status *st)
{
	union address a = { 0 };
	socklen_t len = sizeof(a);
	int listens = 0;

	fdstore_open();
	s->fd = fdstore_take("metrics");
	if (s->fd < 0)
		return status_set(st, STATUS_USAGE, "systemd handed over no socket of the name "
				  "\"metrics\"");
	if (getsockname(s->fd, &a.any, &len) || !is_local(&a)) {
		metrics_close(s);
		return status_set(st, STATUS_USAGE, "systemd's socket is open to other machines: "
				  "only a UNIX socket and loopback will do");
	}
	len = sizeof(listens);
	if (getsockopt(s->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) || !listens) {
		metrics_close(s);
		return status_set(st, STATUS_USAGE, "systemd's socket does not listen: it is "
				  "to have Accept=no");
	}
	fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) | O_NONBLOCK);
	return 0;
}

int metrics_listen(struct metrics_socket *s, const char *where, struct status *st)
{
	union address a = { 0 };
	socklen_t len = sizeof(a.un);

	*s = (struct metrics_socket){ .fd = -1 };
	if (!strcmp(where, "systemd"))
		return take_over(s, st);
	if (where[0] == '/') {
		if (strlen(where) >= sizeof(a.un.sun_path))
			return status_errno(st, STATUS_USAGE, ENAMETOOLONG, "%s", printable(where));
		a.un.sun_family = AF_UNIX;
		strcpy(a.un.sun_path, where);
	} else if (!parse_inet(where, &a, &len)) {
		return status_set(st, STATUS_USAGE, "impossible value for --listen: %s",
				  printable(where));
	}
	if (!is_local(&a))
		return status_set(st, STATUS_USAGE, "%s: other machines could connect there; "
				  "say /PATH, 127.0.0.1:PORT or [::1]:PORT", printable(where));
	return listen_at(s, &a, len, where, st);
}

void metrics_close(struct metrics_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->path)
		unlink(s->path);
	*s = (struct metrics_socket){ .fd = -1 };
}

/* ---- the library ---- */

#define MHD_FUNCTIONS(X)						\
	X(start_daemon) X(stop_daemon) X(run) X(get_timeout)		\
	X(get_daemon_info) X(get_connection_info)			\
	X(create_response_from_buffer) X(destroy_response)		\
	X(add_response_header) X(queue_response)

static struct {
#define MHD_POINTER(name)	typeof(&MHD_##name) name;
	MHD_FUNCTIONS(MHD_POINTER)
#undef MHD_POINTER
} mhd;

static int load(struct status *st)
{
	void *lib = dlopen(MICROHTTPD, RTLD_NOW);

	if (!lib)
		return status_set(st, STATUS_FAIL, "the library that speaks HTTP cannot be loaded "
				  "(package libmicrohttpd12): %s", dlerror());
#define MHD_LOAD(name)							\
	mhd.name = dlsym(lib, "MHD_" #name);				\
	if (!mhd.name)							\
		return status_set(st, STATUS_FAIL, "%s", dlerror());
	MHD_FUNCTIONS(MHD_LOAD)
#undef MHD_LOAD
	return 0;
}

/* ---- clients ---- */

struct client {
	struct client *next, **link;
	int fd;
	int64_t deadline;
};

static struct client *clients;
static int64_t client_ns;

/* The library has a limit for silence, which any byte would put off. */
static void on_connection(void *unused, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info;
	struct client *c = *context;

	(void)unused;
	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (!c)
			return;
		*c->link = c->next;
		if (c->next)
			c->next->link = c->link;
		free(c);
		return;
	}
	info = mhd.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	c = info ? malloc(sizeof(*c)) : NULL;
	*context = c;
	if (!c)
		return;
	*c = (struct client){ .next = clients, .link = &clients, .fd = info->connect_fd,
			      .deadline = now_ns() + client_ns };
	if (clients)
		clients->link = &c->next;
	clients = c;
}

/* Ends those whose time is over. Returns when it is that of the next one. */
static int64_t expire(void)
{
	int64_t now = now_ns(), next = INT64_MAX;
	struct client *c;

	for (c = clients; c; c = c->next) {
		if (c->deadline > now) {
			next = c->deadline;
			continue;
		}
		/* That the library sees, and closes it. */
		shutdown(c->fd, SHUT_RDWR);
		c->deadline = INT64_MAX;
	}
	return next;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int code,
			      const char *type, const char *text, size_t len,
			      enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = mhd.create_response_from_buffer(len, (void *)text, mode);
	enum MHD_Result ret = MHD_NO;

	if (!r) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free((void *)text);
		return MHD_NO;
	}
	if (mhd.add_response_header(r, "Content-Type", type) &&
	    mhd.add_response_header(r, "Connection", "close") &&
	    (code != MHD_HTTP_METHOD_NOT_ALLOWED ||
	     mhd.add_response_header(r, "Allow", "GET, HEAD")))
		ret = mhd.queue_response(connection, code, r);
	mhd.destroy_response(r);
	return ret;
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned int code, const char *text)
{
	return answer(connection, code, "text/plain", text, strlen(text), MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result on_request(void *make_page, struct MHD_Connection *connection,
				  const char *url, const char *method, const char *version,
				  const char *body, size_t *body_len, void **context)
{
	static char seen;
	char *page;
	size_t len;

	(void)version;
	(void)body;
	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return say(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed\n");
	/* First comes the head alone, then what may follow it, then the end. */
	if (!*context || *body_len) {
		*context = &seen;
		*body_len = 0;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics"))
		return say(connection, MHD_HTTP_NOT_FOUND, "Not Found: there is /metrics\n");
	if ((*(metrics_page **)make_page)(&page, &len))
		return say(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "Service Unavailable\n");
	return answer(connection, MHD_HTTP_OK, CONTENT_TYPE, page, len, MHD_RESPMEM_MUST_FREE);
}

/* ---- until a signal ---- */

static int loop(struct MHD_Daemon *daemon, const sigset_t *unblocked)
{
	const union MHD_DaemonInfo *info = mhd.get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd p = { .fd = info ? info->epoll_fd : -1, .events = POLLIN };
	MHD_UNSIGNED_LONG_LONG ms;
	struct timespec t;
	int64_t ns;

	while (!stop_signal) {
		ns = expire();
		if (ns != INT64_MAX)
			ns -= now_ns();
		if (mhd.get_timeout(daemon, &ms) == MHD_YES && (int64_t)ms < ns / NSEC_PER_MSEC)
			ns = ms * NSEC_PER_MSEC;
		if (ns < 0)
			ns = 0;
		t = (struct timespec){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
		if (ppoll(&p, 1, ns == INT64_MAX ? NULL : &t, unblocked) < 0 && errno != EINTR)
			return -errno;
		if (mhd.run(daemon) != MHD_YES)
			return -EIO;
	}
	return 0;
}

int metrics_serve(const struct metrics_socket *s, metrics_page *page, int client_ms,
		  struct status *st)
{
	struct MHD_Daemon *daemon;
	sigset_t stops, unblocked;
	int ret = load(st);

	if (ret)
		return ret;
	client_ns = client_ms * NSEC_PER_MSEC;
	stop_install();
	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGHUP);
	sigprocmask(SIG_BLOCK, &stops, &unblocked);
	/* It closes the socket that it gets. */
	daemon = mhd.start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, &page,
				  MHD_OPTION_LISTEN_SOCKET, fcntl(s->fd, F_DUPFD_CLOEXEC, 0),
				  MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
				  MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL,
				  MHD_OPTION_END);
	if (!daemon) {
		ret = status_set(st, STATUS_FAIL, "cannot start the server");
	} else {
		fdstore_notify("READY=1");
		ret = loop(daemon, &unblocked);
		if (ret)
			ret = status_errno(st, STATUS_IO, -ret, "cannot wait for clients");
		mhd.stop_daemon(daemon);
	}
	sigprocmask(SIG_SETMASK, &unblocked, NULL);
	return ret;
}

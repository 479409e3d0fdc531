// SPDX-License-Identifier: GPL-2.0
#include "ivshmem-server.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

#define PROTOCOL_VERSION	0
#define EVENTS_MAX		32
/* How long a link does not listen when there are no file descriptors left. */
#define PAUSE_SECONDS		1
/* Longest queue of one client: a greeting, and the other's coming and going a few times. */
#define QUEUE_MAX		(3 + 6 * IVSHMEM_VECTORS_MAX)

struct message {
	struct message *next;
	int64_t value;
	int fd;				/* owned; -1: none */
};

/* What an epoll event leads to. */
struct watch {
	void (*handle)(struct watch *w, uint32_t events);
	int fd;
};

struct member {
	struct watch watch;		/* first; fd is -1 for the host's kernel */
	struct ivshmem_link *link;
	struct member *next_dead;
	unsigned int id;
	int eventfds[IVSHMEM_VECTORS_MAX];
	unsigned int vectors;
	struct message *queue;
	struct message **queue_end;
	unsigned int queued;
	bool dead;
};

struct ivshmem_link {
	struct watch watch;		/* first */
	bool paused;			/* not listening: no file descriptor is free */
	bool starved;			/* that was said already */
	struct ivshmem_server *server;
	struct ivshmem_link *next;
	struct ivshmem_config config;
	struct member *members[IVSHMEM_MEMBERS_MAX];
	unsigned int next_id;
	int memfd;
	int lock_fd;
	bool locked;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char lock_path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 8];
};

struct ivshmem_server {
	struct watch timer;		/* first; ends the pause of links */
	int epoll_fd;
	struct ivshmem_link *links;
	struct member *dead;		/* freed when no event can name them any more */
};

int ivshmem_server_fd(const struct ivshmem_server *server)
{
	return server->epoll_fd;
}

const char *ivshmem_link_path(const struct ivshmem_link *link)
{
	return link->path;
}

static int watch_add(struct ivshmem_server *server, struct watch *w)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = w };

	return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, w->fd, &event) ? -errno : 0;
}

static void watch_modify(struct ivshmem_server *server, struct watch *w, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = w };

	epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, w->fd, &event);
}

static void watch_for_output(struct ivshmem_server *server, struct watch *w, bool on)
{
	watch_modify(server, w, EPOLLIN | EPOLLRDHUP | (on ? EPOLLOUT : 0));
}

/* One message: eight bytes, and perhaps a file. 0, -EAGAIN, or why the client is lost. */
static int send_now(int sock, int64_t value, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	int64_t wire = htole64(value);
	struct iovec iov = { .iov_base = &wire, .iov_len = sizeof(wire) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == sizeof(wire) ? 0 : -EPIPE;
}

static void message_free(struct message *m)
{
	if (m->fd >= 0)
		close(m->fd);
	free(m);
}

/* Queues what the socket did not take; the file may be closed before it does. */
static int enqueue(struct member *m, int64_t value, int fd)
{
	struct message *msg;

	if (m->queued >= QUEUE_MAX)
		return -ENOBUFS;
	msg = calloc(1, sizeof(*msg));
	if (!msg)
		return -ENOMEM;
	msg->value = value;
	msg->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0 && msg->fd < 0) {
		free(msg);
		return -EMFILE;
	}
	if (!m->queue)
		watch_for_output(m->link->server, &m->watch, true);
	*m->queue_end = msg;
	m->queue_end = &msg->next;
	m->queued++;
	return 0;
}

static int member_send(struct member *m, int64_t value, int fd)
{
	int ret = -EAGAIN;

	if (!m->queue)
		ret = send_now(m->watch.fd, value, fd);
	if (ret == -EAGAIN)
		ret = enqueue(m, value, fd);
	return ret;
}

static int member_drain(struct member *m)
{
	struct message *msg;
	int ret;

	while ((msg = m->queue)) {
		ret = send_now(m->watch.fd, msg->value, msg->fd);
		if (ret)
			return ret == -EAGAIN ? 0 : ret;
		m->queue = msg->next;
		m->queued--;
		message_free(msg);
	}
	m->queue_end = &m->queue;
	watch_for_output(m->link->server, &m->watch, false);
	return 0;
}

static void member_close_files(struct member *m)
{
	struct message *msg;
	unsigned int i;

	for (i = 0; i < m->vectors; i++)
		close(m->eventfds[i]);
	m->vectors = 0;
	while ((msg = m->queue)) {
		m->queue = msg->next;
		message_free(msg);
	}
	if (m->watch.fd >= 0)
		close(m->watch.fd);
	m->watch.fd = -1;
}

static struct member *member_new(struct ivshmem_link *link)
{
	struct member *m = calloc(1, sizeof(*m));
	int fd;

	if (!m)
		return NULL;
	m->link = link;
	m->watch.fd = -1;
	m->queue_end = &m->queue;
	m->id = link->next_id;
	while (m->vectors < link->config.vectors) {
		fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fd < 0) {
			member_close_files(m);
			free(m);
			return NULL;
		}
		m->eventfds[m->vectors++] = fd;
	}
	link->next_id++;
	return m;
}

static struct member *other_member(const struct member *m)
{
	struct member **members = m->link->members;

	return members[0] == m ? members[1] : members[0];
}

static bool is_client(const struct member *m)
{
	return m && m->watch.fd >= 0;
}

static void member_drop(struct member *m, const char *why)
{
	struct ivshmem_link *link = m->link;
	struct member *other = other_member(m);
	int ret;

	if (m->dead)
		return;
	m->dead = true;
	log_line("serve: %s: guest with ID %u left: %s", link->config.name, m->id, why);
	if (link->members[0] == m)
		link->members[0] = NULL;
	else
		link->members[1] = NULL;
	if (link->config.host) {
		ret = link->config.host->peer_del(link->config.host_priv, m->id);
		if (ret)
			complain("serve: %s: the kernel did not take PEER_DEL: %s",
				 link->config.name, strerror(-ret));
	}
	member_close_files(m);
	m->next_dead = link->server->dead;
	link->server->dead = m;
	/* An ID without a file: that peer left. */
	if (is_client(other)) {
		ret = member_send(other, m->id, -1);
		if (ret)
			member_drop(other, strerror(-ret));
	}
}

/* Introduces @who to @m. */
static int announce(struct member *m, const struct member *who)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < who->vectors; i++)
		ret = member_send(m, who->id, who->eventfds[i]);
	return ret;
}

static int greet(struct member *m, const struct member *other)
{
	int ret;

	ret = member_send(m, PROTOCOL_VERSION, -1);
	if (!ret)
		ret = member_send(m, m->id, -1);
	if (!ret)
		ret = member_send(m, -1, m->link->memfd);
	if (!ret && other)
		ret = announce(m, other);
	/* The own ones come last: QEMU takes them as its interrupts. */
	if (!ret)
		ret = announce(m, m);
	return ret;
}

static const char *hangup_reason(int sock)
{
	char byte;
	ssize_t n = recv(sock, &byte, 1, MSG_DONTWAIT);

	if (n > 0)
		return "it sent something, which the protocol does not know";
	if (n == 0)
		return "it closed the connection";
	return errno == EAGAIN || errno == EINTR ? NULL : strerror(errno);
}

static void handle_client(struct watch *w, uint32_t events)
{
	struct member *m = (struct member *)w;
	const char *why = NULL;
	int ret = 0;

	if (m->dead)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		why = hangup_reason(w->fd);
	if (!why && events & EPOLLOUT)
		ret = member_drain(m);
	if (ret)
		why = strerror(-ret);
	if (why)
		member_drop(m, why);
}

/* A QEMU that was restarted connects before we may have seen that the old one is gone. */
static void reap_members(struct ivshmem_link *link)
{
	struct pollfd pfd = { .events = POLLIN | POLLRDHUP };
	const char *why;
	size_t i;

	for (i = 0; i < IVSHMEM_MEMBERS_MAX; i++) {
		if (!is_client(link->members[i]))
			continue;
		pfd.fd = link->members[i]->watch.fd;
		if (poll(&pfd, 1, 0) <= 0)
			continue;
		why = hangup_reason(pfd.fd);
		if (why)
			member_drop(link->members[i], why);
	}
}

static int tell_host(struct ivshmem_link *link, const struct member *m)
{
	if (!link->config.host)
		return 0;
	return link->config.host->peer_add(link->config.host_priv, m->id, m->eventfds, m->vectors);
}

static const char *admit(struct ivshmem_link *link, int sock)
{
	unsigned int place = link->members[0] ? 1 : 0;
	struct member *m, *other;
	int ret;

	if (link->members[place])
		return "there is a guest already";
	if (link->next_id > IVSHMEM_ID_MAX)
		return "all IDs were given out; restart the server and its guests";
	m = member_new(link);
	if (!m)
		return "cannot make its eventfds";
	m->watch.handle = handle_client;
	m->watch.fd = sock;
	ret = watch_add(link->server, &m->watch);
	if (!ret)
		ret = tell_host(link, m);
	if (ret) {
		m->watch.fd = -1;
		epoll_ctl(link->server->epoll_fd, EPOLL_CTL_DEL, sock, NULL);
		member_close_files(m);
		free(m);
		return strerror(-ret);
	}
	link->members[place] = m;
	log_line("serve: %s: guest with ID %u connected", link->config.name, m->id);
	other = other_member(m);
	ret = greet(m, other);
	if (ret) {
		member_drop(m, strerror(-ret));
		return NULL;
	}
	if (is_client(other)) {
		ret = announce(other, m);
		if (ret)
			member_drop(other, strerror(-ret));
	}
	return NULL;
}

/* The connection that cannot be had now would wake us again and again. */
static void link_pause(struct ivshmem_link *link)
{
	const struct itimerspec delay = { .it_value.tv_sec = PAUSE_SECONDS };

	link->paused = true;
	watch_modify(link->server, &link->watch, 0);
	timerfd_settime(link->server->timer.fd, 0, &delay, NULL);
}

static void handle_timer(struct watch *w, uint32_t events)
{
	struct ivshmem_server *server = (struct ivshmem_server *)w;
	struct ivshmem_link *link;
	uint64_t expirations;

	(void)events;
	if (read(w->fd, &expirations, sizeof(expirations)) < 0)
		return;
	for (link = server->links; link; link = link->next) {
		if (link->paused)
			watch_modify(server, &link->watch, EPOLLIN);
		link->paused = false;
	}
}

static void handle_listener(struct watch *w, uint32_t events)
{
	struct ivshmem_link *link = (struct ivshmem_link *)w;
	const char *why;
	int sock;

	(void)events;
	while ((sock = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		link->starved = false;
		reap_members(link);
		why = admit(link, sock);
		if (why) {
			log_line("serve: %s: refused a guest: %s", link->config.name, why);
			close(sock);
		}
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	if (!link->starved)
		complain("serve: %s: cannot accept a connection: %s; trying again now and then",
			 link->config.name, strerror(errno));
	link->starved = true;
	link_pause(link);
}

struct ivshmem_server *ivshmem_server_new(struct status *st)
{
	struct ivshmem_server *server = calloc(1, sizeof(*server));

	if (!server) {
		status_set(st, STATUS_FAIL, "out of memory");
		return NULL;
	}
	server->timer.handle = handle_timer;
	server->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->timer.fd < 0 || server->epoll_fd < 0 || watch_add(server, &server->timer)) {
		status_errno(st, STATUS_FAIL, errno, "cannot watch for events");
		ivshmem_server_free(server);
		return NULL;
	}
	return server;
}

void ivshmem_server_dispatch(struct ivshmem_server *server)
{
	struct epoll_event events[EVENTS_MAX];
	struct member *m;
	struct watch *w;
	int count, i;

	count = epoll_wait(server->epoll_fd, events, EVENTS_MAX, 0);
	for (i = 0; i < count; i++) {
		w = events[i].data.ptr;
		w->handle(w, events[i].events);
	}
	while ((m = server->dead)) {
		server->dead = m->next_dead;
		free(m);
	}
}

/* The lock is the file that has the name now, not one that was removed meanwhile. */
static int lock_name(struct ivshmem_link *link, struct status *st)
{
	struct stat named, locked;

	for (;;) {
		link->lock_fd = open(link->lock_path,
				     O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (link->lock_fd < 0)
			return status_errno(st, STATUS_DEST, errno, "cannot open %s",
					    link->lock_path);
		if (flock(link->lock_fd, LOCK_EX | LOCK_NB))
			return status_set(st, STATUS_BUSY, "%s is served by another process",
					  link->config.name);
		if (!fstat(link->lock_fd, &locked) && !stat(link->lock_path, &named) &&
		    locked.st_ino == named.st_ino && locked.st_dev == named.st_dev) {
			link->locked = true;
			return 0;
		}
		close(link->lock_fd);
	}
}

/* Removes the socket of a server that was killed; not one that somebody answers on. */
static int remove_stale(const struct ivshmem_link *link, const struct sockaddr_un *addr,
			struct status *st)
{
	struct stat stat;
	int sock, err;

	if (lstat(link->path, &stat))
		return 0;
	if (!S_ISSOCK(stat.st_mode))
		return status_set(st, STATUS_DEST, "%s is there and is no socket", link->path);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return status_errno(st, STATUS_FAIL, errno, "cannot make a socket");
	err = connect(sock, (const struct sockaddr *)addr, sizeof(*addr)) ? errno : 0;
	close(sock);
	if (err != ECONNREFUSED)
		return status_set(st, STATUS_BUSY, "another program serves %s", link->path);
	if (unlink(link->path))
		return status_errno(st, STATUS_DEST, errno, "cannot remove the stale %s",
				    link->path);
	return 0;
}

static int listen_at(struct ivshmem_link *link, struct status *st)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int ret;

	strcpy(addr.sun_path, link->path);
	ret = remove_stale(link, &addr, st);
	if (ret)
		return ret;
	link->watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (link->watch.fd < 0)
		return status_errno(st, STATUS_FAIL, errno, "cannot make a socket");
	/* Nobody gets in before mode and group are what they shall be. */
	mask = umask(0777);
	ret = bind(link->watch.fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (ret) {
		ret = errno;
		close(link->watch.fd);
		link->watch.fd = -1;
		return status_errno(st, STATUS_DEST, ret, "cannot make %s", link->path);
	}
	if (link->config.group != (gid_t)-1 && chown(link->path, -1, link->config.group))
		return status_errno(st, STATUS_DEST, errno, "cannot set the group of %s",
				    link->path);
	if (chmod(link->path, link->config.mode) || listen(link->watch.fd, 8))
		return status_errno(st, STATUS_DEST, errno, "cannot open up %s", link->path);
	return 0;
}

static int attach_host(struct ivshmem_link *link, struct status *st)
{
	struct member *host;
	int ret;

	if (!link->config.host)
		return 0;
	host = member_new(link);
	if (!host)
		return status_errno(st, STATUS_FAIL, errno, "cannot make eventfds");
	ret = link->config.host->attach(link->config.host_priv, link->memfd, host->id,
					host->eventfds, host->vectors, st);
	if (ret) {
		member_close_files(host);
		free(host);
		return ret;
	}
	link->members[0] = host;
	return 0;
}

static void link_free(struct ivshmem_link *link)
{
	size_t i;

	for (i = 0; i < IVSHMEM_MEMBERS_MAX; i++) {
		if (!link->members[i])
			continue;
		member_close_files(link->members[i]);
		free(link->members[i]);
	}
	if (link->watch.fd >= 0) {
		unlink(link->path);
		close(link->watch.fd);
	}
	if (link->lock_fd >= 0) {
		if (link->locked)
			unlink(link->lock_path);
		close(link->lock_fd);
	}
	if (link->memfd >= 0)
		close(link->memfd);
	free(link);
}

struct ivshmem_link *ivshmem_link_add(struct ivshmem_server *server,
				      const struct ivshmem_config *config, int memfd,
				      struct status *st)
{
	struct ivshmem_link *link = calloc(1, sizeof(*link));
	int ret;

	if (!link) {
		close(memfd);
		status_set(st, STATUS_FAIL, "out of memory");
		return NULL;
	}
	link->server = server;
	link->config = *config;
	link->memfd = memfd;
	link->lock_fd = -1;
	link->watch.fd = -1;
	link->watch.handle = handle_listener;
	ret = snprintf(link->path, sizeof(link->path), "%s/%s.sock", config->socket_dir,
		       config->name);
	if (ret >= (int)sizeof(link->path)) {
		status_set(st, STATUS_USAGE, "the socket's path is too long");
		goto err_free;
	}
	snprintf(link->lock_path, sizeof(link->lock_path), "%s/%s.lock", config->socket_dir,
		 config->name);
	if (lock_name(link, st) || attach_host(link, st) || listen_at(link, st))
		goto err_free;
	ret = watch_add(server, &link->watch);
	if (ret) {
		status_errno(st, STATUS_FAIL, -ret, "cannot watch %s", link->path);
		goto err_free;
	}
	link->next = server->links;
	server->links = link;
	return link;

err_free:
	link_free(link);
	return NULL;
}

void ivshmem_server_free(struct ivshmem_server *server)
{
	struct ivshmem_link *link;

	while ((link = server->links)) {
		server->links = link->next;
		link_free(link);
	}
	if (server->epoll_fd >= 0)
		close(server->epoll_fd);
	if (server->timer.fd >= 0)
		close(server->timer.fd);
	free(server);
}

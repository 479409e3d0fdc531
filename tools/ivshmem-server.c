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
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <ivring/wire.h>

#include "fdstore.h"
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
	unsigned int place;
	int eventfds[IVSHMEM_VECTORS_MAX];
	unsigned int vectors;
	struct message *queue;
	struct message **queue_end;
	unsigned int queued;
	bool dead;
};

/*
 * What the next server must know besides the files: in memory that is itself kept
 * by the service manager, where there is one, so that it is right at any moment
 * at which this process may be killed.
 */
struct kept {
	uint64_t magic;
	uint32_t vectors;
	uint32_t host;			/* attached, as ... */
	uint32_t host_link;		/* ... the link of this number */
	/* IDs to come; with a host only the first counts */
	uint32_t next_id[IVSHMEM_MEMBERS_MAX];
	struct kept_member {
		uint32_t id;
		uint32_t present;
		uint32_t settled;	/* no message is under way to it */
	} members[IVSHMEM_MEMBERS_MAX];
};

#define KEPT_MAGIC	0x3174706b676e7669ULL

struct ivshmem_link {
	struct watch watch;		/* first */
	bool paused;			/* not listening: no file descriptor is free */
	bool starved;			/* that was said already */
	struct ivshmem_server *server;
	struct ivshmem_link *next;
	struct ivshmem_config config;
	struct member *members[IVSHMEM_MEMBERS_MAX];
	struct kept *kept;
	int memfd;
	struct ivring_wire_geometry geo;	/* all zero without superblock */
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

static struct kept_member *kept_member(const struct member *m)
{
	return &m->link->kept->members[m->place];
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
	kept_member(m)->settled = 0;
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
	kept_member(m)->settled = 1;
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
	if (m->watch.fd >= 0) {
		/* Closing ends no watch while the service manager has the file, too. */
		epoll_ctl(m->link->server->epoll_fd, EPOLL_CTL_DEL, m->watch.fd, NULL);
		close(m->watch.fd);
	}
	m->watch.fd = -1;
}

/* The counter of IDs for a place: two guests' never have the same parity. */
static uint32_t *id_counter(struct ivshmem_link *link, unsigned int place)
{
	return &link->kept->next_id[link->config.host ? 0 : place];
}

static void member_init(struct member *m, struct ivshmem_link *link, unsigned int place)
{
	m->link = link;
	m->place = place;
	m->watch.fd = -1;
	m->queue_end = &m->queue;
}

static struct member *member_new(struct ivshmem_link *link, unsigned int place)
{
	struct member *m = calloc(1, sizeof(*m));
	uint32_t *next_id = id_counter(link, place);
	int fd;

	if (!m)
		return NULL;
	member_init(m, link, place);
	m->id = *next_id;
	while (m->vectors < link->config.vectors) {
		fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fd < 0) {
			member_close_files(m);
			free(m);
			return NULL;
		}
		m->eventfds[m->vectors++] = fd;
	}
	*next_id += link->config.host ? 1 : IVSHMEM_MEMBERS_MAX;
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

/*
 * Without a host's kernel nobody would tell a guest that the other one's QEMU is
 * gone: take back the presence of the side it was, as it would itself, and ring.
 */
static void bury_side(struct ivshmem_link *link, unsigned int side)
{
	size_t size = link->geo.region_size;
	struct ivring_wire_side *s;
	char *region;

	if (!link->geo.guests)
		return;
	region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		      link->memfd, 0);
	if (region == MAP_FAILED)
		return;
	s = (struct ivring_wire_side *)(region + link->geo.side_offset) + side;
	WRITE_ONCE(s->state, htole32(IVRING_WIRE_SIDE_DOWN));
	virt_store_release(&s->epoch, 0);
	if (link->members[!side])
		eventfd_write(link->members[!side]->eventfds[0], 1);
	munmap(region, size);
}

/* A private copy is judged, and what comes of it stays, whatever guests write. */
static void read_geometry(struct ivshmem_link *link)
{
	struct ivring_wire_superblock sb;
	struct stat stat;

	if (fstat(link->memfd, &stat) || pread(link->memfd, &sb, sizeof(sb), 0) != sizeof(sb) ||
	    ivring_wire_check(&sb, stat.st_size, &link->geo))
		memset(&link->geo, 0, sizeof(link->geo));
}

/* ---- what outlives this process: names in the store are LINK=WHAT ---- */

static const char *kept_name(char name[FDSTORE_NAME], const char *link, const char *what)
{
	snprintf(name, FDSTORE_NAME, "%s=%s", link, what);
	return name;
}

/* The name of a member's eventfd, or, for a negative number, of its socket. */
static const char *kept_member_name(char name[FDSTORE_NAME], const char *link,
				    unsigned int place, int vector)
{
	if (vector < 0)
		snprintf(name, FDSTORE_NAME, "%s=%u.sock", link, place);
	else
		snprintf(name, FDSTORE_NAME, "%s=%u.%d", link, place, vector);
	return name;
}

static void member_keep(const struct member *m)
{
	char name[FDSTORE_NAME];
	unsigned int i;

	if (!fdstore_there())
		return;
	for (i = 0; i < m->vectors; i++)
		fdstore_put(kept_member_name(name, m->link->config.name, m->place, i),
			    m->eventfds[i]);
	/* Last: with it the member is complete. */
	if (m->watch.fd >= 0)
		fdstore_put(kept_member_name(name, m->link->config.name, m->place, -1),
			    m->watch.fd);
}

static void member_unkeep(struct ivshmem_link *link, unsigned int place)
{
	char name[FDSTORE_NAME];
	int i;

	link->kept->members[place].settled = 0;
	for (i = -1; fdstore_there() && i < (int)link->config.vectors; i++)
		fdstore_remove(kept_member_name(name, link->config.name, place, i));
	link->kept->members[place].present = 0;
}

static void member_drop(struct member *m, const char *why)
{
	struct ivshmem_link *link = m->link;
	struct member *other = other_member(m);
	unsigned int place = m->place;
	int ret;

	if (m->dead)
		return;
	m->dead = true;
	log_line("serve: %s: guest with ID %u left: %s", link->config.name, m->id, why);
	link->members[place] = NULL;
	/* A next server finds it gone, whatever becomes of this one. */
	link->kept->members[place].settled = 0;
	if (!link->config.host) {
		bury_side(link, place);
	} else {
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
	/* Last: a next server says again what this one may not have come to say. */
	member_unkeep(link, place);
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
	if (*id_counter(link, place) > IVSHMEM_ID_MAX)
		return "all IDs were given out; restart the server and its guests";
	m = member_new(link, place);
	if (!m)
		return "cannot make its eventfds";
	m->watch.handle = handle_client;
	m->watch.fd = sock;
	/* From here on a next server would find it, or know it gone. */
	*kept_member(m) = (struct kept_member){ .id = m->id, .present = 1 };
	ret = watch_add(link->server, &m->watch);
	if (!ret)
		ret = tell_host(link, m);
	if (ret) {
		kept_member(m)->present = 0;
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
	member_keep(m);
	if (is_client(other)) {
		ret = announce(other, m);
		if (ret)
			member_drop(other, strerror(-ret));
	}
	/* Until here a next server finds it gone: both sides may not know it yet. */
	if (!m->dead)
		kept_member(m)->settled = !m->queue;
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

static void host_keep(struct ivshmem_link *link, const struct member *host)
{
	char name[FDSTORE_NAME];
	unsigned int number = 0;
	int fd;

	link->kept->members[0].id = host->id;
	if (!fdstore_there() || !link->config.host->kept)
		return;
	fd = link->config.host->kept(link->config.host_priv, &number);
	link->kept->host_link = number;
	member_keep(host);
	fdstore_put(kept_name(name, link->config.name, "host"), fd);
}

static int attach_host(struct ivshmem_link *link, struct status *st)
{
	struct member *host;
	int ret;

	if (!link->config.host)
		return 0;
	host = member_new(link, 0);
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
	host_keep(link, host);
	return 0;
}

/* A member as the server before left it, or NULL when part of it is missing. */
static struct member *member_restore(struct ivshmem_link *link, unsigned int place, bool client)
{
	struct member *m = calloc(1, sizeof(*m));
	char name[FDSTORE_NAME];
	int fd;

	if (!m)
		return NULL;
	member_init(m, link, place);
	m->id = link->kept->members[place].id;
	m->watch.handle = handle_client;
	while (m->vectors < link->config.vectors) {
		fd = fdstore_take(kept_member_name(name, link->config.name, place, m->vectors));
		if (fd < 0)
			break;
		m->eventfds[m->vectors++] = fd;
	}
	if (client)
		m->watch.fd = fdstore_take(kept_member_name(name, link->config.name, place, -1));
	if (m->vectors == link->config.vectors &&
	    (!client || (m->watch.fd >= 0 && link->kept->members[place].settled &&
			 !watch_add(link->server, &m->watch)))) {
		link->members[place] = m;
		return m;
	}
	member_close_files(m);
	free(m);
	return NULL;
}

static void client_restore(struct ivshmem_link *link, unsigned int place)
{
	if (link->kept->members[place].present && member_restore(link, place, true))
		log_line("serve: %s: guest with ID %u is still there", link->config.name,
			 link->kept->members[place].id);
}

/* A guest that came or went while nobody served it: who is there has to know. */
static void client_bury(struct ivshmem_link *link, unsigned int place)
{
	struct kept_member *k = &link->kept->members[place];
	struct member *other = link->members[!place];
	int ret;

	if (link->members[place] || !k->present)
		return;
	log_line("serve: %s: guest with ID %u left meanwhile", link->config.name, k->id);
	/* The kernel may never have heard of it, and says so. */
	if (link->config.host)
		link->config.host->peer_del(link->config.host_priv, k->id);
	else
		bury_side(link, place);
	if (is_client(other)) {
		ret = member_send(other, k->id, -1);
		if (ret)
			member_drop(other, strerror(-ret));
	}
	member_unkeep(link, place);
}

/* False: there is nothing that fits, the link is to be set up anew. */
static bool link_restore(struct ivshmem_link *link)
{
	const struct ivshmem_host_ops *host = link->config.host;
	char name[FDSTORE_NAME];
	struct kept *kept;
	unsigned int p;
	int fd;

	fd = fdstore_take(kept_name(name, link->config.name, "state"));
	if (fd < 0)
		return false;
	kept = mmap(NULL, sizeof(*kept), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (kept == MAP_FAILED)
		return false;
	link->kept = kept;
	link->config.vectors = kept->vectors;
	if (host) {
		fd = fdstore_take(kept_name(name, link->config.name, "host"));
		if (fd < 0 || !member_restore(link, 0, false)) {
			if (fd >= 0)
				close(fd);
			link->kept = NULL;
			munmap(kept, sizeof(*kept));
			return false;
		}
		host->adopt(link->config.host_priv, fd, kept->host_link);
	}
	for (p = host ? 1 : 0; p < IVSHMEM_MEMBERS_MAX; p++)
		client_restore(link, p);
	for (p = host ? 1 : 0; p < IVSHMEM_MEMBERS_MAX; p++)
		client_bury(link, p);
	return true;
}

static int link_set_up(struct ivshmem_link *link, struct status *st)
{
	char name[FDSTORE_NAME];
	int fd;

	if (link_restore(link))
		return 0;
	fdstore_forget(kept_name(name, link->config.name, ""));
	fd = memfd_create("ivring-state", MFD_CLOEXEC);
	if (fd >= 0 && !ftruncate(fd, sizeof(*link->kept)))
		link->kept = mmap(NULL, sizeof(*link->kept), PROT_READ | PROT_WRITE, MAP_SHARED,
				  fd, 0);
	if (fd < 0 || !link->kept || link->kept == MAP_FAILED) {
		link->kept = NULL;
		if (fd >= 0)
			close(fd);
		return status_errno(st, STATUS_FAIL, errno, "cannot make the link's state");
	}
	*link->kept = (struct kept){
		.magic = KEPT_MAGIC, .vectors = link->config.vectors,
		.host = !!link->config.host, .next_id = { 0, 1 },
	};
	if (fdstore_there()) {
		fdstore_put(kept_name(name, link->config.name, "memfd"), link->memfd);
		fdstore_put(kept_name(name, link->config.name, "state"), fd);
	}
	close(fd);
	return attach_host(link, st);
}

/* All is there that link_restore() needs; clients may be missing, and are then gone. */
static bool kept_is_whole(const char *link, bool with_host)
{
	char name[FDSTORE_NAME];
	struct kept kept;
	unsigned int i;

	if (fdstore_look(kept_name(name, link, "memfd")) < 0 ||
	    pread(fdstore_look(kept_name(name, link, "state")), &kept, sizeof(kept), 0) !=
	    sizeof(kept))
		return false;
	if (kept.magic != KEPT_MAGIC || kept.host != with_host || !kept.vectors ||
	    kept.vectors > IVSHMEM_VECTORS_MAX)
		return false;
	if (!with_host)
		return true;
	for (i = 0; i < kept.vectors; i++)
		if (fdstore_look(kept_member_name(name, link, 0, i)) < 0)
			return false;
	return fdstore_look(kept_name(name, link, "host")) >= 0;
}

int ivshmem_kept_memfd(const char *link, bool with_host)
{
	char name[FDSTORE_NAME];

	if (kept_is_whole(link, with_host))
		return fdstore_take(kept_name(name, link, "memfd"));
	/* Part of a link is of no use: somebody that nobody knows may use that memory. */
	fdstore_forget(kept_name(name, link, ""));
	return -1;
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
	if (link->kept)
		munmap(link->kept, sizeof(*link->kept));
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
	read_geometry(link);
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
	if (lock_name(link, st) || link_set_up(link, st) || listen_at(link, st))
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

unsigned int ivshmem_link_vectors(const struct ivshmem_link *link)
{
	return link->config.vectors;
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

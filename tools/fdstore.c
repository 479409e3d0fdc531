// SPDX-License-Identifier: GPL-2.0
#include "fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

/* SD_LISTEN_FDS_START of sd_listen_fds(3) */
#define FDS_START	3
#define FDS_MAX		65536

static struct kept_file {
	char name[FDSTORE_NAME];
	int fd;				/* -1: taken */
} *files;
static size_t file_count;
static struct sockaddr_un manager;
static socklen_t manager_len;

static void find_manager(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	if (len < 2 || len >= sizeof(manager.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	manager.sun_family = AF_UNIX;
	memcpy(manager.sun_path, path, len);
	/* An abstract name has no terminator. */
	if (path[0] == '@')
		manager.sun_path[0] = '\0';
	manager_len = offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/');
}

static void take_names(uint64_t count)
{
	const char *names = getenv("LISTEN_FDNAMES");
	size_t len;

	files = calloc(count, sizeof(*files));
	for (; files && file_count < count; file_count++) {
		struct kept_file *f = &files[file_count];

		f->fd = FDS_START + file_count;
		fcntl(f->fd, F_SETFD, FD_CLOEXEC);
		if (!names)
			continue;
		len = strcspn(names, ":");
		if (len < sizeof(f->name))
			memcpy(f->name, names, len);
		names = names[len] ? names + len + 1 : NULL;
	}
}

void fdstore_open(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	uint64_t number;

	find_manager();
	if (pid && parse_number(pid, INT32_MAX, &number) && number == (uint64_t)getpid() &&
	    count && parse_number(count, FDS_MAX, &number) && number)
		take_names(number);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

bool fdstore_there(void)
{
	return manager_len;
}

static void notify(const char *text, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)text, .iov_len = strlen(text) };
	struct msghdr msg = {
		.msg_name = &manager, .msg_namelen = manager_len, .msg_iov = &iov, .msg_iovlen = 1,
	};
	int sock;
	ssize_t n;

	if (!manager_len)
		return;
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	}
	do {
		n = sock < 0 ? -1 : sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		complain("cannot reach the service manager: %s", strerror(errno));
	if (sock >= 0)
		close(sock);
}

void fdstore_put(const char *name, int fd)
{
	char text[FDSTORE_NAME + 32];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
	notify(text, fd);
}

void fdstore_remove(const char *name)
{
	char text[FDSTORE_NAME + 32];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	notify(text, -1);
}

static struct kept_file *find_file(const char *name)
{
	size_t i;

	for (i = 0; i < file_count; i++)
		if (files[i].fd >= 0 && !strcmp(files[i].name, name))
			return &files[i];
	return NULL;
}

int fdstore_look(const char *name)
{
	struct kept_file *f = find_file(name);

	return f ? f->fd : -1;
}

int fdstore_take(const char *name)
{
	struct kept_file *f = find_file(name);
	int fd = f ? f->fd : -1;

	if (f)
		f->fd = -1;
	return fd;
}

void fdstore_forget(const char *prefix)
{
	size_t i;

	for (i = 0; i < file_count; i++) {
		if (strncmp(files[i].name, prefix, strlen(prefix)))
			continue;
		if (files[i].fd >= 0)
			close(files[i].fd);
		files[i].fd = -1;
		fdstore_remove(files[i].name);
	}
}

void fdstore_close(void)
{
	size_t i;

	for (i = 0; i < file_count; i++) {
		if (files[i].fd < 0)
			continue;
		close(files[i].fd);
		if (files[i].name[0])
			fdstore_remove(files[i].name);
	}
	free(files);
	files = NULL;
	file_count = 0;
}

void fdstore_notify(const char *state)
{
	notify(state, -1);
}

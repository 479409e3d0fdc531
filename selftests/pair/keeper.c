// SPDX-License-Identifier: GPL-2.0
/*
 * keeper CMD...: a service manager with a file descriptor store, as systemd is one
 * (sd_notify(3), sd_listen_fds(3)). CMD is started again whenever it ends, with
 * the files it left, until the keeper is told to end by SIGTERM. Says "started
 * PID" each time, and "kept N", with how many files, when it starts it again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* All of them twice below the usual limit of open files */
#define FILES_MAX	480

static struct {
	int fd;
	char name[256];
} files[FILES_MAX];
static int count;
static struct sockaddr_un addr = { .sun_family = AF_UNIX };
static volatile sig_atomic_t told_to_end;

static void end(int sig)
{
	told_to_end = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void drop(int i)
{
	close(files[i].fd);
	files[i] = files[--count];
}

/* What hung up is of no use to anybody. */
static void drop_dead(void)
{
	int i;

	for (i = count - 1; i >= 0; i--) {
		struct pollfd p = { .fd = files[i].fd };

		if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
			drop(i);
	}
}

static const char *line(const char *text, const char *key, char value[256])
{
	const char *p = strstr(text, key);

	if (!p)
		return NULL;
	p += strlen(key);
	snprintf(value, 256, "%.*s", (int)strcspn(p, "\n"), p);
	return value;
}

/* One message; false when there was none. */
static int listen_once(int sock)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	char text[4096], name[256];
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *cmsg;
	int i;

	if (n < 0)
		return 0;
	text[n] = '\0';
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!line(text, "FDNAME=", name))
		return 1;
	if (strstr(text, "FDSTORE=1") && cmsg && count < FILES_MAX) {
		memcpy(&files[count].fd, CMSG_DATA(cmsg), sizeof(int));
		strcpy(files[count++].name, name);
	}
	for (i = count - 1; strstr(text, "FDSTOREREMOVE=1") && i >= 0; i--)
		if (!strcmp(files[i].name, name))
			drop(i);
	return 1;
}

static void hand_over(void)
{
	static char names[FILES_MAX * 64];
	char number[32];
	int i, fd;

	/* Out of the way of the places they shall have */
	for (i = 0; i < count; i++) {
		files[i].fd = fcntl(files[i].fd, F_DUPFD_CLOEXEC, 3 + FILES_MAX);
		if (files[i].fd < 0)
			die("dup");
	}
	for (i = 0; i < count; i++) {
		fd = dup2(files[i].fd, 3 + i);
		if (fd < 0)
			die("dup2");
		if (strlen(names) + strlen(files[i].name) + 2 > sizeof(names))
			die("names");
		strcat(names, files[i].name);
		if (i < count - 1)
			strcat(names, ":");
	}
	snprintf(number, sizeof(number), "%d", getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%d", count);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	signal(SIGTERM, SIG_DFL);
	setenv("NOTIFY_SOCKET", addr.sun_path, 1);
	if (count)
		hand_over();
	execvp(argv[0], argv);
	die(argv[0]);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = end };
	int sock, status = 0;
	pid_t pid;

	if (argc < 2)
		return 2;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/keeper-%d", getpid());
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || bind(sock, (struct sockaddr *)&addr, sizeof(addr)))
		die("socket");
	/* No SA_RESTART: it is to end a wait. */
	sigaction(SIGTERM, &sa, NULL);
	setlinebuf(stdout);
	while (!told_to_end) {
		struct pollfd p = { .fd = sock, .events = POLLIN };

		drop_dead();
		printf("kept %d\n", count);
		pid = start(argv + 1);
		printf("started %d\n", pid);
		while (!told_to_end && !waitpid(pid, &status, WNOHANG))
			if (poll(&p, 1, 50) > 0)
				listen_once(sock);
		while (listen_once(sock))
			;
		if (told_to_end) {
			kill(pid, SIGTERM);
			waitpid(pid, &status, 0);
		}
	}
	unlink(addr.sun_path);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

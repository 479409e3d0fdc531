/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One process asleep in every call a channel has, to see what wakes them.
 */
#ifndef _IVRING_TEST_SLEEPERS_H
#define _IVRING_TEST_SLEEPERS_H

#include "indices.h"

static inline int sleeper_read(int fd)
{
	char c;

	return read(fd, &c, 1) < 0 ? -errno : 99;
}

static inline int sleeper_write(int fd, size_t len)
{
	char *buf = calloc(1, len);
	long n;

	/* A partial count first, then what happened. */
	n = write(fd, buf, len);
	if (n > 0)
		n = write(fd, buf, 1);
	return n < 0 ? -errno : 99;
}

/* As these two, from and into a file that is memory */
static inline int sleeper_file(int fd, unsigned long cmd, size_t len)
{
	int file = memfd_create("sleeper", MFD_CLOEXEC), ret;

	if (file < 0 || (cmd == IVRING_IOC_SEND_FILE && ftruncate(file, len)))
		return 98;
	ret = xfer(fd, cmd, file, 0, len, FOREVER, NULL);
	return ret < 0 ? ret : 99;
}

/* Who opened without O_EXCL may be told of that first. */
static inline bool take_fails(int fd, int error)
{
	int ret = ch_take(fd);

	return ret == error || ret == -EPERM;
}

/* What every call says once a conversation has come to a bad end. */
static inline bool all_fail(int fd, int error)
{
	struct ivring_span span;
	char c = 'x';

	return SYS(read(fd, &c, 1)) == error && SYS(write(fd, &c, 1)) == error &&
	       ch_reserve(fd, &span, 1, FOREVER) == error &&
	       ch_peek(fd, &span, 1, FOREVER) == error &&
	       ch_commit(fd, 0, 0) == error && ch_release(fd, 0, 0) == error &&
	       ch_wait(fd, IVRING_WAIT_CONNECTED, FOREVER) == error &&
	       ch_wait(fd, IVRING_WAIT_IN, FOREVER) == error &&
	       ch_readable(fd) == error && SYS(fsync(fd)) == error && ch_shutdown(fd) == error &&
	       ch_ring(fd) == error && take_fails(fd, error) &&
	       (ch_poll(fd, POLLIN | POLLOUT, 0) & POLLERR);
}

enum { SLEEPERS = 6 };

/*
 * Those who move data do so by read and write, or with @files by SEND_FILE and RECV_FILE.
 * False when one of them would not sleep.
 */
static inline bool sleepers_start(int fd, size_t ring, bool files, pid_t *pid)
{
	const long nr[SLEEPERS] = {
		files ? SYS_ioctl : SYS_write, files ? SYS_ioctl : SYS_read, SYS_ioctl,
		SYS_ioctl, SYS_poll, SYS_epoll_wait,
	};
	int i;

	for (i = 0; i < SLEEPERS; i++) {
		switch (i) {
		case 0:
			pid[i] = child_run(files ? sleeper_file(fd, IVRING_IOC_SEND_FILE, 2 * ring) :
					   sleeper_write(fd, 2 * ring));
			break;
		case 1:
			pid[i] = child_run(files ? sleeper_file(fd, IVRING_IOC_RECV_FILE, 1) :
					   sleeper_read(fd));
			break;
		case 2:
			pid[i] = child_run(ch_wait(fd, IVRING_WAIT_IN, FOREVER));
			break;
		case 3:
			pid[i] = child_run(ch_wait(fd, IVRING_WAIT_DRAINED, FOREVER));
			break;
		case 4:
			pid[i] = child_run((ch_poll(fd, POLLIN, -1) & (POLLERR | POLLHUP)) ==
					   (POLLERR | POLLHUP) ? 77 : 99);
			break;
		case 5:
			pid[i] = child_run(({
				struct epoll_event ev = { .events = EPOLLIN | EPOLLET }, got = {};
				int ep = epoll_create1(0);

				epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
				epoll_wait(ep, &got, 1, -1);
				got.events & EPOLLHUP ? 77 : 99; }));
			break;
		}
		if (!child_asleep(pid[i], nr[i]))
			return false;
	}
	return true;
}

/* All of them end with @error within @ms: the number that did. */
static inline int sleepers_end(const pid_t *pid, int error, int ms)
{
	int64_t end = now_ns() + MS(ms);
	int i, ok = 0, code;

	for (i = 0; i < SLEEPERS; i++) {
		code = child_end(pid[i], end > now_ns() ? (end - now_ns()) / 1000000 : 0);
		if (code == (i < 4 ? error : 77))
			ok++;
		else
			fprintf(stderr, "# sleeper %d: %d, expected %d\n", i, code, error);
	}
	return ok;
}

static inline void sleepers_kill(const pid_t *pid)
{
	int i;

	for (i = 0; i < SLEEPERS; i++) {
		kill(pid[i], SIGKILL);
		child_end(pid[i], PATIENCE_MS);
	}
}

#endif /* _IVRING_TEST_SLEEPERS_H */

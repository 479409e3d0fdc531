// SPDX-License-Identifier: GPL-2.0
/*
 * Channels that are sockets, for "memrun bench": with MEMRUN_BENCH, a directory where their
 * names are, a link called "vm0" has as many channels as there can be. Only reading and
 * writing works, which is all that bench does by its way "calls".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libivring.h"
#include "status.h"
#include "util.h"

#define WINDOW		(1u << 20)
#define CHANNELS	8
#define PATIENCE_NS	(10 * NSEC_PER_SEC)

int __real_open(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long cmd, ...);
int __real_ivring_link_find(const char *name, struct ivring_link_info *info, struct status *st);
int __wrap_open(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long cmd, ...);
int __wrap_ivring_link_find(const char *name, struct ivring_link_info *info, struct status *st);

static const char *sockets(void)
{
	return getenv("MEMRUN_BENCH");
}

static int be_server(const struct sockaddr_un *sun)
{
	int fd, listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(sun->sun_path);
	if (listener < 0 || bind(listener, (const void *)sun, sizeof(*sun)) || listen(listener, 1))
		return -1;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return fd;
}

/* As if the module woke it up when the other side is there. */
static int be_client(const struct sockaddr_un *sun)
{
	int64_t end = now_ns() + PATIENCE_NS;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	while (connect(fd, (const void *)sun, sizeof(*sun))) {
		if (now_ns() > end || stop_signal)
			return -1;
		usleep(1000);
	}
	return fd;
}

int __wrap_open(const char *path, int flags, ...)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	if (!sockets() || strncmp(path, "/dev/ivring", 11))
		return __real_open(path, flags, mode);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.60s/%.20s", sockets(), path + 5);
	return getenv("MEMRUN_SERVER") ? be_server(&sun) : be_client(&sun);
}

int __wrap_ioctl(int fd, unsigned long cmd, ...)
{
	struct ivring_channel_info *info;
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!sockets())
		return __real_ioctl(fd, cmd, arg);
	switch (cmd) {
	case IVRING_IOC_CHANNEL_INFO:
		info = arg;
		*info = (struct ivring_channel_info) { .ring_size = WINDOW, .window = WINDOW };
		return 0;
	case IVRING_IOC_WAIT:
	case IVRING_IOC_SET_OPTIONS:
		return 0;
	default:
		errno = ENOTTY;
		return -1;
	}
}

int __wrap_ivring_link_find(const char *name, struct ivring_link_info *info, struct status *st)
{
	if (!sockets() || strcmp(name, "vm0"))
		return __real_ivring_link_find(name, info, st);
	*info = (struct ivring_link_info) {
		.channels = CHANNELS, .ring_size = WINDOW, .memory_type = IVRING_MEMORY_WB, .label = "vm0",
	};
	return 0;
}

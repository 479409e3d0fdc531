// SPDX-License-Identifier: GPL-2.0
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/ivring.h>

#include "libivring.h"
#include "util.h"

#define OTHER_RELEASE	"are ivring and ivring_host of the same release?"

/* In the order of <linux/ivring.h>. */
static const struct attach_error {
	int err;
	enum status_code code;
	const char *text;
} attach_errors[] = {
	{ EPERM, STATUS_ACCESS, "CAP_SYS_ADMIN is missing: run `ivring serve` as root" },
	{ EACCES, STATUS_ACCESS, "it may not write to the memory: " OTHER_RELEASE },
	{ EBUSY, STATUS_FAIL, "the memory has a link already: end the other server first" },
	{ EBADF, STATUS_FAIL, "a file it was given is not open: " OTHER_RELEASE },
	{ EINVAL, STATUS_FAIL, "it does not take these arguments: " OTHER_RELEASE },
	{ EMEDIUMTYPE, STATUS_FAIL, "it does not take the memory for a memfd: " OTHER_RELEASE },
	{ ETXTBSY, STATUS_FAIL, "it finds the memory not sealed: " OTHER_RELEASE },
	{ EFBIG, STATUS_USAGE, "it does not take this size: choose another --size" },
	{ EBADMSG, STATUS_FAIL, "it finds no superblock in the memory: " OTHER_RELEASE },
	{ EPROTONOSUPPORT, STATUS_VERSION, "it does not know this version of the memory's "
	  "layout: update the older of ivring and ivring_host" },
	{ ENOTUNIQ, STATUS_USAGE, "it does not take this geometry: choose another --size, "
	  "--channels or --ring-size" },
	{ ENOMEM, STATUS_NO_SPACE, "not enough memory, or over RLIMIT_MEMLOCK: raise that "
	  "(`ulimit -l`, LimitMEMLOCK=), or choose a smaller --size" },
	{ ENOSPC, STATUS_FAIL, "no link number is free: end other servers first" },
	{ EFAULT, STATUS_FAIL, "it cannot read the request: " OTHER_RELEASE },
	{ ESTALE, STATUS_FAIL, "somebody punched a hole into the memory meanwhile" },
	{ EINTR, STATUS_INTERRUPTED, "a signal came first" },
	/* Of ioctl(2) itself. */
	{ ENOTTY, STATUS_VERSION, "it does not know the request: update the older of ivring and "
	  "ivring_host" },
};

int host_open_failed(int err, struct status *st)
{
	if (err == ENOENT || err == ENXIO || err == ENODEV)
		return status_set(st, STATUS_NO_LINK, "there is no " IVRING_HOST_NODE ": load "
				  "ivring_host (modprobe ivring_host), or use --no-host");
	return status_errno(st, status_access(err, STATUS_FAIL), err,
			    "cannot open " IVRING_HOST_NODE "%s",
			    status_access(err, STATUS_FAIL) == STATUS_ACCESS ?
			    " (run `ivring serve` as root)" : "");
}

int host_attach_failed(int err, struct status *st)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attach_errors); i++)
		if (attach_errors[i].err == err)
			return status_set(st, attach_errors[i].code,
					  "cannot attach the host's kernel: %s (%s)",
					  attach_errors[i].text, strerror(err));
	return status_errno(st, STATUS_FAIL, err, "cannot attach the host's kernel");
}

static int host_attach(void *priv, int memfd, unsigned int id, const int *eventfds,
		       unsigned int vectors, struct status *st)
{
	struct ivring_host_attach arg = {
		.memfd = memfd,
		.id = id,
		.vectors = vectors,
		.eventfds = (uintptr_t)eventfds,
	};
	struct host *host = priv;
	int ret;

	host->fd = open(IVRING_HOST_NODE, O_RDWR | O_CLOEXEC);
	if (host->fd < 0)
		return host_open_failed(errno, st);
	if (ioctl(host->fd, IVRING_HOST_IOC_ATTACH, &arg)) {
		ret = host_attach_failed(errno, st);
		close(host->fd);
		host->fd = -1;
		return ret;
	}
	host->link = arg.link;
	return 0;
}

static int host_kept(void *priv, unsigned int *link)
{
	struct host *host = priv;

	*link = host->link;
	return host->fd;
}

static void host_adopt(void *priv, int fd, unsigned int link)
{
	struct host *host = priv;

	host->fd = fd;
	host->link = link;
}

static int host_peer_add(void *priv, unsigned int id, const int *eventfds, unsigned int vectors)
{
	struct ivring_host_peer arg = {
		.id = id,
		.vectors = vectors,
		.eventfds = (uintptr_t)eventfds,
	};
	struct host *host = priv;

	return ioctl(host->fd, IVRING_HOST_IOC_PEER_ADD, &arg) ? -errno : 0;
}

static int host_peer_del(void *priv, unsigned int id)
{
	struct ivring_host_peer arg = { .id = id };
	struct host *host = priv;

	return ioctl(host->fd, IVRING_HOST_IOC_PEER_DEL, &arg) ? -errno : 0;
}

const struct ivshmem_host_ops host_link_ops = {
	.attach = host_attach,
	.kept = host_kept,
	.adopt = host_adopt,
	.peer_add = host_peer_add,
	.peer_del = host_peer_del,
};

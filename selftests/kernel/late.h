/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory whose pages come when the test wants, or never.
 */
#ifndef _IVRING_TEST_LATE_H
#define _IVRING_TEST_LATE_H

#include "util.h"
#include <linux/userfaultfd.h>

struct late {
	int fd;
	uint8_t *map;
	size_t size;
};

/* 0, or -errno: -ENOSYS where the kernel has no userfaultfd(2). In the process that uses it. */
static inline int late_map(struct late *l, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	l->size = size;
	l->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (l->map == MAP_FAILED)
		return -errno;
	l->fd = SYS(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
	if (l->fd < 0)
		return l->fd;
	reg.range.start = (uintptr_t)l->map;
	reg.range.len = size;
	return SYS(ioctl(l->fd, UFFDIO_API, &api)) ?: SYS(ioctl(l->fd, UFFDIO_REGISTER, &reg));
}

static inline bool late_supported(void)
{
	struct late l = { .fd = -1 };
	int ret = late_map(&l, 4096);

	if (l.fd >= 0)
		close(l.fd);
	munmap(l.map, l.size);
	return !ret;
}

/* Give it the page somebody waits for, with what belongs there: 0, or -errno. */
static inline int late_serve(struct late *l, const uint8_t *content)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	struct uffd_msg msg;
	struct uffdio_copy copy;
	size_t off;

	if (poll(&p, 1, PATIENCE_MS) != 1)
		return -ETIMEDOUT;
	if (SYS(read(l->fd, &msg, sizeof(msg))) != sizeof(msg))
		return -EIO;
	off = (msg.arg.pagefault.address & ~4095ULL) - (uintptr_t)l->map;
	copy = (struct uffdio_copy) {
		.dst = (uintptr_t)l->map + off, .src = (uintptr_t)content + off, .len = 4096,
	};
	return SYS(ioctl(l->fd, UFFDIO_COPY, &copy));
}

#endif /* _IVRING_TEST_LATE_H */

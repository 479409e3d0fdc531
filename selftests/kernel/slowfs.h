/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file on a file system that never answers: FUSE, and a program of ours behind it. It
 * opens, has a size, and whoever reads or writes waits. Or one that answers reads: with
 * zeros, and from some place on with EIO.
 */
#ifndef _IVRING_TEST_SLOWFS_H
#define _IVRING_TEST_SLOWFS_H

#include "util.h"
#include <linux/fuse.h>
#include <sys/mount.h>

#define SLOWFS_SIZE	(1 << 20)

struct slowfs {
	char path[64];
	int fuse;
	int file;
	pid_t server;
};

static inline int slowfs_reply(int fuse, uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header head = { sizeof(head) + len, error, unique };
	struct iovec v[2] = { { &head, sizeof(head) }, { (void *)data, len } };

	return SYS(writev(fuse, v, 2)) == (long)head.len ? 0 : -EIO;
}

/* The kernel may ask for more than anybody reads, and then for less. */
static inline int slowfs_answer_read(int fuse, const struct fuse_in_header *in, long good)
{
	const struct fuse_read_in *read_in = (const void *)(in + 1);
	static char zeros[1 << 17];

	if (good < 0)
		return 0;
	if (read_in->size > sizeof(zeros) || read_in->offset + read_in->size > good)
		return slowfs_reply(fuse, in->unique, -EIO, NULL, 0);
	return slowfs_reply(fuse, in->unique, 0, zeros, read_in->size);
}

static inline int slowfs_answer(int fuse, const struct fuse_in_header *in, long good)
{
	const struct fuse_init_in *init = (const void *)(in + 1);
	struct fuse_init_out init_out = { .major = 7, .max_write = 65536 };
	struct fuse_attr_out attr = { .attr_valid = 3600 };
	struct fuse_open_out open_out = { 0 };

	switch (in->opcode) {
	case FUSE_INIT:
		init_out.minor = init->minor;
		return slowfs_reply(fuse, in->unique, 0, &init_out, sizeof(init_out));
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		attr.attr.ino = 1;
		attr.attr.mode = S_IFREG | 0600;
		attr.attr.nlink = 1;
		attr.attr.size = SLOWFS_SIZE;
		return slowfs_reply(fuse, in->unique, 0, &attr, sizeof(attr));
	case FUSE_OPEN:
		return slowfs_reply(fuse, in->unique, 0, &open_out, sizeof(open_out));
	case FUSE_FLUSH:
		return slowfs_reply(fuse, in->unique, 0, NULL, 0);
	case FUSE_READ:
		return slowfs_answer_read(fuse, in, good);
	case FUSE_WRITE:
	case FUSE_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_RELEASE:
		return 0;
	default:
		return slowfs_reply(fuse, in->unique, -ENOSYS, NULL, 0);
	}
}

static inline int slowfs_serve(int fuse, long good)
{
	static _Alignas(8) char buf[1 << 18];
	long n;

	while ((n = SYS(read(fuse, buf, sizeof(buf)))) > 0)
		slowfs_answer(fuse, (const void *)buf, good);
	return n;
}

/* Whoever waits gets an error. */
static inline void slowfs_end(struct slowfs *s)
{
	umount2(s->path, MNT_FORCE);
	if (s->server > 0)
		kill(s->server, SIGKILL);
	if (s->file >= 0)
		close(s->file);
	if (s->fuse >= 0)
		close(s->fuse);
	umount2(s->path, MNT_DETACH);
	unlink(s->path);
	if (s->server > 0)
		child_end(s->server, PATIENCE_MS);
}

/*
 * @good: bytes that can be read, whole pages; or -1 for one that never answers.
 * 0, or -errno: -ENODEV where the kernel has no FUSE.
 */
static inline int slowfs_begin_bad(struct slowfs *s, long good)
{
	char options[96];
	struct stat st;
	int ret;

	*s = (struct slowfs) { .path = "/tmp/ivring-slow.XXXXXX", .fuse = -1, .file = -1 };
	close(mkstemp(s->path));
	/* What loads it, if it is a module. */
	if (system("modprobe -q fuse 2>/dev/null"))
		errno = 0;
	s->fuse = SYS(open("/dev/fuse", O_RDWR | O_CLOEXEC));
	if (s->fuse < 0) {
		unlink(s->path);
		return -ENODEV;
	}
	snprintf(options, sizeof(options), "fd=%d,rootmode=100600,user_id=0,group_id=0", s->fuse);
	ret = SYS(mount("slow", s->path, "fuse", 0, options));
	if (!ret) {
		s->server = child_run(slowfs_serve(s->fuse, good));
		s->file = ret = SYS(open(s->path, O_RDWR | O_CLOEXEC));
		/* The kernel takes a size for granted while somebody writes: have it know this one. */
		if (ret >= 0)
			ret = SYS(fstat(s->file, &st));
	}
	if (ret < 0)
		slowfs_end(s);
	return ret < 0 ? ret : 0;
}

static inline int slowfs_begin(struct slowfs *s)
{
	return slowfs_begin_bad(s, -1);
}

#endif /* _IVRING_TEST_SLOWFS_H */

// SPDX-License-Identifier: GPL-2.0
/* What is there of a file from before: nothing of it is believed, all of it is hashed. */
#include "receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash-file.h"
#include "util.h"

/* How far it is from one place to the next at which both sides compare hashes. */
#define HAVE_STEP	(4U << 20)
#define COPY_SIZE	(256U << 10)

/* An earlier attempt's file, or the one that is to be replaced; its length. */
static uint64_t find_old(struct receiver *r)
{
	struct stat stat;

	if (r->temp.partial && !fstat(r->temp.fd, &stat) && stat.st_size) {
		r->old = r->temp.fd;
		return stat.st_size;
	}
	/* Who may not read it, or finds something else, has nothing. */
	r->basis = openat(r->temp.dirfd, r->e.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
			  O_CLOEXEC);
	r->old = r->basis;
	if (r->basis >= 0 && !fstat(r->basis, &stat) && S_ISREG(stat.st_mode))
		return stat.st_size;
	return 0;
}

static int say_have(struct receiver *r, uint64_t offset, bool last, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { offset, offset ? hash_so_far(&r->hash, &r->spare) : 0, last };

	/* The sender reads its own file meanwhile. */
	return conv_send(r->c, FRAME_HAVE, arg, st);
}

int resume_offer(struct receiver *r, bool open, struct status *st)
{
	uint64_t len = open && !r->blind ? min_u64(find_old(r), r->e.size) : 0, next;
	int ret;

	r->offered = true;
	r->have = 0;
	while (r->have < len) {
		next = min_u64(r->have + HAVE_STEP, len);
		if (hash_copy(&r->before, &r->hash))
			return status_set(st, STATUS_FAIL, "out of memory");
		ret = hash_file(&r->hash, r->old, r->have, next);
		if (ret == -EINTR)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		/* What cannot be read is not there. */
		if (ret)
			break;
		r->before_pos = r->have;
		r->have = next;
		ret = say_have(r, next, false, st);
		if (ret)
			return ret;
	}
	return say_have(r, 0, true, st);
}

/* The start of what is to be replaced becomes the start of the new file. */
static int copy_basis(struct receiver *r, uint64_t len, struct status *st)
{
	static _Thread_local uint8_t buf[COPY_SIZE];
	loff_t from = 0, to = 0;
	ssize_t n;

	while ((uint64_t)from < len) {
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		n = copy_file_range(r->basis, &from, r->temp.fd, &to,
				    min_u64(len - from, 64U << 20), 0);
		if (n > 0)
			continue;
		/* Between some file systems that does not go. */
		n = pread(r->basis, buf, min_u64(sizeof(buf), len - from), from);
		if (n > 0)
			n = pwrite(r->temp.fd, buf, n, to);
		if (n <= 0)
			return recv_write_failed(r, n ? errno : ESTALE, st);
		from += n;
		to += n;
	}
	return 0;
}

static int hash_again(struct receiver *r, uint64_t offset, struct status *st)
{
	int ret;

	if (offset == r->have)
		return 0;
	if (offset && offset == r->before_pos)
		ret = hash_copy(&r->hash, &r->before);
	else
		ret = hash_init(&r->hash, r->e.hash_kind);
	if (ret)
		return status_set(st, STATUS_FAIL, "out of memory");
	if (!offset || offset == r->before_pos)
		return 0;
	return recv_hash_file(r, r->old, 0, offset, st);
}

int resume_from(struct receiver *r, uint64_t offset, struct status *st)
{
	int ret;

	r->offered = false;
	if (offset > r->have || (offset != r->have && offset % HAVE_STEP))
		return status_set(st, STATUS_PROTOCOL, "content goes on where nothing was offered");
	ret = hash_again(r, offset, st);
	if (ret)
		return ret;
	r->pos = offset;
	if (r->temp.partial && ftruncate(r->temp.fd, r->old == r->temp.fd ? offset : 0))
		return recv_write_failed(r, errno, st);
	r->complete = r->basis >= 0 && offset == r->e.size && offset;
	if (offset && r->basis >= 0 && !r->complete && copy_basis(r, offset, st))
		return -st->code;
	if (offset) {
		watcher_kept(r->watcher, offset);
		watcher_moved(r->watcher, r->path, offset);
	}
	recv_io_begin(r);
	r->dropped = r->dropping = offset;
	return 0;
}

void resume_end(struct receiver *r)
{
	if (r->basis >= 0)
		close(r->basis);
	r->basis = -1;
	r->complete = r->offered = false;
}

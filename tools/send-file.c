// SPDX-License-Identifier: GPL-2.0
#include "sender.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "attr.h"
#include "hash-file.h"
#include "util.h"

/* How often a small file that changes under the reader's hands is read again. */
#define CHANGED_TRIES	3

/* A file's content on its way. */
struct content {
	struct sender *s;
	int fd;
	uint64_t size;
	uint64_t pos;
	bool announced;			/* its ENTRY is out */
	bool delta;			/* is wanted */
	bool again;			/* each frame is hashed by itself */
	bool source_failed;		/* a failure is the file's, not the link's */
};

static int source_failed(struct content *in, enum status_code code, int err, const char *what,
			 struct status *st)
{
	in->source_failed = true;
	return err ? status_errno(st, code, err, "%s", what) : status_set(st, code, "%s", what);
}

static int file_changed(struct content *in, struct status *st)
{
	return source_failed(in, STATUS_CHANGED, 0, "file changed while it was read", st);
}

/* Past the page cache, where the file system and the place allow it. */
static void set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && !(flags & O_DIRECT) == on)
		fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT);
}

/*
 * Fills @buf from the file at @pos. A direct read is of whole pages, but for the file's
 * end: then @buf has whole pages, too.
 */
static int read_fully(struct content *in, uint8_t *buf, uint64_t len, uint64_t pos,
		      struct status *st)
{
	bool direct = in->s->o->flags & REQUEST_F_DIRECT;
	uint64_t done = 0;
	ssize_t n;

	while (done < len) {
		n = ring_pread(in->fd, buf + done, direct ? (len + 4095) / 4096 * 4096 - done :
			       len - done, pos + done);
		if (n < 0 && errno == EINVAL && direct) {
			set_direct(in->fd, false);
			direct = false;
			continue;
		}
		if (!n)
			return file_changed(in, st);
		if (n < 0 && errno != EINTR)
			return source_failed(in, STATUS_IO, errno, "cannot read the source", st);
		if (n > 0)
			done += n;
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
	}
	return 0;
}

/* Fills @buf, which is part of the ring, from the file at the current position. */
static int read_hashed(struct content *in, uint8_t *buf, uint64_t len, struct status *st)
{
	struct sender *s = in->s;
	uint64_t done, part;
	uint8_t *block;
	int ret;

	/* Nobody would notice damage; and to the ring there are no direct reads. */
	if (s->hash.kind == HASH_NONE && !(s->o->flags & REQUEST_F_DIRECT))
		return read_fully(in, buf, len, in->pos, st);
	block = send_block(s);
	if (!block)
		return status_set(st, STATUS_FAIL, "out of memory");
	for (done = 0; done < len; done += part) {
		part = min_u64(len - done, SEND_BLOCK);
		ret = read_fully(in, block, part, in->pos + done, st);
		if (ret)
			return ret;
		hash_data(&s->hash, block, part);
		memcpy(buf + done, block, part);
	}
	return 0;
}

static int send_data(struct content *in, uint64_t end, struct status *st)
{
	struct sender *s = in->s;
	uint64_t arg[FRAME_ARGS] = { 0 }, room;
	void *buf;
	int ret;

	while (in->pos < end) {
		ret = conv_place_begin(s->c, min_u64(s->chunk, end - in->pos), &buf, &room, st);
		if (ret)
			return ret;
		if (in->again && hash_init(&s->hash, HASH_XXH64))
			return status_set(st, STATUS_FAIL, "out of memory");
		ret = read_hashed(in, buf, room, st);
		if (ret)
			return ret;
		arg[0] = in->pos;
		arg[1] = hash_so_far(&s->hash, &s->spare);
		ret = conv_place_end(s->c, FRAME_DATA, arg, room, st);
		if (ret)
			return ret;
		in->pos += room;
		watcher_moved(s->watcher, s->path, room);
		if (s->o->flags & REQUEST_F_DROP_CACHE)
			posix_fadvise(in->fd, arg[0], room, POSIX_FADV_DONTNEED);
		ret = send_pace(s, room, st);
		if (ret)
			return ret;
	}
	return 0;
}

static int send_hole(struct content *in, uint64_t end, struct status *st)
{
	struct sender *s = in->s;
	uint64_t arg[FRAME_ARGS] = { 0 };
	int ret;

	while (in->pos < end) {
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		arg[0] = in->pos;
		arg[1] = min_u64(end - in->pos, PROTO_HOLE_MAX);
		ret = conv_put(s->c, FRAME_HOLE, arg, NULL, 0, st);
		if (ret)
			return ret;
		hash_zeros(&s->hash, arg[1]);
		in->pos += arg[1];
		watcher_moved(s->watcher, s->path, arg[1]);
	}
	return 0;
}

static int send_extents(struct content *in, struct status *st)
{
	off_t data, hole;
	int ret = 0;

	while (!ret && in->pos < in->size) {
		hole = in->size;
		data = lseek(in->fd, in->pos, SEEK_DATA);
		if (data < 0 && errno == ENXIO) {
			data = in->size;
		} else if (data < 0) {
			/* A file system that cannot tell: all is data. */
			data = in->pos;
		} else {
			hole = lseek(in->fd, data, SEEK_HOLE);
			if (hole <= data)
				hole = in->size;
		}
		data = min_u64(data, in->size);
		hole = min_u64(hole, in->size);
		ret = send_hole(in, data, st);
		if (!ret && data < (off_t)in->size)
			ret = send_data(in, hole, st);
	}
	return ret;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_same_state(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

static int check_unchanged(struct content *in, const struct stat *before, struct status *st)
{
	struct stat after;

	if (fstat(in->fd, &after))
		return source_failed(in, STATUS_IO, errno, "cannot look at the source", st);
	if (!is_same_state(&after, before))
		return file_changed(in, st);
	return 0;
}

/* All of a file in one frame, the content read to its very place. */
static int send_inline(struct content *in, const struct stat *stat, struct status *st)
{
	struct sender *s = in->s;
	size_t head = entry_size(&s->e);
	uint8_t *payload;
	uint64_t room;
	int ret;

	ret = conv_place_begin(s->c, head + in->size, (void **)&payload, &room, st);
	if (!ret && in->size)
		ret = read_hashed(in, payload + head, in->size, st);
	if (!ret)
		ret = check_unchanged(in, stat, st);
	if (ret)
		return ret;
	hash_final(&s->hash, s->e.digest);
	s->e.flags = ENTRY_F_INLINE;
	entry_encode(&s->e, payload);
	ret = conv_place_end(s->c, FRAME_ENTRY, NULL, head + in->size, st);
	if (ret)
		return ret;
	watcher_moved(s->watcher, s->path, in->size);
	return send_pace(s, in->size, st);
}

/* Up to a place that the receiver's file has, too. True when that is the same. */
static bool compare(struct content *in, const struct frame *f, struct status *st)
{
	struct sender *s = in->s;
	int ret;

	if (f->arg[0] <= in->pos || f->arg[0] > in->size)
		return false;
	ret = hash_file(&s->hash, in->fd, in->pos, f->arg[0]);
	if (ret == -EINTR)
		status_set(st, STATUS_INTERRUPTED, "interrupted");
	else if (ret == -ESTALE)
		file_changed(in, st);
	else if (ret)
		source_failed(in, STATUS_IO, -ret, "cannot read the source", st);
	if (ret || hash_so_far(&s->hash, &s->spare) != f->arg[1] || hash_copy(&s->kept, &s->hash))
		return false;
	in->pos = f->arg[0];
	return true;
}

/* The receiver tells what it has; the content goes on behind what is right of that. */
static int resume(struct content *in, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { 0 };
	struct sender *s = in->s;
	struct status why = { 0 };
	bool same = true;
	struct frame f;
	int ret;

	if (hash_copy(&s->kept, &s->hash))
		return status_set(st, STATUS_FAIL, "out of memory");
	do {
		ret = send_hear(s, &f, st);
		if (ret)
			return ret;
		if (f.type != FRAME_HAVE)
			return status_set(st, STATUS_PROTOCOL, "frame %u came where %u was due",
					  f.type, FRAME_HAVE);
		/* All of it is heard, even if it is of no use any more. */
		same = same && compare(in, &f, &why);
	} while (!f.arg[2]);
	if (why.code) {
		*st = why;
		return -why.code;
	}
	if (hash_copy(&s->hash, &s->kept))
		return status_set(st, STATUS_FAIL, "out of memory");
	arg[0] = in->pos;
	if (in->pos) {
		watcher_kept(s->watcher, in->pos);
		watcher_moved(s->watcher, s->path, in->pos);
	}
	return conv_put(s->c, FRAME_FROM, arg, NULL, 0, st);
}

static int send_frames(struct content *in, const struct stat *stat, struct status *st)
{
	struct sender *s = in->s;
	bool none = !in->delta;
	int ret;

	if (in->delta)
		s->e.flags |= ENTRY_F_DELTA;
	else if (s->o->flags & REQUEST_F_RESUME && s->e.hash_kind != HASH_NONE)
		s->e.flags |= ENTRY_F_RESUME;
	in->announced = true;
	ret = entry_send(s->c, &s->e, st);
	if (!ret && s->e.flags & ENTRY_F_RESUME)
		ret = resume(in, st);
	if (ret)
		return ret;
	if (s->o->flags & REQUEST_F_DIRECT)
		set_direct(in->fd, true);
	else
		posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (in->delta)
		ret = send_delta(s, in->fd, in->size, &none, &in->source_failed, st);
	/* Asking for holes costs calls; a file without any is known by its blocks. */
	if (!none)
		;
	else if (s->e.data_bytes < in->size)
		ret = send_extents(in, st);
	else
		ret = send_data(in, in->size, st);
	if (!ret)
		ret = check_unchanged(in, stat, st);
	return ret ? ret : send_end(s, in->size, st);
}

/* Prepares the entry for a file whose stat is fresh. */
static int describe_file(struct content *in, const struct stat *stat, struct status *st)
{
	struct sender *s = in->s;
	int ret;

	entry_describe(&s->e, stat);
	s->e.flags = 0;
	s->e.target[0] = '\0';
	s->e.hash_kind = hash_choose(s->o->hash, s->e.size, s->e.data_bytes);
	in->size = s->e.size;
	ret = attr_collect(&s->e, in->fd, s->o->keep, st);
	if (ret) {
		in->source_failed = true;
		return ret;
	}
	return hash_init(&s->hash, s->e.hash_kind) ?
	       status_set(st, STATUS_FAIL, "out of memory") : 0;
}

static bool fits_inline(const struct sender *s)
{
	return s->e.data_bytes == s->e.size &&
	       s->e.size <= min_u64(s->chunk, conv_room_max(s->c)) &&
	       entry_size(&s->e) + s->e.size <= conv_room_max(s->c);
}

int send_link(struct sender *s, const struct stat *stat, const struct links_file *target,
	      struct status *st)
{
	entry_describe(&s->e, stat);
	attr_collect(&s->e, -1, 0, st);
	s->e.flags = ENTRY_F_LINK;
	s->e.hash_kind = target->hash_kind;
	memcpy(s->e.digest, target->digest, sizeof(s->e.digest));
	strcpy(s->e.target, target->path);
	return send_entry(s, st);
}

/* One attempt. */
static int send_content(struct content *in, const struct stat *stat, struct status *st)
{
	bool delta = in->delta;
	int ret;

	in->source_failed = false;
	in->announced = false;
	in->pos = 0;
	ret = describe_file(in, stat, st);
	if (ret)
		return ret;
	if (in->s->o->flags & REQUEST_F_DRY_RUN) {
		in->s->e.flags = ENTRY_F_BARE;
		in->s->e.hash_kind = HASH_NONE;
		return entry_send(in->s->c, &in->s->e, st);
	}
	in->delta = delta && in->size >= SYNC_DELTA_MIN && in->s->e.hash_kind != HASH_NONE;
	return !in->delta && fits_inline(in->s) ? send_inline(in, stat, st) :
	       send_frames(in, stat, st);
}

/* *@sent: it is out; else what came instead is. */
static int send_file(struct sender *s, int fd, struct stat *stat, bool delta, bool *sent,
		     struct status *st)
{
	struct content in = { .s = s, .fd = fd };
	struct status why;
	int ret, tries;

	*sent = false;
	if (s->expected && !is_same_state(s->expected, stat)) {
		status_set(&why, STATUS_CHANGED, "file changed before it was read");
		return send_skip(s, &why, st);
	}
	for (tries = s->expected ? CHANGED_TRIES : 1; ; tries++) {
		in.delta = delta;
		ret = send_content(&in, stat, &why);
		if (ret != -STATUS_CHANGED || tries == CHANGED_TRIES || in.announced ||
		    fstat(fd, stat))
			break;
	}
	*sent = !ret;
	if (ret && in.source_failed)
		return send_skip(s, &why, st);
	if (ret)
		*st = why;
	return ret;
}

/* @s->path and the entry's name are set. */
int send_regular(struct sender *s, int fd, struct stat *stat, struct status *st)
{
	const struct links_file *target;
	struct links_file *link = NULL;
	bool sent;
	int ret;

	target = stat->st_nlink > 1 ? links_find(&s->links, stat->st_dev, stat->st_ino) : NULL;
	/* What it is a link of may be about to be replaced. */
	if (target && s->sync && !(s->o->flags & REQUEST_F_DRY_RUN))
		return send_later(s, stat) ? 0 : status_set(st, STATUS_FAIL, "out of memory");
	if (target)
		return send_link(s, stat, target, st);
	if (s->sync)
		return sync_ask_file(s, fd, stat, st);
	ret = send_file(s, fd, stat, false, &sent, st);
	if (!sent)
		return ret;
	if (stat->st_nlink > 1)
		link = links_add(&s->links, stat->st_dev, stat->st_ino, s->path);
	if (link) {
		link->hash_kind = s->e.hash_kind;
		memcpy(link->digest, s->e.digest, sizeof(link->digest));
	}
	send_done(s);
	return 0;
}

int send_wanted(struct sender *s, int fd, struct stat *stat, bool delta, struct status *st)
{
	bool sent;
	int ret = send_file(s, fd, stat, delta, &sent, st);

	if (sent)
		send_done(s);
	return ret;
}

int send_range(struct sender *s, int fd, uint64_t from, uint64_t to, struct status *st)
{
	struct content in = { .s = s, .fd = fd, .size = to, .pos = from, .again = true };
	struct status why;
	int ret;

	ret = send_data(&in, to, &why);
	if (ret && in.source_failed)
		return conv_put_status(s->c, FRAME_SKIP, &why, s->number, st);
	if (ret)
		*st = why;
	return ret;
}

// SPDX-License-Identifier: GPL-2.0
#include "receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "attr.h"
#include "hash-file.h"
#include "repair.h"
#include "util.h"

/* The free space is looked at again before files of this size. */
#define SPACE_CHECK_SIZE	(1U << 20)
/* How much is hashed between two looks at the peer. */
#define HASH_STEP		(1ULL << 30)

/* The next @len bytes begin at @offset: no gap, no overlap, not past the end. */
static int check_extent(struct receiver *r, uint64_t offset, uint64_t len, struct status *st)
{
	uint64_t end = r->e.flags & ENTRY_F_STREAM ? INT64_MAX : r->e.size;

	if (offset != r->pos || !len || len > end - r->pos)
		return status_set(st, STATUS_PROTOCOL, "content came out of place");
	return 0;
}

static int take_hole(struct receiver *r, const struct frame *f, struct status *st)
{
	if (f->arg[1] > PROTO_HOLE_MAX)
		return status_set(st, STATUS_PROTOCOL, "a hole is longer than a frame may tell");
	if (!r->damaged)
		hash_zeros(&r->hash, f->arg[1]);
	watcher_moved(r->watcher, r->path, f->arg[1]);
	if (r->sink >= 0)
		return recv_zeros(r, f->arg[1], st);
	if (recv_io_flush(r, st))
		return -st->code;
	r->pos += f->arg[1];
	r->hole_last = true;
	return 0;
}

/* A block came whole, or is noted as one to ask for again. */
static int check_block(struct receiver *r, uint64_t start, uint64_t so_far, struct status *st)
{
	if (r->e.hash_kind == HASH_NONE)
		return 0;
	if (!r->damaged) {
		if (hash_so_far(&r->hash, &r->spare) == so_far)
			return 0;
		/* What was read from a pipe cannot be had again, nor written to one. */
		if (r->sink < 0 && !(r->e.flags & ENTRY_F_STREAM))
			r->damaged = repair_start(r, &r->before, start);
		if (!r->damaged)
			return recv_digest_differs(st);
		/* From now on, all is as it would be without direct writes. */
		if (recv_io_end(r, st))
			return -st->code;
	}
	return repair_note(r->damaged, start, r->pos - start, so_far) ? 0 :
	       status_set(st, STATUS_FAIL, "out of memory");
}

static int take_block(struct receiver *r, const struct frame *f, struct status *st)
{
	uint64_t start = r->pos;
	int ret;

	if (!r->damaged && hash_copy(&r->before, &r->hash))
		return status_set(st, STATUS_FAIL, "out of memory");
	ret = recv_data(r, f->len, st);
	r->hole_last = false;
	return ret ? ret : check_block(r, start, f->arg[1], st);
}

/*
 * A file's content, up to END or SKIP, is taken or, once *@why says so, only passed
 * over. @f is END then, or SKIP.
 */
static int take_content(struct receiver *r, struct frame *f, struct status *why,
			struct status *st)
{
	uint64_t len;
	int ret;

	for (;;) {
		ret = conv_recv(r->c, f, st);
		if (!ret && f->type == FRAME_END && !why->code && r->sink < 0)
			recv_io_end(r, why);
		if (ret || f->type == FRAME_END || f->type == FRAME_SKIP)
			return ret;
		if (f->type == FRAME_DELTA && r->sync && r->e.flags & ENTRY_F_DELTA) {
			ret = why->code ? 0 : delta_take(r, f, why);
			if (ret && recv_is_fatal(r, why->code)) {
				*st = *why;
				return ret;
			}
			continue;
		}
		if (f->type == FRAME_FROM && r->offered) {
			r->offered = false;
			ret = why->code ? 0 : resume_from(r, f->arg[0], why);
			if (ret && recv_is_fatal(r, why->code)) {
				*st = *why;
				return ret;
			}
			continue;
		}
		if ((f->type != FRAME_DATA && f->type != FRAME_HOLE) || r->offered)
			return status_set(st, STATUS_PROTOCOL, "frame %u came among content",
					  f->type);
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		if (!why->code) {
			len = f->type == FRAME_DATA ? f->len : f->arg[1];
			ret = check_extent(r, f->arg[0], len, why);
			if (!ret)
				ret = f->type == FRAME_DATA ? take_block(r, f, why) :
				      take_hole(r, f, why);
		}
		if (ret && recv_is_fatal(r, why->code)) {
			*st = *why;
			return ret;
		}
	}
}

/* @file is one in that directory. */
int recv_sync_directory(int dirfd, int file, struct status *st)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	/* One may be able to write to a directory that one cannot read. */
	if (fd < 0 && errno == EACCES && file >= 0)
		err = syncfs(file) ? errno : 0;
	else if (fd < 0 || fsync(fd))
		err = errno;
	if (fd >= 0)
		close(fd);
	return err ? status_errno(st, STATUS_IO, err, "cannot sync the directory") : 0;
}

int recv_name_failed(struct receiver *r, int err, struct status *st)
{
	if (err == ENOSPC || err == EDQUOT)
		return recv_write_failed(r, err, st);
	if (err == EEXIST)
		return status_set(st, STATUS_DEST, "the destination is not a regular file");
	return status_errno(st, STATUS_DEST, err, "cannot give the file its name");
}

/* What is there is right already, and stays. */
static int finish_complete(struct receiver *r, struct status *st)
{
	int ret = attr_apply(r->basis, &r->e, r->keep, r->o->umask, false, st);

	if (!ret && r->flags & REQUEST_F_SYNC_FILE && fsync(r->basis))
		ret = recv_write_failed(r, errno, st);
	tempfile_discard(&r->temp);
	return ret;
}

/* A directory may have to make way: now that all has arrived, so that not both are lost. */
static int give_name(struct receiver *r, struct status *st)
{
	int ret = tempfile_rename(&r->temp, r->e.name, &r->replaced);

	if (ret == -EISDIR) {
		if (recv_way_clear(r, recv_dir_now(r)->fd, st))
			return -st->code;
		ret = tempfile_rename(&r->temp, r->e.name, &r->replaced);
	}
	return ret ? recv_name_failed(r, -ret, st) : 0;
}

/* Mode, time and whatever else the file is to have before it gets its name. */
static int finish_file(struct receiver *r, struct status *st)
{
	bool sync = r->flags & (REQUEST_F_SYNC_FILE | REQUEST_F_SYNC_END);
	int fd = r->temp.fd, file = -1, ret;

	if (r->hole_last && ftruncate(fd, r->e.size))
		return recv_write_failed(r, errno, st);
	ret = attr_apply(fd, &r->e, r->keep, r->o->umask, !r->temp.name[0], st);
	if (ret)
		return ret;
	if (r->flags & REQUEST_F_SYNC_FILE && fsync(fd))
		return recv_write_failed(r, errno, st);
	if (sync && (!r->depth || r->sync))
		file = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	recv_drop_replaced(r);
	if (r->sync && sync_backup(r, st)) {
		if (file >= 0)
			close(file);
		return -st->code;
	}
	ret = give_name(r, st);
	if (!ret && r->flags & REQUEST_F_SYNC_FILE && (!r->depth || r->sync))
		ret = recv_sync_directory(recv_dir_now(r)->fd, file, st);
	if (file >= 0)
		close(file);
	return ret;
}

int recv_digest_differs(struct status *st)
{
	return status_set(st, STATUS_CONTENT, "the content that arrived is not what was sent; "
			  "nothing was kept of it");
}

/* Compares what arrived with what END or the entry says; keeps the digest. */
static int check_digest(struct receiver *r, uint64_t size, const uint64_t arg[FRAME_ARGS],
			struct status *st)
{
	uint8_t digest[HASH_DIGEST_SIZE];

	hash_final(&r->hash, digest);
	if (r->pos != size || (arg ? !digest_matches_args(size, digest, arg) :
			       !!memcmp(digest, r->e.digest, sizeof(digest))))
		return recv_digest_differs(st);
	memcpy(r->e.digest, digest, sizeof(digest));
	return 0;
}

static int open_file(struct receiver *r, struct status *st)
{
	struct stat stat;
	uint64_t there;
	int ret;

	if (!hash_known(r->e.hash_kind))
		return status_set(st, STATUS_FAIL, "this side has no library for its hash: choose "
				  "another --hash");
	if (hash_init(&r->hash, r->e.hash_kind))
		return status_set(st, STATUS_FAIL, "out of memory");
	r->pos = 0;
	r->hole_last = false;
	if (r->sink >= 0)
		return 0;
	if (tempfile_is_name(r->e.name))
		return status_set(st, STATUS_DEST, "the name is one for temporary files");
	ret = r->e.flags & ENTRY_F_RESUME ?
	      tempfile_open_partial(&r->temp, recv_dir_now(r), r->e.name) : -EBUSY;
	if (ret)
		ret = tempfile_create(&r->temp, recv_dir_now(r),
				      attr_mode(&r->e, r->keep, r->o->umask));
	if (ret)
		return status_errno(st, STATUS_DEST, -ret, "cannot create a file in %s directory",
				    r->root->whose);
	r->direct = false;
	r->bounced = 0;
	if (!(r->e.flags & ENTRY_F_RESUME))
		recv_io_begin(r);
	if (fstat(r->temp.fd, &stat))
		stat.st_blocks = 0;
	there = min_u64((uint64_t)stat.st_blocks * 512, r->e.data_bytes);
	if (r->e.data_bytes >= SPACE_CHECK_SIZE)
		ret = recv_check_space(r, r->temp.fd, r->e.data_bytes - there, st);
	return ret;
}

int recv_tell(struct receiver *r, struct status *why, struct status *st)
{
	if (!why->code) {
		watcher_done(r->watcher, &r->e, r->path);
		return 0;
	}
	if (recv_is_fatal(r, why->code)) {
		*st = *why;
		return -why->code;
	}
	return recv_failed(r, why, st);
}

int recv_end_file(struct receiver *r, struct status *why, struct status *st)
{
	if (!why->code && r->complete)
		finish_complete(r, why);
	else if (!why->code && r->sink < 0)
		finish_file(r, why);
	if (why->code && r->temp.fd >= 0)
		tempfile_discard(&r->temp);
	return recv_tell(r, why, st);
}

/* The whole content is one block. */
static bool park_inline(struct receiver *r)
{
	struct repair *d;

	if (r->sink >= 0 || hash_init(&r->before, r->e.hash_kind))
		return false;
	d = repair_start(r, &r->before, 0);
	if (!d)
		return false;
	if (!repair_note(d, 0, r->e.size, hash_start(r->e.digest))) {
		repair_free(d);
		return false;
	}
	repair_park(r, d, r->e.digest);
	return true;
}

static int recv_inline(struct receiver *r, struct status *why, struct status *st)
{
	if (!why->code)
		recv_data(r, r->e.size, why);
	if (!why->code && check_digest(r, r->e.size, NULL, why) && r->pos == r->e.size &&
	    park_inline(r))
		return 0;
	return recv_end_file(r, why, st);
}

/* Nothing comes of it. */
static void drop_file(struct receiver *r)
{
	repair_free(r->damaged);
	r->damaged = NULL;
	if (r->temp.fd >= 0)
		tempfile_discard(&r->temp);
}

/* The stream ends here: but for a full disk, there may be another one to go on. */
static void keep_file(struct receiver *r, int code)
{
	if (code != STATUS_NO_SPACE && r->temp.fd >= 0)
		tempfile_keep(&r->temp);
	drop_file(r);
}

static int recv_frames(struct receiver *r, struct status *why, struct status *st)
{
	uint8_t digest[HASH_DIGEST_SIZE];
	struct frame f;
	int ret;

	ret = take_content(r, &f, why, st);
	if (!ret && f.type == FRAME_END && !why->code && r->e.flags & ENTRY_F_DELTA &&
	    delta_park(r, &f, why))
		return 0;
	if (!ret && f.type == FRAME_SKIP) {
		/* It was announced, but is none of those that are counted. */
		r->seen--;
		drop_file(r);
		return recv_skip(r, &f, st);
	}
	if (ret) {
		keep_file(r, -ret);
		return ret;
	}
	if (r->damaged && !why->code && r->pos == r->e.size && f.arg[0] == r->e.size) {
		digest_from_args(f.arg, digest);
		repair_park(r, r->damaged, digest);
		r->damaged = NULL;
		return 0;
	}
	if (r->damaged && !why->code)
		recv_digest_differs(why);
	if (why->code)
		drop_file(r);
	if (r->e.flags & ENTRY_F_STREAM && !why->code)
		r->e.size = r->pos;
	if (!why->code)
		check_digest(r, r->e.size, f.arg, why);
	return recv_end_file(r, why, st);
}

int recv_file(struct receiver *r, struct status *st)
{
	struct status why = { 0 };
	int ret = 0;

	if (r->e.flags & ENTRY_F_DELTA && !r->sync)
		return status_set(st, STATUS_PROTOCOL, "nobody wanted a delta");
	if (r->e.flags & ENTRY_F_RESUME && !(r->flags & REQUEST_F_RESUME))
		return status_set(st, STATUS_PROTOCOL, "nobody wanted to go on with a file");
	if (r->sink >= 0 || recv_dir_now(r)->fd >= 0)
		open_file(r, &why);
	else
		status_set(&why, STATUS_DEST, "its directory could not be made");
	if (why.code && recv_is_fatal(r, why.code)) {
		*st = why;
		if (r->temp.fd >= 0)
			tempfile_keep(&r->temp);
		return -why.code;
	}
	r->damaged = NULL;
	if (r->e.flags & ENTRY_F_DELTA)
		ret = delta_offer(r, !why.code, st);
	if (r->e.flags & ENTRY_F_RESUME)
		ret = resume_offer(r, !why.code, st);
	if (!ret)
		ret = r->e.flags & ENTRY_F_INLINE ? recv_inline(r, &why, st) :
		      recv_frames(r, &why, st);
	else if (r->temp.fd >= 0)
		tempfile_keep(&r->temp);
	resume_end(r);
	if (r->sync)
		delta_end(r);
	return ret;
}

int recv_hash_file(struct receiver *r, int fd, uint64_t from, uint64_t to, struct status *st)
{
	uint64_t next, end;
	struct stat stat;
	int ret;

	if (fstat(fd, &stat))
		return status_errno(st, STATUS_IO, errno, "cannot look at what was written");
	for (; from < to; from = next) {
		next = min_u64(to, from + HASH_STEP);
		end = min_u64(next, stat.st_size);
		ret = from < end ? hash_file(&r->hash, fd, from, end) : 0;
		if (ret == -EINTR || stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		if (ret)
			return status_errno(st, STATUS_IO, -ret, "cannot read what was written");
		hash_zeros(&r->hash, next - (from < end ? end : from));
		if (next < to && conv_is_gone(r->c))
			return status_set(st, STATUS_PEER_GONE,
					  "the other end closed the conversation early");
		if (next < to && r->sync && sync_alive(r, st))
			return -st->code;
	}
	return 0;
}

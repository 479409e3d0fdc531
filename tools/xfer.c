// SPDX-License-Identifier: GPL-2.0
#include "xfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "util.h"

bool xfer_parse_chunk(const char *text, uint32_t *chunk)
{
	uint64_t size;

	if (!parse_size(text, &size) || size < XFER_CHUNK_MIN || size > XFER_CHUNK_MAX)
		return false;
	*chunk = size;
	return true;
}

void xfer_describe(const struct stat *stat, struct file_meta *meta)
{
	meta->size = stat->st_size;
	meta->data_bytes = min_u64(stat->st_size, (uint64_t)stat->st_blocks * 512);
	meta->mtime_sec = stat->st_mtim.tv_sec;
	meta->mtime_nsec = stat->st_mtim.tv_nsec;
	meta->mode = stat->st_mode & 0777;
	meta->hash_kind = hash_choose(meta->size, meta->data_bytes);
}

struct sender {
	struct conv *c;
	int fd;
	uint64_t size;
	uint64_t pos;
	uint32_t chunk;
	struct hash hash;
	struct progress *progress;
};

static int file_changed(struct status *st)
{
	return status_set(st, STATUS_CHANGED, "file changed while it was read");
}

/* Fills @buf from the file at the sender's position. */
static int read_fully(struct sender *s, uint8_t *buf, uint64_t len, struct status *st)
{
	uint64_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(s->fd, buf + done, len - done, s->pos + done);
		if (!n)
			return file_changed(st);
		if (n < 0 && errno != EINTR)
			return status_errno(st, STATUS_IO, errno, "cannot read the source");
		if (n > 0)
			done += n;
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
	}
	return 0;
}

static int send_data(struct sender *s, uint64_t end, struct status *st)
{
	uint64_t room;
	void *buf;
	int ret;

	while (s->pos < end) {
		ret = conv_data_begin(s->c, min_u64(s->chunk, end - s->pos), &buf, &room, st);
		if (ret)
			return ret;
		/* From the page cache into the ring, and hashed while it is in the CPU's cache. */
		ret = read_fully(s, buf, room, st);
		if (ret)
			return ret;
		hash_data(&s->hash, buf, room);
		ret = conv_data_end(s->c, s->pos, room, st);
		if (ret)
			return ret;
		s->pos += room;
		progress_update(s->progress, s->pos);
	}
	return 0;
}

static int send_hole(struct sender *s, uint64_t end, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { 0 };
	int ret;

	while (s->pos < end) {
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		arg[0] = s->pos;
		arg[1] = min_u64(end - s->pos, PROTO_HOLE_MAX);
		ret = conv_send(s->c, FRAME_HOLE, arg, st);
		if (ret)
			return ret;
		hash_zeros(&s->hash, arg[1]);
		s->pos += arg[1];
		progress_update(s->progress, s->pos);
	}
	return 0;
}

static int send_extents(struct sender *s, struct status *st)
{
	off_t data, hole;
	int ret = 0;

	while (!ret && s->pos < s->size) {
		hole = s->size;
		data = lseek(s->fd, s->pos, SEEK_DATA);
		if (data < 0 && errno == ENXIO) {
			data = s->size;
		} else if (data < 0) {
			/* A file system that cannot tell: all is data. */
			data = s->pos;
		} else {
			hole = lseek(s->fd, data, SEEK_HOLE);
			if (hole <= data)
				hole = s->size;
		}
		data = min_u64(data, s->size);
		hole = min_u64(hole, s->size);
		ret = send_hole(s, data, st);
		if (!ret && data < (off_t)s->size)
			ret = send_data(s, hole, st);
	}
	return ret;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int check_unchanged(int fd, const struct stat *before, struct status *st)
{
	struct stat after;

	if (fstat(fd, &after))
		return status_errno(st, STATUS_IO, errno, "cannot look at the source");
	if (after.st_size != before->st_size || !same_time(&after.st_mtim, &before->st_mtim) ||
	    !same_time(&after.st_ctim, &before->st_ctim))
		return file_changed(st);
	return 0;
}

static int send_end(struct sender *s, struct xfer_result *result, struct status *st)
{
	uint64_t arg[FRAME_ARGS];
	struct frame f;
	int ret;

	hash_final(&s->hash, result->digest);
	digest_to_args(s->size, result->digest, arg);
	ret = conv_send(s->c, FRAME_END, arg, st);
	if (!ret)
		ret = conv_expect(s->c, FRAME_DONE, &f, st);
	if (!ret && !digest_matches_args(s->size, result->digest, f.arg))
		ret = status_set(st, STATUS_CONTENT,
				 "the other end confirmed a content that is not what was sent");
	return ret;
}

int xfer_send(struct conv *c, int fd, const struct stat *before, const struct file_meta *meta,
	      uint32_t chunk, struct progress *progress, struct xfer_result *result,
	      struct status *st)
{
	struct sender s = {
		.c = c, .fd = fd, .size = meta->size, .chunk = chunk, .progress = progress,
	};
	int64_t start = now_ns();
	int ret;

	if (hash_init(&s.hash, meta->hash_kind)) {
		ret = status_set(st, STATUS_FAIL, "out of memory");
		goto out;
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	ret = send_extents(&s, st);
	if (!ret)
		ret = check_unchanged(fd, before, st);
	if (!ret)
		ret = send_end(&s, result, st);
	hash_free(&s.hash);
	result->size = meta->size;
	result->hash_kind = meta->hash_kind;
	result->elapsed_ns = now_ns() - start;
out:
	if (ret)
		conv_send_error(c, st);
	return ret;
}

static int check_space(const struct xfer_receiver *r, uint64_t needed, struct status *st)
{
	unsigned long long available;
	struct statvfs vfs;

	/* Some file systems do not count their blocks. */
	if (fstatvfs(r->temp.fd, &vfs) || !vfs.f_blocks)
		return 0;
	available = (unsigned long long)(geteuid() ? vfs.f_bavail : vfs.f_bfree) * vfs.f_frsize;
	if (needed <= available)
		return 0;
	return status_set(st, STATUS_NO_SPACE,
			  "no space left in %s file system (needs %llu bytes, %llu free)",
			  r->root->whose, (unsigned long long)needed, available);
}

int xfer_receive_begin(struct xfer_receiver *r, const struct file_meta *meta, struct status *st)
{
	int ret;

	ret = tempfile_create(&r->temp, r->dest.dirfd);
	if (ret) {
		path_dest_close(&r->dest);
		return status_errno(st, STATUS_DEST, -ret,
				    "cannot create a file in %s directory", r->root->whose);
	}
	ret = check_space(r, meta->data_bytes, st);
	if (ret)
		xfer_receive_cancel(r);
	return ret;
}

void xfer_receive_cancel(struct xfer_receiver *r)
{
	tempfile_discard(&r->temp);
	path_dest_close(&r->dest);
}

struct incoming {
	struct xfer_receiver *r;
	struct conv *c;
	const struct file_meta *meta;
	uint64_t pos;
	bool hole_last;			/* the file's size is to be set */
	struct hash hash;
	struct progress *progress;
};

static int write_failed(struct incoming *in, int err, struct status *st)
{
	if (err == ENOSPC || err == EDQUOT)
		return status_set(st, STATUS_NO_SPACE, "no space left in %s file system (%s %llu "
				  "of %llu bytes)", in->r->root->whose,
				  err == EDQUOT ? "quota reached after" : "full after",
				  (unsigned long long)in->pos, (unsigned long long)in->meta->size);
	if (err == EFBIG)
		return status_set(st, STATUS_DEST, "the file is too big for %s file system",
				  in->r->root->whose);
	return status_errno(st, STATUS_IO, err, "cannot write to %s file system",
			    in->r->root->whose);
}

static int write_fully(struct incoming *in, const uint8_t *buf, uint64_t len, struct status *st)
{
	ssize_t n;

	while (len) {
		n = pwrite(in->r->temp.fd, buf, len, in->pos);
		if (n < 0 && errno != EINTR)
			return write_failed(in, errno, st);
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		if (n < 0)
			continue;
		buf += n;
		len -= n;
		in->pos += n;
	}
	return 0;
}

/* The next @len bytes begin at @offset: no gap, no overlap, not past the end. */
static int check_extent(struct incoming *in, uint64_t offset, uint64_t len, struct status *st)
{
	if (offset != in->pos || !len || len > in->meta->size - in->pos)
		return status_set(st, STATUS_PROTOCOL, "content came out of place");
	return 0;
}

static int receive_data(struct incoming *in, const struct frame *f, struct status *st)
{
	uint64_t left = f->len, part;
	const void *p;
	int ret;

	ret = check_extent(in, f->arg[0], f->len, st);
	while (!ret && left) {
		ret = conv_payload_peek(in->c, &p, &part, st);
		if (ret)
			break;
		ret = write_fully(in, p, part, st);
		if (ret)
			break;
		hash_data(&in->hash, p, part);
		conv_payload_take(in->c, part);
		left -= part;
		ret = conv_release(in->c, st);
	}
	in->hole_last = false;
	return ret;
}

static int receive_hole(struct incoming *in, const struct frame *f, struct status *st)
{
	int ret;

	ret = check_extent(in, f->arg[0], f->arg[1], st);
	if (!ret && f->arg[1] > PROTO_HOLE_MAX)
		ret = status_set(st, STATUS_PROTOCOL, "a hole is longer than a frame may tell");
	if (ret)
		return ret;
	hash_zeros(&in->hash, f->arg[1]);
	in->pos += f->arg[1];
	in->hole_last = true;
	return 0;
}

static int receive_content(struct incoming *in, struct frame *f, struct status *st)
{
	int ret;

	for (;;) {
		ret = conv_recv(in->c, f, st);
		if (ret)
			return ret;
		if (f->type == FRAME_DATA)
			ret = receive_data(in, f, st);
		else if (f->type == FRAME_HOLE)
			ret = receive_hole(in, f, st);
		else if (f->type == FRAME_END)
			return 0;
		else
			ret = status_set(st, STATUS_PROTOCOL, "frame %u came among content",
					 f->type);
		if (ret)
			return ret;
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		progress_update(in->progress, in->pos);
	}
}

/* What file systems say that know neither modes nor times, or whose server decides. */
static bool is_no_such_attribute(int err)
{
	return err == EPERM || err == EOPNOTSUPP || err == ENOSYS;
}

/* Mode, time and whatever else the file is to have before it gets its name. */
static int finish_file(struct incoming *in, struct status *st)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_NOW },
		{ .tv_sec = in->meta->mtime_sec, .tv_nsec = in->meta->mtime_nsec },
	};
	int fd = in->r->temp.fd;

	if (in->hole_last && ftruncate(fd, in->meta->size))
		return write_failed(in, errno, st);
	/* Never a set-id bit: whose file it was over there means nothing here. */
	if (fchmod(fd, in->meta->mode & 0777 & ~in->r->umask) && !is_no_such_attribute(errno))
		return status_errno(st, STATUS_IO, errno, "cannot set the mode");
	if (futimens(fd, times) && !is_no_such_attribute(errno))
		return status_errno(st, STATUS_IO, errno, "cannot set the time");
	if (in->r->sync && fsync(fd))
		return write_failed(in, errno, st);
	return 0;
}

/* @file is one in that directory. */
static int sync_directory(int dirfd, int file, struct status *st)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	/* One may be able to write to a directory that one cannot read. */
	if (fd < 0 && errno == EACCES)
		err = syncfs(file) ? errno : 0;
	else if (fd < 0 || fsync(fd))
		err = errno;
	if (fd >= 0)
		close(fd);
	return err ? status_errno(st, STATUS_IO, err, "cannot sync the directory") : 0;
}

/*
 * The sender need not wait while the file system takes back what an old file of
 * that name held: @replaced keeps it until everything is said.
 */
static int name_file(struct incoming *in, int *replaced, struct status *st)
{
	int file = in->r->sync ? fcntl(in->r->temp.fd, F_DUPFD_CLOEXEC, 0) : -1;
	struct xfer_receiver *r = in->r;
	int ret;

	*replaced = openat(r->dest.dirfd, r->dest.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ret = tempfile_rename(&r->temp, r->dest.name);
	if (ret == -ENOSPC || ret == -EDQUOT)
		ret = write_failed(in, -ret, st);
	else if (ret)
		ret = status_errno(st, STATUS_DEST, -ret, "cannot give the file its name");
	else if (r->sync)
		ret = sync_directory(r->dest.dirfd, file, st);
	if (file >= 0)
		close(file);
	return ret;
}

static int receive_checked(struct incoming *in, struct xfer_result *result, struct status *st)
{
	struct frame end;
	int ret;

	ret = receive_content(in, &end, st);
	if (ret)
		return ret;
	hash_final(&in->hash, result->digest);
	if (in->pos != in->meta->size || !digest_matches_args(in->pos, result->digest, end.arg))
		return status_set(st, STATUS_CONTENT,
				  "the content that arrived is not what was sent; nothing was "
				  "kept of it");
	return finish_file(in, st);
}

int xfer_receive(struct xfer_receiver *r, struct conv *c, const struct file_meta *meta,
		 struct progress *progress, struct xfer_result *result, struct status *st)
{
	struct incoming in = { .r = r, .c = c, .meta = meta, .progress = progress };
	uint64_t arg[FRAME_ARGS];
	int64_t start = now_ns();
	int ret, replaced = -1;

	if (hash_init(&in.hash, meta->hash_kind))
		ret = status_set(st, STATUS_FAIL, "out of memory");
	else
		ret = receive_checked(&in, result, st);
	if (ret)
		tempfile_discard(&r->temp);
	else
		ret = name_file(&in, &replaced, st);
	path_dest_close(&r->dest);
	hash_free(&in.hash);
	result->size = meta->size;
	result->hash_kind = meta->hash_kind;
	result->elapsed_ns = now_ns() - start;
	if (ret) {
		conv_send_error(c, st);
	} else {
		digest_to_args(result->size, result->digest, arg);
		/*
		 * The file is there and right, whether or not the sender still
		 * hears of it. If it does not, the next use of the conversation
		 * tells.
		 */
		conv_send(c, FRAME_DONE, arg, st);
	}
	if (replaced >= 0)
		close(replaced);
	return ret;
}

void xfer_summary(const struct xfer_result *result, char text[XFER_SUMMARY_SIZE])
{
	double seconds = (double)result->elapsed_ns / NSEC_PER_SEC;
	char digest[HASH_TEXT_SIZE];

	hash_text(result->hash_kind, result->digest, digest);
	snprintf(text, XFER_SUMMARY_SIZE, "%llu bytes in %.2f s, %.0f MB/s, %s %s",
		 (unsigned long long)result->size, seconds,
		 seconds > 0 ? result->size / seconds / 1e6 : 0, hash_name(result->hash_kind),
		 digest);
}

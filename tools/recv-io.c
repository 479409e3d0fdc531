// SPDX-License-Identifier: GPL-2.0
/* From the ring into a file: through the page cache, around it, or leaving nothing there. */
#include "receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

/* What a direct write needs, and what it writes at once. */
#define BOUNCE_ALIGN		4096
#define BOUNCE_SIZE		(1U << 20)
/* What may stay in the page cache until it is dropped: two of these. */
#define DROP_WINDOW		(8U << 20)
/* How much may come between two looks at the free space. */
#define SPACE_CHECK_STEP	(4U << 20)

int recv_write_failed(struct receiver *r, int err, struct status *st)
{
	if (err == ENOSPC || err == EDQUOT)
		return status_set(st, STATUS_NO_SPACE, "no space left in %s file system (%s %llu "
				  "of %llu bytes)", r->root->whose,
				  err == EDQUOT ? "quota reached after" : "full after",
				  (unsigned long long)r->pos, (unsigned long long)r->e.size);
	if (err == EFBIG)
		return status_set(st, STATUS_DEST, "the file is too big for %s file system",
				  r->root->whose);
	return status_errno(st, STATUS_IO, err, "cannot write to %s file system", r->root->whose);
}

static ssize_t write_some(struct receiver *r, const uint8_t *buf, uint64_t len)
{
	if (r->sink >= 0)
		return ring_pwrite(r->sink, buf, len, -1);
	return ring_pwrite(r->temp.fd, buf, len, r->pos);
}

/* Not all files, nor all places in one, can be written to directly. */
static void direct_off(struct receiver *r)
{
	int flags = fcntl(r->temp.fd, F_GETFL);

	if (flags >= 0 && flags & O_DIRECT)
		fcntl(r->temp.fd, F_SETFL, flags & ~O_DIRECT);
	r->direct = false;
}

/* Has what was written before the last window on disk, and drops it. */
static void drop_behind(struct receiver *r, bool all)
{
	int fd = r->temp.fd;

	if (r->pos - r->dropping < DROP_WINDOW && !all)
		return;
	if (r->dropping > r->dropped) {
		sync_file_range(fd, r->dropped, r->dropping - r->dropped,
				SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				SYNC_FILE_RANGE_WAIT_AFTER);
		posix_fadvise(fd, r->dropped, r->dropping - r->dropped, POSIX_FADV_DONTNEED);
	}
	r->dropped = r->dropping;
	sync_file_range(fd, r->dropping, r->pos - r->dropping, SYNC_FILE_RANGE_WRITE);
	r->dropping = r->pos;
}

/* What follows a write, at r->pos. */
static int written(struct receiver *r, uint64_t len, struct status *st)
{
	if (r->sink >= 0)
		return 0;
	if (r->flags & REQUEST_F_DROP_CACHE && !r->repairing)
		drop_behind(r, false);
	r->unchecked += len;
	if (!r->min_free || r->unchecked < SPACE_CHECK_STEP)
		return 0;
	r->unchecked = 0;
	return recv_check_space(r, r->temp.fd, 0, st);
}

static int write_fully(struct receiver *r, const uint8_t *buf, uint64_t len, struct status *st)
{
	uint64_t start = r->pos;
	ssize_t n;

	while (len) {
		n = write_some(r, buf, len);
		if (n < 0 && errno == EINVAL && r->direct) {
			direct_off(r);
			continue;
		}
		if (n < 0 && errno != EINTR)
			return recv_write_failed(r, errno, st);
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		if (n < 0)
			continue;
		buf += n;
		len -= n;
		r->pos += n;
	}
	return written(r, r->pos - start, st);
}

/* A pipe has no holes. */
int recv_zeros(struct receiver *r, uint64_t len, struct status *st)
{
	static const uint8_t zeros[65536];
	uint64_t part;
	int ret = 0;

	for (; !ret && len; len -= part) {
		part = min_u64(len, sizeof(zeros));
		ret = write_fully(r, zeros, part, st);
	}
	return ret;
}

/* What a direct write has not written yet; afterwards r->pos is in the file again. */
static int write_bounced(struct receiver *r, struct status *st)
{
	uint64_t len = r->bounced;

	r->bounced = 0;
	r->pos -= len;
	return write_fully(r, r->bounce, len, st);
}

static int take_direct(struct receiver *r, const uint8_t *p, uint64_t len, struct status *st)
{
	uint64_t part;
	int ret = 0;

	for (; !ret && len; len -= part, p += part) {
		part = min_u64(len, BOUNCE_SIZE - r->bounced);
		memcpy(r->bounce + r->bounced, p, part);
		hash_data(&r->hash, r->bounce + r->bounced, part);
		r->bounced += part;
		r->pos += part;
		if (r->bounced == BOUNCE_SIZE)
			ret = write_bounced(r, st);
	}
	return ret;
}

void recv_io_begin(struct receiver *r)
{
	int flags = fcntl(r->temp.fd, F_GETFL);

	r->bounced = r->dropped = r->dropping = 0;
	r->direct = false;
	if (!(r->flags & REQUEST_F_DIRECT) || r->e.flags & ENTRY_F_INLINE)
		return;
	if (!r->bounce)
		r->bounce = aligned_alloc(BOUNCE_ALIGN, BOUNCE_SIZE);
	r->direct = r->bounce && flags >= 0 && !fcntl(r->temp.fd, F_SETFL, flags | O_DIRECT);
}

int recv_io_flush(struct receiver *r, struct status *st)
{
	/* The rest is no whole block, and what follows is not where one begins. */
	if (r->bounced % BOUNCE_ALIGN)
		direct_off(r);
	return r->bounced ? write_bounced(r, st) : 0;
}

int recv_io_end(struct receiver *r, struct status *st)
{
	int ret = recv_io_flush(r, st);

	if (r->direct)
		direct_off(r);
	if (r->flags & REQUEST_F_DROP_CACHE && r->pos >= DROP_WINDOW) {
		drop_behind(r, true);
		drop_behind(r, true);
	}
	return ret;
}

static bool is_zero(const uint8_t *buf, uint64_t len)
{
	return len && !buf[0] && !memcmp(buf, buf + 1, len - 1);
}

int recv_write(struct receiver *r, const uint8_t *buf, uint64_t len, struct status *st)
{
	int ret;

	r->stored += len;
	ret = recv_check_quota(r->o, 0, r->stored, st);
	if (ret)
		return ret;
	if (r->direct)
		return take_direct(r, buf, len, st);
	/* What has holes over there gets some. */
	r->hole_last = r->e.data_bytes < r->e.size && is_zero(buf, len);
	if (r->hole_last)
		r->pos += len;
	else
		ret = write_fully(r, buf, len, st);
	if (!ret)
		hash_data(&r->hash, buf, len);
	return ret;
}

/*
 * Writes, and then hashes: damage in between makes a hash wrong, and not a file that
 * has the right one. Behind a block that is damaged already, hashes mean nothing.
 */
int recv_data(struct receiver *r, uint64_t left, struct status *st)
{
	uint64_t part;
	const void *p;
	int ret;

	while (left) {
		ret = conv_payload_peek(r->c, &p, &part, st);
		if (ret)
			return ret;
		part = min_u64(part, left);
		r->stored += r->repairing ? 0 : part;
		ret = recv_check_quota(r->o, 0, r->stored, st);
		if (ret)
			return ret;
		ret = r->direct && !r->damaged ? take_direct(r, p, part, st) :
		      write_fully(r, p, part, st);
		if (ret)
			return ret;
		if (r->repairing)
			hash_data(&r->again, p, part);
		else if (!r->damaged && !r->direct)
			hash_data(&r->hash, p, part);
		conv_payload_take(r->c, part);
		left -= part;
		watcher_moved(r->watcher, r->path, part);
		ret = conv_release(r->c, st);
		if (ret)
			return ret;
	}
	return 0;
}

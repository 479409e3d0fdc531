// SPDX-License-Identifier: GPL-2.0
/* A file that is there told by its rolling checksums, and made the new one by a delta. */
#include "receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "delta.h"
#include "repair.h"
#include "util.h"

#define READ_SIZE	(128U << 10)
/* The sender is not to wait for longer than this takes for some of a signature. */
#define QUIET_MAX	(128U << 20)

/* A signature on its way. */
struct offer {
	struct receiver *r;
	struct delta *delta;
	uint8_t *out;			/* DELTA_PIECE bytes */
	size_t len;
	uint64_t quiet;			/* bytes that were read since the last piece */
};

static int put_piece(struct offer *o, bool last, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { XXH64(o->out, o->len, 0), last };
	size_t len = o->len;

	o->len = 0;
	o->quiet = 0;
	return conv_put(o->r->c, FRAME_SIGNATURE, arg, o->out, len, st);
}

static int put_in(struct offer *o, const uint8_t *in, size_t len, bool end, struct status *st)
{
	size_t taken, given;
	bool done;
	int ret;

	o->quiet += len;
	do {
		if (delta_move(o->delta, in, len, end, &taken, o->out + o->len,
			       DELTA_PIECE - o->len, &given, &done))
			return status_set(st, STATUS_FAIL, "cannot compute a signature");
		in += taken;
		len -= taken;
		o->len += given;
		if ((o->len == DELTA_PIECE && !done) || (o->quiet >= QUIET_MAX && o->len)) {
			ret = put_piece(o, false, st);
			if (ret)
				return ret;
		}
	} while (len || (end && !done) || given);
	return 0;
}

/* Of a file that shrinks meanwhile there is less; the hash of all tells in the end. */
static int sign(struct offer *o, int fd, uint64_t size, struct status *st)
{
	uint8_t *buf = malloc(READ_SIZE);
	uint64_t pos = 0;
	ssize_t n = 1;
	int ret = 0;

	if (!buf)
		return status_set(st, STATUS_FAIL, "out of memory");
	while (!ret && pos < size && n > 0) {
		if (stop_signal)
			ret = status_set(st, STATUS_INTERRUPTED, "interrupted");
		n = pread(fd, buf, min_u64(READ_SIZE, size - pos), pos);
		if (!ret && n > 0)
			ret = put_in(o, buf, n, false, st);
		pos += n > 0 ? n : 0;
	}
	free(buf);
	return ret ? ret : put_in(o, o->out, 0, true, st);
}

static int open_basis(struct receiver *r, struct stat *stat)
{
	r->basis = openat(recv_dir_now(r)->fd, r->e.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
			  O_NOCTTY | O_CLOEXEC);
	if (r->basis < 0)
		return -errno;
	return fstat(r->basis, stat) || !S_ISREG(stat->st_mode) || !stat->st_size ? -ENOENT : 0;
}

int delta_offer(struct receiver *r, bool open, struct status *st)
{
	struct offer o = { .r = r };
	struct stat stat;
	int ret = 0;

	/* Nothing of use: all of it is to come. */
	if (!open || open_basis(r, &stat) || delta_patch(&r->asks->patch, r->basis)) {
		ret = put_piece(&o, true, st);
		return ret ? ret : conv_flush(r->c, st);
	}
	o.out = malloc(DELTA_PIECE);
	if (!o.out || delta_sign(&o.delta, stat.st_size))
		ret = status_set(st, STATUS_FAIL, "out of memory");
	if (!ret)
		ret = sign(&o, r->basis, stat.st_size, st);
	if (!ret)
		ret = put_piece(&o, true, st);
	delta_free(o.delta);
	free(o.out);
	return ret ? ret : conv_flush(r->c, st);
}

/* What comes of a piece. */
static int patch(struct receiver *r, const uint8_t *in, size_t len, struct status *st)
{
	static _Thread_local uint8_t out[64U << 10];
	struct recv_sync *y = r->asks;
	uint64_t unseen = 0;
	size_t taken, given;
	bool done;
	int ret;

	do {
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		if (delta_move(y->patch, in, len, false, &taken, out, sizeof(out), &given, &done)) {
			/* The file that is there has changed, perhaps. */
			y->patch_failed = true;
			return 0;
		}
		in += taken;
		len -= taken;
		if (given > r->e.size - r->pos)
			return status_set(st, STATUS_PROTOCOL, "a delta makes more than it should");
		ret = given ? recv_write(r, out, given, st) : 0;
		if (ret)
			return ret;
		if (given)
			watcher_moved(r->watcher, r->path, given);
		/* A few bytes may stand for any number. */
		unseen += given;
		if (unseen >= QUIET_MAX) {
			unseen = 0;
			if (conv_is_gone(r->c))
				return status_set(st, STATUS_PEER_GONE,
						  "the other end closed the conversation early");
			ret = sync_alive(r, st);
			if (ret)
				return ret;
		}
	} while (!done && (len || given));
	if (len)
		return status_set(st, STATUS_PROTOCOL, "a delta goes on behind its end");
	y->patched = done;
	return 0;
}

int delta_take(struct receiver *r, const struct frame *f, struct status *st)
{
	static _Thread_local uint8_t in[DELTA_PIECE];
	struct recv_sync *y = r->asks;
	int ret;

	if (!y->patch || f->len > DELTA_PIECE || y->patched || (r->pos && !y->patching))
		return status_set(st, STATUS_PROTOCOL, "a delta came out of place");
	/* The sender is still looking. */
	if (!f->len)
		return 0;
	/* Out of shared memory, before it is judged. */
	ret = conv_take(r->c, in, f->len, st);
	if (ret)
		return ret;
	y->patching = true;
	y->literal += f->len;
	if (XXH64(in, f->len, 0) != f->arg[0])
		y->patch_failed = true;
	ret = y->patch_failed ? 0 : patch(r, in, f->len, st);
	return ret ? ret : conv_release(r->c, st);
}

bool delta_park(struct receiver *r, const struct frame *f, struct status *why)
{
	uint8_t digest[HASH_DIGEST_SIZE], want[HASH_DIGEST_SIZE];
	struct recv_sync *y = r->asks;
	struct repair *d;

	if (!y->patching || f->arg[0] != r->e.size)
		return false;
	if (!y->patch_failed && !y->patched)
		y->patch_failed = true;
	digest_from_args(f->arg, want);
	if (!y->patch_failed && r->pos == r->e.size) {
		if (hash_copy(&r->before, &r->hash))
			return false;
		hash_final(&r->before, digest);
		if (digest_matches_args(r->e.size, digest, f->arg)) {
			if (y->literal < r->e.size)
				watcher_kept(r->watcher, r->e.size - y->literal);
			return false;
		}
	}
	/* Damaged, or checksums that lied: all of it is one block that is asked for again. */
	if (hash_init(&r->before, r->e.hash_kind)) {
		status_set(why, STATUS_FAIL, "out of memory");
		return false;
	}
	d = repair_start(r, &r->before, 0);
	if (!d || !repair_note(d, 0, r->e.size, hash_start(want))) {
		repair_free(d);
		recv_digest_differs(why);
		return false;
	}
	r->pos = r->e.size;
	r->hole_last = true;
	repair_park(r, d, want);
	return true;
}

void delta_end(struct receiver *r)
{
	struct recv_sync *y = r->asks;

	if (!y)
		return;
	delta_free(y->patch);
	y->patch = NULL;
	y->patching = y->patched = y->patch_failed = false;
	y->literal = 0;
}

// SPDX-License-Identifier: GPL-2.0
/* The receiver's signature of what it has, and what differs from that. */
#include "sender.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "delta.h"
#include "util.h"

/* What a signature begins with, and the bounds of what a peer may say there. */
#define HEAD_SIZE	12
#define HEAD_MAGIC	0x72730147
#define BLOCK_MIN	128
#define BLOCK_MAX	(64U << 20)
/* How far it is from one sign of life to the next. */
#define ALIVE_INTERVAL	(32U << 20)

/* In and out of one delta. */
struct diff {
	struct sender *s;
	struct delta *delta;
	uint64_t total;
	bool damaged;			/* the signature is of no use */
	uint8_t *out;			/* DELTA_PIECE bytes */
	size_t len;
};

static bool good_head(const uint8_t *head, size_t len)
{
	uint32_t word[3];

	if (len < HEAD_SIZE)
		return false;
	memcpy(word, head, sizeof(word));
	return be32toh(word[0]) == HEAD_MAGIC && be32toh(word[1]) >= BLOCK_MIN &&
	       be32toh(word[1]) <= BLOCK_MAX && be32toh(word[2]) && be32toh(word[2]) <= 32;
}

static int delta_failed(int err, struct status *st)
{
	if (err == -ENOMEM)
		return status_set(st, STATUS_FAIL, "out of memory");
	return status_set(st, STATUS_PROTOCOL, "a signature makes no sense");
}

static int take_piece(struct diff *d, const struct frame *f, struct status *st)
{
	bool first = !d->total, done = false;
	size_t taken, given;
	int ret;

	if (f->len > DELTA_PIECE || f->len > DELTA_SIGNATURE_MAX - d->total ||
	    (!f->len && !f->arg[1]))
		return delta_failed(-EBADMSG, st);
	ret = conv_take(d->s->c, d->out, f->len, st);
	if (ret)
		return ret;
	d->total += f->len;
	/* The file is sent as a whole then. */
	if (XXH64(d->out, f->len, 0) != f->arg[0])
		d->damaged = true;
	if (d->damaged || !d->total)
		return 0;
	if (first && !good_head(d->out, f->len))
		return delta_failed(-EBADMSG, st);
	ret = delta_move(d->delta, d->out, f->len, f->arg[1], &taken, NULL, 0, &given, &done);
	if (ret || taken != f->len || done != !!f->arg[1])
		return delta_failed(ret ? ret : -EBADMSG, st);
	return 0;
}

static int load_signature(struct diff *d, struct status *st)
{
	struct frame f;
	int ret;

	ret = delta_load(&d->delta);
	if (ret)
		return delta_failed(ret, st);
	do {
		ret = send_hear(d->s, &f, st);
		if (!ret && f.type != FRAME_SIGNATURE)
			ret = status_set(st, STATUS_PROTOCOL, "frame %u came where %u was due",
					 f.type, FRAME_SIGNATURE);
		if (!ret)
			ret = take_piece(d, &f, st);
	} while (!ret && !f.arg[1]);
	if (ret || d->damaged || !d->total)
		return ret;
	ret = delta_begin(d->delta);
	return ret ? delta_failed(ret, st) : 0;
}

static int put_piece(struct diff *d, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { XXH64(d->out, d->len, 0) };
	size_t len = d->len;
	int ret;

	ret = conv_put(d->s->c, FRAME_DELTA, arg, d->out, len, st);
	d->len = 0;
	d->total += len;
	return ret ? ret : send_pace(d->s, len, st);
}

/* A piece of the file; what comes of it is sent when it is worth a frame. */
static int put_in(struct diff *d, const uint8_t *in, size_t len, bool end, struct status *st)
{
	size_t taken, given;
	bool done;
	int ret;

	do {
		ret = delta_move(d->delta, in, len, end, &taken, d->out + d->len,
				 DELTA_PIECE - d->len, &given, &done);
		if (ret)
			return delta_failed(ret, st);
		in += taken;
		len -= taken;
		d->len += given;
		if (d->len == DELTA_PIECE || (done && d->len)) {
			ret = put_piece(d, st);
			if (ret)
				return ret;
		}
	} while (len || (end && !done) || given);
	return 0;
}

/* Not all files can be read so. False: it was not. */
static bool no_direct(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && flags & O_DIRECT && !fcntl(fd, F_SETFL, flags & ~O_DIRECT);
}

static int send_file_delta(struct diff *d, int fd, uint64_t size, bool *source_failed,
			   struct status *st)
{
	uint8_t *block = send_block(d->s);
	uint64_t pos = 0;
	ssize_t n;
	int ret = 0;

	if (!block)
		return status_set(st, STATUS_FAIL, "out of memory");
	while (!ret && pos < size) {
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		/* What is all the same gives nothing to send for long. */
		if (pos % ALIVE_INTERVAL == 0 && pos) {
			ret = put_piece(d, st);
			if (!ret)
				ret = conv_flush(d->s->c, st);
			if (ret)
				return ret;
		}
		/* Whole blocks, as direct reads are. */
		n = pread(fd, block, SEND_BLOCK, pos);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EINVAL && no_direct(fd))
			continue;
		n = n > 0 ? (ssize_t)min_u64(n, size - pos) : n;
		*source_failed = n <= 0;
		if (n < 0)
			return status_errno(st, STATUS_IO, errno, "cannot read the source");
		if (!n)
			return status_set(st, STATUS_CHANGED, "file changed while it was read");
		hash_data(&d->s->hash, block, n);
		ret = put_in(d, block, n, false, st);
		pos += n;
		watcher_moved(d->s->watcher, d->s->path, n);
	}
	return ret ? ret : put_in(d, block, 0, true, st);
}

int send_delta(struct sender *s, int fd, uint64_t size, bool *none, bool *source_failed,
	       struct status *st)
{
	struct diff d = { .s = s, .out = malloc(DELTA_PIECE) };
	int ret;

	if (!d.out)
		return status_set(st, STATUS_FAIL, "out of memory");
	ret = load_signature(&d, st);
	*none = !ret && (d.damaged || !d.total);
	if (!ret && !*none) {
		d.total = 0;
		ret = send_file_delta(&d, fd, size, source_failed, st);
	}
	if (!ret && !*none && d.total < size)
		watcher_kept(s->watcher, size - d.total);
	delta_free(d.delta);
	free(d.out);
	return ret;
}

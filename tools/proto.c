// SPDX-License-Identifier: GPL-2.0
#include "proto.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "util.h"

#define ERROR_TEXT_MAX		(STATUS_TEXT_SIZE - 1)
#define FAREWELL_TIMEOUT_MS	1000
/* Whole pages of the file in each frame, so that none is touched twice. */
#define DATA_ALIGN		4096

_Static_assert(sizeof(struct wire_frame) == FRAME_SIZE, "no padding");
_Static_assert(sizeof(struct wire_file) == 48, "no padding");

static int conv_failed(struct conv *c, int err, struct status *st);

static void frame_encode(struct conv *c, enum frame_type type, uint32_t len,
			 const uint64_t arg[FRAME_ARGS], struct wire_frame *w)
{
	int i;

	memset(w, 0, sizeof(*w));
	w->magic = htole32(FRAME_MAGIC);
	w->type = htole16(type);
	w->seq = htole32(c->tx_seq++);
	w->len = htole32(len);
	for (i = 0; arg && i < FRAME_ARGS; i++)
		w->arg[i] = htole64(arg[i]);
	w->check = htole32(XXH32(w, offsetof(struct wire_frame, check), FRAME_MAGIC));
}

/* How many arguments a frame has; those of an unknown one are not judged. */
static int frame_args(unsigned int type)
{
	static const uint8_t args[] = {
		[FRAME_HELLO] = 3,
		[FRAME_PUT] = 0,
		[FRAME_GET] = 0,
		[FRAME_FILE] = 0,
		[FRAME_GO] = 0,
		[FRAME_DATA] = 1,
		[FRAME_HOLE] = 2,
		[FRAME_END] = 3,
		[FRAME_DONE] = 3,
		[FRAME_ERROR] = 1,
	};

	return type && type < ARRAY_SIZE(args) ? args[type] : FRAME_ARGS;
}

static int frame_decode(struct conv *c, const struct wire_frame *w, struct frame *f,
			struct status *st)
{
	int i;

	if (le32toh(w->magic) != FRAME_MAGIC ||
	    le32toh(w->check) != XXH32(w, offsetof(struct wire_frame, check), FRAME_MAGIC))
		return status_set(st, STATUS_PROTOCOL, c->rx_seq ?
				  "what arrived is no frame of the transfer protocol" :
				  "what answers on this channel is not ivring");
	if (le32toh(w->seq) != c->rx_seq || w->flags || w->reserved)
		return status_set(st, STATUS_PROTOCOL, "a frame is out of sequence or malformed");
	c->rx_seq++;
	f->type = le16toh(w->type);
	f->len = le32toh(w->len);
	for (i = 0; i < FRAME_ARGS; i++)
		f->arg[i] = le64toh(w->arg[i]);
	for (i = frame_args(f->type); i < FRAME_ARGS; i++)
		if (f->arg[i])
			return status_set(st, STATUS_PROTOCOL,
					  "frame %u has arguments that it does not know", f->type);
	return 0;
}

/* Copies into the ring, piece by piece: a small window takes any frame. */
static int conv_write(struct conv *c, const void *data, size_t len)
{
	const uint8_t *from = data;
	uint64_t room, part;
	void *p;
	int ret;

	while (len) {
		ret = ivring_chan_reserve(c->ch, 1, &p, &room);
		if (ret)
			return ret;
		part = min_u64(room, len);
		memcpy(p, from, part);
		ivring_chan_fill(c->ch, part);
		from += part;
		len -= part;
	}
	return 0;
}

static int send_frame(struct conv *c, enum frame_type type, const uint64_t arg[FRAME_ARGS],
		      const void *payload, uint32_t len)
{
	struct wire_frame w;
	int ret;

	frame_encode(c, type, len, arg, &w);
	ret = conv_write(c, &w, sizeof(w));
	if (!ret)
		ret = conv_write(c, payload, len);
	return ret;
}

int conv_send(struct conv *c, enum frame_type type, const uint64_t arg[FRAME_ARGS],
	      struct status *st)
{
	int ret = send_frame(c, type, arg, NULL, 0);

	if (!ret)
		ret = ivring_chan_flush(c->ch);
	return ret ? conv_failed(c, ret, st) : 0;
}

int conv_send_meta(struct conv *c, enum frame_type type, const struct file_meta *meta,
		   struct status *st)
{
	uint8_t payload[sizeof(struct wire_file) + PATH_MAX + NAME_MAX];
	size_t path_len = strlen(meta->path), base_len = strlen(meta->base);
	struct wire_file w = {
		.size = htole64(meta->size),
		.data_bytes = htole64(meta->data_bytes),
		.mtime_sec = htole64(meta->mtime_sec),
		.mtime_nsec = htole32(meta->mtime_nsec),
		.mode = htole32(meta->mode),
		.flags = htole32(meta->flags),
		.hash_kind = htole32(meta->hash_kind),
		.path_len = htole16(path_len),
		.base_len = htole16(base_len),
	};
	int ret;

	memcpy(payload, &w, sizeof(w));
	memcpy(payload + sizeof(w), meta->path, path_len);
	memcpy(payload + sizeof(w) + path_len, meta->base, base_len);
	ret = send_frame(c, type, NULL, payload, sizeof(w) + path_len + base_len);
	if (!ret)
		ret = ivring_chan_flush(c->ch);
	return ret ? conv_failed(c, ret, st) : 0;
}

void conv_send_error(struct conv *c, const struct status *why)
{
	uint64_t arg[FRAME_ARGS] = { why->code };
	int timeout_ms = c->ch->timeout_ms;

	/* Whatever ended the conversation, this must not make it last. */
	if (c->error_sent)
		return;
	c->error_sent = true;
	c->ch->timeout_ms = stop_signal ? 0 : FAREWELL_TIMEOUT_MS;
	if (!send_frame(c, FRAME_ERROR, arg, why->text, strnlen(why->text, ERROR_TEXT_MAX)))
		ivring_chan_flush(c->ch);
	c->ch->timeout_ms = timeout_ms;
}

int conv_data_begin(struct conv *c, uint64_t want, void **payload, uint64_t *room,
		    struct status *st)
{
	uint64_t len, most;
	void *p;
	int ret;

	/* Several frames must fit, so that both sides copy at the same time. */
	most = c->ch->window / 4 - FRAME_SIZE;
	if (most > DATA_ALIGN)
		most -= most % DATA_ALIGN;
	want = min_u64(want, most);
	ret = ivring_chan_reserve(c->ch, FRAME_SIZE + want, &p, &len);
	if (ret)
		return conv_failed(c, ret, st);
	*payload = (uint8_t *)p + FRAME_SIZE;
	*room = want;
	return 0;
}

int conv_data_end(struct conv *c, uint64_t offset, uint64_t len, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { offset };
	struct wire_frame w;
	uint64_t room;
	void *p;
	int ret;

	/* The span is still reserved: this does not wait, and gives the same place. */
	ret = ivring_chan_reserve(c->ch, FRAME_SIZE + len, &p, &room);
	if (!ret) {
		frame_encode(c, FRAME_DATA, len, arg, &w);
		memcpy(p, &w, sizeof(w));
		ivring_chan_fill(c->ch, FRAME_SIZE + len);
		ret = ivring_chan_flush(c->ch);
	}
	return ret ? conv_failed(c, ret, st) : 0;
}

/* The part of the peer's ERROR that it may choose freely goes to a terminal. */
static int take_error(struct conv *c, const struct frame *f, struct status *st)
{
	char text[ERROR_TEXT_MAX + 1];
	struct status ignored;
	uint64_t part, used = 0;
	const void *p;

	while (c->rx_left && used < ERROR_TEXT_MAX &&
	       !conv_payload_peek(c, &p, &part, &ignored)) {
		part = min_u64(part, ERROR_TEXT_MAX - used);
		memcpy(text + used, p, part);
		used += part;
		conv_payload_take(c, part);
	}
	text[used] = '\0';
	/* There is nobody left to hear of errors. */
	c->error_sent = true;
	return status_set(st, status_from_peer(f->arg[0]), "%s",
			  used ? make_printable(text) : "the other end gave no reason");
}

/* Reads one header. End of file is -EPIPE. */
static int recv_header(struct conv *c, struct wire_frame *w)
{
	uint64_t len;
	const void *p;
	int ret;

	ret = ivring_chan_peek(c->ch, FRAME_SIZE, &p, &len);
	if (ret)
		return ret;
	if (len < FRAME_SIZE)
		return -EPIPE;
	memcpy(w, p, sizeof(*w));
	ivring_chan_consume(c->ch, FRAME_SIZE);
	return 0;
}

static int skip_payload(struct conv *c)
{
	uint64_t len;
	const void *p;
	int ret;

	while (c->rx_left) {
		/* As long as there is something to read, no wait would tell. */
		if (stop_signal)
			return -EINTR;
		ret = ivring_chan_peek(c->ch, 1, &p, &len);
		if (ret)
			return ret;
		if (!len)
			return -EPIPE;
		conv_payload_take(c, min_u64(len, c->rx_left));
	}
	return 0;
}

/* The peer closed: its last words are the reason. */
static int last_words(struct conv *c, struct status *st)
{
	int timeout_ms = c->ch->timeout_ms;
	int ret = -STATUS_PEER_GONE;
	struct wire_frame w;
	struct frame f;

	c->ch->timeout_ms = FAREWELL_TIMEOUT_MS;
	while (!stop_signal && !skip_payload(c) && !recv_header(c, &w) &&
	       !frame_decode(c, &w, &f, st)) {
		c->rx_left = f.len;
		if (f.type == FRAME_ERROR) {
			ret = take_error(c, &f, st);
			break;
		}
	}
	c->ch->timeout_ms = timeout_ms;
	if (ret == -STATUS_PEER_GONE)
		status_set(st, STATUS_PEER_GONE, "the other end closed the conversation early");
	return ret;
}

/* Makes a status of what a channel operation returned. */
static int conv_failed(struct conv *c, int err, struct status *st)
{
	switch (err) {
	case -EPIPE:
		return last_words(c, st);
	case -ECONNRESET:
		return status_set(st, STATUS_PEER_GONE,
				  "the other side of the link went away or restarted");
	case -ENODEV:
		return status_set(st, STATUS_PEER_GONE, "the link was removed");
	case -ETIMEDOUT:
		return status_set(st, STATUS_TIMEOUT, "the other end did nothing for %g s",
				  c->ch->timeout_ms / 1000.0);
	case -EINTR:
		return status_set(st, STATUS_INTERRUPTED, "interrupted");
	case -EPROTONOSUPPORT:
		return status_set(st, STATUS_VERSION, "the other side of the link speaks no "
				  "version of ours: update the older module");
	case -EPROTO:
		return status_set(st, STATUS_PROTOCOL,
				  "the other side wrote impossible indices into the ring");
	}
	return status_errno(st, STATUS_IO, -err, "the channel failed");
}

int conv_recv(struct conv *c, struct frame *f, struct status *st)
{
	struct wire_frame w;
	int ret;

	ret = skip_payload(c);
	if (!ret)
		ret = recv_header(c, &w);
	if (ret == -EPIPE)
		return status_set(st, STATUS_PEER_GONE,
				  "the other end closed the conversation early");
	if (ret)
		return conv_failed(c, ret, st);
	ret = frame_decode(c, &w, f, st);
	if (ret)
		return ret;
	c->rx_left = f->len;
	return f->type == FRAME_ERROR ? take_error(c, f, st) : 0;
}

int conv_expect(struct conv *c, enum frame_type type, struct frame *f, struct status *st)
{
	int ret = conv_recv(c, f, st);

	if (!ret && f->type != type)
		ret = status_set(st, STATUS_PROTOCOL, "frame %u came where %u was due",
				 f->type, type);
	return ret;
}

int conv_payload_peek(struct conv *c, const void **p, uint64_t *len, struct status *st)
{
	int ret;

	/* A minimum of one: the peer decides how much it has in flight. */
	ret = ivring_chan_peek(c->ch, 1, p, len);
	if (ret)
		return conv_failed(c, ret, st);
	if (!*len)
		return status_set(st, STATUS_PEER_GONE,
				  "the other end closed in the middle of a frame");
	*len = min_u64(*len, c->rx_left);
	return 0;
}

void conv_payload_take(struct conv *c, uint64_t len)
{
	ivring_chan_consume(c->ch, len);
	c->rx_left -= len;
}

int conv_release(struct conv *c, struct status *st)
{
	int ret = ivring_chan_release(c->ch);

	return ret ? conv_failed(c, ret, st) : 0;
}

static int take_payload(struct conv *c, void *to, size_t len, struct status *st)
{
	uint8_t *out = to;
	uint64_t part;
	const void *p;
	int ret;

	while (len) {
		ret = conv_payload_peek(c, &p, &part, st);
		if (ret)
			return ret;
		part = min_u64(part, len);
		memcpy(out, p, part);
		conv_payload_take(c, part);
		out += part;
		len -= part;
	}
	return 0;
}

static int bad_meta(struct status *st)
{
	return status_set(st, STATUS_PROTOCOL, "a description of a file makes no sense");
}

int conv_take_meta(struct conv *c, const struct frame *f, struct file_meta *meta,
		   struct status *st)
{
	size_t path_len, base_len;
	struct wire_file w;
	int ret;

	if (f->len < sizeof(w))
		return bad_meta(st);
	ret = take_payload(c, &w, sizeof(w), st);
	if (ret)
		return ret;
	path_len = le16toh(w.path_len);
	base_len = le16toh(w.base_len);
	if (path_len >= sizeof(meta->path) || base_len >= sizeof(meta->base) ||
	    f->len != sizeof(w) + path_len + base_len)
		return bad_meta(st);
	memset(meta, 0, sizeof(*meta));
	ret = take_payload(c, meta->path, path_len, st);
	if (!ret)
		ret = take_payload(c, meta->base, base_len, st);
	if (ret)
		return ret;
	meta->size = le64toh(w.size);
	meta->data_bytes = le64toh(w.data_bytes);
	meta->mtime_sec = le64toh(w.mtime_sec);
	meta->mtime_nsec = le32toh(w.mtime_nsec);
	meta->mode = le32toh(w.mode);
	meta->flags = le32toh(w.flags);
	meta->hash_kind = le32toh(w.hash_kind);
	if (strlen(meta->path) != path_len || strlen(meta->base) != base_len ||
	    meta->size > INT64_MAX || meta->data_bytes > meta->size ||
	    meta->hash_kind > HASH_XXH64_BLOCKS || meta->flags & ~WIRE_FILE_F_ALL ||
	    meta->mtime_nsec >= NSEC_PER_SEC || w.reserved)
		return bad_meta(st);
	return 0;
}

int conv_expect_meta(struct conv *c, enum frame_type type, struct file_meta *meta,
		     struct status *st)
{
	struct frame f;
	int ret;

	ret = conv_expect(c, type, &f, st);
	return ret ? ret : conv_take_meta(c, &f, meta, st);
}

int conv_at_end(struct conv *c, bool *end, struct status *st)
{
	uint64_t len;
	const void *p;
	int ret;

	ret = skip_payload(c);
	if (!ret)
		ret = ivring_chan_peek(c->ch, 1, &p, &len);
	if (ret && ret != -EPIPE)
		return conv_failed(c, ret, st);
	*end = ret || !len;
	return 0;
}

int conv_start(struct conv *c, struct ivring_chan *ch, int timeout_ms, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { PROTO_VERSION_MIN, PROTO_VERSION };
	int usual_ms = ch->timeout_ms;
	struct frame f;
	int ret;

	memset(c, 0, sizeof(*c));
	c->ch = ch;
	ret = conv_send(c, FRAME_HELLO, arg, st);
	if (ret)
		return ret;
	ch->timeout_ms = timeout_ms;
	ret = conv_expect(c, FRAME_HELLO, &f, st);
	ch->timeout_ms = usual_ms;
	if (ret)
		return ret;
	if (f.arg[0] > PROTO_VERSION || f.arg[1] < PROTO_VERSION_MIN)
		return status_set(st, STATUS_VERSION,
				  "no version of the transfer protocol in common: here %d to %d, "
				  "there %llu to %llu; update the older ivring",
				  PROTO_VERSION_MIN, PROTO_VERSION, (unsigned long long)f.arg[0],
				  (unsigned long long)f.arg[1]);
	return 0;
}

void digest_to_args(uint64_t size, const uint8_t digest[HASH_DIGEST_SIZE],
		    uint64_t arg[FRAME_ARGS])
{
	uint64_t half[2];

	memset(arg, 0, FRAME_ARGS * sizeof(arg[0]));
	memcpy(half, digest, sizeof(half));
	arg[0] = size;
	arg[1] = be64toh(half[0]);
	arg[2] = be64toh(half[1]);
}

bool digest_matches_args(uint64_t size, const uint8_t digest[HASH_DIGEST_SIZE],
			 const uint64_t arg[FRAME_ARGS])
{
	uint64_t mine[FRAME_ARGS];

	digest_to_args(size, digest, mine);
	return !memcmp(mine, arg, 3 * sizeof(arg[0]));
}

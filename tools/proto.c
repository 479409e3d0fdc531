// SPDX-License-Identifier: GPL-2.0
#include "proto.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "util.h"

#define ERROR_TEXT_MAX		(STATUS_TEXT_SIZE - 1)
#define FAREWELL_TIMEOUT_MS	1000
/* Whole pages of the file in each frame, so that none is touched twice. */
#define DATA_ALIGN		4096
/* What part of the window is worth a call that hands it on, or back. */
#define FLUSH_PART		8

_Static_assert(sizeof(struct wire_frame) == FRAME_SIZE, "no padding");
_Static_assert(sizeof(struct wire_request) == 64, "no padding");
_Static_assert((FRAME_ARGS - 1) * sizeof(__le64) == HASH_DIGEST_SIZE, "END holds a digest");

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
	c->tx_bytes += FRAME_SIZE + len;
	w->check = htole32(XXH32(w, offsetof(struct wire_frame, check), FRAME_MAGIC));
}

/* How many arguments a frame has; those of an unknown one are not judged. */
static int frame_args(unsigned int type)
{
	static const uint8_t args[] = {
		[FRAME_HELLO] = 3,
		[FRAME_PUT] = 0,
		[FRAME_GET] = 0,
		[FRAME_BEGIN] = 4,
		[FRAME_GO] = 0,
		[FRAME_DATA] = 2,
		[FRAME_HOLE] = 2,
		[FRAME_END] = 5,
		[FRAME_DONE] = 5,
		[FRAME_ERROR] = 3,
		[FRAME_ENTRY] = 0,
		[FRAME_LEAVE] = 0,
		[FRAME_SKIP] = 3,
		[FRAME_FINISH] = 1,
		[FRAME_FAILED] = 3,
		[FRAME_RESEND] = 4,
		[FRAME_HAVE] = 3,
		[FRAME_FROM] = 1,
		[FRAME_LIST] = 0,
		[FRAME_PATH] = 2,
		[FRAME_SYNC] = 0,
		[FRAME_MORE] = 4,
		[FRAME_WANT] = 3,
		[FRAME_SIGNATURE] = 2,
		[FRAME_DELTA] = 1,
		[FRAME_NAMES] = 2,
		[FRAME_ABSENT] = 1,
		[FRAME_DELETED] = 1,
		[FRAME_GONE] = 1,
		[FRAME_RENAME] = 1,
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

int conv_flush(struct conv *c, struct status *st)
{
	int ret = ivring_chan_flush(c->ch);

	return ret ? conv_failed(c, ret, st) : 0;
}

int conv_send(struct conv *c, enum frame_type type, const uint64_t arg[FRAME_ARGS],
	      struct status *st)
{
	int ret = send_frame(c, type, arg, NULL, 0);

	return ret ? conv_failed(c, ret, st) : conv_flush(c, st);
}

/* Small frames share a call into the kernel, and the peer works on them meanwhile. */
static int flush_if_worth(struct conv *c)
{
	return c->ch->tx_span.done >= c->ch->window / FLUSH_PART ? ivring_chan_flush(c->ch) : 0;
}

int conv_put(struct conv *c, enum frame_type type, const uint64_t arg[FRAME_ARGS],
	     const void *payload, uint32_t len, struct status *st)
{
	int ret = send_frame(c, type, arg, payload, len);

	if (!ret)
		ret = flush_if_worth(c);
	return ret ? conv_failed(c, ret, st) : 0;
}

uint32_t payload_check(const void *payload, size_t len)
{
	return XXH32(payload, len, FRAME_MAGIC);
}

int conv_send_request(struct conv *c, enum frame_type type, const struct request *request,
		      struct status *st)
{
	uint8_t payload[sizeof(struct wire_request) + PATH_MAX];
	size_t path_len = strlen(request->path);
	struct wire_request w = {
		.entries = htole64(request->entries),
		.bytes = htole64(request->bytes),
		.data_bytes = htole64(request->data_bytes),
		.rate = htole64(request->rate),
		.min_free = htole64(request->min_free),
		.flags = htole32(request->flags),
		.keep = htole32(request->keep),
		.path_len = htole16(path_len),
		.hash = request->hash,
	};
	int ret;

	memcpy(payload, &w, sizeof(w));
	memcpy(payload + sizeof(w), request->path, path_len);
	w.check = htole32(payload_check(payload, sizeof(w) + path_len));
	memcpy(payload, &w, sizeof(w));
	ret = send_frame(c, type, NULL, payload, sizeof(w) + path_len);
	return ret ? conv_failed(c, ret, st) : conv_flush(c, st);
}

int conv_put_status(struct conv *c, enum frame_type type, const struct status *why,
		    uint64_t number, struct status *st)
{
	size_t len = strnlen(why->text, ERROR_TEXT_MAX);
	uint64_t arg[FRAME_ARGS] = { why->code, number, payload_check(why->text, len) };

	return conv_put(c, type, arg, why->text, len, st);
}

bool conv_has_room(struct conv *c, uint32_t len)
{
	int timeout_ms = c->ch->timeout_ms;
	uint64_t room;
	void *p;
	int ret;

	c->ch->timeout_ms = 0;
	ret = ivring_chan_reserve(c->ch, FRAME_SIZE + len, &p, &room);
	c->ch->timeout_ms = timeout_ms;
	return !ret;
}

void conv_send_error(struct conv *c, const struct status *why)
{
	size_t len = strnlen(why->text, ERROR_TEXT_MAX);
	uint64_t arg[FRAME_ARGS] = { why->code, 0, payload_check(why->text, len) };
	int timeout_ms = c->ch->timeout_ms;

	/* Whatever ended the conversation, this must not make it last. */
	if (c->error_sent)
		return;
	c->error_sent = true;
	c->ch->timeout_ms = stop_signal ? 0 : FAREWELL_TIMEOUT_MS;
	if (!send_frame(c, FRAME_ERROR, arg, why->text, len))
		ivring_chan_flush(c->ch);
	c->ch->timeout_ms = timeout_ms;
}

uint64_t conv_room_max(const struct conv *c)
{
	/* Several frames must fit, so that both sides copy at the same time. */
	uint64_t most = c->ch->window / 4 - FRAME_SIZE;

	if (most > DATA_ALIGN)
		most -= most % DATA_ALIGN;
	return most;
}

int conv_place_begin(struct conv *c, uint64_t want, void **payload, uint64_t *room,
		     struct status *st)
{
	uint64_t len;
	void *p;
	int ret;

	want = min_u64(want, conv_room_max(c));
	ret = ivring_chan_reserve(c->ch, FRAME_SIZE + want, &p, &len);
	if (ret)
		return conv_failed(c, ret, st);
	*payload = (uint8_t *)p + FRAME_SIZE;
	*room = want;
	return 0;
}

int conv_place_end(struct conv *c, enum frame_type type, const uint64_t arg[FRAME_ARGS],
		   uint64_t len, struct status *st)
{
	struct wire_frame w;
	uint64_t room;
	void *p;
	int ret;

	/* The span is still reserved: this does not wait, and gives the same place. */
	ret = ivring_chan_reserve(c->ch, FRAME_SIZE + len, &p, &room);
	if (!ret) {
		frame_encode(c, type, len, arg, &w);
		memcpy(p, &w, sizeof(w));
		ivring_chan_fill(c->ch, FRAME_SIZE + len);
		ret = flush_if_worth(c);
	}
	return ret ? conv_failed(c, ret, st) : 0;
}

/* Reads a text, of which the peer may have chosen every byte: it goes to a terminal. */
static void take_text(struct conv *c, uint64_t check, char text[ERROR_TEXT_MAX + 1])
{
	static const char damaged[] = "(garbled) ";
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
	/* One that was damaged on the way is better than none. */
	if (check != payload_check(text, used)) {
		memmove(text + sizeof(damaged) - 1, text,
			min_u64(used, ERROR_TEXT_MAX - sizeof(damaged)) + 1);
		memcpy(text, damaged, sizeof(damaged) - 1);
		text[ERROR_TEXT_MAX] = '\0';
	}
	make_printable(text);
}

static int take_error(struct conv *c, const struct frame *f, struct status *st)
{
	char text[ERROR_TEXT_MAX + 1];

	take_text(c, f->arg[2], text);
	/* There is nobody left to hear of errors. */
	c->error_sent = true;
	return status_set(st, status_from_peer(f->arg[0]), "%s",
			  text[0] ? text : "the other end gave no reason");
}

int conv_take_status(struct conv *c, const struct frame *f, struct status *why,
		     struct status *st)
{
	if (f->len > ERROR_TEXT_MAX)
		return status_set(st, STATUS_PROTOCOL, "a reason is too long");
	why->code = status_from_peer(f->arg[0]);
	take_text(c, f->arg[2], why->text);
	/* A text cut short means that the channel failed: the next frame tells. */
	return 0;
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
	c->rx_bytes += FRAME_SIZE;
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
	int64_t deadline = now_ns() + 2 * FAREWELL_TIMEOUT_MS * NSEC_PER_MSEC;
	int timeout_ms = c->ch->timeout_ms;
	int ret = -STATUS_PEER_GONE;
	struct wire_frame w;
	struct frame f;

	c->ch->timeout_ms = FAREWELL_TIMEOUT_MS;
	/* Who says that it has closed, and talks on, is not listened to for ever. */
	while (!stop_signal && now_ns() < deadline && !skip_payload(c) && !recv_header(c, &w) &&
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
	c->rx_bytes += len;
	c->rx_left -= len;
}

int conv_release(struct conv *c, struct status *st)
{
	int ret = 0;

	if (c->ch->rx_span.done >= c->ch->window / FLUSH_PART)
		ret = ivring_chan_release(c->ch);

	return ret ? conv_failed(c, ret, st) : 0;
}

int conv_take(struct conv *c, void *to, size_t len, struct status *st)
{
	uint8_t *out = to;
	uint64_t part;
	const void *p;
	int ret;

	if (len > c->rx_left)
		return status_set(st, STATUS_PROTOCOL, "a frame is shorter than it claims");
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

int conv_damaged(struct status *st)
{
	return status_set(st, STATUS_CONTENT, "what describes a file, or a wish, was damaged on "
			  "its way through shared memory");
}

static int bad_request(struct status *st)
{
	return status_set(st, STATUS_PROTOCOL, "a request makes no sense");
}

static bool all_zero(const uint8_t *p, size_t len)
{
	while (len && !*p) {
		p++;
		len--;
	}
	return !len;
}

int conv_take_request(struct conv *c, const struct frame *f, struct request *request,
		      struct status *st)
{
	uint8_t payload[sizeof(struct wire_request) + PATH_MAX];
	struct wire_request w;
	size_t path_len;
	uint32_t check;
	int ret;

	if (f->len < sizeof(w) || f->len >= sizeof(payload))
		return bad_request(st);
	ret = conv_take(c, payload, f->len, st);
	if (ret)
		return ret;
	memcpy(&w, payload, sizeof(w));
	check = le32toh(w.check);
	memset(payload + offsetof(struct wire_request, check), 0, sizeof(w.check));
	if (check != payload_check(payload, f->len))
		return conv_damaged(st);
	path_len = f->len - sizeof(w);
	if (path_len != le16toh(w.path_len))
		return bad_request(st);
	memset(request, 0, sizeof(*request));
	memcpy(request->path, payload + sizeof(w), path_len);
	request->entries = le64toh(w.entries);
	request->bytes = le64toh(w.bytes);
	request->data_bytes = le64toh(w.data_bytes);
	request->rate = le64toh(w.rate);
	request->min_free = le64toh(w.min_free);
	request->flags = le32toh(w.flags);
	request->keep = le32toh(w.keep);
	request->hash = w.hash;
	if (strlen(request->path) != path_len || request->data_bytes > request->bytes ||
	    request->bytes > INT64_MAX || request->min_free > INT64_MAX ||
	    (request->rate && request->rate < REQUEST_RATE_MIN) ||
	    request->flags & ~REQUEST_F_ALL ||
	    request->keep & ~KEEP_ALL ||
	    (w.hash != HASH_FASTEST && (w.hash >= HASH_KINDS || w.hash & HASH_BLOCKS)) ||
	    !all_zero(w.reserved, sizeof(w.reserved)))
		return bad_request(st);
	return 0;
}

int conv_send_resend(struct conv *c, const struct resend *resend, struct status *st)
{
	size_t len = strlen(resend->path);
	uint64_t arg[FRAME_ARGS] = { resend->number, resend->offset, resend->len,
				     payload_check(resend->path, len) };
	int ret = send_frame(c, FRAME_RESEND, arg, resend->path, len);

	return ret ? conv_failed(c, ret, st) : conv_flush(c, st);
}

int conv_take_resend(struct conv *c, const struct frame *f, struct resend *resend,
		     struct status *st)
{
	int ret;

	if (f->len >= sizeof(resend->path))
		return bad_request(st);
	ret = conv_take(c, resend->path, f->len, st);
	if (ret)
		return ret;
	if (f->arg[3] != payload_check(resend->path, f->len))
		return conv_damaged(st);
	resend->path[f->len] = '\0';
	resend->number = f->arg[0];
	resend->offset = f->arg[1];
	resend->len = f->arg[2];
	if (strlen(resend->path) != f->len || resend->offset > INT64_MAX || !resend->len ||
	    resend->len > INT64_MAX - resend->offset)
		return bad_request(st);
	return 0;
}

int conv_put_path(struct conv *c, const char *path, uint32_t flags, struct status *st)
{
	size_t len = strlen(path);
	uint64_t arg[FRAME_ARGS] = { payload_check(path, len), flags };

	return conv_put(c, FRAME_PATH, arg, path, len, st);
}

int conv_take_path(struct conv *c, const struct frame *f, char path[PATH_MAX],
		   struct status *st)
{
	int ret;

	if (f->len >= PATH_MAX || f->arg[1] & ~(uint64_t)PATH_F_ALL)
		return bad_request(st);
	ret = conv_take(c, path, f->len, st);
	if (ret)
		return ret;
	path[f->len] = '\0';
	if (f->arg[0] != payload_check(path, f->len))
		return conv_damaged(st);
	return strlen(path) == f->len ? 0 : bad_request(st);
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

bool conv_has_frame(struct conv *c)
{
	int timeout_ms = c->ch->timeout_ms;
	uint64_t len;
	const void *p;
	int ret;

	if (c->rx_left)
		return true;
	c->ch->timeout_ms = 0;
	ret = ivring_chan_peek(c->ch, FRAME_SIZE, &p, &len);
	c->ch->timeout_ms = timeout_ms;
	return ret != -EAGAIN && ret != -ETIMEDOUT;
}

bool conv_is_gone(struct conv *c)
{
	int timeout_ms = c->ch->timeout_ms;
	uint64_t len;
	const void *p;
	int ret;

	c->ch->timeout_ms = 0;
	ret = ivring_chan_peek(c->ch, 1, &p, &len);
	c->ch->timeout_ms = timeout_ms;
	return ret ? ret != -EAGAIN && ret != -ETIMEDOUT : !len;
}

int conv_start(struct conv *c, struct ivring_chan *ch, int timeout_ms, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { PROTO_VERSION_MIN, PROTO_VERSION, PROTO_F_ALL };
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
	c->features = f.arg[2];
	return 0;
}

void digest_to_args(uint64_t size, const uint8_t digest[HASH_DIGEST_SIZE],
		    uint64_t arg[FRAME_ARGS])
{
	uint64_t part[FRAME_ARGS - 1];
	size_t i;

	memcpy(part, digest, sizeof(part));
	arg[0] = size;
	for (i = 0; i < ARRAY_SIZE(part); i++)
		arg[i + 1] = be64toh(part[i]);
}

void digest_from_args(const uint64_t arg[FRAME_ARGS], uint8_t digest[HASH_DIGEST_SIZE])
{
	uint64_t part[FRAME_ARGS - 1];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(part); i++)
		part[i] = htobe64(arg[i + 1]);
	memcpy(digest, part, sizeof(part));
}

bool digest_matches_args(uint64_t size, const uint8_t digest[HASH_DIGEST_SIZE],
			 const uint64_t arg[FRAME_ARGS])
{
	uint64_t mine[FRAME_ARGS];

	digest_to_args(size, digest, mine);
	return !memcmp(mine, arg, sizeof(mine));
}

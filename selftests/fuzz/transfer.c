// SPDX-License-Identifier: GPL-2.0
/*
 * A hostile peer for the transfer protocol: the agent, pull and push as they are, over
 * a channel whose other end is the fuzzer's input.
 *
 * The input is a list of frames, each a few bytes that say what is in it. Sequence
 * numbers, lengths, checks and digests are filled in as they ought to be, or nothing
 * would get past them, unless the input says that this one is to be damaged.
 *
 * Checked besides what the sanitizers see: not a byte is read that the channel did not
 * give; nothing changes outside of a root, or in one that is read-only; what is not to
 * be read is not sent; limits hold; no set-id bit, device, temporary file or file
 * descriptor is left; a pull takes what it asked for and nothing else.
 */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sanitizer/asan_interface.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "agent.h"
#include "client.h"
#include "tempfile.h"
#include "util.h"

/* Those that open a link: there is none here. */
int fuzz_client_open(struct client *cl, const char *link, const struct client_options *o,
		     struct status *st);
void fuzz_client_close(struct client *cl);
#define client_open	fuzz_client_open
#define client_close	fuzz_client_close
#define local		pull_local
#define usage		pull_usage
#include "cmd-pull.c"
#undef local
#undef usage
#define local		push_local
#define usage		push_usage
#include "cmd-push.c"
#undef local
#undef usage
#define local		sync_local
#define usage		sync_usage
#include "cmd-sync.c"
#undef local
#undef usage
#define usage		ls_usage
#include "cmd-ls.c"
#undef usage

#define STREAM_MAX	(256U << 10)
#define WINDOW		(64U << 10)
#define SECRET		"never-to-be-sent"
#define FILES_MAX	12
#define BYTES_MAX	20000

static const uint8_t *input;
static size_t input_left;
static int report_fd = STDERR_FILENO;
static int base_fd;			/* of the directory that has all of this */

#define CHECK(x) do {								\
	if (!(x)) {								\
		dprintf(report_fd, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
		abort();							\
	}									\
} while (0)

static uint8_t next8(void)
{
	if (!input_left)
		return 0;
	input_left--;
	return *input++;
}

static uint64_t next_bytes(unsigned int n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | next8();
	return value;
}

/* Mostly small, and sometimes about where numbers end. */
static uint64_t next_number(void)
{
	uint8_t how = next8();

	if (how < 0xf0)
		return how;
	return how < 0xf4 ? next_bytes(2) : how < 0xf8 ? next_bytes(8) :
	       how == 0xf8 ? UINT64_MAX : how == 0xf9 ? INT64_MAX : how == 0xfa ? UINT32_MAX :
	       how == 0xfb ? PROTO_HOLE_MAX : how == 0xfc ? 4096 : how == 0xfd ? 1ULL << 40 : 0;
}

/* ---- what the peer sends ---- */

static uint8_t *stream;			/* STREAM_MAX bytes and no more */
static size_t stream_len;
static struct {
	uint32_t seq;
	uint64_t pos;			/* in the file that is being sent */
	uint64_t entries;
	uint64_t puts;
	uint64_t syncs;
	bool finished;			/* what comes now was asked for again */
	struct hash hash;
	enum hash_kind kind;
} peer;

static const char *const names[] = {
	"t", "a", "f", "d", "l", "out", "secret", "..", ".", "", "/", "a/b", "../outside/x",
	".ivring-abcdef", "b\033[2Jc", "t/f", "*", "?", "[!a]", "other",
};

static size_t put_name(char *to, size_t size)
{
	uint8_t how = next8();
	size_t len;

	if (how < 0xf0) {
		len = strlen(names[how % ARRAY_SIZE(names)]);
		memcpy(to, names[how % ARRAY_SIZE(names)], len);
		return len;
	}
	/* A long one, or any bytes. */
	len = min_u64(how < 0xf8 ? 200 + next8() : next8() % 16, size);
	memset(to, 'n', len);
	if (how >= 0xf8)
		for (how = 0; how < len; how++)
			to[how] = next8();
	return len;
}

static size_t put_path(char *to, size_t size)
{
	uint8_t parts = next8(), i;
	size_t len = 0;

	if (parts == 0xff) {
		len = size;
		memset(to, 'p', len);
		return len;
	}
	for (i = 0; i < parts % 5; i++) {
		if (len + 1 + 512 > size)
			break;
		if (i)
			to[len++] = '/';
		len += put_name(to + len, 512);
	}
	return len;
}

#define DAMAGE_PAYLOAD	(1 << 5)
#define DAMAGE_HEADER	(1 << 6)
#define DAMAGE_LENGTH	(1 << 7)

static void put_frame(uint8_t op, const uint64_t arg[FRAME_ARGS], uint8_t *payload, size_t len)
{
	struct wire_frame w = { .magic = htole32(FRAME_MAGIC), .type = htole16(op & 31) };
	int i;

	if (op & DAMAGE_PAYLOAD && len)
		payload[next_bytes(2) % len] ^= 1 + next8();
	if (stream_len + sizeof(w) + len > STREAM_MAX)
		return;
	w.seq = htole32(peer.seq++);
	w.len = htole32(op & DAMAGE_LENGTH ? next_number() : len);
	for (i = 0; i < FRAME_ARGS; i++)
		w.arg[i] = htole64(arg[i]);
	if (op & DAMAGE_HEADER)
		((uint8_t *)&w)[next8() % sizeof(w)] ^= 1 + next8();
	if (!(op & DAMAGE_HEADER) || next8() & 1)
		w.check = htole32(XXH32(&w, offsetof(struct wire_frame, check), FRAME_MAGIC));
	peer.puts += le16toh(w.type) == FRAME_PUT;
	peer.syncs += le16toh(w.type) == FRAME_SYNC;
	memcpy(stream + stream_len, &w, sizeof(w));
	memcpy(stream + stream_len + sizeof(w), payload, len);
	stream_len += sizeof(w) + len;
}

static uint8_t payload[STREAM_MAX];

static void put_request(uint8_t op)
{
	static const uint64_t arg[FRAME_ARGS];
	struct wire_request w = { 0 };
	size_t len;

	peer.finished = false;
	w.flags = htole32(next8() & REQUEST_F_ALL & ~(REQUEST_F_SYNC_FILE | REQUEST_F_SYNC_END |
						      REQUEST_F_DROP_CACHE));
	w.keep = htole32(next8());
	w.hash = next8();
	/* The other flags, where nothing is wished of the hash. */
	if (w.hash >= 0xe0 && w.hash < 0xf0)
		w.flags |= htole32((w.hash & 7) << 8);
	w.hash = w.hash < HASH_KINDS ? w.hash : HASH_FASTEST;
	if (op & DAMAGE_PAYLOAD) {
		w.entries = htole64(next_number());
		w.bytes = htole64(next_number());
		w.data_bytes = htole64(next_number());
		w.min_free = htole64(next_number());
	}
	len = put_path((char *)payload + sizeof(w), 3 * PATH_MAX);
	w.path_len = htole16(len);
	memcpy(payload, &w, sizeof(w));
	w.check = htole32(payload_check(payload, sizeof(w) + len));
	memcpy(payload, &w, sizeof(w));
	put_frame(op, arg, payload, sizeof(w) + len);
}

static size_t put_xattrs(uint8_t *to)
{
	static const char *const xattrs[] = {
		"user.a", "security.capability", "system.posix_acl_access", "trusted.x",
	};
	uint8_t count = next8() % 4;
	struct wire_xattr w = { 0 };
	size_t used = 0, name, value;

	while (count--) {
		name = next8();
		value = next_number() % 3000;
		w.name_len = htole16(strlen(xattrs[name % 4]) + 1 + (name > 0xf0 ? name : 0));
		w.value_len = htole32(name & 0x40 ? next_number() : value);
		memcpy(to + used, &w, sizeof(w));
		used += sizeof(w);
		strcpy((char *)to + used, xattrs[name % 4]);
		used += strlen(xattrs[name % 4]) + 1;
		memset(to + used, 'x', value);
		used += value;
	}
	return used;
}

static size_t fill_content(uint8_t *to, size_t len)
{
	memset(to, 'c', len);
	if (peer.kind < HASH_KINDS)
		hash_data(&peer.hash, to, len);
	peer.pos += len;
	return len;
}

static void put_entry(uint8_t op)
{
	static const mode_t types[] = {
		S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFDIR, S_IFLNK, S_IFIFO, S_IFCHR, S_IFBLK,
		S_IFSOCK,
	};
	static const uint64_t arg[FRAME_ARGS];
	uint8_t how = next8(), more = next8(), bare;
	mode_t type = types[how % ARRAY_SIZE(types)];
	size_t at = sizeof(struct wire_entry), len;
	struct wire_entry w = { 0 };
	size_t inline_len = 0;

	/* Without content, in some dry run or where none was asked for; or to become a delta */
	bare = how >= 0x60 && how < 0x68 ? ENTRY_F_BARE : how == 0x6e ? ENTRY_F_DELTA : 0;
	if (how == 0x65)
		bare |= ENTRY_F_HASHED;
	w.mode = htole32(type | (how & 0x80 ? next_bytes(2) & 07777 : 0755));
	w.flags = htole32((more & 7) | bare);
	w.size = htole64(type == S_IFREG ? next_number() : 0);
	w.data_bytes = htole64(more & 0x40 ? next_number() : 0);
	w.uid = htole32(more & 0x20 ? next8() : geteuid());
	w.gid = htole32(getegid());
	w.mtime_sec = htole64(more & 0x10 ? next_number() : 1);
	peer.kind = more & 0x08 ? next8() : HASH_PLAIN;
	w.hash_kind = htole32(peer.kind);
	peer.pos = 0;
	if (peer.kind < HASH_KINDS && (!hash_known(peer.kind) || hash_init(&peer.hash, peer.kind)))
		peer.kind = HASH_KINDS;
	len = put_name((char *)payload + at, 512);
	w.name_len = htole16(len);
	at += len;
	if (type == S_IFLNK || more & ENTRY_F_LINK) {
		len = put_path((char *)payload + at, PATH_MAX + 512);
		w.target_len = htole16(len);
		at += len;
	}
	if (more & 0x80) {
		len = put_name((char *)payload + at, 512);
		w.user_len = htole16(len);
		at += len;
		len = put_xattrs(payload + at);
		w.xattrs_len = htole32(len);
		at += len;
	}
	if (more & ENTRY_F_INLINE && le64toh(w.size) < 60000) {
		inline_len = fill_content(payload + at, le64toh(w.size));
		if (peer.kind < HASH_KINDS)
			hash_final(&peer.hash, w.digest);
	}
	memcpy(payload, &w, sizeof(w));
	w.check = htole32(payload_check(payload, at));
	memcpy(payload, &w, sizeof(w));
	peer.entries++;
	put_frame(op, arg, payload, at + inline_len);
}

static void put_content(uint8_t op)
{
	static struct hash spare;
	uint64_t arg[FRAME_ARGS] = { peer.pos }, len = next_number();

	if (op & DAMAGE_PAYLOAD || peer.finished)
		arg[0] = next_number();
	if ((op & 31) == FRAME_DATA) {
		len = fill_content(payload, len % 60000);
		/* A wrong one is a block that is asked for again. */
		if (peer.finished && !(op & DAMAGE_LENGTH))
			arg[1] = XXH64(payload, len, 0);
		else if (peer.kind < HASH_KINDS && !(op & DAMAGE_LENGTH))
			arg[1] = hash_so_far(&peer.hash, &spare);
		put_frame(op & ~DAMAGE_LENGTH, arg, payload, len);
		return;
	}
	arg[1] = len;
	if (peer.kind < HASH_KINDS && len <= 1U << 20)
		hash_zeros(&peer.hash, len);
	peer.pos += len;
	put_frame(op, arg, payload, 0);
}

static void put_sync(uint8_t op)
{
	static const uint64_t arg[FRAME_ARGS];
	struct wire_sync w = { 0 };
	uint8_t how = next8(), rules = how % 4;
	size_t len = sizeof(w), name;

	w.flags = htole32(next8() & SYNC_F_ALL);
	w.max_delete = htole64(next_number());
	if (le32toh(w.flags) & SYNC_F_BACKUP) {
		w.suffix_len = htole16(1);
		payload[len++] = '~';
	}
	name = len;
	while (rules--) {
		payload[len++] = next8() & 1 ? '+' : '-';
		len += put_name((char *)payload + len, 300);
		payload[len++] = '\0';
	}
	/* Or one without an end */
	if (how & 0x80 && len > name)
		len--;
	w.rules_len = htole32(len - name);
	memcpy(payload, &w, sizeof(w));
	w.check = htole32(payload_check(payload, len));
	memcpy(payload, &w, sizeof(w));
	put_frame(op, arg, payload, len);
}

/* A delta, or a signature, of whatever bytes; the first one begins as it ought to. */
static void put_stream(uint8_t op)
{
	static const uint8_t delta[] = { 'r', 's', 2, '6' };
	static const uint8_t signature[] = { 'r', 's', 1, 'G', 0, 0, 4, 0, 0, 0, 0, 8 };
	uint8_t how = next8();
	uint64_t arg[FRAME_ARGS] = { 0, how >> 7 };
	size_t len = 0, n = how & 0x3f;

	if (how & 0x40 && (op & 31) == FRAME_DELTA) {
		memcpy(payload, delta, len = sizeof(delta));
		arg[1] = 0;
	} else if (how & 0x40) {
		memcpy(payload, signature, len = sizeof(signature));
	}
	while (n--)
		payload[len++] = next8();
	arg[0] = XXH64(payload, len, 0);
	if ((op & 31) == FRAME_DELTA)
		arg[1] = 0;
	/* A few bytes of content, which END has the hash of. */
	if (how & 0x40 && (op & 31) == FRAME_DELTA && len > 5 && payload[4] && payload[4] <= 64 &&
	    len >= 5U + payload[4] && peer.kind < HASH_KINDS) {
		hash_data(&peer.hash, payload + 5, payload[4]);
		peer.pos += payload[4];
	}
	put_frame(op, arg, payload, len);
}

/* What is there and what is not: names, and bits for those of the other end. */
static void put_names(uint8_t op)
{
	uint8_t how = next8(), i;
	uint64_t arg[FRAME_ARGS] = { 0 };
	size_t len = 0;

	if ((op & 31) == FRAME_ABSENT) {
		len = how < 0xf0 ? how % 8 : 1000;
		memset(payload, next8(), len);
	} else {
		for (i = 0; i < how % 8; i++) {
			len += put_path((char *)payload + len, 2000);
			if ((op & 31) == FRAME_NAMES || (op & 31) == FRAME_RENAME)
				payload[len++] = '\0';
		}
		arg[1] = (op & 31) == FRAME_NAMES ? how % 8 + (how >> 7) : 0;
	}
	arg[0] = payload_check(payload, len);
	put_frame(op, arg, payload, len);
}

static void put_end(uint8_t op)
{
	uint8_t digest[HASH_DIGEST_SIZE] = { 0 };
	uint64_t arg[FRAME_ARGS];

	if (peer.kind < HASH_KINDS)
		hash_final(&peer.hash, digest);
	digest_to_args(peer.pos, digest, arg);
	put_frame(op, arg, payload, 0);
}

static void put_other(uint8_t op)
{
	uint64_t arg[FRAME_ARGS] = { 0 };
	size_t len = 0, i;

	for (i = next8() % (FRAME_ARGS + 1); i-- > 0; )
		arg[i] = next_number();
	if ((op & 31) == FRAME_FINISH && !(op & DAMAGE_PAYLOAD)) {
		arg[0] = peer.entries;
		peer.entries = 0;
		peer.finished = true;
	}
	if ((op & 31) == FRAME_ERROR || (op & 31) == FRAME_SKIP || (op & 31) == FRAME_FAILED) {
		len = next_number() % 2000;
		memset(payload, '\033', len);
		arg[2] = payload_check(payload, min_u64(len, STATUS_TEXT_SIZE - 1));
	} else if ((op & 31) == FRAME_PATH) {
		len = put_path((char *)payload, PATH_MAX + 512);
		arg[0] = payload_check(payload, len);
		arg[1] &= 1;
	} else if ((op & 31) == FRAME_RESEND) {
		len = put_path((char *)payload, PATH_MAX + 512);
		arg[3] = payload_check(payload, len);
	}
	put_frame(op, arg, payload, len);
}

static void make_stream(void)
{
	static const uint64_t hello[FRAME_ARGS] = { PROTO_VERSION_MIN, PROTO_VERSION };
	static const uint8_t types[32] = {
		FRAME_ENTRY, FRAME_SYNC, FRAME_MORE, FRAME_WANT, FRAME_SIGNATURE, FRAME_DELTA,
		FRAME_NAMES, FRAME_PUT, FRAME_HAVE, FRAME_FROM, FRAME_GET, FRAME_LIST, FRAME_DATA,
		FRAME_ABSENT, FRAME_DELETED, FRAME_GONE, FRAME_HOLE, FRAME_END, FRAME_RENAME, FRAME_END,
		FRAME_LEAVE, FRAME_PATH, FRAME_FINISH, FRAME_FINISH, FRAME_RESEND, FRAME_SKIP,
		FRAME_FAILED, FRAME_DONE, FRAME_BEGIN, FRAME_GO, FRAME_ERROR, 31,
	};
	uint8_t op;

	memset(&peer.seq, 0, offsetof(typeof(peer), hash));
	peer.kind = HASH_KINDS;
	stream_len = 0;
	put_frame(FRAME_HELLO, hello, payload, 0);
	while (input_left) {
		op = next8();
		op = (op & ~31) | types[op & 31];
		switch (op & 31) {
		case FRAME_PUT:
		case FRAME_GET:
		case FRAME_LIST:
			put_request(op);
			break;
		case FRAME_ENTRY:
			put_entry(op);
			break;
		case FRAME_DATA:
		case FRAME_HOLE:
			put_content(op);
			break;
		case FRAME_END:
			put_end(op);
			break;
		case FRAME_SYNC:
			put_sync(op);
			break;
		case FRAME_SIGNATURE:
		case FRAME_DELTA:
			put_stream(op);
			break;
		case FRAME_NAMES:
		case FRAME_ABSENT:
		case FRAME_DELETED:
		case FRAME_GONE:
		case FRAME_RENAME:
			put_names(op);
			break;
		default:
			put_other(op);
		}
	}
}

/* ---- the channel ---- */

static struct {
	struct ivring_chan chan;	/* first */
	size_t taken, given;
	size_t piece;			/* of the stream at a time */
	int end;			/* what comes after it: 0 or -errno */
	bool no_room;
	unsigned int commits;		/* until the peer takes no more */
	uint64_t prod;
} pipe_end;

static int pipe_reserve(struct ivring_chan *ch, struct ivring_span *span)
{
	CHECK(span->min && span->min <= WINDOW);
	if (!pipe_end.commits)
		return -EPIPE;
	if (pipe_end.no_room && !span->timeout_ns)
		return -EAGAIN;
	span->offset = pipe_end.prod % ch->ring_size;
	span->len = WINDOW;
	return 0;
}

static int pipe_commit(struct ivring_chan *ch, struct ivring_span *span)
{
	CHECK(span->offset == pipe_end.prod % ch->ring_size && span->len <= WINDOW);
	CHECK(!memmem(ch->tx + span->offset, span->len, SECRET, strlen(SECRET)));
	pipe_end.prod += span->len;
	if (pipe_end.commits)
		pipe_end.commits--;
	return 0;
}

static int pipe_peek(struct ivring_chan *ch, struct ivring_span *span)
{
	size_t left = stream_len - pipe_end.taken;
	size_t some = min_u64(left, pipe_end.piece > span->min ? pipe_end.piece : span->min);

	CHECK(span->min && span->min <= WINDOW);
	/* What is there at once would be before what it is an answer to. */
	if (pipe_end.no_room && !span->timeout_ns)
		return -EAGAIN;
	if (left < span->min && pipe_end.end)
		return pipe_end.end;
	if (pipe_end.given < pipe_end.taken + some)
		pipe_end.given = pipe_end.taken + some;
	some = pipe_end.given - pipe_end.taken;
	ASAN_UNPOISON_MEMORY_REGION(stream, pipe_end.given);
	span->offset = pipe_end.taken;
	span->len = some;
	return 0;
}

static int pipe_release(struct ivring_chan *ch, struct ivring_span *span)
{
	CHECK(span->offset == pipe_end.taken && span->len <= pipe_end.given - pipe_end.taken);
	pipe_end.taken += span->len;
	return 0;
}

static bool pipe_is_reset(struct ivring_chan *ch)
{
	return false;
}

static void pipe_close(struct ivring_chan *ch)
{
}

static const struct ivring_chan_ops pipe_ops = {
	.reserve = pipe_reserve,
	.commit = pipe_commit,
	.peek = pipe_peek,
	.release = pipe_release,
	.is_reset = pipe_is_reset,
	.close = pipe_close,
};

static void pipe_init(uint8_t how)
{
	static const int ends[] = { 0, 0, -ECONNRESET, -EPROTO };
	static const size_t pieces[] = { 1, 63, 4096, STREAM_MAX };
	/* What is sent is only looked at. */
	static uint8_t tx[STREAM_MAX + WINDOW];
	struct ivring_chan *ch = &pipe_end.chan;

	memset(&pipe_end, 0, sizeof(pipe_end));
	pipe_end.end = ends[how & 3];
	pipe_end.piece = pieces[how >> 2 & 3];
	pipe_end.no_room = how & 0x10;
	pipe_end.commits = how & 0x20 ? how >> 6 : UINT32_MAX;
	ch->ops = &pipe_ops;
	ch->fd = -1;
	ch->timeout_ms = 60000;
	ch->tx = tx;
	ch->rx = stream;
	ch->ring_size = STREAM_MAX;
	ch->window = WINDOW;
}

int fuzz_client_open(struct client *cl, const char *link, const struct client_options *o,
		     struct status *st)
{
	int ret;

	if (cl->open)
		return 0;
	cl->options = o;
	cl->chan = pipe_end.chan;
	snprintf(cl->name, sizeof(cl->name), "%s", link);
	ret = conv_start(&cl->conv, &pipe_end.chan, 1000, st);
	cl->open = !ret;
	return ret;
}

void fuzz_client_close(struct client *cl)
{
	cl->open = false;
}

/* ---- the files ---- */

static void must(bool condition)
{
	CHECK(condition);
}

static int open_dir(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void make_file(int dirfd, const char *name, const char *content)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	must(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	close(fd);
}

static void make_big(const char *name, size_t len)
{
	int fd = openat(base_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	char line[16];

	while (len > sizeof(line)) {
		snprintf(line, sizeof(line), "%14zu\n", len);
		must(fd >= 0 && write(fd, line, sizeof(line)) == sizeof(line));
		len -= sizeof(line);
	}
	close(fd);
}

/* What was found when it was cleared away. */
struct found {
	uint64_t files;
	uint64_t content;		/* bytes that only a peer sends so many of */
};

static uint64_t count_content(int dirfd, const char *name)
{
	static uint8_t buf[65536];
	uint64_t count = 0;
	off_t pos = 0;
	ssize_t n, i;
	int fd;

	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0;
	/* Not the holes, which may be without end. */
	while ((pos = lseek(fd, pos, SEEK_DATA)) >= 0 &&
	       (n = pread(fd, buf, sizeof(buf), pos)) > 0) {
		for (i = 0; i < n; i++)
			count += buf[i] == 'c';
		pos += n;
	}
	close(fd);
	return count;
}

static void clear_dir(int dirfd, struct found *found)
{
	struct dirent *entry;
	struct stat stat;
	DIR *d;
	int sub;

	d = fdopendir(dirfd);
	must(d);
	while ((entry = readdir(d))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		must(!fstatat(dirfd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW));
		found->files++;
		if (S_ISREG(stat.st_mode) && stat.st_nlink == 1)
			found->content += count_content(dirfd, entry->d_name);
		CHECK(!tempfile_is_name(entry->d_name));
		CHECK(S_ISLNK(stat.st_mode) || !(stat.st_mode & 06000));
		CHECK(!S_ISCHR(stat.st_mode) && !S_ISBLK(stat.st_mode));
		if (S_ISDIR(stat.st_mode)) {
			fchmodat(dirfd, entry->d_name, 0700, 0);
			sub = open_dir(dirfd, entry->d_name);
			must(sub >= 0);
			clear_dir(sub, found);
		}
		must(!unlinkat(dirfd, entry->d_name, S_ISDIR(stat.st_mode) ? AT_REMOVEDIR : 0));
	}
	closedir(d);
}

static struct found clear(const char *name)
{
	struct found found = { 0 };
	int fd = open_dir(base_fd, name);

	must(fd >= 0);
	clear_dir(fd, &found);
	return found;
}

/* A file, a directory with a file in it, and ways out. */
#define FIRST_FILES	5

static void fill_root(const char *name)
{
	int fd = open_dir(base_fd, name);

	must(fd >= 0);
	make_file(fd, "f", "content");
	must(!mkdirat(fd, "d", 0755));
	make_file(fd, "d/f", "more content");
	must(!symlinkat("..", fd, "l") && !symlinkat("../outside", fd, "out"));
	close(fd);
}

/* Outside, and in a directory that may not be written to, all is as it was. */
static void check_outside(void)
{
	static const char *const files[] = {
		"outside/secret", "archive/f", "archive/d/f", "archive/l", "archive/out",
	};
	static struct timespec then[ARRAY_SIZE(files) + 3];
	static const char *const dirs[] = { ".", "outside", "archive" };
	struct stat stat;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		must(!fstatat(base_fd, files[i], &stat, AT_SYMLINK_NOFOLLOW));
		CHECK(!then[i].tv_sec || !memcmp(&then[i], &stat.st_ctim, sizeof(then[i])));
		then[i] = stat.st_ctim;
	}
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		must(!fstatat(base_fd, dirs[i], &stat, 0));
		CHECK(!then[ARRAY_SIZE(files) + i].tv_sec ||
		      !memcmp(&then[ARRAY_SIZE(files) + i], &stat.st_mtim, sizeof(then[0])));
		then[ARRAY_SIZE(files) + i] = stat.st_mtim;
	}
}

/* ---- those under test ---- */

static void open_root(struct roots *roots, const char *spec)
{
	struct status st;

	must(!roots_add(roots, spec, &st));
}

static void test_agent(uint8_t how)
{
	static struct agent agent;
	struct found found;
	struct status st;
	size_t i;

	memset(&agent, 0, sizeof(agent));
	agent.timeout_ms = 60000;
	agent.chunk = SEND_CHUNK_DEFAULT;
	agent.label = "fuzz";
	agent.audit = how & 1 ? AUDIT_STDERR : 0;
	agent.recv.umask = 022;
	agent.recv.allowed = KEEP_ALL & ~(KEEP_DEVICES | KEEP_SETID);
	agent.recv.max_files = FILES_MAX;
	agent.recv.max_bytes = BYTES_MAX;
	if (how & 2) {
		open_root(&agent.roots, "root");
	} else {
		open_root(&agent.roots, "d=root");
		open_root(&agent.roots, "f=archive:ro");
		open_root(&agent.roots, "t=outside:wo");
		/* It has what must not be read, and is not to be written to here. */
		agent.roots.list[2].no_push = true;
	}
	must(!roots_open(&agent.roots, &st));
	agent_converse(&agent, &pipe_end.chan);
	for (i = 0; i < agent.roots.count; i++)
		close(agent.roots.list[i].dir.fd);
	found = clear("root");
	/*
	 * A request may make the directory that all goes into, besides; and of a sync what
	 * was there may stay under another name.
	 */
	CHECK(found.files <= FIRST_FILES + peer.puts * (2 * FILES_MAX + 1));
	/* A few were there before. */
	CHECK(found.content <= 10 + peer.puts * BYTES_MAX);
	CHECK(peer.syncs || found.files <= FIRST_FILES + peer.puts * (FILES_MAX + 1));
	fill_root("root");
}

static void test_pull(uint8_t how)
{
	static const char *const sources[] = { "x:t", "x:d/", "x:", "x:d/f", "x:d/*" };
	static const char *const dests[] = { "dest", "dest/", "dest/new", NULL };
	static struct pull p;
	const char *source = sources[how & 0x40 ? 4 : how >> 2 & 3], *asked;
	struct dirent *entry;
	DIR *d;

	memset(&p, 0, sizeof(p));
	p.options = (struct client_options)CLIENT_OPTIONS_DEFAULT;
	p.options.send.keep = (how & 0x80 ? KEEP_ALL : 0) & ~(KEEP_DEVICES | KEEP_SETID);
	p.options.report.json = how & 0x10;
	p.options.report.verbose = how & 0x20;
	p.recv.umask = 022;
	p.recv.allowed = KEEP_ALL;
	p.command = "pull";
	p.dest = dests[how & 3];
	report_init(&p.report, p.command, &p.options.report);
	pull_source(&p, source);
	recv_free(&p.receiver);
	/* Only what it asked for is there besides what was, and that is as it was. */
	asked = how & 0x40 ? NULL : path_base(source + 2);
	d = fdopendir(open_dir(base_fd, "dest"));
	must(d);
	while (asked && (entry = readdir(d)))
		CHECK(entry->d_name[0] == '.' || !strcmp(entry->d_name, asked) ||
		      !strcmp(entry->d_name, "old") || !strcmp(entry->d_name, "new"));
	closedir(d);
	clear("dest");
	d = fdopendir(open_dir(base_fd, "dest"));
	make_file(dirfd(d), "old", "old");
	closedir(d);
}

static void test_push(uint8_t how)
{
	static char *sources[][2] = { { "archive/f" }, { "archive" }, { "archive/f", "archive/d" } };
	static struct push p;
	char **source = sources[how % 3];

	memset(&p, 0, sizeof(p));
	p.options = (struct client_options)CLIENT_OPTIONS_DEFAULT;
	p.options.send.keep = how & 0x80 ? KEEP_ALL : 0;
	p.options.report.json = how & 0x10;
	p.options.report.verbose = how & 0x20;
	strcpy(p.link, "x");
	p.path = "t";
	p.sources = (char *[]){ source[0], source[1] };
	p.count = source[1] ? 2 : 1;
	push_run(&p);
}

static void test_sync(uint8_t how, bool to_far)
{
	static char *const far[] = { "t", "d/", "", "d/f" };
	static struct syncer y;
	struct dirent *entry;
	const char *asked;
	int fd;
	DIR *d;

	memset(&y, 0, sizeof(y));
	y.options = (struct client_options)CLIENT_OPTIONS_DEFAULT;
	y.options.report.json = how & 0x10;
	y.options.report.verbose = how & 0x20;
	y.sync.max_delete = how & 0x40 ? 2 : UINT64_MAX;
	y.sync.flags = SYNC_F_DELETE | (how & 0x80 ? SYNC_F_CHECKSUM : 0) |
		       (how & 8 ? SYNC_F_ITEMIZE : 0);
	strcpy(y.link, "x");
	y.to_far = to_far;
	y.far = far[how & 3];
	y.near = to_far ? how & 4 ? "archive" : "archive/big" : "dest";
	y.name = "x";
	if (!to_far) {
		fd = open_dir(base_fd, "dest");
		must(!mkdirat(fd, "t", 0755) && !mkdirat(fd, "other", 0755));
		make_file(fd, "t/gone", "gone");
		close(fd);
	}
	sync_run(&y);
	umask(0);
	if (to_far)
		return;
	/* Only what it asked for has come, and what lies beside it has stayed. */
	asked = path_base(y.far);
	d = fdopendir(open_dir(base_fd, "dest"));
	must(d);
	while (asked && (entry = readdir(d)))
		CHECK(entry->d_name[0] == '.' || !strcmp(entry->d_name, asked) ||
		      !strcmp(entry->d_name, "old") || !strcmp(entry->d_name, "other") ||
		      !strcmp(entry->d_name, "t"));
	CHECK(!asked || !unlinkat(base_fd, "dest/other", AT_REMOVEDIR));
	CHECK(!asked || !faccessat(base_fd, "dest/old", F_OK, 0));
	closedir(d);
	clear("dest");
	fd = open_dir(base_fd, "dest");
	make_file(fd, "old", "old");
	close(fd);
}

/* Rounds of changes, as ivring watch sends them. */
static void test_list(uint8_t how)
{
	static const struct path_root here = { .fd = AT_FDCWD, .whose = "the local" };
	static const struct send_change changes[] = {
		{ .path = "f", .flags = SEND_F_CONTENT }, { .path = "d/f", .flags = SEND_F_ALONE },
		{ .path = "none", .flags = SEND_F_REMOVED | SEND_F_WAS_DIR },
		{ .path = "d" }, { .path = "big", .flags = SEND_F_CONTENT },
	};
	static struct client_options o = CLIENT_OPTIONS_DEFAULT;
	struct sync sync = { .flags = SYNC_F_LISTED | SYNC_F_DELETE, .max_delete = UINT64_MAX };
	static struct sender s;
	struct client cl = { 0 };
	bool damaged;
	enum send_kind kind;
	struct status st;
	unsigned int i;
	int ret;

	memset(&s, 0, sizeof(s));
	ret = client_open(&cl, "x", &o, &st);
	send_init(&s, &cl.conv, &o.send, NULL);
	if (!ret)
		ret = send_set_sync(&s, &sync, &st);
	if (!ret)
		ret = send_list_open(&s, &here, how & 4 ? "archive" : "archive/", &st);
	for (i = 0; !ret && i < 2; i++) {
		ret = send_list_begin(&s, &st);
		if (!ret && how & 1 << i)
			ret = send_list_change(&s, &changes[how >> 3 & 3], &kind, &st);
		if (!ret && how & 0x20)
			ret = send_list_rename(&s, "none", changes[3 + i].path, SEND_F_WAS_DIR, &st);
		if (!ret)
			ret = send_list_change(&s, &changes[4 - i], &kind, &st);
		if (!ret)
			ret = send_list_end(&s, &damaged, &st);
	}
	if (!ret)
		send_finish(&s, &st);
	send_free(&s);
	client_close(&cl);
}

static void test_ls(uint8_t how)
{
	static const char *const paths[] = { "", "d", "d/*", "*" };
	static struct ls ls;
	struct status st;

	memset(&ls, 0, sizeof(ls));
	ls.options = (struct client_options)CLIENT_OPTIONS_DEFAULT;
	ls.all = how & 4;
	ls.slash = how & 8;
	ls.full = how & 0x10;
	ls.null = how & 0x20;
	ls.json = how & 0x40;
	list_path(&ls, "x", paths[how & 3], &st);
	CHECK(!ls.count);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *where = getenv("FUZZ_DIR");

	/* What is tested may talk; what is found must be heard. */
	report_fd = dup(STDERR_FILENO);
	must(where && !chdir(where));
	base_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	umask(0);
	must(!mkdir("root", 0755) && !mkdir("dest", 0755) && !mkdir("outside", 0755) &&
	     !mkdir("archive", 0755));
	fill_root("root");
	fill_root("archive");
	make_big("archive/big", SYNC_DELTA_MIN + 5000);
	make_file(base_fd, "outside/secret", SECRET);
	/* Nor to be listed. */
	make_file(base_fd, "outside/" SECRET, "");
	make_file(base_fd, "dest/old", "old");
	stream = malloc(STREAM_MAX);
	must(stream && !hash_init(&peer.hash, HASH_PLAIN));
	hash_choose(HASH_FASTEST, 1, 1);
	return 0;
}

/* No more than these are ever open at once. */
#define FDS_MAX		64

static int count_fds(void)
{
	int fd, count = 0;

	for (fd = 0; fd < FDS_MAX; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t who, how, channel;
	int fds = count_fds();

	input = data;
	input_left = size;
	who = next8();
	how = next8();
	channel = next8();
	ASAN_UNPOISON_MEMORY_REGION(stream, STREAM_MAX);
	make_stream();
	ASAN_POISON_MEMORY_REGION(stream, STREAM_MAX);
	pipe_init(channel);
	switch (who & 7) {
	case 0:
	case 1:
		test_agent(how);
		break;
	case 2:
		test_pull(how);
		break;
	case 3:
		test_push(how);
		break;
	case 4:
		test_ls(how);
		break;
	case 5:
		test_sync(how, true);
		break;
	case 6:
		test_sync(how, false);
		break;
	case 7:
		test_list(how);
		break;
	}
	check_outside();
	CHECK(count_fds() == fds);
	return 0;
}

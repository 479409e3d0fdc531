// SPDX-License-Identifier: GPL-2.0
/* The transfer protocol between an agent's thread and a client, both honest and not. */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "agent.h"
#include "memlink.h"
#include "proto.h"
#include "tap.h"
#include "util.h"

#define MIB	(1ULL << 20)

static char dir[] = "/tmp/ivring-test-proto-XXXXXX";
static int dirfd_root;

struct pair {
	struct memlink link;
	struct agent agent;
	pthread_t thread;
	int result;
	struct ivring_chan *ch;		/* the client's */
	struct conv conv;
};

static void *agent_thread(void *arg)
{
	struct pair *p = arg;
	struct ivring_chan *ch = memlink_chan(&p->link, 1);

	p->result = agent_converse(&p->agent, ch);
	ivring_chan_close(ch);
	return NULL;
}

static void pair_start(struct pair *p, uint64_t ring_size, uint64_t window)
{
	memset(p, 0, sizeof(*p));
	memlink_init(&p->link, ring_size, window);
	p->agent.roots.count = 1;
	p->agent.roots.list[0].dir = (struct path_root){
		.fd = dirfd_root, .confined = true, .whose = "the agent's",
	};
	p->agent.timeout_ms = 5000;
	p->agent.chunk = SEND_CHUNK_DEFAULT;
	p->agent.recv.allowed = KEEP_ALL;
	p->agent.label = "test";
	p->ch = memlink_chan(&p->link, 0);
}

static void pair_run(struct pair *p)
{
	if (pthread_create(&p->thread, NULL, agent_thread, p))
		exit(1);
}

/* Ends the conversation; the agent's result. */
static int pair_end(struct pair *p)
{
	ivring_chan_close(p->ch);
	pthread_join(p->thread, NULL);
	memlink_destroy(&p->link);
	return p->result;
}

static void fill(int fd, uint64_t offset, uint64_t len)
{
	uint8_t buf[4096];
	uint64_t part;
	size_t i;

	while (len) {
		part = min_u64(len, sizeof(buf));
		for (i = 0; i < part; i++)
			buf[i] = (offset + i) * 2654435761u >> 13;
		if (pwrite(fd, buf, part, offset) != (ssize_t)part)
			exit(1);
		offset += part;
		len -= part;
	}
}

static int make_file(uint64_t size)
{
	int fd = memfd_create("source", MFD_CLOEXEC);

	if (fd < 0)
		exit(1);
	fill(fd, 0, size);
	return fd;
}

static bool same_content(int a, int b, uint64_t size)
{
	uint8_t x[65536], y[65536];
	uint64_t pos, part;

	for (pos = 0; pos < size; pos += part) {
		part = min_u64(size - pos, sizeof(x));
		if (pread(a, x, part, pos) != (ssize_t)part ||
		    pread(b, y, part, pos) != (ssize_t)part || memcmp(x, y, part))
			return false;
	}
	return pread(b, y, 1, size) == 0;
}

static bool no_temp_files(void)
{
	struct dirent *entry;
	bool none = true;
	DIR *d = opendir(dir);

	while ((entry = readdir(d)))
		if (strstr(entry->d_name, ".ivring-"))
			none = false;
	closedir(d);
	return none;
}

/* What came of one file. */
struct outcome {
	struct watcher watcher;
	int code;			/* of its failure */
	char text[STATUS_TEXT_SIZE];
	enum hash_kind hash_kind;
	uint8_t digest[HASH_DIGEST_SIZE];
};

static void on_done(struct watcher *w, const struct entry *e, const char *path)
{
	struct outcome *o = (struct outcome *)w;

	(void)path;
	o->hash_kind = e->hash_kind;
	memcpy(o->digest, e->digest, sizeof(o->digest));
}

static void on_failed(struct watcher *w, const struct status *why, uint64_t number)
{
	struct outcome *o = (struct outcome *)w;

	(void)number;
	o->code = why->code;
	snprintf(o->text, sizeof(o->text), "%s", why->text);
}

static void outcome_init(struct outcome *o)
{
	memset(o, 0, sizeof(*o));
	o->watcher = (struct watcher){ .done = on_done, .failed = on_failed };
}

static int request(struct pair *p, enum frame_type type, const char *path, uint32_t flags,
		   struct status *st)
{
	static struct request r;

	memset(&r, 0, sizeof(r));
	r.flags = flags;
	strcpy(r.path, path);
	return conv_send_request(&p->conv, type, &r, st);
}

/* The failure of a file is that of all. */
static int result_of(int ret, const struct outcome *o, struct status *st)
{
	if (!ret && o->code) {
		ret = -o->code;
		st->code = o->code;
		strcpy(st->text, o->text);
	}
	return ret;
}

static int put_flags(struct pair *p, int fd, const char *path, uint32_t flags,
		     struct outcome *o, struct status *st)
{
	static const struct path_root local = { .fd = AT_FDCWD, .whose = "the local" };
	struct send_options options = { .chunk = 256 << 10, .hash = HASH_FASTEST };
	static struct sender s;
	char name[32];
	struct frame f;
	int ret;

	outcome_init(o);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ret = request(p, FRAME_PUT, path, flags, st);
	if (!ret)
		ret = conv_expect(&p->conv, FRAME_GO, &f, st);
	send_init(&s, &p->conv, &options, &o->watcher);
	if (!ret)
		ret = send_path(&s, &local, name, st);
	if (!ret)
		ret = send_finish(&s, st);
	send_free(&s);
	return result_of(ret, o, st);
}

static int client_put(struct pair *p, int fd, const char *path, struct outcome *o,
		      struct status *st)
{
	return put_flags(p, fd, path, 0, o, st);
}

static int client_get(struct pair *p, const char *path, const char *name, struct outcome *o,
		      struct status *st)
{
	static const struct path_root local = { .fd = AT_FDCWD, .whose = "the local" };
	struct recv_options options = { .allowed = KEEP_ALL };
	static struct receiver r;
	static struct request to;
	struct frame f;
	int ret;

	outcome_init(o);
	ret = request(p, FRAME_GET, path, 0, st);
	if (!ret)
		ret = conv_expect(&p->conv, FRAME_BEGIN, &f, st);
	memset(&to, 0, sizeof(to));
	snprintf(to.path, sizeof(to.path), "%s/%s", dir, name);
	recv_init(&r, &p->conv, &local, &options, &o->watcher);
	if (!ret)
		ret = recv_begin(&r, &to, st);
	if (!ret)
		ret = recv_stream(&r, st);
	recv_end(&r);
	recv_free(&r);
	if (!ret && r.failed)
		ret = status_set(st, r.first_code, "%s", o->text);
	return result_of(ret, o, st);
}

static void test_sizes(uint64_t ring_size, uint64_t window)
{
	static const uint64_t sizes[] = { 0, 1, 63, 4096, 65537, 262144, 3 * MIB + 17 };
	struct outcome put, get;
	bool good = true;
	struct status st;
	struct stat stat;
	struct pair p;
	int fd, a, b;
	size_t i;

	pair_start(&p, ring_size, window);
	pair_run(&p);
	good = !conv_start(&p.conv, p.ch, 5000, &st);
	for (i = 0; good && i < ARRAY_SIZE(sizes); i++) {
		fd = make_file(sizes[i]);
		fchmod(fd, 0640);
		good = !client_put(&p, fd, "there", &put, &st) &&
		       !client_get(&p, "there", "back", &get, &st) &&
		       !memcmp(put.digest, get.digest, sizeof(put.digest));
		a = openat(dirfd_root, "there", O_RDONLY);
		b = openat(dirfd_root, "back", O_RDONLY);
		good = good && same_content(fd, a, sizes[i]) && same_content(fd, b, sizes[i]) &&
		       !fstat(a, &stat) && (stat.st_mode & 07777) == 0640;
		close(fd);
		close(a);
		close(b);
	}
	good = !pair_end(&p) && good;
	ok(good && no_temp_files(), "files of many sizes, ring %llu, window %llu",
	   (unsigned long long)ring_size, (unsigned long long)window);
}

static void test_sparse(uint64_t hole, enum hash_kind kind)
{
	struct outcome put, get;
	int fd = memfd_create("sparse", MFD_CLOEXEC);
	uint64_t size = hole + 2 * MIB;
	struct stat stat;
	struct status st;
	struct pair p;
	bool good;
	int back;

	fill(fd, MIB, 5000);
	fill(fd, hole + MIB, 12345);
	good = !ftruncate(fd, size);
	pair_start(&p, MIB, MIB);
	pair_run(&p);
	good = good && !conv_start(&p.conv, p.ch, 5000, &st) &&
	       !client_put(&p, fd, "sparse", &put, &st) &&
	       !client_get(&p, "/sparse", "sparse-back", &get, &st);
	ok(!pair_end(&p) && good, "a file with %llu MiB of holes",
	   (unsigned long long)hole / MIB);
	back = openat(dirfd_root, "sparse-back", O_RDONLY);
	ok(!fstat(back, &stat) && (uint64_t)stat.st_size == size && stat.st_blocks < 8192,
	   "keeps its holes");
	ok((put.hash_kind & HASH_BLOCKS) == kind && (hole > 64 * MIB || same_content(fd, back, size)),
	   "and its content (%s)", hash_name(put.hash_kind));
	close(back);
	close(fd);
	unlinkat(dirfd_root, "sparse", 0);
	unlinkat(dirfd_root, "sparse-back", 0);
}

/* How many calls into the kernel a megabyte costs. */
static void test_calls(void)
{
	int fd = make_file(64 * MIB);
	struct outcome result;
	struct status st;
	struct pair p;
	uint64_t calls;

	pair_start(&p, 4 * MIB, MIB);
	pair_run(&p);
	conv_start(&p.conv, p.ch, 5000, &st);
	client_put(&p, fd, "calls", &result, &st);
	calls = p.link.sides[0].calls;
	pair_end(&p);
	ok(calls < 64 * 4 * 2 + 20, "at most two calls for a frame (%llu for 64 MiB)",
	   (unsigned long long)calls);
	close(fd);
}

static void test_policy(void)
{
	static const struct {
		const char *what, *put, *get;
		bool read_only, write_only;
		int code;
	} cases[] = {
		{ "push to a read-only agent", "x", NULL, true, false, STATUS_REFUSED },
		{ "pull from a write-only agent", NULL, "there", false, true, STATUS_REFUSED },
		{ "push out of the root", "../x", NULL, false, false, STATUS_REFUSED },
		{ "pull from outside", NULL, "/../etc/passwd", false, false, STATUS_REFUSED },
		{ "push into what is no directory", "none/", NULL, false, false, STATUS_DEST },
		{ "pull of nothing", NULL, "none", false, false, STATUS_SOURCE },
		{ "pull of a directory as a file", NULL, "/", false, false, STATUS_PROTOCOL },
		{ "pull of a fifo", NULL, "fifo", false, false, STATUS_NOT_REGULAR },
	};
	struct outcome result;
	int fd = make_file(10), ret;
	struct status st;
	struct pair p;
	size_t i;

	mkfifoat(dirfd_root, "fifo", 0600);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		pair_start(&p, 65536, 65536);
		p.agent.roots.list[0].no_push = cases[i].read_only;
		p.agent.roots.list[0].no_pull = cases[i].write_only;
		pair_run(&p);
		ret = conv_start(&p.conv, p.ch, 5000, &st);
		if (!ret && cases[i].put)
			ret = client_put(&p, fd, cases[i].put, &result, &st);
		else if (!ret)
			ret = client_get(&p, cases[i].get, "got", &result, &st);
		ok(ret == -cases[i].code && st.code == cases[i].code && st.text[0],
		   "%s: %s", cases[i].what, st.text);
		pair_end(&p);
	}
	close(fd);
	ok(no_temp_files(), "nothing is left of that");
}

/* Whoever sends cannot give more than this process's umask lets it have. */
static void test_umask(void)
{
	static const struct {
		mode_t mode, umask, want;
	} cases[] = {
		{ 0666, 027, 0640 }, { 0640, 077, 0600 }, { 0777, 0, 0777 }, { 06755, 022, 0755 },
	};
	struct outcome result;
	int fd = make_file(0), ret;
	struct status st = { 0 };
	struct stat stat;
	struct pair p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		fchmod(fd, cases[i].mode);
		pair_start(&p, 65536, 65536);
		p.agent.recv.umask = cases[i].umask;
		pair_run(&p);
		ret = conv_start(&p.conv, p.ch, 5000, &st);
		if (!ret)
			ret = client_put(&p, fd, "moded", &result, &st);
		pair_end(&p);
		ok(!ret && !fstatat(dirfd_root, "moded", &stat, 0) &&
		   (stat.st_mode & 07777) == cases[i].want, "mode %o, umask %o: %o",
		   cases[i].mode, cases[i].umask, stat.st_mode & 07777);
	}
	unlinkat(dirfd_root, "moded", 0);
	close(fd);
}

/* A directory that may be written to, but not read, is synced some other way. */
static void test_sync_unreadable(void)
{
	static const char what[] = "a synced file in a directory that cannot be read";
	struct outcome result;
	int fd = make_file(1000), ret;
	struct status st = { 0 };
	struct pair p;

	if (geteuid()) {
		tap_skip(what, "needs root");
		close(fd);
		return;
	}
	if (chmod(dir, 0711) || mkdirat(dirfd_root, "dark", 0700) ||
	    fchownat(dirfd_root, "dark", 65534, -1, 0) || fchmodat(dirfd_root, "dark", 0300, 0) ||
	    seteuid(65534))
		exit(1);
	pair_start(&p, 65536, 65536);
	pair_run(&p);
	ret = conv_start(&p.conv, p.ch, 5000, &st);
	if (!ret)
		ret = put_flags(&p, fd, "dark/x", REQUEST_F_SYNC_FILE, &result, &st);
	pair_end(&p);
	if (seteuid(0))
		exit(1);
	ok(!ret && !faccessat(dirfd_root, "dark/x", F_OK, 0), "%s: %s", what, st.text);
	close(fd);
}

/* A peer that takes little at a time, and slowly. */
static void *slow_thread(void *arg)
{
	struct ivring_chan *ch = memlink_chan(arg, 1);
	const void *p;
	uint64_t len;

	usleep(50000);
	ivring_chan_peek(ch, 1, &p, &len);
	ivring_chan_consume(ch, 4096);
	ivring_chan_release(ch);
	return NULL;
}

static void test_slow_peer(void)
{
	struct memlink link;
	struct ivring_chan *ch;
	pthread_t thread;
	uint64_t len;
	void *p;
	int ret;

	memlink_init(&link, 65536, 65536);
	ch = memlink_chan(&link, 0);
	ch->timeout_ms = 300;
	ivring_chan_reserve(ch, 65536, &p, &len);
	ivring_chan_fill(ch, 65536);
	ivring_chan_flush(ch);
	if (pthread_create(&thread, NULL, slow_thread, &link))
		exit(1);
	ret = ivring_chan_reserve(ch, 4096, &p, &len);
	ok(!ret && len == 4096, "less than a batch, but enough, is no timeout: %d", ret);
	ivring_chan_fill(ch, 4096);
	ret = ivring_chan_reserve(ch, 1, &p, &len);
	ok(ret == -ETIMEDOUT, "nothing at all is one");
	pthread_join(thread, NULL);
	memlink_destroy(&link);
}

/* The agent's file system fails in the middle: the client must hear why. */
static void test_write_fails(void)
{
	struct rlimit old, limit;
	struct outcome result;
	int fd = make_file(8 * MIB), ret;
	struct status st = { 0 };
	struct pair p;

	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	limit.rlim_cur = MIB + 5;
	setrlimit(RLIMIT_FSIZE, &limit);
	pair_start(&p, MIB, 128 << 10);
	pair_run(&p);
	ret = conv_start(&p.conv, p.ch, 5000, &st);
	if (!ret)
		ret = client_put(&p, fd, "big", &result, &st);
	setrlimit(RLIMIT_FSIZE, &old);
	ok(ret == -STATUS_DEST, "a write that fails midway is told: %s", st.text);
	pair_end(&p);
	ok(no_temp_files() && faccessat(dirfd_root, "big", F_OK, 0), "and nothing is left");
	close(fd);
}

/* Somebody writes to the source all the time, or shortens it. */
struct meddler {
	int fd;
	bool shorten;
	struct memlink *link;
	volatile bool stop;
};

/* The client is in the middle of the file: some of it went, not all could. */
static bool under_way(struct memlink *link)
{
	uint64_t sent;

	pthread_mutex_lock(&link->lock);
	sent = link->ring[0].prod;
	pthread_mutex_unlock(&link->lock);
	return sent > 4 * MIB;
}

static void *meddle_thread(void *arg)
{
	struct meddler *m = arg;

	while (!m->stop) {
		if (m->shorten && !under_way(m->link))
			continue;
		fill(m->fd, 7, 1);
		if (m->shorten && ftruncate(m->fd, MIB))
			exit(1);
	}
	return NULL;
}

static int put_meddled(struct pair *p, struct meddler *m, struct status *st)
{
	struct outcome result;
	pthread_t thread;
	int ret;

	pair_start(p, MIB, MIB);
	pair_run(p);
	m->link = &p->link;
	ret = conv_start(&p->conv, p->ch, 5000, st);
	if (pthread_create(&thread, NULL, meddle_thread, m))
		exit(1);
	if (!ret)
		ret = client_put(p, m->fd, "changed", &result, st);
	m->stop = true;
	pthread_join(thread, NULL);
	return ret;
}

static void test_changes(void)
{
	struct status st = { 0 };
	struct meddler m;
	struct pair p;
	int ret, i;

	for (i = 0; i < 2; i++) {
		m = (struct meddler){ .fd = make_file(64 * MIB), .shorten = i };
		ret = put_meddled(&p, &m, &st);
		ok(ret == -STATUS_CHANGED, "a source that %s: %s", i ? "shrinks" : "changes",
		   st.text);
		ok(!pair_end(&p), "and the conversation could go on");
		close(m.fd);
		ok(no_temp_files() && faccessat(dirfd_root, "changed", F_OK, 0),
		   "nothing is left of that");
		unlinkat(dirfd_root, "changed", 0);
	}
}

static void raw_send(struct pair *p, const void *data, size_t len)
{
	uint64_t room;
	void *to;

	while (len && !ivring_chan_reserve(p->ch, 1, &to, &room)) {
		room = min_u64(room, len);
		memcpy(to, data, room);
		ivring_chan_fill(p->ch, room);
		data = (const uint8_t *)data + room;
		len -= room;
	}
	ivring_chan_flush(p->ch);
}

static size_t make_frame(uint8_t *buf, unsigned int seq, unsigned int type, uint32_t len,
			 uint64_t a, uint64_t b)
{
	struct wire_frame w = {
		.magic = htole32(FRAME_MAGIC),
		.type = htole16(type),
		.seq = htole32(seq),
		.len = htole32(len),
		.arg = { htole64(a), htole64(b) },
	};

	w.check = htole32(XXH32(&w, offsetof(struct wire_frame, check), FRAME_MAGIC));
	memcpy(buf, &w, sizeof(w));
	return sizeof(w);
}

/* Of a payload in @buf: puts the check into the field at @at. */
static void put_check(uint8_t *buf, size_t len, size_t at)
{
	uint32_t check;

	memset(buf + at, 0, sizeof(check));
	check = htole32(payload_check(buf, len));
	memcpy(buf + at, &check, sizeof(check));
}

static size_t make_put(uint8_t *buf, const char *path, size_t path_len, uint32_t flags)
{
	struct wire_request w = { .path_len = htole16(path_len), .flags = htole32(flags) };
	size_t len = make_frame(buf, 1, FRAME_PUT, sizeof(w) + path_len, 0, 0);

	memcpy(buf + len, &w, sizeof(w));
	memcpy(buf + len + sizeof(w), path, path_len);
	put_check(buf + len, sizeof(w) + path_len, offsetof(struct wire_request, check));
	return len + sizeof(w) + path_len;
}

static size_t make_entry(uint8_t *buf, unsigned int seq, const char *name, size_t name_len,
			 mode_t mode, uint64_t size)
{
	struct wire_entry w = {
		.mode = htole32(mode), .size = htole64(size), .name_len = htole16(name_len),
	};
	size_t len = make_frame(buf, seq, FRAME_ENTRY, sizeof(w) + name_len, 0, 0);

	memcpy(buf + len, &w, sizeof(w));
	memcpy(buf + len + sizeof(w), name, name_len);
	put_check(buf + len, sizeof(w) + name_len, offsetof(struct wire_entry, check));
	return len + sizeof(w) + name_len;
}

/* A client that asks for one thing after the other does not keep the agent alive. */
static void test_stop(void)
{
	uint8_t buf[1024];
	size_t n = make_frame(buf, 0, FRAME_HELLO, 0, PROTO_VERSION, PROTO_VERSION);
	struct pair p;

	n += make_frame(buf + n, 1, FRAME_PUT, 500, 0, 0);
	pair_start(&p, 65536, 65536);
	raw_send(&p, buf, n);
	stop_signal = SIGTERM;
	pair_run(&p);
	ok(pair_end(&p) == -STATUS_INTERRUPTED, "a signal ends an agent that never waits");
	stop_signal = 0;
}

/* What the agent answers to @buf. */
static void hostile(const char *what, const uint8_t *buf, size_t len, int code)
{
	struct status st = { 0 };
	struct frame f;
	struct pair p;
	int ret = 0;

	pair_start(&p, 65536, 65536);
	pair_run(&p);
	raw_send(&p, buf, len);
	p.conv.ch = p.ch;
	while (!ret)
		ret = conv_recv(&p.conv, &f, &st);
	ok(pair_end(&p) == -code && ret == -code, "%s: %d, %s", what, -ret, st.text);
}

static void test_hostile(void)
{
	uint8_t buf[8192];
	size_t hello, put, into, n;

	memset(buf, 0x5a, sizeof(buf));
	hostile("garbage", buf, sizeof(buf), STATUS_PROTOCOL);
	n = make_frame(buf, 0, FRAME_HELLO, 0, 7, 9);
	hostile("a version of the future", buf, n, STATUS_VERSION);
	n = make_frame(buf, 0, FRAME_HELLO, 0, 1, 1);
	hostile("a version of the past", buf, n, STATUS_VERSION);
	hello = make_frame(buf, 0, FRAME_HELLO, 0, PROTO_VERSION, PROTO_VERSION);
	n = hello + make_frame(buf + hello, 2, FRAME_GO, 0, 0, 0);
	hostile("a frame out of sequence", buf, n, STATUS_PROTOCOL);
	n = hello + make_frame(buf + hello, 1, 77, 0, 0, 0);
	hostile("an unknown frame", buf, n, STATUS_PROTOCOL);
	n = hello + make_frame(buf + hello, 1, FRAME_PUT, 0xffffffff, 0, 0);
	hostile("a huge request", buf, n + 1000, STATUS_PROTOCOL);
	n = hello + make_frame(buf + hello, 1, FRAME_PUT, 3, 0, 0);
	hostile("a tiny request", buf, n + 3, STATUS_PROTOCOL);
	n = hello + make_put(buf + hello, "a\0b", 3, 0);
	hostile("a name with a NUL", buf, n, STATUS_PROTOCOL);
	n = hello + make_put(buf + hello, "evil", 4, 1U << 31);
	hostile("an unknown wish", buf, n, STATUS_PROTOCOL);
	n = hello + make_put(buf + hello, "evil", 4, 0);
	buf[hello + FRAME_SIZE + offsetof(struct wire_request, reserved)] = 1;
	hostile("a damaged request", buf, n, STATUS_CONTENT);
	put_check(buf + hello + FRAME_SIZE, n - hello - FRAME_SIZE,
		  offsetof(struct wire_request, check));
	hostile("a reserved field that is not zero", buf, n, STATUS_PROTOCOL);
	n = hello + make_frame(buf + hello, 1, FRAME_GET, 0, 0, 1);
	hostile("an argument that is none", buf, n, STATUS_PROTOCOL);

	into = hello + make_put(buf + hello, "", 0, REQUEST_F_INTO_DIR);
	n = into + make_entry(buf + into, 2, "a/b", 3, S_IFREG, 0);
	hostile("a file's name with a slash", buf, n, STATUS_PROTOCOL);
	n = into + make_entry(buf + into, 2, "..", 2, S_IFDIR, 0);
	hostile("a directory called ..", buf, n, STATUS_PROTOCOL);
	n = into + make_entry(buf + into, 2, ".", 1, S_IFREG, 0);
	hostile("a file called .", buf, n, STATUS_PROTOCOL);
	n = into + make_entry(buf + into, 2, "", 0, S_IFREG, 0);
	hostile("a file without a name", buf, n, STATUS_PROTOCOL);
	n = into + make_entry(buf + into, 2, "a\0b", 3, S_IFREG, 0);
	hostile("a file's name with a NUL", buf, n, STATUS_PROTOCOL);
	n = into + make_entry(buf + into, 2, "evil", 4, S_IFREG, -1ULL);
	hostile("a negative size", buf, n, STATUS_PROTOCOL);
	n = into + make_entry(buf + into, 2, "evil", 4, S_IFSOCK, 0);
	hostile("a socket", buf, n, STATUS_PROTOCOL);
	n = into + make_entry(buf + into, 2, "evil", 4, S_IFLNK | 0777, 0);
	hostile("a link to nothing", buf, n, STATUS_PROTOCOL);
	n = into + make_entry(buf + into, 2, "evil", 4, S_IFREG, 0);
	buf[into + FRAME_SIZE + offsetof(struct wire_entry, xattrs_len) + 3] = 0x7f;
	hostile("attributes without end", buf, n + 1000, STATUS_PROTOCOL);
	n = into + make_entry(buf + into, 2, "evil", 4, S_IFREG, 0);
	buf[n - 1] ^= 1;
	hostile("a damaged name", buf, n, STATUS_CONTENT);
	n = into + make_frame(buf + into, 2, FRAME_LEAVE, 0, 0, 0);
	hostile("a directory that ends before it begins", buf, n, STATUS_PROTOCOL);
	n = into + make_frame(buf + into, 2, FRAME_FINISH, 0, 5, 0);
	hostile("an end that counts what was not sent", buf, n, STATUS_PROTOCOL);
	n = into + make_entry(buf + into, 2, "evil-dir", 8, S_IFDIR, 0);
	n += make_frame(buf + n, 3, FRAME_FINISH, 0, 1, 0);
	hostile("an end within a directory", buf, n, STATUS_PROTOCOL);
	unlinkat(dirfd_root, "evil-dir", AT_REMOVEDIR);
	put = hello + make_put(buf + hello, "evil", 4, 0);
	n = put + make_entry(buf + put, 2, "evil", 4, S_IFDIR, 0);
	hostile("a directory instead of a file", buf, n, STATUS_PROTOCOL);

	put += make_entry(buf + put, 2, "x", 1, S_IFREG, 100);
	n = put + make_frame(buf + put, 3, FRAME_DATA, 10, 5, 0);
	hostile("a gap", buf, n + 10, STATUS_PROTOCOL);
	n = put + make_frame(buf + put, 3, FRAME_DATA, 101, 0, 0);
	hostile("more than was announced", buf, n + 101, STATUS_PROTOCOL);
	n = put + make_frame(buf + put, 3, FRAME_HOLE, 0, 0, -1ULL);
	hostile("a hole without end", buf, n, STATUS_PROTOCOL);
	n = put + make_frame(buf + put, 3, FRAME_DATA, 0, 0, 0);
	hostile("content without content", buf, n, STATUS_PROTOCOL);
	n = put + make_frame(buf + put, 3, FRAME_HELLO, 0, PROTO_VERSION, PROTO_VERSION);
	hostile("HELLO among content", buf, n, STATUS_PROTOCOL);
	n = hello + make_put(buf + hello, "evil", 4, 0);
	n += make_entry(buf + n, 2, "x", 1, S_IFREG, 1ULL << 62);
	n += make_frame(buf + n, 3, FRAME_HOLE, 0, 0, 1ULL << 61);
	hostile("a hole that takes years to hash", buf, n, STATUS_PROTOCOL);
	ok(no_temp_files() && faccessat(dirfd_root, "evil", F_OK, 0), "nothing is left of that");
}

/* Content that is not what its digest says is no file, but no reason to end either. */
static void test_digest(void)
{
	static const struct {
		const char *what;
		uint64_t hole, size;
	} cases[] = { { "a wrong digest", 100, 100 }, { "an early end", 0, 100 } };
	struct status st = { 0 };
	uint8_t buf[1024];
	struct frame f;
	struct pair p;
	size_t n, i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		n = make_frame(buf, 0, FRAME_HELLO, 0, PROTO_VERSION, PROTO_VERSION);
		n += make_put(buf + n, "evil", 4, 0);
		n += make_entry(buf + n, 2, "x", 1, S_IFREG, 100);
		if (cases[i].hole)
			n += make_frame(buf + n, 3, FRAME_HOLE, 0, 0, 100);
		n += make_frame(buf + n, 3 + !!cases[i].hole, FRAME_END, 0, 100, 12345);
		n += make_frame(buf + n, 4 + !!cases[i].hole, FRAME_FINISH, 0, 1, 0);
		pair_start(&p, 65536, 65536);
		pair_run(&p);
		raw_send(&p, buf, n);
		p.conv.ch = p.ch;
		f.type = FRAME_HELLO;
		for (ret = 0; !ret && f.type != FRAME_DONE; )
			ret = conv_recv(&p.conv, &f, &st);
		ok(!pair_end(&p) && !ret && f.arg[1] == 1 && f.arg[2] == STATUS_CONTENT &&
		   no_temp_files() && faccessat(dirfd_root, "evil", F_OK, 0), "%s", cases[i].what);
	}
}

static void test_departures(void)
{
	uint8_t buf[1024];
	size_t n = make_frame(buf, 0, FRAME_HELLO, 0, PROTO_VERSION, PROTO_VERSION);
	struct pair p;

	n += make_put(buf + n, "evil", 4, 0);
	n += make_entry(buf + n, 2, "x", 1, S_IFREG, 1000);
	n += make_frame(buf + n, 3, FRAME_DATA, 1000, 0, 0);
	pair_start(&p, 65536, 65536);
	pair_run(&p);
	raw_send(&p, buf, n);
	ok(pair_end(&p) == -STATUS_PEER_GONE, "a client that closes in the middle of a frame");

	pair_start(&p, 65536, 65536);
	pair_run(&p);
	raw_send(&p, buf, n);
	memlink_reset(&p.link);
	ok(pair_end(&p) == -STATUS_PEER_GONE, "a client whose kernel dies");

	pair_start(&p, 65536, 65536);
	p.agent.timeout_ms = 200;
	pair_run(&p);
	raw_send(&p, buf, n);
	pthread_join(p.thread, NULL);
	ok(p.result == -STATUS_TIMEOUT, "a client that stops in the middle");
	ivring_chan_close(p.ch);
	memlink_destroy(&p.link);
	ok(no_temp_files(), "nothing is left of that");
}

/* A valid conversation with a few bytes changed; it must end, somehow. */
static void test_fuzz(unsigned int rounds)
{
	uint8_t valid[4096], buf[4096];
	unsigned int i, j, seed = 42;
	size_t len = 0, frame, at;
	struct pair p;

	len += make_frame(valid, 0, FRAME_HELLO, 0, PROTO_VERSION, PROTO_VERSION);
	len += make_put(valid + len, "", 0, REQUEST_F_INTO_DIR);
	frame = len;
	len += make_entry(valid + len, 2, "fuzz-dir", 8, S_IFDIR | 0700, 0);
	len += make_entry(valid + len, 3, "fuzz", 4, S_IFREG | 0600, 600);
	len += make_frame(valid + len, 4, FRAME_DATA, 500, 0, 0);
	memset(valid + len, 'f', 500);
	len += 500;
	len += make_frame(valid + len, 5, FRAME_HOLE, 0, 500, 100);
	len += make_frame(valid + len, 6, FRAME_END, 0, 600, 0);
	len += make_frame(valid + len, 7, FRAME_LEAVE, 0, 0, 0);
	len += make_frame(valid + len, 8, FRAME_FINISH, 0, 2, 0);
	for (i = 0; i < rounds; i++) {
		memcpy(buf, valid, len);
		for (j = rand_r(&seed) % 4; j > 0; j--)
			buf[rand_r(&seed) % len] = rand_r(&seed);
		/* Past the checks, every other time. */
		if (i & 1) {
			put_check(buf + FRAME_SIZE + FRAME_SIZE, sizeof(struct wire_request),
				  offsetof(struct wire_request, check));
			put_check(buf + frame + FRAME_SIZE, sizeof(struct wire_entry) + 8,
				  offsetof(struct wire_entry, check));
			at = rand_r(&seed) % 3 ? frame : FRAME_SIZE;
			buf[at + 4 + rand_r(&seed) % 56] = rand_r(&seed);
			*(uint32_t *)(buf + at + 60) = htole32(XXH32(buf + at, 60, FRAME_MAGIC));
		}
		pair_start(&p, 4096, 4096);
		p.agent.timeout_ms = 1000;
		pair_run(&p);
		raw_send(&p, buf, 1 + rand_r(&seed) % len);
		pair_end(&p);
	}
	ok(no_temp_files(), "%u damaged conversations end and leave nothing", rounds);
}

static void remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		exit(1);
}

int main(void)
{
	signal(SIGXFSZ, SIG_IGN);
	umask(0);
	if (!mkdtemp(dir))
		return 1;
	dirfd_root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	test_sizes(4096, 4096);
	test_sizes(65536, 5000);
	test_sizes(MIB, MIB);
	test_sizes(4 * MIB, MIB);
	test_sparse(16 * MIB, HASH_PLAIN);
	test_sparse(1024 * 1024 * MIB, HASH_BLOCKS);
	test_calls();
	test_policy();
	test_umask();
	test_sync_unreadable();
	test_slow_peer();
	test_write_fails();
	test_changes();
	test_stop();
	test_hostile();
	test_digest();
	test_departures();
	test_fuzz(2000);
	close(dirfd_root);
	remove_dir();
	return tap_done();
}

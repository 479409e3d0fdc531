/* SPDX-License-Identifier: GPL-2.0 */
/* Transfers between an agent's thread and a client, in a directory of their own. */
#ifndef IVRING_TRANSFER_H
#define IVRING_TRANSFER_H

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "memlink.h"
#include "tap.h"
#include "util.h"

#define MIB	(1ULL << 20)
#define WINDOW	(256U << 10)

static char dir[] = "/tmp/ivring-test-XXXXXX";
static const struct path_root local = { .fd = AT_FDCWD, .whose = "the local" };
static int root_fd;

static struct pair {
	struct memlink link;
	struct agent agent;
	pthread_t thread;
	int result;
	struct conv conv;
	uint64_t failures;
	uint64_t done;
	uint64_t resent;
	uint64_t resent_bytes;
	uint64_t kept;
	enum hash_kind hash_seen;	/* of the last file */
	char text[STATUS_TEXT_SIZE];	/* of the last failure */
	struct watcher watcher;
} pair;

static struct request request;
/* What the next push or pull is to be like. */
static unsigned int hash = HASH_FASTEST;
static uint64_t rate;
static uint64_t min_free;
static uint32_t flags;
static uint32_t keep;
/* And the link of the next pair. */
static uint64_t link_size = MIB;
static uint64_t link_window = WINDOW;

static void on_failed(struct watcher *w, const struct status *why, uint64_t number)
{
	(void)w;
	(void)number;
	pair.failures++;
	snprintf(pair.text, sizeof(pair.text), "%s", why->text);
}

static void on_done(struct watcher *w, const struct entry *e, const char *path)
{
	(void)w;
	(void)path;
	pair.done++;
	if (S_ISREG(e->mode) && !(e->flags & ENTRY_F_LINK))
		pair.hash_seen = e->hash_kind;
}

static void on_resent(struct watcher *w, uint64_t bytes)
{
	(void)w;
	pair.resent++;
	pair.resent_bytes += bytes;
}

static void on_kept(struct watcher *w, uint64_t bytes)
{
	(void)w;
	pair.kept += bytes;
}

static void *agent_thread(void *arg)
{
	struct ivring_chan *ch = memlink_chan(&pair.link, 1);

	(void)arg;
	pair.result = agent_converse(&pair.agent, ch);
	ivring_chan_close(ch);
	return NULL;
}

static void pair_start(void)
{
	struct status st;

	memset(&pair, 0, sizeof(pair));
	memlink_init(&pair.link, link_size, link_window);
	pair.agent.roots.count = 1;
	pair.agent.roots.list[0].dir = (struct path_root){
		.fd = root_fd, .confined = true, .whose = "the agent's",
	};
	pair.agent.timeout_ms = 10000;
	pair.agent.chunk = SEND_CHUNK_DEFAULT;
	pair.agent.recv.allowed = KEEP_ALL;
	pair.agent.recv.umask = 022;
	pair.agent.label = "test";
	pair.watcher.failed = on_failed;
	pair.watcher.done = on_done;
	pair.watcher.resent = on_resent;
	pair.watcher.kept = on_kept;
	memset(&request, 0, sizeof(request));
	if (pthread_create(&pair.thread, NULL, agent_thread, NULL) ||
	    conv_start(&pair.conv, memlink_chan(&pair.link, 0), 5000, &st))
		exit(1);
}

static int pair_end(void)
{
	ivring_chan_close(memlink_chan(&pair.link, 0));
	pthread_join(pair.thread, NULL);
	memlink_destroy(&pair.link);
	return pair.result;
}

/* Zero, or the first failure's code. @fd: content from there; or -1 */
static int push_from(const char *source, int fd, const char *dest)
{
	struct send_options options = {
		.chunk = SEND_CHUNK_DEFAULT, .keep = keep, .hash = hash, .rate = rate,
		.flags = flags,
	};
	static struct sender s;
	struct status st = { 0 };
	struct frame f;
	int ret;

	request.flags = REQUEST_F_INTO_DIR | REQUEST_F_MAKE_DIR | flags;
	request.keep = keep;
	request.min_free = min_free;
	strcpy(request.path, dest);
	send_init(&s, &pair.conv, &options, &pair.watcher);
	ret = conv_send_request(&pair.conv, FRAME_PUT, &request, &st);
	if (!ret)
		ret = conv_expect(&pair.conv, FRAME_GO, &f, &st);
	if (!ret)
		ret = fd >= 0 ? send_fd(&s, fd, "stream", &st) :
		      send_path(&s, &local, source, &st);
	if (!ret)
		ret = send_finish(&s, &st);
	send_free(&s);
	if (ret)
		snprintf(pair.text, sizeof(pair.text), "%s", st.text);
	return ret ? -ret : s.first_code;
}

__attribute__((unused))
static int push(const char *source, const char *dest)
{
	return push_from(source, -1, dest);
}

__attribute__((unused))
static int pull(const char *source, const char *dest)
{
	struct recv_options options = { .umask = 022, .allowed = KEEP_ALL };
	static struct receiver r;
	struct status st = { 0 };
	struct frame f;
	int ret;

	request.keep = keep;
	request.hash = hash;
	request.rate = rate;
	request.flags = flags;
	strcpy(request.path, source);
	ret = conv_send_request(&pair.conv, FRAME_GET, &request, &st);
	if (!ret)
		ret = conv_expect(&pair.conv, FRAME_BEGIN, &f, &st);
	request.flags = REQUEST_F_INTO_DIR | REQUEST_F_MAKE_DIR | flags;
	request.min_free = min_free;
	strcpy(request.path, dest);
	recv_init(&r, &pair.conv, &local, &options, &pair.watcher);
	if (!ret)
		ret = recv_begin(&r, &request, &st);
	if (!ret)
		ret = recv_stream(&r, &st);
	recv_end(&r);
	recv_free(&r);
	if (ret)
		snprintf(pair.text, sizeof(pair.text), "%s", st.text);
	return ret ? -ret : r.first_code ? r.first_code : r.skip_code;
}

/* False, and a test is skipped, where that hash has no library. */
__attribute__((unused))
static bool choose_hash(unsigned int kind)
{
	hash = kind;
	if (hash_known(kind))
		return true;
	tap_skip(hash_name(kind), "its library is not here");
	return false;
}

/* The process's umask is 0, as the receiver wants it. */
static bool run(const char *command)
{
	bool good;

	umask(022);
	good = !system(command);
	umask(0);
	return good;
}

/* Both are trees without anything that this test does not make. */
__attribute__((unused))
static bool same(const char *a, const char *b)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "list() { (cd \"$1\" && find . -printf '%%p %%y %%m %%T@ %%n\\n' | LC_ALL=C sort); }; "
		 "list %s >one; list %s >two; diff -r %s %s && diff one two >diff || "
		 "{ sed 's/^/# /' diff; exit 1; }", a, b, a, b);
	return run(command);
}

__attribute__((unused))
static void fresh(void)
{
	if (!run("rm -rf root/* back; mkdir -p back"))
		exit(1);
	pair_start();
}

/* The directory, which is the current one then, with root and src in it. */
static void transfer_setup(void)
{
	signal(SIGXFSZ, SIG_IGN);
	if (!mkdtemp(dir) || chmod(dir, 0755) || chdir(dir) || mkdir("root", 0777) || mkdir("src", 0777))
		exit(1);
	umask(0);
	root_fd = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int transfer_done(void)
{
	char command[128];

	snprintf(command, sizeof(command), "chmod -R u+rwX %s; rm -rf %s", dir, dir);
	return run(command) ? tap_done() : 1;
}

#endif /* IVRING_TRANSFER_H */

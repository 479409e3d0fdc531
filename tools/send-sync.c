// SPDX-License-Identifier: GPL-2.0
/*
 * The sending end of a sync: asks about each thing of a walk, many at once, and sends
 * the content that the receiver wants. Tells it at the end what is not here.
 */
#include "sender.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attr.h"
#include "hash-file.h"
#include "util.h"

/* Questions without an answer, and files that are wanted: what memory they take. */
#define QUESTIONS_MAX	1024
/* How much is hashed between two signs of life. */
#define HASH_STEP		(1ULL << 30)
/* How many questions there are between two looks for answers. */
#define LOOK_INTERVAL	32

struct want {
	char *path;
	bool delta;
};

struct send_sync {
	char *asked[QUESTIONS_MAX];	/* paths, by the question's number */
	uint64_t sent;			/* questions */
	uint64_t answered;
	uint64_t allowed;		/* by the receiver */
	uint64_t files;			/* questions up to the last one about a file */
	uint64_t rounds;		/* of a list, that were ended */
	uint64_t rounds_done;		/* over there */
	uint64_t damaged;
	struct want wants[QUESTIONS_MAX];
	uint64_t first_want;
	uint64_t last_want;
	char told[PATH_MAX];		/* the directory that the receiver knows content to be in */
	bool has_told;
	const struct path_root *root;
	const char *path;		/* as it was named */
	int top;			/* what was named, if it is a directory; or -1 */
	bool has_name;			/* and its name is the first part of paths */
	char dir[PATH_MAX];		/* that was looked at last, for what is absent */
	int dirfd;
	bool has_dir;
};

int send_set_sync(struct sender *s, const struct sync *sync, struct status *st)
{
	s->asked = calloc(1, sizeof(*s->asked));
	if (!s->asked)
		return status_set(st, STATUS_FAIL, "out of memory");
	s->asked->top = s->asked->dirfd = -1;
	s->sync = sync;
	return 0;
}

void sync_end(struct sender *s)
{
	struct send_sync *y = s->asked;

	if (!y)
		return;
	for (; y->answered < y->sent; y->answered++)
		free(y->asked[y->answered % QUESTIONS_MAX]);
	for (; y->first_want < y->last_want; y->first_want++)
		free(y->wants[y->first_want % QUESTIONS_MAX].path);
	if (y->top >= 0)
		close(y->top);
	if (y->dirfd >= 0)
		close(y->dirfd);
	free(y);
	s->asked = NULL;
	s->sync = NULL;
}

int sync_start(struct sender *s, const struct path_root *root, const char *path, int fd,
	       struct status *st)
{
	struct send_sync *y = s->asked;
	struct stat stat;

	if (y->path)
		return status_set(st, STATUS_FAIL, "a sync is of one source");
	y->root = root;
	y->path = path;
	y->has_name = s->path_len;
	if (fd >= 0 && !fstat(fd, &stat) && S_ISDIR(stat.st_mode)) {
		y->top = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (y->top < 0)
			return status_errno(st, STATUS_SOURCE, errno, "cannot be opened");
	}
	return sync_ready(s, st);
}

bool sync_needs_fd(const struct sender *s)
{
	return !s->sync || s->sync->flags & SYNC_F_CHECKSUM ||
	       s->o->keep & (KEEP_XATTRS | KEEP_ACLS);
}

int sync_ask(struct sender *s, struct status *st)
{
	struct send_sync *y = s->asked;
	char *path = strdup(s->path);

	if (!path)
		return status_set(st, STATUS_FAIL, "out of memory");
	y->asked[y->sent++ % QUESTIONS_MAX] = path;
	s->number++;
	return entry_send(s->c, &s->e, st);
}

static int hash_all(struct sender *s, int fd, struct status *st)
{
	uint64_t pos, next;
	int ret = 0;

	s->e.hash_kind = hash_choose(s->o->hash, s->e.size, s->e.data_bytes);
	if (hash_init(&s->hash, s->e.hash_kind))
		return status_set(st, STATUS_FAIL, "out of memory");
	for (pos = 0; !ret && pos < s->e.size; pos = next) {
		next = min_u64(s->e.size, pos + HASH_STEP);
		ret = hash_file(&s->hash, fd, pos, next);
		/* The receiver waits for the question. */
		if (!ret && next < s->e.size && conv_send(s->c, FRAME_MORE, NULL, st))
			return -st->code;
	}
	if (ret == -EINTR)
		return status_set(st, STATUS_INTERRUPTED, "interrupted");
	if (ret == -ESTALE)
		return status_set(st, STATUS_CHANGED, "file changed while it was read");
	if (ret)
		return status_errno(st, STATUS_IO, -ret, "cannot read the source");
	hash_final(&s->hash, s->e.digest);
	s->e.flags |= ENTRY_F_HASHED;
	return 0;
}

int sync_ask_file(struct sender *s, int fd, const struct stat *stat, struct status *st)
{
	struct status why;
	int ret;

	entry_describe(&s->e, stat);
	s->e.flags = ENTRY_F_BARE;
	s->e.target[0] = '\0';
	ret = attr_collect(&s->e, fd, s->o->keep, &why);
	if (!ret && (s->sync->flags & SYNC_F_CHECKSUM || s->ask_hashed))
		ret = hash_all(s, fd, &why);
	if (ret && ret != -STATUS_CHANGED && ret != -STATUS_IO && ret != -STATUS_SOURCE) {
		*st = why;
		return ret;
	}
	if (ret)
		return send_skip(s, &why, st);
	if (stat->st_nlink > 1)
		links_add(&s->links, stat->st_dev, stat->st_ino, s->path);
	s->asked->files = s->asked->sent + 1;
	return sync_ask(s, st);
}

static int bad_answer(struct status *st)
{
	return status_set(st, STATUS_PROTOCOL, "an answer of a sync makes no sense");
}

static void forget_until(struct send_sync *y, uint64_t number)
{
	for (; y->answered < number; y->answered++)
		free(y->asked[y->answered % QUESTIONS_MAX]);
}

static int take_want(struct sender *s, const struct frame *f, struct status *st)
{
	struct send_sync *y = s->asked;
	bool wanted = f->arg[1] != WANT_NOTHING && !(s->o->flags & REQUEST_F_DRY_RUN);
	char *path;

	if (f->arg[0] < y->answered || f->arg[0] >= y->sent || f->arg[1] > WANT_DELTA ||
	    !f->arg[2] || f->arg[2] >= SYNC_DELETED)
		return bad_answer(st);
	forget_until(y, f->arg[0]);
	path = y->asked[y->answered++ % QUESTIONS_MAX];
	watcher_item(s->watcher, f->arg[2], path);
	if (!wanted) {
		free(path);
		return 0;
	}
	y->wants[y->last_want++ % QUESTIONS_MAX] = (struct want){
		.path = path, .delta = f->arg[1] == WANT_DELTA,
	};
	return 0;
}

static int take_more(struct sender *s, const struct frame *f, struct status *st)
{
	struct send_sync *y = s->asked;

	if (f->arg[0] < y->answered || f->arg[0] > y->sent || f->arg[1] < y->allowed)
		return bad_answer(st);
	forget_until(y, f->arg[0]);
	y->allowed = f->arg[1];
	if (!f->arg[2])
		return 0;
	if (f->arg[2] != y->rounds || f->arg[2] == y->rounds_done)
		return bad_answer(st);
	y->rounds_done = f->arg[2];
	y->damaged = f->arg[3];
	return 0;
}

/* Of a path that the receiver has: what it is beneath what was named, or NULL. */
static const char *within(const struct send_sync *y, const char *path)
{
	const char *slash;

	if (!y->has_name)
		return path;
	slash = strchr(path, '/');
	return slash ? slash + 1 : NULL;
}

/* Whether there surely is nothing of that name. */
static bool is_absent(struct send_sync *y, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t len = base - path;
	struct stat stat;

	if (!y->has_dir || strlen(y->dir) != len || memcmp(y->dir, path, len)) {
		if (y->dirfd >= 0)
			close(y->dirfd);
		memcpy(y->dir, path, len);
		y->dir[len] = '\0';
		y->has_dir = true;
		y->dirfd = path_open_within(y->top, y->dir, O_PATH | O_DIRECTORY);
	}
	if (y->dirfd < 0)
		return y->dirfd == -ENOENT || y->dirfd == -ENOTDIR || y->dirfd == -ELOOP;
	return *base && strcmp(base, ".") && strcmp(base, "..") &&
	       fstatat(y->dirfd, base, &stat, AT_SYMLINK_NOFOLLOW) && errno == ENOENT;
}

static int answer_names(struct sender *s, const struct frame *f, struct status *st)
{
	static _Thread_local char names[SYNC_BATCH_SIZE + 1];
	static _Thread_local uint8_t bits[SYNC_BITS_SIZE];
	uint64_t arg[FRAME_ARGS] = { 0 }, i;
	struct send_sync *y = s->asked;
	const char *path = names, *rest;
	int ret;

	if (y->top < 0 || !(s->sync->flags & SYNC_F_DELETE) || f->len > SYNC_BATCH_SIZE || !f->len ||
	    f->arg[1] > SYNC_BATCH_NAMES)
		return bad_answer(st);
	ret = conv_take(s->c, names, f->len, st);
	if (ret)
		return ret;
	if (payload_check(names, f->len) != f->arg[0])
		return conv_damaged(st);
	names[f->len] = '\0';
	memset(bits, 0, sizeof(bits));
	for (i = 0; i < f->arg[1]; i++) {
		if (path >= names + f->len || strlen(path) >= PATH_MAX)
			return bad_answer(st);
		rest = within(y, path);
		if (rest && is_absent(y, rest))
			bits[i / 8] |= 1 << i % 8;
		path += strlen(path) + 1;
	}
	arg[0] = payload_check(bits, (f->arg[1] + 7) / 8);
	ret = conv_put(s->c, FRAME_ABSENT, arg, bits, (f->arg[1] + 7) / 8, st);
	return ret ? ret : conv_flush(s->c, st);
}

static int take_deleted(struct sender *s, const struct frame *f, struct status *st)
{
	char path[PATH_MAX];
	int ret;

	if (f->len >= sizeof(path))
		return bad_answer(st);
	ret = conv_take(s->c, path, f->len, st);
	if (ret)
		return ret;
	path[f->len] = '\0';
	if (payload_check(path, f->len) != f->arg[0])
		return conv_damaged(st);
	watcher_item(s->watcher, SYNC_DELETED, path);
	return 0;
}

bool sync_is_answer(const struct sender *s, const struct frame *f)
{
	return s->sync && (f->type == FRAME_WANT || f->type == FRAME_MORE ||
			   f->type == FRAME_NAMES || f->type == FRAME_DELETED);
}

int sync_take_answer(struct sender *s, const struct frame *f, struct status *st)
{
	switch (f->type) {
	case FRAME_WANT:
		return take_want(s, f, st);
	case FRAME_MORE:
		return take_more(s, f, st);
	case FRAME_NAMES:
		return answer_names(s, f, st);
	default:
		return take_deleted(s, f, st);
	}
}

/* Waits for one frame, which must be an answer. */
static int hear_one(struct sender *s, struct status *st)
{
	struct status why;
	struct frame f;
	int ret;

	ret = stop_signal ? status_set(st, STATUS_INTERRUPTED, "interrupted") :
	      conv_recv(s->c, &f, st);
	if (ret)
		return ret;
	if (f.type == FRAME_WANT || f.type == FRAME_MORE)
		return sync_take_answer(s, &f, st);
	if (f.type != FRAME_FAILED)
		return bad_answer(st);
	ret = conv_take_status(s->c, &f, &why, st);
	if (!ret)
		watcher_failed(s->watcher, &why, f.arg[1]);
	return ret;
}

static int reopen(struct send_sync *y, const char *path, struct stat *stat, struct status *why)
{
	const char *rest = within(y, path);
	int fd, ret;

	if (y->top < 0) {
		ret = path_open_source(y->root, y->path, &fd, stat, why);
		if (ret)
			return ret;
	} else {
		fd = rest ? path_open_within(y->top, rest, O_RDONLY | O_NONBLOCK | O_NOCTTY |
					     O_NOFOLLOW) : -EISDIR;
		if (fd < 0)
			return status_errno(why, STATUS_SOURCE, -fd, "cannot be opened");
		if (fstat(fd, stat))
			stat->st_mode = 0;
	}
	if (fd >= 0 && S_ISREG(stat->st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	return status_set(why, STATUS_CHANGED, "was replaced before it was sent");
}

/* Where the file in s->path goes. */
static int tell_dir(struct sender *s, size_t len, struct status *st)
{
	struct send_sync *y = s->asked;

	if (y->has_told && strlen(y->told) == len && !memcmp(y->told, s->path, len))
		return 0;
	memcpy(y->told, s->path, len);
	y->told[len] = '\0';
	y->has_told = true;
	return conv_put_path(s->c, y->told, 0, st);
}

static int send_want(struct sender *s, const struct want *want, struct status *st)
{
	const char *slash;
	struct status why;
	struct stat stat;
	int fd, ret;

	send_leave(s, 0);
	strcpy(s->path, want->path);
	s->path_len = strlen(s->path);
	fd = reopen(s->asked, s->path, &stat, &why);
	if (fd < 0)
		return send_skip(s, &why, st);
	slash = strrchr(s->path, '/');
	strcpy(s->e.name, slash ? slash + 1 : s->path);
	ret = tell_dir(s, slash ? slash - s->path : 0, st);
	if (!ret)
		ret = send_wanted(s, fd, &stat, want->delta, st);
	close(fd);
	return ret;
}

/* All that the receiver has asked for until now. */
static int send_wants(struct sender *s, struct status *st)
{
	struct send_sync *y = s->asked;
	char path[PATH_MAX];
	size_t len = s->path_len;
	struct want want;
	int ret = 0;

	if (y->first_want == y->last_want)
		return 0;
	memcpy(path, s->path, len);
	while (!ret && y->first_want < y->last_want) {
		want = y->wants[y->first_want++ % QUESTIONS_MAX];
		ret = send_want(s, &want, st);
		free(want.path);
	}
	memcpy(s->path, path, len);
	send_leave(s, len);
	return ret;
}

int sync_top(const struct sender *s)
{
	return s->asked->top;
}

int sync_send_now(struct sender *s, struct status *st)
{
	char path[PATH_MAX];
	struct want want = { .path = path };

	strcpy(path, s->path);
	return send_want(s, &want, st);
}

bool sync_has_questions(const struct sender *s)
{
	return s->asked->answered < s->asked->files;
}

void sync_forget_dir(struct sender *s)
{
	s->asked->has_told = false;
}

int sync_round(struct sender *s, bool *damaged, struct status *st)
{
	struct send_sync *y = s->asked;
	uint64_t arg[FRAME_ARGS] = { 0, 0, ++y->rounds };
	int ret = conv_send(s->c, FRAME_MORE, arg, st);

	while (!ret && y->rounds_done < y->rounds)
		ret = hear_one(s, st);
	*damaged = y->damaged;
	return ret;
}

static bool may_ask(const struct send_sync *y)
{
	return y->sent < y->allowed &&
	       y->sent - y->answered + y->last_want - y->first_want < QUESTIONS_MAX;
}

int sync_ready(struct sender *s, struct status *st)
{
	struct send_sync *y = s->asked;
	int ret = 0;

	if (may_ask(y) && y->sent % LOOK_INTERVAL)
		return 0;
	while (!ret && conv_has_frame(s->c))
		ret = hear_one(s, st);
	if (!ret)
		ret = send_wants(s, st);
	while (!ret && !may_ask(y)) {
		ret = hear_one(s, st);
		if (!ret)
			ret = send_wants(s, st);
	}
	return ret;
}

int sync_drain(struct sender *s, struct status *st)
{
	struct send_sync *y = s->asked;
	int ret = 0;

	if (y->answered < y->sent)
		ret = conv_send(s->c, FRAME_MORE, NULL, st);
	while (!ret && y->answered < y->sent)
		ret = hear_one(s, st);
	return ret ? ret : send_wants(s, st);
}

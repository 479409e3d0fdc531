// SPDX-License-Identifier: GPL-2.0
/*
 * The receiving end of a sync: compares what the sender asks about with what is there,
 * and asks for the content that differs. That comes by itself, later, with a path.
 */
#include "receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attr.h"
#include "repair.h"
#include "util.h"

/* Questions without an answer, at most; each may take a frame of a quarter of the window. */
#define WINDOW_MAX	512
#define WINDOW_MIN	4
/* How many questions get one frame together, when they need nothing. */
#define MORE_PART	4

int recv_set_sync(struct receiver *r, const struct sync *sync, struct status *st)
{
	r->asks = calloc(1, sizeof(*r->asks));
	if (!r->asks)
		return status_set(st, STATUS_FAIL, "out of memory");
	r->asks->dir.fd = -1;
	r->sync = sync;
	return 0;
}

void sync_free_asks(struct receiver *r)
{
	if (!r->asks)
		return;
	sync_leave(r);
	delta_end(r);
	sync_free_deleter(r);
	hash_free(&r->asks->sum);
	free(r->asks);
	r->asks = NULL;
	r->sync = NULL;
}

uint64_t recv_same(const struct receiver *r)
{
	return r->asks ? r->asks->same : 0;
}

uint64_t recv_deleted(const struct receiver *r)
{
	return r->asks ? r->asks->deleted : 0;
}

static int tell_more(struct receiver *r, uint64_t round, struct status *st)
{
	struct recv_sync *y = r->asks;
	uint64_t arg[FRAME_ARGS] = { y->asked, y->asked + y->window, round,
				     round ? r->repair_count : 0 };

	y->told = y->asked;
	return conv_put(r->c, FRAME_MORE, arg, NULL, 0, st);
}

int sync_more(struct receiver *r, struct status *st)
{
	return tell_more(r, 0, st);
}

int sync_more_asked(struct receiver *r, const struct frame *f, struct status *st)
{
	if (f->arg[2] && !(r->sync->flags & SYNC_F_LISTED))
		return status_set(st, STATUS_PROTOCOL, "a round ends where there is none");
	/* Limits are for a transfer, and each round is as good as one. */
	if (f->arg[2]) {
		r->asks->changes = 0;
		r->stored = 0;
	}
	return tell_more(r, f->arg[2], st);
}

int sync_alive(struct receiver *r, struct status *st)
{
	int ret = conv_has_room(r->c, 0) ? sync_more(r, st) : 0;

	return ret ? ret : conv_flush(r->c, st);
}

int sync_open(struct receiver *r, struct status *st)
{
	struct recv_sync *y = r->asks;

	y->window = min_u64(WINDOW_MAX, conv_room_max(r->c) / FRAME_SIZE);
	if (y->window < WINDOW_MIN)
		y->window = WINDOW_MIN;
	return sync_more(r, st);
}

/* One that makes something; the others cost nothing. */
static int count_change(struct receiver *r, struct status *st)
{
	return recv_check_quota(r->o, ++r->asks->changes, 0, st);
}

/* @item: how it differs, or zero; @want: what is to come. */
static int answer(struct receiver *r, unsigned int item, unsigned int want, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { r->asks->asked, want, item };
	struct recv_sync *y = r->asks;
	int ret = 0;

	y->asked++;
	if (item)
		watcher_item(r->watcher, item, r->path);
	else if (!S_ISDIR(r->e.mode))
		y->same++;
	if (want || (item && r->sync->flags & SYNC_F_ITEMIZE))
		ret = conv_put(r->c, FRAME_WANT, arg, NULL, 0, st);
	if (!ret && y->asked - y->told >= y->window / MORE_PART)
		ret = sync_more(r, st);
	return ret;
}

/* Where the thing that is asked about is, if it is; -1. */
static int dir_now(const struct receiver *r)
{
	if (!r->depth)
		return r->asks->missing ? -1 : r->top.fd;
	return r->levels[r->depth - 1].dir.fd;
}

/* False: there is nothing. */
static bool look(const struct receiver *r, struct stat *stat)
{
	int fd = dir_now(r);

	if (fd < 0)
		return false;
	return !fstatat(fd, r->e.name, stat, AT_SYMLINK_NOFOLLOW);
}

static bool same_time(const struct entry *e, const struct stat *stat)
{
	/* Some file systems know seconds only. */
	return stat->st_mtim.tv_sec == e->mtime_sec &&
	       (stat->st_mtim.tv_nsec == e->mtime_nsec || !stat->st_mtim.tv_nsec);
}

static bool same_attrs(const struct receiver *r, const struct stat *stat)
{
	if (r->keep & KEEP_MODE && attr_mode(&r->e, r->keep, 0) !=
	    (stat->st_mode & (r->keep & KEEP_SETID ? 07777 : 01777)))
		return false;
	if (r->keep & KEEP_OWNER && (stat->st_uid != r->e.uid || stat->st_gid != r->e.gid))
		return false;
	return !r->e.xattrs_len && same_time(&r->e, stat);
}

/* Content is the same, and the rest is made so. */
static int fix_attrs(struct receiver *r, const struct stat *stat, struct status *why)
{
	struct stat now;
	int fd, ret;

	if (!S_ISREG(stat->st_mode))
		return attr_apply_at(dir_now(r), r->e.name, &r->e, r->keep, r->o->umask, why);
	fd = openat(dir_now(r), r->e.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &now) || now.st_dev != stat->st_dev || now.st_ino != stat->st_ino)
		ret = status_set(why, STATUS_DEST, "cannot be opened to set its attributes");
	else
		ret = attr_apply(fd, &r->e, r->keep, r->o->umask, true, why);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int same_content(struct receiver *r, bool *same, struct status *st)
{
	struct recv_sync *y = r->asks;
	uint8_t digest[HASH_DIGEST_SIZE];
	struct hash mine;
	int fd, ret;

	*same = false;
	if (!hash_known(r->e.hash_kind))
		return status_set(st, STATUS_FAIL, "this side has no library for its hash: choose "
				  "another --hash");
	fd = openat(dir_now(r), r->e.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	/* What cannot be read is replaced. */
	if (fd < 0)
		return 0;
	mine = r->hash;
	r->hash = y->sum;
	ret = hash_init(&r->hash, r->e.hash_kind) ? status_set(st, STATUS_FAIL, "out of memory") :
	      recv_hash_file(r, fd, 0, r->e.size, st);
	if (!ret) {
		hash_final(&r->hash, digest);
		*same = !memcmp(digest, r->e.digest, sizeof(digest));
	}
	y->sum = r->hash;
	r->hash = mine;
	close(fd);
	return ret == -STATUS_IO ? 0 : ret;
}

/* How a file differs: zero, when not at all. */
static int compare_file(struct receiver *r, const struct stat *stat, unsigned int *item,
			struct status *st)
{
	bool same;
	int ret;

	*item = !S_ISREG(stat->st_mode) ? SYNC_KIND :
		(uint64_t)stat->st_size != r->e.size ? SYNC_SIZE : 0;
	if (*item)
		return 0;
	if (r->e.flags & ENTRY_F_HASHED) {
		ret = same_content(r, &same, st);
		*item = same ? 0 : SYNC_CONTENT;
		return ret;
	}
	*item = same_time(&r->e, stat) ? 0 : SYNC_TIME;
	return 0;
}

static int unchanged(struct receiver *r, const struct stat *stat, struct status *st)
{
	struct status why = { 0 };
	int ret;

	if (same_attrs(r, stat))
		return answer(r, 0, WANT_NOTHING, st);
	if (!(r->flags & REQUEST_F_DRY_RUN))
		fix_attrs(r, stat, &why);
	ret = why.code ? recv_failed(r, &why, st) : 0;
	/* Attributes are set again where nobody can tell whether they differ. */
	return ret ? ret : answer(r, r->e.xattrs_len ? 0 : SYNC_ATTRS, WANT_NOTHING, st);
}

/* It cannot be taken; whether the content is there or not is of no interest. */
static int refuse(struct receiver *r, struct status *why, struct status *st)
{
	int ret;

	if (recv_is_fatal(r, why->code)) {
		*st = *why;
		return -why->code;
	}
	ret = recv_failed(r, why, st);
	r->asks->asked++;
	return ret;
}

static int question_file(struct receiver *r, struct status *st)
{
	unsigned int item = SYNC_NEW;
	struct status why;
	struct stat stat;
	bool there = look(r, &stat), delta;
	int ret;

	if (!(r->flags & REQUEST_F_DRY_RUN) && dir_now(r) < 0) {
		status_set(&why, STATUS_DEST, "its directory could not be made");
		return refuse(r, &why, st);
	}
	if (there && S_ISDIR(stat.st_mode) && recv_way_check(r, dir_now(r), &why))
		return refuse(r, &why, st);
	if (there) {
		ret = compare_file(r, &stat, &item, st);
		if (ret)
			return ret;
	}
	if (!item)
		return unchanged(r, &stat, st);
	delta = there && S_ISREG(stat.st_mode) && !(r->sync->flags & SYNC_F_WHOLE) &&
		stat.st_size >= SYNC_DELTA_MIN && r->e.size >= SYNC_DELTA_MIN;
	return answer(r, item, delta ? WANT_DELTA : WANT_WHOLE, st);
}

static int question_dir(struct receiver *r, size_t path_len, struct status *st)
{
	struct recv_sync *y = r->asks;
	unsigned int item = SYNC_NEW;
	struct stat stat;
	int ret;

	if (look(r, &stat))
		item = S_ISDIR(stat.st_mode) ? 0 : SYNC_KIND;
	ret = item ? count_change(r, st) : 0;
	if (ret)
		return ret;
	if (!r->depth) {
		strcpy(y->tree, r->e.name);
		y->has_tree = true;
	}
	ret = answer(r, item, WANT_NOTHING, st);
	return ret ? ret : recv_dir(r, path_len, st);
}

static bool same_node(const struct receiver *r, const struct stat *stat)
{
	char target[PATH_MAX];
	ssize_t len;

	if ((stat->st_mode & S_IFMT) != (r->e.mode & S_IFMT))
		return false;
	if (!S_ISLNK(r->e.mode))
		return S_ISFIFO(r->e.mode) || stat->st_rdev == makedev(r->e.major, r->e.minor);
	len = readlinkat(dir_now(r), r->e.name, target, sizeof(target) - 1);
	return len >= 0 && (size_t)len == strlen(r->e.target) && !memcmp(target, r->e.target, len);
}

static bool same_link(const struct receiver *r, const struct stat *stat)
{
	struct stat target;
	bool same;
	int fd;

	fd = path_open_within(r->top.fd, r->e.target, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return false;
	same = !fstat(fd, &target) && target.st_dev == stat->st_dev && target.st_ino == stat->st_ino;
	close(fd);
	return same;
}

/* Anything that has no content. */
static int question_other(struct receiver *r, struct status *st)
{
	bool link = r->e.flags & ENTRY_F_LINK;
	struct status why = { 0 };
	struct stat stat;
	bool there = look(r, &stat);
	unsigned int item;
	int ret;

	if (there && (link ? same_link(r, &stat) : same_node(r, &stat)))
		return link ? answer(r, 0, WANT_NOTHING, st) : unchanged(r, &stat, st);
	item = !there ? SYNC_NEW : (stat.st_mode & S_IFMT) == (r->e.mode & S_IFMT) ? SYNC_CONTENT :
	       SYNC_KIND;
	if (there && S_ISDIR(stat.st_mode) && recv_way_check(r, dir_now(r), &why))
		return refuse(r, &why, st);
	ret = count_change(r, st);
	if (ret || r->flags & REQUEST_F_DRY_RUN)
		return ret ? ret : answer(r, item, WANT_NOTHING, st);
	if (dir_now(r) < 0)
		status_set(&why, STATUS_DEST, "its directory could not be made");
	else if (tempfile_is_name(r->e.name))
		status_set(&why, STATUS_DEST, "the name is one for temporary files");
	else if (!sync_backup(r, &why) && link)
		recv_link(r, &why);
	else if (!why.code)
		recv_node(r, &why);
	if (why.code && link && repair_park_link(r))
		return answer(r, item, WANT_NOTHING, st);
	if (why.code)
		return refuse(r, &why, st);
	ret = recv_tell(r, &why, st);
	return ret ? ret : answer(r, item, WANT_NOTHING, st);
}

int sync_question(struct receiver *r, size_t path_len, struct status *st)
{
	int ret;

	if (S_ISDIR(r->e.mode))
		return question_dir(r, path_len, st);
	if (S_ISREG(r->e.mode) && !(r->e.flags & ENTRY_F_LINK))
		ret = question_file(r, st);
	else
		ret = question_other(r, st);
	r->path_len = path_len;
	r->path[path_len] = '\0';
	return ret;
}

void sync_leave(struct receiver *r)
{
	struct recv_sync *y = r->asks;

	if (y->keeps_time && y->dir.fd >= 0)
		recv_dir_restore(y->dir.fd, &y->stat);
	if (y->dir.fd >= 0)
		close(y->dir.fd);
	y->dir.fd = -1;
	y->has_path = y->keeps_time = false;
}

void sync_left(struct receiver *r)
{
	struct recv_sync *y = r->asks;

	if (y->has_path && y->keeps_time && y->dir.fd >= 0 && !strcmp(y->path, r->path))
		recv_dir_open(y->dir.fd, &y->stat);
}

bool sync_in_tree(const struct receiver *r)
{
	return r->sync && r->asks->aside && r->asks->keeps_time;
}

/* Only what was asked for lies at the top. */
static bool good_path(const struct receiver *r, const char *path)
{
	size_t len = strcspn(path, "/");
	char name[NAME_MAX + 1];

	if (!*path)
		return true;
	if (!r->into_dir || !len || len > NAME_MAX)
		return false;
	memcpy(name, path, len);
	name[len] = '\0';
	return !r->asked || !strcmp(r->asked, ".") || recv_is_asked(r, name);
}

int sync_path(struct receiver *r, const struct frame *f, struct status *st)
{
	struct recv_sync *y = r->asks;
	int fd, ret;

	sync_leave(r);
	ret = conv_take_path(r->c, f, y->path, st);
	if (ret)
		return ret;
	if (!good_path(r, y->path) || r->flags & REQUEST_F_DRY_RUN)
		return status_set(st, STATUS_PROTOCOL, "a path of content is impossible");
	y->has_path = true;
	fd = path_open_within(r->top.fd, y->path, O_RDONLY | O_DIRECTORY);
	if (fd == -EACCES)
		fd = path_open_within(r->top.fd, y->path, O_PATH | O_DIRECTORY);
	/* Its files fail. */
	if (fd < 0)
		return 0;
	tempfile_dir_init(&y->dir, fd);
	y->keeps_time = *y->path || (y->has_tree && !strcmp(y->tree, "."));
	if (y->keeps_time)
		recv_dir_open(fd, &y->stat);
	return 0;
}

static int check_content(struct receiver *r, struct status *st)
{
	struct recv_sync *y = r->asks;

	if (!y->has_path || r->flags & REQUEST_F_DRY_RUN || !strcmp(r->e.name, "."))
		return status_set(st, STATUS_PROTOCOL, "content came that nobody asked for");
	if (!r->into_dir)
		strcpy(r->e.name, r->rename);
	else if (!*y->path && r->asked && strcmp(r->asked, ".") && !recv_is_asked(r, r->e.name))
		return status_set(st, STATUS_PROTOCOL, "something came that was not asked for: %s",
				  printable_cut(r->e.name));
	return count_change(r, st);
}

int sync_content(struct receiver *r, struct status *st)
{
	struct recv_sync *y = r->asks;
	size_t len = r->path_len;
	char path[PATH_MAX];
	int ret;

	ret = check_content(r, st);
	if (ret)
		return ret;
	memcpy(path, r->path, len + 1);
	r->path_len = strlen(y->path);
	memcpy(r->path, y->path, r->path_len + 1);
	y->aside = true;
	ret = recv_path_enter(r) ? recv_file(r, st) :
	      status_set(st, STATUS_PROTOCOL, "a path is too long");
	y->aside = false;
	memcpy(r->path, path, len + 1);
	r->path_len = len;
	return ret;
}

int sync_backup_at(struct receiver *r, int dirfd, const char *name, struct status *st)
{
	char temp[TEMPFILE_NAME_SIZE], kept[NAME_MAX + SYNC_SUFFIX_MAX + 1];
	struct stat stat;

	if (!(r->sync->flags & SYNC_F_BACKUP) || fstatat(dirfd, name, &stat, AT_SYMLINK_NOFOLLOW) ||
	    S_ISDIR(stat.st_mode))
		return 0;
	snprintf(kept, sizeof(kept), "%s%s", name, r->sync->suffix);
	if (strlen(kept) > NAME_MAX)
		return status_set(st, STATUS_DEST, "its name is too long for --backup's suffix");
	/* At no time is there none of the two. */
	if (tempfile_make_name(temp))
		return status_set(st, STATUS_DEST, "cannot keep the old one");
	if (!linkat(dirfd, name, dirfd, temp, 0)) {
		if (!renameat(dirfd, temp, dirfd, kept)) {
			/* Two names of one file are both left by that. */
			unlinkat(dirfd, temp, 0);
			return 0;
		}
		unlinkat(dirfd, temp, 0);
	} else if (errno != EEXIST && !renameat(dirfd, name, dirfd, kept)) {
		/* A file system without links. */
		return 0;
	}
	return status_errno(st, STATUS_DEST, errno, "cannot keep the old one as %s",
			    printable_cut(kept));
}

int sync_backup(struct receiver *r, struct status *st)
{
	return sync_backup_at(r, recv_dir_now(r)->fd, r->e.name, st);
}

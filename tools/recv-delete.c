// SPDX-License-Identifier: GPL-2.0
/*
 * What a sync deletes: all that is in the tree that came and that the sender, asked by
 * name when all else is done, says it has not. Many names share a frame, and the next
 * one is put together while the sender looks.
 */
#include "receiver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

/* How long names go between two looks at the peer */
#define LOOK_NS		NSEC_PER_SEC
/* What is told at the end of what went before: so much of it. */
#define TOLD_MAX	(1U << 20)

struct batch {
	char names[SYNC_BATCH_SIZE];
	size_t len;
	unsigned int count;
};

struct deleter {
	struct receiver *r;
	struct batch batches[2];
	unsigned int filling;
	bool asked;			/* the other one is out */
	bool full;			/* no more may go */
	int64_t look_ns;		/* when the peer was looked at */
	char path[PATH_MAX];		/* of the walk, beneath the top */
	char gone[PATH_MAX];		/* what went last, with all in it */
	/* A directory that is in the way: all that is in it goes, or nothing does. */
	bool clearing;
	bool checking;
	uint64_t count;			/* of what would go */
	char stays[PATH_MAX];		/* what may not */
	char *told;			/* paths of what went, each with a NUL behind it */
	size_t told_len;
};

static bool dry(const struct deleter *d)
{
	return d->r->flags & REQUEST_F_DRY_RUN;
}

/* The sender does not listen now. */
static void tell_later(struct deleter *d, const char *path)
{
	size_t size = strlen(path) + 1;

	if (!d->told)
		d->told = malloc(TOLD_MAX);
	if (!d->told || d->told_len + size > TOLD_MAX)
		return;
	memcpy(d->told + d->told_len, path, size);
	d->told_len += size;
}

static int put_deleted(struct receiver *r, const char *path, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { payload_check(path, strlen(path)) };

	return conv_put(r->c, FRAME_DELETED, arg, path, strlen(path), st);
}

/* Whether it may go; counted and told, then. */
static int tell_deleted(struct deleter *d, const char *path, bool *go, struct status *st)
{
	struct receiver *r = d->r;

	*go = r->asks->deleted < r->sync->max_delete;
	if (!*go) {
		d->full = true;
		return 0;
	}
	r->asks->deleted++;
	watcher_item(r->watcher, SYNC_DELETED, path);
	/* Whoever sends a list does not listen now. */
	if ((r->sync->flags & (SYNC_F_ITEMIZE | SYNC_F_LISTED)) != SYNC_F_ITEMIZE)
		return 0;
	if (!d->clearing)
		return put_deleted(r, path, st);
	tell_later(d, path);
	return 0;
}

static int delete_failed(struct deleter *d, const char *path, int err, struct status *st)
{
	struct receiver *r = d->r;
	struct status why;

	/* That is why something else cannot have its place. */
	if (d->clearing)
		return status_set(st, STATUS_DEST, "a directory is in its way, and %s cannot be "
				  "deleted: %s", printable_cut(path), strerror(err));
	r->path_len = 0;
	snprintf(r->path, sizeof(r->path), "%s", path);
	r->path_len = strlen(r->path);
	status_errno(&why, STATUS_DEST, err, "cannot be deleted");
	return recv_failed(r, &why, st);
}

static int remove_one(struct deleter *d, int dirfd, const char *name, const char *path, int flags,
		      struct status *st)
{
	struct status why = { 0 };
	bool go;
	int ret;

	if (d->checking) {
		d->count++;
		d->full = d->count > d->r->sync->max_delete - d->r->asks->deleted;
		return 0;
	}
	ret = tell_deleted(d, path, &go, st);
	if (ret || !go || dry(d))
		return ret;
	if (!flags && sync_backup_at(d->r, dirfd, name, &why))
		return recv_failed(d->r, &why, st);
	if (unlinkat(dirfd, name, flags) && errno != ENOENT) {
		d->r->asks->deleted--;
		/* What is excluded keeps its directory. */
		return flags && (errno == ENOTEMPTY || errno == EEXIST) ? 0 :
		       delete_failed(d, path, errno, st);
	}
	return 0;
}

static int remove_any(struct deleter *d, int dirfd, const char *name, char path[PATH_MAX],
		      bool *kept, struct status *st);

/* A backup of what is in the way would be in the way. */
static bool protects(const struct deleter *d, const char *path, const char *name, bool is_dir)
{
	const struct sync *sync = d->r->sync;

	return sync_protects(sync, path, name, is_dir) ||
	       (d->clearing && sync->flags & SYNC_F_BACKUP && !is_dir);
}

/*
 * A tree may be of any size: is there still somebody who wants that? Who has waited all the
 * while hears that it goes on.
 */
static int look_at_peer(struct deleter *d, struct status *st)
{
	int64_t now = now_ns();

	if (stop_signal)
		return status_set(st, STATUS_INTERRUPTED, "interrupted");
	if (now - d->look_ns < LOOK_NS)
		return 0;
	d->look_ns = now;
	if (conv_is_gone(d->r->c))
		return status_set(st, STATUS_PEER_GONE,
				  "the other end closed the conversation early");
	return sync_alive(d->r, st);
}

/* What is in a directory that goes. @fd is taken over. */
static int remove_content(struct deleter *d, int fd, char path[PATH_MAX], bool *kept,
			  struct status *st)
{
	size_t len = strlen(path);
	struct dirent *entry;
	bool stays = false;
	DIR *dir;
	int ret = 0;

	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return delete_failed(d, path, errno, st);
	}
	while (!ret && !d->full && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		ret = look_at_peer(d, st);
		if (len + 1 + strlen(entry->d_name) >= PATH_MAX) {
			*kept = true;
			continue;
		}
		path[len] = '/';
		strcpy(path + len + 1, entry->d_name);
		stays = false;
		if (!ret)
			ret = remove_any(d, dirfd(dir), entry->d_name, path, &stays, st);
		*kept = *kept || stays;
		path[len] = '\0';
	}
	*kept = *kept || d->full;
	closedir(dir);
	return ret;
}

static int remove_any(struct deleter *d, int dirfd, const char *name, char path[PATH_MAX],
		      bool *kept, struct status *st)
{
	struct stat stat;
	int fd, ret;

	if (fstatat(dirfd, name, &stat, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (protects(d, path, name, S_ISDIR(stat.st_mode))) {
		*kept = true;
		if (d->checking && !*d->stays)
			strcpy(d->stays, path);
		return 0;
	}
	if (!S_ISDIR(stat.st_mode))
		return remove_one(d, dirfd, name, path, 0, st);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		*kept = true;
		return delete_failed(d, path, errno, st);
	}
	ret = remove_content(d, fd, path, kept, st);
	return ret || *kept ? ret : remove_one(d, dirfd, name, path, AT_REMOVEDIR, st);
}

/* @path is beneath the top, and absent over there. */
static int remove_path(struct deleter *d, const char *path, struct status *st)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t gone = strlen(d->gone);
	char dir[PATH_MAX], copy[PATH_MAX];
	bool kept = false;
	struct stat stat;
	int fd, ret;

	/* It was dealt with when its directory was, which comes before it. */
	if (gone && !strncmp(path, d->gone, gone) && path[gone] == '/')
		return 0;
	strcpy(d->gone, path);
	memcpy(dir, path, name - path);
	dir[name - path] = '\0';
	fd = path_open_within(d->r->top.fd, dir, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return 0;
	/* Of a directory that stays the time is the sender's. */
	if (!dry(d))
		recv_dir_open(fd, &stat);
	strcpy(copy, path);
	ret = remove_any(d, fd, name, copy, &kept, st);
	if (!dry(d))
		recv_dir_restore(fd, &stat);
	close(fd);
	return ret;
}

/* The answer about the batch that is out. */
static int take_answer(struct deleter *d, struct status *st)
{
	struct batch *b = &d->batches[!d->filling];
	uint8_t bits[SYNC_BITS_SIZE];
	const char *path = b->names;
	unsigned int i;
	struct frame f;
	int ret;

	if (!d->asked)
		return 0;
	d->asked = false;
	ret = conv_expect(d->r->c, FRAME_ABSENT, &f, st);
	if (ret)
		return ret;
	if (f.len != (b->count + 7) / 8)
		return status_set(st, STATUS_PROTOCOL, "an answer of a sync makes no sense");
	ret = conv_take(d->r->c, bits, f.len, st);
	if (ret)
		return ret;
	if (payload_check(bits, f.len) != f.arg[0])
		return conv_damaged(st);
	for (i = 0; !ret && i < b->count; i++) {
		if (bits[i / 8] & 1 << i % 8)
			ret = remove_path(d, path, st);
		path += strlen(path) + 1;
	}
	return ret;
}

/* Sends the batch, and deals with the one before. */
static int ask(struct deleter *d, struct status *st)
{
	struct batch *b = &d->batches[d->filling];
	uint64_t arg[FRAME_ARGS] = { payload_check(b->names, b->len), b->count };
	int ret;

	if (!b->count)
		return 0;
	ret = conv_put(d->r->c, FRAME_NAMES, arg, b->names, b->len, st);
	if (!ret)
		ret = conv_flush(d->r->c, st);
	if (!ret)
		ret = take_answer(d, st);
	d->asked = true;
	d->filling = !d->filling;
	d->batches[d->filling].len = d->batches[d->filling].count = 0;
	return ret;
}

static int add_name(struct deleter *d, struct status *st)
{
	size_t size = strlen(d->path) + 1, most = min_u64(SYNC_BATCH_SIZE, conv_room_max(d->r->c));
	struct batch *b = &d->batches[d->filling];
	int ret;

	if (b->len + size > most || b->count == SYNC_BATCH_NAMES) {
		ret = ask(d, st);
		if (ret)
			return ret;
		b = &d->batches[d->filling];
	}
	/* Longer than all that fits: it stays. */
	if (size > most)
		return 0;
	memcpy(b->names + b->len, d->path, size);
	b->len += size;
	b->count++;
	return 0;
}

/* @fd is taken over; d->path is the directory's, empty or with a slash behind it. */
static int walk(struct deleter *d, int fd, struct status *st)
{
	size_t len = strlen(d->path), name_len;
	struct dirent *entry;
	struct stat stat;
	DIR *dir;
	int sub, ret = 0;

	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return 0;
	}
	while (!ret && !d->full && (entry = readdir(dir))) {
		if (stop_signal)
			ret = status_set(st, STATUS_INTERRUPTED, "interrupted");
		name_len = strlen(entry->d_name);
		if (ret || !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    len + name_len + 2 > sizeof(d->path) ||
		    fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW))
			continue;
		strcpy(d->path + len, entry->d_name);
		if (sync_protects(d->r->sync, d->path, entry->d_name, S_ISDIR(stat.st_mode)))
			continue;
		ret = add_name(d, st);
		if (ret || !S_ISDIR(stat.st_mode))
			continue;
		strcpy(d->path + len + name_len, "/");
		sub = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			ret = walk(d, sub, st);
	}
	d->path[len] = '\0';
	closedir(dir);
	return ret;
}

static int too_many(const struct receiver *r, struct status *why)
{
	return status_set(why, STATUS_MAX_DELETE, "more is to be deleted than --max-delete allows "
			  "(%llu)", (unsigned long long)r->sync->max_delete);
}

static int delete_in(struct deleter *d, struct status *st)
{
	struct recv_sync *y = d->r->asks;
	struct status why;
	int fd, ret;

	fd = path_open_within(d->r->top.fd, y->tree, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return dry(d) ? 0 : delete_failed(d, y->tree, -fd, st);
	if (strcmp(y->tree, "."))
		snprintf(d->path, sizeof(d->path), "%s/", y->tree);
	ret = walk(d, fd, st);
	if (!ret)
		ret = ask(d, st);
	if (!ret)
		ret = take_answer(d, st);
	if (ret || !d->full)
		return ret;
	snprintf(d->r->path, sizeof(d->r->path), "%s", y->tree);
	d->r->path_len = strlen(d->r->path);
	too_many(d->r, &why);
	return recv_failed(d->r, &why, st);
}

int sync_delete(struct receiver *r, struct status *st)
{
	struct deleter *d;
	int ret;

	/* What was not seen may be there. */
	if (r->incomplete || !r->asks->has_tree || r->asks->missing)
		return 0;
	d = calloc(1, sizeof(*d));
	if (!d)
		return status_set(st, STATUS_FAIL, "out of memory");
	d->r = r;
	d->look_ns = now_ns();
	ret = delete_in(d, st);
	free(d);
	r->path_len = 0;
	r->path[0] = '\0';
	return ret;
}

static struct deleter *get_deleter(struct receiver *r)
{
	struct deleter *d = r->asks->deleter;

	if (!d) {
		d = r->asks->deleter = calloc(1, sizeof(*d));
		if (!d)
			return NULL;
		d->look_ns = now_ns();
	}
	d->r = r;
	d->full = d->clearing = d->checking = false;
	d->gone[0] = '\0';
	return d;
}

/* What is in a directory. *@kept: not all of it went, or may go. */
static int clear(struct receiver *r, int dirfd, const char *name, bool checking, bool *kept,
		 struct status *why)
{
	struct deleter *d = get_deleter(r);
	char path[PATH_MAX];
	int fd;

	*kept = false;
	if (!d)
		return status_set(why, STATUS_FAIL, "out of memory");
	d->clearing = true;
	d->checking = checking;
	d->count = 0;
	d->stays[0] = '\0';
	strcpy(path, r->path);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? delete_failed(d, path, errno, why) :
	       remove_content(d, fd, path, kept, why);
}

int sync_check_clear(struct receiver *r, int dirfd, const char *name, struct status *why)
{
	const struct deleter *d;
	bool kept;
	int ret = clear(r, dirfd, name, true, &kept, why);

	d = r->asks->deleter;
	if (ret || !kept)
		return ret;
	if (*d->stays)
		return status_set(why, STATUS_DEST, "a directory is in its way, and what is in it is "
				  "kept by --backup, --exclude or its name: %s",
				  printable_cut(d->stays));
	if (d->full)
		return too_many(r, why);
	return status_set(why, STATUS_DEST, "a directory is in its way, and in it are paths too long "
			  "to be deleted");
}

int sync_clear(struct receiver *r, int dirfd, const char *name, struct status *why)
{
	bool kept;
	int ret = sync_check_clear(r, dirfd, name, why);

	/* Whatever came meanwhile stays, and the directory with it. */
	return ret ? ret : clear(r, dirfd, name, false, &kept, why);
}

int sync_tell_cleared(struct receiver *r, struct status *st)
{
	struct deleter *d = r->asks->deleter;
	size_t at;
	int ret = 0;

	for (at = 0; d && !ret && at < d->told_len; at += strlen(d->told + at) + 1)
		ret = put_deleted(r, d->told + at, st);
	if (d)
		d->told_len = 0;
	return ret;
}

int sync_remove(struct receiver *r, const char *path, struct status *st)
{
	struct deleter *d = get_deleter(r);
	char name[PATH_MAX];
	size_t len = r->path_len;
	int ret;

	if (!d)
		return status_set(st, STATUS_FAIL, "out of memory");
	memcpy(name, r->path, len + 1);
	/* Of many that are told of one by one, each may take long. */
	ret = look_at_peer(d, st);
	if (!ret)
		ret = remove_path(d, path, st);
	memcpy(r->path, name, len + 1);
	r->path_len = len;
	return ret;
}

void sync_free_deleter(struct receiver *r)
{
	if (r->asks->deleter)
		free(r->asks->deleter->told);
	free(r->asks->deleter);
	r->asks->deleter = NULL;
}

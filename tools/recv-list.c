// SPDX-License-Identifier: GPL-2.0
/*
 * What a list of changes has besides entries: names that are gone, or are others now.
 * Both are no more than what the deletions and the content of a sync could do.
 */
#include "receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

/* The place of a name. */
struct place {
	int fd;
	const char *name;
	struct stat dir;		/* to be restored */
	struct stat stat;
	bool there;
};

/* No part of it leads anywhere but down. */
static bool is_plain(const char *path)
{
	char name[NAME_MAX + 1];
	size_t len;

	for (;;) {
		len = strcspn(path, "/");
		if (!len || len > NAME_MAX)
			return false;
		memcpy(name, path, len);
		name[len] = '\0';
		if (!strcmp(name, ".") || !strcmp(name, "..") || tempfile_is_name(name))
			return false;
		path += len;
		if (!*path)
			return true;
		path++;
	}
}

/* It lies in the tree that the list is about. */
static bool is_within(const struct recv_sync *y, const char *path)
{
	size_t len = strlen(y->tree);

	if (!y->has_tree || !is_plain(path))
		return false;
	return !strcmp(y->tree, ".") || (!strncmp(path, y->tree, len) && path[len] == '/');
}

static int take(struct receiver *r, const struct frame *f, char *buf, size_t size,
		struct status *st)
{
	int ret;

	if (!(r->sync->flags & SYNC_F_LISTED) || !(r->sync->flags & SYNC_F_DELETE) ||
	    r->flags & REQUEST_F_DRY_RUN || f->len >= size)
		return status_set(st, STATUS_PROTOCOL, "frame %u has no place here", f->type);
	ret = conv_take(r->c, buf, f->len, st);
	if (ret)
		return ret;
	buf[f->len] = '\0';
	r->seen++;
	return payload_check(buf, f->len) == f->arg[0] ? 0 : conv_damaged(st);
}

int sync_gone(struct receiver *r, const struct frame *f, struct status *st)
{
	char path[PATH_MAX];
	int ret = take(r, f, path, sizeof(path), st);

	if (ret)
		return ret;
	if (strlen(path) != f->len || !is_within(r->asks, path))
		return status_set(st, STATUS_PROTOCOL, "a path that is gone is impossible");
	return sync_remove(r, path, st);
}

/* False: there is no such directory. */
static bool open_place(const struct receiver *r, const char *path, struct place *p)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? slash - path : 0;
	char dir[PATH_MAX];

	memcpy(dir, path, len);
	dir[len] = '\0';
	p->name = slash ? slash + 1 : path;
	p->fd = path_open_within(r->top.fd, dir, O_RDONLY | O_DIRECTORY);
	if (p->fd < 0)
		return false;
	p->there = !fstatat(p->fd, p->name, &p->stat, AT_SYMLINK_NOFOLLOW);
	return true;
}

/*
 * What the new name stands for is asked about next, by size and time: so if it does not
 * become what had the old one, it must be nothing.
 */
static int rename_place(struct receiver *r, struct place *from, struct place *to,
			struct status *st)
{
	struct status why = { 0 };
	bool replaces = to->there && !S_ISDIR(to->stat.st_mode);
	int ret = 0;

	recv_dir_open(from->fd, &from->dir);
	recv_dir_open(to->fd, &to->dir);
	if (replaces && sync_backup_at(r, to->fd, to->name, &why))
		ret = recv_failed(r, &why, st);
	else if (!from->there || renameat(from->fd, from->name, to->fd, to->name))
		ret = replaces && unlinkat(to->fd, to->name, 0) && errno != ENOENT ? 1 : 0;
	recv_dir_restore(to->fd, &to->dir);
	recv_dir_restore(from->fd, &from->dir);
	if (ret != 1)
		return ret;
	status_set(&why, STATUS_DEST, "cannot be renamed to %s", printable_cut(to->name));
	return recv_failed(r, &why, st);
}

int sync_rename(struct receiver *r, const struct frame *f, struct status *st)
{
	char paths[2 * PATH_MAX], *path;
	struct place from, to;
	bool is_dir;
	int ret = take(r, f, paths, sizeof(paths), st);

	if (ret)
		return ret;
	path = paths + strlen(paths) + 1;
	if (path >= paths + f->len || path + strlen(path) + 1 != paths + f->len ||
	    strlen(path) >= PATH_MAX || strlen(paths) >= PATH_MAX ||
	    !is_within(r->asks, paths) || !is_within(r->asks, path))
		return status_set(st, STATUS_PROTOCOL, "a path that has changed is impossible");
	/* Then all of it comes. */
	if (!open_place(r, path, &to))
		return 0;
	if (!open_place(r, paths, &from)) {
		from.fd = fcntl(to.fd, F_DUPFD_CLOEXEC, 0);
		from.there = false;
	}
	is_dir = from.there && S_ISDIR(from.stat.st_mode);
	if (sync_protects(r->sync, paths, from.name, is_dir))
		from.there = false;
	if (from.fd >= 0 && !sync_protects(r->sync, path, to.name, is_dir))
		ret = rename_place(r, &from, &to, st);
	if (from.fd >= 0)
		close(from.fd);
	close(to.fd);
	return ret;
}

// SPDX-License-Identifier: GPL-2.0
#include "list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attr.h"
#include "entry.h"
#include "expand.h"
#include "util.h"

struct lister {
	struct conv *c;
	const struct root *root;
	uint64_t entries;
	struct entry e;
};

/* The entry has its name, and its target if it is a link. */
static int put_entry(struct lister *l, const struct stat *stat, struct status *st)
{
	entry_describe(&l->e, stat);
	l->e.flags = 0;
	attr_collect(&l->e, -1, KEEP_OWNER, st);
	l->entries++;
	return entry_send(l->c, &l->e, st);
}

/* A name in an open directory; what is gone by now is none. */
static int put_name(struct lister *l, int dirfd, const char *name, struct status *st)
{
	struct stat stat;
	ssize_t len = 0;

	if (fstatat(dirfd, name, &stat, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (S_ISLNK(stat.st_mode))
		len = readlinkat(dirfd, name, l->e.target, sizeof(l->e.target) - 1);
	if (len < 0 || (S_ISLNK(stat.st_mode) && !len))
		return 0;
	l->e.target[len] = '\0';
	strcpy(l->e.name, name);
	return put_entry(l, &stat, st);
}

static int put_skip(struct lister *l, int err, const char *path, struct status *st)
{
	struct status why;

	if (err == EXDEV)
		status_set(&why, STATUS_REFUSED, "%s: leads out of the agent's root",
			   printable_cut(path));
	else
		status_errno(&why, STATUS_SOURCE, err, "%s", printable_cut(path));
	return conv_put_status(l->c, FRAME_SKIP, &why, l->entries, st);
}

/* @fd is taken over. */
static int list_dir(struct lister *l, int fd, const char *path, struct status *st)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int ret = 0;

	if (!dir) {
		ret = errno;
		close(fd);
		return put_skip(l, ret, path, st);
	}
	while (!ret) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		if (stop_signal)
			ret = status_set(st, STATUS_INTERRUPTED, "interrupted");
		else if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = put_name(l, dirfd(dir), entry->d_name, st);
	}
	if (!ret && errno)
		ret = put_skip(l, errno, path, st);
	closedir(dir);
	return ret;
}

/* Something itself: it is opened without doing anything to it. */
static int list_one(struct lister *l, const char *path, struct status *st)
{
	const char *base = path_base(path);
	struct stat stat;
	ssize_t len = 0;
	int fd;

	fd = path_open(&l->root->dir, path, O_PATH | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &stat)) {
		len = fd < 0 ? -fd : errno;
		if (fd >= 0)
			close(fd);
		return put_skip(l, len, path, st);
	}
	if (S_ISLNK(stat.st_mode))
		len = readlinkat(fd, "", l->e.target, sizeof(l->e.target) - 1);
	close(fd);
	if (len < 0 || (S_ISLNK(stat.st_mode) && !len))
		return put_skip(l, EINVAL, path, st);
	l->e.target[len] = '\0';
	strcpy(l->e.name, base ? base : ".");
	return put_entry(l, &stat, st);
}

static int list_path(struct lister *l, const char *path, bool itself, struct status *st)
{
	int fd = itself ? -ENOTDIR : path_open(&l->root->dir, path, O_RDONLY | O_DIRECTORY);
	int ret;

	ret = conv_put_path(l->c, path, fd < 0 ? 0 : PATH_F_DIR, st);
	if (ret) {
		if (fd >= 0)
			close(fd);
		return ret;
	}
	if (fd >= 0)
		return list_dir(l, fd, path, st);
	/* A link that leads out can be looked at; a directory that cannot be read, not. */
	return fd == -EACCES ? put_skip(l, EACCES, path, st) : list_one(l, path, st);
}

static int list_found(struct lister *l, struct request *request, struct status *st)
{
	struct expansion x = { 0 };
	size_t i;
	int ret;

	if (request->flags & REQUEST_F_PATTERN)
		ret = expand_pattern(&x, &l->root->dir, request->path, st);
	else
		ret = path_check(&l->root->dir, request->path, st) ? -st->code :
		      expand_add(&x, request->path, st);
	for (i = 0; !ret && i < x.count; i++)
		ret = list_path(l, x.paths[i], request->flags & REQUEST_F_ITSELF, st);
	expand_free(&x);
	return ret;
}

/* Several roots are what lies at the top. */
static int list_roots(struct lister *l, const struct roots *roots, struct status *st)
{
	struct stat stat;
	size_t i;
	int ret;

	ret = conv_put_path(l->c, "", PATH_F_DIR, st);
	l->e.target[0] = '\0';
	for (i = 0; !ret && i < roots->count; i++) {
		if (fstat(roots->list[i].dir.fd, &stat))
			continue;
		strcpy(l->e.name, roots->list[i].name);
		ret = put_entry(l, &stat, st);
	}
	return ret;
}

int list_answer(struct conv *c, const struct roots *roots, struct request *request,
		struct status *st)
{
	struct lister *l = calloc(1, sizeof(*l));
	uint64_t arg[FRAME_ARGS] = { 0 };
	int ret;

	if (!l)
		return status_set(st, STATUS_FAIL, "out of memory");
	l->c = c;
	if (roots->list[0].name[0] && !request->path[strspn(request->path, "/")]) {
		ret = list_roots(l, roots, st);
	} else {
		l->root = roots_find(roots, request->path, st);
		if (!l->root)
			ret = -st->code;
		else if (l->root->no_pull)
			ret = status_set(st, STATUS_REFUSED, "the agent serves this write-only");
		else
			ret = list_found(l, request, st);
	}
	arg[0] = l->entries;
	free(l);
	return ret ? ret : conv_send(c, FRAME_FINISH, arg, st);
}

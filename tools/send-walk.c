// SPDX-License-Identifier: GPL-2.0
#include "sender.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attr.h"
#include "tempfile.h"
#include "util.h"

bool send_is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

int send_symlink(struct sender *s, int dirfd, const char *name, const struct stat *stat,
		 struct status *st)
{
	struct status why;
	ssize_t len;

	len = readlinkat(dirfd, name, s->e.target, sizeof(s->e.target) - 1);
	if (len <= 0) {
		status_errno(&why, STATUS_SOURCE, len ? errno : EINVAL, "cannot read the link");
		return send_skip(s, &why, st);
	}
	s->e.target[len] = '\0';
	entry_describe(&s->e, stat);
	s->e.flags = 0;
	attr_collect(&s->e, -1, s->o->keep, st);
	return send_entry(s, st);
}

int send_special(struct sender *s, const struct stat *stat, struct status *st)
{
	bool fifo = S_ISFIFO(stat->st_mode);
	struct status why;

	if (S_ISSOCK(stat->st_mode) || !(s->o->keep & (fifo ? KEEP_SPECIALS : KEEP_DEVICES))) {
		status_set(&why, STATUS_NOT_REGULAR, "is %s",
			   S_ISSOCK(stat->st_mode) ? "a socket, which cannot be copied" :
			   fifo ? "a fifo (copied with --specials only)" :
			   "a device (copied with --devices only)");
		return send_skip(s, &why, st);
	}
	entry_describe(&s->e, stat);
	s->e.flags = 0;
	s->e.target[0] = '\0';
	attr_collect(&s->e, -1, s->o->keep, st);
	return send_entry(s, st);
}

/* A walk: the directories between the top and where it is. */
struct walk_level {
	DIR *dir;
	size_t path_len;		/* of the path to go back to */
};

struct walk {
	struct walk_level *levels;
	size_t depth;
	size_t size;
};

static bool walk_push(struct walk *w, DIR *dir, size_t path_len)
{
	struct walk_level *bigger;
	size_t size = w->size ? 2 * w->size : 16;

	if (w->depth == w->size) {
		bigger = realloc(w->levels, size * sizeof(*bigger));
		if (!bigger)
			return false;
		w->levels = bigger;
		w->size = size;
	}
	w->levels[w->depth++] = (struct walk_level){ dir, path_len };
	return true;
}

/* @fd is taken over. @path_len: of the path without this directory's name. */
static int send_dir(struct sender *s, struct walk *w, int fd, const struct stat *stat,
		    size_t path_len, struct status *st)
{
	struct status why;
	DIR *dir = NULL;
	int ret;

	entry_describe(&s->e, stat);
	s->e.flags = 0;
	s->e.target[0] = '\0';
	ret = attr_collect(&s->e, fd, s->o->keep, &why);
	if (!ret) {
		dir = fdopendir(fd);
		if (!dir)
			ret = status_errno(&why, STATUS_SOURCE, errno, "cannot read the directory");
	}
	if (ret) {
		close(fd);
		ret = send_skip(s, &why, st);
		send_leave(s, path_len);
		return ret;
	}
	if (!walk_push(w, dir, path_len)) {
		closedir(dir);
		return status_set(st, STATUS_FAIL, "out of memory");
	}
	return send_entry(s, st);
}

static int walk_pop(struct sender *s, struct walk *w, struct status *st)
{
	struct walk_level *level = &w->levels[--w->depth];

	closedir(level->dir);
	send_leave(s, level->path_len);
	return conv_put(s->c, FRAME_LEAVE, NULL, NULL, 0, st);
}

/*
 * Opens what is or was of that type; anything else that has taken its place since
 * does no harm. -1: it is to be looked at only.
 */
int send_open_child(int dirfd, const char *name, unsigned char type)
{
	int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	if (type == DT_DIR)
		return openat(dirfd, name, flags | O_RDONLY | O_DIRECTORY);
	return openat(dirfd, name, flags | O_RDONLY);
}

static unsigned char type_of(int dirfd, const struct dirent *entry, struct stat *stat)
{
	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	if (fstatat(dirfd, entry->d_name, stat, AT_SYMLINK_NOFOLLOW))
		return DT_UNKNOWN;
	return IFTODT(stat->st_mode);
}

static int skip_errno(struct sender *s, int err, struct status *st)
{
	struct status why;

	status_errno(&why, STATUS_SOURCE, err, "cannot be opened");
	return send_skip(s, &why, st);
}

/* A name in a directory. The path has it already; @path_len is without. */
static int send_child(struct sender *s, struct walk *w, int dirfd, const struct dirent *entry,
		      size_t path_len, struct status *st)
{
	struct stat stat;
	unsigned char type = type_of(dirfd, entry, &stat);
	int fd = -1, ret;

	strcpy(s->e.name, entry->d_name);
	if (s->sync && filter_excludes(&s->sync->filter, s->path, type == DT_DIR))
		return 0;
	if ((type == DT_REG && sync_needs_fd(s)) || type == DT_DIR) {
		fd = send_open_child(dirfd, entry->d_name, type);
		if (fd < 0 || fstat(fd, &stat)) {
			ret = errno;
			if (fd >= 0)
				close(fd);
			return skip_errno(s, ret, st);
		}
	} else if (fstatat(dirfd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW)) {
		return skip_errno(s, errno, st);
	}
	if (fd >= 0 && S_ISDIR(stat.st_mode))
		return send_dir(s, w, fd, &stat, path_len, st);
	if (S_ISREG(stat.st_mode) && (fd >= 0 || !sync_needs_fd(s)))
		ret = send_regular(s, fd, &stat, st);
	else if (S_ISLNK(stat.st_mode))
		ret = send_symlink(s, dirfd, entry->d_name, &stat, st);
	else if (S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode))
		ret = skip_errno(s, ESTALE, st);
	else
		ret = send_special(s, &stat, st);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int walk_step(struct sender *s, struct walk *w, struct status *st)
{
	struct walk_level *level = &w->levels[w->depth - 1];
	size_t path_len = s->path_len, depth = w->depth;
	struct dirent *entry;
	struct status why;
	int ret;

	if (stop_signal)
		return status_set(st, STATUS_INTERRUPTED, "interrupted");
	ret = s->sync ? sync_ready(s, st) : 0;
	if (ret)
		return ret;
	errno = 0;
	entry = readdir(level->dir);
	if (!entry && errno) {
		status_errno(&why, STATUS_IO, errno, "cannot read all of the directory");
		ret = send_skip(s, &why, st);
		return ret ? ret : walk_pop(s, w, st);
	}
	if (!entry)
		return walk_pop(s, w, st);
	if (send_is_dot(entry->d_name) || tempfile_is_name(entry->d_name))
		return 0;
	if (!send_enter(s, entry->d_name)) {
		status_set(&why, STATUS_SOURCE, "a path in it is longer than %d bytes", PATH_MAX);
		return send_skip(s, &why, st);
	}
	ret = send_child(s, w, dirfd(level->dir), entry, path_len, st);
	if (w->depth == depth)
		send_leave(s, path_len);
	return ret;
}

/* @fd is taken over; the path has the tree's name. */
int send_tree(struct sender *s, int fd, const struct stat *stat, struct status *st)
{
	char name[NAME_MAX + 1];
	struct walk w = { 0 };
	int ret;

	strcpy(name, s->e.name);
	ret = send_dir(s, &w, fd, stat, 0, st);
	while (!ret && w.depth)
		ret = walk_step(s, &w, st);
	while (w.depth)
		closedir(w.levels[--w.depth].dir);
	free(w.levels);
	return ret || !s->sync ? ret : send_links(s, name, st);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The sending end of a list, of changes or of links: of each path what it is now, in the
 * order of the list, within the directories that lead there.
 */
#include "sender.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attr.h"
#include "util.h"

/* Up to here a file comes without being asked about: that costs more than it spares. */
#define UNASKED_MAX	(256U << 10)

struct list_level {
	int fd;
	size_t len;			/* of the path, with this directory's name */
};

struct send_list {
	char name[NAME_MAX + 1];	/* of the top: "." when paths do not begin with it */
	char path[PATH_MAX];		/* beneath the top, of the last level */
	struct list_level *levels;	/* the top is the first one */
	size_t depth;
	size_t size;
};

static void close_levels(struct send_list *l)
{
	while (l->depth)
		close(l->levels[--l->depth].fd);
}

void list_end(struct sender *s)
{
	struct send_later *later;

	while (s->first_later) {
		later = s->first_later;
		s->first_later = later->next;
		free(later);
	}
	if (!s->list)
		return;
	close_levels(s->list);
	free(s->list->levels);
	free(s->list);
	s->list = NULL;
}

int send_list_open(struct sender *s, const struct path_root *root, const char *path,
		   struct status *st)
{
	struct stat stat;
	int fd, ret;

	s->list = calloc(1, sizeof(*s->list));
	if (!s->list || !send_add_source(s, root, path))
		return status_set(st, STATUS_FAIL, "out of memory");
	ret = path_open_source(root, path, &fd, &stat, st);
	if (ret)
		return ret;
	if (!S_ISDIR(stat.st_mode))
		ret = status_set(st, STATUS_SOURCE, "is not a directory any more");
	if (!ret)
		ret = send_name_of(root, path, true, s->list->name, st);
	if (!ret && strcmp(s->list->name, "."))
		send_enter(s, s->list->name);
	if (!ret)
		ret = sync_start(s, root, path, fd, st);
	if (fd >= 0)
		close(fd);
	return ret;
}

static bool has_name(const struct send_list *l)
{
	return strcmp(l->name, ".");
}

/* s->path is what the receiver calls @path. */
static bool set_path(struct sender *s, const char *path)
{
	send_leave(s, 0);
	if (has_name(s->list) && !send_enter(s, s->list->name))
		return false;
	return !*path || send_enter(s, path);
}

/* Takes @fd over. */
static bool push_level(struct send_list *l, int fd, size_t len)
{
	struct list_level *bigger;
	size_t size = l->size ? 2 * l->size : 16;

	if (l->depth == l->size) {
		bigger = reallocarray(l->levels, size, sizeof(*bigger));
		if (!bigger) {
			close(fd);
			return false;
		}
		l->levels = bigger;
		l->size = size;
	}
	l->levels[l->depth++] = (struct list_level){ fd, len };
	return true;
}

static int pop_level(struct sender *s, struct status *st)
{
	struct send_list *l = s->list;

	close(l->levels[--l->depth].fd);
	l->path[l->depth ? l->levels[l->depth - 1].len : 0] = '\0';
	return conv_put(s->c, FRAME_LEAVE, NULL, NULL, 0, st);
}

/* A directory, which the next things lie in: @fd is taken over. *@skipped: it cannot be told. */
static int enter_dir(struct sender *s, const char *path, const char *name, int fd, bool *skipped,
		     struct status *st)
{
	struct send_list *l = s->list;
	struct status why = { 0 };
	struct stat stat;
	int ret;

	ret = sync_ready(s, st);
	if (ret) {
		close(fd);
		return ret;
	}
	if (!set_path(s, path))
		status_set(&why, STATUS_SOURCE, "its path is too long");
	else if (fstat(fd, &stat))
		status_errno(&why, STATUS_SOURCE, errno, "cannot look at the directory");
	if (!why.code) {
		entry_describe(&s->e, &stat);
		s->e.flags = 0;
		s->e.target[0] = '\0';
		strcpy(s->e.name, name);
		attr_collect(&s->e, fd, s->o->keep, &why);
	}
	*skipped = why.code;
	if (why.code) {
		close(fd);
		return send_skip(s, &why, st);
	}
	memmove(l->path, path, strlen(path) + 1);
	if (!push_level(l, fd, strlen(path)))
		return status_set(st, STATUS_FAIL, "out of memory");
	return send_entry(s, st);
}

/* The top. */
static int begin(struct sender *s, struct status *st)
{
	bool skipped;
	int fd;

	fd = fcntl(sync_top(s), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return status_errno(st, STATUS_FAIL, errno, "cannot use the directory");
	return enter_dir(s, "", s->list->name, fd, &skipped, st);
}

int send_list_begin(struct sender *s, struct status *st)
{
	sync_forget_dir(s);
	/* Other files may have the inodes by now. */
	links_free(&s->links);
	return begin(s, st);
}

/* Whether the level's directory is @dir or leads there. */
static bool leads_to(const struct send_list *l, const char *dir)
{
	size_t len = strlen(l->path);

	return !len || (!strncmp(l->path, dir, len) && (!dir[len] || dir[len] == '/'));
}

static int leave_for(struct sender *s, const char *dir, struct status *st)
{
	int ret = 0;

	while (!ret && s->list->depth > 1 && !leads_to(s->list, dir))
		ret = pop_level(s, st);
	return ret;
}

/* Goes to directory @dir. *@err: why it cannot be entered, or zero. */
static int go_to(struct sender *s, const char *dir, int *err, struct status *st)
{
	struct send_list *l = s->list;
	char path[PATH_MAX];
	bool skipped = false;
	size_t len;
	int fd, ret;

	*err = l->depth ? 0 : EIO;
	ret = leave_for(s, dir, st);
	if (ret)
		return ret;
	while (!*err && strcmp(l->path, dir)) {
		len = *l->path ? strlen(l->path) + 1 : 0;
		len += strcspn(dir + len, "/");
		memcpy(path, dir, len);
		path[len] = '\0';
		fd = openat(l->levels[l->depth - 1].fd,
			    *l->path ? path + strlen(l->path) + 1 : path,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0) {
			*err = errno;
			return 0;
		}
		ret = enter_dir(s, path, strrchr(path, '/') ? strrchr(path, '/') + 1 : path, fd,
				&skipped, st);
		if (ret)
			return ret;
		*err = skipped ? EIO : 0;
	}
	return 0;
}

static int put_gone(struct sender *s, const char *path, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { 0 };

	if (!(s->sync->flags & SYNC_F_DELETE) || !set_path(s, path))
		return 0;
	sync_forget_dir(s);
	arg[0] = payload_check(s->path, s->path_len);
	s->number++;
	return conv_put(s->c, FRAME_GONE, arg, s->path, s->path_len, st);
}

int send_list_rename(struct sender *s, const char *from, const char *to, uint32_t flags,
		     struct status *st)
{
	const char *slash = strrchr(to, '/');
	char dir[PATH_MAX], paths[2 * PATH_MAX];
	uint64_t arg[FRAME_ARGS] = { 0 };
	size_t len;
	int ret;

	if (!(s->sync->flags & SYNC_F_DELETE))
		return 0;
	ret = sync_has_questions(s) ? sync_drain(s, st) : 0;
	len = slash ? slash - to : 0;
	memcpy(dir, to, len);
	dir[len] = '\0';
	if (!ret)
		ret = leave_for(s, dir, st);
	if (!ret && flags & SEND_F_WAS_DIR)
		ret = put_gone(s, to, st);
	/* What has too long a path is not there, and all of it comes. */
	if (ret || !set_path(s, from))
		return ret;
	len = s->path_len + 1;
	memcpy(paths, s->path, len);
	if (!set_path(s, to))
		return 0;
	memcpy(paths + len, s->path, s->path_len + 1);
	len += s->path_len + 1;
	sync_forget_dir(s);
	arg[0] = payload_check(paths, len);
	s->number++;
	return conv_put(s->c, FRAME_RENAME, arg, paths, len, st);
}

static int skip_long(struct sender *s, struct status *st)
{
	struct status why;

	status_set(&why, STATUS_SOURCE, "a path in it is longer than %d bytes", PATH_MAX);
	return send_skip(s, &why, st);
}

static int ask_file(struct sender *s, int dirfd, const char *base, bool hashed,
		    struct status *st)
{
	struct status why;
	struct stat stat;
	int fd = -1, ret;

	s->ask_hashed = hashed;
	fd = openat(dirfd, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat)) {
		status_errno(&why, STATUS_SOURCE, errno, "cannot be opened");
		ret = send_skip(s, &why, st);
	} else if (!S_ISREG(stat.st_mode)) {
		status_set(&why, STATUS_CHANGED, "was replaced before it was sent");
		ret = send_skip(s, &why, st);
	} else {
		strcpy(s->e.name, base);
		ret = sync_ask_file(s, fd, &stat, st);
	}
	s->ask_hashed = false;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int change_file(struct sender *s, const struct send_change *change, uint32_t flags,
		       int dirfd, const char *base, const struct stat *stat, struct status *st)
{
	bool whole = s->sync->flags & SYNC_F_WHOLE || s->o->hash == HASH_NONE;
	int ret;

	if (!set_path(s, change->path))
		return skip_long(s, st);
	if (flags & SEND_F_CONTENT && (stat->st_size <= UNASKED_MAX || whole)) {
		s->expected = change->stat;
		ret = sync_send_now(s, st);
		s->expected = NULL;
		return ret;
	}
	ret = ask_file(s, dirfd, base, flags & SEND_F_CONTENT, st);
	if (ret || flags & SEND_F_ALONE)
		return ret;
	return sync_drain(s, st);
}

static bool is_gone(int err)
{
	return err == ENOENT || err == ENOTDIR || err == ELOOP;
}

/* It cannot be looked at: mostly as nothing of that name is here. */
static int change_absent(struct sender *s, const struct send_change *change, int err,
			 enum send_kind *kind, struct status *st)
{
	struct status why;

	if (!is_gone(err)) {
		if (!set_path(s, change->path))
			return skip_long(s, st);
		status_errno(&why, STATUS_SOURCE, err, "cannot be opened");
		return send_skip(s, &why, st);
	}
	*kind = SEND_GONE;
	return put_gone(s, change->path, st);
}

/* What has a name in an open directory. */
static int change_there(struct sender *s, const struct send_change *change, uint32_t flags,
			int dirfd, const char *base, const struct stat *stat,
			enum send_kind *kind, struct status *st)
{
	bool skipped;
	int fd;

	if (S_ISREG(stat->st_mode)) {
		*kind = stat->st_nlink > 1 ? SEND_FILE_LINKED : SEND_FILE;
		return change_file(s, change, flags, dirfd, base, stat, st);
	}
	*kind = SEND_OTHER;
	if (S_ISDIR(stat->st_mode)) {
		fd = openat(dirfd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			return enter_dir(s, change->path, base, fd, &skipped, st);
		/* One that is gone is told of by its own change. */
		return is_gone(errno) ? 0 : change_absent(s, change, errno, kind, st);
	}
	if (!set_path(s, change->path))
		return skip_long(s, st);
	strcpy(s->e.name, base);
	if (S_ISLNK(stat->st_mode))
		return send_symlink(s, dirfd, base, stat, st);
	if (!S_ISSOCK(stat->st_mode) &&
	    s->o->keep & (S_ISFIFO(stat->st_mode) ? KEEP_SPECIALS : KEEP_DEVICES))
		return send_special(s, stat, st);
	*kind = SEND_NOTHING;
	return flags & SEND_F_REMOVED ? put_gone(s, change->path, st) : 0;
}

int send_list_change(struct sender *s, const struct send_change *change, enum send_kind *kind,
		     struct status *st)
{
	const char *slash = strrchr(change->path, '/');
	const char *base = slash ? slash + 1 : change->path;
	size_t len = slash ? slash - change->path : 0;
	uint32_t flags = change->flags;
	char dir[PATH_MAX];
	struct stat stat;
	int dirfd, err, ret = 0;

	*kind = SEND_NOTHING;
	/* The top itself is told of in each round. */
	if (!*change->path)
		return 0;
	memcpy(dir, change->path, len);
	dir[len] = '\0';
	if (!(flags & SEND_F_ALONE) && sync_has_questions(s))
		ret = sync_drain(s, st);
	if (!ret)
		ret = go_to(s, dir, &err, st);
	if (ret)
		return ret;
	dirfd = err ? -1 : s->list->levels[s->list->depth - 1].fd;
	if (!err && fstatat(dirfd, base, &stat, AT_SYMLINK_NOFOLLOW))
		err = errno;
	if (err)
		return change_absent(s, change, err, kind, st);
	if (flags & SEND_F_WAS_DIR || (flags & SEND_F_REMOVED && S_ISDIR(stat.st_mode)))
		ret = put_gone(s, change->path, st);
	if (!ret)
		ret = sync_ready(s, st);
	return ret ? ret : change_there(s, change, flags, dirfd, base, &stat, kind, st);
}

int send_list_end(struct sender *s, bool *damaged, struct status *st)
{
	int ret = 0;

	while (!ret && s->list->depth)
		ret = pop_level(s, st);
	if (!ret && sync_has_questions(s))
		ret = sync_drain(s, st);
	return ret ? ret : sync_round(s, damaged, st);
}

/* ---- names of files that a walk has met under another one ---- */

bool send_later(struct sender *s, const struct stat *stat)
{
	struct send_later *later = malloc(sizeof(*later) + s->path_len + 1);

	if (!later)
		return false;
	later->next = NULL;
	later->dev = stat->st_dev;
	later->ino = stat->st_ino;
	memcpy(later->path, s->path, s->path_len + 1);
	if (s->first_later)
		s->last_later->next = later;
	else
		s->first_later = later;
	s->last_later = later;
	return true;
}

static int ask_link(struct sender *s, const struct send_later *later, struct status *st)
{
	const char *path = later->path + (has_name(s->list) ? strlen(s->list->name) + 1 : 0);
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t len = slash ? slash - path : 0;
	char dir[PATH_MAX];
	struct status why;
	struct stat stat;
	int err, ret;

	memcpy(dir, path, len);
	dir[len] = '\0';
	ret = go_to(s, dir, &err, st);
	if (!ret)
		ret = sync_ready(s, st);
	if (ret)
		return ret;
	set_path(s, path);
	if (!err && fstatat(s->list->levels[s->list->depth - 1].fd, base, &stat,
			    AT_SYMLINK_NOFOLLOW))
		err = errno;
	if (err)
		status_errno(&why, STATUS_SOURCE, err, "cannot be opened");
	else if (stat.st_dev != later->dev || stat.st_ino != later->ino)
		err = -status_set(&why, STATUS_CHANGED, "was replaced before it was sent");
	if (err)
		return send_skip(s, &why, st);
	strcpy(s->e.name, base);
	return send_link(s, &stat, links_find(&s->links, later->dev, later->ino), st);
}

int send_links(struct sender *s, const char *name, struct status *st)
{
	const struct send_later *later;
	int ret;

	if (!s->first_later)
		return 0;
	ret = sync_drain(s, st);
	s->list = calloc(1, sizeof(*s->list));
	if (!ret && !s->list)
		ret = status_set(st, STATUS_FAIL, "out of memory");
	if (ret)
		return ret;
	strcpy(s->list->name, name);
	ret = begin(s, st);
	for (later = s->first_later; !ret && later; later = later->next)
		ret = ask_link(s, later, st);
	while (!ret && s->list->depth)
		ret = pop_level(s, st);
	return ret;
}

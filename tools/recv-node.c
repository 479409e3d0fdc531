// SPDX-License-Identifier: GPL-2.0
#include "receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attr.h"

#define TEMPFILE_TRIES		100
/* What directories within each other may have as attributes, until they are closed. */
#define HELD_MAX		(16U << 20)

/* What else is in the directory is none of the sender's business. */
static bool is_asked_for(const struct receiver *r, const char *path)
{
	size_t len = strcspn(path, "/");
	char name[NAME_MAX + 1];

	if (!r->asked || !strcmp(r->asked, "."))
		return true;
	/* A file at the top itself, where the pattern names several. */
	if (len > NAME_MAX || (!path[len] && !r->asked_pattern))
		return false;
	memcpy(name, path, len);
	name[len] = '\0';
	return recv_is_asked(r, name);
}

/* What has a temporary name gets its own, in place of what has that, or goes. */
static int give_name(struct receiver *r, int here, const char *temp, struct status *why)
{
	int ret;

	if (!renameat(here, temp, here, r->e.name))
		return 0;
	ret = errno == EISDIR ? recv_way_clear(r, here, why) : recv_name_failed(r, errno, why);
	if (!ret && renameat(here, temp, here, r->e.name))
		ret = recv_name_failed(r, errno, why);
	if (ret)
		unlinkat(here, temp, 0);
	return ret;
}

int recv_link(struct receiver *r, struct status *why)
{
	char dir[PATH_MAX], temp[TEMPFILE_NAME_SIZE];
	const char *base = path_base(r->e.target);
	int here = recv_dir_now(r)->fd, parent, ret = 0, tries;
	struct stat old, new;

	if (!base || r->e.target[0] == '/' || !r->into_dir || !is_asked_for(r, r->e.target))
		return status_set(why, STATUS_PROTOCOL, "a hard link leads nowhere");
	memcpy(dir, r->e.target, base - r->e.target);
	dir[base - r->e.target] = '\0';
	parent = path_open_within(r->top.fd, dir, O_PATH | O_DIRECTORY);
	if (parent < 0)
		return status_errno(why, STATUS_DEST, -parent, "cannot find the file it is a link of");
	if (fstatat(parent, base, &new, AT_SYMLINK_NOFOLLOW) || !S_ISREG(new.st_mode))
		ret = status_set(why, STATUS_DEST, "the file it is a link of is not there");
	else if (!fstatat(here, r->e.name, &old, AT_SYMLINK_NOFOLLOW) &&
		 old.st_dev == new.st_dev && old.st_ino == new.st_ino)
		ret = 0;	/* renaming one name of a file to another one does nothing */
	else
		ret = 1;
	for (tries = 0; ret == 1 && tries < TEMPFILE_TRIES; tries++) {
		if (tempfile_make_name(temp))
			continue;
		if (linkat(parent, base, here, temp, 0)) {
			if (errno == EEXIST)
				continue;
			ret = status_errno(why, STATUS_DEST, errno, "cannot make the link");
		} else {
			ret = give_name(r, here, temp, why);
		}
	}
	close(parent);
	return ret > 0 ? status_set(why, STATUS_DEST, "cannot make the link") : ret;
}

/* Makes something without content under a temporary name. */
static int make_node(const struct receiver *r, int dirfd, const char *name)
{
	if (S_ISLNK(r->e.mode))
		return symlinkat(r->e.target, dirfd, name);
	return mknodat(dirfd, name, (r->e.mode & S_IFMT) | 0600,
		       makedev(r->e.major, r->e.minor));
}

int recv_node(struct receiver *r, struct status *why)
{
	uint32_t wish = S_ISFIFO(r->e.mode) ? KEEP_SPECIALS : S_ISLNK(r->e.mode) ? 0 : KEEP_DEVICES;
	int here = recv_dir_now(r)->fd, tries, ret;
	char temp[TEMPFILE_NAME_SIZE];

	if (wish & ~r->keep)
		return status_set(why, STATUS_REFUSED, "nobody asked for devices or fifos");
	for (tries = 0; tries < TEMPFILE_TRIES; tries++) {
		if (tempfile_make_name(temp))
			continue;
		if (!make_node(r, here, temp))
			break;
		if (errno != EEXIST)
			return status_errno(why, STATUS_DEST, errno, "cannot be made");
	}
	ret = attr_apply_at(here, temp, &r->e, r->keep, r->o->umask, why);
	if (!ret)
		return give_name(r, here, temp, why);
	unlinkat(here, temp, 0);
	return ret;
}

void recv_dir_open(int fd, struct stat *stat)
{
	if (fstat(fd, stat)) {
		stat->st_mode = 0;
		return;
	}
	if ((stat->st_mode & 0300) != 0300)
		fchmod(fd, (stat->st_mode & 07777) | 0300);
}

void recv_dir_restore(int fd, const struct stat *stat)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, stat->st_mtim };

	if (!stat->st_mode)
		return;
	if ((stat->st_mode & 0300) != 0300)
		fchmod(fd, stat->st_mode & 07777);
	futimens(fd, times);
}

static int push_level(struct receiver *r, size_t path_len, struct status *st)
{
	size_t size = r->size ? 2 * r->size : 16, attrs_size;
	struct recv_level *bigger, *level;

	if (r->e.xattrs_len > HELD_MAX - r->held)
		return status_set(st, STATUS_FAIL,
				  "the attributes of directories within each other are too many");
	if (r->depth == r->size) {
		bigger = realloc(r->levels, size * sizeof(*bigger));
		if (!bigger)
			return status_set(st, STATUS_FAIL, "out of memory");
		r->levels = bigger;
		r->size = size;
	}
	level = &r->levels[r->depth];
	attrs_size = offsetof(struct entry, xattrs) + r->e.xattrs_len;
	level->attrs = malloc(attrs_size);
	if (!level->attrs)
		return status_set(st, STATUS_FAIL, "out of memory");
	memcpy(level->attrs, &r->e, attrs_size);
	r->held += r->e.xattrs_len;
	level->path_len = path_len;
	level->dir.fd = -1;
	level->fresh = false;
	r->depth++;
	return 0;
}

static int open_dir(struct receiver *r, int parent, struct recv_level *level, struct status *why)
{
	const struct tempfile_dir *above = level == r->levels ? &r->top : &level[-1].dir;
	int fd;

	if (tempfile_is_name(r->e.name))
		return status_set(why, STATUS_DEST, "the name is one for temporary files");
	if (!strcmp(r->e.name, ".")) {
		fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			fd = fcntl(parent, F_DUPFD_CLOEXEC, 0);
	} else {
		fd = recv_way_dir(r, parent, &level->fresh, why);
	}
	if (fd < 0)
		return why->code ? -why->code :
		       status_errno(why, STATUS_DEST, errno, "cannot open the directory");
	if (level->fresh)
		tempfile_dir_inherit(&level->dir, above, fd);
	else
		tempfile_dir_init(&level->dir, fd);
	return 0;
}

int recv_dir(struct receiver *r, size_t path_len, struct status *st)
{
	int parent = recv_dir_now(r)->fd, ret;
	struct status why = { 0 };

	if (!r->into_dir || r->sink >= 0)
		return status_set(st, STATUS_PROTOCOL, "a directory came where a file was due");
	ret = push_level(r, path_len, st);
	if (ret)
		return ret;
	if (r->flags & REQUEST_F_DRY_RUN && r->sync) {
		if (parent >= 0 && !r->asks->missing)
			r->levels[r->depth - 1].dir.fd = openat(parent, r->e.name, O_RDONLY |
								O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		return 0;
	}
	if (r->flags & REQUEST_F_DRY_RUN) {
		watcher_done(r->watcher, &r->e, r->path);
		return 0;
	}
	if (parent < 0)
		status_set(&why, STATUS_DEST, "its directory could not be made");
	else
		open_dir(r, parent, &r->levels[r->depth - 1], &why);
	if (why.code && recv_is_fatal(r, why.code)) {
		*st = why;
		return -why.code;
	}
	if (why.code)
		return recv_failed(r, &why, st);
	if (!r->sync || r->levels[r->depth - 1].fresh)
		watcher_done(r->watcher, &r->e, r->path);
	return 0;
}

/* What a directory is to be like, now that nothing changes in it any more. */
int recv_leave(struct receiver *r, struct status *st)
{
	struct recv_level *level;
	struct status why = { 0 }, named;

	if (!r->depth)
		return status_set(st, STATUS_PROTOCOL, "a directory ended that did not begin");
	level = &r->levels[r->depth - 1];
	if (level->dir.fd >= 0 && !(r->flags & REQUEST_F_DRY_RUN)) {
		attr_apply(level->dir.fd, level->attrs, r->keep, r->o->umask, !level->fresh, &why);
		if (r->sync)
			sync_left(r);
		if (!why.code && r->flags & REQUEST_F_SYNC_FILE)
			recv_sync_directory(level->dir.fd, -1, &why);
	}
	/* The directory itself was counted, and is there; the code tells what is amiss. */
	if (why.code) {
		recv_name_status(r, &why, &named);
		watcher_failed(r->watcher, &named, r->seen);
		r->incomplete = true;
		if (!r->skip_code)
			r->skip_code = why.code;
	}
	recv_pop_level(r);
	return 0;
}

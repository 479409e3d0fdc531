// SPDX-License-Identifier: GPL-2.0
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tempfile.h"
#include "util.h"

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	if (!*base || !strcmp(base, ".") || !strcmp(base, ".."))
		return NULL;
	return base;
}

static bool has_dotdot(const char *path)
{
	const char *p = path;
	size_t len;

	while (*p) {
		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (len == 2 && !strncmp(p, "..", 2))
			return true;
		p += len;
	}
	return false;
}

static int open_beneath(const struct path_root *root, const char *path, int flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int fd, tries;

	path += strspn(path, "/");
	/* EAGAIN: something was renamed meanwhile, and the kernel cannot be sure. */
	for (tries = 0; tries < 16; tries++) {
		fd = syscall(SYS_openat2, root->fd, *path ? path : ".", &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : fd;
}

int path_open(const struct path_root *root, const char *path, int flags)
{
	int fd;

	if (root->confined)
		return open_beneath(root, path, flags);
	fd = openat(root->fd, *path ? path : ".", flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int path_open_within(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int fd;

	fd = syscall(SYS_openat2, dirfd, *path ? path : ".", &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/*
 * Opens for reading what @fd, made with O_PATH, stands for: by its name, another
 * file could have taken its place since.
 */
static int reopen(int fd, int flags)
{
	char name[32];
	int ret;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ret = open(name, flags | O_CLOEXEC);
	return ret < 0 ? -errno : ret;
}

int path_check(const struct path_root *root, const char *path, struct status *st)
{
	if (strlen(path) >= PATH_MAX)
		return status_set(st, STATUS_USAGE, "the name is too long");
	if (root->confined && has_dotdot(path))
		return status_set(st, STATUS_REFUSED, "a name with .. in it is not accepted");
	return 0;
}

/* The jail's own verdicts look different from those of the file system. */
static int path_failed(const struct path_root *root, enum status_code code, int err,
		       const char *what, struct status *st)
{
	if (root->confined && err == EXDEV)
		return status_set(st, STATUS_REFUSED, "the name leads out of the agent's root");
	return status_errno(st, code, err, "%s", what);
}

static int flags_for(mode_t mode)
{
	return S_ISDIR(mode) ? O_RDONLY | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOCTTY;
}

int path_open_source(const struct path_root *root, const char *path, int *fd, struct stat *stat,
		     struct status *st)
{
	mode_t type;
	int found, ret;

	*fd = -1;
	ret = path_check(root, path, st);
	if (ret)
		return ret;
	/* Opening a device may do something; so look first without opening. */
	found = ret = path_open(root, path, O_PATH);
	if (found >= 0) {
		if (fstat(found, stat))
			stat->st_mode = 0;
		type = stat->st_mode & S_IFMT;
		if (!S_ISREG(type) && !S_ISDIR(type)) {
			close(found);
			return 0;
		}
		ret = reopen(found, flags_for(type));
		close(found);
		/* Without /proc. */
		if (ret == -ENOENT)
			ret = path_open(root, path, flags_for(type));
	}
	if (ret < 0)
		return path_failed(root, STATUS_SOURCE, -ret, "cannot be opened", st);
	*fd = ret;
	if (!fstat(*fd, stat) && (stat->st_mode & S_IFMT) == type)
		return 0;
	close(*fd);
	*fd = -1;
	return status_set(st, STATUS_CHANGED, "was replaced while it was opened");
}

/* Opens the directory in which the last part of @path lies, and says where that part is. */
static int open_parent(const struct path_root *root, const char *path, const char **base,
		       struct status *st)
{
	char dir[PATH_MAX];
	size_t len;
	int fd;

	*base = path_base(path);
	if (!*base)
		return status_set(st, STATUS_DEST, "there is no such directory");
	len = *base - path;
	memcpy(dir, path, len);
	dir[len] = '\0';
	fd = path_open(root, dir, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return path_failed(root, STATUS_DEST, -fd, "its directory cannot be opened", st);
	return fd;
}

static int check_dest(const struct path_dest *dest, struct status *st)
{
	struct stat stat;

	if (fstatat(dest->dirfd, dest->name, &stat, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : status_errno(st, STATUS_DEST, errno,
							   "cannot look at the destination");
	if (S_ISDIR(stat.st_mode))
		return status_set(st, STATUS_DEST, "the destination is a directory: %s",
				  printable(dest->name));
	/* A link is replaced, not followed. */
	if (!S_ISREG(stat.st_mode) && !S_ISLNK(stat.st_mode))
		return status_set(st, STATUS_DEST, "the destination is not a regular file");
	return 0;
}

/* Makes the last part of @path a directory, in one that is there. */
static int make_dir(const struct path_root *root, const char *path, mode_t mode,
		    struct status *st)
{
	char name[PATH_MAX];
	size_t len = strlen(path);
	const char *base;
	int parent, fd;

	while (len > 1 && path[len - 1] == '/')
		len--;
	memcpy(name, path, len);
	name[len] = '\0';
	parent = open_parent(root, name, &base, st);
	if (parent < 0)
		return parent;
	if (tempfile_is_name(base)) {
		close(parent);
		return status_set(st, STATUS_DEST, "the name is one for temporary files");
	}
	fd = mkdirat(parent, base, mode) && errno != EEXIST ? -errno : 0;
	if (!fd)
		fd = path_open_within(parent, base, O_RDONLY | O_DIRECTORY);
	close(parent);
	if (fd < 0)
		return status_errno(st, STATUS_DEST, -fd, "cannot make the destination's directory");
	return fd;
}

int path_open_dest_dir(const struct path_root *root, const char *path, mode_t make, int *fd,
		       struct status *st)
{
	int ret;

	ret = path_check(root, path, st);
	if (ret)
		return ret;
	*fd = path_open(root, path, O_PATH | O_DIRECTORY);
	if (*fd == -ENOENT && make) {
		*fd = make_dir(root, path, make, st);
		return *fd < 0 ? *fd : 0;
	}
	if (*fd == -ENOENT || *fd == -ENOTDIR)
		return status_set(st, STATUS_DEST, "the destination is no directory");
	if (*fd < 0)
		return path_failed(root, STATUS_DEST, -*fd, "cannot be opened", st);
	return 0;
}

int path_resolve_dest(const struct path_root *root, const char *path, const char *base,
		      bool into_dir, struct path_dest *dest, struct status *st)
{
	size_t len = strlen(path);
	int fd, ret;

	ret = path_check(root, path, st);
	if (ret)
		return ret;
	fd = path_open(root, path, O_PATH | O_DIRECTORY);
	if (fd == -ENOENT || fd == -ENOTDIR) {
		if (into_dir || (len && path[len - 1] == '/'))
			return status_set(st, STATUS_DEST, "the destination is no directory");
		fd = open_parent(root, path, &base, st);
		if (fd < 0)
			return fd;
	} else if (fd < 0) {
		return path_failed(root, STATUS_DEST, -fd, "cannot be opened", st);
	}
	dest->dirfd = fd;
	dest->name[0] = '\0';
	if (!base)
		return 0;
	if (!path_base(base) || strchr(base, '/') || strlen(base) > NAME_MAX)
		ret = status_set(st, STATUS_DEST, "the file would have an impossible name");
	else if (tempfile_is_name(base))
		ret = status_set(st, STATUS_DEST, "the name is one for temporary files");
	else
		strcpy(dest->name, base);
	if (!ret)
		ret = check_dest(dest, st);
	if (ret)
		path_dest_close(dest);
	return ret;
}

void path_dest_close(struct path_dest *dest)
{
	close(dest->dirfd);
	dest->dirfd = -1;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What is in the way of what comes, by the rules of rsync(1): anything makes way for a
 * directory, and a directory for anything else, if it is empty, or if what is not over there
 * is to be deleted anyway.
 */
#include "receiver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A list says by itself what has gone: that is no wish to delete what it never had. */
static bool may_clear(const struct receiver *r)
{
	uint32_t wish = SYNC_F_DELETE;

	if (!r->sync)
		return false;
	if (r->sync->flags & SYNC_F_LISTED)
		wish |= SYNC_F_REPLACE;
	return (r->sync->flags & wish) == wish;
}

static int not_empty(struct status *why)
{
	return status_set(why, STATUS_DEST, "a directory that is not empty is in its way (sync "
			  "--delete would delete it)");
}

static bool is_empty(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool empty = dir;

	while (empty && (entry = readdir(dir)))
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return empty;
}

int recv_way_check(struct receiver *r, int dirfd, struct status *why)
{
	if (is_empty(dirfd, r->e.name))
		return 0;
	return may_clear(r) ? sync_check_clear(r, dirfd, r->e.name, why) : not_empty(why);
}

int recv_way_clear(struct receiver *r, int dirfd, struct status *why)
{
	int ret;

	if (!unlinkat(dirfd, r->e.name, AT_REMOVEDIR) || errno == ENOENT || errno == ENOTDIR)
		return 0;
	if (errno == ENOTEMPTY || errno == EEXIST) {
		ret = may_clear(r) ? sync_clear(r, dirfd, r->e.name, why) : not_empty(why);
		if (ret || !unlinkat(dirfd, r->e.name, AT_REMOVEDIR))
			return ret;
	}
	return status_errno(why, STATUS_DEST, errno, "a directory is in its way that cannot be "
			    "removed");
}

/*
 * In the place of something else: not for a moment is there neither, and that one stays if
 * there can be no directory.
 */
static int replace_by_dir(int dirfd, const char *name)
{
	char temp[TEMPFILE_NAME_SIZE];
	int ret = 0;

	if (tempfile_make_name(temp))
		return -EIO;
	if (mkdirat(dirfd, temp, 0700))
		return -errno;
	if (!renameat2(dirfd, temp, dirfd, name, RENAME_EXCHANGE)) {
		if (!unlinkat(dirfd, temp, 0))
			return 0;
		/* It is another thing by now, or stays. */
		ret = -errno;
		renameat2(dirfd, temp, dirfd, name, RENAME_EXCHANGE);
	} else if (unlinkat(dirfd, name, 0) || renameat(dirfd, temp, dirfd, name)) {
		/* Not all file systems know how to exchange. */
		ret = -errno;
	} else {
		return 0;
	}
	unlinkat(dirfd, temp, AT_REMOVEDIR);
	return ret;
}

static int open_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == EACCES)
		fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

static int failed(struct receiver *r, int err, struct status *why)
{
	if (err == ENOSPC || err == EDQUOT)
		recv_write_failed(r, err, why);
	else
		status_errno(why, STATUS_DEST, err, "cannot make the directory");
	return -1;
}

int recv_way_dir(struct receiver *r, int dirfd, bool *fresh, struct status *why)
{
	const char *name = r->e.name;
	int tries, fd, ret = -ENOTDIR;

	for (tries = 0; tries < 2; tries++) {
		*fresh = !mkdirat(dirfd, name, 0700);
		if (!*fresh && errno != EEXIST)
			return failed(r, errno, why);
		fd = open_dir(dirfd, name);
		if (fd >= 0)
			return fd;
		if (errno != ENOTDIR && errno != ELOOP)
			return failed(r, errno, why);
		if (r->sync && sync_backup_at(r, dirfd, name, why))
			return -1;
		/* Where a backup cannot be a second name, this one is free now. */
		ret = replace_by_dir(dirfd, name);
		fd = ret ? -1 : open_dir(dirfd, name);
		*fresh = fd >= 0;
		if (fd >= 0)
			return fd;
	}
	return failed(r, -ret, why);
}

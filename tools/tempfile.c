// SPDX-License-Identifier: GPL-2.0
#include "tempfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "util.h"

#define TEMPFILE_TRIES		100
#define TEMPFILE_PREFIX		".ivring-"
#define PARTIAL_PREFIX		".ivring-part-"
#define TEMPFILE_LETTERS	"abcdefghijklmnopqrstuvwxyz0123456789"

/* The look for litter costs no more than this, once in a while for a directory. */
#define COLLECT_ENTRIES_MAX	16384
#define COLLECT_INTERVAL_NS	(60 * NSEC_PER_SEC)

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC		0x58465342
#endif

#define PROC_FD_SIZE		32

static struct tempfile * volatile tempfile_current;

/* The final name has no part in it: it might have the greatest length already. */
int tempfile_make_name(char name[TEMPFILE_NAME_SIZE])
{
	static const char letters[] = TEMPFILE_LETTERS;
	size_t i, at = strlen(TEMPFILE_PREFIX);
	uint8_t random[TEMPFILE_NAME_SIZE];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	strcpy(name, TEMPFILE_PREFIX);
	for (i = at; i < TEMPFILE_NAME_SIZE - 1; i++)
		name[i] = letters[random[i] % (sizeof(letters) - 1)];
	name[i] = '\0';
	return 0;
}

static bool is_partial(const char *name)
{
	size_t prefix = strlen(PARTIAL_PREFIX);

	return strlen(name) == TEMPFILE_PART_SIZE - 1 && !strncmp(name, PARTIAL_PREFIX, prefix) &&
	       !name[prefix + strspn(name + prefix, "0123456789abcdef")];
}

static bool is_temporary(const char *name)
{
	size_t prefix = strlen(TEMPFILE_PREFIX);

	return strlen(name) == TEMPFILE_NAME_SIZE - 1 &&
	       !strncmp(name, TEMPFILE_PREFIX, prefix) &&
	       !name[prefix + strspn(name + prefix, TEMPFILE_LETTERS)];
}

bool tempfile_is_name(const char *name)
{
	return is_temporary(name) || is_partial(name);
}

static void proc_name(int fd, char name[PROC_FD_SIZE])
{
	snprintf(name, PROC_FD_SIZE, "/proc/self/fd/%d", fd);
}

/* A regular file that nobody holds locked. */
static bool is_litter(int dirfd, const char *name, int *fd)
{
	struct stat stat;

	/* Opening anything else may do something. */
	if (fstatat(dirfd, name, &stat, AT_SYMLINK_NOFOLLOW) || !S_ISREG(stat.st_mode))
		return false;
	*fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0)
		return false;
	if (!fstat(*fd, &stat) && S_ISREG(stat.st_mode) && !flock(*fd, LOCK_EX | LOCK_NB))
		return true;
	close(*fd);
	return false;
}

void tempfile_collect(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	unsigned int count;
	int file;
	DIR *dir;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (count = 0; count < COLLECT_ENTRIES_MAX && (entry = readdir(dir)); count++) {
		if (!is_temporary(entry->d_name) || !is_litter(dirfd, entry->d_name, &file))
			continue;
		/* Locked until it is gone: its maker, if it was made just now, notices. */
		unlinkat(dirfd, entry->d_name, 0);
		close(file);
	}
	closedir(dir);
}

static void collect_sometimes(int dirfd)
{
	static int64_t next_ns;
	static dev_t last_dev;
	static ino_t last_ino;
	struct stat stat;

	if (fstat(dirfd, &stat))
		return;
	if (stat.st_dev == last_dev && stat.st_ino == last_ino && now_ns() < next_ns)
		return;
	last_dev = stat.st_dev;
	last_ino = stat.st_ino;
	next_ns = now_ns() + COLLECT_INTERVAL_NS;
	tempfile_collect(dirfd);
}

/* Those that write at once, or tell of everything before a close. */
static bool is_local(long type)
{
	static const long local[] = {
		TMPFS_MAGIC, EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
		F2FS_SUPER_MAGIC, RAMFS_MAGIC, OVERLAYFS_SUPER_MAGIC,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(local); i++)
		if (local[i] == type)
			return true;
	return false;
}

void tempfile_dir_init(struct tempfile_dir *dir, int fd)
{
	struct statfs fs;

	dir->fd = fd;
	dir->named_only = false;
	dir->late_errors = fstatfs(fd, &fs) || !is_local(fs.f_type);
	collect_sometimes(fd);
}

void tempfile_dir_inherit(struct tempfile_dir *dir, const struct tempfile_dir *parent, int fd)
{
	*dir = *parent;
	dir->fd = fd;
}

/* False when it was taken for litter between its creation and its lock. */
static bool lock_file(int fd)
{
	struct stat stat;

	if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return false;
	return fstat(fd, &stat) || stat.st_nlink;
}

int tempfile_create_named(struct tempfile *t, int dirfd)
{
	int tries, ret;

	t->dirfd = dirfd;
	t->partial = false;
	t->late_errors = true;
	for (tries = 0; tries < TEMPFILE_TRIES; tries++) {
		ret = tempfile_make_name(t->name);
		if (ret)
			return ret;
		t->fd = openat(dirfd, t->name,
			       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (t->fd < 0 && errno == EEXIST)
			continue;
		if (t->fd < 0)
			return -errno;
		tempfile_current = t;
		if (lock_file(t->fd))
			return 0;
		tempfile_discard(t);
	}
	return -EEXIST;
}

/* False where the file system has no such files, or there would be no way to name one. */
static bool create_anonymous(struct tempfile *t, const struct tempfile_dir *dir, mode_t mode)
{
	static bool has_proc;

	if (!has_proc && access("/proc/self/fd", F_OK))
		return false;
	has_proc = true;
	t->dirfd = dir->fd;
	t->partial = false;
	t->late_errors = dir->late_errors;
	t->name[0] = '\0';
	t->fd = openat(dir->fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, mode);
	return t->fd >= 0;
}

int tempfile_create(struct tempfile *t, struct tempfile_dir *dir, mode_t mode)
{
	int ret;

	if (!dir->named_only && create_anonymous(t, dir, mode)) {
		tempfile_current = t;
		return 0;
	}
	ret = tempfile_create_named(t, dir->fd);
	t->late_errors = dir->late_errors;
	/* Not to be tried for each of the next files. */
	dir->named_only = !ret;
	return ret;
}

/* Nobody else's, nor one that was put in the way, and still of that name. */
static bool is_own_partial(const struct tempfile *t)
{
	struct stat mine, named;

	return !fstat(t->fd, &mine) && S_ISREG(mine.st_mode) && mine.st_nlink == 1 &&
	       mine.st_uid == geteuid() &&
	       !fstatat(t->dirfd, t->name, &named, AT_SYMLINK_NOFOLLOW) &&
	       named.st_dev == mine.st_dev && named.st_ino == mine.st_ino;
}

int tempfile_open_partial(struct tempfile *t, const struct tempfile_dir *dir,
			  const char *final_name)
{
	t->dirfd = dir->fd;
	t->late_errors = dir->late_errors;
	snprintf(t->name, sizeof(t->name), PARTIAL_PREFIX "%016llx",
		 (unsigned long long)XXH64(final_name, strlen(final_name), 0));
	t->fd = openat(dir->fd, t->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
		       O_CLOEXEC, 0600);
	if (t->fd >= 0 && !flock(t->fd, LOCK_EX | LOCK_NB) && is_own_partial(t) &&
	    !fchmod(t->fd, 0600)) {
		t->partial = true;
		return 0;
	}
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	t->name[0] = '\0';
	return -EBUSY;
}

/* Gives a file without name a temporary one: a link cannot replace what has the final one. */
static int link_anonymous(struct tempfile *t)
{
	char proc[PROC_FD_SIZE];
	int tries, ret;

	proc_name(t->fd, proc);
	for (tries = 0; tries < TEMPFILE_TRIES; tries++) {
		ret = tempfile_make_name(t->name);
		if (!ret && linkat(AT_FDCWD, proc, t->dirfd, t->name, AT_SYMLINK_FOLLOW))
			ret = -errno;
		if (!ret)
			return 0;
		t->name[0] = '\0';
		if (ret != -EEXIST)
			return ret;
	}
	return -EEXIST;
}

/* Some file systems report a failed write no earlier than at a close. The lock is to stay. */
static int flush_by_close(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 || close(copy) ? -errno : 0;
}

/* Only files and links are replaced. */
static int look_at_old(struct tempfile *t, const char *name, int *replaced)
{
	struct stat stat;

	*replaced = openat(t->dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (*replaced < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(*replaced, &stat))
		return -errno;
	if (S_ISDIR(stat.st_mode))
		return -EISDIR;
	return S_ISREG(stat.st_mode) || S_ISLNK(stat.st_mode) ? 0 : -EEXIST;
}

/* Puts the file, which has a temporary name by now or none, in place of an old one. */
static int replace(struct tempfile *t, const char *final_name, int *replaced)
{
	int ret = look_at_old(t, final_name, replaced);

	if (!ret && !t->name[0]) {
		/* For the moment between its first name and its last one. */
		flock(t->fd, LOCK_EX | LOCK_NB);
		ret = link_anonymous(t);
	}
	if (!ret && renameat(t->dirfd, t->name, t->dirfd, final_name))
		ret = -errno;
	if (!ret)
		t->name[0] = '\0';
	if (ret && *replaced >= 0) {
		close(*replaced);
		*replaced = -1;
	}
	return ret;
}

int tempfile_rename(struct tempfile *t, const char *final_name, int *replaced)
{
	int ret = t->late_errors ? flush_by_close(t->fd) : 0;
	char proc[PROC_FD_SIZE];

	*replaced = -1;
	if (!ret && !t->name[0]) {
		/* Mostly there is nothing of that name. */
		proc_name(t->fd, proc);
		if (linkat(AT_FDCWD, proc, t->dirfd, final_name, AT_SYMLINK_FOLLOW))
			ret = -errno;
		if (ret == -EEXIST)
			ret = replace(t, final_name, replaced);
	} else if (!ret) {
		ret = replace(t, final_name, replaced);
	}
	if (ret != -EISDIR)
		tempfile_discard(t);
	return ret;
}

void tempfile_discard(struct tempfile *t)
{
	if (t->name[0])
		unlinkat(t->dirfd, t->name, 0);
	tempfile_current = NULL;
	t->name[0] = '\0';
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

void tempfile_keep(struct tempfile *t)
{
	struct stat stat;

	/* Nothing is worth no name. */
	if (t->partial && !fstat(t->fd, &stat) && stat.st_size)
		t->name[0] = '\0';
	tempfile_discard(t);
}

void tempfile_emergency(void)
{
	struct tempfile *t = tempfile_current;

	if (t && t->name[0])
		unlinkat(t->dirfd, t->name, 0);
}

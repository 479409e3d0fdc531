// SPDX-License-Identifier: GPL-2.0
#include "attr.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util.h"

#define ACL_PREFIX	"system.posix_acl_"

/* What file systems say that know no such thing, or whose server decides. */
static bool is_no_such_attribute(int err)
{
	return err == EPERM || err == EOPNOTSUPP || err == ENOSYS;
}

/* Names of users and groups seldom change from one file to the next. */
struct name_cache {
	bool valid;
	unsigned int id;
	char name[ENTRY_OWNER_MAX + 1];
};

static void user_name(uid_t uid, char name[ENTRY_OWNER_MAX + 1])
{
	static _Thread_local struct name_cache last;
	const struct passwd *pw;

	if (!last.valid || last.id != uid) {
		pw = getpwuid(uid);
		snprintf(last.name, sizeof(last.name), "%s", pw ? pw->pw_name : "");
		last.id = uid;
		last.valid = true;
	}
	strcpy(name, last.name);
}

static void group_name(gid_t gid, char name[ENTRY_OWNER_MAX + 1])
{
	static _Thread_local struct name_cache last;
	const struct group *gr;

	if (!last.valid || last.id != gid) {
		gr = getgrgid(gid);
		snprintf(last.name, sizeof(last.name), "%s", gr ? gr->gr_name : "");
		last.id = gid;
		last.valid = true;
	}
	strcpy(name, last.name);
}

/* A name that is not known here stands for its number. */
static uid_t find_user(const char *name, uid_t otherwise)
{
	static _Thread_local struct name_cache last;
	const struct passwd *pw;

	if (!*name)
		return otherwise;
	if (!last.valid || strcmp(last.name, name)) {
		pw = getpwnam(name);
		if (!pw)
			return otherwise;
		snprintf(last.name, sizeof(last.name), "%s", name);
		last.id = pw->pw_uid;
		last.valid = true;
	}
	return last.id;
}

static gid_t find_group(const char *name, gid_t otherwise)
{
	static _Thread_local struct name_cache last;
	const struct group *gr;

	if (!*name)
		return otherwise;
	if (!last.valid || strcmp(last.name, name)) {
		gr = getgrnam(name);
		if (!gr)
			return otherwise;
		snprintf(last.name, sizeof(last.name), "%s", name);
		last.id = gr->gr_gid;
		last.valid = true;
	}
	return last.id;
}

static bool xattr_is_kept(const char *name, uint32_t keep)
{
	if (!strncmp(name, ACL_PREFIX, strlen(ACL_PREFIX)))
		return keep & KEEP_ACLS;
	/* A capability is a set-id bit by another name. */
	if (!strcmp(name, "security.capability"))
		return keep & KEEP_XATTRS && keep & KEEP_SETID;
	return keep & KEEP_XATTRS && strncmp(name, "system.", strlen("system."));
}

static int collect_xattrs(struct entry *e, int fd, uint32_t keep, struct status *st)
{
	static _Thread_local char list[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
	ssize_t len, value_len;
	const char *name;

	len = flistxattr(fd, list, sizeof(list));
	if (len < 0)
		return is_no_such_attribute(errno) ? 0 :
		       status_errno(st, STATUS_SOURCE, errno, "cannot list its attributes");
	for (name = list; name < list + len; name += strlen(name) + 1) {
		if (!xattr_is_kept(name, keep))
			continue;
		value_len = fgetxattr(fd, name, value, sizeof(value));
		/* Gone meanwhile, or not for us to read. */
		if (value_len < 0 && (errno == ENODATA || is_no_such_attribute(errno)))
			continue;
		if (value_len < 0)
			return status_errno(st, STATUS_SOURCE, errno, "cannot read attribute %s",
					    printable_cut(name));
		if (!entry_add_xattr(e, name, value, value_len))
			return status_set(st, STATUS_SOURCE,
					  "its attributes are more than %u bytes; leave them out "
					  "(no --xattrs)", ENTRY_XATTRS_MAX);
	}
	return 0;
}

int attr_collect(struct entry *e, int fd, uint32_t keep, struct status *st)
{
	e->user[0] = e->group[0] = '\0';
	e->xattrs_len = 0;
	if ((keep & (KEEP_OWNER | KEEP_NUMERIC)) == KEEP_OWNER) {
		user_name(e->uid, e->user);
		group_name(e->gid, e->group);
	}
	return fd < 0 || !(keep & (KEEP_XATTRS | KEEP_ACLS)) ? 0 : collect_xattrs(e, fd, keep, st);
}

mode_t attr_mode(const struct entry *e, uint32_t keep, mode_t umask)
{
	if (!(keep & KEEP_MODE))
		return e->mode & 0777 & ~umask;
	/* A sticky bit on a directory protects; set-id bits give something away. */
	return e->mode & (keep & KEEP_SETID ? 07777 : 01777);
}

static void entry_times(const struct entry *e, struct timespec times[2])
{
	times[0] = (struct timespec){ .tv_nsec = UTIME_NOW };
	times[1] = (struct timespec){ .tv_sec = e->mtime_sec, .tv_nsec = e->mtime_nsec };
}

static int apply_xattrs(int fd, const struct entry *e, uint32_t keep, struct status *st)
{
	const uint8_t *value;
	const char *name;
	uint32_t at = 0, len;

	while (entry_next_xattr(e, &at, &name, &value, &len)) {
		if (!xattr_is_kept(name, keep))
			continue;
		if (fsetxattr(fd, name, value, len, 0) && !is_no_such_attribute(errno))
			return status_errno(st, STATUS_IO, errno, "cannot set attribute %s",
					    printable_cut(name));
	}
	return 0;
}

int attr_apply(int fd, const struct entry *e, uint32_t keep, mode_t umask, bool mode_is_set,
	       struct status *st)
{
	struct timespec times[2];
	int ret;

	/* First, as it takes set-id bits and capabilities away. */
	if (keep & KEEP_OWNER && fchown(fd, find_user(e->user, e->uid),
					find_group(e->group, e->gid)))
		return status_errno(st, STATUS_IO, errno, "cannot set the owner");
	if ((!mode_is_set || keep & KEEP_MODE) && fchmod(fd, attr_mode(e, keep, umask)) &&
	    !is_no_such_attribute(errno))
		return status_errno(st, STATUS_IO, errno, "cannot set the mode");
	if (e->xattrs_len) {
		ret = apply_xattrs(fd, e, keep, st);
		if (ret)
			return ret;
	}
	entry_times(e, times);
	if (futimens(fd, times) && !is_no_such_attribute(errno))
		return status_errno(st, STATUS_IO, errno, "cannot set the time");
	return 0;
}

int attr_apply_at(int dirfd, const char *name, const struct entry *e, uint32_t keep,
		  mode_t umask, struct status *st)
{
	struct timespec times[2];

	if (keep & KEEP_OWNER && fchownat(dirfd, name, find_user(e->user, e->uid),
					  find_group(e->group, e->gid), AT_SYMLINK_NOFOLLOW))
		return status_errno(st, STATUS_IO, errno, "cannot set the owner");
	/* Links have no mode; one that somebody put in the way is not followed. */
	if (!S_ISLNK(e->mode) &&
	    fchmodat(dirfd, name, attr_mode(e, keep, umask), AT_SYMLINK_NOFOLLOW) &&
	    !is_no_such_attribute(errno))
		return status_errno(st, STATUS_IO, errno, "cannot set the mode");
	entry_times(e, times);
	if (utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) && !is_no_such_attribute(errno))
		return status_errno(st, STATUS_IO, errno, "cannot set the time");
	return 0;
}

int attr_check_keep(uint32_t keep, const char *whose, struct status *st)
{
	if (!geteuid() || !(keep & (KEEP_OWNER | KEEP_DEVICES)))
		return 0;
	return status_set(st, STATUS_REFUSED,
			  "%s side does not run as root, which %s takes: leave that out",
			  whose, keep & KEEP_OWNER ? "keeping owners (--owner)" :
			  "making devices (--devices)");
}

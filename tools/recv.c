// SPDX-License-Identifier: GPL-2.0
#include "recv.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attr.h"
#include "util.h"

/* The free space is looked at again before files of this size. */
#define SPACE_CHECK_SIZE	(1U << 20)
#define TEMPFILE_TRIES		100

void recv_init(struct receiver *r, struct conv *c, const struct path_root *root,
	       const struct recv_options *o, struct watcher *watcher)
{
	r->c = c;
	r->root = root;
	r->o = o;
	r->watcher = watcher;
	r->keep = r->flags = 0;
	r->sink = -1;
	r->top.fd = -1;
	r->replaced = -1;
	r->temp.fd = -1;
	r->rename[0] = '\0';
	r->into_dir = false;
	r->path[0] = '\0';
	r->path_len = 0;
	r->seen = r->failed = r->skipped = 0;
	r->first_code = r->skip_code = 0;
}

static int check_space(const struct receiver *r, int fd, uint64_t needed, struct status *st)
{
	unsigned long long available;
	struct statvfs vfs;

	/* Some file systems do not count their blocks. */
	if (fstatvfs(fd, &vfs) || !vfs.f_blocks)
		return 0;
	available = (unsigned long long)(geteuid() ? vfs.f_bavail : vfs.f_bfree) * vfs.f_frsize;
	if (needed <= available)
		return 0;
	return status_set(st, STATUS_NO_SPACE,
			  "no space left in %s file system (needs %llu bytes, %llu free)",
			  r->root->whose, (unsigned long long)needed, available);
}

static int check_keep(const struct receiver *r, struct status *st)
{
	uint32_t refused = r->keep & ~r->o->allowed;

	if (refused)
		return status_set(st, STATUS_REFUSED, "the agent does not allow to keep %s",
				  refused & KEEP_SETID ? "set-id bits (its --allow-setid)" :
				  refused & KEEP_DEVICES ? "devices (its --allow-devices)" :
				  "that");
	return attr_check_keep(r->keep, r->root->whose, st);
}

int recv_begin(struct receiver *r, const struct request *request, struct status *st)
{
	struct path_dest dest = { .dirfd = -1 };
	int ret;

	r->keep = request->keep;
	r->flags = request->flags;
	ret = check_keep(r, st);
	if (ret)
		return ret;
	if (request->flags & REQUEST_F_INTO_DIR)
		ret = path_open_dest_dir(r->root, request->path,
					 request->flags & REQUEST_F_MAKE_DIR ?
					 0777 & ~r->o->umask : 0, &dest.dirfd, st);
	else
		ret = path_resolve_dest(r->root, request->path, NULL, false, &dest, st);
	if (ret)
		return ret;
	strcpy(r->rename, dest.name);
	r->into_dir = !dest.name[0];
	tempfile_dir_init(&r->top, dest.dirfd);
	ret = check_space(r, r->top.fd, request->data_bytes, st);
	if (ret)
		recv_end(r);
	return ret;
}

void recv_begin_sink(struct receiver *r, int fd)
{
	r->sink = fd;
	r->into_dir = true;
}

static void drop_replaced(struct receiver *r)
{
	if (r->replaced >= 0)
		close(r->replaced);
	r->replaced = -1;
}

static void pop_level(struct receiver *r)
{
	struct recv_level *level = &r->levels[--r->depth];

	if (level->dir.fd >= 0)
		close(level->dir.fd);
	free(level->attrs);
	r->path_len = level->path_len;
	r->path[r->path_len] = '\0';
}

void recv_end(struct receiver *r)
{
	while (r->depth)
		pop_level(r);
	drop_replaced(r);
	if (r->top.fd >= 0)
		close(r->top.fd);
	r->top.fd = -1;
}

void recv_free(struct receiver *r)
{
	hash_free(&r->hash);
	free(r->levels);
	r->levels = NULL;
	r->size = 0;
}

static void name_status(const struct receiver *r, const struct status *why, struct status *named)
{
	named->code = why->code;
	snprintf(named->text, sizeof(named->text), "%.240s: %.240s",
		 printable_cut(r->path_len ? r->path : r->e.name), why->text);
}

/* What failed is told to everybody, to the sender only while that costs no wait. */
static int entry_failed(struct receiver *r, struct status *why, struct status *st)
{
	struct status named;
	int ret = 0;

	name_status(r, why, &named);
	r->failed++;
	if (!r->first_code)
		r->first_code = why->code;
	watcher_failed(r->watcher, &named, r->seen - 1);
	if (conv_has_room(r->c, sizeof(named.text)))
		ret = conv_put_status(r->c, FRAME_FAILED, &named, r->seen - 1, st);
	return ret;
}

static struct tempfile_dir *current_dir(struct receiver *r)
{
	return r->depth ? &r->levels[r->depth - 1].dir : &r->top;
}

static int write_failed(struct receiver *r, int err, struct status *st)
{
	if (err == ENOSPC || err == EDQUOT)
		return status_set(st, STATUS_NO_SPACE, "no space left in %s file system (%s %llu "
				  "of %llu bytes)", r->root->whose,
				  err == EDQUOT ? "quota reached after" : "full after",
				  (unsigned long long)r->pos, (unsigned long long)r->e.size);
	if (err == EFBIG)
		return status_set(st, STATUS_DEST, "the file is too big for %s file system",
				  r->root->whose);
	return status_errno(st, STATUS_IO, err, "cannot write to %s file system", r->root->whose);
}

static ssize_t write_some(struct receiver *r, const uint8_t *buf, uint64_t len)
{
	if (r->sink >= 0)
		return write(r->sink, buf, len);
	return pwrite(r->temp.fd, buf, len, r->pos);
}

static int write_fully(struct receiver *r, const uint8_t *buf, uint64_t len, struct status *st)
{
	ssize_t n;

	while (len) {
		n = write_some(r, buf, len);
		if (n < 0 && errno != EINTR)
			return write_failed(r, errno, st);
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		if (n < 0)
			continue;
		buf += n;
		len -= n;
		r->pos += n;
	}
	return 0;
}

/* A pipe has no holes. */
static int write_zeros(struct receiver *r, uint64_t len, struct status *st)
{
	static const uint8_t zeros[65536];
	uint64_t part;
	int ret = 0;

	for (; !ret && len; len -= part) {
		part = min_u64(len, sizeof(zeros));
		ret = write_fully(r, zeros, part, st);
	}
	return ret;
}

/* Writes what is there of the last frame's payload, and hashes it. */
static int take_data(struct receiver *r, uint64_t left, struct status *st)
{
	uint64_t part;
	const void *p;
	int ret;

	while (left) {
		ret = conv_payload_peek(r->c, &p, &part, st);
		if (ret)
			return ret;
		part = min_u64(part, left);
		ret = write_fully(r, p, part, st);
		if (ret)
			return ret;
		hash_data(&r->hash, p, part);
		conv_payload_take(r->c, part);
		left -= part;
		watcher_moved(r->watcher, r->path, part);
		ret = conv_release(r->c, st);
		if (ret)
			return ret;
	}
	return 0;
}

/* The next @len bytes begin at @offset: no gap, no overlap, not past the end. */
static int check_extent(struct receiver *r, uint64_t offset, uint64_t len, struct status *st)
{
	uint64_t end = r->e.flags & ENTRY_F_STREAM ? INT64_MAX : r->e.size;

	if (offset != r->pos || !len || len > end - r->pos)
		return status_set(st, STATUS_PROTOCOL, "content came out of place");
	return 0;
}

static int take_hole(struct receiver *r, const struct frame *f, struct status *st)
{
	if (f->arg[1] > PROTO_HOLE_MAX)
		return status_set(st, STATUS_PROTOCOL, "a hole is longer than a frame may tell");
	hash_zeros(&r->hash, f->arg[1]);
	watcher_moved(r->watcher, r->path, f->arg[1]);
	if (r->sink >= 0)
		return write_zeros(r, f->arg[1], st);
	r->pos += f->arg[1];
	r->hole_last = true;
	return 0;
}

/* One that ends the stream rather than the file only. */
static bool is_fatal(const struct receiver *r, int code)
{
	if (r->sink >= 0)
		return true;
	return code != STATUS_IO && code != STATUS_DEST && code != STATUS_CONTENT &&
	       code != STATUS_REFUSED && code != STATUS_FAIL;
}

/*
 * A file's content, up to END or SKIP, is taken or, once *@why says so, only passed
 * over. @f is END then, or SKIP.
 */
static int take_content(struct receiver *r, struct frame *f, struct status *why,
			struct status *st)
{
	uint64_t len;
	int ret;

	for (;;) {
		ret = conv_recv(r->c, f, st);
		if (ret || f->type == FRAME_END || f->type == FRAME_SKIP)
			return ret;
		if (f->type != FRAME_DATA && f->type != FRAME_HOLE)
			return status_set(st, STATUS_PROTOCOL, "frame %u came among content",
					  f->type);
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		if (!why->code) {
			len = f->type == FRAME_DATA ? f->len : f->arg[1];
			ret = check_extent(r, f->arg[0], len, why);
			if (!ret)
				ret = f->type == FRAME_DATA ? take_data(r, len, why) :
				      take_hole(r, f, why);
			if (f->type == FRAME_DATA)
				r->hole_last = false;
		}
		if (ret && is_fatal(r, why->code)) {
			*st = *why;
			return ret;
		}
	}
}

/* @file is one in that directory. */
static int sync_directory(int dirfd, int file, struct status *st)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	/* One may be able to write to a directory that one cannot read. */
	if (fd < 0 && errno == EACCES && file >= 0)
		err = syncfs(file) ? errno : 0;
	else if (fd < 0 || fsync(fd))
		err = errno;
	if (fd >= 0)
		close(fd);
	return err ? status_errno(st, STATUS_IO, err, "cannot sync the directory") : 0;
}

static int name_failed(struct receiver *r, int err, struct status *st)
{
	if (err == ENOSPC || err == EDQUOT)
		return write_failed(r, err, st);
	if (err == EISDIR)
		return status_set(st, STATUS_DEST, "the destination is a directory: %s", r->e.name);
	if (err == EEXIST)
		return status_set(st, STATUS_DEST, "the destination is not a regular file");
	return status_errno(st, STATUS_DEST, err, "cannot give the file its name");
}

/* Mode, time and whatever else the file is to have before it gets its name. */
static int finish_file(struct receiver *r, struct status *st)
{
	bool sync = r->flags & (REQUEST_F_SYNC_FILE | REQUEST_F_SYNC_END);
	int fd = r->temp.fd, file = -1, ret;

	if (r->hole_last && ftruncate(fd, r->e.size))
		return write_failed(r, errno, st);
	ret = attr_apply(fd, &r->e, r->keep, r->o->umask, !r->temp.name[0], st);
	if (ret)
		return ret;
	if (r->flags & REQUEST_F_SYNC_FILE && fsync(fd))
		return write_failed(r, errno, st);
	if (sync && !r->depth)
		file = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	drop_replaced(r);
	ret = tempfile_rename(&r->temp, r->e.name, &r->replaced);
	if (ret)
		ret = name_failed(r, -ret, st);
	else if (r->flags & REQUEST_F_SYNC_FILE && !r->depth)
		ret = sync_directory(r->top.fd, file, st);
	if (file >= 0)
		close(file);
	return ret;
}

static int digest_differs(struct status *st)
{
	return status_set(st, STATUS_CONTENT, "the content that arrived is not what was sent; "
			  "nothing was kept of it");
}

/* Compares what arrived with what END or the entry says; keeps the digest. */
static int check_digest(struct receiver *r, uint64_t size, const uint64_t arg[FRAME_ARGS],
			struct status *st)
{
	uint8_t digest[HASH_DIGEST_SIZE];

	hash_final(&r->hash, digest);
	if (r->pos != size || (arg ? !digest_matches_args(size, digest, arg) :
			       !!memcmp(digest, r->e.digest, sizeof(digest))))
		return digest_differs(st);
	memcpy(r->e.digest, digest, sizeof(digest));
	return 0;
}

static int open_file(struct receiver *r, struct status *st)
{
	int ret;

	if (!hash_known(r->e.hash_kind))
		return status_set(st, STATUS_FAIL, "this side has no library for its hash: choose "
				  "another --hash");
	if (hash_init(&r->hash, r->e.hash_kind))
		return status_set(st, STATUS_FAIL, "out of memory");
	r->pos = 0;
	r->hole_last = false;
	if (r->sink >= 0)
		return 0;
	if (tempfile_is_name(r->e.name))
		return status_set(st, STATUS_DEST, "the name is one for temporary files");
	ret = tempfile_create(&r->temp, current_dir(r), attr_mode(&r->e, r->keep, r->o->umask));
	if (ret)
		return status_errno(st, STATUS_DEST, -ret, "cannot create a file in %s directory",
				    r->root->whose);
	if (r->e.data_bytes >= SPACE_CHECK_SIZE)
		ret = check_space(r, r->temp.fd, r->e.data_bytes, st);
	return ret;
}

/* The file is complete, or *@why says what is wrong with it. */
static int end_file(struct receiver *r, struct status *why, struct status *st)
{
	if (!why->code && r->sink < 0)
		finish_file(r, why);
	if (why->code && r->temp.fd >= 0)
		tempfile_discard(&r->temp);
	if (!why->code) {
		watcher_done(r->watcher, &r->e, r->path);
		return 0;
	}
	if (is_fatal(r, why->code)) {
		*st = *why;
		return -why->code;
	}
	return entry_failed(r, why, st);
}

static int take_skip(struct receiver *r, const struct frame *f, struct status *st)
{
	struct status why;
	int ret;

	ret = conv_take_status(r->c, f, &why, st);
	if (ret)
		return ret;
	r->skipped++;
	if (!r->skip_code)
		r->skip_code = why.code;
	watcher_failed(r->watcher, &why, r->seen);
	return 0;
}

static int recv_inline(struct receiver *r, struct status *why, struct status *st)
{
	if (!why->code)
		take_data(r, r->e.size, why);
	if (!why->code)
		check_digest(r, r->e.size, NULL, why);
	return end_file(r, why, st);
}

static int recv_frames(struct receiver *r, struct status *why, struct status *st)
{
	struct frame f;
	int ret;

	ret = take_content(r, &f, why, st);
	if (!ret && f.type == FRAME_SKIP) {
		/* It was announced, but is none of those that are counted. */
		r->seen--;
		if (r->temp.fd >= 0)
			tempfile_discard(&r->temp);
		return take_skip(r, &f, st);
	}
	if (ret) {
		if (r->temp.fd >= 0)
			tempfile_discard(&r->temp);
		return ret;
	}
	if (r->e.flags & ENTRY_F_STREAM && !why->code)
		r->e.size = r->pos;
	if (!why->code)
		check_digest(r, r->e.size, f.arg, why);
	return end_file(r, why, st);
}

static int recv_link(struct receiver *r, struct status *why)
{
	char dir[PATH_MAX], temp[TEMPFILE_NAME_SIZE];
	const char *base = path_base(r->e.target);
	int here = current_dir(r)->fd, parent, ret = 0, tries;
	struct stat old, new;

	if (!base || r->e.target[0] == '/' || !r->into_dir)
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
		} else if (renameat(here, temp, here, r->e.name)) {
			ret = name_failed(r, errno, why);
			unlinkat(here, temp, 0);
		} else {
			ret = 0;
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

static int recv_node(struct receiver *r, struct status *why)
{
	uint32_t wish = S_ISFIFO(r->e.mode) ? KEEP_SPECIALS : S_ISLNK(r->e.mode) ? 0 : KEEP_DEVICES;
	int here = current_dir(r)->fd, tries, ret;
	char temp[TEMPFILE_NAME_SIZE];
	struct stat old;

	if (wish & ~r->keep)
		return status_set(why, STATUS_REFUSED, "nobody asked for devices or fifos");
	if (!fstatat(here, r->e.name, &old, AT_SYMLINK_NOFOLLOW) && S_ISDIR(old.st_mode))
		return name_failed(r, EISDIR, why);
	for (tries = 0; tries < TEMPFILE_TRIES; tries++) {
		if (tempfile_make_name(temp))
			continue;
		if (!make_node(r, here, temp))
			break;
		if (errno != EEXIST)
			return status_errno(why, STATUS_DEST, errno, "cannot be made");
	}
	ret = attr_apply_at(here, temp, &r->e, r->keep, r->o->umask, why);
	if (!ret && renameat(here, temp, here, r->e.name))
		ret = name_failed(r, errno, why);
	if (ret)
		unlinkat(here, temp, 0);
	return ret;
}

/* A directory's fd, made or found. */
static int make_dir(int parent, const char *name, bool *fresh)
{
	struct stat old;
	int tries, fd;

	for (tries = 0; tries < 2; tries++) {
		*fresh = !mkdirat(parent, name, 0700);
		if (!*fresh && errno != EEXIST)
			return -errno;
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == EACCES)
			fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		/* A link in the way is replaced, as one in the way of a file is. */
		if (fstatat(parent, name, &old, AT_SYMLINK_NOFOLLOW) || !S_ISLNK(old.st_mode) ||
		    unlinkat(parent, name, 0))
			return -ENOTDIR;
	}
	return -ENOTDIR;
}

static int push_level(struct receiver *r, size_t path_len, struct status *st)
{
	size_t size = r->size ? 2 * r->size : 16, attrs_size;
	struct recv_level *bigger, *level;

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
		fd = make_dir(parent, r->e.name, &level->fresh);
	}
	if (fd < 0)
		return fd == -ENOSPC || fd == -EDQUOT ? write_failed(r, -fd, why) :
		       status_errno(why, STATUS_DEST, -fd, "cannot make the directory");
	if (level->fresh)
		tempfile_dir_inherit(&level->dir, above, fd);
	else
		tempfile_dir_init(&level->dir, fd);
	return 0;
}

static int recv_dir(struct receiver *r, size_t path_len, struct status *st)
{
	int parent = current_dir(r)->fd, ret;
	struct status why = { 0 };

	if (!r->into_dir || r->sink >= 0)
		return status_set(st, STATUS_PROTOCOL, "a directory came where a file was due");
	ret = push_level(r, path_len, st);
	if (ret)
		return ret;
	if (parent < 0)
		status_set(&why, STATUS_DEST, "its directory could not be made");
	else
		open_dir(r, parent, &r->levels[r->depth - 1], &why);
	if (why.code && is_fatal(r, why.code)) {
		*st = why;
		return -why.code;
	}
	if (why.code)
		return entry_failed(r, &why, st);
	watcher_done(r->watcher, &r->e, r->path);
	return 0;
}

/* What a directory is to be like, now that nothing changes in it any more. */
static int recv_leave(struct receiver *r, struct status *st)
{
	struct recv_level *level;
	struct status why = { 0 }, named;

	if (!r->depth)
		return status_set(st, STATUS_PROTOCOL, "a directory ended that did not begin");
	level = &r->levels[r->depth - 1];
	if (level->dir.fd >= 0) {
		attr_apply(level->dir.fd, level->attrs, r->keep, r->o->umask, !level->fresh, &why);
		if (!why.code && r->flags & REQUEST_F_SYNC_FILE)
			sync_directory(level->dir.fd, -1, &why);
	}
	/* The directory itself was counted, and is there; the code tells what is amiss. */
	if (why.code) {
		name_status(r, &why, &named);
		watcher_failed(r->watcher, &named, r->seen);
		if (!r->skip_code)
			r->skip_code = why.code;
	}
	pop_level(r);
	return 0;
}

static bool path_enter(struct receiver *r)
{
	size_t len = strlen(r->e.name);

	if (!strcmp(r->e.name, "."))
		return true;
	if (r->path_len + 1 + len >= sizeof(r->path))
		return false;
	if (r->path_len)
		r->path[r->path_len++] = '/';
	memcpy(r->path + r->path_len, r->e.name, len + 1);
	r->path_len += len;
	return true;
}

/* A name that the sender may not choose. */
static int check_name(struct receiver *r, struct status *st)
{
	if (!strcmp(r->e.name, ".") && (r->depth || !r->into_dir || !S_ISDIR(r->e.mode)))
		return status_set(st, STATUS_PROTOCOL, "a name is impossible");
	if (r->depth || r->into_dir)
		return 0;
	if (r->seen > 1)
		return status_set(st, STATUS_PROTOCOL, "more came than the one file");
	strcpy(r->e.name, r->rename);
	return 0;
}

static int recv_file(struct receiver *r, struct status *st)
{
	struct status why = { 0 };

	if (r->sink >= 0 || current_dir(r)->fd >= 0)
		open_file(r, &why);
	else
		status_set(&why, STATUS_DEST, "its directory could not be made");
	if (why.code && is_fatal(r, why.code)) {
		*st = why;
		if (r->temp.fd >= 0)
			tempfile_discard(&r->temp);
		return -why.code;
	}
	return r->e.flags & ENTRY_F_INLINE ? recv_inline(r, &why, st) : recv_frames(r, &why, st);
}

static int recv_other(struct receiver *r, struct status *st)
{
	struct status why = { 0 };

	if (r->sink >= 0)
		status_set(&why, STATUS_NOT_REGULAR, "is not a regular file");
	else if (current_dir(r)->fd < 0)
		status_set(&why, STATUS_DEST, "its directory could not be made");
	else if (tempfile_is_name(r->e.name))
		status_set(&why, STATUS_DEST, "the name is one for temporary files");
	else if (r->e.flags & ENTRY_F_LINK)
		recv_link(r, &why);
	else
		recv_node(r, &why);
	if (!why.code) {
		watcher_done(r->watcher, &r->e, r->path);
		return 0;
	}
	if (is_fatal(r, why.code)) {
		*st = why;
		return -why.code;
	}
	return entry_failed(r, &why, st);
}

static int recv_entry(struct receiver *r, const struct frame *f, struct status *st)
{
	size_t path_len = r->path_len;
	int ret;

	ret = entry_take(r->c, f, &r->e, st);
	if (ret)
		return ret;
	r->seen++;
	ret = check_name(r, st);
	if (ret)
		return ret;
	if (!path_enter(r))
		return status_set(st, STATUS_PROTOCOL, "a path is too long");
	if (S_ISDIR(r->e.mode))
		return recv_dir(r, path_len, st);
	if (S_ISREG(r->e.mode) && !(r->e.flags & ENTRY_F_LINK))
		ret = recv_file(r, st);
	else
		ret = recv_other(r, st);
	r->path_len = path_len;
	r->path[path_len] = '\0';
	return ret;
}

static int recv_done(struct receiver *r, const struct frame *f, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { r->seen - r->failed, r->failed, r->first_code };
	int fd;

	if (r->depth || f->arg[0] != r->seen)
		return status_set(st, STATUS_PROTOCOL, "the stream ends where it should not");
	if (r->flags & REQUEST_F_SYNC_END && r->top.fd >= 0) {
		fd = openat(r->top.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || syncfs(fd)) {
			status_errno(st, STATUS_IO, errno, "cannot sync %s file system",
				     r->root->whose);
			if (fd >= 0)
				close(fd);
			return -st->code;
		}
		close(fd);
	}
	/*
	 * All is there and right, whether or not the sender still hears of it. If it
	 * does not, the next use of the conversation tells.
	 */
	conv_send(r->c, FRAME_DONE, arg, st);
	return 0;
}

int recv_stream(struct receiver *r, struct status *st)
{
	struct frame f;
	int ret;

	for (;;) {
		ret = conv_recv(r->c, &f, st);
		if (ret)
			return ret;
		if (f.type == FRAME_FINISH)
			return recv_done(r, &f, st);
		if (f.type == FRAME_ENTRY)
			ret = recv_entry(r, &f, st);
		else if (f.type == FRAME_LEAVE)
			ret = recv_leave(r, st);
		else if (f.type == FRAME_SKIP)
			ret = take_skip(r, &f, st);
		else
			ret = status_set(st, STATUS_PROTOCOL, "frame %u is no part of a stream",
					 f.type);
		if (!ret && stop_signal)
			ret = status_set(st, STATUS_INTERRUPTED, "interrupted");
		if (!ret)
			ret = conv_release(r->c, st);
		if (ret)
			return ret;
	}
}

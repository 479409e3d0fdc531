// SPDX-License-Identifier: GPL-2.0
#include "send.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attr.h"
#include "tempfile.h"
#include "util.h"

/* How often a small file that changes under the reader's hands is read again. */
#define CHANGED_TRIES	3

bool send_parse_chunk(const char *text, uint32_t *chunk)
{
	uint64_t size;

	if (!parse_size(text, &size) || size < SEND_CHUNK_MIN || size > SEND_CHUNK_MAX)
		return false;
	*chunk = size;
	return true;
}

void send_init(struct sender *s, struct conv *c, const struct send_options *o,
	       struct watcher *watcher)
{
	s->c = c;
	s->o = o;
	s->watcher = watcher;
	s->number = s->confirmed = s->failures = 0;
	s->first_code = 0;
	s->path_len = 0;
	s->path[0] = '\0';
}

void send_free(struct sender *s)
{
	hash_free(&s->hash);
	links_free(&s->links);
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Makes "path: why" of "why". */
static void name_status(const char *path, struct status *st)
{
	struct status why = *st;

	snprintf(st->text, sizeof(st->text), "%.*s: %.*s", 240, printable(path), 240, why.text);
}

/* What @why tells of does not come. The stream goes on. */
static int send_skip(struct sender *s, struct status *why, struct status *st)
{
	name_status(s->path, why);
	s->failures++;
	if (!s->first_code)
		s->first_code = why->code;
	watcher_failed(s->watcher, why, s->number);
	return conv_put_status(s->c, FRAME_SKIP, why, s->number, st);
}

/* A file's content on its way. */
struct content {
	struct sender *s;
	int fd;
	uint64_t size;
	uint64_t pos;
	bool source_failed;		/* a failure is the file's, not the link's */
};

static int source_failed(struct content *in, enum status_code code, int err, const char *what,
			 struct status *st)
{
	in->source_failed = true;
	return err ? status_errno(st, code, err, "%s", what) : status_set(st, code, "%s", what);
}

static int file_changed(struct content *in, struct status *st)
{
	return source_failed(in, STATUS_CHANGED, 0, "file changed while it was read", st);
}

/* Fills @buf from the file at the current position. */
static int read_fully(struct content *in, uint8_t *buf, uint64_t len, struct status *st)
{
	uint64_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(in->fd, buf + done, len - done, in->pos + done);
		if (!n)
			return file_changed(in, st);
		if (n < 0 && errno != EINTR)
			return source_failed(in, STATUS_IO, errno, "cannot read the source", st);
		if (n > 0)
			done += n;
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
	}
	return 0;
}

static int send_data(struct content *in, uint64_t end, struct status *st)
{
	struct sender *s = in->s;
	uint64_t arg[FRAME_ARGS] = { 0 }, room;
	void *buf;
	int ret;

	while (in->pos < end) {
		ret = conv_place_begin(s->c, min_u64(s->o->chunk, end - in->pos), &buf, &room, st);
		if (ret)
			return ret;
		/* From the page cache into the ring, and hashed while it is in the CPU's cache. */
		ret = read_fully(in, buf, room, st);
		if (ret)
			return ret;
		hash_data(&s->hash, buf, room);
		arg[0] = in->pos;
		ret = conv_place_end(s->c, FRAME_DATA, arg, room, st);
		if (ret)
			return ret;
		in->pos += room;
		watcher_moved(s->watcher, s->path, room);
	}
	return 0;
}

static int send_hole(struct content *in, uint64_t end, struct status *st)
{
	struct sender *s = in->s;
	uint64_t arg[FRAME_ARGS] = { 0 };
	int ret;

	while (in->pos < end) {
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		arg[0] = in->pos;
		arg[1] = min_u64(end - in->pos, PROTO_HOLE_MAX);
		ret = conv_put(s->c, FRAME_HOLE, arg, NULL, 0, st);
		if (ret)
			return ret;
		hash_zeros(&s->hash, arg[1]);
		in->pos += arg[1];
		watcher_moved(s->watcher, s->path, arg[1]);
	}
	return 0;
}

static int send_extents(struct content *in, struct status *st)
{
	off_t data, hole;
	int ret = 0;

	while (!ret && in->pos < in->size) {
		hole = in->size;
		data = lseek(in->fd, in->pos, SEEK_DATA);
		if (data < 0 && errno == ENXIO) {
			data = in->size;
		} else if (data < 0) {
			/* A file system that cannot tell: all is data. */
			data = in->pos;
		} else {
			hole = lseek(in->fd, data, SEEK_HOLE);
			if (hole <= data)
				hole = in->size;
		}
		data = min_u64(data, in->size);
		hole = min_u64(hole, in->size);
		ret = send_hole(in, data, st);
		if (!ret && data < (off_t)in->size)
			ret = send_data(in, hole, st);
	}
	return ret;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int check_unchanged(struct content *in, const struct stat *before, struct status *st)
{
	struct stat after;

	if (fstat(in->fd, &after))
		return source_failed(in, STATUS_IO, errno, "cannot look at the source", st);
	if (after.st_size != before->st_size || !same_time(&after.st_mtim, &before->st_mtim) ||
	    !same_time(&after.st_ctim, &before->st_ctim))
		return file_changed(in, st);
	return 0;
}

/* Of a file that is complete: the digest is in the entry. */
static void sent_file(struct sender *s)
{
	s->number++;
	watcher_done(s->watcher, &s->e, s->path);
}

static int send_end(struct sender *s, uint64_t size, struct status *st)
{
	uint64_t arg[FRAME_ARGS];

	hash_final(&s->hash, s->e.digest);
	digest_to_args(size, s->e.digest, arg);
	return conv_put(s->c, FRAME_END, arg, NULL, 0, st);
}

/* All of a file in one frame, the content read to its very place. */
static int send_inline(struct content *in, const struct stat *stat, struct status *st)
{
	struct sender *s = in->s;
	size_t head = entry_size(&s->e);
	uint8_t *payload;
	uint64_t room;
	int ret;

	ret = conv_place_begin(s->c, head + in->size, (void **)&payload, &room, st);
	if (!ret && in->size)
		ret = read_fully(in, payload + head, in->size, st);
	if (!ret)
		ret = check_unchanged(in, stat, st);
	if (ret)
		return ret;
	hash_data(&s->hash, payload + head, in->size);
	hash_final(&s->hash, s->e.digest);
	s->e.flags = ENTRY_F_INLINE;
	entry_encode(&s->e, payload);
	ret = conv_place_end(s->c, FRAME_ENTRY, NULL, head + in->size, st);
	if (!ret)
		watcher_moved(s->watcher, s->path, in->size);
	return ret;
}

static int send_frames(struct content *in, const struct stat *stat, struct status *st)
{
	struct sender *s = in->s;
	int ret;

	ret = entry_send(s->c, &s->e, st);
	if (ret)
		return ret;
	posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	/* Asking for holes costs calls; a file without any is known by its blocks. */
	if (s->e.data_bytes < in->size)
		ret = send_extents(in, st);
	else
		ret = send_data(in, in->size, st);
	if (!ret)
		ret = check_unchanged(in, stat, st);
	return ret ? ret : send_end(s, in->size, st);
}

/* Prepares the entry for a file whose stat is fresh. */
static int describe_file(struct content *in, const struct stat *stat, struct status *st)
{
	struct sender *s = in->s;
	int ret;

	entry_describe(&s->e, stat);
	s->e.flags = 0;
	s->e.target[0] = '\0';
	s->e.hash_kind = hash_choose(s->o->hash, s->e.size, s->e.data_bytes);
	in->size = s->e.size;
	ret = attr_collect(&s->e, in->fd, s->o->keep, st);
	if (ret) {
		in->source_failed = true;
		return ret;
	}
	return hash_init(&s->hash, s->e.hash_kind) ?
	       status_set(st, STATUS_FAIL, "out of memory") : 0;
}

static bool fits_inline(const struct sender *s)
{
	return s->e.data_bytes == s->e.size &&
	       s->e.size <= min_u64(s->o->chunk, conv_room_max(s->c)) &&
	       entry_size(&s->e) + s->e.size <= conv_room_max(s->c);
}

static int send_link(struct sender *s, const struct stat *stat, const char *target,
		     struct status *st)
{
	int ret;

	entry_describe(&s->e, stat);
	attr_collect(&s->e, -1, 0, st);
	s->e.flags = ENTRY_F_LINK;
	s->e.hash_kind = HASH_NONE;
	strcpy(s->e.target, target);
	ret = entry_send(s->c, &s->e, st);
	if (!ret)
		sent_file(s);
	return ret;
}

/* One attempt. */
static int send_content(struct content *in, const struct stat *stat, struct status *st)
{
	int ret;

	in->source_failed = false;
	in->pos = 0;
	ret = describe_file(in, stat, st);
	if (ret)
		return ret;
	return fits_inline(in->s) ? send_inline(in, stat, st) : send_frames(in, stat, st);
}

/* @s->path and the entry's name are set. */
static int send_regular(struct sender *s, int fd, struct stat *stat, struct status *st)
{
	struct content in = { .s = s, .fd = fd };
	const char *target;
	struct status why;
	int ret, tries;

	target = stat->st_nlink > 1 ? links_find(&s->links, stat->st_dev, stat->st_ino) : NULL;
	if (target)
		return send_link(s, stat, target, st);
	for (tries = 1; ; tries++) {
		ret = send_content(&in, stat, &why);
		if (ret != -STATUS_CHANGED || tries == CHANGED_TRIES || in.pos || fstat(fd, stat))
			break;
	}
	if (!ret) {
		if (stat->st_nlink > 1)
			links_add(&s->links, stat->st_dev, stat->st_ino, s->path);
		sent_file(s);
		return 0;
	}
	if (in.source_failed)
		return send_skip(s, &why, st);
	*st = why;
	return ret;
}

static int send_symlink(struct sender *s, int dirfd, const char *name, const struct stat *stat,
			struct status *st)
{
	struct status why;
	ssize_t len;
	int ret;

	len = readlinkat(dirfd, name, s->e.target, sizeof(s->e.target) - 1);
	if (len <= 0) {
		status_errno(&why, STATUS_SOURCE, len ? errno : EINVAL, "cannot read the link");
		return send_skip(s, &why, st);
	}
	s->e.target[len] = '\0';
	entry_describe(&s->e, stat);
	s->e.flags = 0;
	attr_collect(&s->e, -1, s->o->keep, st);
	ret = entry_send(s->c, &s->e, st);
	if (!ret)
		sent_file(s);
	return ret;
}

static int send_special(struct sender *s, const struct stat *stat, struct status *st)
{
	bool fifo = S_ISFIFO(stat->st_mode);
	struct status why;
	int ret;

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
	ret = entry_send(s->c, &s->e, st);
	if (!ret)
		sent_file(s);
	return ret;
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

/* Adds a name to the path. False when that gets too long. */
static bool path_enter(struct sender *s, const char *name)
{
	size_t len = strlen(name);

	if (s->path_len + 1 + len >= sizeof(s->path))
		return false;
	if (s->path_len)
		s->path[s->path_len++] = '/';
	memcpy(s->path + s->path_len, name, len + 1);
	s->path_len += len;
	return true;
}

static void path_leave(struct sender *s, size_t len)
{
	s->path_len = len;
	s->path[len] = '\0';
}

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
		path_leave(s, path_len);
		return ret;
	}
	if (!walk_push(w, dir, path_len)) {
		closedir(dir);
		return status_set(st, STATUS_FAIL, "out of memory");
	}
	ret = entry_send(s->c, &s->e, st);
	if (!ret)
		sent_file(s);
	return ret;
}

static int walk_pop(struct sender *s, struct walk *w, struct status *st)
{
	struct walk_level *level = &w->levels[--w->depth];

	closedir(level->dir);
	path_leave(s, level->path_len);
	return conv_put(s->c, FRAME_LEAVE, NULL, NULL, 0, st);
}

/*
 * Opens what is or was of that type; anything else that has taken its place since
 * does no harm. -1: it is to be looked at only.
 */
static int open_child(int dirfd, const char *name, unsigned char type)
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
	if (type == DT_REG || type == DT_DIR) {
		fd = open_child(dirfd, entry->d_name, type);
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
	if (fd >= 0 && S_ISREG(stat.st_mode))
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
	errno = 0;
	entry = readdir(level->dir);
	if (!entry && errno) {
		status_errno(&why, STATUS_IO, errno, "cannot read all of the directory");
		ret = send_skip(s, &why, st);
		return ret ? ret : walk_pop(s, w, st);
	}
	if (!entry)
		return walk_pop(s, w, st);
	if (is_dot(entry->d_name) || tempfile_is_name(entry->d_name))
		return 0;
	if (!path_enter(s, entry->d_name)) {
		status_set(&why, STATUS_SOURCE, "a path in it is longer than %d bytes", PATH_MAX);
		return send_skip(s, &why, st);
	}
	ret = send_child(s, w, dirfd(level->dir), entry, path_len, st);
	if (w->depth == depth)
		path_leave(s, path_len);
	return ret;
}

/* @fd is taken over; the path has the tree's name. */
static int send_tree(struct sender *s, int fd, const struct stat *stat, struct status *st)
{
	struct walk w = { 0 };
	int ret;

	ret = send_dir(s, &w, fd, stat, 0, st);
	while (!ret && w.depth)
		ret = walk_step(s, &w, st);
	while (w.depth)
		closedir(w.levels[--w.depth].dir);
	free(w.levels);
	return ret;
}

/* The name that a path's thing gets: "." for a directory's content. */
static int name_of(const char *path, bool is_dir, char name[NAME_MAX + 1], struct status *st)
{
	const char *base = path_base(path);

	if (!base && !is_dir)
		return status_set(st, STATUS_SOURCE, "is not the name of a file");
	if (base && strlen(base) > NAME_MAX)
		return status_set(st, STATUS_SOURCE, "has too long a name");
	strcpy(name, base ? base : ".");
	return 0;
}

int send_path(struct sender *s, const struct path_root *root, const char *path,
	      struct status *st)
{
	struct status why;
	struct stat stat;
	int fd = -1, ret;

	path_leave(s, 0);
	ret = path_open_source(root, path, &fd, &stat, &why);
	if (!ret)
		ret = name_of(path, S_ISDIR(stat.st_mode), s->e.name, &why);
	if (ret) {
		if (fd >= 0)
			close(fd);
		snprintf(s->path, sizeof(s->path), "%s", path);
		ret = send_skip(s, &why, st);
		path_leave(s, 0);
		return ret;
	}
	if (strcmp(s->e.name, "."))
		path_enter(s, s->e.name);
	if (S_ISDIR(stat.st_mode))
		return send_tree(s, fd, &stat, st);
	if (S_ISREG(stat.st_mode))
		ret = send_regular(s, fd, &stat, st);
	else
		ret = send_special(s, &stat, st);
	if (fd >= 0)
		close(fd);
	return ret;
}

/* How much a tree is, as far as it can be read. */
struct measure {
	struct send_totals *totals;
	struct links seen;
};

static void measure_file(struct measure *m, const struct stat *stat)
{
	m->totals->entries++;
	if (!S_ISREG(stat->st_mode))
		return;
	if (stat->st_nlink > 1) {
		if (links_find(&m->seen, stat->st_dev, stat->st_ino))
			return;
		links_add(&m->seen, stat->st_dev, stat->st_ino, "");
	}
	m->totals->bytes += stat->st_size;
	m->totals->data_bytes += min_u64(stat->st_size, (uint64_t)stat->st_blocks * 512);
}

/* @fd is taken over. @path_len bounds the depth, as it does when it is sent. */
static void measure_dir(struct measure *m, int fd, size_t path_len)
{
	struct dirent *entry;
	struct stat stat;
	DIR *dir;
	int sub;

	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return;
	}
	while (!stop_signal && (entry = readdir(dir))) {
		if (is_dot(entry->d_name) ||
		    fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW))
			continue;
		measure_file(m, &stat);
		if (!S_ISDIR(stat.st_mode) || path_len + strlen(entry->d_name) + 1 >= PATH_MAX)
			continue;
		sub = open_child(dirfd(dir), entry->d_name, DT_DIR);
		if (sub >= 0)
			measure_dir(m, sub, path_len + strlen(entry->d_name) + 1);
	}
	closedir(dir);
}

int send_measure(const struct path_root *root, const char *path, struct send_totals *totals,
		 struct status *st)
{
	struct measure m = { .totals = totals };
	char name[NAME_MAX + 1];
	struct stat stat;
	int fd, ret;

	ret = path_open_source(root, path, &fd, &stat, st);
	if (ret)
		return ret;
	ret = name_of(path, S_ISDIR(stat.st_mode), name, st);
	if (ret) {
		if (fd >= 0)
			close(fd);
		return ret;
	}
	measure_file(&m, &stat);
	if (S_ISDIR(stat.st_mode)) {
		totals->tree = true;
		measure_dir(&m, fd, strlen(name));
	} else if (fd >= 0) {
		close(fd);
	}
	links_free(&m.seen);
	return 0;
}

static int stream_data(struct sender *s, int fd, uint64_t *pos, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { 0 }, room;
	void *buf;
	ssize_t n;
	int ret;

	for (;;) {
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		ret = conv_place_begin(s->c, s->o->chunk, &buf, &room, st);
		if (ret)
			return ret;
		n = read(fd, buf, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return status_errno(st, STATUS_IO, errno, "cannot read the source");
		if (!n)
			return 0;
		hash_data(&s->hash, buf, n);
		arg[0] = *pos;
		ret = conv_place_end(s->c, FRAME_DATA, arg, n, st);
		/* What comes slowly is not kept back. */
		if (!ret && (uint64_t)n < room)
			ret = conv_flush(s->c, st);
		if (ret)
			return ret;
		*pos += n;
		watcher_moved(s->watcher, s->path, n);
	}
}

int send_fd(struct sender *s, int fd, const char *name, struct status *st)
{
	struct stat stat = { .st_mode = S_IFREG | 0666 };
	uint64_t pos = 0;
	int ret;

	clock_gettime(CLOCK_REALTIME, &stat.st_mtim);
	stat.st_uid = geteuid();
	stat.st_gid = getegid();
	path_leave(s, 0);
	path_enter(s, name);
	strcpy(s->e.name, name);
	s->e.target[0] = '\0';
	entry_describe(&s->e, &stat);
	attr_collect(&s->e, -1, s->o->keep, st);
	s->e.flags = ENTRY_F_STREAM;
	s->e.hash_kind = hash_choose(s->o->hash, 0, 0);
	if (hash_init(&s->hash, s->e.hash_kind))
		return status_set(st, STATUS_FAIL, "out of memory");
	ret = entry_send(s->c, &s->e, st);
	if (!ret)
		ret = stream_data(s, fd, &pos, st);
	if (!ret)
		ret = send_end(s, pos, st);
	s->e.size = pos;
	if (!ret)
		sent_file(s);
	return ret;
}

static int finish_done(struct sender *s, const struct frame *f, struct status *st)
{
	s->confirmed = f->arg[0];
	s->failures += f->arg[1];
	if (!f->arg[1] != !f->arg[2] || f->arg[1] > s->number ||
	    f->arg[0] != s->number - f->arg[1])
		return status_set(st, STATUS_PROTOCOL, "the other end counts wrongly");
	if (!s->first_code && f->arg[2])
		s->first_code = status_from_peer(f->arg[2]);
	return 0;
}

int send_finish(struct sender *s, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { s->number };
	struct status why;
	struct frame f;
	int ret;

	ret = conv_send(s->c, FRAME_FINISH, arg, st);
	while (!ret) {
		ret = conv_recv(s->c, &f, st);
		if (ret)
			break;
		if (f.type == FRAME_DONE)
			return finish_done(s, &f, st);
		if (f.type != FRAME_FAILED)
			return status_set(st, STATUS_PROTOCOL, "frame %u came where %u was due",
					  f.type, FRAME_DONE);
		ret = conv_take_status(s->c, &f, &why, st);
		if (!ret)
			watcher_failed(s->watcher, &why, f.arg[1]);
	}
	return ret;
}

// SPDX-License-Identifier: GPL-2.0
#include "sender.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attr.h"
#include "util.h"

/* For direct reads. */
#define BLOCK_ALIGN	4096
/* Frames of a second, at least; and what is not made up for when the source was slow. */
#define RATE_FRAMES	8
#define RATE_LAG_NS	(NSEC_PER_SEC / RATE_FRAMES)

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
	s->number = s->confirmed = s->failures = s->resent = 0;
	s->source_count = 0;
	s->due_ns = now_ns();
	s->chunk = o->chunk;
	/* The other end's patience is not to depend on the rate. */
	if (o->rate)
		s->chunk = min_u64(s->chunk, o->rate / RATE_FRAMES < SEND_CHUNK_MIN ?
				   SEND_CHUNK_MIN : o->rate / RATE_FRAMES);
	s->first_code = 0;
	s->path_len = 0;
	s->path[0] = '\0';
	s->sync = NULL;
	s->asked = NULL;
	s->list = NULL;
	s->first_later = s->last_later = NULL;
	s->ask_hashed = false;
	s->expected = NULL;
	s->same = s->deleted = 0;
}

void send_free(struct sender *s)
{
	list_end(s);
	sync_end(s);
	hash_free(&s->hash);
	hash_free(&s->spare);
	hash_free(&s->kept);
	links_free(&s->links);
	free(s->block);
	s->block = NULL;
	free(s->sources);
	s->sources = NULL;
	s->source_count = 0;
}

int send_pace(struct sender *s, uint64_t bytes, struct status *st)
{
	int64_t now, left;
	int ret;

	if (!s->o->rate)
		return 0;
	now = now_ns();
	if (s->due_ns < now - RATE_LAG_NS)
		s->due_ns = now - RATE_LAG_NS;
	s->due_ns += (double)bytes * NSEC_PER_SEC / s->o->rate;
	if (s->due_ns <= now)
		return 0;
	ret = conv_flush(s->c, st);
	while (!ret && (left = s->due_ns - now_ns()) > 0) {
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		poll(NULL, 0, min_u64(left / NSEC_PER_MSEC + 1, 1000));
	}
	return ret;
}

uint8_t *send_block(struct sender *s)
{
	if (!s->block)
		s->block = aligned_alloc(BLOCK_ALIGN, SEND_BLOCK);
	return s->block;
}

/* Makes "path: why" of "why". */
static void name_status(const char *path, struct status *st)
{
	struct status why = *st;

	snprintf(st->text, sizeof(st->text), "%.*s: %.*s", 240, printable(path), 240, why.text);
}

/* What @why tells of does not come. The stream goes on. */
int send_skip(struct sender *s, struct status *why, struct status *st)
{
	name_status(s->path, why);
	s->failures++;
	if (!s->first_code)
		s->first_code = why->code;
	watcher_failed(s->watcher, why, s->number);
	return conv_put_status(s->c, FRAME_SKIP, why, s->number, st);
}

/* Of a file that is complete: the digest is in the entry. */
void send_done(struct sender *s)
{
	s->number++;
	watcher_done(s->watcher, &s->e, s->path);
}

int send_entry(struct sender *s, struct status *st)
{
	int ret;

	if (s->sync)
		return sync_ask(s, st);
	ret = entry_send(s->c, &s->e, st);
	if (!ret)
		send_done(s);
	return ret;
}

int send_end(struct sender *s, uint64_t size, struct status *st)
{
	uint64_t arg[FRAME_ARGS];

	hash_final(&s->hash, s->e.digest);
	digest_to_args(size, s->e.digest, arg);
	return conv_put(s->c, FRAME_END, arg, NULL, 0, st);
}

/* Adds a name to the path. False when that gets too long. */
bool send_enter(struct sender *s, const char *name)
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

void send_leave(struct sender *s, size_t len)
{
	s->path_len = len;
	s->path[len] = '\0';
}
/* The name that a path's thing gets: "." for a directory's content. */
int send_name_of(const struct path_root *root, const char *path, bool is_dir,
		 char name[NAME_MAX + 1], struct status *st)
{
	const char *base = *path ? path_base(path) : root->name;

	if (!base && !is_dir)
		return status_set(st, STATUS_SOURCE, "is not the name of a file");
	if (base && strlen(base) > NAME_MAX)
		return status_set(st, STATUS_SOURCE, "has too long a name");
	strcpy(name, base ? base : ".");
	return 0;
}

bool send_add_source(struct sender *s, const struct path_root *root, const char *path)
{
	struct send_source *bigger;

	bigger = reallocarray(s->sources, s->source_count + 1, sizeof(*bigger));
	if (!bigger)
		return false;
	s->sources = bigger;
	bigger[s->source_count++] = (struct send_source){ root, path, s->number };
	return true;
}

int send_path(struct sender *s, const struct path_root *root, const char *path,
	      struct status *st)
{
	struct status why;
	struct stat stat;
	int fd = -1, ret;

	send_leave(s, 0);
	if (!send_add_source(s, root, path))
		return status_set(st, STATUS_FAIL, "out of memory");
	ret = path_open_source(root, path, &fd, &stat, &why);
	if (!ret)
		ret = send_name_of(root, path, S_ISDIR(stat.st_mode), s->e.name, &why);
	if (ret) {
		if (fd >= 0)
			close(fd);
		snprintf(s->path, sizeof(s->path), "%s", path);
		ret = send_skip(s, &why, st);
		send_leave(s, 0);
		return ret;
	}
	if (strcmp(s->e.name, "."))
		send_enter(s, s->e.name);
	ret = s->sync ? sync_start(s, root, path, fd, st) : 0;
	if (ret) {
		if (fd >= 0)
			close(fd);
		return ret;
	}
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

static int stream_data(struct sender *s, int fd, uint64_t *pos, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { 0 }, room;
	void *buf, *from;
	ssize_t n;
	int ret;

	for (;;) {
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		ret = conv_place_begin(s->c, min_u64(s->chunk, SEND_BLOCK), &buf, &room, st);
		if (ret)
			return ret;
		from = s->hash.kind == HASH_NONE ? buf : send_block(s);
		if (!from)
			return status_set(st, STATUS_FAIL, "out of memory");
		n = ring_pread(fd, from, room, -1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return status_errno(st, STATUS_IO, errno, "cannot read the source");
		if (!n)
			return 0;
		hash_data(&s->hash, from, n);
		if (from != buf)
			memcpy(buf, from, n);
		arg[0] = *pos;
		arg[1] = hash_so_far(&s->hash, &s->spare);
		ret = conv_place_end(s->c, FRAME_DATA, arg, n, st);
		/* What comes slowly is not kept back. */
		if (!ret && (uint64_t)n < room)
			ret = conv_flush(s->c, st);
		if (ret)
			return ret;
		*pos += n;
		watcher_moved(s->watcher, s->path, n);
		ret = send_pace(s, n, st);
		if (ret)
			return ret;
	}
}

int send_fd(struct sender *s, int fd, const char *name, struct status *st)
{
	struct stat stat = { .st_mode = S_IFREG | 0666 };
	uint64_t pos = 0;
	int ret;

	if (!send_add_source(s, NULL, NULL))
		return status_set(st, STATUS_FAIL, "out of memory");
	clock_gettime(CLOCK_REALTIME, &stat.st_mtim);
	stat.st_uid = geteuid();
	stat.st_gid = getegid();
	send_leave(s, 0);
	send_enter(s, name);
	strcpy(s->e.name, name);
	s->e.target[0] = '\0';
	entry_describe(&s->e, &stat);
	attr_collect(&s->e, -1, s->o->keep, st);
	s->e.flags = s->o->flags & REQUEST_F_DRY_RUN ? ENTRY_F_BARE : ENTRY_F_STREAM;
	s->e.hash_kind = hash_choose(s->o->hash, 0, 0);
	if (hash_init(&s->hash, s->e.hash_kind))
		return status_set(st, STATUS_FAIL, "out of memory");
	ret = entry_send(s->c, &s->e, st);
	if (!ret && s->e.flags & ENTRY_F_BARE) {
		send_done(s);
		return 0;
	}
	if (!ret)
		ret = stream_data(s, fd, &pos, st);
	if (!ret)
		ret = send_end(s, pos, st);
	s->e.size = pos;
	if (!ret)
		send_done(s);
	return ret;
}

static int finish_done(struct sender *s, const struct frame *f, struct status *st)
{
	s->confirmed = f->arg[0];
	s->same = f->arg[3];
	s->deleted = f->arg[4];
	s->failures += f->arg[1];
	if (!f->arg[1] != !f->arg[2] || f->arg[1] > s->number ||
	    f->arg[0] != s->number - f->arg[1])
		return status_set(st, STATUS_PROTOCOL, "the other end counts wrongly");
	if (!s->first_code && f->arg[2])
		s->first_code = status_from_peer(f->arg[2]);
	return 0;
}

/* The file that the receiver calls entry @again->number; -1 with @why set. */
static int open_again(const struct sender *s, const struct resend *again, struct status *why)
{
	const struct send_source *source = NULL;
	const char *path = again->path, *slash;
	struct stat stat;
	int fd, sub, ret;
	size_t i;

	for (i = 0; i < s->source_count && s->sources[i].first <= again->number; i++)
		source = &s->sources[i];
	if (!source || !source->path)
		return status_set(why, STATUS_SOURCE, "cannot be read twice");
	ret = path_open_source(source->root, source->path, &fd, &stat, why);
	if (ret)
		return ret;
	if (S_ISDIR(stat.st_mode)) {
		/* Its own name is the first part, unless its content was asked for. */
		slash = strchr(path, '/');
		if (*source->path ? path_base(source->path) : source->root->name)
			path = slash ? slash + 1 : path;
		sub = path_open_within(fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
		close(fd);
		if (sub < 0)
			return status_errno(why, STATUS_SOURCE, -sub, "cannot be opened again");
		fd = sub;
		if (fstat(fd, &stat))
			stat.st_mode = 0;
	}
	if (fd >= 0 && S_ISREG(stat.st_mode) &&
	    (uint64_t)stat.st_size >= again->offset + again->len)
		return fd;
	if (fd >= 0)
		close(fd);
	return status_set(why, STATUS_CHANGED, "file changed before all of it had arrived");
}

static int send_again(struct sender *s, const struct frame *f, struct status *st)
{
	struct resend again;
	struct status why;
	int fd, ret;

	ret = conv_take_resend(s->c, f, &again, st);
	if (ret)
		return ret;
	if (again.number >= s->number)
		return status_set(st, STATUS_PROTOCOL, "what was never sent is asked for again");
	watcher_resent(s->watcher, again.len);
	s->resent++;
	snprintf(s->path, sizeof(s->path), "%s", again.path);
	fd = open_again(s, &again, &why);
	if (fd < 0) {
		ret = conv_put_status(s->c, FRAME_SKIP, &why, again.number, st);
	} else {
		ret = send_range(s, fd, again.offset, again.offset + again.len, st);
		close(fd);
	}
	return ret ? ret : conv_flush(s->c, st);
}

int send_hear(struct sender *s, struct frame *f, struct status *st)
{
	struct status why;
	int ret;

	for (;;) {
		ret = stop_signal ? status_set(st, STATUS_INTERRUPTED, "interrupted") :
		      conv_recv(s->c, f, st);
		if (!ret && sync_is_answer(s, f)) {
			ret = sync_take_answer(s, f, st);
			if (!ret)
				continue;
		}
		if (ret || f->type != FRAME_FAILED)
			return ret;
		ret = conv_take_status(s->c, f, &why, st);
		if (ret)
			return ret;
		watcher_failed(s->watcher, &why, f->arg[1]);
	}
}

int send_finish(struct sender *s, struct status *st)
{
	uint64_t arg[FRAME_ARGS] = { 0 };
	struct frame f;
	int ret;

	ret = s->sync ? sync_drain(s, st) : 0;
	arg[0] = s->number;
	if (!ret)
		ret = conv_send(s->c, FRAME_FINISH, arg, st);
	while (!ret) {
		ret = send_hear(s, &f, st);
		if (ret)
			break;
		if (f.type == FRAME_DONE)
			return finish_done(s, &f, st);
		if (f.type != FRAME_RESEND)
			return status_set(st, STATUS_PROTOCOL, "frame %u came where %u was due",
					  f.type, FRAME_DONE);
		ret = send_again(s, &f, st);
	}
	return ret;
}

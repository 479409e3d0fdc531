// SPDX-License-Identifier: GPL-2.0
#include "receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "attr.h"
#include "pattern.h"
#include "repair.h"
#include "util.h"

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
	r->asked = NULL;
	r->asked_pattern = false;
	r->path[0] = '\0';
	r->path_len = 0;
	r->damaged = r->repairs = r->repairing = NULL;
	r->repair_count = 0;
	r->min_free = r->unchecked = r->bounced = 0;
	r->direct = r->blind = r->offered = r->complete = false;
	r->basis = -1;
	r->stored = r->seen = r->failed = r->skipped = 0;
	r->first_code = r->skip_code = 0;
	r->incomplete = false;
	r->sync = NULL;
	r->asks = NULL;
}

int recv_check_space(const struct receiver *r, int fd, uint64_t needed, struct status *st)
{
	unsigned long long available;
	struct statvfs vfs;

	/* Some file systems do not count their blocks. */
	if (fstatvfs(fd, &vfs) || !vfs.f_blocks)
		return 0;
	available = (unsigned long long)(geteuid() ? vfs.f_bavail : vfs.f_bfree) * vfs.f_frsize;
	if (needed + r->min_free <= available)
		return 0;
	if (r->min_free)
		return status_set(st, STATUS_NO_SPACE,
				  "not enough space left in %s file system (needs %llu bytes, and "
				  "%llu to stay free; %llu are)", r->root->whose,
				  (unsigned long long)needed, (unsigned long long)r->min_free,
				  available);
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

/* Where a directory would be made, or is. */
static int begin_dry(struct receiver *r, const struct request *request, int *fd,
		     struct status *st)
{
	int ret = path_open_dest_dir(r->root, request->path, 0, fd, st);
	char parent[PATH_MAX];
	size_t len;

	if (ret != -STATUS_DEST || !(request->flags & REQUEST_F_MAKE_DIR))
		return ret;
	strcpy(parent, request->path);
	for (len = strlen(parent); len > 1 && parent[len - 1] == '/'; len--)
		parent[len - 1] = '\0';
	if (!path_base(parent))
		return ret;
	parent[path_base(parent) - parent] = '\0';
	if (r->sync)
		r->asks->missing = true;
	return path_open_dest_dir(r->root, parent, 0, fd, st);
}

int recv_check_quota(const struct recv_options *o, uint64_t files, uint64_t bytes,
		     struct status *st)
{
	if (o->max_files && files > o->max_files)
		return status_set(st, STATUS_QUOTA, "more than %llu files in one transfer",
				  (unsigned long long)o->max_files);
	if (o->max_bytes && bytes > o->max_bytes)
		return status_set(st, STATUS_QUOTA, "more than %llu bytes in one transfer",
				  (unsigned long long)o->max_bytes);
	return 0;
}

int recv_begin(struct receiver *r, const struct request *request, struct status *st)
{
	struct path_dest dest = { .dirfd = -1 };
	int ret;

	r->keep = request->keep;
	r->flags = request->flags;
	ret = check_keep(r, st);
	if (!ret && !(request->flags & REQUEST_F_SYNC) != !r->sync)
		ret = status_set(st, STATUS_PROTOCOL, "nothing is known of what a sync should do");
	/* What a peer announces spares it the way; what comes is counted all the same. */
	if (!ret)
		ret = recv_check_quota(r->o, request->entries, request->data_bytes, st);
	if (ret)
		return ret;
	r->min_free = request->min_free;
	if (request->flags & REQUEST_F_INTO_DIR && request->flags & REQUEST_F_DRY_RUN)
		ret = begin_dry(r, request, &dest.dirfd, st);
	else if (request->flags & REQUEST_F_INTO_DIR)
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
	/* Of what is there already, each file knows. */
	ret = recv_check_space(r, r->top.fd, request->flags & REQUEST_F_RESUME ? 0 :
			       request->data_bytes, st);
	if (ret)
		recv_end(r);
	return ret;
}

void recv_begin_sink(struct receiver *r, int fd)
{
	r->sink = fd;
	r->into_dir = true;
}

void recv_drop_replaced(struct receiver *r)
{
	if (r->replaced >= 0)
		close(r->replaced);
	r->replaced = -1;
}

void recv_pop_level(struct receiver *r)
{
	struct recv_level *level = &r->levels[--r->depth];

	if (level->dir.fd >= 0)
		close(level->dir.fd);
	r->held -= level->attrs->xattrs_len;
	free(level->attrs);
	r->path_len = level->path_len;
	r->path[r->path_len] = '\0';
}

void recv_end(struct receiver *r)
{
	struct recv_level *level;
	struct status ignored;

	repair_drop_all(r);
	sync_free_asks(r);
	/* Directories that were made stay, and are not to be found as they are meanwhile. */
	while (r->depth) {
		level = &r->levels[r->depth - 1];
		if (level->fresh && level->dir.fd >= 0)
			attr_apply(level->dir.fd, level->attrs, r->keep, r->o->umask, false,
				   &ignored);
		recv_pop_level(r);
	}
	recv_drop_replaced(r);
	if (r->top.fd >= 0)
		close(r->top.fd);
	r->top.fd = -1;
}

void recv_free(struct receiver *r)
{
	sync_free_asks(r);
	hash_free(&r->hash);
	hash_free(&r->before);
	hash_free(&r->spare);
	hash_free(&r->again);
	free(r->bounce);
	r->bounce = NULL;
	free(r->levels);
	r->levels = NULL;
	r->size = 0;
}

void recv_name_status(const struct receiver *r, const struct status *why, struct status *named)
{
	named->code = why->code;
	snprintf(named->text, sizeof(named->text), "%.240s: %.240s",
		 printable_cut(r->path_len ? r->path : r->e.name), why->text);
}

/* What failed is told to everybody, to the sender only while that costs no wait. */
int recv_failed(struct receiver *r, struct status *why, struct status *st)
{
	struct status named;
	uint64_t number = r->repairing ? r->repairing->number : r->seen - 1;
	int ret = 0;

	recv_name_status(r, why, &named);
	r->failed++;
	r->incomplete = true;
	if (!r->first_code)
		r->first_code = why->code;
	watcher_failed(r->watcher, &named, number);
	if (conv_has_room(r->c, sizeof(named.text)))
		ret = conv_put_status(r->c, FRAME_FAILED, &named, number, st);
	return ret;
}

struct tempfile_dir *recv_dir_now(struct receiver *r)
{
	if (r->repairing)
		return &r->repairing->dir;
	if (r->sync && r->asks->aside)
		return &r->asks->dir;
	return r->depth ? &r->levels[r->depth - 1].dir : &r->top;
}

/* One that ends the stream rather than the file only. */
bool recv_is_fatal(const struct receiver *r, int code)
{
	if (r->sink >= 0)
		return true;
	return code != STATUS_IO && code != STATUS_DEST && code != STATUS_CONTENT &&
	       code != STATUS_REFUSED && code != STATUS_SOURCE && code != STATUS_CHANGED &&
	       code != STATUS_FAIL && code != STATUS_MAX_DELETE;
}

int recv_skip(struct receiver *r, const struct frame *f, struct status *st)
{
	struct status why;
	int ret;

	ret = conv_take_status(r->c, f, &why, st);
	if (ret)
		return ret;
	r->skipped++;
	/* What is there and is not copied is no reason to keep what is not there. */
	if (why.code != STATUS_NOT_REGULAR)
		r->incomplete = true;
	if (!r->skip_code)
		r->skip_code = why.code;
	watcher_failed(r->watcher, &why, r->seen);
	return 0;
}

bool recv_path_enter(struct receiver *r)
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

bool recv_is_asked(const struct receiver *r, const char *name)
{
	return !r->asked || !strcmp(name, r->asked) ||
	       (r->asked_pattern && pattern_match_name(r->asked, name));
}

/* A name that the sender may not choose. */
static int check_name(struct receiver *r, struct status *st)
{
	if (!strcmp(r->e.name, ".") && (r->depth || !r->into_dir || !S_ISDIR(r->e.mode)))
		return status_set(st, STATUS_PROTOCOL, "a name is impossible");
	if (!r->depth && !recv_is_asked(r, r->e.name))
		return status_set(st, STATUS_PROTOCOL, "something came that was not asked for: %s",
				  printable_cut(r->e.name));
	if (r->depth || r->into_dir)
		return 0;
	if (r->seen > 1 && !r->sync)
		return status_set(st, STATUS_PROTOCOL, "more came than the one file");
	strcpy(r->e.name, r->rename);
	return 0;
}

static int recv_other(struct receiver *r, struct status *st)
{
	struct status why = { 0 };

	if (r->sink >= 0)
		status_set(&why, STATUS_NOT_REGULAR, "is not a regular file");
	else if (recv_dir_now(r)->fd < 0)
		status_set(&why, STATUS_DEST, "its directory could not be made");
	else if (tempfile_is_name(r->e.name))
		status_set(&why, STATUS_DEST, "the name is one for temporary files");
	else if (r->e.flags & ENTRY_F_LINK)
		recv_link(r, &why);
	else
		recv_node(r, &why);
	if (why.code && r->e.flags & ENTRY_F_LINK && repair_park_link(r))
		return 0;
	return recv_tell(r, &why, st);
}

static int recv_entry(struct receiver *r, const struct frame *f, struct status *st)
{
	size_t path_len = r->path_len;
	int ret;

	ret = entry_take(r->c, f, &r->e, st);
	if (ret)
		return ret;
	r->seen++;
	/* Those are only listed. */
	if (S_ISSOCK(r->e.mode))
		return status_set(st, STATUS_PROTOCOL, "a socket came, which nobody can copy");
	if (r->sync && S_ISREG(r->e.mode) && !(r->e.flags & (ENTRY_F_BARE | ENTRY_F_LINK)))
		return sync_content(r, st);
	ret = r->sync ? 0 : recv_check_quota(r->o, r->seen, 0, st);
	if (!ret)
		ret = check_name(r, st);
	if (ret)
		return ret;
	if (!recv_path_enter(r))
		return status_set(st, STATUS_PROTOCOL, "a path is too long");
	if (r->sync)
		return sync_question(r, path_len, st);
	if (!(r->flags & REQUEST_F_DRY_RUN) != !(r->e.flags & ENTRY_F_BARE) &&
	    S_ISREG(r->e.mode) && !(r->e.flags & ENTRY_F_LINK))
		return status_set(st, STATUS_PROTOCOL, "a dry run was asked for, or was not");
	if (r->flags & REQUEST_F_DRY_RUN && !S_ISDIR(r->e.mode)) {
		watcher_done(r->watcher, &r->e, r->path);
		r->path_len = path_len;
		r->path[path_len] = '\0';
		return 0;
	}
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
	uint64_t arg[FRAME_ARGS] = { 0 }, failed;
	int fd, ret;

	if (r->depth || f->arg[0] != r->seen)
		return status_set(st, STATUS_PROTOCOL, "the stream ends where it should not");
	if (r->sync)
		sync_leave(r);
	ret = repair_all(r, st);
	if (!ret && r->sync)
		ret = sync_tell_cleared(r, st);
	if (!ret && r->sync && r->sync->flags & SYNC_F_DELETE && !(r->sync->flags & SYNC_F_LISTED))
		ret = sync_delete(r, st);
	if (ret)
		return ret;
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
	/* What could not be deleted is no entry, and there may be more of it. */
	failed = min_u64(r->failed, r->seen);
	arg[0] = r->seen - failed;
	arg[1] = failed;
	arg[2] = r->first_code;
	arg[3] = recv_same(r);
	arg[4] = recv_deleted(r);
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

	ret = r->sync ? sync_open(r, st) : 0;
	if (ret)
		return ret;
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
			ret = recv_skip(r, &f, st);
		else if (f.type == FRAME_PATH && r->sync)
			ret = sync_path(r, &f, st);
		else if (f.type == FRAME_MORE && r->sync)
			ret = sync_more_asked(r, &f, st);
		else if (f.type == FRAME_GONE && r->sync)
			ret = sync_gone(r, &f, st);
		else if (f.type == FRAME_RENAME && r->sync)
			ret = sync_rename(r, &f, st);
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

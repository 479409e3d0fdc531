// SPDX-License-Identifier: GPL-2.0
#include "repair.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "receiver.h"
#include "util.h"

#define BLOCKS_FIRST	16

/* The entry that is being received, and where it goes. */
static struct repair *repair_new(struct receiver *r)
{
	size_t size = offsetof(struct entry, xattrs) + r->e.xattrs_len;
	struct repair *d;

	if (r->repair_count == REPAIR_FILES_MAX)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->temp.fd = -1;
	d->dir = *recv_dir_now(r);
	d->dir.fd = fcntl(d->dir.fd, F_DUPFD_CLOEXEC, 0);
	d->in_tree = r->depth || sync_in_tree(r);
	d->number = r->seen - 1;
	d->path = strdup(r->path);
	d->e = malloc(size);
	if (d->dir.fd < 0 || !d->path || !d->e) {
		repair_free(d);
		return NULL;
	}
	memcpy(d->e, &r->e, size);
	return d;
}

struct repair *repair_start(struct receiver *r, const struct hash *good, uint64_t pos)
{
	struct repair *d = repair_new(r);

	if (!d)
		return NULL;
	if (hash_copy(&d->good, good)) {
		repair_free(d);
		return NULL;
	}
	d->good_pos = pos;
	return d;
}

void repair_free(struct repair *d)
{
	if (!d)
		return;
	if (d->temp.fd >= 0)
		tempfile_keep(&d->temp);
	if (d->dir.fd >= 0)
		close(d->dir.fd);
	hash_free(&d->good);
	free(d->blocks);
	free(d->path);
	free(d->e);
	free(d);
}

bool repair_note(struct repair *d, uint64_t offset, uint64_t len, uint64_t so_far)
{
	size_t size = d->size ? 2 * d->size : BLOCKS_FIRST;
	struct repair_block *bigger;

	if (d->count == REPAIR_BLOCKS_MAX) {
		d->blocks[d->count - 1].len = offset + len - d->blocks[d->count - 1].offset;
		d->blocks[d->count - 1].so_far = so_far;
		return true;
	}
	if (d->count == d->size) {
		bigger = reallocarray(d->blocks, size, sizeof(*bigger));
		if (!bigger)
			return false;
		d->blocks = bigger;
		d->size = size;
	}
	d->blocks[d->count++] = (struct repair_block){ offset, len, so_far };
	return true;
}

static void append(struct receiver *r, struct repair *d)
{
	struct repair **end = &r->repairs;

	while (*end)
		end = &(*end)->next;
	*end = d;
	r->repair_count++;
}

void repair_park(struct receiver *r, struct repair *d, const uint8_t digest[HASH_DIGEST_SIZE])
{
	memcpy(d->digest, digest, sizeof(d->digest));
	d->temp = r->temp;
	d->temp.dirfd = d->dir.fd;
	d->hole_last = r->hole_last;
	/* It is not this one any more that a signal handler has to look after. */
	r->temp.fd = -1;
	r->temp.name[0] = '\0';
	append(r, d);
}

bool repair_park_link(struct receiver *r)
{
	struct repair *d = r->repairs ? repair_new(r) : NULL;

	if (!d)
		return false;
	d->link = true;
	append(r, d);
	return true;
}

/*
 * A block comes again, and is whole or was damaged on its way again. *@why is set when it
 * does not come.
 */
static int ask_again(struct receiver *r, const struct repair *d, const struct repair_block *b,
		     bool *whole, struct status *why, struct status *st)
{
	struct resend again = { .number = d->number, .offset = b->offset, .len = b->len };
	uint64_t end = b->offset + b->len;
	struct frame f;
	int ret;

	strcpy(again.path, d->path);
	*whole = true;
	watcher_resent(r->watcher, b->len);
	ret = conv_send_resend(r->c, &again, st);
	for (r->pos = b->offset; !ret && r->pos < end; ) {
		ret = conv_recv(r->c, &f, st);
		if (ret)
			return ret;
		if (f.type == FRAME_SKIP)
			return conv_take_status(r->c, &f, why, st);
		if (f.type != FRAME_DATA || f.arg[0] != r->pos || !f.len || f.len > end - r->pos)
			return status_set(st, STATUS_PROTOCOL, "what was asked for again is not "
					  "what came");
		if (hash_init(&r->again, HASH_XXH64))
			return status_set(st, STATUS_FAIL, "out of memory");
		ret = recv_data(r, f.len, why);
		if (ret && recv_is_fatal(r, why->code))
			*st = *why;
		else if (ret)
			return 0;
		if (hash_so_far(&r->again, &r->spare) != f.arg[1])
			*whole = false;
	}
	return ret;
}

static int repair_block(struct receiver *r, const struct repair *d, const struct repair_block *b,
			struct status *why, struct status *st)
{
	bool whole = false;
	int tries, ret;

	for (tries = 0; ; tries++) {
		if (hash_copy(&r->before, &r->hash))
			return status_set(st, STATUS_FAIL, "out of memory");
		ret = recv_hash_file(r, r->temp.fd, b->offset, b->offset + b->len, why);
		if (ret) {
			*st = *why;
			return recv_is_fatal(r, why->code) ? ret : 0;
		}
		if (hash_so_far(&r->hash, &r->spare) == b->so_far)
			return 0;
		if (stop_signal)
			return status_set(st, STATUS_INTERRUPTED, "interrupted");
		if (whole) {
			status_set(why, STATUS_CHANGED, "file changed before all of it had arrived");
			return 0;
		}
		if (tries == REPAIR_TRIES) {
			recv_digest_differs(why);
			return 0;
		}
		if (hash_copy(&r->hash, &r->before))
			return status_set(st, STATUS_FAIL, "out of memory");
		ret = ask_again(r, d, b, &whole, why, st);
		if (ret || why->code)
			return ret;
	}
}

static int repair_file(struct receiver *r, const struct repair *d, struct status *why,
		       struct status *st)
{
	uint64_t pos = d->good_pos;
	uint8_t digest[HASH_DIGEST_SIZE];
	size_t i;
	int ret;

	if (hash_copy(&r->hash, &d->good))
		return status_set(st, STATUS_FAIL, "out of memory");
	for (i = 0; i < d->count; i++) {
		/* Between blocks are holes. */
		ret = recv_hash_file(r, r->temp.fd, pos, d->blocks[i].offset, st);
		if (!ret)
			ret = repair_block(r, d, &d->blocks[i], why, st);
		if (ret || why->code)
			return ret;
		pos = d->blocks[i].offset + d->blocks[i].len;
	}
	ret = recv_hash_file(r, r->temp.fd, pos, d->e->size, st);
	if (ret)
		return ret;
	hash_final(&r->hash, digest);
	if (memcmp(digest, d->digest, sizeof(digest)))
		recv_digest_differs(why);
	memcpy(r->e.digest, digest, sizeof(digest));
	return 0;
}

/* As it was when its entry came. */
static void resume_entry(struct receiver *r, const struct repair *d)
{
	memcpy(&r->e, d->e, offsetof(struct entry, xattrs) + d->e->xattrs_len);
	r->path_len = strlen(d->path);
	memcpy(r->path, d->path, r->path_len + 1);
	r->hole_last = d->hole_last;
	/* Nor are blocks written past the page cache. */
	r->direct = false;
}

static int repair_one(struct receiver *r, struct repair *d, struct status *st)
{
	struct status why = { 0 };
	struct stat stat;
	int ret = 0;

	resume_entry(r, d);
	r->temp = d->temp;
	d->temp.fd = -1;
	d->temp.name[0] = '\0';
	if (!d->link)
		ret = repair_file(r, d, &why, st);
	if (ret) {
		if (r->temp.fd >= 0)
			tempfile_keep(&r->temp);
		return ret;
	}
	if (d->in_tree)
		recv_dir_open(d->dir.fd, &stat);
	if (d->link) {
		recv_link(r, &why);
		ret = recv_tell(r, &why, st);
	} else {
		ret = recv_end_file(r, &why, st);
	}
	if (d->in_tree)
		recv_dir_restore(d->dir.fd, &stat);
	return ret;
}

int repair_all(struct receiver *r, struct status *st)
{
	int ret = 0;

	while (!ret && r->repairs) {
		r->repairing = r->repairs;
		r->repairs = r->repairing->next;
		r->repair_count--;
		ret = repair_one(r, r->repairing, st);
		repair_free(r->repairing);
		r->repairing = NULL;
	}
	r->path_len = 0;
	r->path[0] = '\0';
	return ret;
}

void repair_drop_all(struct receiver *r)
{
	struct repair *next;

	for (; r->repairs; r->repairs = next) {
		next = r->repairs->next;
		repair_free(r->repairs);
	}
	r->repair_count = 0;
}

// SPDX-License-Identifier: GPL-2.0
#include "changes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xxhash.h>

#include "util.h"

#define BUCKETS		(1U << 15)

bool changes_init(struct changes *c)
{
	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	c->buckets = calloc(BUCKETS, sizeof(*c->buckets));
	c->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return c->buckets && c->wake_fd >= 0;
}

/* From signal handlers, too. */
void changes_wake(const struct changes *c)
{
	uint64_t one = 1;
	ssize_t ignored = write(c->wake_fd, &one, sizeof(one));

	(void)ignored;
}

void change_free(struct change *change)
{
	free(change->from);
	free(change);
}

static struct change **bucket_of(struct changes *c, const char *path)
{
	return &c->buckets[XXH64(path, strlen(path), 0) % BUCKETS];
}

static struct change *find(struct changes *c, const char *path)
{
	struct change *change = *bucket_of(c, path);

	while (change && strcmp(change->path, path))
		change = change->chain;
	return change;
}

static struct changes_list *list_of(struct changes *c, const struct change *change)
{
	return change->due_ns ? &c->later : &c->ready;
}

static void append(struct changes_list *list, struct change *change)
{
	change->next = NULL;
	change->prev = list->last;
	if (list->last)
		list->last->next = change;
	else
		list->first = change;
	list->last = change;
}

static void prepend(struct changes_list *list, struct change *change)
{
	change->prev = NULL;
	change->next = list->first;
	if (list->first)
		list->first->prev = change;
	else
		list->last = change;
	list->first = change;
}

static void detach(struct changes_list *list, struct change *change)
{
	if (change->prev)
		change->prev->next = change->next;
	else
		list->first = change->next;
	if (change->next)
		change->next->prev = change->prev;
	else
		list->last = change->prev;
}

static void forget(struct changes *c, struct change *change)
{
	struct change **at = bucket_of(c, change->path);

	detach(list_of(c, change), change);
	c->count--;
	if (change->flags & CHANGE_F_RENAME)
		return;
	while (*at != change)
		at = &(*at)->chain;
	*at = change->chain;
}

static void forget_all(struct changes *c)
{
	struct change *change;

	while ((change = c->ready.first) || (change = c->later.first)) {
		forget(c, change);
		change_free(change);
	}
}

void changes_free(struct changes *c)
{
	if (c->buckets)
		forget_all(c);
	free(c->buckets);
	if (c->wake_fd >= 0)
		close(c->wake_fd);
	pthread_mutex_destroy(&c->lock);
}

static void lose(struct changes *c)
{
	forget_all(c);
	c->lost = true;
}

static bool add(struct changes *c, struct change *change)
{
	struct change **bucket = bucket_of(c, change->path);

	if (c->count >= CHANGES_MAX) {
		change_free(change);
		lose(c);
		return false;
	}
	change->chain = *bucket;
	*bucket = change;
	c->count++;
	return true;
}

static struct change *new_change(const char *path, uint32_t flags)
{
	size_t size = strlen(path) + 1;
	struct change *change = calloc(1, sizeof(*change) + size);

	if (!change)
		return NULL;
	change->flags = flags;
	memcpy(change->path, path, size);
	return change;
}

/* All that happened to it counts; its place only if it did once. */
static uint32_t merge(uint32_t a, uint32_t b)
{
	return ((a | b) & ~SEND_F_ALONE) | (a & b & SEND_F_ALONE);
}

/* The one of that path, behind all others. */
static struct change *touch(struct changes *c, const char *path, uint32_t flags)
{
	struct change *change = find(c, path);

	/* What is to go first stays before what its successor has: attributes come then. */
	if (change && change->flags & SEND_F_REMOVED && flags == SEND_F_ALONE)
		return change;
	if (change) {
		detach(list_of(c, change), change);
		change->due_ns = 0;
		change->flags = merge(change->flags, flags);
	} else {
		change = new_change(path, flags);
		if (!change) {
			lose(c);
			return NULL;
		}
		if (!add(c, change))
			return NULL;
	}
	append(&c->ready, change);
	return change;
}

void changes_add(struct changes *c, const char *path, uint32_t flags, int64_t closed_ns)
{
	struct change *change;
	bool idle;

	pthread_mutex_lock(&c->lock);
	idle = !c->ready.first;
	change = touch(c, path, flags);
	if (change && closed_ns)
		change->closed_ns = closed_ns;
	idle = idle || c->lost;
	pthread_mutex_unlock(&c->lock);
	if (idle)
		changes_wake(c);
}

/* What @path is beneath @dir, with a slash in front; NULL: it is not. */
static const char *beneath(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && path[len] == '/' ? path + len : NULL;
}

/* What waits beneath @from waits beneath @to; without @to, not at all. False: all is lost. */
static bool rename_beneath(struct changes *c, struct changes_list *list, const char *from,
			   const char *to)
{
	struct change *change, *next, *last = list->last, *copy;
	char path[2 * PATH_MAX];
	const char *rest;

	for (change = list->first; change; change = next) {
		next = change == last ? NULL : change->next;
		rest = change->flags & CHANGE_F_RENAME ? NULL : beneath(change->path, from);
		if (!rest)
			continue;
		forget(c, change);
		if (to && strlen(to) + strlen(rest) < PATH_MAX) {
			strcpy(path, to);
			strcat(path, rest);
			copy = touch(c, path, change->flags);
			if (!copy) {
				change_free(change);
				return false;
			}
			free(copy->from);
			copy->from = change->from;
			change->from = NULL;
			copy->closed_ns = change->closed_ns;
			copy->skips = change->skips;
		}
		change_free(change);
	}
	return true;
}

static bool add_rename(struct changes *c, const char *from, const char *to, uint32_t flags)
{
	struct change *change = c->count < CHANGES_MAX ? new_change(to, flags) : NULL;

	if (change)
		change->from = strdup(from);
	if (!change || !change->from) {
		free(change);
		lose(c);
		return false;
	}
	c->count++;
	append(&c->ready, change);
	return true;
}

/*
 * Over there is what had the name before all that has not been sent yet: it can be renamed
 * unless it was to be sent itself. What it replaces is gone, and goes first if it was a
 * directory.
 */
static struct change *rename_to(struct changes *c, const char *from, const char *to, bool is_dir)
{
	struct change *old = find(c, from), *new = find(c, to);
	uint32_t flags = new ? new->flags & (SEND_F_REMOVED | SEND_F_WAS_DIR) : 0;
	bool held = c->held && c->held->flags & ~SEND_F_ALONE && !strcmp(c->held->path, from);
	char *first;

	if (flags & SEND_F_REMOVED && is_dir)
		flags |= SEND_F_WAS_DIR;
	if (!c->renames || (old && old->flags & ~SEND_F_ALONE)) {
		new = touch(c, to, SEND_F_CONTENT);
		if (new) {
			free(new->from);
			new->from = NULL;
		}
		return new;
	}
	first = strdup(old && old->from ? old->from : from);
	new = first && add_rename(c, from, to, flags | CHANGE_F_RENAME) ? touch(c, to, 0) : NULL;
	if (!new) {
		free(first);
		lose(c);
		return NULL;
	}
	/* Whether all of it has been sent by then is not known. */
	new->flags = held ? SEND_F_CONTENT : 0;
	free(new->from);
	new->from = first;
	return new;
}

static void rename_tree(struct changes *c, const char *from, const char *to)
{
	const char *rest = c->held ? beneath(c->held->path, from) : NULL;
	char path[2 * PATH_MAX];

	if (!rename_beneath(c, &c->ready, from, to) || !rename_beneath(c, &c->later, from, to) ||
	    !rest || strlen(to) + strlen(rest) >= PATH_MAX)
		return;
	strcpy(path, to);
	strcat(path, rest);
	touch(c, path, c->held->flags);
}

void changes_rename(struct changes *c, const char *from, const char *to, bool is_dir,
		    int64_t now)
{
	struct change *old, *new;

	pthread_mutex_lock(&c->lock);
	if (is_dir) {
		rename_beneath(c, &c->ready, to, NULL);
		rename_beneath(c, &c->later, to, NULL);
	}
	new = rename_to(c, from, to, is_dir);
	if (new)
		new->closed_ns = is_dir ? 0 : now;
	old = new ? touch(c, from, SEND_F_REMOVED | (is_dir ? SEND_F_WAS_DIR : 0)) : NULL;
	if (old) {
		free(old->from);
		old->from = NULL;
		old->closed_ns = 0;
	}
	if (old && is_dir)
		rename_tree(c, from, to);
	pthread_mutex_unlock(&c->lock);
	changes_wake(c);
}

void changes_forget_renames(struct changes *c)
{
	struct change *change, *next, *to;

	pthread_mutex_lock(&c->lock);
	for (change = c->ready.first; change; change = next) {
		next = change->next;
		if (!(change->flags & CHANGE_F_RENAME))
			continue;
		forget(c, change);
		to = find(c, change->path);
		if (to)
			to->flags |= SEND_F_CONTENT;
		change_free(change);
	}
	pthread_mutex_unlock(&c->lock);
}

void changes_lose(struct changes *c)
{
	pthread_mutex_lock(&c->lock);
	lose(c);
	pthread_mutex_unlock(&c->lock);
	changes_wake(c);
}

bool changes_take_lost(struct changes *c)
{
	bool lost;

	pthread_mutex_lock(&c->lock);
	lost = c->lost;
	c->lost = false;
	pthread_mutex_unlock(&c->lock);
	return lost;
}

struct change *changes_take(struct changes *c, int64_t now)
{
	struct change *change;

	pthread_mutex_lock(&c->lock);
	change = c->ready.first;
	if (!change && c->later.first && c->later.first->due_ns <= now)
		change = c->later.first;
	if (change) {
		forget(c, change);
		change->due_ns = 0;
		change->next = NULL;
	}
	c->held = change && !(change->flags & CHANGE_F_RENAME) ? change : NULL;
	pthread_mutex_unlock(&c->lock);
	return change;
}

void changes_sent(struct changes *c)
{
	pthread_mutex_lock(&c->lock);
	c->held = NULL;
	pthread_mutex_unlock(&c->lock);
}

int64_t changes_wait(struct changes *c, int64_t now)
{
	int64_t wait = -1;

	pthread_mutex_lock(&c->lock);
	if (c->ready.first)
		wait = 0;
	else if (c->later.first)
		wait = c->later.first->due_ns > now ? c->later.first->due_ns - now : 0;
	pthread_mutex_unlock(&c->lock);
	return wait;
}

static void put_back(struct changes *c, struct change *change, int64_t due_ns)
{
	struct change *newer = find(c, change->path);

	c->held = NULL;
	if (newer) {
		/* As in touch(): what its successor has is behind the newer one's place. */
		if (change->flags & SEND_F_REMOVED && !(newer->flags & SEND_F_REMOVED)) {
			detach(list_of(c, newer), newer);
			newer->due_ns = 0;
			prepend(&c->ready, newer);
		}
		newer->flags = merge(newer->flags, change->flags);
		if (newer->skips < change->skips)
			newer->skips = change->skips;
		if (!newer->closed_ns)
			newer->closed_ns = change->closed_ns;
		change_free(change);
		return;
	}
	if (!add(c, change))
		return;
	change->due_ns = due_ns;
	change->code = 0;
	if (due_ns)
		append(&c->later, change);
	else
		prepend(&c->ready, change);
}

void changes_put_back(struct changes *c, struct change *change)
{
	pthread_mutex_lock(&c->lock);
	/* Whether the other side has renamed it is not known. */
	if (change->from) {
		change->flags |= SEND_F_CONTENT;
		free(change->from);
		change->from = NULL;
	}
	/* Its path has a change of its own, which is there again by now, or comes. */
	change->flags &= ~CHANGE_F_RENAME;
	put_back(c, change, 0);
	pthread_mutex_unlock(&c->lock);
}

void changes_put_off(struct changes *c, struct change *change, int64_t due_ns)
{
	pthread_mutex_lock(&c->lock);
	put_back(c, change, due_ns);
	pthread_mutex_unlock(&c->lock);
}

bool changes_has(struct changes *c, const char *path)
{
	bool has;

	pthread_mutex_lock(&c->lock);
	has = find(c, path);
	pthread_mutex_unlock(&c->lock);
	return has;
}

size_t changes_count(struct changes *c)
{
	size_t count;

	pthread_mutex_lock(&c->lock);
	count = c->count;
	pthread_mutex_unlock(&c->lock);
	return count;
}

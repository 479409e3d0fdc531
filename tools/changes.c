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
	while (*at != change)
		at = &(*at)->chain;
	*at = change->chain;
	c->count--;
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

/* What waits beneath @from waits beneath @to, too. */
static void rename_beneath(struct changes *c, const char *from, const char *to)
{
	size_t len = strlen(from), to_len = strlen(to);
	struct change *change, *last = c->ready.last, *copy;
	char path[2 * PATH_MAX];

	memcpy(path, to, to_len);
	for (change = c->ready.first; change; change = change->next) {
		if (!strncmp(change->path, from, len) && change->path[len] == '/' &&
		    to_len + strlen(change->path + len) < PATH_MAX) {
			strcpy(path + to_len, change->path + len);
			copy = touch(c, path, change->flags |
					      (change->from ? SEND_F_CONTENT : 0));
			if (!copy)
				return;
			if (change->closed_ns)
				copy->closed_ns = change->closed_ns;
		}
		if (change == last)
			return;
	}
}

void changes_rename(struct changes *c, const char *from, const char *to, bool is_dir,
		    int64_t now)
{
	struct change *old, *new;
	char *hint = NULL;
	uint32_t flags = 0;

	pthread_mutex_lock(&c->lock);
	old = find(c, from);
	/* Over there is what had the name before all that has not been sent yet. */
	if (!old || !(old->flags & ~SEND_F_ALONE))
		hint = strdup(old && old->from ? old->from : from);
	if (!hint)
		flags = SEND_F_CONTENT;
	new = touch(c, to, flags);
	if (new) {
		free(new->from);
		new->from = hint;
		new->closed_ns = is_dir ? 0 : now;
	} else {
		free(hint);
	}
	old = touch(c, from, SEND_F_REMOVED | (is_dir ? SEND_F_WAS_DIR : 0));
	if (old) {
		free(old->from);
		old->from = NULL;
		old->closed_ns = 0;
	}
	if (is_dir)
		rename_beneath(c, from, to);
	pthread_mutex_unlock(&c->lock);
	changes_wake(c);
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
	pthread_mutex_unlock(&c->lock);
	return change;
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

	if (newer) {
		/* As in touch(): what its successor has is behind the newer one's place. */
		if (change->flags & SEND_F_REMOVED && !(newer->flags & SEND_F_REMOVED)) {
			detach(list_of(c, newer), newer);
			newer->due_ns = 0;
			prepend(&c->ready, newer);
		}
		newer->flags = merge(newer->flags, change->flags |
						   (change->from ? SEND_F_CONTENT : 0));
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

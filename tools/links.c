// SPDX-License-Identifier: GPL-2.0
#include "links.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINKS_SIZE_FIRST	64

static size_t bucket_of(const struct links *l, dev_t dev, ino_t ino)
{
	uint64_t mixed = ((uint64_t)ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15ULL;

	return (mixed >> 32) & (l->size - 1);
}

const struct links_file *links_find(const struct links *l, dev_t dev, ino_t ino)
{
	const struct links_file *file;

	if (!l->size)
		return NULL;
	for (file = l->buckets[bucket_of(l, dev, ino)]; file; file = file->next)
		if (file->dev == dev && file->ino == ino)
			return file;
	return NULL;
}

static void insert(struct links *l, struct links_file *file)
{
	struct links_file **bucket = &l->buckets[bucket_of(l, file->dev, file->ino)];

	file->next = *bucket;
	*bucket = file;
}

static bool grow(struct links *l)
{
	struct links bigger = { .size = l->size ? 2 * l->size : LINKS_SIZE_FIRST };
	struct links_file *file, *next;
	size_t i;

	bigger.count = l->count;
	bigger.buckets = calloc(bigger.size, sizeof(bigger.buckets[0]));
	if (!bigger.buckets)
		return false;
	for (i = 0; i < l->size; i++) {
		for (file = l->buckets[i]; file; file = next) {
			next = file->next;
			insert(&bigger, file);
		}
	}
	free(l->buckets);
	*l = bigger;
	return true;
}

struct links_file *links_add(struct links *l, dev_t dev, ino_t ino, const char *path)
{
	size_t len = strlen(path) + 1;
	struct links_file *file;

	if (l->count >= l->size && !grow(l))
		return NULL;
	file = calloc(1, sizeof(*file) + len);
	if (!file)
		return NULL;
	file->dev = dev;
	file->ino = ino;
	memcpy(file->path, path, len);
	file->hash_kind = HASH_NONE;
	insert(l, file);
	l->count++;
	return file;
}

void links_free(struct links *l)
{
	struct links_file *file, *next;
	size_t i;

	for (i = 0; i < l->size; i++) {
		for (file = l->buckets[i]; file; file = next) {
			next = file->next;
			free(file);
		}
	}
	free(l->buckets);
	memset(l, 0, sizeof(*l));
}

// SPDX-License-Identifier: GPL-2.0
#include "failures.h"

#include <stdlib.h>
#include <string.h>

/* More are not worth the memory, nor the time to look for them. */
#define FAILURES_MAX	1000

struct failure {
	struct failure *next;
	int code;
	char path[];
};

void failures_add(struct failures *f, const char *path, int code)
{
	struct failure **at = &f->first, *new = NULL;
	size_t size = strlen(path) + 1;

	for (; *at; at = &(*at)->next)
		if (!strcmp((*at)->path, path))
			return;
	if (f->count < FAILURES_MAX)
		new = calloc(1, sizeof(*new) + size);
	if (!new) {
		f->more = f->more ? f->more : code;
		return;
	}
	new->code = code;
	memcpy(new->path, path, size);
	*at = new;
	f->count++;
}

static bool is_that(const struct failure *failure, const char *path, bool beneath)
{
	size_t len = strlen(path);

	return !strncmp(failure->path, path, len) &&
	       (!failure->path[len] || (beneath && failure->path[len] == '/'));
}

void failures_clear(struct failures *f, const char *path, bool beneath)
{
	struct failure **at = &f->first, *gone;

	while (*at) {
		if (!is_that(*at, path, beneath)) {
			at = &(*at)->next;
			continue;
		}
		gone = *at;
		*at = gone->next;
		free(gone);
		f->count--;
	}
}

void failures_reset(struct failures *f)
{
	struct failure *next;

	for (; f->first; f->first = next) {
		next = f->first->next;
		free(f->first);
	}
	f->count = 0;
	f->more = 0;
}

int failures_code(const struct failures *f)
{
	return f->first ? f->first->code : f->more;
}

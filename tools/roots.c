// SPDX-License-Identifier: GPL-2.0
#include "roots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

/* One part of a path, which is what clients use it as. */
static bool good_name(const char *name, size_t len)
{
	return len && len < ROOT_NAME_SIZE && !memchr(name, '/', len) &&
	       !(len == 1 && name[0] == '.') && !(len == 2 && !strncmp(name, "..", 2));
}

/* Takes ":ro" and the like off the end. */
static size_t take_mode(struct root *root, const char *spec)
{
	size_t len = strlen(spec);
	const char *mode;

	if (len < 3)
		return len;
	mode = spec + len - 3;
	root->no_push = !strcmp(mode, ":ro");
	root->no_pull = !strcmp(mode, ":wo");
	return root->no_push || root->no_pull || !strcmp(mode, ":rw") ? len - 3 : len;
}

int roots_add(struct roots *r, const char *spec, struct status *st)
{
	struct root *root = &r->list[r->count];
	const char *path = spec, *equal;
	size_t len;

	if (r->count == ROOTS_MAX)
		return status_set(st, STATUS_USAGE, "more than %d roots", ROOTS_MAX);
	memset(root, 0, sizeof(*root));
	root->dir = (struct path_root){ .fd = -1, .confined = true, .whose = "the agent's" };
	len = take_mode(root, spec);
	/* As with links: what stands behind a slash is no name. */
	equal = memchr(spec, '=', len);
	if (equal && !memchr(spec, '/', equal - spec)) {
		if (!good_name(spec, equal - spec))
			return status_set(st, STATUS_USAGE, "an impossible name: --root %s",
					  printable_cut(spec));
		memcpy(root->name, spec, equal - spec);
		path = equal + 1;
		len -= path - spec;
	}
	if (!len || len >= sizeof(root->path))
		return status_set(st, STATUS_USAGE, "no directory: --root %s", printable_cut(spec));
	memcpy(root->path, path, len);
	r->count++;
	return 0;
}

/* With several, each has a name of its own. */
static int check_names(const struct roots *r, struct status *st)
{
	size_t i, j;

	for (i = 0; i < r->count; i++) {
		if (r->count > 1 && !r->list[i].name[0])
			return status_set(st, STATUS_USAGE, "several roots need names: --root NAME=%s",
					  printable_cut(r->list[i].path));
		for (j = 0; j < i; j++)
			if (!strcmp(r->list[i].name, r->list[j].name))
				return status_set(st, STATUS_USAGE, "two roots have the name %s",
						  printable(r->list[i].name));
	}
	return 0;
}

int roots_open(struct roots *r, struct status *st)
{
	struct root *root;
	int ret;

	if (!r->count)
		return status_set(st, STATUS_USAGE, "nothing to serve: say --root DIR");
	ret = check_names(r, st);
	for (root = r->list; !ret && root < r->list + r->count; root++) {
		root->dir.name = root->name[0] ? root->name : NULL;
		root->dir.fd = open(root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (root->dir.fd < 0)
			ret = status_errno(st, errno == ENOENT || errno == ENOTDIR ?
					   STATUS_USAGE : STATUS_FAIL, errno,
					   "cannot serve --root %s", printable_cut(root->path));
	}
	return ret;
}

const char *root_mode(const struct root *root)
{
	return root->no_push ? "read-only" : root->no_pull ? "write-only" : "";
}

/* The names of all roots, as far as there is room. */
static void list_names(const struct roots *r, char *text, size_t size)
{
	size_t i, used = 0;

	text[0] = '\0';
	for (i = 0; i < r->count && used < size; i++)
		used += snprintf(text + used, size - used, "%s%s", i ? ", " : "",
				 printable(r->list[i].name));
}

const struct root *roots_find(const struct roots *r, char *path, struct status *st)
{
	const char *name = path + strspn(path, "/");
	size_t len = strcspn(name, "/"), i;
	char names[256];

	if (r->count == 1 && !r->list[0].name[0])
		return &r->list[0];
	for (i = 0; i < r->count; i++) {
		if (strlen(r->list[i].name) != len || memcmp(r->list[i].name, name, len))
			continue;
		/* A slash stays: who writes NAME/ means what is in it. */
		memmove(path, name + len, strlen(name + len) + 1);
		return &r->list[i];
	}
	list_names(r, names, sizeof(names));
	status_set(st, STATUS_NO_ROOT, "the agent has no such root; paths begin with one of: %s",
		   names);
	return NULL;
}

// SPDX-License-Identifier: GPL-2.0
#include "expand.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pattern.h"
#include "util.h"

int expand_add(struct expansion *x, const char *path, struct status *st)
{
	size_t size = x->size ? 2 * x->size : 16;
	char **bigger;

	if (x->count == EXPAND_NAMES_MAX || x->bytes > EXPAND_BYTES_MAX)
		return status_set(st, STATUS_QUOTA, "the pattern stands for more than %zu names",
				  x->count);
	if (x->count == x->size) {
		bigger = reallocarray(x->paths, size, sizeof(*bigger));
		if (!bigger)
			return status_set(st, STATUS_FAIL, "out of memory");
		x->paths = bigger;
		x->size = size;
	}
	x->paths[x->count] = strdup(path);
	if (!x->paths[x->count])
		return status_set(st, STATUS_FAIL, "out of memory");
	x->count++;
	x->bytes += strlen(path) + 1;
	return 0;
}

void expand_free(struct expansion *x)
{
	while (x->count)
		free(x->paths[--x->count]);
	free(x->paths);
	memset(x, 0, sizeof(*x));
}

static bool is_there(const struct path_root *root, const char *path)
{
	int fd = path_open(root, path, O_PATH | O_NOFOLLOW);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Of a pattern for one name: what is longer stands for nothing. */
#define PART_SIZE	(2 * NAME_MAX)

/* A path that is being put together, and what of the pattern is still to come. */
struct walk {
	struct expansion *x;
	const struct path_root *root;
	char path[PATH_MAX];
};

static int expand_rest(struct walk *w, size_t len, const char *rest, struct status *st);

/* Appends a part of a path. 0: that gets too long. */
static size_t append(struct walk *w, size_t len, const char *part, size_t part_len)
{
	if (len + part_len >= sizeof(w->path))
		return 0;
	memcpy(w->path + len, part, part_len);
	w->path[len + part_len] = '\0';
	return len + part_len;
}

static int expand_dir(struct walk *w, size_t len, const char *part, const char *rest,
		      struct status *st)
{
	int fd = path_open(w->root, w->path, O_RDONLY | O_DIRECTORY), ret = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t longer;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && !ret && (entry = readdir(dir))) {
		if (++w->x->looks > EXPAND_LOOKS_MAX)
			ret = status_set(st, STATUS_QUOTA, "the pattern takes too long");
		if (stop_signal)
			ret = status_set(st, STATUS_INTERRUPTED, "interrupted");
		if (ret || !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    !pattern_match_name(part, entry->d_name))
			continue;
		longer = append(w, len, entry->d_name, strlen(entry->d_name));
		if (longer)
			ret = expand_rest(w, longer, rest, st);
		w->path[len] = '\0';
	}
	if (dir)
		closedir(dir);
	return ret;
}

/* Slashes, then one part of the pattern, in the directory that w->path names. */
static int expand_rest(struct walk *w, size_t len, const char *rest, struct status *st)
{
	size_t slashes = strspn(rest, "/"), part_len;
	char part[PART_SIZE];

	part_len = strcspn(rest + slashes, "/");
	if (!part_len)
		/* A slash at the end is for directories only, and stays. */
		return append(w, len, rest, slashes) != len + slashes || !is_there(w->root, w->path) ?
		       0 : expand_add(w->x, w->path, st);
	if (slashes && !append(w, len, "/", 1))
		return 0;
	len += !!slashes;
	if (part_len >= sizeof(part))
		return 0;
	memcpy(part, rest + slashes, part_len);
	part[part_len] = '\0';
	rest += slashes + part_len;
	if (pattern_is_wild(part))
		return expand_dir(w, len, part, rest, st);
	len = append(w, len, part, part_len);
	return len ? expand_rest(w, len, rest, st) : 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int expand_pattern(struct expansion *x, const struct path_root *root, const char *pattern,
		   struct status *st)
{
	struct walk *w;
	int ret;

	ret = path_check(root, pattern, st);
	if (ret)
		return ret;
	if (!pattern_is_wild(pattern) || is_there(root, pattern))
		return expand_add(x, pattern, st);
	w = calloc(1, sizeof(*w));
	if (!w)
		return status_set(st, STATUS_FAIL, "out of memory");
	w->x = x;
	w->root = root;
	ret = expand_rest(w, 0, pattern, st);
	free(w);
	if (!ret && !x->count)
		ret = status_set(st, STATUS_SOURCE, "nothing has a name like that");
	if (!ret)
		qsort(x->paths, x->count, sizeof(x->paths[0]), compare);
	return ret;
}

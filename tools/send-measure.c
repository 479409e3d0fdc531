// SPDX-License-Identifier: GPL-2.0
#include "sender.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

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
		if (send_is_dot(entry->d_name) ||
		    fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW))
			continue;
		measure_file(m, &stat);
		if (!S_ISDIR(stat.st_mode) || path_len + strlen(entry->d_name) + 1 >= PATH_MAX)
			continue;
		sub = send_open_child(dirfd(dir), entry->d_name, DT_DIR);
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
	ret = send_name_of(root, path, S_ISDIR(stat.st_mode), name, st);
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

int send_is_tree(const struct path_root *root, const char *path, bool *tree, struct status *st)
{
	struct stat stat;
	int fd, ret;

	ret = path_open_source(root, path, &fd, &stat, st);
	if (ret)
		return ret;
	*tree = S_ISDIR(stat.st_mode);
	if (fd >= 0)
		close(fd);
	return 0;
}

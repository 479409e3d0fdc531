/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What changes in a tree, by inotify(7): a thread that puts the paths among changes, and
 * watches directories as they come and go.
 */
#ifndef IVRING_TREE_WATCH_H
#define IVRING_TREE_WATCH_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "changes.h"
#include "filter.h"
#include "status.h"

struct tree_node;
struct tree_move;

struct tree_watch {
	struct changes *changes;
	const struct filter *filter;
	const char *prefix;		/* of paths, for the filter: a name or empty */
	const char *path;		/* what was named */
	int top;
	int fd;				/* of inotify */
	int stop_fd;
	pthread_mutex_t lock;		/* of all below, and of events */
	pthread_t thread;
	bool running;
	struct tree_node **buckets;	/* by watch */
	struct tree_node *root;
	struct tree_move *moves;	/* of which one half is known */
	size_t move_count;
	bool stale;			/* all directories are to be watched anew */
	char at[PATH_MAX];		/* of the directory that is being looked at */
	struct status failure;
	atomic_bool stop;
	atomic_bool failed;		/* @failure tells: no change is seen any more */
	atomic_ulong too_long;		/* changes of paths that have no room in a path */
	atomic_ulong events;
	atomic_ulong overflows;
};

/*
 * Watches directory @path, open as @top, and all in it. What happens from now on is among
 * @changes sooner or later.
 */
int tree_watch_start(struct tree_watch *w, int top, struct status *st);
/* All that has happened is among the changes afterwards. Called while it is running. */
void tree_watch_poll(struct tree_watch *w);
/* The same, and no more is seen. */
void tree_watch_stop(struct tree_watch *w);
void tree_watch_free(struct tree_watch *w);

#endif /* IVRING_TREE_WATCH_H */

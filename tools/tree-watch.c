// SPDX-License-Identifier: GPL-2.0
#include "tree-watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tempfile.h"
#include "util.h"

#define NODE_BUCKETS	(1U << 14)
#define EVENTS_SIZE	(64U << 10)
/* Renames of which the second half has not come yet; how long it may take. */
#define MOVES_MAX	8
#define MOVE_WAIT_MS	3
/* How often the top is looked at: no event tells that a directory above it was renamed. */
#define TOP_CHECK_MS	1000

#define TREE_EVENTS	(IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |	\
			 IN_ATTRIB | IN_ONLYDIR | IN_EXCL_UNLINK)
#define TOP_EVENTS	(TREE_EVENTS | IN_DELETE_SELF | IN_MOVE_SELF)

struct tree_node {
	struct tree_node *chain;
	struct tree_node *parent;	/* NULL: the top */
	struct tree_node *children;
	struct tree_node *next;		/* child of the same parent */
	int wd;
	char *name;
};

struct tree_move {
	uint32_t cookie;
	int64_t since_ns;
	bool is_dir;
	struct tree_node *node;		/* of a directory that is watched, or NULL */
	char path[PATH_MAX];
};

static void fail(struct tree_watch *w)
{
	atomic_store(&w->failed, true);
	changes_wake(w->changes);
}

/* ---- directories ---- */

static struct tree_node **bucket_of(struct tree_watch *w, int wd)
{
	return &w->buckets[(unsigned int)wd % NODE_BUCKETS];
}

static struct tree_node *find_node(struct tree_watch *w, int wd)
{
	struct tree_node *node = *bucket_of(w, wd);

	while (node && node->wd != wd)
		node = node->chain;
	return node;
}

static struct tree_node *find_child(const struct tree_node *parent, const char *name)
{
	struct tree_node *node = parent->children;

	while (node && strcmp(node->name, name))
		node = node->next;
	return node;
}

static void unlink_node(struct tree_node *node)
{
	struct tree_node **at;

	if (!node->parent)
		return;
	for (at = &node->parent->children; *at != node; )
		at = &(*at)->next;
	*at = node->next;
	node->parent = NULL;
}

static void link_node(struct tree_node *node, struct tree_node *parent)
{
	node->parent = parent;
	node->next = parent->children;
	parent->children = node;
}

/* It and all in it are watched no more. */
static void drop_node(struct tree_watch *w, struct tree_node *node)
{
	struct tree_node **at = bucket_of(w, node->wd);
	size_t i;

	while (node->children)
		drop_node(w, node->children);
	unlink_node(node);
	while (*at != node)
		at = &(*at)->chain;
	*at = node->chain;
	for (i = 0; i < w->move_count; i++)
		if (w->moves[i].node == node)
			w->moves[i].node = NULL;
	if (w->root == node)
		w->root = NULL;
	inotify_rm_watch(w->fd, node->wd);
	free(node->name);
	free(node);
}

/* Is it one of those that lead there? A bind mount can bring it in once more. */
static bool leads_to(const struct tree_node *node, const struct tree_node *to)
{
	while (to && to != node)
		to = to->parent;
	return to;
}

/* NULL without memory. A directory that was watched under another name has this one now. */
static struct tree_node *add_node(struct tree_watch *w, struct tree_node *parent,
				  const char *name, int wd)
{
	struct tree_node *node = find_node(w, wd);
	char *copy = strdup(name);

	if (!copy)
		return NULL;
	if (!node) {
		node = calloc(1, sizeof(*node));
		if (!node) {
			free(copy);
			return NULL;
		}
		node->wd = wd;
		node->chain = *bucket_of(w, wd);
		*bucket_of(w, wd) = node;
	}
	free(node->name);
	node->name = copy;
	if (node->parent != parent) {
		unlink_node(node);
		if (parent)
			link_node(node, parent);
	}
	return node;
}

/* Of a name in that directory, or of the directory itself. False: that is too long. */
static bool path_of(const struct tree_node *node, const char *name, char path[PATH_MAX])
{
	size_t at = PATH_MAX - 1, len = strlen(name);

	path[at] = '\0';
	for (;;) {
		if (len > at)
			return false;
		at -= len;
		memcpy(path + at, name, len);
		if (!node->parent)
			break;
		if (path[at]) {
			if (!at)
				return false;
			path[--at] = '/';
		}
		name = node->name;
		len = strlen(name);
		node = node->parent;
	}
	memmove(path, path + at, PATH_MAX - at);
	return true;
}

static bool is_excluded(const struct tree_watch *w, const char *path, bool is_dir)
{
	char text[PATH_MAX + NAME_MAX + 2];

	if (!w->filter->len)
		return false;
	snprintf(text, sizeof(text), "%s%s%s", w->prefix, *w->prefix ? "/" : "", path);
	return strlen(text) >= PATH_MAX || filter_excludes(w->filter, text, is_dir);
}

static int watch_failed(const char *path, struct status *st)
{
	if (errno == ENOSPC)
		return status_set(st, STATUS_WATCH, "cannot watch %s: the user has as many watches "
				  "as may be: raise fs.inotify.max_user_watches by sysctl(8)",
				  printable_cut(*path ? path : "."));
	return status_set(st, STATUS_WATCH, "cannot watch %s: %s",
			  printable_cut(*path ? path : "."), strerror(errno));
}

static int add_tree(struct tree_watch *w, struct tree_node *parent, int fd, const char *name,
		    bool tell, struct status *st);

/* One name in the directory w->at, which is open and watched. */
static int add_child(struct tree_watch *w, struct tree_node *node, int dirfd,
		     const struct dirent *entry, bool tell, struct status *st)
{
	size_t len = strlen(w->at), name_len = strlen(entry->d_name);
	bool is_dir = entry->d_type == DT_DIR;
	struct stat stat;
	int fd, ret = 0;

	if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
	    tempfile_is_name(entry->d_name))
		return 0;
	if (len + 1 + name_len >= sizeof(w->at)) {
		atomic_fetch_add(&w->too_long, tell);
		return 0;
	}
	if (entry->d_type == DT_UNKNOWN)
		is_dir = !fstatat(dirfd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) &&
			 S_ISDIR(stat.st_mode);
	if (!tell && !is_dir)
		return 0;
	if (len)
		w->at[len] = '/';
	strcpy(w->at + len + !!len, entry->d_name);
	if (!is_excluded(w, w->at, is_dir)) {
		if (tell)
			changes_add(w->changes, w->at, SEND_F_ALONE, 0);
		fd = is_dir ? openat(dirfd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
				     O_CLOEXEC) : -1;
		if (fd >= 0)
			ret = add_tree(w, node, fd, entry->d_name, tell, st);
	}
	w->at[len] = '\0';
	return ret;
}

/*
 * A directory whose path is w->at: @fd is taken over. First the watch, then a look: so
 * nothing comes between the two. With @tell, all that is in it is a change.
 */
static int add_tree(struct tree_watch *w, struct tree_node *parent, int fd, const char *name,
		    bool tell, struct status *st)
{
	struct tree_node *node;
	struct dirent *entry;
	char self[32];
	int wd, ret = 0;
	DIR *dir;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	wd = inotify_add_watch(w->fd, self, parent ? TREE_EVENTS : TOP_EVENTS);
	if (wd < 0) {
		ret = watch_failed(w->at, st);
		close(fd);
		return ret;
	}
	/* One watch is all that a directory has: it would be known by one of its names. */
	node = find_node(w, wd);
	if (node && (!tell || leads_to(node, parent))) {
		close(fd);
		return status_set(st, STATUS_WATCH, "cannot watch %s: it is in the tree twice, by a "
				  "mount; exclude one of the two", printable_cut(w->at));
	}
	node = add_node(w, parent, name, wd);
	dir = node ? fdopendir(fd) : NULL;
	if (!dir) {
		close(fd);
		return status_set(st, STATUS_FAIL, "out of memory");
	}
	if (!parent)
		w->root = node;
	while (!ret && (entry = readdir(dir)))
		ret = add_child(w, node, dirfd(dir), entry, tell, st);
	closedir(dir);
	return ret;
}

/* The directory that is called so now, with all in it. */
static void add_named(struct tree_watch *w, struct tree_node *parent, const char *name,
		      const char *path)
{
	int fd = path_open_within(w->top, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

	/* It is gone, or cannot be read, of which its turn tells. */
	if (fd < 0)
		return;
	strcpy(w->at, path);
	if (add_tree(w, parent, fd, name, true, &w->failure))
		fail(w);
	w->at[0] = '\0';
}

static void drop_all(struct tree_watch *w)
{
	w->move_count = 0;
	if (w->root)
		drop_node(w, w->root);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

static int watch_all(struct tree_watch *w, struct status *st)
{
	int fd;

	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0 && errno == EMFILE)
		return status_set(st, STATUS_WATCH, "cannot watch: the user has as many inotify "
				  "instances as may be: raise fs.inotify.max_user_instances by "
				  "sysctl(8)");
	if (w->fd < 0)
		return status_set(st, STATUS_WATCH, "cannot watch: %s", strerror(errno));
	w->at[0] = '\0';
	fd = openat(w->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return status_errno(st, STATUS_SOURCE, errno, "cannot be read");
	return add_tree(w, NULL, fd, "", false, st);
}

/* ---- events ---- */

/* Events were lost, or directories: what is in the tree now is not known. */
static void start_over(struct tree_watch *w)
{
	w->stale = false;
	drop_all(w);
	if (watch_all(w, &w->failure))
		fail(w);
	changes_lose(w->changes);
}

/* Of those that are left, the first is the oldest. */
static struct tree_move take_move(struct tree_watch *w, size_t at)
{
	struct tree_move move = w->moves[at];

	w->move_count--;
	memmove(&w->moves[at], &w->moves[at + 1], (w->move_count - at) * sizeof(move));
	return move;
}

/* It came from the tree, and did not come back. */
static void moved_away(struct tree_watch *w)
{
	struct tree_move gone = take_move(w, 0);

	if (gone.node)
		drop_node(w, gone.node);
	changes_add(w->changes, gone.path, SEND_F_REMOVED | (gone.is_dir ? SEND_F_WAS_DIR : 0), 0);
}

static void moved_from(struct tree_watch *w, struct tree_node *parent,
		       const struct inotify_event *event, const char *path)
{
	bool is_dir = event->mask & IN_ISDIR;
	struct tree_move *move;

	if (w->move_count == MOVES_MAX)
		moved_away(w);
	move = &w->moves[w->move_count++];
	move->cookie = event->cookie;
	move->since_ns = now_ns();
	move->is_dir = is_dir;
	move->node = is_dir ? find_child(parent, event->name) : NULL;
	strcpy(move->path, path);
}

static void appeared(struct tree_watch *w, struct tree_node *parent,
		     const struct inotify_event *event, const char *path, int64_t now)
{
	if (event->mask & IN_ISDIR) {
		changes_add(w->changes, path, SEND_F_ALONE, 0);
		add_named(w, parent, event->name, path);
	} else if (event->mask & IN_CREATE) {
		changes_add(w->changes, path, CHANGE_F_MADE, 0);
	} else {
		changes_add(w->changes, path, SEND_F_CONTENT, now);
	}
}

static void moved_to(struct tree_watch *w, struct tree_node *parent,
		     const struct inotify_event *event, const char *path, int64_t now)
{
	struct tree_move was;
	size_t i = 0;

	while (i < w->move_count && w->moves[i].cookie != event->cookie)
		i++;
	if (i == w->move_count) {
		appeared(w, parent, event, path, now);
		return;
	}
	was = take_move(w, i);
	changes_rename(w->changes, was.path, path, was.is_dir, now);
	if (!was.is_dir)
		return;
	/* One that it has replaced was empty; its end tells of itself. */
	if (was.node && !leads_to(was.node, parent))
		add_node(w, parent, event->name, was.node->wd);
	add_named(w, parent, event->name, path);
}

static void take_named(struct tree_watch *w, struct tree_node *parent,
		       const struct inotify_event *event, int64_t now)
{
	bool is_dir = event->mask & IN_ISDIR, excluded;
	char path[PATH_MAX];

	if (tempfile_is_name(event->name))
		return;
	if (!path_of(parent, event->name, path)) {
		atomic_fetch_add(&w->too_long, 1);
		changes_wake(w->changes);
		return;
	}
	excluded = is_excluded(w, path, is_dir);
	if (excluded)
		return;
	if (event->mask & IN_MOVED_FROM) {
		moved_from(w, parent, event, path);
	} else if (event->mask & IN_MOVED_TO) {
		moved_to(w, parent, event, path, now);
	} else if (event->mask & IN_CREATE) {
		appeared(w, parent, event, path, now);
	} else if (event->mask & IN_DELETE) {
		changes_add(w->changes, path, SEND_F_REMOVED | (is_dir ? SEND_F_WAS_DIR : 0), 0);
	} else if (event->mask & IN_CLOSE_WRITE) {
		changes_add(w->changes, path, SEND_F_CONTENT, now);
	} else if (event->mask & IN_ATTRIB) {
		changes_add(w->changes, path, SEND_F_ALONE, 0);
		/* It may be readable now. */
		if (is_dir && !find_child(parent, event->name))
			add_named(w, parent, event->name, path);
	}
}

static void end(struct tree_watch *w, const char *why)
{
	if (atomic_load(&w->failed))
		return;
	status_set(&w->failure, STATUS_WATCH, "%s %s: there is nothing to watch any more",
		   printable_cut(w->path), why);
	fail(w);
}

static void take_event(struct tree_watch *w, const struct inotify_event *event, int64_t now)
{
	struct tree_node *node = find_node(w, event->wd);

	atomic_fetch_add(&w->events, 1);
	if (!node)
		return;
	if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
		if (!node->parent)
			end(w, event->mask & IN_UNMOUNT ? "was unmounted" :
			    event->mask & IN_MOVE_SELF ? "was renamed" : "was removed");
		else if (event->mask & IN_UNMOUNT)
			/* There is another directory beneath, which nobody watches. */
			w->stale = true;
		else
			drop_node(w, node);
	} else if (event->len) {
		take_named(w, node, event, now);
	} else if (!node->parent) {
		changes_add(w->changes, "", SEND_F_ALONE, 0);
	}
}

/* False: there are none. */
static bool take_events(struct tree_watch *w)
{
	static _Thread_local char buf[EVENTS_SIZE]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *event;
	int64_t now;
	ssize_t len, at;

	len = read(w->fd, buf, sizeof(buf));
	now = now_ns();
	for (at = 0; at < len; at += sizeof(*event) + event->len) {
		event = (const void *)(buf + at);
		if (event->mask & IN_Q_OVERFLOW) {
			w->stale = true;
			atomic_fetch_add(&w->overflows, 1);
			return false;
		}
		take_event(w, event, now);
	}
	return len > 0;
}

static void check_top(struct tree_watch *w)
{
	struct stat named, open;

	if (stat(w->path, &named))
		end(w, "is not there");
	else if (fstat(w->top, &open) || open.st_dev != named.st_dev || open.st_ino != named.st_ino)
		end(w, "is another directory now");
}

static void kick(const struct tree_watch *w)
{
	uint64_t one = 1;
	ssize_t ignored = write(w->stop_fd, &one, sizeof(one));

	(void)ignored;
}

void tree_watch_poll(struct tree_watch *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->stale && !atomic_load(&w->failed) && take_events(w))
		;
	/* It is waiting for what is about to be replaced, or for too long. */
	if (w->stale || w->move_count)
		kick(w);
	pthread_mutex_unlock(&w->lock);
}

/* What is there to be read; @more: as well as what belongs together may still come, soon. */
static void take_all(struct tree_watch *w, bool more)
{
	int64_t old = now_ns() - MOVE_WAIT_MS * NSEC_PER_MSEC;

	pthread_mutex_lock(&w->lock);
	while (!w->stale && !atomic_load(&w->failed) && take_events(w))
		;
	if (w->stale)
		start_over(w);
	while (w->move_count && (!more || w->moves[0].since_ns <= old))
		moved_away(w);
	pthread_mutex_unlock(&w->lock);
}

static bool has_moves(struct tree_watch *w)
{
	bool has;

	pthread_mutex_lock(&w->lock);
	has = w->move_count;
	pthread_mutex_unlock(&w->lock);
	return has;
}

static void *run(void *arg)
{
	struct tree_watch *w = arg;
	struct pollfd fds[2] = { { .events = POLLIN }, { .fd = w->stop_fd, .events = POLLIN } };
	int64_t next = now_ns();
	uint64_t kicks;

	while (!atomic_load(&w->failed) && !atomic_load(&w->stop)) {
		/* Only this thread replaces it. */
		fds[0].fd = w->fd;
		fds[0].revents = fds[1].revents = 0;
		poll(fds, ARRAY_SIZE(fds), has_moves(w) ? MOVE_WAIT_MS : TOP_CHECK_MS);
		if (fds[1].revents && read(w->stop_fd, &kicks, sizeof(kicks)) < 0)
			break;
		take_all(w, fds[0].revents);
		if (now_ns() < next)
			continue;
		check_top(w);
		next = now_ns() + TOP_CHECK_MS * NSEC_PER_MSEC;
	}
	take_all(w, false);
	return NULL;
}

int tree_watch_start(struct tree_watch *w, int top, struct status *st)
{
	sigset_t all, old;
	int ret;

	w->top = top;
	pthread_mutex_init(&w->lock, NULL);
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	w->buckets = calloc(NODE_BUCKETS, sizeof(*w->buckets));
	w->moves = calloc(MOVES_MAX, sizeof(*w->moves));
	if (w->stop_fd < 0 || !w->buckets || !w->moves)
		return status_set(st, STATUS_FAIL, "out of memory");
	ret = watch_all(w, st);
	if (ret)
		return ret;
	/* Signals are for who sends. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	w->running = !pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return w->running ? 0 : status_set(st, STATUS_FAIL, "cannot make a thread");
}

void tree_watch_stop(struct tree_watch *w)
{
	if (!w->running)
		return;
	atomic_store(&w->stop, true);
	kick(w);
	pthread_join(w->thread, NULL);
	w->running = false;
}

void tree_watch_free(struct tree_watch *w)
{
	tree_watch_stop(w);
	if (w->buckets)
		drop_all(w);
	if (w->stop_fd >= 0)
		close(w->stop_fd);
	free(w->buckets);
	free(w->moves);
	w->buckets = NULL;
	w->moves = NULL;
	w->stop_fd = -1;
}

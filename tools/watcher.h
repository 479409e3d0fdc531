/* SPDX-License-Identifier: GPL-2.0 */
/* Whoever wants to know how a stream goes: a person's terminal, a log, a program. */
#ifndef IVRING_WATCHER_H
#define IVRING_WATCHER_H

#include "entry.h"
#include "sync.h"

struct watcher {
	/* An entry was sent, or was received and is in its place. @path is beneath the top. */
	void (*done)(struct watcher *w, const struct entry *e, const char *path);
	/* One of them failed, here or over there; @why names it. The stream goes on. */
	void (*failed)(struct watcher *w, const struct status *why, uint64_t number);
	/* So many bytes of content are through. Called often. */
	void (*moved)(struct watcher *w, const char *path, uint64_t bytes);
	/* A block of so many bytes was damaged on its way, and comes again. */
	void (*resent)(struct watcher *w, uint64_t bytes);
	/* So many bytes of a file were there already, and right. */
	void (*kept)(struct watcher *w, uint64_t bytes);
	/* A sync found that something differs, and changes it or has it sent. */
	void (*item)(struct watcher *w, enum sync_item item, const char *path);
};

static inline void watcher_done(struct watcher *w, const struct entry *e, const char *path)
{
	if (w && w->done)
		w->done(w, e, path);
}

static inline void watcher_failed(struct watcher *w, const struct status *why, uint64_t number)
{
	if (w && w->failed)
		w->failed(w, why, number);
}

static inline void watcher_moved(struct watcher *w, const char *path, uint64_t bytes)
{
	if (w && w->moved)
		w->moved(w, path, bytes);
}

static inline void watcher_resent(struct watcher *w, uint64_t bytes)
{
	if (w && w->resent)
		w->resent(w, bytes);
}

static inline void watcher_kept(struct watcher *w, uint64_t bytes)
{
	if (w && w->kept)
		w->kept(w, bytes);
}

static inline void watcher_item(struct watcher *w, enum sync_item item, const char *path)
{
	if (w && w->item)
		w->item(w, item, path);
}

#endif /* IVRING_WATCHER_H */

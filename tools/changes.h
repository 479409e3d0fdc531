/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Paths of a tree that have changed, and are to be sent: each once, in the order of their
 * last change, and renames among them, each as it happened. One thread adds, another one takes.
 */
#ifndef IVRING_CHANGES_H
#define IVRING_CHANGES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "send.h"

/* A file that was made, and is to be closed. */
#define CHANGE_F_MADE	SEND_F_NEXT
/*
 * Not a path that has changed, but: what was called @from, and is over there as it was here,
 * got that name. A change of the path follows, and one of what it was called.
 */
#define CHANGE_F_RENAME	(SEND_F_NEXT << 1)

/* More than that are not kept: then all is compared. */
#define CHANGES_MAX	100000

struct change {
	struct change *next;
	struct change *prev;
	struct change *chain;
	int64_t closed_ns;		/* when it was known that a file is complete; or zero */
	int64_t due_ns;			/* not to be taken before */
	unsigned int skips;		/* how often its turn came too early */
	uint32_t flags;			/* SEND_F_*, CHANGE_F_MADE */
	char *from;			/* what it was called before its renames, or NULL */
	/* For whoever took it. */
	uint64_t first;			/* number of its first entry */
	uint64_t last;			/* and behind its last one, but for */
	uint64_t content;		/* its content that came later: that number plus one */
	int kind;
	int code;			/* why it failed; or zero */
	bool renamed;
	bool raced;			/* it has changed or vanished meanwhile */
	char path[];
};

struct changes_list {
	struct change *first;
	struct change *last;
};

struct changes {
	pthread_mutex_t lock;
	struct changes_list ready;
	struct changes_list later;	/* all by the same time: in the order of due_ns */
	struct change **buckets;
	size_t count;
	const struct change *held;	/* that was taken last, and may not be sent yet */
	bool renames;			/* may be told as such */
	bool lost;			/* not all that changed is known */
	int wake_fd;			/* readable once there is something to do */
};

/* False without memory, or descriptors. */
bool changes_init(struct changes *c);
void changes_free(struct changes *c);
void changes_wake(const struct changes *c);

/* @closed_ns may be zero. */
void changes_add(struct changes *c, const char *path, uint32_t flags, int64_t closed_ns);
/* @from is called @to now, and all in it. */
void changes_rename(struct changes *c, const char *from, const char *to, bool is_dir,
		    int64_t now);
/* Some cannot be known: those that are known do not matter. */
void changes_lose(struct changes *c);
/* Whether some were lost since the last time. */
bool changes_take_lost(struct changes *c);

/* All was compared: a rename from before that must not happen again over there. */
void changes_forget_renames(struct changes *c);

/* The first one that is due, or NULL: now the caller's. */
struct change *changes_take(struct changes *c, int64_t now);
/* It was sent: what happens to it now happens afterwards. */
void changes_sent(struct changes *c);
/* Nanoseconds until one is due: zero when one is, negative when there is none. */
int64_t changes_wait(struct changes *c, int64_t now);
/* Whether that path has changed again. */
bool changes_has(struct changes *c, const char *path);
/* Those were not sent; newer ones of the same path win. Takes them over. */
void changes_put_back(struct changes *c, struct change *change);
/* The same of one that is not to be taken before @due_ns. */
void changes_put_off(struct changes *c, struct change *change, int64_t due_ns);
void change_free(struct change *change);
size_t changes_count(struct changes *c);

#endif /* IVRING_CHANGES_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* The sending end of a stream: walks trees, and reads each file straight into the ring. */
#ifndef IVRING_SEND_H
#define IVRING_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "entry.h"
#include "links.h"
#include "path.h"
#include "proto.h"
#include "sync.h"
#include "watcher.h"

#define SEND_CHUNK_DEFAULT	(512U << 10)
#define SEND_CHUNK_MIN		4096U
#define SEND_CHUNK_MAX		(64U << 20)
/* The value of --chunk. */
bool send_parse_chunk(const char *text, uint32_t *chunk);

struct send_options {
	uint32_t chunk;			/* bytes of a frame, at most */
	uint32_t keep;			/* KEEP_* */
	unsigned int hash;		/* a kind, or HASH_FASTEST */
	uint64_t rate;			/* bytes a second; zero: no limit */
	uint32_t flags;			/* REQUEST_F_DRY_RUN, _RESUME, _DIRECT, _DROP_CACHE */
};

/* What a walk is going to send. */
struct send_totals {
	uint64_t entries;
	uint64_t bytes;
	uint64_t data_bytes;
	bool tree;			/* a directory is among it */
};

/* Another name of a file that was sent or asked about. */
struct send_later {
	struct send_later *next;
	dev_t dev;
	ino_t ino;
	char path[];			/* as the receiver has it */
};

/* Something that was named, for what has to be sent again. */
struct send_source {
	const struct path_root *root;
	const char *path;
	uint64_t first;			/* the number of its first entry */
};

struct sender {
	struct conv *c;
	const struct send_options *o;
	struct watcher *watcher;
	struct hash hash;
	struct hash spare;		/* for copies of it */
	struct hash kept;		/* it, up to what the receiver has */
	uint32_t chunk;			/* bytes of a frame, with regard to the rate */
	int64_t due_ns;			/* when what was sent may have been, at that rate */
	uint8_t *block;			/* SEND_BLOCK bytes, once there is use for them */
	struct send_source *sources;
	size_t source_count;
	struct links links;		/* files that have several names */
	struct entry e;			/* the one that is being sent */
	uint64_t number;		/* of entries that were sent */
	uint64_t confirmed;		/* by DONE */
	uint64_t resent;		/* blocks that had been damaged */
	uint64_t failures;		/* here and there */
	int first_code;			/* of them; zero: none */
	char path[PATH_MAX];		/* beneath the top, for people and for links */
	size_t path_len;
	const struct sync *sync;	/* NULL: all is sent */
	struct send_sync *asked;	/* what the receiver has not answered yet */
	struct send_list *list;
	struct send_later *first_later;	/* other names of files, that are asked about at the end */
	struct send_later *last_later;
	bool ask_hashed;		/* questions go with the content's hash */
	const struct stat *expected;	/* of content: what was seen of it; else it has changed */
	uint64_t same;			/* what needed nothing, as DONE has it */
	uint64_t deleted;
};

/* @s may be all zeros; what it needs is allocated at its first use. */
void send_init(struct sender *s, struct conv *c, const struct send_options *o,
	       struct watcher *watcher);
void send_free(struct sender *s);

/*
 * Something that a user named, as send_path() takes it: how much it is. A fault
 * in a tree is not one of the count: it is told when its turn comes.
 */
int send_measure(const struct path_root *root, const char *path, struct send_totals *totals,
		 struct status *st);
/* Only whether it is a directory. */
int send_is_tree(const struct path_root *root, const char *path, bool *tree, struct status *st);
/*
 * Sends what @path names: a directory with all that is in it. When that ends in
 * a slash, the destination itself takes its place. What cannot be read
 * is told to the watcher and to the receiver, and is no failure of this.
 * A symbolic link that was named itself is followed, if @root allows it. @root and
 * @path stay until send_free().
 */
int send_path(struct sender *s, const struct path_root *root, const char *path,
	      struct status *st);
/* Sends what can be read from @fd, until it ends, as file @name. */
int send_fd(struct sender *s, int fd, const char *name, struct status *st);
/* From now on the receiver is asked before content is sent: once, for one send_path(). */
int send_set_sync(struct sender *s, const struct sync *sync, struct status *st);

/*
 * Changes instead of a walk, after send_set_sync() with SYNC_F_LISTED: send_list_open()
 * in place of send_path(), which @path must name a directory for, then any number of
 * rounds, then send_finish().
 */
struct send_change {
	const char *path;		/* beneath what was named */
	const struct stat *stat;	/* what it must still be to be sent, or NULL */
	uint32_t flags;			/* SEND_F_* */
};

#define SEND_F_CONTENT	(1U << 0)	/* was written: what is there is not the same, as a rule */
#define SEND_F_REMOVED	(1U << 1)	/* there was another thing of that name */
#define SEND_F_WAS_DIR	(1U << 2)	/* which was a directory: that must go first */
#define SEND_F_ALONE	(1U << 3)	/* its place in the order is of no interest */
#define SEND_F_NEXT	(1U << 4)	/* of the caller's own */

/* What a change turned out to be. */
enum send_kind {
	SEND_NOTHING,			/* it is of no kind that is sent */
	SEND_GONE,
	SEND_FILE,
	SEND_FILE_LINKED,		/* one that has other names, too */
	SEND_OTHER,
};

int send_list_open(struct sender *s, const struct path_root *root, const char *path,
		   struct status *st);
int send_list_begin(struct sender *s, struct status *st);
int send_list_change(struct sender *s, const struct send_change *change, enum send_kind *kind,
		     struct status *st);
/*
 * What is called @from over there is called @to afterwards, or nothing is. @flags: SEND_F_WAS_DIR
 * when what had that name was a directory. @to, and @from, are changes that are to follow.
 */
int send_list_rename(struct sender *s, const char *from, const char *to, uint32_t flags,
		     struct status *st);
/* Waits until all of the round is in its place; *@damaged: but for what FINISH brings. */
int send_list_end(struct sender *s, bool *damaged, struct status *st);

/* FINISH, and waits for DONE. */
int send_finish(struct sender *s, struct status *st);

#endif /* IVRING_SEND_H */

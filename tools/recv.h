/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The receiving end of a stream: makes trees, one name at a time beneath an open
 * directory, so that no name that a peer chooses leads anywhere else.
 *
 * The process's umask must be 0: modes are what this code says.
 */
#ifndef IVRING_RECV_H
#define IVRING_RECV_H

#include <stdbool.h>
#include <stdint.h>

#include "entry.h"
#include "path.h"
#include "proto.h"
#include "tempfile.h"
#include "watcher.h"

struct recv_options {
	mode_t umask;			/* takes bits of the sender's modes away */
	uint32_t allowed;		/* KEEP_* that a request may ask for */
};

/* A directory that is being filled, and what it will get when that is over. */
struct recv_level {
	struct tempfile_dir dir;	/* fd -1: it could not be made */
	bool fresh;
	size_t path_len;		/* of the path to go back to */
	struct entry *attrs;		/* without room for more than it has */
};

struct receiver {
	struct conv *c;
	const struct recv_options *o;
	const struct path_root *root;
	struct watcher *watcher;
	uint32_t keep;
	uint32_t flags;			/* REQUEST_F_* */
	int sink;			/* files go here instead of to a directory; or -1 */
	bool into_dir;
	struct tempfile_dir top;
	char rename[NAME_MAX + 1];	/* the one file's name, when not into a directory */
	struct recv_level *levels;
	size_t depth;
	size_t size;
	struct entry e;			/* the one that is being received */
	struct hash hash;
	struct tempfile temp;
	int replaced;
	uint64_t pos;
	bool hole_last;			/* the file's size is to be set */
	char path[PATH_MAX];		/* beneath the top, for people */
	size_t path_len;
	uint64_t seen;
	uint64_t failed;
	uint64_t skipped;		/* over there */
	int first_code;			/* of what failed here; zero: none */
	int skip_code;			/* the same of what was skipped */
};

/* @r may be all zeros, or have been used. */
void recv_init(struct receiver *r, struct conv *c, const struct path_root *root,
	       const struct recv_options *o, struct watcher *watcher);
/* Where a stream goes: @request->path, by the rules of cp(1); is there room for it? */
int recv_begin(struct receiver *r, const struct request *request, struct status *st);
/* To a file descriptor, without any names. */
void recv_begin_sink(struct receiver *r, int fd);
/*
 * Takes all of a stream, up to FINISH, and says DONE. What could not be received
 * was told to the watcher and is no failure of this.
 */
int recv_stream(struct receiver *r, struct status *st);
/* After begin, in any case. */
void recv_end(struct receiver *r);
void recv_free(struct receiver *r);

#endif /* IVRING_RECV_H */

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
#include "sync.h"
#include "tempfile.h"
#include "watcher.h"

struct recv_options {
	mode_t umask;			/* takes bits of the sender's modes away */
	uint32_t allowed;		/* KEEP_* that a request may ask for */
	uint64_t max_bytes;		/* of content, without holes; zero: no limit */
	uint64_t max_files;		/* and everything else that has a name; the same */
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
	const char *asked;		/* the only name that may come at the top; NULL: any */
	bool asked_pattern;		/* or those that it stands for */
	struct tempfile_dir top;
	char rename[NAME_MAX + 1];	/* the one file's name, when not into a directory */
	struct recv_level *levels;
	size_t depth;
	size_t size;
	size_t held;			/* bytes of all levels' attributes */
	struct entry e;			/* the one that is being received */
	struct hash hash;
	struct hash before;		/* it, before the last block */
	struct hash spare;		/* for copies of it */
	struct hash again;		/* of a frame that came again, by itself */
	struct repair *damaged;		/* the file that is being received, if it is */
	struct repair *repairs;		/* complete files that are */
	struct repair *repairing;	/* the one in hand after all came */
	unsigned int repair_count;
	struct tempfile temp;
	int replaced;
	uint64_t pos;
	uint64_t min_free;		/* bytes that must stay free */
	uint64_t unchecked;		/* bytes since the free space was looked at */
	bool blind;			/* nothing of what is there is to be told, nor its hash */
	int old;			/* what is there of the file: r->temp's, or r->basis */
	int basis;			/* what is to be replaced; or -1 */
	bool offered;			/* the sender is to say where content goes on */
	bool complete;			/* the one to be replaced is all right */
	uint64_t have;			/* bytes that r->hash has */
	uint64_t before_pos;		/* bytes that r->before has */
	bool direct;			/* the file is written around the page cache */
	uint8_t *bounce;		/* what is to be written so comes here first */
	uint64_t bounced;		/* bytes in there, that r->pos has counted */
	uint64_t dropped;		/* bytes that are out of the page cache again */
	uint64_t dropping;		/* and those on their way out */
	bool hole_last;			/* the file's size is to be set */
	char path[PATH_MAX];		/* beneath the top, for people */
	size_t path_len;
	uint64_t stored;		/* bytes of content */
	uint64_t seen;
	uint64_t failed;
	uint64_t skipped;		/* over there */
	int first_code;			/* of what failed here; zero: none */
	int skip_code;			/* the same of what was skipped */
	bool incomplete;		/* something of the source is not known here */
	const struct sync *sync;	/* NULL: all comes */
	struct recv_sync *asks;		/* the sender's, about what is there */
};

/* @r may be all zeros, or have been used. */
void recv_init(struct receiver *r, struct conv *c, const struct path_root *root,
	       const struct recv_options *o, struct watcher *watcher);
/* From now on the sender asks, before recv_begin() of a request with REQUEST_F_SYNC. */
int recv_set_sync(struct receiver *r, const struct sync *sync, struct status *st);
/* What needed nothing, and what was deleted. */
uint64_t recv_same(const struct receiver *r);
uint64_t recv_deleted(const struct receiver *r);
/* Where a stream goes: @request->path, by the rules of cp(1); is there room for it? */
int recv_begin(struct receiver *r, const struct request *request, struct status *st);
/* STATUS_QUOTA when so much is more than @o allows. */
int recv_check_quota(const struct recv_options *o, uint64_t files, uint64_t bytes,
		     struct status *st);
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

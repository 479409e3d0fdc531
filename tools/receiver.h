/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the receiving end share: recv.c, recv-*.c. */
#ifndef IVRING_RECEIVER_H
#define IVRING_RECEIVER_H

#include <sys/stat.h>

#include "recv.h"

/* Whether @fd's file system takes @needed bytes more. */
int recv_check_space(const struct receiver *r, int fd, uint64_t needed, struct status *st);
/* Where what comes now goes; fd -1: it could not be made. */
struct tempfile_dir *recv_dir_now(struct receiver *r);
/* Adds the entry's name to the path. False: that gets too long. */
bool recv_path_enter(struct receiver *r);
/* Whether that is a name for the top. */
bool recv_is_asked(const struct receiver *r, const char *name);
/* Lets what was replaced go. */
void recv_drop_replaced(struct receiver *r);
void recv_pop_level(struct receiver *r);

/* One that ends the stream rather than the file only. */
bool recv_is_fatal(const struct receiver *r, int code);
/* "path: why" */
void recv_name_status(const struct receiver *r, const struct status *why, struct status *named);
/* What failed is told to everybody, to the sender only while that costs no wait. */
int recv_failed(struct receiver *r, struct status *why, struct status *st);
int recv_skip(struct receiver *r, const struct frame *f, struct status *st);
/* Make a status of an errno: of a write, of what gives a file its name. */
int recv_write_failed(struct receiver *r, int err, struct status *st);
int recv_name_failed(struct receiver *r, int err, struct status *st);
/* @file is one in that directory, or -1. */
int recv_sync_directory(int dirfd, int file, struct status *st);

/*
 * Adds what is between @from and @to in @fd to r->hash; behind its end are zeros. A peer
 * may have made that long: not longer than it waits for the answer.
 */
int recv_hash_file(struct receiver *r, int fd, uint64_t from, uint64_t to, struct status *st);
/* Tells the sender what there is of the file, if it is @open; up to resume_end(). */
int resume_offer(struct receiver *r, bool open, struct status *st);
/* The sender has the same up to @offset. */
int resume_from(struct receiver *r, uint64_t offset, struct status *st);
void resume_end(struct receiver *r);
/* For the file that was opened just now; before a hole; at its end. */
void recv_io_begin(struct receiver *r);
int recv_io_flush(struct receiver *r, struct status *st);
int recv_io_end(struct receiver *r, struct status *st);
int recv_zeros(struct receiver *r, uint64_t len, struct status *st);
/* Writes @left bytes of the last frame's payload at r->pos, and hashes them into r->hash. */
int recv_data(struct receiver *r, uint64_t left, struct status *st);
/* The file is complete, or *@why says what is wrong with it. */
int recv_end_file(struct receiver *r, struct status *why, struct status *st);
/* The same of anything: it is in its place, or nothing of it is left. */
int recv_tell(struct receiver *r, struct status *why, struct status *st);
int recv_digest_differs(struct status *st);

/* The entry is taken; what is wrong with it is told, if that is not the stream's end. */
int recv_file(struct receiver *r, struct status *st);
int recv_dir(struct receiver *r, size_t path_len, struct status *st);
int recv_leave(struct receiver *r, struct status *st);
/* These leave it to the caller to tell. */
int recv_link(struct receiver *r, struct status *why);
int recv_node(struct receiver *r, struct status *why);

/*
 * What is in the way of the entry: recv-way.c. A directory is, for anything else: whether it
 * may go, and it goes with all that is in it, if anything. For a directory, anything else is:
 * a directory's fd, made or found, or -1 with @why.
 */
int recv_way_check(struct receiver *r, int dirfd, struct status *why);
int recv_way_clear(struct receiver *r, int dirfd, struct status *why);
int recv_way_dir(struct receiver *r, int dirfd, bool *fresh, struct status *why);

/* One may have to be allowed to write to a directory, whose time is to stay. */
void recv_dir_open(int fd, struct stat *stat);
void recv_dir_restore(int fd, const struct stat *stat);
/* Writes what is in memory of our own at r->pos, and hashes it into r->hash. */
int recv_write(struct receiver *r, const uint8_t *buf, uint64_t len, struct status *st);

/* What a sync's receiver is about to do with its own names. */
struct recv_sync {
	uint64_t asked;			/* questions */
	uint64_t told;			/* of these, as MORE had it */
	uint64_t window;
	uint64_t changes;		/* what the quota counts */
	uint64_t same;
	uint64_t deleted;
	bool missing;			/* a dry run's destination */
	bool has_tree;
	char tree[NAME_MAX + 1];	/* at the top, or "." */
	/* Where content goes that comes by itself. */
	bool aside;			/* now */
	bool has_path;
	bool keeps_time;
	char path[PATH_MAX];
	struct tempfile_dir dir;
	struct stat stat;
	struct hash sum;		/* of what is there */
	/* A delta. */
	struct delta *patch;
	bool patching;			/* some of it has come */
	bool patched;			/* all has */
	bool patch_failed;
	uint64_t literal;		/* bytes of it */
	struct deleter *deleter;	/* for what a list says has gone */
};

void sync_free_asks(struct receiver *r);
/* Tells the sender that it may ask. */
int sync_open(struct receiver *r, struct status *st);
/* The name of an entry is judged; its path is r->path, without it @path_len long. */
int sync_question(struct receiver *r, size_t path_len, struct status *st);
/* A file that was asked for. */
int sync_content(struct receiver *r, struct status *st);
int sync_path(struct receiver *r, const struct frame *f, struct status *st);
/* The sender wants all answers. */
int sync_more_asked(struct receiver *r, const struct frame *f, struct status *st);
/* The same unasked: it may go on. */
int sync_more(struct receiver *r, struct status *st);
/* Tells the sender, which may be waiting, that this takes long; if that costs no wait. */
int sync_alive(struct receiver *r, struct status *st);
/* The directory of r->path got its time, which stays. */
void sync_left(struct receiver *r);
/* Lets the directory go where content went. */
void sync_leave(struct receiver *r);
/* Keeps what is about to be replaced, if that is wished. */
int sync_backup(struct receiver *r, struct status *st);
int sync_backup_at(struct receiver *r, int dirfd, const char *name, struct status *st);
/* Whether content that comes now goes into a tree, whose times stay. */
bool sync_in_tree(const struct receiver *r);
/* All came: what the sender has not is deleted. */
int sync_delete(struct receiver *r, struct status *st);
/* The same of one path, whatever was asked. */
int sync_remove(struct receiver *r, const char *path, struct status *st);
/*
 * What is in the directory @name, which r->path is the path of: may all of it go? All of it
 * goes, if it may. The sender hears of that by sync_tell_cleared(), when it listens.
 */
int sync_check_clear(struct receiver *r, int dirfd, const char *name, struct status *why);
int sync_clear(struct receiver *r, int dirfd, const char *name, struct status *why);
int sync_tell_cleared(struct receiver *r, struct status *st);
void sync_free_deleter(struct receiver *r);

/* Of a list: what is not there any more, or has another name. */
int sync_gone(struct receiver *r, const struct frame *f, struct status *st);
int sync_rename(struct receiver *r, const struct frame *f, struct status *st);

/* Tells the sender what is there of a file, if it is @open. */
int delta_offer(struct receiver *r, bool open, struct status *st);
int delta_take(struct receiver *r, const struct frame *f, struct status *st);
/* At END: true when what came is no file, but could be asked for again. */
bool delta_park(struct receiver *r, const struct frame *f, struct status *why);
void delta_end(struct receiver *r);

#endif /* IVRING_RECEIVER_H */

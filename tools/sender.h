/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the sending end share: send.c, send-file.c, send-walk.c, send-measure.c. */
#ifndef IVRING_SENDER_H
#define IVRING_SENDER_H

#include "send.h"

/* What @why tells of does not come. The stream goes on. */
int send_skip(struct sender *s, struct status *why, struct status *st);
/* Of an entry that is complete: a file's digest is in it. */
void send_done(struct sender *s);
/*
 * What is hashed must not be in shared memory: damage before the hash would have the
 * right one. So it is read into this, hashed, and copied, by the usual frame: less at a
 * time is no faster, and costs more system calls. NULL when there is no memory.
 */
#define SEND_BLOCK	SEND_CHUNK_DEFAULT
uint8_t *send_block(struct sender *s);
/* The next frame of the receiver's that is not about what failed: that is told. */
int send_hear(struct sender *s, struct frame *f, struct status *st);
/* Waits until @bytes more may have been sent. */
int send_pace(struct sender *s, uint64_t bytes, struct status *st);
/* END, with the digest of all that was hashed. */
int send_end(struct sender *s, uint64_t size, struct status *st);

/* Adds a name to the path. False when that gets too long. */
bool send_enter(struct sender *s, const char *name);
/* Takes what is behind @len off again. */
void send_leave(struct sender *s, size_t len);
/* The name that a path's thing gets: "." for a directory's content. */
int send_name_of(const struct path_root *root, const char *path, bool is_dir,
		 char name[NAME_MAX + 1], struct status *st);
bool send_is_dot(const char *name);
/* What blocks of it are asked for again by, if they were damaged. */
bool send_add_source(struct sender *s, const struct path_root *root, const char *path);
/*
 * Opens what is or was of that type; anything else that has taken its place since
 * does no harm. -1: it is to be looked at only.
 */
int send_open_child(int dirfd, const char *name, unsigned char type);

/* DATA for the bytes from @from to @to of a file that was sent already, or SKIP. */
int send_range(struct sender *s, int fd, uint64_t from, uint64_t to, struct status *st);
/* @s->path and the entry's name are set. */
int send_regular(struct sender *s, int fd, struct stat *stat, struct status *st);
int send_special(struct sender *s, const struct stat *stat, struct status *st);
int send_symlink(struct sender *s, int dirfd, const char *name, const struct stat *stat,
		 struct status *st);
/* The same of what the receiver has asked for: it is not a link, and comes with all content. */
int send_wanted(struct sender *s, int fd, struct stat *stat, bool delta, struct status *st);
/* @fd is taken over; the path has the tree's name. */
int send_tree(struct sender *s, int fd, const struct stat *stat, struct status *st);

/*
 * A file's delta against what the receiver has, behind its ENTRY; *@none: it has nothing
 * that is of use. *@source_failed: a failure is the file's.
 */
int send_delta(struct sender *s, int fd, uint64_t size, bool *none, bool *source_failed,
	       struct status *st);

/* An entry that is complete, which in a sync is a question. */
int send_entry(struct sender *s, struct status *st);
/* In a sync: what an entry is asked about with; @fd may be -1, unless that needs it. */
bool sync_needs_fd(const struct sender *s);
int sync_ask_file(struct sender *s, int fd, const struct stat *stat, struct status *st);
/* The entry as a question. */
int sync_ask(struct sender *s, struct status *st);
/* Where the walk begins, before each of its steps, and before a thing that depends on all. */
int sync_start(struct sender *s, const struct path_root *root, const char *path, int fd,
	       struct status *st);
int sync_ready(struct sender *s, struct status *st);
int sync_drain(struct sender *s, struct status *st);
/* A frame that is about questions or deletions. False: it is not. */
bool sync_is_answer(const struct sender *s, const struct frame *f);
int sync_take_answer(struct sender *s, const struct frame *f, struct status *st);
void sync_end(struct sender *s);
/* Of a list: what was named, as a descriptor; its name, which paths begin with, or not. */
int sync_top(const struct sender *s);
/* Content of the file that s->path names, which nobody has asked for. */
int sync_send_now(struct sender *s, struct status *st);
/* Whether files were asked about, and content may have to come. */
bool sync_has_questions(const struct sender *s);
/* Directories are not what they were. */
void sync_forget_dir(struct sender *s);
/* Waits until the receiver has done all; *@damaged: files that come again. */
int sync_round(struct sender *s, bool *damaged, struct status *st);
void list_end(struct sender *s);
/*
 * Of a sync: a name that is to be asked about once all content is there; asks about these,
 * in the tree that is called @name.
 */
bool send_later(struct sender *s, const struct stat *stat);
int send_links(struct sender *s, const char *name, struct status *st);
/* An entry with its name and path: it is a link of what was sent as @target. */
int send_link(struct sender *s, const struct stat *stat, const struct links_file *target,
	      struct status *st);

#endif /* IVRING_SENDER_H */

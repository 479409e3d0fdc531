/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file that is being received. Where the file system can, it has no name at
 * all until all of it is there and right, so that nothing is left of it if this
 * process or the machine dies. Elsewhere it has a temporary name beside its
 * final one, and a lock on it tells that somebody still works on it; a later
 * transfer into the directory removes what nobody holds locked.
 */
#ifndef IVRING_TEMPFILE_H
#define IVRING_TEMPFILE_H

#include <stdbool.h>
#include <sys/types.h>

#define TEMPFILE_NAME_SIZE	15	/* ".ivring-XXXXXX" and the NUL */
#define TEMPFILE_PART_SIZE	30	/* the same of ".ivring-part-" and 16 digits */

/* A directory that files are to appear in, and what its file system can. */
struct tempfile_dir {
	int fd;				/* borrowed, must stay open */
	bool named_only;		/* knows no files without a name */
	bool late_errors;		/* a close may tell of a write that failed */
};

struct tempfile {
	int fd;
	int dirfd;			/* borrowed, must stay open */
	bool late_errors;
	bool partial;			/* stays when the transfer is cut short */
	char name[TEMPFILE_PART_SIZE];	/* empty while it has none */
};

/* Looks at the directory, and removes old litter. */
void tempfile_dir_init(struct tempfile_dir *dir, int fd);
/* For one that was made just now in @parent. */
void tempfile_dir_inherit(struct tempfile_dir *dir, const struct tempfile_dir *parent, int fd);

/*
 * One at a time in a process. Returns 0 or -errno. A file without a name has
 * @mode at once, and @t->name is empty then; any other is to get it at the end.
 */
int tempfile_create(struct tempfile *t, struct tempfile_dir *dir, mode_t mode);
/* The same, for file systems without O_TMPFILE. */
int tempfile_create_named(struct tempfile *t, int dirfd);
/*
 * What an earlier transfer left of the file that will be called @final_name, or an empty
 * file; it has a name that depends on that one only. -EBUSY: another transfer has it.
 */
int tempfile_open_partial(struct tempfile *t, const struct tempfile_dir *dir,
			  const char *final_name);
/*
 * Closes the file in any case but -EISDIR; on failure it is removed as well. What had the
 * name before is replaced, if it is a regular file or a link: else -EISDIR, after which one
 * may make way and try again, or -EEXIST.
 * It stays open as *@replaced, so that the caller decides when the file system
 * takes its space back, which may take long. Where there was nothing, that is -1.
 */
int tempfile_rename(struct tempfile *t, const char *final_name, int *replaced);
/* Some unused name for something else than a file. */
int tempfile_make_name(char name[TEMPFILE_NAME_SIZE]);
void tempfile_discard(struct tempfile *t);
/* Of one that is partial, what there is stays; any other is discarded. */
void tempfile_keep(struct tempfile *t);
/* For signal handlers that end the process: remove the file, if it has a name. */
void tempfile_emergency(void);

/* Removes the temporary files of processes that died. */
void tempfile_collect(int dirfd);
/* A name that a temporary file may have: no other file should. */
bool tempfile_is_name(const char *name);

#endif /* IVRING_TEMPFILE_H */

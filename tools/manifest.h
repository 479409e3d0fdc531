/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A manifest: what was in the files of a transfer, to be checked at any later time.
 *
 * The first line is MANIFEST_FIRST_LINE. Each other one is of a file:
 *
 *	KIND:HASH SIZE PATH
 *
 * KIND and HASH are what push and pull print, SIZE is in bytes, PATH beneath the
 * destination. As sha256sum(1) does it, a line whose PATH has a newline, carriage
 * return or backslash in it begins with a backslash, and these are \n, \r and \\.
 */
#ifndef IVRING_MANIFEST_H
#define IVRING_MANIFEST_H

#include <stdio.h>

#include "entry.h"

#define MANIFEST_FIRST_LINE	"# ivring manifest 1"

/* One that is being written, all zeros at first. */
struct manifest {
	FILE *file;
	const char *path;
	char *temp;
	long mark;
	int err;			/* the first failure of a write */
};

/* @path is kept. Nothing has that name before the end. */
int manifest_create(struct manifest *m, const char *path, mode_t umask, struct status *st);
/* Only files that have content are in it. */
void manifest_add(struct manifest *m, const struct entry *e, const char *path);
/* What is added from here on may be taken back, when it comes again. */
void manifest_mark(struct manifest *m);
void manifest_rewind(struct manifest *m);
/* @good: give it its name; else nothing is left. Does nothing when none was created. */
int manifest_end(struct manifest *m, bool good, struct status *st);

/* A line that was read. */
struct manifest_line {
	enum hash_kind kind;
	uint8_t digest[HASH_DIGEST_SIZE];
	uint64_t size;
	char path[PATH_MAX];
};

/* Takes the line, without its newline, apart; changes it. False when it is none. */
bool manifest_parse(char *text, struct manifest_line *line);

#endif /* IVRING_MANIFEST_H */

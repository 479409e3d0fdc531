/* SPDX-License-Identifier: GPL-2.0 */
/* What push and pull tell: a moving line, lines on files, a summary; or JSON. */
#ifndef IVRING_REPORT_H
#define IVRING_REPORT_H

#include <stdbool.h>

#include "manifest.h"
#include "tally.h"
#include "watcher.h"

struct report_options {
	bool quiet;
	bool progress;
	bool verbose;
	bool json;
};

struct report_line;

struct report {
	struct watcher watcher;		/* first: what a stream calls */
	const struct report_options *o;
	const char *command;
	struct manifest manifest;	/* if one was created: of all that is done */
	bool tree;			/* told by a summary, not file by file */
	bool confirmed;			/* what is done needs no other side's word */
	struct tally tally;
	uint64_t total_entries;
	uint64_t total_bytes;
	const char *name;		/* what the user called it; NULL: as the path is */
	struct report_line *lines;	/* on files that the other side has not confirmed */
	struct report_line **lines_end;
	uint64_t number;
	int64_t file_ns;
	int64_t next_ns;
	bool shown;
};

void report_init(struct report *r, const char *command, const struct report_options *o);
/* A transfer begins. */
void report_start(struct report *r, const char *name, bool tree, uint64_t entries,
		  uint64_t bytes);
/* It failed, and begins anew in so many seconds: all that was done counts no more. */
void report_retry(struct report *r, const struct status *why, double seconds);
/* It ended, by success or with @st, which is told to go with @name. */
void report_end(struct report *r, const char *name, const struct status *st);

/* "file" and the like. */
const char *report_kind(const struct entry *e);
/* A string of JSON: bytes that are no UTF-8 become lone surrogates, U+DC80 to U+DCFF. */
void report_json_string(const char *text);
/* A member of an object, after others. */
void report_json_member(const char *name, const char *text);

#endif /* IVRING_REPORT_H */

// SPDX-License-Identifier: GPL-2.0
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define PROGRESS_INTERVAL_NS	(NSEC_PER_SEC / 10)
#define PROGRESS_JSON_NS	NSEC_PER_SEC
#define PROGRESS_BAR		24
#define PROGRESS_NAME		24

struct report_line {
	struct report_line *next;
	uint64_t number;
	bool failed;
	char text[];
};

/* How many bytes the character at @c takes, if it is a good one; else 0. */
static size_t utf8_len(const unsigned char *c)
{
	size_t len = *c < 0x80 ? 1 : *c >= 0xc2 && *c < 0xe0 ? 2 : *c >= 0xe0 && *c < 0xf0 ? 3 :
		     *c >= 0xf0 && *c < 0xf5 ? 4 : 0;
	size_t i;

	for (i = 1; i < len; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, surrogates, beyond the last one. */
	if ((*c == 0xe0 && c[1] < 0xa0) || (*c == 0xed && c[1] >= 0xa0) ||
	    (*c == 0xf0 && c[1] < 0x90) || (*c == 0xf4 && c[1] >= 0x90))
		return 0;
	return len;
}

void report_json_string(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	size_t len;

	putchar('"');
	for (; *c; c += len ? len : 1) {
		len = utf8_len(c);
		if (!len)
			printf("\\udc%02x", *c);
		else if (*c == '"' || *c == '\\')
			printf("\\%c", *c);
		else if (*c < 0x20 || *c == 0x7f)
			printf("\\u%04x", *c);
		else
			fwrite(c, 1, len, stdout);
	}
	putchar('"');
}

void report_json_member(const char *name, const char *text)
{
	printf(",\"%s\":", name);
	report_json_string(text);
}

static void clear_progress(struct report *r)
{
	if (r->shown)
		fputs("\r\033[K", stderr);
	r->shown = false;
}

const char *report_kind(const struct entry *e)
{
	if (e->flags & ENTRY_F_LINK)
		return "hardlink";
	switch (e->mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	}
	return "device";
}

static void json_entry(const struct entry *e, const char *path)
{
	bool content = S_ISREG(e->mode) && !(e->flags & ENTRY_F_LINK);
	char hex[HASH_TEXT_SIZE];

	fputs("{\"type\":\"entry\",\"path\":", stdout);
	report_json_string(path);
	printf(",\"kind\":\"%s\"", report_kind(e));
	if (content)
		printf(",\"bytes\":%llu", (unsigned long long)e->size);
	if (content && e->hash_kind != HASH_NONE) {
		hash_text(e->hash_kind, e->digest, hex);
		printf(",\"hash\":\"%s\",\"digest\":\"%s\"", hash_name(e->hash_kind), hex);
	}
	puts("}");
}

/* A line on one file, kept until it is sure. */
static void add_line(struct report *r, const char *name, const char *text)
{
	size_t size = strlen(name) + strlen(text) + 4;
	struct report_line *line = malloc(sizeof(*line) + size);

	if (!line)
		return;
	line->next = NULL;
	line->number = r->number;
	line->failed = false;
	snprintf(line->text, size, "%s: %s", name, text);
	*r->lines_end = line;
	r->lines_end = &line->next;
}

static void on_done(struct watcher *w, const struct entry *e, const char *path)
{
	struct report *r = (struct report *)w;
	char text[TALLY_TEXT_SIZE];
	int64_t now;

	tally_add(&r->tally, e);
	manifest_add(&r->manifest, e, path);
	if (r->o->json && !r->o->quiet) {
		json_entry(e, path);
	} else if (r->o->verbose && r->tree && !r->tally.sync) {
		clear_progress(r);
		puts(printable(*path ? path : "."));
	} else if (!r->tree && !r->o->quiet) {
		now = now_ns();
		tally_file_text(e, now - r->file_ns, text);
		r->file_ns = now;
		add_line(r, r->name ? r->name : path, text);
	}
	r->number++;
}

static void tell_failure(const struct report *r, const struct status *why)
{
	if (r->o->json) {
		printf("{\"type\":\"error\",\"code\":%d,\"text\":", why->code);
		report_json_string(why->text);
		puts("}");
	} else {
		complain("%s: %s", r->command, why->text);
	}
}

static void on_failed(struct watcher *w, const struct status *why, uint64_t number)
{
	struct report *r = (struct report *)w;
	struct report_line *line;

	r->tally.failed++;
	clear_progress(r);
	tell_failure(r, why);
	for (line = r->lines; line; line = line->next)
		if (line->number == number)
			line->failed = true;
}

static void on_resent(struct watcher *w, uint64_t bytes)
{
	struct report *r = (struct report *)w;

	r->tally.resent++;
	r->tally.resent_bytes += bytes;
}

static void on_kept(struct watcher *w, uint64_t bytes)
{
	struct report *r = (struct report *)w;

	r->tally.kept += bytes;
}

static void on_item(struct watcher *w, enum sync_item item, const char *path)
{
	struct report *r = (struct report *)w;

	r->tally.changes++;
	if (item == SYNC_DELETED)
		r->tally.deleted++;
	if (r->o->json && !r->o->quiet) {
		printf("{\"type\":\"change\",\"change\":\"%s\",\"path\":", sync_item_name(item));
		report_json_string(path);
		puts("}");
	} else if (r->o->verbose) {
		clear_progress(r);
		printf("%-10s %s\n", sync_item_name(item), printable(*path ? path : "."));
	}
}

static void json_progress(const struct report *r, int64_t now)
{
	printf("{\"type\":\"progress\",\"bytes\":%llu,\"total_bytes\":%llu,\"entries\":%llu,"
	       "\"total_entries\":%llu,\"seconds\":%.3f}\n",
	       (unsigned long long)r->tally.moved, (unsigned long long)r->total_bytes,
	       (unsigned long long)(r->tally.files + r->tally.dirs),
	       (unsigned long long)r->total_entries,
	       (double)(now - r->tally.start_ns) / NSEC_PER_SEC);
	fflush(stdout);
}

static void print_progress(const struct report *r, const char *path, int64_t now)
{
	double seconds = (double)(now - r->tally.start_ns) / NSEC_PER_SEC;
	double part = r->total_bytes ? (double)r->tally.moved / r->total_bytes : 0;
	double rate = seconds > 0 ? r->tally.moved / seconds : 0;
	char bar[PROGRESS_BAR + 1], files[64] = "";
	unsigned long long left;
	int i;

	/* A source that grows is no reason to promise more than all. */
	part = part > 1 ? 1 : part;
	left = part > 0 ? seconds / part - seconds + 0.5 : 0;
	for (i = 0; i < PROGRESS_BAR; i++)
		bar[i] = i < part * PROGRESS_BAR ? '#' : '.';
	bar[PROGRESS_BAR] = '\0';
	if (r->tree)
		snprintf(files, sizeof(files), "  %llu/%llu",
			 (unsigned long long)(r->tally.files + r->tally.dirs),
			 (unsigned long long)r->total_entries);
	if (r->total_bytes)
		fprintf(stderr, "\r%-*.*s [%s] %3d%% %8.1f MB/s  %llu:%02llu left%s\033[K",
			PROGRESS_NAME, PROGRESS_NAME, printable(path), bar, (int)(part * 100),
			rate / 1e6, left / 60, left % 60, files);
	else
		fprintf(stderr, "\r%-*.*s %llu bytes %8.1f MB/s%s\033[K", PROGRESS_NAME,
			PROGRESS_NAME, printable(path), (unsigned long long)r->tally.moved,
			rate / 1e6, files);
	fflush(stderr);
}

static void on_moved(struct watcher *w, const char *path, uint64_t bytes)
{
	struct report *r = (struct report *)w;
	int64_t now;

	r->tally.moved += bytes;
	if (!r->o->progress)
		return;
	now = now_ns();
	if (now < r->next_ns)
		return;
	if (r->o->json) {
		r->next_ns = now + PROGRESS_JSON_NS;
		json_progress(r, now);
		return;
	}
	r->next_ns = now + PROGRESS_INTERVAL_NS;
	r->shown = true;
	print_progress(r, path, now);
}

void report_init(struct report *r, const char *command, const struct report_options *o)
{
	memset(r, 0, sizeof(*r));
	r->watcher = (struct watcher){ on_done, on_failed, on_moved, on_resent, on_kept,
				      on_item };
	r->o = o;
	r->command = command;
	r->lines_end = &r->lines;
}

void report_start(struct report *r, const char *name, bool tree, uint64_t entries,
		  uint64_t bytes)
{
	r->name = name;
	r->tree = tree;
	r->total_entries = entries;
	r->total_bytes = bytes;
	r->number = 0;
	tally_start(&r->tally);
	r->file_ns = r->tally.start_ns;
	r->next_ns = r->tally.start_ns + PROGRESS_INTERVAL_NS;
	manifest_mark(&r->manifest);
}

static void print_lines(struct report *r, bool good)
{
	struct report_line *line;

	while ((line = r->lines)) {
		r->lines = line->next;
		if (good && !line->failed)
			puts(printable(line->text));
		free(line);
	}
	r->lines_end = &r->lines;
}

void report_retry(struct report *r, const struct status *why, double seconds)
{
	unsigned int retries = r->tally.retries + 1;
	struct tally old = r->tally;

	clear_progress(r);
	print_lines(r, false);
	manifest_rewind(&r->manifest);
	if (r->o->json) {
		printf("{\"type\":\"retry\",\"number\":%u,\"seconds\":%.3f,\"code\":%d,\"text\":",
		       retries, seconds, why->code);
		report_json_string(why->text);
		puts("}");
	} else if (!r->o->quiet) {
		complain("%s: %s; trying again in %g s", r->command, why->text, seconds);
	}
	fflush(stdout);
	report_start(r, r->name, r->tree, r->total_entries, r->total_bytes);
	r->tally.retries = retries;
	r->tally.resent = old.resent;
	r->tally.resent_bytes = old.resent_bytes;
	r->tally.start_ns = old.start_ns;
	r->tally.sync = old.sync;
}

static void json_summary(const struct report *r, const char *name, int code)
{
	double seconds = (double)(now_ns() - r->tally.start_ns) / NSEC_PER_SEC;

	fputs("{\"type\":\"summary\",\"name\":", stdout);
	report_json_string(name);
	if (r->tally.sync)
		printf(",\"changes\":%llu,\"deleted\":%llu,\"unchanged\":%llu,\"wire_bytes\":%llu",
		       (unsigned long long)r->tally.changes, (unsigned long long)r->tally.deleted,
		       (unsigned long long)r->tally.same, (unsigned long long)r->tally.wire);
	printf(",\"files\":%llu,\"directories\":%llu,\"bytes\":%llu,\"failed\":%llu,"
	       "\"resent\":%llu,\"resent_bytes\":%llu,\"kept_bytes\":%llu,\"retries\":%u,"
	       "\"seconds\":%.3f,\"code\":%d}\n",
	       (unsigned long long)r->tally.files,
	       (unsigned long long)r->tally.dirs, (unsigned long long)r->tally.bytes,
	       (unsigned long long)r->tally.failed, (unsigned long long)r->tally.resent,
	       (unsigned long long)r->tally.resent_bytes, (unsigned long long)r->tally.kept,
	       r->tally.retries, seconds, code);
}

void report_end(struct report *r, const char *name, const struct status *st)
{
	char text[TALLY_TEXT_SIZE];

	clear_progress(r);
	print_lines(r, !st->text[0]);
	if (st->text[0])
		tell_failure(r, st);
	if (r->o->json) {
		json_summary(r, name, st->code);
	} else if (r->tree && !r->o->quiet && !st->text[0]) {
		tally_text(&r->tally, text);
		printf("%s: %s\n", printable(name), text);
	} else if (r->tally.resent && !r->o->quiet) {
		complain("%s: %llu blocks were damaged in shared memory, and sent again",
			 r->command, (unsigned long long)r->tally.resent);
	}
	fflush(stdout);
}

/* SPDX-License-Identifier: GPL-2.0 */
/* What the commands that make the other side's files like ours have in common. */
#ifndef IVRING_SYNC_PUSH_H
#define IVRING_SYNC_PUSH_H

#include "client.h"
#include "send.h"
#include "sync.h"

enum {
	SYNC_OPT_CHECKSUM = CLIENT_OPT_EXTRA,
	SYNC_OPT_DELETE,
	SYNC_OPT_MAX_DELETE,
	SYNC_OPT_INCLUDE,
	SYNC_OPT_EXCLUDE,
	SYNC_OPT_BACKUP,
	SYNC_OPT_WHOLE,
	SYNC_OPT_NEXT,			/* of the command's own */
};

#define SYNC_LONGOPTS							\
	{ "checksum", no_argument, NULL, SYNC_OPT_CHECKSUM },		\
	{ "delete", no_argument, NULL, SYNC_OPT_DELETE },		\
	{ "max-delete", required_argument, NULL, SYNC_OPT_MAX_DELETE },	\
	{ "include", required_argument, NULL, SYNC_OPT_INCLUDE },	\
	{ "exclude", required_argument, NULL, SYNC_OPT_EXCLUDE },	\
	{ "backup", optional_argument, NULL, SYNC_OPT_BACKUP },		\
	{ "whole-file", no_argument, NULL, SYNC_OPT_WHOLE }

/* All but --delete. */
#define SYNC_OPTIONS_USAGE						\
"      --checksum             compare content by its hash, not by size and time\n"	\
"      --max-delete N         delete at most N\n"					\
"      --include PATTERN      names that count, and those that do not: the first PATTERN\n"	\
"      --exclude PATTERN      that fits decides; what is excluded is not deleted either\n"	\
"      --backup[=SUFFIX]      keep what is replaced or deleted, as NAME~ or NAMESUFFIX\n"	\
"      --whole-file           send files that differ as a whole\n"

/* False: the value is impossible. */
bool sync_apply_option(int opt, struct sync *sync);

struct sync_push {
	const struct client_options *o;
	const struct sync *sync;
	const char *far;		/* path */
	const struct path_root *root;	/* of what is here */
	const char *near;
	struct watcher *watcher;
};

/* Asks for it; the agent is ready afterwards. */
int sync_push_ask(const struct sync_push *p, struct conv *c, struct status *st);
/* The same, and all there is, to the end. @s is to be freed in any case. */
int sync_push_all(const struct sync_push *p, struct sender *s, struct conv *c, struct status *st);

#endif /* IVRING_SYNC_PUSH_H */

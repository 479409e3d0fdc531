/* SPDX-License-Identifier: GPL-2.0 */
/* The asking end of a conversation: what push and pull have in common. */
#ifndef IVRING_CLIENT_H
#define IVRING_CLIENT_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "libivring.h"
#include "proto.h"
#include "report.h"
#include "send.h"
#include "status.h"

/* Longest name of a link that is understood. */
#define CLIENT_NAME_SIZE	64

struct client_options {
	int timeout_ms;			/* of inactivity, and of waiting for a busy link */
	int connect_timeout_ms;
	uint32_t sync;			/* REQUEST_F_SYNC_* or zero */
	struct send_options send;	/* what is kept counts for pull, too */
	struct report_options report;
	uint64_t min_free;
	unsigned int retries;
	const char *manifest;		/* NULL: none is wanted */
};

#define CLIENT_OPTIONS_DEFAULT	{					\
	.timeout_ms = 30000,						\
	.connect_timeout_ms = 5000,					\
	.send = { .chunk = SEND_CHUNK_DEFAULT, .hash = HASH_FASTEST },	\
}

/* What the options above are called, for usage texts. */
extern const char client_usage[];

/*
 * Parses the options that are common to push and pull; negative when there is
 * nothing to do. @usage comes before what tells of the options.
 */
int client_parse_options(int argc, char **argv, const char *usage, struct client_options *o);

/* Options that one command has besides. */
struct client_extra {
	const struct option *longopts;	/* numbers from CLIENT_OPT_EXTRA on */
	const char *usage;
	/* False: the value is impossible. */
	bool (*apply)(int opt, void *arg);
	void *arg;
};

#define CLIENT_OPT_EXTRA	1024

int client_parse_more(int argc, char **argv, const char *usage, struct client_options *o,
		      const struct client_extra *extra);

struct client {
	const struct client_options *options;
	struct ivring_link_info link;
	struct ivring_chan chan;
	struct conv conv;
	char name[CLIENT_NAME_SIZE];	/* of the link, as the user called it */
	bool open;
};

/* Splits LINK:PATH at the first colon. False when @arg names a local file. */
bool client_split(const char *arg, char link[CLIENT_NAME_SIZE], const char **path);

/* Does nothing when @cl, zeroed at first, has a conversation on that link already. */
int client_open(struct client *cl, const char *link, const struct client_options *o,
		struct status *st);
void client_close(struct client *cl);

/* Faults of one file; those of the link would only repeat themselves with the next. */
bool client_may_go_on(int code);

/* Whether what failed so, and was tried again so often, may well succeed a moment later. */
bool client_may_pass(int code, unsigned int tried);
/* Milliseconds until it is tried again, after so many times. */
int client_retry_pause(unsigned int tried);
/*
 * After a conversation that failed: whether another one is to be tried. Waits for
 * longer each time, and says so.
 */
bool client_retry(const struct client_options *o, struct report *r, const struct status *why);

/* The channel that clients on @side of a link use. */
unsigned int client_channel(const struct ivring_link_info *link, unsigned int side);

#endif /* IVRING_CLIENT_H */

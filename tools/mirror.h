/* SPDX-License-Identifier: GPL-2.0 */
/* Brings changes of a tree to the other side of a link, as they come. */
#ifndef IVRING_MIRROR_H
#define IVRING_MIRROR_H

#include "changes.h"
#include "client.h"
#include "failures.h"
#include "latency.h"
#include "sync-push.h"

/* So many paths at once, and for so long, before the other side has to say that it has them. */
#define MIRROR_ROUND_MAX	256
#define MIRROR_ROUND_NS		(20 * NSEC_PER_MSEC)

struct mirror_stats {
	uint64_t files;			/* of which content came, or might have */
	uint64_t others;
	uint64_t deleted;
	uint64_t renamed;
	uint64_t bytes;
	uint64_t failed;
	uint64_t rounds;
	uint64_t syncs;			/* comparisons of all */
	uint64_t sync_changes;
	uint64_t sync_deleted;
	uint64_t wire;
	struct latency latency;
};

struct mirror {
	struct watcher watcher;		/* first: what a stream calls */
	const struct client_options *o;
	const char *link;
	struct sync_push push;		/* of all */
	struct sync listed;		/* what is wished of changes */
	bool deletes;			/* of what was here a moment ago */
	int top;			/* what is mirrored, open */
	const char *prefix;		/* of paths: a name, or empty */
	struct changes *changes;
	void (*look)(void *arg);	/* all that has happened is among them afterwards */
	void *look_arg;
	struct client client;
	struct sender sender;
	bool streaming;			/* a list is open */
	bool last;			/* nothing more comes: all is sent as it is */
	struct change *hand[MIRROR_ROUND_MAX];
	struct stat seen;		/* of the one that was taken last, if it is a file */
	bool has_seen;
	size_t hand_count;
	struct change *now;		/* of these */
	bool comparing;
	bool raced;			/* something vanished or changed while all was compared */
	bool has_links;			/* names of one file may have parted */
	struct failures failures;	/* of paths beneath the top, or when all was compared */
	struct mirror_stats stats;
};

/*
 * Both return 0 or a negative status code; the conversation is over then, and what was to
 * be sent is among the changes again.
 */
/* Compares all. */
int mirror_sync(struct mirror *m, struct status *st);
/* Sends what is due; *@busy: something was. */
int mirror_round(struct mirror *m, bool *busy, struct status *st);
/* Nothing has to be sent, but the agent is to know that we are here. */
int mirror_ping(struct mirror *m, struct status *st);
/* Lets others have the link. */
int mirror_rest(struct mirror *m, struct status *st);

/* So many changes cannot be sent, as @why tells. */
void mirror_fail(struct mirror *m, const struct status *why, uint64_t count);

void mirror_init(struct mirror *m);
void mirror_free(struct mirror *m);

/* What they tell, as lines or JSON. */
void mirror_tell_change(const struct mirror *m, const struct change *change, int64_t latency_ns);
void mirror_tell_item(const struct mirror *m, enum sync_item item, const char *path);
void mirror_tell_failure(const struct mirror *m, const struct status *why);
void mirror_tell_sync(const struct mirror *m, const char *reason, uint64_t changes,
		      uint64_t deleted, double seconds);
void mirror_tell_retry(const struct mirror *m, const struct status *why, unsigned int number,
		       int pause_ms);
void mirror_tell_ready(const struct mirror *m);
/* @number: of attempts after a failure; @code: of the whole. */
void mirror_tell_summary(const struct mirror *m, const char *name, uint64_t overflows,
			 uint64_t retries, double seconds, int code);

#endif /* IVRING_MIRROR_H */

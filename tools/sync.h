/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is wished of a sync besides a request, and what a sync finds: the frame SYNC
 * follows PUT or GET with REQUEST_F_SYNC.
 */
#ifndef IVRING_SYNC_H
#define IVRING_SYNC_H

#include "filter.h"
#include "proto.h"

#define SYNC_F_CHECKSUM		(1U << 0)	/* files are compared by their hashes */
#define SYNC_F_DELETE		(1U << 1)	/* what the sender has not goes */
#define SYNC_F_BACKUP		(1U << 2)	/* and what is replaced or goes gets a suffix */
#define SYNC_F_ITEMIZE		(1U << 3)	/* the sender wants to hear of each change */
#define SYNC_F_WHOLE		(1U << 4)	/* no deltas */
#define SYNC_F_LISTED		(1U << 5)	/* what comes is all there is to look at */
#define SYNC_F_REPLACE		(1U << 6)	/* of a list: SYNC_F_DELETE is for what is in the way, too */
#define SYNC_F_ALL		((1U << 7) - 1)

#define SYNC_SUFFIX_MAX		63

/**
 * struct wire_sync - payload of SYNC, with suffix and rules behind it
 * @max_delete: deletions, at most
 * @flags: SYNC_F_*
 * @rules_len: bytes of rules, as struct filter has them
 * @suffix_len: bytes of the suffix of what is kept, without a NUL
 * @reserved: zero
 * @check: XXH32 of the payload with this field as zero, seed FRAME_MAGIC
 */
struct wire_sync {
	__le64 max_delete;
	__le32 flags;
	__le32 rules_len;
	__le16 suffix_len;
	__u8 reserved[10];
	__le32 check;
};

struct sync {
	uint64_t max_delete;
	uint32_t flags;
	char suffix[SYNC_SUFFIX_MAX + 1];
	struct filter filter;
};

/* How something differs from what was there; on the wire, too. */
enum sync_item {
	SYNC_NEW = 1,
	SYNC_SIZE = 2,
	SYNC_TIME = 3,
	SYNC_CONTENT = 4,
	SYNC_KIND = 5,			/* what is there is something else */
	SYNC_ATTRS = 6,			/* only mode, owner or time */
	SYNC_DELETED = 7,
	SYNC_ITEMS = 8,
};

/* One word for it. */
const char *sync_item_name(enum sync_item item);

/* A suffix that makes of a name another one. */
bool sync_good_suffix(const char *suffix);
int sync_send(struct conv *c, const struct sync *sync, struct status *st);
/* @sync is all zeros, or was used before. */
int sync_take(struct conv *c, const struct frame *f, struct sync *sync, struct status *st);
void sync_free(struct sync *sync);

/* Whether it is not to be touched: excluded, temporary, or kept from before. */
bool sync_protects(const struct sync *sync, const char *path, const char *name, bool is_dir);

/* What NAMES has, paths with a NUL behind each, and for how many of them. */
#define SYNC_BATCH_SIZE		(16U << 10)
#define SYNC_BATCH_NAMES	4096
#define SYNC_BITS_SIZE		(SYNC_BATCH_NAMES / 8)

/* Deltas are for files of this size at least, on both sides. */
#define SYNC_DELTA_MIN		(64U << 10)

#endif /* IVRING_SYNC_H */

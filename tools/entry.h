/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One thing in a tree: what is sent of it besides a file's content. Behind the
 * header are, in this order and in the lengths that it has: name, target, names
 * of user and group, extended attributes, and an inline file's content.
 */
#ifndef IVRING_ENTRY_H
#define IVRING_ENTRY_H

#include <limits.h>
#include <sys/stat.h>

#include "proto.h"

/* Of all extended attributes of a file; a kernel's limit for one is 64 KiB. */
#define ENTRY_XATTRS_MAX	(128U << 10)
#define ENTRY_OWNER_MAX		255

/**
 * struct wire_entry - payload of ENTRY
 * @size: of a regular file
 * @data_bytes: of these, those that take space; the rest are holes
 * @mtime_sec: time of last modification
 * @mtime_nsec: its fraction
 * @mode: type and permission bits
 * @uid: owner's number, with KEEP_OWNER
 * @gid: group's number
 * @major: of a device
 * @minor: of a device
 * @flags: ENTRY_F_*
 * @hash_kind: of a regular file's content: enum hash_kind
 * @name_len: bytes of name: one part of a path, or "." for the destination itself
 * @target_len: bytes of a symbolic link's content, or of ENTRY_F_LINK's path
 * @user_len: bytes of the owner's name
 * @group_len: bytes of the group's name
 * @xattrs_len: bytes of attributes, each a struct wire_xattr, its name and value
 * @reserved: zero
 * @check: XXH32 of all but inline content with this field as zero, seed FRAME_MAGIC
 * @digest: of an inline file's content, or of what ENTRY_F_LINK is another name of, or
 *	with ENTRY_F_HASHED
 */
struct wire_entry {
	__le64 size;
	__le64 data_bytes;
	__le64 mtime_sec;
	__le32 mtime_nsec;
	__le32 mode;
	__le32 uid;
	__le32 gid;
	__le32 major;
	__le32 minor;
	__le32 flags;
	__le32 hash_kind;
	__le16 name_len;
	__le16 target_len;
	__le16 user_len;
	__le16 group_len;
	__le32 xattrs_len;
	__u8 reserved[8];
	__le32 check;
	__u8 digest[HASH_DIGEST_SIZE];
};

#define ENTRY_F_INLINE		(1U << 0)	/* the content is in this very frame */
#define ENTRY_F_LINK		(1U << 1)	/* another name of what was sent as target */
#define ENTRY_F_STREAM		(1U << 2)	/* the size is known only at the end */
#define ENTRY_F_BARE		(1U << 3)	/* nothing of the content comes: a dry run */
#define ENTRY_F_RESUME		(1U << 4)	/* what is there of it already? */
#define ENTRY_F_DELTA		(1U << 5)	/* the same, for a delta against it */
#define ENTRY_F_HASHED		(1U << 6)	/* with ENTRY_F_BARE: the digest is there */
#define ENTRY_F_ALL		((1U << 7) - 1)

struct wire_xattr {
	__le16 name_len;
	__le16 reserved;
	__le32 value_len;
};

/* A checked struct wire_entry and what belongs to it. */
struct entry {
	uint64_t size;
	uint64_t data_bytes;
	int64_t mtime_sec;
	uint32_t mtime_nsec;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	unsigned int major;
	unsigned int minor;
	uint32_t flags;
	enum hash_kind hash_kind;
	uint32_t xattrs_len;
	uint8_t digest[HASH_DIGEST_SIZE];
	char name[NAME_MAX + 1];
	char target[PATH_MAX];
	char user[ENTRY_OWNER_MAX + 1];
	char group[ENTRY_OWNER_MAX + 1];
	uint8_t xattrs[ENTRY_XATTRS_MAX];
};

/* What a stat tells; leaves flags, texts and attributes alone. */
void entry_describe(struct entry *e, const struct stat *stat);

/* Bytes of an entry as payload, without inline content. */
size_t entry_size(const struct entry *e);
void entry_encode(const struct entry *e, uint8_t *payload);
/* Puts a frame. */
int entry_send(struct conv *c, const struct entry *e, struct status *st);
/* Takes the payload of an ENTRY that conv_recv gave, up to inline content. */
int entry_take(struct conv *c, const struct frame *f, struct entry *e, struct status *st);

/* Walks the attributes: @at is 0 at first. False at the end. */
bool entry_next_xattr(const struct entry *e, uint32_t *at, const char **name,
		      const uint8_t **value, uint32_t *value_len);
/* False when there is no room left. */
bool entry_add_xattr(struct entry *e, const char *name, const void *value, uint32_t value_len);

/* The progress of it all: what has to be moved for a file. */
static inline uint64_t entry_weight(const struct entry *e)
{
	return S_ISREG(e->mode) && !(e->flags & (ENTRY_F_LINK | ENTRY_F_STREAM)) ? e->size : 0;
}

#endif /* IVRING_ENTRY_H */

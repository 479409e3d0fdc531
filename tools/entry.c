// SPDX-License-Identifier: GPL-2.0
#include "entry.h"

#include <endian.h>
#include <stddef.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "tempfile.h"
#include "util.h"

_Static_assert(sizeof(struct wire_entry) == 112, "no padding");

static const uint8_t no_bytes[sizeof(((struct wire_entry *)0)->reserved)];

void entry_describe(struct entry *e, const struct stat *stat)
{
	bool regular = S_ISREG(stat->st_mode);

	e->size = regular ? stat->st_size : 0;
	e->data_bytes = regular ? min_u64(e->size, (uint64_t)stat->st_blocks * 512) : 0;
	e->mtime_sec = stat->st_mtim.tv_sec;
	e->mtime_nsec = stat->st_mtim.tv_nsec;
	e->mode = stat->st_mode;
	e->uid = stat->st_uid;
	e->gid = stat->st_gid;
	e->major = e->minor = 0;
	if (S_ISBLK(stat->st_mode) || S_ISCHR(stat->st_mode)) {
		e->major = major(stat->st_rdev);
		e->minor = minor(stat->st_rdev);
	}
	e->hash_kind = HASH_NONE;
}

size_t entry_size(const struct entry *e)
{
	return sizeof(struct wire_entry) + strlen(e->name) + strlen(e->target) +
	       strlen(e->user) + strlen(e->group) + e->xattrs_len;
}

static uint8_t *append(uint8_t *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

void entry_encode(const struct entry *e, uint8_t *payload)
{
	uint8_t *start = payload;
	struct wire_entry w = {
		.size = htole64(e->size),
		.data_bytes = htole64(e->data_bytes),
		.mtime_sec = htole64(e->mtime_sec),
		.mtime_nsec = htole32(e->mtime_nsec),
		.mode = htole32(e->mode),
		.uid = htole32(e->uid),
		.gid = htole32(e->gid),
		.major = htole32(e->major),
		.minor = htole32(e->minor),
		.flags = htole32(e->flags),
		.hash_kind = htole32(e->hash_kind),
		.name_len = htole16(strlen(e->name)),
		.target_len = htole16(strlen(e->target)),
		.user_len = htole16(strlen(e->user)),
		.group_len = htole16(strlen(e->group)),
		.xattrs_len = htole32(e->xattrs_len),
	};

	if (e->flags & (ENTRY_F_INLINE | ENTRY_F_LINK | ENTRY_F_HASHED))
		memcpy(w.digest, e->digest, sizeof(w.digest));
	payload = append(payload, &w, sizeof(w));
	payload = append(payload, e->name, strlen(e->name));
	payload = append(payload, e->target, strlen(e->target));
	payload = append(payload, e->user, strlen(e->user));
	payload = append(payload, e->group, strlen(e->group));
	payload = append(payload, e->xattrs, e->xattrs_len);
	w.check = htole32(payload_check(start, payload - start));
	memcpy(start, &w, sizeof(w));
}

/* The longest there is, and room for a NUL. */
#define PAYLOAD_MAX	(sizeof(struct wire_entry) + NAME_MAX + PATH_MAX + 2 * ENTRY_OWNER_MAX + \
			 ENTRY_XATTRS_MAX)

static _Thread_local uint8_t payload[PAYLOAD_MAX];

int entry_send(struct conv *c, const struct entry *e, struct status *st)
{
	entry_encode(e, payload);
	return conv_put(c, FRAME_ENTRY, NULL, payload, entry_size(e), st);
}

/* A part of a path that cannot lead anywhere else. */
static bool good_name(const char *name)
{
	return *name && strcmp(name, "..") && !strchr(name, '/');
}

static bool good_type(const struct entry *e)
{
	bool link = e->flags & ENTRY_F_LINK;

	if (e->mode & ~(mode_t)(S_IFMT | 07777))
		return false;
	switch (e->mode & S_IFMT) {
	case S_IFREG:
		return link == !!e->target[0] &&
		       (!link || !(e->flags & ~ENTRY_F_LINK)) &&
		       (!(e->flags & ENTRY_F_RESUME) || (e->flags == ENTRY_F_RESUME &&
							 e->hash_kind != HASH_NONE)) &&
		       (!(e->flags & ENTRY_F_DELTA) || (e->flags == ENTRY_F_DELTA &&
							e->hash_kind != HASH_NONE)) &&
		       (!(e->flags & ENTRY_F_BARE) ||
			!(e->flags & ~(ENTRY_F_BARE | ENTRY_F_HASHED))) &&
		       (!(e->flags & ENTRY_F_HASHED) || e->flags & ENTRY_F_BARE) &&
		       (e->flags & (ENTRY_F_INLINE | ENTRY_F_STREAM)) !=
		       (ENTRY_F_INLINE | ENTRY_F_STREAM);
	case S_IFLNK:
		return !e->flags && e->target[0];
	case S_IFDIR:
	case S_IFIFO:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFSOCK:
		return !e->flags && !e->target[0];
	}
	return false;
}

static bool good_xattrs(const struct entry *e)
{
	const uint8_t *value;
	uint32_t at = 0, len;
	const char *name;

	while (entry_next_xattr(e, &at, &name, &value, &len))
		;
	return at == e->xattrs_len;
}

/* Lengths that were judged; what they stand for. */
struct lengths {
	size_t name;
	size_t target;
	size_t user;
	size_t group;
};

static bool judge(const struct entry *e, const struct lengths *len)
{
	return strlen(e->name) == len->name && strlen(e->target) == len->target &&
	       strlen(e->user) == len->user && strlen(e->group) == len->group &&
	       e->size <= INT64_MAX && e->data_bytes <= e->size &&
	       e->mtime_nsec < NSEC_PER_SEC && !(e->flags & ~ENTRY_F_ALL) &&
	       e->hash_kind < HASH_KINDS && good_name(e->name) && good_type(e) && good_xattrs(e);
}

static void decode(const struct wire_entry *w, struct entry *e)
{
	e->size = le64toh(w->size);
	e->data_bytes = le64toh(w->data_bytes);
	e->mtime_sec = le64toh(w->mtime_sec);
	e->mtime_nsec = le32toh(w->mtime_nsec);
	e->mode = le32toh(w->mode);
	e->uid = le32toh(w->uid);
	e->gid = le32toh(w->gid);
	e->major = le32toh(w->major);
	e->minor = le32toh(w->minor);
	e->flags = le32toh(w->flags);
	e->hash_kind = le32toh(w->hash_kind);
	e->xattrs_len = le32toh(w->xattrs_len);
	memcpy(e->digest, w->digest, sizeof(e->digest));
}

static int bad_entry(struct status *st)
{
	return status_set(st, STATUS_PROTOCOL, "a description of a file makes no sense");
}

static const uint8_t *split_text(const uint8_t *from, size_t len, char *to)
{
	memcpy(to, from, len);
	to[len] = '\0';
	return from + len;
}

/* What lies behind the header, in lengths that were judged. */
static void split(const uint8_t *from, const struct lengths *len, struct entry *e)
{
	from = split_text(from, len->name, e->name);
	from = split_text(from, len->target, e->target);
	from = split_text(from, len->user, e->user);
	from = split_text(from, len->group, e->group);
	memcpy(e->xattrs, from, e->xattrs_len);
}

int entry_take(struct conv *c, const struct frame *f, struct entry *e, struct status *st)
{
	struct lengths len;
	struct wire_entry w;
	uint64_t total;
	int ret;

	if (f->len < sizeof(w))
		return bad_entry(st);
	ret = conv_take(c, &w, sizeof(w), st);
	if (ret)
		return ret;
	decode(&w, e);
	len = (struct lengths){ le16toh(w.name_len), le16toh(w.target_len), le16toh(w.user_len),
				le16toh(w.group_len) };
	total = sizeof(w) + len.name + len.target + len.user + len.group + e->xattrs_len;
	if (len.name > NAME_MAX || len.target >= PATH_MAX || len.user > ENTRY_OWNER_MAX ||
	    len.group > ENTRY_OWNER_MAX || e->xattrs_len > ENTRY_XATTRS_MAX ||
	    (e->flags & ENTRY_F_INLINE && e->size > UINT32_MAX) ||
	    f->len != total + (e->flags & ENTRY_F_INLINE ? e->size : 0))
		return bad_entry(st);
	ret = conv_take(c, payload + sizeof(w), total - sizeof(w), st);
	if (ret)
		return ret;
	memcpy(payload, &w, sizeof(w));
	memset(payload + offsetof(struct wire_entry, check), 0, sizeof(w.check));
	if (le32toh(w.check) != payload_check(payload, total))
		return conv_damaged(st);
	split(payload + sizeof(w), &len, e);
	if (!judge(e, &len) || memcmp(w.reserved, no_bytes, sizeof(no_bytes)))
		return bad_entry(st);
	return 0;
}

bool entry_next_xattr(const struct entry *e, uint32_t *at, const char **name,
		      const uint8_t **value, uint32_t *value_len)
{
	uint32_t left = e->xattrs_len - *at, name_len;
	struct wire_xattr w;

	if (left < sizeof(w))
		return false;
	memcpy(&w, e->xattrs + *at, sizeof(w));
	name_len = le16toh(w.name_len);
	*value_len = le32toh(w.value_len);
	left -= sizeof(w);
	/* The name has its NUL with it. */
	if (w.reserved || name_len < 2 || name_len > left || *value_len > left - name_len)
		return false;
	*name = (const char *)e->xattrs + *at + sizeof(w);
	if (strnlen(*name, name_len) != name_len - 1)
		return false;
	*value = e->xattrs + *at + sizeof(w) + name_len;
	*at += sizeof(w) + name_len + *value_len;
	return true;
}

bool entry_add_xattr(struct entry *e, const char *name, const void *value, uint32_t value_len)
{
	size_t name_len = strlen(name) + 1;
	struct wire_xattr w = {
		.name_len = htole16(name_len),
		.value_len = htole32(value_len),
	};
	uint8_t *to = e->xattrs + e->xattrs_len;

	if (name_len > 256 ||
	    sizeof(w) + name_len + value_len > sizeof(e->xattrs) - e->xattrs_len)
		return false;
	to = append(to, &w, sizeof(w));
	to = append(to, name, name_len);
	to = append(to, value, value_len);
	e->xattrs_len = to - e->xattrs;
	return true;
}

// SPDX-License-Identifier: GPL-2.0
#include "sync.h"

#include <endian.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tempfile.h"
#include "util.h"

_Static_assert(sizeof(struct wire_sync) == 32, "no padding");

#define PAYLOAD_MAX	(sizeof(struct wire_sync) + SYNC_SUFFIX_MAX + FILTER_SIZE_MAX)

const char *sync_item_name(enum sync_item item)
{
	static const char *const names[SYNC_ITEMS] = {
		[SYNC_NEW] = "new",
		[SYNC_SIZE] = "size",
		[SYNC_TIME] = "time",
		[SYNC_CONTENT] = "content",
		[SYNC_KIND] = "kind",
		[SYNC_ATTRS] = "attributes",
		[SYNC_DELETED] = "deleted",
	};

	return names[item];
}

bool sync_good_suffix(const char *suffix)
{
	return *suffix && strlen(suffix) <= SYNC_SUFFIX_MAX && !strchr(suffix, '/');
}

int sync_send(struct conv *c, const struct sync *sync, struct status *st)
{
	size_t suffix_len = strlen(sync->suffix);
	struct wire_sync w = {
		.max_delete = htole64(sync->max_delete),
		.flags = htole32(sync->flags),
		.rules_len = htole32(sync->filter.len),
		.suffix_len = htole16(suffix_len),
	};
	size_t len = sizeof(w) + suffix_len + sync->filter.len;
	uint8_t *payload = malloc(len);
	int ret;

	if (!payload)
		return status_set(st, STATUS_FAIL, "out of memory");
	memcpy(payload, &w, sizeof(w));
	memcpy(payload + sizeof(w), sync->suffix, suffix_len);
	if (sync->filter.len)
		memcpy(payload + sizeof(w) + suffix_len, sync->filter.rules, sync->filter.len);
	w.check = htole32(payload_check(payload, len));
	memcpy(payload, &w, sizeof(w));
	ret = conv_put(c, FRAME_SYNC, NULL, payload, len, st);
	free(payload);
	return ret ? ret : conv_flush(c, st);
}

static int bad_sync(struct status *st)
{
	return status_set(st, STATUS_PROTOCOL, "a wish for a sync makes no sense");
}

static int judge(const uint8_t *payload, size_t len, struct sync *sync, struct status *st)
{
	static const uint8_t zero[sizeof(((struct wire_sync *)0)->reserved)];
	size_t suffix_len, rules_len;
	const char *rules;
	struct wire_sync w;

	memcpy(&w, payload, sizeof(w));
	sync->max_delete = le64toh(w.max_delete);
	sync->flags = le32toh(w.flags);
	suffix_len = le16toh(w.suffix_len);
	rules_len = le32toh(w.rules_len);
	if (suffix_len > SYNC_SUFFIX_MAX || rules_len > FILTER_SIZE_MAX ||
	    sizeof(w) + suffix_len + rules_len != len || sync->flags & ~SYNC_F_ALL ||
	    memcmp(w.reserved, zero, sizeof(zero)))
		return bad_sync(st);
	memcpy(sync->suffix, payload + sizeof(w), suffix_len);
	sync->suffix[suffix_len] = '\0';
	rules = (const char *)payload + sizeof(w) + suffix_len;
	if (strlen(sync->suffix) != suffix_len || !filter_is_good(rules, rules_len) ||
	    !(sync->flags & SYNC_F_BACKUP) != !sync_good_suffix(sync->suffix))
		return bad_sync(st);
	filter_free(&sync->filter);
	sync->filter.rules = malloc(rules_len + 1);
	if (!sync->filter.rules)
		return status_set(st, STATUS_FAIL, "out of memory");
	memcpy(sync->filter.rules, rules, rules_len);
	sync->filter.len = rules_len;
	return 0;
}

int sync_take(struct conv *c, const struct frame *f, struct sync *sync, struct status *st)
{
	uint8_t *payload;
	__le32 check;
	int ret;

	if (f->len < sizeof(struct wire_sync) || f->len > PAYLOAD_MAX)
		return bad_sync(st);
	payload = malloc(f->len);
	if (!payload)
		return status_set(st, STATUS_FAIL, "out of memory");
	ret = conv_take(c, payload, f->len, st);
	if (!ret) {
		memcpy(&check, payload + offsetof(struct wire_sync, check), sizeof(check));
		memset(payload + offsetof(struct wire_sync, check), 0, sizeof(check));
		ret = le32toh(check) == payload_check(payload, f->len) ?
		      judge(payload, f->len, sync, st) : conv_damaged(st);
	}
	free(payload);
	return ret;
}

void sync_free(struct sync *sync)
{
	filter_free(&sync->filter);
}

bool sync_protects(const struct sync *sync, const char *path, const char *name, bool is_dir)
{
	size_t len = strlen(name), suffix = strlen(sync->suffix);

	if (tempfile_is_name(name) || filter_excludes(&sync->filter, path, is_dir))
		return true;
	return sync->flags & SYNC_F_BACKUP && !is_dir && len > suffix &&
	       !strcmp(name + len - suffix, sync->suffix);
}

// SPDX-License-Identifier: GPL-2.0
#include "tally.h"

#include <stdio.h>
#include <string.h>

#include "util.h"

void tally_start(struct tally *t)
{
	memset(t, 0, sizeof(*t));
	t->start_ns = now_ns();
	t->hash_kind = HASH_NONE;
}

void tally_add(struct tally *t, const struct entry *e)
{
	if (S_ISDIR(e->mode)) {
		t->dirs++;
		return;
	}
	t->files++;
	if (!S_ISREG(e->mode) || e->flags & ENTRY_F_LINK)
		return;
	t->bytes += e->size;
	t->hash_kind = e->hash_kind;
	memcpy(t->digest, e->digest, sizeof(t->digest));
}

static int rate_text(uint64_t bytes, int64_t elapsed_ns, char *text, size_t size)
{
	double seconds = (double)elapsed_ns / NSEC_PER_SEC;

	return snprintf(text, size, "%llu bytes in %.2f s, %.0f MB/s",
			(unsigned long long)bytes, seconds,
			seconds > 0 ? bytes / seconds / 1e6 : 0);
}

static void add_digest(enum hash_kind kind, const uint8_t digest[HASH_DIGEST_SIZE], char *text,
		       size_t size)
{
	char hex[HASH_TEXT_SIZE];

	hash_text(kind, digest, hex);
	snprintf(text, size, ", %s%s%s", kind == HASH_NONE ? "not hashed" : hash_name(kind),
		 *hex ? " " : "", hex);
}

/* What was damaged was not seen by anybody, but somebody may want to know of it. */
static void add_rest(const struct tally *t, char *text, size_t size)
{
	int used;

	if (t->kept) {
		used = snprintf(text, size, ", %llu bytes were there", (unsigned long long)t->kept);
		text += used;
		size -= used;
	}
	if (t->sync) {
		used = snprintf(text, size, ", %llu deleted, %llu unchanged, %llu bytes crossed",
				(unsigned long long)t->deleted, (unsigned long long)t->same,
				(unsigned long long)t->wire);
		text += used;
		size -= used;
	}
	if (t->resent)
		snprintf(text, size, ", %llu damaged blocks sent again",
			 (unsigned long long)t->resent);
}

void tally_text(const struct tally *t, char text[TALLY_TEXT_SIZE])
{
	bool single = t->files == 1 && !t->dirs && !t->failed && !t->sync;
	int used = 0;

	if (!single)
		used = snprintf(text, TALLY_TEXT_SIZE, "%llu files, ",
				(unsigned long long)t->files);
	used += rate_text(t->bytes, now_ns() - t->start_ns, text + used, TALLY_TEXT_SIZE - used);
	if (single)
		add_digest(t->hash_kind, t->digest, text + used, TALLY_TEXT_SIZE - used);
	else if (t->failed)
		snprintf(text + used, TALLY_TEXT_SIZE - used, ", %llu failed",
			 (unsigned long long)t->failed);
	used = strlen(text);
	add_rest(t, text + used, TALLY_TEXT_SIZE - used);
}

void tally_file_text(const struct entry *e, int64_t elapsed_ns, char text[TALLY_TEXT_SIZE])
{
	int used = rate_text(e->size, elapsed_ns, text, TALLY_TEXT_SIZE);

	add_digest(e->hash_kind, e->digest, text + used, TALLY_TEXT_SIZE - used);
}

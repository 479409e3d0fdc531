// SPDX-License-Identifier: GPL-2.0
#include "mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sender.h"
#include "util.h"

/* A new file that nobody has written to for so long is not about to be closed. */
#define QUIET_NS	NSEC_PER_SEC
/* What is not there, and should be, may be about to have another name. */
#define ABSENT_NS	(20 * NSEC_PER_MSEC)
/* What changes faster than it can be sent goes out of its turn then. */
#define SKIPS_MAX	16
/* So often a pause doubles */
#define PAUSES_MAX	6

/* In place of a path: of none that is known. */
#define FAILED_ANY	"/"

static struct mirror *mirror_of(struct watcher *w)
{
	return (struct mirror *)w;
}

/* The one in hand that the sender calls @path, or NULL. */
static struct change *find_path(const struct mirror *m, const char *path)
{
	size_t len = strlen(m->prefix), i;

	if (len && (strncmp(path, m->prefix, len) || path[len] != '/'))
		return NULL;
	path += len ? len + 1 : 0;
	for (i = m->hand_count; i; i--)
		if (!(m->hand[i - 1]->flags & CHANGE_F_RENAME) && !strcmp(m->hand[i - 1]->path, path))
			return m->hand[i - 1];
	return NULL;
}

/* The one that an entry was about: what came of it later is known by its own number. */
static struct change *find_number(const struct mirror *m, uint64_t number)
{
	size_t i;

	for (i = 0; i < m->hand_count; i++)
		if (m->hand[i]->content == number + 1)
			return m->hand[i];
	for (i = 0; i < m->hand_count; i++)
		if (m->hand[i]->first <= number && number < m->hand[i]->last)
			return m->hand[i];
	return NULL;
}

static void on_done(struct watcher *w, const struct entry *e, const char *path)
{
	struct mirror *m = mirror_of(w);
	struct change *change;

	if (!S_ISREG(e->mode) || e->flags & (ENTRY_F_LINK | ENTRY_F_BARE))
		return;
	m->stats.bytes += e->size;
	change = find_path(m, path);
	if (change)
		change->content = m->sender.number;
}

/* What the sender has just failed to send is not there any more. */
static bool has_vanished(const struct mirror *m)
{
	const char *path = m->sender.path;
	size_t len = strlen(m->prefix);
	int fd;

	if (len && (strncmp(path, m->prefix, len) || path[len] != '/'))
		return false;
	fd = path_open_within(m->top, path + (len ? len + 1 : 0), O_PATH | O_NOFOLLOW);
	if (fd >= 0)
		close(fd);
	return fd == -ENOENT || fd == -ENOTDIR;
}

static void note(struct mirror *m, const char *path, int code)
{
	/* Of a kind that is not copied, as one may have wished. */
	if (code != STATUS_NOT_REGULAR)
		failures_add(&m->failures, path, code);
}

static void on_failed(struct watcher *w, const struct status *why, uint64_t number)
{
	struct mirror *m = mirror_of(w);
	/* It has a number once it was sent. */
	bool here = number >= m->sender.number;
	struct change *change;

	change = here ? find_path(m, m->sender.path) : find_number(m, number);
	if (here && !change)
		change = m->now;
	/* An event will tell, or has told, of what is the matter with it. */
	if (why->code == STATUS_CHANGED || (here && why->code == STATUS_SOURCE && has_vanished(m))) {
		m->raced = true;
		if (change)
			change->raced = true;
		return;
	}
	if (change && !change->code)
		change->code = why->code;
	if (!change)
		note(m, FAILED_ANY, why->code);
	m->stats.failed++;
	mirror_tell_failure(m, why);
}

void mirror_fail(struct mirror *m, const struct status *why, uint64_t count)
{
	note(m, FAILED_ANY, why->code);
	m->stats.failed += count;
	mirror_tell_failure(m, why);
}

static void on_item(struct watcher *w, enum sync_item item, const char *path)
{
	struct mirror *m = mirror_of(w);

	if (!m->comparing)
		return;
	m->stats.sync_changes++;
	mirror_tell_item(m, item, path);
}

void mirror_init(struct mirror *m)
{
	m->watcher = (struct watcher){ .done = on_done, .failed = on_failed, .item = on_item };
	m->push.watcher = &m->watcher;
	m->listed = *m->push.sync;
	m->listed.max_delete = UINT64_MAX;
	m->listed.flags &= ~(SYNC_F_DELETE | SYNC_F_ITEMIZE);
	m->listed.flags |= SYNC_F_LISTED | (m->deletes ? SYNC_F_DELETE : 0);
	m->changes->renames = m->deletes;
}

static void close_link(struct mirror *m)
{
	if (m->client.open)
		m->stats.wire += m->client.conv.tx_bytes + m->client.conv.rx_bytes;
	client_close(&m->client);
}

/* The conversation is of no use any more. */
static int broken(struct mirror *m, struct status *st)
{
	if (m->client.open)
		conv_send_error(&m->client.conv, st);
	send_free(&m->sender);
	m->streaming = false;
	close_link(m);
	m->now = NULL;
	while (m->hand_count)
		changes_put_back(m->changes, m->hand[--m->hand_count]);
	return -st->code;
}

static int finish(struct mirror *m, struct status *st)
{
	int ret;

	if (!m->streaming)
		return 0;
	ret = send_finish(&m->sender, st);
	if (ret)
		return ret;
	m->streaming = false;
	send_free(&m->sender);
	return 0;
}

int mirror_rest(struct mirror *m, struct status *st)
{
	if (finish(m, st))
		return broken(m, st);
	close_link(m);
	return 0;
}

int mirror_sync(struct mirror *m, struct status *st)
{
	int ret = finish(m, st);

	if (!ret)
		ret = client_open(&m->client, m->link, m->o, st);
	if (ret)
		return broken(m, st);
	m->raced = m->has_links = false;
	failures_reset(&m->failures);
	m->comparing = true;
	ret = sync_push_all(&m->push, &m->sender, &m->client.conv, st);
	m->comparing = false;
	if (ret)
		return broken(m, st);
	/* Renames of before and meanwhile are done, or what came of them is. */
	m->look(m->look_arg);
	changes_forget_renames(m->changes);
	m->stats.syncs++;
	m->stats.sync_deleted += m->sender.deleted;
	send_free(&m->sender);
	return 0;
}

static int open_list(struct mirror *m, struct status *st)
{
	struct sync_push push = m->push;
	int ret;

	if (m->streaming)
		return 0;
	push.sync = &m->listed;
	ret = client_open(&m->client, m->link, m->o, st);
	if (!ret && !(m->client.conv.features & PROTO_F_LISTED))
		ret = status_set(st, STATUS_VERSION, "the agent on link %s cannot take changes one "
				 "by one: update the ivring over there", m->link);
	/* --max-delete is for all that differs, which a list does not know. */
	m->listed.flags &= ~SYNC_F_REPLACE;
	if (m->push.sync->flags & SYNC_F_DELETE && m->push.sync->max_delete == UINT64_MAX &&
	    m->client.conv.features & PROTO_F_REPLACE)
		m->listed.flags |= SYNC_F_REPLACE;
	if (!ret)
		ret = sync_push_ask(&push, &m->client.conv, st);
	if (ret)
		return ret;
	send_init(&m->sender, &m->client.conv, &m->o->send, &m->watcher);
	m->streaming = true;
	ret = send_set_sync(&m->sender, &m->listed, st);
	return ret ? ret : send_list_open(&m->sender, m->push.root, m->push.near, st);
}

/* When it was changed last, by the clock of changes, as far as file systems tell. */
static int64_t changed_ns(const struct stat *stat)
{
	/* In this order: whoever is held up in between takes it for older. */
	int64_t mine_ns = now_ns();
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return mine_ns - (now.tv_sec - stat->st_ctim.tv_sec) * NSEC_PER_SEC - now.tv_nsec +
	       stat->st_ctim.tv_nsec;
}

static bool look_at(struct mirror *m, const struct change *change, bool *absent)
{
	int fd = path_open_within(m->top, change->path, O_PATH | O_NOFOLLOW);

	*absent = fd == -ENOENT || fd == -ENOTDIR;
	m->has_seen = fd >= 0 && !fstat(fd, &m->seen) && S_ISREG(m->seen.st_mode);
	if (fd >= 0)
		close(fd);
	return m->has_seen;
}

/* What was seen a moment ago, and is newer than what is known of it; or it is not closed. */
static bool is_newer(const struct mirror *m, const struct change *change, int64_t now)
{
	bool quiet = now - changed_ns(&m->seen) >= QUIET_NS;

	if (change->closed_ns)
		return changed_ns(&m->seen) > change->closed_ns && !quiet;
	return !(change->flags & SEND_F_CONTENT) && !change->from && m->seen.st_nlink == 1 && !quiet;
}

/*
 * Whether it is too early to send a file: it was made and is to be closed; or it is newer
 * than what is known of it, and may tell of files that are to be sent before; or it is not
 * there, and nothing is known of that: it, or a directory of its path, may have another name.
 * Then an event will come, and puts it in its place. What changes all the time is sent some
 * time all the same.
 */
static bool is_early(struct mirror *m, const struct change *change, int64_t *until)
{
	bool written = change->flags & (CHANGE_F_MADE | SEND_F_CONTENT), there, absent;
	int64_t now;

	m->has_seen = false;
	*until = 0;
	if (m->last || change->skips >= SKIPS_MAX || (!written && change->flags & SEND_F_REMOVED))
		return false;
	there = look_at(m, change, &absent);
	absent = absent && !(change->flags & SEND_F_REMOVED);
	if (!absent && !(written && there)) {
		m->has_seen = false;
		return false;
	}
	/* Whatever it is now, all that came before is known now. */
	m->look(m->look_arg);
	if (changes_has(m->changes, change->path))
		return true;
	now = now_ns();
	*until = now + (absent ? ABSENT_NS : QUIET_NS);
	return absent || is_newer(m, change, now);
}

/* The next one that is to be sent, or NULL. */
static struct change *take(struct mirror *m)
{
	struct change *change;
	int64_t until;

	while ((change = changes_take(m->changes, m->last ? INT64_MAX : now_ns()))) {
		if (change->flags & CHANGE_F_RENAME || !is_early(m, change, &until))
			return change;
		change->skips++;
		/* If there is a newer one, that has its own time. */
		changes_put_off(m->changes, change, until ? until : now_ns());
	}
	return NULL;
}

static int send_one(struct mirror *m, struct change *change, struct status *st)
{
	struct send_change what = {
		.path = change->path, .stat = m->has_seen ? &m->seen : NULL,
		.flags = change->flags & (SEND_F_NEXT - 1),
	};
	enum send_kind kind = SEND_NOTHING;
	int ret;

	m->now = change;
	change->first = m->sender.number;
	change->last = UINT64_MAX;
	change->content = 0;
	if (change->flags & CHANGE_F_RENAME)
		ret = send_list_rename(&m->sender, change->from, change->path, what.flags, st);
	else
		ret = send_list_change(&m->sender, &what, &kind, st);
	change->last = m->sender.number;
	change->kind = kind;
	change->renamed = change->from && !(change->flags & SEND_F_CONTENT) &&
			  (kind == SEND_FILE || kind == SEND_FILE_LINKED || kind == SEND_OTHER);
	m->now = NULL;
	return ret;
}

/* Less and less often, if it never stands still: its end tells of itself. */
static void put_off(struct mirror *m, struct change *change, int64_t now)
{
	unsigned int pause;

	change->raced = false;
	change->skips++;
	pause = change->skips < PAUSES_MAX ? change->skips : PAUSES_MAX;
	changes_put_off(m->changes, change, now + (QUIET_NS << pause));
}

static void settle(struct mirror *m, struct change *change, int64_t now)
{
	bool is_file = change->kind == SEND_FILE || change->kind == SEND_FILE_LINKED;
	int64_t latency_ns = -1;

	if (change->raced && !m->last) {
		put_off(m, change, now);
		return;
	}
	if (change->kind == SEND_FILE_LINKED)
		m->has_links = true;
	if (change->code)
		note(m, change->path, change->code);
	else if (!(change->flags & CHANGE_F_RENAME))
		failures_clear(&m->failures, change->path, change->kind == SEND_GONE);
	if (!change->code && is_file && change->closed_ns) {
		latency_ns = now - change->closed_ns;
		latency_add(&m->stats.latency, latency_ns);
	}
	if (!change->code) {
		m->stats.renamed += change->renamed;
		m->stats.files += is_file && !change->renamed;
		m->stats.others += change->kind == SEND_OTHER && !change->renamed;
		m->stats.deleted += change->kind == SEND_GONE && m->deletes;
		mirror_tell_change(m, change, latency_ns);
	}
	change_free(change);
}

static int send_round(struct mirror *m, struct change *change, struct status *st)
{
	int64_t until = now_ns() + MIRROR_ROUND_NS;
	bool damaged = false;
	int ret;

	ret = open_list(m, st);
	if (!ret)
		ret = send_list_begin(&m->sender, st);
	while (!ret && change) {
		ret = send_one(m, change, st);
		/* At once: it may be renamed before the round is over. */
		if (!ret && change->raced && !m->last)
			put_off(m, m->hand[--m->hand_count], now_ns());
		changes_sent(m->changes);
		change = NULL;
		if (!ret && m->hand_count < MIRROR_ROUND_MAX && now_ns() < until)
			change = take(m);
		if (change)
			m->hand[m->hand_count++] = change;
	}
	if (!ret)
		ret = send_list_end(&m->sender, &damaged, st);
	return ret || !damaged ? ret : finish(m, st);
}

int mirror_round(struct mirror *m, bool *busy, struct status *st)
{
	struct change *change = take(m);
	int64_t now;
	size_t i;

	*busy = change;
	if (!change)
		return 0;
	m->hand[m->hand_count++] = change;
	if (send_round(m, change, st))
		return broken(m, st);
	now = now_ns();
	m->stats.rounds++;
	for (i = 0; i < m->hand_count; i++)
		settle(m, m->hand[i], now);
	m->hand_count = 0;
	return 0;
}

int mirror_ping(struct mirror *m, struct status *st)
{
	bool damaged;

	if (!m->streaming)
		return mirror_rest(m, st);
	return send_list_end(&m->sender, &damaged, st) ? broken(m, st) : 0;
}

void mirror_free(struct mirror *m)
{
	send_free(&m->sender);
	close_link(m);
	while (m->hand_count)
		change_free(m->hand[--m->hand_count]);
	failures_reset(&m->failures);
}

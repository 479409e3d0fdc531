// SPDX-License-Identifier: GPL-2.0
#include "libivring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "status.h"
#include "util.h"

/*
 * A wait is cut into pieces of this length. A signal that comes between the
 * look at stop_signal and the system call goes unseen no longer than that.
 */
#define WAIT_SLICE_NS		NSEC_PER_SEC

#define LINK_PREFIX		"ivring"

int ivring_link_number(const char *node)
{
	size_t prefix = strlen(LINK_PREFIX);
	uint64_t number;

	if (strncmp(node, LINK_PREFIX, prefix) || !parse_number(node + prefix, 1 << 20, &number))
		return -1;
	return (int)number;
}

int ivring_link_info(unsigned int link, struct ivring_link_info *info)
{
	char path[64];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/dev/" LINK_PREFIX "%u", link);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	memset(info, 0, sizeof(*info));
	if (ioctl(fd, IVRING_IOC_LINK_INFO, info))
		ret = -errno;
	close(fd);
	info->label[sizeof(info->label) - 1] = '\0';
	return ret;
}

int ivring_link_queue(unsigned int link)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/" LINK_PREFIX "%u", link);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* While somebody looks, by an exclusive lock, the next time will do. */
	if (fd >= 0)
		flock(fd, LOCK_SH | LOCK_NB);
	return fd < 0 ? -errno : fd;
}

bool ivring_link_is_queued(unsigned int link)
{
	char path[64];
	bool queued;
	int fd;

	snprintf(path, sizeof(path), "/dev/" LINK_PREFIX "%u", link);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	queued = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
	if (fd >= 0)
		close(fd);
	return queued;
}

static int compare_links(const void *a, const void *b)
{
	const struct ivring_link_info *x = a, *y = b;

	return x->link < y->link ? -1 : x->link > y->link;
}

static int list_add(struct ivring_link_info **list, size_t *count, unsigned int link)
{
	struct ivring_link_info info, *bigger;
	int ret = ivring_link_info(link, &info);

	if (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO)
		return 0;	/* went away meanwhile */
	if (ret)
		return ret;
	bigger = realloc(*list, (*count + 1) * sizeof(info));
	if (!bigger)
		return -ENOMEM;
	bigger[(*count)++] = info;
	*list = bigger;
	return 0;
}

int ivring_link_list(struct ivring_link_info **list, size_t *count)
{
	struct dirent *entry;
	int number, denied = 0, ret = 0;
	DIR *dir;

	*list = NULL;
	*count = 0;
	dir = opendir("/dev");
	if (!dir)
		return -errno;
	while (!ret && (entry = readdir(dir))) {
		number = ivring_link_number(entry->d_name);
		if (number >= 0)
			ret = list_add(list, count, number);
		/* A link of others is none of ours; unless there are only such. */
		if (ret == -EACCES || ret == -EPERM) {
			denied = ret;
			ret = 0;
		}
	}
	closedir(dir);
	if (!ret && !*count)
		ret = denied;
	if (ret) {
		free(*list);
		*list = NULL;
		*count = 0;
	} else if (*count) {
		qsort(*list, *count, sizeof(**list), compare_links);
	}
	return ret;
}

/* How well @name names the link: 2 by number, 1 by label or role, 0 not at all. */
static int link_matches(const struct ivring_link_info *info, const char *name)
{
	uint64_t number;

	if (!strncmp(name, "/dev/", 5))
		name += 5;
	if (ivring_link_number(name) == (int)info->link)
		return 2;
	if (parse_number(name, UINT32_MAX, &number) && number == info->link)
		return 2;
	if (!strcmp(name, info->label) || (!strcmp(name, "host") && info->side == 1))
		return 1;
	return 0;
}

const char *ivring_no_links_hint(void)
{
	if (access(IVRING_SYSFS_CLASS, F_OK))
		return "no module is loaded (modprobe ivring_host on a host, ivring_guest in a "
		       "guest)";
	return "run `ivring serve` on the host, and give the guest its device";
}

static int link_not_found(const char *name, const char *why, const struct ivring_link_info *list,
			  size_t count, struct status *st)
{
	size_t i, used;

	status_set(st, STATUS_NO_LINK, "%s: %s; there are%s%s", printable(name), why,
		   count ? ": " : " no links at all: ", count ? "" : ivring_no_links_hint());
	for (i = 0; i < count; i++) {
		used = strlen(st->text);
		snprintf(st->text + used, sizeof(st->text) - used, "%s" LINK_PREFIX "%u (%s)",
			 i ? ", " : "", list[i].link, list[i].label);
	}
	return -STATUS_NO_LINK;
}

int ivring_link_find(const char *name, struct ivring_link_info *info, struct status *st)
{
	size_t count, i, found = 0, matches = 0;
	struct ivring_link_info *list;
	int ret, match, best = 0;

	ret = ivring_link_list(&list, &count);
	if (ret)
		return status_errno(st, status_access(-ret, STATUS_NO_LINK), -ret,
				    "cannot look at the links in /dev");
	for (i = 0; i < count; i++) {
		match = link_matches(&list[i], name);
		if (match > best) {
			best = match;
			matches = 0;
		}
		if (match && match == best) {
			found = i;
			matches++;
		}
	}
	if (matches == 1)
		*info = list[found];
	else
		ret = link_not_found(name, matches ? "more than one link has this name" :
				     "no link has this name", list, count, st);
	free(list);
	return ret;
}

const char *ivring_link_state_name(uint32_t state)
{
	static const char * const names[] = {
		[IVRING_LINK_WAITING] = "waiting",
		[IVRING_LINK_UP] = "up",
		[IVRING_LINK_MISMATCH] = "mismatch",
		[IVRING_LINK_STALLED] = "stalled",
		[IVRING_LINK_DEAD] = "dead",
		[IVRING_LINK_SPLIT] = "split",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

const char *ivring_memory_type_name(uint32_t type)
{
	static const char * const names[] = {
		[IVRING_MEMORY_UNKNOWN] = "unknown",
		[IVRING_MEMORY_WB] = "write-back",
		[IVRING_MEMORY_UNCACHED] = "uncached",
	};

	return type < ARRAY_SIZE(names) ? names[type] : "unknown";
}

int ivring_chan_open(struct ivring_chan *ch, unsigned int link, unsigned int channel)
{
	char path[64];
	int ret;

	memset(ch, 0, sizeof(*ch));
	ch->ops = &ring_ops;
	ch->timeout_ms = -1;
	snprintf(path, sizeof(path), "/dev/" LINK_PREFIX "%uc%u", link, channel);
	ch->fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (ch->fd < 0)
		return -errno;
	ret = ring_map(ch);
	if (ret)
		ivring_chan_close(ch);
	return ret;
}

void ivring_chan_close(struct ivring_chan *ch)
{
	ch->ops->close(ch);
	ch->tx = NULL;
	ch->rx = NULL;
	ch->fd = -1;
}

/* Time left until @deadline, at most a slice. */
static int64_t next_slice(int64_t deadline)
{
	int64_t left;

	if (deadline < 0)
		return WAIT_SLICE_NS;
	left = deadline - now_ns();
	if (left <= 0)
		return 0;
	return left < WAIT_SLICE_NS ? left : WAIT_SLICE_NS;
}

static int64_t make_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : now_ns() + timeout_ms * NSEC_PER_MSEC;
}

/*
 * What a piece of a wait that gave @ret means for the whole: zero to go on
 * waiting, else the result.
 */
static int slice_over(struct ivring_chan *ch, int ret, int64_t slice)
{
	if (stop_signal)
		return -EINTR;
	if (ret == -EINTR)
		return 0;
	if (ret == -EAGAIN && !slice)
		return -ETIMEDOUT;
	if (ret != -ETIMEDOUT)
		return ret;
	/* The same error tells that the peer's heart stopped. */
	if (ch->ops->is_reset(ch))
		return -ECONNRESET;
	return slice ? 0 : -ETIMEDOUT;
}

int ivring_chan_connect(struct ivring_chan *ch, int timeout_ms)
{
	int64_t deadline = make_deadline(timeout_ms);
	struct ivring_wait wait;
	int ret;

	for (;;) {
		memset(&wait, 0, sizeof(wait));
		wait.events = IVRING_WAIT_CONNECTED;
		wait.rx_min = 1;
		wait.tx_min = 1;
		/* For ever means no waking up at all: see stop_set_idle(). */
		wait.timeout_ns = deadline < 0 ? -1 : next_slice(deadline);
		ret = ch->ops->wait(ch, &wait);
		if (!ret)
			return ch->ops->connected ? ch->ops->connected(ch) : 0;
		ret = slice_over(ch, ret, wait.timeout_ns);
		if (ret)
			return ret;
	}
}

/* Whether more than @*heard bytes have come that nobody has read yet: so many. */
static bool hears_more(struct ivring_chan *ch, uint64_t *heard)
{
	struct ivring_span span = { .min = *heard + 1 };

	if (*heard >= ch->ring_size || ch->ops->peek(ch, &span) || span.len <= *heard)
		return false;
	*heard = span.len;
	return true;
}

/*
 * Gets a span of at least @min bytes; what it had before lies at the start of
 * the new one. Who has to sleep for it sleeps until there are @batch bytes:
 * being woken costs more than waiting.
 */
static int get_span(struct ivring_chan *ch, struct ivring_chan_span *cs, uint64_t min,
		    uint64_t batch, int (*op)(struct ivring_chan *ch, struct ivring_span *span))
{
	int64_t deadline = make_deadline(ch->timeout_ms);
	struct ivring_span span;
	uint64_t want = min, heard = 0;
	bool waits = false, listens = false;
	int64_t slice = 0;
	int ret;

	if (cs == &ch->tx_span)
		ch->tx_least = min;
	for (;;) {
		memset(&span, 0, sizeof(span));
		span.min = want;
		span.timeout_ns = slice;
		ret = op(ch, &span);
		if (!ret)
			break;
		if (ret == -EAGAIN && !waits) {
			waits = true;
			want = batch > min ? batch : min;
			slice = next_slice(deadline);
			continue;
		}
		ret = slice_over(ch, ret, slice);
		/* The peer may be slow, but not dead: then there is less than a batch. */
		if (ret == -ETIMEDOUT && want > min) {
			want = min;
			slice = 0;
			continue;
		}
		/*
		 * A peer that works on one thing for long says so now and then, to whoever
		 * waits for room and does not read meanwhile.
		 */
		if (ret == -ETIMEDOUT && listens && hears_more(ch, &heard))
			deadline = make_deadline(ch->timeout_ms);
		else if (ret)
			return ret;
		if (!listens && slice && cs == &ch->tx_span) {
			listens = true;
			while (hears_more(ch, &heard))
				;
		}
		slice = next_slice(deadline);
	}
	if (span.offset >= ch->ring_size || span.len > ch->ring_size)
		return -EPROTO;
	cs->offset = span.offset;
	cs->len = span.len;
	cs->done = 0;
	return 0;
}

/* Tells the ring about what was used of a span. */
static int put_span(struct ivring_chan *ch, struct ivring_chan_span *cs,
		    int (*op)(struct ivring_chan *ch, struct ivring_span *span))
{
	struct ivring_span span = { .offset = cs->offset, .len = cs->done };
	int ret;

	if (!cs->done)
		return 0;
	ret = op(ch, &span);
	if (ret)
		return ret;
	cs->offset = (cs->offset + cs->done) & (ch->ring_size - 1);
	cs->len -= cs->done;
	cs->done = 0;
	return 0;
}

int ivring_chan_reserve(struct ivring_chan *ch, uint64_t min, void **p, uint64_t *len)
{
	struct ivring_chan_span *cs = &ch->tx_span;
	int ret;

	if (cs->len - cs->done < min) {
		ret = ivring_chan_flush(ch);
		if (!ret)
			ret = get_span(ch, cs, min, ch->window / 2, ch->ops->reserve);
		if (ret)
			return ret;
	}
	*p = ch->tx + cs->offset + cs->done;
	*len = cs->len - cs->done;
	return 0;
}

void ivring_chan_fill(struct ivring_chan *ch, uint64_t len)
{
	ch->tx_span.done += len;
}

int ivring_chan_flush(struct ivring_chan *ch)
{
	return put_span(ch, &ch->tx_span, ch->ops->commit);
}

int ivring_chan_peek(struct ivring_chan *ch, uint64_t min, const void **p, uint64_t *len)
{
	struct ivring_chan_span *cs = &ch->rx_span;
	int ret;

	if (cs->len - cs->done < min) {
		/*
		 * A peer that closed takes nothing any more, but what it sent
		 * before is still to be read: why it closed, for instance.
		 */
		ret = ivring_chan_flush(ch);
		if (!ret || ret == -EPIPE)
			ret = ivring_chan_release(ch);
		if (!ret || ret == -EPIPE)
			ret = get_span(ch, cs, min, 0, ch->ops->peek);
		if (ret)
			return ret;
	}
	*p = ch->rx + cs->offset + cs->done;
	*len = cs->len - cs->done;
	return 0;
}

void ivring_chan_consume(struct ivring_chan *ch, uint64_t len)
{
	ch->rx_span.done += len;
}

int ivring_chan_release(struct ivring_chan *ch)
{
	return put_span(ch, &ch->rx_span, ch->ops->release);
}

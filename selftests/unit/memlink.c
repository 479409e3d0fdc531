// SPDX-License-Identifier: GPL-2.0
#include "memlink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	printf("Bail out! %s\n", what);
	exit(1);
}

static uint8_t *map_twice(uint64_t size)
{
	int fd = memfd_create("memlink", MFD_CLOEXEC);
	uint8_t *p, *q;

	must(fd >= 0 && !ftruncate(fd, size), "memfd");
	p = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(p != MAP_FAILED, "mmap");
	q = mmap(p, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	must(q == p, "mmap");
	q = mmap(p + size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	must(q == p + size, "mmap");
	close(fd);
	return p;
}

static struct memside *memside(struct ivring_chan *ch)
{
	return (struct memside *)ch;
}

/* Returns with the lock held: 0 when @have() reached @min, else why it never will. */
static int wait_for(struct memside *s, uint64_t min, int64_t timeout_ns,
		    uint64_t (*have)(const struct memside *s), bool read)
{
	struct memlink *l = s->link;
	bool may_wait = timeout_ns;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	timeout_ns += until.tv_nsec;
	until.tv_sec += timeout_ns / 1000000000;
	until.tv_nsec = timeout_ns % 1000000000;
	pthread_mutex_lock(&l->lock);
	s->calls++;
	for (;;) {
		if (l->reset)
			return -ECONNRESET;
		if (l->closed[!s->side] && !read)
			return -EPIPE;
		if (have(s) >= min || l->closed[!s->side])
			return 0;
		if (!may_wait)
			return -EAGAIN;
		if (pthread_cond_timedwait(&l->changed, &l->lock, &until))
			return -ETIMEDOUT;
	}
}

static uint64_t readable(const struct memside *s)
{
	const struct memring *r = &s->link->ring[!s->side];

	return r->prod - r->cons;
}

static uint64_t writable(const struct memside *s)
{
	const struct memring *r = &s->link->ring[s->side];

	return s->link->window - (r->prod - r->cons);
}

static int mem_reserve(struct ivring_chan *ch, struct ivring_span *span)
{
	struct memside *s = memside(ch);
	int ret;

	if (!span->min || span->min > s->link->window)
		return -EINVAL;
	ret = wait_for(s, span->min, span->timeout_ns, writable, false);
	span->offset = s->link->ring[s->side].prod % s->link->ring_size;
	span->len = writable(s);
	pthread_mutex_unlock(&s->link->lock);
	return ret;
}

static int mem_peek(struct ivring_chan *ch, struct ivring_span *span)
{
	struct memside *s = memside(ch);
	int ret;

	if (!span->min || span->min > s->link->ring_size)
		return -EINVAL;
	ret = wait_for(s, span->min, span->timeout_ns, readable, true);
	span->offset = s->link->ring[!s->side].cons % s->link->ring_size;
	span->len = readable(s);
	pthread_mutex_unlock(&s->link->lock);
	return ret;
}

static int advance(struct memside *s, uint64_t *index, uint64_t len, uint64_t most)
{
	int ret = 0;

	s->calls++;
	if (len > most)
		ret = -EINVAL;
	else if (s->link->reset)
		ret = -ECONNRESET;
	else
		*index += len;
	pthread_cond_broadcast(&s->link->changed);
	pthread_mutex_unlock(&s->link->lock);
	return ret;
}

static int mem_commit(struct ivring_chan *ch, struct ivring_span *span)
{
	struct memside *s = memside(ch);
	struct memring *r = &s->link->ring[s->side];

	pthread_mutex_lock(&s->link->lock);
	if (s->link->closed[!s->side]) {
		pthread_mutex_unlock(&s->link->lock);
		return -EPIPE;
	}
	must(span->offset == r->prod % s->link->ring_size, "commit at the wrong place");
	if (s->link->tamper)
		s->link->tamper(s->side, r->data + span->offset, span->len);
	return advance(s, &r->prod, span->len, writable(s));
}

static int mem_release(struct ivring_chan *ch, struct ivring_span *span)
{
	struct memside *s = memside(ch);
	struct memring *r = &s->link->ring[!s->side];

	pthread_mutex_lock(&s->link->lock);
	must(span->offset == r->cons % s->link->ring_size, "release at the wrong place");
	return advance(s, &r->cons, span->len, readable(s));
}

static int mem_wait(struct ivring_chan *ch, struct ivring_wait *wait)
{
	(void)ch;
	(void)wait;
	return 0;
}

static bool mem_is_reset(struct ivring_chan *ch)
{
	return memside(ch)->link->reset;
}

static void mem_close(struct ivring_chan *ch)
{
	struct memside *s = memside(ch);

	pthread_mutex_lock(&s->link->lock);
	s->link->closed[s->side] = true;
	pthread_cond_broadcast(&s->link->changed);
	pthread_mutex_unlock(&s->link->lock);
}

static const struct ivring_chan_ops mem_ops = {
	.reserve = mem_reserve,
	.commit = mem_commit,
	.peek = mem_peek,
	.release = mem_release,
	.wait = mem_wait,
	.is_reset = mem_is_reset,
	.close = mem_close,
};

void memlink_init(struct memlink *link, uint64_t ring_size, uint64_t window)
{
	struct ivring_chan *ch;
	unsigned int i;

	memset(link, 0, sizeof(*link));
	pthread_mutex_init(&link->lock, NULL);
	pthread_cond_init(&link->changed, NULL);
	link->ring_size = ring_size;
	link->window = window;
	for (i = 0; i < 2; i++)
		link->ring[i].data = map_twice(ring_size);
	for (i = 0; i < 2; i++) {
		ch = &link->sides[i].chan;
		link->sides[i].link = link;
		link->sides[i].side = i;
		ch->ops = &mem_ops;
		ch->fd = -1;
		ch->timeout_ms = 10000;
		ch->tx = link->ring[i].data;
		ch->rx = link->ring[!i].data;
		ch->ring_size = ring_size;
		ch->window = window;
	}
}

void memlink_destroy(struct memlink *link)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		munmap(link->ring[i].data, 2 * link->ring_size);
	pthread_cond_destroy(&link->changed);
	pthread_mutex_destroy(&link->lock);
}

void memlink_reset(struct memlink *link)
{
	pthread_mutex_lock(&link->lock);
	link->reset = true;
	pthread_cond_broadcast(&link->changed);
	pthread_mutex_unlock(&link->lock);
}

struct ivring_chan *memlink_chan(struct memlink *link, unsigned int side)
{
	return &link->sides[side].chan;
}

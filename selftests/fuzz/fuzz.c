// SPDX-License-Identifier: GPL-2.0
/*
 * A hostile peer for the core itself: link.c, conn.c, channel.c, copy.c, message.c
 * and user.c as they are, and for messages in place (messages.c), over memory that
 * changes before any read of it as the fuzzer's input says.
 *
 * The input is read from the front by whoever has a turn: our side's users, who
 * open, close, read, write, wait, poll, reserve, commit, peek, release, shut down,
 * and take the indices to move them as they like; and the peer, who has a turn
 * before every read of shared memory and while we sleep. It may write any byte of the
 * region, ring any doorbell, come and go, and it also knows how to behave, so that the
 * input need not guess how a conversation is opened. When the input is used up the peer
 * falls silent; one that never does is in endless.c.
 *
 * Checked besides what the sanitizers see: copies stay within the ring's double
 * mapping, which has no neighbours; no byte is delivered that no index of the
 * peer's covered; every call ends within a bounded number of looks and sleeps;
 * errors are those of the documentation; an impossible index ends in BROKEN.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>
#include "kernel.h"
#include <ivring/tune.h>
#include "link.c"
#include "conn.c"
#include "channel.c"
#include "copy.c"
#include "message.c"
#include "user.c"

#define REGION		IVRING_WIRE_REGION_SIZE_MIN
#define CHANNELS	2	/* as a rule: a superblock may be spoiled */
#define FILES		3
/* Sleeps until a signal ends the call, and looks until it is called endless. */
#define SLEEPS_MAX	40
#define LOOKS_MAX	200000

static const u8 *input;
static size_t input_left;

static u8 *region;		/* all of it, as the peer sees it */
static u8 *control;		/* our side's mapping of what lies before the data */
static u8 *rings[2 * IVRING_WIRE_CHANNELS_MAX];	/* and of each ring's data, twice */
static u64 control_size, rings_size;
static int memfd = -1;

static struct ivring_link *link_under_test;
static struct ivring_file files[FILES];
static u64 clock_ns;
static unsigned int sleeps, looks, depth;
static bool woken, quiet, bells_off;
/* What the peer does without end, and one of these things, see endless.c */
static unsigned int endless;
#define ENDLESS_BELLS	(1 << 7)
/* Where the peer's data ends, once it sends no more */
static u64 end_epoch[IVRING_WIRE_CHANNELS_MAX], end_at[IVRING_WIRE_CHANNELS_MAX];

/* How far the peer's index reached in this conversation, by what was read of it. */
static u64 covered[IVRING_WIRE_CHANNELS_MAX], covered_epoch[IVRING_WIRE_CHANNELS_MAX];
/* The conversation in which our own user space moved the indices. */
static u64 taken_epoch[IVRING_WIRE_CHANNELS_MAX];

bool fuzz_signal;
u64 fuzz_random;

struct class ivring_class;
dev_t ivring_devt;
const struct file_operations ivring_link_fops, ivring_channel_fops;
const struct attribute_group *ivring_link_groups[1], *ivring_channel_groups[1];

const char *ivring_link_state_name(u32 state)
{
	return "";
}

const char *ivring_channel_state_name(u32 state)
{
	return "";
}

void ivring_channel_zap(struct ivring_channel *ch)
{
}

void ivring_memory_probe(struct ivring_link *link)
{
}

/* Limits as the administrator might have set them; see tune.c */
u64 ivring_tune_window(u64 ring)
{
	return ring;
}

u64 ivring_tune_chunk(const struct ivring_channel *ch)
{
	return ch->chunk ?: ivring_chunk_auto(ch->tx.window);
}

u32 ivring_tune_spin_max(const struct ivring_file *f)
{
	return ivring_spin_max(min(5000U, f->spin_max_ns), 2);
}

#define CHECK(x) do {							\
	if (!(x)) {							\
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);	\
		abort();						\
	}								\
} while (0)

/* ---- input ---- */

static u8 next8(void)
{
	if (!input_left)
		return 0;
	input_left--;
	return *input++;
}

static u64 next64(void)
{
	u64 v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | next8();
	return v;
}

/* Small, near @base, or anything */
static u64 next_near(u64 base)
{
	u8 kind = next8();

	if (kind < 160)
		return base + (kind & 31) - 8;
	if (kind < 200)
		return base + ((u64)(kind & 31) << 8);
	if (kind < 220)
		return kind & 15;
	return next64();
}

/* ---- memory ---- */

/* A mapping of part of the region with nothing on either side of it */
static u8 *map_alone(u64 offset, u64 len, int times)
{
	u8 *p = mmap(NULL, times * len + 2 * PAGE_SIZE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int i;

	CHECK(p != MAP_FAILED);
	for (i = 0; i < times; i++)
		CHECK(mmap(p + PAGE_SIZE + i * len, len, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, memfd, offset) != MAP_FAILED);
	return p + PAGE_SIZE;
}

static void unmap_alone(u8 *p, u64 len, int times)
{
	munmap(p - PAGE_SIZE, times * len + 2 * PAGE_SIZE);
}

/* Only ever called for what lies before the data. */
void *ivring_memory_vmap(const struct ivring_link_params *params, unsigned long first,
			 unsigned long count, unsigned int times)
{
	return region + first * PAGE_SIZE;
}

int ivring_memory_map(struct ivring_link *link)
{
	const struct ivring_wire_geometry *g = &link->geo;
	u32 side = link->params.side, c, r;

	control_size = g->data_offset;
	rings_size = g->ring_size;
	control = map_alone(0, control_size, 1);
	link->map = control;
	link->own = link->map + g->side_offset + side * sizeof(*link->own);
	link->peer = link->map + g->side_offset + !side * sizeof(*link->own);
	CHECK(g->side_offset >= PAGE_SIZE && g->channel_offset >= g->side_offset + 2 * PAGE_SIZE);
	CHECK(g->data_offset >= g->channel_offset + g->channels * PAGE_SIZE);
	CHECK(g->data_offset <= REGION && g->channels <= IVRING_WIRE_CHANNELS_MAX);
	CHECK(2 * g->channels * g->ring_size <= REGION - g->data_offset);
	for (r = 0; r < 2 * g->channels; r++)
		rings[r] = map_alone(g->data_offset + r * g->ring_size, g->ring_size, 2);
	for (c = 0; c < g->channels; c++) {
		struct ivring_wire_channel *w = link->map + g->channel_offset;
		struct ivring_channel *ch = link->channels[c];

		w += c;
		ch->own = &w->conn[side];
		ch->peer = &w->conn[!side];
		ch->tx.own = &w->ring[side].producer;
		ch->tx.peer = &w->ring[side].consumer;
		ch->rx.own = &w->ring[!side].consumer;
		ch->rx.peer = &w->ring[!side].producer;
		ch->tx_data = rings[2 * c + side];
		ch->rx_data = rings[2 * c + !side];
	}
	return 0;
}

void ivring_memory_unmap(struct ivring_link *link)
{
	u32 r;

	if (!link->map)
		return;
	unmap_alone(control, control_size, 1);
	for (r = 0; r < 2 * link->geo.channels; r++)
		unmap_alone(rings[r], rings_size, 2);
	link->map = NULL;
}

/* ---- the peer ---- */

static struct ivring_channel *any_channel(void)
{
	return link_under_test->channels[next8() % link_under_test->geo.channels];
}

/* What is const to our side is not to the peer. */
#define POKE(field, v) do {						\
	u64 v_ = (v);							\
									\
	memcpy((void *)(uintptr_t)&(field), &v_, sizeof(field));	\
} while (0)

static void peer_appears(void)
{
	struct ivring_wire_side *s = (struct ivring_wire_side *)link_under_test->peer;

	memset(s, 0, sizeof(*s));
	s->id = 1;
	s->vectors = 1 + next8() % 3;
	s->version = IVRING_WIRE_VERSION;
	s->version_min = IVRING_WIRE_VERSION_MIN;
	s->state = IVRING_WIRE_SIDE_READY;
	s->epoch = 1 + next8() % 4;
}

static void peer_opens(struct ivring_channel *ch)
{
	u32 agreed = ch->own->flags & IVRING_WIRE_CONN_F_MESSAGES;

	POKE(ch->peer->flags, next8() < 8 ? next8() : agreed);
	POKE(ch->peer->ack, ch->own->epoch);
	POKE(ch->rx.peer->prod, 0);
	POKE(ch->rx.peer->event, 0);
	POKE(ch->tx.peer->cons, 0);
	POKE(ch->tx.peer->event, 0);
	POKE(ch->peer->epoch, 1 + next8() % 4);
}

static void peer_writes_anywhere(void)
{
	u64 offset = next64() % REGION;
	u8 n = next8() % 16;

	while (n-- && offset < REGION)
		region[offset++] = next8();
}

static void peer_turn(void)
{
	struct ivring_link *link = link_under_test;
	struct ivring_channel *ch;

	switch (next8() & 63) {
	case 0:
		peer_appears();
		break;
	case 1:
		POKE(link->peer->epoch, next_near(link->peer->epoch));
		break;
	case 2:
		POKE(link->peer->heartbeat, link->peer->heartbeat + 1);
		break;
	case 3:
	case 4:
		peer_opens(any_channel());
		break;
	case 5:
		ch = any_channel();
		POKE(ch->peer->ack, ch->own->epoch);
		break;
	case 6:
		ch = any_channel();
		POKE(ch->peer->flags, next8());
		break;
	case 7:
		ch = any_channel();
		POKE(ch->peer->epoch, next8() % 4);
		break;
	case 8:
	case 9:
	case 10:
		ch = any_channel();
		POKE(ch->rx.peer->prod, next_near(ch->rx.peer->prod + 8));
		break;
	case 11:
		ch = any_channel();
		POKE(ch->rx.peer->prod, ch->rx.cons + ch->rx.size);
		break;
	case 12:
	case 13:
		ch = any_channel();
		POKE(ch->tx.peer->cons, ch->tx.prod);
		break;
	case 14:
		ch = any_channel();
		POKE(ch->tx.peer->cons, next_near(ch->tx.peer->cons + 8));
		break;
	case 15:
		ch = any_channel();
		POKE(ch->tx.peer->event, next_near(ch->tx.prod));
		break;
	case 16:
		ch = any_channel();
		POKE(ch->rx.peer->event, next_near(ch->rx.cons));
		break;
	case 17:
		peer_writes_anywhere();
		break;
	case 18:
		POKE(link->peer->vectors, next_near(1));
		break;
	case 19:
	case 20:
	case 21:
	case 22:
		if (!bells_off)
			ivring_link_interrupt(link, next8() & 3);
		break;
	default:
		break;
	}
}

/* What was read of the peer's index covers that many bytes. */
static void note_covered(const volatile void *p)
{
	u32 c;

	for (c = 0; c < link_under_test->geo.channels; c++) {
		struct ivring_channel *ch = link_under_test->channels[c];
		u64 prod;

		if (p != (const volatile void *)&ch->rx.peer->prod)
			continue;
		if (covered_epoch[c] != ch->epoch) {
			covered_epoch[c] = ch->epoch;
			covered[c] = 0;
		}
		prod = ch->rx.peer->prod;
		if (prod - ch->rx.cons <= ch->rx.size && prod > covered[c])
			covered[c] = prod;
	}
}

#include "messages.c"

static void peer_goes_on(void);

void fuzz_look(const volatile void *p)
{
	if (msg.on) {
		messages_look(p);
		return;
	}
	if (!link_under_test || !link_under_test->map || (u8 *)p < control ||
	    (u8 *)p >= control + control_size)
		return;
	CHECK(++looks < LOOKS_MAX);
	if (endless && !depth) {
		depth++;
		peer_goes_on();
		depth--;
	} else if (!quiet && !depth && input_left) {
		depth++;
		peer_turn();
		depth--;
	}
	note_covered(p);
}

/* A copy by our side: all of it in one ring's double mapping? */
void fuzz_copy(const void *shared, size_t len, bool write)
{
	const u8 *p = shared;
	u32 c;

	for (c = 0; c < link_under_test->geo.channels; c++) {
		struct ivring_channel *ch = link_under_test->channels[c];
		const u8 *data = write ? ch->tx_data : ch->rx_data;

		if (p < data || p >= data + 2 * rings_size)
			continue;
		CHECK(len <= 2 * rings_size - (p - data));
		CHECK(len <= (write ? ivring_tx_cached_space(&ch->tx) :
				      covered[c] - ch->rx.cons));
		CHECK(write || covered_epoch[c] == ch->epoch);
		/* The conversation may end, and others begin, in mid-copy. */
		fuzz_look(control);
		return;
	}
	CHECK(!"a copy outside of the rings");
}

/* So many 32nds of the memory for the next copy are not there. */
static u8 absent;

/* May it sleep, and is the memory there? Mostly. */
static bool user_memory(void)
{
	u8 how = next8();

	absent = how < 192 ? 0 : (how - 190) / 2;
	return how & 1;
}

size_t fuzz_present(size_t len)
{
	size_t missing = absent ? (len * absent + 31) / 32 : 0;

	absent = 0;
	return len - min(len, missing);
}

/* ---- time ---- */

u64 fuzz_now(void)
{
	return clock_ns += 500;
}

void fuzz_wake(void)
{
	woken = true;
}

void fuzz_unwake(void)
{
	woken = false;
}

static void ring_peer(void *priv, u32 peer_id, u32 vector)
{
	CHECK(peer_id <= IVRING_WIRE_ID_MAX);
	CHECK(vector < IVRING_WIRE_VECTORS_MAX);
}

static void run_delayed(struct delayed_work *d)
{
	if (d->work.queued) {
		d->work.queued = false;
		d->work.func(&d->work);
	}
}

static void run_work(void)
{
	run_delayed(&link_under_test->work);
}

static void run_tick(void)
{
	run_delayed(&link_under_test->tick);
}

/* Wakes that were put off come in time. */
static void run_late_wakes(void)
{
	u32 c;

	for (c = 0; c < link_under_test->geo.channels; c++) {
		struct delayed_work *late = &link_under_test->channels[c]->late_wake;

		if (late->work.queued)
			clock_ns += NSEC_PER_MSEC;
		run_delayed(late);
	}
}

bool fuzz_sleep(u64 ns)
{
	bool was;

	CHECK(!link_under_test->lock.held);
	/* A peer that does not ring wakes nobody: then who did not sleep goes on. */
	if (endless && !(endless & ENDLESS_BELLS) && woken) {
		woken = false;
		return true;
	}
	if (++sleeps > SLEEPS_MAX)
		fuzz_signal = true;
	if (fuzz_signal)
		return true;
	if (endless) {
		looks = 0;
	} else if (!quiet && input_left) {
		depth++;
		peer_turn();
		depth--;
	}
	run_work();
	run_late_wakes();
	was = woken;
	woken = false;
	if (was)
		return true;
	clock_ns += min(ns, (u64)IVRING_TICK_NS);
	run_tick();
	return false;
}

/* ---- our users ---- */

static void call_begins(void)
{
	sleeps = 0;
	looks = 0;
	woken = false;
	fuzz_signal = false;
}

static void check_ret(s64 ret)
{
	switch (ret) {
	case -EAGAIN:
	case -EINTR:
	case -ERESTARTSYS:
	case -ETIMEDOUT:
	case -ECONNRESET:
	case -EPIPE:
	case -EPROTO:
	case -EPROTONOSUPPORT:
	case -EINVAL:
	case -EBUSY:
	case -EMSGSIZE:
	case -EPROTOTYPE:
		return;
	default:
		CHECK(ret >= 0);
	}
}

static void check_channel(struct ivring_channel *ch)
{
	CHECK(!ch->lock.held && !link_under_test->lock.held);
	CHECK(!ch->user || ch->exclusive);
	CHECK(ivring_tx_cached_space(&ch->tx) <= ch->tx.window);
	if (ch->rx_shutdown && (ch->state == IVRING_CHANNEL_CONNECTED ||
				(ch->state == IVRING_CHANNEL_PEER_CLOSED && !ch->user))) {
		if (end_epoch[ch->index] != ch->epoch)
			end_at[ch->index] = ch->rx.prod;
		end_epoch[ch->index] = ch->epoch;
		CHECK(ch->rx.prod == end_at[ch->index]);
	}
	if (taken_epoch[ch->index] == ch->epoch)
		return;
	CHECK(ch->tx.prod - ch->tx.cons <= ch->tx.window);
	CHECK(ivring_rx_cached_avail(&ch->rx) <= ch->rx.size);
	CHECK(!ch->tx_dir.owner && !ch->rx_dir.owner);
	CHECK(!ch->tx_dir.sleepers && !ch->rx_dir.sleepers);
	if (ch->users && ch->started && covered_epoch[ch->index] == ch->epoch)
		CHECK(ch->rx.cons <= covered[ch->index] && ch->rx.prod <= covered[ch->index]);
	else if (ch->users && ch->started)
		CHECK(!ch->rx.cons && !ch->rx.prod);
	if (ch->users && ch->state == IVRING_CHANNEL_BROKEN)
		CHECK(ch->error == -EPROTO && ch->flags & IVRING_WIRE_CONN_F_ABORTED);
}

static s64 any_timeout(void)
{
	static const s64 timeouts[] = { 0, 0, -1, 1000, NSEC_PER_MSEC, 5000LL * NSEC_PER_MSEC,
					INT64_MAX, INT64_MIN };

	return timeouts[next8() & 7];
}

static void user_opens(struct ivring_file *f)
{
	struct ivring_channel *ch = any_channel();
	u8 flags = next8();
	int announce;

	if (f->channel)
		return;
	memset(f, 0, sizeof(*f));
	f->channel = ch;
	f->messages = flags & 1;
	f->exclusive = (flags & 6) == 6;
	f->spin_max_ns = U32_MAX;
	f->rx_min = 1 + (flags & 8 ? next_near(0) % ch->rx.size : 0);
	f->tx_min = 1 + (flags & 16 ? next_near(0) % ch->tx.window : 0);
	if (ch->users && (ch->exclusive || f->exclusive)) {
		f->channel = NULL;
		return;
	}
	ivring_link_file_opened(link_under_test);
	spin_lock(&ch->lock);
	announce = ivring_conn_open(ch, f);
	if (announce >= 0)
		ch->exclusive = f->exclusive;
	spin_unlock(&ch->lock);
	if (announce > 0)
		ivring_link_announce(link_under_test);
	if (announce >= 0)
		return;
	CHECK(announce == -EPROTOTYPE);
	ivring_link_file_closed(link_under_test);
	f->channel = NULL;
}

static void user_closes(struct ivring_file *f)
{
	struct ivring_channel *ch = f->channel;
	bool announce;

	if (!ch)
		return;
	spin_lock(&ch->lock);
	announce = ivring_conn_close(ch, f);
	spin_unlock(&ch->lock);
	if (announce)
		ivring_link_announce(link_under_test);
	ivring_link_file_closed(link_under_test);
	f->channel = NULL;
}

static void user_spans(struct ivring_file *f, bool tx)
{
	struct ivring_channel *ch = f->channel;
	struct ivring_span span = {
		.min = next_near(8), .timeout_ns = any_timeout(),
	};
	s64 ret;

	ret = tx ? ivring_channel_reserve(f, &span) : ivring_channel_peek(f, &span);
	check_ret(ret);
	check_channel(ch);
	if (ret)
		return;
	CHECK(span.offset < rings_size && span.len <= 2 * rings_size - span.offset);
	if (tx) {
		CHECK(span.len >= span.min && span.len <= ch->tx.window);
		memset(ch->tx_data + span.offset, 0x5a, span.len);
	} else {
		CHECK(span.len <= covered[ch->index] - ch->rx.cons);
		(void)memchr(ch->rx_data + span.offset, 0xa5, span.len);
	}
	/* What comes back may be anything. */
	if (next8() < 40)
		span.offset = next_near(span.offset);
	if (next8() < 160)
		span.len = next_near(span.len);
	ret = tx ? ivring_channel_commit(f, &span) : ivring_channel_release(f, &span);
	check_ret(ret);
}

/* Whoever has the indices moves them by the rules, or not at all by them. */
static void user_moves(struct ivring_file *f)
{
	struct ivring_channel *ch = f->channel;

	if (!ch->user || f->conversation != ch->conversation) {
		CHECK(ivring_user_ring(f) < 0);
		return;
	}
	if (next8() & 1)
		POKE(ch->tx.own->prod, next_near(ch->tx.prod));
	else
		POKE(ch->rx.own->cons, next8() < 200 ? ch->rx.prod : next_near(ch->rx.cons));
	ivring_user_ring(f);
}

static void user_takes(struct ivring_file *f)
{
	struct ivring_channel *ch = f->channel;
	int ret = ivring_user_take(f);

	CHECK(f->exclusive || ret == -EPERM);
	if (!ret) {
		CHECK(ch->user);
		taken_epoch[ch->index] = ch->epoch;
	}
}

/* Nobody waits for who is outside: others come, even for the next conversation. */
void fuzz_fault(void)
{
	struct ivring_file *f = &files[next8() % FILES];

	CHECK(link_under_test->users.count == 1);
	fuzz_look(control);
	run_work();
	if (!f->channel)
		user_opens(f);
}

static void user_acts(struct ivring_file *f)
{
	static u8 buffer[3 * 8192];
	struct iov_iter iter = { .data = buffer };
	struct ivring_wait w = {};
	u8 op = next8() % 20;
	u64 bytes;
	s64 ret;

	if (!f->channel) {
		user_opens(f);
		return;
	}
	switch (op) {
	case 0:
		user_closes(f);
		return;
	case 1:
	case 2:
	case 3:
		iter.count = next_near(64) % sizeof(buffer);
		ret = ivring_channel_read(f, &iter, user_memory());
		check_ret(ret);
		CHECK(ret <= (s64)sizeof(buffer));
		break;
	case 4:
	case 5:
	case 6:
		iter.count = next_near(64) % sizeof(buffer);
		check_ret(ivring_channel_write(f, &iter, user_memory()));
		break;
	case 7:
		ivring_channel_poll(f, EPOLLIN | EPOLLOUT);
		break;
	case 8:
	case 9:
		w.events = next8() & 15;
		w.rx_min = 1 + next_near(0) % f->channel->rx.size;
		w.tx_min = 1 + next_near(0) % f->channel->tx.window;
		w.timeout_ns = any_timeout();
		/* The ioctl refuses a wait for nothing. */
		if (!w.events)
			break;
		ret = ivring_channel_wait(f, &w);
		check_ret(ret);
		CHECK(ret || (w.revents && !(w.revents & ~w.events)));
		break;
	case 10:
	case 11:
		user_spans(f, true);
		break;
	case 12:
	case 13:
		user_spans(f, false);
		break;
	case 14:
		/* For good: not too often */
		if (!(next8() & 3))
			check_ret(ivring_channel_shutdown(f));
		break;
	case 15:
		ret = ivring_channel_readable(f, &bytes);
		check_ret(ret);
		CHECK(ret || bytes <= f->channel->rx.size);
		break;
	case 16:
		user_takes(f);
		break;
	case 17:
		user_moves(f);
		break;
	default:
		break;
	}
}

static void something_happens(void)
{
	struct ivring_link *link = link_under_test;

	switch (next8() & 15) {
	case 0:
		run_work();
		break;
	case 1:
		clock_ns += IVRING_TICK_NS;
		run_tick();
		break;
	case 2:
		peer_turn();
		break;
	case 3:
		ivring_link_peer_leave(link);
		break;
	case 4:
		ivring_link_peer_join(link, next8() & 3);
		break;
	case 5:
		clock_ns += 11000 * (u64)NSEC_PER_MSEC;
		run_tick();
		break;
	case 6:
		peer_appears();
		run_work();
		ivring_link_evaluate(link);
		break;
	default:
		user_acts(&files[next8() % FILES]);
		break;
	}
}

/* Back, or too far, by any amount */
static void lie_of_prod(struct ivring_channel *ch)
{
	u64 avail = ivring_rx_cached_avail(&ch->rx), bad;

	bad = ch->rx.cons + ch->rx.size + 1 + (fuzz_random >> 3) % (U64_MAX - ch->rx.size - avail);
	if (bad - ch->rx.cons <= ch->rx.size && bad - ch->rx.cons >= avail)
		bad = ch->rx.cons - 1;
	POKE(ch->rx.peer->prod, bad);
}

static void lie_of_cons(struct ivring_channel *ch)
{
	u64 used = ch->tx.prod - ch->tx.cons, bad = ch->tx.prod + 1;

	if (fuzz_random & 8)
		bad += (fuzz_random >> 4) % (U64_MAX - used);
	POKE(ch->tx.peer->cons, bad);
}

/* A message that is longer than what is there */
static void lie_of_length(struct ivring_channel *ch)
{
	u32 len = ch->rx.size;

	memcpy(ch->rx_data + (ch->rx.cons & (ch->rx.size - 1)), &len, sizeof(len));
	POKE(ch->rx.peer->prod, ch->rx.prod);
}

/*
 * Connected, a peer that lives and has not left: an impossible index or message
 * breaks it.
 */
static void finale(struct ivring_file *f)
{
	struct ivring_channel *ch = f->channel;
	struct ivring_wait w = { .events = IVRING_WAIT_IN };
	u8 buffer[64];
	struct iov_iter iter = { .data = buffer, .count = sizeof(buffer) };
	u64 avail;

	if (!ch || f->conversation != ch->conversation || ch->state != IVRING_CHANNEL_CONNECTED ||
	    link_under_test->dead || ch->user || ch->rx_shutdown)
		return;
	POKE(link_under_test->peer->epoch, ch->peer_life);
	POKE(ch->peer->epoch, ch->peer_epoch);
	POKE(ch->peer->flags, ch->own->flags & IVRING_WIRE_CONN_F_MESSAGES);
	avail = ivring_rx_cached_avail(&ch->rx);
	call_begins();
	if (f->messages && avail && !ch->rx_dir.holder && !(ch->rx.cons % IVRING_MSG_ALIGN)) {
		lie_of_length(ch);
		CHECK(ivring_channel_read(f, &iter, true) == -EPROTO);
	} else if (fuzz_random & 1 && ch->tx.prod != ch->tx.cons) {
		lie_of_cons(ch);
		w.events = IVRING_WAIT_DRAINED;
		CHECK(ivring_channel_wait(f, &w) == -EPROTO);
	} else if (avail < ch->rx.size) {
		lie_of_prod(ch);
		w.rx_min = ch->rx.size;
		CHECK(ivring_channel_wait(f, &w) == -EPROTO);
	} else {
		return;
	}
	CHECK(ch->state == IVRING_CHANNEL_BROKEN && ch->error == -EPROTO);
	/* And stays so, whatever comes. */
	POKE(ch->rx.peer->prod, ch->rx.prod);
	POKE(ch->tx.peer->cons, ch->tx.cons);
	CHECK(ivring_channel_wait(f, &w) == -EPROTO);
}

#include "endless.c"

static void start_region(u8 kind)
{
	struct ivring_wire_format format = {
		.region_size = REGION, .channels = CHANNELS, .label = "fuzz",
	};
	struct ivring_wire_superblock *sb = (void *)region;
	u8 n;

	memset(region, 0, IVRING_WIRE_REGION_SIZE_MIN);
	CHECK(!ivring_wire_format(sb, &format));
	if (kind < 224)
		return;
	/* A superblock that is not as it should be, by much or a little; rubbish behind it */
	for (n = next8() % 4; n; n--) {
		__le64 *field = next8() & 1 ? &sb->data_offset : &sb->channel_offset;

		*field += (next8() % 33 - 16) * (s64)IVRING_WIRE_ALIGN;
	}
	if (next8() & 1)
		sb->ring_size = IVRING_WIRE_RING_SIZE_MIN << next8() % 8;
	if (next8() & 1)
		sb->channels = next8() % 8;
	for (n = next8() % 4; n; n--)
		region[next8() % 120] = next8();
	for (n = next8() % 8; n; n--)
		region[PAGE_SIZE + next64() % (4 * PAGE_SIZE)] = next8();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ivring_transport_ops ops = { .name = "fuzz", .ring = ring_peer };
	struct page *pages[REGION / PAGE_SIZE] = {};
	struct ivring_link_params params = {
		.ops = &ops, .pages = pages, .size = REGION, .avail = REGION, .vectors = 3,
	};
	struct ivring_link *link;
	unsigned int steps;
	u32 c;
	u8 kind;

	if (memfd < 0) {
		memfd = memfd_create("fuzz", 0);
		CHECK(memfd >= 0 && !ftruncate(memfd, REGION));
		region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
		CHECK(region != MAP_FAILED);
	}
	input = data;
	input_left = size;
	fuzz_random = 1;
	clock_ns = 1;
	quiet = false;
	depth = 0;
	memset(covered, 0, sizeof(covered));
	memset(covered_epoch, 0, sizeof(covered_epoch));
	memset(taken_epoch, 0, sizeof(taken_epoch));
	memset(end_epoch, 0, sizeof(end_epoch));
	memset(files, 0, sizeof(files));
	call_begins();

	kind = next8();
	link_under_test = NULL;
	if (kind >= 160 && kind < 224) {
		messages();
		return 0;
	}
	endless = 0;
	params.side = kind & 1;
	params.peer_known = kind & 2;
	params.id = 2;
	start_region(kind);
	link = ivring_link_register(&params);
	if (IS_ERR(link)) {
		CHECK(PTR_ERR(link) == -EBADMSG || PTR_ERR(link) == -EPROTONOSUPPORT ||
		      PTR_ERR(link) == -ENOTUNIQ || PTR_ERR(link) == -EFBIG);
		return 0;
	}
	link_under_test = link;
	ivring_link_start(link);
	if (params.peer_known)
		ivring_link_peer_join(link, 0);

	if (kind >= 128 && kind < 160)
		endless_peer();
	for (steps = 0; input_left && steps < 400; steps++) {
		call_begins();
		something_happens();
		for (c = 0; c < link->geo.channels; c++)
			check_channel(link->channels[c]);
	}
	quiet = true;
	call_begins();
	finale(&files[0]);
	for (c = 0; c < FILES; c++) {
		call_begins();
		user_closes(&files[c]);
	}
	call_begins();
	run_work();
	run_tick();
	/* Nobody may be left inside. */
	CHECK(link->users.count == 1);
	ivring_link_unregister(link);
	link_under_test = NULL;
	return 0;
}

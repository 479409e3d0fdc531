// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting on a channel and moving data through it.
 *
 * Data is copied, or handed to user space as a span, without channel->lock;
 * the direction's owner or the span's holder keeps others off meanwhile. A
 * conversation may end during the copy: whoever publishes looks at it again
 * under the lock, so that nothing of an old one reaches the next.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>
#include <ivring/msg.h>
#include <ivring/tune.h>
#include "internal.h"
#include "trace.h"

/* So often looks may wake those who wait before an event holds; then it takes time. */
#define IVRING_WAKES_MAX	1000
/* So many doorbells of a vector may come to nothing at once, and one more each ms */
#define IVRING_STORM_MAX	32
/* And so many of all vectors of a link, and one more each ms */
#define IVRING_STORM_LINK_MAX	128
/* Longest that a vector may be left alone, in jiffies */
#define IVRING_STORM_REST_MAX	(HZ / 10)

/* Can nothing be sent any more, while what has come can be read? */
static bool ivring_channel_unsendable(const struct ivring_channel *ch)
{
	return READ_ONCE(ch->state) == IVRING_CHANNEL_PEER_CLOSED || READ_ONCE(ch->tx_shutdown);
}

/* Without the lock: what it says stays so, but it may not say so yet. */
static bool ivring_dir_hopeless(const struct ivring_file *f, const struct ivring_dir *dir)
{
	const struct ivring_channel *ch = f->channel;
	u32 state = READ_ONCE(ch->state);

	if (dir == &ch->tx_dir && ivring_channel_unsendable(ch))
		return true;
	return READ_ONCE(ch->link->dead) || READ_ONCE(ch->link->suspended) ||
	       f->conversation != READ_ONCE(ch->conversation) ||
	       state == IVRING_CHANNEL_RESET || state == IVRING_CHANNEL_BROKEN;
}

/* Locked, or is there no point in waiting for it any more, @over? */
static bool ivring_dir_try(const struct ivring_file *f, struct ivring_dir *dir, bool *over)
{
	/* With a file of an older conversation one would only keep the others off. */
	if (f->conversation == READ_ONCE(f->channel->conversation) &&
	    !cmpxchg(&dir->owner, NULL, f)) {
		if (f->conversation == READ_ONCE(f->channel->conversation))
			return true;
		/* The next one began, and took it back from others, just before. */
		ivring_dir_unlock(f, dir);
	}
	*over = ivring_dir_hopeless(f, dir);
	return *over;
}

/**
 * ivring_dir_lock() - keep other users of a direction off
 * @f: the file
 * @dir: the direction
 * @timeout_ns: how long to wait, negative for ever
 *
 * Who has it may be held up by a page fault for longer than the conversation lasts, or
 * may be slow to wake when it is over: the next one does not wait, see
 * ivring_dir_take_back().
 *
 * Return: 0, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS, or how the conversation ended.
 */
int ivring_dir_lock(const struct ivring_file *f, struct ivring_dir *dir, s64 timeout_ns)
{
	struct ivring_channel *ch = f->channel;
	bool over = false;
	long ret;

	if (ivring_dir_try(f, dir, &over)) {
		ret = 0;
	} else if (!timeout_ns) {
		WRITE_ONCE(dir->refused, true);
		/* Either it is free by now, or ivring_dir_unlock() sees that somebody asked. */
		smp_mb();
		ret = ivring_dir_try(f, dir, &over) ? 0 : -EAGAIN;
	} else if (timeout_ns < 0) {
		ret = wait_event_interruptible(dir->busy_wait, ivring_dir_try(f, dir, &over));
	} else {
		ret = wait_event_interruptible_timeout(dir->busy_wait,
						       ivring_dir_try(f, dir, &over),
						       nsecs_to_jiffies(timeout_ns) + 1);
		ret = ret < 0 ? -EINTR : ret ? 0 : -ETIMEDOUT;
	}
	if (ret || !over)
		return ret;
	spin_lock(&ch->lock);
	ret = ivring_file_error(f) ?: ivring_channel_unsendable(ch) ? -EPIPE : -ECONNRESET;
	spin_unlock(&ch->lock);
	return ret;
}

/**
 * ivring_dir_unlock() - let others use a direction
 * @f: the file that locked it; if the direction was taken back since, it stays as it is
 * @dir: the direction
 *
 * Who was told EAGAIN meanwhile may poll(2), perhaps edge-triggered, and is to try again; but
 * a moment later, or some of those could send each other away without end.
 */
void ivring_dir_unlock(const struct ivring_file *f, struct ivring_dir *dir)
{
	/* Done before the queue, and @refused, are looked at. */
	if (cmpxchg(&dir->owner, f, NULL) != f)
		return;
	wake_up(&dir->busy_wait);
	if (!READ_ONCE(dir->refused) || !xchg(&dir->refused, false))
		return;
	/* Perhaps from outside; and once the link is gone, all were woken for that. */
	if (ivring_link_enter(f->channel->link)) {
		schedule_delayed_work(&f->channel->late_wake, IVRING_WAKE_LATE);
		ivring_link_leave(f->channel->link);
	}
}

/* As ivring_dir_lock(); takes the time it waited off @timeout_ns. */
static int ivring_dir_lock_timed(const struct ivring_file *f, struct ivring_dir *dir,
				 s64 *timeout_ns)
{
	u64 start = ktime_get_ns();
	int ret = ivring_dir_lock(f, dir, *timeout_ns);

	if (!ret && *timeout_ns > 0)
		*timeout_ns = max_t(s64, *timeout_ns - (s64)(ktime_get_ns() - start), 1);
	return ret;
}

void ivring_channel_ring(struct ivring_channel *ch)
{
	u32 vectors = READ_ONCE(ch->link->peer_vectors);

	ivring_link_ring(ch->link, ivring_wire_vector(ch->index, vectors));
}

/* ---- is it ready? ---- */

/* Has the conversation of @f come to an end that lets nothing through any more? */
int ivring_file_error(const struct ivring_file *f)
{
	const struct ivring_channel *ch = f->channel;

	if (READ_ONCE(ch->link->dead))
		return -ENODEV;
	if (f->conversation != ch->conversation || READ_ONCE(ch->link->suspended))
		return -ECONNRESET;
	if (ch->state == IVRING_CHANNEL_RESET || ch->state == IVRING_CHANNEL_BROKEN)
		return ch->error;
	if (ch->state == IVRING_CHANNEL_OPENING &&
	    READ_ONCE(ch->link->state) == IVRING_LINK_MISMATCH)
		return -EPROTONOSUPPORT;
	if (ch->state == IVRING_CHANNEL_OPENING &&
	    READ_ONCE(ch->link->state) == IVRING_LINK_SPLIT)
		return -EIO;
	return 0;
}

/* What of @w holds by the cached indices: events, 0 for none yet, or an errno. */
static int ivring_channel_events(const struct ivring_file *f, const struct ivring_wait *w)
{
	const struct ivring_channel *ch = f->channel;
	bool closed = ch->state == IVRING_CHANNEL_PEER_CLOSED;
	u32 hold = IVRING_WAIT_CONNECTED;
	int error = ivring_file_error(f);

	if (error)
		return error;
	if (ch->state == IVRING_CHANNEL_OPENING)
		return ch->tx_shutdown && w->events == IVRING_WAIT_OUT ? -EPIPE : 0;
	if (closed || ch->rx_shutdown || ivring_rx_cached_avail(&ch->rx) >= w->rx_min)
		hold |= IVRING_WAIT_IN;
	if (!closed && !ch->tx_shutdown && ivring_tx_cached_space(&ch->tx) >= w->tx_min)
		hold |= IVRING_WAIT_OUT;
	if (ch->tx.prod == ch->tx.cons)
		hold |= IVRING_WAIT_DRAINED;
	if (!(hold & w->events) &&
	    (closed || (ch->tx_shutdown && w->events == IVRING_WAIT_OUT)))
		return -EPIPE;
	return hold & w->events;
}

/*
 * There is one wish per direction in shared memory. When several wait, or
 * poll(2) does, it is for any progress; they all look then.
 */
static void ivring_channel_arm(struct ivring_channel *ch, const struct ivring_wait *w)
{
	bool rx_any = ch->rx_dir.polled || ch->rx_dir.sleepers > 1;
	bool tx_any = ch->tx_dir.polled || ch->tx_dir.sleepers > 1;

	WRITE_ONCE(ch->armed, ch->armed | w->events);
	if (w->events & IVRING_WAIT_IN)
		ivring_rx_arm(&ch->rx, rx_any ? ivring_rx_cached_avail(&ch->rx) + 1 : w->rx_min);
	if (w->events & IVRING_WAIT_OUT && !ch->tx_shutdown && !tx_any)
		ivring_tx_arm(&ch->tx, w->tx_min);
	else if (w->events & IVRING_WAIT_DRAINED && !tx_any)
		ivring_tx_arm_drained(&ch->tx);
	else if (w->events & (IVRING_WAIT_OUT | IVRING_WAIT_DRAINED))
		ivring_tx_arm_progress(&ch->tx);
}

/* May someone sleep by a wish of this direction? */
static bool ivring_dir_waited(const struct ivring_dir *dir)
{
	return dir->sleepers || dir->polled;
}

/**
 * ivring_channel_moved_on() - after a look at the peer's indices
 * @ch: the channel, with its lock held
 * @tx: the peer consumed more
 * @rx: the peer produced more
 *
 * Whoever sleeps looks again and wishes anew: the wish, or what is wished next from
 * the index seen now, may be passed already when the peer gets to read it, and then
 * it does not ring.
 *
 * That is all, also who looked and is about to sleep, in poll(2), too. A peer that moves
 * indices without end would keep it awake without ringing once: so where looks wake, and
 * wake again, and nothing comes of it, they do so a moment later.
 */
void ivring_channel_moved_on(struct ivring_channel *ch, bool tx, bool rx)
{
	if (!(rx && ivring_dir_waited(&ch->rx_dir)) && !(tx && ivring_dir_waited(&ch->tx_dir)))
		return;
	if (ch->wakes < IVRING_WAKES_MAX) {
		WRITE_ONCE(ch->wakes, ch->wakes + 1);
		wake_up_all(&ch->wait);
	} else {
		schedule_delayed_work(&ch->late_wake, IVRING_WAKE_LATE);
	}
}

/*
 * Where the peer's indices of all channels of a vector are, as one number. While the
 * device sleeps they are nowhere, but interrupts may still come.
 */
static u64 ivring_storm_indices(struct ivring_link *link, u32 vector)
{
	const struct ivring_channel *ch;
	u64 sum = 0;
	u32 c;

	if (!ivring_link_enter(link))
		return 0;
	for (c = 0; c < link->geo.channels; c++) {
		ch = link->channels[c];
		if (ivring_wire_vector(c, link->params.vectors) == vector)
			sum += le64_to_cpu(READ_ONCE(ch->rx.peer->prod)) +
			       le64_to_cpu(READ_ONCE(ch->tx.peer->cons));
	}
	ivring_link_leave(link);
	return sum;
}

/*
 * A peer that moves nothing and rings is left alone twice as long each time; one that
 * does move something may have no better way to tell.
 */
static void ivring_storm_begins(struct ivring_link *link, u32 vector)
{
	struct ivring_storm *storm = &link->storms[vector];
	u64 indices = ivring_storm_indices(link, vector);
	unsigned long now = jiffies;
	unsigned int rest = READ_ONCE(storm->rest);
	bool goes_on = time_before_eq(now, READ_ONCE(storm->begun) + rest + IVRING_STORM_REST_MAX);

	if (!goes_on || indices != READ_ONCE(storm->indices))
		rest = 0;
	WRITE_ONCE(storm->rest, clamp_t(unsigned int, 2 * rest, 1, IVRING_STORM_REST_MAX));
	WRITE_ONCE(storm->begun, now);
	WRITE_ONCE(storm->indices, indices);
}

/* One more doorbell: are these more than @most at once, and one a millisecond? */
static bool ivring_storm_grows(struct ivring_storm *storm, unsigned long now, int most)
{
	unsigned long when = READ_ONCE(storm->when);
	s64 left;

	if (when != now) {
		WRITE_ONCE(storm->when, now);
		left = (s64)atomic_read(&storm->count) - jiffies_to_msecs(now - when);
		atomic_set(&storm->count, max_t(s64, left, 0));
	}
	if (atomic_inc_return(&storm->count) <= most)
		return false;
	atomic_set(&storm->count, most);
	return true;
}

/**
 * ivring_storm_blows() - count a doorbell
 * @link: the link
 * @vector: one that it has
 *
 * Any context. What two callers count at the same time may be taken for one. The limit
 * is by the clock: a slow machine takes few doorbells in a jiffy, and suffers from them.
 * It is one of the link as well, or a peer with many vectors could ring each of them
 * within its own.
 *
 * Return: how many jiffies the vector may be left alone, when there were too many and
 * nothing came true that the peer was to ring for. Or zero.
 */
unsigned int ivring_storm_blows(struct ivring_link *link, u32 vector)
{
	struct ivring_storm *storm = &link->storms[vector];
	unsigned long now = jiffies;
	bool all = ivring_storm_grows(&link->storm, now, IVRING_STORM_LINK_MAX);

	if (!ivring_storm_grows(storm, now, IVRING_STORM_MAX) && !all)
		return 0;
	if (READ_ONCE(storm->begun) != now)
		ivring_storm_begins(link, vector);
	return READ_ONCE(storm->rest);
}

/**
 * ivring_storm_ends() - a doorbell was worth it, and so were those before it
 * @link: the link
 * @storm: of its vector
 *
 * Any context.
 */
void ivring_storm_ends(struct ivring_link *link, struct ivring_storm *storm)
{
	atomic_sub(atomic_xchg(&storm->count, 0), &link->storm.count);
}

/**
 * ivring_channel_interrupt() - the peer rang, perhaps for this channel
 * @ch: the channel
 * @storm: once more, and nothing came of it
 *
 * Any context but NMI. Whoever waits is woken, in a storm a moment later: a peer may
 * ring without end.
 */
void ivring_channel_interrupt(struct ivring_channel *ch, bool storm)
{
	atomic64_inc(&ch->interrupts);
	if (storm)
		schedule_delayed_work(&ch->late_wake, IVRING_WAKE_LATE);
	else
		wake_up_all(&ch->wait);
}

/* See ivring_channel_moved_on() and ivring_channel_interrupt(). */
void ivring_channel_late_wake(struct work_struct *work)
{
	struct ivring_channel *ch = container_of(to_delayed_work(work), struct ivring_channel,
						 late_wake);

	wake_up_all(&ch->wait);
}

/*
 * What was wanted is there: wakes were worth it; so were doorbells, if the peer was to
 * ring for one of these @events.
 */
static void ivring_channel_event_held(struct ivring_channel *ch, u32 events)
{
	if (READ_ONCE(ch->armed) & events)
		ivring_storm_ends(ch->link, ch->storm);
	else if (!READ_ONCE(ch->wakes))
		return;
	spin_lock(&ch->lock);
	WRITE_ONCE(ch->armed, ch->armed & ~events);
	WRITE_ONCE(ch->wakes, 0);
	spin_unlock(&ch->lock);
}

/* Doorbells until now announced nothing that the look to come will not see. */
static void ivring_dir_looked(const struct ivring_channel *ch, struct ivring_dir *dir)
{
	dir->looked = atomic64_read(&ch->interrupts);
	dir->overdue = false;
}

/* Look at the peer's indices. */
static int ivring_channel_refresh(struct ivring_channel *ch, u32 events)
{
	u64 prod = ch->rx.prod, cons = ch->tx.cons;
	int error = 0;

	if (events & IVRING_WAIT_IN)
		ivring_dir_looked(ch, &ch->rx_dir);
	if (events & (IVRING_WAIT_OUT | IVRING_WAIT_DRAINED))
		ivring_dir_looked(ch, &ch->tx_dir);
	if (ch->user) {
		ivring_user_sample(ch);
		return 0;
	}
	if (events & IVRING_WAIT_IN && !ch->rx_shutdown)
		error = ivring_rx_refresh(&ch->rx);
	if (!error && events & (IVRING_WAIT_OUT | IVRING_WAIT_DRAINED))
		error = ivring_tx_refresh(&ch->tx);
	ivring_channel_moved_on(ch, cons != ch->tx.cons, prod != ch->rx.prod);
	return error;
}

/* As ivring_channel_events(), after a look at what the peer wrote. */
static int ivring_channel_look(struct ivring_file *f, const struct ivring_wait *w, bool arm)
{
	struct ivring_channel *ch = f->channel;
	bool announce = false, evaluated;
	int ret, error = 0;

	spin_lock(&ch->lock);
	/* Where the cached indices tell nothing, or are not asked, the peer may have left. */
	evaluated = ch->user || w->events & IVRING_WAIT_CONNECTED;
	if (evaluated)
		announce = ivring_conn_evaluate(ch);
	ivring_user_update(ch);
	ret = ivring_channel_events(f, w);
	if (ret < 0 || ret == w->events)
		goto out;
	if (!evaluated)
		announce = ivring_conn_evaluate(ch);
	if (ch->state == IVRING_CHANNEL_CONNECTED) {
		if (arm && !ret)
			ivring_channel_arm(ch, w);
		error = ivring_channel_refresh(ch, w->events);
	}
	if (error)
		announce |= ivring_conn_fault(ch, "index");
	ret = ivring_channel_events(f, w);
out:
	spin_unlock(&ch->lock);
	if (announce)
		ivring_link_announce(ch->link);
	return ret;
}

/* ---- waiting ---- */

/* Did an index that matters to @w leave the place where it was last seen? */
static bool ivring_channel_moved(const struct ivring_channel *ch, const struct ivring_wait *w,
				 u64 prod, u64 cons)
{
	if (w->events & IVRING_WAIT_IN && prod != le64_to_cpu(READ_ONCE(ch->rx.peer->prod)))
		return true;
	return w->events & (IVRING_WAIT_OUT | IVRING_WAIT_DRAINED) &&
	       cons != le64_to_cpu(READ_ONCE(ch->tx.peer->cons));
}

/* May an event hold, or an error, whatever the indices are? */
static bool ivring_channel_changed(const struct ivring_channel *ch, const struct ivring_wait *w)
{
	if (w->events & IVRING_WAIT_IN && READ_ONCE(ch->rx_shutdown))
		return true;
	return READ_ONCE(ch->state) != IVRING_CHANNEL_CONNECTED || READ_ONCE(ch->link->dead);
}

/*
 * How many bytes the event that is nearest lacks, by the cached indices: these are the
 * peer's @prod and @cons.
 */
static u64 ivring_channel_missing(struct ivring_channel *ch, const struct ivring_wait *w,
				  u64 *prod, u64 *cons)
{
	u64 there, missing = U64_MAX;

	spin_lock(&ch->lock);
	*prod = ch->rx.prod;
	*cons = ch->tx.cons;
	if (w->events & IVRING_WAIT_IN) {
		there = ivring_rx_cached_avail(&ch->rx);
		missing = w->rx_min - min(there, w->rx_min);
	}
	if (w->events & IVRING_WAIT_OUT && !ch->tx_shutdown) {
		there = ivring_tx_cached_space(&ch->tx);
		missing = min(missing, w->tx_min - min(there, w->tx_min));
	}
	if (w->events & IVRING_WAIT_DRAINED)
		missing = min(missing, ch->tx.prod - ch->tx.cons);
	spin_unlock(&ch->lock);
	return missing;
}

/*
 * Look until an event holds, half of what is missing has come, or @end_ns. @enough: so
 * little may be missing then, as an earlier spin left it: here it is halved, at least.
 * @paid: it was one of the first two. Whoever else wants the CPU gets it, perhaps the
 * peer's own VM: that is no reason to sleep, and after it there is one more look.
 * Returns as ivring_channel_look().
 */
static int ivring_channel_spin_once(struct ivring_file *f, const struct ivring_wait *w,
				    u64 *enough, u64 end_ns, bool *paid)
{
	struct ivring_channel *ch = f->channel;
	u64 prod, cons, missing = ivring_channel_missing(ch, w, &prod, &cons);
	bool late = false;
	int ret = 0;

	*enough = min(*enough, missing) / 2;
	*paid = false;
	for (;;) {
		/* Nothing is missing when somebody else has looked meanwhile. */
		if (!missing || ivring_channel_moved(ch, w, prod, cons) ||
		    ivring_channel_changed(ch, w)) {
			ret = ivring_channel_look(f, w, false);
			missing = ivring_channel_missing(ch, w, &prod, &cons);
			*paid = ret || missing <= *enough;
		}
		if (*paid || late || signal_pending(current))
			break;
		cpu_relax();
		cond_resched();
		late = ktime_get_ns() >= end_ns;
	}

	spin_lock(&ch->lock);
	ch->stats[IVRING_STAT_SPINS]++;
	ch->stats[IVRING_STAT_SPINS_PAID] += *paid;
	spin_unlock(&ch->lock);
	return ret;
}

/*
 * Spin as the policy in spin.h says. Half of what is missing is worth another spin:
 * it comes at a pace that will do. A peer that moves its index to and fro, or brings
 * a byte at a time, cannot have more than one for each power of two.
 * Returns as ivring_channel_look().
 */
static int ivring_channel_spin(struct ivring_file *f, const struct ivring_wait *w,
			       struct ivring_dir *dir, u64 deadline)
{
	u32 budget, max = ivring_tune_spin_max(f);
	u64 start = ktime_get_ns(), now, enough = U64_MAX;
	bool paid;
	int ret;

	do {
		budget = ivring_spin_budget(&dir->spin, max, start);
		if (!budget)
			return 0;
		ret = ivring_channel_spin_once(f, w, &enough, min(start + budget, deadline), &paid);
		now = ktime_get_ns();
		ivring_spin_result(&dir->spin, max, now - start, paid);
		start = now;
	} while (!ret && paid && enough);
	return ret;
}

static void ivring_channel_count_sleepers(struct ivring_channel *ch, u32 events, int n)
{
	spin_lock(&ch->lock);
	if (events & IVRING_WAIT_IN)
		ch->rx_dir.sleepers += n;
	if (events & (IVRING_WAIT_OUT | IVRING_WAIT_DRAINED))
		ch->tx_dir.sleepers += n;
	if (n > 0)
		ch->stats[IVRING_STAT_SLEEPS]++;
	spin_unlock(&ch->lock);
}

static void ivring_channel_count_rescued(struct ivring_channel *ch)
{
	ch->stats[IVRING_STAT_RESCUED]++;
	dev_dbg(&ch->dev, "wake-up rescued by the tick\n");
}

/*
 * The tick found for a sleeper what no doorbell announced, unless one was just on its
 * way: then it arrives now.
 */
static void ivring_channel_rescued(struct ivring_channel *ch, s64 interrupts)
{
	if (wait_event_interruptible_timeout(ch->wait,
					     atomic64_read(&ch->interrupts) != interrupts,
					     nsecs_to_jiffies(IVRING_RESCUE_GRACE_NS)))
		return;
	spin_lock(&ch->lock);
	ivring_channel_count_rescued(ch);
	spin_unlock(&ch->lock);
}

/*
 * One direction of ivring_channel_tick(): the peer's index is @now, was @seen at the last
 * look, and @event is the wish. Sets @wake; returns as ivring_channel_tick().
 */
static bool ivring_dir_tick(struct ivring_channel *ch, struct ivring_dir *dir, u64 event,
			    u64 now, u64 seen, bool *wake)
{
	s64 interrupts = atomic64_read(&ch->interrupts);
	bool owed, first;

	if (!ivring_dir_waited(dir))
		return false;
	owed = dir->looked == interrupts && ivring_event_reached(event, now, seen);
	first = owed && !dir->overdue;
	dir->overdue = first;
	if (first)
		return true;
	if (owed) {
		/* As if it came now. Sleepers tell by themselves what they were woken by. */
		dir->looked--;
		if (!dir->sleepers)
			ivring_channel_count_rescued(ch);
	}
	*wake |= owed || now != dir->ticked;
	dir->ticked = now;
	return false;
}

/**
 * ivring_channel_tick() - safety net for whoever waits, in poll(2), too
 * @ch: the channel
 *
 * Where an index of the peer's has moved since the last tick, who waits looks again; a
 * link on which nothing moves is left in peace. A doorbell that is owed, because the peer
 * passed the wish and nobody has looked since, gets the time to arrive.
 *
 * Return: true when the next tick is to come in %IVRING_RESCUE_GRACE_NS.
 */
bool ivring_channel_tick(struct ivring_channel *ch)
{
	bool soon = false, wake = false;

	spin_lock(&ch->lock);
	if (ch->state == IVRING_CHANNEL_CONNECTED) {
		soon = ivring_dir_tick(ch, &ch->rx_dir, le64_to_cpu(READ_ONCE(ch->rx.own->event)),
				       le64_to_cpu(READ_ONCE(ch->rx.peer->prod)), ch->rx.prod,
				       &wake);
		soon |= ivring_dir_tick(ch, &ch->tx_dir, le64_to_cpu(READ_ONCE(ch->tx.own->event)),
					le64_to_cpu(READ_ONCE(ch->tx.peer->cons)), ch->tx.cons,
					&wake);
	}
	if (wake)
		WRITE_ONCE(ch->tick_wakes, ch->tick_wakes + 1);
	spin_unlock(&ch->lock);
	if (wake)
		wake_up_all(&ch->wait);
	return soon;
}

/* Must the wait end although no event holds? */
static int ivring_channel_give_up(const struct ivring_wait *w, u64 deadline)
{
	if (signal_pending(current))
		return w->timeout_ns < 0 ? -ERESTARTSYS : -EINTR;
	return ktime_get_ns() >= deadline ? -ETIMEDOUT : 0;
}

/* Sleep once. Returns as ivring_channel_look(). */
static int ivring_channel_sleep(struct ivring_file *f, const struct ivring_wait *w, u64 deadline)
{
	struct ivring_channel *ch = f->channel;
	unsigned int tick_wakes = READ_ONCE(ch->tick_wakes);
	s64 interrupts = atomic64_read(&ch->interrupts);
	DEFINE_WAIT(wait);
	ktime_t timeout;
	u64 now;
	int ret;

	ivring_channel_count_sleepers(ch, w->events, 1);
	prepare_to_wait(&ch->wait, &wait, TASK_INTERRUPTIBLE);
	/* [F] and [H]: the wish is set, so look again; a doorbell wakes from here on. */
	ret = ivring_channel_look(f, w, true);
	if (!ret)
		ret = ivring_channel_give_up(w, deadline);
	if (!ret) {
		now = ktime_get_ns();
		timeout = min_t(u64, deadline > now ? deadline - now : 0, KTIME_MAX);
		trace_ivring_wait(ch, w);
		schedule_hrtimeout(deadline == U64_MAX ? NULL : &timeout, HRTIMER_MODE_REL);
	}
	finish_wait(&ch->wait, &wait);
	ivring_channel_count_sleepers(ch, w->events, -1);
	if (tick_wakes != READ_ONCE(ch->tick_wakes) &&
	    interrupts == atomic64_read(&ch->interrupts) && ivring_channel_look(f, w, false) > 0 &&
	    READ_ONCE(ch->state) == IVRING_CHANNEL_CONNECTED)
		ivring_channel_rescued(ch, interrupts);
	return ret;
}

/*
 * Spin or sleep once. Only the first wait for something that can come soon spins, for
 * @spin, whose events are none from then on: a sleep is woken for all that is wanted.
 * Returns as ivring_channel_look().
 */
static int ivring_channel_wait_once(struct ivring_file *f, const struct ivring_wait *w,
				    struct ivring_dir *dir, u64 deadline, struct ivring_wait *spin)
{
	struct ivring_channel *ch = f->channel;
	u64 start = ktime_get_ns();
	bool by_spin;
	int ret = 0;

	if (spin->events && READ_ONCE(ch->state) == IVRING_CHANNEL_CONNECTED) {
		ret = ivring_channel_spin(f, spin, dir, deadline);
		spin->events = 0;
	}
	by_spin = ret;
	if (!ret)
		ret = ivring_channel_sleep(f, w, deadline);
	if (!ret)
		ret = ivring_channel_look(f, w, false);
	trace_ivring_wake(ch, ktime_get_ns() - start, by_spin, ret);
	return ret;
}

/*
 * As ivring_channel_wait(), but @least bytes of room are enough while it spins: the next
 * ones come at the same pace. To be woken takes longer, and is to be worth it.
 */
static int ivring_channel_wait_least(struct ivring_file *f, struct ivring_wait *w, u64 least)
{
	struct ivring_channel *ch = f->channel;
	struct ivring_dir *dir = w->events & IVRING_WAIT_IN ? &ch->rx_dir : &ch->tx_dir;
	struct ivring_wait spin = *w;
	u64 now, deadline = U64_MAX;
	int ret;

	spin.tx_min = min(w->tx_min, least);
	ret = ivring_channel_look(f, w, false);
	/* Who may not wait will poll(2), perhaps edge-triggered: that needs a doorbell. */
	if (!ret && !w->timeout_ns && READ_ONCE(dir->polled))
		ret = ivring_channel_look(f, w, true);
	if (!ret && !w->timeout_ns)
		return -EAGAIN;
	if (!ret && w->timeout_ns > 0) {
		now = ktime_get_ns();
		deadline = w->timeout_ns < S64_MAX - now ? now + w->timeout_ns : U64_MAX;
	}
	while (!ret)
		ret = ivring_channel_wait_once(f, w, dir, deadline, &spin);
	if (ret < 0)
		return ret;
	ivring_channel_event_held(ch, ret);
	w->revents = ret;
	return 0;
}

/**
 * ivring_channel_wait() - wait until an event holds
 * @f: the file
 * @w: events, limits and timeout; revents is filled in
 *
 * Return: 0 or an errno, see <linux/ivring.h>.
 */
int ivring_channel_wait(struct ivring_file *f, struct ivring_wait *w)
{
	return ivring_channel_wait_least(f, w, U64_MAX);
}

/* Room in the ring for @tx_min bytes of options: that of a message has a header. */
static u64 ivring_channel_tx_min(const struct ivring_file *f)
{
	u64 min = READ_ONCE(f->tx_min);

	if (f->messages)
		min = ivring_msg_size(min);
	/* The window may have become smaller. */
	return min(min, READ_ONCE(f->channel->tx.window));
}

/**
 * ivring_channel_poll() - poll(2), after poll_wait(): sets the wish when there is nothing yet
 * @f: the file
 * @wanted: what is asked for: with anything else the caller goes on waiting, and a wish for
 *	it would only have the peer ring for nothing
 */
__poll_t ivring_channel_poll(struct ivring_file *f, __poll_t wanted)
{
	struct ivring_wait in = {
		.events = IVRING_WAIT_IN, .rx_min = READ_ONCE(f->rx_min),
	};
	struct ivring_wait out = {
		.events = IVRING_WAIT_OUT, .tx_min = ivring_channel_tx_min(f),
	};
	struct ivring_channel *ch = f->channel;
	bool rx = wanted & (EPOLLIN | EPOLLRDNORM), tx = wanted & (EPOLLOUT | EPOLLWRNORM);
	__poll_t mask = 0;
	u32 held = 0;
	int ret;

	spin_lock(&ch->lock);
	if (rx && f->conversation == ch->conversation)
		WRITE_ONCE(ch->rx_dir.polled, true);
	if (tx && f->conversation == ch->conversation)
		WRITE_ONCE(ch->tx_dir.polled, true);
	spin_unlock(&ch->lock);

	ret = ivring_channel_look(f, &in, rx);
	if (ret < 0)
		return EPOLLERR | EPOLLHUP | EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
	if (ret)
		mask |= EPOLLIN | EPOLLRDNORM;
	/* As with a socket: where writing fails at once, it does not block. */
	if (ivring_channel_look(f, &out, tx))
		mask |= EPOLLOUT | EPOLLWRNORM;
	if (READ_ONCE(ch->state) == IVRING_CHANNEL_PEER_CLOSED)
		mask |= EPOLLRDHUP | EPOLLERR;
	if (READ_ONCE(ch->rx_shutdown))
		mask |= EPOLLRDHUP;
	if (mask & wanted & EPOLLIN)
		held |= IVRING_WAIT_IN;
	if (mask & wanted & EPOLLOUT)
		held |= IVRING_WAIT_OUT;
	if (mask & wanted)
		ivring_channel_event_held(ch, held);
	return mask;
}

/**
 * ivring_channel_shutdown() - IVRING_IOC_SHUTDOWN
 * @f: the file
 */
int ivring_channel_shutdown(struct ivring_file *f)
{
	struct ivring_channel *ch = f->channel;
	bool announce = false;
	int ret;

	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	if (!ret && ch->state == IVRING_CHANNEL_PEER_CLOSED)
		ret = -EPIPE;
	if (!ret)
		announce = ivring_conn_shutdown(ch);
	spin_unlock(&ch->lock);
	if (announce)
		ivring_link_announce(ch->link);
	return ret;
}

/**
 * ivring_dir_taken() - is a direction somebody else's: a span's holder's, or user space's own?
 * @f: the file
 * @dir: the direction
 * @holder_ok: not if it is held by @f itself
 *
 * Return: 0, -EBUSY; or how the conversation of @f ended, as it is a later one's then.
 */
int ivring_dir_taken(const struct ivring_file *f, const struct ivring_dir *dir, bool holder_ok)
{
	struct ivring_channel *ch = f->channel;
	int ret;

	if (!READ_ONCE(ch->user) && !READ_ONCE(dir->holder))
		return 0;
	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	if (!ret && (ch->user || (dir->holder && !(holder_ok && dir->holder == f))))
		ret = -EBUSY;
	spin_unlock(&ch->lock);
	return ret;
}

/* ---- spans ---- */

/**
 * ivring_channel_reserve() - IVRING_IOC_RESERVE
 * @f: the file
 * @span: in and out
 */
int ivring_channel_reserve(struct ivring_file *f, struct ivring_span *span)
{
	struct ivring_wait w = {
		.events = IVRING_WAIT_OUT, .tx_min = span->min, .timeout_ns = span->timeout_ns,
	};
	struct ivring_channel *ch = f->channel;
	int ret;

	if (!span->min || span->min > READ_ONCE(ch->tx.window))
		return -EINVAL;
	ret = ivring_dir_lock_timed(f, &ch->tx_dir, &w.timeout_ns);
	if (ret)
		return ret;
	ret = ivring_dir_taken(f, &ch->tx_dir, true) ?: ivring_channel_wait(f, &w);
	if (ret)
		goto out_unlock;

	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	if (!ret) {
		WRITE_ONCE(ch->tx_dir.holder, f);
		ch->tx_dir.held = ivring_tx_cached_space(&ch->tx);
		span->offset = ch->tx.prod & (ch->tx.size - 1);
		span->len = ch->tx_dir.held;
		trace_ivring_reserve(ch, ch->tx.prod, span->len);
	}
	spin_unlock(&ch->lock);
out_unlock:
	ivring_dir_unlock(f, &ch->tx_dir);
	return ret;
}

/* Hand @len bytes to the peer; caller holds channel->lock. True: ring. */
static bool ivring_channel_produce(struct ivring_channel *ch, u64 len)
{
	bool ring = ivring_tx_publish(&ch->tx, len);

	trace_ivring_commit(ch, ch->tx.prod, len, ring);
	ch->stats[IVRING_STAT_TX_BYTES] += len;
	ch->stats[ring ? IVRING_STAT_DOORBELLS_SENT : IVRING_STAT_DOORBELLS_SUPPRESSED]++;
	return ring;
}

/* Give @len bytes back to the peer; caller holds channel->lock. True: ring. */
static bool ivring_channel_consume(struct ivring_channel *ch, u64 len)
{
	bool ring = ivring_rx_publish(&ch->rx, len);

	trace_ivring_release(ch, ch->rx.cons, len, ring);
	ch->stats[IVRING_STAT_RX_BYTES] += len;
	ch->stats[ring ? IVRING_STAT_DOORBELLS_SENT : IVRING_STAT_DOORBELLS_SUPPRESSED]++;
	return ring;
}

static bool ivring_dir_span_ok(const struct ivring_dir *dir, const struct ivring_file *f,
			       const struct ivring_span *span, u64 offset)
{
	if (f->messages && span->len % IVRING_MSG_ALIGN)
		return false;
	return dir->holder == f && span->offset == offset && span->len <= dir->held;
}

static void ivring_dir_span_shrink(struct ivring_dir *dir, u64 len)
{
	dir->held -= len;
	if (!dir->held || !len)
		WRITE_ONCE(dir->holder, NULL);
}

/**
 * ivring_channel_commit() - IVRING_IOC_COMMIT
 * @f: the file
 * @span: what to hand over
 */
int ivring_channel_commit(struct ivring_file *f, const struct ivring_span *span)
{
	struct ivring_channel *ch = f->channel;
	bool ring = false;
	int ret;

	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	if (!ret && !ivring_dir_span_ok(&ch->tx_dir, f, span, ch->tx.prod & (ch->tx.size - 1)))
		ret = -EINVAL;
	if (!ret && (ch->state == IVRING_CHANNEL_PEER_CLOSED || ch->tx_shutdown))
		ret = -EPIPE;
	if (!ret) {
		ring = span->len && ivring_channel_produce(ch, span->len);
		ivring_dir_span_shrink(&ch->tx_dir, span->len);
	}
	spin_unlock(&ch->lock);
	if (ring)
		ivring_channel_ring(ch);
	return ret;
}

/**
 * ivring_channel_peek() - IVRING_IOC_PEEK
 * @f: the file
 * @span: in and out
 */
int ivring_channel_peek(struct ivring_file *f, struct ivring_span *span)
{
	struct ivring_wait w = {
		.events = IVRING_WAIT_IN, .rx_min = span->min, .timeout_ns = span->timeout_ns,
	};
	struct ivring_channel *ch = f->channel;
	int ret;

	if (!span->min || span->min > ch->rx.size)
		return -EINVAL;
	ret = ivring_dir_lock_timed(f, &ch->rx_dir, &w.timeout_ns);
	if (ret)
		return ret;
	ret = ivring_dir_taken(f, &ch->rx_dir, true) ?: ivring_channel_wait(f, &w);
	if (ret)
		goto out_unlock;

	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	if (!ret) {
		span->offset = ch->rx.cons & (ch->rx.size - 1);
		span->len = ivring_rx_cached_avail(&ch->rx);
		ch->rx_dir.held = span->len;
		WRITE_ONCE(ch->rx_dir.holder, span->len ? f : NULL);
		trace_ivring_peek(ch, ch->rx.cons, span->len);
	}
	spin_unlock(&ch->lock);
out_unlock:
	ivring_dir_unlock(f, &ch->rx_dir);
	return ret;
}

/**
 * ivring_channel_release() - IVRING_IOC_RELEASE
 * @f: the file
 * @span: what to give back
 */
int ivring_channel_release(struct ivring_file *f, const struct ivring_span *span)
{
	struct ivring_channel *ch = f->channel;
	bool ring = false;
	int ret;

	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	if (!ret && !ivring_dir_span_ok(&ch->rx_dir, f, span, ch->rx.cons & (ch->rx.size - 1)))
		ret = -EINVAL;
	if (!ret) {
		ring = span->len && ivring_channel_consume(ch, span->len);
		ivring_dir_span_shrink(&ch->rx_dir, span->len);
	}
	spin_unlock(&ch->lock);
	if (ring)
		ivring_channel_ring(ch);
	return ret;
}

/* ---- copying ---- */

/* How many bytes to copy until the next publication; caller holds channel->lock. */
static u64 ivring_dir_chunk(const struct ivring_channel *ch, const struct ivring_dir *dir)
{
	u64 max = ivring_tune_chunk(ch);

	return dir->chunk ? min(dir->chunk, max) : max;
}

/* There is no room at all. Return: how much would do for the next piece. */
static u64 ivring_channel_stalls(struct ivring_channel *ch)
{
	u64 chunk;

	spin_lock(&ch->lock);
	ch->stats[IVRING_STAT_STALLS]++;
	chunk = ivring_dir_chunk(ch, &ch->tx_dir);
	spin_unlock(&ch->lock);
	return chunk;
}

/**
 * ivring_channel_room() - where to copy to
 * @f: the file; its channel's tx_dir is locked
 * @count: bytes there are to copy, not zero
 * @timeout_ns: how long to wait for room
 * @piece: filled in, at most @count bytes and at least one
 *
 * Return: 0 or an errno.
 */
int ivring_channel_room(struct ivring_file *f, u64 count, s64 timeout_ns,
			struct ivring_piece *piece)
{
	struct ivring_wait w = { .events = IVRING_WAIT_OUT, .tx_min = 1 };
	struct ivring_channel *ch = f->channel;
	u64 chunk = 0;
	int ret;

	ret = ivring_dir_taken(f, &ch->tx_dir, false) ?: ivring_channel_wait(f, &w);
	if (ret == -EAGAIN)
		chunk = ivring_channel_stalls(ch);
	if (ret == -EAGAIN && timeout_ns) {
		/* The ring is full: be woken for a good part of it, not for a byte. */
		w.tx_min = clamp_t(u64, count, 1, max(READ_ONCE(ch->tx.window) / 2, 1ULL));
		w.timeout_ns = timeout_ns;
		ret = ivring_channel_wait_least(f, &w, chunk);
	}
	if (ret)
		return ret;
	spin_lock(&ch->lock);
	piece->data = ch->tx_data + (ch->tx.prod & (ch->tx.size - 1));
	piece->len = min3(ivring_tx_cached_space(&ch->tx), count,
			  ivring_dir_chunk(ch, &ch->tx_dir));
	trace_ivring_reserve(ch, ch->tx.prod, piece->len);
	spin_unlock(&ch->lock);
	piece->start_ns = ktime_get_ns();
	return 0;
}

/**
 * ivring_channel_avail() - where to copy from
 * @f: the file; its channel's rx_dir is locked
 * @count: bytes that are wanted, not zero
 * @timeout_ns: how long to wait for data
 * @piece: filled in, at most @count bytes; none at end of file
 *
 * Return: 0 or an errno.
 */
int ivring_channel_avail(struct ivring_file *f, u64 count, s64 timeout_ns,
			 struct ivring_piece *piece)
{
	struct ivring_wait w = {
		.events = IVRING_WAIT_IN, .rx_min = 1, .timeout_ns = timeout_ns,
	};
	struct ivring_channel *ch = f->channel;
	int ret;

	if (timeout_ns)
		w.rx_min = min(count, READ_ONCE(f->rx_min));
	ret = ivring_dir_taken(f, &ch->rx_dir, false) ?: ivring_channel_wait(f, &w);
	if (ret)
		return ret;
	spin_lock(&ch->lock);
	piece->data = ch->rx_data + (ch->rx.cons & (ch->rx.size - 1));
	piece->len = min3(ivring_rx_cached_avail(&ch->rx), count,
			  ivring_dir_chunk(ch, &ch->rx_dir));
	trace_ivring_peek(ch, ch->rx.cons, piece->len);
	ret = ivring_file_error(f);
	spin_unlock(&ch->lock);
	piece->start_ns = ktime_get_ns();
	return ret;
}

/**
 * ivring_channel_copied() - publish a piece, if the conversation is still the same
 * @f: the file; the direction's lock is held since the piece was got
 * @tx: which direction
 * @piece: what was copied
 *
 * Return: 0 or an errno.
 */
int ivring_channel_copied(struct ivring_file *f, bool tx, const struct ivring_piece *piece)
{
	struct ivring_channel *ch = f->channel;
	struct ivring_dir *dir = tx ? &ch->tx_dir : &ch->rx_dir;
	u64 ns = ktime_get_ns() - piece->start_ns;
	bool ring = false;
	int ret;

	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	if (!ret && tx && (ch->state == IVRING_CHANNEL_PEER_CLOSED || ch->tx_shutdown))
		ret = -EPIPE;
	if (!ret) {
		ring = tx ? ivring_channel_produce(ch, piece->len) :
			    ivring_channel_consume(ch, piece->len);
		/* A shorter piece tells nothing of the memory's speed. */
		if (piece->len == ivring_dir_chunk(ch, dir))
			dir->chunk = ivring_chunk_pace(piece->len, ivring_tune_chunk(ch), ns);
	}
	spin_unlock(&ch->lock);
	if (ring)
		ivring_channel_ring(ch);
	return ret;
}

/* ---- read and write ---- */

/**
 * ivring_channel_readable() - FIONREAD
 * @f: the file
 * @bytes: out: that can be read, or of the next message
 *
 * Return: 0 or an errno.
 */
int ivring_channel_readable(struct ivring_file *f, u64 *bytes)
{
	struct ivring_wait w = { .events = IVRING_WAIT_IN, .rx_min = f->channel->rx.size };
	struct ivring_channel *ch = f->channel;
	int ret;

	/* More than the ring has: looks at what the peer wrote in any case. */
	ret = ivring_channel_wait(f, &w);
	if (ret && ret != -EAGAIN)
		return ret;
	if (f->messages)
		return ivring_message_len(f, bytes);
	spin_lock(&ch->lock);
	/* Before it connected, the indices may be those of the conversation before. */
	*bytes = ch->state == IVRING_CHANNEL_OPENING ? 0 :
		 min(ivring_rx_cached_avail(&ch->rx), ch->rx.size);
	ret = ivring_file_error(f);
	spin_unlock(&ch->lock);
	return ret;
}

static ssize_t ivring_channel_write_bytes(struct ivring_copy *c, s64 timeout_ns)
{
	struct ivring_piece piece;
	ssize_t done = 0;
	size_t want;
	int ret;

	ret = ivring_copy_lock(c, timeout_ns);
	if (ret)
		return ret;
	while (iov_iter_count(c->iter)) {
		ret = ivring_channel_room(c->f, iov_iter_count(c->iter), timeout_ns, &piece);
		if (ret)
			break;
		want = piece.len;
		piece.len = ivring_copy_some(c, piece.data, want);
		if (piece.len)
			ret = ivring_channel_copied(c->f, true, &piece);
		if (ret) {
			iov_iter_revert(c->iter, piece.len);
			break;
		}
		done += piece.len;
		if (piece.len && signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		if (piece.len < want)
			ret = ivring_copy_fault_in(c, want - piece.len);
		if (ret)
			break;
		cond_resched();
	}
	return done ?: ret;
}

/**
 * ivring_channel_write() - write(2)
 * @f: the file
 * @from: what to write
 * @nonblock: never sleep
 *
 * Return: bytes written, all of them unless @nonblock, a signal, a bad address
 * or the end of the conversation came first; an errno if none.
 */
ssize_t ivring_channel_write(struct ivring_file *f, struct iov_iter *from, bool nonblock)
{
	s64 timeout_ns = nonblock ? 0 : -1;
	struct ivring_copy c;
	ssize_t ret;

	ret = ivring_copy_begin(&c, f, from, true);
	if (ret)
		return ret;
	ret = f->messages ? ivring_message_write(&c, timeout_ns) :
			    ivring_channel_write_bytes(&c, timeout_ns);
	ivring_copy_end(&c);
	return ret;
}

static ssize_t ivring_channel_read_bytes(struct ivring_copy *c, s64 timeout_ns)
{
	struct ivring_piece piece;
	ssize_t done = 0;
	size_t want;
	int ret;

	ret = ivring_copy_lock(c, timeout_ns);
	if (ret)
		return ret;
	while (iov_iter_count(c->iter)) {
		ret = ivring_channel_avail(c->f, iov_iter_count(c->iter), timeout_ns, &piece);
		if (ret || !piece.len)
			break;
		want = piece.len;
		piece.len = ivring_copy_some(c, piece.data, want);
		if (piece.len) {
			ret = ivring_channel_copied(c->f, false, &piece);
			if (ret) {
				iov_iter_revert(c->iter, piece.len);
				break;
			}
			done += piece.len;
			/* What is there is enough: only the first byte is waited for. */
			timeout_ns = 0;
			if (signal_pending(current))
				break;
			cond_resched();
		}
		if (piece.len < want)
			ret = ivring_copy_fault_in(c, want - piece.len);
		if (ret)
			break;
	}
	return done ?: ret;
}

/**
 * ivring_channel_read() - read(2)
 * @f: the file
 * @to: where to
 * @nonblock: never sleep
 *
 * Return: bytes read, as many as are there, zero at end of file; an errno.
 */
ssize_t ivring_channel_read(struct ivring_file *f, struct iov_iter *to, bool nonblock)
{
	s64 timeout_ns = nonblock ? 0 : -1;
	struct ivring_copy c;
	ssize_t ret;

	ret = ivring_copy_begin(&c, f, to, false);
	if (ret)
		return ret;
	ret = f->messages ? ivring_message_read(&c, timeout_ns) :
			    ivring_channel_read_bytes(&c, timeout_ns);
	ivring_copy_end(&c);
	return ret;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting on a channel and moving data through it.
 *
 * Data is copied, or handed to user space as a span, without channel->lock;
 * the direction's busy bit or the span's holder keeps others off meanwhile. A
 * conversation may end during the copy: whoever publishes looks at it again
 * under the lock, so that nothing of an old one reaches the next.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>
#include <ivring/tune.h>
#include "internal.h"
#include "trace.h"

/* Long enough for an interrupt that was on its way, see ivring_channel_rescued(). */
#define IVRING_RESCUE_GRACE_MS	50

/**
 * ivring_dir_lock() - keep other users of a direction off
 * @dir: the direction
 * @timeout_ns: how long to wait, negative for ever
 *
 * Return: 0, -EAGAIN, -ETIMEDOUT or -ERESTARTSYS.
 */
int ivring_dir_lock(struct ivring_dir *dir, s64 timeout_ns)
{
	long ret;

	if (!test_and_set_bit_lock(0, &dir->busy))
		return 0;
	if (!timeout_ns)
		return -EAGAIN;
	if (timeout_ns < 0)
		return wait_event_interruptible(dir->busy_wait,
						!test_and_set_bit_lock(0, &dir->busy));
	ret = wait_event_interruptible_timeout(dir->busy_wait,
					       !test_and_set_bit_lock(0, &dir->busy),
					       nsecs_to_jiffies(timeout_ns) + 1);
	return ret < 0 ? -EINTR : ret ? 0 : -ETIMEDOUT;
}

void ivring_dir_unlock(struct ivring_dir *dir)
{
	clear_bit_unlock(0, &dir->busy);
	/* The bit is clear before the queue is looked at. */
	smp_mb__after_atomic();
	wake_up(&dir->busy_wait);
}

/* As ivring_dir_lock(); takes the time it waited off @timeout_ns. */
static int ivring_dir_lock_timed(struct ivring_dir *dir, s64 *timeout_ns)
{
	u64 start = ktime_get_ns();
	int ret = ivring_dir_lock(dir, *timeout_ns);

	if (!ret && *timeout_ns > 0)
		*timeout_ns = max_t(s64, *timeout_ns - (s64)(ktime_get_ns() - start), 1);
	return ret;
}

static void ivring_channel_ring(struct ivring_channel *ch)
{
	u32 vectors = READ_ONCE(ch->link->peer_vectors);

	ivring_link_ring(ch->link, ivring_wire_vector(ch->index, vectors));
}

/* ---- is it ready? ---- */

/* Has the conversation of @f come to an end that lets nothing through any more? */
static int ivring_file_error(const struct ivring_file *f)
{
	const struct ivring_channel *ch = f->channel;

	if (READ_ONCE(ch->link->dead))
		return -ENODEV;
	if (f->conversation != ch->conversation)
		return -ECONNRESET;
	if (ch->state == IVRING_CHANNEL_RESET || ch->state == IVRING_CHANNEL_BROKEN)
		return ch->error;
	if (ch->state == IVRING_CHANNEL_OPENING &&
	    READ_ONCE(ch->link->state) == IVRING_LINK_MISMATCH)
		return -EPROTONOSUPPORT;
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
		return 0;
	if (closed || ivring_rx_cached_avail(&ch->rx) >= w->rx_min)
		hold |= IVRING_WAIT_IN;
	if (!closed && ivring_tx_cached_space(&ch->tx) >= w->tx_min)
		hold |= IVRING_WAIT_OUT;
	if (ch->tx.prod == ch->tx.cons)
		hold |= IVRING_WAIT_DRAINED;
	if (!(hold & w->events) && closed)
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

	if (w->events & IVRING_WAIT_IN)
		ivring_rx_arm(&ch->rx, rx_any ? ivring_rx_cached_avail(&ch->rx) + 1 : w->rx_min);
	if (w->events & IVRING_WAIT_OUT && !tx_any)
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

/*
 * Look at the peer's indices. Where one moved, whoever sleeps looks again and
 * wishes anew: the wish, or what is wished next from the index seen here, may
 * be passed already when the peer gets to read it, and then it does not ring.
 */
static int ivring_channel_refresh(struct ivring_channel *ch, u32 events)
{
	u64 prod = ch->rx.prod, cons = ch->tx.cons;
	int error = 0;

	if (events & IVRING_WAIT_IN)
		error = ivring_rx_refresh(&ch->rx);
	if (!error && events & (IVRING_WAIT_OUT | IVRING_WAIT_DRAINED))
		error = ivring_tx_refresh(&ch->tx);
	if ((prod != ch->rx.prod && ivring_dir_waited(&ch->rx_dir)) ||
	    (cons != ch->tx.cons && ivring_dir_waited(&ch->tx_dir)))
		wake_up_all(&ch->wait);
	return error;
}

/* As ivring_channel_events(), after a look at what the peer wrote. */
static int ivring_channel_look(struct ivring_file *f, const struct ivring_wait *w, bool arm)
{
	struct ivring_channel *ch = f->channel;
	bool announce = false;
	int ret, error = 0;

	spin_lock(&ch->lock);
	ret = ivring_channel_events(f, w);
	if (ret < 0 || ret == w->events)
		goto out;
	announce = ivring_conn_evaluate(ch);
	if (ch->state == IVRING_CHANNEL_CONNECTED) {
		if (arm && !ret)
			ivring_channel_arm(ch, w);
		error = ivring_channel_refresh(ch, w->events);
	}
	if (error) {
		/* A peer that left or restarted may do that, see [L] in conn.c. */
		announce |= ivring_conn_evaluate(ch);
		if (ch->state == IVRING_CHANNEL_CONNECTED) {
			ivring_conn_break(ch);
			announce = true;
		}
	}
	ret = ivring_channel_events(f, w);
out:
	spin_unlock(&ch->lock);
	if (announce)
		ivring_link_announce(ch->link);
	return ret;
}

/* ---- waiting ---- */

/* Did the peer's index leave the place where it was last seen? */
static bool ivring_channel_moved(const struct ivring_channel *ch, bool tx, u64 last)
{
	return last != le64_to_cpu(tx ? READ_ONCE(ch->tx.peer->cons) :
					READ_ONCE(ch->rx.peer->prod));
}

/* Look until the peer moves, or @end_ns. True when it moved. */
static bool ivring_channel_spin(struct ivring_channel *ch, const struct ivring_dir *dir, u64 end_ns)
{
	bool moved, tx = dir == &ch->tx_dir;
	u64 last = tx ? READ_ONCE(ch->tx.cons) : READ_ONCE(ch->rx.prod);

	do {
		moved = ivring_channel_moved(ch, tx, last);
		if (moved || need_resched() || signal_pending(current))
			break;
		cpu_relax();
	} while (ktime_get_ns() < end_ns);

	spin_lock(&ch->lock);
	ch->stats[IVRING_STAT_SPINS]++;
	ch->stats[IVRING_STAT_SPINS_PAID] += moved;
	spin_unlock(&ch->lock);
	return moved;
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

/*
 * The safety timer found what no doorbell announced, unless one was just on its
 * way: then it arrives now.
 */
static void ivring_channel_rescued(struct ivring_channel *ch, s64 interrupts)
{
	if (wait_event_interruptible_timeout(ch->wait,
					     atomic64_read(&ch->interrupts) != interrupts,
					     msecs_to_jiffies(IVRING_RESCUE_GRACE_MS)))
		return;
	spin_lock(&ch->lock);
	ch->stats[IVRING_STAT_RESCUED]++;
	spin_unlock(&ch->lock);
	dev_dbg(&ch->dev, "wake-up rescued by the safety timer\n");
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
	s64 interrupts = atomic64_read(&ch->interrupts);
	bool timed_out = false, safety = false;
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
		/* Announcements of the handshake have the link's tick for a safety net. */
		safety = READ_ONCE(ch->state) == IVRING_CHANNEL_CONNECTED &&
			 timeout > IVRING_TICK_NS;
		if (safety)
			timeout = IVRING_TICK_NS;
		trace_ivring_wait(ch, w);
		timed_out = !schedule_hrtimeout(deadline == U64_MAX && !safety ? NULL : &timeout,
						HRTIMER_MODE_REL);
	}
	finish_wait(&ch->wait, &wait);
	ivring_channel_count_sleepers(ch, w->events, -1);
	if (timed_out && safety && ivring_channel_look(f, w, false) > 0 &&
	    READ_ONCE(ch->state) == IVRING_CHANNEL_CONNECTED)
		ivring_channel_rescued(ch, interrupts);
	return ret;
}

/* Spin or sleep once, as the policy in spin.h says. Returns as ivring_channel_look(). */
static int ivring_channel_wait_once(struct ivring_file *f, const struct ivring_wait *w,
				    struct ivring_dir *dir, u64 deadline)
{
	struct ivring_channel *ch = f->channel;
	u32 max = ivring_tune_spin_max(ch);
	u64 start = ktime_get_ns();
	bool moved = false;
	u32 budget = 0;
	int ret = 0;

	if (READ_ONCE(ch->state) == IVRING_CHANNEL_CONNECTED)
		budget = ivring_spin_budget(&dir->spin, max, start);
	if (budget) {
		moved = ivring_channel_spin(ch, dir, start + budget);
		ivring_spin_result(&dir->spin, max, ktime_get_ns() - start, moved);
	}
	if (!moved)
		ret = ivring_channel_sleep(f, w, deadline);
	if (!ret)
		ret = ivring_channel_look(f, w, false);
	if (!ret && moved)
		ret = ivring_channel_give_up(w, deadline);
	trace_ivring_wake(ch, ktime_get_ns() - start, moved, ret);
	return ret;
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
	struct ivring_channel *ch = f->channel;
	struct ivring_dir *dir = w->events & IVRING_WAIT_IN ? &ch->rx_dir : &ch->tx_dir;
	u64 now, deadline = U64_MAX;
	int ret;

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
		ret = ivring_channel_wait_once(f, w, dir, deadline);
	if (ret < 0)
		return ret;
	w->revents = ret;
	return 0;
}

/* For poll(2), after poll_wait(): sets the wish when there is nothing yet. */
__poll_t ivring_channel_poll(struct ivring_file *f)
{
	struct ivring_wait in = { .events = IVRING_WAIT_IN, .rx_min = 1 };
	struct ivring_wait out = { .events = IVRING_WAIT_OUT, .tx_min = 1 };
	struct ivring_channel *ch = f->channel;
	__poll_t mask = 0;
	int ret;

	spin_lock(&ch->lock);
	ch->rx_dir.polled = true;
	ch->tx_dir.polled = true;
	spin_unlock(&ch->lock);

	ret = ivring_channel_look(f, &in, true);
	if (ret < 0)
		return EPOLLERR | EPOLLHUP | EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
	if (ret)
		mask |= EPOLLIN | EPOLLRDNORM;
	ret = ivring_channel_look(f, &out, true);
	if (ret == -EPIPE)
		mask |= EPOLLRDHUP | EPOLLERR | EPOLLOUT | EPOLLWRNORM;
	else if (ret)
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
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
	ret = ivring_dir_lock_timed(&ch->tx_dir, &w.timeout_ns);
	if (ret)
		return ret;
	if (READ_ONCE(ch->tx_dir.holder) && ch->tx_dir.holder != f)
		ret = -EBUSY;
	else
		ret = ivring_channel_wait(f, &w);
	if (ret)
		goto out_unlock;

	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	if (!ret) {
		ch->tx_dir.holder = f;
		ch->tx_dir.held = ivring_tx_cached_space(&ch->tx);
		span->offset = ch->tx.prod & (ch->tx.size - 1);
		span->len = ch->tx_dir.held;
		trace_ivring_reserve(ch, ch->tx.prod, span->len);
	}
	spin_unlock(&ch->lock);
out_unlock:
	ivring_dir_unlock(&ch->tx_dir);
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
	return dir->holder == f && span->offset == offset && span->len <= dir->held;
}

static void ivring_dir_span_shrink(struct ivring_dir *dir, u64 len)
{
	dir->held -= len;
	if (!dir->held || !len)
		dir->holder = NULL;
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
	if (!ret && ch->state == IVRING_CHANNEL_PEER_CLOSED)
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
	ret = ivring_dir_lock_timed(&ch->rx_dir, &w.timeout_ns);
	if (ret)
		return ret;
	if (READ_ONCE(ch->rx_dir.holder) && ch->rx_dir.holder != f)
		ret = -EBUSY;
	else
		ret = ivring_channel_wait(f, &w);
	if (ret)
		goto out_unlock;

	spin_lock(&ch->lock);
	ret = ivring_file_error(f);
	if (!ret) {
		span->offset = ch->rx.cons & (ch->rx.size - 1);
		span->len = ivring_rx_cached_avail(&ch->rx);
		ch->rx_dir.held = span->len;
		ch->rx_dir.holder = span->len ? f : NULL;
		trace_ivring_peek(ch, ch->rx.cons, span->len);
	}
	spin_unlock(&ch->lock);
out_unlock:
	ivring_dir_unlock(&ch->rx_dir);
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
	int ret;

	if (READ_ONCE(ch->tx_dir.holder))
		return -EBUSY;
	ret = ivring_channel_wait(f, &w);
	if (ret == -EAGAIN && timeout_ns) {
		/* The ring is full: be woken for a good part of it, not for a byte. */
		w.tx_min = clamp_t(u64, count, 1, max(ch->tx.window / 2, 1ULL));
		w.timeout_ns = timeout_ns;
		ret = ivring_channel_wait(f, &w);
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

	if (READ_ONCE(ch->rx_dir.holder))
		return -EBUSY;
	ret = ivring_channel_wait(f, &w);
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
	if (!ret && tx && ch->state == IVRING_CHANNEL_PEER_CLOSED)
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
	struct ivring_channel *ch = f->channel;
	s64 timeout_ns = nonblock ? 0 : -1;
	struct ivring_piece piece;
	ssize_t done = 0;
	int ret;

	ret = ivring_dir_lock(&ch->tx_dir, timeout_ns);
	if (ret)
		return ret;
	while (iov_iter_count(from)) {
		ret = ivring_channel_room(f, iov_iter_count(from), timeout_ns, &piece);
		if (ret)
			break;
		piece.len = copy_from_iter(piece.data, piece.len, from);
		ret = piece.len ? ivring_channel_copied(f, true, &piece) : -EFAULT;
		if (ret)
			break;
		done += piece.len;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
	}
	ivring_dir_unlock(&ch->tx_dir);
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
	struct ivring_channel *ch = f->channel;
	s64 timeout_ns = nonblock ? 0 : -1;
	struct ivring_piece piece;
	ssize_t done = 0;
	int ret;

	ret = ivring_dir_lock(&ch->rx_dir, timeout_ns);
	if (ret)
		return ret;
	while (iov_iter_count(to)) {
		ret = ivring_channel_avail(f, iov_iter_count(to), timeout_ns, &piece);
		if (ret || !piece.len)
			break;
		piece.len = copy_to_iter(piece.data, piece.len, to);
		ret = piece.len ? ivring_channel_copied(f, false, &piece) : -EFAULT;
		if (ret)
			break;
		done += piece.len;
		/* What is there is enough: only the first byte is waited for. */
		timeout_ns = 0;
	}
	ivring_dir_unlock(&ch->rx_dir);
	return done ?: ret;
}

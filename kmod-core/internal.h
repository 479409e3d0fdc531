/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The core's own structures.
 *
 * Locks, outermost first:
 *	channel->mapping	which files may map: may sleep. Page faults take it, below
 *			mmap_lock; who zaps mappings takes i_mmap_rwsem below it
 *	link->lock	the peer's presence and the link's state
 *	channel->lock	a conversation and its private ring indices
 * The last two are taken in process context only: an interrupt just wakes and
 * queues work. A direction has an owner (ivring_dir_lock()): whoever copies
 * data, over page faults and sleeps, and so before all of these locks. It outlasts
 * even the link, while the owner faults outside of that: see copy.c.
 */
#ifndef _IVRING_INTERNAL_H
#define _IVRING_INTERNAL_H

#include <linux/atomic.h>
#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/percpu-refcount.h>
#include <linux/ratelimit.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <ivring/link.h>
#include <ivring/ring.h>
#include <ivring/spin.h>
#include <ivring/wire.h>
#include <linux/ivring.h>

#define IVRING_LINKS_MAX	128
/* Minors per link: the link's own node and one per channel. */
#define IVRING_MINORS_PER_LINK	(1 + IVRING_WIRE_CHANNELS_MAX)

/* How often a side with open files shows that it lives and looks around. */
#define IVRING_TICK_NS		(1000 * NSEC_PER_MSEC)
/* Long enough for an interrupt that is on its way. */
#define IVRING_RESCUE_GRACE_NS	(100 * NSEC_PER_MSEC)
#define IVRING_PEER_TIMEOUT_MS	10000
/* How much later it is, in jiffies, where too much comes to nothing. */
#define IVRING_WAKE_LATE	1
/* Whose end waits this long for somebody inside says for whom. */
#define IVRING_PATIENCE_MS	10000

enum ivring_channel_stat {
	IVRING_STAT_TX_BYTES,
	IVRING_STAT_RX_BYTES,
	IVRING_STAT_TX_MESSAGES,
	IVRING_STAT_RX_MESSAGES,
	IVRING_STAT_DOORBELLS_SENT,
	IVRING_STAT_DOORBELLS_SUPPRESSED,
	IVRING_STAT_STALLS,
	IVRING_STAT_SLEEPS,
	IVRING_STAT_SPINS,
	IVRING_STAT_SPINS_PAID,
	IVRING_STAT_RESCUED,
	IVRING_STAT_CONVERSATIONS,
	IVRING_STAT_BROKEN,
	IVRING_CHANNEL_STATS,
};

enum ivring_link_stat {
	IVRING_STAT_LINK_DOORBELLS,
	IVRING_STAT_LINK_INTERRUPTS,
	IVRING_STAT_LINK_UPS,
	IVRING_STAT_LINK_DOWNS,
	IVRING_STAT_LINK_RESTORED,
	IVRING_STAT_LINK_LATE,
	IVRING_LINK_STATS,
};

/* An open channel node. */
struct ivring_file {
	struct ivring_channel *channel;
	struct file *file;
	struct list_head node;		/* in channel->files */
	u64 conversation;		/* the one it was opened for */
	bool exclusive;			/* with O_EXCL */
	bool messages;			/* and O_DIRECT */
	u32 spin_max_ns;		/* as struct ivring_options */
	u64 rx_min;
	u64 tx_min;
	bool zapped;			/* maps nothing any more, see ivring_channel_zap() */
};

/* What one direction of a channel needs besides its ring. */
struct ivring_dir {
	const struct ivring_file *owner; /* see ivring_dir_lock() */
	bool refused;			/* somebody who may not wait was sent away */
	wait_queue_head_t busy_wait;
	struct ivring_copy *outside;	/* the owner's: ivring_copy_go_outside() */
	pid_t file_pid;			/* who moves a file, for the log */
	struct ivring_file *holder;	/* of a reserved or peeked span */
	u64 held;			/* bytes of that span */
	unsigned int sleepers;
	bool polled;			/* poll(2) was used: wake for any progress */
	s64 looked;			/* channel->interrupts at the last look at its index */
	u64 ticked;			/* the peer's index at the last tick, see */
	bool overdue;			/* ivring_dir_tick(), and: a doorbell is owed */
	struct ivring_spin spin;
	u64 chunk;			/* bytes of the next copy, 0: as many as allowed */
};

/**
 * struct ivring_piece - of a ring, to be copied to or from
 * @data: where it starts, never wraps
 * @len: bytes; after the copy those that were copied
 * @start_ns: when the copy began
 */
struct ivring_piece {
	void *data;
	size_t len;
	u64 start_ns;
};

/**
 * struct ivring_storm - do doorbells come faster than they are worth an answer each?
 * @when: the jiffy of the last one
 * @count: doorbells that came to nothing since one was worth it, less one for each ms;
 *	may be below zero for a moment
 * @begun: the jiffy in which there were too many last
 * @rest: how many jiffies the vector might be left alone from then on
 * @indices: the sum of the peer's, then
 */
struct ivring_storm {
	unsigned long when;
	atomic_t count;
	unsigned long begun;
	unsigned int rest;
	u64 indices;
};

/**
 * struct ivring_copy - a read or a write, or a file's, under way
 * @f: the channel's file
 * @iter: from or to where, advances; NULL: it is a file
 * @tx: which direction
 * @inside: the link, by ivring_link_enter()
 * @locked: the direction, by ivring_dir_lock()
 * @fruitless: page faults in a row that helped nothing
 * @left: bytes in @iter at the last one
 */
struct ivring_copy {
	struct ivring_file *f;
	struct iov_iter *iter;
	bool tx;
	bool inside;
	bool locked;
	unsigned int fruitless;
	size_t left;
};

/**
 * struct ivring_channel - one channel of a link
 * @dev: the device node, holds a reference on @link
 * @cdev: its character device
 * @link: the link it belongs to
 * @index: number within the link
 * @own: own half of the handshake, in shared memory
 * @peer: the peer's half
 * @tx_data: data of the produced ring, mapped twice in a row
 * @rx_data: data of the consumed ring, likewise
 * @mapping: page faults map while they hold it for reading; whoever holds it for
 *	writing, to open, may begin a conversation
 * @lock: protects all that follows, but for directions' owners, @late_wake and @interrupts
 * @files: struct ivring_file, open here, of whatever conversation
 * @users: those of them that belong to the present conversation
 * @copying: who copies from or to a ring right now, see ivring_copy_pin()
 * @openers: who waits for these to end, on @copied
 * @exclusive: opened with O_EXCL
 * @lingering: closed here, but the peer still reads what was sent
 * @started: this conversation's epoch is published
 * @messages: this conversation carries messages
 * @tx_shutdown: this side sends no more in it
 * @rx_shutdown: the peer sends no more in it
 * @user: user space moves the indices, see user.c
 * @user_from: where they were when it began to
 * @user_seen: the furthest that the peer's were, as seen since then
 * @flags: IVRING_WIRE_CONN_F_* as published
 * @state: IVRING_CHANNEL_*, meaningful while @users is not zero
 * @error: errno while @state is IVRING_CHANNEL_RESET
 * @conversation: counts conversations; a file of an older one is stale
 * @epoch: own epoch of the conversation
 * @peer_epoch: and the peer's, once acknowledged
 * @peer_life: the life of the peer's in which the channel connected
 * @chunk: most bytes read(2) and write(2) copy between two publications; 0:
 *	what suits the window
 * @spin_max_ns: longest busy wait, see ivring_tune_spin_max()
 * @tx: produced ring
 * @rx: consumed ring
 * @tx_dir: its waiting and ownership
 * @rx_dir: likewise
 * @wait: whoever waits for data, space or the handshake
 * @wakes: of looks at indices that moved, since an event held
 * @armed: IVRING_WAIT_*: what the peer was to ring for, and has not held since
 * @storm: of doorbells that may concern this channel: the link's, of its vector
 * @late_wake: what takes the place of wakes when there are too many
 * @tick_wakes: times the link's tick woke @wait
 * @interrupts: times an interrupt may have concerned this channel
 * @stats: counters, indexed by enum ivring_channel_stat
 */
struct ivring_channel {
	struct device dev;
	struct cdev cdev;
	struct ivring_link *link;
	u32 index;

	struct ivring_wire_conn *own;
	const struct ivring_wire_conn *peer;
	void *tx_data;
	void *rx_data;
	struct rw_semaphore mapping;

	spinlock_t lock;
	struct list_head files;
	unsigned int users;
	unsigned int copying;
	unsigned int openers;
	wait_queue_head_t copied;
	bool exclusive;
	bool lingering;
	bool started;
	bool messages;
	bool tx_shutdown;
	bool rx_shutdown;
	bool user;
	struct ivring_user_indices {
		u64 prod, cons;
	} user_from, user_seen;
	u32 flags;
	u32 state;
	int error;
	u64 conversation;
	u64 epoch;
	u64 peer_epoch;
	u64 peer_life;
	u64 chunk;
	u32 spin_max_ns;
	struct ivring_tx tx;
	struct ivring_rx rx;
	struct ivring_dir tx_dir;
	struct ivring_dir rx_dir;

	wait_queue_head_t wait;
	unsigned int wakes;
	u32 armed;
	struct ivring_storm *storm;
	struct delayed_work late_wake;
	unsigned int tick_wakes;
	atomic64_t interrupts;
	u64 stats[IVRING_CHANNEL_STATS];
};

/**
 * struct ivring_link - a region shared with one peer
 * @dev: the link's device node
 * @cdev: its character device
 * @number: L in /dev/ivring<L>
 * @params: what the transport gave
 * @geo: checked copy of the superblock
 * @map: the kernel's mapping of the control pages
 * @own: own presence, in shared memory
 * @peer: the peer's
 * @channels: geo.channels of them
 * @storms: params.vectors of them, one for each of this side's doorbells
 * @storm: of all of these; only @storm.when and @storm.count are in use
 * @nodes: device nodes that exist
 * @users: whoever may touch @map or call the transport
 * @users_gone: completes when the last of them left
 * @memory_type: IVRING_MEMORY_*, of all kernel mappings
 * @user_memory_type: likewise, of those in user space so far
 * @memory_mbps: speed of @map as measured at registration
 * @epoch: number of this side's life
 * @lock: protects all that follows
 * @started: ivring_link_start() was called
 * @published: @own is meant to show this side's presence
 * @dead: being unregistered, or did not come back from @suspended
 * @suspended: nobody is inside, or soon will be; conversations are over
 * @peer_present: the transport says so
 * @peer_bells: doorbells the transport has for the peer, 0: any number
 * @stalled: the peer's heartbeat stopped
 * @split: the transport's memory is not the peer's any more
 * @state: IVRING_LINK_*
 * @gone_epoch: a life of the peer's that is known to be over
 * @peer_epoch: the peer's life, zero without peer
 * @peer_id: its ivshmem ID
 * @peer_vectors: doorbell vectors it listens to
 * @wire_version: version in use
 * @heartbeat: own, as published
 * @peer_timeout_ms: how long a heartbeat may stop, 0: for ever
 * @peer_heartbeat: last value seen
 * @peer_heartbeat_ns: when it last changed
 * @open_files: open nodes, of the link and its channels
 * @wait: whoever waits for a change of @state
 * @work: evaluates the handshake
 * @tick: heartbeat, and safety net for lost doorbells
 * @stats: counters, indexed by enum ivring_link_stat
 * @complaints: limits what the log says of this peer, and of no other one
 * @breaches: likewise, of what it did to channels
 */
struct ivring_link {
	struct device dev;
	struct cdev cdev;
	u32 number;
	struct ivring_link_params params;
	struct ivring_wire_geometry geo;
	void *map;
	struct ivring_wire_side *own;
	const struct ivring_wire_side *peer;
	struct ivring_channel **channels;
	struct ivring_storm *storms;
	struct ivring_storm storm;
	u32 nodes;
	struct percpu_ref users;
	struct completion users_gone;
	u32 memory_type;
	u32 user_memory_type;
	u32 memory_mbps;
	u64 epoch;

	spinlock_t lock;
	bool started;
	bool published;
	bool dead;
	bool suspended;
	bool peer_present;
	u32 peer_bells;
	bool stalled;
	bool split;
	u32 state;
	u64 gone_epoch;
	u64 peer_epoch;
	u32 peer_id;
	u32 peer_vectors;
	u32 wire_version;
	u64 heartbeat;
	u32 peer_timeout_ms;
	u64 peer_heartbeat;
	u64 peer_heartbeat_ns;
	unsigned int open_files;

	wait_queue_head_t wait;
	struct delayed_work work;
	struct delayed_work tick;
	atomic64_t stats[IVRING_LINK_STATS];
	struct ratelimit_state complaints;
	struct ratelimit_state breaches;
};

/* main.c */
extern struct class ivring_class;
extern dev_t ivring_devt;

/* link.c */
void ivring_link_evaluate(struct ivring_link *link);
void ivring_link_ring(struct ivring_link *link, u32 vector);
void ivring_link_announce(struct ivring_link *link);
void ivring_link_file_opened(struct ivring_link *link);
void ivring_link_file_closed(struct ivring_link *link);
void ivring_link_get_info(struct ivring_link *link, struct ivring_link_info *info);

static inline bool ivring_link_enter(struct ivring_link *link)
{
	return percpu_ref_tryget_live(&link->users);
}

static inline void ivring_link_leave(struct ivring_link *link)
{
	percpu_ref_put(&link->users);
}

/* What the user of a conversation is told who could not enter */
static inline int ivring_link_gone(const struct ivring_link *link)
{
	return READ_ONCE(link->dead) ? -ENODEV : -ECONNRESET;
}

/* memory.c: the region as this kernel sees it */
int ivring_memory_map(struct ivring_link *link);
void ivring_memory_unmap(struct ivring_link *link);
void ivring_memory_probe(struct ivring_link *link);
void *ivring_memory_vmap(const struct ivring_link_params *params, unsigned long first,
			 unsigned long count, unsigned int times);
vm_fault_t ivring_memory_insert(const struct ivring_channel *ch, u64 offset,
				struct vm_area_struct *vma, unsigned long addr,
				unsigned long count);
void ivring_memory_check_user(struct ivring_link *link, struct vm_area_struct *vma,
			      unsigned long addr);

/* file.c: files through a channel */
int ivring_file_move(struct ivring_file *f, bool tx, struct ivring_file_xfer *x);

/* tune.c: sizes and limits */
u64 ivring_tune_window(u64 ring);
u64 ivring_tune_chunk(const struct ivring_channel *ch);
u32 ivring_tune_spin_max(const struct ivring_file *f);

/* conn.c: conversations; all with channel->lock held */
void ivring_conn_forget(struct ivring_channel *ch);
void ivring_conn_drop(struct ivring_channel *ch);
bool ivring_conn_joinable(const struct ivring_channel *ch);
int ivring_conn_open(struct ivring_channel *ch, struct ivring_file *f);
bool ivring_conn_close(struct ivring_channel *ch, struct ivring_file *f);
bool ivring_conn_evaluate(struct ivring_channel *ch);
void ivring_conn_reset(struct ivring_channel *ch, int error);
void ivring_conn_break(struct ivring_channel *ch, const char *what);
bool ivring_conn_fault(struct ivring_channel *ch, const char *what);
bool ivring_conn_shutdown(struct ivring_channel *ch);

/* user.c: indices that user space moves */
int ivring_user_take(struct ivring_file *f);
int ivring_user_ring(struct ivring_file *f);
void ivring_user_sample(struct ivring_channel *ch);
void ivring_user_sample_own(struct ivring_channel *ch);
void ivring_user_update(struct ivring_channel *ch);

/* channel.c: waiting and moving data */
int ivring_file_error(const struct ivring_file *f);
void ivring_channel_ring(struct ivring_channel *ch);
void ivring_channel_moved_on(struct ivring_channel *ch, bool tx, bool rx);
unsigned int ivring_storm_blows(struct ivring_link *link, u32 vector);
void ivring_storm_ends(struct ivring_link *link, struct ivring_storm *storm);
void ivring_channel_interrupt(struct ivring_channel *ch, bool storm);
void ivring_channel_late_wake(struct work_struct *work);
bool ivring_channel_tick(struct ivring_channel *ch);
int ivring_dir_lock(const struct ivring_file *f, struct ivring_dir *dir, s64 timeout_ns);
int ivring_dir_taken(const struct ivring_file *f, const struct ivring_dir *dir, bool holder_ok);
void ivring_dir_unlock(const struct ivring_file *f, struct ivring_dir *dir);
int ivring_channel_wait(struct ivring_file *f, struct ivring_wait *w);
__poll_t ivring_channel_poll(struct ivring_file *f, __poll_t wanted);
int ivring_channel_reserve(struct ivring_file *f, struct ivring_span *span);
int ivring_channel_commit(struct ivring_file *f, const struct ivring_span *span);
int ivring_channel_peek(struct ivring_file *f, struct ivring_span *span);
int ivring_channel_release(struct ivring_file *f, const struct ivring_span *span);
int ivring_channel_room(struct ivring_file *f, u64 count, s64 timeout_ns,
			struct ivring_piece *piece);
int ivring_channel_avail(struct ivring_file *f, u64 count, s64 timeout_ns,
			 struct ivring_piece *piece);
int ivring_channel_copied(struct ivring_file *f, bool tx, const struct ivring_piece *piece);
int ivring_channel_shutdown(struct ivring_file *f);
int ivring_channel_readable(struct ivring_file *f, u64 *bytes);
ssize_t ivring_channel_write(struct ivring_file *f, struct iov_iter *from, bool nonblock);
ssize_t ivring_channel_read(struct ivring_file *f, struct iov_iter *to, bool nonblock);

/* It may be over for whoever waits, also for another user of a direction. */
static inline void ivring_channel_wake_all(struct ivring_channel *ch)
{
	wake_up_all(&ch->wait);
	wake_up_all(&ch->tx_dir.busy_wait);
	wake_up_all(&ch->rx_dir.busy_wait);
}

/* copy.c: to and from user memory */
int ivring_copy_begin(struct ivring_copy *c, struct ivring_file *f, struct iov_iter *iter, bool tx);
int ivring_copy_lock(struct ivring_copy *c, s64 timeout_ns);
void ivring_copy_end(struct ivring_copy *c);
bool ivring_copy_pin(struct ivring_copy *c);
void ivring_copy_unpin(struct ivring_copy *c);
size_t ivring_copy_some(struct ivring_copy *c, void *ring, size_t len);
int ivring_copy_go_outside(struct ivring_copy *c);
int ivring_copy_come_back(struct ivring_copy *c);
int ivring_copy_fault_in(struct ivring_copy *c, size_t len);
void ivring_dir_take_back(struct ivring_dir *dir);

/* message.c: one call, one message */
int ivring_message_len(struct ivring_file *f, u64 *len);
ssize_t ivring_message_write(struct ivring_copy *c, s64 timeout_ns);
ssize_t ivring_message_read(struct ivring_copy *c, s64 timeout_ns);

/* chardev.c */
extern const struct file_operations ivring_link_fops;
extern const struct file_operations ivring_channel_fops;
void ivring_channel_zap(struct ivring_channel *ch);

/* sysfs.c */
extern const struct attribute_group *ivring_link_groups[];
extern const struct attribute_group *ivring_channel_groups[];
const char *ivring_link_state_name(u32 state);
const char *ivring_channel_state_name(u32 state);

#endif /* _IVRING_INTERNAL_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The core's own structures.
 *
 * Locks, outermost first:
 *	link->lock	the peer's presence and the link's state
 *	channel->lock	a conversation and its private ring indices
 * Both are taken in process context only: an interrupt just wakes and queues
 * work. A direction's busy bit (ivring_dir_lock()) is held by whoever copies
 * data, over page faults and sleeps, and so comes before both.
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

/* How often a side with open channels shows that it lives and looks around. */
#define IVRING_TICK_NS		(1000 * NSEC_PER_MSEC)
#define IVRING_PEER_TIMEOUT_MS	10000

enum ivring_channel_stat {
	IVRING_STAT_TX_BYTES,
	IVRING_STAT_RX_BYTES,
	IVRING_STAT_DOORBELLS_SENT,
	IVRING_STAT_DOORBELLS_SUPPRESSED,
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
	IVRING_LINK_STATS,
};

/* An open channel node. */
struct ivring_file {
	struct ivring_channel *channel;
	struct file *file;
	struct list_head node;		/* in channel->files */
	u64 conversation;		/* the one it was opened for */
	bool zapped;			/* see ivring_channel_zap() */
};

/* What one direction of a channel needs besides its ring. */
struct ivring_dir {
	unsigned long busy;		/* bit 0: see ivring_dir_lock() */
	wait_queue_head_t busy_wait;
	struct ivring_file *holder;	/* of a reserved or peeked span */
	u64 held;			/* bytes of that span */
	unsigned int sleepers;
	bool polled;			/* poll(2) was used: wake for any progress */
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
 * struct ivring_channel - one channel of a link
 * @dev: the device node, holds a reference on @link
 * @cdev: its character device
 * @link: the link it belongs to
 * @index: number within the link
 * @own: own half of the handshake, in shared memory
 * @peer: the peer's half
 * @tx_data: data of the produced ring, mapped twice in a row
 * @rx_data: data of the consumed ring, likewise
 * @lock: protects all that follows, but for the busy bits and @interrupts
 * @files: struct ivring_file, open here, of whatever conversation
 * @users: those of them that belong to the present conversation
 * @exclusive: opened with O_EXCL
 * @lingering: closed here, but the peer still reads what was sent
 * @started: this conversation's epoch is published
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

	spinlock_t lock;
	struct list_head files;
	unsigned int users;
	bool exclusive;
	bool lingering;
	bool started;
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
 * @nodes: device nodes that exist
 * @users: whoever may touch @map or call the transport
 * @users_gone: completes when the last of them left
 * @memory_type: IVRING_MEMORY_*
 * @memory_mbps: speed of @map as measured at registration
 * @epoch: number of this side's life
 * @lock: protects all that follows
 * @started: ivring_link_start() was called
 * @dead: being unregistered
 * @peer_present: the transport says so
 * @peer_bells: doorbells the transport has for the peer, 0: any number
 * @stalled: the peer's heartbeat stopped
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
 * @open_files: open channel nodes
 * @wait: whoever waits for a change of @state
 * @work: evaluates the handshake
 * @tick: heartbeat, and safety net for lost announcements
 * @stats: counters, indexed by enum ivring_link_stat
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
	u32 nodes;
	struct percpu_ref users;
	struct completion users_gone;
	u32 memory_type;
	u32 memory_mbps;
	u64 epoch;

	spinlock_t lock;
	bool started;
	bool dead;
	bool peer_present;
	u32 peer_bells;
	bool stalled;
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
	struct work_struct work;
	struct delayed_work tick;
	atomic64_t stats[IVRING_LINK_STATS];
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

/* memory.c: the region as this kernel sees it */
int ivring_memory_map(struct ivring_link *link);
void ivring_memory_unmap(struct ivring_link *link);
void ivring_memory_probe(struct ivring_link *link);
struct page **ivring_memory_pages(const struct ivring_channel *ch, bool tx, u64 offset);

/* file.c: files through a channel */
int ivring_file_move(struct ivring_file *f, bool tx, struct ivring_file_xfer *x);

/* tune.c: sizes and limits */
u64 ivring_tune_window(u64 ring);
u64 ivring_tune_chunk(const struct ivring_channel *ch);
u32 ivring_tune_spin_max(const struct ivring_channel *ch);

/* conn.c: conversations; all with channel->lock held */
void ivring_conn_forget(struct ivring_channel *ch);
bool ivring_conn_open(struct ivring_channel *ch, struct ivring_file *f);
bool ivring_conn_close(struct ivring_channel *ch, struct ivring_file *f);
bool ivring_conn_evaluate(struct ivring_channel *ch);
void ivring_conn_reset(struct ivring_channel *ch, int error);
void ivring_conn_break(struct ivring_channel *ch);

/* channel.c: waiting and moving data */
int ivring_dir_lock(struct ivring_dir *dir, s64 timeout_ns);
void ivring_dir_unlock(struct ivring_dir *dir);
int ivring_channel_wait(struct ivring_file *f, struct ivring_wait *w);
__poll_t ivring_channel_poll(struct ivring_file *f);
int ivring_channel_reserve(struct ivring_file *f, struct ivring_span *span);
int ivring_channel_commit(struct ivring_file *f, const struct ivring_span *span);
int ivring_channel_peek(struct ivring_file *f, struct ivring_span *span);
int ivring_channel_release(struct ivring_file *f, const struct ivring_span *span);
int ivring_channel_room(struct ivring_file *f, u64 count, s64 timeout_ns,
			struct ivring_piece *piece);
int ivring_channel_avail(struct ivring_file *f, u64 count, s64 timeout_ns,
			 struct ivring_piece *piece);
int ivring_channel_copied(struct ivring_file *f, bool tx, const struct ivring_piece *piece);
ssize_t ivring_channel_write(struct ivring_file *f, struct iov_iter *from, bool nonblock);
ssize_t ivring_channel_read(struct ivring_file *f, struct iov_iter *to, bool nonblock);

/* chardev.c */
extern const struct file_operations ivring_link_fops;
extern const struct file_operations ivring_channel_fops;
void ivring_channel_zap(struct ivring_channel *ch);

/* sysfs.c */
extern const struct attribute_group *ivring_link_groups[];
extern const struct attribute_group *ivring_channel_groups[];
const char *ivring_link_state_name(u32 state);

#endif /* _IVRING_INTERNAL_H */

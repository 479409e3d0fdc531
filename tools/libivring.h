/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libivring: links and channels for programs, on top of <linux/ivring.h>.
 *
 * All functions return 0 or -errno. Errors of channel operations are those of
 * <linux/ivring.h>; a signal that asks the process to end gives -EINTR.
 */
#ifndef LIBIVRING_H
#define LIBIVRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ivring/ring.h>
#include <ivring/spin.h>
#include <linux/ivring.h>

#define IVRING_HOST_NODE	"/dev/ivring-host"
#define IVRING_SYSFS_CLASS	"/sys/class/ivring"

struct status;

/* Links. The list is in order of their numbers; the caller frees it. */
int ivring_link_list(struct ivring_link_info **list, size_t *count);
int ivring_link_info(unsigned int link, struct ivring_link_info *info);
/*
 * Tells whoever has a channel of that link open on this side, and looks, that another one
 * waits for it: until the descriptor that this returns is closed. Negative errno: that
 * cannot be told.
 */
int ivring_link_queue(unsigned int link);
/* Whether somebody waits so. */
bool ivring_link_is_queued(unsigned int link);
/*
 * Finds a link by what a user calls it: "ivring0", "0", "/dev/ivring0", its
 * label, or "host" for the only link of a guest. Sets @st on failure.
 */
int ivring_link_find(const char *name, struct ivring_link_info *info, struct status *st);
/* Number of the link that a name in /dev stands for, or -1. */
int ivring_link_number(const char *node);

/* Why there are no links, and what to do. */
const char *ivring_no_links_hint(void);

const char *ivring_link_state_name(uint32_t state);
const char *ivring_memory_type_name(uint32_t type);

struct ivring_chan;

/*
 * What a channel rests on: the rings themselves (chan-ring.c), but for unit tests.
 * Timeouts are in the structures.
 */
struct ivring_chan_ops {
	int (*reserve)(struct ivring_chan *ch, struct ivring_span *span);
	int (*commit)(struct ivring_chan *ch, struct ivring_span *span);
	int (*peek)(struct ivring_chan *ch, struct ivring_span *span);
	int (*release)(struct ivring_chan *ch, struct ivring_span *span);
	int (*wait)(struct ivring_chan *ch, struct ivring_wait *wait);
	int (*connected)(struct ivring_chan *ch);	/* may be missing */
	bool (*is_reset)(struct ivring_chan *ch);
	void (*close)(struct ivring_chan *ch);
};

/* A piece of ring that was got and is used up from its start. */
struct ivring_chan_span {
	uint64_t offset;
	uint64_t len;
	uint64_t done;			/* used, but not yet told to the ring */
};

struct ivring_chan {
	const struct ivring_chan_ops *ops;
	int fd;
	/*
	 * How long reserve and peek may wait, negative: for ever. A reserve begins to wait
	 * anew when more has come to be read meanwhile.
	 */
	int timeout_ms;
	uint8_t *tx;
	const uint8_t *rx;
	uint64_t ring_size;
	uint64_t map_size;
	uint64_t window;
	/* Bytes of room that are enough for who need not sleep for more */
	uint64_t tx_least;
	struct ivring_chan_span tx_span;
	struct ivring_chan_span rx_span;
	/* chan-ring.c's own */
	struct ivring_wire_channel *control;
	struct ivring_tx tx_ring;
	struct ivring_rx rx_ring;
	struct ivring_spin tx_spin;
	struct ivring_spin rx_spin;
	uint32_t spin_max_ns;
};

extern const struct ivring_chan_ops ring_ops;
/* Maps the rings of an open channel. */
int ring_map(struct ivring_chan *ch);

/* Opens the channel for one conversation; -EBUSY when it is open already. */
int ivring_chan_open(struct ivring_chan *ch, unsigned int link, unsigned int channel);
void ivring_chan_close(struct ivring_chan *ch);
/* Waits until the peer has the channel open too. */
int ivring_chan_connect(struct ivring_chan *ch, int timeout_ms);

/*
 * Sending. reserve gives the free space that follows what was filled, at least
 * @min bytes (up to the window). fill counts bytes as written; flush hands all
 * that was filled to the peer. reserve flushes before it waits.
 */
int ivring_chan_reserve(struct ivring_chan *ch, uint64_t min, void **p, uint64_t *len);
void ivring_chan_fill(struct ivring_chan *ch, uint64_t len);
int ivring_chan_flush(struct ivring_chan *ch);

/*
 * Receiving. peek gives what can be read, at least @min bytes (@min should be
 * small: a peer may not be able to have much in flight), less at end of file.
 * consume counts bytes as read; their space goes back to the peer with the
 * next release, which peek does before it waits. peek flushes, too.
 */
int ivring_chan_peek(struct ivring_chan *ch, uint64_t min, const void **p, uint64_t *len);
void ivring_chan_consume(struct ivring_chan *ch, uint64_t len);
int ivring_chan_release(struct ivring_chan *ch);

#endif /* LIBIVRING_H */

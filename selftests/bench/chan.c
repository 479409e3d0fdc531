// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "chan.h"

/* ---- region ---- */

static uint64_t region_size(uint32_t channels, uint64_t ring_size)
{
	uint64_t need = ivring_wire_data_offset(channels) + 2ull * channels * ring_size;
	uint64_t size = IVRING_WIRE_REGION_SIZE_MIN;

	while (size < need)
		size *= 2;
	return size;
}

void region_create(struct region *r, uint32_t channels, uint64_t ring_size)
{
	struct ivring_wire_format f = {
		.region_size = region_size(channels, ring_size), .ring_size = ring_size,
		.channels = channels, .label = "bench",
	};
	struct ivring_wire_superblock *sb, copy;
	uint32_t c, side;

	r->fd = memfd_create("ivring-bench", MFD_CLOEXEC);
	if (r->fd < 0 || ftruncate(r->fd, f.region_size))
		die("a region of %ju bytes: %m", (uintmax_t)f.region_size);
	sb = mmap(NULL, sizeof(*sb), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (sb == MAP_FAILED)
		die("mapping the superblock: %m");
	if (ivring_wire_format(sb, &f))
		die("rings of %ju bytes cannot be laid out", (uintmax_t)ring_size);
	copy = *sb;
	munmap(sb, sizeof(*sb));
	if (ivring_wire_check(&copy, f.region_size, &r->geo))
		die("the region that was laid out does not pass its own check");
	for (c = 0; c < channels; c++)
		for (side = 0; side < IVRING_WIRE_SIDES; side++) {
			r->bell[c][side] = eventfd(0, EFD_CLOEXEC);
			if (r->bell[c][side] < 0)
				die("eventfd: %m");
		}
}

void region_destroy(struct region *r)
{
	uint32_t c, side;

	for (c = 0; c < r->geo.channels; c++)
		for (side = 0; side < IVRING_WIRE_SIDES; side++)
			close(r->bell[c][side]);
	close(r->fd);
}

/* Data that is mapped twice in a row never wraps. */
static uint8_t *map_twice(int fd, uint64_t offset, uint64_t size)
{
	uint8_t *p = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	int i;

	if (p == MAP_FAILED)
		die("address space for a ring of %ju bytes: %m", (uintmax_t)size);
	for (i = 0; i < 2; i++)
		if (mmap(p + i * size, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, offset) == MAP_FAILED)
			die("mapping a ring of %ju bytes: %m", (uintmax_t)size);
	populate(p, 2 * size, true);
	return p;
}

void chan_open(struct chan *c, const struct region *r, uint32_t index, int side,
	       uint64_t window, uint32_t spin_max_ns)
{
	const struct ivring_wire_geometry *g = &r->geo;
	uint64_t data = g->data_offset + 2ull * index * g->ring_size;

	memset(c, 0, sizeof(*c));
	c->ctl = mmap(NULL, sizeof(*c->ctl), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		      g->channel_offset + index * sizeof(*c->ctl));
	if (c->ctl == MAP_FAILED)
		die("mapping a channel's indices: %m");
	c->tx_data = map_twice(r->fd, data + side * g->ring_size, g->ring_size);
	c->rx_data = map_twice(r->fd, data + !side * g->ring_size, g->ring_size);
	c->tx.own = &c->ctl->ring[side].producer;
	c->tx.peer = &c->ctl->ring[side].consumer;
	c->rx.own = &c->ctl->ring[!side].consumer;
	c->rx.peer = &c->ctl->ring[!side].producer;
	c->tx.size = g->ring_size;
	c->rx.size = g->ring_size;
	c->tx.window = window;
	c->spin_max_ns = ivring_spin_max(spin_max_ns, opt.cpus);
	c->bell_own = r->bell[index][side];
	c->bell_peer = r->bell[index][!side];
	ivring_tx_reset(&c->tx);
	ivring_rx_reset(&c->rx);
}

void chan_close(struct chan *c)
{
	munmap(c->tx_data, 2 * c->tx.size);
	munmap(c->rx_data, 2 * c->rx.size);
	munmap(c->ctl, sizeof(*c->ctl));
}

/* ---- waiting ---- */

void chan_ring(struct chan *c)
{
	uint64_t one = 1;

	c->rings++;
	if (write(c->bell_peer, &one, sizeof(one)) != sizeof(one))
		die("ringing: %m");
}

static void chan_sleep(struct chan *c)
{
	uint64_t count;

	c->sleeps++;
	if (read(c->bell_own, &count, sizeof(count)) != sizeof(count) && errno != EINTR)
		die("sleeping: %m");
}

/* Is it there now, by a fresh look? */
static inline bool chan_look(struct chan *c, bool tx, uint64_t want)
{
	if (tx ? ivring_tx_refresh(&c->tx) : ivring_rx_refresh(&c->rx))
		die("the peer's index is nonsense");
	return (tx ? ivring_tx_cached_space(&c->tx) : ivring_rx_cached_avail(&c->rx)) >= want;
}

/* Meant to bring the data along with the index, not after it. */
static inline void chan_prefetch(const struct chan *c)
{
	const uint8_t *next = c->rx_data + (c->rx.prod & (c->rx.size - 1));

	if (c->messages) {
		ivring_msg_prefetch(c->messages);
	} else {
		prefetch(next);
		prefetch(next + 64);
	}
}

static bool chan_spin(struct chan *c, bool tx, uint64_t want, uint64_t start, uint32_t budget)
{
	int i;

	c->spins++;
	do {
		for (i = 0; i < CHAN_LOOKS; i++) {
			if (chan_look(c, tx, want))
				return true;
			if (!tx && c->prefetch)
				chan_prefetch(c);
			cpu_pause();
		}
	} while (now_ns() - start < budget);
	return false;
}

static inline void chan_wait(struct chan *c, bool tx, uint64_t want, uint64_t plenty)
{
	struct ivring_spin *spin = tx ? &c->tx_spin : &c->rx_spin;
	uint64_t start;
	uint32_t budget;
	bool paid = false;

	if (chan_look(c, tx, want))
		return;
	start = now_ns();
	budget = ivring_spin_budget(spin, c->spin_max_ns, start);
	if (budget) {
		paid = chan_spin(c, tx, want, start, budget);
		/* The clock takes its time, and how long a spin that paid took is no matter. */
		ivring_spin_result(spin, c->spin_max_ns, paid ? 0 : now_ns() - start, paid);
	}
	while (!paid) {
		if (tx)
			ivring_tx_arm(&c->tx, plenty);
		else
			ivring_rx_arm(&c->rx, plenty);
		/* [F] and [H]: the wish is set, so look again. */
		if (chan_look(c, tx, want))
			break;
		chan_sleep(c);
		if (chan_look(c, tx, want))
			break;
	}
}

void chan_wait_data_slow(struct chan *c, uint64_t want, uint64_t plenty)
{
	chan_wait(c, false, want, plenty);
}

void chan_wait_room_slow(struct chan *c, uint64_t want, uint64_t plenty)
{
	chan_wait(c, true, want, plenty);
}

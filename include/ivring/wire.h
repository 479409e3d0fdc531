/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Laying out and checking a region's superblock.
 *
 * Shared by the modules and user space. The functions touch nothing but their
 * arguments; the caller of ivring_wire_check() passes a private copy, because
 * the peer can change the original at any time.
 */
#ifndef _IVRING_WIRE_H
#define _IVRING_WIRE_H

#include <ivring/shim.h>
#include <linux/ivring_wire.h>

static_assert(sizeof(struct ivring_wire_superblock) == IVRING_WIRE_PAGE, "superblock size");
static_assert(offsetof(struct ivring_wire_superblock, label) == 80, "superblock hole");
static_assert(sizeof(struct ivring_wire_side) == IVRING_WIRE_PAGE, "side size");
static_assert(offsetof(struct ivring_wire_side, heartbeat) == IVRING_WIRE_LINE, "heartbeat line");
static_assert(sizeof(struct ivring_wire_conn) == IVRING_WIRE_LINE, "conn size");
static_assert(sizeof(struct ivring_wire_ring) == 4 * IVRING_WIRE_LINE, "ring size");
static_assert(offsetof(struct ivring_wire_producer, event) == IVRING_WIRE_LINE, "event line");
static_assert(offsetof(struct ivring_wire_consumer, event) == IVRING_WIRE_LINE, "event line");
static_assert(offsetof(struct ivring_wire_channel, ring) == 2 * IVRING_WIRE_LINE, "ring offset");
static_assert(sizeof(struct ivring_wire_channel) == IVRING_WIRE_PAGE, "channel size");

/* Smallest region: control pages and the smallest rings, to a power of two. */
#define IVRING_WIRE_REGION_SIZE_MIN	(64ULL << 10)
#define IVRING_WIRE_REGION_SIZE_MAX	(1ULL << 38)

/* What a region is to look like; for ivring_wire_format(). */
struct ivring_wire_format {
	__u64 region_size;	/* bytes, a power of two */
	__u64 ring_size;	/* bytes, a power of two; 0: the largest that fits */
	__u32 channels;		/* 1..IVRING_WIRE_CHANNELS_MAX */
	const char *label;	/* 1..31 of [A-Za-z0-9._-] */
	bool guests;		/* there is no host */
};

/* A checked geometry in the CPU's byte order: private, never re-read. */
struct ivring_wire_geometry {
	u64 region_size;
	u64 side_offset;
	u64 channel_offset;
	u64 data_offset;
	u64 ring_size;
	u32 channels;
	bool guests;
	char label[IVRING_WIRE_LABEL_SIZE];
};

static inline bool ivring_wire_label_char_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

/* A label is used in messages and path names: a short plain word. */
static inline bool ivring_wire_label_ok(const char *label)
{
	size_t i;

	for (i = 0; i < IVRING_WIRE_LABEL_SIZE && label[i]; i++)
		if (!ivring_wire_label_char_ok(label[i]))
			return false;
	return i > 0 && i < IVRING_WIRE_LABEL_SIZE && label[0] != '.' && label[0] != '-';
}

static inline u64 ivring_wire_data_offset(u32 channels)
{
	return sizeof(struct ivring_wire_superblock) +
	       IVRING_WIRE_SIDES * sizeof(struct ivring_wire_side) +
	       channels * sizeof(struct ivring_wire_channel);
}

/**
 * ivring_wire_format() - lay out a region
 * @sb: where the superblock goes, the start of the zeroed region
 * @f: what the region is to look like
 *
 * Return: 0; -EINVAL when @f is impossible, @sb is untouched then.
 */
static inline int ivring_wire_format(struct ivring_wire_superblock *sb,
				     const struct ivring_wire_format *f)
{
	u64 ring_size = f->ring_size;
	u64 data, room;

	if (!is_power_of_2(f->region_size) ||
	    f->region_size < IVRING_WIRE_REGION_SIZE_MIN ||
	    f->region_size > IVRING_WIRE_REGION_SIZE_MAX ||
	    f->channels < 1 || f->channels > IVRING_WIRE_CHANNELS_MAX ||
	    !ivring_wire_label_ok(f->label))
		return -EINVAL;

	data = ivring_wire_data_offset(f->channels);
	if (data >= f->region_size)
		return -EINVAL;
	room = (f->region_size - data) / (IVRING_WIRE_SIDES * f->channels);
	if (!ring_size && room >= IVRING_WIRE_RING_SIZE_MIN)
		ring_size = rounddown_pow_of_two(room);
	if (!is_power_of_2(ring_size) || ring_size < IVRING_WIRE_RING_SIZE_MIN ||
	    ring_size > room)
		return -EINVAL;

	memset(sb, 0, sizeof(*sb));
	sb->version = cpu_to_le32(IVRING_WIRE_VERSION);
	sb->superblock_size = cpu_to_le32(sizeof(*sb));
	sb->features = cpu_to_le64(f->guests ? IVRING_WIRE_FEATURE_GUESTS : 0);
	sb->region_size = cpu_to_le64(f->region_size);
	sb->side_offset = cpu_to_le64(sizeof(*sb));
	sb->side_size = cpu_to_le32(sizeof(struct ivring_wire_side));
	sb->channel_size = cpu_to_le32(sizeof(struct ivring_wire_channel));
	sb->channel_offset = cpu_to_le64(sizeof(*sb) +
					 IVRING_WIRE_SIDES * sizeof(struct ivring_wire_side));
	sb->data_offset = cpu_to_le64(data);
	sb->ring_size = cpu_to_le64(ring_size);
	sb->channels = cpu_to_le32(f->channels);
	memcpy(sb->label, f->label, strlen(f->label));
	/*
	 * Last, so that a half-written superblock is none. Pairs with nothing: a side
	 * is handed the region after this.
	 */
	virt_store_release(&sb->magic, cpu_to_le64(IVRING_WIRE_MAGIC));
	return 0;
}

/* True when [@offset, @offset + @len) is aligned and lies within @size. */
static inline bool ivring_wire_area_ok(u64 offset, u64 len, u64 size)
{
	return !(offset % IVRING_WIRE_ALIGN) && offset <= size && len <= size - offset;
}

/* The areas in @g lie in the region, in order, apart from each other. */
static inline bool ivring_wire_geometry_ok(const struct ivring_wire_geometry *g)
{
	u64 sides = IVRING_WIRE_SIDES * sizeof(struct ivring_wire_side);
	u64 ctl, data;

	if (g->channels < 1 || g->channels > IVRING_WIRE_CHANNELS_MAX)
		return false;
	if (!is_power_of_2(g->ring_size) || g->ring_size < IVRING_WIRE_RING_SIZE_MIN ||
	    g->ring_size > IVRING_WIRE_RING_SIZE_MAX)
		return false;

	ctl = g->channels * sizeof(struct ivring_wire_channel);
	data = IVRING_WIRE_SIDES * g->channels * g->ring_size;
	return ivring_wire_area_ok(g->side_offset, sides, g->region_size) &&
	       ivring_wire_area_ok(g->channel_offset, ctl, g->region_size) &&
	       ivring_wire_area_ok(g->data_offset, data, g->region_size) &&
	       g->side_offset >= sizeof(struct ivring_wire_superblock) &&
	       g->channel_offset >= g->side_offset + sides &&
	       g->data_offset >= g->channel_offset + ctl;
}

static inline bool ivring_wire_zero(const u8 *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

/**
 * ivring_wire_check() - judge a superblock
 * @sb: a private copy
 * @region_size: bytes the caller really has
 * @g: filled in on success
 *
 * Return: 0; -EFBIG when @region_size is no power of two or out of range;
 * -EBADMSG without our magic; -EPROTONOSUPPORT for an unknown version, layout
 * feature or a reserved field in use; -ENOTUNIQ for an impossible geometry or
 * label.
 */
static inline int ivring_wire_check(const struct ivring_wire_superblock *sb, u64 region_size,
				    struct ivring_wire_geometry *g)
{
	if (!is_power_of_2(region_size) || region_size < IVRING_WIRE_REGION_SIZE_MIN ||
	    region_size > IVRING_WIRE_REGION_SIZE_MAX)
		return -EFBIG;
	if (le64_to_cpu(sb->magic) != IVRING_WIRE_MAGIC)
		return -EBADMSG;
	if (le32_to_cpu(sb->version) != IVRING_WIRE_VERSION ||
	    le64_to_cpu(sb->features) & ~IVRING_WIRE_FEATURES ||
	    sb->reserved0 || !ivring_wire_zero(sb->reserved, sizeof(sb->reserved)))
		return -EPROTONOSUPPORT;

	g->region_size = le64_to_cpu(sb->region_size);
	g->side_offset = le64_to_cpu(sb->side_offset);
	g->channel_offset = le64_to_cpu(sb->channel_offset);
	g->data_offset = le64_to_cpu(sb->data_offset);
	g->ring_size = le64_to_cpu(sb->ring_size);
	g->channels = le32_to_cpu(sb->channels);
	g->guests = le64_to_cpu(sb->features) & IVRING_WIRE_FEATURE_GUESTS;
	memcpy(g->label, sb->label, sizeof(g->label));

	if (g->region_size != region_size ||
	    le32_to_cpu(sb->superblock_size) != sizeof(struct ivring_wire_superblock) ||
	    le32_to_cpu(sb->side_size) != sizeof(struct ivring_wire_side) ||
	    le32_to_cpu(sb->channel_size) != sizeof(struct ivring_wire_channel) ||
	    !ivring_wire_geometry_ok(g) || !ivring_wire_label_ok(g->label) ||
	    !ivring_wire_zero(sb->label + strlen(g->label), sizeof(sb->label) - strlen(g->label)))
		return -ENOTUNIQ;
	return 0;
}

/* What a side says of itself, copied out of its struct ivring_wire_side. */
struct ivring_wire_peer {
	u64 epoch;
	u64 features;
	u64 heartbeat;
	u32 state;
	u32 id;
	u32 vectors;
	u32 version;
	u32 version_min;
	bool reserved_ok;	/* all of its reserved fields are zero */
};

/**
 * ivring_wire_peer_ok() - does it make sense, whatever version the side speaks?
 * @p: what it says
 * @own_id: ivshmem ID of who asks
 * @bells: doorbells the transport has for the side, 0: any number
 *
 * Then its ID and each vector that ivring_wire_vector() gives for it can be rung.
 */
static inline bool ivring_wire_peer_ok(const struct ivring_wire_peer *p, u32 own_id, u32 bells)
{
	return p->reserved_ok && p->version_min <= p->version && p->id <= IVRING_WIRE_ID_MAX &&
	       p->id != own_id && p->vectors >= 1 &&
	       p->vectors <= (bells ? bells : IVRING_WIRE_VECTORS_MAX);
}

/* How many bytes of the region, from its start, a link of geometry @g ever touches. */
static inline u64 ivring_wire_used(const struct ivring_wire_geometry *g)
{
	return g->data_offset + IVRING_WIRE_SIDES * g->channels * g->ring_size;
}

/* The side that the guest with the ivshmem ID @id is. */
static inline u32 ivring_wire_guest_side(const struct ivring_wire_geometry *g, u32 id)
{
	return g->guests ? id % IVRING_WIRE_SIDES : 1;
}

/* The doorbell vector that announces news of channel @c to a side with @vectors. */
static inline u32 ivring_wire_vector(u32 c, u32 vectors)
{
	return vectors <= 1 ? 0 : 1 + c % (vectors - 1);
}

#endif /* _IVRING_WIRE_H */

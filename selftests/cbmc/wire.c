// SPDX-License-Identifier: GPL-2.0
/*
 * The superblock, include/ivring/wire.h: any bytes, and what is accepted of them.
 *
 * The loop that looks for bytes in use, among them the 3984 behind the fields, is
 * too much to be followed. So where it is called, run puts what it means in its
 * place; that it means this is a proof of its own.
 */
#include "harness.h"

static u32 probe;

/*
 * True: the byte at a place that nobody knows is zero, and so each is. False: one
 * of them is not.
 */
static bool all_zero(const u8 *p, size_t n)
{
	bool zero = nondet_bool();
	u32 i = zero ? probe : nondet_u32();

	assume(i < n || zero);
	assume(i >= n || zero == !p[i]);
	return zero;
}

#include <ivring/wire.h>

static struct ivring_wire_superblock sb;

/* The loop itself, for any bytes, any length up to this, any place that is asked. */
void wire_zero(void)
{
	u8 bytes[20];
	u32 n = nondet_u32(), i = nondet_u32(), j;
	bool zero, any = false;

	assume(n <= sizeof(bytes) && i < n);
	zero = ivring_wire_zero(bytes, n);
	prove(!zero || !bytes[i]);
	for (j = 0; j < n; j++)
		any |= bytes[j];
	prove(zero == !any);
}

/* Accepted means: what every user of the geometry computes is inside the region. */
void wire_geometry(void)
{
	struct ivring_wire_geometry g;
	u64 size = g.region_size, sides, control, ring;
	u32 c = nondet_u32(), producer = nondet_bool();

	assume(size >= IVRING_WIRE_REGION_SIZE_MIN && size <= IVRING_WIRE_REGION_SIZE_MAX);
	if (!ivring_wire_geometry_ok(&g))
		return;
	prove(g.channels >= 1 && g.channels <= IVRING_WIRE_CHANNELS_MAX);
	prove(is_power_of_2(g.ring_size) && g.ring_size >= IVRING_WIRE_RING_SIZE_MIN);
	prove(!(g.side_offset % IVRING_WIRE_ALIGN) && !(g.channel_offset % IVRING_WIRE_ALIGN) &&
	      !(g.data_offset % IVRING_WIRE_ALIGN));

	/* One after the other, without touching: superblock, sides, channels, data */
	sides = IVRING_WIRE_SIDES * sizeof(struct ivring_wire_side);
	prove(g.side_offset >= sizeof(struct ivring_wire_superblock) && g.side_offset <= size);
	prove(g.channel_offset <= size && g.channel_offset - g.side_offset >= sides);
	prove(g.channel_offset > g.side_offset);
	prove(g.data_offset <= size && g.data_offset >= g.channel_offset);
	assume(c < g.channels);
	control = g.channel_offset + c * sizeof(struct ivring_wire_channel);
	prove(control + sizeof(struct ivring_wire_channel) <= g.data_offset);
	ring = (IVRING_WIRE_SIDES * (u64)c + producer) * g.ring_size;
	prove(ring <= size - g.data_offset);
	prove(g.ring_size <= size - g.data_offset - ring);
}

/* Every field is judged, and what is used later is what was judged. */
void wire_check(void)
{
	struct ivring_wire_superblock any;
	struct ivring_wire_geometry g;
	u64 size = nondet_u64();
	u32 i = nondet_u32(), len;
	int ret;

	probe = nondet_u32();
	ret = ivring_wire_check(&any, size, &g);
	prove(ret == 0 || ret == -EFBIG || ret == -EBADMSG || ret == -EPROTONOSUPPORT ||
	      ret == -ENOTUNIQ);
	prove(is_power_of_2(size) || ret == -EFBIG);
	if (ret)
		return;

	prove(size >= IVRING_WIRE_REGION_SIZE_MIN && size <= IVRING_WIRE_REGION_SIZE_MAX);
	prove(any.magic == IVRING_WIRE_MAGIC && any.version == IVRING_WIRE_VERSION);
	prove(any.superblock_size == sizeof(any));
	prove(any.side_size == sizeof(struct ivring_wire_side));
	prove(any.channel_size == sizeof(struct ivring_wire_channel));
	prove(!(any.features & ~IVRING_WIRE_FEATURES) && !any.reserved0);
	prove(g.guests == !!(any.features & IVRING_WIRE_FEATURE_GUESTS));
	prove(probe >= sizeof(any.reserved) || !any.reserved[probe]);
	prove(g.region_size == size && any.region_size == size);
	prove(g.side_offset == any.side_offset && g.channel_offset == any.channel_offset);
	prove(g.data_offset == any.data_offset && g.ring_size == any.ring_size);
	prove(g.channels == any.channels);
	prove(ivring_wire_geometry_ok(&g));

	/* The label is a plain word, ends, and has nothing behind its end. */
	for (len = 0; len < IVRING_WIRE_LABEL_SIZE && g.label[len]; len++)
		continue;
	prove(len > 0 && len < IVRING_WIRE_LABEL_SIZE);
	prove(g.label[0] != '.' && g.label[0] != '-');
	assume(i < IVRING_WIRE_LABEL_SIZE);
	prove(g.label[i] == (char)any.label[i]);
	prove(i >= len || ivring_wire_label_char_ok(g.label[i]));
	prove(i < len || probe != i - len || !g.label[i]);
}

/* Whatever can be laid out is accepted. */
void wire_format(void)
{
	char label[IVRING_WIRE_LABEL_SIZE];
	struct ivring_wire_format f = {
		.region_size = nondet_u64(), .ring_size = nondet_u64(),
		.channels = nondet_u32(), .label = label,
	};
	struct ivring_wire_geometry g;

	__CPROVER_havoc_object(label);
	label[IVRING_WIRE_LABEL_SIZE - 1] = 0;
	if (ivring_wire_format(&sb, &f))
		return;
	prove(ivring_wire_check(&sb, f.region_size, &g) == 0);
	prove(g.channels == f.channels);
	prove(!f.ring_size || g.ring_size == f.ring_size);
}

void wire_vector(void)
{
	u32 c = nondet_u32(), vectors = nondet_u32(), vector;

	assume(c < IVRING_WIRE_CHANNELS_MAX && vectors <= IVRING_WIRE_VECTORS_MAX);
	vector = ivring_wire_vector(c, vectors);
	prove(vector < vectors || !vector);
	/* Vector 0 is for announcements where there are others. */
	prove(vectors <= 1 || vector);
}

/* Who is accepted can be rung, for any channel. */
void wire_peer(void)
{
	struct ivring_wire_peer p = {
		.id = nondet_u32(), .vectors = nondet_u32(), .version = nondet_u32(),
		.version_min = nondet_u32(), .reserved_ok = nondet_bool(),
	};
	u32 own_id = nondet_u32(), bells = nondet_u32(), vector;

	assume(bells <= IVRING_WIRE_VECTORS_MAX);
	if (!ivring_wire_peer_ok(&p, own_id, bells))
		return;
	prove(p.id <= IVRING_WIRE_ID_MAX && p.id != own_id);
	prove(p.vectors >= 1 && p.version_min <= p.version && p.reserved_ok);
	vector = ivring_wire_vector(nondet_u32(), p.vectors);
	prove(vector < p.vectors && vector < IVRING_WIRE_VECTORS_MAX);
	prove(!bells || vector < bells);
}

/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ivring: what lies in shared memory (side <-> side).
 *
 * This is the ABI between the two sides of a link, which may run different
 * kernels and different releases of ivring. The ABI between a kernel and its
 * own user space is <linux/ivring.h>; the two are versioned apart.
 *
 * All fields are little-endian and naturally aligned. Every reserved field is
 * written as zero. A reader copies a field once, checks the copy, and uses
 * only the copy: nothing in this memory may be trusted after it was checked.
 *
 * Layout of a region (all offsets in bytes from its start):
 *
 *	0			struct ivring_wire_superblock
 *	side_offset		struct ivring_wire_side [2]
 *	channel_offset		struct ivring_wire_channel [channels]
 *	data_offset		ring data: for each channel, ring_size bytes
 *				produced by side 0, then ring_size bytes
 *				produced by side 1
 *
 * Documentation/protocol.rst says how the fields are used.
 */
#ifndef _UAPI_LINUX_IVRING_WIRE_H
#define _UAPI_LINUX_IVRING_WIRE_H

#include <linux/types.h>

/* The bytes "ivring\n\0" in memory order. */
#define IVRING_WIRE_MAGIC		0x000a676e69727669ULL

/* Version of the layout and of the protocol spoken over it. */
#define IVRING_WIRE_VERSION		1
/* The oldest version of the protocol this header still describes. */
#define IVRING_WIRE_VERSION_MIN		1

/* A link has exactly two sides; the host, where there is one, is side 0. */
#define IVRING_WIRE_SIDES		2
#define IVRING_WIRE_CHANNELS_MAX	32
/* Separation that keeps two lines out of one another's adjacent-line prefetch. */
#define IVRING_WIRE_LINE		128
#define IVRING_WIRE_PAGE		4096
/* Offsets and sizes of areas are multiples of this. */
#define IVRING_WIRE_ALIGN		4096
#define IVRING_WIRE_RING_SIZE_MIN	4096
#define IVRING_WIRE_RING_SIZE_MAX	(1ULL << 40)
#define IVRING_WIRE_LABEL_SIZE		32
/* ivshmem IDs are 16 bit wide (QEMU docs/specs/ivshmem-spec, "Doorbell"). */
#define IVRING_WIRE_ID_MAX		65535
/* Upper bound of QEMU's "vectors" property of ivshmem-doorbell. */
#define IVRING_WIRE_VECTORS_MAX		256

/*
 * Layout features of the superblock.
 * GUESTS: both sides are guests, and a side is its ivshmem ID modulo 2. Without
 * it a guest is side 1.
 */
#define IVRING_WIRE_FEATURE_GUESTS	(1ULL << 0)
#define IVRING_WIRE_FEATURES		IVRING_WIRE_FEATURE_GUESTS

/**
 * struct ivring_wire_superblock - geometry of a region
 * @magic: IVRING_WIRE_MAGIC
 * @version: IVRING_WIRE_VERSION of whoever laid out the region
 * @superblock_size: sizeof(struct ivring_wire_superblock)
 * @features: IVRING_WIRE_FEATURE_*; a side that meets a bit it does not know must
 *	refuse the region
 * @region_size: bytes in the region, a power of two
 * @side_offset: of struct ivring_wire_side [2]
 * @side_size: sizeof(struct ivring_wire_side)
 * @channel_size: sizeof(struct ivring_wire_channel)
 * @channel_offset: of struct ivring_wire_channel [channels]
 * @data_offset: of the first ring's data
 * @ring_size: bytes of data in each ring, a power of two
 * @channels: 1..IVRING_WIRE_CHANNELS_MAX
 * @reserved0: zero
 * @label: name of the link for people, [A-Za-z0-9._-], NUL-padded, NUL-terminated
 * @reserved: zero
 *
 * Written once, before any side attaches; read once by each side.
 */
struct ivring_wire_superblock {
	__le64 magic;
	__le32 version;
	__le32 superblock_size;
	__le64 features;
	__le64 region_size;
	__le64 side_offset;
	__le32 side_size;
	__le32 channel_size;
	__le64 channel_offset;
	__le64 data_offset;
	__le64 ring_size;
	__le32 channels;
	__le32 reserved0;
	__u8 label[IVRING_WIRE_LABEL_SIZE];
	__u8 reserved[IVRING_WIRE_PAGE - 112];
};

/* Values of ivring_wire_side.state */
#define IVRING_WIRE_SIDE_DOWN		0	/* nobody there, or leaving */
#define IVRING_WIRE_SIDE_READY		1	/* all other fields are valid */

/**
 * struct ivring_wire_side - one side's presence, written by that side only
 * @epoch: number of this side's life, never zero while READY, different in
 *	each life
 * @state: IVRING_WIRE_SIDE_*
 * @id: ivshmem ID, the upper half of a doorbell write
 * @vectors: doorbell vectors that are listened to, 1..IVRING_WIRE_VECTORS_MAX
 * @version: newest protocol version this side speaks
 * @version_min: oldest protocol version this side speaks
 * @reserved0: zero
 * @features: optional features this side offers; those offered by both are used
 * @reserved1: zero
 * @heartbeat: grows about once a second while this side has a channel open
 * @reserved2: zero
 *
 * Vector 0 announces changes of this structure and of struct ivring_wire_conn.
 * Channel c rings vector 0 when @vectors is 1, else 1 + c % (@vectors - 1).
 */
struct ivring_wire_side {
	__le64 epoch;
	__le32 state;
	__le32 id;
	__le32 vectors;
	__le32 version;
	__le32 version_min;
	__le32 reserved0;
	__le64 features;
	__u8 reserved1[IVRING_WIRE_LINE - 40];
	__le64 heartbeat;
	__u8 reserved2[IVRING_WIRE_PAGE - IVRING_WIRE_LINE - 8];
};

/* Flags of ivring_wire_conn.flags */
#define IVRING_WIRE_CONN_F_CLOSING	(1U << 0)  /* produces and consumes no more */
#define IVRING_WIRE_CONN_F_ABORTED	(1U << 1)  /* what is left is not to be trusted */
#define IVRING_WIRE_CONN_F_SHUTDOWN	(1U << 2)  /* produces no more */
#define IVRING_WIRE_CONN_F_MESSAGES	(1U << 3)  /* struct ivring_wire_msg, not bytes */

/**
 * struct ivring_wire_conn - one side's half of a conversation on a channel
 * @epoch: number of the conversation on this side, zero while closed,
 *	different for each conversation
 * @ack: the peer's @epoch that this side has joined, or zero
 * @flags: IVRING_WIRE_CONN_F_*
 * @reserved: zero
 *
 * Written by one side only. The conversation is established once each side's
 * @ack equals the other's @epoch. MESSAGES is settled before @epoch is published,
 * and the sides must agree on it.
 */
struct ivring_wire_conn {
	__le64 epoch;
	__le64 ack;
	__le32 flags;
	__u8 reserved[IVRING_WIRE_LINE - 20];
};

/**
 * struct ivring_wire_producer - the lines of a ring its producer writes
 * @prod: bytes produced in this conversation, free-running
 * @pad0: zero
 * @event: ring the producer's doorbell when @cons reaches or passes this
 * @pad1: zero
 */
struct ivring_wire_producer {
	__le64 prod;
	__u8 pad0[IVRING_WIRE_LINE - 8];
	__le64 event;
	__u8 pad1[IVRING_WIRE_LINE - 8];
};

/**
 * struct ivring_wire_consumer - the lines of a ring its consumer writes
 * @cons: bytes consumed in this conversation, free-running
 * @pad0: zero
 * @event: ring the consumer's doorbell when @prod reaches or passes this
 * @pad1: zero
 */
struct ivring_wire_consumer {
	__le64 cons;
	__u8 pad0[IVRING_WIRE_LINE - 8];
	__le64 event;
	__u8 pad1[IVRING_WIRE_LINE - 8];
};

/**
 * struct ivring_wire_ring - indices of one direction
 * @producer: written by the producing side
 * @consumer: written by the consuming side
 *
 * The byte with index i lies at i % ring_size in the ring's data.
 */
struct ivring_wire_ring {
	struct ivring_wire_producer producer;
	struct ivring_wire_consumer consumer;
};

/**
 * struct ivring_wire_channel - control page of a channel
 * @conn: conn[s] is written by side s
 * @ring: ring[s] is produced by side s
 * @reserved: zero
 */
struct ivring_wire_channel {
	struct ivring_wire_conn conn[IVRING_WIRE_SIDES];
	struct ivring_wire_ring ring[IVRING_WIRE_SIDES];
	__u8 reserved[IVRING_WIRE_PAGE - 2 * IVRING_WIRE_LINE - 8 * IVRING_WIRE_LINE];
};

/**
 * struct ivring_wire_msg - what a message starts with
 * @len: bytes of payload
 * @type: for programs that write messages in place; write(2) makes it zero, read(2)
 *	does not look at it
 *
 * A direction that carries messages is a row of them from index zero on: this, the
 * payload, padding to the next multiple of eight. An index is published for whole
 * messages only.
 */
struct ivring_wire_msg {
	__le32 len;
	__le32 type;
};

#endif /* _UAPI_LINUX_IVRING_WIRE_H */

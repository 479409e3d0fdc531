/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The transfer protocol: frames over a channel's two byte streams.
 *
 * A frame is a header of FRAME_SIZE bytes and, right behind it, as many bytes
 * of payload as the header says. Numbers are little-endian. Both sides start
 * with HELLO. Then the client asks, any number of times, one at a time:
 *
 *	push	client: PUT			agent: GO
 *		client: DATA, HOLE ..., END	agent: DONE
 *	pull	client: GET			agent: FILE
 *		client: GO			agent: DATA, HOLE ..., END
 *		client: DONE
 *
 * DATA and HOLE follow one another without gaps from offset 0 to the size that
 * PUT or FILE announced. Either side may send ERROR in place of any frame;
 * whoever sends or receives one closes the channel. A receiver that has sent
 * ERROR reads no more: the sender's next wait ends because the channel was
 * closed, and it finds the reason among what it can still read.
 *
 * Everything received is hostile. A header is copied out of shared memory once
 * and only the copy is judged. No memory is allocated by what a peer says.
 */
#ifndef IVRING_PROTO_H
#define IVRING_PROTO_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/types.h>

#include "hash.h"
#include "libivring.h"
#include "status.h"

#define FRAME_SIZE		64
#define FRAME_MAGIC		0x46525649	/* "IVRF" in memory order */
#define FRAME_ARGS		5

/* Versions of the protocol that this release speaks. */
#define PROTO_VERSION		1
#define PROTO_VERSION_MIN	1

/* Hashing a hole takes time, which a short frame must not cost without bound. */
#define PROTO_HOLE_MAX		(1ULL << 30)

enum frame_type {
	FRAME_HELLO = 1,	/* version_min, version, features (none yet) */
	FRAME_PUT = 2,		/* payload: struct wire_file, path, base name */
	FRAME_GET = 3,		/* the same; only the path counts */
	FRAME_FILE = 4,		/* the same; only the rest counts */
	FRAME_GO = 5,
	FRAME_DATA = 6,		/* offset; payload: content */
	FRAME_HOLE = 7,		/* offset, length up to PROTO_HOLE_MAX */
	FRAME_END = 8,		/* size, two halves of the digest, in its byte order */
	FRAME_DONE = 9,		/* as END: what was received */
	FRAME_ERROR = 10,	/* status code; payload: text */
};

/**
 * struct wire_frame - header of a frame
 * @magic: FRAME_MAGIC
 * @type: enum frame_type
 * @flags: zero
 * @seq: counts the frames of this direction, from zero
 * @len: bytes of payload
 * @arg: by type, unused ones zero
 * @reserved: zero
 * @check: XXH32 of all bytes before it, seed FRAME_MAGIC
 */
struct wire_frame {
	__le32 magic;
	__le16 type;
	__le16 flags;
	__le32 seq;
	__le32 len;
	__le64 arg[FRAME_ARGS];
	__le32 reserved;
	__le32 check;
};

/**
 * struct wire_file - payload of PUT, GET and FILE
 * @size: of the file
 * @data_bytes: of these, those that take space; the rest are holes
 * @mtime_sec: time of last modification
 * @mtime_nsec: its fraction
 * @mode: permission bits
 * @flags: WIRE_FILE_F_*
 * @hash_kind: enum hash_kind
 * @path_len: bytes of path that follow
 * @base_len: bytes of base name that follow the path
 * @reserved: zero
 */
struct wire_file {
	__le64 size;
	__le64 data_bytes;
	__le64 mtime_sec;
	__le32 mtime_nsec;
	__le32 mode;
	__le32 flags;
	__le32 hash_kind;
	__le16 path_len;
	__le16 base_len;
	__le32 reserved;
};

#define WIRE_FILE_F_INTO_DIR	(1U << 0)	/* the path must be a directory */
#define WIRE_FILE_F_SYNC	(1U << 1)	/* DONE means on stable storage */
#define WIRE_FILE_F_ALL		(WIRE_FILE_F_INTO_DIR | WIRE_FILE_F_SYNC)

/* A header in the CPU's byte order. */
struct frame {
	enum frame_type type;
	uint32_t len;
	uint64_t arg[FRAME_ARGS];
};

/* A checked struct wire_file. */
struct file_meta {
	uint64_t size;
	uint64_t data_bytes;
	int64_t mtime_sec;
	uint32_t mtime_nsec;
	uint32_t mode;
	uint32_t flags;
	enum hash_kind hash_kind;
	char path[PATH_MAX];
	char base[NAME_MAX + 1];
};

/* One conversation. */
struct conv {
	struct ivring_chan *ch;
	uint32_t tx_seq;
	uint32_t rx_seq;
	uint32_t rx_left;		/* payload of the last frame not yet taken */
	bool error_sent;
};

/* All functions return 0 or a negative status code, with @st set. */

/* Waits no longer than @timeout_ms for the peer's HELLO. */
int conv_start(struct conv *c, struct ivring_chan *ch, int timeout_ms, struct status *st);

int conv_send(struct conv *c, enum frame_type type, const uint64_t arg[FRAME_ARGS],
	      struct status *st);
int conv_send_meta(struct conv *c, enum frame_type type, const struct file_meta *meta,
		   struct status *st);
/* Best effort: tells the peer what went wrong here. */
void conv_send_error(struct conv *c, const struct status *why);

/*
 * DATA in place: begin gives room for @want bytes of payload in the ring, or
 * for what fits into a quarter of the window; end sends @len of them.
 */
int conv_data_begin(struct conv *c, uint64_t want, void **payload, uint64_t *room,
		    struct status *st);
int conv_data_end(struct conv *c, uint64_t offset, uint64_t len, struct status *st);

/* The next frame; an ERROR becomes the status. */
int conv_recv(struct conv *c, struct frame *f, struct status *st);
/* The same, which must be of @type. */
int conv_expect(struct conv *c, enum frame_type type, struct frame *f, struct status *st);
/* As conv_expect, and gets the payload. */
int conv_expect_meta(struct conv *c, enum frame_type type, struct file_meta *meta,
		     struct status *st);
/* Takes the payload of a PUT, GET or FILE that conv_recv gave. */
int conv_take_meta(struct conv *c, const struct frame *f, struct file_meta *meta,
		   struct status *st);
/* True when the peer closed between two requests; waits for either. */
int conv_at_end(struct conv *c, bool *end, struct status *st);

/* What is there of the last frame's payload, at most what is left of it; then take it. */
int conv_payload_peek(struct conv *c, const void **p, uint64_t *len, struct status *st);
void conv_payload_take(struct conv *c, uint64_t len);
/* Gives the space of all that was taken back at once, for the sender to go on. */
int conv_release(struct conv *c, struct status *st);

/* END and DONE carry a size and a digest. */
void digest_to_args(uint64_t size, const uint8_t digest[HASH_DIGEST_SIZE],
		    uint64_t arg[FRAME_ARGS]);
bool digest_matches_args(uint64_t size, const uint8_t digest[HASH_DIGEST_SIZE],
			 const uint64_t arg[FRAME_ARGS]);

#endif /* IVRING_PROTO_H */

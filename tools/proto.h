/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The transfer protocol: frames over a channel's two byte streams.
 *
 * A frame is a header of FRAME_SIZE bytes and, right behind it, as many bytes
 * of payload as the header says. Numbers are little-endian. Both sides start
 * with HELLO. Then the client asks, any number of times, one at a time:
 *
 *	push	client: PUT			agent: GO
 *		client: stream ..., FINISH	agent: FAILED ..., DONE
 *	pull	client: GET			agent: BEGIN
 *		agent: stream ..., FINISH	client: FAILED ..., DONE
 *
 * A stream is a walk through trees, without an answer to any part of it:
 *
 *	ENTRY of a directory	what follows lies in it, up to its LEAVE
 *	ENTRY of a file		its content follows: with ENTRY_F_INLINE in the same
 *				frame, else as DATA and HOLE, without gaps from offset
 *				0 on, and END
 *	ENTRY of anything else	is complete
 *	SKIP			in place of an entry, or of the rest of a file: why it
 *				does not come
 *
 * An entry that the receiver cannot take does not stop the stream; FAILED tells
 * of it, when there is room, and DONE counts. Either side may send ERROR in
 * place of any frame; whoever sends or receives one closes the channel. A
 * receiver that has sent ERROR reads no more: the sender's next wait ends
 * because the channel was closed, and it finds the reason among what it can
 * still read.
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

/* Versions of the protocol that this release speaks: 1 knew single files only. */
#define PROTO_VERSION		2
#define PROTO_VERSION_MIN	2

/* Hashing a hole takes time, which a short frame must not cost without bound. */
#define PROTO_HOLE_MAX		(1ULL << 30)

enum frame_type {
	FRAME_HELLO = 1,	/* version_min, version, features (none yet) */
	FRAME_PUT = 2,		/* payload: struct wire_request, path */
	FRAME_GET = 3,		/* the same */
	FRAME_BEGIN = 4,	/* BEGIN_F_*, entries, bytes, bytes that take space */
	FRAME_GO = 5,
	FRAME_DATA = 6,		/* offset; payload: content */
	FRAME_HOLE = 7,		/* offset, length up to PROTO_HOLE_MAX */
	FRAME_END = 8,		/* size, four parts of the digest, in its byte order */
	FRAME_DONE = 9,		/* entries taken, failed, the first one's code */
	FRAME_ERROR = 10,	/* status code; payload: text */
	FRAME_ENTRY = 11,	/* payload: struct wire_entry and what it announces */
	FRAME_LEAVE = 12,
	FRAME_SKIP = 13,	/* status code; payload: text */
	FRAME_FINISH = 14,	/* entries sent */
	FRAME_FAILED = 15,	/* status code, the entry's number from 0; payload: text */
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
 * struct wire_request - payload of PUT and GET
 * @entries: PUT: how many are to come, for the progress of it
 * @bytes: PUT: their content
 * @data_bytes: PUT: of these, those that take space; the rest are holes
 * @flags: REQUEST_F_*
 * @keep: KEEP_*: which attributes are kept
 * @path_len: bytes of path that follow: the destination, or the source
 * @hash: GET: what to hash with: a kind without HASH_BLOCKS, or HASH_FASTEST
 * @reserved: zero
 */
struct wire_request {
	__le64 entries;
	__le64 bytes;
	__le64 data_bytes;
	__le32 flags;
	__le32 keep;
	__le16 path_len;
	__u8 hash;
	__u8 reserved[29];
};

#define REQUEST_F_INTO_DIR	(1U << 0)	/* the path must be a directory */
#define REQUEST_F_MAKE_DIR	(1U << 1)	/* and is made one if it is nothing yet */
#define REQUEST_F_SYNC_FILE	(1U << 2)	/* each file is on stable storage, in turn */
#define REQUEST_F_SYNC_END	(1U << 3)	/* all are, when DONE says so */
#define REQUEST_F_ALL		((1U << 4) - 1)

#define KEEP_MODE		(1U << 0)	/* all permission bits, no umask */
#define KEEP_SETID		(1U << 1)	/* set-id bits and capabilities, too */
#define KEEP_OWNER		(1U << 2)	/* by name, if there is one, or number */
#define KEEP_NUMERIC		(1U << 3)	/* by number */
#define KEEP_XATTRS		(1U << 4)
#define KEEP_ACLS		(1U << 5)
#define KEEP_DEVICES		(1U << 6)
#define KEEP_SPECIALS		(1U << 7)	/* fifos */
#define KEEP_ALL		((1U << 8) - 1)

#define BEGIN_F_TREE		(1U << 0)	/* a directory, or several entries */
#define BEGIN_F_ALL		((1U << 1) - 1)

/* A header in the CPU's byte order. */
struct frame {
	enum frame_type type;
	uint32_t len;
	uint64_t arg[FRAME_ARGS];
};

/* A checked struct wire_request. */
struct request {
	uint64_t entries;
	uint64_t bytes;
	uint64_t data_bytes;
	uint32_t flags;
	uint32_t keep;
	unsigned int hash;
	char path[PATH_MAX];
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

/* A frame that the peer is waiting for: goes out at once. */
int conv_send(struct conv *c, enum frame_type type, const uint64_t arg[FRAME_ARGS],
	      struct status *st);
/* One of many: goes out when enough has gathered, or with the next that does. */
int conv_put(struct conv *c, enum frame_type type, const uint64_t arg[FRAME_ARGS],
	     const void *payload, uint32_t len, struct status *st);
int conv_flush(struct conv *c, struct status *st);
int conv_send_request(struct conv *c, enum frame_type type, const struct request *request,
		      struct status *st);
/* Status @why as a frame of @type, which has @number as its second argument. */
int conv_put_status(struct conv *c, enum frame_type type, const struct status *why,
		    uint64_t number, struct status *st);
/* Whether a frame with @len bytes of payload can be sent without waiting. */
bool conv_has_room(struct conv *c, uint32_t len);
/* Best effort: tells the peer what went wrong here. */
void conv_send_error(struct conv *c, const struct status *why);

/*
 * A frame in place: begin gives room for @want bytes of payload in the ring, or
 * for what fits into a quarter of the window; end puts the frame with @len of them.
 */
uint64_t conv_room_max(const struct conv *c);
int conv_place_begin(struct conv *c, uint64_t want, void **payload, uint64_t *room,
		     struct status *st);
int conv_place_end(struct conv *c, enum frame_type type, const uint64_t arg[FRAME_ARGS],
		   uint64_t len, struct status *st);

/* The next frame; an ERROR becomes the status. */
int conv_recv(struct conv *c, struct frame *f, struct status *st);
/* The same, which must be of @type. */
int conv_expect(struct conv *c, enum frame_type type, struct frame *f, struct status *st);
/* Takes the payload of a PUT or GET that conv_recv gave. */
int conv_take_request(struct conv *c, const struct frame *f, struct request *request,
		      struct status *st);
/* Takes the payload of a SKIP or FAILED: what is wrong over there. */
int conv_take_status(struct conv *c, const struct frame *f, struct status *why,
		     struct status *st);
/* True when the peer closed between two requests; waits for either. */
int conv_at_end(struct conv *c, bool *end, struct status *st);

/* Copies @len bytes of the last frame's payload, of which there must be so many. */
int conv_take(struct conv *c, void *to, size_t len, struct status *st);
/* What is there of the last frame's payload, at most what is left of it; then take it. */
int conv_payload_peek(struct conv *c, const void **p, uint64_t *len, struct status *st);
void conv_payload_take(struct conv *c, uint64_t len);
/* Gives the space of what was taken back, as soon as that is worth a call. */
int conv_release(struct conv *c, struct status *st);

/* END carries a size and a digest. */
void digest_to_args(uint64_t size, const uint8_t digest[HASH_DIGEST_SIZE],
		    uint64_t arg[FRAME_ARGS]);
bool digest_matches_args(uint64_t size, const uint8_t digest[HASH_DIGEST_SIZE],
			 const uint64_t arg[FRAME_ARGS]);

#endif /* IVRING_PROTO_H */

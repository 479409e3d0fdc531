/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The transfer protocol: frames over a channel's two byte streams.
 *
 * A frame is a header of FRAME_SIZE bytes and, right behind it, as many bytes
 * of payload as the header says. Numbers are little-endian. Both sides start
 * with HELLO. Then the client asks, any number of times, one at a time:
 *
 *	push	client: PUT			agent: GO
 *		client: stream ..., FINISH	agent: FAILED ..., RESEND
 *		client: DATA ... or SKIP	agent: RESEND or DONE
 *	pull	client: GET			agent: BEGIN
 *		agent: stream ..., FINISH	client: FAILED ..., and so on
 *	list	client: LIST			agent: for each name PATH, then ENTRY ...
 *						agent: FINISH
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
 * DATA says what the hash of the file is up to its end, so that the receiver knows
 * which block was damaged in shared memory: at FINISH it asks for that one again, by
 * RESEND, and for nothing else. What comes again tells its own hash: what is whole and
 * still not what came first has been changed. What is no content has a check of its own:
 * damage to that ends the conversation.
 *
 * With REQUEST_F_RESUME, what was left of a file by an earlier attempt is made use of.
 * ENTRY_F_RESUME asks what there is: HAVE ..., each with the hash up to a place, and
 * the last one. FROM tells the last place up to which the sender's hashes are the same;
 * content goes on from there.
 *
 * With REQUEST_F_SYNC an entry is a question about what is there, and what the receiver
 * wants comes after a PATH: Documentation/protocol.rst tells how. With SYNC_F_LISTED the
 * stream is one of changes, in rounds: MORE ends each of them.
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

/*
 * Versions of the protocol that this release speaks: 1 knew single files only, 2
 * did not tell damage to shared memory from anything else.
 */
#define PROTO_VERSION		3
#define PROTO_VERSION_MIN	3

/* What a side knows besides, and need not: SYNC_F_LISTED, SYNC_F_REPLACE. */
#define PROTO_F_LISTED		(1U << 0)
#define PROTO_F_REPLACE		(1U << 1)
#define PROTO_F_ALL		((1U << 2) - 1)

/* Hashing a hole takes time, which a short frame must not cost without bound. */
#define PROTO_HOLE_MAX		(1ULL << 30)

enum frame_type {
	FRAME_HELLO = 1,	/* version_min, version, PROTO_F_* */
	FRAME_PUT = 2,		/* payload: struct wire_request, path */
	FRAME_GET = 3,		/* the same */
	FRAME_BEGIN = 4,	/* BEGIN_F_*, entries, bytes, bytes that take space */
	FRAME_GO = 5,
	FRAME_DATA = 6,		/* offset, start of the hash up to here; payload: content.
				   What comes again: of the XXH64 of the payload alone */
	FRAME_HOLE = 7,		/* offset, length up to PROTO_HOLE_MAX */
	FRAME_END = 8,		/* size, four parts of the digest, in its byte order */
	FRAME_DONE = 9,		/* entries taken, failed, the first one's code; of a sync:
				   what needed nothing, what was deleted */
	FRAME_ERROR = 10,	/* status code, 0, text_check(); payload: text */
	FRAME_ENTRY = 11,	/* payload: struct wire_entry and what it announces */
	FRAME_LEAVE = 12,
	FRAME_SKIP = 13,	/* status code, 0, text_check(); payload: text */
	FRAME_FINISH = 14,	/* entries sent */
	FRAME_FAILED = 15,	/* status code, the entry's number from 0, check; payload: text */
	FRAME_RESEND = 16,	/* entry's number, offset, length, check; payload: its path */
	FRAME_HAVE = 17,	/* offset, start of the hash up to there, whether it is the last */
	FRAME_FROM = 18,	/* offset */
	FRAME_LIST = 19,	/* as GET */
	FRAME_PATH = 20,	/* check, PATH_F_*; payload: what the next entries are about */
	FRAME_SYNC = 21,	/* payload: struct wire_sync, suffix, rules */
	FRAME_MORE = 22,	/* questions answered, questions that may come, the round that is
				   done, files that come again at FINISH; or of the sender:
				   which? 0, 0, the number of a round, if it is the end of one */
	FRAME_WANT = 23,	/* number of a question, WANT_*, enum sync_item */
	FRAME_SIGNATURE = 24,	/* XXH64 of the payload, whether it is the last */
	FRAME_DELTA = 25,	/* XXH64 of the payload */
	FRAME_NAMES = 26,	/* check, how many; payload: paths that are there */
	FRAME_ABSENT = 27,	/* check; payload: a bit for each, set: it is not here */
	FRAME_DELETED = 28,	/* check; payload: path */
	FRAME_GONE = 29,	/* check; payload: path of what is not here any more */
	FRAME_RENAME = 30,	/* check; payload: a path, NUL, the path it has now, NUL */
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
 * @rate: GET: bytes a second, at most; zero: as fast as can be
 * @min_free: PUT: bytes that must stay free at the destination
 * @flags: REQUEST_F_*
 * @keep: KEEP_*: which attributes are kept
 * @path_len: bytes of path that follow: the destination, or the source
 * @hash: GET: what to hash with: a kind without HASH_BLOCKS, or HASH_FASTEST
 * @reserved: zero
 * @check: XXH32 of the payload with this field as zero, seed FRAME_MAGIC
 */
struct wire_request {
	__le64 entries;
	__le64 bytes;
	__le64 data_bytes;
	__le64 rate;
	__le64 min_free;
	__le32 flags;
	__le32 keep;
	__le16 path_len;
	__u8 hash;
	__u8 reserved[9];
	__le32 check;
};

#define REQUEST_F_INTO_DIR	(1U << 0)	/* the path must be a directory */
#define REQUEST_F_MAKE_DIR	(1U << 1)	/* and is made one if it is nothing yet */
#define REQUEST_F_SYNC_FILE	(1U << 2)	/* each file is on stable storage, in turn */
#define REQUEST_F_SYNC_END	(1U << 3)	/* all are, when DONE says so */
#define REQUEST_F_DRY_RUN	(1U << 4)	/* entries without content; nothing is made */
#define REQUEST_F_DIRECT	(1U << 5)	/* around the page cache, where that can be done */
#define REQUEST_F_DROP_CACHE	(1U << 6)	/* nothing of it stays in there */
#define REQUEST_F_RESUME	(1U << 7)	/* where an earlier attempt ended */
#define REQUEST_F_PATTERN	(1U << 8)	/* GET, LIST: the path may be a pattern */
#define REQUEST_F_ITSELF	(1U << 9)	/* LIST: of a directory not what is in it */
#define REQUEST_F_SYNC		(1U << 10)	/* only what differs; SYNC follows */
#define REQUEST_F_ALL		((1U << 11) - 1)

#define REQUEST_RATE_MIN	1024

#define KEEP_MODE		(1U << 0)	/* all permission bits, no umask */
#define KEEP_SETID		(1U << 1)	/* set-id bits and capabilities, too */
#define KEEP_OWNER		(1U << 2)	/* by name, if there is one, or number */
#define KEEP_NUMERIC		(1U << 3)	/* by number */
#define KEEP_XATTRS		(1U << 4)
#define KEEP_ACLS		(1U << 5)
#define KEEP_DEVICES		(1U << 6)
#define KEEP_SPECIALS		(1U << 7)	/* fifos */
#define KEEP_ALL		((1U << 8) - 1)

#define BEGIN_F_TREE		(1U << 0)	/* a directory is among it */
#define BEGIN_F_SEVERAL		(1U << 1)	/* the pattern stands for more than one */
#define BEGIN_F_ALL		((1U << 2) - 1)

#define WANT_NOTHING		0		/* it is only told of */
#define WANT_WHOLE		1
#define WANT_DELTA		2

#define PATH_F_DIR		(1U << 0)	/* what is in it follows */
#define PATH_F_ALL		((1U << 1) - 1)

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
	uint64_t rate;
	uint64_t min_free;
	uint32_t flags;
	uint32_t keep;
	unsigned int hash;
	char path[PATH_MAX];
};

/* A checked RESEND. */
struct resend {
	uint64_t number;
	uint64_t offset;
	uint64_t len;
	char path[PATH_MAX];
};

/* One conversation. */
struct conv {
	struct ivring_chan *ch;
	uint32_t tx_seq;
	uint32_t rx_seq;
	uint32_t rx_left;		/* payload of the last frame not yet taken */
	bool error_sent;
	uint64_t features;		/* of the peer: PROTO_F_*, and what we do not know */
	uint64_t tx_bytes;		/* of frames and payload */
	uint64_t rx_bytes;
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
/*
 * A block of a file that arrived damaged: asks for it, takes what was asked. @path is
 * the file's beneath the top.
 */
int conv_send_resend(struct conv *c, const struct resend *resend, struct status *st);
int conv_take_resend(struct conv *c, const struct frame *f, struct resend *resend,
		     struct status *st);
/* A path that is one by itself: its flags are PATH_F_*. */
int conv_put_path(struct conv *c, const char *path, uint32_t flags, struct status *st);
int conv_take_path(struct conv *c, const struct frame *f, char path[PATH_MAX],
		   struct status *st);
/* True when the peer closed between two requests; waits for either. */
int conv_at_end(struct conv *c, bool *end, struct status *st);

/* Whether there is something to receive, be it the end, without waiting. */
bool conv_has_frame(struct conv *c);
/* Whether the peer has left while it should wait for us: for work that takes long. */
bool conv_is_gone(struct conv *c);

/* Copies @len bytes of the last frame's payload, of which there must be so many. */
int conv_take(struct conv *c, void *to, size_t len, struct status *st);
/* What is there of the last frame's payload, at most what is left of it; then take it. */
int conv_payload_peek(struct conv *c, const void **p, uint64_t *len, struct status *st);
void conv_payload_take(struct conv *c, uint64_t len);
/* Gives the space of what was taken back, as soon as that is worth a call. */
int conv_release(struct conv *c, struct status *st);

/* Says that a check failed. */
int conv_damaged(struct status *st);
/* What a description carries to be told from a damaged one. */
uint32_t payload_check(const void *payload, size_t len);

/* END carries a size and a digest. */
void digest_to_args(uint64_t size, const uint8_t digest[HASH_DIGEST_SIZE],
		    uint64_t arg[FRAME_ARGS]);
void digest_from_args(const uint64_t arg[FRAME_ARGS], uint8_t digest[HASH_DIGEST_SIZE]);
bool digest_matches_args(uint64_t size, const uint8_t digest[HASH_DIGEST_SIZE],
			 const uint64_t arg[FRAME_ARGS]);

#endif /* IVRING_PROTO_H */

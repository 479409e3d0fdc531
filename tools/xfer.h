/* SPDX-License-Identifier: GPL-2.0 */
/* The content of one file, in either direction. */
#ifndef IVRING_XFER_H
#define IVRING_XFER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "path.h"
#include "progress.h"
#include "proto.h"
#include "tempfile.h"

#define XFER_CHUNK_DEFAULT	(512U << 10)
#define XFER_CHUNK_MIN		4096U
#define XFER_CHUNK_MAX		(64U << 20)
/* The value of --chunk. */
bool xfer_parse_chunk(const char *text, uint32_t *chunk);

/* What came of it; for the line that sums up. */
struct xfer_result {
	uint64_t size;
	int64_t elapsed_ns;
	enum hash_kind hash_kind;
	uint8_t digest[HASH_DIGEST_SIZE];
};

/* Fills in what a file's stat tells; path and base are left alone. */
void xfer_describe(const struct stat *stat, struct file_meta *meta);

/*
 * Sends what @meta promised of @fd, DATA to END, and waits for DONE. When the
 * fault is on this side, ERROR has been sent.
 */
int xfer_send(struct conv *c, int fd, const struct stat *before, const struct file_meta *meta,
	      uint32_t chunk, struct progress *progress, struct xfer_result *result,
	      struct status *st);

/* A file on its way in. */
struct xfer_receiver {
	const struct path_root *root;
	struct path_dest dest;
	struct tempfile temp;
	mode_t umask;			/* takes bits of the sender's mode away */
	bool sync;
};

/* Opens the temporary file after a look at the free space. @r->dest is taken over. */
int xfer_receive_begin(struct xfer_receiver *r, const struct file_meta *meta, struct status *st);
/*
 * Receives DATA to END, gives the file its name and sends DONE. On any failure
 * nothing is left behind and ERROR has been sent.
 */
int xfer_receive(struct xfer_receiver *r, struct conv *c, const struct file_meta *meta,
		 struct progress *progress, struct xfer_result *result, struct status *st);
/* Undoes begin, when receive is not going to be called. */
void xfer_receive_cancel(struct xfer_receiver *r);

/* "123 bytes in 0.10 s, 1.2 MB/s, xxh3-128 0123..." */
#define XFER_SUMMARY_SIZE	160
void xfer_summary(const struct xfer_result *result, char text[XFER_SUMMARY_SIZE]);

#endif /* IVRING_XFER_H */

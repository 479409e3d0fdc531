// SPDX-License-Identifier: GPL-2.0
#include "delta.h"

#include <errno.h>
#include <librsync.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A block costs 12 bytes of signature, and a change about one block of delta: smaller
 * ones than the library's square root of the size are better where changes are many.
 */
#define BLOCK_MIN	1024
#define BLOCK_PART	16
#define BLOCK_ALIGN	128

struct delta {
	rs_job_t *job;
	rs_signature_t *signature;
	int basis;
};

static size_t block_len(uint64_t size)
{
	uint64_t root = 0, bit, len;

	for (bit = 1ULL << 31; bit; bit >>= 1)
		if ((root | bit) * (root | bit) <= size)
			root |= bit;
	len = root / BLOCK_PART;
	if (len < BLOCK_MIN)
		len = BLOCK_MIN;
	if (len < size / DELTA_BLOCKS_MAX + 1)
		len = size / DELTA_BLOCKS_MAX + 1;
	return (len + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
}

static struct delta *delta_new(void)
{
	struct delta *d = calloc(1, sizeof(*d));

	if (d)
		d->basis = -1;
	/* It would talk to standard error about what a peer sends. */
	rs_trace_to(NULL);
	return d;
}

static int check_job(struct delta **d)
{
	if ((*d)->job)
		return 0;
	delta_free(*d);
	*d = NULL;
	return -ENOMEM;
}

int delta_sign(struct delta **d, uint64_t size)
{
	rs_magic_number magic = RS_RK_BLAKE2_SIG_MAGIC;
	size_t len = block_len(size), strong = -1;

	*d = delta_new();
	if (!*d)
		return -ENOMEM;
	/* -1: as few bytes as make a wrong match unlikely: one is noticed by the hash of all. */
	if (rs_sig_args(size, &magic, &len, &strong) == RS_DONE)
		(*d)->job = rs_sig_begin(len, strong, magic);
	return check_job(d);
}

int delta_load(struct delta **d)
{
	*d = delta_new();
	if (!*d)
		return -ENOMEM;
	(*d)->job = rs_loadsig_begin(&(*d)->signature);
	return check_job(d);
}

int delta_begin(struct delta *load)
{
	rs_job_free(load->job);
	load->job = NULL;
	if (!load->signature)
		return -EBADMSG;
	if (rs_build_hash_table(load->signature) != RS_DONE)
		return -ENOMEM;
	load->job = rs_delta_begin(load->signature);
	return load->job ? 0 : -ENOMEM;
}

static rs_result copy_basis(void *opaque, rs_long_t pos, size_t *len, void **buf)
{
	struct delta *d = opaque;
	ssize_t n;

	if (pos < 0)
		return RS_CORRUPT;
	do
		n = pread(d->basis, *buf, *len, pos);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return RS_IO_ERROR;
	*len = n;
	return n ? RS_DONE : RS_INPUT_ENDED;
}

int delta_patch(struct delta **d, int basis)
{
	*d = delta_new();
	if (!*d)
		return -ENOMEM;
	(*d)->basis = basis;
	(*d)->job = rs_patch_begin(copy_basis, *d);
	return check_job(d);
}

int delta_move(struct delta *d, const uint8_t *in, size_t in_len, bool end, size_t *taken,
	       uint8_t *out, size_t room, size_t *given, bool *done)
{
	rs_buffers_t buffers = {
		.next_in = (char *)(uintptr_t)in, .avail_in = in_len, .eof_in = end,
		.next_out = (char *)out, .avail_out = room,
	};
	rs_result result;

	*done = false;
	result = d->job ? rs_job_iter(d->job, &buffers) : RS_INTERNAL_ERROR;
	*taken = in_len - buffers.avail_in;
	*given = room - buffers.avail_out;
	switch (result) {
	case RS_DONE:
		*done = true;
		return 0;
	case RS_BLOCKED:
		return 0;
	case RS_IO_ERROR:
		return -EIO;
	case RS_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

void delta_free(struct delta *d)
{
	if (!d)
		return;
	if (d->job)
		rs_job_free(d->job);
	if (d->signature)
		rs_free_sumset(d->signature);
	free(d);
}

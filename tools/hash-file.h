/* SPDX-License-Identifier: GPL-2.0 */
/* Hashes what is in a file already. */
#ifndef IVRING_HASH_FILE_H
#define IVRING_HASH_FILE_H

#include "hash.h"

/*
 * Adds the bytes from @from to @to, without reading what is a hole. 0 or -errno:
 * -ESTALE when the file is shorter, -EINTR when this process is asked to end.
 */
int hash_file(struct hash *h, int fd, uint64_t from, uint64_t to);

#endif /* IVRING_HASH_FILE_H */

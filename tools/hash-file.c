// SPDX-License-Identifier: GPL-2.0
#include "hash-file.h"

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

#include "util.h"

#define READ_SIZE	(256U << 10)
#define HOLE_STEP	(1ULL << 30)

int hash_file(struct hash *h, int fd, uint64_t from, uint64_t to)
{
	static _Thread_local uint8_t buf[READ_SIZE];
	uint64_t pos = from;
	off_t data;
	ssize_t n;

	while (pos < to) {
		if (stop_signal)
			return -EINTR;
		data = lseek(fd, pos, SEEK_DATA);
		if (data < 0)
			data = errno == ENXIO ? (off_t)to : (off_t)pos;
		data = min_u64(data, to);
		if ((uint64_t)data > pos) {
			/* One may be of many terabytes. */
			data = min_u64(data, pos + HOLE_STEP);
			hash_zeros(h, data - pos);
			pos = data;
			continue;
		}
		/* All that was read is data, or zeros that are read as well. */
		n = pread(fd, buf, min_u64(sizeof(buf), to - pos), pos);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n && pos < to)
			return -ESTALE;
		if (n > 0) {
			hash_data(h, buf, n);
			pos += n;
		}
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* The moving line on stderr. */
#ifndef IVRING_PROGRESS_H
#define IVRING_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool enabled;
	bool shown;
	const char *name;
	uint64_t total;
	int64_t start_ns;
	int64_t next_ns;
};

void progress_start(struct progress *p, bool enabled, const char *name, uint64_t total);
/* Cheap enough to be called for every chunk: looks at the clock, seldom prints. */
void progress_update(struct progress *p, uint64_t done);
/* Takes the line away. */
void progress_end(struct progress *p);

#endif /* IVRING_PROGRESS_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel counts about links and channels, as sysfs tells it. */
#ifndef IVRING_COUNTERS_H
#define IVRING_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "libivring.h"

#define COUNTERS_MAX	32

struct counter {
	char name[32];
	uint64_t value;
};

/**
 * struct counters - of a link or a channel
 * @state: what its file "state" says
 * @window: of a channel, bytes
 * @list: in order of names
 * @count: how many of them there are
 */
struct counters {
	char state[32];
	uint64_t window;
	struct counter list[COUNTERS_MAX];
	size_t count;
};

/**
 * struct sample - a link and its channels, as they were at one moment
 * @ns: of the monotonic clock
 * @info: whose epoch tells a link from another one that has its number later
 * @channels: as many as it has
 */
struct sample {
	int64_t ns;
	struct ivring_link_info info;
	struct counters link;
	struct counters *channels;
};

struct samples {
	struct sample *list;
	size_t count;
};

/*
 * Of a directory such as /sys/class/ivring/ivring0c1. Returns 0 or -errno: -ENOENT or
 * -ENODEV when there is no such thing (any more), -EACCES when it is not for this user.
 */
int counters_read(const char *dir, struct counters *c);
/* A counter's value, 0 for one that is not there. */
uint64_t counters_value(const struct counters *c, const char *name);

/*
 * All of the link that @info is about; @class is IVRING_SYSFS_CLASS, but for tests.
 * Returns the same, -ENODEV also when the link is another one by now. The caller frees
 * it in any case.
 */
int sample_take(const char *class, const struct ivring_link_info *info, struct sample *s);
void sample_free(struct sample *s);

/* Adds one to the list. Returns 0 or -errno, as above; then nothing is added. */
int samples_add(struct samples *s, const char *class, const struct ivring_link_info *info);
void samples_free(struct samples *s);

#endif /* IVRING_COUNTERS_H */

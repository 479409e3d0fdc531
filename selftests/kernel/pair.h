/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Both ends of a loop link, as fixtures: "node" has nothing open, "pair" has one
 * channel open at both ends and connected.
 */
#ifndef _IVRING_TEST_PAIR_H
#define _IVRING_TEST_PAIR_H

#include "util.h"

struct ends {
	int link[2];
	unsigned int ch;
	long long rescued;
};

static inline bool ends_closed(const struct ends *e, unsigned int ch)
{
	return channel_attr_is(e->link[0], ch, "state", "closed") &&
	       channel_attr_is(e->link[1], ch, "state", "closed");
}

/* A channel of the pair that nobody uses: one stuck in a failed test is left out. */
static inline int ends_free_channel(struct ends *e)
{
	char path[64];

	for (e->ch = 0;; e->ch++) {
		snprintf(path, sizeof(path), "/dev/ivring%dc%u", e->link[0], e->ch);
		if (access(path, F_OK))
			return -EBUSY;
		if (ends_closed(e, e->ch))
			return 0;
	}
}

static inline long long ends_rescued(const struct ends *e)
{
	return channel_num(e->link[0], e->ch, "stats/rescued") +
	       channel_num(e->link[1], e->ch, "stats/rescued");
}

/* 0, -ENODEV without loop link number @pair, or what is wrong with it. */
static inline int ends_find(struct ends *e, unsigned int pair)
{
	char label[16];
	int i;

	snprintf(label, sizeof(label), "loop%u", pair);
	for (i = 0; i < 2; i++) {
		e->link[i] = link_find(label, i);
		if (e->link[i] < 0)
			return -ENODEV;
	}
	if (!wait_until(link_attr_is(e->link[0], "state", "up") &&
			link_attr_is(e->link[1], "state", "up"), PATIENCE_MS))
		return -ENOLINK;
	if (!wait_until(ends_free_channel(e) == 0, PATIENCE_MS))
		return -EBUSY;
	e->rescued = ends_rescued(e);
	return 0;
}

static inline int ends_open(const struct ends *e, int i, int flags)
{
	return channel_open(e->link[i], e->ch, flags);
}

FIXTURE(node) {
	struct ends e;
};

FIXTURE_SETUP(node)
{
	ASSERT_EQ(0, ends_find(&self->e, 0));
}

FIXTURE_TEARDOWN(node)
{
	/* No wake-up may need the tick. */
	EXPECT_EQ(self->e.rescued, ends_rescued(&self->e));
}

FIXTURE(pair) {
	struct ends e;
	int a, b;
	struct ivring_channel_info info;
	size_t ring, window;
};

FIXTURE_SETUP(pair)
{
	ASSERT_EQ(0, ends_find(&self->e, 0));
	self->a = ends_open(&self->e, 0, O_RDWR);
	self->b = ends_open(&self->e, 1, O_RDWR);
	ASSERT_LE(0, self->a);
	ASSERT_LE(0, self->b);
	ASSERT_EQ(0, ch_connected(self->a));
	ASSERT_EQ(0, ch_connected(self->b));
	ASSERT_EQ(0, ch_info(self->a, &self->info));
	self->ring = self->info.ring_size;
	self->window = self->info.window;
}

FIXTURE_TEARDOWN(pair)
{
	close(self->a);
	close(self->b);
	EXPECT_EQ(self->e.rescued, ends_rescued(&self->e));
}

/* As TEST_HARNESS_MAIN, for programs that need the loop links. */
#define PAIR_HARNESS_MAIN						\
int main(int argc, char **argv)						\
{									\
	if (link_find("loop0", 0) < 0)					\
		ksft_exit_skip("no loop link: insmod ivring_loop.ko\n");	\
	return test_run(argc, argv);				\
}

#endif /* _IVRING_TEST_PAIR_H */

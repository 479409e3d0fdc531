/* SPDX-License-Identifier: GPL-2.0 */
/* Links and channels as they move: what stat --watch shows. */
#ifndef IVRING_STAT_VIEW_H
#define IVRING_STAT_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "counters.h"

/**
 * struct view - where it is shown
 * @terminal: one view is written over the other, and no line goes beyond its edges
 * @rows: of the terminal; 0: unknown
 * @columns: the same
 */
struct view {
	bool terminal;
	unsigned int rows;
	unsigned int columns;
};

/*
 * What moved per second between two looks. A link that was not there before, or was made
 * anew, has no rates yet. @missing says why there is none of those that were asked for.
 */
void view_print(FILE *out, const struct view *v, const struct samples *now,
		const struct samples *old, const char *missing);

#endif /* IVRING_STAT_VIEW_H */

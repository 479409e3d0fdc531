/* SPDX-License-Identifier: GPL-2.0 */
/* Libraries that may not be installed: what needs one says so, all else goes on. */
#ifndef IVRING_LIBRARY_H
#define IVRING_LIBRARY_H

#include <stdbool.h>

struct library_symbol {
	const char *name;
	/* The pointer to a function that is to be set, as &struct.member */
	void *to;
};

/**
 * library_load() - functions of a library
 * @file: its name, with the version that the headers were of
 * @other: another name, or NULL
 * @symbols: what is wanted of it; the one without a name ends them
 *
 * The library stays loaded. For the first thread only: the pointers are set one by one.
 *
 * Return: true when all are there and set; else none of them is.
 */
bool library_load(const char *file, const char *other, const struct library_symbol *symbols);

#endif

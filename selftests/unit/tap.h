/* SPDX-License-Identifier: GPL-2.0 */
/* The least that a test which prints TAP needs. */
#ifndef IVRING_TAP_H
#define IVRING_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_count;
static int tap_failures;

#define ok(condition, ...)	tap_ok((condition), __FILE__, __LINE__, __VA_ARGS__)

__attribute__((format(printf, 4, 5), unused))
static bool tap_ok(bool good, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	flockfile(stdout);
	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (!good) {
		tap_failures++;
		printf("# at %s:%d\n", file, line);
	}
	fflush(stdout);
	funlockfile(stdout);
	return good;
}

__attribute__((unused))
static void tap_skip(const char *what, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", ++tap_count, what, why);
}

/* One line of TAP for many checks; the first that fails is told. */
__attribute__((unused))
static int tap_wrong;

#define CHECK(condition) do {							\
	if (!(condition) && !tap_wrong++)					\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);	\
} while (0)

__attribute__((unused))
static void tap_run(void (*test)(void), const char *what)
{
	tap_wrong = 0;
	test();
	ok(!tap_wrong, "%s", what);
}

static int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failures != 0;
}

#endif /* IVRING_TAP_H */

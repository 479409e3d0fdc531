// SPDX-License-Identifier: GPL-2.0
/* Libraries that may not be there: all that is wanted of one, or nothing. */
#include <stddef.h>
#include <string.h>

#include "library.h"
#include "tap.h"

#define LIBC	"libc.so.6"

static struct {
	typeof(&strlen) length;
	typeof(&strcmp) compare;
} lib;

static const struct library_symbol symbols[] = {
	{ "strlen", &lib.length },
	{ "strcmp", &lib.compare },
	{ }
};

static void test_all(void)
{
	CHECK(library_load(LIBC, NULL, symbols));
	CHECK(lib.length && lib.length("four") == 4);
	CHECK(lib.compare && !lib.compare("same", "same"));
}

static void test_other(void)
{
	memset(&lib, 0, sizeof(lib));
	CHECK(library_load("libnone-such.so.1", LIBC, symbols));
	CHECK(lib.length && lib.compare);
}

static void test_none(void)
{
	static const struct library_symbol more[] = {
		{ "strlen", &lib.length },
		{ "no_such_function", &lib.compare },
		{ }
	};

	memset(&lib, 0, sizeof(lib));
	CHECK(!library_load("libnone-such.so.1", NULL, symbols));
	CHECK(!library_load("libnone-such.so.1", "libnone-such.so", symbols));
	CHECK(!library_load(LIBC, NULL, more));
	CHECK(!lib.length && !lib.compare);
}

int main(void)
{
	tap_run(test_all, "all that is wanted");
	tap_run(test_other, "by its other name");
	tap_run(test_none, "no library, or not all of it: nothing");
	return tap_done();
}

// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include <string.h>

#include "filter.h"
#include "tap.h"
#include "util.h"

static bool excludes(const char *pattern, const char *path, bool is_dir)
{
	struct filter f = { 0 };
	bool result;

	if (!filter_add(&f, false, pattern))
		return false;
	result = filter_is_good(f.rules, f.len) && filter_excludes(&f, path, is_dir);
	filter_free(&f);
	return result;
}

/* What rsync(1) says of each of them. */
static void test_patterns(void)
{
	static const struct {
		const char *pattern, *path;
		bool dir, match;
	} table[] = {
		{ "*.o", "a.o", false, true }, { "*.o", "d/e/a.o", false, true },
		{ "*.o", "a.o/b", false, false }, { "/foo", "foo", false, true },
		{ "/foo", "d/foo", false, false }, { "foo/", "foo", false, false },
		{ "foo/", "d/foo", true, true }, { "/foo/*", "foo/bar", false, true },
		{ "/foo/*", "foo/bar/baz", false, false }, { "/foo/**", "foo/bar/baz", false, true },
		{ "foo/bar", "foo/bar", false, true }, { "foo/bar", "d/foo/bar", false, true },
		{ "foo/bar", "xfoo/bar", false, false }, { "/foo/*/bar", "foo/x/bar", false, true },
		{ "/foo/*/bar", "foo/x/y/bar", false, false },
		{ "/foo/**/bar", "foo/x/y/bar", false, true }, { "/foo/**/bar", "foo/bar", false, false },
		{ "**/bar", "bar", false, true }, { "**/bar", "d/bar", false, true },
		{ "a**z", "d/ab/cz", false, true }, { "foo/***", "foo", true, true },
		{ "foo/***", "foo", false, false }, { "foo/***", "d/foo/x/y", false, true },
		{ "fo?", "foo", false, true }, { "[!a-f]oo", "foo", false, false },
		{ "foo", "foo/bar", false, false }, { "\\*", "*", false, true },
		{ "\\*", "x", false, false }, { "/", "x", true, false }, { "", "x", true, false },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		ok(excludes(table[i].pattern, table[i].path, table[i].dir) == table[i].match,
		   "'%s' and %s '%s'", table[i].pattern, table[i].dir ? "directory" : "file",
		   table[i].path);
}

static void test_order(void)
{
	struct filter f = { 0 };
	char big[PATH_MAX];
	int count = 0;

	ok(!filter_excludes(&f, "x", false) && filter_is_good(NULL, 0), "no rules");
	ok(filter_add(&f, true, "*.c") && filter_add(&f, false, "*") &&
	   !filter_excludes(&f, "d/a.c", false) && filter_excludes(&f, "d/a.o", false),
	   "the first that fits decides");
	ok(!filter_is_good(f.rules, f.len - 1), "one without an end is none");
	f.rules[0] = '*';
	ok(!filter_is_good(f.rules, f.len), "nor is one without a sign");
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	while (count < 100 && filter_add(&f, true, big))
		count++;
	ok(count > 1 && count < 100 && f.len <= FILTER_SIZE_MAX, "there is an end to them");
	filter_free(&f);
}

int main(void)
{
	test_patterns();
	test_order();
	return tap_done();
}

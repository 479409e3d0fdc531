// SPDX-License-Identifier: GPL-2.0
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"
#include "tap.h"
#include "util.h"

static void test_table(void)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} table[] = {
		{ "", "", true }, { "", "a", false }, { "a", "", false }, { "*", "", true },
		{ "*", "abc", true }, { "*", "a/b", false }, { "**", "a/b", true },
		{ "?", "/", false }, { "?", "\xff", true }, { "a**b", "a/x/b", true },
		{ "a/**/b", "a/b", false }, { "a/**/b", "a/x/y/b", true },
		{ "[a-c]x", "bx", true }, { "[!a-c]x", "bx", false }, { "[^a-c]x", "dx", true },
		{ "[]a]", "]", true }, { "[!]a]", "b", true }, { "[", "[", true }, { "[a", "[a", true },
		{ "[a-]", "-", true }, { "[[:digit:]x]", "7", true }, { "[[:digit:]x]", "y", false },
		{ "[!a]", "/", false }, { "\\*", "*", true }, { "\\*", "a", false },
		{ "[\\]]", "]", true }, { "a\\", "a\\", true }, { "*.c", ".c", true },
		{ "**/x", "a/b/x", true }, { "*/x", "a/b/x", false }, { "a*b*c", "aXbYbZc", true },
		{ "\xc3*", "\xc3\xa4", true },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		ok(pattern_match(table[i].pattern, table[i].text) == table[i].match, "'%s' and '%s'",
		   table[i].pattern, table[i].text);
	ok(!pattern_match_name("*", ".x") && pattern_match_name(".*", ".x") &&
	   !pattern_match_name("?x", ".x") && pattern_match_name("\\.x", ".x"), "leading dots");
	ok(pattern_is_wild("a*") && pattern_is_wild("?") && pattern_is_wild("[") &&
	   !pattern_is_wild("a\\b"), "what is a pattern");
}

/* By trying everything. */
static bool reference(const char *p, const char *t)
{
	bool deep = p[0] == '*' && p[1] == '*';

	if (!*p)
		return !*t;
	if (*p == '*') {
		if (reference(p + (deep ? 2 : 1), t))
			return true;
		return *t && (deep || *t != '/') && reference(p, t + 1);
	}
	return *t && (*p == *t || (*p == '?' && *t != '/')) && reference(p + 1, t + 1);
}

static void random_text(char *to, size_t len, const char *letters)
{
	size_t i;

	len = rand() % len;
	for (i = 0; i < len; i++)
		to[i] = letters[rand() % strlen(letters)];
	to[len] = '\0';
}

static void test_random(void)
{
	unsigned int i, wrong = 0, matched = 0;
	char pattern[16], text[16];

	for (i = 0; i < 300000; i++) {
		random_text(pattern, 12, "ab/**?");
		random_text(text, 12, "ab/");
		wrong += pattern_match(pattern, text) != reference(pattern, text);
		matched += pattern_match(pattern, text);
	}
	ok(!wrong && matched > 1000, "as by trying everything: %u wrong, %u match", wrong, matched);
	for (i = wrong = matched = 0; i < 300000; i++) {
		random_text(pattern, 12, "ab[a!-]?*\\");
		random_text(text, 12, "ab]-![");
		/* Double stars are our own, and so is a backslash at the end. */
		if (strstr(pattern, "**") || (*pattern && pattern[strlen(pattern) - 1] == '\\') ||
		    strstr(pattern, "[!") || strstr(pattern, "-"))
			continue;
		wrong += pattern_match(pattern, text) != !fnmatch(pattern, text, FNM_PATHNAME);
		matched += pattern_match(pattern, text);
	}
	ok(!wrong && matched > 1000, "as fnmatch: %u wrong, %u match", wrong, matched);
}

static void test_time(void)
{
	static char pattern[2048], text[4096];
	int64_t start = now_ns();
	int i;

	for (i = 0; i < 1000; i++)
		strcat(pattern, "*a");
	strcat(pattern, "b");
	memset(text, 'a', sizeof(text) - 1);
	ok(!pattern_match(pattern, text) && now_ns() - start < NSEC_PER_SEC, "many stars take no time");
}

int main(void)
{
	srand(1);
	test_table();
	test_random();
	test_time();
	return tap_done();
}

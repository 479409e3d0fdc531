// SPDX-License-Identifier: GPL-2.0
#include "pattern.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "util.h"

bool pattern_is_wild(const char *text)
{
	return strpbrk(text, "*?[");
}

/* "[:alpha:]" and the like at @p; its length, or 0. */
static size_t named_class(const char *p, unsigned char c, bool *in)
{
	static const struct {
		const char *name;
		int (*is)(int c);
	} classes[] = {
		{ "[:alnum:]", isalnum }, { "[:alpha:]", isalpha }, { "[:blank:]", isblank },
		{ "[:cntrl:]", iscntrl }, { "[:digit:]", isdigit }, { "[:graph:]", isgraph },
		{ "[:lower:]", islower }, { "[:print:]", isprint }, { "[:punct:]", ispunct },
		{ "[:space:]", isspace }, { "[:upper:]", isupper }, { "[:xdigit:]", isxdigit },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(classes); i++) {
		if (strncmp(p, classes[i].name, strlen(classes[i].name)))
			continue;
		*in = classes[i].is(c);
		return strlen(classes[i].name);
	}
	return 0;
}

/* A byte of a set; NULL at the end of the pattern. */
static const char *set_byte(const char *p, unsigned char *c)
{
	if (*p == '\\' && p[1])
		p++;
	*c = *p;
	return *p ? p + 1 : NULL;
}

/* What is behind the set that begins at @p; NULL: there is none. */
static const char *match_set(const char *p, unsigned char c, bool *match)
{
	bool negated, found = false, in, first = true;
	unsigned char low, high;
	size_t len;

	p++;
	negated = *p == '!' || *p == '^';
	p += negated;
	for (; *p && (*p != ']' || first); first = false) {
		len = named_class(p, c, &in);
		if (len) {
			found |= in;
			p += len;
			continue;
		}
		p = set_byte(p, &low);
		high = low;
		if (p && *p == '-' && p[1] && p[1] != ']')
			p = set_byte(p + 1, &high);
		if (!p)
			return NULL;
		found |= c >= low && c <= high;
	}
	if (!*p)
		return NULL;
	*match = found != negated && c != '/';
	return p + 1;
}

/* Whether what @p begins with is @c; *@next is what follows it. */
static bool match_one(const char *p, unsigned char c, const char **next)
{
	const char *end;
	bool match;

	*next = p + 1;
	if (*p == '?')
		return c != '/';
	if (*p == '[') {
		end = match_set(p, c, &match);
		if (end) {
			*next = end;
			return match;
		}
	}
	if (*p == '\\' && p[1])
		*next = ++p + 1;
	return (unsigned char)*p == c;
}

/*
 * What does not match is tried again with one byte more for the last star, or, where
 * that must not grow any more, for the last double star. Those before need not change:
 * what they could take more, the last one can as well.
 */
bool pattern_match(const char *p, const char *t)
{
	const char *star = NULL, *star_at = NULL, *deep = NULL, *deep_at = NULL, *next;

	for (;;) {
		if (p[0] == '*' && p[1] == '*') {
			p += strspn(p, "*");
			deep = p;
			deep_at = t;
			star = NULL;
		} else if (*p == '*') {
			star = ++p;
			star_at = t;
		} else if (!*t && !*p) {
			return true;
		} else if (*t && *p && match_one(p, *t, &next)) {
			p = next;
			t++;
		} else if (star && *star_at && *star_at != '/') {
			p = star;
			t = ++star_at;
		} else if (deep && *deep_at) {
			p = deep;
			t = ++deep_at;
			star = NULL;
		} else {
			return false;
		}
	}
}

bool pattern_match_name(const char *pattern, const char *name)
{
	const char *start = pattern + (*pattern == '\\');

	return (*name != '.' || *start == '.') && pattern_match(pattern, name);
}

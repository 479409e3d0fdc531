// SPDX-License-Identifier: GPL-2.0
#include "filter.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

#define TREE_SUFFIX	"/***"

static bool good_pattern(const char *pattern)
{
	/* What is said of directories is said of some name. */
	return *pattern && strcmp(pattern, "/") && strlen(pattern) < PATH_MAX;
}

bool filter_add(struct filter *f, bool include, const char *pattern)
{
	size_t size = strlen(pattern) + 2;
	char *bigger;

	if (!good_pattern(pattern) || size > FILTER_SIZE_MAX - f->len)
		return false;
	bigger = realloc(f->rules, f->len + size);
	if (!bigger)
		return false;
	f->rules = bigger;
	f->rules[f->len] = include ? '+' : '-';
	memcpy(f->rules + f->len + 1, pattern, size - 1);
	f->len += size;
	return true;
}

bool filter_is_good(const char *rules, size_t len)
{
	const char *p = rules, *end;

	if (len > FILTER_SIZE_MAX)
		return false;
	while (p < rules + len) {
		end = memchr(p, '\0', rules + len - p);
		if (!end || (*p != '+' && *p != '-') || !good_pattern(p + 1))
			return false;
		p = end + 1;
	}
	return true;
}

void filter_free(struct filter *f)
{
	free(f->rules);
	*f = (struct filter){ 0 };
}

/* @text is the path with a slash in front. */
static bool match_path(const char *pattern, const char *text)
{
	const char *at;

	if (*pattern == '/')
		return pattern_match(pattern, text);
	if (!strchr(pattern, '/') && !strstr(pattern, "**"))
		return pattern_match(pattern, strrchr(text, '/') + 1);
	/* A double star in front may stand for nothing before a slash. */
	if (!strncmp(pattern, "**", 2) && pattern_match(pattern, text))
		return true;
	for (at = text; at; at = strchr(at + 1, '/'))
		if (pattern_match(pattern, at + 1))
			return true;
	return false;
}

static bool rule_matches(const char *rule, const char *text, bool is_dir)
{
	size_t len = strlen(rule), tree = strlen(TREE_SUFFIX);
	char pattern[PATH_MAX];

	memcpy(pattern, rule, len + 1);
	if (len > tree && !strcmp(rule + len - tree, TREE_SUFFIX)) {
		/* What is in it, or it. */
		if (match_path(pattern, text))
			return true;
		pattern[len - tree] = '\0';
		return is_dir && match_path(pattern, text);
	}
	if (len > 1 && rule[len - 1] == '/') {
		pattern[len - 1] = '\0';
		return is_dir && match_path(pattern, text);
	}
	return match_path(pattern, text);
}

bool filter_excludes(const struct filter *f, const char *path, bool is_dir)
{
	const char *rule;
	char text[PATH_MAX + 1];

	if (!f->len)
		return false;
	text[0] = '/';
	strcpy(text + 1, path);
	for (rule = f->rules; rule < f->rules + f->len; rule += strlen(rule) + 1)
		if (rule_matches(rule + 1, text, is_dir))
			return *rule == '-';
	return false;
}

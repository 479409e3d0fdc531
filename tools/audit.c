// SPDX-License-Identifier: GPL-2.0
#include "audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "hash.h"
#include "util.h"

/* Of a path that a peer chose, and of a line, whatever is in it. */
#define AUDIT_PATH_MAX		1000
#define AUDIT_LINE_SIZE		4096
#define AUDIT_IDENT		"ivring"

bool audit_parse(const char *text, unsigned int *where)
{
	static const char *const names[] = { "off", "syslog", "stderr", "both" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]))
			continue;
		*where = i;
		return true;
	}
	return false;
}

void audit_open(unsigned int where)
{
	if (where & AUDIT_SYSLOG)
		openlog(AUDIT_IDENT, LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
}

__attribute__((format(printf, 3, 4)))
static void write_line(unsigned int where, int priority, const char *fmt, ...)
{
	char line[AUDIT_LINE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (where & AUDIT_SYSLOG)
		syslog(LOG_AUTHPRIV | priority, "%s", line);
	if (where & AUDIT_STDERR)
		complain("%s", line);
}

/* In quotes, so that no name looks like the rest of a line, and of bounded length. */
static void quote(const char *text, char *to)
{
	size_t used = 0;

	to[used++] = '"';
	for (; *text && used < AUDIT_PATH_MAX; text++) {
		if (*text == '"' || *text == '\\')
			to[used++] = '\\';
		to[used++] = *text;
	}
	strcpy(to + used, *text ? "\"..." : "\"");
	make_printable(to);
}

static void hash_field(const struct tally *t, char *text, size_t size)
{
	char hex[HASH_TEXT_SIZE];

	text[0] = '\0';
	if (t->files != 1 || t->dirs || t->failed || t->hash_kind == HASH_NONE)
		return;
	hash_text(t->hash_kind, t->digest, hex);
	snprintf(text, size, " hash=%s:%s", hash_name(t->hash_kind), hex);
}

void audit_transfer(unsigned int where, const struct audit_record *r)
{
	char path[AUDIT_PATH_MAX + 8], link[AUDIT_PATH_MAX + 8], why[AUDIT_PATH_MAX + 8];
	char hash[HASH_TEXT_SIZE + 32];
	const struct tally *t = r->tally;

	if (!where)
		return;
	quote(r->link, link);
	quote(r->path, path);
	quote(r->st->code ? r->st->text : "", why);
	hash_field(t, hash, sizeof(hash));
	write_line(where, r->st->code ? LOG_NOTICE : LOG_INFO,
		   "transfer link=%s direction=%s path=%s files=%llu directories=%llu bytes=%llu "
		   "failed=%llu seconds=%.3f%s result=%d%s%s", link, r->push ? "push" : "pull", path,
		   (unsigned long long)t->files, (unsigned long long)t->dirs,
		   (unsigned long long)t->bytes, (unsigned long long)t->failed,
		   (double)(now_ns() - t->start_ns) / NSEC_PER_SEC, hash, r->st->code,
		   r->st->code ? " reason=" : "", r->st->code ? why : "");
}

void audit_killed(unsigned int where, const char *link, int signum)
{
	char quoted[AUDIT_PATH_MAX + 8];

	quote(link, quoted);
	write_line(where, LOG_WARNING, "conversation link=%s killed signal=%d", quoted, signum);
}

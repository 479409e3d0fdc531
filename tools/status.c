// SPDX-License-Identifier: GPL-2.0
#include "status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int code;
	const char *text;
} status_table[] = {
#define STATUS_ROW(name, number, text)	{ number, text },
	STATUS_TABLE(STATUS_ROW)
#undef STATUS_ROW
};

#define STATUS_COUNT	(sizeof(status_table) / sizeof(status_table[0]))

int status_set(struct status *st, enum status_code code, const char *fmt, ...)
{
	va_list ap;

	st->code = code;
	va_start(ap, fmt);
	vsnprintf(st->text, sizeof(st->text), fmt, ap);
	va_end(ap);
	return -(int)code;
}

int status_errno(struct status *st, enum status_code code, int err, const char *fmt, ...)
{
	size_t used;
	va_list ap;

	if (err == ENOSPC || err == EDQUOT)
		code = STATUS_NO_SPACE;
	st->code = code;
	va_start(ap, fmt);
	vsnprintf(st->text, sizeof(st->text), fmt, ap);
	va_end(ap);
	used = strlen(st->text);
	snprintf(st->text + used, sizeof(st->text) - used, ": %s", strerror(err));
	return -(int)code;
}

enum status_code status_access(int err, enum status_code otherwise)
{
	return err == EACCES || err == EPERM ? STATUS_ACCESS : otherwise;
}

enum status_code status_from_peer(unsigned long long code)
{
	size_t i;

	/* A signal over there is nobody's wish here. */
	if (code == STATUS_INTERRUPTED)
		return STATUS_PEER_GONE;
	for (i = 0; i < STATUS_COUNT; i++)
		if (code && (unsigned long long)status_table[i].code == code)
			return (enum status_code)code;
	return STATUS_FAIL;
}

void status_print_table(void)
{
	size_t i;

	for (i = 0; i < STATUS_COUNT; i++)
		printf("  %3d  %s\n", status_table[i].code, status_table[i].text);
}

// SPDX-License-Identifier: GPL-2.0
#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "status.h"
#include "tempfile.h"

volatile sig_atomic_t stop_signal;
static volatile sig_atomic_t stop_idle;

int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

bool parse_size(const char *text, uint64_t *value)
{
	static const char units[] = "KMGT";
	unsigned long long number;
	unsigned int shift = 0;
	const char *unit;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return false;
		shift = 10 * (unit - units + 1);
	}
	if (number > UINT64_MAX >> shift)
		return false;
	*value = (uint64_t)number << shift;
	return true;
}

bool parse_number(const char *text, uint64_t max, uint64_t *value)
{
	unsigned long long number;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || *end || number > max)
		return false;
	*value = number;
	return true;
}

bool parse_seconds(const char *text, int *ms)
{
	double seconds;
	char *end;

	seconds = strtod(text, &end);
	if (end == text || *end || !(seconds >= 0.001) || seconds > INT_MAX / 1000)
		return false;
	*ms = (int)(seconds * 1000);
	return true;
}

char *make_printable(char *text)
{
	unsigned char *c;

	/* C1 controls hide behind 0xc2 in UTF-8; all else above 0x7f is left alone. */
	for (c = (unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
			*c = '?';
	return text;
}

const char *printable(const char *text)
{
	static char buf[4][PATH_MAX + 64];
	static unsigned int next;
	char *copy = buf[next++ % 4];

	snprintf(copy, sizeof(buf[0]), "%s", text);
	return make_printable(copy);
}

const char *printable_cut(const char *text)
{
	char cut[PRINTABLE_CUT + sizeof("...")];
	size_t len = PRINTABLE_CUT;

	if (strlen(text) <= len)
		return printable(text);
	/* Not in the middle of a character. */
	while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	snprintf(cut, sizeof(cut), "%.*s...", (int)len, text);
	return printable(cut);
}

#define RING_BOUNCE	(64UL << 10)

ssize_t ring_pread(int fd, void *buf, size_t len, off_t pos)
{
	ssize_t n = pos < 0 ? read(fd, buf, len) : pread(fd, buf, len, pos);
	uint8_t bounce[RING_BOUNCE];

	if (n >= 0 || errno != EFAULT)
		return n;
	len = min_u64(len, sizeof(bounce));
	n = pos < 0 ? read(fd, bounce, len) : pread(fd, bounce, len, pos);
	if (n > 0)
		memcpy(buf, bounce, n);
	return n;
}

ssize_t ring_pwrite(int fd, const void *buf, size_t len, off_t pos)
{
	ssize_t n = pos < 0 ? write(fd, buf, len) : pwrite(fd, buf, len, pos);
	uint8_t bounce[RING_BOUNCE];

	if (n >= 0 || errno != EFAULT)
		return n;
	len = min_u64(len, sizeof(bounce));
	memcpy(bounce, buf, len);
	return pos < 0 ? write(fd, bounce, len) : pwrite(fd, bounce, len, pos);
}

mode_t read_umask(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return mask;
}

void files_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void complain(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	fputs("ivring: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

void complain_option(const char *command, const struct option *longopts, int opt)
{
	while (longopts->name && longopts->val != opt)
		longopts++;
	if (longopts->name)
		complain("%s: impossible value for --%s: %s", command, longopts->name,
			 optarg ? optarg : "");
}

void log_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("ivring: ", stdout);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	fflush(stdout);
}

static void on_stop(int signum)
{
	if (stop_idle)
		_exit(0);
	stop_signal = signum;
}

static void on_sigbus(int signum)
{
	static const char text[] = "ivring: the link was removed while it was in use\n";
	ssize_t ignored;

	(void)signum;
	tempfile_emergency();
	ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)ignored;
	_exit(STATUS_PEER_GONE);
}

void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGCHLD);
}

void stop_install(void)
{
	struct sigaction sa = { .sa_handler = on_stop };

	/* No SA_RESTART: a wait must return to see the flag. */
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sa.sa_handler = on_sigbus;
	sigaction(SIGBUS, &sa, NULL);
	/* Comes back as an error from write(2), which is handled. */
	signal(SIGXFSZ, SIG_IGN);
}

void stop_set_idle(bool idle)
{
	stop_idle = idle;
	if (idle && stop_signal)
		_exit(0);
}

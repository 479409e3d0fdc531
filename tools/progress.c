// SPDX-License-Identifier: GPL-2.0
#include "progress.h"

#include <stdio.h>
#include <string.h>

#include "util.h"

#define PROGRESS_INTERVAL_NS	(NSEC_PER_SEC / 10)
#define PROGRESS_BAR		24
#define PROGRESS_NAME		24

void progress_start(struct progress *p, bool enabled, const char *name, uint64_t total)
{
	memset(p, 0, sizeof(*p));
	p->enabled = enabled;
	p->name = name;
	p->total = total;
	if (!enabled)
		return;
	p->start_ns = now_ns();
	p->next_ns = p->start_ns + PROGRESS_INTERVAL_NS;
}

static void print_line(const struct progress *p, uint64_t done, int64_t now)
{
	double seconds = (double)(now - p->start_ns) / NSEC_PER_SEC;
	double part = p->total ? (double)done / p->total : 1;
	double rate = seconds > 0 ? done / seconds : 0;
	unsigned long long left = rate > 0 ? (p->total - done) / rate + 0.5 : 0;
	char bar[PROGRESS_BAR + 1];
	int i;

	for (i = 0; i < PROGRESS_BAR; i++)
		bar[i] = i < part * PROGRESS_BAR ? '#' : '.';
	bar[PROGRESS_BAR] = '\0';
	fprintf(stderr, "\r%-*.*s [%s] %3d%% %8.1f MB/s  %llu:%02llu left\033[K",
		PROGRESS_NAME, PROGRESS_NAME, printable(p->name), bar, (int)(part * 100),
		rate / 1e6, left / 60, left % 60);
	fflush(stderr);
}

void progress_update(struct progress *p, uint64_t done)
{
	int64_t now;

	if (!p || !p->enabled)
		return;
	now = now_ns();
	if (now < p->next_ns)
		return;
	p->next_ns = now + PROGRESS_INTERVAL_NS;
	p->shown = true;
	print_line(p, done, now);
}

void progress_end(struct progress *p)
{
	if (p && p->shown)
		fputs("\r\033[K", stderr);
}

// SPDX-License-Identifier: GPL-2.0
#include "stat-view.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "util.h"

#define LINE_SIZE	256

/* A view that is being written */
struct page {
	FILE *out;
	const struct view *v;
	unsigned int left;	/* lines of the terminal */
	unsigned int hidden;	/* channels that are not shown */
	bool idle_too;
};

/* What is between two looks at the same thing */
struct change {
	const struct counters *now, *old;
	double seconds;
};

__attribute__((format(printf, 2, 3)))
static void put(struct page *p, const char *fmt, ...)
{
	char line[LINE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (!p->v->terminal) {
		fprintf(p->out, "%s\n", line);
		return;
	}
	if (!p->left)
		return;
	p->left--;
	/* The last column stays free: from there, a terminal might wipe what it just got. */
	if (p->v->columns && p->v->columns <= sizeof(line))
		line[p->v->columns - 1] = '\0';
	fprintf(p->out, "%s\033[K\n", line);
}

/* Counters wrap with 64 bits, which is what a program mad with its indices may bring about. */
static double rate(const struct change *c, const char *name)
{
	return (counters_value(c->now, name) - counters_value(c->old, name)) / c->seconds;
}

static bool moved(const struct change *c, const char *name)
{
	return c->old && counters_value(c->now, name) != counters_value(c->old, name);
}

/* "-" as long as there is nothing to compare with */
static const char *rate_text(const struct change *c, const char *name, double unit, int digits,
			     char text[24])
{
	if (c->old)
		snprintf(text, 24, "%.*f", digits, rate(c, name) / unit);
	else
		strcpy(text, "-");
	return text;
}

static const struct column {
	const char *head, *counter, *more;
	double unit;
	int width, digits;
} columns[] = {
	{ "TX MB/s", "tx_bytes", NULL, 1e6, 9, 1 },
	{ "RX MB/s", "rx_bytes", NULL, 1e6, 9, 1 },
	{ "TXMSG/s", "tx_messages", NULL, 1, 8, 0 },
	{ "RXMSG/s", "rx_messages", NULL, 1, 8, 0 },
	{ "BELLS/s", "doorbells_sent", NULL, 1, 8, 0 },
	{ "INTR/s", "interrupts", NULL, 1, 8, 0 },
	{ "SLEEPS/s", "sleeps", NULL, 1, 8, 0 },
	{ "STALLS/s", "stalls", NULL, 1, 8, 0 },
};

static void put_head(struct page *p)
{
	char line[LINE_SIZE];
	size_t i;
	int at;

	at = snprintf(line, sizeof(line), "%3s %-11s", "CH", "STATE");
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		at += snprintf(line + at, sizeof(line) - at, " %*s", columns[i].width,
			       columns[i].head);
	put(p, "%s %5s %7s %6s", line, "SPIN%", "RESCUED", "BROKEN");
}

static void put_channel(struct page *p, unsigned int channel, const struct change *c)
{
	char line[LINE_SIZE], text[24], spin[24] = "-";
	size_t i;
	int at;

	at = snprintf(line, sizeof(line), "%3u %-11s", channel, c->now->state);
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		at += snprintf(line + at, sizeof(line) - at, " %*s", columns[i].width,
			       rate_text(c, columns[i].counter, columns[i].unit,
					 columns[i].digits, text));
	if (moved(c, "spins"))
		snprintf(spin, sizeof(spin), "%.0f",
			 100 * rate(c, "spins_paid") / rate(c, "spins"));
	put(p, "%s %5s %7llu %6llu", line, spin,
	    (unsigned long long)counters_value(c->now, "rescued"),
	    (unsigned long long)counters_value(c->now, "broken"));
}

/* Nobody is there, and nothing happened. */
static bool is_idle(const struct change *c)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(columns); i++)
		if (moved(c, columns[i].counter))
			return false;
	return !strcmp(c->now->state, "closed");
}

static void put_link(struct page *p, const struct sample *now, const struct sample *old)
{
	struct change c = { &now->link, old ? &old->link : NULL,
			    old ? (now->ns - old->ns) / (double)NSEC_PER_SEC : 0 };
	char bells[24], interrupts[24];
	unsigned int i;

	put(p, "%s (ivring%u): %s; %s doorbells/s, %s interrupts/s; the peer came %llu times",
	    now->info.label, now->info.link, now->link.state,
	    rate_text(&c, "doorbells", 1, 0, bells), rate_text(&c, "interrupts", 1, 0, interrupts),
	    (unsigned long long)counters_value(&now->link, "ups"));
	put_head(p);
	for (i = 0; i < now->info.channels; i++) {
		c.now = &now->channels[i];
		c.old = old ? &old->channels[i] : NULL;
		if (p->v->terminal && (!p->left || (!p->idle_too && is_idle(&c))))
			p->hidden++;
		else
			put_channel(p, i, &c);
	}
}

static const struct sample *same_link(const struct samples *old, const struct sample *s)
{
	size_t i;

	for (i = 0; i < old->count; i++)
		if (old->list[i].info.epoch == s->info.epoch &&
		    old->list[i].info.link == s->info.link &&
		    old->list[i].info.channels == s->info.channels && old->list[i].ns < s->ns)
			return &old->list[i];
	return NULL;
}

void view_print(FILE *out, const struct view *v, const struct samples *now,
		const struct samples *old, const char *missing)
{
	/* The line below the last one is the cursor's. */
	struct page p = { .out = out, .v = v, .left = v->rows > 1 ? v->rows - 1 : UINT_MAX };
	unsigned int lines = 0;
	size_t i;

	for (i = 0; i < now->count; i++)
		lines += 2 + now->list[i].info.channels;
	p.idle_too = lines <= p.left;
	/* Then a line tells that some are not there. */
	if (!p.idle_too)
		p.left--;
	/* Over the view before */
	if (v->terminal)
		fputs("\033[H", out);
	for (i = 0; i < now->count; i++)
		put_link(&p, &now->list[i], same_link(old, &now->list[i]));
	if (!now->count)
		put(&p, "%s", missing);
	if (!p.idle_too)
		p.left++;
	if (p.hidden)
		put(&p, "%u channels are not shown: make the terminal bigger, or name one link",
		    p.hidden);
	if (v->terminal)
		fputs("\033[J", out);
}

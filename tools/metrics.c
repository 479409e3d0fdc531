// SPDX-License-Identifier: GPL-2.0
#include "metrics.h"

#include <string.h>

#include "util.h"

/* What each counter is, for people */
static const struct {
	const char *name, *help;
} helps[] = {
	{ "link_doorbells", "Doorbells that this side rang." },
	{ "link_interrupts", "Doorbells of the peer's that arrived." },
	{ "link_late", "Doorbells of a storm, answered with the next jiffy." },
	{ "link_ups", "Times the peer came." },
	{ "link_downs", "Times the peer went." },
	{ "link_restored", "Times the peer wrote over the presence of this side." },
	{ "channel_tx_bytes", "Bytes handed to the peer." },
	{ "channel_rx_bytes", "Bytes taken from the peer." },
	{ "channel_tx_messages", "Messages written." },
	{ "channel_rx_messages", "Messages read." },
	{ "channel_doorbells_sent", "Publications with a doorbell." },
	{ "channel_doorbells_suppressed", "Publications without one." },
	{ "channel_interrupts", "Interrupts that may have concerned the channel." },
	{ "channel_stalls", "Times a writer found the window full." },
	{ "channel_sleeps", "Sleeps of whoever waited for the peer." },
	{ "channel_spins", "Busy waits." },
	{ "channel_spins_paid", "Busy waits that spared a sleep." },
	{ "channel_rescued", "Wake-ups that no doorbell brought." },
	{ "channel_conversations", "Conversations that were begun." },
	{ "channel_broken", "Conversations that the peer ended by breaking the rules." },
};

static const char *help_of(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(helps); i++)
		if (!strcmp(name, helps[i].name))
			return helps[i].help;
	return "A counter of the kernel module's.";
}

/* A label of the format's: ivring_wire_label_ok() lets nothing through that needs escaping. */
static void put_link(FILE *out, const struct sample *s)
{
	fprintf(out, "{link=\"ivring%u\",label=\"%s\",side=\"%u\"", s->info.link, s->info.label,
		s->info.side);
}

static void put_up(FILE *out, const struct samples *s)
{
	size_t i;

	fputs("# HELP ivring_link_up Whether the peer is there.\n"
	      "# TYPE ivring_link_up gauge\n", out);
	for (i = 0; i < s->count; i++) {
		fputs("ivring_link_up", out);
		put_link(out, &s->list[i]);
		fprintf(out, "} %d\n", !strcmp(s->list[i].link.state, "up"));
	}
}

/* All samples of a family follow its head. */
static void put_head(FILE *out, const char *family)
{
	fprintf(out, "# HELP ivring_%s_total %s\n# TYPE ivring_%s_total counter\n", family,
		help_of(family), family);
}

static const struct counter *find(const struct counters *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		if (!strcmp(c->list[i].name, name))
			return &c->list[i];
	return NULL;
}

static void put_link_family(FILE *out, const struct samples *s, const char *name)
{
	const struct counter *counter;
	char family[64];
	size_t i;

	snprintf(family, sizeof(family), "link_%s", name);
	put_head(out, family);
	for (i = 0; i < s->count; i++) {
		counter = find(&s->list[i].link, name);
		if (!counter)
			continue;
		fprintf(out, "ivring_%s_total", family);
		put_link(out, &s->list[i]);
		fprintf(out, "} %llu\n", (unsigned long long)counter->value);
	}
}

static void put_channel_family(FILE *out, const struct samples *s, const char *name)
{
	const struct counter *counter;
	char family[64];
	unsigned int c;
	size_t i;

	snprintf(family, sizeof(family), "channel_%s", name);
	put_head(out, family);
	for (i = 0; i < s->count; i++) {
		for (c = 0; c < s->list[i].info.channels; c++) {
			counter = find(&s->list[i].channels[c], name);
			if (!counter)
				continue;
			fprintf(out, "ivring_%s_total", family);
			put_link(out, &s->list[i]);
			fprintf(out, ",channel=\"%u\"} %llu\n", c,
				(unsigned long long)counter->value);
		}
	}
}

/* One kernel module counts for all of them, so that one stands for the others. */
void metrics_print(FILE *out, const struct samples *s)
{
	const struct counters *c;
	size_t i;

	put_up(out, s);
	if (!s->count)
		return;
	c = &s->list[0].link;
	for (i = 0; i < c->count; i++)
		put_link_family(out, s, c->list[i].name);
	c = &s->list[0].channels[0];
	for (i = 0; s->list[0].info.channels && i < c->count; i++)
		put_channel_family(out, s, c->list[i].name);
}

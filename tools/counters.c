// SPDX-License-Identifier: GPL-2.0
#include "counters.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

static int read_line(const char *dir, const char *name, char *line, size_t size)
{
	char path[512];
	ssize_t len;
	int fd, ret;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, line, size - 1);
	ret = len < 0 ? -errno : 0;
	close(fd);
	if (ret)
		return ret;
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

static int read_number(const char *dir, const char *name, uint64_t *value)
{
	char line[64];
	int ret = read_line(dir, name, line, sizeof(line));

	if (ret)
		return ret;
	return parse_number(line, UINT64_MAX, value) ? 0 : -EINVAL;
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* What is no counter, by its name or its content, is left out. */
static int add(struct counters *c, const char *dir, const char *name)
{
	struct counter *next = &c->list[c->count];
	int ret;

	if (c->count == COUNTERS_MAX || strlen(name) >= sizeof(next->name) ||
	    name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")])
		return 0;
	ret = read_number(dir, name, &next->value);
	if (ret == -EINVAL)
		return 0;
	if (!ret)
		strcpy(c->list[c->count++].name, name);
	return ret;
}

int counters_read(const char *dir, struct counters *c)
{
	struct dirent **entries;
	int count, i, ret;
	char stats[512];

	memset(c, 0, sizeof(*c));
	ret = read_line(dir, "state", c->state, sizeof(c->state));
	if (ret)
		return ret;
	make_printable(c->state);
	/* Links have none. */
	ret = read_number(dir, "window", &c->window);
	if (ret && ret != -ENOENT)
		return ret;
	if (snprintf(stats, sizeof(stats), "%s/stats", dir) >= (int)sizeof(stats))
		return -ENAMETOOLONG;
	count = scandir(stats, &entries, not_hidden, alphasort);
	if (count < 0)
		return -errno;
	ret = 0;
	for (i = 0; i < count; i++) {
		if (!ret)
			ret = add(c, stats, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return ret;
}

uint64_t counters_value(const struct counters *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		if (!strcmp(c->list[i].name, name))
			return c->list[i].value;
	return 0;
}

/* The number of a link that went may belong to another one at once. */
static int check_epoch(const char *dir, const struct ivring_link_info *info)
{
	char line[64], *end;
	int ret = read_line(dir, "epoch", line, sizeof(line));

	if (ret)
		return ret;
	return strtoull(line, &end, 16) == info->epoch && end != line && !*end ? 0 : -ENODEV;
}

int sample_take(const char *class, const struct ivring_link_info *info, struct sample *s)
{
	char dir[256], channel[300];
	unsigned int c;
	int ret;

	memset(s, 0, sizeof(*s));
	s->ns = now_ns();
	s->info = *info;
	s->channels = calloc(info->channels, sizeof(*s->channels));
	if (!s->channels)
		return -ENOMEM;
	snprintf(dir, sizeof(dir), "%s/ivring%u", class, info->link);
	ret = counters_read(dir, &s->link);
	for (c = 0; !ret && c < info->channels; c++) {
		snprintf(channel, sizeof(channel), "%sc%u", dir, c);
		ret = counters_read(channel, &s->channels[c]);
	}
	/* Last, as all of the above may be of the other one. */
	return ret ? ret : check_epoch(dir, info);
}

void sample_free(struct sample *s)
{
	free(s->channels);
	s->channels = NULL;
}

int samples_add(struct samples *s, const char *class, const struct ivring_link_info *info)
{
	struct sample *bigger, sample;
	int ret = sample_take(class, info, &sample);

	bigger = ret ? NULL : realloc(s->list, (s->count + 1) * sizeof(*bigger));
	if (!bigger) {
		sample_free(&sample);
		return ret ? ret : -ENOMEM;
	}
	s->list = bigger;
	s->list[s->count++] = sample;
	return 0;
}

void samples_free(struct samples *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		sample_free(&s->list[i]);
	free(s->list);
	memset(s, 0, sizeof(*s));
}

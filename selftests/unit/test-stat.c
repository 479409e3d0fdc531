// SPDX-License-Identifier: GPL-2.0
/* Counters of a tree of files as the kernel would make it, and what is shown of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "counters.h"
#include "stat-view.h"
#include "tap.h"
#include "util.h"

#define EPOCH	0x00000000deadbeefULL

static char class[] = "/tmp/ivring-test-stat-XXXXXX";
static const struct ivring_link_info link0 = {
	.link = 0, .channels = 2, .label = "vm0", .epoch = EPOCH,
};

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((format(printf, 2, 3)))
static void put(const char *name, const char *fmt, ...)
{
	char path[256];
	va_list ap;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", class, name);
	f = fopen(path, "w");
	if (!f)
		die(path);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static void make(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", class, name);
	if (mkdir(path, 0755))
		die(path);
}

static void make_tree(void)
{
	if (!mkdtemp(class))
		die(class);
	make("ivring0");
	make("ivring0/stats");
	put("ivring0/state", "up\n");
	put("ivring0/epoch", "%016llx\n", EPOCH);
	put("ivring0/stats/doorbells", "7\n");
	put("ivring0/stats/ups", "1\n");
	make("ivring0c0");
	make("ivring0c0/stats");
	put("ivring0c0/state", "closed\n");
	put("ivring0c0/window", "4096\n");
	make("ivring0c1");
	make("ivring0c1/stats");
	put("ivring0c1/state", "connected\n");
	put("ivring0c1/window", "1048576\n");
	put("ivring0c1/stats/tx_bytes", "18446744073709551615\n");
}

static void test_read(void)
{
	struct sample s;

	CHECK(!sample_take(class, &link0, &s));
	CHECK(!strcmp(s.link.state, "up") && s.link.count == 2 && !s.link.window);
	CHECK(!strcmp(s.link.list[0].name, "doorbells") && s.link.list[0].value == 7);
	CHECK(!strcmp(s.link.list[1].name, "ups") && s.link.list[1].value == 1);
	CHECK(!strcmp(s.channels[0].state, "closed") && s.channels[0].count == 0);
	CHECK(s.channels[1].window == 1048576);
	CHECK(counters_value(&s.channels[1], "tx_bytes") == UINT64_MAX);
	CHECK(counters_value(&s.channels[1], "rx_bytes") == 0);
	sample_free(&s);
}

/* A later kernel may tell more than that, and what is no number. */
static void test_read_others(void)
{
	char name[64];
	struct counters c;
	char dir[300];
	int i;

	put("ivring0c0/stats/words", "not a number\n");
	put("ivring0c0/stats/negative", "-1\n");
	put("ivring0c0/stats/too_large", "18446744073709551616\n");
	put("ivring0c0/stats/empty", "%s", "");
	put("ivring0c0/stats/Name-of another.kind", "1\n");
	put("ivring0c0/stats/a_name_that_is_longer_than_those_of_counters", "1\n");
	put("ivring0c0/stats/.hidden", "1\n");
	snprintf(dir, sizeof(dir), "%s/ivring0c0", class);
	CHECK(!counters_read(dir, &c));
	CHECK(c.count == 0);
	for (i = 0; i < 2 * COUNTERS_MAX; i++) {
		snprintf(name, sizeof(name), "ivring0c0/stats/n%03d", i);
		put(name, "%d\n", i);
	}
	CHECK(!counters_read(dir, &c));
	CHECK(c.count == COUNTERS_MAX && c.list[COUNTERS_MAX - 1].value == COUNTERS_MAX - 1);
	put("ivring0c0/state", "\033[2Jx\n");
	CHECK(!counters_read(dir, &c));
	CHECK(!strcmp(c.state, "?[2Jx"));
	put("ivring0c0/state", "closed\n");
}

static void test_gone(void)
{
	struct ivring_link_info other = link0;
	struct samples list = { 0 };
	struct sample s;

	other.link = 1;
	CHECK(sample_take(class, &other, &s) == -ENOENT);
	sample_free(&s);
	other = link0;
	other.epoch++;
	CHECK(sample_take(class, &other, &s) == -ENODEV);
	sample_free(&s);
	CHECK(!samples_add(&list, class, &link0));
	CHECK(samples_add(&list, class, &other) == -ENODEV && list.count == 1);
	other = link0;
	other.channels = 3;
	CHECK(samples_add(&list, class, &other) == -ENOENT && list.count == 1);
	samples_free(&list);
	CHECK(!list.count && !list.list);
}

/* For root, the mode of a file is no obstacle: then as somebody else. */
static void test_denied(void)
{
	static const char * const files[] = {
		"ivring0/state", "ivring0/epoch", "ivring0c0/window", "ivring0/stats/ups",
		"ivring0c1/stats/tx_bytes",
	};
	uid_t uid = geteuid();
	struct sample s;
	char path[256];
	size_t i;

	CHECK(!chmod(class, 0755));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", class, files[i]);
		CHECK(!chmod(path, 0));
		CHECK(uid || !seteuid(65534));
		CHECK(sample_take(class, &link0, &s) == -EACCES);
		sample_free(&s);
		CHECK(uid || !seteuid(uid));
		CHECK(!chmod(path, 0644));
	}
}

/* ---- the view ---- */

static void set(struct counters *c, const char *name, uint64_t value)
{
	size_t i;

	for (i = 0; i < c->count && strcmp(c->list[i].name, name); i++)
		;
	if (i == c->count)
		strcpy(c->list[c->count++].name, name);
	c->list[i].value = value;
}

/* @links of 3 channels each, the last of which is in use */
static void make_samples(struct samples *s, size_t links, int64_t ns)
{
	size_t i, c;

	s->count = links;
	s->list = calloc(links, sizeof(*s->list));
	for (i = 0; i < links; i++) {
		s->list[i] = (struct sample){
			.ns = ns,
			.info = { .link = i, .channels = 3, .epoch = EPOCH + i },
			.channels = calloc(3, sizeof(struct counters)),
		};
		snprintf(s->list[i].info.label, sizeof(s->list[i].info.label), "vm%zu", i);
		strcpy(s->list[i].link.state, "up");
		for (c = 0; c < 3; c++)
			strcpy(s->list[i].channels[c].state, c == 2 ? "connected" : "closed");
	}
}

static char *text;

static const char *shown(const struct view *v, const struct samples *now,
			 const struct samples *old)
{
	size_t len;
	FILE *out;

	free(text);
	out = open_memstream(&text, &len);
	view_print(out, v, now, old, "nothing there");
	fclose(out);
	return text;
}

/* Words of the line that begins like that. */
static int words(const char *begin, char word[16][32])
{
	const char *line = text, *at;
	int n = 0, used;

	while (line && strncmp(line, begin, strlen(begin)))
		line = (at = strchr(line, '\n')) ? at + 1 : NULL;
	while (line && n < 16 && *line != '\n' && sscanf(line, " %31[^ \n]%n", word[n], &used) == 1) {
		line += used;
		n++;
	}
	return n;
}

static unsigned int lines(void)
{
	const char *at;
	unsigned int n = 0;

	for (at = text; (at = strchr(at, '\n')); at++)
		n++;
	return n;
}

static void test_rates(void)
{
	struct samples now, old, none = { 0 };
	const struct view v = { 0 };
	char w[16][32];

	make_samples(&old, 1, 5 * NSEC_PER_SEC);
	make_samples(&now, 1, 7 * NSEC_PER_SEC);
	set(&old.list[0].link, "doorbells", 100);
	set(&now.list[0].link, "doorbells", 150);
	set(&old.list[0].channels[2], "tx_bytes", 3000000);
	set(&now.list[0].channels[2], "tx_bytes", 8000000);
	set(&old.list[0].channels[2], "rx_bytes", UINT64_MAX - 999999);
	set(&now.list[0].channels[2], "rx_bytes", 1000000);
	set(&now.list[0].channels[2], "spins", 8);
	set(&now.list[0].channels[2], "spins_paid", 2);
	set(&now.list[0].channels[2], "sleeps", 6);
	set(&now.list[0].channels[2], "rescued", 3);
	shown(&v, &now, &old);
	CHECK(strstr(text, "vm0 (ivring0): up; 25 doorbells/s, 0 interrupts/s; the peer came 0 times\n"));
	CHECK(words("  2 ", w) == 13);
	CHECK(!strcmp(w[1], "connected") && !strcmp(w[2], "2.5") && !strcmp(w[3], "1.0"));
	CHECK(!strcmp(w[8], "3") && !strcmp(w[10], "25") && !strcmp(w[11], "3"));
	CHECK(words("  0 ", w) == 13 && !strcmp(w[2], "0.0") && !strcmp(w[10], "-"));
	CHECK(lines() == 5 && !strchr(text, '\033'));

	/* Made anew between two looks: nothing can be said yet. */
	now.list[0].info.epoch++;
	set(&now.list[0].channels[2], "tx_bytes", 9000000);
	shown(&v, &now, &old);
	CHECK(strstr(text, "up; - doorbells/s"));
	CHECK(words("  2 ", w) == 13 && !strcmp(w[2], "-") && !strcmp(w[11], "3"));
	shown(&v, &now, &none);
	CHECK(words("  2 ", w) == 13 && !strcmp(w[2], "-"));
	now.list[0].info.epoch--;
	now.list[0].ns = old.list[0].ns;
	shown(&v, &now, &old);
	CHECK(words("  2 ", w) == 13 && !strcmp(w[2], "-"));
	CHECK(!strcmp(shown(&v, &none, &now), "nothing there\n"));
	samples_free(&now);
	samples_free(&old);
}

/* Of @text, when it is over what was there before */
static void check_fits(unsigned int rows, unsigned int columns)
{
	const char *at = text, *end;

	CHECK(lines() < rows || rows < 2);
	CHECK(!strncmp(at, "\033[H", 3));
	for (at += 3; (end = strstr(at, "\033[K\n")); at = end + 4)
		CHECK((size_t)(end - at) < columns);
	CHECK(!strcmp(at, "\033[J"));
}

static void test_terminal(void)
{
	struct view v = { .terminal = true, .rows = 24, .columns = 200 };
	struct samples now, old;
	unsigned int rows, columns;

	make_samples(&old, 2, 1);
	make_samples(&now, 2, NSEC_PER_SEC + 1);
	shown(&v, &now, &old);
	check_fits(24, 200);
	CHECK(lines() == 10 && !strstr(text, "not shown"));
	/* Those that are idle make room for the others. */
	v.rows = 9;
	shown(&v, &now, &old);
	check_fits(9, 200);
	CHECK(lines() == 7 && strstr(text, "4 channels are not shown"));
	CHECK(strstr(text, "vm1") && strstr(text, "  2 connected"));
	/* One that moves is not idle. */
	set(&now.list[0].channels[0], "interrupts", 1);
	shown(&v, &now, &old);
	CHECK(lines() == 8 && strstr(text, "3 channels are not shown"));
	for (rows = 2; rows < 12; rows++) {
		for (columns = 1; columns < 140; columns++) {
			v.rows = rows;
			v.columns = columns;
			shown(&v, &now, &old);
			check_fits(rows, columns);
		}
	}
	v.rows = 1;
	v.columns = 1;
	shown(&v, &now, &old);
	/* Of which nothing is known */
	v.rows = 0;
	v.columns = 0;
	shown(&v, &now, &old);
	CHECK(lines() == 10 && strstr(text, "BROKEN\033[K"));
	samples_free(&now);
	samples_free(&old);
}

int main(void)
{
	char command[300];

	make_tree();
	tap_run(test_read, "counters are read");
	tap_run(test_read_others, "what is no counter is left out");
	tap_run(test_gone, "a link that is gone, or another one");
	tap_run(test_denied, "a link of others");
	tap_run(test_rates, "rates");
	tap_run(test_terminal, "a view fits its terminal");
	free(text);
	snprintf(command, sizeof(command), "rm -rf %s", class);
	if (system(command))
		die(command);
	return tap_done();
}

// SPDX-License-Identifier: GPL-2.0
/* stat: what the kernel counts about links and their channels, once or as it moves. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "counters.h"
#include "libivring.h"
#include "stat-view.h"
#include "status.h"
#include "util.h"

/* Large enough for most views and objects to be written in one piece */
#define OUTPUT_SIZE	(64UL << 10)

/* Attributes of a link that are printed before its counters */
static const char * const attributes[] = {
	"label", "side", "state", "id", "epoch", "peer_epoch", "peer_id", "region_size",
	"ring_size", "channels", "vectors", "memory_type", "peer_timeout_ms", "transport",
};

struct stat_options {
	const char *link;	/* NULL: all of them */
	bool watch, json;
	bool terminal;		/* one view over the other */
	int interval_ms;
	uint64_t count;		/* of looks; 0: until a signal */
};

/* ---- a look ---- */

/* Says in @st why the counters of a link cannot be read; returns -code. */
static int explain(const struct ivring_link_info *info, int err, struct status *st)
{
	if (err == EACCES || err == EPERM)
		return status_set(st, STATUS_ACCESS, IVRING_SYSFS_CLASS "/ivring%u: %s; udev gives "
				  "it to the group that may use /dev/ivring%u, with ivring's rules "
				  "installed", info->link, strerror(err), info->link);
	if (access(IVRING_SYSFS_CLASS, R_OK))
		return status_set(st, STATUS_IO, IVRING_SYSFS_CLASS ": %s; is /sys mounted?",
				  strerror(errno));
	if (err == ENOENT || err == ENODEV)
		return status_set(st, STATUS_NO_LINK, "%s: the link is gone", info->label);
	return status_errno(st, STATUS_IO, err, IVRING_SYSFS_CLASS "/ivring%u", info->link);
}

static int look_at_one(const char *name, struct samples *s, struct status *st)
{
	struct ivring_link_info info;
	int ret = ivring_link_find(name, &info, st);

	if (ret)
		return -st->code;
	ret = samples_add(s, IVRING_SYSFS_CLASS, &info);
	return ret ? explain(&info, -ret, st) : 0;
}

/* What went meanwhile, and what is of others, is left out. */
static int look_at_all(struct samples *s, struct status *st)
{
	struct ivring_link_info *list;
	size_t count, i;
	int ret;

	ret = ivring_link_list(&list, &count);
	if (ret)
		return status_errno(st, status_access(-ret, STATUS_NO_LINK), -ret,
				    "cannot look at the links in /dev");
	if (!count)
		ret = status_set(st, STATUS_NO_LINK, "there are no links: %s",
				 ivring_no_links_hint());
	for (i = 0; i < count; i++) {
		ret = samples_add(s, IVRING_SYSFS_CLASS, &list[i]);
		if (ret)
			ret = explain(&list[i], -ret, st);
	}
	free(list);
	return s->count ? 0 : ret;
}

/* Returns 0 with one sample or more, else -code. */
static int look(const struct stat_options *o, struct samples *s, struct status *st)
{
	int ret;

	memset(s, 0, sizeof(*s));
	ret = o->link ? look_at_one(o->link, s, st) : look_at_all(s, st);
	if (ret)
		samples_free(s);
	return ret;
}

/* ---- for people and scripts ---- */

static void print_attribute(const char *dir, const char *name)
{
	char path[512], value[256];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return;
	len = fread(value, 1, sizeof(value) - 1, f);
	fclose(f);
	value[len] = '\0';
	value[strcspn(value, "\n")] = '\0';
	printf("%s %s\n", name, make_printable(value));
}

static void print_counters(const char *prefix, const struct counters *c)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		printf("%s%s %llu\n", prefix, c->list[i].name,
		       (unsigned long long)c->list[i].value);
}

static void print_lines(const struct sample *s)
{
	char dir[256], prefix[64];
	unsigned int c;
	size_t i;

	snprintf(dir, sizeof(dir), IVRING_SYSFS_CLASS "/ivring%u", s->info.link);
	for (i = 0; i < ARRAY_SIZE(attributes); i++)
		print_attribute(dir, attributes[i]);
	print_counters("", &s->link);
	for (c = 0; c < s->info.channels; c++) {
		snprintf(prefix, sizeof(prefix), "c%u.", c);
		printf("%sstate %s\n%swindow %llu\n", prefix, s->channels[c].state, prefix,
		       (unsigned long long)s->channels[c].window);
		print_counters(prefix, &s->channels[c]);
	}
}

/* ---- for programs ---- */

/* Neither a state nor a label has a byte that JSON would want escaped. */
static void json_head(const char *event, const struct ivring_link_info *info)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	printf("{\"event\":\"%s\",\"time\":%lld.%03ld,\"link\":%u,\"label\":\"%s\",\"side\":%u,"
	       "\"epoch\":\"%016llx\"", event, (long long)now.tv_sec, now.tv_nsec / 1000000,
	       info->link, info->label, info->side, (unsigned long long)info->epoch);
}

static void json_counters(const struct counters *c)
{
	size_t i;

	printf("\"stats\":{");
	for (i = 0; i < c->count; i++)
		printf("%s\"%s\":%llu", i ? "," : "", c->list[i].name,
		       (unsigned long long)c->list[i].value);
	printf("}");
}

static void print_json(const struct sample *s)
{
	unsigned int c;

	json_head("stat", &s->info);
	printf(",\"state\":\"%s\",", s->link.state);
	json_counters(&s->link);
	printf(",\"channels\":[");
	for (c = 0; c < s->info.channels; c++) {
		printf("%s{\"channel\":%u,\"state\":\"%s\",\"window\":%llu,", c ? "," : "", c,
		       s->channels[c].state, (unsigned long long)s->channels[c].window);
		json_counters(&s->channels[c]);
		printf("}");
	}
	puts("]}");
}

static bool has_link(const struct samples *s, const struct ivring_link_info *info)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->list[i].info.epoch == info->epoch && s->list[i].info.link == info->link)
			return true;
	return false;
}

static void print_json_all(const struct samples *now, const struct samples *old)
{
	size_t i;

	for (i = 0; i < old->count; i++) {
		if (has_link(now, &old->list[i].info))
			continue;
		json_head("gone", &old->list[i].info);
		puts("}");
	}
	for (i = 0; i < now->count; i++)
		print_json(&now->list[i]);
}

/* Returns an exit code. */
static int flushed(void)
{
	if (!fflush(stdout))
		return STATUS_OK;
	/* Who reads may have had enough. */
	if (errno != EPIPE)
		complain("stat: standard output: %s", strerror(errno));
	return STATUS_IO;
}

/* ---- as it moves ---- */

static bool is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb");
}

static struct view get_view(const struct stat_options *o)
{
	struct view v = { .terminal = o->terminal };
	struct winsize size;

	if (v.terminal && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size)) {
		v.rows = size.ws_row;
		v.columns = size.ws_col;
	}
	return v;
}

/*
 * Returns whether the time has come; else the terminal has another size now. That signal
 * is blocked all the time, so that none is missed.
 */
static bool wait_until(int64_t ns)
{
	struct timespec t;
	sigset_t resize;
	int64_t left;

	sigemptyset(&resize);
	sigaddset(&resize, SIGWINCH);
	while ((left = ns - now_ns()) > 0) {
		t = (struct timespec){ left / NSEC_PER_SEC, left % NSEC_PER_SEC };
		if (sigtimedwait(&resize, NULL, &t) == SIGWINCH)
			return false;
	}
	return true;
}

static int show(const struct stat_options *o, const struct samples *now,
		const struct samples *old, const char *missing)
{
	struct view v = get_view(o);

	if (o->json)
		print_json_all(now, old);
	else
		view_print(stdout, &v, now, old, missing);
	return flushed();
}

/*
 * @s[0] is what was seen first. Links may go and come back, with the module even: then
 * their counters begin anew. The user gets at a new one a moment after it is there, when
 * udev has seen it.
 */
static int watch(const struct stat_options *o, struct samples s[2])
{
	int64_t interval = o->interval_ms * NSEC_PER_MSEC, next = now_ns() + interval;
	struct status st = { 0 };
	uint64_t shown;
	sigset_t resize;
	int ret;

	sigemptyset(&resize);
	sigaddset(&resize, SIGWINCH);
	sigprocmask(SIG_BLOCK, &resize, NULL);
	/*
	 * Absolute numbers need nothing to compare with. Nobody looks at an empty terminal,
	 * though there are no rates yet, but a script that wants some counts on them.
	 */
	shown = o->json;
	ret = o->json || o->terminal ? show(o, &s[0], &s[1], st.text) : STATUS_OK;
	while (!ret && (!o->count || shown < o->count)) {
		while (!ret && !wait_until(next))
			if (o->terminal)
				ret = show(o, &s[0], &s[1], st.text);
		if (ret)
			break;
		samples_free(&s[1]);
		s[1] = s[0];
		/* Then that is what is shown. */
		look(o, &s[0], &st);
		ret = show(o, &s[0], &s[1], st.text);
		shown++;
		/* Where looking takes longer than that, one after the other. */
		next += interval;
		if (next < now_ns())
			next = now_ns() + interval;
	}
	return ret;
}

static int run(const struct stat_options *o)
{
	struct samples s[2] = { 0 };
	struct status st;
	int ret;

	if (look(o, &s[0], &st)) {
		complain("stat: %s", st.text);
		return st.code;
	}
	setvbuf(stdout, NULL, _IOFBF, OUTPUT_SIZE);
	if (o->watch) {
		/* A signal is how it ends. */
		stop_install();
		stop_set_idle(true);
		ret = watch(o, s);
	} else {
		if (o->json)
			print_json_all(&s[0], &s[1]);
		else
			print_lines(&s[0].list[0]);
		ret = flushed();
	}
	samples_free(&s[0]);
	samples_free(&s[1]);
	return ret;
}

static const char usage[] =
	"Usage: ivring stat [OPTION]... LINK\n"
	"       ivring stat --watch|--json [OPTION]... [LINK]\n"
	"Prints the counters of a link and of its channels (c0., c1., ...).\n\n"
	"  -w, --watch        what moves per second, again and again; without LINK, of all links\n"
	"  -i, --interval SEC so often (1)\n"
	"  -n, --count N      so many times, then end (until Ctrl-C)\n"
	"      --json         an object per link and line, for programs\n";

static int parse(int argc, char **argv, struct stat_options *o)
{
	static const struct option longopts[] = {
		{ "watch", no_argument, NULL, 'w' },
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool good = true;
	int opt;

	while (good && (opt = getopt_long(argc, argv, "wi:n:h", longopts, NULL)) != -1) {
		switch (opt) {
		case 'w':
			o->watch = true;
			break;
		case 'i':
			good = parse_seconds(optarg, &o->interval_ms);
			break;
		case 'n':
			good = parse_number(optarg, UINT64_MAX, &o->count) && o->count;
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return -1;
		default:
			good = false;
		}
		if (!good)
			complain_option("stat", longopts, opt);
	}
	if (!good)
		return STATUS_USAGE;
	o->link = argv[optind];
	o->terminal = !o->json && is_terminal();
	if (argc - optind == 1 || (argc == optind && (o->watch || o->json)))
		return STATUS_OK;
	fputs(usage, stderr);
	return STATUS_USAGE;
}

int cmd_stat(int argc, char **argv)
{
	struct stat_options o = { .interval_ms = 1000 };
	int ret = parse(argc, argv, &o);

	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	return run(&o);
}

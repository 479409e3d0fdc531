// SPDX-License-Identifier: GPL-2.0
/* Lists what is on the other side. */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "cmd.h"
#include "entry.h"
#include "pattern.h"
#include "util.h"

static const char usage[] =
"Usage: ivring ls [OPTION...] LINK:[PATH]...\n"
"Lists files and directories of the other side of LINK, where an agent must be running.\n"
"PATH is beneath the agent's root, and may be a pattern (*, ?, [...]), in quotes.\n\n"
"  -a, --all        names that begin with a dot, too\n"
"  -d, --directory  directories themselves, not what is in them\n"
"  -l, --long       mode, owner, group, size and time of each\n"
"  -p, --slash      a slash behind the names of directories\n"
"  -0, --null       paths as they are, each with a NUL behind it\n"
"      --json       one JSON object per line\n"
"  -t, --timeout SEC          give up when nothing moves for SEC (30)\n"
"      --connect-timeout SEC  how long to wait for the agent's answer (5)\n"
"  -h, --help\n";

enum { OPT_JSON = 256, OPT_CONNECT_TIMEOUT };

static const struct option longopts[] = {
	{ "all", no_argument, NULL, 'a' },
	{ "directory", no_argument, NULL, 'd' },
	{ "long", no_argument, NULL, 'l' },
	{ "slash", no_argument, NULL, 'p' },
	{ "null", no_argument, NULL, '0' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "timeout", required_argument, NULL, 't' },
	{ "connect-timeout", required_argument, NULL, OPT_CONNECT_TIMEOUT },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* So many are kept to put them in order: a peer may send names without end. */
#define ORDER_MAX	65536

struct ls {
	struct client client;
	struct client_options options;
	bool all, itself, full, slash, null, json;
	bool headings;			/* more than one directory is listed */
	bool printed;
	char path[PATH_MAX];		/* what the entries are about */
	bool in_dir;
	struct entry *list[ORDER_MAX];	/* without what they do not have */
	size_t count;
	int code;			/* of the first failure */
};

static void print_mode(const struct entry *e)
{
	static const char bits[] = "rwxrwxrwx";
	char text[11];
	int i;

	text[0] = S_ISDIR(e->mode) ? 'd' : S_ISLNK(e->mode) ? 'l' : S_ISFIFO(e->mode) ? 'p' :
		  S_ISCHR(e->mode) ? 'c' : S_ISBLK(e->mode) ? 'b' : S_ISSOCK(e->mode) ? 's' : '-';
	for (i = 0; i < 9; i++)
		text[i + 1] = e->mode & 0400 >> i ? bits[i] : '-';
	if (e->mode & S_ISUID)
		text[3] = e->mode & 0100 ? 's' : 'S';
	if (e->mode & S_ISGID)
		text[6] = e->mode & 0010 ? 's' : 'S';
	if (e->mode & S_ISVTX)
		text[9] = e->mode & 0001 ? 't' : 'T';
	text[10] = '\0';
	fputs(text, stdout);
}

static const char *owner(const char *name, unsigned int id, char text[ENTRY_OWNER_MAX + 1])
{
	if (*name)
		return printable(name);
	snprintf(text, ENTRY_OWNER_MAX + 1, "%u", id);
	return text;
}

static void print_long(const struct entry *e)
{
	char user[ENTRY_OWNER_MAX + 1], group[ENTRY_OWNER_MAX + 1], when[32] = "?";
	time_t sec = e->mtime_sec;
	struct tm tm;

	print_mode(e);
	printf(" %-8s %-8s ", owner(e->user, e->uid, user), owner(e->group, e->gid, group));
	if (S_ISCHR(e->mode) || S_ISBLK(e->mode))
		printf("%5u, %5u", e->major, e->minor);
	else
		printf("%12llu", (unsigned long long)e->size);
	if (localtime_r(&sec, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	printf(" %s ", when);
}

/* The path that another command would take. */
static void full_path(const struct ls *ls, const struct entry *e, char path[2 * PATH_MAX])
{
	size_t len = strlen(ls->path);

	if (!ls->in_dir)
		strcpy(path, len ? ls->path : ".");
	else
		snprintf(path, 2 * PATH_MAX, "%s%s%s", ls->path,
			 len && ls->path[len - 1] != '/' ? "/" : "", e->name);
	if (ls->slash && S_ISDIR(e->mode) && path[strlen(path) - 1] != '/')
		strcat(path, "/");
}

static void print_json(const struct ls *ls, const struct entry *e)
{
	char path[2 * PATH_MAX];

	full_path(ls, e, path);
	fputs("{\"type\":\"name\",\"path\":", stdout);
	report_json_string(path);
	printf(",\"kind\":\"%s\",\"mode\":\"%04o\",\"uid\":%u,\"gid\":%u,\"user\":",
	       S_ISSOCK(e->mode) ? "socket" : report_kind(e), e->mode & 07777, e->uid, e->gid);
	report_json_string(e->user);
	fputs(",\"group\":", stdout);
	report_json_string(e->group);
	printf(",\"mtime\":%lld.%09u", (long long)e->mtime_sec, e->mtime_nsec);
	if (S_ISREG(e->mode))
		printf(",\"bytes\":%llu", (unsigned long long)e->size);
	if (S_ISLNK(e->mode)) {
		fputs(",\"target\":", stdout);
		report_json_string(e->target);
	}
	puts("}");
}

static void print_entry(const struct ls *ls, const struct entry *e)
{
	char path[2 * PATH_MAX];

	if (ls->json) {
		print_json(ls, e);
		return;
	}
	full_path(ls, e, path);
	if (ls->null) {
		fwrite(path, 1, strlen(path) + 1, stdout);
		return;
	}
	if (ls->full)
		print_long(e);
	fputs(ls->in_dir ? printable(e->name) : printable(path), stdout);
	if (ls->in_dir && ls->slash && S_ISDIR(e->mode))
		putchar('/');
	if (ls->full && S_ISLNK(e->mode))
		printf(" -> %s", printable(e->target));
	putchar('\n');
}

static int compare(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* What has gathered of a directory. */
static void print_list(struct ls *ls)
{
	size_t i;

	qsort(ls->list, ls->count, sizeof(ls->list[0]), compare);
	for (i = 0; i < ls->count; i++) {
		print_entry(ls, ls->list[i]);
		free(ls->list[i]);
	}
	ls->count = 0;
}

static int add_entry(struct ls *ls, const struct entry *e, struct status *st)
{
	size_t size = offsetof(struct entry, xattrs);

	if (ls->in_dir && e->name[0] == '.' && !ls->all)
		return 0;
	if (ls->count == ORDER_MAX)
		print_list(ls);
	ls->list[ls->count] = malloc(size);
	if (!ls->list[ls->count])
		return status_set(st, STATUS_FAIL, "out of memory");
	memcpy(ls->list[ls->count++], e, size);
	return 0;
}

static int next_path(struct ls *ls, const struct frame *f, struct status *st)
{
	bool heading;
	int ret;

	print_list(ls);
	ret = conv_take_path(&ls->client.conv, f, ls->path, st);
	if (ret)
		return ret;
	ls->in_dir = f->arg[1] & PATH_F_DIR;
	heading = ls->in_dir && ls->headings && !ls->null && !ls->json;
	if (heading)
		printf("%s%s:\n", ls->printed ? "\n" : "", printable(ls->path));
	ls->printed = true;
	return 0;
}

static int take_list(struct ls *ls, struct status *st)
{
	static struct entry e;
	struct conv *c = &ls->client.conv;
	struct status why;
	struct frame f;
	int ret;

	for (;;) {
		ret = stop_signal ? status_set(st, STATUS_INTERRUPTED, "interrupted") :
		      conv_recv(c, &f, st);
		if (ret || f.type == FRAME_FINISH)
			return ret;
		if (f.type == FRAME_PATH) {
			ret = next_path(ls, &f, st);
		} else if (f.type == FRAME_ENTRY) {
			ret = entry_take(c, &f, &e, st);
			if (!ret && e.flags)
				ret = status_set(st, STATUS_PROTOCOL, "a list has content");
			if (!ret)
				ret = add_entry(ls, &e, st);
		} else if (f.type == FRAME_SKIP) {
			ret = conv_take_status(c, &f, &why, st);
			if (!ret) {
				complain("ls: %s", why.text);
				ls->code = ls->code ? ls->code : why.code;
			}
		} else {
			ret = status_set(st, STATUS_PROTOCOL, "frame %u is no part of a list", f.type);
		}
		if (!ret)
			ret = conv_release(c, st);
		if (ret)
			return ret;
	}
}

static int list_path(struct ls *ls, const char *link, const char *path, struct status *st)
{
	static struct request request;
	int ret;

	if (strlen(path) >= PATH_MAX)
		return status_set(st, STATUS_USAGE, "the name is too long");
	memset(&request, 0, sizeof(request));
	request.hash = HASH_FASTEST;
	request.flags = (pattern_is_wild(path) ? REQUEST_F_PATTERN : 0) |
			(ls->itself ? REQUEST_F_ITSELF : 0);
	strcpy(request.path, path);
	ls->headings = ls->headings || pattern_is_wild(path);
	ls->path[0] = '\0';
	ls->in_dir = false;
	ret = client_open(&ls->client, link, &ls->options, st);
	if (ret)
		return ret;
	ret = conv_send_request(&ls->client.conv, FRAME_LIST, &request, st);
	if (!ret)
		ret = take_list(ls, st);
	print_list(ls);
	fflush(stdout);
	if (ret) {
		conv_send_error(&ls->client.conv, st);
		client_close(&ls->client);
	}
	return ret;
}

static bool apply_option(struct ls *ls, int opt)
{
	bool *flag = opt == 'a' ? &ls->all : opt == 'd' ? &ls->itself : opt == 'l' ? &ls->full :
		     opt == 'p' ? &ls->slash : opt == '0' ? &ls->null :
		     opt == OPT_JSON ? &ls->json : NULL;

	if (flag)
		*flag = true;
	return flag || (opt == 't' && parse_seconds(optarg, &ls->options.timeout_ms)) ||
	       (opt == OPT_CONNECT_TIMEOUT &&
		parse_seconds(optarg, &ls->options.connect_timeout_ms));
}

/* Zero, or what to exit with; negative when there is nothing to do. */
static int parse_options(struct ls *ls, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "adlp0t:h", longopts, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return -1;
		}
		if (opt != '?' && apply_option(ls, opt))
			continue;
		complain_option(argv[0], longopts, opt);
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	return 0;
}

static int list_all(struct ls *ls, int count, char **names)
{
	char link[CLIENT_NAME_SIZE];
	struct status st;
	const char *path;
	int i, ret;

	ls->headings = count > 1;
	for (i = 0; i < count; i++) {
		client_split(names[i], link, &path);
		st = (struct status){ 0 };
		ret = list_path(ls, link, path, &st);
		if (!ret)
			continue;
		complain("ls: %s: %s", printable_cut(names[i]), st.text);
		ls->code = ls->code ? ls->code : st.code;
		if (!client_may_go_on(st.code))
			break;
	}
	client_close(&ls->client);
	return ls->code;
}

int cmd_ls(int argc, char **argv)
{
	static struct ls ls = { .options = CLIENT_OPTIONS_DEFAULT };
	char link[CLIENT_NAME_SIZE];
	const char *path;
	int i, ret;

	ret = parse_options(&ls, argc, argv);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	for (i = optind; i < argc; i++)
		if (!client_split(argv[i], link, &path))
			break;
	if (optind == argc || i < argc) {
		complain("ls: %s%s", i < argc ? printable(argv[i]) : "needs LINK:PATH",
			 i < argc ? ": is not of the form LINK:PATH" : "");
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	stop_install();
	return list_all(&ls, argc - optind, argv + optind);
}

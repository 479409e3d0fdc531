// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "cmd.h"
#include "pattern.h"
#include "recv.h"
#include "util.h"

static const char usage[] =
"Usage: ivring pull [OPTION...] LINK:PATH... DEST\n"
"Copies files, and directories with all that is in them, from the other side of\n"
"LINK, where an agent must be running. PATH is beneath the agent's root. If DEST is a\n"
"directory, or ends in /, everything goes into it; several of them and directories\n"
"need that, and a directory makes it. A directory that ends in / is copied without\n"
"its name: only what is in it. A PATH may be a pattern (*, ?, [...]), in quotes.\n"
"DEST - is standard output.\n\n";

static const char cat_usage[] =
"Usage: ivring cat [OPTION...] LINK:PATH...\n"
"Writes files of the other side of LINK to standard output.\n\n";

struct pull {
	struct client client;
	struct client_options options;
	struct recv_options recv;
	const char *command;
	const char *dest;		/* NULL: standard output */
	bool into_dir;
	const char *asked;		/* the one name that may come */
	bool wild;			/* or what that stands for */
	struct request request;
	struct receiver receiver;
	struct report report;
	bool broken;			/* a source's stream did not come to its end */
};

static const struct path_root local = { .fd = AT_FDCWD, .whose = "the local" };

static int pull_begin(struct pull *p, const struct frame *begin, struct status *st)
{
	struct receiver *r = &p->receiver;
	bool tree = begin->arg[0] & BEGIN_F_TREE;
	bool several = begin->arg[0] & BEGIN_F_SEVERAL;

	if (begin->arg[0] & ~(uint64_t)BEGIN_F_ALL || begin->arg[3] > begin->arg[2] ||
	    begin->arg[2] > INT64_MAX)
		return status_set(st, STATUS_PROTOCOL, "an answer makes no sense");
	if (several && !p->wild)
		return status_set(st, STATUS_PROTOCOL, "more came than was asked for");
	p->report.tree = tree || several;
	p->report.total_entries = begin->arg[1];
	p->report.total_bytes = begin->arg[2];
	recv_init(r, &p->client.conv, &local, &p->recv, &p->report.watcher);
	r->asked = p->asked;
	r->asked_pattern = p->wild;
	if (!p->dest && tree)
		return status_set(st, STATUS_NOT_REGULAR,
				  "is a directory, which no stream can take");
	if (!p->dest) {
		recv_begin_sink(r, STDOUT_FILENO);
		return 0;
	}
	p->request.data_bytes = begin->arg[3];
	p->request.min_free = p->options.min_free;
	p->request.flags = p->options.sync | p->options.send.flags |
			   (p->into_dir || tree || several ? REQUEST_F_INTO_DIR : 0) |
			   (tree || several ? REQUEST_F_MAKE_DIR : 0);
	strcpy(p->request.path, p->dest);
	return recv_begin(r, &p->request, st);
}

static int pull_stream(struct pull *p, const char *path, struct status *st)
{
	struct conv *c = &p->client.conv;
	struct frame f;
	int ret;

	memset(&p->request, 0, sizeof(p->request));
	p->request.keep = p->options.send.keep;
	p->request.hash = p->options.send.hash;
	p->request.rate = p->options.send.rate;
	p->wild = pattern_is_wild(path);
	p->request.flags = p->options.send.flags | (p->wild ? REQUEST_F_PATTERN : 0);
	strcpy(p->request.path, path);
	p->asked = path_base(path) ? path_base(path) : ".";
	ret = conv_send_request(c, FRAME_GET, &p->request, st);
	if (!ret)
		ret = conv_expect(c, FRAME_BEGIN, &f, st);
	if (!ret)
		ret = pull_begin(p, &f, st);
	if (ret)
		return ret;
	ret = recv_stream(&p->receiver, st);
	recv_end(&p->receiver);
	if (!ret)
		st->code = p->receiver.first_code ? p->receiver.first_code :
			   p->receiver.skip_code;
	return ret;
}

/* At the source or at the destination: name the one that is to blame. */
static void pull_blame(const struct pull *p, const char *source, struct status *st)
{
	struct status why = *st;

	switch (st->code) {
	case STATUS_SOURCE:
	case STATUS_NOT_REGULAR:
	case STATUS_CHANGED:
	case STATUS_REFUSED:
	case STATUS_CONTENT:
	case STATUS_IO:
		break;
	case STATUS_DEST:
	case STATUS_NO_SPACE:
		source = p->dest ? p->dest : "standard output";
		break;
	default:
		return;
	}
	snprintf(st->text, sizeof(st->text), "%.240s: %.240s", printable_cut(source), why.text);
}

/* One attempt. */
static int pull_try(struct pull *p, const char *link, const char *path, struct status *st)
{
	int ret = client_open(&p->client, link, &p->options, st);

	if (ret)
		return ret;
	ret = pull_stream(p, path, st);
	if (ret) {
		conv_send_error(&p->client.conv, st);
		/* What follows an error is not defined: the next one starts afresh. */
		client_close(&p->client);
	}
	return ret;
}

/* The exit code for one of the sources. */
static int pull_source(struct pull *p, const char *source)
{
	char link[CLIENT_NAME_SIZE];
	struct status st = { 0 };
	const char *path;
	int ret;

	client_split(source, link, &path);
	report_start(&p->report, source, false, 0, 0);
	if (strlen(path) >= PATH_MAX) {
		ret = status_set(&st, STATUS_USAGE, "the source's name is too long");
	} else {
		while ((ret = pull_try(p, link, path, &st)) &&
		       client_retry(&p->options, &p->report, &st))
			st = (struct status){ 0 };
	}
	if (ret) {
		p->broken = true;
		pull_blame(p, source, &st);
		client_close(&p->client);
	}
	report_end(&p->report, source, &st);
	return st.code;
}

static bool check_sources(const struct pull *p, int count, char **sources)
{
	char link[CLIENT_NAME_SIZE];
	const char *path;
	int i;

	if (count < 1) {
		complain("%s: needs LINK:PATH...%s", p->command, p->dest ? " and DEST" : "");
		return false;
	}
	for (i = 0; i < count; i++) {
		if (client_split(sources[i], link, &path))
			continue;
		complain("%s: %s: is not of the form LINK:PATH", p->command,
			 printable(sources[i]));
		return false;
	}
	return true;
}

static int pull_all(struct pull *p, int count, char **sources)
{
	struct status st = { 0 };
	int i, ret, code = 0;

	if (!p->dest && p->options.send.flags & REQUEST_F_DRY_RUN) {
		complain("%s: a --dry-run prints no content", p->command);
		return STATUS_USAGE;
	}
	/* A stream cannot be resumed, nor had twice. */
	if (!p->dest) {
		p->options.send.flags &= ~REQUEST_F_RESUME;
		p->options.retries = 0;
	}
	p->into_dir = count > 1;
	p->recv.umask = read_umask();
	p->recv.allowed = KEEP_ALL;
	umask(0);
	stop_install();
	files_raise_limit();
	report_init(&p->report, p->command, &p->options.report);
	if (p->options.manifest &&
	    manifest_create(&p->report.manifest, p->options.manifest, p->recv.umask, &st)) {
		complain("%s: %s", p->command, st.text);
		return st.code;
	}
	for (i = 0; i < count; i++) {
		ret = pull_source(p, sources[i]);
		code = code ? code : ret;
		if (ret && !client_may_go_on(ret))
			break;
	}
	recv_free(&p->receiver);
	client_close(&p->client);
	if (manifest_end(&p->report.manifest, !p->broken, &st)) {
		complain("%s: %s", p->command, st.text);
		code = code ? code : st.code;
	}
	return code;
}

int cmd_pull(int argc, char **argv)
{
	static struct pull p = { .options = CLIENT_OPTIONS_DEFAULT, .command = "pull" };
	int ret;

	ret = client_parse_options(argc, argv, usage, &p.options);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	p.dest = argc > optind ? argv[argc - 1] : "";
	if (!check_sources(&p, argc - 1 - optind, argv + optind)) {
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	if (strlen(p.dest) >= PATH_MAX) {
		complain("pull: the destination's name is too long");
		return STATUS_USAGE;
	}
	/* Nothing else may come between the content. */
	if (!strcmp(p.dest, "-")) {
		p.dest = NULL;
		p.options.report.quiet = true;
		p.options.report.json = false;
	}
	return pull_all(&p, argc - 1 - optind, argv + optind);
}

int cmd_cat(int argc, char **argv)
{
	static struct pull p = { .options = CLIENT_OPTIONS_DEFAULT, .command = "cat" };
	int ret;

	ret = client_parse_options(argc, argv, cat_usage, &p.options);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	if (!check_sources(&p, argc - optind, argv + optind)) {
		fputs(cat_usage, stderr);
		return STATUS_USAGE;
	}
	p.options.report.quiet = true;
	p.options.report.json = false;
	return pull_all(&p, argc - optind, argv + optind);
}

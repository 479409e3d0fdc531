// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "cmd.h"
#include "util.h"

static const char usage[] =
"Usage: ivring push [OPTION...] SOURCE... LINK:PATH\n"
"Copies files, and directories with all that is in them, to the other side of LINK,\n"
"where an agent must be running. PATH is beneath the agent's root; if it is a\n"
"directory there, or ends in /, everything goes into it; several SOURCEs and\n"
"directories need that, and a directory makes it. An empty PATH is the root itself.\n"
"A directory that ends in / is copied without its name: only what is in it. SOURCE -\n"
"is standard input.\n\n";

struct push {
	struct client client;
	struct client_options options;
	char link[CLIENT_NAME_SIZE];
	const char *path;
	char **sources;			/* NULL: one that is missing was told of */
	int count;
	int code;			/* of the first failure */
	struct send_totals totals;
	struct sender sender;
	struct report report;
};

static const struct path_root local = { .fd = AT_FDCWD, .whose = "the local" };

static bool is_stdin(const char *source)
{
	return !strcmp(source, "-");
}

/* Looks at everything before anybody is bothered. False when nothing is left. */
static bool push_measure(struct push *p)
{
	struct status st;
	bool some = false;
	int i;

	for (i = 0; i < p->count; i++) {
		if (!is_stdin(p->sources[i]) &&
		    send_measure(&local, p->sources[i], &p->totals, &st)) {
			complain("push: %s: %s", printable(p->sources[i]), st.text);
			p->code = p->code ? p->code : st.code;
			p->sources[i] = NULL;
			continue;
		}
		/* It can be read only once. */
		if (is_stdin(p->sources[i]))
			p->options.retries = 0;
		some = true;
	}
	return some;
}

static int push_request(struct push *p, struct status *st)
{
	struct request *request = calloc(1, sizeof(*request));
	struct frame f;
	int ret;

	if (!request)
		return status_set(st, STATUS_FAIL, "out of memory");
	request->entries = p->totals.entries;
	request->bytes = p->totals.bytes;
	request->data_bytes = p->totals.data_bytes;
	request->flags = p->options.sync | (p->count > 1 ? REQUEST_F_INTO_DIR : 0) |
			 (p->totals.tree ? REQUEST_F_INTO_DIR | REQUEST_F_MAKE_DIR : 0);
	request->flags |= p->options.send.flags;
	request->min_free = p->options.min_free;
	request->keep = p->options.send.keep;
	strcpy(request->path, p->path);
	ret = conv_send_request(&p->client.conv, FRAME_PUT, request, st);
	free(request);
	return ret ? ret : conv_expect(&p->client.conv, FRAME_GO, &f, st);
}

static int push_sources(struct push *p, struct status *st)
{
	int i, ret = 0;

	for (i = 0; !ret && i < p->count; i++) {
		if (!p->sources[i])
			continue;
		p->report.name = p->totals.tree ? NULL : p->sources[i];
		if (is_stdin(p->sources[i]))
			ret = send_fd(&p->sender, STDIN_FILENO, "stdin", st);
		else
			ret = send_path(&p->sender, &local, p->sources[i], st);
	}
	return ret ? ret : send_finish(&p->sender, st);
}

static int push_all(struct push *p, struct status *st)
{
	struct conv *c = &p->client.conv;
	int ret;

	ret = client_open(&p->client, p->link, &p->options, st);
	if (ret)
		return ret;
	ret = push_request(p, st);
	if (!ret) {
		send_init(&p->sender, c, &p->options.send, &p->report.watcher);
		ret = push_sources(p, st);
		send_free(&p->sender);
	}
	if (ret)
		conv_send_error(c, st);
	client_close(&p->client);
	return ret;
}

/* At the source or at the destination: name the one that is to blame. */
static void push_blame(const struct push *p, struct status *st)
{
	struct status why = *st;

	switch (st->code) {
	case STATUS_DEST:
	case STATUS_NO_SPACE:
	case STATUS_REFUSED:
	case STATUS_CONTENT:
	case STATUS_IO:
		snprintf(st->text, sizeof(st->text), "%.60s:%.200s: %.240s", p->link,
			 printable_cut(p->path), why.text);
	}
}

static int push_run(struct push *p)
{
	struct status st = { 0 };
	int ret;

	if (!push_measure(p))
		return p->code;
	report_init(&p->report, "push", &p->options.report);
	if (p->options.manifest &&
	    manifest_create(&p->report.manifest, p->options.manifest, read_umask(), &st)) {
		complain("push: %s", st.text);
		return st.code;
	}
	report_start(&p->report, NULL, p->totals.tree, p->totals.entries, p->totals.bytes);
	while ((ret = push_all(p, &st)) && client_retry(&p->options, &p->report, &st))
		st = (struct status){ 0 };
	if (ret)
		push_blame(p, &st);
	else if (p->sender.first_code)
		st.code = p->sender.first_code;
	manifest_end(&p->report.manifest, !ret, &st);
	if (p->code)
		st.code = p->code;
	report_end(&p->report, p->path, &st);
	return st.code;
}

int cmd_push(int argc, char **argv)
{
	static struct push p = { .options = CLIENT_OPTIONS_DEFAULT };
	int ret;

	ret = client_parse_options(argc, argv, usage, &p.options);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	if (argc - optind < 2 || !client_split(argv[argc - 1], p.link, &p.path)) {
		complain("push: %s", argc - optind < 2 ? "needs SOURCE... and LINK:PATH" :
			 "the last argument must be LINK:PATH");
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	if (strlen(p.path) >= PATH_MAX) {
		complain("push: the destination's name is too long");
		return STATUS_USAGE;
	}
	p.sources = argv + optind;
	p.count = argc - 1 - optind;
	stop_install();
	files_raise_limit();
	return push_run(&p);
}

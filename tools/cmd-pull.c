// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "cmd.h"
#include "util.h"

static const char usage[] =
"Usage: ivring pull [OPTION...] LINK:PATH... DEST\n"
"Copies files from the other side of LINK, where an agent must be running.\n"
"PATH is beneath the agent's root. If DEST is a directory, or ends in /, files\n"
"go into it; several of them need that.\n\n"
"  -t, --timeout SEC          give up when nothing moves for SEC (30)\n"
"      --connect-timeout SEC  how long to wait for the agent's answer (5)\n"
"      --fsync                end only when the files are on stable storage\n"
"      --progress             show progress even if stderr is no terminal\n"
"  -q, --quiet                no progress, no summary\n"
"  -h, --help\n";

struct pull {
	struct client client;
	struct client_options options;
	mode_t umask;
	const char *dest;
	bool into_dir;
};

static const struct path_root local = { .fd = AT_FDCWD, .whose = "the local" };

/* @r->dest is taken over. */
static int pull_content(struct pull *p, struct xfer_receiver *r, const char *path,
			struct xfer_result *result, struct status *st)
{
	struct conv *c = &p->client.conv;
	struct file_meta meta = { 0 };
	struct progress progress;
	int ret;

	strcpy(meta.path, path);
	ret = conv_send_meta(c, FRAME_GET, &meta, st);
	if (!ret)
		ret = conv_expect_meta(c, FRAME_FILE, &meta, st);
	if (ret) {
		path_dest_close(&r->dest);
		return ret;
	}
	ret = xfer_receive_begin(r, &meta, st);
	if (ret) {
		conv_send_error(c, st);
		return ret;
	}
	ret = conv_send(c, FRAME_GO, NULL, st);
	if (ret) {
		xfer_receive_cancel(r);
		return ret;
	}
	progress_start(&progress, p->options.progress, r->dest.name, meta.size);
	ret = xfer_receive(r, c, &meta, &progress, result, st);
	progress_end(&progress);
	return ret;
}

static int pull_file(struct pull *p, const char *link, const char *path,
		     struct xfer_result *result, struct status *st)
{
	struct xfer_receiver r = {
		.root = &local, .umask = p->umask, .sync = p->options.sync,
	};
	int ret;

	if (!path_base(path) || strlen(path) >= PATH_MAX)
		return status_set(st, STATUS_NOT_REGULAR, "is not the name of a file");
	ret = path_resolve_dest(&local, p->dest, path_base(path), p->into_dir, &r.dest, st);
	if (ret)
		return ret;
	ret = client_open(&p->client, link, &p->options, st);
	if (ret) {
		path_dest_close(&r.dest);
		return ret;
	}
	ret = pull_content(p, &r, path, result, st);
	/* What follows an error is not defined: the next file starts afresh. */
	if (ret)
		client_close(&p->client);
	return ret;
}

static void pull_complain(const struct pull *p, const char *source, const struct status *st)
{
	switch (st->code) {
	case STATUS_SOURCE:
	case STATUS_NOT_REGULAR:
	case STATUS_CHANGED:
	case STATUS_REFUSED:
	case STATUS_CONTENT:
	case STATUS_IO:
		complain("pull: %s: %s", printable(source), st->text);
		break;
	case STATUS_DEST:
	case STATUS_NO_SPACE:
		complain("pull: %s: %s", printable(p->dest), st->text);
		break;
	default:
		complain("pull: %s", st->text);
	}
}

static bool check_arguments(int argc, char **argv)
{
	char link[CLIENT_NAME_SIZE];
	const char *path;
	int i;

	if (argc - optind < 2) {
		complain("pull: needs LINK:PATH... and DEST");
		return false;
	}
	for (i = optind; i < argc - 1; i++) {
		if (!client_split(argv[i], link, &path)) {
			complain("pull: %s: is not of the form LINK:PATH", printable(argv[i]));
			return false;
		}
	}
	return true;
}

int cmd_pull(int argc, char **argv)
{
	struct pull p = { .options = CLIENT_OPTIONS_DEFAULT };
	char link[CLIENT_NAME_SIZE];
	struct xfer_result result;
	const char *path;
	struct status st;
	int ret, i, code = 0;

	ret = client_parse_options(argc, argv, usage, &p.options);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	if (!check_arguments(argc, argv)) {
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	p.dest = argv[argc - 1];
	p.into_dir = argc - optind > 2;
	p.umask = read_umask();
	stop_install();
	for (i = optind; i < argc - 1; i++) {
		client_split(argv[i], link, &path);
		ret = pull_file(&p, link, path, &result, &st);
		if (ret) {
			pull_complain(&p, argv[i], &st);
			code = code ? code : st.code;
			if (!client_may_go_on(st.code))
				break;
		} else {
			client_print(&p.options, argv[i], &result);
		}
	}
	client_close(&p.client);
	return code;
}

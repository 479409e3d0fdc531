// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "cmd.h"
#include "util.h"

static const char usage[] =
"Usage: ivring push [OPTION...] FILE... LINK:PATH\n"
"Copies files to the other side of LINK, where an agent must be running.\n"
"PATH is beneath the agent's root. If it is a directory there, or ends in /,\n"
"files go into it; several FILEs need that. An empty PATH is the root itself.\n\n"
"  -t, --timeout SEC          give up when nothing moves for SEC (30)\n"
"      --connect-timeout SEC  how long to wait for the agent's answer (5)\n"
"      --chunk SIZE           bytes per frame (512K)\n"
"      --fsync                end only when the files are on stable storage\n"
"      --progress             show progress even if stderr is no terminal\n"
"  -q, --quiet                no progress, no summary\n"
"  -h, --help\n";

struct push {
	struct client client;
	struct client_options options;
	char link[CLIENT_NAME_SIZE];
	const char *path;
	bool into_dir;
};

static int push_open_file(struct push *p, int fd, const struct stat *stat,
			  struct file_meta *meta, struct progress *progress,
			  struct xfer_result *result, struct status *st)
{
	struct conv *c = &p->client.conv;
	struct frame f;
	int ret;

	ret = client_open(&p->client, p->link, &p->options, st);
	if (ret)
		return ret;
	ret = conv_send_meta(c, FRAME_PUT, meta, st);
	if (!ret)
		ret = conv_expect(c, FRAME_GO, &f, st);
	if (!ret)
		ret = xfer_send(c, fd, stat, meta, p->options.chunk, progress, result, st);
	/* What follows an error is not defined: the next file starts afresh. */
	if (ret)
		client_close(&p->client);
	return ret;
}

static int push_file(struct push *p, const char *file, struct xfer_result *result,
		     struct status *st)
{
	const struct path_root local = { .fd = AT_FDCWD, .whose = "the local" };
	struct file_meta meta = { 0 };
	struct progress progress;
	struct stat stat;
	int fd, ret;

	if (strlen(p->path) >= sizeof(meta.path))
		return status_set(st, STATUS_USAGE, "the destination's name is too long");
	ret = path_open_source(&local, file, &fd, &stat, st);
	if (ret)
		return ret;
	xfer_describe(&stat, &meta);
	meta.flags = (p->into_dir ? WIRE_FILE_F_INTO_DIR : 0) |
		     (p->options.sync ? WIRE_FILE_F_SYNC : 0);
	strcpy(meta.path, p->path);
	/* It was opened as a regular file, so it has a base name of a file's length. */
	snprintf(meta.base, sizeof(meta.base), "%s", path_base(file));
	progress_start(&progress, p->options.progress, meta.base, meta.size);
	ret = push_open_file(p, fd, &stat, &meta, &progress, result, st);
	progress_end(&progress);
	close(fd);
	return ret;
}

/* At the source or at the destination: name the one that is to blame. */
static void push_complain(const struct push *p, const char *file, const struct status *st)
{
	switch (st->code) {
	case STATUS_SOURCE:
	case STATUS_NOT_REGULAR:
	case STATUS_CHANGED:
		complain("push: %s: %s", printable(file), st->text);
		break;
	case STATUS_DEST:
	case STATUS_NO_SPACE:
	case STATUS_REFUSED:
	case STATUS_CONTENT:
	case STATUS_IO:
		complain("push: %s: %s:%s: %s", printable(file), p->link, printable(p->path),
			 st->text);
		break;
	default:
		complain("push: %s", st->text);
	}
}

int cmd_push(int argc, char **argv)
{
	struct push p = { .options = CLIENT_OPTIONS_DEFAULT };
	struct xfer_result result;
	struct status st;
	int ret, i, code = 0;

	ret = client_parse_options(argc, argv, usage, &p.options);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	if (argc - optind < 2 || !client_split(argv[argc - 1], p.link, &p.path)) {
		complain("push: %s", argc - optind < 2 ? "needs FILE... and LINK:PATH" :
			 "the last argument must be LINK:PATH");
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	p.into_dir = argc - optind > 2;
	stop_install();
	for (i = optind; i < argc - 1; i++) {
		ret = push_file(&p, argv[i], &result, &st);
		if (ret) {
			push_complain(&p, argv[i], &st);
			code = code ? code : st.code;
			/* One of several names there may be a directory; here, there is but one. */
			if (!client_may_go_on(st.code) && st.code != STATUS_DEST)
				break;
		} else {
			client_print(&p.options, argv[i], &result);
		}
	}
	client_close(&p.client);
	return code;
}

// SPDX-License-Identifier: GPL-2.0
/* Makes a file or a tree like that of the other side, in either direction. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "cmd.h"
#include "recv.h"
#include "sync-push.h"
#include "util.h"

static const char usage[] =
"Usage: ivring sync [OPTION...] SOURCE LINK:PATH\n"
"       ivring sync [OPTION...] LINK:PATH DEST\n"
"Makes a file, or a directory with all that is in it, like that of the other side of\n"
"LINK, where an agent must be running. Only what differs is sent. SOURCE goes into the\n"
"directory PATH or DEST, which is made if need be; with a slash at its end only what is\n"
"in it does.\n\n";

static const char extra_usage[] = SYNC_OPTIONS_USAGE
"      --delete               delete what is in the tree and SOURCE has not, once all\n"
"                             else is done, without a failure\n";

static const struct option extra_longopts[] = {
	SYNC_LONGOPTS,
	{ NULL, 0, NULL, 0 },
};

struct syncer {
	struct client client;
	struct client_options options;
	struct sync sync;
	bool to_far;
	char link[CLIENT_NAME_SIZE];
	const char *far;		/* path */
	const char *near;
	const char *name;		/* of the destination, as it was written */
	bool tree;
	struct request request;
	struct sender sender;
	struct recv_options recv;
	struct receiver receiver;
	struct report report;
};

static const struct path_root local = { .fd = AT_FDCWD, .whose = "the local" };

static bool apply_extra(int opt, void *arg)
{
	struct syncer *y = arg;

	return sync_apply_option(opt, &y->sync);
}

static int sync_push(struct syncer *y, struct status *st)
{
	struct sync_push push = {
		.o = &y->options, .sync = &y->sync, .far = y->far, .root = &local, .near = y->near,
		.watcher = &y->report.watcher,
	};
	int ret;

	y->report.tree = true;
	ret = sync_push_all(&push, &y->sender, &y->client.conv, st);
	if (!ret)
		st->code = y->sender.first_code;
	y->report.tally.same = y->sender.same;
	y->report.tally.deleted = y->sender.deleted;
	send_free(&y->sender);
	return ret;
}

static int begin_pull(struct syncer *y, const struct frame *begin, struct status *st)
{
	struct receiver *r = &y->receiver;
	int ret;

	if (begin->arg[0] & ~(uint64_t)BEGIN_F_TREE || begin->arg[3] > begin->arg[2] ||
	    begin->arg[2] > INT64_MAX)
		return status_set(st, STATUS_PROTOCOL, "an answer makes no sense");
	y->tree = begin->arg[0] & BEGIN_F_TREE;
	y->report.tree = true;
	recv_init(r, &y->client.conv, &local, &y->recv, &y->report.watcher);
	r->asked = path_base(y->far) ? path_base(y->far) : ".";
	ret = recv_set_sync(r, &y->sync, st);
	if (ret)
		return ret;
	y->request.min_free = y->options.min_free;
	y->request.flags |= y->options.sync |
			    (y->tree ? REQUEST_F_INTO_DIR | REQUEST_F_MAKE_DIR : 0);
	strcpy(y->request.path, y->near);
	ret = recv_begin(r, &y->request, st);
	if (ret)
		recv_end(r);
	return ret;
}

/* What is to come, and what is wished besides. */
static int ask_pull(struct syncer *y, struct status *st)
{
	struct request *request = &y->request;
	int ret;

	memset(request, 0, sizeof(*request));
	request->flags = y->options.send.flags | REQUEST_F_SYNC;
	request->keep = y->options.send.keep;
	request->hash = y->options.send.hash;
	request->rate = y->options.send.rate;
	strcpy(request->path, y->far);
	ret = conv_send_request(&y->client.conv, FRAME_GET, request, st);
	return ret ? ret : sync_send(&y->client.conv, &y->sync, st);
}

static int sync_pull(struct syncer *y, struct status *st)
{
	struct receiver *r = &y->receiver;
	struct frame f;
	int ret;

	ret = ask_pull(y, st);
	if (!ret)
		ret = conv_expect(&y->client.conv, FRAME_BEGIN, &f, st);
	if (!ret)
		ret = begin_pull(y, &f, st);
	if (ret)
		return ret;
	ret = recv_stream(r, st);
	if (!ret)
		st->code = r->first_code ? r->first_code : r->skip_code;
	y->report.tally.same = recv_same(r);
	y->report.tally.deleted = recv_deleted(r);
	recv_end(r);
	return ret;
}

static int sync_once(struct syncer *y, struct status *st)
{
	int ret = client_open(&y->client, y->link, &y->options, st);

	if (ret)
		return ret;
	ret = y->to_far ? sync_push(y, st) : sync_pull(y, st);
	if (ret)
		conv_send_error(&y->client.conv, st);
	y->report.tally.wire += y->client.conv.tx_bytes + y->client.conv.rx_bytes;
	client_close(&y->client);
	return ret;
}

static int sync_run(struct syncer *y)
{
	struct status st = { 0 };
	int ret;

	report_init(&y->report, "sync", &y->options.report);
	if (y->options.manifest &&
	    manifest_create(&y->report.manifest, y->options.manifest, read_umask(), &st)) {
		complain("sync: %s", st.text);
		return st.code;
	}
	y->recv.umask = read_umask();
	y->recv.allowed = KEEP_ALL;
	if (!y->to_far)
		umask(0);
	report_start(&y->report, NULL, true, 0, 0);
	y->report.tally.sync = true;
	while ((ret = sync_once(y, &st)) && client_retry(&y->options, &y->report, &st))
		st = (struct status){ 0 };
	recv_free(&y->receiver);
	manifest_end(&y->report.manifest, !ret, &st);
	report_end(&y->report, y->name, &st);
	if (!ret && st.code && y->sync.flags & SYNC_F_DELETE && st.code != STATUS_MAX_DELETE &&
	    st.code != STATUS_NOT_REGULAR)
		complain("sync: not all could be done: %s was deleted",
			 y->report.tally.deleted ? "not all" : "nothing");
	return st.code;
}

static int check_arguments(struct syncer *y, int count, char **args)
{
	char link[CLIENT_NAME_SIZE];
	const char *path;
	bool from_far;

	if (count != 2) {
		complain("sync: needs one source and one destination");
		return STATUS_USAGE;
	}
	y->name = args[1];
	y->to_far = client_split(args[1], y->link, &y->far);
	from_far = client_split(args[0], link, &path);
	if (y->to_far == from_far) {
		complain("sync: one of the two must be LINK:PATH");
		return STATUS_USAGE;
	}
	y->near = args[y->to_far ? 0 : 1];
	if (from_far) {
		strcpy(y->link, link);
		y->far = path;
	}
	if (strlen(y->far) >= PATH_MAX || strlen(y->near) >= PATH_MAX) {
		complain("sync: a name is too long");
		return STATUS_USAGE;
	}
	return 0;
}

int cmd_sync(int argc, char **argv)
{
	static struct syncer y = {
		.options = CLIENT_OPTIONS_DEFAULT,
		.sync = { .max_delete = UINT64_MAX },
	};
	static const struct client_extra extra = { extra_longopts, extra_usage, apply_extra, &y };
	int ret;

	ret = client_parse_more(argc, argv, usage, &y.options, &extra);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	ret = check_arguments(&y, argc - optind, argv + optind);
	if (ret) {
		fputs(usage, stderr);
		return ret;
	}
	if (y.sync.flags & SYNC_F_CHECKSUM && y.options.send.hash == HASH_NONE) {
		complain("sync: --checksum needs a --hash");
		return STATUS_USAGE;
	}
	if (y.options.report.verbose || y.options.report.json)
		y.sync.flags |= SYNC_F_ITEMIZE;
	stop_install();
	files_raise_limit();
	ret = sync_run(&y);
	sync_free(&y.sync);
	return ret;
}

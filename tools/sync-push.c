// SPDX-License-Identifier: GPL-2.0
#include "sync-push.h"

#include <getopt.h>
#include <string.h>

#include "util.h"

bool sync_apply_option(int opt, struct sync *sync)
{
	switch (opt) {
	case SYNC_OPT_CHECKSUM:
		sync->flags |= SYNC_F_CHECKSUM;
		return true;
	case SYNC_OPT_DELETE:
		sync->flags |= SYNC_F_DELETE;
		return true;
	case SYNC_OPT_MAX_DELETE:
		return parse_number(optarg, UINT64_MAX, &sync->max_delete);
	case SYNC_OPT_INCLUDE:
	case SYNC_OPT_EXCLUDE:
		return filter_add(&sync->filter, opt == SYNC_OPT_INCLUDE, optarg);
	case SYNC_OPT_BACKUP:
		if (optarg && !sync_good_suffix(optarg))
			return false;
		sync->flags |= SYNC_F_BACKUP;
		strcpy(sync->suffix, optarg ? optarg : "~");
		return true;
	case SYNC_OPT_WHOLE:
		sync->flags |= SYNC_F_WHOLE;
		return true;
	}
	return false;
}

int sync_push_ask(const struct sync_push *p, struct conv *c, struct status *st)
{
	struct request request = { 0 };
	struct frame f;
	bool tree;
	int ret;

	ret = send_is_tree(p->root, p->near, &tree, st);
	if (ret)
		return ret;
	request.flags = p->o->send.flags | p->o->sync | REQUEST_F_SYNC |
			(tree ? REQUEST_F_INTO_DIR | REQUEST_F_MAKE_DIR : 0);
	request.keep = p->o->send.keep;
	request.min_free = p->o->min_free;
	strcpy(request.path, p->far);
	ret = conv_send_request(c, FRAME_PUT, &request, st);
	if (!ret)
		ret = sync_send(c, p->sync, st);
	return ret ? ret : conv_expect(c, FRAME_GO, &f, st);
}

int sync_push_all(const struct sync_push *p, struct sender *s, struct conv *c, struct status *st)
{
	int ret = sync_push_ask(p, c, st);

	if (ret)
		return ret;
	send_init(s, c, &p->o->send, p->watcher);
	ret = send_set_sync(s, p->sync, st);
	if (!ret)
		ret = send_path(s, p->root, p->near, st);
	return ret ? ret : send_finish(s, st);
}

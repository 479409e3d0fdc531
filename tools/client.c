// SPDX-License-Identifier: GPL-2.0
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define BUSY_POLL_FIRST_MS	5
/* Between attempts, doubled each time */
#define RETRY_FIRST_MS		250
#define RETRY_MAX_MS		30000
#define BUSY_POLL_MAX_MS	200

const char client_usage[] =
"  -a, --archive              keep all of what follows, as root; else --perms, --xattrs,\n"
"                             --acls and --specials\n"
"      --perms                keep all permission bits: no umask\n"
"      --owner[=numeric]      keep owner and group, by name or by number\n"
"      --xattrs               keep extended attributes\n"
"      --acls                 keep access control lists\n"
"      --devices, --specials  copy device nodes, fifos\n"
"      --setid                keep set-id bits and capabilities (with --perms, --xattrs)\n"
"      --hash xxh3|xxh64|sha256|blake3|none  what content is checked with (the faster\n"
"                             of the first two)\n"
"  -t, --timeout SEC          give up when nothing moves for SEC (30)\n"
"      --connect-timeout SEC  how long to wait for the agent's answer (5)\n"
"      --chunk SIZE           bytes per frame (512K)\n"
"      --fsync[=none|file|end] have all on stable storage: file by file, or at the end\n"
"      --bwlimit RATE         at most RATE bytes a second\n"
"      --min-free SIZE        leave SIZE free at the destination\n"
"      --io buffered|direct|drop-cache  how files are read and written, on both sides\n"
"      --retry N              after a failure that may pass, try up to N times more\n"
"      --resume, --partial    keep what has arrived of a file when a transfer is cut short,\n"
"                             and go on from there if that is still right\n"
"  -n, --dry-run              say what would be copied, and copy nothing\n"
"      --manifest FILE        write hash, size and path of each file there, for ivring verify\n"
"      --progress             show progress even if stderr is no terminal\n"
"  -v, --verbose              tell of each file in a tree\n"
"  -q, --quiet                no progress, no summary\n"
"      --json                 one JSON object per line instead of text\n"
"  -h, --help\n";

enum {
	OPT_CONNECT_TIMEOUT = 256,
	OPT_CHUNK,
	OPT_FSYNC,
	OPT_PROGRESS,
	OPT_PERMS,
	OPT_OWNER,
	OPT_XATTRS,
	OPT_ACLS,
	OPT_DEVICES,
	OPT_SPECIALS,
	OPT_SETID,
	OPT_JSON,
	OPT_HASH,
	OPT_MANIFEST,
	OPT_BWLIMIT,
	OPT_MIN_FREE,
	OPT_IO,
	OPT_RETRY,
	OPT_RESUME,
};

static const struct option client_longopts[] = {
	{ "archive", no_argument, NULL, 'a' },
	{ "perms", no_argument, NULL, OPT_PERMS },
	{ "owner", optional_argument, NULL, OPT_OWNER },
	{ "xattrs", no_argument, NULL, OPT_XATTRS },
	{ "acls", no_argument, NULL, OPT_ACLS },
	{ "devices", no_argument, NULL, OPT_DEVICES },
	{ "specials", no_argument, NULL, OPT_SPECIALS },
	{ "setid", no_argument, NULL, OPT_SETID },
	{ "hash", required_argument, NULL, OPT_HASH },
	{ "timeout", required_argument, NULL, 't' },
	{ "connect-timeout", required_argument, NULL, OPT_CONNECT_TIMEOUT },
	{ "chunk", required_argument, NULL, OPT_CHUNK },
	{ "fsync", optional_argument, NULL, OPT_FSYNC },
	{ "bwlimit", required_argument, NULL, OPT_BWLIMIT },
	{ "min-free", required_argument, NULL, OPT_MIN_FREE },
	{ "io", required_argument, NULL, OPT_IO },
	{ "retry", required_argument, NULL, OPT_RETRY },
	{ "resume", no_argument, NULL, OPT_RESUME },
	{ "partial", no_argument, NULL, OPT_RESUME },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "manifest", required_argument, NULL, OPT_MANIFEST },
	{ "progress", no_argument, NULL, OPT_PROGRESS },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Options that are but a bit each. */
static uint32_t keep_of_option(int opt)
{
	switch (opt) {
	case 'a':
		return KEEP_MODE | KEEP_XATTRS | KEEP_ACLS | KEEP_SPECIALS |
		       (geteuid() ? 0 : KEEP_OWNER | KEEP_DEVICES);
	case OPT_PERMS:
		return KEEP_MODE;
	case OPT_XATTRS:
		return KEEP_XATTRS;
	case OPT_ACLS:
		return KEEP_ACLS;
	case OPT_DEVICES:
		return KEEP_DEVICES;
	case OPT_SPECIALS:
		return KEEP_SPECIALS;
	case OPT_SETID:
		return KEEP_SETID;
	}
	return 0;
}

static bool apply_owner(struct client_options *o)
{
	o->send.keep |= KEEP_OWNER;
	if (optarg && !strcmp(optarg, "numeric"))
		o->send.keep |= KEEP_NUMERIC;
	return !optarg || !strcmp(optarg, "numeric") || !strcmp(optarg, "name");
}

static bool apply_hash(struct client_options *o)
{
	int kind = hash_parse(optarg);

	if (kind < 0)
		return false;
	o->send.hash = kind;
	return true;
}

static bool apply_fsync(struct client_options *o)
{
	o->sync = !optarg || !strcmp(optarg, "file") ? REQUEST_F_SYNC_FILE :
		  !strcmp(optarg, "end") ? REQUEST_F_SYNC_END : 0;
	return o->sync || !strcmp(optarg, "none");
}

static bool apply_io(struct client_options *o)
{
	o->send.flags &= ~(REQUEST_F_DIRECT | REQUEST_F_DROP_CACHE);
	o->send.flags |= !strcmp(optarg, "direct") ? REQUEST_F_DIRECT :
			 !strcmp(optarg, "drop-cache") ? REQUEST_F_DROP_CACHE : 0;
	return o->send.flags & (REQUEST_F_DIRECT | REQUEST_F_DROP_CACHE) ||
	       !strcmp(optarg, "buffered");
}

static bool apply_limits(int opt, struct client_options *o)
{
	uint64_t retries;

	switch (opt) {
	case OPT_BWLIMIT:
		return parse_size(optarg, &o->send.rate) &&
		       (!o->send.rate || o->send.rate >= REQUEST_RATE_MIN);
	case OPT_MIN_FREE:
		return parse_size(optarg, &o->min_free) && o->min_free <= INT64_MAX;
	case OPT_IO:
		return apply_io(o);
	case OPT_RETRY:
		if (!parse_number(optarg, UINT16_MAX, &retries))
			return false;
		o->retries = retries;
		return true;
	case OPT_RESUME:
		o->send.flags |= REQUEST_F_RESUME;
		return true;
	case 'n':
		o->send.flags |= REQUEST_F_DRY_RUN;
		o->report.verbose = true;
		return true;
	}
	return false;
}

static bool apply_option(int opt, struct client_options *o)
{
	uint32_t keep = keep_of_option(opt);

	o->send.keep |= keep;
	if (keep)
		return true;
	switch (opt) {
	case OPT_OWNER:
		return apply_owner(o);
	case OPT_HASH:
		return apply_hash(o);
	case 't':
		return parse_seconds(optarg, &o->timeout_ms);
	case OPT_CONNECT_TIMEOUT:
		return parse_seconds(optarg, &o->connect_timeout_ms);
	case OPT_CHUNK:
		return send_parse_chunk(optarg, &o->send.chunk);
	case OPT_FSYNC:
		return apply_fsync(o);
	case OPT_MANIFEST:
		o->manifest = optarg;
		return *optarg;
	case OPT_PROGRESS:
		o->report.progress = true;
		return true;
	case OPT_JSON:
		o->report.json = true;
		return true;
	case 'v':
		o->report.verbose = true;
		return true;
	case 'q':
		o->report.quiet = true;
		return true;
	}
	return apply_limits(opt, o);
}

static void print_usage(FILE *to, const char *usage, const struct client_extra *extra)
{
	fprintf(to, "%s%s%s", usage, extra ? extra->usage : "", client_usage);
}

int client_parse_options(int argc, char **argv, const char *usage, struct client_options *o)
{
	return client_parse_more(argc, argv, usage, o, NULL);
}

int client_parse_more(int argc, char **argv, const char *usage, struct client_options *o,
		      const struct client_extra *extra)
{
	struct option all[2 * ARRAY_SIZE(client_longopts)] = { 0 };
	bool terminal = isatty(STDERR_FILENO);
	size_t i;
	int opt;

	memcpy(all, client_longopts, sizeof(client_longopts));
	for (i = 0; extra && extra->longopts[i].name; i++)
		all[ARRAY_SIZE(client_longopts) - 1 + i] = extra->longopts[i];
	while ((opt = getopt_long(argc, argv, "at:nvqh", all, NULL)) != -1) {
		if (opt == 'h') {
			print_usage(stdout, usage, extra);
			return -1;
		}
		if (opt >= CLIENT_OPT_EXTRA ? extra->apply(opt, extra->arg) :
		    opt != '?' && apply_option(opt, o))
			continue;
		complain_option(argv[0], all, opt);
		print_usage(stderr, usage, extra);
		return STATUS_USAGE;
	}
	if (o->send.hash != HASH_FASTEST && !hash_known(o->send.hash)) {
		complain("%s: this side has no library for that --hash", argv[0]);
		return STATUS_USAGE;
	}
	if (o->send.flags & REQUEST_F_RESUME && o->send.hash == HASH_NONE) {
		complain("%s: --resume needs a --hash", argv[0]);
		return STATUS_USAGE;
	}
	if (o->manifest && o->send.hash == HASH_NONE) {
		complain("%s: --manifest needs a --hash", argv[0]);
		return STATUS_USAGE;
	}
	if (o->manifest && o->send.flags & REQUEST_F_DRY_RUN) {
		complain("%s: a --dry-run has nothing for a --manifest", argv[0]);
		return STATUS_USAGE;
	}
	/* What is kept is not to depend on the machine that wrote it. */
	if (o->manifest && o->send.hash == HASH_FASTEST)
		o->send.hash = HASH_PLAIN;
	if (terminal && !o->report.json)
		o->report.progress = true;
	if (o->report.quiet)
		o->report.progress = false;
	return 0;
}

bool client_split(const char *arg, char link[CLIENT_NAME_SIZE], const char **path)
{
	const char *colon = strchr(arg, ':');
	const char *slash = strchr(arg, '/');

	/* As scp: ./a:b is local. Link names have no slash but in /dev/ivring0. */
	if (!colon || colon == arg || colon - arg >= CLIENT_NAME_SIZE)
		return false;
	if (slash && slash < colon && strncmp(arg, "/dev/", 5))
		return false;
	memcpy(link, arg, colon - arg);
	link[colon - arg] = '\0';
	*path = colon + 1;
	return true;
}

unsigned int client_channel(const struct ivring_link_info *link, unsigned int side)
{
	return side < link->channels ? side : 0;
}

static int no_agent(const struct client *cl, const char *name, struct status *st)
{
	return status_set(st, STATUS_NO_AGENT,
			  "no agent answers on link %s: run `ivring agent` %s", name,
			  cl->link.side ? "on the host" : "in the guest");
}

/* Why nobody can answer on this link, if so. */
static int check_link(const struct client *cl, const char *name, struct status *st)
{
	switch (cl->link.state) {
	case IVRING_LINK_WAITING:
		return status_set(st, STATUS_NO_PEER, "link %s has no peer: %s", name,
				  cl->link.side ? "is the other side's module loaded?" :
				  "start the VM and load ivring_guest in it");
	case IVRING_LINK_MISMATCH:
		return status_set(st, STATUS_VERSION,
				  "the peer on link %s speaks no version of ours: update the older "
				  "module", name);
	case IVRING_LINK_STALLED:
		return status_set(st, STATUS_PEER_GONE,
				  "the peer on link %s has stopped: is the VM paused or hung?",
				  name);
	case IVRING_LINK_SPLIT:
		return status_set(st, STATUS_PEER_GONE,
				  "the memory of link %s is not shared any more, somebody punched "
				  "a hole into it: restart `ivring serve` and the VM", name);
	case IVRING_LINK_DEAD:
		return status_set(st, STATUS_NO_LINK, "link %s was removed", name);
	}
	return 0;
}

/* Opens the channel; while another client has it, waits. */
static int open_channel(struct client *cl, const char *name, struct status *st)
{
	int64_t deadline = now_ns() + cl->options->timeout_ms * NSEC_PER_MSEC;
	unsigned int channel = client_channel(&cl->link, cl->link.side);
	int pause_ms = BUSY_POLL_FIRST_MS, queue = -1;
	bool told = false;
	int ret;

	while ((ret = ivring_chan_open(&cl->chan, cl->link.link, channel)) == -EBUSY) {
		if (stop_signal || now_ns() >= deadline)
			break;
		if (queue >= 0)
			close(queue);
		queue = ivring_link_queue(cl->link.link);
		if (!told && !cl->options->report.quiet)
			complain("link %s is busy, waiting", name);
		told = true;
		/* Nothing tells when a channel is closed, so look again, ever less often. */
		poll(NULL, 0, pause_ms);
		pause_ms = min_u64(2 * pause_ms, BUSY_POLL_MAX_MS);
	}
	if (queue >= 0)
		close(queue);
	if (!ret)
		return 0;
	if (ret == -EBUSY && stop_signal)
		return status_set(st, STATUS_INTERRUPTED, "interrupted");
	if (ret == -EBUSY)
		return status_set(st, STATUS_BUSY, "link %s is busy: another client or agent has "
				  "channel %u open", name, channel);
	return status_errno(st, ret == -EPROTONOSUPPORT ? STATUS_VERSION :
			    status_access(-ret, STATUS_IO), -ret,
			    "cannot open channel %u of link %s", channel, name);
}

static int connect_agent(struct client *cl, const char *name, struct status *st)
{
	int ret;

	ret = ivring_chan_connect(&cl->chan, cl->options->connect_timeout_ms);
	if (ret == -EINTR)
		return status_set(st, STATUS_INTERRUPTED, "interrupted");
	if (!ret) {
		cl->chan.timeout_ms = cl->options->timeout_ms;
		ret = conv_start(&cl->conv, &cl->chan, cl->options->connect_timeout_ms, st);
		return ret == -STATUS_TIMEOUT ? no_agent(cl, name, st) : ret;
	}
	/* The peer may have left only now. */
	if (!ivring_link_info(cl->link.link, &cl->link) && check_link(cl, name, st))
		return -st->code;
	if (ret == -ETIMEDOUT)
		return no_agent(cl, name, st);
	return status_errno(st, ret == -EPROTONOSUPPORT ? STATUS_VERSION : STATUS_PEER_GONE, -ret,
			    "cannot reach the agent on link %s", name);
}

int client_open(struct client *cl, const char *link, const struct client_options *o,
		struct status *st)
{
	int ret;

	if (cl->open && !strcmp(cl->name, link))
		return 0;
	client_close(cl);
	memset(cl, 0, sizeof(*cl));
	cl->options = o;
	snprintf(cl->name, sizeof(cl->name), "%s", link);
	ret = ivring_link_find(link, &cl->link, st);
	if (!ret)
		ret = check_link(cl, link, st);
	if (!ret)
		ret = open_channel(cl, link, st);
	if (ret)
		return ret;
	ret = connect_agent(cl, link, st);
	if (ret) {
		ivring_chan_close(&cl->chan);
		return ret;
	}
	cl->open = true;
	return 0;
}

void client_close(struct client *cl)
{
	if (cl->open)
		ivring_chan_close(&cl->chan);
	cl->open = false;
}

bool client_may_go_on(int code)
{
	return code == STATUS_SOURCE || code == STATUS_NOT_REGULAR || code == STATUS_CHANGED ||
	       code == STATUS_CONTENT || code == STATUS_REFUSED;
}

bool client_may_pass(int code, unsigned int tried)
{
	switch (code) {
	case STATUS_NO_PEER:
	case STATUS_NO_AGENT:
	case STATUS_PEER_GONE:
	case STATUS_TIMEOUT:
	case STATUS_BUSY:
	/* Damage to what is no content */
	case STATUS_CONTENT:
	case STATUS_PROTOCOL:
		return true;
	case STATUS_NO_LINK:
		/* One that was there may come back. */
		return tried;
	}
	return false;
}

int client_retry_pause(unsigned int tried)
{
	return min_u64((uint64_t)RETRY_FIRST_MS << min_u64(tried, 16), RETRY_MAX_MS);
}

bool client_retry(const struct client_options *o, struct report *r, const struct status *why)
{
	int64_t pause_ms = client_retry_pause(r->tally.retries), until;

	if (stop_signal || r->tally.retries >= o->retries ||
	    !client_may_pass(why->code, r->tally.retries))
		return false;
	report_retry(r, why, pause_ms / 1000.0);
	for (until = now_ns() + pause_ms * NSEC_PER_MSEC; now_ns() < until && !stop_signal; )
		poll(NULL, 0, (until - now_ns()) / NSEC_PER_MSEC + 1);
	return !stop_signal;
}

// SPDX-License-Identifier: GPL-2.0
/* What a user may ask for: a rate, free space, a dry run, and how files are read and written. */
#include <sys/statvfs.h>

#include "client.h"
#include "transfer.h"

static void test_rate(void)
{
	int64_t start;
	double seconds;
	int code;

	fresh();
	rate = 4 * MIB;
	start = now_ns();
	code = push("src/t", "");
	seconds = (double)(now_ns() - start) / NSEC_PER_SEC;
	ok(!code && same("src/t", "root/t") && seconds > 0.7, "push of 4 MiB at 4 MiB/s");
	start = now_ns();
	code = pull("t", "back");
	seconds = (double)(now_ns() - start) / NSEC_PER_SEC;
	ok(!code && same("src/t", "back/t") && seconds > 0.7, "pull of it");
	rate = 1;
	ok(pull("t", "back") == STATUS_PROTOCOL, "no rate at which nothing would move");
	pair_end();
	/* What passes between two frames is less than the patience of the other end. */
	fresh();
	pair.agent.timeout_ms = 1000;
	rate = 64 << 10;
	ok(!push("src/slow", "") && run("cmp src/slow root/slow"), "slower than the window's size");
	rate = 0;
	ok(!pair_end(), "the other end does not lose patience");
}

static void test_space(void)
{
	struct statvfs vfs;
	uint64_t available;

	if (statvfs(".", &vfs) || !vfs.f_blocks) {
		tap_skip("free space", "the file system does not tell");
		return;
	}
	available = (uint64_t)vfs.f_bfree * vfs.f_frsize;
	fresh();
	min_free = available * 2;
	ok(push("src/t", "") == STATUS_NO_SPACE && run("[ -z \"$(ls -A root)\" ]"),
	   "space that must stay free: %s", pair.text);
	pair_end();
	fresh();
	ok(pull("t", "back") == STATUS_SOURCE, "nothing to pull");
	pair_end();
	fresh();
	if (!run("cp -a src/t root"))
		exit(1);
	ok(pull("t", "back") == STATUS_NO_SPACE && run("[ -z \"$(ls -A back)\" ]"), "the same here");
	pair_end();
	fresh();
	min_free = 1;
	ok(!push("src/t", "") && same("src/t", "root/t"), "a byte is there");
	min_free = 0;
	pair_end();
}

static void test_dry_run(void)
{
	int fd = open("src/slow", O_RDONLY | O_CLOEXEC);

	fresh();
	flags = REQUEST_F_DRY_RUN;
	ok(!push("src/t", "") && pair.done == 10 && run("[ -z \"$(ls -A root)\" ]"),
	   "a dry push: all is told, and nothing made");
	ok(!push("src/t", "none") && run("[ -z \"$(ls -A root)\" ]"),
	   "into a directory that it would make");
	ok(push("src/t", "none/none") == STATUS_DEST, "into one that it could not make");
	pair_end();
	fresh();
	ok(!push_from(NULL, fd, "") && run("[ -z \"$(ls -A root)\" ]"), "of a stream");
	close(fd);
	pair_end();
	fresh();
	if (!run("cp -a src/t root"))
		exit(1);
	ok(!pull("t", "back") && pair.done == 10 && run("[ -z \"$(ls -A back)\" ]"), "a dry pull");
	min_free = 1ULL << 62;
	ok(pull("t", "back") == STATUS_NO_SPACE, "space is looked at, too");
	min_free = 0;
	flags = 0;
	pair_end();
}

/* Pages of @path that are in the page cache. */
static int cached(const char *path)
{
	char command[256];

	snprintf(command, sizeof(command), "fincore -nbo pages %s >pages 2>/dev/null", path);
	return run(command) && run("[ $(cat pages) -le 4096 ]");
}

static void test_io(void)
{
	static const uint32_t kinds[] = {
		REQUEST_F_DIRECT, REQUEST_F_DROP_CACHE, REQUEST_F_SYNC_END,
		REQUEST_F_SYNC_FILE | REQUEST_F_DIRECT,
	};
	static const char * const names[] = { "direct", "drop-cache", "sync at the end", "sync, direct" };
	size_t i;
	bool good;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		fresh();
		flags = kinds[i];
		good = !push("src/t", "") && same("src/t", "root/t") &&
		       !pull("t", "back") && same("src/t", "back/t");
		ok(!pair_end() && good, "there and back: %s", names[i]);
	}
	fresh();
	flags = REQUEST_F_DROP_CACHE;
	ok(!push("src/cached", "") && run("cmp src/cached root/cached"), "a larger file");
	pair_end();
	fresh();
	good = !push("src/cached", "");
	if (!run("command -v fincore >/dev/null && [ $(stat -f -c %T .) != tmpfs ]"))
		tap_skip("leaves little in the page cache", "no fincore, or a tmpfs");
	else
		ok(good && cached("root/cached"), "leaves little in the page cache");
	flags = 0;
	pair_end();
}

static void test_retry(void)
{
	static const struct report_options quiet = { .quiet = true };
	struct client_options o = CLIENT_OPTIONS_DEFAULT;
	struct status gone = { .code = STATUS_PEER_GONE, .text = "gone" };
	struct status source = { .code = STATUS_SOURCE, .text = "none" };
	struct status no_link = { .code = STATUS_NO_LINK, .text = "no link" };
	struct report r;
	int64_t start = now_ns(), first, second;
	bool good;

	report_init(&r, "test", &quiet);
	report_start(&r, NULL, false, 0, 0);
	ok(!client_retry(&o, &r, &gone), "no retry unless asked for");
	o.retries = 2;
	ok(!client_retry(&o, &r, &source) && !client_retry(&o, &r, &no_link),
	   "nor of what will not pass");
	start = now_ns();
	good = client_retry(&o, &r, &gone);
	first = now_ns() - start;
	good = client_retry(&o, &r, &no_link) && good;
	second = now_ns() - start - first;
	ok(good && first >= 200 * NSEC_PER_MSEC && second > first, "two, with a pause that grows");
	ok(!client_retry(&o, &r, &gone) && r.tally.retries == 2, "and no third");
	o.retries = 9;
	stop_signal = SIGINT;
	ok(!client_retry(&o, &r, &gone), "none after a signal");
	stop_signal = 0;
}

int main(void)
{
	transfer_setup();
	if (!run("cd src && mkdir -p t/sub/deep && head -c 3000001 /dev/urandom >t/large && "
		 "head -c 1100000 /dev/urandom >t/sub/medium && echo small >t/sub/deep/small && "
		 ": >t/empty && ln t/large t/sub/again && ln -s large t/link && head -c 150000 /dev/urandom >slow && "
		 "head -c 64M /dev/urandom >cached && truncate -s 10000123 t/sub/holes && "
		 "printf x | dd of=t/sub/holes bs=1 seek=5000001 conv=notrunc status=none"))
		return 1;
	test_rate();
	test_space();
	test_dry_run();
	test_io();
	test_retry();
	return transfer_done();
}

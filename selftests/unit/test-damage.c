// SPDX-License-Identifier: GPL-2.0
/* Bits that flip in shared memory: what they hit is noticed, sent again and counted. */
#include "transfer.h"

/* Frames that hold content, or descriptions, from @first on, each @every-th of them, @most. */
static struct {
	enum frame_type type;
	unsigned int every, most;
	bool header;
	unsigned int count, done;
} damage;

/* When the last block has come: the file is another one then, to the length and the time. */
static bool changing, removing;

static void change_source(void)
{
	static const uint8_t other[4096] = { 1 };
	struct timespec times[2];
	struct stat stat;
	int fd = open("src/big", O_WRONLY | O_CLOEXEC);
	off_t at;

	if (fd < 0 || fstat(fd, &stat))
		exit(1);
	for (at = 0; at < stat.st_size; at += sizeof(other))
		if (pwrite(fd, other, min_u64(sizeof(other), stat.st_size - at), at) < 0)
			exit(1);
	times[0] = stat.st_atim;
	times[1] = stat.st_mtim;
	if (futimens(fd, times))
		exit(1);
	close(fd);
}

static bool is_directory(const uint8_t *frame, unsigned int type)
{
	struct wire_entry e;

	memcpy(&e, frame + FRAME_SIZE, sizeof(e));
	return type == FRAME_ENTRY && S_ISDIR(e.mode);
}

static void tamper(unsigned int side, uint8_t *data, uint64_t len)
{
	struct wire_frame w;
	uint32_t body;

	/* All that is given away begins with a frame and is whole ones. */
	for (; len >= FRAME_SIZE; data += FRAME_SIZE + body, len -= FRAME_SIZE + body) {
		memcpy(&w, data, sizeof(w));
		body = w.len;
		if (w.magic != FRAME_MAGIC || body > len - FRAME_SIZE)
			return;
		if (w.type == FRAME_FINISH && changing)
			change_source();
		if (w.type == FRAME_FINISH && removing && unlink("src/gone/sub/large"))
			exit(1);
		if (w.type != damage.type || !body || is_directory(data, w.type) ||
		    damage.count++ % damage.every || damage.done == damage.most)
			continue;
		damage.done++;
		/* The last byte of an entry with content is of the content. */
		data[damage.header ? 9 : FRAME_SIZE + body - 1] ^= 4;
	}
	(void)side;
}

static void plan(enum frame_type type, unsigned int every, unsigned int most, bool header)
{
	memset(&damage, 0, sizeof(damage));
	damage.type = type;
	damage.every = every;
	damage.most = most;
	damage.header = header;
}

static void test_blocks(void)
{
	fresh();
	pair.link.tamper = tamper;
	plan(FRAME_DATA, 7, 5, false);
	ok(!push("src/big", "") && damage.done == 5 && run("cmp src/big root/big"),
	   "5 damaged blocks of a file are sent again");
	ok(pair.resent == 5 && pair.resent_bytes <= 5 * WINDOW / 4, "and no others: %llu, %llu bytes",
	   (unsigned long long)pair.resent, (unsigned long long)pair.resent_bytes);
	pair.resent = 0;
	plan(FRAME_DATA, 11, 3, false);
	ok(!pull("big", "back") && run("cmp src/big back/big") && pair.resent == 3,
	   "the same the other way");
	ok(!pair_end(), "the conversation was in order");
	fresh();
	pair.link.tamper = tamper;
	plan(FRAME_DATA, 1, 40, false);
	ok(!push("src/big", "") && damage.done == 40 && run("cmp src/big root/big"),
	   "many, and those that come again are damaged, too");
	plan(FRAME_DATA, 1, ~0U, false);
	ok(push("src/big", "new") == STATUS_CONTENT && run("[ -z \"$(ls -A root/new)\" ]"),
	   "all, and always: %s", pair.text);
	plan(FRAME_DATA, 1, 0, false);
	ok(!push("src/big", "new") && run("cmp src/big root/new/big"), "the conversation goes on");
	ok(!pair_end(), "and was in order");
}

static void test_tree(void)
{
	fresh();
	pair.link.tamper = tamper;
	plan(FRAME_ENTRY, 1, 0, false);
	ok(!push("src/t", "") && same("src/t", "root/t") && !pair.resent, "a tree, for a start");
	pair_end();
	fresh();
	pair.link.tamper = tamper;
	plan(FRAME_DATA, 2, ~0U, false);
	ok(!push("src/t", "") && same("src/t", "root/t") && pair.resent,
	   "every other block of large files");
	ok(run("[ root/t/sub/large -ef root/t/sub/deep/again ]"), "links to them are links");
	pair.resent = 0;
	ok(!pull("t/", "back") && same("src/t", "back") && pair.resent, "and back");
	ok(!pair_end(), "the conversation was in order");
}

static void test_small(void)
{
	fresh();
	pair.link.tamper = tamper;
	plan(FRAME_ENTRY, 5, ~0U, false);
	ok(!push("src/small/", "") && same("src/small", "root") && pair.resent == damage.done &&
	   damage.done > 5, "small files");
	pair_end();
	fresh();
	pair.link.tamper = tamper;
	plan(FRAME_ENTRY, 1, ~0U, false);
	ok(push("src/small/", "") == STATUS_CONTENT && pair.failures >= 100 - 64,
	   "more than are kept in mind fail");
	ok(run("for f in $(ls root); do cmp root/$f src/small/$f || exit; done; [ -z \"$(find . -name '.ivring-*')\" ]"),
	   "nothing wrong has come of that");
	pair_end();
}

static void test_hashes(void)
{
	static const unsigned int kinds[] = { HASH_PLAIN, HASH_XXH64, HASH_SHA256, HASH_BLAKE3 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!choose_hash(kinds[i]))
			continue;
		fresh();
		pair.link.tamper = tamper;
		plan(FRAME_DATA, 5, 4, false);
		ok(!push("src/t", "") && same("src/t", "root/t") && pair.resent == damage.done &&
		   pair.resent, "with %s", hash_name(hash));
		pair_end();
	}
	hash = HASH_FASTEST;
	/* One that is hashed by blocks. */
	if (!run("truncate -s 600M src/sparse && for at in 0 200 599; do dd if=src/big of=src/sparse "
		 "bs=1M count=1 seek=$at conv=notrunc status=none; done"))
		exit(1);
	fresh();
	pair.link.tamper = tamper;
	plan(FRAME_DATA, 5, 4, false);
	ok(!push("src/sparse", "") && run("cmp src/sparse root/sparse") && pair.resent == damage.done &&
	   pair.resent, "a sparse file");
	pair_end();
}

/* What comes again is whole, and yet not what came at first. */
static void test_changed(void)
{
	fresh();
	pair.link.tamper = tamper;
	if (!run("cp src/big kept && echo old >root/big"))
		exit(1);
	plan(FRAME_DATA, 7, 2, false);
	changing = true;
	ok(push("src/big", "") == STATUS_CHANGED && pair.resent == 1 &&
	   run("[ \"$(ls -A root)\" = big ] && grep -q old root/big"),
	   "a file that changed before a block of it came again: %s", pair.text);
	changing = false;
	ok(!push("src/big", "") && run("cmp src/big root/big"), "is sent as it is now");
	plan(FRAME_DATA, 7, 2, false);
	changing = true;
	ok(!pull("big", "back") && run("cmp root/big back/big"), "one at the other end is another one");
	changing = false;
	if (!run("cp kept src/big"))
		exit(1);
	ok(!pair_end(), "the conversation was in order");
}

/* One that is gone: the others come. */
static void test_gone(void)
{
	fresh();
	pair.link.tamper = tamper;
	plan(FRAME_DATA, 2, ~0U, false);
	if (!run("cp -r src/t src/gone"))
		exit(1);
	removing = true;
	ok(push("src/gone/", "") && run("cmp src/t/more root/more"),
	   "one that was removed before a block of it came again: %s", pair.text);
	removing = false;
	ok(!pair_end() && run("[ -z \"$(find . -name '.ivring-*')\" ]"), "costs only itself");
}

/* What cannot be had again, or has no content, fails at once. */
static void test_fatal(void)
{
	int fd = open("src/big", O_RDONLY | O_CLOEXEC), code;

	fresh();
	pair.link.tamper = tamper;
	plan(FRAME_DATA, 5, 1, false);
	code = push_from(NULL, fd, "");
	ok(code == STATUS_CONTENT && run("[ -z \"$(ls -A root)\" ]"), "a stream: %s", pair.text);
	pair_end();
	close(fd);
	fresh();
	pair.link.tamper = tamper;
	plan(FRAME_DATA, 20, 1, true);
	code = push("src/big", "");
	ok(code && run("[ -z \"$(ls -A root)\" ]"), "a header: %d, %s", code, pair.text);
	pair_end();
	fresh();
	pair.link.tamper = tamper;
	if (!run("mkdir -p src/empty && touch src/empty/one src/empty/two"))
		exit(1);
	plan(FRAME_ENTRY, 2, 1, false);
	code = push("src/empty/", "");
	ok(code == STATUS_CONTENT && run("[ -z \"$(ls -A root)\" ]"), "a name: %d, %s", code, pair.text);
	pair_end();
	fresh();
	pair.link.tamper = tamper;
	plan(FRAME_DATA, 5, 1, false);
	damage.type = FRAME_PUT;
	damage.every = 1;
	code = push("src/big", "x");
	ok(code == STATUS_CONTENT, "a request: %d, %s", code, pair.text);
	pair_end();
}

int main(void)
{
	transfer_setup();
	if (!run("cd src && head -c 5000001 /dev/urandom >big && mkdir -p t/sub/deep small && "
		 "head -c 3000000 /dev/urandom >t/sub/large && ln t/sub/large t/sub/deep/again && "
		 "head -c 1500000 /dev/urandom >t/more && truncate -s 40M t/holes && "
		 "dd if=big of=t/holes bs=1M count=1 seek=20 conv=notrunc status=none && "
		 "echo x >t/sub/small && for i in $(seq 100); do head -c $((i * 40)) /dev/urandom "
		 ">small/$i; done && touch -d 2001-02-03 t/sub/large t/sub/deep t/sub t && chmod 555 t/sub"))
		return 1;
	test_blocks();
	test_tree();
	test_small();
	test_hashes();
	test_changed();
	test_gone();
	test_fatal();
	return transfer_done();
}

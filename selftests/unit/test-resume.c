// SPDX-License-Identifier: GPL-2.0
/* Transfers that were cut short go on where what arrived is right, and nowhere else. */
#include <sys/file.h>

#include "transfer.h"

static unsigned int frames;		/* of DATA that crossed */
static unsigned int cut_at;		/* after so many of them the link dies; 0: never */

/* Whoever gives bytes away holds the link's lock. */
static void count_frames(unsigned int side, uint8_t *data, uint64_t len)
{
	struct wire_frame w;

	(void)side;
	for (; len >= FRAME_SIZE; data += FRAME_SIZE + w.len, len -= FRAME_SIZE + w.len) {
		memcpy(&w, data, sizeof(w));
		if (w.magic != FRAME_MAGIC || w.len > len - FRAME_SIZE)
			return;
		if (w.type == FRAME_DATA && ++frames == cut_at)
			pair.link.reset = true;
	}
}

static void begin(void)
{
	frames = 0;
	pair_start();
	pair.link.tamper = count_frames;
}

/* A push of what is in src that ends early. */
static bool cut_push(const char *source, unsigned int at)
{
	int code;

	begin();
	cut_at = at;
	code = push(source, "");
	cut_at = 0;
	pair_end();
	return code == STATUS_PEER_GONE;
}

static bool finish_push(const char *source)
{
	int code;

	begin();
	code = push(source, "");
	if (code)
		printf("# %s\n", pair.text);
	return !pair_end() && !code;
}

static bool no_litter(void)
{
	return run("[ -z \"$(find root back -name '.ivring-*')\" ]");
}

static void clean(void)
{
	if (!run("rm -rf root/* root/.iv* back; mkdir back"))
		exit(1);
}

static void test_push(void)
{
	clean();
	ok(cut_push("src/big", 200) && run("[ ! -e root/big ] && ls root/.ivring-part-*"),
	   "a push that is cut short leaves a part");
	ok(finish_push("src/big") && run("cmp src/big root/big") && pair.kept >= 4 * MIB && frames < 320,
	   "the next one goes on from there");
	ok(no_litter(), "and leaves nothing");
	ok(finish_push("src/big") && pair.kept == 20000001 && !frames && run("cmp src/big root/big"),
	   "what is complete is not sent again");
	if (!run("chmod 640 src/big; touch -d 2001-02-03 src/big"))
		exit(1);
	ok(finish_push("src/big") && !frames && run("[ \"$(stat -c %a%Y src/big)\" = \"$(stat -c %a%Y root/big)\" ]"),
	   "but gets its mode and time");
	if (!run("chmod 644 src/big; truncate -s 9000000 root/big"))
		exit(1);
	ok(finish_push("src/big") && pair.kept == 9000000 && run("cmp src/big root/big"),
	   "what was the start of it is used");
	if (!run("printf wrong | dd of=root/big bs=1 seek=9000000 conv=notrunc status=none"))
		exit(1);
	ok(finish_push("src/big") && pair.kept == 8 * MIB && run("cmp src/big root/big"),
	   "up to where it is right");
	clean();
	flags = 0;
	ok(cut_push("src/big", 200) && no_litter(), "without being asked, nothing is left");
	flags = REQUEST_F_RESUME;
}

/* A part may be anything. */
static void test_parts(void)
{
	static const struct {
		const char *what, *command;
		uint64_t least, most;
	} cases[] = {
		{ "a block that was half written", "truncate -s +100000 $p", 4 * MIB, 14 * MIB },
		{ "garbage at the end", "head -c 50000 /dev/urandom >>$p", 4 * MIB, 14 * MIB },
		{ "a flipped byte in the middle", "printf x | dd of=$p bs=1 seek=5000000 conv=notrunc status=none",
		  4 * MIB, 4 * MIB },
		{ "a flipped byte at the start", "printf xyz | dd of=$p bs=1 conv=notrunc status=none", 0, 0 },
		{ "a part longer than all of it", "cat src/big src/big >$p", 16 * MIB, 20000001 },
		{ "an empty part", "truncate -s 0 $p", 0, 0 },
		{ "zeros", "truncate -s 0 $p; truncate -s 12M $p", 0, 0 },
		{ "a directory", "rm $p; mkdir $p", 0, 0 },
		{ "a fifo", "rm $p; mkfifo $p", 0, 0 },
		{ "a link", "mv $p outside; ln -s ../outside $p", 0, 0 },
		{ "a hard link", "rm -f outside; ln $p outside", 0, 0 },
		{ "another source", "head -c 20000001 /dev/urandom >src/big", 0, 0 },
	};
	char command[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		clean();
		if (!cut_push("src/big", 200))
			exit(1);
		snprintf(command, sizeof(command), "p=$(ls root/.ivring-part-*); %s", cases[i].command);
		if (!run(command))
			exit(1);
		ok(finish_push("src/big") && run("cmp src/big root/big") && pair.kept >= cases[i].least &&
		   pair.kept <= cases[i].most, "%s", cases[i].what);
		if (!run("rm -rf root/.iv*"))
			exit(1);
	}
}

/* One that somebody else is writing to */
static void test_busy(void)
{
	int fd;

	clean();
	if (!cut_push("src/big", 200) || !run("ln $(ls root/.ivring-part-*) held"))
		exit(1);
	fd = open("held", O_RDWR | O_CLOEXEC);
	if (fd < 0 || unlink("held") || flock(fd, LOCK_EX))
		exit(1);
	ok(finish_push("src/big") && !pair.kept && run("cmp src/big root/big"),
	   "a part that another transfer has is left alone");
	close(fd);
	ok(run("ls root/.ivring-part-*"), "and stays");
}

/* Who may not read a file must not learn its hash, byte by byte. */
static void test_blind(void)
{
	clean();
	if (!cut_push("src/big", 200))
		exit(1);
	begin();
	pair.agent.roots.list[0].no_pull = true;
	ok(!push("src/big", "") && !pair.kept && run("cmp src/big root/big") && no_litter(),
	   "an agent that is write-only does not tell what it has");
	ok(!push("src/big", "") && !pair.kept, "not even of what is complete");
	pair_end();
}

static void test_pull(void)
{
	int code;

	clean();
	if (!run("cp src/big root"))
		exit(1);
	begin();
	cut_at = 200;
	code = pull("big", "back");
	cut_at = 0;
	pair_end();
	ok(code == STATUS_PEER_GONE && run("[ ! -e back/big ] && ls back/.ivring-part-*"),
	   "a pull that is cut short leaves a part");
	begin();
	ok(!pull("big", "back") && run("cmp src/big back/big") && pair.kept >= 4 * MIB,
	   "the next one goes on");
	ok(!pair_end() && no_litter(), "and leaves nothing");
}

static void test_tree(void)
{
	clean();
	ok(cut_push("src/t", 250), "a tree that is cut short");
	ok(finish_push("src/t") && same("src/t", "root/t") && pair.kept > 4 * MIB && no_litter(),
	   "goes on with what is there");
	ok(finish_push("src/t") && same("src/t", "root/t") && !frames, "and again");
	begin();
	ok(!pull("t", "back") && same("src/t", "back/t"), "back");
	frames = 0;
	ok(!pull("t", "back") && same("src/t", "back/t") && !frames, "and again");
	ok(!pair_end(), "the conversation was in order");
	/* A file that fails is told of while the sender waits for what there is of the next. */
	clean();
	if (!run("mkdir -p root/t/a/x"))
		exit(1);
	begin();
	ok(push("src/t", "") == STATUS_DEST && pair.failures == 1 && run("cmp src/t/z root/t/z"),
	   "obstacles: %s", pair.text);
	ok(!pair_end(), "the conversation goes on");
}

static void test_kinds(void)
{
	static const unsigned int kinds[] = { HASH_PLAIN, HASH_XXH64, HASH_SHA256, HASH_BLAKE3 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!choose_hash(kinds[i]))
			continue;
		clean();
		ok(cut_push("src/big", 200) && finish_push("src/big") && pair.kept >= 4 * MIB &&
		   run("cmp src/big root/big"), "with %s", hash_name(hash));
	}
	hash = HASH_FASTEST;
	clean();
	ok(cut_push("src/sparse", 45) && finish_push("src/sparse") && pair.kept > 200 * MIB &&
	   run("cmp src/sparse root/sparse && [ $(stat -c %b root/sparse) -lt 40000 ]"), "a sparse file");
	clean();
	flags |= REQUEST_F_DIRECT;
	ok(cut_push("src/big", 200) && finish_push("src/big") && run("cmp src/big root/big"),
	   "with direct reads and writes");
	flags = REQUEST_F_RESUME;
}

int main(void)
{
	transfer_setup();
	if (!run("mkdir -p back src/t/sub && head -c 20000001 /dev/urandom >src/big && "
		 "head -c 9000000 /dev/urandom >src/t/a && head -c 9000000 /dev/urandom >src/t/sub/b && "
		 "head -c 3000000 /dev/urandom >src/t/z && ln src/t/z src/t/sub/again && echo x >src/t/small && "
		 "truncate -s 600M src/sparse && for at in 0 250 599; do dd if=src/big of=src/sparse "
		 "bs=1M count=1 seek=$at conv=notrunc status=none; done"))
		return 1;
	flags = REQUEST_F_RESUME;
	test_push();
	test_parts();
	test_busy();
	test_blind();
	test_pull();
	test_tree();
	test_kinds();
	return transfer_done();
}

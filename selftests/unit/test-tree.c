// SPDX-License-Identifier: GPL-2.0
/*
 * Trees between an agent's thread and a client: all that a tree may hold, and many
 * small files. With an argument, that many files of 4 KiB, and how fast they went.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "transfer.h"

static void tree_start(uint64_t window)
{
	link_size = 4 * MIB;
	link_window = window;
	pair_start();
}

static int push_keeping(const char *source, const char *dest, uint32_t what)
{
	keep = what;
	return push(source, dest);
}

static int pull_keeping(const char *source, const char *dest, uint32_t what)
{
	keep = what;
	return pull(source, dest);
}

/* Names, types, modes, owners, times, targets and content of two trees, and links. */
static bool same_trees(const char *a, const char *b)
{
	char command[1024];

	snprintf(command, sizeof(command),
		 "list() { (cd \"$1\" && find . ! -type d -printf '%%p %%y %%m %%U %%G %%T@ %%l %%s %%n\\n' "
		 "-o -printf '%%p %%y %%m %%U %%G %%T@\\n' | LC_ALL=C sort; "
		 "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum); }; "
		 "list %s >one; list %s >two; diff one two >diff || { sed 's/^/# /' diff; exit 1; }", a, b);
	return run(command);
}

static void make_tree(void)
{
	if (!run("mkdir -p src/t/deep/deeper/deepest src/t/empty && cd src/t && "
		 "echo small >small && : >none && head -c 3000000 /dev/urandom >big && "
		 "head -c 200000 /dev/urandom >deep/middle && ln deep/middle deep/deeper/again && "
		 "ln -s small link && ln -s /no/such/thing deep/dangling && "
		 "truncate -s 64M holes && printf x | dd of=holes bs=1 seek=33554432 conv=notrunc "
		 "status=none && chmod 640 small && chmod 755 big && chmod 700 deep && "
		 "printf y >'deep/a b\n\t\377\"c' && touch -d '2001-02-03 04:05:06.123456789' small && "
		 "touch -h -d '2002-02-03 04:05:06.987654321' link && chmod 555 deep/deeper/deepest && "
		 "touch -d '2003-03-03 03:03:03.333333333' deep/deeper deep"))
		exit(1);
}

static void test_tree(uint64_t window)
{
	struct stat stat;

	if (!run("rm -rf root/* back"))
		exit(1);
	tree_start(window);
	ok(!push_keeping("src/t", "", 0) && !pair.failures, "push of a tree, window %llu",
	   (unsigned long long)window);
	ok(same_trees("src/t", "root/t"), "all of it is there");
	ok(!fstatat(root_fd, "t/holes", &stat, 0) && stat.st_blocks < 2048, "holes stay holes");
	ok(!pull_keeping("t", "back", 0) && same_trees("src/t", "back/t"), "pull of it");
	ok(!push_keeping("src/t/", "other", 0) && same_trees("src/t", "root/other"),
	   "a slash at the end: only what is in it");
	ok(!pull_keeping("t/", "back/t", 0) && same_trees("src/t", "back/t"), "over what is there");
	ok(!pair_end(), "the conversation was in order");
}

static void test_attributes(void)
{
	static const char what[] = "modes, owners, attributes, devices and fifos";
	char value[16];
	bool xattrs;

	if (geteuid()) {
		tap_skip(what, "needs root");
		return;
	}
	if (!run("rm -rf root/* back; cp -a src/t src/x; cd src/x && mkfifo fifo && "
		 "mknod null c 1 3 && chmod 4777 big && chown -h 12:34 small link deep && chmod 1777 empty"))
		exit(1);
	xattrs = !setxattr("src/x/small", "user.colour", "blue", 4, 0);
	tree_start(MIB);
	ok(push_keeping("src/x", "", 0) == STATUS_NOT_REGULAR && pair.failures == 2,
	   "without being asked, neither device nor fifo: %s", pair.text);
	ok(!push_keeping("src/x", "", KEEP_ALL) && same_trees("src/x", "root/x"), "%s", what);
	if (xattrs)
		ok(getxattr("root/x/small", "user.colour", value, sizeof(value)) == 4 &&
		   !memcmp(value, "blue", 4), "an extended attribute");
	else
		tap_skip("an extended attribute", "the file system has none");
	ok(!pull_keeping("x", "back", KEEP_ALL) && same_trees("src/x", "back/x"), "and back");
	ok(!push_keeping("src/x/big", "", KEEP_MODE) && run("[ $(stat -c %a root/big) = 777 ]"),
	   "no set-id bit unless asked for");
	pair_end();
	tree_start(MIB);
	pair.agent.recv.allowed = KEEP_ALL & ~(KEEP_SETID | KEEP_DEVICES);
	ok(push_keeping("src/x", "", KEEP_MODE | KEEP_SETID) == STATUS_REFUSED, "nor against the agent's rules");
	pair_end();
	if (!run("rm -rf src/x"))
		exit(1);
}

/* What is in the way, or cannot be read, costs only itself. */
static void test_obstacles(void)
{
	if (!run("rm -rf root/*; mkdir -p root/t/small/x root/t/link/x outside && "
		 "ln -s ../outside root/l && echo goes >root/t/deep"))
		exit(1);
	tree_start(MIB);
	ok(push_keeping("src/t", "", 0) == STATUS_DEST, "obstacles: %s", pair.text);
	ok(run("[ -d root/t/small/x ] && [ -d root/t/link/x ] && [ -d root/t/deep ] && "
	       "cmp src/t/big root/t/big && [ -z \"$(find root -name '.ivring-*')\" ]"),
	   "cost nothing else");
	ok(pair.failures == 2, "all are told: %llu", (unsigned long long)pair.failures);
	ok(run("rmdir root/t/*/x") && !push_keeping("src/t", "", 0) && same_trees("src/t", "root/t"),
	   "empty directories make way");
	ok(!pair_end(), "the conversation goes on");

	if (!run("rm -rf root/*; mkdir outside/in; mkdir -p src/e/l && echo evil >src/e/l/in && "
		 "mkdir root/e && ln -s ../../outside root/e/l"))
		exit(1);
	tree_start(MIB);
	ok(!push_keeping("src/e", "", 0) && run("[ -f root/e/l/in ] && [ ! -L root/e/l ] && [ -d outside/in ]"),
	   "a symbolic link in the way of a directory is replaced, not followed");
	ok(push_keeping("src/none", "", 0) == STATUS_SOURCE, "what is not there: %s", pair.text);
	ok(push_keeping("src/t", "../out", 0) == STATUS_REFUSED, "a way out");
	pair_end();
	if (geteuid())
		return;
	if (!run("rm -rf root/*") || seteuid(65534))
		exit(1);
	tree_start(MIB);
	ok(push_keeping("src/t", "", KEEP_OWNER) == STATUS_REFUSED, "owners without being root");
	pair_end();
	if (seteuid(0))
		exit(1);
}

static void test_hashes(void)
{
	static const unsigned int kinds[] = {
		HASH_PLAIN, HASH_XXH64, HASH_SHA256, HASH_BLAKE3, HASH_NONE,
	};
	size_t i;
	bool good;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!choose_hash(kinds[i]))
			continue;
		if (!run("rm -rf root/* back"))
			exit(1);
		tree_start(MIB);
		good = !push_keeping("src/t", "", 0) && pair.hash_seen == kinds[i];
		good = good && !pull_keeping("t", "back", 0) && pair.hash_seen == kinds[i] &&
		       same_trees("src/t", "back/t");
		ok(!pair_end() && good, "there and back with %s", hash_name(kinds[i]));
	}
	hash = HASH_FASTEST;
	tree_start(MIB);
	request.hash = 200;
	strcpy(request.path, "t");
	good = !conv_send_request(&pair.conv, FRAME_GET, &request, &(struct status){ 0 });
	ok(pair_end() == -STATUS_PROTOCOL && good, "a hash that nobody knows");
}

static void make_files(unsigned int count)
{
	char name[64], data[4096];
	unsigned int i;
	int fd;

	for (i = 0; i < count; i++) {
		if (i % 500 == 0) {
			snprintf(name, sizeof(name), "src/many/%u", i / 500);
			if ((i == 0 && mkdir("src/many", 0755)) || mkdir(name, 0755))
				exit(1);
		}
		snprintf(name, sizeof(name), "src/many/%u/%u", i / 500, i);
		memset(data, i, sizeof(data));
		memcpy(data, &i, sizeof(i));
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (fd < 0 || write(fd, data, sizeof(data)) != sizeof(data))
			exit(1);
		close(fd);
	}
}

static void test_many(unsigned int count, bool compare)
{
	int64_t start;
	uint64_t calls;

	make_files(count);
	if (!run("rm -rf root/* back"))
		exit(1);
	tree_start(MIB);
	start = now_ns();
	ok(!push_keeping("src/many", "", 0), "push of %u files", count);
	printf("# %.0f files/s\n", count * 1e9 / (now_ns() - start));
	calls = pair.link.sides[0].calls + pair.link.sides[1].calls;
	ok(calls < count / 2 + 100, "less than a call for two files (%llu)",
	   (unsigned long long)calls);
	start = now_ns();
	ok(!pull_keeping("many", "back", 0), "pull of them");
	printf("# %.0f files/s\n", count * 1e9 / (now_ns() - start));
	pair_end();
	if (compare)
		ok(same_trees("src/many", "root/many") && same_trees("src/many", "back/many"),
		   "and all are the same");
}

int main(int argc, char **argv)
{
	transfer_setup();
	if (argc > 1) {
		test_many(atoi(argv[1]), false);
	} else {
		make_tree();
		test_tree(8192);
		test_tree(MIB);
		test_attributes();
		test_obstacles();
		test_hashes();
		test_many(3000, true);
	}
	return transfer_done();
}

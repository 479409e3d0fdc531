// SPDX-License-Identifier: GPL-2.0
/* Manifests: what is written can be read, and what has changed is found. */
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "manifest.h"
#include "tap.h"
#include "util.h"

static const char * const names[] = {
	"plain", "with space ", "new\nline", "back\\slash", "\\first", "re\rturn", "\377\376",
	"sub/deeper", "# ivring manifest 1", "hole",
};

static char dir[] = "/tmp/ivring-test-manifest-XXXXXX";

static void make_file(const char *name, const char *text, uint64_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0 || (size && ftruncate(fd, size)))
		exit(1);
	close(fd);
}

static void fresh_files(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		make_file(names[i], names[i], strcmp(names[i], "hole") ? 0 : 1 << 20);
}

/* As push and pull do it. */
static bool write_manifest(const char *path, enum hash_kind kind)
{
	static struct entry e;
	struct manifest m = { 0 };
	uint8_t zeros[4096] = { 0 };
	struct hash h = { 0 };
	struct status st;
	uint64_t left;
	size_t i;

	if (manifest_create(&m, path, 022, &st))
		return false;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		e.mode = S_IFREG | 0644;
		e.hash_kind = kind;
		e.size = strcmp(names[i], "hole") ? strlen(names[i]) : 1 << 20;
		hash_init(&h, kind);
		hash_data(&h, names[i], strlen(names[i]));
		for (left = e.size - strlen(names[i]); left; left -= min_u64(left, sizeof(zeros)))
			hash_data(&h, zeros, min_u64(left, sizeof(zeros)));
		hash_final(&h, e.digest);
		manifest_add(&m, &e, names[i]);
	}
	e.mode = S_IFDIR | 0755;
	manifest_add(&m, &e, "sub");
	hash_free(&h);
	return !manifest_end(&m, true, &st);
}

/* What it prints is no TAP. */
static int verify(const char *option)
{
	char *argv[] = { "verify", (char *)option, "../m", ".", NULL };

	optind = 0;
	return cmd_verify(4, argv);
}

static void test_round(void)
{
	static const enum hash_kind kinds[] = {
		HASH_PLAIN, HASH_BLOCKS, HASH_XXH64, HASH_SHA256, HASH_BLAKE3,
	};
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!hash_known(kinds[i])) {
			tap_skip(hash_name(kinds[i]), "its library is not here");
			continue;
		}
		fresh_files();
		ok(write_manifest("../m", kinds[i]) && !verify("-q"), "%s: all is as it was",
		   hash_name(kinds[i]));
	}
	ok(!stat("../m", &st) && (st.st_mode & 07777) == 0644 &&
	   !system("[ \"$(ls ..)\" = \"$(printf 'd\\nm')\" ]"), "it has its mode, and no litter");
	if (hash_known(HASH_SHA256))
		ok(write_manifest("../m", HASH_SHA256) &&
		   !system("sed -n 's/^\\(\\\\\\?\\)sha256:\\([0-9a-f]*\\) [0-9]* /\\1\\2  /p' ../m | "
			   "LC_ALL=C sha256sum -c --quiet"), "sha256sum agrees, with its escapes");
}

static void test_changes(void)
{
	static const struct {
		const char *what, *command;
		int code;
	} cases[] = {
		{ "other content", "printf PLAIN >plain", STATUS_DIFFERS },
		{ "another size", "printf x >>plain", STATUS_DIFFERS },
		{ "something in a hole", "printf x | dd of=hole bs=1 seek=500000 conv=notrunc status=none",
		  STATUS_DIFFERS },
		{ "a missing file", "rm plain", STATUS_DIFFERS },
		{ "a missing directory", "rm -r sub", STATUS_DIFFERS },
		{ "a directory instead", "rm plain; mkdir plain", STATUS_DIFFERS },
		{ "a fifo instead", "rm plain; mkfifo plain", STATUS_DIFFERS },
		{ "a link instead", "mv plain other; ln -s other plain", STATUS_DIFFERS },
		{ "a file more", "touch more", 0 },
		{ "a path that leads out", "cp ../m plain; sed -i 's, plain$, ../m,' ../m", STATUS_SOURCE },
		{ "another file's manifest", "printf 'x\\n' >../m", STATUS_USAGE },
		{ "a line too many", "echo xxh3-128:12 5 plain >>../m", STATUS_USAGE },
		{ "a hash that nobody knows", "echo md5:12 5 plain >>../m", STATUS_USAGE },
		{ "a line cut off", "truncate -s -1 ../m", STATUS_USAGE },
		{ "no manifest", "rm ../m", STATUS_SOURCE },
	};
	size_t i;
	int code;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (system("rm -rf ./* && mkdir sub"))
			exit(1);
		fresh_files();
		if (!write_manifest("../m", HASH_PLAIN) || system(cases[i].command))
			exit(1);
		code = verify("-q");
		ok(code == cases[i].code, "%s: %d", cases[i].what, code);
	}
}

static void test_end(void)
{
	struct manifest m = { 0 };
	struct status st;

	ok(manifest_create(&m, "none/m", 022, &st) == -STATUS_DEST, "no such directory: %s", st.text);
	if (system("echo old >../m"))
		exit(1);
	ok(!manifest_create(&m, "../m", 022, &st) && !manifest_end(&m, false, &st) &&
	   !system("[ \"$(cat ../m)\" = old ] && [ $(ls .. | wc -l) = 2 ]"),
	   "one that was not finished leaves the old one, and nothing else");
}

int main(void)
{
	char command[128];

	if (!mkdtemp(dir) || chdir(dir) || mkdir("d", 0755) || chdir("d") || mkdir("sub", 0755))
		return 1;
	test_round();
	test_changes();
	test_end();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) ? 1 : tap_done();
}

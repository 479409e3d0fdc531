// SPDX-License-Identifier: GPL-2.0
/* Names that a hostile peer chooses stay beneath the root. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "path.h"
#include "tap.h"
#include "tempfile.h"
#include "util.h"

static char dir[] = "/tmp/ivring-test-path-XXXXXX";
static struct path_root root = { .confined = true, .whose = "the agent's" };

static void run(const char *command)
{
	if (system(command)) {
		printf("Bail out! %s\n", command);
		exit(1);
	}
}

static int source(const char *path)
{
	struct status st;
	struct stat stat;
	int fd;

	if (path_open_source(&root, path, &fd, &stat, &st))
		return st.code;
	/* What is neither file nor directory is not opened. */
	if ((fd < 0) != !(S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode)))
		return STATUS_FAIL;
	if (fd >= 0)
		close(fd);
	return 0;
}

static void test_sources(void)
{
	static const struct {
		const char *path;
		int code;
	} cases[] = {
		{ "file", 0 },
		{ "/file", 0 },
		{ "//file", 0 },
		{ "sub/file", 0 },
		{ "inner-link", 0 },
		{ "missing", STATUS_SOURCE },
		{ "sub", 0 },
		{ "", 0 },
		{ "fifo", 0 },
		{ "../outside", STATUS_REFUSED },
		{ "sub/../file", STATUS_REFUSED },
		{ "sub/..", STATUS_REFUSED },
		{ "outer-link", STATUS_REFUSED },
		{ "absolute-link", STATUS_REFUSED },
		{ "outer-dir/outside", STATUS_REFUSED },
		{ "..x", STATUS_SOURCE },
		{ "file/", STATUS_SOURCE },
	};
	size_t i;
	int code;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		code = source(cases[i].path);
		ok(code == cases[i].code, "source '%s': %d, want %d", cases[i].path, code,
		   cases[i].code);
	}
}

/* Where it leads, as seen from the root; or the code. */
static const char *dest(const char *path, const char *base, bool into_dir)
{
	static char text[PATH_MAX + NAME_MAX + 2];
	char proc[64], where[PATH_MAX];
	struct path_dest d;
	struct status st;
	ssize_t len;

	if (path_resolve_dest(&root, path, base, into_dir, &d, &st)) {
		snprintf(text, sizeof(text), "%d", st.code);
		return text;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", d.dirfd);
	len = readlink(proc, where, sizeof(where) - 1);
	where[len > 0 ? len : 0] = '\0';
	snprintf(text, sizeof(text), "%s/%s", where + strlen(dir) + strlen("/root"), d.name);
	path_dest_close(&d);
	return text;
}

static void test_dests(void)
{
	static const struct {
		const char *path, *base;
		bool into_dir;
		const char *want;
	} cases[] = {
		{ "", "x", false, "/x" },
		{ "/", "x", true, "/x" },
		{ "new", "x", false, "/new" },
		{ "/new", "x", false, "/new" },
		{ "file", "x", false, "/file" },
		{ "sub", "x", false, "/sub/x" },
		{ "sub/", "x", false, "/sub/x" },
		{ "sub/new", "x", false, "/sub/new" },
		{ "inner-dir", "x", true, "/sub/x" },
		{ "new/", "x", false, "9" },
		{ "new", "x", true, "9" },
		{ "file", "x", true, "9" },
		{ "missing/new", "x", false, "9" },
		{ "file/new", "x", false, "9" },
		{ "", "sub", false, "9" },
		{ "fifo", "x", false, "9" },
		{ "", "..", false, "9" },
		{ "", ".", false, "9" },
		{ "", "", false, "9" },
		{ "", "a/b", false, "9" },
		{ "sub", "../x", false, "9" },
		{ "sub", ".ivring-abc123", false, "9" },
		{ "..", "x", false, "17" },
		{ "../x", "x", false, "17" },
		{ "sub/../../x", "x", false, "17" },
		{ "outer-dir", "x", false, "17" },
		{ "outer-dir/new", "x", false, "17" },
		{ "outer-link", "x", false, "17" },
	};
	const char *got;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		got = dest(cases[i].path, cases[i].base, cases[i].into_dir);
		ok(!strcmp(got, cases[i].want), "dest '%s' base '%s'%s: %s, want %s",
		   cases[i].path, cases[i].base, cases[i].into_dir ? " into" : "", got,
		   cases[i].want);
	}
}

/* The code, or zero; what was made is removed again. */
static int dest_dir(const char *path)
{
	struct status st;
	int fd;

	if (path_open_dest_dir(&root, path, 0700, &fd, &st))
		return st.code;
	close(fd);
	unlinkat(root.fd, path, AT_REMOVEDIR);
	return 0;
}

static void test_dest_dirs(void)
{
	static const struct {
		const char *path;
		int code;
	} cases[] = {
		{ "sub", 0 },
		{ "new", 0 },
		{ "sub/new/", 0 },
		{ "sub/missing/new", STATUS_DEST },
		{ "file", STATUS_DEST },
		{ "../new", STATUS_REFUSED },
		{ "outer-dir/new", STATUS_REFUSED },
		{ ".ivring-abc123", STATUS_DEST },
		{ "sub/.ivring-abc123/", STATUS_DEST },
	};
	size_t i;
	int code;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		code = dest_dir(cases[i].path);
		ok(code == cases[i].code, "directory '%s': %d, want %d", cases[i].path, code,
		   cases[i].code);
	}
}

/* Temporary files in the root. */
static int count_temps(void)
{
	int count = 0, fd = openat(root.fd, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	struct dirent *entry;

	while ((entry = readdir(d)))
		count += tempfile_is_name(entry->d_name);
	closedir(d);
	return count;
}

static int create_any(struct tempfile *t, int dirfd)
{
	struct tempfile_dir d;

	tempfile_dir_init(&d, dirfd);
	return tempfile_create(t, &d, 0600);
}

static bool rename_to(struct tempfile *t, const char *name, int want)
{
	int replaced, ret = tempfile_rename(t, name, &replaced);

	if (replaced >= 0)
		close(replaced);
	return ret == want;
}

static void test_tempfile(int (*create)(struct tempfile *t, int dirfd), const char *kind)
{
	char name[NAME_MAX + 1], first[TEMPFILE_NAME_SIZE];
	struct tempfile t;
	struct stat stat;

	memset(name, 'n', sizeof(name) - 1);
	name[NAME_MAX] = '\0';
	ok(!create(&t, root.fd), "%s: a temporary file", kind);
	ok(!fstat(t.fd, &stat) && (stat.st_mode & 07777) == 0600, "is private");
	ok(write(t.fd, "1", 1) == 1 && rename_to(&t, name, 0) &&
	   !fstatat(root.fd, name, &stat, 0) && stat.st_size == 1 && !count_temps(),
	   "gets its name, the longest one");
	ok(!create(&t, root.fd) && rename_to(&t, name, 0) &&
	   !fstatat(root.fd, name, &stat, 0) && !stat.st_size && !count_temps(),
	   "replaces what had the name");
	unlinkat(root.fd, name, 0);
	ok(!create(&t, root.fd) && rename_to(&t, "none/such", -ENOENT) && !count_temps(),
	   "is gone when it cannot have the name");
	ok(!create(&t, root.fd) && rename_to(&t, "sub", -EISDIR) && rename_to(&t, "other", 0) &&
	   !unlinkat(root.fd, "other", 0), "does not replace a directory, and may have another name");
	ok(!create(&t, root.fd) && rename_to(&t, "fifo", -EEXIST) && !count_temps(),
	   "replaces files and links only");
	ok(!create(&t, root.fd), "another one");
	strcpy(first, t.name);
	tempfile_collect(root.fd);
	ok(!first[0] || !fstatat(root.fd, first, &stat, 0), "is no litter");
	tempfile_emergency();
	ok(!count_temps(), "is gone in an emergency");
	tempfile_discard(&t);
}

/* A process that has such a file, and is killed. */
static pid_t start_victim(int (*create)(struct tempfile *t, int dirfd))
{
	struct tempfile t;
	int ready[2];
	pid_t pid;
	char c;

	if (pipe(ready))
		exit(1);
	pid = fork();
	if (!pid) {
		if (create(&t, root.fd) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(ready[0], &c, 1) != 1)
		exit(1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void kill_victim(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_litter(void)
{
	struct tempfile t;
	struct stat stat;
	pid_t victim;

	if (create_any(&t, root.fd) || t.name[0]) {
		tap_skip("nothing is left of an unnamed file", "no O_TMPFILE here");
		tempfile_discard(&t);
	} else {
		tempfile_discard(&t);
		kill_victim(start_victim(create_any));
		ok(!count_temps(), "nothing is left of an unnamed file after SIGKILL");
	}
	victim = start_victim(tempfile_create_named);
	tempfile_collect(root.fd);
	ok(count_temps() == 1, "a file that is being worked on is no litter");
	kill_victim(victim);
	ok(count_temps() == 1, "SIGKILL leaves a named one");
	run("echo x > root/.ivring-abc && echo x > root/.ivring-abcdeF "
	    "&& echo x > root/a.ivring-abcdef && mkfifo root/.ivring-fififo && ln -s file root/.ivring-linklk");
	tempfile_collect(root.fd);
	ok(count_temps() == 2, "which is collected");
	ok(!fstatat(root.fd, ".ivring-abc", &stat, 0) &&
	   !fstatat(root.fd, ".ivring-abcdeF", &stat, 0) &&
	   !fstatat(root.fd, "a.ivring-abcdef", &stat, 0) &&
	   !fstatat(root.fd, ".ivring-fififo", &stat, 0) &&
	   !fstatat(root.fd, ".ivring-linklk", &stat, 0), "and nothing else is");
	run("rm root/.ivring-* root/a.ivring-abcdef");
}

static void test_printable_cut(void)
{
	char text[PATH_MAX];
	const char *cut;

	memset(text, 'p', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	/* A character of two bytes, across the cut. */
	memcpy(text + PRINTABLE_CUT - 1, "\xc3\xa4", 2);
	cut = printable_cut(text);
	ok(strlen(cut) == PRINTABLE_CUT - 1 + 3 && !strcmp(cut + PRINTABLE_CUT - 1, "..."),
	   "a long name is cut between characters");
	ok(!strcmp(printable_cut("a\033b"), "a?b"), "a short one is not");
}

static void test_split(void)
{
	const char *path = NULL;
	char link[64];

	ok(client_split("vm0:a:b", link, &path) && !strcmp(link, "vm0") && !strcmp(path, "a:b"),
	   "the first colon separates");
	ok(client_split("/dev/ivring0:x", link, &path) && !strcmp(link, "/dev/ivring0"),
	   "a device node names a link");
	ok(client_split("vm0:", link, &path) && !*path, "an empty path");
	ok(!client_split("./a:b", link, &path) && !client_split("file", link, &path) &&
	   !client_split(":x", link, &path) && !client_split("/tmp/a:b", link, &path),
	   "local names");
}

int main(void)
{
	char path[128];

	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	run("mkdir -p root/sub && echo x > outside && echo y > root/file && echo z > root/sub/file "
	    "&& mkfifo root/fifo && ln -s sub/file root/inner-link && ln -s sub root/inner-dir "
	    "&& ln -s ../outside root/outer-link && ln -s /etc/passwd root/absolute-link "
	    "&& ln -s .. root/outer-dir");
	snprintf(path, sizeof(path), "%s/root", dir);
	root.fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	test_sources();
	test_dests();
	test_dest_dirs();
	test_tempfile(create_any, "without a name");
	test_tempfile(tempfile_create_named, "with a name");
	test_litter();
	test_printable_cut();
	test_split();
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	run(path);
	return tap_done();
}

// SPDX-License-Identifier: GPL-2.0
/* Compares files with a manifest that push or pull wrote. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "hash-file.h"
#include "manifest.h"
#include "path.h"
#include "report.h"
#include "util.h"

static const char usage[] =
"Usage: ivring verify [OPTION...] MANIFEST DIR\n"
"Compares the files in DIR with MANIFEST, which --manifest of push or pull wrote, and\n"
"lists those that are missing, differ or cannot be read. Other files are no matter.\n\n"
"  -q, --quiet  no list, no summary\n"
"      --json   one JSON object per line instead of text\n"
"  -h, --help\n";

enum { OPT_JSON = 256 };

static const struct option longopts[] = {
	{ "quiet", no_argument, NULL, 'q' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct verify {
	const char *name;		/* of the manifest */
	int dirfd;
	bool quiet;
	bool json;
	struct hash hash;
	struct manifest_line line;
	unsigned long long files;
	unsigned long long bytes;
	unsigned long long differ;	/* or are missing */
	unsigned long long unread;
};

static void tell(struct verify *v, const char *result, const char *text)
{
	if (v->quiet)
		return;
	if (!v->json) {
		printf("%s: %s\n", printable(v->line.path), text);
		return;
	}
	fputs("{\"type\":\"verify\",\"path\":", stdout);
	report_json_string(v->line.path);
	printf(",\"result\":\"%s\",\"text\":", result);
	report_json_string(text);
	puts("}");
}

static void differs(struct verify *v, const char *result, const char *text)
{
	v->differ++;
	tell(v, result, text);
}

static void unreadable(struct verify *v, int err)
{
	v->unread++;
	tell(v, "unreadable", strerror(err));
}

static int check_open_file(struct verify *v, int fd, struct status *st)
{
	uint8_t digest[HASH_DIGEST_SIZE];
	struct stat stat;
	char text[80];
	int ret;

	if (fstat(fd, &stat)) {
		unreadable(v, errno);
		return 0;
	}
	if (!S_ISREG(stat.st_mode)) {
		differs(v, "differs", "is not a regular file");
		return 0;
	}
	if ((uint64_t)stat.st_size != v->line.size) {
		snprintf(text, sizeof(text), "has %llu bytes instead of %llu",
			 (unsigned long long)stat.st_size, (unsigned long long)v->line.size);
		differs(v, "differs", text);
		return 0;
	}
	if (hash_init(&v->hash, v->line.kind))
		return status_set(st, STATUS_FAIL, "out of memory");
	ret = hash_file(&v->hash, fd, 0, v->line.size);
	if (ret == -EINTR)
		return status_set(st, STATUS_INTERRUPTED, "interrupted");
	if (ret) {
		unreadable(v, -ret);
		return 0;
	}
	hash_final(&v->hash, digest);
	v->bytes += v->line.size;
	if (memcmp(digest, v->line.digest, sizeof(digest)))
		differs(v, "differs", "has other content");
	return 0;
}

static int check_file(struct verify *v, struct status *st)
{
	int fd, ret;

	v->files++;
	if (!hash_known(v->line.kind))
		return status_set(st, STATUS_FAIL, "there is no library for %s here",
				  hash_name(v->line.kind));
	/* Not through any link, nor out of the directory; and no fifo is waited for. */
	fd = path_open_within(v->dirfd, v->line.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd == -ENOENT || fd == -ENOTDIR) {
		differs(v, "missing", "is missing");
		return 0;
	}
	if (fd == -ELOOP) {
		differs(v, "differs", "is reached through a symbolic link only");
		return 0;
	}
	if (fd < 0) {
		unreadable(v, -fd);
		return 0;
	}
	ret = check_open_file(v, fd, st);
	close(fd);
	return ret;
}

/* A line without its newline. One that lacks it is cut off. */
static bool next_line(FILE *file, char **text, size_t *size)
{
	ssize_t len = getline(text, size, file);

	if (len <= 0)
		return false;
	if ((*text)[len - 1] != '\n' || strlen(*text) != (size_t)len)
		(*text)[0] = '\0';
	else
		(*text)[len - 1] = '\0';
	return true;
}

static int check_all(struct verify *v, FILE *file, struct status *st)
{
	unsigned long long number = 1;
	char *text = NULL;
	size_t size = 0;
	int ret = 0;

	if (!next_line(file, &text, &size) || strcmp(text, MANIFEST_FIRST_LINE))
		ret = status_set(st, STATUS_USAGE, "%s: is no manifest", printable_cut(v->name));
	while (!ret && next_line(file, &text, &size)) {
		number++;
		ret = manifest_parse(text, &v->line) ? check_file(v, st) :
		      status_set(st, STATUS_USAGE, "%s: line %llu makes no sense",
				 printable_cut(v->name), number);
	}
	if (!ret && ferror(file))
		ret = status_errno(st, STATUS_IO, errno, "%s", printable_cut(v->name));
	free(text);
	return ret;
}

static void tell_summary(const struct verify *v, const char *dir, int code)
{
	unsigned long long good = v->files - v->differ - v->unread;

	if (v->quiet)
		return;
	if (!v->json) {
		printf("%s: %llu files, %llu good, %llu differ or are missing, %llu unreadable\n",
		       printable(dir), v->files, good, v->differ, v->unread);
		return;
	}
	fputs("{\"type\":\"summary\",\"name\":", stdout);
	report_json_string(dir);
	printf(",\"files\":%llu,\"bytes\":%llu,\"good\":%llu,\"differ\":%llu,\"unreadable\":%llu,"
	       "\"code\":%d}\n", v->files, v->bytes, good, v->differ, v->unread, code);
}

static int verify(struct verify *v, const char *dir)
{
	struct status st = { 0 };
	FILE *file;
	int ret;

	v->dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (v->dirfd < 0) {
		complain("verify: %s: %s", printable(dir), strerror(errno));
		return STATUS_SOURCE;
	}
	file = fopen(v->name, "re");
	if (!file) {
		complain("verify: %s: %s", printable(v->name), strerror(errno));
		close(v->dirfd);
		return STATUS_SOURCE;
	}
	ret = check_all(v, file, &st);
	if (ret)
		complain("verify: %s", st.text);
	else
		st.code = v->differ ? STATUS_DIFFERS : v->unread ? STATUS_SOURCE : 0;
	if (!ret || v->json)
		tell_summary(v, dir, st.code);
	fclose(file);
	close(v->dirfd);
	hash_free(&v->hash);
	return st.code;
}

int cmd_verify(int argc, char **argv)
{
	static struct verify v;
	int opt;

	memset(&v, 0, sizeof(v));
	while ((opt = getopt_long(argc, argv, "qh", longopts, NULL)) != -1) {
		switch (opt) {
		case 'q':
			v.quiet = true;
			continue;
		case OPT_JSON:
			v.json = true;
			continue;
		case 'h':
			fputs(usage, stdout);
			return STATUS_OK;
		}
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	if (argc - optind != 2) {
		complain("verify: needs MANIFEST and DIR");
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	v.name = argv[optind];
	stop_install();
	return verify(&v, argv[optind + 1]);
}

// SPDX-License-Identifier: GPL-2.0
#include "manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

int manifest_create(struct manifest *m, const char *path, mode_t umask, struct status *st)
{
	int fd;

	m->path = path;
	m->err = 0;
	if (asprintf(&m->temp, "%s.XXXXXX", path) < 0) {
		m->temp = NULL;
		return status_set(st, STATUS_FAIL, "out of memory");
	}
	fd = mkostemp(m->temp, O_CLOEXEC);
	m->file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!m->file) {
		status_errno(st, STATUS_DEST, errno, "cannot make the manifest %s",
			     printable_cut(path));
		if (fd >= 0) {
			close(fd);
			unlink(m->temp);
		}
		free(m->temp);
		m->temp = NULL;
		return -st->code;
	}
	fchmod(fd, 0666 & ~umask);
	fputs(MANIFEST_FIRST_LINE "\n", m->file);
	return 0;
}

static void put_path(FILE *file, const char *path)
{
	for (; *path; path++) {
		if (*path == '\n')
			fputs("\\n", file);
		else if (*path == '\r')
			fputs("\\r", file);
		else if (*path == '\\')
			fputs("\\\\", file);
		else
			putc(*path, file);
	}
}

void manifest_add(struct manifest *m, const struct entry *e, const char *path)
{
	char hex[HASH_TEXT_SIZE];

	if (!m->file || !S_ISREG(e->mode) || e->hash_kind == HASH_NONE)
		return;
	hash_text(e->hash_kind, e->digest, hex);
	fprintf(m->file, "%s%s:%s %llu ", strpbrk(path, "\n\r\\") ? "\\" : "",
		hash_name(e->hash_kind), hex, (unsigned long long)e->size);
	put_path(m->file, path);
	if (putc('\n', m->file) == EOF && !m->err)
		m->err = errno;
}

void manifest_mark(struct manifest *m)
{
	m->mark = m->file ? ftell(m->file) : 0;
}

void manifest_rewind(struct manifest *m)
{
	if (m->file && (fflush(m->file) || fseek(m->file, m->mark, SEEK_SET) ||
			ftruncate(fileno(m->file), m->mark)) && !m->err)
		m->err = errno;
}

int manifest_end(struct manifest *m, bool good, struct status *st)
{
	int err = m->err;

	if (!m->file)
		return 0;
	if (fflush(m->file) && !err)
		err = errno;
	if (ferror(m->file) && !err)
		err = EIO;
	if (fclose(m->file) && !err)
		err = errno;
	if (good && !err && rename(m->temp, m->path))
		err = errno;
	if (!good || err)
		unlink(m->temp);
	free(m->temp);
	m->temp = NULL;
	m->file = NULL;
	return good && err ? status_errno(st, STATUS_DEST, err, "cannot write the manifest %s",
					  printable_cut(m->path)) : 0;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool parse_digest(const char *hex, struct manifest_line *line)
{
	size_t size = hash_size(line->kind), i;
	int high, low;

	memset(line->digest, 0, sizeof(line->digest));
	if (strlen(hex) != 2 * size)
		return false;
	for (i = 0; i < size; i++) {
		high = hex_digit(hex[2 * i]);
		low = hex_digit(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		line->digest[i] = high << 4 | low;
	}
	return true;
}

static bool parse_path(const char *from, bool escaped, char path[PATH_MAX])
{
	size_t len = 0;

	for (; *from; from++) {
		if (len == PATH_MAX - 1)
			return false;
		if (!escaped || *from != '\\') {
			path[len++] = *from;
			continue;
		}
		from++;
		if (*from != 'n' && *from != 'r' && *from != '\\')
			return false;
		path[len++] = *from == 'n' ? '\n' : *from == 'r' ? '\r' : '\\';
	}
	path[len] = '\0';
	return len;
}

bool manifest_parse(char *text, struct manifest_line *line)
{
	bool escaped = *text == '\\';
	char *kind = text + escaped, *hash, *size, *path;
	int found;

	hash = strchr(kind, ':');
	size = hash ? strchr(hash, ' ') : NULL;
	path = size ? strchr(size + 1, ' ') : NULL;
	if (!path)
		return false;
	*hash++ = *size++ = *path++ = '\0';
	found = hash_find(kind);
	if (found < 0 || found == HASH_NONE)
		return false;
	line->kind = found;
	return parse_digest(hash, line) && parse_number(size, INT64_MAX, &line->size) &&
	       parse_path(path, escaped, line->path);
}

// SPDX-License-Identifier: GPL-2.0
/* metrics: the counters of all links for Prometheus: printed, as a file, or by HTTP. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "counters.h"
#include "libivring.h"
#include "metrics-http.h"
#include "metrics.h"
#include "status.h"
#include "tempfile.h"
#include "util.h"

#define CLIENT_MS	5000

/*
 * All links that this user may look at. Returns 0 or -errno. No module and no link is what
 * a machine may be like for a while: nothing is up then.
 */
static int take(struct samples *s)
{
	struct ivring_link_info *list;
	size_t count, i;
	int ret;

	memset(s, 0, sizeof(*s));
	ret = ivring_link_list(&list, &count);
	if (ret) {
		complain("metrics: cannot look at the links in /dev: %s", strerror(-ret));
		return ret;
	}
	for (i = 0; i < count; i++) {
		ret = samples_add(s, IVRING_SYSFS_CLASS, &list[i]);
		/* Went meanwhile */
		if (ret && ret != -ENOENT && ret != -ENODEV)
			complain("metrics: " IVRING_SYSFS_CLASS "/ivring%u: %s", list[i].link,
				 strerror(-ret));
	}
	free(list);
	return 0;
}

static int make_page(char **page, size_t *len)
{
	struct samples s;
	FILE *out;
	int ret;

	ret = take(&s);
	if (ret)
		return ret;
	*page = NULL;
	out = open_memstream(page, len);
	if (!out) {
		ret = -ENOMEM;
	} else {
		metrics_print(out, &s);
		if (fclose(out)) {
			ret = -ENOMEM;
			free(*page);
		}
	}
	samples_free(&s);
	return ret;
}

static int write_all(int fd, const char *page, size_t len)
{
	ssize_t n;

	for (; len; page += n, len -= n) {
		n = write(fd, page, len);
		if (n < 0)
			return -errno;
	}
	return 0;
}

/* Readers see the old file or the new one, whole. */
static int replace(const char *path, const char *page, size_t len)
{
	const char *slash = strrchr(path, '/');
	struct tempfile file;
	int dirfd, old = -1, ret;
	char *parent;

	parent = slash ? strndup(path, slash - path + 1) : strdup(".");
	if (!parent)
		return -ENOMEM;
	dirfd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	if (dirfd < 0)
		return -errno;
	stop_install();
	tempfile_collect(dirfd);
	ret = tempfile_create_named(&file, dirfd);
	if (!ret) {
		ret = write_all(file.fd, page, len);
		if (!ret && fchmod(file.fd, 0666 & ~read_umask()))
			ret = -errno;
		if (!ret && stop_signal)
			ret = -EINTR;
		if (ret)
			tempfile_discard(&file);
		else
			ret = tempfile_rename(&file, slash ? slash + 1 : path, &old);
		if (ret == -EISDIR)
			tempfile_discard(&file);
		if (old >= 0)
			close(old);
	}
	close(dirfd);
	return ret;
}

static int once(const char *path)
{
	char *page;
	size_t len;
	int ret;

	ret = make_page(&page, &len);
	if (ret)
		return status_access(-ret, STATUS_IO);
	ret = path ? replace(path, page, len) : write_all(STDOUT_FILENO, page, len);
	free(page);
	if (!ret)
		return STATUS_OK;
	if (ret == -EINTR)
		return STATUS_INTERRUPTED;
	complain("metrics: %s: %s", path ? printable(path) : "standard output", strerror(-ret));
	return !path ? STATUS_IO : ret == -ENOSPC || ret == -EDQUOT ? STATUS_NO_SPACE : STATUS_DEST;
}

static int serve(const char *where)
{
	struct metrics_socket s;
	struct status st;

	if (metrics_listen(&s, where, &st)) {
		complain("metrics: %s", st.text);
		return st.code;
	}
	st.code = STATUS_OK;
	if (metrics_serve(&s, make_page, CLIENT_MS, &st))
		complain("metrics: %s", st.text);
	metrics_close(&s);
	return st.code;
}

static const char usage[] =
	"Usage: ivring metrics [--output FILE | --listen WHERE]\n"
	"Prints the counters of all links as Prometheus reads them.\n\n"
	"  -o, --output FILE    replace FILE, for the node exporter's textfile collector\n"
	"  -l, --listen WHERE   answer at http://WHERE/metrics until a signal: /PATH of a UNIX\n"
	"                       socket, a PORT of 127.0.0.1, [::1]:PORT, or systemd\n";

int cmd_metrics(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "listen", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *output = NULL, *where = NULL;
	int opt;

	while ((opt = getopt_long(argc, argv, "o:l:h", longopts, NULL)) != -1) {
		switch (opt) {
		case 'o':
			output = optarg;
			break;
		case 'l':
			where = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return STATUS_OK;
		default:
			return STATUS_USAGE;
		}
	}
	if (optind != argc || (output && where)) {
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	return where ? serve(where) : once(output);
}

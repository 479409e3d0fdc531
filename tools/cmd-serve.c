// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ivring/wire.h>

#include "cmd.h"
#include "fdstore.h"
#include "host.h"
#include "ivshmem-server.h"
#include "util.h"

/* Smaller regions are possible, and pointless: nobody would want their rings. */
#define REGION_SIZE_MIN	(1ULL << 20)

static const char usage[] =
"Usage: ivring serve [OPTION...] NAME...\n"
"Makes a link for each NAME, attaches this host's kernel to it, and serves it to\n"
"QEMU at DIR/NAME.sock, until it is told to end by SIGINT or SIGTERM.\n\n"
"  -s, --size SIZE         shared memory of each link, a power of two (64M)\n"
"  -c, --channels N        channels of each link (4)\n"
"      --ring-size SIZE    of each direction of a channel (the largest that fits)\n"
"      --vectors N         doorbell vectors of each side, 1 to 256 (channels + 1)\n"
"      --hugepages[=SIZE]  use huge pages, of 2M or 1G (2M)\n"
"      --no-host           do not attach the host: a link between two VMs\n"
"      --socket-dir DIR    where the sockets are (/run/ivring)\n"
"      --mode MODE         of the sockets (0660)\n"
"      --group GROUP       of the sockets\n"
"  -h, --help\n";

enum {
	OPT_RING_SIZE = 256,
	OPT_VECTORS,
	OPT_HUGEPAGES,
	OPT_NO_HOST,
	OPT_SOCKET_DIR,
	OPT_MODE,
	OPT_GROUP,
};

static const struct option longopts[] = {
	{ "size", required_argument, NULL, 's' },
	{ "channels", required_argument, NULL, 'c' },
	{ "ring-size", required_argument, NULL, OPT_RING_SIZE },
	{ "vectors", required_argument, NULL, OPT_VECTORS },
	{ "hugepages", optional_argument, NULL, OPT_HUGEPAGES },
	{ "no-host", no_argument, NULL, OPT_NO_HOST },
	{ "socket-dir", required_argument, NULL, OPT_SOCKET_DIR },
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "group", required_argument, NULL, OPT_GROUP },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct serve_options {
	uint64_t size;
	uint64_t ring_size;
	uint64_t channels;
	uint64_t vectors;
	uint64_t huge_size;		/* zero: ordinary pages */
	bool no_host;
	const char *socket_dir;
	mode_t mode;
	gid_t group;
};

static bool parse_mode(const char *text, mode_t *mode)
{
	char *end;
	unsigned long value = strtoul(text, &end, 8);

	*mode = value;
	return end != text && !*end && value <= 0777;
}

static bool parse_group(const char *text, gid_t *group)
{
	const struct group *entry = getgrnam(text);
	uint64_t number;

	if (entry)
		*group = entry->gr_gid;
	else if (parse_number(text, UINT32_MAX - 1, &number))
		*group = number;
	else
		return false;
	return true;
}

static bool parse_huge(const char *text, uint64_t *size)
{
	if (!text)
		*size = 2ULL << 20;
	else if (!parse_size(text, size))
		return false;
	return *size == 2ULL << 20 || *size == 1ULL << 30;
}

static bool apply_option(struct serve_options *o, int opt)
{
	switch (opt) {
	case 's':
		return parse_size(optarg, &o->size);
	case 'c':
		return parse_number(optarg, IVRING_WIRE_CHANNELS_MAX, &o->channels) && o->channels;
	case OPT_RING_SIZE:
		return parse_size(optarg, &o->ring_size);
	case OPT_VECTORS:
		return parse_number(optarg, IVSHMEM_VECTORS_MAX, &o->vectors) && o->vectors;
	case OPT_HUGEPAGES:
		return parse_huge(optarg, &o->huge_size);
	case OPT_NO_HOST:
		o->no_host = true;
		return true;
	case OPT_SOCKET_DIR:
		o->socket_dir = optarg;
		return true;
	case OPT_MODE:
		return parse_mode(optarg, &o->mode);
	case OPT_GROUP:
		return parse_group(optarg, &o->group);
	}
	return false;
}

/* What is wrong with the command line as a whole, or NULL. */
static const char *find_fault(const struct serve_options *o, int argc, char **argv)
{
	int i, j;

	if (optind == argc)
		return "which names shall the links have?";
	if (!is_power_of_2(o->size) || o->size < REGION_SIZE_MIN)
		return "--size must be a power of two, at least 1M";
	if (o->size > IVRING_WIRE_REGION_SIZE_MAX)
		return "--size is more than a link can have";
	if (o->ring_size && !is_power_of_2(o->ring_size))
		return "--ring-size must be a power of two";
	if (o->huge_size && o->size % o->huge_size)
		return "--size is less than one huge page";
	for (i = optind; i < argc; i++)
		for (j = optind; j < i; j++)
			if (!strcmp(argv[i], argv[j]))
				return "a name is given twice";
	return NULL;
}

static int parse_options(struct serve_options *o, int argc, char **argv)
{
	const char *fault;
	int opt;

	while ((opt = getopt_long(argc, argv, "s:c:h", longopts, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return -1;
		}
		if (opt != '?' && apply_option(o, opt))
			continue;
		complain_option("serve", longopts, opt);
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	if (!o->vectors)
		o->vectors = o->channels + 1;
	fault = find_fault(o, argc, argv);
	if (!fault)
		return 0;
	complain("serve: %s; see `ivring serve --help`", fault);
	return STATUS_USAGE;
}

static int make_memfd(const struct serve_options *o, const char *name, struct status *st)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	char memfd_name[64];
	int fd, err;

	if (o->huge_size)
		flags |= MFD_HUGETLB | (o->huge_size == 1ULL << 30 ? MFD_HUGE_1GB : MFD_HUGE_2MB);
	snprintf(memfd_name, sizeof(memfd_name), "ivring-%s", name);
	fd = memfd_create(memfd_name, flags);
	if (fd < 0)
		return status_errno(st, STATUS_FAIL, errno, "cannot make shared memory");
	/* Huge pages may be missing: better to learn that now than by SIGBUS. */
	if (ftruncate(fd, o->size) || (o->huge_size && fallocate(fd, 0, 0, o->size))) {
		err = errno;
		close(fd);
		return status_errno(st, STATUS_NO_SPACE, err, "cannot get %llu MiB of memory%s",
				    (unsigned long long)o->size >> 20, o->huge_size ?
				    " in huge pages (see /proc/sys/vm/nr_hugepages)" : "");
	}
	return fd;
}

/*
 * Whoever has the memory could punch a hole into it, behind which the sides see
 * different pages. The seals that forbid that forbid writable mappings, too, which
 * QEMU has yet to make; the attribute does not. Where it cannot be had (no
 * CAP_LINUX_IMMUTABLE, huge pages, a kernel without CONFIG_TMPFS_XATTR) that is no
 * reason not to serve.
 */
static void forbid_holes(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags))
		return;
	flags |= FS_IMMUTABLE_FL;
	(void)!ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static int format_region(const struct serve_options *o, const char *name, int fd,
			 struct status *st)
{
	const struct ivring_wire_format format = {
		.region_size = o->size,
		.ring_size = o->ring_size,
		.channels = o->channels,
		.label = name,
		.guests = o->no_host,
	};
	size_t len = o->huge_size ? o->huge_size : IVRING_WIRE_PAGE;
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int ret;

	if (p == MAP_FAILED)
		return status_errno(st, STATUS_FAIL, errno, "cannot map the shared memory");
	ret = ivring_wire_format(p, &format);
	munmap(p, len);
	if (ret)
		return status_set(st, STATUS_USAGE,
				  "%llu channels with rings like that do not fit into %llu MiB",
				  (unsigned long long)o->channels,
				  (unsigned long long)o->size >> 20);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return status_errno(st, STATUS_FAIL, errno, "cannot seal the shared memory");
	forbid_holes(fd);
	return 0;
}

static void print_link(const struct serve_options *o, const char *name, const struct host *host,
		       const struct ivshmem_link *served)
{
	const char *path = ivshmem_link_path(served);
	unsigned int vectors = ivshmem_link_vectors(served);

	if (o->no_host)
		log_line("serve: %s: listening at %s, for two VMs", name, path);
	else
		log_line("serve: %s: link ivring%u, listening at %s", name, host->link, path);
	log_line("serve: %s: arguments for QEMU: -chardev socket,path=%s,id=ivring-%s "
		 "-device ivshmem-doorbell,chardev=ivring-%s,vectors=%u", name, path, name, name,
		 vectors);
	log_line("serve: %s: elements for libvirt: <server path='%s'/> <msi vectors='%u'/>",
		 name, path, vectors);
}

static int add_link(struct ivshmem_server *server, const struct serve_options *o,
		    const char *name, struct host *host, struct status *st)
{
	const struct ivshmem_config config = {
		.name = name,
		.socket_dir = o->socket_dir,
		.vectors = o->vectors,
		.mode = o->mode,
		.group = o->group,
		.host = o->no_host ? NULL : &host_link_ops,
		.host_priv = host,
	};
	struct ivshmem_link *link;
	int fd, ret = 0;

	if (!ivring_wire_label_ok(name))
		return status_set(st, STATUS_USAGE, "a name has 1 to %d of the characters "
				  "A-Z a-z 0-9 . _ - and starts with neither . nor -",
				  IVRING_WIRE_LABEL_SIZE - 1);
	/* What was kept over a restart is as it was, whatever the options are now. */
	fd = ivshmem_kept_memfd(name, !o->no_host);
	if (fd < 0) {
		fd = make_memfd(o, name, st);
		if (fd < 0)
			return fd;
		ret = format_region(o, name, fd, st);
	}
	if (ret) {
		close(fd);
		return ret;
	}
	link = ivshmem_link_add(server, &config, fd, st);
	if (!link)
		return -st->code;
	print_link(o, name, host, link);
	return 0;
}

/* Eventfds add up; so do files on their way to a client. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int setup_signals(struct status *st)
{
	sigset_t signals;
	int fd;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	fd = signalfd(-1, &signals, SFD_CLOEXEC);
	return fd < 0 ? status_errno(st, STATUS_FAIL, errno, "cannot watch for signals") : fd;
}

static int make_socket_dir(const char *dir, struct status *st)
{
	if (!mkdir(dir, 0755)) {
		/* Whatever the umask is: QEMU, which is somebody else, has to get in. */
		if (chmod(dir, 0755))
			return status_errno(st, STATUS_DEST, errno, "cannot set the mode of %s",
					    dir);
		return 0;
	}
	if (errno == EEXIST)
		return 0;
	return status_errno(st, STATUS_DEST, errno, "cannot make the directory %s "
			    "(--socket-dir; its parent must be there and writable)", dir);
}

static int serve_until_signal(struct ivshmem_server *server, int signal_fd, struct status *st)
{
	struct pollfd fds[2] = {
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = ivshmem_server_fd(server), .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			return status_errno(st, STATUS_FAIL, errno, "cannot wait for events");
		}
		if (fds[0].revents)
			return 0;
		ivshmem_server_dispatch(server);
	}
}

int cmd_serve(int argc, char **argv)
{
	struct serve_options o = {
		.size = 64ULL << 20,
		.channels = 4,
		.socket_dir = "/run/ivring",
		.mode = 0660,
		.group = -1,
	};
	struct ivshmem_server *server = NULL;
	int i, ret, signal_fd = -1;
	struct host *hosts;
	struct status st;

	ret = parse_options(&o, argc, argv);
	if (ret)
		return ret < 0 ? STATUS_OK : ret;
	hosts = calloc(argc, sizeof(*hosts));
	if (!hosts)
		return STATUS_FAIL;
	fdstore_open();
	raise_file_limit();
	ret = make_socket_dir(o.socket_dir, &st);
	if (!ret)
		ret = signal_fd = setup_signals(&st);
	if (ret >= 0)
		ret = (server = ivshmem_server_new(&st)) ? 0 : -st.code;
	for (i = optind; ret >= 0 && i < argc; i++) {
		ret = add_link(server, &o, argv[i], &hosts[i], &st);
		if (ret < 0)
			complain("serve: %s: %s", printable(argv[i]), st.text);
	}
	if (ret >= 0) {
		fdstore_close();
		fdstore_notify("READY=1");
		log_line("serve: ready");
		ret = serve_until_signal(server, signal_fd, &st);
		if (ret < 0)
			complain("serve: %s", st.text);
	} else if (!server) {
		complain("serve: %s", st.text);
	}
	if (server)
		ivshmem_server_free(server);
	free(hosts);
	return ret < 0 ? st.code : STATUS_OK;
}

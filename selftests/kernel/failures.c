// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and every copy from or to user space fails once, in turn: the
 * kernel's fail-nth makes the Nth one of a task do so. A call must then fail with a
 * plain errno, or do without, and do its work the next time. What is left behind is
 * for kmemleak to find, what is freed twice for KASAN.
 *
 *	failures [-s STEP] loop | host | module FILE [ARGS] | write FILE TEXT UNDO-FILE
 *
 *	loop	every call on loop links
 *	host	attaching memory, and telling of the peer
 *	module	loading and unloading a module
 *	write	TEXT into FILE; into UNDO-FILE to take it back, for binding a driver
 *
 * STEP leaves out all but every STEPth failure.
 */
#include "pair.h"
#include "region.h"
#include <getopt.h>
#include <sys/mount.h>

#define FAILURES_MAX	20000

static int nth_fd = -1;
static int step = 1;
static int count, failed;

static struct {
	int link[2], fd[2], far;
	struct region r;
	const char *file, *text, *undo_file, *args;
	char *map;
	int ret;
} c;

struct op {
	const char *name;
	int (*prepare)(void);
	int (*call)(void);
	void (*undo)(int ret);
	/* Other errors that are as plain as ENOMEM and EFAULT */
	int allowed[3];
};

/* ---- fail-nth ---- */

static int fail_arm(int n)
{
	char buf[16];
	int len = snprintf(buf, sizeof(buf), "%d", n);

	return SYS(pwrite(nth_fd, buf, len, 0)) == len ? 0 : -errno;
}

/*
 * True if a failure came since. To ask is a copy to user space, which may fail as
 * well: then none came before.
 */
static bool fail_disarm(void)
{
	char buf[16] = "";
	bool came = pread(nth_fd, buf, sizeof(buf) - 1, 0) > 0 && atoi(buf) == 0;

	while (pwrite(nth_fd, "0", 1, 0) != 1)
		;
	return came;
}

/* The task's own knob is not enough: by default only atomic allocations fail. */
static int fail_enable(void)
{
	static const char *const files[] = {
		"failslab/ignore-gfp-wait", "fail_page_alloc/ignore-gfp-wait",
		"fail_page_alloc/ignore-gfp-highmem",
	};
	static const char *const quiet[] = {
		"failslab/verbose", "fail_page_alloc/verbose", "fail_usercopy/verbose",
		"fail_page_alloc/min-order",
	};
	char path[128];
	int i;

	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		return -errno;
	for (i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", files[i]);
		if (write_file(path, "N"))
			return -ENOENT;
	}
	for (i = 0; i < ARRAY_LEN(quiet); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", quiet[i]);
		if (write_file(path, "0"))
			return -ENOENT;
	}
	return 0;
}

/* ---- one call, as often as there is something to fail in it ---- */

static bool plain(const struct op *op, int ret)
{
	int i;

	if (ret >= 0 || ret == -ENOMEM || ret == -EFAULT)
		return true;
	for (i = 0; i < ARRAY_LEN(op->allowed); i++)
		if (op->allowed[i] && ret == -op->allowed[i])
			return true;
	return false;
}

static const char *op_try(const struct op *op, int n, bool *came)
{
	static char why[128];
	int ret = op->prepare ? op->prepare() : 0;

	*came = false;
	if (ret < 0) {
		snprintf(why, sizeof(why), "failure %d: nothing works before it: %s", n,
			 strerror(-ret));
		return why;
	}
	if (n && fail_arm(n))
		return "fail-nth cannot be written";
	ret = op->call();
	if (n)
		*came = fail_disarm();
	if (op->undo)
		op->undo(ret);
	if (*came ? plain(op, ret) : ret >= 0)
		return NULL;
	snprintf(why, sizeof(why), "failure %d%s: %s", n, *came ? "" : " did not come",
		 strerror(-ret));
	return why;
}

static void op_run(const struct op *op)
{
	int64_t start = now_ns();
	const char *why;
	int n, tries = 0;
	bool came;

	/* Others of them in each run */
	for (n = 1; n < FAILURES_MAX; n += n == 1 ? 1 + (int)(start % step) : step) {
		why = op_try(op, n, &came);
		if (why || !came)
			break;
		tries++;
	}
	/* And once more, undisturbed */
	if (!why)
		why = op_try(op, 0, &came);
	failed |= !!why;
	printf("%sok %d %s: %d failures, %jd ms%s%s\n", why ? "not " : "", ++count, op->name, tries,
	       (intmax_t)((now_ns() - start) / 1000000), why ? " # " : "", why ?: "");
	fflush(stdout);
}

/* ---- loop links ---- */

static void undo_fd(int ret)
{
	if (ret >= 0)
		close(ret);
}

static int call_open_link(void)
{
	return link_open(c.link[0], O_RDONLY);
}

static int call_open_channel(void)
{
	return channel_open(c.link[0], 1, O_RDWR);
}

static int call_link_info(void)
{
	struct ivring_link_info info;

	return ch_link_info(c.fd[0], &info);
}

static int call_channel_info(void)
{
	struct ivring_channel_info info;

	return ch_info(c.fd[0], &info);
}

static int call_poll(void)
{
	return ch_poll(c.fd[0], POLLIN | POLLOUT, 0);
}

static int call_wait(void)
{
	return ch_wait(c.fd[0], IVRING_WAIT_OUT, 0);
}

/* A span that is held from the last time is the same one again. */
static int call_span(void)
{
	struct ivring_span span;
	int ret = ch_reserve(c.fd[0], &span, 100, 0);

	return ret ?: ch_commit(c.fd[0], span.offset, 0);
}

static int call_write(void)
{
	char data[3000];

	memset(data, 'w', sizeof(data));
	return SYS(write(c.fd[0], data, sizeof(data)));
}

static void drain(int fd)
{
	char data[3000];

	ch_set_nonblock(fd, true);
	while (read(fd, data, sizeof(data)) > 0)
		;
	ch_set_nonblock(fd, false);
}

static void undo_write(int ret)
{
	drain(c.fd[1]);
}

static int prepare_read(void)
{
	return call_write();
}

static int call_read(void)
{
	char data[3000];

	return SYS(read(c.fd[1], data, sizeof(data)));
}

static int call_peek(void)
{
	struct ivring_span span;
	int ret = ch_peek(c.fd[1], &span, 100, 0);

	return ret ?: ch_release(c.fd[1], span.offset, 100);
}

/* What a failed call left held is let go, or the next one would find it. */
static void undo_peek(int ret)
{
	struct ivring_span span;

	if (!ch_peek(c.fd[1], &span, 1, 0))
		ch_release(c.fd[1], span.offset, span.len);
}

static void undo_span(int ret)
{
	struct ivring_span span;

	if (!ch_reserve(c.fd[0], &span, 1, 0))
		ch_commit(c.fd[0], span.offset, 0);
}

static int call_map(void)
{
	struct ivring_channel_info info;
	int ret;

	c.map = NULL;
	ret = ch_info(c.fd[0], &info);
	if (ret)
		return ret;
	c.map = mmap(NULL, info.map_size, PROT_READ | PROT_WRITE, MAP_SHARED, c.fd[0], 0);
	if (c.map == MAP_FAILED) {
		c.map = NULL;
		return -errno;
	}
	/* Through a system call, so that a fault that fails is no signal. */
	return SYS(pwrite(c.r.memfd, c.map, 4096, 0));
}

static void undo_map(int ret)
{
	struct ivring_channel_info info;

	if (c.map && !ch_info(c.fd[0], &info))
		munmap(c.map, info.map_size);
}

static int call_options(void)
{
	struct ivring_options o;
	int ret = SYS(ioctl(c.fd[0], IVRING_IOC_GET_OPTIONS, &o));

	return ret ?: SYS(ioctl(c.fd[0], IVRING_IOC_SET_OPTIONS, &o));
}

static int call_readable(void)
{
	int n;

	return SYS(ioctl(c.fd[1], FIONREAD, &n));
}

/* A file of one page, there and back */
static int files_move(int fd)
{
	struct ivring_file_xfer out = { .fd = fd, .len = 4096 };
	struct ivring_file_xfer in = out;
	int ret = SYS(ioctl(c.fd[0], IVRING_IOC_SEND_FILE, &out));

	return ret ?: SYS(ioctl(c.fd[1], IVRING_IOC_RECV_FILE, &in));
}

static int call_files(void)
{
	return files_move(c.r.memfd);
}

/* With a buffer in between, both ways */
static int call_far_files(void)
{
	return files_move(c.far);
}

/* Both ends of another channel, for messages: one by calls, one in place */
static int messages_open(int fd[2])
{
	int i;

	fd[1] = -1;
	for (i = 0; i < 2; i++) {
		fd[i] = channel_open(c.link[i], 1, O_RDWR | O_EXCL | O_DIRECT);
		if (fd[i] < 0)
			return fd[i];
	}
	return ch_connected(fd[0]) ?: ch_connected(fd[1]);
}

static int messages_move(int fd[2])
{
	struct ivring_channel_info info;
	char data[100] = "";
	void *control;
	long ret;

	ret = SYS(write(fd[0], data, sizeof(data)));
	if (ret >= 0)
		ret = SYS(read(fd[1], data, sizeof(data)));
	if (ret >= 0)
		ret = ch_info(fd[1], &info) ?: SYS(ioctl(fd[1], IVRING_IOC_TAKE_INDICES));
	if (ret < 0)
		return ret;
	control = mmap(NULL, info.control_map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd[1],
		       info.control_map_offset);
	if (control == MAP_FAILED)
		return -errno;
	ret = SYS(pwrite(c.r.memfd, control, 4096, 0));
	/* That may fail as well, and what stays mapped keeps the file open. */
	while (munmap(control, info.control_map_size))
		ret = -errno;
	return ret < 0 ? ret : SYS(ioctl(fd[0], IVRING_IOC_SHUTDOWN));
}

static int call_messages(void)
{
	int fd[2], ret = messages_open(fd);

	if (!ret)
		ret = messages_move(fd);
	undo_fd(fd[0]);
	undo_fd(fd[1]);
	return ret;
}

static int call_sysfs(void)
{
	char buf[64];
	int ret = link_attr(c.link[0], "state", buf, sizeof(buf));

	return ret ?: link_attr_set(c.link[0], "peer_timeout_ms", "10000");
}

static const struct op loop_ops[] = {
	{ "open a link", NULL, call_open_link, undo_fd },
	{ "open a channel", NULL, call_open_channel, undo_fd },
	{ "LINK_INFO", NULL, call_link_info },
	{ "CHANNEL_INFO", NULL, call_channel_info },
	{ "poll", NULL, call_poll },
	{ "WAIT", NULL, call_wait },
	{ "RESERVE, COMMIT", NULL, call_span, undo_span },
	{ "write", NULL, call_write, undo_write },
	{ "read", prepare_read, call_read, undo_write },
	{ "PEEK, RELEASE", prepare_read, call_peek, undo_peek },
	{ "mmap and fault", NULL, call_map, undo_map },
	{ "SET_OPTIONS", NULL, call_options },
	{ "FIONREAD", NULL, call_readable },
	{ "SEND_FILE, RECV_FILE", NULL, call_files, undo_write },
	{ "SEND_FILE, RECV_FILE, far", NULL, call_far_files, undo_write },
	{ "messages, indices, SHUTDOWN", NULL, call_messages },
	{ "sysfs", NULL, call_sysfs },
};

/* A page of a file system that is neither tmpfs nor ext4, and goes with the file */
static int far_file(void)
{
	char dir[] = "/tmp/ivring-far.XXXXXX", path[64];
	int fd, ret;

	if (!mkdtemp(dir))
		return -errno;
	ret = SYS(mount("none", dir, "ramfs", 0, NULL));
	if (!ret) {
		snprintf(path, sizeof(path), "%s/file", dir);
		fd = SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
		ret = fd < 0 ? fd : pattern_write(fd, 4096, 4096, 1, 0) ?: fd;
		umount2(dir, MNT_DETACH);
	}
	rmdir(dir);
	return ret;
}

static int loop_start(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		c.link[i] = link_find("loop0", i);
		if (c.link[i] < 0)
			return -ENODEV;
		c.fd[i] = channel_open(c.link[i], 0, O_RDWR);
		if (c.fd[i] < 0)
			return c.fd[i];
	}
	c.r.memfd = region_memfd(4096, 0);
	c.far = far_file();
	if (c.far < 0)
		return c.far;
	return ch_connected(c.fd[0]) ?: ch_connected(c.fd[1]);
}

static void run_all(const struct op *ops, int n)
{
	int i;

	for (i = 0; i < n; i++)
		op_run(&ops[i]);
}

/* ---- the host's side ---- */

static int prepare_host(void)
{
	c.r.host = SYS(open("/dev/ivring-host", O_RDWR | O_CLOEXEC));
	return c.r.host;
}

static int call_open_host(void)
{
	return SYS(open("/dev/ivring-host", O_RDWR | O_CLOEXEC));
}

static int call_attach(void)
{
	return region_attach(&c.r);
}

static int prepare_peer(void)
{
	return prepare_host() < 0 ? -errno : region_attach(&c.r);
}

static int call_peer(void)
{
	return region_peer_add(&c.r) ?: host_peer_del(c.r.host, PEER_ID);
}

static void undo_host(int ret)
{
	close(c.r.host);
}

static const struct op host_ops[] = {
	{ "open", NULL, call_open_host, undo_fd },
	{ "ATTACH", prepare_host, call_attach, undo_host },
	{ "PEER_ADD, PEER_DEL", prepare_peer, call_peer, undo_host },
};

/* ---- modules and drivers ---- */

static int prepare_module(void)
{
	c.fd[0] = SYS(open(c.file, O_RDONLY | O_CLOEXEC));
	return c.fd[0];
}

static int call_module(void)
{
	return SYS(syscall(SYS_finit_module, c.fd[0], c.args, 0));
}

static void undo_module(int ret)
{
	char name[64], *p;

	close(c.fd[0]);
	snprintf(name, sizeof(name), "%s", strrchr(c.file, '/') + 1);
	p = strrchr(name, '.');
	if (p)
		*p = '\0';
	if (ret >= 0)
		wait_until(!syscall(SYS_delete_module, name, O_NONBLOCK) || errno == ENOENT,
			   PATIENCE_MS);
}

/* What the kernel's own part of it may say: no name for a sysfs entry, no process. */
static const struct op module_op = {
	"load", prepare_module, call_module, undo_module, { EINVAL, ENOENT, EAGAIN },
};

static int call_bind(void)
{
	return write_file(c.file, c.text);
}

static void undo_bind(int ret)
{
	if (ret >= 0)
		write_file(c.undo_file, c.text);
}

/* What the driver core and PCI make of no memory: a region of a BAR is then busy. */
static const struct op bind_op = {
	"bind", NULL, call_bind, undo_bind, { ENODEV, EBUSY, ENOSPC },
};

static int usage(void)
{
	fprintf(stderr, "usage: failures [-s STEP] loop | host | module FILE [ARGS] | write FILE TEXT UNDO-FILE\n");
	return 2;
}

static int run(int argc, char **argv)
{
	int ret = 0;

	if (!strcmp(argv[0], "loop") && argc == 1) {
		ret = loop_start();
		if (!ret)
			run_all(loop_ops, ARRAY_LEN(loop_ops));
	} else if (!strcmp(argv[0], "host") && argc == 1) {
		ret = region_create(&c.r, 1 << 20, 2);
		if (!ret)
			run_all(host_ops, ARRAY_LEN(host_ops));
	} else if (!strcmp(argv[0], "module") && (argc == 2 || argc == 3)) {
		c.file = argv[1];
		c.args = argc == 3 ? argv[2] : "";
		op_run(&module_op);
	} else if (!strcmp(argv[0], "write") && argc == 4) {
		c.file = argv[1];
		c.text = argv[2];
		c.undo_file = argv[3];
		op_run(&bind_op);
	} else {
		return usage();
	}
	if (ret) {
		printf("not ok 1 %s: %s\n1..1\n", argv[0], strerror(-ret));
		return 1;
	}
	printf("1..%d\n", count);
	return failed;
}

int main(int argc, char **argv)
{
	struct rlimit rlim = { 4096, 4096 };
	int opt;

	while ((opt = getopt(argc, argv, "s:")) != -1) {
		if (opt != 's')
			return usage();
		step = atoi(optarg);
	}
	if (optind == argc || step < 1)
		return usage();
	setrlimit(RLIMIT_NOFILE, &rlim);
	if (fail_enable()) {
		printf("1..0 # SKIP this kernel has no fault injection\n");
		return KSFT_SKIP;
	}
	return run(argc - optind, argv + optind);
}

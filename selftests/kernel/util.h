/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests in this directory have in common. Functions return a negative
 * errno on failure, so that one EXPECT_EQ() shows which it was.
 *
 * Nothing waits without a deadline, and nothing sleeps for a fixed time in the
 * hope that something else has happened by then.
 */
#ifndef _IVRING_TEST_UTIL_H
#define _IVRING_TEST_UTIL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/ivring.h>
#include <kselftest_harness.h>

/* Long enough for an emulated debug kernel, short enough for a person. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	90
#define PATIENCE_MS		20000

#define MS(n)			((n) * 1000000LL)
#define FOREVER			(-1LL)
#define ARRAY_LEN(a)		(sizeof(a) / sizeof((a)[0]))
/* A system call's result, or minus the errno. */
#define SYS(call)		({ long __ret = (call); __ret < 0 ? -errno : __ret; })

/* ---- time ---- */

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static inline void nap(void)
{
	struct timespec ts = { .tv_nsec = 1000000 };

	nanosleep(&ts, NULL);
}

/* Look at @cond until it holds; false when @ms went by. */
#define wait_until(cond, ms) ({						\
	int64_t __end = now_ns() + MS(ms);				\
	bool __ok;							\
									\
	while (!(__ok = (cond)) && now_ns() < __end)			\
		nap();							\
	__ok; })

/* Whatever a kernel is slower by, tests and their children have that much more time. */
static inline int lab_slow(void)
{
	const char *text = getenv("LAB_SLOW");

	return text ? atoi(text) : 1;
}

static inline int test_run(int argc, char **argv)
{
	int slow = lab_slow();
	struct __fixture_metadata *f;
	struct __test_metadata *t;

	for (f = __fixture_list; slow > 1 && f; f = f->next)
		for (t = f->tests; t; t = t->next)
			t->timeout *= slow;
	return test_harness_run(argc, argv);
}

/* ---- sysfs ---- */

static inline int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = SYS(read(fd, buf, size - 1));
	close(fd);
	if (n < 0)
		return n;
	if (n && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return 0;
}

static inline int write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = SYS(write(fd, value, strlen(value)));
	close(fd);
	return ret < 0 ? ret : 0;
}

static inline int link_attr(unsigned int link, const char *attr, char *buf, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/ivring/ivring%u/%s", link, attr);
	return read_file(path, buf, size);
}

static inline bool link_attr_is(unsigned int link, const char *attr, const char *value)
{
	char buf[64];

	return !link_attr(link, attr, buf, sizeof(buf)) && !strcmp(buf, value);
}

/* Or -1 */
static inline long long link_num(unsigned int link, const char *attr)
{
	char buf[256];

	return link_attr(link, attr, buf, sizeof(buf)) ? -1 : atoll(buf);
}

static inline int link_attr_set(unsigned int link, const char *attr, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/ivring/ivring%u/%s", link, attr);
	return write_file(path, value);
}

static inline bool channel_attr_is(unsigned int link, unsigned int ch, const char *attr,
				   const char *value)
{
	char path[128], buf[64];

	snprintf(path, sizeof(path), "/sys/class/ivring/ivring%uc%u/%s", link, ch, attr);
	return !read_file(path, buf, sizeof(buf)) && !strcmp(buf, value);
}

/* A counter or size of a channel; -1 when there is no such thing. */
static inline long long channel_num(unsigned int link, unsigned int ch, const char *attr)
{
	char path[128], buf[64];

	snprintf(path, sizeof(path), "/sys/class/ivring/ivring%uc%u/%s", link, ch, attr);
	if (read_file(path, buf, sizeof(buf)))
		return -1;
	/* What a program or a peer made of its indices may be any number. */
	return (long long)strtoull(buf, NULL, 0);
}

static inline int channel_set_window(unsigned int link, unsigned int ch, long long window)
{
	char path[128], buf[32];

	snprintf(path, sizeof(path), "/sys/class/ivring/ivring%uc%u/window", link, ch);
	snprintf(buf, sizeof(buf), "%lld", window);
	return write_file(path, buf);
}

static inline int channel_attr_set(unsigned int link, unsigned int ch, const char *attr,
				   const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/ivring/ivring%uc%u/%s", link, ch, attr);
	return write_file(path, value);
}

/* The number of the link with this label on this side; -1 if there is none. */
static inline int link_find(const char *label, unsigned int side)
{
	char s[16];
	int link;

	snprintf(s, sizeof(s), "%u", side);
	for (link = 0; link < 128; link++)
		if (link_attr_is(link, "label", label) && link_attr_is(link, "side", s))
			return link;
	return -1;
}

/* ---- channels ---- */

static inline int link_open(unsigned int link, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/ivring%u", link);
	return SYS(open(path, flags | O_CLOEXEC));
}

static inline int channel_open(unsigned int link, unsigned int ch, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/ivring%uc%u", link, ch);
	return SYS(open(path, flags | O_CLOEXEC));
}

static inline int ch_link_info(int fd, struct ivring_link_info *info)
{
	return SYS(ioctl(fd, IVRING_IOC_LINK_INFO, info));
}

static inline int ch_info(int fd, struct ivring_channel_info *info)
{
	return SYS(ioctl(fd, IVRING_IOC_CHANNEL_INFO, info));
}

static inline int ch_state(int fd)
{
	struct ivring_channel_info info;
	int ret = ch_info(fd, &info);

	return ret ?: info.state;
}

static inline int ch_wait_events(int fd, uint32_t events, uint64_t rx_min, uint64_t tx_min,
				 int64_t timeout_ns, uint32_t *revents)
{
	struct ivring_wait w = {
		.events = events, .rx_min = rx_min, .tx_min = tx_min, .timeout_ns = timeout_ns,
	};
	int ret = SYS(ioctl(fd, IVRING_IOC_WAIT, &w));

	if (!ret && revents)
		*revents = w.revents;
	return ret;
}

static inline int ch_wait(int fd, uint32_t events, int64_t timeout_ns)
{
	return ch_wait_events(fd, events, 1, 1, timeout_ns, NULL);
}

static inline int ch_connected(int fd)
{
	return ch_wait(fd, IVRING_WAIT_CONNECTED, MS(PATIENCE_MS));
}

static inline int ch_span(int fd, unsigned long cmd, struct ivring_span *span)
{
	return SYS(ioctl(fd, cmd, span));
}

static inline int ch_reserve(int fd, struct ivring_span *span, uint64_t min, int64_t timeout_ns)
{
	*span = (struct ivring_span) { .min = min, .timeout_ns = timeout_ns };
	return ch_span(fd, IVRING_IOC_RESERVE, span);
}

static inline int ch_peek(int fd, struct ivring_span *span, uint64_t min, int64_t timeout_ns)
{
	*span = (struct ivring_span) { .min = min, .timeout_ns = timeout_ns };
	return ch_span(fd, IVRING_IOC_PEEK, span);
}

static inline int ch_commit(int fd, uint64_t offset, uint64_t len)
{
	struct ivring_span span = { .offset = offset, .len = len };

	return ch_span(fd, IVRING_IOC_COMMIT, &span);
}

static inline int ch_release(int fd, uint64_t offset, uint64_t len)
{
	struct ivring_span span = { .offset = offset, .len = len };

	return ch_span(fd, IVRING_IOC_RELEASE, &span);
}

static inline int ch_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return SYS(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

static inline short ch_poll(int fd, short events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int ret = SYS(poll(&p, 1, timeout_ms));

	return ret < 0 ? ret : p.revents;
}

static inline int ch_shutdown(int fd)
{
	return SYS(ioctl(fd, IVRING_IOC_SHUTDOWN));
}

static inline int ch_readable(int fd)
{
	int n = -1, ret = SYS(ioctl(fd, FIONREAD, &n));

	return ret ?: n;
}

static inline uint32_t ch_flags(int fd)
{
	struct ivring_channel_info info;

	return ch_info(fd, &info) ? ~0U : info.flags;
}

static inline int ch_set_options(int fd, uint32_t spin, uint64_t rx_min, uint64_t tx_min)
{
	struct ivring_options o = { .spin_max_ns = spin, .rx_min = rx_min, .tx_min = tx_min };

	return SYS(ioctl(fd, IVRING_IOC_SET_OPTIONS, &o));
}

static inline int xfer(int ch, unsigned long cmd, int fd, uint64_t offset, uint64_t len,
		       int64_t timeout_ns, uint64_t *done)
{
	struct ivring_file_xfer x = {
		.fd = fd, .offset = offset, .len = len, .done = ~0ULL, .timeout_ns = timeout_ns,
	};
	int ret = SYS(ioctl(ch, cmd, &x));

	if (done)
		*done = x.done;
	return ret;
}

static inline int send_file(int ch, int fd, uint64_t offset, uint64_t len, uint64_t *done)
{
	return xfer(ch, IVRING_IOC_SEND_FILE, fd, offset, len, FOREVER, done);
}

static inline int recv_file(int ch, int fd, uint64_t offset, uint64_t len, uint64_t *done)
{
	return xfer(ch, IVRING_IOC_RECV_FILE, fd, offset, len, FOREVER, done);
}

/* Map one ring of a channel, as CHANNEL_INFO says; NULL with errno set. */
static inline void *ch_map(int fd, bool tx)
{
	struct ivring_channel_info info;
	void *p;

	if (ch_info(fd, &info))
		return NULL;
	p = mmap(NULL, info.map_size, tx ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd,
		 tx ? info.tx_map_offset : info.rx_map_offset);
	return p == MAP_FAILED ? NULL : p;
}

/* ---- epoll and signals ---- */

static inline int epoll_add(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		return -errno;
	return ep;
}

/* The events, 0 when there are none within @ms. */
static inline int epoll_get(int ep, int ms)
{
	struct epoll_event ev = {};
	int ret = SYS(epoll_wait(ep, &ev, 1, ms));

	return ret < 0 ? ret : (int)ev.events;
}

static inline void on_signal(int sig)
{
}

static inline void catch_signal(int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(SIGUSR1, &sa, NULL);
}

/* ---- data that knows its place ---- */

static inline uint64_t pattern_word(uint64_t seed, uint64_t n)
{
	uint64_t x = (n + 1) * 0x9e3779b97f4a7c15ULL ^ seed * 0xd1342543de82ef95ULL;

	return x ^ x >> 29;
}

/* Bytes @pos .. @pos + @len of the endless pattern that @seed names. */
static inline void pattern_fill(void *buf, size_t len, uint64_t seed, uint64_t pos)
{
	uint8_t *p = buf;
	uint64_t w;

	for (; len && pos % 8; len--, pos++)
		*p++ = pattern_word(seed, pos / 8) >> 8 * (pos % 8);
	for (; len >= 8; len -= 8, pos += 8, p += 8) {
		w = pattern_word(seed, pos / 8);
		memcpy(p, &w, 8);
	}
	for (; len; len--, pos++)
		*p++ = pattern_word(seed, pos / 8) >> 8 * (pos % 8);
}

/* The first wrong byte's position in @buf, or -1. */
static inline long pattern_check(const void *buf, size_t len, uint64_t seed, uint64_t pos)
{
	uint8_t want[4096];
	size_t done, n, i;

	for (done = 0; done < len; done += n) {
		n = len - done < sizeof(want) ? len - done : sizeof(want);
		pattern_fill(want, n, seed, pos + done);
		if (!memcmp((const uint8_t *)buf + done, want, n))
			continue;
		for (i = 0; ((const uint8_t *)buf)[done + i] == want[i]; i++)
			;
		return done + i;
	}
	return -1;
}

/* write(2) @len bytes of the pattern, @chunk at a time. */
static inline int pattern_write(int fd, uint64_t len, size_t chunk, uint64_t seed, uint64_t pos)
{
	uint8_t *buf = malloc(chunk);
	uint64_t done = 0;
	long n = 0;

	while (done < len) {
		size_t want = len - done < chunk ? len - done : chunk;

		pattern_fill(buf, want, seed, pos + done);
		n = SYS(write(fd, buf, want));
		if (n < 0)
			break;
		done += n;
	}
	free(buf);
	return n < 0 ? n : 0;
}

/* read(2) @len bytes of the pattern: 0, an errno, -ENODATA at EOF, -EILSEQ. */
static inline int pattern_read(int fd, uint64_t len, size_t chunk, uint64_t seed, uint64_t pos)
{
	uint8_t *buf = malloc(chunk);
	uint64_t done = 0;
	int ret = 0;

	while (!ret && done < len) {
		size_t want = len - done < chunk ? len - done : chunk;
		long n = SYS(read(fd, buf, want));

		if (n <= 0)
			ret = n ?: -ENODATA;
		else if (pattern_check(buf, n, seed, pos + done) >= 0)
			ret = -EILSEQ;
		else
			done += n;
	}
	free(buf);
	return ret;
}

/* ---- files ---- */

/* Where IVRING_TEST_FILES says, or in /tmp */
static inline int file_new(void)
{
	const char *dir = getenv("IVRING_TEST_FILES");
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/ivring-file.XXXXXX", dir ? dir : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static inline int file_pattern(uint64_t len, uint64_t seed)
{
	int fd = file_new();

	if (fd < 0 || pattern_write(fd, len, 65536, seed, 0))
		return -1;
	return fd;
}

/* Files that know O_DIRECT are on a real disk: this one has no name. Or -1 */
static inline int file_on_disk(void)
{
	char path[] = "/scratch/ivring-file.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd < 0)
		return -1;
	unlink(path);
	if (fcntl(fd, F_SETFL, O_RDWR | O_DIRECT) || fcntl(fd, F_SETFL, O_RDWR)) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * A page of memory to a disk, whose driver is given the page itself: 4096, or -errno;
 * -ENODEV where there is no such disk.
 */
static inline int page_to_disk(const void *page)
{
	int fd = file_on_disk(), ret;

	if (fd < 0)
		return -ENODEV;
	ret = SYS(fcntl(fd, F_SETFL, O_RDWR | O_DIRECT)) ?: SYS(pwrite(fd, page, 4096, 0));
	close(fd);
	return ret;
}

/* 0 when @fd has the pattern from @offset of the file on, and not a byte more. */
static inline int file_check(int fd, uint64_t offset, uint64_t len, uint64_t seed, uint64_t pos)
{
	if (lseek(fd, offset, SEEK_SET) != (off_t)offset)
		return -errno;
	return pattern_read(fd, len, 65536, seed, pos) ?:
	       lseek(fd, 0, SEEK_END) == (off_t)(offset + len) ? 0 : -EFBIG;
}

/* ---- other processes ---- */

/* A file that children are not to hold open, as a real process would not have it. */
static int child_drops __attribute__((unused)) = -1;

/* In the child: returns 0; it dies with the test, whatever happens to that. */
static inline pid_t child_start(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (child_drops >= 0)
			close(child_drops);
		alarm(TEST_TIMEOUT_DEFAULT * lab_slow());
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == 1)
			_exit(111);
	}
	return pid;
}

/* Run @statement in a child, whose exit code is its value (0..127) or -value. */
#define child_run(statement) ({						\
	pid_t __pid = child_start();					\
									\
	if (__pid == 0) {						\
		int __ret = (statement);				\
									\
		_exit(__ret < 0 ? -__ret : __ret);			\
	}								\
	__pid; })

/*
 * The child's exit code as child_run() put it, to be compared with an errno;
 * -ETIMEDOUT when it did not end, -(1000 + signal) when a signal ended it.
 */
static inline int child_end(pid_t pid, int ms)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int status, ret;

	if (fd < 0)
		return -errno;
	ret = poll(&p, 1, ms);
	close(fd);
	if (ret != 1) {
		kill(pid, SIGKILL);
		/* One that cannot even be killed must not hang the test. */
		if (wait_until(waitpid(pid, NULL, WNOHANG) == pid, 5000))
			return -ETIMEDOUT;
		return -EDEADLK;
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -(1000 + WTERMSIG(status));
}

/* As ps(1) shows it: R, S, D, ..., or 0 when it is no more */
static inline char child_state(pid_t pid)
{
	char path[64], buf[512], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_file(path, buf, sizeof(buf)))
		return 0;
	p = strrchr(buf, ')');
	return p ? p[2] : 0;
}

/* Does @pid sleep inside system call @nr? */
static inline bool child_sleeps(pid_t pid, long nr)
{
	char path[64], buf[512], state = child_state(pid);

	if (state != 'S' && state != 'D')
		return false;
	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	return !read_file(path, buf, sizeof(buf)) && atol(buf) == nr && buf[0] != 'r';
}

static inline bool child_asleep(pid_t pid, long nr)
{
	return wait_until(child_sleeps(pid, nr), PATIENCE_MS);
}

#endif /* _IVRING_TEST_UTIL_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * Files through a channel of a loop link: SEND_FILE and RECV_FILE, splice(2)
 * and sendfile(2), fsync(2).
 */
#define _GNU_SOURCE
#include <linux/aio_abi.h>
#include <linux/loop.h>
#include <sys/mount.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "pair.h"
#include "slowfs.h"
#include <sys/resource.h>

TEST_F(pair, file_to_file)
{
	const uint64_t len = 3 * self->window + 17;
	const long long sent = channel_num(self->e.link[0], self->e.ch, "stats/tx_bytes");
	int from = file_pattern(len, 5), to = file_new();
	uint64_t done;
	pid_t pid;

	ASSERT_LE(0, from);
	ASSERT_LE(0, to);
	ASSERT_EQ(7, lseek(from, 7, SEEK_SET));
	pid = child_run(send_file(self->a, from, 0, len, NULL));
	ASSERT_EQ(0, recv_file(self->b, to, 4096, len, &done));
	EXPECT_EQ(len, done);
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(7, lseek(from, 0, SEEK_CUR));
	EXPECT_EQ(0, lseek(to, 0, SEEK_CUR));
	EXPECT_EQ(0, file_check(to, 4096, len, 5, 0));
	EXPECT_EQ(sent + len, channel_num(self->e.link[0], self->e.ch, "stats/tx_bytes"));
	close(from);
	close(to);
}

/* How far they are can be seen from outside. */
TEST_F(pair, file_progress)
{
	const long long sent = channel_num(self->e.link[0], self->e.ch, "stats/tx_bytes");
	const long long got = channel_num(self->e.link[1], self->e.ch, "stats/rx_bytes");
	const uint64_t len = 2 * self->window;
	int from = file_pattern(len, 5), to = file_new();
	pid_t sender, receiver;

	sender = child_run(send_file(self->a, from, 0, len, NULL));
	ASSERT_TRUE(child_asleep(sender, SYS_ioctl));
	EXPECT_EQ(sent + self->window,
		  channel_num(self->e.link[0], self->e.ch, "stats/tx_bytes"));
	receiver = child_run(recv_file(self->b, to, 0, len + 10, NULL));
	EXPECT_EQ(0, child_end(sender, PATIENCE_MS));
	EXPECT_EQ(sent + len, channel_num(self->e.link[0], self->e.ch, "stats/tx_bytes"));
	EXPECT_TRUE(wait_until(channel_num(self->e.link[1], self->e.ch, "stats/rx_bytes") ==
			       got + len, PATIENCE_MS));
	ASSERT_TRUE(child_asleep(receiver, SYS_ioctl));
	EXPECT_EQ(0, send_file(self->a, from, 0, 10, NULL));
	EXPECT_EQ(0, child_end(receiver, PATIENCE_MS));
	EXPECT_EQ(got + len + 10, channel_num(self->e.link[1], self->e.ch, "stats/rx_bytes"));
	close(from);
	close(to);
}

/* It is the same stream of bytes, whoever reads or writes the other end. */
TEST_F(pair, file_and_read_write)
{
	const uint64_t len = 2 * self->window + 4711;
	int from = file_pattern(len, 6), to = file_new();
	uint64_t done;
	pid_t pid;

	pid = child_run(send_file(self->a, from, 100, len - 100, NULL));
	EXPECT_EQ(0, pattern_read(self->b, len - 100, 3333, 6, 100));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	pid = child_run(pattern_write(self->b, len, 5555, 7, 0));
	EXPECT_EQ(0, recv_file(self->a, to, 0, len, &done));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(0, file_check(to, 0, len, 7, 0));
	close(from);
	close(to);
}

TEST_F(pair, file_ends)
{
	int from = file_pattern(1000, 8), to = file_new();
	uint64_t done;

	/* The file's end is no error... */
	EXPECT_EQ(0, send_file(self->a, from, 0, 5000, &done));
	EXPECT_EQ(1000, done);
	EXPECT_EQ(0, send_file(self->a, from, 1000, 5000, &done));
	EXPECT_EQ(0, done);
	EXPECT_EQ(0, send_file(self->a, from, 1ULL << 40, 5000, &done));
	EXPECT_EQ(0, done);
	EXPECT_EQ(0, send_file(self->a, from, 0, 0, &done));
	EXPECT_EQ(0, done);
	EXPECT_EQ(0, recv_file(self->b, to, 0, 0, &done));
	EXPECT_EQ(0, done);
	/* ... nor is the conversation's. */
	close(self->a);
	self->a = -1;
	EXPECT_EQ(0, recv_file(self->b, to, 0, 5000, &done));
	EXPECT_EQ(1000, done);
	EXPECT_EQ(0, file_check(to, 0, 1000, 8, 0));
	EXPECT_EQ(0, recv_file(self->b, to, 0, 5000, &done));
	EXPECT_EQ(0, done);
	EXPECT_EQ(-EPIPE, send_file(self->b, from, 0, 10, &done));
	EXPECT_EQ(0, done);
	close(from);
	close(to);
}

TEST_F(pair, file_ends_at_half_close)
{
	int from = file_pattern(1000, 8), to = file_new();
	uint64_t done;

	EXPECT_EQ(0, send_file(self->a, from, 0, 1000, &done));
	ASSERT_EQ(0, ch_shutdown(self->a));
	EXPECT_EQ(0, recv_file(self->b, to, 0, 5000, &done));
	EXPECT_EQ(1000, done);
	EXPECT_EQ(0, file_check(to, 0, 1000, 8, 0));
	EXPECT_EQ(0, recv_file(self->b, to, 0, 5000, &done));
	EXPECT_EQ(0, done);
	EXPECT_EQ(-EPIPE, send_file(self->a, from, 0, 10, &done));
	EXPECT_EQ(0, done);
	/* The other direction is as it was. */
	EXPECT_EQ(0, send_file(self->b, from, 0, 1000, &done));
	EXPECT_EQ(1000, done);
	EXPECT_EQ(0, recv_file(self->a, to, 1000, 1000, &done));
	EXPECT_EQ(1000, done);
	EXPECT_EQ(0, file_check(to, 1000, 1000, 8, 0));
	close(from);
	close(to);
}

TEST_F(pair, file_bad_arguments)
{
	int file = file_pattern(1000, 1), pipes[2], sockets[2], ro, wo, append, dir, proc, bell;
	struct ivring_file_xfer x = { .fd = file, .len = 10 };
	char path[64];
	int i;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	ASSERT_LE(0, ro = open(path, O_RDONLY | O_CLOEXEC));
	ASSERT_LE(0, wo = open(path, O_WRONLY | O_CLOEXEC));
	ASSERT_LE(0, append = open(path, O_RDWR | O_APPEND | O_CLOEXEC));
	ASSERT_LE(0, dir = open("/tmp", O_RDONLY | O_CLOEXEC));
	ASSERT_LE(0, bell = eventfd(1, EFD_CLOEXEC));
	ASSERT_LE(0, proc = open("/proc/self/mem", O_RDWR | O_CLOEXEC));
	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));

	EXPECT_EQ(-EBADF, send_file(self->a, -1, 0, 10, NULL));
	EXPECT_EQ(-EBADF, send_file(self->a, 9999, 0, 10, NULL));
	EXPECT_EQ(-EBADF, recv_file(self->a, -1, 0, 10, NULL));
	EXPECT_EQ(-EBADF, send_file(self->a, wo, 0, 10, NULL));
	EXPECT_EQ(-EBADF, recv_file(self->a, ro, 0, 10, NULL));
	EXPECT_EQ(-EBADF, recv_file(self->a, append, 0, 10, NULL));
	EXPECT_EQ(-EINVAL, send_file(self->a, dir, 0, 10, NULL));
	EXPECT_EQ(-EINVAL, send_file(self->a, proc, 0, 10, NULL));
	EXPECT_EQ(-EINVAL, recv_file(self->a, proc, 0, 10, NULL));
	EXPECT_EQ(-EINVAL, send_file(self->a, pipes[0], 0, 10, NULL));
	EXPECT_EQ(-EINVAL, recv_file(self->a, pipes[1], 0, 10, NULL));
	EXPECT_EQ(-EINVAL, send_file(self->a, sockets[0], 0, 10, NULL));
	EXPECT_EQ(-EINVAL, send_file(self->a, bell, 0, 10, NULL));
	EXPECT_EQ(-EINVAL, recv_file(self->a, bell, 0, 10, NULL));
	EXPECT_EQ(-EINVAL, send_file(self->a, self->a, 0, 10, NULL));
	EXPECT_EQ(-EINVAL, recv_file(self->a, self->b, 0, 10, NULL));
	EXPECT_EQ(-EINVAL, send_file(self->a, file, 1ULL << 63, 10, NULL));
	EXPECT_EQ(-EINVAL, send_file(self->a, file, 10, 1ULL << 63, NULL));
	EXPECT_EQ(-EINVAL, send_file(self->a, file, (1ULL << 63) - 1, 1, NULL));
	EXPECT_EQ(-EINVAL, recv_file(self->a, file, ~0ULL, ~0ULL, NULL));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, IVRING_IOC_SEND_FILE, 8L)));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, IVRING_IOC_RECV_FILE, 8L)));
	x.flags = 1;
	EXPECT_EQ(-EINVAL, SYS(ioctl(self->a, IVRING_IOC_SEND_FILE, &x)));
	x.flags = 0;
	for (i = 0; i < ARRAY_LEN(x.reserved); i++) {
		x.reserved[i] = 1;
		EXPECT_EQ(-EINVAL, SYS(ioctl(self->a, IVRING_IOC_RECV_FILE, &x)));
		x.reserved[i] = 0;
	}
	/* Nothing of all that left a trace in the channel. */
	EXPECT_EQ(-EAGAIN, ch_wait(self->b, IVRING_WAIT_IN, 0));
	EXPECT_EQ(0, file_check(file, 0, 1000, 1, 0));
	close(pipes[0]);
	close(pipes[1]);
	close(sockets[0]);
	close(sockets[1]);
	close(dir);
	close(bell);
	close(proc);
	close(append);
	close(ro);
	close(wo);
	close(file);
}

/* tmpfs knows O_DIRECT from 6.6 on, a disk at all times. */
TEST_F(pair, file_with_o_direct)
{
	const int files[] = { file_pattern(1000, 1), file_on_disk() };
	char path[64];
	int i, direct;

	for (i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", files[i]);
		direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (direct < 0)
			continue;
		EXPECT_EQ(-EINVAL, send_file(self->a, direct, 0, 10, NULL));
		EXPECT_EQ(-EINVAL, recv_file(self->a, direct, 0, 10, NULL));
		close(direct);
	}
	EXPECT_EQ(-EAGAIN, ch_wait(self->b, IVRING_WAIT_IN, 0));
	close(files[0]);
	if (files[1] < 0)
		SKIP(return, "no file system with O_DIRECT in /scratch");
	close(files[1]);
}

TEST_F(pair, file_needs_its_direction)
{
	int file = file_pattern(1000, 1);
	int rd = ends_open(&self->e, 0, O_RDONLY), wr = ends_open(&self->e, 0, O_WRONLY);

	EXPECT_EQ(-EBADF, send_file(rd, file, 0, 10, NULL));
	EXPECT_EQ(-EBADF, recv_file(wr, file, 0, 10, NULL));
	EXPECT_EQ(0, send_file(wr, file, 0, 10, NULL));
	close(rd);
	close(wr);
	close(file);
}

TEST_F(pair, file_nonblock_and_timeout)
{
	const uint64_t len = self->window + 5000;
	int from = file_pattern(len, 9), to = file_new();
	uint64_t done;

	EXPECT_EQ(-ETIMEDOUT, xfer(self->b, IVRING_IOC_RECV_FILE, to, 0, 10, MS(20), &done));
	EXPECT_EQ(0, done);
	EXPECT_EQ(-ETIMEDOUT, xfer(self->a, IVRING_IOC_SEND_FILE, from, 0, len, MS(20), &done));
	EXPECT_EQ(self->window, done);
	EXPECT_EQ(-EAGAIN, xfer(self->a, IVRING_IOC_SEND_FILE, from, done, len, 0, &done));
	EXPECT_EQ(0, done);
	ASSERT_EQ(0, ch_set_nonblock(self->a, true));
	ASSERT_EQ(0, ch_set_nonblock(self->b, true));
	EXPECT_EQ(-EAGAIN, send_file(self->a, from, self->window, len, &done));
	/* Nobody waits for room that the end of a file does not need. */
	EXPECT_EQ(0, send_file(self->a, from, len, 1, &done));
	EXPECT_EQ(0, done);
	EXPECT_EQ(-EAGAIN, recv_file(self->b, to, 0, len, &done));
	EXPECT_EQ(self->window, done);
	EXPECT_EQ(0, send_file(self->a, from, self->window, len, &done));
	EXPECT_EQ(5000, done);
	EXPECT_EQ(0, recv_file(self->b, to, self->window, 5000, &done));
	EXPECT_EQ(0, file_check(to, 0, len, 9, 0));
	close(from);
	close(to);
}

/* Byte after byte, for as long as that, then no more */
static int trickle(int ch, int64_t ns)
{
	const int64_t start = now_ns();

	while (now_ns() - start < ns) {
		if (SYS(write(ch, "x", 1)) != 1)
			return 99;
		nap();
	}
	return ch_shutdown(ch);
}

/* Who makes progress has the whole time again. */
TEST_F(pair, file_timeout_begins_anew)
{
	const long long sent = channel_num(self->e.link[0], self->e.ch, "stats/tx_bytes");
	const int64_t timeout = MS(500) * lab_slow();
	int to = file_new();
	int64_t start;
	uint64_t done;
	pid_t pid;

	pid = child_run(trickle(self->a, 2 * timeout));
	start = now_ns();
	EXPECT_EQ(0, xfer(self->b, IVRING_IOC_RECV_FILE, to, 0, 1 << 20, timeout, &done));
	EXPECT_LT(timeout, now_ns() - start);
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(channel_num(self->e.link[0], self->e.ch, "stats/tx_bytes") - sent, done);
	EXPECT_EQ(done, lseek(to, 0, SEEK_END));
	close(to);
}

static int signalled(int ch, unsigned long cmd, int fd, uint64_t len, uint64_t want)
{
	uint64_t done;
	int ret;

	catch_signal(0);
	ret = xfer(ch, cmd, fd, 0, len, FOREVER, &done);
	return done == want ? ret : 99;
}

TEST_F(pair, file_signals)
{
	int from = file_pattern(self->window + 5000, 9), to = file_new();
	pid_t pid;

	pid = child_run(signalled(self->b, IVRING_IOC_RECV_FILE, to, 10, 0));
	ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_end(pid, PATIENCE_MS));
	pid = child_run(signalled(self->a, IVRING_IOC_SEND_FILE, from, self->window + 5000,
				  self->window));
	ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(0, pattern_read(self->b, self->window, 65536, 9, 0));
	close(from);
	close(to);
}

TEST_F(pair, file_and_spans)
{
	int from = file_pattern(1000, 9), to = file_new();
	int a2 = ends_open(&self->e, 0, O_RDWR), b2 = ends_open(&self->e, 1, O_RDWR);
	struct ivring_span span;
	uint64_t done;
	int p[2];

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(10, write(p[1], "0123456789", 10));
	ASSERT_EQ(0, ch_reserve(self->a, &span, 1, 0));
	EXPECT_EQ(-EBUSY, SYS(splice(p[0], NULL, a2, NULL, 10, 0)));
	EXPECT_EQ(-EBUSY, send_file(a2, from, 0, 1000, &done));
	EXPECT_EQ(-EBUSY, send_file(self->a, from, 0, 1000, &done));
	ASSERT_EQ(0, ch_commit(self->a, span.offset, 0));
	EXPECT_EQ(0, send_file(a2, from, 0, 1000, &done));
	ASSERT_EQ(0, ch_peek(self->b, &span, 1000, 0));
	EXPECT_EQ(-EBUSY, SYS(splice(b2, NULL, p[1], NULL, 10, 0)));
	EXPECT_EQ(-EBUSY, recv_file(b2, to, 0, 1000, &done));
	ASSERT_EQ(0, ch_release(self->b, span.offset, 0));
	EXPECT_EQ(0, recv_file(b2, to, 0, 1000, &done));
	EXPECT_EQ(0, file_check(to, 0, 1000, 9, 0));
	close(p[0]);
	close(p[1]);
	close(a2);
	close(b2);
	close(from);
	close(to);
}

/* What the file was when the call began counts. */
TEST_F(pair, flags_of_a_file_being_sent)
{
	const uint64_t len = 4 * self->window + 17;
	int file = file_on_disk();
	pid_t pid;

	if (file < 0)
		SKIP(return, "no file system with O_DIRECT in /scratch");
	ASSERT_EQ(0, pattern_write(file, len, 65536, 5, 0));
	pid = child_run(send_file(self->a, file, 0, len, NULL));
	ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
	ASSERT_EQ(0, SYS(fcntl(file, F_SETFL, O_RDWR | O_DIRECT)));
	EXPECT_EQ(0, pattern_read(self->b, len, 65536, 5, 0));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	close(file);
}

/* Of one that knows O_DIRECT, and of one that gets the ring itself */
TEST_F(pair, flags_of_a_file_being_received)
{
	const int files[] = { file_on_disk(), memfd_create("received", MFD_CLOEXEC) };
	const uint64_t len = 4 * self->window + 17;
	pid_t pid;
	int i;

	for (i = 0; i < ARRAY_LEN(files); i++) {
		if (files[i] < 0)
			continue;
		/* The file has an end, 100 bytes on, where O_APPEND would write. */
		ASSERT_EQ(0, ftruncate(files[i], len + 100));
		pid = child_run(recv_file(self->b, files[i], 0, len, NULL));
		ASSERT_TRUE(child_asleep(pid, SYS_ioctl));
		ASSERT_EQ(0, SYS(fcntl(files[i], F_SETFL, O_RDWR | O_APPEND)));
		EXPECT_EQ(0, pattern_write(self->a, 4096, 4096, 6, 0));
		ASSERT_TRUE(wait_until(ch_wait(self->a, IVRING_WAIT_DRAINED, 0) == 0, PATIENCE_MS));
		/* Up to 6.5, tmpfs refuses. */
		if (SYS(fcntl(files[i], F_SETFL, O_RDWR | O_APPEND | O_DIRECT)))
			EXPECT_EQ(1, i);
		EXPECT_EQ(0, pattern_write(self->a, len - 4096, 65536, 6, 4096));
		EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
		ASSERT_EQ(0, SYS(fcntl(files[i], F_SETFL, O_RDWR)));
		EXPECT_EQ(len + 100, lseek(files[i], 0, SEEK_END));
		ASSERT_EQ(0, ftruncate(files[i], len));
		EXPECT_EQ(0, file_check(files[i], 0, len, 6, 0));
		close(files[i]);
	}
}

static int recv_limited(int ch, int file, rlim_t most)
{
	const struct rlimit limit = { most, most };

	signal(SIGXFSZ, SIG_IGN);
	return SYS(setrlimit(RLIMIT_FSIZE, &limit)) ?: recv_file(ch, file, 0, 1 << 20, NULL);
}

/* What may not be written, or no more of it, stays in the ring. */
TEST_F(pair, file_ends_in_mid_transfer)
{
	int file = memfd_create("ends", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	pid_t pid;

	pid = child_run(recv_limited(self->b, file, 5500));
	EXPECT_EQ(0, pattern_write(self->a, 5000, 5000, 1, 0));
	ASSERT_TRUE(wait_until(ch_wait(self->a, IVRING_WAIT_DRAINED, 0) == 0, PATIENCE_MS));
	EXPECT_EQ(0, pattern_write(self->a, 1000, 1000, 1, 5000));
	EXPECT_EQ(EFBIG, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(5500, lseek(file, 0, SEEK_END));
	EXPECT_EQ(0, file_check(file, 0, 5500, 1, 0));
	EXPECT_EQ(0, pattern_read(self->b, 500, 500, 1, 5500));

	ASSERT_EQ(0, ftruncate(file, 0));
	pid = child_run(recv_file(self->b, file, 0, 1 << 20, NULL));
	EXPECT_EQ(0, pattern_write(self->a, 5000, 5000, 2, 0));
	ASSERT_TRUE(wait_until(ch_wait(self->a, IVRING_WAIT_DRAINED, 0) == 0, PATIENCE_MS));
	ASSERT_EQ(0, SYS(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE)));
	EXPECT_EQ(0, pattern_write(self->a, 1000, 1000, 2, 5000));
	EXPECT_EQ(EPERM, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(0, file_check(file, 0, 5000, 2, 0));
	EXPECT_EQ(0, pattern_read(self->b, 1000, 1000, 2, 5000));
	close(file);
}

/* What the file system does not take is not lost. */
TEST_F(pair, file_system_full)
{
	const uint64_t len = 64 << 10, room = 16 << 10;
	char dir[] = "/tmp/ivring-full.XXXXXX", path[64];
	int from = file_pattern(len, 3), to;
	uint64_t done;
	pid_t pid;

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, mount("none", dir, "tmpfs", 0, "size=16k"));
	snprintf(path, sizeof(path), "%s/file", dir);
	to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	EXPECT_LE(0, to);
	pid = child_run(send_file(self->a, from, 0, len, NULL));
	EXPECT_EQ(-ENOSPC, recv_file(self->b, to, 0, len, &done));
	EXPECT_EQ(room, done);
	EXPECT_EQ(0, file_check(to, 0, room, 3, 0));
	EXPECT_EQ(0, pattern_read(self->b, len - room, 4096, 3, room));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	close(to);
	EXPECT_EQ(0, umount(dir));
	rmdir(dir);
	close(from);
}

/* What was moved is not told, and stays moved. */
TEST_F(pair, file_without_answer)
{
	int from = file_pattern(1000, 4), to = file_new();
	struct ivring_file_xfer *x = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, x);
	*x = (struct ivring_file_xfer) { .fd = from, .len = 1000 };
	ASSERT_EQ(0, mprotect(x, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->a, IVRING_IOC_SEND_FILE, x)));
	EXPECT_EQ(1000, ch_readable(self->b));
	ASSERT_EQ(0, mprotect(x, 4096, PROT_READ | PROT_WRITE));
	x->fd = to;
	ASSERT_EQ(0, mprotect(x, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->b, IVRING_IOC_RECV_FILE, x)));
	EXPECT_EQ(0, ch_readable(self->b));
	EXPECT_EQ(0, file_check(to, 0, 1000, 4, 0));
	munmap(x, 4096);
	close(from);
	close(to);
}

/* A file of which no more than the first two pages can be read */
TEST_F(pair, file_read_error)
{
	struct slowfs bad;
	char buf[8192];
	uint64_t done;
	int ret;

	ret = slowfs_begin_bad(&bad, sizeof(buf));
	if (ret == -ENODEV)
		SKIP(return, "this kernel has no FUSE");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-EIO, send_file(self->a, bad.file, 0, SLOWFS_SIZE, &done));
	EXPECT_EQ(sizeof(buf), done);
	EXPECT_EQ(-EIO, send_file(self->a, bad.file, sizeof(buf), 100, &done));
	EXPECT_EQ(0, done);
	EXPECT_EQ(sizeof(buf), ch_readable(self->b));
	EXPECT_EQ(sizeof(buf), SYS(read(self->b, buf, sizeof(buf))));
	EXPECT_EQ(0, send_file(self->a, bad.file, 4000, 1000, &done));
	EXPECT_EQ(1000, done);
	slowfs_end(&bad);
}

/* ---- block devices ---- */

/* A device for what is in @file, gone when it is closed: -ENOENT where there is none. */
static int loop_device(int file)
{
	struct loop_config config = { .fd = file, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control, n, fd, ret;
	char path[32];

	/* What loads it, if it is a module. */
	if (system("modprobe -q loop 2>/dev/null"))
		errno = 0;
	control = SYS(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
	if (control < 0)
		return -ENOENT;
	n = SYS(ioctl(control, LOOP_CTL_GET_FREE));
	close(control);
	if (n < 0)
		return n;
	snprintf(path, sizeof(path), "/dev/loop%d", n);
	fd = SYS(open(path, O_RDWR | O_CLOEXEC));
	ret = fd < 0 ? fd : SYS(ioctl(fd, LOOP_CONFIGURE, &config));
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* As a file that can become no longer */
TEST_F(pair, block_device)
{
	const uint64_t len = 3 * self->window + 4096;
	int file = file_on_disk(), dev;
	uint64_t done;
	pid_t pid;

	if (file < 0)
		SKIP(return, "no file system with O_DIRECT in /scratch");
	ASSERT_EQ(0, pattern_write(file, len, 65536, 5, 0));
	dev = loop_device(file);
	close(file);
	if (dev == -ENOENT)
		SKIP(return, "this kernel has no loop devices");
	ASSERT_LE(0, dev);
	pid = child_run(send_file(self->a, dev, 100, len - 100, NULL));
	EXPECT_EQ(0, pattern_read(self->b, len - 100, 65536, 5, 100));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(0, send_file(self->a, dev, len - 10, 1000, &done));
	EXPECT_EQ(10, done);
	EXPECT_EQ(0, pattern_read(self->b, 10, 10, 5, len - 10));

	pid = child_run(pattern_write(self->a, len, 65536, 6, 0));
	EXPECT_EQ(0, recv_file(self->b, dev, 0, len, &done));
	EXPECT_EQ(len, done);
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(0, SYS(fsync(dev)));
	EXPECT_EQ(0, file_check(dev, 0, len, 6, 0));
	/* What is beyond its end stays in the ring. */
	EXPECT_EQ(0, pattern_write(self->a, 1000, 1000, 7, 0));
	EXPECT_EQ(-ENOSPC, recv_file(self->b, dev, len - 100, 1000, &done));
	EXPECT_EQ(100, done);
	EXPECT_EQ(0, pattern_read(self->b, 900, 900, 7, 100));
	close(dev);
}

/* ---- splice, sendfile, fsync ---- */

TEST_F(pair, sendfile_into_the_ring)
{
	const uint64_t len = self->window / 2 + 999;
	int from = file_pattern(len, 4);
	off_t pos = 9;

	ASSERT_EQ(len - 9, SYS(sendfile(self->a, from, &pos, len)));
	EXPECT_EQ(len, pos);
	EXPECT_EQ(0, pattern_read(self->b, len - 9, 65536, 4, 9));
	close(from);
}

/* Into what is no pipe, the kernel sends what can seek only. */
TEST_F(pair, sendfile_out_of_the_ring)
{
	int p[2], sockets[2], file = file_new();

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	ASSERT_EQ(0, pattern_write(self->a, 3000, 3000, 4, 0));
	EXPECT_EQ(-EINVAL, SYS(sendfile(file, self->b, NULL, 3000)));
	EXPECT_EQ(-EINVAL, SYS(sendfile(sockets[0], self->b, NULL, 3000)));
	EXPECT_EQ(3000, SYS(sendfile(p[1], self->b, NULL, 65536)));
	EXPECT_EQ(0, pattern_read(p[0], 3000, 3000, 4, 0));
	EXPECT_EQ(0, ch_readable(self->b));
	close(p[0]);
	close(p[1]);
	close(sockets[0]);
	close(sockets[1]);
	close(file);
}

TEST_F(pair, splice_both_ways)
{
	int p[2];

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(0, pattern_write(p[1], 3000, 3000, 4, 0));
	ASSERT_EQ(3000, SYS(splice(p[0], NULL, self->a, NULL, 3000, 0)));
	ASSERT_EQ(3000, SYS(splice(self->b, NULL, p[1], NULL, 65536, 0)));
	EXPECT_EQ(0, pattern_read(p[0], 3000, 3000, 4, 0));
	ASSERT_EQ(0, ch_set_nonblock(self->b, true));
	EXPECT_EQ(-EAGAIN, SYS(splice(self->b, NULL, p[1], NULL, 10, 0)));
	close(self->a);
	self->a = -1;
	EXPECT_EQ(0, SYS(splice(self->b, NULL, p[1], NULL, 10, 0)));
	close(p[0]);
	close(p[1]);
}

static int fsync_signalled(int fd)
{
	catch_signal(0);
	return SYS(fsync(fd));
}

TEST_F(pair, fsync_drains)
{
	pid_t pid;

	EXPECT_EQ(0, SYS(fsync(self->a)));
	ASSERT_EQ(0, pattern_write(self->a, 100, 100, 1, 0));
	pid = child_run(fsync_signalled(self->a));
	ASSERT_TRUE(child_asleep(pid, SYS_fsync));
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_end(pid, PATIENCE_MS));
	pid = child_run(SYS(fsync(self->a)));
	ASSERT_TRUE(child_asleep(pid, SYS_fsync));
	EXPECT_EQ(0, pattern_read(self->b, 100, 100, 1, 0));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
	ASSERT_EQ(0, ch_set_nonblock(self->a, true));
	ASSERT_EQ(0, pattern_write(self->a, 100, 100, 1, 0));
	EXPECT_EQ(-EAGAIN, SYS(fdatasync(self->a)));
	/* Closed by a peer that has not read it: it never will be. */
	close(self->b);
	self->b = -1;
	ASSERT_EQ(0, ch_set_nonblock(self->a, false));
	EXPECT_EQ(-EPIPE, SYS(fsync(self->a)));
}

/* A process that ends waits for these, and nothing interrupts the kernel's worker. */
TEST_F(pair, fsync_asynchronous)
{
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_FSYNC, .aio_fildes = self->a };
	struct iocb *cbs = &cb;
	aio_context_t ctx = 0;
	struct io_event ev;

	ASSERT_EQ(0, pattern_write(self->a, 100, 100, 1, 0));
	ASSERT_EQ(0, SYS(syscall(SYS_io_setup, 1, &ctx)));
	ASSERT_EQ(1, SYS(syscall(SYS_io_submit, ctx, 1, &cbs)));
	ASSERT_EQ(1, SYS(syscall(SYS_io_getevents, ctx, 1, 1, &ev, NULL)));
	EXPECT_EQ(-EAGAIN, ev.res);
	ASSERT_EQ(0, pattern_read(self->b, 100, 100, 1, 0));
	ASSERT_EQ(1, SYS(syscall(SYS_io_submit, ctx, 1, &cbs)));
	ASSERT_EQ(1, SYS(syscall(SYS_io_getevents, ctx, 1, 1, &ev, NULL)));
	EXPECT_EQ(0, ev.res);
	EXPECT_EQ(0, SYS(syscall(SYS_io_destroy, ctx)));
}

PAIR_HARNESS_MAIN

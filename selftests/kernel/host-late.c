// SPDX-License-Identifier: GPL-2.0
/*
 * User memory whose pages never come: whoever copies from or to it sleeps for as
 * long, and nobody else does. A host link, whose peer is this program.
 */
#include "peer.h"
#include "late.h"
#include "slowfs.h"
#include <sys/klog.h>
#include <sys/sysmacros.h>

enum { WRITER, READER, IOCTL_IN, IOCTL_OUT, STUCK };

static int use_late(int fd, int what)
{
	struct late l;
	int ret = late_map(&l, 4096);

	if (ret)
		return ret;
	switch (what) {
	case WRITER:
		return SYS(write(fd, l.map, 100));
	case READER:
		return SYS(read(fd, l.map, 100));
	case IOCTL_IN:
		return SYS(ioctl(fd, IVRING_IOC_WAIT, l.map));
	default:
		return SYS(ioctl(fd, IVRING_IOC_CHANNEL_INFO, l.map));
	}
}

static bool stuck_start(int fd, pid_t *pid)
{
	static const long nr[STUCK] = { SYS_write, SYS_read, SYS_ioctl, SYS_ioctl };
	int i;

	for (i = 0; i < STUCK; i++) {
		pid[i] = child_run(use_late(fd, i));
		if (!child_asleep(pid[i], nr[i]))
			return false;
	}
	return true;
}

/* They sleep on, and die when told to. */
static int stuck_end(const pid_t *pid)
{
	int i, ok = 0;

	for (i = 0; i < STUCK; i++) {
		kill(pid[i], SIGKILL);
		ok += child_end(pid[i], PATIENCE_MS) == -(1000 + SIGKILL);
	}
	return ok;
}

/* A process that has the link attached as we have; the other children have it not. */
static pid_t server_start(int host)
{
	pid_t pid;

	child_drops = -1;
	pid = child_run((pause(), 0));
	child_drops = host;
	return child_asleep(pid, SYS_pause) ? pid : -1;
}

/* The link ends with that process: as child_end() */
static int server_killed(pid_t server, int *host)
{
	close(*host);
	*host = -1;
	kill(server, SIGKILL);
	return child_end(server, 5000 * lab_slow());
}

#define NEEDS_LATE() do {						\
	if (!late_supported())						\
		SKIP(return, "this kernel has no userfaultfd(2)");	\
} while (0)

TEST_F(talk, server_killed_while_copies_fault)
{
	pid_t pid[STUCK], second[2], server;
	char c = 0;

	NEEDS_LATE();
	ASSERT_EQ(0, pc_send(&self->p, &self->c, 1000, 1));
	ASSERT_TRUE(stuck_start(self->fd, pid));
	/* These wait for the first to be done. */
	second[0] = child_run(SYS(write(self->fd, &c, 1)));
	second[1] = child_run(SYS(read(self->fd, &c, 1)));
	ASSERT_TRUE(child_asleep(second[0], SYS_write));
	ASSERT_TRUE(child_asleep(second[1], SYS_read));

	server = server_start(self->p.r.host);
	ASSERT_LT(0, server);
	EXPECT_EQ(-(1000 + SIGKILL), server_killed(server, &self->p.r.host));
	EXPECT_EQ(-1, link_find("test", 0));
	EXPECT_EQ(ENODEV, child_end(second[0], 3000 * lab_slow()));
	EXPECT_EQ(ENODEV, child_end(second[1], 3000 * lab_slow()));
	EXPECT_EQ(-ENODEV, SYS(write(self->fd, &c, 1)));
	EXPECT_EQ(STUCK, stuck_end(pid));
}

/* Nor does the next conversation wait, or those who wait in the one that ended. */
TEST_F(talk, next_conversation_while_copies_fault)
{
	pid_t pid[STUCK], second[2];
	int old = self->fd;
	char c = 0;

	NEEDS_LATE();
	ASSERT_EQ(0, pc_send(&self->p, &self->c, 1000, 1));
	ASSERT_TRUE(stuck_start(old, pid));
	second[0] = child_run(SYS(write(old, &c, 1)));
	second[1] = child_run(SYS(read(old, &c, 1)));
	ASSERT_TRUE(child_asleep(second[0], SYS_write));
	ASSERT_TRUE(child_asleep(second[1], SYS_read));
	peer_publish(&self->p);
	EXPECT_EQ(ECONNRESET, child_end(second[0], 3000 * lab_slow()));
	EXPECT_EQ(ECONNRESET, child_end(second[1], 3000 * lab_slow()));

	peer_channel_init(&self->p, &self->c, TALK_CHANNEL);
	ASSERT_EQ(0, talk_connect(&self->p, &self->c, &self->fd));
	ASSERT_EQ(0, ch_set_nonblock(self->fd, true));
	EXPECT_EQ(0, pattern_write(self->fd, 5000, 5000, 2, 0));
	EXPECT_EQ(0, pc_receive(&self->p, &self->c, 5000, 2));
	EXPECT_EQ(0, pc_send(&self->p, &self->c, 5000, 3));
	EXPECT_EQ(0, pattern_read(self->fd, 5000, 5000, 3, 0));
	EXPECT_EQ(STUCK, stuck_end(pid));
	/* Whose death takes nothing from those who came later. */
	EXPECT_EQ(0, pattern_write(self->fd, 5000, 5000, 2, 5000));
	EXPECT_EQ(0, pc_receive(&self->p, &self->c, 5000, 2));
	close(old);
}

/* One who copies and one who waits for that get signals as ever. */
TEST_F(talk, signals_while_copies_fault)
{
	pid_t pid[STUCK], second;
	char c = 0;

	NEEDS_LATE();
	ASSERT_EQ(0, pc_send(&self->p, &self->c, 1000, 1));
	ASSERT_TRUE(stuck_start(self->fd, pid));
	second = child_run(SYS(write(self->fd, &c, 1)));
	ASSERT_TRUE(child_asleep(second, SYS_write));
	kill(second, SIGTERM);
	EXPECT_EQ(-(1000 + SIGTERM), child_end(second, PATIENCE_MS));
	EXPECT_EQ(STUCK, stuck_end(pid));
	/* What none of them copied is there still. */
	EXPECT_EQ(0, pattern_read(self->fd, 1000, 1000, 1, 0));
	EXPECT_EQ(0, pattern_write(self->fd, 1000, 1000, 4, 0));
	EXPECT_EQ(0, pc_receive(&self->p, &self->c, 1000, 4));
}

/* ---- files ---- */

static bool log_has(const char *text)
{
	static char log[1 << 20];
	int len = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, sizeof(log) - 1);

	log[len < 0 ? 0 : len] = 0;
	return strstr(log, text);
}

#define CGROUPS	"/tmp/ivring-cgroups"
#define CGROUP	CGROUPS "/slow"

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	close(fd);
	return ret;
}

/* A process in the group gets two bytes a second from the disk of /scratch, or as much as it likes. */
static int disk_limit(const char *rate)
{
	struct stat st;
	char text[64];

	if (stat("/scratch", &st))
		return -errno;
	snprintf(text, sizeof(text), "%u:%u rbps=%s", major(st.st_dev), minor(st.st_dev), rate);
	return write_text(CGROUP "/io.max", text);
}

static void disk_end(void)
{
	disk_limit("max");
	rmdir(CGROUP);
	umount2(CGROUPS, MNT_DETACH);
	rmdir(CGROUPS);
}

/* A disk that is slow for who asks: 0, or -errno where that cannot be had */
static int disk_slow(void)
{
	int ret;

	/* A test that failed may have left its own. */
	if (!access(CGROUP, F_OK))
		disk_end();
	mkdir(CGROUPS, 0700);
	ret = SYS(mount("none", CGROUPS, "cgroup2", 0, NULL));
	if (!ret)
		ret = write_text(CGROUPS "/cgroup.subtree_control", "+io");
	if (!ret)
		ret = SYS(mkdir(CGROUP, 0700));
	if (!ret)
		ret = disk_limit("2");
	if (ret)
		disk_end();
	return ret;
}

/* A file whose content is nowhere but on the disk, without a name: or -1 */
static int disk_file(size_t len)
{
	char *buf = calloc(1, len);
	int fd = open("/scratch/ivring-slow", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int ret = fd < 0 || write(fd, buf, len) != (ssize_t)len || fsync(fd) ||
		  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);

	free(buf);
	unlink("/scratch/ivring-slow");
	return ret ? -1 : fd;
}

static int send_slow(int ch, int fd, size_t len)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	return write_text(CGROUP "/cgroup.procs", pid) ?: send_file(ch, fd, 0, len, NULL);
}

#define SLOW_LEN	65536

/* A disk that is slow holds the link up. Then the log says for whom it waits. */
TEST_F(talk, disk_holds_the_link)
{
	pid_t pid, server;
	char text[64];
	int fd;

	fd = disk_file(SLOW_LEN);
	ASSERT_LE(0, fd);
	if (disk_slow())
		SKIP(return, "no disk of /scratch that can be made slow");
	pid = child_run(send_slow(self->fd, fd, SLOW_LEN));
	EXPECT_TRUE(child_asleep(pid, SYS_ioctl));
	snprintf(text, sizeof(text), "waits for process %d,", pid);

	child_drops = -1;
	server = child_run((pause(), 0));
	EXPECT_TRUE(child_asleep(server, SYS_pause));
	close(self->p.r.host);
	self->p.r.host = -1;
	kill(server, SIGKILL);
	EXPECT_TRUE(wait_until(log_has(text), PATIENCE_MS));
	EXPECT_EQ(0, waitpid(server, NULL, WNOHANG));
	EXPECT_EQ(0, disk_limit("max"));
	EXPECT_EQ(-(1000 + SIGKILL), child_end(server, PATIENCE_MS));
	EXPECT_EQ(ENODEV, child_end(pid, PATIENCE_MS));
	disk_end();
	close(fd);
}

static int open_signalled(unsigned int link)
{
	catch_signal(0);
	return channel_open(link, TALK_CHANNEL, O_RDWR);
}

/* And the next conversation, whose first file waits, if it may, and can be interrupted. */
TEST_F(talk, disk_holds_the_next_conversation)
{
	const unsigned int link = self->p.link;
	int fd, old = self->fd;
	pid_t pid, opener;

	fd = disk_file(SLOW_LEN);
	ASSERT_LE(0, fd);
	if (disk_slow())
		SKIP(return, "no disk of /scratch that can be made slow");
	pid = child_run(send_slow(old, fd, SLOW_LEN));
	EXPECT_TRUE(child_asleep(pid, SYS_ioctl));

	peer_publish(&self->p);
	peer_channel_init(&self->p, &self->c, TALK_CHANNEL);
	EXPECT_TRUE(wait_until(channel_attr_is(link, TALK_CHANNEL, "state", "reset"),
			       PATIENCE_MS));
	EXPECT_EQ(-EAGAIN, channel_open(link, TALK_CHANNEL, O_RDWR | O_NONBLOCK));
	opener = child_run(open_signalled(link));
	EXPECT_TRUE(child_asleep(opener, SYS_openat));
	kill(opener, SIGUSR1);
	EXPECT_EQ(EINTR, child_end(opener, PATIENCE_MS));
	EXPECT_EQ(0, disk_limit("max"));
	EXPECT_EQ(ECONNRESET, child_end(pid, PATIENCE_MS));
	ASSERT_EQ(0, talk_connect(&self->p, &self->c, &self->fd));
	EXPECT_EQ(0, pc_send(&self->p, &self->c, 5000, 3));
	EXPECT_EQ(0, pattern_read(self->fd, 5000, 5000, 3, 0));
	disk_end();
	close(old);
	close(fd);
}

static int write_mapped(int fd, int mapped)
{
	char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, mapped, 0);

	return map == MAP_FAILED ? -errno : SYS(write(fd, map, 4096));
}

/* Who writes to a file of tmpfs has its inode's lock, for as long as his memory's pages take. */
TEST_F(talk, locked_file_holds_nobody)
{
	int file = memfd_create("locked", MFD_CLOEXEC);
	pid_t pid, writer, server;
	struct slowfs slow;

	server = server_start(self->p.r.host);
	ASSERT_LT(0, server);
	if (slowfs_begin(&slow) == -ENODEV)
		SKIP(return, "this kernel has no FUSE");
	ASSERT_LE(0, slow.file);
	/* The first piece goes another way. */
	ASSERT_EQ(0, pc_send(&self->p, &self->c, 1000, 1));
	pid = child_run(recv_file(self->fd, file, 0, 2000, NULL));
	EXPECT_TRUE(wait_until(lseek(file, 0, SEEK_END) == 1000, PATIENCE_MS));
	writer = child_run(write_mapped(file, slow.file));
	EXPECT_TRUE(child_asleep(writer, SYS_write));
	EXPECT_EQ(0, pc_send(&self->p, &self->c, 1000, 2));
	EXPECT_TRUE(wait_until(child_state(pid) == 'D', PATIENCE_MS));

	EXPECT_EQ(-(1000 + SIGKILL), server_killed(server, &self->p.r.host));
	EXPECT_EQ(-1, link_find("test", 0));
	kill(pid, SIGKILL);
	EXPECT_EQ(-(1000 + SIGKILL), child_end(pid, PATIENCE_MS));
	kill(writer, SIGKILL);
	slowfs_end(&slow);
	EXPECT_EQ(-(1000 + SIGKILL), child_end(writer, PATIENCE_MS));
	close(file);
}

/* One that any program may be behind holds up nobody but who uses it. */
TEST_F(talk, far_file_holds_nobody)
{
	struct ivring_file_xfer x = { .len = 1000, .timeout_ns = FOREVER };
	struct slowfs slow;
	pid_t pid[2], server;
	int old = self->fd;

	/* To close a slow file waits, too: this one has it not. */
	server = server_start(self->p.r.host);
	ASSERT_LT(0, server);
	if (slowfs_begin(&slow) == -ENODEV)
		SKIP(return, "this kernel has no FUSE");
	ASSERT_LE(0, slow.file);
	x.fd = slow.file;
	ASSERT_EQ(0, pc_send(&self->p, &self->c, 1000, 1));
	pid[0] = child_run(SYS(ioctl(old, IVRING_IOC_SEND_FILE, &x)));
	pid[1] = child_run(SYS(ioctl(old, IVRING_IOC_RECV_FILE, &x)));
	EXPECT_TRUE(child_asleep(pid[0], SYS_ioctl));
	EXPECT_TRUE(child_asleep(pid[1], SYS_ioctl));

	/* Not the next conversation... */
	peer_publish(&self->p);
	peer_channel_init(&self->p, &self->c, TALK_CHANNEL);
	ASSERT_EQ(0, talk_connect(&self->p, &self->c, &self->fd));
	EXPECT_EQ(0, pattern_write(self->fd, 5000, 5000, 2, 0));
	EXPECT_EQ(0, pc_receive(&self->p, &self->c, 5000, 2));
	EXPECT_EQ(0, pc_send(&self->p, &self->c, 5000, 3));
	EXPECT_EQ(0, pattern_read(self->fd, 5000, 5000, 3, 0));
	/* ... nor the link's end. */
	EXPECT_EQ(-(1000 + SIGKILL), server_killed(server, &self->p.r.host));
	EXPECT_EQ(-1, link_find("test", 0));
	kill(pid[0], SIGKILL);
	kill(pid[1], SIGKILL);
	slowfs_end(&slow);
	EXPECT_EQ(-(1000 + SIGKILL), child_end(pid[0], PATIENCE_MS));
	EXPECT_EQ(-(1000 + SIGKILL), child_end(pid[1], PATIENCE_MS));
	close(old);
}

HOST_HARNESS_MAIN

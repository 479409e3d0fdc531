// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/ivring-host: what it accepts, what it refuses and how, and that it gives
 * back what it took. No VM is needed.
 */
#include "region.h"
#include <linux/capability.h>
#include <linux/userfaultfd.h>

#define SIZE	(1UL << 20)

FIXTURE(host) {
	struct region r;
	struct ivring_host_attach a;
	struct ivring_wire_superblock *sb;
};

FIXTURE_SETUP(host)
{
	ASSERT_EQ(0, region_create(&self->r, SIZE, 2));
	self->a = region_attach_args(&self->r);
	self->sb = (void *)self->r.map;
}

FIXTURE_TEARDOWN(host)
{
	region_destroy(&self->r);
}

static bool node_exists(unsigned int link)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/ivring%u", link);
	return !access(path, F_OK);
}

TEST_F(host, attach_and_detach)
{
	struct ivring_link_info info;
	char buf[64];
	int fd, ch;

	ASSERT_EQ(0, host_attach(self->r.host, &self->a));
	fd = link_open(self->a.link, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ch_link_info(fd, &info));
	EXPECT_EQ(self->a.link, info.link);
	EXPECT_EQ(SIZE, info.region_size);
	EXPECT_EQ(le64toh(self->sb->ring_size), info.ring_size);
	EXPECT_EQ(2, info.channels);
	EXPECT_EQ(0, info.side);
	EXPECT_EQ(HOST_ID, info.id);
	EXPECT_EQ(REGION_VECTORS, info.vectors);
	EXPECT_EQ(IVRING_LINK_WAITING, info.state);
	EXPECT_EQ(0, info.peer_epoch);
	EXPECT_EQ(0, info.peer_vectors);
	EXPECT_EQ(0, info.wire_version);
	EXPECT_STREQ("test", info.label);
	ASSERT_EQ(0, link_attr(info.link, "transport", buf, sizeof(buf)));
	EXPECT_STREQ("host", buf);
	EXPECT_EQ(0, ch_poll(fd, POLLIN, 0));

	/* Without peer a channel opens and waits; so does whoever uses it. */
	ch = channel_open(info.link, 1, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, ch);
	EXPECT_EQ(IVRING_CHANNEL_OPENING, ch_state(ch));
	EXPECT_EQ(-EAGAIN, SYS(write(ch, "x", 1)));
	EXPECT_EQ(-EAGAIN, SYS(read(ch, buf, 1)));
	close(ch);
	EXPECT_EQ(-ENOENT, channel_open(info.link, 2, O_RDWR));

	/* The descriptors were only needed for the call. */
	close(self->r.memfd);
	self->r.memfd = -1;
	EXPECT_EQ(0, ch_link_info(fd, &info));
	close(self->r.host);
	self->r.host = -1;
	EXPECT_EQ(-ENODEV, ch_link_info(fd, &info));
	EXPECT_EQ(POLLERR | POLLHUP, ch_poll(fd, POLLIN, 0));
	EXPECT_FALSE(node_exists(self->a.link));
	close(fd);
}

TEST_F(host, one_link_per_file)
{
	ASSERT_EQ(0, region_attach(&self->r));
	EXPECT_EQ(-EBUSY, region_attach(&self->r));
}

/* However it is opened: a second link would take the first one's indices and presence. */
TEST_F(host, one_link_per_memory)
{
	struct ivring_host_attach a = self->a;
	int hosts[2], again[3], i, j;
	char path[64];

	for (i = 0; i < 2; i++) {
		hosts[i] = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, hosts[i]);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->r.memfd);
	again[0] = self->r.memfd;
	again[1] = dup(self->r.memfd);
	again[2] = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, region_attach(&self->r));
	for (i = 0; i < 3; i++) {
		ASSERT_LE(0, again[i]);
		a.memfd = again[i];
		EXPECT_EQ(-EBUSY, host_attach(hosts[0], &a));
	}
	EXPECT_EQ(region_used(&self->r) >> 10, locked_kib());
	/* The next one may once the last one is gone, and not before. */
	close(self->r.host);
	for (i = 0; i < 6; i++) {
		int *now = &hosts[i % 2], *then = &hosts[!(i % 2)];

		close(*then);
		*then = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
		a.memfd = again[i % 3];
		ASSERT_EQ(0, host_attach(*now, &a));
		for (j = 0; j < 3; j++) {
			a.memfd = again[j];
			EXPECT_EQ(-EBUSY, host_attach(*then, &a));
		}
	}
	close(hosts[0]);
	close(hosts[1]);
	/* A failed attempt leaves no claim. */
	self->r.host = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
	a = self->a;
	a.eventfds = 0;
	EXPECT_EQ(-EFAULT, host_attach(self->r.host, &a));
	self->sb->magic ^= 1;
	EXPECT_EQ(-EBADMSG, host_attach(self->r.host, &self->a));
	self->sb->magic ^= 1;
	EXPECT_EQ(0, host_attach(self->r.host, &self->a));
	close(again[1]);
	close(again[2]);
}

/* Whatever an earlier call left there. */
TEST_F(host, link_is_out_only)
{
	int link;

	ASSERT_EQ(0, host_attach(self->r.host, &self->a));
	link = self->a.link;
	close(self->r.host);
	self->r.host = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
	self->a.link = ~link;
	EXPECT_EQ(0, host_attach(self->r.host, &self->a));
	EXPECT_EQ(link, self->a.link);
}

TEST_F(host, unknown_ioctl)
{
	EXPECT_EQ(-ENOTTY, SYS(ioctl(self->r.host, _IO(IVRING_IOC_MAGIC, 0x4f), &self->a)));
	EXPECT_EQ(-ENOTTY, SYS(ioctl(self->r.host, IVRING_IOC_LINK_INFO, &self->a)));
	EXPECT_EQ(-ENOTTY, SYS(ioctl(self->r.host, IVRING_IOC_WAIT, &self->a)));
	EXPECT_EQ(-ENOTTY, SYS(ioctl(self->r.host, _IOWR(IVRING_IOC_MAGIC, 0x40, char[8]),
				     &self->a)));
}

/* A file without a position, which is for ioctls alone; none of them asks O_NONBLOCK. */
TEST_F(host, nothing_but_ioctls)
{
	char c = 0;

	EXPECT_EQ(-ESPIPE, SYS(lseek(self->r.host, 0, SEEK_SET)));
	EXPECT_EQ(-ESPIPE, SYS(lseek(self->r.host, 0, SEEK_END)));
	EXPECT_EQ(-ESPIPE, SYS(pread(self->r.host, &c, 1, 0)));
	EXPECT_EQ(-ESPIPE, SYS(pwrite(self->r.host, &c, 1, 0)));
	EXPECT_EQ(-EINVAL, SYS(read(self->r.host, &c, 1)));
	EXPECT_EQ(-EINVAL, SYS(write(self->r.host, &c, 1)));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->r.host, 0));
	EXPECT_EQ(ENODEV, errno);

	close(self->r.host);
	self->r.host = open("/dev/ivring-host", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->r.host);
	EXPECT_EQ(-ENXIO, region_peer_add(&self->r));
	EXPECT_EQ(0, region_attach(&self->r));
	EXPECT_EQ(-EBUSY, region_attach(&self->r));
	EXPECT_EQ(0, region_peer_add(&self->r));
	EXPECT_EQ(-ESPIPE, SYS(lseek(self->r.host, 0, SEEK_CUR)));
}

TEST_F(host, attach_arguments)
{
	struct ivring_host_attach a;
	int i;

	a = self->a;
	a.flags = 1;
	EXPECT_EQ(-EINVAL, host_attach(self->r.host, &a));
	for (i = 0; i < ARRAY_LEN(a.reserved); i++) {
		a = self->a;
		a.reserved[i] = 1;
		EXPECT_EQ(-EINVAL, host_attach(self->r.host, &a));
	}
	a = self->a;
	a.id = IVRING_WIRE_ID_MAX + 1;
	EXPECT_EQ(-EINVAL, host_attach(self->r.host, &a));
	a.id = ~0U;
	EXPECT_EQ(-EINVAL, host_attach(self->r.host, &a));
	a = self->a;
	a.vectors = 0;
	EXPECT_EQ(-EINVAL, host_attach(self->r.host, &a));
	a.vectors = IVRING_WIRE_VECTORS_MAX + 1;
	EXPECT_EQ(-EINVAL, host_attach(self->r.host, &a));
	a.vectors = ~0U;
	EXPECT_EQ(-EINVAL, host_attach(self->r.host, &a));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->r.host, IVRING_HOST_IOC_ATTACH, NULL)));
	a = self->a;
	a.eventfds = 0;
	EXPECT_EQ(-EFAULT, host_attach(self->r.host, &a));
	a.eventfds = ~0ULL;
	EXPECT_EQ(-EFAULT, host_attach(self->r.host, &a));
	EXPECT_EQ(0, locked_kib());
	/* The limits themselves are fine. */
	a = self->a;
	a.id = IVRING_WIRE_ID_MAX;
	a.vectors = IVRING_WIRE_VECTORS_MAX;
	EXPECT_EQ(0, host_attach(self->r.host, &a));
}

/* The argument cannot be written back: no link may be left over. */
TEST_F(host, attach_without_answer)
{
	void *ro = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, ro);
	memcpy(ro, &self->a, sizeof(self->a));
	ASSERT_EQ(0, mprotect(ro, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->r.host, IVRING_HOST_IOC_ATTACH, ro)));
	EXPECT_EQ(-1, link_find("test", 0));
	EXPECT_EQ(0, locked_kib());
	EXPECT_EQ(0, host_attach(self->r.host, &self->a));
}

TEST_F(host, not_an_eventfd)
{
	int bad = dup(1), i;

	for (i = 0; i < 3; i++) {
		int at = (int[]) { 0, 3, REGION_VECTORS - 1 }[i], old = self->r.ears[at];

		self->r.ears[at] = -1;
		EXPECT_EQ(-EBADF, host_attach(self->r.host, &self->a));
		self->r.ears[at] = 9999;
		EXPECT_EQ(-EBADF, host_attach(self->r.host, &self->a));
		self->r.ears[at] = bad;
		EXPECT_EQ(-EINVAL, host_attach(self->r.host, &self->a));
		self->r.ears[at] = self->r.memfd;
		EXPECT_EQ(-EINVAL, host_attach(self->r.host, &self->a));
		self->r.ears[at] = old;
	}
	/* Those beyond the number told are not looked at. */
	self->r.ears[REGION_VECTORS] = -1;
	EXPECT_EQ(0, host_attach(self->r.host, &self->a));
	close(bad);
}

TEST_F(host, not_a_memfd)
{
	int pipe_fds[2], fd;

	self->a.memfd = -1;
	EXPECT_EQ(-EBADF, host_attach(self->r.host, &self->a));
	self->a.memfd = 9999;
	EXPECT_EQ(-EBADF, host_attach(self->r.host, &self->a));
	ASSERT_EQ(0, pipe(pipe_fds));
	self->a.memfd = pipe_fds[0];
	EXPECT_EQ(-EMEDIUMTYPE, host_attach(self->r.host, &self->a));
	self->a.memfd = self->r.ears[0];
	EXPECT_EQ(-EMEDIUMTYPE, host_attach(self->r.host, &self->a));
	fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	self->a.memfd = fd;
	EXPECT_EQ(-EMEDIUMTYPE, host_attach(self->r.host, &self->a));
	close(fd);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	self->a.memfd = fd;
	EXPECT_EQ(-EMEDIUMTYPE, host_attach(self->r.host, &self->a));
	close(fd);
	fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	self->a.memfd = fd;
	EXPECT_EQ(-EMEDIUMTYPE, host_attach(self->r.host, &self->a));
	close(fd);
	EXPECT_EQ(0, locked_kib());
}

TEST_F(host, unsealed)
{
	const int seals[] = { 0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL };
	int i, fd;

	for (i = 0; i < ARRAY_LEN(seals); i++) {
		fd = region_memfd(SIZE, 0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(sizeof(*self->sb), pwrite(fd, self->sb, sizeof(*self->sb), 0));
		ASSERT_EQ(0, SYS(fcntl(fd, F_ADD_SEALS, seals[i])));
		self->a.memfd = fd;
		EXPECT_EQ(-ETXTBSY, host_attach(self->r.host, &self->a));
		close(fd);
	}
	fd = memfd_create("never-sealed", MFD_CLOEXEC);
	ASSERT_EQ(0, ftruncate(fd, SIZE));
	self->a.memfd = fd;
	EXPECT_EQ(-ETXTBSY, host_attach(self->r.host, &self->a));
	close(fd);
	EXPECT_EQ(0, locked_kib());
}

TEST_F(host, not_to_be_written)
{
	char path[64];
	int fd;

	fd = region_memfd(SIZE, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(sizeof(*self->sb), pwrite(fd, self->sb, sizeof(*self->sb), 0));
	ASSERT_EQ(0, region_seal(fd));
	ASSERT_EQ(0, SYS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)));
	self->a.memfd = fd;
	EXPECT_EQ(-EPERM, host_attach(self->r.host, &self->a));
	close(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->r.memfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	self->a.memfd = fd;
	EXPECT_EQ(-EACCES, host_attach(self->r.host, &self->a));
	close(fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	self->a.memfd = fd;
	EXPECT_EQ(-EACCES, host_attach(self->r.host, &self->a));
	close(fd);
	EXPECT_EQ(0, locked_kib());
}

TEST_F(host, odd_sizes)
{
	const size_t sizes[] = { 0, 4096, 32768, 65537, 96 << 10, SIZE - 1, SIZE + 4096, 3 << 20 };
	int i, fd;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		fd = region_memfd(sizes[i], 0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, region_seal(fd));
		self->a.memfd = fd;
		EXPECT_EQ(-EFBIG, host_attach(self->r.host, &self->a));
		close(fd);
	}
	EXPECT_EQ(0, locked_kib());
}

TEST_F(host, superblock_magic)
{
	struct ivring_wire_superblock good = *self->sb;

	memset(self->sb, 0, sizeof(*self->sb));
	EXPECT_EQ(-EBADMSG, host_attach(self->r.host, &self->a));
	*self->sb = good;
	self->sb->magic ^= htole64(1ULL << 63);
	EXPECT_EQ(-EBADMSG, host_attach(self->r.host, &self->a));
	memset(self->sb, 0xff, sizeof(*self->sb));
	EXPECT_EQ(-EBADMSG, host_attach(self->r.host, &self->a));
	EXPECT_EQ(0, locked_kib());
	*self->sb = good;
	EXPECT_EQ(0, host_attach(self->r.host, &self->a));
}

/* Spoil one field, attach, put it back. */
#define SPOILT(field, value) ({						\
	__typeof__(self->sb->field) __old = self->sb->field;		\
	int __ret;							\
									\
	self->sb->field = (value);					\
	__ret = host_attach(self->r.host, &self->a);			\
	self->sb->field = __old;					\
	__ret; })

TEST_F(host, superblock_version)
{
	EXPECT_EQ(-EPROTONOSUPPORT, SPOILT(version, htole32(0)));
	EXPECT_EQ(-EPROTONOSUPPORT, SPOILT(version, htole32(IVRING_WIRE_VERSION + 1)));
	EXPECT_EQ(-EPROTONOSUPPORT, SPOILT(version, htole32(1U << 24)));
	EXPECT_EQ(-EPROTONOSUPPORT, SPOILT(features, htole64(2)));
	EXPECT_EQ(-EPROTONOSUPPORT, SPOILT(features, htole64(1ULL << 63)));
	EXPECT_EQ(-EPROTONOSUPPORT, SPOILT(reserved0, htole32(1)));
	EXPECT_EQ(-EPROTONOSUPPORT, SPOILT(reserved[0], 1));
	EXPECT_EQ(-EPROTONOSUPPORT, SPOILT(reserved[sizeof(self->sb->reserved) - 1], 1));
	EXPECT_EQ(0, locked_kib());
	EXPECT_EQ(0, host_attach(self->r.host, &self->a));
}

TEST_F(host, superblock_geometry)
{
	const uint64_t ring = le64toh(self->sb->ring_size), data = le64toh(self->sb->data_offset);

	EXPECT_EQ(-ENOTUNIQ, SPOILT(region_size, htole64(2 * SIZE)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(region_size, htole64(SIZE / 2)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(superblock_size, htole32(0)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(side_size, htole32(8192)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(channel_size, htole32(128)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(side_offset, htole64(0)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(side_offset, htole64(4097)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(side_offset, htole64(SIZE)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(side_offset, htole64(-4096ULL)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(channel_offset, htole64(4096)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(channel_offset, htole64(SIZE - 4096)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(data_offset, htole64(data - 4096)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(data_offset, htole64(data + 1)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(data_offset, htole64(SIZE - 4 * ring + 4096)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(data_offset, htole64(-4096ULL)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(ring_size, htole64(0)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(ring_size, htole64(2048)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(ring_size, htole64(ring - 4096)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(ring_size, htole64(2 * ring)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(ring_size, htole64(1ULL << 62)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(ring_size, htole64(1ULL << 63)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(channels, htole32(0)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(channels, htole32(3)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(channels, htole32(33)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(channels, htole32(~0U)));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(label[0], 0));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(label[0], '/'));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(label[0], '.'));
	EXPECT_EQ(-ENOTUNIQ, SPOILT(label[1], '\n'));
	EXPECT_EQ(0, locked_kib());
	/* Fewer channels than there is room for are no fault. */
	EXPECT_EQ(0, SPOILT(channels, htole32(1)));
}

TEST_F(host, label_without_end)
{
	memset(self->sb->label, 'a', sizeof(self->sb->label));
	EXPECT_EQ(-ENOTUNIQ, host_attach(self->r.host, &self->a));
	self->sb->label[sizeof(self->sb->label) - 1] = 0;
	EXPECT_EQ(0, host_attach(self->r.host, &self->a));
}

/* ---- rights and limits ---- */

static int attach_without(struct region *r, struct ivring_host_attach *a, int cap, rlim_t memlock)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];
	struct rlimit rlim = { memlock, memlock };
	int ret;

	if (setrlimit(RLIMIT_MEMLOCK, &rlim) || syscall(SYS_capget, &h, d))
		return -errno;
	d[cap / 32].effective &= ~(1U << cap % 32);
	if (syscall(SYS_capset, &h, d))
		return -errno;
	ret = host_attach(r->host, a);
	return ret ?: 0;
}

TEST_F(host, needs_cap_sys_admin)
{
	pid_t pid;

	pid = child_run(attach_without(&self->r, &self->a, CAP_SYS_ADMIN, RLIM_INFINITY));
	EXPECT_EQ(EPERM, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(0, host_attach(self->r.host, &self->a));
}

TEST_F(host, memlock_limit)
{
	size_t used = region_used(&self->r);
	pid_t pid;

	ASSERT_LT(0, used);

	pid = child_run(attach_without(&self->r, &self->a, CAP_IPC_LOCK, used - 4096));
	EXPECT_EQ(ENOMEM, child_end(pid, PATIENCE_MS));
	pid = child_run(({
		int ret = attach_without(&self->r, &self->a, CAP_IPC_LOCK, used);

		/* Another one is too much, by another file. */
		if (!ret) {
			struct region other;

			ret = region_create(&other, SIZE, 2);
			if (!ret)
				ret = region_attach(&other) == -ENOMEM ? 0 : 99;
		}
		ret; }));
	EXPECT_EQ(0, child_end(pid, PATIENCE_MS));
}

TEST_F(host, locked_memory_is_accounted)
{
	int i;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, locked_kib());
		ASSERT_EQ(0, region_attach(&self->r));
		EXPECT_EQ(region_used(&self->r) >> 10, locked_kib());
		close(self->r.host);
		EXPECT_EQ(0, locked_kib());
		self->r.host = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, self->r.host);
	}
}

/* The file outlives who attached, and is closed by another. */
TEST_F(host, attached_by_a_process_that_is_gone)
{
	pid_t pid;

	pid = child_run(host_attach(self->r.host, &self->a));
	ASSERT_EQ(0, child_end(pid, PATIENCE_MS));
	EXPECT_LE(0, link_find("test", 0));
	EXPECT_EQ(0, locked_kib());
	close(self->r.host);
	self->r.host = -1;
	EXPECT_EQ(-1, link_find("test", 0));
	EXPECT_EQ(0, locked_kib());
}

TEST_F(host, detached_by_death)
{
	pid_t pid;

	pid = child_run(({
		int fd = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);

		host_attach(fd, &self->a) ?: (pause(), 0); }));
	ASSERT_TRUE(child_asleep(pid, SYS_pause));
	EXPECT_LE(0, link_find("test", 0));
	kill(pid, SIGKILL);
	EXPECT_EQ(-(1000 + SIGKILL), child_end(pid, PATIENCE_MS));
	EXPECT_EQ(-1, link_find("test", 0));
}

/* The smallest region there is; its memory stays as long as somebody has it. */
static int small_memfd(void)
{
	const struct ivring_wire_format format = {
		.region_size = IVRING_WIRE_REGION_SIZE_MIN, .channels = 1, .label = "small",
	};
	struct ivring_wire_superblock sb;
	int fd = region_memfd(format.region_size, 0), ret;

	if (fd < 0)
		return fd;
	ret = ivring_wire_format(&sb, &format);
	if (!ret && pwrite(fd, &sb, sizeof(sb), 0) != sizeof(sb))
		ret = -errno;
	if (!ret)
		ret = region_seal(fd);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

TEST_F(host, all_link_numbers)
{
	struct ivring_host_attach a = self->a;
	int fds[200], links = 0, ret = 0, n;

	for (n = 0; n < ARRAY_LEN(fds) && !ret; n++) {
		fds[n] = SYS(open("/dev/ivring-host", O_RDWR | O_CLOEXEC));
		ASSERT_LE(0, fds[n]);
		a.memfd = small_memfd();
		ASSERT_LE(0, a.memfd);
		a.link = 0;
		a.vectors = 1;
		ret = host_attach(fds[n], &a);
		close(a.memfd);
		links += !ret;
	}
	EXPECT_EQ(-ENOSPC, ret);
	EXPECT_GE(128, links);
	EXPECT_LE(100, links);
	while (n--)
		close(fds[n]);
	self->a.link = 0;
	EXPECT_EQ(0, host_attach(self->r.host, &self->a));
}

/* Memory whose first use ends when its process does. */
static void *endless_page(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .range.len = 4096, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	reg.range.start = (uintptr_t)p;
	if (fd < 0 || p == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return NULL;
	return p;
}

/* One call that takes its time does not make others deaf to signals. */
TEST_F(host, signal_while_another_attaches)
{
	pid_t slow, killed, interrupted, attaching;

	slow = child_run(({
		self->a.eventfds = (uintptr_t)endless_page();
		self->a.eventfds ? host_attach(self->r.host, &self->a) : 99; }));
	if (!child_asleep(slow, SYS_ioctl)) {
		EXPECT_EQ(99, child_end(slow, PATIENCE_MS));
		SKIP(return, "no userfaultfd");
	}
	killed = child_run(host_peer_del(self->r.host, PEER_ID));
	ASSERT_TRUE(child_asleep(killed, SYS_ioctl));
	interrupted = child_run(({
		catch_signal(0);
		host_peer_del(self->r.host, PEER_ID); }));
	ASSERT_TRUE(child_asleep(interrupted, SYS_ioctl));
	attaching = child_run(({
		catch_signal(0);
		host_attach(self->r.host, &self->a); }));
	ASSERT_TRUE(child_asleep(attaching, SYS_ioctl));
	kill(killed, SIGKILL);
	EXPECT_EQ(-(1000 + SIGKILL), child_end(killed, 3000));
	kill(interrupted, SIGUSR1);
	EXPECT_EQ(EINTR, child_end(interrupted, 3000));
	kill(attaching, SIGUSR1);
	EXPECT_EQ(EINTR, child_end(attaching, 3000));
	kill(slow, SIGKILL);
	EXPECT_EQ(-(1000 + SIGKILL), child_end(slow, PATIENCE_MS));
	EXPECT_EQ(-ENXIO, host_peer_del(self->r.host, PEER_ID));
	EXPECT_EQ(0, host_attach(self->r.host, &self->a));
}

/* ---- the peer ---- */

TEST_F(host, peer_without_link)
{
	EXPECT_EQ(-ENXIO, region_peer_add(&self->r));
	EXPECT_EQ(-ENXIO, host_peer_del(self->r.host, PEER_ID));
}

TEST_F(host, peer_arguments)
{
	struct ivring_host_peer p, good = region_peer_args(&self->r);
	int i, old;

	ASSERT_EQ(0, host_attach(self->r.host, &self->a));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->r.host, IVRING_HOST_IOC_PEER_ADD, NULL)));
	EXPECT_EQ(-EFAULT, SYS(ioctl(self->r.host, IVRING_HOST_IOC_PEER_DEL, NULL)));
	p = good;
	p.flags = 1;
	EXPECT_EQ(-EINVAL, host_peer_add(self->r.host, &p));
	p = good;
	p.reserved0 = 1;
	EXPECT_EQ(-EINVAL, host_peer_add(self->r.host, &p));
	for (i = 0; i < ARRAY_LEN(p.reserved); i++) {
		p = good;
		p.reserved[i] = 1;
		EXPECT_EQ(-EINVAL, host_peer_add(self->r.host, &p));
	}
	p = good;
	p.id = HOST_ID;
	EXPECT_EQ(-EINVAL, host_peer_add(self->r.host, &p));
	p.id = IVRING_WIRE_ID_MAX + 1;
	EXPECT_EQ(-EINVAL, host_peer_add(self->r.host, &p));
	p = good;
	p.vectors = 0;
	EXPECT_EQ(-EINVAL, host_peer_add(self->r.host, &p));
	p.vectors = IVRING_WIRE_VECTORS_MAX + 1;
	EXPECT_EQ(-EINVAL, host_peer_add(self->r.host, &p));
	p = good;
	p.eventfds = 8;
	EXPECT_EQ(-EFAULT, host_peer_add(self->r.host, &p));
	old = self->r.bells[4];
	self->r.bells[4] = 9999;
	EXPECT_EQ(-EBADF, host_peer_add(self->r.host, &good));
	self->r.bells[4] = self->r.memfd;
	EXPECT_EQ(-EINVAL, host_peer_add(self->r.host, &good));
	self->r.bells[4] = old;

	EXPECT_EQ(-ENOENT, host_peer_del(self->r.host, PEER_ID));
	ASSERT_EQ(0, host_peer_add(self->r.host, &good));
	EXPECT_EQ(-EBUSY, host_peer_add(self->r.host, &good));
	p = good;
	p.id = PEER_ID + 1;
	EXPECT_EQ(-EBUSY, host_peer_add(self->r.host, &p));
	EXPECT_EQ(-ENOENT, host_peer_del(self->r.host, PEER_ID + 1));
	EXPECT_EQ(0, host_peer_del(self->r.host, PEER_ID));
	EXPECT_EQ(-ENOENT, host_peer_del(self->r.host, PEER_ID));
	p.id = IVRING_WIRE_ID_MAX;
	p.vectors = IVRING_WIRE_VECTORS_MAX;
	EXPECT_EQ(0, host_peer_add(self->r.host, &p));
}

TEST_F(host, peer_del_arguments)
{
	struct ivring_host_peer p;
	int i;

	ASSERT_EQ(0, host_attach(self->r.host, &self->a));
	ASSERT_EQ(0, region_peer_add(&self->r));
	for (i = 0; i < 7; i++) {
		p = (struct ivring_host_peer) { .id = PEER_ID };
		switch (i) {
		case 0: p.flags = 1; break;
		case 1: p.vectors = 1; break;
		case 2: p.reserved0 = 1; break;
		case 3: p.eventfds = (uintptr_t)self->r.bells; break;
		default: p.reserved[i - 4] = 1;
		}
		EXPECT_EQ(-EINVAL, SYS(ioctl(self->r.host, IVRING_HOST_IOC_PEER_DEL, &p)));
	}
	/* No peer can have such a number. */
	EXPECT_EQ(-ENOENT, host_peer_del(self->r.host, IVRING_WIRE_ID_MAX + 1));
	EXPECT_EQ(-ENOENT, host_peer_del(self->r.host, (IVRING_WIRE_ID_MAX + 1) | PEER_ID));
	EXPECT_EQ(0, host_peer_del(self->r.host, PEER_ID));
}

/* ---- what remains ---- */

static long meminfo_kib(const char *what)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;
	size_t n = strlen(what);

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, what, n) && line[n] == ':')
			kib = atol(line + n + 1);
	if (f)
		fclose(f);
	return kib;
}

/*
 * 200 regions of 4 MiB, none of which may stay: that would be 800 MiB. A busy machine
 * with a kernel that checks itself takes half a second for each.
 */
TEST_F_TIMEOUT(host, nothing_leaks, 400)
{
	struct ivring_host_attach a;
	struct region r;
	long before, after;
	int i;

	before = meminfo_kib("MemAvailable");
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, region_create(&r, 4 << 20, 1 + i % 32));
		a = region_attach_args(&r);
		ASSERT_EQ(0, host_attach(r.host, &a));
		if (i % 2)
			ASSERT_EQ(0, region_peer_add(&r));
		if (i % 4 == 3)
			ASSERT_EQ(0, host_peer_del(r.host, PEER_ID));
		region_destroy(&r);
	}
	EXPECT_TRUE(wait_until((after = meminfo_kib("MemAvailable")) > before - (64 << 10),
			       PATIENCE_MS)) {
		TH_LOG("%ld KiB are missing", before - after);
	}
}

HOST_HARNESS_MAIN

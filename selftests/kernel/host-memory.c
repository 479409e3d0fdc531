// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of a host link: what is no region, what happens to it while it is pinned,
 * and a hole in it later.
 */
#include "peer.h"
#include "sleepers.h"
#include <sys/mount.h>
#include <sys/time.h>

static int attach_fd(int host, struct ivring_host_attach a, int memfd)
{
	a.memfd = memfd;
	return host_attach(host, &a);
}

FIXTURE(memory) {
	struct region r;
	struct ivring_host_attach a;
};

FIXTURE_SETUP(memory)
{
	ASSERT_EQ(0, region_create(&self->r, 1 << 20, 1));
	self->a = region_attach_args(&self->r);
}

FIXTURE_TEARDOWN(memory)
{
	region_destroy(&self->r);
	EXPECT_EQ(0, locked_kib());
}

/* None of it need be there to be too much. */
TEST_F(memory, largest_size)
{
	int i, fd;

	for (i = 0; i < 3; i++) {
		fd = region_memfd(IVRING_WIRE_REGION_SIZE_MAX << i, 0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, region_seal(fd));
		EXPECT_EQ(i ? -EFBIG : -EBADMSG, attach_fd(self->r.host, self->a, fd));
		close(fd);
	}
}

/* Such a file is of the right kind, and cannot be sealed. */
static int attach_file_of(const char *type, int host, const struct ivring_host_attach *a)
{
	char dir[] = "/tmp/ivring-fs.XXXXXX", path[64];
	int fd, ret;

	if (!mkdtemp(dir))
		return -errno;
	ret = SYS(mount("none", dir, type, 0, NULL));
	if (ret) {
		rmdir(dir);
		return -ENOSYS;
	}
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = ret = SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	if (fd >= 0)
		ret = SYS(ftruncate(fd, 32 << 20));
	if (!ret)
		ret = attach_fd(host, *a, fd);
	close(fd);
	umount(dir);
	rmdir(dir);
	return ret;
}

TEST_F(memory, file_without_seals)
{
	int ret;

	EXPECT_EQ(-ETXTBSY, attach_file_of("tmpfs", self->r.host, &self->a));
	ret = attach_file_of("hugetlbfs", self->r.host, &self->a);
	if (ret != -ENOSYS)
		EXPECT_EQ(-ETXTBSY, ret);
	EXPECT_EQ(-EMEDIUMTYPE, attach_file_of("ramfs", self->r.host, &self->a));
}

/* ---- while it is pinned ---- */

/* Memory that nobody has touched takes its time to pin. */
TEST_F(memory, signal_while_memory_is_pinned)
{
	const struct itimerval each_ms = { { 0, 1000 }, { 0, 1000 } }, never = { };
	struct sigaction sa = { .sa_handler = on_signal };
	struct region r;
	pid_t pid;

	ASSERT_EQ(0, region_create(&r, 256 << 20, 1));
	pid = child_run(({
		int ret;

		sigaction(SIGALRM, &sa, NULL);
		setitimer(ITIMER_REAL, &each_ms, NULL);
		ret = region_attach(&r);
		setitimer(ITIMER_REAL, &never, NULL);
		ret; }));
	EXPECT_EQ(EINTR, child_end(pid, PATIENCE_MS));
	EXPECT_EQ(-1, link_find("test", 0));
	EXPECT_EQ(-ENXIO, region_peer_add(&r));
	EXPECT_EQ(0, region_attach(&r));
	region_destroy(&r);
	EXPECT_EQ(0, locked_kib());
}

/* Of a page near the beginning: who wants a page of a hole that is being made waits. */
static int punch_for_ever(const struct region *r)
{
	const int how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	int ret;

	do
		ret = SYS(fallocate(r->memfd, how, 1 << 20, 4096));
	while (!ret);
	return ret;
}

/* Pages that are pinned already are thrown out of the file while others are. */
TEST_F(memory, hole_while_memory_is_pinned)
{
	struct region r;
	pid_t pid;
	int ret;

	ASSERT_EQ(0, region_create(&r, 64 << 20, 1));
	child_drops = r.host;
	pid = child_run(punch_for_ever(&r));
	child_drops = -1;
	/* Between two holes, it may be all there. */
	EXPECT_TRUE(wait_until(({
		ret = region_attach(&r);
		close(r.host);
		r.host = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
		ret; }), PATIENCE_MS));
	EXPECT_EQ(-ESTALE, ret);
	EXPECT_EQ(-1, link_find("test", 0));
	EXPECT_EQ(0, locked_kib());
	kill(pid, SIGKILL);
	EXPECT_EQ(-(1000 + SIGKILL), child_end(pid, PATIENCE_MS));
	EXPECT_EQ(0, region_attach(&r));
	region_destroy(&r);
	EXPECT_EQ(0, locked_kib());
}

/* ---- a hole, later ---- */

/* One more heartbeat of the kernel's, with which it looks around. */
static bool kernel_beats(const struct peer *p)
{
	static uint64_t last;
	uint64_t now = le64toh(READ_ONCE(p->kernel->heartbeat));
	bool beats = last && now != last;

	last = now;
	return beats;
}

/* One page only, of a ring nobody uses. The link is of no use any more, and says so. */
TEST_F(talk, hole_splits_the_link)
{
	struct region *r = &self->p.r;
	off_t hole = self->p.geo.data_offset;
	int node = link_open(self->p.link, O_RDONLY), fd, i;
	struct ivring_link_info info;
	char buf[1];
	pid_t pid;

	pid = child_run(read(self->fd, buf, 1) < 0 ? errno : 99);
	ASSERT_TRUE(child_asleep(pid, SYS_read));
	/* Times that change for other reasons, with or without data, are no fault. */
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, SYS(pwrite(r->memfd, "x", 1, r->size - 1)));
		ASSERT_EQ(0, SYS(fchmod(r->memfd, 0600 + i)));
		ASSERT_TRUE(wait_until(kernel_beats(&self->p), 5000));
	}
	EXPECT_TRUE(peer_link_is(&self->p, "up"));
	ASSERT_EQ(0, SYS(fallocate(r->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, hole,
				   4096)));
	EXPECT_TRUE(wait_until(link_attr_is(self->p.link, "state", "split"), 5000));
	EXPECT_EQ(EIO, child_end(pid, 2000));
	EXPECT_TRUE(all_fail(self->fd, -EIO));
	EXPECT_EQ(POLLERR, ch_poll(node, POLLIN, 0));
	EXPECT_EQ(0, ch_link_info(node, &info));
	EXPECT_EQ(IVRING_LINK_SPLIT, info.state);
	EXPECT_TRUE(wait_until(!READ_ONCE(self->p.kernel->epoch), PATIENCE_MS));
	fd = channel_open(self->p.link, 0, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EIO, ch_wait(fd, IVRING_WAIT_CONNECTED, MS(PATIENCE_MS)));
	close(fd);
	/* Nothing mends that, but another link does. */
	r->map[hole] = 1;
	peer_publish(&self->p);
	EXPECT_TRUE(peer_link_is(&self->p, "split"));
	close(node);
	close(r->host);
	r->host = open("/dev/ivring-host", O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, region_attach(r));
	ASSERT_EQ(0, region_peer_add(r));
	self->p.link = r->link;
	peer_publish(&self->p);
	EXPECT_TRUE(peer_link_is(&self->p, "up"));
}

HOST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/* The link server against fake QEMUs and a fake kernel. */
#include <errno.h>
#include <fcntl.h>
#include <endian.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ivring/wire.h>

#include "host.h"
#include "ivshmem-server.h"
#include "tap.h"

#define VECTORS	3
#define REGION	65536

static char dir[] = "/tmp/ivring-test-server-XXXXXX";

/* What the kernel was told. */
struct fake_host {
	int attaches, adds, dels;
	unsigned int id, peer;
	bool present;
	int refuse;
	int eventfd;
};

static int fake_attach(void *priv, int memfd, unsigned int id, const int *eventfds,
		       unsigned int vectors, struct status *st)
{
	struct fake_host *h = priv;
	struct stat stat;

	if (fstat(memfd, &stat) || stat.st_size != REGION || vectors != VECTORS)
		return status_set(st, STATUS_FAIL, "unexpected");
	h->attaches++;
	h->id = id;
	h->eventfd = eventfds[0];
	return 0;
}

static int fake_add(void *priv, unsigned int id, const int *eventfds, unsigned int vectors)
{
	struct fake_host *h = priv;

	if (h->refuse)
		return -h->refuse;
	if (h->present || vectors != VECTORS || eventfds[0] < 0)
		return -EBUSY;
	h->present = true;
	h->adds++;
	h->peer = id;
	return 0;
}

static int fake_del(void *priv, unsigned int id)
{
	struct fake_host *h = priv;

	if (!h->present || h->peer != id)
		return -ENOENT;
	h->present = false;
	h->dels++;
	return 0;
}

static const struct ivshmem_host_ops fake_ops = {
	.attach = fake_attach, .peer_add = fake_add, .peer_del = fake_del,
};

static int make_memfd(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, REGION))
		exit(1);
	return fd;
}

static int dial(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s.sock", dir, name);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr))) {
		close(sock);
		return -1;
	}
	return sock;
}

/* One message: 1, or 0 at end of file, or -EAGAIN. */
static int receive(int sock, int64_t *value, int *fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	int64_t wire;
	struct iovec iov = { .iov_base = &wire, .iov_len = sizeof(wire) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (n < 0)
		return -errno;
	if (!n)
		return 0;
	*value = le64toh(wire);
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg)
		memcpy(fd, CMSG_DATA(cmsg), sizeof(*fd));
	return n == sizeof(wire) ? 1 : -EIO;
}

static bool expect(int sock, int64_t value, bool with_fd)
{
	int64_t got;
	int fd;
	bool good = receive(sock, &got, &fd) == 1 && got == value && (fd >= 0) == with_fd;

	if (fd >= 0)
		close(fd);
	return good;
}

static bool expect_many(int sock, int64_t value, int count)
{
	while (count--)
		if (!expect(sock, value, true))
			return false;
	return true;
}

static bool is_silent(int sock)
{
	int64_t value;
	int fd;

	return receive(sock, &value, &fd) == -EAGAIN;
}

static bool is_closed(int sock)
{
	int64_t value;
	int fd, ret = receive(sock, &value, &fd);

	return ret == 0 || ret == -ECONNRESET;
}

static struct ivshmem_config config_for(const char *name, struct fake_host *host)
{
	struct ivshmem_config c = {
		.name = name, .socket_dir = dir, .vectors = VECTORS, .mode = 0660, .group = -1,
		.host = host ? &fake_ops : NULL, .host_priv = host,
	};

	return c;
}

static bool greeted(int sock, int64_t id, int64_t other)
{
	return expect(sock, 0, false) && expect(sock, id, false) && expect(sock, -1, true) &&
	       (other < 0 || expect_many(sock, other, VECTORS)) &&
	       expect_many(sock, id, VECTORS);
}

static void test_host(struct ivshmem_server *server)
{
	struct fake_host host = { 0 };
	struct ivshmem_config config = config_for("host", &host);
	struct status st;
	int a, b;

	ok(ivshmem_link_add(server, &config, make_memfd(), &st) && host.attaches == 1 &&
	   host.id == 0, "the host is attached, with ID 0");
	a = dial("host");
	ivshmem_server_dispatch(server);
	ok(greeted(a, 1, 0) && is_silent(a), "greeting in the order of the protocol");
	ok(host.present && host.peer == 1, "the kernel learns of the guest");
	b = dial("host");
	ivshmem_server_dispatch(server);
	ok(is_closed(b) && host.adds == 1, "a second guest is refused");
	ok(is_silent(a), "and the first notices nothing");
	close(b);

	close(a);
	b = dial("host");
	ivshmem_server_dispatch(server);
	ok(greeted(b, 2, 0) && host.dels == 1 && host.peer == 2,
	   "a restarted guest gets in at once, under a new ID");
	ok(send(b, "x", 1, MSG_NOSIGNAL) == 1, "a guest that talks");
	ivshmem_server_dispatch(server);
	ok(is_closed(b) && !host.present, "is thrown out");
	close(b);

	host.refuse = ENOMEM;
	a = dial("host");
	ivshmem_server_dispatch(server);
	ok(is_closed(a), "a guest that the kernel refuses is refused");
	close(a);
	host.refuse = 0;
	a = dial("host");
	ivshmem_server_dispatch(server);
	ok(greeted(a, 4, 0), "and its ID is not used again");
	close(a);
	ivshmem_server_dispatch(server);
}

static void test_eventfds(struct ivshmem_server *server)
{
	struct fake_host host = { 0 };
	struct ivshmem_config config = config_for("bells", &host);
	uint64_t value = 0;
	struct status st;
	int64_t got;
	int a, fd, i;

	ivshmem_link_add(server, &config, make_memfd(), &st);
	a = dial("bells");
	ivshmem_server_dispatch(server);
	for (i = 0; i < 2; i++)
		expect(a, i, false);
	expect(a, -1, true);
	ok(receive(a, &got, &fd) == 1 && got == 0 && !eventfd_write(fd, 1) &&
	   !eventfd_read(host.eventfd, &value) && value == 1,
	   "what the guest rings is what the host listens to");
	close(fd);
	close(a);
	ivshmem_server_dispatch(server);
}

static void test_two_guests(struct ivshmem_server *server)
{
	struct ivshmem_config config = config_for("pair", NULL);
	struct status st;
	int a, b, c;

	ok(ivshmem_link_add(server, &config, make_memfd(), &st), "a link between two guests");
	a = dial("pair");
	ivshmem_server_dispatch(server);
	ok(greeted(a, 0, -1) && is_silent(a), "the first one is alone");
	b = dial("pair");
	ivshmem_server_dispatch(server);
	ok(greeted(b, 1, 0), "the second one learns of the first");
	ok(expect_many(a, 1, VECTORS) && is_silent(a), "the first one learns of the second");
	c = dial("pair");
	ivshmem_server_dispatch(server);
	ok(is_closed(c), "a third one is refused");
	close(c);
	close(a);
	ivshmem_server_dispatch(server);
	ok(expect(b, 0, false) && is_silent(b), "who stays learns that the other left");
	a = dial("pair");
	ivshmem_server_dispatch(server);
	ok(greeted(a, 2, 1) && expect_many(b, 2, VECTORS), "a new one comes, with a new ID");
	close(a);
	close(b);
	ivshmem_server_dispatch(server);
}

/* Without a host the server takes back what a guest left, and gives sides by IDs. */
static void test_burial(struct ivshmem_server *server)
{
	const struct ivring_wire_format format = {
		.region_size = REGION, .channels = 1, .label = "grave", .guests = true,
	};
	struct ivshmem_config config = config_for("grave", NULL);
	int memfd = make_memfd(), a, b, fd = -1, i, bell = -1;
	struct ivring_wire_side *sides;
	uint64_t value = 0;
	struct status st;
	int64_t got;
	char *region;

	region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (region == MAP_FAILED || ivring_wire_format((void *)region, &format))
		exit(1);
	sides = (void *)(region + 4096);
	ivshmem_link_add(server, &config, memfd, &st);
	a = dial("grave");
	ivshmem_server_dispatch(server);
	ok(greeted(a, 0, -1), "the first guest is side 0");
	b = dial("grave");
	ivshmem_server_dispatch(server);
	expect(b, 0, false);
	expect(b, 1, false);
	expect(b, -1, true);
	expect_many(b, 0, VECTORS);
	/* The first of its own eventfds */
	for (i = 0; i < VECTORS && receive(b, &got, &fd) == 1; i++) {
		if (!i)
			bell = fd;
		else
			close(fd);
	}
	sides[0].epoch = 7;
	sides[0].state = sides[1].state = htole32(IVRING_WIRE_SIDE_READY);
	sides[1].epoch = 8;
	close(a);
	ivshmem_server_dispatch(server);
	ok(!sides[0].epoch && !sides[0].state && sides[1].epoch == 8 && sides[1].state,
	   "who left is taken down, and nobody else");
	ok(!eventfd_read(bell, &value) && value == 1, "the other one's doorbell rings");
	a = dial("grave");
	ivshmem_server_dispatch(server);
	ok(greeted(a, 2, 1), "the next first guest is side 0 again");
	close(bell);
	close(b);
	ivshmem_server_dispatch(server);
	b = dial("grave");
	ivshmem_server_dispatch(server);
	ok(greeted(b, 3, 2), "and the next second one side 1");
	close(a);
	close(b);
	ivshmem_server_dispatch(server);
	munmap(region, REGION);
}

/* A guest that never reads while the other one comes and goes. */
static void test_slow_guest(struct ivshmem_server *server)
{
	struct ivshmem_config config = config_for("slow", NULL);
	struct status st;
	int a, b, i, small = 1, rounds = 3000;
	bool dropped = false;

	config.vectors = 256;
	ivshmem_link_add(server, &config, make_memfd(), &st);
	a = dial("slow");
	setsockopt(a, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	ivshmem_server_dispatch(server);
	for (i = 0; i < rounds && !dropped; i++) {
		b = dial("slow");
		ivshmem_server_dispatch(server);
		close(b);
		ivshmem_server_dispatch(server);
		dropped = send(a, "", 0, MSG_NOSIGNAL) < 0;
	}
	ok(dropped, "a guest that never reads is dropped in the end (after %d rounds)", i);
	close(a);
	b = dial("slow");
	ivshmem_server_dispatch(server);
	ok(expect(b, 0, false), "and others are served");
	close(b);
	ivshmem_server_dispatch(server);
}

static void test_id_exhaustion(struct ivshmem_server *server)
{
	struct fake_host host = { 0 };
	struct ivshmem_config config = config_for("ids", &host);
	struct status st;
	bool good = true;
	int a, i;

	ivshmem_link_add(server, &config, make_memfd(), &st);
	if (!freopen("/dev/null", "w", stdout))
		exit(1);
	for (i = 1; i <= 65535 && good; i++) {
		a = dial("ids");
		ivshmem_server_dispatch(server);
		good = host.present && host.peer == (unsigned int)i;
		close(a);
	}
	a = dial("ids");
	ivshmem_server_dispatch(server);
	good = good && is_closed(a) && !host.present;
	close(a);
	fflush(stdout);
	if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		exit(1);
	ok(good, "65535 guests get 65535 IDs, and then there are none");
}

static void test_socket(void)
{
	struct ivshmem_server *one, *two;
	struct ivshmem_config config = config_for("sock", NULL);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char path[128], lock[128];
	struct status st;
	struct stat stat_buf;
	int sock;

	snprintf(path, sizeof(path), "%s/sock.sock", dir);
	snprintf(lock, sizeof(lock), "%s/sock.lock", dir);
	strcpy(addr.sun_path, path);
	/* A server that was killed leaves this. */
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ok(!bind(sock, (struct sockaddr *)&addr, sizeof(addr)), "a stale socket");
	close(sock);
	one = ivshmem_server_new(&st);
	ok(ivshmem_link_add(one, &config, make_memfd(), &st), "is taken over");
	ok(!stat(path, &stat_buf) && (stat_buf.st_mode & 0777) == 0660, "the mode is right");
	two = ivshmem_server_new(&st);
	ok(!ivshmem_link_add(two, &config, make_memfd(), &st) && st.code == STATUS_BUSY,
	   "a name is served once");
	ok(!stat(path, &stat_buf) && !stat(lock, &stat_buf), "and the loser removes nothing");
	ivshmem_server_free(two);
	ivshmem_server_free(one);
	ok(stat(path, &stat_buf) && stat(lock, &stat_buf), "nothing is left at the end");
	/* A foreign server that answers. */
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(sock, (struct sockaddr *)&addr, sizeof(addr)) || listen(sock, 1))
		exit(1);
	one = ivshmem_server_new(&st);
	ok(!ivshmem_link_add(one, &config, make_memfd(), &st) && st.code == STATUS_BUSY &&
	   !stat(path, &stat_buf), "another program's socket is left alone");
	ivshmem_server_free(one);
	close(sock);
	unlink(path);
}

/* No file descriptor is free: that must not become a loop. */
static void test_no_files(struct ivshmem_server *server)
{
	struct ivshmem_config config = config_for("files", NULL);
	struct pollfd pfd = { .fd = ivshmem_server_fd(server), .events = POLLIN };
	struct rlimit old, limit;
	struct status st;
	bool quiet;
	int a;

	ivshmem_link_add(server, &config, make_memfd(), &st);
	a = dial("files");
	getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	limit.rlim_cur = a;
	setrlimit(RLIMIT_NOFILE, &limit);
	ivshmem_server_dispatch(server);
	quiet = poll(&pfd, 1, 100) == 0;
	setrlimit(RLIMIT_NOFILE, &old);
	ok(quiet, "without free file descriptors the server pauses");
	ok(poll(&pfd, 1, 5000) == 1, "and looks again");
	ivshmem_server_dispatch(server);
	ivshmem_server_dispatch(server);
	ok(greeted(a, 0, -1), "and serves who waited");
	close(a);
	ivshmem_server_dispatch(server);
}

static void test_attach_errors(void)
{
	static const struct {
		int err, code;
		const char *cure;
	} cases[] = {
		{ EPERM, STATUS_ACCESS, "root" },
		{ EBUSY, STATUS_FAIL, "already" },
		{ EBADF, STATUS_FAIL, "release" },
		{ EINVAL, STATUS_FAIL, "release" },
		{ EMEDIUMTYPE, STATUS_FAIL, "release" },
		{ ETXTBSY, STATUS_FAIL, "release" },
		{ EFBIG, STATUS_USAGE, "--size" },
		{ EBADMSG, STATUS_FAIL, "release" },
		{ EPROTONOSUPPORT, STATUS_VERSION, "update" },
		{ ENOTUNIQ, STATUS_USAGE, "--channels" },
		{ ENOMEM, STATUS_NO_SPACE, "RLIMIT_MEMLOCK" },
		{ ENOSPC, STATUS_FAIL, "other servers" },
		{ EACCES, STATUS_ACCESS, "memory" },
		{ EFAULT, STATUS_FAIL, "release" },
		{ EINTR, STATUS_INTERRUPTED, "signal" },
		{ ENOTTY, STATUS_VERSION, "update" },
		{ EIO, STATUS_FAIL, "" },
	};
	struct status st;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ok(host_attach_failed(cases[i].err, &st) == -cases[i].code &&
		   strstr(st.text, cases[i].cure), "ATTACH, code %d: %s", st.code, st.text);
	ok(host_open_failed(ENOENT, &st) == -STATUS_NO_LINK && strstr(st.text, "modprobe"),
	   "no module: %s", st.text);
	ok(host_open_failed(EACCES, &st) == -STATUS_ACCESS, "no permission: %s", st.text);
	ok(host_open_failed(EMFILE, &st) == -STATUS_FAIL, "anything else: %s", st.text);
}

static void test_bad_dir(struct ivshmem_server *server)
{
	struct ivshmem_config config = config_for("lost", NULL);
	struct status st;

	config.socket_dir = "/tmp/ivring-no/such";
	ok(!ivshmem_link_add(server, &config, make_memfd(), &st) && st.code == STATUS_DEST,
	   "no directory for the socket: %s", st.text);
}

int main(void)
{
	struct ivshmem_server *server;
	struct status st;

	/* TAP goes to what was stdout; the server's log is silenced now and then. */
	if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0 || !mkdtemp(dir))
		return 1;
	server = ivshmem_server_new(&st);
	test_host(server);
	test_eventfds(server);
	test_two_guests(server);
	test_burial(server);
	test_slow_guest(server);
	test_socket();
	test_no_files(server);
	test_attach_errors();
	test_bad_dir(server);
	test_id_exhaustion(server);
	ivshmem_server_free(server);
	ok(!rmdir(dir), "the directory is empty at the end");
	return tap_done();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The link server killed before each message it sends and around each call of the
 * kernel, and started again with what the service manager kept: whoever is there then
 * knows of exactly those who are there.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ivring/wire.h>

#include "fdstore.h"
#include "ivshmem-server.h"
#include "tap.h"

#define VECTORS		2
#define REGION		65536
#define CLIENTS		5
#define IDS		16
#define FILES_MAX	64
#define LENGTH(a)	(sizeof(a) / sizeof((a)[0]))
/* Out of the way of where a server finds what was kept */
#define CONTROL_AT	100
#define FILES_AT	101

static char dir[] = "/tmp/ivring-test-restart-XXXXXX";

/* ---- in the server: where it dies ---- */

static int steps_left;		/* zero: not at all */

static void step(void)
{
	if (steps_left && !--steps_left)
		kill(getpid(), SIGKILL);
}

/* Instead of libc's: all that the server tells anybody goes through it. */
ssize_t sendmsg(int sock, const struct msghdr *msg, int flags)
{
	step();
	return syscall(SYS_sendmsg, sock, msg, flags);
}

/* ---- the kernel: it outlives servers ---- */

static struct kernel {
	bool present;
	unsigned int peer;
	ino_t memory;
	int fd;			/* in a server: what the attachment lives by */
} *kernel;

static int kernel_attach(void *priv, int memfd, unsigned int id, const int *eventfds,
			 unsigned int vectors, struct status *st)
{
	struct stat stat;

	(void)priv;
	(void)id;
	(void)eventfds;
	(void)vectors;
	(void)st;
	step();
	fstat(memfd, &stat);
	*kernel = (struct kernel){ .memory = stat.st_ino, .fd = eventfd(0, EFD_CLOEXEC) };
	step();
	return 0;
}

static int kernel_kept(void *priv, unsigned int *link)
{
	(void)priv;
	*link = 7;
	return kernel->fd;
}

static void kernel_adopt(void *priv, int fd, unsigned int link)
{
	(void)priv;
	(void)link;
	kernel->fd = fd;
}

static int kernel_add(void *priv, unsigned int id, const int *eventfds, unsigned int vectors)
{
	(void)priv;
	(void)eventfds;
	(void)vectors;
	step();
	if (kernel->present)
		return -EBUSY;
	kernel->present = true;
	kernel->peer = id;
	step();
	return 0;
}

static int kernel_del(void *priv, unsigned int id)
{
	(void)priv;
	step();
	if (!kernel->present || kernel->peer != id)
		return -ENOENT;
	kernel->present = false;
	step();
	return 0;
}

static const struct ivshmem_host_ops kernel_ops = {
	.attach = kernel_attach, .kept = kernel_kept, .adopt = kernel_adopt,
	.peer_add = kernel_add, .peer_del = kernel_del,
};

/* ---- the service manager ---- */

static struct {
	int fd;
	char name[FDSTORE_NAME];
} files[FILES_MAX];
static int file_count;
static char removals[FILES_MAX][FDSTORE_NAME];
static int removal_count;
static int manager;

static void file_drop(int i)
{
	close(files[i].fd);
	files[i] = files[--file_count];
}

static void file_drop_name(const char *name)
{
	int i;

	for (i = file_count - 1; i >= 0; i--)
		if (!strcmp(files[i].name, name))
			file_drop(i);
}

/* What the server has removed: it is done some time, but in order. */
static void files_remove(void)
{
	int i;

	for (i = 0; i < removal_count; i++)
		file_drop_name(removals[i]);
	removal_count = 0;
}

static int file_has(const char *name)
{
	int i, n = 0;

	for (i = 0; i < file_count; i++)
		n += !strcmp(files[i].name, name);
	return n;
}

/* What hung up is of no use to anybody. */
static void files_drop_dead(void)
{
	struct pollfd p;
	int i;

	for (i = file_count - 1; i >= 0; i--) {
		p = (struct pollfd){ .fd = files[i].fd };
		if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
			file_drop(i);
	}
}

static void manager_listen(void)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	char text[256], name[FDSTORE_NAME], *p;
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr msg;
	ssize_t n;
	int fd;

	for (;;) {
		msg = (struct msghdr){
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = &control, .msg_controllen = sizeof(control),
		};
		n = recvmsg(manager, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n < 0)
			return;
		text[n] = '\0';
		p = strstr(text, "FDNAME=");
		if (!p)
			continue;
		snprintf(name, sizeof(name), "%s", p + 7);
		name[strcspn(name, "\n")] = '\0';
		if (strstr(text, "FDSTOREREMOVE=1")) {
			if (removal_count == FILES_MAX)
				exit(1);
			strcpy(removals[removal_count++], name);
		} else if (CMSG_FIRSTHDR(&msg)) {
			files_remove();
			memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
			if (file_count == FILES_MAX)
				exit(1);
			files[file_count].fd = fcntl(fd, F_DUPFD_CLOEXEC, FILES_AT);
			close(fd);
			strcpy(files[file_count++].name, name);
		}
	}
}

/* ---- the server, a process of its own ---- */

static pid_t server;
static int control;		/* a byte has it look for events, and is its answer */

static int new_region(bool with_host)
{
	const struct ivring_wire_format format = {
		.region_size = REGION, .channels = 1, .label = "link", .guests = !with_host,
	};
	int fd = memfd_create("test", MFD_CLOEXEC);
	void *region;

	if (fd < 0 || ftruncate(fd, REGION))
		_exit(3);
	region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (region == MAP_FAILED || ivring_wire_format(region, &format))
		_exit(3);
	munmap(region, REGION);
	return fd;
}

/* The server has what was kept for it, and nothing else of ours. */
static void hand_over(void)
{
	char names[FILES_MAX * FDSTORE_NAME] = "", number[16];
	int i;

	close_range(3, CONTROL_AT - 1, 0);
	for (i = 0; i < file_count; i++) {
		dup2(files[i].fd, 3 + i);
		strcat(strcat(names, i ? ":" : ""), files[i].name);
	}
	close_range(FILES_AT, ~0U, 0);
	snprintf(number, sizeof(number), "%d", getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%d", file_count);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static void server_main(bool with_host)
{
	struct ivshmem_config config = {
		.name = "link", .socket_dir = dir, .vectors = VECTORS, .mode = 0600, .group = -1,
		.host = with_host ? &kernel_ops : NULL,
	};
	struct ivshmem_server *s;
	struct status st;
	int memfd;
	char c = 'r';

	hand_over();
	fdstore_open();
	s = ivshmem_server_new(&st);
	memfd = ivshmem_kept_memfd("link", with_host);
	if (memfd < 0)
		memfd = new_region(with_host);
	if (!s || !ivshmem_link_add(s, &config, memfd, &st))
		_exit(3);
	fdstore_close();
	do {
		if (write(CONTROL_AT, &c, 1) != 1)
			break;
		if (read(CONTROL_AT, &c, 1) != 1)
			break;
		ivshmem_server_dispatch(s);
	} while (c != 'q');
	_exit(0);
}

/* False: it died instead, and has closed all its files by now. */
static bool server_answers(void)
{
	siginfo_t info;
	struct pollfd p[2] = {
		{ .fd = control, .events = POLLIN }, { .fd = manager, .events = POLLIN },
	};
	bool alive;
	char c;

	do {
		poll(p, 2, -1);
		manager_listen();
	} while (!p[0].revents);
	alive = read(control, &c, 1) == 1;
	if (!alive)
		waitid(P_PID, server, &info, WEXITED | WNOWAIT);
	manager_listen();
	return alive;
}

static bool server_start(bool with_host, int steps)
{
	int pair[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		exit(1);
	fflush(stdout);
	server = fork();
	if (!server) {
		dup2(pair[1], CONTROL_AT);
		steps_left = steps;
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		server_main(with_host);
	}
	close(null);
	close(pair[1]);
	control = pair[0];
	return server_answers();
}

static bool server_looks(void)
{
	return write(control, "l", 1) == 1 && server_answers();
}

static int server_wait(void)
{
	int status = 0;

	close(control);
	waitpid(server, &status, 0);
	return status;
}

static void server_kill(void)
{
	kill(server, SIGKILL);
	server_wait();
}

/* ---- QEMUs, and the guests' modules in them ---- */

static struct client {
	int sock;		/* -1: not there */
	int messages;
	int64_t id;
	ino_t memory;
	struct ivring_wire_side *sides;
	int eventfds[IDS];	/* by ID, how many it was told of */
} clients[CLIENTS];
static bool id_seen[IDS];

static void client_ends(struct client *q)
{
	if (q->sock >= 0)
		close(q->sock);
	if (q->sides)
		munmap((char *)q->sides - 4096, REGION);
	*q = (struct client){ .sock = -1 };
}

static void client_dials(struct client *q)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	*q = (struct client){ .sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
					     SOCK_NONBLOCK, 0) };
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/link.sock", dir);
	if (connect(q->sock, (struct sockaddr *)&addr, sizeof(addr)))
		client_ends(q);
}

static void client_maps(struct client *q, int fd)
{
	struct stat stat;
	char *region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(region != MAP_FAILED && !fstat(fd, &stat));
	q->memory = stat.st_ino;
	q->sides = (void *)(region + 4096);
}

static void client_hears(struct client *q, int64_t value, int fd)
{
	switch (q->messages++) {
	case 0:
		CHECK(value == 0 && fd < 0);
		break;
	case 1:
		CHECK(value >= 0 && value < IDS && fd < 0 && !id_seen[value]);
		id_seen[value % IDS] = true;
		q->id = value;
		break;
	case 2:
		CHECK(value == -1 && fd >= 0);
		client_maps(q, fd);
		break;
	default:
		CHECK(value >= 0 && value < IDS);
		if (fd < 0)
			q->eventfds[value % IDS] = 0;
		else
			q->eventfds[value % IDS]++;
		/* All there: its module begins a life. */
		if (fd >= 0 && value == q->id && q->eventfds[value] == VECTORS)
			q->sides[value & 1].epoch = 100 + value;
	}
}

static void client_listens(struct client *q)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} buf;
	int64_t value;
	struct iovec iov = { .iov_base = &value, .iov_len = sizeof(value) };
	struct msghdr msg;
	ssize_t n;
	int fd;

	while (q->sock >= 0) {
		msg = (struct msghdr){
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = &buf, .msg_controllen = sizeof(buf),
		};
		n = recvmsg(q->sock, &msg, MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n != sizeof(value)) {
			/* Of no use any more, and the server said so. */
			client_ends(q);
			return;
		}
		fd = -1;
		if (CMSG_FIRSTHDR(&msg))
			memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
		client_hears(q, le64toh(value), fd);
		if (fd >= 0)
			close(fd);
	}
}

static void clients_listen(void)
{
	int i;

	files_remove();
	for (i = 0; i < CLIENTS; i++)
		client_listens(&clients[i]);
}

static bool id_is_there(int64_t id)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		if (clients[i].sock >= 0 && clients[i].id == id)
			return true;
	return false;
}

static void check_client(const struct client *q, bool with_host)
{
	int64_t id;

	for (id = 0; id < IDS; id++)
		CHECK(q->eventfds[id] ==
		      (id_is_there(id) || (with_host && !id) ? VECTORS : 0));
	if (!with_host)
		CHECK(q->sides[q->id & 1].epoch == 100 + (uint64_t)q->id);
	else
		CHECK(kernel->memory == q->memory && kernel->present && kernel->peer == q->id);
}

static void check_all(bool with_host)
{
	const struct client *q, *last = NULL;
	int i, count = 0;

	for (i = 0; i < CLIENTS; i++) {
		q = &clients[i];
		if (q->sock < 0)
			continue;
		check_client(q, with_host);
		CHECK(!last || (last->memory == q->memory && !with_host));
		last = q;
		count++;
	}
	if (with_host)
		CHECK(kernel->present == !!last);
	else if (count == 1)
		CHECK(!last->sides[!(last->id & 1)].epoch);
}

/* ---- lives ---- */

enum { COMES, GOES, TALKS };

/* Between two guests, and one after the other with a host */
static const struct event {
	int what;
	int client;
} of_guests[] = {
	{ COMES, 0 }, { COMES, 1 }, { GOES, 0 }, { COMES, 2 }, { TALKS, 1 }, { COMES, 3 },
	{ GOES, 2 }, { GOES, 3 }, { COMES, 4 },
}, of_host[] = {
	{ COMES, 0 }, { GOES, 0 }, { COMES, 1 }, { TALKS, 1 }, { COMES, 2 }, { GOES, 2 },
};

static void happens(const struct event *e)
{
	struct client *q = &clients[e->client];

	if (e->what == COMES)
		client_dials(q);
	else if (e->what == GOES)
		client_ends(q);
	else if (q->sock >= 0)
		CHECK(send(q->sock, "x", 1, MSG_NOSIGNAL) == 1);
}

static void begin(void)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		clients[i] = (struct client){ .sock = -1 };
	memset(id_seen, 0, sizeof(id_seen));
	files_remove();
	while (file_count)
		file_drop(0);
	*kernel = (struct kernel){ 0 };
}

/* All have left: the link itself is all that is kept. */
static void check_rest(bool with_host)
{
	files_remove();
	CHECK(file_has("link=memfd") == 1 && file_has("link=state") == 1);
	CHECK(file_has("link=host") == with_host && file_has("link=0.0") == with_host);
	CHECK(file_count == 2 + with_host * (1 + VECTORS));
}

/* The server died of what it was to die of. */
static void next_server(bool with_host)
{
	int status = server_wait();

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(server_start(with_host, 0));
	CHECK(server_looks() && server_looks());
	clients_listen();
	check_all(with_host);
}

/*
 * One life of a link, whose server dies at step @steps. With @late the service manager
 * keeps files that hung up, and what happens next does so before there is another
 * server. False: this one outlived it all.
 */
static bool live(bool with_host, int steps, bool late)
{
	const struct event *e = with_host ? of_host : of_guests;
	const struct event *end = e + (with_host ? LENGTH(of_host) : LENGTH(of_guests));
	bool alive, died = false;
	int i;

	begin();
	alive = server_start(with_host, steps);
	while (e <= end) {
		if (!alive) {
			CHECK(!died);
			died = true;
			clients_listen();
			if (!late)
				files_drop_dead();
			else if (e < end)
				happens(e++);
			next_server(with_host);
		}
		if (e < end)
			happens(e);
		else
			for (i = 0; i < CLIENTS; i++)
				client_ends(&clients[i]);
		e++;
		alive = server_looks() && server_looks();
		clients_listen();
		if (alive)
			check_all(with_host);
	}
	if (!alive) {
		CHECK(!died);
		died = true;
		next_server(with_host);
	}
	check_rest(with_host);
	server_kill();
	return died;
}

static void lives(bool with_host, bool late)
{
	int steps = 1;

	while (live(with_host, steps, late) && !tap_wrong)
		steps++;
	printf("# %d places to die at%s\n", steps - 1, tap_wrong ? ", and then" : "");
	CHECK(steps > 50);
}

static void guests(void)
{
	lives(false, false);
}

static void guests_late(void)
{
	lives(false, true);
}

static void host(void)
{
	lives(true, false);
}

static void host_late(void)
{
	lives(true, true);
}

/* ---- memory that is not to be used again ---- */

/* What a first guest gets, and what the next server's first one gets. */
static bool same_memory(bool with_host, bool then_with_host, const char *lost)
{
	ino_t before;

	begin();
	CHECK(server_start(with_host, 0));
	client_dials(&clients[0]);
	CHECK(server_looks());
	clients_listen();
	before = clients[0].memory;
	server_kill();
	if (lost)
		file_drop_name(lost);
	/* Another link may begin with the same IDs. */
	memset(id_seen, 0, sizeof(id_seen));
	CHECK(server_start(then_with_host, 0));
	client_dials(&clients[1]);
	CHECK(server_looks() && server_looks());
	clients_listen();
	if (clients[1].sock < 0) {
		/* The first one has kept its place. */
		CHECK(clients[0].sock >= 0);
		client_ends(&clients[0]);
		client_dials(&clients[1]);
		CHECK(server_looks());
		clients_listen();
	}
	CHECK(clients[1].memory);
	before -= clients[1].memory;
	client_ends(&clients[0]);
	client_ends(&clients[1]);
	CHECK(server_looks() && server_looks());
	check_rest(then_with_host);
	server_kill();
	return !before;
}

static void memory(void)
{
	CHECK(same_memory(true, true, NULL));
	CHECK(same_memory(false, false, NULL));
	CHECK(!same_memory(true, false, NULL));
	CHECK(!same_memory(false, true, NULL));
	CHECK(!same_memory(true, true, "link=host"));
	CHECK(!same_memory(true, true, "link=0.1"));
	CHECK(!same_memory(true, true, "link=state"));
	CHECK(!same_memory(false, false, "link=state"));
	CHECK(!same_memory(false, false, "link=memfd"));
}

int main(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char path[64];

	if (!mkdtemp(dir))
		return 1;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/notify", dir);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	kernel = mmap(NULL, sizeof(*kernel), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (manager < 0 || bind(manager, (struct sockaddr *)&addr, sizeof(addr)) ||
	    kernel == MAP_FAILED || setenv("NOTIFY_SOCKET", addr.sun_path, 1))
		return 1;
	tap_run(guests, "killed anywhere, between two guests");
	tap_run(guests_late, "the same, and more happens before the next server");
	tap_run(host, "killed anywhere, with a host");
	tap_run(host_late, "the same, and more happens before the next server");
	tap_run(memory, "memory is used again only as what it was");
	snprintf(path, sizeof(path), "%s/link.lock", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/link.sock", dir);
	unlink(path);
	unlink(addr.sun_path);
	ok(!rmdir(dir), "the directory is empty at the end");
	return tap_done();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Files and round trips over plain sockets and the like, to compare with:
 *
 *	bench-peer serve [--once] ADDR DIR	answers in the background
 *	bench-peer push ADDR FILE NAME [BUF]	FILE to NAME below the server's DIR
 *	bench-peer pull ADDR NAME FILE [BUF]	and back
 *	bench-peer ping ADDR BYTES ROUNDS	prints the median in nanoseconds
 *
 * ADDR is vsock:CID:PORT, tcp:HOST:PORT, unix:PATH, dev:PATH (a character device with
 * one stream) or shm:PATH (memory that both sides map: BAR 2 of ivshmem-plain). BUF is
 * how much a read and a write moves at a time (256 KiB), "sendfile" has the kernel do it.
 * FILE and NAME of what is sent may end in @I/N: the I-th of N parts, counted from 0, which
 * goes to the same place of the other file. "serve" returns when it can be connected to. A push ends when the last byte is in the
 * file over there, which the server says; a pull when it is in the file here.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#define WARM		100
#define BUF_MAX		(4u << 20)
#define BUF_DEFAULT	(256u << 10)
#define REGION		(64ul << 20)
#define BOX_HEAD	4096
#define BOX_ROOM	(REGION / 2 - BOX_HEAD)

/* What a client asks for. Both ends are this very program. */
struct request {
	uint32_t op;		/* 'u' push, 'l' pull, 'p' ping */
	uint32_t buf;		/* 0: sendfile */
	uint64_t size;		/* of the file, or of a ping */
	uint64_t rounds;	/* of a ping; where in the file a part begins */
	char name[104];
};

/* What is said of a file that was asked for */
struct answer {
	uint64_t size, offset;
};

/*
 * Half of the shared memory, one for each direction: whoever sends waits until it is
 * empty, fills it and says so; whoever receives empties it. That is all of the protocol.
 */
struct box {
	volatile uint64_t full;	/* bytes in it, 0: it is the sender's */
	char pad[BOX_HEAD - sizeof(uint64_t)];
	char data[BOX_ROOM];
};

/* One end of a connection: a file descriptor, or two boxes. */
struct conn {
	int fd;
	struct box *out, *in;
	size_t in_at;		/* what of the box was consumed */
};

static char buffer[BUF_MAX];

static int fail(const char *what)
{
	fprintf(stderr, "bench-peer: %s: %s\n", what, strerror(errno));
	return 1;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Spins, for that is what a naive program does; but not for ever on a busy machine. */
static void box_wait(struct box *box, int full)
{
	unsigned int i;

	for (i = 0; (box->full != 0) != full; i++) {
		if (i > 20000)
			sched_yield();
		__builtin_ia32_pause();
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static void box_give(struct box *box, uint64_t full)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	box->full = full;
}

/* Bytes that are there, at most len; 0 when the other end is gone. */
static ssize_t conn_read(struct conn *c, void *to, size_t len)
{
	size_t n;

	if (!c->in)
		return read(c->fd, to, len);
	box_wait(c->in, 1);
	n = c->in->full - c->in_at;
	n = n < len ? n : len;
	memcpy(to, c->in->data + c->in_at, n);
	c->in_at += n;
	if (c->in_at == c->in->full) {
		c->in_at = 0;
		box_give(c->in, 0);
	}
	return n;
}

static int conn_read_all(struct conn *c, void *to, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = conn_read(c, (char *)to + done, len - done);
		if (n <= 0)
			return -1;
		done += n;
	}
	return 0;
}

static int write_all(int fd, const char *from, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, from, len);
		if (n <= 0)
			return -1;
		from += n;
		len -= n;
	}
	return 0;
}

static int conn_write(struct conn *c, const void *from, size_t len)
{
	if (!c->out)
		return write_all(c->fd, from, len);
	if (len > BOX_ROOM)
		return -1;
	box_wait(c->out, 0);
	memcpy(c->out->data, from, len);
	box_give(c->out, len);
	return 0;
}

/* Straight from the file to the shared memory */
static int box_send(struct box *box, int file, uint64_t size)
{
	ssize_t n;

	for (; size; size -= n) {
		box_wait(box, 0);
		n = read(file, box->data, size < BOX_ROOM ? size : BOX_ROOM);
		if (n <= 0)
			return -1;
		box_give(box, n);
	}
	return 0;
}

static int box_receive(struct box *box, int file, uint64_t size)
{
	for (; size; size -= box->full, box_give(box, 0)) {
		box_wait(box, 1);
		if (box->full > size || box->full > BOX_ROOM ||
		    write_all(file, box->data, box->full))
			return -1;
	}
	return 0;
}

static int file_send(struct conn *c, int file, uint64_t size, uint32_t buf)
{
	ssize_t n;

	if (c->out)
		return box_send(c->out, file, size);
	for (; size; size -= n) {
		if (!buf) {
			n = sendfile(c->fd, file, NULL, size);
			if (n <= 0)
				return -1;
			continue;
		}
		n = read(file, buffer, size < buf ? size : buf);
		if (n <= 0 || write_all(c->fd, buffer, n))
			return -1;
	}
	return 0;
}

static int file_receive(struct conn *c, int file, uint64_t size, uint32_t buf)
{
	ssize_t n;

	if (c->in)
		return box_receive(c->in, file, size);
	if (!buf)
		buf = BUF_DEFAULT;
	for (; size; size -= n) {
		n = read(c->fd, buffer, size < buf ? size : buf);
		if (n <= 0 || write_all(file, buffer, n))
			return -1;
	}
	return 0;
}

/* file_to_send: opens it where its part begins; the size of that, and where it is. */
static int file_to_send(const char *name, uint64_t *size, uint64_t *offset)
{
	unsigned int part = 0, parts = 1;
	char path[128], *at;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s", name);
	at = strrchr(path, '@');
	if (at && sscanf(at, "@%u/%u", &part, &parts) == 2)
		*at = 0;
	if (!parts || part >= parts) {
		errno = EINVAL;
		return -1;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return -1;
	*offset = st.st_size / parts * part;
	*size = (part == parts - 1 ? st.st_size : st.st_size / parts * (part + 1)) - *offset;
	return lseek(fd, *offset, SEEK_SET) < 0 ? -1 : fd;
}

static int file_to_fill(const char *path, uint64_t offset)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	return fd < 0 || lseek(fd, offset, SEEK_SET) < 0 ? -1 : fd;
}

static int serve_ping(struct conn *c, struct request *r)
{
	uint64_t i;

	for (i = 0; i < r->rounds + WARM; i++)
		if (conn_read_all(c, buffer, r->size) || conn_write(c, buffer, r->size))
			return -1;
	return 0;
}

/* One request, in the server's directory */
static int serve_one(struct conn *c)
{
	struct request r;
	struct answer a;
	int file, err;

	if (conn_read_all(c, &r, sizeof(r)))
		return -1;
	r.name[sizeof(r.name) - 1] = 0;
	if (r.buf > BUF_MAX || (r.op == 'p' && r.size > BUF_MAX))
		return -1;
	if (r.op == 'p')
		return serve_ping(c, &r);
	if (r.op == 'u')
		file = file_to_fill(r.name, r.rounds);
	else
		file = file_to_send(r.name, &a.size, &a.offset);
	if (file < 0)
		return fail(r.name);
	if (r.op == 'u') {
		err = file_receive(c, file, r.size, r.buf) ||
		      conn_write(c, &r.size, sizeof(r.size));
	} else {
		err = conn_write(c, &a, sizeof(a)) || file_send(c, file, a.size, r.buf);
	}
	close(file);
	return err ? fail("transfer") : 0;
}

union addr {
	struct sockaddr sa;
	struct sockaddr_vm vm;
	struct sockaddr_in in;
	struct sockaddr_un un;
};

static char *split(char *s)
{
	char *colon = strrchr(s, ':');

	if (colon)
		*colon++ = 0;
	return colon;
}

/* A socket for ADDR, and its address; -1: not one of a socket */
static int addr_socket(const char *text, union addr *a, socklen_t *len)
{
	char copy[100], *port;
	int one = 1, fd = -1;

	memset(a, 0, sizeof(*a));
	snprintf(copy, sizeof(copy), "%s", strchr(text, ':') + 1);
	if (!strncmp(text, "vsock:", 6) && (port = split(copy))) {
		a->vm.svm_family = AF_VSOCK;
		a->vm.svm_cid = atoi(copy);
		a->vm.svm_port = atoi(port);
		*len = sizeof(a->vm);
		fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	} else if (!strncmp(text, "tcp:", 4) && (port = split(copy))) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(atoi(port));
		*len = sizeof(a->in);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (inet_pton(AF_INET, copy, &a->in.sin_addr) != 1)
			return -1;
	} else if (!strncmp(text, "unix:", 5)) {
		a->un.sun_family = AF_UNIX;
		snprintf(a->un.sun_path, sizeof(a->un.sun_path), "%s", copy);
		*len = sizeof(a->un);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
	}
	return fd;
}

/* The default of 256 KiB for what may be in flight is small for a vsock. */
static void vsock_room(int fd, const union addr *a)
{
	uint64_t room = 4u << 20;

	if (a->sa.sa_family != AF_VSOCK)
		return;
	setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &room, sizeof(room));
	setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &room, sizeof(room));
}

static int conn_map(struct conn *c, const char *path, int server)
{
	struct box *boxes;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -1;
	boxes = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (boxes == MAP_FAILED)
		return -1;
	c->in = &boxes[server ? 0 : 1];
	c->out = &boxes[server ? 1 : 0];
	if (server)
		boxes[0].full = boxes[1].full = 0;
	return 0;
}

/* conn_open: of a client, or of a server of what cannot be listened to */
static int conn_open(struct conn *c, const char *addr, int server)
{
	union addr a;
	socklen_t len;

	memset(c, 0, sizeof(*c));
	c->fd = -1;
	if (!strncmp(addr, "shm:", 4))
		return conn_map(c, addr + 4, server);
	if (!strncmp(addr, "dev:", 4)) {
		c->fd = open(addr + 4, O_RDWR);
		return c->fd < 0 ? -1 : 0;
	}
	c->fd = addr_socket(addr, &a, &len);
	if (c->fd < 0)
		return -1;
	vsock_room(c->fd, &a);
	return connect(c->fd, &a.sa, len);
}

/* Whoever waits for the caller's output goes on; the server is a process of its own. */
static void background(void)
{
	int null = open("/dev/null", O_RDWR);

	if (fork())
		_exit(0);
	setsid();
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
}

/* A device has one stream: who is at its other end comes and goes, and poll() tells. */
static void serve_stream(struct conn *c, int once)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	do {
		while (c->fd >= 0 && poll(&p, 1, -1) > 0 && !(p.revents & POLLIN))
			poll(NULL, 0, 10);
		serve_one(c);
	} while (!once);
}

static int serve(const char *addr, const char *dir, int once)
{
	struct conn c = { .fd = -1 };
	socklen_t len;
	union addr a;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	if (!strncmp(addr, "shm:", 4) || !strncmp(addr, "dev:", 4)) {
		if (conn_open(&c, addr, 1) || chdir(dir))
			return fail(addr);
		background();
		serve_stream(&c, once);
		return 0;
	}
	fd = addr_socket(addr, &a, &len);
	if (a.sa.sa_family == AF_VSOCK)
		a.vm.svm_cid = VMADDR_CID_ANY;
	if (fd >= 0)
		vsock_room(fd, &a);
	if (fd < 0 || bind(fd, &a.sa, len) || listen(fd, 8) || chdir(dir))
		return fail(addr);
	background();
	while ((c.fd = accept(fd, NULL, NULL)) >= 0) {
		serve_one(&c);
		close(c.fd);
		if (once)
			return 0;
	}
	return fail("accept");
}

static int push(struct conn *c, struct request *r, const char *path)
{
	int file = file_to_send(path, &r->size, &r->rounds);
	uint64_t done;

	if (file < 0)
		return fail(path);
	if (conn_write(c, r, sizeof(*r)) || file_send(c, file, r->size, r->buf) ||
	    conn_read_all(c, &done, sizeof(done)) || done != r->size)
		return fail("push");
	return 0;
}

static int pull(struct conn *c, struct request *r, const char *path)
{
	struct answer a;
	int file;

	if (conn_write(c, r, sizeof(*r)) || conn_read_all(c, &a, sizeof(a)))
		return fail("pull");
	file = file_to_fill(path, a.offset);
	if (file < 0)
		return fail(path);
	return file_receive(c, file, a.size, r->buf) ? fail("pull") : 0;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

#define ROUNDS_MAX	100000

static int ping(struct conn *c, struct request *r)
{
	static int64_t ns[ROUNDS_MAX];
	int64_t start;
	int i;

	if (!r->rounds || r->rounds > ROUNDS_MAX || !r->size || r->size > BUF_MAX) {
		errno = EINVAL;
		return fail("ping");
	}
	if (conn_write(c, r, sizeof(*r)))
		return fail("ping");
	for (i = -WARM; i < (int)r->rounds; i++) {
		start = now_ns();
		if (conn_write(c, buffer, r->size) || conn_read_all(c, buffer, r->size))
			return fail("the other end went away");
		if (i >= 0)
			ns[i] = now_ns() - start;
	}
	qsort(ns, r->rounds, sizeof(ns[0]), compare);
	printf("%lld\n", (long long)ns[r->rounds / 2]);
	return 0;
}

static uint32_t buf_size(const char *arg)
{
	unsigned long n = arg ? strtoul(arg, NULL, 0) : BUF_DEFAULT;

	if (arg && !strcmp(arg, "sendfile"))
		return 0;
	return n > 0 && n <= BUF_MAX ? n : BUF_DEFAULT;
}

static int client(int argc, char **argv)
{
	struct request r = { .op = argv[1][1] == 'i' ? 'p' : argv[1][2] == 's' ? 'u' : 'l' };
	struct conn c;

	if (conn_open(&c, argv[2], 0))
		return fail(argv[2]);
	if (r.op == 'p') {
		r.size = strtoull(argv[3], NULL, 0);
		r.rounds = strtoull(argv[4], NULL, 0);
		return ping(&c, &r);
	}
	r.buf = buf_size(argc > 5 ? argv[5] : NULL);
	snprintf(r.name, sizeof(r.name), "%s", r.op == 'u' ? argv[4] : argv[3]);
	return r.op == 'u' ? push(&c, &r, argv[3]) : pull(&c, &r, argv[4]);
}

int main(int argc, char **argv)
{
	const char *op = argc > 1 ? argv[1] : "";
	int once = argc > 2 && !strcmp(argv[2], "--once");

	if (!strcmp(op, "serve") && argc == 4 + once && strchr(argv[2 + once], ':'))
		return serve(argv[2 + once], argv[3 + once], once);
	if ((argc == 5 || argc == 6) && strchr(argv[2], ':') &&
	    (!strcmp(op, "push") || !strcmp(op, "pull") || !strcmp(op, "ping")))
		return client(argc, argv);
	fputs("usage: bench-peer serve [--once] ADDR DIR | push ADDR FILE NAME [BUF] |\n"
	      "       pull ADDR NAME FILE [BUF] | ping ADDR BYTES ROUNDS\n", stderr);
	return 2;
}

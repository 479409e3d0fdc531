// SPDX-License-Identifier: GPL-2.0
/*
 * Round trips over vsock, to compare with:
 *
 *	vsock serve PORT			echoes, until killed
 *	vsock ping CID PORT BYTES ROUNDS	prints the median in nanoseconds
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#define WARM	100

static int fail(const char *what)
{
	fprintf(stderr, "vsock: %s: %s\n", what, strerror(errno));
	return 1;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int read_all(int fd, char *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = read(fd, buf + done, len - done);
		if (n <= 0)
			return -1;
		done += n;
	}
	return 0;
}

static void echo(int fd)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (write(fd, buf, n) != n)
			break;
	close(fd);
}

static int serve(unsigned int port)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port,
	};
	int fd, client;

	fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (void *)&addr, sizeof(addr)) || listen(fd, 1))
		return fail("cannot listen");
	while ((client = accept(fd, NULL, NULL)) >= 0)
		echo(client);
	return fail("cannot accept");
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int ping(unsigned int cid, unsigned int port, size_t bytes, int rounds)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port,
	};
	int64_t *ns = malloc(rounds * sizeof(*ns)), start;
	char buf[65536] = "";
	int fd, i;

	if (!ns || !bytes || bytes > sizeof(buf) || rounds < 1) {
		errno = EINVAL;
		return fail("ping");
	}
	fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (void *)&addr, sizeof(addr)))
		return fail("cannot connect");
	for (i = -WARM; i < rounds; i++) {
		start = now_ns();
		if (write(fd, buf, bytes) != (ssize_t)bytes || read_all(fd, buf, bytes))
			return fail("the other end went away");
		if (i >= 0)
			ns[i] = now_ns() - start;
	}
	qsort(ns, rounds, sizeof(*ns), compare);
	printf("%lld\n", (long long)ns[rounds / 2]);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]));
	if (argc == 6 && !strcmp(argv[1], "ping"))
		return ping(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
	fputs("usage: vsock serve PORT | ping CID PORT BYTES ROUNDS\n", stderr);
	return 2;
}

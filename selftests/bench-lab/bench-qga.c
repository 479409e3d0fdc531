// SPDX-License-Identifier: GPL-2.0
/*
 * Files through QEMU's guest agent, to compare with:
 *
 *	bench-qga push SOCKET FILE PATH CHUNK	to PATH in the guest
 *	bench-qga pull SOCKET PATH FILE CHUNK	and back
 *
 * by guest-file-open, -write or -read, and -close, CHUNK bytes at a time. SOCKET is the
 * host's end of the agent's port.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK_MAX	(32u << 20)
/* As base64, with the words around it */
#define TEXT_MAX	(CHUNK_MAX / 3 * 4 + 4096)

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static uint8_t value_of[256];
static uint8_t *data;
static char *text, *answer;
static int agent;

static int fail(const char *what)
{
	fprintf(stderr, "bench-qga: %s: %s\n", what, errno ? strerror(errno) : answer);
	return 1;
}

/* Both return the length. */
static size_t encode(const uint8_t *from, size_t len, char *to)
{
	char *start = to;
	uint32_t bits;
	size_t i;

	for (i = 0; i < len; i += 3) {
		bits = from[i] << 16 | (i + 1 < len ? from[i + 1] << 8 : 0) |
		       (i + 2 < len ? from[i + 2] : 0);
		*to++ = digits[bits >> 18];
		*to++ = digits[bits >> 12 & 63];
		*to++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
		*to++ = i + 2 < len ? digits[bits & 63] : '=';
	}
	return to - start;
}

static size_t decode(const char *from, uint8_t *to)
{
	uint8_t *start = to;
	uint32_t bits = 0;
	unsigned int n = 0;

	for (; *from && *from != '"' && *from != '='; from++) {
		bits = bits << 6 | value_of[(uint8_t)*from];
		n += 6;
		if (n >= 8) {
			n -= 8;
			*to++ = bits >> n;
		}
	}
	return to - start;
}

static int write_all(int fd, const void *from, size_t len)
{
	const char *at = from;
	ssize_t n;

	for (; len; len -= n, at += n) {
		n = write(fd, at, len);
		if (n <= 0)
			return -1;
	}
	return 0;
}

/* ask(LEN): what is in text; the answer is one line. */
static int ask(size_t len)
{
	size_t have = 0;
	ssize_t n;

	if (write_all(agent, text, len))
		return -1;
	do {
		n = read(agent, answer + have, TEXT_MAX - 1 - have);
		if (n <= 0)
			return -1;
		have += n;
	} while (answer[have - 1] != '\n');
	answer[have] = 0;
	errno = 0;
	return strstr(answer, "\"error\"") ? -1 : 0;
}

static int file_open(const char *path, const char *mode)
{
	const char *at;

	if (ask(sprintf(text, "{\"execute\":\"guest-file-open\",\"arguments\":"
			"{\"path\":\"%.200s\",\"mode\":\"%s\"}}\n", path, mode)))
		return -1;
	at = strstr(answer, "\"return\":");
	return at ? atoi(at + 9) : -1;
}

static int file_close(int handle)
{
	return ask(sprintf(text, "{\"execute\":\"guest-file-close\",\"arguments\":"
			   "{\"handle\":%d}}\n", handle));
}

static int push(int file, int handle, size_t chunk)
{
	size_t len;
	ssize_t n;

	while ((n = read(file, data, chunk)) > 0) {
		len = sprintf(text, "{\"execute\":\"guest-file-write\",\"arguments\":"
			      "{\"handle\":%d,\"buf-b64\":\"", handle);
		len += encode(data, n, text + len);
		len += sprintf(text + len, "\"}}\n");
		if (ask(len))
			return -1;
	}
	return n;
}

static int pull(int file, int handle, size_t chunk)
{
	const char *at;
	size_t n;

	do {
		if (ask(sprintf(text, "{\"execute\":\"guest-file-read\",\"arguments\":"
				"{\"handle\":%d,\"count\":%zu}}\n", handle, chunk)))
			return -1;
		at = strstr(answer, "\"buf-b64\": \"");
		n = at ? decode(at + 12, data) : 0;
		if (n > chunk || write_all(file, data, n))
			return -1;
	} while (n);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	return fd < 0 || connect(fd, (void *)&a, sizeof(a)) ? -1 : fd;
}

int main(int argc, char **argv)
{
	int push_it = argc == 6 && !strcmp(argv[1], "push"), file, handle, i;
	size_t chunk = argc == 6 ? strtoul(argv[5], NULL, 0) : 0;

	if (!chunk || chunk > CHUNK_MAX || (!push_it && strcmp(argv[1], "pull"))) {
		fputs("usage: bench-qga push SOCKET FILE PATH CHUNK | pull SOCKET PATH FILE CHUNK\n",
		      stderr);
		return 2;
	}
	for (i = 0; i < 64; i++)
		value_of[(uint8_t)digits[i]] = i;
	data = malloc(CHUNK_MAX + 3);
	text = malloc(TEXT_MAX);
	answer = calloc(1, TEXT_MAX);
	if (!data || !text || !answer)
		return fail("memory");
	agent = connect_to(argv[2]);
	if (agent < 0)
		return fail(argv[2]);
	file = push_it ? open(argv[3], O_RDONLY) :
			 open(argv[4], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (file < 0)
		return fail(push_it ? argv[3] : argv[4]);
	handle = file_open(push_it ? argv[4] : argv[3], push_it ? "w" : "r");
	if (handle < 0 || (push_it ? push : pull)(file, handle, chunk) || file_close(handle))
		return fail(argv[1]);
	return 0;
}

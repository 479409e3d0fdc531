/* SPDX-License-Identifier: GPL-2.0 */
/* One page by HTTP, for programs of this machine: what Prometheus asks for. */
#ifndef IVRING_METRICS_HTTP_H
#define IVRING_METRICS_HTTP_H

#include <stddef.h>

struct status;

/* A socket that listens */
struct metrics_socket {
	int fd;
	const char *path;	/* to be removed in the end, or NULL */
};

/*
 * At "/PATH", "PORT", "127.0.0.1:PORT", "[::1]:PORT", or "systemd": what that handed over.
 * Never where another machine could connect to. Returns 0 or -code.
 */
int metrics_listen(struct metrics_socket *s, const char *where, struct status *st);
void metrics_close(struct metrics_socket *s);

/* Makes the page, which is freed later. Returns 0 or -errno. */
typedef int metrics_page(char **page, size_t *len);

/*
 * Answers until a signal asks this process to end. A client has @client_ms for all that it
 * says and reads. Returns 0 or -code.
 */
int metrics_serve(const struct metrics_socket *s, metrics_page *page, int client_ms,
		  struct status *st);

#endif /* IVRING_METRICS_HTTP_H */

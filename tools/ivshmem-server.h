/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Server side of QEMU's ivshmem protocol, version 0 (QEMU, docs/specs,
 * "Device Specification for Inter-VM shared memory device").
 *
 * One struct ivshmem_link is one region with one socket. Its members are at
 * most two: the host's kernel and a QEMU, or two QEMUs. An ID is never given
 * out twice: QEMU frees the eventfds of a peer that left, and would use them
 * again should the ID return. Of two QEMUs one has even IDs and one odd ones,
 * which tells them their sides.
 */
#ifndef IVRING_IVSHMEM_SERVER_H
#define IVRING_IVSHMEM_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "status.h"

#define IVSHMEM_VECTORS_MAX	256
#define IVSHMEM_ID_MAX		65535
#define IVSHMEM_MEMBERS_MAX	2

/* How the host's kernel is told; an argument that is handed through comes first. */
struct ivshmem_host_ops {
	/*
	 * attach opens whatever the others then use; it returns 0, or a negative
	 * status code with @st set. The others return 0 or -errno.
	 */
	int (*attach)(void *priv, int memfd, unsigned int id, const int *eventfds,
		      unsigned int vectors, struct status *st);
	/* The file that the attachment lives by, and the link's number; and back. */
	int (*kept)(void *priv, unsigned int *link);
	void (*adopt)(void *priv, int fd, unsigned int link);
	int (*peer_add)(void *priv, unsigned int id, const int *eventfds, unsigned int vectors);
	int (*peer_del)(void *priv, unsigned int id);
};

struct ivshmem_config {
	const char *name;
	const char *socket_dir;
	unsigned int vectors;
	mode_t mode;
	gid_t group;			/* (gid_t)-1: leave it */
	const struct ivshmem_host_ops *host;	/* NULL: sockets only */
	void *host_priv;
};

struct ivshmem_link;
struct ivshmem_server;

/*
 * The memory of @link, with a host or between two guests, that a server before this
 * one left with the service manager (fdstore.h), for ivshmem_link_add(); -1 when it
 * left none, or not all that belongs to it. With it come the host's attachment and
 * the guests, who notice nothing.
 */
int ivshmem_kept_memfd(const char *link, bool with_host);

struct ivshmem_server *ivshmem_server_new(struct status *st);
void ivshmem_server_free(struct ivshmem_server *server);
/* Readable when there is something to do; then call dispatch. */
int ivshmem_server_fd(const struct ivshmem_server *server);
void ivshmem_server_dispatch(struct ivshmem_server *server);

/*
 * Adds a link that shares @memfd, which is taken over (on failure, too), and
 * listens. @config is copied, what it points to must stay.
 */
struct ivshmem_link *ivshmem_link_add(struct ivshmem_server *server,
				      const struct ivshmem_config *config, int memfd,
				      struct status *st);
const char *ivshmem_link_path(const struct ivshmem_link *link);
/* Those of the configuration, or of the server before. */
unsigned int ivshmem_link_vectors(const struct ivshmem_link *link);

#endif /* IVRING_IVSHMEM_SERVER_H */

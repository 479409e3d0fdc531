/* SPDX-License-Identifier: GPL-2.0 */
/* This host's kernel as a member of a link: /dev/ivring-host. */
#ifndef IVRING_HOST_H
#define IVRING_HOST_H

#include "ivshmem-server.h"
#include "status.h"

/* One open of /dev/ivring-host: one link. The argument of host_link_ops. */
struct host {
	int fd;
	unsigned int link;
};

extern const struct ivshmem_host_ops host_link_ops;

/* What an errno of open(2), and of IVRING_HOST_IOC_ATTACH, means and what to do about it. */
int host_open_failed(int err, struct status *st);
int host_attach_failed(int err, struct status *st);

#endif /* IVRING_HOST_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The link server's part: a sealed memfd with a superblock in it, eventfds, and
 * /dev/ivring-host.
 */
#ifndef _IVRING_TEST_REGION_H
#define _IVRING_TEST_REGION_H

#include "util.h"
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <ivring/ring.h>
#include <ivring/wire.h>

#define REGION_VECTORS	5
#define HOST_ID		1
#define PEER_ID		2

struct region {
	size_t size;
	int memfd;
	char *map;
	int ears[IVRING_WIRE_VECTORS_MAX];	/* the kernel listens */
	int bells[IVRING_WIRE_VECTORS_MAX];	/* the kernel rings */
	int host;				/* /dev/ivring-host */
	int link;				/* its number, once attached */
};

static inline int region_memfd(size_t size, unsigned int flags)
{
	int fd = memfd_create("ivring-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size)) {
		close(fd);
		return -errno;
	}
	return fd;
}

static inline int region_seal(int fd)
{
	return SYS(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
}

/* Everything but the ioctls. */
static inline int region_create_flags(struct region *r, size_t size, unsigned int channels,
				      unsigned int memfd_flags)
{
	struct ivring_wire_format format = {
		.region_size = size, .channels = channels, .label = "test",
	};
	int i, ret;

	memset(r, 0, sizeof(*r));
	r->size = size;
	r->link = -1;
	r->host = SYS(open("/dev/ivring-host", O_RDWR | O_CLOEXEC));
	r->memfd = region_memfd(size, memfd_flags);
	if (r->host < 0 || r->memfd < 0)
		return r->host < 0 ? r->host : r->memfd;
	r->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->memfd, 0);
	if (r->map == MAP_FAILED)
		return -errno;
	ret = ivring_wire_format((void *)r->map, &format);
	if (!ret)
		ret = region_seal(r->memfd);
	for (i = 0; !ret && i < IVRING_WIRE_VECTORS_MAX; i++) {
		r->ears[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r->bells[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (r->ears[i] < 0 || r->bells[i] < 0)
			ret = -errno;
	}
	return ret;
}

/* Bytes that are pinned and charged: the region but for what no ring uses. */
static inline size_t region_used(const struct region *r)
{
	struct ivring_wire_geometry geo;

	if (ivring_wire_check((void *)r->map, r->size, &geo))
		return 0;
	return ivring_wire_used(&geo);
}

static inline int region_create(struct region *r, size_t size, unsigned int channels)
{
	return region_create_flags(r, size, channels, 0);
}

static inline void region_destroy(struct region *r)
{
	int i;

	close(r->host);
	close(r->memfd);
	if (r->map && r->map != MAP_FAILED)
		munmap(r->map, r->size);
	for (i = 0; i < IVRING_WIRE_VECTORS_MAX; i++) {
		close(r->ears[i]);
		close(r->bells[i]);
	}
}

static inline int host_attach(int host, struct ivring_host_attach *a)
{
	return SYS(ioctl(host, IVRING_HOST_IOC_ATTACH, a));
}

static inline struct ivring_host_attach region_attach_args(const struct region *r)
{
	return (struct ivring_host_attach) {
		.memfd = r->memfd, .id = HOST_ID, .vectors = REGION_VECTORS,
		.eventfds = (uintptr_t)r->ears,
	};
}

static inline int region_attach_vectors(struct region *r, unsigned int vectors)
{
	struct ivring_host_attach a = region_attach_args(r);
	int ret;

	a.vectors = vectors;
	ret = host_attach(r->host, &a);
	if (!ret)
		r->link = a.link;
	return ret;
}

static inline int region_attach(struct region *r)
{
	return region_attach_vectors(r, REGION_VECTORS);
}

static inline struct ivring_host_peer region_peer_args(const struct region *r)
{
	return (struct ivring_host_peer) {
		.id = PEER_ID, .vectors = REGION_VECTORS, .eventfds = (uintptr_t)r->bells,
	};
}

static inline int host_peer_add(int host, const struct ivring_host_peer *p)
{
	return SYS(ioctl(host, IVRING_HOST_IOC_PEER_ADD, p));
}

static inline int region_peer_add(const struct region *r)
{
	struct ivring_host_peer p = region_peer_args(r);

	return host_peer_add(r->host, &p);
}

static inline int host_peer_del(int host, unsigned int id)
{
	struct ivring_host_peer p = { .id = id };

	return SYS(ioctl(host, IVRING_HOST_IOC_PEER_DEL, &p));
}

/* What this process is charged for; or -1 */
static inline long locked_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmLck: %ld kB", &kib);
	if (f)
		fclose(f);
	return kib;
}

/* As TEST_HARNESS_MAIN, for programs that need the module. */
#define HOST_HARNESS_MAIN						\
int main(int argc, char **argv)						\
{									\
	struct rlimit rlim = { 4096, 4096 };				\
									\
	setrlimit(RLIMIT_NOFILE, &rlim);				\
	if (access("/dev/ivring-host", R_OK | W_OK))			\
		ksft_exit_skip("no /dev/ivring-host: insmod ivring_host.ko\n");	\
	return test_run(argc, argv);				\
}

#endif /* _IVRING_TEST_REGION_H */

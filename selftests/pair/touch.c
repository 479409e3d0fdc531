// SPDX-License-Identifier: GPL-2.0
/*
 * touch NODE: maps both rings of a channel, has every page of them faulted in,
 * says where both are and their size, and then keeps CPU 0 busy in user space until its input ends, so that
 * QEMU's monitor, asked for CPU 0's page tables, shows this mapping.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/ivring.h>

#define PAGE	4096UL

static void *map(int fd, const struct ivring_channel_info *info, int prot, __u64 offset)
{
	void *p = mmap(NULL, info->map_size, prot, MAP_SHARED, fd, offset);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

int main(int argc, char **argv)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	struct ivring_channel_info info;
	volatile char *tx, *rx;
	char sum = 0, byte;
	cpu_set_t cpus;
	__u64 i;
	int fd;

	fd = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0 || ioctl(fd, IVRING_IOC_CHANNEL_INFO, &info)) {
		perror("usage: touch NODE");
		return 2;
	}
	tx = map(fd, &info, PROT_READ | PROT_WRITE, info.tx_map_offset);
	rx = map(fd, &info, PROT_READ, info.rx_map_offset);
	/* The second half of the mapping is the first once more. */
	for (i = 0; i < info.map_size / 2; i += PAGE)
		tx[i] = i / PAGE % 251;
	for (i = 0; i < info.map_size; i += PAGE) {
		sum += rx[i];
		if (tx[i] != (char)(i % (info.map_size / 2) / PAGE % 251)) {
			fprintf(stderr, "page %llu holds %d\n", i / PAGE, tx[i]);
			return 1;
		}
	}
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	printf("%p %p 0x%llx\n", (void *)tx, (void *)rx, info.map_size);
	fflush(stdout);
	do {
		for (i = 0; i < 10000000; i++)
			sum += tx[i * PAGE % info.map_size];
	} while (poll(&input, 1, 0) <= 0 || read(0, &byte, 1) > 0);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ivring_host's own structures.
 */
#ifndef _IVRING_HOST_H
#define _IVRING_HOST_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/time64.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <ivring/link.h>
#include <ivring/wire.h>
#include <linux/ivring.h>

struct eventfd_ctx;
struct file;
struct mm_struct;
struct page;

/*
 * memory.c: the part of the region that is in use, pinned and accounted to who
 * attached it
 */
struct ivring_host_memory {
	struct list_head node;		/* in the list of all */
	struct file *file;
	struct page **pages;
	unsigned long nr_pages;
	struct mm_struct *mm;
	u64 size;
	u64 used;
	struct timespec64 ctime;	/* of @file when all pages were looked at */
	bool settled;			/* no change after that can have the same */
};

int ivring_host_memory_pin(struct ivring_host_memory *m, int memfd);
void ivring_host_memory_unpin(struct ivring_host_memory *m);
bool ivring_host_memory_intact(struct ivring_host_memory *m);

/* doorbell.c: eventfds towards the peer ... */
struct ivring_host_bells {
	u32 count;
	struct eventfd_ctx *ctx[];
};

struct ivring_host_bells *ivring_host_bells_get(u64 user_fds, u32 count);
void ivring_host_bells_put(struct ivring_host_bells *bells);

/* ... and those that the peer signals, waited on inside the kernel */
struct ivring_host_ears;

struct ivring_host_ears *ivring_host_ears_get(u64 user_fds, u32 count);
void ivring_host_ears_listen(struct ivring_host_ears *ears, struct ivring_link *link);
void ivring_host_ears_deafen(struct ivring_host_ears *ears);
void ivring_host_ears_put(struct ivring_host_ears *ears);

/**
 * struct ivring_host - one open of /dev/ivring-host
 * @lock: serialises the ioctls; protects all but @bells' readers
 * @link: NULL until attached
 * @memory: its region
 * @ears: what the peer rings
 * @id: own ivshmem ID
 * @peer_id: the peer's
 * @bells_lock: taken to ring, also in interrupts
 * @bells: what rings the peer, NULL without peer
 */
struct ivring_host {
	struct mutex lock;
	struct ivring_link *link;
	struct ivring_host_memory memory;
	struct ivring_host_ears *ears;
	u32 id;
	u32 peer_id;
	spinlock_t bells_lock;
	struct ivring_host_bells *bells;
};

#endif /* _IVRING_HOST_H */

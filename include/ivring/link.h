/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the core (ivring.ko) and the transports (host, guest, loop).
 *
 * A transport owns a piece of shared memory and two-way doorbells. It registers
 * them as a link; the core does all the rest.
 */
#ifndef _IVRING_LINK_H
#define _IVRING_LINK_H

#include <linux/types.h>

struct device;
struct ivring_link;
struct module;
struct page;

/**
 * struct ivring_transport_ops - what a transport does for the core
 * @name: "host", "guest" or "loop", shown in sysfs
 * @owner: pinned while a device node of the link is open
 * @ring: ring the peer's doorbell. @peer_id comes from the peer and may be
 *	anything in 0..IVRING_WIRE_ID_MAX; @vector is below
 *	IVRING_WIRE_VECTORS_MAX. Any context but NMI; must not sleep.
 * @intact: is the memory still the one that the peer sees? Once not, never
 *	again. May sleep; one call at a time. Optional.
 */
struct ivring_transport_ops {
	const char *name;
	struct module *owner;
	void (*ring)(void *priv, u32 peer_id, u32 vector);
	bool (*intact)(void *priv);
};

/**
 * struct ivring_link_params - a link to be registered
 * @ops: the transport
 * @priv: its own, handed to @ops
 * @parent: parent in sysfs, or NULL
 * @pages: the region's pages, in order; must live until unregistered. NULL: the
 *	region has no struct pages
 * @pfn: without @pages, the region's first page frame, which the others follow;
 *	none of them may be known to the kernel (pfn_valid())
 * @size: bytes in the region
 * @avail: how many of them are there, from the start: what ivring_wire_used()
 *	says of the geometry, or more
 * @side: which side this is, 0 or 1
 * @id: own ivshmem ID
 * @vectors: doorbell vectors that will be listened to, 1..256
 * @peer_known: the transport calls ivring_link_peer_join() and _leave(); else a
 *	peer is looked for in the region alone
 */
struct ivring_link_params {
	const struct ivring_transport_ops *ops;
	void *priv;
	struct device *parent;
	struct page **pages;
	unsigned long pfn;
	u64 size;
	u64 avail;
	u32 side;
	u32 id;
	u32 vectors;
	bool peer_known;
};

struct ivring_link *ivring_link_register(const struct ivring_link_params *params);
void ivring_link_unregister(struct ivring_link *link);
void ivring_link_start(struct ivring_link *link);
void ivring_link_shutdown(struct ivring_link *link);
void ivring_link_suspend(struct ivring_link *link);
int ivring_link_resume(struct ivring_link *link, u32 id, u32 side);
void ivring_link_abandon(struct ivring_link *link);
unsigned int ivring_link_interrupt(struct ivring_link *link, u32 vector);
void ivring_link_peer_join(struct ivring_link *link, u32 bells);
void ivring_link_peer_leave(struct ivring_link *link);
u32 ivring_link_number(const struct ivring_link *link);

#endif /* _IVRING_LINK_H */

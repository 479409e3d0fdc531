// SPDX-License-Identifier: GPL-2.0
/*
 * The region as this kernel sees it: one mapping, its memory type, its speed.
 *
 * The mapping is made by vmap() from struct pages, whatever the transport's
 * memory is. That does not ask the memory-type tables, so a PCI BAR which the
 * firmware's MTRRs or a device driver's ioremap() would make uncached is
 * write-back here; and it allows the data of each ring to be mapped twice in a
 * row, so that no copy has to stop at the end of a ring.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#ifdef CONFIG_X86
#include <asm/pgtable.h>
#endif
#include "internal.h"

#define IVRING_PROBE_SIZE	(64UL << 10)
#define IVRING_PROBE_SLOW_MBPS	100

static unsigned long ivring_memory_ring_start(const struct ivring_wire_geometry *g, u32 c,
					      u32 producer)
{
	return (g->data_offset + (IVRING_WIRE_SIDES * c + producer) * g->ring_size) >> PAGE_SHIFT;
}

/* Control pages once, then each ring's pages twice. */
static void ivring_memory_list(const struct ivring_link *link, struct page **list)
{
	const struct ivring_wire_geometry *g = &link->geo;
	struct page **pages = link->params.pages;
	unsigned long ring_pages = g->ring_size >> PAGE_SHIFT;
	u32 r, twice;

	memcpy(list, pages, (g->data_offset >> PAGE_SHIFT) * sizeof(*list));
	list += g->data_offset >> PAGE_SHIFT;
	for (r = 0; r < IVRING_WIRE_SIDES * g->channels; r++) {
		for (twice = 0; twice < 2; twice++) {
			memcpy(list, pages + ivring_memory_ring_start(g, r / 2, r % 2),
			       ring_pages * sizeof(*list));
			list += ring_pages;
		}
	}
}

/**
 * ivring_memory_map() - map the region and point the channels into it
 * @link: with geo and channels set up
 *
 * Return: 0 or -ENOMEM.
 */
int ivring_memory_map(struct ivring_link *link)
{
	const struct ivring_wire_geometry *g = &link->geo;
	u64 rings = IVRING_WIRE_SIDES * g->channels * 2 * g->ring_size;
	unsigned long count = (g->data_offset + rings) >> PAGE_SHIFT;
	struct ivring_wire_channel *control;
	u32 side = link->params.side;
	struct page **list;
	void *data;
	u32 c;

	list = kvmalloc_array(count, sizeof(*list), GFP_KERNEL);
	if (!list)
		return -ENOMEM;
	ivring_memory_list(link, list);
	link->map = vmap(list, count, VM_MAP, PAGE_KERNEL);
	kvfree(list);
	if (!link->map)
		return -ENOMEM;

	link->own = link->map + g->side_offset + side * sizeof(*link->own);
	link->peer = link->map + g->side_offset + !side * sizeof(*link->own);
	control = link->map + g->channel_offset;
	data = link->map + g->data_offset;
	for (c = 0; c < g->channels; c++, control++, data += 4 * g->ring_size) {
		struct ivring_channel *ch = link->channels[c];

		ch->own = &control->conn[side];
		ch->peer = &control->conn[!side];
		ch->tx.own = &control->ring[side].producer;
		ch->tx.peer = &control->ring[side].consumer;
		ch->rx.own = &control->ring[!side].consumer;
		ch->rx.peer = &control->ring[!side].producer;
		ch->tx_data = data + side * 2 * g->ring_size;
		ch->rx_data = data + !side * 2 * g->ring_size;
	}
	return 0;
}

void ivring_memory_unmap(struct ivring_link *link)
{
	vunmap(link->map);
	link->map = NULL;
}

/* The pages from @offset of a ring's data on, for a mapping in user space. */
struct page **ivring_memory_pages(const struct ivring_channel *ch, bool tx, u64 offset)
{
	const struct ivring_link *link = ch->link;
	u32 producer = tx ? link->params.side : !link->params.side;

	offset &= link->geo.ring_size - 1;
	return link->params.pages + ivring_memory_ring_start(&link->geo, ch->index, producer) +
	       (offset >> PAGE_SHIFT);
}

/*
 * On x86 a kernel PTE without PWT, PCD and PAT selects PAT entry 0, which Linux
 * keeps at write-back (Documentation/x86/pat.rst).
 */
static u32 ivring_memory_type(const void *addr)
{
#ifdef CONFIG_X86
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)addr, &level);

	if (!pte || level != PG_LEVEL_4K)
		return IVRING_MEMORY_UNKNOWN;
	return pte_flags(*pte) & (_PAGE_PWT | _PAGE_PCD | _PAGE_PAT) ?
	       IVRING_MEMORY_UNCACHED : IVRING_MEMORY_WB;
#else
	return IVRING_MEMORY_UNKNOWN;
#endif
}

/* Write and read back a piece of the ring this side produces: nobody reads it yet. */
static u32 ivring_memory_speed(struct ivring_link *link)
{
	unsigned long size = min_t(u64, IVRING_PROBE_SIZE, link->geo.ring_size);
	u64 *data = link->channels[0]->tx_data;
	u64 start, sum = 0;
	unsigned long i;

	start = ktime_get_ns();
	for (i = 0; i < size / sizeof(*data); i++)
		WRITE_ONCE(data[i], i);
	for (i = 0; i < size / sizeof(*data); i++)
		sum += READ_ONCE(data[i]);
	if (sum != (u64)i * (i - 1) / 2)
		return 0;
	return div64_u64(2 * size * 1000ULL, max_t(u64, ktime_get_ns() - start, 1));
}

/**
 * ivring_memory_probe() - find out and report how the region is mapped
 * @link: mapped, not started
 */
void ivring_memory_probe(struct ivring_link *link)
{
	link->memory_type = ivring_memory_type(link->map);
	link->memory_mbps = ivring_memory_speed(link);
	if (link->memory_type == IVRING_MEMORY_UNCACHED)
		dev_warn(&link->dev,
			 "shared memory is mapped uncached: transfers will crawl; boot without \"nopat\" and report this with the machine's PAT and MTRR settings\n");
	else if (link->memory_mbps < IVRING_PROBE_SLOW_MBPS)
		dev_warn(&link->dev,
			 "shared memory reads and writes at %u MB/s only: see \"slow memory\" in the administrator's guide\n",
			 link->memory_mbps);
}

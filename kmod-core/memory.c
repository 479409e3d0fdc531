// SPDX-License-Identifier: GPL-2.0
/*
 * The region as this kernel sees it: one mapping, its memory type, its speed.
 *
 * The mapping is made by vmap() from struct pages, whatever the transport's
 * memory is. That does not ask the memory-type tables, so a PCI BAR which the
 * firmware's MTRRs or a device driver's ioremap() would make uncached is
 * write-back here; and it allows the data of each ring to be mapped twice in a
 * row, so that no copy has to stop at the end of a ring. vmap() refuses more
 * pages at once than the machine has RAM, hence one mapping per ring: a BAR may
 * well be larger.
 *
 * A region without struct pages, a BAR that cannot or should not have them, is
 * mapped by its page frames, likewise without a question to those tables.
 *
 * User space is given page frames alone, whatever the region has: nobody can hold a
 * page of it beyond the mapping, in a pipe or for I/O under way, and so keep the link
 * from going; and what belongs to somebody else, such as the page cache, or is a part
 * of a hugetlb page, is left alone. vmf_insert_pfn() would ask those tables, so page
 * table entries are made here. What came of it is read back from the page tables,
 * always.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "internal.h"

#define IVRING_PROBE_SIZE	(64UL << 10)
#define IVRING_PROBE_TRIES	3
#define IVRING_PROBE_SLOW_MBPS	100

#define IVRING_MEMORY_CURE \
	"transfers will crawl; boot without \"nopat\" and report this with the machine's PAT and MTRR settings"

static unsigned long ivring_memory_ring_start(const struct ivring_wire_geometry *g, u32 c,
					      u32 producer)
{
	return (g->data_offset + (IVRING_WIRE_SIDES * c + producer) * g->ring_size) >> PAGE_SHIFT;
}

static void *ivring_memory_vmap_pages(struct page **pages, unsigned long count,
				      unsigned int times)
{
	struct page **list;
	unsigned int i;
	void *addr;

	if (times == 1)
		return vmap(pages, count, VM_MAP, PAGE_KERNEL);
	list = kvmalloc_array(times * count, sizeof(*list), GFP_KERNEL);
	if (!list)
		return NULL;
	for (i = 0; i < times; i++)
		memcpy(list + i * count, pages, count * sizeof(*list));
	addr = vmap(list, times * count, VM_MAP, PAGE_KERNEL);
	kvfree(list);
	return addr;
}

static void *ivring_memory_vmap_pfns(unsigned long pfn, unsigned long count, unsigned int times)
{
#ifdef CONFIG_VMAP_PFN
	unsigned long *list, i;
	void *addr;

	list = kvmalloc_array(times * count, sizeof(*list), GFP_KERNEL);
	if (!list)
		return NULL;
	for (i = 0; i < times * count; i++)
		list[i] = pfn + i % count;
	addr = vmap_pfn(list, times * count, PAGE_KERNEL);
	kvfree(list);
	return addr;
#else
	return NULL;
#endif
}

/**
 * ivring_memory_vmap() - map a piece of a region
 * @params: whose region
 * @first: index of the first page
 * @count: pages
 * @times: how often they appear in a row
 *
 * Return: the address, for vunmap(), or NULL.
 */
void *ivring_memory_vmap(const struct ivring_link_params *params, unsigned long first,
			 unsigned long count, unsigned int times)
{
	if (params->pages)
		return ivring_memory_vmap_pages(params->pages + first, count, times);
	return ivring_memory_vmap_pfns(params->pfn + first, count, times);
}

/* One ring's data, twice in a row. */
static void *ivring_memory_map_ring(struct ivring_link *link, u32 c, u32 producer)
{
	return ivring_memory_vmap(&link->params, ivring_memory_ring_start(&link->geo, c, producer),
				  link->geo.ring_size >> PAGE_SHIFT, 2);
}

static int ivring_memory_map_channel(struct ivring_link *link, u32 c)
{
	struct ivring_wire_channel *control = link->map + link->geo.channel_offset;
	struct ivring_channel *ch = link->channels[c];
	u32 side = link->params.side;

	control += c;
	ch->own = &control->conn[side];
	ch->peer = &control->conn[!side];
	ch->tx.own = &control->ring[side].producer;
	ch->tx.peer = &control->ring[side].consumer;
	ch->rx.own = &control->ring[!side].consumer;
	ch->rx.peer = &control->ring[!side].producer;
	ch->tx_data = ivring_memory_map_ring(link, c, side);
	ch->rx_data = ivring_memory_map_ring(link, c, !side);
	return ch->tx_data && ch->rx_data ? 0 : -ENOMEM;
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
	u32 side = link->params.side;
	int ret = 0;
	u32 c;

	/* All before the data, whatever order the areas have. */
	link->map = ivring_memory_vmap(&link->params, 0, g->data_offset >> PAGE_SHIFT, 1);
	if (!link->map)
		return -ENOMEM;
	link->own = link->map + g->side_offset + side * sizeof(*link->own);
	link->peer = link->map + g->side_offset + !side * sizeof(*link->own);
	for (c = 0; !ret && c < g->channels; c++)
		ret = ivring_memory_map_channel(link, c);
	if (ret)
		ivring_memory_unmap(link);
	return ret;
}

void ivring_memory_unmap(struct ivring_link *link)
{
	u32 c;

	for (c = 0; c < link->geo.channels; c++) {
		vunmap(link->channels[c]->tx_data);
		vunmap(link->channels[c]->rx_data);
		link->channels[c]->tx_data = NULL;
		link->channels[c]->rx_data = NULL;
	}
	vunmap(link->map);
	link->map = NULL;
}

/*
 * The region's page behind @offset of a channel's node: the produced ring's data
 * twice, the consumed one's twice, the control page.
 */
static unsigned long ivring_memory_index(const struct ivring_channel *ch, u64 offset)
{
	const struct ivring_wire_geometry *g = &ch->link->geo;
	u32 side = ch->link->params.side;
	u64 map_size = 2 * g->ring_size;

	if (offset >= 2 * map_size)
		return (g->channel_offset >> PAGE_SHIFT) + ch->index;
	return ivring_memory_ring_start(g, ch->index, offset < map_size ? side : !side) +
	       ((offset & (g->ring_size - 1)) >> PAGE_SHIFT);
}

struct ivring_memory_insert {
	const struct ivring_link_params *params;
	unsigned long index;
	pgprot_t prot;
	struct mm_struct *mm;
};

/* The page table is locked. Somebody else may have had the same page fault. */
static int ivring_memory_insert_pte(pte_t *pte, unsigned long addr, void *data)
{
	struct ivring_memory_insert *in = data;
	unsigned long pfn = in->params->pages ? page_to_pfn(in->params->pages[in->index]) :
						in->params->pfn + in->index;

	if (pte_none(READ_ONCE(*pte)))
		set_pte_at(in->mm, addr, pte, pte_mkspecial(pfn_pte(pfn, in->prot)));
	in->index++;
	return 0;
}

/**
 * ivring_memory_insert() - serve a page fault
 * @ch: the channel
 * @offset: in its node
 * @vma: of VM_PFNMAP
 * @addr: where
 * @count: pages, none of them beyond the ring's end
 *
 * Return: %VM_FAULT_NOPAGE, or %VM_FAULT_OOM.
 */
vm_fault_t ivring_memory_insert(const struct ivring_channel *ch, u64 offset,
				struct vm_area_struct *vma, unsigned long addr,
				unsigned long count)
{
	struct ivring_memory_insert in = {
		.params = &ch->link->params,
		.index = ivring_memory_index(ch, offset),
		.prot = vma->vm_page_prot,
		.mm = vma->vm_mm,
	};

	return apply_to_page_range(vma->vm_mm, addr, count << PAGE_SHIFT, ivring_memory_insert_pte,
				   &in) ? VM_FAULT_OOM : VM_FAULT_NOPAGE;
}

/*
 * On x86 a PTE without PWT, PCD and PAT selects PAT entry 0, which Linux keeps
 * at write-back (Documentation/x86/pat.rst).
 */
static u32 ivring_memory_pte_type(pte_t pte)
{
#ifdef CONFIG_X86
	return pte_flags(pte) & (_PAGE_PWT | _PAGE_PCD | _PAGE_PAT) ?
	       IVRING_MEMORY_UNCACHED : IVRING_MEMORY_WB;
#else
	return IVRING_MEMORY_UNKNOWN;
#endif
}

static u32 ivring_memory_type(const void *addr)
{
#ifdef CONFIG_X86
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)addr, &level);

	if (pte && level == PG_LEVEL_4K)
		return ivring_memory_pte_type(*pte);
#endif
	return IVRING_MEMORY_UNKNOWN;
}

/* All that was mapped at once has one type: look at the first page of each mapping. */
static u32 ivring_memory_type_all(const struct ivring_link *link)
{
	u32 c, type = ivring_memory_type(link->map);

	for (c = 0; c < link->geo.channels && type == IVRING_MEMORY_WB; c++) {
		type = ivring_memory_type(link->channels[c]->tx_data);
		if (type == IVRING_MEMORY_WB)
			type = ivring_memory_type(link->channels[c]->rx_data);
	}
	return type;
}

static int ivring_memory_read_pte(pte_t *pte, unsigned long addr, void *data)
{
	u32 *type = data;

	if (!pte_none(READ_ONCE(*pte)))
		*type = ivring_memory_pte_type(READ_ONCE(*pte));
	return 0;
}

/**
 * ivring_memory_check_user() - see how a page came to be mapped into user space
 * @link: the caller is inside ivring_link_enter()
 * @vma: of a page fault under way
 * @addr: the page
 */
void ivring_memory_check_user(struct ivring_link *link, struct vm_area_struct *vma,
			      unsigned long addr)
{
	u32 type = IVRING_MEMORY_UNKNOWN, seen = READ_ONCE(link->user_memory_type);

	/* The worst that was seen stays: types are numbered from good to bad. */
	if (seen == IVRING_MEMORY_UNCACHED ||
	    apply_to_page_range(vma->vm_mm, addr, PAGE_SIZE, ivring_memory_read_pte, &type))
		return;
	do {
		if (type <= seen)
			return;
	} while (!try_cmpxchg(&link->user_memory_type, &seen, type));
	if (type == IVRING_MEMORY_UNCACHED)
		dev_warn(&link->dev,
			 "shared memory is mapped uncached into user space: " IVRING_MEMORY_CURE "\n");
}

/*
 * Read a piece of the ring this side produces and write it back as it is: the
 * peer may still be reading what an earlier life of this side sent. The best of
 * a few times, for this CPU may have something else to do.
 */
static u32 ivring_memory_speed(struct ivring_link *link)
{
	unsigned long i, size = min_t(u64, IVRING_PROBE_SIZE, link->geo.ring_size);
	u64 start, best = U64_MAX, *data = link->channels[0]->tx_data;
	int try;

	for (try = 0; try < IVRING_PROBE_TRIES; try++) {
		start = ktime_get_ns();
		for (i = 0; i < size / sizeof(*data); i++)
			WRITE_ONCE(data[i], READ_ONCE(data[i]));
		best = min(best, ktime_get_ns() - start);
	}
	return div64_u64(2 * size * 1000ULL, max_t(u64, best, 1));
}

/**
 * ivring_memory_probe() - find out and report how the region is mapped
 * @link: mapped, not started
 */
void ivring_memory_probe(struct ivring_link *link)
{
	link->memory_type = ivring_memory_type_all(link);
	link->memory_mbps = ivring_memory_speed(link);
	if (link->memory_type == IVRING_MEMORY_UNCACHED)
		dev_warn(&link->dev,
			 "shared memory is mapped uncached: " IVRING_MEMORY_CURE "\n");
	else if (link->memory_mbps < IVRING_PROBE_SLOW_MBPS)
		dev_warn(&link->dev,
			 "shared memory reads and writes at %u MB/s only: is the CPU busy, or the memory remote? A VM with passed-through devices may obey its MTRRs: have the BAR above 4 GiB\n",
			 link->memory_mbps);
}

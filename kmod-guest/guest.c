// SPDX-License-Identifier: GPL-2.0
/*
 * ivring_guest: QEMU's ivshmem-doorbell PCI device as a link.
 *
 * The device (QEMU docs/specs/ivshmem-spec): vendor 1af4, device 1110, revision
 * 1. BAR 0 has the registers, BAR 1 the MSI-X table, BAR 2 is the shared
 * memory. Revision 1 raises interrupts by MSI-X only. The plain variant of the
 * device has no interrupts and the ID 0; it cannot be told apart but by its
 * missing MSI-X capability.
 */
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <ivring/link.h>
#include <ivring/wire.h>

#define IVSHMEM_VENDOR		PCI_VENDOR_ID_REDHAT_QUMRANET
#define IVSHMEM_DEVICE		0x1110
#define IVSHMEM_REVISION	1

#define IVSHMEM_BAR_REGS	0
#define IVSHMEM_BAR_MEMORY	2

#define IVSHMEM_REG_IVPOSITION	8
#define IVSHMEM_REG_DOORBELL	12

/* Memory gets struct pages in pieces of this size (SUBSECTION_SIZE). */
#define IVRING_GUEST_PIECE	SZ_2M

/**
 * struct ivring_guest_vector - one of the device's doorbells
 * @guest: whose
 * @vector: number
 * @resting: its interrupt is disabled, until @rest_end
 * @rest_end: listens again
 * @name: for /proc/interrupts
 */
struct ivring_guest_vector {
	struct ivring_guest *guest;
	u32 vector;
	atomic_t resting;
	struct delayed_work rest_end;
	char name[32];
};

struct ivring_guest {
	struct pci_dev *pdev;
	void __iomem *regs;
	struct dev_pagemap pgmap;
	struct page **pages;	/* NULL: mapped by page frame */
	struct ivring_wire_geometry geo;
	u64 used;		/* bytes of the region, from its start */
	struct ivring_link *link;
	bool stopping;		/* no vector rests any more, until the device wakes up */
	int nr_vectors;
	struct ivring_guest_vector vectors[];
};

static void ivring_guest_ring(void *priv, u32 peer_id, u32 vector)
{
	struct ivring_guest *g = priv;

	/* writel() orders the ring's index before the doorbell. */
	writel(peer_id << 16 | vector, g->regs + IVSHMEM_REG_DOORBELL);
}

static const struct ivring_transport_ops ivring_guest_ops = {
	.name = "guest",
	.owner = THIS_MODULE,
	.ring = ivring_guest_ring,
};

/*
 * Being interrupted is most of what a doorbell costs this side, and its other links
 * with it. While a vector is masked, QEMU takes it from KVM and only notes that it
 * was rung (hw/misc/ivshmem.c, ivshmem_vector_mask()). Where interrupts have threads,
 * one that is due is handled although it was disabled: hence @resting.
 */
static void ivring_guest_rest(struct ivring_guest_vector *v, int irq, unsigned int rest)
{
	if (atomic_xchg(&v->resting, 1))
		return;
	disable_irq_nosync(irq);
	schedule_delayed_work(&v->rest_end, rest);
}

static void ivring_guest_rest_end(struct work_struct *work)
{
	struct ivring_guest_vector *v = container_of(to_delayed_work(work),
						     struct ivring_guest_vector, rest_end);

	atomic_set(&v->resting, 0);
	enable_irq(pci_irq_vector(v->guest->pdev, v->vector));
	ivring_link_interrupt(v->guest->link, v->vector);
}

static irqreturn_t ivring_guest_interrupt(int irq, void *data)
{
	struct ivring_guest_vector *v = data;
	unsigned int rest = ivring_link_interrupt(v->guest->link, v->vector);

	if (rest && !READ_ONCE(v->guest->stopping))
		ivring_guest_rest(v, irq, rest);
	return IRQ_HANDLED;
}

static const char *ivring_guest_explain(int error)
{
	switch (error) {
	case -EBADMSG:
		return "no ivring superblock: is the device served by \"ivring serve\"?";
	case -EPROTONOSUPPORT:
		return "unknown version or feature: install matching releases on both sides";
	case -ENOTUNIQ:
		return "impossible geometry in the superblock";
	case -EFBIG:
		return "size is not a power of two, or out of range";
	case -EADDRINUSE:
		return "this kernel uses the BAR's addresses for something else";
	case -EOPNOTSUPP:
		return "this kernel has no CONFIG_VMAP_PFN, which a BAR of less than 2 MiB needs: use a larger --size";
	case -EPROTO:
		return "the device has no ID: its server did not finish the handshake";
	case -ESTALE:
		return "it is another region than before: bind the driver again";
	case -ENODEV:
		return "nor did it before";
	default:
		return "no memory?";
	}
}

/*
 * How much of the BAR is in use, by a mapping that is good for no more than
 * this. The superblock is judged for good by ivring_link_register().
 */
static int ivring_guest_read_geometry(struct ivring_guest *g)
{
	struct ivring_wire_superblock *sb;
	void __iomem *page;
	int ret = -ENOMEM;

	sb = kmalloc(sizeof(*sb), GFP_KERNEL);
	page = pci_iomap_range(g->pdev, IVSHMEM_BAR_MEMORY, 0, sizeof(*sb));
	if (sb && page) {
		memcpy_fromio(sb, page, sizeof(*sb));
		ret = ivring_wire_check(sb, pci_resource_len(g->pdev, IVSHMEM_BAR_MEMORY),
					&g->geo);
		g->used = ret ? 0 : ivring_wire_used(&g->geo);
	}
	if (page)
		pci_iounmap(g->pdev, page);
	kfree(sb);
	return ret;
}

/*
 * Can what is used of the BAR have struct pages? They come for whole pieces,
 * which must be the BAR's own; they cost a 64th of it in RAM; and vmap() takes
 * no more of them than the machine has RAM.
 */
static bool ivring_guest_can_have_pages(const struct ivring_guest *g)
{
	return IS_ALIGNED(pci_resource_start(g->pdev, IVSHMEM_BAR_MEMORY), IVRING_GUEST_PIECE) &&
	       round_up(g->used, IVRING_GUEST_PIECE) <=
	       pci_resource_len(g->pdev, IVSHMEM_BAR_MEMORY) &&
	       g->used >> PAGE_SHIFT <= totalram_pages();
}

/*
 * Struct pages for the BAR. The core maps them itself: the mapping made here
 * may be uncached, as the firmware's MTRRs say so below 4 GiB, and under OVMF
 * everywhere.
 */
static int ivring_guest_make_pages(struct ivring_guest *g)
{
	resource_size_t start = pci_resource_start(g->pdev, IVSHMEM_BAR_MEMORY);
	unsigned long i, count = g->used >> PAGE_SHIFT;
	void *addr;

	g->pages = kvmalloc_array(count, sizeof(*g->pages), GFP_KERNEL);
	if (!g->pages)
		return -ENOMEM;
	g->pgmap.type = MEMORY_DEVICE_GENERIC;
	g->pgmap.range.start = start;
	g->pgmap.range.end = start + round_up(g->used, IVRING_GUEST_PIECE) - 1;
	g->pgmap.nr_range = 1;
	addr = memremap_pages(&g->pgmap, dev_to_node(&g->pdev->dev));
	if (IS_ERR(addr)) {
		kvfree(g->pages);
		g->pages = NULL;
		return PTR_ERR(addr);
	}
	for (i = 0; i < count; i++)
		g->pages[i] = pfn_to_page(PHYS_PFN(start) + i);
	return 0;
}

/*
 * Nothing is made here: the core maps by page frame. That must not be done to
 * frames which the kernel has struct pages for.
 */
static int ivring_guest_check_frames(const struct ivring_guest *g)
{
	unsigned long pfn = PHYS_PFN(pci_resource_start(g->pdev, IVSHMEM_BAR_MEMORY));
	unsigned long i;

	if (!IS_ENABLED(CONFIG_VMAP_PFN))
		return -EOPNOTSUPP;
	for (i = 0; i < g->used >> PAGE_SHIFT; i += IVRING_GUEST_PIECE >> PAGE_SHIFT)
		if (pfn_valid(pfn + i))
			return -EADDRINUSE;
	return 0;
}

static int ivring_guest_map_memory(struct ivring_guest *g)
{
	struct pci_dev *pdev = g->pdev;
	int error = -EINVAL, ret;

	ret = ivring_guest_read_geometry(g);
	if (!ret && ivring_guest_can_have_pages(g))
		error = ivring_guest_make_pages(g);
	if (!ret && !g->pages)
		ret = ivring_guest_check_frames(g);
	/* Where there is no other way, why the first one failed is what counts. */
	if (ret == -EOPNOTSUPP && error != -EINVAL)
		ret = error;
	if (ret)
		dev_err(&pdev->dev, "shared memory of %llu bytes refused, %s (error %d)\n",
			(u64)pci_resource_len(pdev, IVSHMEM_BAR_MEMORY),
			ivring_guest_explain(ret), ret);
	else if (!g->pages)
		dev_info(&pdev->dev, "no struct pages for the shared memory (%d): SEND_FILE and RECV_FILE take one copy more\n",
			 error);
	return ret;
}

/* Nobody holds a page: user space had page frames alone, and no copy is under way. */
static void ivring_guest_unmap_memory(struct ivring_guest *g)
{
	if (!g->pages)
		return;
	memunmap_pages(&g->pgmap);
	kvfree(g->pages);
}

/* The register is signed: -1 while the device has not been told its ID. */
static int ivring_guest_read_id(const struct ivring_guest *g, u32 *id)
{
	*id = readl(g->regs + IVSHMEM_REG_IVPOSITION);
	return *id <= IVRING_WIRE_ID_MAX ? 0 : -EPROTO;
}

static int ivring_guest_register(struct ivring_guest *g)
{
	struct pci_dev *pdev = g->pdev;
	struct ivring_link_params params = {
		.ops = &ivring_guest_ops,
		.priv = g,
		.parent = &pdev->dev,
		.pages = g->pages,
		.pfn = PHYS_PFN(pci_resource_start(pdev, IVSHMEM_BAR_MEMORY)),
		.size = pci_resource_len(pdev, IVSHMEM_BAR_MEMORY),
		.avail = g->used,
		.vectors = g->nr_vectors,
	};
	int ret = ivring_guest_read_id(g, &params.id);

	if (ret) {
		dev_err(&pdev->dev, "%s\n", ivring_guest_explain(ret));
		return ret;
	}
	params.side = ivring_wire_guest_side(&g->geo, params.id);
	g->link = ivring_link_register(&params);
	if (IS_ERR(g->link)) {
		dev_err(&pdev->dev, "shared memory refused, %s (error %ld)\n",
			ivring_guest_explain(PTR_ERR(g->link)), PTR_ERR(g->link));
		return PTR_ERR(g->link);
	}
	return 0;
}

/* The first @count vectors are listened to, and go on being so until @stopping is false. */
static void ivring_guest_end_rests(struct ivring_guest *g, int count)
{
	WRITE_ONCE(g->stopping, true);
	while (count--) {
		synchronize_irq(pci_irq_vector(g->pdev, count));
		flush_delayed_work(&g->vectors[count].rest_end);
	}
}

static void ivring_guest_free_irqs(struct ivring_guest *g, int count)
{
	ivring_guest_end_rests(g, count);
	while (count--)
		free_irq(pci_irq_vector(g->pdev, count), &g->vectors[count]);
}

static int ivring_guest_request_irqs(struct ivring_guest *g)
{
	int i, ret;

	for (i = 0; i < g->nr_vectors; i++) {
		struct ivring_guest_vector *v = &g->vectors[i];

		v->guest = g;
		v->vector = i;
		INIT_DELAYED_WORK(&v->rest_end, ivring_guest_rest_end);
		snprintf(v->name, sizeof(v->name), "ivring%u-%d", ivring_link_number(g->link), i);
		ret = request_irq(pci_irq_vector(g->pdev, i), ivring_guest_interrupt, 0,
				  v->name, v);
		if (ret) {
			ivring_guest_free_irqs(g, i);
			return ret;
		}
	}
	return 0;
}

/* Everything of the device but its interrupts. */
static int ivring_guest_enable(struct ivring_guest *g)
{
	struct pci_dev *pdev = g->pdev;
	int ret;

	ret = pci_enable_device(pdev);
	if (ret)
		return ret;
	ret = pci_request_regions(pdev, KBUILD_MODNAME);
	if (ret)
		goto err_disable;
	pci_set_master(pdev);
	ret = -ENOMEM;
	g->regs = pci_iomap(pdev, IVSHMEM_BAR_REGS, 0);
	if (!g->regs)
		goto err_release;
	ret = ivring_guest_map_memory(g);
	if (ret)
		goto err_iounmap;
	return 0;

err_iounmap:
	pci_iounmap(pdev, g->regs);
err_release:
	pci_release_regions(pdev);
err_disable:
	pci_disable_device(pdev);
	return ret;
}

static void ivring_guest_disable(struct ivring_guest *g)
{
	ivring_guest_unmap_memory(g);
	pci_iounmap(g->pdev, g->regs);
	pci_release_regions(g->pdev);
	pci_disable_device(g->pdev);
}

static int ivring_guest_start(struct ivring_guest *g, int count)
{
	int ret;

	g->nr_vectors = pci_alloc_irq_vectors(g->pdev, 1, min(count, IVRING_WIRE_VECTORS_MAX),
					      PCI_IRQ_MSIX);
	if (g->nr_vectors < 0)
		return g->nr_vectors;
	ret = ivring_guest_register(g);
	if (ret)
		goto err_free_vectors;
	ret = ivring_guest_request_irqs(g);
	if (ret)
		goto err_unregister;
	ivring_link_start(g->link);
	return 0;

err_unregister:
	ivring_link_unregister(g->link);
err_free_vectors:
	pci_free_irq_vectors(g->pdev);
	return ret;
}

static int ivring_guest_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ivring_guest *g;
	int ret, count;

	if (pdev->revision != IVSHMEM_REVISION)
		return -ENODEV;
	count = pci_msix_vec_count(pdev);
	if (count < 1) {
		dev_err(&pdev->dev, "no MSI-X: this is ivshmem-plain, ivshmem-doorbell is needed\n");
		return -ENODEV;
	}
	g = kzalloc(struct_size(g, vectors, count), GFP_KERNEL);
	if (!g)
		return -ENOMEM;
	g->pdev = pdev;
	ret = ivring_guest_enable(g);
	if (ret)
		goto err_free;
	ret = ivring_guest_start(g, count);
	if (ret)
		goto err_disable;
	pci_set_drvdata(pdev, g);
	return 0;

err_disable:
	ivring_guest_disable(g);
err_free:
	kfree(g);
	return ret;
}

static void ivring_guest_remove(struct pci_dev *pdev)
{
	struct ivring_guest *g = pci_get_drvdata(pdev);

	ivring_guest_free_irqs(g, g->nr_vectors);
	ivring_link_unregister(g->link);
	pci_free_irq_vectors(pdev);
	ivring_guest_disable(g);
	kfree(g);
}

/* The peer learns at once that this side goes down. */
static void ivring_guest_shutdown(struct pci_dev *pdev)
{
	struct ivring_guest *g = pci_get_drvdata(pdev);

	ivring_link_shutdown(g->link);
}

/* ---- sleep and reset ---- */

/*
 * Whatever sleeps, or is written to a disk, ends this life: the peer is told, and
 * nothing of ours touches the device until it is back. The PCI core saves and
 * restores its registers, MSI-X included.
 */
static int ivring_guest_suspend(struct device *dev)
{
	struct ivring_guest *g = dev_get_drvdata(dev);

	ivring_guest_end_rests(g, g->nr_vectors);
	ivring_link_suspend(g->link);
	return 0;
}

/* Whatever was rung for meanwhile is lost, and the device may be another one. */
static int ivring_guest_resume(struct device *dev)
{
	struct ivring_guest *g = dev_get_drvdata(dev);
	u32 id;
	int ret;

	WRITE_ONCE(g->stopping, false);
	ret = ivring_guest_read_id(g, &id);
	if (ret)
		ivring_link_abandon(g->link);
	else
		ret = ivring_link_resume(g->link, id, ivring_wire_guest_side(&g->geo, id));
	if (ret)
		dev_err(dev, "the link does not come back, %s (error %d)\n",
			ivring_guest_explain(ret), ret);
	return ret;
}

static DEFINE_SIMPLE_DEV_PM_OPS(ivring_guest_pm_ops, ivring_guest_suspend, ivring_guest_resume);

/*
 * A reset that somebody asked sysfs for, with the device in use: as short a sleep.
 * The PCI core holds the device's lock over both, and restores the registers.
 */
static void ivring_guest_reset_prepare(struct pci_dev *pdev)
{
	ivring_guest_suspend(&pdev->dev);
}

static void ivring_guest_reset_done(struct pci_dev *pdev)
{
	ivring_guest_resume(&pdev->dev);
}

static const struct pci_error_handlers ivring_guest_error_handlers = {
	.reset_prepare = ivring_guest_reset_prepare,
	.reset_done = ivring_guest_reset_done,
};

static const struct pci_device_id ivring_guest_ids[] = {
	{ PCI_DEVICE(IVSHMEM_VENDOR, IVSHMEM_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, ivring_guest_ids);

static struct pci_driver ivring_guest_driver = {
	.name = "ivring_guest",
	.id_table = ivring_guest_ids,
	.probe = ivring_guest_probe,
	.remove = ivring_guest_remove,
	.shutdown = ivring_guest_shutdown,
	.err_handler = &ivring_guest_error_handlers,
	.driver.pm = pm_sleep_ptr(&ivring_guest_pm_ops),
};
module_pci_driver(ivring_guest_driver);

MODULE_DESCRIPTION("Shared-memory rings between a host and its guests: ivshmem guest");
MODULE_AUTHOR("The ivring authors");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * ivring_loop: links with both sides in one kernel, for tests and for a first
 * look without a VM. Each pair is two links: what goes into channel C of the
 * one comes out of channel C of the other.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <ivring/link.h>
#include <ivring/wire.h>

#define IVRING_LOOP_PAIRS_MAX	8

static unsigned int pairs = 1;
module_param(pairs, uint, 0444);
MODULE_PARM_DESC(pairs, "Number of pairs of links, 1..8 (default 1)");

static unsigned long size = 16UL << 20;
module_param(size, ulong, 0444);
MODULE_PARM_DESC(size, "Bytes of shared memory per pair, a power of two (default 16 MiB)");

static unsigned int channels = 4;
module_param(channels, uint, 0444);
MODULE_PARM_DESC(channels, "Channels per link, 1..32 (default 4)");

static unsigned int vectors = 5;
module_param(vectors, uint, 0444);
MODULE_PARM_DESC(vectors, "Doorbell vectors per side, 1..256 (default 5)");

struct ivring_loop_pair;

struct ivring_loop_side {
	struct ivring_loop_pair *pair;
	struct ivring_link *link;
	u32 side;
};

struct ivring_loop_pair {
	struct page **pages;
	unsigned long nr_pages;
	struct ivring_loop_side sides[IVRING_WIRE_SIDES];
	spinlock_t lock;	/* a side's link is alive while rung */
};

static struct ivring_loop_pair *ivring_loop_pairs[IVRING_LOOP_PAIRS_MAX];

static void ivring_loop_ring(void *priv, u32 peer_id, u32 vector)
{
	struct ivring_loop_side *self = priv;
	struct ivring_loop_side *other = &self->pair->sides[!self->side];
	unsigned long flags;

	/* As on a real device, a doorbell for nobody is lost. */
	if (peer_id != other->side || vector >= vectors)
		return;
	spin_lock_irqsave(&self->pair->lock, flags);
	if (other->link)
		ivring_link_interrupt(other->link, vector);
	spin_unlock_irqrestore(&self->pair->lock, flags);
}

static const struct ivring_transport_ops ivring_loop_ops = {
	.name = "loop",
	.owner = THIS_MODULE,
	.ring = ivring_loop_ring,
};

static int ivring_loop_format(struct ivring_loop_pair *pair, unsigned int index)
{
	char label[IVRING_WIRE_LABEL_SIZE];
	struct ivring_wire_format format = {
		.region_size = size, .channels = channels, .label = label,
	};
	void *sb;
	int ret;

	snprintf(label, sizeof(label), "loop%u", index);
	sb = vmap(pair->pages, 1, VM_MAP, PAGE_KERNEL);
	if (!sb)
		return -ENOMEM;
	ret = ivring_wire_format(sb, &format);
	vunmap(sb);
	return ret;
}

static void ivring_loop_set_link(struct ivring_loop_side *s, struct ivring_link *link)
{
	spin_lock_irq(&s->pair->lock);
	s->link = link;
	spin_unlock_irq(&s->pair->lock);
}

static int ivring_loop_add_side(struct ivring_loop_pair *pair, u32 side)
{
	struct ivring_loop_side *s = &pair->sides[side];
	struct ivring_link_params params = {
		.ops = &ivring_loop_ops, .priv = s, .pages = pair->pages, .size = size,
		.avail = size, .side = side, .id = side, .vectors = vectors,
	};
	struct ivring_link *link;

	s->pair = pair;
	s->side = side;
	link = ivring_link_register(&params);
	if (IS_ERR(link))
		return PTR_ERR(link);
	ivring_loop_set_link(s, link);
	ivring_link_start(link);
	return 0;
}

static void ivring_loop_del_side(struct ivring_loop_pair *pair, u32 side)
{
	struct ivring_link *link = pair->sides[side].link;

	if (!link)
		return;
	ivring_loop_set_link(&pair->sides[side], NULL);
	ivring_link_unregister(link);
}

static void ivring_loop_free(struct ivring_loop_pair *pair)
{
	u32 side;

	for (side = 0; side < IVRING_WIRE_SIDES; side++)
		ivring_loop_del_side(pair, side);
	while (pair->nr_pages)
		__free_page(pair->pages[--pair->nr_pages]);
	kvfree(pair->pages);
	kfree(pair);
}

static struct ivring_loop_pair *ivring_loop_alloc(unsigned int index)
{
	struct ivring_loop_pair *pair = kzalloc(sizeof(*pair), GFP_KERNEL);
	const gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_RETRY_MAYFAIL;
	int ret = -ENOMEM;

	if (!pair)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&pair->lock);
	pair->pages = kvcalloc(size >> PAGE_SHIFT, sizeof(*pair->pages), GFP_KERNEL);
	if (!pair->pages)
		goto err_free;
	for (; pair->nr_pages < size >> PAGE_SHIFT; pair->nr_pages++) {
		pair->pages[pair->nr_pages] = alloc_page(gfp);
		if (!pair->pages[pair->nr_pages])
			goto err_free;
	}
	ret = ivring_loop_format(pair, index);
	if (ret)
		goto err_free;
	return pair;

err_free:
	ivring_loop_free(pair);
	return ERR_PTR(ret);
}

/* Free all pairs but the first @left. */
static void ivring_loop_exit(unsigned int left)
{
	unsigned int i;

	for (i = left; i < IVRING_LOOP_PAIRS_MAX && ivring_loop_pairs[i]; i++) {
		ivring_loop_free(ivring_loop_pairs[i]);
		ivring_loop_pairs[i] = NULL;
	}
}

/* Returns how many pairs became links on both sides; @ret says why not all. */
static unsigned int ivring_loop_add(int *ret)
{
	unsigned int i;
	u32 side;

	*ret = 0;
	for (i = 0; i < pairs; i++) {
		for (side = 0; side < IVRING_WIRE_SIDES; side++) {
			*ret = ivring_loop_add_side(ivring_loop_pairs[i], side);
			if (*ret)
				return i;
		}
	}
	return i;
}

static int __init ivring_loop_init(void)
{
	unsigned int i;
	int ret;

	if (pairs < 1 || pairs > IVRING_LOOP_PAIRS_MAX || vectors < 1 ||
	    vectors > IVRING_WIRE_VECTORS_MAX || !is_power_of_2(size) ||
	    size < IVRING_WIRE_REGION_SIZE_MIN || size > IVRING_WIRE_REGION_SIZE_MAX) {
		pr_err("pairs, vectors or size out of range, see modinfo ivring_loop\n");
		return -EINVAL;
	}
	for (i = 0; i < pairs; i++) {
		struct ivring_loop_pair *pair = ivring_loop_alloc(i);

		if (IS_ERR(pair)) {
			pr_err("no region of %lu bytes with %u channels (error %ld)\n",
			       size, channels, PTR_ERR(pair));
			ivring_loop_exit(0);
			return PTR_ERR(pair);
		}
		ivring_loop_pairs[i] = pair;
	}
	i = ivring_loop_add(&ret);
	if (!ret)
		return 0;
	/*
	 * There were nodes already, even of a link that failed, and somebody may have opened
	 * one: the module would be gone under it. So it is loaded, with what it has.
	 */
	pr_err("%u of %u pairs of links (error %d)\n", i, pairs, ret);
	ivring_loop_exit(i);
	return 0;
}

static void __exit ivring_loop_cleanup(void)
{
	ivring_loop_exit(0);
}

module_init(ivring_loop_init);
module_exit(ivring_loop_cleanup);

MODULE_DESCRIPTION("Shared-memory rings between a host and its guests: loopback links");
MODULE_AUTHOR("The ivring authors");
MODULE_LICENSE("GPL");

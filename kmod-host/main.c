// SPDX-License-Identifier: GPL-2.0
/*
 * ivring_host: memory that QEMU shows to a guest as an ivshmem device, as a
 * link on the host's side. A link server hands over the memfd and the eventfds
 * by ioctl on /dev/ivring-host, tells of the guest's coming and going, and has
 * no part in the data path.
 */
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <ivring/compat.h>
#include "host.h"

static void ivring_host_ring(void *priv, u32 peer_id, u32 vector)
{
	struct ivring_host *h = priv;
	unsigned long flags;

	/* Whatever ID the peer claims: there is but one, and these are its eventfds. */
	spin_lock_irqsave(&h->bells_lock, flags);
	if (h->bells && vector < h->bells->count) {
		vector = array_index_nospec(vector, h->bells->count);
		ivring_eventfd_signal(h->bells->ctx[vector]);
	}
	spin_unlock_irqrestore(&h->bells_lock, flags);
}

static bool ivring_host_intact(void *priv)
{
	struct ivring_host *h = priv;

	return ivring_host_memory_intact(&h->memory);
}

static const struct ivring_transport_ops ivring_host_ops = {
	.name = "host",
	.owner = THIS_MODULE,
	.ring = ivring_host_ring,
	.intact = ivring_host_intact,
};

static void ivring_host_set_bells(struct ivring_host *h, struct ivring_host_bells *bells)
{
	struct ivring_host_bells *old;

	spin_lock_irq(&h->bells_lock);
	old = h->bells;
	h->bells = bells;
	spin_unlock_irq(&h->bells_lock);
	ivring_host_bells_put(old);
}

/* ---- ioctls, with h->lock held ---- */

static int ivring_host_do_attach(struct ivring_host *h, struct ivring_host_attach *a)
{
	struct ivring_link_params params = {
		.ops = &ivring_host_ops, .priv = h,
		.side = 0, .id = a->id, .vectors = a->vectors, .peer_known = true,
	};
	struct ivring_host_ears *ears;
	struct ivring_link *link;
	int ret;

	ears = ivring_host_ears_get(a->eventfds, a->vectors);
	if (IS_ERR(ears))
		return PTR_ERR(ears);
	ret = ivring_host_memory_pin(&h->memory, a->memfd);
	if (ret)
		goto err_put_ears;
	params.pages = h->memory.pages;
	params.size = h->memory.size;
	params.avail = h->memory.used;
	link = ivring_link_register(&params);
	if (IS_ERR(link)) {
		ret = PTR_ERR(link);
		goto err_unpin;
	}
	h->id = a->id;
	h->ears = ears;
	h->link = link;
	ivring_host_ears_listen(ears, link);
	ivring_link_start(link);
	a->link = ivring_link_number(link);
	return 0;

err_unpin:
	ivring_host_memory_unpin(&h->memory);
err_put_ears:
	ivring_host_ears_put(ears);
	return ret;
}

static void ivring_host_detach(struct ivring_host *h)
{
	if (!h->link)
		return;
	ivring_host_ears_deafen(h->ears);
	ivring_link_unregister(h->link);
	h->link = NULL;
	ivring_host_set_bells(h, NULL);
	ivring_host_ears_put(h->ears);
	ivring_host_memory_unpin(&h->memory);
}

static_assert(sizeof(struct ivring_host_attach) == 48);
static_assert(sizeof(struct ivring_host_peer) == 48);

static int ivring_host_attach(struct ivring_host *h, struct ivring_host_attach __user *arg)
{
	struct ivring_host_attach a;
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.flags || memchr_inv(a.reserved, 0, sizeof(a.reserved)) ||
	    a.id > IVRING_WIRE_ID_MAX || a.vectors < 1 || a.vectors > IVRING_WIRE_VECTORS_MAX)
		return -EINVAL;
	if (h->link)
		return -EBUSY;
	ret = ivring_host_do_attach(h, &a);
	if (ret)
		return ret;
	if (put_user(a.link, &arg->link)) {
		ivring_host_detach(h);
		return -EFAULT;
	}
	return 0;
}

static int ivring_host_peer_add(struct ivring_host *h, struct ivring_host_peer __user *arg)
{
	struct ivring_host_bells *bells;
	struct ivring_host_peer p;

	if (copy_from_user(&p, arg, sizeof(p)))
		return -EFAULT;
	if (p.flags || p.reserved0 || memchr_inv(p.reserved, 0, sizeof(p.reserved)) ||
	    p.id > IVRING_WIRE_ID_MAX || p.vectors < 1 || p.vectors > IVRING_WIRE_VECTORS_MAX)
		return -EINVAL;
	if (!h->link)
		return -ENXIO;
	if (p.id == h->id)
		return -EINVAL;
	if (h->bells)
		return -EBUSY;
	bells = ivring_host_bells_get(p.eventfds, p.vectors);
	if (IS_ERR(bells))
		return PTR_ERR(bells);
	h->peer_id = p.id;
	ivring_host_set_bells(h, bells);
	ivring_link_peer_join(h->link, p.vectors);
	return 0;
}

static int ivring_host_peer_del(struct ivring_host *h, struct ivring_host_peer __user *arg)
{
	struct ivring_host_peer p;

	if (copy_from_user(&p, arg, sizeof(p)))
		return -EFAULT;
	if (p.flags || p.reserved0 || p.vectors || p.eventfds ||
	    memchr_inv(p.reserved, 0, sizeof(p.reserved)))
		return -EINVAL;
	if (!h->link)
		return -ENXIO;
	if (!h->bells || p.id != h->peer_id)
		return -ENOENT;
	ivring_host_set_bells(h, NULL);
	ivring_link_peer_leave(h->link);
	return 0;
}

/* ---- /dev/ivring-host ---- */

static long ivring_host_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ivring_host *h = file->private_data;
	void __user *p = (void __user *)arg;
	long ret;

	/* Held while memory is pinned, which takes its time. */
	if (mutex_lock_interruptible(&h->lock))
		return -ERESTARTSYS;
	switch (cmd) {
	case IVRING_HOST_IOC_ATTACH:
		ret = ivring_host_attach(h, p);
		break;
	case IVRING_HOST_IOC_PEER_ADD:
		ret = ivring_host_peer_add(h, p);
		break;
	case IVRING_HOST_IOC_PEER_DEL:
		ret = ivring_host_peer_del(h, p);
		break;
	default:
		ret = -ENOTTY;
	}
	mutex_unlock(&h->lock);
	return ret;
}

static int ivring_host_open(struct inode *inode, struct file *file)
{
	struct ivring_host *h = kzalloc(sizeof(*h), GFP_KERNEL_ACCOUNT);

	if (!h)
		return -ENOMEM;
	mutex_init(&h->lock);
	spin_lock_init(&h->bells_lock);
	file->private_data = h;
	return stream_open(inode, file);
}

static int ivring_host_close(struct inode *inode, struct file *file)
{
	struct ivring_host *h = file->private_data;

	ivring_host_detach(h);
	kfree(h);
	return 0;
}

static const struct file_operations ivring_host_fops = {
	.owner = THIS_MODULE,
	.open = ivring_host_open,
	.release = ivring_host_close,
	.unlocked_ioctl = ivring_host_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice ivring_host_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ivring-host",
	.fops = &ivring_host_fops,
	.mode = 0600,
};
module_misc_device(ivring_host_device);

MODULE_DESCRIPTION("Shared-memory rings between a host and its guests: KVM host");
MODULE_AUTHOR("The ivring authors");
MODULE_LICENSE("GPL");

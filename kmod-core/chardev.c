// SPDX-License-Identifier: GPL-2.0
/*
 * Device nodes: /dev/ivring<L> and /dev/ivring<L>c<C>.
 *
 * Whatever touches shared memory or the transport is inside ivring_link_enter():
 * after the link is gone that fails with ENODEV.
 */
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <asm/ioctls.h>
#include <ivring/compat.h>
#include <ivring/msg.h>
#include "internal.h"

static_assert(sizeof(struct ivring_link_info) == 168);
static_assert(sizeof(struct ivring_channel_info) == 128);
static_assert(sizeof(struct ivring_span) == 40);
static_assert(sizeof(struct ivring_wait) == 48);
static_assert(sizeof(struct ivring_file_xfer) == 64);
static_assert(sizeof(struct ivring_options) == 64);

/* ---- the link's node ---- */

/* Look at the peer, unless the link is suspended. */
static int ivring_link_look(struct ivring_link *link)
{
	if (!ivring_link_enter(link))
		return READ_ONCE(link->dead) ? -ENODEV : 0;
	ivring_link_evaluate(link);
	ivring_link_leave(link);
	return 0;
}

/* A link that is suspended comes back, or dies. */
static int ivring_link_enter_wait(struct ivring_link *link, bool nonblock)
{
	while (!ivring_link_enter(link)) {
		if (READ_ONCE(link->dead))
			return -ENODEV;
		if (nonblock)
			return -EAGAIN;
		if (wait_event_interruptible(link->wait, !percpu_ref_is_dying(&link->users) ||
					     READ_ONCE(link->dead)))
			return -ERESTARTSYS;
	}
	return 0;
}

static int ivring_link_open(struct inode *inode, struct file *file)
{
	struct ivring_link *link = container_of(inode->i_cdev, struct ivring_link, cdev);
	int ret = ivring_link_enter_wait(link, file->f_flags & O_NONBLOCK);

	if (ret)
		return ret;
	file->private_data = link;
	ivring_link_evaluate(link);
	ivring_link_file_opened(link);
	ivring_link_leave(link);
	return stream_open(inode, file);
}

static int ivring_link_release(struct inode *inode, struct file *file)
{
	ivring_link_file_closed(file->private_data);
	return 0;
}

static long ivring_ioctl_link_info(struct ivring_link *link, void __user *arg)
{
	struct ivring_link_info info;

	ivring_link_get_info(link, &info);
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long ivring_link_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ivring_link *link = file->private_data;
	int ret = ivring_link_look(link);

	if (ret)
		return ret;
	return cmd == IVRING_IOC_LINK_INFO ? ivring_ioctl_link_info(link, (void __user *)arg) :
					     -ENOTTY;
}

/* Readable while the peer is there. */
static __poll_t ivring_link_poll(struct file *file, poll_table *wait)
{
	struct ivring_link *link = file->private_data;

	poll_wait(file, &link->wait, wait);
	switch (READ_ONCE(link->state)) {
	case IVRING_LINK_UP:
		return EPOLLIN | EPOLLRDNORM;
	case IVRING_LINK_MISMATCH:
	case IVRING_LINK_SPLIT:
		return EPOLLERR;
	case IVRING_LINK_DEAD:
		return EPOLLERR | EPOLLHUP;
	default:
		return 0;
	}
}

const struct file_operations ivring_link_fops = {
	.owner = THIS_MODULE,
	.open = ivring_link_open,
	.release = ivring_link_release,
	.unlocked_ioctl = ivring_link_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = ivring_link_poll,
};

/* ---- a channel's node: open and close ---- */

static int ivring_channel_may_open(const struct ivring_channel *ch, const struct ivring_file *f)
{
	if (READ_ONCE(ch->link->dead))
		return -ENODEV;
	return ch->users && (ch->exclusive || f->exclusive) ? -EBUSY : 0;
}

/* Holds channel->mapping for writing. -EAGAIN: when who copies right now is done */
static int ivring_channel_try_open(struct ivring_channel *ch, struct ivring_file *f)
{
	int ret;

	spin_lock(&ch->lock);
	ret = ivring_channel_may_open(ch, f);
	if (!ret && !ivring_conn_joinable(ch)) {
		/* To be the first of a conversation that no older file sees a byte of. */
		spin_unlock(&ch->lock);
		ivring_channel_zap(ch);
		spin_lock(&ch->lock);
		ret = ivring_channel_may_open(ch, f);
		if (!ret && ch->copying)
			ret = -EAGAIN;
	}
	if (!ret)
		ret = ivring_conn_open(ch, f);
	if (ret >= 0)
		ch->exclusive = f->exclusive;
	spin_unlock(&ch->lock);
	return ret;
}

/* They may wait for a lock whose holder faults in a mapping of the channel. */
static int ivring_channel_await_copies(struct ivring_channel *ch)
{
	int ret;

	spin_lock(&ch->lock);
	ch->openers++;
	spin_unlock(&ch->lock);
	ret = wait_event_interruptible(ch->copied, !READ_ONCE(ch->copying));
	spin_lock(&ch->lock);
	ch->openers--;
	spin_unlock(&ch->lock);
	return ret;
}

static int ivring_channel_add_file(struct ivring_channel *ch, struct ivring_file *f,
				   bool nonblock)
{
	int ret;

	do {
		/* One at a time. Whoever faults right now has mapped the page, or will not. */
		if (down_write_killable(&ch->mapping))
			return -EINTR;
		ret = ivring_channel_try_open(ch, f);
		up_write(&ch->mapping);
		if (ret != -EAGAIN || nonblock)
			break;
		ret = ivring_channel_await_copies(ch);
	} while (!ret);
	if (ret > 0)
		ivring_link_announce(ch->link);
	return min(ret, 0);
}

static int ivring_channel_open(struct inode *inode, struct file *file)
{
	struct ivring_channel *ch = container_of(inode->i_cdev, struct ivring_channel, cdev);
	struct ivring_file *f;
	int ret;

	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;
	f->channel = ch;
	f->file = file;
	f->exclusive = file->f_flags & O_EXCL;
	f->messages = file->f_flags & O_DIRECT;
	f->spin_max_ns = U32_MAX;
	f->rx_min = 1;
	f->tx_min = 1;
	ret = ivring_link_enter_wait(ch->link, file->f_flags & O_NONBLOCK);
	if (ret)
		goto err_free;
	ivring_link_evaluate(ch->link);
	ret = ivring_channel_add_file(ch, f, file->f_flags & O_NONBLOCK);
	if (ret)
		goto err_leave;
	file->private_data = f;
	/* From here on it would mean what it means for files on disks: splice(2) heeds it. */
	file->f_flags &= ~O_DIRECT;
	/*
	 * Or preadv2(2) would refuse RWF_NOWAIT: that waits for nothing but page faults of
	 * its own memory, as in a pipe.
	 */
	file->f_mode |= FMODE_NOWAIT;
	ivring_link_file_opened(ch->link);
	ivring_link_leave(ch->link);
	return stream_open(inode, file);

err_leave:
	ivring_link_leave(ch->link);
err_free:
	kfree(f);
	return ret;
}

static int ivring_channel_close(struct inode *inode, struct file *file)
{
	struct ivring_file *f = file->private_data;
	struct ivring_channel *ch = f->channel;
	bool announce = false;

	if (ivring_link_enter(ch->link)) {
		spin_lock(&ch->lock);
		announce = ivring_conn_close(ch, f);
		spin_unlock(&ch->lock);
		if (announce)
			ivring_link_announce(ch->link);
		ivring_link_leave(ch->link);
	} else {
		spin_lock(&ch->lock);
		list_del(&f->node);
		spin_unlock(&ch->lock);
	}
	ivring_link_file_closed(ch->link);
	kfree(f);
	return 0;
}

/* ---- read, write, poll ---- */

static bool ivring_nonblock(const struct kiocb *iocb)
{
	return iocb->ki_filp->f_flags & O_NONBLOCK || iocb->ki_flags & IOCB_NOWAIT;
}

static ssize_t ivring_channel_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	return ivring_channel_read(iocb->ki_filp->private_data, to, ivring_nonblock(iocb));
}

static ssize_t ivring_channel_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	return ivring_channel_write(iocb->ki_filp->private_data, from, ivring_nonblock(iocb));
}

/* A pipe's pieces are no messages. */
static ssize_t ivring_channel_splice_read(struct file *file, loff_t *pos,
					  struct pipe_inode_info *pipe, size_t len,
					  unsigned int flags)
{
	struct ivring_file *f = file->private_data;

	return f->messages ? -EINVAL : ivring_copy_splice_read(file, pos, pipe, len, flags);
}

static ssize_t ivring_channel_splice_write(struct pipe_inode_info *pipe, struct file *file,
					   loff_t *pos, size_t len, unsigned int flags)
{
	struct ivring_file *f = file->private_data;

	return f->messages ? -EINVAL : iter_file_splice_write(pipe, file, pos, len, flags);
}

/* Nothing can have been written. */
static bool ivring_channel_is_opening(struct ivring_file *f)
{
	struct ivring_channel *ch = f->channel;
	bool opening;

	spin_lock(&ch->lock);
	opening = ch->state == IVRING_CHANNEL_OPENING && !ivring_file_error(f);
	spin_unlock(&ch->lock);
	return opening;
}

/* Wait until the peer has consumed all that was written. */
static int ivring_channel_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct ivring_file *f = file->private_data;
	struct ivring_wait w = { .events = IVRING_WAIT_DRAINED, .timeout_ns = -1 };
	int ret;

	/* io_submit(2)'s come from workers that others need, and no signal ends them. */
	if (file->f_flags & O_NONBLOCK || current->flags & PF_KTHREAD)
		w.timeout_ns = 0;
	if (!ivring_link_enter(f->channel->link))
		return ivring_link_gone(f->channel->link);
	ret = ivring_channel_is_opening(f) ? 0 : ivring_channel_wait(f, &w);
	ivring_link_leave(f->channel->link);
	return ret;
}

static __poll_t ivring_channel_poll_file(struct file *file, poll_table *wait)
{
	struct ivring_file *f = file->private_data;
	__poll_t mask;

	if (!ivring_link_enter(f->channel->link))
		return EPOLLERR | EPOLLHUP;
	poll_wait(file, &f->channel->wait, wait);
	mask = ivring_channel_poll(f, poll_requested_events(wait));
	ivring_link_leave(f->channel->link);
	return mask;
}

/*
 * ---- ioctl ----
 *
 * Arguments are copied outside the link, for the reason that copy.c gives.
 */

static long ivring_ioctl_channel_info(struct ivring_file *f, void __user *arg)
{
	struct ivring_channel *ch = f->channel;
	struct ivring_channel_info info = {
		.link = ch->link->number,
		.channel = ch->index,
		.ring_size = ch->link->geo.ring_size,
		.map_size = 2 * ch->link->geo.ring_size,
		.tx_map_offset = 0,
		.rx_map_offset = 2 * ch->link->geo.ring_size,
		.control_map_offset = 4 * ch->link->geo.ring_size,
		.control_map_size = sizeof(struct ivring_wire_channel),
		.side = ch->link->params.side,
		.spin_max_ns = ivring_tune_spin_max(f),
	};

	spin_lock(&ch->lock);
	if (f->conversation == ch->conversation) {
		info.state = ch->state;
		/* Until then it is that of the conversation before. */
		info.epoch = ch->started ? ch->epoch : 0;
		if (ch->state != IVRING_CHANNEL_OPENING) {
			info.peer_epoch = ch->peer_epoch;
			info.tx_prod = ch->user ? ch->user_from.prod : ch->tx.prod;
			info.rx_cons = ch->user ? ch->user_from.cons : ch->rx.cons;
			info.rx_prod = ch->rx.prod;
		}
		if (ch->tx_shutdown)
			info.flags |= IVRING_CHANNEL_F_SHUTDOWN;
		if (ch->rx_shutdown)
			info.flags |= IVRING_CHANNEL_F_PEER_SHUTDOWN;
		if (ch->user)
			info.flags |= IVRING_CHANNEL_F_USER;
	} else {
		info.state = IVRING_CHANNEL_RESET;
	}
	if (f->messages)
		info.flags |= IVRING_CHANNEL_F_MESSAGES;
	info.window = ch->tx.window;
	spin_unlock(&ch->lock);
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long ivring_ioctl_span(struct file *file, unsigned int cmd, void __user *arg)
{
	struct ivring_file *f = file->private_data;
	bool writes = cmd == IVRING_IOC_RESERVE || cmd == IVRING_IOC_COMMIT;
	struct ivring_span span;
	long ret;

	if (!(file->f_mode & (writes ? FMODE_WRITE : FMODE_READ)))
		return -EBADF;
	if (copy_from_user(&span, arg, sizeof(span)))
		return -EFAULT;
	if (span.flags || span.reserved)
		return -EINVAL;
	if (file->f_flags & O_NONBLOCK)
		span.timeout_ns = 0;

	if (!ivring_link_enter(f->channel->link))
		return ivring_link_gone(f->channel->link);
	switch (cmd) {
	case IVRING_IOC_COMMIT:
		ret = ivring_channel_commit(f, &span);
		break;
	case IVRING_IOC_RELEASE:
		ret = ivring_channel_release(f, &span);
		break;
	case IVRING_IOC_RESERVE:
		ret = ivring_channel_reserve(f, &span);
		break;
	default:
		ret = ivring_channel_peek(f, &span);
	}
	ivring_link_leave(f->channel->link);
	if (ret || cmd == IVRING_IOC_COMMIT || cmd == IVRING_IOC_RELEASE)
		return ret;
	return copy_to_user(arg, &span, sizeof(span)) ? -EFAULT : 0;
}

#define IVRING_WAIT_EVENTS (IVRING_WAIT_CONNECTED | IVRING_WAIT_IN | IVRING_WAIT_OUT | \
			    IVRING_WAIT_DRAINED)

static long ivring_ioctl_wait(struct file *file, struct ivring_wait __user *arg)
{
	struct ivring_file *f = file->private_data;
	struct ivring_channel *ch = f->channel;
	struct ivring_wait w;
	long ret;

	if (copy_from_user(&w, arg, sizeof(w)))
		return -EFAULT;
	if (!w.events || w.events & ~IVRING_WAIT_EVENTS || w.reserved[0] || w.reserved[1])
		return -EINVAL;
	if (w.events & IVRING_WAIT_IN && (!w.rx_min || w.rx_min > ch->rx.size))
		return -EINVAL;
	if (w.events & IVRING_WAIT_OUT && (!w.tx_min || w.tx_min > READ_ONCE(ch->tx.window)))
		return -EINVAL;
	if (file->f_flags & O_NONBLOCK)
		w.timeout_ns = 0;
	if (!ivring_link_enter(ch->link))
		return ivring_link_gone(ch->link);
	ret = ivring_channel_wait(f, &w);
	ivring_link_leave(ch->link);
	if (ret)
		return ret;
	return put_user(w.revents, &arg->revents);
}

static long ivring_ioctl_file(struct file *file, bool tx, void __user *arg)
{
	struct ivring_file *f = file->private_data;
	struct ivring_file_xfer x;
	long ret;

	if (!(file->f_mode & (tx ? FMODE_WRITE : FMODE_READ)))
		return -EBADF;
	if (copy_from_user(&x, arg, sizeof(x)))
		return -EFAULT;
	if (file->f_flags & O_NONBLOCK)
		x.timeout_ns = 0;
	ret = ivring_file_move(f, tx, &x);
	if (copy_to_user(arg, &x, sizeof(x)))
		return -EFAULT;
	return ret;
}

static long ivring_ioctl_set_options(struct ivring_file *f, void __user *arg)
{
	struct ivring_channel *ch = f->channel;
	struct ivring_options o;

	if (copy_from_user(&o, arg, sizeof(o)))
		return -EFAULT;
	if (o.flags || memchr_inv(o.reserved, 0, sizeof(o.reserved)))
		return -EINVAL;
	if (!o.rx_min || o.rx_min > (f->messages ? 1 : ch->rx.size) ||
	    !o.tx_min || o.tx_min > (f->messages ? ivring_msg_len_max(READ_ONCE(ch->tx.window)) :
						    READ_ONCE(ch->tx.window)))
		return -EINVAL;
	WRITE_ONCE(f->spin_max_ns, o.spin_max_ns);
	WRITE_ONCE(f->rx_min, o.rx_min);
	WRITE_ONCE(f->tx_min, o.tx_min);
	/* Who polls wished for something else, but not in an older conversation. */
	if (f->conversation == READ_ONCE(ch->conversation))
		wake_up_all(&ch->wait);
	return 0;
}

static long ivring_ioctl_get_options(const struct ivring_file *f, void __user *arg)
{
	struct ivring_options o = {
		.spin_max_ns = READ_ONCE(f->spin_max_ns),
		.rx_min = READ_ONCE(f->rx_min),
		.tx_min = READ_ONCE(f->tx_min),
	};

	return copy_to_user(arg, &o, sizeof(o)) ? -EFAULT : 0;
}

/* An int, as everywhere. */
static long ivring_ioctl_readable(struct file *file, int __user *arg)
{
	struct ivring_file *f = file->private_data;
	u64 bytes = 0;
	int ret;

	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	if (!ivring_link_enter(f->channel->link))
		return ivring_link_gone(f->channel->link);
	ret = ivring_channel_readable(f, &bytes);
	ivring_link_leave(f->channel->link);
	return ret ?: put_user((int)min_t(u64, bytes, INT_MAX), arg);
}

/* What has no argument in user memory */
static long ivring_ioctl_plain(struct file *file, unsigned int cmd)
{
	struct ivring_file *f = file->private_data;
	long ret = -ENOTTY;

	if (!ivring_link_enter(f->channel->link))
		return ivring_link_gone(f->channel->link);
	switch (cmd) {
	case IVRING_IOC_SHUTDOWN:
		ret = file->f_mode & FMODE_WRITE ? ivring_channel_shutdown(f) : -EBADF;
		break;
	case IVRING_IOC_TAKE_INDICES:
		ret = file->f_mode & FMODE_WRITE && file->f_mode & FMODE_READ ?
		      ivring_user_take(f) : -EBADF;
		break;
	case IVRING_IOC_RING:
		ret = ivring_user_ring(f);
		break;
	}
	ivring_link_leave(f->channel->link);
	return ret;
}

static long ivring_channel_ioctl(struct file *file, unsigned int cmd, unsigned long argument)
{
	struct ivring_file *f = file->private_data;
	void __user *arg = (void __user *)argument;
	int ret;

	/* It looks at the peer, too; and without link nothing else matters. */
	ret = cmd == IVRING_IOC_LINK_INFO ? ivring_link_look(f->channel->link) : 0;
	if (!ret && percpu_ref_is_dying(&f->channel->link->users))
		ret = ivring_link_gone(f->channel->link);
	if (ret)
		return ret;
	switch (cmd) {
	case IVRING_IOC_LINK_INFO:
		return ivring_ioctl_link_info(f->channel->link, arg);
	case IVRING_IOC_CHANNEL_INFO:
		return ivring_ioctl_channel_info(f, arg);
	case IVRING_IOC_RESERVE:
	case IVRING_IOC_COMMIT:
	case IVRING_IOC_PEEK:
	case IVRING_IOC_RELEASE:
		return ivring_ioctl_span(file, cmd, arg);
	case IVRING_IOC_WAIT:
		return ivring_ioctl_wait(file, arg);
	case IVRING_IOC_SEND_FILE:
	case IVRING_IOC_RECV_FILE:
		return ivring_ioctl_file(file, cmd == IVRING_IOC_SEND_FILE, arg);
	case IVRING_IOC_SET_OPTIONS:
		return ivring_ioctl_set_options(f, arg);
	case IVRING_IOC_GET_OPTIONS:
		return ivring_ioctl_get_options(f, arg);
	case FIONREAD:
		return ivring_ioctl_readable(file, arg);
	default:
		return ivring_ioctl_plain(file, cmd);
	}
}

/* ---- mmap ---- */

/* Pages to map at one fault, where as many follow. */
#define IVRING_FAULT_AROUND	64UL

/*
 * Pages go in one by one from the fault handler. remap_pfn_range() would ask
 * the memory-type tables and could make the mapping uncached. The page table
 * entry is set while inside the link and with channel->mapping held, so that
 * ivring_channel_zap() misses none.
 */
static vm_fault_t ivring_vma_map(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ivring_file *f = vma->vm_file->private_data;
	struct ivring_channel *ch = f->channel;
	u64 offset = (u64)vmf->pgoff << PAGE_SHIFT;
	u64 ring_size = ch->link->geo.ring_size;
	bool control = offset >= 4 * ring_size;
	unsigned long left = control ? 1 : (ring_size - (offset & (ring_size - 1))) >> PAGE_SHIFT;
	vm_fault_t ret;

	/* While the conversation before lingers, the rings are its own. */
	if (READ_ONCE(f->zapped) || !READ_ONCE(ch->started))
		return VM_FAULT_SIGBUS;
	left = min3(left, IVRING_FAULT_AROUND, (vma->vm_end - vmf->address) >> PAGE_SHIFT);
	ret = ivring_memory_insert(ch, offset, vma, vmf->address, left);
	if (ret == VM_FAULT_NOPAGE)
		ivring_memory_check_user(ch->link, vma, vmf->address);
	return ret;
}

static vm_fault_t ivring_vma_fault(struct vm_fault *vmf)
{
	struct ivring_file *f = vmf->vma->vm_file->private_data;
	struct ivring_channel *ch = f->channel;
	vm_fault_t ret;

	if (!ivring_link_enter(ch->link))
		return VM_FAULT_SIGBUS;
	down_read(&ch->mapping);
	ret = ivring_vma_map(vmf);
	up_read(&ch->mapping);
	ivring_link_leave(ch->link);
	return ret;
}

static const struct vm_operations_struct ivring_vm_ops = {
	.fault = ivring_vma_fault,
};

static int ivring_channel_check_vma(const struct ivring_file *f, struct vm_area_struct *vma)
{
	u64 map_size = 2 * f->channel->link->geo.ring_size;
	u64 start = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 len = vma->vm_end - vma->vm_start;
	bool rx = start >= map_size;

	/* A private copy would show the ring as it once was. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (start == 2 * map_size && len == PAGE_SIZE)
		return f->exclusive && READ_ONCE(f->channel->user) ? 0 : -EACCES;
	if (start >= 2 * map_size || len > map_size - (rx ? start - map_size : start))
		return -EINVAL;
	if (rx && vma->vm_flags & VM_WRITE)
		return -EACCES;
	if (rx)
		ivring_vm_flags_mod(vma, 0, VM_MAYWRITE);
	return 0;
}

static int ivring_channel_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ivring_file *f = file->private_data;
	struct ivring_channel *ch = f->channel;
	int ret;

	if (!ivring_link_enter(ch->link))
		return ivring_link_gone(ch->link);
	ret = READ_ONCE(f->zapped) ? -ECONNRESET : ivring_channel_check_vma(f, vma);
	if (!ret) {
		/* With VM_IO nobody's MADV_DOFORK undoes the last. */
		ivring_vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP |
				    VM_DONTCOPY, 0);
		vma->vm_ops = &ivring_vm_ops;
	}
	ivring_link_leave(ch->link);
	return ret;
}

/*
 * Has all files of an inode map no more. There may be thousands of them, with as many
 * mappings each: what is mapped goes at once for all. Returns the inode, held, or NULL.
 */
static struct inode *ivring_channel_zap_files(struct ivring_channel *ch)
{
	struct inode *inode = NULL;
	struct ivring_file *f;

	spin_lock(&ch->lock);
	list_for_each_entry(f, &ch->files, node) {
		if (f->zapped || (inode && inode != file_inode(f->file)))
			continue;
		if (!inode) {
			inode = file_inode(f->file);
			ihold(inode);
		}
		WRITE_ONCE(f->zapped, true);
	}
	spin_unlock(&ch->lock);
	return inode;
}

/**
 * ivring_channel_zap() - take all user mappings of a channel away
 * @ch: the channel; the link is dead or suspended and nobody is inside, or the caller
 *	holds channel->mapping for writing
 *
 * No file that is open now can map anything again.
 */
void ivring_channel_zap(struct ivring_channel *ch)
{
	struct inode *inode;

	while ((inode = ivring_channel_zap_files(ch))) {
		unmap_mapping_range(inode->i_mapping, 0, 0, 1);
		iput(inode);
	}
}

const struct file_operations ivring_channel_fops = {
	.owner = THIS_MODULE,
	.open = ivring_channel_open,
	.release = ivring_channel_close,
	.read_iter = ivring_channel_read_iter,
	.write_iter = ivring_channel_write_iter,
	.splice_read = ivring_channel_splice_read,
	.splice_write = ivring_channel_splice_write,
	.fsync = ivring_channel_fsync,
	.poll = ivring_channel_poll_file,
	.unlocked_ioctl = ivring_channel_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = ivring_channel_mmap,
};

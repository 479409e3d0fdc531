// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbells: eventfds shared with QEMU, which KVM signals from the guest's
 * doorbell writes (ioeventfd) and turns into the guest's interrupts (irqfd).
 */
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <ivring/compat.h>
#include "host.h"

static int ivring_host_get_fd(u64 user_fds, u32 index)
{
	int __user *fds = u64_to_user_ptr(user_fds);
	int fd;

	if (get_user(fd, fds + index))
		return -EFAULT;
	return fd < 0 ? -EBADF : fd;
}

/* ---- towards the peer ---- */

/**
 * ivring_host_bells_get() - take the eventfds that ring a peer
 * @user_fds: user pointer to @count file descriptors
 * @count: 1..IVRING_WIRE_VECTORS_MAX
 *
 * Return: the bells, or an ERR_PTR(): -EFAULT, -EBADF, -EINVAL, -ENOMEM.
 */
struct ivring_host_bells *ivring_host_bells_get(u64 user_fds, u32 count)
{
	struct ivring_host_bells *bells;
	int fd, ret;

	bells = kzalloc(struct_size(bells, ctx, count), GFP_KERNEL_ACCOUNT);
	if (!bells)
		return ERR_PTR(-ENOMEM);
	for (; bells->count < count; bells->count++) {
		struct eventfd_ctx *ctx;

		fd = ivring_host_get_fd(user_fds, bells->count);
		ctx = fd < 0 ? ERR_PTR(fd) : eventfd_ctx_fdget(fd);
		if (IS_ERR(ctx)) {
			ret = PTR_ERR(ctx);
			ivring_host_bells_put(bells);
			return ERR_PTR(ret);
		}
		bells->ctx[bells->count] = ctx;
	}
	return bells;
}

void ivring_host_bells_put(struct ivring_host_bells *bells)
{
	if (!bells)
		return;
	while (bells->count)
		eventfd_ctx_put(bells->ctx[--bells->count]);
	kfree(bells);
}

/* ---- from the peer ---- */

struct ivring_host_ear {
	struct ivring_host_ears *ears;
	u32 vector;
	struct eventfd_ctx *ctx;
	struct file *file;
	wait_queue_entry_t wait;
	poll_table pt;
	bool listening;
};

struct ivring_host_ears {
	struct ivring_link *link;
	u32 count;
	struct ivring_host_ear ear[];
};

/* Runs in whatever context signals, with the eventfd's wait queue locked. */
static int ivring_host_ear_wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct ivring_host_ear *ear = container_of(wait, struct ivring_host_ear, wait);
	u64 count;

	if (!(key_to_poll(key) & EPOLLIN))
		return 0;
	eventfd_ctx_do_read(ear->ctx, &count);
	ivring_link_interrupt(ear->ears->link, ear->vector);
	return 0;
}

static void ivring_host_ear_queue(struct file *file, wait_queue_head_t *wqh, poll_table *pt)
{
	struct ivring_host_ear *ear = container_of(pt, struct ivring_host_ear, pt);

	add_wait_queue(wqh, &ear->wait);
	ear->listening = true;
}

static int ivring_host_ear_get(struct ivring_host_ear *ear, u64 user_fds)
{
	struct eventfd_ctx *ctx;
	struct file *file;
	int fd = ivring_host_get_fd(user_fds, ear->vector);

	if (fd < 0)
		return fd;
	file = eventfd_fget(fd);
	if (IS_ERR(file))
		return PTR_ERR(file);
	ctx = eventfd_ctx_fileget(file);
	if (IS_ERR(ctx)) {
		fput(file);
		return PTR_ERR(ctx);
	}
	ear->file = file;
	ear->ctx = ctx;
	return 0;
}

/**
 * ivring_host_ears_get() - take the eventfds that the peer will ring
 * @user_fds: user pointer to @count file descriptors
 * @count: 1..IVRING_WIRE_VECTORS_MAX
 *
 * Return: the ears, still deaf, or an ERR_PTR() as ivring_host_bells_get().
 */
struct ivring_host_ears *ivring_host_ears_get(u64 user_fds, u32 count)
{
	struct ivring_host_ears *ears;
	int ret;

	ears = kzalloc(struct_size(ears, ear, count), GFP_KERNEL_ACCOUNT);
	if (!ears)
		return ERR_PTR(-ENOMEM);
	for (; ears->count < count; ears->count++) {
		struct ivring_host_ear *ear = &ears->ear[ears->count];

		ear->ears = ears;
		ear->vector = ears->count;
		ret = ivring_host_ear_get(ear, user_fds);
		if (ret) {
			ivring_host_ears_put(ears);
			return ERR_PTR(ret);
		}
	}
	return ears;
}

void ivring_host_ears_listen(struct ivring_host_ears *ears, struct ivring_link *link)
{
	u32 i;

	ears->link = link;
	for (i = 0; i < ears->count; i++) {
		struct ivring_host_ear *ear = &ears->ear[i];

		init_waitqueue_func_entry(&ear->wait, ivring_host_ear_wake);
		init_poll_funcptr(&ear->pt, ivring_host_ear_queue);
		/* What was signalled before is seen by ivring_link_start()'s own look. */
		vfs_poll(ear->file, &ear->pt);
	}
}

/* When this returns no wake-up is running or will come. */
void ivring_host_ears_deafen(struct ivring_host_ears *ears)
{
	u64 count;
	u32 i;

	for (i = 0; i < ears->count; i++) {
		if (ears->ear[i].listening)
			eventfd_ctx_remove_wait_queue(ears->ear[i].ctx, &ears->ear[i].wait,
						      &count);
		ears->ear[i].listening = false;
	}
}

void ivring_host_ears_put(struct ivring_host_ears *ears)
{
	if (!ears)
		return;
	while (ears->count--) {
		eventfd_ctx_put(ears->ear[ears->count].ctx);
		fput(ears->ear[ears->count].file);
	}
	kfree(ears);
}

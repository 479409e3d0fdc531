// SPDX-License-Identifier: GPL-2.0
/*
 * Copies between a ring and what read(2) and write(2) are given, or a file.
 *
 * A page fault in user memory may take for ever: userfaultfd, FUSE and network file
 * systems let a program decide. Whoever is inside the link holds up its end, so
 * inside copies are made of what is there, with page faults disabled. The rest is
 * faulted in outside, and then all that may have happened meanwhile is asked anew.
 */
#include <linux/pagemap.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include "internal.h"

/* Faults in a row after which there was nothing to copy: the memory is too short. */
#define IVRING_COPY_FRUITLESS_MAX	100

static struct ivring_dir *ivring_copy_dir(const struct ivring_copy *c)
{
	return c->tx ? &c->f->channel->tx_dir : &c->f->channel->rx_dir;
}

/**
 * ivring_copy_begin() - enter the link to copy
 * @c: filled in; ivring_copy_end() is due unless this fails
 * @f: the file
 * @iter: from or to where; NULL: not decided yet
 * @tx: which direction
 *
 * Return: 0 or an errno.
 */
int ivring_copy_begin(struct ivring_copy *c, struct ivring_file *f, struct iov_iter *iter, bool tx)
{
	*c = (struct ivring_copy) { .f = f, .iter = iter, .tx = tx };
	c->inside = ivring_link_enter(f->channel->link);
	return c->inside ? 0 : ivring_link_gone(f->channel->link);
}

/* As ivring_dir_lock(), until ivring_copy_end(). */
int ivring_copy_lock(struct ivring_copy *c, s64 timeout_ns)
{
	int ret = ivring_dir_lock(c->f, ivring_copy_dir(c), timeout_ns);

	c->locked = !ret;
	return ret;
}

void ivring_copy_end(struct ivring_copy *c)
{
	if (c->locked)
		ivring_dir_unlock(c->f, ivring_copy_dir(c));
	if (c->inside)
		ivring_link_leave(c->f->channel->link);
}

/**
 * ivring_copy_pin() - until ivring_copy_unpin() no other conversation begins
 * @c: the copy, inside the link
 *
 * Who copies may not be on a CPU for a while, and the conversation over meanwhile. The
 * bytes of the next one are not for it to read, nor to write over.
 *
 * Return: false when it has begun already.
 */
bool ivring_copy_pin(struct ivring_copy *c)
{
	struct ivring_channel *ch = c->f->channel;
	bool same;

	spin_lock(&ch->lock);
	same = c->f->conversation == ch->conversation;
	if (same)
		WRITE_ONCE(ch->copying, ch->copying + 1);
	spin_unlock(&ch->lock);
	return same;
}

void ivring_copy_unpin(struct ivring_copy *c)
{
	struct ivring_channel *ch = c->f->channel;

	spin_lock(&ch->lock);
	WRITE_ONCE(ch->copying, ch->copying - 1);
	if (!ch->copying && ch->openers)
		wake_up_all(&ch->copied);
	spin_unlock(&ch->lock);
}

/**
 * ivring_copy_some() - copy what needs no page fault
 * @c: the copy
 * @ring: from or to where
 * @len: how many bytes at most
 *
 * Return: how many it were; none when the conversation is another one.
 */
size_t ivring_copy_some(struct ivring_copy *c, void *ring, size_t len)
{
	size_t n;

	if (!ivring_copy_pin(c))
		return 0;
	pagefault_disable();
	n = c->tx ? copy_from_iter(ring, len, c->iter) : copy_to_iter(ring, len, c->iter);
	pagefault_enable();
	ivring_copy_unpin(c);
	return n;
}

/**
 * ivring_copy_go_outside() - leave the link, with the direction still locked
 * @c: the copy
 *
 * To do what may take for ever. Should the conversation end meanwhile, the next one
 * does not wait for it: ivring_dir_take_back(). Once it has begun, it is too late.
 *
 * Return: 0, then ivring_copy_come_back() is due; or an errno, still inside.
 */
int ivring_copy_go_outside(struct ivring_copy *c)
{
	struct ivring_channel *ch = c->f->channel;
	int ret;

	spin_lock(&ch->lock);
	ret = ivring_file_error(c->f);
	if (!ret)
		ivring_copy_dir(c)->outside = c;
	spin_unlock(&ch->lock);
	if (!ret)
		ivring_link_leave(ch->link);
	return ret;
}

/**
 * ivring_copy_come_back() - enter the link again
 * @c: the copy
 *
 * Return: 0, or an errno: then the direction may be somebody else's, and all that is left
 * to do is ivring_copy_end().
 */
int ivring_copy_come_back(struct ivring_copy *c)
{
	struct ivring_dir *dir = ivring_copy_dir(c);
	struct ivring_channel *ch = c->f->channel;
	int ret;

	c->inside = ivring_link_enter(ch->link);
	spin_lock(&ch->lock);
	c->locked = dir->outside == c;
	if (c->locked)
		dir->outside = NULL;
	ret = ivring_file_error(c->f);
	spin_unlock(&ch->lock);
	return c->inside ? ret : ivring_link_gone(ch->link);
}

/**
 * ivring_copy_fault_in() - have what is left of a copy need no page fault
 * @c: the copy, of which ivring_copy_some() did less than it should
 * @len: how much less
 *
 * Return: 0: try again, in the same conversation with the same direction locked, but
 * after a new look at its indices and limits. Or an errno: then the direction may be
 * somebody else's, and all that is left to do is ivring_copy_end().
 */
int ivring_copy_fault_in(struct ivring_copy *c, size_t len)
{
	size_t missing, left = iov_iter_count(c->iter);
	int ret;

	if (left != c->left)
		c->fruitless = 0;
	c->left = left;
	ret = ivring_copy_go_outside(c);
	if (ret)
		return ret;
	if (!user_backed_iter(c->iter) || c->fruitless++ == IVRING_COPY_FRUITLESS_MAX)
		missing = len;
	else
		missing = c->tx ? fault_in_iov_iter_readable(c->iter, len) :
				  fault_in_iov_iter_writeable(c->iter, len);
	ret = ivring_copy_come_back(c);
	return ret ?: missing == len ? -EFAULT : 0;
}

/**
 * ivring_dir_take_back() - unlock a direction, whoever has it
 * @dir: the direction
 *
 * Caller holds channel->lock, begins another conversation, and wakes who waits. Who is
 * not outside has been woken, or will find out by itself, and does no more than leave.
 */
void ivring_dir_take_back(struct ivring_dir *dir)
{
	dir->outside = NULL;
	xchg(&dir->owner, NULL);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Files through a channel without user space in between: from the page cache
 * straight into the ring and back, one copy on each side.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include "internal.h"

/*
 * The file's own position stays where it is. Pipes, sockets and channels have
 * read, write and splice; to wait for one of them here would be to wait for two
 * things at once.
 */
static int ivring_file_check(const struct file *file, bool tx)
{
	umode_t mode = file_inode(file)->i_mode;

	if (!(file->f_mode & (tx ? FMODE_READ : FMODE_WRITE)))
		return -EBADF;
	/* The position would not be where it was asked for. */
	if (!tx && file->f_flags & O_APPEND)
		return -EBADF;
	/* The ring is no memory that a device could be told to use. */
	if (file->f_flags & O_DIRECT)
		return -EINVAL;
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return -EINVAL;
	/* Files of proc and sysfs may have neither. */
	if (tx ? !file->f_op->read_iter || file->f_op->read :
		 !file->f_op->write_iter || file->f_op->write)
		return -EINVAL;
	return 0;
}

/*
 * One piece. Less than was asked for is the end of the file when sending, and
 * of the conversation when receiving.
 */
static ssize_t ivring_file_piece(struct ivring_file *f, struct file *file, bool tx,
				 const struct ivring_file_xfer *x)
{
	u64 left = x->len - x->done;
	loff_t pos = x->offset + x->done;
	struct ivring_piece piece;
	ssize_t n;
	int ret;

	ret = tx ? ivring_channel_room(f, left, x->timeout_ns, &piece) :
		   ivring_channel_avail(f, left, x->timeout_ns, &piece);
	if (ret || !piece.len)
		return ret;
	n = tx ? kernel_read(file, piece.data, piece.len, &pos) :
		 kernel_write(file, piece.data, piece.len, &pos);
	if (n <= 0)
		return n;
	piece.len = n;
	return ivring_channel_copied(f, tx, &piece) ?: n;
}

/**
 * ivring_file_move() - IVRING_IOC_SEND_FILE and IVRING_IOC_RECV_FILE
 * @f: the channel
 * @tx: send
 * @x: in and out; @x->done counts also when there is an error
 *
 * Return: 0 or an errno.
 */
int ivring_file_move(struct ivring_file *f, bool tx, struct ivring_file_xfer *x)
{
	struct ivring_dir *dir = tx ? &f->channel->tx_dir : &f->channel->rx_dir;
	struct file *file;
	ssize_t n;
	int ret;

	x->done = 0;
	if (x->flags || x->reserved[0] || x->reserved[1] || x->reserved[2] ||
	    x->offset > MAX_LFS_FILESIZE || x->len > MAX_LFS_FILESIZE - x->offset)
		return -EINVAL;
	file = fget(x->fd);
	if (!file)
		return -EBADF;
	ret = ivring_file_check(file, tx);
	if (!ret)
		ret = ivring_dir_lock(dir, x->timeout_ns);
	if (ret)
		goto out_put;

	while (x->done < x->len) {
		n = ivring_file_piece(f, file, tx, x);
		if (n <= 0) {
			ret = n;
			break;
		}
		x->done += n;
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		cond_resched();
	}
	/* To start over would do what is done a second time. */
	if (ret == -ERESTARTSYS && x->done)
		ret = -EINTR;
	ivring_dir_unlock(dir);
out_put:
	fput(file);
	return ret;
}

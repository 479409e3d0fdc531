// SPDX-License-Identifier: GPL-2.0
/*
 * Files through a channel without user space in between: from the page cache
 * straight into the ring and back, one copy on each side.
 *
 * The price of that: the link cannot go while the file system is at it, and how long
 * that takes is up to the file system. Who waits for it says so: ivring_link_expel().
 * */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>
#include <ivring/compat.h>
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

/* A file on its way. */
struct ivring_file_job {
	struct ivring_copy copy;
	struct file *file;
	struct ivring_file_xfer *x;
};

/*
 * As kernel_read() and kernel_write(), but with the flags that ivring_file_check() saw:
 * fcntl(2) may have set others since.
 */
static ssize_t ivring_file_rw(const struct ivring_file_job *job, void *buf, size_t len)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	bool tx = job->copy.tx;
	struct iov_iter iter;
	struct kiocb iocb;

	init_sync_kiocb(&iocb, job->file);
	iocb.ki_flags &= ~(IOCB_DIRECT | IOCB_APPEND);
	iocb.ki_pos = job->x->offset + job->x->done;
	iov_iter_kvec(&iter, tx ? ITER_DEST : ITER_SOURCE, &vec, 1, len);
	return tx ? vfs_iocb_iter_read(job->file, &iocb, &iter) :
		    ivring_iocb_write(job->file, &iocb, &iter);
}

/* The next place in the ring to copy to or from, or none at the end of the conversation. */
static int ivring_file_get_piece(struct ivring_file_job *job, u64 len, struct ivring_piece *piece)
{
	return job->copy.tx ? ivring_channel_room(job->copy.f, len, job->x->timeout_ns, piece) :
			      ivring_channel_avail(job->copy.f, len, job->x->timeout_ns, piece);
}

/*
 * One piece. Less than was asked for is the end of the file when sending, and
 * of the conversation when receiving.
 */
static ssize_t ivring_file_piece(struct ivring_file_job *job)
{
	u64 left = job->x->len - job->x->done;
	struct ivring_piece piece;
	ssize_t n;
	int ret;

	ret = ivring_file_get_piece(job, left, &piece);
	if (ret || !piece.len)
		return ret;
	if (!ivring_copy_pin(&job->copy))
		return -ECONNRESET;
	n = ivring_file_rw(job, piece.data, piece.len);
	ivring_copy_unpin(&job->copy);
	if (n <= 0)
		return n;
	piece.len = n;
	return ivring_channel_copied(job->copy.f, job->copy.tx, &piece) ?: n;
}

static int ivring_file_pieces(struct ivring_file_job *job)
{
	struct ivring_file_xfer *x = job->x;
	ssize_t n;

	while (x->done < x->len) {
		n = ivring_file_piece(job);
		if (n <= 0)
			return n;
		x->done += n;
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Inside the link. */
static int ivring_file_run(struct ivring_file_job *job)
{
	struct ivring_channel *ch = job->copy.f->channel;
	struct ivring_dir *dir = job->copy.tx ? &ch->tx_dir : &ch->rx_dir;
	int ret;

	ret = ivring_copy_lock(&job->copy, job->x->timeout_ns);
	if (ret)
		return ret;
	WRITE_ONCE(dir->file_pid, task_pid_nr(current));
	ret = ivring_file_pieces(job);
	WRITE_ONCE(dir->file_pid, 0);
	/* To start over would do what is done a second time. */
	return ret == -ERESTARTSYS && job->x->done ? -EINTR : ret;
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
	struct ivring_file_job job = { .x = x };
	int ret;

	x->done = 0;
	if (x->flags || x->reserved[0] || x->reserved[1] || x->reserved[2] ||
	    x->offset > MAX_LFS_FILESIZE || x->len > MAX_LFS_FILESIZE - x->offset)
		return -EINVAL;
	job.file = fget(x->fd);
	if (!job.file)
		return -EBADF;
	ret = ivring_file_check(job.file, tx);
	if (ret)
		goto out_put;
	ret = ivring_copy_begin(&job.copy, f, NULL, tx);
	if (!ret) {
		ret = ivring_file_run(&job);
		ivring_copy_end(&job.copy);
	}
out_put:
	fput(job.file);
	return ret;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Files through a channel without user space in between: from the page cache
 * straight into the ring and back, one copy on each side.
 *
 * The price of that: the link cannot go while the file system is at it. So that is for
 * what waits for nothing but what an administrator set up: reads of tmpfs and ext4, which
 * take no lock of the inode, but wait for the disk, and for a fanotify(7) listener whose
 * permission is asked; and writes to tmpfs with that lock taken before. (Who has it, some
 * write(2) of a buffer behind which is FUSE, may keep it for ever.) Who waits for such a read
 * says so: ivring_link_expel(). All else may depend on any program, or look for pages behind the
 * memory it is given: it gets a buffer in between, and is waited for outside the link.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/magic.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <ivring/compat.h>
#include "internal.h"

/* Small enough to stay in the CPU's second cache */
#define IVRING_FILE_BOUNCE	SZ_64K

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
	/* From 6.16 on, an eventfd and its like say that they are regular files. */
	if (file_inode(file)->i_sb->s_magic == ANON_INODE_FS_MAGIC)
		return -EINVAL;
	/* Files of proc and sysfs may have neither. */
	if (tx ? !file->f_op->read_iter || file->f_op->read :
		 !file->f_op->write_iter || file->f_op->write)
		return -EINVAL;
	return 0;
}

/* May the file system be given the ring itself? */
static bool ivring_file_is_near(const struct ivring_file *f, const struct file *file, bool tx)
{
	const struct inode *inode = file_inode(file);

	if (!f->channel->link->params.pages || !S_ISREG(inode->i_mode) || IS_DAX(inode))
		return false;
	return inode->i_sb->s_magic == TMPFS_MAGIC ||
	       (tx && inode->i_sb->s_magic == EXT4_SUPER_MAGIC);
}

/* A file on its way. */
struct ivring_file_job {
	struct ivring_copy copy;
	struct file *file;
	struct ivring_file_xfer *x;
	bool near;
	void *bounce;			/* unless it is near, and sent */
};

/* What comes next, by the flags that ivring_file_check() saw: fcntl(2) may have set others. */
static struct kiocb ivring_file_iocb(const struct ivring_file_job *job)
{
	struct kiocb iocb;

	init_sync_kiocb(&iocb, job->file);
	iocb.ki_flags &= ~(IOCB_DIRECT | IOCB_APPEND);
	iocb.ki_pos = job->x->offset + job->x->done;
	return iocb;
}

/* As kernel_read() and kernel_write() */
static ssize_t ivring_file_rw(const struct ivring_file_job *job, void *buf, size_t len)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	struct kiocb iocb = ivring_file_iocb(job);
	bool tx = job->copy.tx;
	struct iov_iter iter;

	iov_iter_kvec(&iter, tx ? ITER_DEST : ITER_SOURCE, &vec, 1, len);
	return tx ? vfs_iocb_iter_read(job->file, &iocb, &iter) :
		    ivring_iocb_write(job->file, &iocb, &iter);
}

static ssize_t ivring_file_rw_outside(struct ivring_file_job *job, size_t len)
{
	ssize_t n = ivring_copy_go_outside(&job->copy);
	int ret;

	if (n)
		return n;
	n = ivring_file_rw(job, job->bounce, len);
	ret = ivring_copy_come_back(&job->copy);
	return ret ?: n;
}

/* The next place in the ring to copy to or from, or none at the end of the conversation. */
static int ivring_file_get_piece(struct ivring_file_job *job, u64 len, struct ivring_piece *piece)
{
	return job->copy.tx ? ivring_channel_room(job->copy.f, len, job->x->timeout_ns, piece) :
			      ivring_channel_avail(job->copy.f, len, job->x->timeout_ns, piece);
}

/* Between the ring and @len bytes of the bounce buffer: what was copied, or an errno. */
static ssize_t ivring_file_bounce(struct ivring_file_job *job, size_t at, size_t len,
				  struct ivring_piece *piece)
{
	struct kvec vec = { .iov_base = job->bounce + at, .iov_len = len };
	struct iov_iter iter;

	iov_iter_kvec(&iter, job->copy.tx ? ITER_SOURCE : ITER_DEST, &vec, 1, len);
	job->copy.iter = &iter;
	piece->len = ivring_copy_some(&job->copy, piece->data, min(piece->len, len));
	job->copy.iter = NULL;
	return piece->len ?: -ECONNRESET;
}

/* The ring is waited for only with something to send. */
static ssize_t ivring_file_send_bounced(struct ivring_file_job *job, u64 left)
{
	struct ivring_piece piece;
	ssize_t n, sent = 0, len;
	int ret;

	len = ivring_file_rw_outside(job, min_t(u64, left, IVRING_FILE_BOUNCE));
	if (len <= 0)
		return len;
	while (sent < len) {
		ret = ivring_file_get_piece(job, len - sent, &piece);
		if (ret)
			return sent ?: ret;
		n = ivring_file_bounce(job, sent, len - sent, &piece);
		ret = n < 0 ? n : ivring_channel_copied(job->copy.f, true, &piece);
		if (ret)
			return sent ?: ret;
		sent += n;
	}
	return sent;
}

static ssize_t ivring_file_recv_bounced(struct ivring_file_job *job, u64 left)
{
	struct ivring_piece piece;
	ssize_t n;
	int ret;

	ret = ivring_file_get_piece(job, min_t(u64, left, IVRING_FILE_BOUNCE), &piece);
	if (ret || !piece.len)
		return ret;
	n = ivring_file_bounce(job, 0, IVRING_FILE_BOUNCE, &piece);
	if (n > 0)
		n = ivring_file_rw_outside(job, n);
	if (n <= 0)
		return n;
	piece.len = n;
	return ivring_channel_copied(job->copy.f, false, &piece) ?: n;
}

static pid_t *ivring_file_pid(const struct ivring_file_job *job)
{
	struct ivring_channel *ch = job->copy.f->channel;

	return job->copy.tx ? &ch->tx_dir.file_pid : &ch->rx_dir.file_pid;
}

/* As ivring_copy_pin(), and the link's end knows for whom it waits. */
static bool ivring_file_pin(struct ivring_file_job *job)
{
	if (!ivring_copy_pin(&job->copy))
		return false;
	WRITE_ONCE(*ivring_file_pid(job), task_pid_nr(current));
	return true;
}

static void ivring_file_unpin(struct ivring_file_job *job)
{
	WRITE_ONCE(*ivring_file_pid(job), 0);
	ivring_copy_unpin(&job->copy);
}

/* Nobody waits for room that is not needed. */
static ssize_t ivring_file_send_near(struct ivring_file_job *job, u64 left)
{
	struct ivring_piece piece;
	ssize_t n;
	int ret;

	if (job->x->offset + job->x->done >= i_size_read(file_inode(job->file)))
		return 0;
	ret = ivring_file_get_piece(job, left, &piece);
	if (ret)
		return ret;
	if (!ivring_file_pin(job))
		return -ECONNRESET;
	n = ivring_file_rw(job, piece.data, piece.len);
	ivring_file_unpin(job);
	if (n <= 0)
		return n;
	piece.len = n;
	return ivring_channel_copied(job->copy.f, true, &piece) ?: n;
}

/* Nobody waits for the inode's lock inside the link. */
static int ivring_file_lock_inode(struct ivring_file_job *job)
{
	struct inode *inode = file_inode(job->file);
	int ret, locked;

	if (inode_trylock(inode))
		return 0;
	ret = ivring_copy_go_outside(&job->copy);
	if (ret)
		return ret;
	locked = down_write_killable(&inode->i_rwsem);
	ret = ivring_copy_come_back(&job->copy);
	if (ret && !locked)
		inode_unlock(inode);
	return ret ?: locked;
}

/* As tmpfs's own write, whose inode is locked. */
static ssize_t ivring_file_write_locked(struct ivring_file_job *job, struct ivring_piece *piece)
{
	struct kvec vec = { .iov_base = piece->data, .iov_len = piece->len };
	struct kiocb iocb = ivring_file_iocb(job);
	struct iov_iter iter;
	ssize_t n;

	iov_iter_kvec(&iter, ITER_SOURCE, &vec, 1, piece->len);
	n = generic_write_checks(&iocb, &iter);
	if (n <= 0)
		return n;
	if (!ivring_file_pin(job))
		return -ECONNRESET;
	n = __generic_file_write_iter(&iocb, &iter);
	ivring_file_unpin(job);
	return n;
}

static ssize_t ivring_file_recv_near(struct ivring_file_job *job, u64 left)
{
	struct ivring_piece piece;
	ssize_t n;
	int ret;

	ret = ivring_file_get_piece(job, left, &piece);
	if (ret || !piece.len)
		return ret;
	ret = ivring_file_lock_inode(job);
	if (ret)
		return ret;
	n = ivring_file_write_locked(job, &piece);
	inode_unlock(file_inode(job->file));
	if (n <= 0)
		return n;
	fsnotify_modify(job->file);
	piece.len = n;
	return ivring_channel_copied(job->copy.f, false, &piece) ?: n;
}

/*
 * One piece. Less than was asked for is the end of the file when sending, and
 * of the conversation when receiving. The first that is received goes through write(2)'s
 * own way in any case: that is where it is asked whether this file may be written to.
 */
static ssize_t ivring_file_piece(struct ivring_file_job *job)
{
	u64 left = job->x->len - job->x->done;

	if (job->copy.tx)
		return job->near ? ivring_file_send_near(job, left) :
				   ivring_file_send_bounced(job, left);
	return job->near && job->x->done ? ivring_file_recv_near(job, left) :
					   ivring_file_recv_bounced(job, left);
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
		if (x->done < x->len && signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Inside the link. */
static int ivring_file_run(struct ivring_file_job *job)
{
	int ret = ivring_copy_lock(&job->copy, job->x->timeout_ns);

	if (ret)
		return ret;
	ret = ivring_file_pieces(job);
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
	if (f->messages || x->flags || x->reserved[0] || x->reserved[1] || x->reserved[2] ||
	    x->offset > MAX_LFS_FILESIZE || x->len > MAX_LFS_FILESIZE - x->offset)
		return -EINVAL;
	job.file = fget(x->fd);
	if (!job.file)
		return -EBADF;
	ret = ivring_file_check(job.file, tx);
	if (ret)
		goto out_put;
	job.near = ivring_file_is_near(f, job.file, tx);
	if (!job.near || !tx) {
		job.bounce = kvmalloc(IVRING_FILE_BOUNCE, GFP_KERNEL_ACCOUNT);
		ret = job.bounce ? 0 : -ENOMEM;
	}
	if (ret)
		goto out_put;
	ret = ivring_copy_begin(&job.copy, f, NULL, tx);
	if (!ret) {
		ret = ivring_file_run(&job);
		ivring_copy_end(&job.copy);
	}
	kvfree(job.bounce);
out_put:
	fput(job.file);
	return ret;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The region: a sealed memfd, pinned and held open.
 *
 * The pages belong to the page cache. Were the last reference to the file dropped
 * by others while they are in use here, they would be thrown out of it under the
 * feet of those mappings; so the file stays open as long as the link lives. For the
 * hole that somebody may punch all the same, user mappings hold page frames and
 * nothing that the page cache would look for, see kmod-core/memory.c.
 */
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>
#include <ivring/compat.h>
#include "host.h"

#define IVRING_HOST_SEALS	(F_SEAL_SHRINK | F_SEAL_GROW)
/* As long as a signal may have to wait */
#define IVRING_HOST_PIN_BATCH	(1UL << 15)

static LIST_HEAD(ivring_host_claims);
static DEFINE_SPINLOCK(ivring_host_claims_lock);

/*
 * A region has one host's side. A second link on it would write the same indices,
 * and make the first one's presence its own and then nobody's.
 */
static int ivring_host_claim(struct ivring_host_memory *m)
{
	struct ivring_host_memory *other;
	int ret = 0;

	spin_lock(&ivring_host_claims_lock);
	list_for_each_entry(other, &ivring_host_claims, node)
		if (file_inode(other->file) == file_inode(m->file))
			ret = -EBUSY;
	if (!ret)
		list_add(&m->node, &ivring_host_claims);
	spin_unlock(&ivring_host_claims_lock);
	return ret;
}

static void ivring_host_unclaim(struct ivring_host_memory *m)
{
	spin_lock(&ivring_host_claims_lock);
	list_del(&m->node);
	spin_unlock(&ivring_host_claims_lock);
}

/*
 * A region that could shrink under the guest and under this kernel would be
 * no region: both seals are a must. The superblock's magic tells a tmpfs or
 * hugetlbfs inode, whose private part holds the seals.
 */
static int ivring_host_check_seals(struct file *file)
{
	struct inode *inode = file_inode(file);
	unsigned int seals;

	if (!S_ISREG(inode->i_mode))
		return -EMEDIUMTYPE;
	if (inode->i_sb->s_magic == TMPFS_MAGIC) {
		seals = SHMEM_I(inode)->seals;
#ifdef CONFIG_HUGETLBFS
	} else if (inode->i_sb->s_magic == HUGETLBFS_MAGIC) {
		seals = HUGETLBFS_I(inode)->seals;
#endif
	} else {
		return -EMEDIUMTYPE;
	}
	return (seals & IVRING_HOST_SEALS) == IVRING_HOST_SEALS ? 0 : -ETXTBSY;
}

static int ivring_host_check_size(struct ivring_host_memory *m, struct file *file)
{
	loff_t size = i_size_read(file_inode(file));

	if (size < (loff_t)IVRING_WIRE_REGION_SIZE_MIN ||
	    size > (loff_t)IVRING_WIRE_REGION_SIZE_MAX || !is_power_of_2(size))
		return -EFBIG;
	m->size = size;
	return 0;
}

/*
 * Only what the superblock gives a use to is pinned and charged for: the rest
 * of a large region need not have memory at all. The superblock is judged for
 * good by ivring_link_register(), which is told how much there is.
 */
static int ivring_host_check_geometry(struct ivring_host_memory *m, struct file *file)
{
	struct ivring_wire_superblock *sb;
	struct ivring_wire_geometry geo;
	loff_t pos = 0;
	ssize_t ret;

	if ((file->f_mode & (FMODE_READ | FMODE_WRITE)) != (FMODE_READ | FMODE_WRITE))
		return -EACCES;
	sb = kmalloc(sizeof(*sb), GFP_KERNEL);
	if (!sb)
		return -ENOMEM;
	ret = kernel_read(file, sb, sizeof(*sb), &pos);
	if (ret == sizeof(*sb))
		ret = ivring_wire_check(sb, m->size, &geo);
	else if (ret >= 0)
		ret = -EBADMSG;
	kfree(sb);
	if (ret)
		return ret;
	m->used = ivring_wire_used(&geo);
	m->nr_pages = m->used >> PAGE_SHIFT;
	return 0;
}

static void ivring_host_unpin_pages(struct ivring_host_memory *m, unsigned long count)
{
	unsigned long n, done;

	for (done = 0; done < count; done += n) {
		n = min(count - done, IVRING_HOST_PIN_BATCH);
		unpin_user_pages_dirty_lock(m->pages + done, n, true);
		cond_resched();
	}
}

static bool ivring_host_is_huge(const struct ivring_host_memory *m)
{
	return file_inode(m->file)->i_sb->s_magic == HUGETLBFS_MAGIC;
}

/* Is what is pinned what the file has in its first pages? */
static bool ivring_host_pages_match(const struct ivring_host_memory *m)
{
	bool huge = ivring_host_is_huge(m);
	unsigned long i, step = 1;

	for (i = 0; i < m->nr_pages; i += step) {
		struct folio *folio = page_folio(m->pages[i]);

		if (READ_ONCE(folio->mapping) != m->file->f_mapping)
			return false;
		/* The unit of a huge folio's index depends on the kernel's version. */
		if (huge)
			step = folio_nr_pages(folio);
		else if (folio->index + folio_page_idx(folio, m->pages[i]) != i)
			return false;
		if (!(i & 0xfff))
			cond_resched();
	}
	return true;
}

/**
 * ivring_host_memory_intact() - are the pages still those that others get to see?
 * @m: pinned; one caller at a time
 *
 * They are no more when somebody punched a hole into the file. tmpfs changes its
 * ctime for that, so that they need not be looked at each time; a clock that is
 * coarse may give the next change the same.
 */
bool ivring_host_memory_intact(struct ivring_host_memory *m)
{
	struct timespec64 now, ctime = ivring_inode_ctime(file_inode(m->file));

	if (m->settled && timespec64_equal(&ctime, &m->ctime))
		return true;
	ktime_get_coarse_real_ts64(&now);
	m->ctime = ctime;
	m->settled = !ivring_host_is_huge(m) && now.tv_sec - ctime.tv_sec > 1;
	return ivring_host_pages_match(m);
}

/* Pin by way of a mapping that only lives as long as this takes. */
static int ivring_host_pin_pages(struct ivring_host_memory *m, struct file *file)
{
	unsigned long addr, done = 0;
	long ret = 0;

	addr = vm_mmap(file, 0, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	/* After mlockall(MCL_FUTURE) this is how RLIMIT_MEMLOCK says no. */
	if (IS_ERR_VALUE(addr))
		return addr == -EAGAIN ? -ENOMEM : addr;
	while (done < m->nr_pages) {
		ret = pin_user_pages_fast(addr + (done << PAGE_SHIFT),
					  min(m->nr_pages - done, IVRING_HOST_PIN_BATCH),
					  FOLL_WRITE | FOLL_LONGTERM, m->pages + done);
		if (ret <= 0)
			break;
		done += ret;
		cond_resched();
		ret = signal_pending(current) ? -ERESTARTSYS : 0;
		if (ret)
			break;
	}
	vm_munmap(addr, m->size);
	/* Another thread may have had other plans with these addresses. */
	if (done == m->nr_pages && ivring_host_pages_match(m))
		return 0;
	if (!ret)
		ret = done == m->nr_pages ? -ESTALE : -ENOMEM;
	ivring_host_unpin_pages(m, done);
	return ret;
}

/**
 * ivring_host_memory_pin() - take a memfd for a region
 * @m: filled in
 * @memfd: the caller's file descriptor
 *
 * Return: 0 or an errno as IVRING_HOST_IOC_ATTACH lists them.
 */
int ivring_host_memory_pin(struct ivring_host_memory *m, int memfd)
{
	struct file *file = fget(memfd);
	int ret;

	if (!file)
		return -EBADF;
	memset(m, 0, sizeof(*m));
	ret = ivring_host_check_seals(file);
	if (!ret)
		ret = ivring_host_check_size(m, file);
	if (!ret)
		ret = ivring_host_check_geometry(m, file);
	if (ret)
		goto out_fput;

	m->file = file;
	ret = ivring_host_claim(m);
	if (ret)
		goto out_fput;
	ret = -ENOMEM;
	m->pages = kvmalloc_array(m->nr_pages, sizeof(*m->pages), GFP_KERNEL_ACCOUNT);
	if (!m->pages)
		goto err_unclaim;
	ret = account_locked_vm(current->mm, m->nr_pages, true);
	if (ret)
		goto err_free_pages;
	ret = ivring_host_pin_pages(m, file);
	if (ret)
		goto err_unaccount;
	m->mm = current->mm;
	mmgrab(m->mm);
	return 0;

err_unaccount:
	account_locked_vm(current->mm, m->nr_pages, false);
err_free_pages:
	kvfree(m->pages);
	m->pages = NULL;
err_unclaim:
	ivring_host_unclaim(m);
out_fput:
	fput(file);
	return ret;
}

void ivring_host_memory_unpin(struct ivring_host_memory *m)
{
	ivring_host_unpin_pages(m, m->nr_pages);
	account_locked_vm(m->mm, m->nr_pages, false);
	mmdrop(m->mm);
	kvfree(m->pages);
	m->pages = NULL;
	ivring_host_unclaim(m);
	fput(m->file);
}

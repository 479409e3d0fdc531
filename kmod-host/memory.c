// SPDX-License-Identifier: GPL-2.0
/*
 * The region: a sealed memfd, pinned.
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
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "host.h"

#define IVRING_HOST_SEALS	(F_SEAL_SHRINK | F_SEAL_GROW)
/* pin_user_pages_fast() takes the number of pages as int. */
#define IVRING_HOST_PIN_BATCH	(1UL << 18)

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
	m->nr_pages = size >> PAGE_SHIFT;
	return 0;
}

static void ivring_host_unpin_pages(struct ivring_host_memory *m, unsigned long count)
{
	if (count)
		unpin_user_pages_dirty_lock(m->pages, count, true);
}

/* Pin by way of a mapping that only lives as long as this takes. */
static int ivring_host_pin_pages(struct ivring_host_memory *m, struct file *file)
{
	unsigned long addr, i, done = 0;
	long ret = 0;

	addr = vm_mmap(file, 0, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	if (IS_ERR_VALUE(addr))
		return addr;
	while (done < m->nr_pages) {
		ret = pin_user_pages_fast(addr + (done << PAGE_SHIFT),
					  min(m->nr_pages - done, IVRING_HOST_PIN_BATCH),
					  FOLL_WRITE | FOLL_LONGTERM, m->pages + done);
		if (ret <= 0)
			break;
		done += ret;
		cond_resched();
	}
	/* Parts of a larger page are not mapped into user space one by one. */
	for (i = 0; i < done && !m->compound; i++)
		m->compound = PageCompound(m->pages[i]);
	vm_munmap(addr, m->size);
	if (done == m->nr_pages)
		return 0;
	ivring_host_unpin_pages(m, done);
	return ret ?: -ENOMEM;
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
	if (ret)
		goto out_fput;

	ret = -ENOMEM;
	m->pages = kvmalloc_array(m->nr_pages, sizeof(*m->pages), GFP_KERNEL_ACCOUNT);
	if (!m->pages)
		goto out_fput;
	ret = account_locked_vm(current->mm, m->nr_pages, true);
	if (ret)
		goto err_free_pages;
	ret = ivring_host_pin_pages(m, file);
	if (ret)
		goto err_unaccount;
	m->mm = current->mm;
	mmgrab(m->mm);
	goto out_fput;

err_unaccount:
	account_locked_vm(current->mm, m->nr_pages, false);
err_free_pages:
	kvfree(m->pages);
	m->pages = NULL;
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
}

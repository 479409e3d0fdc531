/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel API differences inside the supported range, 6.1 to 7.3. This is the
 * only file that looks at the kernel's version.
 */
#ifndef _IVRING_COMPAT_H
#define _IVRING_COMPAT_H

#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "ivring needs Linux 6.1 or later"
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 4, 0)
#error "ivring was not tried on kernels after 7.3: check compat.h, then raise this limit"
#endif

#ifndef CONFIG_64BIT
#error "ivring needs a 64-bit kernel: its indices are 64 bit wide and loaded at once"
#endif

#ifdef CONFIG_X86
/* cpuid_count() and cpuid_eax(), which moved twice */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#include <asm/processor.h>
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#include <asm/cpuid.h>
#else
#include <asm/cpuid/api.h>
#endif
#endif

/* 6.3 made vm_flags read-only but for these; Debian's 6.1 may carry them too. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void ivring_vm_flags_mod(struct vm_area_struct *vma, unsigned long set,
				       unsigned long clear)
{
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
}
#else
static inline void ivring_vm_flags_mod(struct vm_area_struct *vma, unsigned long set,
				       unsigned long clear)
{
	vm_flags_mod(vma, set, clear);
}
#endif

/* 6.5 gave the one that copies its own name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define ivring_copy_splice_read generic_file_splice_read
#else
#define ivring_copy_splice_read copy_splice_read
#endif

/* 6.6 made it private. */
static inline struct timespec64 ivring_inode_ctime(const struct inode *inode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	return inode->i_ctime;
#else
	return inode_get_ctime(inode);
#endif
}

/* 6.8 dropped the count. */
static inline void ivring_eventfd_signal(struct eventfd_ctx *ctx)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(ctx, 1);
#else
	eventfd_signal(ctx);
#endif
}

/* 6.8 made it keep off who freezes the file system. */
static inline ssize_t ivring_iocb_write(struct file *file, struct kiocb *iocb,
					struct iov_iter *from)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	ssize_t n;

	file_start_write(file);
	n = vfs_iocb_iter_write(file, iocb, from);
	file_end_write(file);
	return n;
#else
	return vfs_iocb_iter_write(file, iocb, from);
#endif
}

#endif /* _IVRING_COMPAT_H */

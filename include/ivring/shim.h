/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What ring.h and wire.h need of the kernel, and stand-ins of the same names
 * for user space, so that one source serves both.
 */
#ifndef _IVRING_SHIM_H
#define _IVRING_SHIM_H

#ifdef __KERNEL__

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/prefetch.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>

#else

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#define static_assert _Static_assert
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define prefetch(p)	__builtin_prefetch(p)

/* By name, since compilers use it only when told so. A CPU without it does nothing. */
#if defined(__x86_64__)
#define prefetchw(p)	__asm__ volatile("prefetchw %0" : : "m" (*(const char *)(p)))
#else
#define prefetchw(p)	__builtin_prefetch(p, 1)
#endif

#define cpu_to_le32(x)	htole32(x)
#define cpu_to_le64(x)	htole64(x)
#define le32_to_cpu(x)	le32toh(x)
#define le64_to_cpu(x)	le64toh(x)

/*
 * C11 atomics rather than volatile: ThreadSanitizer understands these, and on
 * every machine they compile to the plain load or store.
 */
#define READ_ONCE(x)			__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)		__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define virt_load_acquire(p)		__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define virt_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define virt_mb()			__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define virt_wmb()			__atomic_thread_fence(__ATOMIC_RELEASE)
#define virt_rmb()			__atomic_thread_fence(__ATOMIC_ACQUIRE)

static inline bool is_power_of_2(u64 n)
{
	return n && !(n & (n - 1));
}

static inline u64 rounddown_pow_of_two(u64 n)
{
	return 1ULL << (63 - __builtin_clzll(n));
}

#endif /* __KERNEL__ */
#endif /* _IVRING_SHIM_H */

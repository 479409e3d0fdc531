/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Takes the place of <ivring/shim.h>: whatever is read from memory that the peer
 * writes is any value at all, at every single read.
 */
#ifndef _IVRING_SHIM_H
#define _IVRING_SHIM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#define static_assert _Static_assert
#define likely(x)	(x)
#define unlikely(x)	(x)
#define prefetch(p)	((void)(p))
#define prefetchw(p)	((void)(p))

/* The machine that is assumed is little-endian. */
#define cpu_to_le32(x)	(x)
#define cpu_to_le64(x)	(x)
#define le32_to_cpu(x)	(x)
#define le64_to_cpu(x)	(x)

u64 nondet_u64(void);
u32 nondet_u32(void);
_Bool nondet_bool(void);

#define assume(x)	__CPROVER_assume(x)
#define prove(x)	__CPROVER_assert(x, #x)
/* A step on the way, that makes the next ones short */
#define lemma(x) do {	\
	prove(x);	\
	assume(x);	\
} while (0)

/* What the last read of the peer's memory gave, and how many reads there were. */
static u64 peer_value;
static unsigned int peer_reads;

/* The access itself is made, so that it is checked, and then forgotten. */
#define READ_ONCE(x) ({					\
	__typeof__(x) seen_ = (x);			\
	(void)seen_;					\
	peer_value = nondet_u64();			\
	peer_reads++;					\
	(__typeof__(x))peer_value;			\
})
#define WRITE_ONCE(x, v)		((x) = (v))
#define virt_load_acquire(p)		READ_ONCE(*(p))
#define virt_store_release(p, v)	(*(p) = (v))
#define virt_mb()			((void)0)
#define virt_wmb()			((void)0)
#define virt_rmb()			((void)0)

static inline bool is_power_of_2(u64 n)
{
	return n && !(n & (n - 1));
}

static inline u64 rounddown_pow_of_two(u64 n)
{
	u64 bit = 1ULL << 63;

	__CPROVER_assert(n, "rounddown_pow_of_two of nothing");
	while (!(bit & n))
		bit >>= 1;
	return bit;
}

#endif /* _IVRING_SHIM_H */

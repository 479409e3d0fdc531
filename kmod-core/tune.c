// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes and limits: for all channels by module parameters, for one by sysfs.
 */
#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/stringify.h>
#include <ivring/compat.h>
#include <ivring/tune.h>
#include "internal.h"

#define IVRING_CACHES_MAX	16	/* that one CPU may list */

static unsigned int spin_max_ns = IVRING_SPIN_MAX_NS;
module_param(spin_max_ns, uint, 0644);
MODULE_PARM_DESC(spin_max_ns, "Longest busy wait before sleeping, ns; 0 never spins (default " __stringify(IVRING_SPIN_MAX_NS) ")");

static unsigned long window;
module_param(window, ulong, 0644);
MODULE_PARM_DESC(window, "Most bytes in flight in channels of links to come, up to the ring; 0: from the CPU's caches (default 0)");

#ifdef CONFIG_X86
/*
 * Deterministic cache parameters: Intel SDM volume 2A, CPUID, leaf 04H; AMD APM
 * volume 3, appendix E.4.15, function 8000_001Dh. The layouts are the same.
 */
static void ivring_tune_caches_leaf(u32 leaf, u64 *l2, u64 *llc)
{
	u32 i, eax, ebx, ecx, edx, level;
	u64 size;

	for (i = 0; i < IVRING_CACHES_MAX; i++) {
		cpuid_count(leaf, i, &eax, &ebx, &ecx, &edx);
		/* Type: 0 no more caches, 1 data, 2 instructions, 3 both */
		if (!(eax & 0x1f))
			break;
		level = eax >> 5 & 0x7;
		if ((eax & 0x1f) == 2 || level < 2)
			continue;
		/* Ways, partitions, bytes of a line and sets, each less one */
		size = (u64)((ebx >> 22) + 1) * ((ebx >> 12 & 0x3ff) + 1) *
		       ((ebx & 0xfff) + 1) * ((u64)ecx + 1);
		if (level == 2)
			*l2 = size;
		else
			*llc = max(*llc, size);
	}
}

static void ivring_tune_caches(u64 *l2, u64 *llc)
{
	if (cpuid_eax(0) >= 0x4)
		ivring_tune_caches_leaf(0x4, l2, llc);
	if (!*l2 && cpuid_eax(0x80000000) >= 0x8000001d)
		ivring_tune_caches_leaf(0x8000001d, l2, llc);
}
#else
/* Nothing that a module may call tells on other machines. */
static void ivring_tune_caches(u64 *l2, u64 *llc)
{
}
#endif

/**
 * ivring_tune_window() - most bytes in flight, by default
 * @ring: bytes of the ring
 *
 * Return: bytes, IVRING_WIRE_RING_SIZE_MIN..@ring.
 */
u64 ivring_tune_window(u64 ring)
{
	u64 l2 = 0, llc = 0, set = READ_ONCE(window);

	if (set)
		return clamp_t(u64, set, IVRING_WIRE_RING_SIZE_MIN, ring);
	ivring_tune_caches(&l2, &llc);
	return ivring_window_auto(l2, llc, ring);
}

/* Most bytes to copy between two publications; caller holds channel->lock. */
u64 ivring_tune_chunk(const struct ivring_channel *ch)
{
	return ch->chunk ?: ivring_chunk_auto(ch->tx.window);
}

/* Longest busy wait, ns: the smallest of the limits for all, a channel and a file. */
u32 ivring_tune_spin_max(const struct ivring_file *f)
{
	return ivring_spin_max(min3(READ_ONCE(spin_max_ns), READ_ONCE(f->channel->spin_max_ns),
				    READ_ONCE(f->spin_max_ns)),
			       num_online_cpus());
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long to look before sleeping: an adaptive limit.
 *
 * A wake-up costs some 20 us, a look at a cache line a tenth of one: what comes
 * soon is better waited for by looking again and again. What does not come soon
 * makes that a waste, and when the peer needs this very CPU in order to answer,
 * a harmful one.
 *
 * So the limit doubles when spinning paid and halves when it did not, down to
 * nothing. Once it is nothing, one wait in IVRING_SPIN_RETRY is a trial. Its
 * short spin finds a peer that has become fast. Where it does not pay, and the
 * whole wait with its sleep was short all the same, a longer spin might have:
 * the limit jumps there, and from there the rule above holds. That finds a peer
 * that answers steadily within @max_ns, but above the trial's limit. A wait that
 * is short only because sleeping lets the peer run on this CPU looks the same;
 * it costs no more than the few spins until the limit is back at nothing.
 *
 * Only arithmetic: the caller has the clock, and does the looking:
 *
 *	budget = ivring_spin_budget(&spin, max_ns);
 *	start = now;
 *	while (!there && now - start < budget)
 *		look again;
 *	paid = there;
 *	if (!paid)
 *		sleep, by the protocol of ring.h;
 *	if (budget)
 *		ivring_spin_result(&spin, max_ns, budget, now - start, paid);
 *
 * A zeroed struct is a fresh one; its first wait is a trial. Callers serialise,
 * or accept that of two results at once one is lost: no more than that happens.
 */
#ifndef _IVRING_SPIN_H
#define _IVRING_SPIN_H

#include <ivring/shim.h>

/* Below this, the clock takes longer than the looking. */
#define IVRING_SPIN_MIN_NS	1000
/* One wait in so many is a trial while the limit is nothing. */
#define IVRING_SPIN_RETRY	64
/* What part of the maximum a trial spins for. */
#define IVRING_SPIN_TRIAL	8

/* One per direction of a channel: room comes at another pace than data. */
struct ivring_spin {
	u32 limit_ns;	/* of the next spin; nothing: sleep at once */
	u32 waits;	/* begun since the limit is nothing */
};

/**
 * ivring_spin_max() - the maximum that may be used here
 * @max_ns: the smallest of the limits that were set
 * @cpus: that are online
 *
 * Who spins on the only CPU keeps off what it waits for. A peer in another VM
 * has CPUs of its own, but then it is the host that has only one.
 */
static inline u32 ivring_spin_max(u32 max_ns, u32 cpus)
{
	return cpus > 1 ? max_ns : 0;
}

/**
 * ivring_spin_budget() - how long the wait that begins may spin
 * @spin: the direction's state
 * @max_ns: the limit as set at this moment; nothing: never spin
 *
 * Return: nanoseconds; zero: sleep at once.
 */
static inline u32 ivring_spin_budget(struct ivring_spin *spin, u32 max_ns)
{
	u32 limit = READ_ONCE(spin->limit_ns);
	u32 waits;

	if (!limit && max_ns) {
		waits = READ_ONCE(spin->waits);
		WRITE_ONCE(spin->waits, waits + 1);
		if (waits % IVRING_SPIN_RETRY)
			return 0;
		limit = max_ns / IVRING_SPIN_TRIAL;
		if (limit < IVRING_SPIN_MIN_NS)
			limit = IVRING_SPIN_MIN_NS;
	}
	return limit < max_ns ? limit : max_ns;
}

/**
 * ivring_spin_result() - learn from a wait that spun
 * @spin: the direction's state
 * @max_ns: the limit as set at this moment
 * @budget_ns: what ivring_spin_budget() allowed, not zero
 * @waited_ns: from the begin of the spin to the end of the wait, unless @paid
 * @paid: the spin saw what was waited for, no sleep was needed
 */
static inline void ivring_spin_result(struct ivring_spin *spin, u32 max_ns, u32 budget_ns,
				      u64 waited_ns, bool paid)
{
	u64 limit;

	if (paid)
		limit = 2 * (u64)budget_ns;
	else if (READ_ONCE(spin->limit_ns))
		limit = budget_ns / 2;
	else
		limit = waited_ns <= max_ns ? 2 * waited_ns : 0;

	if (limit > max_ns)
		limit = max_ns;
	if (limit < IVRING_SPIN_MIN_NS && limit < max_ns)
		limit = 0;
	if (!limit)
		WRITE_ONCE(spin->waits, 1);
	WRITE_ONCE(spin->limit_ns, limit);
}

#endif /* _IVRING_SPIN_H */

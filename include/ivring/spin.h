/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long to look before sleeping: an adaptive limit.
 *
 * A wake-up costs some 20 us, a look at a cache line a tenth of one: what comes soon is better
 * waited for by looking again and again. What does not come soon makes that a waste, and when
 * the peer needs this very CPU in order to answer, a harmful one.
 *
 * So spinning has credit. A spin that was in vain is paid from it, one that spared a sleep
 * brings some back, and time that goes by brings a little: a waiter wastes at most
 * 1/IVRING_SPIN_SHARE of its time in the long run, and what it gained by spins that paid. As
 * long as it pays, each wait may spin for the whole limit; while it does not, the credit shrinks
 * to nothing, and only now and then, once there is enough for a trial, is there another one. Who
 * was idle for a while comes back with credit for several: that finds the pace of a stream that
 * begins with a long wait.
 *
 * A wake-up that comes late costs latency, a spin only CPU time: that is taken at a part of its
 * price, IVRING_SPIN_PRICE, when it paid. So what comes within some 370 us is spun for, always;
 * what comes later than that, only until the credit is used up, whatever the limit.
 *
 * Only arithmetic: the caller has the clock, and does the looking:
 *
 *	start = now;
 *	budget = ivring_spin_budget(&spin, max_ns, start);
 *	while (!there && now - start < budget)
 *		look again;
 *	if (budget)
 *		ivring_spin_result(&spin, max_ns, now - start, there);
 *	if (!there)
 *		sleep, by the protocol of ring.h;
 *
 * A zeroed struct is a fresh one, with all the credit there can be. Callers serialise, or accept
 * that of two results at once one is lost: no more than that happens.
 */
#ifndef _IVRING_SPIN_H
#define _IVRING_SPIN_H

#include <ivring/shim.h>

/*
 * The limit where none was set: longer than a chunk takes to copy anywhere. What is spun in vain
 * is bounded by the rest.
 */
#define IVRING_SPIN_MAX_NS	1000000
/* The part of its time that a waiter may waste. */
#define IVRING_SPIN_SHARE	256
/* Most credit: so many spins in vain, in a row. */
#define IVRING_SPIN_CREDIT	8
/* What part of the limit there must be for a trial. */
#define IVRING_SPIN_TRIAL	4
/* What a sleep that was spared brings: half of what it would have cost. */
#define IVRING_SPIN_GAIN_NS	10000
/* What part of its time is taken off that. */
#define IVRING_SPIN_PRICE	32

/* One per direction of a channel: room comes at another pace than data. */
struct ivring_spin {
	u64 seen_ns;	/* when time was last turned into credit */
	u64 credit_ns;
};

/**
 * ivring_spin_max() - the maximum that may be used here
 * @max_ns: the smallest of the limits that were set
 * @cpus: that are online
 *
 * Who spins on the only CPU keeps off what it waits for. A peer in another VM has CPUs of its
 * own, but then it is the host that has only one.
 */
static inline u32 ivring_spin_max(u32 max_ns, u32 cpus)
{
	return cpus > 1 ? max_ns : 0;
}

/* No more than there may be; for limits that were lowered, too. */
static inline u64 ivring_spin_cap(u64 credit, u32 max_ns)
{
	u64 most = (u64)IVRING_SPIN_CREDIT * max_ns;

	return credit < most ? credit : most;
}

/**
 * ivring_spin_budget() - how long the wait that begins may spin
 * @spin: the direction's state
 * @max_ns: the limit as set at this moment; nothing: never spin
 * @now_ns: of a clock that goes forward
 *
 * Return: nanoseconds; zero: sleep at once.
 */
static inline u32 ivring_spin_budget(struct ivring_spin *spin, u32 max_ns, u64 now_ns)
{
	u64 credit = READ_ONCE(spin->credit_ns);
	s64 passed = now_ns - READ_ONCE(spin->seen_ns);

	if (!max_ns)
		return 0;
	/* Of two waiters, the one that read its clock first may get here last. */
	if (passed > 0) {
		credit += (u64)passed / IVRING_SPIN_SHARE;
		WRITE_ONCE(spin->seen_ns, now_ns);
	}
	credit = ivring_spin_cap(credit, max_ns);
	WRITE_ONCE(spin->credit_ns, credit);
	if (credit < max_ns / IVRING_SPIN_TRIAL)
		return 0;
	return credit < max_ns ? credit : max_ns;
}

/**
 * ivring_spin_result() - learn from a wait that spun
 * @spin: the direction's state
 * @max_ns: the limit as set at this moment
 * @spent_ns: how long it spun
 * @paid: the spin saw what was waited for, no sleep was needed
 */
static inline void ivring_spin_result(struct ivring_spin *spin, u32 max_ns, u64 spent_ns,
				      bool paid)
{
	u64 credit = READ_ONCE(spin->credit_ns);

	if (paid) {
		credit += IVRING_SPIN_GAIN_NS;
		spent_ns /= IVRING_SPIN_PRICE;
	}
	credit -= spent_ns < credit ? spent_ns : credit;
	WRITE_ONCE(spin->credit_ns, ivring_spin_cap(credit, max_ns));
}

#endif /* _IVRING_SPIN_H */

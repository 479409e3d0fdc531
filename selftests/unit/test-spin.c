// SPDX-License-Identifier: GPL-2.0
/* The adaptive spin policy, include/ivring/spin.h, against peers on paper. */
#include <stdio.h>
#include <stdlib.h>

#include <ivring/spin.h>

#include "tap.h"

#define MAX_NS		50000u
#define WAKE_NS		20000u

struct totals {
	uint64_t now, waits, slept, lost_ns;
};

/* One wait for what comes after @ns; a sleeper is awake @wake_ns later than that. */
static void wait_for(struct ivring_spin *s, uint32_t max, uint64_t ns, uint64_t wake_ns,
		     struct totals *t)
{
	uint32_t budget = ivring_spin_budget(s, max, t->now);
	bool paid = ns < budget;

	CHECK(budget <= max);
	t->waits++;
	t->slept += !paid;
	t->lost_ns += paid ? 0 : budget;
	t->now += paid ? ns : ns + wake_ns;
	if (budget)
		ivring_spin_result(s, max, paid ? ns : budget, paid);
	CHECK(!max || s->credit_ns <= (uint64_t)IVRING_SPIN_CREDIT * max);
}

static void waits(struct ivring_spin *s, uint32_t max, uint64_t ns, int n, struct totals *t)
{
	t->waits = 0;
	t->slept = 0;
	t->lost_ns = 0;
	while (n--)
		wait_for(s, max, ns, WAKE_NS, t);
}

/* A peer that answers within the limit is spun for, from the first wait on. */
static void test_fast_peer(void)
{
	const uint64_t soon[] = { 1, 100, 999, 5000, 25000, MAX_NS - 1 };

	for (size_t i = 0; i < sizeof(soon) / sizeof(soon[0]); i++) {
		struct ivring_spin s = { 0 };
		struct totals t = { .now = 1ULL << 40 };

		waits(&s, MAX_NS, soon[i], 1000, &t);
		CHECK(!t.slept);
		CHECK(ivring_spin_budget(&s, MAX_NS, t.now) == MAX_NS);
	}
}

/* A peer that answers within the limit, but late: that does not pay for ever. */
static void test_late_peer(void)
{
	const uint32_t max = 1000000;
	const uint64_t late[] = { 500000, 700000, 900000, 999999 };

	for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
		struct ivring_spin s = { 0 };
		struct totals t = { .now = 1ULL << 40 };

		/* However much credit there was in the beginning */
		waits(&s, max, late[i], 20000, &t);
		waits(&s, max, late[i], 10000, &t);
		CHECK(t.waits - t.slept < t.waits / 50);
	}
}

/* Long waits: nothing is left of the credit, and trials cost next to nothing. */
static void test_slow_peer(void)
{
	const uint64_t late[] = { MAX_NS, 2 * MAX_NS, 1000000, 1000000000 };

	for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
		struct ivring_spin s = { 0 };
		struct totals t = { .now = 1ULL << 40 };
		uint64_t begin;

		waits(&s, MAX_NS, late[i], IVRING_SPIN_CREDIT, &t);
		begin = t.now;
		waits(&s, MAX_NS, late[i], 64000, &t);
		CHECK(t.slept == t.waits);
		CHECK(t.lost_ns <= (t.now - begin) / IVRING_SPIN_SHARE +
		      IVRING_SPIN_CREDIT * MAX_NS);
	}
}

/* The peer needs this CPU: it comes the sooner the less is spun, never in time. */
static void test_shared_cpu(void)
{
	struct ivring_spin s = { 0 };
	uint64_t now = 1ULL << 40, begin = now, spun = 0;
	uint32_t budget;
	int i;

	for (i = 0; i < 64000; i++) {
		budget = ivring_spin_budget(&s, MAX_NS, now);
		spun += budget;
		now += budget + 15000;
		if (budget)
			ivring_spin_result(&s, MAX_NS, budget, false);
	}
	CHECK(spun < (now - begin) / 100);
}

/* Soon and late by turns: spinning gets its share, bounded by what it saves. */
static void test_mixed(void)
{
	struct ivring_spin s = { 0 };
	struct totals t = { 0 };
	int i;

	for (i = 0; i < 10000; i++)
		wait_for(&s, MAX_NS, i % 2 ? 1000000 : 500, WAKE_NS, &t);
	CHECK(t.slept < 9500);
	CHECK(t.lost_ns < (t.waits - t.slept) * IVRING_SPIN_GAIN_NS + t.now / IVRING_SPIN_SHARE +
	      IVRING_SPIN_CREDIT * MAX_NS);
}

/* A fast peer that turned up after a slow one is found as soon as a trial is due. */
static void test_change(void)
{
	struct totals t = { .now = 1ULL << 40 };
	struct ivring_spin s = { 0 };

	waits(&s, MAX_NS, 200, 1000, &t);
	CHECK(!t.slept);
	waits(&s, MAX_NS, 3000000, 100, &t);
	CHECK(t.slept == 100 && s.credit_ns < MAX_NS);
	waits(&s, MAX_NS, 200, 1000, &t);
	/* Each of these sleeps takes WAKE_NS and a bit. */
	CHECK(t.slept <= MAX_NS / IVRING_SPIN_TRIAL * IVRING_SPIN_SHARE / WAKE_NS + 1);
	CHECK(ivring_spin_budget(&s, MAX_NS, t.now) == MAX_NS);
}

/* A stream that begins with long waits, after an idle second, does not lose its pace. */
static void test_idle_then_stream(void)
{
	struct totals t = { .now = 1ULL << 40 };
	struct ivring_spin s = { 0 };

	waits(&s, MAX_NS, 1000000, 1000, &t);
	t.now += 1000000000;
	waits(&s, MAX_NS, 5000000, IVRING_SPIN_CREDIT / 2, &t);
	waits(&s, MAX_NS, 16000, 10000, &t);
	CHECK(!t.slept);
}

static void test_never(void)
{
	struct ivring_spin s = { .credit_ns = 12345 };
	struct totals t = { 0 };

	waits(&s, 0, 1, 1000, &t);
	CHECK(t.slept == t.waits && !t.lost_ns);
	CHECK(ivring_spin_max(MAX_NS, 1) == 0);
	CHECK(ivring_spin_max(MAX_NS, 0) == 0);
	CHECK(ivring_spin_max(MAX_NS, 2) == MAX_NS);
}

/* The maximum is set anew at any time, to anything. */
static void test_maximum_changes(void)
{
	const uint32_t maxima[] = { 50000, 1, 0, 999, 1000, 1001, -1u, 7, 50000, 1u << 31 };
	struct ivring_spin s = { 0 };
	struct totals t = { 0 };

	for (size_t round = 0; round < 1000; round++) {
		for (size_t i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++)
			wait_for(&s, maxima[i], (round * 7919) % 60000, WAKE_NS, &t);
	}
	/* A maximum below what is gained at once is held to as well. */
	s = (struct ivring_spin) { 0 };
	t = (struct totals) { .now = 1ULL << 40 };
	waits(&s, 500, 100, 10, &t);
	CHECK(!t.slept && s.credit_ns == IVRING_SPIN_CREDIT * 500);
}

/* No sum overflows, whatever the clock did meanwhile. */
static void test_extremes(void)
{
	struct ivring_spin s = { 0 };

	CHECK(ivring_spin_budget(&s, -1u, 1ULL << 62) == -1u);
	ivring_spin_result(&s, -1u, -1ULL, false);
	CHECK(!s.credit_ns);
	/* Who looked at the clock a little earlier gains nothing by coming later. */
	CHECK(ivring_spin_budget(&s, MAX_NS, (1ULL << 62) - 1) == 0);
	CHECK(ivring_spin_budget(&s, MAX_NS, 1ULL << 62) == 0);
	CHECK(ivring_spin_budget(&s, MAX_NS, (1ULL << 62) + IVRING_SPIN_SHARE) == 0);
	CHECK(s.credit_ns == 1);
	ivring_spin_result(&s, MAX_NS, 1ULL << 63, false);
	CHECK(!s.credit_ns);
	ivring_spin_result(&s, -1u, 0, true);
	CHECK(s.credit_ns == IVRING_SPIN_GAIN_NS);
	s.credit_ns = -1ULL;
	CHECK(ivring_spin_budget(&s, MAX_NS, 1) <= MAX_NS);
}

int main(void)
{
	tap_run(test_fast_peer, "a peer within the limit is spun for");
	tap_run(test_late_peer, "what comes late within a long limit is not spun for, as a rule");
	tap_run(test_slow_peer, "nothing is spun for a slow peer but a trial now and then");
	tap_run(test_shared_cpu, "a peer that needs this CPU gets it");
	tap_run(test_mixed, "soon and late by turns");
	tap_run(test_change, "a peer that changes is noticed");
	tap_run(test_idle_then_stream, "a stream after an idle second has credit");
	tap_run(test_never, "a maximum of zero, and a single CPU, never spin");
	tap_run(test_maximum_changes, "the maximum holds at once when it is changed");
	tap_run(test_extremes, "extreme values");
	return tap_done();
}

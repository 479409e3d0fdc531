// SPDX-License-Identifier: GPL-2.0
/* The adaptive spin policy, include/ivring/spin.h, against peers on paper. */
#include <stdio.h>
#include <stdlib.h>

#include <ivring/spin.h>

#include "tap.h"

#define MAX_NS		50000u
#define WAKE_NS		20000u

static int wrong;

/* One line of TAP for many checks; the first that fails is told. */
#define CHECK(condition) do {							\
	if (!(condition) && !wrong++)						\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);	\
} while (0)

struct totals {
	uint64_t waits, slept, spun_ns, lost_ns;
};

/* One wait for what comes after @ns; a sleeper is awake @wake_ns later than that. */
static void wait_for(struct ivring_spin *s, uint32_t max, uint64_t ns, uint64_t wake_ns,
		     struct totals *t)
{
	uint32_t budget = ivring_spin_budget(s, max);
	bool paid = ns < budget;

	CHECK(budget <= max);
	t->waits++;
	t->slept += !paid;
	t->spun_ns += paid ? ns : budget;
	t->lost_ns += paid ? 0 : budget;
	if (budget)
		ivring_spin_result(s, max, budget, paid ? ns : ns + wake_ns, paid);
	CHECK(!budget || s->limit_ns <= max);
}

static struct totals waits(struct ivring_spin *s, uint32_t max, uint64_t ns, int n)
{
	struct totals t = { 0 };

	while (n--)
		wait_for(s, max, ns, WAKE_NS, &t);
	return t;
}

/* A peer that answers soon: spun for from the first wait on, ever more patiently. */
static void test_fast_peer(void)
{
	const uint64_t soon[] = { 1, 100, 999, 5000 };
	struct totals t;

	for (size_t i = 0; i < sizeof(soon) / sizeof(soon[0]); i++) {
		struct ivring_spin s = { 0 };

		t = waits(&s, MAX_NS, soon[i], 100);
		CHECK(!t.slept);
		CHECK(s.limit_ns == MAX_NS);
	}
}

/* Slower than a trial, yet within the maximum: one sleep is enough to find it. */
static void test_steady_peer(void)
{
	struct ivring_spin s = { 0 };
	struct totals t = waits(&s, MAX_NS, 25000, 100);

	CHECK(t.slept == 1);
	CHECK(s.limit_ns == MAX_NS);
}

/* A wake-up that takes longer than the maximum hides that peer, but not a fast one. */
static void test_slow_wakeups(void)
{
	struct ivring_spin s = { 0 };
	struct totals t = { 0 };

	wait_for(&s, MAX_NS, 25000, 200000, &t);
	CHECK(!s.limit_ns);
	while (t.waits <= IVRING_SPIN_RETRY)
		wait_for(&s, MAX_NS, 300, 200000, &t);
	CHECK(s.limit_ns);
	CHECK(t.slept == IVRING_SPIN_RETRY);
}

/* Long waits: nothing is left of the limit, and trials cost next to nothing. */
static void test_slow_peer(void)
{
	struct ivring_spin s = { .limit_ns = MAX_NS };
	struct totals t;

	t = waits(&s, MAX_NS, 1000000, 10);
	CHECK(!s.limit_ns);
	CHECK(t.lost_ns < 2 * MAX_NS);
	t = waits(&s, MAX_NS, 1000000, 64000);
	CHECK(!s.limit_ns);
	CHECK(t.slept == t.waits);
	CHECK(t.lost_ns * 100 < t.waits * WAKE_NS);
}

/* The peer needs this CPU: it comes the sooner the less is spun, never in time. */
static void test_shared_cpu(void)
{
	struct ivring_spin s = { 0 };
	struct totals t = { 0 };
	uint32_t budget;
	int i;

	for (i = 0; i < 64000; i++) {
		budget = ivring_spin_budget(&s, MAX_NS);
		t.spun_ns += budget;
		if (budget)
			ivring_spin_result(&s, MAX_NS, budget, budget + 15000, false);
	}
	CHECK(t.spun_ns < 64000ull * 15000 / 10);
}

/* Soon and late by turns: spinning gets its share, bounded by what it saves. */
static void test_mixed(void)
{
	struct ivring_spin s = { 0 };
	struct totals t = { 0 };
	int i;

	for (i = 0; i < 10000; i++)
		wait_for(&s, MAX_NS, i % 2 ? 1000000 : 500, WAKE_NS, &t);
	CHECK(t.slept < 5100);
	CHECK(t.lost_ns < (t.waits - t.slept) * WAKE_NS);
}

/* From fast to slow and back, and how long each takes to be noticed. */
static void test_change(void)
{
	struct ivring_spin s = { 0 };
	struct totals t;

	waits(&s, MAX_NS, 200, 1000);
	CHECK(s.limit_ns == MAX_NS);
	t = waits(&s, MAX_NS, 10000000, 7);
	CHECK(!s.limit_ns && t.slept == 7);
	t = waits(&s, MAX_NS, 200, 1000);
	CHECK(s.limit_ns == MAX_NS);
	CHECK(t.slept <= IVRING_SPIN_RETRY);
}

static void test_never(void)
{
	struct ivring_spin s = { .limit_ns = 12345 };
	struct totals t;

	t = waits(&s, 0, 1, 1000);
	CHECK(t.slept == t.waits && !t.spun_ns);
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
	/* A maximum below the shortest spin is held to as well. */
	s = (struct ivring_spin) { 0 };
	t = waits(&s, 500, 100, 10);
	CHECK(!t.slept && s.limit_ns == 500);
	t = waits(&s, 500, 600, 1);
	CHECK(t.slept == 1 && !s.limit_ns);
}

/* No sum overflows, whatever the clock did meanwhile. */
static void test_extremes(void)
{
	struct ivring_spin s = { .waits = -1u };

	CHECK(!ivring_spin_budget(&s, MAX_NS));
	CHECK(ivring_spin_budget(&s, MAX_NS) == MAX_NS / IVRING_SPIN_TRIAL);
	ivring_spin_result(&s, MAX_NS, 6250, -1ULL, false);
	CHECK(!s.limit_ns);
	ivring_spin_result(&s, MAX_NS, 6250, 1ULL << 63, false);
	CHECK(!s.limit_ns);
	ivring_spin_result(&s, -1u, -1u, 0, true);
	CHECK(s.limit_ns == -1u);
	ivring_spin_result(&s, -1u, -1u, -1ULL, true);
	CHECK(s.limit_ns == -1u);
	CHECK(ivring_spin_budget(&s, -1u) == -1u);
}

static void run(void (*test)(void), const char *what)
{
	wrong = 0;
	test();
	ok(!wrong, "%s", what);
}

int main(void)
{
	run(test_fast_peer, "a fast peer is spun for, up to the maximum");
	run(test_steady_peer, "a steady peer is found by one sleep");
	run(test_slow_wakeups, "slow wake-ups do not hide a fast peer");
	run(test_slow_peer, "nothing is spun for a slow peer but a trial now and then");
	run(test_shared_cpu, "a peer that needs this CPU gets it");
	run(test_mixed, "soon and late by turns");
	run(test_change, "a peer that changes is noticed");
	run(test_never, "a maximum of zero, and a single CPU, never spin");
	run(test_maximum_changes, "the maximum holds at once when it is changed");
	run(test_extremes, "extreme values");
	return tap_done();
}

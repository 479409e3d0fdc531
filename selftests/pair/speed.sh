# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Push and pull against cp of the same file, in turns, so that a noisy machine is
# noisy for all alike. Source it after pair.sh, with a pair that is up.

SPEED_TIMES=$RESULTS/times

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

# speed_round FILE: all copies are to a name that is new, from tmpfs to tmpfs.
speed_round()
{
	timed push "$IVRING" push --quiet "$1" vm0:speed || return
	timed pull "$IVRING" pull --quiet vm0:speed /tmp/speed.back || return
	rm /tmp/speed.back
	timed host_cp cp "$1" /tmp/speed.copy || return
	rm /tmp/speed.copy
	guest "start=\$(date +%s%N); cp $PAIR_GUEST_ROOT/speed /tmp/speed.copy; end=\$(date +%s%N)
		rm /tmp/speed.copy $PAIR_GUEST_ROOT/speed; echo guest_cp \$((end - start))"
}

# speed_rounds N FILE: one to warm up, then N that count
speed_rounds()
{
	speed_round "$2" >/dev/null || return
	for _ in $(seq "$1"); do
		speed_round "$2" || return
	done >"$SPEED_TIMES"
}

# speed_hash_rounds N FILE: with the default hash and with none, in turns
speed_hash_rounds()
{
	local hash

	for _ in $(seq "$1"); do
		for hash in fastest none; do
			timed "push_$hash" "$IVRING" push --quiet --hash $hash "$2" vm0:speed || return
			timed "pull_$hash" "$IVRING" pull --quiet --hash $hash vm0:speed /tmp/speed.back ||
				return
			rm /tmp/speed.back
			guest rm "$PAIR_GUEST_ROOT/speed"
		done
	done >"$SPEED_TIMES"
}

# speed_ns WHAT best|median
speed_ns()
{
	grep "^$1 " "$SPEED_TIMES" | cut -d' ' -f2 | sort -n | case $2 in
	best) head -n 1 ;;
	median) awk '{ ns[NR] = $1 } END { print ns[int((NR + 1) / 2)] }' ;;
	esac
}

# speed_mbps WHAT best|median BYTES
speed_mbps()
{
	awk -v ns="$(speed_ns "$1" "$2")" -v size="$3" 'BEGIN { printf "%.0f", size * 1000 / ns }'
}

# speed_ratio push|pull best|median: how fast it is, cp in the slower VM being 1.
# Both sides copy at the same time, so whatever else runs on a machine of two CPUs
# slows a transfer down by more than it does cp: the best rounds tell what the
# product can do, the medians what it did.
speed_ratio()
{
	awk -v what="$(speed_ns "$1" "$2")" -v host="$(speed_ns host_cp "$2")" \
		-v guest="$(speed_ns guest_cp "$2")" \
		'BEGIN { printf "%.3f", (host > guest ? host : guest) / what }'
}

# speed_hash_ratio push|pull best|median: how fast it is with the default hash, without
# one being 1
speed_hash_ratio()
{
	awk -v on="$(speed_ns "$1_fastest" "$2")" -v off="$(speed_ns "$1_none" "$2")" \
		'BEGIN { printf "%.3f", off / on }'
}

# What wake-ups cost: host's and guest's doorbells, host's and guest's interrupts
speed_counts()
{
	local c

	for c in doorbells interrupts; do
		stat_of ivring0 $c
		guest_stat_of ivring0 $c
	done
}

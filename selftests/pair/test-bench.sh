#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `ivring bench` on the pair: memory to memory against memcpy in the slower VM, both
# ways; round trips beside those of a vsock; and what a GiB costs in doorbells and
# system calls.

# What is quoted is for eval.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

VSOCK=/src/build/selftests/vsock
PORT=5000
RUNS=${IVRING_TEST_RUNS:-3}
# Where a machine that is busy with something else misses a bar, it is asked again.
SERIES=3

# series: both, one after the other; the last lines of bench.log are "key value".
series()
{
	local way

	"$IVRING" bench --size 1G --runs "$RUNS" vm0 >"$RESULTS/bench.log" 2>&1 || return
	# CID 2 is the host.
	for _ in $(seq "$RUNS"); do
		guest "$VSOCK ping 2 $PORT 64 2000" || return
	done | sort -n | awk '{ ns[NR] = $1 }
		END { printf "rtt_vsock_us %.2f\n", ns[int((NR + 1) / 2)] / 1000 }' \
		>>"$RESULTS/bench.log"
	for way in rtt_user rtt_calls rtt_calls_sleep; do
		echo "vsock_over_$way $(vsock_over ${way}_us)" >>"$RESULTS/bench.log"
	done
}

# key NAME: what the last series says
key()
{
	awk -v key="$1" '$1 == key { print $2 }' "$RESULTS/bench.log"
}

# holds A OP B: numbers, or names of keys
holds()
{
	local a=$1 b=$3

	[[ $a == [0-9]* ]] || a=$(key "$a")
	[[ $b == [0-9]* ]] || b=$(key "$b")
	awk "BEGIN { exit !(($a) $2 ($b)) }" || {
		echo "# not so: $1 ($a) $2 $3 ($b)"
		return 1
	}
}

# vsock_over KEY: how many of its round trips fit into one of a vsock
vsock_over()
{
	awk -v a="$(key rtt_vsock_us)" -v b="$(key "$1")" 'BEGIN { printf "%.2f", a / b }'
}

# What it finds is about the machine; that it ends as it should is all there is to test.
host_tune()
{
	local code=0

	"$IVRING" tune vm0 >"$RESULTS/tune-host.log" 2>&1 || code=$?
	[ $code = 0 ] || [ $code = 25 ]
}

guest_tune()
{
	local code=0

	guest "$IVRING tune host" >"$RESULTS/tune-guest.log" 2>&1 </dev/null || code=$?
	[ $code = 0 ] || [ $code = 25 ]
}

# each_bar CMD...: for each of the bars, CMD NAME OP LIMIT
each_bar()
{
	local way bad=0

	for way in send receive; do
		"$@" ${way}_user_over_memcpy '>=' 0.9 || bad=1
		"$@" ${way}_calls_over_memcpy '>=' 0.9 || bad=1
		"$@" ${way}_user_doorbells_per_gib '<=' 20 || bad=1
		"$@" ${way}_calls_doorbells_per_gib '<=' 20 || bad=1
		"$@" ${way}_file_doorbells_per_gib '<=' 20 || bad=1
	done
	"$@" vsock_over_rtt_user '>=' 5 || bad=1
	"$@" vsock_over_rtt_calls '>=' 5 || bad=1
	"$@" vsock_over_rtt_calls_sleep '>=' 1.2 || bad=1
	return $bad
}

bar_is_held()
{
	ok "$1 $2 $3" holds "$@"
}

load_host && serve_start && guest_device && guest_wait && load_guest
ok "the pair comes up" wait_for 10 link_is up
ok "no LINK is an error" code_is 2 "$IVRING" bench
ok "so is a way that there is not" code_is 2 "$IVRING" bench -w teleport vm0
ok "and no runs" code_is 2 "$IVRING" bench --runs 0 vm0
ok "and more memory than a server gives" code_is 2 "$IVRING" bench --buffer 1G vm0
ok "and a channel that there is not" code_is 2 "$IVRING" bench -c 31 vm0
ok "nobody serves" code_is 5 "$IVRING" bench --timeout 0.5 vm0
guest "setsid $IVRING bench --serve host >/results/bench-server.log 2>&1 </dev/null &"
"$VSOCK" serve $PORT 2>"$RESULTS/vsock.log" &
vsock_pid=$!
for i in $(seq $SERIES); do
	ok "all tests go through" series
	sed 's/^/# /' "$RESULTS/bench.log"
	! each_bar holds || break
	[ "$i" = $SERIES ] || echo "# is the machine busy? Once more"
done
kill $vsock_pid
echo "mem_over_memcpy send $(key send_user_over_memcpy), receive $(key receive_user_over_memcpy)"
echo "vsock_over_rtt in place $(key vsock_over_rtt_user), by calls $(key vsock_over_rtt_calls)," \
	"asleep $(key vsock_over_rtt_calls_sleep)"
# On a machine that is quiet for as long as all of it takes
! long || each_bar bar_is_held

# What no noise explains. A transfer needs both CPUs and memcpy() one: with as much
# else to do on the machine, both sides sleep, and a third of its rate is left. Memory
# that is not cached, or one more copy of each byte on top of that, is worse.
for way in send receive; do
	ok "$way: at least 0.15 x memcpy" holds ${way}_user_over_memcpy '>=' 0.15
	ok "$way: a file takes at most 4500 calls per GiB" \
		holds ${way}_file_user_calls_per_gib '<=' 4500
	ok "$way: the kernel's way at most 50" holds ${way}_file_calls_per_gib '<=' 50
done
ok "a round trip takes a fifth of a vsock's" holds vsock_over_rtt_calls '>=' 5
ok "no wake-up was rescued" holds rescued_wakeups '==' 0
ok "and no doorbells were taken for a storm" \
	[ "$(stat_of ivring0 late) $(guest_stat_of ivring0 late)" = "0 0" ]

# Two channels, both directions, a busy neighbour, small sizes: by all ways, with one server
# on each channel. What is measured so is nobody's bar.
more()
{
	"$IVRING" bench --size 64M --runs 1 --rounds 500 --channels 2 --both --load --sizes 4K..64K \
		-w calls,spans,user vm0 >"$RESULTS/bench-more.log" 2>&1 || {
		tail -n 3 "$RESULTS/bench-more.log" | sed 's/^/# /'
		return 1
	}
}

guest "setsid $IVRING bench --serve -c 3 host >/results/bench-server3.log 2>&1 </dev/null &"
ok "several channels, both directions at once, under load" more
ok "no wake-up was rescued there" grep -qx 'rescued_wakeups 0' "$RESULTS/bench-more.log"
# The pattern does not match the shell that has it in its arguments.
guest 'pkill -f "serve -c [3]"'
ok "the second server ends" wait_for 10 guest '! pgrep -f "serve -c [3]"'
for side in host guest; do
	ok "tune looks at the $side" eval "$side"_tune
done

# Idle, but with open channels on either side, one of them with readers that sleep: the
# heart beats once a second, and that is all, nobody wakes up. Seconds of measurement, not
# of waiting for something.
IDLE=5
TRACE=/sys/kernel/tracing

bells()
{
	echo "$(stat_of ivring0 doorbells) $(stat_of ivring0 interrupts)" \
		"$(guest_stat_of ivring0 doorbells) $(guest_stat_of ivring0 interrupts)" \
		"$(stat_of ivring0c3 sleeps) $(guest_stat_of ivring0c3 sleeps)"
}

readers_sleep()
{
	[ "$(cat /sys/class/ivring/ivring0c3/state)" = connected ] &&
		[ "$(stat_of ivring0c3 sleeps)" -gt 0 ] &&
		[ "$(guest_stat_of ivring0c3 sleeps)" -gt 0 ] && [ "$(bells)" = "$(bells)" ]
}

# works_begin, works_end: how often our modules' work, which is all that their timers
# do, ran in between. Here and in the guest.
works_begin()
{
	[ -e $TRACE/trace ] || mount -t tracefs none $TRACE
	echo 1 >$TRACE/events/workqueue/workqueue_execute_start/enable
	echo >$TRACE/trace
}

works_end()
{
	echo 0 >$TRACE/events/workqueue/workqueue_execute_start/enable
	grep -c 'function ivring_' $TRACE/trace
}

in_guest()
{
	guest "TRACE=$TRACE; $(declare -f "$1"); $1"
}

idle()
{
	local before

	works_begin
	in_guest works_begin
	before=$(bells)
	sleep $IDLE
	works=$(works_end) guest_works=$(in_guest works_end)
	echo "# in $IDLE s: bells, interrupts and sleeps $before -> $(bells)," \
		"work $works here, $guest_works in the guest"
	[ "$before" = "$(bells)" ]
}

# once_a_second N: what begins and ends the count takes a moment, too.
once_a_second()
{
	[ "$1" -ge $((IDLE - 1)) ] && [ "$1" -le $((IDLE + 3)) ]
}

exec 3<>/dev/ivring0c2
ok "both sides have a channel open" \
	wait_for 10 eval '[ "$(cat /sys/class/ivring/ivring0c2/state)" = connected ]'
dd if=/dev/ivring0c3 of=/dev/null bs=4k 2>/dev/null &
reader=$!
guest 'dd if=/dev/ivring0c3 of=/dev/null bs=4k >/dev/null 2>&1 </dev/null &'
ok "and readers that sleep" wait_for 10 readers_sleep
ok "idle: no doorbell, no interrupt, nobody wakes up" idle
ok "and a heartbeat, once a second" once_a_second "$works"
ok "in the guest, too" once_a_second "$guest_works"
exec 3>&-
kill $reader
guest 'pkill -x dd'
guest 'pkill -f "bench --serve"'
ok "the pair goes down" eval 'unload_guest && guest_shutdown && serve_stop && unload_host'
plan

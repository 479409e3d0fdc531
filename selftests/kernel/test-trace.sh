#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What Documentation/tracing.rst shows, in the lab's host VM on a loop link: every
# tracepoint says what happens, and counters and trace agree.

# The checks are called through ok().
# shellcheck disable=SC2317
set -uo pipefail
# shellcheck source=../pair/pair.sh
. /src/selftests/pair/pair.sh

DATA=/tmp/data
TRACE=$RESULTS/trace.dat
TEXT=$RESULTS/trace.txt
STATS=/sys/class/ivring/ivring0c1/stats
DEBUG=/sys/kernel/debug/dynamic_debug/control

load()
{
	insmod "$LAB_MODULES"/kmod-core/ivring.ko
}

# One conversation from beginning to end, with more data than fits at once
conversation()
{
	insmod "$LAB_MODULES"/kmod-core/ivring_loop.ko pairs=1
	# So that there is a wait to be seen
	echo 0 >/sys/class/ivring/ivring1c1/spin_max_ns
	cat /dev/ivring1c1 >/tmp/arrived &
	cat $DATA >/dev/ivring0c1
	wait $!
	cat $STATS/tx_bytes $STATS/doorbells_sent $STATS/doorbells_suppressed \
		$STATS/sleeps >"$RESULTS/stats"
	wait_for 10 rmmod ivring_loop
}

record()
{
	declare -f conversation wait_for >/tmp/conversation
	echo conversation >>/tmp/conversation
	DATA=$DATA STATS=$STATS LAB_MODULES=$LAB_MODULES trace-cmd record -q -o "$TRACE" -e ivring \
		bash /tmp/conversation >"$RESULTS/record.log" 2>&1 &&
		trace-cmd report -i "$TRACE" >"$TEXT" 2>"$RESULTS/report.log"
}

# A peer that writes impossible indices, among other things
record_breaches()
{
	local code=0

	insmod "$LAB_MODULES"/kmod-host/ivring_host.ko || return
	trace-cmd record -q -o "$TRACE" -e ivring_broken /src/build/selftests/host-fault \
		>"$RESULTS/record.log" 2>&1 &&
		trace-cmd report -i "$TRACE" >"$TEXT" 2>"$RESULTS/report.log" || code=1
	rmmod ivring_host && return $code
}

# example N: the program of the documentation's Nth call of bpftrace
example()
{
	awk -v n="$1" '/# bpftrace -e/ { k++; sub(/.*-e \047/, "") }
		k == n { last = sub(/\047$/, ""); print; if (last) exit }' /src/Documentation/tracing.rst
}

# bpftrace_says N PATTERN: during a conversation
bpftrace_says()
{
	DATA=$DATA STATS=$STATS LAB_MODULES=$LAB_MODULES RESULTS=$RESULTS \
		bpftrace -e "$(example "$1")" -c "/bin/bash /tmp/conversation" \
		>"$RESULTS/bpftrace-$1.log" 2>&1 && grep -q -- "$2" "$RESULTS/bpftrace-$1.log"
}

# says EVENT PATTERN: some line of this event matches
says()
{
	grep -qE -- "ivring_$1: .*$2" "$TEXT"
}

# Lines of the producer's publications
commits()
{
	grep 'ivring_commit: .*link=0 channel=1 ' "$TEXT"
}

stat_is()
{
	[ "$(sed -n "$1p" "$RESULTS/stats")" = "$2" ]
}

head -c 20000000 /dev/urandom >$DATA
ok "the core loads" load
ok "there are tracepoints" [ -d /sys/kernel/tracing/events/ivring ]
ok "trace-cmd records" record
ok "the data is the same" cmp $DATA /tmp/arrived
ok "links" says link_state 'link=0 waiting -> up peer_epoch=[0-9a-f]{16}'
ok "links that end" says link_state 'link=[01] up -> dead'
ok "channels" says channel_state 'link=0 channel=1 .*opening -> connected error=0'
ok "channels that are closed" says channel_state 'link=1 channel=1 .*connected -> peer-closed'
ok "reserve" says reserve 'link=0 channel=1 index=0 len=[1-9]'
ok "commit" says commit 'link=0 channel=1 index=20000000 len=[1-9]'
ok "peek" says peek 'link=1 channel=1 index=0 len=[1-9]'
ok "release" says release 'link=1 channel=1 index=20000000 len=[1-9]'
ok "wait" says wait 'link=[01] channel=1 events=(in|out)'
ok "wake" says wake 'channel=1 waited_ns=[1-9][0-9]* by=(sleep|spin) ret='
ok "doorbell" says doorbell 'link=0 vector='
ok "interrupt" says interrupt 'link=1 vector='
ok "nothing broke" [ "$(grep -c ivring_broken: "$TEXT")" = 0 ]
ok "traced and counted bytes agree" stat_is 1 \
	"$(commits | sed 's/.*len=\([0-9]*\).*/\1/' | awk '{ n += $1 } END { print n }')"
ok "traced and counted doorbells agree" stat_is 2 "$(commits | grep -c doorbell)"
ok "and those that were spared" stat_is 3 "$(commits | grep -vc doorbell)"

bpftrace_tests()
{
	ok "bpftrace shows waits" bpftrace_says 1 '^@us\[1, \(sleep\|spin\)\]:'
	ok "and bytes and doorbells" bpftrace_says 2 '^@bytes: 20000000$'
}

if command -v bpftrace >/dev/null; then
	bpftrace_tests
else
	echo "# no bpftrace here: LAB_IMAGE=trace has it"
fi
ok "a peer that breaks the rules" record_breaches
ok "broken" says broken 'link=[0-9]+ channel=[0-9]+ tx prod=[0-9]+ cons=[0-9]+ rx prod=[0-9]+ cons='

debug_speaks()
{
	echo 'module ivring +p' >$DEBUG
	dmesg -C
	insmod "$LAB_MODULES"/kmod-core/ivring_loop.ko && : <>/dev/ivring0c0 && rmmod ivring_loop
	echo 'module ivring -p' >$DEBUG
	dmesg >"$RESULTS/debug"
	grep -q 'ivring ivring0: loop, side 0, ID 0, ' "$RESULTS/debug" &&
		grep -q 'ivring ivring0: waiting -> up' "$RESULTS/debug" &&
		grep -q 'ivring ivring0c0: .* -> opening' "$RESULTS/debug" &&
		grep -q 'ivring ivring0: ends' "$RESULTS/debug"
}

ok "dynamic debug speaks" debug_speaks
ok "the core unloads" rmmod ivring
plan

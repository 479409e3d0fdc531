#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# One side of a link has gone mad: it writes all over the shared memory and rings as
# fast as it can (see scribble.c), while the other one uses the link. First the guest
# is mad, then the host. Nobody hangs, no kernel complains or fills its log, the other
# link of the same two works as well as ever, and the link works again when it is
# made anew. SECONDS-EACH for each way of going mad: 3 unless told, or 20 at full length.

# What is quoted is for a shell in the guest; functions are called through ok().
# shellcheck disable=SC2016,SC2317
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh
# shellcheck source=memory.sh
. /src/selftests/pair/memory.sh

EACH=${1:-$(long && echo 20 || echo 3)}
SCRIBBLE=/src/build/selftests/scribble
# Longest that a command on the mad link may take: its timeouts are 2 s each.
PATIENCE=$((20 * LAB_SLOW))
# Most lines that a kernel may say meanwhile, for each way of going mad
LINES_MAX=100
# What the other link must keep of its speed. A machine that is busy with something
# else is no fault: FLOOR is what that does not explain. A kernel that checks itself
# is busy with that: only the figure is told. A run of full length is for a machine that
# does nothing else.
BAR=0.90
FLOOR=0.60
! long || FLOOR=$BAR
# The kernel lets user space map a device that a driver has.
export GUEST_APPEND="${GUEST_APPEND:-} iomem=relaxed"

both_up()
{
	[ "$(attr vm0 state) $(attr vm1 state)" = "up up" ]
}

start_all()
{
	local name args=()

	for name in vm0 vm1; do
		args+=(-chardev "socket,path=/run/ivring/$name.sock,id=$name"
			-device "ivshmem-doorbell,chardev=$name,vectors=$PAIR_VECTORS")
	done
	serve_start vm1 && guest_start "${args[@]}" && guest_wait && load_guest &&
		guest 'cat >/tmp/memory.sh' </src/selftests/pair/memory.sh && guest_agent &&
		wait_for 10 both_up
}

# What runs where the victim is: both sides have these.
victim_functions()
{
	declare -f copies use_mad_link
	declare -p IVRING PATIENCE
}

# copies SECONDS: how many, there and back, over the good link; each is compared
copies()
{
	local end=$((SECONDS + $1)) n=0

	while [ "$SECONDS" -lt "$end" ]; do
		if ! { "$IVRING" push --quiet /tmp/in vm1:copy &&
			"$IVRING" pull --quiet vm1:copy /tmp/back && cmp -s /tmp/in /tmp/back; }; then
			echo "# failed after $n"
			return 1
		fi
		rm /tmp/back
		n=$((n + 1))
	done
	echo "$n"
}

# use_mad_link SECONDS: whatever becomes of it, it ends, and by itself. Not as often as
# it can, or it would be what slows the other link down.
use_mad_link()
{
	local end=$((SECONDS + $1)) begin code n=0 whole=0

	while [ "$SECONDS" -lt "$end" ]; do
		begin=$SECONDS
		"$IVRING" push --quiet --timeout 2 --connect-timeout 2 /tmp/small vm0:small \
			>/dev/null 2>&1
		code=$?
		# Any of its own codes is an end; a signal is none.
		if [ "$code" -ge 124 ] || [ $((SECONDS - begin)) -gt "$PATIENCE" ]; then
			echo "# push ended with $code after $((SECONDS - begin)) s"
			return 1
		fi
		n=$((n + 1))
		[ $code != 0 ] || whole=$((whole + 1))
		sleep 0.3
	done
	echo "# the mad link: $n times, $whole of them whole"
}

on_host()
{
	"$@"
}

in_vm()
{
	guest "$(victim_functions); $*"
}

lines_of_log()
{
	"$1" dmesg | wc -l
}

# ended PID WHAT: it did, and well
ended()
{
	local code=0

	wait "$1" || code=$?
	[ $code = 0 ] || echo "# $2 ended with code $code" >&2
	return $code
}

# with_madness MODE MEMORY VICTIM MADMAN: how many copies over the good link while
# MADMAN does MODE to MEMORY
with_madness()
{
	local madness user n begin=$SECONDS bad=0

	"$4" "$SCRIBBLE" "$1" "$2" "$EACH" $RANDOM >/dev/null &
	madness=$!
	"$3" use_mad_link "$EACH" >&2 &
	user=$!
	n=$("$3" copies "$EACH") || bad=1
	ended $user "who uses the mad link" || bad=1
	ended $madness "scribble" || bad=1
	if [ $bad != 0 ]; then
		echo "# after $((SECONDS - begin)) s; the other link: $n" >&2
		return 1
	fi
	echo "$n"
}

# mad MODE MEMORY VICTIM MADMAN: VICTIM, on_host or in_vm, uses both links while
# MADMAN, the other one, does MODE to MEMORY; and for comparison to memory of its own.
mad()
{
	local victim=$3 calm=$1 lines before now

	[[ $calm != @(storm|ring) ]] || calm=random
	before=$(with_madness "$calm" - "$victim" "$4") || return
	lines=$(lines_of_log "$victim")
	now=$(with_madness "$1" "$2" "$victim" "$4") || return
	lines=$(($(lines_of_log "$victim") - lines))
	echo "# $lines lines of log; copies on the other link: $now, and $before without"
	[ "$lines" -le $LINES_MAX ] || return
	kept=$(awk -v a="$now" -v b="$before" 'BEGIN { printf "%.2f", b ? a / b : 1 }')
	ratios+=("$kept")
	copies_calm=$((copies_calm + before))
	copies_mad=$((copies_mad + now))
}

# Of all ways of going mad: on a slow machine, each is but a few copies.
kept_speed()
{
	local kept

	kept=$(awk -v a=$copies_mad -v b=$copies_calm 'BEGIN { printf "%.2f", b ? a / b : 0 }')
	echo "other_link_keeps $kept: $copies_mad copies of $copies_calm (${ratios[*]})"
	awk -v k="$kept" -v bar=$BAR 'BEGIN { exit !(k >= bar) }' ||
		echo "# below $BAR: is the machine busy?"
	[ "$LAB_SLOW" -gt 1 ] || awk -v k="$kept" -v floor=$FLOOR 'BEGIN { exit !(k >= floor) }'
}

# interrupts_of LABEL: in the guest, of all its vectors on all CPUs
interrupts_of()
{
	guest ". /tmp/memory.sh; name=\$(link_of $1); grep \$name- /proc/interrupts" |
		awk '{ for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n }'
}

# A vector that is rung without end is soon listened to ten times a second, each time for
# no longer than it takes to see that it is; and all of them together to one doorbell a
# millisecond at most, if the host is too slow to ring without end.
few_interrupts()
{
	local before most=$((EACH * (1000 + 10 * PAIR_VECTORS) * 11 / 10 + 200)) n code=0

	before=$(interrupts_of vm0)
	"$SCRIBBLE" ring "$(serve_proc)" "$EACH" >/tmp/rung || code=$?
	n=$(($(interrupts_of vm0) - before))
	echo "# rung $(</tmp/rung), $n interrupts"
	[ $code = 0 ] && [ "$n" -gt 0 ] && [ "$n" -le $most ]
}

# The driver leaves its device, and takes it again, if what is in there is right.
comes_and_goes()
{
	local madness device

	"$SCRIBBLE" ring "$(serve_proc)" "$EACH" >/dev/null &
	madness=$!
	device=$(guest '. /tmp/memory.sh; basename $(readlink -f /sys/class/ivring/$(link_of vm0)/device)')
	guest "cd /sys/bus/pci/drivers/ivring_guest &&
		for i in 1 2 3; do echo $device >unbind && echo $device >bind || exit; done" &&
		ended $madness "scribble" && wait_for 10 link_is up
}

works()
{
	"$1" "$IVRING" push --quiet /tmp/small "$2:works" &&
		"$1" "$IVRING" pull --quiet "$2:works" /tmp/works
}

# Detached and made anew, as after a crash: none of what the mad side wrote counts.
made_anew()
{
	guest_agent_stop
	guest_shutdown && serve_stop && start_all
}

ratios=() copies_mad=0 copies_calm=0
head -c $((4 << 20)) /dev/urandom >/tmp/in
head -c 300000 /dev/urandom >/tmp/small
ok "the host's modules" load_host
ok "two links" start_all

bar=$(guest '. /tmp/memory.sh; readlink -f /sys/class/ivring/$(link_of vm0)/device')
for mode in fields replay random; do
	ok "the guest goes mad, $mode" mad $mode "$bar/resource2" on_host in_vm
done
ok "the guest rings without end" mad storm "$bar/resource0" on_host in_vm
ok "the other link works" works on_host vm1
ok "the mad one, made anew, does" made_anew
ok "both work" eval "works on_host vm0 && works on_host vm1"

mkdir -p /tmp/host-root
setsid "$IVRING" agent --root /tmp/host-root >"$RESULTS/host-agent.log" 2>&1 </dev/null &
agent=$!
guest 'cat >/tmp/in' </tmp/in
guest 'cat >/tmp/small' </tmp/small
ok "the guest can be the client" wait_for 10 eval "works in_vm vm0 && works in_vm vm1"
for mode in fields replay random; do
	ok "the host goes mad, $mode" mad $mode "$(serve_memfd vm0)" in_vm on_host
done
ok "the host rings without end" mad ring "$(serve_proc)" in_vm on_host
ok "the guest is not interrupted that often" few_interrupts
ok "the other link works" works in_vm vm1
kill $agent
wait $agent
ok "the mad one, made anew, does" made_anew
ok "both work" eval "works on_host vm0 && works on_host vm1"
ok "the guest's driver comes and goes while the host rings" comes_and_goes
ok "the other link kept its speed" kept_speed
ok "all goes down" pair_down
plan

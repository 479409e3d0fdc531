#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Whatever ends or begins a life while data moves: the link server, the guest, its
# device, a CPU. Who waits is woken in bounded time with the right error, or notices
# nothing, and the next transfer works.

# What is quoted is for a shell in the guest.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh
# shellcheck source=life.sh
. /src/selftests/pair/life.sh

PEER_GONE=13
KEEPER=/src/build/selftests/keeper

# ---- a server that is started again with what it left ----

serve_kept()
{
	setsid "$KEEPER" "$IVRING" serve "$@" vm0 >"$RESULTS/serve.log" 2>&1 </dev/null &
	keeper_pid=$!
	wait_for 10 serve_count 1
}

# serve_count N: as many servers said that they are ready.
serve_count()
{
	[ "$(grep -c 'serve: ready$' "$RESULTS/serve.log")" -ge "$1" ]
}

server_pid()
{
	sed -n 's/^started //p' "$RESULTS/serve.log" | tail -n 1
}

server_dies()
{
	local ready

	ready=$(grep -c 'serve: ready$' "$RESULTS/serve.log")
	kill "$1" "$(server_pid)"
	wait_for 10 serve_count $((ready + 1))
}

keeper_ends()
{
	kill "$keeper_pid"
	wait "$keeper_pid"
}

ups()
{
	echo "$(stat_of ivring0 ups) $(guest_stat_of ivring0 ups)"
}

guest_modules()
{
	load_guest && guest_agent && wait_for 20 link_is up
}

# Does the guest wake up from RAM, with nothing of ours loaded? Not on all emulators.
sleeps_and_wakes()
{
	guest 'grep -qw mem /sys/power/state && grep -q deep /sys/power/mem_sleep' || return
	guest '(sleep 0.2; echo mem >/sys/power/state) >/dev/null 2>&1 </dev/null &'
	wait_for 20 eval 'guest_monitor info status | grep -q suspended' || return
	guest_monitor system_wakeup >/dev/null
	wait_for 20 eval 'timeout 5 bash -c ". /src/selftests/lab/lib.sh; guest true" </dev/null' &&
		[ "$(guest 'cat /proc/sys/kernel/random/boot_id')" = "$1" ]
}

load_host
ok "a server that is kept" serve_kept
guest_device -action reboot=reset && guest_wait
can_sleep=0
boot_id=$(guest 'cat /proc/sys/kernel/random/boot_id')
if ! long; then
	echo "# suspend to RAM: only at full length, as most emulators make two boots of it"
elif sleeps_and_wakes "$boot_id" 2>/dev/null; then
	can_sleep=1
else
	# It hangs or panics, at the emulator's choice: that is no complaint of this test.
	echo "# this guest does not wake up from suspend to RAM, whatever is loaded"
	guest_kill
	lab_guest_put_aside vm0 "$RESULTS/vm0-does-not-wake"
	guest_device -action reboot=reset && guest_wait
fi
ok "the pair comes up" guest_modules
ok "transfers work" works

before=$(ups)
ok "a transfer" push_big
ok "the server is killed in mid-transfer, and comes back" within 5 server_dies -KILL
ok "the transfer notices nothing" client_goes_on
ok "all of it arrived" arrived
ok "the link was up all the time" [ "$(ups)" = "$before" ]
ok "the guest is still there" grep -q 'guest with ID [0-9]* is still there' "$RESULTS/serve.log"
ok "a transfer" push_big
ok "it ends as it was asked to, and comes back" within 5 server_dies -TERM
ok "nor does the next" client_goes_on
ok "the link was up all the time" [ "$(ups)" = "$before" ]

# The guest starts over, within the same QEMU: nobody closed anything.
reader_here
ok "a transfer stands still" push_big_stopped
guest_monitor system_reset >/dev/null
ok "the guest is reset in mid-transfer: peer gone" within 30 client_ends $PEER_GONE
# By its next life, or by its heart, whichever is first
ok "who slept in read(2) is told" reader_says 'Connection \(reset by peer\|timed out\)'
ok "the guest boots" guest_wait
ok "the pair comes up in the guest's next life" guest_modules
ok "no file was left" guest "[ ! -e $PAIR_GUEST_ROOT/victim ]"
ok "transfers work" works

# The driver lets go of the device, its files open, mapped, and in use.
reader_here
ok "a transfer stands still" push_big_stopped
device=$(guest 'cd /sys/bus/pci/drivers/ivring_guest && echo 0000:*')
ok "the device is unbound in mid-transfer" \
	within 10 guest "echo $device >/sys/bus/pci/drivers/ivring_guest/unbind"
ok "peer gone" within 15 client_ends $PEER_GONE
ok "the reader is told" reader_says 'Connection reset by peer'
ok "it is bound again" guest "echo $device >/sys/bus/pci/drivers/ivring_guest/bind"
ok "the link is up" wait_for 10 link_is up
ok "transfers work" wait_for 10 works

ok "a transfer stands still" push_big_stopped
ok "the device is removed in mid-transfer" \
	within 10 guest "echo 1 >/sys/bus/pci/devices/$device/remove"
ok "peer gone" within 15 client_ends $PEER_GONE
ok "the device comes back" guest 'echo 1 >/sys/bus/pci/rescan'
ok "the link is up" wait_for 10 link_is up
ok "transfers work" wait_for 10 works

# A CPU goes and comes while data moves: interrupts and copies find another one.
cpu()
{
	local where=$1 on=$2

	"$where" "echo $on >/sys/devices/system/cpu/cpu1/online"
}

here()
{
	eval "$1"
}

for where in here guest; do
	ok "a transfer" push_big
	ok "$where: the second CPU goes in mid-transfer" cpu $where 0
	ok "the transfer goes on" client_goes_on
	ok "all of it arrived" arrived
	ok "a transfer" push_big
	ok "it comes back" cpu $where 1
	ok "the transfer goes on" client_goes_on
done

if [ $can_sleep = 1 ]; then
	boot_id=$(guest 'cat /proc/sys/kernel/random/boot_id')
	ok "the guest sleeps, and wakes up" sleeps_and_wakes "$boot_id"
	ok "the link is up" wait_for 20 link_is up
	ok "transfers work" wait_for 20 works
fi

# The guest's kernel panics, and stays there: its CPUs spin, its QEMU lives, nothing
# says goodbye. Only the heart that stopped tells.
guest_panics()
{
	# Not before the shell has answered, or its answer is waited for in vain
	lab_guest_mark vm0
	guest 'echo 0 >/proc/sys/kernel/panic
		(sleep 0.5; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 </dev/null &'
	# It says so at the beginning, too, when its other CPUs are not yet stopped.
	wait_for 30 grep -q 'end Kernel panic.*sysrq triggered crash' "$RESULTS/vm0-console.log"
}

# What it said is what was asked for, and no complaint.
guest_is_buried()
{
	guest_kill && lab_guest_put_aside vm0 "$RESULTS/vm0-panic" &&
		grep -q 'sysrq triggered crash' "$RESULTS/vm0-panic"
}

timeout=$(cat /sys/class/ivring/ivring0/peer_timeout_ms)
ok "no wake-up was rescued" none_rescued
reader_here
ok "a transfer stands still" push_big_stopped
ok "the guest's kernel panics in mid-transfer" guest_panics
# Two ticks: the last beat, and who looks
ok "peer gone, within the timeout" within $((timeout / 1000 + 2)) client_ends $PEER_GONE
ok "the reader is told" reader_says_here 'Connection timed out'
ok "the link is stalled" link_is stalled
ok "that guest is killed" guest_is_buried
ok "its link waits" wait_for 10 link_is waiting
ok "the next one boots" eval 'guest_device -action reboot=reset && guest_wait'
ok "the pair comes up" guest_modules
ok "transfers work" works

ok "no wake-up was rescued" none_rescued
ok "the pair goes down" eval 'guest_agent_stop && unload_guest && guest_shutdown &&
	keeper_ends && unload_host'
plan

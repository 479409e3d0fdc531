#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The lab proves itself. Without arguments everything must hold; with one of
# these the run must fail, which selftests/lab/selftest sees to:
#
#   exit N          ends with that code
#   warn-host       a kernel warning in the outer VM
#   warn-guest      one in the guest
#   warn-killed     one in a guest that is killed at once
#   hang            does not end

# What is quoted is for a shell in the guest.
# shellcheck disable=SC2016,SC2094,SC2119
set -euo pipefail
# shellcheck source=lib.sh
. /src/selftests/lab/lib.sh

check()
{
	local what=$1

	shift
	if "$@"; then
		echo "ok - $what"
	else
		echo "not ok - $what"
		exit 1
	fi
}

code_of()
{
	local code=0

	"$@" || code=$?
	echo "$code"
}

case ${1:-} in
exit)
	exit "$2"
	;;
warn-host)
	echo "WARNING: lab self-test" >/dev/kmsg
	exit 0
	;;
warn-guest | warn-killed)
	guest_start
	guest_wait
	guest 'echo "<4>WARNING: lab self-test" >/dev/kmsg'
	[ "$1" = warn-guest ] || guest_kill
	exit 0
	;;
hang)
	exec sleep infinity
	;;
esac

guest_start
check "the guest comes up" guest_wait
check "both sides run the same kernel" [ "$(uname -rv)" = "$(guest uname -rv)" ]
check "which is Debian's own" grep -q Debian /proc/version
check "the host has KVM" grep -qE '^kvm_(amd|intel) ' /proc/modules
check "KVM knows the guest" compgen -G "/sys/kernel/debug/kvm/$(cat /run/lab/vm0.pid)-*" >/dev/null
check "the guest knows KVM" guest 'dmesg | grep -q "Hypervisor detected: KVM"'

check "exit codes arrive" [ "$(code_of guest exit 7)" = 7 ]
check "arguments arrive whole" [ "$(guest printf '%s|' 'a b' "c'd" '$e')" = "a b|c'd|\$e|" ]
check "input and output stream" [ "$(echo there | guest 'read -r a; echo $a and back')" = \
	"there and back" ]

pids=()
for i in 1 2 3 4; do
	guest "echo $i >/tmp/par.$i" </dev/null &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	check "commands run at the same time" wait "$pid"
done
check "and all of them" [ "$(guest 'cat /tmp/par.? | xargs')" = "1 2 3 4" ]

check "the guest sees the sources" guest cmp /src/selftests/lab/lib.sh - </src/selftests/lab/lib.sh
check "and cannot write there" [ "$(code_of guest 'touch /src/x 2>/dev/null')" != 0 ]
check "nor can the host" [ "$(code_of touch /src/x 2>/dev/null)" != 0 ]
check "the guest has a scratch disk" guest 'dd if=/dev/zero of=/scratch/x bs=1M count=8 2>/dev/null'

head -c 3000000 /dev/urandom >/tmp/big
cp /tmp/big "$RESULTS/from-host"
guest 'head -c 3000000 /dev/urandom >/tmp/big; cp /tmp/big /results/from-guest'
(cd "$RESULTS" && sha256sum from-host from-guest) >"$RESULTS/sums.seen"
{
	sha256sum </tmp/big | sed 's/-/from-host/'
	guest 'sha256sum </tmp/big' | sed 's/-/from-guest/'
} >"$RESULTS/sums"
check "results are whole" cmp "$RESULTS/sums" "$RESULTS/sums.seen"

check "waiting fails when the time is up" [ "$(code_of wait_for 1 false)" = 1 ]
guest_kill
check "a killed guest is dead" [ "$(code_of guest_alive)" != 0 ]
check "commands for a dead guest fail" [ "$(code_of guest true 2>/dev/null)" = 255 ]

in_vm1()
{
	GUEST=vm1 "$@"
}

# Booted or restored, each is another one, and lives now.
draw()
{
	guest 'cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id' >>/tmp/drawn
}

# all_differ N: what was drawn is N lines
all_differ()
{
	[ "$(sort -u /tmp/drawn | grep -c .)" = "$1" ]
}

is_late()
{
	[ $(($(date +%s) - $(guest date +%s))) -gt 5 ]
}

for i in 1 2; do
	guest_start
	check "the guest comes up again" guest_wait
	check "by its name" [ "$(guest hostname)" = vm0 ]
	draw
	check "with random numbers of its own" all_differ $((2 * i))
	check "and this time" eval '! is_late'
	check "the guest shuts down" guest_shutdown
done
in_vm1 guest_start
check "another guest comes up" in_vm1 guest_wait
check "by its name" [ "$(in_vm1 guest hostname)" = vm1 ]
check "and shuts down" in_vm1 guest_shutdown

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "ivring tune" says of machines that are made up of files: test-advice.sh MEMRUN. TAP.

# What is quoted is for eval.
# shellcheck disable=SC2016
set -uo pipefail
memrun=$(realpath "$1")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../tap.sh
. "$here/../tap.sh"

dir=$(mktemp -d /tmp/ivring-advice-XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export MEMRUN_ROOT=$dir
link=sys/class/ivring/ivring0

# put PATH TEXT...: a file of the machine, a line for each TEXT
put()
{
	mkdir -p "$dir/m/$(dirname "$1")" && printf '%s\n' "${@:2}" >"$dir/m/$1"
}

cache()
{
	local index=sys/devices/system/cpu/cpu0/cache/index$1

	put "$index/level" "$2"
	put "$index/type" "$3"
	put "$index/size" "$4"
}

# A host with a link and its QEMU, where nothing is to be changed
machine()
{
	local c

	rm -rf "$dir/m"
	put proc/cpuinfo "processor : 0" "model name	: A \"fast\" CPU" "flags		: fpu sse2"
	put proc/sys/kernel/osrelease 6.1.0-56-amd64
	put sys/devices/system/cpu/online 0-2,4
	put sys/devices/system/node/online 0
	cache 0 1 Data 48K
	cache 1 1 Instruction 32K
	cache 2 2 Unified 1024K
	cache 3 3 Unified 32M
	put sys/devices/system/clocksource/clocksource0/current_clocksource tsc
	put sys/devices/system/cpu/cpu0/cpufreq/scaling_governor performance
	put sys/module/ivring/parameters/spin_max_ns 1000000
	put sys/module/kvm/parameters/halt_poll_ns 200000
	put $link/label vm0
	put $link/transport host
	put $link/memory_type write-back
	put $link/user_memory_type unknown
	put $link/channels 2
	put $link/vectors 3
	put $link/stats/late 0
	put $link/stats/restored 0
	for c in 0 1; do
		put ${link}c$c/state closed
		put ${link}c$c/window 2097152
		put ${link}c$c/spin_max_ns 4294967295
		put ${link}c$c/stats/rescued 0
		put ${link}c$c/stats/spins 100000
		put ${link}c$c/stats/spins_paid 90000
	done
	put proc/77/comm qemu-system-x86
	put proc/77/status "Name:	qemu-system-x86" "Mems_allowed_list:	0"
	put proc/77/smaps "7f0000000000-7f0000200000 rw-s 00000000 00:01 5    /memfd:ivring-vm0 (deleted)" \
		"Size:      65536 kB" "KernelPageSize:     2048 kB" "MMUPageSize: 2048 kB"
	for c in 0 1; do
		put proc/77/task/8$c/comm "CPU $c/KVM"
		put proc/77/task/8$c/status "Cpus_allowed_list:	$c"
	done
	put proc/78/comm bash
}

tune()
{
	"$memrun" tune --root "$dir/m" "$@"
}

# says CODE ID URGENT [SUBJECT]: that is all it says
says()
{
	local code=0 said

	said=$(tune --json 2>&1) || code=$?
	[ $code = "$1" ] && [ "$(jq -r 'select(.type == "advice") | "\(.id) \(.urgent) \(.subject)"' \
		<<<"$said")" = "$2 $3 ${4:-}" ] && return
	echo "code $code: $said"
	return 1
}

# after WHAT PATH TEXT... -- CODE ID URGENT [SUBJECT]
after()
{
	local what=$1 file=$2 text=()

	shift 2
	while [ "$1" != -- ]; do
		text+=("$1")
		shift
	done
	shift
	machine
	put "$file" "${text[@]}"
	ok "$what" says "$@"
}

quiet()
{
	[ "$(tune)" = "0 to change, 0 hints" ]
}

machine
ok "a machine that is well" quiet
if ! command -v jq >/dev/null; then
	skip "what is said" "no jq"
	tap_end
fi
ok "what it is" eval 'tune --json | head -n 1 | jq -e ".type == \"machine\" and .links == 1 and
	.cpus == 4 and .nodes == 1 and .l1 == 49152 and .l2 == 1048576 and .l3 == 33554432 and
	.cpu == \"A \\\"fast\\\" CPU\" and .kernel == \"6.1.0-56-amd64\" and .hypervisor == \"none\""'
put proc/cpuinfo "flags : fpu hypervisor"
put sys/devices/system/clocksource/clocksource0/available_clocksource "kvm-clock tsc"
ok "a guest of KVM" eval 'tune --json | jq -e "select(.type == \"machine\") | .hypervisor == \"kvm\""'
put proc/cpuinfo "model name : QEMU TCG CPU version 2.5+" "flags : fpu"
ok "an emulated one" eval 'tune --json | jq -e "select(.type == \"machine\") | .hypervisor == \"tcg\""'

after "uncached memory" $link/memory_type uncached -- 25 memory-type true ivring0
after "and in programs" $link/user_memory_type uncached -- 25 user-memory-type true ivring0
after "vectors that channels share" $link/vectors 2 -- 25 vectors true ivring0
after "doorbells that make a storm" $link/stats/late 9 -- 25 storm true ivring0
after "memory that others write" $link/stats/restored 1 -- 25 overwritten true ivring0
after "a lost doorbell" ${link}c1/stats/rescued 1 -- 25 rescued true ivring0c1
after "a window beyond the cache" ${link}c1/window 33554432 -- 25 window true ivring0c1
after "a channel that never spins" ${link}c0/spin_max_ns 0 -- 25 spin-off true ivring0c0
after "nor does any" sys/module/ivring/parameters/spin_max_ns 0 -- 25 spin-off true
after "spins in vain" ${link}c0/stats/spins_paid 5000 -- 0 spins-in-vain false ivring0c0
after "one CPU" sys/devices/system/cpu/online 0 -- 25 one-cpu true
after "a slow clock" sys/devices/system/clocksource/clocksource0/current_clocksource hpet -- 25 clock true
after "a governor" sys/devices/system/cpu/cpu0/cpufreq/scaling_governor powersave -- 0 governor false
after "no polling" sys/module/kvm/parameters/halt_poll_ns 0 -- 0 halt-poll false
after "small pages" proc/77/smaps "7f0-7f2 rw-s 0 00:01 5    /memfd:ivring-vm0 (deleted)" \
	"KernelPageSize:        4 kB" -- 0 huge-pages false vm0
after "a CPU that is not pinned" proc/77/task/81/status "Cpus_allowed_list:	0-2,4" -- \
	0 pinning false vm0
ok "and which" eval '[[ $(tune) == *"# taskset -cp 1 81;"* ]]'

machine
put sys/devices/system/node/online 0-1
put proc/77/status "Mems_allowed_list:	0-1"
ok "two nodes" says 25 numa true vm0
put proc/77/status "Mems_allowed_list:	1"
ok "bound to one" quiet
machine
put proc/77/smaps "7f0-7f2 rw-s 0 00:01 5    /memfd:ivring-vm01 (deleted)" "KernelPageSize:  4 kB"
ok "another link's QEMU" quiet
machine
put sys/devices/system/cpu/online 0-1
put $link/channels 3
put $link/vectors 4
for c in 0 1 2; do
	put ${link}c$c/state connected
done
put proc/77/comm other
ok "more busy channels than CPUs" says 0 cpus false ivring0

machine
mkdir -p m/sys/class/ivring/ivring1
put sys/class/ivring/ivring1/label vm1
put sys/class/ivring/ivring1/transport guest
put sys/class/ivring/ivring1/memory_type uncached
ok "all links" says 25 memory-type true ivring1
ok "one of them, by label" eval '[ "$(tune vm0)" = "0 to change, 0 hints" ]'
ok "by number" fails 25 "1 to change" tune 1
ok "by node" fails 25 "1 to change" tune /dev/ivring1
ok "the only one of a guest" fails 25 "1 to change" tune host
rm m/sys/class/ivring/ivring1/transport
ok "one that cannot be looked at" fails 19 "not for this user" tune vm1
ok "one that there is not" fails 3 "no such link" tune vm2
ok "two links are one too many" fails 2 "one LINK" tune vm0 vm1
rm -r m/sys/class
ok "no links: about the machine" eval '[[ $(tune) == *"no links"*"0 to change"* ]]'
rm -r m
ok "nothing can be read" eval 'tune'

tap_end

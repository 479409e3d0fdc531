#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What comes and goes, over and over, with data in between, and nothing of it left in
# memory:
#
#   modules.sh [KIND [ROUNDS]]
#
#   loop	modules with loop links, in use or not, are loaded and unloaded
#   host	a link is attached and detached while it is in use
#   pair	the guest's modules are loaded and unloaded
#   bind	the guest's device is bound and unbound while both sides use it

# What is quoted is for a shell in the guest; the checks are called through ok().
# shellcheck disable=SC2016,SC2086,SC2317
set -uo pipefail
# shellcheck source=../pair/pair.sh
. /src/selftests/pair/pair.sh

KIND=${1:-loop}
# A round in a guest takes seconds.
case $KIND in
pair | bind) LOOPS=${2:-20} ;;
*) LOOPS=${2:-50} ;;
esac
USERS=/src/build/selftests/users
KMEMLEAK=/sys/kernel/debug/kmemleak

# All of one build, should the clone be built anew meanwhile
KO=/tmp/ko

load_loop()
{
	insmod $KO/ivring.ko && insmod $KO/ivring_loop.ko "$@"
}

unload_loop()
{
	rmmod ivring_loop && rmmod ivring
}

loaded()
{
	grep -q '^ivring' /proc/modules
}

# transfer FILE FROM TO: both channel nodes on this machine
transfer()
{
	local sum reader

	sum=$(md5sum <"$1")
	md5sum <"$3" >/tmp/sum &
	reader=$!
	cat "$1" >"$2" && wait $reader && [ "$(cat /tmp/sum)" = "$sum" ]
}

# Both ends have taken leave, so that nobody holds the module any more.
at_rest()
{
	! grep -qv '^closed$' /sys/class/ivring/ivring?c*/state
}

loop_once()
{
	load_loop pairs=2 &&
		transfer /tmp/data /dev/ivring0c1 /dev/ivring1c1 &&
		transfer /tmp/data /dev/ivring3c0 /dev/ivring2c0 &&
		wait_for 5 at_rest &&
		unload_loop
}

# rounds CMD... N: N times CMD
rounds()
{
	local n=${*: -1} i

	set -- "${@:1:$#-1}"
	for ((i = 1; i <= n; i++)); do
		"$@" || {
			echo "# round $i of $n"
			return 1
		}
	done
}

# KiB that the kernel has for itself, once it gave back what it could.
kernel_memory()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^(Slab|VmallocUsed|PageTables|KernelStack|Percpu):/ { n += $2 } END { print n }' \
		/proc/meminfo
}

# MemAvailable as well: the regions' pages are in none of the above. Not beside a
# guest, though, whose own memory comes and goes.
missing_memory()
{
	if [ -n "${serve_pid:-}" ]; then
		echo 0
	else
		awk '/^MemTotal:/ { n += $2 } /^MemAvailable:/ { n -= $2 } END { print n }' \
			/proc/meminfo
	fi
}

# KiB of freed memory that KASAN holds back, a 32nd of all at most (mm/kasan/quarantine.c);
# kmemleak, which those kernels have, is no worse at finding leaks.
quarantine()
{
	grep -q ' kasan_quarantine_put$' /proc/kallsyms || { echo 0 && return; }
	awk '/^MemTotal:/ { print int($2 / 32) }' /proc/meminfo
}

kmemleak_clear()
{
	[ ! -w $KMEMLEAK ] || echo clear >$KMEMLEAK
}

# The scan's own word, where this kernel has it: it says nothing on success.
kmemleak_silent()
{
	[ -w $KMEMLEAK ] || return 0
	echo scan >$KMEMLEAK
	echo scan >$KMEMLEAK
	! grep -A 20 unreferenced $KMEMLEAK
}

# no_leak ROUNDS KIB CMD...: CMD N does N rounds. The first ones fill caches, the others
# must not take more than KIB for each of them. What else takes memory in this VM does not
# do so a second time; a leak does.
no_leak()
{
	local n=$1 limit=$(($1 * $2 + $(quarantine))) kernel missing try
	shift 2

	"$@" 5 || return
	kmemleak_clear
	for try in 1 2; do
		kernel=$(kernel_memory) missing=$(missing_memory)
		"$@" "$n" || return
		# Some of it is freed in the background.
		if wait_for 10 memory_within $((kernel + limit)) $((missing + limit + 8192)); then
			kmemleak_silent
			return
		fi
		echo "# try $try: kernel $kernel -> $(kernel_memory) KiB, missing" \
			"$missing -> $(missing_memory) KiB in $n rounds"
	done
	return 1
}

memory_within()
{
	[ "$(kernel_memory)" -lt "$1" ] && [ "$(missing_memory)" -lt "$2" ]
}

not()
{
	! "$@" 2>/dev/null
}

refused()
{
	if insmod $KO/ivring_loop.ko "$@" 2>/dev/null; then
		rmmod ivring_loop
		return 1
	fi
	# Nothing of what was set up before the refusal is left.
	[ -z "$(ls -A /sys/class/ivring)" ]
}

loop_tests()
{
	local i

	head -c 3000000 /dev/urandom >/tmp/data
	mkdir -p $KO
	cp "$LAB_MODULES"/kmod-core/*.ko $KO/

	# A region is 16 MiB and a pair has one: a leak of it would be seen at once.
	ok "$((LOOPS / 4)) rounds of loop links leave no memory behind" \
		no_leak "$((LOOPS / 4))" 8 rounds loop_once
	ok "$LOOPS rounds with users, who keep them from being unloaded" \
		no_leak "$LOOPS" 8 $USERS loop $KO

	insmod $KO/ivring.ko
	for i in pairs=0 pairs=9 vectors=0 vectors=257 channels=0 channels=33 size=0 size=4096 \
		size=12345 size=100663296 "size=65536 channels=32"; do
		ok "no loop link with $i" refused $i
	done
	for i in "pairs=8 size=65536 channels=1 vectors=1" "channels=32 vectors=256" \
		"size=268435456 channels=1"; do
		ok "loop links with $i" insmod $KO/ivring_loop.ko $i
		ok "carry data" transfer /tmp/data /dev/ivring0c0 /dev/ivring1c0
		ok "and go away" rmmod ivring_loop
	done
	ok "insmod twice is refused" not eval \
		'insmod $KO/ivring_loop.ko && insmod $KO/ivring_loop.ko'

	exec 5<>/dev/ivring0c0
	ok "with a channel open: no rmmod" not rmmod ivring_loop
	ok "nor of the core" not rmmod ivring
	exec 6</dev/ivring1
	exec 5>&-
	ok "with a link open: no rmmod" not rmmod ivring_loop
	exec 6>&-
	ok "with nothing open: rmmod" rmmod ivring_loop
	ok "and of the core" rmmod ivring
}

host_tests()
{
	ok "the modules load" load_host
	ok "attached and detached $LOOPS times with users, who all notice" \
		no_leak "$LOOPS" 8 $USERS host
	ok "with nothing open: rmmod" unload_host
}

# ---- host and guest ----

# to_guest, from_guest: /tmp/data through channel 3, which no agent uses
to_guest()
{
	local sum reader

	sum=$(md5sum <"/tmp/data")
	guest 'md5sum </dev/ivring0c3' >/tmp/sum &
	reader=$!
	cat /tmp/data >/dev/ivring0c3 && wait $reader && [ "$(cat /tmp/sum)" = "$sum" ]
}

from_guest()
{
	local sum reader

	md5sum </dev/ivring0c3 >/tmp/sum &
	reader=$!
	sum=$(guest 'head -c 3000000 /dev/urandom >/tmp/data; cat /tmp/data >/dev/ivring0c3;
		md5sum </tmp/data')
	wait $reader && [ "$(cat /tmp/sum)" = "$sum" ]
}

guest_at_rest()
{
	guest '! grep -qv "^closed$" /sys/class/ivring/ivring0c*/state'
}

pair_once()
{
	load_guest && wait_for 10 link_is up && to_guest && from_guest &&
		wait_for 10 guest_at_rest && unload_guest && wait_for 10 link_is waiting
}

guest_kernel_memory()
{
	guest "$(declare -f kernel_memory); kernel_memory"
}

guest_memory_below()
{
	[ $(($(guest_kernel_memory) - $1)) -lt "$2" ]
}

# bind_rounds N: the guest unbinds, while on the host others use the link, too
bind_rounds()
{
	local peer

	$USERS peer vm0 "$1" &
	peer=$!
	guest "$USERS guest $device $1" && wait $peer
}

# guest_no_leak CMD...: as no_leak, on both sides
guest_no_leak()
{
	local before limit

	"$@" 3 || return
	before=$(guest_kernel_memory)
	limit=$(((LOOPS + 5) * 32 + $(guest "$(declare -f quarantine); quarantine")))
	no_leak "$LOOPS" 16 "$@" || return
	wait_for 10 guest_memory_below "$before" $limit && return
	echo "# guest: $before -> $(guest_kernel_memory) KiB"
	return 1
}

# What the guest's kernel logged as a warning or worse, but for what any module
# brings about, and what a busy machine does to an emulated one.
guest_complaints()
{
	guest 'dmesg --level=emerg,alert,crit,err,warn' |
		grep -v 'loading out-of-tree module\|module verification failed\|MB/s only' |
		grep -v 'hrtimer: interrupt took\|clocksource: '
}

guest_is_quiet()
{
	diff "$RESULTS/complaints" <(guest_complaints) | grep -m 10 '^[<>]' |
		sed 's/^/# /'
	[ "${PIPESTATUS[1]}" != 0 ]
}

# The guest's module goes while the host's end is asleep in read(2).
reader_is_told()
{
	local reader code=0

	load_guest && wait_for 10 link_is up || return
	guest 'exec 5<>/dev/ivring0c3; sleep infinity' &
	dd if=/dev/ivring0c3 of=/dev/null bs=1 2>/tmp/dd.log &
	reader=$!
	wait_for 10 grep -q connected /sys/class/ivring/ivring0c3/state || return
	# With the node open the module stays; its driver can be taken off by force.
	guest 'rmmod ivring_guest' 2>/dev/null && return 1
	guest 'cd /sys/bus/pci/drivers/ivring_guest && for d in 0000:*; do echo $d >unbind; done' ||
		return
	wait_for 10 link_is waiting || return
	wait $reader || code=$?
	guest 'pkill sleep' || :
	[ $code != 0 ] && grep -qi 'reset by peer' /tmp/dd.log && unload_guest
}

# pair_begins [SERVE ARGS]
pair_begins()
{
	ok "the host's modules load" load_host
	ok "the server starts" serve_start "$@"
	ok "the guest starts" eval 'guest_device && guest_wait'
	ok "with a link: no rmmod" not rmmod ivring_host
	guest_complaints >"$RESULTS/complaints"
}

pair_ends()
{
	ok "the guest's kernel does not complain" guest_is_quiet
	ok "the guest goes" guest_shutdown
	ok "the server stops" serve_stop
	ok "the host's modules go" unload_host
}

pair_tests()
{
	head -c 3000000 /dev/urandom >/tmp/data
	pair_begins
	ok "$LOOPS rounds in the guest leave no memory behind" guest_no_leak rounds pair_once
	ok "a driver that is unbound resets the peer" reader_is_told
	pair_ends
}

# Users touch all of their mappings: small ones take them less time.
bind_tests()
{
	pair_begins --size 1M
	ok "the guest's modules load" load_guest
	device=$(guest 'cd /sys/bus/pci/drivers/ivring_guest && echo 0000:*')
	guest "echo $device >/sys/bus/pci/drivers/ivring_guest/unbind"
	ok "bound and unbound $LOOPS times with users, who all notice" guest_no_leak bind_rounds
	ok "the guest's modules go" unload_guest
	pair_ends
}

case $KIND in
loop | host | pair | bind) "${KIND}_tests" ;;
*) echo "usage: $0 [loop|host|pair|bind [ROUNDS]]" >&2; exit 2 ;;
esac
ok "nothing is left loaded" not loaded
plan

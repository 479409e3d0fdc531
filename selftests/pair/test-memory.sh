#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The shared memory is mapped write-back in the guest's kernel and in its user
# space, wherever firmware put the BAR and whatever its size. The module's word
# for it is held against the page tables as QEMU sees them.

# What is quoted is for a shell in the guest; the checks are called through ok().
# shellcheck disable=SC2016,SC2317
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh
# shellcheck source=memory.sh
. /src/selftests/pair/memory.sh

# Where firmware puts a BAR is what this is about.
export GUEST_BOOT=1
TOUCH=/src/build/selftests/touch

# serve_link NAME ARGS...
serve_link()
{
	local name=$1

	shift
	setsid "$IVRING" serve "$@" "$name" >"$RESULTS/serve-$name.log" 2>&1 </dev/null &
	servers+=($!)
	wait_for 10 grep -qs 'serve: ready$' "$RESULTS/serve-$name.log"
}

# guest_with NAME...: a guest with these links, and its modules
guest_with()
{
	try_guest_with "$@" || { echo "Bail out! no guest with $*"; exit 1; }
}

try_guest_with()
{
	local args=() name

	for name; do
		args+=(-chardev "socket,path=/run/ivring/$name.sock,id=$name"
			-device "ivshmem-doorbell,chardev=$name,vectors=$PAIR_VECTORS")
	done
	guest_start "${args[@]}" && guest_wait && load_guest &&
		guest 'cat >/tmp/memory.sh' </src/selftests/pair/memory.sh
}

in_guest()
{
	guest ". /tmp/memory.sh; $*"
}

is()
{
	[ "$1" = "$2" ] && return
	echo "# '$1' is not '$2'"
	return 1
}

up()
{
	[ "$(attr "$1" state)" = up ]
}

# both_ways NAME: bytes through a channel of the link, in and out
both_ways()
{
	local here there sum

	here=/dev/$(link_of "$1")c2
	there=/dev/$(in_guest link_of "$1")c2
	sum=$(md5sum <"$data")
	timeout $((90 * LAB_SLOW)) bash -c '. /src/selftests/lab/lib.sh; guest "$0"' "cat $there >/tmp/in; md5sum </tmp/in; cat /tmp/in >$there" >/tmp/sum &
	timeout $((60 * LAB_SLOW)) cat "$data" >"$here" &&
		[ "$(timeout $((60 * LAB_SLOW)) md5sum <"$here")" = "$sum" ] && wait $! &&
		[ "$(cat /tmp/sum)" = "$sum" ]
}

# entries PHYS: a page of page tables, an entry a line
entries()
{
	guest_monitor "$(printf 'xp /512gx 0x%x' "$1")" | sed 's/^[^:]*://' |
		tr -s ' ' '\n' | grep 0x
}

# table_of ROOT SHIFT VIRT: the page of page tables, of the last level, that maps
# an address; with entries of 2 MiB the entry itself
table_of()
{
	local table=$1 shift=$2 entry

	for (( ; shift > 12; shift -= 9)); do
		entry=$(entries "$table" | sed -n "$((($3 >> shift & 511) + 1))p")
		(((entry & 5) == 5 && !(entry & 0x80))) || return
		table=$((entry & 0xffffffffff000))
	done
	echo "$table"
}

# pages_of BAR-START BAR-END ROOT SHIFT VIRT SIZE: how many pages of a mapping are
# there for user space and in the BAR, and how many of these have a bit that
# disables caches (PCD or PWT; Intel SDM volume 3, 4.9)
pages_of()
{
	local at=$5 end=$(($5 + $6)) table phys pages=0 bad=0 i last

	while ((at < end)); do
		table=$(table_of "$3" "$4" "$at") || break
		mapfile -t table < <(entries "$table")
		i=$((at >> 12 & 511))
		last=$((i + (end - at >> 12)))
		for ((at += (512 - i) << 12; i < 512 && i < last; i++)); do
			phys=$((table[i] & 0xffffffffff000))
			((table[i] & 1 && table[i] & 4 && phys >= $1 && phys <= $2)) || continue
			((pages++))
			((!(table[i] & 0x18) || ++bad))
		done
	done
	echo "$pages $bad"
}

# user_pages NAME: a program has all of a channel mapped and runs on CPU 0, whose
# page tables QEMU shows. All those pages are there for user space, none with a
# cache disabling bit. ("info tlb" would list the rest of the guest's memory, too,
# with the guest standing still for minutes.)
user_pages()
{
	local got tx rx size start end cr3 cr4 in pid

	coproc TOUCHER { guest "$TOUCH /dev/$(in_guest link_of "$1")c3"; }
	# Bash forgets these when the program ends.
	in=${TOUCHER[1]} pid=$TOUCHER_PID
	read -r -t $((60 * LAB_SLOW)) tx rx size <&"${TOUCHER[0]}" || return
	read -r start end < <(in_guest bar "$1")
	for _ in 1 2 3 4 5; do
		read -r cr3 cr4 < <(guest_monitor info registers |
			sed -n 's/.*CR3=\([0-9a-f]*\) CR4=\([0-9a-f]*\).*/0x\1 0x\2/p')
		got=$(for at in "$tx" "$rx"; do
			pages_of "0x$start" "0x$end" "$((cr3 & 0xffffffffff000))" \
				"$((cr4 & 0x1000 ? 48 : 39))" "$at" "$((size))"
		done | tr '\n' ' ')
		# Another process may have been on that CPU just then.
		[[ $got == "0 0"* ]] || break
	done
	eval "exec $in>&-"
	wait "$pid" || return
	is "$got" "$((size >> 12)) 0 $((size >> 12)) 0 "
}

# Each size as far as it goes: kernel, program, bytes.
link_tests()
{
	local name=$1 where=$2 pages=$3

	ok "$name: the link is up" wait_for 10 up "$name"
	ok "$name: the BAR is $where 4 GiB" in_guest bar_is "$name" "$where"
	ok "$name: struct pages: $pages" is "$(in_guest "has_pages $name && echo yes || echo no")" \
		"$pages"
	ok "$name: write-back in the kernel" is "$(in_guest attr "$name" memory_type)" write-back
	ok "$name: no user mapping, no word on it" \
		is "$(in_guest attr "$name" user_memory_type)" unknown
	ok "$name: write-back in user space, says QEMU" user_pages "$name"
	ok "$name: and says the module" is "$(in_guest attr "$name" user_memory_type)" write-back
	ok "$name: write-back on the host" is "$(attr "$name" memory_type)" write-back
	ok "$name: bytes go both ways" both_ways "$name"
}

servers=()
data=/tmp/data
head -c 5000000 /dev/urandom >$data
load_host
ok "a link of 1 MiB is served" serve_link m1 --size 1M
ok "a link of 2 MiB is served" serve_link m2 --size 2M
ok "a link of 64 MiB is served" serve_link m64
ok "a guest boots, with SeaBIOS" guest_with m1 m2 m64
link_tests m1 below no
link_tests m2 below yes
link_tests m64 below yes
ok "its module unloads" unload_guest
ok "the guest goes" guest_shutdown

# The first has memory for its rings only; all of the other would have to be there.
used=$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)
ok "a link of 16 GiB is served" serve_link big --size 16G --ring-size 1M
ok "it takes no more memory than its rings" \
	[ $((used - $(awk '/^MemAvailable/ { print $2 }' /proc/meminfo))) -lt 65536 ]
ok "as is one of 16 GiB of rings, for two VMs" serve_link full --size 16G -c 1 --no-host \
	--vectors "$PAIR_VECTORS"
ok "a guest boots with those" guest_with m1 big full
link_tests m1 above no
link_tests big above yes
ok "full: the BAR is above 4 GiB" in_guest bar_is full above
ok "full: larger than RAM, so no struct pages" \
	is "$(in_guest 'has_pages full && echo yes || echo no')" no
ok "full: write-back in the kernel" is "$(in_guest attr full memory_type)" write-back
ok "its module unloads, too" unload_guest
ok "nobody complained about the memory" \
	guest '! dmesg | grep -iE "uncached|MB/s only|memtype|reserve_"'
guest_shutdown
kill "${servers[@]}"
wait
ok "the host's modules unload" unload_host
plan

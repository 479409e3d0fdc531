#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Many at once: eight links of one host, sixteen channels each, with fewer doorbell
# vectors than channels, to two guests, or to eight at full length; and a link between
# the first two guests, of which the host's modules know nothing. Transfers on all of
# them at the same time.

# What is quoted is for a shell in the guest; the checks are called through ok().
# shellcheck disable=SC2016,SC2317
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

LINKS=8
GUESTS=(vm0 vm1)
! long || GUESTS=(vm{0..7})
EACH=$((LINKS / ${#GUESTS[@]}))
CHANNELS=16
VECTORS=3
# What a guest is to have; more of it takes longer to boot.
export GUEST_CPUS=1 GUEST_MEM=512M
! long || GUEST_MEM=320M

in_guest()
{
	GUEST=$1 "${@:2}"
}

# each CMD...: in every guest
each()
{
	local g

	for g in "${GUESTS[@]}"; do
		in_guest "$g" "$@" || return
	done
}

# others CMD...: in every guest but the first
others()
{
	local g

	for g in "${GUESTS[@]:1}"; do
		in_guest "$g" "$@" || return
	done
}

device()
{
	printf '%s\n' -chardev "socket,path=/run/ivring/$1.sock,id=$1" \
		-device "ivshmem-doorbell,chardev=$1,vectors=$VECTORS"
}

# Guest number N has EACH links from vmN*EACH on; the first two that between guests, too.
guests_start()
{
	local n i args

	for ((n = 0; n < ${#GUESTS[@]}; n++)); do
		mapfile -t args < <(for ((i = n * EACH; i < (n + 1) * EACH; i++)); do
			device "vm$i"
		done; [ $n -ge 2 ] || device between)
		in_guest "${GUESTS[n]}" guest_start "${args[@]}" || return
	done
}

# The server of a link between guests is another process, and needs no module.
between_start()
{
	setsid "$IVRING" serve --no-host --channels $CHANNELS --vectors $VECTORS --size 32M \
		between >"$RESULTS/between.log" 2>&1 </dev/null &
	between_pid=$!
	wait_for 10 grep -q 'serve: ready$' "$RESULTS/between.log"
}

between_stop()
{
	kill "$between_pid" && wait "$between_pid"
}

states()
{
	cat /sys/class/ivring/ivring?/state | sort | uniq -c | xargs
}

states_are()
{
	[ "$(states)" = "$1" ]
}

guest_states_are()
{
	[ "$(guest "$(declare -f states); states")" = "$1" ]
}

# In the guest of GUEST, all its links
guest_is_up()
{
	# shellcheck disable=SC2153 # in_guest sets it
	case $GUEST in
	vm[01]) guest_states_are "$((EACH + 1)) up" ;;
	*) guest_states_are "$EACH up" ;;
	esac
}

# on_links FIRST LAST PUSH|PULL: at once; each has content of its own
on_links()
{
	local i pids=() bad=0

	for ((i = $1; i <= $2; i++)); do
		case $3 in
		push) "$IVRING" push --quiet "/tmp/in$i" "vm$i:out$i" ;;
		pull) "$IVRING" pull --quiet "vm$i:out$i" "/tmp/back$i" ;;
		esac 2>>"$RESULTS/commands.log" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || bad=1
	done
	return $bad
}

# came_back FIRST LAST: whole
came_back()
{
	local i

	for ((i = $1; i <= $2; i++)); do
		cmp "/tmp/in$i" "/tmp/back$i" && rm "/tmp/back$i" || return
	done
}

# between_once NAME: to the other guest and back
between_once()
{
	guest "$IVRING push --quiet /tmp/in between:$1 &&
		$IVRING pull --quiet between:$1 /tmp/back && cmp /tmp/in /tmp/back"
}

# Both ways, while the host uses all of its links
between_and_all()
{
	local pids=() bad=0 g

	for g in vm0 vm1; do
		in_guest "$g" between_once "from-$g" &
		pids+=($!)
	done
	on_links 0 $((LINKS - 1)) push || bad=1
	for g in "${pids[@]}"; do
		wait "$g" || bad=1
	done
	return $bad
}

# Every channel of a link but the first two, which are the agents': a word there and
# back on all at once, by vectors that several of them share
channels_work()
{
	local c answer fds=() fd link
	link=$(guest 'grep -lx vm0 /sys/class/ivring/ivring?/label')
	link=${link%/label}

	guest "for c in \$(seq 2 $((CHANNELS - 1))); do
		(exec 3<>/dev/${link##*/}c\$c; read -r word <&3; echo \"\$word\" >&3
		 read -r end <&3) >/dev/null 2>&1 </dev/null &
	done"
	link=$(grep -lx vm0 /sys/class/ivring/ivring?/label)
	link=${link%/label}
	for ((c = 2; c < CHANNELS; c++)); do
		exec {fd}<>"/dev/${link##*/}c$c" || return
		echo "hello $c" >&"$fd"
		fds[c]=$fd
	done
	for ((c = CHANNELS - 1; c >= 2; c--)); do
		fd=${fds[c]}
		read -r -t $((20 * LAB_SLOW)) answer <&"$fd"
		exec {fd}>&-
		[ "$answer" = "hello $c" ] || return
	done
}

rescued()
{
	awk '{ n += $1 } END { print NR ? n + 0 : "unknown" }' /sys/class/ivring/ivring?c*/stats/rescued
}

guest_rescued()
{
	[ "$(guest "$(declare -f rescued); rescued")" = 0 ]
}

for ((i = 0; i < LINKS; i++)); do
	head -c 4M /dev/urandom >"/tmp/in$i"
done

ok "the host's modules" load_host
ok "a server of $LINKS links" serve_start --channels $CHANNELS --vectors $VECTORS \
	--size 32M vm1 vm2 vm3 vm4 vm5 vm6 vm7
ok "a server of one between guests" between_start
ok "no guest yet: all wait" states_are "$LINKS waiting"
ok "the guests" guests_start
ok "all of them boot" each guest_wait
ok "the first one's modules" in_guest vm0 load_guest
ok "it waits for the second, and for nobody else" \
	wait_for 10 in_guest vm0 guest_states_are "$EACH up 1 waiting"
ok "so do the others' links" states_are "$EACH up $((LINKS - EACH)) waiting"
ok "the others' modules" others load_guest
ok "all are up on the host" wait_for 20 states_are "$LINKS up"
ok "and in the guests" wait_for 20 each guest_is_up
ok "an agent in each, for all of its links" each guest_agent
each guest 'head -c 4M /dev/urandom >/tmp/in'

ok "push on all at once" on_links 0 $((LINKS - 1)) push
ok "pull on all at once" on_links 0 $((LINKS - 1)) pull
ok "everything came back whole" came_back 0 $((LINKS - 1))
ok "between guests both ways, and push on all" between_and_all
ok "every channel of a link works, by $VECTORS vectors" channels_work
ok "no wake-up was rescued" [ "$(rescued)" = 0 ]
ok "nor in the guests" each guest_rescued

ok "a guest is killed" in_guest vm1 guest_kill
ok "the host sees it" wait_for 10 states_are "$((LINKS - EACH)) up $EACH waiting"
ok "so does the other guest" \
	wait_for 10 in_guest vm0 guest_states_are "$EACH up 1 waiting"
ok "whose links go on" on_links 0 $((EACH - 1)) pull
ok "whole" came_back 0 $((EACH - 1))
ok "the others are killed, too" others guest_kill
ok "all goes down" pair_down
ok "and the other server" between_stop
plan

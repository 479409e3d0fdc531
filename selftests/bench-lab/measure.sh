# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0
#
# The rounds of bench.sh: every system once in each, so that a noisy machine is noisy for
# all alike; every other round the other way about.

# Content is new in each round: what is left of an earlier one does not pass for it.
new_content()
{
	local size

	rm -f "$SHARE/in"* && head -c $((MIB << 20)) /dev/urandom >"$SHARE/in" || return
	quietly_guest "rm -f $ROOT/src*" || return
	"$IVRING" push --quiet "$SHARE/in" vm0:src || return
	for SYSTEM in "${systems[@]}"; do
		size=$(field max)
		if [ -z "$size" ] || [ "$size" -ge $((MIB << 20)) ] || [ -e "$SHARE/in-$size" ]; then
			continue
		fi
		head -c "$size" "$SHARE/in" >"$SHARE/in-$size"
		quietly_guest "head -c $size $ROOT/src >$ROOT/src-$size" || return
	done
}

# names_for SYSTEM: sets IN, SRC, BYTES
names_for()
{
	local size

	IN=in SRC=src BYTES=$((MIB << 20))
	size=$(field max)
	if [ -n "$size" ] && [ "$size" -lt $BYTES ]; then
		IN=in-$size SRC=src-$size BYTES=$size
	fi
}

sample()
{
	echo "$1 $SYSTEM $2 $round $3 $TOOK" >>"$RESULTS/samples"
}

# arrived WAY: what the receiver has is what was sent, by a look at all of it
arrived()
{
	case $1 in
	push) [ "$(guest_hash_of "$ROOT/out")" = "${want[$IN]}" ] ;;
	pull) [ "$(hash_of "$SHARE/back")" = "${want[$IN]}" ] ;;
	esac
}

# one WAY: fails when the system must be left out from here on.
one()
{
	hook "$1" >/dev/null || return 0
	names_for
	if ! "try_$1"; then
		gave_up "$1 failed: $(tail -n 1 "$RESULTS/output")"
		return 1
	fi
	[ -n "${want[$IN]:-}" ] || want[$IN]=$(hash_of "$SHARE/$IN")
	if [ "$(field baseline)" != 1 ] && ! arrived "$1"; then
		gave_up "$1: other content than was sent"
		return 1
	fi
	sample bulk "$1" "$BYTES"
}

in_turns()
{
	if [ $((round % 2)) = 1 ]; then
		printf '%s\n' "${systems[@]}"
	else
		printf '%s\n' "${systems[@]}" | tac
	fi
}

# Both ways, of what still works
bulk_round()
{
	local turn left=() done=' '
	local -A want=()

	mapfile -t turn < <(in_turns)
	for SYSTEM in "${turn[@]}"; do
		one push && one pull && done+="$SYSTEM "
	done
	for SYSTEM in "${systems[@]}"; do
		[[ $done != *" $SYSTEM "* ]] || left+=("$SYSTEM")
	done
	systems=("${left[@]}")
}

# --- many files -----------------------------------------------------------

new_tree()
{
	rm -rf "$SHARE/tree" && mkdir -p "$SHARE/tree" || return
	# One process makes them all.
	head -c $((FILES * FILE_BYTES)) /dev/urandom |
		(cd "$SHARE/tree" && split -a 5 -d -b "$FILE_BYTES" - f) || return
	quietly_guest "rm -rf $ROOT/tree" && "$IVRING" push --quiet "$SHARE/tree" vm0:
}

tree_hash='cat f* | xxhsum -q -H64; ls | wc -l'

tree_of()
{
	(cd "$1" 2>/dev/null && eval "$tree_hash")
}

tree_arrived()
{
	case $1 in
	push) guest "cd $ROOT/out && { $tree_hash; }" </dev/null ;;
	pull) tree_of "$SHARE/back" ;;
	esac
}

# one_tree WAY: what fails here may still move large files.
one_tree()
{
	local want f

	f=$(hook "files_$1") || return 0
	want=$(tree_of "$SHARE/tree")
	guest_clear && host_clear || return
	# That of cp stays on its side.
	if [ "$(field baseline)" != 1 ]; then
		quietly_guest "mkdir $ROOT/out" && mkdir "$SHARE/back" || return
	fi
	if ! "$f"; then
		gave_up "files $1 failed: $(tail -n 1 "$RESULTS/output")"
	elif [ "$(field baseline)" != 1 ] && [ "$want" != "$(tree_arrived "$1")" ]; then
		gave_up "files $1: other content than was sent"
	else
		sample files "$1" $((FILES * FILE_BYTES))
	fi
}

files_round()
{
	local way

	[ "$FILES" -gt 0 ] || return 0
	new_tree || return
	for SYSTEM in $(in_turns); do
		for way in push pull; do
			one_tree $way
		done
	done
}

# --- memory to memory, and round trips ------------------------------------

BENCH_CHANNEL=6

# memory_round: ivring alone, from memory to memory, by each of its ways; by the fastest
# and the most usual where time is short
memory_round()
{
	local line="$IVRING bench --size 256M --runs 1 -c $BENCH_CHANNEL${QUICK:+ -w calls,user} vm0"

	SYSTEM=ivring-memory
	record guest "$IVRING bench --serve -c $BENCH_CHANNEL host"
	record host "$line"
	$line >"$RESULTS/bench.log" 2>&1 || return
	awk -v round="$round" '/^[a-z][a-z0-9_]* [0-9.]+$/ { print $1, round, $2 }' \
		"$RESULTS/bench.log" >>"$RESULTS/memory"
}

memory_serve()
{
	quietly_guest "setsid $IVRING bench --serve -c $BENCH_CHANNEL host \
		>/results/bench-server.log 2>&1 </dev/null &"
}

rtt_of()
{
	local ns

	SYSTEM=$1
	record host "$2"
	ns=$(eval "$2" 2>>"$RESULTS/output") || { gave_up "no round trips"; return; }
	echo "$1 $round $ns" >>"$RESULTS/rtt"
}

# The four peers of a round trip are in memory_round (ivring) and here.
rtt_round()
{
	local n=1000

	rtt_of rtt-vsock "$PEER ping vsock:3:7000 64 $n"
	rtt_of rtt-tcp "$PEER ping tcp:$GUEST_IP:7001 64 $n"
	rtt_of rtt-virtio-serial "$PEER ping unix:/run/bench-serial 64 $n"
}

# --- what no emulator distorts --------------------------------------------

bells()
{
	echo $(($(stat_of ivring0 doorbells) + $(guest_stat_of ivring0 doorbells)))
}

calls()
{
	strace -f -c -o "$RESULTS/calls" "$@" >/dev/null 2>&1 || return
	awk '$1 == "%" { for (i = 1; i <= NF; i++) if ($i == "calls") column = i - 1 }
		$NF == "total" { print $column }' "$RESULTS/calls"
}

# On one side, of a push and of a pull; doorbells of both sides
counts()
{
	local before n push pull

	before=$(bells)
	push=$(calls "$IVRING" push --quiet "$SHARE/in" vm0:counted) || return
	pull=$(calls "$IVRING" pull --quiet vm0:counted "$SHARE/back") || return
	rm "$SHARE/back"
	quietly_guest "rm $ROOT/counted"
	n=$(($(bells) - before))
	echo "doorbells_per_gib $((n * 1024 / (2 * MIB)))"
	echo "syscalls_per_gib $(((push > pull ? push : pull) * 1024 / MIB))"
	echo "push_syscalls_per_gib $((push * 1024 / MIB))"
	echo "pull_syscalls_per_gib $((pull * 1024 / MIB))"
}

# time_for_more: whether another round as long as the last fits into BUDGET, if there is one
time_for_more()
{
	local last=$((SECONDS - began))

	began=$SECONDS
	[ -z "$BUDGET" ] || [ "$round" = 1 ] || [ $((SECONDS + last)) -le "$BUDGET" ] || {
		note "no time for round $round: this machine is slow, or busy"
		return 1
	}
}

rounds()
{
	local began

	memory_serve
	round=0
	new_content || die "no content"
	counts >"$RESULTS/counts" || die "nothing was counted"
	began=$SECONDS
	for round in $(seq "$ROUNDS"); do
		time_for_more || break
		note "round $round of $ROUNDS, after $SECONDS s: ${systems[*]}"
		new_content || die "no content"
		bulk_round
		files_round || die "no tree"
		memory_round || die "no memory to memory: $(tail -n 1 "$RESULTS/bench.log")"
		rtt_round
	done
	guest_clear && host_clear
	quietly_guest 'pkill -f "bench --serve"'
	echo "rescued_wakeups $(($(rescued_total) + $(guest_rescued_total)))" >>"$RESULTS/counts"
}

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ivring watch on the real pair, with the agent in its sandbox: what changes on the host
# changes in the guest, also when its agent or the guest went away meanwhile. From close to visible
# takes no longer than a few pushes of such a file.

# What is quoted is for a shell in the guest.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

# Times a push of one file, by medians
BAR=3
ROUNDS=31
SIZE=$((1 << 20))
BURST=2000
here=$(mktemp -d /tmp/watch-XXXXXX)
mkdir "$here/src"

# Of a directory: names, kinds, modes, times and content
list='cd "$1" && find . -printf "%p %y %m %l %T@\n" | LC_ALL=C sort &&
	find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum'
same()
{
	[ "$(bash -c "$list" - "$here/src")" = "$(guest bash -c "$list" - "$PAIR_GUEST_ROOT/src")" ]
}

becomes_same()
{
	wait_for "${1:-30}" same
}

is_ready()
{
	grep -q '"type":"ready"' "$here/said" || [ ! -e "/proc/$watch_pid" ]
}

watch_start()
{
	"$IVRING" watch --json --perms "$@" "$here/src" vm0: >"$here/said" 2>>"$RESULTS/commands.log" &
	watch_pid=$!
	wait_for 30 is_ready && [ -e "/proc/$watch_pid" ]
}

watch_stop()
{
	kill "$watch_pid" && wait "$watch_pid"
}

# field NAME: of the summary
field()
{
	sed -nE 's/^\{"type":"summary".*"'"$1"'":([0-9.]+).*/\1/p' "$here/said"
}

# median: of numbers, one a line
median()
{
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# push_times COUNT: microseconds from start to end of the command; and within it, from
# before the link is opened to the agent's answer, by milliseconds
push_times()
{
	local i start

	: >"$here/command" && : >"$here/within"
	for ((i = 0; i < $1; i++)); do
		head -c "$SIZE" /dev/urandom >"$here/file" && start=$(date +%s%N) &&
			"$IVRING" push --json "$here/file" vm0:file >"$here/pushed" || return
		echo $((($(date +%s%N) - start) / 1000)) >>"$here/command"
		sed -nE 's/^\{"type":"summary".*"seconds":([0-9.]+).*/\1/p' "$here/pushed" >>"$here/within"
	done
}

# hot COUNT PAUSE: files that are written one after the other
hot()
{
	local i

	for ((i = 0; i < $1; i++)); do
		head -c "$SIZE" /dev/urandom >"$here/src/hot$((i % 7))" && sleep "$2" || return
	done
}

# within_bar P50
within_bar()
{
	awk -v a="$1" -v b="$push_us" -v bar=$BAR 'BEGIN { exit !(a != "" && a <= bar * b) }'
}

# latency WHAT PAUSE OPTION...: p50 of files one after the other, each while the link is
# idle. A machine that is busy with something else is asked again.
latency()
{
	local what=$1 pause=$2 series

	shift 2
	for series in 1 2 3; do
		ok "watch begins, $what" watch_start --delete "$@"
		ok "files that follow each other" hot $ROUNDS "$pause"
		ok "are there" becomes_same
		ok "watch ends" watch_stop
		p50_us=$(field latency_p50_us)
		echo "# close to visible, $what: p50 $p50_us us, p99 $(field latency_p99_us) us of $(field latency_count)"
		! within_bar "$p50_us" || break
		[ $series = 3 ] || echo "# is the machine busy? Once more"
	done
	ok "within $BAR pushes" within_bar "$p50_us"
}

burst()
{
	local i

	mkdir "$here/src/burst" || return
	for ((i = 0; i < BURST; i++)); do
		echo "$i" >"$here/src/burst/$i" || return
	done
}

ok "the pair comes up" pair_up
ok "pushes of one file" push_times $ROUNDS
push_us=$(median <"$here/command")
echo "# push of $SIZE bytes: the command $push_us us, within it $(median <"$here/within") s"

latency "the link held" 0.3
held_us=$p50_us
latency "the link let go" 0.3 --hold 0
let_go_us=$p50_us
echo "watch_p50_over_push $(awk -v a="$held_us" -v b="$push_us" 'BEGIN { printf "%.2f", a / b }')"
echo "watch_let_go_p50_over_push $(awk -v a="$let_go_us" -v b="$push_us" 'BEGIN { printf "%.2f", a / b }')"

ok "watch begins once more" watch_start --delete
start=$(date +%s%N)
ok "$BURST files" burst
ok "they are there" becomes_same 120
echo "# after $((($(date +%s%N) - start) / 1000000)) ms"
head -c 64M /dev/urandom >"$here/src/big"
ok "a big file" becomes_same
crossed=$(stat_of ivring0c0 tx_bytes)
mv "$here/src/big" "$here/src/burst/bigger" && mv "$here/src/burst" "$here/src/still"
ok "another name for it, and for its directory" becomes_same 60
crossed=$(($(stat_of ivring0c0 tx_bytes) - crossed))
ok "without its content: $crossed bytes" [ "$crossed" -lt 4000000 ]
rm -r "$here/src/still" && mkdir -p "$here/src/a/b/c" && ln -s c "$here/src/a/b/l"
ok "what is deleted is deleted" becomes_same 60

guest_agent_stop
echo late >"$here/src/late" && rm -f "$here/src/hot1" && mv "$here/src/hot2" "$here/src/a/hot"
ok "the agent starts again" guest_agent
ok "what changed meanwhile is there" becomes_same 60
hot 200 0.02 &
hot_pid=$!
ok "others have their turn" code_is 0 "$IVRING" push --quiet -t 3 "$here/file" vm0:beside
ok "while files change" kill -0 $hot_pid
wait $hot_pid
echo later >"$here/src/later"
ok "it goes on" becomes_same
ok "watch ends at last" watch_stop
echo "# $(grep '"type":"summary"' "$here/said")"
ok "nothing has failed" [ "$(field failed)" = 0 ]
ok "all goes down" pair_down
rm -rf "$here"
plan

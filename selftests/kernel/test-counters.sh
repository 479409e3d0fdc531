#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "ivring stat" and "ivring metrics" tell, in the lab's host VM on loop links.

# What is quoted is for later; the checks are called through ok().
# shellcheck disable=SC2016,SC2317
set -uo pipefail
# shellcheck source=../pair/pair.sh
. /src/selftests/pair/pair.sh

BYTES=20000000
# Exit codes, as ivring(1) lists them
USAGE=2
NO_LINK=3
DEST=9
OUT=/tmp/out

load_loop()
{
	insmod "$LAB_MODULES"/kmod-core/ivring_loop.ko "$@"
}

load()
{
	insmod "$LAB_MODULES"/kmod-core/ivring.ko && load_loop pairs=2
}

conversation()
{
	cat /dev/ivring1c1 >/tmp/arrived &
	head -c $BYTES /dev/zero >/dev/ivring0c1
	wait $!
}

# prints PATTERN CMD...: some line is that
prints()
{
	local pattern=$1

	shift
	"$@" >$OUT 2>&1 && grep -qE -- "$pattern" $OUT && return
	head -n 20 $OUT | sed 's/^/# /'
	return 1
}

traffic_start()
{
	cat /dev/ivring1c1 >/dev/null &
	reader=$!
	cat /dev/zero >/dev/ivring0c1 &
	writer=$!
}

traffic_stop()
{
	kill "$writer"
	wait "$writer" "$reader"
}

# Data moves while somebody watches: there are rates, of that channel alone. What is
# said adds up to what was counted.
watched()
{
	local ret

	traffic_start
	prints '^ +1 connected +[0-9]*[1-9][0-9]*\.[0-9] +0\.0 ' \
		"$IVRING" stat --watch --interval 0.2 --count 3 ivring0
	ret=$?
	traffic_stop
	[ $ret = 0 ] && [ "$(grep -c '^ CH ' $OUT)" = 3 ] && ! grep -q $'\e' $OUT &&
		[ "$(grep -cE '^ +0 closed +0\.0 +0\.0 ' $OUT)" = 3 ]
}

# Rates are per second, whatever the interval: a second's worth of what was counted
rates_true()
{
	local before after start end mean

	traffic_start
	before=$(stat_of ivring0c1 tx_bytes) start=$EPOCHREALTIME
	"$IVRING" stat --watch --interval 0.3 --count 4 ivring0 >$OUT
	after=$(stat_of ivring0c1 tx_bytes) end=$EPOCHREALTIME
	traffic_stop
	mean=$(awk '$1 == 1 { n += $3 } END { print n / 4 }' $OUT)
	echo "# $mean MB/s"
	awk -v mean="$mean" -v bytes=$((after - before)) -v us=$((${end/./} - ${start/./})) \
		'BEGIN { true = bytes / us; exit !(mean > 0.6 * true && mean < 1.6 * true) }'
}

on_terminal()
{
	TERM=${TERM_IS-xterm} script -qec "stty rows $1 cols $2
		$IVRING stat --watch --interval 0.1 --count 2 ${*:3}" /dev/null | tr -d '\r' >$OUT
}

terminal_small()
{
	on_terminal 4 30 && grep -q 'channels are not shown' $OUT && grep -q $'\e\\[J' $OUT &&
		sed 's/\x1b\[[HJK]//g' $OUT | awk 'length($0) >= 30 { exit 1 } END { exit NR > 9 }'
}

# The view is written anew as soon as it has room for all columns.
terminal_grows()
{
	local shown=$RESULTS/typescript tty=$RESULTS/tty pid ret

	TERM=xterm script -qefc "stty rows 4 cols 30; tty >$tty
		exec $IVRING stat --watch --interval 60 ivring0" "$shown" >/dev/null </dev/null &
	pid=$!
	wait_for 10 grep -sq '^ CH' "$shown" && stty -F "$(<"$tty")" rows 40 cols 150 &&
		wait_for 10 grep -sq BROKEN "$shown"
	ret=$?
	kill $pid
	wait $pid
	return $ret
}

terminal_dumb()
{
	TERM_IS=dumb on_terminal 4 30 ivring0 && ! grep -q $'\e' $OUT
}

json()
{
	[ "$("$IVRING" stat --watch --json --interval 0.1 --count 2 | tee $OUT | wc -l)" = 8 ] &&
		! grep -vE '^\{"event":"stat","time":[0-9]+\.[0-9]{3},"link":[0-3],"label":"[^"]+","side":[01],"epoch":"[0-9a-f]{16}","state":"up","stats":\{[^{}]*\},"channels":\[.*\]\}$' $OUT &&
		grep -qE '"link":0,.*\{"channel":1,"state":"closed","window":[0-9]+,"stats":\{[^{}]*"tx_bytes":[0-9]{8,}[,}]' $OUT
}

# Each family has its type once, and all its samples in a row.
families()
{
	"$IVRING" metrics >$OUT &&
		awk '/^# TYPE/ { if (seen[$3]++) exit 1; family = $3; next }
			/^# HELP/ { if (seen[$3]) exit 1; next }
			index($1, family "{") != 1 { exit 1 }' $OUT
}

# Each of the kernel's counters has its help.
all_known()
{
	[ "$(grep -c '^# TYPE' $OUT)" = $(($(find /sys/class/ivring/ivring0{,c0}/stats/ -type f |
		wc -l) + 1)) ] && ! grep "A counter of the kernel module's" $OUT
}

replaced()
{
	mkdir -p /tmp/prom && echo old >/tmp/prom/x.prom &&
		"$IVRING" metrics --output /tmp/prom/x.prom && cmp -s /tmp/prom/x.prom $OUT &&
		[ "$(stat -c %a /tmp/prom/x.prom)" = 644 ] && [ "$(ls -A /tmp/prom)" = x.prom ]
}

# What was there stays, and is all that there is.
not_replaced()
{
	mkdir -p /tmp/full && mount -t tmpfs -o size=4k full /tmp/full &&
		echo old >/tmp/full/x.prom &&
		code_is 10 "$IVRING" metrics --output /tmp/full/x.prom &&
		[ "$(cat /tmp/full/x.prom)" = old ] && [ "$(ls -A /tmp/full)" = x.prom ]
	local ret=$?
	umount /tmp/full
	return $ret
}

http_start()
{
	"$IVRING" metrics --listen "$1" 2>/tmp/http.log &
	server=$!
}

# http ADDRESS METHOD: what a client gets, as lines
http()
{
	printf '%s /metrics HTTP/1.1\r\nHost: x\r\n\r\n' "$2" |
		socat -t 10 - "$1" 2>/dev/null | tr -d '\r' >/tmp/http
	head -n 1 /tmp/http
}

http_is()
{
	[[ $(http "$1" "$2") = *" $3 "* ]]
}

# By a UNIX socket and by a port
by_http()
{
	local ret

	http_start "$1"
	wait_for 10 http_is "$2" GET 200 && sed '1,/^$/d' /tmp/http | cmp -s - $OUT &&
		http_is "$2" HEAD 200 && http_is "$2" POST 405
	ret=$?
	kill "$server"
	wait "$server" && return $ret
}

# ends_with CODE SIGNAL: whatever is being watched
ends_with()
{
	local watcher

	# A shell without job control has its background ignore SIGINT.
	setsid env --default-signal=INT "$IVRING" stat --watch --interval 60 ivring0 \
		>/dev/null 2>&1 &
	watcher=$!
	wait_for 10 grep -q sigtimedwait "/proc/$watcher/wchan" &&
		kill "-$2" $watcher && code_is "$1" wait $watcher
}

reader_goes()
{
	local code

	"$IVRING" stat --watch --interval 0.1 ivring0 2>$OUT | head -n 1 >/dev/null
	code=${PIPESTATUS[0]}
	[ "$code" = 15 ] && [ ! -s $OUT ]
}

# what follows the first "no link" in a view
afterwards()
{
	sed '1,/no link/d' /tmp/view
}

# The link goes away under whoever watches, and comes back with other counters.
link_returns()
{
	local view objects

	"$IVRING" stat --watch --interval 0.1 ivring0 >/tmp/view 2>&1 &
	view=$!
	"$IVRING" stat --watch --json --interval 0.1 ivring0 >/tmp/objects 2>&1 &
	objects=$!
	wait_for 10 grep -q '^ CH ' /tmp/view && wait_for 10 grep -q stat /tmp/objects &&
		wait_for 10 rmmod ivring_loop && wait_for 10 grep -q 'no link' /tmp/view &&
		wait_for 10 grep -q gone /tmp/objects && load_loop pairs=1 &&
		wait_for 10 eval 'afterwards | grep -qE "^ +1 closed +0\.0 "' &&
		wait_for 10 eval 'sed "1,/gone/d" /tmp/objects | grep -q stat'
	kill $view $objects
	wait $view $objects
}

# Nothing moved since: what was counted before is no rate.
begins_anew()
{
	afterwards | grep -qE '^ +1 closed +- +- ' &&
		! afterwards | grep -E '^ +[0-9]+ closed +[0-9]*[1-9]' &&
		[ "$(grep -c '"gone"' /tmp/objects)" = 1 ] &&
		[ "$(sed 's/.*"epoch":"\([^"]*\)".*/\1/' /tmp/objects | sort -u | wc -l)" = 2 ]
}

ok "two pairs of links" load
ok "data moves" conversation
ok "it is counted" prints "^c1\.tx_bytes $BYTES\$" "$IVRING" stat ivring0
ok "on the other side, too" prints "^c1\.rx_bytes $BYTES\$" "$IVRING" stat ivring1
ok "nothing else moved" prints '^c0\.tx_bytes 0$' "$IVRING" stat ivring0
ok "attributes" prints '^transport loop$' "$IVRING" stat ivring0
ok "rates" watched
ok "they are per second" rates_true
ok "a small terminal" terminal_small
ok "one that grows" terminal_grows
ok "one that knows nothing" terminal_dumb
ok "objects" json
ok "metrics" families
ok "all that is counted" all_known
ok "of channels" grep -qE \
	"^ivring_channel_rx_bytes_total\{link=\"ivring1\",label=\"[^\"]+\",side=\"1\",channel=\"1\"\} [0-9]{8,}\$" $OUT
ok "of links" [ "$(grep -c '^ivring_link_up{.*} 1$' $OUT)" = 4 ]
ok "a file is replaced" replaced
ok "or left as it was" not_replaced
ok "where it cannot be, that is told" code_is $DEST "$IVRING" metrics --output /nonexistent/x.prom
ok "by a UNIX socket" by_http /tmp/http.sock UNIX-CONNECT:/tmp/http.sock
ok "by a port" by_http 9947 TCP4:127.0.0.1:9947
ok "not for other machines" code_is $USAGE "$IVRING" metrics --listen 0.0.0.0:9947
ok "no time is no interval" code_is $USAGE "$IVRING" stat --watch --interval 0 ivring0
ok "lines are of one link" code_is $USAGE "$IVRING" stat
ok "there must be a link" code_is $NO_LINK "$IVRING" stat --watch ivring9
for signal in INT TERM HUP; do
	ok "SIG$signal ends it" ends_with 0 $signal
done
ok "the reader goes away" reader_goes
ok "the link goes away and comes back" link_returns
ok "its rates begin anew" begins_anew
ok "the core unloads" eval 'wait_for 10 rmmod ivring_loop && rmmod ivring'
plan

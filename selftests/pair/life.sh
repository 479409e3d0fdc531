# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Who uses a link when it, its guest or its device comes to an end: transfers in full
# swing, readers that sleep. Source it after pair.sh.

# What is quoted is for later, or for a shell in the guest.
# shellcheck disable=SC2016

BIG=$((256 << 20))
ENOUGH=/tmp/enough
FED=/tmp/fed

works()
{
	code_is 0 "$IVRING" push --quiet /tmp/small vm0:works &&
		code_is 0 "$IVRING" pull --quiet vm0:works /tmp/works &&
		cmp /tmp/small /tmp/works
}

# within SECONDS CMD...: and tells how long it took
within()
{
	local limit=$1 start

	shift
	start=$(date +%s%N)
	"$@" || return
	start=$((($(date +%s%N) - start) / 1000000))
	echo "# $start ms"
	[ $start -le $((limit * 1000 * LAB_SLOW)) ]
}

# How much went through the channel of transfers, both ways, since mark_here. No process
# is started for it: a transfer takes but a tenth of a second.
look_here()
{
	local stats=/sys/class/ivring/ivring0c0/stats tx rx

	read -r tx <$stats/tx_bytes && read -r rx <$stats/rx_bytes || return
	total=$((tx + rx))
}

mark_here()
{
	look_here && start=$total
}

# More than a transfer begins with
moving()
{
	look_here && [ $((total - start)) -gt $((4 << 20)) ]
}

# begin CMD...: in the middle of a transfer of BIG bytes, whose process is $client; it
# goes on.
begin()
{
	local deadline=$((SECONDS + 10 * LAB_SLOW))

	mark_here
	"$@" 2>>"$RESULTS/commands.log" &
	client=$!
	until moving; do
		[ $SECONDS -lt $deadline ] || return
	done
}

# client_is STATES: as proc(5) has them
client_is()
{
	local stat

	read -r stat 2>/dev/null <"/proc/$client/stat" && [[ ${stat##*) } = [$1]* ]]
}

# begin_stopped CMD...: the same, but it stands still, and has not moved all. One that was
# faster than we were to stop it does not count.
begin_stopped()
{
	local try

	for try in {1..20}; do
		begin "$@" || return
		kill -STOP "$client" 2>/dev/null && wait_for 5 client_is TZ &&
			client_is T && look_here && [ $((total - start)) -lt $BIG ] && return
		kill -CONT "$client" 2>/dev/null
		wait "$client"
		echo "# through before it was stopped, $try times"
	done
	return 1
}

# Piece by piece, with pauses, which are the point: it lasts a while on any machine, or
# until it has been enough. How many MiB it were is in $FED, once there are no more.
feed()
{
	local i

	for ((i = 0; i < BIG >> 20; i++)); do
		[ ! -e "$ENOUGH" ] || break
		dd if=/tmp/big bs=1M skip=$i count=1 status=none
		sleep 0.01
	done
	echo $i >"$FED"
}

push_fed()
{
	feed | "$IVRING" push --quiet - vm0:victim
}

# push_big: a transfer that goes on until client_goes_on
push_big()
{
	rm -f "$ENOUGH" "$FED"
	begin push_fed
}

push_big_stopped()
{
	begin_stopped "$IVRING" push --quiet /tmp/big vm0:victim
}

pull_big_stopped()
{
	begin_stopped "$IVRING" pull --quiet vm0:big /tmp/victim
}

# It has gone on until now, and does to its end.
client_goes_on()
{
	[ ! -e "$FED" ] && : >"$ENOUGH" && code_is 0 wait "$client"
}

client_ends()
{
	kill -CONT "$client"
	code_is "$1" wait "$client"
}

# client_dies [SIGNAL CODE]: of a signal, which is one that ends it
client_dies()
{
	kill "${1:--KILL}" "$client"
	client_ends "${2:-137}" 2>/dev/null
}

arrived()
{
	[ "$(head -c "$(<"$FED")M" /tmp/big | sha256sum)" = "$(guest "sha256sum <$PAIR_GUEST_ROOT/victim")" ]
}

# ---- readers that sleep, on channel 3 of both sides ----

# Ends with the errno's name, as dd prints it.
reader_here()
{
	dd if=/dev/ivring0c3 of=/dev/null bs=4k 2>"$RESULTS/reader" &
	reader=$!
	guest "exec 3<>/dev/ivring0c3; sleep 1000 >/dev/null 2>&1 </dev/null &"
	wait_for 10 eval '[ "$(cat /sys/class/ivring/ivring0c3/state)" = connected ]'
}

reader_says()
{
	local ret=0

	reader_says_here "$1" || ret=1
	# Its counterpart, where it outlived all this: it holds the old link's number.
	guest 'pkill -x sleep' 2>/dev/null
	return $ret
}

# The same, where there is no guest to ask.
reader_says_here()
{
	wait_for 20 eval '[ ! -e /proc/$reader ]' || return
	wait "$reader"
	grep -q "$1" "$RESULTS/reader" && return
	sed 's/^/# reader: /' "$RESULTS/reader"
	return 1
}

head -c 100000 /dev/urandom >/tmp/small
head -c $BIG /dev/urandom >/tmp/big

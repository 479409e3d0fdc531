# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What a test of the real pair has at hand: a host with ivring_host.ko and a
# link server, a guest with ivring_guest.ko. Source it in the lab's host VM:
#
#   . /src/selftests/pair/pair.sh
#   pair_up

# shellcheck source=../lab/lib.sh
. /src/selftests/lab/lib.sh

IVRING=/src/build/tools/ivring
PAIR_SOCKET=/run/ivring/vm0.sock
PAIR_VECTORS=5
PAIR_GUEST_ROOT=/tmp/root
failures=0
count=0

# ok WHAT CMD...: one line of TAP, and how long it took if that was long
ok()
{
	local what=$1 begin=$SECONDS

	shift
	count=$((count + 1))
	if "$@"; then
		echo "ok $count - $what"
	else
		echo "not ok $count - $what ($*)"
		failures=$((failures + 1))
	fi
	[ $((SECONDS - begin)) -lt 5 ] || echo "# $((SECONDS - begin)) s"
}

plan()
{
	echo "1..$count"
	exit $((failures > 0))
}

# code_is CODE CMD...: CMD ends with CODE; what it says is kept in $RESULTS.
code_is()
{
	local want=$1 code=0

	shift
	"$@" >>"$RESULTS/commands.log" 2>&1 || code=$?
	[ $code = "$want" ] && return
	echo "# exit code $code, not $want: $*"
	tail -n 3 "$RESULTS/commands.log" | sed 's/^/# /'
	return 1
}

load_host()
{
	insmod "$LAB_MODULES/kmod-core/ivring.ko" && insmod "$LAB_MODULES/kmod-host/ivring_host.ko"
}

unload_host()
{
	rmmod ivring_host && rmmod ivring
}

load_guest()
{
	guest "insmod $LAB_MODULES/kmod-core/ivring.ko &&
		insmod $LAB_MODULES/kmod-guest/ivring_guest.ko"
}

unload_guest()
{
	guest 'rmmod ivring_guest && rmmod ivring'
}

serve_is_ready()
{
	grep -q 'serve: ready$' "$RESULTS/serve.log" || [ ! -e "/proc/$serve_pid" ]
}

# A server that was killed leaves its socket behind: only the log tells. In its
# own session the server survives the shell that started it.
serve_start()
{
	setsid "$IVRING" serve "$@" vm0 >"$RESULTS/serve.log" 2>&1 </dev/null &
	serve_pid=$!
	wait_for 10 serve_is_ready && [ -e "/proc/$serve_pid" ]
}

serve_stop()
{
	kill "${1:--TERM}" "$serve_pid"
	wait "$serve_pid"
}

serve_proc()
{
	echo "/proc/$serve_pid"
}

# serve_memfd LINK: the link's memory, as a file to open
serve_memfd()
{
	local fd

	for fd in "/proc/$serve_pid/fd"/*; do
		[[ $(readlink "$fd") == /memfd:*"$1"* ]] && echo "$fd" && return
	done
	return 1
}

# guest_agent_with ARGS: an agent, once it serves. Leaves its process ID in the guest's
# /run/agent.pid.
guest_agent_with()
{
	guest "served() { cat /results/agent.log 2>/dev/null | grep -c ': serving ivring'; }
		before=\$(served)
		setsid $IVRING agent $* >>/results/agent.log 2>&1 </dev/null & pid=\$!
		echo \$pid >/run/agent.pid
		for i in \$(seq $((200 * LAB_SLOW))); do
			[ \$(served) -gt \$before ] && exit
			[ -e /proc/\$pid ] || exit
			sleep 0.05
		done
		exit 1"
}

# guest_agent [ARGS]: for a directory of its own
guest_agent()
{
	guest "mkdir -p $PAIR_GUEST_ROOT" && guest_agent_with --root "$PAIR_GUEST_ROOT" "$@"
}

# The command only returns; wait until the process is gone as well.
guest_agent_stop()
{
	guest "pid=\$(cat /run/agent.pid); kill ${1:--TERM} \$pid 2>/dev/null; \
		for i in \$(seq 200); do [ -e /proc/\$pid ] || exit 0; sleep 0.05; done; exit 1"
}

guest_device()
{
	guest_start -chardev "socket,path=$PAIR_SOCKET,id=ivring" \
		-device "ivshmem-doorbell,chardev=ivring,vectors=$PAIR_VECTORS" "$@"
}

link_state()
{
	cat /sys/class/ivring/ivring0/state 2>/dev/null
}

link_is()
{
	[ "$(link_state)" = "$1" ]
}

# pair_up [SERVE ARGS]: everything, up to an agent that answers
pair_up()
{
	load_host && serve_start "$@" && guest_device && guest_wait && load_guest &&
		guest_agent && wait_for 10 link_is up
}

pair_down()
{
	guest_agent_stop && unload_guest && guest_shutdown && serve_stop && unload_host
}

# stat_of LINK-OR-CHANNEL COUNTER
stat_of()
{
	cat "/sys/class/ivring/$1/stats/$2"
}

guest_stat_of()
{
	guest "cat /sys/class/ivring/$1/stats/$2"
}

# Wake-ups that only the tick brought, on all channels: there should be none.
rescued_total()
{
	awk '{ n += $1 } END { print NR ? n + 0 : "unknown" }' /sys/class/ivring/ivring0c*/stats/rescued
}

guest_rescued_total()
{
	guest "$(declare -f rescued_total); rescued_total"
}

none_rescued()
{
	[ "$(rescued_total)" = 0 ] && [ "$(guest_rescued_total)" = 0 ]
}

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Transfers that end early, by the death of either tool or of the guest, go on where
# what has arrived is right.

# What is quoted is for a shell in the guest.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

PEER_GONE=13
# Slow enough for a signal to come in the middle of it.
SLOW=(--resume --bwlimit 16M)

there_is_same()
{
	[ "$(sha256sum <"$1")" = "$(guest "sha256sum <$PAIR_GUEST_ROOT/$2")" ]
}

moving()
{
	[ $(($(stat_of ivring0c0 tx_bytes) + $(stat_of ivring0c0 rx_bytes))) -gt $((moved + (24 << 20))) ]
}

# cut_short CMD...: in the middle of that command, whose process is $client
cut_short()
{
	moved=$(($(stat_of ivring0c0 tx_bytes) + $(stat_of ivring0c0 rx_bytes)))
	"$@" 2>>"$RESULTS/commands.log" &
	client=$!
	wait_for 20 moving
}

# The part of the agent that transfers is killed, while the client stands still.
agent_dies()
{
	kill -STOP $client
	guest 'pkill -KILL -P $(cat /run/agent.pid)'
	kill -CONT $client
}

# goes_on CMD...: ends well, and makes use of 8 MiB at least
goes_on()
{
	local kept

	code_is 0 "$@" --json || return
	kept=$(sed -n 's/.*"type":"summary".*"kept_bytes":\([0-9]*\).*/\1/p' "$RESULTS/commands.log" |
		tail -n 1)
	echo "# $kept bytes were there"
	[ "$kept" -ge $((8 << 20)) ]
}

no_parts()
{
	[ -z "$(guest "find $PAIR_GUEST_ROOT -name '.ivring-*'")" ] &&
		[ -z "$(find /tmp -maxdepth 1 -name '.ivring-*')" ]
}

ok "the pair comes up" pair_up
head -c 96M /dev/urandom >/tmp/file

cut_short "$IVRING" push --quiet "${SLOW[@]}" /tmp/file vm0:killed
kill -KILL $client
wait $client 2>/dev/null
ok "the client was killed: the next one goes on" goes_on "$IVRING" push --resume /tmp/file vm0:killed
ok "what arrived is right" there_is_same /tmp/file killed

cut_short setsid env --default-signal=INT "$IVRING" push --quiet "${SLOW[@]}" /tmp/file vm0:stopped
kill -INT $client
ok "Ctrl-C" code_is 130 wait $client
ok "the next one goes on" goes_on "$IVRING" push --resume /tmp/file vm0:stopped
ok "what arrived is right" there_is_same /tmp/file stopped

cut_short "$IVRING" push --quiet "${SLOW[@]}" /tmp/file vm0:agent
agent_dies
ok "the agent's child was killed" code_is $PEER_GONE wait $client
# As a machine leaves it whose memory had not been written out
guest "p=\$(ls $PAIR_GUEST_ROOT/.ivring-part-*) && size=\$(stat -c %s \$p) &&
	dd if=/dev/zero of=\$p bs=4096 seek=\$((size / 4096 - 10)) count=20 conv=notrunc status=none"
ok "with a block half written, the next one goes on" \
	goes_on "$IVRING" push --resume --retry 5 /tmp/file vm0:agent
ok "what arrived is right" there_is_same /tmp/file agent
ok "no part is left" no_parts

cut_short "$IVRING" pull --quiet "${SLOW[@]}" vm0:agent /tmp/back
kill -KILL $client
wait $client 2>/dev/null
ok "a pull was killed: the next one goes on" goes_on "$IVRING" pull --resume vm0:agent /tmp/back
ok "what came back is right" cmp /tmp/file /tmp/back
rm -f /tmp/back

# An attempt that fails is tried again by the same command.
"$IVRING" pull --json "${SLOW[@]}" --retry 20 --connect-timeout 1 vm0:agent /tmp/back \
	>"$RESULTS/retry.json" 2>&1 &
client=$!
moved=$(($(stat_of ivring0c0 tx_bytes) + $(stat_of ivring0c0 rx_bytes)))
wait_for 20 moving
agent_dies
ok "one command, an agent that is killed" code_is 0 wait $client
ok "it went on, and says so" grep -q '"kept_bytes":[1-9].*"retries":[1-9]' "$RESULTS/retry.json"
ok "what came back is right" cmp /tmp/file /tmp/back
rm -f /tmp/back

cut_short "$IVRING" pull --quiet "${SLOW[@]}" vm0:agent /tmp/back
guest_kill
ok "QEMU was killed" code_is $PEER_GONE wait $client
ok "it starts again" guest_device
ok "the guest answers" guest_wait
ok "its modules load" load_guest
# Its memory, and the file in it, are gone: it comes from the host.
guest_agent
ok "the link is up" wait_for 10 link_is up
ok "the file is there again" code_is 0 "$IVRING" push /tmp/file vm0:agent
ok "the pull goes on" goes_on "$IVRING" pull --resume vm0:agent /tmp/back
ok "what came back is right" cmp /tmp/file /tmp/back
ok "no part is left at the end" no_parts
ok "the pair goes down" pair_down
plan

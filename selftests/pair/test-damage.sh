#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Bits flip in the shared memory while files go through it: what arrives is right all
# the same, and what was damaged is counted.

set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

SCRIBBLE=/src/build/selftests/scribble

# flipping CMD...: while one bit after the other flips somewhere in the data
flipping()
{
	local flips code=0

	"$SCRIBBLE" flip "$memory" 600 "$RANDOM" >/dev/null &
	flips=$!
	"$@" || code=$?
	kill $flips
	wait $flips 2>/dev/null
	return $code
}

# resent FILE: how many blocks the last summary in there counts
resent()
{
	sed -n 's/.*"type":"summary".*"resent":\([0-9]*\).*/\1/p' "$1" | tail -n 1
}

there_is_same()
{
	[ "$(sha256sum <"$1")" = "$(guest "sha256sum <$PAIR_GUEST_ROOT/$2")" ]
}

ok "the pair comes up" pair_up
memory=$(serve_memfd vm0)
ok "the link's memory is found" [ -n "$memory" ]
head -c 256M /dev/urandom >/tmp/big

total=0
for round in 1 2 3; do
	flipping "$IVRING" push --json /tmp/big vm0:big >"$RESULTS/push.json" 2>&1
	ok "push $round through damage" grep -q '"code":0}' "$RESULTS/push.json"
	ok "what arrived is right" there_is_same /tmp/big big
	flipping "$IVRING" pull --json vm0:big /tmp/back >"$RESULTS/pull.json" 2>&1
	ok "pull $round through damage" grep -q '"code":0}' "$RESULTS/pull.json"
	ok "what came back is right" cmp /tmp/big /tmp/back
	echo "# sent again: push $(resent "$RESULTS/push.json"), pull $(resent "$RESULTS/pull.json")"
	total=$((total + $(resent "$RESULTS/push.json") + $(resent "$RESULTS/pull.json")))
	[ $total = 0 ] || break
done
ok "some was damaged" [ $total -gt 0 ]
"$IVRING" push --json /tmp/big vm0:big >"$RESULTS/push.json"
ok "nothing is without that" [ "$(resent "$RESULTS/push.json")" = 0 ]
ok "the pair goes down" pair_down
plan

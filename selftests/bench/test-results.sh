#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A short run of the benchmark: what scripts and people read of it is there, and is
# of one piece. How fast anything is, is none of its business. TAP.

set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# shellcheck source=../tap.sh
. "$here/../tap.sh"

# last_block FILE: the lines after its last empty one
last_block()
{
	awk '!NF { n = 0; next } { line[n++] = $0 } END { for (i = 0; i < n; i++) print line[i] }' "$1"
}

# The last lines are "key value" and nothing else; values are positive.
keys_only()
{
	[ -s "$out/keys" ] && ! grep -vE '^[a-z0-9_]+ [0-9]+\.[0-9]+$' "$out/keys" &&
		awk '!($2 > 0) { print; bad = 1 } END { exit bad }' "$out/keys"
}

has_key()
{
	[ "$(grep -c "^$1 " "$out/keys")" = 1 ]
}

# The same keys, with what they compare, as in the table
json_agrees()
{
	diff <(cut -d' ' -f1 "$out/keys") <(jq -r '.keys | keys_unsorted[]' "$out/ring.json") &&
		jq -e '[.keys[] | (.what | length > 0) and .median > 0] | all' "$out/ring.json"
}

svg_made()
{
	grep -q '</svg>' "$out/$1.svg"
}

# No queues for this user, as on a kernel without them
without_mq()
{
	(ulimit -q 0 && exec "$here/../../build/bench/bench-ring" --quick --runs 1 --only rate \
		--out "$out/mq") >"$out/mq.log" 2>&1
}

# Only what goes to stdout counts.
short_run()
{
	"$here/run" --quick --runs 1 --bytes 32M --out "$out" >"$out/log"
}

mkdir "$out/mq"
ok "a short run" short_run
last_block "$out/log" >"$out/keys"

ok "the last lines are keys with positive values" keys_only
for key in ring_over_memcpy wake_rtt_over_eventfd msgs_over_best_peer; do
	ok "$key is among them" has_key $key
done
if [ "$(nproc)" -gt 1 ]; then
	ok "rtt_over_cacheline is among them" has_key rtt_over_cacheline
else
	skip "rtt_over_cacheline is among them" "spinning needs two CPUs"
fi
if command -v python3 >/dev/null; then
	ok "ring.json is JSON" python3 -m json.tool "$out/ring.json"
else
	skip "ring.json is JSON" "no python3"
fi
if command -v jq >/dev/null; then
	ok "its keys are those of the table" json_agrees
else
	skip "its keys are those of the table" "no jq"
fi
if command -v gnuplot >/dev/null; then
	for plot in sweep-window sweep-chunk sweep-ring latency rate; do
		ok "$plot.svg is a picture" svg_made $plot
	done
else
	skip "pictures" "no gnuplot"
fi
ok "a run where no POSIX message queue can be had" without_mq
ok "it says what was left out, and why" \
	grep -q 'POSIX message queue: left out: Too many open files' "$out/mq.log"
ok "the other peers are there" grep -q '^msgs_over_best_peer [1-9]' "$out/mq.log"

tap_end

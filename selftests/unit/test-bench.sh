#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# "ivring bench" between two processes, where channels are sockets: what it does and tells,
# not how fast anything is. test-bench.sh MEMRUN. TAP.

# What is quoted is for eval.
# shellcheck disable=SC2016
set -uo pipefail
memrun=$(realpath "$1")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../tap.sh
. "$here/../tap.sh"

dir=$(mktemp -d /tmp/ivring-bench-XXXXXX) || exit 1
server=
trap '[ -z "$server" ] || kill $server; rm -rf "$dir"' EXIT
export MEMRUN_ROOT=$dir MEMRUN_BENCH=$dir

serve()
{
	[ -z "$server" ] || { kill "$server"; wait "$server"; } 2>/dev/null
	MEMRUN_SERVER=1 MEMRUN_LOG=1 "$memrun" bench --serve "$@" vm0 >"$dir/server.log" 2>&1 &
	server=$!
}

# bench ARGS: small, and by the only way that there is
bench()
{
	timeout 60 "$memrun" bench -w calls --runs 2 --size 1M --buffer 256K --rounds 50 "$@" vm0 \
		>"$dir/said" 2>"$dir/errors" || { cat "$dir/errors"; return 1; }
}

said()
{
	grep -qE -- "$1" "$dir/said" || { cat "$dir/said"; return 1; }
}

json()
{
	jq -se "$1" "$dir/said"
}

keys_last()
{
	[ "$(sed -n '/^send_calls_over_memcpy/,$p' "$dir/said" | grep -vcE '^[a-z][a-z0-9_]* [0-9.]+$')" = 0 ]
}

serve --channels 4
ok "all tests" bench
ok "what it was measured on" said '^ivring0 \(vm0\), side 0: rings of 1024 KiB.* write-back$'
ok "the machine" eval 'said "^Linux .*, hypervisor (none|kvm|tcg|other)" && said "[0-9]+ CPUs"'
ok "percentiles" said '^rtt_calls +[0-9.]+ us +p90 [0-9.]+, p99 [0-9.]+, p99.9 [0-9.]+, max [0-9.]+$'
ok "the last lines are keys" keys_last
ok "p99 is among them" said '^rtt_calls_p99_us [0-9]+'
ok "what was not asked for was not done" eval '! said "both|load|_4k" >/dev/null'
ok "both directions at once" bench --both
ok "are told" said '^both_calls_over_memcpy [0-9.]+$'
ok "round trips beside a load" bench --load
ok "are told, too" said '^rtt_calls_load_us [0-9.]+$'
ok "a page" bench --load --html "$dir/page.html"
ok "with all tests, and no other file" eval '[ "$(grep -c "^<tr><th>\(send\|receive\|rtt\|memcpy\)" \
	"$dir/page.html")" = 7 ] && ! grep -E "src=|<link|<script" "$dir/page.html"'
if command -v xmllint >/dev/null; then
	ok "it is HTML" eval '[ -z "$(xmllint --html --noout "$dir/page.html" 2>&1)" ]'
fi
ok "a page that cannot be written" fails 9 "cannot write" "$memrun" bench -w calls --runs 1 --size 1M \
	--buffer 256K --rounds 50 --html "$dir/no/page" vm0
ok "sizes" bench --sizes 4K..100K
ok "each of them" eval 'said "^send_calls_4k " && said "^receive_calls_16k " && said "^send_calls_64k "'
ok "and no other" eval '! said "_1k |_256k " >/dev/null'
ok "one size" bench --sizes 1M
ok "alone" eval 'said "^receive_calls_1m " && ! said "_4m " >/dev/null'
ok "three channels at once" bench --channels 3 --both
ok "share the work" said '^2 runs, 3 channels'
if command -v jq >/dev/null; then
	ok "all of it as JSON" bench --json --both --load --sizes 4K --channels 2
	ok "what it was measured on" json '.[0] | .type == "facts" and .label == "vm0" and
		.channels == 2 and .ring_size == 1048576 and .memory_type == "write-back" and .cpus > 0'
	ok "ten tests, each of two runs" json '.[1:] | length == 10 and all(.[]; .type == "bench" and
		(.mbps // .rtt_ns | length == 2))'
	ok "percentiles rise" json '[.[] | select(.rtt_ns)] | length == 3 and
		all(.[]; .p50 <= .p90 and .p90 <= .p99 and .p99 <= ."p99.9" and ."p99.9" <= .max and
			.rounds == 100)'
	ok "bytes are those of all runs" json '.[] | select(.test == "both_calls") | .bytes == 4194304'
	ok "and of all times" json '.[] | select(.test == "send_calls_4k") |
		.size == 4096 and .bytes == 8192000'
else
	skip "JSON" "no jq"
fi
ok "no server has complained" eval '! grep -v "answering on channel" "$dir/server.log"'
for wrong in "--channels 0" "--channels 9" "-c 8" "--load -c 7" "--sizes 1K" "--sizes 8K..4K" \
	"--sizes 4K.." "--sizes x"; do
	# shellcheck disable=SC2086
	ok "not $wrong" fails 2 "" "$memrun" bench $wrong vm0
done

tap_end

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What is made of measurements, from some that nobody measured: medians and ratios, pages,
# pictures, and the document. TAP.

# What is quoted is for eval.
# shellcheck disable=SC2016
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d)
out=$dir/doc
trap 'rm -rf "$dir"' EXIT
# shellcheck source=../tap.sh
. "$here/../tap.sh"

# bulk SYSTEM PUSH PULL...: microseconds of each round, of 1,000,000 bytes
bulk()
{
	local system=$1 round=0

	shift
	while [ $# -gt 0 ]; do
		round=$((round + 1))
		echo "bulk $system push $round ${bytes:-1000000} $1"
		echo "bulk $system pull $round ${bytes:-1000000} $2"
		shift 2
	done >>"$dir/samples"
}

made_up()
{
	printf '%s\n' "rounds 3" "bytes 1000000" "files 10" "file_bytes 4096" 'cpu A|B *<&>" 1' \
		"qemu 7.2" >"$dir/settings"
	printf '%s\t%s\n' cp 'a copy' ivring 'push & pull' fast 'a_fast_ one' slow '<slow>' \
		oneway 'no way back' none 'never ran' >"$dir/about"
	printf 'none\tthere is none\n' >"$dir/skipped"
	printf 'broken\tpush failed: no *luck*\n' >"$dir/failed"
	printf 'QEMU\t7.2 "x"\n' >"$dir/versions"
	printf 'fast\thost\techo 1 <in >out\v2nd line\nfast\thost\t(qemu) device_add x\n' >"$dir/commands"
	# Rates of cp: 10, 20, 40 and 20, 20, 20; the slower ones are 10, 20, 20.
	bulk cp 100000 50000 50000 50000 25000 50000
	bulk ivring 50000 100000 40000 50000 20000 40000
	bulk fast 100000 50000 50000 25000 25000 20000
	bytes=1000 bulk slow 50000 50000 50000 50000 50000 50000
	echo "bulk oneway push 1 1000000 500000" >>"$dir/samples"
	printf '%s\n' "files cp push 1 40960 1000" "files cp pull 1 40960 2000" \
		"files ivring push 1 40960 4000" "files ivring pull 1 40960 2000" >>"$dir/samples"
	printf '%s\n' "rtt-vsock 1 40000" "rtt-vsock 2 50000" "rtt-vsock 3 90000" >"$dir/rtt"
	for key in send_user receive_user; do
		printf "${key}_over_memcpy %d 0.%d\n" 1 8 2 9 3 7
		printf "${key}_%s 1 12\n" doorbells_per_gib calls_per_gib
	done >"$dir/memory"
	printf '%s\n' "rtt_user_us 1 2.00" "rtt_user_us 2 2.50" "rtt_user_us 3 1.00" >>"$dir/memory"
	printf '%s\n' "rtt_calls_sleep_us 1 25" "rtt_calls_sleep_us 2 25" >>"$dir/memory"
	echo "doorbells_per_gib 1472" >"$dir/counts"
}

reported()
{
	"$here/report" "$dir" >"$dir/said" 2>"$dir/errors"
}

# key NAME VALUE
key()
{
	grep -qx "$1 $2" "$dir/said" || { grep "^$1" "$dir/said"; return 1; }
}

# All from the first key on
keys_last()
{
	[ "$(sed -n '/^mem_over_memcpy/,$p' "$dir/said" | grep -vcE '^[a-z0-9_]+ [0-9.]+$')" = 0 ]
}

json()
{
	jq -e "$1" "$dir/report.json"
}

page()
{
	grep -qF -- "$1" "$dir/report.html"
}

# Each name of an element is there once, and the page asks for nothing from elsewhere.
page_alone()
{
	[ -z "$(grep -oE " id=[\"'][^\"']*" "$dir/report.html" | sort | uniq -d)" ] &&
		! grep -E '<(link|script|img|iframe)|src=|@import' "$dir/report.html" &&
		[ "$(grep -c '<svg' "$dir/report.html")" = 3 ]
}

well_formed()
{
	grep -q '</svg>' "$1" && { ! command -v xmllint >/dev/null || xmllint --noout "$1"; }
}

document()
{
	mkdir -p "$out" && "$here/document" "$dir" "$out"
}

# No part was forgotten, and each picture it shows is there.
document_whole()
{
	local name

	! grep -n '^@.*@$' "$out/benchmarks.rst" && [ "$(grep -c '^\.\. image' "$out/benchmarks.rst")" = 3 ] || return
	while read -r name; do
		[ -s "$out/$name" ] && head -n 3 "$out/$name" | grep -q SPDX || return
	done < <(sed -n 's/^\.\. image:: //p' "$out/benchmarks.rst")
}

is_rst()
{
	python3 - "$out/benchmarks.rst" <<-'END'
		import re, sys
		from docutils.core import publish_string
		text = re.sub(r":doc:`[^`]*`", "it", open(sys.argv[1]).read())
		publish_string(text, writer_name="null", settings_overrides={"report_level": 1, "halt_level": 2})
	END
}

in_document()
{
	grep -qF -- "$1" "$out/benchmarks.rst"
}

ok "nothing measured is an error" fails 1 "nothing was measured" "$here/report" "$dir"
made_up
ok "a report" reported
ok "without a word beside it, but of gnuplot" eval '! grep -v "gnuplot is not installed" "$dir/errors"'
ok "the last lines are keys" keys_last
# Of 20/10, 25/20, 50/20, and of 10/10, 20/20, 25/20
ok "push_over_cp: the median of the rounds' ratios" key push_over_cp 2.000
ok "pull_over_cp" key pull_over_cp 1.000
# The other one is faster on the way back alone: 10/20, 20/40, 25/50
ok "push_over_best_peer" key push_over_best_peer 1.250
ok "pull_over_best_peer" key pull_over_best_peer 0.500
ok "mem_over_memcpy" key mem_over_memcpy 0.800
ok "rtt_spin_over_vsock" key rtt_spin_over_vsock 25.000
ok "rtt_sleep_over_vsock" key rtt_sleep_over_vsock 2.000
ok "counts are keys" key doorbells_per_gib 1472
ok "what is faster is said" grep -qx '\* one file, pull: fast, at 2.00 times the rate of ivring' "$dir/said"
ok "and what is not, is not" eval '! grep "one file, push: fast" "$dir/said"'
ok "a system that moved less is marked" grep -q '^slow \[\*\]' "$dir/said"
ok "spread: the range over the median" grep -qE '^ivring +25.0 +120%' "$dir/said"
if command -v jq >/dev/null; then
	ok "report.json is JSON" json .
	ok "with all samples" json '.samples | length == 29'
	ok "settings as they were" json '.settings.cpu == "A|B *<&>\" 1" and .settings.qemu == "7.2"'
	ok "keys as numbers" json '.keys.push_over_cp == 2'
	ok "the table" json '.table[] | select(.kind == "bulk" and .system == "fast" and .way == "pull") |
		.mbps == 40 and .over_cp == 2'
	ok "and what was skipped" json '.skipped == [["none", "there is none"]]'
else
	skip "report.json is JSON" "no jq"
fi
ok "report.html: what people wrote is no markup" page 'A|B *&lt;&amp;&gt;&quot; 1'
ok "commands" page 'host# echo 1 &lt;in &gt;out'
ok "why something did not run" page 'there is none'
if command -v gnuplot >/dev/null; then
	for name in bulk files rtt; do
		ok "$name.svg is a picture" well_formed "$dir/$name.svg"
	done
	ok "report.html needs no other file" page_alone
	ok "the document is made" document
	ok "of all its parts" document_whole
	ok "with the table" in_document 'fast                      20.0'
	ok "commands" in_document '    (qemu) device_add x'
	ok "what failed" in_document 'push failed: no \*luck\*'
	ok "and the keys" in_document '    push_over_cp 2.000'
	if python3 -c 'import docutils' 2>/dev/null; then
		ok "it is reStructuredText" is_rst
	else
		skip "it is reStructuredText" "no docutils"
	fi
	ok "once more: the same" eval 'cp "$out/benchmarks.rst" "$dir/1"; document && cmp "$dir/1" "$out/benchmarks.rst"'
	rm "$dir/rtt" "$dir/memory"
	sed -i /^files/d "$dir/samples"
	ok "with less measured, less is shown" eval 'document && [ ! -e "$out/benchmarks/rtt.svg" ]'
	ok "and all that is asked for is there" eval '! grep "rtt.svg\|files.svg" "$out/benchmarks.rst"'
else
	skip "pictures" "no gnuplot"
	ok "what is missing is said" grep -q 'gnuplot is not installed' "$dir/errors"
fi
rm -rf "$dir/twin"
mkdir "$dir/twin" && cp "$dir"/{about,samples,settings} "$dir/twin"
ok "a run agrees with itself" fails 0 ", 0 apart" "$here/compare" "$dir" "$dir/twin"
sed -i 's/^bulk fast pull \(.*\) [0-9]*$/bulk fast pull \1 20000/' "$dir/twin/samples"
ok "and not with one that differs" fails 1 "bulk/fast/pull" "$here/compare" "$dir" "$dir/twin"
ok "but for those who take anything" fails 0 ", 0 apart" "$here/compare" "$dir" "$dir/twin" 500
ok "a document of nothing is an error" fails 1 "nothing was measured" "$here/document" "$dir/nowhere" "$out"

tap_end

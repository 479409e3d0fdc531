#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Bad input to bench-ring: refused at once, with a word about what is wrong.
# TAP. Builds bench-ring unless BENCH_RING names one.

set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bench=${BENCH_RING:-}
if [ -z "$bench" ]; then
	make --no-print-directory -s -C "$here" || exit 1
	bench=$here/../../build/bench/bench-ring
fi
# shellcheck source=../tap.sh
. "$here/../tap.sh"

# refuses TEXT OPTION...: fails, says TEXT, and measures nothing
refuses()
{
	local text=$1 said

	shift
	if said=$(timeout 10 "$bench" --out /nonexistent/dir "$@" 2>&1); then
		echo "is accepted"
		return 1
	fi
	echo "says: $said"
	[[ $said == *"$text"* ]]
}

refused()
{
	local text=$1

	shift
	ok "$*: $text" refuses "$text" "$@"
}

refused "zero is not a size" --ring 0
refused "zero is not a size" --window 0
refused "zero is not a size" --chunk 0K
refused "not a power of two" --ring 3M
refused "not a power of two" --ring 4097
refused "not within" --ring 2048
refused "not within" --ring 8G
refused "too large" --ring 99999999999G
refused "not a size" --ring 99999999999999999999
refused "not a size" --ring -4096
refused "not a size" --ring 4Q
refused "not a size" --ring ""
refused "more than the ring's" --ring 1M --window 2M
refused "more than the window's" --window 1M --chunk 2M
refused "less than 1024" --window 512 --chunk 64
refused "not within" --bytes 1M
refused "whole pages" --bytes 16777217
refused "not a number" --runs x
refused "not a number" --runs -1
refused "not within" --runs 0
refused "not within" --runs 100
refused "not a number" --spin-ns 5us
refused "not two CPUs" --cpus 0
refused "not two CPUs" --cpus 0,1,2
refused "not two CPUs" --cpus 0,-1
refused "not two CPUs" --cpus 0,99999
refused "may not run on" --cpus 0,1023
refused "no part 'xyz'" --only rtt,xyz
refused "no list" --only ""
refused "nothing is called 'carrier_pigeon'" --rate pipe,carrier_pigeon
refused "no list" --rate ""
refused "not an option" extra
refused "unrecognized option" --frobnicate
refused "requires an argument" --ring
refused "/nonexistent/dir" --runs 1

tap_end

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the programs of this directory in the lab's host VM:
#
#   selftests/lab/lab run selftests/kernel/run.sh [PROGRAM...]
#
# Those on loop links run twice: on roomy links, and on the smallest there are,
# where all channels and announcements share one doorbell; with them the two-sided
# ones of ../pair/, both halves of which run here. ioctl-fuzz has something to do on
# any kind of link. Names that end in .32 are 32-bit programs, which small links tell
# nothing new: they run there at full length only.

set -uo pipefail

# All of one build, should the clone be built anew meanwhile
modules=/tmp/ko
bin=/src/build/selftests
programs=("$@")
# shellcheck source=../lab/lib.sh
. /src/selftests/lab/lib.sh
[ $# -gt 0 ] || programs=(loop loop-io loop-messages loop-options loop-user loop-file loop-mmap loop-conv \
	loop-late loop-uring loop-stress two-sided-io two-sided-ways \
	loop.32 loop-io.32 loop-messages.32 loop-options.32 loop-user.32 loop-file.32 loop-mmap.32 loop-conv.32 loop-late.32 \
	host host-peer host-end host-fault host-late host-memory host-madness host.32 host-peer.32 ioctl-fuzz)
count=0 failed=0 passed=0

# A program ends by itself; this is for one that cannot.
seconds=$((${IVRING_TEST_SECONDS:-900} * ${LAB_SLOW:-1}))

# report CODE WHAT [SECONDS]
report()
{
	local code=$1 what=$2

	count=$((count + 1))
	case $code in
	0) echo "ok $count $what${3:+ # $3 s}"; passed=$((passed + 1)) ;;
	4) echo "ok $count $what # SKIP" ;;
	124 | 137) echo "not ok $count $what # no end after $seconds s"; failed=1 ;;
	*) echo "not ok $count $what # exit code $code"; failed=1 ;;
	esac
}

# run_program NAME WHAT
run_program()
{
	local begin=$SECONDS

	if [ ! -e "$bin/$1" ] && [[ $1 == *.32 ]]; then
		echo "# SKIP the compiler makes no 32-bit programs: gcc-multilib"
		report 4 "$2"
		return
	fi
	timeout -k 10 "$seconds" "$bin/$1" 2>&1 | sed -u 's/^/# /'
	report "${PIPESTATUS[0]}" "$2" $((SECONDS - begin))
}

# What is still in use cannot be unloaded, and says so.
unload()
{
	local module code=0

	for module; do
		rmmod "$module" || code=1
	done
	report $code "unload $*"
}

load()
{
	local module=$1

	shift
	insmod "$modules/$module" "$@" || {
		report 1 "load $module $*"
		echo "1..$count"
		exit 1
	}
}

[ -x "$bin/loop" ] || {
	echo "1..0 # SKIP no $bin/loop: make selftests"
	exit 4
}

mkdir -p "$modules"
cp "${LAB_MODULES:-/src}"/kmod-*/*.ko "$modules/"
echo "KTAP version 1"
load ivring.ko

load ivring_loop.ko pairs=2
for program in "${programs[@]}"; do
	[[ $program == host* ]] || run_program "$program" "$program"
done
# Where a file system is neither tmpfs nor ext4, there is a buffer in between.
for program in "${programs[@]}"; do
	[[ $program == loop-file* ]] || continue
	mkdir -p /tmp/far
	mount -t ramfs none /tmp/far
	IVRING_TEST_FILES=/tmp/far run_program "$program" "$program, far"
	umount /tmp/far
done
unload ivring_loop

load ivring_loop.ko pairs=1 channels=2 vectors=1 size=65536
export IVRING_TEST_MIB=8
for program in "${programs[@]}"; do
	[[ $program == host* ]] || { [[ $program == *.32 ]] && ! long; } ||
		run_program "$program" "$program, small"
done
unset IVRING_TEST_MIB
unload ivring_loop

load ivring_host.ko
for program in "${programs[@]}"; do
	[[ $program == @(loop|two-sided)* ]] || run_program "$program" "$program"
done
unload ivring_host ivring

echo "1..$count"
[ $failed = 0 ] || exit 1
[ $passed -gt 0 ] || exit 4

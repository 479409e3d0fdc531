#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Every allocation and user copy of every call fails once, on loop links and on the
# host's side, and while the modules load.

set -uo pipefail
# shellcheck source=../pair/pair.sh
. /src/selftests/pair/pair.sh
# shellcheck source=debug.sh
. /src/selftests/debug/debug.sh

# Loading a module has hundreds of allocations of the kernel's own.
LOAD_STEP=${IVRING_TEST_LOAD_STEP:-$((3 * STEP))}

KO=/tmp/ko

load_failures()
{
	local STEP=$LOAD_STEP

	failures_of module "$@"
}

has_failures || {
	echo "1..0 # SKIP this kernel has no fault injection"
	exit 4
}
# A file of memory, as failures of the share's own are not what this is about
mkdir -p $KO
cp "$LAB_MODULES"/kmod-*/*.ko $KO/
failures_begin
ok "ivring.ko: loading fails" load_failures "$KO/ivring.ko"
ok "and works" insmod "$KO/ivring.ko"
ok "ivring_loop.ko: loading fails" load_failures "$KO/ivring_loop.ko" \
	"size=65536 channels=2"
ok "and works" insmod "$KO/ivring_loop.ko"
ok "calls on loop links fail" failures_of loop
ok "loop links go" rmmod ivring_loop
ok "ivring_host.ko: loading fails" load_failures "$KO/ivring_host.ko"
ok "and works" insmod "$KO/ivring_host.ko"
ok "calls of the link server fail" failures_of host
ok "all goes" unload_host
failures_end
plan

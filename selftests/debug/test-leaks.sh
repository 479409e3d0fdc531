#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The last test of a run: what all those before it left behind in the host's kernel.

set -uo pipefail
# shellcheck source=../pair/pair.sh
. /src/selftests/pair/pair.sh

if [ ! -w /sys/kernel/debug/kmemleak ]; then
	echo "1..0 # SKIP this kernel has no kmemleak"
	exit 4
fi
ok "nothing leaked in the host" kernel_leaks
plan

# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What tests of failures have at hand. Source it after pair.sh.

FAILURES=/src/build/selftests/failures

# Try only every so manyth failure, where there are hundreds of them.
STEP=${IVRING_TEST_STEP:-1}

# failures ARGS...: its TAP as notes, its end as one line
failures_of()
{
	"$FAILURES" -s "$STEP" "$@" 2>&1 | sed 's/^/# /'
	[ "${PIPESTATUS[0]}" = 0 ]
}

# The lab overlooks an allocation failure's call trace between these.
failures_begin()
{
	echo "lab: failures begin" >/dev/kmsg
}

failures_end()
{
	echo "lab: failures end" >/dev/kmsg
}

has_failures()
{
	[ -d /sys/kernel/debug/failslab ] && [ -e /proc/self/fail-nth ]
}

# failslab_at failslab|fail_page_alloc PER-CENT: of every twentieth allocation of a
# process started by flaky(), which is little enough for most to get past exec.
failslab_at()
{
	local dir=/sys/kernel/debug/$1

	echo Y >"$dir/task-filter"
	echo 20 >"$dir/interval"
	echo -1 >"$dir/times"
	echo 0 >"$dir/verbose"
	echo N >"$dir/ignore-gfp-wait"
	echo "$2" >"$dir/probability"
}

# flaky CMD...: CMD and its children, whose allocations may fail
flaky()
(
	echo 1 >/proc/self/make-it-fail
	exec "$@"
)

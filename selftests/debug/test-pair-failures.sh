#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Allocations that fail in the guest while its driver binds, and on both sides while
# files are transferred.

# What is quoted is for a shell in the guest.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=../pair/pair.sh
. /src/selftests/pair/pair.sh
# shellcheck source=debug.sh
. /src/selftests/debug/debug.sh

DRIVER=/sys/bus/pci/drivers/ivring_guest
ROUNDS=${IVRING_TEST_ROUNDS:-30}
# Most of them are of the kernel's own, for the device's struct pages.
BIND_STEP=$((10 * STEP))

guest_failures_of()
{
	guest "$FAILURES" -s "$BIND_STEP" "$@" 2>&1 | sed 's/^/# /'
	[ "${PIPESTATUS[0]}" = 0 ]
}

# same_as FILE: /tmp/data and what the guest has are the same
same_as()
{
	local here there

	here=$(sha256sum </tmp/data)
	there=$(guest "sha256sum <$PAIR_GUEST_ROOT/$1")
	[ "$here" = "$there" ] || echo "# here $here, there '$there'"
	[ "$here" = "$there" ]
}

# A push may fail, but must say so; what it says arrived must be whole.
flaky_rounds()
{
	local i code good=0

	for ((i = 0; i < ROUNDS; i++)); do
		code=0
		flaky timeout $((60 * LAB_SLOW)) "$IVRING" push /tmp/data "vm0:data$i" \
			>>"$RESULTS/flaky.log" 2>&1 || code=$?
		case $code in
		0)
			good=$((good + 1))
			same_as "data$i" || return
			;;
		# No end. Killed by SIGSEGV is what an exec gets that fails half way.
		124 | 137) echo "# push $i: code $code"; return 1 ;;
		esac
	done
	echo "# $good of $ROUNDS pushes succeeded"
}

works()
{
	code_is 0 "$IVRING" push /tmp/data vm0:again && same_as again
}

has_failures || {
	echo "1..0 # SKIP this kernel has no fault injection"
	exit 4
}
head -c 1000000 /dev/urandom >/tmp/data
ok "the pair comes up" pair_up
ok "both sides run this kernel" [ "$(guest uname -r)" = "$(uname -r)" ]
ok "the agent stops" guest_agent_stop
failures_begin
guest "$(declare -f failures_begin); failures_begin"
# Each failure is a warning, and the console slow; the log on the host's disk has them, too.
guest "echo 2 >/proc/sys/kernel/printk"
device=$(guest "cd $DRIVER && echo 0000:*")
guest "echo $device >$DRIVER/unbind"
ok "binding the driver fails" guest_failures_of write "$DRIVER/bind" "$device" "$DRIVER/unbind"
ok "and works" guest "echo $device >$DRIVER/bind"
ok "the link is up" wait_for 10 link_is up
ok "the agent starts" guest_agent

for attr in failslab fail_page_alloc; do
	failslab_at $attr 1
	ok "$attr: transfers fail or arrive whole" flaky_rounds
	failslab_at $attr 0
	ok "and work again" wait_for 10 works
done
failures_end
guest "$(declare -f failures_end); failures_end"
guest "echo 5 >/proc/sys/kernel/printk"
ok "the agent stops" guest_agent_stop
ok "the guest's modules go" unload_guest
# Which takes a minute
[ "$STEP" -gt 1 ] || ok "nothing leaked in the guest" guest_leaks
ok "the guest goes" guest_shutdown
ok "the server stops" serve_stop
ok "the host's modules go" unload_host
plan

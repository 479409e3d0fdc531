#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The programs of tests that have a half on either side: see two-sided.h. Arguments:
# names of tests, instead of all.

set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

BIN=/src/build/selftests
PORT=5300

# No agent: nobody else uses the link.
come_up()
{
	load_host && serve_start && guest_device && guest_wait && load_guest &&
		wait_for 10 link_is up
}

go_down()
{
	unload_guest && guest_shutdown && serve_stop && unload_host
}

# halves PROGRAM [TEST]...: each test, with either side as the first one. The guest's
# part is told to end by ours.
halves()
{
	local program=$1 code guest_code server

	shift
	PORT=$((PORT + 1))
	guest "LAB_SLOW=$LAB_SLOW exec $BIN/$program serve $((-1 & 0xffffffff)):$PORT 0" \
		>"$RESULTS/$program.log" 2>&1 </dev/null &
	server=$!
	"$BIN/$program" run "3:$PORT" 0 "$@" | sed -u 's/^/# /'
	code=${PIPESTATUS[0]}
	wait $server
	guest_code=$?
	[ $guest_code = 0 ] || sed 's/^/# guest: /' "$RESULTS/$program.log"
	[ "$code" = 0 ] && [ $guest_code = 0 ]
}

ok "host and guest are linked" come_up
for program in two-sided-io two-sided-ways; do
	ok "$program" halves $program "$@"
done
ok "no doorbells were taken for a storm" \
	[ "$(stat_of ivring0 late) $(guest_stat_of ivring0 late)" = "0 0" ]
ok "the pair goes down" go_down
plan

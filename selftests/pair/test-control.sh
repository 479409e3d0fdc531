#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Limits, retries, dry runs and how files are read and written, on the real pair.

# What is quoted is for a shell in the guest.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

NO_AGENT=5 NO_SPACE=10

there_is_same()
{
	[ "$(sha256sum <"$1")" = "$(guest "sha256sum <$PAIR_GUEST_ROOT/$2")" ]
}

# sectors_written DIR: on the disk that DIR is on
sectors_written()
{
	awk -v dev="$(stat -c '%Hd:%Ld' "$1")" '$1 ":" $2 == dev { print $10 }' /proc/diskstats
}

# takes SECONDS SECONDS CMD...: at least and at most
takes()
{
	local least=$1 most=$2 start took

	shift 2
	start=$(date +%s%N)
	"$@" || return
	took=$((($(date +%s%N) - start) / 1000000))
	[ $took -ge $((least * 1000)) ] && [ $took -le $((most * 1000)) ] && return
	echo "# took $took ms"
	return 1
}

ok "the pair comes up" pair_up
head -c 32M /dev/urandom >/tmp/file

ok "push at 16 MiB/s" takes 1 10 code_is 0 "$IVRING" push --bwlimit 16M /tmp/file vm0:slow
ok "is right" there_is_same /tmp/file slow
ok "pull at 16 MiB/s" takes 1 10 code_is 0 "$IVRING" pull --bwlimit 16M vm0:slow /tmp/slow
ok "is right, too" cmp /tmp/file /tmp/slow

guest "mkdir -p $PAIR_GUEST_ROOT/small && mount -t tmpfs -o size=64m none $PAIR_GUEST_ROOT/small"
ok "space that is to stay free" code_is $NO_SPACE "$IVRING" push --min-free 48M /tmp/file vm0:small/x
ok "nothing was sent" guest "[ -z \"\$(ls -A $PAIR_GUEST_ROOT/small)\" ]"
no_space_on_the_way()
{
	code_is $NO_SPACE "$IVRING" push --min-free 48M - vm0:small/x < <(head -c 32M /dev/zero)
}
ok "found out on the way, of a stream" no_space_on_the_way
ok "nothing is left" guest "[ -z \"\$(ls -A $PAIR_GUEST_ROOT/small)\" ]"
ok "it fits otherwise" code_is 0 "$IVRING" push --min-free 16M /tmp/file vm0:small/x
guest "umount $PAIR_GUEST_ROOT/small"

ok "a dry run" code_is 0 "$IVRING" push --dry-run /tmp/file vm0:dry
ok "makes nothing" guest "[ ! -e $PAIR_GUEST_ROOT/dry ]"

for io in direct drop-cache; do
	ok "push, $io" code_is 0 "$IVRING" push --io $io /tmp/file vm0:io
	rm -f /scratch/io
	ok "pull to a disk, $io" code_is 0 "$IVRING" pull --io $io vm0:io /scratch/io
	ok "$io: is right" cmp /tmp/file /scratch/io
	ok "push from a disk, $io" code_is 0 "$IVRING" push --io $io /scratch/io vm0:again
	ok "$io: is right there" there_is_same /tmp/file again
done

rm -f /scratch/io
before=$(sectors_written /scratch)
ok "pull, and write all out at the end" code_is 0 "$IVRING" pull --fsync=end vm0:io /scratch/io
after=$(sectors_written /scratch)
if [ -n "$before" ]; then
	ok "that is on the disk" [ $(((after - before) * 512)) -ge $((32 << 20)) ]
else
	echo "# /scratch is on no disk of its own"
fi

# An agent that comes late, and one that dies in the middle.
guest_agent_stop
ok "no agent: retries have an end" code_is $NO_AGENT "$IVRING" push --connect-timeout 0.5 --retry 1 /tmp/file vm0:retry
"$IVRING" push --connect-timeout 1 --retry 20 --json /tmp/file vm0:retry >"$RESULTS/retry.json" 2>&1 &
client=$!
retried()
{
	grep -q '"type":"retry"' "$RESULTS/retry.json"
}
ok "it is tried again" wait_for 10 retried
guest_agent
ok "until there is one" code_is 0 wait $client
ok "the summary counts that" grep -q '"type":"summary".*"retries":[1-9]' "$RESULTS/retry.json"
ok "what arrived is right" there_is_same /tmp/file retry
ok "the pair goes down" pair_down
plan

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Files of all sizes go through the ring both ways and arrive whole; neither
# tool nor modules need more memory for a bigger file.

# What is quoted is for a shell in the guest.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

# The tool maps both rings, at most 16 MiB together with their double, and
# needs little else: a copy of a big file in memory would not fit.
LIMIT=(prlimit --as=$((96 << 20)) --)

same_in_guest()
{
	[ "$(sha256sum <"$1")" = "$(guest "sha256sum <$PAIR_GUEST_ROOT/$2")" ]
}

round_trip()
{
	local file=$1 name

	name=$(basename "$file")
	ok "push $name" code_is 0 "${LIMIT[@]}" "$IVRING" push "$file" "vm0:$name"
	ok "$name arrived whole" same_in_guest "$file" "$name"
	ok "pull $name" code_is 0 "${LIMIT[@]}" "$IVRING" pull "vm0:$name" "$file.back"
	ok "$name came back whole" cmp "$file" "$file.back"
	guest rm -f "$PAIR_GUEST_ROOT/$name"
	rm -f "$file" "$file.back"
}

guest_memory()
{
	guest 'awk "/^(Slab|VmallocUsed|PageTables|KernelStack)/ { n += \$2 } END { print n }" \
		/proc/meminfo; grep VmHWM /proc/$(cat /run/agent.pid)/status | tr -dc 0-9'
}

ok "the pair comes up" pair_up

for size in 0 1 4095 4096 4097 1048575 1048576 1048577; do
	head -c $size /dev/urandom >"/tmp/size-$size"
	round_trip "/tmp/size-$size"
done

mapfile -t before < <(guest_memory)
head -c 512M /dev/urandom >/tmp/size-512M
round_trip /tmp/size-512M
mapfile -t after < <(guest_memory)
echo "# guest: kernel ${before[0]} -> ${after[0]} KiB, agent ${before[1]} -> ${after[1]} KiB"
ok "the agent did not grow by 1 MiB" [ $((after[1] - before[1])) -lt 1024 ]
# Page cache and tmpfs bring radix trees and inodes along: some slab is theirs.
ok "nor the guest's kernel by 24 MiB" [ $((after[0] - before[0])) -lt 24576 ]

# Data at the start, in the middle and at the very end, holes between.
truncate -s 5G /scratch/sparse
for at in 0 2621440000 5368709119; do
	printf x | dd of=/scratch/sparse bs=1 seek=$at conv=notrunc status=none
done
ok "push a sparse file of 5 GiB" code_is 0 "${LIMIT[@]}" "$IVRING" push /scratch/sparse vm0:sparse
ok "it stays sparse" [ "$(guest "stat -c %b $PAIR_GUEST_ROOT/sparse")" -lt 1000 ]
ok "pull it" code_is 0 "${LIMIT[@]}" "$IVRING" pull vm0:sparse /scratch/sparse.back
ok "it is still sparse" [ "$(stat -c %b /scratch/sparse.back)" -lt 1000 ]
ok "and the same" cmp /scratch/sparse /scratch/sparse.back
rm -f /scratch/sparse*
guest rm -f "$PAIR_GUEST_ROOT/sparse"

# From the guest, to an agent on the host.
mkdir -p /tmp/host-root
"$IVRING" agent --root /tmp/host-root >>"$RESULTS/host-agent.log" 2>&1 </dev/null &
agent=$!
ok "push from the guest" code_is 0 guest "head -c 3000000 /dev/urandom >/tmp/g &&
	$IVRING push /tmp/g host:g"
ok "pull from the guest" code_is 0 guest "$IVRING pull host:g /tmp/g2 && cmp /tmp/g /tmp/g2"
kill $agent
wait $agent

for c in 0 1; do
	ok "channel $c: no wake-up was rescued on the host" [ "$(stat_of ivring0c$c rescued)" = 0 ]
	ok "channel $c: nor in the guest" [ "$(guest_stat_of ivring0c$c rescued)" = 0 ]
done
ok "the pair goes down" pair_down
plan

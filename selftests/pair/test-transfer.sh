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

# The big file; the sparse one has ten times that.
BIG_MIB=${IVRING_TEST_BIG_MIB:-512}
SPARSE=$((BIG_MIB * 10 << 20))

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
head -c "${BIG_MIB}M" /dev/urandom >/tmp/size-big
round_trip /tmp/size-big
mapfile -t after < <(guest_memory)
echo "# guest: kernel ${before[0]} -> ${after[0]} KiB, agent ${before[1]} -> ${after[1]} KiB"
ok "the agent did not grow by 1 MiB" [ $((after[1] - before[1])) -lt 1024 ]
# Page cache and tmpfs bring radix trees and inodes along: some slab is theirs.
ok "nor the guest's kernel by 24 MiB" [ $((after[0] - before[0])) -lt 24576 ]

# Data at the start, in the middle and at the very end, holes between.
truncate -s $SPARSE /scratch/sparse
for at in 0 $((SPARSE / 2)) $((SPARSE - 1)); do
	printf x | dd of=/scratch/sparse bs=1 seek=$at conv=notrunc status=none
done
ok "push a sparse file of $((SPARSE >> 20)) MiB" code_is 0 "${LIMIT[@]}" "$IVRING" push /scratch/sparse vm0:sparse
ok "it stays sparse" [ "$(guest "stat -c %b $PAIR_GUEST_ROOT/sparse")" -lt 1000 ]
ok "pull it" code_is 0 "${LIMIT[@]}" "$IVRING" pull vm0:sparse /scratch/sparse.back
ok "it is still sparse" [ "$(stat -c %b /scratch/sparse.back)" -lt 1000 ]
ok "and the same" cmp /scratch/sparse /scratch/sparse.back
rm -f /scratch/sparse*
guest rm -f "$PAIR_GUEST_ROOT/sparse"

# Trees: every kind of thing, and many small files.
mkdir -p /tmp/tree/sub/deep /tmp/tree/empty /tmp/tree/many
head -c 3000000 /dev/urandom >/tmp/tree/sub/file
ln /tmp/tree/sub/file /tmp/tree/sub/deep/again
ln -s ../file /tmp/tree/sub/deep/link
mkfifo /tmp/tree/fifo
mknod /tmp/tree/null c 1 3
touch -d '2001-02-03 04:05:06.123456789' /tmp/tree/sub/file
chown 12:34 /tmp/tree/sub/file
(cd /tmp/tree/many && head -c 8192000 /dev/urandom | split -b 4096 -a 4)

# list DIR: names, types, modes, owners, times, links and content
list()
{
	(cd "$1" && find . -printf '%p %y %m %U %G %T@ %l\n' | LC_ALL=C sort &&
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
}

guest_agent_stop
guest_agent --allow-devices
ok "push a tree" code_is 0 "$IVRING" push -a --manifest /tmp/pushed /tmp/tree vm0:
ok "it arrived whole" [ "$(list /tmp/tree)" = "$(guest "$(declare -f list); list $PAIR_GUEST_ROOT/tree")" ]
ok "pull it" code_is 0 "$IVRING" pull -a vm0:tree/ /tmp/tree.back
ok "it came back whole" [ "$(list /tmp/tree)" = "$(list /tmp/tree.back)" ]
ok "pull it with a manifest" code_is 0 "$IVRING" pull -a --manifest /tmp/pulled vm0:tree /tmp/tree.again/
ok "which is the same as the one of the push" cmp <(sort /tmp/pushed) <(sort /tmp/pulled)
ok "and has all files and names" [ "$(grep -c ^xxh3-128: /tmp/pulled)" = 2002 ]
ok "nothing differs" code_is 0 "$IVRING" verify /tmp/pushed /tmp/tree.again
printf x >>/tmp/tree.again/tree/many/xaaaa
ok "now something does" code_is 20 "$IVRING" verify /tmp/pushed /tmp/tree.again
rm -rf /tmp/tree.again
ok "two names are still one file" [ /tmp/tree.back/sub/file -ef /tmp/tree.back/sub/deep/again ]

# Standard input and output
pipe_through()
{
	"$IVRING" push - vm0:piped </tmp/tree/sub/file >>"$RESULTS/commands.log" 2>&1 &&
		"$IVRING" cat vm0:piped | cmp - /tmp/tree/sub/file &&
		"$IVRING" pull vm0:piped - | cmp - /tmp/tree/sub/file
}

ok "standard input and output" pipe_through
ok "JSON" grep -q '"type":"summary","name":"vm0:piped","files":1' \
	<("$IVRING" pull --json vm0:piped /tmp/piped)
rm -rf /tmp/tree*

# Behind a hole the sides would see different memory.
hole_is_refused()
{
	! fallocate --punch-hole --offset 1048576 --length 4096 "$(serve_memfd vm0)" \
		2>"$RESULTS/hole.log" && grep -q 'not permitted' "$RESULTS/hole.log"
}

ok "nobody can punch a hole into the memory" hole_is_refused

# 9p without cache takes hold of pages, which a ring's mapping does not give.
through_9p()
{
	"$IVRING" push "$IVRING" vm0:over-9p >>"$RESULTS/commands.log" 2>&1 &&
		"$IVRING" pull vm0:over-9p "$RESULTS/over-9p" >>"$RESULTS/commands.log" 2>&1 &&
		cmp "$IVRING" "$RESULTS/over-9p"
}

ok "from and to a file system without a page cache" through_9p
rm -f "$RESULTS/over-9p"

# From the guest, to an agent on the host.
mkdir -p /tmp/host-root
"$IVRING" agent --root /tmp/host-root >>"$RESULTS/host-agent.log" 2>&1 </dev/null &
agent=$!
ok "an agent on the host" wait_for 10 grep -q ': serving ivring' "$RESULTS/host-agent.log"
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

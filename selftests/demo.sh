#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The main job, for a person to watch: a file goes from a KVM host to its guest
# and back through the ring. Runs in the lab's host VM.

set -euo pipefail
# shellcheck source=pair/pair.sh
. /src/selftests/pair/pair.sh
# shellcheck source=pair/speed.sh
. /src/selftests/pair/speed.sh

SIZE_MB=512
SIZE=$((SIZE_MB << 20))
ROUNDS=3

step()
{
	echo
	echo "== $*"
}

push()
{
	"$IVRING" push "$@" /tmp/demo.in vm0:demo
}

pull()
{
	"$IVRING" pull "$@" vm0:demo /tmp/demo.back
}

step "host: modules and link server"
load_host
serve_start
cat "$RESULTS/serve.log"

step "guest: start, modules, agent"
guest_device
guest_wait
load_guest
guest_agent
wait_for 10 link_is up
"$IVRING" ls-links
guest "$IVRING ls-links"

step "$SIZE_MB MiB of random bytes: host -> guest -> host"
head -c ${SIZE_MB}M /dev/urandom >/tmp/demo.in
mapfile -t before < <(speed_counts)
push --progress
pull --progress
mapfile -t after < <(speed_counts)

step "SHA-256"
{
	sha256sum </tmp/demo.in | sed 's/-/host: the original/'
	guest "sha256sum <$PAIR_GUEST_ROOT/demo" | sed 's/-/guest: what was pushed/'
	sha256sum </tmp/demo.back | sed 's/-/host: what was pulled back/'
} | tee "$RESULTS/sums"
[ "$(cut -d' ' -f1 "$RESULTS/sums" | sort -u | wc -l)" = 1 ] || {
	echo "demo: the files differ" >&2
	exit 1
}

step "speed, tmpfs to tmpfs, verified; best of $ROUNDS, in turns with cp"
# The guest has not memory for all of them.
guest rm "$PAIR_GUEST_ROOT/demo"
rm /tmp/demo.back
speed_rounds $ROUNDS /tmp/demo.in
show()
{
	printf '%-28s %6s %s\n' "$@"
}
show "push (host -> guest)" "$(speed_mbps push best $SIZE)" MB/s
show "pull (guest -> host)" "$(speed_mbps pull best $SIZE)" MB/s
show "cp in the host VM" "$(speed_mbps host_cp best $SIZE)" MB/s
show "cp in the guest" "$(speed_mbps guest_cp best $SIZE)" MB/s
show "push / cp in the slower VM" "$(speed_ratio push best)" ""
show "pull / cp in the slower VM" "$(speed_ratio pull best)" ""

step "doorbells and interrupts for the first push and pull together"
for i in 0 1 2 3; do
	cost[i]=$((after[i] - before[i]))
done
printf 'host:  %5d doorbells rung, %5d interrupts taken\n' "${cost[0]}" "${cost[2]}"
printf 'guest: %5d doorbells rung, %5d interrupts taken\n' "${cost[1]}" "${cost[3]}"
printf 'both:  %5d per GiB\n' \
	$(((cost[0] + cost[1] + cost[2] + cost[3]) * 1024 / (2 * SIZE_MB)))
echo "wake-ups that no doorbell brought: host $(rescued_total), guest $(guest_rescued_total)"
none_rescued || {
	echo "demo: wake-ups were lost" >&2
	exit 1
}

step "down again"
pair_down

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The main job, for a person to watch: a file goes from a KVM host to its guest
# and back through the ring. Runs in the lab's host VM.

set -euo pipefail
# shellcheck source=pair/pair.sh
. /src/selftests/pair/pair.sh

SIZE_MB=512
ROUNDS=3

step()
{
	echo
	echo "== $*"
}

# seconds CMD...: how long CMD takes
seconds()
{
	local start end

	start=$(now_ns)
	"$@"
	end=$(now_ns)
	echo $((end - start))
}

now_ns()
{
	date +%s%N
}

best()
{
	sort -n | head -n 1
}

mbps()
{
	awk -v ns="$1" -v mb=$SIZE_MB 'BEGIN { printf "%.0f", mb * 1048.576 / (ns / 1e6) }'
}

# Each file of the same rounds, so that a noisy machine is noisy for all alike.
host_cp()
{
	cp /tmp/demo.in /tmp/demo.copy && rm /tmp/demo.copy
}

guest_cp()
{
	guest "start=\$(date +%s%N); cp $PAIR_GUEST_ROOT/demo /tmp/demo.copy
		end=\$(date +%s%N); rm /tmp/demo.copy; echo \$((end - start))"
}

push()
{
	"$IVRING" push "$@" /tmp/demo.in vm0:demo
}

pull()
{
	"$IVRING" pull "$@" vm0:demo /tmp/demo.back
}

counts()
{
	local when=$1

	echo "$when $(stat_of ivring0 doorbells) $(stat_of ivring0 interrupts)" \
		"$(guest_stat_of ivring0 doorbells) $(guest_stat_of ivring0 interrupts)"
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
counts before >"$RESULTS/counts"
push --progress
pull --progress
counts after >>"$RESULTS/counts"

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
for _ in $(seq $ROUNDS); do
	echo "host_cp $(seconds host_cp)"
	echo "guest_cp $(guest_cp)"
	echo "push $(seconds push --quiet)"
	echo "pull $(seconds pull --quiet)"
done >"$RESULTS/times"
for what in push pull host_cp guest_cp; do
	declare "$what=$(grep "^$what " "$RESULTS/times" | cut -d' ' -f2 | best)"
done
# shellcheck disable=SC2154
{
	printf '%-28s %6s MB/s\n' \
		"push (host -> guest)" "$(mbps "$push")" "pull (guest -> host)" "$(mbps "$pull")" \
		"cp in the host VM" "$(mbps "$host_cp")" "cp in the guest" "$(mbps "$guest_cp")"
	slower=$((host_cp > guest_cp ? host_cp : guest_cp))
	awk -v push="$push" -v pull="$pull" -v cp=$slower 'BEGIN {
		printf "%-28s %.2f\n%-28s %.2f\n", "push / cp in the slower VM", cp / push,
			"pull / cp in the slower VM", cp / pull }'
}

step "doorbells and interrupts for the first push and pull together"
awk -v gib="$(awk -v mb=$SIZE_MB 'BEGIN { print 2 * mb / 1024 }')" '
	$1 == "before" { split($0, b) }
	$1 == "after" {
		printf "host:  %5d doorbells rung, %5d interrupts taken\n", $2 - b[2], $3 - b[3]
		printf "guest: %5d doorbells rung, %5d interrupts taken\n", $4 - b[4], $5 - b[5]
		printf "both:  %5.0f per GiB\n",
			($2 - b[2] + $3 - b[3] + $4 - b[4] + $5 - b[5]) / gib
	}' "$RESULTS/counts"
echo "wake-ups rescued by the safety timer: host $(stat_of ivring0c0 rescued)," \
	"guest $(guest_stat_of ivring0c0 rescued)"

step "down again"
pair_down

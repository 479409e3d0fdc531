#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs in the lab's host VM, for "make bench-lab": the same file through ivring and
# through all else, in turns. What was measured goes into files in $RESULTS, which
# "report" reads:
#
#   settings	NAME VALUE
#   commands	SYSTEM, host or guest, and the command, with tabs between
#   about	SYSTEM, tab, what it is
#   skipped	SYSTEM, tab, why
#   failed	SYSTEM, tab, why it was left out from there on
#   versions	what, tab, what it says it is
#   samples	bulk|files SYSTEM push|pull ROUND BYTES MICROSECONDS
#   rtt		NAME ROUND NANOSECONDS
#   memory	KEY ROUND VALUE
#   counts	KEY VALUE

set -uo pipefail
# shellcheck source=../pair/pair.sh
. /src/selftests/pair/pair.sh
# shellcheck source=lib.sh
. /src/selftests/bench-lab/lib.sh
# shellcheck source=measure.sh
. /src/selftests/bench-lab/measure.sh

QUICK=${IVRING_TEST_QUICK:-}
ROUNDS=${IVRING_TEST_BENCH_ROUNDS:-$([ -n "$QUICK" ] && echo 3 || echo 5)}
MIB=${IVRING_TEST_BENCH_MIB:-$([ -n "$QUICK" ] && echo 128 || echo 1024)}
FILES=${IVRING_TEST_BENCH_FILES:-$([ -n "$QUICK" ] && echo 2000 || echo 20000)}
ONLY=${IVRING_TEST_BENCH_SYSTEMS:-}
TRIAL=$(((MIB < 32 ? MIB : 32) << 20))
# Seconds: what is begun must end, too, and both VMs must boot before.
BUDGET=${IVRING_TEST_BENCH_SECONDS:-$([ -n "$QUICK" ] && echo 450)}
# How often a setting is tried
TRIES=$([ -n "$QUICK" ] && echo 1 || echo 1 2)
export BUDGET TRIES
FILE_BYTES=4096
export GUEST_MEM=${GUEST_MEM:-$((MIB * 3 + 1024))M}
# vhost-user devices are other processes' to serve; huge pages as without them
export GUEST_RAM=memory-backend-memfd,share=on
# Two for the agent, four for parts, one for "ivring bench", and one vector more
CHANNELS=8
export PAIR_VECTORS=$((CHANNELS + 1))

die()
{
	note "$*"
	exit 1
}

wanted()
{
	[ -z "$ONLY" ] || { [[ " $ONLY " == *" $1 "* ]]; return; }
	[ -z "$QUICK" ] || [ -n "$(field quick)" ]
}

# Which systems there are, and which of them can run
systems_load()
{
	local file reason

	systems=()
	for file in /src/selftests/bench-lab/systems/*.sh; do
		# shellcheck source=/dev/null
		. "$file"
		SYSTEM=$(basename "$file" .sh)
		SYSTEM=${SYSTEM#[0-9][0-9]-}
		wanted "$SYSTEM" || continue
		printf '%s\t%s\n' "$SYSTEM" "$(field about)" >>"$RESULTS/about"
		if reason=$(hook skip >/dev/null && run_hook skip); then
			printf '%s\t%s\n' "$SYSTEM" "$reason" >>"$RESULTS/skipped"
		else
			systems+=("$SYSTEM")
		fi
	done
}

# each STEP: of every system; one that fails is left out, and the report says so.
each()
{
	local left=()

	for SYSTEM in "${systems[@]}"; do
		if run_hook "$1"; then
			left+=("$SYSTEM")
		else
			gave_up "$1 failed: $(tail -n 1 "$RESULTS/output")"
		fi
	done
	systems=("${left[@]}")
}

gave_up()
{
	note "$SYSTEM: $*"
	failures=$((failures + 1))
	printf '%s\t%s\n' "$SYSTEM" "$*" >>"$RESULTS/failed"
}

settings()
{
	printf '%s\n' "quick ${QUICK:-0}" "rounds $ROUNDS" "bytes $((MIB << 20))" "files $FILES" \
		"file_bytes $FILE_BYTES" "guest_memory $GUEST_MEM" "guest_cpus ${GUEST_CPUS:-2}" \
		"host_cpus $(nproc)" "kernel $(uname -r)" \
		"qemu $(qemu-system-x86_64 --version | sed -n '1s/.*version //p')" \
		"cpu $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
		"accelerator $(lab_emulated && echo tcg || echo kvm) (host VM), kvm (guest)"
}

# What the pair is, once it is one; what cannot be read is left out.
pair_settings()
{
	local link=/sys/class/ivring/ivring0

	echo "guest_kernel $(guest uname -r </dev/null)"
	echo "region $(cat $link/region_size)"
	echo "ring $(cat $link/ring_size)"
	echo "channels $(cat $link/channels)"
	echo "window $(cat ${link}c0/window)"
	echo "chunk $(cat ${link}c0/chunk)"
	echo "host_memory_type $(cat $link/memory_type)"
	echo "guest_memory_type $(guest cat $link/memory_type </dev/null)"
}

# version NAME COMMAND...: the first line that has a number in it, if there is such a command
version()
{
	local name=$1 said

	shift
	command -v "$1" >/dev/null || return 0
	said=$("$@" 2>&1 </dev/null | grep -m 1 '[0-9]') || return 0
	printf '%s\t%s\n' "$name" "$said"
}

versions()
{
	version ivring "$IVRING" --version
	version QEMU qemu-system-x86_64 --version
	version virtiofsd "${virtiofs_daemon:-virtiofsd}" --version
	version OpenSSH ssh -V
	version rsync rsync --version
	version socat socat -V
	version Samba smbd --version
	version NFS rpc.nfsd --version
	version nginx nginx -v
	version curl curl --version
	version nbd-server nbd-server --version
	version qemu-nbd qemu-nbd --version
	version libvirt libvirtd --version
	version iscsistart iscsistart --version
}

# The link, the guest with all that systems add to it, and ivring's two ends
bring_up()
{
	mkdir -p "$SHARE/tree"
	echo advise >/sys/kernel/mm/transparent_hugepage/shmem_enabled
	load_host && serve_start --channels $CHANNELS && common_prepare || return
	each prepare
	guest_device "${DEVICES[@]}" && guest_wait && load_guest || return
	quietly_guest "mkdir -p $ROOT/tree"
	common_setup || return
	guest_agent && wait_for 10 link_is up || return
	head -c $TRIAL /dev/urandom >"$SHARE/trial"
	"$IVRING" push --quiet "$SHARE/trial" vm0:trial || return
	each setup
}

: >"$RESULTS/samples"
settings >"$RESULTS/settings"
systems_load
versions >"$RESULTS/versions"
bring_up || die "the pair did not come up"
pair_settings >>"$RESULTS/settings"
rounds
each teardown
pair_down || die "the pair did not go down"
[ "$failures" = 0 ]

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Brings up a pair to play with, in the lab's host VM: modules, a link server on the
# host, agents on both sides, and the command in everybody's path. It all stays.

set -euo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

ROOT=/tmp/root

# greeting WHERE OTHER: what a shell there begins with
greeting()
{
	cat <<-EOF
		This is the $1. What the other side pushes arrives in $ROOT. Try:
		  head -c 256M /dev/urandom >big; ivring push big $2:
		  ivring pull $2:big back; ivring ls-links; ivring stat 0
	EOF
}

# welcome WHERE OTHER: on both sides alike; a function, so that it can be sent.
welcome()
{
	mkdir -p /usr/local/bin
	ln -sf /src/build/tools/ivring /usr/local/bin/ivring
	greeting "$@" >/etc/motd
	echo 'cat /etc/motd; cd /tmp' >>/root/.profile
}

pair_up "$@"
mkdir -p $ROOT
setsid "$IVRING" agent --root $ROOT >"$RESULTS/host-agent.log" 2>&1 </dev/null &
welcome "KVM host" vm0
guest "ROOT=$ROOT; $(declare -f greeting welcome); welcome guest host"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Who may do what, where udev runs and ivring's rules are installed: links are for a
# group, one of them may be for another, and making links takes a capability.

# What is quoted is for a shell in the guest; the checks are called through ok().
# shellcheck disable=SC2016,SC2317
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

# Exit codes, as ivring(1) lists them
ACCESS=19
UDEVD=/lib/systemd/systemd-udevd

# systemd-sysusers comes with all of systemd, which the lab's image is without.
group_set_up()
{
	if command -v systemd-sysusers >/dev/null; then
		systemd-sysusers ivring.conf
	else
		groupadd --system "$(awk '$1 == "g" { print $2 }' /usr/lib/sysusers.d/ivring.conf)"
	fi
}

# What "make install" and booting do, and users: of the group, of another, of none
system_set_up()
{
	local user

	install -D -m 644 /src/packaging/60-ivring.rules /usr/lib/udev/rules.d/60-ivring.rules &&
		install -D -m 644 /src/packaging/ivring.conf /usr/lib/sysusers.d/ivring.conf &&
		group_set_up &&
		groupadd vm1-users || return
	echo 'SUBSYSTEM=="ivring", ATTRS{label}=="vm1", GROUP="vm1-users"' \
		>/etc/udev/rules.d/61-vm1.rules
	for user in member:ivring other:vm1-users stranger:nogroup; do
		useradd -M -N -g nogroup -G "${user#*:}" "${user%:*}" || return
	done
	$UDEVD --daemon </dev/null >/dev/null 2>&1
}

system_tear_down()
{
	udevadm control --exit
}

# as USER CMD...
as()
{
	local user=$1

	shift
	setpriv --reuid "$user" --regid nogroup --init-groups "$@"
}

nodes_are()
{
	local node

	udevadm settle
	for node in "${@:2}"; do
		[ "$(stat -c %U:%G:%a "$node")" = "$1" ] && continue
		echo "# $node is $(stat -c %U:%G:%a "$node")"
		return 1
	done
}

# denied USER NODE...: not even for looking
denied()
{
	local user=$1 node

	shift
	for node; do
		[[ $(as "$user" dd if="$node" of=/dev/null count=0 2>&1) = \
			*'Permission denied'* ]] || return
	done
}

allowed()
{
	local user=$1 node

	shift
	for node; do
		as "$user" dd "if=$node" of=/dev/null count=0 2>/dev/null || return
	done
}

# What sysfs tells goes with the node. Counters of another link are nobody's business.
sysfs_of()
{
	find "/sys/class/ivring/${1#/dev/}/" -maxdepth 2 -type f ! -name uevent ! -name dev \
		! -path '*/power/*'
}

reads_sysfs()
{
	local user=$1 file

	for file in $(sysfs_of "$2"); do
		as "$user" cat "$file" >/dev/null 2>&1 || return
	done
}

denied_sysfs()
{
	local user=$1 file node

	shift
	for node; do
		for file in $(sysfs_of "$node"); do
			! as "$user" cat "$file" 2>/dev/null || return
		done
	done
}

# link_of LABEL: its number
link_of()
{
	local label

	label=$(grep -lxF "$1" /sys/class/ivring/ivring*/label | head -n 1)
	label=${label%/label}
	echo "${label##*/}"
}

guest_system()
{
	guest "UDEVD=$UDEVD; $(declare -f group_set_up system_set_up); system_set_up"
}

guest_nodes_are()
{
	guest "$(declare -f nodes_are); nodes_are $1 /dev/ivring?*"
}

guest_agent_as()
{
	guest "mkdir -p $PAIR_GUEST_ROOT; chown $1 $PAIR_GUEST_ROOT
		setsid setpriv --reuid $1 --regid nogroup --init-groups \
		$IVRING agent --root $PAIR_GUEST_ROOT >>/results/agent.log 2>&1 </dev/null &
		echo \$! >/run/agent.pid"
}

[ -x $UDEVD ] || {
	echo "1..0 # SKIP no udev in the lab's image"
	exit 4
}
head -c 100000 /dev/urandom >/tmp/small
chmod 644 /tmp/small

ok "a system with udev, the rules and the group" system_set_up
ok "the modules load" load_host
ok "who makes links is root" nodes_are root:root:600 /dev/ivring-host
ok "the server starts" serve_start vm1
vm0=/dev/$(link_of vm0) vm1=/dev/$(link_of vm1)
ok "links and channels are for the group" nodes_are root:ivring:660 "$vm0" "$vm0"c?
ok "those of one link for another group" nodes_are root:vm1-users:660 "$vm1" "$vm1"c?

ok "the guest starts" eval 'guest_device && guest_wait'
ok "it has udev, too" guest_system
ok "its modules load" load_guest
ok "its nodes are for the group" guest_nodes_are root:ivring:660
ok "an agent that is not root's" guest_agent_as member
ok "the link is up" wait_for 10 grep -qx up "/sys/class/ivring/${vm0#/dev/}/state"

ok "there is something to read" [ "$(sysfs_of "$vm0" | wc -l)" -gt 20 ]
ok "a member reads about the link" reads_sysfs member "$vm0"
ok "and the channels" reads_sysfs member "${vm0}c0"
ok "by the tool, too" code_is 0 as member "$IVRING" stat vm0
ok "not about the other's" denied_sysfs member "$vm1" "${vm1}c0"
ok "the other reads about that" reads_sysfs other "$vm1"
ok "and not about this one" denied_sysfs other "$vm0" "${vm0}c0"
ok "a stranger about none" denied_sysfs stranger "$vm0" "${vm0}c0" "$vm1" "${vm1}c0"

ok "a member sends" code_is 0 as member "$IVRING" push --quiet /tmp/small vm0:x
as member "$IVRING" pull --quiet vm0:x - 2>>"$RESULTS/commands.log" | cmp - /tmp/small
ok "and asks for it back" [ "${PIPESTATUS[*]}" = "0 0" ]
ok "it is the agent's user's there" \
	guest "[ \$(stat -c %U $PAIR_GUEST_ROOT/x) = member ]"
ok "not with the other's link" denied member "$vm1" "$vm1"c?
ok "a stranger does not" code_is $ACCESS as stranger "$IVRING" push --quiet /tmp/small vm0:x
ok "nor open anything" denied stranger "$vm0" "$vm0"c? "$vm1" "$vm1"c? /dev/ivring-host
ok "the other opens the other link" allowed other "$vm1"
ok "and not this one" denied other "$vm0" "$vm0"c?

mkdir -p /tmp/sockets
chmod 777 /tmp/sockets
ok "a member makes no link" \
	code_is $ACCESS as member "$IVRING" serve --socket-dir /tmp/sockets vm2
chmod 666 /dev/ivring-host
ok "nor where the node is open for all" \
	code_is $ACCESS as member "$IVRING" serve --socket-dir /tmp/sockets vm2
ok "for want of a capability" \
	grep -q 'CAP_SYS_ADMIN is missing' "$RESULTS/commands.log"
chmod 600 /dev/ivring-host
ok "nor does root without it" code_is $ACCESS setpriv --inh-caps -sys_admin \
	--bounding-set -sys_admin "$IVRING" serve --socket-dir /tmp/sockets vm2

ok "no wake-up was rescued" none_rescued
ok "the pair goes down" pair_down
ok "udev ends" system_tear_down
plan

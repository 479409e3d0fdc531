#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The guest's device goes away under its driver, and comes back: the guest sleeps, as
# far as the kernel's own test of that goes (/sys/power/pm_test), or resets the device,
# or QEMU pulls it out. Data moves, files are open, mapped and being read. Whoever waits is told at once, and
# the next transfer works.

# What is quoted is for a shell in the guest.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh
# shellcheck source=life.sh
. /src/selftests/pair/life.sh

PEER_GONE=13
SIGBUS=135
DRIVER_9P=/sys/bus/virtio/drivers/9pnet_virtio

# The guest's 9p does not outlive its sleep, and whoever then waits for it cannot be
# frozen: so the guest does without.
guest_alone()
{
	guest "cp $IVRING /src/build/selftests/touch /run/ && pkill -x dmesg;
		cd / && umount /results /src && cd $DRIVER_9P && echo virtio* >/run/9p &&
		for d in virtio*; do echo \$d >unbind; done"
}

# Its log, all of it, goes where it went before.
guest_not_alone()
{
	guest "cd $DRIVER_9P && for d in \$(cat /run/9p); do echo \$d >bind; done
		cd / && mount -a && (dmesg --follow \
		>>/results/vm0-dmesg.log 2>&1 </dev/null &)"
}

agent_alone()
{
	guest "mkdir -p $PAIR_GUEST_ROOT; setsid /run/ivring agent --root $PAIR_GUEST_ROOT \
		>/run/agent.log 2>&1 </dev/null & echo \$! >/run/agent.pid"
}

connected()
{
	[ "$(cat "/sys/class/ivring/$1/state")" = connected ]
}

guest_is()
{
	[ "$(guest "cat /run/$1" 2>/dev/null)" = "$2" ]
}

# Everybody who can use a link: a transfer that stands still, a reader on either side,
# a program in the guest that goes round and round in the memory.
users_come()
{
	reader_here
	guest 'rm -f /run/reader /run/mapper /run/touched
		(LC_ALL=C dd if=/dev/ivring0c2 of=/dev/null bs=4k 2>/run/reader) </dev/null >/dev/null 2>&1 &
		(/run/touch /dev/ivring0c1 </dev/zero >/run/touched 2>&1
			echo $? >/run/mapper) </dev/null >/dev/null 2>&1 &'
	exec {holder}<>/dev/ivring0c2
	wait_for 10 connected ivring0c2 && wait_for 20 guest '[ -s /run/touched ]' &&
		push_big_stopped
}

# users_were_told ERROR: what the guest's reader got
users_were_told()
{
	ok "$what: peer gone" within 15 client_ends $PEER_GONE
	ok "$what: who slept in read(2) is told" reader_says 'Connection reset by peer'
	ok "$what: on the other side, too" wait_for 20 guest "grep -q '$1' /run/reader"
	exec {holder}>&-
	ok "$what: who had it mapped got SIGBUS" wait_for 20 guest_is mapper $SIGBUS
}

# sleeps LEVEL STATE: the guest falls asleep, down to where LEVEL says, and wakes up
# after a while.
sleeps()
{
	guest "echo $1 >/sys/power/pm_test; rm -f /run/slept
		(sleep 0.5; echo $2 >/sys/power/state; echo \$? >/run/slept) \
		>/dev/null 2>&1 </dev/null &"
}

# Its end of the shell's connection was reset.
connects()
{
	guest true 2>/dev/null || lab_guest_connect vm0
}

# QEMU lets go of what a device used when the guest has let go of the device. The next
# one needs a connection of its own: the server greets once. And QEMU keeps the name.
socket_is_free()
{
	[ -z "$(guest_monitor chardev-remove ivring)" ]
}

plug_in()
{
	guest_monitor chardev-add "socket,path=$PAIR_SOCKET,id=again"
	guest_monitor device_add \
		"ivshmem-doorbell,chardev=again,vectors=$PAIR_VECTORS,bus=rport,id=ivdev"
}

epochs()
{
	cat /sys/class/ivring/ivring0/{epoch,peer_epoch}
}

# A guest of its own for each sleep: at its second the vsock under the shell's connection
# is dead.
guest_new()
{
	guest_kill
	guest_start -chardev "socket,path=$PAIR_SOCKET,id=ivring" \
		-device pcie-root-port,id=rport,chassis=1,slot=1 \
		-device "ivshmem-doorbell,chardev=ivring,vectors=$PAIR_VECTORS,bus=rport,id=ivdev" &&
		guest_wait && load_guest && guest_alone && agent_alone &&
		wait_for 10 link_is up && wait_for 10 works
}

load_host
ok "a server" serve_start

# To the device, freeze is as mem.
ways=('devices mem' 'devices disk')
! long || ways+=('devices freeze')
for how in "${ways[@]}"; do
	what="sleep (${how/ /, })"
	ok "$what: a guest" guest_new
	# Seconds that it sleeps
	guest 'echo 3 >/sys/module/suspend/parameters/pm_test_delay'
	before=$(epochs)
	ok "$what: users" users_come
	# shellcheck disable=SC2086
	sleeps $how
	# By the next life at the latest they would be told anyway.
	ok "$what: the peer is told at once" wait_for 30 link_is waiting
	ok "$what: the link comes back" wait_for 60 link_is up
	ok "$what: the guest answers" wait_for 30 connects
	ok "$what: it slept" wait_for 20 guest_is slept 0
	users_were_told 'Connection reset by peer'
	ok "$what: this is another life" [ "$(epochs)" != "$before" ]
	ok "$what: transfers work" wait_for 20 works
done

what="reset"
ok "$what: a guest" guest_new
device=$(guest 'cd /sys/bus/pci/drivers/ivring_guest && echo 0000:*')
before=$(epochs)
ok "$what: there is a way" guest "[ -n \"\$(cat /sys/bus/pci/devices/$device/reset_method)\" ]"
ok "$what: users" users_come
ok "$what: it is done" within 10 guest "echo 1 >/sys/bus/pci/devices/$device/reset"
ok "$what: the link comes back" wait_for 10 link_is up
users_were_told 'Connection reset by peer'
ok "$what: this is another life" [ "$(epochs)" != "$before" ]
ok "$what: transfers work" wait_for 20 works

what="unplugged"
ok "no wake-up was rescued" none_rescued
ok "$what: users" users_come
guest_monitor device_del ivdev
ok "$what: the link waits" wait_for 30 link_is waiting
users_were_told 'No such device'
ok "$what: the guest has no link" wait_for 10 guest '[ ! -e /sys/class/ivring/ivring0 ]'
ok "$what: QEMU has no device" wait_for 30 socket_is_free
ok "$what: it comes back" eval 'plug_in; wait_for 30 link_is up'
ok "$what: transfers work" wait_for 20 works

ok "no wake-up was rescued" none_rescued
ok "the guest's log" guest_not_alone
ok "the pair goes down" eval 'guest_agent_stop && unload_guest && guest_shutdown &&
	serve_stop && unload_host'
plan

# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

nbd_about="NBD over virtio-net: nbd-server, two connections, read and written directly"

nbd_prepare()
{
	disk_make
	on_host "printf '[generic]\nallowlist=true\nport=10809\nlistenaddr=$HOST_IP\n[bench]\nexportname=$DISK\n' \
>/run/bench-nbd; nbd-server -C /run/bench-nbd"
}

nbd_setup()
{
	on_guest "modprobe nbd; nbd-client $HOST_IP -N bench /dev/nbd0 -C 2"
}

nbd_push()
{
	disk_fill && timed_guest "$(disk_read /dev/nbd0)"
}

nbd_pull()
{
	timed_guest "$(disk_write /dev/nbd0)" && disk_take
}

nbd_teardown()
{
	quietly_guest "nbd-client -d /dev/nbd0"
	quietly_host "pkill -x nbd-server; :"
}

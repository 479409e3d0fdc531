# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

ivshmem_plain_about="ivshmem-plain: user space copies a file into the memory, the other side out of it, in turns"
ivshmem_plain_quick=1
ivshmem_plain_shm=/dev/shm/bench-plain

ivshmem_plain_prepare()
{
	DEVICES+=(-object "memory-backend-file,id=plain,share=on,size=64M,mem-path=$ivshmem_plain_shm"
		-device ivshmem-plain,memdev=plain)
	record host "qemu-system-x86_64 ... ${DEVICES[*]: -4}"
}

# The one that ivring's driver does not want
ivshmem_plain_setup()
{
	ivshmem_plain_bar=$(guest 'for d in /sys/bus/pci/devices/*; do
			[ "$(<$d/device)" != 0x1110 ] || [ -e $d/driver ] || { echo $d/resource2; break; }
		done' </dev/null)
	[ -n "$ivshmem_plain_bar" ] && on_guest "echo 1 >${ivshmem_plain_bar%/*}/enable"
}

# Whoever waits spins: nobody does outside of a transfer.
ivshmem_plain_push()
{
	on_guest "$PEER serve --once shm:$ivshmem_plain_bar $ROOT" &&
		timed_host "$PEER push shm:$ivshmem_plain_shm $SHARE/$IN out"
}

ivshmem_plain_pull()
{
	on_guest "$PEER serve --once shm:$ivshmem_plain_bar $ROOT" &&
		timed_host "$PEER pull shm:$ivshmem_plain_shm $SRC $SHARE/back"
}

# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

virtio_blk_about="virtio-blk, hot-attached raw file, read and written directly"
virtio_blk_quick=1

virtio_blk_prepare()
{
	disk_make
	DEVICES+=(-object iothread,id=blk -device pcie-root-port,id=blk-port,chassis=1,slot=1)
	record host "qemu-system-x86_64 ... ${DEVICES[*]: -4}"
}

virtio_blk_setup()
{
	on_monitor "drive_add 0 if=none,id=blk,format=raw,file=$DISK,cache=writeback,aio=threads,file.locking=off" &&
		on_monitor "device_add virtio-blk-pci,drive=blk,iothread=blk,bus=blk-port,serial=bench-blk" &&
		virtio_blk_dev=$(guest_disk bench-blk)
}

virtio_blk_push()
{
	disk_fill && timed_guest "$(disk_read "$virtio_blk_dev")"
}

virtio_blk_pull()
{
	timed_guest "$(disk_write "$virtio_blk_dev")" && disk_take
}

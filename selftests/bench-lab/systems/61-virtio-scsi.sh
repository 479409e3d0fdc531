# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

virtio_scsi_about="virtio-scsi, hot-attached raw file, read and written directly"

virtio_scsi_prepare()
{
	disk_make
	DEVICES+=(-object iothread,id=scsi -device virtio-scsi-pci,id=scsi,iothread=scsi)
	record host "qemu-system-x86_64 ... ${DEVICES[*]: -4}"
}

virtio_scsi_setup()
{
	quietly_guest "modprobe -a virtio_scsi sd_mod"
	on_monitor "drive_add 0 if=none,id=scsi-disk,format=raw,file=$DISK,cache=writeback,aio=threads,file.locking=off" &&
		on_monitor "device_add scsi-hd,bus=scsi.0,drive=scsi-disk,serial=bench-scsi" &&
		on_guest "for scan in /sys/class/scsi_host/host*/scan; do echo - - - >\$scan; done" &&
		virtio_scsi_dev=$(guest_scsi_disk QEMU)
}

virtio_scsi_push()
{
	disk_fill && timed_guest "$(disk_read "$virtio_scsi_dev")"
}

virtio_scsi_pull()
{
	timed_guest "$(disk_write "$virtio_scsi_dev")" && disk_take
}

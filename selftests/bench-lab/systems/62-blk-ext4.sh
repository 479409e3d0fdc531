# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

blk_ext4_about="virtio-blk, hot-attached raw file with ext4 in it: mount, cp, umount"

blk_ext4_prepare()
{
	disk_make
	DEVICES+=(-object iothread,id=ext4 -device pcie-root-port,id=ext4-port,chassis=2,slot=2)
	record host "qemu-system-x86_64 ... ${DEVICES[*]: -4}"
}

blk_ext4_setup()
{
	on_monitor "drive_add 0 if=none,id=ext4,format=raw,file=$DISK,cache=writeback,aio=threads,file.locking=off" &&
		on_monitor "device_add virtio-blk-pci,drive=ext4,iothread=ext4,bus=ext4-port,serial=bench-ext4" &&
		blk_ext4_dev=$(guest_disk bench-ext4) && quietly_guest "mkdir -p /mnt/ext4"
}

blk_ext4_push()
{
	ext4_fill && timed_guest "mount -o ro $blk_ext4_dev /mnt/ext4 && cp /mnt/ext4/$IN $ROOT/out &&
umount /mnt/ext4"
}

blk_ext4_pull()
{
	ext4_empty && timed_guest "mount $blk_ext4_dev /mnt/ext4 && cp $ROOT/$SRC /mnt/ext4/back &&
umount /mnt/ext4" && ext4_take
}

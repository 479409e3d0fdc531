# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

loop_image_about="an image with ext4 on virtiofs, loop-mounted in the guest: mount, cp, umount"

# The host has it mounted in between: loop-mounted, too, when what was pulled is taken out.
loop_image_setup()
{
	disk_make
	ln -f $DISK $SHARE/image
	quietly_guest "modprobe loop; mkdir -p /mnt/loop; mountpoint -q /mnt/virtiofs"
}

loop_image_push()
{
	ext4_fill && timed_guest "mount -o loop,ro /mnt/virtiofs/image /mnt/loop &&
cp /mnt/loop/$IN $ROOT/out && umount /mnt/loop"
}

loop_image_pull()
{
	ext4_empty && timed_guest "mount -o loop /mnt/virtiofs/image /mnt/loop &&
cp $ROOT/$SRC /mnt/loop/back && umount /mnt/loop" && ext4_take
}

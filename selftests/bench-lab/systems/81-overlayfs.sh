# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

overlayfs_about="overlayfs in the guest, the lower directory on virtiofs; there is no way back"

overlayfs_setup()
{
	on_guest "mountpoint -q /mnt/virtiofs; mkdir -p /tmp/up /tmp/work /mnt/overlay;
mount -t overlay -o lowerdir=/mnt/virtiofs,upperdir=/tmp/up,workdir=/tmp/work overlay /mnt/overlay"
}

overlayfs_push()
{
	timed_guest "cp /mnt/overlay/$IN $ROOT/out"
}

overlayfs_teardown()
{
	quietly_guest "umount /mnt/overlay"
}

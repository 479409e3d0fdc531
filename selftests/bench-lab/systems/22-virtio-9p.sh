# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

virtio_9p_about="9p over virtio, the best of some msize"
virtio_9p_quick=1

virtio_9p_prepare()
{
	DEVICES+=(-fsdev "local,id=bench,path=$SHARE,security_model=none,multidevs=remap"
		-device virtio-9p-pci,fsdev=bench,mount_tag=bench)
	record host "qemu-system-x86_64 ... ${DEVICES[*]: -4}"
}

# Mounted with the msize that is asked for
virtio_9p_mount()
{
	[ "${virtio_9p_mounted:-}" != "$virtio_9p_msize" ] || return 0
	quietly_guest "umount /mnt/9p"
	on_guest "mkdir -p /mnt/9p; mount -t 9p -o trans=virtio,version=9p2000.L,\
msize=$virtio_9p_msize bench /mnt/9p" && virtio_9p_mounted=$virtio_9p_msize
}

virtio_9p_setup()
{
	best_of push virtio_9p_msize 512000 2097152 && virtio_9p_mounted=
}

virtio_9p_push()
{
	virtio_9p_mount && timed_guest "$(copy_line "$DD" "/mnt/9p/$IN" $ROOT/out)"
}

virtio_9p_pull()
{
	virtio_9p_mount && timed_guest "$(copy_line "$DD" "$ROOT/$SRC" /mnt/9p/back)"
}

virtio_9p_teardown()
{
	quietly_guest "umount /mnt/9p"
}

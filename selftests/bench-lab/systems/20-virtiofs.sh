# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

# QEMU's own, in C, up to 7.2; then the one in Rust
virtiofs_daemon=/usr/lib/qemu/virtiofsd
virtiofs_dir="-o source=$SHARE -o cache=auto"
if [ ! -x $virtiofs_daemon ]; then
	virtiofs_daemon=/usr/libexec/virtiofsd
	virtiofs_dir="--shared-dir=$SHARE --cache=auto"
fi
virtiofs_about="virtiofs without DAX, served by $virtiofs_daemon"
virtiofs_quick=1

virtiofs_skip()
{
	[ ! -x $virtiofs_daemon ] && echo "this suite of Debian has no virtiofsd"
}

virtiofs_prepare()
{
	modprobe fuse
	on_host "setsid $virtiofs_daemon --socket-path=/run/virtiofsd.sock $virtiofs_dir \
>$RESULTS/virtiofsd.log 2>&1 &" &&
		wait_for 10 test -S /run/virtiofsd.sock || return
	DEVICES+=(-chardev socket,id=virtiofs,path=/run/virtiofsd.sock
		-device vhost-user-fs-pci,chardev=virtiofs,tag=bench,queue-size=1024)
	record host "qemu-system-x86_64 ... -object memory-backend-memfd,share=on,... ${DEVICES[*]: -4}"
}

virtiofs_setup()
{
	on_guest "modprobe virtiofs; mkdir -p /mnt/virtiofs; mount -t virtiofs bench /mnt/virtiofs" &&
		best_of push virtiofs_read "$CP" "$DD_READ_DIRECT" &&
		best_of pull virtiofs_write "$CP" "$DD_WRITE_DIRECT"
}

virtiofs_push()
{
	timed_guest "$(copy_line "$virtiofs_read" "/mnt/virtiofs/$IN" $ROOT/out)"
}

virtiofs_pull()
{
	timed_guest "$(copy_line "$virtiofs_write" "$ROOT/$SRC" /mnt/virtiofs/back)"
}

virtiofs_teardown()
{
	quietly_guest "umount /mnt/virtiofs"
}

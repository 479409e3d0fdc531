# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

qcow2_nbd_about="a qcow2 image by qemu-nbd, over virtio-net, read and written directly"
qcow2_nbd_max=$((64 << 20))

qcow2_nbd_prepare()
{
	disk_make
	on_host "qemu-img create -q -f qcow2 -o cluster_size=2M,lazy_refcounts=on /tmp/disk.qcow2 \
$(stat -c %s $DISK);
qemu-nbd --fork --persistent --shared=4 --cache=writeback --aio=threads -f qcow2 -x bench \
-b $HOST_IP -p 10810 /tmp/disk.qcow2"
}

qcow2_nbd_setup()
{
	on_guest "modprobe nbd; nbd-client $HOST_IP 10810 -N bench /dev/nbd1 -C 2"
}

qcow2_nbd_push()
{
	quietly_host "qemu-img convert -n -f raw -O raw $SHARE/$IN nbd://$HOST_IP:10810/bench" &&
		timed_guest "$(disk_read /dev/nbd1)"
}

# The image is larger than the file.
qcow2_nbd_pull()
{
	timed_guest "$(disk_write /dev/nbd1)" &&
		quietly_host "qemu-img dd -f raw -O raw bs=1M count=$(($(disk_size) >> 20)) \
if=nbd://$HOST_IP:10810/bench of=$SHARE/back"
}

qcow2_nbd_teardown()
{
	quietly_guest "nbd-client -d /dev/nbd1"
	quietly_host "pkill -x qemu-nbd; :"
}

# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

iscsi_about="iSCSI over virtio-net: LIO with a file behind it, read and written directly"
iscsi_iqn=iqn.2000-01.lab.bench:disk

iscsi_prepare()
{
	disk_make
	on_host "modprobe -a target_core_file iscsi_target_mod; mountpoint -q /sys/kernel/config ||
mount -t configfs none /sys/kernel/config; (cd /sys/kernel/config/target &&
mkdir -p core/fileio_0/bench iscsi/$iscsi_iqn/tpgt_1 &&
echo fd_dev_name=$DISK,fd_dev_size=$(stat -c %s $DISK),fd_buffered_io=1 >core/fileio_0/bench/control &&
echo 1 >core/fileio_0/bench/enable && cd iscsi/$iscsi_iqn/tpgt_1 &&
mkdir lun/lun_0 np/$HOST_IP:3260 && ln -s /sys/kernel/config/target/core/fileio_0/bench lun/lun_0/disk &&
echo 0 >attrib/authentication && echo 1 >attrib/generate_node_acls &&
echo 1 >attrib/cache_dynamic_acls && echo 0 >attrib/demo_mode_write_protect && echo 1 >enable)"
}

iscsi_setup()
{
	on_guest "modprobe -a iscsi_tcp sd_mod; iscsistart -i iqn.2000-01.lab.bench:guest -t $iscsi_iqn \
-g 1 -a $HOST_IP" && iscsi_dev=$(guest_scsi_disk LIO-ORG)
}

iscsi_push()
{
	disk_fill && timed_guest "$(disk_read "$iscsi_dev")"
}

iscsi_pull()
{
	timed_guest "$(disk_write "$iscsi_dev")" && disk_take
}

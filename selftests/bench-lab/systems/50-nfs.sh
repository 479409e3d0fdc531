# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

nfs_about="NFS 4.2 over virtio-net, the host's memory exported asynchronously"
nfs_quick=1

nfs_prepare()
{
	on_host "modprobe -a nfsd; touch /etc/exports; mkdir -p /var/lib/nfs/v4recovery; mount -t nfsd nfsd /proc/fs/nfsd;
echo 10 >/proc/fs/nfsd/nfsv4gracetime; rpc.mountd -N 3;
exportfs -o rw,async,no_root_squash,no_subtree_check,fsid=0 $GUEST_IP:$SHARE;
rpc.nfsd -N 3 -V 4.2 8; echo Y >/proc/fs/nfsd/v4_end_grace"
}

nfs_setup()
{
	on_guest "mkdir -p /mnt/nfs; mount -t nfs4 -o vers=4.2,rsize=1048576,wsize=1048576 $HOST_IP:/ /mnt/nfs" &&
		best_of push nfs_read "$CP" "$DD_READ_DIRECT" &&
		best_of pull nfs_write "$CP" "$DD_WRITE_DIRECT"
}

nfs_push()
{
	timed_guest "$(copy_line "$nfs_read" "/mnt/nfs/$IN" $ROOT/out)"
}

nfs_pull()
{
	timed_guest "$(copy_line "$nfs_write" "$ROOT/$SRC" /mnt/nfs/back)"
}

nfs_teardown()
{
	quietly_guest "umount /mnt/nfs"
	quietly_host "rpc.nfsd 0; exportfs -ua; pkill -x rpc.mountd; umount /proc/fs/nfsd; :"
}

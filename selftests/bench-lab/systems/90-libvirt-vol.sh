# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

libvirt_vol_about="libvirt: vol-download and vol-upload by virsh in the guest, over virtio-net"

# Its daemon does not start without a user of QEMU's, though none is started by it.
libvirt_vol_prepare()
{
	quietly_host "mkdir -p /run/libvirt /var/run; [ -e /var/run/libvirt ] || ln -s /run/libvirt /var/run/libvirt
echo libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin >>/etc/passwd
echo libvirt-qemu:x:64055: >>/etc/group"
	on_host "mkdir -p /var/log/libvirt /var/lib/libvirt /var/cache/libvirt /etc/libvirt $SHARE/pool;
printf 'listen_tls=0\nlisten_tcp=1\nauth_tcp=\"none\"\nlisten_addr=\"$HOST_IP\"\n' >/run/bench-libvirtd;
libvirtd -d -l -f /run/bench-libvirtd" && wait_for 20 test -S /run/libvirt/libvirt-sock &&
		on_host "virsh -q -c storage:///system pool-create-as bench dir --target $SHARE/pool"
}

libvirt_vol_push()
{
	quietly_host "ln -f $SHARE/$IN $SHARE/pool/in; virsh -q -c storage:///system pool-refresh bench" &&
		timed_guest "virsh -q -c storage+tcp://$HOST_IP/system vol-download --pool bench in $ROOT/out"
}

libvirt_vol_pull()
{
	quietly_host "rm -f $SHARE/pool/*; virsh -q -c storage:///system pool-refresh bench &&
virsh -q -c storage:///system vol-create-as bench back $(disk_size)" &&
		timed_guest "virsh -q -c storage+tcp://$HOST_IP/system vol-upload --pool bench back $ROOT/$SRC" &&
		mv $SHARE/pool/back $SHARE/back
}

libvirt_vol_teardown()
{
	quietly_host "pkill -x libvirtd; :"
}

# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

smb_about="SMB 3.1.1 over virtio-net: Samba, neither signed nor encrypted"

smb_prepare()
{
	on_host "mkdir -p /etc/samba /var/lib/samba/private /var/cache/samba /var/log/samba /run/samba;
cat >/etc/samba/smb.conf <<-END
[global]
server role = standalone server
server min protocol = SMB3
smb ports = 445
disable netbios = yes
map to guest = bad user
guest account = root
load printers = no
use sendfile = yes
[bench]
path = $SHARE
guest ok = yes
read only = no
strict allocate = no
END
smbd -D"
}

smb_setup()
{
	on_guest "modprobe cifs; mkdir -p /mnt/smb; mount -t cifs -o guest,vers=3.1.1,rsize=4194304,\
wsize=4194304 //$HOST_IP/bench /mnt/smb" &&
		best_of push smb_read "$CP" "$DD_READ_DIRECT" &&
		best_of pull smb_write "$CP" "$DD_WRITE_DIRECT"
}

smb_push()
{
	timed_guest "$(copy_line "$smb_read" "/mnt/smb/$IN" $ROOT/out)"
}

smb_pull()
{
	timed_guest "$(copy_line "$smb_write" "$ROOT/$SRC" /mnt/smb/back)"
}

smb_teardown()
{
	quietly_guest "umount /mnt/smb"
	quietly_host "pkill -x smbd; :"
}

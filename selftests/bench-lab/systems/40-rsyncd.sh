# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

rsyncd_about="rsync to and from its daemon, over virtio-net"
rsyncd_quick=1

rsyncd_setup()
{
	on_guest "printf '[bench]\npath=$ROOT\nread only=no\nuse chroot=no\nuid=0\ngid=0\n' \
>/etc/rsyncd.conf; rsync --daemon --address=$GUEST_IP"
}

rsyncd_push()
{
	timed_host "rsync --whole-file --inplace $SHARE/$IN rsync://$GUEST_IP/bench/out"
}

rsyncd_pull()
{
	timed_host "rsync --whole-file --inplace rsync://$GUEST_IP/bench/$SRC $SHARE/back"
}

rsyncd_files_push()
{
	timed_host "rsync -r --whole-file --inplace $SHARE/tree/ rsync://$GUEST_IP/bench/out/"
}

rsyncd_files_pull()
{
	timed_host "rsync -r --whole-file --inplace rsync://$GUEST_IP/bench/tree/ $SHARE/back/"
}

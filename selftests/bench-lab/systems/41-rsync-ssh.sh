# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

rsync_ssh_about="rsync over ssh over virtio-net, no compression, the best of some ciphers"
rsync_ssh_max=$((64 << 20))

rsync_ssh_setup()
{
	guest_sshd && best_of push rsync_ssh_cipher $SSH_CIPHERS
}

rsync_ssh_push()
{
	timed_host "rsync --whole-file --inplace -e 'ssh -F /run/bench-ssh -c $rsync_ssh_cipher' \
$SHARE/$IN bench:$ROOT/out"
}

rsync_ssh_pull()
{
	timed_host "rsync --whole-file --inplace -e 'ssh -F /run/bench-ssh -c $rsync_ssh_cipher' \
bench:$ROOT/$SRC $SHARE/back"
}

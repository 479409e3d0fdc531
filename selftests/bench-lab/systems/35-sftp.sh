# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

sftp_about="sftp over virtio-net, with larger and more requests in flight than by default"
sftp_max=$((64 << 20))

sftp_setup()
{
	guest_sshd && best_of push sftp_cipher $SSH_CIPHERS
}

sftp_push()
{
	timed_host "echo put $SHARE/$IN $ROOT/out | \
sftp -q -F /run/bench-ssh -c $sftp_cipher -B 262000 -R 128 -b - bench"
}

sftp_pull()
{
	timed_host "echo get $ROOT/$SRC $SHARE/back | \
sftp -q -F /run/bench-ssh -c $sftp_cipher -B 262000 -R 128 -b - bench"
}

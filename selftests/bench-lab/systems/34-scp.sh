# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

scp_about="scp over virtio-net, no compression, the best of some ciphers"
scp_max=$((64 << 20))

scp_setup()
{
	guest_sshd && best_of push scp_cipher $SSH_CIPHERS
}

scp_push()
{
	timed_host "scp -q -F /run/bench-ssh -c $scp_cipher $SHARE/$IN bench:$ROOT/out"
}

scp_pull()
{
	timed_host "scp -q -F /run/bench-ssh -c $scp_cipher bench:$ROOT/$SRC $SHARE/back"
}

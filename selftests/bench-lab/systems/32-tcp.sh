# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

tcp_about="TCP over virtio-net with vhost: a plain C sender and receiver, the best of some buffers and sendfile"
tcp_quick=1

tcp_setup()
{
	record guest "$PEER serve tcp:$GUEST_IP:7001 $ROOT"
	best_of push tcp_buf 65536 262144 1048576 sendfile
}

tcp_push()
{
	timed_host "$PEER push tcp:$GUEST_IP:7001 $SHARE/$IN out $tcp_buf"
}

tcp_pull()
{
	timed_host "$PEER pull tcp:$GUEST_IP:7001 $SRC $SHARE/back $tcp_buf"
}

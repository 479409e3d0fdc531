# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

vsock_about="vsock: a plain C sender and receiver, the best of some buffers"
vsock_quick=1

vsock_setup()
{
	record guest "$PEER serve vsock:3:7000 $ROOT"
	best_of push vsock_buf 65536 262144 1048576
}

vsock_push()
{
	timed_host "$PEER push vsock:3:7000 $SHARE/$IN out $vsock_buf"
}

vsock_pull()
{
	timed_host "$PEER pull vsock:3:7000 $SRC $SHARE/back $vsock_buf"
}

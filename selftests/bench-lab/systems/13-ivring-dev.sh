# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

ivring_dev_about="one channel of ivring as a device: plain read and write, as with vsock"
ivring_dev_quick=1

ivring_dev_setup()
{
	best_of push ivring_dev_buf 65536 262144 1048576
}

ivring_dev_push()
{
	on_guest "$PEER serve --once dev:/dev/ivring0c2 $ROOT" &&
		timed_host "$PEER push dev:/dev/ivring0c2 $SHARE/$IN out $ivring_dev_buf"
}

ivring_dev_pull()
{
	on_guest "$PEER serve --once dev:/dev/ivring0c2 $ROOT" &&
		timed_host "$PEER pull dev:/dev/ivring0c2 $SRC $SHARE/back $ivring_dev_buf"
}

# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

ivring_dev_4_about="four channels of ivring as devices, a quarter of the file through each"

ivring_dev_4_serve()
{
	on_guest "for c in 2 3 4 5; do $PEER serve --once dev:/dev/ivring0c\$c $ROOT || exit; done"
}

ivring_dev_4_push()
{
	ivring_dev_4_serve && timed_host "(for c in 2 3 4 5; do
	$PEER push dev:/dev/ivring0c\$c $SHARE/$IN@\$((c - 2))/4 out & done; wait)"
}

ivring_dev_4_pull()
{
	ivring_dev_4_serve && timed_host "(for c in 2 3 4 5; do
	$PEER pull dev:/dev/ivring0c\$c $SRC@\$((c - 2))/4 $SHARE/back & done; wait)"
}

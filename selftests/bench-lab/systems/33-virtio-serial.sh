# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

virtio_serial_about="a virtio-serial port and its UNIX socket: a plain C sender and receiver"
virtio_serial_max=$((32 << 20))

virtio_serial_push()
{
	timed_host "$PEER push unix:/run/bench-serial $SHARE/$IN out"
}

virtio_serial_pull()
{
	timed_host "$PEER pull unix:/run/bench-serial $SRC $SHARE/back"
}

# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

tar_vsock_about="tar through socat over vsock"
tar_vsock_quick=1

# tar has the socket itself: it is closed when the last file is there.
tar_vsock_listen()
{
	record guest "$1"
	guest "setsid $1 >/dev/null 2>&1 </dev/null &"
}

tar_vsock_files_push()
{
	tar_vsock_listen "socat VSOCK-LISTEN:7101 EXEC:'tar -x -C $ROOT/out',nofork" &&
		timed_host "tar -C $SHARE/tree -c . | socat -t 60 -b 262144 - \
VSOCK-CONNECT:3:7101,retry=20,interval=0.1"
}

tar_vsock_files_pull()
{
	tar_vsock_listen "socat VSOCK-LISTEN:7101 EXEC:'tar -c -C $ROOT/tree .',nofork" &&
		timed_host "socat -u -b 262144 VSOCK-CONNECT:3:7101,retry=20,interval=0.1 - | \
tar -x -C $SHARE/back"
}

# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

vsock_socat_about="vsock: socat at both ends, 256 KiB at a time"

# Its receiver ends when all is in the file, and the sender waits for that, and for the
# receiver to listen (what that takes is in the time).
vsock_socat_listen()
{
	record guest "$1"
	guest "setsid $1 >/dev/null 2>&1 </dev/null &"
}

vsock_socat_push()
{
	vsock_socat_listen "socat -u -b 262144 VSOCK-LISTEN:7100 CREATE:$ROOT/out" &&
		timed_host "socat -t 60 -b 262144 'OPEN:$SHARE/$IN,rdonly!!/dev/null' VSOCK-CONNECT:3:7100,retry=20,interval=0.1"
}

vsock_socat_pull()
{
	vsock_socat_listen "socat -u -b 262144 OPEN:$ROOT/$SRC,rdonly VSOCK-LISTEN:7100" &&
		timed_host "socat -u -b 262144 VSOCK-CONNECT:3:7100,retry=20,interval=0.1 CREATE:$SHARE/back"
}

# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

http_about="HTTP/1.1 over virtio-net: nginx on the host, curl in the guest (GET, PUT)"

http_prepare()
{
	nginx_start
}

http_push()
{
	timed_guest "curl -sf -o $ROOT/out http://$HOST_IP:8080/$IN"
}

http_pull()
{
	timed_guest "curl -sf -H 'Expect:' -T $ROOT/$SRC http://$HOST_IP:8080/back"
}

# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

http2_about="HTTP/2 without TLS over virtio-net: nginx on the host, curl in the guest (GET, PUT)"

http2_prepare()
{
	nginx_start
}

http2_push()
{
	timed_guest "curl -sf --http2-prior-knowledge -o $ROOT/out http://$HOST_IP:8082/$IN"
}

http2_pull()
{
	timed_guest "curl -sf --http2-prior-knowledge -T $ROOT/$SRC http://$HOST_IP:8082/back"
}

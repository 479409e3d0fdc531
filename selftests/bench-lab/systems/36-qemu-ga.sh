# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

qemu_ga_about="QEMU's guest agent: guest-file-write and guest-file-read, the best of some chunks"
qemu_ga_max=$((16 << 20))
qemu_ga_tool=/src/build/selftests/bench-qga

qemu_ga_prepare()
{
	DEVICES+=(-chardev socket,id=qga,path=/run/bench-qga,server=on,wait=off
		-device virtserialport,chardev=qga,name=org.qemu.guest_agent.0)
	record host "qemu-system-x86_64 ... ${DEVICES[*]: -4}"
}

qemu_ga_setup()
{
	on_guest "port=\$(grep -lx org.qemu.guest_agent.0 /sys/class/virtio-ports/*/name); port=\${port%/name};
mkdir -p /run/qemu /var/run; qemu-ga -d -m virtio-serial -p /dev/\${port##*/} -l /results/qga.log" &&
		best_of push qemu_ga_chunk 65536 1048576 4194304
}

qemu_ga_push()
{
	timed_host "$qemu_ga_tool push /run/bench-qga $SHARE/$IN $ROOT/out $qemu_ga_chunk"
}

qemu_ga_pull()
{
	timed_host "$qemu_ga_tool pull /run/bench-qga $ROOT/$SRC $SHARE/back $qemu_ga_chunk"
}

qemu_ga_teardown()
{
	quietly_guest "pkill -x qemu-ga; :"
}

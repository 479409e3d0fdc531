# shellcheck shell=bash disable=SC2034,SC2054
# SPDX-License-Identifier: GPL-2.0
#
# What the files of systems/ have at hand. It is sourced in the lab's host VM, after
# pair.sh. A system NAME is a file systems/NN-NAME.sh that defines
#
#   NAME_about		what it is, in the words of the table
#   NAME_skip		optional; prints why it cannot run here, and succeeds, or fails
#   NAME_prepare	optional; before the guest is started: adds to DEVICES
#   NAME_setup		optional; the guest is up: servers, mounts, the best of some settings
#   NAME_push		moves $SHARE/$IN of the host to $ROOT/out of the guest
#   NAME_pull		moves $ROOT/$SRC of the guest to $SHARE/back of the host
#   NAME_teardown	optional
#   NAME_max		optional variable: as many bytes as it can move in some seconds
#   NAME_quick=1	it is among those of QUICK=1
#   NAME_files_push, NAME_files_pull	the same for directories $SHARE/tree and $ROOT/tree
#
# with "-" in NAME as "_". What push and pull do is done by timed_host or timed_guest, and
# what is part of the setting by on_host and on_guest: these write down what they run, and
# that is what the report shows.

# Where files are, on the host and in the guest: memory, both
SHARE=/tmp/share
ROOT=/tmp/root
PEER=/src/build/selftests/bench-peer
GUEST_IP=10.9.0.2
HOST_IP=10.9.0.1

DEVICES=()
SYSTEM=none
TOOK=0
IN=in SRC=src

note()
{
	printf '# %s\n' "$*"
}

# record SIDE COMMAND: once is enough; a line each, with \v where it has several.
record()
{
	local line=$SYSTEM$'\t'$1$'\t'${2//$'\n'/$'\v'}

	grep -qsxF -- "$line" "$RESULTS/commands" || printf '%s\n' "$line" >>"$RESULTS/commands"
}

# on_host LINE: a shell's line, which is written down and run
on_host()
{
	record host "$1"
	eval "$1" >>"$RESULTS/output" 2>&1 </dev/null
}

on_guest()
{
	record guest "$1"
	guest "$1" >>"$RESULTS/output" 2>&1 </dev/null
}

# quietly_host LINE, quietly_guest LINE: not part of the setting
quietly_host()
{
	eval "$1" >>"$RESULTS/output" 2>&1 </dev/null
}

quietly_guest()
{
	guest "$1" >>"$RESULTS/output" 2>&1 </dev/null
}

# timed_host LINE: sets TOOK, in microseconds
timed_host()
{
	local code=0 from to

	record host "$1"
	from=$EPOCHREALTIME
	eval "$1" >>"$RESULTS/output" 2>&1 </dev/null || code=$?
	to=$EPOCHREALTIME
	TOOK=$((${to/./} - ${from/./}))
	return $code
}

# timed_guest LINE: by the guest's clock, so the way there is not in it
timed_guest()
{
	local said

	record guest "$1"
	# Expanded over there.
	# shellcheck disable=SC2016
	said=$(guest 'from=$EPOCHREALTIME; { '"$1"'; } >&2; code=$?; to=$EPOCHREALTIME
		echo $((${to/./} - ${from/./})); exit $code' 2>>"$RESULTS/output" </dev/null) || return
	TOOK=$said
}

# The function that a system has for something, or nothing
hook()
{
	declare -F "${SYSTEM//-/_}_$1"
}

# run_hook NAME [ARGS]: fine if there is none
run_hook()
{
	local f

	f=$(hook "$1") || return 0
	shift
	"$f" "$@"
}

field()
{
	local var=${SYSTEM//-/_}_$1

	echo "${!var:-}"
}

# Reads must not come from what an earlier one left in the guest's memory.
guest_clear()
{
	quietly_guest "rm -rf $ROOT/out; echo 3 >/proc/sys/vm/drop_caches"
}

host_clear()
{
	rm -rf "$SHARE/back"
}

hash_of()
{
	xxhsum -q -H64 "$1" | cut -d' ' -f1
}

guest_hash_of()
{
	guest xxhsum -q -H64 "$1" | cut -d' ' -f1
}

# try_push, try_pull: one transfer, from an empty place
try_push()
{
	guest_clear && "${SYSTEM//-/_}_push"
}

try_pull()
{
	guest_clear && host_clear && "${SYSTEM//-/_}_pull"
}

# best_of WAY VARIABLE VALUE...: VARIABLE becomes the value with which a short transfer
# goes fastest, the better of two tries (one where time is short). Its size is TRIAL.
best_of()
{
	local way=$1 var=$2 value best='' fastest=0 commands=$RESULTS/commands

	shift 2
	local IN=trial SRC=trial RESULTS=$RESULTS
	cp "$commands" "$commands.kept" 2>/dev/null || : >"$commands.kept"
	for value; do
		printf -v "$var" %s "$value"
		for _ in $TRIES; do
			"try_$way" || continue
			if [ $fastest = 0 ] || [ "$TOOK" -lt $fastest ]; then
				fastest=$TOOK best=$value
			fi
		done
	done
	# Only what it is measured with is to be seen.
	mv "$commands.kept" "$commands"
	[ -n "$best" ] || return
	printf -v "$var" %s "$best"
	note "$SYSTEM $way: $var is best as '$best', of: $*"
}

# --- copies, and disks ----------------------------------------------------

# What copy_line knows: values for best_of
CP="cp FROM TO"
DD="dd if=FROM of=TO bs=1M status=none"
DD_READ_DIRECT="dd if=FROM of=TO bs=4M iflag=direct status=none"
DD_WRITE_DIRECT="dd if=FROM of=TO bs=4M oflag=direct status=none"

# copy_line HOW FROM TO
copy_line()
{
	local line=${1/FROM/$2}

	echo "${line/TO/$3}"
}

# All that look like a disk have the same image on the host, each in its turn.
DISK=/tmp/disk.img
MOUNT=/mnt/disk

disk_make()
{
	[ -e $DISK ] || truncate -s $((MIB + MIB / 16 + 64))M $DISK
}

# What is to be pushed is on the disk already, as it is when somebody attaches it.
disk_fill()
{
	dd if="$SHARE/$IN" of=$DISK bs=1M conv=notrunc status=none
}

disk_size()
{
	stat -c %s "$SHARE/$IN"
}

# disk_read DEVICE, disk_write DEVICE: lines for the guest
disk_read()
{
	echo "dd if=$1 of=$ROOT/out bs=4M iflag=direct,count_bytes count=$(disk_size) status=none"
}

disk_write()
{
	echo "dd if=$ROOT/$SRC of=$1 bs=4M oflag=direct status=none"
}

# What was pulled, as a file
disk_take()
{
	dd if=$DISK of=$SHARE/back bs=4M iflag=count_bytes count="$(disk_size)" status=none
}

# on_monitor LINE: for the guest's QEMU, whose answer is nothing, or OK
on_monitor()
{
	local said

	record host "(qemu) $1"
	said=$(guest_monitor "$1")
	[ -z "$said" ] || [ "$said" = OK ] || {
		printf '%s\n' "$said" >>"$RESULTS/output"
		return 1
	}
}

# guest_disk SERIAL: the device of that serial number, once it is there
guest_disk()
{
	wait_for 10 quietly_guest "grep -qx $1 /sys/block/*/serial" &&
		guest "dev=\$(grep -lx $1 /sys/block/*/serial); dev=\${dev%/serial}; echo /dev/\${dev##*/}" \
			</dev/null
}

# --- what several have in common ------------------------------------------

# A network of the two alone, and a stream
common_prepare()
{
	local at=${#DEVICES[@]}

	SYSTEM=all
	on_host "modprobe -a tun vhost_net; ip tuntap add tap0 mode tap; ip addr add $HOST_IP/24 dev tap0;
ip link set tap0 up" || return
	DEVICES+=(-netdev tap,id=bench,ifname=tap0,script=no,downscript=no,vhost=on
		-device virtio-net-pci,netdev=bench,romfile=
		-device virtio-serial-pci
		-chardev socket,id=serial,path=/run/bench-serial,server=on,wait=off
		-device virtserialport,chardev=serial,name=bench)
	record host "qemu-system-x86_64 ... ${DEVICES[*]:at}"
}

common_setup()
{
	SYSTEM=all
	on_guest "modprobe -a virtio_net virtio_console; dev=\$(basename /sys/bus/virtio/drivers/virtio_net/virtio*/net/*);
ip addr add $GUEST_IP/24 dev \$dev; ip link set \$dev up" &&
		wait_for 10 ping_guest &&
		on_guest "$PEER serve vsock:3:7000 $ROOT; $PEER serve tcp:$GUEST_IP:7001 $ROOT;
port=\$(grep -lx bench /sys/class/virtio-ports/*/name); port=\${port%/name};
$PEER serve dev:/dev/\${port##*/} $ROOT"
}

ping_guest()
{
	guest "ip -4 addr show" </dev/null | grep -q "$GUEST_IP"
}

# guest_scsi_disk VENDOR: the disk of that maker, once it is there
guest_scsi_disk()
{
	wait_for 20 quietly_guest "grep -l '^$1' /sys/block/sd*/device/vendor" &&
		guest "dev=\$(grep -l '^$1' /sys/block/sd*/device/vendor); dev=\${dev%/device/vendor}
			echo /dev/\${dev##*/}" </dev/null
}

# ext4_fill, ext4_empty: the disk has a file system, with what is to be pushed, or nothing
ext4_fill()
{
	ext4_empty && quietly_host "mount -o loop $DISK $MOUNT && cp $SHARE/$IN $MOUNT/ && umount $MOUNT"
}

ext4_empty()
{
	quietly_host "mkdir -p $MOUNT && mke2fs -q -F -t ext4 -O ^has_journal -m 0 -E lazy_itable_init=1 $DISK"
}

ext4_take()
{
	quietly_host "mount -o loop,ro $DISK $MOUNT && cp $MOUNT/back $SHARE/back && umount $MOUNT"
}

# --- servers that several have ---------------------------------------------

SSH_CIPHERS="aes128-gcm@openssh.com aes128-ctr chacha20-poly1305@openssh.com"

guest_sshd()
{
	on_host "printf '%s\n' 'Host bench' 'HostName $GUEST_IP' 'User root' \
'IdentityFile /lab/guest_key' 'StrictHostKeyChecking no' 'UserKnownHostsFile /dev/null' \
'LogLevel ERROR' >/run/bench-ssh"
	on_guest "pidof sshd | grep -q . && ss -ltn | grep -q ':22 ' || \
/usr/sbin/sshd -f /lab/sshd_config -o ListenAddress=$GUEST_IP -o 'Subsystem=sftp internal-sftp'"
}

nginx_start()
{
	[ ! -e /run/bench-nginx.pid ] || return 0
	on_host "mkdir -p /var/log/nginx /var/lib/nginx; cat >/run/bench-nginx.conf <<-END
user root;
pid /run/bench-nginx.pid;
error_log $RESULTS/nginx.log;
worker_processes 2;
events {}
http {
	access_log off;
	sendfile on;
	sendfile_max_chunk 2m;
	tcp_nopush on;
	client_max_body_size 0;
	client_body_buffer_size 1m;
	client_body_temp_path $SHARE/body;
	http2_body_preread_size 1m;
	http2_chunk_size 64k;
	server { listen $HOST_IP:8080; root $SHARE; dav_methods PUT; }
	server { listen $HOST_IP:8082 http2; root $SHARE; dav_methods PUT; }
}
END
nginx -c /run/bench-nginx.conf"
}

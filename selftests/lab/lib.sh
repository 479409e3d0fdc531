# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What a test in the outer VM (the host side) has at hand. Source it:
#
#   . /src/selftests/lab/lib.sh
#
# GUEST names the guest that a function is about: vm0 unless set, vm1, vm2 ...
# for more. /src is the clone, read-only, in every VM; $RESULTS is writable,
# outlives the VMs, and is /results in the guests.

RESULTS=${RESULTS:-/results}
LAB_RUN=/run/lab
# Where modules for the kernel that runs are: below kmod-core/, kmod-host/, ...
LAB_MODULES=${LAB_MODULES:-/src}
# How many times slower that kernel is than a stock one
LAB_SLOW=${LAB_SLOW:-1}

# long: what takes longer than it tells is tried, too ("make check-long").
long()
{
	[ "${IVRING_TEST_LONG:-0}" = 1 ]
}

# The CPU of this VM is QEMU's emulator, with faults of its own.
lab_emulated()
{
	grep -q 'QEMU TCG' /proc/cpuinfo
}

lab_guest_name()
{
	local name=${GUEST:-vm0}

	[[ $name =~ ^vm[0-9]+$ ]] || {
		echo "GUEST must be vm0, vm1, ... and not '$name'" >&2
		return 2
	}
	echo "$name"
}

# wait_for SECONDS CMD...: until CMD succeeds; fails when the time is up, which on
# a slower kernel is as much later.
wait_for()
{
	local deadline=$((SECONDS + $1 * ${LAB_SLOW:-1}))

	shift
	while ! "$@"; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			return 1
		fi
		sleep 0.05
	done
}

# guest_alive: the guest's QEMU runs.
guest_alive()
{
	local name pid

	name=$(lab_guest_name) || return
	pid=$(cat "$LAB_RUN/$name.pid" 2>/dev/null) || return 1
	grep -qs -- "lab.name=$name" "/proc/$pid/cmdline"
}

guest_dead()
{
	! guest_alive
}

# lab_guest_devices NAME KERNEL-DIR: one per line, as arguments of QEMU
lab_guest_devices()
{
	local name=$1 kernel=$2 scratch=/scratch/$1.img root kernel_disk

	root=$(lab_disk root) && kernel_disk=$(lab_disk "${kernel##*/}") || return
	rm -f "$scratch"
	truncate -s "${GUEST_SCRATCH:-16G}" "$scratch" || return
	mke2fs -q -t ext4 -O ^has_journal -m 0 \
		-E lazy_itable_init=1,root_owner=0:0 "$scratch" || return
	printf '%s\n' \
		-drive "if=none,id=root,format=raw,readonly=on,file=$root,file.locking=off" \
		-device virtio-blk-pci,drive=root,serial=root \
		-drive "if=none,id=kernel,format=raw,readonly=on,file=$kernel_disk,file.locking=off" \
		-device virtio-blk-pci,drive=kernel,serial=kernel \
		-drive "if=none,id=scratch,format=raw,cache=unsafe,discard=unmap,file=$scratch" \
		-device virtio-blk-pci,drive=scratch,serial=scratch \
		-fsdev local,id=src,path=/src,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=src,mount_tag=src \
		-fsdev "local,id=results,path=$RESULTS,security_model=none,multidevs=remap" \
		-device virtio-9p-pci,fsdev=results,mount_tag=results \
		-device "vhost-vsock-pci,guest-cid=$((3 + ${name#vm}))"
}

# lab_guest_firmware NAME KERNEL-DIR: what starts the guest, as arguments of QEMU
lab_guest_firmware()
{
	local name=$1 kernel=$2 code=/usr/share/OVMF/OVMF_CODE_4M.fd vars=$LAB_RUN/$1.vars

	case ${GUEST_FIRMWARE:-seabios} in
	seabios) printf '%s\n' -kernel "$kernel/vmlinuz" ;;
	ovmf)
		cp "${code/CODE/VARS}" "$vars" || return
		printf '%s\n' -kernel "$kernel/bzImage" \
			-drive "if=pflash,unit=0,format=raw,readonly=on,file=$code" \
			-drive "if=pflash,unit=1,format=raw,file=$vars" ;;
	*)
		echo "GUEST_FIRMWARE must be seabios or ovmf" >&2
		return 2 ;;
	esac
}

# lab_guest_run NAME CONSOLE APPEND [QEMU ARGS...]: its QEMU, with what its console says
# at the end of the file CONSOLE, and more words for its kernel's command line
lab_guest_run()
{
	local name=$1 console=$2 append=$3 kernel=/kernel key firmware devices

	shift 3
	[ ! -e /guest-kernel/vmlinuz ] || kernel=/guest-kernel
	key=$(cut -d' ' -f2 /lab/guest_key.pub)
	rm -f "$LAB_RUN/$name".{pid,ssh}
	devices=$(lab_guest_devices "$name" "$kernel") || return
	mapfile -t devices <<<"$devices"
	firmware=$(lab_guest_firmware "$name" "$kernel") || return
	mapfile -t firmware <<<"$firmware"

	# The guest's memory is there from the start: the first use of a page through
	# two levels of paging costs more than the copy that is to be measured.
	# With its own session the guest survives the shell that started it.
	# shellcheck disable=SC2016
	setsid --fork bash -c 'echo $$ >"$0"; exec "$@"' "$LAB_RUN/$name.pid" \
		qemu-system-x86_64 -name "$name" -nodefaults -no-user-config \
		-display none -no-reboot -M q35 -accel "${GUEST_ACCEL:-kvm}" -cpu "$(lab_guest_cpu)" \
		-smp "${GUEST_CPUS:-2}" -m "${GUEST_MEM:-2G}" -machine memory-backend=ram \
		-object "${GUEST_RAM:-memory-backend-ram},id=ram,size=${GUEST_MEM:-2G},prealloc=on" \
		"${firmware[@]}" -initrd $kernel/initrd \
		-append "lab.role=guest lab.name=$name lab.key=$key $(lab_cmdline) $append" \
		-chardev "file,id=console,path=$console,append=on" -serial chardev:console \
		-chardev "socket,id=tell,path=$LAB_RUN/$name.tell,server=on,wait=off" \
		-serial chardev:tell \
		-monitor "unix:$LAB_RUN/$name.mon,server=on,wait=off" "${devices[@]}" \
		"$@" </dev/null >"$RESULTS/$name-qemu.log" 2>&1
	wait_for 10 test -s "$LAB_RUN/$name.pid"
}

# guest_start [QEMU ARGS...]: starts the guest and returns; guest_wait waits
# until it can be used. GUEST_CPUS, GUEST_MEM, GUEST_SCRATCH (size), GUEST_ACCEL,
# GUEST_FIRMWARE (seabios or ovmf), GUEST_APPEND (kernel command line) and GUEST_RAM
# (QEMU object that is its memory) change it. With GUEST_BOOT=1 it boots in any case,
# and its firmware has placed its devices; see lab_guest_state.
guest_start()
{
	local name state

	name=$(lab_guest_name) || return
	if guest_alive; then
		echo "$name runs already" >&2
		return 1
	fi
	rm -f "$RESULTS/.$name-ready" "$LAB_RUN/$name.waits"
	state=$(lab_guest_state "$name" "$@") || state=
	lab_guest_remember "$name" "$@"
	if [ -n "$state" ]; then
		echo "$state" >"$LAB_RUN/$name.waits"
		set -- "$@" -incoming "exec:cat $state"
	fi
	lab_guest_run "$name" "$RESULTS/$name-console.log" "${GUEST_APPEND:-}" "$@"
}

# lab_guest_state NAME [QEMU ARGS...]: prints where the state of a guest of this kind is
# that has booted, if the guest is not to boot itself. Where CPUs are emulated to boot takes
# a quarter of a minute, and is when most of what the emulator does wrong happens. So the
# second guest of a kind boots for all that follow, with no device of a test, up to where
# it is told to go on (see image/rc), and is saved; each then finds its devices by a scan
# of the bus. Nothing is printed for those with other devices than links.
lab_guest_state()
{
	local name=$1 state

	lab_emulated && [ "${GUEST_BOOT:-0}${GUEST_FIRMWARE:-seabios}" = 0seabios ] || return
	shift
	lab_only_links "$@" || return
	state=$(echo "${GUEST_CPUS:-} ${GUEST_MEM:-} ${GUEST_ACCEL:-} ${GUEST_APPEND:-}" \
		"${GUEST_RAM:-} ${GUEST_SCRATCH:-}" | md5sum | cut -c 1-12)
	state=/scratch/guest-$state
	if [ ! -e "$state" ]; then
		# The first may be the only one, and what failed once may do so again.
		[ -e "$state.first" ] || { : >"$state.first" && return; }
		[ ! -e "$state.failed" ] || return
		lab_guest_save "$name" "$state" || { : >"$state.failed" && return; }
	fi
	echo "$state"
}

# lab_only_links [QEMU ARGS...]: they are about links, or none of the machine's devices
lab_only_links()
{
	while [ $# -gt 0 ]; do
		case "$1 ${2:-}" in
		"-chardev socket,"* | "-device ivshmem-doorbell,"*) [[ $2 != *,bus=* ]] || return ;;
		"-action "*) ;;
		*) return 1 ;;
		esac
		shift 2
	done
}

# lab_guest_save NAME FILE
lab_guest_save()
{
	local name=$1 state=$2 console=$LAB_RUN/$1-save.log code=0

	rm -f "$console"
	lab_guest_run "$name" "$console" "${GUEST_APPEND:-} lab.wait" &&
		LAB_SLOW=1 wait_for "${LAB_BOOT_SECONDS:-120}" lab_guest_says_it_waits "$console" &&
		guest_monitor migrate_set_parameter max-bandwidth 10G >/dev/null &&
		guest_monitor migrate -d "\"exec:cat >$state.new\"" >/dev/null &&
		wait_for 30 lab_guest_is_saved && mv "$state.new" "$state" || code=1
	guest_kill
	rm -f "$state.new"
	[ $code = 0 ] || mv "$console" "$RESULTS/$name-failed-save"
	return $code
} >&2

lab_guest_says_it_waits()
{
	guest_dead || grep -qs 'lab: waits' "$1"
}

lab_guest_is_saved()
{
	guest_monitor info migrate | grep -q '^Migration status: completed'
}

# lab_guest_told NAME DEADLINE: it is up, or dead, or the time is
lab_guest_told()
{
	lab_guest_up "$1" || [ "$SECONDS" -ge "$2" ]
}

# lab_guest_tell NAME SECONDS: who it is, to a guest that was restored, until it is up:
# what arrives before its serial port was restored is lost.
lab_guest_tell()
{
	local name=$1 deadline=$((SECONDS + $2))

	# Its QEMU may not listen yet.
	until lab_guest_told "$name" $deadline; do
		until lab_guest_told "$name" $deadline; do
			echo "tell $name $SRANDOM$SRANDOM$SRANDOM$SRANDOM told" || break
			sleep 0.2
		done | socat -u - "UNIX-CONNECT:$LAB_RUN/$name.tell"
	done 2>/dev/null
}

# lab_guest_is_late NAME: a guest that was restored has the time at which it was saved.
lab_guest_is_late()
{
	[ ! -e "$LAB_RUN/$1.waits" ] ||
		lab_guest_ssh "$1" -T guest "date -s @$EPOCHREALTIME" </dev/null >/dev/null
	rm -f "$LAB_RUN/$1.waits"
}

# The part of the command line that both sides have in common.
lab_cmdline()
{
	local word

	for word in $(</proc/cmdline); do
		case $word in
		lab.*) ;;
		*) printf '%s ' "$word" ;;
		esac
	done
	# Emulated SVM offers the guest an XSAVE that its kernel finds broken.
	if lab_emulated; then
		echo noxsave
	fi
}

# What QEMU's emulated vmrun injects is injected again when another of QEMU's threads
# kicks that CPU before its next #VMEXIT (it leaves exception_index set), whatever the guest
# is at: its kernel deadlocks or dies. An end of interrupt that exits keeps that time short.
lab_guest_cpu()
{
	if [ "${GUEST_ACCEL:-kvm}" = kvm ] && lab_emulated; then
		echo host,kvm-pv-eoi=off
	else
		echo host
	fi
}

lab_disk()
{
	local d

	for d in /sys/block/vd*; do
		if [ "$(cat "$d/serial")" = "$1" ]; then
			echo "/dev/${d##*/}"
			return
		fi
	done
	echo "no disk '$1'" >&2
	return 1
}

lab_guest_ssh()
{
	local name=$1

	shift
	ssh -F none -S "$LAB_RUN/$name.ssh" -i "/lab/guest_key" -l root \
		-o BatchMode=yes -o LogLevel=ERROR -o StrictHostKeyChecking=no \
		-o UserKnownHostsFile=/dev/null -o GSSAPIAuthentication=no \
		-o ConnectTimeout=30 -o ServerAliveInterval=10 -o ServerAliveCountMax=6 \
		-o SendEnv="TERM RESULTS" \
		-o ProxyCommand="socat - VSOCK-CONNECT:$((3 + ${name#vm})):22" "$@"
}

lab_guest_up()
{
	[ -s "$RESULTS/.$1-ready" ] || guest_dead
}

# One connection for all commands; it keeps its streams, so give it none.
lab_guest_connect()
{
	guest_dead || lab_guest_ssh "$1" -M -f -N guest </dev/null >"$LAB_RUN/$1.log" 2>&1
}

# How the guest was started, and where its logs stood then
lab_guest_remember()
{
	local name=$1

	shift
	printf '%s\0' "$@" >"$LAB_RUN/$name.args"
	lab_guest_mark "$name"
}

# lab_guest_mark NAME: what the guest's kernel says from here on can be put aside.
lab_guest_mark()
{
	local name=$1 log

	for log in console dmesg; do
		stat -c %s "$RESULTS/$name-$log.log" 2>/dev/null || echo 0
	done >"$LAB_RUN/$name.logs"
}

# lab_guest_put_aside NAME FILE: what the guest's kernel has said since it was started,
# or since lab_guest_mark, goes to the end of FILE, where nobody takes it for a complaint. It must be dead.
lab_guest_put_aside()
{
	local name=$1 file=$2 log at
	local -a sizes

	mapfile -t sizes <"$LAB_RUN/$name.logs"
	for log in console dmesg; do
		at=${sizes[0]}
		sizes=("${sizes[@]:1}")
		tail -c "+$((at + 1))" "$RESULTS/$name-$log.log" >>"$file" 2>/dev/null
		truncate -s "$at" "$RESULTS/$name-$log.log"
	done
}

# An emulated CPU of the guest may stop for good while it boots (its kernel tells
# of an RCU stall with no tick on that CPU). Nothing of ivring is loaded then:
# say so, put the logs of that boot aside, and boot again, in earnest.
lab_guest_again()
{
	local name=$1 n=1 state
	local -a args

	lab_emulated || return
	while [ -e "$RESULTS/$name-failed-boot-$n" ]; do
		n=$((n + 1))
	done
	[ "$n" -le 2 ] || return
	echo "# $name did not boot, failure $n: the emulator; again" >&2
	if state=$(cat "$LAB_RUN/$name.waits" 2>/dev/null); then
		rm -f "$state"
		: >"$state.failed"
	fi
	mapfile -d '' -t args <"$LAB_RUN/$name.args"
	guest_kill || return
	lab_guest_put_aside "$name" "$RESULTS/$name-failed-boot-$n"
	# An empty list was written as one empty word.
	[ "${#args[@]}" -gt 1 ] || [ -n "${args[0]:-}" ] || args=()
	guest_start "${args[@]}"
}

# guest_wait [SECONDS]: until the guest answers (or its QEMU is gone).
guest_wait()
{
	local name

	name=$(lab_guest_name) || return
	until lab_guest_answers "$name" "$@"; do
		lab_guest_again "$name" || return
	done
}

# lab_guest_comes_up NAME SECONDS: or is dead
lab_guest_comes_up()
{
	if [ -e "$LAB_RUN/$1.waits" ]; then
		lab_guest_tell "$1" "$2"
		lab_guest_up "$1"
	else
		# On a slower kernel LAB_BOOT_SECONDS is more already.
		LAB_SLOW=1 wait_for "$2" lab_guest_up "$1"
	fi
}

# lab_guest_answers NAME [SECONDS]
lab_guest_answers()
{
	local name=$1

	if ! lab_guest_comes_up "$name" "${2:-${LAB_BOOT_SECONDS:-120}}" || guest_dead; then
		echo "$name did not come up:" >&2
		tail -n 5 "$RESULTS/$name-qemu.log" "$RESULTS/$name-console.log" >&2
		return 1
	fi
	if ! wait_for 60 lab_guest_connect "$name"; then
		echo "no shell on $name: $(<"$LAB_RUN/$name.log")" >&2
		return 1
	fi
	lab_guest_is_late "$name"
	if guest_dead; then
		echo "$name came up, and is gone" >&2
		return 1
	fi
}

# guest CMD...: runs CMD in the guest, with its streams and its exit code. One
# argument is a line for the shell there, several are passed on as they are.
# 255: there was no guest to run it in.
guest()
{
	local name tty=-T line=${1-} code=0

	name=$(lab_guest_name) || return
	if [ $# -eq 0 ] || { [ -t 0 ] && [ -t 1 ]; }; then
		tty=-t
	fi
	case $# in
	0) lab_guest_ssh "$name" $tty guest ;;
	1) lab_guest_ssh "$name" $tty guest "$1" ;;
	*) lab_guest_ssh "$name" $tty guest "$(printf '%q ' "$@")" ;;
	esac || code=$?
	# Not of one that was ended, which has no such file.
	if [ $code = 255 ] && [ -e "$LAB_RUN/$name.pid" ]; then
		echo "$name: no way to run: ${line%%$'\n'*}" >>"$RESULTS/guest-lost.log"
	fi
	return $code
}

# kernel_leaks: kmemleak, where this kernel has it, tells the log what is new (which
# the lab then finds there), and $RESULTS all it knows. It needs two looks at what is
# older than five seconds, and takes minutes where the CPU is emulated.
kernel_leaks()
{
	local leaks=/sys/kernel/debug/kmemleak

	[ -w $leaks ] || return 0
	echo scan >$leaks
	sleep 5
	echo scan >$leaks
	cat $leaks >"$RESULTS/$(hostname)-kmemleak.log"
	[ ! -s "$RESULTS/$(hostname)-kmemleak.log" ]
}

# In the guest $RESULTS is another directory.
guest_leaks()
{
	guest "$(declare -f kernel_leaks); RESULTS=/results; kernel_leaks"
}

# lab_ended PID: the process is gone, or nothing but its exit code is left. What it had
# open is closed by then; its command line goes earlier.
lab_ended()
{
	! grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$1/status"
}

# guest_kill: the guest dies at whatever instruction it is at.
guest_kill()
{
	local name pid

	name=$(lab_guest_name) || return
	if pid=$(cat "$LAB_RUN/$name.pid" 2>/dev/null); then
		! guest_alive || kill -KILL "$pid"
		wait_for 30 lab_ended "$pid" || return
	fi
	lab_guest_ssh "$name" -O exit guest 2>/dev/null || :
	rm -f "$LAB_RUN/$name".{pid,ssh,mon,tell} "$RESULTS/.$name-ready"
}

# guest_shutdown [SECONDS]: the guest's kernel powers off; killed if it won't.
guest_shutdown()
{
	guest 'sync; (poweroff) >/dev/null 2>&1 </dev/null &' || :
	if ! wait_for "${1:-30}" guest_dead; then
		echo "$(lab_guest_name) did not power off" >&2
		guest_kill
		return 1
	fi
	guest_kill
}

# guest_monitor CMD...: a line to QEMU's human monitor.
guest_monitor()
{
	local name

	name=$(lab_guest_name) || return
	echo "$*" | socat -t 2 - "UNIX-CONNECT:$LAB_RUN/$name.mon" | tr -d '\r' |
		sed '1d; /^(qemu)/d'
}

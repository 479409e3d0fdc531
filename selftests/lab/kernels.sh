# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For scripts that run tests under kernels other than the lab's own: sets of them, and
# sources to build our modules from, as objects in the clone are for one kernel.

kernels_src=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Where HOME is not set, ~ comes from the system's list of users.
HOME=${HOME-~}
kernels_cache=${IVRING_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ivring}

# kernel_set NAME KEY VMLINUX DIR: prints the name of the set that mkimage makes of
# them, unless it is there. KEY tells this VMLINUX from others of the same NAME.
kernel_set()
{
	local name=$1 key=$2 vmlinux=$3 dir=$4 set

	set=$name-$( (cd "$kernels_src/selftests/lab" && find mkimage image -type f |
		LC_ALL=C sort | xargs cat && echo "$key") | sha256sum | cut -c1-12)
	if [ -d "$kernels_cache/images/kernel-$set" ]; then
		touch "$kernels_cache/images/kernel-$set"
	else
		"$kernels_src/selftests/lab/mkimage" kernel "$set" "$vmlinux" "$dir" >&2 || return
	fi
	echo "$set"
}

# copy_modules OUT: the modules' sources. What did not change keeps its time, and is
# not built again.
copy_modules()
{
	local out=$1

	mkdir -p "$out"
	find "$out" -name '*.[ch]' -delete
	(cd "$kernels_src" &&
		cp -a --parents Kbuild kmod-*/{Kbuild,*.[ch]} include uapi "$out/" 2>/dev/null)
	find "$out" -name '*.mod.c' -delete
}

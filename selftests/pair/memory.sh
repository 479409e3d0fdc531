# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What looks at the memory of links from inside a VM: sourced there, or sent there.

# links_of LABEL: the names of their directories in sysfs
links_of()
{
	grep -lx -- "$1" /sys/class/ivring/ivring*/label | cut -d/ -f5
}

# link_of LABEL: of the only one, or of the first of a link both sides of which are here
link_of()
{
	links_of "$1" | head -n 1 | grep .
}

# attr LABEL NAME
attr()
{
	cat "/sys/class/ivring/$(link_of "$1")/$2"
}

# bar LABEL: start and end of the BAR, 16 hex digits each
bar()
{
	sed -n '3{s/0x//g;p}' "/sys/class/ivring/$(link_of "$1")/device/resource" |
		cut -d' ' -f1,2
}

# bar_is LABEL above|below: where the BAR is, seen from 4 GiB
bar_is()
{
	local start

	start=$(bar "$1") && start=${start%% *} && [ -n "$start" ] && case $2 in
	above) [[ $start > 00000000ffffffff ]] ;;
	below) [[ ! $start > 00000000ffffffff ]] ;;
	esac
}

# has_pages LABEL: the kernel has struct pages for it
has_pages()
{
	! dmesg | grep -q "$(basename "$(readlink -f \
		"/sys/class/ivring/$(link_of "$1")/device")"): no struct pages"
}

# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0

virtiofs_dax_about="virtiofs with DAX"

virtiofs_dax_skip()
{
	! qemu-system-x86_64 -device vhost-user-fs-pci,help | grep -q cache-size &&
		echo "this QEMU's vhost-user-fs-pci has no DAX window (no property cache-size)"
}

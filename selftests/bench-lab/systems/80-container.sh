# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

container_about="a container in the guest, with a bind mount of the virtiofs: its start, and cp"

container_setup()
{
	quietly_guest "mountpoint -q /mnt/virtiofs && mkdir -p /srv/share"
}

container_run="unshare --mount --pid --ipc --uts --net --cgroup --fork --mount-proc \
sh -c 'mount --bind /mnt/virtiofs /srv/share"

container_push()
{
	timed_guest "$container_run && cp /srv/share/$IN $ROOT/out'"
}

container_pull()
{
	timed_guest "$container_run && cp $ROOT/$SRC /srv/share/back'"
}

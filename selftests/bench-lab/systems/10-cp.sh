# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

cp_about="cp within the host VM (push), and within the guest (pull): one copy, by one CPU"
cp_baseline=1
cp_quick=1

cp_push()
{
	timed_host "cp $SHARE/$IN $SHARE/back"
}

cp_pull()
{
	timed_guest "cp $ROOT/$SRC $ROOT/out"
}

cp_files_push()
{
	timed_host "cp -r $SHARE/tree $SHARE/back"
}

cp_files_pull()
{
	timed_guest "cp -r $ROOT/tree $ROOT/out"
}

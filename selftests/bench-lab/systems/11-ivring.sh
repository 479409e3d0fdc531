# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2086,SC2154
# SPDX-License-Identifier: GPL-2.0

ivring_about="ivring push and pull, one channel, content hashed on both sides"
ivring_quick=1

ivring_push()
{
	timed_host "$IVRING push --quiet $SHARE/$IN vm0:out"
}

ivring_pull()
{
	timed_host "$IVRING pull --quiet vm0:$SRC $SHARE/back"
}

ivring_files_push()
{
	timed_host "$IVRING push --quiet $SHARE/tree/ vm0:out"
}

ivring_files_pull()
{
	timed_host "$IVRING pull --quiet vm0:tree/ $SHARE/back"
}

# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What tests in shell need to print TAP. To be sourced.

number=0
failed=0

# result CODE WHAT...: the test of WHAT has passed if CODE is 0; returns CODE
result()
{
	local code=$1

	shift
	number=$((number + 1))
	if [ "$code" = 0 ]; then
		echo "ok $number - $*"
	else
		echo "not ok $number - $*"
		failed=1
	fi
	return "$code"
}

# ok WHAT COMMAND...: passes when COMMAND does; what it prints tells why not
ok()
{
	local what=$1 said

	shift
	said=$("$@" 2>&1)
	result $? "$what" || head -n 20 <<<"# ${said//$'\n'/$'\n'# }"
}

# is TEXT COMMAND...: COMMAND prints just that
is()
{
	local want=$1 got

	shift
	got=$("$@" 2>&1)
	[ "$got" = "$want" ] && return
	printf 'said:\n%s\nwanted:\n%s\n' "$got" "$want"
	return 1
}

# fails CODE TEXT COMMAND...: COMMAND ends with that code and says that
fails()
{
	local code=$1 text=$2 got said

	shift 2
	said=$("$@" 2>&1)
	got=$?
	[ "$got" = "$code" ] && [[ $said == *"$text"* ]] && return
	echo "code $got: $said"
	return 1
}

# long: what takes longer than it tells is tried, too ("make check-long").
long()
{
	[ "${IVRING_TEST_LONG:-0}" = 1 ]
}

# skip WHAT REASON
skip()
{
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}

# The plan, and the exit code
tap_end()
{
	echo "1..$number"
	exit $failed
}

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What bash completes for ivring: test-completion.sh MEMRUN. A function stands in for
# the command, but for its help. TAP.

set -uo pipefail
memrun=$(realpath "$1")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../tap.sh
. "$here/../tap.sh"
# shellcheck source=../../packaging/ivring.bash
. "$here/../../packaging/ivring.bash"

dir=$(mktemp -d /tmp/ivring-completion-XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export MEMRUN_ROOT=$dir/far
mkdir -p far/src/sub far/.hid 'far/two words' 'near dir' && touch far/src/main.c far/src/misc.c \
	far/src/.dot far/readme near.txt $'far/src/mi\nne' 'far/src/it'"'"'s' 'far/src/a[1]' || exit 1

ivring()
{
	case $1 in
	ls-links)
		echo "LINK       LABEL            SIDE STATE      PEER   SIZE CHANNELS MEMORY"
		echo "ivring0    vm0                 0 up            1    64M        4 cached"
		echo "ivring1                        0 up            1    64M        4 cached"
		;;
	*) "$memrun" "$@" ;;
	esac
}

# Words as readline makes them of the line: a colon is one, but not within quotes.
# completes REPLIES WORD...
completes()
{
	local want=$1

	shift
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
	_ivring
	local got
	got=$(printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd ' ')
	[ "$got" = "$want" ] && return
	printf 'said: %s\nwanted: %s\n' "$got" "$want"
	return 1
}

ok "commands" completes "pull push" ivring pu
ok "a command" completes "ls ls-links" ivring ls
ok "options" completes "--slash" ivring ls --s
ok "options of another command" completes "--sandbox" ivring agent --sa
ok "values" completes "sha256" ivring push --hash s
ok "links" completes "ivring0: ivring1:" ivring ls iv
ok "links alone" completes "vm0" ivring info v
ok "of tune, too" completes "vm0" ivring tune v
ok "a link and local files" completes "near.txt near\\ dir/" ivring push near
ok "nothing but links for ls" completes "" ivring ls near
ok "far names" completes "readme src/ two\\ words/" ivring ls vm0 :
ok "far names that begin so" completes "src/main.c src/misc.c" ivring ls vm0 : src/m
ok "from the root on" completes "/src/" ivring ls vm0 : /s
ok "hidden ones" completes "src/.dot" ivring pull vm0 : src/.
ok "with a blank" completes "two\\ words/" ivring pull vm0 : 'two\ w'
ok "quoted" completes "vm0:two words/" ivring pull '"vm0:two w'
ok "with a quote and a bracket" completes "src/a\\[1\\] src/it\\'s src/main.c src/misc.c src/sub/" \
	ivring pull vm0 : src/
ok "nothing" completes "" ivring pull vm0 : none/
ok "an option's file" completes "near.txt near\\ dir/" ivring push --manifest near
ok "the other argument" completes "near.txt near\\ dir/" ivring pull vm0 : src/main.c near

tap_end

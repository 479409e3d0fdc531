#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ivring ls, and patterns in pull and cat: test-ls.sh MEMRUN. TAP.
# shellcheck disable=SC2016	# what is for eval

set -uo pipefail
memrun=$(realpath "$1")
# shellcheck source=../tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tap.sh"

dir=$(mktemp -d /tmp/ivring-ls-XXXXXX) || exit 1
trap 'chmod -R u+rwX "$dir"; rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export MEMRUN_ROOT=$dir/root TZ=UTC

ls_()
{
	"$memrun" ls "$@"
}

nul()
{
	"$memrun" ls -0 "$@" | tr '\0' '|'
}

mkdir -p root/d/sub root/e root/.hid outside && cd root &&
	printf 12345 >d/a.c && echo >d/b.c && echo >d/.c.c && echo >d/x.h && echo >e/a.c &&
	echo >top.c && printf x >'[a].c' && ln -s d/a.c link && ln -s ../outside way && echo s >../outside/s &&
	echo >$'d/new\nline\e[2J' && touch -d '2001-02-03 04:05:06.5' d/a.c && chmod 640 d/a.c &&
	mkfifo e/pipe && cd .. || exit 1

ok "a directory" is $'a.c\nb.c\nnew?line?[2J\nsub\nx.h' ls_ vm0:d
ok "the root, with a slash behind directories" is $'[a].c\nd/\ne/\nlink\ntop.c\nway' ls_ -p vm0:
ok "all names" is $'.c.c\na.c\nb.c\nnew?line?[2J\nsub\nx.h' ls_ -a vm0:/d/
ok "a file" is d/a.c ls_ vm0:d/a.c
ok "a directory itself" is d ls_ -d vm0:d
ok "a pattern" is $'d/a.c\nd/b.c' ls_ 'vm0:d/*.c'
ok "a pattern in the middle" is $'d/a.c\ne/a.c' ls_ 'vm0:*/a.c'
ok "a set, and one of any" is $'d/b.c' ls_ 'vm0:?/[!ax].c'
ok "a pattern for directories" is $'/d/|/e/|d/sub/|' nul -dp 'vm0:/*/' 'vm0:d/*/'
ok "several directories have headings" is $'d/sub:\n\ne:\na.c\npipe' ls_ 'vm0:d/sub' vm0:e
ok "a name that looks like a pattern" is '[a].c' ls_ 'vm0:[a].c'
ok "a dot has to be written" is 'd/.c.c' ls_ 'vm0:d/.*'
ok "raw names" is $'d/a.c|d/b.c|d/new\nline\e[2J|d/sub/|d/x.h|' nul -p vm0:d
ok "in full" eval '"$memrun" ls -l vm0:d/a.c | grep -q "^-rw-r----- $(id -un) "'
ok "with time and size" eval '"$memrun" ls -l vm0:d/a.c | grep -q " 5 2001-02-03 04:05 d/a.c$"'
ok "a link, and where it leads" eval '"$memrun" ls -l vm0:link | grep -q "^lrwxrwxrwx.*link -> d/a.c$"'
ok "JSON" eval '"$memrun" ls --json vm0:d/a.c | grep -qF "{\"type\":\"name\",\"path\":\"d/a.c\",\"kind\":\"file\",\"mode\":\"0640\"" &&
	"$memrun" ls --json vm0:d/a.c | grep -qF "\"mtime\":981173106.500000000,\"bytes\":5}"'
ok "a fifo is looked at only" eval '"$memrun" ls --json vm0:e/pipe | grep -q "\"kind\":\"fifo\""'
ok "nothing of that name" fails 7 "No such file" ls_ vm0:none
ok "nothing like that" fails 7 "nothing has a name like that" ls_ 'vm0:none*'
ok "no way out by name" fails 17 ".." ls_ vm0:../outside
ok "nor by a pattern" fails 17 ".." ls_ 'vm0:../out*'
ok "nor by a link" fails 17 "leads out" ls_ vm0:way/
ok "nor by a link in the middle of a pattern" fails 7 "nothing has a name like that" ls_ 'vm0:w*/s*'
ok "what is no link" fails 2 "LINK:PATH" ls_ d
ok "a write-only root tells nothing" eval 'MEMRUN_ROOT="$MEMRUN_ROOT:wo" fails 17 write-only ls_ vm0:'
ok "several roots" eval 'MEMRUN_ROOT="a=$dir/root/d:ro b=$dir/root/e" is "a/
b/" ls_ -p vm0:'
ok "and one of them" eval 'MEMRUN_ROOT="a=$dir/root/d:ro b=$dir/root/e" is "b:
a.c
pipe" ls_ "vm0:b" "vm0:/b/none*" 2>/dev/null; MEMRUN_ROOT="a=$dir/root/d:ro b=$dir/root/e" is "a.c
pipe" ls_ "vm0:b"'
mkdir root/many && (cd root/many && seq 1 3000 | sed 's/^/file-/' | xargs touch)
ok "many names" is 3000 eval 'ls_ vm0:many | sort -c && ls_ vm0:many | wc -l'
ok "many names by a pattern" is "$(seq 1 3000 | grep -c 1)" eval 'ls_ "vm0:many/*1*" | wc -l'

ok "pull by a pattern" eval '"$memrun" pull -q "vm0:d/*.c" back && is "a.c b.c" eval "echo \$(ls back)"'
ok "pull of one by a pattern, to a file" eval '"$memrun" pull -q "vm0:d/a*" one && cmp one root/d/a.c'
rm root/e/pipe
ok "pull of directories by a pattern" eval '"$memrun" pull -q "vm0:[de]" tree && [ -e tree/d/a.c ] && [ -e tree/e/a.c ] && [ ! -e tree/top.c ]'
ok "nothing for a pattern" fails 7 "nothing has a name like that" "$memrun" pull 'vm0:none*' back
ok "cat by a pattern" is 12345 "$memrun" cat 'vm0:d/[a].c'
ok "cat of several" eval '[ "$("$memrun" cat "vm0:d/*.c" | wc -c)" = 6 ]'
ok "one that looks like a pattern" is x "$memrun" cat 'vm0:[a].c'
ok "not of a directory" fails 8 directory "$memrun" cat 'vm0:[de]'

tap_end

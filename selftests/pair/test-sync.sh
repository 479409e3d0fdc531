#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ls, patterns and sync on the real pair, with the agent in its sandbox: what crosses is
# what differs. Beside it, rsync without a network between two directories of the host,
# for a notion of what is much.

# What is quoted is for a shell in the guest.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh

MAX_DELETE=23 NO_SOURCE=7
FILES=${IVRING_TEST_NAMES:-4000}
here=$(mktemp -d /tmp/sync-XXXXXX)

# Of a directory: names, kinds, modes, times and content
list='cd "$1" && find . -printf "%p %y %m %l %T@\n" | LC_ALL=C sort &&
	find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum'
same()
{
	[ "$(bash -c "$list" - "$1")" = "$(guest bash -c "$list" - "$2")" ]
}

# field NAME: of the summary
field()
{
	sed -nE 's/^\{"type":"summary".*"'"$1"'":([0-9]+).*/\1/p' "$here/said"
}

# sync_ ARGS: its code; what it says is kept
sync_()
{
	"$IVRING" sync --json "$@" >"$here/said" 2>>"$RESULTS/commands.log"
}

# holds NAME OP LIMIT
holds()
{
	local value

	value=$(field "$1")
	echo "# $1 $value"
	test "${value:-x}" "$2" "$3"
}

make_tree()
{
	local i

	mkdir -p "$here/tree/many" "$here/tree/deep/er" &&
		for ((i = 0; i < FILES; i++)); do echo "$i" >"$here/tree/many/$i" || return; done &&
		head -c 64M /dev/urandom >"$here/tree/big" && ln -s ../big "$here/tree/deep/link" &&
		ln "$here/tree/big" "$here/tree/deep/again" && touch -d '2001-02-03 04:05:06.789' "$here/tree/deep"
}

# change_percent FILE: a few bytes in one of a hundred pages
change_percent()
{
	local pages i

	pages=$(($(stat -c %s "$1") / 4096))
	for ((i = 50; i < pages; i += 100)); do
		printf changed | dd of="$1" bs=1 seek=$((i * 4096 + 100)) conv=notrunc status=none || return
	done
}

ok "the pair comes up" pair_up
ok "a tree of $FILES files" make_tree

ok "all is new" sync_ --perms "$here/tree" vm0:
ok "it is the same" same "$here/tree" "$PAIR_GUEST_ROOT/tree"
start=$(date +%s%N)
ok "nothing has changed" sync_ --perms "$here/tree" vm0:
echo "# took $((($(date +%s%N) - start) / 1000000)) ms"
ok "and little crossed" holds wire_bytes -lt $((300 * FILES))
ok "nothing was changed" holds changes -eq 0
rsync -a "$here/tree" "$here/by-rsync"
start=$(date +%s%N)
rsync -a "$here/tree" "$here/by-rsync"
echo "# rsync between two directories: $((($(date +%s%N) - start) / 1000000)) ms"

ok "a hundredth of a file changes" change_percent "$here/tree/big"
ok "it is mirrored" sync_ --perms "$here/tree" vm0:
ok "by a twentieth of its bytes" holds wire_bytes -lt $(((64 << 20) / 20))
ok "it is the same again" same "$here/tree" "$PAIR_GUEST_ROOT/tree"

ok "back" sync_ --perms vm0:tree "$here/back/"
ok "is the same" same "$here/back/tree" "$PAIR_GUEST_ROOT/tree"
guest "cd $PAIR_GUEST_ROOT/tree && printf changed | dd of=big bs=1 seek=1000000 conv=notrunc status=none &&
	rm -r many/1?"
ok "the other way" sync_ --perms --delete vm0:tree "$here/back/"
ok "by few bytes" holds wire_bytes -lt $(((64 << 20) / 20))
ok "with what was deleted" holds deleted -eq 10
ok "is the same again" same "$here/back/tree" "$PAIR_GUEST_ROOT/tree"

ok "no more is deleted than may be" code_is $MAX_DELETE "$IVRING" sync -q --delete --max-delete 0 \
	"$here/tree/deep/" vm0:tree/
ok "what that left" guest "[ -e $PAIR_GUEST_ROOT/tree/big ]"

ok "ls" eval '[ "$("$IVRING" ls vm0:tree | tr "\n" " ")" = "again big deep er link many " ] ||
	"$IVRING" ls vm0:tree'
ok "by a pattern" eval '[ "$("$IVRING" ls "vm0:tree/many/10[0-3]" | wc -l)" = 4 ]'
ok "of nothing" code_is $NO_SOURCE "$IVRING" ls vm0:nothing
ok "pull by a pattern" eval 'mkdir "$here/some" && "$IVRING" pull -q "vm0:tree/many/20?" "$here/some/" &&
	[ "$(ls "$here/some" | wc -l)" = 10 ]'
ok "all goes down" pair_down
rm -rf "$here"
plan

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ivring sync, in both directions: test-sync.sh MEMRUN. TAP.
# shellcheck disable=SC2016	# what is for eval

set -uo pipefail
memrun=$(realpath "$1")
# shellcheck source=../tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tap.sh"

dir=$(mktemp -d /tmp/ivring-sync-XXXXXX) || exit 1
trap 'chmod -R u+rwX "$dir"; rm -rf "$dir"' EXIT
cd "$dir" || exit 1
mkdir near far
export MEMRUN_ROOT=$dir/far
umask 022

sync_()
{
	"$memrun" sync "$@"
}

list()
{
	(cd "$1" && find . -printf '%p %y %l %m %n ' \( -type l -printf '\n' -o -printf '%T@\n' \) | LC_ALL=C sort)
}

# same A B: trees with the same names, types, content, modes and times
same()
{
	diff <(list "$1") <(list "$2") && diff -r --no-dereference "$1" "$2"
}

# field NAME JSON-LINES
field()
{
	sed -nE 's/^\{"type":"summary".*"'"$1"'":([0-9]+).*/\1/p'
}

# wire COMMAND...: the bytes that crossed
wire()
{
	"$@" --json | field wire_bytes
}

make_tree()
{
	rm -rf src && mkdir -p src/d/deep/er src/empty && (
		cd src && seq 1 300 >numbers && : >nothing && head -c 300000 /dev/urandom >big &&
			head -c 3000000 /dev/urandom >d/bigger && echo x >d/deep/er/x &&
			ln -s ../numbers d/link && ln d/bigger d/again && mkdir many &&
			(cd many && for i in $(seq 700); do echo "$i" >"file $i"; done) &&
			echo $'odd' >$'new\nline' && chmod 600 numbers && chmod 755 nothing &&
			touch -d '2001-02-03 04:05:06.789' numbers d/deep && chmod 500 d/deep/er
	)
}

clean()
{
	chmod -R u+rwX far near 2>/dev/null
	rm -rf far near && mkdir far near
}

# both WHAT COMMAND...: once in each direction; src is the source, $to where it goes,
# $dest what that is here
both()
{
	local what=$1

	shift
	clean
	MEMRUN_ROOT=$dir/far source=src to=vm0: dest=far
	ok "to the far side: $what" "$@"
	clean
	MEMRUN_ROOT=$dir source=vm0:src to=near/ dest=near
	ok "from the far side: $what" "$@"
	MEMRUN_ROOT=$dir/far
}

make_tree || exit 1

first()
{
	sync_ -q --perms $source $to && same src $dest/src && ! find $dest -name '.ivring*' | grep .
}
both "all is new" first

again()
{
	first && [ "$(wire sync_ --perms $source $to)" -lt 250000 ] && same src $dest/src &&
		sync_ --perms --json $source $to | grep -q '"changes":0,"deleted":0,"unchanged":708' &&
		is "" sync_ --perms -nv -q $source $to
}
both "nothing has changed" again

contents()
{
	sync_ -q --perms $source/ $to && same src $dest
}
both "what is in it, by a slash" contents

changes()
{
	first || return
	(cd src && echo more >>numbers && echo new >d/deep/new && touch -d '2020-01-01' big &&
		rm nothing && mkdir nothing2 && ln -sfn elsewhere d/link && chmod 640 'many/file 7') &&
		is 'attributes src/many/file 7
content    src/d/link
new        src/d/deep/new
new        src/nothing2
size       src/numbers
time       src/big' eval 'sync_ -nv --perms $source $to | grep -v crossed | LC_ALL=C sort' &&
		[ ! -e $dest/src/nothing2 ] && [ "$(readlink $dest/src/d/link)" = ../numbers ] &&
		[ "$(wire sync_ --perms $source $to)" -lt 300000 ] && rm $dest/src/nothing && touch -r src $dest/src && same src $dest/src
	local code=$?
	make_tree
	return $code
}
both "some has changed" changes

deletion()
{
	first || return
	mkdir -p $dest/src/more/deep && touch $dest/src/more/deep/x $dest/src/more/y $dest/src/d/z $dest/other &&
		ln -s / $dest/src/root && ln -s ../../other $dest/src/d/out &&
		sync_ -q --perms $source $to && [ -e $dest/src/more/y ] &&
		is 'deleted    src/d/out
deleted    src/d/z
deleted    src/more
deleted    src/more/deep
deleted    src/more/deep/x
deleted    src/more/y
deleted    src/root' eval 'sync_ -nv --perms --delete $source $to | grep -v crossed | LC_ALL=C sort' &&
		[ -e $dest/src/more/y ] &&
		fails 23 "max-delete" sync_ --perms --delete --max-delete 2 $source $to &&
		sync_ --perms --json --delete $source $to | grep -q '"deleted":5' &&
		same src $dest/src && [ -e $dest/other ]
}
both "deletion" deletion

protected()
{
	first || return
	mkdir -p $dest/src/keep/sub $dest/src/go && touch $dest/src/keep/sub/x.o $dest/src/keep/y $dest/src/go/z \
		$dest/src/z.o $dest/src/.ivring-part-0123456789abcdef
	sync_ -q --perms --delete --exclude '*.o' $source $to && [ -e $dest/src/keep/sub/x.o ] &&
		[ -e $dest/src/z.o ] && [ ! -e $dest/src/keep/y ] && [ ! -e $dest/src/go ] &&
		[ -e $dest/src/.ivring-part-0123456789abcdef ]
}
both "what is excluded is not deleted" protected

# More of them than there are files
undeletable()
{
	local code

	mkdir -p src/few $dest/few/{1,2,3,4,5,6}/in && echo x >$dest/few/y || return
	# shellcheck disable=SC2016
	fails 9 "not all was deleted" unshare -m bash -c 'for i in "$2"/few/?/in; do mount -t tmpfs none "$i" || exit 1; done
		"$0" sync -q --delete $1 '"$to" "$memrun" "$source/few" "$dest" && [ ! -e $dest/few/y ]
	code=$?
	rm -rf src/few
	return $code
}
if unshare -m true 2>/dev/null; then
	both "what cannot be deleted" undeletable
else
	skip "what cannot be deleted" "mounts are not for this user"
fi

unsure()
{
	first && touch $dest/src/more && mkdir src/secret && chmod 000 src/secret || return
	if [ "$(id -u)" = 0 ]; then
		rmdir src/secret
		mkdir $dest/src/conflict && touch $dest/src/conflict/x.o src/conflict
	fi
	! sync_ -q --perms --delete --exclude '*.o' $source $to 2>/dev/null && [ -e $dest/src/more ]
	local code=$?
	rm -rf src/secret src/conflict
	make_tree
	return $code
}
both "nothing is deleted after a failure" unsure

backups()
{
	first && echo changed >src/numbers && ln -sfn x src/d/link && touch $dest/src/more &&
		sync_ -q --perms --backup --delete $source $to && seq 1 300 | cmp - $dest/src/numbers~ &&
		[ "$(readlink $dest/src/d/link~)" = ../numbers ] && [ -e $dest/src/more~ ] &&
		[ ! -e $dest/src/more ] && cmp src/numbers $dest/src/numbers &&
		sync_ -q --perms --backup --delete $source $to && [ -e $dest/src/more~ ] &&
		echo again >src/numbers && sync_ -q --perms --backup=.old $source $to &&
		is changed cat $dest/src/numbers.old
	local code=$?
	make_tree
	return $code
}
both "backups" backups

checksum()
{
	first && seq 301 600 >src/numbers && truncate -s "$(stat -c %s $dest/src/numbers)" src/numbers &&
		touch -r $dest/src/numbers src/numbers && sync_ -q --perms $source $to &&
		! cmp -s src/numbers $dest/src/numbers && sync_ -q --perms --checksum $source $to &&
		cmp src/numbers $dest/src/numbers && touch src/numbers &&
		is "attributes src/numbers" eval 'sync_ -v --checksum --perms $source $to | grep -v crossed' &&
		same src $dest/src
	local code=$?
	make_tree
	return $code
}
both "by hashes" checksum

single()
{
	sync_ -q $source/numbers $to && cmp src/numbers $dest/numbers && echo more >>src/numbers &&
		sync_ -q $source/numbers $to && cmp src/numbers $dest/numbers &&
		sync_ -q $source/numbers ${to}other && cmp src/numbers $dest/other &&
		sync_ $source/numbers ${to}other | grep -q " 1 unchanged"
	local code=$?
	make_tree
	return $code
}
both "one file" single

filters()
{
	sync_ -q --include '*/' --include 'file *1' --exclude '*' $source $to &&
		[ -e "$dest/src/many/file 71" ] && [ ! -e "$dest/src/many/file 70" ] && [ ! -e $dest/src/big ]
}
both "what is included" filters

anchored()
{
	sync_ -q --exclude /src/big --exclude deep/er/ --exclude '**/again' --exclude 'man?/***' $source $to &&
		[ ! -e $dest/src/big ] && [ -e $dest/src/d/bigger ] && [ ! -e $dest/src/d/deep/er ] &&
		[ -e $dest/src/d/deep ] && [ ! -e $dest/src/d/again ] && [ ! -e $dest/src/many ]
}
both "what is excluded" anchored

# A hundredth of it, in 16 places
delta()
{
	local size=$((16 << 20)) i crossed

	mkdir -p src/delta && head -c $size /dev/urandom >src/delta/file && sync_ -q $source/delta/ $to &&
		for i in $(seq 0 15); do
			head -c $((size / 100 / 16)) /dev/urandom |
				dd of=src/delta/file bs=4096 seek=$((i * size / 16 / 4096 + i)) conv=notrunc status=none
		done && crossed=$(wire sync_ $source/delta/ $to) && cmp src/delta/file $dest/file &&
		echo "$crossed of $size crossed" && [ "$crossed" -lt $((size / 20)) ] &&
		{ echo front; cat src/delta/file; } >src/delta/longer && mv src/delta/longer src/delta/file &&
		crossed=$(wire sync_ $source/delta/ $to) && cmp src/delta/file $dest/file &&
		echo "$crossed of $size crossed" && [ "$crossed" -lt $((size / 50)) ] &&
		truncate -s 9M src/delta/file && [ "$(wire sync_ $source/delta/ $to)" -lt $((size / 50)) ] &&
		cmp src/delta/file $dest/file && echo >>src/delta/file &&
		[ "$(wire sync_ --whole-file $source/delta/ $to)" -gt $((9 << 20)) ] && cmp src/delta/file $dest/file
	local code=$?
	rm -rf src/delta
	return $code
}
both "a hundredth of a file has changed" delta

sparse()
{
	mkdir -p src/delta && truncate -s 64M src/delta/file && echo x | dd of=src/delta/file bs=1M seek=7 \
		conv=notrunc status=none && sync_ -q $source/delta/ $to && echo y | dd of=src/delta/file bs=1M \
		seek=9 conv=notrunc status=none && sync_ -q $source/delta/ $to && cmp src/delta/file $dest/file &&
		[ "$(stat -c %b $dest/file)" -lt 4096 ]
	local code=$?
	rm -rf src/delta
	return $code
}
both "holes stay" sparse

kinds()
{
	first && rm src/big && ln -s numbers src/big && rm src/d/link && echo file >src/d/link &&
		sync_ -q --perms $source $to && same src $dest/src && rm src/d/again && cp src/d/bigger src/d/again &&
		echo >>src/d/again && sync_ -q --perms $source $to && same src $dest/src
	local code=$?
	make_tree
	return $code
}
both "other kinds, and links that are none any more" kinds

# in_way: directories where the source has something else, and the other way round
in_way()
{
	rm -rf src/way && mkdir -p src/way/d1/in src/way/d2 src/way/d3 src/way/d4 && (
		cd src/way && echo file >file && head -c 200000 /dev/urandom >big && ln -s file link &&
			ln big hard && echo x >d1/in/x && echo y >d4/y
	)
	rm -rf $dest/way && mkdir -p $dest/way && (
		cd $dest/way && mkdir file big link hard && echo file >d1 && ln -s / d2 && mkfifo d3 && : >d4
	)
}

fill_way()
{
	local name

	for name in file big link hard; do
		mkdir -p "$dest/way/$name/deep" && echo "$name" >"$dest/way/$name/deep/x" || return
	done
}

in_way_empty()
{
	local code

	in_way && sync_ -q --perms $source/way/ ${to}way && same src/way $dest/way && in_way &&
		sync_ -nq --perms $source/way $to && [ -d $dest/way/big ] && [ -f $dest/way/d1 ] && sync_ -q --perms $source/way $to &&
		same src/way $dest/way && ! find $dest -name '.ivring*' | grep .
	code=$?
	rm -rf src/way
	return $code
}
both "what is in the way and is empty, or no directory" in_way_empty

# Nothing of it goes, all else is done, and --delete is the cure.
in_way_full()
{
	local code

	in_way && fill_way && ! sync_ --perms $source/way $to 2>said >/dev/null && cat said &&
		grep -q "way/big: a directory that is not empty is in its way (sync --delete" said &&
		[ -e $dest/way/big/deep/x ] && [ -e $dest/way/link/deep/x ] && [ -e $dest/way/d1/in/x ] &&
		[ -e $dest/way/d4/y ] && { sync_ -q --perms $source/way $to 2>/dev/null; [ $? = 9 ]; } &&
		is 'deleted    way/big/deep
deleted    way/big/deep/x
deleted    way/file/deep
deleted    way/file/deep/x
deleted    way/hard/deep
deleted    way/hard/deep/x
deleted    way/link/deep
deleted    way/link/deep/x
kind       way/big
kind       way/file
kind       way/hard
kind       way/link' eval 'sync_ -nv --perms --delete $source/way $to | grep -v crossed | LC_ALL=C sort' &&
		[ -e $dest/way/big/deep/x ] && sync_ -v --perms --delete $source/way $to >said &&
		[ "$(grep -c '^deleted    way/.*/deep' said)" = 8 ] && same src/way $dest/way &&
		in_way && fill_way && sync_ --json --perms --delete $source/way $to |
			grep -q '"deleted":8' && same src/way $dest/way && ! find $dest -name '.ivring*' | grep .
	code=$?
	rm -rf src/way
	return $code
}
both "what is in the way and is not empty" in_way_full

in_way_limits()
{
	local code

	in_way && fill_way && fails 23 "max-delete" sync_ --perms --delete --max-delete 5 $source/way $to &&
		[ "$(find $dest/way -name x | grep -c deep)" = 2 ] &&
		in_way && fill_way && : >$dest/way/file/keep.o && fails 9 "way/file/keep.o" \
			sync_ --perms --delete --exclude '*.o' $source/way $to &&
		[ -e $dest/way/file/deep/x ] && [ -f $dest/way/big ] && rm $dest/way/file/keep.o &&
		sync_ -q --perms --delete $source/way $to && same src/way $dest/way &&
		in_way && fill_way && rm -r $dest/way/file && mkdir -p $dest/way/file/only/dirs &&
		fails 9 "big/deep/x" sync_ --perms --delete --backup $source/way $to &&
		[ -e $dest/way/big/deep/x ] && [ -f $dest/way/file ] && is file cat $dest/way/d1~ &&
		is / readlink $dest/way/d2~ && [ -p $dest/way/d3~ ]
	code=$?
	rm -rf src/way
	return $code
}
both "what may not go, and is in the way" in_way_limits

# The file does not come: what was in its way is there.
in_way_unread()
{
	local code

	mkdir -p src/way $dest/way/file && echo x >$dest/way/file/x && head -c 3M /dev/urandom >src/way/file
	timeout -s INT 1 "$memrun" sync -q --delete --bwlimit 500K $source/way $to 2>/dev/null
	[ $? = 124 ] && [ -e $dest/way/file/x ] && sync_ -q --delete $source/way $to &&
		cmp src/way/file $dest/way/file
	code=$?
	rm -rf src/way
	return $code
}
both "what is in the way of what does not come" in_way_unread

# copy_ TO: as $source and $to say
copy_()
{
	if [ -n "${to%near/}" ]; then
		"$memrun" push -q --perms src/way "$to"
	else
		"$memrun" pull -q --perms vm0:src/way near
	fi
}

in_way_copied()
{
	local code

	in_way && copy_ && same src/way $dest/way && in_way && fill_way && fails 9 "sync --delete" copy_ &&
		[ -e $dest/way/big/deep/x ] && [ -e $dest/way/link/deep/x ] && [ -e $dest/way/d1/in/x ] &&
		! find $dest -name '.ivring*' | grep .
	code=$?
	rm -rf src/way
	return $code
}
both "what is in the way of push and pull" in_way_copied

# Names of the same files in many directories: what they cost is looked at, too
many_links()
{
	local d i code crossed

	mkdir -p src/links && (
		cd src/links && for d in $(seq 100); do
			mkdir "$d" && for i in 1 2 3; do
				echo "$d $i" >"$d/f$i" && ln "$d/f$i" "$d/l$i" && ln "$d/f$i" "$((d / 3 + 1))/m$d.$i" || exit
			done
		done
		head -c 300000 /dev/urandom >7/big && ln 7/big 3/big && chmod 500 50
	) && is 1003 eval 'sync_ -nv --perms $source/links $to | grep -v crossed | sort | uniq -c | grep -c "^ *1 new"' &&
		crossed=$(wire sync_ --perms $source/links $to) && echo "$crossed crossed" &&
		[ "$crossed" -lt 670000 ] && same src/links $dest/links &&
		crossed=$(wire sync_ --perms $source/links $to) && echo "$crossed crossed" &&
		[ "$crossed" -lt 235000 ] && same src/links $dest/links &&
		(cd src/links && echo new >9/f1 && rm 8/l1 && ln 8/f2 8/l1 && ln 1/f1 100/late && mv 3/big 4/big) &&
		sync_ -q --perms --delete $source/links $to && same src/links $dest/links
	code=$?
	chmod 700 src/links/50
	rm -rf src/links
	return $code
}
both "many hard links" many_links

hashes()
{
	local hash

	for hash in xxh3 xxh64 sha256 none; do
		echo $hash >>src/d/bigger
		sync_ -q --hash $hash --perms $source $to && same src $dest/src || return
	done
}
both "hashes" hashes

# A bit flips somewhere: all arrives, or the command says so, and files are old or new.
flips()
{
	local side=$1 at code good=0 resent=0 whole=0

	mkdir -p src/delta && head -c 3M /dev/urandom >src/delta/new && cp src/delta/new old &&
		head -c 20000 /dev/urandom | dd of=src/delta/new bs=1M seek=1 conv=notrunc status=none
	for at in "${@:2}"; do
		clean
		mkdir far/delta && cp old far/delta/new && echo >far/delta/gone && echo >src/delta/small
		export MEMRUN_FLIP=$side:$at
		sync_ --json --delete -t 5 src/delta vm0: >said 2>&1
		code=$?
		unset MEMRUN_FLIP
		if [ $code = 0 ]; then
			good=$((good + 1))
			diff -r src/delta far/delta || return
		else
			cmp -s far/delta/new old || cmp far/delta/new src/delta/new || return
		fi
		[ "$(field resent <said)" = 0 ] || resent=$((resent + 1))
		[ "$(field wire_bytes <said)" -lt 3000000 ] || whole=$((whole + 1))
	done
	rm -rf src/delta
	echo "$good good, $resent sent again, $whole as a whole"
	[ "$good" -gt 0 ] && { [ "$side" = 1 ] || [ "$resent" -gt 0 ]; } && [ "$whole" -gt 0 ]
}
ok "flips in what is sent" flips 0 70 200 300 400 500 700 900 1000 5000 12000 20000 30000 30800
ok "flips in what is answered" flips 1 70 130 200 260 300 400 1000 5000 20000 30000

direct()
{
	first && echo x >>src/d/bigger && sync_ -q --perms --io direct --fsync=file $source $to &&
		same src $dest/src && echo x >>src/d/bigger &&
		sync_ -q --perms --io drop-cache --fsync=end $source $to && same src $dest/src
}
both "around the page cache" direct

cut_short()
{
	head -c 3M /dev/urandom >src/cut
	first || return
	head -c 3M /dev/urandom >src/cut
	cp $dest/src/cut old
	timeout -s INT 2 "$memrun" sync -q --whole-file --bwlimit 500K $source $to 2>/dev/null
	[ $? = 124 ] && cmp old $dest/src/cut && ! find $dest -name '.ivring*' | grep . &&
		sync_ -q --perms $source $to && same src $dest/src
	local code=$?
	rm src/cut
	return $code
}
both "one that is interrupted" cut_short

clean
ok "a write-only root tells nothing" eval 'MEMRUN_ROOT=$dir/far:wo fails 17 write-only sync_ src vm0:'
ok "a read-only root is not written to" eval 'MEMRUN_ROOT=$dir/far:ro fails 17 read-only sync_ src vm0:'
ok "no way out" fails 17 "" sync_ src vm0:../near
ok "nothing there" fails 7 "No such file" sync_ none vm0:
ok "nothing there on the far side" fails 7 "No such file" sync_ vm0:none near
ok "two far sides" fails 2 LINK:PATH sync_ vm0:a vm0:b
ok "an empty pattern" fails 2 "impossible value" sync_ --exclude '' src vm0:
ok "a dry run where nothing is makes nothing" eval 'sync_ -n src vm0:new | grep -q "^new *src/d/deep/er/x" && [ ! -e far/new ]'
tap_end

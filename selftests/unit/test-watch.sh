#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ivring watch: test-watch.sh MEMRUN. TAP.
# shellcheck disable=SC2016	# what is for eval

set -uo pipefail
memrun=$(realpath "$1")
# shellcheck source=../tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tap.sh"

WAIT=30				# seconds that anything may take
pid=
dir=$(mktemp -d /tmp/ivring-watch-XXXXXX) || exit 1
trap '[ -z "$pid" ] || kill -KILL "$pid"; chmod -R u+rwX "$dir"; rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export MEMRUN_ROOT=$dir/far MEMRUN_AWAY=$dir/away
umask 022

# until_ COMMAND...: as soon as it succeeds
until_()
{
	local deadline=$((SECONDS + WAIT))

	until "$@" >last 2>&1; do
		if [ $SECONDS -ge $deadline ]; then
			echo "not within $WAIT s: $*"
			head -n 20 last
			return 1
		fi
		sleep 0.02
	done
}

list()
{
	(cd "$1" && find . -printf '%p %y %m %l %n\n' | LC_ALL=C sort)
}

# same: what is here is there
same()
{
	diff <(list src) <(list far/src) && diff -r --no-dereference src far/src
}

# times: directories and files have the same time of modification
times()
{
	diff <(cd src && find . -printf '%p %T@\n' | LC_ALL=C sort) \
		<(cd far/src && find . -printf '%p %T@\n' | LC_ALL=C sort)
}

clean()
{
	rm -rf src far away
	mkdir -p src/d far
}

# watch_ OPTION...: in the background; ready when it says so
watch_()
{
	# What a test before this one has left
	[ -z "$pid" ] || kill -KILL "$pid"
	: >said
	# shellcheck disable=SC2086	# it may have words before it
	$memrun watch --json --perms "$@" src vm0: >said 2>complaints &
	pid=$!
	until_ grep -q '"type":"ready"' said
}

# end_: the watch ends as it should
end_()
{
	local code

	kill -TERM "$pid"
	wait "$pid"
	code=$?
	pid=
	[ $code = 0 ] && [ ! -s complaints ] && return
	echo "code $code"
	cat complaints
	return 1
}

# ends_with CODE: the watch does, by a signal
ends_with()
{
	local code

	kill -TERM "$pid"
	wait "$pid"
	code=$?
	pid=
	[ $code = "$1" ] || echo "code $code, not $1"
	[ $code = "$1" ]
}

# field NAME: of the summary
field()
{
	sed -nE 's/^\{"type":"summary".*"'"$1"'":([0-9]+).*/\1/p' said
}

# holds NAME OP VALUE
holds()
{
	test "$(field "$1")" "$2" "$3" && return
	echo "not $1 $2 $3:"
	grep summary said
	return 1
}

began()
{
	clean && echo before >src/before && mkdir far/src && echo other >far/src/other && watch_ &&
		cmp src/before far/src/before && [ -e far/src/other ] && end_ && holds syncs = 1
}
ok "what is there at the start" began

deleted_first()
{
	clean && mkdir far/src && echo other >far/src/other && watch_ --delete && same && end_
}
ok "with --delete, only that" deleted_first

files()
{
	clean && watch_ && echo one >src/a && until_ same && echo two >>src/a && echo b >src/d/b &&
		until_ same && chmod 640 src/a && until_ same && rm src/d/b && until_ same &&
		: >src/empty && until_ same && touch -d '2001-02-03 04:05:06.789' src/a && until_ times &&
		mkdir src/d/e && mkfifo src/d/f && ln -s nowhere src/d/l && until_ [ -L far/src/d/l ] &&
		[ ! -e far/src/d/f ] && rm src/d/f && until_ same && ln -sfn elsewhere src/d/l &&
		until_ same && rm -r src/d && until_ same && chmod 700 src && until_ same && until_ times && end_ &&
		holds failed = 0 && holds syncs = 1 && holds latency_count -ge 4 &&
		holds latency_p50_us -gt 0
}
ok "files, directories and links come and go" files

# Neither size nor time of modification tell that the content is another one.
rewritten()
{
	local i

	clean && watch_ && echo 0 >src/a && touch -d '2001-01-01' src/a && until_ same || return
	for i in 1 2 3 4 5 6 7 8; do
		echo "$i" >src/a && touch -d '2001-01-01' src/a && until_ same || return
	done
	head -c 2M /dev/urandom >src/big && touch -d '2001-01-01' src/big && until_ same &&
		printf other | dd of=src/big conv=notrunc status=none && touch -d '2001-01-01' src/big &&
		until_ same && end_ && holds wire_bytes -lt 5000000
}
ok "content of the same size and time" rewritten

nested()
{
	local i

	clean && watch_ || return
	for i in $(seq 30); do
		mkdir -p "src/n$i/a/b/c/d" && echo "$i" >"src/n$i/a/b/c/d/file" && echo x >"src/n$i/a/y" &&
			ln -s ../y "src/n$i/a/b/l" || return
	done
	until_ same && echo more >>src/n7/a/b/c/d/file && until_ same && rm -r src/n?/a && until_ same &&
		rm -r src/n1? && mkdir src/n1{0..9} && echo new >src/n11/f && until_ same && end_ && holds failed = 0
}
ok "directories within new directories" nested

renames()
{
	clean && head -c 20M /dev/urandom >src/big && mkdir -p src/d/e/f && echo x >src/d/e/f/x &&
		watch_ && mv src/big src/bigger && until_ same && mv src/bigger src/d/e/big && until_ same &&
		mv src/d/e src/e && until_ same && echo y >src/e/f/y && until_ same &&
		mkdir out && mv src/e out/ && until_ same && echo z >out/e/f/z && mv out/e src/d/g && until_ same &&
		echo new >src/tmp && mv src/tmp src/d/g/f/x && until_ same && end_ && rmdir out &&
		holds bytes -lt 43000000 && holds renamed -ge 3
}
ok "renames, most of them without content" renames

# chain FILES COMMAND: what it does, while nobody looks, takes no more content than so many.
# What comes into a directory before that is watched comes as new.
chain()
{
	local limit=$(((4 + $1) << 20)) name

	clean && mkdir -p src/d/e src/n/o src/u && for name in a b d/f d/e/g; do
		head -c 1M /dev/urandom >src/$name || return
	done
	touch -d '2001-01-01' src/a src/b src/d/f src/d/e/g && watch_ && kill -STOP "$pid" &&
		(cd src && eval "$2") && kill -CONT "$pid" && until_ same && until_ times && end_ &&
		holds bytes -le "$limit" && holds failed = 0 && holds syncs = 1
}
ok "renamed and renamed again" chain 0 'mv a x && mv x y && mv y d/z'
ok "two names exchanged" chain 0 'mv a t && mv b a && mv t b'
ok "three names exchanged, and back" chain 0 'mv a t && mv b a && mv d/f b && mv t d/f && mv b t && mv a b && mv t a'
ok "a directory, and then a file in it" chain 0 'mv d n && mv n/d/f f && mv n/d/e/g n/d/f'
ok "a file in a directory, and then that" chain 0 'mv d/f f && mv a d/a && mv d x && mv x/e o'
ok "a directory into another one" chain 0 'mv d n/ && mv a n/d/e/ && mv n m'
ok "directories exchanged" chain 0 'mv a u/f && mv u t && mv d u && mv t d'
ok "one in the place of one that went" chain 0 'rm -r d && mv a d && rmdir u && mv n a && mv b a/b'
ok "a directory in the place of a file, and of a directory" chain 1 'rm a && mv d a && rmdir n/o && mv a/e n/o && rm -r a && mv n a'
ok "written, renamed, and written again" chain 1 \
	'echo 1 >a && mv a x && echo 2 >a && mv b y && echo 3 >y && mv d x1 && echo 4 >x1/f && mv x1 d && touch -d 2001-01-01 d/f && rm d/e/g'
ok "renamed, and another one of that name" chain 2 'mv a x && cp -p b a && mv d x1 && mkdir d && mv x1/f d/f'
ok "renamed and removed" chain 0 'mv a x && rm x && mv d x1 && rm x1/f && mv x1 d && mv b y && mv y b'

# churn SEED: renames at random, while they are sent
churn()
{
	local i from to

	clean && RANDOM=$1 && mkdir -p src/d/e src/f && for i in 1 2 3 4 5; do head -c 100000 /dev/urandom >src/$i; done &&
		touch -d '2001-01-01' src/? && watch_ || return
	for i in $(seq 150); do
		mapfile -t names < <(cd src && find . -mindepth 1 -printf '%P\n' | sort)
		from=src/${names[RANDOM % ${#names[@]}]}
		to=src/${names[RANDOM % ${#names[@]}]}
		case $((RANDOM % 8)) in
		0) mv -T "$from" "$to.$i" 2>/dev/null;;
		1) [ ! -d "$to" ] || mv "$from" "$to/" 2>/dev/null;;
		2) mv -T "$from" src/t 2>/dev/null && mv -T "$to" "$from" 2>/dev/null && mv -T src/t "$to" 2>/dev/null;;
		3) [ -d "$to" ] || echo "$i" >"$to" && touch -d '2001-01-01' "$to";;
		4) [ -e src/d ] || mkdir -p src/d/e; mkdir -p "src/f.$i" && cp -p "$from" "src/f.$i/" 2>/dev/null;;
		5) [ ! -f "$from" ] || mv -T "$from" "$to" 2>/dev/null;;
		6) mv -T "$from" "src/z$i" 2>/dev/null && mv -T "src/z$i" "src/y$i" && mv -T "src/y$i" "$from";;
		7) [ ${#names[@]} -lt 25 ] || rm -r "$to";;
		esac
		[ $((i % 37)) != 0 ] || until_ same || return
	done
	until_ same && kill -TERM "$pid" && wait "$pid" && pid='' && grep summary said
}
ok "renames at random" churn 1
ok "other renames at random" churn 2

# The names of two files are exchanged, and a directory takes the place of a file.
exchanges()
{
	clean && echo one >src/a && echo two >src/b && touch -d '2001-01-01' src/a src/b && echo x >src/d/x &&
		watch_ && mv src/a src/t && mv src/b src/a && mv src/t src/b && until_ same &&
		rm src/a && mkdir src/a && echo in >src/a/in && until_ same && rm -r src/d && echo file >src/d &&
		until_ same && rm -r src/a && ln -s b src/a && until_ same && rm src/a && mv src/d src/a &&
		mkdir src/d && until_ same && end_ && holds failed = 0
}
ok "one thing takes the name of another" exchanges

hardlinks()
{
	clean && echo one >src/a && ln src/a src/b && watch_ && echo two >>src/b && until_ same &&
		ln src/a src/d/c && until_ same && rm src/a && until_ same && end_
}
ok "several names of one file" hardlinks

order()
{
	local i code checker

	clean && mkdir src/p && watch_ && : >seen || return
	# When a number is there, the data it speaks of must be.
	(
		while [ ! -e stop ]; do
			for i in far/src/p/*; do
				[ ! -e "$i" ] || [ -e "far/src/d/${i##*/}" ] || echo "no $i" >>seen
			done
		done
	) &
	checker=$!
	for i in $(seq 200); do
		echo "$i" >"src/d/$i" && echo "$i" >src/.p && mv src/.p "src/p/$i" || return
	done
	until_ same
	code=$?
	touch stop && wait "$checker" && rm stop && [ $code = 0 ] && is "" cat seen && end_
}
ok "in order" order

burst()
{
	local i

	clean && watch_ || return
	for i in $(seq 2000); do
		echo "$i" >"src/d/$i" || return
	done
	until_ same && rm -r src/d && until_ same && end_ && holds files -ge 2000 && holds overflows = 0
}
ok "2000 files" burst

coalesced()
{
	local i

	clean && watch_ --delay 1000 && echo first >src/a && until_ same || return
	for i in $(seq 500); do
		echo "$i" >src/a || return
	done
	until_ same && end_ && holds files -le 6
}
ok "many changes of one file are sent as few" coalesced

# A directory goes and another one of its name comes, with content and at last with
# attributes, before the mirror looks: what is deleted goes first.
replaced_meanwhile()
{
	clean && echo old >src/d/old && echo file >src/f && watch_ && kill -STOP "$pid" &&
		rm -r src/d && mkdir src/d && echo new >src/d/new && chmod 750 src/d &&
		rm src/f && mkdir src/f && echo in >src/f/in && chmod 710 src/f &&
		kill -CONT "$pid" && until_ same && end_ && same && holds failed = 0
}
ok "directories that are replaced while nobody looks" replaced_meanwhile

# Waits, and does nothing else meanwhile
delayed()
{
	local before after

	clean && watch_ --delay 3000 && echo 1 >src/a && until_ same && echo 2 >src/a && sleep 1.5 &&
		before=$(cut -d' ' -f14 /proc/"$pid"/stat) && sleep 1 &&
		after=$(cut -d' ' -f14 /proc/"$pid"/stat) && until_ same && end_ &&
		{ [ $((after - before)) -lt 50 ] || { echo "took $((after - before)) ticks"; false; }; }
}
ok "a long delay costs no time" delayed

# overflow COUNT: more events than are kept, while nobody reads them
overflow()
{
	local i most

	most=$(cat /proc/sys/fs/inotify/max_queued_events)
	clean && mkdir src/gone && echo x >src/gone/x && watch_ --delete && kill -STOP "$pid" &&
		for ((i = 0; i < most / 2 + 1000; i++)); do : >src/f; : >src/g; done &&
		rm -r src/gone && mkdir -p src/new/er && echo new >src/new/er/file && echo last >src/f &&
		kill -CONT "$pid" && until_ same && echo more >>src/new/er/file && until_ same && end_ &&
		holds overflows -ge 1 && holds syncs -ge 2
}
ok "more events than the kernel keeps" overflow

# A whole tree goes, slowly, and more than fits the ring follows: nobody loses patience.
slow_deletion()
{
	local i

	clean && (cd src/d && seq 200 | xargs touch) && MEMRUN_SLOW=40000 watch_ -t 4 && kill -STOP "$pid" &&
		rm -r src/d || return
	for i in $(seq 20); do
		head -c 100000 /dev/urandom >"src/$i" || return
	done
	kill -CONT "$pid" && until_ same && head -c 3M /dev/urandom >src/big && until_ same && end_ &&
		holds retries = 0 && holds syncs = 1
}
ok "a deletion that takes longer than the timeout" slow_deletion

# A file system within the tree goes: what is beneath is watched then.
unmounted()
{
	local tool=$memrun code

	clean && echo under >src/d/under && printf '#!/bin/sh\nmount -t tmpfs none src/d && exec "%s" "$@"\n' "$memrun" >mounted &&
		chmod +x mounted || return
	memrun="unshare -m $dir/mounted"
	watch_
	code=$?
	memrun=$tool
	[ $code = 0 ] && nsenter -t "$pid" -m sh -c "echo over >'$dir/src/d/over'" && until_ [ -e far/src/d/over ] &&
		[ ! -e far/src/d/under ] && nsenter -t "$pid" -m umount "$dir/src/d" && until_ cmp src/d/under far/src/d/under &&
		echo more >src/d/more && until_ cmp src/d/more far/src/d/more && end_ && holds syncs -ge 2 && holds overflows = 0
}
if unshare -m true 2>/dev/null; then
	ok "a file system in the tree is unmounted" unmounted
else
	skip "a file system in the tree is unmounted" "mounts are not for this user"
fi

excluded()
{
	clean && watch_ --exclude '*.o' --exclude /src/no/ && echo x >src/x.o && mkdir src/no && echo x >src/no/x &&
		mkdir far/src/keep && echo far >far/src/keep/y.o && mkdir src/keep && echo z >src/keep/z &&
		until_ [ -e far/src/keep/z ] && mv src/x.o src/x && until_ [ -e far/src/x ] && mv src/x src/y.o &&
		until_ [ ! -e far/src/x ] && rm -r src/keep && until_ [ ! -e far/src/keep/z ] &&
		[ -e far/src/keep/y.o ] && [ ! -e far/src/no ] && [ ! -e far/src/x.o ] && end_
}
ok "what is excluded" excluded

kept()
{
	clean && echo a >src/a && echo b >src/d/b && watch_ --no-delete && rm -r src/d && mv src/a src/c &&
		until_ [ -e far/src/c ] && end_ && [ -e far/src/d/b ] && [ -e far/src/a ]
}
ok "nothing is deleted" kept

away()
{
	clean && echo a >src/a && echo b >src/b && watch_ && touch away && kill -USR1 "$pid" && echo c >src/c && rm src/b &&
		until_ grep -q '"type":"retry"' said && echo more >>src/a && mkdir src/e && echo e >src/e/e && rm away &&
		until_ same && echo more >>src/e/e && until_ same && end_ && holds retries -ge 1 && holds syncs -ge 2
}
ok "the agent goes away and comes back" away

# Under load, at any moment
dies()
{
	local i

	clean && watch_ || return
	for i in $(seq 400); do
		echo "$i" >"src/d/$i" && rm -f "src/d/$((i / 2))" && head -c 300000 /dev/urandom >src/big || return
		[ $((i % 50)) != 0 ] || kill -USR1 "$pid"
	done
	until_ same && end_
}
ok "the other side dies again and again" dies

released()
{
	clean && watch_ --hold 0 && echo a >src/a && until_ same && echo b >src/b && until_ same && end_
}
ok "the link is let go after each change" released

no_agent()
{
	clean && touch away
	fails 5 "no agent" "$memrun" watch src vm0: && rm away
}
ok "no agent at the start" no_agent

gives_up()
{
	local code

	clean && watch_ --retry 2 && touch away && kill -USR1 "$pid" && echo a >src/a
	wait "$pid"
	code=$?
	pid=
	[ $code = 5 ] && [ "$(grep -c '"type":"retry"' said)" = 2 ] && grep -q '"type":"error","code":5' said
}
ok "so many attempts and no more" gives_up

# lost MESSAGE COMMAND...: that ends it
lost()
{
	local text=$1 code

	shift
	clean && watch_ || return
	"$@" || return
	wait "$pid"
	code=$?
	pid=
	rm -rf moved
	[ $code = 24 ] && grep -q "\"type\":\"error\",\"code\":24,\"text\":\"src $text" said && return
	echo "code $code"
	cat said
	return 1
}
ok "the directory is removed" lost "is not there" rm -r src
ok "the directory is renamed" lost "was renamed" mv src moved

unreadable()
{
	clean && watch_ && echo secret >src/a && until_ same || return
	rm -f src/a
	echo secret >src/tmp && chmod 000 src/tmp && echo b >src/b && until_ cmp src/b far/src/b
	until_ grep -q '"type":"error".*src/tmp' said && chmod 644 src/tmp && until_ same
	local code=$?
	kill -TERM "$pid"
	wait "$pid" && pid='' && return $code
}
if [ "$(id -u)" = 0 ]; then
	skip "an unreadable file" "root can read all"
else
	ok "an unreadable file" unreadable
fi

obstacle()
{
	clean && watch_ && mkdir far/src/a && echo x >far/src/a/x && echo a >src/a &&
		until_ grep -q '"type":"error","code":9,.*src/a' said && echo b >src/b && until_ cmp src/b far/src/b &&
		rm -r far/src/a && echo again >src/a && until_ same && kill -TERM "$pid" && wait "$pid" && pid='' &&
		holds failed = 1
}
ok "something that cannot be replaced" obstacle

# A round is no wish to delete what the source never had, unless one wishes so.
in_the_way()
{
	clean && watch_ && mkdir far/src/a far/src/b && echo x >far/src/b/x && echo x >far/src/c && echo a >src/a &&
		mkdir src/c && echo in >src/c/in && until_ cmp src/a far/src/a && until_ cmp src/c/in far/src/c/in &&
		echo b >src/b && until_ grep -q '"type":"error","code":9,.*src/b: a directory' said && [ -e far/src/b/x ] &&
		ends_with 9 || return
	clean && watch_ --delete && mkdir -p far/src/b/deep && echo x >far/src/b/deep/x && echo b >src/b && until_ same && end_
}
ok "a directory in the way" in_the_way

# Files that are asked about together, of which one is too big for the other side
too_big()
{
	local i

	clean && mkdir -p out/n && for i in a b c d; do head -c 300000 /dev/urandom >out/n/$i || return; done &&
		head -c 2M /dev/urandom >out/n/b || return
	: >said
	(ulimit -f 1500 && exec "$memrun" watch --json --perms src vm0: >said 2>complaints) &
	pid=$!
	until_ grep -q '"type":"ready"' said && mv out/n src/ && until_ cmp src/n/d far/src/n/d && until_ grep -q '"type":"error","code":9,.*src/n/b' said &&
		echo more >src/more && until_ cmp src/more far/src/more || return
	if [ "$1" = mended ]; then
		truncate -s 300000 src/n/b && until_ same || return
	fi
	rm -r out
	ends_with "$2" && holds failed = 1 && [ "$(grep -c '"type":"change".*"path":"n/[acd]"' said)" = 3 ] &&
		if [ "$1" = mended ]; then grep -q '"type":"change".*"path":"n/b"' said
		else ! grep '"type":"change".*"path":"n/b"' said; fi
}
ok "the failure of one of many is its own" too_big left 9
ok "one that was made good does not count at the end" too_big mended 0

# What failed while all was compared counts, until it is compared again.
compared()
{
	clean && mkdir -p far/src/a/x && echo a >src/a && watch_ && echo b >src/b && chmod 750 src && until_ cmp src/b far/src/b &&
		until_ [ "$(stat -c %a src)" = "$(stat -c %a far/src)" ] && ends_with 9 && holds failed = 1
}
ok "a failure of the comparison" compared

# Paths that do not fit
too_long()
{
	local name i

	name=$(printf '%0250d' 0)
	clean && mkdir far/x && (cd src && for i in $(seq 16); do mkdir "$name" && cd "$name" || exit; done) || return
	"$memrun" watch --json --perms src vm0:x >said 2>complaints &
	pid=$!
	# What has 4096 bytes with the tree's name has fewer without
	until_ grep -q '"type":"ready"' said && (cd src && for i in $(seq 16); do cd "$name" || exit; done &&
		echo x >"$(printf '%076d' 0)" && echo x >"$(printf '%0100d' 0)") && echo b >src/b && until_ cmp src/b far/x/src/b &&
		until_ grep -q '"type":"error","code":7,.*longer than' said && ends_with 7 && holds failed -ge 2 && holds files = 1
}
ok "paths that are too long" too_long

slashed()
{
	clean && "$memrun" watch --for 1 src/ vm0:new >said && is "" diff -r src far/new &&
		grep -q 'src/: mirrored to vm0:new$' said
}
ok "what is in it, by a slash, for a second" slashed

last_words()
{
	clean && watch_ --delay 30000 && echo a >src/a && until_ same && echo b >src/b && echo c >src/c && end_ && same
}
ok "what has changed before the end is sent" last_words

flips()
{
	local at good=0

	for at in "$@"; do
		export MEMRUN_FLIP=0:$at
		clean && watch_ 2>/dev/null
		unset MEMRUN_FLIP
		echo one >src/a && head -c 40000 /dev/urandom >src/b && until_ same && echo two >>src/a && until_ same ||
			return
		kill -TERM "$pid"
		wait "$pid" && pid='' && good=$((good + 1))
	done
	[ $good -gt 0 ]
}
ok "flips in shared memory" flips 900 1500 2500 5000 10000

never_there()
{
	clean && touch away && fails 5 "no agent answers" \
		"$memrun" watch --for 1 --retry 100 src vm0: && rm away
}
ok "a time without anybody there" never_there

# twice FROM TO: one directory of the tree is mounted on another
twice()
{
	clean && mkdir -p src/a src/d/in && export memrun &&
		fails 24 "is in the tree twice" unshare -m bash -c \
			"mount --bind src/$1 src/$2 && exec \"\$memrun\" watch --for 1 src vm0:"
}
if unshare -m true 2>/dev/null; then
	ok "a directory that is in the tree twice" twice a d/in
	ok "a tree within itself" twice . d/in
else
	skip "a directory that is in the tree twice" "mounts are not for this user"
fi

clean
ok "no arguments" fails 2 "needs a directory and LINK:PATH" "$memrun" watch src
ok "the other way round" fails 2 "is on the other side" "$memrun" watch vm0:src vm0:x
ok "no link" fails 2 "is not LINK:PATH" "$memrun" watch src far
ok "nothing there" fails 7 "none: cannot be opened: No such file" "$memrun" watch none vm0:
ok "a file" eval ': >file && fails 7 "file: is no directory" "$memrun" watch file vm0:'
ok "a bad delay" fails 2 "impossible value for --delay: x" "$memrun" watch --delay x src vm0:
ok "a bad time" fails 2 "impossible value for --for: 0" "$memrun" watch --for 0 src vm0:
ok "both of them" fails 2 "contradict" "$memrun" watch --delete --no-delete src vm0:
ok "a manifest" fails 2 "use sync" "$memrun" watch --manifest x src vm0:
ok "a dry run" fails 2 "use sync" "$memrun" watch -n src vm0:
ok "no way out" fails 17 "" "$memrun" watch src vm0:../near
ok "a read-only root" eval 'MEMRUN_ROOT=$dir/far:ro fails 17 read-only "$memrun" watch src vm0:'
tap_end

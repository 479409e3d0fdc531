#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Bad input and bad luck: each gives its own exit code in bounded time, leaves
# nothing under the final name, and the next transfer works.

# What is quoted is for a shell in the guest.
# shellcheck disable=SC2016
set -uo pipefail
# shellcheck source=pair.sh
. /src/selftests/pair/pair.sh
# shellcheck source=life.sh
. /src/selftests/pair/life.sh

# Exit codes, as ivring(1) lists them.
USAGE=2 NO_LINK=3 NO_PEER=4 NO_AGENT=5 SOURCE=7 NOT_REGULAR=8 DEST=9 NO_SPACE=10
PEER_GONE=13 REFUSED=17 BUSY=18 NO_ROOT=21 QUOTA=22

absent()
{
	guest "[ ! -e $PAIR_GUEST_ROOT/$1 ]"
}

# No temporary file is left either.
no_litter()
{
	[ -z "$(guest "find $PAIR_GUEST_ROOT -name '.*ivring*'")" ]
}

ok "without modules: no link" code_is $NO_LINK "$IVRING" push /tmp/small vm0:x
ok "the modules load" load_host
ok "without server: no link" code_is $NO_LINK "$IVRING" push /tmp/small vm0:x
ok "the server starts" serve_start
ok "without guest: no peer" within 10 code_is $NO_PEER "$IVRING" push /tmp/small vm0:x
ok "a second server is refused" within 10 code_is $BUSY "$IVRING" serve vm0
ok "the guest starts" guest_device
ok "and answers" guest_wait
ok "with a device but no module: no peer" within 10 code_is $NO_PEER "$IVRING" push /tmp/small vm0:x
ok "the guest's modules load" load_guest
ok "the link is up" wait_for 10 link_is up
ok "without agent: no agent" within 10 code_is $NO_AGENT "$IVRING" push /tmp/small vm0:x
ok "the agent starts" guest_agent
ok "transfers work" works

ok "no arguments" code_is $USAGE "$IVRING" push
ok "unknown option" code_is $USAGE "$IVRING" push --nonsense /tmp/small vm0:x
ok "unknown command" code_is $USAGE "$IVRING" nonsense
ok "no such link" code_is $NO_LINK "$IVRING" push /tmp/small vm9:x
ok "missing source" code_is $SOURCE "$IVRING" push /tmp/none vm0:x
ok "missing source at the agent" code_is $SOURCE "$IVRING" pull vm0:none /tmp/x
ok "nothing came of it" [ ! -e /tmp/x ]
mkfifo /tmp/fifo
ok "a fifo as source" code_is $NOT_REGULAR "$IVRING" push /tmp/fifo vm0:x
ok "a device as source" code_is $NOT_REGULAR "$IVRING" push /dev/null vm0:x
ok "a directory to standard output" code_is $NOT_REGULAR "$IVRING" cat vm0:.
guest mkdir -p "$PAIR_GUEST_ROOT/dir/small/full"
ok "directory where a file is meant" code_is $DEST "$IVRING" push /tmp/small vm0:dir
ok "missing directory" code_is $DEST "$IVRING" push /tmp/small vm0:no/such/x
ok "missing directory here" code_is $DEST "$IVRING" pull vm0:works /tmp/no/such/x
ok "no way out by .." code_is $REFUSED "$IVRING" push /tmp/small vm0:../escaped
ok "nor for reading" code_is $REFUSED "$IVRING" pull vm0:../../etc/passwd /tmp/x
guest ln -s /etc "$PAIR_GUEST_ROOT/etc-link"
ok "nor through a symlink" code_is $REFUSED "$IVRING" push /tmp/small vm0:etc-link/escaped
ok "nothing escaped" guest '[ ! -e /etc/escaped ] && [ ! -e /tmp/escaped ]'
ok "after all this, transfers work" works

# A file system too small: known beforehand, and found out on the way.
guest "mkdir -p $PAIR_GUEST_ROOT/full && mount -t tmpfs -o size=16m none $PAIR_GUEST_ROOT/full"
ok "no space at the receiver" within 10 code_is $NO_SPACE "$IVRING" push /tmp/big vm0:full/big
ok "no file is left" absent full/big
head -c 12M /dev/urandom >/tmp/grow
guest "head -c 8M /dev/zero >$PAIR_GUEST_ROOT/full/ballast"
ok "no space left for a file that would have fit" \
	within 10 code_is $NO_SPACE "$IVRING" push /tmp/grow vm0:full/grow
ok "no file is left of it" absent full/grow
mkdir -p /tmp/full
mount -t tmpfs -o size=16m none /tmp/full
guest "head -c 64M /dev/zero >$PAIR_GUEST_ROOT/big-there"
ok "no space here" within 10 code_is $NO_SPACE "$IVRING" pull vm0:big-there /tmp/full/big
ok "no file is left here" [ -z "$(ls -A /tmp/full)" ]
umount /tmp/full
ok "after full disks, transfers work" works

# The process of the agent that transfers, not those that look after it.
guest_agent_child_kill()
{
	guest 'pkill -KILL -P $(pgrep -P $(cat /run/agent.pid))'
}

guest_agent_roots()
{
	guest "mkdir -p /tmp/drop" &&
		guest_agent_with --root drop=/tmp/drop:wo --root "pub=$PAIR_GUEST_ROOT:ro"
}

# The client is killed in the middle.
ok "a push" push_big_stopped
ok "it is killed" client_dies
ok "the next works" works
ok "no file under the final name" absent victim
ok "no temporary file" no_litter

# Interrupted as a person does it.
# A background job of a shell ignores SIGINT; setsid's child does not inherit that here.
ok "a push" begin_stopped setsid env --default-signal=INT "$IVRING" push --quiet /tmp/big vm0:victim
ok "Ctrl-C ends with 130" client_dies -INT 130
ok "no file after Ctrl-C" absent victim
ok "after Ctrl-C, transfers work" works

# The part of the agent that transfers is killed in the middle; the other part
# starts it again. On tmpfs, which can have files without a name, nothing is left.
ok "a push" push_big_stopped
ok "the agent's child is killed" guest_agent_child_kill
ok "that is: peer gone" within 15 client_ends $PEER_GONE
ok "no file after the child's death" absent victim
ok "and no temporary file" no_litter
ok "the agent goes on, transfers work" wait_for 10 works

guest "head -c $BIG /dev/zero >$PAIR_GUEST_ROOT/big"
ok "a pull" pull_big_stopped
ok "the agent's child is killed while it sends" guest_agent_child_kill
ok "that is: peer gone, too" within 15 client_ends $PEER_GONE
ok "no file here" [ ! -e /tmp/victim ]
ok "nor a temporary one" [ -z "$(find /tmp -maxdepth 1 -name '.*ivring*')" ]
ok "transfers work after that" wait_for 10 works
guest rm "$PAIR_GUEST_ROOT/big"

# All of the agent is: when the part that looks after the other dies, both go.
ok "a push" push_big_stopped
child=$(guest 'pgrep -P $(cat /run/agent.pid)')
guest_agent_stop -KILL
ok "the agent was killed: peer gone" within 15 client_ends $PEER_GONE
ok "its child goes with it" wait_for 5 guest "[ ! -e /proc/$child ]"
ok "no file after the agent's death" absent victim
ok "no temporary file either" no_litter
guest_agent
ok "with a new agent, transfers work" works

# The agent allows one direction only.
guest_agent_stop
guest_agent --read-only
ok "read-only agent refuses a push" code_is $REFUSED "$IVRING" push /tmp/small vm0:x
ok "and serves a pull" code_is 0 "$IVRING" pull vm0:works /tmp/x
guest_agent_stop
guest_agent
ok "transfers work" works

# Another user's rights, and several roots
guest_agent_stop
guest_agent --user nobody
ok "another user cannot write to root's directory" code_is $DEST "$IVRING" push /tmp/small vm0:x
guest "mkdir -m 700 $PAIR_GUEST_ROOT/mine && chown nobody: $PAIR_GUEST_ROOT/mine"
ok "but to its own" code_is 0 "$IVRING" push --quiet /tmp/small vm0:mine/
ok "and it is its own" guest "[ \$(stat -c %U $PAIR_GUEST_ROOT/mine/small) = nobody ]"
ok "one conversation after the other" code_is 0 "$IVRING" pull --quiet vm0:mine/small /tmp/x
guest_agent_stop
guest_agent_roots
ok "no such root" code_is $NO_ROOT "$IVRING" push /tmp/small vm0:x
ok "a read-only root" code_is $REFUSED "$IVRING" push /tmp/small vm0:pub/
ok "a write-only root" code_is $REFUSED "$IVRING" pull vm0:drop/small /tmp/x
ok "to the one" code_is 0 "$IVRING" push --quiet /tmp/small vm0:drop
ok "from the other" code_is 0 "$IVRING" pull --quiet vm0:pub/works /tmp/x
guest_agent_stop
# A journal of our own
guest 'rm -f /tmp/audit; socat -u UNIX-RECV:/dev/log OPEN:/tmp/audit,creat,append \
	>/dev/null 2>&1 </dev/null & echo $! >/run/socat.pid'
ok "something takes what is for the journal" wait_for 10 guest '[ -S /dev/log ]'
guest_agent --max-bytes 64K --sandbox require --audit both
ok "more than one transfer may bring" code_is $QUOTA "$IVRING" push /tmp/small vm0:x
ok "nothing came of it" absent x
echo little >/tmp/little
ok "within the limits" code_is 0 "$IVRING" push --quiet /tmp/little vm0:
ok "the journal knows it all" guest 'grep -a "result=22 reason=" /tmp/audit &&
	grep -aE "ivring.*direction=push .*bytes=[1-9].* hash=xxh.* result=0" /tmp/audit'
guest 'kill $(cat /run/socat.pid); rm -f /dev/log'
guest_agent_stop
guest_agent
ok "after all these agents, transfers work" works

# QEMU is killed in the middle.
directions=(push)
! long || directions+=(pull)
for direction in "${directions[@]}"; do
	guest "head -c $BIG /dev/zero >$PAIR_GUEST_ROOT/big"
	ok "a $direction" "${direction}_big_stopped"
	guest_kill
	ok "QEMU was killed during $direction: peer gone" within 15 client_ends $PEER_GONE
	ok "no file here" [ ! -e /tmp/victim ]
	ok "the link waits" wait_for 5 link_is waiting
	ok "QEMU starts again" guest_device
	ok "the guest answers again" guest_wait
	ok "its modules load" load_guest
	guest_agent
	ok "the link is up again" wait_for 10 link_is up
	ok "transfers work again" works
done

# The guest reboots without a word to QEMU's server.
guest 'echo b >/proc/sysrq-trigger' >/dev/null 2>&1 &
reboot=$!
ok "the guest resets" wait_for 30 guest_dead
wait $reboot
guest_kill
ok "and starts" guest_device
ok "and answers" guest_wait
ok "modules load after a reset" load_guest
guest_agent
ok "the link is up after a reset" wait_for 10 link_is up
ok "transfers work after a reset" works

# The server is killed: the link goes away, and comes back with a new server.
ok "a push" push_big_stopped
serve_stop -KILL 2>/dev/null
ok "the server was killed: peer gone" within 15 client_ends $PEER_GONE
ok "the guest sees it" wait_for 15 guest '[ "$(cat /sys/class/ivring/ivring0/state)" = waiting ]'
guest_kill
ok "a new server starts" serve_start
ok "a new guest starts" guest_device
ok "and answers it" guest_wait
ok "modules load with the new server" load_guest
guest_agent
ok "the link is up with the new server" wait_for 10 link_is up
ok "transfers work with the new server" works

# Modules in use stay.
ok "rmmod in use is refused" code_is 1 rmmod ivring_host
guest_agent_stop
ok "unbinding in the guest ends its side" \
	guest 'cd /sys/bus/pci/drivers/ivring_guest && echo 0000:* >unbind'
ok "the host sees it" wait_for 10 link_is waiting
ok "bind again" guest 'for d in /sys/bus/pci/devices/*; do
	[ "$(cat $d/vendor $d/device | xargs)" = "0x1af4 0x1110" ] || continue
	basename $d >/sys/bus/pci/drivers/ivring_guest/bind; done'
guest_agent
ok "the link is up after binding" wait_for 10 link_is up
ok "transfers work after binding" works
ok "the pair goes down" pair_down
plan

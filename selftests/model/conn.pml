/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Links and conversations: opening, closing, crashing, starting again.
 *
 * What kmod-core/link.c and conn.c do with one channel, access by access. Side
 * 0 has a user who opens, sends a few bytes and closes; side 1 one who opens,
 * reads to the end of file and closes, or sends as well. Either may also close
 * at any time (-DEARLY=n), die at any instruction and start again or not
 * (-DCRASHES=n), or be taken for dead by its peer although it lives
 * (-DSTALLS=n). A doorbell wakes whoever is there and is lost on whoever is not.
 *
 * Names are those of the code, less ivring_. A side has one thread here. Its users and its work share the channel's lock in
 * the code; what happens without it, the copy of data, is a step of its own, and
 * anything may come between it and the publication.
 *
 * With -DBUFFERED stores wait in a buffer, one place per location, and reach
 * memory in any order but for write barriers and release stores. Without it
 * memory is sequentially consistent, and the states are few enough for crashes.
 *
 * To be found: a byte of another conversation or in the wrong place; an end of
 * file before everything that was sent in it, or of a conversation that was not
 * closed; an error without a cause; a state in which nothing can happen any more
 * although both sides want to go on; sides that disagree and are not both told.
 *
 * -DROUNDS=n, -DBYTES=n: conversations per side, bytes sent in each
 * -DONEWAY: side 1 always reads, and first
 * -DHALF: whoever sends may shut down at any time, reads from there on, and whoever
 *	read to the end by that may answer
 * -DMODES: each opens for messages or for bytes
 * -DVICTIMS=n: only sides whose bit is set die
 * -DLATE: nobody dies before it is about to close or shut down
 * -DPATIENT: who read to the end closes only when the peer is done with it
 * -DSTALE: the region holds what earlier lives left
 * -DMUT_x: what is left out
 */
#ifndef ROUNDS
#define ROUNDS	2
#endif
#ifndef BYTES
#define BYTES	1
#endif
#ifndef CRASHES
#define CRASHES	0
#endif
#ifndef VICTIMS
#define VICTIMS	3
#endif
#ifndef STALLS
#define STALLS	0
#endif
#ifndef EARLY
#define EARLY	0
#endif
#define MAX	14		/* more epochs than are ever used */

/* Shared memory: field f of side s is m[F(f, s)] */
#define LIFE	0	/* ivring_wire_side.epoch, with state in it */
#define EPOCH	1
#define ACK	2
#define FLAGS	3
#define PROD	4	/* of the ring the side produces */
#define CONS	5	/* of the ring it consumes */
#define EVENT	6	/* of the ring it produces: tell when that much is consumed */
#define FIELDS	7
#define F(f, s)	(2 * (f) + (s))
byte m[14];
byte data0[2], data1[2];	/* the byte: who and when, see TAG */
#define TAG(epoch, i)	(2 * (epoch) + (i))

#define CLOSING		1
#define ABORTED		2
#define SHUTDOWN	4
#define MESSAGES	8

/* Channel and link states */
#define OPENING		0
#define CONNECTED	1
#define PEER_CLOSED	2
#define RESET		3
#define WAITING		0
#define UP		1
#define STALLED		2

/* ---- the private memory of the sides ---- */

typedef side {
	bit alive;
	bit link_started;
	byte life;
	byte link_state;
	byte link_peer;		/* link->peer_epoch */
	byte gone;		/* link->gone_epoch */
	bit absent;		/* !link->peer_present */
	bit stalled;
	/* the channel */
	bit users;
	bit lingering;
	bit started;
	bit messages;
	bit tx_shutdown;
	bit rx_shutdown;
	byte flags;
	byte state;
	byte epoch;
	byte peer_epoch;
	byte peer_life;
	byte tprod, tcons, rprod, rcons;
	/* the user */
	byte round;
	byte sent;
	bit sender;
	bit copied;		/* a byte was copied to or from the ring, no more */
	byte got;		/* that byte */
}
side S[2];

/* What is on its way to a side */
bit bell[2], wake[2], tick[2], leaving[2], crash[2], dead[2];
byte fresh = 1;			/* the next epoch */
byte crashes, stalls, early;
bit crashed;			/* an error may have that cause */
bit changed;

/* What each conversation sent, and whether it ended in good order: by epoch */
byte total[MAX];
bit closed[MAX];
#ifdef HALF
bit shut[MAX];			/* it ended in good order, but for the answer */
#define ENDED(epoch)	(closed[epoch] || shut[epoch])
#else
#define ENDED(epoch)	closed[epoch]
#endif
#ifdef MODES
bit mode[MAX];			/* what it was opened for */
bit refused[MAX];		/* the peer found that it wants something else */
#endif
bit told;			/* the transport told side 0 that the peer went */

/* ---- memory ---- */

/*
 * A thread runs without a break from one access to shared memory to the next;
 * there, anything else may come first.
 */
chan go[2] = [0] of { bit };
#define Y	go[me]?_

proctype scheduler()
{
end:	do
	:: go[0]!0
	:: go[1]!0
	od
}

#ifdef BUFFERED
bit pending[14];
byte stored[14];
byte group[14];			/* stores of an earlier group go first */
byte groups[2];			/* the newest group */
byte count[6];			/* pending stores of group g of side s: [2 * g + s] */
#define EMPTY(s)	(!count[s] && !count[2 + s] && !count[4 + s])

/* Nobody else sees it before it leaves the buffer: no break. */
inline store(f, v)
{
	(!pending[F(f, me)] || group[F(f, me)] == groups[me]);
	if
	:: pending[F(f, me)]
	:: else ->
		pending[F(f, me)] = 1;
		group[F(f, me)] = groups[me];
		count[2 * groups[me] + me]++
	fi;
	stored[F(f, me)] = v
}

/* What is stored from here on comes after what was stored so far. */
inline wmb()
{
	if
	:: count[2 * groups[me] + me] && groups[me] < 2 -> groups[me]++
	:: !count[2 * groups[me] + me]
	fi
}

#define SHIFT(f, s)								\
	group[F(f, s)] = (group[F(f, s)] -> group[F(f, s)] - 1 : 0)

/* When the oldest group is out the next one is the oldest. */
#define FLUSH(f, s)								\
	:: d_step { pending[F(f, s)] && !group[F(f, s)] ->			\
		m[F(f, s)] = stored[F(f, s)];					\
		pending[F(f, s)] = 0; stored[F(f, s)] = 0; count[s]--;		\
		if								\
		:: !count[s] && groups[s] ->					\
			SHIFT(LIFE, s); SHIFT(EPOCH, s); SHIFT(ACK, s);		\
			SHIFT(FLAGS, s); SHIFT(PROD, s); SHIFT(CONS, s);	\
			SHIFT(EVENT, s);					\
			count[s] = count[2 + s]; count[2 + s] = count[4 + s];	\
			count[4 + s] = 0; groups[s]--				\
		:: else								\
		fi }

proctype buffer(byte s)
{
end:	do
	FLUSH(LIFE, s)
	FLUSH(EPOCH, s)
	FLUSH(ACK, s)
	FLUSH(FLAGS, s)
	FLUSH(PROD, s)
	FLUSH(CONS, s)
	FLUSH(EVENT, s)
	od
}
#else
#define EMPTY(s)	1
inline store(f, v)	{ Y; m[F(f, me)] = v }
inline wmb()		{ skip }
#endif

inline mb()		{ EMPTY(me) }
inline store_release(f, v)
{
	wmb();
	store(f, v)
}

/* ivring_link_announce(): vector 0; [P] is in ivring_link_ring() */
inline announce_now()
{
	if
	:: announce ->
		announce = 0;
#ifndef MUT_P
		EMPTY(me);
#endif
		if
		:: S[pe].link_started && !dead[pe] -> bell[pe] = 1
		:: else
		fi;
		changed = 1
	:: else
	fi
}

/* ivring_channel_ring(): the channel's vector, and ivring_link_interrupt() there */
inline ring()
{
#ifndef MUT_P
	EMPTY(me);
#endif
	if
	:: S[pe].link_started && !dead[pe] ->
		wake[pe] = 1;
		bell[pe] = bell[pe] || S[pe].lingering
	:: else
	fi;
	changed = 1
}

/* ---- conversations: conn.c ---- */

#define ME	S[me]
#define PEER(f)	m[F(f, pe)]

inline conn_forget()
{
	store(EPOCH, 0);
	wmb();							/* [K] */
	store(ACK, 0);
	store(FLAGS, 0);
	ME.flags = 0
}

#ifdef MUT_SHUTDOWN_START
#define START_FLAGS	(ME.messages -> MESSAGES : 0)
#else
#define START_FLAGS	((ME.messages -> MESSAGES : 0) | (ME.tx_shutdown -> SHUTDOWN : 0))
#endif

/* What the world is told of a conversation that begins */
inline judge_start()
{
#ifdef MODES
	mode[ME.epoch] = ME.messages;
#endif
#ifdef HALF
	shut[ME.epoch] = ME.tx_shutdown;
#endif
	skip
}

inline conn_start()
{
#ifdef MUT_I
	store(EPOCH, 0);
	ME.epoch = fresh; fresh++;
	judge_start();
	store(EPOCH, ME.epoch);
	store(ACK, 0);
	ME.flags = START_FLAGS;
	store(FLAGS, ME.flags);
#else
	conn_forget();
	ME.flags = START_FLAGS;
	if
	:: ME.flags -> store(FLAGS, ME.flags)
	:: else
	fi;
#endif
	ME.tprod = 0; ME.tcons = 0; ME.rprod = 0; ME.rcons = 0;
	store(PROD, 0);
	store(EVENT, 0);
	store(CONS, 0);
#ifndef MUT_I
#ifdef MUT_FRESH
	ME.epoch = 2 + me;
#else
	ME.epoch = fresh; fresh++;
#endif
	judge_start();
	store_release(EPOCH, ME.epoch);				/* [I] */
#endif
#ifndef MUT_M_START
	mb();							/* [M] */
#endif
	ME.started = 1
}

inline conn_set_flags()
{
#ifdef MUT_N
	store(FLAGS, ME.flags)
#else
	store_release(FLAGS, ME.flags)				/* [N] */
#endif
}

#ifdef MUT_KEPT
#define KEPT	0
#else
#define KEPT	ME.flags
#endif

inline conn_abort()
{
	ME.state = RESET;
#ifdef MUT_ABORTED
	ME.flags = KEPT | CLOSING;
	conn_set_flags();
#else
	ME.flags = KEPT | CLOSING | ABORTED;
	conn_set_flags();
#endif
	announce = 1;
	changed = 1
}

/* An index that cannot be although the peer is still in this conversation */
inline conn_break()
{
	assert(false)
}

/* Is the peer still in the life @life? Sets @tmp. */
inline peer_lives(life)
{
#ifdef MUT_LIVES
	tmp = 1
#else
	Y;
	tmp = (life && PEER(LIFE) == life)
#endif
}

/* Forward only, and not past what was produced: else leaves an error. */
inline tx_refresh()
{
	Y;							/* [D] */
	if
	:: PEER(CONS) >= ME.tcons && PEER(CONS) <= ME.tprod -> ME.tcons = PEER(CONS)
	:: else -> error = 1
	fi
}

inline rx_refresh()
{
	Y;							/* [B] */
	if
	:: PEER(PROD) >= ME.rprod && PEER(PROD) <= 2 -> ME.rprod = PEER(PROD)
	:: else -> error = 1
	fi
}

/*
 * Both have seen both. @fl are the peer's flags; that @ep was still there after
 * they were read makes them those of this conversation.
 */
inline conn_settle()
{
#ifndef MUT_AGREED_LIFE
	ME.peer_life = life;
#endif
	if
#if defined(MODES) && !defined(MUT_AGREED)
	:: (fl & MESSAGES) != (ME.messages -> MESSAGES : 0) ->
		assert(mode[ME.epoch] != mode[ep]);
		refused[ep] = 1;
#ifdef MUT_AGREED_TOLD
		ME.state = RESET; changed = 1
#else
		conn_abort()
#endif
#endif
	:: else ->
#ifdef MODES
		assert(mode[ME.epoch] == mode[ep]);
#endif
		ME.peer_life = life; ME.state = CONNECTED; changed = 1
	fi
}

inline evaluate_opening()
{
	if
	:: ME.link_state == UP && ME.started ->
		life = ME.link_peer;
		Y; ep = PEER(EPOCH);				/* [J] */
#ifndef MUT_OPEN_LIVES
		peer_lives(life);
		ep = (tmp -> ep : 0);
		tmp = 0;
#endif
		if
		:: ep && ep != ME.peer_epoch ->
			Y; fl = PEER(FLAGS);
			if
			:: fl & CLOSING -> ep = 0
			:: else ->
				ME.peer_epoch = ep;
#ifdef MUT_M
				Y; ack = PEER(ACK);
#endif
				store(ACK, ep);
#ifndef MUT_M
				mb();				/* [M] */
#endif
				announce = 1; changed = 1
			fi;
			fl = 0
		:: else
		fi;
		if
		:: ep ->
#ifdef MUT_M
			if
			:: !announce -> Y; ack = PEER(ACK)
			:: else
			fi;
#else
			Y; ack = PEER(ACK);
#endif
			if
			:: ack == ME.epoch ->
#if defined(MODES) && !defined(MUT_AGREED_EPOCH)
				Y; fl = PEER(FLAGS);
#endif
#ifndef MUT_ACK
				Y;
#endif
				if
#ifndef MUT_ACK
				:: PEER(EPOCH) != ep
#endif
				:: else ->
#ifdef MUT_AGREED_EPOCH
					Y; fl = PEER(FLAGS);
#endif
					conn_settle()
				fi;
				fl = 0
			:: else
			fi
		:: else
		fi;
		ep = 0; ack = 0; life = 0
	:: else
	fi
}

/* Whoever resets an index has left the conversation before. */
inline judge_error()
{
	if
	:: error ->
#ifndef MUT_L
		Y; ep = PEER(EPOCH);				/* [L] */
#endif
		if
		:: ep == ME.peer_epoch -> conn_break()
		:: else
		fi;
		error = 0
	:: else
	fi
}

/*
 * Was the last look at the peer's index one at this life's? The next one resets it,
 * perhaps to what was seen before, and that is no error. Sets @tmp.
 */
inline last_lives()
{
#ifdef MUT_LAST_LIVES
	tmp = 1
#else
	peer_lives(ME.peer_life)				/* [L] */
#endif
}

/* The peer sends no more, and all it sent is visible: [O]. */
inline conn_peer_shutdown()
{
#if !defined(MUT_SHUTDOWN_LOOK) && !defined(MUT_O)
	rx_refresh();
#endif
	if
	:: error ->
#ifdef MUT_SHUTDOWN_L
		conn_break()
#else
		judge_error()
#endif
	:: else ->
		last_lives();
		if
		:: tmp -> ME.rx_shutdown = 1; changed = 1
		:: else -> assert(crashed); conn_abort()
		fi
	fi
}

#ifdef MUT_SHUTDOWN_CLOSES
#define CLOSES	(CLOSING | SHUTDOWN)
#else
#define CLOSES	CLOSING
#endif

inline evaluate_connected()
{
	Y; ep = PEER(EPOCH);					/* [J] */
#ifdef MUT_O
	rx_refresh();
#endif
	Y; fl = PEER(FLAGS);					/* [O] */
	peer_lives(ME.peer_life);
	if
	:: !tmp || (ep == ME.peer_epoch && (fl & ABORTED)) ->
		assert(crashed);
		conn_abort()
	:: else ->
		if
		:: ep == ME.peer_epoch && !(fl & CLOSES) ->
			if
			:: fl & SHUTDOWN && !ME.rx_shutdown -> conn_peer_shutdown()
			:: else
			fi
		:: else ->
#ifdef HALF
			/* Who shut down goes on; its state does not depend on ours. */
			assert(closed[ME.peer_epoch]);
#endif
#ifndef MUT_LAST_LOOK
#ifndef MUT_O
			if
			:: ep == ME.peer_epoch && !ME.rx_shutdown -> rx_refresh()
			:: else
			fi;
#endif
			tx_refresh();
			judge_error();
#endif
			last_lives();
			if
			:: tmp -> ME.state = PEER_CLOSED; changed = 1
			:: else -> assert(crashed); conn_abort()
			fi
		fi
	fi;
	ep = 0; fl = 0; tmp = 0
}

inline evaluate_lingering()
{
	/* @tmp: stay? */
	if
	:: ME.link_state == UP || ME.link_state == STALLED -> peer_lives(ME.peer_life)
	:: else
	fi;
	if
	:: tmp -> Y; tmp = (PEER(EPOCH) == ME.peer_epoch)
	:: else
	fi;
	if
	:: tmp -> Y; tmp = !(PEER(FLAGS) & CLOSING)
	:: else
	fi;
#ifdef MUT_LINGER
	tmp = (ME.flags & ABORTED -> tmp : 0);
#endif
	if
	:: tmp && !(ME.flags & ABORTED) ->
		tx_refresh();
		tmp = (!error && ME.tcons != ME.tprod);
		error = 0
	:: else
	fi;
	if
	:: tmp
	:: else ->
		ME.lingering = 0;
		ME.peer_epoch = 0;
#ifdef MUT_K
		if
		:: ME.users && !ME.started -> store(PROD, 0); store(CONS, 0)
		:: else
		fi;
#endif
		conn_forget();
		if
		:: ME.users && !ME.started -> conn_start()
		:: else
		fi;
		announce = 1; changed = 1
	fi;
	tmp = 0
}

inline conn_evaluate()
{
	if
	:: ME.lingering -> evaluate_lingering()
	:: else
	fi;
	if
	:: !ME.lingering && ME.users && ME.state == OPENING -> evaluate_opening()
	:: else
	fi;
	if
	:: !ME.lingering && ME.users && ME.state == CONNECTED -> evaluate_connected()
	:: else
	fi
}

inline conn_reset()
{
	if
	:: ME.users && ME.state == CONNECTED -> assert(crashed); conn_abort()
#ifdef MUT_RESET
	:: ME.users && ME.state == OPENING && !ME.lingering -> ME.peer_epoch = 0
#endif
	:: else
	fi
}

inline conn_open()
{
	ME.users = 1; ME.state = OPENING; ME.started = 0; ME.sent = 0; ME.copied = 0;
	ME.tx_shutdown = 0;
#ifndef MUT_SHUTDOWN_OPEN
	ME.rx_shutdown = 0;
#endif
	changed = 1;
	if
	:: !ME.lingering -> conn_start(); announce = 1
	:: else
	fi
}

#define AT_END	(!ME.sender && ME.rprod == ME.rcons && (ME.state == PEER_CLOSED ||	\
		 (ME.state == CONNECTED && ME.rx_shutdown)))

/* End of file: was that all? */
inline judge_end()
{
	assert(ENDED(ME.peer_epoch) && ME.rcons == total[ME.peer_epoch])
}

#ifdef HALF
/* A copy that is under way is not published any more: user_publish(). */
inline conn_shutdown()
{
	ME.tx_shutdown = 1; changed = 1;
	ME.sender = ME.copied;
	if
	:: ME.started ->
		shut[ME.epoch] = 1;
		ME.flags = ME.flags | SHUTDOWN;
		conn_set_flags();
#ifndef MUT_SHUTDOWN_TOLD
		announce = 1
#endif
	:: else
	fi
}
#endif

/* With ivring_conn_end() */
inline conn_close()
{
	if
	:: AT_END -> judge_end()
	:: else
	fi;
	if
	:: ME.started && !(ME.flags & ABORTED) -> closed[ME.epoch] = 1
	:: else
	fi;
	ME.round++;
	ME.users = 0; ME.copied = 0; ME.got = 0; changed = 1;
	if
	:: ME.lingering -> todo = 0
	:: else ->
		if
		:: ME.state == OPENING -> ME.peer_epoch = 0; conn_forget()
		:: else ->
			ME.lingering = 1;
			if
			:: ME.flags & ABORTED
			:: else ->
				ME.flags = KEPT | CLOSING;
				conn_set_flags();
#ifndef MUT_DRAINED
				store(EVENT, ME.tprod);
#ifndef MUT_H
				mb()				/* [H] */
#endif
#endif
			fi;
			ME.state = OPENING
		fi;
		announce = 1
	fi
}

/* ---- the link: link.c ---- */

#ifdef MUT_GONE
#define GONE	0
#else
#define GONE	(ep == ME.gone)
#endif

inline link_evaluate()
{
	Y; ep = PEER(LIFE);
	if
	:: ep != ME.link_peer -> ME.stalled = 0
	:: else
	fi;
	if
	:: ME.absent || !ep || GONE -> st = WAITING; ep = 0
	:: else -> st = (ME.stalled -> STALLED : UP)
	fi;
	if
	:: st == ME.link_state && ep == ME.link_peer
	:: else ->
		tmp = ME.link_state;
		ME.link_state = st;
		ME.link_peer = ep;
		changed = 1;
		if
		:: tmp == UP -> conn_reset()
		:: else
		fi;
		announce = (st == UP)
	fi;
	ep = 0; st = 0; tmp = 0
}

/* ---- what a thread is about to do, in this order ---- */

#define LINK	1	/* ivring_link_evaluate(), of the work, the tick and open(2) */
#define OPEN	2	/* ivring_conn_open() */
#define CLOSE	4	/* ivring_conn_close() */
#define LOOK	8	/* ivring_channel_look() */
#define COPY	16	/* copy_from_iter() */
#define JOIN	32	/* ivring_link_peer_join() */
#define SHUT	64	/* ivring_conn_shutdown() */

/* What ivring_channel_look() does after it evaluated the conversation */
inline look()
{
	if
	:: ME.state == CONNECTED ->
		if
		:: ME.sender || ME.rx_shutdown
		:: else -> rx_refresh()
		fi;
		if
#ifdef MUT_L_LOOK
		:: error -> conn_break()
#else
		:: error && again -> conn_break()
		:: error && !again -> again = 1			/* [L] */
#endif
		:: else -> again = 0
		fi;
		error = 0
	:: else -> again = 0
	fi
}

#define MORE	(ME.sender && !ME.tx_shutdown && ME.sent < BYTES && ME.state == CONNECTED)

/* The copy, without the lock */
inline user_copy()
{
	if
	:: me == 0 -> data0[ME.tprod] = TAG(ME.epoch, ME.tprod)
	:: else -> data1[ME.tprod] = TAG(ME.epoch, ME.tprod)
	fi;
	ME.copied = 1;
	changed = 1
}

#ifdef MUT_SHUTDOWN_SENT
#define MAY_SEND	1
#else
#define MAY_SEND	(!ME.tx_shutdown)
#endif

/* ivring_channel_copied() */
inline user_publish()
{
	ME.copied = 0; changed = 1;
	if
	:: ME.state == CONNECTED && MAY_SEND ->
		ME.tprod++; ME.sent++; total[ME.epoch]++;
		store_release(PROD, ME.tprod);			/* [A] */
#ifndef MUT_N
		mb();						/* [E] */
		ring()
#endif
	:: else
	fi;
	ME.sender = !ME.tx_shutdown
}

/* The other way round: the copy, without the lock, ... */
inline user_read()
{
	Y;
	ME.got = (me == 0 -> data1[ME.rcons] : data0[ME.rcons]);
	ME.copied = 1;
	changed = 1
}

/* ... and ivring_channel_copied(), which hands it to the user and gives it back */
inline user_consume()
{
	ME.copied = 0; changed = 1;
	if
	:: ME.state == CONNECTED || ME.state == PEER_CLOSED ->
		assert(ME.got == TAG(ME.peer_epoch, ME.rcons));
		ME.rcons++;
		store_release(CONS, ME.rcons);			/* [C] */
		mb();						/* [G] */
		Y;
		if
		:: PEER(EVENT) == ME.rcons -> ring()
		:: else
		fi
	:: else
	fi;
	ME.got = 0
}

/* The first thing that is to be done */
inline step()
{
	if
	:: todo & LINK -> link_evaluate()
	:: todo & OPEN && !(todo & LINK) -> conn_open()
	:: todo & CLOSE -> conn_close()
	:: todo == COPY && MORE -> user_copy()
	:: todo == JOIN -> ME.absent = 0; bell[me] = 1
#ifdef HALF
	:: todo == SHUT -> conn_shutdown()
#endif
	:: else
	fi;
	if
	:: todo & (LINK | OPEN | CLOSE | LOOK) -> conn_evaluate()
	:: else
	fi;
	if
	:: todo & LINK -> todo = todo - LINK
	:: todo & LOOK && !(todo & LINK) ->
		look();
		todo = (again -> todo : todo - LOOK)
	:: else -> todo = 0
	fi;
	if
	:: again
	:: else -> announce_now()
	fi
}

/* ---- a side's lives ---- */

inline side_clear()
{
	store(LIFE, 0);
	wmb();
#ifndef MUT_CLEAR
	conn_forget()
#endif
}

inline side_publish()
{
	ME.life = fresh; fresh++;
	store_release(LIFE, ME.life);
	mb();
	ME.link_started = 1
}

/* Nothing of it survives but what it wrote to shared memory. */
inline die()
{
	ME.link_started = 0; ME.life = 0; ME.link_state = 0; ME.link_peer = 0;
	ME.gone = 0; ME.absent = 0; ME.stalled = 0; ME.users = 0; ME.lingering = 0;
	ME.started = 0; ME.messages = 0; ME.tx_shutdown = 0; ME.rx_shutdown = 0;
	ME.flags = 0; ME.state = 0; ME.epoch = 0; ME.peer_epoch = 0; ME.peer_life = 0;
	ME.tprod = 0; ME.tcons = 0; ME.rprod = 0; ME.rcons = 0; ME.sent = 0;
	ME.copied = 0; ME.got = 0; ME.sender = 0; ME.alive = 0;
	ep = 0; fl = 0; ack = 0; tmp = 0; st = 0; life = 0; announce = 0; error = 0;
	again = 0; todo = 0;
	crash[me] = 0; bell[me] = 0; wake[me] = 0; tick[me] = 0; leaving[me] = 0; changed = 1
}

/* A patient one keeps the file open until the peer is done with it. */
#ifdef PATIENT
#define MAY_CLOSE	(ME.sender || !S[1 - me].lingering)
#else
#define MAY_CLOSE	1
#endif
#define FINISHED	(ME.state == RESET || (ME.state == PEER_CLOSED && MAY_CLOSE &&	\
			 (ME.sender || ME.rprod == ME.rcons)) ||			\
			 (ME.state == CONNECTED && ME.rx_shutdown && AT_END) ||		\
			 (ME.state == CONNECTED && ME.sender && ME.sent == BYTES))

proctype thread(byte me)
{
	byte pe = 1 - me;
	byte ep, fl, ack, tmp, st, life, todo;
	bit announce, error, again;

birth:
	{
		atomic {
			/* ivring_link_register(), ivring_link_start() */
			ME.alive = 1;
			side_clear();
			side_publish();
			todo = LINK
		};
		do
		:: atomic {
			do
			:: todo -> step()
			:: else -> break
			od;
			if
			:: bell[me] ->
				bell[me] = 0; wake[me] = 0;
				todo = (ME.users -> LINK | LOOK : LINK)
			:: wake[me] -> wake[me] = 0; todo = (ME.users -> LOOK : 0)
			:: tick[me] -> tick[me] = 0; todo = LINK
			:: leaving[me] ->
				/* ivring_link_peer_leave(); the next peer comes after that */
				leaving[me] = 0; ME.gone = PEER(LIFE); ME.absent = 1;
				todo = LINK | JOIN
			:: !ME.users && ME.round < ROUNDS ->
				if
#ifdef ONEWAY
				:: ME.sender = (me == 0)
#else
				:: ME.sender = 1
				:: me == 1 -> ME.sender = 0
#endif
				fi;
#ifdef MODES
				if
				:: ME.messages = 0
				:: ME.messages = 1
				fi;
#endif
				todo = LINK | OPEN
			:: ME.users && !ME.copied && MORE -> todo = LOOK | COPY
			:: ME.users && ME.sender && ME.copied -> user_publish()
			:: ME.users && !ME.sender && !ME.copied && ME.rprod != ME.rcons &&
			   (ME.state == CONNECTED || ME.state == PEER_CLOSED) -> user_read()
			:: ME.users && !ME.sender && ME.copied -> user_consume(); todo = LOOK
#ifdef HALF
			:: ME.users && ME.sender && !ME.tx_shutdown &&
			   (ME.state == OPENING || ME.state == CONNECTED) -> todo = SHUT
			:: ME.users && !ME.copied && AT_END && ME.state == CONNECTED &&
			   !ME.tx_shutdown -> judge_end(); ME.sender = 1
#endif
			:: ME.users && !ME.copied && FINISHED -> todo = CLOSE
			:: ME.users && early < EARLY -> early++; todo = CLOSE
			fi }
		od
	} unless {
		atomic { crash[me] -> die() }
	};
	atomic {
		EMPTY(me);
		if
		/* The transport of side 0 knows; the next life begins after that. */
		:: me == 1 && !dead[0] && S[0].link_started -> leaving[0] = 1; told = 1
		/* Only memory tells. */
		:: skip
		fi;
		if
		:: skip
		:: dead[me] = 1
		fi
	};
	atomic {
		if
		:: dead[me]
		:: !dead[me] && !leaving[pe] -> goto birth
		fi
	}
}

#ifdef LATE
#define MAY_DIE(s)	(S[s].flags != 0)
#else
#define MAY_DIE(s)	1
#endif
#define MORTAL(s)	(crashes < CRASHES && VICTIMS & (1 << (s)) && MAY_DIE(s))

proctype fate()
{
end:	do
	:: atomic { MORTAL(0) && S[0].alive -> crash[0] = 1; crashes++; crashed = 1 }
	:: atomic { MORTAL(1) && S[1].alive -> crash[1] = 1; crashes++; crashed = 1 }
	:: atomic { stalls < STALLS && S[0].link_state == UP ->
		S[0].stalled = 1; stalls++; crashed = 1; tick[0] = 1 }
	:: atomic { stalls < STALLS && S[1].link_state == UP ->
		S[1].stalled = 1; stalls++; crashed = 1; tick[1] = 1 }
	:: atomic { S[0].stalled && !dead[1] && S[1].alive -> S[0].stalled = 0; tick[0] = 1 }
	:: atomic { S[1].stalled && !dead[0] && S[0].alive -> S[1].stalled = 0; tick[1] = 1 }
	:: crashes >= CRASHES && stalls >= STALLS && !S[0].stalled && !S[1].stalled -> break
	od
}

/* ivring_link_tick() goes on as long as a file is open or a heartbeat is owed. */
#define TICKS(s)	(S[s].alive && (S[s].users || S[s].lingering))
#define OWED(s)		(S[s].users && S[s].state == CONNECTED || S[s].lingering)
#define DONE(s)		(dead[s] || S[s].round == ROUNDS)
/* Whoever waits has nobody to wait for. */
#define ALONE(s)	(S[s].state == OPENING && DONE(1 - s))
/* Whoever disagrees tells the other, unless it dies before. */
#define UNTOLD(s)	(S[s].users && S[s].started && S[s].state == OPENING &&		\
			 refused[S[s].epoch] && !crashes)

inline time_passes(s)
{
	if
	:: TICKS(s) ->
		tick[s] = 1;
		if
		:: dead[1 - s] && OWED(s) && S[s].link_state == UP -> S[s].stalled = 1
		:: else
		fi
	:: else
	fi
}

/* Nothing can happen any more but that time passes. */
proctype judge()
{
	do
#if CRASHES || STALLS
	:: atomic { timeout && changed ->
		changed = 0; time_passes(0); time_passes(1)
	}
	:: atomic { timeout && !changed ->
#else
	:: atomic { timeout ->
#endif
		assert(DONE(0) || ALONE(0));
		assert(DONE(1) || ALONE(1));
		assert(!told || !dead[1] || S[0].link_state == WAITING);
		assert(dead[0] || dead[1] || !S[0].lingering);
		assert(dead[0] || dead[1] || !S[1].lingering);
#ifdef MODES
		assert(!UNTOLD(0) && !UNTOLD(1));
#endif
		break
	}
	od
}

init {
	atomic {
#ifdef STALE
		/* What earlier lives left */
		m[F(LIFE, 0)] = MAX - 2; m[F(LIFE, 1)] = MAX - 1;
		m[F(EPOCH, 0)] = MAX - 3; m[F(EPOCH, 1)] = MAX - 4;
		m[F(ACK, 0)] = MAX - 4; m[F(ACK, 1)] = MAX - 3;
		m[F(PROD, 0)] = 1; m[F(PROD, 1)] = 1;
		m[F(CONS, 0)] = 1; m[F(CONS, 1)] = 1;
		m[F(EVENT, 0)] = 1; m[F(EVENT, 1)] = 1;
#ifdef HALF
		m[F(FLAGS, 0)] = SHUTDOWN; m[F(FLAGS, 1)] = SHUTDOWN;
#endif
#endif
#ifdef BUFFERED
		run buffer(0); run buffer(1);
#endif
		run scheduler(); run thread(0); run thread(1); run fate(); run judge()
	}
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sleeping and waking on one direction of a channel.
 *
 * What include/ivring/ring.h and kmod-core/channel.c do, access by access: the
 * producer's side has a writer and perhaps somebody else who waits for space,
 * the consumer's a reader and perhaps somebody else who waits for data. No
 * tick, no spinning: all rests on the wishes.
 *
 * Memory is weaker than TSO: every store waits in a buffer of its side, one
 * place per location, and reaches memory in any order, at any later time. Only
 * a full barrier waits for the buffer to empty; only a release store waits for
 * the data stored before it. Loads happen in order: where one may be early the
 * mutation says so. Indices are bytes and begin short of their wrap.
 *
 * Those who share a side take its lock as in the code. A barrier flushes what
 * others of the same side stored before they let the lock go: barriers are
 * cumulative.
 *
 * To be found: a state in which nothing can happen any more although somebody
 * sleeps whose event holds; a byte read that is not the one written.
 *
 * -DSIZE, -DITEMS, -DRX_MIN, -DTX_MIN: ring and how much is wanted
 * -DPEEKER=n: a second waiter on the consumer's side, for n bytes
 * -DPOLLER: the reader waits in poll(2)
 * -DUSER: the reader is a program that moves its indices itself, see kmod-core/user.c
 * -DSPACER=n: a second waiter on the producer's side, for n bytes of space
 * -DDRAINER: a second waiter there, for all to be consumed
 * -DMUT_x: what is left out
 */
#ifndef SIZE
#define SIZE	2
#endif
#ifndef ITEMS
#define ITEMS	4
#endif
#ifndef RX_MIN
#define RX_MIN	1
#endif
#ifndef TX_MIN
#define TX_MIN	1
#endif
#define START	254

/* Memory that both sides see */
byte prod = START, cons = START;
byte rx_event = START, tx_event = START;
byte data[SIZE];

/* Store buffers: the producer's side ... */
bit prod_pending, tx_event_pending;
byte prod_stored, tx_event_stored;
bit data_pending[SIZE];
byte data_stored[SIZE];
byte data_count;		/* of data_pending */
/* ... and the consumer's */
bit cons_pending, rx_event_pending;
byte cons_stored, rx_event_stored;

/* Private to the sides: struct ivring_tx, struct ivring_rx, struct ivring_dir */
byte tprod = START, tcons = START;
byte rprod = START, rcons = START;
byte rx_sleepers, tx_sleepers;
bit rx_lock, tx_lock;

/* Doorbells on their way, and who was woken; waiter 0 is the reader or writer */
bit rx_bell, tx_bell;
bit rx_queued[2], tx_queued[2];
bit reader_done, writer_done, peeker_done, spacer_done;

#define SUB(a, b)	(((a) - (b)) & 255)
#define ADD(a, b)	(((a) + (b)) & 255)
#define AVAIL		SUB(rprod, rcons)

/*
 * What the kernel goes by on the consumer's side. Where a program has the indices these
 * are samples of memory: of its own index, too, which for all but the program itself is
 * what has reached memory.
 */
#ifdef USER
byte kprod = START, kcons = START, kseen = START;
#define KPROD		kprod
#define KCONS		kcons
#else
#define KPROD		rprod
#define KCONS		rcons
#endif
#define KAVAIL		SUB(KPROD, KCONS)
#define SPACE		(SIZE - SUB(tprod, tcons))

#ifdef MUT_REACHED
#define REACHED(event, new, old)	((event) == (new))
#else
#define REACHED(event, new, old)	(SUB(new, event) < SUB(new, old))
#endif

/* ---- the store buffers ---- */

proctype tx_buffer()
{
end:	do
	:: d_step { tx_event_pending ->
		tx_event = tx_event_stored; tx_event_pending = 0; tx_event_stored = 0 }
#ifdef MUT_A
	:: d_step { prod_pending ->
#else
	:: d_step { prod_pending && !data_count ->
#endif
		prod = prod_stored; prod_pending = 0; prod_stored = 0 }
	:: d_step { data_pending[0] ->
		data[0] = data_stored[0]; data_pending[0] = 0; data_stored[0] = 0; data_count-- }
#if SIZE > 1
	:: d_step { data_pending[1] ->
		data[1] = data_stored[1]; data_pending[1] = 0; data_stored[1] = 0; data_count-- }
#endif
#if SIZE > 2
	:: d_step { data_pending[2] ->
		data[2] = data_stored[2]; data_pending[2] = 0; data_stored[2] = 0; data_count-- }
	:: d_step { data_pending[3] ->
		data[3] = data_stored[3]; data_pending[3] = 0; data_stored[3] = 0; data_count-- }
#endif
	od
}

proctype rx_buffer()
{
end:	do
	:: d_step { rx_event_pending ->
		rx_event = rx_event_stored; rx_event_pending = 0; rx_event_stored = 0 }
	:: d_step { cons_pending -> cons = cons_stored; cons_pending = 0; cons_stored = 0 }
	od
}

#define TX_MB	(!tx_event_pending && !prod_pending && !data_count)
#ifdef USER
/* Who moves the index has no lock: no other's barrier waits for that. */
#define RX_MB(me)	(!rx_event_pending && (me || !cons_pending))
#else
#define RX_MB(me)	(!rx_event_pending && !cons_pending)
#endif

/* ---- doorbells ---- */

proctype rx_interrupt()
{
end:	do
	:: d_step { rx_bell -> rx_bell = 0; rx_queued[0] = 0; rx_queued[1] = 0 }
	od
}

proctype tx_interrupt()
{
end:	do
	:: d_step { tx_bell -> tx_bell = 0; tx_queued[0] = 0; tx_queued[1] = 0 }
	od
}

/* Does only a look that set the wish wake the others when the index moved? */
#ifdef MUT_RX_MOVED_LOOK
#define RX_MOVED_LOOK	arm &&
#else
#define RX_MOVED_LOOK
#endif
#ifdef MUT_TX_MOVED_LOOK
#define TX_MOVED_LOOK	arm &&
#else
#define TX_MOVED_LOOK
#endif

/* Whoever sleeps in poll(2) is not counted, but known of. */
#ifdef POLLER
#define POLLED		1
#define COUNTED(me)	me
#else
#define POLLED		0
#define COUNTED(me)	1
#endif
#ifdef MUT_RX_POLLED
#define RX_POLLED	0
#else
#define RX_POLLED	POLLED
#endif

/* ---- the consumer's side ---- */

inline rx_wake()
{
	rx_queued[0] = 0; rx_queued[1] = 0
}

/* ivring_user_sample(), by the program's own thread or by another one */
inline rx_sample(me, arm)
{
	d_step {
#ifndef MUT_USER_OWN
		kcons = (me -> cons : rcons);
#endif
		kprod = prod;					/* [B] */
#ifndef MUT_USER_OWN
		assert(SUB(kprod, kcons) <= SIZE);
#endif
#ifndef MUT_USER_SEEN
		if
		:: SUB(kseen, kcons) > SIZE -> kseen = kcons
		:: else
		fi;
#endif
		old = kseen;
		if
		:: SUB(kprod, kcons) > SUB(kseen, kcons) -> kseen = kprod
		:: else
		fi;
#ifndef MUT_RX_MOVED
		if
		:: RX_MOVED_LOOK old != kseen && (rx_sleepers || RX_POLLED) -> rx_wake()
		:: else
		fi;
#endif
		old = 0
	}
}

/* ivring_channel_look() for data, with the lock held */
inline rx_look(me, min, arm)
{
#ifdef USER
	rx_sample(me, arm);
#endif
	if
	:: KAVAIL >= min -> ready = 1
	:: else ->
		if
		:: arm ->
#ifndef MUT_RX_ARM
			atomic {
				rx_event_pending = 1;
#ifdef MUT_RX_ANY
				rx_event_stored = ADD(KCONS, min);
#else
				rx_event_stored = (rx_sleepers > 1 || POLLED ->
					ADD(KPROD, 1) : ADD(KCONS, min));
#endif
			}
#endif
#ifndef MUT_F
			RX_MB(me);				/* [F] */
#endif
		:: else
		fi;
#ifdef MUT_RX_LOOK
		if
		:: arm
		:: else ->
#endif
#ifdef USER
		rx_sample(me, arm);
#else
		d_step {
			old = rprod;
			rprod = prod;				/* [B] */
			assert(SUB(rprod, rcons) <= SIZE);
#ifndef MUT_RX_MOVED
			if
			:: RX_MOVED_LOOK old != rprod && (rx_sleepers || RX_POLLED) -> rx_wake()
			:: else
			fi;
#endif
			old = 0
		}
#endif
#ifdef MUT_RX_LOOK
		fi;
#endif
		ready = (KAVAIL >= min -> 1 : 0)
	fi
}

/* ivring_channel_wait() for data: as waiter @me */
inline rx_wait(me, min)
{
	atomic { !rx_lock -> rx_lock = 1 };
	rx_look(me, min, 0);
	rx_lock = 0;
	do
	:: ready -> ready = 0; break
	:: else ->
#ifdef MUT_RX_PREPARE
		atomic { !rx_lock -> rx_lock = 1; rx_sleepers = rx_sleepers + COUNTED(me) };
		rx_look(me, min, 1);
		rx_lock = 0;
		rx_queued[me] = 1;
#else
		atomic { !rx_lock -> rx_sleepers = rx_sleepers + COUNTED(me) };
		rx_queued[me] = 1;
		atomic { !rx_lock -> rx_lock = 1 };
		rx_look(me, min, 1);
		rx_lock = 0;
#endif
		if
		:: ready
		:: else -> !rx_queued[me]
		fi;
		atomic {
			!rx_lock ->
			rx_queued[me] = 0; rx_sleepers = rx_sleepers - COUNTED(me); rx_lock = 1
		};
		if
		:: ready
		:: else -> rx_look(me, min, 0)
		fi;
		rx_lock = 0
	od
}

/* ivring_rx_publish() of @n, with the lock held */
inline rx_publish(n)
{
	atomic {
		old = rcons;
		rcons = ADD(rcons, n);
		cons_pending = 1;
		cons_stored = rcons				/* [C] */
	}
#ifndef MUT_G
	RX_MB(0);						/* [G] */
#endif
	d_step {
		if
		:: REACHED(tx_event, rcons, old) -> tx_bell = 1
		:: else
		fi;
		old = 0
	}
}

/* What there is to come may be less. */
#define READER_MIN	(ITEMS - SUB(rcons, START) < RX_MIN -> ITEMS - SUB(rcons, START) : RX_MIN)

proctype reader()
{
	byte old, n, v;
	bit ready;

	do
	:: SUB(rcons, START) == ITEMS -> break
	:: else ->
#ifdef MUT_B
		v = data[rcons % SIZE];
#endif
#ifdef USER
		/* It looks for itself, and asks the kernel when there is nothing. */
		do
		:: atomic { rprod = prod; if :: AVAIL >= READER_MIN -> break :: else fi }; /* [B] */
			rx_wait(0, READER_MIN)
		od;
#else
		rx_wait(0, READER_MIN);
#endif
		if
		:: n = 1
		:: AVAIL > 1 -> n = AVAIL
		fi;
#if !defined(MUT_B) && !defined(MUT_C)
		atomic {
			v = 0;
			do
			:: v < n ->
				assert(data[ADD(rcons, v) % SIZE] == ADD(rcons, v));
				v++
			:: else -> break
			od;
			v = 0
		}
#endif
#ifdef MUT_B
		assert(v == rcons);
#endif
#ifdef MUT_C
		n = 1;
#endif
#ifdef USER
		rx_publish(n);
		atomic { n = 0; v = 0 }
#else
		atomic { !rx_lock -> rx_lock = 1 };
		rx_publish(n);
#ifdef MUT_C
		assert(data[SUB(rcons, 1) % SIZE] == SUB(rcons, 1));
#endif
		atomic { rx_lock = 0; n = 0; v = 0 }
#endif
	od;
	reader_done = 1
}

#ifdef PEEKER
proctype peeker()
{
	byte old;
	bit ready;

	rx_wait(1, PEEKER);
	peeker_done = 1
}
#endif

/* ---- the producer's side ---- */

#define TX_EVENT_SPACE(space)	SUB(tprod, SIZE - (space))
#define TX_EVENT_PROGRESS	ADD(tcons, 1)

/* ivring_channel_look() for space; all that fits stands for DRAINED as well */
inline tx_look(min, arm)
{
	if
	:: SPACE >= min -> ready = 1
	:: else ->
		if
		:: arm ->
#ifndef MUT_TX_ARM
			atomic {
				tx_event_pending = 1;
#ifdef MUT_TX_ANY
				tx_event_stored = TX_EVENT_SPACE(min);
#else
				tx_event_stored = (tx_sleepers > 1 ->
					TX_EVENT_PROGRESS : TX_EVENT_SPACE(min));
#endif
			}
#endif
#ifndef MUT_H
			TX_MB;					/* [H] */
#endif
		:: else
		fi;
#ifdef MUT_TX_LOOK
		if
		:: arm
		:: else ->
#endif
		d_step {
			old = tcons;
			tcons = cons;				/* [D] */
			assert(SUB(tprod, tcons) <= SIZE);
#ifndef MUT_TX_MOVED
			if
			:: TX_MOVED_LOOK old != tcons && tx_sleepers ->
				tx_queued[0] = 0; tx_queued[1] = 0
			:: else
			fi;
#endif
			old = 0
		}
#ifdef MUT_TX_LOOK
		fi;
#endif
		ready = (SPACE >= min -> 1 : 0)
	fi
}

inline tx_wait(me, min)
{
	atomic { !tx_lock -> tx_lock = 1 };
	tx_look(min, 0);
	tx_lock = 0;
	do
	:: ready -> ready = 0; break
	:: else ->
#ifdef MUT_TX_PREPARE
		atomic { !tx_lock -> tx_lock = 1; tx_sleepers++ };
		tx_look(min, 1);
		tx_lock = 0;
		tx_queued[me] = 1;
#else
		atomic { !tx_lock -> tx_sleepers++ };
		tx_queued[me] = 1;
		atomic { !tx_lock -> tx_lock = 1 };
		tx_look(min, 1);
		tx_lock = 0;
#endif
		if
		:: ready
		:: else -> !tx_queued[me]
		fi;
		atomic { !tx_lock -> tx_queued[me] = 0; tx_sleepers--; tx_lock = 1 };
		if
		:: ready
		:: else -> tx_look(min, 0)
		fi;
		tx_lock = 0
	od
}

inline tx_publish(n)
{
	atomic {
		old = tprod;
		tprod = ADD(tprod, n);
		prod_pending = 1;
		prod_stored = tprod				/* [A] */
	}
#ifndef MUT_E
	TX_MB;							/* [E] */
#endif
	d_step {
		if
		:: REACHED(rx_event, tprod, old) -> rx_bell = 1
		:: else
		fi;
		old = 0
	}
}

inline tx_store(i)
{
	d_step {
		data_count = data_count + (data_pending[(i) % SIZE] -> 0 : 1);
		data_pending[(i) % SIZE] = 1;
		data_stored[(i) % SIZE] = i
	}
}

proctype writer()
{
	byte old, n, v;
	bit ready;

	do
	:: SUB(tprod, START) == ITEMS -> break
	:: else ->
#ifdef MUT_D
		tx_store(tprod);
#endif
		tx_wait(0, (ITEMS - SUB(tprod, START) < TX_MIN -> ITEMS - SUB(tprod, START) : TX_MIN));
		if
		:: n = 1
		:: SPACE > 1 && ITEMS - SUB(tprod, START) > 1 ->
			n = (SPACE < ITEMS - SUB(tprod, START) -> SPACE : ITEMS - SUB(tprod, START))
		fi;
		v = 0;
		do
		:: v < n -> tx_store(ADD(tprod, v)); v++
		:: else -> break
		od;
		atomic { !tx_lock -> tx_lock = 1 };
		tx_publish(n);
		atomic { tx_lock = 0; n = 0; v = 0 }
	od;
	writer_done = 1
}

#ifdef DRAINER
#define SPACER	SIZE
#endif

#ifdef SPACER
proctype spacer()
{
	byte old;
	bit ready;

	tx_wait(1, SPACER);
	spacer_done = 1
}
#endif

/* Nothing can happen any more: does anybody sleep who should not? */
proctype judge()
{
	timeout ->
	assert(writer_done);
	assert(reader_done);
#ifdef PEEKER
	/* The reader may have taken what the other waited for. */
	assert(peeker_done || SUB(prod, rcons) < PEEKER);
#endif
#ifdef SPACER
	assert(spacer_done)
#endif
}

init {
	atomic {
		run tx_buffer(); run rx_buffer();
		run tx_interrupt(); run rx_interrupt();
		run reader(); run writer(); run judge();
#ifdef PEEKER
		run peeker();
#endif
#ifdef SPACER
		run spacer();
#endif
	}
}

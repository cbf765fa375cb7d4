/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order of accesses to a virtqueue, on CPUs that reorder loads and stores: a model for spin(1).
 *
 * A driver and a device, CPUs of their own, with a queue of two entries. The driver does what
 * split_ring.c (or, with -DPACKED, packed_ring.c) does: publish and kick, look for used entries and
 * read replies, arm and look again before it sleeps. So does the device, with the barriers that the
 * standard asks of it (virtio 1.3 2.7.13, 2.8.21). spin looks at every interleaving. Wrong are
 *
 *   a request that the device reads before it is whole, a reply that the driver reads too early, or
 *   too late: after its buffer has the next one (assertions);
 *   both asleep while a request or a reply waits (an invalid end state).
 *
 * Memory. Stores wait in a buffer and reach memory in any order; but those behind a write barrier
 * don't pass those before it. A load gives what memory has now, or, as if it had been made early,
 * what memory had at the CPU's last read barrier. A load whose value nothing depends on, as of a
 * reply's data, may be made late: behind stores that come after it. All of that arm64 may do.
 *
 * Each barrier of the driver has a name below; -DNO_X leaves it out, and then spin must find a
 * fault: tests/unit/ring_order.py runs all of that. -DRELEASE_IS_WMB makes of the barrier before
 * an index one that orders stores only (dmb oshst): with that a reply may be read too late.
 *
 * What isn't in it: more than two entries, chains, event suppression by flags alone, lies.
 */

/* The two sides. */
#define DRIVER 0
#define DEVICE 1

/* What is shared. ENTRY is the avail ring, or the descriptors; DONE is the used ring. */
#define REQUEST(i) (i)
#define REPLY(i) (2 + (i))
#define ENTRY(i) (4 + (i))
#ifdef PACKED
#define DONE(i) ENTRY(i)
#define FLAGS(i) (6 + (i))
#else
#define DONE(i) (6 + (i))
#define AVAIL 8
#define USED 9
#endif
#define KICK_AT 10 /* avail_event, or the device's event structure */
#define INTERRUPT_AT 11
#define BELL 12
#define INTERRUPT 13
#define WORDS 14

/* Counters are of two bits: the place in the ring, and the round: the wrap counter. */
#define NEXT(n) (((n) + 1) & 3)
#define PLACE(n) ((n) & 1)
#define ROUND(n) ((n) >> 1)
#ifndef REQUESTS
#define REQUESTS 3
#endif

byte memory[WORDS];
/* Of each side: stores that wait, and what loads may give that were made early. */
bool waits[2 * WORDS];
byte stored[2 * WORDS];
byte early[2 * WORDS];
byte waiting[2];
bool fence[2];
/* The driver's load of a reply that it hasn't made yet. */
bool late;
byte late_at, late_is;

byte token[2]; /* the request in each buffer, 0: none */
byte answered;

#define AT(side, word) ((side) * WORDS + (word))

inline store(side, word, value)
{
	atomic {
		!waits[AT(side, word)] && (!fence[side] || !waiting[side]);
		fence[side] = false;
		waits[AT(side, word)] = true;
		stored[AT(side, word)] = value;
		waiting[side]++
	}
}

inline load(side, word, value)
{
	if
	:: atomic {
		if
		:: waits[AT(side, word)] -> value = stored[AT(side, word)]
		:: else ->
			value = memory[word];
			early[AT(side, word)] = memory[word]
		fi
	}
	:: atomic {
		!waits[AT(side, word)] && early[AT(side, word)] != memory[word] ->
		value = early[AT(side, word)]
	}
	fi
}

inline make_late_load()
{
	if
	:: late ->
		late = false;
		assert(memory[late_at] == late_is)
	:: else
	fi
}

#define FORGET_EARLY(side, word) early[AT(side, word)] = memory[word]

/* Of what the side reads. */
inline no_early_loads(side)
{
	if
	:: side == DRIVER ->
		FORGET_EARLY(DRIVER, REPLY(0));
		FORGET_EARLY(DRIVER, REPLY(1));
		FORGET_EARLY(DRIVER, DONE(0));
		FORGET_EARLY(DRIVER, DONE(1));
		FORGET_EARLY(DRIVER, KICK_AT)
	:: else ->
		FORGET_EARLY(DEVICE, REQUEST(0));
		FORGET_EARLY(DEVICE, REQUEST(1));
		FORGET_EARLY(DEVICE, ENTRY(0));
		FORGET_EARLY(DEVICE, ENTRY(1));
		FORGET_EARLY(DEVICE, INTERRUPT_AT)
	fi;
#ifdef PACKED
	FORGET_EARLY(side, FLAGS(0));
	FORGET_EARLY(side, FLAGS(1))
#else
	if
	:: side == DRIVER -> FORGET_EARLY(DRIVER, USED)
	:: else -> FORGET_EARLY(DEVICE, AVAIL)
	fi
#endif
}

#define write_barrier(side) fence[side] = true

inline read_barrier(side)
{
	d_step {
		if
		:: side == DRIVER -> make_late_load()
		:: else
		fi;
		no_early_loads(side)
	}
}

inline full_barrier(side)
{
	atomic {
		!waiting[side];
		if
		:: side == DRIVER -> make_late_load()
		:: else
		fi;
		no_early_loads(side)
	}
}

/* Loads and stores before it, stores behind it. */
inline release_barrier()
{
#ifdef RELEASE_IS_WMB
	write_barrier(DRIVER)
#else
	d_step {
		make_late_load();
		write_barrier(DRIVER)
	}
#endif
}

/* Words that both sides write: nobody reads back what was there before his own store. */
#ifdef PACKED
#define IS_SHARED(word) ((word) >= 4 && (word) <= 7)
#else
#define IS_SHARED(word) false
#endif

#define LEAVE(word)                                                                                \
	atomic {                                                                                   \
		waits[AT(side, word)] ->                                                           \
		memory[word] = stored[AT(side, word)];                                             \
		if                                                                                 \
		:: IS_SHARED(word) -> early[AT(side, word)] = memory[word]                         \
		:: else                                                                            \
		fi;                                                                                \
		waits[AT(side, word)] = false;                                                     \
		stored[AT(side, word)] = 0;                                                        \
		waiting[side]--                                                                    \
	}

/* A side's buffer of stores. */
proctype buffer(byte side)
{
end:
	do
	:: LEAVE(0) :: LEAVE(1) :: LEAVE(2) :: LEAVE(3) :: LEAVE(4) :: LEAVE(5) :: LEAVE(6)
	:: LEAVE(7) :: LEAVE(8) :: LEAVE(9) :: LEAVE(10) :: LEAVE(11) :: LEAVE(12) :: LEAVE(13)
	:: d_step { side == DRIVER && late -> make_late_load() }
	od
}

proctype driver()
{
	byte avail, kicked, used, sent, buf, value, event;

	do
	:: answered == REQUESTS -> break
	/* viofs_ring_add(): no kick yet, and perhaps another one first. */
	:: sent < REQUESTS && (!token[0] || !token[1]) ->
		atomic {
			buf = (token[0] -> 1 : 0);
			sent++;
			token[buf] = sent
		}
		store(DRIVER, REQUEST(buf), sent);
		store(DRIVER, ENTRY(PLACE(avail)), buf);
#ifndef NO_PUBLISH
		release_barrier();
#endif
#ifdef PACKED
		/* 1 and 2: made available in the first round, and in the second. */
		store(DRIVER, FLAGS(PLACE(avail)), 1 + ROUND(avail));
		avail = NEXT(avail);
#else
		avail = NEXT(avail);
		store(DRIVER, AVAIL, avail);
#endif
	/* viofs_ring_should_kick(), and the transport's notify(). */
	:: avail != kicked ->
#ifndef NO_KICK
		full_barrier(DRIVER);
#endif
		load(DRIVER, KICK_AT, event);
		atomic {
			value = (avail - kicked) & 3;
			kicked = avail
		}
		if
		:: ((avail - event - 1) & 3) < value ->
			write_barrier(DRIVER);
			store(DRIVER, BELL, 1)
		:: else
		fi
	/* viofs_ring_get() */
	:: avail == kicked && (token[0] || token[1]) ->
#ifdef PACKED
		load(DRIVER, FLAGS(PLACE(used)), value);
		value = (value == 3 + ROUND(used) -> NEXT(used) : used);
#else
		load(DRIVER, USED, value);
#endif
		if
		:: value != used ->
#ifndef NO_READ
			read_barrier(DRIVER);
#endif
			load(DRIVER, DONE(PLACE(used)), buf);
			assert(token[buf]);
			if
			:: load(DRIVER, REPLY(buf), value); assert(value == token[buf])
			:: atomic { !late -> late = true; late_at = REPLY(buf); late_is = token[buf] }
			fi;
			atomic {
				token[buf] = 0;
				answered++;
				used = NEXT(used)
			}
		/* viofs_ring_arm(), and to sleep unless something has come. */
		:: else ->
			store(DRIVER, INTERRUPT_AT, used);
#ifndef NO_ARM
			full_barrier(DRIVER);
#endif
#ifdef PACKED
			load(DRIVER, FLAGS(PLACE(used)), value);
			value = (value == 3 + ROUND(used) -> NEXT(used) : used);
#else
			load(DRIVER, USED, value);
#endif
			if
			:: value == used -> atomic { memory[INTERRUPT] -> memory[INTERRUPT] = 0 }
			:: else
			fi
		fi
	od
}

proctype device()
{
	byte seen, buf, value, event;

end:
	do
	::
#ifdef PACKED
		load(DEVICE, FLAGS(PLACE(seen)), value);
		value = (value == 1 + ROUND(seen) -> NEXT(seen) : seen);
#else
		load(DEVICE, AVAIL, value);
#endif
		if
		:: value != seen ->
			read_barrier(DEVICE);
			load(DEVICE, ENTRY(PLACE(seen)), buf);
			load(DEVICE, REQUEST(buf), value);
			/* In order, so the number is known. */
			assert((value & 3) == NEXT(seen));
			store(DEVICE, REPLY(buf), value);
			store(DEVICE, DONE(PLACE(seen)), buf);
			write_barrier(DEVICE);
#ifdef PACKED
			store(DEVICE, FLAGS(PLACE(seen)), 3 + ROUND(seen));
			seen = NEXT(seen);
#else
			seen = NEXT(seen);
			store(DEVICE, USED, seen);
#endif
			full_barrier(DEVICE);
			load(DEVICE, INTERRUPT_AT, event);
			if
			:: NEXT(event) == seen -> store(DEVICE, INTERRUPT, 1)
			:: else
			fi
		:: else ->
			store(DEVICE, KICK_AT, seen);
			full_barrier(DEVICE);
#ifdef PACKED
			load(DEVICE, FLAGS(PLACE(seen)), value);
			value = (value == 1 + ROUND(seen) -> NEXT(seen) : seen);
#else
			load(DEVICE, AVAIL, value);
#endif
			if
			:: value == seen ->
end_asleep:
				atomic { memory[BELL] -> memory[BELL] = 0 }
			:: else
			fi
		fi
	od
}

init {
	atomic {
		run buffer(DRIVER);
		run buffer(DEVICE);
		run driver();
		run device()
	}
}

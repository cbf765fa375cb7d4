/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a session is made of, in memory of the process that serves it. Functions are with the files:
 *
 *   relay.c      the session's life: prepare, run, refuse      handshake.c  INIT
 *   lanes.c      sets lanes up                                 team.c       their threads
 *   lead.c       one lane's life: serve, then drain or fail    exchange.c   a request of our own
 *   serve.c      the loop: completions, requests, sleep        spin.c, watch.c  its judgement
 *
 * The way of a request:
 *
 *   pump.c       readv(2) of /dev/fuse into a slot; classified; sent, or kept
 *   intake.c     or from an entry of the io_uring channel (entry.h)
 *   submit.c     the slot onto a virtqueue (enqueue.c); kick, by eventfds with fs/doorbells.c
 *                ... the device ...
 *   complete.c   used entry -> check -> writev(2) to /dev/fuse, or the entry goes back (entry.c)
 *   answer.c     answers of our own; the slot is free
 *
 * Beside it: hiprio.c FORGET and INTERRUPT, over a queue that all lanes share; interrupt.c which
 * request an INTERRUPT is about; mailbox.c what lanes tell each other; outcome.c how it ends;
 * notify.c what the device says unasked; refuse.c EIO for everybody, where the device was lost;
 * observe.c what other processes see; tap.c how long requests take, and records of them
 * (capture.c).
 *
 * All of this is one lane's: a part of the request queues, and everything that it needs to serve
 * them. A request stays in the lane that read it, and lanes share nothing on this way. One thread
 * leads a lane (lease.h), and nobody else touches it.
 *
 * Locks: hiprio's; the team's and the outcome's for what is rare: starting, ending, parking. No
 * lock is taken on a request's way, and none while another is held, but hiprio's before the
 * outcome's. Calls go one way only, as tests/unit/layers.py checks.
 */
#ifndef VIOFS_RELAY_SESSION_H
#define VIOFS_RELAY_SESSION_H

#include "fs/doorbells.h"
#include "fs/rekick.h"
#include "loop/loop.h"
#include "relay/capture.h"
#include "relay/config.h"
#include "relay/entry.h"
#include "relay/hiprio.h"
#include "relay/layout.h"
#include "relay/lease.h"
#include "relay/mailbox.h"
#include "relay/outcome.h"
#include "relay/parking.h"
#include "relay/slots.h"
#include "relay/stats.h"
#include "relay/team.h"

/* The leader was deposed while it wrote a reply: it must leave everything alone and go. */
#define VIOFS_DEPOSED (-EOWNERDEAD)

/* A FIFO of slots, linked by viofs_slot.next. */
struct viofs_slot_list {
	uint16_t first, last;
	uint32_t count;
};

/**
 * struct viofs_lane - a part of the request queues, and what serves them
 * Fields are grouped by who writes them. Those that other threads write have cache lines of their
 * own, since the leader reads its own fields at each turn.
 */
struct viofs_lane {
	/* Written before there are threads. */
	_Alignas(64) struct viofs_relay *relay;
	unsigned int index;
	unsigned int queues[VIOFS_FS_QUEUES_MAX]; /* its request queues */
	unsigned int queue_count;
	struct viofs_hiprio *hiprio; /* in the lane that serves this queue; NULL: another does */
	struct viofs_lane_stats *stats;
	struct viofs_lane_latency *latency;
	struct viofs_capture_ring *capture; /* its own, where records go while they are wanted */
	int fuse_fd;    /* an open /dev/fuse of its own: what was read here is answered here */
	int cpu;        /* to run on, -1: any */
	uint8_t *plain; /* where requests land that have no slot */
	size_t plain_size;

	/* Written by the thread that leads. `state` outlives the process, and has where the
	 * kernel's next request lands: in a slot and a buffer, or in plain memory. */
	struct viofs_lane_state *state;
	struct viofs_slots slots;
	struct viofs_slot_list waiting; /* have a slot, lack a buffer or room on the ring */
	struct viofs_parking parked;    /* lack a slot */
	struct viofs_parking locks;     /* SETLKWs that lack a slot, or may not have one yet */
	uint32_t lockers, lockers_max;  /* SETLKWs in slots */
	int64_t next_peek;              /* ns; when /dev/fuse is read although too much is parked */
	unsigned int next_queue;        /* request queues take turns */
	uint32_t kicks_held;            /* bits: virtqueues the device is to be notified of */
	bool kicks_wait;                /* until all requests that came together are on the rings */
	unsigned int left;              /* the next slot for viofs_complete_left() to look at */
	bool freed;      /* slot, buffer or ring entry came free since `waiting` was last tried */
	bool several;    /* requests came together when it was last read */
	bool poll_first; /* /dev/fuse is not to be read before it was polled */
	bool stall_said;
	struct viofs_entries entries; /* of the io_uring channel; none where it isn't used */
	struct viofs_loop loop;
	int64_t spin;      /* ns; how long the next request is spun for, as learnt */
	int64_t spun;      /* ns; when this thread last found nothing to do, and spun; or 0 */
	int64_t no_spin;   /* ns; until then it sleeps at once: others want the CPU */
	int64_t now;       /* ns, when it last looked at the clock: some turns ago at most */
	long switches;     /* times that it lost the CPU */
	int64_t next_look; /* ns; is the device still there? */
	int64_t next_due;  /* ns; no request can be overdue before */
	struct viofs_rekick rekick; /* for completions that never come */

	/* Written by other threads too. */
	_Alignas(64) struct viofs_lease lease;
	_Alignas(64) struct viofs_mailbox mailbox; /* INTERRUPTs that another lane has read */

	/* Written by the thread that starts and ends the lanes'. */
	_Alignas(64) pthread_t thread; /* that leads at first; the first lane's: the caller's */
	bool started;
};

/** struct viofs_relay - all of it */
struct viofs_relay {
	struct viofs_relay_config config;
	struct viofs_fs *fs;
	struct viofs_arena *arena;
	struct viofs_relay_stats *stats; /* but what lanes count */
	struct viofs_layout layout;      /* of what outlives the process */
	struct viofs_slots slots;        /* the layout; lanes and hiprio have the pools */
	struct viofs_lane *lanes;
	unsigned int lane_count;
	struct viofs_hiprio hiprio;
	struct viofs_team team;
	struct viofs_outcome outcome;
	struct viofs_doorbells doorbells;
	struct viofs_notify *notify; /* NULL: no notification queue */
	struct viofs_capture_ring *notify_capture;
	struct viofs_err *err;
	/* Known from INIT on, before there is more than one thread. */
	struct viofs_fuse_conn conn;
	bool is_adopted;  /* another process has begun it: adopt.h */
	bool is_prepared; /* for the one that adopts: viofs_adopt_prepare() */
	bool indirect;
	bool used_len_zero; /* the device says so although the reply is good */
};

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the relay. The way of a request:
 *
 *   pump.c      viofs_pump_requests()  readv(2) of /dev/fuse into a slot; classified; sent, or kept
 *   intake.c    viofs_pump_entries()   or from an entry of the io_uring channel (entries.h)
 *   submit.c    viofs_submit()         the slot as a descriptor chain on its virtqueue; kick
 *               ... the device ...
 *   complete.c  viofs_complete()       used entry -> check -> writev(2) to /dev/fuse -> slot free
 *   entries.c   viofs_entry_reply()    ... or a command that gives the entry back
 *   serve.c     viofs_serve()          the loop around them: spin or sleep
 *
 * All of this is one lane's: a part of the request queues, and everything that it takes to serve
 * them. There are as many as -o workers= says. A request stays in the lane that read it, and lanes
 * share nothing on this way. One thread leads a lane (lease.h), and nobody else touches it.
 *
 *   session.c   viofs_relay_run()      INIT before, DESTROY after: lane 0's
 *   team.c      viofs_team_start()     the lanes' threads: start, end, messages between lanes
 *   hiprio.c    viofs_hiprio_take()    FORGET and INTERRUPT, over a queue that all lanes share
 *   doorbell.c                         notifies by eventfds, for kick
 *   notify.c    viofs_notify_start()   what the device says unasked, in a thread of its own
 *   refuse.c    viofs_relay_refuse()   EIO for everybody, where the device was lost
 *
 * Locks: hiprio's, and the team's for what is rare: starting, ending, parking. No lock is taken on
 * a request's way, and none while another is held, but hiprio's before the team's.
 */
#ifndef VIOFS_RELAY_SESSION_H
#define VIOFS_RELAY_SESSION_H

#include "relay/doorbell.h"
#include "relay/entries.h"
#include "relay/hiprio.h"
#include "relay/lease.h"
#include "relay/parking.h"
#include "relay/relay.h"
#include "relay/slots.h"
#include "relay/sleep.h"
#include "relay/team.h"

/* The leader was deposed while it wrote a reply: it must leave everything alone and go. */
#define VIOFS_DEPOSED (-EOWNERDEAD)

/* A FIFO of slots, linked by viofs_slot.next. */
struct viofs_slot_list {
	uint16_t first, last;
	uint32_t count;
};

/** struct viofs_lane - a part of the request queues, and what serves them */
struct viofs_lane {
	_Alignas(64) struct viofs_relay *relay;
	unsigned int index;
	unsigned int queues[VIOFS_FS_QUEUES_MAX]; /* its request queues */
	unsigned int queue_count;
	struct viofs_lane_stats *stats;
	struct viofs_slots slots;
	int fuse_fd; /* an open /dev/fuse of its own: what was read here is answered here */

	/* Where the kernel's next request lands: a slot and a buffer, or plain memory. */
	struct viofs_slot *landing;
	uint16_t landing_buffer;
	uint8_t *plain;
	size_t plain_size;

	struct viofs_slot_list waiting; /* have a slot, lack a buffer or room on the ring */
	struct viofs_parking parked;    /* lack a slot */
	struct viofs_parking locks;     /* SETLKWs that lack one, or may not have one */
	uint32_t lockers, lockers_max;  /* SETLKWs in slots */
	int64_t next_peek;              /* ns; what isn't read for too much parked is looked at */
	unsigned int next_queue;        /* request queues take turns */
	uint32_t kicks_held;            /* bits: virtqueues the device is to be notified of */
	bool kicks_wait;                /* until all that has come together is there */
	bool freed;                     /* something came free since waiting was last looked at */

	struct viofs_entries entries; /* of the io_uring channel; none where it isn't used */
	int64_t next_read; /* ns; /dev/fuse is to be read, where few requests come from it */
	bool read_now;     /* that time has come */
	bool several;      /* requests came together when it was last read */
	bool poll_first;   /* /dev/fuse is not to be read before it was polled */

	struct viofs_lease lease;
	struct viofs_sleep sleep;
	int64_t spin;                 /* ns; how long the next request is spun for, as learnt */
	struct viofs_mailbox mailbox; /* INTERRUPTs that another lane has read */
	int64_t spun;        /* ns; when this thread last found nothing to do, and spun; or 0 */
	int64_t no_spin;     /* ns; until then it sleeps at once: others want the CPU */
	long switches;       /* times that it was taken the CPU from */
	int64_t next_look;   /* ns; is the device still there? */
	int64_t next_due;    /* ns; no request can be overdue before */
	int64_t next_rekick; /* ns; for completions that never come */
	int64_t rekick_interval;
	bool stall_said;

	pthread_t thread; /* that leads at first; lane 0: the caller's */
	bool started;
	int cpu; /* to run on, -1: any */
};

/** struct viofs_relay - all of it */
struct viofs_relay {
	struct viofs_relay_config config;
	struct viofs_fs *fs;
	struct viofs_arena *arena;
	struct viofs_relay_stats *stats; /* but what lanes count */
	struct viofs_slots slots;        /* the layout; lanes and hiprio have the pools */
	struct viofs_lane *lanes;
	unsigned int lane_count;
	struct viofs_hiprio hiprio;
	struct viofs_team team;
	struct viofs_doorbells doorbells;
	struct viofs_notify *notify; /* NULL: no notification queue */
	struct viofs_err *err;
	/* Known from INIT on, before there is more than one thread. */
	struct viofs_fuse_conn conn;
	bool indirect;
	bool used_len_zero; /* the device says so although the reply is good */
};

/* lane.c */
/**
 * viofs_lanes_new() - as many as there is use for; they share slots, buffers, entries, queues
 * Return: 0; -ENOMEM.
 */
int viofs_lanes_new(struct viofs_relay *r);
/** viofs_lanes_free() - Return: false where a thread still looks at one: all must stay as it is. */
bool viofs_lanes_free(struct viofs_relay *r);
/** viofs_lanes_prepare() - what they need is opened. Return: 0 or -errno with @err. */
int viofs_lanes_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err);
/** viofs_lane_wake() - end its sleep. Any thread. */
void viofs_lane_wake(struct viofs_lane *lane);
/** viofs_lane_of_slot() - whose pool it is from. */
struct viofs_lane *viofs_lane_of_slot(struct viofs_relay *r, uint16_t index);
/** viofs_lane_unanswered_ns() - as viofs_relay_unanswered_ns(), of the lane's slots. */
int64_t viofs_lane_unanswered_ns(const struct viofs_lane *lane);

/* session.c */
/** viofs_session_lead() - serve, and end what was served; by the thread that leads the lane. */
void viofs_session_lead(struct viofs_lane *lane);

/* pump.c */
/**
 * viofs_pump_requests() - take what the kernel has in /dev/fuse, up to @most
 * Return: how many; -ENODEV, -ECONNABORTED: unmounted or aborted; -ENOMEM.
 */
int viofs_pump_requests(struct viofs_lane *lane, int most);
/** viofs_pump_is_full() - is as much parked as may be? Then the kernel keeps what it has, and isn't
 * polled for it. */
bool viofs_pump_is_full(const struct viofs_lane *lane);
/** viofs_pump_kept() - send what had to wait, as far as slots, buffers and rings allow. */
void viofs_pump_kept(struct viofs_lane *lane);

/* intake.c */
/** viofs_pump_entries() - take the requests that have arrived in entries. Return: how many. */
int viofs_pump_entries(struct viofs_lane *lane);

/* entries.c */
/**
 * viofs_entries_start() - hand the lane's entries to the kernel, which was told so in INIT
 * Requests come when those of all lanes are there. Context: the thread that waits for them from
 * then on. Return: 0; -errno: viofs_entries_give_up() is to be called, when no lane is starting any
 * more.
 */
int viofs_entries_start(struct viofs_lane *lane);
/** viofs_entries_give_up() - the kernel goes on over /dev/fuse. */
void viofs_entries_give_up(struct viofs_relay *r);
/** viofs_entries_are_lost() - did the kernel refuse a command? Then some of its queues may stand
 * still. */
bool viofs_entries_are_lost(struct viofs_lane *lane);
/**
 * viofs_entry_reply() - give the request of an entry's slot back, answered, and ask for the next
 * one
 * @fixed: checked; @data_len bytes follow from where viofs_slot_reply_data() is. The command goes
 * with the next flush or wait.
 */
void viofs_entry_reply(struct viofs_lane *lane, struct viofs_slot *slot, int error,
		       const void *fixed, uint32_t fixed_len, uint32_t data_len);

/* submit.c */
/**
 * viofs_submit() - send a classified slot, or put it on the waiting list
 * Return: 0 sent; -EAGAIN: waiting; -EPIPE: the ring is broken; -EMSGSIZE: answered with EIO.
 */
int viofs_submit(struct viofs_lane *lane, struct viofs_slot *slot);
/**
 * viofs_submit_on() - put a slot on queue @q; not notified yet
 * Return: 0; -ENOSPC: no room; -EPIPE: the ring is broken; -EMSGSIZE: it can never fit.
 */
int viofs_submit_on(struct viofs_relay *r, struct viofs_slot *slot, unsigned int q);
/**
 * viofs_submit_cancel() - take a lock off the waiting list: the device doesn't know of it
 * Return: true: it is gone, and is to be answered; false: no lock with this unique waits.
 */
bool viofs_submit_cancel(struct viofs_lane *lane, uint64_t kernel_unique);
/** viofs_kick_later() - more is about to be submitted: notify for all at once, in viofs_kick_now().
 */
void viofs_kick_later(struct viofs_lane *lane);
void viofs_kick_now(struct viofs_lane *lane);
/** viofs_submit_waiting() - try the waiting list again, skipping what still can't go. */
void viofs_submit_waiting(struct viofs_lane *lane);

/* complete.c */
/**
 * viofs_complete() - deal with the completions of the lane's queues, and of hiprio in lane 0
 * Return: how many; VIOFS_DEPOSED; -EPROTO: the device broke the session, which has been said.
 */
int viofs_complete(struct viofs_lane *lane);
/** viofs_answer() - answer the kernel without the device. */
void viofs_answer(struct viofs_lane *lane, uint64_t unique, int error);
/** viofs_answer_slot() - the same for the request of a slot, by whichever way it came. */
void viofs_answer_slot(struct viofs_lane *lane, struct viofs_slot *slot, int error);
/** viofs_release() - a slot is done with: accounting, free. */
void viofs_release(struct viofs_lane *lane, struct viofs_slot *slot);
/** viofs_fault() - remember what the device did wrong; says it once in a while. */
void viofs_fault(struct viofs_lane *lane, const struct viofs_fuse_shape *shape, const char *what);

/* notify.c */
/** viofs_notify_prepare() - what viofs_notify_start() needs, where there is a notification queue.
 */
int viofs_notify_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err);
/** viofs_notify_start() - from now on notifications go to the kernel. */
void viofs_notify_start(struct viofs_relay *r);
/** viofs_notify_broken() - NULL, or how the device broke the notification queue. Any thread. */
const char *viofs_notify_broken(const struct viofs_relay *r);
/** viofs_notify_stop() - no more of them; before the device is closed. Nothing started is fine. */
void viofs_notify_stop(struct viofs_relay *r);

/* serve.c */
/**
 * viofs_serve() - until it is over
 * Return: 0: the kernel is gone; -errno: the session broke, which has been said; -ECANCELED: the
 * team is stopping; VIOFS_DEPOSED.
 */
int viofs_serve(struct viofs_lane *lane);
/** viofs_in_flight() - requests of the lane that the device has; in lane 0 hiprio's too. */
unsigned int viofs_in_flight(const struct viofs_lane *lane);

/* refuse.c */
/** viofs_lane_refuse() - viofs_relay_refuse() of one lane, in the thread that it started with. */
int viofs_lane_refuse(struct viofs_lane *lane);

#endif

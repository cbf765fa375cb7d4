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
 *   session.c   viofs_relay_run()      INIT before, DESTROY after
 *   doorbell.c                         notifies by eventfds, for kick
 *   notify.c    viofs_notify_start()   what the device says unasked, in a thread of its own
 *   refuse.c    viofs_relay_refuse()   EIO for everybody, where the device was lost
 *
 * All of it but notify.c runs in the one thread that leads (lease.h).
 */
#ifndef VIOFS_RELAY_SESSION_H
#define VIOFS_RELAY_SESSION_H

#include "relay/doorbell.h"
#include "relay/entries.h"
#include "relay/lease.h"
#include "relay/parking.h"
#include "relay/relay.h"
#include "relay/slots.h"
#include "relay/sleep.h"

/* The leader was deposed while it wrote a reply: it must leave everything alone and go. */
#define VIOFS_DEPOSED (-EOWNERDEAD)

/* A FIFO of slots, linked by viofs_slot.next. */
struct viofs_slot_list {
	uint16_t first, last;
	uint32_t count;
};

struct viofs_relay {
	struct viofs_relay_config config;
	struct viofs_fs *fs;
	struct viofs_arena *arena;
	struct viofs_relay_stats *stats;
	struct viofs_slots slots;
	struct viofs_fuse_conn conn;
	bool indirect;
	int fuse_fd;

	/* Where the kernel's next request lands: a slot and a buffer, or plain memory. */
	struct viofs_slot *landing;
	uint16_t landing_buffer;
	uint8_t *plain;
	size_t plain_size;

	struct viofs_slot_list waiting;     /* have a slot, lack a buffer or room on the ring */
	struct viofs_parking parked;        /* lack a slot */
	struct viofs_parking parked_hiprio; /* FORGET and INTERRUPT that hiprio had no room for */
	uint32_t lockers;                   /* SETLKWs in slots */
	unsigned int next_queue;            /* request queues take turns */
	uint32_t kicks_held;                /* bits: virtqueues the device is to be notified of */
	bool kicks_wait;                    /* until all that has come together is there */
	uint32_t forgets_held;              /* on the hiprio ring, the device not notified yet */
	int64_t forgets_since;              /* ns, of the first of them */
	bool freed;                         /* something came free since waiting was last looked at */

	struct viofs_entries entries;       /* of the io_uring channel; none where it isn't used */
	int64_t next_read;                  /* ns; /dev/fuse is to be read, where few requests come from it */
	bool read_now;                      /* that time has come */
	bool several;                       /* requests came together when it was last read */
	bool poll_first;                    /* /dev/fuse is not to be read before it was polled */

	struct viofs_notify *notify;        /* NULL: no notification queue */
	struct viofs_lease lease;
	struct viofs_sleep sleep;
	struct viofs_doorbells doorbells;
	int64_t spin;                       /* ns; how long the next request is spun for, as learnt */
	int64_t spun;                       /* ns; when this thread last found nothing to do, and spun; or 0 */
	int64_t no_spin;                    /* ns; until then it sleeps at once: others want the CPU */
	long switches;                      /* times that it was taken the CPU from */
	int64_t next_look;                  /* ns; is the device still there? */
	int64_t next_due;                   /* ns; no request can be overdue before */
	int64_t next_rekick;                /* ns; for completions that never come */
	int64_t rekick_interval;
	bool stall_said;
	int result;
	struct viofs_err *err;
};

/* pump.c */
/**
 * viofs_pump_requests() - take what the kernel has in /dev/fuse, up to @most
 * Return: how many; -ENODEV, -ECONNABORTED: unmounted or aborted; -ENOMEM.
 */
int viofs_pump_requests(struct viofs_relay *r, int most);
/** viofs_pump_hiprio() - send a FORGET or INTERRUPT of @len bytes, or keep it. */
void viofs_pump_hiprio(struct viofs_relay *r, uint8_t *message, size_t len,
		       const struct viofs_fuse_shape *shape);
/** viofs_pump_kept() - send what had to wait, as far as slots, buffers and rings allow. */
void viofs_pump_kept(struct viofs_relay *r);

/* intake.c */
/** viofs_pump_entries() - take the requests that have arrived in entries. Return: how many. */
int viofs_pump_entries(struct viofs_relay *r);

/* entries.c */
/**
 * viofs_entries_start() - hand all entries to the kernel, which was told so in INIT
 * Return: 0; -errno: the kernel goes on over /dev/fuse.
 */
int viofs_entries_start(struct viofs_relay *r);
/** viofs_entries_are_lost() - did the kernel refuse a command? Then some of its queues may stand still. */
bool viofs_entries_are_lost(struct viofs_relay *r);
/**
 * viofs_entry_reply() - give the request of an entry's slot back, answered, and ask for the next one
 * @fixed: checked; @data_len bytes follow from where viofs_slot_reply_data() is. The command goes with
 * the next flush or wait.
 */
void viofs_entry_reply(struct viofs_relay *r, struct viofs_slot *slot, int error, const void *fixed,
		       uint32_t fixed_len, uint32_t data_len);

/* submit.c */
/**
 * viofs_submit() - send a classified slot, or put it on the waiting list
 * Return: 0 sent; -EAGAIN: waiting; -EPIPE: the ring is broken; -EMSGSIZE: answered with EIO.
 */
int viofs_submit(struct viofs_relay *r, struct viofs_slot *slot);
/**
 * viofs_submit_hiprio() - copy a FORGET or INTERRUPT into a slot of its own and send it
 * Return: 0; -EAGAIN: no slot or no room.
 */
int viofs_submit_hiprio(struct viofs_relay *r, const void *message, size_t len,
			const struct viofs_fuse_shape *shape, uint64_t kernel_unique,
			uint64_t device_unique);
/**
 * viofs_submit_cancel() - take a lock off the waiting list: the device doesn't know of it
 * Return: true: it is gone, and is to be answered; false: no lock with this unique waits.
 */
bool viofs_submit_cancel(struct viofs_relay *r, uint64_t kernel_unique);
/** viofs_kick_later() - more is about to be submitted: notify for all at once, in viofs_kick_now(). */
void viofs_kick_later(struct viofs_relay *r);
void viofs_kick_now(struct viofs_relay *r);
/** viofs_kick_forgets() - notify the device of FORGETs that were held back. */
void viofs_kick_forgets(struct viofs_relay *r);
/** viofs_submit_waiting() - try the waiting list again, skipping what still can't go. */
void viofs_submit_waiting(struct viofs_relay *r);

/* complete.c */
/**
 * viofs_complete() - deal with all completions of all queues
 * Return: how many; VIOFS_DEPOSED; -EPROTO: the device broke the session, r->stats->reason is set.
 */
int viofs_complete(struct viofs_relay *r);
/** viofs_answer() - answer the kernel without the device. */
void viofs_answer(struct viofs_relay *r, uint64_t unique, int error);
/** viofs_answer_slot() - the same for the request of a slot, by whichever way it came. */
void viofs_answer_slot(struct viofs_relay *r, struct viofs_slot *slot, int error);
/** viofs_release() - a slot is done with: accounting, free. */
void viofs_release(struct viofs_relay *r, struct viofs_slot *slot);
/** viofs_fault() - remember what the device did wrong; says it once in a while. */
void viofs_fault(struct viofs_relay *r, const struct viofs_fuse_shape *shape, const char *what);
/** viofs_break() - the session can't go on. Return: -EPROTO. */
int viofs_break(struct viofs_relay *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** viofs_lose() - the device is gone: @how, as viofs_device_lost() says it. Return: -ENODEV. */
int viofs_lose(struct viofs_relay *r, const char *how);

/* notify.c */
/** viofs_notify_prepare() - what viofs_notify_start() needs, where there is a notification queue. */
int viofs_notify_prepare(struct viofs_relay *r, struct viofs_err *err);
/** viofs_notify_start() - from now on notifications go to the kernel. */
void viofs_notify_start(struct viofs_relay *r);
/** viofs_notify_broken() - NULL, or how the device broke the notification queue. Any thread. */
const char *viofs_notify_broken(const struct viofs_relay *r);
/** viofs_notify_stop() - no more of them; before the device is closed. Nothing started is fine. */
void viofs_notify_stop(struct viofs_relay *r);

/* serve.c */
/** viofs_serve() - until the kernel is gone (0), the session broke (-errno) or we were deposed. */
int viofs_serve(struct viofs_relay *r);
/** viofs_in_flight() - requests the device has. */
unsigned int viofs_in_flight(const struct viofs_relay *r);
/** viofs_device_lost() - NULL, or why. */
const char *viofs_device_lost(struct viofs_relay *r);

#endif

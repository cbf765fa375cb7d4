/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A virtio-fs device under test control: what its parts share. */
/*
 * A vhost-user-fs back end that serves well or badly, as its command line and its control socket
 * say. It shares no code with src/, least of all the ring code: one misreading of the standard must
 * not hide on both sides. It is strict with the driver: what the driver may not do ends it with
 * EXIT_DRIVER and a line that says what it was.
 *
 *   dev_main.c      options; the loop over all descriptors
 *   dev_messages.c  vhost-user, the back end's side        dev_memory.c  the memory table
 *   dev_iotlb.c     addresses behind an IOMMU
 *   dev_split.c, dev_packed.c  rings, behind dev_ring.h
 *   dev_inflight.c  what is in flight, for the next back end   dev_keep.c  its state, likewise
 *   dev_queue.c     from a ring to a request and back: latency, order, holding
 *   dev_framing.c   the strictest back ends' idea of a request's layout
 *   dev_fuse.c      INIT, dispatch                          dev_locks.c   POSIX locks that block
 *   dev_tree.c, dev_dir.c, dev_null.c  what is served
 *   dev_notify.c    the notification queue
 *   dev_evil.c      misbehaviour, request by request
 *   dev_hostile.c   misbehaviour with what both sides share
 *   dev_control.c   telling it what to do next
 *
 * One thread does all of it: what happens, happens in one order.
 */
#ifndef DEV_H
#define DEV_H

#include "dev_inflight.h"
#include "dev_iotlb.h"
#include "dev_memory.h"
#include "dev_ring.h"

#include <linux/fuse.h>
#include <stdbool.h>
#include <stdint.h>

#define EXIT_DRIVER 3

#define DEV_QUEUES_MAX 10U /* hiprio, notifications and 8 request queues */
#define DEV_REQUEST_QUEUES_MAX 8U
#define DEV_NOTIFICATION 1     /* the queue, where it was negotiated */
#define DEV_NOTIFY_BYTES 4096U /* notify_buf_size, if not told otherwise */
#define DEV_OPCODES 64U

/* What an operation may say beside a payload's length (>= 0) and -errno. */
#define DEV_NO_REPLY (-10000) /* none is due */
#define DEV_LATER (-10001)    /* dev_answer() will be called */

struct dev;

/** struct dev_queue - one virtqueue */
struct dev_queue {
	struct dev *dev;
	unsigned int index;
	struct dev_ring ring;
	struct dev_vring vring; /* as the front end said */
	int kick_fd, call_fd, err_fd;
	bool started, enabled;
	struct dev_inflight_queue tracked;
	bool mapped; /* the ring was found in memory: at once, or behind an IOMMU at first use */
	uint64_t popped;
};

/** struct dev_request - a request from its chain to its reply; private copies on both sides */
struct dev_request {
	struct dev_request *next;
	struct dev_queue *queue;
	struct dev_chain chain;
	uint8_t *in; /* all readable bytes */
	uint32_t in_len;
	struct fuse_in_header *head; /* in */
	const void *arg;             /* after the header */
	uint32_t arg_len;
	uint8_t *out; /* room for all writable bytes */
	uint32_t room;
	uint32_t out_len;  /* bytes of out that are written */
	uint32_t used_len; /* what the used entry says */
	int64_t due_ns;    /* when it is completed */
};

/** dev_payload() - where a reply's payload goes, and how much fits. */
static inline void *dev_payload(const struct dev_request *r)
{
	return r->out + sizeof(struct fuse_out_header);
}
static inline uint32_t dev_payload_room(const struct dev_request *r)
{
	return r->room - (uint32_t)sizeof(struct fuse_out_header);
}

typedef int dev_op(struct dev_request *r);

/** struct dev_fs - something to serve */
struct dev_fs {
	const char *name;
	bool any; /* op[0] takes every opcode */
	dev_op *op[DEV_OPCODES];
	void (*forget)(struct dev *d, uint64_t nodeid, uint64_t count);
};

/** struct dev - all there is */
struct dev {
	/* options */
	const char *socket_path, *control_path, *tag, *keep_path;
	unsigned int request_queues;
	uint32_t notify_size;                  /* notify_buf_size */
	uint64_t hide_features, hide_protocol; /* not offered */
	bool packed, notify, iommu, strict, shuffle, poll, posix_locks, interrupt_enosys;
	int64_t latency_ns;
	struct fuse_init_out init; /* what the reply to INIT says, where set */
	uint32_t init_set;         /* bit per field that was set by hand */
	uint64_t init_flags;       /* or'ed into the flags */
	int init_error;
	uint32_t init_bytes; /* of the reply's payload, 0 = all */

	/* vhost-user */
	int listen_fd, sock, control_listen_fd, control_fd;
	uint64_t features, protocol_features;
	struct dev_memory memory;
	struct dev_inflight inflight;
	struct dev_iotlb iotlb;
	int backend_fd; /* our own channel to the front end */
	struct dev_queue queues[DEV_QUEUES_MAX];

	/* FUSE */
	const struct dev_fs *fs;
	void *fs_state;
	uint64_t init_seen_flags;
	bool inited;

	/* state */
	bool held, taking, silent, quit;
	bool no_interrupts, storm;
	bool kicks_full; /* they are left as they are, and the rings looked at all the time */
	struct dev_request *pending; /* finished, not completed yet */
	struct dev_request *taken;   /* from the ring, and left alone */
	unsigned int taken_count;
	struct dev_request *scribbled; /* completed, and written to ever after */
	uint64_t counts[DEV_OPCODES], forgotten, destroyed, notified;
	struct dev_evil *evil;
	uint32_t random;
};

/** dev_say() - a line to standard error. */
void dev_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** dev_driver_fault() - the driver did what it may not: say it and exit with EXIT_DRIVER. */
void dev_driver_fault(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/** dev_now_ns() - monotonic. */
int64_t dev_now_ns(void);
/** dev_random() - reproducible numbers. */
uint32_t dev_random(struct dev *d);

/** dev_queue_count() - virtqueues, used or not. */
static inline unsigned int dev_queue_count(const struct dev *d)
{
	return 1 + d->notify + d->request_queues;
}
/** dev_is_notification() - is that queue none of requests? Feature bit 0: NOTIFICATION. */
static inline bool dev_is_notification(const struct dev_queue *q)
{
	return q->index == DEV_NOTIFICATION && q->dev->features & 1;
}

/** dev_is_translated() - are addresses IOVAs? Feature bit 33: ACCESS_PLATFORM. */
static inline bool dev_is_translated(const struct dev *d)
{
	return d->features >> 33 & 1;
}

/* dev_messages.c */
/** dev_messages_listen() - Return: 0, or -errno. */
int dev_messages_listen(struct dev *d);
/** dev_messages_take() - one message of the front end. Return: false: the connection is over. */
bool dev_messages_take(struct dev *d);
/** dev_messages_number() - from "SET_MEM_TABLE", or a number in text. Return: 0 = there is none. */
unsigned int dev_messages_number(const char *name);

/* dev_queue.c */
/** dev_queue_start() - the vring is complete. */
void dev_queue_start(struct dev_queue *q);
/** dev_queue_map() - find its ring. Return: false: it isn't there, now. */
bool dev_queue_map(struct dev_queue *q);
/** dev_queue_stop() - Return: the index that GET_VRING_BASE tells. */
uint32_t dev_queue_stop(struct dev_queue *q);
/** dev_queue_pop() - the next chain. Return: false: there is none. */
bool dev_queue_pop(struct dev_queue *q, struct dev_chain *c);
/** dev_queue_run() - take what is there. Return: how many requests. */
unsigned int dev_queue_run(struct dev_queue *q);
/** dev_queue_arm() - ask for a kick. Return: true: there is something already. */
bool dev_queue_arm(struct dev_queue *q);
/** dev_queue_signal() - interrupt the driver, where it wants it. */
void dev_queue_signal(struct dev_queue *q);
/** dev_queue_complete_due() - Return: ns until the next is due, -1 = none waits. */
int64_t dev_queue_complete_due(struct dev *d);
/** dev_queue_complete() - write the reply into the chain and give it back. */
void dev_queue_complete(struct dev_request *r);
/** dev_queue_scribble() - write into what was given back already. */
void dev_queue_scribble(struct dev *d);
/** dev_reply_head() - the reply's header; out_len. @result as an operation returns it. */
void dev_reply_head(struct dev_request *r, int result);
/** dev_answer() - finish a request: @result as an operation returns it. */
void dev_answer(struct dev_request *r, int result);

/* dev_notify.c */
/** dev_notify_run() - say what waits to be said. Return: true: there is more to be done at once. */
bool dev_notify_run(struct dev *d);
/** dev_notify_obey() - an order of a test's. Return: 0 or -errno; @rest is cut into words. */
int dev_notify_obey(struct dev *d, const char *word, char *rest);

/* dev_framing.c */
/** dev_framing_check() - is the chain laid out as the strictest back ends want it? */
void dev_framing_check(const struct dev_request *r);

/* dev_fuse.c */
/** dev_fuse_handle() - run a request. Return: as an operation. */
int dev_fuse_handle(struct dev_request *r);
/** dev_fuse_name() - of an opcode. */
const char *dev_fuse_name(uint32_t opcode);
/** dev_fuse_opcode() - from its name; -1. */
int dev_fuse_opcode(const char *name);

/* dev_locks.c */
int dev_locks_get(struct dev_request *r);
int dev_locks_set(struct dev_request *r);
int dev_locks_flush(struct dev_request *r);
int dev_locks_set_wait(struct dev_request *r);
/** dev_locks_interrupt() - end the lock request @unique with EINTR, where it waits. Return: it did.
 */
bool dev_locks_interrupt(struct dev *d, uint64_t unique);
unsigned int dev_locks_waiting(void);

/* What is served. */
extern const struct dev_fs dev_null_fs, dev_tree_fs, dev_dir_fs;
int dev_tree_init(struct dev *d);
int dev_dir_init(struct dev *d, const char *path);

/* dev_hostile.c */
/** dev_hostile_do() - the order @word. Return: 0: done; -EINVAL: there is no such order; others: it
 * failed. */
int dev_hostile_do(struct dev *d, const char *word);

/* dev_control.c */
int dev_control_listen(struct dev *d);
/** dev_control_accept(), dev_control_take() - a client's line. */
void dev_control_accept(struct dev *d);
void dev_control_take(struct dev *d);

/** References to nodes that the other side has now: LOOKUP and the like, less FORGET. */
extern int64_t dev_references;

#endif

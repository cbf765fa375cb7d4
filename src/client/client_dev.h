/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A device, its virtqueues and who uses them. Private to src/client
 *
 * Who may touch what. A virtqueue (struct viofs_vq: ring, slots, what was completed for others) is
 * used between viofs_vq_enter() and viofs_vq_leave(). While one handle alone has it, entering is a
 * store and a load: no lock. When a second handle comes, viofs_vq_share() sets `shared`, makes
 * every running thread pass a full barrier (membarrier(2)), and waits until the first is out; from
 * then on all take the mutex. Hiprio is shared from the start.
 *
 * A request has a slot from submit until somebody finds it on the used ring, whoever that is: his
 * own goes to his array, that of others to theirs, and their descriptor is signalled if they sleep.
 * So nobody can keep slots by not polling: a handle that finds none only has to wait for the
 * device. What a handle has in flight or not taken yet is bounded by the depth, as its array is.
 *
 * A handle that found no slot is `hungry`. It is told when slots have come free since then, by
 * viofs_queue_arm() or, if it sleeps, by its descriptor.
 *
 * Whoever finds that the device has failed resets it (dev->state FAILING, then FAILED). Requests in
 * flight end with an error only when it is FAILED, since the device may write to their memory until
 * the reset.
 */
#ifndef VIOFS_CLIENT_CLIENT_DEV_H
#define VIOFS_CLIENT_CLIENT_DEV_H

#include "base/page.h"
#include "fs/chain.h"
#include "fs/fs.h"
#include "fs/doorbells.h"
#include "fs/rekick.h"
#include "fuse/opcodes.h"
#include "attach/opened.h"

#include <viofs/request.h>

#include <pthread.h>
#include <stdbool.h>

/* A slot's small parts: indirect table, header and short arguments in one, reply header and structs
 * in the other. 512 bytes apart, so that neither crosses a page. */
#define VIOFS_VQ_IN 512U
#define VIOFS_VQ_TABLE 256U /* bytes of the table, 16 descriptors */
#define VIOFS_VQ_ARGS (VIOFS_VQ_IN - VIOFS_VQ_TABLE - 40U)
#define VIOFS_VQ_OUT 512U
/* And for long ones: a table of a page, and the longest message. */
#define VIOFS_VQ_LONG_TABLE VIOFS_PAGE_LEAST
#define VIOFS_VQ_LONG (3 * VIOFS_PAGE_LEAST)
#define VIOFS_PIECES_MAX (VIOFS_VQ_LONG_TABLE / 16U)

#define VIOFS_REGIONS_MAX 64U

/* Bytes of each user's reserve of DMA memory: a portion of a directory, the largest value of an
 * attribute. */
#define VIOFS_RESERVE (128U << 10)

/** enum viofs_dev_state - see above; only ever goes up */
enum viofs_dev_state {
	VIOFS_DEV_WORKS,
	VIOFS_DEV_FAILING,
	VIOFS_DEV_FAILED,
	VIOFS_DEV_ELSEWHERE, /* this process is a child of the one that has it; see child.c */
};

/** struct viofs_vq_slot - one request; private memory */
struct viofs_vq_slot {
	struct viofs_queue *owner; /* NULL: free */
	uint16_t next;             /* free list */
	uint16_t flags;            /* of enum viofs_request_flag */
	uint16_t reply_size;       /* bytes of the caller's reply */
	bool queued;               /* the device has it */
	bool waits;                /* one of vq->waits */
	uint32_t generation;
	int64_t since; /* ns, perhaps coarse; with a time-out, and where it waits */
	void *reply;
	struct viofs_fuse_shape shape;
	struct viofs_completion done;
	struct viofs_place table, message, long_table, long_message, out; /* where its parts lie */
};

/** struct viofs_vq - a virtqueue as handles share it */
struct viofs_vq {
	struct viofs_dev *dev;
	unsigned int index; /* of the virtqueue */
	int shared, busy;
	pthread_mutex_t lock;
	struct viofs_queue
		*users; /* linked by vq_next; hiprio has none. Under dev->lock and entered. */
	unsigned int user_count;
	unsigned int armed; /* handles that sleep, or are about to */
	struct viofs_vq_slot *slots;
	uint16_t free, free_count, depth;
	uint16_t waits;     /* slots of requests that may wait: half of them at most */
	uint32_t given;     /* slots that came free so far */
	int64_t full_since; /* hiprio, with a time-out: ns, coarse, no slot has come free since */
	uint64_t requests, replies, faults;
};

/* Memory of the caller's that the device reaches. */
struct viofs_region {
	uint8_t *memory;
	size_t size;
	uint64_t iova;
};

/** struct viofs_pool - pages of viofs_dma_alloc() */
struct viofs_pool {
	uint8_t *base;
	size_t page, count, free, next;
	uint32_t *run; /* pages of the allocation that begins here; 0: none does */
	uint8_t *taken;
	pthread_mutex_t lock;
};

struct viofs_dev {
	struct viofs_dev_options options;
	struct viofs_source source;
	struct viofs_opened at;
	struct viofs_pool pool;
	uint8_t *reserves; /* of lanes, one for each request queue; see scratch.c */
	struct viofs_vq vqs[VIOFS_FS_QUEUES_MAX];
	struct viofs_doorbells doorbells;
	bool indirect;
	bool membarrier;         /* the kernel has it */
	unsigned int interrupts; /* vectors in use */
	int used_len_zero;       /* the quirk, learnt at INIT */
	int had_session;         /* one for a device */
	int answered;            /* something came back: kicks get through */
	uint32_t max_data;
	struct viofs_region regions[VIOFS_REGIONS_MAX];
	unsigned int region_count;
	uint64_t sleeps;
	pthread_mutex_t lock; /* handles, failing */
	int *here;            /* 0 in a child of fork(2) */
	int state;            /* enum viofs_dev_state, but for ELSEWHERE */
	bool runs_on;         /* it has failed and can't be stopped; under lock */
	char reason[256];     /* "the device ..." */
	char fault[264];      /* the same as a sentence, for completions */
};

/** struct viofs_done - completions that others found: a ring that holds all there can be */
struct viofs_done {
	struct viofs_completion *ring;
	unsigned int first, count, room;
};

struct viofs_queue {
	struct viofs_dev *dev;
	struct viofs_vq *vq;
	struct viofs_queue *vq_next;   /* of the same virtqueue */
	struct viofs_done done;        /* of vq, under its lock */
	struct viofs_done urgent_done; /* of hiprio, under its lock */
	uint32_t hungry_at;            /* vq->given when a submit found no slot */
	bool hungry;                   /* ... and it was not told of any since then */
	unsigned int in_flight;        /* not silent */
	unsigned int urgent;           /* of them, on hiprio */
	bool armed;        /* sleeps, or is about to: set before its virtqueues are looked at */
	bool armed_urgent; /* for hiprio too */
	unsigned int idle; /* polls that found nothing */
	/* See health.c; ns */
	int64_t looked;             /* at the device */
	struct viofs_rekick rekick; /* when it is notified again */
	int64_t timer;              /* when the timer wakes, or has woken */
	int64_t wake_by;            /* when its user wants to be woken; 0: never */
	bool stirred;               /* something was sent, or has come */
	int wake_fd, epoll_fd, timer_fd;
};

#define VIOFS_VQ_END UINT16_MAX

static inline bool viofs_vq_enter(struct viofs_vq *vq)
{
	/* Relaxed is enough: the membarrier in viofs_vq_share() orders it before the load. */
	__atomic_store_n(&vq->busy, 1, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&vq->shared, __ATOMIC_ACQUIRE))
		return false;
	__atomic_store_n(&vq->busy, 0, __ATOMIC_RELEASE);
	pthread_mutex_lock(&vq->lock);
	return true;
}

static inline void viofs_vq_leave(struct viofs_vq *vq, bool locked)
{
	if (locked)
		pthread_mutex_unlock(&vq->lock);
	else
		__atomic_store_n(&vq->busy, 0, __ATOMIC_RELEASE);
}

/* A thread that hands something over reads this under the virtqueue's lock; the sleeper takes that
 * lock after setting it. */
static inline void viofs_queue_set_armed(struct viofs_queue *q, bool armed)
{
	__atomic_store_n(&q->armed, armed, __ATOMIC_RELAXED);
}

static inline bool viofs_queue_is_armed(const struct viofs_queue *q)
{
	return __atomic_load_n(&q->armed, __ATOMIC_RELAXED);
}

/* The device may rightly leave it unanswered for hours; only such are interrupted. */
static inline bool viofs_request_may_wait(uint32_t opcode)
{
	return opcode == FUSE_SETLKW;
}

static inline bool viofs_dev_is_elsewhere(const struct viofs_dev *dev)
{
	return !*dev->here;
}

static inline int viofs_dev_state(const struct viofs_dev *dev)
{
	return viofs_dev_is_elsewhere(dev) ? VIOFS_DEV_ELSEWHERE
					   : __atomic_load_n(&dev->state, __ATOMIC_ACQUIRE);
}

static inline struct viofs_ring *viofs_vq_ring(struct viofs_vq *vq)
{
	return &vq->dev->at.fs->queues[vq->index].ring;
}

#endif

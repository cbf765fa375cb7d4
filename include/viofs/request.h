/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FUSE requests straight to the device: submitted in batches, completed by polling or waiting. */
#ifndef VIOFS_REQUEST_H
#define VIOFS_REQUEST_H

#include <viofs/fsdev.h>

#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct viofs_queue - one user's way to the device; opaque
 * A handle gets the request queue that has the fewest. Up to as many handles as there are request
 * queues each have one to themselves, and take no lock; more of them share, under a short lock. A
 * session has a handle on each queue for its blocking calls, so those that a program opens beside
 * it share. A handle belongs to one thread at a time. Different handles may be used by different
 * threads.
 */
struct viofs_queue;

/** enum viofs_request_flag - for viofs_request.flags */
enum viofs_request_flag {
	/** Put it on the hiprio queue. FORGET, BATCH_FORGET and INTERRUPT go there without being
	   told. */
	VIOFS_REQUEST_HIPRIO = 1 << 0,
	/** A reply that is shorter than reply_size is no fault: of opcodes that you try out. */
	VIOFS_REQUEST_SHORT = 1 << 1,
	/** No completion is to be reported: of FORGET and the like. */
	VIOFS_REQUEST_SILENT = 1 << 2
};

/* Bytes of viofs_request.args at most: a SYMLINK with the longest name and target fits. */
#define VIOFS_REQUEST_ARGS_MAX 4480U
/* Bytes of viofs_request.reply at most. */
#define VIOFS_REQUEST_REPLY_MAX 304U

/**
 * struct viofs_request - one FUSE request and where its reply goes
 *
 * The device is shown: fuse_in_header | args | data || fuse_out_header | reply | reply_data. The
 * header is made by the library, from the fields here. @args are copied when the request is
 * submitted. @reply is a checked copy, in plain memory: it is written before the completion is
 * taken, perhaps by another thread that shares the queue, so it is to be left alone until then.
 * @data and @reply_data are DMA memory (viofs_dma_alloc(), viofs_dma_register()) that the device
 * itself reads and writes; iovec arrays are needed during the submit only. All numbers are in the
 * CPU's byte order; the structs are those of <linux/fuse.h>.
 */
struct viofs_request {
	uint32_t opcode; /* FUSE_GETATTR, ... */
	uint32_t flags;  /* of enum viofs_request_flag */
	uint64_t nodeid;
	uint32_t uid, gid, pid;                /* whom the device does it for */
	uint32_t args_size;                    /* bytes, up to VIOFS_REQUEST_ARGS_MAX */
	const void *args;                      /* struct and names, each name with its NUL */
	const struct iovec *data;              /* what follows @args: WRITE's data */
	const struct iovec *reply_data;        /* READ's, READDIR's: a reply may fill less of it */
	uint32_t data_count, reply_data_count; /* iovecs */
	uint32_t reply_size;                   /* bytes of @reply that a good answer has, up to
						  VIOFS_REQUEST_REPLY_MAX */
	void *reply;                           /* the reply's struct */
	void *user;                            /* comes back with the completion */
	uint64_t unique;      /* out: what the request is called, for viofs_queue_interrupt() */
	uint64_t reserved[3]; /* 0 */
};

/** struct viofs_completion - how a request ended */
struct viofs_completion {
	void *user;
	uint64_t unique;
	int32_t error; /* 0, or a negative errno: the device's, or -EIO for a reply that was refused
			* and where the device failed */
	uint32_t size; /* bytes of the answer after fuse_out_header, those of @reply included */
	const char *fault; /* NULL, or what the device did wrong; lives as long as the device */
	uint64_t reserved[2];
};

/**
 * viofs_queue_open() - open a handle for requests
 * Context: any thread. Return: 0 and *@out; -ENOMEM, -EMFILE; -ENODEV: the device failed; with
 * @err.
 */
int viofs_queue_open(struct viofs_dev *dev, struct viofs_queue **out, struct viofs_err *err);

/**
 * viofs_queue_close() - close a handle; NULL is fine
 * Nothing of it may be in flight: take the completions first. What is left (after a device failed,
 * say) is dropped, and its DMA memory stays the device's until viofs_dev_close().
 */
void viofs_queue_close(struct viofs_queue *queue);

/**
 * viofs_queue_submit() - send @count requests, with one notification of the device for all
 * No allocation, and no system call but for the notification, which is left out while the device
 * polls. Where queue or slots are full the rest is not sent: take completions, or wait
 * (viofs_queue_wait(), viofs_queue_arm()), then send it again. A handle has
 * viofs_dev_options.depth requests in flight or not taken yet at most; others may have the slots.
 * FUSE_SETLKW, which may wait for hours, gets half of a queue's slots at most.
 *
 * Context: the handle's thread.
 * Return: how many were sent, from the first on, 0..@count; or, where the first can't be sent:
 * -EINVAL: @args or @reply too long, more data than viofs_dev_info.max_data, room for an answer to
 * FORGET, flags that aren't known, or something in reserved fields; -EFAULT: @data or @reply_data
 * isn't DMA memory; -EMSGSIZE: in too many pieces; -ENODEV: the device failed.
 */
int viofs_queue_submit(struct viofs_queue *queue, struct viofs_request *requests,
		       unsigned int count);

/**
 * viofs_queue_poll() - take completions that are there
 * @completions: room for @max.
 * Context: the handle's thread; no system call, but for a look at the device's health while nothing
 * comes: every 20 ms at most, and after viofs_queue_arm(). Return: how many, 0..@max. Where the
 * device failed, what was in flight comes with an error; after that -ENODEV.
 */
int viofs_queue_poll(struct viofs_queue *queue, struct viofs_completion *completions,
		     unsigned int max);

/**
 * viofs_queue_wait() - take completions, and wait for the first @min of them
 * Polls for viofs_dev_options.spin_us, then sleeps. Notifies the device again where an answer takes
 * long.
 * With nothing in flight it returns at once; but where the last submit found no room, it waits
 * until there is some, and returns 0. @timeout_ns: give up after so long; negative = never. A
 * device that fails ends it at once. Return: how many, fewer than @min after the time; -ENODEV as
 * viofs_queue_poll().
 */
int viofs_queue_wait(struct viofs_queue *queue, struct viofs_completion *completions,
		     unsigned int min, unsigned int max, int64_t timeout_ns);

/**
 * viofs_queue_fd() - a descriptor for poll(2), readable when there may be completions, or room for
 * what viofs_queue_submit() could not send
 * Use it so: viofs_queue_arm(); if that says 0, sleep on the descriptor; then viofs_queue_poll(),
 * and so on. It becomes readable, too, when the device goes, and when it is time to look whether a
 * request is late or a notification got lost: the poll that follows does that. It is the handle's;
 * do nothing to it but poll.
 * Return: the descriptor. With no interrupts (viofs_dev_info.interrupts 0) it never becomes
 * readable.
 */
int viofs_queue_fd(struct viofs_queue *queue);

/**
 * viofs_queue_arm() - before sleeping on the descriptor: ask for it to become readable
 * Return: 0; 1: completions are there already, or room for what a submit could not send, which is
 * said once: don't sleep, poll.
 */
int viofs_queue_arm(struct viofs_queue *queue);

/**
 * viofs_queue_next_timeout() - when to poll though nothing has come
 * A request may be late (viofs_dev_options.timeout_ms), or a notification of the device have got
 * lost. The descriptor becomes readable then, too; this is for loops with timers of their own, and
 * for devices without interrupts. Context: the handle's thread. Return: ns, 0 or more; -1: never,
 * nothing is in flight.
 */
int64_t viofs_queue_next_timeout(struct viofs_queue *queue);

/** viofs_queue_in_flight() - requests whose completions were not taken yet, silent ones not
 * counted. */
unsigned int viofs_queue_in_flight(const struct viofs_queue *queue);

/**
 * viofs_queue_interrupt() - ask the device to end a wait early
 * Only for a request of the handle's that may rightly wait, FUSE_SETLKW: the kernel's driver
 * interrupts nothing, and there are back ends that an INTERRUPT for anything else kills: QEMU's
 * virtiofsd by one for a request that it has answered already, so let it have a lock for 50 ms
 * first, as the library does. Who wants to see that sends a request with opcode FUSE_INTERRUPT.
 * @unique: of the request, as
 * viofs_queue_submit() set it. It goes by hiprio, and may come to nothing: the request's own
 * completion says how it ended (-EINTR). Return: 0; -EAGAIN: hiprio is full, try again; -ENOENT: it
 * isn't in flight; -EOPNOTSUPP: it is no lock; -ENODEV.
 */
int viofs_queue_interrupt(struct viofs_queue *queue, uint64_t unique);

#ifdef __cplusplus
}
#endif

#endif

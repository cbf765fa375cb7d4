/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outlives a process of ours: all that a session is, beside its descriptors.
 *
 * One memfd, the arena's private one, begins with a header and a table of contents; another process
 * finds by them all that is in there, and in the memfd that the device touches (adopt.c). Widths
 * are fixed, and there are no addresses: indexes, and codes in place of names. What follows from
 * the rest isn't state: free lists, lists of those that wait, and counts of them are made anew.
 *
 *   header | arena: sections, address of each page for the device | rings' shadows, one per
 * virtqueue | session | lanes | counters | slots | whose data is where | hiprio: INTERRUPTs |
 * entries of the io_uring channel, for each lane | sparse: parked requests, locks, letters, plain
 * memory of each lane, FORGETs that wait, latencies of each lane
 *
 * tests/unit/state_layout.txt describes each of these structs. Whoever changes one of them gives
 * VIOFS_STATE_VERSION another number: a process goes on with its own version only.
 */
#ifndef VIOFS_RELAY_STATE_H
#define VIOFS_RELAY_STATE_H

#include "base/histogram.h"
#include "base/uapi.h"
#include "fs/fs.h"
#include "fuse/opcodes.h"
#include "relay/config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VIOFS_SLOT_NONE UINT16_MAX
#define VIOFS_BUFFER_NONE UINT16_MAX
#define VIOFS_SLOT_NO_ENTRY UINT16_MAX

/** enum viofs_slot_state - what a slot's memory is for at the moment, and who may touch it */
enum viofs_slot_state {
	VIOFS_SLOT_FREE,     /* nobody */
	VIOFS_SLOT_LANDING,  /* the kernel writes the next request into it */
	VIOFS_SLOT_WAITING,  /* holds a request that lacks a buffer or room on the ring */
	VIOFS_SLOT_QUEUED,   /* the device has it */
	VIOFS_SLOT_REPLYING, /* the reply is being given to the kernel */
	VIOFS_SLOT_STATES,
};

/** struct viofs_slot - what is known of one slot */
struct viofs_slot {
	uint8_t state;      /* enum viofs_slot_state */
	bool apart;         /* data lies at the buffer's start, all of it */
	bool spilled;       /* header and arguments were gathered at the buffer's start */
	uint8_t interrupts; /* INTERRUPTs of it that were sent; of an INTERRUPT: how many were sent
			       before it */
	uint16_t index, next; /* free list or waiting list */
	uint16_t buffer;      /* VIOFS_BUFFER_NONE or its data area */
	uint16_t queue;       /* virtqueue it is on */
	uint16_t entry; /* VIOFS_SLOT_NO_ENTRY or the entry of the io_uring channel that owns it */
	uint16_t spare;
	uint32_t generation; /* counts uses: part of the unique */
	uint32_t len;        /* bytes of the message */
	struct viofs_fuse_shape shape;
	uint32_t used_len; /* REPLYING: what the device says it wrote */
	uint64_t kernel_unique, device_unique;
	uint64_t nodeid; /* the file that it is about, where the kernel sent it */
	int64_t since;   /* ns: when it was read from the kernel */
	uint64_t read;   /* ticks: the same */
	uint64_t sent;   /* ticks: when it was put on the ring */
	uint64_t used;   /* ticks: when the answer was seen there */
};

/** struct viofs_contents - what data a buffer may still contain; no device can write this
 */
struct viofs_contents {
	_Atomic uint64_t nodeid; /* the only file whose READ or WRITE data it contains; 0: may be
				    any file's */
	uint32_t dirty;          /* bytes from its start that aren't known to be zero */
	uint32_t spare;
};

#define VIOFS_PARKED_NONE UINT32_MAX

/** struct viofs_parked - one block of a parked message (parking.h) */
struct viofs_parked {
	_Atomic uint64_t seq; /* first block of a message: when it came; else 0 */
	int64_t since;        /* ns, when it was read */
	uint64_t read;        /* ticks, the same */
	uint32_t len;         /* of the message */
	uint32_t next;        /* block of the message, or of those that are free */
	uint32_t follow;      /* the message that came next: made anew */
	uint32_t spare;
};

/** struct viofs_interrupt - one that waits, of the lock in a slot */
struct viofs_interrupt {
	uint64_t kernel_unique, device_unique; /* its own, of which 0: none; the lock's */
	int64_t due;                           /* ns, not to be sent before */
	uint8_t before;                        /* so many were sent of that lock */
	uint8_t spare[7];
};

/**
 * struct viofs_sending - FORGETs on their way to the device, which must get each of them once
 * Written before the message is on the ring; the slot with this unique shows whether it is there.
 */
struct viofs_sending {
	uint64_t unique; /* of the slot that has the message; 0: none */
	uint32_t after; /* what `done` is when the device has it, or viofs_hiprio_state.forgotten */
	uint32_t done;  /* that were sent or kept before, of what is being taken up */
};

/** struct viofs_hiprio_state - of all lanes */
struct viofs_hiprio_state {
	struct viofs_sending sending; /* of those that waited; done: not used */
	uint64_t dropped;             /* FORGETs that could not be kept */
	uint32_t forgotten;           /* nodeids that wait, in the table of them */
	uint32_t spare;
};

/** struct viofs_lane_state - what a lane has of the session, and what it is reading */
struct viofs_lane_state {
	/* The kernel's header of the request that is being taken up: len 0: none is. */
	_Alignas(64) struct fuse_in_header head;
	struct viofs_sending forgets;     /* of that request */
	uint16_t landing, landing_buffer; /* where the next one lands */
	uint8_t in_slot;                  /* this one has landed there, not in plain memory */
	uint8_t spare[3];
	uint16_t first_slot, slot_count, first_buffer, buffer_count;
	uint32_t queues;  /* bits: its request queues */
	uint32_t entries; /* of the io_uring channel */
};

/* Opcodes are less. */
#define VIOFS_LATENCY_OPS 64U

/** struct viofs_times - in ticks of the CPU's clock (base/ticks.h) */
struct viofs_times {
	struct viofs_histogram steps;
	uint64_t sum;
};

/** struct viofs_latency - of requests of one opcode: how long they took (tap.c) */
struct viofs_latency {
	struct viofs_times device; /* in the device */
	struct viofs_times total;  /* from read to reply */
};

/** struct viofs_lane_latency - of all requests of one lane; sparse */
struct viofs_lane_latency {
	struct viofs_latency op[VIOFS_LATENCY_OPS];
};

#define VIOFS_SUSPECTS_MAX 128U

/** struct viofs_session_state - what was agreed, with whom; relay/stats.h has INIT */
struct viofs_session_state {
	struct viofs_relay_config config;
	uint32_t lanes;       /* of config.lanes */
	uint32_t max_data;    /* config.max_data, or what one chain can carry */
	uint32_t queue_count; /* hiprio and request queues */
	uint32_t spare;
	uint64_t features; /* of virtio, as negotiated */
	uint32_t num_request_queues, vectors, notify_buf_size;
	uint16_t queue_size[VIOFS_FS_VIRTQUEUES_MAX];
	char tag[VIOFS_TAG_TEXT];
	uint8_t used_len_zero; /* the device says so although the reply is good */
	uint8_t init_done;     /* the kernel was answered INIT: stats->agreed is what */
	/* Of requests that the last worker that crashed was working on, the kernel's; or 0 */
	uint64_t suspects[VIOFS_SUSPECTS_MAX];
};

#define VIOFS_STATE_MAGIC 0x7473736676736f69ULL /* "iosvfsst" */
#define VIOFS_STATE_VERSION 5U
#define VIOFS_STATE_TABLES_MAX 180U

/** enum viofs_state_kind - what a table has; index: of which virtqueue or lane, where each has one
 */
enum viofs_state_kind {
	VIOFS_STATE_ARENA = 1,
	VIOFS_STATE_SESSION,
	VIOFS_STATE_STATS,
	VIOFS_STATE_LANE_STATS,
	VIOFS_STATE_LANES,
	VIOFS_STATE_SLOTS,
	VIOFS_STATE_IN_BUFFER,
	VIOFS_STATE_IN_SLOT,
	VIOFS_STATE_REQUESTS,
	VIOFS_STATE_REPLIES,
	VIOFS_STATE_DATA,
	VIOFS_STATE_BUFFERS,
	VIOFS_STATE_HIPRIO,
	VIOFS_STATE_INTERRUPTS,
	VIOFS_STATE_FORGOTTEN,
	VIOFS_STATE_PLAIN,
	VIOFS_STATE_PARKED,
	VIOFS_STATE_PARKED_DATA,
	VIOFS_STATE_LOCKS,
	VIOFS_STATE_LOCKS_DATA,
	VIOFS_STATE_LETTERS,
	VIOFS_STATE_LETTERS_DATA,
	VIOFS_STATE_ENTRIES, /* by lane */
	VIOFS_STATE_ARRIVED, /* by lane */
	VIOFS_STATE_SHADOW,  /* by virtqueue, likewise the next three */
	VIOFS_STATE_DESC,
	VIOFS_STATE_DRIVER,
	VIOFS_STATE_DEVICE,
	VIOFS_STATE_NOTIFY, /* buffers for notifications */
	VIOFS_STATE_LATENCY,
};

/** struct viofs_state_table - an entry of the table of contents */
struct viofs_state_table {
	uint32_t kind, index;
	uint64_t offset, len; /* bytes */
	uint32_t count;       /* of its elements */
	uint32_t is_private;  /* in this memfd, not in the device's */
};

/** struct viofs_state_header - at the beginning of the memfd */
struct viofs_state_header {
	uint64_t magic;
	uint32_t version;
	uint32_t features; /* none so far: a process that finds one it doesn't know doesn't use the
			      state */
	uint64_t size;     /* bytes of this memfd */
	uint64_t device_size; /* and of the other one */
	uint32_t tables;
	uint32_t spare;
	struct viofs_state_table table[VIOFS_STATE_TABLES_MAX];
};

_Static_assert(sizeof(struct viofs_state_header) <= VIOFS_ARENA_HEAD, "the header has room");
_Static_assert(sizeof(struct viofs_state_table) == 32, "as it is described");
_Static_assert(sizeof(struct viofs_slot) == 112, "as it is described");
_Static_assert(sizeof(struct viofs_contents) == 16, "as it is described");
_Static_assert(sizeof(struct viofs_parked) == 40, "as it is described");
_Static_assert(sizeof(struct viofs_interrupt) == 32, "as it is described");
_Static_assert(sizeof(struct viofs_lane_state) == 128, "as it is described");
_Static_assert(sizeof(struct viofs_ring_shadow) == 32, "as it is described");
_Static_assert(sizeof(struct viofs_ring_state) == 12, "as it is described");

#endif

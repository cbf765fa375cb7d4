/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outlives a process of ours: all that a session is, beside its descriptors.
 *
 * These structs lie in memory that processes share, and that another one goes on with. So widths
 * are fixed, and there are no addresses: indexes, and codes in place of names. What follows from
 * the rest isn't here: free lists are made anew, names are looked up.
 */
#ifndef VIOFS_RELAY_STATE_H
#define VIOFS_RELAY_STATE_H

#include "fuse/opcodes.h"

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
	uint8_t state;        /* enum viofs_slot_state */
	bool apart;           /* data lies at the buffer's start, all of it */
	bool spilled;         /* header and arguments were gathered at the buffer's start */
	uint8_t interrupts;   /* INTERRUPTs of it that were sent; one's own: how many there were
				 before */
	uint16_t index, next; /* free list or waiting list */
	uint16_t buffer;      /* VIOFS_BUFFER_NONE or its data area */
	uint16_t queue;       /* virtqueue it is on */
	uint16_t entry; /* VIOFS_SLOT_NO_ENTRY or the entry of the io_uring channel that owns it */
	uint16_t spare;
	uint32_t generation; /* counts uses: part of the unique */
	uint32_t len;        /* bytes of the message */
	struct viofs_fuse_shape shape;
	uint64_t kernel_unique, device_unique;
	uint64_t nodeid; /* the file that it is about, where the kernel sent it */
	int64_t since;   /* ns: when it was read from the kernel */
};

/** struct viofs_contents - whose data may lie in a place still; where no device can say otherwise
 */
struct viofs_contents {
	_Atomic uint64_t nodeid; /* data of this file only, READ or WRITTEN; 0: anything */
	uint32_t dirty;          /* bytes from its start that aren't known to be zero */
	uint32_t spare;
};

#endif

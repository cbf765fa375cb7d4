/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records of what passes, in memory that the supervisor can hand out to be read.
 *
 * One memfd has a ring for each lane, one for hiprio and one for notifications. Who serves writes
 * records into its own (tap.c), over the oldest ones: it never looks at who reads, so that nobody
 * who reads can harm it. While nobody captures nothing is written and the memfd has no memory. It
 * is sealed: its size stays, so whoever reads it can't be harmed by whoever writes it.
 *
 * Ordering. Writer: `begin` says which bytes are about to be overwritten; the record; `head`, which
 * makes it visible. Reader: `head`; a copy of the bytes before it; then `begin`, which says whether
 * they were overwritten meanwhile. Both only grow. Each record has the number of those before it in
 * its ring, which tells how many were lost.
 *
 * The supervisor writes the ring's orders (on, snap, contents), and believes nothing that is in
 * there. A worker that goes on where another died goes on writing at `head`.
 */
#ifndef VIOFS_RELAY_CAPTURE_H
#define VIOFS_RELAY_CAPTURE_H

#include "base/barrier.h"
#include "relay/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Bytes of records in a ring (a power of two), and before them, its head. */
#define VIOFS_CAPTURE_BYTES ((size_t)4 << 20)
#define VIOFS_CAPTURE_HEAD ((size_t)64 << 10)
#define VIOFS_CAPTURE_RINGS_MAX (VIOFS_LANES_MAX + 2)
/* The most that is kept of one message. */
#define VIOFS_CAPTURE_SNAP_MAX (128U << 10)

/** enum viofs_capture_kind - what a record is about */
enum viofs_capture_kind {
	VIOFS_CAPTURE_REQUEST = 1,  /* was put on a virtqueue */
	VIOFS_CAPTURE_REPLY,        /* the device has answered, and the kernel has it */
	VIOFS_CAPTURE_ANSWER,       /* of our own, to the kernel */
	VIOFS_CAPTURE_KICK,         /* the device was notified */
	VIOFS_CAPTURE_INTERRUPT,    /* the device has notified us */
	VIOFS_CAPTURE_NOTIFICATION, /* of the device, unasked */
	VIOFS_CAPTURE_FAULT,        /* the device broke a rule */
	VIOFS_CAPTURE_KINDS,
};

/* The struct of SETXATTR is the longer one. */
#define VIOFS_CAPTURE_LONG_SETXATTR (1U << 0)

/** struct viofs_capture_record - @captured bytes of the message follow, and padding up to @size */
struct viofs_capture_record {
	uint32_t size; /* a multiple of 8 */
	uint16_t kind, queue;
	uint64_t number; /* of records before it in its ring */
	uint64_t time;   /* ns, CLOCK_REALTIME */
	uint64_t kernel_unique, device_unique, nodeid;
	uint32_t opcode;
	int32_t error; /* of a reply: -errno as the device said, or we did */
	uint32_t uid, gid, pid;
	uint16_t slot, flags;
	uint32_t len;      /* of the message; of an interrupt: how many */
	uint32_t captured; /* of it */
	uint32_t fixed;    /* of a reply: bytes of its struct */
	uint32_t spare;
	uint64_t waited; /* ticks: of a request: read, but not sent */
	uint64_t device; /* ticks: of a reply: in the device */
	uint64_t total;  /* ticks: of a reply: from read to reply */
};

/** struct viofs_capture_ring - its head */
struct viofs_capture_ring {
	/* The supervisor's. */
	_Alignas(64) uint32_t on;
	uint32_t snap;     /* bytes of a message */
	uint32_t contents; /* file contents too */
	/* Of whoever writes records. */
	_Alignas(64) uint64_t begin; /* bytes before this less VIOFS_CAPTURE_BYTES are void */
	uint64_t head;               /* bytes ever written */
	uint64_t count;              /* records ever written */
};

_Static_assert(sizeof(struct viofs_capture_record) == 112, "no padding");
_Static_assert(sizeof(struct viofs_capture_ring) <= VIOFS_CAPTURE_HEAD, "it has room");

/** struct viofs_capture - all rings, as the supervisor has them */
struct viofs_capture {
	int fd;
	size_t size;
	unsigned int count;
	uint8_t *base;
};

/** viofs_capture_off - the ring of who has none: never on. */
extern struct viofs_capture_ring viofs_capture_off;

/**
 * viofs_capture_new() - rings for @lanes, off; in the supervisor, before the worker is forked
 * Return: 0 or -errno.
 */
int viofs_capture_new(unsigned int lanes, struct viofs_capture **out);

/** viofs_capture_free() - NULL is fine. */
void viofs_capture_free(struct viofs_capture *c);

/** viofs_capture_hide() - from mlockall(), as viofs_arena_hide_sparse(). Return: 0 or -errno. */
int viofs_capture_hide(const struct viofs_capture *c, bool hide);

/**
 * viofs_capture_begin() - have records written from now on
 * @snap: bytes of each message. @contents: of files, too.
 * Return: 0; -errno: there is no memory for it.
 */
int viofs_capture_begin(struct viofs_capture *c, uint32_t snap, bool contents);

/** viofs_capture_end() - no more, and give the memory back. */
void viofs_capture_end(struct viofs_capture *c);

/** viofs_capture_open() - a descriptor to read it by. Return: it, or -errno. */
int viofs_capture_open(const struct viofs_capture *c);

/** viofs_capture_at() - ring @i of memory that is mapped at @base. */
static inline struct viofs_capture_ring *viofs_capture_at(uint8_t *base, unsigned int i)
{
	return (void *)(base + i * (VIOFS_CAPTURE_HEAD + VIOFS_CAPTURE_BYTES));
}

/** viofs_capture_is_on() - are records wanted? */
static inline bool viofs_capture_is_on(const struct viofs_capture_ring *ring)
{
	return __builtin_expect(VIOFS_READ_ONCE(ring->on), 0);
}

/**
 * viofs_capture_put() - a record into @ring
 * @record: size, number, time and captured are filled in. @parts: of the message, @count of them;
 * of their bytes @most are kept, and the ring's snap length. Context: who writes this ring.
 */
void viofs_capture_put(struct viofs_capture_ring *ring, struct viofs_capture_record *record,
		       const struct iovec *parts, unsigned int count, size_t most);

/**
 * viofs_capture_get() - copy what is new out of a ring
 * @from: bytes read before; out: and now. @out: @room bytes, VIOFS_CAPTURE_BYTES will always do.
 * Return: bytes, whole records as far as whoever writes says the truth; -EOVERFLOW: what came next
 * was overwritten; @from is where one begins now. Any process.
 */
ssize_t viofs_capture_get(const struct viofs_capture_ring *ring, uint64_t *from, uint8_t *out,
			  size_t room);

#endif

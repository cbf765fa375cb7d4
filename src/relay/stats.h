/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the relay counts, in memory that both processes map: the worker writes, others read.
 *
 * Each lane (session.h) counts for itself, so that no two lanes write to the same place. Counters
 * of the whole session name their writer below. viofs_observe_stats() puts all of it together.
 */
#ifndef VIOFS_RELAY_STATS_H
#define VIOFS_RELAY_STATS_H

#include "fs/fs.h"
#include "fuse/init.h"
#include "relay/config.h"

#include <stdint.h>

/* Quirks met (bits of viofs_relay_stats.quirks). */
#define VIOFS_QUIRK_USED_LEN_ZERO (1U << 0) /* used.len is 0 with a good reply */
#define VIOFS_QUIRK_NO_MAX_PAGES (1U << 1)  /* requests of 128 KiB at most */
#define VIOFS_QUIRK_INIT_FLAGS (1U << 2)    /* INIT flags set that were never offered */
#define VIOFS_QUIRK_OPEN_FLAGS (1U << 3)    /* open flags that can't be kept */
#define VIOFS_QUIRK_LOST_KICK (1U << 4)     /* answered INIT only after a second notification */
#define VIOFS_QUIRKS 5

/** enum viofs_stage - where a session stands */
enum viofs_stage {
	VIOFS_STAGE_STARTING, /* INIT not answered yet */
	VIOFS_STAGE_SERVING,
	VIOFS_STAGE_ENDING, /* unmounted; DESTROY under way */
	VIOFS_STAGE_ENDED,
	VIOFS_STAGE_FAILED, /* reason says why */
	VIOFS_STAGE_LOST,   /* the device is gone, reason says how; the mount answers EIO */
};

/** struct viofs_queue_stats - of one virtqueue; kicks and in-flight are with the queue itself */
struct viofs_queue_stats {
	_Alignas(64) uint64_t requests; /* made available to the device */
	uint64_t interrupts;            /* wake-ups by its eventfd */
};

/** struct viofs_lane_stats - of one lane; the names are those of viofs_relay_stats, which has the
 * sums */
struct viofs_lane_stats {
	_Alignas(64) uint64_t replies;
	uint64_t errors, faults, refused;
	uint64_t bytes_read, bytes_written;
	uint64_t sleeps, handovers;
	uint64_t turns; /* of its loop: it is alive */
	uint64_t parked_total;
	uint32_t parked, parked_max;
	uint32_t quirks;
	char last_fault[96];
};

/** struct viofs_relay_stats - a session in numbers */
struct viofs_relay_stats {
	enum viofs_stage stage;
	char reason[256];
	enum viofs_channel channel; /* that requests come over: URING or DEV */
	uint32_t lanes;             /* threads that serve, each a part of the queues */
	struct viofs_fuse_agreed agreed;
	struct viofs_queue_stats queues[VIOFS_FS_QUEUES_MAX];
	/* Sums of what the lanes have counted. */
	uint64_t replies;                   /* given to the kernel */
	uint64_t errors;                    /* of those, with an error that the device gave */
	uint64_t faults;                    /* replies of the device that broke the rules: EIO */
	uint64_t refused;                   /* requests answered here: opcodes not known */
	uint64_t bytes_read, bytes_written; /* data of READ and WRITE */
	uint64_t sleeps;                    /* times a worker went to sleep */
	uint64_t handovers;                 /* times a reply blocked and another thread took over */
	uint32_t quirks;                    /* VIOFS_QUIRK_* */
	char last_fault[96]; /* what the device last did wrong, and with which opcode */
	/* Those of hiprio, written with its lock; parked: what lanes have is added. */
	uint64_t forgets;            /* FORGET and BATCH_FORGET messages sent */
	uint64_t interrupted;        /* INTERRUPT messages sent */
	uint64_t parked_total;       /* requests that had to wait in plain memory */
	uint32_t parked, parked_max; /* now, and the most at one time (of each lane, added up) */
	/* Written by the thread of notify.c. */
	uint64_t notifications, notifications_refused; /* given to the kernel; wrong ones */
	char notification_fault[96];                   /* what was wrong with the last of those */
};

/** viofs_quirk_text() - the quirk of bit @bit in words, or NULL. */
const char *viofs_quirk_text(unsigned int bit);

/** viofs_stage_name() - "serving". */
const char *viofs_stage_name(enum viofs_stage stage);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes and policy of a relay. */
#ifndef VIOFS_RELAY_CONFIG_H
#define VIOFS_RELAY_CONFIG_H

#include "dma/arena.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** enum viofs_poll - how completions and requests are waited for */
enum viofs_poll {
	VIOFS_POLL_ADAPTIVE, /* spin while there is work and a little after, then sleep */
	VIOFS_POLL_BUSY,     /* never sleep */
	VIOFS_POLL_IRQ,      /* never spin */
};

/** enum viofs_channel - how requests come from the kernel */
enum viofs_channel {
	VIOFS_CHANNEL_AUTO,  /* what is there, and measures faster */
	VIOFS_CHANNEL_URING, /* FUSE over io_uring */
	VIOFS_CHANNEL_DEV,   /* read(2) and write(2) of /dev/fuse */
};

#define VIOFS_LANES_MAX 64U
#define VIOFS_RELAY_BUFFERS_MAX 2048U

/** struct viofs_relay_config - sizes and policy */
struct viofs_relay_config {
	enum viofs_poll poll;
	enum viofs_channel channel;
	enum viofs_loop_kind loop; /* AUTO: as URING; viofs_loop_choose() settles it */
	uint32_t queues,
		depth;     /* of the io_uring channel, by viofs_channel_choose(); 0: not used */
	uint32_t spin_us;  /* adaptive: how long to spin with nothing happening */
	uint32_t slots;    /* requests in flight, 16.. */
	uint32_t buffers;  /* data areas of max_data bytes, 4..VIOFS_RELAY_BUFFERS_MAX */
	uint32_t max_data; /* bytes of one WRITE or READ: 128 KiB..1 MiB, a multiple of the page
			      size */
	uint32_t init_timeout_ms; /* for the device's answer to INIT */
	uint32_t end_timeout_ms;  /* for requests in flight, then for DESTROY, at the end */
	bool serves_root;         /* of the whole system: viofs_devfuse_defy_stops() */
	bool notify_store;        /* STORE notifications may write into the page cache */
	uint32_t timeout_ms;      /* a request older than this fails the session, 0 = none does */
	uint32_t lanes;           /* 1..VIOFS_LANES_MAX; fewer where more are of no use */
	bool sync_dio;            /* direct reads end in the reader's own thread */
	bool pin_lanes;           /* each on one of the CPUs that the process may run on, in turn */
};

/*
 * Bytes of one READ, as the mount is to bound it. What a reader wants in one go comes in several at
 * a time then: the device fills one while the kernel copies another, and both stay in the CPU's
 * cache (docs/performance.md).
 */
#define VIOFS_RELAY_READ_MAX (256U << 10)

/** viofs_relay_config_default() - what a user gets with no options. */
void viofs_relay_config_default(struct viofs_relay_config *config);

/** viofs_relay_config_arena_sizes() - add what slots, buffers and statistics need of each section.
 */
void viofs_relay_config_arena_sizes(const struct viofs_relay_config *config,
				    size_t sizes[VIOFS_ARENA_SECTIONS]);

/** viofs_relay_config_memory() - bytes that @config takes in all, in hugepages, with what rings may
 * add.
 */
uint64_t viofs_relay_config_memory(const struct viofs_relay_config *config);

#endif

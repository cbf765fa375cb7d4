/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay: requests of the kernel's FUSE client to the device's queues, replies back. */
#ifndef VIOFS_RELAY_RELAY_H
#define VIOFS_RELAY_RELAY_H

#include "base/err.h"
#include "dma/arena.h"
#include "fs/device.h"
#include "relay/channel.h"
#include "relay/stats.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** enum viofs_poll - how completions and requests are waited for */
enum viofs_poll {
	VIOFS_POLL_ADAPTIVE, /* spin while there is work and a little after, then sleep */
	VIOFS_POLL_BUSY,     /* never sleep */
	VIOFS_POLL_IRQ,      /* never spin */
};

#define VIOFS_LANES_MAX 64U
#define VIOFS_RELAY_BUFFERS_MAX 2048U

/** struct viofs_relay_config - sizes and policy */
struct viofs_relay_config {
	enum viofs_poll poll;
	enum viofs_channel channel;
	uint32_t queues,
		depth;     /* of the io_uring channel, by viofs_channel_choose(); 0: not used */
	uint32_t spin_us;  /* adaptive: how long to spin with nothing happening */
	uint32_t slots;    /* requests in flight, 16.. */
	uint32_t buffers;  /* data areas of max_data bytes, 4..VIOFS_RELAY_BUFFERS_MAX */
	uint32_t max_data; /* bytes of one WRITE or READ: 128 KiB..1 MiB, a multiple of the page
			      size */
	uint32_t init_timeout_ms; /* for the device's answer to INIT */
	uint32_t end_timeout_ms;  /* for requests in flight, then for DESTROY, at the end */
	bool notify_store;        /* STORE notifications may write into the page cache */
	uint32_t timeout_ms;      /* a request older than this fails the session, 0 = none does */
	uint32_t lanes;           /* 1..VIOFS_LANES_MAX; fewer where more are of no use */
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

struct viofs_relay;

/** viofs_relay_arena_sizes() - add what slots, buffers and statistics need of each section. */
void viofs_relay_arena_sizes(const struct viofs_relay_config *config,
			     size_t sizes[VIOFS_ARENA_SECTIONS]);

/** viofs_relay_memory() - bytes that @config takes in all, in hugepages, with what rings may add.
 */
uint64_t viofs_relay_memory(const struct viofs_relay_config *config);

/**
 * viofs_relay_new() - lay out slots in the mapped arena
 * @fs: negotiated; its queues are used once viofs_relay_run() is called.
 * In the supervisor, before the worker is forked. Return: 0 or -errno.
 */
int viofs_relay_new(const struct viofs_relay_config *config, struct viofs_fs *fs,
		    struct viofs_arena *arena, struct viofs_relay **out, struct viofs_err *err);

/** viofs_relay_free() - NULL is fine. */
void viofs_relay_free(struct viofs_relay *r);

/** viofs_relay_stats_read() - as they are now; from memory shared by supervisor and worker. Any
 * process. */
void viofs_relay_stats_read(const struct viofs_relay *r, struct viofs_relay_stats *out);

/** viofs_relay_session() - where the session stands. Any process. */
enum viofs_session viofs_relay_session(const struct viofs_relay *r);

/** viofs_relay_oldest_ns() - age of the oldest request in flight, 0 = none. Any process. */
int64_t viofs_relay_oldest_ns(const struct viofs_relay *r);

/**
 * viofs_relay_unanswered_ns() - age of the oldest request in flight that must be answered some time
 * Not so SETLKW, which may rightly wait for ever, nor what nobody waits for (FORGET, INTERRUPT). 0
 * = none. Any process.
 */
int64_t viofs_relay_unanswered_ns(const struct viofs_relay *r);

/** viofs_relay_turns() - the turns that each lane's loop has had. Return: lanes. Any process. */
unsigned int viofs_relay_turns(const struct viofs_relay *r, uint64_t turns[VIOFS_LANES_MAX]);

/** viofs_relay_has_beat() - has each lane a turn each second, however little there is to do? Any
 * process. */
bool viofs_relay_has_beat(const struct viofs_relay *r);

/** viofs_relay_slots_used() - slots that hold a request now. Any process. */
unsigned int viofs_relay_slots_used(const struct viofs_relay *r);

/**
 * viofs_relay_prepare() - open what viofs_relay_run() needs, so that it opens nothing
 * For a worker that gives up its rights between the two; viofs_relay_run() does it itself
 * otherwise. Afterwards the relay makes threads, waits, reads and writes; its io_uring can do
 * nothing else. Return: 0 or -errno with @err.
 */
int viofs_relay_prepare(struct viofs_relay *r, int fuse_fd, struct viofs_err *err);

/**
 * viofs_relay_run() - the worker process's life: INIT, serve, DESTROY
 * @fuse_fd: /dev/fuse of the mount, O_NONBLOCK.
 * @ready: called once when INIT is done and the mount answers.
 * Return: 0 after an unmount; -errno where the session failed, with the reason in @err (and in the
 * statistics); the kernel's requests have then been answered with EIO as far as possible. Where the
 * device was lost (viofs_relay_is_lost()) the mount can be served on by viofs_relay_refuse();
 * nothing touches the device any more.
 */
int viofs_relay_run(struct viofs_relay *r, int fuse_fd, void (*ready)(void *), void *ready_arg,
		    struct viofs_err *err);

/** viofs_relay_is_lost() - did viofs_relay_run() end because the device is gone? */
bool viofs_relay_is_lost(const struct viofs_relay *r);

/**
 * viofs_relay_refuse() - answer every request with EIO until the mount is gone
 * After viofs_relay_run(), in the same process. Touches neither device nor rings: they may be
 * closed. Return: 0, or -errno of reading /dev/fuse.
 */
int viofs_relay_refuse(struct viofs_relay *r);

#endif

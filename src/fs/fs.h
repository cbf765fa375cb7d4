/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtio-fs device: its tag, its hiprio queue and its request queues (virtio 1.3 5.11). */
#ifndef VIOFS_FS_FS_H
#define VIOFS_FS_FS_H

#include "base/err.h"
#include "dma/arena.h"
#include "pci/tag.h"
#include "virtio/ring.h"
#include "virtio/virtio.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Queues as they are counted here: 0 = hiprio, 1.. = request queues. A notification queue is beside
 * them, also where it is virtqueue 1 to the device, and shifts the request queues (5.11.2).
 */
#define VIOFS_FS_HIPRIO 0
#define VIOFS_FS_REQUEST 1
#define VIOFS_FS_QUEUES_MAX 9U
#define VIOFS_FS_VIRTQUEUES_MAX (VIOFS_FS_QUEUES_MAX + 1)
/* The device's own feature bit (5.11.3): there is a notification queue. */
#define VIOFS_FS_F_NOTIFICATION (1ULL << 0)
/* Largest buffer that a device may want for a notification. */
#define VIOFS_FS_NOTIFY_BYTES_MAX (1U << 20)
/* Larger queues are reduced to this before use: more than a relay mostly has in flight. */
#define VIOFS_FS_QUEUE_SIZE_MAX 1024U

/* Optional features that viofs_fs_open() accepts when they are offered. */
#define VIOFS_FS_WANTED VIOFS_VIRTIO_F_RING_PACKED

/** struct viofs_fs_queue - one virtqueue of the device */
struct viofs_fs_queue {
	_Alignas(64) struct viofs_ring ring; /* perhaps each is served by a thread of its own */
	uint16_t index;                      /* the virtqueue's, as the device counts */
	int interrupt_fd; /* eventfd that its vector signals, shared where vectors are few */
};

/** struct viofs_fs - the device once negotiated; owns the virtio device and the eventfds */
struct viofs_fs {
	struct viofs_virtio *virtio;
	char tag[VIOFS_TAG_TEXT];
	uint32_t num_request_queues; /* as the device says */
	unsigned int queue_count;    /* used: hiprio + request queues */
	unsigned int vectors; /* MSI-X vectors in use, 0 = none: only polling sees completions */
	/** entries; viofs_fs_start() reduces one whose ring the memory has no contiguous run for */
	uint16_t queue_size[VIOFS_FS_VIRTQUEUES_MAX];
	/** one per virtqueue, as the device counts, from viofs_fs_start() on, else -1 */
	int eventfds[VIOFS_FS_VIRTQUEUES_MAX];
	struct viofs_fs_queue *queues; /* queue_count */
	struct viofs_fs_notification
		*notification;    /* its queue and buffers, NULL: not negotiated */
	uint32_t notify_buf_size; /* as the device says, 0: not negotiated */
};

/**
 * viofs_fs_open() - reset, negotiate, read tag and queue sizes; no queue is set up yet
 * @virtio: owned by the result on success.
 * Uses min(num_request_queues, queues the device has - 1, VIOFS_FS_QUEUES_MAX - 1) request queues.
 * Return: 0; -ETIMEDOUT: never leaves reset; -ENOTSUP: no VERSION_1; -EPROTO: refuses FEATURES_OK,
 * a tag or queue sizes that make no sense, config that never settles; each said in @err.
 */
int viofs_fs_open(struct viofs_virtio *virtio, struct viofs_fs **out, struct viofs_err *err);

/**
 * viofs_fs_open_with() - the same, with a choice of features
 * @wanted: RING_PACKED, NOTIFICATION, both or none; accepted when offered. No other feature can be
 * chosen. With NOTIFICATION somebody has to call viofs_fs_notification_take() (fs/notification.h).
 */
int viofs_fs_open_with(struct viofs_virtio *virtio, uint64_t wanted, struct viofs_fs **out,
		       struct viofs_err *err);

/** viofs_fs_arena_sizes() - add what the queues need of each section to @sizes. */
void viofs_fs_arena_sizes(const struct viofs_fs *fs, size_t sizes[VIOFS_ARENA_SECTIONS]);

/**
 * viofs_fs_start() - rings in the (mapped) arena, interrupts, queues enabled, DRIVER_OK
 * Return: 0 or -errno with @err. On failure the device is left reset.
 */
int viofs_fs_start(struct viofs_fs *fs, struct viofs_arena *arena, struct viofs_err *err);

/**
 * viofs_fs_stop() - halt the device: from here on it touches no memory
 * Return: 0; -errno: it may still (viofs_virtio_halt()), or -errno of switching interrupts off.
 */
int viofs_fs_stop(struct viofs_fs *fs, struct viofs_err *err);

/**
 * viofs_fs_stop_soon() - the same in about @timeout_ms, even if the device hangs
 * A function that doesn't reset is cut off from memory. A back end that doesn't answer is not asked
 * anything more; it keeps the memory until the socket is closed.
 */
int viofs_fs_stop_soon(struct viofs_fs *fs, int timeout_ms);

/**
 * viofs_fs_close() - halt and close the virtio device; NULL is fine. The arena stays.
 * Return: as viofs_virtio_halt().
 */
int viofs_fs_close(struct viofs_fs *fs);

/** viofs_fs_close_copy() - close this process's copies of the descriptors, free it, and leave the
 * device to the process that has it; NULL is fine. */
void viofs_fs_close_copy(struct viofs_fs *fs);

/** struct viofs_fs_parts - where one ring lies */
struct viofs_fs_parts {
	void *desc, *driver, *device;
	struct viofs_ring_shadow *shadow;
};

/** struct viofs_fs_adopted - what is known of a device that another process has started */
struct viofs_fs_adopted {
	char tag[VIOFS_TAG_TEXT];
	uint32_t num_request_queues, vectors, notify_buf_size;
	unsigned int queue_count; /* 2..VIOFS_FS_QUEUES_MAX */
	uint16_t queue_size[VIOFS_FS_VIRTQUEUES_MAX];
	int eventfds[VIOFS_FS_VIRTQUEUES_MAX];
	/* as large as the sizes say; the notification queue's is the last */
	struct viofs_fs_parts parts[VIOFS_FS_VIRTQUEUES_MAX];
	const struct viofs_arena *arena;
	uint8_t *notifications; /* memory of its buffers, where there is that queue */
};

/**
 * viofs_fs_adopt() - go on with a device that runs
 * @virtio, and the eventfds: owned by the result on success.
 * Return: 0; -EPROTO: a ring's shadow contradicts itself; -ENOMEM.
 */
int viofs_fs_adopt(struct viofs_virtio *virtio, const struct viofs_fs_adopted *from,
		   struct viofs_fs **out, struct viofs_err *err);

/** viofs_fs_let_go() - free it, and leave the device and the eventfds to whoever has them. */
void viofs_fs_let_go(struct viofs_fs *fs);

/** viofs_fs_ring_flags() - for viofs_ring_init(), by what was negotiated. */
unsigned int viofs_fs_ring_flags(const struct viofs_virtio *virtio);

/** viofs_fs_kick() - notify queue @q where the device wants it; counts. Return: did it want it? */
static inline bool viofs_fs_kick(struct viofs_fs *fs, unsigned int q)
{
	if (!viofs_ring_should_kick(&fs->queues[q].ring))
		return false;
	fs->queues[q].ring.shadow->kicks++;
	fs->virtio->ops->notify(fs->virtio, fs->queues[q].index);
	return true;
}

/** viofs_fs_kick_always() - notify whatever the device asked for: a kick may have been lost. */
void viofs_fs_kick_always(struct viofs_fs *fs, unsigned int q);

/** viofs_fs_virtqueue_count() - in use, as the device counts: a notification queue is one of them.
 */
unsigned int viofs_fs_virtqueue_count(const struct viofs_fs *fs);

/** viofs_fs_address_policy() - by whether ACCESS_PLATFORM was negotiated. */
enum viofs_address_policy viofs_fs_address_policy(const struct viofs_fs *fs);

#endif

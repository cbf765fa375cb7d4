/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The notification queue of a virtio-fs device (virtio 1.3 5.11.6): what the device says unasked.
 */
#ifndef VIOFS_FS_NOTIFICATION_H
#define VIOFS_FS_NOTIFICATION_H

#include "fs/fs.h"

/*
 * Buffers for the device to write notifications to: at most 1 MiB in all, but never fewer than two.
 */
#define VIOFS_FS_NOTIFY_BUFFERS_MAX 16U

/** struct viofs_fs_notification - the queue and its buffers */
struct viofs_fs_notification {
	struct viofs_fs_queue queue;
	uint32_t size;               /* bytes of a buffer */
	uint16_t buffers;            /* buffers that the device has */
	uint8_t *memory;             /* the buffers, in the section that the device writes */
	struct viofs_ring_used used; /* that is being looked at */
};

/** viofs_fs_notification_size_ok() - is notify_buf_size one that we can serve? */
bool viofs_fs_notification_size_ok(uint32_t size);

/* For fs.c: room in the arena; memory (NULL: there is none); buffers made available once the
 * device runs. */
void viofs_fs_notification_sizes(const struct viofs_fs *fs, size_t sizes[VIOFS_ARENA_SECTIONS]);
struct viofs_fs_notification *viofs_fs_notification_new(const struct viofs_fs *fs,
							struct viofs_arena *arena);
/** viofs_fs_notification_bytes() - of all buffers. */
size_t viofs_fs_notification_bytes(const struct viofs_fs *fs);
void viofs_fs_notification_free(struct viofs_fs_notification *n);
int viofs_fs_notification_post(struct viofs_fs *fs, const struct viofs_arena *arena,
			       struct viofs_err *err);

/**
 * viofs_fs_notification_adopt() - the queue of a device that another process has started
 * @memory: of viofs_fs_notification_bytes(). Buffers that the device lacks are posted; it is
 * told by viofs_fs_notification_kick_always().
 * Return: 0; -EPROTO: what is on the ring isn't what was posted; -ENOMEM.
 */
int viofs_fs_notification_adopt(struct viofs_fs *fs, const struct viofs_arena *arena,
				const struct viofs_fs_queue *queue, uint8_t *memory);

/** viofs_fs_notification_kick_always() - as viofs_fs_kick_always(), of this queue. */
void viofs_fs_notification_kick_always(struct viofs_fs *fs);

/**
 * viofs_fs_notification_look() - the next notification, in private memory; it stays the next one
 * A successor of this process finds it, too, until viofs_fs_notification_done() gives its buffer
 * back. As viofs_fs_notification_take(), which is both.
 */
int viofs_fs_notification_look(struct viofs_fs *fs, void *copy, uint32_t *len);
void viofs_fs_notification_done(struct viofs_fs *fs, const struct viofs_arena *arena);

/**
 * viofs_fs_notification_take() - the next notification, in private memory; its buffer is posted
 * anew
 * @copy: fs->notify_buf_size bytes. @len: how many of them the device says it wrote.
 * Nothing of it has been checked but its length.
 * Context: one thread at a time, which may be another than those of the other queues.
 * Return: 1; 0: there is none; -EPROTO: the ring is broken, viofs_ring_broken() says how.
 */
int viofs_fs_notification_take(struct viofs_fs *fs, const struct viofs_arena *arena, void *copy,
			       uint32_t *len);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The notification queue: buffers for what the device says unasked (virtio 1.3 5.11.6). */
/*
 * The device has all buffers except the one that is being looked at. That one is copied, once, and
 * given back when the kernel has taken it: who goes on for a process that has died meanwhile finds
 * it still. A flood waits on the device's side.
 */
#include "fs/notification.h"

#include "base/page.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFERS_MIN 2U
#define BYTES_ALL (1U << 20)
/* A notification has at least a struct fuse_out_header. */
#define SIZE_MIN 16U
#define ALIGN 64U
/* On pages of the least size the largest buffer lies in this many pieces. */
#define PIECES_MAX (VIOFS_FS_NOTIFY_BYTES_MAX / VIOFS_PAGE_LEAST + 1)

bool viofs_fs_notification_size_ok(uint32_t size)
{
	return size >= SIZE_MIN && size <= VIOFS_FS_NOTIFY_BYTES_MAX;
}

static uint32_t stride(const struct viofs_fs *fs)
{
	return (uint32_t)viofs_align_up(fs->notify_buf_size, ALIGN);
}

static uint16_t count(const struct viofs_fs *fs)
{
	uint32_t fit = VIOFS_MIN(BYTES_ALL / stride(fs), VIOFS_FS_NOTIFY_BUFFERS_MAX);

	return (uint16_t)VIOFS_MAX(fit, BUFFERS_MIN);
}

void viofs_fs_notification_sizes(const struct viofs_fs *fs, size_t sizes[VIOFS_ARENA_SECTIONS])
{
	sizes[VIOFS_ARENA_DEVICE_WRITE] += (size_t)count(fs) * stride(fs) + ALIGN;
}

struct viofs_fs_notification *viofs_fs_notification_new(const struct viofs_fs *fs,
							struct viofs_arena *arena)
{
	struct viofs_fs_notification *n;

	n = aligned_alloc(_Alignof(struct viofs_fs_notification), sizeof(*n));
	if (!n)
		return NULL;
	memset(n, 0, sizeof(*n));
	n->size = fs->notify_buf_size;
	n->memory = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_WRITE,
				      (size_t)count(fs) * stride(fs), ALIGN);
	return n;
}

size_t viofs_fs_notification_bytes(const struct viofs_fs *fs)
{
	return (size_t)count(fs) * stride(fs);
}

void viofs_fs_notification_free(struct viofs_fs_notification *n)
{
	free(n);
}

static uint8_t *buffer(const struct viofs_fs *fs, uint32_t i)
{
	return fs->notification->memory + (size_t)i * stride(fs);
}

static int post(struct viofs_fs *fs, const struct viofs_arena *arena, uint32_t i)
{
	struct viofs_fs_notification *n = fs->notification;
	struct viofs_ring_piece pieces[PIECES_MAX];
	struct viofs_ring_chain chain = { .pieces = pieces, .token = i };
	const uint8_t *at = buffer(fs, i);
	uint32_t left = n->size;

	while (left) {
		size_t run;
		uint64_t iova = viofs_arena_iova(arena, at, left, &run);

		assert(chain.writable < PIECES_MAX);
		pieces[chain.writable++] = (struct viofs_ring_piece){ iova, (uint32_t)run };
		at += run;
		left -= (uint32_t)run;
	}
	return viofs_ring_add(&n->queue.ring, &chain);
}

void viofs_fs_notification_kick_always(struct viofs_fs *fs)
{
	struct viofs_fs_queue *queue = &fs->notification->queue;

	queue->ring.shadow->kicks++;
	fs->virtio->ops->notify(fs->virtio, queue->index);
}

static void kick(struct viofs_fs *fs)
{
	if (viofs_ring_should_kick(&fs->notification->queue.ring))
		viofs_fs_notification_kick_always(fs);
}

int viofs_fs_notification_post(struct viofs_fs *fs, const struct viofs_arena *arena,
			       struct viofs_err *err)
{
	struct viofs_fs_notification *n = fs->notification;
	int rc = 0;

	while (!rc && n->buffers < count(fs)) {
		rc = post(fs, arena, n->buffers);
		n->buffers += !rc;
	}
	if (!n->buffers) {
		viofs_err_set(err, -EPROTO,
			      "The device's notification queue has %u entries, too few for one "
			      "notification of %u bytes.",
			      n->queue.ring.size, n->size);
		return viofs_err_remedy(err, -EPROTO, VIOFS_REMEDY_NO_NOTIFICATIONS);
	}
	kick(fs);
	return 0;
}

int viofs_fs_notification_look(struct viofs_fs *fs, void *copy, uint32_t *len)
{
	struct viofs_fs_notification *n = fs->notification;
	int rc = viofs_ring_peek(&n->queue.ring, &n->used);

	if (rc <= 0)
		return rc;
	memcpy(copy, buffer(fs, n->used.token), n->used.len);
	*len = n->used.len;
	return 1;
}

void viofs_fs_notification_done(struct viofs_fs *fs, const struct viofs_arena *arena)
{
	struct viofs_fs_notification *n = fs->notification;
	int rc;

	viofs_ring_pop(&n->queue.ring, &n->used);
	rc = post(fs, arena, n->used.token);
	assert(!rc); /* what the buffer had room for */
	(void)rc;
	kick(fs);
}

int viofs_fs_notification_take(struct viofs_fs *fs, const struct viofs_arena *arena, void *copy,
			       uint32_t *len)
{
	int rc = viofs_fs_notification_look(fs, copy, len);

	if (rc > 0)
		viofs_fs_notification_done(fs, arena);
	return rc;
}

/* Each is one of the buffers, and nobody else's. */
static int find_posted(const struct viofs_fs *fs, bool posted[VIOFS_FS_NOTIFY_BUFFERS_MAX])
{
	const struct viofs_fs_notification *n = fs->notification;
	uint32_t at = 0, token, writable;

	while (viofs_ring_next_chain(&n->queue.ring, &at, &token, &writable)) {
		if (token >= count(fs) || posted[token] || writable != n->size)
			return -EPROTO;
		posted[token] = true;
	}
	return 0;
}

int viofs_fs_notification_adopt(struct viofs_fs *fs, const struct viofs_arena *arena,
				const struct viofs_fs_queue *queue, uint8_t *memory)
{
	bool posted[VIOFS_FS_NOTIFY_BUFFERS_MAX] = { false };
	struct viofs_fs_notification *n;
	int rc;

	n = aligned_alloc(_Alignof(struct viofs_fs_notification), sizeof(*n));
	if (!n)
		return -ENOMEM;
	memset(n, 0, sizeof(*n));
	n->queue = *queue;
	n->size = fs->notify_buf_size;
	n->memory = memory;
	fs->notification = n;
	rc = find_posted(fs, posted);
	/* There may be more buffers than the ring has room for. */
	for (uint32_t i = 0; !rc && i < count(fs); i++)
		n->buffers += posted[i] || !post(fs, arena, i);
	return rc;
}

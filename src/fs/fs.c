/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtio-fs device: from reset to running queues and back (virtio 1.3 5.11, 3.1.1). */
/*
 * States, and what is allowed in each:
 *
 *   open      after viofs_fs_open(): features negotiated, tag and sizes known; the device reads no
 *             memory. viofs_fs_arena_sizes(), viofs_fs_address_policy(), start, close.
 *   started   after viofs_fs_start(): rings live, the device may touch the arena. Kicks, ring
 *             calls.
 *   stopped   after viofs_fs_stop() or a failed start: the device is halted, features are
 *             forgotten. Only stop (again) and close: a new session opens the device anew.
 *
 * The rings and their shadows are in the arena, so that they outlive the process, each part in the
 * section whose rights fit what the device does with it. A part must be contiguous for the device;
 * on single pages with physical addresses only a page is certain to be. So each part is aligned to
 * its size, up to a page, and a queue is halved until its parts fit: 256 entries always do.
 */
#include "fs/fs.h"

#include "base/page.h"
#include "fs/notification.h"

#include "base/util.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* struct virtio_fs_config (5.11.4). */
#define CONFIG_TAG 0
#define CONFIG_NUM_REQUEST_QUEUES 36
#define CONFIG_NOTIFY_BUF_SIZE 40

#define RESET_TIMEOUT_MS 5000
/* Descriptors of the longest request: header, arguments and data, to and from the device. */
#define QUEUE_SIZE_MIN 6U
/* No two queues share a cache line. */
#define PRIVATE_ALIGN 64
#define VIRTQUEUE_NOTIFICATION 1

static int read_config(struct viofs_virtio *d, unsigned int off, void *buf, unsigned int len,
		       const char *what, struct viofs_err *err)
{
	int rc = d->ops->config_read(d, off, buf, len);

	if (rc == -ETIMEDOUT)
		return viofs_err_set(
			err, -EPROTO,
			"The device's configuration keeps changing while its %s is read.", what);
	if (rc == -ERANGE)
		return viofs_err_set(
			err, -EPROTO,
			"The device's configuration is too short to hold the %s: it is "
			"no virtio-fs device.",
			what);
	if (rc)
		return viofs_err_set(err, rc, "The device's %s can't be read.", what);
	return 0;
}

static int read_identity(struct viofs_fs *fs, struct viofs_err *err)
{
	struct viofs_virtio *d = fs->virtio;
	uint8_t raw[VIOFS_TAG_SIZE];
	uint32_t num;
	int rc;

	rc = read_config(d, CONFIG_TAG, raw, sizeof(raw), "tag", err);
	if (rc)
		return rc;
	rc = viofs_tag_check(raw, fs->tag, err);
	if (rc)
		return rc;
	rc = read_config(d, CONFIG_NUM_REQUEST_QUEUES, &num, sizeof(num),
			 "number of request queues", err);
	if (rc)
		return rc;
	fs->num_request_queues = le32toh(num);
	if (!fs->num_request_queues)
		return viofs_err_set(err, -EPROTO, "The device says that it has no request queue.");
	return 0;
}

static bool has_notification(const struct viofs_fs *fs)
{
	return fs->virtio->negotiated & VIOFS_FS_F_NOTIFICATION;
}

/* Where the request queues begin, as the device counts (5.11.2). */
static unsigned int first_request(const struct viofs_fs *fs)
{
	return has_notification(fs) ? 2 : 1;
}

static int read_notify_size(struct viofs_fs *fs, struct viofs_err *err)
{
	uint32_t size;
	int rc;

	if (!has_notification(fs))
		return 0;
	rc = read_config(fs->virtio, CONFIG_NOTIFY_BUF_SIZE, &size, sizeof(size),
			 "size of notifications", err);
	if (rc)
		return rc;
	fs->notify_buf_size = le32toh(size);
	if (viofs_fs_notification_size_ok(fs->notify_buf_size))
		return 0;
	viofs_err_set(err, -EPROTO,
		      "The device wants %u bytes for a notification, which makes no sense.",
		      fs->notify_buf_size);
	return viofs_err_remedy(err, -EPROTO, VIOFS_REMEDY_NO_NOTIFICATIONS);
}

/* @q as the device counts. */
static unsigned int virtqueue_of(const struct viofs_fs *fs, unsigned int q)
{
	return q < VIOFS_FS_REQUEST ? q : q - VIOFS_FS_REQUEST + first_request(fs);
}

static int check_queue_size(unsigned int q, unsigned int max, bool packed, unsigned int min,
			    uint16_t *size, struct viofs_err *err)
{
	if (!max)
		return viofs_err_set(err, -EPROTO,
				     "Queue %u of the device does not exist (size 0).", q);
	if (max > VIOFS_RING_SIZE_MAX || (!packed && !viofs_is_power_of_2(max)))
		return viofs_err_set(
			err, -EPROTO, "Queue %u of the device has %u entries: not %s up to %u.", q,
			max, packed ? "a number" : "a power of two", VIOFS_RING_SIZE_MAX);
	/* With indirect tables too: a chain is never longer than the queue (2.7.5.3.1). */
	if (max < min)
		return viofs_err_set(err, -EPROTO,
				     "Queue %u of the device has %u entries, a request takes up to "
				     "%u. Give the device larger queues (queue-size).",
				     q, max, min);
	*size = (uint16_t)VIOFS_MIN(max, VIOFS_FS_QUEUE_SIZE_MAX);
	return 0;
}

static int read_queue(struct viofs_fs *fs, unsigned int q, unsigned int virtqueue, unsigned int min,
		      struct viofs_err *err)
{
	struct viofs_virtio *d = fs->virtio;

	return check_queue_size(virtqueue, d->ops->queue_max(d, virtqueue),
				d->negotiated & VIOFS_VIRTIO_F_RING_PACKED, min, &fs->queue_size[q],
				err);
}

static int read_queues(struct viofs_fs *fs, struct viofs_err *err)
{
	unsigned int have = fs->virtio->ops->queue_count(fs->virtio);
	unsigned int first = first_request(fs), requests;
	int rc = 0;

	if (have < first + 1)
		return viofs_err_set(err, -EPROTO,
				     "The device has %u queues: a hiprio%s and a request queue are "
				     "needed.",
				     have, first > 1 ? ", a notification" : "");
	requests = VIOFS_MIN(fs->num_request_queues, have - first);
	requests = VIOFS_MIN(requests, VIOFS_FS_QUEUES_MAX - VIOFS_FS_REQUEST);
	fs->queue_count = VIOFS_FS_REQUEST + requests;

	for (unsigned int q = 0; !rc && q < fs->queue_count; q++)
		rc = read_queue(fs, q, virtqueue_of(fs, q), QUEUE_SIZE_MIN, err);
	if (!rc && has_notification(fs))
		rc = read_queue(fs, fs->queue_count, VIRTQUEUE_NOTIFICATION, 1, err);
	return rc;
}

/* Those that are used: the notification queue is the last of fs->queue_size[]. */
unsigned int viofs_fs_virtqueue_count(const struct viofs_fs *fs)
{
	return fs->queue_count + has_notification(fs);
}

/* virtio 1.3 3.1.1: a driver that gives up says so. */
static void give_up(struct viofs_virtio *d)
{
	d->ops->status_set(d, (uint8_t)(d->ops->status_get(d) | VIOFS_VIRTIO_FAILED));
}

int viofs_fs_open_with(struct viofs_virtio *virtio, uint64_t wanted, struct viofs_fs **out,
		       struct viofs_err *err)
{
	/* Aligned as its queues are, which calloc(3) doesn't do. */
	struct viofs_fs *fs = aligned_alloc(_Alignof(struct viofs_fs), sizeof(*fs));
	int rc;

	if (!fs)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	memset(fs, 0, sizeof(*fs));
	fs->virtio = virtio;
	for (unsigned int q = 0; q < VIOFS_FS_VIRTQUEUES_MAX; q++)
		fs->eventfds[q] = -1;

	rc = viofs_virtio_reset(virtio, RESET_TIMEOUT_MS, err);
	if (rc)
		goto err_free;
	rc = viofs_virtio_negotiate(
		virtio, wanted | VIOFS_VIRTIO_F_INDIRECT_DESC | VIOFS_VIRTIO_F_EVENT_IDX, err);
	if (rc)
		goto err_free; /* FAILED is set */
	rc = read_identity(fs, err);
	if (rc)
		goto err_give_up;
	rc = read_notify_size(fs, err);
	if (rc)
		goto err_give_up;
	rc = read_queues(fs, err);
	if (rc)
		goto err_give_up;
	*out = fs;
	return 0;

err_give_up:
	give_up(virtio);
err_free:
	free(fs);
	return rc;
}

int viofs_fs_open(struct viofs_virtio *virtio, struct viofs_fs **out, struct viofs_err *err)
{
	return viofs_fs_open_with(virtio, VIOFS_FS_WANTED, out, err);
}

unsigned int viofs_fs_ring_flags(const struct viofs_virtio *virtio)
{
	uint64_t features = virtio->negotiated;

	return (features & VIOFS_VIRTIO_F_EVENT_IDX ? VIOFS_RING_EVENT_IDX : 0) |
	       (features & VIOFS_VIRTIO_F_RING_PACKED ? VIOFS_RING_PACKED : 0);
}

static enum viofs_arena_section desc_section(const struct viofs_ring_layout *l)
{
	return l->desc_written ? VIOFS_ARENA_DEVICE_RING : VIOFS_ARENA_DEVICE_READ;
}

/* The power of two from @bytes on, at most a page: such a part crosses no page that it fits in. */
static size_t part_align(size_t bytes)
{
	size_t align = 16;

	while (align < bytes && align < VIOFS_PAGE_LEAST)
		align *= 2;
	return align;
}

/* Room for @bytes at @align wherever the section's allocations stand. */
static size_t room(size_t bytes, size_t align)
{
	return bytes + align - 1;
}

void viofs_fs_arena_sizes(const struct viofs_fs *fs, size_t sizes[VIOFS_ARENA_SECTIONS])
{
	if (has_notification(fs))
		viofs_fs_notification_sizes(fs, sizes);
	for (unsigned int q = 0; q < viofs_fs_virtqueue_count(fs); q++) {
		uint16_t size = fs->queue_size[q];
		struct viofs_ring_layout l =
			viofs_ring_layout(size, viofs_fs_ring_flags(fs->virtio));

		sizes[VIOFS_ARENA_PRIVATE] += room(viofs_ring_shadow_bytes(size), PRIVATE_ALIGN);
		sizes[desc_section(&l)] += room(l.desc, part_align(l.desc));
		sizes[VIOFS_ARENA_DEVICE_READ] += room(l.driver, part_align(l.driver));
		sizes[VIOFS_ARENA_DEVICE_WRITE] += room(l.device, part_align(l.device));
	}
}

static void alloc_parts(struct viofs_arena *arena, const struct viofs_ring_layout *l, uint16_t size,
			struct viofs_fs_parts *p)
{
	p->desc = viofs_arena_alloc(arena, desc_section(l), l->desc, part_align(l->desc));
	p->driver =
		viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_READ, l->driver, part_align(l->driver));
	p->device = viofs_arena_alloc(arena, VIOFS_ARENA_DEVICE_WRITE, l->device,
				      part_align(l->device));
	p->shadow = viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE, viofs_ring_shadow_bytes(size),
				      PRIVATE_ALIGN);
}

static bool find_iova(const struct viofs_arena *arena, const void *p, size_t len, uint64_t *iova)
{
	size_t run;

	*iova = viofs_arena_iova(arena, p, len, &run);
	return run >= len;
}

/* Addresses of a ring with parts @p. Return: false where the device sees a part in pieces. */
static bool place(const struct viofs_arena *arena, const struct viofs_fs_parts *p,
		  const struct viofs_ring_layout *l, struct viofs_virtio_queue_address *a)
{
	return find_iova(arena, p->desc, l->desc, &a->desc) &&
	       find_iova(arena, p->driver, l->driver, &a->driver) &&
	       find_iova(arena, p->device, l->device, &a->device);
}

/* @q: its place in fs->queue_size[]. */
static int init_queue(struct viofs_fs *fs, struct viofs_fs_queue *queue, unsigned int q,
		      struct viofs_arena *arena, struct viofs_virtio_queue_address *a,
		      struct viofs_err *err)
{
	uint16_t size = fs->queue_size[q];
	unsigned int flags = viofs_fs_ring_flags(fs->virtio);
	struct viofs_ring_layout l = viofs_ring_layout(size, flags);
	struct viofs_fs_parts parts;

	alloc_parts(arena, &l, size, &parts);
	while (!place(arena, &parts, &l, a)) {
		size /= 2;
		l = viofs_ring_layout(size, flags);
		if (size < QUEUE_SIZE_MIN)
			return viofs_err_set(err, -ENOMEM,
					     "No contiguous memory for queue %u. Reserve hugepages "
					     "(vm.nr_hugepages).",
					     q);
	}
	fs->queue_size[q] = a->size = size;
	viofs_ring_init(&queue->ring, size, flags, parts.desc, parts.driver, parts.device,
			parts.shadow);
	return 0;
}

static int open_eventfds(struct viofs_fs *fs, struct viofs_err *err)
{
	for (unsigned int v = 0; v < viofs_fs_virtqueue_count(fs); v++) {
		int fd = eventfd(0, EFD_CLOEXEC);

		if (fd < 0)
			return viofs_err_set(
				err, -errno,
				"No eventfd for queue %u: raise the limit of open files.", v);
		fs->eventfds[v] = fd;
	}
	return 0;
}

static int eventfd_of(const struct viofs_fs *fs, unsigned int virtqueue)
{
	/* Without vectors nobody signals the eventfd. It can be waited on all the same. */
	return fs->eventfds[fs->vectors ? VIOFS_MIN(virtqueue, fs->vectors - 1) : virtqueue];
}

static int start_interrupts(struct viofs_fs *fs, struct viofs_err *err)
{
	int rc = fs->virtio->ops->interrupts_set(fs->virtio, fs->eventfds,
						 viofs_fs_virtqueue_count(fs), err);

	if (rc < 0)
		return rc;
	fs->vectors = (unsigned int)rc;
	for (unsigned int q = 0; q < fs->queue_count; q++)
		fs->queues[q].interrupt_fd = eventfd_of(fs, fs->queues[q].index);
	if (fs->notification)
		fs->notification->queue.interrupt_fd = eventfd_of(fs, VIRTQUEUE_NOTIFICATION);
	return 0;
}

/* Rings for all queues; writes where they are, in the order in which the device counts. */
static int init_queues(struct viofs_fs *fs, struct viofs_arena *arena,
		       struct viofs_virtio_queue_address *a, struct viofs_err *err)
{
	size_t bytes = fs->queue_count * sizeof(*fs->queues);
	int rc = 0;

	/* Aligned as calloc(3) doesn't do it. */
	fs->queues = aligned_alloc(_Alignof(struct viofs_fs_queue), bytes);
	if (!fs->queues)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	memset(fs->queues, 0, bytes);
	for (unsigned int q = 0; !rc && q < fs->queue_count; q++) {
		fs->queues[q].index = (uint16_t)virtqueue_of(fs, q);
		rc = init_queue(fs, &fs->queues[q], q, arena, &a[fs->queues[q].index], err);
	}
	if (rc || !has_notification(fs))
		return rc;
	fs->notification = viofs_fs_notification_new(fs, arena);
	if (!fs->notification)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	fs->notification->queue.index = VIRTQUEUE_NOTIFICATION;
	return init_queue(fs, &fs->notification->queue, fs->queue_count, arena,
			  &a[VIRTQUEUE_NOTIFICATION], err);
}

static int start_queues(struct viofs_fs *fs, struct viofs_arena *arena, struct viofs_err *err)
{
	struct viofs_virtio_queue_address a[VIOFS_FS_VIRTQUEUES_MAX];
	int rc;

	rc = init_queues(fs, arena, a, err);
	/* Vectors before the queues are enabled (4.1.5.1.3). */
	if (!rc)
		rc = start_interrupts(fs, err);
	for (unsigned int v = 0; !rc && v < viofs_fs_virtqueue_count(fs); v++)
		rc = fs->virtio->ops->queue_enable(fs->virtio, v, &a[v], err);
	if (!rc)
		rc = viofs_virtio_driver_ok(fs->virtio, err);
	if (!rc && fs->notification)
		rc = viofs_fs_notification_post(fs, arena, err);
	return rc;
}

int viofs_fs_start(struct viofs_fs *fs, struct viofs_arena *arena, struct viofs_err *err)
{
	int rc;

	assert(!fs->queues);
	rc = open_eventfds(fs, err);
	if (!rc)
		rc = start_queues(fs, arena, err);
	if (rc)
		viofs_fs_stop(fs, NULL); /* report the first error */
	return rc;
}

int viofs_fs_stop(struct viofs_fs *fs, struct viofs_err *err)
{
	int rc = viofs_virtio_halt(fs->virtio, RESET_TIMEOUT_MS, true, err);
	int rc2 = fs->virtio->ops->interrupts_set(fs->virtio, NULL, 0, rc ? NULL : err);

	fs->vectors = 0;
	return rc ? rc : rc2;
}

int viofs_fs_stop_soon(struct viofs_fs *fs, int timeout_ms)
{
	struct viofs_virtio *d = fs->virtio;
	int rc;

	if (d->ops->patience_set)
		d->ops->patience_set(d, timeout_ms);
	rc = viofs_virtio_halt(d, timeout_ms, false, NULL);
	d->ops->interrupts_set(d, NULL, 0, NULL);
	fs->vectors = 0;
	return rc;
}

void viofs_fs_let_go(struct viofs_fs *fs)
{
	free(fs->queues);
	viofs_fs_notification_free(fs->notification);
	free(fs);
}

static void free_with_eventfds(struct viofs_fs *fs)
{
	for (unsigned int q = 0; q < VIOFS_FS_VIRTQUEUES_MAX; q++)
		if (fs->eventfds[q] >= 0)
			close(fs->eventfds[q]);
	viofs_fs_let_go(fs);
}

int viofs_fs_close(struct viofs_fs *fs)
{
	int rc;

	if (!fs)
		return 0;
	rc = viofs_virtio_close(fs->virtio); /* halts it, takes the vectors off the eventfds */
	free_with_eventfds(fs);
	return rc;
}

void viofs_fs_close_copy(struct viofs_fs *fs)
{
	if (!fs)
		return;
	fs->virtio->ops->close_copy(fs->virtio);
	free_with_eventfds(fs);
}

/* @q: of from->parts, @virtqueue: as the device counts. */
static int adopt_queue(const struct viofs_fs *fs, struct viofs_fs_queue *queue, unsigned int q,
		       unsigned int virtqueue, const struct viofs_fs_adopted *from,
		       struct viofs_err *err)
{
	const struct viofs_fs_parts *p = &from->parts[q];

	queue->index = (uint16_t)virtqueue;
	queue->interrupt_fd = eventfd_of(fs, queue->index);
	if (!viofs_ring_adopt(&queue->ring, from->queue_size[q], viofs_fs_ring_flags(fs->virtio),
			      p->desc, p->driver, p->device, p->shadow))
		return 0;
	return viofs_err_set(err, -EPROTO, "The state of queue %u contradicts itself.", q);
}

static int adopt_notification(struct viofs_fs *fs, const struct viofs_fs_adopted *from,
			      struct viofs_err *err)
{
	struct viofs_fs_queue queue = { .interrupt_fd = -1 };
	int rc = adopt_queue(fs, &queue, fs->queue_count, VIRTQUEUE_NOTIFICATION, from, err);

	if (rc)
		return rc;
	rc = viofs_fs_notification_adopt(fs, from->arena, &queue, from->notifications);
	return rc ? viofs_err_set(err, rc, "The notification queue's state contradicts itself.")
		  : 0;
}

int viofs_fs_adopt(struct viofs_virtio *virtio, const struct viofs_fs_adopted *from,
		   struct viofs_fs **out, struct viofs_err *err)
{
	size_t bytes = from->queue_count * sizeof(struct viofs_fs_queue);
	struct viofs_fs *fs = aligned_alloc(_Alignof(struct viofs_fs), sizeof(*fs));
	int rc = 0;

	if (!fs)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	memset(fs, 0, sizeof(*fs));
	fs->virtio = virtio;
	fs->num_request_queues = from->num_request_queues;
	fs->queue_count = from->queue_count;
	fs->notify_buf_size = from->notify_buf_size;
	fs->vectors = VIOFS_MIN(from->vectors, viofs_fs_virtqueue_count(fs));
	memcpy(fs->tag, from->tag, sizeof(fs->tag));
	memcpy(fs->queue_size, from->queue_size, sizeof(fs->queue_size));
	memcpy(fs->eventfds, from->eventfds, sizeof(fs->eventfds));
	fs->queues = aligned_alloc(_Alignof(struct viofs_fs_queue), bytes);
	if (!fs->queues)
		rc = viofs_err_set(err, -ENOMEM, "Out of memory.");
	else
		memset(fs->queues, 0, bytes);
	for (unsigned int q = 0; !rc && q < fs->queue_count; q++)
		rc = adopt_queue(fs, &fs->queues[q], q, virtqueue_of(fs, q), from, err);
	if (!rc && has_notification(fs))
		rc = adopt_notification(fs, from, err);
	if (rc)
		viofs_fs_let_go(fs);
	else
		*out = fs;
	return rc;
}

void viofs_fs_kick_always(struct viofs_fs *fs, unsigned int q)
{
	fs->queues[q].ring.shadow->kicks++;
	fs->virtio->ops->notify(fs->virtio, fs->queues[q].index);
}

enum viofs_address_policy viofs_fs_address_policy(const struct viofs_fs *fs)
{
	bool translated = fs->virtio->negotiated & VIOFS_VIRTIO_F_ACCESS_PLATFORM;

	return translated ? VIOFS_ADDRESS_TRANSLATED : VIOFS_ADDRESS_PHYSICAL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taking a device for a program, and giving it back.
 *
 * Both are one thread's, with no other call on the device under way. The device (struct viofs_dev)
 * is the program's from viofs_dev_open() to viofs_dev_close(), and owns the record, its
 * descriptors, the memory and all virtqueues.
 */
#include "base/bell.h"
#include "base/page.h"
#include "base/run.h"
#include "base/util.h"
#include "client/child.h"
#include "client/options_struct.h"
#include "client/pool.h"
#include "client/queue.h"
#include "client/vq.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH_DEFAULT 128U
#define DEPTH_MIN 8U
#define DEPTH_MAX 1024U
#define HIPRIO_DEPTH 32U
#define DATA_DEFAULT (1U << 20)
#define DATA_MAX (16U << 20)
#define DMA_DEFAULT ((size_t)32 << 20)
#define DMA_MAX ((size_t)1 << 40)
#define SPIN_DEFAULT 50U

static const struct viofs_dev_options defaults = {
	.size = sizeof(defaults),
	.depth = DEPTH_DEFAULT,
	.max_data = DATA_DEFAULT,
	.dma_size = DMA_DEFAULT,
	.spin_us = SPIN_DEFAULT,
};

void viofs_dev_options_init(struct viofs_dev_options *options, size_t size)
{
	viofs_options_put(options, size, &defaults, sizeof(defaults));
}

static int take_options(const struct viofs_dev_options *given, struct viofs_dev_options *o,
			struct viofs_err *err)
{
	size_t page = viofs_page_size();
	struct viofs_dev_options all = defaults;
	int rc;

	rc = viofs_options_take(given, &all, sizeof(all), "viofs_dev_options", err);
	if (rc)
		return rc;
	if (!all.depth)
		all.depth = DEPTH_DEFAULT;
	if (!all.max_data)
		all.max_data = DATA_DEFAULT;
	if (!all.dma_size)
		all.dma_size = DMA_DEFAULT;
	if (!all.spin_us)
		all.spin_us = SPIN_DEFAULT;
	if (all.depth < DEPTH_MIN || all.depth > DEPTH_MAX || all.max_data < page ||
	    all.max_data > DATA_MAX || all.dma_size > DMA_MAX)
		return viofs_err_set(err, -EINVAL,
				     "viofs_dev_options: depth is %u..%u, max_data %zu..%u "
				     "bytes, dma_size less than a TiB.",
				     DEPTH_MIN, DEPTH_MAX, page, DATA_MAX);
	if (all.flags &
	    ~(uint32_t)(VIOFS_DEV_BIND | VIOFS_DEV_SMALL_PAGES | VIOFS_DEV_UNSAFE_NOIOMMU))
		return viofs_err_set(err, -EINVAL,
				     "viofs_dev_options.flags has bits that this libviofs "
				     "doesn't know.");
	all.dma_size = viofs_align_up(all.dma_size, page);
	*o = all;
	return 0;
}

static int take_hold(struct viofs_dev *dev, const char *text, struct viofs_err *err)
{
	const struct viofs_dev_options *o = &dev->options;
	const struct viofs_source *s = &dev->source;

	if (o->queues && !s->transport->takes_queues)
		return viofs_err_set(err, -EINVAL,
				     "viofs_dev_options.queues goes with vhost-user: only, a "
				     "PCI device says itself how many queues it has.");
	if (!(o->flags & VIOFS_DEV_BIND) && !viofs_source_is_bound(s))
		return viofs_err_set(err, -EBUSY,
				     "%s (%s) is bound to %s, not to vfio-pci. Bind it with "
				     "`viofsctl bind %s`, or open it with VIOFS_DEV_BIND.",
				     text, s->function.text,
				     s->function.driver[0] ? s->function.driver : "no driver",
				     s->function.text);
	return viofs_opened_hold(&dev->at, s, text, (int)o->wait_ms, err);
}

static unsigned int depth_of(const struct viofs_dev *dev, unsigned int vq)
{
	unsigned int depth = vq == VIOFS_FS_HIPRIO ? HIPRIO_DEPTH : dev->options.depth;

	return VIOFS_MIN(depth, (unsigned int)dev->at.fs->queue_size[vq]);
}

static int start(struct viofs_dev *dev, struct viofs_err *err)
{
	struct viofs_opened_memory memory = {
		.small_pages = dev->options.flags & VIOFS_DEV_SMALL_PAGES,
		.not_for_children = true,
	};
	struct viofs_fs *fs = dev->at.fs;
	size_t reserves = (size_t)(fs->queue_count - VIOFS_FS_REQUEST) * VIOFS_RESERVE;
	int rc;

	for (unsigned int i = 0; i < fs->queue_count; i++)
		viofs_vq_sizes(depth_of(dev, i), memory.sizes);
	memory.sizes[VIOFS_ARENA_DEVICE_RW] += reserves + dev->options.dma_size;
	rc = viofs_opened_start(&dev->at, &memory, err);
	if (rc)
		return rc;
	/* Without io_uring and AIO the eventfds are written to: better that than no library. */
	viofs_doorbells_init(&dev->doorbells, fs, VIOFS_BELL_URING | VIOFS_BELL_AIO);
	dev->interrupts = fs->vectors;
	dev->indirect = fs->virtio->negotiated & VIOFS_VIRTIO_F_INDIRECT_DESC;
	dev->max_data = viofs_chain_data_bound(
		dev->at.arena, VIOFS_PIECES_MAX, dev->at.fs->queue_size + VIOFS_FS_REQUEST,
		dev->at.fs->queue_count - VIOFS_FS_REQUEST, dev->options.max_data);
	for (unsigned int i = 0; !rc && i < fs->queue_count; i++)
		rc = viofs_vq_init(&dev->vqs[i], dev, i, depth_of(dev, i));
	dev->reserves = viofs_arena_alloc(dev->at.arena, VIOFS_ARENA_DEVICE_RW, reserves,
					  viofs_page_size());
	if (!rc)
		rc = viofs_pool_init(&dev->pool, dev->at.arena, dev->options.dma_size);
	return rc ? viofs_err_set(err, rc, "Out of memory.") : 0;
}

static int attach(struct viofs_dev *dev, struct viofs_err *err)
{
	const struct viofs_attach_options options = {
		.transport = {
			.allow_noiommu = dev->options.flags & VIOFS_DEV_UNSAFE_NOIOMMU,
			.queues = dev->options.queues,
		},
	};

	return viofs_opened_open(&dev->at, &dev->source, &options, err);
}

/* What would help, in the words of struct viofs_dev_options. */
static const char *const advice[VIOFS_REMEDIES] = {
	[VIOFS_REMEDY_LESS_MEMORY] =
		"viofs_dev_options.dma_size, depth and max_data say how much is needed.",
	[VIOFS_REMEDY_ALLOW_NOIOMMU] =
		"If you trust it, set VIOFS_DEV_UNSAFE_NOIOMMU in viofs_dev_options.flags.",
	[VIOFS_REMEDY_FEWER_QUEUES] = "viofs_dev_options.queues asks for fewer.",
};

int viofs_dev_open(const char *source, const struct viofs_dev_options *options,
		   struct viofs_dev **out, struct viofs_err *err)
{
	struct viofs_dev *dev = calloc(1, sizeof(*dev));
	int rc;

	if (!dev)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	dev->at.hold.lock_fd = -1;
	pthread_mutex_init(&dev->lock, NULL);
	dev->membarrier =
		!syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	rc = viofs_dev_settle_here(dev);
	if (rc)
		viofs_err_set(err, rc, "Out of memory.");
	if (!rc)
		rc = take_options(options, &dev->options, err);
	if (!rc)
		rc = viofs_source_find(source, &dev->source, err);
	if (!rc)
		rc = take_hold(dev, source, err);
	if (rc)
		goto err_close;
	rc = attach(dev, err);
	if (!rc)
		rc = start(dev, err);
	if (rc) {
		viofs_err_prefix(err, rc, "%s", source);
		goto err_close;
	}
	rc = viofs_hold_note(&dev->at.hold, dev->at.fs->tag, "", getpid());
	if (rc) {
		viofs_err_set(err, rc, "%s: %s can't be written: %s.", source, viofs_run_dir(),
			      strerror(-rc));
		goto err_close;
	}
	*out = dev;
	return 0;

err_close:
	viofs_err_advise(err, advice);
	viofs_dev_close(dev, NULL);
	return rc;
}

static void free_parts(struct viofs_dev *dev)
{
	viofs_doorbells_fini(&dev->doorbells);
	for (unsigned int i = 0; i < VIOFS_FS_QUEUES_MAX; i++)
		viofs_vq_fini(&dev->vqs[i]);
	viofs_pool_fini(&dev->pool);
}

/* In a child of fork(2): all of it was made before the device was opened, so it is whole. */
static int close_in_child(struct viofs_dev *dev, struct viofs_err *err)
{
	int rc = viofs_dev_elsewhere(err, "close", viofs_source_name(&dev->source));

	for (unsigned int i = 0; i < VIOFS_FS_QUEUES_MAX; i++)
		viofs_queue_close_all(&dev->vqs[i]);
	free_parts(dev);
	viofs_fs_close_copy(dev->at.fs);
	viofs_arena_detach(dev->at.arena);
	viofs_arena_leave(dev->at.arena);
	if (dev->at.hold.lock_fd >= 0)
		close(dev->at.hold.lock_fd);
	viofs_dev_leave(dev);
	free(dev);
	return rc;
}

int viofs_dev_close(struct viofs_dev *dev, struct viofs_err *err)
{
	int rc;

	if (!dev)
		return 0;
	if (dev->here && viofs_dev_is_elsewhere(dev))
		return close_in_child(dev, err);
	/* The device first, and with it what of the program's memory it was given. */
	viofs_opened_let_go(&dev->at);
	free_parts(dev);
	rc = viofs_opened_close(&dev->at, err);
	pthread_mutex_destroy(&dev->lock);
	viofs_dev_leave(dev);
	free(dev);
	return rc;
}

int viofs_dev_info_get(struct viofs_dev *dev, struct viofs_dev_info *info)
{
	const struct viofs_fs *fs = dev->at.fs;
	const struct viofs_dev_info all = {
		.size = VIOFS_MIN(info->size, sizeof(*info)),
		.transport = fs->virtio->ops->name,
		.id = viofs_source_name(&dev->source),
		.tag = fs->tag,
		.offered = fs->virtio->offered,
		.negotiated = fs->virtio->negotiated,
		.request_queues = fs->queue_count - VIOFS_FS_REQUEST,
		.request_queues_offered = fs->num_request_queues,
		.queue_size = fs->queue_size[VIOFS_FS_REQUEST],
		.depth = dev->vqs[VIOFS_FS_REQUEST].depth,
		.max_data = dev->max_data,
		.page_size = (uint32_t)viofs_arena_page_size(dev->at.arena),
		.interrupts = dev->interrupts,
		.dma_size = dev->pool.count * dev->pool.page,
		.dma_free = __atomic_load_n(&dev->pool.free, __ATOMIC_RELAXED) * dev->pool.page,
	};

	if (info->size < sizeof(info->size))
		return -EINVAL;
	memcpy(info, &all, all.size);
	return 0;
}

int viofs_dev_stats_get(struct viofs_dev *dev, struct viofs_dev_stats *stats)
{
	struct viofs_dev_stats all = { .size = VIOFS_MIN(stats->size, sizeof(*stats)) };

	if (stats->size < sizeof(stats->size))
		return -EINVAL;
	if (viofs_dev_is_elsewhere(dev))
		return -ENODEV; /* the counters are not in this process */
	for (unsigned int i = 0; i < dev->at.fs->queue_count; i++) {
		const struct viofs_vq *vq = &dev->vqs[i];

		all.requests += __atomic_load_n(&vq->requests, __ATOMIC_RELAXED);
		all.replies += __atomic_load_n(&vq->replies, __ATOMIC_RELAXED);
		all.faults += __atomic_load_n(&vq->faults, __ATOMIC_RELAXED);
		all.kicks += __atomic_load_n(&dev->at.fs->queues[i].ring.shadow->kicks,
					     __ATOMIC_RELAXED);
	}
	all.sleeps = __atomic_load_n(&dev->sleeps, __ATOMIC_RELAXED);
	memcpy(stats, &all, all.size);
	return 0;
}

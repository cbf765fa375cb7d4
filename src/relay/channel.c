/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The choice of a channel. */
#include "relay/channel.h"
#include "base/util.h"
#include "kernel/fuse_uring.h"
#include "relay/relay.h"

#include <errno.h>
#include <string.h>

/* A queue with this many keeps a device busy: smaller requests come before fewer of them. */
#define DEPTH_GOOD 4U
#define DEPTH_MAX 8U
/* 17 pages of 4 KiB, so that 64 KiB of attributes fit, rounded up to what divides any max_data. */
#define DATA_MIN (128U << 10)
#define BUFFERS_MAX 1024U

const char *viofs_channel_name(enum viofs_channel channel)
{
	static const char *const names[] = { "auto", "uring", "dev" };

	return (unsigned int)channel < VIOFS_ARRAY_SIZE(names) ? names[channel] : "unknown";
}

/* With payload areas of @size bytes. Return: false: no entry for each queue. */
static bool try_size(uint32_t queues, uint64_t memory, uint32_t size, uint32_t slots,
		     struct viofs_channel_plan *out)
{
	uint32_t buffers = (uint32_t)VIOFS_MIN(memory / size, (uint64_t)BUFFERS_MAX);
	uint32_t spare = VIOFS_MAX(buffers / 4, VIOFS_CHANNEL_SPARE_BUFFERS);
	uint32_t entries = buffers > spare ? buffers - spare : 0;

	entries = VIOFS_MIN(
		entries, slots > VIOFS_CHANNEL_SPARE_SLOTS ? slots - VIOFS_CHANNEL_SPARE_SLOTS : 0);
	if (entries < queues)
		return false;
	*out = (struct viofs_channel_plan){
		.depth = VIOFS_MIN(entries / queues, DEPTH_MAX),
		.max_data = size,
		.buffers = buffers,
	};
	return true;
}

int viofs_channel_plan(uint32_t queues, uint64_t memory, uint32_t max_data, uint32_t slots,
		       struct viofs_channel_plan *out)
{
	bool found = false;

	for (uint32_t size = max_data; size >= DATA_MIN; size = size / 2 & ~4095U) {
		struct viofs_channel_plan plan;

		if (!try_size(queues, memory, size, slots, &plan))
			continue;
		/* Smaller ones that give no more are no gain. */
		if (!found || plan.depth > out->depth)
			*out = plan;
		found = true;
		if (out->depth >= DEPTH_GOOD)
			break;
	}
	return found ? 0 : -ENOSPC;
}

static int say_disabled(int enabled, struct viofs_err *err)
{
	if (enabled == 0)
		return viofs_err_set(
			err, -ENOTSUP,
			"-o channel=uring: the kernel has FUSE over io_uring switched "
			"off. echo Y > " VIOFS_FUSE_URING_ENABLE " switches it on for later "
			"mounts, fuse.enable_uring=1 on the kernel's command line for good.");
	if (enabled == -ENOENT)
		return viofs_err_set(
			err, -ENOTSUP,
			"-o channel=uring: this kernel has no FUSE over io_uring "
			"(Linux 6.14 with CONFIG_FUSE_IO_URING, and the fuse module loaded).");
	return viofs_err_set(err, enabled, VIOFS_FUSE_URING_ENABLE ": %s", strerror(-enabled));
}

static int plan_entries(struct viofs_relay_config *c, struct viofs_err *err)
{
	int queues = viofs_fuse_uring_queues();
	struct viofs_channel_plan plan;
	int rc;

	if (queues < 0)
		return viofs_err_set(err, queues, "The number of CPUs can't be read: %s.",
				     strerror(-queues));
	rc = viofs_channel_plan((uint32_t)queues, (uint64_t)c->buffers * c->max_data, c->max_data,
				c->slots, &plan);
	if (rc)
		return viofs_err_set(
			err, rc,
			"-o channel=uring: io_uring takes memory for each of %d possible "
			"CPUs. Give more of it with dma-mem=, or use channel=dev.",
			queues);
	c->queues = (uint32_t)queues;
	c->depth = plan.depth;
	c->max_data = plan.max_data;
	c->buffers = plan.buffers;
	return 0;
}

/*
 * Over io_uring a direct READ is answered by a thread of the kernel's (entries.c), and wakes it:
 * /dev/fuse is faster for reads, by half natively, and no slower for most else
 * (docs/performance.md). So AUTO is that.
 */
int viofs_channel_choose(struct viofs_relay_config *c, struct viofs_err *err)
{
	int enabled;

	c->queues = c->depth = 0;
	if (c->channel != VIOFS_CHANNEL_URING) {
		c->channel = VIOFS_CHANNEL_DEV;
		return 0;
	}
	enabled = viofs_fuse_uring_is_enabled();
	return enabled > 0 ? plan_entries(c, err) : say_disabled(enabled, err);
}

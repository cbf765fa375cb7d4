/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The choice of a channel. */
#include "relay/channel.h"
#include "base/page.h"
#include "base/util.h"
#include "dma/pages.h"
#include "kernel/fuse_uring.h"
#include "relay/config.h"
#include "relay/slots.h"

#include <errno.h>
#include <string.h>

/* So many entries of a queue keep a device busy. Requests are made smaller before a queue gets
 * fewer. */
#define DEPTH_GOOD 4U
#define DEPTH_MAX 8U
/* 17 pages of 4 KiB, so that 64 KiB of attributes fit, rounded up to what divides any max_data. */
#define DATA_MIN (128U << 10)
#define MIB (1U << 20)

const char *viofs_channel_name(enum viofs_channel channel)
{
	static const char *const names[] = { "auto", "uring", "dev" };

	return (unsigned int)channel < VIOFS_ARRAY_SIZE(names) ? names[channel] : "unknown";
}

/* Each queue has an entry, whose slot is its own. */
static uint32_t slots_for(uint32_t queues, uint32_t slots)
{
	return VIOFS_MAX(slots, queues + VIOFS_CHANNEL_SPARE_SLOTS);
}

/* Bytes for @count slots beyond the usual number: they come out of the memory for data. */
static uint64_t slots_bytes(uint32_t count)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };
	uint64_t sum = 0;

	if (!count)
		return 0;
	viofs_slots_arena_sizes((uint16_t)count, 0, 0, sizes);
	for (int i = 0; i < VIOFS_ARENA_SECTIONS; i++)
		sum += viofs_align_up(sizes[i], VIOFS_HUGEPAGE_SIZE);
	return sum;
}

static uint32_t spare_of(uint32_t buffers)
{
	return VIOFS_MAX(buffers / 4, VIOFS_CHANNEL_SPARE_BUFFERS);
}

/* With payload areas of @size bytes. Return: false: no entry for each queue. */
static bool try_size(uint32_t queues, uint64_t memory, uint32_t size, uint32_t slots,
		     struct viofs_channel_plan *out)
{
	uint32_t buffers = (uint32_t)VIOFS_MIN(memory / size, (uint64_t)VIOFS_RELAY_BUFFERS_MAX);
	uint32_t spare = spare_of(buffers);
	uint32_t entries = buffers > spare ? buffers - spare : 0;

	entries = VIOFS_MIN(entries, slots - VIOFS_CHANNEL_SPARE_SLOTS);
	if (entries < queues)
		return false;
	*out = (struct viofs_channel_plan){
		.depth = VIOFS_MIN(entries / queues, DEPTH_MAX),
		.max_data = size,
		.buffers = buffers,
		.slots = slots,
	};
	return true;
}

uint64_t viofs_channel_memory(uint32_t queues, uint32_t slots)
{
	uint32_t buffers = queues + VIOFS_CHANNEL_SPARE_BUFFERS;

	while (buffers - spare_of(buffers) < queues)
		buffers++;
	if (buffers > VIOFS_RELAY_BUFFERS_MAX)
		return 0;
	return (uint64_t)buffers * DATA_MIN + slots_bytes(slots_for(queues, slots) - slots);
}

int viofs_channel_plan(uint32_t queues, uint64_t memory, uint32_t max_data, uint32_t slots,
		       struct viofs_channel_plan *out)
{
	uint32_t all = slots_for(queues, slots);
	uint64_t more = slots_bytes(all - slots);
	const uint32_t page = (uint32_t)viofs_page_size();
	bool found = false;

	if (more >= memory)
		return -ENOSPC;
	for (uint32_t size = max_data; size >= DATA_MIN; size = size / 2 & ~(page - 1)) {
		struct viofs_channel_plan plan;

		if (!try_size(queues, memory - more, size, all, &plan))
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
		viofs_err_set(err, -ENOTSUP,
			      "The kernel has FUSE over io_uring switched off. "
			      "echo Y > " VIOFS_FUSE_URING_ENABLE " switches it on for later "
			      "mounts, fuse.enable_uring=1 on the kernel's command line for good.");
	else if (enabled == -ENOENT)
		viofs_err_set(err, -ENOTSUP,
			      "This kernel has no FUSE over io_uring (Linux 6.14 with "
			      "CONFIG_FUSE_IO_URING, and the fuse module loaded).");
	else
		return viofs_err_set(err, enabled, VIOFS_FUSE_URING_ENABLE ": %s",
				     strerror(-enabled));
	return viofs_err_remedy(err, -ENOTSUP, VIOFS_REMEDY_OTHER_CHANNEL);
}

/* Says how much memory would do. */
static int say_no_room(const struct viofs_relay_config *c, uint32_t queues, struct viofs_err *err)
{
	uint64_t least = viofs_channel_memory(queues, c->slots);
	struct viofs_relay_config none = *c;

	none.buffers = 0;
	/* The memory is divided into pieces of max_data: one may be lost. */
	if (least)
		viofs_err_set(err, -ENOSPC,
			      "io_uring needs memory for each of %u possible CPUs, at least %llu "
			      "MiB in all. Or boot with fewer (possible_cpus= on the kernel's "
			      "command line).",
			      queues,
			      (unsigned long long)(least + viofs_relay_config_memory(&none) +
						   c->max_data + MIB - 1) /
				      MIB);
	else
		viofs_err_set(err, -ENOSPC,
			      "io_uring needs an entry for each of %u possible CPUs, which is more "
			      "than there can be here. Boot with fewer (possible_cpus= on the "
			      "kernel's command line).",
			      queues);
	return viofs_err_remedy(err, -ENOSPC,
				least ? VIOFS_REMEDY_MORE_MEMORY : VIOFS_REMEDY_OTHER_CHANNEL);
}

int viofs_channel_plan_config(struct viofs_relay_config *c, uint32_t queues, struct viofs_err *err)
{
	struct viofs_channel_plan plan;

	if (viofs_channel_plan(queues, (uint64_t)c->buffers * c->max_data, c->max_data, c->slots,
			       &plan))
		return say_no_room(c, queues, err);
	c->queues = queues;
	c->depth = plan.depth;
	c->max_data = plan.max_data;
	c->buffers = plan.buffers;
	c->slots = plan.slots;
	return 0;
}

static int plan_entries(struct viofs_relay_config *c, struct viofs_err *err)
{
	int queues = viofs_fuse_uring_queues();

	if (queues < 0)
		return viofs_err_set(err, queues, "The number of CPUs can't be read: %s.",
				     strerror(-queues));
	return viofs_channel_plan_config(c, (uint32_t)queues, err);
}

/*
 * Over io_uring a direct READ is answered by a thread of the kernel's (entry.c), and wakes it:
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
	if (c->serves_root)
		return viofs_err_set(err, -EINVAL,
				     "FUSE over io_uring is not for a mount that is made in an "
				     "initramfs: at shutdown systemd stops its process for a "
				     "while, and only requests from /dev/fuse continue it.");
	enabled = viofs_fuse_uring_is_enabled();
	return enabled > 0 ? plan_entries(c, err) : say_disabled(enabled, err);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay: its sizes, its memory, what others may ask it. */
#include "relay/session.h"
#include "base/util.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of one request, beside its data: header, arguments, out header, structs, and pieces that cross. */
#define PIECES_BESIDE_DATA 8U
#define PARKED_BYTES ((size_t)16 << 20)
#define PARKED_COUNT 4096U

void viofs_relay_config_default(struct viofs_relay_config *config)
{
	cpu_set_t cpus;

	*config = (struct viofs_relay_config){
		.poll = VIOFS_POLL_ADAPTIVE,
		.spin_us = 300,
		.slots = 128,
		.buffers = 48,
		.max_data = 512 << 10,
		.init_timeout_ms = 30000,
		.end_timeout_ms = 5000,
	};
	/* With one CPU whoever spins keeps those from running that it waits for. */
	if (!sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) == 1)
		config->spin_us = 0;
}

void viofs_relay_arena_sizes(const struct viofs_relay_config *config,
			     size_t sizes[VIOFS_ARENA_SECTIONS])
{
	sizes[VIOFS_ARENA_PRIVATE] += sizeof(struct viofs_relay_stats) + 64;
	viofs_entries_arena_sizes(config->queues * config->depth, sizes);
	viofs_slots_arena_sizes((uint16_t)config->slots, (uint16_t)config->buffers, config->max_data,
				sizes);
}

/*
 * In single pages a transfer takes a descriptor for each of them, and a chain may not be longer than
 * the queue (virtio 1.3 2.7.5.3.1) nor than a slot's indirect table.
 */
static uint32_t max_data(const struct viofs_relay *r)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE), pieces = VIOFS_SLOT_INDIRECT;

	if (viofs_arena_granule(r->arena) > page)
		return r->config.max_data;
	for (unsigned int q = VIOFS_FS_REQUEST; q < r->fs->queue_count; q++)
		pieces = VIOFS_MIN(pieces, r->fs->queue_size[q]);
	if (pieces <= PIECES_BESIDE_DATA)
		return page;
	return VIOFS_MIN(r->config.max_data, (pieces - PIECES_BESIDE_DATA) * page);
}

int viofs_relay_new(const struct viofs_relay_config *config, struct viofs_fs *fs,
		    struct viofs_arena *arena, struct viofs_relay **out, struct viofs_err *err)
{
	struct viofs_relay *r = calloc(1, sizeof(*r));

	if (!r)
		return viofs_err_set(err, -ENOMEM, "out of memory");
	r->config = *config;
	r->fs = fs;
	r->arena = arena;
	r->fuse_fd = -1;
	r->spin = config->spin_us * VIOFS_NSEC_PER_USEC;
	r->lease.wake_fd = -1;
	r->landing_buffer = VIOFS_BUFFER_NONE;
	r->indirect = fs->virtio->negotiated & VIOFS_VIRTIO_F_INDIRECT_DESC;
	r->config.max_data = max_data(r);
	r->parked.bytes_max = r->parked_hiprio.bytes_max = PARKED_BYTES;
	r->parked.count_max = r->parked_hiprio.count_max = PARKED_COUNT;
	r->plain_size = (size_t)VIOFS_SLOT_SMALL + config->max_data;
	r->plain = malloc(r->plain_size);
	if (!r->plain) {
		free(r);
		return viofs_err_set(err, -ENOMEM, "out of memory");
	}
	r->stats = viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE, sizeof(*r->stats), 64);
	viofs_slots_init(&r->slots, (uint16_t)config->slots, (uint16_t)config->buffers,
			 config->max_data, arena);
	viofs_entries_init(&r->entries, config->queues, config->depth, arena);
	r->stats->channel = VIOFS_CHANNEL_DEV;
	*out = r;
	return 0;
}

void viofs_relay_free(struct viofs_relay *r)
{
	/* A thread that is stuck in a reply still looks at all of this when it comes back. */
	if (!r || !viofs_lease_fini(&r->lease))
		return;
	viofs_notify_stop(r);
	viofs_sleep_fini(&r->sleep);
	viofs_doorbells_fini(&r->doorbells);
	viofs_parking_clear(&r->parked);
	viofs_parking_clear(&r->parked_hiprio);
	free(r->plain);
	free(r);
}

struct viofs_relay_stats *viofs_relay_stats(struct viofs_relay *r)
{
	return r->stats;
}

int64_t viofs_relay_oldest_ns(const struct viofs_relay *r)
{
	int64_t now = viofs_now_ns(), oldest = 0;

	for (unsigned int i = 0; i < r->slots.count; i++) {
		const struct viofs_slot *slot = &r->slots.slots[i];

		if (slot->state == VIOFS_SLOT_QUEUED || slot->state == VIOFS_SLOT_WAITING)
			oldest = VIOFS_MAX(oldest, now - slot->since);
	}
	return oldest;
}

int64_t viofs_relay_unanswered_ns(const struct viofs_relay *r)
{
	int64_t now = viofs_now_ns(), oldest = 0;

	for (unsigned int i = 0; i < r->slots.count; i++) {
		const struct viofs_slot *slot = &r->slots.slots[i];
		bool waits = slot->state == VIOFS_SLOT_QUEUED || slot->state == VIOFS_SLOT_WAITING;

		if (waits && !slot->shape.may_wait)
			oldest = VIOFS_MAX(oldest, now - slot->since);
	}
	return oldest;
}

bool viofs_relay_is_lost(const struct viofs_relay *r)
{
	return r->stats->session == VIOFS_SESSION_LOST;
}

unsigned int viofs_relay_slots_used(const struct viofs_relay *r)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->slots.count; i++)
		n += r->slots.slots[i].state >= VIOFS_SLOT_WAITING;
	return n;
}

const char *viofs_quirk_text(unsigned int bit)
{
	static const char *const texts[VIOFS_QUIRKS] = {
		"used.len is 0 with a good reply",
		"no FUSE_MAX_PAGES: requests of 128 KiB at most",
		"replies of a wrong length",
		"INIT flags that were never offered",
		"open flags that need the kernel's own driver",
		"answered FUSE_INIT only after a second notification",
	};

	return bit < VIOFS_QUIRKS ? texts[bit] : NULL;
}

const char *viofs_session_name(enum viofs_session session)
{
	static const char *const names[] = { "starting", "serving", "ending", "ended", "failed",
				       "lost" };

	return (unsigned int)session < VIOFS_ARRAY_SIZE(names) ? names[session] : "unknown";
}

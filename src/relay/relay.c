/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay: its sizes, its memory, what others may ask it. */
#include "relay/session.h"
#include "base/util.h"
#include "dma/pages.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of one request, beside its data: header, arguments, out header, structs, and pieces that cross.
 */
#define PIECES_BESIDE_DATA 8U

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
		.lanes = 1,
	};
	/* With one CPU whoever spins keeps those from running that it waits for. */
	if (!sched_getaffinity(0, sizeof(cpus), &cpus) && CPU_COUNT(&cpus) == 1)
		config->spin_us = 0;
}

void viofs_relay_arena_sizes(const struct viofs_relay_config *config,
			     size_t sizes[VIOFS_ARENA_SECTIONS])
{
	sizes[VIOFS_ARENA_PRIVATE] += sizeof(struct viofs_relay_stats) + 64 +
				      config->lanes * sizeof(struct viofs_lane_stats) + 64;
	viofs_entries_arena_sizes(config->queues * config->depth, config->lanes, sizes);
	viofs_slots_arena_sizes((uint16_t)config->slots, (uint16_t)config->buffers,
				config->max_data, sizes);
}

uint64_t viofs_relay_memory(const struct viofs_relay_config *config)
{
	/* Rings share the slots' sections, and may take a page of those more. */
	uint64_t sum = VIOFS_HUGEPAGE_SIZE;
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };

	viofs_relay_arena_sizes(config, sizes);
	for (int i = 0; i < VIOFS_ARENA_SECTIONS; i++)
		sum += viofs_align_up(sizes[i], VIOFS_HUGEPAGE_SIZE);
	return sum;
}

/*
 * In single pages a transfer takes a descriptor for each of them, and a chain may not be longer
 * than the queue (virtio 1.3 2.7.5.3.1) nor than a slot's indirect table.
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
	r->indirect = fs->virtio->negotiated & VIOFS_VIRTIO_F_INDIRECT_DESC;
	r->config.max_data = max_data(r);
	r->stats = viofs_arena_alloc(arena, VIOFS_ARENA_PRIVATE, sizeof(*r->stats), 64);
	viofs_slots_init(&r->slots, (uint16_t)config->slots, (uint16_t)config->buffers,
			 config->max_data, arena);
	viofs_team_init(&r->team);
	if (viofs_hiprio_init(r) || viofs_lanes_new(r)) {
		viofs_relay_free(r);
		return viofs_err_set(err, -ENOMEM, "out of memory");
	}
	r->stats->channel = VIOFS_CHANNEL_DEV;
	r->stats->lanes = r->lane_count;
	*out = r;
	return 0;
}

void viofs_relay_free(struct viofs_relay *r)
{
	if (!r)
		return;
	viofs_team_end(r);
	/* A thread that is stuck in a reply still looks at all of this when it comes back. */
	if (!viofs_lanes_free(r))
		return;
	viofs_notify_stop(r);
	viofs_doorbells_fini(&r->doorbells);
	viofs_hiprio_fini(r);
	free(r);
}

static void add_lane(struct viofs_relay_stats *sum, const struct viofs_lane_stats *l)
{
	sum->replies += l->replies;
	sum->errors += l->errors;
	sum->faults += l->faults;
	sum->refused += l->refused;
	sum->bytes_read += l->bytes_read;
	sum->bytes_written += l->bytes_written;
	sum->sleeps += l->sleeps;
	sum->handovers += l->handovers;
	sum->parked_total += l->parked_total;
	sum->parked += l->parked;
	sum->parked_max += l->parked_max;
	sum->quirks |= l->quirks;
	if (l->last_fault[0])
		memcpy(sum->last_fault, l->last_fault, sizeof(sum->last_fault));
}

void viofs_relay_stats_read(const struct viofs_relay *r, struct viofs_relay_stats *out)
{
	*out = *r->stats;
	for (unsigned int i = 0; i < r->lane_count; i++)
		add_lane(out, r->lanes[i].stats);
}

enum viofs_session viofs_relay_session(const struct viofs_relay *r)
{
	return r->stats->session;
}

int64_t viofs_relay_oldest_ns(const struct viofs_relay *r)
{
	int64_t now = viofs_now_ns(), oldest = 0;

	for (unsigned int i = 0; i < r->config.slots; i++) {
		const struct viofs_slot *slot = &r->slots.slots[i];

		if (slot->state == VIOFS_SLOT_QUEUED || slot->state == VIOFS_SLOT_WAITING)
			oldest = VIOFS_MAX(oldest, now - slot->since);
	}
	return oldest;
}

int64_t viofs_relay_unanswered_ns(const struct viofs_relay *r)
{
	int64_t now = viofs_now_ns(), oldest = 0;

	for (unsigned int i = 0; i < r->config.slots; i++) {
		const struct viofs_slot *slot = &r->slots.slots[i];
		bool waits = slot->state == VIOFS_SLOT_QUEUED || slot->state == VIOFS_SLOT_WAITING;

		if (waits && !slot->shape.may_wait)
			oldest = VIOFS_MAX(oldest, now - slot->since);
	}
	return oldest;
}

unsigned int viofs_relay_turns(const struct viofs_relay *r, uint64_t turns[VIOFS_LANES_MAX])
{
	for (unsigned int i = 0; i < r->lane_count; i++)
		turns[i] = r->lanes[i].stats->turns;
	return r->lane_count;
}

bool viofs_relay_has_beat(const struct viofs_relay *r)
{
	return r->config.timeout_ms && r->stats->channel == VIOFS_CHANNEL_URING;
}

bool viofs_relay_is_lost(const struct viofs_relay *r)
{
	return r->stats->session == VIOFS_SESSION_LOST;
}

unsigned int viofs_relay_slots_used(const struct viofs_relay *r)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->config.slots; i++)
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
	static const char *const names[] = { "starting", "serving", "ending",
					     "ended",    "failed",  "lost" };

	return (unsigned int)session < VIOFS_ARRAY_SIZE(names) ? names[session] : "unknown";
}

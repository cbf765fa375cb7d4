/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the parts of a session's state are: laid out, and found again (state.h). */
#ifndef VIOFS_RELAY_LAYOUT_H
#define VIOFS_RELAY_LAYOUT_H

#include "base/err.h"
#include "relay/parking.h"
#include "relay/slots.h"
#include "relay/state.h"
#include "relay/stats.h"

/* With as much parked as may be, requests are read all the same now and then, so far (pump.c). */
#define VIOFS_LAYOUT_PEEK_BYTES ((size_t)16 << 20)

/* Bytes of plain memory beside a buffer's: what a slot holds of a message. */
#define VIOFS_LAYOUT_PLAIN(max_data) ((size_t)VIOFS_SLOT_SMALL + (max_data))

/** struct viofs_layout_parking - one kind of parking, of all lanes */
struct viofs_layout_parking {
	struct viofs_parking_bounds max;
	struct viofs_parked *blocks; /* max.block_count for each lane, likewise data */
	uint8_t *data;
};

/** struct viofs_layout - the parts, at this process's addresses */
struct viofs_layout {
	struct viofs_session_state *session;
	struct viofs_relay_stats *stats;
	struct viofs_lane_stats *lane_stats;
	struct viofs_lane_state *lanes;
	struct viofs_slots_tables slots;
	struct viofs_hiprio_state *hiprio;
	struct viofs_interrupt *interrupts; /* by slot */
	struct fuse_forget_one *forgotten;  /* VIOFS_FORGOTTEN_MAX */
	uint8_t *plain;                     /* for each lane */
	size_t plain_size;
	struct viofs_layout_parking parked, locks, letters;
	struct viofs_lane_latency *latency;
};

/** viofs_layout_sizes() - add what @config needs, but slots, buffers and entries. */
void viofs_layout_sizes(const struct viofs_relay_config *config,
			size_t sizes[VIOFS_ARENA_SECTIONS]);

/** viofs_layout_new() - memory for all of it, slots and buffers too; nothing is written there yet.
 */
void viofs_layout_new(const struct viofs_relay_config *config, struct viofs_arena *arena,
		      struct viofs_layout *out);

struct viofs_relay;

/** viofs_layout_publish() - write header and table of contents, of a relay that is laid out. */
void viofs_layout_publish(const struct viofs_relay *r);

/**
 * viofs_layout_check() - is this a header of ours, of this version, with tables that can be?
 * What is private is in the private memory, and no two tables share any. Return: 0 or -EPROTO with
 * @err.
 */
int viofs_layout_check(const struct viofs_arena *arena, struct viofs_err *err);

/**
 * viofs_layout_find() - the table of this kind and index
 * @count, @size: elements that it must have, of so many bytes. Return: NULL: it isn't there, or
 * isn't that large.
 */
void *viofs_layout_find(const struct viofs_arena *arena, enum viofs_state_kind kind, uint32_t index,
			uint64_t count, size_t size);

/** viofs_layout_adopt() - find what viofs_layout_new() has made. Return: 0; -EPROTO with @err. */
int viofs_layout_adopt(const struct viofs_arena *arena, struct viofs_layout *out,
		       struct viofs_err *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of contents of a session's state. */
#include "relay/layout.h"
#include "base/page.h"
#include "base/util.h"
#include "fs/notification.h"
#include "relay/session.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define PAGE VIOFS_PAGE_LEAST /* of the layout, whatever the machine */
#define ALIGN 64U
/* The least that anything has in the device's memory. */
#define DEVICE_ALIGN 16U
#define PARKED_BYTES ((size_t)16 << 20)
#define LOCKS_PARKED 4096U
#define LOCK_BYTES 128U
#define LETTERS 256U

/* What may be parked: any request; SETLKWs; INTERRUPTs for another lane. */
static void set_bounds(const struct viofs_relay_config *c, struct viofs_layout *l)
{
	uint32_t largest = (uint32_t)VIOFS_LAYOUT_PLAIN(c->max_data);

	l->plain_size = largest;
	l->parked.max = (struct viofs_parking_bounds){
		.block_size = PAGE,
		.block_count = (uint32_t)((PARKED_BYTES + VIOFS_LAYOUT_PEEK_BYTES) / PAGE) +
			       3 * (largest / PAGE + 1),
		.largest = largest,
		.count = UINT32_MAX,
		.bytes = PARKED_BYTES,
	};
	l->locks.max = (struct viofs_parking_bounds){
		.block_size = LOCK_BYTES,
		.block_count = LOCKS_PARKED + 1,
		.largest = LOCK_BYTES,
		.count = LOCKS_PARKED,
		.bytes = SIZE_MAX,
	};
	l->letters.max = (struct viofs_parking_bounds){
		.block_size = LOCK_BYTES,
		.block_count = LETTERS,
		.largest = LOCK_BYTES,
		.count = UINT32_MAX,
		.bytes = SIZE_MAX,
	};
}

void viofs_layout_sizes(const struct viofs_relay_config *c, size_t sizes[VIOFS_ARENA_SECTIONS])
{
	struct viofs_layout l;

	set_bounds(c, &l);
	sizes[VIOFS_ARENA_PRIVATE] +=
		sizeof(struct viofs_session_state) + sizeof(struct viofs_relay_stats) +
		sizeof(struct viofs_hiprio_state) +
		c->lanes * (sizeof(struct viofs_lane_stats) + sizeof(struct viofs_lane_state)) +
		c->slots * sizeof(struct viofs_interrupt) + 6 * ALIGN;
	sizes[VIOFS_ARENA_SPARSE] += VIOFS_FORGOTTEN_MAX * sizeof(struct fuse_forget_one) +
				     c->lanes * viofs_align_up(l.plain_size, PAGE) +
				     c->lanes * sizeof(struct viofs_lane_latency) + 3 * PAGE;
	viofs_parking_sizes(&l.parked.max, c->lanes, sizes);
	viofs_parking_sizes(&l.locks.max, c->lanes, sizes);
	viofs_parking_sizes(&l.letters.max, c->lanes, sizes);
}

static void alloc_parking(struct viofs_arena *a, uint32_t lanes, struct viofs_layout_parking *p)
{
	size_t count = (size_t)lanes * p->max.block_count;

	p->data = viofs_arena_alloc(a, VIOFS_ARENA_SPARSE, count * p->max.block_size, PAGE);
	p->blocks = viofs_arena_alloc(a, VIOFS_ARENA_SPARSE, count * sizeof(*p->blocks), ALIGN);
}

void viofs_layout_new(const struct viofs_relay_config *c, struct viofs_arena *a,
		      struct viofs_layout *l)
{
	memset(l, 0, sizeof(*l));
	set_bounds(c, l);
	l->session = viofs_arena_alloc(a, VIOFS_ARENA_PRIVATE, sizeof(*l->session), ALIGN);
	l->stats = viofs_arena_alloc(a, VIOFS_ARENA_PRIVATE, sizeof(*l->stats), ALIGN);
	l->lane_stats =
		viofs_arena_alloc(a, VIOFS_ARENA_PRIVATE, c->lanes * sizeof(*l->lane_stats), ALIGN);
	l->lanes = viofs_arena_alloc(a, VIOFS_ARENA_PRIVATE, c->lanes * sizeof(*l->lanes), ALIGN);
	l->hiprio = viofs_arena_alloc(a, VIOFS_ARENA_PRIVATE, sizeof(*l->hiprio), ALIGN);
	l->interrupts =
		viofs_arena_alloc(a, VIOFS_ARENA_PRIVATE, c->slots * sizeof(*l->interrupts), ALIGN);
	l->forgotten = viofs_arena_alloc(a, VIOFS_ARENA_SPARSE,
					 VIOFS_FORGOTTEN_MAX * sizeof(*l->forgotten), PAGE);
	l->plain = viofs_arena_alloc(a, VIOFS_ARENA_SPARSE,
				     c->lanes * viofs_align_up(l->plain_size, PAGE), PAGE);
	alloc_parking(a, c->lanes, &l->parked);
	alloc_parking(a, c->lanes, &l->locks);
	alloc_parking(a, c->lanes, &l->letters);
	l->latency = viofs_arena_alloc(a, VIOFS_ARENA_SPARSE, c->lanes * sizeof(*l->latency), PAGE);
	viofs_slots_alloc((uint16_t)c->slots, (uint16_t)c->buffers, c->max_data, a, &l->slots);
}

/* A table of contents as it grows. */
struct contents {
	const struct viofs_arena *arena;
	struct viofs_state_header *header;
};

static void list(struct contents *c, enum viofs_state_kind kind, uint32_t index, const void *p,
		 uint64_t count, size_t size)
{
	struct viofs_state_table *t = &c->header->table[c->header->tables];
	bool is_private;

	assert(c->header->tables < VIOFS_STATE_TABLES_MAX);
	t->kind = kind;
	t->index = index;
	t->offset = viofs_arena_offset(c->arena, p, &is_private);
	t->is_private = is_private;
	t->count = (uint32_t)count;
	t->len = count * size;
	c->header->tables++;
}

static void list_parking(struct contents *c, enum viofs_state_kind kind, uint32_t lanes,
			 const struct viofs_layout_parking *p)
{
	uint64_t count = (uint64_t)lanes * p->max.block_count;

	list(c, kind, 0, p->blocks, count, sizeof(*p->blocks));
	list(c, (enum viofs_state_kind)(kind + 1), 0, p->data, count, p->max.block_size);
}

static void list_ring(struct contents *c, uint32_t index, const struct viofs_ring *ring)
{
	struct viofs_ring_layout l;

	if (!ring->shadow)
		return; /* the device isn't started */
	l = viofs_ring_layout(ring->size, ring->shadow->flags);
	list(c, VIOFS_STATE_SHADOW, index, ring->shadow, 1, viofs_ring_shadow_bytes(ring->size));
	list(c, VIOFS_STATE_DESC, index, ring->desc, 1, l.desc);
	list(c, VIOFS_STATE_DRIVER, index, ring->driver, 1, l.driver);
	list(c, VIOFS_STATE_DEVICE, index, ring->device, 1, l.device);
}

static void list_rings(struct contents *c, const struct viofs_fs *fs)
{
	const struct viofs_fs_notification *n = fs->notification;

	for (unsigned int q = 0; q < fs->queue_count; q++)
		list_ring(c, q, &fs->queues[q].ring);
	if (!n)
		return;
	list_ring(c, fs->queue_count, &n->queue.ring);
	list(c, VIOFS_STATE_NOTIFY, 0, n->memory, 1, viofs_fs_notification_bytes(fs));
}

static void list_slots(struct contents *c, const struct viofs_relay_config *config,
		       const struct viofs_slots_tables *t)
{
	uint32_t all = config->slots + VIOFS_SLOTS_HIPRIO;

	list(c, VIOFS_STATE_SLOTS, 0, t->slots, all, sizeof(*t->slots));
	list(c, VIOFS_STATE_IN_BUFFER, 0, t->in_buffer, config->buffers, sizeof(*t->in_buffer));
	list(c, VIOFS_STATE_IN_SLOT, 0, t->in_slot, all, sizeof(*t->in_slot));
	list(c, VIOFS_STATE_REQUESTS, 0, t->requests, all, VIOFS_SLOT_REQUEST);
	list(c, VIOFS_STATE_REPLIES, 0, t->replies, all, VIOFS_SLOT_REPLY);
	list(c, VIOFS_STATE_DATA, 0, t->data, all, VIOFS_SLOT_DATA);
	list(c, VIOFS_STATE_BUFFERS, 0, t->buffers, config->buffers, config->max_data);
}

static void list_lanes(struct contents *c, const struct viofs_relay *r)
{
	const struct viofs_layout *l = &r->layout;
	uint32_t lanes = l->session->config.lanes;

	list(c, VIOFS_STATE_LANE_STATS, 0, l->lane_stats, lanes, sizeof(*l->lane_stats));
	list(c, VIOFS_STATE_LANES, 0, l->lanes, lanes, sizeof(*l->lanes));
	list(c, VIOFS_STATE_PLAIN, 0, l->plain, lanes, viofs_align_up(l->plain_size, PAGE));
	list_parking(c, VIOFS_STATE_PARKED, lanes, &l->parked);
	list_parking(c, VIOFS_STATE_LOCKS, lanes, &l->locks);
	list_parking(c, VIOFS_STATE_LETTERS, lanes, &l->letters);
	list(c, VIOFS_STATE_LATENCY, 0, l->latency, lanes, sizeof(*l->latency));
	for (unsigned int i = 0; i < r->lane_count; i++) {
		const struct viofs_entries *e = &r->lanes[i].entries;

		if (!e->count)
			continue;
		list(c, VIOFS_STATE_ENTRIES, i, e->entry, e->count, sizeof(*e->entry));
		list(c, VIOFS_STATE_ARRIVED, i, e->arrived, e->count, sizeof(*e->arrived));
	}
}

void viofs_layout_publish(const struct viofs_relay *r)
{
	const struct viofs_layout *l = &r->layout;
	struct viofs_state_header *h = viofs_arena_head(r->arena);
	struct contents c = { r->arena, h };
	size_t arena_bytes;
	const void *arena_state = viofs_arena_state(r->arena, &arena_bytes);

	memset(h, 0, sizeof(*h));
	list(&c, VIOFS_STATE_ARENA, 0, arena_state, 1, arena_bytes);
	list(&c, VIOFS_STATE_SESSION, 0, l->session, 1, sizeof(*l->session));
	list(&c, VIOFS_STATE_STATS, 0, l->stats, 1, sizeof(*l->stats));
	list(&c, VIOFS_STATE_HIPRIO, 0, l->hiprio, 1, sizeof(*l->hiprio));
	list(&c, VIOFS_STATE_INTERRUPTS, 0, l->interrupts, r->config.slots, sizeof(*l->interrupts));
	list(&c, VIOFS_STATE_FORGOTTEN, 0, l->forgotten, VIOFS_FORGOTTEN_MAX,
	     sizeof(*l->forgotten));
	list_slots(&c, &l->session->config, &l->slots);
	list_lanes(&c, r);
	list_rings(&c, r->fs);
	h->size = viofs_arena_private_size(r->arena);
	h->device_size = viofs_arena_device_size(r->arena);
	h->version = VIOFS_STATE_VERSION;
	h->magic = VIOFS_STATE_MAGIC;
}

/* What the device touches is in its memfd; all else is in the private one. */
static bool is_devices(uint32_t kind)
{
	switch (kind) {
	case VIOFS_STATE_REQUESTS:
	case VIOFS_STATE_REPLIES:
	case VIOFS_STATE_DATA:
	case VIOFS_STATE_BUFFERS:
	case VIOFS_STATE_DESC:
	case VIOFS_STATE_DRIVER:
	case VIOFS_STATE_DEVICE:
	case VIOFS_STATE_NOTIFY:
		return true;
	default:
		return false;
	}
}

/* Where this process has the arena's own state, which viofs_arena_adopt() has checked. */
static bool is_arenas(const struct viofs_arena *a, const struct viofs_state_table *t)
{
	size_t len;
	const void *at = viofs_arena_state(a, &len);

	return t->len == len && viofs_arena_at(a, true, t->offset, len) == at;
}

static bool is_table_sane(const struct viofs_arena *a, const struct viofs_state_table *t)
{
	bool devices = is_devices(t->kind);

	if (t->is_private != !devices || t->offset % (devices ? DEVICE_ALIGN : ALIGN) ||
	    !viofs_arena_at(a, !devices, t->offset, t->len))
		return false;
	if (t->kind == VIOFS_STATE_ARENA)
		return is_arenas(a, t);
	return devices || t->offset >= VIOFS_ARENA_HEAD;
}

static bool overlap(const struct viofs_state_table *a, const struct viofs_state_table *b)
{
	return a->is_private == b->is_private && a->offset < b->offset + b->len &&
	       b->offset < a->offset + a->len;
}

/* Tables must not overlap each other, and private ones must not lie where the device writes.
 */
static bool are_tables_sane(const struct viofs_arena *a)
{
	const struct viofs_state_header *h = viofs_arena_head(a);
	bool has_arena = false;

	for (uint32_t i = 0; i < h->tables; i++) {
		if (!is_table_sane(a, &h->table[i]))
			return false;
		has_arena |= h->table[i].kind == VIOFS_STATE_ARENA;
		for (uint32_t k = 0; k < i; k++)
			if (overlap(&h->table[i], &h->table[k]))
				return false;
	}
	return has_arena;
}

int viofs_layout_check(const struct viofs_arena *a, struct viofs_err *err)
{
	const struct viofs_state_header *h = viofs_arena_head(a);

	if (h->magic != VIOFS_STATE_MAGIC)
		return viofs_err_set(err, -EPROTO, "there is no session's state");
	if (h->version != VIOFS_STATE_VERSION || h->features)
		return viofs_err_set(err, -EPROTO,
				     "the session's state is of version %u (features 0x%x), and "
				     "this program knows version %u",
				     h->version, h->features, VIOFS_STATE_VERSION);
	if (h->size != viofs_arena_private_size(a) ||
	    h->device_size != viofs_arena_device_size(a) || h->tables > VIOFS_STATE_TABLES_MAX)
		return viofs_err_set(err, -EPROTO, "the session's state isn't complete");
	if (!are_tables_sane(a))
		return viofs_err_set(err, -EPROTO,
				     "the session's state has tables where there can't be any");
	return 0;
}

void *viofs_layout_find(const struct viofs_arena *a, enum viofs_state_kind kind, uint32_t index,
			uint64_t count, size_t size)
{
	const struct viofs_state_header *h = viofs_arena_head(a);
	uint32_t tables = VIOFS_MIN(h->tables, VIOFS_STATE_TABLES_MAX);

	for (uint32_t i = 0; i < tables; i++) {
		/* Copy it once: its writer may still be writing. */
		const struct viofs_state_table t = h->table[i];

		if (t.kind != kind || t.index != index)
			continue;
		if (t.count != count || t.len != count * size)
			return NULL;
		return viofs_arena_at(a, t.is_private, t.offset, t.len);
	}
	return NULL;
}

static bool find_parking(const struct viofs_arena *a, enum viofs_state_kind kind, uint32_t lanes,
			 struct viofs_layout_parking *p)
{
	uint64_t count = (uint64_t)lanes * p->max.block_count;

	p->blocks = viofs_layout_find(a, kind, 0, count, sizeof(*p->blocks));
	p->data = viofs_layout_find(a, (enum viofs_state_kind)(kind + 1), 0, count,
				    p->max.block_size);
	return p->blocks && p->data;
}

static bool find_slots(const struct viofs_arena *a, const struct viofs_relay_config *c,
		       struct viofs_slots_tables *t)
{
	uint32_t all = c->slots + VIOFS_SLOTS_HIPRIO;

	t->slots = viofs_layout_find(a, VIOFS_STATE_SLOTS, 0, all, sizeof(*t->slots));
	t->in_buffer =
		viofs_layout_find(a, VIOFS_STATE_IN_BUFFER, 0, c->buffers, sizeof(*t->in_buffer));
	t->in_slot = viofs_layout_find(a, VIOFS_STATE_IN_SLOT, 0, all, sizeof(*t->in_slot));
	t->requests = viofs_layout_find(a, VIOFS_STATE_REQUESTS, 0, all, VIOFS_SLOT_REQUEST);
	t->replies = viofs_layout_find(a, VIOFS_STATE_REPLIES, 0, all, VIOFS_SLOT_REPLY);
	t->data = viofs_layout_find(a, VIOFS_STATE_DATA, 0, all, VIOFS_SLOT_DATA);
	t->buffers = viofs_layout_find(a, VIOFS_STATE_BUFFERS, 0, c->buffers, c->max_data);
	return t->slots && t->in_buffer && t->in_slot && t->requests && t->replies && t->data &&
	       t->buffers;
}

static bool find_lanes(const struct viofs_arena *a, const struct viofs_relay_config *c,
		       struct viofs_layout *l)
{
	l->lane_stats =
		viofs_layout_find(a, VIOFS_STATE_LANE_STATS, 0, c->lanes, sizeof(*l->lane_stats));
	l->lanes = viofs_layout_find(a, VIOFS_STATE_LANES, 0, c->lanes, sizeof(*l->lanes));
	l->plain = viofs_layout_find(a, VIOFS_STATE_PLAIN, 0, c->lanes,
				     viofs_align_up(l->plain_size, PAGE));
	l->latency = viofs_layout_find(a, VIOFS_STATE_LATENCY, 0, c->lanes, sizeof(*l->latency));
	return l->lane_stats && l->lanes && l->plain && l->latency &&
	       find_parking(a, VIOFS_STATE_PARKED, c->lanes, &l->parked) &&
	       find_parking(a, VIOFS_STATE_LOCKS, c->lanes, &l->locks) &&
	       find_parking(a, VIOFS_STATE_LETTERS, c->lanes, &l->letters);
}

/* The rest needs sizes that a session can have. */
static bool is_sane(const struct viofs_relay_config *c)
{
	return c->lanes && c->lanes <= VIOFS_LANES_MAX && c->slots && c->slots < 32768 &&
	       c->buffers && c->buffers <= VIOFS_RELAY_BUFFERS_MAX && c->max_data >= PAGE &&
	       c->max_data <= 1U << 20 && c->poll <= VIOFS_POLL_IRQ &&
	       c->channel <= VIOFS_CHANNEL_DEV && c->loop <= VIOFS_LOOP_EPOLL &&
	       c->queues <= 65536 && c->depth <= 64 && c->queues * c->depth <= c->slots &&
	       c->queues * c->depth <= c->buffers;
}

int viofs_layout_adopt(const struct viofs_arena *a, struct viofs_layout *l, struct viofs_err *err)
{
	struct viofs_relay_config c;

	memset(l, 0, sizeof(*l));
	l->session = viofs_layout_find(a, VIOFS_STATE_SESSION, 0, 1, sizeof(*l->session));
	l->stats = viofs_layout_find(a, VIOFS_STATE_STATS, 0, 1, sizeof(*l->stats));
	l->hiprio = viofs_layout_find(a, VIOFS_STATE_HIPRIO, 0, 1, sizeof(*l->hiprio));
	if (!l->session || !l->stats || !l->hiprio)
		return viofs_err_set(err, -EPROTO, "the session's state lacks a part");
	c = l->session->config;
	if (!is_sane(&c))
		return viofs_err_set(err, -EPROTO,
				     "the session's state has sizes that make no "
				     "sense");
	set_bounds(&c, l);
	l->interrupts =
		viofs_layout_find(a, VIOFS_STATE_INTERRUPTS, 0, c.slots, sizeof(*l->interrupts));
	l->forgotten = viofs_layout_find(a, VIOFS_STATE_FORGOTTEN, 0, VIOFS_FORGOTTEN_MAX,
					 sizeof(*l->forgotten));
	if (!l->interrupts || !l->forgotten || !find_slots(a, &c, &l->slots) ||
	    !find_lanes(a, &c, l))
		return viofs_err_set(err, -EPROTO, "the session's state lacks a part");
	return 0;
}

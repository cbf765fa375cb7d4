/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests that workers die of.
 *
 * A worker that crashes does so in the middle of something: it reads a request, puts it on a ring,
 * or gives its answer to the kernel. The state shows of each lane which requests these are, and a
 * successor takes them up first of all. If one of them is to blame, the successor crashes at the
 * same place. So the requests of a crash are noted in the state, and one that is among them twice
 * in a row is answered with EIO. Nothing is noted on a request's way.
 *
 * A worker that is killed by SIGKILL has not crashed: an administrator, or the OOM killer, chose
 * the time.
 */
#include "relay/quarantine.h"
#include "base/log.h"
#include "fuse/opcodes.h"
#include "relay/answer.h"
#include "relay/session.h"

#include <errno.h>
#include <stdlib.h>

int viofs_quarantine_init(struct viofs_quarantine *q, const struct viofs_relay *r)
{
	*q = (struct viofs_quarantine){ .before = calloc(r->config.slots, 1) };
	if (!q->before)
		return -ENOMEM;
	for (unsigned int i = 0; i < r->config.slots; i++)
		q->before[i] = r->slots.slots[i].state;
	return 0;
}

void viofs_quarantine_fini(struct viofs_quarantine *q)
{
	free(q->before);
	q->before = NULL;
}

static bool has(const uint64_t *uniques, unsigned int count, uint64_t unique)
{
	for (unsigned int i = 0; i < count; i++)
		if (uniques[i] == unique)
			return unique;
	return false;
}

/* Where there are too many the rest are none. */
static unsigned int find_suspects(const struct viofs_quarantine *q, const struct viofs_relay *r,
				  const bool *on_ring, uint64_t suspects[VIOFS_SUSPECTS_MAX])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->layout.session->lanes && n < VIOFS_SUSPECTS_MAX; i++)
		if (r->layout.lanes[i].head.len)
			suspects[n++] = r->layout.lanes[i].head.unique;
	for (unsigned int i = 0; i < r->config.slots && n < VIOFS_SUSPECTS_MAX; i++)
		if (q->before[i] == VIOFS_SLOT_REPLYING ||
		    (q->before[i] == VIOFS_SLOT_QUEUED && !on_ring[i]))
			suspects[n++] = r->slots.slots[i].kernel_unique;
	return n;
}

void viofs_quarantine_judge(struct viofs_quarantine *q, struct viofs_relay *r, const bool *on_ring)
{
	uint64_t suspects[VIOFS_SUSPECTS_MAX] = { 0 }, *noted = r->layout.session->suspects;
	unsigned int n = find_suspects(q, r, on_ring, suspects);

	for (unsigned int i = 0; i < n; i++)
		if (has(noted, VIOFS_SUSPECTS_MAX, suspects[i]))
			q->condemned[q->count++] = suspects[i];
	for (unsigned int i = 0; i < VIOFS_SUSPECTS_MAX; i++)
		noted[i] = suspects[i];
}

static void say(const char *what, uint32_t opcode, uint64_t unique, uint64_t nodeid)
{
	const char *name = viofs_fuse_opcode_name(opcode);

	viofs_error(
		"two workers in a row have died of a request, %s of node %llu (unique %llu): %s",
		name ? name : "?", (unsigned long long)nodeid, (unsigned long long)unique, what);
}

/* The answer that the dead one was looking at, if it is on the ring still. */
static bool take_off(struct viofs_lane *lane, const struct viofs_slot *slot)
{
	struct viofs_ring *ring = &lane->relay->fs->queues[slot->queue].ring;
	struct viofs_ring_used used;

	if (viofs_ring_peek(ring, &used) != 1 || used.token != slot->index)
		return false;
	viofs_ring_pop(ring, &used);
	return true;
}

bool viofs_quarantine_end_slot(const struct viofs_quarantine *q, struct viofs_lane *lane,
			       struct viofs_slot *slot)
{
	if (slot->state < VIOFS_SLOT_WAITING || !has(q->condemned, q->count, slot->kernel_unique))
		return false;
	if (slot->state == VIOFS_SLOT_QUEUED && !take_off(lane, slot))
		return false;
	say("it is answered with EIO", slot->shape.opcode, slot->kernel_unique, slot->nodeid);
	viofs_answer_slot(lane, slot, -EIO);
	viofs_answer_release(lane, slot);
	return true;
}

bool viofs_quarantine_end_head(const struct viofs_quarantine *q, struct viofs_lane *lane)
{
	const struct fuse_in_header *head = &lane->state->head;
	bool is_answered = head->opcode != FUSE_FORGET && head->opcode != FUSE_BATCH_FORGET &&
			   head->opcode != FUSE_INTERRUPT;

	if (!has(q->condemned, q->count, head->unique))
		return false;
	say(is_answered ? "it is answered with EIO" : "it is left out", head->opcode, head->unique,
	    head->nodeid);
	if (is_answered)
		viofs_answer(lane, head->unique, -EIO);
	return true;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* INTERRUPTs that the kernel sends: which request it is, and what that needs. */
#include "relay/interrupt.h"
#include "base/util.h"
#include "kernel/devfuse.h"
#include "relay/answer.h"
#include "relay/hiprio.h"
#include "relay/mailbox.h"
#include "relay/session.h"
#include "relay/submit.h"

#include <errno.h>
#include <string.h>

/* An INTERRUPT that goes from lane to lane. */
struct letter {
	struct fuse_in_header head;
	struct fuse_interrupt_in in;
	uint32_t origin; /* the lane that it isn't passed to again */
};

static struct viofs_slot *find_queued(struct viofs_lane *lane, uint64_t kernel_unique)
{
	for (unsigned int i = 0; i < lane->slots.count; i++) {
		struct viofs_slot *slot = viofs_slots_at(&lane->slots, i);

		if (slot->state == VIOFS_SLOT_QUEUED && slot->kernel_unique == kernel_unique)
			return slot;
	}
	return NULL;
}

/* The kernel finds a request only through the /dev/fuse descriptor that it was read from. */
static void answer_interrupt(struct viofs_lane *lane, uint64_t unique, int error)
{
	struct viofs_relay *r = lane->relay;
	int rc = -ENOENT;

	for (unsigned int i = 0; i < r->lane_count && rc == -ENOENT; i++)
		rc = viofs_devfuse_error(r->lanes[(lane->index + i) % r->lane_count].fuse_fd,
					 unique, error);
	lane->stats->replies++;
}

/* A lock that the lane has not sent yet is simply answered with EINTR. Return: false: it has no
 * such lock. */
static bool give_up_lock(struct viofs_lane *lane, uint64_t kernel_unique)
{
	if (!viofs_submit_cancel(lane, kernel_unique)) {
		const struct viofs_parked *parked = viofs_parking_find(&lane->locks, kernel_unique);

		if (!parked)
			return false;
		viofs_parking_drop(&lane->locks, parked);
	}
	/* Count anew what is parked. */
	lane->freed = true;
	viofs_answer(lane, kernel_unique, -EINTR);
	return true;
}

/*
 * INTERRUPT names the request by the kernel's unique; the device knows it by ours. A request that
 * has ended needs none (no reply is legal, Documentation/filesystems/fuse: "Interrupting filesystem
 * operations"). One that this lane doesn't have another one may have; it has it by now, since the
 * kernel has an INTERRUPT read only after the request.
 */
static void follow_interrupt(struct viofs_lane *lane, struct letter *l)
{
	struct viofs_relay *r = lane->relay;
	unsigned int next = (lane->index + 1) % r->lane_count;
	struct viofs_slot *slot = find_queued(lane, l->in.unique);

	if (slot) {
		if (slot->shape.may_wait)
			viofs_hiprio_keep_interrupt(lane, slot, l->head.unique);
		return;
	}
	if (give_up_lock(lane, l->in.unique) || next == l->origin)
		return;
	/* No memory to pass it on: ask the kernel to send it again. */
	if (viofs_mailbox_pass(&r->lanes[next], l, sizeof(*l)))
		answer_interrupt(lane, l->head.unique, -EAGAIN);
}

void viofs_interrupt_handle(struct viofs_lane *lane, const uint8_t *message, size_t len)
{
	struct letter l = { .origin = lane->index };

	memcpy(&l, message, VIOFS_MIN(len, sizeof(l.head) + sizeof(l.in)));
	if (lane->relay->conn.remote_locks)
		follow_interrupt(lane, &l);
	else
		answer_interrupt(lane, l.head.unique, -ENOSYS);
}

void viofs_interrupt_handle_mail(struct viofs_lane *lane)
{
	struct letter l;
	size_t len;

	while (viofs_mailbox_read(&lane->mailbox, &l, sizeof(l), &len)) {
		/* A dead process's letter may say anything, or nothing. */
		if (len == sizeof(l) && l.origin < lane->relay->lane_count)
			follow_interrupt(lane, &l);
		viofs_mailbox_drop(&lane->mailbox);
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every request is answered with EIO. */
#include "relay/refuse.h"
#include "kernel/devfuse.h"
#include "relay/answer.h"
#include "relay/entry.h"
#include "relay/lane.h"
#include "relay/session.h"

#include <errno.h>
#include <string.h>

/* An INTERRUPT needs no answer: its request was answered already. */
static bool wants_answer(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT &&
	       opcode != FUSE_NOTIFY_REPLY;
}

/* Answer the requests that have arrived in entries. Return: 0 or -errno. */
static int refuse_entries(struct viofs_lane *lane)
{
	struct viofs_entries *e = &lane->entries;

	for (unsigned int i = 0; i < e->count; i++) {
		struct viofs_entry *entry = &e->entry[i];
		struct viofs_slot *slot;

		if (entry->state != VIOFS_ENTRY_ARRIVED)
			continue;
		slot = &lane->slots.slots[entry->slot];
		viofs_entry_reply(lane, slot, wants_answer(entry->header.in.opcode) ? -EIO : 0,
				  NULL, 0, 0);
	}
	e->arrived_count = 0;
	return viofs_loop_flush(&lane->loop);
}

int viofs_refuse(struct viofs_lane *lane)
{
	struct iovec iov = { lane->plain, lane->plain_size };

	/* /dev/fuse was not polled if too much was parked; all of that is answered now. */
	viofs_loop_enable(&lane->loop, VIOFS_LANE_FUSE, true);
	for (;;) {
		ssize_t n = viofs_devfuse_read(lane->fuse_fd, &iov, 1);
		struct fuse_in_header head;

		if (n == -ENODEV || n == -ECONNABORTED)
			return 0;
		if (n >= 0 || n == -EAGAIN) {
			int rc = refuse_entries(lane);

			if (!rc && n == -EAGAIN && !lane->entries.arrived_count)
				rc = viofs_loop_wait(&lane->loop, -1);
			if (rc)
				return rc;
		} else {
			return (int)n;
		}
		if (n < (ssize_t)sizeof(head))
			continue;
		memcpy(&head, lane->plain, sizeof(head));
		if (wants_answer(head.opcode))
			viofs_answer(lane, head.unique, -EIO);
	}
}

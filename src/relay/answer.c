/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers of our own, and the end of each request. */
#include "relay/answer.h"
#include "base/log.h"
#include "base/trace.h"
#include "base/util.h"
#include "kernel/devfuse.h"
#include "relay/entry.h"
#include "relay/hiprio.h"
#include "relay/session.h"
#include "relay/tap.h"

#include <stdio.h>

const char *viofs_answer_name(const struct viofs_fuse_shape *shape)
{
	const char *name = viofs_fuse_opcode_name(shape->opcode);

	return name ? name : "?";
}

void viofs_answer_fault(struct viofs_lane *lane, const struct viofs_slot *slot, const char *what)
{
	const char *name = viofs_answer_name(&slot->shape);

	if (viofs_capture_is_on(lane->capture))
		viofs_tap_write_fault(lane->capture, slot, what);
	VIOFS_PROBE4(fault, lane->index, slot->shape.opcode, slot->kernel_unique, what);
	lane->stats->faults++;
	snprintf(lane->stats->last_fault, sizeof(lane->stats->last_fault), "%s: %s", name, what);
	/* Once, and then less and less often: 1, 2, 4, 8, ... */
	if (viofs_is_power_of_2(lane->stats->faults))
		viofs_log_about(VIOFS_LOG_WARNING,
				&(struct viofs_log_about){ .opcode = name, .rule = what },
				"the device's reply to %s was refused: %s (%llu so far)", name,
				what, (unsigned long long)lane->stats->faults);
}

void viofs_answer(struct viofs_lane *lane, uint64_t unique, int error)
{
	if (viofs_capture_is_on(lane->capture))
		viofs_tap_write_answer(lane->capture, unique, error);
	VIOFS_PROBE4(reply, lane->index, 0, unique, error);
	viofs_devfuse_error(lane->fuse_fd, unique, error);
	lane->stats->replies++;
}

void viofs_answer_slot(struct viofs_lane *lane, struct viofs_slot *slot, int error)
{
	if (slot->entry == VIOFS_SLOT_NO_ENTRY) {
		viofs_answer(lane, slot->kernel_unique, error);
		return;
	}
	if (viofs_capture_is_on(lane->capture))
		viofs_tap_write_answer(lane->capture, slot->kernel_unique, error);
	VIOFS_PROBE4(reply, lane->index, slot->shape.opcode, slot->kernel_unique, error);
	viofs_entry_reply(lane, slot, error, NULL, 0, 0);
	lane->stats->replies++;
}

void viofs_answer_release(struct viofs_lane *lane, struct viofs_slot *slot)
{
	if (slot->shape.may_wait) {
		lane->lockers--;
		viofs_hiprio_settle(lane->relay, slot);
	}
	if (slot->entry == VIOFS_SLOT_NO_ENTRY)
		viofs_slots_give(&lane->slots, slot);
	else
		slot->state = VIOFS_SLOT_LANDING;
	lane->freed = true;
}

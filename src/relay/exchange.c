/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request of our own, and its answer. */
#include "relay/exchange.h"
#include "base/ticks.h"
#include "base/util.h"
#include "relay/outcome.h"
#include "relay/session.h"
#include "relay/submit.h"
#include "relay/tap.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* How often to check that the device is still there. */
#define LOOK_NS (10 * VIOFS_NSEC_PER_MSEC)
#define NAP_US 100

/*
 * Wait for the one completion of a queue that nothing else uses now, kicking again as
 * fs/rekick.h has it. Return: 0 and *@used_len; -ETIMEDOUT; -EPROTO.
 */
static int wait_alone(struct viofs_lane *lane, unsigned int q, int64_t timeout_ns,
		      uint32_t *used_len, bool *rekicked)
{
	int64_t start = viofs_now_ns(), look = LOOK_NS;
	struct viofs_rekick rekick;
	const char *lost = NULL;
	uint32_t token;
	int rc;

	*rekicked = false;
	viofs_rekick_start(&rekick, start, false);
	for (;;) {
		int64_t now = viofs_now_ns(), elapsed = now - start;

		rc = viofs_ring_get(&lane->relay->fs->queues[q].ring, &token, used_len);
		if (rc > 0)
			return 0;
		if (rc < 0)
			return viofs_outcome_break(
				lane->relay, "virtqueue %u: %s", q,
				viofs_ring_broken(&lane->relay->fs->queues[q].ring));
		if (elapsed > timeout_ns)
			return -ETIMEDOUT;
		if (elapsed > look) {
			look = elapsed + LOOK_NS;
			lost = viofs_outcome_device_lost(lane->relay);
		}
		if (lost)
			return viofs_outcome_break(lane->relay, "the device %s", lost);
		if (viofs_rekick_is_due(&rekick, now)) {
			*rekicked = true;
			viofs_tap_kick_always(lane->capture, lane->relay->fs, q);
		}
		usleep(NAP_US);
	}
}

int viofs_exchange(struct viofs_lane *lane, const void *message, size_t len,
		   const struct viofs_fuse_shape *shape, int64_t timeout_ns,
		   struct viofs_slot **slot_out, uint32_t *used_len)
{
	struct viofs_slot *slot = viofs_slots_take(&lane->slots);
	bool rekicked;
	int rc;

	if (!slot)
		return -EAGAIN;
	memcpy(viofs_slot_message(&lane->slots, slot), message, len);
	slot->shape = *shape;
	slot->len = (uint32_t)len;
	slot->since = viofs_now_ns();
	slot->read = slot->sent = viofs_ticks();
	slot->kernel_unique = 0;
	rc = viofs_submit(lane, slot);
	if (rc)
		return rc;
	rc = wait_alone(lane, slot->queue, timeout_ns, used_len, &rekicked);
	if (!rc && rekicked)
		lane->stats->quirks |= VIOFS_QUIRK_LOST_KICK;
	if (rc)
		return rc;
	viofs_tap_done(lane->capture, lane->relay, slot, *used_len);
	*slot_out = slot;
	return 0;
}

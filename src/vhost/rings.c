/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The messages that set up virtqueues, and those for the memory in which the back end lists what is
 * in flight. */
#include "vhost/ask.h"

#include <errno.h>

/* SET_VRING_*'s u64: the descriptor is missing on purpose. */
#define VRING_NO_FD (1ULL << 8)

static int tell_address(struct viofs_vhost *v, unsigned int index, const struct viofs_vhost_ring *r)
{
	const struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_SET_VRING_ADDR,
		.size = sizeof(m.payload.addr),
		.payload.addr = {
			.index = index,
			.desc = r->desc,
			.used = r->device,
			.avail = r->driver,
		},
	};

	return viofs_vhost_tell(v, &m, -1);
}

int viofs_vhost_ring_start(struct viofs_vhost *v, unsigned int index,
			   const struct viofs_vhost_ring *r)
{
	int rc;

	rc = viofs_vhost_tell_state(v, VIOFS_VHOST_SET_VRING_NUM, index, r->size);
	if (!rc)
		rc = viofs_vhost_tell_state(v, VIOFS_VHOST_SET_VRING_BASE, index, r->base);
	if (!rc)
		rc = tell_address(v, index, r);
	if (!rc)
		rc = viofs_vhost_tell_u64(v, VIOFS_VHOST_SET_VRING_ERR, index, v->err_fd);
	/* The ring starts with its first kick, so the call and err eventfds are sent before. */
	if (!rc)
		rc = viofs_vhost_tell_u64(v, VIOFS_VHOST_SET_VRING_CALL,
					  index | (r->call_fd < 0 ? VRING_NO_FD : 0), r->call_fd);
	if (!rc)
		rc = viofs_vhost_tell_u64(v, VIOFS_VHOST_SET_VRING_KICK, index, r->kick_fd);
	if (!rc)
		rc = viofs_vhost_tell_state(v, VIOFS_VHOST_SET_VRING_ENABLE, index, 1);
	return rc;
}

int viofs_vhost_ring_stop(struct viofs_vhost *v, unsigned int index)
{
	struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_GET_VRING_BASE,
		.size = sizeof(m.payload.state),
		.payload.state = { .index = index },
	};
	int rc = viofs_vhost_ask(v, &m);

	/* The answer (how far the ring got) isn't needed: the ring is not started again. */
	if (!rc && (m.size != sizeof(m.payload.state) || m.payload.state.index != index))
		rc = viofs_vhost_lose(v, VIOFS_VHOST_GET_VRING_BASE, -EPROTO);
	return rc;
}

int viofs_vhost_tell_inflight(struct viofs_vhost *v)
{
	const struct viofs_vhost_region *r = &v->inflight;
	const struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_SET_INFLIGHT_FD,
		.size = sizeof(m.payload.inflight),
		.payload.inflight = {
			.mmap_size = r->size,
			.mmap_offset = r->offset,
			.num_queues = r->queues,
			.queue_size = r->entries,
		},
	};

	return viofs_vhost_tell(v, &m, r->fd);
}

int viofs_vhost_track(struct viofs_vhost *v, unsigned int queues, uint16_t entries)
{
	struct viofs_vhost_message m = {
		.request = VIOFS_VHOST_GET_INFLIGHT_FD,
		.size = sizeof(m.payload.inflight),
		.payload.inflight = { .num_queues = (uint16_t)queues, .queue_size = entries },
	};
	int rc = viofs_vhost_ask_with_fd(v, &m, &v->inflight.fd);

	if (rc)
		return rc;
	if (m.size != sizeof(m.payload.inflight) || v->inflight.fd < 0)
		return viofs_vhost_lose(v, VIOFS_VHOST_GET_INFLIGHT_FD, -EPROTO);
	v->inflight.size = m.payload.inflight.mmap_size;
	v->inflight.offset = m.payload.inflight.mmap_offset;
	v->inflight.queues = (uint16_t)queues;
	v->inflight.entries = entries;
	return viofs_vhost_tell_inflight(v);
}

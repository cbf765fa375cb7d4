/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records out of memory that a worker writes, as packets in the order of time.
 *
 * The worker may be a hijacked one: each size is compared with what was copied before it is used,
 * and what makes no sense is dropped with all that came with it.
 */
#include "capture_reader.h"
#include "base/ticks.h"
#include "base/util.h"
#include "relay/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define RING_BYTES (VIOFS_CAPTURE_HEAD + VIOFS_CAPTURE_BYTES)

struct ring {
	const struct viofs_capture_ring *at;
	uint64_t from;   /* bytes of it that were read */
	uint64_t number; /* of the record that comes next */
	uint64_t lost;
	uint8_t *copy; /* VIOFS_CAPTURE_BYTES */
	size_t len, used;
};

struct viofs_reader {
	uint8_t *base;
	size_t size;
	unsigned int count;
	double ticks_per_ns;
	struct ring rings[VIOFS_CAPTURE_RINGS_MAX];
};

static int add_ring(struct viofs_reader *r, unsigned int i)
{
	struct ring *ring = &r->rings[i];

	ring->at = viofs_capture_at(r->base, i);
	ring->from = VIOFS_READ_ONCE(ring->at->head);
	ring->number = VIOFS_READ_ONCE(ring->at->count);
	ring->copy = malloc(VIOFS_CAPTURE_BYTES);
	return ring->copy ? 0 : -ENOMEM;
}

int viofs_reader_new(int fd, struct viofs_reader **out)
{
	struct viofs_reader *r = calloc(1, sizeof(*r));
	struct stat st;
	int rc = 0;

	if (!r)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (size_t)st.st_size % RING_BYTES ||
		 (size_t)st.st_size / RING_BYTES > VIOFS_CAPTURE_RINGS_MAX)
		rc = -EPROTO;
	if (!rc) {
		r->size = (size_t)st.st_size;
		r->base = mmap(NULL, r->size, PROT_READ, MAP_SHARED, fd, 0);
		if (r->base == MAP_FAILED) {
			r->base = NULL;
			rc = -errno;
		}
	}
	if (!rc)
		r->count = (unsigned int)(r->size / RING_BYTES);
	for (unsigned int i = 0; i < r->count && !rc; i++)
		rc = add_ring(r, i);
	r->ticks_per_ns = viofs_ticks_per_ns();
	if (rc)
		viofs_reader_free(r);
	else
		*out = r;
	return rc;
}

void viofs_reader_free(struct viofs_reader *r)
{
	if (!r)
		return;
	for (unsigned int i = 0; i < r->count; i++)
		free(r->rings[i].copy);
	if (r->base)
		munmap(r->base, r->size);
	free(r);
}

unsigned int viofs_reader_rings(const struct viofs_reader *r)
{
	return r->count;
}

const char *viofs_reader_name(const struct viofs_reader *r, unsigned int ring, char out[16])
{
	if (ring + 1 == r->count)
		return "notifications";
	if (ring + 2 == r->count)
		return "hiprio";
	snprintf(out, 16, "lane %u", ring);
	return out;
}

bool viofs_reader_fill(struct viofs_reader *r)
{
	bool any = false;

	for (unsigned int i = 0; i < r->count; i++) {
		struct ring *ring = &r->rings[i];
		ssize_t n;

		if (ring->used == ring->len) {
			n = viofs_capture_get(ring->at, &ring->from, ring->copy,
					      VIOFS_CAPTURE_BYTES);
			ring->len = n > 0 ? (size_t)n : 0;
			ring->used = 0;
		}
		any |= ring->len > ring->used;
	}
	return any;
}

/* The ring's next record. Return: false: there is none, or none that makes sense. */
static bool peek(struct ring *ring, struct viofs_capture_record *record)
{
	size_t left = ring->len - ring->used;

	if (left < sizeof(*record)) {
		ring->used = ring->len;
		return false;
	}
	memcpy(record, ring->copy + ring->used, sizeof(*record));
	if (record->size >= sizeof(*record) && record->size <= left &&
	    record->captured <= record->size - sizeof(*record) &&
	    record->captured <= VIOFS_CAPTURE_SNAP_MAX && record->kind >= VIOFS_CAPTURE_REQUEST &&
	    record->kind < VIOFS_CAPTURE_KINDS)
		return true;
	ring->used = ring->len;
	return false;
}

static uint64_t to_ns(const struct viofs_reader *r, uint64_t ticks)
{
	double ns = (double)ticks / r->ticks_per_ns;

	/* Ticks that make no sense. */
	return ns < 1e18 ? (uint64_t)ns : 0;
}

static struct viofs_packet make_packet(const struct viofs_reader *r,
				       const struct viofs_capture_record *record)
{
	return (struct viofs_packet){
		.version = VIOFS_PACKET_VERSION,
		.kind = (uint8_t)record->kind,
		.queue = record->queue,
		.slot = record->slot,
		.flags = record->flags,
		.header = sizeof(struct viofs_packet),
		.len = record->len,
		.kernel_unique = record->kernel_unique,
		.device_unique = record->device_unique,
		.nodeid = record->nodeid,
		.opcode = record->opcode,
		.error = record->error,
		.uid = record->uid,
		.gid = record->gid,
		.pid = record->pid,
		.fixed = record->fixed,
		.waited_ns = to_ns(r, record->waited),
		.device_ns = to_ns(r, record->device),
		.total_ns = to_ns(r, record->total),
	};
}

/* Numbers only grow, or whoever writes them lies. */
static uint64_t count_lost(struct ring *ring, uint64_t number)
{
	uint64_t lost = number > ring->number ? number - ring->number : 0;

	ring->number = number + 1;
	ring->lost += lost;
	return lost;
}

bool viofs_reader_next(struct viofs_reader *r, struct viofs_captured *out)
{
	struct viofs_capture_record record, first = { .size = 0 };
	unsigned int which = 0;

	for (unsigned int i = 0; i < r->count; i++)
		if (peek(&r->rings[i], &record) && (!first.size || record.time < first.time)) {
			first = record;
			which = i;
		}
	if (!first.size)
		return false;
	*out = (struct viofs_captured){
		.time = first.time,
		.ring = which,
		.lost = count_lost(&r->rings[which], first.number),
		.packet = make_packet(r, &first),
		.message = r->rings[which].copy + r->rings[which].used + sizeof(first),
		.captured = first.captured,
	};
	r->rings[which].used += first.size;
	return true;
}

uint64_t viofs_reader_lost(const struct viofs_reader *r, unsigned int ring)
{
	return r->rings[ring].lost;
}

void viofs_reader_count_rest(struct viofs_reader *r)
{
	for (unsigned int i = 0; i < r->count; i++)
		if (r->rings[i].used == r->rings[i].len) {
			uint64_t now = VIOFS_READ_ONCE(r->rings[i].at->count);

			if (now > r->rings[i].number)
				count_lost(&r->rings[i], now);
		}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtqueue, split or packed, whose device writes anything, at any time, anywhere it may. Input:
 * options, then a list of what driver and device do. The driver's own notes say what must come of
 * it.
 */
#include "fuzz.h"

#include "base/util.h"
#include "virtio/ring.h"

#include <errno.h>

#define SIZE_MAX_HERE 64U
#define PIECES_MAX 8U

enum action { ADD, KICK, GET, ARM, DISARM, USE, MOVE, SCRIBBLE, COMPLETE, ACTIONS };

static struct {
	struct viofs_ring ring;
	struct viofs_ring_layout layout;
	void *desc;
	uint16_t *driver, *device;
	struct viofs_ring_shadow *shadow;
	uint16_t size;
	bool packed;
	/* Notes: what is in flight, by token. */
	bool live[256];
	uint32_t writable[256];
	unsigned int in_flight;
	uint8_t next;
	/* The good device's places, and a packed ring's counters. */
	uint16_t seen, used_at;
	bool seen_wrap, used_wrap;
} f;

static void add(struct fuzz_input *in)
{
	struct viofs_ring_piece pieces[2 * PIECES_MAX];
	struct viofs_ring_desc table[2 * PIECES_MAX];
	uint8_t how = fuzz_u8(in), token = f.next;
	struct viofs_ring_chain chain = {
		.pieces = pieces,
		.readable = how % PIECES_MAX,
		.writable = (how >> 3) % PIECES_MAX,
		.indirect = how & 64 ? table : NULL,
		.indirect_iova = 0x1000,
		.token = token,
	};
	unsigned int total = chain.readable + chain.writable;
	uint32_t bytes = 0;
	int rc;

	if (!total || f.live[token])
		return;
	for (unsigned int i = 0; i < total; i++) {
		pieces[i] = (struct viofs_ring_piece){ 0x10000U * i, 1U + fuzz_u16(in) };
		if (i >= chain.readable)
			bytes += pieces[i].len;
	}
	rc = viofs_ring_add(&f.ring, &chain);
	fuzz_check(rc == 0 || rc == -ENOSPC || rc == -EPIPE || rc == -EMSGSIZE);
	fuzz_check(rc != -EPIPE || viofs_ring_broken(&f.ring));
	if (rc)
		return;
	f.live[token] = true;
	f.writable[token] = bytes;
	f.in_flight++;
	f.next++;
}

static void get(void)
{
	uint32_t token = UINT32_MAX, len = UINT32_MAX;
	bool was_broken = viofs_ring_broken(&f.ring);
	int rc = viofs_ring_get(&f.ring, &token, &len);

	fuzz_check(rc == 0 || rc == 1 || rc == -EPROTO);
	fuzz_check(!was_broken || rc == -EPROTO);
	fuzz_check((rc == -EPROTO) == (viofs_ring_broken(&f.ring) != NULL));
	if (rc != 1) {
		fuzz_check(token == UINT32_MAX && len == UINT32_MAX);
		return;
	}
	fuzz_check(token < VIOFS_ARRAY_SIZE(f.live) && f.live[token]);
	fuzz_check(len <= f.writable[token]);
	f.live[token] = false;
	f.in_flight--;
}

static void advance(uint16_t *at, bool *wrap, unsigned int by)
{
	*wrap ^= (*at + by) / f.size & 1;
	*at = (uint16_t)((*at + by) % f.size);
}

/* A used entry where the next one goes; a packed ring's @skip descriptors are behind it then. */
static void put_used(uint32_t id, uint32_t len, unsigned int skip)
{
	struct viofs_ring_packed_desc *d = f.desc;
	uint32_t elem[2] = { id, len };

	if (!f.packed) {
		memcpy(&f.device[2 + 4 * (f.device[1] % f.size)], elem, sizeof(elem));
		f.device[1]++;
		return;
	}
	d += f.used_at;
	d->id = (uint16_t)id;
	d->len = len;
	d->flags = (uint16_t)((f.used_wrap ? VIOFS_RING_PACKED_AVAIL | VIOFS_RING_PACKED_USED : 0) |
			      (len ? 2 : 0));
	advance(&f.used_at, &f.used_wrap, skip);
}

/* As a good device, as far as that goes in a ring full of lies: the oldest chain. */
static void complete(struct fuzz_input *in)
{
	const struct viofs_ring_packed_desc *d = f.desc;
	unsigned int skip = 1;

	if (!f.packed) {
		if (f.seen == f.driver[1])
			return;
		put_used(f.driver[2 + f.seen++ % f.size], fuzz_u16(in), 1);
		return;
	}
	if (!(d[f.seen].flags & VIOFS_RING_PACKED_AVAIL) == f.seen_wrap ||
	    !(d[f.seen].flags & VIOFS_RING_PACKED_USED) != f.seen_wrap)
		return;
	while (d[f.seen].flags & 1 && skip < f.size) {
		advance(&f.seen, &f.seen_wrap, 1);
		skip++;
	}
	put_used(d[f.seen].id, fuzz_u16(in), skip);
	advance(&f.seen, &f.seen_wrap, 1);
}

/* Any word of what the device may write: its own part, a packed ring's descriptors too. */
static void scribble(struct fuzz_input *in)
{
	size_t at = fuzz_u16(in), own = f.layout.device / 2;
	uint16_t value = fuzz_u16(in);

	at %= own + (f.packed ? f.layout.desc / 2 : 0);
	if (at < own)
		f.device[at] = value;
	else
		((uint16_t *)f.desc)[at - own] = value;
}

static void act(struct fuzz_input *in)
{
	uint32_t id;

	switch ((enum action)(fuzz_u8(in) % ACTIONS)) {
	case ADD:
		add(in);
		break;
	case KICK:
		viofs_ring_should_kick(&f.ring);
		break;
	case GET:
		get();
		break;
	case ARM:
		viofs_ring_arm(&f.ring);
		break;
	case DISARM:
		viofs_ring_disarm(&f.ring);
		break;
	case USE:
		id = fuzz_u16(in);
		put_used(id, fuzz_u32(in), 1 + id / f.size % f.size);
		break;
	case MOVE:
		if (f.packed)
			advance(&f.used_at, &f.used_wrap, fuzz_u16(in));
		else
			f.device[1] = fuzz_u16(in);
		break;
	case SCRIBBLE:
		scribble(in);
		break;
	case COMPLETE:
	default:
		complete(in);
		break;
	}
	fuzz_check(f.ring.shadow->in_flight == f.in_flight);
	fuzz_check(f.ring.shadow->free_count <= f.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t options = fuzz_u8(&in);

	memset(&f, 0, sizeof(f));
	f.size = (uint16_t)(1U << (options & 7) % 7);
	f.packed = options & 16;
	/* A packed ring may have any size. */
	if (f.packed && options & 32 && f.size > 2)
		f.size--;
	f.seen_wrap = f.used_wrap = true;
	f.layout = viofs_ring_layout(f.size, f.packed ? VIOFS_RING_PACKED : 0);
	/* The heap's red zones are around each: one byte beyond is found. */
	f.desc = aligned_alloc(16, f.layout.desc);
	f.driver = calloc(1, f.layout.driver);
	f.device = calloc(1, f.layout.device);
	f.shadow = calloc(1, viofs_ring_shadow_bytes(f.size));
	if (!f.desc || !f.driver || !f.device || !f.shadow)
		abort();
	memset(f.desc, 0, f.layout.desc);
	viofs_ring_init(&f.ring, f.size,
			(f.packed ? VIOFS_RING_PACKED : 0) |
				(options & 8 ? VIOFS_RING_EVENT_IDX : 0),
			f.desc, f.driver, f.device, f.shadow);
	/* A broken ring stays interesting only for so long. */
	while (in.left)
		act(&in);
	free(f.desc);
	free(f.driver);
	free(f.device);
	free(f.shadow);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring and the device behind it, split or packed, one step at a time. */
#include "ring_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AVAIL 0x80
#define USED 0x8000
#define EVENT_WRAP 0x8000
#define EVENT_DESC 2

void ring_bench_init(struct ring_bench *b, uint16_t size, unsigned int flags)
{
	struct viofs_ring_layout l = viofs_ring_layout(size, flags);

	memset(b, 0, sizeof(*b));
	b->size = size;
	b->event_idx = flags & VIOFS_RING_EVENT_IDX;
	b->packed = flags & VIOFS_RING_PACKED;
	b->seen_wrap = b->used_wrap = b->signalled_wrap = true;
	b->desc = calloc(1, l.desc);
	b->driver = calloc(1, l.driver);
	b->device = calloc(1, l.device);
	b->shadow = calloc(1, viofs_ring_shadow_bytes(size));
	b->counts = calloc(UINT16_MAX + 1U, sizeof(*b->counts));
	assert_true(b->desc && b->driver && b->device && b->shadow && b->counts);
	viofs_ring_init(&b->ring, size, flags, b->desc, b->driver, b->device, b->shadow);
}

void ring_bench_fini(struct ring_bench *b)
{
	free(b->desc);
	free(b->driver);
	free(b->device);
	free(b->shadow);
	free(b->counts);
}

static void advance(const struct ring_bench *b, uint16_t *at, bool *wrap, unsigned int by)
{
	unsigned int next = *at + by;

	*wrap ^= next >= b->size;
	*at = (uint16_t)(next % b->size);
}

static int pop_packed(struct ring_bench *b)
{
	const struct viofs_ring_packed_desc *ring = b->desc, *d;
	uint16_t mark = b->seen_wrap ? AVAIL : USED, count = 0;

	if ((ring[b->seen].flags & (AVAIL | USED)) != mark)
		return -1;
	do {
		d = &ring[b->seen];
		/* Every one of the chain is marked for its own round (2.8.6). */
		assert_int_equal(d->flags & (AVAIL | USED), b->seen_wrap ? AVAIL : USED);
		advance(b, &b->seen, &b->seen_wrap, 1);
		count++;
		assert_true(count <= b->size);
	} while (d->flags & F_NEXT);
	assert_true(d->id < b->size);
	b->counts[d->id] = count;
	return d->id;
}

int ring_bench_pop(struct ring_bench *b)
{
	const uint16_t *avail = b->driver;

	if (b->packed)
		return pop_packed(b);
	if (avail[1] == b->seen)
		return -1;
	return avail[2 + (b->seen++ & (b->size - 1))];
}

static void push_packed(struct ring_bench *b, uint32_t id, uint32_t len)
{
	struct viofs_ring_packed_desc *d = ring_bench_packed(b) + b->used_at;
	uint16_t skip = b->counts[id & UINT16_MAX];

	d->id = (uint16_t)id;
	d->len = len;
	d->flags = (uint16_t)((b->used_wrap ? AVAIL | USED : 0) | (len ? F_WRITE : 0));
	advance(b, &b->used_at, &b->used_wrap, skip ? skip : 1);
}

void ring_bench_push(struct ring_bench *b, uint32_t id, uint32_t len)
{
	uint32_t pair[2] = { id, len };
	uint16_t *used = b->device;

	if (b->packed) {
		push_packed(b, id, len);
		return;
	}
	memcpy(&used[2 + 4 * (b->used_at & (b->size - 1))], pair, sizeof(pair));
	used[1] = ++b->used_at;
}

/*
 * The standard's rule on a line of numbers: places since the last decision are [old, new). A place
 * of the round before the last one's can't be asked for any more.
 */
static bool interrupts_packed(struct ring_bench *b)
{
	const uint16_t *driver = b->driver;
	int now = b->used_at, old = b->signalled, event = driver[0] & ~EVENT_WRAP;

	if (b->signalled_wrap != b->used_wrap)
		old -= b->size;
	b->signalled = b->used_at;
	b->signalled_wrap = b->used_wrap;
	assert_true(driver[1] <= EVENT_DESC);
	assert_true(driver[1] != EVENT_DESC || b->event_idx);
	if (driver[1] != EVENT_DESC)
		return !driver[1] && now != old;
	if (!!(driver[0] & EVENT_WRAP) != b->used_wrap)
		event -= b->size;
	return event >= old && event < now;
}

bool ring_bench_interrupts(struct ring_bench *b)
{
	const uint16_t *avail = b->driver;
	uint16_t event, old = b->signalled;

	if (b->packed)
		return interrupts_packed(b);
	event = avail[2 + b->size];
	b->signalled = b->used_at;
	if (!b->event_idx)
		return !(avail[0] & 1) && b->used_at != old;
	return (uint16_t)(b->used_at - event - 1) < (uint16_t)(b->used_at - old);
}

void ring_bench_kick_at(struct ring_bench *b, unsigned int n)
{
	uint16_t *device = b->device, at = b->ring.shadow->avail;
	bool wrap = at & EVENT_WRAP;

	if (b->packed) {
		at &= EVENT_WRAP - 1;
		advance(b, &at, &wrap, n);
		device[0] = (uint16_t)(at | (wrap ? EVENT_WRAP : 0));
		device[1] = EVENT_DESC;
	} else {
		device[2 + 4 * b->size] = (uint16_t)(at + n);
	}
}

void ring_bench_kicks(struct ring_bench *b, bool wanted)
{
	((uint16_t *)b->device)[b->packed ? 1 : 0] = !wanted;
}

int ring_bench_add(struct ring_bench *b, uint32_t token, uint32_t rd, uint32_t wr)
{
	struct viofs_ring_piece p[2];
	struct viofs_ring_chain c = { .pieces = p, .token = token };

	if (rd) {
		p[c.readable] = (struct viofs_ring_piece){ 0x1000, rd };
		c.readable++;
	}
	if (wr) {
		p[c.readable] = (struct viofs_ring_piece){ 0x2000, wr };
		c.writable = 1;
	}
	return viofs_ring_add(&b->ring, &c);
}

void ring_bench_expect(struct ring_bench *b, uint32_t token, uint32_t len)
{
	uint32_t t = ~0U, l = ~0U;

	assert_int_equal(viofs_ring_get(&b->ring, &t, &l), 1);
	assert_int_equal(t, token);
	assert_int_equal(l, len);
}

void ring_bench_expect_broken(struct ring_bench *b, const char *why)
{
	uint32_t token = 77, len = 78;

	assert_null(viofs_ring_broken(&b->ring));
	assert_int_equal(viofs_ring_get(&b->ring, &token, &len), -EPROTO);
	assert_non_null(viofs_ring_broken(&b->ring));
	assert_non_null(strstr(viofs_ring_broken(&b->ring), why));
	assert_int_equal(token, 77);
	assert_int_equal(len, 78);
	/* For good, and nothing is added any more. */
	assert_int_equal(viofs_ring_get(&b->ring, &token, &len), -EPROTO);
	assert_int_equal(ring_bench_add(b, 1, 8, 8), -EPIPE);
	assert_false(viofs_ring_should_kick(&b->ring));
	assert_true(viofs_ring_arm(&b->ring));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtqueue whose device writes anything, at any time, anywhere in its ring. Input: options, then
 * a list of what driver and device do. The driver's own notes say what must come of it.
 */
#include "fuzz.h"

#include "base/util.h"
#include "virtio/split_ring.h"

#include <errno.h>

#define SIZE_MAX_HERE 64U
#define PIECES_MAX 8U

enum action { ADD, KICK, GET, ARM, DISARM, USE, USED_IDX, USED_WORD, COMPLETE, ACTIONS };

static struct {
	struct viofs_ring ring;
	struct viofs_ring_desc *desc;
	uint16_t *avail, *used;
	struct viofs_ring_state *state;
	uint16_t size;
	/* Notes: what is in flight, by token. */
	bool live[256];
	uint32_t writable[256];
	unsigned int in_flight;
	uint8_t next;
	uint16_t seen; /* the good device's place in the avail ring */
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
	fuzz_check(rc != -EPIPE || f.ring.broken);
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
	bool was_broken = f.ring.broken;
	int rc = viofs_ring_get(&f.ring, &token, &len);

	fuzz_check(rc == 0 || rc == 1 || rc == -EPROTO);
	fuzz_check(!was_broken || rc == -EPROTO);
	fuzz_check((rc == -EPROTO) == (f.ring.broken != NULL));
	if (rc != 1) {
		fuzz_check(token == UINT32_MAX && len == UINT32_MAX);
		return;
	}
	fuzz_check(token < VIOFS_ARRAY_SIZE(f.live) && f.live[token]);
	fuzz_check(len <= f.writable[token]);
	f.live[token] = false;
	f.in_flight--;
}

static void put_used(uint16_t at, uint32_t id, uint32_t len)
{
	uint32_t elem[2] = { id, len };

	memcpy(&f.used[2 + 4 * (at % f.size)], elem, sizeof(elem));
}

/* As a good device: the oldest chain not yet completed. */
static void complete(struct fuzz_input *in)
{
	if (f.seen == f.avail[1])
		return;
	put_used(f.used[1], f.avail[2 + f.seen % f.size], fuzz_u16(in));
	f.seen++;
	f.used[1]++;
}

static void act(struct fuzz_input *in)
{
	uint16_t at;

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
		at = fuzz_u16(in);
		put_used(at, fuzz_u16(in), fuzz_u32(in));
		f.used[1]++;
		break;
	case USED_IDX:
		f.used[1] = fuzz_u16(in);
		break;
	case USED_WORD:
		at = fuzz_u16(in) % (viofs_ring_used_bytes(f.size) / 2);
		f.used[at] = fuzz_u16(in);
		break;
	case COMPLETE:
	default:
		complete(in);
		break;
	}
	fuzz_check(f.ring.in_flight == f.in_flight);
	fuzz_check(f.ring.free_count <= f.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t options = fuzz_u8(&in);

	memset(&f, 0, sizeof(f));
	f.size = (uint16_t)(1U << (options & 7) % 7);
	/* The heap's red zones are around each: one byte beyond is found. */
	f.desc = aligned_alloc(16, viofs_ring_desc_bytes(f.size));
	f.avail = calloc(1, viofs_ring_avail_bytes(f.size));
	f.used = calloc(1, viofs_ring_used_bytes(f.size));
	f.state = calloc(f.size, sizeof(*f.state));
	if (!f.desc || !f.avail || !f.used || !f.state)
		abort();
	memset(f.desc, 0, viofs_ring_desc_bytes(f.size));
	viofs_ring_init(&f.ring, f.size, options & 8, f.desc, f.avail, f.used, f.state);
	/* A broken ring stays interesting only for so long. */
	while (in.left)
		act(&in);
	free(f.desc);
	free(f.avail);
	free(f.used);
	free(f.state);
	return 0;
}

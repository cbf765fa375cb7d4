/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --verify: what was written is read back, and its checksums compared with those of what was read.
 *
 * The copy's one thread; checksums are the file's, and go with it. A block's checksum is taken when
 * it is read to be copied. Blocks without a checksum (of an earlier run that is resumed, holes,
 * what the device copied by itself) are read from both sides.
 */
#include "xfer_file.h"
#include "tools_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if VIOFS_HAVE_XXHASH
#include <xxhash.h>

bool viofs_verify_can(void)
{
	return true;
}

static struct viofs_digest digest(const void *data, size_t size)
{
	XXH128_hash_t hash = XXH3_128bits(data, size);

	return (struct viofs_digest){ hash.low64, hash.high64 };
}
#else
bool viofs_verify_can(void)
{
	return false;
}

static struct viofs_digest digest(const void *data, size_t size)
{
	return (struct viofs_digest){ 0, 0 };
}
#endif

static int make_room(struct viofs_copy *c, size_t index)
{
	size_t room = c->digest_room ? c->digest_room : 4;
	struct viofs_digest *digests;
	bool *has;

	while (room <= index)
		room *= 2;
	if (room == c->digest_room)
		return 0;
	digests = realloc(c->digests, room * sizeof(*digests));
	if (digests)
		c->digests = digests;
	has = realloc(c->has_digest, room * sizeof(*has));
	if (has)
		c->has_digest = has;
	if (!digests || !has)
		return -ENOMEM;
	memset(has + c->digest_room, 0, (room - c->digest_room) * sizeof(*has));
	c->digest_room = room;
	return 0;
}

void viofs_verify_note(struct viofs_copy *c, uint64_t offset, const void *data, size_t size)
{
	size_t index = (size_t)(offset / c->unit);

	if (!c->x->verify || c->sparse || c->verifying || offset % c->unit)
		return;
	if (make_room(c, index)) {
		c->error = -ENOMEM;
		return;
	}
	c->digests[index] = digest(data, size);
	c->has_digest[index] = true;
}

static bool is_known(const struct viofs_copy *c, size_t index)
{
	return index < c->digest_room && c->has_digest[index];
}

static void go_on(struct viofs_copy *c);

/* A block is through. */
static void drop(struct viofs_copy *c, struct viofs_block *b)
{
	struct viofs_block **at = &c->blocks;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	c->in_flight--;
	viofs_xfer_give_block(c->x, b);
	go_on(c);
}

static void on_read_back(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_block *b = viofs_container(op, struct viofs_block, op);
	struct viofs_copy *c = b->copy;
	size_t index = (size_t)(b->offset / c->unit);
	struct viofs_digest d;

	if (result < 0) {
		c->error = result;
	} else if (!c->error) {
		d = digest(b->data, (size_t)result);
		if ((size_t)result != b->size || d.low != c->digests[index].low ||
		    d.high != c->digests[index].high) {
			c->error = -EBADMSG;
			c->mismatch = true;
		}
	}
	drop(c, b);
}

static void read_back(struct viofs_copy *c, struct viofs_block *b)
{
	b->op.done = on_read_back;
	c->x->to->read(c->x, c->to, b->data, b->size, b->offset, &b->op);
}

/* The source's data of a block that had no checksum. */
static void on_read_again(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_block *b = viofs_container(op, struct viofs_block, op);
	struct viofs_copy *c = b->copy;
	size_t index = (size_t)(b->offset / c->unit);

	if (result < 0 || make_room(c, index)) {
		c->error = result < 0 ? result : -ENOMEM;
		drop(c, b);
		return;
	}
	c->digests[index] = digest(b->data, (size_t)result);
	c->has_digest[index] = true;
	read_back(c, b);
}

static void begin_block(struct viofs_copy *c, struct viofs_block *b)
{
	uint64_t left = c->end - c->next;

	b->copy = c;
	b->offset = c->next;
	b->size = left < c->unit ? (size_t)left : c->unit;
	b->next = c->blocks;
	c->blocks = b;
	c->in_flight++;
	c->next += b->size;
	if (is_known(c, (size_t)(b->offset / c->unit))) {
		read_back(c, b);
		return;
	}
	b->op.done = on_read_again;
	c->x->from->read(c->x, c->from, b->data, b->size, b->offset, &b->op);
}

static void go_on(struct viofs_copy *c)
{
	struct viofs_block *b;

	if (c->x->stopping && !c->error)
		c->error = -EINTR;
	while (!c->error && c->next < c->end && c->in_flight < VIOFS_XFER_AHEAD &&
	       (b = viofs_xfer_take_block(c->x, c->unit == VIOFS_XFER_BLOCK)))
		begin_block(c, b);
	if (c->in_flight)
		return;
	if (!c->error && c->next < c->end)
		viofs_xfer_wait_block(c, go_on);
	else
		viofs_copy_finish(c);
}

static void on_settled(struct viofs_xfer_op *op, int64_t result)
{
	struct viofs_copy *c = viofs_container(op, struct viofs_copy, op);

	/* A device that knows no FSYNC can be read back all the same. */
	if (result < 0 && result != -ENOSYS)
		c->error = result;
	go_on(c);
}

void viofs_verify_begin(struct viofs_copy *c)
{
	c->verifying = true;
	c->next = 0;
	c->op.done = on_settled;
	c->x->to->settle(c->x, c->to, &c->op);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A FUSE request as a chain of descriptors, framed as the strictest devices want it. */
/*
 *   readable:  fuse_in_header | arguments | data       a request without a reply: in one piece
 *   writable:  fuse_out_header | structs | data
 *
 * Each part has descriptors of its own, which is how the kernel's driver frames requests; some
 * devices depend on it. Who builds a chain calls, in this order: viofs_chain_request(), an add for
 * each piece of data, viofs_chain_reply(), an add for each piece of the reply's data,
 * viofs_chain_end().
 */
#ifndef VIOFS_FS_CHAIN_H
#define VIOFS_FS_CHAIN_H

#include "base/uapi.h"
#include "dma/arena.h"
#include "virtio/ring.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct viofs_place - arena memory that is used again and again; its addresses are looked up once
 */
struct viofs_place {
	uint8_t *at;   /* for us */
	uint64_t iova; /* for the device */
	size_t run;    /* contiguous bytes from there on, for the device */
};

/** viofs_place_of() - @len bytes at @at. */
struct viofs_place viofs_place_of(const struct viofs_arena *arena, void *at, size_t len);

/** Pieces of a request beside its data: header, arguments, out header, structs, and those that
 * cross a page. */
#define VIOFS_CHAIN_BESIDE_DATA 8U

/**
 * viofs_chain_data_bound() - bytes of data that fit into one request
 * In single pages a transfer takes a descriptor for each of them, and a chain may be no longer than
 * its queue (virtio 1.3 2.7.5.3.1), nor than its indirect table.
 * @table: entries of that. @sizes: of the virtqueues, @count. @wanted: no more than that.
 */
uint32_t viofs_chain_data_bound(const struct viofs_arena *arena, unsigned int table,
				const uint16_t *sizes, unsigned int count, uint32_t wanted);

/** struct viofs_chain - a chain as it grows */
struct viofs_chain {
	const struct viofs_arena *arena;
	struct viofs_ring_piece *pieces;
	unsigned int count, max;
	unsigned int readable; /* pieces of the request */
	bool is_too_long;      /* more than max were needed */
};

/** viofs_chain_add_piece() - @len > 0 bytes in one piece at @iova. */
static inline void viofs_chain_add_piece(struct viofs_chain *c, uint64_t iova, size_t len)
{
	if (c->count == c->max)
		c->is_too_long = true;
	else
		c->pieces[c->count++] = (struct viofs_ring_piece){ iova, (uint32_t)len };
}

/** viofs_chain_add_memory() - @len bytes of the arena at @at, in as many pieces as they lie in. */
void viofs_chain_add_memory(struct viofs_chain *c, const void *at, size_t len);

/**
 * viofs_chain_add() - bytes [@from, @from + @len) of @place; they may go beyond its contiguous run
 */
static inline void viofs_chain_add(struct viofs_chain *c, const struct viofs_place *place,
				   size_t from, size_t len)
{
	if (!len)
		return;
	if (from + len <= place->run)
		viofs_chain_add_piece(c, place->iova + from, len);
	else
		viofs_chain_add_memory(c, place->at + from, len);
}

/** viofs_chain_request() - header and @args bytes of arguments at @message; @replies: will there be
 * an answer? */
static inline void viofs_chain_request(struct viofs_chain *c, const struct viofs_place *message,
				       size_t args, bool replies)
{
	const size_t head = sizeof(struct fuse_in_header);

	c->count = c->readable = 0;
	c->is_too_long = false;
	if (!replies) {
		viofs_chain_add(c, message, 0, head + args);
		return;
	}
	viofs_chain_add(c, message, 0, head);
	viofs_chain_add(c, message, head, args);
}

/** viofs_chain_reply() - the request is complete; its reply's header and @fixed bytes of structs go
 * to @reply. */
static inline void viofs_chain_reply(struct viofs_chain *c, const struct viofs_place *reply,
				     size_t fixed)
{
	const size_t head = sizeof(struct fuse_out_header);

	c->readable = c->count;
	viofs_chain_add(c, reply, 0, head);
	viofs_chain_add(c, reply, head, fixed);
}

/**
 * viofs_chain_end() - for viofs_ring_add(), which gives @token back with the completion
 * @table: room for an indirect table of max entries, NULL: direct.
 * Return: 0; -EMSGSIZE: more pieces than there was room for.
 */
static inline int viofs_chain_end(const struct viofs_chain *c, bool replies,
				  const struct viofs_place *table, uint32_t token,
				  struct viofs_ring_chain *out)
{
	unsigned int readable = replies ? c->readable : c->count;

	if (c->is_too_long)
		return -EMSGSIZE;
	*out = (struct viofs_ring_chain){
		.pieces = c->pieces,
		.readable = (uint16_t)readable,
		.writable = (uint16_t)(c->count - readable),
		.indirect = table ? (void *)table->at : NULL,
		.indirect_iova = table ? table->iova : 0,
		.token = token,
	};
	return 0;
}

#endif

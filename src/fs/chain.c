/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chains of descriptors for FUSE requests. */
#include "fs/chain.h"
#include "base/page.h"
#include "base/util.h"

uint32_t viofs_chain_data_bound(const struct viofs_arena *arena, unsigned int table,
				const uint16_t *sizes, unsigned int count, uint32_t wanted)
{
	size_t granule = viofs_arena_granule(arena);
	unsigned int pieces = table;

	if (granule >= wanted)
		return wanted;
	for (unsigned int i = 0; i < count; i++)
		pieces = VIOFS_MIN(pieces, (unsigned int)sizes[i]);
	if (pieces <= VIOFS_CHAIN_BESIDE_DATA)
		return (uint32_t)viofs_page_size();
	pieces -= VIOFS_CHAIN_BESIDE_DATA;
	return (uint32_t)VIOFS_MIN((uint64_t)wanted, (uint64_t)granule * pieces);
}

struct viofs_place viofs_place_of(const struct viofs_arena *arena, void *at, size_t len)
{
	struct viofs_place place = { .at = at };

	place.iova = viofs_arena_iova(arena, at, len, &place.run);
	return place;
}

void viofs_chain_add_memory(struct viofs_chain *c, const void *at, size_t len)
{
	const uint8_t *p = at;

	while (len && !c->is_too_long) {
		size_t run;
		uint64_t iova = viofs_arena_iova(c->arena, p, len, &run);

		viofs_chain_add_piece(c, iova, run);
		p += run;
		len -= run;
	}
}

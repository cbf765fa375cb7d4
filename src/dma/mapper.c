/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which addresses a mapper can give. */
#include "dma/mapper.h"

#include "base/util.h"

#include <errno.h>

static bool is_inside(const struct viofs_mapper_range *r, uint64_t iova, uint64_t last)
{
	return iova >= r->first && last <= r->last;
}

bool viofs_mapper_fits(const struct viofs_mapper *m, uint64_t iova, uint64_t len)
{
	uint64_t last;

	if (!len || __builtin_add_overflow(iova, len - 1, &last))
		return false;
	if (!m->range_count)
		return true;
	for (unsigned int i = 0; i < m->range_count; i++)
		if (is_inside(&m->ranges[i], iova, last))
			return true;
	return false;
}

/* Return: false: there is no such address. */
static bool round_up(const struct viofs_mapper *m, uint64_t at, uint64_t *out)
{
	if (__builtin_add_overflow(at, m->align - 1, out))
		return false;
	*out &= ~(m->align - 1);
	return true;
}

int viofs_mapper_place(const struct viofs_mapper *m, uint64_t from, uint64_t len, uint64_t *out)
{
	const struct viofs_mapper_range any = { 0, UINT64_MAX };
	uint64_t at, last;

	for (unsigned int i = 0; i < VIOFS_MAX(m->range_count, 1U); i++) {
		const struct viofs_mapper_range *r = m->range_count ? &m->ranges[i] : &any;

		if (round_up(m, VIOFS_MAX(from, r->first), &at) &&
		    !__builtin_add_overflow(at, len - 1, &last) && is_inside(r, at, last)) {
			*out = at;
			return 0;
		}
	}
	return -ENOSPC;
}

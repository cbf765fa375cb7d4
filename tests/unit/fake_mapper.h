/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A mapper that only remembers what was mapped, for tests of memory. */
#ifndef VIOFS_TESTS_FAKE_MAPPER_H
#define VIOFS_TESTS_FAKE_MAPPER_H

#include "base/util.h"
#include "dma/mapper.h"

#include <errno.h>

#define FAKE_MAPPINGS 65536

struct fake_mapping {
	uint8_t *vaddr;
	size_t len;
	uint64_t iova;
	unsigned int access;
};

struct fake_mapper {
	struct viofs_mapper mapper;
	struct fake_mapping mappings[FAKE_MAPPINGS];
	unsigned int count, unmapped;
	int refuse_after; /* -1 = never: fail map after so many */
	unsigned int pinned;
	int refuse_pin, refuse_unmap; /* what pin and unmap return */
};

static struct fake_mapper *fake_of(struct viofs_mapper *m)
{
	return VIOFS_CONTAINER_OF(m, struct fake_mapper, mapper);
}

static int fake_map(struct viofs_mapper *m, const struct viofs_mapper_memory *memory, uint64_t iova,
		    struct viofs_err *err)
{
	struct fake_mapper *f = fake_of(m);

	if (f->refuse_after >= 0 && f->count == (unsigned int)f->refuse_after)
		return viofs_err_set(err, -ENOMEM, "refused by the test");
	f->mappings[f->count++] =
		(struct fake_mapping){ memory->vaddr, memory->len, iova, memory->access };
	return 0;
}

static int fake_unmap(struct viofs_mapper *m, uint64_t iova, size_t len, struct viofs_err *err)
{
	struct fake_mapper *f = fake_of(m);

	f->unmapped++;
	return f->refuse_unmap;
}

static int fake_pin(struct viofs_mapper *m, void *vaddr, size_t len, struct viofs_err *err)
{
	struct fake_mapper *f = fake_of(m);

	f->pinned++;
	return f->refuse_pin ? viofs_err_set(err, f->refuse_pin, "no pinning here") : 0;
}

static const struct viofs_mapper_ops fake_mapper_ops = {
	.pin = fake_pin,
	.map = fake_map,
	.unmap = fake_unmap,
};

static inline void fake_mapper_init(struct fake_mapper *f, bool translates)
{
	f->mapper = (struct viofs_mapper){
		.ops = &fake_mapper_ops,
		.translates = translates,
		.align = 2 << 20,
	};
	f->count = f->unmapped = f->pinned = 0;
	f->refuse_pin = f->refuse_unmap = 0;
	f->refuse_after = -1;
}

#endif

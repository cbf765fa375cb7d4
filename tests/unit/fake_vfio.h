/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vfio back end that only remembers what was mapped, for tests of memory. */
#ifndef VIOFS_TESTS_FAKE_VFIO_H
#define VIOFS_TESTS_FAKE_VFIO_H

#include "vfio/vfio.h"

#include <errno.h>

#define FAKE_MAPPINGS 65536

struct fake_mapping {
	uint8_t *vaddr;
	size_t len;
	uint64_t iova;
	unsigned int access;
};

struct fake_vfio {
	struct viofs_vfio vfio;
	struct fake_mapping mappings[FAKE_MAPPINGS];
	unsigned int count, unmapped;
	int refuse_after; /* -1 = never: fail dma_map after so many */
	unsigned int pinned;
	int refuse_pin, refuse_unmap; /* what pin and dma_unmap return */
};

static int fake_dma_map(struct viofs_vfio *v, void *vaddr, size_t len, uint64_t iova,
			unsigned int access, struct viofs_err *err)
{
	struct fake_vfio *f = (void *)v;

	if (f->refuse_after >= 0 && f->count == (unsigned int)f->refuse_after)
		return viofs_err_set(err, -ENOMEM, "refused by the test");
	f->mappings[f->count++] = (struct fake_mapping){ vaddr, len, iova, access };
	return 0;
}

static int fake_dma_unmap(struct viofs_vfio *v, uint64_t iova, size_t len)
{
	struct fake_vfio *f = (void *)v;

	f->unmapped++;
	return f->refuse_unmap;
}

static int fake_pin(struct viofs_vfio *v, void *vaddr, size_t len, struct viofs_err *err)
{
	struct fake_vfio *f = (void *)v;

	f->pinned++;
	return f->refuse_pin ? viofs_err_set(err, f->refuse_pin, "no pinning here") : 0;
}

static const struct viofs_vfio_ops fake_vfio_ops = {
	.name = "fake",
	.pin = fake_pin,
	.dma_map = fake_dma_map,
	.dma_unmap = fake_dma_unmap,
};

static inline void fake_vfio_init(struct fake_vfio *f, bool translates)
{
	f->vfio.ops = &fake_vfio_ops;
	f->vfio.translates = translates;
	f->vfio.range_count = 0;
	f->count = f->unmapped = f->pinned = 0;
	f->refuse_pin = f->refuse_unmap = 0;
	f->refuse_after = -1;
}

#endif

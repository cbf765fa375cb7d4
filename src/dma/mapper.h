/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What gives a device memory: an IOMMU, or a table that the device looks its addresses up in. */
#ifndef VIOFS_DMA_MAPPER_H
#define VIOFS_DMA_MAPPER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct viofs_mapper;

/* Access of the device to memory. */
#define VIOFS_DMA_READ (1U << 0)  /* the device reads */
#define VIOFS_DMA_WRITE (1U << 1) /* the device writes */

#define VIOFS_MAPPER_RANGES 16

/** enum viofs_address_policy - what an address means to the device */
enum viofs_address_policy {
	VIOFS_ADDRESS_PHYSICAL,   /* no ACCESS_PLATFORM: the device bypasses the IOMMU
				     (virtio 1.3 6.1) */
	VIOFS_ADDRESS_TRANSLATED, /* ACCESS_PLATFORM: the IOMMU's addresses, chosen by us */
};

/** struct viofs_mapper_range - addresses that can be given, both ends included */
struct viofs_mapper_range {
	uint64_t first, last;
};

/** struct viofs_mapper_memory - a piece of our memory: whole pages */
struct viofs_mapper_memory {
	void *vaddr;
	size_t len;
	int fd;              /* the file that it is mapped from, -1 = none */
	uint64_t offset;     /* where it begins in that file */
	unsigned int access; /* VIOFS_DMA_READ, VIOFS_DMA_WRITE */
};

/** struct viofs_mapper_ops - all return 0, or -errno with @err */
struct viofs_mapper_ops {
	/** once, before physical addresses are asked for: keeps the pages in their place until the
	 * device is closed; left out: map does */
	int (*pin)(struct viofs_mapper *m, void *vaddr, size_t len, struct viofs_err *err);
	/** gives the device @memory at address @iova, a multiple of the page size */
	int (*map)(struct viofs_mapper *m, const struct viofs_mapper_memory *memory, uint64_t iova,
		   struct viofs_err *err);
	/** takes back what map() gave */
	int (*unmap)(struct viofs_mapper *m, uint64_t iova, size_t len, struct viofs_err *err);
};

/** struct viofs_mapper - embedded in a transport's struct; fields are to be read only */
struct viofs_mapper {
	const struct viofs_mapper_ops *ops;
	/** the device's addresses are not physical ones, unless it bypasses what stands between */
	bool translates;
	/**
	 * The device's side maps the file itself, in one piece, whatever the access. So the device
	 * bypasses nothing, and it keeps the file however it is stopped: memory of ours is safe
	 * from it as soon as we have unmapped it.
	 */
	bool by_file;
	uint64_t align;           /* of addresses that viofs_mapper_place() chooses */
	unsigned int range_count; /* 0 = any address */
	struct viofs_mapper_range ranges[VIOFS_MAPPER_RANGES];
};

/** viofs_mapper_fits() - does [@iova, +@len) lie in one range? */
bool viofs_mapper_fits(const struct viofs_mapper *m, uint64_t iova, uint64_t len);

/**
 * viofs_mapper_place() - the first aligned address at or above @from where @len bytes fit
 * Return: 0 and *@out; -ENOSPC.
 */
int viofs_mapper_place(const struct viofs_mapper *m, uint64_t from, uint64_t len, uint64_t *out);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory BARs of a VFIO device. Private to src/vfio. */
#ifndef VIOFS_VFIO_BARS_H
#define VIOFS_VFIO_BARS_H

#include "vfio/info.h"
#include "vfio/vfio.h"

struct viofs_vfio_device;

#define VIOFS_VFIO_BARS 6
/* Mapped pieces of a BAR: the MSI-X table cuts one in two. */
#define VIOFS_VFIO_AREAS 4

/** struct viofs_vfio_bar - a memory BAR; what no area covers goes through the descriptor */
struct viofs_vfio_bar {
	uint64_t size;   /* bytes, 0 = no memory BAR */
	uint64_t region; /* where it begins in the descriptor */
	unsigned int area_count;
	struct viofs_vfio_area {
		struct viofs_vfio_extent at;
		uint8_t *map;
	} areas[VIOFS_VFIO_AREAS];
};

/** viofs_vfio_bars_open() - find and map all; memory is decoded. Return: 0, or -errno; close(). */
int viofs_vfio_bars_open(struct viofs_vfio_device *d);

/** viofs_vfio_bars_close() - unmap what is mapped. */
void viofs_vfio_bars_close(struct viofs_vfio_device *d);

/* For struct viofs_vfio_ops. */
uint64_t viofs_vfio_device_bar_size(struct viofs_vfio *v, unsigned int bar);
uint32_t viofs_vfio_device_bar_read(struct viofs_vfio *v, unsigned int bar, uint64_t off,
				    unsigned int width);
void viofs_vfio_device_bar_write(struct viofs_vfio *v, unsigned int bar, uint64_t off,
				 unsigned int width, uint32_t value);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory BARs of a VFIO device. */
/*
 * BARs are mapped where the kernel allows it (the sparse mmap capability leaves out the MSI-X table
 * on older kernels); the rest, and a mapping that fails, goes through pread(2) and pwrite(2),
 * slower but the same. Either way one access is one access of that width on the bus: aligned, and
 * by a single instruction, since a mapped BAR is device memory, where arm64 faults on anything
 * else.
 */
#include "vfio/bars.h"

#include "base/page.h"
#include "base/util.h"
#include "vfio/regions.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t viofs_vfio_device_bar_size(struct viofs_vfio *v, unsigned int bar)
{
	return bar < VIOFS_VFIO_BARS ? viofs_vfio_device_of(v)->bars[bar].size : 0;
}

static const struct viofs_vfio_bar *get_bar(struct viofs_vfio *v, unsigned int bar, uint64_t off,
					    unsigned int width)
{
	const struct viofs_vfio_device *d = viofs_vfio_device_of(v);

	assert(bar < VIOFS_VFIO_BARS);
	assert(width == 1 || width == 2 || width == 4);
	assert(off % width == 0 && viofs_range_ok(off, width, d->bars[bar].size));
	return &d->bars[bar];
}

/* Where the register is mapped; NULL: nowhere. Areas are whole pages, so it lies in one or none. */
static volatile void *get_mapped(const struct viofs_vfio_bar *b, uint64_t off)
{
	for (unsigned int i = 0; i < b->area_count; i++)
		if (off - b->areas[i].at.off < b->areas[i].at.len)
			return b->areas[i].map + (off - b->areas[i].at.off);
	return NULL;
}

/* A function that is gone answers nothing: all ones, as on the bus. */
static uint32_t read_slow(const struct viofs_vfio_device *d, const struct viofs_vfio_bar *b,
			  uint64_t off, unsigned int width)
{
	uint32_t ones = UINT32_MAX >> (32 - 8 * width);
	uint32_t raw = 0;

	if (pread(d->fd, &raw, width, (off_t)(b->region + off)) != (ssize_t)width)
		return ones;
	return le32toh(raw);
}

uint32_t viofs_vfio_device_bar_read(struct viofs_vfio *v, unsigned int bar, uint64_t off,
				    unsigned int width)
{
	const struct viofs_vfio_bar *b = get_bar(v, bar, off, width);
	volatile void *p = get_mapped(b, off);

	if (!p)
		return read_slow(viofs_vfio_device_of(v), b, off, width);
	switch (width) {
	case 1:
		return *(volatile uint8_t *)p;
	case 2:
		return le16toh(*(volatile uint16_t *)p);
	default:
		return le32toh(*(volatile uint32_t *)p);
	}
}

static void write_slow(const struct viofs_vfio_device *d, const struct viofs_vfio_bar *b,
		       uint64_t off, unsigned int width, uint32_t value)
{
	uint32_t raw = htole32(value);

	/*
	 * A function that is gone doesn't get it, as on the bus. Whoever needs to know reads a
	 * register.
	 */
	if (pwrite(d->fd, &raw, width, (off_t)(b->region + off)) < 0)
		return;
}

void viofs_vfio_device_bar_write(struct viofs_vfio *v, unsigned int bar, uint64_t off,
				 unsigned int width, uint32_t value)
{
	const struct viofs_vfio_bar *b = get_bar(v, bar, off, width);
	volatile void *p = get_mapped(b, off);

	if (!p) {
		write_slow(viofs_vfio_device_of(v), b, off, width, value);
		return;
	}
	switch (width) {
	case 1:
		*(volatile uint8_t *)p = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)p = htole16((uint16_t)value);
		break;
	default:
		*(volatile uint32_t *)p = htole32(value);
		break;
	}
}

/* Not an error: without a mapping accesses are slower, not wrong. */
static void map_bar(const struct viofs_vfio_device *d, struct viofs_vfio_bar *b, const void *info,
		    size_t size, int prot)
{
	struct viofs_vfio_extent extents[VIOFS_VFIO_AREAS];
	unsigned int count;

	count = viofs_vfio_info_mappable(info, size, viofs_page_size(), extents, VIOFS_VFIO_AREAS);
	for (unsigned int i = 0; i < count; i++) {
		void *map = mmap(NULL, extents[i].len, prot, MAP_SHARED, d->fd,
				 (off_t)(b->region + extents[i].off));

		if (map != MAP_FAILED)
			b->areas[b->area_count++] = (struct viofs_vfio_area){ extents[i], map };
	}
}

static bool is_memory_bar(struct viofs_vfio *v, unsigned int bar)
{
	uint32_t raw;

	return viofs_vfio_device_config_read(v, PCI_BASE_ADDRESS_0 + 4 * bar, &raw, sizeof(raw)) ==
		       0 &&
	       !(le32toh(raw) & PCI_BASE_ADDRESS_SPACE_IO);
}

static int open_bar(struct viofs_vfio_device *d, unsigned int bar)
{
	const uint32_t rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct viofs_vfio_bar *b = &d->bars[bar];
	struct vfio_region_info *info = NULL;
	int rc;

	rc = viofs_vfio_device_region(d, VFIO_PCI_BAR0_REGION_INDEX + bar, &info);
	if (rc < 0)
		return rc;
	if (info->size && (info->flags & rw) == rw && is_memory_bar(&d->vfio, bar)) {
		b->size = info->size;
		b->region = info->offset;
		map_bar(d, b, info, (size_t)rc, PROT_READ | PROT_WRITE);
	}
	free(info);
	return 0;
}

int viofs_vfio_bars_open(struct viofs_vfio_device *d)
{
	int rc = 0;

	for (unsigned int i = 0; !rc && i < VIOFS_VFIO_BARS; i++)
		rc = open_bar(d, i);
	return rc;
}

void viofs_vfio_bars_close(struct viofs_vfio_device *d)
{
	for (unsigned int i = 0; i < VIOFS_VFIO_BARS; i++) {
		struct viofs_vfio_bar *b = &d->bars[i];

		while (b->area_count) {
			struct viofs_vfio_area *a = &b->areas[--b->area_count];

			munmap(a->map, a->at.len);
		}
	}
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VFIO device descriptor gives: configuration space, BARs, interrupts, reset. */
/*
 * BARs are mapped where the kernel allows it (the sparse mmap capability leaves out the MSI-X table
 * on older kernels); the rest, and a mapping that fails, goes through pread(2) and pwrite(2),
 * slower but the same. Either way one access is one access of that width on the bus.
 *
 * Memory decoding stays on from start to close: with it off a mapped access would be a SIGBUS. Bus
 * mastering is off until the device has been reset by its driver (viofs_vfio_bus_master_set()):
 * what a former driver gave it to write to is somebody else's memory by now.
 *
 * At close the kernel clears bus mastering and resets the function, when the last copy of the
 * descriptor goes. Interrupts are switched off before, as a copy may be in another process.
 */
#include "vfio/device_fd.h"

#include "base/util.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The MSI-X table has 11 bits of size. */
#define VECTORS_MAX 2048U
/* So that an IOMMU can use large pages wherever the memory has them. */
#define IOVA_ALIGN ((uint64_t)2 << 20)

struct viofs_vfio_device *viofs_vfio_device_of(struct viofs_vfio *v)
{
	return VIOFS_CONTAINER_OF(v, struct viofs_vfio_device, vfio);
}

struct viofs_vfio_device *viofs_vfio_device_of_mapper(struct viofs_mapper *m)
{
	return VIOFS_CONTAINER_OF(m, struct viofs_vfio_device, vfio.mapper);
}

int viofs_vfio_device_config_read(struct viofs_vfio *v, unsigned int off, void *buf,
				  unsigned int len)
{
	const struct viofs_vfio_device *d = viofs_vfio_device_of(v);
	ssize_t n;

	if (!viofs_range_ok(off, len, d->config_size))
		return -ERANGE;
	n = pread(d->fd, buf, len, (off_t)(d->config_region + off));
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int viofs_vfio_device_config_write(struct viofs_vfio *v, unsigned int off, const void *buf,
				   unsigned int len)
{
	const struct viofs_vfio_device *d = viofs_vfio_device_of(v);
	ssize_t n;

	if (!viofs_range_ok(off, len, d->config_size))
		return -ERANGE;
	n = pwrite(d->fd, buf, len, (off_t)(d->config_region + off));
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

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

	/* Lost on a function that is gone, as on the bus: reads tell who asks. */
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

int viofs_vfio_device_irqs_set(const struct viofs_vfio_device *d, unsigned int index,
			       const int *eventfds, unsigned int count)
{
	struct vfio_irq_set *set;
	size_t size = sizeof(*set) + count * sizeof(*eventfds);
	int rc;

	set = calloc(1, size);
	if (!set)
		return -ENOMEM;
	set->argsz = (uint32_t)size;
	set->flags = VFIO_IRQ_SET_ACTION_TRIGGER |
		     (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	set->index = index;
	set->count = count;
	if (count)
		memcpy(set->data, eventfds, count * sizeof(*eventfds));
	rc = ioctl(d->fd, VFIO_DEVICE_SET_IRQS, set);
	if (rc < 0)
		rc = -errno;
	else if (rc > 0)
		rc = -ENOSPC; /* the number that there would have been */
	free(set);
	return rc;
}

static int set_msix(const struct viofs_vfio_device *d, const int *eventfds, unsigned int count)
{
	return viofs_vfio_device_irqs_set(d, VFIO_PCI_MSIX_IRQ_INDEX, eventfds, count);
}

int viofs_vfio_device_msix_set(struct viofs_vfio *v, const int *eventfds, unsigned int count,
			       struct viofs_err *err)
{
	struct viofs_vfio_device *d = viofs_vfio_device_of(v);
	int rc;

	if (count > v->msix_vectors)
		return viofs_err_set(err, -EINVAL,
				     "%s has %u interrupt vectors, %u were asked for.", v->address,
				     v->msix_vectors, count);
	/* Vectors can't be added while MSI-X is on (VFIO_IRQ_INFO_NORESIZE). */
	if (d->msix_on) {
		rc = set_msix(d, NULL, 0);
		if (rc)
			return viofs_err_set(err, rc, "%s: interrupts can't be switched off: %s.",
					     v->address, strerror(-rc));
		d->msix_on = false;
	}
	if (!count)
		return 0;
	rc = set_msix(d, eventfds, count);
	if (rc) {
		viofs_err_set(err, rc, "%s: %u interrupt vectors can't be had: %s.", v->address,
			      count, strerror(-rc));
		return viofs_err_remedy(err, rc, VIOFS_REMEDY_NO_INTERRUPTS);
	}
	d->msix_on = true;
	return 0;
}

/* Memory decoding. INTx is kept off: nobody here would answer it. */
static int enable_function(struct viofs_vfio *v)
{
	uint16_t raw, command;
	int rc;

	rc = viofs_vfio_device_config_read(v, PCI_COMMAND, &raw, sizeof(raw));
	if (rc)
		return rc;
	command = le16toh(raw) | PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE;
	raw = htole16(command);
	rc = viofs_vfio_device_config_write(v, PCI_COMMAND, &raw, sizeof(raw));
	if (!rc)
		rc = viofs_vfio_device_config_read(v, PCI_COMMAND, &raw, sizeof(raw));
	if (rc)
		return rc;
	command = le16toh(raw);
	if (command == 0xffff || !(command & PCI_COMMAND_MEMORY))
		return -EIO;
	return 0;
}

int viofs_vfio_device_reset(struct viofs_vfio *v)
{
	const struct viofs_vfio_device *d = viofs_vfio_device_of(v);

	if (!d->can_reset)
		return -EOPNOTSUPP;
	if (ioctl(d->fd, VFIO_DEVICE_RESET) < 0)
		return -errno;
	return enable_function(v);
}

/* Without a mapping the access is slower, not wrong: no error. */
static void map_bar(const struct viofs_vfio_device *d, struct viofs_vfio_bar *b, const void *info,
		    size_t size, int prot)
{
	struct viofs_vfio_extent extents[VIOFS_VFIO_AREAS];
	unsigned int count;

	count = viofs_vfio_info_mappable(info, size, (uint64_t)sysconf(_SC_PAGESIZE), extents,
					 VIOFS_VFIO_AREAS);
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

static int get_region(const struct viofs_vfio_device *d, unsigned int index,
		      struct vfio_region_info **out)
{
	struct vfio_region_info question = { .index = index };
	void *info = NULL;
	int rc = viofs_vfio_info_get(d->fd, VFIO_DEVICE_GET_REGION_INFO, &question,
				     sizeof(question), &info);

	if (rc >= 0)
		*out = info;
	return rc;
}

static int open_bar(struct viofs_vfio_device *d, unsigned int bar)
{
	const uint32_t rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct viofs_vfio_bar *b = &d->bars[bar];
	struct vfio_region_info *info = NULL;
	int rc;

	rc = get_region(d, VFIO_PCI_BAR0_REGION_INDEX + bar, &info);
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

static int open_config(struct viofs_vfio_device *d)
{
	struct vfio_region_info *info = NULL;
	int rc;

	rc = get_region(d, VFIO_PCI_CONFIG_REGION_INDEX, &info);
	if (rc < 0)
		return rc;
	d->config_region = info->offset;
	d->config_size = info->size;
	free(info);
	return 0;
}

static int count_vectors(struct viofs_vfio_device *d)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX };

	if (ioctl(d->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
		return -errno;
	if (info.flags & VFIO_IRQ_INFO_EVENTFD)
		d->vfio.msix_vectors = VIOFS_MIN(info.count, VECTORS_MAX);
	return 0;
}

struct viofs_vfio_device *viofs_vfio_device_new(const struct viofs_pci_function *f,
						const struct viofs_vfio_ops *ops,
						const struct viofs_mapper_ops *mapper,
						struct viofs_err *err)
{
	struct viofs_vfio_device *d = calloc(1, sizeof(*d));

	if (!d) {
		viofs_err_set(err, -ENOMEM, "Out of memory.");
		return NULL;
	}
	d->vfio.ops = ops;
	d->vfio.mapper.ops = mapper;
	d->vfio.mapper.align = IOVA_ALIGN;
	d->iommu = d->group = d->fd = d->pin = -1;
	d->alerts.error_fd = d->alerts.request_fd = d->vfio.event_fd = -1;
	memcpy(d->vfio.address, f->text, sizeof(d->vfio.address));
	return d;
}

int viofs_vfio_device_start(struct viofs_vfio_device *d, struct viofs_err *err)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	const char *address = d->vfio.address;
	int rc;

	if (ioctl(d->fd, VFIO_DEVICE_GET_INFO, &info) < 0) {
		rc = -errno;
		goto err_ask;
	}
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI) || info.num_irqs <= VFIO_PCI_MSIX_IRQ_INDEX ||
	    info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX)
		return viofs_err_set(err, -ENODEV, "%s: VFIO does not have it as a PCI function.",
				     address);
	d->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	rc = open_config(d);
	/* Before the BARs: nothing may be mapped that is not decoded. */
	if (!rc) {
		rc = enable_function(&d->vfio);
		if (rc)
			return viofs_err_set(err, rc, "%s: its memory can't be enabled: %s.",
					     address, strerror(-rc));
	}
	for (unsigned int i = 0; !rc && i < VIOFS_VFIO_BARS; i++)
		rc = open_bar(d, i);
	if (!rc)
		rc = count_vectors(d);
	if (!rc) {
		viofs_vfio_alerts_open(d);
		return 0;
	}

err_ask:
	return viofs_err_set(err, rc, "%s: VFIO does not describe the function: %s.", address,
			     strerror(-rc));
}

void viofs_vfio_device_fini(struct viofs_vfio_device *d)
{
	if (d->msix_on)
		set_msix(d, NULL, 0);
	d->msix_on = false;
	for (unsigned int i = 0; i < VIOFS_VFIO_BARS; i++) {
		struct viofs_vfio_bar *b = &d->bars[i];

		while (b->area_count) {
			struct viofs_vfio_area *a = &b->areas[--b->area_count];

			munmap(a->map, a->at.len);
		}
	}
	viofs_vfio_alerts_close(d);
	/* The device before its group and the DMA mappings: it must be quiet when those go. */
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	viofs_vfio_device_drop_dma(&d->vfio);
	if (d->pin >= 0)
		close(d->pin);
	d->pin = -1;
}

void viofs_vfio_device_close(struct viofs_vfio *v)
{
	struct viofs_vfio_device *d = viofs_vfio_device_of(v);

	viofs_vfio_device_fini(d);
	free(d);
}

void viofs_vfio_device_close_copy(struct viofs_vfio *v)
{
	viofs_vfio_device_of(v)->msix_on = false;
	viofs_vfio_device_close(v);
}

/* The device's descriptor keeps the kernel's side of both alive, and with it what is mapped. What
 * is pinned by other means is kept until the device is closed. */
void viofs_vfio_device_drop_dma(struct viofs_vfio *v)
{
	struct viofs_vfio_device *d = viofs_vfio_device_of(v);

	if (d->group >= 0)
		close(d->group);
	if (d->iommu >= 0)
		close(d->iommu);
	d->group = d->iommu = -1;
}

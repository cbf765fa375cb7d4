/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The modern virtio-pci transport over VFIO (virtio 1.3 4.1). */
/*
 * Theory of operation
 *
 * The capabilities say in which BARs four structures lie. Open checks each against its BAR once, so
 * that no later access can leave it. Registers are accessed in their natural width (4.1.3.1):
 * 64-bit fields as two 32-bit halves. Everything that is read from a register is checked where it
 * is used.
 *
 * queue_select makes the queue's registers stateful: one thread at a time, at set-up and tear-down.
 * notify() alone is for the data path, touches no selector and may run on any thread.
 *
 * No vector is used for configuration changes (config_msix_vector stays NO_VECTOR): the
 * configuration of a virtio-fs device doesn't change, and the status is read when something stalls.
 */
#include "vfio/pci_transport.h"

#include "base/barrier.h"
#include "base/log.h"
#include "base/util.h"
#include "pci/caps.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

/* struct virtio_pci_common_cfg (4.1.4.3). */
#define COMMON_DEVICE_FEATURE_SELECT 0x00
#define COMMON_DEVICE_FEATURE 0x04
#define COMMON_DRIVER_FEATURE_SELECT 0x08
#define COMMON_DRIVER_FEATURE 0x0c
#define COMMON_CONFIG_MSIX_VECTOR 0x10
#define COMMON_NUM_QUEUES 0x12
#define COMMON_DEVICE_STATUS 0x14
#define COMMON_CONFIG_GENERATION 0x15
#define COMMON_QUEUE_SELECT 0x16
#define COMMON_QUEUE_SIZE 0x18
#define COMMON_QUEUE_MSIX_VECTOR 0x1a
#define COMMON_QUEUE_ENABLE 0x1c
#define COMMON_QUEUE_NOTIFY_OFF 0x1e
#define COMMON_QUEUE_DESC 0x20
#define COMMON_QUEUE_DRIVER 0x28
#define COMMON_QUEUE_DEVICE 0x30
/* What of it every device has; later fields come with features that aren't negotiated. */
#define COMMON_LENGTH 0x38

#define NO_VECTOR 0xffffU
#define NOTIFY_WIDTH 2
#define CONFIG_TRIES 100
#define CLOSE_RESET_MS 1000
/* Queues whose notification address is kept; more than any user here enables. */
#define QUEUES_MAX 64
#define NOTIFY_UNSET UINT64_MAX

struct pci_transport {
	struct viofs_virtio virtio; /* first: the ops get a pointer to it */
	struct viofs_vfio *vfio;
	struct viofs_pci_caps caps;
	bool msix_on;
	uint64_t notify_at[QUEUES_MAX]; /* offset in the BAR, NOTIFY_UNSET before enable */
};

static struct pci_transport *transport_of(struct viofs_virtio *d)
{
	return VIOFS_CONTAINER_OF(d, struct pci_transport, virtio);
}

static uint32_t common_read(const struct pci_transport *t, unsigned int reg, unsigned int width)
{
	const struct viofs_pci_cap *c = &t->caps.common;

	return t->vfio->ops->bar_read(t->vfio, c->bar, (uint64_t)c->offset + reg, width);
}

static void common_write(const struct pci_transport *t, unsigned int reg, unsigned int width,
			 uint32_t value)
{
	const struct viofs_pci_cap *c = &t->caps.common;

	t->vfio->ops->bar_write(t->vfio, c->bar, (uint64_t)c->offset + reg, width, value);
}

static void common_write_u64(const struct pci_transport *t, unsigned int reg, uint64_t value)
{
	common_write(t, reg, 4, (uint32_t)value);
	common_write(t, reg + 4, 4, (uint32_t)(value >> 32));
}

static void select_queue(const struct pci_transport *t, unsigned int q)
{
	common_write(t, COMMON_QUEUE_SELECT, 2, q);
}

static const char *is_lost(struct viofs_virtio *d)
{
	struct viofs_vfio *v = transport_of(d)->vfio;

	return v->ops->lost ? v->ops->lost(v) : NULL;
}

static uint8_t status_get(struct viofs_virtio *d)
{
	return (uint8_t)common_read(transport_of(d), COMMON_DEVICE_STATUS, 1);
}

static void status_set(struct viofs_virtio *d, uint8_t status)
{
	common_write(transport_of(d), COMMON_DEVICE_STATUS, 1, status);
}

static uint64_t features_get(struct viofs_virtio *d)
{
	const struct pci_transport *t = transport_of(d);
	uint64_t low;

	common_write(t, COMMON_DEVICE_FEATURE_SELECT, 4, 0);
	low = common_read(t, COMMON_DEVICE_FEATURE, 4);
	common_write(t, COMMON_DEVICE_FEATURE_SELECT, 4, 1);
	return low | (uint64_t)common_read(t, COMMON_DEVICE_FEATURE, 4) << 32;
}

static void features_set(struct viofs_virtio *d, uint64_t features)
{
	const struct pci_transport *t = transport_of(d);

	common_write(t, COMMON_DRIVER_FEATURE_SELECT, 4, 0);
	common_write(t, COMMON_DRIVER_FEATURE, 4, (uint32_t)features);
	common_write(t, COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	common_write(t, COMMON_DRIVER_FEATURE, 4, (uint32_t)(features >> 32));
}

/*
 * One pass over the configuration. Fields of 2, 4 and 8 bytes are read as such (64 bits as two
 * halves), anything else is an array of bytes (4.1.3.1).
 */
static void config_copy(const struct pci_transport *t, unsigned int off, uint8_t *buf,
			unsigned int len)
{
	const struct viofs_pci_cap *c = &t->caps.device;
	unsigned int width = 1;

	if ((len == 2 || len == 4 || len == 8) && off % VIOFS_MIN(len, 4U) == 0)
		width = VIOFS_MIN(len, 4U);
	for (unsigned int i = 0; i < len; i += width) {
		uint32_t value = htole32(t->vfio->ops->bar_read(
			t->vfio, c->bar, (uint64_t)c->offset + off + i, width));

		/* Little endian: the low bytes come first, whatever the width. */
		memcpy(buf + i, &value, width);
	}
}

static int config_read(struct viofs_virtio *d, unsigned int off, void *buf, unsigned int len)
{
	const struct pci_transport *t = transport_of(d);

	if (!viofs_range_ok(off, len, t->caps.device.length))
		return -ERANGE;
	for (int i = 0; i < CONFIG_TRIES; i++) {
		uint32_t before = common_read(t, COMMON_CONFIG_GENERATION, 1);

		config_copy(t, off, buf, len);
		if (common_read(t, COMMON_CONFIG_GENERATION, 1) == before)
			return 0;
	}
	return -ETIMEDOUT;
}

static unsigned int queue_count(struct viofs_virtio *d)
{
	return common_read(transport_of(d), COMMON_NUM_QUEUES, 2);
}

static unsigned int queue_max(struct viofs_virtio *d, unsigned int q)
{
	const struct pci_transport *t = transport_of(d);

	if (q >= queue_count(d))
		return 0;
	select_queue(t, q);
	return common_read(t, COMMON_QUEUE_SIZE, 2);
}

/* Size first, then what hangs on it; the queue is selected (4.1.5.1.3). */
static int queue_set_size(const struct pci_transport *t, unsigned int q, uint16_t size,
			  struct viofs_err *err)
{
	uint32_t got;

	if (common_read(t, COMMON_QUEUE_ENABLE, 2) != 0)
		return viofs_err_set(
			err, -EPROTO,
			"Queue %u is enabled already: the device's reset did not work.", q);
	got = common_read(t, COMMON_QUEUE_SIZE, 2);
	if (got < size)
		return viofs_err_set(err, -EPROTO,
				     "Queue %u has %u entries at most, %u were asked for.", q, got,
				     size);
	if (got == size)
		return 0;
	common_write(t, COMMON_QUEUE_SIZE, 2, size);
	got = common_read(t, COMMON_QUEUE_SIZE, 2);
	if (got != size)
		return viofs_err_set(err, -EPROTO,
				     "Queue %u did not take a size of %u entries, it says %u.", q,
				     size, got);
	return 0;
}

static int queue_find_notify(struct pci_transport *t, unsigned int q, uint64_t *at,
			     struct viofs_err *err)
{
	const struct viofs_pci_cap *c = &t->caps.notify;
	uint32_t notify_off = common_read(t, COMMON_QUEUE_NOTIFY_OFF, 2);
	uint64_t off = (uint64_t)notify_off * t->caps.notify_off_multiplier;

	if (!viofs_range_ok(off, NOTIFY_WIDTH, c->length))
		return viofs_err_set(
			err, -EPROTO,
			"Queue %u would be notified at 0x%llx, outside the notification "
			"structure of 0x%x bytes.",
			q, (unsigned long long)off, c->length);
	*at = c->offset + off;
	return 0;
}

static int queue_enable(struct viofs_virtio *d, unsigned int q,
			const struct viofs_virtio_queue_address *a, struct viofs_err *err)
{
	struct pci_transport *t = transport_of(d);
	uint64_t at = 0;
	int rc;

	if (q >= QUEUES_MAX || q >= queue_count(d))
		return viofs_err_set(err, -EINVAL, "There is no queue %u to enable.", q);
	select_queue(t, q);
	rc = queue_set_size(t, q, a->size, err);
	if (rc)
		return rc;
	rc = queue_find_notify(t, q, &at, err);
	if (rc)
		return rc;

	/* Not read back: cloud-hypervisor and crosvm answer 0 for these three. */
	common_write_u64(t, COMMON_QUEUE_DESC, a->desc);
	common_write_u64(t, COMMON_QUEUE_DRIVER, a->driver);
	common_write_u64(t, COMMON_QUEUE_DEVICE, a->device);
	common_write(t, COMMON_QUEUE_ENABLE, 2, 1);
	t->notify_at[q] = at;
	return 0;
}

static bool queue_set_vector(const struct pci_transport *t, unsigned int q, uint32_t vector)
{
	select_queue(t, q);
	common_write(t, COMMON_QUEUE_MSIX_VECTOR, 2, vector);
	return common_read(t, COMMON_QUEUE_MSIX_VECTOR, 2) == vector;
}

static int interrupts_off(struct pci_transport *t, unsigned int count, struct viofs_err *err)
{
	int rc;

	for (unsigned int q = 0; q < count; q++)
		queue_set_vector(t, q, NO_VECTOR);
	if (!t->msix_on)
		return 0;
	rc = t->vfio->ops->msix_set(t->vfio, NULL, 0, err);
	if (!rc)
		t->msix_on = false;
	return rc;
}

/* Give each queue a vector; the rest share the last one. Return: the first queue whose vector was
 * refused. */
static unsigned int assign_vectors(const struct pci_transport *t, unsigned int count,
				   unsigned int vectors)
{
	for (unsigned int q = 0; q < count; q++)
		if (!queue_set_vector(t, q, VIOFS_MIN(q, vectors - 1)))
			return q;
	return count;
}

static int interrupts_set(struct viofs_virtio *d, const int *eventfds, unsigned int count,
			  struct viofs_err *err)
{
	struct pci_transport *t = transport_of(d);
	unsigned int vectors = VIOFS_MIN(count, t->vfio->msix_vectors);

	/*
	 * A device may refuse a vector for want of resources (4.1.5.1.2.1), it then reads back as
	 * NO_VECTOR. The queues before it have theirs: go round again with these vectors alone.
	 * Every round has fewer, so this ends.
	 */
	while (vectors > 0) {
		unsigned int refused;
		int rc;

		rc = t->vfio->ops->msix_set(t->vfio, eventfds, vectors, err);
		if (rc)
			return rc;
		t->msix_on = true;
		common_write(t, COMMON_CONFIG_MSIX_VECTOR, 2, NO_VECTOR);
		refused = assign_vectors(t, count, vectors);
		if (refused == count)
			return (int)vectors;
		vectors = VIOFS_MIN(refused, vectors - 1);
	}
	return interrupts_off(t, count, err);
}

static void notify(struct viofs_virtio *d, unsigned int q)
{
	const struct pci_transport *t = transport_of(d);

	assert(q < QUEUES_MAX && t->notify_at[q] != NOTIFY_UNSET);
	/*
	 * The avail ring before the doorbell. Pairs with the device's load of avail.idx (packed: of
	 * the descriptor's flags) once it has been notified. The two are memory of different kinds,
	 * so no order but this one holds between them.
	 */
	viofs_wmb();
	t->vfio->ops->bar_write(t->vfio, t->caps.notify.bar, t->notify_at[q], NOTIFY_WIDTH, q);
}

static int dma_set(struct viofs_virtio *d, bool on)
{
	return viofs_vfio_bus_master_set(transport_of(d)->vfio, on);
}

static int function_reset(struct viofs_virtio *d)
{
	struct viofs_vfio *v = transport_of(d)->vfio;
	uint16_t vendor;
	int rc;

	/* The kernel would wait a minute for a function that is gone. */
	rc = v->ops->config_read(v, PCI_VENDOR_ID, &vendor, sizeof(vendor));
	if (rc || vendor == 0xffff)
		return rc ? rc : -ENODEV;
	return v->ops->reset(v);
}

static int transport_close(struct viofs_virtio *d)
{
	struct pci_transport *t = transport_of(d);
	int rc = 0;

	if (status_get(d) != 0)
		rc = viofs_virtio_halt(d, CLOSE_RESET_MS, true, NULL);
	/* If this fails, VFIO does it when the last descriptor closes. */
	interrupts_off(t, 0, NULL);
	viofs_vfio_close(t->vfio);
	free(t);
	return rc;
}

static void close_copy(struct viofs_virtio *d)
{
	struct pci_transport *t = transport_of(d);

	t->vfio->ops->close_copy(t->vfio);
	free(t);
}

static void drop_dma(struct viofs_virtio *d)
{
	struct viofs_vfio *v = transport_of(d)->vfio;

	v->ops->drop_dma(v);
}

static void describe(const struct viofs_virtio *d, struct viofs_virtio_description *out)
{
	const struct viofs_vfio *v =
		VIOFS_CONTAINER_OF(d, const struct pci_transport, virtio)->vfio;

	*out = (struct viofs_virtio_description){
		.vfio = v->ops->name,
		.passed_over = v->passed_over[0] ? v->passed_over : NULL,
		.vectors = v->msix_vectors,
	};
	if (!v->mapper.translates)
		out->dma = "physical, no IOMMU";
	else if (d->negotiated & VIOFS_VIRTIO_F_ACCESS_PLATFORM)
		out->dma = "translated";
	else
		out->dma = "physical (the device bypasses the IOMMU)";
}

static int shm_region(struct viofs_virtio *d, uint8_t id, struct viofs_virtio_shm *out)
{
	const struct pci_transport *t = transport_of(d);

	for (unsigned int i = 0; i < t->caps.shm_count; i++) {
		const struct viofs_pci_shm *s = &t->caps.shm[i];

		if (s->id != id)
			continue;
		if (!viofs_range_ok(s->offset, s->length, t->vfio->ops->bar_size(t->vfio, s->bar)))
			return -EPROTO;
		*out = (struct viofs_virtio_shm){ s->bar, s->offset, s->length };
		return 0;
	}
	return -ENOENT;
}

static const struct viofs_virtio_ops pci_ops = {
	.name = "pci",
	.close = transport_close,
	.close_copy = close_copy,
	.drop_dma = drop_dma,
	.describe = describe,
	.shm_region = shm_region,
	.dma_set = dma_set,
	.function_reset = function_reset,
	.is_lost = is_lost,
	.status_get = status_get,
	.status_set = status_set,
	.features_get = features_get,
	.features_set = features_set,
	.config_read = config_read,
	.queue_count = queue_count,
	.queue_max = queue_max,
	.queue_enable = queue_enable,
	.interrupts_set = interrupts_set,
	.notify = notify,
};

/* @align: what the widest register needs (4.1.4.3.1, 4.1.4.4.1, 4.1.4.6.1), a power of two. */
static int check_structure(struct viofs_vfio *v, const struct viofs_pci_cap *c, const char *what,
			   uint32_t length, uint32_t align, struct viofs_err *err)
{
	uint64_t size = v->ops->bar_size(v, c->bar);

	if (!size)
		return viofs_err_set(
			err, -EPROTO,
			"%s: the %s structure is in BAR %u, which is no memory BAR that "
			"can be accessed.",
			v->address, what, c->bar);
	if (c->length < length)
		return viofs_err_set(
			err, -EPROTO,
			"%s: the %s structure has 0x%x bytes, at least 0x%x are needed.",
			v->address, what, c->length, length);
	if (!viofs_range_ok(c->offset, c->length, size))
		return viofs_err_set(
			err, -EPROTO,
			"%s: the %s structure (0x%x bytes at 0x%x) leaves BAR %u, which "
			"has 0x%llx bytes.",
			v->address, what, c->length, c->offset, c->bar, (unsigned long long)size);
	if (c->offset & (align - 1))
		return viofs_err_set(err, -EPROTO,
				     "%s: the %s structure at 0x%x is not aligned to %u bytes.",
				     v->address, what, c->offset, align);
	return 0;
}

static int check_caps(struct viofs_vfio *v, const struct viofs_pci_caps *caps,
		      struct viofs_err *err)
{
	int rc;

	if (!caps->common.present || !caps->notify.present || !caps->device.present)
		return viofs_err_set(err, -EPROTO,
				     "%s: the common, notification or device structure is missing.",
				     v->address);
	rc = check_structure(v, &caps->common, "common", COMMON_LENGTH, 4, err);
	if (!rc)
		rc = check_structure(v, &caps->notify, "notification", NOTIFY_WIDTH, NOTIFY_WIDTH,
				     err);
	if (!rc)
		rc = check_structure(v, &caps->device, "device", 1, 4, err);
	if (!rc && caps->isr.present)
		rc = check_structure(v, &caps->isr, "ISR", 1, 1, err);
	if (rc)
		return rc;
	if (caps->notify_off_multiplier % NOTIFY_WIDTH)
		return viofs_err_set(err, -EPROTO,
				     "%s: notify_off_multiplier is %u, it must be even.",
				     v->address, caps->notify_off_multiplier);
	return 0;
}

int viofs_virtio_pci_open(struct viofs_vfio *v, struct viofs_virtio **out, struct viofs_err *err)
{
	struct viofs_pci_config config = viofs_vfio_config(v);
	struct viofs_pci_caps caps;
	struct pci_transport *t;
	int rc;

	rc = viofs_pci_caps_walk(&config, &caps, err);
	if (rc)
		return viofs_err_prefix(err, rc, "%s", v->address);
	rc = check_caps(v, &caps, err);
	if (rc)
		return rc;

	t = calloc(1, sizeof(*t));
	if (!t)
		return viofs_err_set(err, -ENOMEM, "Out of memory.");
	t->virtio.ops = &pci_ops;
	t->virtio.event_fd = v->ops->lost ? v->event_fd : -1;
	t->virtio.mapper = &v->mapper;
	t->vfio = v;
	t->caps = caps;
	for (unsigned int q = 0; q < QUEUES_MAX; q++)
		t->notify_at[q] = NOTIFY_UNSET;
	*out = &t->virtio;
	return 0;
}

static int open_function(const char *where, const struct viofs_transport_options *options,
			 struct viofs_virtio **out, struct viofs_err *err)
{
	struct viofs_pci_function f = { .iommu_group = -1 };
	struct viofs_vfio *v = NULL;
	int rc;

	if (viofs_pci_address_parse(where, &f.address))
		return viofs_err_set(err, -EINVAL, "%s is no PCI address.", where);
	/* Which looks for the rest itself. */
	rc = viofs_vfio_open(&f, options->allow_noiommu, &v, err);
	if (rc)
		return rc;
	if (!v->mapper.translates)
		viofs_warn("%s is used with no IOMMU: the device can read and write all memory of "
			   "this machine",
			   v->address);
	rc = viofs_virtio_pci_open(v, out, err);
	if (rc)
		viofs_vfio_close(v);
	return rc;
}

const struct viofs_transport viofs_pci_transport = { .open = open_function };

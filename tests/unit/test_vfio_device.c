/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a VFIO device descriptor gives: a file that has configuration space and BARs, and a kernel
 * of the test's own behind ioctl(2). */
#include "vfio/alerts.h"
#include "vfio/regions.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define CONFIG 0x10000U
#define BAR0 0x20000U /* three pages, of which the middle one isn't to be mapped */
#define BAR2 0x30000U /* not to be mapped at all */
#define PAGE 4096U
#define INDEX_COUNT 5U

static struct {
	int fd;
	uint32_t flags;
	unsigned int regions, irqs;
	uint32_t msix_flags, vectors;
	int info_rc, region_rc, irq_rc, set_rc, reset_rc;
	unsigned int resets, sets, last_count;
	uint32_t last_flags;
	int last_fds[4];
	int alert_fds[INDEX_COUNT]; /* by index of the interrupt */
} kernel;

static struct viofs_vfio_device *d;
static struct viofs_vfio *v;
static struct viofs_err err;

static int result(int rc)
{
	if (rc < 0)
		errno = -rc;
	return rc < 0 ? -1 : rc;
}

static void describe_bar0(struct vfio_region_info *r)
{
	struct vfio_region_info_cap_sparse_mmap *cap = (void *)(r + 1);
	const size_t need = sizeof(*r) + sizeof(*cap) + 2 * sizeof(cap->areas[0]);

	r->flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	r->size = 3 * (uint64_t)PAGE;
	r->offset = BAR0;
	if (r->argsz >= need) {
		r->cap_offset = sizeof(*r);
		cap->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
		cap->header.version = 1;
		cap->nr_areas = 2;
		cap->areas[0].offset = 0;
		cap->areas[0].size = PAGE;
		cap->areas[1].offset = 2 * (uint64_t)PAGE;
		cap->areas[1].size = PAGE;
	}
	r->argsz = (uint32_t)need;
}

static int describe_region(struct vfio_region_info *r)
{
	const uint32_t rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;

	r->flags = rw;
	r->size = r->offset = r->cap_offset = 0;
	if (r->index == VFIO_PCI_CONFIG_REGION_INDEX) {
		r->size = 256;
		r->offset = CONFIG;
	} else if (r->index == 0) {
		describe_bar0(r);
	} else if (r->index == 1 || r->index == 2 || r->index == 4) {
		r->size = 512; /* 1 is I/O by its BAR */
		r->offset = BAR2;
		if (r->index == 4)
			r->flags = VFIO_REGION_INFO_FLAG_READ;
	}
	return result(kernel.region_rc);
}

static int set_irqs(const struct vfio_irq_set *s)
{
	if (s->index != VFIO_PCI_MSIX_IRQ_INDEX) {
		if (s->index < INDEX_COUNT && s->count == 1)
			memcpy(&kernel.alert_fds[s->index], s->data, sizeof(int));
		return 0;
	}
	assert_int_equal(s->argsz, sizeof(*s) + s->count * sizeof(int));
	assert_int_equal(s->start, 0);
	kernel.sets++;
	kernel.last_count = s->count;
	kernel.last_flags = s->flags;
	memcpy(kernel.last_fds, s->data, s->count * sizeof(int));
	return result(kernel.set_rc);
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct vfio_device_info *device;
	struct vfio_irq_info *irq;
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	assert_int_equal(fd, kernel.fd);
	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		device = arg;
		device->flags = kernel.flags;
		device->num_regions = kernel.regions;
		device->num_irqs = kernel.irqs;
		return result(kernel.info_rc);
	case VFIO_DEVICE_GET_REGION_INFO:
		return describe_region(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		irq = arg;
		irq->flags = irq->index == VFIO_PCI_MSIX_IRQ_INDEX ? kernel.msix_flags
								   : VFIO_IRQ_INFO_EVENTFD;
		irq->count = irq->index == VFIO_PCI_MSIX_IRQ_INDEX ? kernel.vectors : 1;
		return irq->index == VFIO_PCI_MSIX_IRQ_INDEX ? result(kernel.irq_rc) : 0;
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(arg);
	case VFIO_DEVICE_RESET:
		kernel.resets++;
		return result(kernel.reset_rc);
	default:
		return result(-ENOTTY);
	}
}

static void put(uint32_t at, uint32_t value, size_t len)
{
	assert_int_equal(pwrite(kernel.fd, &value, len, at), len);
}

static uint32_t get(uint32_t at, size_t len)
{
	uint32_t value = 0;

	assert_int_equal(pread(kernel.fd, &value, len, at), len);
	return value;
}

static int make(void **state)
{
	static const struct viofs_vfio_ops ops;
	struct viofs_pci_function f = { .text = "0000:00:04.0" };

	memset(&kernel, 0, sizeof(kernel));
	kernel.fd = memfd_create("device", MFD_CLOEXEC);
	assert_int_equal(ftruncate(kernel.fd, 0x40000), 0);
	kernel.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	kernel.regions = VFIO_PCI_NUM_REGIONS;
	kernel.irqs = VFIO_PCI_NUM_IRQS;
	kernel.msix_flags = VFIO_IRQ_INFO_EVENTFD;
	kernel.vectors = 3;
	put(CONFIG + PCI_BASE_ADDRESS_0 + 4, PCI_BASE_ADDRESS_SPACE_IO, 4);
	d = viofs_vfio_device_new(&f, &ops, NULL, &err);
	assert_non_null(d);
	v = &d->vfio;
	d->fd = kernel.fd;
	return 0;
}

static int unmake(void **state)
{
	viofs_vfio_device_close(v);
	return 0;
}

static void start(void)
{
	if (viofs_vfio_device_start(d, &err))
		fail_msg("%s", err.text);
}

static void memory_is_enabled_and_bus_mastering_is_not(void **state)
{
	start();
	assert_int_equal(get(CONFIG + PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(v->msix_vectors, 3);
	assert_int_equal(viofs_vfio_device_bar_size(v, 0), 3 * PAGE);
	assert_int_equal(viofs_vfio_device_bar_size(v, 1), 0); /* I/O ports */
	assert_int_equal(viofs_vfio_device_bar_size(v, 2), 512);
	assert_int_equal(viofs_vfio_device_bar_size(v, 3), 0);
	assert_int_equal(viofs_vfio_device_bar_size(v, 4), 0); /* can't be written */
	assert_int_equal(viofs_vfio_device_bar_size(v, 6), 0);
}

static void registers_are_the_same_mapped_or_not(void **state)
{
	static const struct {
		unsigned int bar;
		uint32_t off, at;
	} places[] = {
		{ 0, 0, BAR0 },
		{ 0, PAGE - 4, BAR0 + PAGE - 4 },
		{ 0, PAGE, BAR0 + PAGE },
		{ 0, 2 * PAGE - 4, BAR0 + 2 * PAGE - 4 },
		{ 0, 2 * PAGE, BAR0 + 2 * PAGE },
		{ 0, 3 * PAGE - 4, BAR0 + 3 * PAGE - 4 },
		{ 2, 0, BAR2 },
		{ 2, 508, BAR2 + 508 },
	};

	start();
	assert_int_equal(d->bars[0].area_count, 2);
	assert_int_equal(d->bars[2].area_count, 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		put(places[i].at, 0x44332211, 4);
		assert_int_equal(viofs_vfio_device_bar_read(v, places[i].bar, places[i].off, 4),
				 0x44332211);
		assert_int_equal(viofs_vfio_device_bar_read(v, places[i].bar, places[i].off, 2),
				 0x2211);
		assert_int_equal(viofs_vfio_device_bar_read(v, places[i].bar, places[i].off + 2, 2),
				 0x4433);
		assert_int_equal(viofs_vfio_device_bar_read(v, places[i].bar, places[i].off + 3, 1),
				 0x44);
		viofs_vfio_device_bar_write(v, places[i].bar, places[i].off, 1, 0xaa);
		assert_int_equal(get(places[i].at, 4), 0x443322aa);
		viofs_vfio_device_bar_write(v, places[i].bar, places[i].off + 2, 2, 0xbbcc);
		assert_int_equal(get(places[i].at, 4), 0xbbcc22aa);
		viofs_vfio_device_bar_write(v, places[i].bar, places[i].off, 4, 0x01020304);
		assert_int_equal(get(places[i].at, 4), 0x01020304);
	}
}

static void a_function_that_is_gone_reads_as_ones(void **state)
{
	start();
	assert_int_equal(ftruncate(kernel.fd, BAR2), 0);
	assert_int_equal(viofs_vfio_device_bar_read(v, 2, 0, 4), UINT32_MAX);
	assert_int_equal(viofs_vfio_device_bar_read(v, 2, 0, 2), 0xffff);
	assert_int_equal(viofs_vfio_device_bar_read(v, 2, 0, 1), 0xff);
}

static void configuration_space_has_its_bounds(void **state)
{
	uint8_t buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	start();
	assert_int_equal(viofs_vfio_device_config_write(v, 248, buf, 8), 0);
	assert_int_equal(get(CONFIG + 252, 4), 0x08070605);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(viofs_vfio_device_config_read(v, 252, buf, 4), 0);
	assert_int_equal(buf[3], 8);
	assert_int_equal(viofs_vfio_device_config_read(v, 253, buf, 4), -ERANGE);
	assert_int_equal(viofs_vfio_device_config_write(v, 253, buf, 4), -ERANGE);
	assert_int_equal(ftruncate(kernel.fd, CONFIG + 100), 0);
	assert_int_equal(viofs_vfio_device_config_read(v, 98, buf, 4), -EIO);
	d->fd = -1;
	assert_int_equal(viofs_vfio_device_config_read(v, 0, buf, 4), -EBADF);
	assert_int_equal(viofs_vfio_device_config_write(v, 0, buf, 4), -EBADF);
	d->fd = kernel.fd;
}

static void vectors_are_switched_off_before_they_are_set_anew(void **state)
{
	const int fds[4] = { 11, 12, 13, 14 };

	start();
	assert_int_equal(viofs_vfio_device_msix_set(v, fds, 4, &err), -EINVAL);
	assert_string_equal(err.text, "0000:00:04.0 has 3 interrupt vectors, 4 were asked for.");
	assert_int_equal(kernel.sets, 0);
	assert_int_equal(viofs_vfio_device_msix_set(v, fds, 3, &err), 0);
	assert_int_equal(kernel.sets, 1);
	assert_int_equal(kernel.last_count, 3);
	assert_int_equal(kernel.last_flags,
			 VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD);
	assert_memory_equal(kernel.last_fds, fds, 3 * sizeof(int));
	assert_int_equal(viofs_vfio_device_msix_set(v, fds, 1, &err), 0);
	assert_int_equal(kernel.sets, 3);
	assert_int_equal(viofs_vfio_device_msix_set(v, NULL, 0, &err), 0);
	assert_int_equal(kernel.sets, 4);
	assert_int_equal(kernel.last_count, 0);
	assert_int_equal(kernel.last_flags, VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE);
	/* They are off already. */
	assert_int_equal(viofs_vfio_device_msix_set(v, NULL, 0, &err), 0);
	assert_int_equal(kernel.sets, 4);
	/* Fewer than asked for are none; a failure leaves them off. */
	kernel.set_rc = 2;
	assert_int_equal(viofs_vfio_device_msix_set(v, fds, 3, &err), -ENOSPC);
	kernel.set_rc = -EBUSY;
	assert_int_equal(viofs_vfio_device_msix_set(v, fds, 3, &err), -EBUSY);
	kernel.set_rc = 0;
	assert_int_equal(viofs_vfio_device_msix_set(v, fds, 2, &err), 0);
	assert_int_equal(kernel.sets, 7);
	kernel.set_rc = -EIO;
	assert_int_equal(viofs_vfio_device_msix_set(v, fds, 2, &err), -EIO);
	kernel.set_rc = 0;
}

static void the_end_switches_vectors_off_where_they_are_on(void **state)
{
	const int fds[1] = { 11 };

	start();
	assert_int_equal(viofs_vfio_device_msix_set(v, fds, 1, &err), 0);
	viofs_vfio_device_fini(d);
	assert_int_equal(kernel.sets, 2);
	assert_int_equal(kernel.last_count, 0);
	assert_int_equal(d->fd, -1);
	assert_int_equal(fcntl(kernel.fd, F_GETFD), -1);
	viofs_vfio_device_fini(d);
	assert_int_equal(kernel.sets, 2);
}

static void a_reset_enables_memory_again(void **state)
{
	start();
	put(CONFIG + PCI_COMMAND, 0, 2);
	assert_int_equal(viofs_vfio_device_reset(v), 0);
	assert_int_equal(kernel.resets, 1);
	assert_int_equal(get(CONFIG + PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	kernel.reset_rc = -ENOTTY;
	assert_int_equal(viofs_vfio_device_reset(v), -ENOTTY);
	d->can_reset = false;
	assert_int_equal(viofs_vfio_device_reset(v), -EOPNOTSUPP);
	assert_int_equal(kernel.resets, 2);
}

static void what_is_no_pci_function_is_refused(void **state)
{
	kernel.flags = 0;
	assert_int_equal(viofs_vfio_device_start(d, &err), -ENODEV);
	kernel.flags = VFIO_DEVICE_FLAGS_PCI;
	kernel.irqs = VFIO_PCI_MSIX_IRQ_INDEX;
	assert_int_equal(viofs_vfio_device_start(d, &err), -ENODEV);
	kernel.irqs = VFIO_PCI_MSIX_IRQ_INDEX + 1;
	kernel.regions = VFIO_PCI_CONFIG_REGION_INDEX;
	assert_int_equal(viofs_vfio_device_start(d, &err), -ENODEV);
	kernel.regions = VFIO_PCI_CONFIG_REGION_INDEX + 1;
	kernel.info_rc = -EIO;
	assert_int_equal(viofs_vfio_device_start(d, &err), -EIO);
	kernel.info_rc = 0;
	kernel.region_rc = -EINVAL;
	assert_int_equal(viofs_vfio_device_start(d, &err), -EINVAL);
	kernel.region_rc = 0;
	kernel.irq_rc = -EINVAL;
	assert_int_equal(viofs_vfio_device_start(d, &err), -EINVAL);
	kernel.irq_rc = 0;
	put(CONFIG + PCI_COMMAND, 0xffff, 2);
	assert_int_equal(viofs_vfio_device_start(d, &err), -EIO);
	assert_string_equal(err.text,
			    "0000:00:04.0: its memory can't be enabled: Input/output error.");
}

static void vectors_that_cannot_be_signalled_are_none(void **state)
{
	kernel.msix_flags = 0;
	start();
	assert_int_equal(v->msix_vectors, 0);
}

static void there_are_no_more_vectors_than_the_table_holds(void **state)
{
	kernel.vectors = 5000;
	start();
	assert_int_equal(v->msix_vectors, 2048);
}

static void what_the_kernel_says_unasked_is_kept(void **state)
{
	start();
	assert_null(viofs_vfio_alerts_lost(v));
	assert_true(kernel.alert_fds[VFIO_PCI_ERR_IRQ_INDEX] > 0);
	assert_int_equal(poll(&(struct pollfd){ .fd = v->event_fd, .events = POLLIN }, 1, 0), 0);
	assert_int_equal(eventfd_write(kernel.alert_fds[VFIO_PCI_ERR_IRQ_INDEX], 1), 0);
	assert_int_equal(poll(&(struct pollfd){ .fd = v->event_fd, .events = POLLIN }, 1, 0), 1);
	assert_non_null(viofs_vfio_alerts_lost(v));
	assert_non_null(viofs_vfio_alerts_lost(v));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_is_enabled_and_bus_mastering_is_not),
		TEST(registers_are_the_same_mapped_or_not),
		TEST(a_function_that_is_gone_reads_as_ones),
		TEST(configuration_space_has_its_bounds),
		TEST(vectors_are_switched_off_before_they_are_set_anew),
		TEST(the_end_switches_vectors_off_where_they_are_on),
		TEST(a_reset_enables_memory_again),
		TEST(what_is_no_pci_function_is_refused),
		TEST(vectors_that_cannot_be_signalled_are_none),
		TEST(there_are_no_more_vectors_than_the_table_holds),
		TEST(what_the_kernel_says_unasked_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

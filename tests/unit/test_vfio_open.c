/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which back end is taken, and why not a better one; with a kernel of the test's own behind
 * ioctl(2). */
#include "base/util.h"
#include "model_backend.h"
#include "pci/sysfs.h"
#include "tree.h"
#include "vfio/backend.h"
#include "vfio/iommufd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FS "0000:01:00.0"
#define SYS "sys/bus/pci/devices/" FS
#define IOAS 7
#define PAGE 4096U

/* How the kernel of this test behaves, and what it was asked. */
static struct {
	int bind_rc, alloc_rc, attach_rc, set_iommu_rc;
	int map_rc, map_rc_write_only;
	unsigned int range_count, unmapped_less;
	struct viofs_iommufd_range ranges[20];
	int api_version_off, no_extension, not_viable, info_rc; /* of the group */
	int status_rc, container_rc;
	bool bound, attached;
	struct viofs_iommufd_map map;
	struct vfio_iommu_type1_dma_map group_map;
	unsigned int maps, group_tries;
} kernel;

static struct viofs_pci_function function;
static struct viofs_err err;

static bool is_node(int fd, const char *relative)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(tree_path(relative), &b) == 0 && a.st_ino == b.st_ino;
}

static int refuse(int rc)
{
	errno = -rc;
	return rc ? -1 : 0;
}

static int answer_ranges(struct viofs_iommufd_ranges *r)
{
	struct viofs_iommufd_range *out = (void *)(uintptr_t)r->ranges;
	bool fits = kernel.range_count <= r->count;

	assert_true(kernel.attached);
	assert_int_equal(r->size, 32);
	assert_int_equal(r->ioas, IOAS);
	memcpy(out, kernel.ranges, VIOFS_MIN(r->count, kernel.range_count) * sizeof(*out));
	r->count = kernel.range_count;
	return fits ? 0 : refuse(-EMSGSIZE);
}

static int answer_iommufd(int fd, unsigned long request, void *arg)
{
	struct viofs_vfio_bind *bind = arg;
	struct viofs_vfio_attach *attach = arg;
	struct viofs_iommufd_ioas_alloc *alloc = arg;
	struct viofs_iommufd_unmap *unmap = arg;

	switch (request) {
	case VIOFS_VFIO_BIND_IOMMUFD:
		assert_int_equal(bind->argsz, 16);
		assert_true(is_node(bind->iommufd, "dev/iommu"));
		kernel.bound = !kernel.bind_rc;
		return refuse(kernel.bind_rc);
	case VIOFS_IOMMUFD_IOAS_ALLOC:
		assert_int_equal(alloc->size, 12);
		alloc->ioas = IOAS;
		return refuse(kernel.alloc_rc);
	case VIOFS_VFIO_ATTACH_IOMMUFD_PT:
		assert_true(kernel.bound);
		assert_int_equal(attach->ioas, IOAS);
		kernel.attached = !kernel.attach_rc;
		return refuse(kernel.attach_rc);
	case VIOFS_IOMMUFD_IOAS_IOVA_RANGES:
		return answer_ranges(arg);
	case VIOFS_IOMMUFD_IOAS_MAP:
		assert_true(is_node(fd, "dev/iommu"));
		memcpy(&kernel.map, arg, sizeof(kernel.map));
		kernel.maps++;
		if (!(kernel.map.flags & VIOFS_IOMMUFD_MAP_READ) && kernel.map_rc_write_only)
			return refuse(kernel.map_rc_write_only);
		return refuse(kernel.map_rc);
	case VIOFS_IOMMUFD_IOAS_UNMAP:
		assert_int_equal(unmap->ioas, IOAS);
		unmap->len -= kernel.unmapped_less;
		return 0;
	default:
		return refuse(-ENOTTY);
	}
}

static int answer_device(unsigned long request, void *arg)
{
	struct vfio_device_info *device = arg;
	struct vfio_region_info *region = arg;
	struct vfio_irq_info *irq = arg;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		assert_true(kernel.attached);
		device->flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
		device->num_regions = VFIO_PCI_NUM_REGIONS;
		device->num_irqs = VFIO_PCI_NUM_IRQS;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		region->size = region->index == VFIO_PCI_CONFIG_REGION_INDEX ? 256 : 0;
		region->offset = 0;
		return 0;
	case VFIO_DEVICE_GET_IRQ_INFO:
		irq->count = irq->index == VFIO_PCI_MSIX_IRQ_INDEX ? 3 : 0;
		irq->flags = VFIO_IRQ_INFO_EVENTFD;
		return 0;
	default:
		return refuse(-ENOTTY);
	}
}

static int answer_group(unsigned long request, void *arg)
{
	struct vfio_group_status *status = arg;
	struct vfio_iommu_type1_dma_unmap *unmap = arg;

	switch (request) {
	case VFIO_GET_API_VERSION:
		kernel.group_tries++;
		return VFIO_API_VERSION + kernel.api_version_off;
	case VFIO_CHECK_EXTENSION:
		return !kernel.no_extension;
	case VFIO_GROUP_GET_STATUS:
		status->flags = kernel.not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE;
		return refuse(kernel.status_rc);
	case VFIO_GROUP_SET_CONTAINER:
		return refuse(kernel.container_rc);
	case VFIO_SET_IOMMU:
		kernel.attached = !kernel.set_iommu_rc;
		return refuse(kernel.set_iommu_rc);
	case VFIO_GROUP_GET_DEVICE_FD:
		return open(tree_path("dev/vfio/device"), O_RDWR | O_CLOEXEC);
	case VFIO_IOMMU_GET_INFO:
		return refuse(kernel.info_rc); /* an older kernel: no ranges */
	case VFIO_IOMMU_MAP_DMA:
		memcpy(&kernel.group_map, arg, sizeof(kernel.group_map));
		return refuse(kernel.map_rc);
	case VFIO_IOMMU_UNMAP_DMA:
		unmap->size -= kernel.unmapped_less;
		return 0;
	default:
		return refuse(-ENOTTY);
	}
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int rc;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	/* Nothing that is open leaves the process, and all can be told something. */
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	rc = answer_device(request, arg);
	if (rc < 0 && errno == ENOTTY)
		rc = answer_group(request, arg);
	return rc < 0 && errno == ENOTTY ? answer_iommufd(fd, request, arg) : rc;
}

static int set_up(void **state)
{
	static const uint8_t space[256];
	static char sys[PATH_MAX], dev[PATH_MAX];

	memset(&kernel, 0, sizeof(kernel));
	kernel.ranges[0] = (struct viofs_iommufd_range){ 0, 0xfedfffff };
	kernel.ranges[1] = (struct viofs_iommufd_range){ 0xfef00000, (1ULL << 39) - 1 };
	kernel.range_count = 2;
	tree_make();
	snprintf(sys, sizeof(sys), "%s", tree_path("sys"));
	snprintf(dev, sizeof(dev), "%s", tree_path("dev"));
	viofs_pci_set_sysfs_root(sys);
	viofs_vfio_set_dev_root(dev);
	tree_file(SYS "/vendor", "0x1af4\n");
	tree_file(SYS "/device", "0x105a\n");
	tree_link(SYS "/driver", "../../../drivers/vfio-pci");
	tree_link(SYS "/iommu_group", "../../../../kernel/iommu_groups/5");
	tree_link("sys/kernel/iommu_groups/5/devices/" FS, "../../../../bus/pci/devices/" FS);
	tree_file(SYS "/vfio-dev/vfio3/dev", "511:3\n");
	tree_bytes("dev/vfio/devices/vfio3", space, sizeof(space));
	tree_bytes("dev/vfio/device", space, sizeof(space));
	tree_file("dev/iommu", "");
	tree_file("dev/vfio/vfio", "");
	tree_file("dev/vfio/5", "");
	assert_int_equal(viofs_pci_address_parse(FS, &function.address), 0);
	return viofs_pci_function_read(&function.address, &function, NULL);
}

static int tear_down(void **state)
{
	viofs_pci_set_sysfs_root(NULL);
	viofs_vfio_set_dev_root(NULL);
	tree_remove();
	return 0;
}

/* No IOMMU, as Linux 7.3 has it with enable_unsafe_noiommu_mode. */
static void take_the_iommu_away(void)
{
	static const uint8_t space[256];

	tree_unlink(SYS "/vfio-dev/vfio3/dev");
	assert_int_equal(rmdir(tree_path(SYS "/vfio-dev/vfio3")), 0);
	tree_unlink("dev/vfio/devices/vfio3");
	tree_unlink("dev/vfio/5");
	tree_file(SYS "/vfio-dev/noiommu-vfio3/dev", "511:3\n");
	tree_bytes("dev/vfio/devices/noiommu-vfio3", space, sizeof(space));
	tree_file("dev/vfio/noiommu-5", "");
}

static struct viofs_vfio *open_it(bool allow_noiommu)
{
	struct viofs_vfio *v = NULL;
	int rc = viofs_vfio_open(&function, allow_noiommu, &v, &err);

	if (rc)
		fail_msg("%d: %s", rc, err.text);
	return v;
}

static void the_devices_own_node_comes_first(void **state)
{
	struct viofs_vfio *v = open_it(false);

	assert_string_equal(v->ops->name, "cdev");
	assert_string_equal(v->passed_over, "");
	assert_true(v->mapper.translates);
	assert_int_equal(v->msix_vectors, 3);
	assert_int_equal(kernel.group_tries, 0);
	viofs_vfio_close(v);
}

static void ranges_are_those_of_the_address_space(void **state)
{
	struct viofs_vfio *v = open_it(false);

	assert_int_equal(v->mapper.range_count, 2);
	assert_true(viofs_mapper_fits(&v->mapper, 0xfef00000, PAGE));
	assert_false(viofs_mapper_fits(&v->mapper, 0xfee00000, PAGE));
	assert_false(viofs_mapper_fits(&v->mapper, 1ULL << 39, PAGE));
	viofs_vfio_close(v);
}

static void more_ranges_than_are_kept_are_cut(void **state)
{
	struct viofs_vfio *v;

	kernel.range_count = VIOFS_ARRAY_SIZE(kernel.ranges);
	for (unsigned int i = 0; i < kernel.range_count; i++)
		kernel.ranges[i] = (struct viofs_iommufd_range){ i * PAGE, i * PAGE + 1 };
	kernel.ranges[3] = (struct viofs_iommufd_range){ 9, 8 }; /* empty */
	v = open_it(false);
	assert_int_equal(v->mapper.range_count, VIOFS_ARRAY_SIZE(v->mapper.ranges) - 1);
	assert_int_equal(v->mapper.ranges[3].first, 4 * PAGE);
	viofs_vfio_close(v);
}

static void an_iommu_with_no_address_is_passed_over(void **state)
{
	struct viofs_vfio *v;

	kernel.range_count = 0;
	v = open_it(false);
	assert_string_equal(v->ops->name, "group");
	assert_non_null(strstr(v->passed_over, "no address to give"));
	viofs_vfio_close(v);
}

static void without_iommufd_the_group_serves(void **state)
{
	struct viofs_vfio *v;

	tree_unlink("dev/iommu");
	v = open_it(false);
	assert_string_equal(v->ops->name, "group");
	assert_true(v->mapper.translates);
	assert_non_null(strstr(v->passed_over, "cdev: "));
	assert_non_null(strstr(v->passed_over, "iommu is not there"));
	viofs_vfio_close(v);
}

static void each_step_to_the_group_may_fail(void **state)
{
	static const struct {
		int *fails, with;
		const char *says;
	} cases[] = {
		{ &kernel.api_version_off, 1, "has another VFIO interface" },
		{ &kernel.no_extension, 1, "no IOMMU type1v2" },
		{ &kernel.not_viable, 1, "is not viable" },
		{ &kernel.status_rc, -EIO, "does not tell its state: Input/output error" },
		{ &kernel.container_rc, -EINVAL, "can't be put into a container: Invalid" },
		{ &kernel.container_rc, -EBUSY, "is in use" },
		{ &kernel.set_iommu_rc, -EIO, "Input/output error" },
		{ &kernel.info_rc, -EIO, "does not describe itself: Input/output" },
	};
	unsigned int fds = model_count_fds();

	tree_unlink("dev/iommu");
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++) {
		struct viofs_vfio *v = NULL;

		*cases[i].fails = cases[i].with;
		assert_true(viofs_vfio_open(&function, false, &v, &err) < 0);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s", err.text);
		assert_int_equal(model_count_fds(), fds);
		assert_null(v);
		*cases[i].fails = 0;
	}
	viofs_vfio_close(open_it(false));
	assert_int_equal(model_count_fds(), fds);
}

static void a_kernel_without_device_nodes_is_told_from_a_missing_node(void **state)
{
	struct viofs_vfio *v;

	tree_unlink("dev/vfio/devices/vfio3");
	v = open_it(false);
	assert_non_null(strstr(v->passed_over, "vfio/devices/vfio3 is not there"));
	viofs_vfio_close(v);
	tree_unlink(SYS "/vfio-dev/vfio3/dev");
	v = open_it(false);
	assert_non_null(strstr(v->passed_over, "CONFIG_VFIO_DEVICE_CDEV"));
	viofs_vfio_close(v);
}

static void what_iommufd_refuses_the_group_may_take(void **state)
{
	struct viofs_vfio *v;

	kernel.bind_rc = -EPERM;
	v = open_it(false);
	assert_string_equal(v->ops->name, "group");
	assert_non_null(strstr(v->passed_over, "interrupt remapping"));
	viofs_vfio_close(v);
	kernel.bind_rc = 0;
	kernel.attach_rc = -EINVAL;
	v = open_it(false);
	assert_string_equal(v->ops->name, "group");
	assert_non_null(strstr(v->passed_over, "the IOMMU can't be set up"));
	viofs_vfio_close(v);
	kernel.attach_rc = 0;
	kernel.alloc_rc = -ENOMEM;
	v = open_it(false);
	assert_string_equal(v->ops->name, "group");
	assert_non_null(strstr(v->passed_over, "no address space to be had: Cannot allocate"));
	viofs_vfio_close(v);
}

static void where_both_refuse_the_first_reason_is_told(void **state)
{
	struct viofs_vfio *v = NULL;

	kernel.bind_rc = -EPERM;
	kernel.set_iommu_rc = -EPERM;
	assert_int_equal(viofs_vfio_open(&function, true, &v, &err), -EPERM);
	assert_non_null(strstr(err.text, "iommufd with allow_unsafe_interrupts=1"));
	assert_int_equal(kernel.group_tries, 1);
}

static void a_device_in_use_is_tried_once(void **state)
{
	struct viofs_vfio *v = NULL;

	kernel.bind_rc = -EBUSY;
	assert_int_equal(viofs_vfio_open(&function, true, &v, &err), -EBUSY);
	assert_non_null(strstr(err.text, "is in use"));
	assert_int_equal(kernel.group_tries, 0);
}

static void a_sibling_in_use_is_named(void **state)
{
	struct viofs_vfio *v = NULL;

	kernel.bind_rc = -EBUSY;
	kernel.set_iommu_rc = -EBUSY;
	tree_link("sys/kernel/iommu_groups/5/devices/0000:01:00.1",
		  "../../../../bus/pci/devices/0000:01:00.1");
	tree_file("sys/bus/pci/devices/0000:01:00.1/vendor", "0x1af4\n");
	tree_link("sys/bus/pci/devices/0000:01:00.1/driver", "../../../drivers/e1000e");
	assert_int_equal(viofs_vfio_open(&function, false, &v, &err), -EPERM);
	assert_non_null(strstr(err.text, "0000:01:00.1"));
	assert_non_null(strstr(err.text, "e1000e"));
}

static void without_an_iommu_it_must_be_asked_for(void **state)
{
	struct viofs_vfio *v = NULL;

	take_the_iommu_away();
	assert_int_equal(viofs_vfio_open(&function, false, &v, &err), -EPERM);
	assert_int_equal(err.remedy, VIOFS_REMEDY_ALLOW_NOIOMMU);
	assert_non_null(strstr(err.text, "vfio/devices/noiommu-vfio3"));
	assert_false(kernel.bound);

	v = open_it(true);
	assert_string_equal(v->ops->name, "noiommu-cdev");
	assert_false(v->mapper.translates);
	assert_non_null(strstr(v->passed_over, "cdev: the device is noiommu-vfio3"));
	viofs_vfio_close(v);

	tree_unlink("dev/iommu");
	v = open_it(true);
	assert_string_equal(v->ops->name, "noiommu");
	assert_false(v->mapper.translates);
	viofs_vfio_close(v);
}

static void no_way_at_all_says_what_is_missing(void **state)
{
	struct viofs_vfio *v = NULL;

	tree_unlink("dev/vfio/5");
	tree_unlink("dev/vfio/devices/vfio3");
	assert_int_equal(viofs_vfio_open(&function, true, &v, &err), -ENOENT);
	assert_non_null(strstr(err.text, "CONFIG_VFIO_GROUP"));
	assert_non_null(strstr(err.text, "vfio/5 is not there"));
	tree_unlink(SYS "/iommu_group");
	assert_int_equal(viofs_vfio_open(&function, true, &v, &err), -ENODEV);
	assert_non_null(strstr(err.text, "no IOMMU group"));
	tree_link(SYS "/driver", "../../../drivers/virtio-pci");
	assert_int_equal(viofs_vfio_open(&function, true, &v, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not bound to vfio-pci but to virtio-pci"));
}

static int map_page(struct viofs_vfio *v, void *vaddr, uint64_t iova, unsigned int access)
{
	const struct viofs_mapper_memory memory = { vaddr, PAGE, -1, 0, access };

	return v->mapper.ops->map(&v->mapper, &memory, iova, &err);
}

static int unmap_page(struct viofs_vfio *v, uint64_t iova)
{
	return v->mapper.ops->unmap(&v->mapper, iova, PAGE, &err);
}

static void memory_is_mapped_where_and_as_it_was_asked(void **state)
{
	struct viofs_vfio *v = open_it(false);
	static uint8_t memory[PAGE];

	assert_int_equal(map_page(v, memory, 0x5000, VIOFS_DMA_READ), 0);
	assert_int_equal(kernel.map.size, 40);
	assert_int_equal(kernel.map.flags, VIOFS_IOMMUFD_MAP_FIXED | VIOFS_IOMMUFD_MAP_READ);
	assert_int_equal(kernel.map.vaddr, (uintptr_t)memory);
	assert_int_equal(kernel.map.iova, 0x5000);
	assert_int_equal(kernel.map.len, PAGE);
	assert_int_equal(unmap_page(v, 0x5000), 0);
	kernel.unmapped_less = 1;
	assert_int_equal(unmap_page(v, 0x5000), -ENOENT);
	viofs_vfio_close(v);
}

static void a_group_tells_what_it_did_not_take_back(void **state)
{
	struct viofs_vfio *v;

	tree_unlink("dev/iommu");
	v = open_it(false);
	assert_string_equal(v->ops->name, "group");
	assert_int_equal(unmap_page(v, 0x5000), 0);
	kernel.unmapped_less = 1;
	assert_int_equal(unmap_page(v, 0x5000), -ENOENT);
	viofs_vfio_close(v);
}

static void an_iommu_without_write_only_pages_gets_both(void **state)
{
	static const int refusals[] = { -EINVAL, -EOPNOTSUPP };
	struct viofs_vfio *v = open_it(false);

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(refusals); i++) {
		kernel.maps = 0;
		kernel.map_rc_write_only = refusals[i];
		assert_int_equal(map_page(v, NULL, 0, VIOFS_DMA_WRITE), 0);
		assert_int_equal(kernel.maps, 2);
		assert_true(kernel.map.flags & VIOFS_IOMMUFD_MAP_READ);
	}
	kernel.maps = 0;
	kernel.map_rc_write_only = -EFAULT;
	assert_int_equal(map_page(v, NULL, 0, VIOFS_DMA_WRITE), -EFAULT);
	assert_int_equal(kernel.maps, 1);
	viofs_vfio_close(v);
}

static void what_stands_against_a_mapping_is_explained(void **state)
{
	static const struct {
		int rc;
		const char *says;
	} cases[] = {
		{ -ENOMEM, "LimitMEMLOCK" },    { -ENOSPC, "dma_entry_limit" },
		{ -EINVAL, "reserved" },        { -EOVERFLOW, "beyond what the IOMMU" },
		{ -EEXIST, "mapped already" },  { -EFAULT, "can't be pinned" },
		{ -EIO, "Input/output error" },
	};
	struct viofs_vfio *v;

	for (int by_group = 0; by_group < 2; by_group++) {
		if (by_group)
			tree_unlink("dev/iommu");
		v = open_it(false);
		assert_string_equal(v->ops->name, by_group ? "group" : "cdev");
		for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++) {
			kernel.map_rc = cases[i].rc;
			assert_int_equal(map_page(v, NULL, 0, VIOFS_DMA_READ), cases[i].rc);
			assert_non_null(strstr(err.text, cases[i].says));
		}
		viofs_vfio_close(v);
	}
}

static void a_process_that_maps_nothing_keeps_the_device_only(void **state)
{
	struct viofs_vfio *v = open_it(false);
	uint8_t byte;
	int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after;

	close(before);
	v->ops->drop_dma(v);
	after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(after);
	assert_true(after < before);
	assert_int_equal(v->ops->config_read(v, 0, &byte, 1), 0);
	viofs_vfio_close(v);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_devices_own_node_comes_first),
		TEST(ranges_are_those_of_the_address_space),
		TEST(more_ranges_than_are_kept_are_cut),
		TEST(an_iommu_with_no_address_is_passed_over),
		TEST(without_iommufd_the_group_serves),
		TEST(each_step_to_the_group_may_fail),
		TEST(a_kernel_without_device_nodes_is_told_from_a_missing_node),
		TEST(what_iommufd_refuses_the_group_may_take),
		TEST(where_both_refuse_the_first_reason_is_told),
		TEST(a_device_in_use_is_tried_once),
		TEST(a_sibling_in_use_is_named),
		TEST(without_an_iommu_it_must_be_asked_for),
		TEST(no_way_at_all_says_what_is_missing),
		TEST(memory_is_mapped_where_and_as_it_was_asked),
		TEST(a_group_tells_what_it_did_not_take_back),
		TEST(an_iommu_without_write_only_pages_gets_both),
		TEST(what_stands_against_a_mapping_is_explained),
		TEST(a_process_that_maps_nothing_keeps_the_device_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

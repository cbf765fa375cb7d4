/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding, binding and naming functions in a sysfs tree of the test's own, with a kernel behind it.
 */
#include "base/util.h"
#include "pci/function.h"
#include "model_sysfs.h"
#include "pci/sysfs.h"
#include "says.h"
#include "tree.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FS "0000:00:04.0"
#define FS2 "0000:00:05.0"

static struct viofs_pci_function function;
static struct viofs_err err;

static int set_up(void **state)
{
	err.text[0] = 0;
	tree_make();
	model_sysfs_start();
	model_add_function(FS, "0x1af4\n", "0x105a\n", "virtio-pci", "1");
	model_add_function("0000:00:01.0", "0x8086\n", "0x100e\n", "e1000", "2");
	return 0;
}

static int tear_down(void **state)
{
	model_sysfs_end();
	tree_remove();
	return 0;
}

static int bind_fs(const char *driver)
{
	struct viofs_pci_address a = model_address(FS);

	return viofs_pci_function_bind(&a, driver, &err);
}

static int release_fs(const char *former)
{
	struct viofs_pci_address a = model_address(FS);

	return viofs_pci_function_release(&a, former, &err);
}

static void a_function_is_read(void **state)
{
	struct viofs_pci_address a = model_address(FS);

	assert_int_equal(viofs_pci_function_read(&a, &function, &err), 0);
	assert_string_equal(function.text, FS);
	assert_int_equal(function.vendor, 0x1af4);
	assert_int_equal(function.device, 0x105a);
	assert_string_equal(function.driver, "virtio-pci");
	assert_int_equal(function.iommu_group, 1);
	assert_true(viofs_pci_function_is_fs(&function));
	a = model_address("0000:00:01.0");
	assert_int_equal(viofs_pci_function_read(&a, &function, &err), 0);
	assert_false(viofs_pci_function_is_fs(&function));
}

static void no_driver_and_no_group_are_no_errors(void **state)
{
	struct viofs_pci_address a = model_address(FS2);

	model_add_function(FS2, "0x1af4\n", "0x105a\n", "", NULL);
	assert_int_equal(viofs_pci_function_read(&a, &function, &err), 0);
	assert_string_equal(function.driver, "");
	assert_int_equal(function.iommu_group, -1);
	/* a group that is no number is none */
	tree_link("sys/bus/pci/devices/" FS2 "/iommu_group", "../groups/12x");
	assert_int_equal(viofs_pci_function_read(&a, &function, &err), 0);
	assert_int_equal(function.iommu_group, -1);
	tree_link("sys/bus/pci/devices/" FS2 "/iommu_group", "../groups/99999999999");
	assert_int_equal(viofs_pci_function_read(&a, &function, &err), 0);
	assert_int_equal(function.iommu_group, -1);
}

static void a_function_that_is_not_there_is_said(void **state)
{
	struct viofs_pci_address a = model_address("0000:00:1f.7");

	assert_int_equal(viofs_pci_function_read(&a, &function, &err), -ENODEV);
	says(&err, "0000:00:1f.7");
	assert_int_equal(viofs_pci_function_bind(&a, "vfio-pci", &err), -ENODEV);
	assert_int_equal(viofs_pci_function_release(&a, "", &err), -ENODEV);
	assert_string_equal(model_kernel.log, "");
}

static void ids_that_are_none_are_an_error(void **state)
{
	struct viofs_pci_address a = model_address(FS2);

	model_add_function(FS2, "0x1af41\n", "0x105a\n", "", NULL);
	assert_int_equal(viofs_pci_function_read(&a, &function, &err), -EINVAL);
	says(&err, "can't be read");
	model_add_function(FS2, "what\n", "0x105a\n", "", NULL);
	assert_int_equal(viofs_pci_function_read(&a, &function, &err), -EINVAL);
}

static void the_scan_finds_virtio_fs_in_order(void **state)
{
	static const char *const expected[] = { FS, "0000:00:04.1", "0000:00:1f.0", "0000:01:00.0",
						"0001:00:00.0" };
	struct viofs_pci_function *list = NULL;

	for (size_t i = VIOFS_ARRAY_SIZE(expected); i-- > 1;)
		model_add_function(expected[i], "0x1af4\n", "0x105a\n", "", NULL);
	model_add_function("0000:00:06.0", "0x1af4\n", "0x1042\n", "virtio-pci", NULL); /* a disk */
	tree_dir("sys/bus/pci/devices/strange");
	tree_dir("sys/bus/pci/devices/0000:00:07.0"); /* vanishing: nothing in it */
	assert_int_equal(viofs_pci_function_scan(&list, &err), VIOFS_ARRAY_SIZE(expected));
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(expected); i++)
		assert_string_equal(list[i].text, expected[i]);
	free(list);
}

static void a_scan_that_finds_nothing_or_no_bus(void **state)
{
	struct viofs_pci_function *list = NULL;

	viofs_pci_set_sysfs_root("/nowhere");
	assert_int_equal(viofs_pci_function_scan(&list, &err), -ENOENT);
	assert_null(list);
	says(&err, "/nowhere/bus/pci/devices");
	tree_dir("none/bus/pci/devices");
	viofs_pci_set_sysfs_root(tree_path("none"));
	assert_int_equal(viofs_pci_function_scan(&list, &err), 0);
	free(list);
}

static void binding_overrides_unbinds_and_probes(void **state)
{
	if (bind_fs("vfio-pci"))
		fail_msg("%s", err.text);
	assert_string_equal(model_driver(FS), "vfio-pci");
	assert_string_equal(model_kernel.log,
			    "driver_override=vfio-pci;unbind=" FS ";drivers_probe=" FS ";");
	/* and again: it is there */
	model_kernel.log[0] = 0;
	assert_int_equal(bind_fs("vfio-pci"), 0);
	assert_string_equal(model_kernel.log, "");
}

static void a_function_without_a_driver_is_bound(void **state)
{
	model_set_driver(FS, "");
	assert_int_equal(bind_fs("vfio-pci"), 0);
	assert_string_equal(model_driver(FS), "vfio-pci");
	assert_string_equal(model_kernel.log, "driver_override=vfio-pci;drivers_probe=" FS ";");
}

static void a_driver_that_is_not_loaded_is_said(void **state)
{
	assert_int_equal(bind_fs("vfio-other"), -ENODEV);
	says(&err, "modprobe vfio-other");
	assert_string_equal(model_kernel.log, "");
	assert_string_equal(model_driver(FS), "virtio-pci");
}

static void all_is_as_before(void)
{
	model_kernel.refuses_at = NULL;
	assert_string_equal(model_driver(FS), "virtio-pci");
	assert_string_equal(model_override(FS), "(null)\n");
}

static void a_driver_that_does_not_take_it_gives_it_back(void **state)
{
	/* probe: nobody takes it; then the former driver is asked by name, which it takes */
	model_kernel.refuses_at = "drivers_probe";
	model_kernel.error = 0;
	assert_int_equal(bind_fs("vfio-pci"), -EIO);
	says(&err, "did not take " FS);
	all_is_as_before();
}

static void a_probe_that_fails_gives_it_back(void **state)
{
	static const struct {
		int error, rc;
	} cases[] = {
		{ -EPERM, -EPERM }, { -ENOMEM, -ENOMEM }, { -EINVAL, -EIO }, { -ENODEV, -EIO }
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++) {
		model_kernel.refuses_at = "drivers_probe";
		model_kernel.error = cases[i].error;
		assert_int_equal(bind_fs("vfio-pci"), cases[i].rc);
		assert_true(err.text[0]);
		all_is_as_before();
	}
}

static void an_unbind_that_fails_leaves_it_as_it_was(void **state)
{
	model_kernel.refuses_at = "/unbind";
	model_kernel.error = -EBUSY;
	assert_int_equal(bind_fs("vfio-pci"), -EBUSY);
	says(&err, "unbind");
	all_is_as_before();
}

static void an_override_that_fails_leaves_it_as_it_was(void **state)
{
	model_kernel.refuses_at = "driver_override";
	model_kernel.error = -EACCES;
	assert_int_equal(bind_fs("vfio-pci"), -EACCES);
	says(&err, "as root");
	assert_string_equal(model_kernel.log, "driver_override=vfio-pci;");
	all_is_as_before();
}

static void somebody_else_taking_it_is_named(void **state)
{
	model_kernel.taken_by = "uio_pci_generic";
	assert_int_equal(bind_fs("vfio-pci"), -EBUSY);
	says(&err, "uio_pci_generic");
	/* it isn't ours to take from them */
	assert_string_equal(model_driver(FS), "uio_pci_generic");
	assert_string_equal(model_override(FS), "(null)\n");
}

static void a_former_override_is_put_back(void **state)
{
	tree_file("sys/bus/pci/devices/" FS "/driver_override", "virtio-pci\n");
	model_kernel.refuses_at = "drivers_probe";
	model_kernel.error = -EPERM;
	assert_int_equal(bind_fs("vfio-pci"), -EPERM);
	assert_string_equal(model_override(FS), "virtio-pci\n");
	assert_string_equal(model_driver(FS), "virtio-pci");
}

static void releasing_gives_the_former_driver_back(void **state)
{
	assert_int_equal(bind_fs("vfio-pci"), 0);
	assert_int_equal(release_fs("virtio-pci"), 0);
	all_is_as_before();
	/* and again: nothing to do but the override */
	model_kernel.log[0] = 0;
	assert_int_equal(release_fs("virtio-pci"), 0);
	assert_string_equal(model_kernel.log, "driver_override=;");
}

static void releasing_without_a_former_driver_leaves_it_without(void **state)
{
	model_set_driver(FS, "");
	assert_int_equal(bind_fs("vfio-pci"), 0);
	assert_int_equal(release_fs(""), 0);
	assert_string_equal(model_driver(FS), "");
	assert_string_equal(model_override(FS), "(null)\n");
	assert_int_equal(release_fs(""), 0);
}

static void a_former_driver_that_is_gone_or_refuses_is_said(void **state)
{
	assert_int_equal(bind_fs("vfio-pci"), 0);
	assert_int_equal(release_fs("gone"), -ENODEV);
	says(&err, "modprobe gone");
	assert_string_equal(model_override(FS), "(null)\n");
	/* refuses with an error, and without one */
	model_kernel.no_probe = true;
	assert_int_equal(release_fs("virtio-pci"), -ENODEV);
	model_kernel.no_probe = false;
	model_kernel.refuses_at = "/bind";
	model_kernel.error = 0;
	assert_int_equal(release_fs("virtio-pci"), -EIO);
	says(&err, "did not take it");
}

static void a_release_that_cannot_unbind_is_said(void **state)
{
	assert_int_equal(bind_fs("vfio-pci"), 0);
	model_kernel.refuses_at = "/unbind";
	model_kernel.error = -EPERM;
	assert_int_equal(release_fs("virtio-pci"), -EPERM);
	says(&err, "as root");
	assert_string_equal(model_driver(FS), "vfio-pci");
}

static int check_group(const char *address)
{
	struct viofs_pci_address a = model_address(address);

	assert_int_equal(viofs_pci_function_read(&a, &function, NULL), 0);
	return viofs_pci_group_check(&function, &err);
}

static void a_group_of_its_own_is_viable(void **state)
{
	assert_int_equal(check_group(FS), 0);
}

static void siblings_without_drivers_or_with_vfio_are_fine(void **state)
{
	static const char *const fine[] = { "", "vfio-pci", "pci-stub", "pcieport" };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(fine); i++) {
		model_add_function(FS2, "0x1af4\n", "0x105a\n", fine[i], "1");
		assert_int_equal(check_group(FS), 0);
	}
}

static void a_sibling_bound_elsewhere_is_named(void **state)
{
	model_add_function(FS2, "0x1af4\n", "0x105a\n", "vfio-pci", "1");
	model_add_function("0000:00:06.0", "0x8086\n", "0x100e\n", "e1000e", "1");
	assert_int_equal(check_group(FS), -EPERM);
	says(&err, "0000:00:06.0");
	says(&err, "e1000e");
	says(&err, "group 1");
	/* of another group: none of our business */
	assert_int_equal(check_group("0000:00:01.0"), 0);
}

static void no_group_is_said(void **state)
{
	model_add_function(FS2, "0x1af4\n", "0x105a\n", "vfio-pci", NULL);
	assert_int_equal(check_group(FS2), -ENODEV);
	says(&err, "no IOMMU group");
	/* a link that leads nowhere */
	tree_link("sys/bus/pci/devices/" FS2 "/iommu_group", "../../../../kernel/iommu_groups/77");
	assert_int_equal(check_group(FS2), -ENODEV);
	says(&err, "group 77");
}

/* Debian's kernels are built without that mode: no advice may name its parameter there. */
static void the_advice_fits_the_kernel(void **state)
{
	static const char parameter[] = "sys/module/vfio/parameters/enable_unsafe_noiommu_mode";

	model_kernel.refuses_at = "drivers_probe";
	model_kernel.error = 0;
	assert_int_equal(bind_fs("vfio-pci"), -EIO);
	says(&err, "there is no way without an IOMMU");
	tree_file(parameter, "N\n");
	assert_int_equal(bind_fs("vfio-pci"), -EIO);
	says(&err, "echo 1 >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	tree_unlink(parameter);
	assert_int_equal(rmdir(tree_path("sys/bus/pci/drivers/vfio-pci")), 0);
	assert_non_null(strstr(viofs_pci_noiommu_advice(), "takes a kernel built with"));
}

static void paths_too_long_open_nothing(void **state)
{
	char buf[32];

	assert_string_equal(viofs_pci_sysfs_path(buf, sizeof(buf), "%040d", 1), "");
	viofs_pci_set_sysfs_root("/a/root/that/is/longer/than/the/buffer");
	assert_string_equal(viofs_pci_sysfs_path(buf, sizeof(buf), "x"), "");
	viofs_pci_set_sysfs_root(NULL);
	assert_string_equal(viofs_pci_sysfs_path(buf, sizeof(buf), "x/%d", 7), "/sys/x/7");
}

static void the_name_of_a_link_is_its_last_part(void **state)
{
	char name[8];

	tree_link("l/one", "../../drivers/abc");
	tree_link("l/two", "plain");
	tree_link("l/long", "../eight---");
	assert_int_equal(viofs_pci_link_name(tree_path("l/one"), name, sizeof(name)), 0);
	assert_string_equal(name, "abc");
	assert_int_equal(viofs_pci_link_name(tree_path("l/two"), name, sizeof(name)), 0);
	assert_string_equal(name, "plain");
	assert_int_equal(viofs_pci_link_name(tree_path("l/long"), name, sizeof(name)),
			 -ENAMETOOLONG);
	assert_int_equal(viofs_pci_link_name(tree_path("l/none"), name, sizeof(name)), -ENOENT);
	assert_string_equal(name, "plain");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_function_is_read),
		TEST(no_driver_and_no_group_are_no_errors),
		TEST(a_function_that_is_not_there_is_said),
		TEST(ids_that_are_none_are_an_error),
		TEST(the_scan_finds_virtio_fs_in_order),
		TEST(a_scan_that_finds_nothing_or_no_bus),
		TEST(binding_overrides_unbinds_and_probes),
		TEST(a_function_without_a_driver_is_bound),
		TEST(a_driver_that_is_not_loaded_is_said),
		TEST(a_driver_that_does_not_take_it_gives_it_back),
		TEST(a_probe_that_fails_gives_it_back),
		TEST(an_unbind_that_fails_leaves_it_as_it_was),
		TEST(an_override_that_fails_leaves_it_as_it_was),
		TEST(somebody_else_taking_it_is_named),
		TEST(a_former_override_is_put_back),
		TEST(releasing_gives_the_former_driver_back),
		TEST(releasing_without_a_former_driver_leaves_it_without),
		TEST(a_former_driver_that_is_gone_or_refuses_is_said),
		TEST(a_release_that_cannot_unbind_is_said),
		TEST(a_group_of_its_own_is_viable),
		TEST(siblings_without_drivers_or_with_vfio_are_fine),
		TEST(a_sibling_bound_elsewhere_is_named),
		TEST(no_group_is_said),
		TEST(the_advice_fits_the_kernel),
		TEST(paths_too_long_open_nothing),
		TEST(the_name_of_a_link_is_its_last_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

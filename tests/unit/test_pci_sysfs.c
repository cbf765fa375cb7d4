/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding, binding and naming functions in a sysfs tree of the test's own, with a kernel behind it.
 */
#include "base/util.h"
#include "pci/function.h"
#include "pci/sysfs.h"
#include "tree.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FS "0000:00:04.0"
#define FS2 "0000:00:05.0"

/* How the kernel of this tree behaves. */
static struct {
	const char *refuses_at; /* writes to such a path fail with `error` */
	int error;
	const char *taken_by; /* takes whatever is probed */
	bool no_probe;        /* the driver does not take it */
	char log[2048];       /* what was written: "attribute=text;" */
} kernel;

static struct viofs_pci_function function;
static struct viofs_err err;

static struct viofs_pci_address address_of(const char *text)
{
	struct viofs_pci_address a;

	assert_int_equal(viofs_pci_address_parse(text, &a), 0);
	return a;
}

static void set_driver(const char *address, const char *driver)
{
	char link[128], target[128];

	snprintf(link, sizeof(link), "sys/bus/pci/devices/%s/driver", address);
	snprintf(target, sizeof(target), "../../../drivers/%s", driver);
	if (driver[0])
		tree_link(link, target);
	else if (tree_exists(link))
		tree_unlink(link);
}

static const char *driver_of(const char *address)
{
	struct viofs_pci_address a = address_of(address);

	assert_int_equal(viofs_pci_function_read(&a, &function, NULL), 0);
	return function.driver;
}

static const char *override_of(const char *address)
{
	char path[128];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override", address);
	return tree_read(path);
}

static void probe(const char *address)
{
	char override[64];

	snprintf(override, sizeof(override), "%s", override_of(address));
	if (kernel.taken_by)
		set_driver(address, kernel.taken_by);
	else if (!kernel.no_probe && strcmp(override, "(null)\n") != 0)
		set_driver(address, strtok(override, "\n"));
}

/* drivers/NAME/bind */
static int bind_by(const char *path, const char *address)
{
	char name[64];
	const char *at = strstr(path, "/drivers/");

	assert_non_null(at);
	assert_int_equal(sscanf(at, "/drivers/%63[^/]", name), 1);
	if (!kernel.no_probe)
		set_driver(address, name);
	return kernel.no_probe ? -ENODEV : 0;
}

/* driver_override shows "(null)" where there is none. */
static int write_override(const char *path, const char *text)
{
	char relative[128], value[80];
	const char *at = strstr(path, "sys/bus");

	assert_non_null(at);
	snprintf(relative, sizeof(relative), "%s", at);
	snprintf(value, sizeof(value), "%s\n", strcmp(text, "\n") == 0 ? "(null)" : text);
	tree_file(relative, value);
	return 0;
}

static int kernel_write(const char *path, const char *text)
{
	const char *name = strrchr(path, '/') + 1;
	size_t used = strlen(kernel.log);

	snprintf(kernel.log + used, sizeof(kernel.log) - used, "%s=%s;", name,
		 strcmp(text, "\n") == 0 ? "" : text);
	if (kernel.refuses_at && strstr(path, kernel.refuses_at))
		return kernel.error;
	if (strcmp(name, "driver_override") == 0)
		return write_override(path, text);
	if (strcmp(name, "unbind") == 0)
		set_driver(text, "");
	else if (strcmp(name, "drivers_probe") == 0)
		probe(text);
	else if (strcmp(name, "bind") == 0)
		return bind_by(path, text);
	else
		fail_msg("written: %s", path);
	return 0;
}

static void add_function(const char *address, const char *vendor, const char *device,
			 const char *driver, const char *group)
{
	char path[128], target[128];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/vendor", address);
	tree_file(path, vendor);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/device", address);
	tree_file(path, device);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override", address);
	tree_file(path, "(null)\n");
	set_driver(address, driver);
	if (!group)
		return;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/iommu_group", address);
	snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%s", group);
	tree_link(path, target);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%s/devices/%s", group, address);
	snprintf(target, sizeof(target), "../../../../bus/pci/devices/%s", address);
	tree_link(path, target);
}

static int set_up(void **state)
{
	static char root[PATH_MAX];

	memset(&kernel, 0, sizeof(kernel));
	err.text[0] = 0;
	tree_make();
	snprintf(root, sizeof(root), "%s", tree_path("sys"));
	viofs_pci_set_sysfs_root(root);
	viofs_pci_set_sysfs_writer(kernel_write);
	tree_dir("sys/bus/pci/drivers/virtio-pci");
	tree_dir("sys/bus/pci/drivers/vfio-pci");
	add_function(FS, "0x1af4\n", "0x105a\n", "virtio-pci", "1");
	add_function("0000:00:01.0", "0x8086\n", "0x100e\n", "e1000", "2");
	return 0;
}

static int tear_down(void **state)
{
	viofs_pci_set_sysfs_root(NULL);
	viofs_pci_set_sysfs_writer(NULL);
	tree_remove();
	return 0;
}

static void err_has(const char *words)
{
	if (!strstr(err.text, words))
		fail_msg("\"%s\" lacks \"%s\"", err.text, words);
}

static int bind_fs(const char *driver)
{
	struct viofs_pci_address a = address_of(FS);

	return viofs_pci_function_bind(&a, driver, &err);
}

static int release_fs(const char *former)
{
	struct viofs_pci_address a = address_of(FS);

	return viofs_pci_function_release(&a, former, &err);
}

static void a_function_is_read(void **state)
{
	struct viofs_pci_address a = address_of(FS);

	assert_int_equal(viofs_pci_function_read(&a, &function, &err), 0);
	assert_string_equal(function.text, FS);
	assert_int_equal(function.vendor, 0x1af4);
	assert_int_equal(function.device, 0x105a);
	assert_string_equal(function.driver, "virtio-pci");
	assert_int_equal(function.iommu_group, 1);
	assert_true(viofs_pci_function_is_fs(&function));
	a = address_of("0000:00:01.0");
	assert_int_equal(viofs_pci_function_read(&a, &function, &err), 0);
	assert_false(viofs_pci_function_is_fs(&function));
}

static void no_driver_and_no_group_are_no_errors(void **state)
{
	struct viofs_pci_address a = address_of(FS2);

	add_function(FS2, "0x1af4\n", "0x105a\n", "", NULL);
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
	struct viofs_pci_address a = address_of("0000:00:1f.7");

	assert_int_equal(viofs_pci_function_read(&a, &function, &err), -ENODEV);
	err_has("0000:00:1f.7");
	assert_int_equal(viofs_pci_function_bind(&a, "vfio-pci", &err), -ENODEV);
	assert_int_equal(viofs_pci_function_release(&a, "", &err), -ENODEV);
	assert_string_equal(kernel.log, "");
}

static void ids_that_are_none_are_an_error(void **state)
{
	struct viofs_pci_address a = address_of(FS2);

	add_function(FS2, "0x1af41\n", "0x105a\n", "", NULL);
	assert_int_equal(viofs_pci_function_read(&a, &function, &err), -EINVAL);
	err_has("can't be read");
	add_function(FS2, "what\n", "0x105a\n", "", NULL);
	assert_int_equal(viofs_pci_function_read(&a, &function, &err), -EINVAL);
}

static void the_scan_finds_virtio_fs_in_order(void **state)
{
	static const char *const expected[] = { FS, "0000:00:04.1", "0000:00:1f.0", "0000:01:00.0",
						"0001:00:00.0" };
	struct viofs_pci_function *list = NULL;

	for (size_t i = VIOFS_ARRAY_SIZE(expected); i-- > 1;)
		add_function(expected[i], "0x1af4\n", "0x105a\n", "", NULL);
	add_function("0000:00:06.0", "0x1af4\n", "0x1042\n", "virtio-pci", NULL); /* a disk */
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
	err_has("/nowhere/bus/pci/devices");
	tree_dir("none/bus/pci/devices");
	viofs_pci_set_sysfs_root(tree_path("none"));
	assert_int_equal(viofs_pci_function_scan(&list, &err), 0);
	free(list);
}

static void binding_overrides_unbinds_and_probes(void **state)
{
	if (bind_fs("vfio-pci"))
		fail_msg("%s", err.text);
	assert_string_equal(driver_of(FS), "vfio-pci");
	assert_string_equal(kernel.log,
			    "driver_override=vfio-pci;unbind=" FS ";drivers_probe=" FS ";");
	/* and again: it is there */
	kernel.log[0] = 0;
	assert_int_equal(bind_fs("vfio-pci"), 0);
	assert_string_equal(kernel.log, "");
}

static void a_function_without_a_driver_is_bound(void **state)
{
	set_driver(FS, "");
	assert_int_equal(bind_fs("vfio-pci"), 0);
	assert_string_equal(driver_of(FS), "vfio-pci");
	assert_string_equal(kernel.log, "driver_override=vfio-pci;drivers_probe=" FS ";");
}

static void a_driver_that_is_not_loaded_is_said(void **state)
{
	assert_int_equal(bind_fs("vfio-other"), -ENODEV);
	err_has("modprobe vfio-other");
	assert_string_equal(kernel.log, "");
	assert_string_equal(driver_of(FS), "virtio-pci");
}

static void all_is_as_before(void)
{
	kernel.refuses_at = NULL;
	assert_string_equal(driver_of(FS), "virtio-pci");
	assert_string_equal(override_of(FS), "(null)\n");
}

static void a_driver_that_does_not_take_it_gives_it_back(void **state)
{
	/* probe: nobody takes it; then the former driver is asked by name, which it takes */
	kernel.refuses_at = "drivers_probe";
	kernel.error = 0;
	assert_int_equal(bind_fs("vfio-pci"), -EIO);
	err_has("did not take " FS);
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
		kernel.refuses_at = "drivers_probe";
		kernel.error = cases[i].error;
		assert_int_equal(bind_fs("vfio-pci"), cases[i].rc);
		assert_true(err.text[0]);
		all_is_as_before();
	}
}

static void an_unbind_that_fails_leaves_it_as_it_was(void **state)
{
	kernel.refuses_at = "/unbind";
	kernel.error = -EBUSY;
	assert_int_equal(bind_fs("vfio-pci"), -EBUSY);
	err_has("unbind");
	all_is_as_before();
}

static void an_override_that_fails_leaves_it_as_it_was(void **state)
{
	kernel.refuses_at = "driver_override";
	kernel.error = -EACCES;
	assert_int_equal(bind_fs("vfio-pci"), -EACCES);
	err_has("as root");
	assert_string_equal(kernel.log, "driver_override=vfio-pci;");
	all_is_as_before();
}

static void somebody_else_taking_it_is_named(void **state)
{
	kernel.taken_by = "uio_pci_generic";
	assert_int_equal(bind_fs("vfio-pci"), -EBUSY);
	err_has("uio_pci_generic");
	/* it isn't ours to take from them */
	assert_string_equal(driver_of(FS), "uio_pci_generic");
	assert_string_equal(override_of(FS), "(null)\n");
}

static void a_former_override_is_put_back(void **state)
{
	tree_file("sys/bus/pci/devices/" FS "/driver_override", "virtio-pci\n");
	kernel.refuses_at = "drivers_probe";
	kernel.error = -EPERM;
	assert_int_equal(bind_fs("vfio-pci"), -EPERM);
	assert_string_equal(override_of(FS), "virtio-pci\n");
	assert_string_equal(driver_of(FS), "virtio-pci");
}

static void releasing_gives_the_former_driver_back(void **state)
{
	assert_int_equal(bind_fs("vfio-pci"), 0);
	assert_int_equal(release_fs("virtio-pci"), 0);
	all_is_as_before();
	/* and again: nothing to do but the override */
	kernel.log[0] = 0;
	assert_int_equal(release_fs("virtio-pci"), 0);
	assert_string_equal(kernel.log, "driver_override=;");
}

static void releasing_without_a_former_driver_leaves_it_without(void **state)
{
	set_driver(FS, "");
	assert_int_equal(bind_fs("vfio-pci"), 0);
	assert_int_equal(release_fs(""), 0);
	assert_string_equal(driver_of(FS), "");
	assert_string_equal(override_of(FS), "(null)\n");
	assert_int_equal(release_fs(""), 0);
}

static void a_former_driver_that_is_gone_or_refuses_is_said(void **state)
{
	assert_int_equal(bind_fs("vfio-pci"), 0);
	assert_int_equal(release_fs("gone"), -ENODEV);
	err_has("modprobe gone");
	assert_string_equal(override_of(FS), "(null)\n");
	/* refuses with an error, and without one */
	kernel.no_probe = true;
	assert_int_equal(release_fs("virtio-pci"), -ENODEV);
	kernel.no_probe = false;
	kernel.refuses_at = "/bind";
	kernel.error = 0;
	assert_int_equal(release_fs("virtio-pci"), -EIO);
	err_has("did not take it");
}

static void a_release_that_cannot_unbind_is_said(void **state)
{
	assert_int_equal(bind_fs("vfio-pci"), 0);
	kernel.refuses_at = "/unbind";
	kernel.error = -EPERM;
	assert_int_equal(release_fs("virtio-pci"), -EPERM);
	err_has("as root");
	assert_string_equal(driver_of(FS), "vfio-pci");
}

static int check_group(const char *address)
{
	struct viofs_pci_address a = address_of(address);

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
		add_function(FS2, "0x1af4\n", "0x105a\n", fine[i], "1");
		assert_int_equal(check_group(FS), 0);
	}
}

static void a_sibling_bound_elsewhere_is_named(void **state)
{
	add_function(FS2, "0x1af4\n", "0x105a\n", "vfio-pci", "1");
	add_function("0000:00:06.0", "0x8086\n", "0x100e\n", "e1000e", "1");
	assert_int_equal(check_group(FS), -EPERM);
	err_has("0000:00:06.0");
	err_has("e1000e");
	err_has("group 1");
	/* of another group: none of our business */
	assert_int_equal(check_group("0000:00:01.0"), 0);
}

static void no_group_is_said(void **state)
{
	add_function(FS2, "0x1af4\n", "0x105a\n", "vfio-pci", NULL);
	assert_int_equal(check_group(FS2), -ENODEV);
	err_has("no IOMMU group");
	/* a link that leads nowhere */
	tree_link("sys/bus/pci/devices/" FS2 "/iommu_group", "../../../../kernel/iommu_groups/77");
	assert_int_equal(check_group(FS2), -ENODEV);
	err_has("group 77");
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
		TEST(paths_too_long_open_nothing),
		TEST(the_name_of_a_link_is_its_last_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

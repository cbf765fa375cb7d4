/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sysfs tree with PCI functions, and a kernel behind it. */
#include "model_sysfs.h"
#include "base/run.h"
#include "pci/function.h"
#include "pci/sysfs.h"
#include "tree.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct model_kernel model_kernel;

struct viofs_pci_address model_address(const char *text)
{
	struct viofs_pci_address a;

	assert_int_equal(viofs_pci_address_parse(text, &a), 0);
	return a;
}

void model_set_driver(const char *address, const char *driver)
{
	char link[128], target[128];

	snprintf(link, sizeof(link), "sys/bus/pci/devices/%s/driver", address);
	snprintf(target, sizeof(target), "../../../drivers/%s", driver);
	if (driver[0])
		tree_link(link, target);
	else if (tree_exists(link))
		tree_unlink(link);
}

const char *model_driver(const char *address)
{
	static struct viofs_pci_function function;
	struct viofs_pci_address a = model_address(address);

	assert_int_equal(viofs_pci_function_read(&a, &function, NULL), 0);
	return function.driver;
}

const char *model_override(const char *address)
{
	char path[128];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override", address);
	return tree_read(path);
}

static void probe(const char *address)
{
	char override[64];

	snprintf(override, sizeof(override), "%s", model_override(address));
	if (model_kernel.taken_by)
		model_set_driver(address, model_kernel.taken_by);
	else if (!model_kernel.no_probe && strcmp(override, "(null)\n") != 0)
		model_set_driver(address, strtok(override, "\n"));
}

/* drivers/NAME/bind */
static int bind_by(const char *path, const char *address)
{
	char name[64];
	const char *at = strstr(path, "/drivers/");

	assert_non_null(at);
	assert_int_equal(sscanf(at, "/drivers/%63[^/]", name), 1);
	if (!model_kernel.no_probe)
		model_set_driver(address, name);
	return model_kernel.no_probe ? -ENODEV : 0;
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

static int model_sysfs_write(const char *path, const char *text)
{
	const char *name = strrchr(path, '/') + 1;
	size_t used = strlen(model_kernel.log);

	if (model_kernel.killed_at && !--model_kernel.killed_at)
		_exit(0);

	snprintf(model_kernel.log + used, sizeof(model_kernel.log) - used, "%s=%s;", name,
		 strcmp(text, "\n") == 0 ? "" : text);
	if (model_kernel.refuses_at && strstr(path, model_kernel.refuses_at))
		return model_kernel.error;
	if (strcmp(name, "driver_override") == 0)
		return write_override(path, text);
	if (strcmp(name, "unbind") == 0)
		model_set_driver(text, "");
	else if (strcmp(name, "drivers_probe") == 0)
		probe(text);
	else if (strcmp(name, "bind") == 0)
		return bind_by(path, text);
	else
		fail_msg("written: %s", path);
	return 0;
}

void model_add_function(const char *address, const char *vendor, const char *device,
			const char *driver, const char *group)
{
	char path[128], target[128];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/vendor", address);
	tree_file(path, vendor);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/device", address);
	tree_file(path, device);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override", address);
	tree_file(path, "(null)\n");
	model_set_driver(address, driver);
	if (!group)
		return;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/iommu_group", address);
	snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%s", group);
	tree_link(path, target);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%s/devices/%s", group, address);
	snprintf(target, sizeof(target), "../../../../bus/pci/devices/%s", address);
	tree_link(path, target);
}

void model_sysfs_start(void)
{
	static char root[PATH_MAX]; /* kept, not copied, by its user */

	memset(&model_kernel, 0, sizeof(model_kernel));
	snprintf(root, sizeof(root), "%s", tree_path("sys"));
	viofs_pci_set_sysfs_root(root);
	viofs_pci_set_sysfs_writer(model_sysfs_write);
	tree_dir("sys/bus/pci/drivers/virtio-pci");
	tree_dir("sys/bus/pci/drivers/vfio-pci");
	tree_dir("sys/module/vfio_iommu_type1");
}

void model_sysfs_end(void)
{
	viofs_pci_set_sysfs_root(NULL);
	viofs_pci_set_sysfs_writer(NULL);
}

void model_machine_start(void)
{
	static char proc[PATH_MAX], run[PATH_MAX]; /* kept, not copied, by their users */

	tree_make();
	model_sysfs_start();
	snprintf(proc, sizeof(proc), "%s", tree_path("proc"));
	viofs_pci_set_proc_root(proc);
	snprintf(run, sizeof(run), "%s", tree_path("run"));
	viofs_run_set_dir(run);
}

void model_machine_end(void)
{
	model_sysfs_end();
	viofs_pci_set_proc_root(NULL);
	viofs_run_set_dir(NULL);
	tree_remove();
}

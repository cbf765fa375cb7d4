/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A PCI function as sysfs shows it. */
/*
 * Binding goes through driver_override, which concerns one function only; new_id would let the
 * driver take every function of the kind. Steps: override, unbind from the present driver,
 * drivers_probe, see which driver has it. The write to drivers_probe returns after the probe, so
 * this is no race. Whatever fails, the former override and driver are put back.
 */
#include "pci/function.h"

#include "base/file.h"
#include "base/util.h"
#include "pci/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Written to driver_override: none. An empty write would not reach the kernel. */
#define OVERRIDE_NONE "\n"
#define OVERRIDE_TEXT 64

static const char *function_path(char buf[PATH_MAX], const char *address, const char *attribute)
{
	return viofs_pci_sysfs_path(buf, PATH_MAX, "bus/pci/devices/%s/%s", address, attribute);
}

static int read_id(const char *address, const char *attribute, uint16_t *out)
{
	char path[PATH_MAX];
	uint64_t value;
	int rc;

	rc = viofs_text_read_u64(function_path(path, address, attribute), &value);
	if (rc)
		return rc;
	if (value > UINT16_MAX)
		return -EINVAL;
	*out = (uint16_t)value;
	return 0;
}

/* "" where there is no driver, or no function. */
static void read_driver(const char *address, char driver[64])
{
	char path[PATH_MAX];

	if (viofs_pci_link_name(function_path(path, address, "driver"), driver, 64))
		driver[0] = '\0';
}

static int read_group(const char *address)
{
	char path[PATH_MAX], name[16], *end;
	long group;

	if (viofs_pci_link_name(function_path(path, address, "iommu_group"), name, sizeof(name)))
		return -1;
	errno = 0;
	group = strtol(name, &end, 10);
	if (errno || end == name || *end || group < 0 || group > INT_MAX)
		return -1;
	return (int)group;
}

int viofs_pci_function_read(const struct viofs_pci_address *a, struct viofs_pci_function *out,
			    struct viofs_err *err)
{
	struct viofs_pci_function f = { .address = *a };
	int rc;

	viofs_pci_address_format(a, f.text);
	rc = read_id(f.text, "vendor", &f.vendor);
	if (!rc)
		rc = read_id(f.text, "device", &f.device);
	if (rc == -ENOENT)
		return viofs_err_set(err, -ENODEV,
				     "There is no PCI function %s. `viofsctl list` shows the "
				     "virtio-fs ones.",
				     f.text);
	if (rc)
		return viofs_err_set(err, rc, "PCI function %s can't be read in sysfs: %s.", f.text,
				     strerror(-rc));
	read_driver(f.text, f.driver);
	f.iommu_group = read_group(f.text);
	*out = f;
	return 0;
}

bool viofs_pci_function_is_fs(const struct viofs_pci_function *f)
{
	return f->vendor == VIOFS_PCI_VENDOR_VIRTIO && f->device == VIOFS_PCI_DEVICE_FS;
}

static int compare_functions(const void *pa, const void *pb)
{
	const struct viofs_pci_function *fa = pa, *fb = pb;
	const struct viofs_pci_address *a = &fa->address, *b = &fb->address;

	if (a->domain != b->domain)
		return a->domain < b->domain ? -1 : 1;
	if (a->bus != b->bus)
		return a->bus < b->bus ? -1 : 1;
	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	return (a->function > b->function) - (a->function < b->function);
}

/* One directory entry. An entry that is something else, or has just vanished, is skipped. */
static int scan_entry(const char *name, struct viofs_pci_function **list, size_t *count)
{
	struct viofs_pci_function f, *grown;
	struct viofs_pci_address a;

	if (viofs_pci_address_parse(name, &a) || viofs_pci_function_read(&a, &f, NULL) ||
	    !viofs_pci_function_is_fs(&f))
		return 0;
	grown = reallocarray(*list, *count + 1, sizeof(f));
	if (!grown)
		return -ENOMEM;
	*list = grown;
	grown[(*count)++] = f;
	return 0;
}

int viofs_pci_function_scan(struct viofs_pci_function **list, struct viofs_err *err)
{
	struct viofs_pci_function *found = NULL;
	char path[PATH_MAX];
	size_t count = 0;
	struct dirent *e;
	int rc = 0;
	DIR *dir;

	dir = opendir(viofs_pci_sysfs_path(path, sizeof(path), "bus/pci/devices"));
	if (!dir) {
		rc = -errno;
		return viofs_err_set(err, rc, "The list of PCI devices, %s, can't be read: %s.",
				     path, strerror(-rc));
	}
	while (!rc && (e = readdir(dir)))
		rc = scan_entry(e->d_name, &found, &count);
	closedir(dir);
	if (rc) {
		free(found);
		return viofs_err_set(err, rc, "Out of memory.");
	}
	if (count)
		qsort(found, count, sizeof(*found), compare_functions);
	*list = found;
	return (int)count;
}

bool viofs_pci_has_driver(const char *driver)
{
	char path[PATH_MAX];

	viofs_pci_sysfs_path(path, sizeof(path), "bus/pci/drivers/%s", driver);
	return access(path, F_OK) == 0;
}

bool viofs_pci_has_module(const char *module)
{
	char path[PATH_MAX];

	return access(viofs_pci_sysfs_path(path, sizeof(path), "module/%s", module), F_OK) == 0;
}

const char *viofs_pci_noiommu_advice(void)
{
	if (viofs_pci_has_module("vfio/parameters/enable_unsafe_noiommu_mode"))
		return "Without one there is only VFIO's noiommu mode: echo 1 "
		       ">/sys/module/vfio/parameters/enable_unsafe_noiommu_mode.";
	if (viofs_pci_has_driver(VIOFS_PCI_VFIO))
		return "This kernel is built without VFIO's noiommu mode (CONFIG_VFIO_NOIOMMU), as "
		       "Debian's are: there is no way without an IOMMU.";
	return "Without one there is only VFIO's noiommu mode, which takes a kernel built with "
	       "CONFIG_VFIO_NOIOMMU.";
}

static int check_registered(const char *driver, struct viofs_err *err)
{
	if (viofs_pci_has_driver(driver))
		return 0;
	return viofs_err_set(err, -ENODEV, "The driver %s is not there; load it: modprobe %s.",
			     driver, driver);
}

/* All writes to sysfs end here. The error says what failed, and whether it needs root.
 */
static int write_attribute(const char *path, const char *text, struct viofs_err *err)
{
	int rc = viofs_pci_sysfs_write(path, text);

	if (rc)
		return viofs_err_set(err, rc, "Writing to %s failed: %s.%s", path, strerror(-rc),
				     rc == -EACCES || rc == -EPERM ? " Run it as root." : "");
	return 0;
}

static int write_override(const char *address, const char *driver, struct viofs_err *err)
{
	char path[PATH_MAX];

	return write_attribute(function_path(path, address, "driver_override"), driver, err);
}

/* What to write to have the present override again. */
static void read_override(const char *address, char override[OVERRIDE_TEXT])
{
	char path[PATH_MAX];
	int n;

	n = viofs_text_read(function_path(path, address, "driver_override"), override,
			    OVERRIDE_TEXT);
	if (n <= 0 || strcmp(override, "(null)") == 0)
		memcpy(override, OVERRIDE_NONE, sizeof(OVERRIDE_NONE));
}

static int unbind(const char *address, struct viofs_err *err)
{
	char path[PATH_MAX], driver[64];
	int rc;

	read_driver(address, driver);
	if (!driver[0])
		return 0;
	rc = write_attribute(function_path(path, address, "driver/unbind"), address, err);
	read_driver(address, driver);
	/* Somebody else may have unbound it in between: fine. */
	return driver[0] ? rc : 0;
}

/* Bind by @driver's own file; it is fine if the driver has the function already. */
static int give_to(const char *address, const char *driver, struct viofs_err *err)
{
	char path[PATH_MAX], now[64];
	int rc;

	rc = check_registered(driver, err);
	if (rc)
		return rc;
	viofs_pci_sysfs_path(path, sizeof(path), "bus/pci/drivers/%s/bind", driver);
	rc = write_attribute(path, address, err);
	read_driver(address, now);
	if (strcmp(now, driver) == 0)
		return 0;
	return rc ? rc
		  : viofs_err_set(err, -EIO, "%s was given to %s, which did not take it.", address,
				  driver);
}

/* After a failure: best effort, the first error is the one to tell. */
static void put_back(const struct viofs_pci_function *f, const char *override)
{
	char now[64];

	write_override(f->text, override, NULL);
	read_driver(f->text, now);
	if (f->driver[0] && !now[0])
		give_to(f->text, f->driver, NULL);
}

static int probe(const char *address, const char *driver, struct viofs_err *err)
{
	char path[PATH_MAX], now[64];
	int rc;

	viofs_pci_sysfs_path(path, sizeof(path), "bus/pci/drivers_probe");
	rc = write_attribute(path, address, err);
	read_driver(address, now);
	if (strcmp(now, driver) == 0)
		return 0;
	if (now[0])
		return viofs_err_set(err, -EBUSY,
				     "%s was taken by the driver %s while it was given to %s. Is "
				     "something else binding it (driverctl, a udev rule)?",
				     address, now, driver);
	if (rc && rc != -EINVAL && rc != -ENODEV)
		return rc;
	return viofs_err_set(err, -EIO,
			     "The driver %s did not take %s: see dmesg. vfio-pci refuses a "
			     "function with no IOMMU: switch it on (intel_iommu=on, or a virtual "
			     "IOMMU for the guest). %s",
			     driver, address, viofs_pci_noiommu_advice());
}

int viofs_pci_function_bind(const struct viofs_pci_address *a, const char *driver,
			    struct viofs_err *err)
{
	char override[OVERRIDE_TEXT];
	struct viofs_pci_function f;
	int rc;

	rc = viofs_pci_function_read(a, &f, err);
	if (rc)
		return rc;
	if (strcmp(f.driver, driver) == 0)
		return 0;
	rc = check_registered(driver, err);
	if (rc)
		return rc;

	read_override(f.text, override);
	rc = write_override(f.text, driver, err);
	if (rc)
		return rc;
	rc = unbind(f.text, err);
	if (!rc)
		rc = probe(f.text, driver, err);
	if (rc)
		put_back(&f, override);
	return rc;
}

int viofs_pci_function_release(const struct viofs_pci_address *a, const char *former,
			       struct viofs_err *err)
{
	struct viofs_pci_function f;
	int rc;

	rc = viofs_pci_function_read(a, &f, err);
	if (!rc)
		rc = write_override(f.text, OVERRIDE_NONE, err);
	if (rc || strcmp(f.driver, former) == 0)
		return rc;
	rc = unbind(f.text, err);
	if (rc || !former[0])
		return rc;
	return give_to(f.text, former, err);
}

/* Drivers that access no memory, or only as a bridge must: the kernel allows them in the group. */
static bool fits_into_group(const char *driver)
{
	static const char *const fitting[] = { "", VIOFS_PCI_VFIO, "pci-stub", "pcieport" };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(fitting); i++)
		if (strcmp(driver, fitting[i]) == 0)
			return true;
	return false;
}

int viofs_pci_group_check(const struct viofs_pci_function *f, struct viofs_err *err)
{
	char path[PATH_MAX];
	struct dirent *e;
	int rc = 0;
	DIR *dir;

	if (f->iommu_group < 0)
		return viofs_err_set(err, -ENODEV,
				     "%s is in no IOMMU group: there is no IOMMU, or it is off.",
				     f->text);
	dir = opendir(function_path(path, f->text, "iommu_group/devices"));
	if (!dir) {
		rc = errno == ENOENT ? -ENODEV : -errno;
		return viofs_err_set(err, rc, "IOMMU group %d can't be looked at (%s): %s.",
				     f->iommu_group, path, strerror(-rc));
	}
	while (!rc && (e = readdir(dir))) {
		char driver[64] = "";

		if (e->d_name[0] == '.' || strcmp(e->d_name, f->text) == 0)
			continue;
		viofs_pci_sysfs_path(path, sizeof(path),
				     "bus/pci/devices/%s/iommu_group/devices/%s/driver", f->text,
				     e->d_name);
		if (viofs_pci_link_name(path, driver, sizeof(driver)) == 0 &&
		    !fits_into_group(driver))
			rc = viofs_err_set(err, -EPERM,
					   "%s shares IOMMU group %d with %s, which the driver %s "
					   "has: bind that one to vfio-pci too, or put %s into a "
					   "slot of its own.",
					   f->text, f->iommu_group, e->d_name, driver, f->text);
	}
	closedir(dir);
	return rc;
}

/* Kernels since 6.1 name it there; it has a device number only where there is a node to go with it.
 */
int viofs_pci_function_vfio_name(const struct viofs_pci_function *f, char name[VIOFS_PCI_VFIO_NAME])
{
	char path[PATH_MAX];
	struct dirent *e;
	struct stat st;
	int rc = -ENOENT;
	DIR *dir;

	dir = opendir(function_path(path, f->text, "vfio-dev"));
	if (!dir)
		return rc;
	while (rc && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || strlen(e->d_name) >= VIOFS_PCI_VFIO_NAME)
			continue;
		viofs_pci_sysfs_path(path, sizeof(path), "bus/pci/devices/%s/vfio-dev/%s/dev",
				     f->text, e->d_name);
		if (stat(path, &st) < 0)
			continue;
		strcpy(name, e->d_name);
		rc = 0;
	}
	closedir(dir);
	return rc;
}

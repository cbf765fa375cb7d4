/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holding a function for VFIO. */
#include "hold/hold.h"
#include "base/log.h"
#include "base/util.h"
#include "pci/tag.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define VFIO_PCI "vfio-pci"

extern char **environ;

/* modprobe(8), quietly: whether it helped shows when the module is needed. */
static void load_module(const char *name)
{
	char *argv[] = { (char *)"modprobe", (char *)"-q", (char *)name, NULL };
	pid_t pid;

	if (!posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ))
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
}

/* iommufd comes along with vfio, where the kernel has it. */
static void load_vfio(void)
{
	struct stat st;

	if (stat("/sys/bus/pci/drivers/" VFIO_PCI, &st) < 0)
		load_module(VFIO_PCI);
	/* With an IOMMU only; without one the module loads and does nothing. */
	if (stat("/sys/module/vfio_iommu_type1", &st) < 0)
		load_module("vfio_iommu_type1");
}

/* The kernel's driver may have it, but not while somebody works with it. */
static int check_kernel_mount(const struct viofs_pci_function *f, struct viofs_err *err)
{
	struct viofs_mounted at;
	char tag[VIOFS_TAG_TEXT];

	if (!f->driver[0] || !strcmp(f->driver, VFIO_PCI))
		return 0;
	if (viofs_pci_tag_read(f, tag, NULL, NULL))
		return 0; /* no tag, no mount by it */
	if (viofs_tag_mounted(tag, f->text, &at) != 1 || at.ours)
		return 0;
	return viofs_err_set(err, -EBUSY,
			     "%s (tag %s) is mounted by the kernel's virtiofs driver at %s "
			     "(seen by process %d). umount it first.",
			     f->text, tag, at.mountpoint, at.pid);
}

int viofs_hold_take_name(const char *id, int wait_ms, struct viofs_hold *hold,
			 struct viofs_err *err)
{
	struct viofs_hold h = { .lock_fd = -1 };
	int rc;

	rc = h.lock_fd = viofs_record_lock(id, wait_ms, &h.record, err);
	if (rc < 0)
		return rc;
	snprintf(h.id, sizeof(h.id), "%s", id);
	*hold = h;
	return 0;
}

int viofs_hold_take(const struct viofs_pci_function *f, int wait_ms, struct viofs_hold *hold,
		    struct viofs_err *err)
{
	struct viofs_hold h;
	int rc;

	rc = viofs_hold_take_name(f->text, wait_ms, &h, err);
	if (rc)
		return rc;
	/* Under the lock: it may have changed hands while we waited. */
	rc = viofs_pci_function_read(&f->address, &h.function, err);
	if (!rc)
		rc = check_kernel_mount(&h.function, err);
	if (rc)
		goto err_unlock;
	/* A record that is there already, from a daemon that was killed or `viofsctl bind`, knows
	 * better. */
	if (strcmp(h.function.driver, VFIO_PCI) != 0 || !h.record.known) {
		memset(&h.record, 0, sizeof(h.record));
		memcpy(h.record.former, h.function.driver, sizeof(h.record.former));
	}
	rc = viofs_record_write(h.lock_fd, &h.record);
	if (rc) {
		viofs_err_set(err, rc, VIOFS_RUN_DIR "/%s can't be written: %s.", f->text,
			      strerror(-rc));
		goto err_unlock;
	}
	load_vfio();
	rc = viofs_pci_function_bind(&f->address, VFIO_PCI, err);
	if (rc)
		goto err_unlock; /* bind() has put the former driver back */
	h.bound = true;
	/* With no IOMMU it is binding that makes the group, if there is to be one: what is missing
	 * then viofs_vfio_open() says. */
	rc = viofs_pci_function_read(&f->address, &h.function, err);
	if (!rc && h.function.iommu_group >= 0)
		rc = viofs_pci_group_check(&h.function, err);
	*hold = h;
	if (rc)
		viofs_hold_release(hold, NULL);
	return rc;

err_unlock:
	viofs_record_remove(f->text, h.lock_fd);
	return rc;
}

int viofs_hold_note(struct viofs_hold *hold, const char *tag, const char *mountpoint, int pid)
{
	struct viofs_record *r = &hold->record;

	snprintf(r->tag, sizeof(r->tag), "%s", tag);
	snprintf(r->mountpoint, sizeof(r->mountpoint), "%s", mountpoint);
	r->pid = pid;
	return viofs_record_write(hold->lock_fd, r);
}

/* Return: is the driver that the function has to go back to another than the one it has now? */
static bool must_go_back(const struct viofs_hold *h)
{
	return h->bound && !h->record.by_admin && strcmp(h->record.former, VFIO_PCI) != 0;
}

/* Unplugged meanwhile. What is at its address later was never bound by us. */
static bool is_gone(const struct viofs_hold *h)
{
	struct viofs_pci_function now;

	return h->bound && viofs_pci_function_read(&h->function.address, &now, NULL) == -ENODEV;
}

int viofs_hold_release(struct viofs_hold *hold, struct viofs_err *err)
{
	struct viofs_record *r = &hold->record;
	int rc = 0;

	if (hold->lock_fd < 0)
		return 0;
	if (is_gone(hold)) {
		viofs_record_remove(hold->id, hold->lock_fd);
		hold->lock_fd = -1;
		return 0;
	}
	if (must_go_back(hold))
		rc = viofs_pci_function_release(&hold->function.address, r->former, err);
	if (r->by_admin) {
		viofs_hold_note(hold, "", "", 0);
		close(hold->lock_fd);
	} else if (rc) {
		/* The record stays: `viofsctl unbind` can try again. */
		close(hold->lock_fd);
	} else {
		viofs_record_remove(hold->id, hold->lock_fd);
	}
	hold->lock_fd = -1;
	return rc;
}

int viofs_hold_keep(struct viofs_hold *hold, struct viofs_err *err)
{
	int rc;

	hold->record.by_admin = true;
	rc = viofs_record_write(hold->lock_fd, &hold->record);
	close(hold->lock_fd);
	hold->lock_fd = -1;
	if (rc)
		return viofs_err_set(err, rc, VIOFS_RUN_DIR "/%s can't be written: %s.",
				     hold->function.text, strerror(-rc));
	return 0;
}

int viofs_hold_return(const struct viofs_pci_function *f, struct viofs_err *err)
{
	struct viofs_record seen;
	struct viofs_hold h;
	int rc;

	if (strcmp(f->driver, VFIO_PCI) != 0)
		return viofs_err_set(err, -EALREADY,
				     "%s is not bound to vfio-pci but to %s: nothing to "
				     "do.",
				     f->text, f->driver[0] ? f->driver : "no driver");
	if (viofs_record_read(f->text, &seen) || !seen.known)
		return viofs_err_set(err, -EALREADY,
				     "%s was bound to vfio-pci by somebody else; which "
				     "driver it had isn't known. Use driverctl or sysfs.",
				     f->text);
	rc = viofs_hold_take_name(f->text, 0, &h, err);
	if (rc)
		return rc;
	h.bound = true;
	h.function = *f;
	h.record.by_admin = false;
	return viofs_hold_release(&h, err);
}

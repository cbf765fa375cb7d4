/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holding a device: a PCI function for VFIO, or the name of a back end's socket. */
#include "attach/hold.h"
#include "base/file.h"
#include "base/run.h"
#include "dma/pages.h"
#include "attach/usage.h"
#include "attach/mountinfo.h"
#include "pci/tag.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Run modprobe(8) quietly: whether it helped shows when the module is needed. By the path that the
 * kernel itself uses, since mount(8)'s helpers and cron's jobs may lack it in PATH. Commands in
 * modprobe.d(5) get the usual PATH.
 */
static void load_module(const char *name)
{
	char path[PATH_MAX], *argv[] = { path, (char *)"-q", (char *)name, NULL };
	char *env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	pid_t pid;

	if (viofs_text_read("/proc/sys/kernel/modprobe", path, sizeof(path)) <= 0)
		strcpy(path, "/sbin/modprobe");
	if (!posix_spawn(&pid, path, NULL, NULL, argv, env))
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
}

/* Loading vfio loads iommufd too, where the kernel has it. */
static void load_vfio(void)
{
	if (!viofs_pci_has_driver(VIOFS_PCI_VFIO))
		load_module(VIOFS_PCI_VFIO);
	/* With an IOMMU only; without one the module loads and does nothing. */
	if (!viofs_pci_has_module("vfio_iommu_type1"))
		load_module("vfio_iommu_type1");
}

/*
 * The kernel's driver may have it, but not while somebody works with it. If it isn't known which
 * device a mount is of, it may be of this one.
 */
static int check_kernel_mount(const struct viofs_pci_function *f, struct viofs_err *err)
{
	struct viofs_mountinfo_query query = { .ours = false };
	struct viofs_err why = { .text = "" };
	struct viofs_mounted at;
	char tag[VIOFS_TAG_TEXT];
	int rc;

	if (!f->driver[0] || !strcmp(f->driver, VIOFS_PCI_VFIO))
		return 0;
	if (!viofs_pci_tag_read(f, tag, NULL, &why))
		query.source = tag;
	rc = viofs_mountinfo_search(&query, &at);
	if (rc < 0)
		return viofs_err_set(err, rc,
				     "Whether the kernel's driver has %s mounted can't be seen in "
				     "/proc: %s.",
				     f->text, strerror(-rc));
	if (!rc)
		return 0;
	if (!query.source)
		return viofs_err_set(err, -EBUSY,
				     "The kernel's virtiofs driver has a mount at %s (seen by "
				     "process %d), and it may be of %s, whose tag is not known: "
				     "%s. umount it first, or unbind %s from %s by hand.",
				     at.mountpoint, at.pid, f->text, why.text, f->text, f->driver);
	return viofs_err_set(err, -EBUSY,
			     "%s (tag %s) is mounted by the kernel's virtiofs driver at %s "
			     "(seen by process %d). umount it first.",
			     f->text, tag, at.mountpoint, at.pid);
}

int viofs_hold_take_name(const char *id, const char *device, int wait_ms, struct viofs_hold *hold,
			 struct viofs_err *err)
{
	struct viofs_hold h = { .lock_fd = -1 };
	struct viofs_usage state;
	int rc;

	rc = h.lock_fd = viofs_record_lock(id, wait_ms, &h.record, err);
	if (rc == -EBUSY && !viofs_usage_read(id, &state))
		return viofs_usage_say(&state, device, rc, err);
	if (rc == -EBUSY)
		return viofs_err_set(err, rc, "%s is in use.", device);
	if (rc < 0)
		return rc;
	snprintf(h.id, sizeof(h.id), "%s", id);
	*hold = h;
	return 0;
}

/* A record that was there before us is true if nobody else has the function: a daemon that was
 * killed has left it, or `viofsctl bind`. */
static bool is_record_good(const struct viofs_record *r, const struct viofs_pci_function *f)
{
	return r->known && (!f->driver[0] || !strcmp(f->driver, VIOFS_PCI_VFIO));
}

/* Under the lock: note what will be done, before it is done. */
static int note_former(struct viofs_hold *h, struct viofs_err *err)
{
	struct viofs_record *r = &h->record;
	int rc;

	h->found = *r;
	if (is_record_good(r, &h->function)) {
		r->pid = 0;
		r->minor = 0;
		r->mountpoint[0] = '\0';
	} else {
		memset(&h->found, 0, sizeof(h->found));
		memset(r, 0, sizeof(*r));
		memcpy(r->former, h->function.driver, sizeof(r->former));
	}
	rc = viofs_record_write(h->id, h->lock_fd, r);
	return rc ? viofs_err_set(err, rc, "%s/%s can't be written: %s.", viofs_run_dir(), h->id,
				  strerror(-rc))
		  : 0;
}

/* Nothing was done: the record is as it was found. */
static void forget(struct viofs_hold *h)
{
	if (!h->found.known) {
		viofs_record_remove(h->id, h->lock_fd);
	} else {
		viofs_record_write(h->id, h->lock_fd, &h->found);
		close(h->lock_fd);
	}
	h->lock_fd = -1;
}

int viofs_hold_take(const struct viofs_pci_function *f, int wait_ms, struct viofs_hold *hold,
		    struct viofs_err *err)
{
	struct viofs_hold h;
	int rc;

	rc = viofs_hold_take_name(f->text, f->text, wait_ms, &h, err);
	if (rc)
		return rc;
	h.found = h.record;
	load_vfio();
	/* Under the lock, since another process may have had it while we waited. And as late as
	 * possible, since the kernel's driver could still mount it until the device is unbound. */
	rc = viofs_pci_function_read(&f->address, &h.function, err);
	if (!rc)
		rc = check_kernel_mount(&h.function, err);
	if (!rc)
		rc = note_former(&h, err);
	if (!rc)
		rc = viofs_pci_function_bind(&f->address, VIOFS_PCI_VFIO, err);
	if (rc) {
		forget(&h); /* bind() has put the former driver back */
		return rc;
	}
	h.bound = true;
	/* Without an IOMMU the group is made by binding, if at all. If it is missing, opening it
	 * says so. */
	rc = viofs_pci_function_read(&f->address, &h.function, err);
	if (!rc && h.function.iommu_group >= 0)
		rc = viofs_pci_group_check(&h.function, err);
	*hold = h;
	if (rc)
		viofs_hold_leave(hold);
	return rc;
}

int viofs_hold_note(struct viofs_hold *hold, const char *tag, const char *mountpoint, int pid)
{
	struct viofs_record *r = &hold->record;

	snprintf(r->tag, sizeof(r->tag), "%s", tag);
	snprintf(r->mountpoint, sizeof(r->mountpoint), "%s", mountpoint);
	r->pid = pid;
	r->minor = 0;
	return viofs_record_write(hold->id, hold->lock_fd, r);
}

int viofs_hold_note_mount(struct viofs_hold *hold, unsigned int minor_no)
{
	hold->record.minor = minor_no;
	return viofs_record_write(hold->id, hold->lock_fd, &hold->record);
}

/* Return: does the function have to go back to another driver than it has now? */
static bool must_go_back(const struct viofs_hold *h)
{
	return h->bound && !h->record.by_admin && strcmp(h->record.former, VIOFS_PCI_VFIO) != 0;
}

/* It was unplugged. Another function at its address was never bound by us. */
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

void viofs_hold_leave(struct viofs_hold *hold)
{
	if (hold->found.known)
		forget(hold);
	else
		viofs_hold_release(hold, NULL);
}

int viofs_hold_keep(struct viofs_hold *hold, struct viofs_err *err)
{
	int rc;

	hold->record.by_admin = true;
	rc = viofs_record_write(hold->id, hold->lock_fd, &hold->record);
	close(hold->lock_fd);
	hold->lock_fd = -1;
	if (rc)
		return viofs_err_set(err, rc, "%s/%s can't be written: %s.", viofs_run_dir(),
				     hold->function.text, strerror(-rc));
	return 0;
}

/* Under the lock. Return: 0, or -EALREADY: there is nothing to be undone. */
static int check_return(const struct viofs_hold *h, struct viofs_err *err)
{
	const struct viofs_pci_function *f = &h->function;
	const char *driver = f->driver[0] ? f->driver : "no driver";

	/* Killed between two steps, it may have its former driver, or none. */
	if (h->record.known &&
	    (is_record_good(&h->record, f) || !strcmp(f->driver, h->record.former)))
		return 0;
	if (strcmp(f->driver, VIOFS_PCI_VFIO) != 0)
		return viofs_err_set(err, -EALREADY,
				     "%s is not bound to vfio-pci but to %s: nothing to do.",
				     f->text, driver);
	return viofs_err_set(err, -EALREADY,
			     "%s was bound to vfio-pci by somebody else; which driver it had isn't "
			     "known. Use driverctl or sysfs.",
			     f->text);
}

int viofs_hold_return(const struct viofs_pci_function *f, struct viofs_err *err)
{
	struct viofs_hold h;
	int rc;

	rc = viofs_hold_take_name(f->text, f->text, 0, &h, err);
	if (rc)
		return rc;
	rc = viofs_pci_function_read(&f->address, &h.function, err);
	if (!rc)
		rc = check_return(&h, err);
	/* A record that is no longer true is removed, too; a true one names the former driver.
	 */
	if (rc == -EALREADY || rc == -ENODEV)
		viofs_record_remove(h.id, h.lock_fd);
	else if (rc)
		close(h.lock_fd);
	if (rc)
		return rc;
	h.bound = true;
	h.record.by_admin = false;
	return viofs_hold_release(&h, err);
}

void viofs_hold_sweep(void)
{
	viofs_record_sweep();
	viofs_hugepages_settle();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device held: its record is locked; a PCI function is bound to vfio-pci, and given back as it
 * was. */
#ifndef VIOFS_ATTACH_HOLD_H
#define VIOFS_ATTACH_HOLD_H

#include "attach/record.h"
#include "pci/function.h"

/** struct viofs_hold - while it exists nobody else of this project touches the function */
struct viofs_hold {
	char id[VIOFS_RECORD_ID]; /* the lock on the record */
	bool bound;               /* a function that we have bound to vfio-pci: it must go back */
	struct viofs_pci_function function; /* as it was found */
	struct viofs_record record;
	struct viofs_record found; /* the former record, if it is to be restored */
	int lock_fd;
};

/**
 * viofs_hold_take() - lock the function, note its driver, bind it to vfio-pci
 * Loads the modules vfio-pci and vfio_iommu_type1 where they are missing (modprobe(8)).
 * @wait_ms: for another holder that is about to end.
 * Return: 0; -EBUSY: held by another daemon, or mounted by the kernel's driver (in any mount
 * namespace), or perhaps so, where it has a mount and the tag of @f is not known; -EPERM: the IOMMU
 * group is not viable; -ENODEV: no vfio-pci; others. On failure the function is as it was.
 */
int viofs_hold_take(const struct viofs_pci_function *f, int wait_ms, struct viofs_hold *hold,
		    struct viofs_err *err);

/* Callers put the socket's own name in front of this message. */
#define VIOFS_HOLD_SOCKET "the socket"

/**
 * viofs_hold_take_name() - lock a record and nothing else: of a back end's socket
 * @device: what the record is of, for messages: its id says nothing to a user. As above.
 */
int viofs_hold_take_name(const char *id, const char *device, int wait_ms, struct viofs_hold *hold,
			 struct viofs_err *err);

/** viofs_hold_note() - write @tag, @mountpoint and @pid into the record, for others to read. */
int viofs_hold_note(struct viofs_hold *hold, const char *tag, const char *mountpoint, int pid);

/**
 * viofs_hold_note_mount() - add the minor number of the file system that was mounted, which
 * identifies the mount
 */
int viofs_hold_note_mount(struct viofs_hold *hold, unsigned int minor_no);

/** viofs_hold_release() - to its former driver (not one bound by `viofsctl bind`). Return: 0 or
 * -errno. */
int viofs_hold_release(struct viofs_hold *hold, struct viofs_err *err);

/**
 * viofs_hold_leave() - let go, as if viofs_hold_take() had not been called
 * A function that `viofsctl bind` or a killed daemon has left with vfio-pci stays there, with its
 * record.
 */
void viofs_hold_leave(struct viofs_hold *hold);

/** viofs_hold_keep() - let go, but leave it bound to vfio-pci until viofs_hold_return(). */
int viofs_hold_keep(struct viofs_hold *hold, struct viofs_err *err);

/**
 * viofs_hold_return() - undo viofs_hold_keep(), or what a killed daemon left
 * Return: 0; -EBUSY: a daemon has it; -EALREADY: it was not taken by us.
 */
int viofs_hold_return(const struct viofs_pci_function *f, struct viofs_err *err);

/**
 * viofs_hold_sweep() - clean up after killed processes: records of sockets, a raised limit of
 * hugepages. Does what the caller has the rights for.
 */
void viofs_hold_sweep(void);

#endif

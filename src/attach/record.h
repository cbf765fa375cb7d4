/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What /run/virtiofs-vfio says about a device that was taken: by whom, and what must be put back.
 */
#ifndef VIOFS_ATTACH_RECORD_H
#define VIOFS_ATTACH_RECORD_H

#include "base/err.h"
#include "base/run.h"
#include "pci/tag.h"

#include <limits.h>
#include <stdbool.h>

#define VIOFS_RECORD_SOCKET "vhost-user-" /* what names of sockets' records begin with */
#define VIOFS_CONTROL_SUFFIX ".sock"      /* ADDRESS.sock, beside the record */
/* A record's name: a PCI address, or one made of a socket's path. */
#define VIOFS_RECORD_ID 48

/** struct viofs_record - the file /run/virtiofs-vfio/ADDRESS; its lock is held by who has the
 * device */
struct viofs_record {
	bool known;      /* somebody has written it */
	char former[64]; /* driver to give the device back to, "" = none */
	bool by_admin;   /* bound by `viofsctl bind`: it stays with vfio-pci when a daemon ends */
	int pid;         /* of the daemon, 0 = none */
	unsigned int minor; /* of the file system that he has mounted, 0 = none yet */
	char tag[VIOFS_TAG_TEXT];
	char mountpoint[PATH_MAX]; /* where he mounted it first */
};

/**
 * viofs_record_lock() - lock the record of @id; made where there is none
 * The control socket that a killed daemon may have left goes.
 * @wait_ms: for another holder that is about to end.
 * @record: out, what it says; zeroed where it is new.
 * Return: descriptor that holds the lock, for reading only (it outlives a fork); -EBUSY: held;
 * -EACCES and others, in @err.
 */
int viofs_record_lock(const char *id, int wait_ms, struct viofs_record *record,
		      struct viofs_err *err);

/** viofs_record_read() - look without locking. Return: 0; -ENOENT: not taken by us. */
int viofs_record_read(const char *id, struct viofs_record *record);

/** viofs_record_write() - under the lock @lock. Return: 0 or -errno. */
int viofs_record_write(const char *id, int lock, const struct viofs_record *record);

/**
 * viofs_record_sweep() - remove records of sockets that nobody holds any more
 * They are left when a daemon and its worker are both killed, or when a worker ends after its
 * supervisor. Records of PCI functions stay, since they say which driver the function goes back to.
 * Does what the caller has the rights for.
 */
void viofs_record_sweep(void);

/** viofs_record_remove() - the device is as it was: remove and unlock. */
void viofs_record_remove(const char *id, int lock);

#endif

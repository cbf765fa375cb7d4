/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a file system is mounted in this mount namespace, and taking it away from there.
 *
 * A mount is known by its ID and its file system's minor; a path only says where to look for it.
 * Looking there may take for ever, as the mount point may lie in a file system that does not
 * answer: another one, or the same where it is mounted within itself.
 */
#ifndef VIOFS_KERNEL_PLACES_H
#define VIOFS_KERNEL_PLACES_H

#include <stdbool.h>
#include <stdint.h>

/** struct viofs_mount_place - one mount of the file system */
struct viofs_mount_place {
	uint64_t mount;     /* its ID */
	unsigned int minor; /* of its file system */
	char *path;         /* where the kernel says it is, as it was when it was read */
	_Atomic int root;   /* viofs_places_hold(); -1: not held */
};

/** struct viofs_places - all of them, in the order they were made */
struct viofs_places {
	struct viofs_mount_place *list;
	unsigned int count;
};

/**
 * viofs_places_find() - the mounts of the FUSE file system with this minor
 * The minor is the file system's as long as that exists; the caller knows.
 * Return: 0 or -errno; then there is nothing to free.
 */
int viofs_places_find(unsigned int minor_no, struct viofs_places *places);

/** viofs_places_free() - what viofs_places_find() has found. */
void viofs_places_free(struct viofs_places *places);

/**
 * viofs_mount_place_open() - the root of that mount, O_PATH: opening it asks the file system
 * nothing Context: waits for as long as the file systems on the way don't answer. Return:
 * descriptor, which keeps the mount busy; -ESTALE: the mount isn't there any more, or another one
 * covers it; -errno.
 */
int viofs_mount_place_open(const struct viofs_mount_place *place);

/** struct viofs_holding - places that are being opened, in a thread of its own */
struct viofs_holding;

/**
 * viofs_places_hold() - open the root of each: what is found cannot become another one's
 * @places: are taken over, whatever comes back, and none are left there.
 * @enough: how many will do.
 * @ms: when it comes back at the latest; the thread goes on.
 * Return: NULL: out of memory.
 */
struct viofs_holding *viofs_places_hold(struct viofs_places *places, unsigned int enough,
					unsigned int ms);

/**
 * viofs_holding_take() - the first that is held: the caller closes it
 * Return: descriptor; -ESTALE: there is none; -ETIMEDOUT: none so far; -ENOMEM: NULL was given.
 */
int viofs_holding_take(struct viofs_holding *h);

/** viofs_holding_detach() - MNT_DETACH of those that are held after @ms more, or when all are. */
void viofs_holding_detach(struct viofs_holding *h, unsigned int ms);

/**
 * viofs_holding_free() - let go; a thread that is stuck is left to end when it can. NULL is fine.
 */
void viofs_holding_free(struct viofs_holding *h);

/**
 * viofs_mount_place_unmount() - umount2(2) of this mount, and of no other
 * @flags: of umount2(2).
 * Context: as viofs_mount_place_open().
 * Return: 0; -EBUSY; -ESTALE as above; -errno.
 */
int viofs_mount_place_unmount(const struct viofs_mount_place *place, int flags);

#endif

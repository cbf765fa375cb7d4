/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a device mounted: /proc/PID/mountinfo of every mount namespace. */
#ifndef VIOFS_ATTACH_MOUNTINFO_H
#define VIOFS_ATTACH_MOUNTINFO_H

#include <limits.h>
#include <stdbool.h>

/**
 * struct viofs_mountinfo_query - which mount is looked for; NULL: anything
 * Anybody can have a mount of type fuse.virtiofs-vfio with any source, in a user namespace or by
 * fusermount3(1). So the two types are never looked for together: such a mount must not hide one of
 * the kernel's.
 */
struct viofs_mountinfo_query {
	bool ours;           /* type fuse.virtiofs-vfio; else virtiofs */
	const char *source;  /* the tag, or what the user said */
	const char *address; /* ours, beside @source: a PCI address, however it is written */
	unsigned int minor;  /* of its file system, as long as that exists; 0: any */
};

/** struct viofs_mounted - the mount that was found */
struct viofs_mounted {
	char mountpoint[PATH_MAX]; /* in its own mount namespace, "" = nowhere */
	int pid;                   /* a process in that namespace; this one, if it is the same */
};

/** viofs_mountinfo_search() - look in every mount namespace. Return: 1 found, 0 not, or -errno. */
int viofs_mountinfo_search(const struct viofs_mountinfo_query *query, struct viofs_mounted *out);

/** viofs_mountinfo_match() - the same for one mountinfo text; pure, for tests. Return: 1 or 0. */
int viofs_mountinfo_match(const char *mountinfo, const struct viofs_mountinfo_query *query,
			  struct viofs_mounted *out);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a node of VFIO's open. */
#include "vfio/holder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Does process @pid have @node open? */
static bool has_open(const char *pid, const char *node)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		found = strcmp(target, node) == 0;
	}
	closedir(dir);
	return found;
}

int viofs_vfio_holder(const char *node)
{
	const int self = (int)getpid();
	struct dirent *e;
	int pid = 0;
	DIR *dir;

	dir = opendir("/proc");
	if (!dir)
		return 0;
	while (!pid && (e = readdir(dir)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && atoi(e->d_name) != self &&
		    has_open(e->d_name, node))
			pid = atoi(e->d_name);
	closedir(dir);
	return pid;
}

int viofs_vfio_busy_err(const char *node, struct viofs_err *err)
{
	int pid = viofs_vfio_holder(node);

	if (pid)
		return viofs_err_set(err, -EBUSY, "%s is in use by process %d: end that one first.",
				     node, pid);
	return viofs_err_set(err, -EBUSY,
			     "%s is in use, most likely by another virtiofs-vfio, a QEMU that has "
			     "a device of this group, or DPDK or SPDK: end that one first.",
			     node);
}

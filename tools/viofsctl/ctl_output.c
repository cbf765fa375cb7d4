/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofsctl metrics --output: into a file that others read meanwhile.
 *
 * What is printed goes into a new file beside it, which takes its place when it is whole. Whoever
 * may write to that directory can't lead us elsewhere: the new file has a name that nobody knows
 * before, and rename(2) follows no link.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int finish(int fd, const char *temporary, const char *path)
{
	bool whole = !fflush(stdout) && !ferror(stdout);
	/* The file's, not the message's. */
	int rc = whole ? 0 : -(errno ? errno : EIO);

	if (!rc && fchmod(fd, 0644) < 0)
		rc = -errno;
	if (!rc && rename(temporary, path) < 0)
		rc = -errno;
	if (!rc)
		return 0;
	unlink(temporary);
	return viofs_ctl_complain("%s can't be written: %s.", path, strerror(-rc));
}

int viofs_ctl_metrics_into(const char *path, const char *where, bool open)
{
	char temporary[PATH_MAX];
	int fd, status;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= sizeof(temporary))
		return viofs_ctl_complain("%s: %s.", path, strerror(ENAMETOOLONG));
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return viofs_ctl_complain("%s can't be written: %s.", path, strerror(errno));
	if (dup2(fd, STDOUT_FILENO) < 0) {
		status = viofs_ctl_complain("%s can't be written: %s.", path, strerror(errno));
		unlink(temporary);
	} else {
		/* With one daemon that doesn't answer the others' are there still. */
		status = viofs_ctl_metrics(where, open, false);
		errno = 0;
		status |= finish(fd, temporary, path);
	}
	close(fd);
	return status;
}

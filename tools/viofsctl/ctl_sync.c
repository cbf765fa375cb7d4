/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofsctl sync: what sync(2) does on other mounts: wait until the device has what programs have
 * written.
 */
/*
 * On a FUSE mount syncfs(2) writes dirty pages, that is, makes requests of them, and since Linux
 * 6.12 doesn't wait for those (SB_I_NO_DATA_INTEGRITY; before, pages were copied and counted as
 * written). The number of unanswered requests of a mount is in fusectl's `waiting`. It includes
 * those that the daemon hasn't read yet: when it has been 0 after syncfs, all requests that syncfs
 * made are answered. Reads of programs count as well, but they come and go; only a mount that is
 * never at rest for an instant can't be waited for.
 *
 * Twice: a page that was just being written out when it was dirtied again is left out of the first
 * round. A third syncfs tells of errors of the first two, as the kernel remembers them for an open
 * file.
 */
#include "ctl.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S 60
#define ROUNDS 2
/* Short enough to see a gap between two requests of a program, long enough to leave it the CPU. */
#define LOOK_NS 200000

static int64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Until nothing is on its way. Return: 0, -ETIMEDOUT, or why it can't be seen. */
static int wait_for_rest(unsigned int device, int64_t until)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	char path[PATH_MAX];
	uint64_t waiting;
	int rc;

	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/waiting", device);
	while (!(rc = viofs_text_read_u64(path, &waiting)) && waiting) {
		if (now_s() >= until)
			return -ETIMEDOUT;
		nanosleep(&look, NULL);
	}
	return rc;
}

static int sync_mount(int fd, unsigned int device)
{
	int64_t until = now_s() + LIMIT_S;

	for (int i = 0; i < ROUNDS; i++) {
		int rc;

		if (syncfs(fd) < 0)
			return -errno;
		rc = wait_for_rest(device, until);
		if (rc)
			return rc;
	}
	return syncfs(fd) < 0 ? -errno : 0;
}

static int sync_one(const char *mountpoint)
{
	int fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	struct stat st;

	if (fd < 0)
		return viofs_ctl_complain("%s can't be opened: %s.", mountpoint, strerror(errno));
	rc = fstat(fd, &st) < 0 ? -errno : sync_mount(fd, minor(st.st_dev));
	close(fd);
	if (!rc)
		return 0;
	if (rc == -ETIMEDOUT)
		return viofs_ctl_complain(
			"%s was never at rest for %d s: whether all is written isn't known. "
			"fsync(2) of single files tells.",
			mountpoint, LIMIT_S);
	if (rc == -ENOENT)
		return viofs_ctl_complain(
			"/sys/fs/fuse/connections does not show %s: mount -t fusectl fusectl "
			"/sys/fs/fuse/connections.",
			mountpoint);
	return viofs_ctl_complain("%s: not all could be written: %s.", mountpoint, strerror(-rc));
}

int viofs_ctl_sync(const char *mountpoint)
{
	json_t *all = json_array();
	int status = viofs_ctl_ask_all(mountpoint, VIOFS_CTL_INSIDE, all);

	if (json_array_size(all))
		status = sync_one(mountpoint);
	json_decref(all);
	return status;
}

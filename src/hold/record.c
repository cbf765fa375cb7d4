/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records of taken devices.
 *
 * A record outlives whoever wrote it, kill -9 included: the next daemon, or `viofsctl unbind`,
 * learns from it which driver the device had. The lock is flock(2) on the file, so it goes with the
 * last process that has the descriptor. A file may be removed between our open and our lock: then
 * we hold the lock of a file that nobody will find, and try again.
 */
#include "hold/record.h"
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_US 20000
/* Who holds it may only be looking whether it is left over: viofs_record_sweep(). */
#define LOOKING_MS 100
#define TEXT_MAX (PATH_MAX + 512)
#define MOUNTPOINT "\nmountpoint="

static void record_path(char *buf, size_t size, const char *address)
{
	snprintf(buf, size, VIOFS_RUN_DIR "/%s", address);
}

static void parse_line(char *line, struct viofs_record *r)
{
	char *value = strchr(line, '=');

	if (!value)
		return;
	*value++ = '\0';
	r->known = true;
	if (!strcmp(line, "former"))
		snprintf(r->former, sizeof(r->former), "%s", value);
	else if (!strcmp(line, "by"))
		r->by_admin = !strcmp(value, "viofsctl");
	else if (!strcmp(line, "pid"))
		r->pid = atoi(value);
	else if (!strcmp(line, "tag"))
		snprintf(r->tag, sizeof(r->tag), "%s", value);
}

int viofs_record_read(const char *address, struct viofs_record *record)
{
	char path[PATH_MAX], text[TEXT_MAX], *mountpoint, *save = NULL;
	int rc;

	memset(record, 0, sizeof(*record));
	record_path(path, sizeof(path), address);
	rc = viofs_text_read(path, text, sizeof(text));
	if (rc < 0)
		return rc;
	/* The last of them, to the end: a path may have line breaks. */
	mountpoint = strstr(text, MOUNTPOINT);
	if (mountpoint) {
		snprintf(record->mountpoint, sizeof(record->mountpoint), "%s",
			 mountpoint + strlen(MOUNTPOINT));
		*mountpoint = '\0';
	}
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		parse_line(line, record);
	return 0;
}

int viofs_record_write(int fd, const struct viofs_record *r)
{
	char text[TEXT_MAX];
	int n;

	n = snprintf(text, sizeof(text), "former=%s\nby=%s\npid=%d\ntag=%s" MOUNTPOINT "%s\n",
		     r->former, r->by_admin ? "viofsctl" : "daemon", r->pid, r->tag, r->mountpoint);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -ENAMETOOLONG;
	if (ftruncate(fd, 0) < 0)
		return -errno;
	return pwrite(fd, text, (size_t)n, 0) == n ? 0 : -EIO;
}

/* Is @fd still the file that the name leads to? */
static bool is_current(const char *path, int fd)
{
	struct stat mine, named;

	return !fstat(fd, &mine) && !stat(path, &named) && mine.st_ino == named.st_ino &&
	       mine.st_dev == named.st_dev;
}

/*
 * Return: the locked descriptor; -EAGAIN: somebody has it; -ESTALE: the file or its folder was
 * removed meanwhile, as who ends does; -errno.
 */
static int try_lock(const char *path)
{
	int fd, rc = 0;

	if (mkdir(VIOFS_RUN_DIR, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		rc = errno == EWOULDBLOCK ? -EAGAIN : -errno;
	else if (!is_current(path, fd))
		rc = -ESTALE;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int viofs_record_lock(const char *address, int wait_ms, struct viofs_record *record,
		      struct viofs_err *err)
{
	int64_t end = viofs_now_ns() + VIOFS_MAX(wait_ms, LOOKING_MS) * VIOFS_NSEC_PER_MSEC;
	char path[PATH_MAX];
	int fd;

	record_path(path, sizeof(path), address);
	for (;;) {
		fd = try_lock(path);
		if (fd >= 0 || (fd == -EAGAIN && viofs_now_ns() - end >= 0) ||
		    (fd != -EAGAIN && fd != -ESTALE))
			break;
		usleep(RETRY_US);
	}
	if (fd >= 0 || fd == -EAGAIN)
		viofs_record_read(address, record);
	if (fd == -EAGAIN)
		return viofs_err_set(
			err, -EBUSY, "%s is in use by another virtiofs-vfio (pid %d%s%s).", address,
			record->pid, record->mountpoint[0] ? ", at " : "", record->mountpoint);
	if (fd < 0)
		return viofs_err_set(err, fd, "%s can't be opened: %s.%s", path, strerror(-fd),
				     fd == -EACCES ? " Run it as root." : "");
	return fd;
}

void viofs_record_remove(const char *address, int fd)
{
	char path[PATH_MAX];

	/* The control socket too, of a daemon that was killed. */
	snprintf(path, sizeof(path), VIOFS_RUN_DIR "/%s" VIOFS_CONTROL_SUFFIX, address);
	unlink(path);
	record_path(path, sizeof(path), address);
	unlink(path);
	close(fd);
	/* The last one leaves nothing behind; not empty is as good. */
	rmdir(VIOFS_RUN_DIR);
}

/* A record that nobody holds: the lock goes with the last process that has it. */
static void sweep_one(const char *name)
{
	char path[PATH_MAX];
	int fd;

	record_path(path, sizeof(path), name);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (!flock(fd, LOCK_EX | LOCK_NB) && is_current(path, fd))
		viofs_record_remove(name, fd);
	else
		close(fd);
}

void viofs_record_sweep(void)
{
	DIR *dir = opendir(VIOFS_RUN_DIR);
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (!strncmp(e->d_name, VIOFS_RECORD_SOCKET, strlen(VIOFS_RECORD_SOCKET)) &&
		    !strchr(e->d_name, '.'))
			sweep_one(e->d_name);
	closedir(dir);
}

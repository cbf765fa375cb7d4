/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of /run/virtiofs-vfio, or of an ordinary user's directory in its place. */
/*
 * A lock is flock(2) on a file. The file is removed before it is unlocked, and may be so between
 * our open and our lock: then we hold the lock of a file that nobody will find, and try again.
 *
 * The descriptor that holds the lock is for reading only, as a worker inherits it: others must be
 * able to trust what a file says. A writer opens the file only while it writes.
 */
#include "base/run.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_US 20000
/* How much longer to try, where the file is removed again and again. */
#define STALE_NS (1 * VIOFS_NSEC_PER_SEC)
#define RUN_PATH_MAX 512

static const char *given_dir;
static char chosen_dir[RUN_PATH_MAX] = VIOFS_RUN_DIR;
static pthread_once_t chosen = PTHREAD_ONCE_INIT;

void viofs_run_set_dir(const char *dir)
{
	given_dir = dir;
}

/* A process that isn't root at its start won't become root. */
static void choose(void)
{
	const char *own = secure_getenv("XDG_RUNTIME_DIR");

	if (!geteuid() || !own || own[0] != '/' || strlen(own) > RUN_PATH_MAX / 2)
		return;
	snprintf(chosen_dir, sizeof(chosen_dir), "%s" VIOFS_RUN_NAME, own);
}

const char *viofs_run_dir(void)
{
	if (given_dir)
		return given_dir;
	pthread_once(&chosen, choose);
	return chosen_dir;
}

const char *viofs_run_path(char *buf, size_t size, const char *name)
{
	int n = snprintf(buf, size, "%s/%s", viofs_run_dir(), name);

	if (n < 0 || (size_t)n >= size)
		buf[0] = '\0';
	return buf;
}

/* Is @fd still the file that the name leads to? */
static bool is_current(const char *path, int fd)
{
	struct stat mine, named;

	return !fstat(fd, &mine) && !lstat(path, &named) && mine.st_ino == named.st_ino &&
	       mine.st_dev == named.st_dev;
}

/* Only a regular file is ours; opening a fifo would block. Return: fd or -errno. */
static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

/*
 * Return: the locked descriptor; -EAGAIN: somebody has it; -ESTALE: the file or its folder was
 * removed meanwhile, as who ends does; -errno.
 */
static int try_lock(const char *path)
{
	int fd, rc = 0;

	if (mkdir(viofs_run_dir(), 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open_file(path, O_RDONLY | O_CREAT);
	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		rc = errno == EWOULDBLOCK ? -EAGAIN : -errno;
	else if (!is_current(path, fd))
		rc = -ESTALE;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int viofs_run_lock(const char *name, int wait_ms)
{
	int64_t end = viofs_now_ns() + wait_ms * VIOFS_NSEC_PER_MSEC;
	char path[RUN_PATH_MAX];
	int fd;

	viofs_run_path(path, sizeof(path), name);
	for (;;) {
		fd = try_lock(path);
		if (fd != -EAGAIN && fd != -ESTALE)
			return fd;
		if (fd == -EAGAIN && viofs_now_ns() - end >= 0)
			return -EBUSY;
		if (fd == -ESTALE && viofs_now_ns() - end >= STALE_NS)
			return fd;
		usleep(RETRY_US);
	}
}

int viofs_run_is_locked(const char *name)
{
	char path[RUN_PATH_MAX];
	int fd, locked;

	fd = open_file(viofs_run_path(path, sizeof(path), name), O_RDONLY);
	if (fd < 0)
		return fd;
	/* A shared lock, so that two processes that look don't take each other for a holder. */
	locked = flock(fd, LOCK_SH | LOCK_NB) < 0;
	close(fd);
	return locked;
}

/*
 * New text and its NUL are written in one call; readers stop at the NUL, before the rest of the old
 * text.
 */
static int replace(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n = pwrite(fd, text, len + 1, 0);

	if (n < 0)
		return -errno;
	if ((size_t)n != len + 1)
		return -ENOSPC;
	return ftruncate(fd, (off_t)len) < 0 ? -errno : 0;
}

int viofs_run_write(const char *name, int lock, const char *text)
{
	char path[RUN_PATH_MAX];
	int fd, rc;

	fd = open_file(viofs_run_path(path, sizeof(path), name), O_WRONLY);
	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	rc = is_current(path, lock) ? replace(fd, text) : -ESTALE;
	close(fd);
	return rc;
}

void viofs_run_remove(const char *name, int lock)
{
	char path[RUN_PATH_MAX];

	unlink(viofs_run_path(path, sizeof(path), name));
	close(lock);
	/* Whoever is last removes the directory. It is fine if it isn't empty. */
	rmdir(viofs_run_dir());
}

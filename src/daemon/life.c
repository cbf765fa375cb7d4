/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that dies, and one of whose threads doesn't.
 *
 * Whoever gives a READ its answer may wait for a page, in the kernel, where no signal ends the
 * wait. Who has the page may wait for another answer, which the dead worker's successor is to give.
 * So the successor can't wait for the corpse: there is no SIGCHLD, and its descriptors stay open,
 * before that thread has come to its end.
 *
 * Two things tell of it. One thread of the worker has a table of descriptors of its own, with one
 * end of a pipe in it, and does nothing: it dies at once, and the pipe with it. And /proc says of
 * the other threads that they are dead, or have SIGKILL to take when the kernel lets them go.
 */
#include "daemon/life.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* It is locked into memory, so it is small. */
#define STACK_BYTES (64 << 10)

/* What the thread is told, and tells. */
struct life {
	int fd, rc;
	sem_t done;
};

static int keep_only(int fd)
{
	if (close_range((unsigned int)fd + 1, ~0U, CLOSE_RANGE_UNSHARE) < 0)
		return -errno;
	return fd && close_range(0, (unsigned int)fd - 1, 0) < 0 ? -errno : 0;
}

static void *live(void *arg)
{
	struct life *l = arg;
	int rc = l->rc = keep_only(l->fd);

	sem_post(&l->done);
	while (!rc)
		poll(NULL, 0, -1);
	return NULL;
}

int viofs_life_start(int fd)
{
	struct life l = { .fd = fd };
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	sem_init(&l.done, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = -pthread_create(&thread, &attr, live, &l);
	pthread_attr_destroy(&attr);
	while (!rc && sem_wait(&l.done) < 0)
		;
	close(fd);
	return rc ? rc : l.rc;
}

/* The rest of the line of /proc/PID/task/TID/status that begins with @key. */
static bool find(FILE *f, const char *key, char line[static 256])
{
	size_t len = strlen(key);

	rewind(f);
	while (fgets(line, 256, f))
		if (!strncmp(line, key, len))
			return memmove(line, line + len, strlen(line + len) + 1);
	return false;
}

static bool is_gone_or_stuck(const char *path)
{
	const uint64_t kill = 1ULL << (SIGKILL - 1);
	FILE *f = fopen(path, "re");
	char line[256];
	bool is = false;

	if (!f)
		return errno == ENOENT || errno == ESRCH;
	if (find(f, "State:\t", line)) {
		is = line[0] == 'Z' || line[0] == 'X';
		if (line[0] == 'D' && find(f, "SigPnd:\t", line))
			is = strtoull(line, NULL, 16) & kill;
	}
	fclose(f);
	return is;
}

bool viofs_life_is_stuck(pid_t pid)
{
	char path[PATH_MAX];
	struct dirent *e;
	bool all = true;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (all && (e = readdir(dir))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, e->d_name);
		all = is_gone_or_stuck(path);
	}
	closedir(dir);
	return all;
}

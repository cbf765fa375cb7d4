/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much is below a directory, as du(1) counts it: du SOURCE DIRECTORY
 *
 * All names of a directory are asked for at once: thousands of calls are under way, of which the
 * library sends as many as there is room for. What the device told with the names (READDIRPLUS,
 * also in viofs_dirent.st) is remembered, and not asked for again.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <viofs/viofs.h>

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name whose attributes are asked for, or a directory that is being opened and read. */
struct job {
	struct viofs_dir *dir;
	struct stat st;
	int state; /* of enum below */
	char path[];
};

enum { STAT, OPEN, FILL, CLOSE };

struct du {
	struct viofs_async *async;
	unsigned long long blocks, files;
	unsigned int most;
	int failed;
};

static int fail(struct du *du, const char *path, int64_t rc)
{
	fprintf(stderr, "%s: %s\n", path, strerror((int)-rc));
	du->failed = 1;
	return (int)rc;
}

/* Begin the job's next call. */
static void go_on(struct du *du, struct job *job, int state)
{
	int rc;

	job->state = state;
	if (state == STAT)
		rc = viofs_path_stat_async(du->async, job->path, VIOFS_PATH_NO_FOLLOW, &job->st,
					   job);
	else if (state == OPEN)
		rc = viofs_dir_open_async(du->async, job->path, VIOFS_PATH_NO_FOLLOW, &job->dir,
					  job);
	else if (state == FILL)
		rc = viofs_dir_fill_async(du->async, job->dir, job);
	else
		rc = viofs_dir_close_async(du->async, job->dir, job);
	if (viofs_async_pending(du->async) > du->most)
		du->most = viofs_async_pending(du->async);
	if (rc) {
		fail(du, job->path, rc);
		free(job);
	}
}

static void add(struct du *du, const char *folder, const char *name, int state)
{
	size_t size = strlen(folder) + strlen(name) + 2;
	struct job *job = (struct job *)calloc(1, sizeof(*job) + size);

	if (!job) {
		fail(du, name, -12);
		return;
	}
	snprintf(job->path, size, "%s%s%s", folder, *name ? "/" : "", name);
	go_on(du, job, state);
}

/* A portion of a directory is there. */
static void entries(struct du *du, struct job *job)
{
	struct viofs_dirent entry;

	while (viofs_dir_next(job->dir, &entry) > 0) {
		if (!strcmp(entry.name, ".") || !strcmp(entry.name, ".."))
			continue;
		if (entry.type == DT_DIR)
			add(du, job->path, entry.name, OPEN);
		add(du, job->path, entry.name, STAT);
	}
}

static void ended(struct du *du, struct job *job, int64_t result)
{
	if (result < 0)
		fail(du, job->path, result);
	if (job->state == OPEN && result >= 0) {
		go_on(du, job, FILL);
	} else if (job->state == FILL) {
		if (result > 0)
			entries(du, job);
		go_on(du, job, result > 0 ? FILL : CLOSE);
	} else {
		if (job->state == STAT && result >= 0) {
			du->blocks += (unsigned long long)job->st.st_blocks;
			du->files++;
		}
		free(job);
	}
}

static void walk(struct du *du, const char *top)
{
	struct viofs_event events[64];

	add(du, top, "", OPEN);
	while (viofs_async_pending(du->async)) {
		int n = viofs_async_wait(du->async, events, 1, 64, -1);

		for (int i = 0; i < n; i++)
			ended(du, (struct job *)events[i].user, events[i].result);
	}
}

int main(int argc, char **argv)
{
	struct viofs_session *session = NULL;
	struct viofs_dev *dev = NULL;
	static struct viofs_err err;
	struct du du = { NULL, 0, 0, 0, 1 };

	if (argc != 3) {
		fprintf(stderr, "Usage: du SOURCE DIRECTORY\n");
		return 2;
	}
	if (viofs_dev_open(argv[1], NULL, &dev, &err) ||
	    viofs_session_open(dev, NULL, &session, &err) ||
	    viofs_async_open(session, 0, &du.async, &err)) {
		fprintf(stderr, "%s\n", err.text);
	} else {
		du.failed = 0;
		walk(&du, argv[2]);
		printf("%llu KiB in %llu names, up to %u calls under way\n", du.blocks / 2,
		       du.files, du.most);
	}
	viofs_async_close(du.async);
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return du.failed;
}

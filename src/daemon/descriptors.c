/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which descriptors a process has, and which of them a child is to have. */
#include "daemon/descriptors.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static int add(struct viofs_descriptors *d, int fd)
{
	int *list = realloc(d->list, (d->count + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	d->list = list;
	list[d->count++] = fd;
	return 0;
}

int viofs_descriptors_find(struct viofs_descriptors *out)
{
	struct viofs_descriptors d = { .list = NULL };
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	int rc = 0;

	if (!dir)
		return -errno;
	while (!rc && (errno = 0, e = readdir(dir))) {
		int fd = atoi(e->d_name);

		if (isdigit((unsigned char)e->d_name[0]) && fd != dirfd(dir))
			rc = add(&d, fd);
	}
	rc = rc ? rc : -errno;
	closedir(dir);
	if (rc)
		viofs_descriptors_fini(&d);
	else
		*out = d;
	return rc;
}

void viofs_descriptors_remove(struct viofs_descriptors *d, int fd)
{
	for (unsigned int i = 0; i < d->count; i++)
		if (d->list[i] == fd)
			d->list[i--] = d->list[--d->count];
}

static bool has(const int *list, unsigned int count, int fd)
{
	for (unsigned int i = 0; i < count; i++)
		if (list[i] == fd)
			return true;
	return false;
}

int viofs_descriptors_keep_only(const struct viofs_descriptors *d, const int *more,
				unsigned int count)
{
	struct viofs_descriptors open;
	int rc = viofs_descriptors_find(&open);

	if (rc)
		return rc;
	for (unsigned int i = 0; i < open.count; i++)
		if (!has(d->list, d->count, open.list[i]) && !has(more, count, open.list[i]))
			close(open.list[i]);
	viofs_descriptors_fini(&open);
	return 0;
}

void viofs_descriptors_fini(struct viofs_descriptors *d)
{
	free(d->list);
	*d = (struct viofs_descriptors){ .list = NULL };
}

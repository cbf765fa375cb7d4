/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which descriptors a process has, and which of them a child is to have. */
#ifndef VIOFS_DAEMON_DESCRIPTORS_H
#define VIOFS_DAEMON_DESCRIPTORS_H

/** struct viofs_descriptors - some of them; zeroed: none */
struct viofs_descriptors {
	int *list;
	unsigned int count;
};

/** viofs_descriptors_find() - all that are open now. Return: 0 or -errno. */
int viofs_descriptors_find(struct viofs_descriptors *out);

/** viofs_descriptors_remove() - @fd is none of them, if it was; -1 is fine. */
void viofs_descriptors_remove(struct viofs_descriptors *d, int fd);

/**
 * viofs_descriptors_keep_only() - close all but @d and @more
 * In a child of fork(2), for what threads of its parent had open at that time, too.
 * @more: @count others. Return: 0; -errno: some may be open still.
 */
int viofs_descriptors_keep_only(const struct viofs_descriptors *d, const int *more,
				unsigned int count);

/** viofs_descriptors_fini() - the list; the descriptors stay open. */
void viofs_descriptors_fini(struct viofs_descriptors *d);

#endif

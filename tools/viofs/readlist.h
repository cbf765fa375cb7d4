/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory of the share, read to its end. */
#ifndef VIOFS_TOOLS_LISTING_H
#define VIOFS_TOOLS_LISTING_H

#include <viofs/viofs.h>

#include <stdbool.h>
#include <stddef.h>

struct viofs_listing_entry {
	char *name;
	uint32_t type; /* DT_REG, ..., DT_UNKNOWN */
	bool has_stat;
	struct stat st;
};

/** struct viofs_listing - all entries but "." and ".." */
struct viofs_listing {
	struct viofs_listing_entry *entries;
	size_t count, room;
};

/**
 * viofs_listing_read() - read @path
 * @sorted: by the bytes of the names. @list: what could be read, also where it fails.
 * Return: 0, or a negative errno with @err.
 */
int viofs_listing_read(struct viofs_session *s, const char *path, bool sorted,
		       struct viofs_listing *list, struct viofs_err *err);
void viofs_listing_free(struct viofs_listing *list);

/** viofs_listing_is_dir() - as far as the entry says. */
bool viofs_listing_is_dir(const struct viofs_listing_entry *e);

#endif

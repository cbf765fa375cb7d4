/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory of the share, read to its end.
 *
 * The program's one thread; the list owns its names, until viofs_listing_free().
 */
#include "readlist.h"
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct viofs_listing_entry *)a)->name,
		      ((const struct viofs_listing_entry *)b)->name);
}

static int add(struct viofs_listing *list, const struct viofs_dirent *e)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct viofs_listing_entry *more = realloc(list->entries, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		list->entries = more;
		list->room = room;
	}
	list->entries[list->count] =
		(struct viofs_listing_entry){ .name = strdup(e->name), .type = e->type };
	if (e->st) {
		list->entries[list->count].has_stat = true;
		list->entries[list->count].st = *e->st;
	}
	if (!list->entries[list->count].name)
		return -ENOMEM;
	list->count++;
	return 0;
}

int viofs_listing_read(struct viofs_session *s, const char *path, bool sorted,
		       struct viofs_listing *list, struct viofs_err *err)
{
	struct viofs_dirent e;
	struct viofs_dir *dir;
	int rc;

	memset(list, 0, sizeof(*list));
	err->text[0] = '\0';
	rc = viofs_dir_open(s, path, 0, &dir, err);
	if (rc)
		return rc;
	while (!viofs_cli_stopped() && (rc = viofs_dir_read(dir, &e, err)) > 0) {
		rc = strcmp(e.name, ".") != 0 && strcmp(e.name, "..") != 0 ? add(list, &e) : 0;
		if (rc)
			break;
	}
	viofs_dir_close(dir, NULL);
	if (sorted && list->count)
		qsort(list->entries, list->count, sizeof(*list->entries), by_name);
	return rc;
}

void viofs_listing_free(struct viofs_listing *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->entries[i].name);
	free(list->entries);
	memset(list, 0, sizeof(*list));
}

bool viofs_listing_is_dir(const struct viofs_listing_entry *e)
{
	return e->has_stat ? S_ISDIR(e->st.st_mode) : e->type == DT_DIR;
}

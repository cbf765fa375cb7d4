/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs rm: files, and trees with many requests in flight.
 *
 * The program's one thread; a removal owns its user of calls and the names that are under way.
 */
#include "cli.h"
#include "readlist.h"
#include "format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Removals under way at once. */
#define FLIGHT 64U

struct removal {
	struct viofs_cli *cli;
	struct viofs_async *async;
	bool force;
};

/* What is under way until at most @left are. */
static void settle(struct removal *r, unsigned int left)
{
	struct viofs_event events[FLIGHT];

	while (viofs_async_pending(r->async) > left) {
		int count = viofs_async_wait(r->async, events, 1, FLIGHT, -1);

		if (count <= 0)
			return;
		for (int i = 0; i < count; i++) {
			char *path = events[i].user;

			if (events[i].result && !(r->force && events[i].result == -ENOENT))
				viofs_cli_fail(r->cli, path, events[i].result, NULL);
			free(path);
		}
	}
}

static void remove_file(struct removal *r, const char *path)
{
	char *copy = strdup(path);
	int rc;

	settle(r, FLIGHT - 1);
	rc = copy ? viofs_path_unlink_async(r->async, copy, 0, copy) : -ENOMEM;
	if (rc) {
		viofs_cli_fail(r->cli, path, rc, NULL);
		free(copy);
	}
}

static void remove_tree(struct removal *r, const char *path);

static void remove_entry(struct removal *r, const char *dir, const struct viofs_listing_entry *e)
{
	char *path = viofs_format_join(dir, e->name);
	bool down = viofs_listing_is_dir(e);
	struct stat st;

	if (!path) {
		viofs_cli_fail(r->cli, dir, -ENOMEM, NULL);
		return;
	}
	if (!e->has_stat && !e->type)
		down = !viofs_path_stat(r->cli->session, path, VIOFS_PATH_NO_FOLLOW, &st, NULL) &&
		       S_ISDIR(st.st_mode);
	if (down)
		remove_tree(r, path);
	else
		remove_file(r, path);
	free(path);
}

static void remove_tree(struct removal *r, const char *path)
{
	struct viofs_listing list;
	struct viofs_err err;
	int rc = viofs_listing_read(r->cli->session, path, false, &list, &err);

	for (size_t i = 0; i < list.count && !viofs_cli_stopped(); i++)
		remove_entry(r, path, &list.entries[i]);
	settle(r, 0);
	viofs_listing_free(&list);
	if (!rc && !viofs_cli_stopped())
		rc = viofs_path_rmdir(r->cli->session, path, 0, &err);
	if (rc)
		viofs_cli_fail(r->cli, path, rc, &err);
}

static void remove_path(struct removal *r, const struct viofs_cli_args *args, const char *argument)
{
	char *path = viofs_cli_path(r->cli, argument), *base = viofs_format_base(path);
	struct viofs_err err;
	struct stat st;
	int rc;

	if (!base || !*base || !strcmp(base, ".") || !strcmp(base, ".."))
		rc = -EINVAL;
	else
		rc = viofs_path_stat(r->cli->session, path, VIOFS_PATH_NO_FOLLOW, &st, &err);
	if (rc == -ENOENT && r->force)
		rc = 0;
	else if (!rc && S_ISDIR(st.st_mode) && args->has['r'])
		remove_tree(r, path);
	else if (!rc && S_ISDIR(st.st_mode))
		rc = -EISDIR;
	else if (!rc)
		rc = viofs_path_unlink(r->cli->session, path, 0, &err);
	if (rc)
		viofs_cli_fail(r->cli, argument, rc, &err);
	free(base);
	free(path);
}

int viofs_cli_rm(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	struct removal r = { .cli = cli, .force = args->has['f'] };
	struct viofs_err err;

	if (viofs_async_open(cli->session, FLIGHT, &r.async, &err))
		return viofs_cli_say("%s", err.text);
	for (int i = 0; i < args->count && !viofs_cli_stopped(); i++)
		remove_path(&r, args, args->paths[i]);
	settle(&r, 0);
	viofs_async_close(r.async);
	return 0;
}

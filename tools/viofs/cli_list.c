/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs ls: names, and what is behind them.
 *
 * The program's one thread; lists of entries (readlist.h) belong to the function that reads them.
 */
#include "cli.h"
#include "readlist.h"
#include "format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

struct ls {
	struct viofs_cli *cli;
	const struct viofs_cli_args *args;
	bool headings, printed;
};

static void print_long(const struct stat *st)
{
	char mode[11], when[48], size[40];

	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		snprintf(size, sizeof(size), "%u, %u", major(st->st_rdev), minor(st->st_rdev));
	else
		snprintf(size, sizeof(size), "%lld", (long long)st->st_size);
	printf("%s %3llu %5u %5u %12s %s ", viofs_format_mode(st->st_mode, mode),
	       (unsigned long long)st->st_nlink, st->st_uid, st->st_gid, size,
	       viofs_format_time(&st->st_mtim, 0, when));
}

/* @path: where it is, for what a symbolic link leads to. */
static void print_entry(struct ls *ls, const char *path, const char *name, const struct stat *st)
{
	char target[4096];

	if (ls->args->has['l'])
		print_long(st);
	if (ls->args->has['0']) {
		fputs(name, stdout);
		putchar('\0');
		return;
	}
	viofs_format_put(name, stdout);
	if (ls->args->has['l'] && S_ISLNK(st->st_mode) &&
	    viofs_path_readlink(ls->cli->session, path, VIOFS_PATH_NO_FOLLOW, target,
				sizeof(target), NULL) >= 0) {
		fputs(" -> ", stdout);
		viofs_format_put(target, stdout);
	}
	putchar('\n');
}

static bool is_shown(const struct ls *ls, const char *name)
{
	return ls->args->has['a'] || name[0] != '.';
}

/* One entry of @dir, with what --long wants. */
static void show(struct ls *ls, const char *dir, const struct viofs_listing_entry *e)
{
	char *path = viofs_format_join(dir, e->name);
	struct stat st = e->st;
	int rc = 0;

	if (path && ls->args->has['l'] && !e->has_stat)
		rc = viofs_path_stat(ls->cli->session, path, VIOFS_PATH_NO_FOLLOW, &st, NULL);
	if (!path || rc)
		viofs_cli_fail(ls->cli, path ? path : dir, path ? rc : -ENOMEM, NULL);
	else
		print_entry(ls, path, e->name, &st);
	free(path);
}

static void list_dir(struct ls *ls, const char *path);

static void go_down(struct ls *ls, const char *dir, const struct viofs_listing *list)
{
	for (size_t i = 0; i < list->count && !viofs_cli_stopped(); i++) {
		const struct viofs_listing_entry *e = &list->entries[i];
		char *path;

		if (!viofs_listing_is_dir(e) || !is_shown(ls, e->name))
			continue;
		path = viofs_format_join(dir, e->name);
		if (path)
			list_dir(ls, path);
		free(path);
	}
}

static void list_dir(struct ls *ls, const char *path)
{
	struct viofs_listing list;
	struct viofs_err err;
	int rc;

	if (ls->headings && !ls->args->has['0']) {
		printf("%s", ls->printed ? "\n" : "");
		viofs_format_put(path, stdout);
		puts(":");
	}
	ls->printed = true;
	rc = viofs_listing_read(ls->cli->session, path, !ls->args->has['U'], &list, &err);
	for (size_t i = 0; i < list.count; i++)
		if (is_shown(ls, list.entries[i].name))
			show(ls, path, &list.entries[i]);
	if (rc)
		viofs_cli_fail(ls->cli, path, rc, &err);
	if (ls->args->has['R'])
		go_down(ls, path, &list);
	viofs_listing_free(&list);
}

/* -U: as they come, however many there are. */
static void stream_dir(struct ls *ls, const char *path)
{
	struct viofs_dirent e;
	struct viofs_dir *dir;
	struct viofs_err err;
	int rc;

	rc = viofs_dir_open(ls->cli->session, path, 0, &dir, &err);
	if (rc) {
		viofs_cli_fail(ls->cli, path, rc, &err);
		return;
	}
	while (!viofs_cli_stopped() && (rc = viofs_dir_read(dir, &e, &err)) > 0) {
		struct viofs_listing_entry entry = { .name = (char *)e.name, .type = e.type };

		if (e.st) {
			entry.has_stat = true;
			entry.st = *e.st;
		}
		if (is_shown(ls, e.name) && strcmp(e.name, ".") != 0 && strcmp(e.name, "..") != 0)
			show(ls, path, &entry);
	}
	if (rc < 0)
		viofs_cli_fail(ls->cli, path, rc, &err);
	viofs_dir_close(dir, NULL);
}

static void list_path(struct ls *ls, const char *argument)
{
	char *path = viofs_cli_path(ls->cli, argument);
	struct viofs_err err;
	struct stat st;
	/* A link to a directory is followed as ls(1) does, but with --long. */
	unsigned int flags = ls->args->has['l'] || ls->args->has['d'] ? VIOFS_PATH_NO_FOLLOW : 0;
	int rc = viofs_path_stat(ls->cli->session, path, flags, &st, &err);

	if (rc == -ENOENT && !flags)
		rc = viofs_path_stat(ls->cli->session, path, VIOFS_PATH_NO_FOLLOW, &st, &err);
	if (rc)
		viofs_cli_fail(ls->cli, argument, rc, &err);
	else if (!S_ISDIR(st.st_mode) || ls->args->has['d'])
		print_entry(ls, path, argument, &st);
	else if (ls->args->has['U'] && !ls->args->has['R'])
		stream_dir(ls, path);
	else
		list_dir(ls, path);
	free(path);
}

int viofs_cli_ls(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	struct ls ls = { .cli = cli, .args = args, .headings = args->count > 1 || args->has['R'] };

	if (!args->count)
		list_path(&ls, ".");
	for (int i = 0; i < args->count && !viofs_cli_stopped(); i++)
		list_path(&ls, args->paths[i]);
	return 0;
}

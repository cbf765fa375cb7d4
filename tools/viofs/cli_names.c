/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs mkdir, rmdir, mv, ln, chmod: changing names and modes.
 *
 * The program's one thread; nothing is kept from call to call.
 */
#include "cli.h"
#include "format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int octal(const char *text, mode_t *mode)
{
	char *end;
	unsigned long value = strtoul(text, &end, 8);

	if (end == text || *end || value > 07777 || text[0] == '-') {
		viofs_cli_say("A mode is an octal number up to 7777, not \"%s\".", text);
		return VIOFS_EXIT_USAGE;
	}
	*mode = (mode_t)value;
	return 0;
}

static bool is_dir(struct viofs_cli *cli, const char *path)
{
	struct stat st;

	return !viofs_path_stat(cli->session, path, 0, &st, NULL) && S_ISDIR(st.st_mode);
}

/* What is missing above @path. Return: 0, or a negative errno with @err. */
static int make_parents(struct viofs_cli *cli, char *path, struct viofs_err *err)
{
	int rc = 0;

	for (char *slash = strchr(path + 1, '/'); slash && !rc; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		rc = viofs_path_mkdir(cli->session, path, 0, 0755, err);
		if (rc == -EEXIST)
			rc = 0;
		*slash = '/';
	}
	return rc;
}

static int make_dir(struct viofs_cli *cli, char *path, mode_t mode, bool parents,
		    struct viofs_err *err)
{
	int rc = parents ? make_parents(cli, path, err) : 0;

	if (!rc)
		rc = viofs_path_mkdir(cli->session, path, 0, mode, err);
	/* mkdir(2) knows no set-group-ID and the like. */
	if (!rc && mode & 07000)
		rc = viofs_path_chmod(cli->session, path, 0, mode, err);
	return rc == -EEXIST && parents && is_dir(cli, path) ? 0 : rc;
}

int viofs_cli_mkdir(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	mode_t mode = 0755;

	if (args->has['m'] && octal(args->value['m'], &mode))
		return VIOFS_EXIT_USAGE;
	for (int i = 0; i < args->count; i++) {
		char *path = viofs_cli_path(cli, args->paths[i]);
		struct viofs_err err;
		int rc = make_dir(cli, path, mode, args->has['p'], &err);

		if (rc)
			viofs_cli_fail(cli, args->paths[i], rc, &err);
		free(path);
	}
	return 0;
}

int viofs_cli_rmdir(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	for (int i = 0; i < args->count; i++) {
		char *path = viofs_cli_path(cli, args->paths[i]);
		struct viofs_err err;
		int rc = viofs_path_rmdir(cli->session, path, 0, &err);

		if (rc)
			viofs_cli_fail(cli, args->paths[i], rc, &err);
		free(path);
	}
	return 0;
}

int viofs_cli_chmod(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	mode_t mode;

	if (octal(args->paths[0], &mode))
		return VIOFS_EXIT_USAGE;
	for (int i = 1; i < args->count; i++) {
		char *path = viofs_cli_path(cli, args->paths[i]);
		struct viofs_err err;
		int rc = viofs_path_chmod(cli->session, path, 0, mode, &err);

		if (rc)
			viofs_cli_fail(cli, args->paths[i], rc, &err);
		free(path);
	}
	return 0;
}

/* One of mv's: @to is a directory where @into. */
static void move_one(struct viofs_cli *cli, const char *argument, const char *to, bool into,
		     unsigned int how)
{
	char *from = viofs_cli_path(cli, argument), *base = viofs_format_base(argument);
	char *target = into && base ? viofs_format_join(to, base) : strdup(to);
	struct viofs_err err;
	int rc = target ? viofs_path_rename(cli->session, from, target, 0, how, &err) : -ENOMEM;

	if (rc)
		viofs_cli_fail(cli, argument, rc, &err);
	free(target);
	free(base);
	free(from);
}

int viofs_cli_mv(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	unsigned int how = args->has['x'] ? RENAME_EXCHANGE : args->has['n'] ? RENAME_NOREPLACE : 0;
	char *to = viofs_cli_path(cli, args->paths[args->count - 1]);
	bool into = !args->has['x'] && is_dir(cli, to);

	if (args->count > 2 && !into)
		viofs_cli_fail(cli, args->paths[args->count - 1], -ENOTDIR, NULL);
	else
		for (int i = 0; i < args->count - 1; i++)
			move_one(cli, args->paths[i], to, into, how);
	free(to);
	return 0;
}

/* A name beside @path that nobody has, to be renamed over it. */
static int link_over(struct viofs_cli *cli, const char *what, const char *path, bool symbolic,
		     struct viofs_err *err)
{
	char temporary[4096];
	int rc = snprintf(temporary, sizeof(temporary), "%s.%08x", path, (unsigned int)random());

	if (rc >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	rc = symbolic ? viofs_path_symlink(cli->session, what, temporary, 0, err)
		      : viofs_path_link(cli->session, what, temporary, VIOFS_PATH_NO_FOLLOW, err);
	if (rc)
		return rc;
	rc = viofs_path_rename(cli->session, temporary, path, 0, 0, err);
	/* Two names of one file: rename(2) leaves both. */
	viofs_path_unlink(cli->session, temporary, 0, NULL);
	return rc;
}

int viofs_cli_ln(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	bool symbolic = args->has['s'];
	char *what = symbolic ? strdup(args->paths[0]) : viofs_cli_path(cli, args->paths[0]);
	char *path = viofs_cli_path(cli, args->paths[1]);
	char *base = viofs_format_base(args->paths[0]), *inside = NULL;
	struct viofs_err err;
	int rc;

	if (base && is_dir(cli, path)) {
		inside = viofs_format_join(path, base);
		free(path);
		path = inside;
	}
	if (!what || !path || !base)
		rc = -ENOMEM;
	else
		rc = symbolic ? viofs_path_symlink(cli->session, what, path, 0, &err)
			      : viofs_path_link(cli->session, what, path, VIOFS_PATH_NO_FOLLOW,
						&err);
	if (rc == -EEXIST && args->has['f'])
		rc = link_over(cli, what, path, symbolic, &err);
	if (rc)
		viofs_cli_fail(cli, args->paths[1], rc, &err);
	free(what);
	free(path);
	free(base);
	return 0;
}

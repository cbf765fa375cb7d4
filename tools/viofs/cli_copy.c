/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs get, put, cp: what is copied where to.
 *
 * The program's one thread; paths that are made here are taken over by the copy (xfer.h).
 */
#include "cli.h"
#include "format.h"
#include "xfer.h"
#include "xfer_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define JOBS 64U

/* A command's two sides. */
struct way {
	struct viofs_cli *cli;
	bool from_share, to_share;
};

/* An argument as a path of its side, to be freed. */
static char *side_path(const struct way *w, bool share, const char *argument)
{
	char *path = share ? viofs_cli_path(w->cli, argument) : strdup(argument);

	/* Slashes at the end mean nothing more than the type does. */
	for (size_t n = path ? strlen(path) : 0; n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	return path;
}

static bool is_dir(const struct way *w, bool share, const char *path)
{
	struct stat st;
	int rc = share ? viofs_path_stat(w->cli->session, path, 0, &st, NULL) : stat(path, &st);

	return !rc && S_ISDIR(st.st_mode);
}

/* Is @inner the tree @outer, or in it? By their names. */
static bool is_inside(const char *outer, const char *inner)
{
	size_t len = strlen(outer);

	return !strncmp(outer, inner, len) &&
	       (inner[len] == '/' || !inner[len] || (len && outer[len - 1] == '/'));
}

static void add(const struct way *w, struct viofs_xfer *x, const char *argument, const char *to,
		bool into)
{
	char *from = side_path(w, w->from_share, argument), *base = viofs_format_base(argument);
	/* DIR/. and the like: what is in it goes into the target itself. */
	bool plain = !base || !*base || !strcmp(base, ".") || !strcmp(base, "..");
	char *target = into && !plain ? viofs_format_join(to, base) : strdup(to);

	if (from && target && w->from_share && w->to_share && is_inside(from, target)) {
		w->cli->status = viofs_cli_say("%s: \"%s\" can't be copied into itself.",
					       w->cli->command, argument);
		free(from);
		free(target);
	} else {
		viofs_xfer_add(x, from, target, !into || plain);
	}
	free(base);
}

/*
 * The copying user owns the copies, unless owners are copied too. So drop set-user-ID bits: a
 * program of the source's owner must not become root's.
 */
static mode_t mode_mask(bool owner)
{
	mode_t mask = umask(0);

	umask(mask);
	return owner ? 07777 : 0777 & ~mask;
}

static int copy(const struct way *w, const struct viofs_cli_args *args, unsigned int jobs)
{
	const char *last = args->paths[args->count - 1];
	char *to = side_path(w, w->to_share, last);
	struct viofs_xfer x;
	bool into;
	int status;

	if (!to)
		return viofs_cli_say("Out of memory.");
	into = is_dir(w, w->to_share, to);
	if (args->count > 2 && !into) {
		free(to);
		return viofs_cli_fail(w->cli, last, -ENOTDIR, NULL);
	}
	status = viofs_xfer_open(&x, w->cli, w->from_share ? &viofs_side_share : &viofs_side_local,
				 w->to_share ? &viofs_side_share : &viofs_side_local, jobs);
	if (!status) {
		x.recursive = args->has['r'];
		x.resume = args->has['c'];
		x.verify = args->has[VIOFS_OPT_VERIFY];
		x.owner = args->has[VIOFS_OPT_OWNER];
		x.mode_mask = mode_mask(x.owner);
		x.verbose = args->has['v'];
		viofs_progress_init(&x.progress, args->has['q']);
		for (int i = 0; i < args->count - 1; i++)
			add(w, &x, args->paths[i], to, into);
		viofs_xfer_run(&x);
		viofs_xfer_close(&x);
	}
	free(to);
	return status;
}

static int run(struct viofs_cli *cli, const struct viofs_cli_args *args, bool from_share,
	       bool to_share)
{
	struct way w = { cli, from_share, to_share };
	struct rlimit files;
	uint64_t jobs = JOBS;

	if (args->has['j'] && viofs_cli_number("--jobs", args->value['j'], 1, 1024, &jobs))
		return VIOFS_EXIT_USAGE;
	if (args->has[VIOFS_OPT_VERIFY] && !viofs_verify_can())
		return viofs_cli_say(
			"--verify: this viofs was built without checksums (libxxhash).");
	/* A descriptor for each file under way, and each directory above it. */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return copy(&w, args, (unsigned int)jobs);
}

int viofs_cli_get(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	return run(cli, args, true, false);
}

int viofs_cli_put(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	return run(cli, args, false, true);
}

int viofs_cli_cp(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	return run(cli, args, true, true);
}

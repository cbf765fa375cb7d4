/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs stat, readlink, df, tree: looking without changing.
 *
 * The program's one thread; each command owns what it allocates until it returns.
 */
#include "cli.h"
#include "readlist.h"
#include "format.h"

#include <errno.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static void print_time(const char *what, const struct timespec *t)
{
	char when[48];

	printf("%-7s %s\n", what, viofs_format_time(t, 1, when));
}

static void print_stat(struct viofs_cli *cli, const char *name, const char *path,
		       const struct stat *st)
{
	char mode[11], target[4096];

	printf("file    ");
	viofs_format_put(name, stdout);
	if (S_ISLNK(st->st_mode) && viofs_path_readlink(cli->session, path, VIOFS_PATH_NO_FOLLOW,
							target, sizeof(target), NULL) >= 0) {
		printf(" -> ");
		viofs_format_put(target, stdout);
	}
	printf("\ntype    %s\nsize    %lld\nblocks  %lld of 512, I/O in %ld\n",
	       viofs_format_type(st->st_mode), (long long)st->st_size, (long long)st->st_blocks,
	       (long)st->st_blksize);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		printf("device  %u, %u\n", major(st->st_rdev), minor(st->st_rdev));
	printf("inode   %llu\nlinks   %llu\nmode    %04o %s\nowner   %u\ngroup   %u\n",
	       (unsigned long long)st->st_ino, (unsigned long long)st->st_nlink,
	       st->st_mode & 07777, viofs_format_mode(st->st_mode, mode), st->st_uid, st->st_gid);
	print_time("access", &st->st_atim);
	print_time("modify", &st->st_mtim);
	print_time("change", &st->st_ctim);
}

int viofs_cli_stat(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	for (int i = 0; i < args->count && !viofs_cli_stopped(); i++) {
		char *path = viofs_cli_path(cli, args->paths[i]);
		struct viofs_err err;
		struct stat st;
		int rc = viofs_path_stat(cli->session, path,
					 args->has['L'] ? 0 : VIOFS_PATH_NO_FOLLOW, &st, &err);

		if (rc)
			viofs_cli_fail(cli, args->paths[i], rc, &err);
		else
			print_stat(cli, args->paths[i], path, &st);
		free(path);
	}
	return 0;
}

int viofs_cli_readlink(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	char target[4096];

	for (int i = 0; i < args->count; i++) {
		char *path = viofs_cli_path(cli, args->paths[i]);
		struct viofs_err err;
		ssize_t rc = viofs_path_readlink(cli->session, path, VIOFS_PATH_NO_FOLLOW, target,
						 sizeof(target), &err);

		if (rc < 0) {
			viofs_cli_fail(cli, args->paths[i], rc, &err);
		} else if (args->has['0']) {
			fwrite(target, 1, (size_t)rc + 1, stdout);
		} else {
			viofs_format_put(target, stdout);
			putchar('\n');
		}
		free(path);
	}
	return 0;
}

static void print_space(const struct viofs_cli_args *args, const char *name,
			const struct statvfs *st)
{
	uint64_t unit = args->has['i'] ? 1 : st->f_frsize, all, free_, mine;
	char text[3][16];

	all = args->has['i'] ? st->f_files : st->f_blocks;
	free_ = args->has['i'] ? st->f_ffree : st->f_bfree;
	mine = args->has['i'] ? st->f_ffree : st->f_bavail;
	if (args->has['h'])
		printf("%10s %10s %10s", viofs_format_size(all * unit, text[0]),
		       viofs_format_size((all - free_) * unit, text[1]),
		       viofs_format_size(mine * unit, text[2]));
	else
		printf("%10llu %10llu %10llu",
		       (unsigned long long)(args->has['i'] ? all : all * unit / 1024),
		       (unsigned long long)(args->has['i'] ? all - free_
							   : (all - free_) * unit / 1024),
		       (unsigned long long)(args->has['i'] ? mine : mine * unit / 1024));
	printf(" %3.0f%% ", all ? 100.0 * (double)(all - free_) / (double)all : 0.0);
	viofs_format_put(name, stdout);
	putchar('\n');
}

int viofs_cli_df(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	const char *unit = args->has['i'] ? "inodes" : args->has['h'] ? "size" : "KiB";

	printf("%10s %10s %10s %4s %s\n", unit, "used", "free", "use", "path");
	for (int i = 0; i < (args->count ? args->count : 1); i++) {
		const char *name = args->count ? args->paths[i] : cli->cwd;
		char *path = viofs_cli_path(cli, name);
		struct viofs_err err;
		struct statvfs st;
		int rc = viofs_path_statfs(cli->session, path, 0, &st, &err);

		if (rc)
			viofs_cli_fail(cli, name, rc, &err);
		else
			print_space(args, name, &st);
		free(path);
	}
	return 0;
}

struct tree {
	struct viofs_cli *cli;
	const struct viofs_cli_args *args;
	bool utf8;
	uint64_t levels, dirs, files;
};

static void draw_entry(struct tree *t, const char *path, const struct viofs_listing_entry *e,
		       const char *prefix, bool last)
{
	char size[16], target[4096];

	printf("%s%s", prefix, t->utf8 ? last ? "└── " : "├── " : last ? "`-- " : "|-- ");
	if (t->args->has['s'] && e->has_stat)
		printf("[%5s]  ", viofs_format_size((uint64_t)e->st.st_size, size));
	viofs_format_put(e->name, stdout);
	if (e->has_stat && S_ISLNK(e->st.st_mode) &&
	    viofs_path_readlink(t->cli->session, path, VIOFS_PATH_NO_FOLLOW, target, sizeof(target),
				NULL) >= 0) {
		printf(" -> ");
		viofs_format_put(target, stdout);
	}
	putchar('\n');
}

static void draw(struct tree *t, const char *path, const char *prefix, uint64_t level);

static void draw_below(struct tree *t, const char *path, const char *prefix, bool last,
		       uint64_t level)
{
	const char *more = t->utf8 ? last ? "    " : "│   " : last ? "    " : "|   ";
	char *deeper;

	if ((t->levels && level >= t->levels) || asprintf(&deeper, "%s%s", prefix, more) < 0)
		return;
	draw(t, path, deeper, level + 1);
	free(deeper);
}

static void draw(struct tree *t, const char *path, const char *prefix, uint64_t level)
{
	struct viofs_listing list;
	struct viofs_err err;
	size_t shown = 0;
	int rc = viofs_listing_read(t->cli->session, path, true, &list, &err);

	/* Drop what is not drawn first, so that the last entry is known. */
	for (size_t i = 0; i < list.count; i++) {
		struct viofs_listing_entry e = list.entries[i];

		if ((!t->args->has['a'] && e.name[0] == '.') ||
		    (t->args->has['d'] && !viofs_listing_is_dir(&e)))
			continue;
		list.entries[i] = list.entries[shown];
		list.entries[shown++] = e;
	}
	for (size_t i = 0; i < shown && !viofs_cli_stopped(); i++) {
		char *below = viofs_format_join(path, list.entries[i].name);

		if (!below)
			break;
		draw_entry(t, below, &list.entries[i], prefix, i + 1 == shown);
		if (viofs_listing_is_dir(&list.entries[i])) {
			t->dirs++;
			draw_below(t, below, prefix, i + 1 == shown, level);
		} else {
			t->files++;
		}
		free(below);
	}
	viofs_listing_free(&list);
	if (rc)
		viofs_cli_fail(t->cli, path, rc, &err);
}

int viofs_cli_tree(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	struct tree t = { .cli = cli,
			  .args = args,
			  .utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8") };

	if (args->has['L'] && viofs_cli_number("--levels", args->value['L'], 1, 4096, &t.levels))
		return VIOFS_EXIT_USAGE;
	for (int i = 0; i < (args->count ? args->count : 1); i++) {
		const char *name = args->count ? args->paths[i] : ".";
		char *path = viofs_cli_path(cli, name);

		viofs_format_put(name, stdout);
		putchar('\n');
		draw(&t, path, "", 1);
		free(path);
	}
	printf("\n%llu directories, %llu files\n", (unsigned long long)t.dirs,
	       (unsigned long long)t.files);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs: files of a virtio-fs share, with no mount.
 *
 * The table of commands is here. One thread; a run's device and session are struct viofs_cli's
 * (cli_run.c).
 */
#include "cli.h"
#include "base/standard.h"
#include "tools_config.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

static const struct viofs_cli_option ls_options[] = {
	{ 'a', "all", NULL, "names that begin with a dot too" },
	{ 'd', "directory", NULL, "directories themselves, not what is in them" },
	{ 'l', "long", NULL, "mode, links, owner, group, size, time" },
	{ 'R', "recursive", NULL, "what is below too" },
	{ 'U', "unsorted", NULL, "in the order of the share: begins at once" },
	{ '0', "null", NULL, "names as they are, each with a zero byte, for programs" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option stat_options[] = {
	{ 'L', "dereference", NULL, "what a symbolic link leads to" },
	{ 0, NULL, NULL, NULL },
};

#define TRANSFER_OPTIONS                                                                           \
	{ 'r', "recursive", NULL, "directories with all that is in them" },                        \
		{ 'c', "resume", NULL, "go on where an earlier run was cut off (see viofs(1))" },  \
		{ VIOFS_OPT_VERIFY, "verify", NULL,                                                \
		  "read back what was written, compare checksums" },                               \
		{ VIOFS_OPT_OWNER, "owner", NULL,                                                  \
		  "owner, group, set-user-ID bits and device nodes too" },                         \
		{ 'j', "jobs", "N", "files under way at once (64)" },                              \
		{ 'q', "quiet", NULL, "no progress on the terminal" },                             \
	{                                                                                          \
		'v', "verbose", NULL, "say each name when it is done"                              \
	}

static const struct viofs_cli_option transfer_options[] = {
	TRANSFER_OPTIONS,
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option mkdir_options[] = {
	{ 'p', "parents", NULL, "what is missing above too; one that is there is no error" },
	{ 'm', "mode", "MODE", "octal permissions (755)" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option rm_options[] = {
	{ 'r', "recursive", NULL, "directories with all that is in them" },
	{ 'f', "force", NULL, "what is not there is no error" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option mv_options[] = {
	{ 'n', "no-clobber", NULL, "an existing name is an error" },
	{ 'x', "exchange", NULL, "let two names change places" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option ln_options[] = {
	{ 's', "symbolic", NULL, "a symbolic link" },
	{ 'f', "force", NULL, "replace an existing name" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option readlink_options[] = {
	{ '0', "null", NULL, "as it is, with a zero byte, for programs" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option tree_options[] = {
	{ 'a', "all", NULL, "names that begin with a dot too" },
	{ 'd', "directories", NULL, "directories only" },
	{ 'L', "levels", "N", "go down N levels" },
	{ 's', "size", NULL, "sizes" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option df_options[] = {
	{ 'h', "human", NULL, "1.5G instead of KiB" },
	{ 'i', "inodes", NULL, "inodes instead of space" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option probe_options[] = {
	{ VIOFS_OPT_JSON, "json", NULL, "for programs" },
	{ VIOFS_OPT_READ_ONLY, "read-only", NULL, "only what changes nothing on the share" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option python_options[] = {
	{ 'c', "command", "COMMAND", "run this in place of asking; may be repeated" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option raw_options[] = {
	{ VIOFS_OPT_FROM, "from", "FILE", "a request that viofsctl capture -w has written" },
	{ VIOFS_OPT_PACKET, "packet", "N", "which packet of FILE, from 1 on" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option none[] = { { 0, NULL, NULL, NULL } };

const struct viofs_cli_command viofs_cli_commands[] = {
	{ "ls", "[PATH]...", "List directories", ls_options, 0, -1, true, viofs_cli_ls },
	{ "stat", "PATH...", "All that is known of a file", stat_options, 1, -1, true,
	  viofs_cli_stat },
	{ "cat", "PATH...", "Print files", none, 1, -1, true, viofs_cli_cat },
	{ "get", "PATH... LOCAL", "Copy from the share; LOCAL is a directory, or a name",
	  transfer_options, 2, -1, true, viofs_cli_get },
	{ "put", "LOCAL... PATH", "Copy to the share; PATH is a directory, or a name",
	  transfer_options, 2, -1, true, viofs_cli_put },
	{ "cp", "PATH... PATH", "Copy within the share", transfer_options, 2, -1, true,
	  viofs_cli_cp },
	{ "mkdir", "PATH...", "Make directories", mkdir_options, 1, -1, true, viofs_cli_mkdir },
	{ "rmdir", "PATH...", "Remove empty directories", none, 1, -1, true, viofs_cli_rmdir },
	{ "rm", "PATH...", "Remove files", rm_options, 1, -1, true, viofs_cli_rm },
	{ "mv", "PATH... PATH", "Rename, or move into a directory", mv_options, 2, -1, true,
	  viofs_cli_mv },
	{ "ln", "PATH PATH", "Another name for a file", ln_options, 2, 2, true, viofs_cli_ln },
	{ "readlink", "PATH...", "Where symbolic links lead to", readlink_options, 1, -1, true,
	  viofs_cli_readlink },
	{ "chmod", "MODE PATH...", "Change permissions (octal)", none, 2, -1, true,
	  viofs_cli_chmod },
	{ "tree", "[PATH]...", "Draw what is below", tree_options, 0, -1, true, viofs_cli_tree },
	{ "df", "[PATH]...", "How much space there is", df_options, 0, -1, true, viofs_cli_df },
	{ "raw", "OPCODE [FIELD=VALUE]...", "Send one FUSE request and print it and its reply",
	  raw_options, 0, -1, true, viofs_cli_raw },
	{ "shell", "", "Commands from the terminal, or from standard input", none, 0, 0, false,
	  viofs_cli_shell },
	{ "probe", "[DIRECTORY]", "Try every opcode: what the device can, and how it differs",
	  probe_options, 0, 1, false, viofs_cli_probe },
	{ "python", "", "Python with the share", python_options, 0, 0, false, NULL },
	{ NULL, NULL, NULL, NULL, 0, 0, false, NULL },
};

const struct viofs_cli_command *viofs_cli_find(const char *name)
{
	for (const struct viofs_cli_command *c = viofs_cli_commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* With the device, and without afterwards. */
static int run_on_device(const struct viofs_cli_command *command, const struct viofs_cli_args *args)
{
	struct viofs_cli cli = { .source = args->paths[-1], .cwd = "/", .command = command->name };
	int status;

	viofs_cli_catch_signals();
	status = viofs_cli_open(&cli, args);
	if (status)
		return status;
	status = command->run(&cli, args);
	viofs_cli_close(&cli);
	if (fflush(stdout) || ferror(stdout))
		cli.status = viofs_cli_say("%s: standard output can't be written", command->name);
	if (viofs_cli_stopped())
		return VIOFS_EXIT_INTERRUPTED;
	return status ? status : cli.status;
}

int main(int argc, char **argv)
{
	const struct viofs_cli_command *command;
	struct viofs_cli_args args;
	int status;

	if (viofs_standard_open())
		return 1;
	setlocale(LC_CTYPE, "");
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		viofs_cli_help(NULL, false);
		return argc < 2 ? VIOFS_EXIT_USAGE : 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return puts("viofs " VIOFS_VERSION) < 0;
	command = viofs_cli_find(argv[1]);
	if (!command) {
		viofs_cli_say("There is no command \"%s\". See viofs --help.", argv[1]);
		return VIOFS_EXIT_USAGE;
	}
	/* Python reads its words itself. */
	if (!command->run && (argc < 3 || strcmp(argv[2], "--help") != 0))
		return viofs_cli_python(argv + 2);
	status = viofs_cli_parse(command, argc - 1, argv + 1, true, &args);
	if (status)
		return status;
	if (args.has[VIOFS_OPT_HELP]) {
		viofs_cli_help(command, false);
		return 0;
	}
	if (!args.count) {
		viofs_cli_say("%s: SOURCE is missing: a tag, a PCI address, or vhost-user:PATH. "
			      "See viofs %s --help.",
			      command->name, command->name);
		return VIOFS_EXIT_USAGE;
	}
	args.count--;
	args.paths++;
	status = viofs_cli_check_count(command, &args);
	return status ? status : run_on_device(command, &args);
}

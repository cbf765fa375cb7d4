/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What viofs's commands are made of: a table, parsed options, a session, messages. */
#ifndef VIOFS_TOOLS_CLI_H
#define VIOFS_TOOLS_CLI_H

#include <viofs/viofs.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIOFS_EXIT_USAGE 2
#define VIOFS_EXIT_INTERRUPTED 130

/** struct viofs_cli - one run of the program, or of the shell */
struct viofs_cli {
	const char *source;
	struct viofs_dev *dev;
	struct viofs_session *session;
	const char *cwd;     /* on the share, begins with a slash; "/" outside the shell */
	const char *command; /* for messages */
	int status;          /* 0, or 1 as soon as something went wrong */
	bool shell;
};

/** struct viofs_cli_option - a row of a command's table; the last has no name */
struct viofs_cli_option {
	int letter; /* below 32: it has a long name only */
	const char *name;
	const char *value; /* how its argument is called, NULL: it has none */
	const char *help;
};

/** struct viofs_cli_args - what was given */
struct viofs_cli_args {
	bool has[128]; /* by letter */
	const char *value[128];
	int count;
	char **paths; /* and whatever else is no option; SOURCE is not among them */
};

/** struct viofs_cli_command - a row of the table of commands */
struct viofs_cli_command {
	const char *name;
	const char *usage; /* what follows SOURCE */
	const char *about;
	const struct viofs_cli_option *options;
	int min, max; /* paths; max < 0: any number */
	bool in_shell;
	int (*run)(struct viofs_cli *cli, const struct viofs_cli_args *args); /* NULL: another
										 program */
};

/* Letters of options that have a long name only. */
enum viofs_cli_letter {
	VIOFS_OPT_VERIFY = 1,
	VIOFS_OPT_OWNER,
	VIOFS_OPT_JSON,
	VIOFS_OPT_READ_ONLY,
	VIOFS_OPT_NO_BIND,
	VIOFS_OPT_NOIOMMU,
	VIOFS_OPT_SMALL_PAGES,
	VIOFS_OPT_TIMEOUT,
	VIOFS_OPT_HELP,
	VIOFS_OPT_FROM,
	VIOFS_OPT_PACKET,
};

extern const struct viofs_cli_command viofs_cli_commands[];

/** viofs_cli_find() - a command by name, or NULL. */
const struct viofs_cli_command *viofs_cli_find(const char *name);

/**
 * viofs_cli_parse() - options and paths of @command
 * @argv: argv[0] is the command. @device_options: those of opening a device go too. Paths are moved
 * to the end of @argv. Return: 0; VIOFS_EXIT_USAGE: that was said. --help is has[VIOFS_OPT_HELP],
 * and nothing else is checked.
 */
int viofs_cli_parse(const struct viofs_cli_command *command, int argc, char **argv,
		    bool device_options, struct viofs_cli_args *args);

/** viofs_cli_check_count() - Return: 0; VIOFS_EXIT_USAGE: too many or too few, that was said. */
int viofs_cli_check_count(const struct viofs_cli_command *command,
			  const struct viofs_cli_args *args);

/** viofs_cli_help() - of one command; NULL: of the program. */
void viofs_cli_help(const struct viofs_cli_command *command, bool shell);

/** viofs_cli_open() - device and session. Return: 0; 1: it was said why not. */
int viofs_cli_open(struct viofs_cli *cli, const struct viofs_cli_args *args);

/** viofs_cli_close() - back to where it was. Sets cli->status where that failed. */
void viofs_cli_close(struct viofs_cli *cli);

/** viofs_cli_python() - become Python, with @words. Return: 1: it was said why not. */
int viofs_cli_python(char **words);

/** viofs_cli_session_close() - the session only. Return: milliseconds that it took. */
int64_t viofs_cli_session_close(struct viofs_cli *cli);

/** viofs_cli_say() - "viofs: TEXT" to standard error. Return: 1. */
int viofs_cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * viofs_cli_fail() - what went wrong with @path, and the run's status is 1
 * @rc: negative errno. @err: NULL, or the library's words.
 * Return: 1.
 */
int viofs_cli_fail(struct viofs_cli *cli, const char *path, int64_t rc,
		   const struct viofs_err *err);

/** viofs_cli_path() - an argument as a path from the share's root, to be freed. Exits where memory
 * is gone. */
char *viofs_cli_path(const struct viofs_cli *cli, const char *argument);

/** viofs_cli_number() - a number of an option, in [min, max]. Return: 0; VIOFS_EXIT_USAGE: said. */
int viofs_cli_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out);

/** viofs_cli_catch_signals() - SIGINT, SIGTERM and SIGHUP once: viofs_cli_stopped() says so; then
 * as ever. */
void viofs_cli_catch_signals(void);
bool viofs_cli_stopped(void);
/** viofs_cli_go_on() - the shell has seen it. */
void viofs_cli_go_on(void);

/* Each is a row of the table. */
int viofs_cli_ls(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_stat(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_cat(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_get(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_put(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_cp(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_mkdir(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_rmdir(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_rm(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_mv(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_ln(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_readlink(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_chmod(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_tree(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_df(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_raw(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_shell(struct viofs_cli *cli, const struct viofs_cli_args *args);
int viofs_cli_probe(struct viofs_cli *cli, const struct viofs_cli_args *args);

#endif

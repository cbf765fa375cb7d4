/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofs shell, and raw: commands one after the other on one session.
 *
 * The program's one thread; device and session are the shell's, and outlive its commands.
 */
#include "cli.h"
#include "raw.h"
#include "format.h"
#include "pcapng_read.h"
#include "words.h"
#include "tools_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if VIOFS_HAVE_LIBEDIT
#include <editline/readline.h>
#endif

#define NAME "viofs"

struct shell {
	struct viofs_cli *cli;
	char *cwd;
	bool terminal, done;
	int status; /* of any command that went wrong */
};

/* Send what was built, and close. Return: the exit status. */
static int send_raw(struct viofs_cli *cli, struct viofs_raw *r, const char *name)
{
	int rc;

	viofs_raw_print_request(r, stdout);
	rc = viofs_raw_send(r, 0);
	if (rc)
		viofs_cli_fail(cli, name, rc, NULL);
	else
		viofs_raw_print_reply(r, stdout);
	if (r->done.error)
		cli->status = 1;
	viofs_raw_close(r);
	return 0;
}

static int load(struct viofs_raw *r, const struct viofs_pcapng_found *found)
{
	if (found->packet.kind != VIOFS_PACKET_REQUEST)
		return viofs_cli_say("raw: that packet is no request.");
	if (found->captured != found->packet.len)
		return viofs_cli_say("raw: %u of its %u bytes were captured; viofsctl capture "
				     "--data keeps all.",
				     found->captured, found->packet.len);
	return viofs_raw_load(r, found->message, found->captured)
		       ? viofs_cli_say("raw: %s.", r->said)
		       : 0;
}

/* A captured request once more. What it names, nodes and open files, is of its own session. */
static int send_captured(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	struct viofs_pcapng_found found = { .message = NULL };
	const char *wrong;
	struct viofs_raw r;
	struct viofs_err err;
	uint64_t number;
	int status;

	if (!args->has[VIOFS_OPT_FROM] || !args->has[VIOFS_OPT_PACKET] || args->count) {
		viofs_cli_say("raw: --from FILE --packet N, or OPCODE [FIELD=VALUE]...");
		return VIOFS_EXIT_USAGE;
	}
	if (viofs_cli_number("--packet", args->value[VIOFS_OPT_PACKET], 1, UINT32_MAX, &number))
		return VIOFS_EXIT_USAGE;
	wrong = viofs_pcapng_find(args->value[VIOFS_OPT_FROM], number, &found);
	if (wrong)
		return viofs_cli_say("raw: %s: %s.", args->value[VIOFS_OPT_FROM], wrong);
	if (viofs_raw_open(&r, cli->session, &err)) {
		free(found.message);
		return viofs_cli_say("raw: %s", err.text);
	}
	status = load(&r, &found);
	free(found.message);
	if (!status)
		return send_raw(cli, &r, args->value[VIOFS_OPT_FROM]);
	viofs_raw_close(&r);
	return status;
}

int viofs_cli_raw(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	const struct viofs_raw_op *op;
	struct viofs_raw r;
	struct viofs_err err;
	int rc;

	if (args->has[VIOFS_OPT_FROM] || args->has[VIOFS_OPT_PACKET])
		return send_captured(cli, args);
	if (!args->count) {
		viofs_raw_print_help(NULL, stdout);
		return 0;
	}
	op = viofs_raw_find(args->paths[0]);
	if (!op) {
		viofs_cli_say("raw: There is no opcode \"%s\". raw alone lists them.",
			      args->paths[0]);
		return VIOFS_EXIT_USAGE;
	}
	if (viofs_raw_open(&r, cli->session, &err))
		return viofs_cli_say("raw: %s", err.text);
	rc = viofs_raw_build(&r, op, args->paths + 1, args->count - 1);
	if (rc) {
		viofs_cli_say("raw: %s.", r.said);
		viofs_raw_print_help(op, stderr);
		viofs_raw_close(&r);
		return VIOFS_EXIT_USAGE;
	}
	return send_raw(cli, &r, args->paths[0]);
}

/* "/a/b/../c" is "/a/c": as people mean it, whatever links there are. */
static char *tidy(char *path)
{
	char *out = calloc(1, strlen(path) + 2), *end = out, *save, *part;

	if (!out)
		return NULL;
	*end++ = '/';
	for (part = strtok_r(path, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		if (!strcmp(part, "..")) {
			while (end > out + 1 && *--end != '/')
				;
		} else if (strcmp(part, ".") != 0) {
			if (end > out + 1)
				*end++ = '/';
			end = mempcpy(end, part, strlen(part));
		}
	}
	*end = '\0';
	return out;
}

static int change_dir(struct shell *sh, const char *argument)
{
	char *joined = viofs_cli_path(sh->cli, argument), *path = tidy(joined);
	struct viofs_err err;
	struct stat st;
	int rc = path ? viofs_path_stat(sh->cli->session, path, 0, &st, &err) : -ENOMEM;

	free(joined);
	if (!rc && !S_ISDIR(st.st_mode))
		rc = -ENOTDIR;
	if (rc) {
		free(path);
		return viofs_cli_fail(sh->cli, argument, rc, &err);
	}
	free(sh->cwd);
	sh->cwd = path;
	sh->cli->cwd = path;
	return 0;
}

static void help(void)
{
	for (const struct viofs_cli_command *c = viofs_cli_commands; c->name; c++)
		if (c->in_shell)
			printf("  %-9s %-24s %s\n", c->name, c->usage, c->about);
	puts("  cd        [PATH]                   Go there\n"
	     "  pwd                                Where that is\n"
	     "  lcd       LOCAL                    Go there on this machine\n"
	     "  drop                               Forget names and attributes: ask the device "
	     "again\n"
	     "  exit                               The end\n"
	     "COMMAND --help lists options. Names may be quoted: 'a b', \"a b\", a\\ b, and "
	     "$'a\\nb\\377'.");
}

/* What only the shell has. Return: false: it is none of these. */
static bool builtin(struct shell *sh, int count, char **words, int *status)
{
	*status = 0;
	if (!strcmp(words[0], "exit") || !strcmp(words[0], "quit"))
		sh->done = true;
	else if (!strcmp(words[0], "help"))
		help();
	else if (!strcmp(words[0], "cd"))
		*status = change_dir(sh, count > 1 ? words[1] : "/");
	else if (!strcmp(words[0], "pwd"))
		viofs_format_put(sh->cwd, stdout), putchar('\n');
	else if (!strcmp(words[0], "drop"))
		viofs_session_drop(sh->cli->session);
	else if (!strcmp(words[0], "lcd"))
		*status = count < 2 || chdir(words[1])
				  ? viofs_cli_say("lcd: %s",
						  count < 2 ? "a path is missing" : strerror(errno))
				  : 0;
	else
		return false;
	return true;
}

static int run_words(struct shell *sh, int count, char **words)
{
	const struct viofs_cli_command *command;
	struct viofs_cli_args args;
	int status;

	sh->cli->command = words[0];
	if (builtin(sh, count, words, &status))
		return status;
	command = viofs_cli_find(words[0]);
	if (!command || !command->in_shell) {
		viofs_cli_say("There is no command \"%s\" here; help lists them.", words[0]);
		return VIOFS_EXIT_USAGE;
	}
	status = viofs_cli_parse(command, count, words, false, &args);
	if (!status && args.has[VIOFS_OPT_HELP]) {
		viofs_cli_help(command, true);
		return 0;
	}
	if (!status)
		status = viofs_cli_check_count(command, &args);
	return status ? status : command->run(sh->cli, &args);
}

static void run_line(struct shell *sh, const char *line)
{
	struct viofs_words w;
	int status = 0;

	if (viofs_words_split(line, &w))
		status = viofs_cli_say("%s", w.said);
	else if (w.count)
		status = run_words(sh, w.count, w.words);
	viofs_words_free(&w);
	fflush(stdout);
	if (status || sh->cli->status)
		sh->status = 1;
	sh->cli->status = 0;
	if (sh->terminal)
		viofs_cli_go_on();
	if (viofs_dev_failed(sh->cli->dev))
		sh->done = true;
}

#if VIOFS_HAVE_LIBEDIT
static char *ask(struct shell *sh)
{
	char *prompt, *line;

	if (asprintf(&prompt, NAME ":%s> ", sh->cwd) < 0)
		return NULL;
	line = readline(prompt);
	free(prompt);
	if (line && *line)
		add_history(line);
	return line;
}
#endif

static char *next_line(struct shell *sh)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

#if VIOFS_HAVE_LIBEDIT
	if (sh->terminal)
		return ask(sh);
#endif
	if (sh->terminal) {
		printf(NAME ":%s> ", sh->cwd);
		fflush(stdout);
	}
	len = getline(&line, &room, stdin);
	if (len < 0) {
		free(line);
		return NULL;
	}
	if (len && line[len - 1] == '\n')
		line[len - 1] = '\0';
	return line;
}

int viofs_cli_shell(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	struct shell sh = { .cli = cli, .cwd = strdup("/"), .terminal = isatty(STDIN_FILENO) };
	char *line;

	if (!sh.cwd)
		return viofs_cli_say("Out of memory.");
	cli->cwd = sh.cwd;
	cli->shell = true;
	while (!sh.done && !viofs_cli_stopped()) {
		line = next_line(&sh);
		/* Ctrl-C at the prompt is for another prompt; the end of the input is the end. */
		if (!line && sh.terminal && viofs_cli_stopped()) {
			viofs_cli_go_on();
			putchar('\n');
			continue;
		}
		if (!line)
			break;
		run_line(&sh, line);
		free(line);
	}
	if (sh.terminal && !sh.done)
		putchar('\n');
	cli->cwd = "/";
	free(sh.cwd);
	/* On a terminal everybody saw it. */
	return sh.terminal ? 0 : sh.status;
}

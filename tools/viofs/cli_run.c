/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device and session of a run, its messages and signals.
 *
 * One thread, and a handler that notes a signal: commands look at that between their steps. The run
 * owns device and session, and closes both whatever has happened.
 */
#include "cli.h"
#include "format.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Buffers of transfers come from here too: 16 of 1 MiB, 64 of 64 KiB, and what sessions take. */
#define DMA_SIZE (48U << 20)
/* Without an answer for so long a device counts as lost, so that it can be given back. */
#define TIMEOUT_MS 120000

/* timeout(1) signals a program and then its group: what comes so soon after is the same wish. */
#define SAME_WISH_NS 500000000LL

static volatile sig_atomic_t stopped;
static int64_t stopped_at;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void on_signal(int number)
{
	if (!stopped) {
		stopped_at = now_ns();
		stopped = number;
	} else if (now_ns() - stopped_at > SAME_WISH_NS) {
		signal(number, SIG_DFL);
		raise(number);
	}
}

/* Signals that the starter ignores stay ignored: by nohup(1), or a script's `&`. */
static void catch_unless_ignored(int number)
{
	/* A second one ends the program as it always does. */
	struct sigaction action = { .sa_handler = on_signal }, before;

	if (!sigaction(number, NULL, &before) && before.sa_handler != SIG_IGN)
		sigaction(number, &action, NULL);
}

void viofs_cli_catch_signals(void)
{
	catch_unless_ignored(SIGINT);
	catch_unless_ignored(SIGTERM);
	catch_unless_ignored(SIGHUP);
	/* A write that fails says so, and the device is given back. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

bool viofs_cli_stopped(void)
{
	return stopped != 0;
}

void viofs_cli_go_on(void)
{
	if (stopped != SIGINT)
		return;
	stopped = 0;
	viofs_cli_catch_signals();
}

int viofs_cli_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	viofs_format_line(stderr, "viofs: ", fmt, ap);
	va_end(ap);
	return 1;
}

int viofs_cli_fail(struct viofs_cli *cli, const char *path, int64_t rc, const struct viofs_err *err)
{
	char name[VIOFS_FORMAT_NAME_MAX];
	const char *lost = cli->dev ? viofs_dev_failed(cli->dev) : NULL;

	cli->status = 1;
	viofs_format_name(path, name, sizeof(name));
	if (lost)
		return viofs_cli_say("%s: %s: %s (the device is lost: %s)", cli->command, name,
				     strerror((int)-rc), lost);
	if (rc == -EIO && err && err->text[0])
		return viofs_cli_say("%s: %s: %s", cli->command, name, err->text);
	return viofs_cli_say("%s: %s: %s", cli->command, name, strerror((int)-rc));
}

char *viofs_cli_path(const struct viofs_cli *cli, const char *argument)
{
	char *path = argument[0] == '/' ? strdup(argument) : viofs_format_join(cli->cwd, argument);

	if (!path) {
		viofs_cli_say("Out of memory.");
		exit(1);
	}
	return path;
}

int viofs_cli_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value < min || value > max) {
		viofs_cli_say("%s is a number from %llu to %llu, not \"%s\".", what,
			      (unsigned long long)min, (unsigned long long)max, text);
		return VIOFS_EXIT_USAGE;
	}
	*out = value;
	return 0;
}

int viofs_cli_open(struct viofs_cli *cli, const struct viofs_cli_args *args)
{
	struct viofs_dev_options options;
	struct viofs_err err;
	uint64_t seconds;

	viofs_dev_options_init(&options, sizeof(options));
	options.dma_size = DMA_SIZE;
	options.timeout_ms = TIMEOUT_MS;
	options.flags = args->has[VIOFS_OPT_NO_BIND] ? 0 : VIOFS_DEV_BIND;
	if (args->has[VIOFS_OPT_NOIOMMU])
		options.flags |= VIOFS_DEV_UNSAFE_NOIOMMU;
	if (args->has[VIOFS_OPT_SMALL_PAGES])
		options.flags |= VIOFS_DEV_SMALL_PAGES;
	if (args->has[VIOFS_OPT_TIMEOUT]) {
		if (viofs_cli_number("--timeout", args->value[VIOFS_OPT_TIMEOUT], 0, 86400,
				     &seconds))
			return VIOFS_EXIT_USAGE;
		options.timeout_ms = (uint32_t)seconds * 1000;
	}
	/* Name the switch in place of the library's field. */
	if (viofs_dev_open(cli->source, &options, &cli->dev, &err))
		return viofs_cli_say("%.*s%s", (int)err.fact, err.text,
				     err.remedy == VIOFS_REMEDY_ALLOW_NOIOMMU
					     ? " If you trust it, say --unsafe-noiommu."
					     : "");
	if (viofs_session_open(cli->dev, NULL, &cli->session, &err)) {
		viofs_cli_say("%s", err.text);
		viofs_cli_close(cli);
		return 1;
	}
	return 0;
}

int64_t viofs_cli_session_close(struct viofs_cli *cli)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	viofs_session_close(cli->session);
	cli->session = NULL;
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
}

void viofs_cli_close(struct viofs_cli *cli)
{
	struct viofs_err err;

	viofs_session_close(cli->session);
	cli->session = NULL;
	if (cli->dev && viofs_dev_close(cli->dev, &err))
		cli->status = viofs_cli_say("%s", err.text);
	cli->dev = NULL;
}

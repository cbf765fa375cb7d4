/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options of the commands: read and explained by the tables.
 *
 * The program's one thread; what is parsed points into argv.
 */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS_MAX 32

static const struct viofs_cli_option device_rows[] = {
	{ VIOFS_OPT_NO_BIND, "no-bind", NULL,
	  "refuse a device that another driver has, instead of taking it for a while" },
	{ VIOFS_OPT_TIMEOUT, "timeout", "SECONDS",
	  "a device that does not answer for so long is given up (120; 0 = never)" },
	{ VIOFS_OPT_SMALL_PAGES, "small-pages", NULL, "use no hugepages" },
	{ VIOFS_OPT_NOIOMMU, "unsafe-noiommu", NULL,
	  "with no IOMMU: the device can reach all memory of the machine" },
	{ 0, NULL, NULL, NULL },
};

static const struct viofs_cli_option help_row[] = {
	{ VIOFS_OPT_HELP, "help", NULL, "this text" },
	{ 0, NULL, NULL, NULL },
};

/* What getopt_long(3) wants of the rows. */
struct forms {
	struct option longs[OPTIONS_MAX];
	char shorts[2 * OPTIONS_MAX + 2];
	unsigned int count;
};

static void add_rows(struct forms *f, const struct viofs_cli_option *rows)
{
	for (; rows && rows->name && f->count < OPTIONS_MAX - 1; rows++) {
		char *end = f->shorts + strlen(f->shorts);

		f->longs[f->count++] =
			(struct option){ rows->name, rows->value ? required_argument : no_argument,
					 NULL, rows->letter };
		if (rows->letter < 32)
			continue;
		*end++ = (char)rows->letter;
		if (rows->value)
			*end = ':';
	}
}

int viofs_cli_parse(const struct viofs_cli_command *command, int argc, char **argv,
		    bool device_options, struct viofs_cli_args *args)
{
	struct forms f = { .count = 0 };
	int letter;

	memset(args, 0, sizeof(*args));
	f.shorts[0] = ':';
	add_rows(&f, command->options);
	add_rows(&f, help_row);
	if (device_options)
		add_rows(&f, device_rows);
	optind = 0;
	while ((letter = getopt_long(argc, argv, f.shorts, f.longs, NULL)) != -1) {
		if (letter == '?' || letter == ':') {
			viofs_cli_say("%s: %s \"%s\". See viofs %s --help.", command->name,
				      letter == ':' ? "an argument is missing after"
						    : "there is no option",
				      argv[optind - 1], command->name);
			return VIOFS_EXIT_USAGE;
		}
		args->has[letter] = true;
		args->value[letter] = optarg;
	}
	args->count = argc - optind;
	args->paths = argv + optind;
	return 0;
}

int viofs_cli_check_count(const struct viofs_cli_command *command,
			  const struct viofs_cli_args *args)
{
	if (args->count >= command->min && (command->max < 0 || args->count <= command->max))
		return 0;
	viofs_cli_say("%s: %s. See viofs %s --help.", command->name,
		      args->count < command->min ? "a path is missing" : "too many arguments",
		      command->name);
	return VIOFS_EXIT_USAGE;
}

static void print_rows(const struct viofs_cli_option *rows)
{
	for (; rows && rows->name; rows++) {
		char letter[8] = "   ", text[64];

		if (rows->letter >= 32)
			snprintf(letter, sizeof(letter), "-%c,", rows->letter);
		snprintf(text, sizeof(text), "%s --%s%s%s", letter, rows->name,
			 rows->value ? "=" : "", rows->value ? rows->value : "");
		printf("  %-26s %s\n", text, rows->help);
	}
}

static void help_of_all(void)
{
	puts("Usage: viofs COMMAND [OPTION]... SOURCE [ARGUMENT]...\n"
	     "Works on a virtio-fs share with no mount: the device is taken for a while, and given "
	     "back.\n");
	for (const struct viofs_cli_command *c = viofs_cli_commands; c->name; c++)
		printf("  %-9s %s\n", c->name, c->about);
	puts("\nSOURCE is a tag, tag:NAME, a PCI address such as 0000:00:04.0, or vhost-user:PATH, "
	     "a back end's\n"
	     "socket. Paths are those of the share, from its root. viofs COMMAND --help lists "
	     "options.");
}

void viofs_cli_help(const struct viofs_cli_command *command, bool shell)
{
	if (!command) {
		help_of_all();
		return;
	}
	printf("Usage: %s%s [OPTION]...%s%s%s\n%s.\n\n", shell ? "" : "viofs ", command->name,
	       shell ? "" : " SOURCE", command->usage[0] ? " " : "", command->usage,
	       command->about);
	print_rows(command->options);
	print_rows(help_row);
	if (!shell)
		print_rows(device_rows);
}

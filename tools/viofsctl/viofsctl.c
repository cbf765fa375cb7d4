/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl: look at virtio-fs devices, bind them for VFIO and back, ask running daemons. */
#include "ctl.h"
#include "base/standard.h"
#include "base/util.h"
#include "viofs_config.h"

#include <stdio.h>
#include <string.h>

#define EXIT_USAGE 2

static const char usage[] =
	"Usage: viofsctl COMMAND [--json]\n"
	"\n"
	"  list                  virtio-fs devices: address, tag, driver, IOMMU group, mounted "
	"where\n"
	"  show SOURCE           one device: capabilities, features, queues, IOMMU mode\n"
	"  bind SOURCE           give it to vfio-pci, and remember its driver\n"
	"  unbind SOURCE         give it back to the driver it had\n"
	"  status [WHERE]        what running daemons are doing; --latency: how long requests "
	"take,\n"
	"                        --since: those since the last look with that\n"
	"  metrics [WHERE]       what they count, for Prometheus; --openmetrics: in that format\n"
	"  sync MOUNTPOINT       wait until the device has all that programs have written\n"
	"  umount MOUNTPOINT     unmount, and return when the device is back\n"
	"  abort MOUNTPOINT      end one at once: whoever uses the mount gets errors\n"
	"\n"
	"WHERE is a mount point, a place in a mount, or its SOURCE.\n"
	"SOURCE is a tag, tag:NAME, or a PCI address such as 0000:00:04.0; show also takes the "
	"socket of a\n"
	"back end, vhost-user:PATH. --json prints the same for programs (list, show, status).\n";

static int run_list(const char *argument, bool json)
{
	return viofs_ctl_list(json);
}

static int run_bind(const char *argument, bool json)
{
	return viofs_ctl_bind(argument);
}

static int run_unbind(const char *argument, bool json)
{
	return viofs_ctl_unbind(argument);
}

static int run_abort(const char *argument, bool json)
{
	return viofs_ctl_abort(argument);
}

static int run_umount(const char *argument, bool json)
{
	return viofs_ctl_umount(argument);
}

static int run_sync(const char *argument, bool json)
{
	return viofs_ctl_sync(argument);
}

/* Of status. */
static bool latency, since;
/* Of metrics. */
static bool openmetrics;

static int run_status(const char *argument, bool json)
{
	return latency ? viofs_ctl_latency(argument, json, since)
		       : viofs_ctl_status(argument, json);
}

static int run_metrics(const char *argument, bool json)
{
	return viofs_ctl_metrics(argument, openmetrics);
}

static const struct command {
	const char *name;
	int min, max; /* arguments */
	bool json;    /* knows --json */
	int (*run)(const char *argument, bool json);
} commands[] = {
	{ "list", 0, 0, true, run_list },        { "show", 1, 1, true, viofs_ctl_show },
	{ "bind", 1, 1, false, run_bind },       { "unbind", 1, 1, false, run_unbind },
	{ "status", 0, 1, true, run_status },    { "sync", 1, 1, false, run_sync },
	{ "metrics", 0, 1, false, run_metrics }, { "abort", 1, 1, false, run_abort },
	{ "umount", 1, 1, false, run_umount },
};

static int misuse(const char *what, const char *word)
{
	viofs_ctl_complain("%s%s%s%s. See viofsctl --help.", what, word ? " \"" : "",
			   word ? word : "", word ? "\"" : "");
	return EXIT_USAGE;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const char *words[2] = { NULL, NULL }; /* command, argument */
	const struct command *c;
	bool json = false;
	int count = 0;

	if (viofs_standard_open())
		return 1;
	if (!strncmp(basename(argv[0]), "umount.", strlen("umount.")))
		return viofs_ctl_umount_helper(argc, argv);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return fputs(usage, stdout) < 0;
		if (!strcmp(argv[i], "--version") || !strcmp(argv[i], "-V"))
			return puts("viofsctl " VIOFS_VERSION) < 0;
		if (!strcmp(argv[i], "--json"))
			json = true;
		else if (!strcmp(argv[i], "--latency"))
			latency = true;
		else if (!strcmp(argv[i], "--since"))
			since = true;
		else if (!strcmp(argv[i], "--openmetrics"))
			openmetrics = true;
		else if (argv[i][0] == '-')
			return misuse("There is no option", argv[i]);
		else if (count++ < 2)
			words[count - 1] = argv[i];
	}
	if (!count)
		return misuse("A command is missing", NULL);
	c = find_command(words[0]);
	if (!c)
		return misuse("There is no command", words[0]);
	if (count - 1 < c->min)
		return misuse("An argument is missing after", c->name);
	if (count - 1 > c->max)
		return misuse("Too many arguments for", c->name);
	if (json && !c->json)
		return misuse("--json does not go with", c->name);
	if ((latency || since) && c->run != run_status)
		return misuse("--latency and --since don't go with", c->name);
	if (openmetrics && c->run != run_metrics)
		return misuse("--openmetrics does not go with", c->name);
	if (since && !latency)
		return misuse("--since lacks --latency", NULL);
	return c->run(words[1], json);
}

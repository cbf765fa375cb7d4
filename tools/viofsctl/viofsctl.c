/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl: look at virtio-fs devices, bind them for VFIO and back, ask running daemons. */
#include "ctl.h"
#include "ctl_capture.h"
#include "base/standard.h"
#include "base/util.h"
#include "daemon/status.h"
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
	"  top [WHERE]           the same again and again: rates and times; --sort KEY, "
	"--interval S,\n"
	"                        --batch, -n N: for logs\n"
	"  metrics [WHERE]       what they count, for Prometheus; --openmetrics: in that format;\n"
	"                        --output FILE: into it, whole; --http: to a client, on standard "
	"input\n"
	"  log-level MOUNTPOINT [LEVEL]\n"
	"                        which messages its daemon logs: up to error, warning, info or "
	"debug\n"
	"  capture WHERE         what passes: requests, replies, kicks; viofsctl capture --help\n"
	"  sync MOUNTPOINT       wait until the device has all that programs have written\n"
	"  umount MOUNTPOINT     unmount, and return when the device is back\n"
	"  abort MOUNTPOINT      end one at once: whoever uses the mount gets errors\n"
	"\n"
	"WHERE is a mount point, a place in a mount, or its SOURCE.\n"
	"SOURCE is a tag, tag:NAME, or a PCI address such as 0000:00:04.0; show also takes the "
	"socket of a\n"
	"back end, vhost-user:PATH. --json prints the same for programs; of what only does "
	"something, whether\n"
	"it was done.\n";

static int run_list(const struct viofs_ctl_line *l)
{
	return viofs_ctl_list(l->json);
}

static int run_show(const struct viofs_ctl_line *l)
{
	return viofs_ctl_show(l->words[0], l->json);
}

static int run_bind(const struct viofs_ctl_line *l)
{
	return viofs_ctl_bind(l->words[0]);
}

static int run_unbind(const struct viofs_ctl_line *l)
{
	return viofs_ctl_unbind(l->words[0]);
}

static int run_abort(const struct viofs_ctl_line *l)
{
	return viofs_ctl_abort(l->words[0]);
}

static int run_umount(const struct viofs_ctl_line *l)
{
	return viofs_ctl_umount(l->words[0]);
}

static int run_sync(const struct viofs_ctl_line *l)
{
	return viofs_ctl_sync(l->words[0]);
}

static int run_status(const struct viofs_ctl_line *l)
{
	return l->latency ? viofs_ctl_latency(l->words[0], l->json, l->since)
			  : viofs_ctl_status(l->words[0], l->json);
}

static int run_metrics(const struct viofs_ctl_line *l)
{
	if (l->http)
		return viofs_ctl_metrics_http(l->words[0]);
	return l->output ? viofs_ctl_metrics_into(l->output, l->words[0], l->openmetrics)
			 : viofs_ctl_metrics(l->words[0], l->openmetrics, l->json);
}

static int run_top(const struct viofs_ctl_line *l)
{
	return viofs_ctl_top(l);
}

static int run_log_level(const struct viofs_ctl_line *l)
{
	return viofs_ctl_log_level(l->words[0], l->words[1], l->json);
}

/** enum ctl_json - what --json does */
enum ctl_json {
	PRINTS,  /* the command prints JSON */
	OUTCOME, /* whether it was done is printed */
};

static const struct command {
	const char *name;
	int min, max; /* arguments */
	enum ctl_json json;
	int (*run)(const struct viofs_ctl_line *l);
} commands[] = {
	{ "list", 0, 0, PRINTS, run_list },       { "show", 1, 1, PRINTS, run_show },
	{ "bind", 1, 1, OUTCOME, run_bind },      { "unbind", 1, 1, OUTCOME, run_unbind },
	{ "status", 0, 1, PRINTS, run_status },   { "sync", 1, 1, OUTCOME, run_sync },
	{ "metrics", 0, 1, PRINTS, run_metrics }, { "log-level", 1, 2, PRINTS, run_log_level },
	{ "abort", 1, 1, OUTCOME, run_abort },    { "umount", 1, 1, OUTCOME, run_umount },
	{ "top", 0, 1, PRINTS, run_top },
};

#define PLACE(member) offsetof(struct viofs_ctl_line, member)

/* All options but --json, which each command treats in its own way. */
static const struct option {
	const char *name;
	int (*of)(const struct viofs_ctl_line *l); /* the command */
	size_t place;                              /* where its bool is, or its value */
	bool has_value;
} options[] = {
	{ "--latency", run_status, PLACE(latency), false },
	{ "--since", run_status, PLACE(since), false },
	{ "--openmetrics", run_metrics, PLACE(openmetrics), false },
	{ "--output", run_metrics, PLACE(output), true },
	{ "--http", run_metrics, PLACE(http), false },
	{ "--batch", run_top, PLACE(batch), false },
	{ "-n", run_top, PLACE(frames), true },
	{ "--interval", run_top, PLACE(interval), true },
	{ "--sort", run_top, PLACE(sort), true },
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

/* @value: what stands behind it. Return: how many words it takes; 0: there is no such option. */
static int parse_option(const char *word, const char *value, struct viofs_ctl_line *l,
			const struct option **seen)
{
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(options); i++) {
		char *place = (char *)l + options[i].place;

		if (strcmp(options[i].name, word) || (options[i].has_value && !value))
			continue;
		seen[i] = &options[i];
		if (options[i].has_value)
			memcpy(place, &value, sizeof(value));
		else
			*(bool *)place = true;
		return 1 + options[i].has_value;
	}
	l->json |= !strcmp(word, "--json");
	return !strcmp(word, "--json");
}

/* What was done, for programs, where the command itself has nothing to print. */
static int print_outcome(const struct command *c, const struct viofs_ctl_line *l, int status)
{
	json_t *o = json_pack("{s:s, s:o, s:b}", "command", c->name, "argument",
			      viofs_status_text(l->words[0]), "done", !status);
	const char *why = viofs_ctl_complaint();

	if (o && status && why)
		json_object_set_new(o, "error", json_string(why));
	return viofs_ctl_print_json(o) || status;
}

static int run(const struct command *c, const struct viofs_ctl_line *l,
	       const struct option *const *seen)
{
	int status;

	if (l->json && l->output)
		return misuse("--json does not go with", "--output");
	if (l->json && l->openmetrics)
		return misuse("--json does not go with", "--openmetrics");
	if (l->http && (l->json || l->output || l->openmetrics))
		return misuse("--http goes with no other option of metrics", NULL);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(options); i++)
		if (seen[i] && seen[i]->of != c->run) {
			viofs_ctl_complain("%s does not go with \"%s\". See viofsctl --help.",
					   seen[i]->name, c->name);
			return EXIT_USAGE;
		}
	if (l->since && !l->latency)
		return misuse("--since lacks --latency", NULL);
	status = c->run(l);
	return l->json && c->json == OUTCOME ? print_outcome(c, l, status) : status;
}

int main(int argc, char **argv)
{
	const struct option *seen[VIOFS_ARRAY_SIZE(options)] = { NULL };
	struct viofs_ctl_line l = { .words = { NULL } };
	const char *name = NULL;
	const struct command *c;
	int count = 0;

	if (viofs_standard_open())
		return 1;
	if (!strncmp(basename(argv[0]), "umount.", strlen("umount.")))
		return viofs_ctl_umount_helper(argc, argv);
	if (!strcmp(basename(argv[0]), "viofs-extcap"))
		return viofs_ctl_extcap(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "capture"))
		return viofs_ctl_capture(argc - 1, argv + 1);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return fputs(usage, stdout) < 0;
		if (!strcmp(argv[i], "--version") || !strcmp(argv[i], "-V"))
			return puts("viofsctl " VIOFS_VERSION) < 0;
		if (argv[i][0] == '-') {
			int words = parse_option(argv[i], argv[i + 1], &l, seen);

			if (!words)
				return misuse("There is no option, or it lacks its value:",
					      argv[i]);
			i += words - 1;
		} else if (!name)
			name = argv[i];
		else if (count++ < VIOFS_CTL_WORDS)
			l.words[count - 1] = argv[i];
	}
	if (!name)
		return misuse("A command is missing", NULL);
	c = find_command(name);
	if (!c)
		return misuse("There is no command", name);
	if (count < c->min)
		return misuse("An argument is missing after", c->name);
	if (count > c->max)
		return misuse("Too many arguments for", c->name);
	return run(c, &l, seen);
}

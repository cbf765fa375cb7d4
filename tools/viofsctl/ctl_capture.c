/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl capture: its command line. */
#include "ctl_capture.h"
#include "base/util.h"
#include "capture_filter.h"
#include "ctl.h"
#include "relay/capture.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

static const char usage[] =
	"Usage: viofsctl capture WHERE [OPTION]...\n"
	"\n"
	"Shows what passes between the kernel and the device, until Ctrl-C or the unmount.\n"
	"\n"
	"  -w, --write FILE   write pcapng, for Wireshark and tshark; -: to standard output\n"
	"  -f, --filter EXPR  only these, such as: opcode = LOOKUP and error = ENOENT\n"
	"                     fields: kind opcode nodeid pid uid gid error latency queue slot "
	"lane\n"
	"  -s, --snaplen N    keep N bytes of each message (512; with --data 131072)\n"
	"  -c, --count N      end after N packets\n"
	"      --seconds N    end after N seconds\n"
	"      --data         contents of files and of extended attributes too\n"
	"  -v, --verbose      all fields of each packet\n";

enum { SECONDS = 256, DATA };

static const struct option options[] = {
	{ "write", required_argument, NULL, 'w' },
	{ "filter", required_argument, NULL, 'f' },
	{ "snaplen", required_argument, NULL, 's' },
	{ "count", required_argument, NULL, 'c' },
	{ "seconds", required_argument, NULL, SECONDS },
	{ "data", no_argument, NULL, DATA },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static bool read_number(const char *name, uint64_t most, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(optarg, &end, 10);
	if (!errno && end != optarg && !*end && *optarg != '-' && *value && *value <= most)
		return true;
	viofs_ctl_complain("%s: 1 to %llu, not \"%s\".", name, (unsigned long long)most, optarg);
	return false;
}

static bool read_seconds(double *value)
{
	char *end;

	*value = strtod(optarg, &end);
	if (end != optarg && !*end && *value > 0 && *value <= 1e9)
		return true;
	viofs_ctl_complain("--seconds: more than 0, not \"%s\".", optarg);
	return false;
}

/* Return: does it mean something? It was said, else. */
static bool read_option(int option, struct viofs_capture_order *o)
{
	uint64_t n;

	switch (option) {
	case 'w':
		o->file = optarg;
		return true;
	case 'f':
		o->filter = optarg;
		return true;
	case 's':
		if (!read_number("--snaplen", VIOFS_CAPTURE_SNAP_MAX, &n))
			return false;
		o->snap = (uint32_t)n;
		return true;
	case 'c':
		return read_number("--count", UINT64_MAX, &o->count);
	case SECONDS:
		return read_seconds(&o->seconds);
	case DATA:
		o->data = true;
		return true;
	case 'v':
		o->all = true;
		return true;
	default:
		return false;
	}
}

/* Return: is it good? Else it was said, and where. */
static bool check_filter(const char *text)
{
	struct viofs_filter *f;
	char why[128];
	size_t at;

	if (!text)
		return true;
	f = viofs_filter_parse(text, why, &at);
	if (!f) {
		viofs_ctl_complain("--filter: %s:", why);
		fprintf(stderr, "  %s\n  %*s^\n", text, (int)at, "");
	}
	viofs_filter_free(f);
	return f;
}

int viofs_ctl_capture(int argc, char **argv)
{
	struct viofs_capture_order o = { .file = NULL };
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "w:f:s:c:vh", options, NULL)) != -1) {
		if (option == 'h')
			return fputs(usage, stdout) < 0;
		if (!read_option(option, &o))
			return EXIT_USAGE;
	}
	if (optind != argc - 1) {
		viofs_ctl_complain("capture takes one mount. See viofsctl capture --help.");
		return EXIT_USAGE;
	}
	if (!check_filter(o.filter))
		return EXIT_USAGE;
	if (o.file && o.all) {
		viofs_ctl_complain("-v is for the terminal; a file has all fields.");
		return EXIT_USAGE;
	}
	o.where = argv[optind];
	if (!o.snap)
		o.snap = o.data ? VIOFS_CAPTURE_SNAP_MAX : VIOFS_CAPTURE_ORDER_SNAP;
	return viofs_ctl_capture_run(&o);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Wireshark starts to list mounts and to capture one: extcap(4).
 *
 * It is viofsctl under another name, in Wireshark's folder. An interface is "viofs:" and a mount
 * point. Without root nothing is listed, which is no failure: Wireshark asks each time it starts.
 */
#include "base/util.h"
#include "ctl.h"
#include "ctl_capture.h"
#include "daemon/status.h"
#include "packet.h"
#include "relay/capture.h"
#include "viofs_config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "viofs:"

enum {
	INTERFACES = 256,
	INTERFACE,
	DLTS,
	CONFIG,
	CAPTURE,
	FIFO,
	WIRESHARK,
	CAPTURE_FILTER,
	SNAPLEN,
	DATA,
	FILTER
};

static const struct option options[] = {
	{ "extcap-interfaces", no_argument, NULL, INTERFACES },
	{ "extcap-interface", required_argument, NULL, INTERFACE },
	{ "extcap-dlts", no_argument, NULL, DLTS },
	{ "extcap-config", no_argument, NULL, CONFIG },
	{ "extcap-version", optional_argument, NULL, WIRESHARK },
	{ "extcap-capture-filter", required_argument, NULL, CAPTURE_FILTER },
	{ "capture", no_argument, NULL, CAPTURE },
	{ "fifo", required_argument, NULL, FIFO },
	{ "snaplen", required_argument, NULL, SNAPLEN },
	{ "data", optional_argument, NULL, DATA },
	{ "filter", required_argument, NULL, FILTER },
	{ NULL, 0, NULL, 0 },
};

/* A mount point that would break the line, or Wireshark's own quoting of it, isn't offered. */
static bool is_plain(const char *text)
{
	return !text[strcspn(text, "{}\n\\")];
}

static int list_interfaces(void)
{
	json_t *all = json_array(), *one;
	size_t i;

	puts("extcap {version=" VIOFS_VERSION "}{display=virtio-fs}");
	if (!geteuid())
		viofs_ctl_ask_all(NULL, VIOFS_CTL_EXACT, all);
	json_array_foreach(all, i, one)
	{
		const char *at = json_string_value(json_object_get(one, "mountpoint"));

		if (at && is_plain(at))
			printf("interface {value=" PREFIX "%s}{display=virtio-fs on %s}\n", at, at);
	}
	json_decref(all);
	return 0;
}

static int list_options(void)
{
	printf("arg {number=0}{call=--snaplen}{display=Bytes of each message}{type=integer}"
	       "{range=1,%u}{default=%u}\n",
	       VIOFS_CAPTURE_SNAP_MAX, VIOFS_CAPTURE_ORDER_SNAP);
	puts("arg {number=1}{call=--data}{display=Contents of files}{type=boolflag}"
	     "{tooltip=Contents of files and of extended attributes}");
	puts("arg {number=2}{call=--filter}{display=Filter}{type=string}"
	     "{tooltip=opcode = LOOKUP and error = ENOENT}");
	return 0;
}

int viofs_ctl_extcap(int argc, char **argv)
{
	struct viofs_capture_order o = { .snap = VIOFS_CAPTURE_ORDER_SNAP };
	const char *interface = NULL;
	int option, what = 0;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return 2;
		if (option == INTERFACE)
			interface = optarg;
		else if (option == FIFO)
			o.file = optarg;
		else if (option == FILTER || option == CAPTURE_FILTER)
			o.filter = *optarg ? optarg : o.filter;
		else if (option == SNAPLEN)
			o.snap = (uint32_t)VIOFS_MIN(strtoul(optarg, NULL, 10),
						     VIOFS_CAPTURE_SNAP_MAX);
		else if (option == DATA)
			o.data = !optarg || strcmp(optarg, "false") != 0;
		else if (option != WIRESHARK)
			what = option;
	}
	if (what == INTERFACES)
		return list_interfaces();
	if (!interface || strncmp(interface, PREFIX, strlen(PREFIX)) != 0)
		return viofs_ctl_complain("--extcap-interface=" PREFIX "MOUNTPOINT is missing.");
	o.where = interface + strlen(PREFIX);
	if (what == DLTS)
		return printf("dlt {number=%u}{name=USER0}{display=virtio-fs}\n",
			      VIOFS_PACKET_LINKTYPE) < 0;
	if (what == CONFIG)
		return list_options();
	if (what == CAPTURE && o.file)
		return viofs_ctl_capture_run(&o);
	return viofs_ctl_complain("--capture and --fifo=FILE are missing.");
}

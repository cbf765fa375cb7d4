/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtiofs-vfio: mount a virtio-fs device that this process drives through VFIO. */
#include "base/log.h"
#include "daemon/inherit.h"
#include "daemon/launch.h"
#include "daemon/message.h"
#include "daemon/options.h"
#include "daemon/supervisor.h"
#include "viofs_config.h"

#include <stdio.h>
#include <unistd.h>

#define EXIT_USAGE 2

static int run(struct viofs_options *o)
{
	struct viofs_err err = { "" };
	int outcome_fd = -1;

	if (geteuid() != 0) {
		viofs_error("This takes root: a device is taken from its driver, and physical "
			    "addresses "
			    "are read. Try sudo.");
		return 1;
	}
	viofs_inherit_widen_limits();
	if (viofs_channel_choose(&o->relay, &err)) {
		viofs_error("%s", err.text);
		return 1;
	}
	if (!o->foreground) {
		outcome_fd = viofs_launch(&err);
		if (outcome_fd < 0) {
			viofs_error("%s", err.text);
			return 1;
		}
	}
	return viofs_supervisor_run(o, outcome_fd);
}

int main(int argc, char **argv)
{
	struct viofs_err err = { "" };
	struct viofs_options o;
	int status;

	if (viofs_inherit_clean())
		return 1;
	viofs_message_to_stderr(false);
	if (viofs_options_parse(argc, argv, &o, &err)) {
		viofs_error("%s", err.text);
		status = EXIT_USAGE;
	} else if (o.help) {
		fputs(viofs_options_help(), stdout);
		status = 0;
	} else if (o.version) {
		puts("virtiofs-vfio " VIOFS_VERSION);
		status = 0;
	} else {
		viofs_message_to_stderr(o.debug);
		status = run(&o);
	}
	viofs_options_fini(&o);
	return status;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtiofs-vfio: mount a virtio-fs device that this process drives through VFIO. */
#include "base/log.h"
#include "daemon/inherit.h"
#include "daemon/launch.h"
#include "daemon/message.h"
#include "daemon/options.h"
#include "daemon/remedy.h"
#include "daemon/remount.h"
#include "daemon/supervisor.h"
#include "loop/loop.h"
#include "relay/channel.h"
#include "viofs_config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/**
 * struct exits - exit statuses
 * usage: the command line is wrong, and would be so with every device; failure: all else.
 */
struct exits {
	int usage, failure;
};

static const struct exits command_exits = { .usage = 2, .failure = 1 };
/* As mount(8) has them: incorrect invocation, mount failure. */
static const struct exits helper_exits = { .usage = 1, .failure = 32 };

/* mount(8) calls helpers by the name mount.TYPE. */
static const struct exits *exits_of(const char *name)
{
	const char *slash = name ? strrchr(name, '/') : NULL, *base = slash ? slash + 1 : name;

	return base && !strncmp(base, "mount.", strlen("mount.")) ? &helper_exits : &command_exits;
}

static int refuse(int status, struct viofs_err *err)
{
	viofs_remedy_add(err);
	viofs_error("%s", err->text);
	return status;
}

static int run(struct viofs_options *o, const struct exits *exits)
{
	struct viofs_err err = { .text = "" };
	int outcome_fd = -1;

	if (viofs_options_check(o, &err))
		return refuse(exits->usage, &err);
	if (geteuid() != 0) {
		viofs_error("This takes root: a device is taken from its driver, and physical "
			    "addresses "
			    "are read. Try sudo.");
		return exits->failure;
	}
	if (o->remount)
		return viofs_remount(o, &err) ? refuse(exits->failure, &err) : 0;
	viofs_inherit_widen_limits();
	if (viofs_channel_choose(&o->relay, &err) ||
	    viofs_loop_choose(&o->relay.loop, o->relay.channel == VIOFS_CHANNEL_URING, &err))
		return refuse(exits->failure, &err);
	if (!o->foreground) {
		outcome_fd = viofs_launch(exits->failure, &err);
		if (outcome_fd < 0)
			return refuse(exits->failure, &err);
	}
	return viofs_supervisor_run(o, outcome_fd) ? exits->failure : 0;
}

/*
 * mount.TYPE SOURCE DIRECTORY [-snv] [-t TYPE] [-o OPT,...], as mount(8) calls its helpers: what is
 * none of the daemon's is taken out. Return: the new count.
 */
static int parse_helper_words(int argc, char **argv)
{
	int n = 1;

	for (int i = 1; i < argc; i++) {
		bool dropped =
			!strcmp(argv[i], "-s") || !strcmp(argv[i], "-n") || !strcmp(argv[i], "-v");

		if (!strcmp(argv[i], "-t") && i + 1 < argc)
			i++;
		else if (!dropped)
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	return n;
}

/*
 * A mount that is made in an initramfs outlives it. systemd ends all processes at switch-root and
 * at shutdown, but those of root whose command line begins with @. The worker has this one's.
 */
static bool outlive_initrd(char *name)
{
	bool in_initrd = name && *name && !access("/etc/initrd-release", F_OK);

	if (in_initrd)
		*name = '@';
	return in_initrd;
}

int main(int argc, char **argv)
{
	const struct exits *exits = exits_of(argv[0]);
	struct viofs_err err = { .text = "" };
	struct viofs_options o;
	bool in_initrd;
	int status, rc;

	viofs_inherit_drop_tunables(argv);
	if (viofs_inherit_clean())
		return exits->failure;
	if (!strncmp(basename(argv[0]), "mount.", strlen("mount.")))
		argc = parse_helper_words(argc, argv);
	in_initrd = outlive_initrd(argv[0]);
	viofs_message_to_stderr(false);
	rc = viofs_options_parse(argc, argv, &o, &err);
	if (rc) {
		status = refuse(rc == -EINVAL ? exits->usage : exits->failure, &err);
	} else if (o.help) {
		viofs_options_print_help(stdout);
		status = 0;
	} else if (o.version) {
		puts("virtiofs-vfio " VIOFS_VERSION);
		status = 0;
	} else {
		viofs_message_to_stderr(o.debug);
		o.relay.serves_root = in_initrd;
		status = run(&o, exits);
	}
	viofs_options_fini(&o);
	return status;
}

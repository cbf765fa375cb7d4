/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's command line. */
#ifndef VIOFS_DAEMON_OPTIONS_H
#define VIOFS_DAEMON_OPTIONS_H

#include "base/err.h"
#include "daemon/sandbox.h"
#include "attach/attach.h"
#include "kernel/mount_options.h"
#include "relay/relay.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

/** enum viofs_notify_mode - what is done with a device's notification queue */
enum viofs_notify_mode {
	VIOFS_NOTIFY_ON,
	VIOFS_NOTIFY_OFF,
	VIOFS_NOTIFY_STORE, /* as ON, and data may go into the page cache */
};

#define VIOFS_RESTARTS_MAX 1000U

/** enum viofs_on_loss - what becomes of requests when the device is gone */
enum viofs_on_loss {
	VIOFS_ON_LOSS_EIO,
	VIOFS_ON_LOSS_WAIT, /* for another back end */
};

/** struct viofs_options - what the user asked for */
struct viofs_options {
	bool help, version;
	bool foreground, debug;
	bool allow_noiommu; /* allow-unsafe-noiommu */
	bool small_pages;   /* no-hugepages */
	enum viofs_ring_choice ring;
	enum viofs_notify_mode notify; /* relay.notify_store is set by it */
	uint32_t queues;               /* vhost-user: request queues, 0 = as the back end says */
	enum viofs_on_loss on_loss;    /* what WAIT needs is looked at when the device is known */
	bool keeps_state;              /* backend-keeps-state */
	uint64_t dma_mem, max_data;    /* bytes, 0 = default; in relay as buffers and max_data */
	uint32_t grace_s;              /* a busy mount is waited for this long on SIGTERM */
	uint32_t restarts;             /* workers that may succeed others in 60 s */
	enum viofs_seccomp seccomp;
	cpu_set_t cpus; /* that the worker is to run on; empty: those of the process */
	struct viofs_relay_config relay;
	char *source, *mountpoint;
	struct viofs_mount_options mount;
	bool remount;
	/* What all mounts of one file system have in common, as it was said: "poll=busy". */
	char **words;
	unsigned int word_count;
};

/**
 * viofs_options_parse() - read the command line
 * fstab's own words (nofail, _netdev, x-*, ...) are accepted and dropped; those of the mount are in
 * @o->mount.
 * @o: filled in also on failure; viofs_options_fini() in both cases.
 * Return: 0; -EINVAL with the offending word in @err; -ENOMEM.
 */
int viofs_options_parse(int argc, char **argv, struct viofs_options *o, struct viofs_err *err);

/**
 * viofs_options_check() - what is wrong with the command line on this machine, or with this SOURCE
 * Nothing is looked for: neither device nor socket nor mount point.
 * @o: without help and version. Return: 0; -EINVAL, in @err.
 */
int viofs_options_check(const struct viofs_options *o, struct viofs_err *err);

void viofs_options_fini(struct viofs_options *o);

/** viofs_options_print_help() - the text of --help. */
void viofs_options_print_help(FILE *out);

#endif

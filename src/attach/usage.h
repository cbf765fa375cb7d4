/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a device now. Everything that reports it asks here. */
#ifndef VIOFS_ATTACH_USAGE_H
#define VIOFS_ATTACH_USAGE_H

#include "base/err.h"
#include "attach/record.h"
#include "attach/mountinfo.h"

#include <stdbool.h>

/** enum viofs_holder - who holds a record's lock */
enum viofs_holder {
	VIOFS_HOLDER_NONE,   /* nobody (with a record or without) */
	VIOFS_HOLDER_ALIVE,  /* a daemon, or a program with libviofs */
	VIOFS_HOLDER_WORKER, /* the worker, which goes on serving after its supervisor was killed */
};

/** struct viofs_usage - of a device */
struct viofs_usage {
	enum viofs_holder holder;
	struct viofs_mounted at; /* where it is mounted now, one of several places */
	struct viofs_record record;
};

/**
 * viofs_usage_read() - by the record, its lock, the control socket and the mount table
 * Return: 0; -ENOENT: no record; -EACCES: not to be seen without root; -errno.
 */
int viofs_usage_read(const char *id, struct viofs_usage *out);

/** viofs_usage_is_mounted() - is a mount of it somewhere? */
static inline bool viofs_usage_is_mounted(const struct viofs_usage *s)
{
	return s->at.mountpoint[0];
}

/**
 * viofs_usage_is_gone() - was it mounted, and is it not any more? Then it is ending, or files are
 * still open.
 */
static inline bool viofs_usage_is_gone(const struct viofs_usage *s)
{
	return s->record.minor && !viofs_usage_is_mounted(s);
}

/** viofs_usage_say() - "DEVICE is in use by ...", for the user. Return: @rc. */
int viofs_usage_say(const struct viofs_usage *s, const char *device, int rc, struct viofs_err *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does anybody but the daemon use the mount namespace that it is in? */
#ifndef VIOFS_DAEMON_NAMESPACE_H
#define VIOFS_DAEMON_NAMESPACE_H

#include <stdbool.h>
#include <stdint.h>

/** struct viofs_namespace - the daemon's mount namespace, if it may outlive its users */
struct viofs_namespace {
	bool watched;
	int64_t look_at;     /* ns */
	unsigned int unused; /* looks in a row that found nobody */
};

/**
 * viofs_namespace_init() - watch it, unless it is the one of process 1, which nobody outlives
 * With no /proc nothing is watched.
 */
void viofs_namespace_init(struct viofs_namespace *n);

/** viofs_namespace_time() - in how many ns it must be looked at. Return: -1: never. */
int64_t viofs_namespace_time(const struct viofs_namespace *n);

/**
 * viofs_namespace_is_unused() - look, if it is time: has its last user gone?
 * Once true, it isn't watched any more.
 */
bool viofs_namespace_is_unused(struct viofs_namespace *n);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A session in JSON: what `viofsctl status` shows. */
#ifndef VIOFS_DAEMON_STATUS_H
#define VIOFS_DAEMON_STATUS_H

#include "daemon/claim.h"
#include "daemon/options.h"
#include "kernel/places.h"

#include <jansson.h>
#include <sys/types.h>

/** struct viofs_status_source - what a status is made of */
struct viofs_status_source {
	const char *source, *mountpoint;
	const char *address;
	const struct viofs_relay_config *config;
	const struct viofs_fs *fs;
	const struct viofs_relay_stats *stats;
	unsigned int slots_used, slots;
	int64_t oldest_ns;
	size_t dma_bytes, page_size;
	pid_t supervisor, worker;
	json_t *outage; /* viofs_outage_json(); taken over */
	bool leaving;   /* a signal asked for the end */
	unsigned int restarts;
	const char *last_death; /* of a worker, ""; as struct viofs_err has it */
};

/**
 * viofs_status_json() - as an object; the schema is in viofsctl(8). Return: NULL: out of memory.
 */
json_t *viofs_status_json(const struct viofs_status_source *s);

/**
 * viofs_status_mounts() - "mounts" of a status: an array of objects. Return: NULL: out of memory.
 */
json_t *viofs_status_mounts(const struct viofs_places *places);

/**
 * viofs_status_options() - the daemon's own options, as an array of words. Return: NULL: out of
 * memory.
 */
json_t *viofs_status_options(const struct viofs_options *o);

/**
 * viofs_status_text() - text that need not be UTF-8 (a path, a tag) as a JSON string, in the JSON
 * form of base/text.h
 * Return: NULL: out of memory.
 */
json_t *viofs_status_text(const char *text);

/** viofs_status_features() - names of virtio feature bits, as a JSON array. */
json_t *viofs_status_features(uint64_t features);

#endif

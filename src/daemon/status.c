/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A session in JSON. */
#include "daemon/status.h"
#include "base/log.h"
#include "base/text.h"
#include "base/util.h"
#include "daemon/option_table.h"
#include "fuse/init.h"
#include "relay/channel.h"
#include "relay/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names of the bits set, "bit 63" where there is none. */
static json_t *bit_names(uint64_t bits, const char *(*name_of)(unsigned int bit))
{
	json_t *list = json_array();

	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = name_of(bit);
		char text[16];

		if (!(bits & 1ULL << bit))
			continue;
		snprintf(text, sizeof(text), "bit %u", bit);
		json_array_append_new(list, json_string(name ? name : text));
	}
	return list;
}

json_t *viofs_status_features(uint64_t features)
{
	return bit_names(features, viofs_virtio_feature_name);
}

json_t *viofs_status_text(const char *text)
{
	size_t size = VIOFS_TEXT_GROWTH * strlen(text) + 1;
	char *out = malloc(size);
	json_t *string;

	if (!out)
		return NULL;
	string = json_string(viofs_text_clean(VIOFS_TEXT_JSON, text, out, size));
	free(out);
	return string;
}

json_t *viofs_status_mounts(const struct viofs_places *places)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < places->count; i++)
		json_array_append_new(list, json_pack("{s:o, s:I}", "mountpoint",
						      viofs_status_text(places->list[i].path), "id",
						      (json_int_t)places->list[i].mount));
	return list;
}

json_t *viofs_status_options(const struct viofs_options *o)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < o->word_count; i++)
		json_array_append_new(list, viofs_status_text(o->words[i]));
	return list;
}

/* Text that the worker wrote: terminated here, and cleaned as a message. */
static json_t *workers_text(const char *text, size_t size)
{
	char copy[256 + 1], clean[VIOFS_TEXT_GROWTH * sizeof(copy)];

	snprintf(copy, sizeof(copy), "%.*s", (int)size, text);
	return json_string(viofs_text_clean(VIOFS_TEXT_MESSAGE, copy, clean, sizeof(clean)));
}

static json_t *init(const struct viofs_fuse_agreed *a)
{
	return json_pack("{s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "minor",
			 (int)a->conn.minor, "kernel_minor", (int)a->kernel_minor, "device_minor",
			 (int)a->device_minor, "max_write", (json_int_t)a->max_write, "max_pages",
			 (json_int_t)a->max_pages, "max_readahead", (json_int_t)a->max_readahead,
			 "max_background", (json_int_t)a->max_background, "congestion_threshold",
			 (json_int_t)a->congestion_threshold, "time_gran", (json_int_t)a->time_gran,
			 "flags", bit_names(a->flags, viofs_fuse_init_flag_name));
}

static json_t *queues(const struct viofs_status_source *s)
{
	json_t *list = json_array();

	for (unsigned int q = 0; q < s->fs->queue_count; q++) {
		const struct viofs_fs_queue *queue = &s->fs->queues[q];
		const struct viofs_queue_stats *stats = &s->stats->queues[q];

		json_array_append_new(
			list,
			json_pack("{s:i, s:s, s:i, s:I, s:I, s:I, s:i}", "index", (int)queue->index,
				  "name", q == VIOFS_FS_HIPRIO ? "hiprio" : "request", "size",
				  (int)queue->ring.size, "requests", (json_int_t)stats->requests,
				  "kicks", (json_int_t)queue->ring.shadow->kicks, "interrupts",
				  (json_int_t)stats->interrupts, "in_flight",
				  (int)queue->ring.shadow->in_flight));
	}
	return list;
}

static json_t *device(const struct viofs_status_source *s)
{
	const struct viofs_virtio *d = s->fs->virtio;
	struct viofs_virtio_description way;

	d->ops->describe(d, &way);
	return json_pack("{s:o, s:s, s:o, s:s*, s:s*, s:s, s:o, s:o, s:i, s:i}", "address",
			 viofs_status_text(s->address), "transport", d->ops->name, "tag",
			 viofs_status_text(s->fs->tag), "vfio", way.vfio, "vfio_passed_over",
			 way.passed_over, "dma", way.dma, "features_offered",
			 viofs_status_features(d->offered), "features",
			 viofs_status_features(d->negotiated), "num_request_queues",
			 (int)s->fs->num_request_queues, "vectors", (int)s->fs->vectors);
}

static json_t *counts(const struct viofs_status_source *s)
{
	const struct viofs_relay_stats *t = s->stats;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "replies",
			 (json_int_t)t->replies, "errors", (json_int_t)t->errors, "faults",
			 (json_int_t)t->faults, "refused", (json_int_t)t->refused, "bytes_read",
			 (json_int_t)t->bytes_read, "bytes_written", (json_int_t)t->bytes_written,
			 "forgets", (json_int_t)t->forgets, "interrupts_sent",
			 (json_int_t)t->interrupted, "sleeps", (json_int_t)t->sleeps, "handovers",
			 (json_int_t)t->handovers);
}

static json_t *notifications(const struct viofs_relay_stats *t)
{
	return json_pack("{s:I, s:I, s:o}", "passed", (json_int_t)t->notifications, "refused",
			 (json_int_t)t->notifications_refused, "last_fault",
			 workers_text(t->notification_fault, sizeof(t->notification_fault)));
}

static json_t *parked(const struct viofs_relay_stats *t)
{
	return json_pack("{s:i, s:i, s:I}", "now", (int)t->parked, "most", (int)t->parked_max,
			 "total", (json_int_t)t->parked_total);
}

json_t *viofs_status_json(const struct viofs_status_source *s)
{
	const struct viofs_relay_stats *t = s->stats;

	return json_pack(
		"{s:o, s:o, s:s, s:o, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:s, "
		"s:{s:i, s:i}, s:f, s:o, s:o, s:{s:I, s:I}, s:s, s:i, s:s, s:o*}",
		"source", viofs_status_text(s->source), "mountpoint",
		viofs_status_text(s->mountpoint), "session",
		s->leaving && t->stage == VIOFS_STAGE_SERVING ? "leaving"
							      : viofs_stage_name(t->stage),
		"reason", workers_text(t->reason, sizeof(t->reason)), "channel",
		viofs_channel_name(t->channel), "poll",
		viofs_option_choice("poll", s->config->poll), "events",
		viofs_loop_name(s->config->loop), "lanes", (int)t->lanes,
		/* The older name of "lanes", for programs that read it. */
		"workers", (int)t->lanes, "timeout_s", (int)(s->config->timeout_ms / 1000),
		"supervisor", (int)s->supervisor, "worker", (int)s->worker, "device", device(s),
		"init", init(&t->agreed), "queues", queues(s), "counts", counts(s), "parked",
		parked(t), "notifications", notifications(t), "log_level",
		viofs_log_level_name(viofs_log_level()), "slots", "used", (int)s->slots_used,
		"free", (int)(s->slots - s->slots_used), "oldest_request_s",
		(double)s->oldest_ns / 1e9, "quirks", bit_names(t->quirks, viofs_quirk_text),
		"last_fault", workers_text(t->last_fault, sizeof(t->last_fault)), "dma_memory",
		"bytes", (json_int_t)s->dma_bytes, "page_size", (json_int_t)s->page_size, "on_loss",
		s->outage ? "wait" : "eio", "restarts", (int)s->restarts, "last_death",
		s->last_death, "back_end", s->outage);
}

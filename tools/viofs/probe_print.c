/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What viofs probe found: a table, and JSON.
 *
 * The program's one thread; what was found is struct viofs_probe's, and is only read.
 */
#include "probe.h"
#include "format.h"
#include "base/text.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Quicker than that, DESTROY had its answer: the library gives up waiting for it after about a
 * second. */
#define DESTROY_MS 500

static const char *name_of(uint32_t opcode, char text[16])
{
	const char *name = viofs_fuse_opcode_name(opcode);

	if (!name)
		snprintf(text, 16, "%u", opcode);
	return name ? name : text;
}

static const char *verdict(const struct viofs_probe_row *row)
{
	return !row->tried ? "-" : row->supported ? "yes" : "no";
}

static bool destroy_answered(const struct viofs_probe *p)
{
	return p->close_ms < DESTROY_MS;
}

/* Names of the bits of @flags that are set, by @name. */
static void print_bits(const char *what, uint64_t flags, const char *(*name)(unsigned int bit))
{
	unsigned int column = 0;

	printf("%-18s", what);
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *text = flags >> bit & 1 ? name(bit) : NULL;

		if (!(flags >> bit & 1))
			continue;
		if (column && column + 22 > 100) {
			printf("\n%-18s", "");
			column = 0;
		}
		column += (unsigned int)(text ? printf(" %s", text) : printf(" bit-%u", bit));
	}
	puts(flags ? "" : " none");
}

static void print_facts(const struct viofs_probe *p)
{
	const struct viofs_session_info *s = &p->session;
	char tag[256];

	printf("device             %s ", p->dev.transport);
	viofs_format_put(p->dev.id, stdout);
	if (p->dev.tag && *p->dev.tag)
		printf(", tag %s", viofs_format_name(p->dev.tag, tag, sizeof(tag)));
	printf("\nqueues             %u request queues in use, %u offered; %u entries; %u requests "
	       "in flight on each\n",
	       p->dev.request_queues, p->dev.request_queues_offered, p->dev.queue_size,
	       p->dev.depth);
	print_bits("virtio offered", p->dev.offered, viofs_virtio_feature_name);
	print_bits("virtio in use", p->dev.negotiated, viofs_virtio_feature_name);
	printf("FUSE               7.%u of the device, 7.%u spoken\n", s->device_minor, s->minor);
	print_bits("INIT answered", s->answered, viofs_fuse_init_flag_name);
	print_bits("INIT in use", s->flags, viofs_fuse_init_flag_name);
	printf("limits             max_write %u, max_pages %u, max_readahead %u, max_background "
	       "%u, congestion %u, "
	       "time_gran %u ns\n\n",
	       s->max_write, s->max_pages, s->max_readahead, s->max_background,
	       s->congestion_threshold, s->time_gran);
}

void viofs_probe_print(const struct viofs_probe *p)
{
	char text[16];

	print_facts(p);
	printf("%-20s %-5s %9s  %s\n", "opcode", "can", "us", "answer");
	printf("%-20s %-5s %9s  %s\n", "INIT", "yes", "", "");
	for (unsigned int i = 0; i < p->row_count; i++) {
		const struct viofs_probe_row *row = &p->rows[i];
		char us[16] = "";

		if (row->ns)
			snprintf(us, sizeof(us), "%.1f", (double)row->ns / 1000);
		printf("%-20s %-5s %9s  %s\n", name_of(row->opcode, text), verdict(row), us,
		       row->tried && row->supported && !row->note[0] ? "good" : row->note);
	}
	printf("%-20s %-5s %9s  %s\n", "DESTROY", destroy_answered(p) ? "yes" : "no", "",
	       destroy_answered(p) ? "" : "was not answered");
	printf("\nquirks: %s\n", p->quirk_count ? "" : "none seen");
	for (unsigned int i = 0; i < p->quirk_count; i++)
		printf("  %s\n", p->quirks[i]);
}

static json_t *bits(uint64_t flags, const char *(*name)(unsigned int bit))
{
	json_t *list = json_array();

	for (unsigned int bit = 0; bit < 64; bit++) {
		char number[16];
		const char *text = name(bit);

		snprintf(number, sizeof(number), "bit-%u", bit);
		if (flags >> bit & 1)
			json_array_append_new(list, json_string(text ? text : number));
	}
	return list;
}

/* In the JSON form (base/text.h). */
static json_t *text_or_null(const char *text)
{
	char clean[4 * PATH_MAX];

	return text ? json_string(viofs_text_clean(VIOFS_TEXT_JSON, text, clean, sizeof(clean)))
		    : json_null();
}

static json_t *describe_device(const struct viofs_probe *p)
{
	return json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o}", "transport",
			 p->dev.transport, "id", text_or_null(p->dev.id), "tag",
			 text_or_null(p->dev.tag), "request_queues",
			 (json_int_t)p->dev.request_queues, "request_queues_offered",
			 (json_int_t)p->dev.request_queues_offered, "queue_size",
			 (json_int_t)p->dev.queue_size, "depth", (json_int_t)p->dev.depth,
			 "offered", bits(p->dev.offered, viofs_virtio_feature_name), "negotiated",
			 bits(p->dev.negotiated, viofs_virtio_feature_name));
}

static json_t *describe_init(const struct viofs_session_info *s)
{
	return json_pack("{s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "device_minor",
			 (json_int_t)s->device_minor, "minor", (json_int_t)s->minor, "offered",
			 bits(s->offered, viofs_fuse_init_flag_name), "answered",
			 bits(s->answered, viofs_fuse_init_flag_name), "flags",
			 bits(s->flags, viofs_fuse_init_flag_name), "max_write",
			 (json_int_t)s->max_write, "max_pages", (json_int_t)s->max_pages,
			 "max_readahead", (json_int_t)s->max_readahead, "max_background",
			 (json_int_t)s->max_background, "congestion_threshold",
			 (json_int_t)s->congestion_threshold, "time_gran",
			 (json_int_t)s->time_gran);
}

static json_t *describe_row(const struct viofs_probe_row *row)
{
	char text[16];
	json_t *o =
		json_pack("{s:s, s:I, s:b, s:b, s:i, s:s}", "opcode", name_of(row->opcode, text),
			  "number", (json_int_t)row->opcode, "tried", (int)row->tried, "supported",
			  (int)row->supported, "error", row->error, "note", row->note);

	if (row->ns)
		json_object_set_new(o, "us", json_real((double)row->ns / 1000));
	return o;
}

int viofs_probe_print_json(const struct viofs_probe *p)
{
	json_t *ops = json_array(), *quirks = json_array(), *all;
	char *text;

	for (unsigned int i = 0; i < p->row_count; i++)
		json_array_append_new(ops, describe_row(&p->rows[i]));
	for (unsigned int i = 0; i < p->quirk_count; i++)
		json_array_append_new(quirks, json_string(p->quirks[i]));
	all = json_pack("{s:o, s:o, s:b, s:b, s:b, s:o, s:o}", "device", describe_device(p), "init",
			describe_init(&p->session), "read_only", (int)p->read_only, "lost",
			(int)p->lost, "destroy_answered", (int)destroy_answered(p), "opcodes", ops,
			"quirks", quirks);
	text = all ? json_dumps(all, JSON_INDENT(1) | JSON_REAL_PRECISION(6) | JSON_ENSURE_ASCII)
		   : NULL;
	json_decref(all);
	if (!text)
		return viofs_cli_say("Out of memory.");
	puts(text);
	free(text);
	return 0;
}

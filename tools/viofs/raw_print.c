/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request and its reply, decoded.
 *
 * The program's one thread. It only reads the request, which stays the caller's.
 */
#include "raw.h"
#include "format.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* fuse_entry_out of a READDIRPLUS entry, before the fuse_dirent; fuse_dirent's head. */
#define ENTRY_BYTES 128U
#define DIRENT_BYTES 24U
#define DUMP_MAX 512U

static void print_field(const char *name, size_t len, const uint8_t *at, uint32_t size, FILE *out)
{
	uint64_t value = 0;

	memcpy(&value, at, size);
	fprintf(out, "  %-18.*s %llu", (int)len, name, (unsigned long long)value);
	if (len == 4 && !memcmp(name, "mode", 4))
		fprintf(out, " (0%llo)", (unsigned long long)value);
	else if (value > 9)
		fprintf(out, " (0x%llx)", (unsigned long long)value);
	fputc('\n', out);
}

/* As many fields as @size bytes have. */
static void print_fields(const char *fields, const uint8_t *bytes, uint32_t size, FILE *out)
{
	uint32_t at = 0;

	while (*fields) {
		size_t len = strcspn(fields, ":");
		char *end;
		uint32_t bytes_of = (uint32_t)strtoul(fields + len + 1, &end, 10);

		if (at + bytes_of > size)
			return;
		if (*fields != '.')
			print_field(fields, len, bytes + at, bytes_of, out);
		at += bytes_of;
		fields = *end == ' ' ? end + 1 : end;
	}
}

static void dump(const uint8_t *data, size_t size, FILE *out)
{
	size_t shown = size < DUMP_MAX ? size : DUMP_MAX;

	for (size_t i = 0; i < shown; i += 16) {
		fprintf(out, "  %06zx ", i);
		for (size_t k = i; k < i + 16; k++) {
			if (k < shown)
				fprintf(out, " %02x", data[k]);
			else
				fputs("   ", out);
		}
		fputs("  ", out);
		for (size_t k = i; k < i + 16 && k < shown; k++)
			fputc(data[k] < 128 && isprint(data[k]) ? data[k] : '.', out);
		fputc('\n', out);
	}
	if (shown < size)
		fprintf(out, "  ... %zu bytes more\n", size - shown);
}

static uint64_t load(const uint8_t *at, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, at, size);
	return value;
}

/* Directory entries as far as they make sense. */
static void print_entries(const uint8_t *data, size_t size, bool plus, FILE *out)
{
	size_t at = 0;

	while (at + (plus ? ENTRY_BYTES : 0) + DIRENT_BYTES <= size) {
		const uint8_t *e = data + at + (plus ? ENTRY_BYTES : 0);
		size_t len = load(e + 16, 4), all;
		char name[256], text[1100];

		all = ((plus ? ENTRY_BYTES : 0) + DIRENT_BYTES + len + 7) & ~(size_t)7;
		if (!len || len > 255 || at + all > size) {
			fprintf(out, "  what follows is no entry: a name of %zu bytes\n", len);
			dump(data + at, size - at, out);
			return;
		}
		memcpy(name, e + DIRENT_BYTES, len);
		name[len] = '\0';
		fprintf(out, "  ino %-10llu off %-10llu type %2llu ",
			(unsigned long long)load(e, 8), (unsigned long long)load(e + 8, 8),
			(unsigned long long)load(e + 20, 4));
		if (plus)
			fprintf(out, "nodeid %-10llu ", (unsigned long long)load(data + at, 8));
		fprintf(out, "%s\n", viofs_format_name(name, text, sizeof(text)));
		at += all;
	}
}

void viofs_raw_print_request(const struct viofs_raw *r, FILE *out)
{
	uint32_t size = viofs_raw_size(viofs_raw_args(r, r->op));
	char text[VIOFS_FORMAT_NAME_MAX];

	fprintf(out, "%s (%u) nodeid %llu, uid %u, gid %u, pid %u\n",
		viofs_fuse_opcode_name(r->op->opcode), r->op->opcode,
		(unsigned long long)r->request.nodeid, r->request.uid, r->request.gid,
		r->request.pid);
	print_fields(viofs_raw_args(r, r->op), r->args, size, out);
	for (const char *name = r->op->names; *name;
	     name += strcspn(name, " "), name += *name == ' ') {
		const char *value = (const char *)r->args + size;

		fprintf(out, "  %-18.*s %s\n", (int)strcspn(name, " "), name,
			viofs_format_name(value, text, sizeof(text)));
		size += (uint32_t)strlen(value) + 1;
	}
	if (r->in_size)
		dump(r->in, r->in_size, out);
}

static void print_data(const struct viofs_raw *r, FILE *out)
{
	if (!r->out_size)
		return;
	fprintf(out, "data: %u bytes\n", r->out_size);
	if (r->op->flags & VIOFS_RAW_ENTRIES)
		print_entries(r->out, r->out_size, r->op->flags & VIOFS_RAW_PLUS, out);
	else
		dump(r->out, r->out_size, out);
}

void viofs_raw_print_reply(const struct viofs_raw *r, FILE *out)
{
	if (r->op->flags & VIOFS_RAW_NO_REPLY) {
		fputs("sent; there is no reply to it\n", out);
		return;
	}
	if (!r->answered) {
		fputs("no answer\n", out);
		return;
	}
	fprintf(out, "reply: ");
	if (r->done.error)
		fprintf(out, "error %d, %s", r->done.error, strerror(-r->done.error));
	else
		fprintf(out, "%u bytes", r->done.size);
	fprintf(out, ", after %.1f us\n", (double)r->ns / 1000);
	if (r->done.fault)
		fprintf(out, "the device broke the rules: %s\n", r->done.fault);
	print_fields(r->op->reply, r->reply, r->reply_size, out);
	print_data(r, out);
}

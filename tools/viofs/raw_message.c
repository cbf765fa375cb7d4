/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of FUSE, decoded by the names of their fields.
 *
 * Whoever made them may have been wrong, or they were cut: no more is read than there is.
 */
#include "raw_message.h"
#include "format.h"
#include "raw.h"

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

uint32_t viofs_raw_put_fields(const char *fields, const uint8_t *bytes, uint32_t size, FILE *out)
{
	uint32_t at = 0;

	while (*fields) {
		size_t len = strcspn(fields, ":");
		char *end;
		uint32_t bytes_of = (uint32_t)strtoul(fields + len + 1, &end, 10);

		if (at + bytes_of > size)
			return size;
		if (*fields != '.')
			print_field(fields, len, bytes + at, bytes_of, out);
		at += bytes_of;
		fields = *end == ' ' ? end + 1 : end;
	}
	return at;
}

void viofs_raw_put_bytes(const uint8_t *data, size_t size, FILE *out)
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
			viofs_raw_put_bytes(data + at, size - at, out);
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

/* The names behind the struct. Return: where the last one ends. */
static uint32_t put_names(const char *names, const uint8_t *bytes, uint32_t at, uint32_t size,
			  FILE *out)
{
	char text[VIOFS_FORMAT_NAME_MAX];

	for (const char *name = names; *name && at < size;
	     name += strcspn(name, " "), name += *name == ' ') {
		size_t len = strnlen((const char *)bytes + at, size - at);
		char *value = strndup((const char *)bytes + at, len);

		fprintf(out, "  %-18.*s %s\n", (int)strcspn(name, " "), name,
			viofs_format_name(value ? value : "", text, sizeof(text)));
		free(value);
		at += (uint32_t)len + (at + len < size);
	}
	return at;
}

void viofs_raw_put_request(const struct viofs_raw_op *op, const char *args, const uint8_t *bytes,
			   uint32_t size, FILE *out)
{
	uint32_t at = viofs_raw_put_fields(args, bytes, size, out);

	at = put_names(op->names, bytes, at, size, out);
	if (at < size && op->flags & VIOFS_RAW_DATA_IN)
		viofs_raw_put_bytes(bytes + at, size - at, out);
}

void viofs_raw_put_data(const struct viofs_raw_op *op, const uint8_t *data, size_t size, FILE *out)
{
	if (op->flags & VIOFS_RAW_ENTRIES)
		print_entries(data, size, op->flags & VIOFS_RAW_PLUS, out);
	else
		viofs_raw_put_bytes(data, size, out);
}

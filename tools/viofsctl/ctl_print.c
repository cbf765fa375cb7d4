/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What viofsctl prints: whatever is in it, it does nothing to a terminal. */
#include "ctl.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Characters beyond ASCII may do something to a terminal as well. */
#define FLAGS (JSON_INDENT(2) | JSON_REAL_PRECISION(6) | JSON_ENSURE_ASCII)

/* @text in the message form, to be freed; NULL: out of memory. */
static char *harmless(const char *text)
{
	size_t size = VIOFS_TEXT_GROWTH * strlen(text) + 1;
	char *out = malloc(size);

	if (out)
		viofs_text_clean(VIOFS_TEXT_MESSAGE, text, out, size);
	return out;
}

static char first[1024];
/* Where complaints go, other than to standard error; room: 0: there. */
static struct {
	char *text;
	size_t room;
} aside;

void viofs_ctl_complain_to(char *text, size_t size)
{
	aside.text = text;
	aside.room = size;
}

int viofs_ctl_complain(const char *fmt, ...)
{
	char *text = NULL, *clean;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	clean = text ? harmless(text) : NULL;
	if (aside.room)
		snprintf(aside.text, aside.room, "%s", clean ? clean : "Out of memory.");
	else
		fprintf(stderr, "viofsctl: %s\n", clean ? clean : "Out of memory.");
	if (!first[0])
		snprintf(first, sizeof(first), "%s", clean ? clean : "Out of memory.");
	free(clean);
	free(text);
	return 1;
}

const char *viofs_ctl_complaint(void)
{
	return first[0] ? first : NULL;
}

int viofs_ctl_print_json(json_t *value)
{
	char *text = value ? json_dumps(value, FLAGS) : NULL;

	json_decref(value);
	if (!text)
		return viofs_ctl_complain("Out of memory.");
	puts(text);
	free(text);
	return 0;
}

static void clean_string(json_t *string)
{
	char *text = harmless(json_string_value(string));

	json_string_set(string, text ? text : "?");
	free(text);
}

void viofs_ctl_clean(json_t *value)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_string(value))
		clean_string(value);
	json_array_foreach(value, i, item) viofs_ctl_clean(item);
	json_object_foreach(value, key, item) viofs_ctl_clean(item);
}

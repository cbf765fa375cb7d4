/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An error's text. */
#include "base/err.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* A sequence of UTF-8 that is cut off lies beyond what is kept. */
#define ROOM (sizeof(((struct viofs_err *)0)->text) + 4)

/* Names and paths come in as they are. */
static void put(struct viofs_err *err, const char *text)
{
	viofs_text_clean(VIOFS_TEXT_MESSAGE, text, err->text, sizeof(err->text));
}

int(viofs_err_set)(struct viofs_err *err, int rc, const char *fmt, ...)
{
	char text[ROOM];
	va_list ap;

	if (!err)
		return rc;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(err, text);
	return rc;
}

int(viofs_err_prefix)(struct viofs_err *err, int rc, const char *fmt, ...)
{
	char text[ROOM];
	va_list ap;
	int n;

	if (!err)
		return rc;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 3 >= sizeof(err->text))
		n = 0;
	snprintf(text + n, sizeof(text) - (size_t)n, "%s%s", n ? ": " : "", err->text);
	put(err, text);
	return rc;
}

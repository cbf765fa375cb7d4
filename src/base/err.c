/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An error's text. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

int(viofs_err_set)(struct viofs_err *err, int rc, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return rc;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return rc;
}

int(viofs_err_prefix)(struct viofs_err *err, int rc, const char *fmt, ...)
{
	struct viofs_err old;
	va_list ap;
	int n;

	if (!err)
		return rc;
	old = *err;
	va_start(ap, fmt);
	n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n + 3 < sizeof(err->text))
		snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %.*s",
			 (int)(sizeof(err->text) - (size_t)n - 3), old.text);
	return rc;
}

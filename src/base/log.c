/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages through a sink. */
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>

static viofs_log_sink *log_sink;
static enum viofs_log_level log_max;

void viofs_log_set_sink(viofs_log_sink *sink, enum viofs_log_level max)
{
	log_sink = sink;
	log_max = max;
}

void viofs_log(enum viofs_log_level level, const char *fmt, ...)
{
	int saved = errno;
	char text[1024 + 4], message[1024];
	va_list ap;

	if (!log_sink || level > log_max)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/*
	 * Names and paths in the arguments have not been cleaned yet. A UTF-8 sequence that is cut
	 * off lies beyond what is kept.
	 */
	viofs_text_clean(VIOFS_TEXT_MESSAGE, text, message, sizeof(message));
	log_sink(level, message);
	errno = saved;
}

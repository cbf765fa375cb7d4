/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages through a sink. */
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static viofs_log_sink *log_sink;
static _Atomic enum viofs_log_level log_max;

static const char *const names[VIOFS_LOG_LEVELS] = { "error", "warning", "info", "debug" };

void viofs_log_set_sink(viofs_log_sink *sink, enum viofs_log_level max)
{
	log_sink = sink;
	atomic_store_explicit(&log_max, max, memory_order_relaxed);
}

enum viofs_log_level viofs_log_set_level(enum viofs_log_level max)
{
	return atomic_exchange_explicit(&log_max, max, memory_order_relaxed);
}

enum viofs_log_level viofs_log_level(void)
{
	return atomic_load_explicit(&log_max, memory_order_relaxed);
}

const char *viofs_log_level_name(enum viofs_log_level level)
{
	return names[level];
}

int viofs_log_level_parse(const char *name)
{
	for (int i = 0; i < VIOFS_LOG_LEVELS; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -EINVAL;
}

__attribute__((format(printf, 3, 0))) static void
say(enum viofs_log_level level, const struct viofs_log_about *about, const char *fmt, va_list ap)
{
	int saved = errno;
	char text[1024 + 4], message[1024];

	if (!log_sink || level > viofs_log_level())
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	/*
	 * Names and paths in the arguments have not been cleaned yet. A UTF-8 sequence that is cut
	 * off lies beyond what is kept.
	 */
	viofs_text_clean(VIOFS_TEXT_MESSAGE, text, message, sizeof(message));
	log_sink(level, about, message);
	errno = saved;
}

void viofs_log(enum viofs_log_level level, const char *fmt, ...)
{
	static const struct viofs_log_about nothing;
	va_list ap;

	va_start(ap, fmt);
	say(level, &nothing, fmt, ap);
	va_end(ap);
}

void viofs_log_about(enum viofs_log_level level, const struct viofs_log_about *about,
		     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(level, about, fmt, ap);
	va_end(ap);
}

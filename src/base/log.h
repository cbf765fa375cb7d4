/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages for the operator, through a sink that the program chooses: the library never prints. */
#ifndef VIOFS_BASE_LOG_H
#define VIOFS_BASE_LOG_H

#include <stdarg.h>

enum viofs_log_level {
	VIOFS_LOG_ERROR,
	VIOFS_LOG_WARNING,
	VIOFS_LOG_INFO,
	VIOFS_LOG_DEBUG,
};

/**
 * typedef viofs_log_sink - takes one message, without a newline, in the message form (base/text.h)
 * Context: any thread.
 */
typedef void viofs_log_sink(enum viofs_log_level level, const char *message);

/**
 * viofs_log_set_sink() - where messages go, and from which level on
 * @sink: NULL (the state at start): messages are dropped.
 * @max: messages above this level are dropped before they are formatted.
 * Context: before threads are started.
 */
void viofs_log_set_sink(viofs_log_sink *sink, enum viofs_log_level max);

/** viofs_log() - say something. Never on the data path. */
void viofs_log(enum viofs_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define viofs_error(...) viofs_log(VIOFS_LOG_ERROR, __VA_ARGS__)
#define viofs_warn(...) viofs_log(VIOFS_LOG_WARNING, __VA_ARGS__)
#define viofs_info(...) viofs_log(VIOFS_LOG_INFO, __VA_ARGS__)
#define viofs_debug(...) viofs_log(VIOFS_LOG_DEBUG, __VA_ARGS__)

#endif

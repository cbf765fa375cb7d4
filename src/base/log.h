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
	VIOFS_LOG_LEVELS,
};

/** struct viofs_log_about - what a message is about, for logs that have fields; NULL: nothing */
struct viofs_log_about {
	const char *opcode; /* or the notification's name */
	const char *rule;   /* that the device broke, in words */
};

/**
 * typedef viofs_log_sink - takes one message, without a newline, in the message form (base/text.h)
 * @about: never NULL.
 * Context: any thread.
 */
typedef void viofs_log_sink(enum viofs_log_level level, const struct viofs_log_about *about,
			    const char *message);

/**
 * viofs_log_set_sink() - where messages go, and from which level on
 * @sink: NULL (the state at start): messages are dropped.
 * @max: messages above this level are dropped before they are formatted.
 * Context: before threads are started.
 */
void viofs_log_set_sink(viofs_log_sink *sink, enum viofs_log_level max);

/** viofs_log_set_level() - the same sink, another level. Any thread. Return: the one before. */
enum viofs_log_level viofs_log_set_level(enum viofs_log_level max);

/** viofs_log_level() - the present one. Any thread. */
enum viofs_log_level viofs_log_level(void);

/** viofs_log_level_name() - "warning". */
const char *viofs_log_level_name(enum viofs_log_level level);

/** viofs_log_level_parse() - Return: the level of that name, or -EINVAL. */
int viofs_log_level_parse(const char *name);

/** viofs_log() - say something. Never on the data path. */
void viofs_log(enum viofs_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** viofs_log_about() - the same, and tell what it is about. */
void viofs_log_about(enum viofs_log_level level, const struct viofs_log_about *about,
		     const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define viofs_error(...) viofs_log(VIOFS_LOG_ERROR, __VA_ARGS__)
#define viofs_warn(...) viofs_log(VIOFS_LOG_WARNING, __VA_ARGS__)
#define viofs_info(...) viofs_log(VIOFS_LOG_INFO, __VA_ARGS__)
#define viofs_debug(...) viofs_log(VIOFS_LOG_DEBUG, __VA_ARGS__)

#endif

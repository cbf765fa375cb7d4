/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An error's text, for the person who must do something about it. */
#ifndef VIOFS_BASE_ERR_H
#define VIOFS_BASE_ERR_H

#include <viofs/error.h>

#include <stdarg.h>

/**
 * viofs_err_set() - set the text and hand back the error number
 * What names and paths in it could do to a terminal is taken out: the message form of base/text.h.
 * @err: may be NULL.
 * @rc: negative errno, returned unchanged: `return viofs_err_set(err, -EINVAL, "...")`.
 */
int viofs_err_set(struct viofs_err *err, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** viofs_err_prefix() - put "fmt: " in front of the text that is there. Return: @rc. */
int viofs_err_prefix(struct viofs_err *err, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The static analyzer does not look into err.c: what the functions return is said here. */
#ifdef __clang_analyzer__
#define viofs_err_set(err, rc, ...) ((viofs_err_set)(err, rc, __VA_ARGS__), (rc))
#define viofs_err_prefix(err, rc, ...) ((viofs_err_prefix)(err, rc, __VA_ARGS__), (rc))
#endif

#endif

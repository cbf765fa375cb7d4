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

/**
 * viofs_err_remedy() - note what would help; whoever knows its users' words for it adds the
 * sentence After viofs_err_set(), which forgets it. Return: @rc.
 */
int viofs_err_remedy(struct viofs_err *err, int rc, enum viofs_remedy remedy);

/**
 * viofs_err_advise() - put a sentence about the remedy behind the fact
 * @advice: a sentence for each remedy that the caller's users can choose, NULL for others. One that
 * is there already is replaced.
 */
void viofs_err_advise(struct viofs_err *err, const char *const advice[VIOFS_REMEDIES]);

/* For the static analyzer, which doesn't look into err.c: what the functions return. */
#ifdef __clang_analyzer__
#define viofs_err_set(err, rc, ...) ((viofs_err_set)(err, rc, __VA_ARGS__), (rc))
#define viofs_err_prefix(err, rc, ...) ((viofs_err_prefix)(err, rc, __VA_ARGS__), (rc))
#define viofs_err_remedy(err, rc, remedy) ((viofs_err_remedy)(err, rc, remedy), (rc))
#endif

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names, sizes, modes and times for people. */
#ifndef VIOFS_TOOLS_TEXT_H
#define VIOFS_TOOLS_TEXT_H

#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

/* Room for any name of 255 bytes, or target of 4095, escaped. */
#define VIOFS_TEXT_MAX 16384

/**
 * viofs_text_name() - a name as it can be printed: control characters, bytes that are no UTF-8 and
 * the backslash as \n, \t, \\, \377, so that no name can do something to a terminal or look like
 * another
 * @out: of @size, cut at a character's end where it is too small. Return: @out.
 */
const char *viofs_text_name(const char *name, char *out, size_t size);

/** viofs_text_put() - the same to a stream. */
void viofs_text_put(const char *name, FILE *out);

/** viofs_text_size() - 1.5M, 12K, 300: powers of 1024. @out: 16 bytes. */
const char *viofs_text_size(uint64_t bytes, char out[16]);

/** viofs_text_mode() - drwxr-xr-x. @out: 11 bytes. */
const char *viofs_text_mode(mode_t mode, char out[11]);

/** viofs_text_type() - "regular file", "directory", ... */
const char *viofs_text_type(mode_t mode);

/** viofs_text_time() - YYYY-MM-DD HH:MM[:SS.NNNNNNNNN +ZZZZ], local time. @out: 48 bytes. */
const char *viofs_text_time(const struct timespec *t, int full, char out[48]);

/** viofs_text_join() - @top/@name, to be freed; NULL: no memory. */
char *viofs_text_join(const char *top, const char *name);

/** viofs_text_base() - the last component, without slashes behind it, to be freed; "" of "/" and
 * the like. */
char *viofs_text_base(const char *path);

#endif

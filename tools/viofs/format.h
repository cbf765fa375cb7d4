/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names, sizes, modes and times for people. */
#ifndef VIOFS_TOOLS_FORMAT_H
#define VIOFS_TOOLS_FORMAT_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

/* Room for any name of 255 bytes, or target of 4095, escaped. */
#define VIOFS_FORMAT_NAME_MAX 16384

/**
 * viofs_format_name() - a name as it can be printed, the name form of base/text.h: no name can do
 * something to a terminal or look like another
 * @out: of @size, cut at a character's end where it is too small. Return: @out.
 */
const char *viofs_format_name(const char *name, char *out, size_t size);

/** viofs_format_put() - the same to a stream. */
void viofs_format_put(const char *name, FILE *out);

/** viofs_format_line() - a message as one line that does nothing to a terminal, behind @before. */
void viofs_format_line(FILE *out, const char *before, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

/** viofs_format_size() - 1.5M, 12K, 300: powers of 1024. @out: 16 bytes. */
const char *viofs_format_size(uint64_t bytes, char out[16]);

/** viofs_format_mode() - drwxr-xr-x. @out: 11 bytes. */
const char *viofs_format_mode(mode_t mode, char out[11]);

/** viofs_format_type() - "regular file", "directory", ... */
const char *viofs_format_type(mode_t mode);

/** viofs_format_time() - YYYY-MM-DD HH:MM[:SS.NNNNNNNNN +ZZZZ], local time. @out: 48 bytes. */
const char *viofs_format_time(const struct timespec *t, int full, char out[48]);

/** viofs_format_join() - @top/@name, to be freed; NULL: no memory. */
char *viofs_format_join(const char *top, const char *name);

/** viofs_format_base() - the last component, without slashes behind it, to be freed; "" of "/" and
 * the like. */
char *viofs_format_base(const char *path);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading and writing the small text files of /sys and /proc. */
#ifndef VIOFS_BASE_FILE_H
#define VIOFS_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

/**
 * viofs_text_read() - read a small file into @buf, NUL-terminated, one trailing newline dropped
 * @size: of @buf, at least 1; a longer file is cut.
 * Return: length, or -errno.
 */
int viofs_text_read(const char *path, char *buf, size_t size);

/**
 * viofs_text_read_u64() - read one number (0x prefix as in C). Return: 0, or -errno (-EINVAL: no
 * number).
 */
int viofs_text_read_u64(const char *path, uint64_t *value);

/**
 * viofs_text_write() - write @text with one write(2) to a file that exists. Return: 0, or -errno.
 */
int viofs_text_write(const char *path, const char *text);

#endif

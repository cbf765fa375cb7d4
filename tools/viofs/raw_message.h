/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages of FUSE, decoded by the names of their fields: for viofs raw and viofsctl capture. */
#ifndef VIOFS_TOOLS_RAW_MESSAGE_H
#define VIOFS_TOOLS_RAW_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct viofs_raw_op;

/** viofs_raw_put_fields() - as many of @fields (raw.h) as @size bytes have. Return: their bytes. */
uint32_t viofs_raw_put_fields(const char *fields, const uint8_t *bytes, uint32_t size, FILE *out);

/**
 * viofs_raw_put_request() - what follows the header: struct, names, data
 * @args: the struct's fields, op->args or the longer ones.
 */
void viofs_raw_put_request(const struct viofs_raw_op *op, const char *args, const uint8_t *bytes,
			   uint32_t size, FILE *out);

/** viofs_raw_put_data() - what follows a reply's struct: directory entries, or bytes. */
void viofs_raw_put_data(const struct viofs_raw_op *op, const uint8_t *data, size_t size, FILE *out);

/** viofs_raw_put_bytes() - the first of them, in hexadecimal. */
void viofs_raw_put_bytes(const uint8_t *data, size_t size, FILE *out);

#endif

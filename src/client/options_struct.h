/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Structs of options of other versions. Private to src/client */
#ifndef VIOFS_CLIENT_OPTIONS_STRUCT_H
#define VIOFS_CLIENT_OPTIONS_STRUCT_H

#include <viofs/error.h>

#include <stddef.h>

/** viofs_options_put() - the first @size bytes of @all, which begins with a size_t: @size. */
void viofs_options_put(void *out, size_t size, const void *all, size_t known);
/** viofs_options_take() - the caller's over the defaults in @all. Return: 0; -EINVAL: no size, or
 * fields set that are not known; @err names @name. */
int viofs_options_take(const void *given, void *all, size_t known, const char *name,
		       struct viofs_err *err);

#endif

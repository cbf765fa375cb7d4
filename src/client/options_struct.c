/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Structs of options of programs that were built with an older or a newer header.
 *
 * The structs are the caller's; nothing is kept. Any thread.
 */
#include "client/options_struct.h"
#include "base/err.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void viofs_options_put(void *out, size_t size, const void *all, size_t known)
{
	assert(size >= sizeof(size));
	memset(out, 0, size);
	memcpy(out, all, VIOFS_MIN(size, known));
	memcpy(out, &size, sizeof(size));
}

int viofs_options_take(const void *given, void *all, size_t known, const char *name,
		       struct viofs_err *err)
{
	const uint8_t *bytes = given;
	size_t size;

	if (!given)
		return 0;
	memcpy(&size, given, sizeof(size));
	if (size < sizeof(size))
		return viofs_err_set(err, -EINVAL, "%s.size is not set: call %s_init().", name,
				     name);
	for (size_t i = known; i < size; i++)
		if (bytes[i])
			return viofs_err_set(
				err, -EINVAL,
				"%s has something set that this libviofs doesn't know: "
				"the program was built with a newer one.",
				name);
	memcpy(all, given, VIOFS_MIN(size, known));
	memcpy(all, &known, sizeof(known));
	return 0;
}

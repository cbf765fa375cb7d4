/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The library's own version.
 *
 * A constant: any thread, at any time.
 */
#include <viofs/version.h>

uint32_t viofs_version(void)
{
	return VIOFS_VERSION_NUMBER;
}

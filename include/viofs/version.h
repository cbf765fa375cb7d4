/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which libviofs a program is built with, and which one it runs with. */
#ifndef VIOFS_VERSION_H
#define VIOFS_VERSION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of the headers. */
#define VIOFS_VERSION_MAJOR 0
#define VIOFS_VERSION_MINOR 1
#define VIOFS_VERSION_PATCH 0
/* One number, to be compared: #if VIOFS_VERSION_NUMBER >= VIOFS_VERSION_MAKE(0, 2, 0). */
#define VIOFS_VERSION_MAKE(major, minor, patch) ((major)*1000000 + (minor)*1000 + (patch))
#define VIOFS_VERSION_NUMBER                                                                       \
	VIOFS_VERSION_MAKE(VIOFS_VERSION_MAJOR, VIOFS_VERSION_MINOR, VIOFS_VERSION_PATCH)

/** viofs_version() - VIOFS_VERSION_NUMBER of the library that runs. Context: any thread. */
uint32_t viofs_version(void);

#ifdef __cplusplus
}
#endif

#endif

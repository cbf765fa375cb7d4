/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Captured packets for people. */
#ifndef VIOFS_TOOLS_CAPTURE_PRINT_H
#define VIOFS_TOOLS_CAPTURE_PRINT_H

#include "capture_reader.h"

#include <stdio.h>

/** viofs_capture_print() - one line. @ring: the name of where it came from. @all: its fields too.
 */
void viofs_capture_print(const struct viofs_captured *c, const char *ring, bool all, FILE *out);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an error says to its reader. */
#ifndef TESTS_UNIT_SAYS_H
#define TESTS_UNIT_SAYS_H

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static inline void says(const struct viofs_err *err, const char *words)
{
	if (!strstr(err->text, words))
		fail_msg("\"%s\" lacks \"%s\"", err->text, words);
}

#endif

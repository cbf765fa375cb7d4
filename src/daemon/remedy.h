/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What would help, in the words of the daemon's options. */
#ifndef VIOFS_DAEMON_REMEDY_H
#define VIOFS_DAEMON_REMEDY_H

#include "base/err.h"

/** viofs_remedy_add() - put the option that would help behind the error's text. */
void viofs_remedy_add(struct viofs_err *err);

#endif

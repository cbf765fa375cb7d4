/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open directories, beyond what <viofs/dirs.h> has. Private to src/client */
#ifndef VIOFS_CLIENT_DIR_H
#define VIOFS_CLIENT_DIR_H

#include "client/client_session.h"

#include <viofs/dirs.h>

/** viofs_dir_way() - where it is, as it was when it was opened. */
const struct viofs_way *viofs_dir_way(const struct viofs_dir *dir);

#endif

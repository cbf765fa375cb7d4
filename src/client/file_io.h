/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transfers of any size. Private to src/client */
#ifndef VIOFS_CLIENT_FILE_IO_H
#define VIOFS_CLIENT_FILE_IO_H

#include "client/op.h"

/** viofs_io_start() - op->io is filled in: its requests, and the op's end. */
void viofs_io_start(struct viofs_op *op, struct viofs_file *file);

#endif

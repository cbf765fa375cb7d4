/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device that belongs to the parent process. Private to src/client */
#ifndef VIOFS_CLIENT_CHILD_H
#define VIOFS_CLIENT_CHILD_H

#include "client/client_dev.h"

/** viofs_dev_settle_here() - this process has it. Return: 0 or -errno. */
int viofs_dev_settle_here(struct viofs_dev *dev);
void viofs_dev_leave(struct viofs_dev *dev);
/** viofs_dev_elsewhere() - "@what @which: ..." in @err. Return: -ENODEV. */
int viofs_dev_elsewhere(struct viofs_err *err, const char *what, const char *which);
/** viofs_dev_elsewhere_why() - "the device ...". */
const char *viofs_dev_elsewhere_why(void);

#endif

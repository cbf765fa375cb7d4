/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device that failed. Private to src/client */
#ifndef VIOFS_CLIENT_FAIL_H
#define VIOFS_CLIENT_FAIL_H

#include "client/client_dev.h"

/** viofs_dev_fail() - reset the device, remember why, wake everybody. Nothing is entered. */
void viofs_dev_fail(struct viofs_dev *dev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/** viofs_dev_look() - is the device still there? Nothing is entered. */
void viofs_dev_look(struct viofs_dev *dev);
/** viofs_dev_check() - the same, also where it has to wait for others who are at the device. */
void viofs_dev_check(struct viofs_dev *dev);

#endif

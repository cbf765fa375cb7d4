/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the daemon's messages go: standard error, or the system's log once it has left the terminal. */
#ifndef VIOFS_DAEMON_MESSAGE_H
#define VIOFS_DAEMON_MESSAGE_H

#include <stdbool.h>

/** viofs_message_to_stderr() - as "virtiofs-vfio: TEXT". */
void viofs_message_to_stderr(bool debug);

/** viofs_message_to_syslog() - with the mount point, as there may be several daemons. @mountpoint: kept. */
void viofs_message_to_syslog(const char *mountpoint);

#endif

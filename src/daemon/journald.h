/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages with fields, to systemd's journal. */
#ifndef VIOFS_DAEMON_JOURNALD_H
#define VIOFS_DAEMON_JOURNALD_H

#include <stdbool.h>

#define VIOFS_JOURNALD_SOCKET "/run/systemd/journal/socket"

/** struct viofs_journald_entry - one message; what is NULL or "" has no field */
struct viofs_journald_entry {
	int priority; /* as of syslog(3) */
	const char *message, *mountpoint, *tag, *opcode, *rule;
};

/**
 * viofs_journald_send() - to the journal at @path
 * Of texts in the message or name form (base/text.h): a field is one line.
 * Return: 0 or -errno: there is no journal, or it doesn't keep up; nothing waits for it.
 */
int viofs_journald_send(const char *path, const struct viofs_journald_entry *e);

/** viofs_journald_reads() - is @fd a stream that the journal reads? By $JOURNAL_STREAM. */
bool viofs_journald_reads(int fd);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the daemon's messages go: standard error, or the system's log once it has left the
 * terminal.
 */
#ifndef VIOFS_DAEMON_MESSAGE_H
#define VIOFS_DAEMON_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

/** viofs_message_to_stderr() - as "virtiofs-vfio: TEXT". */
void viofs_message_to_stderr(bool debug);

/** viofs_message_name_mount() - for fields of the log. @tag: NULL: not known, or as before. */
void viofs_message_name_mount(const char *mountpoint, const char *tag);

/**
 * viofs_message_to_syslog() - with the mount point, as there may be several daemons
 * To the journal, with fields, where there is one. Warnings and errors that went to standard error
 * before are in the log then, too.
 */
void viofs_message_to_syslog(const char *mountpoint);

/**
 * viofs_message_to_pipe() - through @fd (non-blocking) to a process that calls
 * viofs_message_forward() For the worker, which can open no log. It never waits: what the pipe has
 * no room for is lost. All levels: the other process knows which are wanted now.
 */
void viofs_message_to_pipe(int fd);

/** struct viofs_message_flow - how much a writer has said lately; all zero at first */
struct viofs_message_flow {
	int64_t since;                   /* ns, when this second began */
	unsigned int taken, debug_taken; /* messages in it that were logged */
	unsigned int dropped;
};

/**
 * viofs_message_forward() - log what has come through @fd (non-blocking)
 * The writer isn't trusted: control characters and unknown levels don't get through, nor more
 * messages in a second than a log can be asked to keep. How many were dropped is logged.
 * No more than a pipe holds are taken at a time.
 * Return: false: nothing will come any more.
 */
bool viofs_message_forward(int fd, struct viofs_message_flow *flow);

#endif

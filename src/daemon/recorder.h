/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handing out the records of what passes (relay/capture.h): the supervisor's part.
 *
 * Who captures asks at the control socket, and gets a socket for it alone. With its first message
 * comes the memfd of the records, for reading. Then it says what is to be kept, and is told whether
 * there is memory for that; from then on records are written, until it closes the socket or dies.
 * One at a time captures.
 */
#ifndef VIOFS_DAEMON_RECORDER_H
#define VIOFS_DAEMON_RECORDER_H

#include "relay/capture.h"

#include <stdint.h>

/** struct viofs_recorder_wish - what who captures says: one message */
struct viofs_recorder_wish {
	uint32_t snap;     /* bytes of each message, 0..VIOFS_CAPTURE_SNAP_MAX */
	uint32_t contents; /* 1: those of files too */
};

/** struct viofs_recorder - who captures */
struct viofs_recorder {
	struct viofs_capture *capture; /* NULL: nothing can be captured */
	int epoll_fd;                  /* ready when there is something to look at; -1 */
	int fd;                        /* to who captures; -1: nobody does */
};

/** viofs_recorder_init() - nobody captures. @c: stays the caller's, NULL: nobody can. */
void viofs_recorder_init(struct viofs_recorder *r, struct viofs_capture *c);

/** viofs_recorder_fini() - ends what is under way. One that is zeroed, but for -1, is fine. */
void viofs_recorder_fini(struct viofs_recorder *r);

/**
 * viofs_recorder_invite() - somebody wants to capture
 * Return: the descriptor to give to them; -EBUSY: somebody does; -ENOTSUP: there is no memory that
 * could be handed out; -errno.
 */
int viofs_recorder_invite(struct viofs_recorder *r);

/** viofs_recorder_look() - what who captures has said, or that they are gone. Doesn't block. */
void viofs_recorder_look(struct viofs_recorder *r);

/* Beside who asks: src/daemon's own protocol on that socket. */

/** viofs_recorder_accept() - the memfd. @fd: from the answer. Return: it, or -errno. */
int viofs_recorder_accept(int fd);

/** viofs_recorder_start() - say what is wanted, and wait for the answer. Return: 0 or -errno. */
int viofs_recorder_start(int fd, const struct viofs_recorder_wish *wish);

#endif

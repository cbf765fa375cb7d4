/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket of a running daemon: /run/virtiofs-vfio/ADDRESS.sock, for root only. */
#ifndef VIOFS_DAEMON_CONTROL_H
#define VIOFS_DAEMON_CONTROL_H

#include "base/err.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>

/*
 * The protocol (docs/control.md): the client sends one line, a word and perhaps an argument; the
 * daemon answers with one JSON object and a newline, and closes.
 */
#define VIOFS_CONTROL_LINE 127U /* bytes of a line, its newline among them */
#define VIOFS_CONTROL_PROTOCOL                                                                     \
	"protocol" /* which words it knows; control.c answers that itself                          \
		    */
#define VIOFS_CONTROL_STATUS "status"
#define VIOFS_CONTROL_LATENCY "latency"
#define VIOFS_CONTROL_LATENCY_SINCE "latency-since" /* the last time that this was asked */
#define VIOFS_CONTROL_LOG_LEVEL "log-level"
#define VIOFS_CONTROL_ABORT "abort"
#define VIOFS_CONTROL_CAPTURE "capture" /* the answer has a socket: recorder.h */
#define VIOFS_CONTROL_CLONE                                                                        \
	"clone" /* the answer has a descriptor: another mount, not yet attached anywhere */

/** struct viofs_control_command - a word and who answers it */
struct viofs_control_command {
	const char *word;
	/*
	 * @argument: what follows the word and a space, NULL: nothing does. From others, though
	 * root.
	 * @fd: -1; one to send along, which is closed then. Return: NULL: out of memory.
	 */
	json_t *(*answer)(void *arg, const char *argument, int *fd);
	const char *argument; /* what to call its argument; NULL: it takes none */
};

/** viofs_control_listen() - Return: the listening socket, or -errno with @err. */
int viofs_control_listen(const char *address, struct viofs_err *err);

/**
 * viofs_control_serve() - take one client and answer it; bounded in time
 * @commands: the last one has no word. @arg: for their answer().
 */
void viofs_control_serve(int listener, const struct viofs_control_command *commands, void *arg);

/** viofs_control_close() - and remove the socket. */
void viofs_control_close(int listener, const char *address);

/**
 * viofs_control_ask() - the client's side. @line: a word, perhaps with its argument. @reply: for
 * json_decref(). Return: 0 or -errno.
 */
int viofs_control_ask(const char *path, const char *line, json_t **reply);

/** viofs_control_ask_fd() - the same. @fd_out: the descriptor that came along, or -1. */
int viofs_control_ask_fd(const char *path, const char *line, json_t **reply, int *fd_out);

/**
 * viofs_control_is_gone() - does @rc, of asking, say that nobody is there?
 * The daemon was killed, or has ended: before it was asked, or with the question unheard.
 */
static inline bool viofs_control_is_gone(int rc)
{
	return rc == -ECONNREFUSED || rc == -ENOENT || rc == -ENOTDIR || rc == -ECONNRESET;
}

/** viofs_control_path() - of the socket of the daemon that has @id (struct viofs_source). */
void viofs_control_path(char *buf, size_t size, const char *id);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket of a running daemon: /run/virtiofs-vfio/ADDRESS.sock, for root only. */
#ifndef VIOFS_DAEMON_CONTROL_H
#define VIOFS_DAEMON_CONTROL_H

#include "base/err.h"

#include <jansson.h>

/* The protocol: the client sends one word and a newline, the daemon one JSON value, and closes. */
#define VIOFS_CONTROL_STATUS "status"

/** viofs_control_listen() - Return: the listening socket, or -errno with @err. */
int viofs_control_listen(const char *address, struct viofs_err *err);

/** viofs_control_serve() - take one client and answer it; bounded in time. @status: made on request. */
void viofs_control_serve(int listener, json_t *(*status)(void *), void *arg);

/** viofs_control_close() - and remove the socket. */
void viofs_control_close(int listener, const char *address);

/** viofs_control_ask() - the client's side. @reply: for json_decref(). Return: 0 or -errno. */
int viofs_control_ask(const char *path, const char *word, json_t **reply);

#endif

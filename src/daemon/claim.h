/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device from a driver's point of view: everything between "found" and "ready to serve". */
#ifndef VIOFS_DAEMON_CLAIM_H
#define VIOFS_DAEMON_CLAIM_H

#include "daemon/options.h"
#include "attach/opened.h"
#include "relay/capture.h"
#include "relay/relay.h"

/** struct viofs_claim - a device claimed; its parts in the order in which they were got */
struct viofs_claim {
	struct viofs_opened at;
	struct viofs_relay *relay;
	struct viofs_capture *capture; /* NULL: there could be none */
};

/**
 * viofs_claim_open() - bind or connect, open, negotiate, reserve and map memory, start the queues
 * Waits some seconds for another daemon that has unmounted and is about to end.
 * Return: 0 and *@out; -errno with @err, the device then is as it was.
 */
int viofs_claim_open(const struct viofs_source *s, const struct viofs_options *o,
		     struct viofs_claim **out, struct viofs_err *err);

/**
 * viofs_claim_let_go() - the device is lost: halt what is left of it, close it, unmap
 * The record is held until viofs_claim_close(), and memory and statistics stay; c->at.fs is gone.
 */
void viofs_claim_let_go(struct viofs_claim *c);

/**
 * viofs_claim_halt() - for a worker whose supervisor was killed: memory is about to go
 * Does what the supervisor does at the end, but for what needs rights. A vhost-user back end
 * doesn't need it: it has mapped the memory itself.
 */
void viofs_claim_halt(struct viofs_claim *c);

/** viofs_claim_close() - halt the device, close it, unmap, give it back to its former driver.
 * Return: 0 or -errno. */
int viofs_claim_close(struct viofs_claim *c, struct viofs_err *err);

#endif

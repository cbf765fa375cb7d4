/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device that a vhost-user back end makes. */
#ifndef VIOFS_VHOST_VHOST_TRANSPORT_H
#define VIOFS_VHOST_VHOST_TRANSPORT_H

#include "vhost/vhost.h"
#include "virtio/transport.h"

/** vhost-user:PATH */
extern const struct viofs_transport viofs_vhost_transport;

/**
 * viofs_virtio_vhost_open() - the transport over @v
 * @requests: request queues that the user wants, 0 = as many as the back end says, or one.
 * Return: 0, and @v is *@out's; -EINVAL: the back end has fewer queues; others where it fails at
 * its configuration.
 */
int viofs_virtio_vhost_open(struct viofs_vhost *v, unsigned int requests, struct viofs_virtio **out,
			    struct viofs_err *err);

#endif

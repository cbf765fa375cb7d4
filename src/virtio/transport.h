/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A way to a device, from what it is called to a virtio device. */
#ifndef VIOFS_VIRTIO_TRANSPORT_H
#define VIOFS_VIRTIO_TRANSPORT_H

#include "virtio/virtio.h"

/** struct viofs_transport_options - what only some transports know; zeros are the defaults */
struct viofs_transport_options {
	bool allow_noiommu;  /* a function that is behind no IOMMU is accepted */
	unsigned int queues; /* request queues, 0 = as many as the other side says */
	bool track; /* have the other side list what it has in flight, if it can: then another one
		     * may take its place (viofs_virtio.returns) */
};

/** struct viofs_transport - one row of the table in attach/transports.c */
struct viofs_transport {
	/** what its sources begin with, "vhost-user:": a path follows. NULL: PCI functions */
	const char *prefix;
	const char *what;   /* the path is of: "the back end's socket" */
	const char *advice; /* what to do where nothing is at the path: "Start ... first." */
	const char *held;   /* what is in use by somebody else: "the socket" */
	bool takes_queues;  /* options.queues means something */
	bool may_return;    /* options.track means something */
	/** @where: the path, or the function's address. Return: 0 and *@out; -errno with @err */
	int (*open)(const char *where, const struct viofs_transport_options *options,
		    struct viofs_virtio **out, struct viofs_err *err);
};

#endif

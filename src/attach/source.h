/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From what the user calls a device to the PCI function, or the path, that it is. */
#ifndef VIOFS_ATTACH_SOURCE_H
#define VIOFS_ATTACH_SOURCE_H

#include "attach/record.h"
#include "attach/transports.h"
#include "pci/function.h"
#include "pci/tag.h"

#include <limits.h>
#include <stdbool.h>

/** struct viofs_source - a device found */
struct viofs_source {
	const struct viofs_transport *transport; /* how it is reached */
	char id[VIOFS_RECORD_ID];                /* what its record and control socket are called */
	struct viofs_pci_function function;      /* where the transport has no prefix */
	char path[PATH_MAX];                     /* where it has one: from the root */
	char tag[VIOFS_TAG_TEXT];                /* "" where it could not be learnt yet */
	bool by_tag;                             /* it is the tag that the user has given */
};

/** viofs_source_is_function() - a PCI function, which has a driver? Else a path. */
static inline bool viofs_source_is_function(const struct viofs_source *s)
{
	return s->transport && !s->transport->prefix;
}

/** viofs_source_name() - the function's address, or the path; "" before it was found. */
const char *viofs_source_name(const struct viofs_source *s);

/** viofs_source_is_bound() - can it be used with the driver that it has? */
bool viofs_source_is_bound(const struct viofs_source *s);

/**
 * viofs_source_find() - look for SOURCE
 * @text: a PCI address, a tag, tag:NAME, or vhost-user:PATH.
 * Return: 0; -ENOENT: no such socket; -ENODEV: no such device; -EMFILE: several devices have that
 * tag (@err lists them); -ENOTTY: the address is not a virtio-fs device; -EINVAL; in @err.
 */
int viofs_source_find(const char *text, struct viofs_source *out, struct viofs_err *err);

/**
 * viofs_source_check_tag() - is what was opened what was asked for?
 * @tag: as the device itself says it, now. Return: 0; -ESTALE: it was asked for by another tag.
 */
int viofs_source_check_tag(const struct viofs_source *s, const char *tag, struct viofs_err *err);

/**
 * viofs_source_look() - look at a function that nobody uses: one with no driver, or with vfio-pci
 * @look: sets no queue up, and closes @d. Afterwards the function has the driver that it had
 * before.
 * Return: what @look returns; -EBUSY: somebody has it; others, with @err.
 */
int viofs_source_look(const struct viofs_pci_function *f,
		      int (*look)(struct viofs_virtio *d, void *arg, struct viofs_err *err),
		      void *arg, struct viofs_err *err);

/**
 * viofs_source_tag() - learn the tag of @f without taking @f from anybody
 * The tag comes from the kernel's driver or configuration space; from the record of the present or
 * last user; or, if nobody has the function, through VFIO.
 * Return: 0; -EBUSY: somebody else has it in VFIO; others.
 */
int viofs_source_tag(const struct viofs_pci_function *f, char tag[VIOFS_TAG_TEXT],
		     struct viofs_err *err);

#endif

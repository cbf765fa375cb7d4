/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A PCI device as viofsctl sees it: its tag, its driver, and who has mounted it. */
#ifndef VIOFS_TOOLS_CTL_DEVICE_H
#define VIOFS_TOOLS_CTL_DEVICE_H

#include "attach/mountinfo.h"
#include "base/err.h"
#include "pci/function.h"
#include "pci/tag.h"

#include <jansson.h>

struct viofs_ctl_device {
	struct viofs_pci_function function;
	char tag[VIOFS_TAG_TEXT]; /* "": not known, for the reason in @why */
	struct viofs_err why;
	struct viofs_mounted mounted;
	const char *by;    /* NULL: not mounted */
	const char *state; /* of a mount of ours, NULL: as it should be, or not known */
};

/** viofs_ctl_device_look() - at @f, into @d */
void viofs_ctl_device_look(const struct viofs_pci_function *f, struct viofs_ctl_device *d);

/** viofs_ctl_device_json() - as `list --json` prints it. Return: to be freed. */
json_t *viofs_ctl_device_json(const struct viofs_ctl_device *d);

/** viofs_ctl_device_complain() - say why the tag is not known, if it isn't. */
void viofs_ctl_device_complain(const struct viofs_ctl_device *d);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl bind, unbind: which driver has a device. */
#include "ctl.h"
#include "attach/hold.h"
#include "attach/source.h"

#include <errno.h>
#include <stdio.h>

static int find_function(const char *source, struct viofs_source *s, struct viofs_err *err)
{
	int rc = viofs_source_find(source, s, err);

	if (!rc && !viofs_source_is_function(s))
		return viofs_err_set(err, -EINVAL,
				     "%s is no PCI device: it has no driver that it could be "
				     "bound to.",
				     source);
	return rc;
}

int viofs_ctl_bind(const char *source)
{
	struct viofs_source s;
	struct viofs_hold hold;
	struct viofs_err err;

	if (find_function(source, &s, &err) || viofs_hold_take(&s.function, 0, &hold, &err))
		return viofs_ctl_complain("%s", err.text);
	/* So that the device is found by its tag also while vfio-pci has it. */
	viofs_hold_note(&hold, s.tag, "", 0);
	if (viofs_hold_keep(&hold, &err))
		return viofs_ctl_complain("%s", err.text);
	printf("%s: %s -> vfio-pci\n", s.function.text,
	       hold.record.former[0] ? hold.record.former : "no driver");
	return 0;
}

int viofs_ctl_unbind(const char *source)
{
	struct viofs_source s;
	struct viofs_pci_function now;
	struct viofs_err err;

	viofs_hold_sweep();
	if (find_function(source, &s, &err) || viofs_hold_return(&s.function, &err))
		return viofs_ctl_complain("%s", err.text);
	if (viofs_pci_function_read(&s.function.address, &now, &err))
		return viofs_ctl_complain("%s", err.text);
	printf("%s: vfio-pci -> %s\n", s.function.text, now.driver[0] ? now.driver : "no driver");
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl list: which devices there are, and whose. */
#include "ctl.h"
#include "attach/hold.h"
#include "ctl_device.h"

#include <stdio.h>
#include <stdlib.h>

static const char *member(const json_t *row, const char *key, const char *unknown)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : unknown;
}

static void print_row(const struct viofs_ctl_device *d)
{
	const struct viofs_pci_function *f = &d->function;
	json_t *row = viofs_ctl_device_json(d);
	char group[16] = "-";

	viofs_ctl_clean(row);
	if (f->iommu_group >= 0)
		snprintf(group, sizeof(group), "%d", f->iommu_group);
	printf("%-13s %-20s %-11s %-6s %s%s%s%s\n", f->text, member(row, "tag", "?"),
	       member(row, "driver", "-"), group, member(row, "mountpoint", "-"),
	       d->state ? " (" : "", d->state ? d->state : "", d->state ? ")" : "");
	json_decref(row);
	viofs_ctl_device_complain(d);
}

int viofs_ctl_list(bool json)
{
	json_t *rows = json ? json_array() : NULL;
	struct viofs_pci_function *all = NULL;
	struct viofs_err err;
	int count;

	viofs_hold_sweep();
	count = viofs_pci_function_scan(&all, &err);
	if (count < 0)
		return viofs_ctl_complain("%s", err.text);
	if (!json && count)
		printf("%-13s %-20s %-11s %-6s %s\n", "ADDRESS", "TAG", "DRIVER", "IOMMU",
		       "MOUNTED AT");
	for (int i = 0; i < count; i++) {
		struct viofs_ctl_device d;

		viofs_ctl_device_look(&all[i], &d);
		if (json)
			json_array_append_new(rows, viofs_ctl_device_json(&d));
		else
			print_row(&d);
	}
	free(all);
	if (json)
		return viofs_ctl_print_json(rows);
	if (!count)
		fputs("viofsctl: This machine has no virtio-fs device (1af4:105a on the PCI "
		      "bus).\n",
		      stderr);
	return 0;
}

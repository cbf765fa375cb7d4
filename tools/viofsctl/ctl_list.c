/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl list, bind, unbind: which devices there are, and whose. */
#include "ctl.h"
#include "daemon/status.h"
#include "attach/hold.h"
#include "attach/source.h"
#include "attach/usage.h"
#include "attach/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct device {
	struct viofs_pci_function function;
	char tag[VIOFS_TAG_TEXT];
	struct viofs_err why; /* the tag is not known */
	struct viofs_mounted mounted;
	const char *by;    /* NULL: not mounted */
	const char *state; /* of a mount of ours, NULL: as it should be, or not known */
};

/* A mount by us: what the record says, whose writer was root; where nobody has the device, what the
 * mount table says. */
static void look_for_ours(struct device *d)
{
	const struct viofs_mountinfo_query query = {
		.ours = true,
		.source = d->tag[0] ? d->tag : NULL,
		.address = d->function.text,
	};
	struct viofs_usage s;
	int rc = viofs_usage_read(d->function.text, &s);

	if (!rc && s.holder != VIOFS_HOLDER_NONE && s.record.mountpoint[0]) {
		d->mounted = s.at;
		if (!viofs_usage_is_mounted(&s))
			memcpy(d->mounted.mountpoint, s.record.mountpoint,
			       sizeof(s.record.mountpoint));
		if (viofs_usage_is_gone(&s))
			d->state = "unmounted, but in use";
		else if (s.holder == VIOFS_HOLDER_WORKER)
			d->state = "supervisor killed";
	} else if (viofs_mountinfo_search(&query, &d->mounted) == 1 && (!rc || rc == -ENOENT)) {
		d->state = "dead";
	}
	if (d->mounted.mountpoint[0])
		d->by = "virtiofs-vfio";
}

static void look(const struct viofs_pci_function *f, struct device *d)
{
	struct viofs_mountinfo_query query = { .source = d->tag };

	memset(d, 0, sizeof(*d));
	d->function = *f;
	if (viofs_source_tag(f, d->tag, &d->why))
		d->tag[0] = '\0';
	if (d->tag[0] && viofs_mountinfo_search(&query, &d->mounted) == 1)
		d->by = "kernel";
	else
		look_for_ours(d);
}

static json_t *text_or_null(const char *text)
{
	return text && text[0] ? viofs_status_text(text) : json_null();
}

static json_t *describe(const struct device *d)
{
	const struct viofs_pci_function *f = &d->function;

	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "address", f->text, "tag",
			 text_or_null(d->tag), "driver", text_or_null(f->driver), "iommu_group",
			 f->iommu_group < 0 ? json_null() : json_integer(f->iommu_group),
			 "mountpoint", text_or_null(d->mounted.mountpoint), "mounted_by",
			 text_or_null(d->by), "mount_state", text_or_null(d->state));
}

static void say_unknown(const struct device *d)
{
	viofs_ctl_complain("%s: the tag is not known: %s", d->function.text, d->why.text);
}

json_t *viofs_ctl_describe(const struct viofs_pci_function *f)
{
	struct device d;

	look(f, &d);
	if (!d.tag[0])
		say_unknown(&d);
	return describe(&d);
}

static const char *member(const json_t *row, const char *key, const char *unknown)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : unknown;
}

static void print_row(const struct device *d)
{
	const struct viofs_pci_function *f = &d->function;
	json_t *row = describe(d);
	char group[16] = "-";

	viofs_ctl_clean(row);
	if (f->iommu_group >= 0)
		snprintf(group, sizeof(group), "%d", f->iommu_group);
	printf("%-13s %-20s %-11s %-6s %s%s%s%s\n", f->text, member(row, "tag", "?"),
	       member(row, "driver", "-"), group, member(row, "mountpoint", "-"),
	       d->state ? " (" : "", d->state ? d->state : "", d->state ? ")" : "");
	json_decref(row);
	if (!d->tag[0])
		say_unknown(d);
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
		struct device d;

		look(&all[i], &d);
		if (json)
			json_array_append_new(rows, describe(&d));
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

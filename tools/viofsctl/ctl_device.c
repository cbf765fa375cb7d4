/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A PCI device as viofsctl sees it: its tag, its driver, and who has mounted it. */
#include "ctl_device.h"
#include "ctl.h"
#include "attach/source.h"
#include "attach/usage.h"
#include "daemon/status.h"

#include <errno.h>
#include <string.h>

/*
 * A mount by us: by the record, as only root can have written that; if nobody has the device, by
 * the mount table.
 */
static void look_for_ours(struct viofs_ctl_device *d)
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

void viofs_ctl_device_look(const struct viofs_pci_function *f, struct viofs_ctl_device *d)
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

json_t *viofs_ctl_device_json(const struct viofs_ctl_device *d)
{
	const struct viofs_pci_function *f = &d->function;

	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "address", f->text, "tag",
			 text_or_null(d->tag), "driver", text_or_null(f->driver), "iommu_group",
			 f->iommu_group < 0 ? json_null() : json_integer(f->iommu_group),
			 "mountpoint", text_or_null(d->mounted.mountpoint), "mounted_by",
			 text_or_null(d->by), "mount_state", text_or_null(d->state));
}

void viofs_ctl_device_complain(const struct viofs_ctl_device *d)
{
	if (!d->tag[0])
		viofs_ctl_complain("%s: the tag is not known: %s", d->function.text, d->why.text);
}

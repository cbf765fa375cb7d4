/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl show: what was collected, as lines for people. */
#include "ctl.h"
#include "base/util.h"

#include <stdio.h>

static void print_strings(const char *title, const json_t *list)
{
	size_t i;
	json_t *item;

	printf("%-14s", title);
	json_array_foreach(list, i, item)
	{
		if (json_is_string(item))
			printf(" %s", json_string_value(item));
		else
			printf(" %lld", (long long)json_integer_value(item));
	}
	putchar('\n');
}

static void print_capabilities(const json_t *list)
{
	size_t i;
	json_t *c;

	json_array_foreach(list, i, c)
	{
		printf("capability     at 0x%02llx %s",
		       (long long)json_integer_value(json_object_get(c, "at")),
		       json_string_value(json_object_get(c, "capability")));
		if (json_object_get(c, "structure"))
			printf(" %s: BAR %lld, offset 0x%llx, length 0x%llx",
			       json_string_value(json_object_get(c, "structure")),
			       (long long)json_integer_value(json_object_get(c, "bar")),
			       (long long)json_integer_value(json_object_get(c, "offset")),
			       (long long)json_integer_value(json_object_get(c, "length")));
		else if (json_object_get(c, "vectors"))
			printf(": %lld vectors",
			       (long long)json_integer_value(json_object_get(c, "vectors")));
		putchar('\n');
	}
}

static void print_value(const char *title, const json_t *v)
{
	if (json_is_string(v))
		printf("%-14s %s\n", title, json_string_value(v));
	else if (json_is_integer(v))
		printf("%-14s %lld\n", title, (long long)json_integer_value(v));
}

static void print_device(const json_t *o)
{
	static const char *const values[][2] = {
		{ "address", "address" },
		{ "name", "name" },
		{ "tag", "tag" },
		{ "driver", "driver" },
		{ "IOMMU group", "iommu_group" },
		{ "mounted at", "mountpoint" },
		{ "transport", "transport" },
		{ "vfio", "vfio" },
		{ "  passed over", "vfio_passed_over" },
		{ "DMA", "dma" },
		{ "request queues", "num_request_queues" },
		{ "MSI-X vectors", "msix_vectors" },
		{ "DAX window", "dax_window" },
		{ "note", "note" },
	};
	const json_t *daemon = json_object_get(o, "daemon");

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(values); i++)
		print_value(values[i][0], json_object_get(o, values[i][1]));
	if (json_object_get(o, "features"))
		print_strings("features", json_object_get(o, "features"));
	if (json_object_get(o, "queue_sizes"))
		print_strings("queue sizes", json_object_get(o, "queue_sizes"));
	if (daemon) {
		print_value("vfio", json_object_get(json_object_get(daemon, "device"), "vfio"));
		print_value("  passed over",
			    json_object_get(json_object_get(daemon, "device"), "vfio_passed_over"));
		print_value("DMA", json_object_get(json_object_get(daemon, "device"), "dma"));
		print_strings("features", json_object_get(json_object_get(daemon, "device"),
							  "features_offered"));
		puts("daemon         see viofsctl status");
	}
	print_capabilities(json_object_get(o, "capabilities"));
}

int viofs_ctl_print_device(json_t *o, bool json)
{
	if (json)
		return viofs_ctl_print_json(o);
	viofs_ctl_clean(o);
	print_device(o);
	json_decref(o);
	return 0;
}

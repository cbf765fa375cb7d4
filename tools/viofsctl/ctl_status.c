/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl status: what the daemons that run say. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static long long number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void print_list(const char *title, const json_t *list)
{
	size_t i;
	json_t *item;

	if (!json_array_size(list))
		return;
	printf("  %-10s", title);
	json_array_foreach(list, i, item) printf(" %s", json_string_value(item));
	putchar('\n');
}

static void print_quirks(const json_t *list)
{
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item) printf("  quirk      %s\n", json_string_value(item));
}

static void print_queues(const json_t *list)
{
	size_t i;
	json_t *q;

	json_array_foreach(list, i, q) printf(
		"  queue %-4lld %-8s size %-5lld requests %-10lld kicks %-10lld interrupts %-8lld "
		"in flight %lld\n",
		number_of(q, "index"), text_of(q, "name"), number_of(q, "size"),
		number_of(q, "requests"), number_of(q, "kicks"), number_of(q, "interrupts"),
		number_of(q, "in_flight"));
}

/* Of on-loss=wait. */
static void print_back_end(const json_t *b)
{
	if (!b)
		return;
	printf("  back end   %s, %lld reconnects", text_of(b, "state"), number_of(b, "reconnects"));
	if (!strcmp(text_of(b, "state"), "away"))
		printf("; since %.1f s: %s", json_number_value(json_object_get(b, "away_s")),
		       text_of(b, "last_try"));
	putchar('\n');
}

/* Where it is mounted, unless that is only the place where it was mounted first. */
static void print_mounts(const json_t *s)
{
	const json_t *one, *list = json_object_get(s, "mounts");
	size_t i;

	if (json_array_size(list) == 1 &&
	    !strcmp(text_of(json_array_get(list, 0), "mountpoint"), text_of(s, "mountpoint")))
		return;
	if (!json_array_size(list))
		puts("  mounts     none that can be seen from where the daemon is: unmounted, but "
		     "in use "
		     "(umount -l?)");
	json_array_foreach(list, i, one) printf("  mount      %s\n", text_of(one, "mountpoint"));
}

static void print_status(const json_t *s)
{
	const json_t *device = json_object_get(s, "device"), *init = json_object_get(s, "init");
	const json_t *counts = json_object_get(s, "counts"), *parked = json_object_get(s, "parked");
	const json_t *notifications = json_object_get(s, "notifications");
	const json_t *slots = json_object_get(s, "slots"), *dma = json_object_get(s, "dma_memory");

	printf("%s on %s\n", text_of(s, "source"), text_of(s, "mountpoint"));
	print_mounts(s);
	printf("  session    %s, channel %s, lanes %lld, poll %s, events %s, "
	       "supervisor %lld, worker %lld\n",
	       text_of(s, "session"), text_of(s, "channel"), number_of(s, "lanes"),
	       text_of(s, "poll"), text_of(s, "events"), number_of(s, "supervisor"),
	       number_of(s, "worker"));
	if (text_of(s, "reason")[0])
		printf("  reason     %s\n", text_of(s, "reason"));
	if (number_of(s, "restarts"))
		printf("  restarts   %lld, last: %s\n", number_of(s, "restarts"),
		       text_of(s, "last_death"));
	printf("  device     %s, tag %s, %s%s, DMA %s, %lld interrupt vectors\n",
	       text_of(device, "address"), text_of(device, "tag"),
	       json_object_get(device, "vfio") ? "vfio " : text_of(device, "transport"),
	       text_of(device, "vfio"), text_of(device, "dma"), number_of(device, "vectors"));
	if (text_of(device, "vfio_passed_over")[0])
		printf("  not by     %s\n", text_of(device, "vfio_passed_over"));
	print_back_end(json_object_get(s, "back_end"));
	print_list("features", json_object_get(device, "features"));
	printf("  FUSE       7.%lld (kernel 7.%lld, device 7.%lld), max_write %lld, max_pages "
	       "%lld\n",
	       number_of(init, "minor"), number_of(init, "kernel_minor"),
	       number_of(init, "device_minor"), number_of(init, "max_write"),
	       number_of(init, "max_pages"));
	print_list("INIT flags", json_object_get(init, "flags"));
	print_queues(json_object_get(s, "queues"));
	printf("  requests   %lld replies, %lld errors, %lld refused, %lld faults of the "
	       "device%s%s\n",
	       number_of(counts, "replies"), number_of(counts, "errors"),
	       number_of(counts, "refused"), number_of(counts, "faults"),
	       text_of(s, "last_fault")[0] ? ", last: " : "", text_of(s, "last_fault"));
	printf("  bytes      %lld read, %lld written\n", number_of(counts, "bytes_read"),
	       number_of(counts, "bytes_written"));
	printf("  hiprio     %lld forgets, %lld interrupts\n", number_of(counts, "forgets"),
	       number_of(counts, "interrupts_sent"));
	if (number_of(notifications, "passed") || number_of(notifications, "refused"))
		printf("  notified   %lld passed on, %lld refused%s%s\n",
		       number_of(notifications, "passed"), number_of(notifications, "refused"),
		       text_of(notifications, "last_fault")[0] ? ", last: " : "",
		       text_of(notifications, "last_fault"));
	printf("  slots      %lld used, %lld free; parked %lld now, %lld at most, %lld in all\n",
	       number_of(slots, "used"), number_of(slots, "free"), number_of(parked, "now"),
	       number_of(parked, "most"), number_of(parked, "total"));
	printf("  worker     %lld sleeps, %lld handovers; oldest request %.3f s\n",
	       number_of(counts, "sleeps"), number_of(counts, "handovers"),
	       json_number_value(json_object_get(s, "oldest_request_s")));
	printf("  memory     %.1f MiB for DMA in pages of %lld KiB\n",
	       (double)number_of(dma, "bytes") / (1 << 20), number_of(dma, "page_size") >> 10);
	print_quirks(json_object_get(s, "quirks"));
}

int viofs_ctl_status(const char *where, bool json)
{
	json_t *all = json_array(), *s;
	size_t i;
	int status;

	status = viofs_ctl_ask_all(where, VIOFS_CTL_INSIDE, all);
	/* Those that answered, even if one did not. */
	if (json && (!status || json_array_size(all))) {
		status |= viofs_ctl_print_json(json_incref(where ? json_array_get(all, 0) : all));
	} else if (!json) {
		viofs_ctl_clean(all);
		json_array_foreach(all, i, s) print_status(s);
		if (!status && !json_array_size(all))
			fputs("viofsctl: No virtiofs-vfio is running.\n", stderr);
	}
	json_decref(all);
	return status;
}

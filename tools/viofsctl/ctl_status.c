/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl status: ask the daemons that run. */
#include "ctl.h"
#include "base/util.h"
#include "daemon/control.h"
#include "daemon/status.h"
#include "hold/record.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
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

static void print_status(const json_t *s)
{
	const json_t *device = json_object_get(s, "device"), *init = json_object_get(s, "init");
	const json_t *counts = json_object_get(s, "counts"), *parked = json_object_get(s, "parked");
	const json_t *notifications = json_object_get(s, "notifications");
	const json_t *slots = json_object_get(s, "slots"), *dma = json_object_get(s, "dma_memory");

	printf("%s on %s\n", text_of(s, "source"), text_of(s, "mountpoint"));
	printf("  session    %s, channel %s, workers %lld, poll %s, supervisor %lld, worker %lld\n",
	       text_of(s, "session"), text_of(s, "channel"), number_of(s, "workers"),
	       text_of(s, "poll"), number_of(s, "supervisor"), number_of(s, "worker"));
	if (text_of(s, "reason")[0])
		printf("  reason     %s\n", text_of(s, "reason"));
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

/* @id: out, of a record: its socket has the same name and a suffix. */
static bool is_socket_name(const char *name, char id[static VIOFS_RECORD_ID])
{
	size_t len = strlen(name), end = strlen(VIOFS_CONTROL_SUFFIX);

	if (len <= end || len - end >= VIOFS_RECORD_ID ||
	    strcmp(name + len - end, VIOFS_CONTROL_SUFFIX))
		return false;
	snprintf(id, VIOFS_RECORD_ID, "%.*s", (int)(len - end), name);
	return true;
}

/* Others are left in peace: one that hangs would be waited for, and one that ends is no business of
 * @mountpoint's. */
static bool may_serve(const char *id, const char *mountpoint)
{
	struct viofs_record r;

	return !mountpoint || viofs_record_read(id, &r) || !strcmp(r.mountpoint, mountpoint);
}

/* It was killed, or has ended since the directory was read: before it was asked, or with the
 * question unheard. */
static bool is_gone(int rc)
{
	return rc == -ECONNREFUSED || rc == -ENOENT || rc == -ECONNRESET;
}

/* Return: as viofs_ctl_ask_all(). */
static int ask(const char *path, const char *mountpoint, json_t *all)
{
	json_t *s = NULL, *wanted = mountpoint ? viofs_status_text(mountpoint) : NULL;
	int rc = viofs_control_ask(path, VIOFS_CONTROL_STATUS, &s);

	if (rc)
		json_decref(wanted);
	if (rc)
		return is_gone(rc) ? 0
				   : viofs_ctl_complain("%s: %s.%s", path, strerror(-rc),
							rc == -EACCES ? " Run it as root." : "");
	if (!wanted || json_equal(json_object_get(s, "mountpoint"), wanted)) {
		json_object_set_new(s, "socket", json_string(path));
		json_array_append(all, s);
	}
	json_decref(wanted);
	json_decref(s);
	return 0;
}

int viofs_ctl_ask_all(const char *mountpoint, json_t *all)
{
	char real[PATH_MAX];
	struct dirent *e;
	int status = 0;
	DIR *dir;

	/* A dead mount has no real path: then what was said must do. */
	if (mountpoint && realpath(mountpoint, real))
		mountpoint = real;
	viofs_record_sweep();
	dir = opendir(VIOFS_RUN_DIR);
	if (!dir)
		return errno == ENOENT ? 0
				       : viofs_ctl_complain(VIOFS_RUN_DIR ": %s", strerror(errno));
	while ((e = readdir(dir))) {
		char path[PATH_MAX], id[VIOFS_RECORD_ID];

		if (!is_socket_name(e->d_name, id) || !may_serve(id, mountpoint))
			continue;
		snprintf(path, sizeof(path), VIOFS_RUN_DIR "/%s", e->d_name);
		status |= ask(path, mountpoint, all);
	}
	closedir(dir);
	return status;
}

int viofs_ctl_status(const char *mountpoint, bool json)
{
	json_t *all = json_array(), *s;
	size_t i;
	int status;

	status = viofs_ctl_ask_all(mountpoint, all);
	if (!status && mountpoint && !json_array_size(all))
		status = viofs_ctl_complain("No virtiofs-vfio serves %s.", mountpoint);
	/* Those that answered, even if one did not. */
	if (json && (!status || json_array_size(all))) {
		status |= viofs_ctl_print_json(
			json_incref(mountpoint ? json_array_get(all, 0) : all));
	} else if (!json) {
		viofs_ctl_clean(all);
		json_array_foreach(all, i, s) print_status(s);
		if (!status && !json_array_size(all))
			fputs("viofsctl: No virtiofs-vfio is running.\n", stderr);
	}
	json_decref(all);
	return status;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* viofsctl status: ask the daemons that run. */
#include "ctl.h"
#include "base/util.h"
#include "daemon/control.h"
#include "hold/record.h"
#include "kernel/mount_point.h"
#include "kernel/places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Where it is mounted, if not just where it was mounted first. */
static void print_mounts(const json_t *s)
{
	const json_t *one, *list = json_object_get(s, "mounts");
	size_t i;

	if (json_array_size(list) == 1 &&
	    !strcmp(text_of(json_array_get(list, 0), "mountpoint"), text_of(s, "mountpoint")))
		return;
	if (!json_array_size(list))
		puts("  mounts     none that can be seen from where the daemon is");
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

/* It was killed, or has ended since the directory was read: before it was asked, or with the
 * question unheard. */
static bool is_gone(int rc)
{
	return rc == -ECONNREFUSED || rc == -ENOENT || rc == -ECONNRESET;
}

/* What the daemon must serve; both NULL and 0: anything. */
struct wanted {
	const char *path; /* as its record has it */
	uint64_t mount;   /* the mount that the path leads to, 0: none of ours */
	bool found;       /* the one that serves that mount has answered */
};

static bool serves(const json_t *status, uint64_t mount)
{
	const json_t *one, *list = json_object_get(status, "mounts");
	size_t i;

	json_array_foreach(list, i, one) if ((uint64_t)number_of(one, "id") == mount) return true;
	return false;
}

/* Return: as viofs_ctl_ask_all(). */
static int ask(const char *path, bool named, struct wanted *w, json_t *all)
{
	json_t *s = NULL;
	int rc = viofs_control_ask(path, VIOFS_CONTROL_STATUS, &s);
	bool exact = !rc && w->mount && serves(s, w->mount);

	if (rc)
		return is_gone(rc) ? 0
				   : viofs_ctl_complain("%s: %s.%s", path, strerror(-rc),
							rc == -EACCES ? " Run it as root." : "");
	/* It may have been mounted there once, and another one is now. */
	if (exact && !w->found)
		json_array_clear(all);
	if (exact || (named && !w->found)) {
		json_object_set_new(s, "socket", json_string(path));
		json_array_append(all, s);
	}
	w->found |= exact;
	json_decref(s);
	return 0;
}

/* Those whose record says @w->path (@named), or all others. */
static int ask_some(DIR *dir, bool named, struct wanted *w, json_t *all)
{
	struct dirent *e;
	int status = 0;

	rewinddir(dir);
	while ((e = readdir(dir)) && !w->found) {
		char path[PATH_MAX], id[VIOFS_RECORD_ID];
		struct viofs_record r;

		if (!is_socket_name(e->d_name, id))
			continue;
		if (w->path &&
		    named != (!viofs_record_read(id, &r) && !strcmp(r.mountpoint, w->path)))
			continue;
		snprintf(path, sizeof(path), VIOFS_RUN_DIR "/%s", e->d_name);
		status |= ask(path, named, w, all);
	}
	return status;
}

/* The mount of ours that @path leads to. Nothing is asked of who serves it: it may hang. */
static uint64_t mount_at(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct viofs_places places = { NULL, 0 };
	struct viofs_mount_id id = { 0 };

	if (fd < 0)
		return 0;
	if (viofs_mount_id_of(fd, &id) || viofs_places_find(id.minor, &places) || !places.count)
		id.mount = 0;
	viofs_places_free(&places);
	close(fd);
	return id.mount;
}

int viofs_ctl_ask_all(const char *mountpoint, json_t *all)
{
	struct wanted w = { .path = mountpoint };
	char real[PATH_MAX];
	int status;
	DIR *dir;

	if (mountpoint)
		w.mount = mount_at(mountpoint);
	/* A dead mount has no real path: then what was said must do. */
	if (mountpoint && realpath(mountpoint, real))
		w.path = real;
	viofs_record_sweep();
	dir = opendir(VIOFS_RUN_DIR);
	if (!dir)
		return errno == ENOENT ? 0
				       : viofs_ctl_complain(VIOFS_RUN_DIR ": %s", strerror(errno));
	status = ask_some(dir, true, &w, all);
	/* Those are left in peace otherwise: one that hangs would be waited for, and one that ends
	 * is no business of @mountpoint's. */
	if (w.mount && !w.found)
		status |= ask_some(dir, false, &w, all);
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ask the running daemons, and say why the one that is looked for isn't running. */
#include "ctl.h"
#include "daemon/control.h"
#include "attach/hold.h"
#include "attach/source.h"
#include "attach/usage.h"
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

#define TAG_PREFIX "tag:"

/* Which daemon is meant: by the first of them that is set. None: any. */
struct target {
	unsigned int minor;     /* of the file system that it has mounted */
	const char *mountpoint; /* as its record has it */
	const char *id;         /* of its record */
	const char *tag;
	uint64_t mount; /* beside @minor: the mount itself, 0: none of ours */
	bool found;     /* the one that serves that mount has answered */
	bool quiet;     /* that nobody serves it is no news */
};

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

static bool is_meant(const struct target *t, const char *id, const struct viofs_record *r)
{
	if (t->minor)
		return r->minor == t->minor;
	if (t->mountpoint)
		return !strcmp(r->mountpoint, t->mountpoint);
	if (t->id)
		return !strcmp(id, t->id);
	return !t->tag || !strcmp(r->tag, t->tag);
}

static bool serves(const json_t *status, uint64_t mount)
{
	const json_t *one, *list = json_object_get(status, "mounts");
	size_t i;

	json_array_foreach(list, i, one)
	{
		if ((uint64_t)json_integer_value(json_object_get(one, "id")) == mount)
			return true;
	}
	return false;
}

/* Return: 0; 1 where something went wrong, which has been said. */
static int ask(const char *id, struct target *t, json_t *all)
{
	char path[PATH_MAX];
	json_t *s = NULL;
	bool exact;
	int rc;

	snprintf(path, sizeof(path), VIOFS_RUN_DIR "/%s" VIOFS_CONTROL_SUFFIX, id);
	rc = viofs_control_ask(path, VIOFS_CONTROL_STATUS, &s);
	if (rc)
		return viofs_control_is_gone(rc)
			       ? 0
			       : viofs_ctl_complain("%s: %s.", path, strerror(-rc));
	exact = t->mount && serves(s, t->mount);
	/*
	 * A daemon that is ending may have had that number before. In another mount namespace no
	 * number is exact.
	 */
	if (exact && !t->found)
		json_array_clear(all);
	if (exact || !t->found) {
		json_object_set_new(s, "socket", json_string(path));
		json_array_append(all, s);
	}
	t->found |= exact;
	json_decref(s);
	return 0;
}

/* The name of such a record means nothing to a user. */
static bool is_socket(const char *id)
{
	return !strncmp(id, VIOFS_RECORD_SOCKET, strlen(VIOFS_RECORD_SOCKET));
}

/*
 * Daemons that aren't meant are not asked: one that hangs would delay the answer, and one that is
 * ending doesn't matter.
 */
static int ask_one(const char *id, struct target *t, json_t *all)
{
	struct viofs_usage state;
	struct viofs_err err;
	int rc = viofs_usage_read(id, &state);

	if (rc == -ENOENT)
		return 0;
	if (rc)
		return viofs_ctl_complain(VIOFS_RUN_DIR "/%s: %s.%s", id, strerror(-rc),
					  rc == -EACCES ? " Run it as root." : "");
	if (state.holder == VIOFS_HOLDER_NONE || !is_meant(t, id, &state.record))
		return 0;
	if (state.holder == VIOFS_HOLDER_ALIVE)
		return ask(id, t, all);
	if (t->quiet)
		return 0;
	viofs_usage_say(&state, is_socket(id) ? VIOFS_HOLD_SOCKET : id, 0, &err);
	return viofs_ctl_complain("%s", err.text);
}

/* Return: 0; 1 where something went wrong, which has been said. */
static int ask_those(struct target *t, json_t *all)
{
	DIR *dir = opendir(VIOFS_RUN_DIR);
	struct dirent *e;
	int status = 0;

	if (!dir)
		return viofs_control_is_gone(-errno)
			       ? 0
			       : viofs_ctl_complain(VIOFS_RUN_DIR ": %s", strerror(errno));
	while ((e = readdir(dir)) && !t->found) {
		char id[VIOFS_RECORD_ID];

		if (is_socket_name(e->d_name, id))
			status |= ask_one(id, t, all);
	}
	closedir(dir);
	return status;
}

/*
 * The mount of ours that @path leads to, and where it is. Its daemon isn't asked: it may hang.
 * Return: is @path in such a mount?
 */
static bool find_mount(const char *path, struct viofs_mount_id *id, char at[PATH_MAX])
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct viofs_places places = { NULL, 0 };
	bool found = false;

	if (fd < 0)
		return false;
	if (!viofs_mount_id_of(fd, id) && !viofs_places_find(id->minor, &places))
		for (unsigned int i = 0; i < places.count && !found; i++) {
			found = places.list[i].mount == id->mount;
			if (found)
				snprintf(at, PATH_MAX, "%s", places.list[i].path);
		}
	viofs_places_free(&places);
	close(fd);
	return found;
}

/* Neither a mount point nor a place in a mount: a tag, an address, a socket. */
static int ask_by_name(const char *name, json_t *all)
{
	struct target t = { .tag = name };
	struct viofs_pci_address address;
	char text[VIOFS_PCI_ADDRESS_TEXT];
	struct viofs_source source;

	if (!strncmp(name, TAG_PREFIX, strlen(TAG_PREFIX))) {
		t.tag = name + strlen(TAG_PREFIX);
	} else if (viofs_transport_of(name)) {
		if (!viofs_source_find(name, &source, NULL))
			t.id = source.id;
	} else if (!viofs_pci_address_parse(name, &address)) {
		viofs_pci_address_format(&address, text);
		t.id = text;
	}
	return ask_those(&t, all);
}

static int ask_about_mount(const char *where, const struct viofs_mount_id *id, const char *at,
			   enum viofs_ctl_where how, json_t *all)
{
	struct target t = { .minor = id->minor,
			    .mount = id->mount,
			    .quiet = how == VIOFS_CTL_IF_ANY };
	int status;

	if (how != VIOFS_CTL_INSIDE && !id->is_root)
		return viofs_ctl_complain("%s is no mount point; it lies in the mount at %s.",
					  where, at);
	status = ask_those(&t, all);
	if (status || json_array_size(all) || t.quiet)
		return status;
	return viofs_ctl_complain("Nobody answers for the mount at %s: its virtiofs-vfio was "
				  "killed, or the record in " VIOFS_RUN_DIR
				  " was removed. umount %s in either case.",
				  at, at);
}

int viofs_ctl_ask_all(const char *where, enum viofs_ctl_where how, json_t *all)
{
	char real[PATH_MAX], at[PATH_MAX];
	struct target t = { .mountpoint = where };
	struct viofs_mount_id id;
	int status;

	viofs_hold_sweep();
	if (where && find_mount(where, &id, at))
		return ask_about_mount(where, &id, at, how, all);
	/* It was mounted there, and serves open files, or a mount that is not in our namespace. */
	if (where && realpath(where, real))
		t.mountpoint = real;
	status = ask_those(&t, all);
	if (!where || status || json_array_size(all))
		return status;
	status = ask_by_name(where, all);
	if (status || json_array_size(all))
		return status;
	return viofs_ctl_complain("No virtiofs-vfio serves %s.", where);
}

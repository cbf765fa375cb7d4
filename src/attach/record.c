/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records of taken devices.
 *
 * A record outlives whoever wrote it, kill -9 included: the next daemon, or `viofsctl unbind`,
 * learns from it which driver the device had. base/run.c has how it is locked and written.
 */
#include "attach/record.h"
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Somebody may hold the lock only to see whether the record is left over: viofs_record_sweep().
 */
#define LOOKING_MS 100
#define TEXT_MAX (PATH_MAX + 512)
#define MOUNTPOINT "\nmountpoint="

static void parse_line(char *line, struct viofs_record *r)
{
	char *value = strchr(line, '=');

	if (!value)
		return;
	*value++ = '\0';
	r->known = true;
	if (!strcmp(line, "former"))
		snprintf(r->former, sizeof(r->former), "%s", value);
	else if (!strcmp(line, "by"))
		r->by_admin = !strcmp(value, "viofsctl");
	else if (!strcmp(line, "pid"))
		r->pid = atoi(value);
	else if (!strcmp(line, "minor"))
		r->minor = (unsigned int)strtoul(value, NULL, 10);
	else if (!strcmp(line, "tag"))
		snprintf(r->tag, sizeof(r->tag), "%s", value);
}

int viofs_record_read(const char *id, struct viofs_record *record)
{
	char path[PATH_MAX], text[TEXT_MAX], *mountpoint, *save = NULL;
	int rc;

	memset(record, 0, sizeof(*record));
	rc = viofs_text_read(viofs_run_path(path, sizeof(path), id), text, sizeof(text));
	if (rc < 0)
		return rc;
	/* Comes last and goes to the end of the file, since a path may have line breaks. */
	mountpoint = strstr(text, MOUNTPOINT);
	if (mountpoint) {
		snprintf(record->mountpoint, sizeof(record->mountpoint), "%s",
			 mountpoint + strlen(MOUNTPOINT));
		*mountpoint = '\0';
	}
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		parse_line(line, record);
	return 0;
}

int viofs_record_write(const char *id, int lock, const struct viofs_record *r)
{
	char text[TEXT_MAX];
	int n;

	n = snprintf(text, sizeof(text),
		     "former=%s\nby=%s\npid=%d\nminor=%u\ntag=%s" MOUNTPOINT "%s\n", r->former,
		     r->by_admin ? "viofsctl" : "daemon", r->pid, r->minor, r->tag, r->mountpoint);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -ENAMETOOLONG;
	return viofs_run_write(id, lock, text);
}

/* A killed daemon has left this socket. No daemon is alive, since we have the lock. */
static void remove_socket(const char *id)
{
	char path[PATH_MAX], name[VIOFS_RECORD_ID + sizeof(VIOFS_CONTROL_SUFFIX)];

	snprintf(name, sizeof(name), "%s" VIOFS_CONTROL_SUFFIX, id);
	unlink(viofs_run_path(path, sizeof(path), name));
}

int viofs_record_lock(const char *id, int wait_ms, struct viofs_record *record,
		      struct viofs_err *err)
{
	int lock = viofs_run_lock(id, VIOFS_MAX(wait_ms, LOOKING_MS));

	if (lock >= 0) {
		remove_socket(id);
		viofs_record_read(id, record);
	} else if (lock == -EBUSY) {
		viofs_err_set(err, lock, "%s is in use.", id);
	} else {
		viofs_err_set(err, lock, "%s/%s can't be opened: %s.%s", viofs_run_dir(), id,
			      strerror(-lock),
			      lock != -EACCES || !geteuid() ? ""
							    : " Run it as root, or with "
							      "XDG_RUNTIME_DIR set.");
	}
	return lock;
}

void viofs_record_remove(const char *id, int lock)
{
	remove_socket(id);
	viofs_run_remove(id, lock);
}

/* Is it a record that nobody holds? The lock goes with the last process that has it. */
static void sweep_one(const char *id)
{
	int lock = -EBUSY;

	if (viofs_run_is_locked(id) == 0)
		lock = viofs_run_lock(id, 0);
	if (lock >= 0)
		viofs_record_remove(id, lock);
}

void viofs_record_sweep(void)
{
	char path[PATH_MAX];
	DIR *dir = opendir(viofs_run_path(path, sizeof(path), "."));
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (!strncmp(e->d_name, VIOFS_RECORD_SOCKET, strlen(VIOFS_RECORD_SOCKET)) &&
		    !strchr(e->d_name, '.'))
			sweep_one(e->d_name);
	closedir(dir);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Remounting.
 *
 * remount of mount(2) changes the mount and the super block alike, and so all mounts of the file
 * system. Here the flags of the one mount are set (mount_setattr(2)); the super block's are touched
 * only for what a mount can't have alone: sync, dirsync, lazytime, and writing where it was mounted
 * read-only. A mount is known by its descriptor, and its daemon by the file system's minor,
 * whatever SOURCE says.
 */
#include "daemon/remount.h"
#include "attach/usage.h"
#include "base/run.h"
#include "daemon/control.h"
#include "daemon/second.h"
#include "kernel/mount_point.h"
#include "kernel/places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* The root of the mount of ours that @path leads to. */
static int open_ours(const char *path, struct viofs_mount_id *id, struct viofs_err *err)
{
	struct viofs_places places = { NULL, 0 };
	int fd = viofs_mount_point_walk(path);
	bool ours;

	if (fd < 0)
		return viofs_err_set(err, fd, "%s: %s%s", path, strerror(-fd),
				     fd == -EPERM ? "; a symbolic link on the way is not root's"
						  : "");
	ours = !viofs_mount_id_of(fd, id) && id->is_root &&
	       !viofs_places_find(id->minor, &places) && places.count;
	viofs_places_free(&places);
	if (ours)
		return fd;
	close(fd);
	return viofs_err_set(err, -EINVAL, "%s is no mount of virtiofs-vfio.", path);
}

/* Return: 0 and the daemon's status; -ENOENT: no daemon has that file system; -errno. */
static int ask_its_daemon(unsigned int minor_no, json_t **status)
{
	DIR *dir = opendir(VIOFS_RUN_DIR);
	struct viofs_usage usage;
	char path[PATH_MAX];
	struct dirent *e;
	int rc = -ENOENT;

	while (dir && rc == -ENOENT && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || viofs_usage_read(e->d_name, &usage) ||
		    usage.holder != VIOFS_HOLDER_ALIVE || usage.record.minor != minor_no)
			continue;
		viofs_control_path(path, sizeof(path), e->d_name);
		rc = viofs_control_ask(path, VIOFS_CONTROL_STATUS, status);
	}
	if (dir)
		closedir(dir);
	return rc;
}

static int check_options(const struct viofs_options *o, unsigned int minor_no,
			 struct viofs_err *err)
{
	json_t *status = NULL;
	const char *word;
	int rc;

	if (!o->word_count)
		return 0;
	rc = ask_its_daemon(minor_no, &status);
	word = rc ? NULL : viofs_second_new_word(o, status);
	if (rc)
		viofs_err_set(err, rc, "The daemon of %s can't be asked for its options: %s.",
			      o->mountpoint, strerror(-rc));
	else if (word)
		rc = viofs_err_set(
			err, -EINVAL,
			"\"%s\" can't be changed while it is mounted. Unmount %s, and mount "
			"it with that.",
			word, o->mountpoint);
	json_decref(status);
	return rc;
}

/* What concerns the super block; a word that changes nothing does no harm. */
static int change_super(int fd, const struct viofs_mount_options *m)
{
	const char *const words[] = {
		m->super & VIOFS_SUPER_RO ? NULL : "rw",
		m->super & VIOFS_SUPER_SYNC ? "sync" : "async",
		m->super & VIOFS_SUPER_DIRSYNC ? "dirsync" : NULL, /* there is no word against it */
		m->super & VIOFS_SUPER_LAZYTIME ? "lazytime" : "nolazytime",
	};
	int fs = fspick(fd, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC), rc = fs < 0 ? -errno : 0;

	for (size_t i = 0; !rc && i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i] && fsconfig(fs, FSCONFIG_SET_FLAG, words[i], NULL, 0) < 0)
			rc = -errno;
	if (!rc && fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		rc = -errno;
	if (fs >= 0)
		close(fs);
	return rc;
}

int viofs_remount(const struct viofs_options *o, struct viofs_err *err)
{
	struct mount_attr a = { .attr_set = o->mount.attributes,
				.attr_clr = VIOFS_SECOND_ATTRIBUTES };
	struct viofs_mount_id id;
	int fd = open_ours(o->mountpoint, &id, err), rc;

	if (fd < 0)
		return fd;
	rc = check_options(o, id.minor, err);
	if (rc)
		goto out;
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0)
		rc = -errno;
	else
		rc = change_super(fd, &o->mount);
	if (rc)
		viofs_err_set(err, rc, "%s can't be remounted: %s.", o->mountpoint, strerror(-rc));
out:
	close(fd);
	return rc;
}

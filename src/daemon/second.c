/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same file system again.
 *
 * A mount has flags of its own (read-only, nosuid, ...); the super block's and the daemon's options
 * are all mounts' together, and can't be changed while there is one. So words of those kinds must
 * be among the ones that the file system was mounted with. Words that aren't said are taken as they
 * are.
 *
 * The running daemon hands out a mount that has no place yet, by its control socket. It touches no
 * path: the directory and the rights are those of who asks, in whatever mount namespace that is.
 */
#include "daemon/second.h"
#include "base/text.h"
#include "daemon/control.h"
#include "daemon/status.h"
#include "attach/record.h"
#include "kernel/mount.h"
#include "kernel/mount_point.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define ATTRIBUTES                                                                                 \
	(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |            \
	 MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW)

static bool has_word(const json_t *list, const char *word)
{
	json_t *item, *wanted = viofs_status_text(word);
	bool has = false;
	size_t i;

	json_array_foreach(list, i, item) has |= json_equal(item, wanted);
	json_decref(wanted);
	return has;
}

/* The first of the daemon's options that the running one has not. NULL: none. */
static const char *new_word(const struct viofs_options *o, const json_t *reply)
{
	const json_t *list = json_object_get(reply, "options");

	for (unsigned int i = 0; i < o->word_count; i++)
		if (!has_word(list, o->words[i]))
			return o->words[i];
	return NULL;
}

/* The same of the super block's. A mount may be read-only alone. */
static const char *new_flag(const struct viofs_options *o, const json_t *reply)
{
	uint32_t theirs = (uint32_t)json_integer_value(json_object_get(reply, "super"));
	uint32_t more = o->mount.super & ~theirs & ~(uint32_t)VIOFS_SUPER_RO;

	if (theirs & ~o->mount.super & VIOFS_SUPER_RO)
		return "rw";
	return more ? viofs_mount_options_super_word(more & -more) : NULL;
}

static int check_options(const struct viofs_options *o, const json_t *reply, struct viofs_err *err)
{
	const char *word = new_word(o, reply);
	const char *at = json_string_value(json_object_get(reply, "mountpoint"));
	int pid = (int)json_integer_value(json_object_get(reply, "supervisor"));

	if (!word)
		word = new_flag(o, reply);
	if (word)
		return viofs_err_set(
			err, -EBUSY,
			"%s is mounted already, at %s (process %d), and not with \"%s\": a "
			"second mount shares all of the first one's options but its flags. "
			"Leave it out, or unmount that one first.",
			o->source, at ? at : "?", pid, word);
	if (o->foreground)
		return viofs_err_set(
			err, -EBUSY,
			"%s is mounted already, at %s, and is served by process %d: a second "
			"mount has no process that could stay in the foreground. Leave out "
			"-f.",
			o->source, at ? at : "?", pid);
	return 0;
}

static int put(int fd, const struct viofs_options *o, int directory, struct viofs_err *err)
{
	struct mount_attr a = { .attr_set = o->mount.attributes,
				.attr_clr = ATTRIBUTES,
				.propagation = MS_PRIVATE };
	int rc = mount_setattr(fd, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0 ? -errno : 0;

	if (!rc)
		rc = viofs_mount_put(fd, directory);
	return rc ? viofs_err_set(err, rc, "%s can't be mounted a second time: %s.", o->source,
				  strerror(-rc))
		  : 1;
}

int viofs_second_mount(const struct viofs_source *source, const struct viofs_options *o,
		       int directory, struct viofs_err *err)
{
	char path[PATH_MAX];
	json_t *reply = NULL;
	int fd, rc;

	viofs_control_path(path, sizeof(path), source->id);
	rc = viofs_control_ask_fd(path, VIOFS_CONTROL_CLONE, &reply, &fd);
	/* Who answers without one is starting, ending, or has lost the device: taking the device
	 * tells what there is to say. */
	if (!rc && fd >= 0) {
		rc = check_options(o, reply, err);
		if (!rc)
			rc = put(fd, o, directory, err);
	} else if (rc && !viofs_control_is_gone(rc)) {
		viofs_err_set(err, rc, "%s has a daemon already, which does not answer: %s.",
			      o->source, strerror(-rc));
	} else {
		rc = 0;
	}
	if (fd >= 0)
		close(fd);
	json_decref(reply);
	return rc;
}

/* As flags of mount(2): remounting by descriptor is there on all kernels. */
static unsigned long mount_flags(const struct viofs_mount_options *o)
{
	static const struct {
		uint64_t attribute;
		unsigned long flag;
	} each[] = {
		{ MOUNT_ATTR_RDONLY, MS_RDONLY },
		{ MOUNT_ATTR_NOSUID, MS_NOSUID },
		{ MOUNT_ATTR_NODEV, MS_NODEV },
		{ MOUNT_ATTR_NOEXEC, MS_NOEXEC },
		{ MOUNT_ATTR_NOATIME, MS_NOATIME },
		{ MOUNT_ATTR_STRICTATIME, MS_STRICTATIME },
		{ MOUNT_ATTR_NODIRATIME, MS_NODIRATIME },
		{ MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW },
	};
	unsigned long flags = MS_REMOUNT;

	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		if (o->attributes & each[i].attribute)
			flags |= each[i].flag;
	flags |= o->super & VIOFS_SUPER_SYNC ? MS_SYNCHRONOUS : 0;
	flags |= o->super & VIOFS_SUPER_DIRSYNC ? MS_DIRSYNC : 0;
	flags |= o->super & VIOFS_SUPER_LAZYTIME ? MS_LAZYTIME : 0;
	return flags;
}

static int check_remount(const struct viofs_options *o, struct viofs_err *err)
{
	char path[PATH_MAX];
	struct viofs_source source;
	json_t *reply = NULL;
	const char *word;
	int rc;

	if (!o->word_count)
		return 0;
	rc = viofs_source_find(o->source, &source, err);
	if (rc)
		return rc;
	viofs_control_path(path, sizeof(path), source.id);
	rc = viofs_control_ask(path, VIOFS_CONTROL_STATUS, &reply);
	word = rc ? NULL : new_word(o, reply);
	if (rc)
		viofs_err_set(err, rc, "The daemon of %s can't be asked for its options: %s.",
			      o->source, strerror(-rc));
	else if (word)
		rc = viofs_err_set(
			err, -EINVAL,
			"\"%s\" can't be changed while it is mounted. Unmount %s, and mount "
			"it with that.",
			word, o->mountpoint);
	json_decref(reply);
	return rc;
}

/* The root of the mount of ours that @path leads to. */
static int open_ours(const char *path, struct viofs_err *err)
{
	struct viofs_places places = { NULL, 0 };
	struct viofs_mount_id id;
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool ours;

	if (fd < 0)
		return viofs_err_set(err, -errno, "%s: %s", path, strerror(errno));
	ours = !viofs_mount_id_of(fd, &id) && id.is_root && !viofs_places_find(id.minor, &places) &&
	       places.count;
	viofs_places_free(&places);
	if (ours)
		return fd;
	close(fd);
	return viofs_err_set(err, -EINVAL, "%s is no mount of virtiofs-vfio.", path);
}

int viofs_second_remount(const struct viofs_options *o, struct viofs_err *err)
{
	int fd = open_ours(o->mountpoint, err), rc;
	char path[32];

	if (fd < 0)
		return fd;
	rc = check_remount(o, err);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!rc && mount("none", path, NULL, mount_flags(&o->mount), NULL) < 0)
		rc = viofs_err_set(err, -errno, "%s can't be remounted: %s.", o->mountpoint,
				   strerror(errno));
	close(fd);
	return rc;
}

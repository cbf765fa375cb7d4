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
 * path: directory and rights are the asking process's, in whatever mount namespace that is.
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

static bool has_word(const json_t *list, const char *word)
{
	json_t *item, *wanted = viofs_status_text(word);
	bool has = false;
	size_t i;

	json_array_foreach(list, i, item) has |= json_equal(item, wanted);
	json_decref(wanted);
	return has;
}

const char *viofs_second_new_word(const struct viofs_options *o, const json_t *reply)
{
	const json_t *list = json_object_get(reply, "options");

	for (unsigned int i = 0; i < o->word_count; i++)
		if (!has_word(list, o->words[i]))
			return o->words[i];
	return NULL;
}

/* The same for flags of the super block, but for read-only: a mount can have that for itself. */
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
	const char *word = viofs_second_new_word(o, reply);
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
				.attr_clr = VIOFS_SECOND_ATTRIBUTES,
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
	/*
	 * A daemon that answers without a descriptor is starting, ending, or has lost the device.
	 * The attempt to take the device then gives the right message.
	 */
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

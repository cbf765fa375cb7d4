/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * viofsctl umount, and umount(8)'s helpers: unmount, and return when the device is back.
 *
 * umount(2) returns when the mount is gone. The daemon still tells the device then, resets it and
 * gives it back. umount(8) calls umount.fuse.virtiofs-vfio if it looks at the list of mounts, and
 * umount.fuse if it has only asked the file system, which says "fuse". The latter gets all FUSE
 * mounts, and hands those that aren't ours back to umount(8).
 */
#include "ctl.h"
#include "daemon/control.h"
#include "kernel/mount_point.h"
#include "kernel/places.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* umount(8)'s own: a mount or unmount failed. */
#define EXIT_MOUNT 32
/* A worker may take 30 s at its end, then it is killed. */
#define LOOK_MS 100
#define END_LOOKS 450
/* Somebody may just look at the mount, which keeps it for an instant. */
#define MOUNTED_LOOKS 3

struct request {
	const char *dir;
	int flags; /* of umount2(2) */
};

/* The mount of ours at @dir. Return: false: it is none. */
static bool find(const char *dir, struct viofs_places *places, unsigned int *index)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct viofs_mount_id id;
	bool known;

	if (fd < 0)
		return false;
	known = !viofs_mount_id_of(fd, &id) && id.is_root;
	close(fd);
	if (!known || viofs_places_find(id.minor, places))
		return false;
	for (*index = 0; *index < places->count; (*index)++)
		if (places->list[*index].mount == id.mount)
			return true;
	viofs_places_free(places);
	return false;
}

/* Has the session another mount, wherever that is? */
static bool goes_on(const char *socket)
{
	json_t *s = NULL;
	bool mounted;

	if (!socket || viofs_control_ask(socket, VIOFS_CONTROL_STATUS, &s))
		return false;
	mounted = json_is_true(json_object_get(s, "mounted"));
	json_decref(s);
	return mounted;
}

/* Until process @pidfd has ended, unless its session goes on. */
static void wait_for_the_end(int pidfd, const char *socket)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	unsigned int mounted = 0;

	for (unsigned int i = 0; i < END_LOOKS && mounted < MOUNTED_LOOKS; i++) {
		if (poll(&p, 1, LOOK_MS))
			return;
		mounted = goes_on(socket) ? mounted + 1 : 0;
	}
	if (mounted < MOUNTED_LOOKS)
		viofs_ctl_complain("It is unmounted, but the daemon has not ended within %d s.",
				   END_LOOKS * LOOK_MS / 1000);
}

/* A mount that was aborted is taken away by its daemon. */
static bool goes_away(const struct viofs_mount_place *place)
{
	for (unsigned int i = 0; i < END_LOOKS; i++) {
		int fd = viofs_mount_place_open(place);

		if (fd < 0)
			return true;
		close(fd);
		usleep(LOOK_MS * 1000);
	}
	return false;
}

static int unmount(const struct viofs_mount_place *place, const struct request *r)
{
	json_t *all = json_array(), *one;
	const char *socket;
	int pidfd = -1, rc;

	/*
	 * Asked before unmounting: afterwards the number may be another process's. The daemon may
	 * be dead.
	 */
	viofs_ctl_ask_all(r->dir, VIOFS_CTL_IF_ANY, all);
	one = json_array_get(all, 0);
	socket = json_string_value(json_object_get(one, "socket"));
	if (one)
		pidfd = (int)syscall(SYS_pidfd_open,
				     (pid_t)json_integer_value(json_object_get(one, "supervisor")),
				     0);
	rc = viofs_mount_place_unmount(place, r->flags);
	if (rc == -EBUSY && (r->flags & MNT_FORCE) && goes_away(place))
		rc = 0;
	/* A detached mount may still be in use, and need the device, for a long time. */
	if (!rc && pidfd >= 0 && !(r->flags & MNT_DETACH))
		wait_for_the_end(pidfd, socket);
	if (pidfd >= 0)
		close(pidfd);
	json_decref(all);
	if (!rc)
		return 0;
	return viofs_ctl_complain("%s: %s.", r->dir,
				  rc == -EBUSY    ? "it is in use"
				  : rc == -ESTALE ? "another mount covers it"
						  : strerror(-rc));
}

int viofs_ctl_umount(const char *mountpoint)
{
	const struct request r = { mountpoint, 0 };
	struct viofs_places places;
	unsigned int i;
	int status;

	if (!find(mountpoint, &places, &i))
		return viofs_ctl_complain("%s is no mount of virtiofs-vfio.", mountpoint);
	status = unmount(&places.list[i], &r);
	viofs_places_free(&places);
	return status;
}

/* Somebody else's mount: leave it to umount(8) itself, without helpers. */
static int hand_back(const struct request *r)
{
	const char *argv[6] = { "umount", "-i" };
	int n = 2;

	if (r->flags & MNT_FORCE)
		argv[n++] = "-f";
	if (r->flags & MNT_DETACH)
		argv[n++] = "-l";
	argv[n++] = r->dir;
	execv("/bin/umount", (char **)argv);
	return viofs_ctl_complain("/bin/umount: %s.", strerror(errno));
}

int viofs_ctl_umount_helper(int argc, char **argv)
{
	struct request r = { NULL, 0 };
	struct viofs_places places;
	unsigned int i;
	int status;

	/* umount.TYPE DIR [-flnrv] [-N NAMESPACE] [-t TYPE] */
	for (int a = 1; a < argc; a++) {
		if (!strcmp(argv[a], "-N") || !strcmp(argv[a], "-t")) {
			a++;
		} else if (argv[a][0] == '-') {
			r.flags |= strchr(argv[a], 'f') ? MNT_FORCE : 0;
			r.flags |= strchr(argv[a], 'l') ? MNT_DETACH : 0;
		} else {
			r.dir = argv[a];
		}
	}
	if (!r.dir)
		return viofs_ctl_complain("This is umount(8)'s helper: %s DIRECTORY.", argv[0]);
	if (!find(r.dir, &places, &i))
		return hand_back(&r);
	status = unmount(&places.list[i], &r);
	viofs_places_free(&places);
	return status ? EXIT_MOUNT : 0;
}

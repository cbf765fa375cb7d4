/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connecting to a back end's socket, with an error that says what is wrong with it. */
#include "vhost/connect.h"

#include "base/util.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RETRY_US 10000

static int check_path(const char *path, struct viofs_err *err)
{
	struct stat st;
	int rc;

	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return viofs_err_set(err, -ENAMETOOLONG,
				     "The path of a socket has 107 bytes at most.");
	if (stat(path, &st) < 0) {
		rc = -errno;
		if (rc == -ENOENT)
			return viofs_err_set(err, rc,
					     "The socket does not exist: start the back end first "
					     "(virtiofsd --socket-path=%s ...).",
					     path);
		return viofs_err_set(err, rc, "%s.", strerror(-rc));
	}
	if (!S_ISSOCK(st.st_mode))
		return viofs_err_set(err, -ENOTSOCK, "This is no socket.");
	return 0;
}

static int say(int rc, struct viofs_err *err)
{
	switch (rc) {
	case -ECONNREFUSED:
		return viofs_err_set(
			err, rc,
			"Nobody listens there. The back end has ended, or serves another "
			"front end already: start it anew.");
	case -EPROTOTYPE:
		return viofs_err_set(err, rc,
				     "This is no stream socket, so no vhost-user back end's.");
	case -ETIMEDOUT:
		return viofs_err_set(err, rc,
				     "The back end does not take connections: is it stopped?");
	default:
		return viofs_err_set(err, rc, "%s.%s", strerror(-rc),
				     rc == -EACCES ? " Run it as who owns the socket, or as root."
						   : "");
	}
}

int viofs_vhost_connect(const char *path, int64_t end_ns, struct viofs_err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int sock, rc;

	rc = check_path(path, err);
	if (rc)
		return rc;
	memcpy(a.sun_path, path, strlen(path) + 1); /* check_path() has measured it */
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return say(-errno, err);
	/* EAGAIN: its queue of connections is full; poll(2) doesn't tell when it has room. */
	while ((rc = connect(sock, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0) == -EAGAIN) {
		if (viofs_now_ns() - end_ns >= 0) {
			rc = -ETIMEDOUT;
			break;
		}
		usleep(RETRY_US);
	}
	if (!rc)
		return sock;
	close(sock);
	return say(rc, err);
}

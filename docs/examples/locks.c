/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks of a file that two have opened: locks SOURCE FILE
 *
 * Record locks belong to the open file, as those of F_OFD_SETLK. Whoever waits for one does so
 * asynchronously here, so that he can go on, and give up.
 */
#include <viofs/viofs.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

static int lock(struct viofs_file *file, int command, short type, struct viofs_err *err)
{
	struct flock l;

	memset(&l, 0, sizeof(l));
	l.l_type = type;
	l.l_whence = SEEK_SET; /* from 0 on, to the end */
	return viofs_file_lock(file, command, &l, err);
}

/* Return: 0, or what went wrong. */
static int wait_and_get(struct viofs_async *async, struct viofs_file *holder,
			struct viofs_file *other)
{
	struct viofs_event event;
	struct flock l;
	int rc;

	memset(&l, 0, sizeof(l));
	l.l_type = F_WRLCK;
	l.l_whence = SEEK_SET;
	rc = viofs_file_lock_async(async, other, F_OFD_SETLKW, &l, NULL);
	if (rc)
		return rc;
	if (viofs_async_wait(async, &event, 1, 1, 100000000) > 0) {
		if (event.result == -EOPNOTSUPP || event.result == -ENOSYS) {
			printf("with this device nobody can wait for a lock\n");
			return 0;
		}
		return event.result < 0 ? (int)event.result : -EPROTO; /* both would have it */
	}
	printf("waits\n");
	rc = lock(holder, F_OFD_SETLK, F_UNLCK, NULL);
	if (rc)
		return rc;
	if (viofs_async_wait(async, &event, 1, 1, 5000000000LL) != 1)
		return -ETIMEDOUT;
	printf("got it: %s\n", strerror((int)-event.result));
	return (int)event.result;
}

int main(int argc, char **argv)
{
	struct viofs_file *holder = NULL, *other = NULL;
	struct viofs_session *session = NULL;
	struct viofs_async *async = NULL;
	struct viofs_dev *dev = NULL;
	static struct viofs_err err;
	int rc = -EIO;

	if (argc != 3) {
		fprintf(stderr, "Usage: locks SOURCE FILE\n");
		return 2;
	}
	if (viofs_dev_open(argv[1], NULL, &dev, &err) ||
	    viofs_session_open(dev, NULL, &session, &err) ||
	    viofs_async_open(session, 0, &async, &err) ||
	    viofs_file_open(session, argv[2], 0, O_RDWR, 0, &holder, &err) ||
	    viofs_file_open(session, argv[2], 0, O_RDWR, 0, &other, &err)) {
		fprintf(stderr, "%s\n", err.text);
	} else {
		rc = lock(holder, F_OFD_SETLK, F_WRLCK, &err);
		if (rc == -ENOSYS || rc == -EOPNOTSUPP) {
			printf("the device keeps no locks\n");
			rc = 0;
		} else if (!rc) {
			rc = lock(other, F_OFD_SETLK, F_WRLCK, &err);
			printf("the other one: %s\n", strerror(-rc));
			rc = rc == -EAGAIN ? wait_and_get(async, holder, other) : -EPROTO;
		}
		if (rc)
			fprintf(stderr, "%s %s\n", strerror(-rc), err.text);
	}
	viofs_async_close(async);
	viofs_file_close(other, NULL);
	viofs_file_close(holder, NULL);
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return rc != 0;
}

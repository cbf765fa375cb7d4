/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file gets other contents, all of them or none: replace SOURCE FILE TEXT
 *
 * Write, sync, close and rename are linked: each begins when the one before has ended well, without
 * a wait of the program's in between. Whoever opens FILE meanwhile gets the old one or the new one.
 */
#include <viofs/viofs.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WRITE, SYNC, CLOSE, RENAME, STEPS };

static const char *const names[STEPS] = { "write", "sync", "close", "rename" };

/* Begin them all. Return: 0, or why the last one that was tried can't be begun. */
static int begin(struct viofs_async *async, struct viofs_file *file, const char *text,
		 const char *from, const char *to, int64_t *results)
{
	int rc = viofs_file_pwrite_async(async, file, text, strlen(text), 0, &results[WRITE]);

	if (rc)
		return rc;
	viofs_async_link(async);
	rc = viofs_file_sync_async(async, file, 0, &results[SYNC]);
	if (rc)
		return rc;
	viofs_async_link(async);
	rc = viofs_file_close_async(async, file, &results[CLOSE]);
	if (rc)
		return rc;
	viofs_async_link(async);
	return viofs_path_rename_async(async, from, to, 0, 0, &results[RENAME]);
}

/* Return: is it done? */
static int replace(struct viofs_session *session, struct viofs_async *async, const char *path,
		   const char *text)
{
	int64_t results[STEPS] = { -ECANCELED, -ECANCELED, -ECANCELED, -ECANCELED };
	static struct viofs_err err;
	struct viofs_file *file = NULL;
	struct viofs_event event;
	char fresh[4096];
	int rc;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	rc = viofs_file_open(session, fresh, 0, O_CREAT | O_EXCL | O_WRONLY, 0644, &file, &err);
	if (rc) {
		fprintf(stderr, "%s\n", err.text);
		return 0;
	}
	rc = begin(async, file, text, fresh, path, results);
	while (viofs_async_pending(async))
		if (viofs_async_wait(async, &event, 1, 1, -1) == 1)
			*(int64_t *)event.user = event.result;
	if (rc)
		fprintf(stderr, "%s: %s\n", path, strerror(-rc));
	for (int i = 0; i < STEPS; i++)
		if (results[i] < 0 && results[i] != -ECANCELED)
			fprintf(stderr, "%s: %s: %s\n", path, names[i], strerror((int)-results[i]));
	if (results[RENAME])
		viofs_path_unlink(session, fresh, 0, NULL);
	return !results[RENAME];
}

int main(int argc, char **argv)
{
	struct viofs_session *session = NULL;
	struct viofs_async *async = NULL;
	struct viofs_dev *dev = NULL;
	static struct viofs_err err;
	int done = 0;

	if (argc != 4) {
		fprintf(stderr, "Usage: replace SOURCE FILE TEXT\n");
		return 2;
	}
	if (viofs_dev_open(argv[1], NULL, &dev, &err) ||
	    viofs_session_open(dev, NULL, &session, &err) ||
	    viofs_async_open(session, 0, &async, &err))
		fprintf(stderr, "%s\n", err.text);
	else
		done = replace(session, async, argv[2], argv[3]);
	if (done)
		printf("%s has other contents\n", argv[2]);
	viofs_async_close(async);
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return !done;
}

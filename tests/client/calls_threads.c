/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many threads, in one session and beside it. */
#include "calls.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 6
#define ROUNDS 60

struct worker {
	struct calls t; /* its own copy: errors and the outcome are */
	int number;
	pthread_t thread;
};

static void files_of_its_own(struct calls *t, int number)
{
	struct viofs_file *f = NULL;
	char path[64], text[64], back[64];
	struct stat st;

	for (int i = 0; i < ROUNDS; i++) {
		size_t len;

		snprintf(path, sizeof(path), "threads/%d-%d", number, i % 5);
		len = (size_t)snprintf(text, sizeof(text), "%d %d", number, i);
		if (!WORKS(t, viofs_file_open(t->s, path, 0, O_CREAT | O_RDWR | O_TRUNC, 0600, &f,
					      &t->err)))
			return;
		CHECK(t, viofs_file_pwrite(f, text, len, 0, &t->err) == (ssize_t)len);
		CHECK(t, viofs_file_pread(f, back, sizeof(back), 0, &t->err) == (ssize_t)len &&
				 !memcmp(text, back, len));
		WORKS(t, viofs_file_close(f, &t->err));
		WORKS(t, viofs_path_stat(t->s, path, 0, &st, &t->err));
		CHECK(t, st.st_size == (off_t)len);
		/* One that all of them work on. */
		WORKS(t, viofs_path_stat(t->s, "threads/common", 0, &st, &t->err));
		if (i % 5 == 4)
			WORKS(t, viofs_path_unlink(t->s, path, 0, &t->err));
	}
	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "threads/%d-%d", number, i);
		viofs_path_unlink(t->s, path, 0, NULL);
	}
}

/* And straight to the device, from handles that come and go. */
static void requests(struct calls *t)
{
	static const struct fuse_getattr_in in;

	for (int i = 0; i < ROUNDS; i++) {
		struct fuse_attr_out out[8];
		struct viofs_completion c[8];
		struct viofs_queue *q = NULL;
		struct viofs_request r[8];
		int sent, got = 0;

		if (!WORKS(t, viofs_queue_open(t->dev, &q, &t->err)))
			return;
		for (int k = 0; k < 8; k++)
			r[k] = (struct viofs_request){ .opcode = FUSE_GETATTR,
						       .nodeid = 1,
						       .args = &in,
						       .args_size = sizeof(in),
						       .reply = &out[k],
						       .reply_size = sizeof(out[k]),
						       .user = &out[k] };
		sent = viofs_queue_submit(q, r, 8);
		WORKS(t, sent);
		while (got < sent) {
			int n = viofs_queue_wait(q, c, 1, 8, 20000000000LL);

			if (!CHECK(t, n > 0))
				break;
			for (int k = 0; k < n; k++)
				CHECK(t, !c[k].error);
			got += n;
		}
		viofs_queue_close(q);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	if (w->number < THREADS)
		files_of_its_own(&w->t, w->number);
	else
		requests(&w->t);
	return NULL;
}

static void all_at_once(struct calls *t)
{
	struct worker w[THREADS + 2];

	WORKS(t, viofs_path_mkdir(t->s, "threads", 0, 0700, &t->err));
	WORKS(t, viofs_path_mknod(t->s, "threads/common", 0, S_IFREG | 0600, 0, &t->err));
	for (int i = 0; i < THREADS + 2; i++) {
		w[i] = (struct worker){ .t = *t, .number = i };
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	for (int i = 0; i < THREADS + 2; i++) {
		pthread_join(w[i].thread, NULL);
		t->failed |= w[i].t.failed;
	}
	WORKS(t, viofs_path_unlink(t->s, "threads/common", 0, &t->err));
	WORKS(t, viofs_path_rmdir(t->s, "threads", 0, &t->err));
}

const struct calls_case cases_threads[] = {
	{ "threads in one session, and beside it", all_at_once },
	{ NULL, NULL },
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many threads, in one session and beside it. */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* In the child: -1 as everything should be, or the number of what was not. */
static int without_a_device(struct calls *t, struct viofs_queue *q, struct viofs_async *a,
			    struct viofs_file *f, void *memory)
{
	struct viofs_request r = { .opcode = FUSE_STATFS, .nodeid = 1 };
	struct viofs_completion c;
	struct viofs_event e;
	unsigned char there;
	struct stat st;
	char data[8];

	const bool good[] = {
		viofs_dev_failed(t->dev) != NULL,
		mincore(memory, 4096, &there) < 0,
		!viofs_dma_alloc(t->dev, 4096),
		viofs_path_stat(t->s, "/", 0, &st, &t->err) == -ENODEV,
		strstr(t->err.text, "child") != NULL,
		viofs_file_read(f, data, sizeof(data), NULL) == -ENODEV,
		viofs_file_pread(f, data, sizeof(data), 0, NULL) == -ENODEV,
		viofs_path_stat_async(a, "/", 0, &st, NULL) == -ENODEV,
		viofs_async_wait(a, &e, 1, 1, -1) == 0,
		viofs_async_poll(a, &e, 1) == 0,
		viofs_async_arm(a) == 0,
		viofs_queue_submit(q, &r, 1) == -ENODEV,
		viofs_queue_poll(q, &c, 1) == -ENODEV,
		viofs_queue_wait(q, &c, 1, 1, -1) == -ENODEV,
		viofs_queue_arm(q) == 1,
		viofs_file_close(f, NULL) == -ENODEV,
	};

	for (unsigned int i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!good[i])
			return (int)i;
	viofs_queue_close(q);
	viofs_async_close(a);
	viofs_session_close(t->s);
	return viofs_dev_close(t->dev, NULL) == -ENODEV ? -1 : 100;
}

/* What is under way when the child comes ends in the parent, and what the child tries harms nobody.
 */
static void a_child_of_fork(struct calls *t)
{
	struct viofs_file *f = NULL;
	struct viofs_queue *q = NULL;
	struct viofs_async *a = NULL;
	void *memory = viofs_dma_alloc(t->dev, 4096);
	struct viofs_event e;
	int status = 0;
	struct stat st;
	pid_t child;

	CHECK(t, memory != NULL);
	WORKS(t, viofs_file_open(t->s, "forked", 0, O_CREAT | O_RDWR, 0600, &f, &t->err));
	WORKS(t, viofs_queue_open(t->dev, &q, &t->err));
	WORKS(t, viofs_async_open(t->s, 0, &a, &t->err));
	WORKS(t, viofs_path_stat_async(a, "/", 0, &st, &st));
	if (t->failed)
		return;
	child = fork();
	if (!child) {
		alarm(10);
		_exit(without_a_device(t, q, a, f, memory) + 1);
	}
	CHECK(t, waitpid(child, &status, 0) == child);
	if (!CHECK(t, WIFEXITED(status) && !WEXITSTATUS(status)))
		printf("# the child: 0x%x\n", (unsigned int)status);
	CHECK(t, viofs_async_wait(a, &e, 1, 1, 10000000000LL) == 1 && !e.result);
	CHECK(t, viofs_file_pwrite(f, "here", 4, 0, &t->err) == 4);
	CHECK(t, !viofs_dev_failed(t->dev));
	viofs_async_close(a);
	viofs_queue_close(q);
	viofs_dma_free(t->dev, memory);
	WORKS(t, viofs_file_close(f, &t->err));
	WORKS(t, viofs_path_unlink(t->s, "forked", 0, &t->err));
}

const struct calls_case cases_threads[] = {
	{ "a child of fork(2) has no device, and harms nobody", a_child_of_fork },
	{ "threads in one session, and beside it", all_at_once },
	{ NULL, NULL },
};

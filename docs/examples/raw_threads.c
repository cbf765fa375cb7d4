/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * FUSE requests of one's own, in batches, by two threads with a queue each: raw_threads SOURCE
 *
 * viofs_session_open() does FUSE_INIT, which each device wants first; the requests have nothing to
 * do with the session otherwise.
 */
#include <viofs/viofs.h>

#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH 32
#define ROUNDS 200

struct work {
	struct viofs_dev *dev;
	pthread_t thread;
	unsigned int answers, errors;
	int rc;
	struct viofs_err err;
};

static void prepare(struct viofs_request *r, const struct fuse_getattr_in *in,
		    struct fuse_attr_out *out)
{
	memset(r, 0, sizeof(*r)); /* reserved fields are 0 */
	r->opcode = FUSE_GETATTR;
	r->nodeid = FUSE_ROOT_ID;
	r->uid = getuid();
	r->gid = getgid();
	r->pid = (uint32_t)getpid();
	r->args = in;
	r->args_size = sizeof(*in);
	r->reply = out;
	r->reply_size = sizeof(*out);
}

static void *run(void *arg)
{
	struct work *w = (struct work *)arg;
	struct viofs_completion done[BATCH];
	struct viofs_request requests[BATCH];
	struct fuse_attr_out attrs[BATCH];
	struct fuse_getattr_in in;
	struct viofs_queue *queue;

	memset(&in, 0, sizeof(in));
	w->rc = viofs_queue_open(w->dev, &queue, &w->err);
	if (w->rc)
		return NULL;
	for (int i = 0; i < BATCH; i++)
		prepare(&requests[i], &in, &attrs[i]);
	for (int round = 0; round < ROUNDS && w->rc >= 0; round++) {
		unsigned int sent = 0;

		/* Where the queue is full, less is sent: take answers, then go on. */
		while (sent < BATCH && w->rc >= 0) {
			w->rc = viofs_queue_submit(queue, requests + sent, BATCH - sent);
			if (w->rc > 0)
				sent += (unsigned int)w->rc;
			if (w->rc >= 0)
				w->rc = viofs_queue_wait(queue, done, 1, BATCH, -1);
			for (int i = 0; i < w->rc; i++) {
				w->answers++;
				w->errors += done[i].error != 0;
			}
		}
		/* The batch's structs are used again: all of it has to have ended. */
		while (w->rc >= 0 && viofs_queue_in_flight(queue)) {
			w->rc = viofs_queue_wait(queue, done, 1, BATCH, -1);
			for (int i = 0; i < w->rc; i++) {
				w->answers++;
				w->errors += done[i].error != 0;
			}
		}
	}
	viofs_queue_close(queue);
	return NULL;
}

int main(int argc, char **argv)
{
	struct viofs_session *session = NULL;
	struct viofs_dev *dev = NULL;
	static struct viofs_err err;
	struct work work[2];
	int bad = 1;

	if (argc < 2) {
		fprintf(stderr, "Usage: raw_threads SOURCE\n");
		return 2;
	}
	memset(work, 0, sizeof(work));
	if (viofs_dev_open(argv[1], NULL, &dev, &err) ||
	    viofs_session_open(dev, NULL, &session, &err)) {
		fprintf(stderr, "%s\n", err.text);
	} else {
		bad = 0;
		for (int i = 0; i < 2; i++) {
			work[i].dev = dev;
			if (pthread_create(&work[i].thread, NULL, run, &work[i]))
				return 1;
		}
		for (int i = 0; i < 2; i++) {
			pthread_join(work[i].thread, NULL);
			if (work[i].rc < 0)
				fprintf(stderr, "%s: %s\n", strerror(-work[i].rc),
					work[i].err.text);
			bad |= work[i].rc < 0 || work[i].errors;
		}
		printf("%u answers, %u errors\n", work[0].answers + work[1].answers,
		       work[0].errors + work[1].errors);
	}
	viofs_session_close(session);
	viofs_dev_close(dev, NULL);
	return bad;
}

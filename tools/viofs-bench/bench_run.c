/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The threads of viofs-bench. Each has a queue handle, DMA memory, and `depth` requests that are
 * sent again as soon as they have ended, in batches of what has ended together. Nothing is
 * allocated after the start, and the time is read once for a batch, not for a request.
 */
#include "bench.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MAX 256U

static volatile int stopped;

const char *const viofs_bench_kind_names[VIOFS_BENCH_KINDS] = { "getattr", "lookup", "statfs",
								"read", "write" };

/* One of the `depth`. */
struct slot {
	struct viofs_request request;
	union {
		struct fuse_getattr_in getattr;
		struct fuse_read_in read;
		struct fuse_write_in write;
		char name[256];
	} args;
	union {
		struct fuse_attr_out attr;
		struct fuse_entry_out entry;
		struct fuse_statfs_out statfs;
		struct fuse_write_out write;
	} reply;
	struct iovec data;
	enum viofs_bench_kind kind;
	uint64_t since;
};

struct worker {
	pthread_t thread;
	const struct viofs_bench_job *job;
	const struct viofs_bench_target *target;
	pthread_barrier_t *start;
	struct viofs_queue *queue;
	uint8_t *memory;
	struct slot *slots;
	struct viofs_request *batch;
	uint64_t next, random, sent;
	struct viofs_bench_result result;
	struct viofs_err err;
	int rc;
};

void viofs_bench_stop(void)
{
	stopped = 1;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* xorshift64*: which block, which kind. */
static uint64_t random_number(struct worker *w)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return w->random * 2685821657736338717ULL;
}

static enum viofs_bench_kind choose(struct worker *w)
{
	unsigned int at = w->job->weights > 1 ? (unsigned int)(random_number(w) % w->job->weights)
					      : 0,
		     kind;

	for (kind = 0; kind < VIOFS_BENCH_KINDS - 1 && at >= w->job->weight[kind]; kind++)
		at -= w->job->weight[kind];
	return kind;
}

static uint64_t choose_offset(struct worker *w)
{
	uint64_t blocks = w->job->size / w->job->block;

	return (w->job->sequential ? w->next++ % blocks : random_number(w) % blocks) *
	       w->job->block;
}

static void set_args(struct slot *s, uint32_t opcode, const void *args, uint32_t size, void *reply,
		     uint32_t reply_size)
{
	s->request.opcode = opcode;
	s->request.args = args;
	s->request.args_size = size;
	s->request.reply = reply;
	s->request.reply_size = reply_size;
	s->request.data_count = s->request.reply_data_count = 0;
}

static void prepare_io(struct worker *w, struct slot *s, bool write)
{
	uint64_t offset = choose_offset(w);

	/* fuse_read_in and fuse_write_in are alike in what is set here. */
	s->args.write = (struct fuse_write_in){ .fh = w->target->fh,
						.offset = offset,
						.size = w->job->block };
	if (write) {
		set_args(s, FUSE_WRITE, &s->args.write, sizeof(s->args.write), &s->reply.write,
			 sizeof(s->reply.write));
		s->request.data = &s->data;
		s->request.data_count = 1;
	} else {
		set_args(s, FUSE_READ, &s->args.read, sizeof(s->args.read), NULL, 0);
		s->request.reply_data = &s->data;
		s->request.reply_data_count = 1;
	}
}

/* The next request in @s. */
static void prepare(struct worker *w, struct slot *s)
{
	s->kind = choose(w);
	s->request.nodeid = w->target->nodeid;
	switch (s->kind) {
	case VIOFS_BENCH_LOOKUP:
		s->request.nodeid = FUSE_ROOT_ID;
		snprintf(s->args.name, sizeof(s->args.name), "%s", w->target->name);
		set_args(s, FUSE_LOOKUP, s->args.name, (uint32_t)strlen(s->args.name) + 1,
			 &s->reply.entry, sizeof(s->reply.entry));
		break;
	case VIOFS_BENCH_STATFS:
		set_args(s, FUSE_STATFS, NULL, 0, &s->reply.statfs, sizeof(s->reply.statfs));
		break;
	case VIOFS_BENCH_READ:
	case VIOFS_BENCH_WRITE:
		prepare_io(w, s, s->kind == VIOFS_BENCH_WRITE);
		break;
	default:
		memset(&s->args.getattr, 0, sizeof(s->args.getattr));
		set_args(s, FUSE_GETATTR, &s->args.getattr, sizeof(s->args.getattr), &s->reply.attr,
			 sizeof(s->reply.attr));
	}
}

static void forget(struct worker *w, const struct slot *s)
{
	struct fuse_forget_in in = { .nlookup = 1 };
	struct viofs_request r = { .opcode = FUSE_FORGET,
				   .nodeid = s->reply.entry.nodeid,
				   .args = &in,
				   .args_size = sizeof(in),
				   .flags = VIOFS_REQUEST_SILENT };

	/* Hiprio may be full for a moment. */
	while (!viofs_queue_submit(w->queue, &r, 1))
		;
}

static void account(struct worker *w, struct slot *s, const struct viofs_completion *c,
		    uint64_t now)
{
	bool io = s->kind == VIOFS_BENCH_READ || s->kind == VIOFS_BENCH_WRITE;

	viofs_hist_add(&w->result.hist, now - s->since);
	w->result.ops++;
	if (c->error) {
		w->result.errors++;
		if (!w->result.first_error)
			w->result.first_error = c->error;
	} else if (io) {
		w->result.bytes += w->job->block;
	} else if (s->kind == VIOFS_BENCH_LOOKUP) {
		forget(w, s);
	}
}

/* @count requests of w->batch; what the queue has no room for is sent as soon as it has. */
static int send_batch(struct worker *w, unsigned int count)
{
	unsigned int done = 0;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	for (unsigned int i = 0; i < count; i++)
		w->slots[(struct slot *)w->batch[i].user - w->slots].since = now;
	while (done < count) {
		int rc = viofs_queue_submit(w->queue, w->batch + done, count - done);

		if (rc < 0)
			return rc;
		done += (unsigned int)rc;
	}
	w->sent += count;
	return 0;
}

static bool is_enough(const struct worker *w, uint64_t now, uint64_t end)
{
	return stopped || (w->job->requests ? w->sent >= w->job->requests : now >= end);
}

/* Until the time is over, and what was sent has ended. */
static int work(struct worker *w)
{
	struct viofs_completion done[BATCH_MAX];
	uint64_t begin = clock_ns(CLOCK_MONOTONIC), end = begin + (uint64_t)(w->job->seconds * 1e9),
		 now = begin;
	unsigned int in_flight = w->job->depth;
	int rc;

	for (unsigned int i = 0; i < w->job->depth; i++) {
		prepare(w, &w->slots[i]);
		w->batch[i] = w->slots[i].request;
	}
	rc = send_batch(w, w->job->depth);
	while (!rc && in_flight) {
		unsigned int again = 0;
		int count = viofs_queue_wait(w->queue, done,
					     w->job->batch < in_flight ? w->job->batch : in_flight,
					     BATCH_MAX, -1);

		if (count < 0)
			return count;
		now = clock_ns(CLOCK_MONOTONIC);
		for (int i = 0; i < count; i++) {
			struct slot *s = done[i].user;

			account(w, s, &done[i], now);
			in_flight--;
			if (is_enough(w, now, end))
				continue;
			prepare(w, s);
			w->batch[again++] = s->request;
		}
		in_flight += again;
		if (again)
			rc = send_batch(w, again);
	}
	w->result.seconds = (double)(now - begin) / 1e9;
	return rc;
}

static int set_up(struct worker *w)
{
	const struct viofs_bench_job *job = w->job;
	bool data = job->weight[VIOFS_BENCH_READ] || job->weight[VIOFS_BENCH_WRITE];
	int rc = viofs_queue_open(w->target->dev, &w->queue, &w->err);

	if (rc)
		return rc;
	w->slots = calloc(job->depth, sizeof(*w->slots));
	w->batch = calloc(job->depth > BATCH_MAX ? job->depth : BATCH_MAX, sizeof(*w->batch));
	w->memory = data ? viofs_dma_alloc(w->target->dev, (size_t)job->block * job->depth) : NULL;
	if (!w->slots || !w->batch || (data && !w->memory)) {
		snprintf(w->err.text, sizeof(w->err.text),
			 "Out of memory for %u requests of %u bytes.", job->depth, job->block);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < job->depth; i++) {
		struct slot *s = &w->slots[i];

		s->request.uid = getuid();
		s->request.gid = getgid();
		s->request.pid = (uint32_t)getpid();
		s->request.user = s;
		s->data = (struct iovec){ data ? w->memory + (size_t)i * job->block : NULL,
					  job->block };
		if (data)
			memset(s->data.iov_base, (int)('a' + i % 26), job->block);
	}
	return 0;
}

static void *run_worker(void *argument)
{
	struct worker *w = argument;

	w->rc = set_up(w);
	pthread_barrier_wait(w->start);
	if (!w->rc)
		w->rc = work(w);
	w->result.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	viofs_queue_close(w->queue);
	free(w->slots);
	free(w->batch);
	if (!viofs_dev_failed(w->target->dev))
		viofs_dma_free(w->target->dev, w->memory);
	return NULL;
}

static int collect(struct worker *w, struct viofs_bench_result *sum)
{
	viofs_hist_merge(&sum->hist, &w->result.hist);
	sum->ops += w->result.ops;
	sum->bytes += w->result.bytes;
	sum->errors += w->result.errors;
	sum->cpu_ns += w->result.cpu_ns;
	if (!sum->first_error)
		sum->first_error = w->result.first_error;
	if (w->result.seconds > sum->seconds)
		sum->seconds = w->result.seconds;
	if (w->rc)
		fprintf(stderr, "viofs-bench: %s\n",
			w->err.text[0] ? w->err.text : strerror(-w->rc));
	return w->rc;
}

int viofs_bench_run(const struct viofs_bench_job *job, const struct viofs_bench_target *target,
		    struct viofs_bench_result *sum)
{
	struct worker *workers = calloc(job->threads, sizeof(*workers));
	pthread_barrier_t start;
	int rc = 0;

	if (!workers)
		return -ENOMEM;
	memset(sum, 0, sizeof(*sum));
	pthread_barrier_init(&start, NULL, job->threads);
	for (unsigned int i = 0; i < job->threads; i++) {
		struct worker *w = &workers[i];

		w->job = job;
		w->target = target;
		w->start = &start;
		w->random = 88172645463325252ULL + i * 7919ULL;
		w->next = job->size / job->block / job->threads * i;
		if (pthread_create(&w->thread, NULL, run_worker, w)) {
			fprintf(stderr, "viofs-bench: %u threads can't be started.\n",
				job->threads);
			/* The barrier waits for all of them. */
			exit(1);
		}
	}
	for (unsigned int i = 0; i < job->threads; i++) {
		int one;

		pthread_join(workers[i].thread, NULL);
		one = collect(&workers[i], sum);
		rc = rc ? rc : one;
	}
	pthread_barrier_destroy(&start);
	free(workers);
	return rc;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices of fio's jobs. A device can be opened once and has one session, so jobs with the same
 * source= share it. Each has its asynchronous user, and with it a queue. fio sets up all jobs in
 * its first thread before any of them runs, so a device is there until the last job that names it
 * has ended, or fio does.
 */
#include "fio_engine.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define DEPTH_MIN 128U
#define DEPTH_MAX 1024U
#define DATA_MIN (1U << 20)
#define DATA_MAX (16U << 20)
#define PAGE 4096U

struct viofs_fio_share {
	struct viofs_fio_share *next;
	struct viofs_fio_options options; /* of the job that opened it; source is a copy */
	unsigned int jobs;
	struct viofs_dev *dev;
	struct viofs_session *session;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct viofs_fio_share *shares;

int viofs_fio_fail(struct thread_data *td, int rc, const char *what, const struct viofs_err *err)
{
	log_err("viofs: %s: %s\n", what, err && err->text[0] ? err->text : strerror(-rc));
	td_verror(td, -rc, what);
	return 1;
}

/* What the jobs on @source need together. */
static void add_needs(const char *source, struct viofs_dev_options *o)
{
	unsigned long long depth = 0, data = 0;
	struct thread_data *td;
	int i;

	for_each_td(td, i)
	{
		const struct viofs_fio_options *eo = td->eo;

		if (td->io_ops != &ioengine || !eo || !eo->source || strcmp(eo->source, source))
			continue;
		depth += td->o.iodepth;
		if (td_max_bs(td) > data)
			data = td_max_bs(td);
		/* fio aligns buffers itself where it has to, and asks for so much more. */
		o->dma_size += td_max_bs(td) * td->o.iodepth + td->o.mem_align + 4UL * PAGE;
	}
	o->depth = (uint32_t)(depth < DEPTH_MIN   ? DEPTH_MIN
			      : depth > DEPTH_MAX ? DEPTH_MAX
						  : depth);
	data = (data + PAGE - 1) / PAGE * PAGE;
	o->max_data = (uint32_t)(data < DATA_MIN ? DATA_MIN : data > DATA_MAX ? DATA_MAX : data);
}

static bool is_same(const struct viofs_fio_options *a, const struct viofs_fio_options *b)
{
	return a->queues == b->queues && a->spin_us == b->spin_us &&
	       a->device_timeout == b->device_timeout && a->small_pages == b->small_pages &&
	       a->unsafe_noiommu == b->unsafe_noiommu;
}

static void free_share(struct viofs_fio_share *share)
{
	struct viofs_err err = { .text = "" };

	viofs_session_close(share->session);
	if (viofs_dev_close(share->dev, &err))
		log_err("viofs: %s\n", err.text);
	free(share->options.source);
	free(share);
}

static int open_share(const struct viofs_fio_options *eo, struct viofs_fio_share **out,
		      struct viofs_err *err)
{
	struct viofs_fio_share *share = calloc(1, sizeof(*share));
	struct viofs_dev_options o;
	int rc = -ENOMEM;

	if (!share)
		return rc;
	share->options = *eo;
	share->options.source = strdup(eo->source);
	viofs_dev_options_init(&o, sizeof(o));
	o.flags = VIOFS_DEV_BIND | (eo->small_pages ? VIOFS_DEV_SMALL_PAGES : 0) |
		  (eo->unsafe_noiommu ? VIOFS_DEV_UNSAFE_NOIOMMU : 0);
	o.queues = eo->queues;
	o.spin_us = eo->spin_us;
	o.timeout_ms = eo->device_timeout * 1000;
	add_needs(eo->source, &o);
	if (share->options.source)
		rc = viofs_dev_open(eo->source, &o, &share->dev, err);
	if (!rc)
		rc = viofs_session_open(share->dev, NULL, &share->session, err);
	if (rc) {
		free_share(share);
		return rc;
	}
	share->next = shares;
	shares = share;
	*out = share;
	return 0;
}

int viofs_fio_share_get(struct thread_data *td, struct viofs_fio_job *job)
{
	const struct viofs_fio_options *eo = td->eo;
	struct viofs_err err = { .text = "" };
	struct viofs_fio_share *share;
	int rc = 0;

	pthread_mutex_lock(&lock);
	for (share = shares; share && strcmp(share->options.source, eo->source);
	     share = share->next)
		;
	if (!share) {
		rc = open_share(eo, &share, &err);
	} else if (!is_same(&share->options, eo)) {
		rc = -EINVAL;
		snprintf(err.text, sizeof(err.text),
			 "Jobs on one device need the same options of the engine.");
	}
	if (!rc) {
		share->jobs++;
		job->share = share;
		job->session = share->session;
	}
	pthread_mutex_unlock(&lock);
	return rc ? viofs_fio_fail(td, rc, eo->source, &err) : 0;
}

void viofs_fio_share_put(struct viofs_fio_job *job)
{
	struct viofs_fio_share **at;

	pthread_mutex_lock(&lock);
	if (job->share && !--job->share->jobs) {
		for (at = &shares; *at != job->share; at = &(*at)->next)
			;
		*at = job->share->next;
		free_share(job->share);
	}
	job->share = NULL;
	pthread_mutex_unlock(&lock);
}

/* fio forgets jobs that it has set up and never began. Their device goes back to its driver all the
 * same. */
static void __attribute__((destructor)) close_rest(void)
{
	while (shares) {
		struct viofs_fio_share *share = shares;

		shares = share->next;
		free_share(share);
	}
}

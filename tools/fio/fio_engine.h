/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fio's engine on libviofs: what its files share. With fio's headers, which are GPL-2.0-only, the
 * engine is that too. */
#ifndef VIOFS_FIO_ENGINE_H
#define VIOFS_FIO_ENGINE_H

#include <fio.h>
#include <optgroup.h>

#include <viofs/viofs.h>

/** struct viofs_fio_options - of a job; fio wants nothing at the begin */
struct viofs_fio_options {
	void *pad;
	char *source;
	unsigned int queues, spin_us, device_timeout; /* device_timeout: seconds */
	unsigned int small_pages, unsafe_noiommu;
};

/** struct viofs_fio_job - what a job has */
struct viofs_fio_job {
	struct viofs_fio_share *share;
	struct viofs_session *session;
	struct viofs_async *async;
	struct viofs_event *events; /* iodepth of them */
	void *memory;
	bool told; /* the first fault was printed */
};

/** viofs_fio_share_get() - the device of @td's job, which all jobs with that source share. Return:
 * 0; 1, that was said. */
int viofs_fio_share_get(struct thread_data *td, struct viofs_fio_job *job);
/** viofs_fio_share_put() - the last one closes it. */
void viofs_fio_share_put(struct viofs_fio_job *job);

/** viofs_fio_lay_out() - find out the files' sizes; make them where the job reads. Return: 0; 1,
 * that was said. */
int viofs_fio_lay_out(struct thread_data *td, struct viofs_session *session);

/** viofs_fio_fail() - an error in fio's way, with its text. Return: 1. */
int viofs_fio_fail(struct thread_data *td, int rc, const char *what, const struct viofs_err *err);

extern struct ioengine_ops ioengine;

#endif

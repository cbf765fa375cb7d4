/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fio's engine on libviofs: each job is an asynchronous user of the device's session, and its
 * buffers are memory that the device itself reads and writes. setup() runs in fio's first thread,
 * all else in the job's; so jobs must be threads: a child of fork(2) can't use a device that its
 * parent has opened.
 */
#include "fio_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

extern const char fio_version_string[];

static struct fio_option options[] = {
	{ .name = "source",
	  .lname = "Device",
	  .type = FIO_OPT_STR_STORE,
	  .off1 = offsetof(struct viofs_fio_options, source),
	  .help = "A tag, tag:NAME, a PCI address, or vhost-user:PATH",
	  .category = FIO_OPT_C_ENGINE,
	  .group = FIO_OPT_G_INVALID },
	{ .name = "queues",
	  .lname = "Request queues",
	  .type = FIO_OPT_INT,
	  .off1 = offsetof(struct viofs_fio_options, queues),
	  .help = "Request queues, with vhost-user; 0: the back end's",
	  .def = "0",
	  .category = FIO_OPT_C_ENGINE,
	  .group = FIO_OPT_G_INVALID },
	{ .name = "spin_us",
	  .lname = "Polling",
	  .type = FIO_OPT_INT,
	  .off1 = offsetof(struct viofs_fio_options, spin_us),
	  .help = "Poll so many us before sleeping; 4294967295: always",
	  .def = "50",
	  .category = FIO_OPT_C_ENGINE,
	  .group = FIO_OPT_G_INVALID },
	{ .name = "device_timeout",
	  .lname = "Time for an answer",
	  .type = FIO_OPT_INT,
	  .off1 = offsetof(struct viofs_fio_options, device_timeout),
	  .maxval = 86400,
	  .help = "A device that doesn't answer for so many seconds has failed; 0: never",
	  .def = "60",
	  .category = FIO_OPT_C_ENGINE,
	  .group = FIO_OPT_G_INVALID },
	{ .name = "small_pages",
	  .lname = "No hugepages",
	  .type = FIO_OPT_BOOL,
	  .off1 = offsetof(struct viofs_fio_options, small_pages),
	  .help = "Use no hugepages",
	  .def = "0",
	  .category = FIO_OPT_C_ENGINE,
	  .group = FIO_OPT_G_INVALID },
	{ .name = "unsafe_noiommu",
	  .lname = "No IOMMU",
	  .type = FIO_OPT_BOOL,
	  .off1 = offsetof(struct viofs_fio_options, unsafe_noiommu),
	  .help = "With no IOMMU: the device can reach all memory of the machine",
	  .def = "0",
	  .category = FIO_OPT_C_ENGINE,
	  .group = FIO_OPT_G_INVALID },
	{ .name = NULL },
};

/* What can't work. Return: NULL, or what it is. */
static const char *refusal(const struct thread_data *td)
{
	const struct viofs_fio_options *eo = td->eo;

	if (!eo->source || !*eo->source)
		return "source= is missing: a tag, tag:NAME, a PCI address, or vhost-user:PATH";
	if (!td->o.use_thread)
		return "jobs must be threads, thread=1: a device can't be used after fork(2)";
	if (td->o.fill_device)
		return "fill_device= asks this machine's file systems: give a size=";
	return NULL;
}

/* The device, where the job hasn't got it. Return: 0; 1, that was said. */
static int take_share(struct thread_data *td)
{
	struct viofs_fio_job *job = td->io_ops_data;
	const char *wrong;

	/* Before any field of @td is read: another fio version has other structs. */
	if (strcmp(fio_version_string, VIOFS_FIO_VERSION)) {
		log_err("viofs: made for %s, and this is %s: make the engine with that version's "
			"source\n",
			VIOFS_FIO_VERSION, fio_version_string);
		return 1;
	}
	if (job)
		return 0;
	wrong = refusal(td);
	if (wrong) {
		log_err("viofs: %s\n", wrong);
		td_verror(td, EINVAL, "options");
		return 1;
	}
	job = calloc(1, sizeof(*job));
	if (!job)
		return viofs_fio_fail(td, -ENOMEM, "job", NULL);
	if (viofs_fio_share_get(td, job)) {
		free(job);
		return 1;
	}
	td->io_ops_data = job;
	return 0;
}

static void cleanup(struct thread_data *td)
{
	struct viofs_fio_job *job = td->io_ops_data;

	if (!job)
		return;
	viofs_async_close(job->async);
	viofs_fio_share_put(job);
	free(job->events);
	free(job);
	td->io_ops_data = NULL;
}

/* fio ends a job whose setup failed with no cleanup(). */
static int setup(struct thread_data *td)
{
	struct viofs_fio_job *job;

	if (take_share(td))
		return 1;
	job = td->io_ops_data;
	if (!viofs_fio_lay_out(td, job->session))
		return 0;
	if (!job->async)
		cleanup(td);
	return 1;
}

static int init(struct thread_data *td)
{
	struct viofs_fio_job *job;
	struct viofs_err err = { .text = "" };
	int rc;

	if (take_share(td))
		return 1;
	job = td->io_ops_data;
	job->events = calloc(td->o.iodepth, sizeof(*job->events));
	rc = job->events ? viofs_async_open(job->session, td->o.iodepth, &job->async, &err)
			 : -ENOMEM;
	return rc ? viofs_fio_fail(td, rc, "init", &err) : 0;
}

static int alloc_memory(struct thread_data *td, size_t size)
{
	struct viofs_fio_job *job = td->io_ops_data;

	job->memory = viofs_dma_alloc(viofs_session_dev(job->session), size);
	td->orig_buffer = job->memory;
	return job->memory ? 0 : viofs_fio_fail(td, -ENOMEM, "buffers", NULL);
}

static void free_memory(struct thread_data *td)
{
	struct viofs_fio_job *job = td->io_ops_data;
	struct viofs_dev *dev;

	/* A job that never came to init() has none. */
	if (!job || !job->memory)
		return;
	/* What a job left under way uses its buffers. */
	while (viofs_async_wait(job->async, job->events, 1, td->o.iodepth, -1) > 0)
		;
	dev = viofs_session_dev(job->session);
	if (!viofs_dev_failed(dev))
		viofs_dma_free(dev, job->memory);
	job->memory = NULL;
	td->orig_buffer = NULL;
}

static int open_file(struct thread_data *td, struct fio_file *f)
{
	struct viofs_fio_job *job = td->io_ops_data;
	struct viofs_file *file;
	struct viofs_err err = { .text = "" };
	int flags = (td_write(td) || td_trim(td)) ? O_RDWR : O_RDONLY, rc;

	if (td_write(td) && td->o.allow_create && !read_only)
		flags |= O_CREAT;
	flags |= (td->o.odirect ? O_DIRECT : 0) | (int)td->o.sync_io;
	rc = viofs_file_open(job->session, f->file_name, 0, flags, 0644, &file, &err);
	if (rc)
		return viofs_fio_fail(td, rc, f->file_name, &err);
	f->engine_data = file;
	return 0;
}

static int close_file(struct thread_data *td, struct fio_file *f)
{
	int rc = viofs_file_close(f->engine_data, NULL);

	f->engine_data = NULL;
	return -rc;
}

static int unlink_file(struct thread_data *td, struct fio_file *f)
{
	struct viofs_fio_job *job = td->io_ops_data;

	return -viofs_path_unlink(job->session, f->file_name, 0, NULL);
}

static int get_file_size(struct thread_data *td, struct fio_file *f)
{
	struct viofs_fio_job *job = td->io_ops_data;
	struct viofs_err err = { .text = "" };
	struct stat st;
	int rc = viofs_path_stat(job->session, f->file_name, 0, &st, &err);

	if (rc)
		return viofs_fio_fail(td, rc, f->file_name, &err);
	f->real_file_size = (uint64_t)st.st_size;
	fio_file_set_size_known(f);
	return 0;
}

static enum fio_q_status queue(struct thread_data *td, struct io_u *u)
{
	struct viofs_async *async = ((struct viofs_fio_job *)td->io_ops_data)->async;
	struct viofs_file *file = u->file->engine_data;
	int rc;

	fio_ro_check(td, u);
	switch (u->ddir) {
	case DDIR_READ:
		rc = viofs_file_pread_async(async, file, u->xfer_buf, u->xfer_buflen, u->offset, u);
		break;
	case DDIR_WRITE:
		rc = viofs_file_pwrite_async(async, file, u->xfer_buf, u->xfer_buflen, u->offset,
					     u);
		break;
	case DDIR_TRIM:
		rc = viofs_file_allocate_async(async, file,
					       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					       u->offset, u->xfer_buflen, u);
		break;
	case DDIR_SYNC:
		rc = viofs_file_sync_async(async, file, 0, u);
		break;
	/* FUSE has no range in a sync: the file is more than what was asked for. */
	case DDIR_SYNC_FILE_RANGE:
	case DDIR_DATASYNC:
		rc = viofs_file_sync_async(async, file, 1, u);
		break;
	default:
		rc = -EOPNOTSUPP;
	}
	if (!rc)
		return FIO_Q_QUEUED;
	u->error = (unsigned int)-rc;
	return FIO_Q_COMPLETED;
}

static int getevents(struct thread_data *td, unsigned int min, unsigned int max,
		     const struct timespec *t)
{
	struct viofs_fio_job *job = td->io_ops_data;
	int64_t ns = t ? t->tv_sec * 1000000000LL + t->tv_nsec : -1;

	return min ? viofs_async_wait(job->async, job->events, min, max, ns)
		   : viofs_async_poll(job->async, job->events, max);
}

static struct io_u *event(struct thread_data *td, int number)
{
	struct viofs_fio_job *job = td->io_ops_data;
	const struct viofs_event *e = &job->events[number];
	const char *why = viofs_dev_failed(viofs_session_dev(job->session));
	struct io_u *u = e->user;

	u->error = e->result < 0 ? (unsigned int)-e->result : 0;
	if (e->result >= 0 && (u->ddir == DDIR_READ || u->ddir == DDIR_WRITE))
		u->resid = u->xfer_buflen - (uint64_t)e->result;
	if (u->error && !job->told && (why || e->fault)) {
		job->told = true;
		log_err("viofs: the device %s\n", why ? why : e->fault);
	}
	return u;
}

/* fio looks for this name. */
struct ioengine_ops ioengine = {
	.name = "viofs",
	.version = FIO_IOOPS_VERSION,
	.flags = FIO_DISKLESSIO | FIO_NODISKUTIL,
	.setup = setup,
	.init = init,
	.queue = queue,
	.getevents = getevents,
	.event = event,
	.cleanup = cleanup,
	.open_file = open_file,
	.close_file = close_file,
	.unlink_file = unlink_file,
	.get_file_size = get_file_size,
	.iomem_alloc = alloc_memory,
	.iomem_free = free_memory,
	.option_struct_size = sizeof(struct viofs_fio_options),
	.options = options,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of a job before it begins. fio's own code for that works on files of this machine. */
#include "fio_engine.h"

#include <errno.h>
#include <fcntl.h>

#define CHUNK (1U << 20)

/* Bytes that the job wants @f to have, 0: what there is. */
static uint64_t wanted(const struct thread_data *td)
{
	uint64_t size = td->o.file_size_high;

	if (!size && td->o.nr_files)
		size = td->o.size / td->o.nr_files;
	return size ? size + td->o.start_offset : 0;
}

/* From @at on. Return: 0 or a negative errno. */
static int64_t fill(struct thread_data *td, struct viofs_file *file, uint64_t at, uint64_t end,
		    struct viofs_err *err)
{
	char *data = malloc(CHUNK);
	int64_t rc = data ? 0 : -ENOMEM;

	while (rc >= 0 && at < end && !td->terminate) {
		size_t size = end - at < CHUNK ? (size_t)(end - at) : CHUNK;

		fill_io_buffer(td, data, size, size);
		rc = viofs_file_pwrite(file, data, size, at, err);
		at += rc > 0 ? (uint64_t)rc : 0;
	}
	free(data);
	return rc < 0 ? rc : 0;
}

static int lay_out(struct thread_data *td, struct viofs_session *session, struct fio_file *f,
		   uint64_t end)
{
	bool makes = td->o.allow_create && !read_only;
	struct viofs_err err = { .text = "" };
	struct viofs_file *file;
	int64_t rc = makes ? viofs_file_open(session, f->file_name, 0, O_WRONLY | O_CREAT, 0644,
					     &file, &err)
			   : -EROFS;
	int closed;

	if (!makes)
		log_err("viofs: %s is shorter than size=, and may not be filled up\n",
			f->file_name);
	if (!rc) {
		log_info("%s: filling up %s to %llu bytes\n", td->o.name, f->file_name,
			 (unsigned long long)end);
		rc = fill(td, file, f->real_file_size, end, &err);
		closed = viofs_file_close(file, rc ? NULL : &err);
		rc = rc ? rc : closed;
	}
	return rc ? viofs_fio_fail(td, (int)rc, f->file_name, &err) : 0;
}

static int lay_out_file(struct thread_data *td, struct viofs_session *session, struct fio_file *f)
{
	struct viofs_err err = { .text = "" };
	uint64_t end = wanted(td);
	struct stat st = { .st_size = 0 };
	int rc = viofs_path_stat(session, f->file_name, 0, &st, &err);

	if (rc && rc != -ENOENT)
		return viofs_fio_fail(td, rc, f->file_name, &err);
	/* A file of that name on this machine doesn't matter. */
	f->filetype = FIO_TYPE_FILE;
	f->real_file_size = (uint64_t)st.st_size;
	if (end > f->real_file_size) {
		if (td_read(td) && lay_out(td, session, f, end))
			return 1;
		f->real_file_size = end;
	}
	fio_file_set_size_known(f);
	return 0;
}

int viofs_fio_lay_out(struct thread_data *td, struct viofs_session *session)
{
	struct fio_file *f;
	unsigned int i;

	for_each_file(td, f, i)
	{
		if (lay_out_file(td, session, f))
			return 1;
	}
	return 0;
}

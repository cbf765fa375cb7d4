/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file that is worked on, by single requests. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One request and its answer. Return: 0, or a negative errno with @err. */
static int ask(struct viofs_dev *dev, struct viofs_request *r, struct viofs_err *err)
{
	struct viofs_queue *queue;
	struct viofs_completion done = { .error = 0 };
	int rc = viofs_queue_open(dev, &queue, err);

	if (rc)
		return rc;
	r->uid = getuid();
	r->gid = getgid();
	r->pid = (uint32_t)getpid();
	rc = viofs_queue_submit(queue, r, 1);
	if (rc == 1 && !(r->flags & VIOFS_REQUEST_SILENT))
		rc = viofs_queue_wait(queue, &done, 1, 1, -1);
	viofs_queue_close(queue);
	rc = rc < 0 ? rc : done.error;
	if (rc)
		snprintf(err->text, sizeof(err->text), "%s: %s", viofs_fuse_opcode_name(r->opcode),
			 strerror(-rc));
	return rc;
}

static void forget(struct viofs_dev *dev, uint64_t nodeid)
{
	struct fuse_forget_in in = { .nlookup = 1 };
	struct viofs_request r = { .opcode = FUSE_FORGET,
				   .nodeid = nodeid,
				   .args = &in,
				   .args_size = sizeof(in),
				   .flags = VIOFS_REQUEST_SILENT };
	struct viofs_err err;

	if (nodeid != FUSE_ROOT_ID)
		ask(dev, &r, &err);
}

int viofs_bench_look_up(struct viofs_dev *dev, const char *path, uint64_t *nodeid,
			struct viofs_err *err)
{
	uint64_t at = FUSE_ROOT_ID;

	while (*(path += strspn(path, "/"))) {
		size_t len = strcspn(path, "/");
		char name[256];
		struct fuse_entry_out out;
		struct viofs_request r = { .opcode = FUSE_LOOKUP,
					   .nodeid = at,
					   .args = name,
					   .args_size = (uint32_t)len + 1,
					   .reply = &out,
					   .reply_size = sizeof(out) };
		int rc;

		if (len >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, path, len);
		name[len] = '\0';
		rc = ask(dev, &r, err);
		forget(dev, at);
		if (rc)
			return rc;
		at = out.nodeid;
		path += len;
	}
	*nodeid = at;
	return 0;
}

int viofs_bench_open(struct viofs_dev *dev, uint64_t nodeid, uint64_t *fh, struct viofs_err *err)
{
	struct fuse_open_in in = { .flags = O_RDWR };
	struct fuse_open_out out;
	struct viofs_request r = { .opcode = FUSE_OPEN,
				   .nodeid = nodeid,
				   .args = &in,
				   .args_size = sizeof(in),
				   .reply = &out,
				   .reply_size = sizeof(out) };
	int rc = ask(dev, &r, err);

	if (!rc)
		*fh = out.fh;
	return rc;
}

void viofs_bench_give_back(const struct viofs_bench_target *target)
{
	struct fuse_release_in in = { .fh = target->fh, .flags = O_RDWR };
	struct viofs_request r = { .opcode = FUSE_RELEASE,
				   .nodeid = target->nodeid,
				   .args = &in,
				   .args_size = sizeof(in) };
	struct viofs_err err;

	if (target->has_file)
		ask(target->dev, &r, &err);
	forget(target->dev, target->nodeid);
}

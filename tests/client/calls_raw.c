/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests straight to the device. */
#include "calls.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static const struct fuse_getattr_in getattr_in;

static struct viofs_request getattr_root(struct fuse_attr_out *out, void *user)
{
	return (struct viofs_request){
		.opcode = FUSE_GETATTR,
		.nodeid = FUSE_ROOT_ID,
		.args = &getattr_in,
		.args_size = sizeof(getattr_in),
		.reply = out,
		.reply_size = sizeof(*out),
		.user = user,
	};
}

static void batches(struct calls *t)
{
	struct viofs_dev_stats before = { .size = sizeof(before) }, after = before;
	static struct fuse_attr_out out[600];
	struct viofs_completion c[600];
	struct viofs_request r[600];
	struct viofs_queue *q = NULL;
	int sent, got = 0;

	if (!WORKS(t, viofs_queue_open(t->dev, &q, &t->err)))
		return;
	for (int i = 0; i < 600; i++)
		r[i] = getattr_root(&out[i], &out[i]);
	memset(out, 0, sizeof(out));
	viofs_dev_stats_get(t->dev, &before);
	sent = viofs_queue_submit(q, r, 600);
	viofs_dev_stats_get(t->dev, &after);
	CHECK(t, sent > 0 && sent < 600); /* what doesn't fit is the caller's to send again */
	CHECK(t, after.kicks - before.kicks <= 1);
	CHECK(t, viofs_queue_in_flight(q) == (unsigned int)sent);
	while (got < sent) {
		int n = viofs_queue_wait(q, c, 1, 600, 10000000000LL);

		if (!CHECK(t, n > 0))
			break;
		for (int i = 0; i < n; i++)
			CHECK(t, !c[i].error && c[i].size == sizeof(out[0]) &&
					 ((struct fuse_attr_out *)c[i].user)->attr.nlink);
		got += n;
	}
	CHECK(t, got == sent && !viofs_queue_in_flight(q));
	CHECK(t, !viofs_queue_wait(q, c, 1, 1, -1)); /* nothing in flight: no wait */
	viofs_queue_close(q);
}

static void what_is_refused(struct calls *t)
{
	char plain[64], args[5000] = "";
	struct iovec iov = { plain, sizeof(plain) };
	struct viofs_queue *q = NULL;
	struct fuse_attr_out out;
	struct viofs_request r;

	if (!WORKS(t, viofs_queue_open(t->dev, &q, &t->err)))
		return;
	r = getattr_root(&out, NULL);
	r.reply_data = &iov;
	r.reply_data_count = 1;
	CHECK(t, viofs_queue_submit(q, &r, 1) == -EFAULT);
	iov.iov_len = (size_t)1 << 40;
	CHECK(t, viofs_queue_submit(q, &r, 1) == -EINVAL);
	r = getattr_root(&out, NULL);
	r.args = args;
	r.args_size = sizeof(args);
	CHECK(t, viofs_queue_submit(q, &r, 1) == -EINVAL);
	r = getattr_root(&out, NULL);
	r.reply_size = 1000;
	CHECK(t, viofs_queue_submit(q, &r, 1) == -EINVAL);
	CHECK(t, !viofs_queue_in_flight(q));
	viofs_queue_close(q);
}

static void odd_requests(struct calls *t)
{
	struct fuse_forget_in forget = { .nlookup = 0 };
	char name[] = "a name that is not there";
	struct fuse_entry_out entry;
	struct viofs_completion c;
	struct viofs_queue *q = NULL;
	struct viofs_request r = {
		.opcode = FUSE_LOOKUP,
		.nodeid = FUSE_ROOT_ID,
		.args = name,
		.args_size = sizeof(name),
		.reply = &entry,
		.reply_size = sizeof(entry),
	};

	if (!WORKS(t, viofs_queue_open(t->dev, &q, &t->err)))
		return;
	CHECK(t, viofs_queue_submit(q, &r, 1) == 1 &&
			 viofs_queue_wait(q, &c, 1, 1, 10000000000LL) == 1);
	CHECK(t, (c.error == -ENOENT || (!c.error && !entry.nodeid)) && c.unique == r.unique);
	/* Too late, and nothing is sent: virtiofsd of QEMU 7 dies of an INTERRUPT. */
	CHECK(t, viofs_queue_interrupt(q, r.unique) == -ENOENT);
	r = (struct viofs_request){
		.opcode = FUSE_FORGET, .nodeid = 1, .args = &forget, .args_size = sizeof(forget)
	};
	CHECK(t, viofs_queue_submit(q, &r, 1) == 1 &&
			 viofs_queue_wait(q, &c, 1, 1, 10000000000LL) == 1);
	CHECK(t, !c.error && !c.size);
	r = (struct viofs_request){ .opcode = 4000 };
	CHECK(t, viofs_queue_submit(q, &r, 1) == 1 &&
			 viofs_queue_wait(q, &c, 1, 1, 10000000000LL) == 1);
	CHECK(t, c.error == -ENOSYS && !c.fault);
	viofs_queue_close(q);
}

/* Several handles on fewer queues: each gets its own. */
static void shared_queues(struct calls *t)
{
	struct viofs_queue *q[4] = { NULL };
	struct fuse_attr_out out[4];
	struct viofs_completion c;
	struct viofs_request r;

	for (int i = 0; i < 4; i++)
		if (!WORKS(t, viofs_queue_open(t->dev, &q[i], &t->err)))
			return;
	for (int turn = 0; turn < 100; turn++) {
		for (int i = 0; i < 4; i++) {
			r = getattr_root(&out[i], &out[i]);
			CHECK(t, viofs_queue_submit(q[i], &r, 1) == 1);
		}
		for (int i = 3; i >= 0; i--)
			CHECK(t, viofs_queue_wait(q[i], &c, 1, 1, 10000000000LL) == 1 &&
					 c.user == &out[i] && !c.error);
	}
	for (int i = 0; i < 4; i++)
		viofs_queue_close(q[i]);
}

static void names_of_numbers(struct calls *t)
{
	CHECK(t, !strcmp(viofs_fuse_opcode_name(FUSE_GETATTR), "GETATTR") &&
			 !viofs_fuse_opcode_name(4000));
	CHECK(t, !strcmp(viofs_fuse_init_flag_name(0), "ASYNC_READ") &&
			 !viofs_fuse_init_flag_name(63));
	CHECK(t,
	      viofs_virtio_feature_name(32) && strstr(viofs_virtio_feature_name(32), "VERSION_1"));
}

static void what_is_told(struct calls *t)
{
	struct viofs_session_info info = { .size = sizeof(info) };
	struct viofs_dev_info dev = { .size = sizeof(dev) };
	struct viofs_session *second;

	CHECK(t,
	      !viofs_session_info_get(t->s, &info) && info.minor >= 27 && info.max_write >= 4096);
	CHECK(t, !viofs_dev_info_get(t->dev, &dev) && dev.request_queues && dev.tag[0] &&
			 dev.id[0] && dev.negotiated >> 32 & 1);
	dev.size = 0;
	CHECK(t, viofs_dev_info_get(t->dev, &dev) == -EINVAL);
	FAILS(t, viofs_session_open(t->dev, NULL, &second, &t->err), EBUSY);
	CHECK(t, viofs_session_dev(t->s) == t->dev && !viofs_dev_failed(t->dev));
}

static void dma_memory(struct calls *t)
{
	struct viofs_dev_info info = { .size = sizeof(info) };
	uint8_t *p[64], *all;
	size_t free_before;

	viofs_dev_info_get(t->dev, &info);
	free_before = info.dma_free;
	CHECK(t, !viofs_dma_alloc(t->dev, info.dma_size + 1) && !viofs_dma_alloc(t->dev, 0));
	for (int i = 0; i < 64; i++) {
		p[i] = viofs_dma_alloc(t->dev, (size_t)i * 777 + 1);
		if (CHECK(t, p[i] && !((uintptr_t)p[i] & 4095)))
			memset(p[i], i, (size_t)i * 777 + 1);
	}
	for (int i = 0; i < 64; i += 2)
		viofs_dma_free(t->dev, p[i]);
	for (int i = 1; i < 64; i += 2) {
		CHECK(t, p[i][0] == i && p[i][i * 777] == i);
		viofs_dma_free(t->dev, p[i]);
	}
	viofs_dma_free(t->dev, NULL);
	viofs_dev_info_get(t->dev, &info);
	CHECK(t, info.dma_free == free_before);
	all = viofs_dma_alloc(t->dev, info.dma_free);
	CHECK(t, all);
	viofs_dma_free(t->dev, all);
}

const struct calls_case cases_raw[] = {
	{ "batches go with one kick, and as many as fit", batches },
	{ "requests that can't be are refused", what_is_refused },
	{ "requests without a reply, late interrupts, unknown opcodes", odd_requests },
	{ "handles that share a queue get what is theirs", shared_queues },
	{ "names of numbers", names_of_numbers },
	{ "what device and session tell", what_is_told },
	{ "DMA memory", dma_memory },
	{ NULL, NULL },
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library on a bench. */
/*
 * viofs_dev_open() is the real one. What it asks about the machine is linked in place of the real
 * functions: which function SOURCE is, whether somebody else has it, and VFIO. From struct
 * viofs_vfio_ops on all of it is real again: the virtio-pci transport, negotiation, the DMA arena,
 * rings, slots.
 */
#include "vfio/pci_transport.h"
#include "client_bench.h"

#include "base/util.h"
#include "attach/attach.h"
#include "attach/hold.h"
#include "virtio/virtio.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct client_bench bench;

static struct viofs_queue *queues[8];
static unsigned int queue_count;

int __wrap_viofs_source_find(const char *text, struct viofs_source *out, struct viofs_err *err);
int __wrap_viofs_source_find(const char *text, struct viofs_source *out, struct viofs_err *err)
{
	*out = (struct viofs_source){ .transport = viofs_transport_function() };
	strcpy(out->function.driver, "vfio-pci");
	strcpy(out->function.text, "0000:00:04.0");
	return 0;
}

int __wrap_viofs_hold_take(const struct viofs_pci_function *f, int wait_ms, struct viofs_hold *hold,
			   struct viofs_err *err);
int __wrap_viofs_hold_take(const struct viofs_pci_function *f, int wait_ms, struct viofs_hold *hold,
			   struct viofs_err *err)
{
	return 0;
}

int __wrap_viofs_hold_note(struct viofs_hold *hold, const char *tag, const char *mountpoint,
			   int pid);
int __wrap_viofs_hold_note(struct viofs_hold *hold, const char *tag, const char *mountpoint,
			   int pid)
{
	return 0;
}

int __wrap_viofs_hold_release(struct viofs_hold *hold, struct viofs_err *err);
int __wrap_viofs_hold_release(struct viofs_hold *hold, struct viofs_err *err)
{
	return 0;
}

int __wrap_viofs_attach_open(const struct viofs_source *s,
			     const struct viofs_attach_options *options, struct viofs_fs **out,
			     struct viofs_err *err);
int __wrap_viofs_attach_open(const struct viofs_source *s,
			     const struct viofs_attach_options *options, struct viofs_fs **out,
			     struct viofs_err *err)
{
	struct viofs_virtio *virtio;

	assert_int_equal(viofs_virtio_pci_open(&bench.function.vfio, &virtio, err), 0);
	return viofs_fs_open(virtio, out, err);
}

static int set_up(uint64_t features)
{
	memset(&bench, 0, sizeof(bench));
	queue_count = 0;
	viofs_dev_options_init(&bench.options, sizeof(bench.options));
	bench.options.flags = VIOFS_DEV_SMALL_PAGES;
	bench.options.depth = 16;
	bench.options.dma_size = 1 << 20;
	bench.features = features | VIOFS_VIRTIO_F_VERSION_1 | VIOFS_VIRTIO_F_EVENT_IDX |
			 VIOFS_VIRTIO_F_INDIRECT_DESC | VIOFS_VIRTIO_F_ACCESS_PLATFORM;
	bench.queue_size = 64;
	bench.request_queues = 1;
	return 0;
}

int bench_set_up_split(void **state)
{
	return set_up(0);
}

int bench_set_up_packed(void **state)
{
	return set_up(VIOFS_VIRTIO_F_RING_PACKED);
}

void bench_open(void)
{
	model_init(&bench.function, bench.request_queues);
	model_equip(&bench.function, bench.features, bench.queue_size);
	bench.function.faults.refuse_all_vectors = bench.no_vectors;
	assert_int_equal(viofs_dev_open("0000:00:04.0", &bench.options, &bench.dev, &bench.err), 0);
	model_device_start(&bench.device, &bench.function);
}

struct viofs_queue *bench_queue(void)
{
	assert_true(queue_count < VIOFS_ARRAY_SIZE(queues));
	assert_int_equal(viofs_queue_open(bench.dev, &queues[queue_count], &bench.err), 0);
	return queues[queue_count++];
}

int bench_tear_down(void **state)
{
	if (!bench.dev)
		return 0;
	for (unsigned int i = 0; i < queue_count; i++)
		viofs_queue_close(queues[i]);
	model_device_stop(&bench.device);
	bench.function.lost = NULL;
	assert_int_equal(viofs_dev_close(bench.dev, NULL), 0);
	close(bench.function.vfio.event_fd);
	model_device_check(&bench.device, &bench.function);
	assert_int_equal(bench.function.map_count, 0);
	return 0;
}

void bench_set_hook(model_hook *hook)
{
	model_device_set_hook(&bench.device, hook);
}

void bench_hold(uint32_t opcode)
{
	model_device_hold(&bench.device, opcode);
}

struct model_request *bench_held(unsigned int n)
{
	struct model_request *r = model_device_wait(&bench.device, 0, n);

	assert_non_null(r);
	return r;
}

struct viofs_request *bench_getattr(unsigned int from, unsigned int count)
{
	static const struct fuse_getattr_in in;

	assert_true(from + count <= BENCH_REQUESTS);
	for (unsigned int i = from; i < from + count; i++) {
		bench.requests[i] = (struct viofs_request){
			.opcode = FUSE_GETATTR,
			.nodeid = i + 1,
			.args = &in,
			.args_size = sizeof(in),
			.reply = &bench.replies[i],
			.reply_size = sizeof(bench.replies[i]),
			.user = &bench.requests[i],
		};
		bench.came[i] = 0;
	}
	return &bench.requests[from];
}

void bench_send(struct viofs_queue *q, unsigned int from, unsigned int count, unsigned int seen)
{
	assert_int_equal(viofs_queue_submit(q, bench_getattr(from, count), count), count);
	bench_held(seen);
}

static void note(const struct viofs_completion *c)
{
	size_t i = (size_t)((const struct viofs_request *)c->user - bench.requests);

	assert_true(i < BENCH_REQUESTS);
	assert_int_equal(bench.came[i]++, 0);
	assert_int_equal(c->unique, bench.requests[i].unique);
	bench.completions[i] = *c;
	if (!c->error) {
		assert_null(c->fault);
		assert_int_equal(c->size, sizeof(struct fuse_attr_out));
		assert_int_equal(bench.replies[i].attr.ino, i + 1);
	} else {
		assert_int_equal(c->error, -EIO);
		assert_non_null(c->fault);
		assert_int_equal(c->size, 0);
	}
}

int bench_take(struct viofs_queue *q, unsigned int count, int ms)
{
	int64_t end = viofs_now_ns() + ms * VIOFS_NSEC_PER_MSEC;
	struct viofs_completion c[3];
	unsigned int got = 0;

	do {
		unsigned int max = VIOFS_MIN(count - got, (unsigned int)VIOFS_ARRAY_SIZE(c));
		int n = viofs_queue_poll(q, c, max);

		if (n < 0) {
			assert_int_equal(n, -ENODEV);
			return got ? (int)got : n;
		}
		assert_true(n <= (int)max);
		for (int i = 0; i < n; i++)
			note(&c[i]);
		got += (unsigned int)n;
		if (!n)
			usleep(100);
	} while (got < count && viofs_now_ns() - end < 0);
	return (int)got;
}

bool bench_is_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

unsigned int bench_count(unsigned int from, unsigned int count, int error)
{
	unsigned int n = 0;

	for (unsigned int i = from; i < from + count; i++)
		n += bench.came[i] && bench.completions[i].error == error;
	return n;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a session, written by a worker that was taken over: what a successor makes of it.
 * A session is in the middle of its work, with requests of each kind in flight, waiting, parked,
 * and being answered. Input: which ring, who died how; then what is written where. The state is
 * refused, or a relay goes on with it; in either case no byte outside of the session's memory is
 * touched.
 */
#include "fuzz.h"

#include "base/util.h"
#include "relay/adopt.h"
#include "relay/complete.h"
#include "relay/lanes.h"
#include "relay/pump.h"
#include "relay/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define LANES 2U
#define QUEUES (LANES + 1)
#define PATCHES_MAX 16

/* What is written all over. */
enum { PRIVATE, DEVICE, PARKED, LOCKS, LETTERS, PARTS };

struct part {
	uint8_t *live, *saved;
	size_t size;
};

/* A session, as it was when its worker died. */
struct image {
	struct viofs_virtio virtio;
	struct viofs_fs *fs;
	struct viofs_arena *arena;
	struct viofs_relay *relay;
	int kernel[LANES], fuse[LANES];
	struct viofs_state_header header;
	struct part parts[PARTS];
};

static uint64_t offered;
static uint8_t status;

static uint8_t status_get(struct viofs_virtio *d)
{
	return status;
}

static void status_set(struct viofs_virtio *d, uint8_t s)
{
	status = s;
}

static uint64_t features_get(struct viofs_virtio *d)
{
	return offered;
}

static void features_set(struct viofs_virtio *d, uint64_t features)
{
}

static int config_read(struct viofs_virtio *d, unsigned int off, void *buf, unsigned int len)
{
	const uint32_t queues = LANES;

	memset(buf, 0, len);
	if (off)
		memcpy(buf, &queues, len < sizeof(queues) ? len : sizeof(queues));
	else
		memcpy(buf, "fuzz", 4);
	return 0;
}

static unsigned int queue_count(struct viofs_virtio *d)
{
	return QUEUES;
}

static unsigned int queue_max(struct viofs_virtio *d, unsigned int q)
{
	return 16;
}

static int queue_enable(struct viofs_virtio *d, unsigned int q,
			const struct viofs_virtio_queue_address *a, struct viofs_err *err)
{
	return 0;
}

static int interrupts_set(struct viofs_virtio *d, const int *eventfds, unsigned int count,
			  struct viofs_err *err)
{
	return (int)count;
}

static void notify(struct viofs_virtio *d, unsigned int q)
{
}

static int map(struct viofs_mapper *m, const struct viofs_mapper_memory *memory, uint64_t iova,
	       struct viofs_err *err)
{
	return 0;
}

static const struct viofs_virtio_ops virtio_ops = {
	.name = "fuzz",
	.status_get = status_get,
	.status_set = status_set,
	.features_get = features_get,
	.features_set = features_set,
	.config_read = config_read,
	.queue_count = queue_count,
	.queue_max = queue_max,
	.queue_enable = queue_enable,
	.interrupts_set = interrupts_set,
	.notify = notify,
};
static const struct viofs_mapper_ops mapper_ops = { .map = map };
static struct viofs_mapper mapper = { .ops = &mapper_ops, .translates = true, .align = 4096 };
static struct viofs_relay_config config;

static void start(struct image *i, uint64_t features)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };
	struct viofs_err err;

	offered = features;
	i->virtio = (struct viofs_virtio){
		.ops = &virtio_ops, .mapper = &mapper, .offered = features, .event_fd = -1
	};
	fuzz_check(!viofs_fs_open(&i->virtio, &i->fs, &err));
	viofs_fs_arena_sizes(i->fs, sizes);
	viofs_relay_config_arena_sizes(&config, sizes);
	fuzz_check(!viofs_arena_new(sizes, false, &i->arena, &err));
	fuzz_check(!viofs_arena_map(i->arena, &mapper, VIOFS_ADDRESS_TRANSLATED, &err));
	fuzz_check(!viofs_fs_start(i->fs, i->arena, &err));
	fuzz_check(!viofs_relay_new(&config, i->fs, i->arena, &i->relay, &err));
	fuzz_check(i->relay->lane_count == LANES);
}

static void ask(int kernel, uint32_t opcode, uint64_t unique, const void *args, size_t len,
		size_t data)
{
	static uint8_t zeros[128 << 10];
	struct fuse_in_header head = { .len = (uint32_t)(sizeof(head) + len + data),
				       .opcode = opcode,
				       .unique = unique,
				       .nodeid = 1 + unique % 5 };
	struct iovec iov[] = { { &head, sizeof(head) },
			       { (void *)(uintptr_t)args, len },
			       { zeros, data } };

	fuzz_check(writev(kernel, iov, 3) == (ssize_t)head.len);
}

/* Of each kind, more than there is room for. */
static void work(struct image *i, unsigned int lane)
{
	const struct fuse_write_in write_in = { .size = 100000 };
	const struct fuse_read_in read_in = { .size = 8192 };
	const struct fuse_getattr_in getattr_in = { 0 };
	const struct fuse_forget_in forget_in = { .nlookup = 1 };
	const struct fuse_lk_in lock_in = { .owner = 1, .lk = { .type = F_WRLCK } };
	uint64_t unique = 1000 * (lane + 1);

	for (int k = 0; k < 4; k++) {
		ask(i->kernel[lane], FUSE_READ, unique += 2, &read_in, sizeof(read_in), 0);
		ask(i->kernel[lane], FUSE_GETATTR, unique += 2, &getattr_in, sizeof(getattr_in), 0);
		ask(i->kernel[lane], FUSE_SETLKW, unique += 2, &lock_in, sizeof(lock_in), 0);
		ask(i->kernel[lane], FUSE_FORGET, unique += 2, &forget_in, sizeof(forget_in), 0);
		ask(i->kernel[lane], FUSE_WRITE, unique += 2, &write_in, sizeof(write_in), 100000);
		fuzz_check(viofs_pump_requests(&i->relay->lanes[lane], 32) >= 0);
	}
}

static void save_part(struct part *p, void *live, size_t size)
{
	*p = (struct part){ live, malloc(size), size };
	fuzz_check(p->saved);
	memcpy(p->saved, live, size);
}

static void save_parking(struct part *p, const struct viofs_layout_parking *l)
{
	save_part(p, l->blocks, LANES * l->max.block_count * sizeof(*l->blocks));
}

static void save(struct image *i)
{
	const struct viofs_layout *l = &i->relay->layout;
	uint8_t *head = viofs_arena_head(i->arena);

	memcpy(&i->header, head, sizeof(i->header));
	/* What is sparse comes after it. */
	save_part(&i->parts[PRIVATE], head, (size_t)((uint8_t *)l->forgotten - head));
	save_part(&i->parts[DEVICE], viofs_arena_at(i->arena, false, 0, 1),
		  viofs_arena_device_size(i->arena));
	save_parking(&i->parts[PARKED], &l->parked);
	save_parking(&i->parts[LOCKS], &l->locks);
	save_parking(&i->parts[LETTERS], &l->letters);
}

static void restore(struct image *i)
{
	for (int k = 0; k < PARTS; k++)
		memcpy(i->parts[k].live, i->parts[k].saved, i->parts[k].size);
}

static void make(struct image *i, uint64_t features)
{
	struct viofs_session_state *s;

	start(i, features);
	for (unsigned int k = 0; k < LANES; k++) {
		int pair[2], bytes = 4 << 20;

		fuzz_check(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair));
		setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
		i->kernel[k] = pair[0];
		i->relay->lanes[k].fuse_fd = i->fuse[k] = pair[1];
	}
	s = i->relay->layout.session;
	s->init_done = 1;
	i->relay->stats->stage = VIOFS_STAGE_SERVING;
	i->relay->conn = (struct viofs_fuse_conn){ .minor = 38, .page_size = 4096 };
	i->relay->stats->agreed.conn = i->relay->conn;
	for (unsigned int k = 0; k < LANES; k++)
		work(i, k);
	save(i);
}

/* What is in no part stays as it was written: it is data, of messages and of files. */
static void patch(struct image *i, struct fuzz_input *in)
{
	const struct viofs_state_table *t = &i->header.table[fuzz_u8(in) % i->header.tables];
	uint64_t at = fuzz_u32(in);
	uint8_t len = fuzz_u8(in) % 17;
	void *to;

	/* Mostly at the begin of a table, where those of the first slots are. */
	at = t->offset + (at & 1 ? at >> 1 : (at >> 1) % 2048) % VIOFS_MAX(t->len, 1U);
	to = viofs_arena_at(i->arena, t->is_private, at, len);
	if (to)
		fuzz_take(in, to, len);
}

/* What it has to say to the kernel, as far as that listens. */
static void drain(const struct image *i)
{
	static uint8_t bytes[1 << 20];

	for (unsigned int k = 0; k < LANES; k++)
		while (recv(i->kernel[k], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
			;
}

static void go_on(struct viofs_relay *r)
{
	struct viofs_err err;

	if (viofs_lanes_prepare(r, -1, &err))
		return;
	for (unsigned int k = 0; k < r->lane_count; k++) {
		struct viofs_lane *lane = &r->lanes[k];

		if (viofs_complete_left(lane) || viofs_complete(lane) < 0)
			continue;
		viofs_pump_kept(lane);
	}
}

/* @patched: something in it is other than its worker has left it. */
static void succeed(struct image *i, bool crashed, bool patched)
{
	struct viofs_adopt_descriptors d = { .virtio = &i->virtio,
					     .lane_count = LANES,
					     .crashed = crashed };
	struct viofs_relay *r;
	struct viofs_fs *fs;
	struct viofs_err err;
	int rc;

	memcpy(d.eventfds, i->fs->eventfds, sizeof(d.eventfds));
	for (unsigned int k = 0; k < LANES; k++)
		d.lanes[k] = i->fuse[k];
	rc = viofs_adopt(i->arena, &d, &fs, &r, &err);
	fuzz_check(!rc || patched);
	if (rc)
		return;
	go_on(r);
	for (unsigned int k = 0; k < LANES; k++)
		r->lanes[k].fuse_fd = -1;
	viofs_relay_free(r);
	viofs_fs_let_go(fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image images[2];
	struct fuzz_input in = { data, size };
	uint8_t how = fuzz_u8(&in);
	struct image *i = &images[how & 1];

	if (!images[0].relay) {
		signal(SIGPIPE, SIG_IGN);
		viofs_relay_config_default(&config);
		config.slots = 32;
		config.buffers = 6;
		config.max_data = 128 << 10;
		config.lanes = LANES;
		config.loop = VIOFS_LOOP_EPOLL;
		make(&images[0], VIOFS_VIRTIO_F_VERSION_1 | VIOFS_VIRTIO_F_ACCESS_PLATFORM |
					 VIOFS_VIRTIO_F_INDIRECT_DESC);
		make(&images[1], VIOFS_VIRTIO_F_VERSION_1 | VIOFS_VIRTIO_F_ACCESS_PLATFORM |
					 VIOFS_VIRTIO_F_RING_PACKED);
	}
	restore(i);
	for (int k = 0; k < PATCHES_MAX && in.left; k++)
		patch(i, &in);
	succeed(i, how & 2, size > 1);
	drain(i);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay on a bench. */
/*
 * A SOCK_SEQPACKET socket keeps messages apart as /dev/fuse does, and readv(2) and writev(2) work
 * on it alike. The test's thread is the kernel; the relay has a thread, the device has one.
 * Assertions are made by the test's thread only.
 */
#include "vfio/pci_transport.h"
#include "relay/observe.h"
#include "relay/tap.h"
#include "relay_bench.h"

#include "base/barrier.h"
#include "base/log.h"
#include "base/util.h"
#include "fuse/forget.h"
#include "kernel/devfuse.h"
#include "relay/adopt.h"
#include "relay/lane.h"
#include "relay/parking.h"
#include "relay/session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ANSWER_MS 5000
#define JOIN_S 20
#define SOCKET_BYTES (2 << 20)

struct relay_bench bench;

/* The lane that this thread leads. */
static __thread unsigned int led;

/* With one thread of a process all others go: each at its next turn. */
static void die(void)
{
	bench.dies = true;
	bench.dead |= 1U << led;
	pthread_exit(NULL);
}

void bench_die_at(enum bench_point point, int passes)
{
	bench.passes = passes;
	bench.dies_at = point;
}

static void pass(enum bench_point point)
{
	if (bench.dies_at == point && !bench.passes--)
		die();
}

/* The same with a slot. One of hiprio's has hiprio's lock, without which other lanes' threads don't
 * come to their end: a process's would. */
static void pass_slot(enum bench_point point, uint32_t slot)
{
	if (slot < bench.config.slots || bench.config.lanes <= 1)
		pass(point);
}

/* Answers that the kernel has taken, by unique. Those of a test are small numbers. */
#define UNIQUES_MAX 1000000U
static _Atomic uint8_t is_answered[UNIQUES_MAX];

static bool is_second_answer(uint64_t unique)
{
	return bench.answers_once && unique < UNIQUES_MAX && is_answered[unique]++;
}

/* Linked in place of the real one. */
int __real_viofs_devfuse_reply(int fd, struct iovec *iov, int count);
int __wrap_viofs_devfuse_reply(int fd, struct iovec *iov, int count);
int __wrap_viofs_devfuse_reply(int fd, struct iovec *iov, int count)
{
	uint64_t unique = ((const struct fuse_out_header *)iov[0].iov_base)->unique;
	int rc;

	while (unique && bench.block_unique == unique) {
		bench.blocked = true;
		usleep(500);
	}
	if (unique && bench.refuse_unique == unique) {
		viofs_devfuse_error(fd, unique, -EIO);
		return -EINVAL;
	}
	rc = is_second_answer(unique) ? -ENOENT : __real_viofs_devfuse_reply(fd, iov, count);
	pass(BENCH_REPLIED);
	return rc;
}

static void open_socket(int pair[2]);

/* Linked in place of the real one: nothing can be kept in plain memory. */
int __real_viofs_parking_put(struct viofs_parking *p, const struct iovec *iov, size_t len,
			     int64_t since);
int __wrap_viofs_parking_put(struct viofs_parking *p, const struct iovec *iov, size_t len,
			     int64_t since);
int __wrap_viofs_parking_put(struct viofs_parking *p, const struct iovec *iov, size_t len,
			     int64_t since)
{
	int rc;

	if (bench.no_memory)
		return -ENOMEM;
	pass(BENCH_PARK);
	rc = __real_viofs_parking_put(p, iov, len, since);
	pass(BENCH_PARKED);
	return rc;
}

void __real_viofs_parking_drop(struct viofs_parking *p, const struct viofs_parked *parked);
void __wrap_viofs_parking_drop(struct viofs_parking *p, const struct viofs_parked *parked);
void __wrap_viofs_parking_drop(struct viofs_parking *p, const struct viofs_parked *parked)
{
	pass(BENCH_UNPARKED);
	__real_viofs_parking_drop(p, parked);
}

int __real_viofs_ring_add(struct viofs_ring *r, const struct viofs_ring_chain *chain);
int __wrap_viofs_ring_add(struct viofs_ring *r, const struct viofs_ring_chain *chain);
int __wrap_viofs_ring_add(struct viofs_ring *r, const struct viofs_ring_chain *chain)
{
	int rc;

	pass_slot(BENCH_SUBMIT, chain->token);
	rc = __real_viofs_ring_add(r, chain);
	pass_slot(BENCH_SUBMITTED, chain->token);
	return rc;
}

void __real_viofs_ring_pop(struct viofs_ring *r, const struct viofs_ring_used *used);
void __wrap_viofs_ring_pop(struct viofs_ring *r, const struct viofs_ring_used *used);
void __wrap_viofs_ring_pop(struct viofs_ring *r, const struct viofs_ring_used *used)
{
	pass(BENCH_POP);
	__real_viofs_ring_pop(r, used);
	pass(BENCH_POPPED);
}

void __real_viofs_slots_give(struct viofs_slots *s, struct viofs_slot *slot);
void __wrap_viofs_slots_give(struct viofs_slots *s, struct viofs_slot *slot);
void __wrap_viofs_slots_give(struct viofs_slots *s, struct viofs_slot *slot)
{
	__real_viofs_slots_give(s, slot);
	pass_slot(BENCH_FREED, slot->index);
}

ssize_t __real_viofs_devfuse_read(int fd, const struct iovec *iov, int count);
ssize_t __wrap_viofs_devfuse_read(int fd, const struct iovec *iov, int count);
ssize_t __wrap_viofs_devfuse_read(int fd, const struct iovec *iov, int count)
{
	ssize_t n = __real_viofs_devfuse_read(fd, iov, count);
	struct fuse_in_header *head = iov[0].iov_base;

	/* A back end that is quick: where it can write there. */
	if (n > 0 && bench.rewrites && viofs_arena_contains(bench.arena, head, sizeof(*head)))
		head->unique += 1000;
	if (n > 0)
		pass(BENCH_READ);
	return n;
}

/* Linked in place of the real one: where each turn of a lane begins. */
int __real_viofs_complete(struct viofs_lane *lane);
int __wrap_viofs_complete(struct viofs_lane *lane);
int __wrap_viofs_complete(struct viofs_lane *lane)
{
	led = lane->index;
	bench.turned |= 1U << led;
	if (bench.dies) {
		bench.dead |= 1U << led;
		return VIOFS_DEPOSED; /* it goes, and touches nothing */
	}
	return __real_viofs_complete(lane);
}

/* Linked in place of the real one, of /dev/fuse. */
int __wrap_viofs_devfuse_clone(int fd);
int __wrap_viofs_devfuse_clone(int fd)
{
	int pair[2];

	if (bench.clone_error || bench.lanes == BENCH_LANES_MAX)
		return bench.clone_error ? bench.clone_error : -EMFILE;
	open_socket(pair);
	bench.kernels[bench.lanes] = pair[0];
	bench.lanes++;
	return pair[1];
}

int bench_set_up(void **state)
{
	signal(SIGPIPE,
	       SIG_IGN); /* a socket whose other end is closed; /dev/fuse has no such thing */
	memset(&bench, 0, sizeof(bench));
	memset((void *)is_answered, 0, sizeof(is_answered));
	viofs_relay_config_default(&bench.config);
	bench.config.slots = 32;
	bench.config.buffers = 4;
	bench.config.max_data = 131072;
	bench.config.init_timeout_ms = 3000;
	bench.config.end_timeout_ms = 300;
	/* The same tests on the loop's other back end: meson.build. */
	if (getenv("VIOFS_BENCH_EPOLL"))
		bench.config.loop = VIOFS_LOOP_EPOLL;
	bench.features = VIOFS_VIRTIO_F_VERSION_1 | VIOFS_VIRTIO_F_EVENT_IDX |
			 VIOFS_VIRTIO_F_INDIRECT_DESC | VIOFS_VIRTIO_F_ACCESS_PLATFORM;
	bench.queue_size = 128;
	bench.request_queues = 1;
	bench.kernel_flags = FUSE_MAX_PAGES | FUSE_INIT_EXT | FUSE_SETXATTR_EXT | FUSE_POSIX_LOCKS |
			     FUSE_ASYNC_READ | FUSE_ABORT_ERROR | VIOFS_FUSE_OVER_IO_URING;
	bench.kernel = bench.relay_fd = -1;
	return 0;
}

static void open_device(void)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };
	struct viofs_virtio *virtio;

	model_init(&bench.function, bench.request_queues);
	model_equip(&bench.function, bench.features, bench.queue_size);
	bench.function.faults.refuse_all_vectors = bench.no_vectors;
	if (bench.vectors)
		bench.function.vfio.msix_vectors = bench.vectors;
	assert_int_equal(viofs_virtio_pci_open(&bench.function.vfio, &virtio, NULL), 0);
	assert_int_equal(viofs_fs_open(virtio, &bench.fs, NULL), 0);
	viofs_fs_arena_sizes(bench.fs, sizes);
	viofs_relay_config_arena_sizes(&bench.config, sizes);
	assert_int_equal(viofs_arena_new(sizes, false, &bench.arena, NULL), 0);
	assert_int_equal(viofs_arena_map(bench.arena, &bench.function.vfio.mapper,
					 viofs_fs_address_policy(bench.fs), NULL),
			 0);
	assert_int_equal(viofs_fs_start(bench.fs, bench.arena, NULL), 0);
	assert_int_equal(viofs_relay_new(&bench.config, bench.fs, bench.arena, &bench.relay, NULL),
			 0);
}

/*
 * The daemon's other process looks at counters and slots, in memory that both map, with no lock,
 * and takes what it finds (relay/stats.h). Here a thread does, and ThreadSanitizer, which knows of
 * no other process, looks away.
 */
#ifdef VIOFS_TSAN
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
#define as_another_process(look)                                                                   \
	do {                                                                                       \
		AnnotateIgnoreReadsBegin(__FILE__, __LINE__);                                      \
		look;                                                                              \
		AnnotateIgnoreReadsEnd(__FILE__, __LINE__);                                        \
	} while (0)
#else
#define as_another_process(look) (look)
#endif

const struct viofs_relay_stats *bench_stats(void)
{
	static struct viofs_relay_stats stats;

	as_another_process(viofs_observe_stats(bench.relay, &stats));
	return &stats;
}

void bench_times(uint32_t opcode, uint64_t count[2], uint64_t ticks[2])
{
	static struct viofs_latency l;
	const struct viofs_times *times[] = { &l.device, &l.total };

	as_another_process(viofs_tap_latency(bench.relay, opcode, &l));
	for (int i = 0; i < 2; i++) {
		count[i] = 0;
		ticks[i] = times[i]->sum;
		for (unsigned int step = 0; step < VIOFS_HISTOGRAM_STEPS; step++)
			count[i] += times[i]->steps.counts[step];
	}
}

unsigned int bench_slots_used(void)
{
	unsigned int n;

	as_another_process(n = viofs_observe_slots_used(bench.relay));
	return n;
}

int64_t bench_oldest_ns(void)
{
	int64_t ns;

	as_another_process(ns = viofs_observe_oldest_ns(bench.relay));
	return ns;
}

static void open_socket(int pair[2])
{
	const int bytes = SOCKET_BYTES;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	assert_int_equal(fcntl(pair[1], F_SETFL, O_RDWR | O_NONBLOCK), 0);
}

static void say_ready(void *arg)
{
	bench.ready = true;
}

static void *run_relay(void *arg)
{
	bench.rc = viofs_relay_run(bench.relay, bench.relay_fd, say_ready, NULL, &bench.err);
	bench.lost = viofs_observe_is_lost(bench.relay);
	if (bench.lost)
		bench.refused = viofs_relay_refuse(bench.relay);
	return NULL;
}

void bench_start(void)
{
	int pair[2];

	open_device();
	open_socket(pair);
	bench.kernel = bench.kernels[0] = pair[0];
	bench.relay_fd = pair[1];
	bench.lanes = 1;
	model_device_start(&bench.device, &bench.function);
	assert_int_equal(pthread_create(&bench.thread, NULL, run_relay, NULL), 0);
	bench.running = true;
}

void bench_serve(void)
{
	bench_start();
	kernel_sends_init(2);
	kernel_is_answered(2, 0, sizeof(struct fuse_init_out));
}

void bench_serve_by_all(void)
{
	unsigned int all;

	bench_serve();
	all = (1U << bench.relay->lane_count) - 1;
	for (int ms = 0; ms < ANSWER_MS; ms++) {
		if (bench.turned == all && bench.relay->layout.session->init_done)
			return;
		usleep(1000);
	}
	fail_msg("%s", "not all lanes serve");
}

/* With a process the standbys go too. One that led, and died on its way, is gone already. */
static void end_lane(struct viofs_lease *l)
{
	viofs_lease_finish(l);
	for (int ms = 0; l->alive && ms < ANSWER_MS; ms++)
		usleep(1000);
	l->alive = 0;
}

void bench_kill(void)
{
	struct viofs_relay *r = bench.relay;

	bench.dies_at = BENCH_NOWHERE;
	bench.dies = true;
	for (int ms = 0; bench.dead != (1U << r->lane_count) - 1 && ms < ANSWER_MS; ms++) {
		for (unsigned int i = 0; i < r->lane_count; i++)
			viofs_lane_wake(&r->lanes[i]);
		usleep(1000);
	}
	assert_int_equal(bench.dead, (1U << r->lane_count) - 1);
	for (unsigned int i = 0; i < r->lane_count; i++)
		end_lane(&r->lanes[i].lease);
	bench_join();
	bench.dies = false;
	bench.dead = 0;
}

static int adopt(struct viofs_arena *arena, const struct viofs_relay *old)
{
	struct viofs_adopt_descriptors d = { .virtio = bench.fs->virtio,
					     .lane_count = old->lane_count,
					     .crashed = bench.crashed };
	struct viofs_fs *fs;
	int rc;

	memcpy(d.eventfds, bench.fs->eventfds, sizeof(d.eventfds));
	d.lanes[0] = bench.relay_fd;
	for (unsigned int i = 1; i < old->lane_count; i++)
		d.lanes[i] = dup(old->lanes[i].fuse_fd);
	rc = viofs_adopt(arena, &d, &fs, &bench.successor, &bench.err);
	if (rc) {
		for (unsigned int i = 1; i < old->lane_count; i++)
			close(d.lanes[i]);
		return rc;
	}
	viofs_fs_let_go(bench.fs);
	bench.fs = fs;
	return 0;
}

int bench_try_adopt(void)
{
	struct viofs_arena *arena;
	int rc;

	rc = viofs_arena_adopt(dup(viofs_arena_fd(bench.arena)),
			       dup(viofs_arena_private_fd(bench.arena)), VIOFS_ARENA_HEAD, &arena);
	assert_int_equal(rc, 0);
	assert_ptr_not_equal(viofs_arena_head(arena), viofs_arena_head(bench.arena));
	rc = adopt(arena, bench.relay);
	if (rc) {
		viofs_arena_free(arena);
		return rc;
	}
	/* Nothing of the first one's is left, but the mapping that the device has. */
	viofs_relay_free(bench.relay);
	bench.relay = bench.successor;
	if (bench.first_arena)
		viofs_arena_free(bench.arena);
	else
		bench.first_arena = bench.arena;
	bench.arena = arena;
	return 0;
}

void bench_adopt(void)
{
	if (bench_try_adopt())
		fail_msg("%s", bench.err.text);
	assert_int_equal(pthread_create(&bench.thread, NULL, run_relay, NULL), 0);
	bench.running = true;
}

/* A parent has nothing of what its child made. */
static void forget_preparations(struct viofs_relay *r)
{
	for (unsigned int i = 0; i < r->lane_count; i++) {
		viofs_loop_close(&r->lanes[i].loop);
		assert_true(viofs_lease_fini(&r->lanes[i].lease));
	}
	viofs_doorbells_fini(&r->doorbells);
}

void bench_adopt_forked(void)
{
	forget_preparations(bench.relay);
	if (viofs_adopt_prepare(bench.relay, bench.relay_fd, &bench.err))
		fail_msg("%s", bench.err.text);
	if (viofs_adopt_forked(&bench.config, bench.crashed, &bench.fs, &bench.relay, &bench.err))
		fail_msg("%s", bench.err.text);
	assert_int_equal(pthread_create(&bench.thread, NULL, run_relay, NULL), 0);
	bench.running = true;
}

int bench_join(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += JOIN_S;
	if (pthread_timedjoin_np(bench.thread, NULL, &until)) {
		fprintf(stderr, "the relay does not end\n");
		abort();
	}
	bench.running = false;
	return bench.rc;
}

void bench_end(void)
{
	shutdown(bench.kernel, SHUT_WR);
	assert_int_equal(bench_join(), 0);
	assert_int_equal(bench_stats()->stage, VIOFS_STAGE_ENDED);
	kernel_gets_nothing(0);
}

int bench_tear_down(void **state)
{
	bench.block_unique = 0;
	for (unsigned int i = 0; i < bench.lanes; i++)
		shutdown(bench.kernels[i], SHUT_RDWR);
	if (bench.running)
		bench_join();
	if (bench.device.function)
		model_device_stop(&bench.device);
	viofs_relay_free(bench.relay);
	viofs_arena_free(bench.arena);
	viofs_arena_free(bench.first_arena);
	bench.function.faults.gone = false;
	bench.function.lost = NULL;
	viofs_fs_close(bench.fs);
	for (unsigned int i = 0; i < bench.lanes; i++)
		close(bench.kernels[i]);
	close(bench.relay_fd);
	close(bench.function.vfio.event_fd);
	model_device_check(&bench.device, &bench.function);
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

void kernel_sends(uint32_t opcode, uint64_t unique, uint64_t nodeid, const void *args,
		  size_t args_len, const void *data, size_t data_len)
{
	struct fuse_in_header head = {
		.len = (uint32_t)(sizeof(head) + args_len + data_len),
		.opcode = opcode,
		.unique = unique,
		.nodeid = nodeid,
	};
	struct iovec iov[3] = { { &head, sizeof(head) },
				{ (void *)(uintptr_t)args, args_len },
				{ (void *)(uintptr_t)data, data_len } };

	assert_true(bench.to < bench.lanes);
	assert_int_equal(writev(bench.kernels[bench.to], iov, 3), head.len);
}

void kernel_sends_init(uint64_t unique)
{
	struct fuse_init_in in = {
		.major = 7,
		.minor = 45,
		.max_readahead = 131072,
		.flags = (uint32_t)bench.kernel_flags,
		.flags2 = (uint32_t)(bench.kernel_flags >> 32),
	};

	kernel_sends(FUSE_INIT, unique, 0, &in, sizeof(in), NULL, 0);
}

void kernel_sends_read(uint64_t unique, uint64_t nodeid, uint64_t offset, uint32_t size)
{
	struct fuse_read_in in = { .fh = 77, .offset = offset, .size = size };

	kernel_sends(FUSE_READ, unique, nodeid, &in, sizeof(in), NULL, 0);
}

void kernel_sends_write(uint64_t unique, uint64_t nodeid, uint64_t offset, uint32_t size)
{
	struct fuse_write_in in = { .fh = 77, .offset = offset, .size = size };
	uint8_t *data = malloc(size);

	assert_non_null(data);
	for (uint32_t i = 0; i < size; i++)
		data[i] = model_device_byte(nodeid, offset + i);
	kernel_sends(FUSE_WRITE, unique, nodeid, &in, sizeof(in), data, size);
	free(data);
}

void kernel_sends_getattr(uint64_t unique, uint64_t nodeid)
{
	struct fuse_getattr_in in = { 0 };

	kernel_sends(FUSE_GETATTR, unique, nodeid, &in, sizeof(in), NULL, 0);
}

void kernel_sends_forget(uint64_t unique, uint64_t nodeid)
{
	struct fuse_forget_in in = { .nlookup = 1 };

	kernel_sends(FUSE_FORGET, unique, nodeid, &in, sizeof(in), NULL, 0);
}

void kernel_sends_lock(uint64_t unique)
{
	struct fuse_lk_in in = { .fh = 77 };

	kernel_sends(FUSE_SETLKW, unique, 5, &in, sizeof(in), NULL, 0);
}

void kernel_sends_interrupt(uint64_t of)
{
	struct fuse_interrupt_in in = { .unique = of };

	kernel_sends(FUSE_INTERRUPT, of | 1, 0, &in, sizeof(in), NULL, 0);
}

/* Return: the lane that has said something, within @ms; -1: none. */
static int wait_for_answer(int ms)
{
	struct pollfd p[BENCH_LANES_MAX];

	for (unsigned int i = 0; i < bench.lanes; i++)
		p[i] = (struct pollfd){ .fd = bench.kernels[i], .events = POLLIN };
	poll(p, bench.lanes, ms);
	for (unsigned int i = 0; i < bench.lanes; i++)
		if (p[i].revents & POLLIN)
			return (int)i;
	return -1;
}

const struct answer *kernel_gets(void)
{
	static struct answer a;
	struct iovec iov[2] = { { &a.head, sizeof(a.head) }, { a.payload, sizeof(a.payload) } };
	int lane = wait_for_answer(ANSWER_MS);
	ssize_t n;

	if (lane < 0)
		fail_msg("no answer");
	a.lane = (unsigned int)lane;
	n = readv(bench.kernels[lane], iov, 2);
	assert_true(n >= (ssize_t)sizeof(a.head));
	/* what fuse_dev_do_write() would refuse */
	assert_int_equal(a.head.len, n);
	assert_int_not_equal(a.head.unique, 0);
	assert_true(a.head.error <= 0 && a.head.error > -512);
	assert_true(!a.head.error || a.head.len == sizeof(a.head));
	a.len = (size_t)n - sizeof(a.head);
	return &a;
}

const struct answer *kernel_is_answered(uint64_t unique, int error, size_t len)
{
	const struct answer *a = kernel_gets();

	assert_int_equal(a->head.unique, unique);
	assert_int_equal(a->head.error, error);
	assert_int_equal(a->len, len);
	return a;
}

void kernel_is_answered_all(uint64_t first, unsigned int count, int error, size_t len)
{
	bool *seen = calloc(count, sizeof(*seen));

	assert_non_null(seen);
	for (unsigned int i = 0; i < count; i++) {
		const struct answer *a = kernel_gets();
		uint64_t at = (a->head.unique - first) / 2;

		assert_int_equal((a->head.unique - first) % 2, 0);
		assert_true(at < count && !seen[at]);
		assert_int_equal(a->head.error, error);
		assert_int_equal(a->len, len);
		seen[at] = true;
	}
	free(seen);
}

void kernel_gets_nothing(int ms)
{
	int lane = wait_for_answer(ms);
	struct fuse_out_header head;

	if (lane >= 0 && recv(bench.kernels[lane], &head, sizeof(head), MSG_DONTWAIT) > 0)
		fail_msg("an answer that nobody waits for: unique %llu, error %d",
			 (unsigned long long)head.unique, head.error);
}

/* Counts the device's FORGETs from @first on, into @seen too where there is one. */
static unsigned int count_forgets(uint64_t first, uint64_t *seen, unsigned int count)
{
	struct viofs_fuse_forgets walk;
	struct fuse_forget_one one;
	unsigned int n = 0;

	pthread_mutex_lock(&bench.device.lock);
	for (unsigned int i = 0; i < bench.device.count; i++) {
		const struct model_request *r = &bench.device.requests[i];

		if (r->opcode != FUSE_FORGET && r->opcode != FUSE_BATCH_FORGET)
			continue;
		if (r->len > VIOFS_FUSE_FORGET_BYTES ||
		    viofs_fuse_forgets_start(&walk, r->message, r->len))
			continue;
		while (viofs_fuse_forgets_one(&walk, &one)) {
			if (one.nodeid - first >= count)
				continue;
			n++;
			if (seen)
				seen[one.nodeid - first] += one.nlookup;
		}
	}
	pthread_mutex_unlock(&bench.device.lock);
	return n;
}

unsigned int device_forgotten(void)
{
	return count_forgets(0, NULL, UINT_MAX);
}

void device_forgets(uint64_t first, unsigned int count)
{
	uint64_t *seen = calloc(count, sizeof(*seen));

	assert_non_null(seen);
	for (int ms = 0; count_forgets(first, NULL, count) < count && ms < ANSWER_MS; ms++)
		usleep(1000);
	assert_int_equal(count_forgets(first, seen, count), count);
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(seen[i], 1);
	free(seen);
}

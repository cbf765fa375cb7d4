/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The front end and the vhost-user transport against a back end of the test's own: what it is told,
 * in which order, and what comes of it when it fails or comes back. */
#include "dma/arena.h"
#include "base/util.h"
#include "model_backend.h"
#include "tree.h"
#include "vhost/vhost.h"
#include "virtio/virtio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define QUIET_MS 150 /* for back ends that don't answer */
#define LONG_MS 5000
#define MEMORY_AT (1ULL << 32)
#define PROTOCOL_TRACKING (1ULL << 12)

static struct model_backend peer;
static struct viofs_vhost *v;
static struct viofs_err err;
static unsigned int fds_before;

static int make(void **state)
{
	fds_before = model_count_fds();
	model_backend_init(&peer);
	v = NULL;
	memset(&err, 0, sizeof(err));
	return 0;
}

static int unmake(void **state)
{
	viofs_vhost_close(v);
	if (peer.is_running)
		model_backend_stop(&peer);
	return model_count_fds() == fds_before ? 0 : -1;
}

static void open_it(bool track)
{
	model_backend_start(&peer);
	assert_int_equal(viofs_vhost_open(peer.path, LONG_MS, track, &v, &err), 0);
}

/* The message @request is met by @fault from now on. */
static void fails_at(enum model_request request, enum model_fault fault)
{
	pthread_mutex_lock(&peer.lock);
	peer.fault_at = request;
	peer.fault = fault;
	pthread_mutex_unlock(&peer.lock);
}

static uint64_t number_told(enum model_request request)
{
	const struct model_message *m = model_backend_last(&peer, request);

	assert_non_null(m);
	assert_int_equal(m->size, 8);
	return m->payload.u64;
}

static void what_both_have_is_agreed_on(void **state)
{
	peer.protocol |= 1ULL << 4 | 1ULL << 12 | 1ULL << 63;
	open_it(false);
	/* Tracking only where it is asked for, and nothing that is not known here. */
	assert_int_equal(number_told(MODEL_SET_PROTOCOL_FEATURES),
			 1ULL << 0 | 1ULL << 3 | 1ULL << 9 | 1ULL << 15);
	assert_int_equal(v->protocol_features, number_told(MODEL_SET_PROTOCOL_FEATURES));
	assert_null(v->link);
	assert_int_equal(v->queue_max, 2);
	/* Bit 30 is none of virtio's. */
	assert_int_equal(v->features, 1ULL << 32 | 1ULL << 28 | 1ULL << 29);
	assert_true(model_backend_place(&peer, MODEL_GET_FEATURES) <
		    model_backend_place(&peer, MODEL_GET_PROTOCOL_FEATURES));
	assert_true(model_backend_place(&peer, MODEL_SET_PROTOCOL_FEATURES) <
		    model_backend_place(&peer, MODEL_GET_QUEUE_NUM));
	assert_int_equal(model_backend_times(&peer, MODEL_SET_OWNER), 1);
	assert_null(viofs_vhost_lost(v));
}

static void tracking_is_taken_where_it_is_asked_for(void **state)
{
	peer.protocol |= PROTOCOL_TRACKING;
	open_it(true);
	assert_true(v->protocol_features & PROTOCOL_TRACKING);
	assert_non_null(v->link);
	assert_int_equal(viofs_vhost_set_features(v, 1ULL << 32), 0);
	assert_int_equal(viofs_vhost_track(v, 3, 128), 0);
	/* What it gave comes back as it was. */
	assert_int_equal(model_backend_last(&peer, MODEL_GET_INFLIGHT_FD)->payload.words[2],
			 128ULL << 16 | 3);
	assert_int_equal(model_backend_last(&peer, MODEL_SET_INFLIGHT_FD)->payload.words[0], 8192);
	assert_int_equal(model_backend_last(&peer, MODEL_SET_INFLIGHT_FD)->payload.words[1], 4096);
	assert_int_equal(model_backend_last(&peer, MODEL_SET_INFLIGHT_FD)->payload.words[2],
			 128ULL << 16 | 3);
	assert_true(model_backend_last(&peer, MODEL_SET_INFLIGHT_FD)->fd >= 0);
}

static void one_without_a_region_to_track_in_is_refused(void **state)
{
	peer.protocol |= PROTOCOL_TRACKING;
	fails_at(MODEL_GET_INFLIGHT_FD, MODEL_REFUSES);
	open_it(true);
	assert_int_equal(viofs_vhost_track(v, 2, 64), -EPROTO);
	assert_string_equal(v->lost,
			    "gave an answer to GET_INFLIGHT_FD that is none of vhost-user's");
}

static void without_mq_nobody_is_asked_for_queues(void **state)
{
	peer.protocol &= ~1ULL;
	open_it(false);
	assert_null(model_backend_last(&peer, MODEL_GET_QUEUE_NUM));
	assert_int_equal(v->queue_max, 0);
}

static void one_without_protocol_features_is_too_old(void **state)
{
	peer.features &= ~(1ULL << 30);
	model_backend_start(&peer);
	assert_int_equal(viofs_vhost_open(peer.path, LONG_MS, false, &v, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "VHOST_USER_F_PROTOCOL_FEATURES"));
}

static void every_message_at_the_start_may_fail(void **state)
{
	static const enum model_request requests[] = {
		MODEL_GET_FEATURES,
		MODEL_GET_PROTOCOL_FEATURES,
		MODEL_SET_PROTOCOL_FEATURES,
		MODEL_GET_QUEUE_NUM,
		MODEL_SET_OWNER,
	};
	static const struct {
		enum model_fault fault;
		int ms, rc;
		const char *text;
	} faults[] = {
		{ MODEL_CLOSES, LONG_MS, -ECONNRESET, "closed its socket at" },
		{ MODEL_IS_QUIET, QUIET_MS, -ETIMEDOUT, "within 150 ms" },
		{ MODEL_BABBLES, LONG_MS, -EPROTO, "none of vhost-user's" },
		{ MODEL_IS_SHORT, LONG_MS, -EPROTO, "none of vhost-user's" },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(requests); i++) {
		for (size_t k = 0; k < VIOFS_ARRAY_SIZE(faults); k++) {
			int rc;

			/* What is not acknowledged is answered by GET_FEATURES. */
			if (requests[i] == MODEL_SET_PROTOCOL_FEATURES && faults[k].rc == -EPROTO)
				continue;
			model_backend_init(&peer);
			fails_at(requests[i], faults[k].fault);
			model_backend_start(&peer);
			rc = viofs_vhost_open(peer.path, faults[k].ms, false, &v, &err);
			assert_int_equal(rc, faults[k].rc);
			assert_non_null(strstr(err.text, faults[k].text));
			assert_null(v);
			model_backend_stop(&peer);
		}
	}
}

static void what_is_no_socket_of_a_back_end_is_said(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char longest[110];
	int s;

	assert_int_equal(viofs_vhost_open("/nonexistent/s", LONG_MS, false, &v, &err), -ENOENT);
	assert_non_null(strstr(err.text, "start the back end first"));
	assert_int_equal(viofs_vhost_open("/", LONG_MS, false, &v, &err), -ENOTSOCK);
	assert_int_equal(viofs_vhost_open("/etc/passwd/s", LONG_MS, false, &v, &err), -ENOTDIR);
	memset(longest, 'a', sizeof(longest));
	longest[108] = '\0';
	assert_int_equal(viofs_vhost_open(longest, LONG_MS, false, &v, &err), -ENAMETOOLONG);
	longest[107] = '\0';
	assert_int_equal(viofs_vhost_open(longest, LONG_MS, false, &v, &err), -ENOENT);

	s = socket(AF_UNIX, SOCK_DGRAM, 0);
	tree_make();
	strcpy(a.sun_path, tree_path("sock"));
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(viofs_vhost_open(a.sun_path, LONG_MS, false, &v, &err), -EPROTOTYPE);
	assert_non_null(strstr(err.text, "no stream socket"));
	close(s);
	assert_int_equal(viofs_vhost_open(a.sun_path, LONG_MS, false, &v, &err), -ECONNREFUSED);
	assert_non_null(strstr(err.text, "Nobody listens there"));
	tree_remove();
}

static void one_that_takes_no_connection_costs_the_time_out(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0), first = socket(AF_UNIX, SOCK_STREAM, 0);
	int64_t start;

	tree_make();
	strcpy(a.sun_path, tree_path("sock"));
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s, 0), 0);
	assert_int_equal(connect(first, (struct sockaddr *)&a, sizeof(a)), 0);
	start = viofs_now_ns();
	assert_int_equal(viofs_vhost_open(a.sun_path, QUIET_MS, false, &v, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "is it stopped?"));
	assert_in_range(viofs_now_ns() - start, QUIET_MS * VIOFS_NSEC_PER_MSEC,
			2000 * VIOFS_NSEC_PER_MSEC);
	close(first);
	close(s);
	tree_remove();
}

static void after_a_failure_nothing_more_is_said(void **state)
{
	unsigned int count;

	fails_at(MODEL_SET_FEATURES, MODEL_REFUSES);
	open_it(false);
	assert_int_equal(viofs_vhost_set_features(v, 1), -EREMOTEIO);
	assert_string_equal(v->lost, "refused SET_FEATURES");
	assert_false(v->closed);
	assert_string_equal(viofs_vhost_lost(v), v->lost);
	fails_at(MODEL_SET_FEATURES, MODEL_GOOD);
	count = peer.count;
	assert_int_equal(viofs_vhost_set_features(v, 1), -ENODEV);
	assert_int_equal(viofs_vhost_ring_stop(v, 0), -ENODEV);
	assert_int_equal(peer.count, count);
}

static void without_acknowledgements_a_question_behind_shows_that_it_was_taken(void **state)
{
	unsigned int asked;

	peer.protocol &= ~(1ULL << 3);
	open_it(false);
	asked = model_backend_times(&peer, MODEL_GET_FEATURES);
	assert_int_equal(viofs_vhost_set_features(v, 5), 0);
	assert_int_equal(number_told(MODEL_SET_FEATURES), 5 | 1ULL << 30);
	assert_int_equal(model_backend_last(&peer, MODEL_SET_FEATURES)->flags, 1);
	assert_int_equal(model_backend_times(&peer, MODEL_GET_FEATURES), asked + 1);
	fails_at(MODEL_SET_FEATURES, MODEL_CLOSES);
	assert_int_equal(viofs_vhost_set_features(v, 5), -ECONNRESET);
	assert_string_equal(v->lost, "closed its socket at SET_FEATURES");
	assert_true(v->closed);
}

/* Half an answer says nothing, whether a message was acknowledged or asked behind. */
static void half_an_answer_is_none(void **state)
{
	open_it(false);
	fails_at(MODEL_SET_FEATURES, MODEL_IS_SHORT);
	assert_int_equal(viofs_vhost_set_features(v, 1), -EPROTO);
	assert_non_null(strstr(v->lost, "SET_FEATURES"));
}

static void half_an_answer_to_the_question_behind_is_none(void **state)
{
	peer.protocol &= ~(1ULL << 3);
	open_it(false);
	fails_at(MODEL_GET_FEATURES, MODEL_IS_SHORT);
	assert_int_equal(viofs_vhost_set_features(v, 1), -EPROTO);
	assert_non_null(strstr(v->lost, "SET_FEATURES"));
}

static bool no_eventfds, no_epolls;

/* Linked in place of the C library's, as at the limit of descriptors. */
int __real_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags)
{
	if (!no_eventfds)
		return __real_eventfd(count, flags);
	errno = EMFILE;
	return -1;
}

int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_create1(int flags)
{
	if (!no_epolls)
		return __real_epoll_create1(flags);
	errno = ENFILE;
	return -1;
}

static void without_descriptors_to_watch_with_it_is_not_opened(void **state)
{
	model_backend_start(&peer);
	for (int i = 0; i < 2; i++) {
		no_eventfds = !i;
		no_epolls = i;
		assert_int_equal(viofs_vhost_open(peer.path, LONG_MS, false, &v, &err),
				 i ? -ENFILE : -EMFILE);
		no_eventfds = no_epolls = false;
		assert_null(v);
		assert_non_null(strstr(err.text, "No descriptors to watch the socket with: Too"));
	}
	/* Nothing was asked. */
	assert_int_equal(model_backend_times(&peer, MODEL_GET_FEATURES), 0);
	assert_int_equal(viofs_vhost_open(peer.path, LONG_MS, false, &v, &err), 0);
}

static struct viofs_arena *new_arena(void)
{
	const size_t sizes[VIOFS_ARENA_SECTIONS] = {
		[VIOFS_ARENA_PRIVATE] = 4096,
		[VIOFS_ARENA_DEVICE_READ] = 8192,
		[VIOFS_ARENA_DEVICE_WRITE] = 4096,
	};
	struct viofs_arena *a;

	assert_int_equal(viofs_arena_new(sizes, false, &a, &err), 0);
	return a;
}

/* Up to here addresses were given. */
static uint64_t given_to;

static int add_region(uint64_t size, int fd, uint64_t offset, uint64_t *at)
{
	const struct viofs_mapper_memory memory = { NULL, size, fd, offset, VIOFS_DMA_READ };
	uint64_t iova;
	int rc;

	assert_int_equal(viofs_mapper_place(&v->mapper, given_to, size, &iova), 0);
	rc = v->mapper.ops->map(&v->mapper, &memory, iova, &err);
	if (rc)
		return rc;
	*at = iova;
	given_to = iova + size;
	return 0;
}

static int remove_region(uint64_t size, uint64_t at)
{
	return v->mapper.ops->unmap(&v->mapper, at, size, &err);
}

static void memory_is_given_once_and_regions_above_it(void **state)
{
	const struct model_message *m;
	struct viofs_arena *a = new_arena();
	uint64_t at = 0, next = 0;
	size_t run;
	void *p = viofs_arena_alloc(a, VIOFS_ARENA_DEVICE_WRITE, 64, 64);
	int file = memfd_create("more", MFD_CLOEXEC);

	open_it(false);
	assert_int_equal(viofs_arena_map(a, &v->mapper, VIOFS_ADDRESS_PHYSICAL, &err), 0);
	m = model_backend_last(&peer, MODEL_SET_MEM_TABLE);
	assert_int_equal(m->size, 40);
	assert_int_equal(m->payload.u32[0], 1);
	assert_int_equal(m->payload.words[1], MEMORY_AT);
	assert_int_equal(m->payload.words[2], viofs_arena_device_size(a));
	assert_int_equal(m->payload.words[3], MEMORY_AT);
	assert_int_equal(m->payload.words[4], 0);
	assert_true(m->fd >= 0);
	assert_int_equal(viofs_arena_iova(a, p, 64, &run), MEMORY_AT + 8192);

	given_to = MEMORY_AT + viofs_arena_device_size(a);
	assert_int_equal(add_region(4096, file, 512, &at), 0);
	assert_int_equal(at, MEMORY_AT + (1ULL << 30));
	m = model_backend_last(&peer, MODEL_ADD_MEM_REG);
	assert_int_equal(m->size, 40);
	assert_int_equal(m->payload.words[1], at);
	assert_int_equal(m->payload.words[2], 4096);
	assert_int_equal(m->payload.words[3], at);
	assert_int_equal(m->payload.words[4], 512);
	assert_true(m->fd >= 0);
	assert_int_equal(add_region(3ULL << 30, file, 0, &at), 0);
	assert_int_equal(add_region(1, file, 0, &next), 0);
	assert_int_equal(next, at + (3ULL << 30));
	assert_int_equal(add_region(1, -1, 0, &next), -EBADF);

	assert_int_equal(remove_region(4096, at), 0);
	m = model_backend_last(&peer, MODEL_REM_MEM_REG);
	assert_int_equal(m->payload.words[1], at);
	assert_int_equal(m->payload.words[2], 4096);
	assert_int_equal(m->fd, -1);
	fails_at(MODEL_ADD_MEM_REG, MODEL_REFUSES);
	assert_int_equal(add_region(1, file, 0, &next), -EREMOTEIO);
	assert_string_equal(err.text, "The back end refused ADD_MEM_REG.");
	assert_int_equal(remove_region(1, next), -ENODEV);
	close(file);
	viofs_arena_detach(a);
	viofs_arena_free(a);
}

static void memory_that_is_refused_is_not_numbered(void **state)
{
	struct viofs_arena *a = new_arena();
	uint64_t at;

	peer.protocol &= ~(1ULL << 15);
	fails_at(MODEL_SET_MEM_TABLE, MODEL_REFUSES);
	open_it(false);
	assert_int_equal(viofs_arena_map(a, &v->mapper, VIOFS_ADDRESS_PHYSICAL, &err), -EREMOTEIO);
	assert_string_equal(err.text, "The back end refused SET_MEM_TABLE.");
	assert_int_equal(v->memory.fd, -1);
	given_to = MEMORY_AT + 4096;
	assert_int_equal(add_region(1, 0, 0, &at), -ENOTSUP);
	assert_non_null(strstr(err.text, "CONFIGURE_MEM_SLOTS"));
	viofs_arena_free(a);
}

static void a_ring_is_told_before_it_is_kicked(void **state)
{
	const struct viofs_vhost_ring ring = {
		.size = 64,
		.base = 5,
		.desc = 0x1000,
		.driver = 0x2000,
		.device = 0x3000,
		.kick_fd = eventfd(0, 0),
		.call_fd = -1,
	};
	static const enum model_request order[] = {
		MODEL_SET_VRING_NUM,    MODEL_SET_VRING_BASE, MODEL_SET_VRING_ADDR,
		MODEL_SET_VRING_ERR,    MODEL_SET_VRING_CALL, MODEL_SET_VRING_KICK,
		MODEL_SET_VRING_ENABLE,
	};
	const struct model_message *m;

	open_it(false);
	assert_int_equal(viofs_vhost_ring_start(v, 1, &ring), 0);
	for (size_t i = 1; i < VIOFS_ARRAY_SIZE(order); i++)
		assert_int_equal(model_backend_place(&peer, order[i]),
				 model_backend_place(&peer, order[i - 1]) + 1);
	assert_int_equal(number_told(MODEL_SET_VRING_NUM), 64ULL << 32 | 1);
	assert_int_equal(number_told(MODEL_SET_VRING_BASE), 5ULL << 32 | 1);
	assert_int_equal(number_told(MODEL_SET_VRING_ENABLE), 1ULL << 32 | 1);
	m = model_backend_last(&peer, MODEL_SET_VRING_ADDR);
	assert_int_equal(m->size, 40);
	assert_int_equal(m->payload.words[0], 1);
	assert_int_equal(m->payload.words[1], 0x1000);
	assert_int_equal(m->payload.words[2], 0x3000); /* used */
	assert_int_equal(m->payload.words[3], 0x2000); /* avail */
	assert_int_equal(number_told(MODEL_SET_VRING_CALL), 1 | 1 << 8);
	assert_int_equal(model_backend_last(&peer, MODEL_SET_VRING_CALL)->fd, -1);
	assert_int_equal(number_told(MODEL_SET_VRING_KICK), 1);
	assert_true(model_backend_last(&peer, MODEL_SET_VRING_KICK)->fd >= 0);
	assert_true(model_backend_last(&peer, MODEL_SET_VRING_ERR)->fd >= 0);
	assert_int_equal(viofs_vhost_ring_stop(v, 1), 0);
	assert_int_equal(model_backend_last(&peer, MODEL_GET_VRING_BASE)->payload.u32[0], 1);
	peer.wrong_index = 1;
	assert_int_equal(viofs_vhost_ring_stop(v, 1), -EPROTO);
	close(ring.kick_fd);
}

static void a_ring_fails_with_its_first_message_that_does(void **state)
{
	static const enum model_request order[] = {
		MODEL_SET_VRING_NUM,    MODEL_SET_VRING_BASE, MODEL_SET_VRING_ADDR,
		MODEL_SET_VRING_ERR,    MODEL_SET_VRING_CALL, MODEL_SET_VRING_KICK,
		MODEL_SET_VRING_ENABLE,
	};
	struct viofs_vhost_ring ring = { .size = 64, .call_fd = eventfd(0, 0) };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(order); i++) {
		model_backend_init(&peer);
		fails_at(order[i], MODEL_REFUSES);
		open_it(false);
		ring.kick_fd = ring.call_fd;
		assert_int_equal(viofs_vhost_ring_start(v, 0, &ring), -EREMOTEIO);
		assert_int_equal(peer.got[peer.count - 1].request, order[i]);
		viofs_vhost_close(v);
		v = NULL;
		model_backend_stop(&peer);
	}
	close(ring.call_fd);
}

static void configuration_is_read_where_there_is_some(void **state)
{
	const struct model_message *m;
	uint8_t buf[300];

	open_it(false);
	assert_int_equal(viofs_vhost_config(v, 2, buf, 3), 0);
	assert_memory_equal(buf, "tag", 3);
	m = model_backend_last(&peer, MODEL_GET_CONFIG);
	assert_int_equal(m->size, 15);
	assert_int_equal(m->payload.u32[0], 2);
	assert_int_equal(m->payload.u32[1], 3);
	assert_int_equal(viofs_vhost_config(v, 250, buf, 7), -ERANGE);
	assert_int_equal(viofs_vhost_config(v, 0, buf, 257), -ERANGE);
	/* No such bytes: its word for "I have none". */
	assert_int_equal(viofs_vhost_config(v, 40, buf, 5), -EOPNOTSUPP);
	assert_null(viofs_vhost_lost(v));
	v->protocol_features &= ~VIOFS_VHOST_PROTOCOL_CONFIG;
	assert_int_equal(viofs_vhost_config(v, 0, buf, 4), -EOPNOTSUPP);
}

static void what_it_does_unasked_is_its_end(void **state)
{
	struct pollfd p;

	open_it(false);
	p = (struct pollfd){ .fd = v->event_fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 0);
	model_backend_stop(&peer);
	assert_int_equal(poll(&p, 1, 1000), 1);
	assert_string_equal(viofs_vhost_lost(v), "has closed its socket");
	assert_true(v->closed);
	/* An error of a ring is for good, though it has gone. */
	assert_int_equal(eventfd_write(v->err_fd, 1), 0);
	assert_string_equal(viofs_vhost_lost(v), "reports an error of a virtqueue");
	assert_false(v->closed);
	assert_string_equal(viofs_vhost_lost(v), "reports an error of a virtqueue");
}

static void a_message_that_nobody_asked_for_is_its_end(void **state)
{
	int s[2];

	open_it(false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	assert_int_equal(dup2(s[0], v->sock), v->sock);
	assert_null(viofs_vhost_look(v));
	assert_int_equal(write(s[1], "x", 1), 1);
	assert_string_equal(viofs_vhost_look(v), "sent a message that nobody asked for");
	assert_false(v->closed);
	close(s[0]);
	close(s[1]);
}

static void who_is_told_by_its_parent_does_not_look(void **state)
{
	int status;
	pid_t pid;

	peer.protocol |= PROTOCOL_TRACKING;
	open_it(true);
	viofs_vhost_link_own(v->link);
	viofs_vhost_link_set(v->link, VIOFS_VHOST_LINK_AWAY);
	shutdown(v->sock, SHUT_RDWR);
	pid = fork();
	if (!pid)
		_exit(viofs_vhost_lost(v) != NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	viofs_vhost_link_lose(v->link, "was taken away");
	pid = fork();
	if (!pid)
		_exit(strcmp(viofs_vhost_lost(v), "was taken away"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* The owner looks itself. */
	assert_string_equal(viofs_vhost_lost(v), "has closed its socket");
}

#define ALONE(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(what_both_have_is_agreed_on),
		ALONE(tracking_is_taken_where_it_is_asked_for),
		ALONE(one_without_a_region_to_track_in_is_refused),
		ALONE(without_mq_nobody_is_asked_for_queues),
		ALONE(one_without_protocol_features_is_too_old),
		ALONE(every_message_at_the_start_may_fail),
		ALONE(what_is_no_socket_of_a_back_end_is_said),
		ALONE(one_that_takes_no_connection_costs_the_time_out),
		ALONE(after_a_failure_nothing_more_is_said),
		ALONE(without_acknowledgements_a_question_behind_shows_that_it_was_taken),
		ALONE(half_an_answer_is_none),
		ALONE(half_an_answer_to_the_question_behind_is_none),
		ALONE(without_descriptors_to_watch_with_it_is_not_opened),
		ALONE(memory_is_given_once_and_regions_above_it),
		ALONE(memory_that_is_refused_is_not_numbered),
		ALONE(a_ring_is_told_before_it_is_kicked),
		ALONE(a_ring_fails_with_its_first_message_that_does),
		ALONE(configuration_is_read_where_there_is_some),
		ALONE(what_it_does_unasked_is_its_end),
		ALONE(a_message_that_nobody_asked_for_is_its_end),
		ALONE(who_is_told_by_its_parent_does_not_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages on the wire: what they look like there, in pieces, late, never, interrupted. */
#include "vhost/wire.h"
#include "base/util.h"
#include "model_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#define MS VIOFS_NSEC_PER_MSEC

static int ours, theirs; /* ends of the connection */
static unsigned int fds_before;

static int connect_pair(void **state)
{
	int s[2];

	fds_before = model_count_fds();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s))
		return -1;
	ours = s[0];
	theirs = s[1];
	return fcntl(ours, F_SETFL, O_NONBLOCK);
}

static int close_pair(void **state)
{
	close(ours);
	if (theirs >= 0)
		close(theirs);
	return model_count_fds() == fds_before ? 0 : -1; /* nothing that came along stays open */
}

static int64_t soon(int ms)
{
	return viofs_now_ns() + ms * MS;
}

static const struct viofs_vhost_message number = {
	.request = VIOFS_VHOST_SET_FEATURES,
	.size = 8,
	.payload.u64 = 0x1122334455667788,
};

/* A reply as a back end sends it, @fd with its first byte. */
static void send_reply(uint32_t request, uint32_t flags, uint32_t size, uint64_t value, int fd)
{
	uint32_t raw[5] = { request, flags, size, (uint32_t)value, (uint32_t)(value >> 32) };
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { raw, 12 + VIOFS_MIN(size, 8U) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	assert_int_equal(sendmsg(theirs, &msg, 0), iov.iov_len);
}

static void a_message_is_its_head_and_its_payload(void **state)
{
	uint32_t raw[8];

	assert_int_equal(viofs_vhost_send(ours, &number, -1, false, soon(1000)), 0);
	assert_int_equal(recv(theirs, raw, sizeof(raw), 0), 20);
	assert_int_equal(raw[0], 2);
	assert_int_equal(raw[1], 1); /* version 1 */
	assert_int_equal(raw[2], 8);
	assert_int_equal(raw[3], 0x55667788);
	assert_int_equal(raw[4], 0x11223344);
	assert_int_equal(viofs_vhost_send(ours, &number, -1, true, soon(1000)), 0);
	assert_int_equal(recv(theirs, raw, sizeof(raw), 0), 20);
	assert_int_equal(raw[1], 1 | 8); /* to be answered */
}

static void a_descriptor_goes_along_once(void **state)
{
	char control[64] __attribute__((aligned(8)));
	uint8_t raw[64];
	struct iovec iov = { raw, sizeof(raw) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int p[2], fd;
	char c;

	assert_int_equal(pipe(p), 0);
	assert_int_equal(viofs_vhost_send(ours, &number, p[0], false, soon(1000)), 0);
	assert_int_equal(recvmsg(theirs, &msg, 0), 20);
	assert_int_equal(CMSG_FIRSTHDR(&msg)->cmsg_len, CMSG_LEN(sizeof(fd)));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(read(fd, &c, 1), 1);
	close(fd);
	close(p[0]);
	close(p[1]);
	assert_int_equal(recv(theirs, raw, 1, MSG_DONTWAIT), -1);
}

/* So that no more than a few bytes fit. */
static void fill(void)
{
	char junk[4096] = { 0 };

	while (send(ours, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
	while (send(ours, junk, 1, MSG_DONTWAIT) > 0)
		;
}

static void a_peer_that_does_not_read_costs_the_time_out(void **state)
{
	int64_t start = viofs_now_ns();

	fill();
	assert_int_equal(viofs_vhost_send(ours, &number, -1, false, soon(60)), -ETIMEDOUT);
	assert_in_range(viofs_now_ns() - start, 60 * MS, 1500 * MS);
	/* The time is over already: no wait at all. */
	start = viofs_now_ns();
	assert_int_equal(viofs_vhost_send(ours, &number, -1, false, start - 1), -ETIMEDOUT);
	assert_in_range(viofs_now_ns() - start, 0, 40 * MS);
}

static void a_peer_that_does_not_answer_costs_the_time_out(void **state)
{
	struct viofs_vhost_message m = { 0 };
	int64_t start = viofs_now_ns();

	assert_int_equal(viofs_vhost_receive(ours, VIOFS_VHOST_GET_FEATURES, &m, NULL, soon(60)),
			 -ETIMEDOUT);
	assert_in_range(viofs_now_ns() - start, 60 * MS, 1500 * MS);
	/* Nor does half a message do. */
	assert_int_equal(write(theirs, "\1\0\0\0\5", 5), 5);
	assert_int_equal(viofs_vhost_receive(ours, VIOFS_VHOST_GET_FEATURES, &m, NULL, soon(20)),
			 -ETIMEDOUT);
}

/* Does something with the other end a little later. */
static void *later(void *arg)
{
	void (*what)(void) = *(void (**)(void))arg;

	usleep(40000);
	what();
	return NULL;
}

static void run_later(void (**what)(void), pthread_t *thread)
{
	sigset_t all, old;

	/* Signals are for the one that waits. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	assert_int_equal(pthread_create(thread, NULL, later, what), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void answer_in_pieces(void)
{
	const uint32_t raw[5] = { 1, 5, 8, 77, 0 };

	for (size_t i = 0; i < sizeof(raw); i++) {
		usleep(500);
		if (write(theirs, (const char *)raw + i, 1) != 1)
			abort();
	}
}

static void read_everything(void)
{
	char junk[4096];

	do
		usleep(1000);
	while (recv(theirs, junk, sizeof(junk), MSG_DONTWAIT) > 0);
}

static void nothing(int signal)
{
}

/* SIGALRM each 2 ms, and no system call goes on by itself after it. */
static void storm(bool on)
{
	const struct sigaction a = { .sa_handler = on ? nothing : SIG_DFL };
	const struct itimerval each = { { 0, on ? 2000 : 0 }, { 0, on ? 2000 : 0 } };

	if (on)
		sigaction(SIGALRM, &a, NULL);
	assert_int_equal(setitimer(ITIMER_REAL, &each, NULL), 0);
	if (!on)
		sigaction(SIGALRM, &a, NULL);
}

static void an_answer_in_pieces_is_one(void **state)
{
	void (*what)(void) = answer_in_pieces;
	struct viofs_vhost_message m;
	pthread_t thread;

	run_later(&what, &thread);
	assert_int_equal(viofs_vhost_receive(ours, VIOFS_VHOST_GET_FEATURES, &m, NULL, soon(5000)),
			 0);
	pthread_join(thread, NULL);
	assert_int_equal(m.size, 8);
	assert_int_equal(m.payload.u64, 77);
}

static void signals_do_not_end_a_wait_for_an_answer(void **state)
{
	void (*what)(void) = answer_in_pieces;
	struct viofs_vhost_message m;
	pthread_t thread;
	int rc;

	run_later(&what, &thread);
	storm(true);
	rc = viofs_vhost_receive(ours, VIOFS_VHOST_GET_FEATURES, &m, NULL, soon(5000));
	storm(false);
	pthread_join(thread, NULL);
	assert_int_equal(rc, 0);
	assert_int_equal(m.payload.u64, 77);
}

static void signals_do_not_end_a_wait_for_room(void **state)
{
	void (*what)(void) = read_everything;
	pthread_t thread;
	int rc;

	fill();
	run_later(&what, &thread);
	storm(true);
	rc = viofs_vhost_send(ours, &number, -1, false, soon(5000));
	storm(false);
	pthread_join(thread, NULL);
	assert_int_equal(rc, 0);
}

static void signals_do_not_make_a_wait_longer(void **state)
{
	struct viofs_vhost_message m;
	int64_t start = viofs_now_ns();
	int rc;

	storm(true);
	rc = viofs_vhost_receive(ours, VIOFS_VHOST_GET_FEATURES, &m, NULL, soon(50));
	storm(false);
	assert_int_equal(rc, -ETIMEDOUT);
	assert_in_range(viofs_now_ns() - start, 50 * MS, 1500 * MS);
}

static void a_closed_connection_has_one_errno(void **state)
{
	struct viofs_vhost_message m;

	close(theirs);
	theirs = -1;
	assert_int_equal(viofs_vhost_receive(ours, VIOFS_VHOST_GET_FEATURES, &m, NULL, soon(1000)),
			 -ECONNRESET);
	assert_int_equal(viofs_vhost_send(ours, &number, -1, false, soon(1000)), -ECONNRESET);
	assert_int_equal(viofs_vhost_send(-1, &number, -1, false, soon(1000)), -EBADF);
	assert_int_equal(viofs_vhost_receive(-1, VIOFS_VHOST_GET_FEATURES, &m, NULL, soon(1000)),
			 -EBADF);
}

static void what_is_no_reply_is_refused_and_its_descriptor_closed(void **state)
{
	static const uint32_t wrong[][3] = {
		{ 2, 5, 8 },   /* of another request */
		{ 1, 1, 8 },   /* no reply */
		{ 1, 6, 8 },   /* version 2 */
		{ 1, 4, 8 },   /* version 0 */
		{ 1, 5, 273 }, /* more than any payload */
	};
	unsigned int before = model_count_fds();

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(wrong); i++) {
		struct viofs_vhost_message m = { .size = 99 };
		int fd = -2;

		send_reply(wrong[i][0], wrong[i][1], wrong[i][2], 0, theirs);
		assert_int_equal(
			viofs_vhost_receive(ours, VIOFS_VHOST_GET_FEATURES, &m, &fd, soon(1000)),
			-EPROTO);
		assert_int_equal(m.size, 99);
		assert_int_equal(fd, -2);
		assert_int_equal(model_count_fds(), before);
		read_everything();
		close_pair(NULL);
		connect_pair(NULL);
	}
}

static void a_descriptor_is_taken_where_one_is_expected(void **state)
{
	unsigned int before = model_count_fds();
	struct viofs_vhost_message m;
	int fd;

	send_reply(31, 5, 8, 3, theirs);
	assert_int_equal(
		viofs_vhost_receive(ours, VIOFS_VHOST_GET_INFLIGHT_FD, &m, &fd, soon(1000)), 0);
	assert_true(fd >= 0 && fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	send_reply(31, 5, 8, 3, -1);
	assert_int_equal(
		viofs_vhost_receive(ours, VIOFS_VHOST_GET_INFLIGHT_FD, &m, &fd, soon(1000)), 0);
	assert_int_equal(fd, -1);
	/* Nobody wants it. */
	send_reply(1, 5, 8, 3, theirs);
	assert_int_equal(viofs_vhost_receive(ours, VIOFS_VHOST_GET_FEATURES, &m, NULL, soon(1000)),
			 0);
	assert_int_equal(model_count_fds(), before);
}

static void a_second_descriptor_is_closed(void **state)
{
	const uint32_t head[3] = { 31, 5, 0 };
	struct viofs_vhost_message m;
	unsigned int before = model_count_fds();
	int fd;

	/* Each half of the head has one. */
	for (int half = 0; half < 2; half++) {
		char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
		struct iovec iov = { (char *)head + half * 6, 6 };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &theirs, sizeof(int));
		assert_int_equal(sendmsg(theirs, &msg, 0), 6);
	}
	assert_int_equal(
		viofs_vhost_receive(ours, VIOFS_VHOST_GET_INFLIGHT_FD, &m, &fd, soon(1000)), 0);
	assert_int_equal(model_count_fds(), before + 1);
	close(fd);
}

static void the_largest_payload_fits(void **state)
{
	uint32_t head[3] = { 24, 5, sizeof(union viofs_vhost_payload) };
	uint8_t payload[sizeof(union viofs_vhost_payload)];
	struct viofs_vhost_message m;

	memset(payload, 0xa5, sizeof(payload));
	assert_int_equal(write(theirs, head, sizeof(head)), sizeof(head));
	assert_int_equal(write(theirs, payload, sizeof(payload)), sizeof(payload));
	assert_int_equal(viofs_vhost_receive(ours, VIOFS_VHOST_GET_CONFIG, &m, NULL, soon(1000)),
			 0);
	assert_int_equal(m.size, sizeof(payload));
	assert_memory_equal(&m.payload, payload, sizeof(payload));
}

#define ON_A_PAIR(f) cmocka_unit_test_setup_teardown(f, connect_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_PAIR(a_message_is_its_head_and_its_payload),
		ON_A_PAIR(a_descriptor_goes_along_once),
		ON_A_PAIR(a_peer_that_does_not_read_costs_the_time_out),
		ON_A_PAIR(a_peer_that_does_not_answer_costs_the_time_out),
		ON_A_PAIR(an_answer_in_pieces_is_one),
		ON_A_PAIR(signals_do_not_end_a_wait_for_an_answer),
		ON_A_PAIR(signals_do_not_end_a_wait_for_room),
		ON_A_PAIR(signals_do_not_make_a_wait_longer),
		ON_A_PAIR(a_closed_connection_has_one_errno),
		ON_A_PAIR(what_is_no_reply_is_refused_and_its_descriptor_closed),
		ON_A_PAIR(a_descriptor_is_taken_where_one_is_expected),
		ON_A_PAIR(a_second_descriptor_is_closed),
		ON_A_PAIR(the_largest_payload_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

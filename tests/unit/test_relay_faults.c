/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay with a device that lies, is silent or dies, and with a kernel that blocks: nobody is
 * left waiting. */
#include "relay_bench.h"
#include "says.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* What the device does to its answers to GETATTR, OPEN and READ. */
static void (*spoil)(struct model_request *r, struct fuse_out_header *out);

static enum model_verdict spoil_answers(struct model_device *d, struct model_request *r)
{
	if (r->opcode == FUSE_GETATTR || r->opcode == FUSE_READ || r->opcode == FUSE_OPEN)
		spoil(r, (void *)r->reply);
	return MODEL_ANSWER;
}

static void start_spoiling(void (*how)(struct model_request *r, struct fuse_out_header *out))
{
	pthread_mutex_lock(&bench.device.lock);
	spoil = how;
	bench.device.hook = spoil_answers;
	pthread_mutex_unlock(&bench.device.lock);
}

static void no_header(struct model_request *r, struct fuse_out_header *out)
{
	r->reply_len = r->used_len = 0;
}

static void half_a_header(struct model_request *r, struct fuse_out_header *out)
{
	r->reply_len = r->used_len = 15;
}

static void used_len_zero(struct model_request *r, struct fuse_out_header *out)
{
	r->used_len = 0;
}

static void used_len_short(struct model_request *r, struct fuse_out_header *out)
{
	r->used_len--;
}

static void used_len_says_all(struct model_request *r, struct fuse_out_header *out)
{
	r->used_len = 16;
	for (unsigned int i = 1; i < r->writable; i++)
		r->used_len += r->writable_len[i];
	out->len = r->used_len - 1;
}

static void len_beyond_the_room(struct model_request *r, struct fuse_out_header *out)
{
	out->len = UINT32_MAX;
}

static void len_of_nothing(struct model_request *r, struct fuse_out_header *out)
{
	out->len = 0;
}

static void error_positive(struct model_request *r, struct fuse_out_header *out)
{
	out->error = 5;
}

static void error_beyond_511(struct model_request *r, struct fuse_out_header *out)
{
	out->error = -512;
}

static void struct_too_short(struct model_request *r, struct fuse_out_header *out)
{
	out->len = 16 + 96;
	r->reply_len = r->used_len = out->len;
}

static void struct_missing(struct model_request *r, struct fuse_out_header *out)
{
	out->len = 16;
	r->reply_len = r->used_len = out->len;
}

/* Each gives EIO to its request, is remembered, and the session goes on. */
static void a_reply_that_breaks_the_rules_is_eio(void **state)
{
	static void (*const faults[])(struct model_request *, struct fuse_out_header *) = {
		no_header,           half_a_header,    used_len_zero,  used_len_short,
		used_len_says_all,   len_of_nothing,   error_positive, error_beyond_511,
		len_beyond_the_room, struct_too_short, struct_missing,
	};

	bench_serve();
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(faults); i++) {
		start_spoiling(faults[i]);
		kernel_sends_getattr(100 + 2 * i, 1);
		kernel_is_answered(100 + 2 * i, -EIO, 0);
		assert_int_equal(bench_stats()->faults, i + 1);
		assert_non_null(strstr(bench_stats()->last_fault, "GETATTR: "));
		model_device_release(&bench.device, 0);
		kernel_sends_getattr(4, 1);
		kernel_is_answered(4, 0, 104);
	}
	bench_end();
	assert_int_equal(bench_stats()->errors, 0);
}

static void error_with_trailing(struct model_request *r, struct fuse_out_header *out)
{
	out->error = -EACCES;
}

static void trailing_bytes_of_an_error_are_cut(void **state)
{
	bench_serve();
	start_spoiling(error_with_trailing);
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, -EACCES, 0);
	kernel_sends_read(6, 1, 0, 5000);
	kernel_is_answered(6, -EACCES, 0);
	bench_end();
	assert_int_equal(bench_stats()->faults, 0);
}

static void read_is_short(struct model_request *r, struct fuse_out_header *out)
{
	out->len = 16 + 10;
	r->reply_len = r->used_len = out->len;
}

/* The slot held another's data before: only what was written may get out. */
static void a_short_read_gives_no_more_than_was_written(void **state)
{
	const struct answer *a;

	bench_serve();
	kernel_sends_read(4, 5, 0, 8192);
	kernel_is_answered(4, 0, 8192);
	start_spoiling(read_is_short);
	kernel_sends_read(6, 6, 0, 8192);
	a = kernel_is_answered(6, 0, 10);
	assert_int_equal(a->payload[9], model_device_byte(6, 9));
	bench_end();
}

/* Requests that the device has, has not, and that have no slot. */
static void fill(unsigned int n)
{
	bench_serve();
	bench_hold(FUSE_GETATTR);
	for (unsigned int i = 0; i < n; i++)
		kernel_sends_getattr(100 + 2 * i, i);
	assert_non_null(
		model_device_wait(&bench.device, FUSE_GETATTR, VIOFS_MIN(n, bench.config.slots)));
	usleep(5000); /* the rest is read and parked */
}

static void fails_and_answers_all(unsigned int n, const char *words)
{
	assert_int_equal(bench_join(), -EPROTO);
	says(&bench.err, words);
	assert_non_null(strstr(bench_stats()->reason, words));
	assert_int_equal(bench_stats()->stage, VIOFS_STAGE_FAILED);
	kernel_is_answered_all(100, n, -EIO, 0);
	kernel_gets_nothing(0);
	assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 0);
}

static void another_requests_unique_ends_the_session(void **state)
{
	struct model_request *r;

	fill(80);
	r = model_device_wait(&bench.device, FUSE_GETATTR, 1);
	((struct fuse_out_header *)(void *)r->reply)->unique += 2;
	model_device_answer(&bench.device, r, 0);
	fails_and_answers_all(80, "unique");
}

static void a_forged_unique_of_zero_ends_the_session(void **state)
{
	struct model_request *r;

	fill(3);
	r = model_device_wait(&bench.device, FUSE_GETATTR, 1);
	((struct fuse_out_header *)(void *)r->reply)->unique = 0; /* a notification to the kernel */
	model_device_answer(&bench.device, r, 0);
	fails_and_answers_all(3, "unique");
}

/* A back end writes wherever it reads: the request that the kernel has sent is the one that is
 * answered, or nobody would know that it waits. */
static void a_header_that_is_rewritten_changes_nobodys_answer(void **state)
{
	bench_serve();
	bench.rewrites = true;
	kernel_sends_getattr(4, 7);
	kernel_is_answered(4, 0, sizeof(struct fuse_attr_out));
	kernel_sends_write(6, 7, 0, 65536);
	kernel_is_answered(6, 0, sizeof(struct fuse_write_out));
	kernel_sends_read(8, 7, 0, 65536);
	kernel_is_answered(8, 0, 65536);
	bench.rewrites = false;
	bench_end();
}

static void a_used_id_out_of_range_ends_the_session(void **state)
{
	fill(3);
	model_device_push_raw(&bench.device, 1, 128, 16, 1);
	fails_and_answers_all(3, "outside the queue");
}

static void a_used_id_that_is_not_in_flight_ends_the_session(void **state)
{
	fill(3);
	model_device_push_raw(&bench.device, 1, 100, 16, 1);
	fails_and_answers_all(3, "no chain in flight");
}

static void completions_that_never_were_end_the_session(void **state)
{
	fill(3);
	model_device_push_raw(&bench.device, 1, 0, 16, 4);
	fails_and_answers_all(3, "more completions");
}

static void a_completion_on_an_idle_hiprio_ends_the_session(void **state)
{
	fill(3);
	model_device_push_raw(&bench.device, 0, 0, 0, 1);
	fails_and_answers_all(3, "virtqueue 0");
}

static void a_used_len_beyond_the_room_ends_the_session(void **state)
{
	struct model_request *r;

	fill(3);
	r = model_device_wait(&bench.device, FUSE_GETATTR, 1);
	r->used_len = 16 + 104 + 1;
	model_device_answer(&bench.device, r, 0);
	fails_and_answers_all(3, "more than the device may write");
}

static void a_written_forget_ends_the_session(void **state)
{
	struct model_request *r;

	fill(3);
	bench_hold(0);
	kernel_sends_forget(4, 1);
	r = model_device_wait(&bench.device, FUSE_FORGET, 1);
	assert_non_null(r);
	r->used_len = 1;
	model_device_answer(&bench.device, r, 0);
	fails_and_answers_all(3, "virtqueue 0");
}

/* On a busy machine the device's thread may come late, which looks like a lost kick. */
static uint32_t quirks(void)
{
	return bench_stats()->quirks & ~VIOFS_QUIRK_LOST_KICK;
}

/* libkrun, SPDK: used.len is never set. */
static enum model_verdict say_zero(struct model_device *d, struct model_request *r)
{
	r->used_len = 0;
	return MODEL_ANSWER;
}

static void a_device_that_never_says_lengths_is_known_by_its_init(void **state)
{
	const struct answer *a;

	bench_start();
	bench_set_hook(say_zero);
	kernel_sends_init(2);
	kernel_is_answered(2, 0, 64);
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	kernel_sends_read(6, 5, 0, 9000);
	a = kernel_is_answered(6, 0, 9000);
	assert_int_equal(a->payload[8999], model_device_byte(5, 8999));
	kernel_sends(FUSE_LOOKUP, 8, 1, "none", 5, NULL, 0);
	kernel_is_answered(8, -ENOENT, 0);
	bench_end();
	assert_int_equal(quirks(), VIOFS_QUIRK_USED_LEN_ZERO);
}

/* ... and that writes nothing: what an earlier reply left in the slot is not taken for one. */
static enum model_verdict say_zero_write_nothing(struct model_device *d, struct model_request *r)
{
	if (r->opcode != FUSE_DESTROY)
		r->reply_len = 0;
	return say_zero(d, r);
}

static void a_reply_never_written_is_eio_without_lengths_too(void **state)
{
	bench_start();
	bench_set_hook(say_zero);
	kernel_sends_init(2);
	kernel_is_answered(2, 0, 64);
	for (uint64_t i = 0; i < 40; i++) {
		kernel_sends_getattr(100 + 2 * i, 1);
		kernel_is_answered(100 + 2 * i, 0, 104);
	}
	bench_set_hook(say_zero_write_nothing);
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, -EIO, 0);
	bench_set_hook(say_zero);
	kernel_sends_getattr(6, 1);
	kernel_is_answered(6, 0, 104);
	bench_end();
	assert_int_equal(bench_stats()->faults, 1);
}

static void flags_never_offered_are_a_quirk(void **state)
{
	bench_start();
	bench.device.init.flags |= FUSE_WRITEBACK_CACHE;
	bench.device.init.flags2 = 1U << 9; /* OVER_IO_URING */
	kernel_sends_init(2);
	assert_false(
		((const struct fuse_init_out *)(const void *)kernel_is_answered(2, 0, 64)->payload)
			->flags &
		FUSE_WRITEBACK_CACHE);
	bench_end();
	assert_int_equal(quirks(), VIOFS_QUIRK_INIT_FLAGS);
}

static void without_max_pages_it_is_said(void **state)
{
	bench_start();
	bench.device.init.flags &= ~(uint32_t)FUSE_MAX_PAGES;
	kernel_sends_init(2);
	kernel_is_answered(2, 0, 64);
	bench_end();
	assert_int_equal(quirks(), VIOFS_QUIRK_NO_MAX_PAGES);
}

/* The session never begins: the kernel's INIT is answered with an error, and it is said why. */
static void init_fails(int rc, const char *words)
{
	kernel_sends_init(2);
	kernel_is_answered(2, -EIO, 0);
	assert_int_equal(bench_join(), rc);
	says(&bench.err, words);
	assert_non_null(strstr(bench_stats()->reason, words));
	assert_int_equal(bench_stats()->stage, VIOFS_STAGE_FAILED);
	assert_false(bench.ready);
}

static void no_answer_to_init_is_a_time_out(void **state)
{
	bench.config.init_timeout_ms = 200;
	bench_start();
	bench_hold(FUSE_INIT);
	init_fails(-ETIMEDOUT, "did not answer FUSE_INIT within 200 ms");
	assert_int_equal(model_device_count(&bench.device, FUSE_INIT), 1);
	assert_true(bench.function.queues[1].notified > 3); /* it was asked again */
}

static enum model_verdict refuse_init(struct model_device *d, struct model_request *r)
{
	struct fuse_out_header *out = (void *)r->reply;

	*out = (struct fuse_out_header){ 16, -EACCES, r->unique };
	r->reply_len = r->used_len = 16;
	return MODEL_ANSWER;
}

static void a_device_that_refuses_init_is_quoted(void **state)
{
	bench_start();
	bench_set_hook(refuse_init);
	init_fails(-EACCES, "refused FUSE_INIT");
}

static enum model_verdict forge_init(struct model_device *d, struct model_request *r)
{
	((struct fuse_out_header *)(void *)r->reply)->unique ^= 2;
	return MODEL_ANSWER;
}

static void an_init_reply_that_makes_no_sense_is_refused(void **state)
{
	bench_start();
	bench_set_hook(forge_init);
	init_fails(-EPROTO, "makes no sense");
}

static void an_init_reply_of_an_unknown_length_is_refused(void **state)
{
	bench_start();
	bench.device.init_bytes = 40;
	init_fails(-EPROTO, "8, 24 or 64");
}

static void an_unknown_major_is_refused(void **state)
{
	bench_start();
	bench.device.init.major = 8;
	init_fails(-EPROTO, "FUSE 8.38");
}

static void a_lie_of_the_ring_at_init_is_said(void **state)
{
	bench_start();
	bench_hold(FUSE_INIT);
	kernel_sends_init(2);
	assert_non_null(model_device_wait(&bench.device, FUSE_INIT, 1));
	model_device_push_raw(&bench.device, 1, 4000, 16, 1);
	kernel_is_answered(2, -EIO, 0);
	assert_int_equal(bench_join(), -EPROTO);
	says(&bench.err, "outside the queue");
}

static void a_kernel_that_begins_with_something_else_is_refused(void **state)
{
	bench_start();
	kernel_sends_getattr(2, 1);
	assert_int_equal(bench_join(), -EPROTO);
	says(&bench.err, "no FUSE_INIT");
	assert_int_equal(model_device_count(&bench.device, 0), 0);
}

static void a_kernel_that_sends_nothing_is_a_time_out(void **state)
{
	bench.config.init_timeout_ms = 50;
	bench_start();
	assert_int_equal(bench_join(), -ETIMEDOUT);
	says(&bench.err, "no FUSE_INIT");
}

static void an_unmount_before_init_ends_it(void **state)
{
	bench_start();
	shutdown(bench.kernel, SHUT_WR);
	assert_int_equal(bench_join(), -ENODEV);
	says(&bench.err, "FUSE_INIT");
}

static void a_lost_first_kick_is_made_up_for(void **state)
{
	bench_start();
	bench.device.drop_kicks = 1;
	kernel_sends_init(2);
	kernel_is_answered(2, 0, 64);
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104);
	bench_end();
	assert_true(bench_stats()->quirks & VIOFS_QUIRK_LOST_KICK);
}

static void a_kick_lost_later_is_made_up_for(void **state)
{
	bench_serve();
	pthread_mutex_lock(&bench.device.lock);
	bench.device.drop_kicks = 1;
	pthread_mutex_unlock(&bench.device.lock);
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, 0, 104); /* after a second */
	bench_end();
}

static void a_reply_that_the_kernel_refuses_is_a_fault(void **state)
{
	bench_serve();
	bench.refuse_unique = 4;
	kernel_sends_getattr(4, 1);
	kernel_is_answered(4, -EIO, 0);
	kernel_sends_getattr(6, 1);
	kernel_is_answered(6, 0, 104);
	bench_end();
	assert_int_equal(bench_stats()->faults, 1);
	assert_non_null(strstr(bench_stats()->last_fault, "kernel doesn't accept"));
	assert_int_equal(bench_slots_used(), 0);
}

static void a_channel_that_cannot_be_read_ends_the_session(void **state)
{
	int fd = open("/", O_RDONLY | O_CLOEXEC);

	bench.config.poll = VIOFS_POLL_BUSY;
	bench_serve();
	assert_int_equal(dup3(fd, bench.relay_fd, O_CLOEXEC), bench.relay_fd);
	close(fd);
	assert_int_equal(bench_join(), -EPROTO);
	says(&bench.err, "reading /dev/fuse");
}

static void wait_until_blocked(void)
{
	for (int i = 0; i < 10000 && !bench.blocked; i++)
		usleep(500);
	assert_true(bench.blocked);
}

/* A slot is given back a little after its answer has come. */
static void slots_become(unsigned int n)
{
	for (int i = 0; i < 4000 && bench_slots_used() != n; i++)
		usleep(500);
	assert_int_equal(bench_slots_used(), n);
}

/* The page lock's holder waits for another completion: somebody else must deliver it. */
static void a_reply_that_blocks_holds_up_nobody(void **state)
{
	for (int round = 0; round < 2; round++) {
		bench_set_up(state);
		bench.config.poll = round ? VIOFS_POLL_IRQ : VIOFS_POLL_ADAPTIVE;
		bench_serve();
		bench.block_unique = 4;
		kernel_sends_read(4, 5, 0, 20000);
		wait_until_blocked();
		for (uint64_t i = 0; i < 40; i++) {
			kernel_sends_getattr(100 + 2 * i, i);
			kernel_is_answered(100 + 2 * i, 0, 104);
		}
		kernel_sends_read(6, 5, 0, 20000);
		kernel_is_answered(6, 0, 20000);
		slots_become(1); /* the blocked one's */
		bench.block_unique = 0;
		kernel_is_answered(4, 0, 20000);
		kernel_sends_read(8, 5, 0, 20000);
		kernel_is_answered(8, 0, 20000);
		slots_become(0);
		bench_end();
		assert_int_equal(bench_stats()->handovers, 1);
		if (!round)
			bench_tear_down(state);
	}
}

static void replies_that_block_one_after_another_hold_up_nobody(void **state)
{
	bench_serve();
	for (uint64_t i = 0; i < 4; i++) {
		bench.blocked = false;
		bench.block_unique = 100 + 2 * i;
		kernel_sends_read(100 + 2 * i, 5, 0, 5000);
		wait_until_blocked();
		kernel_sends_getattr(4, 1);
		kernel_is_answered(4, 0, 104);
		bench.block_unique = 0;
		kernel_is_answered(100 + 2 * i, 0, 5000);
	}
	slots_become(0);
	bench_end();
	assert_int_equal(bench_stats()->handovers, 4);
}

/* An unmount meanwhile: the deposed thread leaves the end of the session to who leads. */
static void a_reply_that_blocks_at_the_end_does_not_end_it_twice(void **state)
{
	bench.config.end_timeout_ms = 3000;
	bench_serve();
	bench_hold(FUSE_READ);
	kernel_sends_read(4, 5, 0, 5000);
	assert_non_null(model_device_wait(&bench.device, FUSE_READ, 1));
	shutdown(bench.kernel, SHUT_WR);
	usleep(20000); /* it drains */
	bench.block_unique = 4;
	model_device_release(&bench.device, 0);
	wait_until_blocked();
	assert_non_null(model_device_wait(&bench.device, FUSE_DESTROY, 1));
	bench.block_unique = 0;
	assert_int_equal(bench_join(), 0);
	assert_int_equal(bench_stats()->stage, VIOFS_STAGE_ENDED);
	assert_int_equal(model_device_count(&bench.device, FUSE_DESTROY), 1);
	kernel_is_answered(4, 0, 5000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_set_up, bench_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reply_that_breaks_the_rules_is_eio),
		TEST(trailing_bytes_of_an_error_are_cut),
		TEST(a_short_read_gives_no_more_than_was_written),
		TEST(another_requests_unique_ends_the_session),
		TEST(a_forged_unique_of_zero_ends_the_session),
		TEST(a_header_that_is_rewritten_changes_nobodys_answer),
		TEST(a_used_id_out_of_range_ends_the_session),
		TEST(a_used_id_that_is_not_in_flight_ends_the_session),
		TEST(completions_that_never_were_end_the_session),
		TEST(a_completion_on_an_idle_hiprio_ends_the_session),
		TEST(a_used_len_beyond_the_room_ends_the_session),
		TEST(a_written_forget_ends_the_session),
		TEST(a_device_that_never_says_lengths_is_known_by_its_init),
		TEST(a_reply_never_written_is_eio_without_lengths_too),
		TEST(flags_never_offered_are_a_quirk),
		TEST(without_max_pages_it_is_said),
		TEST(no_answer_to_init_is_a_time_out),
		TEST(a_device_that_refuses_init_is_quoted),
		TEST(an_init_reply_that_makes_no_sense_is_refused),
		TEST(an_init_reply_of_an_unknown_length_is_refused),
		TEST(an_unknown_major_is_refused),
		TEST(a_lie_of_the_ring_at_init_is_said),
		TEST(a_kernel_that_begins_with_something_else_is_refused),
		TEST(a_kernel_that_sends_nothing_is_a_time_out),
		TEST(an_unmount_before_init_ends_it),
		TEST(a_lost_first_kick_is_made_up_for),
		TEST(a_kick_lost_later_is_made_up_for),
		TEST(a_reply_that_the_kernel_refuses_is_a_fault),
		TEST(a_channel_that_cannot_be_read_ends_the_session),
		TEST(a_reply_that_blocks_holds_up_nobody),
		TEST(replies_that_block_one_after_another_hold_up_nobody),
		TEST(a_reply_that_blocks_at_the_end_does_not_end_it_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

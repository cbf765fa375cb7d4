/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A relay that dies in the middle of its work, and another one that goes on: from the state alone,
 * mapped at another address.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/util.h"
#include "relay/layout.h"
#include "relay/session.h"
#include "relay_bench.h"

#define GETATTRS 60U
#define LOCKS 40U
#define FORGETS 9000U

static int set_up_packed(void **state)
{
	bench_set_up(state);
	bench.features |= VIOFS_VIRTIO_F_RING_PACKED;
	return 0;
}

static int set_up_direct(void **state)
{
	bench_set_up(state);
	bench.features &= ~VIOFS_VIRTIO_F_INDIRECT_DESC;
	return 0;
}

static int set_up_lanes(void **state)
{
	bench_set_up(state);
	bench.request_queues = bench.config.lanes = 3;
	bench.config.buffers = 12;
	bench.config.slots = 48;
	return 0;
}

static int set_up_lanes_packed(void **state)
{
	set_up_lanes(state);
	bench.features |= VIOFS_VIRTIO_F_RING_PACKED;
	return 0;
}

static void wait_until_parked(unsigned int n)
{
	for (int ms = 0; bench_stats()->parked < n && ms < 5000; ms++)
		usleep(1000);
	assert_in_range(bench_stats()->parked, n, UINT32_MAX);
}

/* In each lane: in flight, waiting for a buffer, parked. Return: how many. */
static unsigned int send_requests(void)
{
	unsigned int answers = 0;

	for (bench.to = 0; bench.to < bench.lanes; bench.to++) {
		uint64_t first = 1000 + 100000 * (uint64_t)bench.to;

		for (unsigned int i = 0; i < 8; i++)
			kernel_sends_read(first + 2 * i, 7, 8192 * i, 8192);
		kernel_sends_write(first + 16, 8, 0, 100000);
		for (unsigned int i = 0; i < LOCKS; i++)
			kernel_sends_lock(first + 1000 + 2 * i);
		for (unsigned int i = 0; i < GETATTRS; i++)
			kernel_sends_getattr(first + 2000 + 2 * i, 5);
		kernel_sends_write(first + 4000, 9, 4096, 131072);
		answers += 8 + 1 + LOCKS + GETATTRS + 1;
	}
	bench.to = 0;
	return answers;
}

static void send_forgets(unsigned int count)
{
	for (unsigned int i = 0; i < count / 100; i++) {
		struct {
			struct fuse_batch_forget_in in;
			struct fuse_forget_one one[100];
		} batch = { .in.count = 100 };

		for (unsigned int k = 0; k < 100; k++)
			batch.one[k] = (struct fuse_forget_one){ 1000000 + 100 * i + k, 1 };
		kernel_sends(FUSE_BATCH_FORGET, 0, 0, &batch.in, sizeof(batch.in), batch.one,
			     sizeof(batch.one));
	}
}

/* All lanes have work of every kind, FORGETs beyond hiprio too. Return: answers that are due. */
static unsigned int serve_and_work(void)
{
	unsigned int answers;

	bench_serve_by_all();
	bench_hold(0);
	answers = send_requests();
	send_forgets(FORGETS);
	wait_until_parked(1000);
	/* All of it is read. */
	usleep(50000);
	return answers;
}

static void is_answered(const struct answer *a)
{
	uint64_t n = (a->head.unique - 1000) % 100000;

	assert_int_equal(a->lane, (a->head.unique - 1000) / 100000);
	if (n < 16) {
		assert_int_equal(a->len, 8192);
		for (unsigned int i = 0; i < 8192; i++)
			assert_int_equal(a->payload[i], model_device_byte(7, 8192 * (n / 2) + i));
	} else if (n == 16 || n == 4000) {
		assert_int_equal(((const struct fuse_write_out *)(const void *)a->payload)->size,
				 n == 16 ? 100000 : 131072);
	} else if (n >= 2000) {
		assert_int_equal(a->len, sizeof(struct fuse_attr_out));
	} else {
		assert_int_equal(a->len, 0);
	}
	assert_int_equal(a->head.error, 0);
}

/* Each once, and right. */
static void all_are_answered(unsigned int n)
{
	uint64_t *seen = calloc(n, sizeof(*seen));

	for (unsigned int i = 0; i < n; i++) {
		const struct answer *a = kernel_gets();

		for (unsigned int k = 0; k < i; k++)
			assert_int_not_equal(seen[k], a->head.unique);
		seen[i] = a->head.unique;
		is_answered(a);
	}
	free(seen);
	kernel_gets_nothing(20);
}

static void another_one_goes_on(void **state)
{
	unsigned int answers;

	answers = serve_and_work();
	bench_kill();
	bench_adopt();
	/* The old one's work, and new work on top. */
	kernel_sends_getattr(1000 + 3000, 5);
	model_device_release(&bench.device, 0);
	all_are_answered(answers + 1);
	device_forgets(1000000, FORGETS);
	assert_int_equal(device_forgotten(), FORGETS);
	kernel_sends_read(1002, 7, 8192, 8192);
	is_answered(kernel_gets());
	for (int ms = 0; bench_slots_used() && ms < 5000; ms++)
		usleep(1000);
	assert_int_equal(bench_slots_used(), 0);
	assert_int_equal(bench_stats()->parked, 0);
	bench_end();
}

/* Answers that the device has given while nobody was there. */
static void answers_that_came_meanwhile_are_found(void **state)
{
	unsigned int answers;

	answers = serve_and_work();
	bench_kill();
	model_device_release(&bench.device, 0);
	usleep(50000);
	bench_adopt();
	all_are_answered(answers);
	device_forgets(1000000, FORGETS);
	bench_end();
}

/* The one after the next, too. */
static void one_after_the_other_goes_on(void **state)
{
	unsigned int answers;

	answers = serve_and_work();
	for (int i = 0; i < 3; i++) {
		bench_kill();
		bench_adopt();
		usleep(20000);
	}
	model_device_release(&bench.device, 0);
	all_are_answered(answers);
	device_forgets(1000000, FORGETS);
	assert_int_equal(device_forgotten(), FORGETS);
	bench_end();
}

#define FEW_FORGETS 2000U

/* @held: the device answers when all is read. Return: did a thread die at @point? */
static bool dies_and_goes_on(enum bench_point point, int passes, bool held)
{
	unsigned int answers;
	bool was_there;

	bench.answers_once = true;
	bench_serve_by_all();
	if (held)
		bench_hold(0);
	else
		bench_die_at(point, passes);
	answers = send_requests();
	send_forgets(FEW_FORGETS);
	if (held) {
		usleep(20000);
		bench_die_at(point, passes);
		model_device_release(&bench.device, 0);
	}
	for (int ms = 0; !bench.dead && ms < 200; ms++)
		usleep(1000);
	was_there = bench.dead;
	bench_kill();
	bench_adopt();
	all_are_answered(answers);
	device_forgets(1000000, FEW_FORGETS);
	assert_int_equal(device_forgotten(), FEW_FORGETS);
	for (int ms = 0; bench_slots_used() && ms < 5000; ms++)
		usleep(1000);
	assert_int_equal(bench_slots_used(), 0);
	assert_int_equal(bench_stats()->parked, 0);
	bench_end();
	return was_there;
}

/* A worker that dies between any two steps of a request: the first one, and later ones. */
static void wherever_it_dies(void **state, int (*set_up)(void **))
{
	for (int p = BENCH_READ; p < BENCH_POINTS; p++) {
		bool was_there = false;

		for (int i = 0; i < 2; i++) {
			was_there |= dies_and_goes_on((enum bench_point)p, 9 * i, i);
			bench_tear_down(state);
			set_up(state);
		}
		if (!was_there)
			fail_msg("nobody came to point %d", p);
	}
	bench_start();
}

static void wherever_it_dies_another_goes_on(void **state)
{
	wherever_it_dies(state, bench_set_up);
}

static void wherever_a_lane_dies_another_goes_on(void **state)
{
	wherever_it_dies(state, set_up_lanes_packed);
}

/* As it is there when a worker has died before it could do anything about it. */
static void was_read(uint32_t opcode, uint64_t unique, const void *args, size_t len)
{
	struct viofs_lane_state *lane = &bench.relay->layout.lanes[0];
	struct viofs_slot *slot = &bench.relay->slots.slots[lane->landing];

	lane->head = (struct fuse_in_header){ .len = (uint32_t)(sizeof(lane->head) + len),
					      .opcode = opcode,
					      .unique = unique,
					      .nodeid = 5 };
	assert_true(lane->in_slot);
	memcpy(viofs_slot_message(&bench.relay->slots, slot) + sizeof(lane->head), args, len);
}

/* The kernel's request was read, and nothing else was done yet. */
static void what_was_being_read_is_taken_up(void **state)
{
	struct fuse_getattr_in in = { 0 };

	bench_serve_by_all();
	kernel_sends_getattr(10, 5);
	kernel_is_answered(10, 0, sizeof(struct fuse_attr_out));
	bench_kill();
	was_read(FUSE_GETATTR, 12, &in, sizeof(in));
	bench_adopt();
	kernel_is_answered(12, 0, sizeof(struct fuse_attr_out));
	kernel_gets_nothing(20);
	bench_end();
}

static char said[1024];

static void sink(enum viofs_log_level level, const struct viofs_log_about *about,
		 const char *message)
{
	if (level == VIOFS_LOG_ERROR)
		snprintf(said, sizeof(said), "%s", message);
}

static void wait_for_death(void)
{
	for (int ms = 0; !bench.dead && ms < 5000; ms++)
		usleep(1000);
	assert_true(bench.dead);
	bench_kill();
}

/* Two workers come to the same point with the same request, and no further; then a third one. */
static void two_die_at(enum bench_point point, bool crashed)
{
	bench.crashed = crashed;
	said[0] = '\0';
	bench_serve_by_all();
	bench_die_at(point, 0);
	kernel_sends_getattr(12, 5);
	wait_for_death();
	bench_die_at(point, 0);
	bench_adopt();
	wait_for_death();
	kernel_gets_nothing(0);
	bench_adopt();
	if (crashed)
		kernel_is_answered(12, -EIO, 0);
	else
		kernel_is_answered(12, 0, sizeof(struct fuse_attr_out));
	kernel_sends_getattr(14, 5);
	kernel_is_answered(14, 0, sizeof(struct fuse_attr_out));
	for (int ms = 0; bench_slots_used() && ms < 5000; ms++)
		usleep(1000);
	assert_int_equal(bench_slots_used(), 0);
	bench_end();
}

static void a_request_that_two_die_of_gets_an_error(void **state)
{
	static const enum bench_point points[] = { BENCH_SUBMIT, BENCH_POP };

	viofs_log_set_sink(sink, VIOFS_LOG_ERROR);
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(points); i++) {
		two_die_at(points[i], true);
		assert_non_null(strstr(said, "GETATTR of node 5 (unique 12)"));
		bench_tear_down(state);
		bench_set_up(state);
		/* Somebody has killed them: it's by chance that it was at the same request. */
		two_die_at(points[i], false);
		assert_string_equal(said, "");
		bench_tear_down(state);
		bench_set_up(state);
	}
	viofs_log_set_sink(NULL, VIOFS_LOG_ERROR);
	bench_start();
}

static void what_two_have_read_and_died_gets_an_error(void **state)
{
	const struct fuse_getattr_in in = { 0 };
	const struct fuse_forget_in forget = { .nlookup = 1 };

	bench.crashed = true;
	bench_serve_by_all();
	kernel_sends_getattr(10, 5);
	kernel_is_answered(10, 0, sizeof(struct fuse_attr_out));
	bench_kill();
	was_read(FUSE_GETATTR, 12, &in, sizeof(in));
	bench_adopt();
	kernel_is_answered(12, 0, sizeof(struct fuse_attr_out));
	bench_kill();
	was_read(FUSE_GETATTR, 12, &in, sizeof(in));
	bench_adopt();
	kernel_is_answered(12, -EIO, 0);
	bench_kill();
	/* Nobody waits for this one. */
	was_read(FUSE_FORGET, 14, &forget, sizeof(forget));
	bench_adopt();
	bench_kill();
	was_read(FUSE_FORGET, 14, &forget, sizeof(forget));
	bench_adopt();
	kernel_sends_getattr(16, 5);
	kernel_is_answered(16, 0, sizeof(struct fuse_attr_out));
	assert_int_equal(device_forgotten(), 1);
	bench_end();
}

/* Three of five are gone, and two more on their way: on the ring, or not there yet. */
static void forgets_go_on_where_they_were(void **state)
{
	struct {
		struct fuse_in_header head;
		struct fuse_batch_forget_in in;
		struct fuse_forget_one one[5];
	} batch = { .head = { .len = sizeof(batch), .opcode = FUSE_BATCH_FORGET, .unique = 12 },
		    .in.count = 5 };
	struct viofs_lane_state *lane;
	struct viofs_slot *slot;

	for (unsigned int k = 0; k < 5; k++)
		batch.one[k] = (struct fuse_forget_one){ 1000000 + k, 1 };
	bench_serve_by_all();
	kernel_sends_getattr(10, 5);
	kernel_is_answered(10, 0, sizeof(struct fuse_attr_out));
	bench_kill();
	lane = &bench.relay->layout.lanes[0];
	slot = &bench.relay->slots.slots[lane->landing];
	lane->head = batch.head;
	lane->forgets = (struct viofs_sending){ .done = 3, .after = 4, .unique = 0x7777776 };
	memcpy(viofs_slot_message(&bench.relay->slots, slot), &batch, sizeof(batch));
	bench_adopt();
	device_forgets(1000003, 2);
	assert_int_equal(device_forgotten(), 2);
	bench_end();
}

static void only_a_session_that_serves_is_gone_on_with(void **state)
{
	struct viofs_session_state *s;
	struct viofs_relay_stats *stats;

	bench_serve_by_all();
	bench_kill();
	s = bench.relay->layout.session;
	stats = bench.relay->layout.stats;
	s->init_done = 0;
	assert_int_equal(bench_try_adopt(), -ENOTSUP);
	s->init_done = 1;
	stats->stage = VIOFS_STAGE_ENDED;
	assert_int_equal(bench_try_adopt(), -ENOTSUP);
	assert_non_null(strstr(bench.err.text, "has ended"));
}

/* The state's tag is a text only where it ends. */
static void a_tag_without_an_end_is_ended(void **state)
{
	struct viofs_session_state *s;

	bench_serve_by_all();
	bench_kill();
	s = bench.relay->layout.session;
	memset(s->tag, 'x', sizeof(s->tag));
	bench_adopt();
	assert_int_equal(strnlen(bench.fs->tag, sizeof(bench.fs->tag)), sizeof(s->tag) - 1);
	bench_end();
}

/* Whatever a worker has written there: its parent knows better. */
static void sizes_and_options_are_the_parents(void **state)
{
	struct viofs_session_state *s;
	struct viofs_state_header *h;
	unsigned int answers;

	answers = serve_and_work();
	bench_kill();
	h = viofs_arena_head(bench.arena);
	s = bench.relay->layout.session;
	h->magic = h->version = 0;
	h->tables = VIOFS_STATE_TABLES_MAX;
	memset(h->table, 0xff, sizeof(h->table));
	s->config = (struct viofs_relay_config){ .lanes = 9 };
	s->lanes = s->max_data = s->queue_count = 7;
	s->features = ~0ULL;
	bench_adopt_forked();
	model_device_release(&bench.device, 0);
	all_are_answered(answers);
	device_forgets(1000000, FORGETS);
	bench_end();
}

/* A slot of hiprio that the device has. */
static struct viofs_slot *find_on_hiprio(void)
{
	for (unsigned int i = 0; i < VIOFS_SLOTS_HIPRIO; i++) {
		struct viofs_slot *slot = &bench.relay->slots.slots[bench.config.slots + i];

		if (slot->state == VIOFS_SLOT_QUEUED)
			return slot;
	}
	fail_msg("the device has nothing of hiprio");
	return NULL;
}

/* It has died between two steps of noting that the device has some of them. */
static void forgets_are_noted_once(void **state)
{
	struct {
		struct fuse_batch_forget_in in;
		struct fuse_forget_one one[100];
	} batch = { .in.count = 100 };
	struct viofs_hiprio_state *h;
	struct viofs_sending *s;
	unsigned int kept;

	bench_serve_by_all();
	bench_hold(0);
	send_forgets(FORGETS);
	wait_until_parked(1000);
	bench_kill();
	for (unsigned int k = 0; k < 100; k++)
		batch.one[k] = (struct fuse_forget_one){ 2000000 + k, 1 };
	was_read(FUSE_BATCH_FORGET, 0, &batch, sizeof(batch));
	/* Of one that was being taken up: 40 of 100 are with the device, and are done. */
	s = &bench.relay->layout.lanes[0].forgets;
	*s = (struct viofs_sending){ find_on_hiprio()->device_unique, 40, 40 };
	/* And of those that wait: they wait no more. */
	h = bench.relay->layout.hiprio;
	kept = h->forgotten;
	assert_in_range(kept, 1, FORGETS);
	h->sending = (struct viofs_sending){ s->unique, kept, 0 };
	bench_adopt();
	model_device_release(&bench.device, 0);
	device_forgets(1000000, FORGETS);
	device_forgets(2000040, 60);
	assert_int_equal(device_forgotten(), FORGETS + 60);
	bench_end();
}

/* What lands in a slot is not what was there before. */
static void what_has_landed_begins_anew(void **state)
{
	struct {
		struct fuse_write_in in;
		uint8_t data[100];
	} write = { .in.size = sizeof(write.data) };
	struct viofs_slot *slot;

	for (unsigned int k = 0; k < sizeof(write.data); k++)
		write.data[k] = model_device_byte(5, k);
	bench_serve_by_all();
	kernel_sends_getattr(10, 5);
	kernel_is_answered(10, 0, sizeof(struct fuse_attr_out));
	bench_kill();
	was_read(FUSE_WRITE, 12, &write, sizeof(write.in) + sizeof(write.data));
	slot = &bench.relay->slots.slots[bench.relay->layout.lanes[0].landing];
	slot->apart = slot->spilled = true;
	slot->device_unique = 1;
	bench_adopt();
	kernel_is_answered(12, 0, sizeof(struct fuse_write_out));
	bench_end();
}

static void another_version_is_refused(void **state)
{
	struct viofs_state_header *h;

	bench_serve_by_all();
	bench_kill();
	h = viofs_arena_head(bench.arena);
	h->version++;
	assert_int_equal(bench_try_adopt(), -EPROTO);
	assert_non_null(strstr(bench.err.text, "version"));
	h->version--;
	h->features = 1;
	assert_int_equal(bench_try_adopt(), -EPROTO);
	h->features = 0;
	h->magic++;
	assert_int_equal(bench_try_adopt(), -EPROTO);
	h->magic--;
	h->size--;
	assert_int_equal(bench_try_adopt(), -EPROTO);
	h->size++;
	bench_adopt();
	bench_end();
}

/* With @lie in place of so many bytes at @p there is no successor; @what is for whoever reads a
 * failure. */
static void lie_is_refused(const char *what, void *p, const void *lie, size_t size)
{
	/* Whoever refuses a state has changed some of it. */
	uint8_t *head = viofs_arena_head(bench.arena);
	size_t len = (size_t)((uint8_t *)bench.relay->layout.forgotten - head);
	uint8_t *before = malloc(len);
	uint8_t old[sizeof(struct viofs_state_table)];
	int rc;

	assert_in_range(size, 1, sizeof(old));
	memcpy(before, head, len);
	memcpy(old, p, size);
	memcpy(p, lie, size);
	bench.err = (struct viofs_err){ 0 };
	rc = bench_try_adopt();
	if (rc != -EPROTO || !bench.err.text[0])
		fail_msg("%s: %d, \"%s\"", what, rc, bench.err.text);
	memcpy(p, old, size);
	memcpy(head, before, len);
	free(before);
}

static void is_refused(const char *what, void *p, size_t size, uint64_t value)
{
	lie_is_refused(what, p, &value, size);
}

#define refused(field, value) is_refused(#field, &(field), sizeof(field), (uint64_t)(value))

static struct viofs_slot *find_slot(enum viofs_slot_state state, uint32_t opcode)
{
	for (unsigned int i = 0; i < bench.config.slots; i++) {
		struct viofs_slot *slot = &bench.relay->slots.slots[i];

		if (slot->state == state && slot->shape.opcode == opcode)
			return slot;
	}
	fail_msg("no slot of opcode %u is in state %d", opcode, state);
	return NULL;
}

static void lies_about_slots(void)
{
	struct viofs_slot *slot = find_slot(VIOFS_SLOT_QUEUED, FUSE_READ);
	struct viofs_slot *other = find_slot(VIOFS_SLOT_QUEUED, FUSE_WRITE);

	refused(slot->index, 0x7fff);
	refused(slot->state, VIOFS_SLOT_STATES);
	refused(slot->state, VIOFS_SLOT_WAITING);
	refused(slot->state, VIOFS_SLOT_FREE);
	refused(slot->buffer, bench.config.buffers);
	refused(slot->buffer, other->buffer);
	refused(slot->queue, 60);
	refused(slot->queue, VIOFS_FS_HIPRIO);
	refused(slot->entry, 0);
	refused(slot->len, UINT32_MAX);
	refused(slot->len, 39);
	refused(slot->device_unique, slot->device_unique + 2);
	refused(slot->generation, slot->generation + 1);
	refused(slot->shape.args, UINT32_MAX);
	refused(slot->shape.data, UINT32_MAX);
	refused(slot->shape.fixed, VIOFS_FUSE_FIXED_MAX + 1);
	refused(slot->shape.reply_data, UINT32_MAX);
	refused(slot->shape.reply_data, slot->shape.reply_data + 1);
	is_refused("a bool of 2", &slot->shape.replies, 1, 2);
	is_refused("a bool of 2", &slot->spilled, 1, 2);
	refused(other->shape.data, other->shape.data + 1);
	slot = find_on_hiprio();
	refused(slot->state, VIOFS_SLOT_WAITING);
	refused(slot->state, VIOFS_SLOT_REPLYING);
}

static void lies_about_rings(void)
{
	struct viofs_ring_shadow *s = bench.fs->queues[VIOFS_FS_REQUEST].ring.shadow;
	unsigned int first = 0, second;

	while (!s->state[first].count)
		first++;
	for (second = first + 1; !s->state[second].count;)
		second++;
	refused(s->size, s->size * 2);
	refused(s->flags, s->flags ^ VIOFS_RING_PACKED);
	refused(s->avail, s->avail + 3);
	refused(s->used, s->used - 3);
	refused(s->fault, VIOFS_RING_FAULTS);
	refused(s->state[first].token, UINT32_MAX);
	refused(s->state[first].token, s->state[second].token);
	refused(s->state[first].token, bench.config.slots);
	refused(s->state[first].writable, 4);
	refused(s->state[first].count, s->size + 1);
}

static void lies_about_the_session(void)
{
	struct viofs_state_header *h = viofs_arena_head(bench.arena);
	struct viofs_session_state *s = bench.relay->layout.session;

	refused(h->tables, VIOFS_STATE_TABLES_MAX + 1);
	refused(h->tables, 3);
	for (uint32_t i = 1; i < h->tables; i++) {
		refused(h->table[i].offset, h->size);
		refused(h->table[i].len, UINT64_MAX);
		refused(h->table[i].kind, 0);
	}
	refused(s->config.lanes, 0);
	refused(s->config.lanes, VIOFS_LANES_MAX + 1);
	refused(s->config.slots, 0);
	refused(s->config.slots, bench.config.slots + 1);
	refused(s->config.buffers, UINT32_MAX);
	refused(s->config.max_data, 0);
	refused(s->config.max_data, 1U << 30);
	refused(s->config.poll, 9);
	refused(s->config.channel, VIOFS_CHANNEL_DEV + 1);
	refused(s->config.loop, VIOFS_LOOP_EPOLL + 1);
	refused(s->config.queues, 65537);
	refused(s->config.depth, 65);
	is_refused("a bool of 2", &s->config.pin_lanes, 1, 2);
	refused(s->lanes, 7);
	refused(s->max_data, s->config.max_data + 1);
	refused(s->queue_count, 1);
	refused(s->queue_count, 3);
	refused(s->queue_count, UINT32_MAX);
	refused(s->queue_size[1], 0);
	refused(s->queue_size[1], 32768);
	refused(s->features, 0);
	refused(bench.relay->layout.hiprio->forgotten, VIOFS_FORGOTTEN_MAX + 1);
}

/* Return: where a table is in this process. */
static uint8_t *table_at(const struct viofs_state_table *t)
{
	uint8_t *at = viofs_arena_at(bench.arena, t->is_private, t->offset, t->len);

	assert_non_null(at);
	return at;
}

/* The whole table as it is, where the device can write: it could change it after the checks. */
static void lie_about_memory(struct viofs_state_table *t)
{
	const struct viofs_slots_tables *s = &bench.relay->layout.slots;
	struct viofs_state_table lie = *t;
	size_t room = (size_t)bench.config.buffers * bench.config.max_data;
	uint8_t *before = malloc(t->len);
	bool is_private;
	char what[64];

	assert_in_range(t->len, 1, room);
	lie.offset = viofs_arena_offset(bench.arena, s->buffers, &is_private);
	lie.is_private = is_private;
	assert_false(is_private);
	memcpy(before, s->buffers, t->len);
	memcpy(s->buffers, table_at(t), t->len);
	snprintf(what, sizeof(what), "table %u of kind %u in the device's memory", t->index,
		 t->kind);
	lie_is_refused(what, t, &lie, sizeof(lie));
	memcpy(s->buffers, before, t->len);
	free(before);
}

/* One table where another one is: what is written to one changes the other. */
static void lie_about_place(struct viofs_state_table *t, const struct viofs_state_table *other)
{
	struct viofs_state_table lie = *t;
	char what[64];

	lie.offset = other->offset;
	lie.is_private = other->is_private;
	snprintf(what, sizeof(what), "kind %u where kind %u is", t->kind, other->kind);
	lie_is_refused(what, t, &lie, sizeof(lie));
}

static struct viofs_state_table *find_table(uint32_t kind)
{
	struct viofs_state_header *h = viofs_arena_head(bench.arena);

	for (uint32_t i = 0; i < h->tables; i++)
		if (h->table[i].kind == kind)
			return &h->table[i];
	fail_msg("no table of kind %u", kind);
	return NULL;
}

static void lies_about_places(void)
{
	static const uint32_t kinds[] = {
		VIOFS_STATE_SESSION, VIOFS_STATE_STATS,  VIOFS_STATE_LANE_STATS, VIOFS_STATE_LANES,
		VIOFS_STATE_SLOTS,   VIOFS_STATE_HIPRIO, VIOFS_STATE_INTERRUPTS, VIOFS_STATE_SHADOW,
	};
	struct viofs_state_table *t;

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(kinds); i++)
		lie_about_memory(find_table(kinds[i]));
	lie_about_place(find_table(VIOFS_STATE_PLAIN), find_table(VIOFS_STATE_PARKED_DATA));
	lie_about_place(find_table(VIOFS_STATE_LATENCY), find_table(VIOFS_STATE_PLAIN));
	lie_about_place(find_table(VIOFS_STATE_IN_SLOT), find_table(VIOFS_STATE_SLOTS));
	lie_about_place(find_table(VIOFS_STATE_LANE_STATS), find_table(VIOFS_STATE_ARENA));
	lie_about_place(find_table(VIOFS_STATE_REPLIES), find_table(VIOFS_STATE_BUFFERS));
	t = find_table(VIOFS_STATE_LANE_STATS);
	refused(t->offset, 0); /* the header */
	refused(t->offset, t->offset + 4);
	t = find_table(VIOFS_STATE_ARENA);
	refused(t->offset, t->offset + 64);
	refused(t->kind, 0);
}

static void lies_about_what_is_parked(void)
{
	struct viofs_parked *p = bench.relay->layout.parked.blocks;

	assert_int_not_equal(p[0].seq, 0);
	refused(p[0].len, 0);
	refused(p[0].len, UINT32_MAX);
	refused(p[0].len, p[0].len + 4096);
	refused(p[0].next, 1);
	refused(p[0].next, UINT32_MAX - 1);
	is_refused("a message that is free", &p[bench.relay->layout.parked.max.block_count - 1].seq,
		   8, 1);
}

static bool no_lanes;

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	if (no_lanes && size == sizeof(struct viofs_lane))
		return NULL;
	return __real_aligned_alloc(alignment, size);
}

static void want_of_memory_is_no_contradiction(void **state)
{
	bench_serve_by_all();
	bench_kill();
	no_lanes = true;
	assert_int_equal(bench_try_adopt(), -ENOMEM);
	no_lanes = false;
	assert_string_equal(bench.err.text, "out of memory");
	bench_adopt();
	bench_end();
}

/* Whoever wrote the state may have been taken over by the device. */
static void lies_are_refused(void **state)
{
	unsigned int answers;

	answers = serve_and_work();
	bench_kill();
	lies_about_slots();
	lies_about_rings();
	lies_about_the_session();
	lies_about_places();
	lies_about_what_is_parked();
	/* Without them all of it is there. */
	bench_adopt();
	model_device_release(&bench.device, 0);
	all_are_answered(answers);
	device_forgets(1000000, FORGETS);
	bench_end();
}

/* Of another lane's part: two threads would use it. */
static void nothing_is_of_another_lane(void **state)
{
	struct viofs_lane_state *lanes;
	struct viofs_slot *slot;
	unsigned int answers;

	answers = serve_and_work();
	bench_kill();
	lanes = bench.relay->layout.lanes;
	slot = find_slot(VIOFS_SLOT_QUEUED, FUSE_READ);
	refused(slot->queue, slot->queue == 1 ? 2 : 1);
	slot = find_slot(VIOFS_SLOT_QUEUED, FUSE_WRITE);
	assert_in_range(slot->buffer, 0, lanes[1].first_buffer - 1);
	for (uint16_t b = lanes[1].first_buffer; b < bench.config.buffers; b++) {
		bool is_free = true;

		for (unsigned int i = 0; i < bench.config.slots; i++)
			is_free &= bench.relay->slots.slots[i].buffer != b;
		if (is_free)
			refused(slot->buffer, b);
	}
	bench_adopt();
	model_device_release(&bench.device, 0);
	all_are_answered(answers);
	bench_end();
}

#define FORM(f, s)                                                                                 \
	{                                                                                          \
		.name = #f ": " #s, .test_func = f, .setup_func = s,                               \
		.teardown_func = bench_tear_down                                                   \
	}
#define FORMS(f)                                                                                   \
	FORM(f, bench_set_up), FORM(f, set_up_packed), FORM(f, set_up_direct),                     \
		FORM(f, set_up_lanes), FORM(f, set_up_lanes_packed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FORMS(another_one_goes_on),
		FORMS(answers_that_came_meanwhile_are_found),
		FORM(wherever_it_dies_another_goes_on, bench_set_up),
		FORM(wherever_a_lane_dies_another_goes_on, set_up_lanes_packed),
		FORM(one_after_the_other_goes_on, bench_set_up),
		FORM(one_after_the_other_goes_on, set_up_lanes_packed),
		FORM(what_was_being_read_is_taken_up, bench_set_up),
		FORM(a_request_that_two_die_of_gets_an_error, bench_set_up),
		FORM(what_two_have_read_and_died_gets_an_error, bench_set_up),
		FORM(what_two_have_read_and_died_gets_an_error, set_up_packed),
		FORM(forgets_go_on_where_they_were, bench_set_up),
		FORM(only_a_session_that_serves_is_gone_on_with, bench_set_up),
		FORM(a_tag_without_an_end_is_ended, bench_set_up),
		FORM(sizes_and_options_are_the_parents, bench_set_up),
		FORM(sizes_and_options_are_the_parents, set_up_lanes_packed),
		FORM(forgets_are_noted_once, bench_set_up),
		FORM(what_has_landed_begins_anew, bench_set_up),
		FORM(another_version_is_refused, bench_set_up),
		FORM(want_of_memory_is_no_contradiction, bench_set_up),
		FORM(lies_are_refused, bench_set_up),
		FORM(nothing_is_of_another_lane, set_up_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests that come in entries of the io_uring channel: what becomes of them in their slots. */
#include "base/util.h"
#include "loop/loop_uring.h"
#include "relay/hiprio.h"
#include "relay/intake.h"
#include "relay/interrupt.h"
#include "relay/session.h"
#include "relay/submit.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_mapper.h"

#define ENTRIES 4U
#define BUFFER_SIZE (128U << 10)
#define NODEID 5U

static struct fake_mapper fake;
static struct viofs_arena *arena;
static struct viofs_relay relay;
static struct viofs_relay_stats stats;
static struct viofs_lane_stats lane_stats;
static struct viofs_lane_state lane_state;
static struct viofs_lane *lane;

/* What comes of it, linked in place of the ring's, the virtqueue's and hiprio's. */
static struct {
	struct io_uring_sqe sqe[16][2]; /* 128 bytes each */
	unsigned int commands;
	viofs_loop_completed *completed;
	void *arg;
	struct viofs_slot *submitted[ENTRIES];
	unsigned int submits, held, kicks; /* held: of submits, those whose kick waits */
	unsigned int forgets, interrupts;
	uint8_t message[256]; /* of the last of those two */
	size_t len;
	bool kicks_wait;
	uint32_t rewrite; /* the opcode that a back end writes to the slot, or 0 */
} seen;

void __wrap_viofs_loop_uring_listen(struct viofs_loop *l, viofs_loop_completed *completed,
				    void *arg);
void __wrap_viofs_loop_uring_listen(struct viofs_loop *l, viofs_loop_completed *completed,
				    void *arg)
{
	seen.completed = completed;
	seen.arg = arg;
}

struct io_uring_sqe *__wrap_viofs_loop_uring_command(struct viofs_loop *l);
struct io_uring_sqe *__wrap_viofs_loop_uring_command(struct viofs_loop *l)
{
	assert_true(seen.commands < VIOFS_ARRAY_SIZE(seen.sqe));
	return seen.sqe[seen.commands++];
}

int __wrap_viofs_loop_flush(struct viofs_loop *l);
int __wrap_viofs_loop_flush(struct viofs_loop *l)
{
	return 0;
}

int __wrap_viofs_submit(struct viofs_lane *l, struct viofs_slot *slot);
int __wrap_viofs_submit(struct viofs_lane *l, struct viofs_slot *slot)
{
	assert_true(seen.submits < ENTRIES);
	seen.submitted[seen.submits++] = slot;
	seen.held += seen.kicks_wait;
	return 0;
}

void __wrap_viofs_submit_kick_later(struct viofs_lane *l);
void __wrap_viofs_submit_kick_later(struct viofs_lane *l)
{
	seen.kicks_wait = true;
}

void __wrap_viofs_submit_kick_now(struct viofs_lane *l);
void __wrap_viofs_submit_kick_now(struct viofs_lane *l)
{
	seen.kicks_wait = false;
	seen.kicks++;
}

static void take_message(const void *message, size_t len)
{
	assert_int_equal(lane_state.forgets.done, 0);
	assert_true(len <= sizeof(seen.message));
	memcpy(seen.message, message, len);
	seen.len = len;
}

void __wrap_viofs_hiprio_forget(struct viofs_lane *l, const void *message, size_t len);
void __wrap_viofs_hiprio_forget(struct viofs_lane *l, const void *message, size_t len)
{
	seen.forgets++;
	take_message(message, len);
}

void __wrap_viofs_interrupt_handle(struct viofs_lane *l, const void *message, size_t len);
void __wrap_viofs_interrupt_handle(struct viofs_lane *l, const void *message, size_t len)
{
	seen.interrupts++;
	take_message(message, len);
}

int __real_viofs_fuse_classify(const struct viofs_fuse_conn *conn,
			       const struct fuse_in_header *head, size_t len,
			       struct viofs_fuse_shape *out);
int __wrap_viofs_fuse_classify(const struct viofs_fuse_conn *conn,
			       const struct fuse_in_header *head, size_t len,
			       struct viofs_fuse_shape *out);
int __wrap_viofs_fuse_classify(const struct viofs_fuse_conn *conn,
			       const struct fuse_in_header *head, size_t len,
			       struct viofs_fuse_shape *out)
{
	if (seen.rewrite)
		((struct fuse_in_header *)(uintptr_t)head)->opcode = seen.rewrite;
	return __real_viofs_fuse_classify(conn, head, len, out);
}

/* One lane, whose entries wait for the kernel's requests. */
static int set_up(void **state)
{
	size_t sizes[VIOFS_ARENA_SECTIONS] = { 0 };
	struct viofs_slots_tables tables;

	memset(&seen, 0, sizeof(seen));
	memset(&stats, 0, sizeof(stats));
	memset(&lane_stats, 0, sizeof(lane_stats));
	memset(&lane_state, 0, sizeof(lane_state));
	memset(&relay, 0, sizeof(relay));
	viofs_entries_arena_sizes(ENTRIES, 1, sizes);
	viofs_slots_arena_sizes(ENTRIES, ENTRIES, BUFFER_SIZE, sizes);
	assert_int_equal(viofs_arena_new(sizes, false, &arena, NULL), 0);
	fake_mapper_init(&fake, true);
	assert_int_equal(viofs_arena_map(arena, &fake.mapper, VIOFS_ADDRESS_TRANSLATED, NULL), 0);
	viofs_slots_alloc(ENTRIES, ENTRIES, BUFFER_SIZE, arena, &tables);
	assert_int_equal(
		viofs_slots_init(&relay.slots, ENTRIES, ENTRIES, BUFFER_SIZE, arena, &tables), 0);
	lane = aligned_alloc(64, sizeof(*lane));
	assert_non_null(lane);
	memset(lane, 0, sizeof(*lane));
	viofs_slots_share(&relay.slots, 0, ENTRIES, 0, ENTRIES, VIOFS_BUFFER_NONE, &lane->slots);
	viofs_entries_init(&lane->entries, ENTRIES, 1, 0, 1, arena);
	lane->relay = &relay;
	lane->stats = &lane_stats;
	lane->state = &lane_state;
	lane->capture = &viofs_capture_off;
	lane->now = 123456789;
	relay.lanes = lane;
	relay.lane_count = 1;
	relay.stats = &stats;
	relay.conn = (struct viofs_fuse_conn){ .minor = 45, .page_size = VIOFS_PAGE_LEAST };
	assert_int_equal(viofs_entries_start(lane), 0);
	assert_int_equal(seen.commands, ENTRIES);
	seen.commands = 0;
	return 0;
}

static int tear_down(void **state)
{
	free(lane);
	viofs_slots_fini(&relay.slots);
	viofs_arena_free(arena);
	return 0;
}

static struct viofs_slot *slot_of(unsigned int entry)
{
	return &lane->slots.slots[lane->entries.entry[entry].slot];
}

static uint8_t *payload_of(unsigned int entry)
{
	return viofs_slots_buffer(&lane->slots, slot_of(entry)->buffer);
}

static struct viofs_contents *contents_of(unsigned int entry)
{
	return &lane->slots.in_buffer[slot_of(entry)->buffer];
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i % 251 + 1);
}

/* The kernel fills @entry: @args_size bytes of the first argument, then @size bytes of
 * byte_at(). */
static void arrives_in(unsigned int entry, uint32_t opcode, const void *args, uint32_t args_size,
		       uint32_t size)
{
	struct viofs_fuse_uring_header *h = &lane->entries.entry[entry].header;

	memset(h, 0, sizeof(*h));
	h->in = (struct fuse_in_header){
		.len = (uint32_t)sizeof(h->in) + args_size + size,
		.opcode = opcode,
		.unique = 42 + entry,
		.nodeid = NODEID,
	};
	if (args_size)
		memcpy(h->op_in, args, args_size);
	h->payload_size = size;
	for (size_t i = 0; i < VIOFS_MIN(size, BUFFER_SIZE); i++)
		payload_of(entry)[i] = byte_at(i);
	seen.completed(seen.arg, (uint64_t)entry << 1 | 1, 0);
}

static void arrives(uint32_t opcode, const void *args, uint32_t args_size, uint32_t size)
{
	arrives_in(0, opcode, args, args_size, size);
	assert_int_equal(viofs_intake(lane), 1);
}

/* @args and what followed them, in one piece at @at, behind the header. */
static void is_message(const uint8_t *at, uint32_t opcode, const void *args, uint32_t args_size,
		       uint32_t size)
{
	struct fuse_in_header head;

	memcpy(&head, at, sizeof(head));
	assert_int_equal(head.opcode, opcode);
	assert_int_equal(head.unique, 42);
	assert_int_equal(head.nodeid, NODEID);
	assert_int_equal(head.len, sizeof(head) + args_size + size);
	if (args_size)
		assert_memory_equal(at + sizeof(head), args, args_size);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(at[sizeof(head) + args_size + i], byte_at(i));
}

/* Entry 0's request is the device's. */
static const struct viofs_slot *is_submitted(uint32_t len)
{
	assert_int_equal(seen.submits, 1);
	assert_ptr_equal(seen.submitted[0], slot_of(0));
	assert_int_equal(slot_of(0)->len, len);
	assert_int_equal(seen.commands, 0);
	assert_int_equal(lane_stats.refused, 0);
	return slot_of(0);
}

static void is_asked_for_the_next_one(int error)
{
	const struct viofs_entry *entry = &lane->entries.entry[0];

	assert_int_equal(seen.commands, 1);
	assert_int_equal(seen.submits, 0);
	assert_int_equal(entry->state, VIOFS_ENTRY_KERNEL);
	assert_int_equal(entry->header.out.error, error);
	assert_int_equal(entry->header.out.unique, 42);
	assert_int_equal(entry->header.payload_size, 0);
}

/* Entry 0's request is answered at once. */
static void is_refused(int error)
{
	is_asked_for_the_next_one(error);
	assert_int_equal(lane_stats.refused, 1);
	assert_int_equal(lane_stats.replies, 1);
	assert_int_equal(seen.sqe[0]->flags, 0);
}

static void again(void)
{
	tear_down(NULL);
	set_up(NULL);
}

static void a_slot_gets_what_is_known_of_its_request(void **state)
{
	const struct fuse_getattr_in in = { .fh = 77 };
	const uint32_t len = sizeof(struct fuse_in_header) + sizeof(in);
	const struct viofs_slot *slot = slot_of(0);
	const uint32_t generation = slot->generation;

	arrives(FUSE_GETATTR, &in, sizeof(in), 0);
	is_submitted(len);
	is_message(viofs_slot_message(&lane->slots, slot), FUSE_GETATTR, &in, sizeof(in), 0);
	assert_int_equal(lane->entries.entry[0].state, VIOFS_ENTRY_RELAY);
	assert_int_equal(slot->kernel_unique, 42);
	assert_int_equal(slot->nodeid, NODEID);
	assert_int_equal(slot->since, lane->now);
	assert_int_not_equal(slot->read, 0);
	assert_int_equal(slot->sent, slot->read);
	assert_int_not_equal(slot->generation, generation);
	assert_int_equal(slot->shape.opcode, FUSE_GETATTR);
	assert_false(slot->apart || slot->spilled);
	assert_int_equal(lane_stats.bytes_written, 0);
	assert_int_equal(lane->lockers, 0);
	assert_int_equal(contents_of(0)->dirty, 0);
}

/* A device may write to the buffer: there they could be changed. */
static void names_leave_the_buffer(void **state)
{
	const struct fuse_rename_in in = { .newdir = 9 };
	const uint32_t at = sizeof(struct fuse_in_header) + sizeof(in);
	const uint32_t most = VIOFS_SLOT_SMALL - at;
	const struct viofs_slot *slot;

	for (uint32_t size = most - 1; size <= most; size++, again()) {
		arrives(FUSE_RENAME, &in, sizeof(in), size);
		slot = is_submitted(at + size);
		is_message(viofs_slot_message(&lane->slots, slot), FUSE_RENAME, &in, sizeof(in),
			   size);
		assert_false(slot->apart || slot->spilled);
		assert_int_equal(contents_of(0)->dirty, size);
	}
}

static void what_the_slot_has_no_room_for_is_in_one_piece_in_the_buffer(void **state)
{
	const struct fuse_rename_in in = { .newdir = 9 };
	const uint32_t at = sizeof(struct fuse_in_header) + sizeof(in);
	const uint32_t sizes[] = { VIOFS_SLOT_SMALL - at + 1, 10000, BUFFER_SIZE - at };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(sizes); i++, again()) {
		const struct viofs_slot *slot;

		arrives(FUSE_RENAME, &in, sizeof(in), sizes[i]);
		slot = is_submitted(at + sizes[i]);
		is_message(payload_of(0), FUSE_RENAME, &in, sizeof(in), sizes[i]);
		assert_true(slot->spilled);
		assert_false(slot->apart);
		assert_int_equal(contents_of(0)->dirty, at + sizes[i]);
		assert_int_equal(contents_of(0)->nodeid, 0);
	}
	arrives(FUSE_RENAME, &in, sizeof(in), BUFFER_SIZE - at + 1);
	is_refused(-EIO);
}

static void data_of_a_write_stays_where_it_is(void **state)
{
	const struct fuse_write_in in = { .fh = 77, .size = 1 };
	const uint32_t at = sizeof(struct fuse_in_header) + sizeof(in);
	const uint32_t sizes[] = { 1, 5000, BUFFER_SIZE };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(sizes); i++, again()) {
		const struct viofs_slot *slot;

		arrives(FUSE_WRITE, &in, sizeof(in), sizes[i]);
		slot = is_submitted(at + sizes[i]);
		assert_true(slot->apart);
		assert_false(slot->spilled);
		assert_int_equal(slot->shape.data, sizes[i]);
		for (uint32_t k = 0; k < sizes[i]; k++)
			assert_int_equal(payload_of(0)[k], byte_at(k));
		assert_memory_equal(viofs_slot_message(&lane->slots, slot) + at - sizeof(in), &in,
				    sizeof(in));
		assert_int_equal(lane_stats.bytes_written, sizes[i]);
		assert_int_equal(contents_of(0)->dirty, sizes[i]);
		assert_int_equal(contents_of(0)->nodeid, NODEID);
	}
	arrives(FUSE_WRITE, &in, sizeof(in), 0);
	assert_false(is_submitted(at)->apart);
}

/* Data begins with the payload: neither before it nor in it. */
static void data_that_begins_elsewhere_is_refused(void **state)
{
	const uint8_t in[sizeof(struct fuse_write_in) + 8] = { 0 };

	arrives(FUSE_WRITE, in, sizeof(in), 100);
	is_refused(-EIO);
	again();
	arrives(FUSE_WRITE, in, sizeof(in) - 16, 100);
	is_refused(-EIO);
}

/* The device reads input where it writes output: they share the buffer, half and half. */
static void input_and_output_of_an_ioctl_must_both_have_room(void **state)
{
	const uint32_t at = sizeof(struct fuse_in_header) + sizeof(struct fuse_ioctl_in);
	const uint32_t fixed = sizeof(struct fuse_ioctl_out);
	const uint32_t small = VIOFS_SLOT_SMALL - at, half = BUFFER_SIZE / 2;
	const struct {
		uint32_t input, output;
		bool fits;
	} cases[] = {
		{ 10, 0, true },
		{ 10, BUFFER_SIZE - fixed, true },
		{ 10, BUFFER_SIZE - fixed + 1, false },
		{ small, BUFFER_SIZE - fixed, true },
		{ small + 1, half - fixed, true },
		{ small + 1, half - fixed + 1, false },
		{ BUFFER_SIZE - at, VIOFS_SLOT_DATA, true },
		{ BUFFER_SIZE - at + 1, VIOFS_SLOT_DATA, false },
		{ half - at, VIOFS_SLOT_DATA + 1, true },
		{ half - at + 1, VIOFS_SLOT_DATA + 1, false },
	};

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++, again()) {
		const struct fuse_ioctl_in in = { .fh = 77, .out_size = cases[i].output };
		const uint32_t size = cases[i].input;
		const struct viofs_slot *slot;

		arrives(FUSE_IOCTL, &in, sizeof(in), size);
		if (!cases[i].fits) {
			is_refused(-EIO);
			continue;
		}
		slot = is_submitted(at + size);
		is_message((const uint8_t *)viofs_slot_header(&lane->slots, slot), FUSE_IOCTL, &in,
			   sizeof(in), size);
		assert_false(slot->apart);
		assert_int_equal(slot->spilled, size > small);
	}
}

static void what_no_device_may_get_is_answered(void **state)
{
	static const struct {
		uint32_t opcode;
		int error;
	} cases[] = { { FUSE_INIT, -ENOSYS }, { 4000, -ENOSYS }, { FUSE_GETATTR, -EIO } };

	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(cases); i++, again()) {
		arrives(cases[i].opcode, NULL, 0, 0);
		is_refused(cases[i].error);
	}
	/* More than there is room for; what is there is known all the same. */
	arrives(FUSE_SYMLINK, NULL, 0, BUFFER_SIZE + 1);
	is_refused(-EIO);
	assert_int_equal(contents_of(0)->dirty, BUFFER_SIZE);
}

/* A slot's message is the device's to read, and a hostile back end's to write. */
static void an_opcode_that_changes_is_refused(void **state)
{
	const struct fuse_getattr_in in = { .fh = 77 };

	seen.rewrite = FUSE_STATFS;
	arrives(FUSE_GETATTR, &in, sizeof(in), 0);
	is_refused(-EIO);
}

/* Which shape the one before it had is of no account. */
static void a_refused_one_is_answered_at_once(void **state)
{
	const struct fuse_read_in in = { .size = 4096, .flags = O_DIRECT };

	stats.agreed.flags = FUSE_ASYNC_DIO;
	arrives(FUSE_READ, &in, sizeof(in), 0);
	assert_true(is_submitted(sizeof(struct fuse_in_header) + sizeof(in))->shape.may_block);
	seen.submits = 0;
	arrives(FUSE_READ, &in, sizeof(in) - 8, 0);
	is_refused(-EIO);
	assert_int_equal(slot_of(0)->shape.opcode, 0);
}

static void forgets_and_interrupts_go_to_hiprio(void **state)
{
	const struct fuse_forget_in forget = { .nlookup = 3 };
	const struct fuse_interrupt_in interrupt = { .unique = 40 };

	lane_state.forgets.done = 7;
	arrives(FUSE_FORGET, &forget, sizeof(forget), 0);
	assert_int_equal(seen.forgets, 1);
	assert_int_equal(seen.interrupts, 0);
	assert_int_equal(seen.len, sizeof(struct fuse_in_header) + sizeof(forget));
	is_message(seen.message, FUSE_FORGET, &forget, sizeof(forget), 0);
	is_asked_for_the_next_one(0);
	again();
	lane_state.forgets.done = 7;
	arrives(FUSE_INTERRUPT, &interrupt, sizeof(interrupt), 0);
	assert_int_equal(seen.forgets, 0);
	assert_int_equal(seen.interrupts, 1);
	assert_int_equal(seen.len, sizeof(struct fuse_in_header) + sizeof(interrupt));
	is_message(seen.message, FUSE_INTERRUPT, &interrupt, sizeof(interrupt), 0);
	is_asked_for_the_next_one(0);
	assert_int_equal(lane_stats.refused, 0);
}

static void locks_that_wait_are_counted(void **state)
{
	struct fuse_lk_in in = { .fh = 77, .lk.type = F_WRLCK };

	arrives(FUSE_SETLKW, &in, sizeof(in), 0);
	assert_int_equal(lane->lockers, 1);
	again();
	in.lk.type = F_UNLCK;
	arrives(FUSE_SETLKW, &in, sizeof(in), 0);
	assert_int_equal(lane->lockers, 0);
}

static void those_that_come_together_share_a_kick(void **state)
{
	const struct fuse_getattr_in in = { .fh = 77 };

	assert_int_equal(viofs_intake(lane), 0);
	assert_int_equal(seen.kicks, 0);
	arrives_in(2, FUSE_GETATTR, &in, sizeof(in), 0);
	assert_int_equal(viofs_intake(lane), 1);
	assert_int_equal(seen.held, 0);
	assert_int_equal(seen.kicks, 1);
	arrives_in(3, FUSE_GETATTR, &in, sizeof(in), 0);
	arrives_in(1, FUSE_GETATTR, &in, sizeof(in), 0);
	assert_int_equal(viofs_intake(lane), 2);
	assert_int_equal(seen.held, 2);
	assert_int_equal(seen.kicks, 2);
	assert_int_equal(seen.submits, 3);
	assert_ptr_equal(seen.submitted[0], slot_of(2));
	assert_ptr_equal(seen.submitted[1], slot_of(3));
	assert_ptr_equal(seen.submitted[2], slot_of(1));
	/* Each is taken once. */
	assert_int_equal(viofs_intake(lane), 0);
	assert_int_equal(seen.submits, 3);
}

#define with_a_lane(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_a_lane(a_slot_gets_what_is_known_of_its_request),
		with_a_lane(names_leave_the_buffer),
		with_a_lane(what_the_slot_has_no_room_for_is_in_one_piece_in_the_buffer),
		with_a_lane(data_of_a_write_stays_where_it_is),
		with_a_lane(data_that_begins_elsewhere_is_refused),
		with_a_lane(input_and_output_of_an_ioctl_must_both_have_room),
		with_a_lane(what_no_device_may_get_is_answered),
		with_a_lane(an_opcode_that_changes_is_refused),
		with_a_lane(a_refused_one_is_answered_at_once),
		with_a_lane(forgets_and_interrupts_go_to_hiprio),
		with_a_lane(locks_that_wait_are_counted),
		with_a_lane(those_that_come_together_share_a_kick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

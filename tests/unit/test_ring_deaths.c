/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver that dies between any two instructions while it adds a chain or takes one. It runs one
 * instruction at a time (ptrace(2)), and after each another one goes on from a copy of what is
 * there.
 */
#include "ring_bench.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "viofs_config.h"

#define SIZE 8U
#define PART 4096U
#define NEW_TOKEN 50U
#define STEPS_MAX 20000U
#define TOKENS 64U

/* What both see: desc, driver, device, shadow, and an indirect table. */
enum part { DESC, DRIVER, DEVICE, SHADOW, TABLE, PARTS };

struct form {
	unsigned int flags;
	bool indirect;
	unsigned int rounds; /* before it: near the end of the ring, or beyond */
};

static struct ring_bench first;
static uint8_t *shared, *copy;
static unsigned int in_flight; /* tokens 0.. of those, before */

static void put_parts(struct ring_bench *b, uint8_t *memory)
{
	b->desc = b->ring.desc = memory + (size_t)DESC * PART;
	b->driver = b->ring.driver = memory + (size_t)DRIVER * PART;
	b->device = memory + (size_t)DEVICE * PART;
	b->ring.device = b->device;
	b->shadow = b->ring.shadow = (void *)(memory + (size_t)SHADOW * PART);
}

static int add(struct ring_bench *b, bool indirect, uint32_t token)
{
	struct viofs_ring_piece p[2] = { { 0x1000, 8 }, { 0x2000, 8 } };
	struct viofs_ring_chain c = {
		.pieces = p,
		.readable = 1,
		.writable = 1,
		.indirect = indirect ? (void *)(shared + (size_t)TABLE * PART) : NULL,
		.token = token,
	};

	return viofs_ring_add(&b->ring, &c);
}

/* Two are with the device, which has answered the first. */
static void begin(const struct form *f)
{
	uint32_t token, len;

	ring_bench_init(&first, SIZE, f->flags);
	free(first.desc);
	free(first.driver);
	free(first.device);
	free(first.shadow);
	put_parts(&first, shared);
	memset(shared, 0, (size_t)PARTS * PART);
	viofs_ring_init(&first.ring, SIZE, f->flags, first.desc, first.driver, first.device,
			first.shadow);
	for (unsigned int i = 0; i < f->rounds; i++) {
		assert_int_equal(add(&first, f->indirect, i), 0);
		ring_bench_push(&first, (uint32_t)ring_bench_pop(&first), 8);
		assert_int_equal(viofs_ring_get(&first.ring, &token, &len), 1);
	}
	in_flight = 2;
	for (uint32_t i = 0; i < in_flight; i++)
		assert_int_equal(add(&first, f->indirect, i), 0);
	ring_bench_push(&first, (uint32_t)ring_bench_pop(&first), 8);
}

static void end(void)
{
	first.desc = first.driver = first.device = first.shadow = NULL;
	ring_bench_fini(&first);
}

static void add_one(const struct form *f)
{
	add(&first, f->indirect, NEW_TOKEN);
}

static void take_one(const struct form *f)
{
	struct viofs_ring_used used;

	if (viofs_ring_peek(&first.ring, &used) == 1)
		viofs_ring_pop(&first.ring, &used);
}

/* The tokens that the ring has; each once. */
static uint64_t tokens_of(const struct viofs_ring *r)
{
	uint32_t at = 0, token, writable;
	uint64_t all = 0;

	while (viofs_ring_next_chain(r, &at, &token, &writable)) {
		assert_in_range(token, 0, TOKENS - 1);
		assert_int_equal(writable, 8);
		assert_false(all >> token & 1);
		all |= 1ULL << token;
	}
	return all;
}

/* All that the device has by now is answered, and comes back once. */
static void all_come_back(struct ring_bench *b, uint64_t expected)
{
	uint32_t token, len;
	int id;

	while ((id = ring_bench_pop(b)) >= 0)
		ring_bench_push(b, (uint32_t)id, 8);
	while (viofs_ring_get(&b->ring, &token, &len) == 1) {
		assert_true(expected >> token & 1);
		assert_int_equal(len, 8);
		expected &= ~(1ULL << token);
	}
	assert_null(viofs_ring_broken(&b->ring));
	assert_int_equal(expected, 0);
	assert_int_equal(b->ring.shadow->free_count, SIZE);
	assert_int_equal(b->ring.shadow->in_flight, 0);
}

/* @before, @after: the tokens without what was under way, and with it. */
static void another_goes_on(const struct form *f, uint64_t before, uint64_t after)
{
	struct ring_bench b = first;
	uint64_t tokens;
	int rc;

	memcpy(copy, shared, (size_t)PARTS * PART);
	put_parts(&b, copy);
	rc = viofs_ring_adopt(&b.ring, SIZE, f->flags, b.desc, b.driver, b.device, b.shadow);
	assert_int_equal(rc, 0);
	tokens = tokens_of(&b.ring);
	assert_true(tokens == before || tokens == after);
	assert_int_equal(add(&b, f->indirect, NEW_TOKEN + 1), 0);
	all_come_back(&b, tokens | 1ULL << (NEW_TOKEN + 1));
	for (unsigned int i = 0; i < 3 * SIZE; i++) {
		assert_int_equal(add(&b, f->indirect, i), 0);
		all_come_back(&b, 1ULL << i);
	}
}

/* Return: the process, stopped before @act. */
static pid_t start(void (*act)(const struct form *), const struct form *f)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(2);
		raise(SIGSTOP);
		act(f);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		skip(); /* ptrace(2) isn't allowed here */
	return pid;
}

static void die_everywhere(const struct form *f, void (*act)(const struct form *), uint64_t before,
			   uint64_t after)
{
	uint64_t seen = 0;
	unsigned int steps = 0;
	int status;
	pid_t pid;

	/* A sanitizer's instructions would be stepped through too, and they are another driver. */
	if (VIOFS_SANITIZED)
		skip();
	begin(f);
	pid = start(act, f);
	do {
		another_goes_on(f, before, after);
		seen |= tokens_of(&first.ring) == before ? 1 : 2;
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	} while (WIFSTOPPED(status) && steps++ < STEPS_MAX);
	assert_true(WIFEXITED(status));
	another_goes_on(f, after, after);
	assert_int_equal(seen, 3);
	end();
}

static void a_chain_that_was_being_added(void **state)
{
	const struct form *f = *state;

	die_everywhere(f, add_one, 3, 3 | 1ULL << NEW_TOKEN);
}

static void a_completion_that_was_being_taken(void **state)
{
	const struct form *f = *state;

	die_everywhere(f, take_one, 3, 2);
}

#define E VIOFS_RING_EVENT_IDX
#define P VIOFS_RING_PACKED

/* 4 rounds, of two descriptors each, end with the ring; 31: in another one. */
static struct form forms[] = {
	{ 0, false, 0 },  { 0, true, 0 },   { 0, false, 3 },     { E, true, 7 },
	{ P, false, 0 },  { P, true, 0 },   { P, false, 2 },     { P, false, 3 },
	{ P, false, 31 }, { P, true, 5 },   { P | E, true, 14 }, { P | E, true, 13 },
	{ P, true, 6 },   { P, false, 29 },
};

int main(void)
{
	struct CMUnitTest tests[2 * VIOFS_ARRAY_SIZE(forms)];
	size_t n = 0;

	shared = mmap(NULL, (size_t)PARTS * PART, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	copy = calloc(PARTS, PART);
	if (shared == MAP_FAILED || !copy)
		return 1;
	for (size_t i = 0; i < VIOFS_ARRAY_SIZE(forms); i++) {
		tests[n++] = (struct CMUnitTest){ .name = "a_chain_that_was_being_added",
						  .test_func = a_chain_that_was_being_added,
						  .initial_state = &forms[i] };
		tests[n++] = (struct CMUnitTest){ .name = "a_completion_that_was_being_taken",
						  .test_func = a_completion_that_was_being_taken,
						  .initial_state = &forms[i] };
	}
	n = (size_t)cmocka_run_group_tests(tests, NULL, NULL);
	free(copy);
	return (int)n;
}

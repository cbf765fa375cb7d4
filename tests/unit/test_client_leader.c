/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that share a lane, in every order that there is: three of them in the real code of
 * src/client/blocking.c, one after the other in all interleavings, on a device that answers any of
 * their requests at any turn. A schedule in which nobody can go on, though somebody waits, is a
 * hang.
 *
 * A thread can be preceded by another one only where it takes the lane's lock, so it gives way
 * there and nowhere else. What is chosen (who is next, what the device has answered) is kept in a
 * list; the next run does the same but for the last choice that has an alternative.
 */
#include <pthread.h>

static int wake(const pthread_cond_t *cond);
#define pthread_cond_signal(c) wake(c)

#include "client/blocking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#define THREADS 3U
#define STACK ((size_t)128 << 10)
#define CHOICES_MAX 256U

enum thread_state { WANTS_LOCK, RUNS, WAITS, DONE };

struct thread {
	ucontext_t context;
	enum thread_state state;
	const pthread_cond_t *cond; /* WAITS */
	struct viofs_op *op;        /* in flight */
	unsigned int calls, made;
	bool at_once; /* its calls end before they are waited for */
	uint8_t stack[STACK];
};

static struct {
	struct thread threads[THREADS];
	struct thread *current;
	ucontext_t scheduler;
	bool locked;
	unsigned int lulls; /* turns in which the device may still answer nothing */
	struct viofs_share share;
	struct viofs_session view;
	struct viofs_dev dev;
	int here;
	struct {
		unsigned int taken, of;
	} choices[CHOICES_MAX];
	unsigned int depth, known;
} model;

static unsigned int choose(unsigned int of)
{
	unsigned int at = model.depth;

	if (of == 1)
		return 0;
	assert_true(at < CHOICES_MAX);
	if (at == model.known) {
		model.choices[at].taken = 0;
		model.choices[at].of = of;
		model.known++;
	}
	assert_int_equal(model.choices[at].of, of);
	model.depth++;
	return model.choices[at].taken;
}

/* Return: false: every schedule was there. */
static bool next_schedule(void)
{
	while (model.known &&
	       model.choices[model.known - 1].taken + 1 == model.choices[model.known - 1].of)
		model.known--;
	if (!model.known)
		return false;
	model.choices[model.known - 1].taken++;
	return true;
}

static void give_way(void)
{
	swapcontext(&model.current->context, &model.scheduler);
}

static int lock(void)
{
	model.current->state = WANTS_LOCK;
	give_way();
	return 0;
}

static int unlock(void)
{
	assert_true(model.locked);
	model.locked = false;
	return 0;
}

static int wait_for(const pthread_cond_t *cond)
{
	unlock();
	model.current->cond = cond;
	model.current->state = WAITS;
	give_way();
	return 0;
}

static int wake(const pthread_cond_t *cond)
{
	for (unsigned int i = 0; i < THREADS; i++)
		if (model.threads[i].state == WAITS && model.threads[i].cond == cond)
			model.threads[i].state = WANTS_LOCK;
	return 0;
}

#define pthread_mutex_lock(m) ((void)(m), lock())
#define pthread_mutex_unlock(m) ((void)(m), unlock())
#define pthread_cond_init(c, a) memset(c, 0, sizeof(*(c)))
#define pthread_cond_destroy(c) memset(c, 0xee, sizeof(*(c)))
#define pthread_cond_wait(c, m) ((void)(m), wait_for(c))
#define FOLLOWER_SPINS 1
#include "client/blocking.c"

int viofs_op_new(struct viofs_async *a, void *user, struct viofs_op **out)
{
	*out = calloc(1, sizeof(**out));
	(*out)->a = a;
	return 0;
}

void viofs_op_for(struct viofs_op *op, struct viofs_caller *caller)
{
}

void viofs_op_free(struct viofs_op *op)
{
	op->next = op->a->free;
	op->a->free = op;
}

/* The device has answered some of what is in flight: any of it. */
int viofs_async_turn(struct viofs_async *a)
{
	struct thread *sent[THREADS];
	unsigned int n = 0, first, which, count = 0;

	assert_true(model.locked);
	for (unsigned int i = 0; i < THREADS; i++)
		if (model.threads[i].op)
			sent[n++] = &model.threads[i];
	assert_true(n > 0);
	first = model.lulls ? 0 : 1;
	which = first + choose((1U << n) - first);
	model.lulls -= !which;
	for (unsigned int i = 0; i < n; i++) {
		if (!(which & 1U << i))
			continue;
		viofs_op_tell(sent[i]->op);
		sent[i]->op = NULL;
		count++;
	}
	return (int)count;
}

void viofs_async_forget(struct viofs_async *a, bool all)
{
}

void viofs_wait_start(struct viofs_wait *w, struct viofs_queue *q, int64_t timeout_ns)
{
}

int64_t viofs_wait_prepare(struct viofs_wait *w, struct viofs_queue *q)
{
	return 1;
}

void viofs_wait_sleep(struct viofs_queue *q, int64_t ns)
{
	assert_true(ns > 0);
}

static void calls(void)
{
	struct thread *me = model.current;

	for (me->made = 0; me->made < me->calls; me->made++) {
		struct viofs_op *op;

		assert_int_equal(viofs_op_begin(&model.view, "call", "it", NULL, &op), 0);
		if (me->at_once)
			viofs_op_tell(op);
		else
			me->op = op;
		assert_int_equal(viofs_op_end(op), 0);
	}
	me->state = DONE;
	give_way();
}

/* Until nobody can go on. */
static void run_once(void)
{
	struct viofs_async *lane = &model.share.lanes[0];

	model.here = 1;
	model.dev.here = &model.here;
	model.share.dev = &model.dev;
	model.view.share = &model.share;
	model.share.lane_count = 1;
	model.share.lanes[0].s = &model.share;
	model.depth = 0;
	model.locked = false;
	for (unsigned int i = 0; i < THREADS; i++) {
		struct thread *t = &model.threads[i];

		getcontext(&t->context);
		t->context.uc_stack.ss_sp = t->stack;
		t->context.uc_stack.ss_size = sizeof(t->stack);
		t->state = RUNS;
		t->op = NULL;
		makecontext(&t->context, calls, 0);
		model.current = t;
		swapcontext(&model.scheduler, &t->context); /* up to the lock */
	}
	for (;;) {
		struct thread *able[THREADS];
		unsigned int n = 0;

		for (unsigned int i = 0; i < THREADS; i++)
			if (model.threads[i].state == WANTS_LOCK)
				able[n++] = &model.threads[i];
		if (!n)
			break;
		assert_false(model.locked);
		model.current = able[choose(n)];
		model.current->state = RUNS;
		model.locked = true;
		swapcontext(&model.scheduler, &model.current->context);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		if (model.threads[i].state != DONE)
			fail_msg("thread %u waits for ever, its call has%s ended", i,
				 model.threads[i].op ? " not" : "");
	assert_false(lane->leader);
	assert_null(lane->followers);
	while (lane->free) {
		struct viofs_op *op = lane->free;

		lane->free = op->next;
		free(op);
	}
	memset(lane, 0, sizeof(*lane));
}

/* @calls: of the first thread. @lulls: turns in which nothing has come. */
static void all_schedules(unsigned int calls_of_first, unsigned int lulls, bool last_at_once)
{
	unsigned int runs = 0;

	memset(&model, 0, sizeof(model));
	for (unsigned int i = 0; i < THREADS; i++)
		model.threads[i].calls = i ? 1 : calls_of_first;
	model.threads[THREADS - 1].at_once = last_at_once;
	do {
		model.lulls = lulls;
		run_once();
		runs++;
	} while (next_schedule());
	print_message("%u schedules\n", runs);
	assert_true(runs > 1000);
}

static void three_threads_with_a_call_each_all_return(void **state)
{
	all_schedules(1, 3, false);
}

static void a_thread_that_comes_again_holds_nobody_up(void **state)
{
	all_schedules(2, 2, false);
}

static void a_call_that_ends_at_once_holds_nobody_up(void **state)
{
	all_schedules(2, 3, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_threads_with_a_call_each_all_return),
		cmocka_unit_test(a_thread_that_comes_again_holds_nobody_up),
		cmocka_unit_test(a_call_that_ends_at_once_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

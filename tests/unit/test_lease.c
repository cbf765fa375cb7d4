/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leadership: who takes over from a thread that is stuck in a reply, and what becomes of that. */
#include "relay/lease.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOTS 8
#define WAIT_MS 10000
#define ROUNDS 6

static struct viofs_lease lease;
/* So many leaders write a reply, which blocks until so many have been let go. */
static _Atomic unsigned int leaders, writers, let_go, deposed;
static _Atomic bool end;

static void lead(void *arg)
{
	unsigned int number = ++leaders;
	uint64_t ticket;

	assert_ptr_equal(arg, &lease);
	while (writers < number && !end)
		usleep(1000);
	if (end) {
		viofs_lease_finish(&lease);
		return;
	}
	ticket = viofs_lease_enter(&lease);
	while (let_go < number)
		usleep(1000);
	if (!viofs_lease_leave(&lease, ticket))
		deposed++;
}

static void wait_until(_Atomic unsigned int *what, unsigned int count)
{
	for (int ms = 0; *what < count && ms < WAIT_MS; ms++)
		usleep(1000);
	assert_int_equal(*what, count);
}

static int set_up(void **state)
{
	leaders = writers = let_go = deposed = 0;
	end = false;
	assert_int_equal(viofs_lease_init(&lease, lead, &lease, SLOTS), 0);
	return 0;
}

static void finish(void)
{
	viofs_lease_finish(&lease);
	viofs_lease_wait(&lease);
	assert_int_equal(lease.alive, 0);
	assert_true(viofs_lease_fini(&lease));
	assert_int_equal(lease.wake_fd, -1);
	assert_true(viofs_lease_fini(&lease));
}

static void a_write_that_is_quick_deposes_nobody(void **state)
{
	viofs_lease_start(&lease);
	for (unsigned int i = 1; i <= 50; i++) {
		uint64_t ticket = viofs_lease_enter(&lease);

		assert_int_equal(ticket, i);
		assert_true(viofs_lease_leave(&lease, ticket));
	}
	usleep(5 * VIOFS_LEASE_TICK_MS * 1000);
	assert_int_equal(leaders, 0);
	assert_int_equal(lease.alive, 1);
	finish();
}

/* Without READs nobody ticks; the next one has somebody woken. */
static void a_quiet_lease_is_not_guarded(void **state)
{
	uint64_t ticket;

	viofs_lease_start(&lease);
	assert_false(lease.guarded);
	assert_true(viofs_lease_leave(&lease, viofs_lease_enter(&lease)));
	assert_true(lease.guarded);
	for (int ms = 0; lease.guarded && ms < WAIT_MS; ms++)
		usleep(1000);
	assert_false(lease.guarded);
	ticket = viofs_lease_enter(&lease);
	end = true;
	wait_until(&leaders, 1);
	assert_false(viofs_lease_leave(&lease, ticket));
	finish();
}

static void who_is_stuck_is_deposed_again_and_again(void **state)
{
	uint64_t ticket;

	viofs_lease_start(&lease);
	ticket = viofs_lease_enter(&lease);
	wait_until(&leaders, 1);
	assert_false(viofs_lease_leave(&lease, ticket));
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		writers = i;
		wait_until(&leaders, i + 1); /* leader i is stuck */
		let_go = i;                  /* it comes back, and stands by */
		wait_until(&deposed, i);
	}
	/* Who comes back where somebody stands by already ends; nobody is to be one too many. */
	usleep(20000);
	pthread_mutex_lock(&lease.lock);
	assert_in_range(lease.threads, 1, 2);
	pthread_mutex_unlock(&lease.lock);
	/* Who comes back is used again: no more threads than one that leads and two that wait. */
	assert_in_range(lease.alive, 2, 4);
	end = true;
	viofs_lease_wait(&lease);
	assert_true(lease.finished);
	finish();
}

/* One more stands by than there was: that is enough. */
static void of_two_that_come_back_one_ends(void **state)
{
	uint64_t ticket;
	bool one_ended = false;

	viofs_lease_start(&lease);
	ticket = viofs_lease_enter(&lease);
	wait_until(&leaders, 1);
	assert_false(viofs_lease_leave(&lease, ticket));
	writers = 2;
	wait_until(&leaders, 3); /* 1 and 2 are stuck */
	let_go = 2;
	wait_until(&deposed, 2);
	/* Of the leader, of who stands by for it, and of both that came back. */
	for (int ms = 0; !one_ended && ms < WAIT_MS; ms++) {
		usleep(1000);
		pthread_mutex_lock(&lease.lock);
		one_ended = lease.alive == 3 && lease.threads == 2;
		pthread_mutex_unlock(&lease.lock);
	}
	assert_true(one_ended);
	end = true;
	viofs_lease_wait(&lease);
	finish();
}

static void slots_of_the_deposed_come_back(void **state)
{
	struct pollfd p = { .fd = lease.wake_fd, .events = POLLIN };
	uint16_t slot = 99;

	assert_false(viofs_lease_collect(&lease, &slot));
	assert_int_equal(slot, 99);
	assert_int_equal(poll(&p, 1, 0), 0);
	for (uint16_t i = 0; i < SLOTS; i++)
		viofs_lease_return_slot(&lease, i);
	assert_int_equal(poll(&p, 1, 0), 1);
	for (unsigned int seen = 0, i = 0; i < SLOTS; i++) {
		assert_true(viofs_lease_collect(&lease, &slot));
		assert_true(slot < SLOTS && !(seen & 1U << slot));
		seen |= 1U << slot;
	}
	assert_false(viofs_lease_collect(&lease, &slot));
	finish();
}

/* It may be stuck for ever: what it looks at must stay. */
static void a_thread_that_does_not_come_back_keeps_the_lease(void **state)
{
	uint64_t ticket;

	viofs_lease_start(&lease);
	ticket = viofs_lease_enter(&lease);
	wait_until(&leaders, 1);
	assert_false(viofs_lease_leave(&lease, ticket));
	viofs_lease_finish(&lease);
	viofs_lease_wait(&lease); /* a second, no longer */
	assert_false(viofs_lease_fini(&lease));
	assert_true(lease.wake_fd >= 0);
	end = true;
	finish();
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_write_that_is_quick_deposes_nobody),
		TEST(a_quiet_lease_is_not_guarded),
		TEST(who_is_stuck_is_deposed_again_and_again),
		TEST(of_two_that_come_back_one_ends),
		TEST(slots_of_the_deposed_come_back),
		TEST(a_thread_that_does_not_come_back_keeps_the_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
